/* The tries of an exchange: which endpoint is asked, and whether another is when that one failed. The near agent chooses among the
 * endpoints of a service, the far agent has one application, of which it can only ask for a fresh connection. */
#ifndef EXCHANGE_TRIES_H
#define EXCHANGE_TRIES_H

#include "exchange/exchange.h"

/* The first try. Afterwards the exchange is SEEKING, or OVER with the refusal told to the front. */
void tries_begin_near(struct exchange *x);
void tries_begin_far(struct exchange *x, const struct addr *app);
/* The endpoint of the try that is ending stops counting as busy. */
void tries_leave(struct exchange *x);
/* An upgrade has not really ended when its request has: if it is granted, the direction goes on as a tunnel. */
bool tries_hold_end(const struct exchange *x);
/* The back side is gone and has been forgotten: another try, or the end. */
void tries_back_lost(struct exchange *x, enum exchange_loss loss);

#endif
