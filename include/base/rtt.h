/* Round trips, as TCP measures them (Jacobson and Karels 1988; RFC 6298, section 2): mean and mean deviation, kept
 * as its eighth and fourth parts in 16 bits, so round trips above RTT_MAX_MS count as that. Zero: nothing was measured yet. */
#ifndef BASE_RTT_H
#define BASE_RTT_H

#include <stdint.h>

enum { RTT_MAX_MS = 4000 };

static inline void rtt_sample(uint16_t *eighths, uint16_t *var_fourths, uint64_t ms)
{
    uint32_t r = ms < RTT_MAX_MS ? (uint32_t)ms : RTT_MAX_MS, mean = *eighths / 8u;
    if (*eighths == 0) {
        *eighths = (uint16_t)(r > 0 ? 8 * r : 1);
        *var_fourths = (uint16_t)(2 * r);
        return;
    }
    uint32_t off = r > mean ? r - mean : mean - r;
    *var_fourths = (uint16_t)(*var_fourths - *var_fourths / 4 + off);
    *eighths = (uint16_t)(*eighths - *eighths / 8 + r);
    *eighths = *eighths == 0 ? 1 : *eighths;
}

/* Mean plus four deviations; 0: nothing was measured yet. */
static inline uint32_t rtt_timeout_ms(uint16_t eighths, uint16_t var_fourths)
{
    return eighths == 0 ? 0 : eighths / 8u + var_fourths + 1;
}

#endif
