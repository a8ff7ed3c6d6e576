/* All start at once with one seed. */
#include <stdio.h>

#include "sim/measure.h"
#include "sim/plot.h"

enum { JOIN_MAX_S = 300, LOOK_MS = 10 };

struct join_sum {
    struct samples half, all;
    uint64_t suspicions, deaths, bytes;
    uint32_t never;
};

static bool join_once(const struct study_options *o, uint32_t nodes, uint64_t seed, struct join_sum *sum)
{
    struct world_config config = {
        .hosts = nodes, .seed = seed, .wire = o->wire, .gossip = o->gossip, .seeds = 1};
    struct world *w = world_new(&config);
    mono_us start = w->now, half = 0;
    for (uint32_t h = 0; h < nodes; h++)
        host_start(w, h);
    uint32_t seeing = 0;
    while (seeing < nodes && w->now < start + SEC(JOIN_MAX_S) && world_run(w, MS(LOOK_MS))) {
        seeing = measure_count_seeing_all(w);
        if (!half && seeing >= nodes / 2)
            half = w->now;
    }
    samples_add(&sum->half, half - start);
    samples_add(&sum->all, w->now - start);
    sum->never += seeing < nodes;
    sum->suspicions += w->figures.suspicions;
    sum->bytes += w->figures.datagram_bytes + w->figures.bulk_bytes;
    for (uint32_t h = 0; h < nodes; h++)
        sum->deaths += gossip_stats(w->host[h].gossip)->deaths;
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_join_all(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, measure_nodes);
    uint32_t runs = o->runs ? o->runs : 3;
    struct plot *p =
        plot_new("All start at once with one seed", "members", "seconds until all see all (median)");
    struct plot_series *ours = plot_add(p, "Starling"), *theirs = plot_add(p, "memberlist (at 400: never)");
    plot_point(theirs, 100, 4.3);
    plot_point(theirs, 200, 12.0);
    int failed = 0;
    printf("           half see all, s     all see all, s    never   false        false   KiB sent\n"
           "nodes runs  median  worst     median  worst           suspicions   deaths   per member\n");
    for (size_t i = 0; i < nodes.count; i++) {
        struct join_sum sum = {0};
        for (uint32_t r = 0; r < runs; r++)
            failed += !join_once(o, nodes.at[i], o->seed + r, &sum);
        printf("%5u %4u %7.2f %6.2f %10.2f %6.2f %8u %10llu %8llu %12.1f\n", nodes.at[i], runs,
               measure_ms(&sum.half, 500) / 1000, measure_ms(&sum.half, 1000) / 1000,
               measure_ms(&sum.all, 500) / 1000, measure_ms(&sum.all, 1000) / 1000, sum.never,
               (unsigned long long)sum.suspicions, (unsigned long long)sum.deaths,
               (double)sum.bytes / nodes.at[i] / runs / 1024);
        fflush(stdout);
        plot_point(ours, nodes.at[i], measure_ms(&sum.all, 500) / 1000);
        samples_fini(&sum.half);
        samples_fini(&sum.all);
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
