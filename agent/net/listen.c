/* Listeners. When the process is out of descriptors libuv gives up its spare one to accept and close what
 * waits, so that clients see a close and accepting goes on by itself as soon as descriptors are free. */
#include <assert.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/internal.h"

struct net_listener {
    struct net_object object;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    struct net_loop *loop;
    void (*on_accept)(void *arg, struct net_conn *c_take);
    void *arg;
    bool is_unix, freed, starved;
    TAILQ_ENTRY(net_listener) next;
};

static void on_listener_closed(uv_handle_t *h)
{
    free(h->data);
}

void net_listener_free(struct net_listener *ls)
{
    if (!ls)
        return;
    ls->freed = true;
    if (ls->starved)
        TAILQ_REMOVE(&ls->loop->starved, ls, next);
    uv_close(&ls->u.handle, on_listener_closed);
}

static void listener_abandon(struct net_object *o)
{
    net_listener_free((struct net_listener *)o);
}

static struct net_listener *listener_make(struct net_loop *l, bool is_unix,
                                          void (*on_accept)(void *, struct net_conn *), void *arg)
{
    struct net_listener *ls = calloc(1, sizeof *ls);
    if (!ls)
        return NULL;
    *ls = (struct net_listener){
        .object = {listener_abandon}, .loop = l, .on_accept = on_accept, .arg = arg, .is_unix = is_unix};
    return ls;
}

static void take_one(struct net_listener *ls)
{
    struct net_conn *c = conn_make(ls->loop, ls->is_unix);
    if (!c) { /* uv holds the accepted socket and stops listening until we take it */
        ls->starved = true;
        TAILQ_INSERT_TAIL(&ls->loop->starved, ls, next);
        return;
    }
    if (uv_accept(&ls->u.stream, &c->u.stream) != 0) {
        net_conn_free(c);
        return;
    }
    loop_mark(ls->loop);
    ls->on_accept(ls->arg, c);
}

void listener_retry(struct net_listener *ls)
{
    TAILQ_REMOVE(&ls->loop->starved, ls, next);
    ls->starved = false;
    take_one(ls);
}

static void on_connection(uv_stream_t *s, int status)
{
    struct net_listener *ls = s->data;
    if (status == 0 && !ls->freed)
        take_one(ls);
}

static int listen_start(struct net_listener *ls, const struct addr *at, bool reuse_port)
{
    struct sockaddr_storage sa;
    uv_os_fd_t fd;
    int on = 1;
    addr_to_sockaddr(at, &sa);
    int r = uv_fileno(&ls->u.handle, &fd);
    /* What is accepted inherits it: no call for each connection. */
    if (r == 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        r = UV_EIO;
    if (r == 0 && reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        r = UV_ENOTSUP;
    if (r ==
        0) /* [::] takes IPv4 too, in its mapped form: without UV_TCP_IPV6ONLY uv leaves the socket dual */
        r = uv_tcp_bind(&ls->u.tcp, (const struct sockaddr *)&sa, 0);
    return r ? r : uv_listen(&ls->u.stream, LISTEN_BACKLOG, on_connection);
}

static bool bound_address(const uv_tcp_t *tcp, struct addr *out)
{
    struct sockaddr_storage sa;
    int len = sizeof sa;
    return uv_tcp_getsockname(tcp, (struct sockaddr *)&sa, &len) == 0 &&
           addr_from_sockaddr(out, (struct sockaddr *)&sa);
}

enum err net_listen(struct net_listener **out, struct net_loop *l, const struct addr *at, bool reuse_port,
                    struct addr *bound, void (*on_accept)(void *arg, struct net_conn *c_take), void *arg)
{
    struct net_listener *ls = listener_make(l, false, on_accept, arg);
    if (!ls)
        return ERR_NOMEM;
    int r = uv_tcp_init_ex(&l->uv, &ls->u.tcp, addr_is_v4(at) ? AF_INET : AF_INET6);
    if (r) {
        free(ls);
        return err_of_uv(r);
    }
    ls->u.handle.data = ls;
    r = listen_start(ls, at, reuse_port);
    if (r == 0 && bound && !bound_address(&ls->u.tcp, bound))
        r = UV_EIO;
    if (r) {
        net_listener_free(ls);
        return err_of_uv(r);
    }
    *out = ls;
    return ERR_OK;
}

enum err net_listen_unix(struct net_listener **out, struct net_loop *l, const char *path,
                         void (*on_accept)(void *arg, struct net_conn *c_take), void *arg)
{
    struct net_listener *ls = listener_make(l, true, on_accept, arg);
    if (!ls)
        return ERR_NOMEM;
    uv_pipe_init(&l->uv, &ls->u.pipe, 0);
    ls->u.handle.data = ls;
    /* The mode must hold from the first moment: between bind and chmod anybody could connect. */
    mode_t before = umask(0177);
    int r = uv_pipe_bind(&ls->u.pipe, path);
    umask(before);
    if (r == 0)
        r = uv_listen(&ls->u.stream, LISTEN_BACKLOG, on_connection);
    if (r) {
        net_listener_free(ls);
        return err_of_uv(r);
    }
    *out = ls;
    return ERR_OK;
}
