/* How this worker reaches other nodes: one outgoing link per node, made when a request wants it, tried again
 * with a growing pause after a failure. A request that wants a node in its pause is told at once, and goes to
 * another endpoint; one that has no other insists, and dials. All who wait for a node share one dial. */
#include "worker/internal.h"

void peers_init(struct worker *w)
{
    for (size_t i = 0; i < PEER_BUCKETS; i++)
        list_init(&w->peer[i]);
}

void peers_free(struct worker *w)
{
    for (size_t i = 0; i < PEER_BUCKETS; i++)
        list_each_safe (struct peer, p, &w->peer[i], node)
            free(p);
}

static struct peer *peer_of(struct worker *w, const struct node_id *id)
{
    struct list *bucket = &w->peer[id->b[0] % PEER_BUCKETS];
    list_each (struct peer, p, bucket, node)
        if (node_id_eq(&p->id, id))
            return p;
    struct peer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->id = *id;
    list_append(bucket, &p->node);
    return p;
}

/* A new view: a node that is alive again is worth a try at once; one that is known no longer is forgotten. */
void peers_judge(struct worker *w)
{
    for (size_t i = 0; i < PEER_BUCKETS; i++) {
        list_each_safe (struct peer, p, &w->peer[i], node) {
            const struct view_node *n = view_node(w->view, &p->id);
            bool alive = n && n->alive && !n->suspect;
            if (alive && !p->was_alive)
                p->retry_at = 0;
            p->was_alive = alive;
            if (!n && !p->link) {
                list_remove(&p->node);
                free(p);
            }
        }
    }
}

static void open_stream(struct flow *f, struct link_peer *l)
{
    if (f->x.state == EXCHANGE_OVER) /* its client has left in this very turn */
        return;
    struct mux_stream *s = mux_open(l->mux, NULL);
    if (s)
        stream_near_open(f, l, s);
    else
        flow_dial_failed(f, ERR_LIMIT);
}

void peer_want(struct flow *f)
{
    struct worker *w = f->w;
    const struct view_node *n = f->x.endpoint->node;
    struct peer *p = peer_of(w, &n->id);
    if (!p || (!p->link && worker_now(w) < p->retry_at && !f->x.insists)) {
        flow_dial_failed(f, p ? ERR_AGAIN : ERR_NOMEM);
        return;
    }
    if (!p->link && (p->link = link_dial(w, n)))
        p->link->peer = p;
    if (!p->link)
        flow_dial_failed(f, ERR_NOMEM);
    else if (p->link->mux)
        open_stream(f, p->link);
    else
        list_append(&p->link->waiting, &f->waiting);
}

void peer_link_up(struct link_peer *l)
{
    if (l->peer)
        l->peer->failures = 0;
    while (!list_is_empty(&l->waiting)) {
        struct flow *f = list_entry(l->waiting.head.next, struct flow, waiting);
        list_remove(&f->waiting);
        open_stream(f, l);
    }
}

static mono_ms pause_after(struct worker *w, unsigned failures)
{
    uint32_t ms = BACKOFF_MIN_MS;
    for (unsigned i = 1; i < failures && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    ms = ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
    return worker_now(w) + ms / 2 + rng_below(&w->rng, ms / 2 + 1); /* not all workers at once */
}

/* Nobody answered this dial, which the network may have lost. Whoever has time left is not refused for it: another dial may pass. */
static enum err reason_for(const struct flow *f, enum err why)
{
    return why == ERR_TIMEOUT && worker_now(f->w) < f->connect_by ? ERR_AGAIN : why ? why : ERR_CLOSED;
}

/* The link is no longer the one to use: it failed, ended, or is going away. */
void peer_link_gone(struct link_peer *l, enum err why)
{
    struct peer *p = l->peer;
    l->peer = NULL;
    if (p) {
        p->link = NULL;
        if (why != ERR_OK) {
            p->failures++;
            p->retry_at = pause_after(l->w, p->failures);
        }
    }
    while (!list_is_empty(&l->waiting)) {
        struct flow *f = list_entry(l->waiting.head.next, struct flow, waiting);
        list_remove(&f->waiting);
        flow_dial_failed(f, reason_for(f, why));
    }
}
