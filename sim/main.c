/* starling-sim: plays scenarios in virtual time and says, for each run, what it cost and whether all was as
 * it must be; or runs a study and prints its table. */
#include <stdio.h>
#include <time.h>

#include "sim/options.h"

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_run(const struct options *o, uint64_t seed, struct world *w, double virtual_s,
                      double real_s)
{
    struct figures *f = &w->figures;
    const char *name = o->scenario->name;
    printf("%s nodes %u seed %llu: %s, %.1f virtual s in %.2f s, %llu datagrams, %llu bulk, ", name,
           w->config.hosts, (unsigned long long)seed, world_is_well(w) ? "ok" : "FAILED", virtual_s, real_s,
           (unsigned long long)f->datagrams, (unsigned long long)f->bulk);
    printf("%.0f bytes/s per node, ",
           (double)(f->datagram_bytes + f->bulk_bytes) / virtual_s / w->config.hosts);
    if (f->rest_bytes_per_s)
        printf("%llu at rest, ", (unsigned long long)f->rest_bytes_per_s);
    printf("detection %llu/%llu ms (median/p99 of %zu), convergence %llu/%llu ms, ",
           samples_ms(&f->detection, 500), samples_ms(&f->detection, 990), f->detection.count,
           samples_ms(&f->convergence, 500), samples_ms(&f->convergence, 1000));
    printf("suspicions %llu, false deaths %llu, forged %llu, trace %016llx\n",
           (unsigned long long)f->suspicions, (unsigned long long)f->false_deaths,
           (unsigned long long)f->forged, (unsigned long long)w->trace.hash);
}

struct total {
    uint32_t failed;
    uint64_t false_deaths;
    double virtual_s;
    struct samples detection, convergence;
};

static void run_one(const struct options *o, uint64_t seed, struct total *t)
{
    struct world_config config = {.hosts = o->hosts,
                                  .seed = seed,
                                  .is_printed = o->is_printed,
                                  .wire = options_wire(o, o->scenario->wire),
                                  .gossip = o->ask.gossip};
    double start = seconds_now();
    struct world *w = scenario_play(o->scenario, &config);
    double virtual_s = (double)(w->now - w->began) / 1e6;
    if (!o->is_quiet)
        print_run(o, seed, w, virtual_s, seconds_now() - start);
    if (!world_is_well(w)) {
        printf("FAILED: %s\n", w->failure);
        options_print_replay(o, seed);
        t->failed++;
    }
    t->virtual_s += virtual_s;
    t->false_deaths += w->figures.false_deaths;
    samples_add_all(&t->detection, &w->figures.detection);
    samples_add_all(&t->convergence, &w->figures.convergence);
    world_free(w);
}

static void print_total(const struct options *o, uint32_t runs, struct total *t, double real_s)
{
    char nodes[16] = "drawn";
    if (o->hosts)
        snprintf(nodes, sizeof nodes, "%u", o->hosts);
    printf("%-16s nodes %-5s seeds %llu..%llu: %u passed, %u failed, %.0f virtual s in %.1f s, detection "
           "%llu/%llu ms, convergence %llu/%llu ms, false deaths %llu\n",
           o->scenario->name, nodes, (unsigned long long)o->seed, (unsigned long long)(o->seed + runs - 1),
           runs - t->failed, t->failed, t->virtual_s, real_s, samples_ms(&t->detection, 500),
           samples_ms(&t->detection, 990), samples_ms(&t->convergence, 500),
           samples_ms(&t->convergence, 1000), (unsigned long long)t->false_deaths);
}

int main(int argc, char **argv)
{
    struct options o;
    struct total t = {0};
    int status = options_read(&o, argc, argv);
    if (status >= 0)
        return status;
    if (o.study)
        return o.study->run(&o.ask);
    double start = seconds_now();
    uint32_t runs = o.runs ? o.runs : 1;
    for (uint32_t i = 0; i < runs; i++)
        run_one(&o, o.seed + i, &t);
    if (o.is_quiet)
        print_total(&o, runs, &t, seconds_now() - start);
    samples_fini(&t.detection);
    samples_fini(&t.convergence);
    return t.failed ? 1 : 0;
}
