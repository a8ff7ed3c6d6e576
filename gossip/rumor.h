/* rumor.h: what is still to be told, keyed by subject: newer news about a member replaces the older in place.
 *
 * Four classes, so that a flood of one kind cannot starve another: documents (a policy's announcement),
 * opinions (suspect, dead), good-byes (a host drains), records. They take turns in each packet, in this order.
 * Within a class the least often sent comes first, as in SWIM section 4.1; after `limit` sends a rumor is dropped. A rumor holds no content: it points at its subject, whose current record or state is what
 * gets sent. Besides, a fresh rumor owes `eager_left` pushes. */
#ifndef GOSSIP_RUMOR_H
#define GOSSIP_RUMOR_H

#include <sys/queue.h>

#include "base/id.h"

struct member;

enum rumor_class { RUMORS_DOC, RUMORS_OPINION, RUMORS_LEAVE, RUMORS_RECORD, RUMOR_CLASSES };
enum {
    RUMOR_SENDS_MAX = 31, /* retransmissions are capped here whatever lambda log n says */
    RUMORS_MAX = 4096,    /* per class; one more replaces the most often sent; anti-entropy repairs */
};

struct rumor {
    TAILQ_ENTRY(rumor) by_sends, eager;
    struct rumor **home;    /* the subject's pointer to this, cleared when it is dropped */
    struct member *subject; /* NULL for documents */
    struct member *source;  /* who told us, not told back; NULL: ourselves */
    struct node_id accuser; /* opinions */
    uint8_t class, sends, eager_left, hops, doc_kind;
    bool owes_wave;  /* a second wave of pushes is due */
    bool is_wave;    /* the pushes it owes are those of the second wave */
    bool is_refused; /* a death: dials were refused */
    bool is_hint;    /* no accusation: it is degraded */
};
TAILQ_HEAD(rumor_list, rumor);

struct rumors {
    struct rumor_list by_sends[RUMOR_CLASSES][RUMOR_SENDS_MAX];
    struct rumor_list eager[RUMOR_CLASSES];
    uint32_t used[RUMOR_CLASSES]; /* bit s: there are some that were sent s times */
    uint32_t count[RUMOR_CLASSES];
    uint32_t eager_count; /* how many owe pushes */
};

void rumors_init(struct rumors *q);
void rumors_fini(struct rumors *q);
/* The rumor at *home made fresh (sent 0 times, and of this class now), or a new one put there. NULL: no memory.
 * Fill in subject, source, accuser. */
struct rumor *rumors_put(struct rumors *q, enum rumor_class class, struct rumor **home);
void rumors_eager(struct rumors *q, struct rumor *r, uint8_t times); /* owe this many eager pushes */
void rumors_drop(struct rumors *q, struct rumor *r);                 /* NULL is fine */
/* It went out once more; dropped (true) when sent `limit` times and no push of its is owed. `eager`: one owed push is paid. */
bool rumors_sent(struct rumors *q, struct rumor *r, bool eager, uint8_t limit);
struct rumor *rumors_first(const struct rumors *q, enum rumor_class class); /* least sent first */
struct rumor *rumors_next(const struct rumors *q, const struct rumor *r);
bool rumors_is_eager(const struct rumors *q);           /* some rumor owes an eager push */
void rumors_forget(struct rumors *q, struct member *m); /* m goes away */

#endif
