/* Who is a member, as seen in traces: probes, failures, suspicion and refutation, join, leave, return. */
#include "world.h"

static void two_members_probe_each_other(void **state)
{
    struct world *w = world_new(WORLD_PACKETS | WORLD_EVENTS | WORLD_BULK);
    (void)state;
    world_start(w, 0, "");
    world_start(w, 1, "a");
    world_run(w, 50);
    EXPECT_TRACE(w, "[     0] a * a alive, new\n"
                    "[     0] b * b alive, new\n"
                    "[     0] b > a sync\n"
                    "[    10] a * joined\n"
                    "[    10] a * b alive, new\n"
                    "[    10] a > b state 1\n"
                    "[    20] b * joined\n"
                    "[    20] b * a alive, new\n");
    world_free(w);
}

static void a_joiner_learns_everybody_from_its_seed(void **state)
{
    struct world *w = world_new(WORLD_EVENTS | WORLD_BULK);
    (void)state;
    world_start(w, 0, "");
    world_start(w, 1, "a");
    world_run(w, 100);
    world_forget_log(w);
    world_start(w, 2, "a");
    world_run(w, 200);
    EXPECT_TRACE(w, "[   100] c * c alive, new\n"
                    "[   100] c > a sync\n"
                    "[   110] a * c alive, new\n"
                    "[   110] a > c state 2\n"
                    "[   120] b * c alive, new\n"
                    "[   120] c * joined\n"
                    "[   120] c * a alive, new\n"
                    "[   120] c * b alive, new\n");
    world_free(w);
}

static void an_unreachable_seed_is_tried_for_ever_with_backoff(void **state)
{
    struct world *w = world_new(WORLD_EVENTS | WORLD_BULK);
    (void)state;
    world_start(w, 1, "a");
    world_run(w, 100000);
    EXPECT_TRACE(w, "[     0] b * b alive, new\n"
                    "[     0] b > a sync\n"
                    "[   515] b > a sync\n"
                    "[  1673] b > a sync\n"
                    "[  4059] b > a sync\n"
                    "[  8115] b > a sync\n"
                    "[ 16318] b > a sync\n"
                    "[ 33902] b > a sync\n"
                    "[ 67926] b > a sync\n");
    world_forget_log(w);
    world_start(w, 0, "");
    world_run(w, 140000);
    EXPECT_TRACE(w, "[100000] a * a alive, new\n"
                    "[104685] b > a sync\n"
                    "[104695] a * joined\n"
                    "[104695] a * b alive, new\n"
                    "[104695] a > b state 1\n"
                    "[104705] b * joined\n"
                    "[104705] b * a alive, new\n");
    world_free(w);
}

static void a_silent_member_is_probed_through_others_then_suspect_then_dead(void **state)
{
    struct world *w = world_of(3, 10000, WORLD_PACKETS | WORLD_EVENTS);
    (void)state;
    w->only = 0;
    world_stop(w, 2);
    world_run(w, 17000);
    EXPECT_TRACE(
        w, "[ 10313] a > c ping\n"
           "[ 10495] a > c ping\n"
           "[ 10495] a > b ping-req c\n"
           "[ 10709] a * c alive -> suspect\n"
           "[ 10709] a > b push | suspect c 1 by a\n"
           "[ 10719] b * c alive -> suspect\n"
           "[ 10914] a > b ack | suspect c 1 by a\n"
           "[ 11315] a > b ping | suspect c 1 by a\n" /* without c its turns are others: it misses one */
           "[ 11709] a > c ping | suspect c 1 by a\n"
           "[ 11845] a > b ping | suspect c 1 by a\n"
           "[ 12009] a > c ping | suspect c 1 by a\n" /* no answer: do others hear us? */
           "[ 12009] a > b ping\n"
           "[ 12080] a > b ack\n"
           "[ 12427] a > b ack\n"
           "[ 12824] a > c ping | suspect c 1 by a\n"
           "[ 12845] a > b ping\n"
           "[ 13080] a > b ack\n"
           "[ 13124] a > c ping | suspect c 1 by a\n"
           "[ 13124] a > b ping\n"
           "[ 13743] a > b ack\n"
           "[ 13845] a > b ping\n"
           "[ 14161] a > c ping | suspect c 1 by a\n"
           "[ 14313] a * c suspect -> dead\n"
           "[ 14313] a > b push | dead c 1 by a\n"
           "[ 14461] a > c ping | dead c 1 by a\n"
           "[ 14461] a > b ping | dead c 1 by a\n"
           "[ 14719] b * c suspect -> dead\n"
           "[ 15080] a > b ack | dead c 1 by a\n"
           "[ 15845] a > b ping | dead c 1 by a\n"
           "[ 16080] a > b ack\n"
           "[ 16845] a > b ping\n");
    world_free(w);
}

/* Who is told that only others hear it asks once more, and soon: they may lie. */
static void a_broken_path_is_bridged_by_the_third(void **state)
{
    struct world *w = world_of(3, 10000, WORLD_PACKETS | WORLD_EVENTS);
    (void)state;
    w->only = 0;
    world_cut(w, "a", "c", true);
    world_run(w, 13000);
    EXPECT_TRACE(w, "[ 10275] a > b ack\n"
                    "[ 10313] a > c ping\n"
                    "[ 10495] a > c ping\n"
                    "[ 10495] a > b ping-req c\n"
                    "[ 10763] a > b ack\n" /* of whom c asks b: our turn at c was missed */
                    "[ 10959] a > c ping\n"
                    "[ 11080] a > b ack\n"
                    "[ 11141] a > c ping\n"
                    "[ 11141] a > b ping-req c\n"
                    "[ 11249] a > c ping\n"
                    "[ 11418] a > b ack\n"
                    "[ 11845] a > b ping\n"
                    "[ 12080] a > b ack\n"
                    "[ 12930] a > b ack\n"
                    "[ 12959] a > c ping\n");
    assert_string_equal(world_state(w, 0, 2), "alive");
    assert_string_equal(world_state(w, 2, 0), "alive");
    world_free(w);
}

static void an_accused_member_refutes_and_an_accuser_alone_kills_nobody(void **state)
{
    struct world *w = world_of(3, 10000, WORLD_EVENTS);
    (void)state;
    struct rumor_item i = {
        .type = RUMOR_DEAD, .subject = world_id(2), .accuser = world_id(1), .incarnation = 1};
    world_say(w, 1, 0, &i);
    world_run(w, 20000);
    EXPECT_TRACE(w, "[ 10010] a * c alive -> suspect\n"
                    "[ 10020] c * wants incarnation 2\n"
                    "[ 10030] a * c suspect -> alive\n"
                    "[ 10030] b * c has a new record\n");
    world_free(w);
}

static void a_member_that_returns_is_alive_again_everywhere(void **state)
{
    struct world *w = world_of(3, 10000, 0);
    (void)state;
    world_stop(w, 2);
    world_run(w, 20000);
    assert_string_equal(world_state(w, 0, 2), "dead");
    assert_string_equal(world_state(w, 1, 2), "dead");
    w->show = WORLD_EVENTS;
    world_start(w, 2, "a");
    world_run(w, 21000);
    EXPECT_TRACE(w, "[ 20000] c * c alive, new\n"
                    "[ 20010] a * c dead -> alive\n"
                    "[ 20020] c * a alive, new\n"
                    "[ 20020] b * c dead -> alive\n"
                    "[ 20020] c * joined\n"
                    "[ 20020] c * b alive, new\n");
    world_free(w);
}

static void who_leaves_says_so_and_is_not_accused(void **state)
{
    struct world *w = world_of(3, 10000, WORLD_EVENTS | WORLD_PACKETS);
    (void)state;
    w->only = 2;
    w->node[2].version++;
    assert_int_equal(world_publish(w, 2, true), ERR_OK);
    world_drain(w, 2);
    world_run(w, 11000);
    assert_true(w->node[2].is_left_sent);
    world_stop(w, 2);
    world_run(w, 40000);
    EXPECT_TRACE(w, "[ 10000] c * c alive -> left\n"
                    "[ 10000] c > b push | left c 1.2\n"
                    "[ 10000] c > a push | left c 1.2\n"
                    "[ 10010] b * c alive -> left\n"
                    "[ 10010] a * c alive -> left\n"
                    "[ 10300] c * left\n");
    world_free(w);
}

static void a_partition_heals_by_itself(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    world_start(w, 0, "");
    for (int i = 1; i < 6; i++)
        world_start(w, i, "a");
    world_run(w, 10000);
    world_cut(w, "abc", "def", true);
    world_run(w, 100000);
    assert_string_equal(world_state(w, 0, 3), "dead");
    assert_string_equal(world_state(w, 5, 1), "dead");
    assert_string_equal(world_state(w, 0, 2), "alive");
    world_cut(w, "abc", "def", false);
    world_run(w, 110000);
    for (int a = 0; a < 6; a++)
        for (int b = 0; b < 6; b++)
            assert_string_equal(world_state(w, a, b), "alive");
    world_free(w);
}

static void an_isolated_member_accuses_nobody_when_it_returns(void **state)
{
    struct world *w = world_of(3, 10000, 0);
    (void)state;
    world_cut(w, "a", "bc", true);
    world_run(w, 30000);
    assert_string_equal(world_state(w, 0, 1), "dead");
    assert_string_equal(world_state(w, 1, 0), "dead");
    world_cut(w, "a", "bc", false);
    w->show = WORLD_EVENTS;
    world_run(w, 50000);
    EXPECT_TRACE(w, "[ 30050] a * wants incarnation 2\n"
                    "[ 30050] a * b dead -> alive\n"
                    "[ 30050] a * c dead -> alive\n"
                    "[ 30051] b * wants incarnation 2\n"
                    "[ 30055] c * wants incarnation 2\n"
                    "[ 30060] b * a dead -> alive\n"
                    "[ 30060] c * a dead -> alive\n"
                    "[ 30061] c * b has a new record\n"
                    "[ 30065] b * c has a new record\n"
                    "[ 30071] a * b has a new record\n"
                    "[ 30075] a * c has a new record\n");
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_members_probe_each_other),
        cmocka_unit_test(a_joiner_learns_everybody_from_its_seed),
        cmocka_unit_test(an_unreachable_seed_is_tried_for_ever_with_backoff),
        cmocka_unit_test(a_silent_member_is_probed_through_others_then_suspect_then_dead),
        cmocka_unit_test(a_broken_path_is_bridged_by_the_third),
        cmocka_unit_test(an_accused_member_refutes_and_an_accuser_alone_kills_nobody),
        cmocka_unit_test(a_member_that_returns_is_alive_again_everywhere),
        cmocka_unit_test(who_leaves_says_so_and_is_not_accused),
        cmocka_unit_test(a_partition_heals_by_itself),
        cmocka_unit_test(an_isolated_member_accuses_nobody_when_it_returns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
