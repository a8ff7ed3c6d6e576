/* What the files of net/ share. Nothing outside net/ includes this.
 *
 * Every uv handle's `data` points at an object whose first member is struct net_object, so that
 * net_loop_free() can close whatever its owners left behind. A handle's memory belongs to libuv from
 * uv_close() to its close callback. */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include <sys/queue.h>
#include <uv.h>

#include "net/net.h"

enum {
    READ_SPACE_BYTES = 256 * 1024, /* one per loop: bytes are borrowed for the callback only */
    READ_MIN_BYTES = 4096,         /* of one read, whatever its reader has room for */
    LISTEN_BACKLOG = 1024,         /* connections waiting in the kernel; more are retried by their SYN */
    DIAG_REPLY_BYTES = 4096,
};

struct net_object {
    void (*abandon)(struct net_object *o); /* close it: the loop is going away */
};

struct net_post;
struct net_loop {
    uv_loop_t uv;
    uv_check_t check;     /* the turn after the kernel's events */
    uv_prepare_t prepare; /* the turn after timers and completions, before the loop blocks */
    uv_idle_t idle;       /* active while something deferred is waiting: keeps the loop from blocking */
    uv_timer_t timer;
    uv_async_t async;
    void (*turn)(void *arg, mono_ms now);
    void *arg;
    bool marked;      /* user code ran since the last turn */
    mono_us now_us;   /* of this callback, or turn; 0: not asked for yet */
    mono_ms deadline; /* asked for */
    mono_ms armed;    /* what the timer is set to; never later than `deadline` */
    uv_mutex_t lock;  /* guards the two below */
    struct net_post *post_first, **post_last;
    TAILQ_HEAD(net_conns, net_conn) deferred; /* connections whose `closed` is due */
    TAILQ_HEAD(, net_listener) starved;       /* accepted by uv, but there was no memory for the conn */
    TAILQ_HEAD(, net_resolve) resolves;
    uint8_t *read_space;
    int diag; /* NETLINK_SOCK_DIAG, opened at the first use; -1 */
};

struct net_conn {
    struct net_object object;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    struct net_loop *loop;
    const struct net_conn_events *ev;
    void *arg;
    size_t (*room)(void *arg);
    struct conn_timer *timer; /* of a dial, or of a lingering close */
    enum err why;             /* what `closed` will say */
    bool is_unix, dialing, paused, reading, at_eof;
    bool dead;     /* `closed` has been said or is due: nothing else follows */
    bool deferred; /* on the loop's list */
    bool freed;    /* uv_close() was called */
    bool owes_drained;
    bool write_failed; /* further writes are dropped; reading goes on to the end */
    TAILQ_ENTRY(net_conn) next;
};

/* User code is about to run in a callback. */
static inline void loop_mark(struct net_loop *l)
{
    l->marked = true;
    l->now_us = 0;
}
/* There is something to deliver: the loop must not block before it has. */
void loop_hurry(struct net_loop *l);
void conn_deliver(struct net_conn *c);        /* says the `closed` that was due */
void listener_retry(struct net_listener *ls); /* tries again to accept */
void resolves_abandon(struct net_loop *l);

struct net_conn *conn_make(struct net_loop *l, bool is_unix);
enum err err_of_uv(int uv);

#endif
