/* What is known of an endpoint: a latency that rises at once and decays, the cost of one more request, slow start, references. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "traffic/load.h"

static struct load fresh(void)
{
    return (struct load){.decay_ms = 10000};
}

static void expect_near(double is, double want)
{
    if (fabs(is - want) > want * 0.0001)
        fail_msg("%f is not %f", is, want);
}

static void it_rises_at_once_and_falls_slowly(void **state)
{
    (void)state;
    struct load l = fresh();
    load_observe(&l, 1000, 100);
    expect_near(load_latency_us(&l, 100), 1000);
    load_observe(&l, 50000, 200); /* one slow answer, and it is believed */
    expect_near(load_latency_us(&l, 200), 50000);
    load_observe(&l, 1000, 10200); /* a fast one, a decay later: 1/e of the old is left */
    expect_near(load_latency_us(&l, 10200), 50000 * exp(-1) + 1000 * (1 - exp(-1)));
}

static void without_answers_it_falls_to_1_in_e_in_a_decay(void **state)
{
    (void)state;
    struct load l = fresh();
    load_observe(&l, 80000, 1000);
    expect_near(load_latency_us(&l, 11000), 80000 * exp(-1));
    expect_near(load_latency_us(&l, 31000), 80000 * exp(-3));
    expect_near(load_latency_us(&l, 1005), 80000 * exp(-0.0005)); /* by the series */
    expect_near(load_latency_us(&l, 0), 80000);                   /* a clock of another worker's turn */
    l.decay_ms = 0;
    assert_true(load_latency_us(&l, 1500) < 1e-100);
}

static void many_fast_answers_bring_it_down_as_one_does(void **state)
{
    (void)state;
    struct load l = fresh();
    load_observe(&l, 100000, 0);
    for (mono_ms now = 1; now <= 10000; now++)
        load_observe(&l, 2000, now);
    expect_near(load_latency_us(&l, 10000), 2000 + 98000 * exp(-1)); /* decay is of time, not of requests */
}

static void cost_is_latency_times_requests_in_flight_and_one_more(void **state)
{
    (void)state;
    struct load l = fresh();
    expect_near(load_cost(&l, 0), 30000); /* nothing is known */
    assert_true(load_is_unasked(&l));
    l.outstanding = 1;
    expect_near(load_cost(&l, 0), 30000 * 2); /* its first answer is awaited */
    assert_false(load_is_unasked(&l));
    l.outstanding = 3;
    expect_near(load_cost(&l, 99999), 30000 * 4);
    load_observe(&l, 5000, 7);
    expect_near(load_cost(&l, 7), 5000 * 4);
    l.outstanding = 0;
    expect_near(load_cost(&l, 7), 5000);
}

/* Ten decays after it was asked, who is 80 ms away still is. */
static void cost_is_never_below_the_round_trip(void **state)
{
    (void)state;
    struct load l = fresh();
    l.rtt_us = 80000;
    expect_near(load_cost(&l, 0), 80000); /* nothing is known but that */
    load_observe(&l, 95000, 1000);
    expect_near(load_cost(&l, 1000), 95000);
    expect_near(load_cost(&l, 101000), 80000);
    l.outstanding = 1;
    expect_near(load_cost(&l, 101000), 160000);
    l = fresh();
    l.rtt_us = 80000;
    load_observe(&l, 2000, 1000); /* what is foretold is wrong */
    expect_near(load_cost(&l, 101000), 2000);
    l.rtt_us = 500; /* a neighbour that was slow once is asked again */
    load_observe(&l, 900000, 101000);
    expect_near(load_cost(&l, 131000), 900000 * exp(-3));
    l.rtt_us = 0; /* on this host, or unknown */
    assert_true(load_cost(&l, 999000) < 1);
}

static void a_slow_start_rises_linearly_from_a_tenth(void **state)
{
    (void)state;
    struct load l = fresh();
    load_judge(&l, true, false, 5000);
    static const struct {
        mono_ms at;
        uint32_t ppm;
    } rows[] = {{5000, 100000},  {7000, 100000},  {8000, 100000},  {11000, 200000},
                {20000, 500000}, {34999, 999966}, {35000, 1000000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(load_warmth_ppm(&l, 30000, rows[i].at), rows[i].ppm);
    assert_int_equal(load_warmth_ppm(&l, 0, 5000), 1000000);
    load_judge(&l, true, false, 6000); /* seen again: since when does not change */
    assert_int_equal(load_warmth_ppm(&l, 30000, 20000), 500000);
    load_judge(&l, false, false, 50000); /* it was away: it begins anew */
    load_judge(&l, true, false, 60000);
    assert_int_equal(load_warmth_ppm(&l, 30000, 75000), 500000);
}

static void who_was_there_before_is_not_new(void **state)
{
    (void)state;
    struct load l = fresh(), unwell = fresh();
    load_judge(&l, true, true, 5000);
    assert_int_equal(load_warmth_ppm(&l, 30000, 5000), 1000000);
    load_judge(&unwell, false, true, 5000);
    load_judge(&unwell, true, false, 6000);
    assert_int_equal(load_warmth_ppm(&unwell, 30000, 6000), 100000);
}

/* 30,000 random references over 700 endpoints, against plain counters. */
static void the_table_equals_plain_counters(void **state)
{
    (void)state;
    enum { M = 700 };
    static struct view_node node[M];
    static struct view_endpoint e[M];
    static struct load *held[M];
    static unsigned model[M];
    struct rng rng = rng_seeded(11);
    struct loads all = {0};
    for (size_t i = 0; i < M; i++) {
        store_be64(node[i].id.b, i % 16); /* ids that collide */
        node[i].id.b[20] = (uint8_t)(i >> 4);
        e[i] = (struct view_endpoint){.node = &node[i], .service = "s"};
    }
    for (int step = 0; step < 30000; step++) {
        size_t i = rng_below(&rng, M), known = 0;
        if (rng_below(&rng, 2) || model[i] == 0) {
            struct load *l = load_ref(&all, &e[i]);
            assert_true(model[i]++ == 0 || l == held[i]);
            held[i] = l;
        } else {
            load_unref(&all, held[i]);
            model[i]--;
        }
        size_t j = rng_below(&rng, M);
        assert_ptr_equal(load_find(&all, &e[j]), model[j] ? held[j] : NULL);
        for (size_t k = 0; step % 1000 == 0 && k < M; k++)
            known += model[k] > 0;
        assert_true(step % 1000 || known == all.count);
    }
    loads_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_rises_at_once_and_falls_slowly),
        cmocka_unit_test(without_answers_it_falls_to_1_in_e_in_a_decay),
        cmocka_unit_test(many_fast_answers_bring_it_down_as_one_does),
        cmocka_unit_test(cost_is_latency_times_requests_in_flight_and_one_more),
        cmocka_unit_test(cost_is_never_below_the_round_trip),
        cmocka_unit_test(a_slow_start_rises_linearly_from_a_tenth),
        cmocka_unit_test(who_was_there_before_is_not_new),
        cmocka_unit_test(the_table_equals_plain_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
