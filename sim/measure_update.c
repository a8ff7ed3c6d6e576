/* One member publishes: when each other member has it, and what that costs. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/measure.h"
#include "sim/must.h"
#include "sim/plot.h"

enum { UPDATES = 20, UPDATE_S = 3 };

struct update {
    uint32_t publisher;
    uint64_t incarnation, version; /* 0: nothing was published yet */
    mono_us at;
    bool *has; /* [hosts] it, or something newer of the publisher's: what counts is when that came first */
    uint32_t known_by;
    struct samples latency;
};

static void watch_update(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev)
{
    struct update *u = w->study;
    if (subject != u->publisher || !ev->record_changed || u->version == 0 || u->has[observer])
        return;
    const struct signed_record *r = host_remembers(&w->host[observer], subject);
    if (r->incarnation < u->incarnation || (r->incarnation == u->incarnation && r->version < u->version))
        return;
    u->has[observer] = true;
    u->known_by++;
    samples_add(&u->latency, w->now - u->at);
}

struct update_sum {
    struct samples latency;
    uint64_t updates, incomplete;
    double datagrams, payloads, bytes; /* per member and update, above rest */
};

struct traffic {
    uint64_t datagrams, bytes, payloads;
};

static struct traffic traffic_now(const struct world *w)
{
    const struct figures *f = &w->figures;
    return (struct traffic){f->datagrams + f->bulk, f->datagram_bytes + f->bulk_bytes, f->payloads};
}

static void update_once(struct world *w, struct update *u, struct update_sum *sum)
{
    uint32_t hosts = w->config.hosts;
    struct traffic before = traffic_now(w);
    world_run(w, SEC(UPDATE_S)); /* the rest beside it */
    struct traffic rest = traffic_now(w);
    u->known_by = 0;
    u->publisher = rng_below(&w->rng, hosts);
    u->at = w->now;
    memset(u->has, 0, hosts * sizeof *u->has);
    u->has[u->publisher] = true; /* not counted */
    u->incarnation = w->host[u->publisher].own->incarnation;
    u->version = w->host[u->publisher].own->version + 1;
    host_update(w, u->publisher);
    world_run(w, SEC(UPDATE_S));
    struct traffic after = traffic_now(w);
    sum->updates++;
    sum->incomplete += u->known_by < hosts - 1;
    sum->payloads += (double)(after.payloads - rest.payloads) / hosts;
    sum->datagrams +=
        ((double)(after.datagrams - rest.datagrams) - (double)(rest.datagrams - before.datagrams)) / hosts;
    sum->bytes += ((double)(after.bytes - rest.bytes) - (double)(rest.bytes - before.bytes)) / hosts;
}

/* ---- the bound ----
 *
 * Whatever is pushed to FANOUT others by each who hears it is known after h hops by at most
 *     known(h) = 1 + k + k^2 + ... + k^h,  k = FANOUT
 * so n members need h(n) = the least h with known(h) >= n, and h(n) one-way delays: 5 hops, 2.5 ms, for 1000. That is
 * if nobody is told twice and no packet is late or lost; choosing at random, one in e^k is not told at all. */

enum { FANOUT = 4 };

static uint32_t bound_hops(uint32_t members)
{
    uint32_t hops = 0;
    for (uint64_t known = 1, fresh = 1; known < members; hops++)
        known += fresh *= FANOUT;
    return hops;
}

static double bound_ms(const struct study_options *o, uint32_t members)
{
    return bound_hops(members) * (double)o->wire.delay_us / 1000;
}

/* Steps: what can be known up to each hop. */
static void plot_bound(const struct study_options *o, struct plot_series *line, uint32_t nodes)
{
    uint64_t known = 1, fresh = 1;
    for (uint32_t hop = 1; known < nodes; hop++) {
        double at = hop * (double)o->wire.delay_us / 1000;
        plot_point(line, at, 100.0 * (double)known / nodes);
        known += fresh *= FANOUT;
        plot_point(line, at, known < nodes ? 100.0 * (double)known / nodes : 100);
    }
}

static bool update_run(const struct study_options *o, uint32_t nodes, uint64_t seed, struct update_sum *sum)
{
    struct update u = {.has = must_zeros(nodes, sizeof *u.has)};
    struct world *w = study_mesh(o, nodes, seed, SEC(2 * SETTLE_S));
    w->watch = watch_update;
    w->study = &u;
    for (int i = 0; i < UPDATES && world_is_well(w); i++)
        update_once(w, &u, sum);
    samples_add_all(&sum->latency, &u.latency);
    samples_fini(&u.latency);
    free(u.has);
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_update(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, measure_nodes);
    struct plot *p = plot_new("One update to all", "milliseconds after it", "% of members that have it");
    char names[STUDY_LIST_MAX][48], label[48];
    p->is_x_log = true;
    int failed = 0;
    printf("               known after, ms: at                 times the bound   not by all   per member and "
           "update, "
           "above rest\n"
           "nodes updates    50 %%     99 %%   99.9 %%      all    50 %%      all   within %d s   messages  "
           "with the "
           "record   bytes\n",
           UPDATE_S);
    for (size_t i = 0; i < nodes.count; i++) {
        struct update_sum sum = {0};
        for (uint32_t r = 0; r < (o->runs ? o->runs : 2); r++)
            failed += !update_run(o, nodes.at[i], o->seed + r, &sum);
        printf("%5u %7llu", nodes.at[i], (unsigned long long)sum.updates);
        measure_print_quartet(&sum.latency);
        double n = (double)sum.updates;
        printf(" %7.1f %8.1f", measure_ms(&sum.latency, 500) / bound_ms(o, (nodes.at[i] + 1) / 2),
               measure_ms(&sum.latency, 1000) / bound_ms(o, nodes.at[i]));
        printf(" %12llu %10.2f %16.2f %7.0f\n", (unsigned long long)sum.incomplete, sum.datagrams / n,
               sum.payloads / n, sum.bytes / n);
        fflush(stdout);
        measure_plot(plot_add(p, measure_label(names[i], sizeof names[0], nodes.at[i], "known")),
                     &sum.latency, 1e3);
        samples_fini(&sum.latency);
    }
    struct plot_series *bound =
        plot_add(p, measure_label(label, sizeof label, nodes.at[nodes.count - 1], "bound of a push to 4"));
    if (bound)
        bound->is_dashed = true;
    plot_bound(o, bound, nodes.at[nodes.count - 1]);
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
