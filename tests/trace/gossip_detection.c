/* How silence is noticed, and what keeps it from being noticed where there is none: turns, nacks, local health,
 * accusers that nobody hears, late loops. */
#include "world.h"

#include "gossip/core.h"

/* The longest time between two lines that end in `what`, from the log's first such line on. */
static mono_ms longest_gap(struct world *w, const char *what, int *count)
{
    mono_ms last = 0, longest = 0;
    *count = 0;
    for (const char *line = buf_str(&w->log); *line; line = strchr(line, '\n') + 1) {
        size_t len = (size_t)(strchr(line, '\n') - line);
        mono_ms at = strtoull(line + 1, NULL, 10);
        if (!memmem(line, len, what, strlen(what)))
            continue;
        if ((*count)++ > 0 && at - last > longest)
            longest = at - last;
        last = at;
    }
    return longest;
}

/* GOALS G1: the gap between two probes of a member has no tail. Each is probed once a second, by others in turn. */
static void a_member_is_probed_once_an_interval_whoever_does_it(void **state)
{
    struct world *w = world_of(16, 60000, WORLD_PACKETS);
    (void)state;
    world_run(w, 120000);
    for (int n = 0; n < 16; n++) {
        char what[16];
        int count;
        snprintf(what, sizeof what, "> %c ping", 'a' + n);
        assert_true(longest_gap(w, what, &count) <= 1010);
        assert_in_range(count, 58, 61);
    }
    world_free(w);
}

/* ... and what that is good for: every death is suspected everywhere within 1.5 s, whoever dies and when. */
static void every_silent_death_is_suspected_soon_and_dead_after_the_pause(void **state)
{
    (void)state;
    for (int n = 1; n < 12; n++) {
        struct world *w = world_of(12, 40000 + 137 * (mono_ms)n, 0);
        world_stop(w, n);
        world_run(w, w->now + 1500);
        for (int at = 0; at < 12; at++)
            if (at != n)
                assert_string_equal(world_state(w, at, n), "suspect");
        world_run(w, w->now + 2450); /* 3.95 s after its death it may still have been a pause */
        assert_string_equal(world_state(w, 0, n), "suspect");
        world_run(w, w->now + 1800);
        for (int at = 0; at < 12; at++)
            if (at != n)
                assert_string_equal(world_state(w, at, n), "dead");
        world_free(w);
    }
}

/* Nobody has a turn at it any more: as if all who watch it were liars, who say nothing when theirs fail. */
static void blind_its_observers(struct world *w, int count, int subject)
{
    for (int at = 0; at < count; at++)
        for (int k = 0; at != subject && k < WATCH_RINGS; k++) {
            struct watch *watch = &w->node[at].g->watch;
            if (node_id_eq(member_id(watch->ring[k].subject), &w->node[subject].id))
                watch_turn_at(watch, &watch->ring[k], NEVER);
        }
}

/* ADVERSARY G22: those whom it watches miss it. It comes to one of them each second in the mean. */
static void a_death_that_no_observer_tells_is_seen_by_those_it_watched(void **state)
{
    mono_ms sum = 0;
    (void)state;
    for (int n = 1; n < 12; n++) {
        struct world *w = world_of(12, 40000 + 137 * (mono_ms)n, 0);
        blind_its_observers(w, 12, n);
        world_stop(w, n);
        mono_ms died = w->now;
        while (strcmp(world_state(w, 0, n), "suspect") != 0 && w->now < died + 3000)
            world_run(w, w->now + 10);
        sum += w->now - died;
        world_run(w, w->now + 1000); /* the others, too */
        for (int at = 0; at < 12; at++)
            if (at != n)
                assert_string_equal(world_state(w, at, n), "suspect");
        world_free(w);
    }
    assert_true(sum / 11 <= 2000);
}

/* Lifeguard IV-A: the relay that hears nothing says so, before the asker gives up. */
static void a_relay_that_hears_nothing_says_nack(void **state)
{
    struct world *w = world_of(3, 10000, WORLD_PACKETS | WORLD_EVENTS);
    (void)state;
    w->only = 1;
    world_stop(w, 2);
    world_run(w, 10800);
    const char *nack = strstr(buf_str(&w->log), "b > a nack"),
               *suspect = strstr(buf_str(&w->log), "a * c alive -> suspect");
    assert_non_null(nack);
    assert_non_null(suspect);
    assert_true(nack < suspect);
    assert_int_equal(gossip_stats(w->node[0].g)->nacks_received, 1);
    assert_int_equal(w->node[0].g->health, 0); /* it is heard and answered: not its own fault */
    world_free(w);
}

/* G22: a relay that says "it answered me" of a dead member saves no turn while the others heard nothing. */
static void one_lying_relay_saves_no_turn(void **state)
{
    struct world *w = world_of(5, 20000, 0);
    struct gossip *g = w->node[0].g;
    (void)state;
    world_stop(w, 2);
    struct node_id dead = world_id(2);
    gossip_link_lost(g, &dead, GOSSIP_LINK_BROKEN, w->now);
    world_drain(w, 0);
    for (int t = 0; t < 40 && strcmp(world_state(w, 0, 2), "alive") == 0; t++) {
        struct probe *p = probes_of(&g->probes, members_find(&g->members, &dead));
        for (int k = 0; p && k < p->relay_count; k++) {
            uint8_t space[100];
            struct wr wr = wr_init(space, sizeof space);
            struct datagram d = {.type = MSG_RELAYED_ACK, .nonce = p->nonce, .target = dead};
            datagram_encode(&wr, &d);
            if (p->relay[k] == members_find(&g->members, &w->node[1].id))
                world_put(w, 1, 0, GOSSIP_DATAGRAM, wr_done(&wr), false);
        }
        world_run(w, w->now + 20);
    }
    assert_string_equal(world_state(w, 0, 2), "suspect");
    assert_true(w->now <= 20460);
    assert_int_equal(g->health, 0); /* each relay said something, so we are heard (Lifeguard IV-A) */
    world_free(w);
}

/* A nack that was not asked for, of another probe, of another member: nothing. */
static void a_stray_nack_changes_nothing(void **state)
{
    struct world *w = world_of(3, 10000, WORLD_EVENTS);
    (void)state;
    uint8_t space[100];
    struct wr wr = wr_init(space, sizeof space);
    struct datagram d = {.type = MSG_NACK, .nonce = 77, .target = world_id(2)};
    datagram_encode(&wr, &d);
    for (int i = 0; i < 50; i++) {
        world_put(w, 1, 0, GOSSIP_DATAGRAM, wr_done(&wr), false);
        world_run(w, w->now + 20);
    }
    EXPECT_TRACE(w, "");
    assert_int_equal(gossip_stats(w->node[0].g)->nacks_received, 0);
    assert_true(gossip_stats(w->node[0].g)->acks_unmatched >= 50);
    world_free(w);
}

/* Lifeguard, local health: who gets no answers doubts itself, waits longer and probes less; and recovers. */
static void the_local_health_falls_and_recovers(void **state)
{
    struct world *w = world_of(6, 20000, 0);
    (void)state;
    world_cut(w, "a", "bcdef", true);
    world_run(w, 24000);
    assert_true(w->node[0].g->health >= 3);
    world_cut(w, "a", "bcdef", false);
    world_run(w, 90000);
    assert_int_equal(w->node[0].g->health, 0);
    for (int at = 1; at < 6; at++)
        assert_int_equal(gossip_counts(w->node[at].g).alive, 6);
    world_free(w);
}

/* G27, G30: an accuser counts only while it hears others. a is cut off, suspects everybody, and comes back before it has
 * been told so: nobody hears a word of its suspicions, no other refutes. */
static void who_hears_nobody_accuses_nobody(void **state)
{
    struct world *w = world_of(6, 20000, 0);
    (void)state;
    world_cut(w, "a", "bcdef", true);
    world_run(w, 23500);
    assert_true(gossip_counts(w->node[0].g).suspect >= 1);
    world_cut(w, "a", "bcdef", false);
    w->show = WORLD_EVENTS | WORLD_PACKETS;
    world_run(w, 40000);
    for (char c = 'b'; c <= 'f'; c++) {
        char accusation[32];
        snprintf(accusation, sizeof accusation, "> %c push | suspect %c", 'b' + (c == 'b'), c);
        assert_null(strstr(buf_str(&w->log), accusation));
    }
    for (int n = 1; n < 6; n++)
        assert_int_equal(gossip_counts(w->node[n].g).alive, 6);
    world_free(w);
}

/* G15: who says "dead" of a member that merely pauses does not take its forgiven pause away. */
static void a_liar_shortens_no_pause(void **state)
{
    struct world *w = world_of(5, 20000, 0);
    (void)state;
    struct rumor_item i = {
        .type = RUMOR_DEAD, .subject = world_id(2), .accuser = world_id(1), .incarnation = 1};
    world_cut(w, "c", "abde", true);
    for (int t = 0; t < 34; t++) {
        world_say(w, 1, 0, &i);
        world_run(w, w->now + 100);
        assert_string_not_equal(world_state(w, 0, 2), "dead");
    }
    world_cut(w, "c", "abde", false);
    world_run(w, w->now + 3000);
    assert_int_equal(gossip_stats(w->node[0].g)->deaths, 0);
    assert_string_equal(world_state(w, 0, 2), "alive");
    world_free(w);
}

/* A loop that was late takes back what it was about to say, whether it then hears its timers or its sockets first. */
static void a_late_loop_accuses_nobody(void **state)
{
    struct world *w = world_of(2, 10000, WORLD_EVENTS);
    (void)state;
    struct gossip *g = w->node[0].g;
    world_cut(w, "a", "b", true);
    while (g->probes.count == 0)
        world_run(w, w->now + 10);
    world_cut(w, "a", "b", false); /* the answer came while the process stood still; it is in the socket */
    w->now += 5000;
    gossip_late(g, 5000);
    gossip_tick(g, w->now);
    world_drain(w, 0);
    assert_string_equal(world_state(w, 0, 1), "alive");
    assert_int_equal(gossip_stats(g)->lateness, 1);
    assert_true(g->health > 0);
    world_run(w, w->now + 30000);
    assert_null(strstr(buf_str(&w->log), "a * b"));
    assert_int_equal(g->health, 0);
    world_free(w);
}

/* A little lateness only moves the deadlines. */
static void a_little_lateness_moves_deadlines(void **state)
{
    struct world *w = world_of(2, 10000, 0);
    (void)state;
    struct gossip *g = w->node[0].g;
    world_cut(w, "a", "b", true);
    while (g->probes.count == 0)
        world_run(w, w->now + 10);
    mono_ms deadline = g->probes.list[0].deadline;
    gossip_late(g, 40);
    assert_int_equal(g->probes.count, 1);
    assert_int_equal(g->probes.list[0].deadline, deadline + 40);
    assert_int_equal(g->health, 0);
    world_free(w);
}

/* It starts with the records of 22 that are all gone, where most packets are lost, so each look asks ten times. Looks that are no
 * one's turn wait for the budget, all of them together. */
static void looks_at_many_keep_to_the_budget(void **state)
{
    struct world *w = world_new(0);
    uint64_t before = 0;
    (void)state;
    w->config.bytes_per_second_max = 2048;
    world_start(w, 0, "");
    for (int n = 1; n < WORLD_NODES; n++) {
        struct world_record r = {
            .id = world_id(n), .incarnation = 1, .version = 1, .addr = world_addr(n), .padding = 100};
        uint8_t space[300];
        assert_int_equal(
            gossip_member_load(w->node[0].g, world_record_encode(&r, space, sizeof space), w->now), ERR_OK);
    }
    for (int second = 1; second <= 30; second++) {
        w->node[0].g->loss = 60000;
        world_run(w, w->now + 1000);
        assert_in_range(w->datagram_bytes - before, 0, 2048 + 2048 / 2);
        before = w->datagram_bytes;
    }
    assert_in_range(gossip_stats(w->node[0].g)->probes_failed, 22,
                    UINT64_MAX); /* and yet each was looked at */
    world_free(w);
}

/* G22: whose turn fails tells the other observers, whoever else hears of it: so theirs is the word of several at once. */
static void who_finds_a_member_silent_tells_its_observers(void **state)
{
    enum { GONE = 5, NODES = 24 };
    struct world *w = world_of(NODES, 40000, WORLD_EVENTS);
    char told[64];
    int first = -1, observers = 0;
    (void)state;
    world_stop(w, GONE);
    while (first < 0) {
        world_run(w, w->now + 1);
        for (int n = 0; n < NODES; n++)
            first = n != GONE && strcmp(world_state(w, n, GONE), "suspect") == 0 ? n : first;
    }
    world_free(w);
    w = world_of(NODES, 40000, WORLD_PACKETS);
    w->only = first;
    world_stop(w, GONE);
    world_run(w, 42000);
    snprintf(told, sizeof told, "push | suspect %c 1 by %c", 'a' + GONE, 'a' + first);
    const char *at = strstr(buf_str(&w->log), told);
    assert_non_null(at);
    while (*at != '[')
        at--;
    for (const char *line = at; strncmp(line, at, 8) == 0; line = strchr(line, '\n') + 1)
        observers += memmem(line, (size_t)(strchr(line, '\n') - line), told, strlen(told)) != NULL;
    assert_true(observers >= 10); /* beside the four of the push */
    world_free(w);
}

/* Halves that were apart for half a minute hold each other dead. When they hear each other again each answer makes its hearer try
 * two more, so all are found within seconds, where one of the dead is asked in ten; and for that hardly anybody has to publish a
 * refutation, which is a new record to everybody. */
static void halves_find_each_other_by_trying_on(void **state)
{
    enum { NODES = 24 };
    struct world *w = world_of(NODES, 40000, 0);
    uint64_t refutations = 0;
    (void)state;
    world_cut(w, "abcdefghijkl", "mnopqrstuvwx", true);
    world_run(w, w->now + 30000);
    for (int n = 0; n < NODES; n++)
        assert_int_equal(gossip_counts(w->node[n].g).dead, NODES / 2);
    world_cut(w, "abcdefghijkl", "mnopqrstuvwx", false);
    world_run(w, w->now + 3000);
    for (int n = 0; n < NODES; n++) {
        assert_int_equal(gossip_counts(w->node[n].g).alive, NODES);
        refutations += gossip_stats(w->node[n].g)->refutations;
    }
    assert_in_range(refutations, 0, NODES / 2);
    world_free(w);
}

static void hear_suspected(struct world *w, int at, int accuser, int subject)
{
    const struct rumor_item i = {.layout = GOSSIP_PROTOCOL_MAX,
                                 .type = RUMOR_SUSPECT,
                                 .subject = w->node[subject].id,
                                 .accuser = w->node[accuser].id,
                                 .incarnation = 1,
                                 .version = 1,
                                 .reason = REASON_SILENT};
    assert_int_equal(world_hear(w, at, accuser, &i), ERR_OK);
}

/* While halves meet answers are late, and an accusation that is believed is passed on: all ask the accused, whose answers are later
 * still, and hear it again when they have forgotten that it answered. So until ten seconds after the last return it makes us look, and
 * is believed then if nobody answers. */
static void an_accusation_while_many_return_makes_us_look(void **state)
{
    enum { NODES = 24 };
    struct world *w = world_of(NODES, 40000, 0);
    (void)state;
    world_cut(w, "abcdefghijkl", "mnopqrstuvwx", true);
    world_run(w, w->now + 30000);
    world_cut(w, "abcdefghijkl", "mnopqrstuvwx", false);
    world_run(w, w->now + 6000); /* an answer vouches for three seconds */
    assert_int_equal(gossip_counts(w->node[0].g).alive, NODES);
    uint64_t probes = gossip_stats(w->node[0].g)->probes_sent;
    hear_suspected(w, 0, 1, 2);
    assert_string_equal(world_state(w, 0, 2), "alive");
    assert_int_equal(gossip_stats(w->node[0].g)->probes_sent, probes + 1);
    world_run(w, w->now + 60000);
    hear_suspected(w, 0, 1, 3);
    assert_string_equal(world_state(w, 0, 3), "suspect"); /* on credit, as at other times */
    world_free(w);
}

/* The last to hold a dead one alive, of whom nobody speaks any more, and whose observer it is not: who compares what both hold with it
 * tries the dead one again, and says so when it does not answer. */
static void the_last_to_hold_a_dead_one_alive_is_told(void **state)
{
    enum { NODES = 24, GONE = 5 };
    struct world *w = world_of(NODES, 40000, 0);
    struct gossip *g = NULL;
    struct member *gone;
    (void)state;
    world_stop(w, GONE);
    world_run(w, w->now + 60000);
    for (int n = 0; !g; n++) {
        bool is_observer = n == GONE;
        struct member *observer[WATCH_RINGS];
        watch_observers(&w->node[0].g->members, members_find(&w->node[0].g->members, &w->node[GONE].id),
                        observer);
        for (int k = 0; k < WATCH_RINGS; k++)
            is_observer |= node_id_eq(member_id(observer[k]), &w->node[n].id);
        g = is_observer ? NULL : w->node[n].g;
    }
    gone = members_find(&g->members, &w->node[GONE].id);
    assert_int_equal(gone->state, GOSSIP_DEAD);
    members_set_state(&g->members, gone, GOSSIP_ALIVE, g->now);
    g->sync_at += 600 * 1000; /* it asks nobody itself */
    world_run(w, w->now + 150000);
    assert_int_equal(gone->state, GOSSIP_DEAD);
    world_free(w);
}

/* Deaf for two and a half seconds, it accused others, who refuted and so spent the credit of all; it hears that it is suspect itself, and knows that this is
 * right: so it refutes at once. Else those who do not happen to look once more would bury it when the pause is over. */
static void who_was_deaf_refutes_whatever_credit_is_left(void **state)
{
    (void)state;
    for (int is_deaf = 0; is_deaf < 2; is_deaf++) {
        struct world *w = world_new(0);
        for (int i = 0; i < 12; i++)
            world_start(w, i, i == 0 ? "" : "a");
        world_run(w, 20000);
        world_cut(w, "abdefghijkl", "c", is_deaf);
        world_run(w, 22500);
        for (int a = 0; a < 12; a++)
            w->cut[a][2] = w->cut[2][a] = false;
        while (credit_take(&w->node[2].g->refutations, 1, w->now))
            ;
        struct rumor_item i = {.type = RUMOR_SUSPECT,
                               .subject = world_id(2),
                               .accuser = world_id(7),
                               .incarnation = w->node[2].incarnation};
        world_say(w, 6, 2, &i);
        world_run(w, w->now + 100);
        assert_int_equal(w->node[2].incarnation, is_deaf ? 2 : 1);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_find_each_other_by_trying_on),
        cmocka_unit_test(an_accusation_while_many_return_makes_us_look),
        cmocka_unit_test(the_last_to_hold_a_dead_one_alive_is_told),
        cmocka_unit_test(who_finds_a_member_silent_tells_its_observers),
        cmocka_unit_test(a_member_is_probed_once_an_interval_whoever_does_it),
        cmocka_unit_test(every_silent_death_is_suspected_soon_and_dead_after_the_pause),
        cmocka_unit_test(a_death_that_no_observer_tells_is_seen_by_those_it_watched),
        cmocka_unit_test(a_relay_that_hears_nothing_says_nack),
        cmocka_unit_test(one_lying_relay_saves_no_turn),
        cmocka_unit_test(a_stray_nack_changes_nothing),
        cmocka_unit_test(the_local_health_falls_and_recovers),
        cmocka_unit_test(who_hears_nobody_accuses_nobody),
        cmocka_unit_test(a_liar_shortens_no_pause),
        cmocka_unit_test(a_late_loop_accuses_nobody),
        cmocka_unit_test(a_little_lateness_moves_deadlines),
        cmocka_unit_test(looks_at_many_keep_to_the_budget),
        cmocka_unit_test(who_was_deaf_refutes_whatever_credit_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
