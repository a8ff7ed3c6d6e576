/* What arrives: each frame is judged by its stream's state and applied.
 *
 * Which frames may still come for a stream that both sides have finished? Its WINDOW or RESET may have
 * crossed our last frame: they are ignored, against the budget of control frames. A payload, END or a second
 * opening may not: each direction is finished by the peer's own word, so it knows. */
#include "mux/inner.h"

static bool is_peers_id(const struct mux *m, uint32_t id)
{
    return (id & 1) == (m->initiator ? 0 : 1);
}

/* Ids are dense: each new stream is the last one plus two (ADVERSARY M8: no reuse, no leap, no wrap). */
static bool is_opening(const struct mux *m, const struct frame *f)
{
    return is_peers_id(m, f->stream) && f->stream == m->next_peer_id && f->type >= MUX_HEAD &&
           f->type <= MUX_END;
}

static bool was_open(const struct mux *m, uint32_t id)
{
    return is_peers_id(m, id) ? id < m->next_peer_id : id < m->next_id;
}

static enum err refuse(struct mux_stream *s)
{
    struct mux *m = s->m;
    s->released = true;
    s->recv.discard = true;
    stream_reset(s, MUX_CODE_REFUSED);
    return budget_spend(&m->resets, m->now);
}

static enum err open_by_peer(struct mux *m, uint32_t id, struct mux_stream **out)
{
    if (m->open_theirs == MUX_STREAMS_MAX)
        return ERR_LIMIT;
    struct mux_stream *s = stream_new(m, NULL, false);
    if (!s)
        return ERR_NOMEM;
    s->id = id;
    m->next_peer_id += 2;
    *out = s;
    enum err e = table_add(&m->table, s);
    if (e != ERR_OK) {
        s->id = 0; /* not in the table */
        s->released = true;
        s->send.state = SEND_DONE;
        s->recv.state = RECV_RESET;
        stream_settle(s);
        return e;
    }
    if (m->going_away || m->unaccepted == MUX_UNACCEPTED_MAX)
        return refuse(s);
    m->unaccepted++;
    s->is_new = true;
    return ERR_OK;
}

/* The peer gave up on a stream of its own before it was done: rapid reset (CVE-2023-44487), ADVERSARY M1. One
 * that was not even polled is never shown to the owner, so nobody is dialled for it. */
static enum err on_reset(struct mux_stream *s, uint32_t code)
{
    struct mux *m = s->m;
    bool answers_ours = s->send.state == SEND_RESETTING || s->send.state == SEND_DONE;
    if (!s->ours && s->is_open && !answers_ours && budget_spend(&m->resets, m->now) != ERR_OK)
        return ERR_LIMIT;
    enum err e = mux_recv_reset(&s->recv, code);
    if (e != ERR_OK)
        return e;
    if (s->send.state != SEND_ENDED)
        stream_reset(s, code);
    if (s->is_new && s->recv.state == RECV_RESET)
        mux_stream_release(s);
    else {
        if (!s->recv.discard)
            stream_event(s, EV_READABLE);
        stream_wake_writer(s);
        stream_settle(s);
    }
    return ERR_OK;
}

static enum err on_window(struct mux_stream *s, uint32_t credit)
{
    enum err e = credit_tx_grant(&s->send.credit, credit);
    if (e == ERR_OK)
        stream_want_turn(s);
    return e;
}

static void readable(struct mux_stream *s)
{
    if (s->recv.discard)
        stream_want_control(s);
    else if (s->recv.message_type == 0)
        stream_event(s, s->is_new ? EV_OPENED | EV_READABLE : EV_READABLE);
}

static enum err on_payload(struct mux_stream *s, const struct frame *f)
{
    enum err e = mux_recv_payload(&s->recv, &s->m->pool, &s->m->credit_rx, f);
    if (e == ERR_OK)
        readable(s);
    return e;
}

static enum err on_end(struct mux_stream *s)
{
    enum err e = mux_recv_end(&s->recv);
    if (e != ERR_OK)
        return e;
    readable(s);
    stream_settle(s);
    return ERR_OK;
}

static enum err on_stream_frame(struct mux *m, const struct frame *f)
{
    struct mux_stream *s = table_find(&m->table, f->stream);
    enum err e = ERR_OK;
    bool is_control = f->type == MUX_RESET || (f->type == MUX_WINDOW && (!s || f->value < MUX_GRANT_SMALL));
    if (is_control && (!s || f->type == MUX_WINDOW))
        e = budget_spend(&m->controls, m->now);
    if (e == ERR_OK && !s) {
        if (is_control)
            return was_open(m, f->stream) ? ERR_OK : ERR_MALFORMED;
        e = is_opening(m, f) ? open_by_peer(m, f->stream, &s) : ERR_MALFORMED;
    }
    if (e != ERR_OK)
        return e;
    switch (f->type) {
    case MUX_END:
        return on_end(s);
    case MUX_RESET:
        return on_reset(s, f->value);
    case MUX_WINDOW:
        return on_window(s, f->value);
    default:
        return on_payload(s, f);
    }
}

static enum err on_link_credit(struct mux *m, uint32_t credit)
{
    if (credit < MUX_GRANT_SMALL && budget_spend(&m->controls, m->now) != ERR_OK)
        return ERR_LIMIT;
    enum err e = credit_tx_grant(&m->credit_tx, credit);
    if (e == ERR_OK)
        sched_unblock(&m->sched, m->now);
    return e;
}

/* One pong is owed at most: an honest peer has one ping under way, and a flood of them costs us nothing but
 * the budget. */
static enum err on_ping(struct mux *m, uint64_t token)
{
    m->want_pong = true;
    m->pong_token = token;
    return budget_spend(&m->controls, m->now);
}

static enum err on_pong(struct mux *m, uint64_t token)
{
    if (!m->ping_out || token != m->ping_token)
        return ERR_MALFORMED;
    m->ping_out = false;
    return ERR_OK;
}

/* Streams of ours that the peer has not heard of will not be taken: their owners are told now that they may
 * go elsewhere. */
static void refuse_unannounced(struct mux *m)
{
    struct sched_list *list[] = {&m->sched.fresh, &m->sched.bulk, &m->sched.blocked};
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
        struct sched_entry *e, *next;
        for (e = TAILQ_FIRST(list[i]); e; e = next) {
            next = TAILQ_NEXT(e, link);
            struct mux_stream *s =
                (struct mux_stream *)(void *)((char *)e - offsetof(struct mux_stream, turn));
            if (s->id != 0)
                continue;
            stream_reset(s, MUX_CODE_REFUSED);
            stream_event(s, EV_READABLE);
            stream_wake_writer(s);
            stream_settle(s);
        }
    }
}

static enum err on_goaway(struct mux *m)
{
    if (m->peer_going_away)
        return ERR_MALFORMED;
    m->peer_going_away = m->goaway_event = true;
    refuse_unannounced(m);
    return ERR_OK;
}

static enum err on_frame(struct mux *m, const struct frame *f)
{
    switch (f->type) {
    case MUX_LINK_CREDIT:
        return on_link_credit(m, f->value);
    case MUX_PING:
        return on_ping(m, f->token);
    case MUX_PONG:
        return on_pong(m, f->token);
    case MUX_GOAWAY:
        return on_goaway(m);
    default:
        return on_stream_frame(m, f);
    }
}

enum err mux_receive(struct mux *m, struct bytes record, mono_ms now)
{
    struct rd r = rd_init(record);
    m->now = m->heard_at = now;
    while (rd_left(&r) > 0) {
        struct frame f;
        enum err e = frame_decode(&r, &f);
        if (e == ERR_OK)
            e = on_frame(m, &f);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}
