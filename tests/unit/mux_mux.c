/* Two muxes joined by nothing but memory, or one against bytes no honest peer would send. Cases M1..M12 of
 * the list of attacks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mux/inner.h"

enum { RECORD = 65519 };

struct pair {
    struct mux *a, *b; /* a is the initiator */
    mono_ms now;
};

static struct pair pair_new(void)
{
    return (struct pair){mux_new(true, 1000), mux_new(false, 1000), 1000};
}

static void pair_free(struct pair *p)
{
    mux_free(p->a);
    mux_free(p->b);
}

static bool carry(struct mux *from, struct mux *to, mono_ms now)
{
    static uint8_t record[RECORD];
    size_t n = mux_fill(from, record, sizeof record, now);
    if (n > 0)
        assert_int_equal(mux_receive(to, bytes_of(record, n), now), ERR_OK);
    return n > 0;
}

static void pump(struct pair *p)
{
    for (bool moved = true; moved;) {
        moved = carry(p->a, p->b, p->now);
        moved = carry(p->b, p->a, p->now) || moved;
    }
}

static struct mux_stream *expect_event(struct mux *m, enum mux_event_type type)
{
    struct mux_event ev;
    assert_true(mux_poll_event(m, &ev));
    assert_int_equal(ev.type, type);
    return ev.stream;
}

static void expect_no_event(struct mux *m)
{
    struct mux_event ev;
    assert_false(mux_poll_event(m, &ev));
}

static void drain_events(struct mux *m)
{
    struct mux_event ev;
    while (mux_poll_event(m, &ev))
        ;
}

static void expect_message(struct mux_stream *s, enum mux_frame type, const char *text)
{
    struct mux_message msg = mux_stream_peek(s);
    assert_int_equal(msg.type, type);
    assert_true(bytes_eq_str(msg.payload, text));
    mux_stream_consume(s, msg.payload.len);
}

static void send_message(struct mux_stream *s, enum mux_frame type, const char *text)
{
    assert_int_equal(mux_stream_message(s, type, bytes_str(text)), ERR_OK);
}

/* One stream each way open: the pair's ends. */
static void opened(struct pair *p, struct mux_stream **a, struct mux_stream **b)
{
    *a = mux_open(p->a, NULL);
    send_message(*a, MUX_HEAD, "GET");
    pump(p);
    *b = expect_event(p->b, MUX_EV_OPENED);
    assert_ptr_equal(expect_event(p->b, MUX_EV_READABLE), *b);
    expect_message(*b, MUX_HEAD, "GET");
}

static size_t read_all(struct mux_stream *s)
{
    size_t total = 0;
    struct mux_message msg;
    while ((msg = mux_stream_peek(s)).type == MUX_DATA) {
        total += msg.payload.len;
        mux_stream_consume(s, msg.payload.len);
    }
    return total;
}

static uint8_t zeros[1 << 20];

static void a_request_and_its_response(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mux_stream *a = mux_open(p.a, &p), *b;
    send_message(a, MUX_HEAD, "GET /");
    assert_int_equal(mux_stream_write(a, bytes_str("body")), 4);
    send_message(a, MUX_TRAILERS, "t");
    mux_stream_end(a);
    pump(&p);
    b = expect_event(p.b, MUX_EV_OPENED);
    mux_stream_owner_set(b, &b);
    expect_event(p.b, MUX_EV_READABLE);
    expect_no_event(p.b);
    expect_message(b, MUX_HEAD, "GET /");
    expect_message(b, MUX_DATA, "body");
    expect_message(b, MUX_TRAILERS, "t");
    expect_message(b, MUX_END, "");
    assert_int_equal(mux_stream_peek(b).type, 0);
    send_message(b, MUX_HEAD, "200");
    mux_stream_end(b);
    pump(&p);
    struct mux_event ev;
    assert_true(mux_poll_event(p.a, &ev));
    assert_int_equal(ev.type, MUX_EV_READABLE);
    assert_ptr_equal(ev.owner, &p);
    expect_message(a, MUX_HEAD, "200");
    expect_message(a, MUX_END, "");
    mux_stream_release(a);
    mux_stream_release(b);
    pump(&p);
    assert_int_equal(mux_stream_count(p.a), 0);
    assert_int_equal(mux_stream_count(p.b), 0);
    assert_int_equal(mux_buffered(p.a) + mux_buffered(p.b), 0);
    pair_free(&p);
}

static void messages_keep_their_order_and_nothing_follows_the_end(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mux_stream *a = mux_open(p.a, NULL);
    send_message(a, MUX_HEAD, "100");
    send_message(a, MUX_HEAD, "200");
    assert_int_equal(mux_stream_write(a, bytes_str("x")), 1);
    assert_int_equal(mux_stream_message(a, MUX_HEAD, bytes_str("late")), ERR_INVALID);
    send_message(a, MUX_TRAILERS, "");
    assert_int_equal(mux_stream_write(a, bytes_str("x")), 0);
    mux_stream_end(a);
    assert_int_equal(mux_stream_message(a, MUX_TRAILERS, bytes_str("late")), ERR_CLOSED);
    assert_int_equal(mux_stream_message(a, MUX_HEAD, bytes_of(zeros, MUX_MESSAGE_MAX + 1)), ERR_LIMIT);
    mux_stream_release(a);
    pair_free(&p);
}

static void a_message_larger_than_the_record_is_cut_and_joined(void **state)
{
    (void)state;
    struct pair p = pair_new();
    static uint8_t head[MUX_MESSAGE_MAX];
    for (size_t i = 0; i < sizeof head; i++)
        head[i] = (uint8_t)(i * 7);
    struct mux_stream *a = mux_open(p.a, NULL), *b;
    assert_int_equal(mux_stream_message(a, MUX_HEAD, bytes_of(head, sizeof head)), ERR_OK);
    uint8_t record[MUX_FILL_MIN];
    size_t n, records = 0;
    while ((n = mux_fill(p.a, record, sizeof record, 1000)) > 0) {
        assert_int_equal(mux_receive(p.b, bytes_of(record, n), 1000), ERR_OK);
        records++;
    }
    assert_in_range(records, sizeof head / MUX_FILL_MIN, sizeof head / MUX_FILL_MIN * 2);
    b = expect_event(p.b, MUX_EV_OPENED);
    expect_event(p.b, MUX_EV_READABLE);
    struct mux_message msg = mux_stream_peek(b);
    assert_true(bytes_eq(msg.payload, bytes_of(head, sizeof head)));
    mux_stream_consume(b, msg.payload.len);
    mux_stream_release(a);
    mux_stream_release(b);
    pair_free(&p);
}

static void M1_opening_and_resetting_streams_uses_up_a_budget(void **state)
{
    (void)state;
    struct mux *m = mux_new(false, 1000);
    enum err e = ERR_OK;
    uint32_t opened_streams = 0;
    for (uint32_t id = 1; e == ERR_OK && id < 1000000; id += 2) {
        uint8_t record[64];
        struct wr w = wr_init(record, sizeof record);
        frame_encode_payload(&w, MUX_HEAD, id, 0, 0);
        frame_encode_reset(&w, id, 1);
        e = mux_receive(m, wr_done(&w), 1000);
        if (e == ERR_OK)
            expect_no_event(m); /* never shown: nobody is dialled for it */
        mux_fill(m, (uint8_t[4096]){0}, 4096, 1000);
        opened_streams++;
    }
    assert_int_equal(e, ERR_LIMIT);
    assert_int_equal(opened_streams, MUX_RESETS_MAX + 1);
    mux_stream_release(expect_event(m, MUX_EV_OPENED)); /* the last one, whose reset was not applied */
    mux_free(m);
}

static void M1_a_client_that_cancels_now_and_then_is_no_attacker(void **state)
{
    (void)state;
    struct pair p = pair_new();
    for (int i = 0; i < 5000; i++) {
        struct mux_stream *a, *b;
        p.now += 20;
        opened(&p, &a, &b);
        mux_stream_release(a);
        pump(&p);
        assert_ptr_equal(expect_event(p.b, MUX_EV_READABLE), b);
        assert_int_equal(mux_stream_peek(b).code, MUX_CODE_CANCEL);
        mux_stream_release(b);
    }
    pump(&p);
    assert_int_equal(mux_stream_count(p.a) + mux_stream_count(p.b), 0);
    pair_free(&p);
}

static void M2_streams_beyond_the_limits_are_refused_once_or_end_the_link(void **state)
{
    (void)state;
    struct mux *m = mux_new(false, 1000);
    static uint8_t out[RECORD];
    uint8_t record[16];
    enum err e = ERR_OK;
    uint32_t id = 1, refused = 0;
    for (; e == ERR_OK && id < 200000; id += 2) {
        struct wr w = wr_init(record, sizeof record);
        frame_encode_payload(&w, MUX_HEAD, id, 0, 0);
        e = mux_receive(m, wr_done(&w), 1000);
        size_t n = mux_fill(m, out, sizeof out, 1000);
        assert_in_range(n, 0, FRAME_CONTROL_BYTES);
        refused += n > 0;
    }
    assert_int_equal(e, ERR_LIMIT);
    assert_int_equal((id - 1) / 2, MUX_UNACCEPTED_MAX + MUX_RESETS_MAX + 1); /* both stated in the headers */
    assert_int_equal(refused, MUX_RESETS_MAX + 1);
    struct mux_event ev;
    unsigned shown = 0;
    while (mux_poll_event(m, &ev))
        if (ev.type == MUX_EV_OPENED)
            shown++;
        else
            mux_stream_release(ev.stream);
    assert_int_equal(shown, MUX_UNACCEPTED_MAX);
    mux_free(m);
}

static void M2_more_open_streams_than_stated_end_the_link(void **state)
{
    (void)state;
    struct mux *m = mux_new(false, 1000);
    struct mux_stream **all = calloc(MUX_STREAMS_MAX, sizeof *all);
    for (uint32_t i = 0; i <= MUX_STREAMS_MAX; i++) {
        uint8_t record[16];
        struct wr w = wr_init(record, sizeof record);
        frame_encode_payload(&w, MUX_HEAD, 2 * i + 1, 0, 0);
        assert_int_equal(mux_receive(m, wr_done(&w), 1000), i < MUX_STREAMS_MAX ? ERR_OK : ERR_LIMIT);
        if (i < MUX_STREAMS_MAX)
            all[i] = expect_event(m, MUX_EV_OPENED);
        drain_events(m);
    }
    for (uint32_t i = 0; i < MUX_STREAMS_MAX; i++)
        mux_stream_release(all[i]);
    free(all);
    mux_free(m);
}

/* Frames one peer sends until it is thrown out. */
static uint32_t flood(struct mux *m, struct bytes frame)
{
    for (uint32_t n = 1; n < 1000000; n++) {
        if (mux_receive(m, frame, 1000) != ERR_OK)
            return n;
        mux_fill(m, (uint8_t[4096]){0}, 4096, 1000);
    }
    return 0;
}

static void M3_floods_of_cheap_frames_end_the_link(void **state)
{
    (void)state;
    static const uint8_t ping[9] = {MUX_PING, 0, 0, 0, 0, 0, 0, 0, 7};
    struct pair p = pair_new();
    struct mux_stream *a, *b;
    opened(&p, &a, &b);
    assert_int_equal(mux_stream_write(a, bytes_of(zeros, 200000)), 200000);
    pump(&p);
    uint8_t window[9];
    struct wr w = wr_init(window, sizeof window);
    frame_encode_window(&w, 1, 1);
    assert_int_equal(flood(p.a, wr_done(&w)), MUX_CONTROLS_MAX + 1);
    assert_int_equal(flood(p.b, bytes_of(ping, sizeof ping)), MUX_CONTROLS_MAX + 1);
    mux_stream_release(a);
    mux_stream_release(b);
    pair_free(&p);
}

static void M3_pings_of_an_honest_peer_are_answered_for_hours(void **state)
{
    (void)state;
    struct pair p = pair_new();
    for (int i = 0; i < 2000; i++) {
        p.now = mono_min(mux_deadline(p.a), mux_deadline(p.b));
        assert_int_equal(mux_tick(p.a, p.now), ERR_OK);
        assert_int_equal(mux_tick(p.b, p.now), ERR_OK);
        pump(&p);
    }
    assert_in_range(p.now, 2000 * MUX_PING_IDLE_MS, 2100 * MUX_PING_IDLE_MS);
    pair_free(&p);
}

static void M4_credit_that_was_never_spent_ends_the_link(void **state)
{
    (void)state;
    static const uint32_t too_much[] = {1, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < 4; i++) {
        struct pair p = pair_new();
        struct mux_stream *a, *b;
        opened(&p, &a, &b);
        uint8_t record[64];
        struct wr w = wr_init(record, sizeof record);
        frame_encode_window(&w, 1, too_much[i]);
        assert_int_equal(mux_receive(p.b, wr_done(&w), 1000), ERR_LIMIT); /* b has sent nothing */
        w = wr_init(record, sizeof record);
        frame_encode_link_credit(&w, too_much[i]);
        assert_int_equal(mux_receive(p.b, wr_done(&w), 1000), ERR_LIMIT);
        mux_stream_release(a);
        mux_stream_release(b);
        pair_free(&p);
    }
}

static void M4_an_update_for_a_stream_that_never_was_ends_the_link(void **state)
{
    (void)state;
    struct mux *m = mux_new(false, 1000);
    static const uint32_t never[] = {1, 2, 3, 77};
    for (size_t i = 0; i < 4; i++) {
        uint8_t record[64];
        struct wr w = wr_init(record, sizeof record);
        frame_encode_window(&w, never[i], 100000);
        assert_int_equal(mux_receive(m, wr_done(&w), 1000), ERR_MALFORMED);
        w = wr_init(record, sizeof record);
        frame_encode_reset(&w, never[i], 1);
        assert_int_equal(mux_receive(m, wr_done(&w), 1000), ERR_MALFORMED);
    }
    mux_free(m);
}

static void M5_one_byte_beyond_the_window_ends_the_link_unbuffered(void **state)
{
    (void)state;
    struct mux *m = mux_new(false, 1000);
    static uint8_t record[RECORD];
    size_t left = MUX_STREAM_WINDOW;
    while (left > 0) {
        size_t n = left < 60000 ? left : 60000;
        struct wr w = wr_init(record, sizeof record);
        memset(frame_encode_payload(&w, MUX_DATA, 1, n, 0), 7, n);
        assert_int_equal(mux_receive(m, wr_done(&w), 1000), ERR_OK);
        left -= n;
    }
    size_t before = mux_buffered(m);
    struct wr w = wr_init(record, sizeof record);
    *frame_encode_payload(&w, MUX_DATA, 1, 1, 0) = 7;
    assert_int_equal(mux_receive(m, wr_done(&w), 1000), ERR_LIMIT);
    assert_int_equal(mux_buffered(m), before);
    mux_stream_release(expect_event(m, MUX_EV_OPENED));
    mux_free(m);
}

static void M6_a_peer_that_never_reads_costs_its_windows_and_no_more(void **state)
{
    (void)state;
    enum { STREAMS = 200 };
    struct pair p = pair_new();
    struct mux_stream *a[STREAMS], *b[STREAMS];
    for (int i = 0; i < STREAMS; i++)
        opened(&p, &a[i], &b[i]);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < STREAMS; i++)
            mux_stream_write(a[i], bytes_of(zeros, sizeof zeros));
        pump(&p);
    }
    /* Near: the link's queues, plus each stream's share. Far: the link's credit; blocks add less than a
     * quarter. */
    assert_in_range(mux_buffered(p.a), 1, (MUX_LINK_WINDOW + STREAMS * (size_t)MUX_SEND_SHARE) * 5 / 4);
    assert_in_range(mux_buffered(p.b), MUX_LINK_WINDOW / 2, (size_t)MUX_LINK_WINDOW * 5 / 4);

    struct mux_stream *small = mux_open(p.a, NULL), *far; /* and a new request still passes */
    send_message(small, MUX_HEAD, "small");
    mux_stream_write(small, bytes_of(zeros, 8000));
    drain_events(p.b);
    pump(&p);
    far = expect_event(p.b, MUX_EV_OPENED);
    expect_message(far, MUX_HEAD, "small");
    assert_int_equal(read_all(far), 8000);
    mux_stream_release(small);
    mux_stream_release(far);
    for (int i = 0; i < STREAMS; i++) {
        mux_stream_release(a[i]);
        mux_stream_release(b[i]);
    }
    pump(&p);
    assert_int_equal(mux_stream_count(p.a) + mux_stream_count(p.b), 0);
    pair_free(&p);
}

static void credit_lost_to_forgotten_streams_comes_back_to_the_link(void **state)
{
    (void)state;
    struct pair p = pair_new();
    for (int i = 0; i < 200; i++) { /* 200 x 200 KB unread is five link windows */
        struct mux_stream *a, *b;
        opened(&p, &a, &b);
        assert_int_equal(mux_stream_write(a, bytes_of(zeros, 200000)), 200000);
        mux_stream_end(a);
        pump(&p);
        mux_stream_release(b);
        mux_stream_release(a);
        pump(&p);
        drain_events(p.b);
    }
    assert_int_equal(mux_stream_count(p.a) + mux_stream_count(p.b), 0);
    assert_in_range(p.a->credit_tx.left, MUX_LINK_WINDOW / 2, MUX_LINK_WINDOW);
    pair_free(&p);
}

static void a_small_request_never_waits_behind_a_bulk_stream(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mux_stream *bulk, *far_bulk, *small;
    opened(&p, &bulk, &far_bulk);
    static uint8_t record[16384];
    mux_stream_write(bulk, bytes_of(zeros, 200000));
    for (int i = 0; i < 4; i++)
        assert_int_equal(mux_receive(p.b, bytes_of(record, mux_fill(p.a, record, sizeof record, 1000)), 1000),
                         ERR_OK);
    small = mux_open(p.a, NULL);
    send_message(small, MUX_HEAD, "now");
    mux_stream_end(small);
    size_t n = mux_fill(p.a, record, sizeof record, 1000);
    struct rd r = rd_init(bytes_of(record, n));
    struct frame f;
    assert_int_equal(frame_decode(&r, &f), ERR_OK); /* the first frame of the next record */
    assert_true(f.type == MUX_HEAD && bytes_eq_str(f.payload, "now"));
    assert_int_equal(mux_receive(p.b, bytes_of(record, n), 1000), ERR_OK);
    mux_stream_release(small);
    mux_stream_release(bulk);
    struct mux_event ev;
    while (mux_poll_event(p.b, &ev))
        if (ev.type == MUX_EV_OPENED)
            mux_stream_release(ev.stream);
    mux_stream_release(far_bulk);
    pair_free(&p);
}

static void a_writer_is_woken_when_there_is_worthwhile_room(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mux_stream *a, *b;
    opened(&p, &a, &b);
    assert_int_equal(mux_stream_write(a, bytes_of(zeros, sizeof zeros)), MUX_STREAM_WINDOW);
    assert_int_equal(mux_stream_writable(a), 0);
    assert_int_equal(mux_stream_message(a, MUX_TRAILERS, bytes_str("t")), ERR_AGAIN);
    expect_no_event(p.a);
    pump(&p);
    assert_ptr_equal(expect_event(p.a, MUX_EV_WRITABLE), a);
    expect_no_event(p.a);
    assert_in_range(mux_stream_writable(a), MUX_STREAM_WINDOW / 4, MUX_STREAM_WINDOW);
    mux_stream_release(a);
    mux_stream_release(b);
    pair_free(&p);
}

static void M8_ids_of_the_wrong_side_reused_or_far_ahead_end_the_link(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {2, 3, 5, 0x7fffffff, 0x7ffffffe};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct mux *m = mux_new(false, 1000);
        uint8_t record[16];
        struct wr w = wr_init(record, sizeof record);
        frame_encode_payload(&w, MUX_HEAD, wrong[i], 0, 0);
        assert_int_equal(mux_receive(m, wr_done(&w), 1000), ERR_MALFORMED);
        mux_free(m);
    }
    struct pair p = pair_new(); /* reuse */
    struct mux_stream *a, *b;
    opened(&p, &a, &b);
    mux_stream_end(a);
    mux_stream_end(b);
    pump(&p);
    mux_stream_release(a);
    mux_stream_release(b);
    for (int type = MUX_HEAD; type <= MUX_END; type++) {
        uint8_t record[16];
        struct wr w = wr_init(record, sizeof record);
        if (type == MUX_END)
            frame_encode_end(&w, 1);
        else
            *frame_encode_payload(&w, (enum mux_frame)type, 1, 1, 0) = 0;
        assert_int_equal(mux_receive(p.b, wr_done(&w), 1000), ERR_MALFORMED);
    }
    pair_free(&p);
}

static void M8_no_stream_is_opened_when_the_ids_run_out(void **state)
{
    (void)state;
    struct mux *m = mux_new(true, 1000);
    m->next_id = FRAME_STREAM_MAX - 2 * MUX_STREAMS_MAX;
    struct mux_stream *s = mux_open(m, NULL);
    assert_non_null(s);
    m->next_id += 2;
    assert_null(mux_open(m, NULL));
    mux_stream_release(s);
    mux_free(m);
}

static void M9_payload_after_the_end_or_a_second_end_ends_the_link(void **state)
{
    (void)state;
    for (int type = MUX_HEAD; type <= MUX_END; type++) {
        struct mux *m = mux_new(false, 1000);
        uint8_t record[64];
        struct wr w = wr_init(record, sizeof record);
        frame_encode_payload(&w, MUX_HEAD, 1, 0, 0);
        frame_encode_end(&w, 1);
        assert_int_equal(mux_receive(m, wr_done(&w), 1000), ERR_OK);
        w = wr_init(record, sizeof record);
        if (type == MUX_END)
            frame_encode_end(&w, 1);
        else
            *frame_encode_payload(&w, (enum mux_frame)type, 1, 1, 0) = 0;
        assert_int_equal(mux_receive(m, wr_done(&w), 1000), ERR_MALFORMED);
        mux_stream_release(expect_event(m, MUX_EV_OPENED));
        mux_free(m);
    }
}

static void M9_both_ends_reset_at_once(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mux_stream *a, *b;
    opened(&p, &a, &b);
    mux_stream_write(a, bytes_of(zeros, 1000));
    mux_stream_write(b, bytes_of(zeros, 1000));
    mux_stream_reset(a, 5);
    mux_stream_reset(b, 6);
    pump(&p);
    expect_no_event(p.a);
    expect_no_event(p.b);
    mux_stream_release(a);
    mux_stream_release(b);
    assert_int_equal(mux_stream_count(p.a) + mux_stream_count(p.b), 0);
    pair_free(&p);
}

static void M9_what_was_ended_still_arrives_when_the_writer_stops_reading(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mux_stream *a, *b;
    opened(&p, &a, &b);
    assert_int_equal(mux_stream_write(a, bytes_of(zeros, 300000)),
                     MUX_STREAM_WINDOW); /* a long upload is under way */
    send_message(b, MUX_HEAD, "413");
    mux_stream_end(b);
    mux_stream_release(b); /* answered and gone, the upload unread */
    pump(&p);
    expect_message(a, MUX_HEAD, "413");
    expect_message(a, MUX_END, "");
    assert_int_equal(mux_stream_peek(a).type, MUX_RESET); /* once the end is read: nobody listens any more */
    assert_int_equal(mux_stream_writable(a), 0);
    assert_int_equal(mux_stream_count(p.b), 0);
    mux_stream_release(a);
    assert_int_equal(mux_stream_count(p.a), 0);
    pair_free(&p);
}

static void a_peeked_payload_stays_where_it_is_when_a_reset_arrives(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mux_stream *a, *b;
    opened(&p, &a, &b);
    mux_stream_write(a, bytes_str("held by a write under way"));
    pump(&p);
    struct mux_message held = mux_stream_peek(b);
    mux_stream_reset(a, 9);
    pump(&p);
    assert_true(bytes_eq_str(held.payload, "held by a write under way"));
    assert_int_equal(mux_stream_peek(b).type, MUX_RESET);
    assert_int_equal(mux_stream_peek(b).code, 9);
    mux_stream_consume(b, held.payload.len);
    mux_stream_release(a);
    mux_stream_release(b);
    pair_free(&p);
}

static void M10_forty_frames_in_one_record(void **state)
{
    (void)state;
    struct pair p = pair_new();
    for (int i = 0; i < 40; i++)
        send_message(mux_open(p.a, NULL), MUX_HEAD, "x");
    assert_true(carry(p.a, p.b, 1000));
    assert_false(carry(p.a, p.b, 1000));
    struct mux_event ev;
    int n = 0;
    while (mux_poll_event(p.b, &ev))
        if (ev.type == MUX_EV_OPENED)
            n++;
        else
            mux_stream_release(ev.stream);
    assert_int_equal(n, 40);
    for (uint32_t id = 1; id < 80; id += 2)
        mux_stream_release(table_find(&p.a->table, id));
    pair_free(&p);
}

static void M11_a_peer_that_vanished_is_given_up_after_30_seconds(void **state)
{
    (void)state;
    struct mux *m = mux_new(true, 1000);
    uint8_t record[64];
    assert_int_equal(mux_deadline(m), 1000 + MUX_PING_IDLE_MS);
    assert_int_equal(mux_tick(m, 10999), ERR_OK);
    assert_false(mux_has_ready(m));
    assert_int_equal(mux_tick(m, 11000), ERR_OK);
    assert_int_equal(mux_fill(m, record, sizeof record, 11000), 9);
    assert_int_equal(mux_deadline(m), 31000);
    assert_int_equal(mux_tick(m, 30999), ERR_OK);
    assert_int_equal(mux_tick(m, 31000), ERR_TIMEOUT);
    mux_free(m);
}

static void M11_our_own_long_sleep_is_not_the_peers_silence(void **state)
{
    (void)state;
    struct pair p = pair_new();
    p.now = 1000 + 3600 * 1000;
    assert_int_equal(mux_tick(p.a, p.now), ERR_OK);
    pump(&p);
    p.now += MUX_PING_TIMEOUT_MS;
    assert_int_equal(mux_tick(p.a, p.now), ERR_OK);
    pair_free(&p);
}

static void M11_a_pong_nobody_asked_for_ends_the_link(void **state)
{
    (void)state;
    struct mux *m = mux_new(true, 1000);
    static const uint8_t pong[9] = {MUX_PONG, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(mux_receive(m, bytes_of(pong, 9), 1000), ERR_MALFORMED);
    mux_free(m);
}

static void goaway_lets_open_streams_finish_and_refuses_new_ones(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mux_stream *a, *b, *crossing, *unannounced;
    static uint8_t record[RECORD];
    opened(&p, &a, &b);
    crossing = mux_open(p.a, NULL);
    send_message(crossing, MUX_HEAD, "crosses the goaway");
    size_t n = mux_fill(p.a, record, sizeof record, 1000);
    unannounced = mux_open(p.a, NULL);
    send_message(unannounced, MUX_HEAD, "still here");
    mux_goaway(p.b);
    assert_null(mux_open(p.b, NULL));
    assert_true(carry(p.b, p.a, 1000));
    expect_event(p.a, MUX_EV_GOAWAY);
    assert_ptr_equal(expect_event(p.a, MUX_EV_READABLE), unannounced);
    assert_int_equal(mux_stream_peek(unannounced).code, MUX_CODE_REFUSED);
    assert_null(mux_open(p.a, NULL));
    assert_int_equal(mux_receive(p.b, bytes_of(record, n), 1000), ERR_OK);
    pump(&p);
    expect_no_event(p.b);
    assert_int_equal(mux_stream_peek(crossing).code, MUX_CODE_REFUSED);
    send_message(b, MUX_HEAD, "200");
    pump(&p);
    expect_message(a, MUX_HEAD, "200");
    mux_stream_release(a);
    mux_stream_release(b);
    mux_stream_release(crossing);
    mux_stream_release(unannounced);
    pump(&p);
    assert_int_equal(mux_stream_count(p.a) + mux_stream_count(p.b), 0);
    pair_free(&p);
}

static void an_idle_stream_and_an_idle_link_cost_little(void **state)
{
    (void)state;
    struct pair p = pair_new();
    struct mux_stream *a, *b;
    opened(&p, &a, &b);
    assert_int_equal(mux_buffered(p.a) + mux_buffered(p.b), 0);
    assert_in_range(sizeof *a, 1, 320);
    mux_stream_release(a);
    mux_stream_release(b);
    pump(&p);
    p.now += MUX_PING_IDLE_MS;
    assert_int_equal(mux_tick(p.a, p.now), ERR_OK);
    for (int kind = 0; kind < BLOCK_KINDS; kind++)
        assert_null(p.a->pool.spare[kind]);
    assert_null(p.a->spare);
    assert_in_range(sizeof *p.a, 1, 512);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_and_its_response),
        cmocka_unit_test(messages_keep_their_order_and_nothing_follows_the_end),
        cmocka_unit_test(a_message_larger_than_the_record_is_cut_and_joined),
        cmocka_unit_test(M1_opening_and_resetting_streams_uses_up_a_budget),
        cmocka_unit_test(M1_a_client_that_cancels_now_and_then_is_no_attacker),
        cmocka_unit_test(M2_streams_beyond_the_limits_are_refused_once_or_end_the_link),
        cmocka_unit_test(M2_more_open_streams_than_stated_end_the_link),
        cmocka_unit_test(M3_floods_of_cheap_frames_end_the_link),
        cmocka_unit_test(M3_pings_of_an_honest_peer_are_answered_for_hours),
        cmocka_unit_test(M4_credit_that_was_never_spent_ends_the_link),
        cmocka_unit_test(M4_an_update_for_a_stream_that_never_was_ends_the_link),
        cmocka_unit_test(M5_one_byte_beyond_the_window_ends_the_link_unbuffered),
        cmocka_unit_test(M6_a_peer_that_never_reads_costs_its_windows_and_no_more),
        cmocka_unit_test(credit_lost_to_forgotten_streams_comes_back_to_the_link),
        cmocka_unit_test(a_small_request_never_waits_behind_a_bulk_stream),
        cmocka_unit_test(a_writer_is_woken_when_there_is_worthwhile_room),
        cmocka_unit_test(M8_ids_of_the_wrong_side_reused_or_far_ahead_end_the_link),
        cmocka_unit_test(M8_no_stream_is_opened_when_the_ids_run_out),
        cmocka_unit_test(M9_payload_after_the_end_or_a_second_end_ends_the_link),
        cmocka_unit_test(M9_both_ends_reset_at_once),
        cmocka_unit_test(M9_what_was_ended_still_arrives_when_the_writer_stops_reading),
        cmocka_unit_test(a_peeked_payload_stays_where_it_is_when_a_reset_arrives),
        cmocka_unit_test(M10_forty_frames_in_one_record),
        cmocka_unit_test(M11_a_peer_that_vanished_is_given_up_after_30_seconds),
        cmocka_unit_test(M11_our_own_long_sleep_is_not_the_peers_silence),
        cmocka_unit_test(M11_a_pong_nobody_asked_for_ends_the_link),
        cmocka_unit_test(goaway_lets_open_streams_finish_and_refuses_new_ones),
        cmocka_unit_test(an_idle_stream_and_an_idle_link_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
