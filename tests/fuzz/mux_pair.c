/* Our side against a peer that is a mux as well, but whose records are changed on the way, as the input says:
 * a bit flipped, a record doubled, cut, dropped. Drives the states that random bytes would never reach.
 * Input: pairs of bytes (what, which). */
#include <stdlib.h>

#include "mux/inner.h"

enum { STREAMS = 8, RECORD = 65519 };

static struct mux *m[2];
static struct mux_stream *held[2][STREAMS];
static uint8_t zeros[100000];

static void poll(int side)
{
    struct mux_event ev;
    while (mux_poll_event(m[side], &ev)) {
        if (ev.type != MUX_EV_OPENED)
            continue;
        int i = 0;
        while (i < STREAMS && held[side][i])
            i++;
        if (i == STREAMS)
            mux_stream_release(ev.stream);
        else
            held[side][i] = ev.stream;
    }
}

/* False: the receiver ended the link. */
static bool carry(int from, uint8_t how, mono_ms now)
{
    static uint8_t record[RECORD + 1];
    size_t cap = how & 1 ? RECORD : 200, n = mux_fill(m[from], record, cap, now);
    if (from == 1 && n > 0) { /* only side 1 is the mutating peer */
        switch (how >> 5) {
        case 1:
            record[(how >> 1) % n] ^= (uint8_t)(1u << (how & 7));
            break;
        case 2:
            n -= (size_t)(how & 15) < n ? (size_t)(how & 15) : n;
            break;
        case 3:
            if (mux_receive(m[0], bytes_of(record, n), now) != ERR_OK)
                return false;
            break;
        case 4:
            return true;
        }
    }
    enum err e = mux_receive(m[1 - from], bytes_of(record, n), now);
    poll(1 - from);
    return e == ERR_OK;
}

static void act(int side, uint8_t what, uint8_t which)
{
    struct mux_stream **at = &held[side][which % STREAMS], *s = *at;
    if (!s) {
        *at = mux_open(m[side], NULL);
        return;
    }
    struct mux_message msg;
    switch (what % 8) {
    case 0:
        if (mux_stream_message(s, MUX_HEAD, bytes_of(zeros, which * 200)) == ERR_OK)
            break;
        /* fall through */
    case 1:
        mux_stream_write(s, bytes_of(zeros, which * 300));
        break;
    case 2:
        mux_stream_end(s);
        break;
    case 3:
        mux_stream_reset(s, which);
        break;
    case 4:
        mux_stream_release(s);
        *at = NULL;
        break;
    default:
        msg = mux_stream_peek(s);
        mux_stream_consume(s, msg.payload.len);
    }
}

static void end(void)
{
    for (int side = 0; side < 2; side++) {
        poll(side);
        for (int i = 0; i < STREAMS; i++) {
            if (held[side][i])
                mux_stream_release(held[side][i]);
            held[side][i] = NULL;
        }
        mux_free(m[side]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    m[0] = mux_new(true, 0);
    m[1] = mux_new(false, 0);
    bool up = true;
    for (size_t i = 0; i + 1 < size && up; i += 2) {
        mono_ms now = i * 20;
        if (data[i] >= 0xf0)
            mux_goaway(m[data[i] & 1]);
        else if (data[i] & 8)
            up = carry(data[i] & 1, data[i + 1], now);
        else
            act(data[i] & 1, (uint8_t)(data[i] >> 4), data[i + 1]);
        assert(mux_buffered(m[0]) <= 2 * STREAMS * (size_t)(2 * MUX_STREAM_WINDOW + 2 * BLOCK_LARGE));
    }
    end();
    return 0;
}
