/* What is kept of who somebody is, immutable and reference-counted, so that loops can share it while it is replaced.
 *
 *   vouched   a credential that was accepted, with its bytes: a peer's, or our own
 *   proof     what a host proves itself with in handshakes: its newest credential with the Noise key that it names; and
 *             while a roll of that key overlaps, the pair of before
 *
 * A peer dials by the Noise key of the newest record that it knows, so for a while some know the old one. The responder
 * answers under the key it was called by, with the credential that names this key; an initiator uses the newest. */
#ifndef TRUST_PROOF_H
#define TRUST_PROOF_H

#include "trust/trust.h"

struct vouched;
/* Copies the credential's envelope. `c` as verification filled it in. ERR_NOMEM. */
must_check enum err vouched_new(struct vouched **out, const struct credential *c);
struct vouched *vouched_ref(struct vouched *v); /* NULL is fine */
void vouched_unref(struct vouched *v);
/* What is asked of every member's now and then; the rest is read from the bytes again, since there are as many of these as members.
 * Slices live as long as the reference. */
struct vouched_brief {
    struct bytes bytes; /* the envelope */
    struct bytes node;
    wall_s not_before, expires;
};
const struct vouched_brief *vouched_brief(const struct vouched *v);
/* All that it says; borrows from the reference. */
void vouched_open(const struct vouched *v, struct credential *out);

struct proof_pair {
    struct vouched *credential; /* names the public half of `noise` */
    struct credential opened;   /* borrows from it */
    struct dh_key noise;
};
struct proof;
/* Takes references and copies the keys. `before` (may be NULL): the proof that this one follows; its newest pair is the
 * pair of before if it is for another Noise key, else its pair of before still is. ERR_NOMEM. */
must_check enum err proof_new(struct proof **out, struct vouched *credential, const struct dh_key *noise,
                              const struct proof *before);
struct proof *proof_ref(struct proof *p); /* NULL is fine */
void proof_unref(struct proof *p);        /* wipes the private keys with the last reference */
const struct proof_pair *proof_now(const struct proof *p);
/* NULL: there is none. Peers refuse its credential once that has ended. */
const struct proof_pair *proof_before(const struct proof *p);

#endif
