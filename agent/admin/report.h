/* What the agent knows, as JSON: each function returns a new reference (the caller decrefs), or NULL without
 * memory. The keys are a contract with scripts; docs/commands.md lists them. */
#ifndef ADMIN_REPORT_H
#define ADMIN_REPORT_H

#include <jansson.h>

#include "control/control.h"

json_t *report_status(const struct control *c);
json_t *report_members(const struct control *c); /* in members.c; by name */
/* [{id, name, why, at}], the newest first: who was cut because a key of theirs was revoked. */
json_t *report_revoked(const struct control *c);
/* {from, to, rtt_us, rtt_measured_us}: the round trip between two members by name; an empty one is this host. NULL
 * and `told` says so: no such member. */
json_t *report_rtt(const struct control *c, struct bytes from, struct bytes to, struct buf *told);
json_t *report_services(const struct control *c); /* by service, then by member */
json_t *report_root(const struct control *c);     /* {epoch, chain, root: hex, before: hex} */
/* What would become of a request: why_answer() with this agent's view and credential, and the policy in force. */
json_t *report_why(const struct control *c, const json_t *request, struct buf *told);

/* For other reports, too. A number beyond 2^63-1 is a text. */
json_t *json_of_number(uint64_t v);
json_t *json_of_hex(struct bytes b);
json_t *json_of_id(const struct node_id *id);

#endif
