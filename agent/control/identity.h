/* Who this agent is: its keys, credential and the root it trusts, kept as small files in the data folder.
 *
 *   identity.key, noise.key    made here, 0600, never leave the host
 *   credential, root.trust     public
 *
 * First start: needs a token; makes the keys, signs the credential with the token's grant, asks nobody. Later
 * starts need no token; a token given then renews the credential for the same keys when it says something
 * else or is about to expire. */
#ifndef CONTROL_IDENTITY_H
#define CONTROL_IDENTITY_H

#include "control/config.h"
#include "trust/trust.h"

struct identity {
    struct sign_key sign;
    struct dh_key noise;
    struct buf credential;             /* envelope */
    struct credential credential_open; /* borrows from `credential` */
    struct buf root;
    struct trust *trust;
};

/* Loads or makes the identity. On error `why` is a sentence for the operator. ERR_NOT_FOUND: first start
 * without a token. */
must_check enum err identity_open(struct identity *out, const struct config *config, wall_s now,
                                  struct buf *why);
/* For a folder whose state says that it has had an identity: one that lost its key is not given another, token or
 * not, since that would destroy what a backup of the key would mend (ADVERSARY S8). ERR_NOT_FOUND, and `why`. */
must_check enum err identity_is_there(const struct config *config, struct buf *why);
/* Is the credential in the last third of its life? Then a token renews it, and the agent warns. */
bool identity_expires_soon(const struct identity *id, wall_s now);
void identity_fini(struct identity *id);

#endif
