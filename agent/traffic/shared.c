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
    s->panics = panics_new(key);
    if (s->outliers && s->breakers && s->limiter && s->panics)
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
        panics_free(s->panics);
    }
    free(s);
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
