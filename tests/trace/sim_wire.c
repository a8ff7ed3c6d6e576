/* The simulated network and its clockwork: what it promises to the scenarios. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/future.h"
#include "sim/wire.h"

/* Near ones, far ones, many at one time, and further ones while time goes on. */
static void things_happen_in_order_of_time_and_then_of_insertion(void **state)
{
    (void)state;
    static const uint32_t ahead[] = {1, 300, 2000, 3000000, UINT32_MAX};
    struct future f = {0};
    struct rng r = rng_seeded(5);
    struct happening x, before = {0};
    uint32_t inserted = 0, taken = 0;
    for (; taken < 20000; taken++) {
        for (uint32_t k = rng_below(&r, 3); taken < 10000 && (inserted <= taken + 50 || k > 0); k -= k > 0) {
            mono_us at = before.at + (mono_us)rng_below(&r, ahead[rng_below(&r, 5)]) * (1 + rng_below(&r, 9));
            future_push(&f, &(struct happening){.at = at, .kind = HAPPENS_TIMER, .host = inserted++});
        }
        if (!future_pop(&f, NEVER, &x))
            break;
        assert_true(taken == 0 || x.at > before.at || (x.at == before.at && x.host > before.host));
        before = x;
    }
    assert_true(taken == inserted && taken >= 10000);
    future_fini(&f);
}

/* What comes next is looked for up to a time, and until then anything may still be inserted. */
static void the_future_is_not_looked_into_beyond_a_time(void **state)
{
    (void)state;
    struct future f = {0};
    struct happening x;
    assert_false(future_pop(&f, NEVER, &x));
    future_push(&f, &(struct happening){.at = 5000000, .host = 1});
    assert_false(future_pop(&f, 9, &x));
    assert_false(future_pop(&f, 4999999, &x));
    future_push(&f, &(struct happening){.at = 4999999, .host = 2});
    future_push(&f, &(struct happening){.at = 5000000, .host = 3});
    for (uint32_t host = 2, n = 0; n < 3; host = n == 0 ? 1 : 3, n++) {
        assert_true(future_pop(&f, 5000000, &x));
        assert_int_equal(x.host, host);
    }
    assert_false(future_pop(&f, NEVER, &x));
    future_fini(&f);
}

static void loss_and_doubling_are_as_configured(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {
        .delay_us = 1000, .jitter_pct = 20, .loss_ppm = 300000, .duplicate_ppm = 100000};
    unsigned count[3] = {0};
    mono_us at[2];
    wire_init(&w, &config, 2, 1);
    for (int i = 0; i < 100000; i++) {
        unsigned n = wire_datagram(&w, 0, 1, 100, 5000, at);
        count[n]++;
        for (unsigned j = 0; j < n; j++)
            assert_true(at[j] >= 5800 && at[j] <= 6200);
    }
    assert_in_range(count[0], 29000, 31000);
    assert_in_range(count[2], 6500, 7500); /* a tenth of what was not lost */
    wire_fini(&w);
}

static void a_cut_has_a_direction(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {.delay_us = 1000};
    mono_us at[2];
    wire_init(&w, &config, 3, 1);
    w.group[1] = 1;
    w.cut[0][1] = true;
    assert_false(wire_is_whole(&w));
    assert_int_equal(wire_datagram(&w, 0, 1, 100, 0, at), 0);
    assert_int_equal(wire_datagram(&w, 1, 0, 100, 0, at), 1);
    assert_int_equal(wire_datagram(&w, 0, 2, 100, 0, at), 1);
    wire_fini(&w);
}

static void bulk_pays_for_its_connection_once_and_keeps_its_order(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {.delay_us = 1000, .loss_ppm = 200000};
    wire_init(&w, &config, 2, 7);
    mono_us first = wire_bulk(&w, 0, 1, 1, 1, 100, 0), last = first;
    assert_true(first >= 5000); /* two round trips, then one way */
    for (int i = 1; i < 1000; i++) {
        mono_us at = wire_bulk(&w, 0, 1, 1, 1, 100, (mono_us)i * 10);
        assert_true(at >= last);
        last = at;
    }
    w.config.loss_ppm = 0;
    mono_us later = last + 1000000;
    assert_int_equal(wire_bulk(&w, 0, 1, 1, 1, 0, later), later + 1000);
    assert_int_equal(wire_bulk(&w, 1, 1, 0, 1, 125000, later), later + 1000 + 1000); /* 1 Gbit/s */
    assert_int_equal(wire_bulk(&w, 0, 1, 1, 2, 0, later), later + 5000); /* the other has restarted */
    assert_int_equal(wire_bulk(&w, 0, 1, 1, 2, 0, later + WIRE_IDLE_US + 1), later + WIRE_IDLE_US + 1 + 5000);
    wire_fini(&w);
}

static mono_us delay_of(struct wire *w, uint32_t from, uint32_t to, size_t bytes, mono_us now)
{
    mono_us at[2];
    return wire_datagram(w, from, to, bytes, now, at) ? at[0] - now : NEVER;
}

/* Hosts 0 and 2 in one zone, 1 and 3 in the other. */
static void between_zones_it_takes_longer_and_each_direction_differs(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {
        .delay_us = 1000, .zones = 2, .zone_delay_us = 20000, .zone_loss_ppm = 200000};
    wire_init(&w, &config, 4, 3);
    assert_int_equal(delay_of(&w, 0, 2, 100, 0), 1000);
    wire_heal(&w); /* losses are faults, distances are not */
    mono_us there = delay_of(&w, 0, 1, 100, 0), back = delay_of(&w, 1, 0, 100, 0);
    assert_in_range(there, 11000, 31000);
    assert_in_range(back, 11000, 31000);
    assert_true(there != back);
    assert_int_equal(delay_of(&w, 2, 3, 100, 0), there);
    assert_int_equal(wire_round_trip(&w, 0, 1), there + back);
    wire_fini(&w);
}

static unsigned lost_of(struct wire *w, unsigned count, uint32_t from, uint32_t to)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < count; i++)
        lost += delay_of(w, from, to, 100, 0) == NEVER;
    return lost;
}

static void between_zones_more_is_lost_and_each_direction_differs(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {.delay_us = 1000, .zones = 2, .zone_loss_ppm = 200000};
    wire_init(&w, &config, 4, 1);
    unsigned there = lost_of(&w, 10000, 0, 1), back = lost_of(&w, 10000, 1, 0);
    assert_int_equal(lost_of(&w, 10000, 0, 2), 0);
    assert_in_range(there, 1000, 3000);
    assert_in_range(back, 1000, 3000);
    assert_true(there > back + 300 || back > there + 300);
    assert_in_range(lost_of(&w, 10000, 2, 3), there - 300, there + 300);
    wire_heal(&w);
    assert_int_equal(lost_of(&w, 10000, 0, 1) + lost_of(&w, 10000, 1, 0), 0);
    wire_fini(&w);
}

static void some_are_late_enough_to_be_overtaken(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {.delay_us = 1000, .reorder_ppm = 200000, .reorder_us = 50000};
    unsigned late = 0;
    wire_init(&w, &config, 2, 1);
    for (unsigned i = 0; i < 10000; i++) {
        mono_us delay = delay_of(&w, 0, 1, 100, 0);
        assert_in_range(delay, 1000, 1000 + 50000);
        late += delay > 1000;
    }
    assert_in_range(late, 1800, 2200);
    wire_heal(&w);
    assert_int_equal(delay_of(&w, 0, 1, 100, 0), 1000);
    wire_fini(&w);
}

static void a_slow_host_is_late_with_all_it_says(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {.delay_us = 1000};
    wire_init(&w, &config, 2, 1);
    w.host[0].lag_us = 500000;
    assert_false(wire_is_whole(&w));
    assert_int_equal(delay_of(&w, 0, 1, 100, 0), 501000);
    assert_int_equal(delay_of(&w, 1, 0, 100, 0), 1000);
    assert_int_equal(wire_round_trip(&w, 0, 1), 502000);
    wire_heal(&w);
    assert_int_equal(delay_of(&w, 0, 1, 100, 0), 1000);
    wire_fini(&w);
}

static void a_single_link_can_be_missing(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {.delay_us = 1000};
    wire_init(&w, &config, 4, 1);
    wire_part(&w, 1, 2, true);
    assert_true(wire_is_cut(&w, 1, 2) && wire_is_cut(&w, 2, 1) && wire_is_bulk_cut(&w, 1, 2));
    assert_int_equal(delay_of(&w, 2, 1, 100, 0), NEVER);
    assert_int_equal(delay_of(&w, 0, 1, 100, 0), 1000);
    assert_int_equal(delay_of(&w, 3, 2, 100, 0), 1000);
    assert_false(wire_is_whole(&w));
    wire_part(&w, 1, 2, true); /* once more is as once */
    wire_part(&w, 1, 2, false);
    assert_true(wire_is_whole(&w));
    wire_part(&w, 0, 3, true);
    wire_heal(&w);
    assert_true(wire_is_whole(&w));
    assert_int_equal(delay_of(&w, 0, 3, 100, 0), 1000);
    wire_fini(&w);
}

/* 1 Mbit/s: 1250 bytes pass in 10 ms at the sender's end and in 10 ms at the receiver's. */
static void a_thin_line_queues_and_then_drops(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {.delay_us = 1000, .line_kbps = 1000, .queue_us = 50000};
    wire_init(&w, &config, 2, 1);
    assert_int_equal(delay_of(&w, 0, 1, 1250, 0), 10000 + 1000 + 10000);
    for (mono_us ahead = 1; ahead <= 5; ahead++)
        assert_int_equal(delay_of(&w, 0, 1, 1250, 0), ahead * 10000 + 21000);
    assert_int_equal(delay_of(&w, 0, 1, 1250, 0), NEVER); /* would wait 60 ms */
    assert_int_equal(w.queue_drops, 1);
    assert_int_equal(delay_of(&w, 0, 1, 1250, 20000), 40000 + 21000); /* two have passed meanwhile */
    mono_us bulk = wire_bulk(&w, 1, 1, 0, 1, 125000, 0);
    assert_int_equal(bulk, 4 * 1000 + 1000 * 1000 + 1000); /* its own queue: not behind datagrams */
    wire_fini(&w);
}

/* A long message streams: both lines carry it at once. What shares a line waits for its end. */
static void a_stream_takes_its_time_once(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {.delay_us = 1000, .line_kbps = 1000};
    wire_init(&w, &config, 4, 1);
    assert_int_equal(wire_bulk(&w, 0, 1, 1, 1, 12500, 0), 4000 + 100000 + 1000);
    assert_int_equal(wire_bulk(&w, 0, 1, 2, 1, 12500, 0), 4000 + 200000 + 1000); /* behind it, out of 0 */
    assert_int_equal(wire_bulk(&w, 3, 1, 1, 1, 12500, 0), 4000 + 200000 + 1000); /* behind it, into 1 */
    wire_fini(&w);
}

static void one_hosts_losses_are_its_own(void **state)
{
    (void)state;
    struct wire w;
    struct wire_config config = {.delay_us = 1000};
    wire_init(&w, &config, 3, 1);
    w.host[1].lost_in_ppm = 1000000;
    assert_false(wire_is_whole(&w));
    assert_int_equal(delay_of(&w, 0, 1, 100, 0), NEVER);
    assert_int_equal(delay_of(&w, 1, 0, 100, 0), 1000);
    assert_int_equal(delay_of(&w, 0, 2, 100, 0), 1000);
    assert_true(wire_is_bulk_cut(&w, 1, 0)); /* TCP needs both directions */
    assert_false(wire_is_bulk_cut(&w, 2, 0));
    wire_heal(&w);
    assert_true(wire_is_whole(&w));
    assert_int_equal(delay_of(&w, 0, 1, 100, 0), 1000);
    wire_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_happen_in_order_of_time_and_then_of_insertion),
        cmocka_unit_test(the_future_is_not_looked_into_beyond_a_time),
        cmocka_unit_test(loss_and_doubling_are_as_configured),
        cmocka_unit_test(a_cut_has_a_direction),
        cmocka_unit_test(bulk_pays_for_its_connection_once_and_keeps_its_order),
        cmocka_unit_test(between_zones_it_takes_longer_and_each_direction_differs),
        cmocka_unit_test(between_zones_more_is_lost_and_each_direction_differs),
        cmocka_unit_test(some_are_late_enough_to_be_overtaken),
        cmocka_unit_test(a_slow_host_is_late_with_all_it_says),
        cmocka_unit_test(a_single_link_can_be_missing),
        cmocka_unit_test(a_thin_line_queues_and_then_drops),
        cmocka_unit_test(a_stream_takes_its_time_once),
        cmocka_unit_test(one_hosts_losses_are_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
