/* How long a suspicion lasts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include "gossip/suspect.h"

static void the_logarithm_is_close_and_never_falls(void **state)
{
    uint32_t before = 0;
    (void)state;
    for (uint32_t n = 1; n <= 20000; n++) {
        uint32_t milli = suspect_log10_milli(n);
        assert_true(milli >= before);
        assert_true(fabs(milli - 1000 * log10(n)) < 40);
        before = milli;
    }
    assert_int_equal(suspect_log10_milli(1), 0);
    assert_int_equal(suspect_log10_milli(10), 1000);
    assert_int_equal(suspect_log10_milli(1000), 3000);
}

static void confirmations_shorten_it(void **state)
{
    (void)state;
    assert_int_equal(suspect_timeout_ms(4, 1000, 3, 0), 4000);
    assert_int_equal(suspect_timeout_ms(4, 1000, 10, 3), 4000);
    assert_int_equal(suspect_timeout_ms(4, 1000, 1000, 0), 12000);
    assert_int_equal(suspect_timeout_ms(4, 1000, 1000, 1), 8000);
    assert_int_equal(suspect_timeout_ms(4, 1000, 1000, 2), 5664);
    assert_int_equal(suspect_timeout_ms(4, 1000, 1000, 3), 4000);
    assert_int_equal(suspect_timeout_ms(4, 1000, 1000, 99), 4000);
}

static void an_accuser_counts_once(void **state)
{
    struct suspicion s = {0};
    struct node_id a = {{1}}, b = {{2}};
    (void)state;
    assert_true(suspect_confirm(&s, &a));
    assert_int_equal(suspect_confirmations(&s), 0); /* the first is the suspicion itself */
    assert_false(suspect_confirm(&s, &a));
    assert_true(suspect_confirm(&s, &b));
    assert_int_equal(suspect_confirmations(&s), 1);
    for (uint8_t n = 3; n < 50; n++)
        suspect_confirm(&s, &(struct node_id){{n}});
    assert_int_equal(suspect_confirmations(&s), SUSPECT_CONFIRMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_logarithm_is_close_and_never_falls),
        cmocka_unit_test(confirmations_shorten_it),
        cmocka_unit_test(an_accuser_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
