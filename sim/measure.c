/* Measurements of one thing at a time in a mesh that is otherwise at rest: deaths, updates, rest itself, the join of
 * all. One row of the table per mesh size. */
#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "sim/plot.h"
#include "sim/study.h"

enum { SETTLE_S = 20 };

static const struct study_list own_nodes = {5, {50, 100, 200, 400, 1000}};

static bool is_mesh_well(const struct world *w, uint32_t hosts)
{
    if (world_is_well(w))
        return true;
    printf("FAILED: %u nodes: %s\n", hosts, w->failure);
    return false;
}

static double ms_at(struct samples *s, unsigned permille)
{
    return (double)samples_permille(s, permille) / 1000;
}

static void print_quartet(struct samples *s)
{
    printf(" %8.1f %8.1f %8.1f %8.1f", ms_at(s, 500), ms_at(s, 990), ms_at(s, 999), ms_at(s, 1000));
}

/* The share of samples that are done by then: 100 points. */
static void plot_distribution(struct plot_series *line, struct samples *s, double unit_us)
{
    for (unsigned permille = 0; s->count > 0 && permille <= 1000; permille += 10)
        plot_point(line, (double)samples_permille(s, permille) / unit_us, permille / 10.0);
}

static char *label(char *space, size_t cap, uint32_t nodes, const char *what)
{
    snprintf(space, cap, "%s, N = %u", what, nodes);
    return space;
}

/* ---- detect ---- */

enum { DEATHS = 10, DEATH_S = 20, LINKS = 4 };

/* The one whose process died, for those who had a link to it. */
static void lose_link(struct world *w, uint32_t host)
{
    const uint32_t *victim = w->study;
    struct host *h = &w->host[host];
    if (h->state != HOST_UP || host == *victim)
        return;
    gossip_link_lost(h->gossip, signer_id(w->signer, *victim), host_ms(h));
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
    for (int d = 0; d < DEATHS && d < (int)nodes / 4 && world_is_well(w); d++) {
        uint32_t h = somebody_alive(w);
        if (o->is_refused)
            stop_process(w, &victim, h);
        else
            host_crash(w, h);
        world_run(w, SEC(DEATH_S));
        uint64_t missing = (uint64_t)(d + 1) * (nodes - 1) - (uint64_t)d * (d + 1) / 2;
        if (w->figures.detection.count < missing)
            world_fail(w, "host %u is not dead everywhere %d s after its death", h, DEATH_S);
    }
    samples_add_all(&sum->suspicion, &w->figures.suspicion);
    samples_add_all(&sum->detection, &w->figures.detection);
    sum->false_deaths += w->figures.false_deaths;
    bool is_well = is_mesh_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_detect(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, own_nodes);
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
        print_quartet(&sum.suspicion);
        print_quartet(&sum.detection);
        printf(" %7llu\n", (unsigned long long)sum.false_deaths);
        fflush(stdout);
        struct plot_series *suspect =
            plot_add(p, label(names[2 * i], sizeof names[0], nodes.at[i], "suspect"));
        if (suspect)
            suspect->is_dashed = true;
        plot_distribution(suspect, &sum.suspicion, 1e6);
        plot_distribution(plot_add(p, label(names[2 * i + 1], sizeof names[0], nodes.at[i], "dead")),
                          &sum.detection, 1e6);
        samples_fini(&sum.suspicion);
        samples_fini(&sum.detection);
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}

/* ---- update ---- */

enum { UPDATES = 20, UPDATE_S = 3 };

struct update {
    uint32_t publisher;
    uint64_t version;
    mono_us at;
    uint32_t known_by;
    struct samples latency;
};

static void watch_update(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev)
{
    struct update *u = w->study;
    (void)observer;
    if (subject != u->publisher || !ev->record_changed || u->version == 0)
        return;
    if (w->host[observer].disk.member[subject]->version < u->version)
        return;
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

static bool update_run(const struct study_options *o, uint32_t nodes, uint64_t seed, struct update_sum *sum)
{
    struct update u = {0};
    struct world *w = study_mesh(o, nodes, seed, SEC(2 * SETTLE_S));
    w->watch = watch_update;
    w->study = &u;
    for (int i = 0; i < UPDATES && world_is_well(w); i++)
        update_once(w, &u, sum);
    samples_add_all(&sum->latency, &u.latency);
    samples_fini(&u.latency);
    bool is_well = is_mesh_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_update(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, own_nodes);
    struct plot *p = plot_new("One update to all", "milliseconds after it", "% of members that have it");
    char names[STUDY_LIST_MAX][48];
    int failed = 0;
    printf(
        "               known after, ms: at                 not by all   per member and update, above rest\n"
        "nodes updates    50 %%     99 %%   99.9 %%      all   within %d s   messages  with the record   "
        "bytes\n",
        UPDATE_S);
    for (size_t i = 0; i < nodes.count; i++) {
        struct update_sum sum = {0};
        for (uint32_t r = 0; r < (o->runs ? o->runs : 2); r++)
            failed += !update_run(o, nodes.at[i], o->seed + r, &sum);
        printf("%5u %7llu", nodes.at[i], (unsigned long long)sum.updates);
        print_quartet(&sum.latency);
        double n = (double)sum.updates;
        printf(" %12llu %10.2f %16.2f %7.0f\n", (unsigned long long)sum.incomplete, sum.datagrams / n,
               sum.payloads / n, sum.bytes / n);
        fflush(stdout);
        plot_distribution(plot_add(p, label(names[i], sizeof names[0], nodes.at[i], "known")), &sum.latency,
                          1e3);
        samples_fini(&sum.latency);
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}

/* ---- rest ---- */

enum { REST_S = 60 };

static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static bool rest_once(const struct study_options *o, uint32_t nodes, struct plot_series *bytes_line)
{
    size_t heap_before = mallinfo2().uordblks;
    struct world *w = study_mesh(o, nodes, o->seed, 3 * SEC(SETTLE_S));
    struct figures before = w->figures;
    double cpu = cpu_s(), member_seconds = (double)nodes * REST_S;
    world_run(w, SEC(REST_S));
    cpu = cpu_s() - cpu;
    const struct figures *f = &w->figures;
    double datagram_bytes = (double)(f->datagram_bytes - before.datagram_bytes) / member_seconds;
    double bulk_bytes = (double)(f->bulk_bytes - before.bulk_bytes) / member_seconds;
    double messages = (double)(f->datagrams + f->bulk - before.datagrams - before.bulk) / member_seconds;
    size_t heap = mallinfo2().uordblks - heap_before;
    printf("%5u %14.1f %10.1f %12.2f %14.4f %18.1f %18.1f\n", nodes, datagram_bytes, bulk_bytes, messages,
           cpu * 1000 / member_seconds, (double)heap / nodes / nodes, (double)heap / nodes / 1024);
    fflush(stdout);
    plot_point(bytes_line, nodes, datagram_bytes + bulk_bytes);
    bool is_well = is_mesh_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_rest(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, own_nodes);
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

/* ---- join-all ---- */

enum { JOIN_MAX_S = 300, LOOK_MS = 10 };

static bool sees_all(const struct world *w, uint32_t host)
{
    return w->host[host].gossip && gossip_counts(w->host[host].gossip).alive == w->config.hosts;
}

static uint32_t count_seeing_all(const struct world *w)
{
    uint32_t n = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        n += sees_all(w, h);
    return n;
}

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
        seeing = count_seeing_all(w);
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
    bool is_well = is_mesh_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_join_all(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, own_nodes);
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
               ms_at(&sum.half, 500) / 1000, ms_at(&sum.half, 1000) / 1000, ms_at(&sum.all, 500) / 1000,
               ms_at(&sum.all, 1000) / 1000, sum.never, (unsigned long long)sum.suspicions,
               (unsigned long long)sum.deaths, (double)sum.bytes / nodes.at[i] / runs / 1024);
        fflush(stdout);
        plot_point(ours, nodes.at[i], ms_at(&sum.all, 500) / 1000);
        samples_fini(&sum.half);
        samples_fini(&sum.all);
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
