/* One copy of each record's bytes, however many hold it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/gossip.h"
#include "gossip/record_blob.h"

static struct gossip_claim claim_named(uint32_t name)
{
    struct gossip_claim c = {.incarnation = name, .version = 3, .addr_count = 1 + name % 2};
    store_be32(c.hash.b + 4, name); /* chains are chosen by the first eight bytes */
    c.addr[0].port = 7;
    c.addr[1].port = 8;
    return c;
}

static void without_a_pool_every_blob_is_its_own(void **state)
{
    (void)state;
    struct gossip_claim h = claim_named(1);
    struct record_blob *a = record_blob_of(NULL, bytes_str("record"), &h);
    struct record_blob *b = record_blob_of(NULL, bytes_str("record"), &h);
    assert_ptr_not_equal(a, b);
    assert_true(bytes_eq(record_blob_bytes(a), bytes_str("record")));
    record_blob_unref(a);
    assert_true(bytes_eq(record_blob_bytes(b), bytes_str("record")));
    record_blob_unref(b);
    record_blob_unref(NULL);
}

static void a_pool_gives_the_same_blob_for_the_same_hash_until_nobody_holds_it(void **state)
{
    (void)state;
    struct gossip_pool *p = gossip_pool_new();
    struct gossip_claim h = claim_named(1), other = claim_named(2);
    struct record_blob *a = record_blob_of(p, bytes_str("one"), &h),
                       *b = record_blob_of(p, bytes_str("one"), &h);
    struct record_blob *c = record_blob_of(p, bytes_str("two"), &other);
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    record_blob_unref(a);
    assert_true(bytes_eq(record_blob_bytes(b), bytes_str("one")));
    record_blob_unref(b);
    record_blob_unref(c);
    gossip_pool_free(p); /* asserts that it is empty */
}

/* Many more records than the pool begins with, given back in another order. */
static void a_pool_grows_and_finds_all(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static struct record_blob *held[COUNT];
    struct gossip_pool *p = gossip_pool_new();
    for (uint32_t i = 0; i < COUNT; i++) {
        uint8_t text[4];
        struct gossip_claim h = claim_named(i);
        store_be32(text, i);
        held[i] = record_blob_of(p, bytes_of(text, sizeof text), &h);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        struct gossip_claim h = claim_named(i * 7 % COUNT);
        struct record_blob *again = record_blob_of(p, bytes_str("not looked at"), &h);
        assert_ptr_equal(again, held[i * 7 % COUNT]);
        assert_int_equal(load_be32(record_blob_bytes(again).at), i * 7 % COUNT);
        assert_int_equal(again->incarnation, i * 7 % COUNT);
        assert_int_equal(again->addr_count, h.addr_count);
        assert_int_equal(again->addr[h.addr_count - 1].port, 6 + h.addr_count);
        record_blob_unref(again);
        record_blob_unref(again);
    }
    gossip_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_pool_every_blob_is_its_own),
        cmocka_unit_test(a_pool_gives_the_same_blob_for_the_same_hash_until_nobody_holds_it),
        cmocka_unit_test(a_pool_grows_and_finds_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
