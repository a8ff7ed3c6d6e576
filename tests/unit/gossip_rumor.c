/* The rumor queue: least sent first, one rumor per subject and class, bounded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/member.h"
#include "gossip/rumor.h"

static void newer_news_replaces_older_in_place(void **state)
{
    struct rumors q;
    struct rumor *home = NULL;
    (void)state;
    rumors_init(&q);
    struct rumor *first = rumors_put(&q, RUMORS_RECORD, &home);
    rumors_sent(&q, first, false, 10);
    rumors_sent(&q, first, false, 10);
    assert_int_equal(home->sends, 2);
    assert_ptr_equal(rumors_put(&q, RUMORS_RECORD, &home), first);
    assert_int_equal(home->sends, 0);
    assert_int_equal(q.count[RUMORS_RECORD], 1);
    rumors_fini(&q);
    assert_null(home);
}

static void the_least_sent_comes_first_and_the_limit_ends_it(void **state)
{
    struct rumors q;
    struct rumor *home[3] = {NULL};
    (void)state;
    rumors_init(&q);
    for (int i = 0; i < 3; i++)
        rumors_put(&q, RUMORS_OPINION, &home[i]);
    rumors_sent(&q, home[0], false, 3);
    rumors_sent(&q, home[0], false, 3);
    rumors_sent(&q, home[1], false, 3);
    struct rumor *r = rumors_first(&q, RUMORS_OPINION);
    assert_ptr_equal(r, home[2]);
    r = rumors_next(&q, r);
    assert_ptr_equal(r, home[1]);
    r = rumors_next(&q, r);
    assert_ptr_equal(r, home[0]);
    assert_null(rumors_next(&q, r));
    assert_true(rumors_sent(&q, home[0], false, 3));
    assert_null(home[0]);
    rumors_fini(&q);
}

static void eager_pushes_are_owed_and_paid(void **state)
{
    struct rumors q;
    struct rumor *home = NULL;
    (void)state;
    rumors_init(&q);
    rumors_eager(&q, rumors_put(&q, RUMORS_DOC, &home), 2);
    assert_true(rumors_is_eager(&q));
    rumors_sent(&q, home, true, 10);
    assert_true(rumors_is_eager(&q));
    rumors_sent(&q, home, false, 10); /* piggybacked: pays nothing */
    assert_true(rumors_is_eager(&q));
    rumors_sent(&q, home, true, 10);
    assert_false(rumors_is_eager(&q));
    rumors_fini(&q);
}

/* In a mesh of nine the limit is four, as many as the first pushes: those must not cost it the second wave. */
static void what_owes_a_push_is_not_dropped_at_the_limit(void **state)
{
    struct rumors q;
    struct rumor *home = NULL;
    (void)state;
    rumors_init(&q);
    rumors_put(&q, RUMORS_RECORD, &home)->owes_wave = true;
    rumors_eager(&q, home, 2);
    assert_false(rumors_sent(&q, home, true, 2));
    assert_false(rumors_sent(&q, home, true, 2));
    home->owes_wave = false;
    rumors_eager(&q, home, 1);
    assert_true(rumors_sent(&q, home, true, 2));
    assert_null(home);
    rumors_fini(&q);
}

static void a_full_class_drops_its_most_sent_and_no_other_class(void **state)
{
    static struct rumor *home[RUMORS_MAX + 1], *other;
    struct rumors q;
    (void)state;
    rumors_init(&q);
    rumors_put(&q, RUMORS_OPINION, &other);
    for (int i = 0; i < RUMORS_MAX; i++)
        rumors_put(&q, RUMORS_RECORD, &home[i]);
    rumors_sent(&q, home[99], false, 10);
    rumors_put(&q, RUMORS_RECORD, &home[RUMORS_MAX]);
    assert_null(home[99]);
    assert_non_null(other);
    assert_int_equal(q.count[RUMORS_RECORD], RUMORS_MAX);
    rumors_fini(&q);
}

static void a_member_that_goes_takes_its_rumors_along(void **state)
{
    struct rumors q;
    struct member m = {0}, n = {0};
    (void)state;
    rumors_init(&q);
    rumors_put(&q, RUMORS_RECORD, &member_busy(&m)->fresh)->subject = &m;
    rumors_put(&q, RUMORS_OPINION, &member_busy(&m)->opinion)->subject = &m;
    struct rumor *other = rumors_put(&q, RUMORS_RECORD, &member_busy(&n)->fresh);
    other->subject = &n;
    other->source = &m;
    rumors_forget(&q, &m);
    assert_null(m.busy); /* the last to go takes it along */
    assert_ptr_equal(member_fresh(&n), other);
    assert_null(other->source);
    rumors_fini(&q);
    assert_null(n.busy);
}

static void a_record_that_becomes_a_good_bye_changes_its_class(void **state)
{
    struct rumors q;
    struct rumor *home = NULL;
    (void)state;
    rumors_init(&q);
    rumors_eager(&q, rumors_put(&q, RUMORS_RECORD, &home), 3);
    assert_int_equal(q.eager_count, 1);
    assert_non_null(rumors_put(&q, RUMORS_LEAVE, &home));
    assert_true(q.count[RUMORS_RECORD] == 0 && q.count[RUMORS_LEAVE] == 1 && q.eager_count == 0);
    assert_ptr_equal(rumors_first(&q, RUMORS_LEAVE), home);
    assert_null(rumors_first(&q, RUMORS_RECORD));
    rumors_fini(&q);
    assert_null(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newer_news_replaces_older_in_place),
        cmocka_unit_test(the_least_sent_comes_first_and_the_limit_ends_it),
        cmocka_unit_test(eager_pushes_are_owed_and_paid),
        cmocka_unit_test(what_owes_a_push_is_not_dropped_at_the_limit),
        cmocka_unit_test(a_full_class_drops_its_most_sent_and_no_other_class),
        cmocka_unit_test(a_record_that_becomes_a_good_bye_changes_its_class),
        cmocka_unit_test(a_member_that_goes_takes_its_rumors_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
