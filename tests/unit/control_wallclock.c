/* A clock that is set back revives nothing, and one that was ahead locks out for a bounded time (ADVERSARY B9). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "control/wallclock.h"

#define NOON ((wall_s)1787400000)
#define HOUR ((wall_s)3600)
#define DAY  (24 * HOUR)
#define YEAR (365 * DAY)

static struct wallclock fresh(void)
{
    struct wallclock k;
    assert_int_equal(wallclock_load(&k, bytes_of(NULL, 0), 1000), ERR_OK);
    return k;
}

/* Runs for `s` seconds, a step a minute, with a clock that is `ahead` of the true time; *now and *truth go on. */
static unsigned run(struct wallclock *k, wall_s *truth, mono_ms *now, wall_s s, wall_s ahead)
{
    unsigned changes = 0;
    for (wall_s end = *truth + s; *truth < end; *truth += 60, *now += 60000)
        changes += wallclock_step(k, *truth + ahead, *now);
    return changes;
}

/* An agent that has run for two days with a good clock. */
static struct wallclock settled(wall_s *truth, mono_ms *now)
{
    struct wallclock k = fresh();
    *truth = NOON;
    *now = 1000;
    run(&k, truth, now, 2 * DAY, 0);
    assert_int_equal(k.state, WALLCLOCK_AGREES);
    return k;
}

static struct wallclock restarted(struct wallclock *k, mono_ms now)
{
    uint8_t kept[WALLCLOCK_BYTES];
    struct wallclock again;
    k->keep_at = now;
    assert_true(wallclock_keep(k, kept, now));
    assert_int_equal(wallclock_load(&again, bytes_of(kept, sizeof kept), 77), ERR_OK);
    return again;
}

static void a_clock_that_is_right_is_what_counts(void **state)
{
    (void)state;
    wall_s truth;
    mono_ms now;
    struct wallclock k = settled(&truth, &now);
    assert_int_equal(wallclock_now(&k, truth, now), truth);
    assert_int_equal(k.latest, truth - 60);
    assert_int_equal(run(&k, &truth, &now, DAY, 0), 0);
}

static void the_first_start_believes_the_clock_and_keeps_it_after_a_day(void **state)
{
    (void)state;
    struct wallclock k = fresh();
    wall_s truth = NOON;
    mono_ms now = 1000;
    assert_true(wallclock_step(&k, truth, now));
    assert_int_equal(wallclock_now(&k, truth, now), NOON);
    run(&k, &truth, &now, DAY - 60, 0);
    assert_int_equal(k.state, WALLCLOCK_AHEAD);
    run(&k, &truth, &now, 120, 0);
    assert_int_equal(k.state, WALLCLOCK_AGREES);
    assert_int_equal(k.latest, truth - 60);
}

static void set_back_by_a_year_time_goes_on(void **state)
{
    (void)state;
    wall_s truth;
    mono_ms now;
    struct wallclock k = settled(&truth, &now);
    assert_int_equal(run(&k, &truth, &now, DAY, -YEAR), 1);
    assert_int_equal(k.state, WALLCLOCK_BEHIND);
    wall_s judged = wallclock_now(&k, truth - YEAR, now);
    assert_true(judged >= truth - 60 && judged <= truth);
    assert_int_equal(run(&k, &truth, &now, HOUR, 0), 1); /* the clock is mended */
    assert_int_equal(wallclock_now(&k, truth, now), truth);
}

static void set_back_while_the_agent_is_stopped_changes_nothing(void **state)
{
    (void)state;
    wall_s truth;
    mono_ms now;
    struct wallclock k = settled(&truth, &now), again = restarted(&k, now);
    assert_true(wallclock_step(&again, truth - YEAR, 77));
    assert_true(wallclock_now(&again, truth - YEAR, 77) >= truth - 60);
}

/* Five minutes are no alarm, and twelve times five minutes in an hour do not make an hour. */
static void a_clock_set_back_bit_by_bit_gets_nowhere(void **state)
{
    (void)state;
    wall_s truth;
    mono_ms now;
    struct wallclock k = settled(&truth, &now);
    wall_s before = k.latest;
    for (wall_s back = 0; back < DAY; back += 120) {
        (void)wallclock_step(&k, truth - back, now);
        assert_true(wallclock_now(&k, truth - back, now) >= before);
        now += 60000;
    }
    assert_int_equal(k.state, WALLCLOCK_BEHIND);
}

static void a_little_behind_time_stands_still(void **state)
{
    (void)state;
    wall_s truth;
    mono_ms now;
    struct wallclock k = settled(&truth, &now);
    wall_s latest = k.latest;
    assert_false(wallclock_step(&k, truth - 200, now));
    assert_int_equal(wallclock_now(&k, truth - 200, now), latest);
    assert_int_equal(run(&k, &truth, &now, HOUR, -200), 0);
    assert_int_equal(wallclock_now(&k, truth - 200, now), truth - 200);
}

static void ten_years_ahead_for_half_a_day_leave_no_trace(void **state)
{
    (void)state;
    wall_s truth;
    mono_ms now;
    struct wallclock k = settled(&truth, &now);
    assert_int_equal(run(&k, &truth, &now, DAY / 2, 10 * YEAR), 1);
    assert_int_equal(wallclock_now(&k, truth + 10 * YEAR, now), truth + 10 * YEAR);
    struct wallclock again = restarted(&k, now);
    assert_int_equal(run(&again, &truth, &(mono_ms){77}, HOUR, 0), 1);
    assert_int_equal(again.state, WALLCLOCK_AGREES);
    assert_int_equal(wallclock_now(&again, truth, again.at), truth);
}

/* Not for ever: a week of running with the right clock, over restarts. */
static void ten_years_ahead_for_days_lock_out_for_a_week_at_most(void **state)
{
    (void)state;
    wall_s truth;
    mono_ms now;
    struct wallclock k = settled(&truth, &now);
    run(&k, &truth, &now, 3 * DAY, 10 * YEAR);
    assert_true(k.latest > truth + 9 * YEAR);
    run(&k, &truth, &now, 3 * DAY, 0);
    assert_int_equal(k.state, WALLCLOCK_BEHIND);
    assert_true(wallclock_now(&k, truth, now) > truth + 9 * YEAR);
    struct wallclock again = restarted(&k, now);
    now = 77;
    assert_int_equal(run(&again, &truth, &now, 4 * DAY + HOUR, 0), 1);
    assert_int_equal(again.state, WALLCLOCK_AGREES);
    assert_int_equal(wallclock_now(&again, truth, now), truth);
}

static void it_is_written_once_in_ten_minutes_and_at_every_change(void **state)
{
    (void)state;
    wall_s truth;
    mono_ms now;
    uint8_t out[WALLCLOCK_BYTES];
    struct wallclock k = settled(&truth, &now);
    unsigned writes = 0;
    (void)wallclock_keep(&k, out, now);
    for (int minute = 0; minute < 60; minute++) {
        run(&k, &truth, &now, 60, 0);
        writes += wallclock_keep(&k, out, now);
    }
    assert_int_equal(writes, 6);
    run(&k, &truth, &now, 60, -YEAR);
    assert_true(wallclock_keep(&k, out, now));
}

static void what_was_kept_is_checked(void **state)
{
    (void)state;
    uint8_t kept[WALLCLOCK_BYTES + 1] = {0};
    struct wallclock k;
    for (size_t len = 1; len <= sizeof kept; len++)
        assert_int_equal(wallclock_load(&k, bytes_of(kept, len), 1),
                         len == WALLCLOCK_BYTES ? ERR_OK : ERR_MALFORMED);
    memset(kept, 0xff, sizeof kept);
    assert_int_equal(wallclock_load(&k, bytes_of(kept, WALLCLOCK_BYTES), 1), ERR_MALFORMED);
    memset(kept, 0, sizeof kept);
    kept[15] = 3; /* no such state */
    assert_int_equal(wallclock_load(&k, bytes_of(kept, WALLCLOCK_BYTES), 1), ERR_MALFORMED);
}

static void it_says_which_clock_looks_wrong(void **state)
{
    (void)state;
    wall_s truth;
    mono_ms now;
    struct buf text = {0};
    struct wallclock k = settled(&truth, &now);
    wallclock_say(&k, truth, truth - DAY, now, &text);
    assert_int_equal(text.len, 0);
    run(&k, &truth, &now, HOUR, -YEAR);
    wallclock_say(&k, truth - YEAR, truth - DAY, now, &text);
    assert_non_null(strstr(buf_str(&text), "the clock is wrong, for another host signed"));
    buf_fini(&text);
    wallclock_say(&k, truth - YEAR, 0, now, &text);
    assert_non_null(strstr(buf_str(&text), "set it, if it is wrong"));
    buf_fini(&text);
    run(&k, &truth, &now, HOUR, YEAR);
    wallclock_say(&k, truth + YEAR, 0, now, &text);
    assert_non_null(strstr(buf_str(&text), "far ahead of"));
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_is_right_is_what_counts),
        cmocka_unit_test(the_first_start_believes_the_clock_and_keeps_it_after_a_day),
        cmocka_unit_test(set_back_by_a_year_time_goes_on),
        cmocka_unit_test(set_back_while_the_agent_is_stopped_changes_nothing),
        cmocka_unit_test(a_clock_set_back_bit_by_bit_gets_nowhere),
        cmocka_unit_test(a_little_behind_time_stands_still),
        cmocka_unit_test(ten_years_ahead_for_half_a_day_leave_no_trace),
        cmocka_unit_test(ten_years_ahead_for_days_lock_out_for_a_week_at_most),
        cmocka_unit_test(it_is_written_once_in_ten_minutes_and_at_every_change),
        cmocka_unit_test(what_was_kept_is_checked),
        cmocka_unit_test(it_says_which_clock_looks_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
