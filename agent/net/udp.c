/* Datagrams: recvmmsg in batches, sends that never wait. */
#include <assert.h>

#include "net/internal.h"

enum {
    UDP_BATCH = 16,             /* datagrams per recvmmsg */
    UDP_SLOT_BYTES = 64 * 1024, /* uv's size of a slot; pages that no datagram reaches are never touched */
    UDP_KERNEL_BYTES =
        4 * 1024 * 1024, /* receive buffer asked for; the kernel gives at most net.core.rmem_max */
};

struct net_udp {
    struct net_object object;
    uv_udp_t handle;
    struct net_loop *loop;
    void (*on_datagram)(void *arg, const struct addr *from, uint8_t *at, size_t len);
    void *arg;
    bool v6, freed;
    uint64_t dropped;
    uint8_t *space;
};

static void on_udp_closed(uv_handle_t *h)
{
    struct net_udp *u = h->data;
    free(u->space);
    free(u);
}

void net_udp_free(struct net_udp *u)
{
    if (!u)
        return;
    u->freed = true;
    uv_udp_recv_stop(&u->handle);
    uv_close((uv_handle_t *)&u->handle, on_udp_closed);
}

static void udp_abandon(struct net_object *o)
{
    net_udp_free((struct net_udp *)o);
}

static void on_udp_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    *out = uv_buf_init((char *)((struct net_udp *)h->data)->space, UDP_BATCH * UDP_SLOT_BYTES);
}

static void on_udp_recv(uv_udp_t *h, ssize_t n, const uv_buf_t *b, const struct sockaddr *sa, unsigned flags)
{
    struct net_udp *u = h->data;
    struct addr from;
    if (u->freed || n < 0 ||
        !sa) /* no sender: uv says that the batch is over; an error: ICMP, which anybody can forge */
        return;
    if ((flags & UV_UDP_PARTIAL) || !addr_from_sockaddr(&from, sa)) {
        u->dropped++;
        return;
    }
    loop_mark(u->loop);
    u->on_datagram(u->arg, &from, (uint8_t *)b->base, (size_t)n);
}

static int udp_start(struct net_udp *u, const struct addr *bind, bool v6_only)
{
    struct sockaddr_storage sa;
    int bytes = UDP_KERNEL_BYTES;
    addr_to_sockaddr(bind, &sa);
    int r = uv_udp_bind(&u->handle, (const struct sockaddr *)&sa, u->v6 && v6_only ? UV_UDP_IPV6ONLY : 0);
    if (r)
        return r;
    (void)uv_recv_buffer_size((uv_handle_t *)&u->handle, &bytes); /* better, not needed */
    return uv_udp_recv_start(&u->handle, on_udp_alloc, on_udp_recv);
}

enum err net_udp_open(struct net_udp **out, struct net_loop *l, const struct addr *bind, bool v6_only,
                      void (*on_datagram)(void *arg, const struct addr *from, uint8_t *at, size_t len),
                      void *arg)
{
    struct net_udp *u = calloc(1, sizeof *u);
    if (!u)
        return ERR_NOMEM;
    *u = (struct net_udp){
        .object = {udp_abandon}, .loop = l, .on_datagram = on_datagram, .arg = arg, .v6 = !addr_is_v4(bind)};
    u->space = malloc(UDP_BATCH * UDP_SLOT_BYTES);
    int r = u->space ? uv_udp_init_ex(&l->uv, &u->handle, (u->v6 ? AF_INET6 : AF_INET) | UV_UDP_RECVMMSG)
                     : UV_ENOMEM;
    if (r) {
        free(u->space);
        free(u);
        return err_of_uv(r);
    }
    u->handle.data = u;
    r = udp_start(u, bind, v6_only);
    if (r) {
        net_udp_free(u);
        return err_of_uv(r);
    }
    *out = u;
    return ERR_OK;
}

/* A dual-stack socket speaks IPv6 only; IPv4 goes in its mapped form (RFC 3493 section 3.7). */
static void address_for(const struct net_udp *u, const struct addr *to, struct sockaddr_storage *sa)
{
    addr_to_sockaddr(to, sa);
    if (u->v6 && addr_is_v4(to)) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(to->port)};
        memcpy(&in6.sin6_addr, to->ip, 16);
        memcpy(sa, &in6, sizeof in6);
    }
}

void net_udp_send(struct net_udp *u, const struct addr *to, struct bytes datagram)
{
    struct sockaddr_storage sa;
    if (!u->v6 && !addr_is_v4(to)) {
        u->dropped++;
        return;
    }
    address_for(u, to, &sa);
    uv_buf_t b = uv_buf_init((char *)datagram.at, (unsigned)datagram.len);
    if (uv_udp_try_send(&u->handle, &b, 1, (const struct sockaddr *)&sa) < 0)
        u->dropped++;
}

uint64_t net_udp_dropped(const struct net_udp *u)
{
    return u->dropped;
}

bool net_udp_bound(const struct net_udp *u, struct addr *out)
{
    struct sockaddr_storage sa;
    int len = sizeof sa;
    return uv_udp_getsockname(&u->handle, (struct sockaddr *)&sa, &len) == 0 &&
           addr_from_sockaddr(out, (const struct sockaddr *)&sa);
}
