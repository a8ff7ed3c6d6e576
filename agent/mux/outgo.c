/* What leaves: one record is filled with the link's own frames, then the streams' control frames, then
 * payload in the order of the scheduler. Control frames are few and small and unblock the peer, so they go
 * first. */
#include "mux/inner.h"

static size_t room(const struct wr *w)
{
    return (size_t)(w->end - w->at);
}

static void fill_link_frames(struct mux *m, struct wr *w)
{
    if (m->want_goaway)
        frame_encode_goaway(w);
    if (m->want_pong)
        frame_encode_ping(w, MUX_PONG, m->pong_token);
    if (m->want_ping)
        frame_encode_ping(w, MUX_PING, m->ping_token);
    if (credit_rx_is_due(&m->credit_rx, 4))
        frame_encode_link_credit(w, credit_rx_return(&m->credit_rx));
    m->want_goaway = m->want_pong = m->want_ping = false;
}

/* Gives a stream its id when its first frame goes: so ids are dense in the order of the wire. False: not in
 * this record. */
static bool announce(struct mux_stream *s, unsigned *opens)
{
    struct mux *m = s->m;
    if (s->id)
        return true;
    if (*opens == MUX_OPENS_PER_FILL)
        return false;
    s->id = m->next_id;
    if (table_add(&m->table, s) != ERR_OK) {
        s->id = 0; /* memory is short: another turn */
        return false;
    }
    m->next_id += 2;
    (*opens)++;
    return true;
}

static void fill_control_of(struct mux_stream *s, struct wr *w)
{
    if (s->is_open && stream_wants_window(s))
        frame_encode_window(w, s->id, credit_rx_return(&s->recv.credit));
    if (s->is_open && mux_send_wants_end(&s->send))
        mux_send_write_end(&s->send, s->id, w);
    if (s->is_open && mux_send_wants_reset(&s->send))
        mux_send_write_reset(&s->send, s->id, w);
}

static void fill_control(struct mux *m, struct wr *w, unsigned *opens)
{
    struct mux_stream *s;
    while ((s = TAILQ_FIRST(&m->control)) && room(w) >= 3 * FRAME_CONTROL_BYTES && announce(s, opens)) {
        TAILQ_REMOVE(&m->control, s, control_link);
        s->in_control = false;
        fill_control_of(s, w);
        stream_settle(s);
    }
}

static bool link_allows(const struct mux_stream *s)
{
    /* Streams whose readers are slow could together take all of the link's credit; the last quarter is for
     * those that have little under way, so that a stalled stream does not stop others (ADVERSARY M6). */
    const struct credit_tx *own = &s->send.credit, *link = &s->m->credit_tx;
    size_t needed = mux_send_credit_needed(&s->send);
    bool is_little = own->window - own->left < MUX_SHARE;
    return needed == 0 || needed + (is_little ? 0 : MUX_LINK_RESERVE) <= link->left;
}

/* A message is cut in two only where that fills a record that is less than half full. */
static bool would_cut(const struct mux_stream *s, const struct wr *w)
{
    const struct mux_block *b = s->send.queue.head;
    return b->type != MUX_DATA && b->end - b->begin + FRAME_MESSAGE_BYTES > room(w) && wr_len(w) > room(w);
}

/* One turn of one stream. False: the record has no room for it. */
static bool fill_payload_of(struct mux_stream *s, struct wr *w, unsigned *opens)
{
    struct mux *m = s->m;
    uint32_t cost;
    if (room(w) <= 2 * FRAME_MESSAGE_BYTES || would_cut(s, w) || !announce(s, opens))
        return false;
    size_t n = mux_send_write(&s->send, &m->pool, s->id, sched_limit(&s->turn), &m->credit_tx, w, &cost);
    m->queued -= cost;
    /* A frame costs something even if it is empty, or empty HEADs would be free turns. */
    sched_charge(&m->sched, &s->turn, n + FRAME_MESSAGE_BYTES);
    if (!mux_send_is_ready(&s->send))
        sched_remove(&m->sched, &s->turn, m->now);
    if (mux_send_wants_end(&s->send) && room(w) >= FRAME_CONTROL_BYTES)
        mux_send_write_end(&s->send, s->id, w);
    stream_want_control(s);
    stream_wake_writer(s);
    stream_settle(s);
    return true;
}

static void fill_payload(struct mux *m, struct wr *w, unsigned *opens)
{
    struct sched_entry *e;
    while ((e = sched_next(&m->sched))) {
        struct mux_stream *s = (struct mux_stream *)(void *)((char *)e - offsetof(struct mux_stream, turn));
        if (!link_allows(s))
            sched_block(&m->sched, e);
        else if (!fill_payload_of(s, w, opens))
            break;
    }
}

/* The queues of the link together fell below their bound: writers held to their share may go on. */
static void wake_waiters(struct mux *m)
{
    struct mux_stream *s, *next;
    for (s = TAILQ_FIRST(&m->waiters); s; s = next) {
        next = TAILQ_NEXT(s, waiter_link);
        stream_wake_writer(s);
    }
}

size_t mux_fill(struct mux *m, uint8_t *out, size_t cap, mono_ms now)
{
    assert(cap >= MUX_FILL_MIN);
    struct wr w = wr_init(out, cap);
    unsigned opens = 0;
    bool was_full = m->queued >= MUX_LINK_WINDOW;
    m->now = now;
    fill_link_frames(m, &w);
    fill_control(m, &w, &opens);
    fill_payload(m, &w, &opens);
    if (was_full && m->queued < MUX_LINK_WINDOW)
        wake_waiters(m);
    assert(wr_ok(&w));
    return wr_len(&w);
}

bool mux_has_ready(const struct mux *m)
{
    return m->want_goaway || m->want_pong || m->want_ping || credit_rx_is_due(&m->credit_rx, 4) ||
           !TAILQ_EMPTY(&m->control) || !sched_is_empty(&m->sched);
}
