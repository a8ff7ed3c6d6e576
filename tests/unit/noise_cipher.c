/* Cipher states at their limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "noise/aead.h"

static const struct bytes no_ad = {NULL, 0};

static struct noise_cipherstate keyed(enum noise_cipher cipher, uint8_t fill)
{
    struct noise_cipherstate c = {.n = 0};
    uint8_t key[32];
    memset(key, fill, sizeof key);
    noise_cipher_set_key(&c, cipher, key);
    return c;
}

typedef void test_of_cipher(enum noise_cipher cipher);

static void with_both_ciphers(test_of_cipher *test)
{
    assert_true(noise_cipher_is_available(NOISE_CHACHAPOLY));
    test(NOISE_CHACHAPOLY);
    if (noise_cipher_is_available(NOISE_AESGCM))
        test(NOISE_AESGCM);
}

static void check_sizes(enum noise_cipher cipher)
{
    static uint8_t text[NOISE_MESSAGE_MAX + 1];
    struct noise_cipherstate tx = keyed(cipher, 7), rx = keyed(cipher, 7);
    size_t len;
    memset(text, 'x', sizeof text);
    assert_int_equal(noise_seal(&tx, text, NOISE_PLAIN_MAX + 1, no_ad), ERR_LIMIT);
    assert_int_equal(tx.n, 0);
    assert_int_equal(text[0], 'x'); /* not encrypted */
    assert_int_equal(noise_seal(&tx, text, NOISE_PLAIN_MAX, no_ad), ERR_OK);
    assert_int_equal(noise_open(&rx, text, NOISE_MESSAGE_MAX + 1, no_ad, &len), ERR_MALFORMED);
    assert_int_equal(noise_open(&rx, text, NOISE_MESSAGE_MAX, no_ad, &len), ERR_OK);
    assert_true(len == NOISE_PLAIN_MAX && text[0] == 'x' && text[NOISE_PLAIN_MAX - 1] == 'x');
    for (size_t n = 0; n < NOISE_TAG_BYTES; n++)
        assert_int_equal(noise_open(&rx, text, n, no_ad, &len), ERR_MALFORMED);
    assert_int_equal(rx.n, 1);
}

static void n5_plaintext_of_65519_passes_and_65520_does_not(void **state)
{
    (void)state;
    with_both_ciphers(check_sizes);
}

static void check_last_nonce(enum noise_cipher cipher)
{
    struct noise_cipherstate tx = keyed(cipher, 7), rx = keyed(cipher, 7);
    uint8_t text[4 + NOISE_TAG_BYTES] = "last";
    size_t len;
    tx.n = rx.n = UINT64_MAX - 1;
    assert_int_equal(noise_seal(&tx, text, 4, no_ad), ERR_OK);
    assert_int_equal(noise_open(&rx, text, sizeof text, no_ad, &len), ERR_OK);
    assert_memory_equal(text, "last", 4);
    assert_int_equal(noise_seal(&tx, text, 4, no_ad), ERR_LIMIT);
    assert_memory_equal(text, "last", 4); /* no ciphertext leaves with 2^64-1 */
    assert_int_equal(noise_open(&rx, text, sizeof text, no_ad, &len), ERR_LIMIT);
    assert_true(tx.n == UINT64_MAX && rx.n == UINT64_MAX);
    assert_int_equal(noise_seal_at(&tx, UINT64_MAX, text, 4, no_ad), ERR_LIMIT);
    assert_int_equal(noise_open_at(&rx, UINT64_MAX, text, sizeof text, no_ad, &len), ERR_LIMIT);
}

static void n6_the_last_nonce_is_used_once_and_the_reserved_one_never(void **state)
{
    (void)state;
    with_both_ciphers(check_last_nonce);
}

static void check_failed_open(enum noise_cipher cipher)
{
    struct noise_cipherstate tx = keyed(cipher, 7), rx = keyed(cipher, 7);
    uint8_t text[5 + NOISE_TAG_BYTES] = "hello", bent[sizeof text];
    size_t len;
    assert_int_equal(noise_seal(&tx, text, 5, bytes_str("ad")), ERR_OK);
    for (size_t bit = 0; bit < 8 * sizeof text; bit++) {
        memcpy(bent, text, sizeof text);
        bent[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(noise_open(&rx, bent, sizeof bent, bytes_str("ad"), &len), ERR_AUTH);
        assert_int_equal(rx.n, 0);
    }
    memcpy(bent, text, sizeof text);
    assert_int_equal(noise_open(&rx, bent, sizeof bent, bytes_str("da"), &len), ERR_AUTH);
    assert_int_equal(noise_open(&rx, text, sizeof text, bytes_str("ad"), &len), ERR_OK);
    assert_int_equal(rx.n, 1);
    assert_memory_equal(text, "hello", 5);
}

static void n7_a_failed_open_does_not_move_the_nonce(void **state)
{
    (void)state;
    with_both_ciphers(check_failed_open);
}

static void pass(struct noise_cipherstate *tx, struct noise_cipherstate *rx, enum err expect)
{
    uint8_t text[5 + NOISE_TAG_BYTES] = "hello";
    size_t len;
    assert_int_equal(noise_seal(tx, text, 5, no_ad), ERR_OK);
    assert_int_equal(noise_open(rx, text, sizeof text, no_ad, &len), expect);
}

static void check_rekey(enum noise_cipher cipher)
{
    struct noise_cipherstate tx = keyed(cipher, 7), rx = keyed(cipher, 7);
    pass(&tx, &rx, ERR_OK);
    noise_rekey(&tx);
    noise_rekey(&rx);
    assert_true(tx.n == 1 && rx.n == 1);
    pass(&tx, &rx, ERR_OK);
    assert_int_equal(rx.n, 2);
    noise_rekey(&tx);
    pass(&tx, &rx, ERR_AUTH);
}

static void n8_rekey_by_both_goes_on_and_by_one_fails(void **state)
{
    (void)state;
    with_both_ciphers(check_rekey);
}

/* Section 4.2, by another road: the keystream of nonce 2^64-1 is what zeros are sealed to. */
static void check_rekey_value(enum noise_cipher cipher)
{
    struct noise_cipherstate c = keyed(cipher, 9);
    uint8_t zeros[32 + NOISE_TAG_BYTES] = {0};
    noise_aead_seal(&c, UINT64_MAX, zeros, bytes_of(zeros, 32), no_ad);
    noise_rekey(&c);
    assert_memory_equal(c.key, zeros, 32);
}

static void rekey_takes_the_first_32_bytes(void **state)
{
    (void)state;
    with_both_ciphers(check_rekey_value);
}

static void check_explicit_nonce(enum noise_cipher cipher)
{
    struct noise_cipherstate c = keyed(cipher, 7), counting = keyed(cipher, 7);
    uint8_t a[5 + NOISE_TAG_BYTES] = "hello", b[sizeof a] = "hello";
    size_t len;
    counting.n = 300;
    assert_int_equal(noise_seal_at(&c, 300, a, 5, no_ad), ERR_OK);
    assert_int_equal(noise_seal(&counting, b, 5, no_ad), ERR_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(noise_open_at(&c, 301, b, sizeof b, no_ad, &len), ERR_AUTH);
    assert_int_equal(noise_open_at(&c, 300, a, sizeof a, no_ad, &len), ERR_OK);
    assert_memory_equal(a, "hello", 5);
    assert_int_equal(c.n, 0);
}

static void explicit_nonces_neither_use_nor_move_n(void **state)
{
    (void)state;
    with_both_ciphers(check_explicit_nonce);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(n5_plaintext_of_65519_passes_and_65520_does_not),
        cmocka_unit_test(n6_the_last_nonce_is_used_once_and_the_reserved_one_never),
        cmocka_unit_test(n7_a_failed_open_does_not_move_the_nonce),
        cmocka_unit_test(n8_rekey_by_both_goes_on_and_by_one_fails),
        cmocka_unit_test(rekey_takes_the_first_32_bytes),
        cmocka_unit_test(explicit_nonces_neither_use_nor_move_n),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
