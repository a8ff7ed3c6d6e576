#include "traffic/shared.h"

struct traffic_shared *traffic_shared_new(const struct shorthash_key *key)
{
    struct traffic_shared *s = aligned_alloc(alignof(struct traffic_shared), sizeof *s);
    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    s->outliers = outliers_new(key);
    s->breakers = breakers_new(key);
    s->limiter = limiter_new(key);
    if (s->outliers && s->breakers && s->limiter)
        return s;
    traffic_shared_free(s);
    return NULL;
}

void traffic_shared_free(struct traffic_shared *s)
{
    if (s) {
        outliers_free(s->outliers);
        breakers_free(s->breakers);
        limiter_free(s->limiter);
    }
    free(s);
}

bool traffic_shared_panic(struct traffic_shared *s, uint64_t hash, bool begins)
{
    atomic_uint *p = &s->panics[hash % TRAFFIC_PANICS];
    return begins ? atomic_fetch_add_explicit(p, 1, memory_order_relaxed) == 0
                  : atomic_fetch_sub_explicit(p, 1, memory_order_relaxed) == 1;
}

mono_ms traffic_ejected_until(const struct traffic_shared *s, const struct view_endpoint *e, mono_ms now)
{
    return outlier_until(s->outliers, e, now);
}

void traffic_shared_judge(struct traffic_shared *s, const struct view *before, const struct view *after,
                          mono_ms now)
{
    if (outlier_judge(s->outliers, before, after, now) > 0)
        atomic_fetch_add(&s->ejections, 1);
}
