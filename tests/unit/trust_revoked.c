/* Revocation by key: what falls with which key, and that no other spelling of key or signature escapes it (ADVERSARY
 * B2, B18, G35; nebula GHSA-69x3-g4r3-p962, where a block list by fingerprint was evaded by a malleable signature). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trust/cache.h"
#include "trust/enrol.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000, DAY = 24 * 3600 };

/* A mesh, a token of it, and a host that was enrolled with it. */
static struct {
    struct sign_key root, enrol, granted;
    struct buf root_bytes, grant;
    struct token token;
    struct enrolment host;
} w;

static struct sign_key key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, seed_byte, sizeof seed);
    assert_int_equal(sign_key_of_seed(&k, seed), ERR_OK);
    return k;
}

static struct grant grant_for(const struct sign_key *key)
{
    return (struct grant){.mesh = STR("shop.example"),
                          .key = key->pub,
                          .node_pattern = STR("web-*"),
                          .service_count = 1,
                          .service = {STR("web")},
                          .not_before = NOW,
                          .expires = NOW + DAY,
                          .credential_life = 30 * DAY};
}

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    assert_int_equal(trust_init(), ERR_OK);
    w.root = key_of(1);
    w.enrol = key_of(2);
    w.granted = key_of(3);
    const struct sign_key *by = &w.root;
    struct root r = {.mesh = STR("shop.example"),
                     .epoch = 1,
                     .root = {1, 1, {w.root.pub}},
                     .policy = {1, 1, {w.root.pub}},
                     .enrol = {1, 1, {w.enrol.pub}}};
    struct grant g = grant_for(&w.granted);
    struct enrol_wish wish = {.node = STR("web-1"), .now = NOW};
    assert_int_equal(root_create(&w.root_bytes, &r, &by, 1), ERR_OK);
    assert_int_equal(grant_create(&w.grant, &g, &w.enrol), ERR_OK);
    w.token =
        (struct token){.root = buf_bytes(&w.root_bytes), .grant = buf_bytes(&w.grant), .key = w.granted};
    assert_int_equal(enrol(&w.host, &w.token, &wish, NULL), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    enrolment_fini(&w.host);
    buf_fini(&w.grant);
    buf_fini(&w.root_bytes);
    return 0;
}

static struct trust *trust_without(const struct node_id *key, size_t count)
{
    struct revoked *r;
    struct trust *t;
    assert_int_equal(revoked_new(&r, key, count), ERR_OK);
    assert_int_equal(trust_new(&t, buf_bytes(&w.root_bytes), r), ERR_OK);
    revoked_unref(r);
    return t;
}

/* What the host's credential comes to once `key` is revoked. */
static enum err judged_without(const struct sign_key *key, struct refusal *why)
{
    struct trust *t = trust_without(&key->pub, 1);
    struct credential c;
    enum err e = trust_credential_why(t, buf_bytes(&w.host.credential), NOW, &c, why);
    trust_unref(t);
    return e;
}

static void the_host_falls_with_its_own_key_with_its_tokens_and_with_the_enrol_key(void **state)
{
    (void)state;
    struct refusal why;
    struct sign_key stranger = key_of(99);
    assert_int_equal(judged_without(&stranger, &why), ERR_OK);
    assert_int_equal(judged_without(&w.host.identity, &why), ERR_REVOKED);
    assert_string_equal(why.field, "credential.id");
    assert_int_equal(judged_without(&w.granted, &why), ERR_REVOKED);
    assert_string_equal(why.field, "grant.key");
    assert_int_equal(judged_without(&w.enrol, &why), ERR_REVOKED);
    assert_string_equal(why.field, "grant.signatures");
}

/* GHSA-339v-266x-79xr: the list was not asked when a host enrolled again. */
static void a_revoked_key_is_refused_however_often_it_enrols_anew(void **state)
{
    (void)state;
    struct sign_key second = key_of(4);
    struct grant g = grant_for(&second);
    struct buf grant = {0};
    struct enrol_wish wish = {.node = STR("web-7"), .now = NOW + 60};
    struct refusal why;
    assert_int_equal(grant_create(&grant, &g, &w.enrol), ERR_OK);
    struct token fresh = {.root = buf_bytes(&w.root_bytes), .grant = buf_bytes(&grant), .key = second};
    assert_int_equal(enrol_renew(&w.host, &fresh, &wish, NULL), ERR_OK);
    assert_int_equal(judged_without(&w.host.identity, &why), ERR_REVOKED);
    assert_int_equal(judged_without(&w.granted, &why), ERR_OK); /* the other token made nothing of this one */
    buf_fini(&grant);
}

static struct buf record_by(const struct enrolment *host)
{
    struct record r = {.incarnation = 1, .version = 1, .addr_count = 1};
    struct buf out = {0};
    r.credential.bytes = buf_bytes(&host->credential);
    assert_true(addr_parse(&r.addr[0], "10.0.0.5:7400", 0));
    assert_int_equal(record_create(&out, &r, &host->identity), ERR_OK);
    return out;
}

/* CVE-class "checked once": a verdict that is remembered does not outlive the key. */
static void what_was_verified_before_is_refused_from_the_moment_of_the_revocation(void **state)
{
    (void)state;
    struct trust *before = trust_without(NULL, 0), *after;
    struct revoked *set;
    struct trust_cache *cache = trust_cache_new(before, 16);
    struct buf record = record_by(&w.host);
    struct record r;
    assert_non_null(cache);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&record), NOW, &r), ERR_OK);
    assert_int_equal(trust_recheck(before, &r.credential, NOW), ERR_OK);
    assert_int_equal(revoked_new(&set, &w.granted.pub, 1), ERR_OK);
    assert_int_equal(trust_revoking(&after, before, set), ERR_OK);
    trust_cache_set(cache, after);
    assert_int_equal(trust_recheck(after, &r.credential, NOW), ERR_REVOKED);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&record), NOW, &r), ERR_REVOKED);
    assert_int_equal(trust_cache_credential(cache, buf_bytes(&w.host.credential), NOW, &r.credential),
                     ERR_REVOKED);
    trust_cache_free(cache);
    trust_unref(before);
    trust_unref(after);
    revoked_unref(set);
    buf_fini(&record);
}

/* The order of the group, little-endian (RFC 8032, section 5.1). */
static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                  0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};

static void add_order(uint8_t s[32])
{
    unsigned carry = 0;
    for (int i = 0; i < 32; i++) {
        carry += s[i] + (unsigned)order[i];
        s[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

/* The signature is the last thing in an envelope of one signer: R, then S. */
static void a_second_spelling_of_a_signature_is_refused_B18(void **state)
{
    (void)state;
    struct trust *t = trust_without(NULL, 0);
    struct credential c;
    struct buf *b = &w.host.credential;
    assert_int_equal(trust_credential(t, buf_bytes(b), NOW, &c), ERR_OK);
    add_order(b->at + b->len - 32);
    assert_int_equal(trust_credential(t, buf_bytes(b), NOW, &c), ERR_AUTH);
    trust_unref(t);
}

/* y + p is another 32 bytes for a small y, the top bit another for x = 0, and eight points are of small order: none of
 * them is a key that anything can be signed by, so no revoked key has a second spelling. */
static void a_second_spelling_of_a_key_is_no_key(void **state)
{
    (void)state;
    uint8_t p_plus[32], minus_zero[32] = {1, [31] = 0x80}, zero[32] = {0};
    memset(p_plus, 0xff, sizeof p_plus);
    p_plus[31] = 0x7f;
    for (unsigned y = 0; y < 19; y++) { /* 2^255 - 19 + y */
        p_plus[0] = (uint8_t)(0xed + y);
        assert_false(sign_pub_is_sound(p_plus));
    }
    assert_false(sign_pub_is_sound(minus_zero));
    assert_false(sign_pub_is_sound(zero));
    uint8_t twin
        [32]; /* the same point with its sign turned is another point: -A, whose secret the host has not */
    memcpy(twin, w.host.identity.pub.b, sizeof twin);
    twin[31] ^= 0x80;
    struct credential c;
    struct trust *t = trust_without(NULL, 0);
    assert_int_equal(trust_credential(t, buf_bytes(&w.host.credential), NOW, &c), ERR_OK);
    struct buf forged = {0};
    memcpy(c.id.b, twin, sizeof twin);
    assert_int_equal(credential_create(&forged, &c, buf_bytes(&w.grant), &w.granted), ERR_OK);
    struct enrolment impostor = {.identity = w.host.identity, .credential = forged};
    struct buf record = record_by(&impostor);
    struct record r;
    assert_int_equal(trust_record(t, buf_bytes(&record), NOW, &r), ERR_AUTH);
    buf_fini(&record);
    buf_fini(&forged);
    trust_unref(t);
}

static void a_set_holds_each_key_once_and_finds_it(void **state)
{
    (void)state;
    struct node_id key[600];
    struct revoked *r;
    for (size_t i = 0; i < 600; i++)
        memset(key[i].b, (int)(i % 200), sizeof key[i].b);
    assert_int_equal(revoked_new(&r, key, 600), ERR_OK);
    assert_int_equal(revoked_count(r), 200);
    for (size_t i = 0; i < 200; i++) {
        assert_true(revoked_has(r, &key[i]));
        assert_true(i == 0 || node_id_cmp(revoked_key(r, i - 1), revoked_key(r, i)) < 0);
    }
    memset(key[0].b, 250, sizeof key[0].b);
    assert_false(revoked_has(r, &key[0]));
    assert_false(revoked_has(NULL, &key[1]));
    assert_int_equal(revoked_count(NULL), 0);
    revoked_unref(r);
}

static void a_set_is_bounded(void **state)
{
    (void)state;
    struct node_id *key = calloc(REVOKED_KEYS_MAX + 1, sizeof *key);
    struct revoked *r;
    assert_non_null(key);
    for (uint32_t i = 0; i <= REVOKED_KEYS_MAX; i++)
        store_be32(key[i].b, i);
    assert_int_equal(revoked_new(&r, key, REVOKED_KEYS_MAX + 1), ERR_LIMIT);
    assert_int_equal(revoked_new(&r, key, REVOKED_KEYS_MAX), ERR_OK);
    revoked_unref(r);
    free(key);
}

/* Else it could not be said when a revocation has outlived its target. */
static void nothing_lives_longer_than_it_may(void **state)
{
    (void)state;
    struct buf out = {0};
    struct grant g = grant_for(&w.granted);
    g.credential_life = CREDENTIAL_LIFE_MAX_S;
    g.expires = g.not_before + GRANT_LIFE_MAX_S;
    assert_int_equal(grant_create(&out, &g, &w.enrol), ERR_OK);
    g.credential_life++;
    assert_int_equal(grant_create(&out, &g, &w.enrol), ERR_INVALID);
    g.credential_life--;
    g.expires++;
    assert_int_equal(grant_create(&out, &g, &w.enrol), ERR_INVALID);
    struct credential c = {.mesh = STR("shop.example"),
                           .node = STR("web-1"),
                           .id = w.host.identity.pub,
                           .service_count = 1,
                           .service = {STR("web")},
                           .not_before = NOW,
                           .expires = NOW + CREDENTIAL_LIFE_MAX_S};
    memcpy(c.noise_key, w.host.noise.pub, sizeof c.noise_key);
    assert_int_equal(credential_create(&out, &c, bytes_of(NULL, 0), &w.enrol), ERR_OK);
    c.expires++;
    assert_int_equal(credential_create(&out, &c, bytes_of(NULL, 0), &w.enrol), ERR_INVALID);
    buf_fini(&out);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORY(the_host_falls_with_its_own_key_with_its_tokens_and_with_the_enrol_key),
        STORY(a_revoked_key_is_refused_however_often_it_enrols_anew),
        STORY(what_was_verified_before_is_refused_from_the_moment_of_the_revocation),
        STORY(a_second_spelling_of_a_signature_is_refused_B18),
        STORY(a_second_spelling_of_a_key_is_no_key),
        STORY(a_set_holds_each_key_once_and_finds_it),
        STORY(a_set_is_bounded),
        STORY(nothing_lives_longer_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
