/* What stands before any public-key operation: mac1, which shows that the sender knows whom it is talking to,
 * and the cookie, which shows that it receives at the address it sends from (WireGuard paper, sections 5.3
 * and 5.4.4).
 *
 * mac1 = MAC(hash("starling mac1" | responder's key), packet before mac1)
 * mac2 = MAC(cookie, packet before mac2), or zeros; cookie = MAC(a secret of the last two minutes, sender's
 * address) */
#ifndef LINK_COOKIE_H
#define LINK_COOKIE_H

#include "base/addr.h"
#include "base/clock.h"
#include "noise/prim.h"

enum {
    COOKIE_BYTES = 16,
    COOKIE_SEALED_BYTES = COOKIE_BYTES + PRIM_XTAG_BYTES,
    COOKIE_ROTATE_MS =
        60 *
        1000, /* a secret is the current one so long, then so long the previous: cookies live 60 to 120 s */
    COOKIE_USE_MS = 60 * 1000, /* an initiator uses a cookie so long */
};

/* The two keys that belong to a Noise public key. */
struct cookie_keys {
    uint8_t mac1[32], seal[32];
};
void cookie_keys_init(struct cookie_keys *k, const uint8_t noise_key[32]);

void cookie_mac1(uint8_t out[PRIM_MAC_BYTES], const struct cookie_keys *k, struct bytes before);
bool cookie_mac1_is_valid(const struct cookie_keys *k, struct bytes before,
                          const uint8_t mac1[PRIM_MAC_BYTES]);

/* The responder's side. */
struct cookie_jar {
    uint8_t secret[2][32]; /* current, previous */
    mono_ms made_at;
};
void cookie_jar_init(struct cookie_jar *j, mono_ms now);
void cookie_jar_fini(struct cookie_jar *j);
void cookie_make(struct cookie_jar *j, uint8_t cookie[COOKIE_BYTES], const struct addr *from, mono_ms now);
bool cookie_mac2_is_valid(struct cookie_jar *j, const struct addr *from, struct bytes before,
                          const uint8_t mac2[PRIM_MAC_BYTES], mono_ms now);
/* The sealed cookie is bound to the mac1 it answers, so that it is of use only to who sent that (D3). */
void cookie_seal(uint8_t out[COOKIE_SEALED_BYTES], const struct cookie_keys *k,
                 const uint8_t nonce[PRIM_XNONCE_BYTES], const uint8_t cookie[COOKIE_BYTES],
                 const uint8_t mac1[PRIM_MAC_BYTES]);

/* The initiator's side: what it knows of one responder. */
struct cookie_held {
    uint8_t cookie[COOKIE_BYTES], mac1[PRIM_MAC_BYTES]; /* of the last initiation */
    mono_ms at;
    bool has_cookie, has_mac1;
};
/* Opens a cookie reply; each mac1 takes one. ERR_AUTH: not for what was sent last; nothing changed. */
must_check enum err cookie_consume(struct cookie_held *h, const struct cookie_keys *k,
                                   const uint8_t nonce[PRIM_XNONCE_BYTES],
                                   const uint8_t sealed[COOKIE_SEALED_BYTES], mono_ms now);
bool cookie_is_usable(const struct cookie_held *h, mono_ms now);
void cookie_mac2(uint8_t out[PRIM_MAC_BYTES], const uint8_t cookie[COOKIE_BYTES], struct bytes before);

#endif
