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

/* 0, 1, the two u of order 8, p-1, and p and p+1, which read as 0 and 1: all that RFC 7748 section 6.1 makes zero of, with bit 255
 * masked as its section 5 does. A table, since the multiplication that would tell as well is a fifth of a handshake. It only decides
 * early: libsodium's own answer stands behind it wherever a key is multiplied with. */
static const uint8_t small_order[][PRIM_KEY_BYTES] = {
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
     0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

bool prim_dh_is_sound(const uint8_t pub[PRIM_KEY_BYTES])
{
    uint8_t u[PRIM_KEY_BYTES];
    memcpy(u, pub, sizeof u);
    u[PRIM_KEY_BYTES - 1] &= 0x7f;
    for (size_t i = 0; i < sizeof small_order / sizeof *small_order; i++)
        if (memcmp(u, small_order[i], sizeof u) == 0)
            return false;
    return true;
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
