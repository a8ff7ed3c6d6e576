/* The conductor's struct, for the files that conduct (mux.c, intake.c, outgo.c, stream.c). The parts they
 * conduct (frame, queue, credit, send, recv, sched, budget) do not see it. */
#ifndef MUX_INNER_H
#define MUX_INNER_H

#include "mux/budget.h"
#include "mux/recv.h"
#include "mux/sched.h"
#include "mux/send.h"

enum {
    MUX_RESETS_MAX = 1024, /* streams a peer may open and reset in one go (M1); each stream that ends well
                              gives one back */
    MUX_RESETS_PER_S = 100,
    MUX_CONTROLS_MAX = 4096, /* pings, small grants and late frames in one go (M3) */
    MUX_CONTROLS_PER_S = 500,
    MUX_GRANT_SMALL = 4096,  /* a grant below costs one of them; ours are 32 times as large */
    MUX_SPARE_STREAMS = 256, /* kept for reuse per link */
    MUX_LINK_RESERVE =
        MUX_LINK_WINDOW / 4, /* link credit that streams with much under way leave to those with little */
    MUX_SHARE = 16 * 1024,   /* what is little */
};

enum { EV_OPENED = 1, EV_READABLE = 2, EV_WRITABLE = 4 };

struct mux_stream {
    struct mux *m;
    void *owner;
    struct mux_stream *hash_next;
    TAILQ_ENTRY(mux_stream) event_link, control_link, waiter_link;
    struct sched_entry turn;
    struct mux_send send;
    struct mux_recv recv;
    uint32_t id;        /* 0: not announced to the peer yet */
    uint32_t want_room; /* a writer waits for this many bytes of room; 0: none does */
    uint8_t events;     /* EV_*: pending */
    bool ours;          /* we opened it */
    bool is_open;       /* counts against MUX_STREAMS_MAX: unfinished on the wire */
    bool
        is_new; /* the peer opened it and the owner has not been told: only when there is something to read */
    bool in_control, released;
};
TAILQ_HEAD(stream_list, mux_stream);

struct mux_table { /* announced streams by id */
    struct mux_stream **slot;
    uint32_t size, count; /* size: 0 or a power of two */
};

struct mux {
    mono_ms now;
    bool initiator, going_away, peer_going_away, goaway_event;
    bool want_goaway, want_ping, want_pong;
    bool ping_out;                  /* a ping waits for its pong */
    uint32_t next_id, next_peer_id; /* to come: ours, theirs */
    uint32_t open_ours, open_theirs, unaccepted;
    size_t stream_count; /* every struct mux_stream but the spare ones */
    size_t queued;       /* cost of all send queues */
    uint64_t ping_token, pong_token;
    mono_ms heard_at, ping_at;
    struct credit_tx credit_tx;
    struct credit_rx credit_rx;
    struct budget resets, controls;
    struct mux_pool pool;
    struct mux_table table;
    struct sched sched;
    struct stream_list events, control, waiters;
    struct mux_stream *spare; /* by hash_next */
    uint32_t spare_count;
};

/* stream.c */
struct mux_stream *stream_new(struct mux *m, void *owner, bool ours); /* NULL: no memory */
void stream_event(struct mux_stream *s, uint8_t ev);                  /* no effect once released */
bool stream_wants_window(const struct mux_stream *s);                 /* a WINDOW is due */
void stream_want_control(struct mux_stream *s); /* puts it in line for WINDOW, END, RESET if one is due */
void stream_want_turn(struct mux_stream *s);    /* puts it in line for payload if there is some and credit */
void stream_wake_writer(struct mux_stream *s);  /* WRITABLE if there is the room its writer waits for */
void stream_reset(struct mux_stream *s, uint32_t code); /* drops what is queued, has RESET sent */
void stream_forget_reader(struct mux_stream *s);
/* After anything that may finish it: counts it out when finished on the wire, frees it when released as well.
 */
void stream_settle(struct mux_stream *s);

/* table.c */
must_check enum err table_add(struct mux_table *t, struct mux_stream *s);
void table_remove(struct mux_table *t, struct mux_stream *s);
struct mux_stream *table_find(const struct mux_table *t, uint32_t id);

#endif
