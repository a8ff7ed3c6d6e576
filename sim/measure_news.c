/* What spreads and what is repaired: a document over thin lines, and the differences that one member has missed. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/measure.h"

#include "sim/must.h"

/* ---- document ---- */

enum { DOC_BYTES_SENT = 256 * 1024, DOC_LINE_KBPS = 100 * 1000, DOC_MAX_S = 60 };

static bool document_once(const struct study_options *o, uint32_t nodes, uint64_t seed,
                          struct samples *latency, double *copies)
{
    struct study_options thin = *o;
    if (thin.wire.line_kbps == 0)
        thin.wire.line_kbps = DOC_LINE_KBPS;
    struct world *w = study_old_mesh(&thin, nodes, seed, SEC(SETTLE_S));
    bool *has = must_zeros(nodes, sizeof *has);
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

enum { REPAIR_S = 10 };
static const uint32_t differences[] = {0,  1,  4,
                                       16, 64, 256}; /* 0: what there is anyway, taken off the others */

struct repair {
    struct samples took;
    double datagrams, digests, bytes; /* to and from the member, probes and their answers left out */
    uint32_t runs;
};

/* All know one another; of `missed` records one member has the version before, and nothing is under way to it. So nobody suspects
 * anybody, and what is counted is finding the difference, giving the records, and what the member then tells others. */
static bool repair_once(const struct study_options *o, uint32_t nodes, uint32_t missed, uint64_t seed,
                        struct repair *sum)
{
    struct world *w = study_old_mesh_but(o, nodes, seed, missed);
    w->repaired = nodes - 1;
    mono_us began = w->now;
    if (world_agree(w, SEC(REPAIR_S), "a member has missed some records"))
        samples_add(&sum->took, w->now - began);
    world_run(w, SEC(REPAIR_S) - (w->now - began));
    sum->datagrams += (double)w->figures.repairs;
    sum->digests += (double)w->figures.repair_rounds;
    sum->bytes += (double)w->figures.repair_bytes;
    sum->runs++;
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

static struct repair repair_mean(const struct study_options *o, uint32_t nodes, uint32_t missed,
                                 uint32_t *failed)
{
    struct repair sum = {0};
    for (uint32_t r = 0; r < (o->runs ? o->runs : 3); r++)
        *failed += !repair_once(o, nodes, missed, o->seed + r, &sum);
    sum.datagrams /= sum.runs;
    sum.digests /= sum.runs;
    sum.bytes /= sum.runs;
    return sum;
}

static void repair_row(const struct study_options *o, uint32_t nodes, struct plot_series *line,
                       uint32_t *failed)
{
    struct repair rest = {0};
    for (size_t d = 0; d < sizeof differences / sizeof *differences && differences[d] < nodes; d++) {
        uint32_t missed = differences[d];
        struct repair mean = repair_mean(o, nodes, missed, failed);
        double bytes = mean.bytes - rest.bytes, digests = mean.digests - rest.digests;
        printf("%5u %6u %10.1f %7.1f %9.1f %10.1f %10.0f", nodes, missed, measure_ms(&mean.took, 500),
               measure_ms(&mean.took, 1000), digests, mean.datagrams - rest.datagrams, bytes);
        if (missed == 0) {
            rest = mean;
            puts("    (at rest)");
        } else {
            printf(" %18.0f\n", bytes / missed);
            plot_point(line, missed, bytes / 1024);
        }
        fflush(stdout);
        samples_fini(&mean.took);
    }
}

int measure_repair(const struct study_options *o)
{
    static const struct study_list own = {2, {100, 1000}};
    struct study_list nodes = study_or(&o->nodes, own);
    struct plot *p =
        plot_new("What one member has missed is repaired", "records that it missed", "KiB to and from it");
    char names[STUDY_LIST_MAX][48];
    uint32_t failed = 0;
    p->is_x_log = p->is_y_log = true;
    printf("               agreed after, ms:    to and from it in %d s, but for probes\n"
           "nodes missed     median     all   digests  datagrams      bytes   bytes per record\n",
           REPAIR_S);
    for (size_t i = 0; i < nodes.count; i++)
        repair_row(o, nodes.at[i], plot_add(p, measure_label(names[i], sizeof names[0], nodes.at[i], "sent")),
                   &failed);
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
