/* The same seed gives the same numbers everywhere and for ever: a recorded seed must replay. The literals
 * were computed by an independent implementation of splitmix64 and xoshiro256**. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdbool.h>
#include <cmocka.h>

#include "base/rng.h"

static void seeds_give_their_sequences(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, first[3];
    } rows[] = {
        {0, {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0}},
        {1, {0xb3f2af6d0fc710c5, 0x853b559647364cea, 0x92f89756082a4514}},
        {42, {0x15780b2e0c2ec716, 0x6104d9866d113a7e, 0xae17533239e499a1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rng r = rng_seeded(rows[i].seed);
        for (size_t k = 0; k < 3; k++)
            assert_true(rng_u64(&r) == rows[i].first[k]);
    }
}

static void choices_below_a_bound(void **state)
{
    (void)state;
    static const uint32_t expected[] = {0, 3, 6, 9, 9, 7, 7, 8};
    struct rng r = rng_seeded(42);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(rng_below(&r, 10), expected[i]);
    assert_int_equal(rng_below(&r, 0), 0);
    assert_int_equal(rng_below(&r, 1), 0);
}

static void choices_are_even(void **state)
{
    (void)state;
    unsigned count[7] = {0};
    struct rng r = rng_seeded(7);
    for (int i = 0; i < 70000; i++)
        count[rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(count[i], 9600, 10400); /* four standard deviations */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_give_their_sequences),
        cmocka_unit_test(choices_below_a_bound),
        cmocka_unit_test(choices_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
