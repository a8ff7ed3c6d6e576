/* The swarm: thousands of short runs, each with its own mix of sizes, networks and faults, all drawn from the seed
 * ("Swarm Testing", Groce et al., ISSTA 2012: leaving kinds of trouble out of a run finds more than having all in
 * each). First the safety phase: things go wrong, and the oracles look at every event. Then the liveness phase: the
 * network heals, the faults end, and all who run must agree within a bound (as TigerBeetle's VOPR does it).
 *
 * Nothing is drawn while the world runs that depends on what hosts do, but for whom an act can be done to: so a
 * change in gossip/ changes a run, and its seed keeps its mix. */
#ifndef SIM_SWARM_H
#define SIM_SWARM_H

#include "sim/world.h"

/* The network and, unless it is given, the number of hosts. */
void swarm_draw(struct world_config *config);
void swarm_play(struct world *w);

#endif
