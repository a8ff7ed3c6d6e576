#include "traffic/load.h"

#include <math.h>
#include <stdio.h>

enum { FIRST_BUCKETS = 16 };

static const struct node_id *node_of(const struct view_endpoint *e)
{
    static const struct node_id here;
    return e->node ? &e->node->id : &here;
}

/* Node ids are keys, so their bytes are random as they stand; the name is folded in by FNV-1a. Nobody gains by colliding: a host
 * that offers services under names of its choice slows only their use. */
static uint64_t hash_of_endpoint(const struct node_id *node, const char *service)
{
    uint64_t h = load_be64(node->b) ^ 0xcbf29ce484222325u;
    for (; *service; service++)
        h = (h ^ (uint8_t)*service) * 0x100000001b3u;
    return h ^ h >> 29;
}

static struct load *find(const struct loads *all, uint64_t hash, const struct node_id *node,
                         const char *service)
{
    struct load *l = all->cap ? all->bucket[hash & (all->cap - 1)] : NULL;
    while (l && !(l->hash == hash && node_id_eq(&l->node, node) && strcmp(l->service, service) == 0))
        l = l->next;
    return l;
}

struct load *load_find(const struct loads *all, const struct view_endpoint *e)
{
    const struct node_id *node = node_of(e);
    return find(all, hash_of_endpoint(node, e->service), node, e->service);
}

/* One per bucket on average, at most. Without memory the chains grow longer. */
static bool grow(struct loads *all)
{
    struct loads more = {.count = all->count, .cap = all->cap ? 2 * all->cap : FIRST_BUCKETS};
    if (all->count < all->cap)
        return true;
    more.bucket = calloc(more.cap, sizeof(struct load *));
    if (!more.bucket)
        return all->cap > 0;
    for (size_t i = 0; i < all->cap; i++)
        for (struct load *l = all->bucket[i], *next; l; l = next) {
            struct load **to = &more.bucket[l->hash & (more.cap - 1)];
            next = l->next;
            l->next = *to;
            *to = l;
        }
    free(all->bucket);
    *all = more;
    return true;
}

struct load *load_ref(struct loads *all, const struct view_endpoint *e)
{
    const struct node_id *node = node_of(e);
    uint64_t hash = hash_of_endpoint(node, e->service);
    struct load *l = find(all, hash, node, e->service);
    if (!l && (!grow(all) || !(l = calloc(1, sizeof *l))))
        return NULL;
    if (l->refs++ > 0)
        return l;
    struct load **to = &all->bucket[hash & (all->cap - 1)];
    l->hash = hash;
    l->node = *node;
    snprintf(l->service, sizeof l->service, "%s", e->service);
    l->next = *to;
    *to = l;
    all->count++;
    return l;
}

void load_unref(struct loads *all, struct load *l)
{
    assert(l->refs > 0);
    if (--l->refs > 0)
        return;
    struct load **at = &all->bucket[l->hash & (all->cap - 1)];
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    all->count--;
    free(l);
}

void loads_fini(struct loads *all)
{
    for (size_t i = 0; i < all->cap; i++)
        for (struct load *l = all->bucket[i], *next; l; l = next) {
            next = l->next;
            free(l);
        }
    free(all->bucket);
    *all = (struct loads){0};
}

/* --- latency ------------------------------------------------------------------------------- */

/* What is left of a value after so long: exp(-t/decay). Where requests are many hardly any time has passed, and the first two terms
 * of the series are right to 10^-6. */
static double left_of(const struct load *l, mono_ms now)
{
    uint64_t passed = now > l->stamp ? now - l->stamp : 0;
    if (passed == 0)
        return 1;
    double x = (double)passed / (double)(l->decay_ms ? l->decay_ms : 1);
    return x < 0.001 ? 1 - x : exp(-x);
}

void load_observe(struct load *l, double us, mono_ms now)
{
    double left = left_of(l, now), is = us > 1 ? us : 1;
    if (l->latency_us == 0 || is > l->latency_us * left)
        l->latency_us = is;
    else
        l->latency_us = l->latency_us * left + is * (1 - left);
    l->stamp = now;
}

double load_latency_us(const struct load *l, mono_ms now)
{
    return l->latency_us * left_of(l, now);
}

double load_cost(const struct load *l, mono_ms now)
{
    double us = l->latency_us == 0 ? LOAD_UNKNOWN_US : load_latency_us(l, now), way = l->rtt_us;
    if (l->latency_us > 0 && way > l->latency_us)
        way = l->latency_us; /* it answered sooner: that counts more than what is foretold */
    return (us > way ? us : way) * (l->outstanding + 1.0);
}

/* --- slow start ---------------------------------------------------------------------------- */

void load_judge(struct load *l, bool is_well, bool is_first, mono_ms now)
{
    if (is_well && !l->is_well)
        l->well_since = is_first ? 0 : now;
    l->is_well = is_well;
}

uint32_t load_warmth_ppm(const struct load *l, uint64_t slow_start_ms, mono_ms now)
{
    uint64_t passed = now > l->well_since ? now - l->well_since : 0;
    if (l->well_since == 0 || passed >= slow_start_ms)
        return 1000000;
    uint64_t warmth = passed * 1000000 / slow_start_ms;
    return warmth > LOAD_COLD_MIN_PPM ? (uint32_t)warmth : LOAD_COLD_MIN_PPM;
}
