/* See send.h. */
#include "mux/send.h"

void mux_send_init(struct mux_send *s)
{
    *s = (struct mux_send){.credit = credit_tx_init(MUX_STREAM_WINDOW)};
}

enum err mux_send_message(struct mux_send *s, struct mux_pool *p, enum mux_frame type, struct bytes payload)
{
    uint8_t phase = s->phase;
    if (!mux_phase_step(&phase, (uint8_t)type))
        return ERR_INVALID;
    if (!mux_queue_push_message(&s->queue, p, type, payload.len))
        return ERR_NOMEM;
    mux_queue_extend(&s->queue, payload);
    s->phase = phase;
    s->queued += (uint32_t)payload.len + MUX_MESSAGE_COST;
    return ERR_OK;
}

size_t mux_send_data(struct mux_send *s, struct mux_pool *p, struct bytes d)
{
    if (!mux_phase_step(&s->phase, MUX_DATA))
        return 0;
    size_t n = mux_queue_push_data(&s->queue, p, d);
    s->queued += (uint32_t)n;
    return n;
}

void mux_send_end(struct mux_send *s)
{
    if (s->state == SEND_OPEN)
        s->state = SEND_ENDING;
}

uint32_t mux_send_reset(struct mux_send *s, struct mux_pool *p, uint32_t code)
{
    uint32_t dropped = s->queued;
    if (s->state == SEND_RESETTING || s->state == SEND_DONE)
        return 0;
    s->code = code;
    s->stop = s->state == SEND_ENDED;
    if (!s->stop)
        s->state = SEND_RESETTING;
    mux_queue_clear(&s->queue, p);
    s->queued = 0;
    return dropped;
}

bool mux_send_is_over(const struct mux_send *s)
{
    return s->state == SEND_ENDED || s->state == SEND_DONE;
}

bool mux_send_wants_end(const struct mux_send *s)
{
    return s->state == SEND_ENDING && !s->queue.head;
}

bool mux_send_wants_reset(const struct mux_send *s)
{
    return s->state == SEND_RESETTING || (s->state == SEND_ENDED && s->stop);
}

size_t mux_send_credit_needed(const struct mux_send *s)
{
    const struct mux_block *b = s->queue.head;
    assert(b);
    if (s->in_message)
        return 0;
    return b->type == MUX_DATA ? 1 : b->end - b->begin + (size_t)MUX_MESSAGE_COST;
}

bool mux_send_is_ready(const struct mux_send *s)
{
    return s->queue.head && mux_send_credit_needed(s) <= s->credit.left;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t write_data(struct mux_send *s, struct mux_pool *p, uint32_t stream, size_t limit,
                         struct credit_tx *link, struct wr *w)
{
    size_t room = least((size_t)(w->end - w->at) - FRAME_DATA_BYTES, FRAME_LENGTH_MAX);
    size_t n = mux_queue_data_run(&s->queue, least(least(limit, room), least(s->credit.left, link->left)));
    uint8_t *to = frame_encode_payload(w, MUX_DATA, stream, n, 0);
    credit_tx_spend(&s->credit, n);
    credit_tx_spend(link, n);
    for (size_t done = 0; done < n;) {
        struct bytes front = mux_queue_front(&s->queue).payload;
        size_t part = least(front.len, n - done);
        memcpy(to + done, front.at, part);
        mux_queue_pop(&s->queue, p, part);
        done += part;
    }
    return n;
}

/* A message is charged whole when its first part goes, so that its last part can never wait for credit. */
static size_t write_message(struct mux_send *s, struct mux_pool *p, uint32_t stream, struct credit_tx *link,
                            struct wr *w, uint32_t *cost)
{
    size_t needed = mux_send_credit_needed(s), room = (size_t)(w->end - w->at) - FRAME_MESSAGE_BYTES;
    struct mux_message front = mux_queue_front(&s->queue);
    size_t n = least(front.payload.len, room);
    uint8_t *to = frame_encode_payload(w, front.type, stream, n, front.payload.len - n);
    if (n > 0)
        memcpy(to, front.payload.at, n);
    credit_tx_spend(&s->credit, needed);
    credit_tx_spend(link, needed);
    s->in_message = n < front.payload.len;
    if (!s->in_message)
        *cost += MUX_MESSAGE_COST;
    mux_queue_pop(&s->queue, p, n);
    return n;
}

size_t mux_send_write(struct mux_send *s, struct mux_pool *p, uint32_t stream, size_t limit,
                      struct credit_tx *link, struct wr *w, uint32_t *cost)
{
    assert(w->end - w->at > FRAME_MESSAGE_BYTES && limit > 0 && mux_send_is_ready(s));
    *cost = 0;
    size_t n = s->queue.head->type == MUX_DATA ? write_data(s, p, stream, limit, link, w)
                                               : write_message(s, p, stream, link, w, cost);
    *cost += (uint32_t)n;
    s->queued -= *cost;
    return n;
}

void mux_send_write_end(struct mux_send *s, uint32_t stream, struct wr *w)
{
    assert(mux_send_wants_end(s));
    frame_encode_end(w, stream);
    s->state = SEND_ENDED;
}

void mux_send_write_reset(struct mux_send *s, uint32_t stream, struct wr *w)
{
    assert(mux_send_wants_reset(s));
    frame_encode_reset(w, stream, s->code);
    s->state = SEND_DONE;
    s->stop = false;
}
