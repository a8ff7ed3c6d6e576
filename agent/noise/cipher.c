/* Cipher states and the two AEADs of Noise, section 5.1 and 12: ChaChaPoly is RFC 8439's, AESGCM is
 * AES-256-GCM. */
#include "noise/aead.h"

#include <assert.h>
#include <sodium.h>

static_assert(sizeof(crypto_aead_aes256gcm_state) == sizeof((struct noise_cipherstate){0}.aes),
              "expanded AES key");
static_assert(NOISE_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES, "Poly1305 tag");
static_assert(NOISE_TAG_BYTES == crypto_aead_aes256gcm_ABYTES, "GCM tag");

enum { NONCE_BYTES = 12 };

/* 2^64-1 is REKEY's own (section 5.1): no message is ever sealed or opened with it. */
#define N_RESERVED UINT64_MAX

bool noise_cipher_is_available(enum noise_cipher c)
{
    /* The processor is only looked at by sodium_init(), which is idempotent. */
    return sodium_init() >= 0 &&
           (c == NOISE_CHACHAPOLY || (c == NOISE_AESGCM && crypto_aead_aes256gcm_is_available()));
}

static const crypto_aead_aes256gcm_state *expanded(const struct noise_cipherstate *c)
{
    return (const crypto_aead_aes256gcm_state *)(const void *)c->aes;
}

void noise_cipher_set_key(struct noise_cipherstate *c, enum noise_cipher cipher,
                          const uint8_t key[NOISE_KEY_BYTES])
{
    memmove(c->key, key, NOISE_KEY_BYTES);
    c->cipher = (uint8_t)cipher;
    c->has_key = true;
    if (cipher == NOISE_AESGCM)
        crypto_aead_aes256gcm_beforenm((crypto_aead_aes256gcm_state *)(void *)c->aes, c->key);
}

/* Section 12: four zero bytes, then n: little-endian for ChaChaPoly, big-endian for AESGCM. */
static void nonce_of(const struct noise_cipherstate *c, uint64_t n, uint8_t nonce[NONCE_BYTES])
{
    memset(nonce, 0, 4);
    if (c->cipher == NOISE_AESGCM) {
        store_be64(nonce + 4, n);
        return;
    }
    for (int i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(n >> (8 * i));
}

void noise_aead_seal(const struct noise_cipherstate *c, uint64_t n, uint8_t *out, struct bytes plain,
                     struct bytes ad)
{
    uint8_t nonce[NONCE_BYTES];
    assert(c->has_key);
    nonce_of(c, n, nonce);
    if (c->cipher == NOISE_AESGCM)
        crypto_aead_aes256gcm_encrypt_afternm(out, NULL, plain.at, plain.len, ad.at, ad.len, NULL, nonce,
                                              expanded(c));
    else
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain.at, plain.len, ad.at, ad.len, NULL, nonce,
                                                  c->key);
}

bool noise_aead_open(const struct noise_cipherstate *c, uint64_t n, uint8_t *out, struct bytes sealed,
                     struct bytes ad)
{
    uint8_t nonce[NONCE_BYTES];
    assert(c->has_key && sealed.len >= NOISE_TAG_BYTES);
    nonce_of(c, n, nonce);
    if (c->cipher == NOISE_AESGCM)
        return crypto_aead_aes256gcm_decrypt_afternm(out, NULL, NULL, sealed.at, sealed.len, ad.at, ad.len,
                                                     nonce, expanded(c)) == 0;
    return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.at, sealed.len, ad.at, ad.len,
                                                     nonce, c->key) == 0;
}

enum err noise_seal_at(const struct noise_cipherstate *c, uint64_t n, uint8_t *text, size_t plain_len,
                       struct bytes ad)
{
    if (plain_len > NOISE_PLAIN_MAX || n == N_RESERVED)
        return ERR_LIMIT;
    noise_aead_seal(c, n, text, bytes_of(text, plain_len), ad);
    return ERR_OK;
}

enum err noise_seal(struct noise_cipherstate *c, uint8_t *text, size_t plain_len, struct bytes ad)
{
    enum err e = noise_seal_at(c, c->n, text, plain_len, ad);
    if (e == ERR_OK)
        c->n++;
    return e;
}

static enum err open_at(const struct noise_cipherstate *c, uint64_t n, uint8_t *out, struct bytes sealed,
                        struct bytes ad, size_t *plain_len)
{
    if (n == N_RESERVED)
        return ERR_LIMIT;
    if (sealed.len < NOISE_TAG_BYTES || sealed.len > NOISE_MESSAGE_MAX)
        return ERR_MALFORMED;
    if (!noise_aead_open(c, n, out, sealed, ad))
        return ERR_AUTH;
    *plain_len = sealed.len - NOISE_TAG_BYTES;
    return ERR_OK;
}

enum err noise_open_at(const struct noise_cipherstate *c, uint64_t n, uint8_t *text, size_t len,
                       struct bytes ad, size_t *plain_len)
{
    return open_at(c, n, text, bytes_of(text, len), ad, plain_len);
}

enum err noise_open_to(struct noise_cipherstate *c, uint8_t *out, struct bytes sealed, struct bytes ad,
                       size_t *plain_len)
{
    enum err e = open_at(c, c->n, out, sealed, ad, plain_len);
    if (e == ERR_OK)
        c->n++;
    return e;
}

enum err noise_open(struct noise_cipherstate *c, uint8_t *text, size_t len, struct bytes ad,
                    size_t *plain_len)
{
    return noise_open_to(c, text, bytes_of(text, len), ad, plain_len);
}

/* Section 4.2: k = the first 32 bytes of ENCRYPT(k, 2^64-1, empty, 32 zero bytes). */
void noise_rekey(struct noise_cipherstate *c)
{
    uint8_t text[NOISE_KEY_BYTES + NOISE_TAG_BYTES] = {0};
    noise_aead_seal(c, N_RESERVED, text, bytes_of(text, NOISE_KEY_BYTES), bytes_of(NULL, 0));
    noise_cipher_set_key(c, c->cipher, text);
    sodium_memzero(text, sizeof text);
}

void noise_cipherstate_fini(struct noise_cipherstate *c)
{
    sodium_memzero(c, sizeof *c);
}
