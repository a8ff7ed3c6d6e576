/* Frames: what one is, byte by byte, and everything that is none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "mux/frame.h"

static enum err decode(const void *at, size_t len, struct frame *f)
{
    struct rd r = rd_init(bytes_of(at, len));
    return frame_decode(&r, f);
}

static void each_frame_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    uint8_t space[256];
    struct wr w = wr_init(space, sizeof space);
    memcpy(frame_encode_payload(&w, MUX_HEAD, 1, 3, 7), "abc", 3);
    memcpy(frame_encode_payload(&w, MUX_DATA, 2, 1, 0), "d", 1);
    frame_encode_payload(&w, MUX_TRAILERS, 3, 0, 0);
    frame_encode_end(&w, 4);
    frame_encode_reset(&w, FRAME_STREAM_MAX, 0xfffffffe);
    frame_encode_window(&w, 6, 1);
    frame_encode_link_credit(&w, UINT32_MAX);
    frame_encode_ping(&w, MUX_PING, UINT64_MAX);
    frame_encode_ping(&w, MUX_PONG, 9);
    frame_encode_goaway(&w);
    assert_int_equal(wr_len(&w), 12 + 8 + 9 + 5 + 9 + 9 + 5 + 9 + 9 + 1);

    static const struct frame expected[] = {
        {.type = MUX_HEAD, .stream = 1, .rest = 7},
        {.type = MUX_DATA, .stream = 2},
        {.type = MUX_TRAILERS, .stream = 3},
        {.type = MUX_END, .stream = 4},
        {.type = MUX_RESET, .stream = FRAME_STREAM_MAX, .value = 0xfffffffe},
        {.type = MUX_WINDOW, .stream = 6, .value = 1},
        {.type = MUX_LINK_CREDIT, .value = UINT32_MAX},
        {.type = MUX_PING, .token = UINT64_MAX},
        {.type = MUX_PONG, .token = 9},
        {.type = MUX_GOAWAY},
    };
    struct rd r = rd_init(wr_done(&w));
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct frame f;
        assert_int_equal(frame_decode(&r, &f), ERR_OK);
        assert_int_equal(f.type, expected[i].type);
        assert_int_equal(f.stream, expected[i].stream);
        assert_int_equal(f.rest, expected[i].rest);
        assert_int_equal(f.value, expected[i].value);
        assert_true(f.token == expected[i].token);
        if (i == 0)
            assert_true(bytes_eq_str(f.payload, "abc"));
        if (i == 1)
            assert_true(bytes_eq_str(f.payload, "d"));
    }
    assert_true(rd_done(&r));
}

static void M3_M4_frames_that_say_nothing_are_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t byte[9];
        size_t len;
    } bad[] = {
        {"type 0", {0}, 1},
        {"type 11", {11, 0, 0, 0, 1}, 5},
        {"type 255", {255}, 1},
        {"empty DATA", {2, 0, 0, 0, 1, 0, 0}, 7},
        {"HEAD part without bytes", {1, 0, 0, 0, 1, 0, 0, 0, 5}, 9},
        {"WINDOW of 0", {6, 0, 0, 0, 1, 0, 0, 0, 0}, 9},
        {"LINK_CREDIT of 0", {7, 0, 0, 0, 0}, 5},
        {"END on stream 0", {4, 0, 0, 0, 0}, 5},
        {"END above the last stream", {4, 0x80, 0, 0, 1}, 5},
        {"HEAD cut in its payload", {1, 0, 0, 0, 1, 0, 1, 0, 0}, 9},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct frame f = {.type = 77};
        if (decode(bad[i].byte, bad[i].len, &f) != ERR_MALFORMED)
            fail_msg("%s was accepted", bad[i].what);
        assert_int_equal(f.type, 77); /* forged input leaves no trace */
    }
}

static void M10_messages_of_0_1_max_and_max_plus_1_bytes(void **state)
{
    (void)state;
    static uint8_t space[MUX_MESSAGE_MAX + 64];
    static const struct {
        size_t length, rest;
        enum err expected;
    } row[] = {
        {0, 0, ERR_OK},
        {1, 0, ERR_OK},
        {MUX_MESSAGE_MAX, 0, ERR_OK},
        {MUX_MESSAGE_MAX + 1, 0, ERR_MALFORMED},
        {1, MUX_MESSAGE_MAX - 1, ERR_OK},
        {1, MUX_MESSAGE_MAX, ERR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct frame f;
        space[0] = MUX_HEAD;
        store_be32(space + 1, 1);
        store_be16(space + 5, (uint16_t)row[i].length);
        store_be16(space + 7, (uint16_t)row[i].rest);
        assert_int_equal(decode(space, FRAME_MESSAGE_BYTES + row[i].length, &f), row[i].expected);
    }
}

static void M10_every_frame_cut_short_is_malformed(void **state)
{
    (void)state;
    uint8_t space[64];
    for (uint8_t type = MUX_HEAD; type <= MUX_PONG; type++) {
        memset(space, 1, sizeof space);
        space[0] = type;
        memset(space + 5, 0, 4);
        space[6] = type == MUX_DATA ? 3 : 0;
        space[8] = type == MUX_WINDOW ? 1 : 0;
        struct rd r = rd_init(bytes_of(space, sizeof space));
        struct frame f;
        space[1] = 0;
        assert_int_equal(frame_decode(&r, &f), ERR_OK);
        size_t whole = (size_t)(r.at - space);
        for (size_t cut = 0; cut < whole; cut++)
            assert_int_equal(decode(space, cut, &f), ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_frame_is_read_back_as_it_was_written),
        cmocka_unit_test(M3_M4_frames_that_say_nothing_are_malformed),
        cmocka_unit_test(M10_messages_of_0_1_max_and_max_plus_1_bytes),
        cmocka_unit_test(M10_every_frame_cut_short_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
