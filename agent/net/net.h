/* The only room that knows libuv: loops, sockets, timers, signals, names. Thin: it moves bytes and marks
 * things; what they mean is decided elsewhere.
 *
 * A loop runs turns: libuv's callbacks only store bytes and mark objects (the functions given here do the
 * same), then the loop's `turn` function runs once, steps what is dirty, flushes, and reaps. A net object
 * freed in a turn is closed at its end; no callback comes after the free call. Everything belongs to the loop
 * that made it and is used only on its thread, except net_post(). */
#ifndef NET_NET_H
#define NET_NET_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

struct net_loop;
/* `turn` runs after each batch of callbacks and whenever the deadline is due. */
must_check enum err net_loop_new(struct net_loop **out, void (*turn)(void *arg, mono_ms now), void *arg);
void net_loop_run(struct net_loop *l);  /* until net_loop_stop() */
void net_loop_stop(struct net_loop *l); /* on its thread, from a turn or a posted function */
void net_loop_free(struct net_loop *l); /* after run has returned; closes what is left */
/* When the next turn must run at the latest; NEVER = none. */
void net_loop_deadline(struct net_loop *l, mono_ms at);
mono_ms net_now(const struct net_loop *l); /* sampled once per turn */
mono_ms net_now_fresh(struct net_loop *l); /* sampled now: before the first turn, after what took its time */
/* For latencies. Sampled once per callback and once per turn, at its first use there: a turn steps up to all of its exchanges at what
 * is one moment to them, and reading the clock for each costs more than anything else that is done with the time. */
mono_us net_now_us(struct net_loop *l);
mono_us net_clock_us(void); /* read now, on any thread */
uint64_t net_wall_ms(void);
/* From any thread: fn(arg) runs on the loop's thread before its next turn. The queue is unbounded only in
 * what the caller bounds. ERR_NOMEM. */
must_check enum err net_post(struct net_loop *l, void (*fn)(void *arg), void *arg);

/* UDP. One socket per address family; `on_datagram` may modify the bytes and must not keep them. */
struct net_udp;
must_check enum err
net_udp_open(struct net_udp **out, struct net_loop *l, const struct addr *bind, bool v6_only,
             void (*on_datagram)(void *arg, const struct addr *from, uint8_t *at, size_t len), void *arg);
/* Never blocks; a full socket drops, counted. */
void net_udp_send(struct net_udp *u, const struct addr *to, struct bytes datagram);
uint64_t net_udp_dropped(const struct net_udp *u);
bool net_udp_bound(const struct net_udp *u, struct addr *out); /* where, when port 0 was asked for */
void net_udp_free(struct net_udp *u);

/* Connections: TCP and Unix streams alike. */
struct net_conn;
struct net_conn_events {
    /* Bytes arrived: append or process; borrowed for the call. */
    void (*data)(void *arg, struct bytes in);
    void (*eof)(void *arg);                  /* the other side will send no more */
    void (*closed)(void *arg, enum err why); /* ERR_CLOSED reset or error; ERR_REFUSED, ERR_UNREACHABLE,
                                                ERR_TIMEOUT for a dial; then free it */
    void (*connected)(void *arg);            /* a dial succeeded */
    void (*drained)(void *arg);              /* what was queued has fallen below the low-water mark */
};
must_check enum err net_dial(struct net_conn **out, struct net_loop *l, const struct addr *to,
                             uint32_t timeout_ms, const struct net_conn_events *ev, void *arg);
must_check enum err net_dial_unix(struct net_conn **out, struct net_loop *l, const char *path,
                                  const struct net_conn_events *ev, void *arg);
/* Reading starts with this for accepted and adopted ones. */
void net_conn_events_set(struct net_conn *c, const struct net_conn_events *ev, void *arg);
/* Takes over the buffer's bytes (the buffer comes back empty) and writes them. Errors arrive as `closed`. */
void net_conn_write_take(struct net_conn *c, struct buf *bytes);
size_t net_conn_queued(const struct net_conn *c);          /* bytes not yet taken by the kernel */
void net_conn_read_pause(struct net_conn *c, bool paused); /* back-pressure */
/* `room` is asked, with the events' `arg`, how many bytes could be passed on now: no more than that are read at once (but a little
 * always is), so that what does not fit stays in the kernel and need not be kept. NULL, as at first: any number. */
void net_conn_read_room(struct net_conn *c, size_t (*room)(void *arg));
void net_conn_shutdown(struct net_conn *c); /* half close after what is queued */
void net_conn_free(struct net_conn *c);     /* closes; unsent bytes are dropped */
/* Closes after what is queued is sent and the other side has closed (what it still says is thrown away: closing with
 * unread bytes would reset the connection and lose our last answer), at most this long. */
void net_conn_free_flush(struct net_conn *c, uint32_t linger_ms);
bool net_conn_peer(const struct net_conn *c, struct addr *out);
/* The uid at the other end: SO_PEERCRED for Unix, sock_diag for a TCP connection from this host.
 * ERR_NOT_FOUND if not local. */
must_check enum err net_conn_uid(const struct net_conn *c, uid_t *uid);
/* Detaches the socket to hand it to another loop: the conn is gone, the caller owns the descriptor. -1 on
 * failure. */
int net_conn_detach(struct net_conn *c);
must_check enum err net_conn_adopt(struct net_conn **out, struct net_loop *l, int fd_take);

struct net_listener;
/* Why an address could not be bound, for an operator: err_text(), or what ERR_EXISTS means there. */
const char *net_bind_text(enum err e);
/* TCP; `reuse_port` lets several loops listen on one address. `bound` (may be NULL) gets the real port when 0
 * was asked for. */
must_check enum err net_listen(struct net_listener **out, struct net_loop *l, const struct addr *at,
                               bool reuse_port, struct addr *bound,
                               void (*on_accept)(void *arg, struct net_conn *c_take), void *arg);
must_check enum err net_listen_unix(struct net_listener **out, struct net_loop *l,
                                    const char *path, /* mode 0600 */
                                    void (*on_accept)(void *arg, struct net_conn *c_take), void *arg);
void net_listener_free(struct net_listener *ls);

/* Names, on libuv's thread pool; at most NET_RESOLVE_MAX addresses. `done` runs on the loop; count 0 =
 * failed. */
enum { NET_RESOLVE_MAX = 16 };
must_check enum err net_resolve(struct net_loop *l, const char *host, uint16_t port,
                                void (*done)(void *arg, const struct addr *found, size_t count), void *arg);
/* SIGTERM, SIGINT, SIGHUP on this loop. */
must_check enum err net_on_signal(struct net_loop *l, int signum, void (*fn)(void *arg, int signum),
                                  void *arg);

#endif
