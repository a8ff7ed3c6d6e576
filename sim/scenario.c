#include "sim/scenario.h"

#include <math.h>

#include "sim/faults.h"
#include "sim/forger.h"
#include "sim/oracle.h"
#include "sim/swarm.h"

enum { HOSTS_WITH_SEEDS = 3, HOSTS_UNLESS_SAID = 20 };

/* ---- bounds ---- */

/* Until a silent death is known to all: the probe that meets it, the suspicion (4 * log10 n seconds,
 * SWIM 4.2), the spreading; with room for the tail of random probing. */
static mono_us death_bound(const struct world *w)
{
    double n = w->config.hosts, log10_n = log10(n) < 1 ? 1 : log10(n);
    return SEC(20) + (mono_us)(8e6 * log10_n) + SEC(n / 100);
}

/* Until those who can reach each other agree again after a join, a heal, a restart. */
static mono_us agree_bound(const struct world *w)
{
    return death_bound(w) + SEC(40);
}

/* ---- acts that several stories share ---- */

static uint32_t pick(struct world *w, uint32_t n)
{
    return rng_below(&w->rng, n);
}

static bool start_all(struct world *w)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        world_after(w, pick(w, (uint32_t)SEC(1)), h, host_start);
    return world_run(w, SEC(1)) && world_agree(w, agree_bound(w), "all have started");
}

/* A fixed number of hosts, never the first: somebody has to be left to be joined. */
static uint32_t some_of(const struct world *w, uint32_t part)
{
    uint32_t n = w->config.hosts / part;
    return n > 0 ? n : 1;
}

static uint32_t other_host(struct world *w)
{
    return 1 + pick(w, w->config.hosts - 1);
}

static void split(struct world *w)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        w->wire.group[h] = (uint8_t)pick(w, 2);
    w->wire.group[0] = 0;
    w->wire.group[1] = 1;
}

static uint64_t deaths_told(const struct world *w)
{
    uint64_t n = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        n += w->host[h].gossip ? gossip_stats(w->host[h].gossip)->deaths : 0;
    return n;
}

/* ---- the stories ---- */

static void play_join(struct world *w)
{
    if (start_all(w) && world_run(w, SEC(30)))
        world_agree(w, MS(500), "half a minute of rest"); /* nothing has come apart by itself */
}

static void play_rest(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(60)))
        return;
    uint64_t before = w->figures.datagram_bytes + w->figures.bulk_bytes;
    if (!world_run(w, SEC(120)))
        return;
    uint64_t bytes = w->figures.datagram_bytes + w->figures.bulk_bytes - before;
    w->figures.rest_bytes_per_s = bytes / 120 / w->config.hosts;
    trace_line(&w->trace, w->now, "at rest: %llu bytes per second and host",
               (unsigned long long)w->figures.rest_bytes_per_s);
    world_agree(w, MS(500), "two minutes of rest");
}

static void play_crash(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t n = some_of(w, 10); n > 0; n--) {
        uint32_t h = other_host(w);
        world_after(w, pick(w, (uint32_t)SEC(1)), h, host_crash);
    }
    if (!world_run(w, SEC(1)) || !world_agree(w, death_bound(w), "crashes"))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (w->host[h].state == HOST_DOWN)
            world_after(w, pick(w, (uint32_t)SEC(5)), h, host_start);
    if (world_run(w, SEC(5)))
        world_agree(w, agree_bound(w), "the crashed have come back");
}

/* Long enough for each side to bury the other; then nobody helps but the network. */
static void play_partition_heal(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(5)))
        return;
    split(w);
    world_cut(w, 0, 1, true);
    world_cut(w, 1, 0, true);
    if (!world_run(w, SEC(10) + pick(w, (uint32_t)SEC(120))))
        return;
    if (w->config.hosts > HOSTS_WITH_SEEDS &&
        pick(w, 2)) /* someone dies while nobody on the other side can see it */
        host_crash(w, other_host(w));
    world_run(w, SEC(10));
    world_cut(w, 0, 1, false);
    world_cut(w, 1, 0, false);
    world_agree(w, agree_bound(w), "the partition healed");
}

/* One side hears, the other does not. */
static void play_one_way(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(5)))
        return;
    split(w);
    world_cut(w, 1, 0, true);
    if (!world_run(w, SEC(20) + pick(w, (uint32_t)SEC(40))))
        return;
    world_cut(w, 1, 0, false);
    world_agree(w, agree_bound(w), "the one-way cut healed");
}

/* Every host in turn: stopped without a word or with a good-bye, and back within a second, as an upgrade does
 * it. */
static void play_rolling_restart(struct world *w)
{
    if (!start_all(w))
        return;
    for (uint32_t h = 0; h < w->config.hosts && world_is_well(w); h++) {
        bool says_good_bye = pick(w, 2);
        if (says_good_bye)
            host_leave(w, h);
        world_run(w, MS(100) + pick(w, (uint32_t)MS(300)));
        host_stop(w, h);
        world_run(w, MS(50) + pick(w, (uint32_t)MS(900)));
        host_start(w, h);
        world_run(w, MS(200));
    }
    world_agree(w, agree_bound(w), "the rolling restart");
}

/* All at once, as after a power cut (G28). */
static void play_mass_restart(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(3)))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        world_after(w, pick(w, (uint32_t)SEC(1)), h, host_crash);
    world_run(w, SEC(1) + pick(w, (uint32_t)SEC(20)));
    for (uint32_t h = 0; h < w->config.hosts; h++)
        world_after(w, pick(w, (uint32_t)SEC(10)), h, host_start);
    if (world_run(w, SEC(10)))
        world_agree(w, SEC(60), "all have restarted");
}

static void pause_a_while(struct world *w, uint32_t host)
{
    host_pause(w, host);
    world_after(w, MS(500) + pick(w, (uint32_t)SEC(16)), host, host_resume);
}

/* A quarter of the hosts stop and go (Lifeguard, section V: slow message processing). */
static void play_slow_nodes(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(5)))
        return;
    uint32_t slow = some_of(w, 4);
    for (int round = 0; round < 6 && world_is_well(w); round++) {
        for (uint32_t h = 0; h < slow; h++)
            world_after(w, pick(w, (uint32_t)SEC(4)), w->config.hosts - 1 - h, pause_a_while);
        world_run(w, SEC(16));
    }
    if (world_run(w, SEC(20)))
        world_agree(w, agree_bound(w), "the slow have recovered");
}

/* All hosts get too little CPU: stalls of up to 0.6 s, every second or two, in which packets queue and timers come late.
 * Nobody may be buried for it, and all must agree while it lasts. */
static void play_starved(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(5)))
        return;
    uint64_t deaths = deaths_told(w);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        fault_begin(w, h, FAULT_STARVE, MS(400), MS(1500), w->now + SEC(60));
    if (!world_run(w, SEC(65)))
        return;
    if (deaths_told(w) > deaths)
        world_fail(w, "%llu deaths are told of hosts that only lack CPU",
                   (unsigned long long)(deaths_told(w) - deaths));
    world_agree(w, agree_bound(w), "the CPU is enough again");
}

/* One direction between two groups opens and closes every few seconds; then it is good again. */
static void play_flapping(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(5)))
        return;
    split(w);
    for (int i = 0; i < 12 && world_is_well(w); i++) {
        uint32_t from = pick(w, 2);
        world_cut(w, from, 1 - from, true);
        world_run(w, MS(200) + pick(w, (uint32_t)SEC(5)));
        world_cut(w, from, 1 - from, false);
        world_run(w, MS(200) + pick(w, (uint32_t)SEC(5)));
    }
    world_agree(w, agree_bound(w), "the network stopped flapping");
}

/* One host reaches only half of the others. It lives, others can tell: nobody may be buried for long. */
static void play_half_connected(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        w->wire.group[h] = (uint8_t)(h == 0 ? 0 : 1 + h % 2);
    world_cut(w, 0, 1, true);
    world_cut(w, 1, 0, true);
    if (!world_run(w, SEC(90)))
        return;
    world_cut(w, 0, 1, false);
    world_cut(w, 1, 0, false);
    world_agree(w, agree_bound(w), "the host reaches all again");
}

/* A rack is lost at once, and comes back. */
static void play_rack(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t h = w->config.hosts - some_of(w, 4); h < w->config.hosts; h++)
        host_crash(w, h);
    if (!world_run(w, SEC(1)) || !world_agree(w, death_bound(w), "the loss of a rack"))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        host_start(w, h);
    world_agree(w, agree_bound(w), "the rack is back");
}

/* Every second or so somebody goes, silently, with its process only, or with a good-bye, and somebody else comes back. */
static void play_churn(struct world *w)
{
    static void (*const ways[])(struct world * w, uint32_t host) = {host_crash, host_stop, host_leave};
    if (!start_all(w) || !world_run(w, SEC(3)))
        return;
    for (int i = 0; i < 60 && world_is_well(w); i++) {
        uint32_t goes = other_host(w), comes = other_host(w);
        if (w->host[goes].state == HOST_UP && !w->host[goes].wants_to_leave)
            ways[pick(w, 3)](w, goes);
        if (w->host[comes].is_left)
            host_stop(w, comes);
        if (w->host[comes].state != HOST_UP)
            host_start(w, comes);
        world_run(w, MS(200) + pick(w, (uint32_t)SEC(2)));
    }
    world_run(w, SEC(5)); /* good-byes under way */
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (w->host[h].wants_to_leave)
            host_stop(w, h);
    world_agree(w, agree_bound(w), "churn");
}

/* Good-byes are heard within seconds, and remembered: nobody is buried, nobody rises. */
static void play_leave(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t n = some_of(w, 5), h = w->config.hosts - 1; n > 0 && h > 0; n--, h--) {
        host_leave(w, h);
        for (int waited = 0; !w->host[h].is_left && waited < 100; waited++)
            world_run(w, MS(100));
        if (!w->host[h].is_left) {
            world_fail(w, "host %u has not got its good-bye out in 10 s", h);
            return;
        }
        host_stop(w, h);
    }
    if (world_agree(w, SEC(20), "good-byes") && world_run(w, SEC(60)))
        world_agree(w, MS(500), "a minute after the good-byes");
}

static bool all_have(struct world *w, const struct doc *d, mono_us bound)
{
    mono_us start = w->now;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        while (w->host[h].state == HOST_UP && w->host[h].disk.doc != d) {
            if (w->now - start > bound)
                return world_fail(w, "host %u is without version %llu after %llu ms", h,
                                  (unsigned long long)d->version,
                                  (unsigned long long)((w->now - start) / 1000));
            if (!world_run(w, MS(5)))
                return false;
        }
    samples_add(&w->figures.convergence, w->now - start);
    return true;
}

/* Published at one, everywhere soon; a newer one replaces it; who was away gets it when back; a late older
 * one changes nothing. */
static void play_policy(struct world *w)
{
    if (!start_all(w))
        return;
    const struct doc *d = world_publish(w, pick(w, w->config.hosts), 1, 20 * 1000);
    if (!all_have(w, d, SEC(10)))
        return;
    uint32_t away = other_host(w), publisher = away == 1 ? 0 : 1;
    host_crash(w, away);
    d = world_publish(w, publisher, 2, 300 * 1000);
    if (!all_have(w, d, SEC(15)))
        return;
    host_start(w, away);
    if (!all_have(w, d, SEC(30)))
        return;
    world_publish(w, publisher, 3, 1000);
    d = world_publish(w, publisher, 4, 1000);
    if (all_have(w, d, SEC(15)))
        world_agree(w, agree_bound(w), "publishing");
}

/* Thin lines: a join, an update and a document all the same. */
static void play_congested(struct world *w)
{
    if (!start_all(w))
        return;
    for (int i = 0; i < 10 && world_is_well(w); i++) {
        host_update(w, pick(w, w->config.hosts));
        world_run(w, MS(300));
    }
    const struct doc *d = world_publish(w, 0, 1, 100 * 1000);
    if (all_have(w, d, SEC(60)) && world_run(w, SEC(20)))
        world_agree(w, agree_bound(w), "a document over thin lines");
}

static void play_forge(struct world *w)
{
    if (!start_all(w) || !world_run(w, SEC(3)))
        return;
    world_publish(w, 0, 1, 5000);
    forger_start(w, w->config.hosts - 1, MS(20));
    if (!world_run(w, SEC(30)))
        return;
    uint32_t dies = other_host(w) % (w->config.hosts - 1);
    host_crash(w, dies); /* dead is dead, whatever old records are replayed */
    if (!world_run(w, SEC(30)))
        return;
    /* B21: bogus offers of newer documents do not keep a good one out. */
    if (!all_have(w, world_publish(w, dies == 0 ? 1 : 0, 2, 5000), SEC(90)))
        return;
    forger_stop(w);
    if (!world_run(w, SEC(5)) || !world_agree(w, agree_bound(w), "the forger gave up") ||
        !world_run(w, SEC(20)))
        return;
    if (w->figures.forged == 0 || w->figures.forged_seen == 0)
        world_fail(w, "the forger reached nobody: nothing was shown");
}

/* At 30 % loss a probe and its three detours all fail one time in five, so somebody is always suspected
 * somewhere, and refutes: agreement is about who lives until the network is good again. */
static void play_loss(struct world *w)
{
    w->is_doubt_agreed = true;
    if (!start_all(w) || !world_run(w, SEC(30)))
        return;
    for (uint32_t n = some_of(w, 10); n > 0; n--)
        host_crash(w, other_host(w));
    if (!world_run(w, SEC(5)) || !world_agree(w, 3 * agree_bound(w), "crashes in a lossy network"))
        return;
    w->is_doubt_agreed = false;
    w->wire.config.loss_ppm = w->wire.config.duplicate_ppm = w->wire.config.reorder_ppm = 0;
    world_agree(w, agree_bound(w), "the network became good");
}

/* ---- the table ---- */

#define LAN                                                                                                  \
    {                                                                                                        \
        .delay_us = 500, .jitter_pct = 20                                                                    \
    }
#define BAD                                                                                                  \
    {                                                                                                        \
        .delay_us = 5000, .jitter_pct = 50, .loss_ppm = 300000, .duplicate_ppm = 100000,                     \
        .reorder_ppm = 200000, .reorder_us = 200000                                                          \
    }

#define THIN                                                                                                 \
    {                                                                                                        \
        .delay_us = 5000, .jitter_pct = 30, .line_kbps = 1000, .queue_us = 200000                            \
    }

static const struct scenario scenarios[] = {
    {"join", "all start within a second, knowing three seeds", LAN, false, play_join, NULL},
    {"rest", "two minutes in which nothing happens: bytes per second", LAN, false, play_rest, NULL},
    {"crash", "a tenth crashes silently, later comes back from disk", LAN, false, play_crash, NULL},
    {"partition-heal", "two sides cut off from each other, then healed", LAN, false, play_partition_heal,
     NULL},
    {"one-way", "a cut in one direction only, then healed", LAN, false, play_one_way, NULL},
    {"rolling-restart", "every host in turn is stopped and started", LAN, false, play_rolling_restart, NULL},
    {"mass-restart", "all crash and come back within seconds", LAN, false, play_mass_restart, NULL},
    {"slow-nodes", "a quarter stops and goes; sockets queue meanwhile", LAN, true, play_slow_nodes, NULL},
    {"starved", "all get too little CPU: timers come late, packets queue", LAN, true, play_starved, NULL},
    {"flapping", "a cut in one direction comes and goes", LAN, true, play_flapping, NULL},
    {"half-connected", "one host reaches half of the others", LAN, true, play_half_connected, NULL},
    {"rack", "a quarter crashes at once, and comes back", LAN, false, play_rack, NULL},
    {"churn", "somebody goes and somebody comes, each second", LAN, false, play_churn, NULL},
    {"congested", "lines of 1 Mbit/s that queue and drop", THIN, true, play_congested, NULL},
    {"leave", "a fifth says good-bye and stops", LAN, false, play_leave, NULL},
    {"forge", "a hostile member and an outsider forge, replay, alter, accuse", LAN, true, play_forge, NULL},
    {"loss", "30 % loss, 10 % doubled, 20 % reordered; a tenth crashes", BAD, true, play_loss, NULL},
    {"policy", "documents published at one host reach all", LAN, false, play_policy, NULL},
    {"swarm", "size, network and faults drawn from the seed; then all heals and must agree", LAN, true,
     swarm_play, swarm_draw},
};

const struct scenario *scenario_get(size_t i)
{
    return i < sizeof scenarios / sizeof *scenarios ? &scenarios[i] : NULL;
}

const struct scenario *scenario_find(const char *name)
{
    const struct scenario *s;
    for (size_t i = 0; (s = scenario_get(i)); i++)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

struct world *scenario_play(const struct scenario *s, const struct world_config *config)
{
    struct world_config own = *config;
    if (s->draw)
        s->draw(&own);
    if (own.hosts == 0)
        own.hosts = HOSTS_UNLESS_SAID;
    struct world *w = world_new(&own);
    s->play(w);
    oracle_end(w);
    if (!s->may_misjudge && w->figures.false_deaths > 0)
        world_fail(w, "%llu times a host was held dead that ran in a whole network",
                   (unsigned long long)w->figures.false_deaths);
    return w;
}
