/* The loop: turns, the one deadline, posted functions, signals.
 *
 * libuv's iteration is timers, completions, idle, PREPARE, poll, CHECK, closing. The turn runs in CHECK when
 * poll's callbacks reached user code, and in PREPARE when those before it did; so it runs once after each
 * batch and always before the loop blocks. */
#include <assert.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "net/internal.h"

enum {
    CLOSING_PASSES = 8
}; /* of uv's loop, in which every handle has been closed; more only wait for name look-ups */

struct net_post {
    struct net_post *next;
    void (*fn)(void *arg);
    void *arg;
};

struct signal_watch {
    struct net_object object;
    uv_signal_t handle;
    struct net_loop *loop;
    void (*fn)(void *arg, int signum);
    void *arg;
};

enum err err_of_uv(int uv)
{
    switch (uv) {
    case 0:
        return ERR_OK;
    case UV_ENOMEM:
    case UV_ENOBUFS:
        return ERR_NOMEM;
    case UV_ECONNREFUSED:
    case UV_ENOENT: /* a Unix socket nobody listens on */
        return ERR_REFUSED;
    case UV_ENETUNREACH:
    case UV_EHOSTUNREACH:
    case UV_ENETDOWN:
    case UV_EADDRNOTAVAIL:
        return ERR_UNREACHABLE;
    case UV_ETIMEDOUT:
        return ERR_TIMEOUT;
    case UV_EADDRINUSE:
        return ERR_EXISTS;
    case UV_EACCES:
    case UV_EPERM:
        return ERR_DENIED;
    case UV_EMFILE:
    case UV_ENFILE:
        return ERR_FULL;
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_ECONNABORTED:
    case UV_ECANCELED:
    case UV_ENOTCONN:
        return ERR_CLOSED;
    default:
        return ERR_IO;
    }
}

const char *net_bind_text(enum err e)
{
    return e == ERR_EXISTS ? "the address is in use" : err_text(e);
}

static void on_idle(uv_idle_t *h)
{
    (void)h; /* being active is its whole work: uv polls with a timeout of 0 */
}

void loop_hurry(struct net_loop *l)
{
    uv_idle_start(&l->idle, on_idle);
}

static void deliver_deferred(struct net_loop *l)
{
    /* What user code defers meanwhile waits for the next turn: a dial that fails at once and is tried again
     * at once must not keep us here. */
    struct net_conn *last = TAILQ_LAST(&l->deferred, net_conns), *c = NULL;
    while (last && c != last && (c = TAILQ_FIRST(&l->deferred)))
        conn_deliver(c);
}

static void turn_if_due(struct net_loop *l)
{
    mono_ms now = uv_now(&l->uv);
    deliver_deferred(l);
    struct net_listener *ls = TAILQ_FIRST(&l->starved);
    if (ls)
        listener_retry(ls);
    if (l->marked || now >= l->deadline) {
        l->marked = false;
        if (now >= l->deadline)
            l->deadline = NEVER; /* the turn sets the next one */
        l->now_us = 0;
        l->turn(l->arg, now);
    }
    if (TAILQ_EMPTY(&l->deferred))
        uv_idle_stop(&l->idle);
    else
        loop_hurry(l);
}

static void on_check(uv_check_t *h)
{
    turn_if_due(h->data);
}

static void on_prepare(uv_prepare_t *h)
{
    turn_if_due(h->data);
}

static void on_timer(uv_timer_t *h);

static void arm(struct net_loop *l, mono_ms at)
{
    mono_ms now = uv_now(&l->uv);
    l->armed = at;
    uv_timer_start(&l->timer, on_timer, at > now ? at - now : 0, 0);
}

/* Deadlines mostly move later; the timer is left where it is and set anew when it fires too early. */
static void on_timer(uv_timer_t *h)
{
    struct net_loop *l = h->data;
    l->armed = NEVER;
    if (l->deadline != NEVER && l->deadline > uv_now(&l->uv))
        arm(l, l->deadline); /* else PREPARE, which follows, runs the turn */
}

void net_loop_deadline(struct net_loop *l, mono_ms at)
{
    l->deadline = at;
    if (at < l->armed)
        arm(l, at);
}

static void run_posted(uv_async_t *h)
{
    struct net_loop *l = h->data;
    uv_mutex_lock(&l->lock);
    struct net_post *p = l->post_first;
    l->post_first = NULL;
    l->post_last = &l->post_first;
    uv_mutex_unlock(&l->lock);
    while (p) {
        struct net_post *next = p->next;
        loop_mark(l);
        p->fn(p->arg);
        free(p);
        p = next;
    }
}

enum err net_post(struct net_loop *l, void (*fn)(void *arg), void *arg)
{
    struct net_post *p = malloc(sizeof *p);
    if (!p)
        return ERR_NOMEM;
    *p = (struct net_post){.fn = fn, .arg = arg};
    uv_mutex_lock(&l->lock);
    *l->post_last = p;
    l->post_last = &p->next;
    uv_async_send(&l->async); /* under the lock, so that the loop's free cannot come between */
    uv_mutex_unlock(&l->lock);
    return ERR_OK;
}

/* uv's init functions for these kinds of handles cannot fail, uv_async_init() excepted: it makes the eventfd.
 */
static enum err start_handles(struct net_loop *l)
{
    int r = uv_async_init(&l->uv, &l->async, run_posted);
    if (r)
        return err_of_uv(r);
    uv_check_init(&l->uv, &l->check);
    uv_prepare_init(&l->uv, &l->prepare);
    uv_idle_init(&l->uv, &l->idle);
    uv_timer_init(&l->uv, &l->timer);
    l->async.data = l->check.data = l->prepare.data = l->idle.data = l->timer.data = l;
    uv_check_start(&l->check, on_check);
    uv_prepare_start(&l->prepare, on_prepare);
    return ERR_OK;
}

enum err net_loop_new(struct net_loop **out, void (*turn)(void *arg, mono_ms now), void *arg)
{
    enum err e = ERR_NOMEM;
    struct net_loop *l = calloc(1, sizeof *l);
    if (!l)
        return ERR_NOMEM;
    signal(SIGPIPE, SIG_IGN); /* a write to a closed connection is an error of that connection, not the end of
                                 the process */
    *l = (struct net_loop){.turn = turn, .arg = arg, .deadline = NEVER, .armed = NEVER, .diag = -1};
    l->post_last = &l->post_first;
    TAILQ_INIT(&l->deferred);
    TAILQ_INIT(&l->starved);
    TAILQ_INIT(&l->resolves);
    if (!(l->read_space = malloc(READ_SPACE_BYTES)) || uv_mutex_init(&l->lock))
        goto free_loop;
    if ((e = err_of_uv(uv_loop_init(&l->uv))))
        goto fini_lock;
    if ((e = start_handles(l)))
        goto fini_uv;
    *out = l;
    return ERR_OK;
fini_uv:
    uv_loop_close(&l->uv);
fini_lock:
    uv_mutex_destroy(&l->lock);
free_loop:
    free(l->read_space);
    free(l);
    return e;
}

void net_loop_run(struct net_loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void net_loop_stop(struct net_loop *l)
{
    uv_stop(&l->uv);
}

static void abandon_handle(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        ((struct net_object *)h->data)->abandon(h->data);
}

static void close_own_handles(struct net_loop *l)
{
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_mutex_lock(&l->lock);
    uv_close((uv_handle_t *)&l->async, NULL);
    uv_mutex_unlock(&l->lock);
}

static void free_posted(struct net_loop *l)
{
    for (struct net_post *p = l->post_first, *next; p; p = next) {
        next = p->next;
        free(p);
    }
}

void net_loop_free(struct net_loop *l)
{
    if (!l)
        return;
    resolves_abandon(l);
    close_own_handles(l);
    uv_walk(&l->uv, abandon_handle, NULL);
    for (int i = 0; uv_run(&l->uv, UV_RUN_NOWAIT) && (i < CLOSING_PASSES || TAILQ_EMPTY(&l->resolves)); i++) {
    }
    free_posted(l);
    if (l->diag >= 0)
        close(l->diag);
    /* A name look-up may be stuck in libc for many seconds and cannot be cancelled; its thread still refers
     * to the loop. Leaving the loop's memory behind is the only safe thing, and happens only when the process
     * is about to end. */
    if (uv_loop_close(&l->uv) != 0)
        return;
    uv_mutex_destroy(&l->lock);
    free(l->read_space);
    free(l);
}

mono_ms net_now(const struct net_loop *l)
{
    return uv_now(&l->uv);
}

mono_ms net_now_fresh(struct net_loop *l)
{
    uv_update_time(&l->uv);
    return uv_now(&l->uv);
}

mono_us net_clock_us(void)
{
    return uv_hrtime() / 1000;
}

mono_us net_now_us(struct net_loop *l)
{
    if (l->now_us == 0)
        l->now_us = net_clock_us();
    return l->now_us;
}

uint64_t net_wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void on_signal(uv_signal_t *h, int signum)
{
    struct signal_watch *w = h->data;
    loop_mark(w->loop);
    w->fn(w->arg, signum);
}

static void on_signal_closed(uv_handle_t *h)
{
    free(h->data);
}

static void signal_abandon(struct net_object *o)
{
    uv_close((uv_handle_t *)&((struct signal_watch *)o)->handle, on_signal_closed);
}

enum err net_on_signal(struct net_loop *l, int signum, void (*fn)(void *arg, int signum), void *arg)
{
    struct signal_watch *w = calloc(1, sizeof *w);
    if (!w)
        return ERR_NOMEM;
    *w = (struct signal_watch){.object = {signal_abandon}, .loop = l, .fn = fn, .arg = arg};
    int r = uv_signal_init(&l->uv, &w->handle);
    if (r) {
        free(w);
        return err_of_uv(r);
    }
    w->handle.data = w;
    r = uv_signal_start(&w->handle, on_signal, signum);
    if (r)
        signal_abandon(&w->object);
    return err_of_uv(r);
}
