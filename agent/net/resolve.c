/* Names to addresses, on libuv's thread pool. A literal address needs no thread but still answers later, from
 * the loop. */
#include <netdb.h>

#include "net/internal.h"

struct net_resolve {
    uv_getaddrinfo_t req;
    struct net_loop *loop;
    void (*done)(void *arg, const struct addr *found, size_t count); /* NULL: abandoned */
    void *arg;
    struct addr literal;
    uint16_t port;
    bool is_literal;
    TAILQ_ENTRY(net_resolve) next;
};

static bool is_listed(const struct addr *list, size_t count, const struct addr *a)
{
    for (size_t i = 0; i < count; i++)
        if (addr_eq(&list[i], a))
            return true;
    return false;
}

static void finish(struct net_resolve *r, const struct addr *found, size_t count)
{
    TAILQ_REMOVE(&r->loop->resolves, r, next);
    if (r->done) {
        loop_mark(r->loop);
        r->done(r->arg, found, count);
    }
    free(r);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct net_resolve *r = req->data;
    struct addr found[NET_RESOLVE_MAX];
    size_t count = 0;
    for (struct addrinfo *i = status == 0 ? list : NULL; i && count < NET_RESOLVE_MAX; i = i->ai_next) {
        struct addr *a = &found[count];
        if (!addr_from_sockaddr(a, i->ai_addr))
            continue;
        a->port = r->port;
        count += !is_listed(found, count, a);
    }
    uv_freeaddrinfo(list);
    finish(r, found, count);
}

static void say_literal(void *arg)
{
    struct net_resolve *r = arg;
    finish(r, &r->literal, 1);
}

enum err net_resolve(struct net_loop *l, const char *host, uint16_t port,
                     void (*done)(void *arg, const struct addr *found, size_t count), void *arg)
{
    struct net_resolve *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    *r = (struct net_resolve){.loop = l, .done = done, .arg = arg, .port = port};
    r->req.data = r;
    TAILQ_INSERT_TAIL(&l->resolves, r, next);
    enum err e;
    r->is_literal = addr_of_ip(&r->literal, host, port);
    if (r->is_literal) {
        e = net_post(l, say_literal, r);
    } else {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
        e = err_of_uv(uv_getaddrinfo(&l->uv, &r->req, on_resolved, host, NULL, &hints));
    }
    if (e) {
        TAILQ_REMOVE(&l->resolves, r, next);
        free(r);
    }
    return e;
}

void resolves_abandon(struct net_loop *l)
{
    struct net_resolve *next;
    for (struct net_resolve *r = TAILQ_FIRST(&l->resolves); r; r = next) {
        next = TAILQ_NEXT(r, next);
        r->done = NULL;
        if (r->is_literal) /* its posted answer will not run any more */
            finish(r, NULL, 0);
        else
            uv_cancel((uv_req_t *)&r->req); /* fails when a thread is at it already */
    }
}
