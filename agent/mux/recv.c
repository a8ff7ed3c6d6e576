/* See recv.h. */
#include "mux/recv.h"

void mux_recv_init(struct mux_recv *r)
{
    *r = (struct mux_recv){.credit = credit_rx_init(MUX_STREAM_WINDOW)};
}

static void give_back(struct mux_recv *r, struct credit_rx *link, size_t cost)
{
    r->unread -= (uint32_t)cost;
    credit_rx_consumed(&r->credit, cost);
    credit_rx_consumed(link, cost);
}

static enum err charge(struct mux_recv *r, struct credit_rx *link, size_t cost)
{
    if (credit_rx_take(&r->credit, cost) != ERR_OK || credit_rx_take(link, cost) != ERR_OK)
        return ERR_LIMIT;
    r->unread += (uint32_t)cost;
    if (r->discard)
        give_back(r, link, cost);
    return ERR_OK;
}

static enum err data(struct mux_recv *r, struct mux_pool *p, struct credit_rx *link, const struct frame *f)
{
    if (!mux_phase_step(&r->phase, MUX_DATA))
        return ERR_MALFORMED;
    if (charge(r, link, f->payload.len) != ERR_OK)
        return ERR_LIMIT;
    if (r->discard || mux_queue_push_data(&r->queue, p, f->payload) == f->payload.len)
        return ERR_OK;
    return ERR_NOMEM;
}

static enum err message_first(struct mux_recv *r, struct mux_pool *p, struct credit_rx *link,
                              const struct frame *f)
{
    size_t total = f->payload.len + f->rest;
    if (!mux_phase_step(&r->phase, f->type))
        return ERR_MALFORMED;
    if (charge(r, link, total + MUX_MESSAGE_COST) != ERR_OK)
        return ERR_LIMIT;
    return r->discard || mux_queue_push_message(&r->queue, p, f->type, total) ? ERR_OK : ERR_NOMEM;
}

static enum err message(struct mux_recv *r, struct mux_pool *p, struct credit_rx *link, const struct frame *f)
{
    enum err e = ERR_OK;
    if (r->message_type == 0)
        e = message_first(r, p, link, f);
    else if (f->type != r->message_type || f->payload.len + f->rest != r->message_rest)
        e = ERR_MALFORMED;
    if (e != ERR_OK)
        return e;
    if (!r->discard)
        mux_queue_extend(&r->queue, f->payload);
    r->message_rest = f->rest;
    r->message_type = f->rest > 0 ? f->type : 0;
    return ERR_OK;
}

enum err mux_recv_payload(struct mux_recv *r, struct mux_pool *p, struct credit_rx *link,
                          const struct frame *f)
{
    if (r->state != RECV_OPEN)
        return ERR_MALFORMED;
    if (f->type != MUX_DATA)
        return message(r, p, link, f);
    return r->message_type == 0 ? data(r, p, link, f) : ERR_MALFORMED;
}

enum err mux_recv_end(struct mux_recv *r)
{
    if (r->state != RECV_OPEN || r->message_type != 0)
        return ERR_MALFORMED;
    r->state = RECV_ENDED;
    return ERR_OK;
}

enum err mux_recv_reset(struct mux_recv *r, uint32_t code)
{
    if (r->state == RECV_RESET || r->stopped)
        return ERR_MALFORMED;
    r->code = code;
    if (r->state == RECV_ENDED)
        r->stopped = true;
    else
        r->state = RECV_RESET;
    return ERR_OK;
}

struct mux_message mux_recv_peek(const struct mux_recv *r)
{
    struct mux_message none = {0}, reset = {.type = MUX_RESET, .code = r->code}, end = {.type = MUX_END};
    if (r->state == RECV_RESET)
        return reset;
    if (r->discard)
        return none;
    if (r->queue.head)
        return mux_queue_front(&r->queue);
    if (r->state == RECV_ENDED && !r->end_read)
        return end;
    return r->stopped ? reset : none;
}

void mux_recv_consume(struct mux_recv *r, struct mux_pool *p, struct credit_rx *link, size_t n)
{
    struct mux_message front = mux_queue_front(&r->queue);
    if (!front.type) { /* END; or a RESET, which stays */
        assert(n == 0);
        r->end_read = r->end_read || r->state == RECV_ENDED;
        return;
    }
    if (n == 0 && (front.type == MUX_DATA || r->state == RECV_RESET || r->discard))
        return;
    assert(front.type == MUX_DATA ? n <= front.payload.len : n == front.payload.len);
    mux_queue_pop(&r->queue, p, n);
    give_back(r, link, n + (front.type == MUX_DATA ? 0 : MUX_MESSAGE_COST));
}

void mux_recv_discard(struct mux_recv *r, struct mux_pool *p, struct credit_rx *link, bool forget)
{
    r->discard = true;
    if (!forget)
        return;
    mux_queue_clear(&r->queue, p);
    give_back(r, link, r->unread);
}

bool mux_recv_is_over(const struct mux_recv *r)
{
    return r->state != RECV_OPEN;
}

bool mux_recv_wants_window(const struct mux_recv *r)
{
    return r->state == RECV_OPEN && credit_rx_is_due(&r->credit, 2);
}
