/* The bulk lane: messages of up to GOSSIP_BULK_MAX between agents, over TCP links of kind BULK on the control
 * loop.
 *
 * A message is be32 length and its bytes (assembly.h), cut over as many records as it needs. Links are dialled when
 * there is something to send, shared by both directions, and closed when nothing has moved for BULK_IDLE_MS, be it that
 * there is nothing to say or that the peer does not read. Delivery is at most once: what cannot be sent is reported.
 *
 * What a stranger can hold is bounded: BULK_HANDSHAKES_MAX connections for LINK_HANDSHAKE_TIMEOUT_MS. What a member can
 * hold, too: BULK_PEER_LINKS_MAX links, each with one message under way and BULK_QUEUE_MAX bytes of answers. In both
 * cases the oldest gives way to the new, so that nobody who holds on keeps others out. */
#ifndef CONTROL_BULK_H
#define CONTROL_BULK_H

#include "gossip/gossip.h"
#include "link/link.h"
#include "net/net.h"
#include "trust/proof.h"

enum {
    BULK_IDLE_MS = 30000,
    BULK_LINKS_MAX = 512,     /* open at once; further dials fail, further accepts are closed */
    BULK_HANDSHAKES_MAX = 64, /* accepted ones whose peer is not known yet */
    BULK_ACCEPTS_PER_S =
        800, /* handshakes begun by others, of sources within RATE_PER_S; one more is closed */
    BULK_SHARED_PER_S = 200, /* the same, of sources beyond it, together */
    BULK_PEER_LINKS_MAX = 4, /* accepted from one member; two are enough */
    BULK_QUEUE_MAX =
        8 * 1024 * 1024, /* bytes waiting on one link; a message beyond is reported as undeliverable */
    BULK_DIAL_TIMEOUT_MS = 3000,
    BULK_KNOCKS_MAX = 64, /* under way at once; one more is not begun */
    BULK_KNOCK_TIMEOUT_MS = 1000,
};

struct bulk;
struct bulk_events {
    void (*message)(void *arg, const struct node_id *from, const struct addr *via, struct bytes msg);
    void (*undelivered)(void *arg, const struct node_id *to_or_zero, const struct addr *addr);
    /* A link to this member broke without a good-bye, or could not be made; is_refused: our dial was reset. */
    void (*lost)(void *arg, const struct node_id *peer, bool is_refused);
    /* Whom we dialled says that we are no member, and why (link_refusal()); our own `verify` has accepted its credential, which is borrowed
     * for the call. May be NULL. */
    void (*refused)(void *arg, struct bytes credential, struct bytes words);
    /* Whom we dialled shows a credential that nobody whom we trust has signed. May be NULL. */
    void (*stranger)(void *arg, const struct addr *at);
};
struct bulk_stats {
    uint64_t links_opened, links_refused, handshakes_failed, messages_in, messages_out, malformed;
};

/* `setup` is copied (its pointers must outlive the bulk lane); kind and remote fields are filled in per link.
 */
struct bulk *bulk_new(struct net_loop *loop, const struct link_setup *setup, const struct bulk_events *ev,
                      void *arg);
void bulk_free(struct bulk *b);
/* What this host proves itself with from now on, instead of the setup's credential and key; takes a reference. Links that
 * are up go on. */
void bulk_prove(struct bulk *b, struct proof *p);
/* Queues a copy of `msg` (not empty) for `to` (an id of zeros: whoever answers at its address; no Noise key: XX). Failures come
 * as `undelivered`, in a later step or, when nothing could be queued, before this returns. */
void bulk_send(struct bulk *b, const struct link_to *to, struct bytes msg, mono_ms now);
/* Dials and hangs up: whether anybody listens there. Only a refusal is told, as `lost`. */
void bulk_knock(struct bulk *b, const struct node_id *to, const struct addr *addr);
/* A worker accepted a bulk link: its socket and the bytes read so far. Takes both. */
void bulk_accept(struct bulk *b, int fd_take, struct buf *read_take, mono_ms now);
/* Ends every link with this peer. */
void bulk_cut(struct bulk *b, const struct node_id *peer);
/* Ends every link whose peer `keep` does not want kept (it may not call back), and those of others that are not up yet:
 * their credentials may have been judged already. */
void bulk_retain(struct bulk *b, bool (*keep)(void *arg, const struct node_id *peer), void *arg);
/* In the loop's turn: feeds links, delivers messages, seals and writes what is queued, closes the idle and
 * the broken. No event may call back but by bulk_send(). */
void bulk_step(struct bulk *b, mono_ms now);
mono_ms bulk_deadline(const struct bulk *b);
const struct bulk_stats *bulk_stats(const struct bulk *b);

#endif
