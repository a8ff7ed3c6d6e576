#include "trust/sign.h"

#include <sodium.h>
#include <sys/random.h>

enum err trust_init(void)
{
    /* libsodium aborts when the kernel gives no randomness; asking first lets us refuse with a message
     * (ADVERSARY N33). */
    uint8_t probe[16];
    if (getrandom(probe, sizeof probe, 0) != (ssize_t)sizeof probe)
        return ERR_IO;
    return sodium_init() < 0 ? ERR_IO : ERR_OK;
}

static bool is_zero(const uint8_t secret[32])
{
    return sodium_is_zero(secret, 32);
}

void sign_key_new(struct sign_key *k)
{
    crypto_sign_keypair(k->pub.b, k->sec);
}

enum err sign_key_of_seed(struct sign_key *k, const uint8_t seed[32])
{
    if (is_zero(seed))
        return ERR_INVALID;
    crypto_sign_seed_keypair(k->pub.b, k->sec, seed);
    return ERR_OK;
}

void sign_key_fini(struct sign_key *k)
{
    sodium_memzero(k, sizeof *k);
}

void dh_key_new(struct dh_key *k)
{
    randombytes_buf(k->sec, sizeof k->sec);
    crypto_scalarmult_base(k->pub, k->sec);
}

enum err dh_key_of_secret(struct dh_key *k, const uint8_t sec[32])
{
    if (is_zero(sec))
        return ERR_INVALID;
    memcpy(k->sec, sec, sizeof k->sec);
    crypto_scalarmult_base(k->pub, k->sec);
    return ERR_OK;
}

void dh_key_fini(struct dh_key *k)
{
    sodium_memzero(k, sizeof *k);
}

bool sign_pub_is_sound(const uint8_t pub[32])
{
    return crypto_core_ed25519_is_valid_point(pub) == 1;
}

/* RFC 7748 section 5 has readers mask the top bit and reduce mod p; we want one spelling per key and refuse
 * both. */
static bool is_canonical(const uint8_t u[32])
{
    if (u[31] != 0x7f)
        return u[31] < 0x7f;
    for (size_t i = 30; i > 0; i--)
        if (u[i] != 0xff)
            return true;
    return u[0] < 0xed;
}

static bool is_among(const uint8_t key[32], const uint8_t (*list)[32], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(key, list[i], 32) == 0)
            return true;
    return false;
}

/* Whether a point has torsion is found by a multiplication with the group order, as dear as a verification, and each agent would do it for
 * each other's identity. What could who signs with A = aB + T, T of order 2, 4 or 8, do that aB would not let it do?
 *
 *   - be another: no. Keys are compared as bytes, the bytes of A are hashed into every signature, and a credential names A.
 *     Without `a` nobody signs by A: the part of prime order of what is verified is that of aB.
 *   - be believed by some and not by others: no. All verify with libsodium, which computes SB - hA without the cofactor and compares with
 *     the bytes of R: one answer for the same bytes. It is verifiers with and without the cofactor, or in batches, that disagree
 *     (Chalkias et al. 2020), and a signature of A's verifies only if h T and the torsion of R cancel, which its owner can arrange.
 *   - leak or weaken a secret: the identity is in no Diffie-Hellman. The X25519 key is, and is its own (dh_pub_is_sound()).
 *   - come back after its revocation: not more easily than with any fresh key, which needs a credential too.
 *
 * With a key of small order it would be otherwise: one signature is good for many messages. libsodium refuses such keys, and other
 * spellings of a key, in every verification; here they are refused with the field's name. Keys of roles, grants and requests, which are few
 * and decide about others, are held to sign_pub_is_sound(). */
bool sign_pub_may_identify(const uint8_t pub[32])
{
    /* y of the points of order 1, 2, 4 and 8, whatever the sign of x */
    static const uint8_t small_order_y[][32] = {
        {0},
        {1},
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
         0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
         0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
        {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    };
    uint8_t y[32];
    memcpy(y, pub, sizeof y);
    y[31] &= 0x7f;
    return is_canonical(y) && !is_among(y, small_order_y, sizeof small_order_y / sizeof *small_order_y);
}

/* The canonical u-coordinates of order 1, 2, 4 and 8 on the curve and on its twist: 0, 1, the two of order 8,
 * and p - 1 (libsodium's own list in x25519_ref10.c, without the spellings that are not canonical). A table
 * costs nothing, a scalar multiplication a tenth of a millisecond per record; the unit test holds the one
 * against the other. */
static const uint8_t small_order[][32] = {
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
     0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

bool dh_pub_is_sound(const uint8_t pub[32])
{
    return is_canonical(pub) && !is_among(pub, small_order, sizeof small_order / sizeof *small_order);
}

struct hash hash_of(struct bytes b)
{
    struct hash h;
    crypto_hash_sha256(h.b, b.at, b.len);
    return h;
}

void random_bytes(void *out, size_t n)
{
    randombytes_buf(out, n);
}

void secret_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}

void secret_fini(struct buf *b)
{
    if (b->at)
        sodium_memzero(b->at, b->cap);
    buf_fini(b);
}

enum err node_id_parse(struct node_id *out, const char *text)
{
    static const char prefix[] = "ed25519:";
    struct node_id id;
    if (strncmp(text, prefix, sizeof prefix - 1) != 0)
        return ERR_MALFORMED;
    text += sizeof prefix - 1;
    if (!hex_decode(text, strlen(text), id.b, sizeof id.b))
        return ERR_MALFORMED;
    if (!sign_pub_is_sound(id.b))
        return ERR_INVALID;
    *out = id;
    return ERR_OK;
}
