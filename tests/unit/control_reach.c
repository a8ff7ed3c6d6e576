/* Whether traffic gets through to a member, as the dials to it show. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "control/reach.h"
#include "link/link.h"

static void a_dial_that_is_not_answered_says_so_at_its_end(void **state)
{
    (void)state;
    struct reach r = {0};
    assert_false(reach_is_lost(&r, 100000));
    reach_note(&r, WORKER_LINK_TIMEOUT, 100000); /* begun 5 s ago */
    assert_true(reach_is_lost(&r, 100000));
    assert_false(r.is_refused);
}

/* A process that has just died refuses too; gossip finds that out within REACH_LOST_MS. */
static void a_refused_dial_is_waited_for(void **state)
{
    (void)state;
    struct reach r = {0};
    reach_note(&r, WORKER_LINK_REFUSED, 5000);
    assert_false(reach_is_lost(&r, 5000));
    assert_false(reach_is_lost(&r, 5000 + REACH_LOST_MS - 1));
    reach_note(&r, WORKER_LINK_REFUSED, 7000);
    assert_true(reach_is_lost(&r, 5000 + REACH_LOST_MS));
    assert_true(r.is_refused);
}

static void a_link_of_ours_that_works_ends_it_and_one_of_theirs_does_not(void **state)
{
    (void)state;
    struct reach r = {0};
    reach_note(&r, WORKER_LINK_TIMEOUT, 100000);
    reach_note(&r, WORKER_LINK_HEARD, 100100);
    reach_note(&r, WORKER_LINK_LOST, 100200);
    assert_true(reach_is_lost(&r, 100200));
    reach_note(&r, WORKER_LINK_WORKS, 100300);
    assert_false(reach_is_lost(&r, 200000));
}

/* The clock begins at any number, also near 0. */
static void a_dial_at_the_beginning_of_time_counts(void **state)
{
    (void)state;
    struct reach r = {0};
    reach_note(&r, WORKER_LINK_REFUSED, 0);
    assert_true(reach_is_lost(&r, REACH_LOST_MS + 1));
    r = (struct reach){0};
    reach_note(&r, WORKER_LINK_TIMEOUT, LINK_HANDSHAKE_TIMEOUT_MS);
    assert_true(reach_is_lost(&r, LINK_HANDSHAKE_TIMEOUT_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dial_that_is_not_answered_says_so_at_its_end),
        cmocka_unit_test(a_refused_dial_is_waited_for),
        cmocka_unit_test(a_link_of_ours_that_works_ends_it_and_one_of_theirs_does_not),
        cmocka_unit_test(a_dial_at_the_beginning_of_time_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
