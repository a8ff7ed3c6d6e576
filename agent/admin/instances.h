/* `starling why` on instances: which of a target's may be chosen now, at which level of locality, and why not the others. Asks
 * the functions that choose (traffic/pick.h), by what the agent's workers have learned together. */
#ifndef ADMIN_INSTANCES_H
#define ADMIN_INSTANCES_H

#include "admin/why.h"

/* What a request for this target asks for; without a key to hash. */
struct traffic_ask instances_ask(const struct why_at *at, const struct policy_target *t);
/* Adds `endpoints`, `excluded`, `levels` and `standins` (docs/commands.md). */
void instances_add(json_t *target, const struct why_at *at, const struct policy_target *t);

#endif
