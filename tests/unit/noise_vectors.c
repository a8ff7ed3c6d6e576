/* ADVERSARY N1: known answers, both roles, handshake hash and transport, byte for byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/id.h"
#include "noise/noise.h"
#include "tests/vectors/noise_patterns.h"

enum { TEXT_MAX = 512, MESSAGES_MAX = 6 };

struct vector {
    const char *source, *pattern;
    enum noise_cipher cipher;
    const char *prologue, *psk, *init_s, *init_rs, *init_e, *resp_s, *resp_rs, *resp_e, *hash;
    struct {
        const char *payload, *wire;
    } message[MESSAGES_MAX];
};

static const struct vector vectors[] = {
#include "tests/vectors/noise_25519_sha256.inc"
};
enum { VECTOR_COUNT = sizeof vectors / sizeof *vectors };

struct blob {
    uint8_t at[TEXT_MAX];
    size_t len;
};

static const uint8_t *unhex(struct blob *b, const char *hex)
{
    if (!hex)
        return NULL;
    b->len = strlen(hex) / 2;
    assert_true(b->len <= sizeof b->at && hex_decode(hex, strlen(hex), b->at, b->len));
    return b->at;
}

static struct noise_handshake handshake_of(const struct vector *v, const struct noise_pattern *p,
                                           bool initiator)
{
    struct blob prologue = {.len = 0}, psk, s, rs, e;
    struct noise_setup setup = {
        .pattern = p,
        .cipher = v->cipher,
        .initiator = initiator,
        .psk = unhex(&psk, v->psk),
        .s_sec = unhex(&s, initiator ? v->init_s : v->resp_s),
        .rs = unhex(&rs, initiator ? v->init_rs : v->resp_rs),
        .e_sec = unhex(&e, initiator ? v->init_e : v->resp_e),
    };
    unhex(&prologue, v->prologue);
    setup.prologue = bytes_of(prologue.at, prologue.len);
    struct noise_handshake hs;
    assert_int_equal(noise_handshake_init(&hs, &setup), ERR_OK);
    return hs;
}

static void assert_same(const struct blob *want, const uint8_t *got, size_t got_len)
{
    assert_int_equal(got_len, want->len);
    assert_memory_equal(got, want->at, want->len);
}

static void check_handshake_message(struct noise_handshake *from, struct noise_handshake *to,
                                    const struct blob *payload, const struct blob *wire)
{
    uint8_t out[TEXT_MAX], back[TEXT_MAX];
    size_t len;
    assert_true(noise_handshake_is_my_turn(from) && !noise_handshake_is_my_turn(to));
    assert_int_equal(noise_handshake_overhead(from), wire->len - payload->len);
    assert_int_equal(noise_handshake_write(from, bytes_of(payload->at, payload->len), out, sizeof out, &len),
                     ERR_OK);
    assert_same(wire, out, len);
    assert_int_equal(noise_handshake_read(to, bytes_of(wire->at, wire->len), back, sizeof back, &len),
                     ERR_OK);
    assert_same(payload, back, len);
}

static void check_transport_message(struct noise_cipherstate *tx, struct noise_cipherstate *rx,
                                    const struct blob *payload, const struct blob *wire)
{
    uint8_t text[TEXT_MAX];
    size_t len;
    memcpy(text, payload->at, payload->len);
    assert_int_equal(noise_seal(tx, text, payload->len, bytes_of(NULL, 0)), ERR_OK);
    assert_same(wire, text, payload->len + NOISE_TAG_BYTES);
    assert_int_equal(noise_open(rx, text, wire->len, bytes_of(NULL, 0), &len), ERR_OK);
    assert_same(payload, text, len);
}

static void check_hash(const struct vector *v, const struct noise_handshake *a,
                       const struct noise_handshake *b)
{
    struct blob want;
    assert_memory_equal(a->h, b->h, 32);
    if (unhex(&want, v->hash))
        assert_same(&want, a->h, sizeof a->h);
}

static void check_vector(const struct vector *v)
{
    struct noise_pattern p;
    struct blob payload, wire;
    struct noise_cipherstate tx[2], rx[2];
    assert_true(pattern_named(&p, v->pattern));
    struct noise_handshake hs[2] = {handshake_of(v, &p, true), handshake_of(v, &p, false)};
    int i = 0;
    for (; i < p.message_count; i++) {
        unhex(&payload, v->message[i].payload);
        unhex(&wire, v->message[i].wire);
        check_handshake_message(&hs[i % 2], &hs[1 - i % 2], &payload, &wire);
    }
    assert_true(hs[0].done && hs[1].done);
    check_hash(v, &hs[0], &hs[1]);
    for (int side = 0; side < 2; side++)
        noise_handshake_split(&hs[side], &tx[side], &rx[side]);
    check_hash(v, &hs[0], &hs[1]);
    for (; i < MESSAGES_MAX && v->message[i].wire; i++) {
        int from = p.one_way ? 0 : i % 2;
        unhex(&payload, v->message[i].payload);
        unhex(&wire, v->message[i].wire);
        check_transport_message(&tx[from], &rx[1 - from], &payload, &wire);
    }
    assert_true(i > p.message_count);
}

static size_t check_suite(enum noise_cipher cipher)
{
    size_t n = 0;
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        if (vectors[i].cipher != cipher)
            continue;
        print_message("%s %s\n", vectors[i].source, vectors[i].pattern);
        check_vector(&vectors[i]);
        n++;
    }
    return n;
}

static void n1_public_vectors_of_chachapoly(void **state)
{
    (void)state;
    assert_int_equal(check_suite(NOISE_CHACHAPOLY), VECTOR_COUNT / 2);
}

static void n1_public_vectors_of_aesgcm(void **state)
{
    (void)state;
    if (!noise_cipher_is_available(NOISE_AESGCM))
        skip();
    assert_int_equal(check_suite(NOISE_AESGCM), VECTOR_COUNT / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(n1_public_vectors_of_chachapoly),
        cmocka_unit_test(n1_public_vectors_of_aesgcm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
