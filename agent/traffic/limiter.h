/* Rate limits by GCRA, the generic cell rate algorithm (ITU-T I.371, annex A, in its virtual scheduling form; what a leaky bucket
 * as a meter decides too). With T = per / count and a bucket that remembers one time, the "theoretical arrival time" TAT:
 *
 *     now' = max(now, TAT);  granted if  now' + T - now <= burst x T,  and then  TAT = now' + T
 *     else refused; the next is granted in  TAT + T - burst x T - now
 *
 * So `burst` may come at once and one more every T: in any span t at most burst + t / T are granted. A bucket whose TAT has
 * passed is as good as new, which is why it can be given to another key without a trace.
 *
 * Buckets are of (service, place of the limit, what `per` names), not of a policy's version: a new rate goes on from the TAT that
 * the old one left, but never with more of a debt than the new one could have made.
 *
 * Bounded against who invents values (a header is whatever its sender says): buckets by value have a table of their own, cut in
 * LIMITER_SHARES; a limit's values all lie in one share. When a new value finds its window of a share full of buckets that are
 * not as good as new, it has none of its own: it shares one with all such values of its limit and calling service. So
 * invented values bring no more than a bucket for each place of the share and one besides, they take nobody's bucket away, and
 * who suffers beyond the cap are newcomers of the very caller who lets them through. (Two overflowing buckets may be one, by a
 * hash to LIMITER_COMMONS.) The hash is keyed: nobody can aim at a window.
 *
 * Time is counted in 1/16 us, T rounded up: no more is ever granted than said. The finest rate is thus 16 million a second.
 * Pure; every function may be called by all workers at once, and what they are granted together is exact, but for one case: two
 * workers who meet a new value in the same moment, one being halted between two instructions, may make two buckets of it, of
 * which one is forgotten: one request more. */
#ifndef TRAFFIC_LIMITER_H
#define TRAFFIC_LIMITER_H

#include "base/clock.h"
#include "policy/settings.h"
#include "trust/shorthash.h"

enum {
    LIMITER_SOURCES =
        16384, /* buckets of limits without `per` or by source: as many as callers, whose names are vouched for */
    LIMITER_SHARES = 16,         /* of the table of buckets by value, */
    LIMITER_SHARE_VALUES = 8192, /* each with so many: 2 MiB in all, touched as they are used */
    LIMITER_COMMONS = 1024,      /* buckets of those who found no other */
};

struct limiter;
/* NULL: no memory. */
struct limiter *limiter_new(const struct shorthash_key *key);
void limiter_free(struct limiter *l);

struct limiter_ask { /* all borrowed for the call */
    const struct policy_rate_limit *limit;
    struct bytes service;
    uint32_t place;      /* of the limit, among its service's */
    struct bytes caller; /* empty: unknown; all unknown callers are one source */
    struct bytes value;  /* of the header or cookie; empty where the request has none: those share a bucket */
};
/* 0: granted, and counted; else refused, and the next is granted in so many us, if no other takes it. */
mono_us limiter_take(struct limiter *l, const struct limiter_ask *a, mono_us now);
/* Takes back what limiter_take() granted at `now`: another limit refused the request. */
void limiter_give(struct limiter *l, const struct limiter_ask *a, mono_us now);
/* Buckets by value that had to be shared since the start. */
uint64_t limiter_crowded(const struct limiter *l);

#endif
