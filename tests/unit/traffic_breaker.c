/* Circuit breakers: what is let in, by how many workers at once, and what happens when there are more services than places. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <pthread.h>

#include "base/rng.h"
#include "traffic/breaker.h"

static const struct shorthash_key seed = {{7}};

static void as_many_as_the_limit_are_let_in(void **state)
{
    (void)state;
    struct breakers *b = breakers_new(&seed);
    struct breaker *cart = breaker_of(b, bytes_str("cart"));
    for (int i = 0; i < 3; i++)
        assert_true(breaker_enter(cart, BREAKER_REQUESTS, 3));
    assert_false(breaker_enter(cart, BREAKER_REQUESTS, 3));
    assert_true(breaker_enter(cart, BREAKER_PENDING, 1)); /* each kind is its own */
    assert_int_equal(breaker_count(b, bytes_str("cart"), BREAKER_REQUESTS), 3);
    assert_int_equal(breaker_count(b, bytes_str("db"), BREAKER_REQUESTS), 0);
    breaker_leave(cart, BREAKER_REQUESTS);
    assert_true(breaker_enter(cart, BREAKER_REQUESTS, 3));
    assert_false(
        breaker_enter(cart, BREAKER_REQUESTS, 2)); /* a policy with less: those inside stay, no other comes */
    assert_true(breaker_enter(cart, BREAKER_REQUESTS, 4));
    breakers_free(b);
}

static void a_service_is_the_same_for_all_who_ask(void **state)
{
    (void)state;
    struct breakers *b = breakers_new(&seed);
    assert_true(breaker_enter(breaker_of(b, bytes_str("cart")), BREAKER_REQUESTS, 1));
    assert_false(breaker_enter(breaker_of(b, bytes_str("cart")), BREAKER_REQUESTS, 1));
    assert_true(breaker_enter(breaker_of(b, bytes_str("db")), BREAKER_REQUESTS, 1));
    breakers_free(b);
}

/* Names beyond counting come and go: places are found again; with all places taken, the rest are counted as one and limited. */
static void services_without_a_place_share_one(void **state)
{
    (void)state;
    struct breakers *b = breakers_new(&seed);
    static struct breaker *held[3 * BREAKERS];
    char name[32];
    for (int round = 0; round < 2; round++) {
        int refused = 0;
        for (int i = 0; i < 3 * BREAKERS; i++) {
            int n = snprintf(name, sizeof name, "s%d-%d", round, i);
            held[i] = breaker_of(b, bytes_of(name, (size_t)n));
            assert_non_null(held[i]);
            if (!breaker_enter(held[i], BREAKER_REQUESTS, 100))
                held[i] = NULL;
            refused += held[i] == NULL;
        }
        /* the places, those of "the rest", and no more; few places stay empty */
        assert_in_range(3 * BREAKERS - refused, BREAKERS * 9 / 10, BREAKERS + 100);
        for (int i = 0; i < 3 * BREAKERS; i++)
            if (held[i])
                breaker_leave(held[i], BREAKER_REQUESTS);
    }
    breakers_free(b);
}

enum { THREADS = 4, ROUNDS = 50000, MOST = 3 };
struct crowd {
    struct breakers *b;
    _Atomic int inside, worst, let_in;
};

static void *come_and_go(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct breaker *s = breaker_of(c->b, bytes_str("cart"));
        if (!breaker_enter(s, BREAKER_REQUESTS, MOST))
            continue;
        int now = atomic_fetch_add(&c->inside, 1) + 1, worst = atomic_load(&c->worst);
        while (now > worst && !atomic_compare_exchange_weak(&c->worst, &worst, now))
            ;
        atomic_fetch_add(&c->let_in, 1);
        atomic_fetch_sub(&c->inside, 1);
        breaker_leave(s, BREAKER_REQUESTS);
    }
    return NULL;
}

static void four_threads_never_pass_the_limit(void **state)
{
    (void)state;
    struct crowd c = {.b = breakers_new(&seed)};
    struct breaker *keeper =
        breaker_of(c.b, bytes_str("cart")); /* so that the slot is never idle, and one for all */
    pthread_t thread[THREADS];
    assert_true(breaker_enter(keeper, BREAKER_PENDING, 1));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, &c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_in_range(c.worst, 1, MOST);
    assert_in_range(c.let_in, ROUNDS, THREADS * ROUNDS); /* three of four are always let in */
    assert_int_equal(breaker_count(c.b, bytes_str("cart"), BREAKER_REQUESTS), 0);
    breakers_free(c.b);
}

static void each_kind_is_named_by_its_key(void **state)
{
    (void)state;
    struct policy_circuit_breaker limits = {.max_connections = 1, .max_pending = 2, .max_requests = 3};
    assert_string_equal(breaker_key(BREAKER_CONNECTIONS), "circuitBreaker.maxConnections");
    assert_string_equal(breaker_key(BREAKER_PENDING), "circuitBreaker.maxPending");
    assert_string_equal(breaker_key(BREAKER_REQUESTS), "circuitBreaker.maxRequests");
    assert_int_equal(breaker_max(&limits, BREAKER_CONNECTIONS), 1);
    assert_int_equal(breaker_max(&limits, BREAKER_PENDING), 2);
    assert_int_equal(breaker_max(&limits, BREAKER_REQUESTS), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_the_limit_are_let_in),
        cmocka_unit_test(a_service_is_the_same_for_all_who_ask),
        cmocka_unit_test(services_without_a_place_share_one),
        cmocka_unit_test(four_threads_never_pass_the_limit),
        cmocka_unit_test(each_kind_is_named_by_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
