/* Halves of a mesh live apart, each buries the other and, after the life of a tombstone, forgets it; then they can
 * reach one another again, and nobody helps (G14).
 *
 * A minute and an hour pass as they are. A day and a week pass 1008 times as fast: the life of tombstones, a week in an
 * agent, is ten minutes then, and nothing else is changed. What a half remembers of the other depends on that life
 * alone: all other timers repeat within a minute, and have done so often by then. */
#include <stdio.h>

#include "sim/measure.h"
#include "sim/plot.h"

enum { NODES = 1000, APART_MAX_S = 120, LOOK_MS = 10, WEEK_S = 7 * 24 * 3600, FAST_TOMBSTONE_S = 600 };

static const struct {
    const char *name;
    uint32_t apart_s, tombstone_s;
} cases[] = {
    {"1 minute", 60, WEEK_S},
    {"1 hour", 3600, WEEK_S},
    {"24 hours", 24 * 3600 / (WEEK_S / FAST_TOMBSTONE_S), FAST_TOMBSTONE_S},
    {"7 days", FAST_TOMBSTONE_S, FAST_TOMBSTONE_S},
    {"8 days", 8 * FAST_TOMBSTONE_S / 7, FAST_TOMBSTONE_S},
};

struct meeting {
    struct samples half, all;
    uint64_t bytes, false_deaths;
    uint32_t never, remembered; /* of the other half, by host 0, when they met */
};

static void cut(struct world *w, bool is_cut)
{
    world_cut_both_ways(w, 0, 1, is_cut);
}

static void meet(struct world *w, struct meeting *sum)
{
    uint32_t nodes = w->config.hosts, seeing = 0;
    mono_us start = w->now, half = 0;
    uint64_t bytes = w->figures.datagram_bytes + w->figures.bulk_bytes;
    struct gossip_counts known = gossip_counts(w->host[0].gossip);
    sum->remembered = known.dead;
    cut(w, false);
    while (seeing < nodes && w->now < start + SEC(APART_MAX_S) && world_run(w, MS(LOOK_MS))) {
        seeing = measure_count_seeing_all(w);
        if (!half && seeing >= nodes / 2)
            half = w->now;
    }
    samples_add(&sum->half, (half ? half : w->now) - start);
    samples_add(&sum->all, w->now - start);
    sum->never += seeing < nodes;
    sum->bytes += w->figures.datagram_bytes + w->figures.bulk_bytes - bytes;
}

static bool apart_once(const struct study_options *o, uint32_t nodes, size_t i, uint64_t seed,
                       struct meeting *sum)
{
    struct study_options with = *o;
    with.gossip.tombstone_ms = (uint64_t)cases[i].tombstone_s * 1000;
    struct world *w = study_old_mesh(&with, nodes, seed, SEC(SETTLE_S));
    for (uint32_t h = 0; h < nodes; h++)
        w->wire.group[h] = h % 2;
    cut(w, true);
    if (world_run(w, SEC(cases[i].apart_s)))
        meet(w, sum);
    world_run(w, SEC(30));
    if (world_is_well(w) && measure_count_seeing_all(w) < nodes)
        world_fail(w, "half a minute after they met the halves are apart again");
    sum->false_deaths += w->figures.false_deaths;
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_apart(const struct study_options *o)
{
    uint32_t nodes = o->nodes.count > 0 ? o->nodes.at[0] : NODES, runs = o->runs ? o->runs : 1;
    int failed = 0;
    printf("                        the dead are   half see all, s   all see all, s   never    false    KiB "
           "sent\n"
           "apart for  remembered   kept for, s     median  worst    median  worst            deaths   per "
           "member\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct meeting sum = {0};
        for (uint32_t r = 0; r < runs; r++)
            failed += !apart_once(o, nodes, i, o->seed + r, &sum);
        printf("%-10s %10u %13u %10.2f %6.2f %9.2f %6.2f %7u %8llu %12.1f\n", cases[i].name, sum.remembered,
               cases[i].tombstone_s, measure_ms(&sum.half, 500) / 1000, measure_ms(&sum.half, 1000) / 1000,
               measure_ms(&sum.all, 500) / 1000, measure_ms(&sum.all, 1000) / 1000, sum.never,
               (unsigned long long)sum.false_deaths, (double)sum.bytes / nodes / runs / 1024);
        fflush(stdout);
        samples_fini(&sum.half);
        samples_fini(&sum.all);
    }
    return failed ? 1 : 0;
}
