/* Some of the members lie as much as their keys allow: what they achieve, against their share. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/acts.h"
#include "sim/faults.h"
#include "sim/forger.h"
#include "sim/liars.h"
#include "sim/measure.h"
#include "sim/must.h"

enum {
    NODES = 100,
    LIES_S = 30, /* twice, before the first death: the onset, and what goes on */
    DEATHS = 5,
    DEATH_S = 30,    /* for each to be known */
    ACCUSE_MS = 100, /* each liar accuses somebody this often */
    FORGE_MS = 20,   /* one of them forges, replays, alters this often */
};
static const uint32_t shares[] = {0, 5, 10, 15, 20, 25};

struct lied {
    uint64_t suspicions, deaths; /* of honest members that run, at honest members */
    uint64_t bytes[2], lies, forged;
    uint64_t deceived;     /* (honest member, death) where it is not held dead in time */
    double bytes_s, all_s; /* seconds of honest members: while the bytes of each half were counted, in all */
    struct samples suspect, dead;
};

static void watch(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev)
{
    struct lied *l = w->study;
    if (liars_has(w, observer) || liars_has(w, subject) || ev->is_new)
        return;
    bool is_doubt = ev->after == GOSSIP_SUSPECT && ev->before != GOSSIP_SUSPECT;
    bool is_death = ev->after == GOSSIP_DEAD && ev->before != GOSSIP_DEAD;
    if (host_is_running(&w->host[subject])) {
        l->suspicions += is_doubt;
        l->deaths += is_death;
        return;
    }
    if (ev->before == GOSSIP_ALIVE && ev->after != GOSSIP_ALIVE)
        samples_add(&l->suspect, w->now - w->died_at[subject]);
    if (is_death)
        samples_add(&l->dead, w->now - w->died_at[subject]);
}

static uint64_t honest_bytes(const struct world *w, double *members)
{
    uint64_t bytes = 0;
    *members = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (w->host[h].gossip && !liars_has(w, h)) {
            const struct gossip_stats *sent = gossip_stats(w->host[h].gossip);
            bytes += sent->datagram_bytes_sent + WIRE_OVERHEAD_BYTES * sent->datagrams_sent;
            *members += 1;
        }
    return bytes;
}

static void begin(const struct study_options *o, struct world *w, uint32_t liars)
{
    bool *chosen = must_zeros(w->config.hosts, sizeof *chosen);
    faults_choose(w, 1, liars, chosen);
    if (liars > 0) {
        uint32_t first = 0;
        while (!chosen[first])
            first++;
        unsigned ways = o->is_shield ? LIARS_SHIELD | LIARS_SILENT : LIARS_ALL;
        liars_begin(w, chosen, o->is_borrow ? ways | LIARS_BORROW : ways, MS(ACCUSE_MS));
        if (!o->is_shield)
            forger_start(w, first, MS(FORGE_MS));
    }
    free(chosen);
}

/* Honest members that do not hold it dead. */
static uint32_t still_deceived(const struct world *w, uint32_t gone)
{
    struct gossip_member m;
    uint32_t n = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (host_is_running(&w->host[h]) && !liars_has(w, h))
            n += !gossip_member_get(w->host[h].gossip, signer_id(w->signer, gone), &m) ||
                 m.state != GOSSIP_DEAD;
    return n;
}

static uint32_t an_honest_one(struct world *w)
{
    uint32_t h;
    do
        h = acts_other_host(w);
    while (liars_has(w, h) || !host_is_running(&w->host[h]));
    return h;
}

static bool lie_once(const struct study_options *o, uint32_t nodes, uint32_t share, uint64_t seed,
                     struct lied *sum)
{
    double honest;
    struct world *w = study_mesh(o, nodes, seed, SEC(2 * SETTLE_S));
    w->watch = watch;
    w->study = sum;
    begin(o, w, nodes * share / 100);
    for (int half = 0; half < 2; half++) {
        uint64_t before = honest_bytes(w, &honest);
        world_run(w, SEC(LIES_S));
        sum->bytes[half] += honest_bytes(w, &honest) - before;
    }
    sum->bytes_s += honest * LIES_S;
    for (int d = 0; d < DEATHS && world_is_well(w); d++) {
        uint32_t gone = an_honest_one(w);
        host_crash(w, gone);
        world_run(w, SEC(DEATH_S));
        sum->deceived += still_deceived(w, gone);
        honest_bytes(w, &honest);
        sum->all_s += honest * DEATH_S;
    }
    sum->all_s += honest * 2 * LIES_S;
    sum->lies += liars_lies(w);
    sum->forged += w->figures.forged;
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

static void print(uint32_t share, struct lied *l, const struct lied *rest)
{
    double hours = l->all_s / 3600;
    printf("%4u %% %8llu %8llu %12.2f %12.2f %9.2f %8.2f %8.2f %8.2f %9llu", share,
           (unsigned long long)l->lies, (unsigned long long)l->forged, (double)l->suspicions / hours,
           (double)l->deaths / hours, measure_ms(&l->suspect, 500) / 1000,
           measure_ms(&l->suspect, 990) / 1000, measure_ms(&l->dead, 500) / 1000,
           measure_ms(&l->dead, 990) / 1000, (unsigned long long)l->deceived);
    for (int half = 0; half < 2; half++) {
        double now = (double)l->bytes[half] / l->bytes_s, then = (double)rest->bytes[half] / rest->bytes_s;
        printf(" %8.0f %6.2f", now, now / then);
    }
    printf("\n");
    fflush(stdout);
}

int measure_liars(const struct study_options *o)
{
    uint32_t nodes = o->nodes.count > 0 ? o->nodes.at[0] : NODES;
    struct plot *p = plot_new("A silent death among liars", "% of the members that lie",
                              "seconds until the honest hold it dead");
    struct plot_series *half = plot_add(p, "half of them"), *most = plot_add(p, "99 %"),
                       *doubt = plot_add(p, "99 % suspect it");
    int failed = 0;
    struct lied rest = {0};
    printf("         lies    forged  false suspicions, deaths  suspect, s        dead, s:           not    "
           "bytes/s of an honest member\n"
           "share    told   records  per member and hour         50 %%     99 %%     50 %%     99 %%      "
           "dead    first 30 s, times     then, times\n");
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        struct lied sum = {0};
        for (uint32_t r = 0; r < (o->runs ? o->runs : 3); r++)
            failed += !lie_once(o, nodes, shares[i], o->seed + r, &sum);
        if (shares[i] == 0)
            rest = sum;
        print(shares[i], &sum, &rest);
        plot_point(half, shares[i], measure_ms(&sum.dead, 500) / 1000);
        plot_point(most, shares[i], measure_ms(&sum.dead, 990) / 1000);
        plot_point(doubt, shares[i], measure_ms(&sum.suspect, 990) / 1000);
        samples_fini(&sum.suspect);
        samples_fini(&sum.dead);
    }
    int status = study_plot(o, p);
    plot_free(p);
    return failed ? 1 : status;
}
