/* A signed overlay (break-glass, docs/trust.md): an envelope of type "overlay" whose body is canonical msgpack
 *
 *   [ mesh str, epoch u64, version u64, begins u64, ends u64, text str ]         at most OVERLAY_BYTES_MAX in all
 *
 * `begins` is when the first of its signers signed it, `ends` what its text says, at most 24 hours later. The text is an overlay of
 * the language (policy.h); which policy it will meet is not known, so what it says of services is judged where it is composed.
 *
 * Signed by the keys of the root's delegation "break-glass", within that one's services, if the root has one; else by policy keys.
 * Two at least sign, where there are two; more if the role's threshold is higher. A key counts once. As of bundles
 * (bundle.h) the hash is that of the body, a draft has fewer signatures, and one form travels: exactly as many as are wanted, by the
 * lowest keys. Order is by (epoch, version), of two with one version the lower hash; `epoch` is at most the root's. */
#ifndef POLICY_OVERLAY_H
#define POLICY_OVERLAY_H

#include "policy/bundle.h"

enum {
    OVERLAY_TEXT_MAX = 16 * 1024,
    OVERLAY_BYTES_MAX = OVERLAY_TEXT_MAX + 4096,
};

struct overlay {
    struct bytes mesh, text; /* borrowed from the input */
    uint64_t epoch, version;
    wall_s begins, ends;
    char name[OVERLAY_NAME_MAX + 1], reason[POLICY_REASON_MAX + 1];
    size_t rule_count; /* 0: it ends the one before */
    struct hash hash;  /* of the body */
    size_t signers_wanted, signer_count;
    struct node_id signer[ENVELOPE_SIGS_MAX];
};

/* Who may sign one, how many have to, and for which services. Borrows from the root. */
struct overlay_signers {
    const struct role *role;
    size_t wanted;
    struct policy_reach reach; /* `name` NULL: every service */
    char name[sizeof OVERLAY_DELEGATION];
};
struct overlay_signers overlay_signers(const struct root *root);

/* Compiles the text and signs it as of `begins`; appends to `out`: a draft while the keys are fewer than wanted. `c` says what is
 * wrong. ERR_INVALID: the text does not compile, is for another mesh, or ends too late or before it begins; ERR_DENIED: a
 * key that may not, one given twice, or more keys than wanted; ERR_LIMIT: too large; ERR_NOMEM. */
must_check enum err overlay_sign(struct buf *out, const struct root *root, struct bytes text, wall_s begins,
                                 const struct sign_key *const *keys, size_t key_count, struct complaints *c);
/* Adds one signature to a draft, judged at `now` as if this signer were the first. ERR_EXPIRED: it has ended, or begins later than
 * CLOCK_SKEW_S from now; ERR_EXISTS: this key has signed it; ERR_LIMIT: it is complete; otherwise as overlay_read(), overlay_sign(). */
must_check enum err overlay_cosign(struct buf *out, const struct root *root, struct bytes draft, wall_s now,
                                   const struct sign_key *key, struct complaints *c);
/* Verifies against the root, signatures before anything in the body counts; of the times only that they are no more than 24 hours
 * apart: whether it is on now, overlay_phase() says. Nothing is set unless ERR_OK.
 *   ERR_LIMIT, ERR_MALFORMED, ERR_AUTH, ERR_DENIED, ERR_FOREIGN, ERR_UNSUPPORTED, ERR_INVALID, ERR_NOMEM   as bundle_open() */
must_check enum err overlay_open(struct overlay *out, const struct root *root, struct bytes in,
                                 struct complaints *c);
/* The same of a draft: any number of signatures will do, one at the least. */
must_check enum err overlay_read(struct overlay *out, const struct root *root, struct bytes in,
                                 struct complaints *c);
/* The form that travels. ERR_DENIED: a draft still, or signed by others; ERR_AUTH, ERR_MALFORMED, ERR_NOMEM. */
must_check enum err overlay_settle(struct buf *out, const struct root *root, struct bytes in);
/* The text inside one that was opened before; nothing is verified. Empty: it is none. */
struct bytes overlay_text(struct bytes in);

/* An overlay begins no earlier than CLOCK_SKEW_S before its signer's clock said so. */
enum overlay_phase { OVERLAY_EARLY, OVERLAY_ON, OVERLAY_OVER };
enum overlay_phase overlay_phase(const struct overlay *o, wall_s now);
/* As bundle_succeeds(). */
must_check enum err overlay_succeeds(const struct overlay *o, uint64_t epoch, uint64_t version,
                                     const struct hash *hash);
/* The text that ends `o` before its time, as its next version. `reason`: one line. ERR_NOMEM. */
must_check enum err overlay_end_text(struct buf *out, const struct overlay *o, const char *reason);

#endif
