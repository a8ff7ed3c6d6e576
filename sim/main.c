/* starling-sim: plays scenarios in virtual time and says, for each run, what it cost and whether all was as
 * it must be. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sim/scenario.h"

struct options {
    const struct scenario *scenario;
    uint32_t hosts, runs;
    uint64_t seed;
    bool is_printed, is_quiet;
    struct wire_config wire; /* UINT32_MAX: the scenario's own */
};

static const char usage[] =
    "Usage: starling-sim --scenario NAME [options]\n"
    "Plays a scenario: many instances of the real gossip code, signed records, a simulated network, virtual "
    "time.\n"
    "The same options give the same run, byte for byte; its trace hash says so.\n"
    "\n"
    "  --scenario NAME   what is played; --list shows all\n"
    "  --nodes N         hosts, 2 to 20000 (default 20)\n"
    "  --seed S          of everything random (default 1)\n"
    "  --runs K          plays the seeds S to S+K-1 (default 1)\n"
    "  --trace           prints everything that happens, in virtual milliseconds\n"
    "  --quiet           one line at the end instead of one per run; failures are always shown\n"
    "  --delay-us N, --loss PCT, --duplicate PCT, --reorder PCT\n"
    "                    another network than the scenario's\n"
    "  --list            the scenarios\n"
    "\n"
    "Exit status: 0 all runs were as they must be, 1 one was not (with the command that plays it again), 2 "
    "usage.\n";

static void list(void)
{
    const struct scenario *s;
    for (size_t i = 0; (s = scenario_get(i)); i++)
        printf("%-16s %s\n", s->name, s->about);
}

static int refuse(const char *what, const char *given)
{
    fprintf(stderr, "starling-sim: %s: %s (--help shows the options)\n", what, given);
    return 2;
}

static bool read_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    char *stop;
    if (*text < '0' || *text > '9')
        return false;
    *out = strtoull(text, &stop, 0);
    return !*stop && *out >= min && *out <= max;
}

enum {
    OPT_SCENARIO = 256,
    OPT_NODES,
    OPT_SEED,
    OPT_RUNS,
    OPT_TRACE,
    OPT_QUIET,
    OPT_DELAY,
    OPT_LOSS,
    OPT_DUPLICATE,
    OPT_REORDER,
    OPT_LIST,
    OPT_HELP
};

static const struct option long_options[] = {
    {"scenario", required_argument, NULL, OPT_SCENARIO},
    {"nodes", required_argument, NULL, OPT_NODES},
    {"seed", required_argument, NULL, OPT_SEED},
    {"runs", required_argument, NULL, OPT_RUNS},
    {"trace", no_argument, NULL, OPT_TRACE},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"delay-us", required_argument, NULL, OPT_DELAY},
    {"loss", required_argument, NULL, OPT_LOSS},
    {"duplicate", required_argument, NULL, OPT_DUPLICATE},
    {"reorder", required_argument, NULL, OPT_REORDER},
    {"list", no_argument, NULL, OPT_LIST},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* One option with a number; false: out of its bounds. */
static bool take_number(struct options *o, int option, const char *text)
{
    uint64_t v = 0;
    switch (option) {
    case OPT_NODES:
        return read_number(text, 2, GOSSIP_MEMBERS_MAX, &v) && (o->hosts = (uint32_t)v, true);
    case OPT_SEED:
        return read_number(text, 0, UINT64_MAX, &o->seed);
    case OPT_RUNS:
        return read_number(text, 1, 1000000000, &v) && (o->runs = (uint32_t)v, true);
    case OPT_DELAY:
        return read_number(text, 1, 1000000, &v) && (o->wire.delay_us = (uint32_t)v, true);
    case OPT_LOSS:
        return read_number(text, 0, 100, &v) && (o->wire.loss_ppm = (uint32_t)v * 10000, true);
    case OPT_DUPLICATE:
        return read_number(text, 0, 100, &v) && (o->wire.duplicate_ppm = (uint32_t)v * 10000, true);
    default:
        return read_number(text, 0, 100, &v) && (o->wire.reorder_ppm = (uint32_t)v * 10000, true);
    }
}

/* Returns -1 to go on, else the exit status. */
static int read_options(struct options *o, int argc, char **argv)
{
    int c;
    while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (c) {
        case OPT_SCENARIO:
            o->scenario = scenario_find(optarg);
            if (!o->scenario)
                return refuse("no scenario of this name, --list shows all", optarg);
            break;
        case OPT_TRACE:
            o->is_printed = true;
            break;
        case OPT_QUIET:
            o->is_quiet = true;
            break;
        case OPT_LIST:
            list();
            return 0;
        case OPT_HELP:
            fputs(usage, stdout);
            return 0;
        case '?':
            return 2;
        default:
            if (!take_number(o, c, optarg))
                return refuse("not a number in its bounds", optarg);
        }
    }
    if (optind < argc)
        return refuse("not an option", argv[optind]);
    return o->scenario ? -1 : refuse("missing", "--scenario");
}

static struct wire_config wire_of(const struct options *o)
{
    struct wire_config wire = o->scenario->wire;
    if (o->wire.delay_us != UINT32_MAX)
        wire.delay_us = o->wire.delay_us;
    if (o->wire.loss_ppm != UINT32_MAX)
        wire.loss_ppm = o->wire.loss_ppm;
    if (o->wire.duplicate_ppm != UINT32_MAX)
        wire.duplicate_ppm = o->wire.duplicate_ppm;
    if (o->wire.reorder_ppm != UINT32_MAX) {
        wire.reorder_ppm = o->wire.reorder_ppm;
        if (wire.reorder_us == 0)
            wire.reorder_us = 20 * wire.delay_us;
    }
    return wire;
}

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
    printf("%s nodes %u seed %llu: %s, %.1f virtual s in %.2f s, %llu datagrams, %llu bulk, ", name, o->hosts,
           (unsigned long long)seed, world_is_well(w) ? "ok" : "FAILED", virtual_s, real_s,
           (unsigned long long)f->datagrams, (unsigned long long)f->bulk);
    printf("%.0f bytes/s per node, ", (double)(f->datagram_bytes + f->bulk_bytes) / virtual_s / o->hosts);
    if (f->rest_bytes_per_s)
        printf("%llu at rest, ", (unsigned long long)f->rest_bytes_per_s);
    printf("detection %llu/%llu ms (median/p99 of %zu), convergence %llu/%llu ms, ",
           samples_ms(&f->detection, 500), samples_ms(&f->detection, 990), f->detection.count,
           samples_ms(&f->convergence, 500), samples_ms(&f->convergence, 1000));
    printf("suspicions %llu, false deaths %llu, forged %llu, trace %016llx\n",
           (unsigned long long)f->suspicions, (unsigned long long)f->false_deaths,
           (unsigned long long)f->forged, (unsigned long long)w->trace.hash);
}

/* The one line that plays it again. */
static void print_replay(const struct options *o, uint64_t seed, const struct world *w)
{
    printf("FAILED: %s\n  replay: starling-sim --scenario %s --nodes %u --seed %llu", w->failure,
           o->scenario->name, o->hosts, (unsigned long long)seed);
    if (o->wire.delay_us != UINT32_MAX)
        printf(" --delay-us %u", o->wire.delay_us);
    if (o->wire.loss_ppm != UINT32_MAX)
        printf(" --loss %u", o->wire.loss_ppm / 10000);
    if (o->wire.duplicate_ppm != UINT32_MAX)
        printf(" --duplicate %u", o->wire.duplicate_ppm / 10000);
    if (o->wire.reorder_ppm != UINT32_MAX)
        printf(" --reorder %u", o->wire.reorder_ppm / 10000);
    puts(" --trace");
}

struct total {
    uint32_t failed;
    uint64_t false_deaths;
    double virtual_s;
    struct samples detection, convergence;
};

static void run_one(const struct options *o, uint64_t seed, struct total *t)
{
    struct world_config config = {
        .hosts = o->hosts, .seed = seed, .is_printed = o->is_printed, .wire = wire_of(o)};
    double start = seconds_now();
    struct world *w = scenario_play(o->scenario, &config);
    double virtual_s = (double)(w->now - w->began) / 1e6;
    if (!o->is_quiet)
        print_run(o, seed, w, virtual_s, seconds_now() - start);
    if (!world_is_well(w)) {
        print_replay(o, seed, w);
        t->failed++;
    }
    t->virtual_s += virtual_s;
    t->false_deaths += w->figures.false_deaths;
    samples_add_all(&t->detection, &w->figures.detection);
    samples_add_all(&t->convergence, &w->figures.convergence);
    world_free(w);
}

int main(int argc, char **argv)
{
    struct options o = {
        .hosts = 20, .runs = 1, .seed = 1, .wire = {UINT32_MAX, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0}};
    struct total t = {0};
    int status = read_options(&o, argc, argv);
    if (status >= 0)
        return status;
    double start = seconds_now();
    for (uint32_t i = 0; i < o.runs; i++)
        run_one(&o, o.seed + i, &t);
    if (o.is_quiet)
        printf("%-16s nodes %-4u seeds %llu..%llu: %u passed, %u failed, %.0f virtual s in %.1f s, detection "
               "%llu/%llu ms, "
               "convergence %llu/%llu ms, false deaths %llu\n",
               o.scenario->name, o.hosts, (unsigned long long)o.seed,
               (unsigned long long)(o.seed + o.runs - 1), o.runs - t.failed, t.failed, t.virtual_s,
               seconds_now() - start, samples_ms(&t.detection, 500), samples_ms(&t.detection, 990),
               samples_ms(&t.convergence, 500), samples_ms(&t.convergence, 1000),
               (unsigned long long)t.false_deaths);
    samples_fini(&t.detection);
    samples_fini(&t.convergence);
    return t.failed ? 1 : 0;
}
