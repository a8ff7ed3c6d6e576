/* A signed policy bundle: an envelope of type "policy" whose body is canonical msgpack
 *   [mesh, epoch, version, previous-hash, [feature...], text]
 * Signed by k of n policy keys of the root. The hash of a bundle is SHA-256 of its whole bytes. */
#ifndef POLICY_BUNDLE_H
#define POLICY_BUNDLE_H

#include "policy/policy.h"

enum { BUNDLE_BYTES_MAX = 1024 * 1024 };

struct bundle {
    struct bytes mesh;
    uint64_t epoch, version;
    struct hash previous; /* zeros: none */
    struct bytes text;
    struct hash hash; /* of the whole bundle */
    size_t signer_count;
    struct node_id signer[ENVELOPE_SIGS_MAX];
};
/* Compiles, runs the tests, and signs. Complaints in `c`. */
must_check enum err bundle_sign(struct buf *out, const struct root *root, uint64_t epoch, struct bytes text,
                                const struct hash *previous_or_null, const struct sign_key *const *keys,
                                size_t key_count, struct complaints *c);
/* Splits and verifies against the root: ERR_MALFORMED (bytes, non-canonical), ERR_AUTH (signatures),
 * ERR_FOREIGN (mesh), ERR_UNSUPPORTED (a feature this agent lacks; named in `c`), ERR_INVALID (the text does
 * not compile, or says another version or mesh). Slices borrow from `in`. *out_policy (may be NULL) gets the
 * compiled policy. */
must_check enum err bundle_open(struct bundle *out, struct policy **out_policy, const struct root *root,
                                struct bytes in, struct complaints *c);
/* May `b` replace what is in force? ERR_OK; ERR_STALE: lower, or the same version with a higher hash;
 * ERR_EXISTS: the very same; ERR_CONFLICT: the same version, other bytes, lower hash: take it and alarm. */
must_check enum err bundle_succeeds(const struct bundle *b, uint64_t epoch, uint64_t version,
                                    const struct hash *hash);

#endif
