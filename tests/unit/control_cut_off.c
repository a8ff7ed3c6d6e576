/* A host that hears nobody says so once, and says it of itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "control/cut_off.h"

static void who_hears_nobody_for_five_seconds_is_cut_off_until_somebody_is_heard(void **state)
{
    (void)state;
    struct cut_off o = {0};
    assert_int_equal(cut_off_step(&o, 9, 1000), CUT_OFF_NOTHING);
    cut_off_heard(&o, 2000);
    assert_int_equal(cut_off_step(&o, 9, 6999), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 9, 7000), CUT_OFF_BEGINS);
    assert_true(o.is_on);
    assert_int_equal(cut_off_step(&o, 1, 8000), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 0, 9000), CUT_OFF_ALL_DEAD);
    assert_int_equal(cut_off_step(&o, 0, 9001), CUT_OFF_NOTHING);
    cut_off_heard(&o, 20000);
    assert_int_equal(cut_off_step(&o, 1, 20000), CUT_OFF_ENDS);
    assert_false(o.is_on);
    assert_int_equal(o.since, 2000);
    cut_off_heard(&o, 49000);
    assert_int_equal(cut_off_step(&o, 9, 49999), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 9, 50000), CUT_OFF_SETTLED);
    assert_int_equal(cut_off_step(&o, 9, 50001), CUT_OFF_NOTHING);
}

/* Of a single one nobody can say who is gone; and where processes have ended they are dead before. */
static void one_silent_member_is_no_reason_nor_are_the_dead(void **state)
{
    (void)state;
    struct cut_off o = {0};
    assert_int_equal(cut_off_step(&o, 1, 1000), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 1, 100000), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 0, 200000), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 2, 200001), CUT_OFF_BEGINS);
}

/* A host that starts while it is cut off remembers others from its store, and hears nobody from the start on. */
static void silence_is_counted_from_the_start_on(void **state)
{
    (void)state;
    struct cut_off o = {0};
    assert_int_equal(cut_off_step(&o, 3, 50000), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 3, 55000), CUT_OFF_BEGINS);
}

static void who_stood_still_has_not_been_cut_off(void **state)
{
    (void)state;
    struct cut_off o = {0};
    cut_off_stood_still(&o, 500, 1000); /* before the first turn */
    assert_int_equal(cut_off_step(&o, 9, 1000), CUT_OFF_NOTHING);
    cut_off_heard(&o, 2000);
    cut_off_stood_still(&o, UINT32_MAX, 2500);
    assert_int_equal(o.heard_at, 2500); /* never ahead of now */
    cut_off_stood_still(&o, 59500, 62500);
    assert_int_equal(cut_off_step(&o, 9, 62500), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 9, 66999), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 9, 67000), CUT_OFF_BEGINS);
    cut_off_stood_still(&o, 60000, 130000); /* whom we did not hear before it we have not heard now */
    assert_int_equal(cut_off_step(&o, 9, 130000), CUT_OFF_NOTHING);
    assert_true(o.is_on);
}

static void what_begins_anew_settles_nothing(void **state)
{
    (void)state;
    struct cut_off o = {0};
    assert_int_equal(cut_off_step(&o, 9, 1000), CUT_OFF_NOTHING);
    assert_int_equal(cut_off_step(&o, 9, 6000), CUT_OFF_BEGINS);
    cut_off_heard(&o, 7000);
    assert_int_equal(cut_off_step(&o, 9, 7000), CUT_OFF_ENDS);
    assert_int_equal(cut_off_step(&o, 9, 12000), CUT_OFF_BEGINS);
    assert_int_equal(cut_off_step(&o, 9, 37000), CUT_OFF_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_hears_nobody_for_five_seconds_is_cut_off_until_somebody_is_heard),
        cmocka_unit_test(one_silent_member_is_no_reason_nor_are_the_dead),
        cmocka_unit_test(silence_is_counted_from_the_start_on),
        cmocka_unit_test(who_stood_still_has_not_been_cut_off),
        cmocka_unit_test(what_begins_anew_settles_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
