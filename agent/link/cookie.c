/* See cookie.h. */
#include "link/cookie.h"

void cookie_keys_init(struct cookie_keys *k, const uint8_t noise_key[32])
{
    prim_hash(k->mac1, bytes_str("starling mac1"), bytes_of(noise_key, 32));
    prim_hash(k->seal, bytes_str("starling cookie"), bytes_of(noise_key, 32));
}

void cookie_mac1(uint8_t out[PRIM_MAC_BYTES], const struct cookie_keys *k, struct bytes before)
{
    prim_mac(out, k->mac1, before, bytes_of(NULL, 0));
}

bool cookie_mac1_is_valid(const struct cookie_keys *k, struct bytes before,
                          const uint8_t mac1[PRIM_MAC_BYTES])
{
    uint8_t expected[PRIM_MAC_BYTES];
    cookie_mac1(expected, k, before);
    return prim_equal(expected, mac1, sizeof expected);
}

void cookie_mac2(uint8_t out[PRIM_MAC_BYTES], const uint8_t cookie[COOKIE_BYTES], struct bytes before)
{
    uint8_t key[PRIM_KEY_BYTES] = {0};
    memcpy(key, cookie, COOKIE_BYTES);
    prim_mac(out, key, before, bytes_of(NULL, 0));
}

void cookie_jar_init(struct cookie_jar *j, mono_ms now)
{
    prim_random(j->secret, sizeof j->secret);
    j->made_at = now;
}

void cookie_jar_fini(struct cookie_jar *j)
{
    prim_wipe(j, sizeof *j);
}

static void rotate(struct cookie_jar *j, mono_ms now)
{
    if (now - j->made_at < COOKIE_ROTATE_MS)
        return;
    if (now - j->made_at < 2 * (mono_ms)COOKIE_ROTATE_MS)
        memcpy(j->secret[1], j->secret[0], sizeof j->secret[1]);
    else /* the current one has lived twice its time: it may not serve as the previous one */
        prim_random(j->secret[1], sizeof j->secret[1]);
    prim_random(j->secret[0], sizeof j->secret[0]);
    j->made_at = now;
}

static void make_with(uint8_t cookie[COOKIE_BYTES], const uint8_t secret[32], const struct addr *from)
{
    uint8_t port[2];
    store_be16(port, from->port);
    prim_mac(cookie, secret, bytes_of(from->ip, sizeof from->ip), bytes_of(port, sizeof port));
}

void cookie_make(struct cookie_jar *j, uint8_t cookie[COOKIE_BYTES], const struct addr *from, mono_ms now)
{
    rotate(j, now);
    make_with(cookie, j->secret[0], from);
}

bool cookie_mac2_is_valid(struct cookie_jar *j, const struct addr *from, struct bytes before,
                          const uint8_t mac2[PRIM_MAC_BYTES], mono_ms now)
{
    rotate(j, now);
    for (int i = 0; i < 2; i++) {
        uint8_t cookie[COOKIE_BYTES], expected[PRIM_MAC_BYTES];
        make_with(cookie, j->secret[i], from);
        cookie_mac2(expected, cookie, before);
        if (prim_equal(expected, mac2, sizeof expected))
            return true;
    }
    return false;
}

void cookie_seal(uint8_t out[COOKIE_SEALED_BYTES], const struct cookie_keys *k,
                 const uint8_t nonce[PRIM_XNONCE_BYTES], const uint8_t cookie[COOKIE_BYTES],
                 const uint8_t mac1[PRIM_MAC_BYTES])
{
    prim_xseal(out, k->seal, nonce, bytes_of(cookie, COOKIE_BYTES), bytes_of(mac1, PRIM_MAC_BYTES));
}

enum err cookie_consume(struct cookie_held *h, const struct cookie_keys *k,
                        const uint8_t nonce[PRIM_XNONCE_BYTES], const uint8_t sealed[COOKIE_SEALED_BYTES],
                        mono_ms now)
{
    uint8_t cookie[COOKIE_SEALED_BYTES];
    if (!h->has_mac1 || prim_xopen(cookie, k->seal, nonce, bytes_of(sealed, COOKIE_SEALED_BYTES),
                                   bytes_of(h->mac1, PRIM_MAC_BYTES)) != ERR_OK)
        return ERR_AUTH;
    memcpy(h->cookie, cookie, COOKIE_BYTES);
    h->at = now;
    h->has_cookie = true;
    h->has_mac1 = false;
    return ERR_OK;
}

bool cookie_is_usable(const struct cookie_held *h, mono_ms now)
{
    return h->has_cookie && now - h->at < COOKIE_USE_MS;
}
