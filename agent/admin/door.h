/* What the Unix socket and the read-only port share: a bounded set of connections, each collecting a request
 * and sending an answer, closed when nothing has moved for ADMIN_IDLE_MS.
 *
 * Who asks faster than it reads is not looked at while DOOR_QUEUE_MAX bytes of answers wait for it: its requests
 * stay in the kernel. */
#ifndef ADMIN_DOOR_H
#define ADMIN_DOOR_H

#include "admin/admin.h"
#include "base/list.h"

enum {
    DOOR_QUEUE_MAX = 256 * 1024, /* bytes of answers not yet taken; then no further request is served */
    DOOR_LINGER_MS = 2000,       /* for the last answer of a closed connection, which is no longer counted */
};

struct door;
struct door_conn {
    struct list_node node;
    struct door *door;
    struct net_conn *conn; /* NULL: gone, the object waits for `busy` to end */
    struct buf in;
    bool busy;                /* an answer will come later; nothing is read meanwhile */
    bool working;             /* `received` is on the stack */
    bool at_eof;              /* it will ask nothing more */
    bool stays;               /* until the agent stops, however silent */
    mono_ms since;            /* when a byte last came or went */
    size_t queued;            /* at the last step */
    struct h1_reader *reader; /* the read-only port's */
};

struct door {
    struct control *control;
    struct net_listener *listener;
    struct list conns;
    size_t count, request_max;
    /* Serves what is whole in k->in, as long as door_may_go_on(). Returns false when the connection is to be
     * closed. */
    bool (*received)(struct door_conn *k);
    bool (*admit)(struct net_conn *c); /* NULL: everybody */
};

void door_init(struct door *d, struct control *c, size_t request_max, bool (*received)(struct door_conn *));
void door_fini(struct door *d);
/* Closes what has been silent too long; returns when to look again. */
mono_ms door_step(struct door *d, mono_ms now);
void door_on_accept(void *door, struct net_conn *c_take);
bool door_may_go_on(const struct door_conn *k);
void door_send(struct door_conn *k, struct buf *bytes_take);
/* A late answer has been sent or given up. */
void door_done(struct door_conn *k);

#endif
