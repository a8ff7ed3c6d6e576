/* What all workers of an agent learn of traffic together: what must hold for the agent as a whole, or be known to every
 * worker as soon as one has seen it. Used by all of them at once: atomics only, each part says how. Made before the workers
 * start, freed after they have ended. */
#ifndef TRAFFIC_SHARED_H
#define TRAFFIC_SHARED_H

#include <stdatomic.h>

#include "discovery/view.h"
#include "traffic/budget.h"

struct traffic_shared {
    /* Rises whenever an endpoint is ejected, or returns: each worker then counts anew who may be chosen. */
    atomic_uint ejections;
    struct budgets budgets;     /* of retries */
    atomic_size_t replay_bytes; /* of requests' bodies that are kept for a retry (exchange/replay.h) */
};
/* NULL: no memory. */
struct traffic_shared *traffic_shared_new(void);
void traffic_shared_free(struct traffic_shared *s);

/* Until when this endpoint is ejected; 0: it is not. */
mono_ms traffic_ejected_until(const struct traffic_shared *s, const struct view_endpoint *e, mono_ms now);

#endif
