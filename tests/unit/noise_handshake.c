/* Handshakes under attack: bent, cut, extended, reflected, and spoken by a peer whose keys are of small
 * order. The source is included so that the hostile peer can mix what an honest one never would. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "noise/handshake.c"

#include "base/id.h"

enum { OUT_MAX = 512, EXTEND_MAX = 64 };

static uint8_t alice_s[32], alice_pub[32], bob_s[32], bob_pub[32];

static int make_keys(void **state)
{
    (void)state;
    memset(alice_s, 0x11, 32);
    memset(bob_s, 0x22, 32);
    prim_dh_public(alice_pub, alice_s);
    prim_dh_public(bob_pub, bob_s);
    return prim_init() == ERR_OK ? 0 : -1;
}

static struct noise_setup setup_of(const struct noise_pattern *p, bool initiator)
{
    return (struct noise_setup){
        .pattern = p,
        .initiator = initiator,
        .prologue = bytes_str("mesh"),
        .s_sec = initiator ? alice_s : bob_s,
        .rs = initiator && p->pre_rs ? bob_pub : NULL,
    };
}

struct two {
    struct noise_handshake a, b;
};

static struct two two_of(const struct noise_pattern *p)
{
    struct two t;
    struct noise_setup a = setup_of(p, true), b = setup_of(p, false);
    assert_int_equal(noise_handshake_init(&t.a, &a), ERR_OK);
    assert_int_equal(noise_handshake_init(&t.b, &b), ERR_OK);
    return t;
}

/* What is done to message `message` on its way: its bit `flip` is bent, it is cut by `cut`, it grows by
 * `grow` zero bytes. */
struct harm {
    int message, flip;
    size_t cut, grow;
};

/* The harmed bytes in a heap block of exactly their size, so that a read past their end is seen by ASan. */
static enum err deliver(struct noise_handshake *to, const uint8_t *msg, size_t len, const struct harm *h)
{
    uint8_t payload[OUT_MAX], *wire = calloc(1, len + EXTEND_MAX + 1);
    assert_non_null(wire);
    memcpy(wire, msg, len - h->cut);
    if (h->flip >= 0)
        wire[h->flip / 8] ^= (uint8_t)(1u << (h->flip % 8));
    wire = realloc(wire, len - h->cut + h->grow + !(len - h->cut + h->grow));
    assert_non_null(wire);
    enum err e =
        noise_handshake_read(to, bytes_of(wire, len - h->cut + h->grow), payload, sizeof payload, &len);
    free(wire);
    return e;
}

/* Runs a handshake with empty payloads under one harm; true if both sides completed it. */
static bool completes(const struct noise_pattern *p, const struct harm *h)
{
    static const struct harm none = {.message = -1, .flip = -1};
    struct two t = two_of(p);
    uint8_t msg[OUT_MAX];
    size_t len;
    enum err e = ERR_OK;
    for (int m = 0; m < p->message_count && e == ERR_OK; m++) {
        e = noise_handshake_write(m % 2 ? &t.b : &t.a, bytes_of(NULL, 0), msg, sizeof msg, &len);
        if (e == ERR_OK)
            e = deliver(m % 2 ? &t.a : &t.b, msg, len, m == h->message ? h : &none);
    }
    assert_int_equal(e == ERR_OK, t.a.done && t.b.done);
    return e == ERR_OK;
}

static const struct noise_pattern *const shipped[] = {&noise_xx, &noise_ik};
static const size_t message_bytes[2][3] = {{32, 96, 64}, {96, 48, 0}};

static void unharmed_handshakes_complete(void **state)
{
    (void)state;
    const struct harm none = {.message = -1, .flip = -1};
    for (int i = 0; i < 2; i++)
        assert_true(completes(shipped[i], &none));
}

static void n3_no_handshake_completes_with_a_flipped_bit(void **state)
{
    (void)state;
    int flips[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        for (int m = 0; m < 3; m++) {
            for (int bit = 0; bit < (int)message_bytes[i][m] * 8; bit++, flips[i]++) {
                struct harm h = {.message = m, .flip = bit};
                assert_false(completes(shipped[i], &h));
            }
        }
    }
    assert_true(flips[0] == 1536 && flips[1] == 1152);
}

static void n4_no_handshake_completes_with_a_cut_message(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        for (int m = 0; m < 3; m++) {
            for (size_t cut = 1; cut <= message_bytes[i][m]; cut++) {
                struct harm h = {.message = m, .flip = -1, .cut = cut};
                assert_false(completes(shipped[i], &h));
            }
        }
    }
}

static void n4_no_handshake_completes_with_an_extended_message(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        for (int m = 0; m < shipped[i]->message_count; m++) {
            for (size_t grow = 1; grow <= EXTEND_MAX; grow++) {
                struct harm h = {.message = m, .flip = -1, .grow = grow};
                assert_false(completes(shipped[i], &h));
            }
        }
    }
}

static void n9_another_prologue_fails_at_the_first_aead(void **state)
{
    (void)state;
    uint8_t msg[OUT_MAX], payload[OUT_MAX];
    size_t len;
    struct two xx = two_of(&noise_xx), ik = two_of(&noise_ik);
    struct noise_setup other = setup_of(&noise_xx, false);
    other.prologue = bytes_str("mesi");
    assert_int_equal(noise_handshake_init(&xx.b, &other), ERR_OK);
    assert_int_equal(noise_handshake_write(&xx.a, bytes_of(NULL, 0), msg, sizeof msg, &len), ERR_OK);
    assert_int_equal(noise_handshake_read(&xx.b, bytes_of(msg, len), payload, sizeof payload, &len), ERR_OK);
    assert_int_equal(noise_handshake_write(&xx.b, bytes_of(NULL, 0), msg, sizeof msg, &len), ERR_OK);
    assert_int_equal(noise_handshake_read(&xx.a, bytes_of(msg, len), payload, sizeof payload, &len),
                     ERR_AUTH);

    other.pattern = &noise_ik;
    assert_int_equal(noise_handshake_init(&ik.b, &other), ERR_OK);
    assert_int_equal(noise_handshake_write(&ik.a, bytes_of(NULL, 0), msg, sizeof msg, &len), ERR_OK);
    assert_int_equal(noise_handshake_read(&ik.b, bytes_of(msg, len), payload, sizeof payload, &len),
                     ERR_AUTH);
}

/* All points of small order, with the spellings that are not reduced: 0, 1, the two of order 8, p-1, p, p+1.
 */
static const char *const small_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};
enum { SMALL_COUNT = sizeof small_order / sizeof *small_order };

/* A peer that shows public keys of small order and knows that every DH with them is zero. */
struct hostile {
    struct noise_handshake *hs;
    uint8_t key[32];
    bool bad_e, bad_s;
};

static bool is_zero_dh(const struct hostile *h, uint8_t token)
{
    bool mine_is_s = token == NOISE_SS || token == (h->hs->initiator ? NOISE_SE : NOISE_ES);
    return mine_is_s ? h->bad_s : h->bad_e;
}

static size_t hostile_write(struct hostile *h, uint8_t *out)
{
    static const uint8_t zero[32];
    struct noise_handshake *hs = h->hs;
    uint8_t *at = out;
    for (const uint8_t *t = hs->pattern->message[hs->step]; *t != NOISE_END; t++) {
        if (*t == NOISE_E && h->bad_e) {
            memcpy(at, h->key, 32);
            mix_e(hs, at);
            at += 32;
        } else if (*t == NOISE_E) {
            at = write_e(hs, at);
        } else if (*t == NOISE_S) {
            at += encrypt_and_hash(hs, at, bytes_of(h->bad_s ? h->key : hs->s_pub, 32));
        } else if (is_zero_dh(h, *t)) {
            mix_key(hs, bytes_of(zero, 32));
        } else {
            assert_true(mix_dh_token(hs, *t));
        }
    }
    at += encrypt_and_hash(hs, at, bytes_of(NULL, 0));
    step_done(hs);
    return (size_t)(at - out);
}

/* The victim's verdict on a hostile initiator or responder: the first error it gives. */
static enum err meets_hostile(const struct noise_pattern *p, bool hostile_initiates, const char *key,
                              bool bad_e, bool bad_s)
{
    struct two t = two_of(p);
    struct hostile h = {.hs = hostile_initiates ? &t.a : &t.b, .bad_e = bad_e, .bad_s = bad_s};
    struct noise_handshake *victim = hostile_initiates ? &t.b : &t.a;
    uint8_t msg[OUT_MAX], payload[OUT_MAX];
    size_t len;
    assert_true(hex_decode(key, 64, h.key, 32));
    for (int m = 0; m < p->message_count; m++) {
        enum err e;
        if ((m % 2 == 0) == hostile_initiates) {
            len = hostile_write(&h, msg);
            e = noise_handshake_read(victim, bytes_of(msg, len), payload, sizeof payload, &len);
        } else {
            e = noise_handshake_write(victim, bytes_of(NULL, 0), msg, sizeof msg, &len);
            if (e == ERR_OK)
                assert_int_equal(
                    noise_handshake_read(h.hs, bytes_of(msg, len), payload, sizeof payload, &len), ERR_OK);
        }
        if (e != ERR_OK) {
            assert_true(victim->failed && !victim->done);
            return e;
        }
    }
    return ERR_OK;
}

static void the_hostile_peer_is_let_in_when_its_keys_are_sound(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        for (int initiates = 0; initiates < 2; initiates++)
            assert_int_equal(meets_hostile(shipped[i], initiates, small_order[0], false, false), ERR_OK);
}

static void n13_small_order_keys_are_refused_in_every_place(void **state)
{
    (void)state;
    int refused = 0;
    for (int k = 0; k < SMALL_COUNT; k++) {
        for (int i = 0; i < 2; i++) {
            for (int initiates = 0; initiates < 2; initiates++) {
                for (int what = 1; what < 4; what++) {
                    /* A responder's s in IK is known before: see n14. */
                    if (i == 1 && !initiates && what != 1)
                        continue;
                    enum err e = meets_hostile(shipped[i], initiates, small_order[k], what & 1, what & 2);
                    assert_int_equal(e, ERR_MALFORMED);
                    refused++;
                }
            }
        }
    }
    assert_int_equal(refused, SMALL_COUNT * 10);
}

static void n14_a_small_order_remote_key_is_refused_at_init(void **state)
{
    (void)state;
    for (int k = 0; k < SMALL_COUNT; k++) {
        struct noise_handshake hs;
        uint8_t rs[32];
        struct noise_setup s = setup_of(&noise_ik, true);
        assert_true(hex_decode(small_order[k], 64, rs, 32));
        s.rs = rs;
        assert_int_equal(noise_handshake_init(&hs, &s), ERR_INVALID);
    }
}

static void n16_our_own_static_key_is_nobody_elses(void **state)
{
    (void)state;
    struct noise_handshake hs;
    struct noise_setup s = setup_of(&noise_ik, true);
    s.rs = alice_pub;
    assert_int_equal(noise_handshake_init(&hs, &s), ERR_INVALID);

    struct two t = two_of(&noise_xx);
    struct noise_setup self = setup_of(&noise_xx, false);
    uint8_t msg[OUT_MAX], payload[OUT_MAX];
    size_t len;
    self.s_sec = alice_s;
    assert_int_equal(noise_handshake_init(&t.b, &self), ERR_OK);
    assert_int_equal(noise_handshake_write(&t.a, bytes_of(NULL, 0), msg, sizeof msg, &len), ERR_OK);
    assert_int_equal(noise_handshake_read(&t.b, bytes_of(msg, len), payload, sizeof payload, &len), ERR_OK);
    assert_int_equal(noise_handshake_write(&t.b, bytes_of(NULL, 0), msg, sizeof msg, &len), ERR_OK);
    assert_int_equal(noise_handshake_read(&t.a, bytes_of(msg, len), payload, sizeof payload, &len), ERR_AUTH);
}

static void n16_our_first_message_sent_back_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        uint8_t msg[OUT_MAX] = {0}, payload[OUT_MAX];
        size_t len;
        struct two t = two_of(shipped[i]);
        assert_int_equal(noise_handshake_write(&t.a, bytes_of(NULL, 0), msg, sizeof msg, &len), ERR_OK);
        /* XX's first message is shorter than its second: the rest is made up. */
        assert_int_equal(noise_handshake_read(&t.a, bytes_of(msg, 96), payload, sizeof payload, &len),
                         ERR_AUTH);
    }
}

static void n16_our_own_ephemeral_is_nobody_elses(void **state)
{
    (void)state;
    static const uint8_t e[32] = {0x33, 0x33}, other_e[32] = {0x44, 0x44};
    for (int same = 0; same < 2; same++) {
        struct two t = two_of(&noise_xx);
        struct noise_setup a = setup_of(&noise_xx, true), b = setup_of(&noise_xx, false);
        uint8_t msg[OUT_MAX], payload[OUT_MAX];
        size_t len;
        a.e_sec = e;
        b.e_sec = same ? e : other_e;
        assert_int_equal(noise_handshake_init(&t.a, &a), ERR_OK);
        assert_int_equal(noise_handshake_init(&t.b, &b), ERR_OK);
        assert_int_equal(noise_handshake_write(&t.a, bytes_of(NULL, 0), msg, sizeof msg, &len), ERR_OK);
        assert_int_equal(noise_handshake_read(&t.b, bytes_of(msg, len), payload, sizeof payload, &len),
                         ERR_OK);
        assert_int_equal(noise_handshake_write(&t.b, bytes_of(NULL, 0), msg, sizeof msg, &len), ERR_OK);
        enum err verdict = noise_handshake_read(&t.a, bytes_of(msg, len), payload, sizeof payload, &len);
        assert_int_equal(verdict, same ? ERR_AUTH : ERR_OK);
    }
}

/* To done, with payloads of so many bytes from each side. */
static void complete(struct two *t, size_t payload_len)
{
    uint8_t msg[OUT_MAX], text[OUT_MAX] = {0}, payload[OUT_MAX];
    size_t len, got;
    for (int m = 0; !t->a.done || !t->b.done; m++) {
        struct noise_handshake *from = m % 2 ? &t->b : &t->a, *to = m % 2 ? &t->a : &t->b;
        memset(text, 'a' + m, payload_len);
        assert_true(noise_handshake_is_my_turn(from) && !noise_handshake_is_my_turn(to));
        assert_int_equal(noise_handshake_write(from, bytes_of(text, payload_len), msg, sizeof msg, &len),
                         ERR_OK);
        assert_int_equal(noise_handshake_read(to, bytes_of(msg, len), payload, sizeof payload, &got), ERR_OK);
        assert_true(got == payload_len && memcmp(payload, text, got) == 0);
    }
}

static void n16_our_own_transport_messages_are_refused(void **state)
{
    (void)state;
    struct two t = two_of(&noise_ik);
    struct noise_cipherstate tx, rx;
    uint8_t text[16 + NOISE_TAG_BYTES] = {0};
    size_t len;
    complete(&t, 0);
    noise_handshake_split(&t.a, &tx, &rx);
    assert_int_equal(noise_seal(&tx, text, 16, bytes_of(NULL, 0)), ERR_OK);
    assert_int_equal(noise_open(&rx, text, sizeof text, bytes_of(NULL, 0), &len), ERR_AUTH);
}

static void payloads_pass_and_both_sides_know_each_other(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct two t = two_of(shipped[i]);
        complete(&t, 100);
        assert_memory_equal(t.a.rs, bob_pub, 32);
        assert_memory_equal(t.b.rs, alice_pub, 32);
        assert_memory_equal(t.a.h, t.b.h, 32);
        assert_memory_not_equal(t.a.h, t.a.ck, 32);
    }
}

static void two_handshakes_share_no_ephemeral(void **state)
{
    (void)state;
    struct two first = two_of(&noise_xx), second = two_of(&noise_xx);
    complete(&first, 0);
    complete(&second, 0);
    assert_memory_not_equal(first.a.e_pub, second.a.e_pub, 32);
    assert_memory_not_equal(first.b.e_pub, second.b.e_pub, 32);
    assert_memory_not_equal(first.a.h, second.a.h, 32);
}

static void a_message_that_does_not_fit_leaves_the_handshake_as_it_was(void **state)
{
    (void)state;
    static uint8_t big[NOISE_MESSAGE_MAX + 1], msg[NOISE_MESSAGE_MAX + 1];
    uint8_t payload[OUT_MAX];
    size_t len;
    struct two t = two_of(&noise_ik);
    assert_int_equal(noise_handshake_write(&t.a, bytes_of(big, 10), msg, 105, &len), ERR_LIMIT);
    assert_int_equal(noise_handshake_write(&t.a, bytes_of(big, 65440), msg, sizeof msg, &len), ERR_LIMIT);
    assert_int_equal(noise_handshake_write(&t.a, bytes_of(big, 10), msg, 106, &len), ERR_OK);
    assert_int_equal(noise_handshake_read(&t.b, bytes_of(msg, len), payload, 9, &len), ERR_LIMIT);
    assert_int_equal(noise_handshake_read(&t.b, bytes_of(msg, 106), payload, 10, &len), ERR_OK);
    complete(&(struct two){.a = t.b, .b = t.a}, 10);
}

static void the_longest_message_passes_and_a_longer_one_is_malformed(void **state)
{
    (void)state;
    static uint8_t text[NOISE_MESSAGE_MAX], msg[NOISE_MESSAGE_MAX + 1], payload[NOISE_MESSAGE_MAX];
    size_t len, got;
    struct two t = two_of(&noise_ik);
    assert_int_equal(noise_handshake_write(&t.a, bytes_of(text, 65439), msg, sizeof msg, &len), ERR_OK);
    assert_int_equal(len, NOISE_MESSAGE_MAX);
    struct noise_handshake again = t.b;
    assert_int_equal(noise_handshake_read(&t.b, bytes_of(msg, len), payload, sizeof payload, &got), ERR_OK);
    assert_int_equal(got, 65439);
    assert_int_equal(noise_handshake_read(&again, bytes_of(msg, len + 1), payload, sizeof payload, &got),
                     ERR_MALFORMED);
}

static void a_missing_key_is_told_at_init(void **state)
{
    (void)state;
    struct noise_handshake hs;
    struct noise_pattern psk = noise_xx;
    struct noise_setup s = setup_of(&noise_ik, true);
    s.rs = NULL;
    assert_int_equal(noise_handshake_init(&hs, &s), ERR_INVALID);
    s = setup_of(&noise_ik, false);
    s.s_sec = NULL;
    assert_int_equal(noise_handshake_init(&hs, &s), ERR_INVALID);
    s = setup_of(&noise_xx, true);
    s.s_sec = NULL;
    assert_int_equal(noise_handshake_init(&hs, &s), ERR_INVALID);
    psk.psk = true;
    s = setup_of(&psk, true);
    assert_int_equal(noise_handshake_init(&hs, &s), ERR_INVALID);
}

static bool holds(const void *where, size_t len, const uint8_t secret[32])
{
    return memmem(where, len, secret, 32) != NULL;
}

static void secrets_are_gone_after_split_fini_and_failure(void **state)
{
    (void)state;
    struct two t = two_of(&noise_xx);
    struct noise_cipherstate tx, rx;
    uint8_t e_sec[32], ck[32], h[32], junk[200] = {0}, payload[OUT_MAX];
    size_t len;
    complete(&t, 0);
    memcpy(e_sec, t.a.e_sec, 32);
    memcpy(ck, t.a.ck, 32);
    memcpy(h, t.a.h, 32);
    noise_handshake_split(&t.a, &tx, &rx);
    assert_false(holds(&t.a, sizeof t.a, e_sec) || holds(&t.a, sizeof t.a, ck) ||
                 holds(&t.a, sizeof t.a, alice_s));
    assert_true(holds(&t.a, sizeof t.a, h) && memcmp(t.a.rs, bob_pub, 32) == 0);
    noise_handshake_fini(&t.b);
    assert_true(prim_is_zero(&t.b, sizeof t.b));
    noise_cipherstate_fini(&tx);
    assert_true(prim_is_zero(&tx, sizeof tx));
    t = two_of(&noise_ik);
    assert_int_equal(noise_handshake_read(&t.b, bytes_of(junk, 200), payload, sizeof payload, &len),
                     ERR_MALFORMED);
    assert_true(t.b.failed && !holds(&t.b, sizeof t.b, bob_s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unharmed_handshakes_complete),
        cmocka_unit_test(n3_no_handshake_completes_with_a_flipped_bit),
        cmocka_unit_test(n4_no_handshake_completes_with_a_cut_message),
        cmocka_unit_test(n4_no_handshake_completes_with_an_extended_message),
        cmocka_unit_test(n9_another_prologue_fails_at_the_first_aead),
        cmocka_unit_test(the_hostile_peer_is_let_in_when_its_keys_are_sound),
        cmocka_unit_test(n13_small_order_keys_are_refused_in_every_place),
        cmocka_unit_test(n14_a_small_order_remote_key_is_refused_at_init),
        cmocka_unit_test(n16_our_own_static_key_is_nobody_elses),
        cmocka_unit_test(n16_our_first_message_sent_back_is_refused),
        cmocka_unit_test(n16_our_own_ephemeral_is_nobody_elses),
        cmocka_unit_test(n16_our_own_transport_messages_are_refused),
        cmocka_unit_test(payloads_pass_and_both_sides_know_each_other),
        cmocka_unit_test(two_handshakes_share_no_ephemeral),
        cmocka_unit_test(a_message_that_does_not_fit_leaves_the_handshake_as_it_was),
        cmocka_unit_test(the_longest_message_passes_and_a_longer_one_is_malformed),
        cmocka_unit_test(a_missing_key_is_told_at_init),
        cmocka_unit_test(secrets_are_gone_after_split_fini_and_failure),
    };
    return cmocka_run_group_tests(tests, make_keys, NULL);
}
