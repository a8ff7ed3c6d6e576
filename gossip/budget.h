/* budget.h: a byte budget per second, in integers: a token bucket a quarter of a second deep, refilled at three
 * quarters of the rate, so that in no second, wherever it begins, more than the budget is spent by those who ask
 * first. Probes and acks always pass and put it into debt; everything else waits while there is none left. */
#ifndef GOSSIP_BUDGET_H
#define GOSSIP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct budget {
    uint32_t bytes_per_second;
    int64_t millibytes; /* left; may be negative, down to one second's debt */
    mono_ms at;
};

static inline void budget_init(struct budget *b, uint32_t bytes_per_second, mono_ms now)
{
    *b = (struct budget){bytes_per_second, (int64_t)bytes_per_second * 250, now};
}

static inline void budget_refill(struct budget *b, mono_ms now)
{
    int64_t full = (int64_t)b->bytes_per_second * 250;
    uint64_t passed = now > b->at ? now - b->at : 0;
    b->at = now > b->at ? now : b->at;
    if (passed >= 2000)
        b->millibytes = full;
    else
        b->millibytes += (int64_t)(passed * b->bytes_per_second / 4 * 3);
    if (b->millibytes > full)
        b->millibytes = full;
}

static inline void budget_spend(struct budget *b, size_t bytes)
{
    b->millibytes -= (int64_t)bytes * 1000;
    if (b->millibytes < -(int64_t)b->bytes_per_second * 1000)
        b->millibytes = -(int64_t)b->bytes_per_second * 1000;
}

static inline bool budget_has(const struct budget *b)
{
    return b->millibytes > 0;
}

/* When it will have some again. */
static inline mono_ms budget_ready_at(const struct budget *b)
{
    return budget_has(b) ? b->at : b->at + (uint64_t)-b->millibytes * 4 / 3 / b->bytes_per_second + 1;
}

#endif
