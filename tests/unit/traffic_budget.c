/* Retry budgets: what is allowed, for how long it is remembered, who shares, and that no two workers get the last one. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rng.h"
#include "traffic/budget.h"

static const struct policy_retry fifth = {
    .budget_percent = 20, .budget_interval_ms = 10000, .budget_min_per_second = 0};

static struct budgets *fresh(void)
{
    struct budgets *b = aligned_alloc(64, sizeof *b);
    assert_non_null(b);
    memset(b, 0, sizeof *b);
    return b;
}

static void count(struct budgets *b, const char *service, const struct policy_retry *r, int n, mono_ms now)
{
    while (n-- > 0)
        budget_count(b, service, r, now);
}

/* How many of `n` wishes are granted. */
static int take(struct budgets *b, const char *service, const struct policy_retry *r, int n, mono_ms now)
{
    int granted = 0;
    while (n-- > 0)
        granted += budget_take(b, service, r, now);
    return granted;
}

static void a_fifth_of_the_requests_may_be_retried(void **state)
{
    (void)state;
    struct budgets *b = fresh();
    assert_int_equal(take(b, "cart", &fifth, 3, 5000), 0); /* of nothing */
    count(b, "cart", &fifth, 100, 5000);
    assert_int_equal(take(b, "cart", &fifth, 50, 5100), 20);
    count(b, "cart", &fifth, 5, 5200);
    assert_int_equal(take(b, "cart", &fifth, 50, 5300), 1);
    free(b);
}

static void a_quiet_service_has_so_many_a_second_instead(void **state)
{
    static const struct policy_retry ten = {
        .budget_percent = 20, .budget_interval_ms = 10000, .budget_min_per_second = 10};
    (void)state;
    struct budgets *b = fresh();
    assert_int_equal(take(b, "cart", &ten, 500, 5000), 100);
    count(b, "cart", &ten, 600, 5000); /* whichever is more, not both */
    assert_int_equal(take(b, "cart", &ten, 500, 5000), 20);
    free(b);
}

static void nothing_is_allowed_by_zero(void **state)
{
    static const struct policy_retry none = {.budget_interval_ms = 10000};
    (void)state;
    struct budgets *b = fresh();
    count(b, "cart", &none, 1000, 5000);
    assert_int_equal(take(b, "cart", &none, 10, 5000), 0);
    free(b);
}

static void what_is_older_than_the_interval_is_forgotten(void **state)
{
    (void)state;
    struct budgets *b = fresh();
    count(b, "cart", &fifth, 100, 20000);
    assert_int_equal(take(b, "cart", &fifth, 50, 20000), 20);
    assert_int_equal(take(b, "cart", &fifth, 50, 28000), 0);
    assert_int_equal(take(b, "cart", &fifth, 50, 33000), 0); /* nor are the requests remembered */
    count(b, "cart", &fifth, 10, 33000);
    assert_int_equal(take(b, "cart", &fifth, 50, 33000), 2);
    free(b);
}

/* However an interval is laid over a random hour, the retries in it are at most a fifth of the requests in it and of those that began
 * up to one slice before. */
static void no_interval_holds_more(void **state)
{
    enum { STEPS = 20000, STEP_MS = 50, INTERVAL = 200 /* steps */ };
    static const struct policy_retry rules = {
        .budget_percent = 20, .budget_interval_ms = INTERVAL * STEP_MS, .budget_min_per_second = 3};
    static int requests[STEPS], retries[STEPS];
    (void)state;
    struct budgets *b = fresh();
    struct rng rng = rng_seeded(11);
    for (int i = 0; i < STEPS; i++) {
        mono_ms now = 100000 + (mono_ms)i * STEP_MS;
        requests[i] = (int)rng_below(&rng, i % 900 < 300 ? 12 : 2);
        count(b, "cart", &rules, requests[i], now);
        retries[i] = take(b, "cart", &rules, (int)rng_below(&rng, 4), now);
    }
    int all = 0;
    for (int i = INTERVAL; i < STEPS; i++) {
        int asked = 0, again = 0;
        for (int k = i - INTERVAL + 1; k <= i; k++) {
            asked += requests[k];
            again += retries[k];
        }
        /* The window in which a retry was granted may lie a whole interval before the one looked at. */
        int before = 0;
        for (int k = i - 2 * INTERVAL + 1 < 0 ? 0 : i - 2 * INTERVAL + 1; k <= i - INTERVAL; k++)
            before += requests[k];
        int share = (asked + before) / 5, least = 3 * INTERVAL * STEP_MS / 1000;
        assert_true(again <= (share > least ? share : least));
        all += again;
    }
    assert_true(all > 0);
    free(b);
}

static void services_and_intervals_have_budgets_of_their_own(void **state)
{
    static const struct policy_retry longer = {.budget_percent = 50, .budget_interval_ms = 60000};
    (void)state;
    struct budgets *b = fresh();
    count(b, "cart", &fifth, 50, 5000);
    assert_int_equal(take(b, "orders", &fifth, 5, 5000), 0);
    assert_int_equal(take(b, "cart", &longer, 5, 5000), 0);
    assert_int_equal(take(b, "cart", &fifth, 50, 5000), 10);
    free(b);
}

static void an_interval_under_a_second_counts_as_one(void **state)
{
    static const struct policy_retry brief = {.budget_interval_ms = 10, .budget_min_per_second = 4};
    (void)state;
    struct budgets *b = fresh();
    assert_int_equal(take(b, "cart", &brief, 50, 5000), 4);
    assert_int_equal(take(b, "cart", &brief, 50, 5500), 0);
    free(b);
}

static void more_services_than_places_share_one_and_quiet_ones_give_way(void **state)
{
    enum { MANY = 4 * BUDGETS_MAX };
    char name[32];
    (void)state;
    struct budgets *b = fresh();
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "service-%d", i);
        count(b, name, &fifth, 5, 5000);
    }
    int granted = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "service-%d", i);
        granted += take(b, name, &fifth, 1, 5000);
    }
    assert_int_equal(granted, MANY); /* a fifth of five each, together too */
    snprintf(name, sizeof name, "service-%d", MANY - 1);
    count(b, name, &fifth, 5, 60000); /* all others have been silent for long */
    assert_int_equal(budget_state(b, name, &fifth, 60000).requests, 5);
    assert_int_equal(take(b, name, &fifth, 2, 60000), 1);
    free(b);
}

struct worker {
    struct budgets *b;
    int granted;
};

static void *wish(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < 20000; i++) {
        budget_count(w->b, "cart", &fifth, 5000);
        w->granted += budget_take(w->b, "cart", &fifth, 5000);
    }
    return NULL;
}

static void workers_at_once_never_get_more_than_the_budget(void **state)
{
    enum { WORKERS = 4 };
    struct worker w[WORKERS];
    pthread_t thread[WORKERS];
    int all = 0;
    (void)state;
    struct budgets *b = fresh();
    for (int i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){.b = b};
        assert_int_equal(pthread_create(&thread[i], NULL, wish, &w[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(thread[i], NULL);
        all += w[i].granted;
    }
    struct budget_state s = budget_state(b, "cart", &fifth, 5000);
    assert_int_equal(s.requests, WORKERS * 20000); /* none is lost */
    assert_int_equal(s.retries, all);
    assert_true(all <= WORKERS * 20000 / 5 && all >= WORKERS * 20000 / 5 - WORKERS);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fifth_of_the_requests_may_be_retried),
        cmocka_unit_test(a_quiet_service_has_so_many_a_second_instead),
        cmocka_unit_test(nothing_is_allowed_by_zero),
        cmocka_unit_test(what_is_older_than_the_interval_is_forgotten),
        cmocka_unit_test(no_interval_holds_more),
        cmocka_unit_test(services_and_intervals_have_budgets_of_their_own),
        cmocka_unit_test(an_interval_under_a_second_counts_as_one),
        cmocka_unit_test(more_services_than_places_share_one_and_quiet_ones_give_way),
        cmocka_unit_test(workers_at_once_never_get_more_than_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
