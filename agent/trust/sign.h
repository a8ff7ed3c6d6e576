/* Ed25519 signing keys, and the ids and text forms of keys. The only users of libsodium are this room and
 * noise/. Private keys are wiped on fini. Small-order and non-canonical public keys are refused when loaded
 * (ADVERSARY N14, B18). */
#ifndef TRUST_SIGN_H
#define TRUST_SIGN_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"

struct sign_key {
    struct node_id pub;
    uint8_t sec[64]; /* libsodium's form: seed and public key */
};

struct dh_key {
    uint8_t pub[32], sec[32]; /* X25519 for Noise; never derived from the signing key */
};

/* Must be called once before anything else of trust/ and noise/. ERR_IO: no system randomness; the caller
 * must not go on. */
must_check enum err trust_init(void);

void sign_key_new(struct sign_key *k);
void dh_key_new(struct dh_key *k);
void sign_key_fini(struct sign_key *k);
void dh_key_fini(struct dh_key *k);
/* Is it the one canonical encoding of a point of the prime-order subgroup? (Not of small order, no torsion.)
 */
bool sign_pub_is_sound(const uint8_t pub[32]);
/* Is it a canonical encoding that is not of small order? Enough for a host's identity, which costs a stranger's record a
 * quarter less than the whole of sign_pub_is_sound(); sign.c says why. That it is a point at all shows when a signature is verified by it. */
bool sign_pub_may_identify(const uint8_t pub[32]);
/* Is it a canonical u-coordinate (RFC 7748 section 5, below 2^255 - 19, top bit clear) that is not of small
 * order? */
bool dh_pub_is_sound(const uint8_t pub[32]);
struct hash hash_of(struct bytes b); /* SHA-256 */
void random_bytes(void *out, size_t n);
/* Overwrites secrets in a way that no compiler removes. secret_fini also frees; what a buffer outgrew by
 * realloc is beyond reach, so reserve room for secrets first. */
void secret_wipe(void *p, size_t n);
void secret_fini(struct buf *b);
/* "ed25519:<64 hex>". ERR_MALFORMED; ERR_INVALID: not a sound key. */
must_check enum err node_id_parse(struct node_id *out, const char *text);

/* Key files: one line of text, "starling-key-1 <what> <base64>\n", where <what> is
 * root|policy|enrol|identity|noise, or the same with "-sealed" when protected by a passphrase. The base64
 * (RFC 4648, padded) holds the 32-byte secret, or salt 16 | nonce 24 | secretbox(secret) 48       key =
 * argon2id(passphrase, salt), libsodium's interactive limits `secret` is an Ed25519 seed, or for "noise" an
 * X25519 scalar. ERR_NOMEM (argon2id takes 64 MiB). */
enum { KEY_TEXT_MAX = 256 }; /* bytes; a key file is never longer */
must_check enum err key_text_encode(struct buf *out, const char *what, const uint8_t secret[32],
                                    const char *passphrase_or_null);
/* ERR_MALFORMED: not such a line, or all zeros; ERR_INVALID: a sound line for another kind of key than
 * `what`; ERR_DENIED: sealed and no passphrase given; ERR_AUTH: wrong passphrase; ERR_NOMEM. A passphrase for
 * a key that is not sealed is ignored. On error `secret` is zeroed. */
must_check enum err key_text_decode(struct bytes text, const char *what, const char *passphrase_or_null,
                                    uint8_t secret[32]);
bool key_text_is_sealed(struct bytes text);
/* "root", "policy" ...: what kind of key the line is; NULL: it is no such line. */
const char *key_text_kind(struct bytes text);
/* ERR_INVALID: all zeros. */
must_check enum err sign_key_of_seed(struct sign_key *k, const uint8_t seed[32]);
must_check enum err dh_key_of_secret(struct dh_key *k, const uint8_t sec[32]);

#endif
