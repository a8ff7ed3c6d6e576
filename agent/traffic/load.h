/* What one worker knows of one endpoint: requests in flight, how fast it answers, since when it has been well. Kept by what the
 * endpoint is (node and service), so that it lives on over views; for as long as somebody refers to it.
 *
 * The latency is a Peak EWMA, as in Finagle's PeakEwma: it rises at once to a higher measurement, moves towards lower ones by the share
 * of `decay` that has passed since the last one, and falls to 1/e in `decay` while there are none, so that who was slow is
 * asked again one day. Not so for its distance: no answer comes sooner than the round trip that network coordinates foretell (Vivaldi;
 * view.h), so less than that, as far as it was ever measured, is not counted. No clock; one worker's. */
#ifndef TRAFFIC_LOAD_H
#define TRAFFIC_LOAD_H

#include "discovery/view.h"

enum {
    LOAD_UNKNOWN_US = 30000, /* counted for an endpoint of which nothing is known (Linkerd's default) */
    LOAD_PENALTY_US =
        1000000, /* counted for a try that was refused (429, 503) or could not be made: being fast at it attracts nothing */
    LOAD_COLD_MIN_PPM = 100000, /* the share at which a slow start begins (Envoy's min_weight_percent) */
};

struct load {
    struct load *next; /* in its bucket */
    uint64_t hash;
    struct node_id node; /* zeros: on this host */
    char service[SERVICE_NAME_MAX + 1];
    uint32_t refs; /* of groups, and one of each request in flight */
    uint32_t outstanding;
    double latency_us; /* at `stamp`; 0: nothing is known */
    mono_ms stamp;
    uint64_t decay_ms;
    uint32_t rtt_us;    /* to its host, foretold; 0: unknown, or on this host */
    mono_ms well_since; /* 0: since before it was first looked at, or not well */
    bool is_well;
    uint64_t outlier_key; /* 0: nobody has asked for it yet */
};
struct loads {
    struct load **bucket;
    size_t count, cap; /* cap: a power of two, or 0 */
};

/* Finds, or makes, and refers to it. NULL: no memory. */
struct load *load_ref(struct loads *all, const struct view_endpoint *e);
void load_unref(struct loads *all, struct load *l);
struct load *load_find(const struct loads *all, const struct view_endpoint *e); /* NULL: none */
void loads_fini(struct loads *all); /* frees what is still referred to as well */

/* A try took so long; or is to be counted so. */
void load_observe(struct load *l, double us, mono_ms now);
double load_latency_us(const struct load *l, mono_ms now); /* 0: nothing is known */
/* The cost of one more request: expected latency x (requests in flight + 1). The latency is LOAD_UNKNOWN_US, or the round trip if that
 * is more, while nothing is known, and at least the lesser of the round trip and of what was known before it decayed. */
double load_cost(const struct load *l, mono_ms now);
/* Nothing is known of it, and nobody is about to learn: by its cost alone it would wait until all who answer fast had been forgotten. */
static inline bool load_is_unasked(const struct load *l)
{
    return l->latency_us == 0 && l->outstanding == 0;
}
/* Whether it is healthy, as a view of `now` says. One that becomes so is new; not so one that was when it was first looked at
 * by somebody who knew nothing of its service (`is_first`). */
void load_judge(struct load *l, bool is_well, bool is_first, mono_ms now);
/* The share of what it would get that a new endpoint does, rising from LOAD_COLD_MIN_PPM to 1000000 over slow_start_ms. */
uint32_t load_warmth_ppm(const struct load *l, uint64_t slow_start_ms, mono_ms now);

#endif
