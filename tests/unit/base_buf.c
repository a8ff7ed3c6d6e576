/* The growing buffer: its cap, its memory of a failure, and printf. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"

static void it_grows_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct buf b = {0};
    for (int i = 0; i < 1000; i++)
        buf_addf(&b, "%d,", i);
    assert_true(buf_ok(&b));
    assert_memory_equal(b.at, "0,1,2,3,", 8);
    assert_string_equal(buf_str(&b) + b.len - 8, "998,999,");
    buf_fini(&b);
    assert_null(b.at);
}

static void at_its_cap_it_fails_and_stays_as_it_was(void **state)
{
    (void)state;
    struct buf b = {.max = 8};
    buf_add_str(&b, "12345678");
    assert_true(buf_ok(&b));
    assert_int_equal(b.cap, 8);
    buf_add_u8(&b, '9');
    assert_false(buf_ok(&b));
    buf_add(&b, NULL, 0);
    assert_null(buf_reserve(&b, 0)); /* it remembers */
    assert_int_equal(b.len, 8);
    assert_memory_equal(b.at, "12345678", 8);
    assert_string_equal(buf_str(&b), "");
    buf_fini(&b);
    assert_int_equal(b.max, 8);
    assert_true(buf_ok(&b));
}

static void printf_that_does_not_fit_adds_nothing(void **state)
{
    (void)state;
    struct buf b = {.max = 8};
    buf_addf(&b, "%s", "1234567"); /* and room for its NUL */
    assert_int_equal(b.len, 7);
    buf_addf(&b, "%s", "8");
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 7);
    buf_fini(&b);
}

static void absurd_lengths_do_not_wrap(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_add_str(&b, "x");
    assert_null(buf_reserve(&b, SIZE_MAX - 1));
    assert_false(buf_ok(&b));
    buf_fini(&b);
}

static void consuming_moves_the_rest_to_the_front(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_consume(&b, 0);
    buf_add_str(&b, "hello world");
    buf_consume(&b, 6);
    assert_string_equal(buf_str(&b), "world");
    buf_consume(&b, 5);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_bytes(&b).len, 0);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows_and_keeps_what_it_has),
        cmocka_unit_test(at_its_cap_it_fails_and_stays_as_it_was),
        cmocka_unit_test(printf_that_does_not_fit_adds_nothing),
        cmocka_unit_test(absurd_lengths_do_not_wrap),
        cmocka_unit_test(consuming_moves_the_rest_to_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
