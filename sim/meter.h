/* How much passes in any one second: the most that the last hundred hundredths of a second ever held. */
#ifndef SIM_METER_H
#define SIM_METER_H

#include "base/clock.h"

enum { METER_SLOTS = 100, METER_SLOT_US = 10 * 1000 };

struct meter {
    uint64_t slot; /* number of the latest */
    uint32_t sum, peak, in[METER_SLOTS];
};

static inline void meter_add(struct meter *m, mono_us now, uint32_t amount)
{
    uint64_t slot = now / METER_SLOT_US;
    for (uint64_t n = slot - m->slot < METER_SLOTS ? slot - m->slot : METER_SLOTS; n > 0; n--) {
        uint32_t *oldest = &m->in[(slot - n + 1) % METER_SLOTS];
        m->sum -= *oldest;
        *oldest = 0;
    }
    m->slot = slot;
    m->in[slot % METER_SLOTS] += amount;
    m->sum += amount;
    m->peak = m->sum > m->peak ? m->sum : m->peak;
}

#endif
