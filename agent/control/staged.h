/* The policy that is being rolled out, beside the one in force: a slot like control/enforced.h, and the two change places.
 *
 *   nothing staged --stored--> held: the old one in force --its step has begun--> entered: the new one in force
 *                                    |        ^                                   |             |
 *                                    halted   '------------- halted --------------'             '--done--> nothing staged
 *
 * Both are durable: the old one where the policy always is, the new one as the fact "rollout" with two marks, entered and
 * halted. So a restart goes on where it was. Which step has begun, and what halts, policy/rollout.h decides. */
#ifndef CONTROL_STAGED_H
#define CONTROL_STAGED_H

#include "control/enforced.h"
#include "policy/rollout.h"

enum {
    DOC_BEFORE = 4
}; /* gossip's kind of document: what the newest policy is to replace, for those who have neither */

struct staged_policy {
    struct policy *policy; /* NULL: none */
    struct buf bundle;
    uint64_t epoch, version;
    struct hash hash;
    bool unvouched;
};

struct staged {
    bool on, entered, halt_saved;
    uint64_t epoch, version; /* that is rolled out */
    struct hash hash;
    struct policy *rules;       /* a reference to it, as it was signed: without parts */
    struct staged_policy other; /* the one of the two that is not in force */
    struct rollout state;
    struct {
        bool busy;
        struct staged_policy policy;
    } next;
    struct buf before; /* what is offered as DOC_BEFORE */
    struct hash before_hash;
    mono_ms look_at, report_at; /* of control/rollout.c */
    uint32_t empty_said;        /* ... the steps without a member that the log has told of */
};

struct staged_self { /* whose turn it is */
    const struct node_id *id;
    const struct labels *labels;
};

/* Loads what was staged, after enforced_init(). What cannot be used is dropped with a word in the log: gossip brings it
 * again. ERR_IO, ERR_DAMAGED, ERR_NOMEM: the store's. */
must_check enum err staged_init(struct staged *g, struct enforced *f, struct store *s,
                                const struct chain *roots, const struct staged_self *self);
void staged_fini(struct staged *g);
/* A candidate that has steps, checked and handed to the store. ERR_OK: under way, the store confirms `ticket`; ERR_AGAIN:
 * another is; ERR_EXISTS: it is staged; ERR_STALE: a newer one is; ERR_CONFLICT: one of this version with a lower hash
 * is. Two of one version raise the alarm (enforced_alarm_fork()), whichever comes second. ERR_NOT_FOUND: it is no rollout, or not sound: let enforced_offer() judge it. */
must_check enum err staged_offer(struct staged *g, struct enforced *f, struct store *s,
                                 const struct root *root, struct bytes bundle, wall_s now, uint64_t ticket,
                                 struct buf *why);
/* The store has answered. True: it is staged now, in the place of the one before. If that was in force here, it stays, unless it
 * was of the same version: then what was before both is in force again, or the new one if there was nothing; and if that was
 * halted, so is this one, for a halt is the version's. */
bool staged_confirmed(struct staged *g, struct enforced *f, struct store *s, enum err outcome,
                      const struct staged_self *self, wall_s now);
/* Moves to what `state` says; who is to go back and does not know to what stays until staged_take_base(). True: the policy in
 * force has changed. */
bool staged_follow(struct staged *g, struct enforced *f, struct store *s, wall_s now);
/* By a new root, which has to vouch for what is rolled out: what is in force stays so, but nothing comes into force by keys that were
 * rotated away. True: it is halted by that, from now on; follow. */
bool staged_rejudge(struct staged *g, struct enforced *f, const struct root *root);
/* A version at least as high is in force: nothing is staged any more. */
void staged_drop_if_past(struct staged *g, const struct enforced *f, struct store *s);
/* The one that is replaced: in force, or the other. */
struct bytes staged_base(const struct staged *g, const struct enforced *f, struct hash *hash, uint64_t *epoch,
                         uint64_t *version);
/* Has it nothing to go back to, or to wait with? */
bool staged_lacks_base(const struct staged *g, const struct enforced *f);
/* Keeps these bytes to offer them to others. */
void staged_keep_before(struct staged *g, struct bytes bundle, const struct hash *hash);
/* For one who entered with nothing before it: what to go back to. Opened already. */
void staged_take_base(struct staged *g, struct store *s, const struct bundle *b, struct policy *policy_take,
                      struct bytes bundle);

#endif
