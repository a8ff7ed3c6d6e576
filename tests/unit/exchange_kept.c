/* What is kept is counted by the memory that it takes, and bounded by the sum. */
#include "exchange/kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char forty[] = "forty bytes, as one may count if one wants";

static void memory_is_counted_as_it_grows_and_given_back(void **state)
{
    struct buf b = {0};
    atomic_size_t all = 0;
    (void)state;
    assert_true(kept_add(&b, bytes_of(forty, 40), &all, 1000));
    assert_int_equal(all, 64);
    assert_true(kept_add(&b, bytes_of(forty, 24), &all, 1000)); /* fills it */
    assert_int_equal(all, 64);
    assert_true(kept_add(&b, bytes_of(forty, 1), &all, 1000));
    assert_int_equal(all, 128);
    assert_int_equal(b.len, 65);
    kept_drop(&b, &all);
    assert_int_equal(all, 0);
    assert_null(b.at);
}

static void what_would_be_too_much_changes_nothing(void **state)
{
    struct buf b = {.max = 100}, other = {0};
    atomic_size_t all = 0;
    (void)state;
    assert_true(kept_add(&b, bytes_of(forty, 40), &all, 190));
    assert_true(kept_add(&other, bytes_of(forty, 40), &all, 190));
    assert_int_equal(all, 128);
    assert_false(kept_add(&other, bytes_of(forty, 40), &all, 190)); /* 128 instead of 64 */
    assert_true(kept_add(&b, bytes_of(forty, 40), &all, 190));      /* its own end is 100 */
    assert_int_equal(all, 164);
    assert_false(kept_add(&b, bytes_of(forty, 40), &all, 1000));
    assert_int_equal(all, 164);
    assert_int_equal(b.len, 80);
    assert_true(buf_ok(&b) && buf_ok(&other));
    kept_drop(&b, &all);
    kept_drop(&other, &all);
    assert_int_equal(all, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_counted_as_it_grows_and_given_back),
        cmocka_unit_test(what_would_be_too_much_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
