/* N21: the window of accepted counters, step by step and against a plain set. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "link/replay.h"

static struct replay r;

static void fresh(void)
{
    memset(&r, 0, sizeof r);
}

static void N21_edges_of_the_window(void **state)
{
    (void)state;
    enum { W = REPLAY_WINDOW };
    static const struct {
        uint64_t counter;
        bool expected;
    } step[] = {
        {0, true},
        {1, true},
        {1, false},
        {9, true},
        {8, true},
        {7, true},
        {7, false},
        {W, true},
        {W - 1, true},
        {W - 1, false},
        {W - 2, true},
        {2, true},
        {2, false},
        {W + 16, true},
        {3, false},
        {W + 16, false},
        {W * 4, true},
        {W * 4 - (W - 1), true},
        {10, false},
        {W * 4 - W, false},
        {W * 4 - (W + 1), false},
        {W * 4 - (W - 2), true},
        {W * 4 + 1 - W, false},
        {0, false},
        {UINT64_C(1) << 63, true},
        {(UINT64_C(1) << 63) - 1, true},
        {W * 4, false},
        {UINT64_MAX - 1, true},
        {UINT64_MAX - 1, false},
        {UINT64_C(1) << 63, false},
    };
    fresh();
    for (size_t i = 0; i < sizeof step / sizeof *step; i++)
        if (replay_accept(&r, step[i].counter) != step[i].expected)
            fail_msg("step %zu", i);
}

static void N21_loops_up_down_and_over_the_edge(void **state)
{
    (void)state;
    fresh();
    for (uint64_t i = 1; i < REPLAY_WINDOW; i++)
        assert_true(replay_accept(&r, i));
    assert_true(replay_accept(&r, 0));
    assert_false(replay_accept(&r, 0));
    fresh();
    for (uint64_t i = 2; i <= REPLAY_WINDOW + 1; i++)
        assert_true(replay_accept(&r, i));
    assert_true(replay_accept(&r, 1 + 1 + REPLAY_WINDOW));
    assert_false(replay_accept(&r, 1)); /* fell out */
    fresh();
    for (uint64_t i = REPLAY_WINDOW; i-- > 0;)
        assert_true(replay_accept(&r, i));
    for (uint64_t i = REPLAY_WINDOW; i-- > 0;)
        assert_false(replay_accept(&r, i));
}

static void N21_random_sequences_against_a_plain_set(void **state)
{
    (void)state;
    enum { SPAN = 1 << 17, STEPS = 20000 };
    static uint8_t seen[SPAN];
    struct rng rng = rng_seeded(21);
    unsigned steps = 0;
    for (int round = 0; round < 500; round++) { /* 10^7 steps */
        uint64_t base = round % 3 == 0 ? 0 : UINT64_C(1) << (round % 60), greatest = 0;
        bool any = false;
        uint32_t reach = 1u << (4 + round % 13);
        fresh();
        memset(seen, 0, sizeof seen);
        for (int i = 0; i < STEPS; i++, steps++) {
            uint64_t centre = any ? greatest - base : 0;
            uint64_t low = centre > reach ? centre - reach : 0,
                     offset = low + rng_below(&rng, reach + reach / 8 + 3);
            if (offset >= SPAN)
                break;
            uint64_t counter = base + offset;
            bool newer = !any || counter > greatest;
            bool expected = newer || (greatest - counter < REPLAY_WINDOW && !seen[offset]);
            assert_int_equal(replay_is_newest(&r, counter), !any || counter >= greatest);
            assert_int_equal(replay_accept(&r, counter), expected);
            seen[offset] = 1;
            greatest = newer ? counter : greatest;
            any = true;
        }
    }
    assert_true(steps > 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(N21_edges_of_the_window),
        cmocka_unit_test(N21_loops_up_down_and_over_the_edge),
        cmocka_unit_test(N21_random_sequences_against_a_plain_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
