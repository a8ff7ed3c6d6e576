/* Retry budgets: how many retries a service may cost beside its requests, counted for the agent as a whole. When everything fails,
 * retries must not multiply the load that made it fail (SRE Book, "Addressing Cascading Failures"; the form is that of Finagle's and
 * Linkerd's RetryBudget): retries of the last `interval` are at most `percent` of its requests, or minPerSecond of each of its
 * seconds if that is more.
 *
 * Time is cut into slices, BUDGET_SLICES to an interval. Requests are summed over a little less than an interval, retries over a
 * little more, so that the budget holds wherever an interval is laid. An interval shorter than a second counts as one.
 *
 * One budget for each (service, interval): a route with an interval of its own has its own. BUDGETS_MAX of them; a budget in which
 * nothing has happened for an interval gives its place to who comes, and if all are busy the others share one, which is stricter for
 * them only as far as minPerSecond goes.
 *
 * Used by all workers at once without locks. Every word is a slice's number and its count, moved on by compare-and-swap. A retry is
 * counted before it is granted, so that two who ask at once cannot both have the last one (both may be refused). */
#ifndef TRAFFIC_BUDGET_H
#define TRAFFIC_BUDGET_H

#include <stdalign.h>
#include <stdatomic.h>

#include "policy/settings.h"

enum {
    BUDGET_SLICES = 8,
    BUDGET_RING = BUDGET_SLICES + 1,
    BUDGETS_MAX = 1024,
    BUDGET_PROBES = 8, /* places where a budget may be */
    BUDGET_INTERVAL_MIN_MS = 1000,
};

struct budget {
    alignas(64) atomic_uint_fast64_t key; /* of (service, interval); 0: free */
    atomic_uint_fast64_t interval_ms;
    atomic_uint_fast64_t request[BUDGET_RING], retry[BUDGET_RING]; /* number of the slice << 32 | count */
};
struct budgets { /* zero-initialised */
    struct budget at[BUDGETS_MAX];
    struct budget rest; /* of those who found no place */
};

/* A request begins that may be retried by these rules. A retry is none. */
void budget_count(struct budgets *b, const char *service, const struct policy_retry *rules, mono_ms now);
/* May there be one more retry now? True: it is counted. */
bool budget_take(struct budgets *b, const char *service, const struct policy_retry *rules, mono_ms now);

/* For reports: the window as budget_take() sees it. */
struct budget_state {
    uint64_t requests, retries, allowed;
};
struct budget_state budget_state(struct budgets *b, const char *service, const struct policy_retry *rules,
                                 mono_ms now);

#endif
