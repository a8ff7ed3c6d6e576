/* The tries of an exchange: which endpoint is asked, and whether another is when that one failed. The near agent chooses among the
 * endpoints of a service and retries as the route's policy says (retry.h); the far agent has one application, of which it can only ask
 * for a fresh connection.
 *
 *   SEEKING --back side--> SENDING --answer begins--> ANSWERING
 *      ^  \                   | unreached, refused, a status or a silence that is to be retried
 *      |   +---unreached--+   |
 *      +--after a pause-- PAUSING     what was sent of the body is kept meanwhile, and sent again (replay.h)
 *
 * The endpoint of a retry is chosen when its pause is over, from the view that the exchange began with. */
#ifndef EXCHANGE_TRIES_H
#define EXCHANGE_TRIES_H

#include "exchange/exchange.h"

/* The first try. Afterwards the exchange is SEEKING, or OVER with the refusal told to the front. */
void tries_begin_near(struct exchange *x);
void tries_begin_far(struct exchange *x, const struct addr *app);

/* How the try went, for who chooses endpoints; the first word counts: after the head of an answer nothing is a failure to answer any
 * more. Nothing said: it was cancelled. */
void tries_note(struct exchange *x, enum traffic_end_kind kind, uint16_t status);
/* The endpoint of the try that is ending stops counting as busy. */
void tries_leave(struct exchange *x);

/* The try has failed (SEEKING or SENDING), and the client would be told `status`. True: it will be made again, this one's back side is
 * forgotten, and the exchange is PAUSING. False: it is not, facts.wish says why if that was wanted, and nothing has changed. */
bool tries_again(struct exchange *x, enum retry_cause cause, uint16_t status);
void tries_resume(struct exchange *x); /* the pause is over */
/* No answer in the time for one try. */
void tries_timed_out(struct exchange *x);
/* The back side is gone and has been forgotten: another try, or the end. */
void tries_back_lost(struct exchange *x, enum exchange_loss loss);
/* Gives a new back side what another was given before, and the end of the request if that was there. False: it has no room now; call
 * again when it has. */
bool tries_send_kept(struct exchange *x);
/* What is kept is not needed any more, once all that is due of it has been given: after an answer has begun, and in the last try. */
void tries_let_go(struct exchange *x);
/* The flag for a failure: URX after retries that are used up. */
enum exchange_flag tries_flag(const struct exchange *x, enum exchange_flag f);
/* An upgrade has not really ended when its request has: if it is granted, the direction goes on as a tunnel. */
bool tries_hold_end(const struct exchange *x);

#endif
