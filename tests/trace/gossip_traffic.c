/* What links between members show of them: resets, refused dials, answers. */
#include "world.h"

#include "gossip/core.h"

static void link_lost(struct world *w, int at, int of, enum gossip_loss how)
{
    struct node_id id = world_id(of);
    gossip_link_lost(w->node[at].g, &id, how, w->now);
    world_drain(w, at);
}

static void link_works(struct world *w, int at, int of)
{
    struct node_id id = world_id(of);
    gossip_link_works(w->node[at].g, &id, w->now);
    world_drain(w, at);
}

static void claim(struct world *w, int liar, int to, enum rumor_type type, int subject, int accuser,
                  enum opinion_reason reason)
{
    struct rumor_item i = {.type = type,
                           .layout = 2,
                           .subject = world_id(subject),
                           .accuser = world_id(accuser),
                           .incarnation = w->node[subject].incarnation,
                           .reason = reason};
    world_say(w, liar, to, &i);
}

static void expect_all(struct world *w, int count, int of, const char *state)
{
    for (int at = 0; at < count; at++)
        if (at != of)
            assert_string_equal(world_state(w, at, of), state);
}

/* A reset link starts a probe in the same turn; its loss alone changes no state. */
static void a_reset_link_is_looked_into_at_once(void **state)
{
    struct world *w = world_of(6, 20000, WORLD_PACKETS | WORLD_EVENTS | WORLD_KNOCKS);
    (void)state;
    w->only = 0;
    world_run(w, 20010);
    world_forget_log(w);
    link_lost(w, 0, 3, GOSSIP_LINK_BROKEN);
    assert_non_null(strstr(buf_str(&w->log), "[ 20010] a > d ping\n"));
    assert_non_null(strstr(buf_str(&w->log), "[ 20010] a > d knock\n"));
    world_run(w, 25000);
    assert_null(strstr(buf_str(&w->log), "d alive"));
    world_free(w);
}

/* GOALS G2: a process dies, its host refuses dials: dead everywhere long before the pause that is forgiven to silence,
 * whoever dies and when, and back at once under its next incarnation. */
static void a_process_that_is_gone_is_dead_soon_and_comes_back(void **state)
{
    (void)state;
    for (int n = 1; n < 12; n++) {
        struct world *w = world_of(12, 40000 + 137 * (mono_ms)n, 0);
        world_kill(w, n);
        link_lost(w, (n + 3) % 12, n, GOSSIP_LINK_BROKEN);
        world_run(w, w->now + 2300);
        expect_all(w, 12, n, "dead");
        world_start(w, n, "a");
        world_run(w, w->now + 1000);
        expect_all(w, 12, n, "alive");
        for (int at = 0; at < 12; at++)
            assert_int_equal(gossip_counts(w->node[at].g).alive, 12);
        world_free(w);
    }
}

/* ... also when nobody had a link to it: its observers' dials are refused. */
static void a_process_without_links_is_dead_soon_too(void **state)
{
    struct world *w = world_of(12, 40000, 0);
    (void)state;
    world_kill(w, 5);
    world_run(w, w->now + 3000);
    expect_all(w, 12, 5, "dead");
    world_free(w);
}

/* GOALS G15: everybody's name under "refused", and "dead", takes nothing from the pause of one whose host refuses nobody. */
static void words_of_refusal_alone_cut_no_pause_short(void **state)
{
    struct world *w = world_of(6, 20000, 0);
    (void)state;
    world_cut(w, "c", "abdef", true);
    for (int t = 0; t < 38; t++) {
        claim(w, 1, 0, t % 2 ? RUMOR_SUSPECT : RUMOR_DEAD, 2, 1 + t % 5, REASON_REFUSED);
        world_run(w, w->now + 100);
        assert_string_not_equal(world_state(w, 0, 2), "dead");
    }
    world_cut(w, "c", "abdef", false);
    world_run(w, w->now + 3000);
    for (int at = 0; at < 6; at++)
        assert_int_equal(gossip_stats(w->node[at].g)->deaths, 0);
    expect_all(w, 6, 2, "alive");
    world_free(w);
}

/* G44: a refusal that only we see (a firewall of ours) is no death: others reach it. */
static void a_refusal_that_nobody_else_sees_is_no_death(void **state)
{
    struct world *w = world_of(6, 20000, 0);
    (void)state;
    world_cut(w, "a", "c", true);
    for (int t = 0; t < 100; t++) {
        link_lost(w, 0, 2, GOSSIP_LINK_REFUSED);
        claim(w, 1, 0, RUMOR_SUSPECT, 2, 1, REASON_REFUSED);
        world_run(w, w->now + 100);
        assert_string_not_equal(world_state(w, 0, 2), "dead");
    }
    world_cut(w, "a", "c", false);
    world_run(w, w->now + 15000);
    expect_all(w, 6, 2, "alive");
    for (int at = 0; at < 6; at++)
        assert_int_equal(gossip_stats(w->node[at].g)->deaths, 0);
    world_free(w);
}

/* G17: who accuses a healthy member has nobody dial it. */
static void an_accused_that_answers_is_not_knocked_at(void **state)
{
    struct world *w = world_of(8, 20000, WORLD_KNOCKS);
    (void)state;
    for (int t = 0; t < 200; t++) {
        claim(w, 1, t % 8 == 1 ? 0 : t % 8, RUMOR_SUSPECT, 2, 1, REASON_REFUSED);
        world_run(w, w->now + 50);
    }
    assert_null(strstr(buf_str(&w->log), "knock"));
    expect_all(w, 8, 2, "alive");
    world_free(w);
}

/* A link that works counts as life: only datagrams are lost, and we accuse nobody for it, whatever others say. */
static void a_member_whose_link_works_is_not_accused(void **state)
{
    struct world *w = world_of(2, 10000, WORLD_EVENTS);
    (void)state;
    world_cut(w, "a", "b", true);
    for (int t = 0; t < 300; t++) {
        if (t % 10 == 0)
            link_works(w, 0, 1);
        world_run(w, w->now + 100);
        assert_string_equal(world_state(w, 0, 1), "alive");
    }
    assert_null(strstr(buf_str(&w->log), "a * b"));
    world_run(w, w->now + 3000); /* the link says nothing any more */
    assert_string_equal(world_state(w, 0, 1), "suspect");
    link_works(w, 0, 1);
    assert_string_equal(world_state(w, 0, 1), "alive");
    world_free(w);
}

static void others_accusations_do_not_count_while_a_link_works(void **state)
{
    struct world *w = world_of(6, 20000, WORLD_EVENTS);
    (void)state;
    link_works(w, 0, 2);
    claim(w, 1, 0, RUMOR_SUSPECT, 2, 1, REASON_REFUSED);
    world_run(w, w->now + 10);
    assert_string_equal(world_state(w, 0, 2), "alive");
    assert_true(
        probes_has_target(&w->node[0].g->probes, members_find(&w->node[0].g->members, &w->node[2].id)));
    world_run(w,
              w->now + VOUCH_MS + 100); /* bounded, as what its answer to our look is worth: then they do */
    claim(w, 1, 0, RUMOR_SUSPECT, 2, 1, REASON_REFUSED);
    world_run(w, w->now + 10);
    assert_string_equal(world_state(w, 0, 2), "suspect");
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reset_link_is_looked_into_at_once),
        cmocka_unit_test(a_process_that_is_gone_is_dead_soon_and_comes_back),
        cmocka_unit_test(a_process_without_links_is_dead_soon_too),
        cmocka_unit_test(words_of_refusal_alone_cut_no_pause_short),
        cmocka_unit_test(a_refusal_that_nobody_else_sees_is_no_death),
        cmocka_unit_test(an_accused_that_answers_is_not_knocked_at),
        cmocka_unit_test(a_member_whose_link_works_is_not_accused),
        cmocka_unit_test(others_accusations_do_not_count_while_a_link_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
