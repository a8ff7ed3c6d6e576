/* One direction of records by itself: where the rekey falls, and that both ends must make it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "link/record.h"
#include "noise/prim.h"

/* Two ends of one direction, keyed by a real handshake of nobody in particular. */
struct ends {
    struct record_way tx, rx;
};

static struct ends ends_of(enum noise_cipher cipher)
{
    static const uint8_t initiator[32] = {0x11, 0x11}, responder[32] = {0x22, 0x22};
    struct noise_setup setup = {
        .pattern = &noise_xx, .cipher = cipher, .initiator = true, .s_sec = initiator};
    struct noise_handshake a, b;
    struct ends e = {.tx = {.records = 0}};
    struct noise_cipherstate back_tx, back_rx;
    uint8_t msg[256], none[256];
    size_t len, got;
    assert_int_equal(noise_handshake_init(&a, &setup), ERR_OK);
    setup.initiator = false;
    setup.s_sec = responder;
    assert_int_equal(noise_handshake_init(&b, &setup), ERR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(noise_handshake_write(i % 2 ? &b : &a, bytes_of(NULL, 0), msg, sizeof msg, &len),
                         ERR_OK);
        assert_int_equal(noise_handshake_read(i % 2 ? &a : &b, bytes_of(msg, len), none, sizeof none, &got),
                         ERR_OK);
    }
    noise_handshake_split(&a, &e.tx.cipher, &back_rx);
    noise_handshake_split(&b, &back_tx, &e.rx.cipher);
    return e;
}

static enum err pass(struct ends *e, size_t body_len)
{
    static uint8_t wire[RECORD_OVERHEAD + RECORD_BODY_MAX];
    enum record_type type;
    struct bytes body;
    memset(wire + RECORD_HEAD_BYTES, 'x', body_len);
    assert_int_equal(record_seal(&e->tx, wire, RECORD_DATA, body_len), ERR_OK);
    assert_int_equal(load_be16(wire), body_len + 17);
    enum err err = record_open(&e->rx, wire + 2, bytes_of(wire + 2, load_be16(wire)), &type, &body);
    if (err == ERR_OK)
        assert_true(type == RECORD_DATA && body.len == body_len &&
                    (body_len == 0 || body.at[body_len - 1] == 'x'));
    return err;
}

static void both_ends_rekey_after_so_many_records(void **state)
{
    (void)state;
    struct ends e = ends_of(NOISE_CHACHAPOLY);
    uint8_t first[32];
    memcpy(first, e.tx.cipher.key, 32);
    for (int i = 0; i < RECORD_REKEY_RECORDS - 1; i++)
        assert_int_equal(pass(&e, 1), ERR_OK);
    assert_memory_equal(e.tx.cipher.key, first, 32);
    assert_int_equal(pass(&e, 1), ERR_OK);
    assert_memory_not_equal(e.tx.cipher.key, first, 32);
    assert_memory_equal(e.tx.cipher.key, e.rx.cipher.key, 32);
    assert_int_equal(e.tx.cipher.n, RECORD_REKEY_RECORDS); /* the number goes on */
    assert_int_equal(pass(&e, 1), ERR_OK);
}

static void both_ends_rekey_after_so_many_bytes(void **state)
{
    (void)state;
    for (int cipher = NOISE_CHACHAPOLY; cipher <= NOISE_AESGCM; cipher++) {
        if (!noise_cipher_is_available((enum noise_cipher)cipher))
            continue;
        struct ends e = ends_of((enum noise_cipher)cipher);
        uint8_t first[32];
        memcpy(first, e.tx.cipher.key, 32);
        e.tx.bytes = e.rx.bytes = RECORD_REKEY_BYTES - 2 * (1000 + 17);
        assert_int_equal(pass(&e, 1000), ERR_OK);
        assert_memory_equal(e.tx.cipher.key, first, 32);
        assert_int_equal(pass(&e, 1000), ERR_OK);
        assert_memory_not_equal(e.tx.cipher.key, first, 32);
        assert_true(e.tx.bytes == 0 && e.rx.bytes == 0);
        assert_int_equal(pass(&e, RECORD_BODY_MAX), ERR_OK);
    }
}

static void n8_a_rekey_of_one_end_alone_fails_at_the_next_record(void **state)
{
    (void)state;
    struct ends e = ends_of(NOISE_CHACHAPOLY);
    e.tx.records = RECORD_REKEY_RECORDS - 1;
    assert_int_equal(pass(&e, 10), ERR_OK);
    assert_int_equal(pass(&e, 10), ERR_AUTH);
}

static void an_unknown_type_is_malformed(void **state)
{
    (void)state;
    struct ends e = ends_of(NOISE_CHACHAPOLY);
    for (int t = 0; t < 256; t++) {
        uint8_t wire[RECORD_OVERHEAD];
        enum record_type type;
        struct bytes body;
        bool known = t >= RECORD_DATA && t <= RECORD_REFUSAL;
        assert_int_equal(record_seal(&e.tx, wire, (enum record_type)t, 0), ERR_OK);
        assert_int_equal(record_open(&e.rx, wire + 2, bytes_of(wire + 2, 17), &type, &body),
                         known ? ERR_OK : ERR_MALFORMED);
    }
}

static void opening_into_another_buffer_leaves_the_sealed_bytes(void **state)
{
    (void)state;
    struct ends e = ends_of(NOISE_CHACHAPOLY);
    uint8_t wire[RECORD_OVERHEAD + 5], kept[sizeof wire], out[sizeof wire];
    enum record_type type;
    struct bytes body;
    memcpy(wire + RECORD_HEAD_BYTES, "hello", 5);
    assert_int_equal(record_seal(&e.tx, wire, RECORD_DATA, 5), ERR_OK);
    memcpy(kept, wire, sizeof wire);
    assert_int_equal(record_open(&e.rx, out, bytes_of(wire + 2, sizeof wire - 2), &type, &body), ERR_OK);
    assert_true(bytes_eq_str(body, "hello") && body.at == out + 1);
    assert_memory_equal(kept, wire, sizeof wire);
}

static void a_direction_that_is_used_up_seals_no_more(void **state)
{
    (void)state;
    struct ends e = ends_of(NOISE_CHACHAPOLY);
    uint8_t wire[RECORD_OVERHEAD];
    e.tx.cipher.n = UINT64_MAX;
    assert_int_equal(record_seal(&e.tx, wire, RECORD_DATA, 0), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_rekey_after_so_many_records),
        cmocka_unit_test(both_ends_rekey_after_so_many_bytes),
        cmocka_unit_test(n8_a_rekey_of_one_end_alone_fails_at_the_next_record),
        cmocka_unit_test(an_unknown_type_is_malformed),
        cmocka_unit_test(opening_into_another_buffer_leaves_the_sealed_bytes),
        cmocka_unit_test(a_direction_that_is_used_up_seals_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
