/* Who was cut, the newest first, in a bounded list. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "control/fallen.h"

static void the_newest_are_kept_and_the_oldest_give_way(void **state)
{
    (void)state;
    static struct fallen f;
    static struct record r;
    char name[NODE_NAME_MAX + 1], why[1000];
    assert_int_equal(fallen_count(&f), 0);
    r.service_count = 2;
    r.service[0].name = bytes_str("cart");
    r.service[1].name = bytes_str("db");
    for (int i = 0; i < FALLEN_MAX + 3; i++) {
        snprintf(name, sizeof name, "host-%d", i);
        snprintf(why, sizeof why, "reason %d", i);
        r.credential.node = bytes_str(name);
        fallen_note(&f, &r, why, 1000 + i);
    }
    assert_int_equal(fallen_count(&f), FALLEN_MAX);
    assert_string_equal(fallen_at(&f, 0)->name, "host-34");
    assert_string_equal(fallen_at(&f, 0)->why, "reason 34");
    assert_int_equal(fallen_at(&f, 0)->at, 1034);
    assert_string_equal(fallen_at(&f, FALLEN_MAX - 1)->name, "host-3");
    assert_true(fallen_offered(fallen_at(&f, 0), bytes_str("db")));
    assert_false(fallen_offered(fallen_at(&f, 0), bytes_str("d")));
    memset(why, 'x', sizeof why - 1);
    why[sizeof why - 1] = 0;
    r.service_count = 0;
    fallen_note(&f, &r, why, 2000); /* longer than there is room: cut */
    assert_int_equal(strlen(fallen_at(&f, 0)->why), FALLEN_WHY_MAX);
    assert_false(fallen_offered(fallen_at(&f, 0), bytes_str("cart")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_newest_are_kept_and_the_oldest_give_way)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
