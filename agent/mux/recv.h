/* The receiving half of a stream: what the peer sent and the owner has not read, and how the direction ends.
 *
 *   OPEN --END--> ENDED (a RESET after it: `stopped`)
 *     +---RESET--> RESET
 *
 * After END or RESET the peer may send nothing more but, after END, one RESET. Each is shown to the owner once:
 * END after all that came before it, RESET at once. */
#ifndef MUX_RECV_H
#define MUX_RECV_H

#include "mux/credit.h"
#include "mux/frame.h"
#include "mux/queue.h"
#include "mux/send.h"

enum recv_state { RECV_OPEN, RECV_ENDED, RECV_RESET };

struct mux_recv {
    struct mux_queue queue;
    struct credit_rx credit;
    uint32_t unread;       /* cost of what is in the queue */
    uint32_t code;         /* of the RESET */
    uint16_t message_rest; /* bytes missing of the message under way */
    uint8_t message_type;  /* its type; 0: none is under way */
    uint8_t state, phase;
    bool stopped; /* a RESET came after the END */
    bool end_read;
    bool discard; /* nobody reads any more: what comes is counted, and its credit given back at once */
};

void mux_recv_init(struct mux_recv *r);
/* Applies a HEAD, DATA or TRAILERS. ERR_MALFORMED: out of order or after the end; ERR_LIMIT: beyond the
 * credit; ERR_NOMEM. The link must be closed after any of them. */
must_check enum err mux_recv_payload(struct mux_recv *r, struct mux_pool *p, struct credit_rx *link,
                                     const struct frame *f);
must_check enum err mux_recv_end(struct mux_recv *r);
must_check enum err mux_recv_reset(struct mux_recv *r, uint32_t code);

struct mux_message mux_recv_peek(const struct mux_recv *r);
void mux_recv_consume(struct mux_recv *r, struct mux_pool *p, struct credit_rx *link, size_t n);
/* Nobody will read. With `forget` the queue goes too; without, it stays for who still holds a peeked payload.
 */
void mux_recv_discard(struct mux_recv *r, struct mux_pool *p, struct credit_rx *link, bool forget);
bool mux_recv_is_over(
    const struct mux_recv *r); /* END or RESET came: the direction is finished on the wire */
bool mux_recv_wants_window(const struct mux_recv *r); /* a WINDOW frame is due */

#endif
