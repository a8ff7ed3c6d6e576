/* What the agent knows of policies and of who has them, as JSON; as report.h. */
#ifndef ADMIN_PUBLISHING_H
#define ADMIN_PUBLISHING_H

#include <jansson.h>

#include "control/control.h"

/* {epoch, version, hash} of what is in force; version 0: nothing. */
json_t *publishing_head(const struct enforced *f);
/* {epoch, version, step, steps, own_step, in_force_here, enforced_by, members, compared} and, if it is, halted: by what. null:
 * nothing is being rolled out. */
json_t *publishing_rollout(const struct staged *g);
void publishing_warn_of_rollout(json_t *list, const struct staged *g);
void publishing_warn(json_t *list, const struct enforced *f, wall_s now);
/* What is in force, or with {"version"} (and {"epoch"}, else the highest that has it) one of the history: its text, its signers, and
 * the delegates' parts that are in force with what is in force. NULL: `why` says why not; empty: no memory. */
json_t *publishing_policy(const struct control *c, const json_t *request, struct buf *why);
/* [{epoch, version, hash, since, signers, in_force}], newest first. */
json_t *publishing_history(const struct control *c);
/* Which member has what, held against the newest policy whose signatures this agent has seen: what it enforces itself, or what it
 * could not take (docs/commands.md). A member's word about itself decides nothing but its own line. */
json_t *publishing_status(const struct control *c);

#endif
