/* The helpers around Noise, against published answers where there are any. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/id.h"
#include "noise/prim.h"

static const struct bytes nothing = {NULL, 0};

static void assert_hex(const uint8_t *got, size_t len, const char *hex)
{
    char text[2 * 64 + 1];
    assert_true(len <= 64);
    hex_encode(got, len, text);
    assert_string_equal(text, hex);
}

static void the_hash_is_sha256(void **state)
{
    (void)state;
    uint8_t out[32], cut[32];
    prim_hash(out, nothing, nothing); /* FIPS 180-4 */
    assert_hex(out, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    prim_hash(out, bytes_str("abc"), nothing);
    assert_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    prim_hash(cut, bytes_str("a"), bytes_str("bc"));
    assert_memory_equal(out, cut, 32);
}

static void the_mac_depends_on_key_and_every_byte(void **state)
{
    (void)state;
    uint8_t key[32] = {1}, other[32] = {2}, msg[40] = {0}, want[16], got[16];
    prim_mac(want, key, bytes_of(msg, 40), nothing);
    prim_mac(got, key, bytes_of(msg, 10), bytes_of(msg, 30));
    assert_memory_equal(got, want, 16);
    prim_mac(got, other, bytes_of(msg, 40), nothing);
    assert_false(prim_equal(got, want, 16));
    for (size_t i = 0; i < sizeof msg; i++) {
        msg[i] = 1;
        prim_mac(got, key, bytes_of(msg, 40), nothing);
        assert_false(prim_equal(got, want, 16));
        msg[i] = 0;
    }
}

static void a_sealed_cookie_opens_only_as_it_was_sealed(void **state)
{
    (void)state;
    uint8_t key[32] = {1}, nonce[24] = {2}, sealed[16 + 16], open[16];
    struct bytes ad = bytes_str("mac1"), cookie = bytes_str("sixteen bytes ok");
    prim_xseal(sealed, key, nonce, cookie, ad);
    assert_int_equal(prim_xopen(open, key, nonce, bytes_of(sealed, 32), ad), ERR_OK);
    assert_memory_equal(open, cookie.at, 16);
    assert_int_equal(prim_xopen(open, key, nonce, bytes_of(sealed, 32), bytes_str("mac2")), ERR_AUTH);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(prim_xopen(open, key, nonce, bytes_of(sealed, 32), ad), ERR_AUTH);
        sealed[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    nonce[23] = 1;
    assert_int_equal(prim_xopen(open, key, nonce, bytes_of(sealed, 32), ad), ERR_AUTH);
    for (size_t len = 0; len < 16; len++)
        assert_int_equal(prim_xopen(open, key, nonce, bytes_of(sealed, len), ad), ERR_MALFORMED);
}

static void the_public_key_is_x25519s(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        /* RFC 7748, section 6.1 */
        {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
         "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"},
        {"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
         "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"},
    };
    for (int i = 0; i < 2; i++) {
        uint8_t secret[32], pub[32];
        assert_true(hex_decode(pairs[i][0], 64, secret, 32));
        prim_dh_public(pub, secret);
        assert_hex(pub, 32, pairs[i][1]);
        assert_true(prim_dh_is_sound(pub));
    }
}

static void keys_of_small_order_are_not_sound(void **state)
{
    (void)state;
    uint8_t key[32] = {0};
    assert_false(prim_dh_is_sound(key));
    key[0] = 1;
    assert_false(prim_dh_is_sound(key));
    key[0] = 9; /* the base point */
    assert_true(prim_dh_is_sound(key));
    memset(key, 0xff, 32);
    key[0] = 0xed; /* p, with bit 255 set: RFC 7748 masks it */
    assert_false(prim_dh_is_sound(key));
}

static void random_bytes_differ_and_wiped_ones_are_zero(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};
    prim_random(a, sizeof a);
    prim_dh_secret(b);
    assert_false(prim_is_zero(a, sizeof a) || prim_is_zero(b, sizeof b) || prim_equal(a, b, sizeof a));
    prim_wipe(a, sizeof a);
    assert_true(prim_is_zero(a, sizeof a));
}

static void n33_a_forked_child_draws_other_bytes(void **state)
{
    (void)state;
    uint8_t parents[32], childs[32];
    int fds[2], status;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    prim_dh_secret(parents);
    if (child == 0)
        _exit(write(fds[1], parents, sizeof parents) == sizeof parents ? 0 : 1);
    assert_int_equal(read(fds[0], childs, sizeof childs), sizeof childs);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(prim_equal(parents, childs, sizeof childs));
    close(fds[0]);
    close(fds[1]);
}

static int init(void **state)
{
    (void)state;
    enum err first = prim_init(), again = prim_init();
    return first == ERR_OK && again == ERR_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_sha256),
        cmocka_unit_test(the_mac_depends_on_key_and_every_byte),
        cmocka_unit_test(a_sealed_cookie_opens_only_as_it_was_sealed),
        cmocka_unit_test(the_public_key_is_x25519s),
        cmocka_unit_test(keys_of_small_order_are_not_sound),
        cmocka_unit_test(n33_a_forked_child_draws_other_bytes),
        cmocka_unit_test(random_bytes_differ_and_wiped_ones_are_zero),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
