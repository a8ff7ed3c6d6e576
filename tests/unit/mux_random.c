/* Two muxes under random schedules: records of random size are written and delivered at random moments,
 * owners write, read, end and reset at random. M7: whatever the order, everything gets through (no deadlock).
 * M9: what is read is exactly what was written, whole where the writer ended, a prefix where somebody reset;
 * each end is seen once. M6: memory stays in its bound. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "mux/inner.h"

enum { STREAMS = 12, PIPE_RECORDS = 4, RECORD = 65519 };

/* One direction of one stream: bytes are a function of (direction, offset), so both ends know what must come.
 */
struct lane {
    uint64_t salt;
    size_t to_write, written, seen; /* DATA bytes */
    bool head_sent, head_seen, end_sent, end_seen, trailers, trailers_sent, trailers_seen;
};

struct end { /* one owner's view of a stream */
    struct mux_stream *s;
    struct lane *out, *in;
    bool done, reset_sent, reset_seen;
};

struct pipe { /* records written and not yet delivered */
    uint8_t record[PIPE_RECORDS][RECORD];
    size_t len[PIPE_RECORDS];
    unsigned first, count;
};

struct world {
    struct rng rng;
    struct mux *m[2];
    struct pipe *pipe[2];
    struct lane lane[STREAMS][2];
    struct end end[2][STREAMS];
    unsigned opened;
    bool resets;
    mono_ms now;
};

static uint8_t byte_at(const struct lane *l, size_t offset)
{
    return (uint8_t)((l->salt + offset) * 0x9e3779b97f4a7c15u >> 56);
}

static size_t random_size(struct world *w)
{
    static const uint32_t scale[] = {1, 100, 5000, 100000, 700000};
    return rng_below(&w->rng, scale[rng_below(&w->rng, 5)] + 1);
}

static void open_one(struct world *w, int side)
{
    unsigned i = w->opened++;
    struct end *e = &w->end[side][i];
    e->s = mux_open(w->m[side], e);
    assert_non_null(e->s);
}

/* The far end learns which stream it is from the HEAD. */
static void on_opened(struct world *w, int side, struct mux_stream *s)
{
    struct mux_message msg = mux_stream_peek(s);
    if (msg.type == MUX_RESET) { /* gave up before we looked */
        mux_stream_release(s);
        return;
    }
    assert_int_equal(msg.type, MUX_HEAD);
    struct end *e = &w->end[side][msg.payload.at[0]];
    e->s = s;
    e->in->head_seen = true;
    mux_stream_owner_set(s, e);
    mux_stream_consume(s, msg.payload.len);
}

static void write_some(struct world *w, struct end *e, unsigned index)
{
    static uint8_t piece[100000];
    struct lane *l = e->out;
    uint8_t head[40] = {(uint8_t)index};
    if (!l->head_sent) {
        l->head_sent =
            mux_stream_message(e->s, MUX_HEAD, bytes_of(head, 1 + rng_below(&w->rng, 39))) == ERR_OK;
        return;
    }
    size_t n = l->to_write - l->written;
    if (n > 0) {
        if (n > sizeof piece)
            n = sizeof piece;
        n = rng_below(&w->rng, (uint32_t)n) + 1;
        for (size_t i = 0; i < n; i++)
            piece[i] = byte_at(l, l->written + i);
        l->written += mux_stream_write(e->s, bytes_of(piece, n));
    } else if (l->trailers && !l->trailers_sent) {
        l->trailers_sent = mux_stream_message(e->s, MUX_TRAILERS, bytes_of(piece, MUX_MESSAGE_MAX)) == ERR_OK;
    } else if (!l->end_sent) {
        mux_stream_end(e->s);
        l->end_sent = true;
    }
}

static void read_some(struct world *w, struct end *e)
{
    struct mux_message msg = mux_stream_peek(e->s);
    struct lane *l = e->in;
    size_t n = msg.payload.len;
    assert_false(l->end_seen && msg.type != 0 && msg.type != MUX_RESET);
    switch (msg.type) {
    case MUX_HEAD:
        assert_false(l->head_seen);
        l->head_seen = true;
        break;
    case MUX_DATA:
        n = rng_below(&w->rng, (uint32_t)n) + 1;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(msg.payload.at[i], byte_at(l, l->seen + i));
        l->seen += n;
        break;
    case MUX_TRAILERS:
        assert_int_equal(n, MUX_MESSAGE_MAX);
        l->trailers_seen = true;
        break;
    case MUX_END:
        assert_int_equal(l->seen, l->to_write);
        assert_int_equal(l->trailers, l->trailers_seen);
        l->end_seen = true;
        break;
    case MUX_RESET:
        assert_true(w->resets);
        e->reset_seen = true;
        return;
    default:
        return;
    }
    mux_stream_consume(e->s, n);
}

static void finish(struct end *e)
{
    mux_stream_release(e->s);
    e->s = NULL;
    e->done = true;
}

static void act(struct world *w, int side, unsigned i)
{
    struct end *e = &w->end[side][i];
    if (!e->s)
        return;
    if (w->resets && rng_below(&w->rng, 150) == 0) {
        e->reset_sent = true;
        if (rng_below(&w->rng, 2))
            mux_stream_reset(e->s, 42);
        finish(e);
        return;
    }
    if (rng_below(&w->rng, 2) && !e->out->end_sent && !e->reset_seen)
        write_some(w, e, i);
    else
        read_some(w, e);
    if ((e->out->end_sent && e->in->end_seen) || e->reset_seen)
        finish(e);
}

static void drain_events(struct world *w, int side)
{
    struct mux_event ev;
    while (mux_poll_event(w->m[side], &ev))
        if (ev.type == MUX_EV_OPENED)
            on_opened(w, side, ev.stream);
        else
            assert_ptr_equal(((struct end *)ev.owner)->s, ev.stream);
}

static bool put_record(struct world *w, int side)
{
    struct pipe *p = w->pipe[side];
    if (p->count == PIPE_RECORDS)
        return false;
    unsigned at = (p->first + p->count) % PIPE_RECORDS;
    size_t cap = rng_below(&w->rng, 2) ? RECORD : MUX_FILL_MIN + rng_below(&w->rng, 3000);
    p->len[at] = mux_fill(w->m[side], p->record[at], cap, w->now);
    p->count += p->len[at] > 0;
    return p->len[at] > 0;
}

static bool take_record(struct world *w, int side)
{
    struct pipe *p = w->pipe[1 - side];
    if (p->count == 0)
        return false;
    assert_int_equal(mux_receive(w->m[side], bytes_of(p->record[p->first], p->len[p->first]), w->now),
                     ERR_OK);
    p->first = (p->first + 1) % PIPE_RECORDS;
    p->count--;
    drain_events(w, side);
    return true;
}

static void step(struct world *w)
{
    int side = (int)rng_below(&w->rng, 2);
    w->now += rng_below(&w->rng, 3);
    switch (rng_below(&w->rng, 8)) {
    case 0:
        if (w->opened < STREAMS)
            open_one(w, side);
        break;
    case 1:
        put_record(w, side);
        break;
    case 2:
        take_record(w, side);
        break;
    default:
        act(w, side, rng_below(&w->rng, STREAMS));
    }
    assert_in_range(mux_buffered(w->m[side]), 0, 2 * MUX_RECEIVED_MAX);
}

static bool all_done(const struct world *w)
{
    if (w->opened < STREAMS)
        return false;
    for (int side = 0; side < 2; side++)
        for (unsigned i = 0; i < STREAMS; i++)
            if (w->end[side][i].s)
                return false;
    return w->pipe[0]->count == 0 && w->pipe[1]->count == 0 && mux_stream_count(w->m[0]) == 0 &&
           mux_stream_count(w->m[1]) == 0;
}

/* Everything that can be done is done in turn until nothing remains to do; a deadlock is a pass in which
 * nothing moved. */
static void settle(struct world *w, uint64_t seed)
{
    for (unsigned pass = 0; !all_done(w); pass++) {
        if (pass == 20000)
            fail_msg("seed %llu: no end in sight", (unsigned long long)seed);
        if (w->opened < STREAMS)
            open_one(w, 0);
        for (int side = 0; side < 2; side++) {
            for (unsigned i = 0; i < STREAMS; i++)
                for (int k = 0; k < 4; k++)
                    act(w, side, i);
            put_record(w, side);
            take_record(w, side);
        }
    }
}

static void world_init(struct world *w, uint64_t seed, bool resets)
{
    static struct pipe pipe[2];
    *w = (struct world){.rng = rng_seeded(seed), .pipe = {&pipe[0], &pipe[1]}, .resets = resets, .now = 1000};
    pipe[0].count = pipe[1].count = 0;
    w->m[0] = mux_new(true, w->now);
    w->m[1] = mux_new(false, w->now);
    for (unsigned i = 0; i < STREAMS; i++) {
        for (int d = 0; d < 2; d++)
            w->lane[i][d] = (struct lane){.salt = seed * 1000 + i * 2 + (unsigned)d,
                                          .to_write = random_size(w),
                                          .trailers = rng_below(&w->rng, 2)};
        w->end[0][i] = (struct end){.out = &w->lane[i][0], .in = &w->lane[i][1]};
        w->end[1][i] = (struct end){.out = &w->lane[i][1], .in = &w->lane[i][0]};
    }
}

static void run(uint64_t seed, bool resets)
{
    static struct world w;
    world_init(&w, seed, resets);
    for (int i = 0; i < 2000; i++)
        step(&w);
    settle(&w, seed);
    for (unsigned i = 0; i < STREAMS; i++)
        for (int d = 0; d < 2 && !resets; d++)
            assert_true(w.lane[i][d].end_seen && w.lane[i][d].seen == w.lane[i][d].to_write);
    assert_int_equal(mux_buffered(w.m[0]) + mux_buffered(w.m[1]), 0);
    assert_int_equal(w.m[0]->queued + w.m[1]->queued, 0);
    mux_free(w.m[0]);
    mux_free(w.m[1]);
}

static void M7_M9_no_deadlock_and_exact_bytes_in_random_schedules(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        run(seed, false);
}

static void M7_M9_the_same_with_resets_at_any_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1700; seed++)
        run(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(M7_M9_no_deadlock_and_exact_bytes_in_random_schedules),
        cmocka_unit_test(M7_M9_the_same_with_resets_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
