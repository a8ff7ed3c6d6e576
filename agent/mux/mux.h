/* Streams over one TCP link: frames inside sealed records, credit per stream and per link, fair scheduling.
 * Sans-I/O.
 *
 * A stream carries typed messages in order, each way: HEAD, DATA, TRAILERS, then END, or RESET at any time.
 * HEAD and TRAILERS are atomic (at most MUX_MESSAGE_MAX); DATA is bytes and may be cut and joined. What the
 * messages mean is http/'s and exchange/'s matter. All payload bytes count against the stream's and the
 * link's credit; credit is returned when the reader consumes, not when bytes arrive (mux_consume), so memory
 * is bounded by the windows. A peer that exceeds its credit, reuses an id, uses the wrong parity or an
 * unknown frame ends the link. Streams that have little to send go before streams that have much: a bulk
 * stream never starves a small request. A record is filled once per turn with whatever is ready. RFC 9113
 * sections 5 and 6 are the model; the layout is drawn in docs/protocol.md. */
#ifndef MUX_MUX_H
#define MUX_MUX_H

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"

enum {
    MUX_MESSAGE_MAX = 63 * 1024,       /* one HEAD or TRAILERS */
    MUX_STREAM_WINDOW = 256 * 1024,    /* bytes one stream may have under way */
    MUX_LINK_WINDOW = 8 * 1024 * 1024, /* bytes all streams of a link may have under way */
    MUX_STREAMS_MAX = 4096,            /* open at once, per side that opened them */
    MUX_MESSAGE_COST = 32,             /* credit a HEAD or TRAILERS costs beside its bytes */
    MUX_UNACCEPTED_MAX = 1024,  /* opened by the peer and not yet polled; more are answered with RESET (M2) */
    MUX_OPENS_PER_FILL = 256,   /* streams one record may open, so that an honest peer stays below that */
    MUX_SEND_SHARE = 64 * 1024, /* a stream may queue, when all of the link together hold MUX_LINK_WINDOW */
    MUX_FILL_MIN = 64,          /* smallest cap of mux_fill() */
    MUX_PING_IDLE_MS = 10000,   /* silence after which a ping is sent */
    MUX_PING_TIMEOUT_MS = 20000, /* and after which the link is given up: 30 s in all (ADVERSARY M11) */
};

/* Reasons in RESET that mux itself gives; the layers above define their own below 0xffffff00. */
#define MUX_CODE_CANCEL  UINT32_C(0xffffff00) /* released unfinished */
#define MUX_CODE_REFUSED UINT32_C(0xffffff01) /* never looked at: safe to try again elsewhere */

enum mux_frame {
    MUX_HEAD = 1,
    MUX_DATA,
    MUX_TRAILERS,
    MUX_END,
    MUX_RESET,
    MUX_WINDOW,
    MUX_LINK_CREDIT,
    MUX_PING,
    MUX_PONG,
    MUX_GOAWAY
};

struct mux;
struct mux_stream; /* lives until mux_stream_release(); events for it stop then */

struct mux *mux_new(bool initiator, mono_ms now);
void mux_free(struct mux *m); /* NULL is fine; every stream that was polled must have been released */

/* Applies one record's plaintext; drain the events soon after. ERR_MALFORMED or ERR_LIMIT: the peer broke the
 * rules, ERR_NOMEM: we could not keep up with them; after each close the link. */
must_check enum err mux_receive(struct mux *m, struct bytes record, mono_ms now);
/* Fills at most cap bytes (>= MUX_FILL_MIN) of frames to be sealed as one record; 0: nothing is ready. */
size_t mux_fill(struct mux *m, uint8_t *out, size_t cap, mono_ms now);
bool mux_has_ready(const struct mux *m); /* mux_fill() has something to write (it may still find that the peer
                                            gave no credit) */
/* ERR_TIMEOUT: the peer has been silent too long; close the link. */
must_check enum err mux_tick(struct mux *m, mono_ms now);
mono_ms mux_deadline(const struct mux *m);

/* Opens a stream; NULL: too many, or going away, or no memory. `owner` comes back with its events. */
struct mux_stream *mux_open(struct mux *m, void *owner);
void mux_stream_owner_set(struct mux_stream *s, void *owner);
void *mux_stream_owner(const struct mux_stream *s);
/* Forgets the stream; resets it first if it is not finished both ways. After mux_stream_end() what is queued
 * still goes out, and the peer is only told that nobody reads any more (RESET after END). */
void mux_stream_release(struct mux_stream *s);

/* Queues a message. HEAD and TRAILERS are taken whole or not at all: ERR_AGAIN until mux_stream_writable()
 * has room, ERR_LIMIT if over MUX_MESSAGE_MAX. ERR_CLOSED after end or reset, the peer's too. ERR_INVALID:
 * out of order (HEADs, DATA, one TRAILERS). Bytes are copied. */
must_check enum err mux_stream_message(struct mux_stream *s, enum mux_frame head_or_trailers,
                                       struct bytes payload);
/* Queues up to d.len bytes of DATA and returns how many were taken; the rest when a WRITABLE event comes. */
size_t mux_stream_write(struct mux_stream *s, struct bytes d);
size_t mux_stream_writable(const struct mux_stream *s); /* bytes that would be taken now */
void mux_stream_end(struct mux_stream *s);
void mux_stream_reset(struct mux_stream *s, uint32_t code);

/* Reading: the message at the front. type 0: nothing now. DATA payloads are as long as is contiguous.
 * Borrowed until consumed. */
struct mux_message {
    uint8_t type; /* enum mux_frame: HEAD, DATA, TRAILERS, END, RESET; 0 = none */
    struct bytes payload;
    uint32_t code; /* RESET; it may also come after END: the peer stopped reading. It stays at the front */
};
struct mux_message mux_stream_peek(const struct mux_stream *s);
void mux_stream_consume(
    struct mux_stream *s,
    size_t n); /* of the front payload; HEAD, TRAILERS, END: whole (n = payload.len). Returns credit */

enum mux_event_type { MUX_EV_OPENED, MUX_EV_READABLE, MUX_EV_WRITABLE, MUX_EV_GOAWAY };
struct mux_event {
    enum mux_event_type type;
    struct mux_stream *stream;
    void *owner;
};
/* Next event, coalesced per stream: READABLE also for END and RESET. OPENED comes with the stream's first
 * whole message, followed by a READABLE; a stream that is reset before that is never shown. */
bool mux_poll_event(struct mux *m, struct mux_event *out);

void mux_goaway(struct mux *m); /* no new streams will be accepted; open ones finish */
size_t mux_stream_count(
    const struct mux *m); /* released ones included that still have something to send or to hear */
/* Bytes of memory that unread and unsent payloads hold now. What a peer can make us hold is at most
 * MUX_RECEIVED_MAX. */
size_t mux_buffered(const struct mux *m);
/* The link's credit, and per stream one block partly read and one partly filled (queue.h). */
#define MUX_RECEIVED_MAX ((size_t)MUX_LINK_WINDOW * 2 + (size_t)MUX_STREAMS_MAX * 2 * 18 * 1024)

#endif
