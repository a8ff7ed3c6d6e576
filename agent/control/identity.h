/* Who this agent is: its keys, credential and the root it trusts, kept as small files in the data folder.
 *
 *   identity.key, noise.key    made here, 0600, never leave the host
 *   credential, root.trust     public
 *   noise.key.next             while the Noise key is rolled: the key of a credential that may be in place already
 *   *.asked                    keys made by `starling enrol request`, until the credential for them has come
 *
 * First start: needs a token, or a credential that was signed for the keys asked for; asks nobody. Later starts
 * need neither; a token given then renews the credential for the same keys when it says something else or is about to
 * expire. A token may bring newer roots: they are followed one by one from the one that is trusted here, and kept, before
 * anything is judged by them; a root that nothing leads to is not believed because a token says so. */
#ifndef CONTROL_IDENTITY_H
#define CONTROL_IDENTITY_H

#include "control/config.h"
#include "trust/proof.h"

struct identity {
    struct sign_key sign;
    struct proof *proof;               /* what peers are shown; replaced by control_take_proof() */
    struct credential credential_open; /* its newest credential; borrows from it */
    struct buf root;
    struct buf roots; /* the chain by which the token led to `root` at this start; empty: it did not */
    struct trust *trust;
};

/* Loads or makes the identity. On error `why` is a sentence for the operator. ERR_NOT_FOUND: first start
 * without a token. */
must_check enum err identity_open(struct identity *out, const struct config *config, wall_s now,
                                  struct buf *why);

/* A new credential for this identity. All is borrowed. */
struct renewal {
    const struct config *config; /* node, labels, services, data folder */
    const struct identity *of;
    struct bytes token;      /* a token's text; empty: what lies at config->token_path */
    struct bytes credential; /* or a ready one, as text of `starling enrol sign` */
    bool must_extend;        /* refuse one that does not end later (ERR_STALE) */
    bool roll_noise_key;     /* with a token: make a new Noise key, too */
    struct buf
        *roots; /* appended to when what was brought stands on newer roots; NULL: they are not looked at */
};
/* Makes it, judges it as every peer will, stores it, durable, and gives the proof to use from now on. Reads and writes
 * files: not for the control loop. On error nothing has changed, and `why` is a sentence: ERR_DENIED, ERR_REVOKED,
 * ERR_EXPIRED, ... ERR_AGAIN: `roots` are to be followed and trusted first (a chain, of one root if that is the next), then
 * ask again. */
must_check enum err identity_renew(struct proof **out, const struct renewal *r, wall_s now, struct buf *why);
/* Takes this proof over (a reference). */
void identity_take_proof(struct identity *id, struct proof *p);

/* For a folder whose state says that it has had an identity: one that lost its key is not given another, token or
 * not, since that would destroy what a backup of the key would mend (ADVERSARY S8). ERR_NOT_FOUND, and `why`. */
must_check enum err identity_is_there(const struct config *config, struct buf *why);
/* Is the credential in the last third of its life? Then a token renews it, and the agent warns. */
bool identity_expires_soon(const struct identity *id, wall_s now);
void identity_fini(struct identity *id);

#endif
