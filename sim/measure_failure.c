/* Many members fail at once (Leitao, Pereira, Rodrigues, "HyParView", DSN 2007, section 5.2): what those who are left still
 * hear, and when they know who is gone. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/faults.h"
#include "sim/measure.h"
#include "sim/must.h"

enum { NODES = 200, UPDATES = 10, UPDATE_STEP_MS = 300, KNOWN_MAX_S = 120 };
static const uint32_t shares[] = {1, 10, 30, 50, 70, 90, 95};

struct failed {
    struct samples suspect, dead;
    uint64_t told, heard; /* (update, survivor) that should have, and has */
    uint64_t false_deaths, unknown;
};

static uint32_t a_survivor(struct world *w)
{
    for (;;) {
        uint32_t h = rng_below(&w->rng, w->config.hosts);
        if (host_is_running(&w->host[h]))
            return h;
    }
}

static void ask_who_heard(const struct world *w, uint32_t publisher, uint64_t version, struct failed *sum)
{
    struct gossip_member m;
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        if (h == publisher || !host_is_running(&w->host[h]))
            continue;
        sum->told++;
        sum->heard +=
            gossip_member_get(w->host[h].gossip, signer_id(w->signer, publisher), &m) && m.version >= version;
    }
}

/* Updates at once, while nobody knows yet who is gone: each has a second to get around. */
static void tell_survivors(struct world *w, struct failed *sum)
{
    uint32_t publisher[UPDATES];
    uint64_t version[UPDATES];
    for (int i = 0; i < UPDATES; i++) {
        publisher[i] = a_survivor(w);
        host_update(w, publisher[i]);
        version[i] = w->host[publisher[i]].own->version;
        world_run(w, MS(UPDATE_STEP_MS));
    }
    world_run(w, SEC(1));
    for (int i = 0; i < UPDATES; i++)
        ask_who_heard(w, publisher[i], version[i], sum);
}

static bool fail_once(const struct study_options *o, uint32_t nodes, uint32_t share, uint64_t seed,
                      struct failed *sum)
{
    struct world *w = study_old_mesh(o, nodes, seed, SEC(SETTLE_S));
    bool *gone = must_zeros(nodes, sizeof *gone);
    uint32_t count = nodes * share / 100 ? nodes * share / 100 : 1;
    faults_choose(w, 1, count, gone);
    for (uint32_t h = 0; h < nodes; h++)
        if (gone[h])
            host_crash(w, h);
    tell_survivors(w, sum);
    size_t due = (size_t)count * (nodes - count);
    mono_us start = w->now;
    while (w->figures.detection.count < due && w->now - start < SEC(KNOWN_MAX_S) && world_run(w, MS(100)))
        ;
    sum->unknown += due - w->figures.detection.count;
    samples_add_all(&sum->suspect, &w->figures.suspicion);
    samples_add_all(&sum->dead, &w->figures.detection);
    sum->false_deaths += w->figures.false_deaths;
    bool is_well = measure_is_well(w, nodes);
    free(gone);
    world_free(w);
    return is_well;
}

int measure_failure(const struct study_options *o)
{
    uint32_t nodes = o->nodes.count > 0 ? o->nodes.at[0] : NODES;
    struct plot *p =
        plot_new("Many fail at once", "% of the members that fail", "seconds until 99 % of the others know");
    struct plot_series *doubt = plot_add(p, "suspect"), *death = plot_add(p, "dead");
    int failed = 0;
    printf("        updates at once    not alive any more, s       dead, s:                   not     false\n"
           "failed  heard by           50 %%     99 %%     all      50 %%     99 %%     all    known    "
           "deaths\n");
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        struct failed sum = {0};
        for (uint32_t r = 0; r < (o->runs ? o->runs : 1); r++)
            failed += !fail_once(o, nodes, shares[i], o->seed + r, &sum);
        printf("%4u %%   %6.2f %%   %11.2f %8.2f %7.2f %9.2f %8.2f %7.2f %8llu %9llu\n", shares[i],
               100.0 * (double)sum.heard / (double)sum.told, measure_ms(&sum.suspect, 500) / 1000,
               measure_ms(&sum.suspect, 990) / 1000, measure_ms(&sum.suspect, 1000) / 1000,
               measure_ms(&sum.dead, 500) / 1000, measure_ms(&sum.dead, 990) / 1000,
               measure_ms(&sum.dead, 1000) / 1000, (unsigned long long)sum.unknown,
               (unsigned long long)sum.false_deaths);
        fflush(stdout);
        plot_point(doubt, shares[i], measure_ms(&sum.suspect, 990) / 1000);
        plot_point(death, shares[i], measure_ms(&sum.dead, 990) / 1000);
        samples_fini(&sum.suspect);
        samples_fini(&sum.dead);
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
