/* A client's connection that speaks HTTP/1: the default entry, a caller's entry, or a named upstream of an
 * HTTP service.
 *
 *   HEAD   waiting for a request, or for the rest of its head
 *   BODY   a request is under way and its body is arriving (after 101: the tunnel)
 *   WAIT   the request is complete, its answer is not; what the client pipelines meanwhile is stashed
 *   DRAIN  answered early; the rest of a small body is read and thrown away, to keep the connection
 *   DEAD   closed; the object dies at the end of the turn
 *
 * One request at a time: answers come in the order of the requests by themselves (RFC 9112 section 9.3.2). */
#include "exchange/refusal.h"
#include "worker/internal.h"

enum front_state { FRONT_HEAD, FRONT_BODY, FRONT_WAIT, FRONT_DRAIN, FRONT_DEAD };

struct front_http {
    struct front front;
    struct side side;
    struct worker *w;
    struct net_conn *conn;
    struct h1_reader *reader;
    const char *caller, *service; /* NULL: unknown; by Host */
    enum front_state state;
    struct buf stash, out;
    struct task pump, flush;
    struct timer timer;
    struct grave grave;
    struct http_head *trailers; /* read, while their message's end is */
    mono_ms since;              /* of the state HEAD: its beginning, or its first byte */
    size_t drain_left;
    enum http_body body; /* how the answer is framed on the wire */
    uint8_t minor;
    bool head_begun, answered, answer_is_bodyless, answer_ended, request_is_small, close, eof, tunnel,
        shutdown_due;
    bool full; /* the sink had no room left: its source waits to be told */
};

/* --- life ---------------------------------------------------------------------------------- */

static void trailers_drop(struct front_http *f)
{
    if (f->trailers)
        http_head_fini(f->trailers);
    free(f->trailers);
    f->trailers = NULL;
}

static void bury_front(struct grave *g)
{
    struct front_http *f = list_entry(g, struct front_http, grave);
    h1_reader_free(f->reader);
    trailers_drop(f);
    buf_fini(&f->stash);
    worker_buf_return(f->w, &f->out);
    free(f);
}

static void die(struct front_http *f, bool flush_first)
{
    if (f->state == FRONT_DEAD)
        return;
    f->state = FRONT_DEAD;
    if (f->side.x)
        exchange_lost(f->side.x, FROM_FRONT, LOSS_CUT, worker_now_us(f->w));
    if (flush_first) {
        worker_write(f->w, f->conn, &f->out);
        net_conn_free_flush(f->conn, LINGER_MS);
    } else {
        net_conn_free(f->conn);
    }
    f->conn = NULL;
    wheel_clear(&f->w->wheel, &f->timer);
    list_remove(&f->pump.node);
    list_remove(&f->flush.node);
    front_delist(f->w, &f->front);
    worker_bury(f->w, &f->grave);
}

static void await_head(struct front_http *f)
{
    f->state = FRONT_HEAD;
    f->head_begun = f->answered = f->answer_ended = f->request_is_small = false;
    f->since = worker_now(f->w);
    wheel_set_sooner(&f->w->wheel, &f->timer, f->since + IDLE_MS);
    worker_pump(f->w, &f->pump);
}

/* The timer is not moved with every request; it looks what the state allows when it fires. */
static void on_timer(struct timer *t)
{
    struct front_http *f = list_entry(t, struct front_http, timer);
    mono_ms end = f->since + (f->state == FRONT_HEAD && !f->head_begun ? IDLE_MS : head_ms(f->w));
    if (f->state == FRONT_BODY || f->state == FRONT_WAIT)
        end = worker_now(f->w) + IDLE_MS; /* the exchange has a deadline of its own */
    if (end > worker_now(f->w))
        wheel_set(&f->w->wheel, t, end);
    else
        die(f, false);
}

/* --- requests ------------------------------------------------------------------------------ */

static uint8_t hops_of(const struct http_head *h)
{
    const struct http_header *x = http_head_find(h, "x-starling-hops");
    unsigned hops = 0;
    for (size_t i = 0; x && i < x->value.len && i < 3; i++)
        hops = x->value.at[i] >= '0' && x->value.at[i] <= '9' ? hops * 10 + (x->value.at[i] - '0') : 0;
    return hops > 255 ? 255 : (uint8_t)hops;
}

static bool is_small(const struct http_head *h)
{
    bool none = h->body == HTTP_BODY_NONE;
    return none ||
           (h->body == HTTP_BODY_LENGTH && h->content_length <= DRAIN_BODY_MAX && !h->expect_continue);
}

static void begin(struct front_http *f)
{
    struct http_head h; /* 3 KiB, written as far as needed */
    h1_reader_head_take(f->reader, &h);
    f->minor = h.minor;
    f->request_is_small = is_small(&h);
    f->drain_left = DRAIN_BODY_MAX;
    f->answer_is_bodyless = bytes_eq_str(h.method, "HEAD");
    /* After an upgrade that is not taken the reader holds back what follows: nobody knows in which language
     * it is. */
    f->close = !h1_reader_keep_alive(f->reader) || f->w->draining || h.upgrade.len > 0;
    f->state = FRONT_BODY;
    struct flow *flow = flow_new(f->w, EXCHANGE_NEAR, &f->side);
    if (!flow) {
        http_head_fini(&h);
        die(f, false);
        return;
    }
    struct exchange_ask ask = {
        .protocol = PROTOCOL_HTTP,
        .caller = f->caller ? bytes_str(f->caller) : (struct bytes){0},
        .service = f->service ? bytes_str(f->service) : h.authority,
        .hops = hops_of(&h),
        .vouch = own_credential(f->w),
    };
    http_strip_edge_headers(&h);
    flow_start(flow, &ask, &h);
}

static void trailers_take(struct front_http *f)
{
    trailers_drop(f);
    if ((f->trailers = calloc(1, sizeof *f->trailers)))
        h1_reader_head_take(f->reader, f->trailers);
    else
        f->out.failed = true;
}

static void request_complete(struct front_http *f, const struct http_head *trailers)
{
    if (f->state == FRONT_DRAIN) {
        await_head(f);
        return;
    }
    f->state = FRONT_WAIT;
    if (f->side.x)
        exchange_end(f->side.x, FROM_FRONT, trailers, worker_now_us(f->w));
}

/* No exchange knows of it, but it is a refusal like others. */
static void answer_bad(struct front_http *f, const struct h1_event *ev)
{
    struct exchange_refusal r = refusal_of(ev->status, FLAG_DPE, NULL, "%s", ev->why);
    const struct h1_write_opts opts = {.close = true};
    struct http_head h;
    struct bytes text;
    if (refusal_head(&h, &r, &text) != ERR_OK)
        return; /* there is no memory: it is closed without a word */
    worker_out(f->w, &f->out);
    if (h1_write_head(&f->out, &h, &opts) == ERR_OK)
        buf_add_bytes(&f->out, text);
    http_head_fini(&h);
}

static void bad_request(struct front_http *f, const struct h1_event *ev)
{
    metric_add(f->w->bad_requests, 1);
    if (f->side.x)
        exchange_lost(f->side.x, FROM_FRONT, LOSS_BROKEN, worker_now_us(f->w));
    if (!f->answered && f->state != FRONT_DRAIN) {
        answer_bad(f, ev);
    }
    die(f, true);
}

static void apply(struct front_http *f, const struct h1_event *ev)
{
    switch (ev->type) {
    case H1_HEAD:
        begin(f);
        break;
    case H1_DATA:
        if (f->side.x)
            exchange_data(f->side.x, FROM_FRONT, ev->data);
        else
            f->drain_left -= ev->data.len < f->drain_left ? ev->data.len : f->drain_left;
        break;
    case H1_TRAILERS:
        trailers_take(f);
        break;
    case H1_END:
        request_complete(f, f->trailers);
        trailers_drop(f);
        break;
    case H1_ERROR:
        bad_request(f, ev);
        break;
    case H1_NONE:
        break;
    }
}

/* How much of the input may be parsed now. A body's bytes are only read as far as they can be passed on. */
static size_t allowance(const struct front_http *f, size_t available)
{
    if (f->state == FRONT_HEAD)
        return available;
    if (f->state == FRONT_DRAIN)
        return available < f->drain_left ? available : f->drain_left;
    size_t room = f->side.x ? exchange_room(f->side.x, FROM_FRONT) : 0;
    return room < available ? room : available;
}

static bool wants_input(const struct front_http *f)
{
    return f->state == FRONT_HEAD || f->state == FRONT_BODY || f->state == FRONT_DRAIN;
}

/* Parses a prefix; returns what is left for later. */
static struct bytes feed(struct front_http *f, struct bytes in)
{
    while (wants_input(f)) {
        size_t n = allowance(f, in.len), used = 0;
        if (f->state == FRONT_HEAD && n > 0 && !f->head_begun) {
            f->head_begun = true;
            f->since = worker_now(f->w);
            wheel_set_sooner(&f->w->wheel, &f->timer, f->since + head_ms(f->w));
        }
        struct h1_event ev = h1_reader_feed(f->reader, bytes_of(in.at, n), &used);
        in.at += used;
        in.len -= used;
        apply(f, &ev);
        if (ev.type == H1_NONE && (used == 0 || in.len == 0))
            break;
    }
    if (f->state == FRONT_DRAIN && f->drain_left == 0)
        die(f, true);
    return in;
}

static void at_eof(struct front_http *f)
{
    if (f->tunnel && f->state == FRONT_BODY) {
        f->state = FRONT_WAIT;
        if (f->side.x)
            exchange_end(f->side.x, FROM_FRONT, NULL, worker_now_us(f->w));
    } else if (f->state !=
               FRONT_WAIT) { /* a complete request is answered although its client sends no more */
        die(f, f->state != FRONT_BODY);
    }
}

static void adjust_reading(struct front_http *f)
{
    if (f->state != FRONT_DEAD)
        net_conn_read_pause(f->conn, f->stash.len >= (f->state == FRONT_WAIT ? STASH_BYTES_MAX : 1));
}

static void pump(struct task *t)
{
    struct front_http *f = list_entry(t, struct front_http, pump);
    size_t had = f->stash.len;
    struct bytes rest = feed(f, buf_bytes(&f->stash));
    if (f->state == FRONT_DEAD)
        return;
    buf_consume(&f->stash, had - rest.len);
    if (f->stash.len == 0)
        buf_fini(&f->stash);
    if (f->eof && f->stash.len == 0)
        at_eof(f);
    adjust_reading(f);
}

/* --- the connection's events --------------------------------------------------------------- */

static void on_data(void *arg, struct bytes in)
{
    struct front_http *f = arg;
    struct bytes rest = f->stash.len ? in : feed(f, in);
    if (f->state == FRONT_DEAD)
        return;
    buf_add_bytes(&f->stash, rest);
    if (!buf_ok(&f->stash))
        die(f, false);
    else if (rest.len > 0)
        adjust_reading(f);
}

static void on_eof(void *arg)
{
    struct front_http *f = arg;
    f->eof = true;
    if (f->state != FRONT_DEAD && f->stash.len == 0)
        at_eof(f);
}

static void on_closed(void *arg, enum err why)
{
    (void)why;
    die(arg, false);
}

static void tell_room(struct front_http *f)
{
    if (!f->full || !f->side.x || sink_room(f->conn, &f->out) == 0)
        return;
    f->full = false;
    exchange_writable(f->side.x, FROM_FRONT);
}

static void on_drained(void *arg)
{
    tell_room(arg);
}

static size_t read_room(void *arg)
{
    struct front_http *f = arg;
    if (f->state == FRONT_BODY)
        return f->side.x ? exchange_room(f->side.x, FROM_FRONT) : 0;
    return f->stash.len < STASH_BYTES_MAX ? STASH_BYTES_MAX - f->stash.len : 0;
}

static const struct net_conn_events conn_events = {on_data, on_eof, on_closed, NULL, on_drained};

/* --- the side: answers --------------------------------------------------------------------- */

static struct front_http *of(struct side *s)
{
    return list_entry(s, struct front_http, side);
}

static size_t room(const struct side *s)
{
    struct front_http *f = list_entry((struct side *)s, struct front_http, side);
    size_t n = sink_room(f->conn, &f->out);
    f->full |= n == 0;
    return n;
}

static void answer_head(struct side *s, const struct http_head *h, const struct mesh_verdict *v)
{
    (void)v;
    struct front_http *f = of(s);
    bool request_is_over = f->state == FRONT_WAIT;
    if (h->status >= 200)
        f->close |= f->w->draining || (v && v->refused && !request_is_over && !f->request_is_small);
    struct h1_write_opts opts = {.close = f->close && h->status >= 200, .proxy_minor0 = f->minor == 0};
    worker_out(f->w, &f->out);
    if (h1_write_head(&f->out, h, &opts) != ERR_OK)
        f->out.failed = true; /* seen when flushing: the connection is cut */
    worker_flush(f->w, &f->flush);
    if (h->status < 200 && h->status != 101)
        return;
    f->answered = true;
    f->body = h1_body_on_wire(h, &opts);
    f->answer_is_bodyless |= h->body == HTTP_BODY_NONE || h->status == 304;
    if (h->status == 101) {
        h1_reader_tunnel(f->reader);
        f->tunnel = f->close = true;
        f->state = FRONT_BODY;
    }
}

static void answer_data(struct side *s, struct bytes d)
{
    struct front_http *f = of(s);
    worker_out(f->w, &f->out);
    if (f->tunnel)
        buf_add_bytes(&f->out, d);
    else if (h1_write_data(&f->out, f->body, d) != ERR_OK)
        f->out.failed = true;
    worker_flush(f->w, &f->flush);
}

static void answer_end(struct side *s, const struct http_head *trailers)
{
    struct front_http *f = of(s);
    f->answer_ended = true;
    f->shutdown_due = f->tunnel;
    if (!f->tunnel && !f->answer_is_bodyless && h1_write_end(&f->out, f->body, trailers) != ERR_OK)
        f->out.failed = true;
    f->close |= f->body == HTTP_BODY_CLOSE && !f->answer_is_bodyless;
    worker_flush(f->w, &f->flush);
}

static void resume(struct side *s)
{
    struct front_http *f = of(s);
    worker_pump(f->w, &f->pump);
}

/* The answer is complete, or there will be none. */
static void finish(struct side *s, bool clean)
{
    struct front_http *f = of(s);
    (void)clean;
    if (f->state == FRONT_DEAD)
        return;
    if (!f->answer_ended) {
        die(f, false); /* half an answer must not look like a whole one */
    } else if (f->close || f->tunnel || f->out.failed || (f->eof && f->state != FRONT_WAIT)) {
        die(f, !f->out.failed);
    } else if (f->state == FRONT_WAIT) {
        await_head(f);
    } else if (f->request_is_small) {
        f->state = FRONT_DRAIN;
        f->since = worker_now(f->w);
        wheel_set_sooner(&f->w->wheel, &f->timer, f->since + head_ms(f->w));
        worker_pump(f->w, &f->pump);
    } else {
        die(f, true);
    }
}

static const struct side_ops side_ops = {room, answer_head, answer_data, answer_end, resume, finish};

static void flush(struct task *t)
{
    struct front_http *f = list_entry(t, struct front_http, flush);
    if (f->out.failed) {
        die(f, false);
        return;
    }
    worker_write(f->w, f->conn, &f->out);
    if (f->shutdown_due)
        net_conn_shutdown(f->conn);
    f->shutdown_due = false;
    tell_room(f);
}

/* --- opening ------------------------------------------------------------------------------- */

static void drain(struct front *front)
{
    struct front_http *f = list_entry(front, struct front_http, front);
    f->close = true;
    if (f->state == FRONT_HEAD && !f->head_begun)
        die(f, true);
}

static void kill_front(struct front *front)
{
    die(list_entry(front, struct front_http, front), false);
}

void front_http_open(struct worker *w, struct net_conn *c_take, const char *caller, const char *service)
{
    struct h1_limits limits = {.allow_proxy_form = service == NULL};
    struct front_http *f = calloc(1, sizeof *f);
    struct h1_reader *reader = h1_reader_new(H1_REQUESTS, &limits);
    if (!f || !reader) {
        free(f);
        h1_reader_free(reader);
        net_conn_free(c_take);
        return;
    }
    f->front = (struct front){.drain = drain, .kill = kill_front};
    f->side.ops = &side_ops;
    f->w = w;
    f->conn = c_take;
    f->reader = reader;
    f->caller = caller;
    f->service = service;
    f->pump.run = pump;
    f->flush.run = flush;
    f->timer.fire = on_timer;
    f->grave.bury = bury_front;
    front_enlist(w, &f->front);
    await_head(f);
    net_conn_events_set(c_take, &conn_events, f);
    net_conn_read_room(c_take, read_room);
}
