/* Envelopes: signed bytes and who signed them (ADVERSARY B1..B4, B16..B18). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "trust/envelope.h"

static const char *const type_of[] = {ENVELOPE_ROOT,   ENVELOPE_GRANT, ENVELOPE_CREDENTIAL, ENVELOPE_RECORD,
                                      ENVELOPE_POLICY, ENVELOPE_PART,  ENVELOPE_REQUEST,    ENVELOPE_OVERLAY,
                                      "root2",         "record2"};
enum { TYPES = sizeof type_of / sizeof *type_of };

static struct sign_key alice, bob, carol;

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
    if (trust_init() != ERR_OK)
        return -1;
    alice = key_of(1);
    bob = key_of(2);
    carol = key_of(3);
    return 0;
}

static struct buf signed_by(const char *type, const char *body, const struct sign_key *a,
                            const struct sign_key *b)
{
    struct buf out = {0};
    const struct sign_key *by[] = {a, b};
    assert_int_equal(envelope_sign(&out, type, bytes_str(body), by, b ? 2 : 1), ERR_OK);
    return out;
}

/* Parse and verify as one question. */
static enum err judge(struct bytes in, const char *type, const struct node_id *keys, size_t key_count,
                      size_t threshold)
{
    struct envelope e;
    enum err err = envelope_parse(&e, in);
    return err ? err : envelope_verify(&e, type, keys, key_count, threshold);
}

static void what_was_signed_is_what_is_read(void **state)
{
    struct buf b = signed_by(ENVELOPE_POLICY, "deny all", &alice, NULL);
    struct envelope e;
    (void)state;
    assert_int_equal(b.len, 1 + 7 + 10 + 1 + 101); /* docs/protocol.md's count */
    assert_int_equal(envelope_parse(&e, buf_bytes(&b)), ERR_OK);
    assert_true(bytes_eq_str(e.type, "policy"));
    assert_true(bytes_eq_str(e.body, "deny all"));
    assert_int_equal(e.sig_count, 1);
    assert_memory_equal(e.sig[0].key, alice.pub.b, 32);
    assert_int_equal(envelope_verify(&e, ENVELOPE_POLICY, &alice.pub, 1, 1), ERR_OK);
    buf_fini(&b);
}

/* Two tools make the same bytes (B23), whatever the order in which the keys were named. */
static void signing_is_reproducible(void **state)
{
    struct buf a = signed_by(ENVELOPE_ROOT, "x", &alice, &bob),
               b = signed_by(ENVELOPE_ROOT, "x", &bob, &alice);
    struct buf first = signed_by(ENVELOPE_ROOT, "x", &bob, NULL), both = {0};
    (void)state;
    assert_true(bytes_eq(buf_bytes(&a), buf_bytes(&b)));
    assert_int_equal(envelope_cosign(&both, buf_bytes(&first), &alice), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&a), buf_bytes(&both)));
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&first);
    buf_fini(&both);
}

static void one_bit_changed_anywhere_is_refused_B1(void **state)
{
    struct buf b = signed_by(ENVELOPE_POLICY, "deny all", &alice, NULL);
    (void)state;
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(judge(buf_bytes(&b), ENVELOPE_POLICY, &alice.pub, 1, 1), ERR_OK);
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(judge(buf_bytes(&b), ENVELOPE_POLICY, &alice.pub, 1, 1), ERR_OK);
    buf_fini(&b);
}

static void a_stranger_is_not_a_signer_and_an_alteration_is_told_apart_B2(void **state)
{
    struct buf b = signed_by(ENVELOPE_POLICY, "deny all", &alice, NULL);
    (void)state;
    assert_int_equal(judge(buf_bytes(&b), ENVELOPE_POLICY, &bob.pub, 1, 1), ERR_DENIED);
    assert_int_equal(judge(buf_bytes(&b), ENVELOPE_GRANT, &alice.pub, 1, 1), ERR_INVALID);
    b.at[12] ^= 1; /* in the body */
    assert_int_equal(judge(buf_bytes(&b), ENVELOPE_POLICY, &alice.pub, 1, 1), ERR_AUTH);
    buf_fini(&b);
}

static void a_threshold_counts_keys_once_B3(void **state)
{
    struct node_id two[] = {alice.pub, bob.pub};
    struct buf one = signed_by(ENVELOPE_ROOT, "x", &alice, NULL),
               stranger = signed_by(ENVELOPE_ROOT, "x", &alice, &carol);
    struct buf both = signed_by(ENVELOPE_ROOT, "x", &alice, &bob), again = {0}, all = {0};
    (void)state;
    assert_int_equal(judge(buf_bytes(&one), ENVELOPE_ROOT, two, 2, 2), ERR_DENIED);
    assert_int_equal(judge(buf_bytes(&stranger), ENVELOPE_ROOT, two, 2, 2), ERR_DENIED);
    assert_int_equal(judge(buf_bytes(&both), ENVELOPE_ROOT, two, 2, 2), ERR_OK);
    assert_int_equal(envelope_cosign(&again, buf_bytes(&one), &alice), ERR_EXISTS);
    assert_int_equal(again.len, 0);
    assert_int_equal(envelope_cosign(&all, buf_bytes(&both), &carol), ERR_OK);
    assert_int_equal(judge(buf_bytes(&all), ENVELOPE_ROOT, two, 2, 2), ERR_OK);
    buf_fini(&one);
    buf_fini(&stranger);
    buf_fini(&both);
    buf_fini(&all);
}

/* Writes an envelope by hand, with any list of signatures. */
static struct buf by_hand(struct bytes type, struct bytes body, const struct bytes (*sig)[2], size_t count)
{
    struct buf out = {0};
    codec_put_array(&out, 3);
    codec_put_str(&out, type);
    codec_put_bin(&out, body);
    codec_put_array(&out, count);
    for (size_t i = 0; i < count; i++) {
        codec_put_array(&out, 2);
        codec_put_bin(&out, sig[i][0]);
        codec_put_bin(&out, sig[i][1]);
    }
    return out;
}

static void signatures_that_are_none_doubled_unsorted_or_short_are_malformed_B3_B4(void **state)
{
    struct buf both = signed_by(ENVELOPE_ROOT, "x", &alice, &bob);
    struct envelope e;
    (void)state;
    assert_int_equal(envelope_parse(&e, buf_bytes(&both)), ERR_OK);
    struct bytes first[2] = {bytes_of(e.sig[0].key, 32), bytes_of(e.sig[0].sig, 64)};
    struct bytes second[2] = {bytes_of(e.sig[1].key, 32), bytes_of(e.sig[1].sig, 64)};
    const struct {
        const char *name;
        struct bytes list[2][2];
        size_t count;
        enum err expected;
    } t[] = {
        {"as it should be", {{first[0], first[1]}, {second[0], second[1]}}, 2, ERR_OK},
        {"none", {{{0}}}, 0, ERR_MALFORMED},
        {"one key twice", {{first[0], first[1]}, {first[0], first[1]}}, 2, ERR_MALFORMED},
        {"falling", {{second[0], second[1]}, {first[0], first[1]}}, 2, ERR_MALFORMED},
        {"key id missing", {{{0}, first[1]}}, 1, ERR_MALFORMED},
        {"key id of 31 bytes", {{bytes_of(first[0].at, 31), first[1]}}, 1, ERR_MALFORMED},
        {"empty signature", {{first[0], {0}}}, 1, ERR_MALFORMED},
        {"signature of 63 bytes", {{first[0], bytes_of(first[1].at, 63)}}, 1, ERR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf b = by_hand(e.type, e.body, t[i].list, t[i].count);
        struct envelope out;
        if (envelope_parse(&out, buf_bytes(&b)) != t[i].expected)
            fail_msg("%s", t[i].name);
        buf_fini(&b);
    }
    buf_fini(&both);
}

static void seventeen_signatures_are_too_many(void **state)
{
    struct buf b = signed_by(ENVELOPE_ROOT, "x", &alice, NULL);
    (void)state;
    for (uint8_t i = 0; i < ENVELOPE_SIGS_MAX; i++) {
        struct sign_key k = key_of((uint8_t)(40 + i));
        struct buf next = {0};
        assert_int_equal(envelope_cosign(&next, buf_bytes(&b), &k),
                         i < ENVELOPE_SIGS_MAX - 1 ? ERR_OK : ERR_LIMIT);
        if (next.len) {
            buf_fini(&b);
            b = next;
        }
    }
    assert_int_equal(judge(buf_bytes(&b), ENVELOPE_ROOT, &alice.pub, 1, 1), ERR_OK);
    buf_fini(&b);
}

static void a_type_is_lower_case_letters(void **state)
{
    static const char *const bad[] = {"",        "2",      "root0",   "root1",    "root02",
                                      "ro2ot",   "Policy", "policy/", "poli\ncy", "policy policy pol",
                                      "\xc3\xa4"};
    struct buf good = signed_by(ENVELOPE_ROOT, "x", &alice, NULL);
    struct envelope e;
    (void)state;
    assert_int_equal(envelope_parse(&e, buf_bytes(&good)), ERR_OK);
    struct bytes sig[1][2] = {{bytes_of(e.sig[0].key, 32), bytes_of(e.sig[0].sig, 64)}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b = by_hand(bytes_str(bad[i]), e.body, sig, 1);
        struct envelope out;
        assert_int_equal(envelope_parse(&out, buf_bytes(&b)), ERR_MALFORMED);
        buf_fini(&b);
    }
    buf_fini(&good);
}

/* How a format gets its next version: who reads the one before says so, and does not call it malformed. */
static void a_later_version_of_a_type_is_told_from_another_type(void **state)
{
    static const char *const newer[] = {"root2", "root9", "root10", "root123"};
    (void)state;
    for (size_t i = 0; i < sizeof newer / sizeof *newer; i++) {
        struct buf b = signed_by(newer[i], "body", &alice, NULL);
        assert_int_equal(judge(buf_bytes(&b), newer[i], &alice.pub, 1, 1), ERR_OK);
        assert_int_equal(judge(buf_bytes(&b), ENVELOPE_ROOT, &alice.pub, 1, 1), ERR_UNSUPPORTED);
        assert_int_equal(judge(buf_bytes(&b), ENVELOPE_PART, &alice.pub, 1, 1), ERR_INVALID);
        buf_fini(&b);
    }
    assert_true(envelope_is_newer(bytes_str("root10"), "root9"));
    assert_false(envelope_is_newer(bytes_str("root9"), "root10"));
    assert_false(envelope_is_newer(bytes_str("root2"), "root2"));
    assert_false(envelope_is_newer(bytes_str("root"), "root2"));
    assert_false(envelope_is_newer(bytes_str("roo2"), "root"));
    assert_false(envelope_is_newer(bytes_str("rooted2"), "root"));
}

/* Whoever adds a type to the header adds it above, and it is tried on all the others below. */
static void no_type_is_left_out_B17(void **state)
{
    char line[256], type[32];
    size_t found = 0;
    (void)state;
    FILE *in = fopen("agent/trust/envelope.h", "r");
    if (!in)
        fail_msg("agent/trust/envelope.h is missing; run tests from the project's folder");
    while (fgets(line, sizeof line, in)) {
        bool is_listed = false;
        if (sscanf(line, "#define ENVELOPE_%*[A-Z] \"%31[a-z]\"", type) != 1)
            continue;
        for (size_t i = 0; i < TYPES; i++)
            is_listed |= strcmp(type_of[i], type) == 0;
        if (!is_listed)
            fail_msg("the type \"%s\" is signed, and not tried on the others", type);
        found++;
    }
    fclose(in);
    assert_int_equal(found, TYPES - 2); /* but for those of a later version */
}

/* One key, one body, every ordered pair of types: relabelled, the signature is no longer good; asked for as
 * another, refused. */
static void a_signature_for_one_type_is_good_for_no_other_B17(void **state)
{
    size_t pairs = 0;
    (void)state;
    for (size_t from = 0; from < TYPES; from++) {
        struct buf b = signed_by(type_of[from], "body", &alice, NULL);
        struct envelope e;
        assert_int_equal(envelope_parse(&e, buf_bytes(&b)), ERR_OK);
        struct bytes sig[1][2] = {{bytes_of(e.sig[0].key, 32), bytes_of(e.sig[0].sig, 64)}};
        for (size_t to = 0; to < TYPES; to++) {
            if (to == from)
                continue;
            struct buf relabelled = by_hand(bytes_str(type_of[to]), e.body, sig, 1);
            assert_int_equal(envelope_verify(&e, type_of[to], &alice.pub, 1, 1),
                             envelope_is_newer(e.type, type_of[to]) ? ERR_UNSUPPORTED : ERR_INVALID);
            assert_int_equal(judge(buf_bytes(&relabelled), type_of[to], &alice.pub, 1, 1), ERR_AUTH);
            buf_fini(&relabelled);
            pairs++;
        }
        buf_fini(&b);
    }
    assert_int_equal(pairs, TYPES * (TYPES - 1));
}

/* The prefix cannot slide: a byte moved from the type to the body or back is another message. */
static void type_and_body_do_not_run_into_each_other_B17(void **state)
{
    struct buf b = signed_by("poli", "cy/v1", &alice, NULL);
    struct envelope e;
    (void)state;
    assert_int_equal(envelope_parse(&e, buf_bytes(&b)), ERR_OK);
    struct bytes sig[1][2] = {{bytes_of(e.sig[0].key, 32), bytes_of(e.sig[0].sig, 64)}};
    struct buf moved = by_hand(bytes_str("policy"), bytes_str("/v1"), sig, 1);
    assert_int_equal(judge(buf_bytes(&moved), "policy", &alice.pub, 1, 1), ERR_AUTH);
    buf_fini(&b);
    buf_fini(&moved);
}

/* The group order L, little-endian (RFC 8032 section 5.1). */
static const uint8_t L[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                              0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};

static void a_signature_with_S_plus_L_is_refused_B18(void **state)
{
    struct buf b = signed_by(ENVELOPE_RECORD, "body", &alice, NULL);
    uint8_t *s = b.at + b.len - 32;
    unsigned carry = 0;
    (void)state;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)s[i] + L[i];
        s[i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(carry, 0);
    assert_int_equal(judge(buf_bytes(&b), ENVELOPE_RECORD, &alice.pub, 1, 1), ERR_AUTH);
    buf_fini(&b);
}

/* With the neutral element as key and R, and S = 0, the plain equation holds for every message. */
static void keys_and_R_of_small_order_are_refused_B18(void **state)
{
    static const struct node_id neutral = {{1}}, not_canonical = {{0xee, [1 ... 30] = 0xff, [31] = 0x7f}};
    static const struct node_id *const key[] = {&neutral, &not_canonical};
    uint8_t sig[64] = {1};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bytes list[1][2] = {{bytes_of(key[i]->b, 32), bytes_of(sig, 64)}};
        struct buf b = by_hand(bytes_str("record"), bytes_str("anything"), list, 1);
        assert_int_equal(judge(buf_bytes(&b), ENVELOPE_RECORD, key[i], 1, 1), ERR_AUTH);
        buf_fini(&b);
    }
    struct bytes list[1][2] = {{bytes_of(alice.pub.b, 32), bytes_of(sig, 64)}};
    struct buf b = by_hand(bytes_str("record"), bytes_str("anything"), list, 1);
    assert_int_equal(judge(buf_bytes(&b), ENVELOPE_RECORD, &alice.pub, 1, 1), ERR_AUTH);
    buf_fini(&b);
}

static void cosigning_what_is_not_an_envelope_is_refused(void **state)
{
    struct buf out = {0};
    (void)state;
    assert_int_equal(envelope_cosign(&out, bytes_str("not an envelope"), &alice), ERR_MALFORMED);
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_what_is_read),
        cmocka_unit_test(signing_is_reproducible),
        cmocka_unit_test(one_bit_changed_anywhere_is_refused_B1),
        cmocka_unit_test(a_stranger_is_not_a_signer_and_an_alteration_is_told_apart_B2),
        cmocka_unit_test(a_threshold_counts_keys_once_B3),
        cmocka_unit_test(signatures_that_are_none_doubled_unsorted_or_short_are_malformed_B3_B4),
        cmocka_unit_test(seventeen_signatures_are_too_many),
        cmocka_unit_test(a_type_is_lower_case_letters),
        cmocka_unit_test(a_later_version_of_a_type_is_told_from_another_type),
        cmocka_unit_test(no_type_is_left_out_B17),
        cmocka_unit_test(a_signature_for_one_type_is_good_for_no_other_B17),
        cmocka_unit_test(type_and_body_do_not_run_into_each_other_B17),
        cmocka_unit_test(a_signature_with_S_plus_L_is_refused_B18),
        cmocka_unit_test(keys_and_R_of_small_order_are_refused_B18),
        cmocka_unit_test(cosigning_what_is_not_an_envelope_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
