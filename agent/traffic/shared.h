/* What all workers of an agent learn of traffic together: what must hold for the agent as a whole, or be known to every
 * worker as soon as one has seen it. Used by all of them at once: atomics only, each part says how. Made before the workers
 * start, freed after they have ended. */
#ifndef TRAFFIC_SHARED_H
#define TRAFFIC_SHARED_H

#include <stdatomic.h>

#include "discovery/view.h"
#include "traffic/breaker.h"
#include "traffic/budget.h"
#include "traffic/limiter.h"
#include "traffic/outlier.h"
#include "traffic/panics.h"

struct traffic_shared {
    struct outliers *outliers;
    struct breakers *breakers;
    struct limiter *limiter;
    struct panics *panics;
    /* Rises whenever an endpoint is ejected, or returns: each worker then counts anew who may be chosen. */
    atomic_uint ejections;
    struct budgets budgets;     /* of retries */
    atomic_size_t replay_bytes; /* memory of requests' bodies that are kept for a retry (exchange/replay.h) */
    atomic_size_t mirror_bytes; /* ... of copies' bodies that wait for their receivers (worker/mirror.c) */
};
/* `key` is random and of this process: no stranger can aim at a slot of a table. NULL: no memory. */
struct traffic_shared *traffic_shared_new(const struct shorthash_key *key);
void traffic_shared_free(struct traffic_shared *s);

/* A new view, once per agent: outlier_judge(). */
void traffic_shared_judge(struct traffic_shared *s, const struct view *before, const struct view *after,
                          mono_ms now);

/* Until when this endpoint gets no requests: it is ejected, or its probe is under way; 0: it may be chosen. Whoever is chosen
 * when its time is over is its probe. */
mono_ms traffic_ejected_until(const struct traffic_shared *s, const struct view_endpoint *e, mono_ms now);

#endif
