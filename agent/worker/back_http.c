/* Connections to applications of this host that speak HTTP/1, and the pool of idle ones. One request in
 * flight per connection: what an application says unasked can reach nobody (P19). A connection goes back to
 * the pool only after a complete exchange both ways. */
#include <assert.h>

#include "worker/internal.h"

struct app_pool { /* per application's address */
    struct list_node node;
    struct addr app;
    struct list idle; /* struct back_http, warmest first */
    size_t count;
};

struct back_http {
    struct side side;
    struct worker *w;
    struct app_pool *pool;
    struct net_conn *conn;
    struct h1_reader *reader;
    struct flow *flow; /* while dialling for it */
    struct list_node idle;
    struct buf stash, out;
    struct task pump, flush;
    struct timer timer;
    struct grave grave;
    struct http_head *trailers; /* read, while their message's end is */
    mono_ms idle_since;
    enum http_body body; /* how the request is framed on the wire */
    bool dead, eof, used_before, got_any, in_body, tunnel, shutdown_due, full;
};

static void trailers_drop(struct back_http *b)
{
    if (b->trailers)
        http_head_fini(b->trailers);
    free(b->trailers);
    b->trailers = NULL;
}

static void bury_back(struct grave *g)
{
    struct back_http *b = list_entry(g, struct back_http, grave);
    h1_reader_free(b->reader);
    trailers_drop(b);
    buf_fini(&b->stash);
    worker_buf_return(b->w, &b->out);
    free(b);
}

static void leave_pool(struct back_http *b)
{
    if (!b->idle.next)
        return;
    list_remove(&b->idle);
    b->pool->count--;
    wheel_clear(&b->w->wheel, &b->timer);
}

static void die(struct back_http *b)
{
    if (b->dead)
        return;
    b->dead = true;
    leave_pool(b);
    net_conn_free(b->conn);
    b->conn = NULL;
    list_remove(&b->pump.node);
    list_remove(&b->flush.node);
    worker_bury(b->w, &b->grave);
}

static void lost(struct back_http *b, enum exchange_loss loss)
{
    struct exchange *x = b->side.x;
    if (loss == LOSS_CUT && b->used_before && !b->got_any)
        loss = LOSS_STALE; /* it had been closed while it lay in the pool, and we did not know yet */
    die(b);
    if (x)
        exchange_lost(x, FROM_BACK, loss, worker_now_us(b->w));
}

/* --- the answer ---------------------------------------------------------------------------- */

static void trailers_take(struct back_http *b)
{
    trailers_drop(b);
    if ((b->trailers = calloc(1, sizeof *b->trailers)))
        h1_reader_head_take(b->reader, b->trailers);
    else
        b->out.failed = true;
}

static void apply_head(struct back_http *b)
{
    struct http_head h; /* 3 KiB, written as far as needed */
    h1_reader_head_take(b->reader, &h);
    b->in_body = h.status >= 200 || h.status == 101;
    b->tunnel = h.status == 101;
    exchange_head(b->side.x, &h, NULL, worker_now_us(b->w));
    http_head_fini(&h);
}

static void apply(struct back_http *b, const struct h1_event *ev)
{
    switch (ev->type) {
    case H1_HEAD:
        apply_head(b);
        break;
    case H1_DATA:
        exchange_data(b->side.x, FROM_BACK, ev->data);
        break;
    case H1_TRAILERS:
        trailers_take(b);
        break;
    case H1_END:
        b->in_body = false;
        exchange_end(b->side.x, FROM_BACK, b->trailers, worker_now_us(b->w));
        trailers_drop(b);
        break;
    case H1_ERROR:
        lost(b, b->eof ? LOSS_CUT : LOSS_BROKEN);
        break;
    case H1_NONE:
        break;
    }
}

static struct bytes feed(struct back_http *b, struct bytes in)
{
    while (!b->dead && b->side.x) {
        size_t n = in.len, used = 0;
        if (b->in_body) {
            size_t most = exchange_room(b->side.x, FROM_BACK);
            n = most < n ? most : n;
        }
        struct h1_event ev = h1_reader_feed(b->reader, bytes_of(in.at, n), &used);
        in.at += used;
        in.len -= used;
        apply(b, &ev);
        if (ev.type == H1_NONE && (used == 0 || in.len == 0))
            break;
    }
    return in;
}

static void at_eof(struct back_http *b)
{
    struct h1_event ev = h1_reader_eof(b->reader);
    if (!b->side.x)
        die(b);
    else if (b->tunnel || ev.type == H1_END)
        exchange_end(b->side.x, FROM_BACK, NULL, worker_now_us(b->w));
    else if (ev.type == H1_ERROR)
        apply(b, &ev);
    else
        lost(b, LOSS_CUT);
}

static void pump(struct task *t)
{
    struct back_http *b = list_entry(t, struct back_http, pump);
    size_t had = b->stash.len;
    struct bytes rest = feed(b, buf_bytes(&b->stash));
    if (b->dead)
        return;
    buf_consume(&b->stash, had - rest.len);
    if (b->stash.len == 0)
        buf_fini(&b->stash);
    if (b->eof && b->stash.len == 0)
        at_eof(b);
    if (!b->dead)
        net_conn_read_pause(b->conn, b->stash.len > 0);
}

static void on_data(void *arg, struct bytes in)
{
    struct back_http *b = arg;
    if (!b->side.x) { /* idle in the pool, and it speaks: nobody asked */
        die(b);
        return;
    }
    b->got_any = true;
    struct bytes rest = b->stash.len ? in : feed(b, in);
    if (b->dead || rest.len == 0)
        return;
    if (!b->side.x) { /* bytes after the answer's end */
        die(b);
        return;
    }
    buf_add_bytes(&b->stash, rest);
    if (!buf_ok(&b->stash))
        lost(b, LOSS_CUT);
    else
        net_conn_read_pause(b->conn, true);
}

static void on_eof(void *arg)
{
    struct back_http *b = arg;
    b->eof = true;
    if (!b->dead && b->stash.len == 0)
        at_eof(b);
}

static void on_closed(void *arg, enum err why)
{
    struct back_http *b = arg;
    struct flow *f = b->flow;
    b->flow = NULL;
    if (f) {
        die(b);
        flow_dial_failed(f, why);
    } else {
        lost(b, LOSS_CUT);
    }
}

static void on_connected(void *arg)
{
    struct back_http *b = arg;
    struct flow *f = b->flow;
    b->flow = NULL;
    flow_dial_done(f, &b->side);
}

static void tell_room(struct back_http *b)
{
    if (!b->full || !b->side.x || sink_room(b->conn, &b->out) == 0)
        return;
    b->full = false;
    exchange_writable(b->side.x, FROM_BACK);
}

static void on_drained(void *arg)
{
    tell_room(arg);
}

static size_t read_room(void *arg)
{
    struct back_http *b = arg;
    return b->in_body && b->side.x ? exchange_room(b->side.x, FROM_BACK) : STASH_BYTES_MAX;
}

static const struct net_conn_events conn_events = {on_data, on_eof, on_closed, on_connected, on_drained};

/* --- the side: the request ----------------------------------------------------------------- */

static size_t room(const struct side *s)
{
    struct back_http *b = list_entry((struct side *)s, struct back_http, side);
    size_t n = sink_room(b->conn, &b->out);
    b->full |= n == 0;
    return n;
}

enum { SPIFFE_ID_MAX = 9 + MESH_NAME_MAX + 1 + SERVICE_NAME_MAX + 1 };

struct own_headers {
    struct http_header at[3];
    size_t count;
    char hops, caller[SPIFFE_ID_MAX];
};

/* What the application may rely on: set by the agent, removed from whatever clients send (P15). An unknown
 * caller has no name. */
static void own_headers(const struct exchange *x, struct own_headers *out)
{
    static_assert(HOPS_MAX + 1 <= 9, "one digit");
    assert(x->hops <= HOPS_MAX); /* else it was refused */
    out->hops = (char)('1' + x->hops);
    out->at[0] = (struct http_header){bytes_str("x-starling-hops"), bytes_of(&out->hops, 1)};
    out->count = 1;
    if (x->facts.mirrored)
        out->at[out->count++] = (struct http_header){bytes_str("x-starling-mirror"), bytes_str("1")};
    if (!x->caller[0])
        return;
    struct wr w = wr_init(out->caller, sizeof out->caller);
    wr_bytes(&w, "spiffe://", 9);
    wr_bytes(&w, x->view->mesh, strlen(x->view->mesh));
    wr_u8(&w, '/');
    wr_bytes(&w, x->caller, strlen(x->caller));
    assert(wr_ok(&w));
    out->at[out->count++] =
        (struct http_header){bytes_str("x-starling-caller"), bytes_of(out->caller, wr_len(&w))};
}

static void request_head(struct side *s, const struct http_head *h, const struct mesh_verdict *v)
{
    struct back_http *b = list_entry(s, struct back_http, side);
    struct own_headers own;
    (void)v;
    own_headers(s->x, &own);
    struct h1_write_opts opts = {.extra = own.at, .extra_count = own.count};
    if (h->authority.len == 0) /* HTTP/1.0 without Host: the application gets its own name */
        opts.host = bytes_str(s->x->service);
    worker_out(b->w, &b->out);
    if (h1_write_head(&b->out, h, &opts) != ERR_OK)
        b->out.failed = true;
    b->body = h1_body_on_wire(h, &opts);
    h1_reader_expect(b->reader, h);
    b->got_any = false;
    worker_flush(b->w, &b->flush);
}

static void request_data(struct side *s, struct bytes d)
{
    struct back_http *b = list_entry(s, struct back_http, side);
    worker_out(b->w, &b->out);
    if (b->tunnel)
        buf_add_bytes(&b->out, d);
    else if (h1_write_data(&b->out, b->body, d) != ERR_OK)
        b->out.failed = true;
    worker_flush(b->w, &b->flush);
}

static void request_end(struct side *s, const struct http_head *trailers)
{
    struct back_http *b = list_entry(s, struct back_http, side);
    b->shutdown_due = b->tunnel;
    if (!b->tunnel && h1_write_end(&b->out, b->body, trailers) != ERR_OK)
        b->out.failed = true;
    worker_flush(b->w, &b->flush);
}

static void resume(struct side *s)
{
    struct back_http *b = list_entry(s, struct back_http, side);
    worker_pump(b->w, &b->pump);
}

static void on_idle_timer(struct timer *t)
{
    die(list_entry(t, struct back_http, timer));
}

static void finish(struct side *s, bool clean)
{
    struct back_http *b = list_entry(s, struct back_http, side);
    bool reusable = clean && !b->tunnel && !b->eof && !b->dead && b->stash.len == 0 && b->out.len == 0 &&
                    !b->w->draining && h1_reader_keep_alive(b->reader) && h1_reader_is_idle(b->reader);
    if (!reusable || b->pool->count >= POOL_PER_APP_MAX) {
        die(b);
        return;
    }
    b->used_before = true;
    b->idle_since = worker_now(b->w);
    list_prepend(&b->pool->idle, &b->idle);
    b->pool->count++;
    wheel_set(&b->w->wheel, &b->timer, worker_now(b->w) + POOL_IDLE_MS);
}

static const struct side_ops side_ops = {room, request_head, request_data, request_end, resume, finish};

static void flush(struct task *t)
{
    struct back_http *b = list_entry(t, struct back_http, flush);
    if (!buf_ok(&b->out)) {
        lost(b, LOSS_BROKEN);
        return;
    }
    worker_write(b->w, b->conn, &b->out);
    if (b->shutdown_due)
        net_conn_shutdown(b->conn);
    b->shutdown_due = false;
    tell_room(b);
}

/* --- the pool ------------------------------------------------------------------------------ */

static struct app_pool *pool_of(struct worker *w, const struct addr *app)
{
    list_each (struct app_pool, p, &w->pools, node)
        if (addr_eq(&p->app, app))
            return p;
    struct app_pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->app = *app;
    list_init(&p->idle);
    list_append(&w->pools, &p->node);
    return p;
}

/* A request that must not be sent twice gets a connection that was busy a moment ago, or a fresh one: the
 * application may be about to close an older one, and then nobody could know whether it saw the request. */
static bool is_fit(const struct back_http *b, const struct exchange *x)
{
    bool may_repeat = bytes_eq_str(x->request.method, "GET") || bytes_eq_str(x->request.method, "HEAD");
    return !x->fresh && (may_repeat || worker_now(b->w) - b->idle_since <= POOL_FRESH_MS);
}

static struct back_http *back_new(struct worker *w, struct app_pool *p)
{
    struct back_http *b = calloc(1, sizeof *b);
    struct h1_reader *reader = h1_reader_new(H1_RESPONSES, NULL);
    if (!b || !reader) {
        free(b);
        h1_reader_free(reader);
        return NULL;
    }
    b->side.ops = &side_ops;
    b->w = w;
    b->pool = p;
    b->reader = reader;
    b->pump.run = pump;
    b->flush.run = flush;
    b->timer.fire = on_idle_timer;
    b->grave.bury = bury_back;
    return b;
}

static void cancel_dial(struct side *s)
{
    struct back_http *b = list_entry(s, struct back_http, side);
    b->flow = NULL;
    die(b);
}

static enum err dial(struct flow *f, struct app_pool *p)
{
    struct back_http *b = back_new(f->w, p);
    if (!b)
        return ERR_NOMEM;
    enum err e = net_dial(&b->conn, f->w->loop, &f->x.app, f->x.connect_ms, &conn_events, b);
    if (e) {
        h1_reader_free(b->reader);
        free(b);
        return e;
    }
    net_conn_read_room(b->conn, read_room);
    b->flow = f;
    f->dialing = &b->side;
    f->dial_cancel = cancel_dial;
    return ERR_OK;
}

void back_http_want(struct flow *f)
{
    struct app_pool *p = pool_of(f->w, &f->x.app);
    if (p && !list_is_empty(&p->idle)) {
        struct back_http *b = list_entry(p->idle.head.next, struct back_http, idle);
        if (is_fit(b, &f->x)) {
            leave_pool(b);
            flow_dial_done(f, &b->side);
            return;
        }
    }
    enum err e = p ? dial(f, p) : ERR_NOMEM;
    if (e)
        flow_dial_failed(f, e);
}

void pools_free_all(struct worker *w)
{
    list_each_safe (struct app_pool, p, &w->pools, node) {
        while (!list_is_empty(&p->idle))
            die(list_entry(p->idle.head.next, struct back_http, idle));
        free(p);
    }
    list_init(&w->pools);
}
