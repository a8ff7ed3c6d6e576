/* A signed policy bundle: an envelope of type "policy" whose body is canonical msgpack
 *
 *   [ part str, mesh str, epoch u64, version u64, previous bin 32, [feature str, ...], forced str, text str ]
 *
 * or one of type "part", signed by the keys of a delegation of the root and not by the policy keys: `part` is the
 * delegation's name ("" of a policy), and its text may say only what is within the delegation's reach. `forced` says why it was
 * signed all the same: the reason why although a test inside it fails ("": none does), and then, if revocations were dropped
 * before their time, a line feed, "revocations dropped: " and the reason for that.
 *
 * Signed by k of n policy keys of the root. The hash of a bundle is SHA-256 of its body: of what was signed, and not of who
 * signed. So another choice among the signers' signatures is the same bundle, and never "other bytes of the same version", the
 * mark of signers who contradict each other (ADVERSARY B12).
 *
 * Among agents a bundle has one form: exactly `threshold` signatures, by the lowest keys of those who signed
 * (bundle_settle()). While it is carried from signer to signer it has fewer, and is a draft.
 *
 * `epoch` is at most the root's. Who steals the policy keys can sign the highest version there is, but not a
 * higher epoch: a new root with the next epoch starts the versions afresh (ADVERSARY B6). Order is by (epoch,
 * version). */
#ifndef POLICY_BUNDLE_H
#define POLICY_BUNDLE_H

#include "policy/policy.h"

enum {
    BUNDLE_BYTES_MAX = 1024 * 1024,
    PART_BYTES_MAX =
        60 * 1024, /* of a part's bundle: ROOT_DELEGATIONS_MAX of them make one document of gossip */
    BUNDLE_REASON_MAX = 200,
    BUNDLE_TEXT_MAX = BUNDLE_BYTES_MAX - 8192, /* room for the rest */
    BUNDLE_FEATURES_MAX = 64,
    BUNDLE_FEATURE_MAX = 32, /* bytes of a feature's name */
};

#define PART_VERSION_MAX ((uint64_t)UINT32_MAX) /* so that the sum of all parts' versions is a number, too */

struct bundle {
    struct bytes part;            /* empty: the policy itself */
    struct bytes forced, dropped; /* the two reasons; empty: none */
    struct bytes mesh;
    uint64_t epoch, version;
    struct hash previous; /* zeros: none */
    uint64_t features;    /* bits of feature_bit(): those listed, and those that the text needs */
    size_t
        unknown_count; /* features listed that this version has never heard of: only with ERR_UNSUPPORTED */
    struct bytes unknown[BUNDLE_FEATURES_MAX];
    struct bytes text;
    struct hash hash;      /* of the body */
    size_t signers_wanted; /* the root's threshold */
    size_t signer_count;
    struct node_id signer[ENVELOPE_SIGS_MAX];
};
/* Compiles, runs the tests, and signs; appends to `out`: a draft while the keys are fewer than the root's threshold. Complaints
 * in `c`. The same text, root and keys give the same bytes on every machine. ERR_INVALID: the text does not compile, fails
 * a test of its own, or is for another mesh; ERR_DENIED: a key that is no policy key of this root, one given twice, or more
 * keys than the threshold; or an epoch beyond the root's; ERR_LIMIT: too large; ERR_NOMEM. */
must_check enum err bundle_sign(struct buf *out, const struct root *root, uint64_t epoch, struct bytes text,
                                const struct hash *previous_or_null, const struct sign_key *const *keys,
                                size_t key_count, struct complaints *c);
/* The same with all that can be said. `part`: a delegation of the root, whose keys sign; empty: the policy. `forced`: sign though
 * its tests fail, for this reason, which goes into the bundle; `dropped`: why revocations are dropped. Each one line, together
 * at most BUNDLE_REASON_MAX bytes with what stands between them. */
struct bundle_wish {
    uint64_t epoch;
    struct bytes part, forced, dropped, text;
    const struct hash *previous_or_null;
};
must_check enum err bundle_sign_as(struct buf *out, const struct root *root, const struct bundle_wish *wish,
                                   const struct sign_key *const *keys, size_t key_count,
                                   struct complaints *c);
/* Adds one signature to a draft, after judging it as if this signer were the first: it is read, compiled and tested.
 * ERR_EXISTS: this key has signed it; ERR_LIMIT: it is complete; otherwise as bundle_read() and bundle_sign(). */
must_check enum err bundle_cosign(struct buf *out, const struct root *root, struct bytes draft,
                                  const struct sign_key *key, struct complaints *c);
/* The form that travels. ERR_DENIED: a draft still, or signed by others; ERR_AUTH, ERR_MALFORMED, ERR_NOMEM. */
must_check enum err bundle_settle(struct buf *out, const struct root *root, struct bytes in);
/* Splits and verifies against the root, signatures before anything in the body counts. Nothing is set unless ERR_OK.
 *   ERR_LIMIT        larger than BUNDLE_BYTES_MAX
 *   ERR_MALFORMED    not an envelope, not of type policy, not canonical
 *   ERR_AUTH         a signature by a policy key that is wrong: altered
 *   ERR_DENIED       signed by others, by too few or by more than `threshold`; or of an epoch beyond the root's
 *   ERR_FOREIGN      for another mesh (whoever signed it)
 *   ERR_UNSUPPORTED  needs a feature that this version has never heard of; named in `c`. In this case *out is set too,
 *                    as far as its head and `unknown` go: so that an agent can say what it is that it cannot follow.
 *                    Also a later version of the format: nothing of that is verified, and *out is as before
 *   ERR_INVALID      the text does not compile, or says another version or mesh than the bundle; *out as above
 *   ERR_NOMEM
 * Slices borrow from `in`. *out_policy (may be NULL) gets the compiled policy. */
must_check enum err bundle_open(struct bundle *out, struct policy **out_policy, const struct root *root,
                                struct bytes in, struct complaints *c);
/* What a bundle says of itself, and whose signatures it carries; nothing is verified. For bundles that were verified when they were
 * stored, by a root that may be past. ERR_MALFORMED. `features` and `signers_wanted` stay 0. */
must_check enum err bundle_peek(struct bundle *out, struct bytes in);
/* The same of a draft: any number of signatures by policy keys will do, one at the least. */
must_check enum err bundle_read(struct bundle *out, struct policy **out_policy, const struct root *root,
                                struct bytes in, struct complaints *c);
/* The text inside a bundle that was opened before; nothing is verified. Empty: it is none. */
struct bytes bundle_text(struct bytes bundle);
/* Does the agent of this version act on everything the bundle needs? ERR_UNSUPPORTED: no; `c` names each feature that is
 * lacking. Only who enforces asks: a signer may be older or newer than the agents. */
must_check enum err bundle_suits(const struct bundle *b, struct complaints *c);
/* May `b` replace what is in force, (epoch, version, hash)? ERR_OK; ERR_STALE: lower, or the same version
 * with a higher hash; ERR_EXISTS: the very same; ERR_CONFLICT: the same version, other bytes, lower hash:
 * take it and alarm. So agents settle on the lowest hash, in whatever order the bundles arrive. An ERR_STALE
 * with equal epoch and version is the same contradiction seen from the other side and deserves the same
 * alarm. */
must_check enum err bundle_succeeds(const struct bundle *b, uint64_t epoch, uint64_t version,
                                    const struct hash *hash);

#endif
