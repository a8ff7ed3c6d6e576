#include "sim/acts.h"
#include "sim/story.h"

/* Long enough for each side to bury the other; then nobody helps but the network. */
void story_partition_heal(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    acts_split(w);
    world_cut_both_ways(w, 0, 1, true);
    if (!world_run(w, SEC(10) + acts_pick(w, (uint32_t)SEC(120))))
        return;
    if (w->config.hosts > HOSTS_WITH_SEEDS &&
        acts_pick(w, 2)) /* someone dies while nobody on the other side can see it */
        host_crash(w, acts_other_host(w));
    world_run(w, SEC(10));
    world_cut_both_ways(w, 0, 1, false);
    world_agree(w, acts_agree_bound(w), "the partition healed");
}

/* One side hears, the other does not. */
void story_one_way(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    acts_split(w);
    world_cut(w, 1, 0, true);
    if (!world_run(w, SEC(20) + acts_pick(w, (uint32_t)SEC(40))))
        return;
    world_cut(w, 1, 0, false);
    world_agree(w, acts_agree_bound(w), "the one-way cut healed");
}

/* One direction between two groups opens and closes every few seconds; then it is good again. */
void story_flapping(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    acts_split(w);
    for (int i = 0; i < 12 && world_is_well(w); i++) {
        uint32_t from = acts_pick(w, 2);
        world_cut(w, from, 1 - from, true);
        world_run(w, MS(200) + acts_pick(w, (uint32_t)SEC(5)));
        world_cut(w, from, 1 - from, false);
        world_run(w, MS(200) + acts_pick(w, (uint32_t)SEC(5)));
    }
    world_agree(w, acts_agree_bound(w), "the network stopped flapping");
}

/* One host reaches only half of the others. It lives, others can tell: nobody may be buried for long. */
void story_half_connected(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        w->wire.group[h] = (uint8_t)(h == 0 ? 0 : 1 + h % 2);
    world_cut_both_ways(w, 0, 1, true);
    if (!world_run(w, SEC(90)))
        return;
    world_cut_both_ways(w, 0, 1, false);
    world_agree(w, acts_agree_bound(w), "the host reaches all again");
}

/* Thin lines: a join, an update and a document all the same. */
void story_congested(struct world *w)
{
    if (!acts_start_all(w))
        return;
    for (int i = 0; i < 10 && world_is_well(w); i++) {
        host_update(w, acts_pick(w, w->config.hosts));
        world_run(w, MS(300));
    }
    const struct doc *d = world_publish(w, 0, 1, 100 * 1000);
    if (acts_all_have(w, d, SEC(60)) && world_run(w, SEC(20)))
        world_agree(w, acts_agree_bound(w), "a document over thin lines");
}

/* At 30 % loss a probe and its three detours all fail one time in five, so somebody is always suspected
 * somewhere, and refutes: agreement is about who lives until the network is good again. */
void story_loss(struct world *w)
{
    w->is_doubt_agreed = true;
    if (!acts_start_all(w) || !world_run(w, SEC(30)))
        return;
    for (uint32_t n = acts_some_of(w, 10); n > 0; n--)
        host_crash(w, acts_other_host(w));
    if (!world_run(w, SEC(5)) || !world_agree(w, 3 * acts_agree_bound(w), "crashes in a lossy network"))
        return;
    w->is_doubt_agreed = false;
    w->wire.config.loss_ppm = w->wire.config.duplicate_ppm = w->wire.config.reorder_ppm = 0;
    world_agree(w, acts_agree_bound(w), "the network became good");
}

/* ---- G14, G29: halves that live apart for long, past the expiry of tombstones ---- */

enum { TOMBSTONE_S = 3600 };

void story_apart_draw(struct world_config *config)
{
    config->wire = (struct wire_config){.delay_us = 500, .jitter_pct = 20};
    config->gossip.tombstone_ms = TOMBSTONE_S * 1000; /* a week in an agent: the story would be long */
}

/* Each half buries the other, and forgets it if it lasts; one says good-bye, one publishes, one dies while the other half
 * cannot see it. Then they meet again, by themselves. */
void story_apart(struct world *w)
{
    static const uint32_t apart_s[] = {60, 600, TOMBSTONE_S / 2, TOMBSTONE_S + 600, 3 * TOMBSTONE_S};
    uint32_t lasts_s = apart_s[acts_pick(w, sizeof apart_s / sizeof *apart_s)];
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    acts_split(w);
    world_cut_both_ways(w, 0, 1, true);
    world_run(w, SEC(30));
    uint32_t leaver = w->config.hosts - 1, dies = w->config.hosts - 2;
    host_leave(w, leaver);
    world_run(w, SEC(5));
    host_stop(w, leaver);
    if (w->config.hosts > HOSTS_WITH_SEEDS + 2)
        host_crash(w, dies);
    host_update(w, 0);
    host_update(w, 1);
    if (!world_run(w, SEC(lasts_s)))
        return;
    world_cut_both_ways(w, 0, 1, false);
    if (world_agree(w, acts_agree_bound(w), "the halves met again") && world_run(w, SEC(30)))
        world_agree(w, MS(500), "half a minute together");
}

/* ---- G30: single links are missing ---- */

static void part(struct world *w, uint32_t h, uint32_t distance, bool is_cut)
{
    uint32_t n = w->config.hosts;
    wire_part(&w->wire, h, (h + distance) % n, is_cut);
}

/* Everybody lacks the link to somebody, then to both its neighbours on a ring. All can be reached through others: nobody is
 * held dead by anybody. */
void story_partial_links(struct world *w)
{
    uint32_t n = w->config.hosts;
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    uint64_t deaths = acts_deaths_told(w);
    for (uint32_t distance = 1; distance <= 2 && n > 5; distance++) {
        for (uint32_t h = 0; h < n; h += distance == 1 ? 2 : 1)
            part(w, h, distance, true);
        w->network_since = w->now;
        if (!world_run(w, SEC(60)))
            return;
        for (uint32_t h = 0; h < n; h++)
            part(w, h, distance, false);
    }
    w->network_since = w->now;
    if (acts_deaths_told(w) > deaths)
        world_fail(w, "%llu deaths are told of hosts that others reach",
                   (unsigned long long)(acts_deaths_told(w) - deaths));
    world_agree(w, acts_agree_bound(w), "all links are back");
}

/* ---- G41: what a bad network costs ---- */

enum { WAITS_S = 3 };

/* How long all take to start and agree in a good network; NEVER: they did not. */
static mono_us time_without_loss(const struct world *like)
{
    struct world_config config = like->config;
    config.wire =
        (struct wire_config){.delay_us = config.wire.delay_us, .jitter_pct = config.wire.jitter_pct};
    config.is_printed = false;
    struct world *w = world_new(&config);
    for (uint32_t h = 0; h < config.hosts; h++)
        host_start(w, h);
    mono_us start = w->now;
    world_agree(w, SEC(120), "all have started");
    mono_us took = world_is_well(w) ? w->now - start : NEVER;
    world_free(w);
    return took;
}

/* 30 % lost, 10 % doubled, 5 % mangled, which is lost too, as its session does not open it: a mesh comes together in at most
 * three times what it takes without, counting the three seconds for which a host waits to be told what it was before it
 * speaks (gossip_recall): the connections over which it asks are late when their segments are lost. */
void story_mangled(struct world *w)
{
    mono_us good = time_without_loss(w), start = w->now;
    if (good == NEVER) {
        world_fail(w, "not even without loss all agree in two minutes");
        return;
    }
    w->is_doubt_agreed = true;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        host_start(w, h);
    world_agree(w, SEC(120), "all have started in a bad network");
    if (w->now - start > 3 * (good + SEC(WAITS_S)))
        world_fail(w, "all agree after %llu ms, without loss after %llu ms",
                   (unsigned long long)(w->now - start) / 1000, (unsigned long long)good / 1000);
}
