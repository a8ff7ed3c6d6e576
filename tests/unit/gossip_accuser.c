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

static void strike(struct accusers *a, const struct node_id *id, mono_ms now, int times)
{
    while (times-- > 0)
        accusers_strike(a, id, now);
}

static void three_are_free_and_each_further_one_costs_eight_times_as_much(void **state)
{
    static const uint32_t doubted_s[] = {10, 80, 640, 5120, 5120};
    struct accusers a = {0};
    struct node_id liar = id_of(1), other = id_of(2);
    mono_ms now = 1000000;
    (void)state;
    for (size_t i = 0; i < sizeof doubted_s / sizeof *doubted_s; i++) {
        strike(&a, &liar, now, STRIKES_FREE);
        assert_false(accusers_doubt(&a, &liar, now));
        strike(&a, &liar, now, 10); /* while it is doubted, more make no difference */
        now += doubted_s[i] * 1000;
        assert_true(accusers_doubt(&a, &liar, now - 1));
        assert_false(accusers_doubt(&a, &liar, now));
        assert_false(accusers_doubt(&a, &other, now - 1));
        now += (STRIKES_FREE + 1) * STRIKE_FORGIVEN_MS;
    }
}

static void who_errs_now_and_then_is_not_doubted(void **state)
{
    struct accusers a = {0};
    struct node_id honest = id_of(1);
    mono_ms now = 1000000;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        strike(&a, &honest, now, 1);
        assert_false(accusers_doubt(&a, &honest, now));
        now += STRIKE_FORGIVEN_MS;
    }
}

static void a_true_word_clears_and_so_does_time(void **state)
{
    struct accusers a = {0};
    struct node_id one = id_of(1), two = id_of(2);
    mono_ms now = 1000000;
    (void)state;
    strike(&a, &one, now, STRIKES_FREE + 1);
    strike(&a, &two, now, STRIKES_FREE + 1);
    accusers_clear(&a, &one);
    accusers_clear(&a, &one); /* of whom nothing is known: nothing */
    assert_false(accusers_doubt(&a, &one, now));
    assert_true(accusers_doubt(&a, &two, now));
    now += DOUBT_MIN_MS + DOUBT_FORGOTTEN_MS + 1;
    strike(&a, &two, now, STRIKES_FREE + 1);
    assert_true(accusers_doubt(&a, &two, now + DOUBT_MIN_MS - 1));
    assert_false(accusers_doubt(&a, &two, now + DOUBT_MIN_MS));
}

static void the_table_is_bounded_and_the_least_doubted_goes(void **state)
{
    struct accusers a = {0};
    struct node_id worst = id_of(7);
    mono_ms now = 1000000;
    (void)state;
    strike(&a, &worst, now, STRIKES_FREE + 1);
    for (uint32_t n = 100; n < 100 + 3 * ACCUSERS_MAX; n++) {
        struct node_id id = id_of(n);
        strike(&a, &id, now, 1);
    }
    assert_int_equal(a.count, ACCUSERS_MAX);
    assert_true(accusers_doubt(&a, &worst, now));
}

static void what_is_not_proved_counts_until_it_is_or_is_forgotten(void **state)
{
    struct accusers a = {0};
    struct node_id one = id_of(1), two = id_of(2);
    mono_ms now = 1000000;
    (void)state;
    for (uint32_t k = 0; k < 10; k++) {
        assert_int_equal(accusers_unproved(&a, &one, now), k < UNPROVED_MAX ? k : UNPROVED_MAX);
        accusers_tells(&a, &one, now);
    }
    assert_int_equal(accusers_unproved(&a, &two, now), 0);
    assert_int_equal(accusers_strikes(&a, &one, now), 0); /* nor was it wrong */
    now += UNPROVED_FORGOTTEN_MS;
    assert_int_equal(accusers_unproved(&a, &one, now), UNPROVED_MAX - 1);
    accusers_tells(&a, &one, now);
    assert_int_equal(accusers_unproved(&a, &one, now), UNPROVED_MAX);
    accusers_proved(&a, &one);
    accusers_proved(&a, &two); /* of whom nothing is known: nothing */
    assert_int_equal(accusers_unproved(&a, &one, now), 0);
}

/* Of those who were never wrong, whose last word is the longest ago makes room. */
static void who_told_last_long_ago_makes_room(void **state)
{
    struct accusers a = {0};
    struct node_id now_and_then = id_of(7);
    mono_ms now = 1000000;
    (void)state;
    for (uint32_t n = 100; n < 100 + 3 * ACCUSERS_MAX; n++) {
        struct node_id id = id_of(n);
        now += 1000;
        accusers_tells(&a, &id, now);
        if (n % 100 == 0)
            accusers_tells(&a, &now_and_then, now);
    }
    assert_int_equal(a.count, ACCUSERS_MAX);
    assert_true(accusers_unproved(&a, &now_and_then, now) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_are_free_and_each_further_one_costs_eight_times_as_much),
        cmocka_unit_test(who_errs_now_and_then_is_not_doubted),
        cmocka_unit_test(a_true_word_clears_and_so_does_time),
        cmocka_unit_test(the_table_is_bounded_and_the_least_doubted_goes),
        cmocka_unit_test(what_is_not_proved_counts_until_it_is_or_is_forgotten),
        cmocka_unit_test(who_told_last_long_ago_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
