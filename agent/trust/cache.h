/* What has been verified before: a bounded memory of envelopes whose signatures were found good.
 *
 * A record is shown to an agent many times (as a rumor, in full states, from the store), its credential with every
 * record and every handshake; verifying one record costs three signatures and a subgroup check. The memory holds the
 * SHA-256 of exact envelope bytes and the wall time until which the credential in them lasts, nothing else. A hit
 * spares the arithmetic of signatures, never the judgement: the bytes are decoded, who signed is looked up in the root of
 * today and among the revoked keys, and every time is compared with `now`. So what has expired, whose signer has left the
 * root or whose key was revoked since is refused, and another root or revocation needs no forgetting. Whatever differs
 * in one byte is another envelope.
 *
 * Only what was accepted is remembered, so that only those with a valid credential can fill it; they can make others
 * forget, which costs a verification and no more. Sets of TRUST_CACHE_WAYS entries; a new one takes the place of the one
 * that was not asked for the longest, unless half of all are in use: then their number doubles, up to what was asked for.
 * Belongs to one loop. */
#ifndef TRUST_CACHE_H
#define TRUST_CACHE_H

#include "trust/trust.h"

enum { TRUST_CACHE_WAYS = 4 };

struct trust_cache;
/* Takes a reference to `t`. `entries`, the most there may be, is rounded up to a power of two (40 bytes each). NULL: no memory. */
struct trust_cache *trust_cache_new(struct trust *t, size_t entries);
void trust_cache_free(struct trust_cache *k);
/* Judges by this one from now on; takes a reference. */
void trust_cache_set(struct trust_cache *k, struct trust *t);
struct trust *trust_cache_trust(const struct trust_cache *k); /* the one in use; borrowed */

/* As trust_credential() and trust_record(), with the same answers for the same bytes and time. */
must_check enum err trust_cache_credential(struct trust_cache *k, struct bytes envelope, wall_s now,
                                           struct credential *out);
must_check enum err trust_cache_record(struct trust_cache *k, struct bytes envelope, wall_s now,
                                       struct record *out);

size_t trust_cache_bytes(const struct trust_cache *k);

struct trust_cache_stats {
    uint64_t hits, misses; /* of envelopes, a record and the credential in it apart */
};
const struct trust_cache_stats *trust_cache_stats(const struct trust_cache *k);

#endif
