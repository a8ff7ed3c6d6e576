/* What is done on the mere word of others: so much at once, and then as much as comes back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/credit.h"

static uint32_t spend_all(struct credit *c, mono_ms now)
{
    uint32_t n = 0;
    while (credit_take(c, 1, now))
        n++;
    return n;
}

/* G4 */
static void a_flood_spends_the_burst_once_and_then_what_comes_back(void **state)
{
    struct credit c = credit_new(6, 4000, 1000);
    (void)state;
    uint32_t spent = 0;
    for (mono_ms now = 1000; now <= 41000; now += 10)
        spent += spend_all(&c, now);
    assert_int_equal(spent, 6 + 10);
    assert_int_equal(spend_all(&c, 41000 + 3600 * 1000),
                     6); /* an hour of silence is worth no more than the burst */
}

static void what_is_nearly_back_is_not_lost(void **state)
{
    struct credit c = credit_new(2, 1000, 0);
    (void)state;
    assert_int_equal(spend_all(&c, 0), 2);
    assert_false(credit_has(&c, 999));
    assert_true(credit_take(&c, 1, 1999));
    assert_false(credit_has(&c, 1999));
    assert_true(credit_has(&c, 2000));
}

static void who_was_wrong_needs_more_to_be_left(void **state)
{
    struct credit c = credit_new(4, 1000, 0);
    (void)state;
    assert_true(credit_take(&c, 4, 0));
    assert_false(credit_take(&c, 4, 0));
    assert_true(credit_take(&c, 3, 0));
    assert_true(credit_take(&c, 2, 0));
    assert_false(credit_take(&c, 2, 0));
    assert_true(credit_take(&c, 1, 0));
    assert_true(credit_take(&c, 100, 4000)); /* nobody needs more than there can be */
}

/* A rack is lost: each round of looks is twice as large. */
static void true_words_earn_more(void **state)
{
    struct credit c = credit_new(6, 4000, 0);
    uint32_t round = 6;
    (void)state;
    for (int i = 0; i < 3; i++, round *= 2) {
        assert_int_equal(spend_all(&c, 0), round);
        for (uint32_t k = 0; k < round; k++)
            credit_earn(&c);
    }
    for (int k = 0; k < 1000; k++)
        credit_earn(&c);
    assert_true(credit_is_full(&c, 0));
    assert_int_equal(spend_all(&c, 100000), CREDIT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_spends_the_burst_once_and_then_what_comes_back),
        cmocka_unit_test(what_is_nearly_back_is_not_lost),
        cmocka_unit_test(who_was_wrong_needs_more_to_be_left),
        cmocka_unit_test(true_words_earn_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
