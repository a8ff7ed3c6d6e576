/* A budget for what a peer may do that costs us work and it nothing: a token bucket in the caller's time. An
 * honest peer stays far below; a flood ends the link (ADVERSARY M1, M3). */
#ifndef MUX_BUDGET_H
#define MUX_BUDGET_H

#include "base/clock.h"
#include "base/err.h"

struct budget {
    uint32_t left, max, per_second;
    mono_ms at;
};

static inline struct budget budget_init(uint32_t max, uint32_t per_second, mono_ms now)
{
    return (struct budget){max, max, per_second, now};
}

static inline void budget_refund(struct budget *b, uint32_t n)
{
    b->left = n > b->max - b->left ? b->max : b->left + n;
}

/* ERR_LIMIT: it is used up. */
must_check static inline enum err budget_spend(struct budget *b, mono_ms now)
{
    uint64_t earned = (now - b->at) * b->per_second / 1000;
    if (earned > 0) {
        budget_refund(b, earned > b->max ? b->max : (uint32_t)earned);
        b->at = now;
    }
    if (b->left == 0)
        return ERR_LIMIT;
    b->left--;
    return ERR_OK;
}

#endif
