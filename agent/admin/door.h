/* What the Unix socket and the read-only port share: a bounded set of connections, each collecting a request
 * and sending an answer, closed when silent for ADMIN_IDLE_MS. */
#ifndef ADMIN_DOOR_H
#define ADMIN_DOOR_H

#include "admin/admin.h"
#include "base/list.h"

struct door;
struct door_conn {
    struct list_node node;
    struct door *door;
    struct net_conn *conn; /* NULL: gone, the object waits for `busy` to end */
    struct buf in;
    bool busy;                /* an answer will come later; nothing is read meanwhile */
    bool working;             /* `received` is on the stack */
    mono_ms since;            /* of the last byte read */
    struct h1_reader *reader; /* the read-only port's */
};

struct door {
    struct control *control;
    struct net_listener *listener;
    struct list conns;
    size_t count, request_max;
    /* Bytes were added to conn->in. Returns false when the connection is to be closed. */
    bool (*received)(struct door_conn *k);
    bool (*admit)(struct net_conn *c); /* NULL: everybody */
};

void door_init(struct door *d, struct control *c, size_t request_max, bool (*received)(struct door_conn *));
void door_fini(struct door *d);
/* Closes what has been silent too long; returns when to look again. */
mono_ms door_step(struct door *d, mono_ms now);
void door_on_accept(void *door, struct net_conn *c_take);
void door_send(struct door_conn *k, struct buf *bytes_take);
void door_close(struct door_conn *k, bool flush);
/* A late answer has been sent or given up. */
void door_done(struct door_conn *k);

#endif
