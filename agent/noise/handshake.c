/* The handshake of Noise revision 34: section 5.2 (symmetric state), 5.3 (handshake state), 9 (pre-shared
 * keys). A pattern is a list of tokens; writing and reading a message is a walk over its tokens. */
#include "noise/aead.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

#include "noise/prim.h"

static_assert(crypto_auth_hmacsha256_BYTES == 32, "HMAC-SHA256");
static_assert(crypto_scalarmult_BYTES == NOISE_KEY_BYTES, "X25519");

/* Section 7.5. */
const struct noise_pattern noise_xx = {
    .name = "XX",
    .message_count = 3,
    .message = {{NOISE_E}, {NOISE_E, NOISE_EE, NOISE_S, NOISE_ES}, {NOISE_S, NOISE_SE}},
};
const struct noise_pattern noise_ik = {
    .name = "IK",
    .pre_rs = true,
    .message_count = 2,
    .message = {{NOISE_E, NOISE_ES, NOISE_S, NOISE_SS}, {NOISE_E, NOISE_EE, NOISE_SE}},
};

/* HMAC-SHA256 of a, then one byte (0: of a alone). */
static void hmac(uint8_t out[32], const uint8_t key[32], struct bytes a, uint8_t last)
{
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, key, 32);
    crypto_auth_hmacsha256_update(&st, a.at, a.len);
    if (last)
        crypto_auth_hmacsha256_update(&st, &last, 1);
    crypto_auth_hmacsha256_final(&st, out);
    sodium_memzero(&st, sizeof st);
}

/* HKDF, section 4.3, with ck as the chaining key; out[0] may be ck itself. */
static void hkdf(uint8_t ck[32], struct bytes input, uint8_t *const out[], uint8_t count)
{
    uint8_t temp[32], last[32];
    hmac(temp, ck, input, 0);
    hmac(last, temp, bytes_of(NULL, 0), 1);
    memcpy(out[0], last, 32);
    for (uint8_t i = 1; i < count; i++) {
        hmac(last, temp, bytes_of(last, 32), (uint8_t)(i + 1));
        memcpy(out[i], last, 32);
    }
    sodium_memzero(temp, sizeof temp);
    sodium_memzero(last, sizeof last);
}

static void mix_hash(struct noise_handshake *hs, struct bytes b)
{
    prim_hash(hs->h, bytes_of(hs->h, 32), b);
}

static void use_key(struct noise_handshake *hs, const uint8_t key[32])
{
    noise_cipher_set_key(&hs->cipher, hs->cipher.cipher, key);
    hs->cipher.n = 0;
}

static void mix_key(struct noise_handshake *hs, struct bytes input)
{
    uint8_t key[32];
    hkdf(hs->ck, input, (uint8_t *const[]){hs->ck, key}, 2);
    use_key(hs, key);
    sodium_memzero(key, sizeof key);
}

static void mix_key_and_hash(struct noise_handshake *hs, struct bytes input)
{
    uint8_t to_hash[32], key[32];
    hkdf(hs->ck, input, (uint8_t *const[]){hs->ck, to_hash, key}, 3);
    mix_hash(hs, bytes_of(to_hash, 32));
    use_key(hs, key);
    sodium_memzero(to_hash, sizeof to_hash);
    sodium_memzero(key, sizeof key);
}

/* Writes `plain` and, once there is a key, a tag; returns how many bytes. n of a handshake stays far below
 * its end: it restarts with every key. */
static size_t encrypt_and_hash(struct noise_handshake *hs, uint8_t *out, struct bytes plain)
{
    size_t len = plain.len;
    if (hs->cipher.has_key) {
        noise_aead_seal(&hs->cipher, hs->cipher.n++, out, plain, bytes_of(hs->h, 32));
        len += NOISE_TAG_BYTES;
    } else if (len > 0) {
        memcpy(out, plain.at, len);
    }
    mix_hash(hs, bytes_of(out, len));
    return len;
}

/* Writes `text` without its tag. False: not authentic. */
static must_check bool decrypt_and_hash(struct noise_handshake *hs, uint8_t *out, struct bytes text)
{
    if (hs->cipher.has_key) {
        if (!noise_aead_open(&hs->cipher, hs->cipher.n, out, text, bytes_of(hs->h, 32)))
            return false;
        hs->cipher.n++;
    } else if (text.len > 0) {
        memcpy(out, text.at, text.len);
    }
    mix_hash(hs, text);
    return true;
}

/* Section 12.1 lets an implementation refuse an all-zero result, and we do: such a key adds nothing to the
 * handshake, so its owner would be bound to nothing (ADVERSARY N13). libsodium says it by returning -1. */
static must_check bool mix_dh(struct noise_handshake *hs, const uint8_t secret[32], const uint8_t pub[32])
{
    uint8_t shared[32];
    bool sound = crypto_scalarmult(shared, secret, pub) == 0;
    if (sound)
        mix_key(hs, bytes_of(shared, 32));
    sodium_memzero(shared, sizeof shared);
    return sound;
}

/* EE, ES, SE, SS: the first letter is the initiator's key, the second the responder's. */
static must_check bool mix_dh_token(struct noise_handshake *hs, uint8_t token)
{
    bool mine_is_s = token == NOISE_SS || token == (hs->initiator ? NOISE_SE : NOISE_ES);
    bool theirs_is_s = token == NOISE_SS || token == (hs->initiator ? NOISE_ES : NOISE_SE);
    assert((mine_is_s ? hs->has_s : hs->has_e) && (theirs_is_s ? hs->has_rs : hs->has_re));
    return mix_dh(hs, mine_is_s ? hs->s_sec : hs->e_sec, theirs_is_s ? hs->rs : hs->re);
}

static bool writes_s(const struct noise_pattern *p, bool initiator)
{
    for (int m = initiator ? 0 : 1; m < p->message_count; m += 2)
        if (memchr(p->message[m], NOISE_S, sizeof p->message[m]))
            return true;
    return false;
}

/* Section 7.3: which keys must be there before the first message. */
static bool has_needed_keys(const struct noise_setup *setup)
{
    const struct noise_pattern *p = setup->pattern;
    bool pre_mine = setup->initiator ? p->pre_is : p->pre_rs;
    bool pre_theirs = setup->initiator ? p->pre_rs : p->pre_is;
    return (setup->s_sec || !(pre_mine || writes_s(p, setup->initiator))) && (setup->rs || !pre_theirs) &&
           (setup->psk || !p->psk);
}

/* h = the protocol's name, padded to 32 bytes or, when longer, hashed (section 5.2); ck = h. */
static void init_symmetric(struct noise_handshake *hs, enum noise_cipher cipher)
{
    char name[64];
    int len = snprintf(name, sizeof name, "Noise_%s_25519_%s_SHA256", hs->pattern->name,
                       cipher == NOISE_AESGCM ? "AESGCM" : "ChaChaPoly");
    assert(len > 0 && (size_t)len < sizeof name);
    if (len <= 32)
        memcpy(hs->h, name, (size_t)len);
    else
        prim_hash(hs->h, bytes_of(name, (size_t)len), bytes_of(NULL, 0));
    memcpy(hs->ck, hs->h, 32);
    hs->cipher.cipher = (uint8_t)cipher;
}

static must_check bool take_keys(struct noise_handshake *hs, const struct noise_setup *setup)
{
    if (setup->s_sec) {
        memcpy(hs->s_sec, setup->s_sec, 32);
        if (setup->s_pub)
            memcpy(hs->s_pub, setup->s_pub, 32);
        else
            crypto_scalarmult_base(hs->s_pub, hs->s_sec);
        hs->has_s = true;
    }
    if (setup->rs) {
        memcpy(hs->rs, setup->rs, 32);
        hs->has_rs = true;
    }
    if (setup->psk)
        memcpy(hs->psk, setup->psk, 32);
    if (setup->e_sec) {
        memcpy(hs->e_sec, setup->e_sec, 32);
        hs->fixed_e = true;
    }
    bool is_self = hs->has_s && hs->has_rs && prim_equal(hs->s_pub, hs->rs, 32);
    return !is_self && (!hs->has_rs || prim_dh_is_sound(hs->rs));
}

enum err noise_handshake_init(struct noise_handshake *hs, const struct noise_setup *setup)
{
    const struct noise_pattern *p = setup->pattern;
    memset(hs, 0, sizeof *hs);
    if (!noise_cipher_is_available(setup->cipher))
        return ERR_UNSUPPORTED;
    if (!has_needed_keys(setup))
        return ERR_INVALID;
    hs->pattern = p;
    hs->initiator = setup->initiator;
    if (!take_keys(hs, setup)) {
        noise_handshake_fini(hs);
        return ERR_INVALID;
    }
    init_symmetric(hs, setup->cipher);
    mix_hash(hs, setup->prologue);
    /* Section 5.3: the initiator's pre-message keys are hashed first. */
    if (p->pre_is)
        mix_hash(hs, bytes_of(hs->initiator ? hs->s_pub : hs->rs, 32));
    if (p->pre_rs)
        mix_hash(hs, bytes_of(hs->initiator ? hs->rs : hs->s_pub, 32));
    return ERR_OK;
}

bool noise_handshake_is_my_turn(const struct noise_handshake *hs)
{
    return !hs->done && !hs->failed && (hs->step % 2 == 0) == hs->initiator;
}

size_t noise_handshake_overhead(const struct noise_handshake *hs)
{
    bool keyed = hs->cipher.has_key;
    size_t len = 0;
    assert(!hs->done);
    for (const uint8_t *t = hs->pattern->message[hs->step]; *t != NOISE_END; t++) {
        if (*t == NOISE_E)
            len += 32;
        else if (*t == NOISE_S)
            len += 32 + (keyed ? NOISE_TAG_BYTES : 0);
        keyed |= *t == NOISE_E ? hs->pattern->psk : *t != NOISE_S;
    }
    return len + (keyed ? NOISE_TAG_BYTES : 0);
}

static void step_done(struct noise_handshake *hs)
{
    hs->done = ++hs->step == hs->pattern->message_count;
}

static enum err die(struct noise_handshake *hs, enum err e)
{
    noise_handshake_fini(hs);
    hs->failed = true;
    return e;
}

/* Section 9.2: where psks are used every e is mixed into the key too, so that no two handshakes share it. */
static void mix_e(struct noise_handshake *hs, const uint8_t e[32])
{
    mix_hash(hs, bytes_of(e, 32));
    if (hs->pattern->psk)
        mix_key(hs, bytes_of(e, 32));
}

static uint8_t *write_e(struct noise_handshake *hs, uint8_t *at)
{
    if (!hs->fixed_e)
        prim_dh_secret(hs->e_sec);
    crypto_scalarmult_base(hs->e_pub, hs->e_sec);
    hs->has_e = true;
    memcpy(at, hs->e_pub, 32);
    mix_e(hs, hs->e_pub);
    return at + 32;
}

enum err noise_handshake_write(struct noise_handshake *hs, struct bytes payload, uint8_t *out, size_t cap,
                               size_t *len)
{
    assert(noise_handshake_is_my_turn(hs));
    size_t overhead = noise_handshake_overhead(hs);
    if (payload.len > NOISE_MESSAGE_MAX - overhead || payload.len + overhead > cap)
        return ERR_LIMIT;
    uint8_t *at = out;
    for (const uint8_t *t = hs->pattern->message[hs->step]; *t != NOISE_END; t++) {
        if (*t == NOISE_E)
            at = write_e(hs, at);
        else if (*t == NOISE_S)
            at += encrypt_and_hash(hs, at, bytes_of(hs->s_pub, 32));
        else if (*t == NOISE_PSK)
            mix_key_and_hash(hs, bytes_of(hs->psk, 32));
        else if (!mix_dh_token(hs, *t))
            return die(hs, ERR_MALFORMED);
    }
    at += encrypt_and_hash(hs, at, payload);
    *len = (size_t)(at - out);
    assert(*len == payload.len + overhead);
    step_done(hs);
    return ERR_OK;
}

/* A peer that shows our own key is our own voice thrown back (ADVERSARY N16). */
static must_check enum err read_e(struct noise_handshake *hs, struct rd *r)
{
    rd_copy(r, hs->re, 32);
    hs->has_re = true;
    if (hs->has_e && prim_equal(hs->re, hs->e_pub, 32))
        return ERR_AUTH;
    mix_e(hs, hs->re);
    return ERR_OK;
}

static must_check enum err read_s(struct noise_handshake *hs, struct rd *r)
{
    struct bytes text = rd_bytes(r, 32 + (hs->cipher.has_key ? NOISE_TAG_BYTES : 0));
    if (!decrypt_and_hash(hs, hs->rs, text))
        return ERR_AUTH;
    hs->has_rs = true;
    return hs->has_s && prim_equal(hs->rs, hs->s_pub, 32) ? ERR_AUTH : ERR_OK;
}

static must_check enum err read_token(struct noise_handshake *hs, uint8_t token, struct rd *r)
{
    switch (token) {
    case NOISE_E:
        return read_e(hs, r);
    case NOISE_S:
        return read_s(hs, r);
    case NOISE_PSK:
        mix_key_and_hash(hs, bytes_of(hs->psk, 32));
        return ERR_OK;
    default:
        return mix_dh_token(hs, token) ? ERR_OK : ERR_MALFORMED;
    }
}

enum err noise_handshake_read(struct noise_handshake *hs, struct bytes msg, uint8_t *out, size_t cap,
                              size_t *len)
{
    assert(!hs->done && !hs->failed && !noise_handshake_is_my_turn(hs));
    size_t overhead = noise_handshake_overhead(hs);
    if (msg.len < overhead || msg.len > NOISE_MESSAGE_MAX)
        return die(hs, ERR_MALFORMED);
    if (msg.len - overhead > cap)
        return ERR_LIMIT;
    struct rd r = rd_init(msg);
    for (const uint8_t *t = hs->pattern->message[hs->step]; *t != NOISE_END; t++) {
        enum err e = read_token(hs, *t, &r);
        if (e != ERR_OK)
            return die(hs, e);
    }
    if (!decrypt_and_hash(hs, out, rd_bytes(&r, rd_left(&r))))
        return die(hs, ERR_AUTH);
    assert(rd_done(&r));
    *len = msg.len - overhead;
    step_done(hs);
    return ERR_OK;
}

void noise_handshake_split(struct noise_handshake *hs, struct noise_cipherstate *tx,
                           struct noise_cipherstate *rx)
{
    uint8_t first[32], second[32];
    assert(hs->done && !hs->failed);
    hkdf(hs->ck, bytes_of(NULL, 0), (uint8_t *const[]){first, second}, 2);
    memset(tx, 0, sizeof *tx);
    memset(rx, 0, sizeof *rx);
    noise_cipher_set_key(hs->initiator ? tx : rx, hs->cipher.cipher, first);
    if (!hs->pattern->one_way)
        noise_cipher_set_key(hs->initiator ? rx : tx, hs->cipher.cipher, second);
    sodium_memzero(first, sizeof first);
    sodium_memzero(second, sizeof second);
    struct noise_handshake kept = {
        .pattern = hs->pattern, .initiator = hs->initiator, .done = true, .step = hs->step};
    memcpy(kept.h, hs->h, sizeof kept.h);
    memcpy(kept.rs, hs->rs, sizeof kept.rs);
    kept.has_rs = hs->has_rs;
    noise_handshake_fini(hs);
    *hs = kept;
}

void noise_handshake_fini(struct noise_handshake *hs)
{
    sodium_memzero(hs, sizeof *hs);
}
