/* Bursts of changes make few views, a single one makes its view at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "control/pace.h"

/* A change in every millisecond of a second, as in control_turn(): how many views are made, each of this cost? */
static unsigned views_by(bool (*allows)(const struct pace *p, mono_ms now), mono_us cost)
{
    struct pace p = {0};
    unsigned views = 0;
    for (mono_ms now = 5000; now < 6000; now++)
        if (allows(&p, now)) {
            pace_done(&p, now, cost);
            views++;
        }
    return views;
}

static unsigned views_in_a_second(mono_us cost)
{
    return views_by(pace_allows, cost);
}

static void a_burst_makes_a_view_every_ten_milliseconds(void **state)
{
    (void)state;
    assert_int_equal(views_in_a_second(50), 100);
    assert_int_equal(views_in_a_second(2000), 100);
}

static void costly_views_take_a_fifth_of_the_time(void **state)
{
    (void)state;
    assert_int_equal(views_in_a_second(20000), 10); /* 100 ms from one's beginning to the next's */
}

/* ... but who dies among those who are born does not wait for them. */
static void newcomers_make_five_views_a_second(void **state)
{
    (void)state;
    struct pace p = {0};
    assert_int_equal(views_by(pace_allows_calm, 50), 5);
    assert_int_equal(views_by(pace_allows_calm, 100000), 2);
    assert_true(pace_allows_calm(&p, 0));
    pace_done(&p, 1000, 300);
    assert_false(pace_allows_calm(&p, 1010));
    assert_true(pace_allows(&p, 1010));
    assert_true(pace_allows_calm(&p, 1200));
}

static void a_change_alone_waits_for_nothing(void **state)
{
    (void)state;
    struct pace p = {0};
    assert_true(pace_allows(&p, 0));
    pace_done(&p, 1000, 300);
    assert_false(pace_allows(&p, 1009));
    assert_true(pace_allows(&p, 1010));
    assert_true(pace_allows(&p, 90000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_makes_a_view_every_ten_milliseconds),
        cmocka_unit_test(costly_views_take_a_fifth_of_the_time),
        cmocka_unit_test(newcomers_make_five_views_a_second),
        cmocka_unit_test(a_change_alone_waits_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
