/* The few primitives that link/ needs beside Noise itself, so that libsodium stays in this room: a hash, a
 * short keyed hash for mac1, mac2 and cookies, an AEAD with a random nonce for cookie replies, random bytes,
 * X25519 key pairs, comparison and wiping. No allocation; all pointers are borrowed for the call.
 *
 * None of them fails for reasons of the remote side but prim_xopen and prim_equal, which say so. */
#ifndef NOISE_PRIM_H
#define NOISE_PRIM_H

#include "base/bytes.h"
#include "base/err.h"

enum {
    PRIM_HASH_BYTES = 32,
    PRIM_KEY_BYTES = 32,
    PRIM_MAC_BYTES = 16,
    PRIM_XNONCE_BYTES = 24,
    PRIM_XTAG_BYTES = 16,
};

/* Readies the random generator and looks at the processor. Idempotent and safe from any thread; the program
 * calls it once at start. ERR_UNSUPPORTED: no source of randomness; nothing secret may be made (ADVERSARY
 * N33). */
must_check enum err prim_init(void);

/* SHA-256 of a, then b (either may be empty). */
void prim_hash(uint8_t out[PRIM_HASH_BYTES], struct bytes a, struct bytes b);

/* Keyed BLAKE2b with 16 bytes of output over a, then b (either may be empty): a MAC that costs well under a
 * microsecond, so that it can stand before any X25519. The lengths of a and b are not bound: give one of them
 * a fixed length. */
void prim_mac(uint8_t out[PRIM_MAC_BYTES], const uint8_t key[PRIM_KEY_BYTES], struct bytes a, struct bytes b);

/* XChaCha20-Poly1305: plain.len + 16 bytes go to out (may overlap plain exactly). The 24-byte nonce may be
 * random. */
void prim_xseal(uint8_t *out, const uint8_t key[PRIM_KEY_BYTES], const uint8_t nonce[PRIM_XNONCE_BYTES],
                struct bytes plain, struct bytes ad);
/* sealed.len - 16 bytes go to out. ERR_MALFORMED: shorter than a tag; ERR_AUTH: out is not to be used. */
must_check enum err prim_xopen(uint8_t *out, const uint8_t key[PRIM_KEY_BYTES],
                               const uint8_t nonce[PRIM_XNONCE_BYTES], struct bytes sealed, struct bytes ad);

/* Bytes fit for keys and nonces. prim_init() must have succeeded. */
void prim_random(void *out, size_t len);

/* A fresh X25519 secret, and the public key of a secret. */
void prim_dh_secret(uint8_t secret[PRIM_KEY_BYTES]);
void prim_dh_public(uint8_t pub[PRIM_KEY_BYTES], const uint8_t secret[PRIM_KEY_BYTES]);
/* False for a public key that gives an all-zero shared secret with every secret (the points of small order,
 * in all of their encodings): such a key is refused where it is loaded (ADVERSARY N14). */
bool prim_dh_is_sound(const uint8_t pub[PRIM_KEY_BYTES]);

/* Constant time in the content (ADVERSARY N34). */
bool prim_equal(const void *a, const void *b, size_t len);
bool prim_is_zero(const void *p, size_t len);

/* Overwrites with zeros in a way the compiler keeps. */
void prim_wipe(void *p, size_t len);

#endif
