/* mac1, cookies, and the table of rates. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <assert.h>
#include <cmocka.h>

#include "link/cookie.h"
#include "link/rate.h"

static struct addr at(const char *text)
{
    struct addr a;
    assert_true(addr_parse(&a, text, 0));
    return a;
}

static void mac1_is_of_one_packet_to_one_key(void **state)
{
    (void)state;
    uint8_t key[32] = {1}, other[32] = {2}, mac[PRIM_MAC_BYTES];
    struct cookie_keys k, k2;
    cookie_keys_init(&k, key);
    cookie_keys_init(&k2, other);
    cookie_mac1(mac, &k, bytes_str("packet"));
    assert_true(cookie_mac1_is_valid(&k, bytes_str("packet"), mac));
    assert_false(cookie_mac1_is_valid(&k, bytes_str("Packet"), mac));
    assert_false(cookie_mac1_is_valid(&k2, bytes_str("packet"), mac));
    for (int bit = 0; bit < 8 * PRIM_MAC_BYTES; bit++) {
        mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(cookie_mac1_is_valid(&k, bytes_str("packet"), mac));
        mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void D3_a_cookie_is_of_one_address_and_dies_within_120_seconds(void **state)
{
    (void)state;
    struct cookie_jar j;
    uint8_t cookie[COOKIE_BYTES], mac2[PRIM_MAC_BYTES];
    struct addr here = at("10.0.0.1:7400"), port = at("10.0.0.1:7401"), ip = at("10.0.0.2:7400");
    cookie_jar_init(&j, 0);
    cookie_make(&j, cookie, &here, 30000);
    cookie_mac2(mac2, cookie, bytes_str("packet"));
    assert_true(cookie_mac2_is_valid(&j, &here, bytes_str("packet"), mac2, 30000));
    assert_false(cookie_mac2_is_valid(&j, &here, bytes_str("other"), mac2, 30000));
    assert_false(cookie_mac2_is_valid(&j, &port, bytes_str("packet"), mac2, 30000));
    assert_false(cookie_mac2_is_valid(&j, &ip, bytes_str("packet"), mac2, 30000));
    assert_true(
        cookie_mac2_is_valid(&j, &here, bytes_str("packet"), mac2, 90000)); /* the previous secret by now */
    assert_false(cookie_mac2_is_valid(&j, &here, bytes_str("packet"), mac2, 150000));
    cookie_jar_fini(&j);
}

static void D3_a_jar_left_alone_for_long_forgets_both_secrets(void **state)
{
    (void)state;
    struct cookie_jar j;
    uint8_t cookie[COOKIE_BYTES], mac2[PRIM_MAC_BYTES];
    struct addr here = at("10.0.0.1:7400");
    cookie_jar_init(&j, 0);
    cookie_make(&j, cookie, &here, 0);
    cookie_mac2(mac2, cookie, bytes_str("packet"));
    assert_false(cookie_mac2_is_valid(&j, &here, bytes_str("packet"), mac2, 120000));
    cookie_jar_fini(&j);
}

static void D3_a_cookie_reply_counts_once_and_only_for_what_was_sent(void **state)
{
    (void)state;
    uint8_t key[32] = {3}, cookie[COOKIE_BYTES] = {7}, nonce[PRIM_XNONCE_BYTES] = {1},
            sealed[COOKIE_SEALED_BYTES];
    struct cookie_keys k;
    struct cookie_held h = {.mac1 = {9}};
    cookie_keys_init(&k, key);
    cookie_seal(sealed, &k, nonce, cookie, h.mac1);
    assert_int_equal(cookie_consume(&h, &k, nonce, sealed, 1000), ERR_AUTH); /* nothing was sent */
    h.has_mac1 = true;
    h.mac1[0] ^= 1; /* something else was sent */
    assert_int_equal(cookie_consume(&h, &k, nonce, sealed, 1000), ERR_AUTH);
    assert_false(cookie_is_usable(&h, 1000));
    h.mac1[0] ^= 1;
    assert_int_equal(cookie_consume(&h, &k, nonce, sealed, 1000), ERR_OK);
    assert_memory_equal(h.cookie, cookie, COOKIE_BYTES);
    assert_int_equal(cookie_consume(&h, &k, nonce, sealed, 1000), ERR_AUTH); /* again */
    assert_true(cookie_is_usable(&h, 1000 + COOKIE_USE_MS - 1));
    assert_false(cookie_is_usable(&h, 1000 + COOKIE_USE_MS));
}

static void D6_one_source_over_its_rate_is_limited_and_others_are_not(void **state)
{
    (void)state;
    static struct rate r;
    struct addr loud = at("10.0.0.1:1000"), quiet = at("10.0.0.2:1000");
    unsigned allowed = 0;
    rate_init(&r, 5000);
    for (int ms = 0; ms < 10000; ms++) {
        allowed += rate_allow(&r, &loud, false, 5000 + (mono_ms)ms);
        if (ms % 100 == 0)
            assert_true(rate_allow(&r, &quiet, false, 5000 + (mono_ms)ms));
    }
    assert_in_range(allowed, RATE_BURST + 10 * RATE_PER_S - 1, RATE_BURST + 10 * RATE_PER_S);
    assert_true(rate_allow(&r, &loud, true,
                           14999)); /* who proves that it is there is not held to what others claimed */
    loud.port = 2000;               /* another port is no other source */
    assert_false(rate_allow(&r, &loud, false, 14999));
}

static void D5_an_ipv6_prefix_of_64_bits_is_one_source(void **state)
{
    (void)state;
    static struct rate r;
    struct addr a = at("[2001:db8:1:2::1]:1000"), other = at("[2001:db8:1:3::1]:1000");
    unsigned allowed = 0;
    rate_init(&r, 0);
    for (int i = 0; i < 1000; i++) {
        store_be32(a.ip + 12, (uint32_t)i);
        allowed += rate_allow(&r, &a, false, 0);
    }
    assert_int_equal(allowed, RATE_BURST);
    assert_true(rate_allow(&r, &other, false, 0));
}

static void D5_a_million_sources_fit_in_a_table_of_fixed_size(void **state)
{
    (void)state;
    static struct rate r;
    struct addr a = at("10.0.0.1:1000");
    rate_init(&r, 0);
    for (uint32_t i = 0; i < 1000000; i++) {
        store_be32(a.ip + 12, 0x0b000000 + i);
        assert_true(rate_allow(&r, &a, false, i / 100));
    }
    assert_in_range(sizeof r, 1, 128 * 1024);
}

static void agents_on_loopback_do_not_share_one_rate(void **state)
{
    (void)state;
    static struct rate r;
    struct addr a = at("127.0.0.1:1");
    rate_init(&r, 0);
    for (uint16_t i = 1; i < 500; i++) {
        a.port = i;
        assert_true(rate_allow(&r, &a, false, 0));
    }
}

int main(void)
{
    assert(prim_init() == ERR_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mac1_is_of_one_packet_to_one_key),
        cmocka_unit_test(D3_a_cookie_is_of_one_address_and_dies_within_120_seconds),
        cmocka_unit_test(D3_a_jar_left_alone_for_long_forgets_both_secrets),
        cmocka_unit_test(D3_a_cookie_reply_counts_once_and_only_for_what_was_sent),
        cmocka_unit_test(D6_one_source_over_its_rate_is_limited_and_others_are_not),
        cmocka_unit_test(D5_an_ipv6_prefix_of_64_bits_is_one_source),
        cmocka_unit_test(D5_a_million_sources_fit_in_a_table_of_fixed_size),
        cmocka_unit_test(agents_on_loopback_do_not_share_one_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
