/* The experiments of "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership Protocol" (Das, Gupta,
 * Motivala 2002, section 5): message load, time to the first detection of a death and the time its news takes, against
 * the size of the mesh; false positives against loss, with and without suspicion (section 4.2).
 *
 * SWIM is this code with all that SWIM does not have left out; what remains of ours are signed records and summaries. */
#include <stdio.h>

#include "sim/measure.h"
#include "sim/plot.h"

enum {
    SWIM = STUDY_NOT_SWIM | GOSSIP_EAGER,
    DEATHS = 10,
    DEATH_MAX_S = 60,
    LOAD_S = 20,
};

static const struct {
    const char *name;
    uint32_t without;
} variants[] = {
    {"SWIM without suspicion", SWIM | GOSSIP_SUSPICION},
    {"SWIM", SWIM},
    {"Starling", 0},
};

enum { VARIANTS = sizeof variants / sizeof *variants };

/* ---- load, detection and spread against size ---- */

struct death {
    uint32_t victim, known_by;
    mono_us at, first;     /* first: 0 before anybody knows */
    struct samples spread; /* from the first who does not hold it alive until each */
};

struct swim_sum {
    struct samples first, spread;
    double messages; /* per member and second at rest, of each run */
    uint64_t unknown;
    uint32_t runs;
};

static void watch_death(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev)
{
    struct death *d = w->study;
    (void)observer;
    if (d->at == 0 || subject != d->victim || ev->before != GOSSIP_ALIVE || ev->after == GOSSIP_ALIVE)
        return;
    if (d->first == 0)
        d->first = w->now;
    d->known_by++;
    samples_add(&d->spread, w->now - d->first);
}

static void die_once(struct world *w, struct death *d, uint32_t victim, uint32_t observers,
                     struct swim_sum *sum)
{
    d->victim = victim;
    d->known_by = 0;
    d->first = 0;
    d->at = w->now;
    host_crash(w, victim);
    while (d->known_by < observers && w->now - d->at < SEC(DEATH_MAX_S) && world_run(w, MS(100)))
        ;
    sum->unknown += observers - d->known_by;
    if (d->first)
        samples_add(&sum->first, d->first - d->at);
    world_run(w, SEC(2) + rng_below(&w->rng, (uint32_t)SEC(1))); /* another phase of everybody's timers */
}

static bool swim_once(const struct study_options *o, uint32_t nodes, uint64_t seed, struct swim_sum *sum)
{
    struct death d = {0};
    struct world *w = study_old_mesh(o, nodes, seed, SEC(SETTLE_S));
    uint64_t before = w->figures.datagrams;
    world_run(w, SEC(LOAD_S));
    sum->messages += (double)(w->figures.datagrams - before) / nodes / LOAD_S;
    sum->runs++;
    w->watch = watch_death;
    w->study = &d;
    for (uint32_t i = 1; i <= DEATHS && i <= nodes / 4 && world_is_well(w); i++)
        die_once(w, &d, nodes - i, nodes - i, sum);
    samples_add_all(&sum->spread, &d.spread);
    samples_fini(&d.spread);
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

static double mean_s(const struct samples *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->count; i++)
        sum += (double)s->at[i] / 1e6;
    return s->count ? sum / (double)s->count : 0;
}

static void print_size(const char *name, uint32_t nodes, struct swim_sum *sum)
{
    printf("%-22s %5u %9.2f %9.2f %7.2f %9.3f %7.3f %7.3f %8llu\n", name, nodes, sum->messages / sum->runs,
           mean_s(&sum->first), measure_ms(&sum->first, 1000) / 1000, measure_ms(&sum->spread, 500) / 1000,
           measure_ms(&sum->spread, 990) / 1000, measure_ms(&sum->spread, 1000) / 1000,
           (unsigned long long)sum->unknown);
    fflush(stdout);
}

static bool swim_variant(const struct study_options *o, size_t v, struct plot *p, char label[2][64])
{
    static const struct study_list own = {4, {50, 100, 200, 400}};
    struct study_list nodes = study_or(&o->nodes, own);
    struct study_options with = *o;
    bool is_well = true;
    snprintf(label[0], sizeof label[0], "first detection, %s", variants[v].name);
    snprintf(label[1], sizeof label[1], "then at 99 %%, %s", variants[v].name);
    struct plot_series *first = plot_add(p, label[0]), *spread = plot_add(p, label[1]);
    if (spread)
        spread->is_dashed = true;
    with.gossip.without |= variants[v].without;
    for (size_t i = 0; i < nodes.count; i++) {
        struct swim_sum sum = {0};
        for (uint32_t r = 0; r < (o->runs ? o->runs : 2); r++)
            is_well &= swim_once(&with, nodes.at[i], o->seed + r, &sum);
        print_size(variants[v].name, nodes.at[i], &sum);
        plot_point(first, nodes.at[i], mean_s(&sum.first));
        plot_point(spread, nodes.at[i], measure_ms(&sum.spread, 990) / 1000);
        samples_fini(&sum.first);
        samples_fini(&sum.spread);
    }
    return is_well;
}

int measure_swim(const struct study_options *o)
{
    struct plot *p = plot_new("SWIM's experiment: a silent death", "members", "seconds");
    char label[VARIANTS][2][64];
    int failed = 0;
    p->is_x_log = true;
    printf("                             messages  first not      each other does after, s         not\n"
           "                       nodes  sent /s  alive, s:                                      known\n"
           "                                      mean     all      50 %%    99 %%     all\n");
    for (size_t v = 0; v < VARIANTS; v++)
        failed += !swim_variant(o, v, p, label[v]);
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}

/* ---- false deaths against loss ---- */

enum { LOSS_MEMBERS = 50, LOSS_S = 120 };

static void watch_false(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev)
{
    uint64_t *count = w->study; /* suspicions, deaths: nobody is gone, so all are false */
    (void)observer;
    (void)subject;
    count[0] += ev->before == GOSSIP_ALIVE && ev->after != GOSSIP_ALIVE;
    count[1] += ev->before != GOSSIP_DEAD && ev->after == GOSSIP_DEAD;
}

static bool loss_once(const struct study_options *o, uint32_t nodes, uint64_t seed, uint64_t count[2])
{
    struct world *w = study_old_mesh(o, nodes, seed, SEC(0));
    w->dead_bound = SEC(3600); /* with parts left out nothing is promised */
    w->watch = watch_false;
    w->study = count;
    world_run(w, SEC(LOSS_S));
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_swim_loss(const struct study_options *o)
{
    static const uint32_t losses[] = {1, 2, 5, 10, 20, 30};
    uint32_t nodes = o->nodes.count > 0 ? o->nodes.at[0] : LOSS_MEMBERS, runs = o->runs ? o->runs : 2;
    struct plot *p = plot_new("SWIM's experiment: nobody is gone", "% of datagrams lost",
                              "false deaths that a member tells in an hour (a tenth added)");
    int failed = 0;
    p->is_y_log = true;
    printf("                              a member tells in an hour, all false\n"
           "                       loss   suspicions     deaths\n");
    for (size_t v = 0; v < VARIANTS; v++) {
        struct plot_series *line = plot_add(p, variants[v].name);
        for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
            struct study_options with = *o;
            uint64_t count[2] = {0};
            with.gossip.without |= variants[v].without;
            with.wire.loss_ppm = losses[i] * 10000;
            for (uint32_t r = 0; r < runs; r++)
                failed += !loss_once(&with, nodes, o->seed + r, count);
            double hours = (double)nodes * runs * LOSS_S / 3600;
            printf("%-22s %3u %% %12.1f %10.1f\n", variants[v].name, losses[i], (double)count[0] / hours,
                   (double)count[1] / hours);
            fflush(stdout);
            plot_point(line, losses[i], (double)count[1] / hours + 0.1);
        }
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
