/* Faults: requests that the near agent disturbs on purpose, because the policy says so: so many wait, so many are answered by the
 * agent itself, each thrown for on its own. */
#ifndef EXCHANGE_FAULT_H
#define EXCHANGE_FAULT_H

#include "exchange/exchange.h"
#include "exchange/refusal.h"

struct fault_throw {
    bool delays, aborts;
};
/* What becomes of a request that the fault fits; `dice`: uniform 64 bits. */
struct fault_throw fault_throw(const struct policy_fault *f, uint64_t dice);

/* What an aborted request is answered. */
struct exchange_refusal fault_refusal(const struct policy_fault *f, uint64_t policy_version);

/* ... and one whose time (timeouts.request) was over before its delay. */
struct exchange_refusal fault_late(const struct exchange *x);

/* An allowed request that fits the fault goes on as it was thrown for: it is PAUSING, was answered, or begins its first try. */
void fault_begin(struct exchange *x, const struct policy_fault *f, uint64_t dice);
/* Its delay is over. */
void fault_over(struct exchange *x);

#endif
