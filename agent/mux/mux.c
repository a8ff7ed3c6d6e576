/* A link's streams as a whole: its life, its clock, its events. Arrivals are in intake.c, departures in
 * outgo.c, the owner's calls in stream.c. */
#include "mux/mux.h"

#include <stdlib.h>

#include "mux/inner.h"

struct mux *mux_new(bool initiator, mono_ms now)
{
    struct mux *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->initiator = initiator;
    m->now = m->heard_at = now;
    m->next_id = initiator ? 1 : 2; /* the initiator's streams are odd, the other side's even */
    m->next_peer_id = initiator ? 2 : 1;
    m->credit_tx = credit_tx_init(MUX_LINK_WINDOW);
    m->credit_rx = credit_rx_init(MUX_LINK_WINDOW);
    m->resets = budget_init(MUX_RESETS_MAX, MUX_RESETS_PER_S, now);
    m->controls = budget_init(MUX_CONTROLS_MAX, MUX_CONTROLS_PER_S, now);
    sched_init(&m->sched);
    TAILQ_INIT(&m->events);
    TAILQ_INIT(&m->control);
    TAILQ_INIT(&m->waiters);
    return m;
}

static void free_spare_streams(struct mux *m)
{
    struct mux_stream *s;
    while ((s = m->spare)) {
        m->spare = s->hash_next;
        free(s);
    }
    m->spare_count = 0;
}

/* The link is gone: what was released and waited for the peer's last word need wait no more. */
static void end_released(struct mux *m)
{
    for (uint32_t i = 0; i < m->table.size; i++) {
        struct mux_stream *s, *next;
        for (s = m->table.slot[i]; s; s = next) {
            next = s->hash_next;
            s->send.state = SEND_DONE;
            s->recv.state = RECV_RESET;
            assert(s->released || s->is_new); /* else the owner's bug; a new one has never been shown */
            if (s->is_new)
                mux_stream_release(s);
            else
                stream_settle(s);
        }
    }
}

void mux_free(struct mux *m)
{
    if (!m)
        return;
    end_released(m);
    assert(m->stream_count == 0 && m->pool.bytes == 0);
    free_spare_streams(m);
    mux_pool_trim(&m->pool);
    free(m->table.slot);
    free(m);
}

enum err mux_tick(struct mux *m, mono_ms now)
{
    m->now = now;
    /* Counted from our ping, not from what was last heard: a loop that slept long must not take its own
     * silence for the peer's. Anything heard since is a sign of life as good as the pong. */
    if (m->ping_out && m->heard_at <= m->ping_at)
        return now >= m->ping_at + MUX_PING_TIMEOUT_MS ? ERR_TIMEOUT : ERR_OK;
    if (now < m->heard_at + MUX_PING_IDLE_MS)
        return ERR_OK;
    if (m->stream_count == 0) { /* idle: keep nothing for later */
        free_spare_streams(m);
        mux_pool_trim(&m->pool);
    }
    m->ping_at = now;
    if (!m->ping_out) { /* else the one under way still stands for us: its pong is on its way behind what was
                           heard */
        m->ping_out = m->want_ping = true;
        m->ping_token++;
    }
    return ERR_OK;
}

mono_ms mux_deadline(const struct mux *m)
{
    if (m->ping_out && m->heard_at <= m->ping_at)
        return m->ping_at + MUX_PING_TIMEOUT_MS;
    return m->heard_at + MUX_PING_IDLE_MS;
}

static uint8_t next_event_of(struct mux_stream *s, enum mux_event_type *type)
{
    if (s->events & EV_OPENED) {
        *type = MUX_EV_OPENED;
        return EV_OPENED;
    }
    *type = s->events & EV_READABLE ? MUX_EV_READABLE : MUX_EV_WRITABLE;
    return s->events & EV_READABLE ? EV_READABLE : EV_WRITABLE;
}

bool mux_poll_event(struct mux *m, struct mux_event *out)
{
    *out = (struct mux_event){.type = MUX_EV_GOAWAY};
    if (m->goaway_event) {
        m->goaway_event = false;
        return true;
    }
    struct mux_stream *s = TAILQ_FIRST(&m->events);
    if (!s)
        return false;
    uint8_t ev = next_event_of(s, &out->type);
    if (ev == EV_OPENED) {
        s->is_new = false;
        m->unaccepted--;
    }
    s->events &= (uint8_t)~ev;
    if (s->events == 0)
        TAILQ_REMOVE(&m->events, s, event_link);
    out->stream = s;
    out->owner = s->owner;
    return true;
}

void mux_goaway(struct mux *m)
{
    if (!m->going_away)
        m->going_away = m->want_goaway = true;
}

size_t mux_stream_count(const struct mux *m)
{
    return m->stream_count;
}

size_t mux_buffered(const struct mux *m)
{
    return m->pool.bytes;
}
