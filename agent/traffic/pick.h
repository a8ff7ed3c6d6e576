/* Which instance gets the next request. First how near: levels by `locality`, among which requests spread by health
 * (spread.h), then the services of `failover`. Then who of that level, by `loadBalancer`:
 *
 *   peakEwma      of two drawn at random the one where a request costs less: expected latency x (requests in flight + 1)
 *   leastRequest  of two drawn at random the one with fewer in flight (Mitzenmacher, "The Power of Two Choices in Randomized
 *                 Load Balancing", 2001)
 *   roundRobin    one after the other; a view that changes goes on behind who was last
 *   random
 *   ringHash, maglev   by the key of the request (keytable.h); without one as leastRequest
 *
 * Candidates are the instances of a service that carry the subset's labels, are healthy and not draining, on
 * a live member, and not tried before for this request. A suspect or degraded member serves only when no other is
 * left: suspicion is often wrong, and a wrong suspicion of everybody must not stop traffic. One that is new gets a share that
 * rises over `slowStart`; not by a hash, where the key's place is what counts.
 *
 * One `struct traffic` per worker, never shared. No clock; the same seed and calls give the same choices. */
#ifndef TRAFFIC_PICK_H
#define TRAFFIC_PICK_H

#include "traffic/shared.h"

enum {
    TRAFFIC_TRIED_MAX = 11, /* endpoints of one request that are remembered (retry.attempts is at most 10) */
    TRAFFIC_FAILOVER_MAX = 8, /* services of `failover`; the language has no more */
};

struct traffic;
/* `shared` is borrowed; NULL where only a question is asked: nobody is ejected, nothing is limited. NULL: no memory. */
struct traffic *traffic_new(struct traffic_shared *shared, uint64_t seed);
void traffic_free(struct traffic *t);
/* What it was made with. */
struct traffic_shared *traffic_shared_of(const struct traffic *t);

struct traffic_tried { /* zero-initialise per request */
    size_t count;
    const struct view_endpoint *at[TRAFFIC_TRIED_MAX]; /* of the pinned view */
};
/* When it is full, the newest takes the place of the one before it: who was just tried is always known. */
void traffic_tried_add(struct traffic_tried *tried, const struct view_endpoint *e);

enum traffic_why {
    TRAFFIC_PICKED,
    TRAFFIC_NO_INSTANCE, /* nobody offers the service: 503 UH */
    TRAFFIC_NO_SUBSET,   /* nobody carries the subset's labels: 503 NR, never "any instance" */
    TRAFFIC_NO_HEALTHY,  /* all unhealthy, draining or on dead members: 503 UH */
    TRAFFIC_ALL_TRIED, /* none left that this request has not tried; ask again without `tried` to repeat one:
                          503 UH */
    TRAFFIC_FAILOVER, /* too few are healthy: ask for that service, if the caller may; else bar it and ask again */
    TRAFFIC_NO_MEMORY, /* 503 UO */
};
/* Envoy's response flag ("UH", "NR"; "" when picked) and one line for people. Static. */
const char *traffic_why_flag(enum traffic_why why);
const char *traffic_why_text(enum traffic_why why);

/* What is wanted. Borrowed for the call; all of the pinned view and its policy. */
struct traffic_ask {
    /* By its serial it is known again: views with the same one are the same. */
    const struct view *view;
    const struct view_service *service;     /* NULL: not in the view */
    const struct policy_subset *subset;     /* NULL: any instance */
    const struct policy_settings *settings; /* of the service */
    /* Services that stand in when too few are healthy, in this order; bit i of `barred`: not the i-th. */
    const struct policy_service *const *failover;
    size_t failover_count;
    uint32_t failover_barred;
    /* Of the value of load_balancer.key in this request: policy_key_hash(). */
    bool has_key;
    uint64_t key;
    const struct traffic_tried *tried; /* NULL: none */
    mono_ms now;
};
struct traffic_choice {
    /* Lives as long as its view; NULL if there is none, and `why` says why. */
    const struct view_endpoint *endpoint;
    enum traffic_why why;
    size_t failover; /* with TRAFFIC_FAILOVER: which */
    bool panic;      /* the unhealthy were among those to choose from: too few were healthy */
};
/* Does not count the request: traffic_begin() does. */
struct traffic_choice traffic_pick(struct traffic *t, const struct traffic_ask *ask);

/* A request to this endpoint begins, and ends, exactly once each. Counted by the endpoint's identity (node
 * and service), so that the view may change in between. What it is counted in (load.h) lives until the end. NULL: there is no memory,
 * it is not counted. */
struct load *traffic_begin(struct traffic *t, const struct view_endpoint *e);
struct load *traffic_load(const struct traffic *t,
                          const struct view_endpoint *e); /* NULL: nobody has begun */
enum traffic_end_kind {
    TRY_ANSWERED,  /* the head of an answer came; on tcp: the application was reached */
    TRY_UNREACHED, /* no connection, or no stream, could be made */
    TRY_RESET,     /* it was, and ended before an answer */
    TRY_TIMEOUT,   /* no answer in the time for the try, or for the request */
    TRY_CANCELLED, /* by the client, or us, for no fault of the endpoint */
};
struct traffic_outcome {
    enum traffic_end_kind kind;
    uint16_t status;     /* ANSWERED: of the answer, also of one that an agent gave in its place; 0: tcp */
    uint32_t latency_us; /* from the try's begin to the answer's head; if there was none, to its end */
};
void traffic_end(struct traffic *t, struct load *l_or_null, const struct traffic_outcome *o, mono_ms now);
size_t traffic_outstanding(const struct traffic *t, const struct view_endpoint *e);

/* Panic that began or ended: for the log, and a gauge that counts who panics. */
struct traffic_news {
    const char *service, *subset; /* "": any instance; borrowed until the next call */
    bool panics;
    uint32_t healthy, total;
    bool
        is_first; /* of all workers, to say that it began, or the last for whom it ended: one line is enough */
};
bool traffic_has_news(const struct traffic *t); /* cheap: asked each turn */
bool traffic_news_poll(struct traffic *t, struct traffic_news *out);
/* A new view: what panicked is counted anew, though nobody may ask for it again. */
void traffic_judge(struct traffic *t, const struct view *view, mono_ms now);

/* What an instance is. Up to UNHEALTHY it would take a request, and does in a panic. */
enum traffic_standing {
    TRAFFIC_CANDIDATE,
    TRAFFIC_SPARE, /* on a suspect or degraded member; serves when there is no CANDIDATE */
    TRAFFIC_EJECTED,
    TRAFFIC_UNHEALTHY,
    TRAFFIC_OTHER_SUBSET,
    TRAFFIC_DRAINING,
    TRAFFIC_UNREADY, /* its agent has no policy yet, and denies everything */
    TRAFFIC_DEAD
};
const char *traffic_standing_text(
    enum traffic_standing s); /* "candidate", "spare (suspect or degraded)", "other subset", ... */
/* For `starling why`: each instance of the service and what becomes of it. */
struct traffic_candidate {
    const struct view_endpoint *endpoint;
    enum traffic_standing standing;
    mono_ms ejected_until; /* EJECTED */
    bool is_used;          /* requests go there now */
    bool panic;            /* ... because its level panics */
    uint8_t rank;          /* index into locality.prefer, of the label it shares; prefer_count: none */
    uint32_t share_ppm;    /* of all requests goes to its level */
};
struct traffic_place {
    uint8_t rank; /* of a level, as above */
    bool panic;
    uint32_t healthy, total; /* total: without those that would take no request */
    uint32_t share_ppm;
};
struct
    traffic_places { /* what has instances, the nearest first; `failover` is counted only when levels cannot carry everything */
    size_t level_count, failover_count;
    struct traffic_place level[POLICY_PREFER_MAX + 1], failover[TRAFFIC_FAILOVER_MAX];
};
/* As traffic_pick() would choose; fills at most `cap`, in the order of the view, and returns how many there are. `ask->service`
 * may be NULL. */
size_t traffic_candidates(struct traffic *t, const struct traffic_ask *ask, struct traffic_places *places,
                          struct traffic_candidate *out, size_t cap);

#endif
