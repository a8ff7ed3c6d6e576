#include "traffic/spread.h"

#include <assert.h>

static uint64_t share_ppm(uint32_t part, uint32_t of)
{
    return of ? (uint64_t)part * SPREAD_ALL_PPM / of : 0;
}

/* What of all traffic a level can carry, ppm. */
static uint64_t health_of(uint32_t usable, uint32_t total, uint32_t failover_below_ppm)
{
    uint64_t share = share_ppm(usable, total);
    if (usable == 0)
        return 0;
    if (share >= failover_below_ppm)
        return SPREAD_ALL_PPM;
    uint64_t health = share * SPREAD_FACTOR_PPM / failover_below_ppm;
    return health < SPREAD_ALL_PPM ? health : SPREAD_ALL_PPM;
}

static uint32_t panics_of(const struct spread_level *level, size_t count, uint32_t panic_below_ppm)
{
    uint32_t panics = 0;
    for (size_t i = 0; i < count; i++)
        if (level[i].may_panic && level[i].total > 0 &&
            share_ppm(level[i].healthy + level[i].spare, level[i].total) < panic_below_ppm)
            panics |= UINT32_C(1) << i;
    return panics;
}

/* Gives each level its weight of what there is; what rounding leaves goes to the first that has any. */
static void share_out(struct spread *out, const uint64_t *weight, size_t count, uint64_t sum)
{
    uint64_t given = 0, rest = SPREAD_ALL_PPM;
    size_t first = count;
    for (size_t i = 0; i < count; i++) {
        uint64_t part = weight[i] * SPREAD_ALL_PPM / sum;
        part = part < rest ? part : rest;
        rest -= part;
        out->upto_ppm[i] = (uint32_t)(given += part);
        if (first == count && part > 0)
            first = i;
    }
    for (size_t i = first; i < count; i++)
        out->upto_ppm[i] += (uint32_t)rest;
}

void spread_compute(struct spread *out, const struct spread_level *level, size_t count,
                    uint32_t failover_below_ppm, uint32_t panic_below_ppm)
{
    uint64_t weight[SPREAD_LEVELS_MAX], sum = 0, healthy = 0;
    assert(count <= SPREAD_LEVELS_MAX);
    *out = (struct spread){0};
    for (size_t i = 0; i < count; i++)
        healthy += level[i].healthy;
    out->by_spares = healthy == 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t usable = out->by_spares ? level[i].spare : level[i].healthy;
        sum += weight[i] = health_of(usable, level[i].total, failover_below_ppm);
    }
    out->is_short = sum < SPREAD_ALL_PPM;
    if (out->is_short)
        out->panics = panics_of(level, count, panic_below_ppm);
    for (size_t i = 0; sum == 0 && i < count;
         i++) /* nobody is well anywhere: those who panic, by their size */
        weight[i] = out->panics >> i & 1 ? level[i].total : 0;
    uint64_t all = sum < SPREAD_ALL_PPM ? sum : SPREAD_ALL_PPM;
    for (size_t i = 0; sum == 0 && i < count; i++)
        all += weight[i];
    out->is_nobody = all == 0;
    if (all > 0)
        share_out(out, weight, count, all);
}

size_t spread_level_of(const struct spread *s, size_t count, uint32_t throw_ppm)
{
    size_t i = 0;
    while (i + 1 < count && throw_ppm >= s->upto_ppm[i])
        i++;
    return i;
}
