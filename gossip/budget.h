/* budget.h: a byte budget per second, in integers: a token bucket an eighth of a second deep, refilled at three quarters of the
 * rate. Most senders ask budget_has() first and wait while nothing is left. Probes and acks ask budget_may_owe(): they may put it
 * into debt, by a sixteenth of a second and one packet. So in any one second, wherever it begins, all together spend at most
 * fifteen sixteenths of the budget and two packets. */
#ifndef GOSSIP_BUDGET_H
#define GOSSIP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

enum { BUDGET_PACKET_BYTES = 1500 }; /* the largest at once of those who ask first */

struct budget {
    uint32_t bytes_per_second;
    int64_t millibytes; /* left; negative: owed */
    mono_ms at;
};

static inline void budget_init(struct budget *b, uint32_t bytes_per_second, mono_ms now)
{
    *b = (struct budget){bytes_per_second, (int64_t)bytes_per_second * 125, now};
}

static inline void budget_refill(struct budget *b, mono_ms now)
{
    int64_t full = (int64_t)b->bytes_per_second * 125;
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

static inline int64_t budget_debt_max(const struct budget *b)
{
    return ((int64_t)b->bytes_per_second / 16 + BUDGET_PACKET_BYTES) * 1000;
}

static inline bool budget_may_owe(const struct budget *b)
{
    return b->millibytes > -budget_debt_max(b);
}

/* When there will be more than `floor` of it again. */
static inline mono_ms budget_above_at(const struct budget *b, int64_t floor)
{
    return b->millibytes > floor
               ? b->at
               : b->at + (uint64_t)(floor - b->millibytes) * 4 / 3 / b->bytes_per_second + 1;
}

/* When it will have some again, and when somebody may owe again. */
static inline mono_ms budget_ready_at(const struct budget *b)
{
    return budget_above_at(b, 0);
}
static inline mono_ms budget_may_owe_at(const struct budget *b)
{
    return budget_above_at(b, -budget_debt_max(b));
}

#endif
