#include <stdlib.h>

#include "sim/acts.h"
#include "sim/faults.h"
#include "sim/must.h"
#include "sim/story.h"

static void pause_a_while(struct world *w, uint32_t host)
{
    host_pause(w, host);
    world_after(w, MS(500) + acts_pick(w, (uint32_t)SEC(16)), host, host_resume);
}

/* A quarter of the hosts stop and go (Lifeguard, section V: slow message processing). */
void story_slow_nodes(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    uint32_t slow = acts_some_of(w, 4);
    for (int round = 0; round < 6 && world_is_well(w); round++) {
        for (uint32_t h = 0; h < slow; h++)
            world_after(w, acts_pick(w, (uint32_t)SEC(4)), w->config.hosts - 1 - h, pause_a_while);
        world_run(w, SEC(16));
    }
    if (world_run(w, SEC(20)))
        world_agree(w, acts_agree_bound(w), "the slow have recovered");
}

/* All hosts get too little CPU: stalls of up to 0.6 s, every second or two, in which packets queue and timers come late.
 * Nobody may be buried for it, and all must agree while it lasts. */
void story_starved(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    uint64_t deaths = acts_deaths_told(w);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        fault_begin(w, h, FAULT_STARVE, MS(400), MS(1500), w->now + SEC(60));
    if (!world_run(w, SEC(65)))
        return;
    if (acts_deaths_told(w) > deaths)
        world_fail(w, "%llu deaths are told of hosts that only lack CPU",
                   (unsigned long long)(acts_deaths_told(w) - deaths));
    world_agree(w, acts_agree_bound(w), "the CPU is enough again");
}

/* ---- G27: a third stands still, for long ---- */

struct judged { /* deaths of hosts that nothing is wrong with, told at such hosts */
    bool *is_faulty;
    bool *is_marked;  /* [observer * hosts + subject] */
    uint64_t changes; /* of what is held of the faulty: state or mark */
    uint64_t deaths;
};

static void judge(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev)
{
    struct judged *j = w->study;
    bool *is_marked = &j->is_marked[(size_t)observer * w->config.hosts + subject];
    bool is_change = ev->before != ev->after || *is_marked != ev->is_degraded;
    *is_marked = ev->is_degraded;
    if (ev->is_new || j->is_faulty[observer])
        return;
    if (j->is_faulty[subject])
        j->changes += is_change;
    else if (ev->after == GOSSIP_DEAD && ev->before != GOSSIP_DEAD)
        j->deaths++;
}

static bool judge_begin(struct world *w, struct judged *j)
{
    size_t hosts = w->config.hosts;
    *j = (struct judged){.is_faulty = must_zeros(hosts, sizeof *j->is_faulty),
                         .is_marked = must_zeros(hosts * hosts, sizeof *j->is_marked)};
    w->watch = judge;
    w->study = j;
    return acts_start_all(w) && world_run(w, SEC(5));
}

static void judge_end(struct world *w, struct judged *j)
{
    if (j->deaths > 0)
        world_fail(w, "%llu deaths are told of hosts that nothing is wrong with",
                   (unsigned long long)j->deaths);
    w->watch = NULL;
    free(j->is_faulty);
    free(j->is_marked);
}

/* SIGSTOP of three in ten hosts, for 10 s, a minute, ten minutes: they come back without having buried anybody, and all
 * agree within 30 s. */
void story_paused(struct world *w)
{
    static const uint32_t lasts_s[] = {10, 60, 600};
    struct judged j;
    if (judge_begin(w, &j))
        for (size_t i = 0; i < sizeof lasts_s / sizeof *lasts_s && world_is_well(w); i++) {
            memset(j.is_faulty, 0, w->config.hosts * sizeof *j.is_faulty);
            faults_choose(w, 1, (3 * w->config.hosts + 9) / 10, j.is_faulty);
            for (uint32_t h = 0; h < w->config.hosts; h++)
                if (j.is_faulty[h])
                    fault_begin(w, h, FAULT_PAUSE, SEC(lasts_s[i]), 0, w->now);
            world_run(w, SEC(lasts_s[i]) + MS(1));
            world_agree(w, SEC(30), "three in ten stood still");
            world_run(w, SEC(5));
        }
    judge_end(w, &j);
}

/* G25: one who answers half a second late, one who hears one datagram in three, one whose words take 30 s: what is held of
 * them may change, but nobody else is buried for it, and there is no storm of changes. */
void story_sluggish(struct world *w)
{
    enum { LASTS_S = 300, CHANGES_MAX = 2 };
    uint32_t last = w->config.hosts - 1;
    struct judged j;
    if (judge_begin(w, &j)) {
        j.is_faulty[last] = j.is_faulty[last - 1] = j.is_faulty[last - 2] = true;
        w->wire.host[last].lag_us = (uint32_t)SEC(30);
        w->wire.host[last - 1].lost_in_ppm = 666666;
        w->wire.host[last - 2].lag_us = (uint32_t)MS(500);
        w->network_since = w->now;
        world_run(w, SEC(LASTS_S));
        double changes = (double)j.changes * 60 / LASTS_S / 3 / (w->config.hosts - 3);
        trace_line(&w->trace, w->now,
                   "of each slow one each other one changes its mind %u times in 100 minutes",
                   (unsigned)(100 * changes));
        if (changes > CHANGES_MAX)
            world_fail(w, "of each slow one each other one changes its mind %.2f times a minute", changes);
        wire_heal(&w->wire);
        w->network_since = w->now;
        world_run(w, SEC(35)); /* what is still under way */
        world_agree(w, acts_agree_bound(w), "the slow are quick again");
    }
    judge_end(w, &j);
}

/* One in ten comes back at another address, with the same key. */
void story_moved(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t n = acts_some_of(w, 10), h = w->config.hosts - 1; n > 0; n--, h--) {
        host_stop(w, h);
        host_move(w, h);
        world_after(w, MS(100) + acts_pick(w, (uint32_t)SEC(20)), h, host_start);
    }
    if (world_run(w, SEC(21)) && world_agree(w, SEC(20), "some moved") && world_run(w, SEC(20)))
        world_agree(w, MS(500), "a while at their new addresses");
}
