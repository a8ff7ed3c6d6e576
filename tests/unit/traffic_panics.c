/* A panic of several workers is one; services do not get into each other's way. */
#include "traffic/panics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = panics_new(&(struct shorthash_key){{7}});
    return *state ? 0 : -1;
}
static int tear_down(void **state)
{
    panics_free(*state);
    return 0;
}

static size_t begin(struct panics *p, const char *service, const char *subset, bool want_first)
{
    bool is_first;
    size_t place = panics_begin(p, service, subset, &is_first);
    assert_int_equal(is_first, want_first);
    return place;
}

static void it_begins_with_the_first_worker_and_ends_with_the_last(void **state)
{
    struct panics *p = *state;
    size_t one = begin(p, "cart", "", true), two = begin(p, "cart", "", false);
    assert_true(panics_is_on(p, "cart", ""));
    assert_false(panics_is_on(p, "cart", "v1"));
    assert_false(panics_end(p, one));
    assert_true(panics_is_on(p, "cart", ""));
    assert_true(panics_end(p, two));
    assert_false(panics_is_on(p, "cart", ""));
    assert_true(panics_end(p, begin(p, "cart", "", true))); /* and again */
}

/* Of a thousand that panic at once, each one's begin is the first of that one, and its end the last. */
static void a_thousand_do_not_hide_each_other(void **state)
{
    enum { COUNT = 1000 };
    struct panics *p = *state;
    static size_t place[COUNT];
    char name[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "s%d", i);
        place[i] = begin(p, name, "", true);
    }
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_true(panics_is_on(p, name, ""));
        (void)begin(p, name, "", false); /* another worker's */
        assert_false(panics_end(p, place[i]));
        assert_true(panics_end(p, place[i]));
        assert_false(panics_is_on(p, name, ""));
    }
}

/* Whoever finds no place is told by each worker, rather than by none. */
static void beyond_the_table_it_is_told_too_often(void **state)
{
    struct panics *p = *state;
    char name[16];
    bool is_first;
    size_t unplaced = 0;
    for (int i = 0; i < 2 * PANICS_MAX; i++) {
        snprintf(name, sizeof name, "s%d", i);
        size_t one = panics_begin(p, name, "", &is_first);
        assert_true(is_first);
        size_t two = panics_begin(p, name, "", &is_first);
        assert_int_equal(one, two);
        assert_int_equal(is_first, one == SIZE_MAX);
        unplaced += one == SIZE_MAX;
    }
    assert_in_range(unplaced, PANICS_MAX, PANICS_MAX + PANICS_MAX / 4);
    assert_true(panics_end(p, SIZE_MAX));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(it_begins_with_the_first_worker_and_ends_with_the_last),
        T(a_thousand_do_not_hide_each_other),
        T(beyond_the_table_it_is_told_too_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
