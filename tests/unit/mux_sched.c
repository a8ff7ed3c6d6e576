/* The scheduler alone: entries with numbers of bytes to send, no frames. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "mux/sched.h"

/* Lets whose turn it is send all its turn allows, or what it has. Returns the entry's index. */
static int turn(struct sched *s, struct sched_entry *all, size_t *has, mono_ms now)
{
    struct sched_entry *e = sched_next(s);
    assert_non_null(e);
    int i = (int)(e - all);
    size_t n = sched_limit(e) < has[i] ? sched_limit(e) : has[i];
    has[i] -= n;
    sched_charge(s, e, n);
    if (has[i] == 0)
        sched_remove(s, e, now);
    return i;
}

static void a_small_request_goes_before_a_download_under_way(void **state)
{
    (void)state;
    struct sched s;
    struct sched_entry e[2] = {0};
    size_t has[2] = {1 << 20, 1000};
    sched_init(&s);
    sched_add(&s, &e[0], 1000);
    for (int i = 0; i < 5; i++)
        assert_int_equal(turn(&s, e, has, 1000), 0);
    sched_add(&s, &e[1], 1000);
    assert_int_equal(turn(&s, e, has, 1000), 1);
    assert_int_equal(turn(&s, e, has, 1000), 0);
}

static void two_downloads_share_evenly(void **state)
{
    (void)state;
    struct sched s;
    struct sched_entry e[2] = {0};
    size_t has[2] = {4 << 20, 4 << 20};
    sched_init(&s);
    sched_add(&s, &e[0], 1000);
    sched_add(&s, &e[1], 1000);
    for (int i = 0; i < 100; i++)
        turn(&s, e, has, 1000);
    size_t apart = has[0] > has[1] ? has[0] - has[1] : has[1] - has[0];
    assert_in_range(apart, 0, SCHED_QUANTUM);
}

static void a_flood_of_small_requests_does_not_stop_a_download(void **state)
{
    (void)state;
    struct sched s;
    struct sched_entry e[201] = {0};
    size_t has[201] = {16 << 20};
    sched_init(&s);
    sched_add(&s, &e[0], 1000);
    turn(&s, e, has, 1000); /* it is bulk now */
    for (int i = 1; i <= 200; i++) {
        has[i] = 100;
        sched_add(&s, &e[i], 1000);
    }
    int bulk_turns = 0;
    for (int i = 0; i < 90; i++)
        bulk_turns += turn(&s, e, has, 1000) == 0;
    assert_in_range(bulk_turns, 9, 11);
}

static void a_download_that_trickles_stays_bulk_until_it_rests(void **state)
{
    (void)state;
    struct sched s;
    struct sched_entry e[1] = {0};
    size_t has[1] = {0};
    sched_init(&s);
    for (int i = 0; i < 20; i++) { /* always emptied at once, as by a writer that writes what fits */
        has[0] = 4096;
        sched_add(&s, &e[0], 1000 + (mono_ms)i);
        turn(&s, e, has, 1000 + (mono_ms)i);
    }
    sched_add(&s, &e[0], 1020);
    assert_int_equal(e[0].place, SCHED_BULK);
    sched_remove(&s, &e[0], 1020);
    sched_add(&s, &e[0], 1020 + SCHED_FORGET_MS);
    assert_int_equal(e[0].place, SCHED_FRESH);
}

static void blocked_ones_are_out_of_line_until_the_link_has_credit(void **state)
{
    (void)state;
    struct sched s;
    struct sched_entry e[2] = {0};
    sched_init(&s);
    sched_add(&s, &e[0], 1000);
    sched_add(&s, &e[1], 1000);
    sched_block(&s, sched_next(&s));
    sched_block(&s, sched_next(&s));
    assert_true(sched_is_empty(&s));
    assert_null(sched_next(&s));
    sched_remove(&s, &e[0], 1000);
    sched_unblock(&s, 1000);
    assert_ptr_equal(sched_next(&s), &e[1]);
}

static void an_overdraft_is_paid_off_in_rounds(void **state)
{
    (void)state;
    struct sched s;
    struct sched_entry e[2] = {0};
    size_t has[2] = {4 << 20, 4 << 20};
    sched_init(&s);
    sched_add(&s, &e[0], 1000);
    sched_charge(&s, sched_next(&s), 5 * SCHED_QUANTUM); /* a large head went whole */
    sched_add(&s, &e[1], 1000);
    int first = 0;
    for (int i = 0; i < 5; i++) /* until both have sent the same */
        first += turn(&s, e, has, 1000) == 0;
    assert_int_equal(first, 0);
    assert_int_equal(turn(&s, e, has, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_request_goes_before_a_download_under_way),
        cmocka_unit_test(two_downloads_share_evenly),
        cmocka_unit_test(a_flood_of_small_requests_does_not_stop_a_download),
        cmocka_unit_test(a_download_that_trickles_stays_bulk_until_it_rests),
        cmocka_unit_test(blocked_ones_are_out_of_line_until_the_link_has_credit),
        cmocka_unit_test(an_overdraft_is_paid_off_in_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
