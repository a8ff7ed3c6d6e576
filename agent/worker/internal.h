/* What the files of worker/ share. One worker is one thread with one loop; nothing here is touched by another
 * thread but what is said to be.
 *
 * A turn: uv's callbacks have parsed what arrived and marked objects; then timers fire, marked objects are
 * pumped, what exchanges want is done, and at last everything that has output writes it, links once per turn
 * with all their streams. Objects die at the turn's end. */
#ifndef WORKER_INTERNAL_H
#define WORKER_INTERNAL_H

#include <pthread.h>

#include "base/list.h"
#include "base/rng.h"
#include "exchange/exchange.h"
#include "http/h1.h"
#include "link/link.h"
#include "mux/mux.h"
#include "traffic/pick.h"
#include "worker/wheel.h"
#include "worker/tally.h"
#include "worker/worker.h"

enum {
    /* Per worker. What is over a limit is closed when accepted, and counted. */
    FRONTS_MAX = 20000,   /* clients' connections */
    LINKS_IN_MAX = 4096,  /* connections of other agents */
    HANDSHAKES_MAX = 512, /* of those, not yet authenticated; over it the oldest gives way (D4) */
    /* Of those from one address, or one IPv6 /64; over it the newest is closed (D8). */
    HANDSHAKES_PER_SOURCE_MAX = 128,
    SOURCE_BUCKETS = 256,
    SINK_BYTES_MAX = 256 * 1024, /* queued towards one slow reader; then its source is not read */
    STASH_BYTES_MAX = 64 * 1024, /* pipelined requests waiting unparsed; then the client is not read (P24) */
    LINK_QUEUE_BYTES = 1024 * 1024, /* sealed and not taken by the kernel; then nothing more is sealed */
    /* Of a refused request's body this much is read and thrown away, to keep the connection; else it closes. */
    DRAIN_BODY_MAX = 64 * 1024,
    HEAD_MS = 10000,          /* from a head's first byte to its last (P22), unless configured */
    IDLE_MS = 300000,         /* between requests */
    LINK_REPORT_MS = 1000,    /* between two notes that a link works */
    LINGER_MS = 2000,         /* after our last byte, for the other side to close */
    LINK_IDLE_MS = 600000,    /* a link without streams is closed */
    CREDENTIAL_LOOK_S = 3600, /* how often a link's credential is looked at, besides at its end */
    BACKOFF_MIN_MS = 100,     /* after a link failed; doubled up to: */
    BACKOFF_MAX_MS = 2000,
    POOL_IDLE_MS = 4000,    /* less than the keep-alive of common servers (node: 5 s): we close first */
    POOL_FRESH_MS = 1000,   /* how long idle a connection may be for a request that must not be sent twice */
    POOL_PER_APP_MAX = 256, /* idle connections kept per application; further ones are closed */
    SPARE_FLOWS_MAX = 256,  /* kept for reuse; further ones are freed */
    SPARE_STREAMS_MAX = 256,
    SPARE_BUFS_MAX = 256,
    SPARE_BUF_BYTES_MAX = 1024 * 1024, /* all of them */
    PEER_BUCKETS = 256,
    MIRRORS_MAX = 1024, /* copies under way; over it none is made */
    MIRROR_BYTES_MAX =
        64 * 1024, /* of a copy's body that its receiver has not taken yet; over it the copy is dropped */
    MIRROR_ALL_MAX = 64 * 1024 * 1024, /* memory of these of all workers (kept.h); over it likewise */
    METER_BUCKETS = 64,
    METERS_MAX = 1024, /* (service, role) pairs with counters of their own; further ones share one */
};

/* Something to be done once in this turn, however often it is marked. */
struct task {
    struct list_node node;
    void (*run)(struct task *t);
};
/* Something that dies at the end of this turn. */
struct grave {
    struct list_node node;
    void (*bury)(struct grave *g);
};

struct peer;
struct meter;
struct app_pool;
struct entry;

struct worker {
    struct workers *all;
    unsigned index;
    pthread_t thread;
    bool has_thread;
    struct net_loop *loop;
    struct view *view;
    struct traffic *traffic;
    struct rng rng;
    struct wheel wheel;
    struct list pump, flush, graves, news;
    struct list fronts, flows, links, handshakes, pools; /* handshakes: accepted, oldest first */
    struct list spare_flows, spare_streams;
    size_t front_count, flow_count, mirror_count, link_in_count, handshake_count, spare_flow_count,
        spare_stream_count;
    uint16_t handshakes_from[SOURCE_BUCKETS];
    uint64_t source_seed; /* odd */
    struct buf spare_buf[SPARE_BUFS_MAX];
    size_t spare_buf_count, spare_buf_bytes;
    struct list peer[PEER_BUCKETS];
    struct list meter[METER_BUCKETS];
    size_t meter_count;
    struct meter *meter_overflow;
    struct tally tally; /* by version of the policy; also read by control */
    struct log_pace { /* each kind has its own: who is under audit cannot hide what an overlay let through */
        uint64_t second; /* in which `lines` were logged: LINES_PER_S */
        unsigned lines;
    } audit_pace, overlay_pace, refused_pace;
    struct metrics *metrics;
    metric_value *shed_fronts, *shed_links, *links_up, *links_lost, *bad_requests, *active, *link_failures;
    struct entry *entry;
    size_t entry_count;
    bool draining, drained;
    mono_ms drain_by;
};

struct workers {
    struct worker_config config;
    unsigned count;
    struct worker *worker;
    struct traffic_shared *shared;
    atomic_uint draining; /* workers that have not finished yet */
    void (*drain_done)(void *arg);
    void *drain_arg;
};

static inline uint32_t head_ms(const struct worker *w)
{
    return w->all->config.head_ms ? w->all->config.head_ms : HEAD_MS;
}

/* worker.c */
static inline mono_ms worker_now(const struct worker *w)
{
    return net_now(w->loop);
}
static inline mono_us worker_now_us(const struct worker *w)
{
    return net_now_us(w->loop);
}
void worker_pump(struct worker *w, struct task *t);
void worker_flush(struct worker *w, struct task *t);
void worker_bury(struct worker *w, struct grave *g);
/* A buffer for output, with memory that an earlier one left; given back empty. */
struct buf worker_buf(struct worker *w);
/* What a connection is to be sent gets a spare buffer, if it has none. One that has failed stays so, though it has none: a message
 * whose head could not be written must not go on with its body. */
void worker_out(struct worker *w, struct buf *out);
void worker_buf_return(struct worker *w, struct buf *b);
/* Writes `out` and gives its memory back when the kernel took all of it. */
void worker_write(struct worker *w, struct net_conn *c, struct buf *out);
static inline size_t sink_room(const struct net_conn *c, const struct buf *out)
{
    size_t queued = net_conn_queued(c) + out->len;
    return queued < SINK_BYTES_MAX ? SINK_BYTES_MAX - queued : 0;
}

/* listeners.c */
must_check enum err listeners_open(struct worker *w, struct buf *why);
void listeners_close(struct worker *w);

/* What our own agent says of the callers here; NULL: not known. */
static inline const struct credential *own_credential(const struct worker *w)
{
    return w->view->proof ? &proof_now(w->view->proof)->opened : NULL;
}

/* identify.c */
const char *caller_by_uid(const struct worker *w, const struct net_conn *c); /* NULL: nobody we know */

/* flow.c: an exchange and what it waits for */
struct link_peer;
struct flow {
    struct exchange x;
    struct timer timer;
    struct grave grave;
    struct list_node in_worker;
    struct list_node waiting; /* for a link */
    struct side *dialing;     /* an application's connection that is being made */
    void (*dial_cancel)(struct side *s);
    mono_ms connect_by;
    struct worker *w;
};
#define flow_of(exchange) list_entry(exchange, struct flow, x)
struct flow *flow_new(struct worker *w, enum exchange_role role, struct side *front); /* NULL: no memory */
void flow_start(struct flow *f, struct exchange_ask *ask, struct http_head *request_take);
void flow_news(struct worker *w);
void flow_dial_done(struct flow *f, struct side *back); /* the dial's side is ready */
void flow_dial_failed(struct flow *f, enum err why);
/* After a view with another policy. */
void flows_judge(struct worker *w, const struct policy *before);
void flows_free_all(struct worker *w);

/* front_http.c, raw.c: clients' connections, and an application's that is not HTTP */
void front_http_open(struct worker *w, struct net_conn *c_take, const char *caller_or_null,
                     const char *service_or_null);
void raw_front_open(struct worker *w, struct net_conn *c_take, const char *caller_or_null,
                    const char *service);
void raw_dial(struct flow *f);
void fronts_drain(struct worker *w); /* closes the idle ones */
void fronts_free_all(struct worker *w);
struct front { /* first in each kind of client connection */
    struct list_node in_worker;
    void (*drain)(struct front *f);
    void (*kill)(struct front *f);
};
void front_enlist(struct worker *w, struct front *f);
void front_delist(struct worker *w, struct front *f);

/* mirror.c: a request whose route has a mirror, as it is about to be sent for the first time */
void mirror_begin(struct flow *f);

/* back_http.c: connections to local applications */
void back_http_want(struct flow *f);
void pools_free_all(struct worker *w);

/* link_peer.c, peers.c, stream_side.c */
struct link_peer {
    struct worker *w;
    struct net_conn *conn;
    struct link *link;
    struct mux *mux;   /* NULL until up */
    struct peer *peer; /* outgoing: the table's entry while this is its link */
    struct node_id id; /* outgoing: whom we dial; incoming: once up */
    bool outgoing, is_known, dead, goaway, handshaking;
    uint8_t source; /* incoming: its address's bucket in handshakes_from */
    bool ending;    /* no connection any more; streams are reading what had come */
    struct vouched
        *vouched; /* the peer's credential, once up: the newest that is known, as its records bring it */
    struct credential credential; /* what it says; borrows from it */
    struct proof *proof;          /* ours, as the handshake uses it */
    struct list streams;          /* struct stream_side */
    struct list waiting;          /* struct flow */
    struct buf preface;           /* of an accepted connection, until its kind is known */
    struct buf out;
    struct task flush;
    struct timer timer;
    struct grave grave;
    struct list_node in_worker, among_handshakes;
    mono_ms idle_since;
    mono_ms report_at; /* when the control loop may be told again that it works */
};
void link_accept_conn(struct worker *w, struct net_conn *c_take);
struct link_peer *link_dial(struct worker *w, const struct view_node *node); /* NULL: no memory */
void link_cut(struct link_peer *l, bool politely);
void link_events(struct link_peer *l);
bool links_are_quiet(const struct worker *w); /* nothing under way, nothing unsent */
void links_goaway(struct worker *w);
void links_free_all(struct worker *w);
/* After a new view: cuts links to nodes no longer known, and under another trust all whose peer's credential it does not
 * accept. */
void links_judge(struct worker *w, bool is_other_trust);
enum err link_verify_credential(void *arg, struct bytes credential, const uint8_t noise_key[32],
                                struct node_id *id);

struct peer { /* another node, as this worker reaches it */
    struct list_node node;
    struct node_id id;
    struct link_peer *link; /* dialling or up; NULL: none */
    unsigned failures;
    bool was_alive; /* in the view before */
    mono_ms retry_at;
};
void peer_want(struct flow *f); /* a stream to the exchange's endpoint */
void peer_link_up(struct link_peer *l);
void peer_link_gone(struct link_peer *l, enum err why);
void peers_judge(struct worker *w);
void peers_init(struct worker *w);
void peers_free(struct worker *w);

void stream_near_open(struct flow *f, struct link_peer *l, struct mux_stream *s);
void stream_far_opened(struct link_peer *l, struct mux_stream *s);
void stream_side_event(struct mux_stream *s, void *owner, enum mux_event_type type);
void streams_finish_reading(struct link_peer *l); /* and are lost where more should come */
void streams_lost(struct link_peer *l);           /* the link is dead: every stream is */
void streams_free_spare(struct worker *w);

/* observe.c */
void observe_init(struct worker *w);
void observe_facts(struct worker *w, const struct facts *f);
/* Panics of the choice of endpoints that began or ended. */
void observe_panics(struct worker *w);
void observe_fini(struct worker *w);

#endif
