#include <stdlib.h>

#include "gossip/message.h"
#include "sim/acts.h"
#include "sim/capture.h"
#include "sim/forger.h"
#include "sim/liars.h"
#include "sim/must.h"
#include "sim/story.h"

void story_forge(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(3)))
        return;
    world_publish(w, 0, 1, 5000);
    forger_start(w, w->config.hosts - 1, MS(20));
    if (!world_run(w, SEC(30)))
        return;
    uint32_t dies = acts_other_host(w) % (w->config.hosts - 1);
    host_crash(w, dies); /* dead is dead, whatever old records are replayed */
    if (!world_run(w, SEC(30)))
        return;
    /* B21: bogus offers of newer documents do not keep a good one out. */
    if (!acts_all_have(w, world_publish(w, dies == 0 ? 1 : 0, 2, 5000), SEC(90)))
        return;
    forger_stop(w);
    if (!world_run(w, SEC(5)) || !world_agree(w, acts_agree_bound(w), "the forger gave up") ||
        !world_run(w, SEC(20)))
        return;
    if (w->figures.forged == 0 || w->figures.forged_seen == 0)
        world_fail(w, "the forger reached nobody: nothing was shown");
}

/* ---- G10: all that was ever said is said again ---- */

/* A life with news, a death, a good-bye, a restart: something of everything is in the capture. */
static bool live_a_life(struct world *w)
{
    uint32_t last = w->config.hosts - 1;
    for (int i = 0; i < 10; i++) {
        host_update(w, acts_pick(w, w->config.hosts));
        if (!world_run(w, SEC(1)))
            return false;
    }
    world_publish(w, 0, 1, 3000);
    host_crash(w, last);
    host_leave(w, last - 1);
    if (!world_run(w, SEC(6)))
        return false;
    host_stop(w, last - 1);
    if (!world_run(w, SEC(20)))
        return false;
    host_start(w, last);
    return world_run(w, SEC(5)) && world_agree(w, acts_agree_bound(w), "a life");
}

static void restart_all(struct world *w, uint32_t wiped)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        host_crash(w, h);
    world_run(w, SEC(2));
    host_wipe(w, wiped);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (h != w->config.hosts - 2) /* who said good-bye stays away */
            host_start(w, h);
}

/* Less those that all got because somebody's coordinate had changed. */
static uint64_t records_applied(const struct world *w)
{
    uint64_t applied = 0, moved = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        applied += w->host[h].gossip ? gossip_stats(w->host[h].gossip)->records_applied : 0;
        moved += w->host[h].gossip ? gossip_stats(w->host[h].gossip)->moved : 0;
    }
    return applied - moved * (w->config.hosts - 1); /* one has said good-bye */
}

/* Everything once more after all have restarted and one has lost its disk: not one record, state or document moves. Then
 * again at random for a while, and once while they restart: then old records come first, and the newest win all the
 * same (order and tombstones are oracles). */
void story_capture(struct world *w)
{
    size_t all = SIZE_MAX, some = 5000;
    if (!acts_start_all(w))
        return;
    capture_start(w);
    if (!live_a_life(w))
        return;
    capture_stop(w);
    restart_all(w, acts_other_host(w) % (w->config.hosts - 2));
    if (!world_run(w, SEC(5)) || !world_agree(w, acts_agree_bound(w), "all have restarted"))
        return;
    uint64_t applied = records_applied(w), suspicions = w->figures.suspicions;
    const struct doc *doc = w->host[0].disk.doc;
    if (capture_replay(w, all, SEC(20), false) < 100)
        world_fail(w, "nothing was recorded: nothing was shown");
    capture_replay(w, some, SEC(20), true);
    if (w->figures.suspicions > suspicions || records_applied(w) > applied)
        world_fail(w, "a replay moved something: %llu suspicions, %llu records",
                   (unsigned long long)(w->figures.suspicions - suspicions),
                   (unsigned long long)(records_applied(w) - applied));
    if (w->host[1].disk.doc != doc || !world_agree(w, MS(500), "a replay of everything"))
        return;
    restart_all(w, 1 + acts_pick(w, w->config.hosts - 2));
    capture_replay(w, some, SEC(10), true);
    world_agree(w, acts_agree_bound(w), "a replay into a restart");
}

/* ---- G4, G15, G22: liars ---- */

/* Different hosts among `count` of those from `first` on: as many as `liars`. */
static void begin_lying(struct world *w, uint32_t first, uint32_t count, uint32_t liars, unsigned ways,
                        mono_us every)
{
    bool *chosen = must_zeros(w->config.hosts, sizeof *chosen);
    while (liars > 0) {
        uint32_t h = first + acts_pick(w, count);
        liars -= !chosen[h];
        chosen[h] = true;
    }
    liars_begin(w, chosen, ways, every);
    free(chosen);
}

static bool is_held_dead_by_the_honest(const struct world *w, uint32_t gone)
{
    struct gossip_member m;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (host_is_running(&w->host[h]) && !liars_has(w, h) &&
            (!gossip_member_get(w->host[h].gossip, signer_id(w->signer, gone), &m) || m.state != GOSSIP_DEAD))
            return false;
    return true;
}

/* A quarter lies in every way. Nobody who lives is held dead (an oracle), and the dead are found out. */
void story_lie(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(35)))
        return;
    uint64_t deaths = acts_deaths_told(w);
    begin_lying(w, 1, w->config.hosts - 1, acts_some_of(w, 4), LIARS_ALL, MS(200));
    if (!world_run(w, SEC(30)))
        return;
    if (acts_deaths_told(w) > deaths) {
        world_fail(w, "%llu deaths are told where nobody has died",
                   (unsigned long long)(acts_deaths_told(w) - deaths));
        return;
    }
    uint32_t dies = 0;
    while (liars_has(w, dies))
        dies++;
    host_crash(w, dies);
    mono_us died = w->now;
    while (!is_held_dead_by_the_honest(w, dies) && world_run(w, MS(20)))
        if (w->now - died > SEC(40)) {
            world_fail(w, "40 s after its death host %u is held alive by an honest one", dies);
            return;
        }
    samples_add(&w->figures.convergence, w->now - died);
    if (liars_lies(w) < 100)
        world_fail(w, "hardly anybody lied: nothing was shown");
    liars_end(w);
    host_start(w, dies);
    if (world_run(w, SEC(5)))
        world_agree(w, acts_agree_bound(w), "the liars became honest");
}

/* G21: whoever starts anew, without its disk, gets told of nobody but liars by all of its seeds but one. */
void story_eclipse(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    uint32_t victim = w->config.hosts - 1;
    host_crash(w, victim);
    if (!world_run(w, SEC(15)))
        return;
    begin_lying(w, 0, HOSTS_WITH_SEEDS - 1, HOSTS_WITH_SEEDS - 1, LIARS_ECLIPSE | LIARS_SILENT, SEC(1));
    host_wipe(w, victim);
    host_start(w, victim);
    if (!world_run(w, SEC(5)) || !world_agree(w, acts_agree_bound(w), "a start among liars"))
        return;
    host_crash(w, victim); /* and with its disk it does not even need the one */
    world_run(w, SEC(15));
    host_crash(w, HOSTS_WITH_SEEDS - 1);
    world_run(w, SEC(15));
    host_start(w, victim);
    if (world_run(w, SEC(5)))
        world_agree(w, acts_agree_bound(w), "a restart among liars");
}

/* ---- G47: one host in twenty does all of it at once: lies, forges, replays ---- */

static bool all_hold_alive(const struct world *w, uint32_t host)
{
    struct gossip_member m;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (h != host && host_is_running(&w->host[h]) && !liars_has(w, h) &&
            (!gossip_member_get(w->host[h].gossip, signer_id(w->signer, host), &m) ||
             m.state != GOSSIP_ALIVE || m.incarnation < w->host[host].disk.incarnation))
            return false;
    return true;
}

/* It dies, at times is forgotten by its own disk, and comes back: which all the honest know within ten seconds. */
static bool comes_back(struct world *w, uint32_t host)
{
    uint64_t before = w->host[host].disk.incarnation;
    host_crash(w, host);
    world_run(w, SEC(3) + acts_pick(w, (uint32_t)SEC(20)));
    if (acts_pick(w, 4) == 0)
        host_wipe(w, host);
    mono_us start = w->now;
    host_start(w, host);
    while (w->host[host].disk.incarnation == before || !w->host[host].own || !all_hold_alive(w, host)) {
        if (w->now - start > SEC(10))
            return world_fail(w, "10 s after its start host %u is not held alive by all the honest", host);
        if (!world_run(w, MS(20)))
            return false;
    }
    samples_add(&w->figures.convergence, w->now - start);
    return world_run(w, SEC(8) - (w->now - start < SEC(8) ? w->now - start : SEC(8)));
}

static bool is_over(const struct world *w, int round, mono_us began)
{
    enum { LARGE = 100 };
    if (w->config.minutes > 0)
        return w->now - began >= SEC(60) * w->config.minutes;
    return round >= (w->config.hosts < LARGE ? 6 : 40); /* a quarter of an hour of it */
}

void story_byzantine(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(35)))
        return;
    begin_lying(w, HOSTS_WITH_SEEDS, w->config.hosts - HOSTS_WITH_SEEDS, acts_some_of(w, 20),
                LIARS_ALL | LIARS_COORDINATE, MS(100));
    forger_start(w, w->config.hosts - 1, MS(50));
    mono_us began = w->now;
    for (int round = 0; !is_over(w, round, began) && world_is_well(w); round++) {
        uint32_t h = acts_other_host(w);
        if (w->host[h].state == HOST_UP && !liars_has(w, h) && !comes_back(w, h))
            return;
    }
    liars_end(w);
    forger_stop(w);
    if (world_run(w, SEC(5)))
        world_agree(w, acts_agree_bound(w), "all became honest");
}

/* G7: one host tells two halves two records with the same numbers. */
static void push_record(struct world *w, uint32_t from, uint32_t to, const struct signed_record *r)
{
    uint8_t space[2048];
    struct wr out = wr_init(space, sizeof space);
    datagram_encode(&out, &(struct datagram){.type = MSG_PUSH});
    rumor_item_encode(&out, &(struct rumor_item){.type = RUMOR_RECORD, .record = r->bytes});
    if (wr_ok(&out))
        world_inject(w, from, false, to, GOSSIP_DATAGRAM, wr_done(&out));
}

/* The owner's record as host 0 holds it is also what all others hold. */
static bool is_one_record_held(const struct world *w, uint32_t owner)
{
    struct gossip_member first, m;
    const struct node_id *id = signer_id(w->signer, owner);
    if (!gossip_member_get(w->host[0].gossip, id, &first))
        return false;
    for (uint32_t h = 1; h < w->config.hosts; h++)
        if (h != owner && host_is_running(&w->host[h]) &&
            (!gossip_member_get(w->host[h].gossip, id, &m) || !bytes_eq(m.record, first.record)))
            return false;
    return true;
}

/* Others that hold it in quarantine, and the proof. */
static uint32_t who_shuns(const struct world *w, uint32_t owner)
{
    uint32_t n = 0;
    struct gossip_member m;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        n += h != owner && host_is_running(&w->host[h]) &&
             gossip_member_get(w->host[h].gossip, signer_id(w->signer, owner), &m) && m.is_quarantined &&
             gossip_stats(w->host[h].gossip)->equivocations > 0;
    return n;
}

/* Who knows nobody and joins when the owner has signed anew is shown the proof all the same. */
static bool joins_shunning(struct world *w, uint32_t joiner, uint32_t others)
{
    host_wipe(w, joiner);
    host_start(w, joiner);
    for (mono_us start = w->now; who_shuns(w, w->config.hosts - 1) < others + 1; world_run(w, MS(20)))
        if (w->now - start > SEC(5) || !world_is_well(w)) {
            world_fail(w, "5 s after its start host %u knows of no quarantine", joiner);
            return false;
        }
    return true;
}

void story_two_faced(struct world *w)
{
    uint32_t liar = w->config.hosts - 1, joiner = liar - 1;
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    host_crash(w, joiner);
    if (!world_run(w, SEC(15)))
        return;
    begin_lying(w, liar, 1, 1, LIARS_SILENT, SEC(1));
    const struct signed_record *one = signer_sign(w->signer, liar, w->host[liar].disk.incarnation,
                                                  w->host[liar].own->version + 1, false, 0, NULL);
    const struct signed_record *two = signer_twin(w->signer, one);
    w->host[liar].own = one; /* should it move, it signs a number above */
    for (uint32_t h = 0; h < joiner; h++)
        push_record(w, liar, h, h % 2 ? one : two);
    world_run(w, MS(2)); /* they have arrived */
    mono_us start = w->now;
    while (!is_one_record_held(w, liar) && world_run(w, MS(5)))
        if (w->now - start > SEC(1)) {
            world_fail(w, "a second after two records were told not all hold the same");
            return;
        }
    uint32_t others = w->config.hosts - 2;
    while (who_shuns(w, liar) < others && world_run(w, MS(5)))
        if (w->now - start > SEC(1)) {
            world_fail(w, "a second after two records were told only %u hold the proof and the quarantine",
                       who_shuns(w, liar));
            return;
        }
    samples_add(&w->figures.convergence, w->now - start);
    /* The owner hears of it and signs anew, undisputed this time. */
    if (!world_run(w, SEC(3)) || !joins_shunning(w, joiner, others))
        return;
    if (world_run(w, SEC(20)) && who_shuns(w, liar) < others + 1)
        world_fail(w, "the quarantine ended within 23 s");
    if (world_run(w, SEC(20)) && who_shuns(w, liar) > 0)
        world_fail(w, "%u hold it in quarantine still", who_shuns(w, liar));
}
