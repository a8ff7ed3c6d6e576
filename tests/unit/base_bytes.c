/* The cursors: an overrun is remembered, gives zeros, and is asked for once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/id.h"

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t space[64], copy[3];
    struct wr w = wr_init(space, sizeof space);
    wr_u8(&w, 0xab);
    wr_be16(&w, 0x0102);
    wr_be32(&w, 0x03040506);
    wr_be64(&w, 0x0708090a0b0c0d0e);
    wr_lv16(&w, bytes_str("hello"));
    wr_bytes(&w, "xyz", 3);
    assert_true(wr_ok(&w));
    static const uint8_t wire[] = {0xab, 1,  2, 3, 4,   5,   6,   7,   8,   9,   10,  11, 12,
                                   13,   14, 0, 5, 'h', 'e', 'l', 'l', 'o', 'x', 'y', 'z'};
    assert_int_equal(wr_len(&w), sizeof wire);
    assert_memory_equal(space, wire, sizeof wire);

    struct rd r = rd_init(wr_done(&w));
    assert_int_equal(rd_u8(&r), 0xab);
    assert_int_equal(rd_be16(&r), 0x0102);
    assert_int_equal(rd_be32(&r), 0x03040506);
    assert_true(rd_be64(&r) == 0x0708090a0b0c0d0e);
    assert_true(bytes_eq_str(rd_lv16(&r), "hello"));
    assert_false(rd_done(&r)); /* three are left */
    rd_copy(&r, copy, 3);
    assert_memory_equal(copy, "xyz", 3);
    assert_true(rd_done(&r));
}

static void every_cut_is_an_overrun_and_reads_as_zero(void **state)
{
    (void)state;
    static const uint8_t wire[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    for (size_t n = 0; n < sizeof wire; n++) {
        struct rd r = rd_init(bytes_of(wire, n));
        assert_true(rd_be64(&r) == 0);
        assert_false(rd_ok(&r));
        uint8_t out[2] = {1, 1};
        assert_int_equal(rd_u8(&r), 0); /* also where a byte would be left */
        rd_copy(&r, out, 2);
        assert_int_equal(out[0] | out[1], 0);
        assert_null(rd_bytes(&r, 0).at);
        assert_false(rd_done(&r));
    }
}

static void a_length_beyond_the_end_is_an_overrun(void **state)
{
    (void)state;
    struct rd r = rd_init(bytes_of("\xff\xff"
                                   "abc",
                                   5));
    struct bytes b = rd_lv16(&r);
    assert_null(b.at);
    assert_int_equal(b.len, 0);
    assert_false(rd_ok(&r));
}

static void an_empty_input_is_done(void **state)
{
    (void)state;
    struct rd r = rd_init(bytes_of(NULL, 0));
    assert_int_equal(rd_left(&r), 0);
    assert_true(rd_done(&r));
    assert_int_equal(rd_u8(&r), 0);
    assert_false(rd_done(&r));
}

static void writing_past_the_end_writes_nothing_more(void **state)
{
    (void)state;
    uint8_t space[4] = {9, 9, 9, 9};
    struct wr w = wr_init(space, 3);
    wr_be16(&w, 0x0102);
    wr_be16(&w, 0x0304);
    assert_false(wr_ok(&w));
    wr_u8(&w, 5); /* would fit, but the message is spoilt */
    assert_int_equal(wr_len(&w), 2);
    assert_int_equal(space[2], 9);
    assert_int_equal(space[3], 9);

    uint8_t room[8];
    static uint8_t big[UINT16_MAX + 1];
    struct wr too_long = wr_init(room, sizeof room);
    wr_lv16(&too_long, bytes_of(big, sizeof big));
    assert_false(wr_ok(&too_long));
}

static void equality_is_of_length_and_content(void **state)
{
    (void)state;
    assert_true(bytes_eq(bytes_of(NULL, 0), bytes_str("")));
    assert_false(bytes_eq_str(bytes_str("ab"), "a"));
    assert_false(bytes_eq_str(bytes_str("a"), "ab"));
    assert_true(bytes_eq_str(bytes_of("abc", 2), "ab"));
}

static void hex_has_one_spelling(void **state)
{
    (void)state;
    uint8_t out[2];
    char text[5];
    assert_true(hex_decode("01ff", 4, out, 2));
    hex_encode(out, 2, text);
    assert_string_equal(text, "01ff");
    assert_false(hex_decode("01FF", 4, out, 2));
    assert_false(hex_decode("01f", 3, out, 2));
    assert_false(hex_decode("01fg", 4, out, 2));
    assert_false(hex_decode(" 1ff", 4, out, 2));
}

static void ids_have_a_text(void **state)
{
    (void)state;
    struct node_id id = {{0}}, other = {{[31] = 1}};
    char text[NODE_ID_TEXT_MAX];
    assert_true(node_id_is_zero(&id));
    assert_false(node_id_is_zero(&other));
    assert_true(node_id_cmp(&id, &other) < 0);
    assert_string_equal(node_id_text(&other, text),
                        "ed25519:0000000000000000000000000000000000000000000000000000000000000001");
}

static void every_error_has_its_text(void **state)
{
    (void)state;
    assert_string_equal(err_text(ERR_OK), "ok");
    assert_string_equal(err_text(ERR_TIMEOUT), "timed out");
    assert_string_equal(err_text((enum err)9999), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_cut_is_an_overrun_and_reads_as_zero),
        cmocka_unit_test(a_length_beyond_the_end_is_an_overrun),
        cmocka_unit_test(an_empty_input_is_done),
        cmocka_unit_test(writing_past_the_end_writes_nothing_more),
        cmocka_unit_test(equality_is_of_length_and_content),
        cmocka_unit_test(hex_has_one_spelling),
        cmocka_unit_test(ids_have_a_text),
        cmocka_unit_test(every_error_has_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
