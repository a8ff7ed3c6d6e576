/* An oracle that cannot fail proves nothing: each one is shown what it must not accept. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/message.h"
#include "sim/oracle.h"
#include "sim/scenario.h"
#include "trust/sign.h"

static struct world *small_mesh(void)
{
    struct world_config config = {.hosts = 5, .seed = 42, .wire = {.delay_us = 500, .jitter_pct = 20}};
    struct world *w = world_new(&config);
    for (uint32_t h = 0; h < 5; h++)
        host_start(w, h);
    assert_true(world_agree(w, SEC(30), "start"));
    return w;
}

static void expect_failure(struct world *w, const char *words)
{
    if (!strstr(w->failure, words))
        print_error("expected \"%s\", got \"%s\"\n", words, w->failure);
    assert_non_null(strstr(w->failure, words));
    world_free(w);
}

static void a_forged_record_in_a_members_table_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    struct buf record = {0};
    buf_add_bytes(&record, w->host[3].own->bytes);
    assert_non_null(oracle_accepted(w, 1, signer_id(w->signer, 3), buf_bytes(&record)));
    assert_null(
        oracle_accepted(w, 1, signer_id(w->signer, 2), buf_bytes(&record))); /* true, but of another */
    w->failure[0] = 0;
    record.at[record.len / 2] ^= 1;
    assert_null(oracle_accepted(w, 1, signer_id(w->signer, 3), buf_bytes(&record)));
    buf_fini(&record);
    expect_failure(w, "host 1 accepts a forged record of member 3");
}

static void real_verification_refuses_every_forgery(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    struct gossip_claim claim;
    struct buf record = {0};
    signer_forge(w->signer, 3, 4, 9, true, &record);
    assert_int_equal(signer_verify(w->signer, buf_bytes(&record), &claim), ERR_AUTH);
    assert_int_equal(signer_verify(w->signer, buf_bytes(&record), &claim), ERR_AUTH); /* from memory */
    buf_consume(&record, record.len);
    signer_forge_outsider(w->signer, 1, &record);
    assert_int_not_equal(signer_verify(w->signer, buf_bytes(&record), &claim), ERR_OK);
    buf_consume(&record, record.len);
    signer_forge(w->signer, 4, 4, 9, false, &record); /* what its owner signs is good */
    assert_int_equal(signer_verify(w->signer, buf_bytes(&record), &claim), ERR_OK);
    buf_fini(&record);
    world_free(w);
}

static void speaking_before_storing_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    const struct signed_record *r =
        signer_sign(w->signer, 2, w->host[2].disk.incarnation + 1, 1, false, 0, NULL);
    struct gossip_claim claim = {
        .id = *signer_id(w->signer, 2), .incarnation = r->incarnation, .hash = r->hash};
    oracle_verified(w, 0, &claim);
    expect_failure(w, "host 2 speaks under incarnation 2, on its disk is 1");
}

static void a_number_signed_twice_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    host_crash(w, 2);
    host_lose_disk(w, 2, 0);
    w->wire.group[2] = 1; /* ... and it reaches nobody who could tell it what it was */
    world_cut_both_ways(w, 0, 1, true);
    host_start(w, 2);
    world_run(w, SEC(4));
    expect_failure(w, "host 2 signs incarnation 1 version 1 a second time");
}

static void holding_a_reachable_host_dead_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    w->wire.group[4] = 1;
    world_cut_both_ways(w, 0, 1, true);
    assert_true(world_run(w, SEC(90))); /* held dead, rightly: nothing to object */
    struct gossip_member m;
    assert_true(gossip_member_get(w->host[0].gossip, signer_id(w->signer, 4), &m));
    assert_int_equal(m.state, GOSSIP_DEAD);
    memset(w->wire.cut, 0, sizeof w->wire.cut); /* as if the network had been whole all the time */
    w->network_since = w->began;
    assert_false(world_run(w, SEC(3))); /* it is seen while the world runs */
    expect_failure(w, "dead since");
}

static void disagreement_is_named(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    char difference[160];
    assert_true(oracle_agree(w, difference, sizeof difference));
    host_crash(w, 3);
    assert_false(oracle_agree(w, difference, sizeof difference));
    assert_string_equal(difference, "host 0 holds host 3 alive, which is gone");
    assert_false(world_agree(w, SEC(1), "a crash")); /* nobody can know that soon */
    expect_failure(w, "ms after a crash: host 0 holds host 3");
}

static void live_on_without_a_network(struct world *w)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        host_start(w, h);
    if (!world_agree(w, SEC(30), "start") || !world_run(w, SEC(40)))
        return;
    w->wire.config.loss_ppm = 1000000; /* the network is gone, and nobody told the oracles */
    w->dead_bound = SEC(3600);
    world_run(w, SEC(60));
}

static void deaths_of_the_living_are_counted_and_fail_a_scenario(void **state)
{
    (void)state;
    const struct scenario strict = {.name = "strict", .play = live_on_without_a_network};
    struct scenario lenient = strict;
    struct world_config config = {.hosts = 5, .seed = 42, .wire = {.delay_us = 500}};
    lenient.may_misjudge = true;
    struct world *w = scenario_play(&lenient, &config);
    assert_true(world_is_well(w));
    assert_int_equal(w->figures.false_deaths, 5 * 4);
    world_free(w);
    expect_failure(scenario_play(&strict, &config), "20 times a host was held dead that ran");
}

static void numbers_that_rise_without_need_are_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    oracle_end(w);
    assert_true(world_is_well(w));
    host_crash(w, 2);
    w->host[2].disk.incarnation = 70; /* as if it had been lied up to there */
    host_start(w, 2);
    oracle_end(w);
    expect_failure(w, "host 2 was driven to incarnation 86");
}

static void an_honest_hosts_malformed_message_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    const uint8_t nonsense[] = {1, 6, 0xff, 0xff};
    world_inject(w, 3, false, 1, GOSSIP_DATAGRAM, bytes_of(nonsense, sizeof nonsense));
    world_run(w, SEC(1));
    expect_failure(w, "host 1 finds a message of host 3 malformed");
}

/* A change of mind of host 0 about host 3, whose record it holds. */
static struct gossip_event change_of_mind(enum gossip_state before, enum gossip_state after)
{
    return (struct gossip_event){.type = GOSSIP_EV_MEMBER, .before = before, .after = after};
}

static void going_back_to_an_older_record_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    const struct signed_record *first = w->host[3].own;
    struct gossip_event ev = change_of_mind(GOSSIP_ALIVE, GOSSIP_ALIVE);
    oracle_changed(w, 0, 3, &ev, first); /* the same again: nothing to object */
    host_update(w, 3);
    assert_true(world_run(w, SEC(5)));
    assert_ptr_not_equal(host_remembers(&w->host[0], 3), first);
    oracle_changed(w, 0, 3, &ev, first);
    expect_failure(w, "host 0 goes back from incarnation 1 to 1 of host 3");
}

static void undoing_a_good_bye_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    host_leave(w, 3);
    assert_true(world_run(w, SEC(5)));
    const struct signed_record *good_bye = host_remembers(&w->host[0], 3);
    assert_true(good_bye->left);
    struct gossip_event ev = change_of_mind(GOSSIP_LEFT, GOSSIP_ALIVE);
    oracle_changed(w, 0, 3, &ev, good_bye);
    expect_failure(w, "host 0 undoes the good-bye of host 3");
}

static void raising_the_dead_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    host_crash(w, 3);
    struct gossip_event ev = change_of_mind(GOSSIP_DEAD, GOSSIP_ALIVE);
    oracle_changed(w, 0, 3, &ev, host_remembers(&w->host[0], 3)); /* its ack may still have been under way */
    assert_true(world_run(w, SEC(30)));
    oracle_changed(w, 0, 3, &ev, host_remembers(&w->host[0], 3));
    expect_failure(w, "host 0 raises host 3 from the dead, which has been gone for 30 s");
}

static void different_views_of_the_gone_are_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    char difference[160];
    w->wire.group[0] = 1;
    world_cut_both_ways(w, 0, 1, true);
    host_leave(w, 3); /* host 0 does not hear it, and finds all others dead */
    assert_true(world_run(w, SEC(5)));
    host_stop(w, 3);
    assert_true(world_run(w, SEC(40)));
    memset(w->wire.cut, 0, sizeof w->wire.cut);
    for (uint32_t h = 1; h < 5; h++)
        if (h != 2)
            host_stop(
                w, h); /* gone is gone: only host 0 and host 2 are asked, and only about host 3 they differ */
    w->host[2].state = HOST_PAUSED; /* of which nobody has to be sure */
    assert_true(oracle_agree(w, difference, sizeof difference));
    w->host[2].state = HOST_UP;
    w->last_observer = 2;
    w->last_subject = 3;
    assert_false(oracle_agree(w, difference, sizeof difference));
    assert_string_equal(difference, "host 2 holds host 3 left, which is held otherwise by another");
    world_free(w);
}

/* ---- they look while the world runs, wherever its events come from ---- */

static void push_record(struct world *w, uint32_t from, uint32_t to, struct bytes record)
{
    uint8_t space[GOSSIP_PACKET_BYTES_MIN];
    struct wr out = wr_init(space, sizeof space);
    datagram_encode(&out, &(struct datagram){.type = MSG_PUSH});
    rumor_item_encode(&out, &(struct rumor_item){.type = RUMOR_RECORD, .record = record});
    assert_true(wr_ok(&out));
    world_inject(w, from, false, to, GOSSIP_DATAGRAM, wr_done(&out));
}

static void a_record_that_comes_before_its_number_is_stored_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    const struct signed_record *r =
        signer_sign(w->signer, 2, w->host[2].disk.incarnation + 1, 1, false, 0, NULL);
    push_record(w, 3, 0, r->bytes);
    assert_false(world_run(w, SEC(1)));
    expect_failure(w, "host 2 speaks under incarnation 2, on its disk is 1");
}

/* With the owner's own key, but not by its owner: no verification can tell, the oracle can. */
static void a_record_that_its_owner_never_signed_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    struct buf record = {0};
    signer_forge(w->signer, 2, 2, 9, false, &record);
    push_record(w, 3, 0, buf_bytes(&record));
    buf_fini(&record);
    assert_false(world_run(w, SEC(1)));
    expect_failure(w, "host 0: a record of host 2 that was never signed passes verification");
}

/* Host 0 has a newer record of host 3 on its disk than the one whose death it tells of. */
static void a_change_that_goes_back_is_seen_when_it_is_told(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    const struct signed_record *own = w->host[3].own;
    const struct signed_record *next =
        signer_sign(w->signer, 3, own->incarnation, own->version + 1, false, 0, NULL);
    host_crash(w, 3);
    w->host[0].disk.member[3] = next->number;
    assert_false(world_run(w, SEC(30)));
    expect_failure(w, "host 0 goes back from incarnation 1 to 1 of host 3");
}

static void climb(struct world *w)
{
    host_start(w, 0);
    world_run(w, SEC(10));
    w->host[0].disk.incarnation = 70;
}

static void every_scenario_is_judged_at_its_end(void **state)
{
    (void)state;
    const struct scenario s = {.name = "climb", .play = climb};
    const struct world_config config = {.hosts = 2, .seed = 42, .wire = {.delay_us = 500}};
    expect_failure(scenario_play(&s, &config), "host 0 was driven to incarnation 70");
}

static void what_is_sent_is_held_against_the_budget(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    assert_true(world_run(w, SEC(5)));
    for (uint32_t h = 0; h < 5; h++)
        assert_in_range(w->host[h].meter.peak, 100, 65536);
    w->config.gossip.bytes_per_second_max = 99; /* of which the hosts do not hear */
    oracle_end(w);
    expect_failure(w, "its budget is 99");
}

static void a_second_above_the_budget_is_seen(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    oracle_end(w);
    assert_true(world_is_well(w));
    for (int i = 0; i < 90; i++)
        meter_add(&w->host[2].meter, w->now + MS(10) * (mono_us)i, 1000);
    oracle_end(w);
    expect_failure(w, "bytes of datagrams in one second, its budget is 65536");
}

static void a_second_is_any_second(void **state)
{
    struct meter m = {0};
    (void)state;
    meter_add(&m, MS(5995), 100);
    meter_add(&m, MS(6500), 10);
    meter_add(&m, MS(6900), 1);
    assert_int_equal(m.peak, 111);
    meter_add(&m, MS(7000), 50); /* the first is out of it */
    assert_int_equal(m.sum, 61);
    assert_int_equal(m.peak, 111);
    meter_add(&m, MS(60000), 120);
    assert_int_equal(m.peak, 120);
    assert_int_equal(m.sum, 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forged_record_in_a_members_table_is_seen),
        cmocka_unit_test(real_verification_refuses_every_forgery),
        cmocka_unit_test(speaking_before_storing_is_seen),
        cmocka_unit_test(a_number_signed_twice_is_seen),
        cmocka_unit_test(holding_a_reachable_host_dead_is_seen),
        cmocka_unit_test(disagreement_is_named),
        cmocka_unit_test(deaths_of_the_living_are_counted_and_fail_a_scenario),
        cmocka_unit_test(numbers_that_rise_without_need_are_seen),
        cmocka_unit_test(an_honest_hosts_malformed_message_is_seen),
        cmocka_unit_test(going_back_to_an_older_record_is_seen),
        cmocka_unit_test(undoing_a_good_bye_is_seen),
        cmocka_unit_test(raising_the_dead_is_seen),
        cmocka_unit_test(different_views_of_the_gone_are_seen),
        cmocka_unit_test(a_record_that_comes_before_its_number_is_stored_is_seen),
        cmocka_unit_test(a_record_that_its_owner_never_signed_is_seen),
        cmocka_unit_test(a_change_that_goes_back_is_seen_when_it_is_told),
        cmocka_unit_test(every_scenario_is_judged_at_its_end),
        cmocka_unit_test(what_is_sent_is_held_against_the_budget),
        cmocka_unit_test(a_second_above_the_budget_is_seen),
        cmocka_unit_test(a_second_is_any_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
