/* What the agent knows, as JSON: each function returns a new reference (the caller decrefs), or NULL without
 * memory. The keys are a contract with scripts; docs/commands.md lists them. */
#ifndef ADMIN_REPORT_H
#define ADMIN_REPORT_H

#include <jansson.h>

#include "control/control.h"

json_t *report_status(const struct control *c);
json_t *report_members(const struct control *c);
json_t *report_services(const struct control *c);
json_t *report_policy(const struct control *c);
/* `request`: {"from","to","method","path","query","headers":{}}. On a bad request returns NULL and fills in
 * `why`. */
json_t *report_why(const struct control *c, const json_t *request, struct buf *why);

#endif
