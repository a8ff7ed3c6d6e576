#include "noise/prim.h"

#include <assert.h>
#include <sodium.h>

static_assert(PRIM_HASH_BYTES == crypto_hash_sha256_BYTES, "SHA-256");
static_assert(PRIM_XNONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "XChaCha20 nonce");
static_assert(PRIM_XTAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "Poly1305 tag");
static_assert(PRIM_KEY_BYTES == crypto_scalarmult_BYTES, "X25519 key");
static_assert(PRIM_MAC_BYTES >= crypto_generichash_BYTES_MIN, "BLAKE2b output");

enum err prim_init(void)
{
    return sodium_init() < 0 ? ERR_UNSUPPORTED : ERR_OK;
}

void prim_hash(uint8_t out[PRIM_HASH_BYTES], struct bytes a, struct bytes b)
{
    crypto_hash_sha256_state st;
    crypto_hash_sha256_init(&st);
    crypto_hash_sha256_update(&st, a.at, a.len);
    crypto_hash_sha256_update(&st, b.at, b.len);
    crypto_hash_sha256_final(&st, out);
}

void prim_mac(uint8_t out[PRIM_MAC_BYTES], const uint8_t key[PRIM_KEY_BYTES], struct bytes a, struct bytes b)
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, key, PRIM_KEY_BYTES, PRIM_MAC_BYTES);
    crypto_generichash_update(&st, a.at, a.len);
    crypto_generichash_update(&st, b.at, b.len);
    crypto_generichash_final(&st, out, PRIM_MAC_BYTES);
    sodium_memzero(&st, sizeof st);
}

void prim_xseal(uint8_t *out, const uint8_t key[PRIM_KEY_BYTES], const uint8_t nonce[PRIM_XNONCE_BYTES],
                struct bytes plain, struct bytes ad)
{
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain.at, plain.len, ad.at, ad.len, NULL, nonce,
                                               key);
}

enum err prim_xopen(uint8_t *out, const uint8_t key[PRIM_KEY_BYTES], const uint8_t nonce[PRIM_XNONCE_BYTES],
                    struct bytes sealed, struct bytes ad)
{
    if (sealed.len < PRIM_XTAG_BYTES)
        return ERR_MALFORMED;
    int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.at, sealed.len, ad.at,
                                                         ad.len, nonce, key);
    return bad ? ERR_AUTH : ERR_OK;
}

void prim_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

void prim_dh_secret(uint8_t secret[PRIM_KEY_BYTES])
{
    randombytes_buf(secret, PRIM_KEY_BYTES);
}

void prim_dh_public(uint8_t pub[PRIM_KEY_BYTES], const uint8_t secret[PRIM_KEY_BYTES])
{
    crypto_scalarmult_base(pub, secret);
}

bool prim_dh_is_sound(const uint8_t pub[PRIM_KEY_BYTES])
{
    /* Clamping makes every scalar a multiple of the cofactor 8, so any scalar at all tells small order (RFC
     * 7748 section 6.1): the product is zero for all of them or for none. */
    static const uint8_t scalar[PRIM_KEY_BYTES] = {8};
    uint8_t product[PRIM_KEY_BYTES];
    return crypto_scalarmult(product, scalar, pub) == 0;
}

bool prim_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

bool prim_is_zero(const void *p, size_t len)
{
    return sodium_is_zero(p, len) == 1;
}

void prim_wipe(void *p, size_t len)
{
    sodium_memzero(p, len);
}
