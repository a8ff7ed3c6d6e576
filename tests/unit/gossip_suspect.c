/* How long a suspicion lasts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <cmocka.h>

#include <stdlib.h>

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

static struct suspicion *begin(struct suspicions *q, mono_ms deadline, mono_ms verify_at)
{
    struct suspicion *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->deadline = deadline;
    s->verify_at = verify_at;
    assert_true(suspicions_add(q, s));
    return s;
}

/* Hundreds begin and end: each keeps its turn, and what is due is the earlier of its two times. */
static void suspicions_keep_their_order_and_places(void **state)
{
    (void)state;
    enum { MANY = 300 };
    struct suspicions q = {0};
    struct suspicion *s[MANY];
    for (mono_ms i = 0; i < MANY; i++)
        s[i] = begin(&q, 1000 + i, i % 2 ? NEVER : 500 + i);
    assert_int_equal(q.due[6], 506);
    assert_int_equal(q.due[7], 1007);
    for (int i = 0; i < MANY; i++)
        if (i % 3 != 0)
            suspicions_end(&q, s[i]);
    assert_true(q.due[7] == NEVER && !q.list[7]);
    assert_ptr_equal(q.list[s[9]->place], s[9]); /* while it is gone through nobody moves */
    assert_int_equal(s[9]->place, 9);
    suspicions_tidy(&q);
    assert_int_equal(q.count, MANY / 3);
    for (uint32_t i = 0; i < q.count; i++)
        assert_true(q.list[i] == s[3 * i] && q.list[i]->place == i);
    s[9]->verify_at = 7;
    assert_int_equal(suspicions_reschedule(&q, s[9]), 7);
    assert_int_equal(q.due[3], 7);
    suspicions_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_logarithm_is_close_and_never_falls),
        cmocka_unit_test(confirmations_shorten_it),
        cmocka_unit_test(an_accuser_counts_once),
        cmocka_unit_test(suspicions_keep_their_order_and_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
