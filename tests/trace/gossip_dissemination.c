/* How news travels: records, documents, large records, the byte budget, the summary that finds what was lost.
 */
#include "world.h"

#include "gossip/core.h"

static uint64_t version_at(struct world *w, int at, int of)
{
    struct gossip_member m;
    return gossip_member_get(w->node[at].g, &w->node[of].id, &m) ? m.version : 0;
}

static void publish_next(struct world *w, int n)
{
    w->node[n].version++;
    assert_int_equal(world_publish(w, n, false), ERR_OK);
    world_drain(w, n);
}

static void a_new_record_is_pushed_at_once(void **state)
{
    struct world *w = world_of(3, 20000, WORLD_PACKETS);
    (void)state;
    publish_next(w, 1);
    world_run(w, 20030);
    EXPECT_TRACE(w, "[ 20000] b > a push | record b 1.2\n"
                    "[ 20000] b > c push | record b 1.2\n"
                    "[ 20010] a > c push | record b 1.2\n"
                    "[ 20010] c > a push | record b 1.2\n");
    world_free(w);
}

static void twenty_members_know_it_within_a_few_round_trips(void **state)
{
    struct world *w = world_of(20, 20000, 0);
    (void)state;
    uint64_t before = w->datagrams;
    w->node[7].padding = 600;
    publish_next(w, 7);
    world_run(w, 20200);
    for (int i = 0; i < 20; i++)
        assert_int_equal(version_at(w, i, 7), 2);
    assert_true(w->datagrams - before <= 20 * 12);
    world_free(w);
}

static void a_record_too_large_for_a_datagram_is_pulled_over_bulk(void **state)
{
    struct world *w = world_of(3, 20000, WORLD_PACKETS | WORLD_BULK);
    (void)state;
    w->node[1].padding = 5000;
    publish_next(w, 1);
    world_run(w, 20060);
    EXPECT_TRACE(w, "[ 20000] b > a push | notice b 1.2\n"
                    "[ 20000] b > c push | notice b 1.2\n"
                    "[ 20010] a > b fetch 1\n"
                    "[ 20010] c > b fetch 1\n"
                    "[ 20020] b > a state 1\n"
                    "[ 20020] b > c state 1\n"
                    "[ 20030] a > c push | notice b 1.2\n"
                    "[ 20030] c > a push | notice b 1.2\n");
    assert_int_equal(version_at(w, 0, 1), 2);
    assert_int_equal(version_at(w, 2, 1), 2);
    world_free(w);
}

static void what_was_lost_is_found_by_the_summary(void **state)
{
    struct world *w = world_of(3, 20000, WORLD_BULK | WORLD_DIGESTS);
    (void)state;
    /* c hears of a new member just when its path to the others is cut: every push is lost. */
    uint8_t space[200];
    struct world_record r = {.id = world_id(9), .incarnation = 1, .version = 1, .addr = world_addr(9)};
    struct rumor_item i = {.type = RUMOR_RECORD, .record = world_record_encode(&r, space, sizeof space)};
    world_cut(w, "c", "ab", true);
    assert_int_equal(world_hear(w, 2, 1, &i), ERR_OK);
    world_run(w, 20500);
    world_cut(w, "c", "ab", false);
    world_run(w, 21300);
    EXPECT_TRACE(w, "[ 20855] b > c digest\n"
                    "[ 20865] c > b digest\n" /* the part that differs holds one member */
                    "[ 20865] c > b range\n"
                    "[ 20875] b > c range\n");
    assert_string_not_equal(world_state(w, 0, 9), "unknown");
    assert_string_not_equal(world_state(w, 1, 9), "unknown");
    world_free(w);
}

static void a_document_is_announced_and_pulled_by_hash(void **state)
{
    struct world *w = world_of(3, 20000, WORLD_PACKETS | WORLD_EVENTS | WORLD_BULK);
    (void)state;
    world_doc_publish(w, 0, 1, "allow all");
    world_drain(w, 0);
    world_run(w, 20050);
    EXPECT_TRACE(w, "[ 20000] a > c push | doc 1 1.1\n"
                    "[ 20000] a > b push | doc 1 1.1\n"
                    "[ 20010] c * a offers doc 1 1.1\n"
                    "[ 20010] c > a doc-get\n"
                    "[ 20010] b * a offers doc 1 1.1\n"
                    "[ 20010] b > a doc-get\n"
                    "[ 20020] a > c doc\n"
                    "[ 20020] a > b doc\n"
                    "[ 20030] c * received doc 1 1.1 from a\n"
                    "[ 20030] c > b push | doc 1 1.1\n"
                    "[ 20030] c > a push | doc 1 1.1\n"
                    "[ 20030] b * received doc 1 1.1 from a\n"
                    "[ 20030] b > a push | doc 1 1.1\n"
                    "[ 20030] b > c push | doc 1 1.1\n");
    for (int i = 0; i < 3; i++)
        assert_true(w->node[i].doc_len == 9);
    world_free(w);
}

static void a_late_joiner_gets_the_document_with_its_first_sync(void **state)
{
    struct world *w = world_of(2, 20000, 0);
    (void)state;
    world_doc_publish(w, 0, 1, "allow all");
    world_drain(w, 0);
    world_run(w, 60000);
    world_start(w, 2, "a");
    world_run(w, 60200);
    assert_int_equal(w->node[2].doc_len, 9);
    world_free(w);
}

/* Node `from` says to node `to` that it has this document, which nobody has. */
static void offer_bogus_doc(struct world *w, int from, int to, uint8_t kind, uint64_t version)
{
    struct rumor_item i = {.type = RUMOR_DOC, .doc = {kind, 9, version, {{kind, (uint8_t)version}}}};
    assert_int_equal(world_hear(w, to, from, &i), ERR_OK);
}

static void a_bogus_offer_does_not_keep_the_good_one_out(void **state)
{
    struct world *w = world_of(3, 20000, WORLD_EVENTS | WORLD_BULK);
    (void)state;
    for (uint64_t version = 0; version < 50; version++) { /* b offers ever higher versions of nothing */
        offer_bogus_doc(w, 1, 2, 1, version);
        world_run(w, w->now + 20);
        if (version == 10) {
            world_doc_publish(w, 0, 1, "good");
            world_drain(w, 0);
        }
    }
    assert_int_equal(w->node[2].doc_len, 4);
    assert_true(gossip_stats(w->node[2].g)->bulk_sent < 15);
    world_free(w);
}

/* Places for kinds are few, and those that nobody uses take none (G19). */
static void offers_of_kinds_that_nobody_knows_do_not_keep_the_first_document_out(void **state)
{
    struct world *w = world_of(3, 20000, 0);
    (void)state;
    for (int kind = 255; kind > GOSSIP_DOC_KINDS_MAX; kind--)
        offer_bogus_doc(w, 1, 2, (uint8_t)kind, 1);
    offer_bogus_doc(w, 1, 2, 0, 1);
    world_doc_publish(w, 0, 1, "good");
    world_drain(w, 0);
    world_run(w, w->now + 2000);
    assert_int_equal(w->node[2].doc_len, 4);
    world_free(w);
}

static void one_who_refuses_a_document_does_not_pass_it_on(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    world_start(w, 0, "");
    world_start(w, 1, "a");
    world_start(w, 2, "b");
    world_cut(w, "a", "c", true);
    world_run(w, 20000);
    w->node[1].refuses_docs = true;
    world_doc_publish(w, 0, 1, "secret");
    world_drain(w, 0);
    world_run(w, 40000);
    assert_int_equal(w->node[1].doc_len, 0);
    assert_int_equal(w->node[2].doc_len, 0);
    world_free(w);
}

/* A member whose documents were no good is asked in one second of up to 64 only, and its digests come as seldom. */
static void what_only_one_with_strikes_has_comes_when_it_is_asked_again(void **state)
{
    struct world *w = world_of(2, 20000, 0);
    uint64_t version = 0;
    (void)state;
    w->node[1].refuses_docs = true;
    while (members_find(&w->node[1].g->members, &w->node[0].id)->doc_strikes < STRIKES_MAX && version < 20) {
        world_doc_publish(w, 0, ++version, "no good");
        world_run(w, w->now + 65000);
    }
    assert_true(version <= STRIKES_MAX); /* each was asked for */
    w->node[1].refuses_docs = false;
    for (mono_ms k = 0; k < 8; k++) { /* whenever it is published */
        world_doc_publish(w, 0, ++version, "good");
        world_run(w, w->now + 65000 + k * 1700);
        assert_int_equal(w->node[1].doc_len, 4);
        w->node[1].doc_len = 0;
        members_find(&w->node[1].g->members, &w->node[0].id)->doc_strikes = STRIKES_MAX;
    }
    world_free(w);
}

static void the_byte_budget_defers_rumors_but_not_probes(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    w->config.bytes_per_second_max = 2000;
    world_start(w, 0, "");
    for (int i = 1; i < 10; i++)
        world_start(w, i, "a");
    world_run(w, 60000);
    uint64_t bytes = w->datagram_bytes, acks = gossip_stats(w->node[3].g)->acks_received;
    for (int k = 0; k < 200; k++) {
        w->node[3].padding = 700;
        publish_next(w, 3);
        world_run(w, w->now + 50);
    }
    assert_true(w->datagram_bytes - bytes <
                10 * 10 * 3500); /* ten members, ten seconds, the budget and what may overdraw it */
    assert_true(gossip_stats(w->node[3].g)->acks_received - acks >= 9);
    assert_true(gossip_stats(w->node[3].g)->budget_deferred > 0);
    world_run(w, w->now + 20000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(version_at(w, i, 3), 201);
    assert_int_equal(gossip_stats(w->node[0].g)->suspicions, 0);
    world_free(w);
}

/* All publish at once, thrice: a mass restart's worth of news. Nobody sends more than the budget in any second, and
 * all get everything. */
static void a_burst_stays_within_the_budget(void **state)
{
    enum { STEP_MS = 50, STEPS = 200, WINDOW = 1000 / STEP_MS, BUDGET = 8000 };
    static uint64_t sent[20][STEPS];
    struct world *w = world_new(0);
    uint64_t most = 0;
    (void)state;
    w->config.bytes_per_second_max = BUDGET;
    world_start(w, 0, "");
    for (int i = 1; i < 20; i++)
        world_start(w, i, "a");
    world_run(w, 60000);
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < 20 && step < 60 && step % 20 == 0; i++) {
            w->node[i].padding = 700;
            publish_next(w, i);
        }
        world_run(w, w->now + STEP_MS);
        for (int i = 0; i < 20; i++) {
            sent[i][step] = gossip_stats(w->node[i].g)->datagram_bytes_sent;
            uint64_t second = step >= WINDOW ? sent[i][step] - sent[i][step - WINDOW] : 0;
            most = second > most ? second : most;
        }
    }
    assert_in_range(most, BUDGET / 2,
                    BUDGET + 2 * 1100); /* used, and exceeded by what was under way at most */
    world_run(w, w->now + 10000);
    for (int i = 0; i < 400; i++)
        assert_int_equal(version_at(w, i / 20, i % 20), 4);
    assert_int_equal(gossip_stats(w->node[0].g)->suspicions, 0);
    world_free(w);
}

/* Half of all publish four times a second each, more than anybody's budget can pass on, so that pushes wait for it all the time. One
 * of the others dies meanwhile, and all know it within eight seconds: looks have a share in the budget, and so has what pings and acks
 * carry. (Without these shares it took thirteen.) */
static void in_a_flood_of_records_a_death_is_known_in_time(void **state)
{
    enum { GONE = 3, FLOODERS = WORLD_NODES / 2, STEP_MS = 20 };
    struct world *w = world_new(0);
    (void)state;
    w->config.bytes_per_second_max = 16000;
    world_start(w, 0, "");
    for (int i = 1; i < WORLD_NODES; i++)
        world_start(w, i, "a");
    world_run(w, 60000);
    for (int i = 0; i < WORLD_NODES; i++)
        w->node[i].padding = 600;
    for (mono_ms end = w->now + 11000; w->now < end;) {
        if (w->now == end - 8000) {
            w->is_silent[GONE] = true;
            world_stop(w, GONE);
        }
        publish_next(w, FLOODERS + (int)(w->now / STEP_MS % FLOODERS));
        world_run(w, w->now + STEP_MS);
    }
    for (int i = 0; i < WORLD_NODES; i++)
        assert_string_equal(i == GONE ? "dead" : world_state(w, i, GONE), "dead");
    world_free(w);
}

static void ping(struct world *w, int from, int to, uint64_t nonce)
{
    uint8_t space[100];
    struct wr wr = wr_init(space, sizeof space);
    const struct datagram d = {.type = MSG_PING, .version = 2, .nonce = nonce};
    datagram_encode(&wr, &d);
    world_put(w, from, to, GOSSIP_DATAGRAM, wr_done(&wr), false);
}

/* The first `askers` of the others ask `a`, all together 5,000 times a second for five seconds: it answers as many as its budget allows, and hears
 * and answers in time those who ask in their turn only: so nobody else suspects it, nor does it suspect anybody. */
static void questions_without_end(int askers)
{
    enum { STEP_MS = 10, STEPS = 500, WINDOW = 1000 / STEP_MS, BUDGET = 65536 };
    static uint64_t sent[STEPS];
    uint64_t most = 0;
    struct world *w = world_new(0);
    world_start(w, 0, "");
    for (int i = 1; i < 20; i++)
        world_start(w, i, "a");
    world_run(w, 60000);
    for (int step = 0; step < STEPS; step++) {
        for (int k = 0; k < 5 * STEP_MS; k++)
            ping(w, 1 + k % askers, 0, (uint64_t)step << 32 | (uint64_t)k);
        world_run(w, w->now + STEP_MS);
        sent[step] = gossip_stats(w->node[0].g)->datagram_bytes_sent;
        uint64_t second = step >= WINDOW ? sent[step] - sent[step - WINDOW] : 0;
        most = second > most ? second : most;
    }
    assert_in_range(most, BUDGET / 2, BUDGET);
    assert_int_equal(gossip_stats(w->node[0].g)->suspicions, 0);
    for (int i = 0; i < 20 && askers == 1; i++)
        assert_int_equal(gossip_stats(w->node[i].g)->suspicions, 0);
    world_free(w);
}

static void answers_keep_to_the_budget_too(void **state)
{
    (void)state;
    questions_without_end(19);
}

static void one_that_asks_without_end_keeps_no_answers_from_others(void **state)
{
    (void)state;
    questions_without_end(1);
}

/* G38: eighteen members of 8 kB each come in several messages; the way is cut after the first. The next exchange
 * asks for what is still missing only. */
static void a_cut_transfer_goes_on_where_it_was(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    for (int i = 0; i < 18; i++) {
        w->node[i].padding = 7900;
        world_start(w, i, i == 0 ? "" : "a");
    }
    world_run(w, 30000);
    w->show = WORLD_BULK;
    w->only = 0;
    world_start(w, 18, "a");
    while (w->log.len == 0)
        world_step(w, w->now + 10);                  /* a answers: all messages are on their way */
    for (size_t i = 0, met = 0; i < w->packets; i++) /* the second and third are lost, and a is told so */
        if (w->packet[i].to == 18 && w->packet[i].lane == GOSSIP_BULK && met++ > 0) {
            struct world_packet *p = &w->packet[i];
            p->is_failure = true;
            memcpy(p->bytes, w->node[18].id.b, ID_BYTES);
        }
    world_run(w, w->now + 15);
    uint64_t after_cut = gossip_counts(w->node[18].g).alive,
             applied = gossip_stats(w->node[18].g)->records_applied;
    assert_in_range(after_cut, 5, 17);
    world_run(w, w->now + 10000);
    assert_int_equal(gossip_counts(w->node[18].g).alive, 19);
    assert_int_equal(gossip_stats(w->node[18].g)->records_applied - applied, 19 - after_cut);
    world_free(w);
}

static void a_restarted_member_without_its_store_is_known_again_at_the_first_ping(void **state)
{
    struct world *w = world_of(3, 20000, 0);
    (void)state;
    world_stop(w, 2);
    w->show = WORLD_EVENTS | WORLD_BULK;
    world_start(w, 2, ""); /* no seeds, nothing remembered: the others still ping it */
    world_run(w, 22000);
    EXPECT_TRACE(w, "[ 20000] c * c alive, new\n"
                    "[ 20316] c > a sync\n"
                    "[ 20326] a * c has a new record\n"
                    "[ 20326] a > c state 2\n"
                    "[ 20336] b * c has a new record\n"
                    "[ 20336] c * joined\n"
                    "[ 20336] c * a alive, new\n"
                    "[ 20336] c * b alive, new\n");
    world_free(w);
}

static void members_from_the_store_are_probed_before_they_are_believed(void **state)
{
    struct world *w = world_of(3, 20000, 0);
    (void)state;
    uint8_t space[2][200];
    struct world_record a = {world_id(0), 1, 1, false, world_addr(0), 0, 0},
                        gone = {world_id(9), 1, 1, false, world_addr(9), 0, 0};
    world_stop(w, 2);
    w->show = WORLD_EVENTS;
    world_start(w, 2, "");
    assert_int_equal(gossip_member_load(w->node[2].g, world_record_encode(&a, space[0], 200), w->now),
                     ERR_OK);
    assert_int_equal(gossip_member_load(w->node[2].g, world_record_encode(&gone, space[1], 200), w->now),
                     ERR_OK);
    assert_int_equal(gossip_member_load(w->node[2].g, world_record_encode(&a, space[0], 200), w->now),
                     ERR_STALE);
    world_run(w, 26000);
    EXPECT_TRACE(w, "[ 20000] c * c alive, new\n"
                    "[ 20000] c * a suspect, new\n"
                    "[ 20000] c * j suspect, new\n"
                    "[ 20191] a * wants incarnation 2\n"
                    "[ 20191] a * c has a new record\n"
                    "[ 20201] c * a suspect -> alive\n"
                    "[ 20201] b * c has a new record\n"
                    "[ 20201] b * a has a new record\n"
                    "[ 20231] c * joined\n"
                    "[ 20251] c * b alive, new\n"
                    "[ 24000] c * j suspect -> dead\n");
    world_free(w);
}

static void tombstones_are_forgotten_and_do_not_come_back(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    w->config.tombstone_ms = 60000;
    for (int i = 0; i < 3; i++)
        world_start(w, i, "a");
    world_run(w, 10000);
    world_stop(w, 2);
    world_run(w, 20000);
    w->show = WORLD_EVENTS | WORLD_BULK;
    world_run(w, 300000);
    assert_string_equal(world_state(w, 0, 2), "unknown");
    assert_string_equal(world_state(w, 1, 2), "unknown");
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_record_is_pushed_at_once),
        cmocka_unit_test(twenty_members_know_it_within_a_few_round_trips),
        cmocka_unit_test(a_record_too_large_for_a_datagram_is_pulled_over_bulk),
        cmocka_unit_test(what_was_lost_is_found_by_the_summary),
        cmocka_unit_test(a_document_is_announced_and_pulled_by_hash),
        cmocka_unit_test(a_late_joiner_gets_the_document_with_its_first_sync),
        cmocka_unit_test(what_only_one_with_strikes_has_comes_when_it_is_asked_again),
        cmocka_unit_test(a_bogus_offer_does_not_keep_the_good_one_out),
        cmocka_unit_test(offers_of_kinds_that_nobody_knows_do_not_keep_the_first_document_out),
        cmocka_unit_test(one_who_refuses_a_document_does_not_pass_it_on),
        cmocka_unit_test(the_byte_budget_defers_rumors_but_not_probes),
        cmocka_unit_test(a_burst_stays_within_the_budget),
        cmocka_unit_test(in_a_flood_of_records_a_death_is_known_in_time),
        cmocka_unit_test(answers_keep_to_the_budget_too),
        cmocka_unit_test(one_that_asks_without_end_keeps_no_answers_from_others),
        cmocka_unit_test(a_cut_transfer_goes_on_where_it_was),
        cmocka_unit_test(a_restarted_member_without_its_store_is_known_again_at_the_first_ping),
        cmocka_unit_test(members_from_the_store_are_probed_before_they_are_believed),
        cmocka_unit_test(tombstones_are_forgotten_and_do_not_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
