/* Nothing happens: what that costs. */
#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "sim/measure.h"
#include "sim/plot.h"

enum { REST_S = 60 };

static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static bool rest_once(const struct study_options *o, uint32_t nodes, struct plot_series *bytes_line)
{
    size_t heap_before = heap_bytes();
    struct world *w = study_old_mesh(o, nodes, o->seed, SEC(SETTLE_S));
    struct figures before = w->figures;
    double cpu = cpu_s(), member_seconds = (double)nodes * REST_S;
    world_run(w, SEC(REST_S));
    cpu = cpu_s() - cpu;
    const struct figures *f = &w->figures;
    double datagram_bytes = (double)(f->datagram_bytes - before.datagram_bytes) / member_seconds;
    double bulk_bytes = (double)(f->bulk_bytes - before.bulk_bytes) / member_seconds;
    double messages = (double)(f->datagrams + f->bulk - before.datagrams - before.bulk) / member_seconds;
    size_t heap = heap_bytes() - heap_before;
    printf("%5u %14.1f %10.1f %12.2f %14.4f %18.1f %18.1f\n", nodes, datagram_bytes, bulk_bytes, messages,
           cpu * 1000 / member_seconds, (double)heap / nodes / nodes, (double)heap / nodes / 1024);
    fflush(stdout);
    plot_point(bytes_line, nodes, datagram_bytes + bulk_bytes);
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
    printf("         bytes/s per member:     messages/s      CPU ms/s       heap bytes per         heap KiB\n"
           "nodes      datagrams       bulk   per member   per member*    (member, known member)*  per "
           "member*\n");
    for (size_t i = 0; i < nodes.count; i++)
        failed += !rest_once(o, nodes.at[i], ours);
    printf("* of the whole simulation, not of gossip alone: upper bounds\n");
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
