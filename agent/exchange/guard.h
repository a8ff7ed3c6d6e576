/* What keeps a service and its callers from harm, as far as an exchange has to do with it: the limits of a head, the circuit
 * breaker, the rate limits, and what becomes of a try as the outlier detector sees it. What is counted is counted for the agent
 * as a whole, in agent/traffic. Each refusal names the key of the policy that made it. */
#ifndef EXCHANGE_GUARD_H
#define EXCHANGE_GUARD_H

#include "exchange/exchange.h"

/* The first four return false where they have refused the exchange, which is then OVER. */

/* Near: `limits` of the head, 431. The reader's own limits stand before them. */
bool guard_head(struct exchange *x);
/* Near: the circuit breaker of the service that is to answer, 503 UO. Once per exchange, whatever it tries; left at its end. */
bool guard_enter(struct exchange *x);
void guard_leave(struct exchange *x);
/* Near: it waits for a connection, and no longer. */
bool guard_wait(struct exchange *x);
void guard_waited(struct exchange *x);
/* In front of an application that is `service`: `rateLimits`, 429 RL; on tcp the connection is closed. The route that a limit may
 * be for is found here, by the request as it was asked. */
bool guard_rate(struct exchange *x, const struct policy_service *service);

/* Near: an endpoint has been chosen; is this request its probe? And: what became of the try. */
void guard_chosen(struct exchange *x);
void guard_tried(struct exchange *x, const struct traffic_outcome *outcome);

#endif
