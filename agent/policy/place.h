/* Where something is said: file and line of a key, for reports about a compiled policy, which keeps its texts as the trees
 * that it was compiled from. Nothing is parsed, so these may be asked on the control loop. */
#ifndef POLICY_PLACE_H
#define POLICY_PLACE_H

#include "policy/policy.h"

struct places {
    const struct policy *policy;
    const char
        *first_or_null; /* what to call the first text; NULL: by the name under which it was compiled */
};
/* Each appends "shop.yaml:12"; or "default" if it is said nowhere. */
/* "timeouts.request" as it holds for a service, or for one of its routes: said there, or in `defaults`. */
void place_of_setting(const struct places *p, const char *service, const char *route_or_null, const char *key,
                      struct buf *out);
/* A key of a route, and NULL: the route itself. */
void place_of_route(const struct places *p, const char *service, const char *route, const char *key_or_null,
                    struct buf *out);
/* An entry of `intentions`, `faults`, `egress` (`list`), by its name; those of parts are NAME/RULE, those of an overlay
 * overlay:NAME/RULE. */
void place_of_named(const struct places *p, const char *list, const char *name, struct buf *out);
/* The entry of the service's list (`rateLimits`) at this index. */
void place_of_entry(const struct places *p, const char *service, const char *list, size_t index,
                    struct buf *out);

#endif
