#include "traffic/pick.h"

#include "base/rng.h"

enum {
    PROBES = 8
}; /* random draws before the exact scan: a service where more than 9 in 10 are unusable is rare */

struct load {            /* an endpoint with requests in flight; others have no entry */
    struct node_id node; /* zeros: on this host */
    char service[SERVICE_NAME_MAX + 1];
    uint32_t outstanding; /* 0: slot is free */
};
struct traffic {
    struct traffic_shared *shared;
    struct rng rng;
    struct load *slot; /* open addressing, linear probing, at most three quarters full */
    size_t count, cap; /* cap: a power of two, or 0 */
};

struct traffic *traffic_new(struct traffic_shared *shared, uint64_t seed)
{
    struct traffic *t = calloc(1, sizeof *t);
    if (t)
        *t = (struct traffic){.shared = shared, .rng = rng_seeded(seed)};
    return t;
}

void traffic_free(struct traffic *t)
{
    if (t)
        free(t->slot);
    free(t);
}

struct traffic_shared *traffic_shared_of(const struct traffic *t)
{
    return t->shared;
}

static const struct node_id *node_of(const struct view_endpoint *e)
{
    static const struct node_id here;
    return e->node ? &e->node->id : &here;
}

static bool is_same(const struct view_endpoint *a, const struct view_endpoint *b)
{
    return node_id_eq(node_of(a), node_of(b)) && strcmp(a->service, b->service) == 0;
}

/* Node ids are keys, so their bytes are random as they stand; the name is folded in by FNV-1a. Nobody gains
 * by colliding: only endpoints with requests in flight are in the table, and a host that offers services
 * under names of its choice slows only their use. */
static size_t hash_of_endpoint(const struct node_id *node, const char *service)
{
    uint64_t h = load_be64(node->b) ^ 0xcbf29ce484222325u;
    for (; *service; service++)
        h = (h ^ (uint8_t)*service) * 0x100000001b3u;
    return (size_t)(h ^ h >> 29);
}

/* The endpoint's slot, or the free one where it belongs. */
static struct load *find(const struct traffic *t, const struct node_id *node, const char *service)
{
    size_t i = hash_of_endpoint(node, service) & (t->cap - 1);
    while (t->slot[i].outstanding &&
           !(node_id_eq(&t->slot[i].node, node) && strcmp(t->slot[i].service, service) == 0))
        i = (i + 1) & (t->cap - 1);
    return &t->slot[i];
}

static bool grow(struct traffic *t)
{
    struct traffic bigger = {.cap = t->cap ? 2 * t->cap : 16};
    if ((t->count + 1) * 4 <= t->cap * 3)
        return true;
    bigger.slot = calloc(bigger.cap, sizeof *bigger.slot);
    if (!bigger.slot)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slot[i].outstanding)
            *find(&bigger, &t->slot[i].node, t->slot[i].service) = t->slot[i];
    free(t->slot);
    t->slot = bigger.slot;
    t->cap = bigger.cap;
    return true;
}

void traffic_begin(struct traffic *t, const struct view_endpoint *e, mono_ms now)
{
    (void)now;
    if (!grow(t))
        return;
    struct load *l = find(t, node_of(e), e->service);
    if (l->outstanding == 0) {
        l->node = *node_of(e);
        memcpy(l->service, e->service, sizeof l->service);
        t->count++;
    }
    l->outstanding++;
}

/* Closes the gap at `hole`, so that no probe stops before what lies behind it (Knuth, TAOCP 3, 6.4, algorithm
 * R). */
static void close_gap(struct traffic *t, size_t hole)
{
    const size_t mask = t->cap - 1;
    for (size_t i = (hole + 1) & mask; t->slot[i].outstanding; i = (i + 1) & mask) {
        size_t home = hash_of_endpoint(&t->slot[i].node, t->slot[i].service) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slot[hole] = t->slot[i];
            hole = i;
        }
    }
    t->slot[hole].outstanding = 0;
}

void traffic_end(struct traffic *t, const struct view_endpoint *e, const struct traffic_outcome *o,
                 mono_ms now)
{
    (void)o;
    (void)now;
    struct load *l = t->cap ? find(t, node_of(e), e->service) : NULL;
    if (!l || l->outstanding == 0)
        return; /* its begin found no memory */
    if (--l->outstanding == 0) {
        t->count--;
        close_gap(t, (size_t)(l - t->slot));
    }
}

size_t traffic_outstanding(const struct traffic *t, const struct view_endpoint *e)
{
    return t->cap ? find(t, node_of(e), e->service)->outstanding : 0;
}

void traffic_tried_add(struct traffic_tried *tried, const struct view_endpoint *e)
{
    if (tried->count < TRAFFIC_TRIED_MAX)
        tried->at[tried->count++] = e;
}

static enum traffic_standing standing_of(const struct view_endpoint *e, const struct policy_subset *subset)
{
    if (!policy_subset_matches(subset, &e->labels))
        return TRAFFIC_OTHER_SUBSET;
    if (e->node && !e->node->alive && !e->node->suspect)
        return TRAFFIC_DEAD;
    if (e->draining)
        return TRAFFIC_DRAINING;
    if (!e->healthy)
        return TRAFFIC_UNHEALTHY;
    return e->node && e->node->suspect ? TRAFFIC_SPARE : TRAFFIC_CANDIDATE;
}

struct wanted { /* what a draw may return */
    enum traffic_standing standing;
    const struct policy_subset *subset;
    const struct traffic_tried *tried;
    const struct view_endpoint * not ; /* the first of the two choices */
};

static bool is_wanted(const struct view_endpoint *e, const struct wanted *w)
{
    if (e == w->not || standing_of(e, w->subset) != w->standing)
        return false;
    for (size_t i = 0; w->tried && i < w->tried->count; i++)
        if (is_same(w->tried->at[i], e))
            return false;
    return true;
}

/* Uniform among the wanted: random draws first, and when they miss a scan that keeps the k-th wanted with
 * probability 1/k (Vitter, algorithm R, with a reservoir of one). Both are uniform, so is their mixture. */
static const struct view_endpoint *draw(struct rng *rng, const struct view_service *s, const struct wanted *w)
{
    const struct view_endpoint *chosen = NULL;
    uint32_t seen = 0;
    for (int i = 0; i < PROBES; i++) {
        const struct view_endpoint *e = s->endpoint[rng_below(rng, (uint32_t)s->count)];
        if (is_wanted(e, w))
            return e;
    }
    for (size_t i = 0; i < s->count; i++)
        if (is_wanted(s->endpoint[i], w) && rng_below(rng, ++seen) == 0)
            chosen = s->endpoint[i];
    return chosen;
}

static const struct view_endpoint *better_of_two(struct traffic *t, const struct view_service *s,
                                                 struct wanted w)
{
    const struct view_endpoint *a = draw(&t->rng, s, &w), *b;
    if (!a || s->count == 1)
        return a;
    w.not = a;
    b = draw(&t->rng, s, &w);
    return b && traffic_outstanding(t, b) < traffic_outstanding(t, a) ? b : a;
}

static enum traffic_why why_none(const struct view_service *s, const struct policy_subset *subset)
{
    bool in_subset = false;
    for (size_t i = 0; s && i < s->count; i++) {
        enum traffic_standing st = standing_of(s->endpoint[i], subset);
        if (st == TRAFFIC_CANDIDATE || st == TRAFFIC_SPARE)
            return TRAFFIC_ALL_TRIED;
        in_subset |= st != TRAFFIC_OTHER_SUBSET;
    }
    if (!s || s->count == 0)
        return TRAFFIC_NO_INSTANCE;
    return in_subset ? TRAFFIC_NO_HEALTHY : TRAFFIC_NO_SUBSET;
}

struct traffic_choice traffic_pick(struct traffic *t, const struct traffic_ask *ask)
{
    struct wanted w = {.standing = TRAFFIC_CANDIDATE, .subset = ask->subset, .tried = ask->tried};
    const struct view_service *s = ask->service;
    const struct view_endpoint *e = NULL;
    if (s && s->count)
        e = better_of_two(t, s, w);
    if (!e && s && s->count) {
        w.standing = TRAFFIC_SPARE;
        e = better_of_two(t, s, w);
    }
    return (struct traffic_choice){.endpoint = e, .why = e ? TRAFFIC_PICKED : why_none(s, ask->subset)};
}

static const struct {
    const char *flag, *text;
} reasons[] = {
    [TRAFFIC_PICKED] = {"", "picked"},
    [TRAFFIC_NO_INSTANCE] = {"UH", "no instance of the service is known"},
    [TRAFFIC_NO_SUBSET] = {"NR", "no living instance carries the labels of the subset"},
    [TRAFFIC_NO_HEALTHY] = {"UH", "no instance is healthy"},
    [TRAFFIC_ALL_TRIED] = {"UH", "every healthy instance has been tried"},
    [TRAFFIC_FAILOVER] = {"UH", "too few instances are healthy"},
};

const char *traffic_why_flag(enum traffic_why why)
{
    return reasons[why].flag;
}

const char *traffic_why_text(enum traffic_why why)
{
    return reasons[why].text;
}

const char *traffic_standing_text(enum traffic_standing s)
{
    static const char *const text[] = {[TRAFFIC_CANDIDATE] = "candidate",
                                       [TRAFFIC_SPARE] = "spare (suspect or degraded)",
                                       [TRAFFIC_OTHER_SUBSET] = "other subset",
                                       [TRAFFIC_UNHEALTHY] = "unhealthy",
                                       [TRAFFIC_EJECTED] = "ejected",
                                       [TRAFFIC_DRAINING] = "draining",
                                       [TRAFFIC_DEAD] = "dead"};
    return text[s];
}

size_t traffic_candidates(const struct view_service *service, const struct policy_subset *subset_or_null,
                          struct traffic_candidate *out, size_t cap)
{
    size_t count = service ? service->count : 0;
    for (size_t i = 0; i < count && i < cap; i++)
        out[i] = (struct traffic_candidate){service->endpoint[i],
                                            standing_of(service->endpoint[i], subset_or_null)};
    return count;
}
