/* What the owner of a stream may do with it, and a stream's life.
 *
 * A stream has two lives that end separately: on the wire, until each direction has seen its END or RESET;
 * and in the owner's hands, until mux_stream_release(). What is released but not finished stays, unseen, so
 * that the peer's last frames find it and are judged by the rules. It is freed when both are over. */
#include <stdlib.h>

#include "mux/inner.h"

struct mux_stream *stream_new(struct mux *m, void *owner, bool ours)
{
    struct mux_stream *s = m->spare;
    if (s) {
        m->spare = s->hash_next;
        m->spare_count--;
    } else if (!(s = malloc(sizeof *s))) {
        return NULL;
    }
    *s = (struct mux_stream){.m = m, .owner = owner, .ours = ours, .is_open = true};
    mux_send_init(&s->send);
    mux_recv_init(&s->recv);
    m->stream_count++;
    if (ours)
        m->open_ours++;
    else
        m->open_theirs++;
    return s;
}

static void stream_free(struct mux_stream *s)
{
    struct mux *m = s->m;
    assert(s->events == 0 && !s->is_open && s->want_room == 0);
    m->queued -= s->send.queued;
    mux_queue_clear(&s->send.queue, &m->pool);
    sched_remove(&m->sched, &s->turn, m->now);
    if (s->in_control)
        TAILQ_REMOVE(&m->control, s, control_link);
    if (s->id)
        table_remove(&m->table, s);
    m->stream_count--;
    if (m->spare_count == MUX_SPARE_STREAMS) {
        free(s);
        return;
    }
    s->hash_next = m->spare;
    m->spare = s;
    m->spare_count++;
}

void stream_event(struct mux_stream *s, uint8_t ev)
{
    if (s->released)
        return;
    if (s->events == 0)
        TAILQ_INSERT_TAIL(&s->m->events, s, event_link);
    s->events |= ev;
}

static void drop_events(struct mux_stream *s)
{
    if (s->events)
        TAILQ_REMOVE(&s->m->events, s, event_link);
    if (s->is_new)
        s->m->unaccepted--;
    s->is_new = false;
    s->events = 0;
}

/* Nobody reads a released stream, but while we still flush, the peer may be flushing too, and neither would
 * ever get to the RESET behind its END without the other's credit. After our RESET it gets no more. */
bool stream_wants_window(const struct mux_stream *s)
{
    return mux_recv_wants_window(&s->recv) && (!s->recv.discard || s->send.state == SEND_ENDING);
}

void stream_want_control(struct mux_stream *s)
{
    bool due = stream_wants_window(s) || mux_send_wants_end(&s->send) || mux_send_wants_reset(&s->send);
    if (!due || s->in_control)
        return;
    s->in_control = true;
    TAILQ_INSERT_TAIL(&s->m->control, s, control_link);
}

void stream_want_turn(struct mux_stream *s)
{
    if (mux_send_is_ready(&s->send))
        sched_add(&s->m->sched, &s->turn, s->m->now);
}

static void want_room(struct mux_stream *s, size_t room)
{
    if (s->want_room == 0)
        TAILQ_INSERT_TAIL(&s->m->waiters, s, waiter_link);
    s->want_room = (uint32_t)room;
}

static void want_no_room(struct mux_stream *s)
{
    if (s->want_room)
        TAILQ_REMOVE(&s->m->waiters, s, waiter_link);
    s->want_room = 0;
}

void stream_wake_writer(struct mux_stream *s)
{
    if (s->want_room == 0 || (s->send.state == SEND_OPEN && mux_stream_writable(s) < s->want_room))
        return;
    want_no_room(s);
    stream_event(s, EV_WRITABLE);
}

void stream_reset(struct mux_stream *s, uint32_t code)
{
    s->m->queued -= mux_send_reset(&s->send, &s->m->pool, code);
    sched_remove(&s->m->sched, &s->turn, s->m->now);
    if (s->id == 0) { /* the peer never heard of it: finished without a word */
        s->send.state = SEND_DONE;
        s->recv.state = RECV_RESET;
        s->recv.code = code;
    }
    stream_want_control(s);
}

void stream_forget_reader(struct mux_stream *s)
{
    mux_recv_discard(&s->recv, &s->m->pool, &s->m->credit_rx, true);
}

void stream_settle(struct mux_stream *s)
{
    struct mux *m = s->m;
    if (s->is_open && mux_send_is_over(&s->send) && mux_recv_is_over(&s->recv)) {
        s->is_open = false;
        if (s->ours)
            m->open_ours--;
        else
            m->open_theirs--;
        if (s->send.state == SEND_ENDED && s->recv.state == RECV_ENDED)
            budget_refund(&m->resets, 1);
    }
    if (!s->is_open && s->released)
        stream_free(s);
}

struct mux_stream *mux_open(struct mux *m, void *owner)
{
    if (m->going_away || m->peer_going_away || m->open_ours == MUX_STREAMS_MAX)
        return NULL;
    /* Ids are given when the first frame goes; those still without one are counted as well: open_ours bounds
     * them. */
    if (m->next_id > FRAME_STREAM_MAX - 2 * MUX_STREAMS_MAX)
        return NULL;
    return stream_new(m, owner, true);
}

void mux_stream_owner_set(struct mux_stream *s, void *owner)
{
    s->owner = owner;
}

void *mux_stream_owner(const struct mux_stream *s)
{
    return s->owner;
}

void mux_stream_release(struct mux_stream *s)
{
    assert(!s->released);
    drop_events(s);
    want_no_room(s);
    s->released = true;
    stream_forget_reader(s);
    bool flushing = s->send.state == SEND_ENDING && s->id != 0;
    if (s->is_open && flushing && !mux_recv_is_over(&s->recv)) {
        s->send.code = MUX_CODE_CANCEL;
        s->send.stop = true;
        stream_want_control(s);
    } else if (s->is_open && !flushing) {
        stream_reset(s, MUX_CODE_CANCEL);
    }
    stream_settle(s);
}

enum err mux_stream_message(struct mux_stream *s, enum mux_frame type, struct bytes payload)
{
    assert(type == MUX_HEAD || type == MUX_TRAILERS);
    size_t cost = payload.len + MUX_MESSAGE_COST;
    if (payload.len > MUX_MESSAGE_MAX)
        return ERR_LIMIT;
    if (s->send.state != SEND_OPEN)
        return ERR_CLOSED;
    if (cost > mux_stream_writable(s)) {
        want_room(s, cost);
        return ERR_AGAIN;
    }
    enum err e = mux_send_message(&s->send, &s->m->pool, type, payload);
    if (e != ERR_OK)
        return e;
    s->m->queued += cost;
    stream_want_turn(s);
    return ERR_OK;
}

size_t mux_stream_write(struct mux_stream *s, struct bytes d)
{
    size_t room = mux_stream_writable(s);
    if (s->send.state != SEND_OPEN)
        return 0;
    size_t n = mux_send_data(&s->send, &s->m->pool, bytes_of(d.at, d.len < room ? d.len : room));
    s->m->queued += n;
    if (n < d.len) /* worth waking for: a quarter of the window, not a byte */
        want_room(s, MUX_STREAM_WINDOW / 4);
    stream_want_turn(s);
    return n;
}

size_t mux_stream_writable(const struct mux_stream *s)
{
    size_t max = s->m->queued < MUX_LINK_WINDOW ? MUX_STREAM_WINDOW : MUX_SEND_SHARE;
    return s->send.state == SEND_OPEN && s->send.queued < max ? max - s->send.queued : 0;
}

void mux_stream_end(struct mux_stream *s)
{
    mux_send_end(&s->send);
    want_no_room(s);
    stream_want_control(s);
}

void mux_stream_reset(struct mux_stream *s, uint32_t code)
{
    drop_events(s);
    want_no_room(s);
    mux_recv_discard(&s->recv, &s->m->pool, &s->m->credit_rx, false);
    if (s->is_open)
        stream_reset(s, code);
    stream_settle(s);
}

struct mux_message mux_stream_peek(const struct mux_stream *s)
{
    return mux_recv_peek(&s->recv);
}

void mux_stream_consume(struct mux_stream *s, size_t n)
{
    mux_recv_consume(&s->recv, &s->m->pool, &s->m->credit_rx, n);
    stream_want_control(s);
}
