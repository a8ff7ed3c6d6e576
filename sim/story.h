/* The stories that the scenarios play (scenario.c: their networks and what they are about), by what goes wrong in
 * them. Each starts the hosts, acts on the world, lets it run and notes what must not be with world_fail(). */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include "sim/world.h"

/* story_life.c: hosts come and go */
void story_versions(struct world *w);
void story_join(struct world *w);
void story_rest(struct world *w);
void story_crash(struct world *w);
void story_rolling_restart(struct world *w);
void story_mass_restart(struct world *w);
void story_rack(struct world *w);
void story_churn(struct world *w);
void story_leave(struct world *w);
void story_restarts(struct world *w);
void story_in_phase(struct world *w);
void story_day(struct world *w);
void story_wiped_disk(struct world *w);

/* story_network.c: the network is cut, bad, thin */
void story_partition_heal(struct world *w);
void story_one_way(struct world *w);
void story_flapping(struct world *w);
void story_half_connected(struct world *w);
void story_congested(struct world *w);
void story_loss(struct world *w);
void story_apart(struct world *w);
void story_apart_draw(struct world_config *config); /* forgets the gone after an hour */
void story_partial_links(struct world *w);
void story_mangled(struct world *w);

/* story_hosts.c: single hosts are slow */
void story_slow_nodes(struct world *w);
void story_starved(struct world *w);
void story_paused(struct world *w);
void story_sluggish(struct world *w);
void story_moved(struct world *w);

/* story_news.c: what is told, and when it is known */
void story_policy(struct world *w);
void story_classes(struct world *w);

/* story_publish.c: a signed policy for all, and what is done against it */
void story_publish(struct world *w);
void story_replay(struct world *w);
void story_freeze(struct world *w);
void story_invent(struct world *w);
void story_fork(struct world *w);
void story_revoke(struct world *w);

/* story_rollout.c: a new version of the policy, step by step */
void story_rollout(struct world *w);
void story_rollout_draw(struct world_config *config);

/* story_hostile.c: some lie */
void story_forge(struct world *w);
void story_capture(struct world *w);
void story_lie(struct world *w);
void story_eclipse(struct world *w);
void story_byzantine(struct world *w);
void story_two_faced(struct world *w);

#endif
