/* A silent death, or that of a process: when each other member knows. */
#include <stdio.h>

#include "sim/measure.h"
#include "sim/plot.h"

enum { DEATHS = 10, DEATH_S = 20, LINKS = 4 };

/* The one whose process died, for those who had a link to it. */
static void lose_link(struct world *w, uint32_t host)
{
    const uint32_t *victim = w->study;
    struct host *h = &w->host[host];
    if (h->state != HOST_UP || host == *victim)
        return;
    gossip_link_lost(h->gossip, signer_id(w->signer, *victim), GOSSIP_LINK_BROKEN, host_ms(h));
    host_timer(h);
}

/* Its kernel resets the links that the data plane of LINKS others had with it; datagrams to it are lost, as the agent
 * takes no notice of ICMP, which anybody can forge. */
static void stop_process(struct world *w, uint32_t *victim, uint32_t host)
{
    *victim = host;
    w->study = victim;
    for (int i = 0; i < LINKS; i++) {
        uint32_t peer = rng_below(&w->rng, w->config.hosts);
        world_after(w, wire_round_trip(&w->wire, host, peer), peer, lose_link);
    }
    host_stop(w, host);
}

/* Any host but the first, which the others need as a seed if they restart. */
static uint32_t somebody_alive(struct world *w)
{
    for (;;) {
        uint32_t h = 1 + rng_below(&w->rng, w->config.hosts - 1);
        if (w->host[h].state == HOST_UP)
            return h;
    }
}

static bool detect_once(const struct study_options *o, uint32_t nodes, uint64_t seed, struct figures *sum)
{
    uint32_t victim;
    struct world *w = study_mesh(o, nodes, seed, SEC(SETTLE_S));
    uint32_t dead = 0, rack = o->rack ? o->rack : 1;
    uint64_t missing = 0;
    for (int d = 0; d < DEATHS && dead + rack <= nodes / 4 && world_is_well(w); d += (int)rack) {
        uint32_t h = 0;
        for (uint32_t i = 0; i < rack; i++) {
            h = somebody_alive(w);
            if (o->is_refused)
                stop_process(w, &victim, h);
            else
                host_crash(w, h);
        }
        world_run(w, SEC(DEATH_S));
        dead += rack;
        missing += (uint64_t)rack * (nodes - dead);
        if (w->figures.detection.count < missing)
            world_fail(w, "host %u is not dead everywhere %d s after its death", h, DEATH_S);
    }
    samples_add_all(&sum->suspicion, &w->figures.suspicion);
    samples_add_all(&sum->detection, &w->figures.detection);
    sum->false_deaths += w->figures.false_deaths;
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_detect(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, measure_nodes);
    struct plot *p = plot_new(o->is_refused ? "A process dies, four links are reset" : "A silent death",
                              "seconds after it", "% of (agent, death)");
    char names[2 * STUDY_LIST_MAX][48];
    int failed = 0;
    printf("             not alive any more, ms: at              dead, ms: at                        false\n"
           "nodes pairs      50 %%     99 %%   99.9 %%      all     50 %%     99 %%   99.9 %%      all   "
           "deaths\n");
    for (size_t i = 0; i < nodes.count; i++) {
        struct figures sum = {0};
        for (uint32_t r = 0; r < (o->runs ? o->runs : 2); r++)
            failed += !detect_once(o, nodes.at[i], o->seed + r, &sum);
        printf("%5u %6zu", nodes.at[i], sum.detection.count);
        measure_print_quartet(&sum.suspicion);
        measure_print_quartet(&sum.detection);
        printf(" %7llu\n", (unsigned long long)sum.false_deaths);
        fflush(stdout);
        struct plot_series *suspect =
            plot_add(p, measure_label(names[2 * i], sizeof names[0], nodes.at[i], "suspect"));
        if (suspect)
            suspect->is_dashed = true;
        measure_plot(suspect, &sum.suspicion, 1e6);
        measure_plot(plot_add(p, measure_label(names[2 * i + 1], sizeof names[0], nodes.at[i], "dead")),
                     &sum.detection, 1e6);
        samples_fini(&sum.suspicion);
        samples_fini(&sum.detection);
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
