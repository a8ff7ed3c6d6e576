/* Who accused falsely is doubted for a while, longer each time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/accuser.h"

static struct node_id id_of(uint32_t n)
{
    struct node_id id = {{(uint8_t)n, (uint8_t)(n >> 8), 1}};
    return id;
}

static void each_strike_is_doubted_eight_times_as_long(void **state)
{
    static const uint32_t doubted_s[] = {10, 80, 640, 5120, 5120};
    struct accusers a = {0};
    struct node_id liar = id_of(1), other = id_of(2);
    mono_ms now = 1000000;
    (void)state;
    assert_int_equal(accusers_strikes(&a, &liar, now), 0);
    for (size_t i = 0; i < sizeof doubted_s / sizeof *doubted_s; i++) {
        accusers_strike(&a, &liar, now);
        accusers_strike(&a, &liar, now + 1); /* while it is doubted it makes no difference */
        now += doubted_s[i] * 1000;
        assert_int_equal(accusers_strikes(&a, &liar, now - 1), i < 4 ? i + 1 : 4);
        assert_int_equal(accusers_strikes(&a, &liar, now), 0);
        assert_int_equal(accusers_strikes(&a, &other, now - 1), 0);
    }
}

static void a_true_word_clears_and_so_does_time(void **state)
{
    struct accusers a = {0};
    struct node_id one = id_of(1), two = id_of(2);
    mono_ms now = 1000000;
    (void)state;
    accusers_strike(&a, &one, now);
    accusers_strike(&a, &two, now);
    accusers_clear(&a, &one);
    accusers_clear(&a, &one); /* of whom nothing is known: nothing */
    assert_int_equal(accusers_strikes(&a, &one, now), 0);
    assert_int_equal(accusers_strikes(&a, &two, now), 1);
    now += DOUBT_MIN_MS + DOUBT_FORGOTTEN_MS + 1;
    accusers_strike(&a, &two, now);
    assert_int_equal(accusers_strikes(&a, &two, now + DOUBT_MIN_MS - 1), 1);
    assert_int_equal(accusers_strikes(&a, &two, now + DOUBT_MIN_MS), 0);
}

static void the_table_is_bounded_and_the_least_doubted_goes(void **state)
{
    struct accusers a = {0};
    mono_ms now = 1000000;
    (void)state;
    struct node_id worst = id_of(7);
    accusers_strike(&a, &worst, now);
    now += DOUBT_MIN_MS;
    accusers_strike(&a, &worst, now);
    for (uint32_t n = 100; n < 100 + 3 * ACCUSERS_MAX; n++) {
        struct node_id id = id_of(n);
        accusers_strike(&a, &id, now);
        assert_int_equal(accusers_strikes(&a, &id, now), 1);
    }
    assert_int_equal(a.count, ACCUSERS_MAX);
    assert_int_equal(accusers_strikes(&a, &worst, now), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_strike_is_doubted_eight_times_as_long),
        cmocka_unit_test(a_true_word_clears_and_so_does_time),
        cmocka_unit_test(the_table_is_bounded_and_the_least_doubted_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
