/* The sending half of a stream: what the owner queued, what the peer allows, and how the direction ends.
 *
 *   OPEN --end--> ENDING --END written--> ENDED       a RESET may follow the END (`stop`):
 *     |             |                                 "I no longer read, stop sending"
 *     +---reset-----+--> RESETTING --RESET written--> DONE */
#ifndef MUX_SEND_H
#define MUX_SEND_H

#include "mux/credit.h"
#include "mux/frame.h"
#include "mux/queue.h"

enum send_state { SEND_OPEN, SEND_ENDING, SEND_ENDED, SEND_RESETTING, SEND_DONE };

/* Which message may follow which: HEADs, then DATA, then one TRAILERS. The same order is enforced on the
 * peer. */
enum mux_phase { PHASE_HEADS, PHASE_DATA, PHASE_OVER };
/* Moves the phase; false: this type may not come now. */
static inline bool mux_phase_step(uint8_t *phase, uint8_t type)
{
    uint8_t next = type == MUX_HEAD ? PHASE_HEADS : type == MUX_DATA ? PHASE_DATA : PHASE_OVER;
    if (next < *phase || *phase == PHASE_OVER)
        return false;
    *phase = next;
    return true;
}

struct mux_send {
    struct mux_queue queue;
    struct credit_tx credit;
    uint32_t queued; /* cost of what is in the queue: payload, and MUX_MESSAGE_COST per HEAD or TRAILERS */
    uint32_t code;   /* of the RESET */
    uint8_t state, phase;
    bool in_message; /* part of the message at the front has been written; its credit is spent */
    bool stop;       /* a RESET is to follow the END */
};

void mux_send_init(struct mux_send *s);
/* The caller has checked for room. ERR_NOMEM: nothing queued. ERR_INVALID: out of order. */
must_check enum err mux_send_message(struct mux_send *s, struct mux_pool *p, enum mux_frame type,
                                     struct bytes payload);
size_t mux_send_data(struct mux_send *s, struct mux_pool *p, struct bytes d);
void mux_send_end(struct mux_send *s);
/* Drops what is queued and has RESET written; after END it becomes a `stop`. Returns the cost of what was
 * dropped. */
uint32_t mux_send_reset(struct mux_send *s, struct mux_pool *p, uint32_t code);

bool mux_send_is_over(
    const struct mux_send *s); /* END or RESET is written: the direction is finished on the wire */
bool mux_send_wants_end(const struct mux_send *s);   /* END can be written now */
bool mux_send_wants_reset(const struct mux_send *s); /* RESET can be written now */
/* Credit that must be there before a payload frame can be written: 0 in mid-message. Only with a queue that
 * is not empty. */
size_t mux_send_credit_needed(const struct mux_send *s);
bool mux_send_is_ready(const struct mux_send *s); /* has payload, and the stream's credit for it */

/* Writes one HEAD, DATA or TRAILERS frame of at most `limit` payload bytes (more for nothing but the room in
 * w), spending the stream's credit and the link's. The caller has made sure that mux_send_credit_needed() is
 * there in both and that w has room for at least FRAME_MESSAGE_BYTES + 1. *cost is how much of `queued` went.
 * Returns the payload bytes written. */
size_t mux_send_write(struct mux_send *s, struct mux_pool *p, uint32_t stream, size_t limit,
                      struct credit_tx *link, struct wr *w, uint32_t *cost);
void mux_send_write_end(struct mux_send *s, uint32_t stream, struct wr *w);
void mux_send_write_reset(struct mux_send *s, uint32_t stream, struct wr *w);

#endif
