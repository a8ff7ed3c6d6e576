#include "sim/acts.h"
#include "sim/faults.h"
#include "sim/story.h"

static void pause_a_while(struct world *w, uint32_t host)
{
    host_pause(w, host);
    world_after(w, MS(500) + acts_pick(w, (uint32_t)SEC(16)), host, host_resume);
}

/* A quarter of the hosts stop and go (Lifeguard, section V: slow message processing). */
void story_slow_nodes(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    uint32_t slow = acts_some_of(w, 4);
    for (int round = 0; round < 6 && world_is_well(w); round++) {
        for (uint32_t h = 0; h < slow; h++)
            world_after(w, acts_pick(w, (uint32_t)SEC(4)), w->config.hosts - 1 - h, pause_a_while);
        world_run(w, SEC(16));
    }
    if (world_run(w, SEC(20)))
        world_agree(w, acts_agree_bound(w), "the slow have recovered");
}

/* All hosts get too little CPU: stalls of up to 0.6 s, every second or two, in which packets queue and timers come late.
 * Nobody may be buried for it, and all must agree while it lasts. */
void story_starved(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    uint64_t deaths = acts_deaths_told(w);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        fault_begin(w, h, FAULT_STARVE, MS(400), MS(1500), w->now + SEC(60));
    if (!world_run(w, SEC(65)))
        return;
    if (acts_deaths_told(w) > deaths)
        world_fail(w, "%llu deaths are told of hosts that only lack CPU",
                   (unsigned long long)(acts_deaths_told(w) - deaths));
    world_agree(w, acts_agree_bound(w), "the CPU is enough again");
}
