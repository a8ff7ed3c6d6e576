/* `starling why` on instances: which of a target's may be chosen now, at which level of locality, and why not the others. Asks
 * the functions that choose (exchange/aim.h, traffic/pick.h), by what the agent's workers have learned together. */
#ifndef ADMIN_INSTANCES_H
#define ADMIN_INSTANCES_H

#include "admin/why.h"
#include "exchange/aim.h"

/* Adds `endpoints`, `excluded`, `levels` and `standins` (docs/commands.md). */
void instances_add(json_t *target, const struct why_at *at, const struct aim_ask *of);

#endif
