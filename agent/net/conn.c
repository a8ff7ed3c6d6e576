/* Connections: TCP and Unix streams alike. Bytes in by callback, bytes out by uv_try_write() first, so that
 * an answer that the kernel takes at once costs one system call and no allocation. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "net/internal.h"

/* The low-water mark: below it `drained` asks for more, so that the kernel's buffer does not run empty
 * meanwhile. */
enum { LOW_WATER_BYTES = 64 * 1024 };

/* A timer is needed while dialling and lingering only, so it is not part of every connection. */
struct conn_timer {
    struct net_object object;
    uv_timer_t handle;
    struct net_conn *conn;
    uv_connect_t connect;
};

struct write_req {
    uv_write_t uv;
    struct buf bytes;
};

static void on_timer_closed(uv_handle_t *h)
{
    free(h->data);
}

static void timer_abandon(struct net_object *o)
{
    (void)o; /* it goes when its connection goes, see timer_drop() */
}

/* The connect request inside must outlive uv's use of it: dropped only once it was called back or the conn is
 * closed. */
static void timer_drop(struct net_conn *c)
{
    if (!c->timer)
        return;
    uv_close((uv_handle_t *)&c->timer->handle, on_timer_closed);
    c->timer = NULL;
}

static struct conn_timer *timer_start(struct net_conn *c, uint32_t ms, uv_timer_cb fn)
{
    struct conn_timer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->object.abandon = timer_abandon;
    t->conn = c;
    t->handle.data = t;
    uv_timer_init(&c->loop->uv, &t->handle);
    uv_timer_start(&t->handle, fn, ms, 0);
    c->timer = t;
    return t;
}

/* --- life ---------------------------------------------------------------------------------- */

static void on_conn_closed(uv_handle_t *h)
{
    struct net_conn *c = h->data;
    timer_drop(c);
    free(c);
}

static void undefer(struct net_conn *c)
{
    if (c->deferred)
        TAILQ_REMOVE(&c->loop->deferred, c, next);
    c->deferred = false;
}

void net_conn_free(struct net_conn *c)
{
    if (!c)
        return;
    assert(!c->freed);
    c->freed = c->dead = true;
    c->ev = NULL;
    undefer(c);
    if (c->timer)
        uv_timer_stop(&c->timer->handle);
    uv_close(&c->u.handle, on_conn_closed);
}

static void conn_abandon(struct net_object *o)
{
    net_conn_free((struct net_conn *)o);
}

struct net_conn *conn_make(struct net_loop *l, bool is_unix)
{
    struct net_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->object.abandon = conn_abandon;
    c->loop = l;
    c->is_unix = is_unix;
    /* Without a family these only fill in the handle; they cannot fail. */
    if (is_unix)
        uv_pipe_init(&l->uv, &c->u.pipe, 0);
    else
        uv_tcp_init(&l->uv, &c->u.tcp);
    c->u.handle.data = c;
    return c;
}

/* `closed` from inside a uv callback. The user frees the conn there or later. */
static void say_closed(struct net_conn *c, enum err why)
{
    if (c->dead)
        return;
    c->dead = true;
    c->reading = false;
    uv_read_stop(&c->u.stream);
    loop_mark(c->loop);
    if (c->ev)
        c->ev->closed(c->arg, why);
}

/* `closed` for a failure seen inside a call of the user: said before the next turn. */
static void defer_closed(struct net_conn *c, enum err why)
{
    if (c->dead || c->deferred)
        return;
    c->why = why;
    c->deferred = true;
    TAILQ_INSERT_TAIL(&c->loop->deferred, c, next);
    loop_hurry(c->loop);
}

void conn_deliver(struct net_conn *c)
{
    undefer(c);
    say_closed(c, c->why);
}

/* --- reading ------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct net_conn *c = h->data;
    size_t most = c->room ? c->room(c->arg) : READ_SPACE_BYTES;
    if (most < READ_MIN_BYTES)
        most = READ_MIN_BYTES;
    *out =
        uv_buf_init((char *)c->loop->read_space, most < READ_SPACE_BYTES ? (unsigned)most : READ_SPACE_BYTES);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct net_conn *c = s->data;
    if (n == 0 || c->dead || !c->ev)
        return;
    loop_mark(c->loop);
    if (n > 0) {
        c->ev->data(c->arg, bytes_of(b->base, (size_t)n));
    } else if (n == UV_EOF && !c->write_failed) {
        c->at_eof = true;
        c->reading = false;
        c->ev->eof(c->arg);
    } else {
        say_closed(c, ERR_CLOSED);
    }
}

static void read_adjust(struct net_conn *c)
{
    bool want = c->ev && !c->paused && !c->dead && !c->dialing && !c->at_eof && !c->deferred;
    if (want == c->reading)
        return;
    c->reading = want;
    if (!want) {
        uv_read_stop(&c->u.stream);
        return;
    }
    int r = uv_read_start(&c->u.stream, on_alloc, on_read);
    if (r)
        defer_closed(c, ERR_CLOSED);
}

void net_conn_events_set(struct net_conn *c, const struct net_conn_events *ev, void *arg)
{
    c->ev = ev;
    c->arg = arg;
    c->room = NULL;
    read_adjust(c);
}

void net_conn_read_room(struct net_conn *c, size_t (*room)(void *arg))
{
    c->room = room;
}

void net_conn_read_pause(struct net_conn *c, bool paused)
{
    c->paused = paused;
    read_adjust(c);
}

/* --- writing ------------------------------------------------------------------------------- */

size_t net_conn_queued(const struct net_conn *c)
{
    return uv_stream_get_write_queue_size(&c->u.stream);
}

/* A peer may answer and close while we still write (an early 413): what it said is in the kernel's buffer, so
 * reading goes on and finds the end. Only when nobody reads is a failed write the end itself. */
static void write_failed(struct net_conn *c)
{
    c->write_failed = true;
    if (!c->reading)
        defer_closed(c, ERR_CLOSED);
}

static void on_written(uv_write_t *uv, int status)
{
    struct write_req *w = (struct write_req *)uv;
    struct net_conn *c = uv->data;
    buf_fini(&w->bytes);
    free(w);
    if (c->freed || c->dead)
        return;
    if (status < 0) {
        write_failed(c);
    } else if (c->owes_drained && net_conn_queued(c) < LOW_WATER_BYTES) {
        c->owes_drained = false;
        loop_mark(c->loop);
        if (c->ev && c->ev->drained)
            c->ev->drained(c->arg);
    }
}

static void queue_rest(struct net_conn *c, struct buf *bytes, size_t done)
{
    struct write_req *w = malloc(sizeof *w);
    if (!w) {
        defer_closed(c, ERR_NOMEM);
        bytes->len = 0;
        return;
    }
    w->bytes = *bytes;
    w->uv.data = c;
    *bytes = (struct buf){.max = bytes->max};
    uv_buf_t b = uv_buf_init((char *)w->bytes.at + done, (unsigned)(w->bytes.len - done));
    int r = uv_write(&w->uv, &c->u.stream, &b, 1, on_written);
    if (r) {
        buf_fini(&w->bytes);
        free(w);
        write_failed(c);
        return;
    }
    c->owes_drained = true;
}

void net_conn_write_take(struct net_conn *c, struct buf *bytes)
{
    int n = 0;
    if (bytes->len > 0 && !c->dead && !c->deferred && !c->write_failed) {
        uv_buf_t b = uv_buf_init((char *)bytes->at, (unsigned)bytes->len);
        n = c->dialing ? UV_EAGAIN : uv_try_write(&c->u.stream, &b, 1);
        if (n < 0 && n != UV_EAGAIN)
            write_failed(c);
        else if (n < 0 || (size_t)n < bytes->len)
            queue_rest(c, bytes, n > 0 ? (size_t)n : 0);
    }
    bytes->len = 0; /* what the kernel took whole leaves the buffer's memory for the next write */
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    (void)status; /* a failure shows as an error of reading or writing */
    free(req);
}

/* Nothing is queued: no need to wait for the loop to come around, nor for its bookkeeping. */
static bool shut_at_once(struct net_conn *c)
{
    uv_os_fd_t fd;
    return net_conn_queued(c) == 0 && uv_fileno(&c->u.handle, &fd) == 0 && shutdown(fd, SHUT_WR) == 0;
}

void net_conn_shutdown(struct net_conn *c)
{
    if (!c->dead && !c->deferred && !c->dialing && shut_at_once(c))
        return;
    uv_shutdown_t *req = c->dead || c->deferred || c->dialing ? NULL : malloc(sizeof *req);
    if (!req)
        return;
    if (uv_shutdown(req, &c->u.stream, on_shutdown) != 0)
        free(req);
}

/* --- the lingering close ------------------------------------------------------------------- */

static void linger_data(void *arg, struct bytes in)
{
    (void)arg; /* read and thrown away: closing with unread bytes would reset the connection and lose our last
                  answer */
    (void)in;
}

static void linger_eof(void *arg)
{
    struct net_conn *c = arg;
    if (net_conn_queued(c) == 0)
        net_conn_free(c);
}

static void linger_drained(void *arg)
{
    struct net_conn *c = arg;
    if (c->at_eof && net_conn_queued(c) == 0)
        net_conn_free(c);
    else
        c->owes_drained = true;
}

static void linger_closed(void *arg, enum err why)
{
    (void)why;
    net_conn_free(arg);
}

static const struct net_conn_events lingering = {
    .data = linger_data,
    .eof = linger_eof,
    .closed = linger_closed,
    .drained = linger_drained,
};

static void on_linger_over(uv_timer_t *h)
{
    struct conn_timer *t = h->data;
    net_conn_free(t->conn);
}

void net_conn_free_flush(struct net_conn *c, uint32_t linger_ms)
{
    if (!c)
        return;
    bool nothing_owed = c->at_eof && net_conn_queued(c) == 0;
    if (nothing_owed || c->dead || c->deferred || c->dialing || !timer_start(c, linger_ms, on_linger_over)) {
        net_conn_free(c);
        return;
    }
    c->paused = false;
    c->owes_drained = true;
    net_conn_shutdown(c);
    net_conn_events_set(c, &lingering, c);
}

/* --- dialling ------------------------------------------------------------------------------ */

static void on_dial_timeout(uv_timer_t *h)
{
    struct conn_timer *t = h->data;
    say_closed(t->conn, ERR_TIMEOUT);
}

/* `req` is inside the conn_timer, which lives until its own close callback and that is queued after this one.
 */
static void on_connect(uv_connect_t *req, int status)
{
    struct net_conn *c = req->data;
    if (c->freed || c->dead)
        return;
    c->dialing = false;
    if (status < 0) {
        say_closed(c, err_of_uv(status));
        return;
    }
    timer_drop(c);
    loop_mark(c->loop);
    read_adjust(c);
    if (c->ev->connected)
        c->ev->connected(c->arg);
}

static struct net_conn *dial_start(struct net_loop *l, bool is_unix, uint32_t timeout_ms,
                                   const struct net_conn_events *ev, void *arg)
{
    struct net_conn *c = conn_make(l, is_unix);
    if (!c)
        return NULL;
    c->dialing = true;
    c->ev = ev;
    c->arg = arg;
    if (!timer_start(c, timeout_ms, on_dial_timeout)) {
        net_conn_free(c);
        return NULL;
    }
    c->timer->connect.data = c;
    return c;
}

enum err net_dial(struct net_conn **out, struct net_loop *l, const struct addr *to, uint32_t timeout_ms,
                  const struct net_conn_events *ev, void *arg)
{
    struct sockaddr_storage sa;
    struct net_conn *c = dial_start(l, false, timeout_ms, ev, arg);
    if (!c)
        return ERR_NOMEM;
    addr_to_sockaddr(to, &sa);
    int r = uv_tcp_connect(&c->timer->connect, &c->u.tcp, (const struct sockaddr *)&sa, on_connect);
    if (r == 0)
        uv_tcp_nodelay(&c->u.tcp, 1);
    else
        defer_closed(c, err_of_uv(r));
    *out = c;
    return ERR_OK;
}

enum { UNIX_DIAL_MS = 10000 }; /* a listener whose backlog is full lets a dial wait */

enum err net_dial_unix(struct net_conn **out, struct net_loop *l, const char *path,
                       const struct net_conn_events *ev, void *arg)
{
    struct net_conn *c = dial_start(l, true, UNIX_DIAL_MS, ev, arg);
    if (!c)
        return ERR_NOMEM;
    uv_pipe_connect(&c->timer->connect, &c->u.pipe, path, on_connect);
    *out = c;
    return ERR_OK;
}

/* --- moving a socket between loops --------------------------------------------------------- */

int net_conn_detach(struct net_conn *c)
{
    int fd = -1;
    uv_os_fd_t own;
    if (!c->dead && uv_fileno(&c->u.handle, &own) == 0)
        fd = fcntl(own, F_DUPFD_CLOEXEC, 3);
    net_conn_free(c); /* closes its descriptor and takes it out of epoll; the socket lives on in ours */
    return fd;
}

enum err net_conn_adopt(struct net_conn **out, struct net_loop *l, int fd_take)
{
    struct net_conn *c = conn_make(l, false);
    if (!c) {
        close(fd_take);
        return ERR_NOMEM;
    }
    int r = uv_tcp_open(&c->u.tcp, fd_take);
    if (r) {
        close(fd_take);
        net_conn_free(c);
        return err_of_uv(r);
    }
    uv_tcp_nodelay(&c->u.tcp, 1);
    *out = c;
    return ERR_OK;
}
