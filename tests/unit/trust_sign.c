/* Keys: which public keys are sound (N14, B18), and how private ones are kept in files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "trust/sign.h"

static int setup(void **state)
{
    (void)state;
    return trust_init() == ERR_OK ? 0 : -1;
}

static void unhex(const char *text, uint8_t out[32])
{
    assert_true(hex_decode(text, strlen(text), out, 32));
}

/* RFC 8032 section 7.1, test 1. */
static void the_public_key_of_a_seed_is_that_of_the_rfc(void **state)
{
    uint8_t seed[32], pub[32];
    struct sign_key k;
    (void)state;
    unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed);
    unhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", pub);
    assert_int_equal(sign_key_of_seed(&k, seed), ERR_OK);
    assert_memory_equal(k.pub.b, pub, 32);
    assert_memory_equal(k.sec, seed, 32);
    assert_true(sign_pub_is_sound(pub));
}

/* RFC 7748 section 5.2, the first step of the iterated test: nine times the base point 9. */
static void the_public_key_of_a_scalar_is_that_of_the_rfc(void **state)
{
    uint8_t sec[32] = {9}, pub[32];
    struct dh_key k;
    (void)state;
    unhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079", pub);
    assert_int_equal(dh_key_of_secret(&k, sec), ERR_OK);
    assert_memory_equal(k.pub, pub, 32);
    assert_true(dh_pub_is_sound(pub));
}

/* The points of small order of Curve25519's Edwards form, canonical and not (the list in libsodium's
 * ge25519_has_small_order() and in "Taming the many EdDSAs", Chalkias et al. 2020, table 6). */
static void ed25519_keys_of_small_order_are_refused_B18(void **state)
{
    static const char *const bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t pub[32];
        char text[NODE_ID_TEXT_MAX];
        struct node_id id;
        unhex(bad[i], pub);
        assert_false(sign_pub_is_sound(pub));
        assert_false(sign_pub_may_identify(pub));
        snprintf(text, sizeof text, "ed25519:%s", bad[i]);
        assert_int_equal(node_id_parse(&id, text), ERR_INVALID);
    }
}

/* The base point plus each of the seven points of small order but the neutral one: not of small order, yet
 * with torsion. As a host's identity one does no harm (sign.c), and nobody looks. */
static void ed25519_keys_with_torsion_are_refused_but_as_an_identity_B18(void **state)
{
    static const char *const bad[] = {
        "da99e28ba529cdde35a25fba9059e78ecaee239f99755b9b1aa4f65df00803e2",
        "5252cc0a7f208133b620acbd4537eba2a4123bf0a8c2e4f980c3b31bb69765ea",
        "98519eadf35b995233b51b5cd23e9cc5a28b639b5a4af0ec903cb960d81b7819",
        "9599999999999999999999999999999999999999999999999999999999999999",
        "13661d745ad63221ca5da0456fa618713511dc60668aa464e55b09a20ff7fc1d",
        "9bad33f580df7ecc49df5342bac8145d5bedc40f573d1b067f3c4ce449689a15",
        "55ae61520ca466adcc4ae4a32dc1633a5d749c64a5b50f136fc3469f27e487e6",
    };
    uint8_t pub[32];
    (void)state;
    unhex("5866666666666666666666666666666666666666666666666666666666666666", pub);
    assert_true(sign_pub_is_sound(pub)); /* the base point itself */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unhex(bad[i], pub);
        assert_false(sign_pub_is_sound(pub));
        assert_true(sign_pub_may_identify(pub));
    }
}

/* y and y + p are one point; only the first spelling counts, whatever the sign of x. */
static void an_identity_has_one_spelling_N14(void **state)
{
    uint8_t pub[32];
    (void)state;
    for (unsigned y = 0; y < 19; y++)
        for (unsigned sign = 0; sign < 2; sign++) {
            memset(pub, 0xff, sizeof pub);
            pub[0] = (uint8_t)(0xed + y); /* p + y */
            pub[31] = (uint8_t)(0x7f | sign << 7);
            assert_false(sign_pub_may_identify(pub));
            memset(pub, 0, sizeof pub);
            pub[0] = (uint8_t)y;
            pub[31] = (uint8_t)(sign << 7);
            assert_int_equal(sign_pub_may_identify(pub), y > 1);
        }
}

static void x25519_keys_of_small_order_or_in_another_spelling_are_refused_N14(void **state)
{
    static const char *const bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p, which is 0 */
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p + 1 */
        "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p + 9: the base point */
        "0900000000000000000000000000000000000000000000000000000000000080", /* its top bit set */
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    };
    uint8_t pub[32] = {9};
    (void)state;
    assert_true(dh_pub_is_sound(pub));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unhex(bad[i], pub);
        assert_false(dh_pub_is_sound(pub));
    }
}

/* libsodium answers -1 when the product is zero, which is what small order means for a clamped scalar. */
static void soundness_of_an_x25519_key_is_what_libsodium_finds(void **state)
{
    static const uint8_t scalar[32] = {77};
    struct rng r = rng_seeded(25519);
    uint8_t pub[32], shared[32];
    size_t unsound = 0;
    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        memset(pub, i % 3 == 0 ? 0xff : 0, sizeof pub); /* the neighbourhood of 0 and of p, and anywhere */
        for (size_t k = 0; i % 3 == 2 && k < sizeof pub; k++)
            pub[k] = (uint8_t)rng_u64(&r);
        if (i % 3 != 2)
            pub[0] = (uint8_t)(i / 3 + (i % 3 == 0 ? 0xb0 : 0));
        pub[31] &= 0x7f;
        bool below_p = i % 3 != 0 || pub[0] < 0xed;
        bool sound = below_p && crypto_scalarmult(shared, scalar, pub) == 0;
        assert_int_equal(dh_pub_is_sound(pub), sound);
        unsound += !sound;
    }
    assert_true(unsound >= 3);
}

static void a_node_id_has_one_spelling(void **state)
{
    static const char good[] = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    char text[NODE_ID_TEXT_MAX], bad[NODE_ID_TEXT_MAX + 1];
    struct node_id id;
    (void)state;
    assert_int_equal(node_id_parse(&id, good), ERR_OK);
    assert_string_equal(node_id_text(&id, text), good);
    snprintf(bad, sizeof bad, "%s0", good);
    assert_int_equal(node_id_parse(&id, bad), ERR_MALFORMED);
    snprintf(bad, sizeof bad, "%.71s", good);
    assert_int_equal(node_id_parse(&id, bad), ERR_MALFORMED);
    snprintf(bad, sizeof bad, "%s", good);
    bad[8] = 'D';
    assert_int_equal(node_id_parse(&id, bad), ERR_MALFORMED);
    assert_int_equal(node_id_parse(&id, good + 8), ERR_MALFORMED);
    assert_int_equal(node_id_parse(&id, ""), ERR_MALFORMED);
}

static void zeros_are_no_key(void **state)
{
    static const uint8_t zeros[32];
    struct sign_key s;
    struct dh_key d;
    (void)state;
    assert_int_equal(sign_key_of_seed(&s, zeros), ERR_INVALID);
    assert_int_equal(dh_key_of_secret(&d, zeros), ERR_INVALID);
}

static void fresh_keys_differ_and_are_wiped(void **state)
{
    static const struct sign_key gone;
    static const struct dh_key gone_too;
    struct sign_key a, b;
    struct dh_key c, d;
    (void)state;
    sign_key_new(&a);
    sign_key_new(&b);
    dh_key_new(&c);
    dh_key_new(&d);
    assert_memory_not_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&c, &d, sizeof c);
    assert_true(sign_pub_is_sound(a.pub.b) && dh_pub_is_sound(c.pub));
    sign_key_fini(&a);
    dh_key_fini(&c);
    assert_memory_equal(&a, &gone, sizeof a);
    assert_memory_equal(&c, &gone_too, sizeof c);
}

/* FIPS 180-2 appendix B.1. */
static void a_hash_is_sha256(void **state)
{
    char hex[HASH_TEXT_MAX];
    (void)state;
    hex_encode(hash_of(bytes_str("abc")).b, HASH_BYTES, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* From here on this process gets EPERM from getrandom(2). */
static bool take_randomness_away(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void without_randomness_nothing_starts_N33(void **state)
{
    int status = -1;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(!take_randomness_away() ? 2 : trust_init() == ERR_IO ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Key files. */

static const uint8_t SECRET[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void a_key_file_is_one_line(void **state)
{
    struct buf text = {0};
    uint8_t back[32];
    (void)state;
    assert_int_equal(key_text_encode(&text, "noise", SECRET, NULL), ERR_OK);
    assert_string_equal(buf_str(&text),
                        "starling-key-1 noise AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAA=\n");
    assert_false(key_text_is_sealed(buf_bytes(&text)));
    assert_int_equal(key_text_decode(buf_bytes(&text), "noise", NULL, back), ERR_OK);
    assert_memory_equal(back, SECRET, 32);
    assert_int_equal(key_text_decode(buf_bytes(&text), "noise", "not needed", back), ERR_OK);
    assert_int_equal(key_text_decode(buf_bytes(&text), "identity", NULL, back), ERR_INVALID);
    buf_fini(&text);
}

static void a_key_file_that_is_anything_else_is_refused_N32(void **state)
{
    static const char *const bad[] = {
        "",
        "starling-key-1 ",
        "starling-key-1 noise",
        "starling-key-1 noise \n",
        "starling-key-1 noise AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAA=",     /* no end of line: cut? */
        "starling-key-1 noise AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAA=\n\n", /* one too many */
        "starling-key-1 noise AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAA=\r\n",
        "starling-key-1 noise  AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAA=\n",
        "starling-key-1 noise AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAA==\n", /* 31 bytes */
        "starling-key-1 noise AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAAA\n", /* 33 bytes */
        "starling-key-1 noise AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAB=\n", /* bits beyond the end */
        "starling-key-1 noise AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAA\n",  /* no padding */
        "starling-key-1 noise AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", /* zeros */
        ("starling-key-1 noise AQIDBAUGBwgJCgsMDQ4PEA\xb2\xb2\xb2\xb2\xb2\xb2"
         "AAAAAAAAAAAAAAA=\n"), /* bytes which libsodium takes for 'A' */
        "starling-key-2 noise AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAA=\n",
        "starling-key-1 thing AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAA=\n",
        "starling-key-1 noise-sealed AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAAAAAAAAAAAAA=\n",
    };
    static const uint8_t zeros[32];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t back[32] = {7};
        if (key_text_decode(bytes_str(bad[i]), "noise", "p", back) != ERR_MALFORMED)
            fail_msg("accepted: %s", bad[i]);
        assert_memory_equal(back, zeros, 32);
    }
}

static void a_sealed_key_opens_with_its_passphrase_only(void **state)
{
    struct buf text = {0}, again = {0};
    uint8_t back[32];
    (void)state;
    assert_int_equal(key_text_encode(&text, "root", SECRET, "correct horse"), ERR_OK);
    assert_true(key_text_is_sealed(buf_bytes(&text)));
    assert_null(memmem(text.at, text.len, "AQIDBAUG", 8));
    assert_int_equal(key_text_decode(buf_bytes(&text), "root", NULL, back), ERR_DENIED);
    assert_int_equal(key_text_decode(buf_bytes(&text), "root", "battery staple", back), ERR_AUTH);
    assert_int_equal(key_text_decode(buf_bytes(&text), "policy", "correct horse", back), ERR_INVALID);
    assert_int_equal(key_text_decode(buf_bytes(&text), "root", "correct horse", back), ERR_OK);
    assert_memory_equal(back, SECRET, 32);
    /* The same key sealed twice shares nothing: salt and nonce are fresh. */
    assert_int_equal(key_text_encode(&again, "root", SECRET, "correct horse"), ERR_OK);
    assert_false(bytes_eq(buf_bytes(&text), buf_bytes(&again)));
    assert_true(text.len <= KEY_TEXT_MAX);
    /* One character changed anywhere in the box is seen. */
    text.at[text.len - 8] = text.at[text.len - 8] == 'A' ? 'B' : 'A';
    assert_int_equal(key_text_decode(buf_bytes(&text), "root", "correct horse", back), ERR_AUTH);
    buf_fini(&text);
    buf_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_public_key_of_a_seed_is_that_of_the_rfc),
        cmocka_unit_test(the_public_key_of_a_scalar_is_that_of_the_rfc),
        cmocka_unit_test(ed25519_keys_of_small_order_are_refused_B18),
        cmocka_unit_test(ed25519_keys_with_torsion_are_refused_but_as_an_identity_B18),
        cmocka_unit_test(an_identity_has_one_spelling_N14),
        cmocka_unit_test(x25519_keys_of_small_order_or_in_another_spelling_are_refused_N14),
        cmocka_unit_test(soundness_of_an_x25519_key_is_what_libsodium_finds),
        cmocka_unit_test(a_node_id_has_one_spelling),
        cmocka_unit_test(zeros_are_no_key),
        cmocka_unit_test(fresh_keys_differ_and_are_wiped),
        cmocka_unit_test(a_hash_is_sha256),
        cmocka_unit_test(without_randomness_nothing_starts_N33),
        cmocka_unit_test(a_key_file_is_one_line),
        cmocka_unit_test(a_key_file_that_is_anything_else_is_refused_N32),
        cmocka_unit_test(a_sealed_key_opens_with_its_passphrase_only),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
