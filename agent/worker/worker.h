/* The data plane's loops: N threads, each with its own listeners (SO_REUSEPORT), links, pools and counters.
 * Control starts them, publishes views to them, and takes from them what is not traffic: bulk connections and
 * the news that a link was lost.
 *
 *   app -> HTTP entry | caller entry | named upstream -> exchange -> mux stream
 *       -> far worker -> exchange -> local application
 *
 * Nothing is shared between workers but the immutable view; control and workers talk by net_post(). */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "discovery/view.h"
#include "net/net.h"
#include "observe/metrics.h"
#include "policy/rollout.h"

struct worker_upstream { /* a named upstream port on loopback */
    char service[SERVICE_NAME_MAX + 1];
    struct addr listen;
};
struct worker_caller { /* who speaks for whom on this host: by entry, or by user id */
    char service[SERVICE_NAME_MAX + 1];
    bool by_uid;
    uid_t uid;
    struct addr entry; /* an HTTP entry of its own, when !by_uid */
};

enum worker_link_news {
    WORKER_LINK_WORKS, /* something authenticated came over it, and we had dialled it; told once a second and link */
    WORKER_LINK_HEARD,  /* the same of one that the peer dialled */
    WORKER_LINK_SILENT, /* one that we had dialled was up, and then nothing came over it any more, for MUX_PING_IDLE_MS and _TIMEOUT_MS */
    WORKER_LINK_LOST,   /* it was up, and was reset or timed out; not: closed */
    WORKER_LINK_REFUSED, /* our dial was reset: nobody listens there */
    WORKER_LINK_TIMEOUT, /* our dial, or its handshake, was not answered */
};

struct worker_config {
    unsigned count;         /* threads; 0 = one per core */
    size_t mesh_addr_count; /* TCP listeners for links, usually one (dual stack) or two */
    struct addr mesh_addr[2];
    struct addr http_entry; /* port 0: none */
    size_t upstream_count, caller_count;
    const struct worker_upstream *upstream; /* borrowed for the workers' life, as all pointers here */
    const struct worker_caller *caller;
    struct bytes mesh;        /* what else this host shows to peers is in the view (view.proof) */
    uint32_t head_ms;         /* from the first byte of a client's head to its last (P22); 0 = 10 s */
    uint32_t drain_ms;        /* how long requests in flight may take to finish at the stop */
    struct net_loop *control; /* where the functions below run (by net_post) */
    /* A bulk link arrived: its socket and the bytes already read (the preface on). Takes both. */
    void (*on_bulk)(void *arg, int fd_take, struct buf *read_take);
    /* What a traffic link showed of its peer: hints for the failure detector, dropped when there is no memory. */
    void (*on_link)(void *arg, const struct node_id *peer, enum worker_link_news news);
    void *arg;
};

struct workers;
struct traffic_shared;
/* Binds every listener before it returns; `why` names the address that could not be had. `view` is the first
 * one (a reference is taken). */
must_check enum err workers_start(struct workers **out, const struct worker_config *config, struct view *view,
                                  struct buf *why);
void workers_publish(struct workers *w, struct view *view); /* takes its own references */
/* Stops accepting, sends GOAWAY, lets requests in flight finish for at most drain_ms, then `done(arg)` on the
 * control loop. */
void workers_drain(struct workers *w, void (*done)(void *arg), void *arg);
/* What they have learned of traffic together. Lives as long as they. Any thread. */
struct traffic_shared *workers_traffic(const struct workers *w);
void workers_free(struct workers *w); /* joins the threads */
/* What all workers counted under this very policy since it came, or they started. Any thread. */
struct record_count workers_count(const struct workers *w, const struct bundle_id *policy);
size_t workers_metrics(struct workers *w, struct metrics **sets, size_t cap);

#endif
