/* The part of `why` that a policy alone answers: what holds for a request that takes this route, each with the place where it is
 * said. Pure. */
#ifndef ADMIN_EXPLAIN_H
#define ADMIN_EXPLAIN_H

#include <jansson.h>

#include "policy/place.h"

struct explain_at {
    const struct policy *policy;
    const struct places *places; /* NULL: nothing is said of places */
    wall_s now;                  /* for the ends of faults */
};
/* What decided: `said` (of rule, audit_rule, route), and `match`, the one by which the route took the request. `s`, `r` and the rules may be NULL. */
void explain_decision(json_t *o, const struct explain_at *at, const struct policy_service *s,
                      const struct policy_route *r, const char *rule, const char *audit_rule,
                      const struct policy_request *rq);
/* settings, sticky, rewrite, mirror, request_headers, response_headers, fault, rate_limits, failover: null or empty without a
 * route. */
void explain_route(json_t *o, const struct explain_at *at, const struct policy_service *s,
                   const struct policy_route *r, const struct policy_request *rq);
/* The names of a set of features; a new reference. */
json_t *explain_features(uint64_t set);

#endif
