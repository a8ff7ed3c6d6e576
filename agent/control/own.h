/* Our own record: what this agent says about itself, and the incarnation it says it under.
 *
 * An incarnation is durable before it is used (ADVERSARY R5): a block of OWN_INCARNATIONS_AHEAD is reserved
 * in the store, and the next block is asked for, through the writer thread, when half is used. While the
 * store cannot confirm, no number beyond the block is used. */
#ifndef CONTROL_OWN_H
#define CONTROL_OWN_H

#include "control/config.h"
#include "control/enforced.h"
#include "control/identity.h"
#include "gossip/gossip.h"
#include "store/store.h"

enum { OWN_INCARNATIONS_AHEAD = 64 };

struct own {
    uint64_t incarnation, version;
    uint64_t reserved; /* highest incarnation that is durable */
    uint64_t asked;  /* highest incarnation asked to be made durable; == reserved when nothing is under way */
    uint64_t wanted; /* an incarnation we could not take yet because it is not durable; 0 = none */
    bool left, draining;
    uint8_t layout; /* of the record: what all members read */
    struct gossip_coordinate coordinate;
    uint64_t policy_epoch, policy_version;
    struct hash policy_hash;
    struct record_rollout rollout;
    struct record_overlay overlay;
    uint64_t parts_sum;
    struct hash parts_hash;
    struct enforced_failed failed;     /* what is to be said of the newest policy that is not in force here */
    bool healthy[CONFIG_SERVICES_MAX]; /* in the order of config->service */
};

/* Takes the first incarnation of this run: above everything stored. Synchronous; before the loop runs. */
must_check enum err own_init(struct own *o, struct store *s);
/* Moves to an incarnation >= at_least, and asks for a new block when due, confirmed with `ticket`. ERR_AGAIN:
 * not durable yet; call own_confirmed() when the ticket comes back and try again if `wanted` is set. */
must_check enum err own_raise(struct own *o, struct store *s, uint64_t at_least, uint64_t ticket);
/* The store has answered for `ticket`. */
void own_confirmed(struct own *o, enum err outcome);
/* Signs the record for the next version. */
must_check enum err own_sign(struct own *o, const struct config *config, const struct identity *id,
                             struct buf *out);

#endif
