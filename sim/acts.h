/* What the stories have in common: their bounds, and acts that several of them begin or end with. */
#ifndef SIM_ACTS_H
#define SIM_ACTS_H

#include "sim/world.h"

enum { HOSTS_WITH_SEEDS = 3 };

mono_us acts_death_bound(const struct world *w);
mono_us acts_agree_bound(const struct world *w);

uint32_t acts_pick(struct world *w, uint32_t n); /* 0 to n - 1 */
/* All start within a second, and agree within the bound. False: they did not, which is a failure. */
bool acts_start_all(struct world *w);
uint32_t acts_some_of(const struct world *w, uint32_t part); /* one in `part` hosts, at least one */
uint32_t acts_other_host(struct world *w);                   /* any but the first */
/* Deals the hosts to the network's groups 0 and 1 at random, at least one to each. */
void acts_split(struct world *w);
void acts_stop_leavers(struct world *w);          /* the processes of those who were told to go */
uint64_t acts_deaths_told(const struct world *w); /* by those who run now, since they started */
/* Runs until all who are up hold this document. False: they do not within the bound, which is a failure. */
bool acts_all_have(struct world *w, const struct doc *d, mono_us bound);

#endif
