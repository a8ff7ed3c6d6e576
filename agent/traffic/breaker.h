/* Circuit breakers: how much one agent lets be under way towards a service, over all its workers (POLICY: circuitBreaker). What
 * is over a limit is refused at once instead of queued, so that a service that has become slow does not tie up its callers
 * (Nygard, "Release It!", 2007; the three limits are those of Envoy's circuit breakers, counted for what a mesh of agents has):
 *
 *   connections  TCP connections, and requests that ask for an upgrade: each has a connection of the application to itself
 *   pending      of both kinds, those that wait for a link to be made, or for a connection to an application of this host
 *   requests     all other requests, from the choice of an instance to the end of the answer, over all tries
 *
 * Agents share their links among all services, so a link is no connection of any one service and is not counted.
 *
 * Pure, no clock; every function may be called by all workers at once. */
#ifndef TRAFFIC_BREAKER_H
#define TRAFFIC_BREAKER_H

#include <stdbool.h>

#include "policy/settings.h"
#include "trust/shorthash.h"

enum breaker_kind { BREAKER_CONNECTIONS, BREAKER_PENDING, BREAKER_REQUESTS, BREAKER_KINDS };
/* The key of the policy that limits it: "circuitBreaker.maxRequests". */
const char *breaker_key(enum breaker_kind kind);
uint32_t breaker_max(const struct policy_circuit_breaker *limits, enum breaker_kind kind);

enum {
    BREAKERS = 8192
}; /* services with something under way; those beyond are counted as one, and share its limits */

struct breakers;
struct breaker; /* of one service; lives as long as the table */
/* NULL: no memory. */
struct breakers *breakers_new(const struct shorthash_key *key);
void breakers_free(struct breakers *b);
/* Never NULL. Good for one use: what was entered there is left there, a later breaker_of() may give another. */
struct breaker *breaker_of(struct breakers *b, struct bytes service);

/* One more, if there are fewer than `max`. Each true is answered by one breaker_leave() of the same kind. */
bool breaker_enter(struct breaker *s, enum breaker_kind kind, uint32_t max);
void breaker_leave(struct breaker *s, enum breaker_kind kind);
/* How many there are, for people: of a service that is not in the table, 0. */
uint32_t breaker_count(const struct breakers *b, struct bytes service, enum breaker_kind kind);

#endif
