/* The root that everything is checked against, and the chain that led to it: the one slot through which a new root becomes
 * the root of this agent.
 *
 * A chain that is offered is verified step by step, must hold the very root that is trusted here, is stored, and only then
 * used. There is no way back and none sideways: a lower root is refused (ADVERSARY B14), and so is another branch that begins
 * at a root we have passed, whatever its length or hash. Who could make one has the keys of that old root, and taking
 * them from a thief is what the next root was for. So, unlike two policies of one version, two roots of one epoch do not
 * settle by themselves: each agent stays with the one that it met first, alarms, and operators decide.
 *
 * At boot the stored chain is verified again. The file root.trust (by a token, or put there by hand) is where it begins: if
 * its root is in the chain, the newest of the chain is trusted. If it is newer than the whole chain and does not follow
 * it, the operator has put it there: it is believed, and the chain begins anew with it (ADVERSARY B15, docs/trust.md). */
#ifndef CONTROL_ANCHOR_H
#define CONTROL_ANCHOR_H

#include "observe/metrics.h"
#include "store/store.h"
#include "trust/trust.h"

enum {
    DOC_ROOTS = 2
}; /* gossip's kind of document; its epoch is the newest root's, its version the chain's length */

struct anchor {
    struct buf chain;
    struct chain opened;   /* the chain, verified; borrows from it */
    struct hash hash;      /* the chain's */
    struct hash newest;    /* root_hash() of the root in force */
    uint64_t epoch, first; /* of the newest and of the first root in it */
    size_t count;
    bool forked; /* another branch of the chain was seen */
    struct {
        bool busy;
        struct buf chain;
        struct trust *trust;
    } next;
    struct metrics *metrics;
};

/* At boot, before anything is judged by the file root.trust in `folder`: brings it up to the newest root of the stored chain,
 * so that it is also what an operator may copy from here. No file: nothing to do. Errors and `why` as anchor_init(). */
must_check enum err anchor_refresh(struct store *s, const char *folder, struct buf *why);
/* Verifies the stored chain against `*trust`, made of the file root.trust, and replaces it by that of the newest root. `why`:
 * a sentence on error, or on ERR_OK what was found that an operator should know (may stay empty). ERR_CONFLICT: root.trust
 * is not of this chain and not newer; ERR_DAMAGED; ERR_NOMEM; ERR_IO. `walked` (may be empty): the chain by which a token led
 * from the stored chain to root.trust; it is kept with it. */
must_check enum err anchor_init(struct anchor *a, struct store *s, struct bytes root_file,
                                struct bytes walked, struct trust **trust, struct metrics *m,
                                struct buf *why);
void anchor_fini(struct anchor *a);
/* Checks a chain and hands it to the store. ERR_OK: under way, the store confirms `ticket`; ERR_AGAIN: another is under way;
 * ERR_EXISTS: in force already; anything else: refused, and `why` says why. `now` is the trust in force, whose revoked keys
 * the new one takes over. */
must_check enum err anchor_offer(struct anchor *a, struct store *s, const struct trust *now,
                                 struct bytes chain, uint64_t ticket, struct buf *why);
/* The same for one root that is to follow the newest, as an operator or a token brings it. */
must_check enum err anchor_offer_root(struct anchor *a, struct store *s, const struct trust *now,
                                      struct bytes root, uint64_t ticket, struct buf *why);
/* The store has answered. The trust to use from now on (the caller's reference), or NULL: nothing changes. */
struct trust *anchor_confirmed(struct anchor *a, enum err outcome);

#endif
