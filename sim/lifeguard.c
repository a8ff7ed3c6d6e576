/* The experiments of "Lifeguard: Local Health Awareness for More Accurate Failure Detection" (Dadgar, Phillips, Currey
 * 2018, section V): 128 members; after 15 s, C random ones block before each send and after each receive, all at
 * once. Threshold: once, for D. Interval: for D, then free for I, in cycles for at least 120 s.
 *
 * A false positive is a death that a member tells its embedder about another that was never blocked; it is "at
 * healthy" if the member that says so was not blocked either. In the Threshold experiment, detection runs from the
 * beginning of the pause to the first death told of a blocked member, dissemination to when all healthy members
 * have told it; blocked members that nobody, or not everybody, buried before they came back give no sample. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/crew.h"
#include "sim/faults.h"
#include "sim/must.h"
#include "sim/plot.h"
#include "sim/study.h"

enum { MEMBERS = 128, QUIET_S = 15, CYCLES_S = 120, REPEATS = 10, AFTER_S = 10, THRESHOLD_S = 30 };

struct cell {
    uint32_t paused, on_ms, off_ms;
};

/* What one run tells. */
struct trial {
    mono_us began;
    bool is_blocked[MEMBERS];
    mono_us first[MEMBERS];                /* death told of this blocked member; 0: none */
    uint32_t told[MEMBERS];                /* by so many healthy members ... */
    mono_us last[MEMBERS];                 /* ... the last of them then */
    uint8_t is_told[MEMBERS][MEMBERS / 8]; /* [subject]: by whom */
    uint64_t false_positives, at_healthy;
};

struct outcome {
    uint32_t runs, failed;
    uint64_t false_positives, at_healthy, datagrams, bytes;
    double member_seconds;
    struct samples first, full; /* microseconds */
    char failure[256];          /* of a single run */
};

static void watch(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev)
{
    struct trial *t = w->study;
    if (ev->after != GOSSIP_DEAD || (!ev->is_new && ev->before == GOSSIP_DEAD))
        return;
    if (!t->is_blocked[subject]) {
        t->false_positives++;
        t->at_healthy += !t->is_blocked[observer];
        return;
    }
    if (t->first[subject] == 0)
        t->first[subject] = w->now;
    uint8_t *told = &t->is_told[subject][observer / 8], bit = (uint8_t)(1u << observer % 8);
    if (t->is_blocked[observer] || *told & bit)
        return;
    *told |= bit;
    t->told[subject]++;
    t->last[subject] = w->now;
}

/* In cycles, a death may be told cycles after the first pause: only one pause has a time of detection. */
static void take(struct outcome *out, const struct trial *t, uint32_t paused, bool is_once)
{
    out->false_positives += t->false_positives;
    out->at_healthy += t->at_healthy;
    for (uint32_t h = 0; h < MEMBERS && is_once; h++) {
        if (t->first[h])
            samples_add(&out->first, t->first[h] - t->began);
        if (t->told[h] == MEMBERS - paused)
            samples_add(&out->full, t->last[h] - t->began);
    }
}

static mono_us lasts(const struct study_options *o, const struct cell *c)
{
    if (!o->is_interval)
        return MS(c->on_ms) + SEC(THRESHOLD_S);
    mono_us cycle = MS(c->on_ms) + MS(c->off_ms), cycles = (SEC(CYCLES_S) + cycle - 1) / cycle;
    return cycles * cycle + SEC(AFTER_S);
}

static void fini(struct outcome *o)
{
    samples_fini(&o->first);
    samples_fini(&o->full);
}

/* One run, from the moment on at which all have joined. */
struct play {
    const struct study_options *o;
    struct cell cell;
    struct world *joined;
};

static void play(void *arg, struct buf *result)
{
    const struct play *p = arg;
    const struct study_options *o = p->o;
    const struct cell *c = &p->cell;
    struct trial t = {0};
    struct outcome out = {.runs = 1};
    struct world *w = p->joined;
    uint64_t datagrams = w->figures.datagrams, bytes = w->figures.datagram_bytes + w->figures.bulk_bytes;
    w->watch = watch;
    w->study = &t;
    t.began = w->now;
    faults_choose(w, 0, c->paused, t.is_blocked);
    for (uint32_t h = 0; h < MEMBERS; h++)
        if (t.is_blocked[h])
            fault_begin(w, h, FAULT_BLOCK, MS(c->on_ms), o->is_interval ? MS(c->off_ms) : 0,
                        w->now + SEC(CYCLES_S));
    world_run(w, lasts(o, c));
    take(&out, &t, c->paused, !o->is_interval);
    out.member_seconds = MEMBERS * (double)(w->now - t.began) / 1e6;
    out.datagrams = w->figures.datagrams - datagrams;
    out.bytes = w->figures.datagram_bytes + w->figures.bulk_bytes - bytes;
    out.failed = !world_is_well(w);
    memcpy(out.failure, w->failure, sizeof out.failure);
    buf_add(result, &out, sizeof out);
    samples_write(&out.first, result);
    samples_write(&out.full, result);
    fini(&out);
}

static void add(struct outcome *to, const struct outcome *from)
{
    to->runs += from->runs;
    to->failed += from->failed;
    to->false_positives += from->false_positives;
    to->at_healthy += from->at_healthy;
    to->datagrams += from->datagrams;
    to->bytes += from->bytes;
    to->member_seconds += from->member_seconds;
    samples_add_all(&to->first, &from->first);
    samples_add_all(&to->full, &from->full);
}

static const char head[] =
    "                              runs      FP  healthy   first detection, s   full dissemination, s   "
    "per member and s\n"
    "                                                    median   99    99.9  median   99    99.9   "
    "datagrams  bytes\n";

static void print_times(struct samples *s)
{
    if (s->count == 0)
        printf("     -      -      -");
    else
        printf(" %6.2f %6.2f %6.2f", (double)samples_permille(s, 500) / 1e6,
               (double)samples_permille(s, 990) / 1e6, (double)samples_permille(s, 999) / 1e6);
}

static void print(const char *name, struct outcome *o)
{
    printf("%-28s %5u %7llu  %7llu ", name, o->runs, (unsigned long long)o->false_positives,
           (unsigned long long)o->at_healthy);
    print_times(&o->first);
    printf(" ");
    print_times(&o->full);
    printf("   %9.2f %6.0f\n", (double)o->datagrams / o->member_seconds,
           (double)o->bytes / o->member_seconds);
    fflush(stdout);
}

/* ---- the grid of the paper ---- */

static const struct study_list own_paused = {9, {1, 4, 8, 12, 16, 20, 24, 28, 32}};
static const struct study_list own_on_ms = {6, {128, 512, 2048, 8192, 16384, 32768}};
static const struct study_list own_off_ms = {8, {1, 4, 16, 64, 256, 1024, 4096, 16384}};
static const struct study_list once = {1, {0}};

/* ---- Lifeguard's parts: with none it is SWIM, each alone, and all ---- */

enum { LIFEGUARD = GOSSIP_LOCAL_HEALTH | GOSSIP_NACK | GOSSIP_CONFIRMATIONS | GOSSIP_TELL_SUSPECT };

static const struct {
    const char *name;
    uint32_t without; /* besides what the options leave out */
} variants[] = {
    {"SWIM", STUDY_NOT_SWIM},
    {"SWIM + local health", STUDY_NOT_SWIM & ~(GOSSIP_LOCAL_HEALTH | GOSSIP_NACK)},
    {"SWIM + confirmations", STUDY_NOT_SWIM & ~GOSSIP_CONFIRMATIONS},
    {"SWIM + suspect told first", STUDY_NOT_SWIM & ~GOSSIP_TELL_SUSPECT},
    {"Lifeguard", STUDY_NOT_SWIM & ~LIFEGUARD},
    {"Starling", 0},
};

enum { VARIANTS = sizeof variants / sizeof *variants };

/* ---- all of it: variants, then how many are paused, D, I, and repeats of each ---- */

struct grid {
    const struct study_options *o;
    struct study_list paused, on, off;
    uint32_t first, repeats; /* the variant that is played first */
    struct plot_series *line[VARIANTS];
    struct outcome *cell; /* [cells] of the variant that is played */
    struct outcome row, all;
    uint32_t failed;
    struct world *joined; /* of the runs that are played now; NULL: none yet */
    uint32_t joined_of;   /* run_of_mesh() of these */
};

static uint32_t row_cells(const struct grid *g)
{
    return (uint32_t)(g->on.count * g->off.count);
}

static uint32_t cells(const struct grid *g)
{
    return (uint32_t)g->paused.count * row_cells(g);
}

static uint32_t variant_runs(const struct grid *g)
{
    return cells(g) * g->repeats;
}

/* A seed's mesh joins alike in every cell: it does so once in the life of a process, and its cells are played in copies. So runs
 * are counted through all cells, then seeds, then variants. */
static uint32_t run_of_mesh(const struct grid *g, uint32_t run)
{
    return run / cells(g);
}

static uint64_t seed_of(const struct grid *g, uint32_t run)
{
    return g->o->seed + run_of_mesh(g, run) % g->repeats;
}

static struct cell cell_of(const struct grid *g, uint32_t run)
{
    uint32_t n = run % cells(g), off = (uint32_t)g->off.count, on = (uint32_t)g->on.count;
    return (struct cell){g->paused.at[n / off / on], g->on.at[n / off % on], g->off.at[n % off]};
}

static uint32_t variant_of(const struct grid *g, uint32_t run)
{
    return g->first + run / variant_runs(g);
}

static void join(struct grid *g, const struct study_options *o, uint32_t run)
{
    if (g->joined && g->joined_of == run_of_mesh(g, run))
        return;
    world_free(g->joined);
    g->joined = study_mesh(o, MEMBERS, seed_of(g, run), SEC(QUIET_S - 1));
    g->joined_of = run_of_mesh(g, run);
}

static void play_nth(void *arg, uint32_t run, struct buf *result)
{
    struct grid *g = arg;
    struct study_options o = *g->o;
    o.gossip.without |= variants[variant_of(g, run)].without;
    join(g, &o, run);
    crew_aside(play, &(struct play){&o, cell_of(g, run), g->joined}, result);
}

static void end_cell(struct grid *g, const struct cell *c, struct outcome *cell)
{
    char name[64];
    int len = snprintf(name, sizeof name, "C %u D %u ms", c->paused, c->on_ms);
    snprintf(name + len, sizeof name - (size_t)len, g->o->is_interval ? " I %u ms" : " once", c->off_ms);
    if (!g->o->is_quiet)
        print(name, cell);
    add(&g->row, cell);
    fini(cell);
    *cell = (struct outcome){0};
}

/* The cell, the row and the variant are printed or drawn when their last run is there. */
static void sum_up(struct grid *g, uint32_t run)
{
    const struct cell c = cell_of(g, run);
    uint32_t variant = variant_of(g, run), n = run % cells(g);
    if (seed_of(g, run) - g->o->seed + 1 < g->repeats)
        return;
    end_cell(g, &c, &g->cell[n]);
    if ((n + 1) % row_cells(g) == 0) {
        plot_point(g->line[variant], c.paused,
                   (double)g->row.false_positives / (g->row.runs ? g->row.runs : 1));
        add(&g->all, &g->row);
        fini(&g->row);
        g->row = (struct outcome){0};
    }
    if (n + 1 == cells(g)) {
        print(g->o->is_compared ? variants[variant].name : "all", &g->all);
        fini(&g->all);
        g->all = (struct outcome){0};
    }
}

static void note_failure(struct grid *g, uint32_t run, const char *failure)
{
    const struct cell c = cell_of(g, run);
    printf("FAILED: C %u D %u ms I %u ms seed %llu: %s\n", c.paused, c.on_ms, c.off_ms,
           (unsigned long long)seed_of(g, run), failure);
    g->failed++;
}

static void take_nth(void *arg, uint32_t run, struct bytes result)
{
    struct grid *g = arg;
    struct outcome out;
    assert(result.len >= sizeof out);
    memcpy(&out, result.at, sizeof out);
    struct bytes rest = bytes_of(result.at + sizeof out, result.len - sizeof out);
    out.first = out.full = (struct samples){0};
    samples_read(&out.first, &rest);
    samples_read(&out.full, &rest);
    if (out.failed)
        note_failure(g, run, out.failure);
    add(&g->cell[run % cells(g)], &out);
    fini(&out);
    sum_up(g, run);
}

static void lose_nth(void *arg, uint32_t run, const char *how)
{
    note_failure(arg, run, how);
    sum_up(arg, run);
}

int lifeguard_run(const struct study_options *o)
{
    struct plot *p = plot_new(o->is_interval ? "Lifeguard's Interval experiment, 128 members"
                                             : "Lifeguard's Threshold experiment, 128 members",
                              "members paused at once", "false positives per run (a tenth added to each)");
    struct grid g = {.o = o,
                     .paused = study_or(&o->paused, own_paused),
                     .on = study_or(&o->on_ms, own_on_ms),
                     .off = o->is_interval ? study_or(&o->off_ms, own_off_ms) : once,
                     .first = o->is_compared ? 0 : VARIANTS - 1,
                     .repeats = o->runs ? o->runs : REPEATS};
    const struct crew crew = {play_nth, take_nth, lose_nth, &g};
    g.cell = must_zeros(cells(&g), sizeof *g.cell);
    p->is_y_log = true;
    for (size_t v = g.first; v < VARIANTS; v++)
        g.line[v] = plot_add(p, variants[v].name);
    signer_free(signer_new(MEMBERS)); /* keys that all workers then have */
    fputs(head, stdout);
    crew_run(&crew, o->jobs, variant_runs(&g) * (VARIANTS - g.first));
    for (size_t i = 0; i < p->series_count; i++)
        for (size_t k = 0; k < p->series[i].count; k++)
            p->series[i].y[k] += 0.1; /* a logarithmic axis has no zero */
    int status = study_plot(o, p);
    plot_free(p);
    world_free(g.joined);
    free(g.cell);
    return g.failed > 0 ? 1 : status;
}
