#include "sim/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/crew.h"

static const char usage[] =
    "Usage: starling-sim --scenario NAME [options]\n"
    "Plays a scenario: many instances of the real gossip code, signed records, a simulated network, virtual "
    "time.\n"
    "The same options give the same run, byte for byte; its trace hash says so.\n"
    "\n"
    "  --scenario NAME   what is played or measured; --list shows all\n"
    "  --nodes N         hosts, 2 to 20000 (default 20; `swarm` draws it from the seed)\n"
    "  --seed S          of everything random (default 1)\n"
    "  --runs K          plays the seeds S to S+K-1 (default 1)\n"
    "  --jobs J          in up to J processes (default: one per core); what is printed is the same\n"
    "  --trace           prints everything that happens, in virtual milliseconds; two traces can be "
    "compared\n"
    "                    with diff\n"
    "  --quiet           one line at the end instead of one per run; failures are always shown\n"
    "  --delay-us N, --jitter PCT, --loss PCT, --duplicate PCT, --reorder PCT\n"
    "                    another network than the scenario's\n"
    "  --zones K, --zone-delay-us N, --zone-loss PCT\n"
    "                    hosts lie in K zones, with further delay and loss between them\n"
    "  --line-kbps N, --queue-us N\n"
    "                    the bandwidth of each host and the longest wait in front of it\n"
    "  --minutes N       byzantine: so long, at least; else six rounds (40 from 100 hosts on)\n"
    "  --list            the scenarios and studies\n"
    "\n"
    "A study measures over many runs and prints a table:\n"
    "  --nodes N,N,...   sizes, one row each\n"
    "  --runs K          runs of each case\n"
    "  --svg FILE        draws a plot\n"
    "  --without LIST    leaves out parts of gossip (local-health, nack, confirmations, tell-suspect, "
    "verify,\n"
    "                    observers, eager, lateness, rtt, refusal, degrade, explore,\n"
    "                    repeat, suspicion, ration)\n"
    "  --refused         detect: the process dies and its host resets links; else the host falls silent\n"
    "  --rack N          detect: so many hosts die in one instant\n"
    "  --shield          lies: they accuse nobody and forge nothing, only shield the gone and withhold news\n"
    "  --borrow          lies: they accuse in the names of the honest\n"
    "  --interval        lifeguard: the Interval experiment; else Threshold\n"
    "  --paused C,C,...  lifeguard: how many pause at once; --on-ms D,... for how long; --off-ms I,... free "
    "between\n"
    "  --compare         lifeguard: SWIM alone, with each part of Lifeguard, with all\n"
    "\n"
    "Exit status: 0 all runs were as they must be, 1 one was not (with the command that plays it again), 2 "
    "usage.\n";

/* Options that change the network: where each goes, its bounds, and what one unit of it is there. */
static const struct {
    const char *name;
    size_t at; /* of a uint32_t in struct wire_config */
    uint32_t min, max, unit;
} wire_options[] = {
    {"delay-us", offsetof(struct wire_config, delay_us), 1, 1000000, 1},
    {"jitter", offsetof(struct wire_config, jitter_pct), 0, 100, 1},
    {"loss", offsetof(struct wire_config, loss_ppm), 0, 100, 10000},
    {"duplicate", offsetof(struct wire_config, duplicate_ppm), 0, 100, 10000},
    {"reorder", offsetof(struct wire_config, reorder_ppm), 0, 100, 10000},
    {"zones", offsetof(struct wire_config, zones), 1, WIRE_ZONES_MAX, 1},
    {"zone-delay-us", offsetof(struct wire_config, zone_delay_us), 0, 1000000, 1},
    {"zone-loss", offsetof(struct wire_config, zone_loss_ppm), 0, 60, 10000},
    {"line-kbps", offsetof(struct wire_config, line_kbps), 8, 100000000, 1},
    {"queue-us", offsetof(struct wire_config, queue_us), 1, 10000000, 1},
};
enum { WIRE_OPTIONS = sizeof wire_options / sizeof *wire_options };
static_assert((int)WIRE_OPTIONS <= (int)OPTIONS_WIRE_MAX, "all have a place");

enum {
    OPT_SCENARIO = 256,
    OPT_NODES,
    OPT_SEED,
    OPT_RUNS,
    OPT_JOBS,
    OPT_TRACE,
    OPT_QUIET,
    OPT_SVG,
    OPT_REFUSED,
    OPT_RACK,
    OPT_MINUTES,
    OPT_SHIELD,
    OPT_BORROW,
    OPT_INTERVAL,
    OPT_COMPARE,
    OPT_PAUSED,
    OPT_ON,
    OPT_OFF,
    OPT_WITHOUT,
    OPT_LIST,
    OPT_HELP,
    OPT_WIRE,
};

enum {
    RUNS_MAX = 1000000000,
    RACK_MAX = GOSSIP_MEMBERS_MAX / 4,
    MINUTES_MAX = 1440,
    PAUSED_MAX = 127,
    SPAN_MS_MAX = 600000
};

/* In the order of their numbers. `use`: of enum study_use, any of which makes it mean something; 0: it always does. With
 * `max` its value is a number, or a list of them, from `min` on. */
static const struct {
    const char *name;
    int has_arg;
    unsigned use;
    uint32_t min, max;
} own_options[] = {
    {"scenario", required_argument, 0, 0, 0},
    {"nodes", required_argument, USES_SIZE | USES_SIZES, 2, GOSSIP_MEMBERS_MAX},
    {"seed", required_argument, 0, 0, 0},
    {"runs", required_argument, USES_RUNS, 1, RUNS_MAX},
    {"jobs", required_argument, USES_JOBS, 1, CREW_WORKERS_MAX},
    {"trace", no_argument, USES_TRACE, 0, 0},
    {"quiet", no_argument, USES_QUIET, 0, 0},
    {"svg", required_argument, USES_SVG, 0, 0},
    {"refused", no_argument, USES_DEATHS, 0, 0},
    {"rack", required_argument, USES_DEATHS, 1, RACK_MAX},
    {"minutes", required_argument, USES_MINUTES, 1, MINUTES_MAX},
    {"shield", no_argument, USES_LIES, 0, 0},
    {"borrow", no_argument, USES_LIES, 0, 0},
    {"interval", no_argument, USES_GRID, 0, 0},
    {"compare", no_argument, USES_GRID, 0, 0},
    {"paused", required_argument, USES_GRID, 1, PAUSED_MAX},
    {"on-ms", required_argument, USES_GRID, 1, SPAN_MS_MAX},
    {"off-ms", required_argument, USES_GRID, 1, SPAN_MS_MAX},
    {"without", required_argument, 0, 0, 0},
    {"list", no_argument, 0, 0, 0},
    {"help", no_argument, 0, 0, 0},
};
enum { OWN_OPTIONS = sizeof own_options / sizeof *own_options };
static_assert((int)OWN_OPTIONS == OPT_HELP - OPT_SCENARIO + 1, "each has its number");
enum { SCENARIO_USES = USES_SIZE | USES_RUNS | USES_JOBS | USES_QUIET | USES_TRACE };

static void list(void)
{
    const struct scenario *s;
    const struct study *t;
    for (size_t i = 0; (s = scenario_get(i)); i++)
        printf("%-16s %s\n", s->name, s->about);
    for (size_t i = 0; (t = study_get(i)); i++)
        printf("%-16s study: %s\n", t->name, t->about);
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

/* "50,100,200" */
static bool read_list(const char *text, uint64_t min, uint64_t max, struct study_list *out)
{
    char word[24];
    for (out->count = 0; out->count < STUDY_LIST_MAX; text++) {
        size_t len = strcspn(text, ",");
        uint64_t v;
        if (len >= sizeof word)
            return false;
        memcpy(word, text, len);
        word[len] = 0;
        if (!read_number(word, min, max, &v))
            return false;
        out->at[out->count++] = (uint32_t)v;
        text += len;
        if (!*text)
            return true;
    }
    return false;
}

static void bounds_of(int option, uint32_t *min, uint32_t *max)
{
    bool is_wire = option >= OPT_WIRE;
    *min = is_wire ? wire_options[option - OPT_WIRE].min : own_options[option - OPT_SCENARIO].min;
    *max = is_wire ? wire_options[option - OPT_WIRE].max : own_options[option - OPT_SCENARIO].max;
}

/* Where the value of an option goes that has bounds; NULL: a list, into *list. */
static uint32_t *number_of(struct options *o, int option, struct study_list **list)
{
    switch (option) {
    case OPT_RUNS:
        return &o->runs;
    case OPT_JOBS:
        return &o->ask.jobs;
    case OPT_RACK:
        return &o->ask.rack;
    case OPT_MINUTES:
        return &o->minutes;
    case OPT_NODES:
        *list = &o->ask.nodes;
        return NULL;
    case OPT_PAUSED:
        *list = &o->ask.paused;
        return NULL;
    case OPT_ON:
        *list = &o->ask.on_ms;
        return NULL;
    case OPT_OFF:
        *list = &o->ask.off_ms;
        return NULL;
    default:
        assert(option >= OPT_WIRE);
        return &o->wire[option - OPT_WIRE];
    }
}

/* One option whose value has bounds. Returns -1 to go on. */
static int take_bounded(struct options *o, int option, const char *text)
{
    uint32_t min, max;
    uint64_t v = 0;
    struct study_list *list = NULL;
    char what[80];
    bounds_of(option, &min, &max);
    uint32_t *number = number_of(o, option, &list);
    if (number ? read_number(text, min, max, &v) : read_list(text, min, max, list)) {
        if (number)
            *number = (uint32_t)v;
        o->hosts = o->ask.nodes.at[0];
        return -1;
    }
    snprintf(what, sizeof what, "not what this option takes, which is %u to %u", min, max);
    return refuse(what, text);
}

static int take_seed(struct options *o, const char *text)
{
    return read_number(text, 0, UINT64_MAX, &o->seed) ? -1 : refuse("not a number", text);
}

static int take_parts(struct options *o, const char *text)
{
    o->without = text;
    return study_read_parts(text, &o->ask.gossip.without) ? -1 : refuse("gossip has no such part", text);
}

/* One option. Returns -1 to go on. */
static int take_option(struct options *o, int option, const char *text)
{
    switch (option) {
    case OPT_SCENARIO:
        o->scenario = scenario_find(text);
        o->study = study_find(text);
        return o->scenario || o->study ? -1 : refuse("no scenario of this name, --list shows all", text);
    case OPT_TRACE:
        o->is_printed = true;
        return -1;
    case OPT_QUIET:
        o->is_quiet = o->ask.is_quiet = true;
        return -1;
    case OPT_SVG:
        o->ask.svg = text;
        return -1;
    case OPT_REFUSED:
        o->ask.is_refused = true;
        return -1;
    case OPT_SHIELD:
        o->ask.is_shield = true;
        return -1;
    case OPT_BORROW:
        o->ask.is_borrow = true;
        return -1;
    case OPT_INTERVAL:
        o->ask.is_interval = true;
        return -1;
    case OPT_COMPARE:
        o->ask.is_compared = true;
        return -1;
    case OPT_LIST:
        list();
        return 0;
    case OPT_HELP:
        fputs(usage, stdout);
        return 0;
    case OPT_SEED:
        return take_seed(o, text);
    case OPT_WITHOUT:
        return take_parts(o, text);
    default:
        return take_bounded(o, option, text);
    }
}

static void all_options(struct option out[OWN_OPTIONS + WIRE_OPTIONS + 1])
{
    for (int i = 0; i < OWN_OPTIONS; i++)
        out[i] = (struct option){own_options[i].name, own_options[i].has_arg, NULL, OPT_SCENARIO + i};
    for (int i = 0; i < WIRE_OPTIONS; i++)
        out[OWN_OPTIONS + i] = (struct option){wire_options[i].name, required_argument, NULL, OPT_WIRE + i};
    out[OWN_OPTIONS + WIRE_OPTIONS] = (struct option){0};
}

static int refuse_option(const char *what, const char *name)
{
    char given[32];
    snprintf(given, sizeof given, "--%s", name);
    return refuse(what, given);
}

/* Whatever is given means something, or is refused. */
static int check_uses(const struct options *o)
{
    unsigned uses = o->scenario ? SCENARIO_USES : o->study->uses;
    if (o->scenario && scenario_goes_on(o->scenario))
        uses |= USES_MINUTES;
    for (int i = 0; i < OWN_OPTIONS; i++)
        if (o->given >> i & 1 && own_options[i].use != 0 && !(own_options[i].use & uses))
            return refuse_option("of no use to this scenario or study", own_options[i].name);
    if (o->ask.nodes.count > 1 && !(uses & USES_SIZES))
        return refuse_option("only some studies take several sizes", "nodes");
    if (o->ask.off_ms.count > 0 && !o->ask.is_interval)
        return refuse_option("only of use with --interval", "off-ms");
    if (o->ask.is_borrow && o->ask.is_shield)
        return refuse_option("of no use with --shield", "borrow");
    for (size_t i = 0; i < WIRE_OPTIONS && o->scenario && o->scenario->draw; i++)
        if (o->wire[i] != UINT32_MAX)
            return refuse_option("this scenario draws its network from the seed", wire_options[i].name);
    return -1;
}

int options_read(struct options *o, int argc, char **argv)
{
    struct option known[OWN_OPTIONS + WIRE_OPTIONS + 1];
    static const struct wire_config lan = {.delay_us = 500, .jitter_pct = 20};
    *o = (struct options){.seed = 1, .ask.jobs = crew_cores()};
    memset(o->wire, 0xff, sizeof o->wire);
    all_options(known);
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        int status = c == '?' ? 2 : take_option(o, c, optarg);
        if (status >= 0)
            return status;
        if (c < OPT_WIRE)
            o->given |= UINT32_C(1) << (c - OPT_SCENARIO);
    }
    if (optind < argc)
        return refuse("not an option", argv[optind]);
    if (!o->scenario && !o->study)
        return refuse("missing", "--scenario");
    int status = check_uses(o);
    if (status >= 0)
        return status;
    o->ask.runs = o->runs;
    o->ask.seed = o->seed;
    o->ask.wire = options_wire(o, lan);
    return -1;
}

struct wire_config options_wire(const struct options *o, struct wire_config own)
{
    for (size_t i = 0; i < WIRE_OPTIONS; i++) {
        uint32_t v = o->wire[i] * wire_options[i].unit;
        if (o->wire[i] != UINT32_MAX)
            memcpy((char *)&own + wire_options[i].at, &v, sizeof v);
    }
    if (own.reorder_ppm > 0 && own.reorder_us == 0)
        own.reorder_us = 20 * own.delay_us;
    return own;
}

void options_print_replay(const struct options *o, uint64_t seed)
{
    printf("  replay: starling-sim --scenario %s --seed %llu", o->scenario->name, (unsigned long long)seed);
    if (o->hosts)
        printf(" --nodes %u", o->hosts);
    if (o->without)
        printf(" --without %s", o->without);
    if (o->minutes)
        printf(" --minutes %u", o->minutes);
    for (size_t i = 0; i < WIRE_OPTIONS; i++)
        if (o->wire[i] != UINT32_MAX)
            printf(" --%s %u", wire_options[i].name, o->wire[i]);
    puts(" --trace");
}
