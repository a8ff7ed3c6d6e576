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
    uint64_t slot = now / METER_SLOT_US, gone = slot - m->slot < METER_SLOTS ? slot - m->slot : METER_SLOTS;
    for (size_t i = (slot - gone + 1) % METER_SLOTS; gone > 0 && m->sum > 0; gone--) {
        m->sum -= m->in[i];
        m->in[i] = 0;
        i = i + 1 < METER_SLOTS ? i + 1 : 0;
    }
    m->slot = slot;
    m->in[slot % METER_SLOTS] += amount;
    m->sum += amount;
    m->peak = m->sum > m->peak ? m->sum : m->peak;
}

#endif
