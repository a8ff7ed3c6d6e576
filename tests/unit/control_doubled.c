/* Two agents with one key, as others see them who have no proof of it (ADVERSARY G33). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "control/doubled.h"

static const struct addr a = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}, .port = 7400};
static const struct addr b = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 2}, .port = 7400};
static const struct addr c = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 3}, .port = 7400};

static void who_is_back_where_it_just_was_is_two(void **state)
{
    (void)state;
    struct doubled d = {0};
    assert_false(doubled_note(&d, &a, 1000));
    assert_false(doubled_note(&d, &a, 2000));
    assert_false(doubled_note(&d, &b, 3000));
    assert_true(doubled_note(&d, &a, 4000));
    assert_true(doubled_is_on(&d, 4000));
    assert_false(doubled_note(&d, &b, 5000)); /* told already */
    assert_true(doubled_is_on(&d, 5000 + DOUBLED_MS - 1));
    assert_false(doubled_is_on(&d, 5000 + DOUBLED_MS));
    assert_false(doubled_note(&d, &a, 5000 + DOUBLED_MS)); /* ... and that was long ago */
}

static void who_moves_is_one(void **state)
{
    (void)state;
    struct doubled d = {0};
    assert_false(doubled_note(&d, &a, 1000));
    assert_false(doubled_note(&d, &b, 2000));
    assert_false(doubled_note(&d, &c, 3000));
    assert_false(doubled_note(&d, &a, 4000)); /* the one before the last */
    assert_false(doubled_is_on(&d, 4000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_back_where_it_just_was_is_two),
        cmocka_unit_test(who_moves_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
