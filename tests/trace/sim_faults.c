/* What goes wrong with single hosts goes wrong as it is described, and ends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/faults.h"
#include "sim/oracle.h"
#include "sim/samples.h"

static struct world *small_mesh(void)
{
    struct world_config config = {.hosts = 5, .seed = 7, .wire = {.delay_us = 500, .jitter_pct = 20}};
    struct world *w = world_new(&config);
    for (uint32_t h = 0; h < 5; h++)
        host_start(w, h);
    assert_true(world_agree(w, SEC(30), "start"));
    return w;
}

static enum gossip_state held_by(const struct world *w, uint32_t observer, uint32_t subject)
{
    struct gossip_member m;
    assert_true(gossip_member_get(w->host[observer].gossip, signer_id(w->signer, subject), &m));
    return m.state;
}

static void a_blocked_host_stands_before_its_next_send_or_after_its_next_receive(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    struct host *h = &w->host[4];
    fault_begin(w, 4, FAULT_BLOCK, SEC(20), 0, w->now);
    assert_int_equal(h->state, HOST_UP); /* it has neither sent nor received yet */
    assert_true(world_run(w, SEC(3)));
    assert_int_equal(h->state, HOST_PAUSED);
    assert_true(h->held || h->queued_datagrams > 0);
    assert_true(world_run(w, SEC(14)));
    assert_int_not_equal(held_by(w, 0, 4), GOSSIP_ALIVE);
    assert_true(world_run(w, SEC(4)));
    assert_int_equal(h->state, HOST_UP);
    assert_null(h->held);
    assert_int_equal(h->queued_datagrams + h->queued_bulk, 0);
    assert_int_equal(h->fault.kind, FAULT_NONE);
    assert_true(world_agree(w, SEC(60), "the block"));
    world_free(w);
}

/* Deaf, so that it is a send that comes first. */
static void a_blocked_host_stands_before_its_next_send(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    struct host *h = &w->host[4];
    w->wire.host[4].lost_in_ppm = 1000000;
    assert_true(world_run(w, SEC(1))); /* nothing is under way to it any more */
    host_block(w, 4);
    assert_true(world_run(w, SEC(2)));
    assert_int_equal(h->state, HOST_PAUSED);
    assert_non_null(h->held);
    assert_int_equal(h->queued_datagrams, 0);
    uint64_t sent = w->figures.datagrams;
    host_resume(w, 4);
    assert_true(w->figures.datagrams > sent); /* late, but it goes out */
    assert_null(h->held);
    world_free(w);
}

static void a_blocked_host_stands_after_its_next_receive(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    struct host *h = &w->host[4];
    const uint8_t nonsense[] = {1, 6, 0xff, 0xff};
    host_block(w, 4);
    world_inject(w, 3, false, 4, GOSSIP_DATAGRAM, bytes_of(nonsense, sizeof nonsense));
    assert_true(world_run(w, MS(1)));
    assert_int_equal(h->state, HOST_PAUSED);
    assert_null(h->held);
    assert_int_equal(h->queued_datagrams, 1); /* not read yet: it is no failure of the world */
    world_free(w);
}

static void cycles_go_on_until_their_end(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    mono_us start = w->now;
    unsigned paused = 0;
    fault_begin(w, 2, FAULT_PAUSE, MS(100), MS(300), start + SEC(10));
    for (int i = 0; i < 2000; i++) { /* 20 s in steps of 10 ms */
        paused += w->host[2].state == HOST_PAUSED;
        if (w->host[2].fault.kind != FAULT_NONE)
            assert_true(w->now <= start + SEC(10) + MS(400));
        world_run(w, MS(10));
    }
    assert_in_range(paused, 240, 270); /* a quarter of ten seconds, and the end of a cycle */
    assert_int_equal(w->host[2].state, HOST_UP);
    world_free(w);
}

static void the_deaf_and_the_mute_are_lost_to_the_others_and_come_back(void **state)
{
    (void)state;
    for (int mute = 0; mute < 2; mute++) {
        struct world *w = small_mesh();
        fault_begin(w, 3, mute ? FAULT_MUTE : FAULT_DEAF, SEC(60), 0, w->now);
        assert_false(wire_is_whole(&w->wire));
        assert_true(world_run(w, SEC(30)));
        assert_int_not_equal(held_by(w, 0, 3), GOSSIP_ALIVE);
        fault_end(w, 3);
        assert_true(wire_is_whole(&w->wire));
        assert_true(world_agree(w, SEC(90), "it was deaf or mute"));
        world_free(w);
    }
}

/* Stalls of half to one and a half of a second, as long apart, in which what arrives waits and every timer comes late. */
static void the_starved_stand_still_again_and_again(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    struct host *h = &w->host[2];
    unsigned paused = 0, stalls = 0, waited = 0;
    fault_begin(w, 2, FAULT_STARVE, SEC(1), SEC(1), w->now + SEC(60));
    for (int i = 0; i < 6000; i++) {
        bool was_up = h->state == HOST_UP;
        assert_true(world_run(w, MS(10)));
        stalls += was_up && h->state == HOST_PAUSED;
        paused += h->state == HOST_PAUSED;
        waited += h->state == HOST_PAUSED && h->queued_datagrams > 0;
    }
    assert_in_range(stalls, 22, 38);
    assert_in_range(paused, 2200, 3800);
    assert_true(waited > 500);
    assert_true(gossip_stats(h->gossip)->lateness > 10); /* it sees that it is late */
    fault_end(w, 2);
    assert_int_equal(h->state, HOST_UP);
    assert_true(world_agree(w, SEC(60), "it was starved"));
    world_free(w);
}

static void the_lossy_lose_four_of_five_both_ways(void **state)
{
    (void)state;
    struct world *w = small_mesh();
    mono_us at[2];
    unsigned out = 0, in = 0, others = 0;
    fault_begin(w, 3, FAULT_LOSSY, SEC(60), 0, w->now);
    for (int i = 0; i < 10000; i++) {
        out += wire_datagram(&w->wire, 3, 0, 100, w->now, at);
        in += wire_datagram(&w->wire, 0, 3, 100, w->now, at);
        others += wire_datagram(&w->wire, 0, 1, 100, w->now, at);
    }
    assert_in_range(out, 1800, 2200);
    assert_in_range(in, 1800, 2200);
    assert_int_equal(others, 10000);
    fault_end(w, 3);
    assert_true(wire_is_whole(&w->wire));
    world_free(w);
}

static void a_drifting_clock_runs_at_its_own_pace_and_never_back(void **state)
{
    (void)state;
    struct world_config config = {.hosts = 2, .seed = 7, .wire = {.delay_us = 500}};
    struct world *w = world_new(&config);
    struct host *h = &w->host[0];
    mono_ms zero = host_ms(h), last = zero;
    h->drift_ppm = -50000;
    for (int i = 0; i < 100000; i++) {
        w->now += 37;
        assert_true(host_ms(h) >= last);
        last = host_ms(h);
    }
    assert_in_range(last - zero, 3700 * 95 / 100 - 1, 3700 * 95 / 100 + 1);
    for (mono_ms at = last + 1; at < last + 1000;
         at += 13) { /* a timer set for `at` does not come early, nor late by much */
        mono_us now = w->now;
        w->now = host_when(h, at);
        assert_in_range(host_ms(h), at, at + 2);
        w->now = now;
    }
    world_free(w);
}

static void different_hosts_are_chosen(void **state)
{
    (void)state;
    struct world_config config = {.hosts = 40, .seed = 7, .wire = {.delay_us = 500}};
    struct world *w = world_new(&config);
    bool chosen[40] = {false};
    unsigned n = 0;
    faults_choose(w, 10, 25, chosen);
    for (int h = 0; h < 40; h++)
        n += chosen[h];
    assert_int_equal(n, 25);
    for (int h = 0; h < 10; h++)
        assert_false(chosen[h]);
    world_free(w);
}

static void percentiles_are_by_nearest_rank(void **state)
{
    (void)state;
    struct samples s = {0};
    assert_int_equal(samples_permille(&s, 500), 0);
    for (uint64_t v = 100; v > 0; v--)
        samples_add(&s, v);
    assert_int_equal(samples_permille(&s, 0), 1);
    assert_int_equal(samples_permille(&s, 500), 50);
    assert_int_equal(samples_permille(&s, 990), 99);
    assert_int_equal(samples_permille(&s, 999), 100);
    assert_int_equal(samples_permille(&s, 1000), 100);
    samples_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blocked_host_stands_before_its_next_send_or_after_its_next_receive),
        cmocka_unit_test(a_blocked_host_stands_before_its_next_send),
        cmocka_unit_test(a_blocked_host_stands_after_its_next_receive),
        cmocka_unit_test(cycles_go_on_until_their_end),
        cmocka_unit_test(the_deaf_and_the_mute_are_lost_to_the_others_and_come_back),
        cmocka_unit_test(the_starved_stand_still_again_and_again),
        cmocka_unit_test(the_lossy_lose_four_of_five_both_ways),
        cmocka_unit_test(a_drifting_clock_runs_at_its_own_pace_and_never_back),
        cmocka_unit_test(different_hosts_are_chosen),
        cmocka_unit_test(percentiles_are_by_nearest_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
