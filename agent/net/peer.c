/* Who is at the other end: address, and for a process of this host its user id.
 *
 * For TCP the kernel is asked over NETLINK_SOCK_DIAG for the one socket whose local address is our peer and
 * whose peer is us (sock_diag(7), inet_diag exact look-up); the owner's uid is in the answer. The kernel
 * answers within sendto(), so asking does not block the loop. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <unistd.h>

#include "net/internal.h"

enum { TCP_LISTEN_STATE = 10 }; /* TCP_LISTEN of the kernel's tcp_states.h */

static bool end_of(const struct net_conn *c, bool peer, struct addr *out)
{
    struct sockaddr_storage sa;
    int len = sizeof sa;
    int r = peer ? uv_tcp_getpeername(&c->u.tcp, (struct sockaddr *)&sa, &len)
                 : uv_tcp_getsockname(&c->u.tcp, (struct sockaddr *)&sa, &len);
    return r == 0 && addr_from_sockaddr(out, (const struct sockaddr *)&sa);
}

bool net_conn_peer(const struct net_conn *c, struct addr *out)
{
    return !c->is_unix && end_of(c, true, out);
}

static enum err uid_of_unix(const struct net_conn *c, uid_t *uid)
{
    uv_os_fd_t fd;
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (uv_fileno(&c->u.handle, &fd) != 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
        return ERR_NOT_FOUND;
    *uid = cred.uid;
    return ERR_OK;
}

struct diag_ask {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

static struct diag_ask ask_for(const struct addr *socket_local, const struct addr *socket_peer)
{
    bool v4 = addr_is_v4(socket_local);
    struct diag_ask a = {
        .head = {.nlmsg_len = sizeof a, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = v4 ? AF_INET : AF_INET6, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u},
    };
    a.body.id.idiag_sport = htons(socket_local->port);
    a.body.id.idiag_dport = htons(socket_peer->port);
    memcpy(a.body.id.idiag_src, socket_local->ip + (v4 ? 12 : 0), v4 ? 4 : 16);
    memcpy(a.body.id.idiag_dst, socket_peer->ip + (v4 ? 12 : 0), v4 ? 4 : 16);
    a.body.id.idiag_cookie[0] = a.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    return a;
}

static enum err uid_in_answer(const uint8_t *at, size_t len, const struct diag_ask *asked, uid_t *uid)
{
    struct nlmsghdr head;
    struct inet_diag_msg m;
    if (len < NLMSG_HDRLEN + sizeof m)
        return ERR_NOT_FOUND;
    memcpy(&head, at, sizeof head);
    memcpy(&m, at + NLMSG_HDRLEN, sizeof m);
    /* The kernel falls back to a listener on that port when the connection is gone: that is somebody else. A
     * socket that its process has closed already is reported with inode 0 and uid 0: it must not pass for
     * root's. */
    if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY || m.idiag_state == TCP_LISTEN_STATE || m.idiag_inode == 0 ||
        m.id.idiag_sport != asked->body.id.idiag_sport || m.id.idiag_dport != asked->body.id.idiag_dport)
        return ERR_NOT_FOUND;
    *uid = m.idiag_uid;
    return ERR_OK;
}

static enum err diag_lookup(struct net_loop *l, const struct diag_ask *a, uid_t *uid)
{
    _Alignas(struct nlmsghdr) uint8_t reply[DIAG_REPLY_BYTES];
    if (l->diag < 0)
        l->diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (l->diag < 0)
        return ERR_IO;
    while (recv(l->diag, reply, sizeof reply, 0) > 0) { /* a late answer to an earlier question */
    }
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (sendto(l->diag, a, sizeof *a, 0, (struct sockaddr *)&kernel, sizeof kernel) != (ssize_t)sizeof *a)
        return ERR_IO;
    ssize_t n = recv(l->diag, reply, sizeof reply, 0);
    return n > 0 ? uid_in_answer(reply, (size_t)n, a, uid) : ERR_NOT_FOUND;
}

enum err net_conn_uid(const struct net_conn *c, uid_t *uid)
{
    struct addr us, peer;
    if (c->is_unix)
        return uid_of_unix(c, uid);
    if (!end_of(c, true, &peer) || !end_of(c, false, &us))
        return ERR_NOT_FOUND;
    struct diag_ask a = ask_for(&peer, &us);
    return diag_lookup(c->loop, &a, uid);
}
