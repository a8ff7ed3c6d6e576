/* How traffic spreads over levels: Envoy's table, the factor, proportion, rounding, panic, spares; and random levels against the
 * formula in floating point. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "traffic/spread.h"

enum { BELOW = 700000, PANIC = 500000 };

static uint32_t share_of(const struct spread *s, size_t i)
{
    return s->upto_ppm[i] - (i ? s->upto_ppm[i - 1] : 0);
}

static struct spread_level level(uint32_t healthy, uint32_t total)
{
    return (struct spread_level){.total = total, .healthy = healthy, .may_panic = true};
}

/* "Priority levels" of Envoy's documentation, with 100 instances in the first level and a second that is well. */
static void as_in_envoys_table(void **state)
{
    (void)state;
    static const struct {
        uint32_t healthy, first_ppm;
    } rows[] = {{100, 1000000}, {72, 1000000}, {70, 1000000}, {69, 966000},
                {50, 700000},   {25, 350000},  {1, 14000},    {0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spread s;
        struct spread_level l[] = {level(rows[i].healthy, 100), level(10, 10)};
        spread_compute(&s, l, 2, BELOW, PANIC);
        assert_int_equal(share_of(&s, 0), rows[i].first_ppm);
        assert_int_equal(share_of(&s, 1), 1000000 - rows[i].first_ppm);
        assert_int_equal(s.panics, 0); /* the second carries what the first cannot */
        assert_false(s.is_nobody || s.by_spares || s.is_short);
    }
}

static void the_factor_goes_with_the_threshold(void **state)
{
    (void)state;
    static const struct {
        uint32_t below_ppm, healthy, first_ppm;
    } rows[] = {{500000, 50, 1000000}, {500000, 49, 960400},  {500000, 25, 490000}, /* 1.96 */
                {1000000, 99, 970200}, {1000000, 50, 490000},                       /* 0.98 */
                {0, 1, 1000000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct spread s;
        struct spread_level l[] = {level(rows[i].healthy, 100), level(10, 10)};
        spread_compute(&s, l, 2, rows[i].below_ppm, 0);
        assert_int_equal(share_of(&s, 0), rows[i].first_ppm);
    }
}

static void what_two_cannot_carry_goes_to_the_third(void **state)
{
    (void)state;
    struct spread s;
    struct spread_level l[] = {level(25, 100), level(1, 4), level(3, 3)};
    spread_compute(&s, l, 3, BELOW, PANIC);
    assert_int_equal(share_of(&s, 0), 350000);
    assert_int_equal(share_of(&s, 1), 350000);
    assert_int_equal(share_of(&s, 2), 300000);
    assert_int_equal(spread_level_of(&s, 3, 0), 0);
    assert_int_equal(spread_level_of(&s, 3, 349999), 0);
    assert_int_equal(spread_level_of(&s, 3, 350000), 1);
    assert_int_equal(spread_level_of(&s, 3, 699999), 1);
    assert_int_equal(spread_level_of(&s, 3, 999999), 2);
}

static void those_that_are_short_share_by_health_and_panic(void **state)
{
    (void)state;
    struct spread s;
    struct spread_level l[] = {level(20, 100), level(1, 10), level(0, 0)};
    spread_compute(&s, l, 3, BELOW, PANIC); /* 28 % and 14 % of what is needed */
    assert_int_equal(share_of(&s, 0), 666667);
    assert_int_equal(share_of(&s, 1), 333333);
    assert_int_equal(s.panics, 3);
    assert_true(s.is_short);
    l[0] = level(60, 100);
    spread_compute(&s, l, 3, BELOW, PANIC); /* 84 % and 14 %: the first has enough not to panic */
    assert_int_equal(share_of(&s, 0), 857143);
    assert_int_equal(s.panics, 2);
    spread_compute(&s, l, 3, BELOW, 0);
    assert_int_equal(s.panics, 0);
}

static void when_nobody_is_well_all_are_used_by_their_number_or_nobody(void **state)
{
    (void)state;
    struct spread s;
    struct spread_level l[] = {level(0, 30), level(0, 10)};
    spread_compute(&s, l, 2, BELOW, PANIC);
    assert_int_equal(share_of(&s, 0), 750000);
    assert_int_equal(share_of(&s, 1), 250000);
    assert_int_equal(s.panics, 3);
    spread_compute(&s, l, 2, BELOW, 0);
    assert_true(s.is_nobody);
    spread_compute(&s, l, 0, BELOW, PANIC);
    assert_true(s.is_nobody);
    l[0].may_panic = false; /* another service: it would panic for itself, and is not asked to */
    spread_compute(&s, l, 2, BELOW, PANIC);
    assert_int_equal(share_of(&s, 1), 1000000);
}

static void spares_serve_when_nobody_is_healthy_and_keep_from_panic(void **state)
{
    (void)state;
    struct spread s;
    struct spread_level l[] = {level(0, 4), level(0, 4)};
    l[0].spare = 2;
    l[1].spare = 4;
    spread_compute(&s, l, 2, BELOW, PANIC);
    assert_true(s.by_spares);
    assert_int_equal(share_of(&s, 0), 700000);
    assert_int_equal(s.panics, 0);
    l[1].healthy = 1; /* one who is well, and the spares are out of it */
    l[1].spare = 3;
    spread_compute(&s, l, 2, BELOW, PANIC);
    assert_false(s.by_spares);
    assert_int_equal(share_of(&s, 1), 1000000);
    assert_int_equal(s.panics, 0); /* 2 of 4, and 4 of 4 with those who may be well */
}

/* The formula of docs/traffic.md once more, with real numbers. */
static void model(const struct spread_level *l, size_t n, double below, double share[8])
{
    double sum = 0, health[8];
    for (size_t i = 0; i < n; i++) {
        double h = l[i].total ? (double)l[i].healthy / l[i].total : 0;
        health[i] = h == 0 ? 0 : h >= below ? 1 : fmin(1, 1.4 * (0.7 / below) * h);
        sum += health[i];
    }
    double rest = 1;
    for (size_t i = 0; i < n; i++) {
        share[i] = fmin(rest, health[i] / fmin(sum, 1));
        rest -= share[i];
    }
}

static void random_levels_are_as_the_formula_says(void **state)
{
    (void)state;
    struct rng r = rng_seeded(2);
    for (int round = 0; round < 20000; round++) {
        struct spread_level l[8];
        struct spread s;
        double want[8];
        size_t n = 1 + rng_below(&r, 8);
        uint32_t healthy = 0, below = 10000 * (1 + rng_below(&r, 100));
        for (size_t i = 0; i < n; i++) {
            l[i] = level(0, rng_below(&r, 40));
            l[i].healthy = rng_below(&r, l[i].total + 1);
            healthy += l[i].healthy;
        }
        if (healthy == 0)
            continue;
        spread_compute(&s, l, n, below, PANIC < below ? PANIC : below);
        model(l, n, below / 1e6, want);
        assert_int_equal(s.upto_ppm[n - 1], 1000000);
        for (size_t i = 0; i < n; i++)
            assert_true(fabs(share_of(&s, i) - want[i] * 1e6) < 20);
        assert_true(share_of(&s, spread_level_of(&s, n, rng_below(&r, 1000000))) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_envoys_table),
        cmocka_unit_test(the_factor_goes_with_the_threshold),
        cmocka_unit_test(what_two_cannot_carry_goes_to_the_third),
        cmocka_unit_test(those_that_are_short_share_by_health_and_panic),
        cmocka_unit_test(when_nobody_is_well_all_are_used_by_their_number_or_nobody),
        cmocka_unit_test(spares_serve_when_nobody_is_healthy_and_keep_from_panic),
        cmocka_unit_test(random_levels_are_as_the_formula_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
