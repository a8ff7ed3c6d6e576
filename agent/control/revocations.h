/* The keys that this agent holds revoked: those of the policy in force, and every one that a policy in force ever listed.
 *
 * A revocation outlives its target, so it must outlive the line of the policy that made it: what was revoked once is kept,
 * durably, whatever later policies say (ADVERSARY G36, B7). The store has it before the next policy can be in force: both
 * go through one queue, in order. When REVOKED_KEYS_MAX are kept, the one kept longest that the policy in force does not
 * list gives way; by then what it revoked has long ended (docs/trust.md). Belongs to the control loop. */
#ifndef CONTROL_REVOCATIONS_H
#define CONTROL_REVOCATIONS_H

#include "policy/policy.h"
#include "store/store.h"
#include "trust/revoked.h"

struct kept_key {
    struct node_id key;
    wall_s since; /* when this agent first held it revoked */
};

struct revocations {
    struct kept_key *at;
    size_t count, cap;
    size_t saved;        /* of `at`, from the beginning: durable, or on their way to be */
    size_t asked;        /* writes whose answer is awaited */
    struct revoked *set; /* the same keys, as verification wants them */
    bool has_failed;     /* one of them did: all are written again by the next revocations_save() */
};

/* What earlier policies revoked. ERR_DAMAGED: the store cannot tell; the agent must not start. ERR_NOMEM, ERR_IO. */
must_check enum err revocations_load(struct revocations *r, struct store *s);
void revocations_fini(struct revocations *r);
/* Takes over what `policy` (may be NULL) revokes; *news says whether anything was not known before. ERR_NOMEM: what there
 * is stays; try again. */
must_check enum err revocations_take(struct revocations *r, const struct policy *policy, struct store *s,
                                     wall_s now, bool *news);
/* Queues what is not durable yet, each with `ticket`; called again when some failed. */
void revocations_save(struct revocations *r, struct store *s, uint64_t ticket);
/* The store has answered for one ticket. */
void revocations_saved(struct revocations *r, enum err outcome);
bool revocations_are_unsaved(const struct revocations *r);
#endif
