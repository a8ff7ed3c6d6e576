/* Members that are faulty without being dead: one in a hundred loses 80 % of its datagrams, one in a hundred hears nothing, or
 * is not heard, for 20 s of every 40 (the faults of Rapid, Suresh et al. 2018, section 7). What do the healthy do with
 * them, and with each other? And one that stands still once, for a few seconds, as a machine does that is moved: when is it
 * used again? */
#include <stdio.h>
#include <stdlib.h>

#include "sim/faults.h"
#include "sim/measure.h"
#include "sim/must.h"

enum { FAULTY_S = 300, CYCLE_S = 20, OLD_MS = 10000, RETURN_S = 150 };
static const uint32_t pause_s[] = {2, 6, 10, 20};

/* What one observer thinks of one subject. */
struct opinion {
    bool is_used, is_marked;
    uint16_t marks, changes; /* of the mark; of whether it is used */
    mono_us used_until;      /* the last moment at which it was, since the faults began */
    mono_us used_from;       /* when that began, the last time */
};

struct degraded {
    bool *is_faulty;
    struct opinion *of; /* [observer * hosts + subject] */
    uint32_t hosts, faulty;
};

static void note(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev)
{
    struct degraded *d = w->study;
    struct opinion *o = &d->of[(size_t)observer * d->hosts + subject];
    bool is_used = ev->after == GOSSIP_ALIVE && !ev->is_degraded;
    if (o->is_used && !is_used)
        o->used_until = w->now;
    if (!o->is_used && is_used)
        o->used_from = w->now;
    o->changes += o->is_used != is_used;
    o->marks += o->is_marked != ev->is_degraded;
    o->is_used = is_used;
    o->is_marked = ev->is_degraded;
}

struct degraded_sum {
    struct samples settled;        /* from the begin of the faults until a faulty one is used no more */
    struct samples changes, marks; /* of a faulty one at a healthy observer */
    uint64_t healthy_marks, healthy_changes, late, pairs;
};

static void judge(const struct world *w, const struct degraded *d, mono_us began, struct degraded_sum *sum)
{
    for (uint32_t a = 0; a < d->hosts; a++)
        for (uint32_t b = 0; b < d->hosts; b++) {
            const struct opinion *o = &d->of[(size_t)a * d->hosts + b];
            if (a == b || d->is_faulty[a])
                continue;
            if (!d->is_faulty[b]) {
                sum->healthy_marks += o->marks > 0;
                sum->healthy_changes += o->changes;
                continue;
            }
            mono_us settled = (o->is_used ? w->now : o->used_until) - began;
            samples_add(&sum->settled, settled);
            samples_add(&sum->changes, o->changes);
            samples_add(&sum->marks, o->marks);
            sum->late += settled > MS(OLD_MS);
            sum->pairs++;
        }
}

static void break_some(struct world *w, struct degraded *d)
{
    uint32_t each = d->hosts / 100 > 0 ? d->hosts / 100 : 1, broken = 0;
    d->faulty = 2 * each;
    faults_choose(w, 1, d->faulty, d->is_faulty);
    for (uint32_t h = 0; h < d->hosts; h++) {
        if (!d->is_faulty[h])
            continue;
        if (broken++ % 2)
            fault_begin(w, h, FAULT_LOSSY, SEC(FAULTY_S), 0, w->now + SEC(FAULTY_S));
        else
            fault_begin(w, h, broken % 4 == 1 ? FAULT_DEAF : FAULT_MUTE, SEC(CYCLE_S), SEC(CYCLE_S),
                        w->now + SEC(FAULTY_S));
    }
}

/* All are well, and each uses all. */
static struct world *watched_mesh(const struct study_options *o, uint32_t nodes, uint64_t seed,
                                  struct degraded *d)
{
    struct world *w = study_mesh(o, nodes, seed, SEC(SETTLE_S));
    *d = (struct degraded){.hosts = nodes,
                           .is_faulty = must_zeros(nodes, sizeof *d->is_faulty),
                           .of = must_zeros((size_t)nodes * nodes, sizeof *d->of)};
    for (size_t i = 0; i < (size_t)nodes * nodes; i++)
        d->of[i].is_used = true;
    w->watch = note;
    w->study = d;
    return w;
}

static bool end_of(struct world *w, struct degraded *d)
{
    bool is_well = measure_is_well(w, d->hosts);
    world_free(w);
    free(d->is_faulty);
    free(d->of);
    return is_well;
}

static bool degraded_once(const struct study_options *o, uint32_t nodes, uint64_t seed,
                          struct degraded_sum *sum)
{
    struct degraded d;
    struct world *w = watched_mesh(o, nodes, seed, &d);
    break_some(w, &d);
    mono_us began = w->now;
    world_run(w, SEC(FAULTY_S));
    judge(w, &d, began, sum);
    return end_of(w, &d);
}

struct paused_sum {
    struct samples again, changes; /* from the end of the pause, at those who did not use it for a while */
    uint64_t never, noticed, others;
};

static bool paused_once(const struct study_options *o, uint32_t nodes, uint64_t seed, uint32_t s,
                        struct paused_sum *sum)
{
    struct degraded d;
    struct world *w = watched_mesh(o, nodes, seed, &d);
    uint32_t who = (uint32_t)(seed % nodes);
    fault_begin(w, who, FAULT_PAUSE, SEC(s), 0, w->now + SEC(s));
    mono_us returned = w->now + SEC(s);
    world_run(w, SEC(s + RETURN_S));
    for (size_t i = 0; i < (size_t)nodes * nodes; i++) {
        const struct opinion *at = &d.of[i];
        if (i % nodes != who || i / nodes == who || at->changes == 0) {
            sum->others += i % nodes != who && i / nodes != who && at->changes > 0;
            continue;
        }
        sum->noticed++;
        sum->never += !at->is_used;
        samples_add(&sum->changes, at->changes);
        if (at->is_used)
            samples_add(&sum->again, at->used_from > returned ? at->used_from - returned : 0);
    }
    return end_of(w, &d);
}

static int paused_table(const struct study_options *o, const struct study_list *nodes)
{
    int failed = 0;
    printf("\n      one that stands still once, at others: used again after, s:    use changes   others'\n"
           "nodes   for   noticed by    50 %%    99 %%   all      not by  median   most        use\n");
    for (size_t i = 0; i < nodes->count; i++)
        for (size_t k = 0; k < sizeof pause_s / sizeof *pause_s; k++) {
            struct paused_sum sum = {0};
            uint32_t runs = o->runs ? o->runs : 1;
            for (uint32_t r = 0; r < runs; r++)
                failed += !paused_once(o, nodes->at[i], o->seed + r, pause_s[k], &sum);
            printf("%5u %3u s %10.1f%% %7.1f %7.1f %5.1f %11llu %7llu %6llu %10llu\n", nodes->at[i],
                   pause_s[k], 100.0 * (double)sum.noticed / ((double)runs * (nodes->at[i] - 1)),
                   measure_ms(&sum.again, 500) / 1000, measure_ms(&sum.again, 990) / 1000,
                   measure_ms(&sum.again, 1000) / 1000, (unsigned long long)sum.never,
                   (unsigned long long)samples_permille(&sum.changes, 500),
                   (unsigned long long)samples_permille(&sum.changes, 1000), (unsigned long long)sum.others);
            fflush(stdout);
            samples_fini(&sum.again);
            samples_fini(&sum.changes);
        }
    return failed;
}

int measure_degraded(const struct study_options *o)
{
    struct study_list nodes = study_or(&o->nodes, measure_nodes);
    int failed = 0;
    printf("      faulty ones, at healthy observers                                        healthy ones\n"
           "      used until, s:         after 10 s   mark changes   use changes              use\n"
           "nodes    50 %%    99 %%   all   of pairs   median   most  median   most    marked  changes\n");
    for (size_t i = 0; i < nodes.count; i++) {
        struct degraded_sum sum = {0};
        for (uint32_t r = 0; r < (o->runs ? o->runs : 1); r++)
            failed += !degraded_once(o, nodes.at[i], o->seed + r, &sum);
        printf("%5u %7.1f %7.1f %5.1f %9.2f%% %7llu %6llu %7llu %6llu %9llu %8llu\n", nodes.at[i],
               measure_ms(&sum.settled, 500) / 1000, measure_ms(&sum.settled, 990) / 1000,
               measure_ms(&sum.settled, 1000) / 1000, 100.0 * (double)sum.late / (double)sum.pairs,
               (unsigned long long)samples_permille(&sum.marks, 500),
               (unsigned long long)samples_permille(&sum.marks, 1000),
               (unsigned long long)samples_permille(&sum.changes, 500),
               (unsigned long long)samples_permille(&sum.changes, 1000),
               (unsigned long long)sum.healthy_marks, (unsigned long long)sum.healthy_changes);
        fflush(stdout);
        samples_fini(&sum.settled);
        samples_fini(&sum.changes);
        samples_fini(&sum.marks);
    }
    failed += paused_table(o, &nodes);
    return failed ? 1 : 0;
}
