/* The replay buffer: what of a request's body has been sent, kept as long as it may have to be sent once more. The body streams on to the
 * back side meanwhile. Bounded twice: by `limits.replayBody` for one request, and by REPLAY_ALL_MAX for the agent; a body that does not
 * fit is let go at once, and its request is not retried from then on. A request without a body costs nothing here. */
#ifndef EXCHANGE_REPLAY_H
#define EXCHANGE_REPLAY_H

#include <stdatomic.h>

#include "http/message.h"

enum {
    REPLAY_ALL_MAX = 64 * 1024 * 1024
}; /* memory of all bodies that the agent keeps (kept.h); beyond it no more are kept */

struct replay {                /* zero-initialised: keeps nothing */
    struct buf body, trailers; /* trailers as between agents (mesh_trailers_encode) */
    size_t at;                 /* bytes of `body` that this try has been given */
    size_t max;
    atomic_size_t *all; /* memory that all exchanges keep */
    bool has_trailers;
    bool is_spoilt; /* something was sent that is not here */
};

/* `all` is shared by all workers and outlives this. */
void replay_begin(struct replay *r, size_t max, atomic_size_t *all);
/* Frees what is kept. If anything was, the request cannot be sent again. */
void replay_drop_kept(struct replay *r);
static inline void replay_drop(struct replay *r)
{
    r->max = 0;
    if (r->body.cap + r->trailers.cap > 0) /* of most requests nothing is */
        replay_drop_kept(r);
}

/* This has been sent to the back side, for the first time. */
void replay_data(struct replay *r, struct bytes d);
void replay_trailers(struct replay *r, const struct http_head *trailers);

/* Can all that has been sent be sent again? */
static inline bool replay_is_whole(const struct replay *r)
{
    return !r->is_spoilt;
}
/* Another try: it is to be given everything from the beginning. */
static inline void replay_rewind(struct replay *r)
{
    r->at = 0;
}
static inline bool replay_is_due(const struct replay *r)
{
    return r->at < r->body.len;
}
/* The next bytes that are due, at most `room`. Valid until the next call. */
struct bytes replay_next(struct replay *r, size_t room);
/* Those that it has (has_trailers), to be finished by the caller. ERR_NOMEM shows as a head that is empty. */
void replay_trailers_of(const struct replay *r, struct http_head *out);

#endif
