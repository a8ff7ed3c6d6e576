#include "sim/batch.h"

#include <stdio.h>

#include "sim/crew.h"

/* What a run tells, from its process to ours; its samples of detection and convergence follow it. */
struct told {
    bool is_well;
    uint32_t hosts;
    uint64_t seed, datagrams, bulk, rest_bytes_per_s, suspicions, false_deaths, forged, trace;
    double virtual_s, real_s, bytes_per_s; /* the last per host */
    char failure[256];
};

struct batch {
    const struct options *o;
    double (*seconds_now)(void);
    uint32_t failed;
    uint64_t false_deaths;
    double virtual_s;
    struct samples detection, convergence;
};

static void play_one(void *arg, uint32_t i, struct buf *out)
{
    const struct batch *b = arg;
    const struct options *o = b->o;
    struct world_config config = {.hosts = o->hosts,
                                  .seed = o->seed + i,
                                  .is_printed = o->is_printed,
                                  .minutes = o->minutes,
                                  .wire = options_wire(o, o->scenario->wire),
                                  .gossip = o->ask.gossip};
    double start = b->seconds_now();
    struct world *w = scenario_play(o->scenario, &config);
    const struct figures *f = &w->figures;
    struct told t = {.is_well = world_is_well(w),
                     .hosts = w->config.hosts,
                     .seed = config.seed,
                     .datagrams = f->datagrams,
                     .bulk = f->bulk,
                     .rest_bytes_per_s = f->rest_bytes_per_s,
                     .suspicions = f->suspicions,
                     .false_deaths = f->false_deaths,
                     .forged = f->forged,
                     .trace = w->trace.hash,
                     .virtual_s = (double)(w->now - w->began) / 1e6,
                     .real_s = b->seconds_now() - start};
    if (t.virtual_s > 0)
        t.bytes_per_s = (double)(f->datagram_bytes + f->bulk_bytes) / t.virtual_s / t.hosts;
    memcpy(t.failure, w->failure, sizeof t.failure);
    buf_add(out, &t, sizeof t);
    samples_write(&f->detection, out);
    samples_write(&f->convergence, out);
    world_free(w);
}

/* Beside a trace, which is to be compared with others, it goes elsewhere: it tells how long the run took. */
static void print_run(const struct options *o, const struct told *t, struct samples *detection,
                      struct samples *convergence)
{
    FILE *out = o->is_printed ? stderr : stdout;
    fprintf(out, "%s nodes %u seed %llu: %s, %.1f virtual s in %.2f s, %llu datagrams, %llu bulk, ",
            o->scenario->name, t->hosts, (unsigned long long)t->seed, t->is_well ? "ok" : "FAILED",
            t->virtual_s, t->real_s, (unsigned long long)t->datagrams, (unsigned long long)t->bulk);
    fprintf(out, "%.0f bytes/s per node, ", t->bytes_per_s);
    if (t->rest_bytes_per_s)
        fprintf(out, "%llu at rest, ", (unsigned long long)t->rest_bytes_per_s);
    fprintf(out, "detection %llu/%llu ms (median/p99 of %zu), convergence %llu/%llu ms, ",
            samples_ms(detection, 500), samples_ms(detection, 990), detection->count,
            samples_ms(convergence, 500), samples_ms(convergence, 1000));
    fprintf(out, "suspicions %llu, false deaths %llu, forged %llu, trace %016llx\n",
            (unsigned long long)t->suspicions, (unsigned long long)t->false_deaths,
            (unsigned long long)t->forged, (unsigned long long)t->trace);
}

static void note_failure(struct batch *b, uint64_t seed, const char *failure)
{
    printf("FAILED: %s\n", failure);
    options_print_replay(b->o, seed);
    b->failed++;
}

static void take_one(void *arg, uint32_t i, struct bytes result)
{
    struct batch *b = arg;
    struct told t;
    struct samples detection = {0}, convergence = {0};
    (void)i;
    assert(result.len >= sizeof t);
    memcpy(&t, result.at, sizeof t);
    struct bytes rest = bytes_of(result.at + sizeof t, result.len - sizeof t);
    samples_read(&detection, &rest);
    samples_read(&convergence, &rest);
    if (!b->o->is_quiet)
        print_run(b->o, &t, &detection, &convergence);
    if (!t.is_well)
        note_failure(b, t.seed, t.failure);
    b->virtual_s += t.virtual_s;
    b->false_deaths += t.false_deaths;
    samples_add_all(&b->detection, &detection);
    samples_add_all(&b->convergence, &convergence);
    samples_fini(&detection);
    samples_fini(&convergence);
}

static void lose_one(void *arg, uint32_t i, const char *how)
{
    struct batch *b = arg;
    note_failure(b, b->o->seed + i, how);
}

static void print_total(struct batch *b, uint32_t runs, double real_s)
{
    const struct options *o = b->o;
    char nodes[16] = "drawn";
    if (o->hosts)
        snprintf(nodes, sizeof nodes, "%u", o->hosts);
    printf("%-16s nodes %-5s seeds %llu..%llu: %u passed, %u failed, %.0f virtual s in %.1f s, detection "
           "%llu/%llu ms, convergence %llu/%llu ms, false deaths %llu\n",
           o->scenario->name, nodes, (unsigned long long)o->seed, (unsigned long long)(o->seed + runs - 1),
           runs - b->failed, b->failed, b->virtual_s, real_s, samples_ms(&b->detection, 500),
           samples_ms(&b->detection, 990), samples_ms(&b->convergence, 500),
           samples_ms(&b->convergence, 1000), (unsigned long long)b->false_deaths);
}

int batch_run(const struct options *o, double (*seconds_now)(void))
{
    struct batch b = {.o = o, .seconds_now = seconds_now};
    const struct crew crew = {play_one, take_one, lose_one, &b};
    double start = seconds_now();
    uint32_t runs = o->runs ? o->runs : 1;
    crew_run(&crew, o->is_printed ? 1 : o->ask.jobs, runs); /* a printed trace goes out as it comes */
    if (o->is_quiet)
        print_total(&b, runs, seconds_now() - start);
    samples_fini(&b.detection);
    samples_fini(&b.convergence);
    return b.failed ? 1 : 0;
}
