/* The one form of everything signed: msgpack [type, body-bytes, [[key-id, signature], ...]].
 *
 * A signature is Ed25519 over  "starling/" type "/v1\0" || body-bytes  and key-id is the signer's 32-byte
 * public key. The raw bytes are verified before the body is parsed. Refused as ERR_MALFORMED: trailing bytes,
 * non-minimal encodings, repeated or unsorted key ids, an empty signature list, more than ENVELOPE_SIGS_MAX
 * signatures. One key counts once.
 *
 * A type is lower-case letters, and behind them the version of the format if it is not the first: "root", then "root2", "root3",
 * ... (at most ENVELOPE_TYPE_MAX bytes). Body and type have one version: another body is another type, signed as such. Who
 * meets a type that is newer than what it reads says so by an error of its own, ERR_UNSUPPORTED: update. The NUL after "/v1" ends it, so no signed string is
 * the beginning of another and a signature made for one type is good for no other (ADVERSARY B17). Ed25519 is
 * libsodium's, which refuses S >= L, R or A not canonical or of small order (B18): nobody but the signer can
 * make a second signature. */
#ifndef TRUST_ENVELOPE_H
#define TRUST_ENVELOPE_H

#include "trust/codec.h"
#include "trust/sign.h"

enum { ENVELOPE_SIGS_MAX = 16, ENVELOPE_TYPE_MAX = 16 };

#define ENVELOPE_ROOT       "root"
#define ENVELOPE_GRANT      "grant"
#define ENVELOPE_CREDENTIAL "credential"
#define ENVELOPE_RECORD     "record"
#define ENVELOPE_POLICY     "policy"
#define ENVELOPE_PART       "part"
#define ENVELOPE_OVERLAY    "overlay"
#define ENVELOPE_REQUEST    "request"

struct envelope {
    struct bytes type; /* all borrowed from the input */
    struct bytes body;
    size_t sig_count;
    struct {
        const uint8_t *key; /* 32 bytes */
        const uint8_t *sig; /* 64 bytes */
    } sig[ENVELOPE_SIGS_MAX];
};

/* Is this the type of a later version of `type`'s format? */
bool envelope_is_newer(struct bytes type, const char *than);

/* Signs `body` with each key (1 to ENVELOPE_SIGS_MAX, all different) and appends the envelope to `out`.
 * ERR_NOMEM. */
must_check enum err envelope_sign(struct buf *out, const char *type, struct bytes body,
                                  const struct sign_key *const *keys, size_t key_count);
/* Adds one signature to an existing envelope (k of n, one signer at a time). ERR_EXISTS: that key has signed
 * already; ERR_LIMIT: it has ENVELOPE_SIGS_MAX signatures; ERR_MALFORMED; ERR_NOMEM. */
must_check enum err envelope_cosign(struct buf *out, struct bytes envelope, const struct sign_key *key);
/* The one form in which something signed by `threshold` of these keys travels: the envelope with the signatures of the
 * lowest `threshold` keys that have signed, and no others. Errors: envelope_verify()'s, ERR_MALFORMED. */
must_check enum err envelope_settle(struct buf *out, struct bytes envelope, const char *type,
                                    const struct node_id *keys, size_t key_count, size_t threshold);
/* Splits without verifying. ERR_MALFORMED, and then *why_or_null says where. */
must_check enum err envelope_parse(struct envelope *e, struct bytes in);
must_check enum err envelope_parse_why(struct envelope *e, struct bytes in, struct refusal *why_or_null);
/* Is it of this type and validly signed by at least `threshold` of these keys? Signatures by other keys are
 * ignored, a wrong signature by a listed key is an error. ERR_INVALID: other type; ERR_UNSUPPORTED: a
 * newer version of it; ERR_AUTH: a bad signature
 * by a listed key (altered); ERR_DENIED: fewer than `threshold` of the keys have signed (another signer);
 * ERR_NOMEM. */
must_check enum err envelope_verify(const struct envelope *e, const char *type, const struct node_id *keys,
                                    size_t key_count, size_t threshold);

#endif
