/* What the files that conduct an exchange share: exchange.c (its life: start, refusals, time, end), tries.c (endpoints and back
 * sides, one try after another), relay.c (messages from side to side). What they only ask is in decide.h and refusal.h. */
#ifndef EXCHANGE_INNER_H
#define EXCHANGE_INNER_H

#include "exchange/decide.h"
#include "exchange/exchange.h"

static inline bool exchange_is_http(const struct exchange *x)
{
    return x->facts.protocol == PROTOCOL_HTTP;
}
static inline void exchange_heard(struct exchange *x, mono_us now_us)
{
    if (now_us > x->now_us)
        x->now_us = now_us;
}
static inline mono_ms exchange_now(const struct exchange *x)
{
    return x->now_us / 1000;
}
void exchange_move(struct exchange *x, enum exchange_state to); /* asserts that it may */
void exchange_tell_owner(struct exchange *x);
/* OVER: both sides are finished, the owner is told. */
void exchange_finish(struct exchange *x);
/* PAUSING, and the pause (resume_at) is over. */
void exchange_resume(struct exchange *x);
/* The back side is cut and forgotten, and another one may come. */
void exchange_drop_back(struct exchange *x);
void exchange_flag_once(struct exchange *x, enum exchange_flag f);
/* Tells the front why not, as far as it can still be told, and ends. */
void exchange_refuse(struct exchange *x, const struct exchange_refusal *r);
/* relay.c: the request's head to the back side, edited where that is an application. False: it cannot be, and was refused. */
bool exchange_give_request(struct exchange *x);
/* Borrowed bytes into a text of `cap` bytes with its end; cut where it does not fit. */
void exchange_copy_name(char *to, size_t cap, struct bytes name);

#endif
