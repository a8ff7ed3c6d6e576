#include "sim/acts.h"

#include <math.h>

/* ---- bounds ---- */

/* Until a silent death is known to all: the probe that meets it, the suspicion (4 * log10 n seconds,
 * SWIM 4.2), the spreading; with room for the tail of random probing. */
mono_us acts_death_bound(const struct world *w)
{
    double n = w->config.hosts, log10_n = log10(n) < 1 ? 1 : log10(n);
    return SEC(20) + (mono_us)(8e6 * log10_n) + SEC(n / 100);
}

/* Until those who can reach each other agree again after a join, a heal, a restart. */
mono_us acts_agree_bound(const struct world *w)
{
    return acts_death_bound(w) + SEC(40);
}

/* ---- acts ---- */

uint32_t acts_pick(struct world *w, uint32_t n)
{
    return rng_below(&w->rng, n);
}

bool acts_start_all(struct world *w)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        world_after(w, acts_pick(w, (uint32_t)SEC(1)), h, host_start);
    return world_run(w, SEC(1)) && world_agree(w, acts_agree_bound(w), "all have started");
}

/* A fixed number of hosts, never the first: somebody has to be left to be joined. */
uint32_t acts_some_of(const struct world *w, uint32_t part)
{
    uint32_t n = w->config.hosts / part;
    return n > 0 ? n : 1;
}

uint32_t acts_other_host(struct world *w)
{
    return 1 + acts_pick(w, w->config.hosts - 1);
}

void acts_split(struct world *w)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        w->wire.group[h] = (uint8_t)acts_pick(w, 2);
    w->wire.group[0] = 0;
    w->wire.group[1] = 1;
}

void acts_stop_leavers(struct world *w)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (w->host[h].wants_to_leave)
            host_stop(w, h);
}

uint64_t acts_deaths_told(const struct world *w)
{
    uint64_t n = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        n += w->host[h].gossip ? gossip_stats(w->host[h].gossip)->deaths : 0;
    return n;
}

bool acts_all_have(struct world *w, const struct doc *d, mono_us bound)
{
    mono_us start = w->now;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        while (w->host[h].state == HOST_UP && w->host[h].disk.doc != d) {
            if (w->now - start > bound)
                return world_fail(w, "host %u is without version %llu after %llu ms", h,
                                  (unsigned long long)d->version,
                                  (unsigned long long)((w->now - start) / 1000));
            if (!world_run(w, MS(5)))
                return false;
        }
    samples_add(&w->figures.convergence, w->now - start);
    return true;
}
