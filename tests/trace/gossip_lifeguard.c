/* Lifeguard (Dadgar, Phillips, Currey 2018), rule by rule: what each does, and that it does not happen with the rule left out. */
#include "world.h"

#include "gossip/core.h"

static struct world *mesh_with(int n, uint32_t without, uint32_t dead_retry_ms)
{
    struct world *w = world_new(0);
    w->config.without |= without;
    w->config.dead_retry_ms = dead_retry_ms;
    for (int i = 0; i < n; i++)
        world_start(w, i, i == 0 ? "" : "a");
    world_run(w, 20000);
    return w;
}

static struct world *mesh(int n, uint32_t without)
{
    return mesh_with(n, without, 0);
}

/* `from` says so to `at` in its own name. */
static void say(struct world *w, enum rumor_type what, int at, int from, int subject)
{
    struct rumor_item i = {.type = what,
                           .subject = world_id(subject),
                           .accuser = world_id(from),
                           .incarnation = w->node[subject].incarnation};
    assert_int_equal(world_hear(w, at, from, &i), ERR_OK);
}

/* LHA-Probe: having to refute, and being late, are signs of bad health; answers heal it. */
static void refutations_and_lateness_cost_health(void **state)
{
    struct world *w = mesh(3, 0), *without = mesh(3, GOSSIP_LOCAL_HEALTH);
    (void)state;
    assert_int_equal(w->node[2].g->health, 0);
    say(w, RUMOR_SUSPECT, 2, 1, 2);
    assert_int_equal(w->node[2].g->health, 1);
    world_run(w, 30000);
    assert_int_equal(w->node[2].g->health, 0);
    gossip_late(w->node[2].g, LATE_ALOUD_MS - 1);
    assert_int_equal(w->node[2].g->health, 0);
    gossip_late(w->node[2].g, LATE_ALOUD_MS);
    assert_int_equal(w->node[2].g->health, 1);

    say(without, RUMOR_SUSPECT, 2, 1, 2);
    gossip_late(without->node[2].g, LATE_ALOUD_MS);
    assert_int_equal(without->node[2].g->health, 0);
    world_free(w);
    world_free(without);
}

/* Buddy System: the ping that looks at a suspect tells it so, and it refutes. */
static void the_suspect_is_told_first(void **state)
{
    (void)state;
    for (int is_told = 0; is_told < 2; is_told++) {
        struct world *w = mesh(3, is_told ? 0 : GOSSIP_TELL_SUSPECT);
        say(w, RUMOR_SUSPECT, 0, 1, 2);
        assert_string_equal(world_state(w, 0, 2), "suspect");
        world_run(w, 25000);
        assert_string_equal(world_state(w, 0, 2), "alive");
        assert_int_equal(w->node[2].incarnation, is_told ? 2 : 1);
        world_free(w);
    }
}

/* How long node 0 held the last of n suspect before it held it dead. */
static mono_ms suspected_ms(int n, uint32_t without)
{
    struct world *w = mesh(n, without);
    mono_ms from = 0;
    world_stop(w, n - 1);
    while (strcmp(world_state(w, 0, n - 1), "dead") != 0) {
        if (from == 0 && strcmp(world_state(w, 0, n - 1), "suspect") == 0)
            from = w->now;
        assert_true(w->now < 40000);
        world_run(w, w->now + 10);
    }
    mono_ms lasted = w->now - from;
    world_free(w);
    return lasted;
}

/* LHA-Suspicion: of 20 members, 4 s * log10(20) = 5.2 s without confirmations, 4 s with three. The silence of which it is counted
 * began up to half a second before the suspicion. */
static void confirmations_shorten_a_suspicion(void **state)
{
    (void)state;
    assert_in_range(suspected_ms(20, 0), 3400, 4400);
    assert_in_range(suspected_ms(20, GOSSIP_CONFIRMATIONS), 4600, 5400);
}

/* The dead are gossiped to for a while: one who comes back hears that it was held dead, and refutes. No seed helps it here. */
static void the_dead_are_told_too(void **state)
{
    (void)state;
    for (int is_told = 0; is_told < 2; is_told++) {
        struct world *w = mesh_with(4, 0, is_told ? 10000 : 1000000);
        gossip_seeds_set(w->node[3].g, NULL, 0, w->now);
        world_cut(w, "abc", "d", true);
        world_run(w, 60000);
        assert_string_equal(world_state(w, 0, 3), "dead");
        assert_int_equal(w->node[3].incarnation, 1);
        world_cut(w, "abc", "d", false);
        world_run(w, 80000);
        for (int at = 0; at < 3; at++)
            assert_string_equal(world_state(w, at, 3), is_told ? "alive" : "dead");
        assert_int_equal(w->node[3].incarnation > 1, is_told);
        world_free(w);
    }
}

/* What studies call SWIM believes a word of a death at once, whoever says it and however often it was wrong before, and looks at nobody for it: else what
 * protects us from words would be shown as SWIM's. A suspicion lasts from when it begins, not from the ping before it. */
static void swim_alone_believes_whatever_it_is_told(void **state)
{
    struct world *w = mesh(4, GOSSIP_PARTS & ~(GOSSIP_SUSPICION | GOSSIP_EAGER));
    (void)state;
    for (int k = 0; k < 10; k++) {
        uint64_t probes = gossip_stats(w->node[0].g)->probes_sent;
        say(w, RUMOR_SUSPECT, 0, 1, 2);
        say(w, RUMOR_DEAD, 0, 1, 2);
        gossip_tick(w->node[0].g, w->now);
        assert_int_equal(gossip_stats(w->node[0].g)->probes_sent, probes);
        assert_string_equal(world_state(w, 0, 2), "dead");
        world_run(w, w->now + 5000);
        assert_string_equal(world_state(w, 0, 2), "alive"); /* it refuted */
    }
    world_cut(w, "a", "c", true);
    world_cut(w, "ad", "b", true);
    while (strcmp(world_state(w, 0, 1), "suspect") != 0)
        world_run(w, w->now + 1);
    mono_ms began = w->now;
    while (strcmp(world_state(w, 0, 1), "dead") != 0)
        world_run(w, w->now + 1);
    assert_int_equal(w->now - began, 4000);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refutations_and_lateness_cost_health),
        cmocka_unit_test(the_suspect_is_told_first),
        cmocka_unit_test(confirmations_shorten_a_suspicion),
        cmocka_unit_test(the_dead_are_told_too),
        cmocka_unit_test(swim_alone_believes_whatever_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
