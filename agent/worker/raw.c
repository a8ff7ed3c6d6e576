/* A connection that is plain bytes: a client of a TCP service, or the application behind one. Both are the
 * same but for who begins: bytes are DATA, the end of input is END, and each direction ends by itself. */
#include "worker/internal.h"

struct raw {
    struct front front; /* clients only */
    struct side side;
    struct worker *w;
    struct net_conn *conn;
    struct flow *flow; /* while dialling for it */
    enum exchange_from from;
    struct buf stash, out;
    struct task pump, flush;
    struct grave grave;
    bool dead, eof, told_eof, other_ended, shutdown_due, full;
};

static void bury_raw(struct grave *g)
{
    struct raw *r = list_entry(g, struct raw, grave);
    buf_fini(&r->stash);
    worker_buf_return(r->w, &r->out);
    free(r);
}

static void die(struct raw *r, bool flush_first)
{
    if (r->dead)
        return;
    r->dead = true;
    if (r->side.x)
        exchange_lost(r->side.x, r->from, LOSS_CUT, worker_now_us(r->w));
    if (flush_first) {
        worker_write(r->w, r->conn, &r->out);
        net_conn_free_flush(r->conn, LINGER_MS);
    } else {
        net_conn_free(r->conn);
    }
    r->conn = NULL;
    list_remove(&r->pump.node);
    list_remove(&r->flush.node);
    if (r->from == FROM_FRONT)
        front_delist(r->w, &r->front);
    worker_bury(r->w, &r->grave);
}

/* Passes on a prefix, returns the rest. Asks for room until all is gone or there is none: who was told "none" is resumed. */
static struct bytes feed(struct raw *r, struct bytes in)
{
    size_t room;
    while (in.len > 0 && r->side.x && (room = exchange_room(r->side.x, r->from)) > 0) {
        size_t n = room < in.len ? room : in.len;
        exchange_data(r->side.x, r->from, bytes_of(in.at, n));
        in = bytes_of(in.at + n, in.len - n);
    }
    return in;
}

static void tell_eof(struct raw *r)
{
    if (r->told_eof || !r->side.x || r->stash.len > 0)
        return;
    r->told_eof = true;
    exchange_end(r->side.x, r->from, NULL, worker_now_us(r->w));
}

static void pump(struct task *t)
{
    struct raw *r = list_entry(t, struct raw, pump);
    size_t had = r->stash.len;
    struct bytes rest = feed(r, buf_bytes(&r->stash));
    if (r->dead)
        return;
    buf_consume(&r->stash, had - rest.len);
    if (r->stash.len == 0)
        buf_fini(&r->stash);
    if (r->eof)
        tell_eof(r);
    if (!r->dead)
        net_conn_read_pause(r->conn, r->stash.len > 0);
}

static void on_data(void *arg, struct bytes in)
{
    struct raw *r = arg;
    struct bytes rest = r->stash.len ? in : feed(r, in);
    if (r->dead || rest.len == 0)
        return;
    buf_add_bytes(&r->stash, rest);
    if (!buf_ok(&r->stash))
        die(r, false);
    else
        net_conn_read_pause(r->conn, true);
}

static void on_eof(void *arg)
{
    struct raw *r = arg;
    r->eof = true;
    tell_eof(r);
}

static void on_closed(void *arg, enum err why)
{
    struct raw *r = arg;
    struct flow *f = r->flow;
    r->flow = NULL;
    die(r, false);
    if (f)
        flow_dial_failed(f, why);
}

static void on_connected(void *arg)
{
    struct raw *r = arg;
    struct flow *f = r->flow;
    r->flow = NULL;
    flow_dial_done(f, &r->side);
    if (r->side.x) /* the far agent's front learns that the application took the connection */
        exchange_head(r->side.x, NULL, NULL, worker_now_us(r->w));
}

static void tell_room(struct raw *r)
{
    if (!r->full || !r->side.x || sink_room(r->conn, &r->out) == 0)
        return;
    r->full = false;
    exchange_writable(r->side.x, r->from);
}

static void on_drained(void *arg)
{
    tell_room(arg);
}

static size_t read_room(void *arg)
{
    struct raw *r = arg;
    return r->side.x ? exchange_room(r->side.x, r->from) : 0;
}

static const struct net_conn_events conn_events = {on_data, on_eof, on_closed, on_connected, on_drained};

static size_t room(const struct side *s)
{
    struct raw *r = list_entry((struct side *)s, struct raw, side);
    size_t n = sink_room(r->conn, &r->out);
    r->full |= n == 0;
    return n;
}

/* TCP has no heads: a client learns of a refusal by its connection's end. */
static void side_head(struct side *s, const struct http_head *h, const struct mesh_verdict *v)
{
    (void)s;
    (void)h;
    (void)v;
}

static void side_data(struct side *s, struct bytes d)
{
    struct raw *r = list_entry(s, struct raw, side);
    worker_out(r->w, &r->out);
    buf_add_bytes(&r->out, d);
    worker_flush(r->w, &r->flush);
}

static void side_end(struct side *s, const struct http_head *trailers)
{
    struct raw *r = list_entry(s, struct raw, side);
    (void)trailers;
    r->shutdown_due = r->other_ended = true;
    worker_flush(r->w, &r->flush);
}

static void resume(struct side *s)
{
    struct raw *r = list_entry(s, struct raw, side);
    worker_pump(r->w, &r->pump);
}

static void finish(struct side *s, bool clean)
{
    struct raw *r = list_entry(s, struct raw, side);
    die(r,
        clean ||
            r->other_ended); /* what the other side said before its end is delivered, whatever came after */
}

static const struct side_ops side_ops = {room, side_head, side_data, side_end, resume, finish};

static void flush(struct task *t)
{
    struct raw *r = list_entry(t, struct raw, flush);
    if (!buf_ok(&r->out)) {
        die(r, false);
        return;
    }
    worker_write(r->w, r->conn, &r->out);
    if (r->shutdown_due)
        net_conn_shutdown(r->conn);
    r->shutdown_due = false;
    tell_room(r);
}

static struct raw *raw_new(struct worker *w, enum exchange_from from)
{
    struct raw *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->side.ops = &side_ops;
    r->w = w;
    r->from = from;
    r->pump.run = pump;
    r->flush.run = flush;
    r->grave.bury = bury_raw;
    return r;
}

static void cancel_dial(struct side *s)
{
    struct raw *r = list_entry(s, struct raw, side);
    r->flow = NULL;
    die(r, false);
}

void raw_dial(struct flow *f)
{
    struct raw *r = raw_new(f->w, FROM_BACK);
    enum err e = r ? net_dial(&r->conn, f->w->loop, &f->x.app, f->x.connect_ms, &conn_events, r) : ERR_NOMEM;
    if (e) {
        free(r);
        flow_dial_failed(f, e);
        return;
    }
    net_conn_read_room(r->conn, read_room);
    r->flow = f;
    f->dialing = &r->side;
    f->dial_cancel = cancel_dial;
}

static void drain(struct front *front)
{
    (void)front; /* a TCP connection has no end that we may choose: it has until the drain's deadline */
}

static void kill_front(struct front *front)
{
    die(list_entry(front, struct raw, front), false);
}

void raw_front_open(struct worker *w, struct net_conn *c_take, const char *caller, const char *service)
{
    struct raw *r = raw_new(w, FROM_FRONT);
    if (!r) {
        net_conn_free(c_take);
        return;
    }
    r->front = (struct front){.drain = drain, .kill = kill_front};
    r->conn = c_take;
    front_enlist(w, &r->front);
    struct flow *f = flow_new(w, EXCHANGE_NEAR, &r->side);
    if (!f) {
        die(r, false);
        return;
    }
    net_conn_events_set(c_take, &conn_events, r);
    net_conn_read_room(c_take, read_room);
    struct exchange_ask ask = {
        .protocol = PROTOCOL_TCP,
        .caller = caller ? bytes_str(caller) : (struct bytes){0},
        .service = bytes_str(service),
        .vouch = own_credential(w),
    };
    flow_start(f, &ask, NULL);
}
