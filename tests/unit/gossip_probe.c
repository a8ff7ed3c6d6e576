/* Probes under way, probes for others, turns; and the byte budget beside them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "gossip/budget.h"
#include "gossip/member.h"
#include "gossip/probe.h"

/* SWIM section 4.3: within two rounds everybody has been probed at least once, for any count. */
static void every_slot_has_its_turn_once_a_round(void **state)
{
    struct rng r = rng_seeded(3);
    (void)state;
    for (uint32_t count = 1; count < 300; count++) {
        struct turns t = {0};
        uint8_t seen[300];
        for (int round = 0; round < 3; round++) {
            memset(seen, 0, sizeof seen);
            for (uint32_t i = 0; i < count; i++)
                seen[turns_next(&t, &r, count)]++;
            for (uint32_t i = 0; i < count; i++)
                assert_int_equal(seen[i], 1);
            while (t.left > 0) { /* the rest of the round has no slots */
                t.at = (t.at * t.factor + t.step) & t.mask;
                t.left--;
                assert_true(t.at >= count);
            }
        }
    }
}

static void probes_are_bounded_and_forgotten_with_their_member(void **state)
{
    struct probes p = {0};
    struct member a = {0}, b = {0};
    (void)state;
    for (int i = 0; i < PROBES_MAX; i++) {
        struct probe *probe = probes_add(&p);
        assert_non_null(probe);
        probe->target = i % 2 ? &a : &b;
        probe->nonce = (uint64_t)i;
        probe->deadline = 100 + (uint64_t)i;
        probe->again_at = NEVER;
        probe->relay[0] = &a;
        probe->relay_count = 1;
    }
    assert_null(probes_add(&p));
    assert_int_equal(probes_deadline(&p), 100);
    assert_ptr_equal(probes_find(&p, 7)->target, &a);
    probes_forget(&p, &a);
    assert_int_equal(p.count, PROBES_MAX / 2);
    assert_null(probes_find(&p, 7));
    assert_null(p.list[0].relay[0]);
    assert_false(probes_has_target(&p, &a));
    probes_delay(&p, 50);
    assert_int_equal(probes_deadline(&p), 150);
    probes_fini(&p);
}

/* G17, G23 */
static void a_relay_serves_one_origin_a_little_and_answers_to_its_target_only(void **state)
{
    struct relays p = {0};
    struct relay out;
    struct member origin = {0}, target = {0}, other = {0};
    (void)state;
    for (int i = 0; i < RELAYS_PER_MEMBER; i++) {
        struct relay *relay = relays_add(&p, &origin, 0);
        assert_non_null(relay);
        *relay = (struct relay){.origin = &origin, .target = &target, .nonce = (uint64_t)i, .deadline = 1000};
    }
    assert_null(relays_add(&p, &origin, 0));
    assert_false(relays_take(&p, 1, &other, &out));
    assert_false(relays_take(&p, 99, &target, &out));
    assert_true(relays_take(&p, 1, &target, &out));
    assert_false(relays_take(&p, 1, &target, &out));
    assert_non_null(relays_add(&p, &origin, 1000)); /* the old ones are over */
    relays_fini(&p);
}

/* One origin that asks three times is one that does not hear it. */
static void who_asked_in_vain_is_counted_once(void **state)
{
    struct relays p = {0};
    struct member origin[3] = {0}, target = {0}, other = {0};
    (void)state;
    for (int i = 0; i < 9; i++) {
        struct relay *relay = relays_add(&p, &origin[i / 3], 0);
        assert_non_null(relay);
        *relay = (struct relay){.origin = &origin[i / 3],
                                .target = i == 8 ? &other : &target,
                                .nack_at = i == 7 ? 500 : NEVER,
                                .again_at = NEVER,
                                .deadline = i == 6 ? 600 : 1000};
    }
    assert_int_equal(relays_in_vain(&p, &target, 400), 3); /* the third by its first alone */
    assert_int_equal(relays_in_vain(&p, &target, 600), 2);
    assert_int_equal(relays_in_vain(&p, &other, 600), 1);
    assert_int_equal(relays_in_vain(&p, &target, 1000), 0);
    relays_fini(&p);
}

static void the_budget_refills_and_debt_is_bounded(void **state)
{
    struct budget b;
    (void)state;
    budget_init(&b, 1000, 0);
    budget_spend(&b, 124);
    assert_true(budget_has(&b));
    budget_spend(&b, 5000);
    assert_false(budget_has(&b));
    assert_int_equal(budget_ready_at(&b), 1334);
    budget_refill(&b, 1333);
    assert_false(budget_has(&b));
    budget_refill(&b, 1334);
    assert_true(budget_has(&b));
    budget_refill(&b, 1000000);
    budget_spend(&b, 125);
    assert_false(budget_has(&b)); /* never more than an eighth of a second's worth is saved up */
}

static void probes_may_owe_a_little(void **state)
{
    struct budget b;
    (void)state;
    budget_init(&b, 16000, 0);
    budget_spend(&b, 2000 + 1000 + BUDGET_PACKET_BYTES - 1);
    assert_true(budget_may_owe(&b));
    assert_int_equal(budget_may_owe_at(&b), 0);
    budget_spend(&b, 121);
    assert_false(budget_may_owe(&b));
    assert_int_equal(budget_may_owe_at(&b), 11); /* 120 bytes come back in 10 ms */
    budget_refill(&b, 11);
    assert_true(budget_may_owe(&b));
    assert_false(budget_has(&b));
}

/* Who sends whenever it may spends no more than the budget in any second, wherever the second begins, whatever probes
 * and acks there are to send besides. */
static void no_second_exceeds_the_budget(void **state)
{
    struct budget b;
    static uint64_t spent[10000];
    uint64_t window = 0, most = 0;
    (void)state;
    budget_init(&b, 65536, 0);
    for (mono_ms now = 0; now < 10000; now++) {
        budget_refill(&b, now);
        for (; now % 3000 >= 700 && budget_has(&b); spent[now] += 1100) /* idle now and then, to save up */
            budget_spend(&b, 1100);
        for (; now % 3000 >= 1000 && budget_may_owe(&b); spent[now] += 100)
            budget_spend(&b, 100);
        window += spent[now] - (now >= 1000 ? spent[now - 1000] : 0);
        most = window > most ? window : most;
    }
    assert_in_range(most, 60000, 65536);
}

static void a_relay_says_nack_once(void **state)
{
    struct relays p = {0};
    struct member a = {0};
    (void)state;
    assert_int_equal(relays_deadline(&p), NEVER);
    struct relay *r = relays_add(&p, &a, 0);
    assert_non_null(r);
    *r = (struct relay){.origin = &a, .again_at = 60, .nack_at = 80, .deadline = 1000};
    assert_int_equal(relays_deadline(&p), 60);
    r->again_at = NEVER;
    assert_int_equal(relays_deadline(&p), 80);
    relays_delay(&p, 30);
    assert_int_equal(relays_deadline(&p), 110);
    r->nack_at = NEVER;
    relays_delay(&p, 30);
    assert_int_equal(relays_deadline(&p), NEVER);
    assert_int_equal(r->deadline, 1060);
    relays_fini(&p);
}

static void pings_follow_the_loss(void **state)
{
    uint16_t loss = 0;
    uint8_t last = LOSS_PINGS_MIN;
    (void)state;
    assert_int_equal(loss_pings(0), LOSS_PINGS_MIN);
    for (int i = 0; i < 200; i++) { /* one in ten is lost: 0.1^3 = 0.001 */
        loss_sample(&loss, i % 10 == 0);
        assert_in_range(loss_pings(loss), LOSS_PINGS_MIN, 5);
    }
    for (int i = 0; i < 100; i++) { /* all are */
        loss_sample(&loss, true);
        assert_true(loss_pings(loss) >= last);
        last = loss_pings(loss);
    }
    assert_int_equal(last, LOSS_PINGS_MAX);
    for (int i = 0; i < 200; i++)
        loss_sample(&loss, false);
    assert_int_equal(loss, 0);
    assert_int_equal(loss_pings(loss), LOSS_PINGS_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_slot_has_its_turn_once_a_round),
        cmocka_unit_test(probes_are_bounded_and_forgotten_with_their_member),
        cmocka_unit_test(a_relay_serves_one_origin_a_little_and_answers_to_its_target_only),
        cmocka_unit_test(who_asked_in_vain_is_counted_once),
        cmocka_unit_test(the_budget_refills_and_debt_is_bounded),
        cmocka_unit_test(probes_may_owe_a_little),
        cmocka_unit_test(no_second_exceeds_the_budget),
        cmocka_unit_test(a_relay_says_nack_once),
        cmocka_unit_test(pings_follow_the_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
