/* Nothing happens, and then one member changes its record: what that costs each. */
#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "sim/measure.h"
#include "sim/plot.h"

enum { REST_S = 60, CHANGE_S = 3 };

static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* Sent by one member, on average. */
struct sent {
    double bytes, bulk_bytes, messages;
};

static struct sent sent_since(const struct world *w, const struct figures *before)
{
    const struct figures *f = &w->figures;
    double hosts = w->config.hosts, bulk = (double)(f->bulk_bytes - before->bulk_bytes);
    return (struct sent){((double)(f->datagram_bytes - before->datagram_bytes) + bulk) / hosts, bulk / hosts,
                         (double)(f->datagrams + f->bulk - before->datagrams - before->bulk) / hosts};
}

/* One member changes its record: what that costs each member above rest, until it has long been known to all. */
static struct sent change_once(struct world *w, const struct sent *rest)
{
    struct figures before = w->figures;
    uint32_t publisher = rng_below(&w->rng, w->config.hosts);
    host_update(w, publisher);
    if (!world_run(w, SEC(CHANGE_S)))
        return (struct sent){0};
    world_agree(w, MS(500), "a change");
    struct sent all = sent_since(w, &before);
    double share = (double)CHANGE_S / REST_S;
    return (struct sent){all.bytes - rest->bytes * share, all.bulk_bytes - rest->bulk_bytes * share,
                         all.messages - rest->messages * share};
}

static bool rest_once(const struct study_options *o, uint32_t nodes, struct plot_series *bytes_line)
{
    size_t heap_before = heap_bytes();
    struct world *w = study_old_mesh(o, nodes, o->seed, SEC(SETTLE_S));
    struct figures before = w->figures;
    double cpu = cpu_s();
    world_run(w, SEC(REST_S));
    cpu = cpu_s() - cpu;
    struct sent rest = sent_since(w, &before);
    size_t heap = heap_bytes() - heap_before;
    struct sent change = change_once(w, &rest);
    printf("%5u %10.1f %6.1f %10.2f %12.0f %10.2f %14.4f %18.1f %14.1f\n", nodes, rest.bytes / REST_S,
           rest.bulk_bytes / REST_S, rest.messages / REST_S, change.bytes, change.messages,
           cpu * 1000 / nodes / REST_S, (double)heap / nodes / nodes, (double)heap / nodes / 1024);
    fflush(stdout);
    plot_point(bytes_line, nodes, rest.bytes / REST_S);
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_rest(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, measure_nodes);
    struct plot *p =
        plot_new("Sent at rest, with IP, UDP and sealing", "members", "bytes per second and member");
    struct plot_series *ours = plot_add(p, "Starling, sealed"),
                       *theirs = plot_add(p, "memberlist, plaintext");
    /* Measured on loopback, UDP and push-pull together (hashicorp/memberlist 0.2.2). */
    plot_point(theirs, 50, 138 + 179);
    plot_point(theirs, 100, 137 + 237);
    plot_point(theirs, 200, 138 + 356);
    int failed = 0;
    p->is_x_log = true;
    printf("      at rest, per member and s:     a change, per member:  CPU ms/s      heap bytes per        "
           "heap KiB\n"
           "nodes      bytes   bulk   messages        bytes   messages  per member*  (member, known member)* "
           " per "
           "member*\n");
    for (size_t i = 0; i < nodes.count; i++)
        failed += !rest_once(o, nodes.at[i], ours);
    printf("* of the whole simulation, not of gossip alone: upper bounds\n");
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
