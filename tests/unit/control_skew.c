/* Whose clock is wrong, by what sessions tell of clocks (ADVERSARY G26). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "control/skew.h"

#define S   INT64_C(1000)
#define DAY (86400 * S)

#define JUDGE(before, ...)                                                                                   \
    skew_judge((int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), &(before))

static const struct skew fresh;

static void expect(struct skew s, enum skew_verdict verdict, int64_t right_ms, size_t with_us)
{
    assert_int_equal(s.verdict, verdict);
    assert_true(s.right_ms == right_ms);
    assert_int_equal(s.with_us, with_us);
}

static void the_majority_is_right(void **state)
{
    (void)state;
    int64_t none[1];
    assert_int_equal(skew_judge(none, 0, &fresh).verdict, SKEW_UNKNOWN);
    expect(JUDGE(fresh, 12, -300), SKEW_AGREES, 0, 2);
    expect(JUDGE(fresh, 12, DAY), SKEW_AGREES, 0, 1);      /* that one is wrong */
    expect(JUDGE(fresh, DAY, DAY + 5), SKEW_OURS, DAY, 0); /* we are */
    expect(JUDGE(fresh, -DAY - 2000, -DAY, -DAY + 7), SKEW_OURS, -DAY + 7,
           0); /* the nearer of two in the middle */
    expect(JUDGE(fresh, -DAY, -DAY, -DAY, 0, 3 * DAY), SKEW_UNSURE, 0, 1); /* three of six are no majority */
    expect(JUDGE(fresh, -DAY, -DAY, -DAY, -DAY, 0, 3 * DAY), SKEW_OURS, -DAY, 1);
}

static void without_a_majority_nobody_is_called_right(void **state)
{
    (void)state;
    expect(JUDGE(fresh, DAY), SKEW_UNSURE, 0, 0); /* two hosts */
    expect(JUDGE(fresh, DAY, -DAY), SKEW_UNSURE, 0, 0);
    expect(JUDGE(fresh, DAY, DAY, 0), SKEW_UNSURE, 0, 1); /* two and two */
    expect(JUDGE(fresh, DAY, 2 * DAY, 3 * DAY), SKEW_UNSURE, 0, 0);
}

/* A third of liars, whatever they say, neither make ours wrong nor the honest ones. */
static void fewer_than_half_that_lie_change_nothing(void **state)
{
    (void)state;
    static const int64_t lies[] = {INT64_MAX / 4, -INT64_MAX / 4, DAY, 31 * S, -31 * S};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        int64_t t = lies[i];
        struct skew s = JUDGE(fresh, 0, 5, t, t, -7);
        expect(s, SKEW_AGREES, 0, 3);
        assert_true(skew_is_wrong(skew_off(&s, t), false));
        assert_false(skew_is_wrong(skew_off(&s, -7), false));
    }
}

static void what_is_near_the_bound_does_not_flicker(void **state)
{
    (void)state;
    assert_false(skew_is_wrong(30 * S, false));
    assert_true(skew_is_wrong(30 * S + 1, false));
    assert_true(skew_is_wrong(-20 * S - 1, true));
    assert_false(skew_is_wrong(20 * S, true));
    struct skew s = JUDGE(fresh, 25 * S, 25 * S);
    assert_int_equal(s.verdict, SKEW_AGREES);
    s = JUDGE(s, 31 * S, 31 * S);
    assert_int_equal(s.verdict, SKEW_OURS);
    s = JUDGE(s, 25 * S, 25 * S);
    assert_int_equal(s.verdict, SKEW_OURS);
    s = JUDGE(s, 19 * S, 19 * S);
    assert_int_equal(s.verdict, SKEW_AGREES);
}

/* Where ours is wrong the others are measured by the time that is held right. */
static void those_who_are_right_are_not_named_for_our_fault(void **state)
{
    (void)state;
    struct skew s = JUDGE(fresh, DAY, DAY, DAY, DAY + 45 * S);
    assert_int_equal(s.verdict, SKEW_OURS);
    assert_true(skew_off(&s, DAY) == 0);
    assert_true(skew_off(&s, DAY + 45 * S) == 45 * S);
}

/* It counts on by our monotonic clock: so when ours is set, all that is known is seen in its light at once. */
static void a_clock_counts_on_from_where_it_was_heard(void **state)
{
    (void)state;
    const uint64_t noon = 1800000000000;
    assert_true(skew_ahead(noon, 5000, noon + 60000, 65000) == 0);
    assert_true(skew_ahead(noon, 5000, noon + 60000 - 86400000, 65000) == DAY);
    assert_true(skew_ahead(UINT64_MAX, 5000, noon, 5000) >
                1000 * DAY); /* the word of a peer may be anything */
    assert_true(skew_ahead(0, 5000, UINT64_MAX, 5000) < -1000 * DAY);
}

/* However many clocks jump about, the log is told of eight, then of one a minute. */
static void the_log_is_not_flooded(void **state)
{
    struct skew_lines l = {0};
    mono_ms now = 1000000;
    int said = 0;
    (void)state;
    for (int i = 0; i < 100; i++)
        said += skew_may_say(&l, now);
    assert_int_equal(said, SKEW_LINES_MAX);
    for (mono_ms end = now + 3600000; now < end; now += 5000)
        for (int i = 0; i < 100; i++)
            said += skew_may_say(&l, now);
    assert_in_range(said, SKEW_LINES_MAX + 59, SKEW_LINES_MAX + 60);
}

static void it_is_said_in_words(void **state)
{
    struct buf b = {0};
    (void)state;
    skew_words(DAY + 3 * S + 999, &b);
    buf_add_str(&b, ", ");
    skew_words(-31 * S, &b);
    assert_string_equal(buf_str(&b), "24h3s ahead, 31s behind");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_majority_is_right),
        cmocka_unit_test(without_a_majority_nobody_is_called_right),
        cmocka_unit_test(fewer_than_half_that_lie_change_nothing),
        cmocka_unit_test(what_is_near_the_bound_does_not_flicker),
        cmocka_unit_test(those_who_are_right_are_not_named_for_our_fault),
        cmocka_unit_test(a_clock_counts_on_from_where_it_was_heard),
        cmocka_unit_test(the_log_is_not_flooded),
        cmocka_unit_test(it_is_said_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
