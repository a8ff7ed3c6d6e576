/* A stream of a link as one side of an exchange: the back side at the near agent, the front side at the far
 * one. Typed messages are encoded on the way out and decoded on the way in; credit goes back to the peer when
 * the exchange's other side took the bytes. */
#include "observe/log.h"
#include "worker/internal.h"

struct stream_side {
    struct side side;
    struct link_peer *link;
    struct mux_stream *stream; /* NULL: released */
    struct flow *flow;
    enum exchange_from from;
    struct list_node in_link;
    struct task pump;
    struct grave grave;
    struct buf pending;         /* messages the mux had no room for: u8 type | be32 length | payload */
    struct http_head *trailers; /* read, and waiting for END */
    bool head_read, refused, dead;
};

static void bury_stream(struct grave *g)
{
    struct stream_side *s = list_entry(g, struct stream_side, grave);
    buf_fini(&s->pending);
    if (s->trailers)
        http_head_fini(s->trailers);
    free(s->trailers);
    struct worker *w = s->link->w;
    if (w->spare_stream_count >= SPARE_STREAMS_MAX) {
        free(s);
        return;
    }
    w->spare_stream_count++;
    s->in_link = (struct list_node){0};
    list_prepend(&w->spare_streams, &s->in_link); /* the warmest first */
}

static struct stream_side *spare_take(struct worker *w)
{
    if (list_is_empty(&w->spare_streams))
        return malloc(sizeof(struct stream_side));
    struct stream_side *s = list_entry(w->spare_streams.head.next, struct stream_side, in_link);
    list_remove(&s->in_link);
    w->spare_stream_count--;
    return s;
}

void streams_free_spare(struct worker *w)
{
    list_each_safe (struct stream_side, s, &w->spare_streams, in_link)
        free(s);
    list_init(&w->spare_streams);
    w->spare_stream_count = 0;
}

static void die(struct stream_side *s)
{
    if (s->dead)
        return;
    s->dead = true;
    if (s->stream)
        mux_stream_release(s->stream);
    s->stream = NULL;
    list_remove(&s->in_link);
    list_remove(&s->pump.node);
    worker_flush(s->link->w, &s->link->flush);
    if (list_is_empty(&s->link->streams))
        s->link->idle_since = worker_now(s->link->w);
    worker_bury(s->link->w, &s->grave);
}

static void lost(struct stream_side *s, enum exchange_loss loss)
{
    struct exchange *x = s->side.x;
    die(s);
    if (x)
        exchange_lost(x, s->from, loss, worker_now_us(s->link->w));
}

/* --- out ----------------------------------------------------------------------------------- */

enum { PENDING_HEAD_BYTES = 5 };

/* Gives one message to the mux; returns how much of it was taken: HEAD, TRAILERS, END whole or not at all.
 * `fatal` when never. */
static bool give(struct stream_side *s, uint8_t type, struct bytes payload, size_t *taken)
{
    *taken = payload.len;
    if (type == MUX_DATA) {
        *taken = mux_stream_write(s->stream, payload);
        return *taken == payload.len;
    }
    if (type == MUX_END) {
        mux_stream_end(s->stream);
        return true;
    }
    enum err e = mux_stream_message(s->stream, type, payload);
    if (e == ERR_AGAIN) {
        *taken = 0;
        return false;
    }
    if (e != ERR_OK && e != ERR_CLOSED) /* CLOSED: the peer has reset; we read that next */
        s->pending.failed = true;
    return true;
}

static void put_pending(struct stream_side *s, uint8_t type, struct bytes payload)
{
    uint8_t head[PENDING_HEAD_BYTES] = {type};
    store_be32(head + 1, (uint32_t)payload.len);
    buf_add(&s->pending, head, sizeof head);
    buf_add_bytes(&s->pending, payload);
}

static void put(struct stream_side *s, uint8_t type, struct bytes payload)
{
    size_t taken = 0;
    worker_flush(s->link->w, &s->link->flush);
    if (s->pending.len > 0 || !give(s, type, payload, &taken))
        put_pending(s, type, bytes_of(payload.at + taken, payload.len - taken));
    if (!buf_ok(&s->pending))
        worker_pump(s->link->w, &s->pump); /* which gives up */
}

static void send_pending(struct stream_side *s)
{
    size_t done = 0;
    while (s->pending.len - done >= PENDING_HEAD_BYTES) {
        uint8_t *at = s->pending.at + done, type = at[0];
        size_t len = load_be32(at + 1), taken;
        if (!give(s, type, bytes_of(at + PENDING_HEAD_BYTES, len), &taken)) {
            done += taken; /* part of DATA: its header moves up over what went */
            s->pending.at[done] = type;
            store_be32(s->pending.at + done + 1, (uint32_t)(len - taken));
            break;
        }
        done += PENDING_HEAD_BYTES + len;
    }
    buf_consume(&s->pending, done);
    if (s->pending.len == 0)
        buf_fini(&s->pending);
}

static size_t room(const struct side *side)
{
    const struct stream_side *s = list_entry((struct side *)side, struct stream_side, side);
    if (s->pending.len > 0)
        return 0;
    size_t n = mux_stream_writable(s->stream);
    if (n == 0) /* an attempt that is not taken is how the mux learns that we wait */
        (void)mux_stream_write(s->stream, bytes_of("", 1));
    return n;
}

/* Only where another service took its place (failover). */
static struct bytes asked_instead(const struct exchange *x)
{
    const char *asked = x->asked ? policy_service_name(x->asked) : x->service;
    return strcmp(asked, x->service) == 0 ? (struct bytes){0} : bytes_str(asked);
}

static void encode_call(struct stream_side *s, struct buf *out, const struct http_head *h)
{
    const struct exchange *x = s->side.x;
    struct mesh_call call = {
        .protocol = x->facts.protocol,
        .caller = bytes_str(x->caller),
        .service = bytes_str(x->service),
        .subset = bytes_str(x->subset),
        .asked = asked_instead(x),
        .deadline_ms = exchange_left_ms(x, worker_now(s->link->w)),
        .hops = (uint8_t)(x->hops < 255 ? x->hops + 1 : 255),
        .mirrored = x->facts.mirrored,
    };
    if (mesh_request_encode(out, &call, h) != ERR_OK)
        out->failed = true;
}

static void side_head(struct side *side, const struct http_head *h, const struct mesh_verdict *v)
{
    static const struct mesh_verdict answered = {0};
    struct stream_side *s = list_entry(side, struct stream_side, side);
    struct buf out = worker_buf(s->link->w);
    s->refused = v && v->refused;
    if (s->from == FROM_BACK)
        encode_call(s, &out, h);
    else if (mesh_response_encode(&out, v ? v : &answered, s->refused ? NULL : h) != ERR_OK)
        out.failed = true;
    if (buf_ok(&out))
        put(s, MUX_HEAD, buf_bytes(&out));
    else
        s->pending.failed = true;
    if (s->pending.failed)
        worker_pump(s->link->w, &s->pump);
    worker_buf_return(s->link->w, &out);
}

static void side_data(struct side *side, struct bytes d)
{
    struct stream_side *s = list_entry(side, struct stream_side, side);
    if (!s->refused) /* the words of a refusal are in its verdict */
        put(s, MUX_DATA, d);
}

static void side_end(struct side *side, const struct http_head *trailers)
{
    struct stream_side *s = list_entry(side, struct stream_side, side);
    struct buf out = {0};
    if (trailers && mesh_trailers_encode(&out, trailers->header, trailers->header_count) == ERR_OK)
        put(s, MUX_TRAILERS, buf_bytes(&out));
    buf_fini(&out);
    put(s, MUX_END, (struct bytes){0});
}

static void resume(struct side *side)
{
    struct stream_side *s = list_entry(side, struct stream_side, side);
    worker_pump(s->link->w, &s->pump);
}

static void finish(struct side *side, bool clean)
{
    struct stream_side *s = list_entry(side, struct stream_side, side);
    (void)clean; /* the mux knows what is unfinished, and resets it */
    if (s->pending.len == 0 || s->from == FROM_BACK || s->pending.failed)
        die(s);
    /* else an answer of ours is still to be said; the pump dies after it */
}

static const struct side_ops side_ops = {room, side_head, side_data, side_end, resume, finish};

/* --- in ------------------------------------------------------------------------------------ */

static bool read_request(struct stream_side *s, struct bytes payload)
{
    struct http_head h;
    struct mesh_call call;
    if (s->head_read || mesh_request_decode(&call, &h, payload) != ERR_OK)
        return false;
    s->head_read = true;
    struct exchange_ask ask = {
        .protocol = call.protocol,
        .caller = call.caller,
        .service = call.service,
        .asked = call.asked,
        .deadline_ms = call.deadline_ms,
        .hops = call.hops,
        .mirrored = call.mirrored,
        .vouch = &s->link->credential,
    };
    /* The names point into the head's text; the exchange takes the head, and keeps it for longer than it
     * needs them. */
    http_strip_edge_headers(&h);
    flow_start(s->flow, &ask, call.protocol == PROTOCOL_TCP ? NULL : &h);
    http_head_fini(&h);
    return true;
}

static bool read_response(struct stream_side *s, struct bytes payload)
{
    struct http_head h;
    struct mesh_verdict v;
    if (mesh_response_decode(&v, &h, payload) != ERR_OK)
        return false;
    bool has_head = !v.refused && s->side.x->facts.protocol == PROTOCOL_HTTP;
    bool sound = (h.status != 0) == has_head;
    if (sound)
        exchange_head(s->side.x, has_head ? &h : NULL, &v, worker_now_us(s->link->w));
    http_head_fini(&h);
    return sound;
}

static bool read_trailers(struct stream_side *s, struct bytes payload)
{
    s->trailers = s->trailers ? NULL : calloc(1, sizeof *s->trailers);
    return s->trailers && mesh_trailers_decode(s->trailers, payload) == ERR_OK;
}

static size_t read_data(struct stream_side *s, struct bytes payload)
{
    size_t most = exchange_room(s->side.x, s->from);
    size_t n = most < payload.len ? most : payload.len;
    if (n > 0)
        exchange_data(s->side.x, s->from, bytes_of(payload.at, n));
    return n;
}

enum step { STEP_ON, STEP_STOP, STEP_BROKEN };

static enum step apply(struct stream_side *s, const struct mux_message *m, size_t *used)
{
    *used = m->payload.len;
    switch (m->type) {
    case MUX_HEAD:
        return (s->from == FROM_FRONT ? read_request(s, m->payload) : read_response(s, m->payload))
                   ? STEP_ON
                   : STEP_BROKEN;
    case MUX_DATA:
        *used = read_data(s, m->payload);
        return *used > 0 ? STEP_ON : STEP_STOP;
    case MUX_TRAILERS:
        if (s->side.x->state == EXCHANGE_SEEKING)
            return STEP_STOP; /* they wait for the back side, as bytes do */
        return read_trailers(s, m->payload) ? STEP_ON : STEP_BROKEN;
    case MUX_END:
        exchange_end(s->side.x, s->from, s->trailers, worker_now_us(s->link->w));
        return STEP_ON;
    case MUX_RESET:
        lost(s, m->code == (uint32_t)MUX_CODE_REFUSED ? LOSS_REFUSED : LOSS_CUT);
        return STEP_STOP;
    default:
        return STEP_STOP;
    }
}

/* One message, or as much of it as the exchange takes; false: nothing more now. */
static bool read_one(struct stream_side *s)
{
    struct mux_message m = mux_stream_peek(s->stream);
    size_t used = 0;
    enum step step = apply(s, &m, &used);
    if (step == STEP_BROKEN)
        lost(s, LOSS_BROKEN);
    if (step != STEP_ON)
        return false;
    if (s->stream)
        mux_stream_consume(s->stream, used);
    worker_flush(s->link->w, &s->link->flush);
    return true;
}

static void pump(struct task *t)
{
    struct stream_side *s = list_entry(t, struct stream_side, pump);
    if (!buf_ok(&s->pending)) {
        lost(s, LOSS_BROKEN);
        return;
    }
    if (s->pending.len > 0)
        send_pending(s);
    while (!s->dead && s->side.x && read_one(s)) {
    }
    if (!s->dead && !s->side.x && (s->pending.len == 0 || s->link->ending))
        die(s);
    else if (!s->dead && s->link->ending && mux_stream_peek(s->stream).type == 0)
        lost(s, LOSS_CUT);
}

void stream_side_event(struct mux_stream *stream, void *owner, enum mux_event_type type)
{
    struct stream_side *s = owner;
    (void)stream;
    if (!s || s->dead)
        return;
    worker_pump(s->link->w, &s->pump);
    if (type == MUX_EV_WRITABLE && s->side.x)
        exchange_writable(s->side.x, s->from);
}

/* --- opening ------------------------------------------------------------------------------- */

static struct stream_side *stream_new(struct link_peer *l, struct mux_stream *stream, enum exchange_from from)
{
    struct stream_side *s = spare_take(l->w);
    if (!s)
        return NULL;
    *s = (struct stream_side){.side.ops = &side_ops,
                              .link = l,
                              .stream = stream,
                              .from = from,
                              .pump.run = pump,
                              .grave.bury = bury_stream};
    mux_stream_owner_set(stream, s);
    list_append(&l->streams, &s->in_link);
    return s;
}

void stream_near_open(struct flow *f, struct link_peer *l, struct mux_stream *stream)
{
    struct stream_side *s = stream_new(l, stream, FROM_BACK);
    if (!s) {
        mux_stream_release(stream);
        flow_dial_failed(f, ERR_NOMEM);
        return;
    }
    s->flow = f;
    flow_dial_done(f, &s->side);
}

void stream_far_opened(struct link_peer *l, struct mux_stream *stream)
{
    struct stream_side *s = stream_new(l, stream, FROM_FRONT);
    struct flow *f = s ? flow_new(l->w, EXCHANGE_FAR, &s->side) : NULL;
    if (!f) {
        if (s)
            die(s);
        else
            mux_stream_release(stream);
        return;
    }
    s->flow = f;
    worker_pump(l->w, &s->pump);
}

void streams_finish_reading(struct link_peer *l)
{
    list_each (struct stream_side, s, &l->streams, in_link)
        worker_pump(l->w, &s->pump);
}

void streams_lost(struct link_peer *l)
{
    while (!list_is_empty(&l->streams))
        lost(list_entry(l->streams.head.next, struct stream_side, in_link), LOSS_CUT);
}
