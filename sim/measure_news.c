/* What spreads and what is repaired: a document over thin lines, and the differences that one member has missed. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/measure.h"

/* ---- document ---- */

enum { DOC_BYTES_SENT = 256 * 1024, DOC_LINE_KBPS = 100 * 1000, DOC_MAX_S = 60 };

static bool document_once(const struct study_options *o, uint32_t nodes, uint64_t seed,
                          struct samples *latency, double *copies)
{
    struct study_options thin = *o;
    if (thin.wire.line_kbps == 0)
        thin.wire.line_kbps = DOC_LINE_KBPS;
    struct world *w = study_old_mesh(&thin, nodes, seed, SEC(SETTLE_S));
    bool *has = calloc(nodes, sizeof *has);
    if (!has)
        abort();
    uint32_t publisher = rng_below(&w->rng, nodes), missing = nodes - 1;
    uint64_t before = w->figures.bulk_bytes;
    mono_us start = w->now;
    const struct doc *d = world_publish(w, publisher, 1, DOC_BYTES_SENT);
    has[publisher] = true;
    while (missing > 0 && w->now - start < SEC(DOC_MAX_S) && world_run(w, MS(1)))
        for (uint32_t h = 0; h < nodes; h++)
            if (!has[h] && w->host[h].disk.doc == d) {
                has[h] = true;
                missing--;
                samples_add(latency, w->now - start);
            }
    *copies += (double)(w->figures.bulk_bytes - before) / DOC_BYTES_SENT / nodes;
    if (missing > 0)
        world_fail(w, "%u members are without the document after %d s", missing, DOC_MAX_S);
    bool is_well = measure_is_well(w, nodes);
    free(has);
    world_free(w);
    return is_well;
}

int measure_document(const struct study_options *o)
{
    static const struct study_list own = {2, {100, 1000}};
    struct study_list nodes = study_or(&o->nodes, own);
    struct plot *p = plot_new("A document of 256 KiB to all, lines of 100 Mbit/s", "milliseconds after it",
                              "% of members that have it");
    char names[STUDY_LIST_MAX][48];
    uint32_t runs = o->runs ? o->runs : 3, failed = 0;
    printf("             known after, ms: at                   sent, in N documents\n"
           "nodes runs      50 %%     99 %%   99.9 %%      all\n");
    for (size_t i = 0; i < nodes.count; i++) {
        struct samples latency = {0};
        double copies = 0;
        for (uint32_t r = 0; r < runs; r++)
            failed += !document_once(o, nodes.at[i], o->seed + r, &latency, &copies);
        printf("%5u %4u", nodes.at[i], runs);
        measure_print_quartet(&latency);
        printf(" %12.3f\n", copies / runs);
        fflush(stdout);
        measure_plot(plot_add(p, measure_label(names[i], sizeof names[0], nodes.at[i], "known")), &latency,
                     1e3);
        samples_fini(&latency);
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}

/* ---- repair ---- */

enum { MISSED_MS = 2500, REPAIR_S = 10 };
static const uint32_t differences[] = {0, 1, 4, 16,
                                       64}; /* 0: what it costs to have been deaf, taken off the others */

struct repair {
    struct samples took;
    double datagrams,
        bytes; /* to and from the member, once it hears again, probes and their answers left out */
    uint32_t runs;
};

/* One member hears nothing for a moment, too short to be buried, in which `missed` others publish. That it is suspected meanwhile costs the whole
 * mesh a thousand times what repairs it, and never the same: so only what is said to it and by it is counted. */
static bool repair_once(const struct study_options *o, uint32_t nodes, uint32_t missed, uint64_t seed,
                        struct repair *sum)
{
    struct world *w = study_old_mesh(o, nodes, seed, SEC(SETTLE_S));
    uint32_t deaf = nodes - 1;
    w->wire.host[deaf].lost_in_ppm = 1000000;
    for (uint32_t h = 0; h < missed && h < deaf; h++)
        host_update(w, h);
    world_run(w, MS(MISSED_MS));
    w->wire.host[deaf].lost_in_ppm = 0;
    w->network_since = w->now;
    w->repaired = deaf;
    mono_us began = w->now;
    if (world_agree(w, SEC(REPAIR_S), "a member was deaf for a moment"))
        samples_add(&sum->took, w->now - began);
    mono_us left = SEC(REPAIR_S) - (w->now - began);
    world_run(w, left);
    sum->datagrams += (double)w->figures.repairs;
    sum->bytes += (double)w->figures.repair_bytes;
    sum->runs++;
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_repair(const struct study_options *o)
{
    static const struct study_list own = {2, {100, 1000}};
    struct study_list nodes = study_or(&o->nodes, own);
    struct plot *p =
        plot_new("What one member has missed is repaired", "records that it missed", "KiB to and from it");
    char names[STUDY_LIST_MAX][48];
    int failed = 0;
    p->is_x_log = p->is_y_log = true;
    printf("               agreed after, ms:    to and from it in %d s, but for probes\n"
           "nodes missed     median     all     datagrams      bytes   bytes per record\n",
           REPAIR_S);
    for (size_t i = 0; i < nodes.count; i++) {
        struct plot_series *line = plot_add(p, measure_label(names[i], sizeof names[0], nodes.at[i], "sent"));
        double deaf_bytes = 0, deaf_datagrams = 0;
        for (size_t d = 0; d < sizeof differences / sizeof *differences; d++) {
            struct repair sum = {0};
            for (uint32_t r = 0; r < (o->runs ? o->runs : 3); r++)
                failed += !repair_once(o, nodes.at[i], differences[d], o->seed + r, &sum);
            double bytes = sum.bytes / sum.runs - deaf_bytes,
                   datagrams = sum.datagrams / sum.runs - deaf_datagrams;
            printf("%5u %6u %10.1f %7.1f %13.1f %10.0f", nodes.at[i], differences[d],
                   measure_ms(&sum.took, 500), measure_ms(&sum.took, 1000), datagrams, bytes);
            if (differences[d] == 0) {
                deaf_bytes = bytes;
                deaf_datagrams = datagrams;
                puts("    (having been deaf)");
            } else {
                printf(" %18.0f\n", bytes / differences[d]);
                plot_point(line, differences[d], bytes / 1024);
            }
            fflush(stdout);
            samples_fini(&sum.took);
        }
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
