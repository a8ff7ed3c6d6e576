/* Who signs two records with one number is quarantined, everywhere and not for ever; whose key signed it hears of it. Cases are
 * ADVERSARY's (G...). */
#include "world.h"

#include "gossip/core.h"

/* G7, R4: two records with one number, told to two halves. */
static void of_two_records_with_one_number_the_smaller_hash_wins_everywhere(void **state)
{
    struct world *w = world_of(3, 10000, WORLD_EVENTS);
    (void)state;
    struct world_record one = {.id = world_id(9),
                               .incarnation = 1,
                               .version = 1,
                               .addr = world_addr(9),
                               .padding = 8,
                               .filler = '1'};
    struct world_record two = one;
    two.filler = '2';
    world_hear_record(w, 0, 1, &one);
    world_hear_record(w, 2, 1, &two);
    world_run(w, 10100);
    struct gossip_member a = world_member(w, 0, 9), b = world_member(w, 1, 9), c = world_member(w, 2, 9);
    assert_true(bytes_eq(a.record, b.record) && bytes_eq(a.record, c.record));
    EXPECT_TRACE(w, "[ 10000] a * j alive, new\n"
                    "[ 10000] c * j alive, new\n"
                    "[ 10010] c * j signed two records\n"
                    "[ 10010] a * j signed two records\n"
                    "[ 10010] a * j has a new record\n"
                    "[ 10020] b * j alive, new\n"
                    "[ 10040] b * j signed two records\n");
    for (int at = 0; at < 3; at++) {
        assert_int_equal(gossip_stats(w->node[at].g)->equivocations, 1);
        assert_true(world_member(w, at, 9).is_quarantined);
    }
    world_free(w);
}

/* A mesh of a to h in which h's key is stolen: its owner hears nothing any more, and *r is what the thief signs. */
static struct world *mesh_with_a_stolen_key(struct world_record *r)
{
    struct world *w = world_new(0);
    for (int i = 0; i < 8; i++)
        world_start(w, i, i == 0 ? "" : "a");
    world_run(w, 10000);
    world_cut(w, "abcdefgi", "h", true);
    *r = (struct world_record){.id = world_id(7),
                               .incarnation = w->node[7].incarnation + 1,
                               .version = 1,
                               .addr = world_addr(7),
                               .padding = 8,
                               .filler = '1'};
    return w;
}

/* Two records with r's numbers, one told to a, one to d; half a second later everybody has heard of both. */
static void show_two_faces(struct world *w, struct world_record *r)
{
    r->filler = '1';
    world_hear_record(w, 0, 1, r);
    r->filler = '2';
    world_hear_record(w, 3, 1, r);
    world_run(w, w->now + 500);
}

static void expect_quarantined(struct world *w, bool is_quarantined)
{
    for (int at = 0; at < 7; at++)
        assert_int_equal(world_member(w, at, 7).is_quarantined, is_quarantined);
}

/* G7, G15: all shun it, also who was told of one of its records only, until a newer one has stood undisputed for half a minute; one
 * that is disputed again begins the wait anew. */
static void who_signs_two_records_with_one_number_is_quarantined_everywhere(void **state)
{
    struct world_record r;
    struct world *w = mesh_with_a_stolen_key(&r);
    (void)state;
    for (int face = 0; face < 2; face++, r.version++) {
        show_two_faces(w, &r);
        expect_quarantined(w, true);
        world_run(w, w->now + 1500);
    }
    world_hear_record(w, 0, 1, &r);
    world_run(w, w->now + 29000);
    expect_quarantined(w, true);
    world_run(w, w->now + 3000);
    expect_quarantined(w, false);
    world_free(w);
}

/* Its health changes every ten seconds, say: each record is newer, and none is disputed. */
static void who_publishes_often_leaves_the_quarantine_all_the_same(void **state)
{
    struct world_record r;
    struct world *w = mesh_with_a_stolen_key(&r);
    (void)state;
    show_two_faces(w, &r);
    for (int more = 0; more < 3; more++) {
        r.version++;
        world_hear_record(w, 0, 1, &r);
        world_run(w, w->now + 9500);
        expect_quarantined(w, true);
    }
    world_run(w, w->now + 3500);
    expect_quarantined(w, false);
    world_free(w);
}

/* G7: who starts while two records of one number are disputed, or after a newer one within the half minute, is shown the proof by
 * whoever it asks for states; so it shuns their owner too, and pushes that to nobody, who all know. */
static void who_joins_meanwhile_is_shown_the_proof(void **state)
{
    (void)state;
    for (int is_newer = 0; is_newer < 2; is_newer++) {
        struct world_record r;
        struct world *w = mesh_with_a_stolen_key(&r);
        show_two_faces(w, &r);
        r.version++;
        if (is_newer)
            world_hear_record(w, 0, 1, &r);
        world_run(w, w->now + 1500);
        world_start(w, 8, "a");
        world_run(w, w->now + 1000);
        assert_true(world_member(w, 8, 7).is_quarantined);
        assert_int_equal(world_member(w, 8, 7).version, is_newer ? 2 : 1);
        world_run(w, w->now + 35000);
        assert_int_equal(world_member(w, 8, 7).is_quarantined, !is_newer);
        assert_int_equal(world_member(w, 0, 7).is_quarantined, !is_newer);
        world_free(w);
    }
}

/* G7, G19: who signs one pair after another is shown them no oftener: both, every two seconds, by each observer. */
static void an_owner_of_pairs_is_shown_them_now_and_then(void **state)
{
    struct world *w = world_new(0);
    int shown = 0;
    (void)state;
    for (int i = 0; i < 4; i++)
        world_start(w, i, i == 0 ? "" : "a");
    world_run(w, 10000);
    world_cut(w, "d", "abc", true); /* so that it does not end it */
    w->show = WORLD_PACKETS;
    w->only = 0;
    for (int pair = 0; pair < 50; pair++) {
        struct world_record r = {.id = world_id(3), .incarnation = 1, .addr = world_addr(3), .padding = 8};
        r.version = 100 + (uint64_t)pair;
        r.filler = '3';
        world_hear_record(w, 0, 1, &r);
        r.filler = '4';
        world_hear_record(w, 0, 1, &r);
        world_run(w, w->now + 50);
    }
    assert_true(world_member(w, 0, 3).is_quarantined);
    for (const char *at = buf_str(&w->log); (at = strstr(at, "a > d push | record d")); at++)
        shown++; /* both in one packet */
    assert_in_range(shown, 1, 2);
    assert_non_null(strstr(buf_str(&w->log), "a > d push | record d 1.100 | record d 1.100"));
    world_free(w);
}

/* G33: the first words of it to the owner are lost, and no digest shows it a difference, since its own record is the one that counts. */
static void whose_key_signed_a_second_record_hears_of_it_in_the_end(void **state)
{
    struct world *w = world_new(0);
    (void)state;
    for (int i = 0; i < 4; i++)
        world_start(w, i, i == 0 ? "" : "a");
    world_run(w, 10000);
    struct gossip_member own = world_member(w, 1, 3);
    struct world_record r = {.id = world_id(3),
                             .incarnation = own.incarnation,
                             .version = own.version,
                             .addr = world_addr(3),
                             .padding = 8,
                             .filler = '3'};
    world_cut(w, "abc", "d", true);
    world_hear_record(w, 0, 1, &r);
    world_run(w, w->now + 500);
    world_cut(w, "abc", "d", false);
    for (int at = 0; at < 3; at++)
        assert_true(world_member(w, at, 3).is_quarantined &&
                    world_member(w, at, 3).incarnation == own.incarnation);
    world_run(w, w->now + 35000);
    for (int at = 0; at < 3; at++)
        assert_true(!world_member(w, at, 3).is_quarantined &&
                    world_member(w, at, 3).incarnation == own.incarnation + 1);
    world_free(w);
}

/* G7, G19: five keys in one hand sign two records each, as large as can be. That is more than fits a message; who is asked for its
 * state shows some of it, and says the rest too. */
static void large_proofs_do_not_keep_a_state_from_being_told(void **state)
{
    enum { FORGERS = 5, RECORD_BYTES = GOSSIP_RECORD_MAX };
    static uint8_t space[2 * FORGERS * (RECORD_BYTES + 16) + 64], record[RECORD_BYTES];
    struct world *w = world_of(3, 10000, 0);
    struct wr wr = wr_init(space, sizeof space);
    struct addr via = world_addr(1);
    (void)state;
    bulk_encode(&wr, &(struct bulk){.type = MSG_STATE});
    for (int k = 0; k < 2 * FORGERS; k++) {
        struct world_record r = {.id = world_id(10 + k / 2),
                                 .incarnation = 1,
                                 .version = 1,
                                 .addr = world_addr(10 + k / 2),
                                 .padding = RECORD_BYTES - 90,
                                 .filler = (uint8_t)('2' + k % 2)};
        struct state_entry e = {.record = world_record_encode(&r, record, sizeof record)};
        state_entry_encode(&wr, &e);
    }
    assert_int_equal(gossip_receive(w->node[0].g, GOSSIP_BULK, &w->node[1].id, &via, wr_done(&wr), w->now),
                     ERR_OK);
    for (int k = 0; k < FORGERS; k++)
        assert_true(world_member(w, 0, 10 + k).is_quarantined);
    uint64_t sent = gossip_stats(w->node[0].g)->bulk_sent;
    world_start(w, 8, "a");
    world_run(w, w->now + 1000);
    assert_string_equal(world_state(w, 8, 1), "alive");
    assert_string_equal(world_state(w, 8, 2), "alive");
    assert_in_range(gossip_stats(w->node[0].g)->bulk_sent - sent, 1, 64);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_records_with_one_number_the_smaller_hash_wins_everywhere),
        cmocka_unit_test(who_signs_two_records_with_one_number_is_quarantined_everywhere),
        cmocka_unit_test(who_publishes_often_leaves_the_quarantine_all_the_same),
        cmocka_unit_test(who_joins_meanwhile_is_shown_the_proof),
        cmocka_unit_test(an_owner_of_pairs_is_shown_them_now_and_then),
        cmocka_unit_test(whose_key_signed_a_second_record_hears_of_it_in_the_end),
        cmocka_unit_test(large_proofs_do_not_keep_a_state_from_being_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
