/* How traffic is spread over levels of instances, the nearest first, when some are not healthy: Envoy's priority levels ("Priority
 * levels", "Panic threshold" and "Degraded endpoints" of its documentation). Pure arithmetic; docs/traffic.md has the formula.
 *
 * A level with at least `failover_below` of its instances healthy is taken to carry everything. With fewer, its health is their share
 * times an overprovisioning factor, 1.4 where failover_below is 70 %, and in proportion else; what the first level cannot carry
 * goes to the second, and so on. Where all together cannot carry everything, each gets in proportion to its health, and a level with fewer than
 * `panic_below` panics: all its instances are used, healthy or not. */
#ifndef TRAFFIC_SPREAD_H
#define TRAFFIC_SPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SPREAD_ALL_PPM = 1000000,
    SPREAD_FACTOR_PPM = 980000, /* 1.4 x 70 %: over failover_below it is the overprovisioning factor */
    SPREAD_LEVELS_MAX = 16,
};

struct spread_level {
    uint32_t total;          /* instances that would take a request */
    uint32_t healthy, spare; /* of them; spare: on a member that may be lost */
    bool may_panic;          /* false: another service, which judges that for itself when it is asked */
};
struct spread {
    uint32_t
        upto_ppm[SPREAD_LEVELS_MAX]; /* a throw below it, and not below the one before, goes to this level */
    uint32_t panics;                 /* bit i: level i does */
    bool is_short;                   /* all together cannot carry everything */
    bool by_spares;                  /* nobody is healthy: the spares are used */
    bool is_nobody;                  /* no level can be used at all */
};
/* `count` is at most SPREAD_LEVELS_MAX. */
void spread_compute(struct spread *out, const struct spread_level *level, size_t count,
                    uint32_t failover_below_ppm, uint32_t panic_below_ppm);
/* The level that a throw of 0 to SPREAD_ALL_PPM - 1 goes to. Not when is_nobody. */
size_t spread_level_of(const struct spread *s, size_t count, uint32_t throw_ppm);

#endif
