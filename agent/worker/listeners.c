/* Where clients and other agents come in. Every worker listens on every address (SO_REUSEPORT); the kernel
 * spreads connections. */
#include "observe/log.h"
#include "worker/internal.h"

enum entry_kind { ENTRY_MESH, ENTRY_HTTP, ENTRY_CALLER, ENTRY_UPSTREAM };

struct entry {
    struct worker *w;
    enum entry_kind kind;
    const char *service; /* upstream: which; caller: who calls */
    struct net_listener *listener;
};

static void on_upstream(struct entry *e, struct net_conn *c)
{
    struct worker *w = e->w;
    const char *caller = caller_by_uid(w, c);
    const struct policy_service *s =
        w->view->policy ? policy_service(w->view->policy, bytes_str(e->service)) : NULL;
    if (s && policy_service_protocol(s) == POLICY_HTTP)
        front_http_open(w, c, caller, e->service);
    else
        raw_front_open(w, c, caller,
                       e->service); /* no policy knows it: the exchange refuses, and counts that */
}

static void on_accept(void *arg, struct net_conn *c_take)
{
    struct entry *e = arg;
    struct worker *w = e->w;
    if (e->kind == ENTRY_MESH) {
        link_accept_conn(w, c_take);
        return;
    }
    if (w->front_count >= FRONTS_MAX) {
        metric_add(w->shed_fronts, 1);
        net_conn_free(c_take);
        return;
    }
    switch (e->kind) {
    case ENTRY_HTTP:
        front_http_open(w, c_take, caller_by_uid(w, c_take), NULL);
        break;
    case ENTRY_CALLER:
        front_http_open(w, c_take, e->service, NULL);
        break;
    default:
        on_upstream(e, c_take);
        break;
    }
}

/* SO_REUSEPORT would let another agent of the same user take half of our connections without a word. Binding once without it
 * finds out whether anybody is there. */
static enum err find_free(struct worker *w, const struct addr *at)
{
    struct net_listener *probe;
    enum err e = net_listen(&probe, w->loop, at, false, NULL, on_accept, NULL);
    if (!e)
        net_listener_free(probe);
    return e;
}

static enum err open_one(struct worker *w, enum entry_kind kind, const struct addr *at, const char *service,
                         struct buf *why)
{
    struct entry *e = &w->entry[w->entry_count];
    *e = (struct entry){.w = w, .kind = kind, .service = service};
    enum err r = w->index == 0 ? find_free(w, at) : ERR_OK;
    if (!r)
        r = net_listen(&e->listener, w->loop, at, true, NULL, on_accept, e);
    if (r) {
        char text[ADDR_TEXT_MAX];
        buf_addf(why, "cannot listen on %s: %s", addr_text(at, text), net_bind_text(r));
        return r;
    }
    w->entry_count++;
    return ERR_OK;
}

enum err listeners_open(struct worker *w, struct buf *why)
{
    const struct worker_config *g = &w->all->config;
    enum err e = ERR_OK;
    w->entry = calloc(g->mesh_addr_count + 1 + g->caller_count + g->upstream_count, sizeof *w->entry);
    if (!w->entry)
        return ERR_NOMEM;
    for (size_t i = 0; i < g->mesh_addr_count && !e; i++)
        e = open_one(w, ENTRY_MESH, &g->mesh_addr[i], NULL, why);
    if (!e && g->http_entry.port)
        e = open_one(w, ENTRY_HTTP, &g->http_entry, NULL, why);
    for (size_t i = 0; i < g->caller_count && !e; i++)
        if (!g->caller[i].by_uid)
            e = open_one(w, ENTRY_CALLER, &g->caller[i].entry, g->caller[i].service, why);
    for (size_t i = 0; i < g->upstream_count && !e; i++)
        e = open_one(w, ENTRY_UPSTREAM, &g->upstream[i].listen, g->upstream[i].service, why);
    return e;
}

void listeners_close(struct worker *w)
{
    for (size_t i = 0; i < w->entry_count; i++)
        net_listener_free(w->entry[i].listener);
    w->entry_count = 0;
    free(w->entry);
    w->entry = NULL;
}
