/* Two libraries, one cipher: what one seals the other opens, byte for byte, and a forgery opens in neither. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "noise/aead.h"
#include "noise/gcm.h"

static const struct bytes no_ad = {NULL, 0};
static const size_t sizes[] = {GCM_BYTES_MIN, 1025, 1039, 4096, 16384, 40000, NOISE_PLAIN_MAX};
static uint8_t ours[NOISE_MESSAGE_MAX], theirs[NOISE_MESSAGE_MAX], opened[NOISE_MESSAGE_MAX];

static struct noise_cipherstate keyed(bool for_bulk)
{
    struct noise_cipherstate c = {.n = 1000};
    uint8_t key[NOISE_KEY_BYTES];
    memset(key, 0x42, sizeof key);
    noise_cipher_set_key(&c, NOISE_AESGCM, key);
    if (for_bulk)
        noise_cipher_for_bulk(&c);
    return c;
}

static void fill(uint8_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(i * 31 + i / 7);
}

static void both_libraries_seal_the_same_bytes(void **state)
{
    (void)state;
    struct noise_cipherstate bulk = keyed(true), plain = keyed(false);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fill(ours, sizes[i]);
        fill(theirs, sizes[i]);
        assert_int_equal(noise_seal(&bulk, ours, sizes[i], no_ad), ERR_OK);
        assert_int_equal(noise_seal(&plain, theirs, sizes[i], no_ad), ERR_OK);
        assert_memory_equal(ours, theirs, sizes[i] + NOISE_TAG_BYTES);
        assert_int_equal(bulk.n, plain.n);
    }
    assert_non_null(bulk.gcm); /* it was libcrypto */
    assert_null(plain.gcm);
    noise_cipherstate_fini(&bulk);
    noise_cipherstate_fini(&plain);
}

static void each_opens_what_the_other_sealed_short_and_long_in_turn(void **state)
{
    (void)state;
    static const size_t mixed[] = {5, 2000, 0, 65000, 1023, 1024};
    struct noise_cipherstate tx = keyed(false), rx = keyed(true);
    size_t len;
    for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++) {
        fill(theirs, mixed[i]);
        fill(ours, mixed[i]);
        assert_int_equal(noise_seal(&tx, theirs, mixed[i], no_ad), ERR_OK);
        assert_int_equal(
            noise_open_to(&rx, opened, bytes_of(theirs, mixed[i] + NOISE_TAG_BYTES), no_ad, &len), ERR_OK);
        assert_int_equal(len, mixed[i]);
        if (len > 0)
            assert_memory_equal(opened, ours, len);
    }
    assert_non_null(rx.gcm);
    noise_cipherstate_fini(&tx);
    noise_cipherstate_fini(&rx);
}

static void a_forgery_is_refused_wiped_and_costs_no_nonce(void **state)
{
    (void)state;
    struct noise_cipherstate tx = keyed(true), rx = keyed(true);
    static const uint8_t zeros[5000];
    size_t len;
    fill(ours, sizeof zeros);
    assert_int_equal(noise_seal(&tx, ours, sizeof zeros, no_ad), ERR_OK);
    for (size_t at = 0; at < sizeof zeros + NOISE_TAG_BYTES; at += 501) {
        memcpy(theirs, ours, sizeof zeros + NOISE_TAG_BYTES);
        theirs[at] ^= 1;
        memset(opened, 'x', sizeof zeros);
        assert_int_equal(
            noise_open_to(&rx, opened, bytes_of(theirs, sizeof zeros + NOISE_TAG_BYTES), no_ad, &len),
            ERR_AUTH);
        assert_memory_equal(opened, zeros, sizeof zeros);
        assert_int_equal(rx.n, 1000);
    }
    assert_int_equal(noise_open(&rx, ours, sizeof zeros + NOISE_TAG_BYTES, no_ad, &len), ERR_OK);
    noise_cipherstate_fini(&tx);
    noise_cipherstate_fini(&rx);
}

static void a_rekey_changes_both_alike(void **state)
{
    (void)state;
    struct noise_cipherstate bulk = keyed(true), plain = keyed(false);
    for (int round = 0; round < 3; round++) {
        fill(ours, 9000);
        fill(theirs, 9000);
        assert_int_equal(noise_seal(&bulk, ours, 9000, no_ad), ERR_OK);
        assert_int_equal(noise_seal(&plain, theirs, 9000, no_ad), ERR_OK);
        assert_memory_equal(ours, theirs, 9000 + NOISE_TAG_BYTES);
        noise_rekey(&bulk);
        noise_rekey(&plain);
    }
    noise_cipherstate_fini(&bulk);
    noise_cipherstate_fini(&plain);
}

static void the_last_nonce_is_used_once_with_this_library_too(void **state)
{
    (void)state;
    struct noise_cipherstate c = keyed(true);
    c.n = UINT64_MAX - 1;
    assert_int_equal(noise_seal(&c, ours, 2000, no_ad), ERR_OK);
    assert_int_equal(noise_seal(&c, ours, 2000, no_ad), ERR_LIMIT);
    noise_cipherstate_fini(&c);
}

static void chachapoly_is_never_its_matter(void **state)
{
    (void)state;
    struct noise_cipherstate c = {.n = 0};
    uint8_t key[NOISE_KEY_BYTES] = {1};
    noise_cipher_set_key(&c, NOISE_CHACHAPOLY, key);
    noise_cipher_for_bulk(&c);
    assert_int_equal(noise_seal(&c, ours, 2000, no_ad), ERR_OK);
    assert_null(c.gcm);
    noise_cipherstate_fini(&c);
}

int main(void)
{
    const struct CMUnitTest without_hardware[] = {cmocka_unit_test(chachapoly_is_never_its_matter)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chachapoly_is_never_its_matter),
        cmocka_unit_test(both_libraries_seal_the_same_bytes),
        cmocka_unit_test(each_opens_what_the_other_sealed_short_and_long_in_turn),
        cmocka_unit_test(a_forgery_is_refused_wiped_and_costs_no_nonce),
        cmocka_unit_test(a_rekey_changes_both_alike),
        cmocka_unit_test(the_last_nonce_is_used_once_with_this_library_too),
    };
    if (!noise_cipher_is_available(NOISE_AESGCM))
        return cmocka_run_group_tests(without_hardware, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
