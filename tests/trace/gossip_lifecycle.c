/* What befalls a member in its life: restarts, moves, losses, doubles, partitions. Cases are ADVERSARY's (G...). */
#include "world.h"

static struct gossip_member member(struct world *w, int at, int of)
{
    struct gossip_member m;
    assert_true(gossip_member_get(w->node[at].g, &w->node[of].id, &m));
    return m;
}

static void expect_all(struct world *w, int n, const char *state, int of)
{
    for (int at = 0; at < n; at++)
        assert_string_equal(world_state(w, at, of), state);
}

/* G28: the incarnation rises with every start, nobody is held dead, nobody goes back. */
static void a_restart_with_the_same_identity(void **state)
{
    struct world *w = world_of(5, 10000, 0);
    (void)state;
    for (int round = 0; round < 20; round++) {
        int n = round % 5;
        world_stop(w, n);
        world_run(w, w->now + 300);
        world_start(w, n, n == 0 ? "b" : "a");
        world_run(w, w->now + 700);
    }
    world_run(w, w->now + 3000);
    for (int of = 0; of < 5; of++) {
        expect_all(w, 5, "alive", of);
        for (int at = 0; at < 5; at++) {
            assert_int_equal(member(w, at, of).incarnation, w->node[of].incarnation);
            assert_int_equal(gossip_stats(w->node[at].g)->deaths, 0);
        }
    }
    assert_true(w->node[3].incarnation >= 5);
    world_free(w);
}

/* G43: the same key, another address: everybody follows, and the old place is not asked any more. */
static void a_restart_at_a_new_address(void **state)
{
    struct world *w = world_of(4, 10000, 0);
    (void)state;
    world_stop(w, 2);
    w->node[20].id = w->node[2].id;
    w->node[20].incarnation = w->node[2].incarnation;
    world_start(w, 20, "a");
    world_run(w, w->now + 1000);
    for (int at = 0; at < 2; at++) {
        struct gossip_member m = member(w, at, 20);
        assert_int_equal(m.state, GOSSIP_ALIVE);
        assert_true(addr_eq(&m.addr, &w->node[20].addr));
    }
    w->show = WORLD_PACKETS;
    world_run(w, w->now + 20000);
    assert_null(strstr(buf_str(&w->log), "> c ping"));
    assert_non_null(strstr(buf_str(&w->log), "> u ping"));
    world_free(w);
}

/* G10, G46: the disk is gone and with it the number. What it says under old numbers changes nothing; from its peers it learns
 * the number that it had, and goes on above it. */
static void a_lost_store(void **state)
{
    struct world *w = world_of(4, 10000, 0);
    (void)state;
    for (int i = 0; i < 3; i++) { /* some life before */
        world_stop(w, 2);
        world_run(w, w->now + 200);
        world_start(w, 2, "a");
        world_run(w, w->now + 2000);
    }
    uint64_t before = w->node[2].incarnation;
    assert_int_equal(before, 1 + 3 * GOSSIP_START_LEAP);
    world_stop(w, 2);
    w->node[2].incarnation = 0;
    w->show = WORLD_EVENTS;
    world_start(w, 2, "a");
    world_run(w, w->now + 1500);
    EXPECT_TRACE(w, "[ 16600] c * c alive, new\n"
                    "[ 16620] c * joined\n"
                    "[ 16620] c * a alive, new\n"
                    "[ 16620] c * b alive, new\n"
                    "[ 16620] c * d alive, new\n"
                    "[ 17576] c * wants incarnation 50\n"
                    "[ 17586] b * c has a new record\n"
                    "[ 17586] a * c has a new record\n"
                    "[ 17587] d * c has a new record\n");
    for (int at = 0; at < 4; at++)
        assert_int_equal(member(w, at, 2).incarnation, before + 1);
    expect_all(w, 4, "alive", 2);
    world_free(w);
}

/* G10, G32, S13: who asks before it speaks says nothing under a number that is not new: its first record is already above what the
 * others remember. */
static void a_lost_store_is_asked_for_before_the_first_word(void **state)
{
    struct world *w = world_of(4, 10000, 0);
    (void)state;
    world_stop(w, 2);
    w->node[2].incarnation = 40; /* some life before */
    world_start(w, 2, "a");
    world_run(w, w->now + 3000);
    uint64_t before = w->node[2].incarnation;
    world_stop(w, 2);
    w->node[2].incarnation = 0;
    w->show = WORLD_EVENTS;
    world_forget_log(w);
    world_start_asking(w, 2, "a", "");
    world_run(w, w->now + 500);
    assert_int_equal(before, 40 + GOSSIP_START_LEAP);
    EXPECT_TRACE(w, "[ 13020] c * recalls incarnation 56\n"
                    "[ 13020] c * c alive, new\n"
                    "[ 13030] a * c has a new record\n"
                    "[ 13040] d * c has a new record\n"
                    "[ 13040] b * c has a new record\n"
                    "[ 13040] c * joined\n"
                    "[ 13040] c * a alive, new\n"
                    "[ 13040] c * b alive, new\n"
                    "[ 13040] c * d alive, new\n");
    for (int at = 0; at < 4; at++)
        assert_int_equal(member(w, at, 2).incarnation, before + GOSSIP_START_LEAP);
    expect_all(w, 4, "alive", 2);
    world_free(w);
}

/* With nobody to ask it begins at once; who refuses holds it up no longer than that takes, who says nothing 3 s in all. */
static void asking_ends_also_when_nobody_answers(void **state)
{
    struct world *w = world_of(2, 10000, 0);
    (void)state;
    w->show = WORLD_EVENTS;
    world_start_asking(w, 5, "", "");
    world_run(w, w->now + 10);
    EXPECT_TRACE(w, "[ 10000] f * recalls incarnation 0\n"
                    "[ 10000] f * f alive, new\n");
    world_forget_log(w);
    world_start_asking(w, 6, "ij", "klm"); /* there is nobody */
    world_run(w, w->now + 100);
    EXPECT_TRACE(w, "[ 10010] g * k suspect, new\n"
                    "[ 10010] g * l suspect, new\n"
                    "[ 10010] g * m suspect, new\n"
                    "[ 10020] g * recalls incarnation 0\n"
                    "[ 10020] g * g alive, new\n");
    world_forget_log(w);
    w->is_silent[20] = w->is_silent[21] = true;
    world_start_asking(w, 7, "uv", "");
    world_run(w, w->now + 4000);
    EXPECT_TRACE(w, "[ 13110] h * recalls incarnation 0\n"
                    "[ 13110] h * h alive, new\n");
    world_free(w);
}

/* G28: all of a mesh start at once and know each other from their stores: each answers the others before it has said anything itself,
 * so nobody waits. */
static void a_mesh_that_starts_at_once_does_not_wait_for_itself(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    for (int n = 0; n < 3; n++) {
        w->node[n].incarnation = 7;
        world_start_asking(w, n, "", n == 0 ? "bc" : n == 1 ? "ac" : "ab");
    }
    world_run(w, 1500);
    for (int of = 0; of < 3; of++) {
        expect_all(w, 3, "alive", of);
        assert_int_equal(member(w, 0, of).incarnation, 7 + GOSSIP_START_LEAP);
    }
    world_free(w);
}

/* S13, G9, G29: c comes back after a year. d has left and e has died meanwhile, and all have forgotten them; c's store holds both as they
 * were. Nobody is raised by it: c looks for them in private, holds them dead, and forgets them too. */
static void a_store_that_is_a_year_old_raises_nobody(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    w->config.tombstone_ms = 60000;
    for (int n = 0; n < 5; n++)
        world_start(w, n, "ab");
    world_run(w, 5000);
    world_stop(w, 2);
    w->node[3].version++;
    assert_int_equal(world_publish(w, 3, true), ERR_OK);
    world_drain(w, 3);
    world_run(w, 10000);
    world_stop(w, 3);
    world_stop(w, 4);
    world_run(w, 200000);
    w->node[2].clock = UINT64_C(365) * 86400000;
    world_start_asking(w, 2, "a", "abde");
    world_run(w, 200500);
    for (int of = 0; of < 3; of++) {
        assert_string_equal(world_state(w, 0, of), "alive");
        assert_string_equal(world_state(w, 2, of), "alive");
    }
    assert_int_equal(member(w, 0, 2).incarnation, 1 + GOSSIP_START_LEAP);
    for (int i = 0; i < 40; i++) {
        world_run(w, w->now + 3000);
        for (int of = 3; of < 5; of++) {
            assert_string_equal(world_state(w, 0, of), "unknown");
            assert_string_equal(world_state(w, 1, of), "unknown");
            assert_string_not_equal(world_state(w, 2, of), "alive");
        }
    }
    assert_string_equal(world_state(w, 2, 3), "unknown");
    assert_string_equal(world_state(w, 2, 4), "unknown");
    world_free(w);
}

/* G33: two agents run with one key. Both are told, the one with the lower address goes on, and soon nothing changes any
 * more: no storm of new numbers. */
static void two_agents_with_one_identity(void **state)
{
    struct world *w = world_of(5, 10000, 0);
    (void)state;
    w->node[20].id = w->node[2].id;
    w->node[20].incarnation =
        w->node[2].incarnation - 1; /* a copy of its disk: starts with the same number */
    world_start(w, 20, "a");
    world_run(w, w->now + 20000);
    assert_true(w->node[2].alarms > 0 && w->node[20].alarms > 0);
    uint64_t last = w->node[2].incarnation;
    assert_true(last > w->node[20].incarnation && last < 12);
    w->show = WORLD_EVENTS;
    world_run(w, w->now + 120000);
    assert_int_equal(w->node[2].incarnation, last);
    assert_null(strstr(buf_str(&w->log), "wants incarnation"));
    assert_true(gossip_is_yielding(w->node[20].g));
    assert_false(gossip_is_yielding(w->node[2].g));
    struct gossip_counts seen = gossip_counts(w->node[20].g); /* it blames nobody for what it does not hear */
    assert_int_equal(seen.alive, 5);
    for (int at = 0; at < 5; at++) {
        struct gossip_member m = member(w, at, 2);
        assert_int_equal(m.incarnation, last);
        assert_true(addr_eq(&m.addr, &w->node[2].addr));
        assert_int_equal(gossip_stats(w->node[at].g)->deaths, 0);
    }
    world_free(w);
}

/* G26: gossip's time is a monotonic clock of each host's own; one that is a day, or a year, ahead of the others' makes no
 * difference, for no time of any clock is on the wire. */
static void a_clock_that_is_wrong_by_a_day(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    w->node[1].clock = 86400000;
    w->node[3].clock = UINT64_C(365) * 86400000;
    world_start(w, 0, "");
    for (int i = 1; i < 5; i++)
        world_start(w, i, "a");
    world_run(w, 10000);
    for (int of = 0; of < 5; of++)
        expect_all(w, 5, "alive", of);
    world_stop(w, 3);
    world_stop(w, 4);
    world_run(w, 18000);
    expect_all(w, 3, "dead", 3);
    expect_all(w, 3, "dead", 4);
    world_start(w, 3, "a");
    world_run(w, 19000);
    expect_all(w, 3, "alive", 3);
    expect_all(w, 3, "dead", 4);
    world_free(w);
}

/* Agents that start before any of their seeds: they wait for ever, and are joined when the first seed is there. */
static void all_seeds_are_down_at_the_start(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    for (int i = 2; i < 6; i++)
        world_start(w, i, "ab");
    world_run(w, 3600 * 1000);
    for (int i = 2; i < 6; i++)
        assert_int_equal(gossip_counts(w->node[i].g).alive, 1);
    world_start(w, 1, "ab");
    world_run(w, w->now + 40000); /* the longest back-off is 30 s */
    for (int of = 1; of < 6; of++)
        for (int at = 1; at < 6; at++)
            assert_string_equal(world_state(w, at, of), "alive");
    world_free(w);
}

/* G29: an hour apart, each half has buried the other, one has left on one side and one was renewed on the other. Within ten
 * seconds they are one again, by themselves; who left stays away. */
static void halves_that_lived_apart_for_an_hour(void **state)
{
    struct world *w = world_of(10, 10000, 0);
    (void)state;
    world_cut(w, "abcde", "fghij", true);
    world_run(w, w->now + 1800 * 1000);
    expect_all(w, 5, "dead", 7);
    w->node[4].version++;
    assert_int_equal(world_publish(w, 4, true), ERR_OK);
    world_drain(w, 4);
    world_run(w, w->now + 5000);
    world_stop(w, 4);
    w->node[8].version++;
    assert_int_equal(world_publish(w, 8, false), ERR_OK);
    world_drain(w, 8);
    world_run(w, w->now + 1800 * 1000);
    world_cut(w, "abcde", "fghij", false);
    world_run(w, w->now + 10000);
    for (int at = 0; at < 10; at++)
        for (int of = 0; at != 4 && of < 10; of++)
            assert_string_equal(world_state(w, at, of), of == 4 ? "left" : "alive");
    assert_int_equal(member(w, 0, 8).version, 2);
    world_free(w);
}

/* G8, R7: replays of what a member said while it lived do not raise it from its tombstone; the tombstone is kept for longer
 * than any record is valid (which `verify` judges), then it goes everywhere, and comes back from nowhere. */
static void a_tombstone_cannot_be_undone(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    w->config.tombstone_ms = 60000;
    world_start(w, 0, "");
    for (int i = 1; i < 4; i++)
        world_start(w, i, "a");
    world_run(w, 10000);
    uint8_t space[300];
    struct world_record old = {.id = world_id(3), .incarnation = 1, .version = 1, .addr = world_addr(3)};
    struct rumor_item i = {.type = RUMOR_RECORD, .record = world_record_encode(&old, space, sizeof space)};
    w->node[3].version = 2;
    assert_int_equal(world_publish(w, 3, true), ERR_OK);
    world_drain(w, 3);
    world_run(w, 12000);
    world_stop(w, 3);
    while (w->now < 65000) {
        world_say(w, 1, 0, &i);
        world_run(w, w->now + 1000);
        assert_string_equal(world_state(w, 0, 3), "left");
    }
    world_run(w, 100000);
    expect_all(w, 3, "unknown", 3);
    world_free(w);
}

static void revoke(struct world *w, int at, int of)
{
    struct node_id id = world_id(of);
    w->node[at].refused |= 1u << of;
    gossip_evict(w->node[at].g, &id, w->now);
    world_drain(w, at);
}

/* G35, G36: two have heard that d is revoked, one has not yet, and d goes on speaking. Nobody who knows takes it back,
 * from d or from c, nor probes it; and once all know, it is gone everywhere. */
static void who_is_evicted_stays_out(void **state)
{
    struct world *w = world_of(5, 10000, 0);
    (void)state;
    world_run(w, 10000);
    expect_all(w, 5, "alive", 3);
    revoke(w, 0, 3);
    revoke(w, 1, 3);
    revoke(w, 4, 3);
    for (int round = 0; round < 20; round++) {
        w->node[3].version++;
        assert_int_equal(world_publish(w, 3, false), ERR_OK);
        world_drain(w, 3);
        world_run(w, w->now + 500);
        assert_string_equal(world_state(w, 0, 3), "unknown");
        assert_string_equal(world_state(w, 1, 3), "unknown");
    }
    assert_string_equal(world_state(w, 2, 3), "alive");
    revoke(w, 2, 3);
    world_run(w, w->now + 60000);
    expect_all(w, 3, "unknown", 3);
    for (int of = 0; of < 5; of++)
        assert_true(of == 3 || strcmp(world_state(w, 0, of), "alive") == 0);
    struct node_id nobody = world_id(9), self = world_id(0);
    gossip_evict(w->node[0].g, &nobody, w->now);
    gossip_evict(w->node[0].g, &self, w->now);
    assert_string_equal(world_state(w, 0, 0), "alive");
    world_free(w);
}

/* With another credential it is a member again, though all have forgotten it, and what it had to say about itself was said
 * while nobody would listen: whoever it pings asks for its record, and takes from a stranger that record and no other. */
static void who_was_evicted_and_is_vouched_for_again_comes_back(void **state)
{
    struct world *w = world_of(5, 10000, 0);
    (void)state;
    world_run(w, 10000);
    for (int at = 0; at < 5; at++)
        if (at != 3)
            revoke(w, at, 3);
    w->node[3].version++;
    assert_int_equal(world_publish(w, 3, false), ERR_OK);
    world_drain(w, 3);
    world_run(w, w->now + 60000);
    for (int at = 0; at < 5; at++)
        assert_string_equal(world_state(w, at, 3), at == 3 ? "alive" : "unknown");
    for (int at = 0; at < 5; at++)
        w->node[at].refused = 0;
    world_run(w, w->now + 10000);
    expect_all(w, 5, "alive", 3);
    world_free(w);
}

/* The revocation may come first, too: before the member was ever heard of, while it is suspect, dead, or has left. */
static void eviction_meets_every_state(void **state)
{
    struct world *w = world_of(5, 10000, 0);
    (void)state;
    w->node[0].refused = 1u << 9;
    world_run(w, 10000);
    w->config.tombstone_ms = 3600000;
    world_stop(w, 3);
    w->node[4].version++;
    assert_int_equal(world_publish(w, 4, true), ERR_OK);
    world_drain(w, 4);
    while (strcmp(world_state(w, 0, 3), "alive") == 0)
        world_run(w, w->now + 100);
    assert_string_equal(world_state(w, 0, 3), "suspect");
    revoke(w, 0, 3);
    while (strcmp(world_state(w, 1, 3), "dead") != 0)
        world_run(w, w->now + 100);
    revoke(w, 1, 3);
    assert_string_equal(world_state(w, 1, 4), "left");
    revoke(w, 1, 4);
    world_run(w, w->now + 30000);
    assert_string_equal(world_state(w, 0, 3), "unknown");
    assert_string_equal(world_state(w, 1, 3), "unknown");
    assert_string_equal(world_state(w, 1, 4), "unknown");
    world_free(w);
}

/* Who is started with the version before reads no record that has a coordinate: all sign theirs anew within a second, so before any
 * suspicion is over. */
static void one_that_goes_back_a_version_is_spoken_to_at_once(void **state)
{
    enum { NODES = 8, BACK = 3 };
    struct world *w = world_new(0);
    uint64_t moved[NODES];
    uint8_t space[200];
    (void)state;
    world_start(w, 0, "");
    for (int n = 1; n < NODES; n++)
        world_start(w, n, "a");
    world_run(w, 20000);
    for (int n = 0; n < NODES; n++) { /* as all speak version 2 there is a coordinate in it */
        w->node[n].version++;
        assert_int_equal(world_publish(w, n, false), ERR_OK);
        world_drain(w, n);
    }
    world_run(w, 60000);
    for (int n = 0; n < NODES; n++)
        moved[n] = gossip_stats(w->node[n].g)->moved;
    struct world_record r = {.id = world_id(BACK),
                             .incarnation = 17,
                             .version = 1,
                             .addr = world_addr(BACK),
                             .padding = 1,
                             .filler = '1'};
    assert_int_equal(gossip_own_set(w->node[BACK].g, world_record_encode(&r, space, sizeof space), w->now),
                     ERR_OK);
    world_drain(w, BACK);
    world_run(w, w->now + 1200);
    for (int n = 0; n < NODES; n++)
        assert_true(n == BACK || gossip_stats(w->node[n].g)->moved == moved[n] + 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_with_the_same_identity),
        cmocka_unit_test(a_restart_at_a_new_address),
        cmocka_unit_test(a_lost_store),
        cmocka_unit_test(a_lost_store_is_asked_for_before_the_first_word),
        cmocka_unit_test(asking_ends_also_when_nobody_answers),
        cmocka_unit_test(a_mesh_that_starts_at_once_does_not_wait_for_itself),
        cmocka_unit_test(a_store_that_is_a_year_old_raises_nobody),
        cmocka_unit_test(two_agents_with_one_identity),
        cmocka_unit_test(a_clock_that_is_wrong_by_a_day),
        cmocka_unit_test(all_seeds_are_down_at_the_start),
        cmocka_unit_test(halves_that_lived_apart_for_an_hour),
        cmocka_unit_test(a_tombstone_cannot_be_undone),
        cmocka_unit_test(who_is_evicted_stays_out),
        cmocka_unit_test(who_was_evicted_and_is_vouched_for_again_comes_back),
        cmocka_unit_test(eviction_meets_every_state),
        cmocka_unit_test(one_that_goes_back_a_version_is_spoken_to_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
