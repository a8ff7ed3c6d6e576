/* The timer wheel against virtual time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "worker/wheel.h"

enum { MANY = 2000 };

struct alarm {
    struct timer timer;
    unsigned fired;
    mono_ms fired_at;
};

static mono_ms now;

static void fire(struct timer *t)
{
    struct alarm *a = (struct alarm *)t;
    a->fired++;
    a->fired_at = now;
}

static void go_to(struct wheel *w, mono_ms at)
{
    now = at;
    wheel_turn(w, now);
}

static void nothing_set_is_no_deadline(void **state)
{
    (void)state;
    struct wheel w;
    wheel_init(&w, 12345);
    assert_true(wheel_deadline(&w) == NEVER);
    go_to(&w, 1000000);
    assert_true(wheel_deadline(&w) == NEVER);
}

static void fires_once_not_early_and_at_most_a_step_late(void **state)
{
    (void)state;
    struct wheel w;
    struct alarm a = {.timer.fire = fire};
    wheel_init(&w, 1000);
    wheel_set(&w, &a.timer, 1500);
    assert_true(wheel_deadline(&w) >= 1500 && wheel_deadline(&w) < 1500 + WHEEL_STEP_MS);
    go_to(&w, 1499);
    assert_int_equal(a.fired, 0);
    go_to(&w, wheel_deadline(&w));
    assert_int_equal(a.fired, 1);
    go_to(&w, 99999);
    assert_int_equal(a.fired, 1);
}

static void cleared_and_moved_timers_keep_quiet(void **state)
{
    (void)state;
    struct wheel w;
    struct alarm a = {.timer.fire = fire}, b = {.timer.fire = fire}, c = {.timer.fire = fire};
    wheel_init(&w, 0);
    wheel_set(&w, &a.timer, 100);
    wheel_clear(&w, &a.timer);
    wheel_clear(&w, &a.timer);
    wheel_set(&w, &b.timer, 100);
    wheel_set(&w, &b.timer, 5000);
    wheel_set(&w, &c.timer, 5000);
    wheel_set_sooner(&w, &c.timer, 9000);
    wheel_set_sooner(&w, &c.timer, 100);
    go_to(&w, 200);
    assert_int_equal(a.fired + b.fired, 0);
    assert_int_equal(c.fired, 1);
    wheel_set(&w, &b.timer, NEVER);
    assert_true(wheel_deadline(&w) == NEVER);
}

static void beyond_the_horizon_waits_its_whole_time(void **state)
{
    (void)state;
    struct wheel w;
    struct alarm a = {.timer.fire = fire};
    wheel_init(&w, 0);
    wheel_set(&w, &a.timer, 3600000);
    while (!a.fired) {
        assert_true(wheel_deadline(&w) != NEVER);
        go_to(&w, wheel_deadline(&w));
    }
    assert_true(a.fired_at >= 3600000 && a.fired_at <= 3600000 + WHEEL_STEP_MS);
}

static void a_long_sleep_misses_nothing(void **state)
{
    (void)state;
    struct wheel w;
    struct alarm a = {.timer.fire = fire}, b = {.timer.fire = fire};
    wheel_init(&w, 0);
    wheel_set(&w, &a.timer, 40);
    wheel_set(&w, &b.timer, 16000);
    go_to(&w, 100000000);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 1);
    wheel_set(&w, &a.timer, 100000050);
    go_to(&w, 100000100);
    assert_int_equal(a.fired, 2);
}

static void due_in_the_past_fires_at_the_next_step(void **state)
{
    (void)state;
    struct wheel w;
    struct alarm a = {.timer.fire = fire};
    wheel_init(&w, 5000);
    wheel_set(&w, &a.timer, 10);
    go_to(&w, 5000 + WHEEL_STEP_MS);
    assert_int_equal(a.fired, 1);
}

static void many_random_timers_all_fire_in_time(void **state)
{
    (void)state;
    static struct alarm alarm[MANY];
    struct wheel w;
    struct rng r = rng_seeded(11);
    size_t left = MANY;
    wheel_init(&w, 777);
    for (size_t i = 0; i < MANY; i++) {
        alarm[i] = (struct alarm){.timer.fire = fire};
        wheel_set(&w, &alarm[i].timer, 777 + rng_below(&r, 120000));
    }
    while (wheel_deadline(&w) != NEVER)
        go_to(&w, wheel_deadline(&w));
    for (size_t i = 0; i < MANY; i++) {
        left -= alarm[i].fired;
        assert_true(alarm[i].fired_at >= alarm[i].timer.at);
        assert_true(alarm[i].fired_at < alarm[i].timer.at + 2 * WHEEL_STEP_MS);
    }
    assert_int_equal(left, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_set_is_no_deadline),
        cmocka_unit_test(fires_once_not_early_and_at_most_a_step_late),
        cmocka_unit_test(cleared_and_moved_timers_keep_quiet),
        cmocka_unit_test(beyond_the_horizon_waits_its_whole_time),
        cmocka_unit_test(a_long_sleep_misses_nothing),
        cmocka_unit_test(due_in_the_past_fires_at_the_next_step),
        cmocka_unit_test(many_random_timers_all_fire_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
