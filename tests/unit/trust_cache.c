/* What was verified before is not verified again, and is refused all the same once it has expired. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trust/body.h"
#include "trust/cache.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000, DAY = 24 * 3600 };

static struct sign_key root_key, enrol_key;
static struct buf root_bytes;
static struct trust *trust;
static struct trust_cache *cache;

static struct sign_key key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, seed_byte, sizeof seed);
    assert_int_equal(sign_key_of_seed(&k, seed), ERR_OK);
    return k;
}

static int setup(void **state)
{
    (void)state;
    const struct sign_key *by = &root_key;
    assert_int_equal(trust_init(), ERR_OK);
    root_key = key_of(1);
    enrol_key = key_of(2);
    struct root r = {.mesh = STR("shop.example"),
                     .epoch = 1,
                     .root = {1, 1, {root_key.pub}},
                     .policy = {1, 1, {root_key.pub}},
                     .enrol = {1, 1, {enrol_key.pub}}};
    assert_int_equal(root_create(&root_bytes, &r, &by, 1), ERR_OK);
    assert_int_equal(trust_new(&trust, buf_bytes(&root_bytes), NULL), ERR_OK);
    cache = trust_cache_new(trust, 16);
    assert_non_null(cache);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    trust_cache_free(cache);
    trust_unref(trust);
    buf_fini(&root_bytes);
    return 0;
}

/* A host's credential for a day, and a record under it. */
struct host {
    struct sign_key key;
    struct buf credential, record;
};

static void host_says(struct host *h, uint64_t version)
{
    struct record r = {.incarnation = 1, .version = version, .addr_count = 1};
    r.credential.bytes = buf_bytes(&h->credential);
    assert_true(addr_parse(&r.addr[0], "10.0.0.5:7400", 0));
    buf_fini(&h->record);
    assert_int_equal(record_create(&h->record, &r, &h->key), ERR_OK);
}

static struct host host_of(uint8_t seed)
{
    struct host h = {.key = key_of(seed)};
    struct dh_key noise;
    dh_key_new(&noise);
    struct credential c = {.mesh = STR("shop.example"),
                           .node = STR("web-1"),
                           .id = h.key.pub,
                           .service_count = 1,
                           .service = {STR("web")},
                           .not_before = NOW,
                           .expires = NOW + DAY};
    memcpy(c.noise_key, noise.pub, 32);
    assert_int_equal(credential_create(&h.credential, &c, bytes_of(NULL, 0), &enrol_key), ERR_OK);
    host_says(&h, 1);
    return h;
}

static void host_gone(struct host *h)
{
    buf_fini(&h->credential);
    buf_fini(&h->record);
}

static uint64_t hits(void)
{
    return trust_cache_stats(cache)->hits;
}
static uint64_t misses(void)
{
    return trust_cache_stats(cache)->misses;
}

static void the_second_showing_is_known_and_reads_the_same(void **state)
{
    (void)state;
    struct host h = host_of(3);
    struct record plain, first, second;
    assert_int_equal(trust_record(trust, buf_bytes(&h.record), NOW, &plain), ERR_OK);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &first), ERR_OK);
    assert_int_equal(misses(), 2); /* the record and the credential in it */
    assert_int_equal(hits(), 0);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW + 1, &second), ERR_OK);
    assert_int_equal(misses(), 2);
    assert_int_equal(hits(), 1);
    assert_true(node_id_eq(&second.credential.id, &plain.credential.id));
    assert_memory_equal(second.credential.noise_key, plain.credential.noise_key, 32);
    assert_true(bytes_eq(second.credential.bytes, plain.credential.bytes));
    assert_int_equal(second.version, plain.version);
    host_gone(&h);
}

static void a_new_record_under_a_known_credential_costs_one_signature(void **state)
{
    (void)state;
    struct host h = host_of(3);
    struct record r;
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
    host_says(&h, 2);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
    assert_int_equal(misses(), 3); /* the new record */
    assert_int_equal(hits(), 1);   /* its credential */
    struct credential c;
    assert_int_equal(trust_cache_credential(cache, buf_bytes(&h.credential), NOW, &c), ERR_OK);
    assert_int_equal(hits(), 2);
    host_gone(&h);
}

static void what_has_expired_since_is_refused(void **state)
{
    (void)state;
    struct host h = host_of(3);
    struct record r;
    struct credential c;
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW + DAY - 1, &r), ERR_OK);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW + DAY, &r), ERR_EXPIRED);
    assert_int_equal(trust_cache_credential(cache, buf_bytes(&h.credential), NOW + DAY, &c), ERR_EXPIRED);
    host_gone(&h);
}

/* The clock went back by more than CLOCK_SKEW_S: what is known is judged by today's time all the same. */
static void what_is_not_yet_valid_is_refused(void **state)
{
    (void)state;
    struct host h = host_of(3);
    struct record r;
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW - CLOCK_SKEW_S, &r), ERR_OK);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW - CLOCK_SKEW_S - 1, &r),
                     ERR_EXPIRED);
    host_gone(&h);
}

static void every_altered_byte_is_another_envelope(void **state)
{
    (void)state;
    struct host h = host_of(3);
    struct record r;
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
    for (size_t i = 0; i < h.record.len; i++) {
        h.record.at[i] ^= 1;
        assert_int_not_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
        assert_int_not_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
        h.record.at[i] ^= 1;
    }
    host_gone(&h);
}

static void a_known_record_does_not_pass_for_a_credential(void **state)
{
    (void)state;
    struct host h = host_of(3);
    struct record r;
    struct credential c;
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
    assert_int_not_equal(trust_cache_credential(cache, buf_bytes(&h.record), NOW, &c), ERR_OK);
    assert_int_not_equal(trust_cache_record(cache, buf_bytes(&h.credential), NOW, &r), ERR_OK);
    host_gone(&h);
}

/* No forgetting is needed: who signed is looked up in the root of today (ADVERSARY B13). */
static void who_is_vouched_for_by_a_root_that_is_gone_is_refused(void **state)
{
    (void)state;
    struct host h = host_of(3);
    struct record r;
    struct buf other_bytes = {0};
    struct trust *other;
    const struct sign_key *by = &root_key;
    struct root next = {.mesh = STR("shop.example"),
                        .epoch = 2,
                        .root = {1, 1, {root_key.pub}},
                        .policy = {1, 1, {root_key.pub}},
                        .enrol = {1, 1, {root_key.pub}}};
    assert_int_equal(root_create(&other_bytes, &next, &by, 1), ERR_OK);
    assert_int_equal(trust_new(&other, buf_bytes(&other_bytes), NULL), ERR_OK);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
    trust_cache_set(cache, other);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_AUTH);
    trust_cache_set(cache, trust);
    assert_int_equal(trust_cache_record(cache, buf_bytes(&h.record), NOW, &r), ERR_OK);
    assert_int_equal(misses(), 2); /* and no signature was verified twice */
    trust_unref(other);
    buf_fini(&other_bytes);
    host_gone(&h);
}

/* Far more hosts than entries: each is still judged rightly, and one that is asked for again and again stays. */
static void it_is_bounded_and_keeps_what_is_asked_for(void **state)
{
    (void)state;
    struct host often = host_of(100);
    struct record r;
    assert_int_equal(trust_cache_record(cache, buf_bytes(&often.record), NOW, &r), ERR_OK);
    for (uint8_t i = 1; i <= 60; i++) {
        struct host once = host_of(i);
        assert_int_equal(trust_cache_record(cache, buf_bytes(&once.record), NOW, &r), ERR_OK);
        uint64_t before = misses();
        assert_int_equal(trust_cache_record(cache, buf_bytes(&often.record), NOW, &r), ERR_OK);
        assert_int_equal(misses(), before);
        host_gone(&once);
    }
    host_gone(&often);
}

/* An agent's memory of 8,000 members is not taken by one of ten: it grows by what is remembered, and forgets little by that. */
static void it_is_as_large_as_what_it_remembers(void **state)
{
    (void)state;
    enum { HOSTS = 120 };
    struct trust_cache *large = trust_cache_new(trust, 16384);
    struct record r;
    static struct host all[HOSTS];
    assert_true(trust_cache_bytes(large) < 4096);
    for (size_t i = 0; i < HOSTS; i++) {
        all[i] = host_of((uint8_t)(i + 3));
        assert_int_equal(trust_cache_record(large, buf_bytes(&all[i].record), NOW, &r), ERR_OK);
    }
    assert_int_equal(trust_cache_stats(large)->misses, 2 * HOSTS);
    for (size_t i = 0; i < HOSTS; i++)
        assert_int_equal(trust_cache_record(large, buf_bytes(&all[i].record), NOW, &r), ERR_OK);
    assert_true(trust_cache_stats(large)->hits > HOSTS * 9 / 10);
    assert_true(trust_cache_bytes(large) <= 2 * HOSTS * 200);
    for (size_t i = 0; i < HOSTS; i++)
        host_gone(&all[i]);
    trust_cache_free(large);
}

static struct hash hash_in_set(uint8_t set, uint8_t which)
{
    return (struct hash){{0, 0, 0, set, which}};
}

/* Nothing is forgotten by that, wherever it lies and however many places are empty. */
static void it_grows_and_forgets_nothing_by_that(void **state)
{
    (void)state;
    enum { FULL = 9, SETS = 16 }; /* more than half of the first ones */
    struct trust_cache *k = trust_cache_new(trust, 1024);
    const size_t before = trust_cache_bytes(k);
    for (uint8_t i = 0; i < FULL * TRUST_CACHE_WAYS; i++) {
        struct hash h = hash_in_set(i / TRUST_CACHE_WAYS, i % TRUST_CACHE_WAYS + 1);
        cache_learn(k, &h, NOW + DAY, NOW);
    }
    assert_int_equal(trust_cache_bytes(k), before);
    struct hash one_more = hash_in_set(SETS, 1);
    cache_learn(k, &one_more, NOW + DAY, NOW);
    assert_true(trust_cache_bytes(k) > before);
    assert_true(cache_knows(k, &one_more, NOW));
    for (uint8_t i = 0; i < FULL * TRUST_CACHE_WAYS; i++) {
        struct hash h = hash_in_set(i / TRUST_CACHE_WAYS, i % TRUST_CACHE_WAYS + 1);
        assert_true(cache_knows(k, &h, NOW));
    }
    trust_cache_free(k);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORY(the_second_showing_is_known_and_reads_the_same),
        STORY(a_new_record_under_a_known_credential_costs_one_signature),
        STORY(what_has_expired_since_is_refused),
        STORY(what_is_not_yet_valid_is_refused),
        STORY(every_altered_byte_is_another_envelope),
        STORY(a_known_record_does_not_pass_for_a_credential),
        STORY(who_is_vouched_for_by_a_root_that_is_gone_is_refused),
        STORY(it_is_bounded_and_keeps_what_is_asked_for),
        STORY(it_is_as_large_as_what_it_remembers),
        STORY(it_grows_and_forgets_nothing_by_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
