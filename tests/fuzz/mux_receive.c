/* Arbitrary records into a mux whose owner opens, reads, writes and releases. Input: u8 acts | be16 length |
 * record, repeated. Whatever comes: no crash, and memory within the stated bound (ADVERSARY M14). */
#include <stdlib.h>

#include "mux/inner.h"

enum { STREAMS = 16 };

static struct mux_stream *held[STREAMS];

static void hold(struct mux_stream *s)
{
    for (int i = 0; i < STREAMS; i++)
        if (!held[i]) {
            held[i] = s;
            return;
        }
    mux_stream_release(s);
}

static void act(struct mux *m, uint8_t acts)
{
    static uint8_t out[65519], zeros[5000];
    struct mux_event ev;
    while (mux_poll_event(m, &ev))
        if (ev.type == MUX_EV_OPENED)
            hold(ev.stream);
    struct mux_stream **at = &held[acts & 15];
    if (acts & 16 && !*at)
        *at = mux_open(m, NULL);
    if (*at && acts & 32) {
        if (mux_stream_message(*at, MUX_HEAD, bytes_of(zeros, 9)) != ERR_OK ||
            mux_stream_write(*at, bytes_of(zeros, sizeof zeros)) == 0)
            mux_stream_end(*at);
    }
    if (*at && acts & 64) {
        struct mux_message msg = mux_stream_peek(*at);
        mux_stream_consume(*at, msg.payload.len);
    }
    if (*at && acts & 128) {
        mux_stream_release(*at);
        *at = NULL;
    }
    if (acts % 3 == 0)
        mux_fill(m, out, acts % 2 ? sizeof out : MUX_FILL_MIN, m->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_init(bytes_of(data, size));
    struct mux *m = mux_new(rd_u8(&r) & 1, 0);
    for (mono_ms now = 0; rd_left(&r) > 2; now += 50) {
        act(m, rd_u8(&r));
        size_t length = rd_be16(&r);
        if (length > rd_left(&r))
            length = rd_left(&r);
        if (mux_receive(m, rd_bytes(&r, length), now) != ERR_OK)
            break;
        assert(m->credit_rx.left + m->credit_rx.unreturned <= MUX_LINK_WINDOW);
        assert(mux_buffered(m) <= MUX_RECEIVED_MAX + STREAMS * (size_t)(MUX_STREAM_WINDOW + BLOCK_LARGE));
    }
    struct mux_event ev;
    while (mux_poll_event(m, &ev))
        if (ev.type == MUX_EV_OPENED)
            mux_stream_release(ev.stream);
    for (int i = 0; i < STREAMS; i++) {
        if (held[i])
            mux_stream_release(held[i]);
        held[i] = NULL;
    }
    mux_free(m);
    return 0;
}
