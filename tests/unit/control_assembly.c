/* Messages put together from records, wherever they are cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "control/assembly.h"

static struct assembly a;

static int clear(void **state)
{
    (void)state;
    assembly_fini(&a);
    return 0;
}

static struct bytes message_of(struct buf *b, size_t len)
{
    buf_fini(b);
    uint8_t *at = buf_reserve(b, len);
    assert_non_null(at);
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(i * 7 + len);
    b->len = len;
    return buf_bytes(b);
}

static void wherever_it_is_cut_the_messages_come_whole(void **state)
{
    (void)state;
    static const size_t len[] = {1, 4, 300, 5};
    struct buf wire = {0}, m = {0};
    for (size_t i = 0; i < 4; i++)
        assembly_put(&wire, message_of(&m, len[i]));
    for (size_t piece = 1; piece <= wire.len; piece++) {
        size_t got = 0;
        for (size_t at = 0; at < wire.len; at += piece) {
            size_t n = wire.len - at < piece ? wire.len - at : piece;
            struct bytes message;
            enum err e = assembly_feed(&a, bytes_of(wire.at + at, n));
            while (e == ERR_OK && (e = assembly_poll(&a, &message)) == ERR_OK)
                assert_true(bytes_eq(message, message_of(&m, len[got++])));
            assert_int_equal(e, ERR_AGAIN);
        }
        assert_int_equal(got, 4);
    }
    buf_fini(&wire);
    buf_fini(&m);
}

static void the_largest_message_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    struct buf wire = {0}, m = {0};
    struct bytes message;
    uint8_t length[ASSEMBLY_LENGTH_BYTES];
    assembly_put(&wire, message_of(&m, GOSSIP_BULK_MAX));
    assert_int_equal(assembly_feed(&a, buf_bytes(&wire)), ERR_OK);
    assert_int_equal(assembly_poll(&a, &message), ERR_OK);
    assert_int_equal(message.len, GOSSIP_BULK_MAX);
    store_be32(length, GOSSIP_BULK_MAX + 1);
    assert_int_equal(assembly_feed(&a, bytes_of(length, sizeof length)), ERR_OK);
    assert_int_equal(assembly_poll(&a, &message), ERR_MALFORMED); /* before a byte of it was taken */
    buf_fini(&wire);
    buf_fini(&m);
}

static void an_empty_message_is_malformed(void **state)
{
    (void)state;
    struct bytes message;
    assert_int_equal(assembly_feed(&a, bytes_of("\0\0\0\0", 4)), ERR_OK);
    assert_int_equal(assembly_poll(&a, &message), ERR_MALFORMED);
}

static void a_length_alone_costs_its_four_bytes(void **state)
{
    (void)state;
    struct bytes message;
    assert_int_equal(assembly_feed(&a, bytes_of("\0\x10\0\0", 4)), ERR_OK);
    assert_int_equal(assembly_poll(&a, &message), ERR_AGAIN);
    assert_true(a.bytes.cap <= 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(wherever_it_is_cut_the_messages_come_whole, clear),
        cmocka_unit_test_teardown(the_largest_message_passes_and_one_byte_more_does_not, clear),
        cmocka_unit_test_teardown(an_empty_message_is_malformed, clear),
        cmocka_unit_test_teardown(a_length_alone_costs_its_four_bytes, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
