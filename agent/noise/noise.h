/* The Noise Protocol Framework, revision 34, over 25519 and SHA256 with ChaChaPoly or AESGCM. Cryptography is
 * libsodium's.
 *
 * Handshakes are driven by pattern tables (noise_pattern), so that tests can define others; the agent ships
 * XX and IK. No I/O and no allocation: messages are written into and read from the caller's buffers. An
 * all-zero DH result ends the handshake. A failed handshake object must be thrown away; a failed transport
 * decryption leaves n unchanged. */
#ifndef NOISE_NOISE_H
#define NOISE_NOISE_H

#include "base/bytes.h"
#include "base/err.h"

enum {
    NOISE_MESSAGE_MAX = 65535,
    NOISE_TAG_BYTES = 16,
    NOISE_PLAIN_MAX = NOISE_MESSAGE_MAX - NOISE_TAG_BYTES,
    NOISE_KEY_BYTES = 32,
};

enum noise_cipher { NOISE_CHACHAPOLY, NOISE_AESGCM };
bool noise_cipher_is_available(enum noise_cipher c); /* AESGCM needs AES-NI and PCLMUL */

enum noise_token { NOISE_E = 1, NOISE_S, NOISE_EE, NOISE_ES, NOISE_SE, NOISE_SS, NOISE_PSK, NOISE_END = 0 };
struct noise_pattern {
    const char *name;    /* "XX", "IKpsk2" */
    bool pre_is, pre_rs; /* pre-messages: the initiator's, the responder's static key is known before */
    bool one_way, psk;
    uint8_t message_count;
    uint8_t message[3][8]; /* tokens, NOISE_END at the end */
};
extern const struct noise_pattern noise_xx, noise_ik;

/* One direction's cipher. Sealing or opening before it has a key is a bug (assert): nothing passes in the
 * clear. */
struct noise_cipherstate {
    uint8_t key[32];
    uint64_t n;
    uint8_t cipher; /* enum noise_cipher */
    bool has_key;
    /* expanded AES key, when AESGCM */
    _Alignas(16) uint8_t aes[512];
};
/* Seals in place: plain_len bytes at `text` become plain_len + 16. ERR_LIMIT: plain_len > NOISE_PLAIN_MAX or
 * n exhausted (nothing was written). */
must_check enum err noise_seal(struct noise_cipherstate *c, uint8_t *text, size_t plain_len, struct bytes ad);
/* Opens in place; *plain_len = len - 16. ERR_MALFORMED: shorter than a tag; ERR_AUTH: n unchanged, `text` is
 * lost; ERR_LIMIT: n exhausted. */
must_check enum err noise_open(struct noise_cipherstate *c, uint8_t *text, size_t len, struct bytes ad,
                               size_t *plain_len);
/* The same from one buffer to another of at least sealed.len - 16 bytes that does not overlap it: no copy
 * before opening. */
must_check enum err noise_open_to(struct noise_cipherstate *c, uint8_t *out, struct bytes sealed,
                                  struct bytes ad, size_t *plain_len);
/* Sealing and opening with an explicit nonce, for datagrams; c->n is neither used nor moved. n = 2^64-1 is
 * ERR_LIMIT. */
must_check enum err noise_seal_at(const struct noise_cipherstate *c, uint64_t n, uint8_t *text,
                                  size_t plain_len, struct bytes ad);
must_check enum err noise_open_at(const struct noise_cipherstate *c, uint64_t n, uint8_t *text, size_t len,
                                  struct bytes ad, size_t *plain_len);
void noise_rekey(struct noise_cipherstate *c); /* section 4.2; n is not touched */

struct noise_handshake {
    const struct noise_pattern *pattern;
    bool initiator, done, failed;
    uint8_t step;
    uint8_t ck[32], h[32];
    struct noise_cipherstate cipher;
    uint8_t s_pub[32], s_sec[32], e_pub[32], e_sec[32], rs[32], re[32], psk[32];
    bool has_s, has_e, has_rs, has_re;
    bool fixed_e; /* tests only: e_sec was given */
};

struct noise_setup {
    const struct noise_pattern *pattern;
    enum noise_cipher cipher;
    bool initiator;
    struct bytes prologue;
    const uint8_t *s_sec; /* 32 bytes or NULL */
    const uint8_t
        *s_pub; /* its public key, for who has it at hand; NULL: computed, a sixth of a handshake's work */
    const uint8_t *rs;    /* 32 bytes or NULL */
    const uint8_t *psk;   /* 32 bytes or NULL */
    const uint8_t *e_sec; /* 32 bytes or NULL; vectors and tests only */
};
/* Keys are copied; the prologue is hashed and not kept. ERR_INVALID: a key the pattern needs is missing, rs
 * is a point of small order, or rs is our own (ADVERSARY N14, N16). ERR_UNSUPPORTED: no hardware for AESGCM,
 * or no randomness. */
must_check enum err noise_handshake_init(struct noise_handshake *hs, const struct noise_setup *setup);
bool noise_handshake_is_my_turn(const struct noise_handshake *hs);
/* Writes the next message with `payload` into out[cap]; *len is its length. `out` and `payload` may not
 * overlap. ERR_LIMIT: does not fit in cap or 65535; nothing happened. ERR_MALFORMED: a key of the peer gives
 * an all-zero DH result; the handshake has failed. */
must_check enum err noise_handshake_write(struct noise_handshake *hs, struct bytes payload, uint8_t *out,
                                          size_t cap, size_t *len);
/* Reads the peer's next message; the payload goes to out[cap] (cap >= msg.len is enough), which may not
 * overlap msg. ERR_LIMIT: the payload does not fit in cap; nothing happened. Else the handshake has failed.
 * ERR_MALFORMED: shorter or longer than a message can be, or an all-zero DH result. ERR_AUTH: an AEAD did not
 * open, or the peer shows our own static or ephemeral key (a reflection). */
must_check enum err noise_handshake_read(struct noise_handshake *hs, struct bytes msg, uint8_t *out,
                                         size_t cap, size_t *len);
/* How many bytes the next message is longer than its payload. */
size_t noise_handshake_overhead(const struct noise_handshake *hs);
/* After done: the two directions' ciphers, then the handshake's secrets are wiped; its h (channel binding)
 * and rs stay readable. In a one-way pattern the responder gets no key to send with, nor the initiator one to
 * receive with. */
void noise_handshake_split(struct noise_handshake *hs, struct noise_cipherstate *tx,
                           struct noise_cipherstate *rx);
void noise_handshake_fini(struct noise_handshake *hs);
void noise_cipherstate_fini(struct noise_cipherstate *c);

#endif
