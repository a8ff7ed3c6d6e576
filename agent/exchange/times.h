/* What time ends: the request as a whole (`timeouts.request`), one try of it (`perTry`), silence (`idle`), a stream's life (`stream`).
 * Nothing is touched per byte: silence is looked for now and then, by whether anything was counted since. */
#ifndef EXCHANGE_TIMES_H
#define EXCHANGE_TIMES_H

#include "exchange/exchange.h"

/* At the start, when the route is known (near), or what is left as the call says (far). */
void times_begin_near(struct exchange *x, mono_ms now);
void times_begin_far(struct exchange *x, uint32_t deadline_ms, mono_ms now);
/* All of the request has been said, or there is somebody to say it to: when both are so, the time for one try begins. True:
 * it does, and the owner is to look at exchange_tick_at() again. */
bool times_request_sent(struct exchange *x);

#endif
