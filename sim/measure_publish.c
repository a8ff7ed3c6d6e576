/* A signed policy to all members, judged by each as an agent does (sim/policies.h). Alone; as two bundles of one version at two
 * members at once (ADVERSARY B12); and while a tenth of the members, each with a valid key, bring the old bundle under ever
 * higher numbers (B5), say that they hold the new one and never send it (B8), or invent one newer version after another
 * (B21). */
#include <stdio.h>
#include <stdlib.h>

#include "sim/measure.h"
#include "sim/must.h"
#include "sim/policies.h"

enum way { ALONE, FORKED, REPLAYED, WITHHELD, INVENTED, WAYS };
static const char *const way_text[WAYS] = {"alone", "two of one version", "10 % replay the old one",
                                           "10 % withhold the new one", "10 % invent newer ones"};
enum {
    BUNDLE_BYTES = 16 * 1024,
    HOSTILE_ONE_IN = 10,
    BEFORE_S = 10, /* they begin so long before the new version */
    BOUND_S = 120,
    OLD_VERSION = 41,
    NEW_VERSION = 42,
};

struct publishing {
    enum way way;
    struct sim_bundle *old, *fresh, *other, *forged; /* `other`: the second of `new`'s version */
    const struct sim_bundle *kept;                   /* in the end by all */
    bool is_misled;
};

/* ---- one run ---- */

static struct sim_bundle *sign(struct world *w, uint64_t version, const char *service, bool by_thief)
{
    char body[64];
    snprintf(body, sizeof body, "services: {%s: {protocol: http}}\n", service);
    return policies_sign(w, version, body, BUNDLE_BYTES, by_thief);
}

static void watch(struct world *w, uint32_t host, const struct sim_bundle *was)
{
    struct publishing *p = w->study;
    const struct sim_bundle *now = policies_in_force(w, host);
    p->is_misled |= now == p->forged || (now == p->old && was);
}

static void begin_attack(struct world *w, struct publishing *p)
{
    static const enum policies_claim claim[WAYS] = {
        [REPLAYED] = CLAIM_REPLAY, [WITHHELD] = CLAIM_WITHHOLD, [INVENTED] = CLAIM_INVENT};
    const struct sim_bundle *what = p->way == REPLAYED ? p->old : p->way == WITHHELD ? p->fresh : p->forged;
    for (uint32_t h = HOSTILE_ONE_IN; claim[p->way] && h < w->config.hosts; h += HOSTILE_ONE_IN)
        policies_claim(w, h, claim[p->way], what);
}

static void begin(struct world *w, struct publishing *p)
{
    policies_begin(w);
    p->old = sign(w, OLD_VERSION, "old", false);
    p->fresh = sign(w, NEW_VERSION, "new", false);
    p->other = sign(w, NEW_VERSION, "other", false);
    p->forged = sign(w, NEW_VERSION + 1, "forged", true);
    p->kept = p->way == FORKED && memcmp(p->other->doc.hash.b, p->fresh->doc.hash.b, HASH_BYTES) < 0
                  ? p->other
                  : p->fresh;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        policies_hold(w, h, p->old);
    w->study = p;
    w->policies->changed = watch;
    world_run(w, SEC(SETTLE_S));
    begin_attack(w, p);
    world_run(w, SEC(BEFORE_S));
}

struct publish_sum {
    struct samples took;
    double copies, refused; /* per member */
};

static bool is_hostile(const struct world *w, uint32_t host)
{
    return w->policies->host[host].claim != CLAIM_NONE;
}

static void wait_for_all(struct world *w, const struct publishing *p, struct samples *took)
{
    uint32_t missing = 0, hosts = w->config.hosts;
    bool *has = must_zeros(hosts, sizeof *has);
    mono_us start = w->now;
    for (uint32_t h = 0; h < hosts; h++)
        missing += !is_hostile(w, h);
    while (missing > 0 && w->now - start < SEC(BOUND_S) && world_run(w, MS(1)))
        for (uint32_t h = 0; h < hosts; h++)
            if (!has[h] && !is_hostile(w, h) && policies_in_force(w, h) == p->kept) {
                has[h] = true;
                missing--;
                samples_add(took, w->now - start);
            }
    if (missing > 0)
        world_fail(w, "%u members are without the policy after %d s", missing, BOUND_S);
    free(has);
}

static bool publish_once(const struct study_options *o, uint32_t nodes, enum way way, uint64_t seed,
                         struct publish_sum *sum)
{
    struct publishing p = {.way = way};
    struct world *w = study_old_mesh(o, nodes, seed, 0);
    begin(w, &p);
    uint64_t sent = w->figures.documents;
    w->policies->refused = 0;
    policies_publish(w, 0, p.fresh);
    if (way == FORKED)
        policies_publish(w, nodes / 2, p.other);
    wait_for_all(w, &p, &sum->took);
    sum->copies += (double)(w->figures.documents - sent) / nodes;
    sum->refused += (double)w->policies->refused / nodes;
    if (p.is_misled)
        world_fail(w, "an old or forged policy was taken");
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    return is_well;
}

int measure_publish(const struct study_options *o)
{
    static const struct study_list own = {2, {100, 1000}};
    struct study_list nodes = study_or(&o->nodes, own);
    uint32_t runs = o->runs ? o->runs : 3, failed = 0;
    printf(
        "                                     in force after, ms: at                 per member until then\n"
        "nodes runs                            50 %%     99 %%   99.9 %%      all   bundles sent   "
        "refused\n");
    for (size_t i = 0; i < nodes.count; i++)
        for (enum way way = 0; way < WAYS; way++) {
            struct publish_sum sum = {.copies = 0};
            for (uint32_t r = 0; r < runs; r++)
                failed += !publish_once(o, nodes.at[i], way, o->seed + r, &sum);
            printf("%5u %4u %-26s", nodes.at[i], runs, way_text[way]);
            measure_print_quartet(&sum.took);
            printf(" %12.3f %9.2f\n", sum.copies / runs, sum.refused / runs);
            fflush(stdout);
            samples_fini(&sum.took);
        }
    return failed ? 1 : 0;
}
