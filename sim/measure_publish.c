/* A signed policy to all members, judged by each as an agent does: bundle_open() against the root, then bundle_succeeds()
 * against what it holds. Alone; as two bundles of one version at two members at once (ADVERSARY B12); and while a tenth of
 * the members, each with a valid key, bring the old bundle under ever higher numbers (B5), say that they hold the new one
 * and never send it (B8), or invent one newer version after another (B21). */
#include <stdio.h>
#include <stdlib.h>

#include "policy/bundle.h"
#include "sim/measure.h"
#include "trust/sign.h"

enum way { ALONE, FORKED, REPLAYED, WITHHELD, INVENTED, WAYS };
static const char *const way_text[WAYS] = {"alone", "two of one version", "10 % replay the old one",
                                           "10 % withhold the new one", "10 % invent newer ones"};
enum {
    BUNDLE_KIB = 16,
    HOSTILE_ONE_IN = 10,
    CLAIM_MS = 1000, /* a hostile member makes a new claim so often */
    BEFORE_S = 10,   /* they begin so long before the new version */
    BOUND_S = 120,
    OLD_VERSION = 41,
    NEW_VERSION = 42,
    INVENTED_FROM = 1000000,
};
enum { OLD, NEW, OTHER, FORGED, BUNDLES }; /* OTHER: the second of NEW's version */

/* What is signed once and for all runs. */
static struct signed_policies {
    struct buf root_bytes;
    struct root root;
    struct doc doc[BUNDLES]; /* as gossip tells of it: its hash is the bundle's, of the body */
    struct hash whole[BUNDLES];
    enum err opened[BUNDLES]; /* by bundle_open(): of the same bytes every member gets the same answer */
    struct bundle bundle[BUNDLES];
    const struct doc *lowest; /* of the two */
} policies;

struct publishing {
    enum way way;
    bool *is_hostile;
    struct doc *claim; /* of each hostile member: what it says that it holds */
    uint64_t refused, misled;
};

/* ---- the bundles ---- */

static struct sign_key key_of(uint8_t byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, byte, sizeof seed);
    if (sign_key_of_seed(&k, seed) != ERR_OK)
        abort();
    return k;
}

static void make_bundle(int which, uint64_t version, const char *service, const struct sign_key *key)
{
    struct signed_policies *p = &policies;
    struct root root = p->root;
    struct buf text = {0};
    root.policy.key[0] = key->pub; /* a thief signs as if it were his */
    buf_addf(&text, "policy: v1\nmesh: shop.example\nversion: %llu\nservices: {%s: {protocol: http}}\n",
             (unsigned long long)version, service);
    while (text.len < (size_t)BUNDLE_KIB * 1024)
        buf_add_str(&text, "# as its reviewers read it, with the reasons beside the rules\n");
    struct buf *out = &p->doc[which].bytes;
    if (bundle_sign(out, &root, 1, buf_bytes(&text), NULL, &key, 1, NULL) != ERR_OK ||
        bundle_peek(&p->bundle[which], buf_bytes(out)) != ERR_OK)
        abort();
    p->doc[which].epoch = 1;
    p->doc[which].version = version;
    p->doc[which].hash = p->bundle[which].hash;
    p->whole[which] = hash_of(buf_bytes(out));
    struct bundle b;
    p->opened[which] = bundle_open(&b, NULL, &p->root, buf_bytes(out), NULL);
    buf_fini(&text);
}

static void make_policies(void)
{
    struct signed_policies *p = &policies;
    struct sign_key root = key_of(1), policy = key_of(2), thief = key_of(3);
    const struct sign_key *by = &root;
    struct root r = {.mesh = bytes_str("shop.example"),
                     .epoch = 1,
                     .root = {1, 1, {root.pub}},
                     .policy = {1, 1, {policy.pub}},
                     .enrol = {1, 1, {root.pub}}};
    if (p->lowest)
        return;
    if (trust_init() != ERR_OK || root_create(&p->root_bytes, &r, &by, 1) != ERR_OK ||
        root_open(&p->root, buf_bytes(&p->root_bytes)) != ERR_OK)
        abort();
    make_bundle(OLD, OLD_VERSION, "old", &policy);
    make_bundle(NEW, NEW_VERSION, "new", &policy);
    make_bundle(OTHER, NEW_VERSION, "other", &policy);
    make_bundle(FORGED, INVENTED_FROM, "forged", &thief);
    p->lowest =
        memcmp(p->doc[NEW].hash.b, p->doc[OTHER].hash.b, HASH_BYTES) < 0 ? &p->doc[NEW] : &p->doc[OTHER];
}

/* ---- what members do ---- */

/* control/enforced.c's rules: verified, then not below what is held, and of two with one version the lower hash. */
static void judge(struct world *w, uint32_t host, const struct gossip_event *ev)
{
    struct publishing *p = w->study;
    const struct doc *held = w->host[host].disk.doc;
    struct hash whole = hash_of(ev->doc);
    enum err e = ERR_MALFORMED;
    int which = 0;
    while (which < BUNDLES && !hash_eq(&policies.whole[which], &whole))
        which++;
    if (which < BUNDLES)
        e = policies.opened[which];
    if (e == ERR_OK)
        e = bundle_succeeds(&policies.bundle[which], held->epoch, held->version, &held->hash);
    if (e != ERR_OK && e != ERR_CONFLICT) {
        p->refused++;
        return;
    }
    p->misled += which == OLD || which == FORGED;
    if (!p->is_hostile[host])
        host_hold(w, host, &policies.doc[which]);
}

/* The next lie: a number that nobody has, and a hash under which it sends what it has (nothing, if it withholds). */
static void claim(struct world *w, uint32_t host)
{
    struct publishing *p = w->study;
    struct doc *d = &p->claim[host];
    world_after(w, MS(CLAIM_MS), host, claim);
    if (p->way == WITHHELD) {
        d->epoch = 1;
        d->version = NEW_VERSION;
        d->hash = policies.doc[NEW].hash;
    } else {
        d->epoch = 1;
        d->version = (d->version ? d->version : INVENTED_FROM) + 1 + rng_below(&w->rng, 1000);
        d->bytes = policies.doc[p->way == REPLAYED ? OLD : FORGED].bytes; /* borrowed */
        for (size_t i = 0; i < HASH_BYTES; i++)
            d->hash.b[i] = (uint8_t)rng_u64(&w->rng);
    }
    host_hold(w, host, d);
}

/* ---- one run ---- */

static void begin(struct world *w, struct publishing *p)
{
    uint32_t hosts = w->config.hosts;
    bool is_attack = p->way == REPLAYED || p->way == WITHHELD || p->way == INVENTED;
    p->is_hostile = calloc(hosts, sizeof *p->is_hostile);
    p->claim = calloc(hosts, sizeof *p->claim);
    if (!p->is_hostile || !p->claim)
        abort();
    w->study = p;
    w->on_doc = judge;
    for (uint32_t h = 0; h < hosts; h++)
        host_hold(w, h, &policies.doc[OLD]);
    world_run(w, SEC(SETTLE_S));
    for (uint32_t h = 1; is_attack && h < hosts; h++)
        if (h % HOSTILE_ONE_IN == 0) {
            p->is_hostile[h] = true;
            world_after(w, rng_below(&w->rng, MS(CLAIM_MS)), h, claim);
        }
    world_run(w, SEC(BEFORE_S));
}

struct publish_sum {
    struct samples took;
    double copies, refused; /* per member */
    uint64_t misled;
};

static void wait_for_all(struct world *w, const struct publishing *p, const struct doc *d,
                         struct samples *took)
{
    uint32_t missing = 0, hosts = w->config.hosts;
    bool *has = calloc(hosts, sizeof *has);
    mono_us start = w->now;
    if (!has)
        abort();
    for (uint32_t h = 0; h < hosts; h++)
        missing += !p->is_hostile[h];
    while (missing > 0 && w->now - start < SEC(BOUND_S) && world_run(w, MS(1)))
        for (uint32_t h = 0; h < hosts; h++)
            if (!has[h] && !p->is_hostile[h] && w->host[h].disk.doc == d) {
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
    uint64_t bytes = w->figures.bulk_bytes;
    p.refused = 0;
    host_hold(w, 0, &policies.doc[NEW]);
    if (way == FORKED)
        host_hold(w, nodes / 2, &policies.doc[OTHER]);
    wait_for_all(w, &p, way == FORKED ? policies.lowest : &policies.doc[NEW], &sum->took);
    sum->copies += (double)(w->figures.bulk_bytes - bytes) / (double)policies.doc[NEW].bytes.len / nodes;
    sum->refused += (double)p.refused / nodes;
    sum->misled += p.misled;
    if (p.misled > 0)
        world_fail(w, "%llu times an old or forged policy was taken", (unsigned long long)p.misled);
    bool is_well = measure_is_well(w, nodes);
    world_free(w);
    free(p.is_hostile);
    free(p.claim);
    return is_well;
}

int measure_publish(const struct study_options *o)
{
    static const struct study_list own = {2, {100, 1000}};
    struct study_list nodes = study_or(&o->nodes, own);
    uint32_t runs = o->runs ? o->runs : 3, failed = 0;
    make_policies();
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
