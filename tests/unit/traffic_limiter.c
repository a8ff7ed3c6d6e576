/* Rate limits: GCRA against a plain reference, changed rates, several workers, and those who invent values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <pthread.h>

#include "base/rng.h"
#include "traffic/limiter.h"

enum { MS = 1000, S = 1000 * MS };
static const struct shorthash_key seed = {{7}};

static struct policy_rate_limit rate(uint64_t count, uint64_t per_ms, uint64_t burst)
{
    return (struct policy_rate_limit){.count = count, .per_ms = per_ms, .burst = burst};
}

static struct limiter_ask ask_of(const struct policy_rate_limit *l, const char *caller, const char *value)
{
    return (struct limiter_ask){
        .limit = l, .service = bytes_str("cart"), .caller = bytes_str(caller), .value = bytes_str(value)};
}

static void a_burst_passes_then_one_every_interval(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(&seed);
    struct policy_rate_limit ten = rate(10, 1000, 3);
    struct limiter_ask a = ask_of(&ten, "web", "");
    mono_us now = 5 * S;
    for (int i = 0; i < 3; i++)
        assert_int_equal(limiter_take(l, &a, now), 0);
    assert_int_equal(limiter_take(l, &a, now), 100 * MS);
    assert_int_equal(limiter_take(l, &a, now + 40 * MS), 60 * MS); /* refusals cost nothing */
    assert_int_equal(limiter_take(l, &a, now + 100 * MS), 0);
    assert_int_equal(limiter_take(l, &a, now + 100 * MS), 100 * MS);
    for (int i = 0; i < 3; i++) /* after a pause the whole burst is there again, and no more */
        assert_int_equal(limiter_take(l, &a, now + 60 * S), 0);
    assert_int_equal(limiter_take(l, &a, now + 60 * S), 100 * MS);
    limiter_free(l);
}

static void what_is_given_back_can_be_taken_again(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(&seed);
    struct policy_rate_limit one = rate(1, 3600 * 1000, 1);
    struct limiter_ask a = ask_of(&one, "web", "");
    assert_int_equal(limiter_take(l, &a, S), 0);
    limiter_give(l, &a, S);
    assert_int_equal(limiter_take(l, &a, S), 0);
    assert_true(limiter_take(l, &a, S) > 0);
    limiter_free(l);
}

static void each_source_value_place_and_service_has_its_own(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(&seed);
    struct policy_rate_limit all = rate(1, 1000, 1), source = all, header = all;
    source.per.kind = KEY_SOURCE;
    header.per.kind = KEY_HEADER;
    struct limiter_ask a = ask_of(&all, "web", ""), b = ask_of(&source, "web", ""),
                       c = ask_of(&header, "web", "x");
    assert_int_equal(limiter_take(l, &a, S), 0);
    a.caller = bytes_str("shop"); /* without `per` all callers are one */
    assert_true(limiter_take(l, &a, S) > 0);
    a.place = 1;
    assert_int_equal(limiter_take(l, &a, S), 0);
    a.service = bytes_str("orders");
    assert_int_equal(limiter_take(l, &a, S), 0);
    assert_int_equal(limiter_take(l, &b, S), 0);
    assert_true(limiter_take(l, &b, S) > 0);
    b.caller = bytes_str("shop");
    assert_int_equal(limiter_take(l, &b, S), 0);
    assert_int_equal(limiter_take(l, &c, S), 0);
    c.caller = bytes_str("shop"); /* a value is the same whoever sends it */
    assert_true(limiter_take(l, &c, S) > 0);
    c.value = bytes_str("y");
    assert_int_equal(limiter_take(l, &c, S), 0);
    limiter_free(l);
}

/* A new policy's rate applies at once: what was taken stays taken, a debt that the new rate could not have made is cut. */
static void a_changed_rate_adapts(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(&seed);
    struct policy_rate_limit hourly = rate(1, 3600 * 1000, 1), fast = rate(100, 1000, 10);
    struct limiter_ask slow = ask_of(&hourly, "web", ""), a = ask_of(&fast, "web", "");
    assert_int_equal(limiter_take(l, &slow, S), 0);
    assert_int_equal(limiter_take(l, &a, S),
                     10 * MS); /* not an hour: the burst is taken, and comes back at the new rate */
    assert_int_equal(limiter_take(l, &a, S + 10 * MS), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(limiter_take(l, &a, S + 200 * MS), 0);
    /* And back: a debt is one of time, so the hour begins when the last 100 ms are over. */
    assert_int_equal(limiter_take(l, &slow, S + 200 * MS), 100 * MS);
    assert_int_equal(limiter_take(l, &slow, S + 300 * MS), 0);
    assert_true(limiter_take(l, &slow, S + 400 * MS) > 3599 * (mono_us)S);
    limiter_free(l);
}

/* The leaky bucket as a meter, I.371's other form of GCRA, in whole ticks: a level that falls by one each tick. */
struct meter {
    uint64_t level, at, t, most;
};
static bool meter_take(struct meter *m, uint64_t tick)
{
    uint64_t gone = tick - m->at;
    m->level = m->level > gone ? m->level - gone : 0;
    m->at = tick;
    if (m->level + m->t > m->most)
        return false;
    m->level += m->t;
    return true;
}

static void it_decides_as_a_leaky_bucket_does(void **state)
{
    (void)state;
    struct rng rng = rng_seeded(20261122);
    for (int round = 0; round < 300; round++) {
        struct limiter *l = limiter_new(&seed);
        static const uint64_t per[] = {1000, 60000, 3600000};
        struct policy_rate_limit r =
            rate(1 + rng_below(&rng, 5000), per[rng_below(&rng, 3)], 1 + rng_below(&rng, 20));
        struct limiter_ask a = ask_of(&r, "web", "");
        uint64_t t = (r.per_ms * 16000 + r.count - 1) / r.count, granted = 0;
        struct meter m = {.t = t, .most = t * r.burst};
        mono_us now = 0, begin = 0;
        for (int i = 0; i < 500; i++) {
            now += rng_below(&rng, (uint32_t)(t / 16 > 1000000000 ? 1000000000 : t / 16 * 2 + 2));
            begin = i ? begin : now;
            mono_us wait = limiter_take(l, &a, now);
            bool expected = meter_take(&m, now * 16);
            assert_int_equal(wait == 0, expected);
            granted += wait == 0;
            if (wait) { /* what it says to wait is enough, and a us less is not */
                struct meter then = m;
                assert_false(wait > 1 && meter_take(&then, (now + wait - 1) * 16));
                then = m;
                assert_true(meter_take(&then, (now + wait) * 16));
            }
        }
        assert_true(granted <= r.burst + (now - begin) * 16 / t);
        limiter_free(l);
    }
}

/* Who invents a value for each request gets what each new value may have, until the places of the limit's share are used up;
 * then all of that caller's further values together have one bucket. Others keep theirs. */
static void invented_values_neither_bloat_nor_lift(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(&seed);
    struct policy_rate_limit hourly = rate(1, 3600 * 1000, 1), source = hourly;
    hourly.per.kind = KEY_HEADER;
    source.per.kind = KEY_SOURCE;
    struct limiter_ask honest = ask_of(&hourly, "web", "tenant-1"), other = ask_of(&source, "web", "");
    char value[32];
    int granted = 0;
    assert_int_equal(limiter_take(l, &honest, S), 0);
    assert_int_equal(limiter_take(l, &other, S), 0);
    for (int i = 0; i < 10 * LIMITER_SHARE_VALUES; i++) {
        snprintf(value, sizeof value, "invented-%d", i);
        struct limiter_ask a = ask_of(&hourly, "mallory", value);
        granted += limiter_take(l, &a, 2 * S) == 0;
    }
    assert_in_range(granted, LIMITER_SHARE_VALUES * 9 / 10, LIMITER_SHARE_VALUES + 1);
    assert_int_equal(limiter_crowded(l), 10 * LIMITER_SHARE_VALUES - granted + 1);
    assert_true(limiter_take(l, &honest, 3 * S) > 0); /* still limited: its bucket was not taken */
    assert_true(limiter_take(l, &other, 3 * S) > 0);
    struct limiter_ask newcomer =
        ask_of(&hourly, "web", "tenant-2"); /* of another caller: not in mallory's bucket */
    assert_int_equal(limiter_take(l, &newcomer, 3 * S), 0);
    struct policy_rate_limit elsewhere = hourly; /* another limit's share is empty */
    struct limiter_ask there = ask_of(&elsewhere, "mallory", "x");
    uint64_t crowded = limiter_crowded(l);
    for (there.place = 1; there.place <= 8; there.place++)
        assert_int_equal(limiter_take(l, &there, 3 * S), 0);
    assert_in_range(limiter_crowded(l) - crowded, 0,
                    4); /* but for those that happen to lie in the same of sixteen */
    limiter_free(l);
}

/* An hour later the invented ones are as good as new, and their places are there for others. */
static void places_are_found_again(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(&seed);
    struct policy_rate_limit hourly = rate(1, 3600 * 1000, 1);
    hourly.per.kind = KEY_HEADER;
    char value[32];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < LIMITER_SHARE_VALUES / 2; i++) {
            snprintf(value, sizeof value, "%d-%d", round, i);
            struct limiter_ask a = ask_of(&hourly, "web", value);
            assert_int_equal(limiter_take(l, &a, (1 + (mono_us)round * 3601) * S), 0);
            assert_true(limiter_take(l, &a, (1 + (mono_us)round * 3601) * S) > 0);
        }
    }
    assert_int_equal(limiter_crowded(l), 0);
    limiter_free(l);
}

enum { THREADS = 4, KEYS = 50, EACH = 20000 };
struct crowd {
    struct limiter *l;
    uint64_t seed;
    int granted[KEYS];
};

static void *ask_at_random(void *arg)
{
    struct crowd *c = arg;
    struct rng rng = rng_seeded(c->seed);
    struct policy_rate_limit r = rate(1, 3600 * 1000, 100);
    r.per.kind = KEY_HEADER;
    char value[32];
    for (int i = 0; i < EACH; i++) {
        uint32_t k = rng_below(&rng, KEYS);
        snprintf(value, sizeof value, "key-%u", k);
        struct limiter_ask a = ask_of(&r, "web", value);
        bool got = limiter_take(c->l, &a, S) == 0;
        if (got && rng_below(&rng, 4) == 0)
            limiter_give(c->l, &a, S);
        else
            c->granted[k] += got;
    }
    return NULL;
}

static void four_threads_are_granted_the_burst_together(void **state)
{
    (void)state;
    struct limiter *l = limiter_new(&seed);
    struct crowd c[THREADS] = {0};
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        c[i] = (struct crowd){.l = l, .seed = (uint64_t)i + 1};
        assert_int_equal(pthread_create(&thread[i], NULL, ask_at_random, &c[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (int k = 0; k < KEYS; k++) /* a second bucket of one key would show as up to twice as many */
        assert_in_range(c[0].granted[k] + c[1].granted[k] + c[2].granted[k] + c[3].granted[k], 100, 103);
    limiter_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_then_one_every_interval),
        cmocka_unit_test(what_is_given_back_can_be_taken_again),
        cmocka_unit_test(each_source_value_place_and_service_has_its_own),
        cmocka_unit_test(a_changed_rate_adapts),
        cmocka_unit_test(it_decides_as_a_leaky_bucket_does),
        cmocka_unit_test(invented_values_neither_bloat_nor_lift),
        cmocka_unit_test(places_are_found_again),
        cmocka_unit_test(four_threads_are_granted_the_burst_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
