/* Outlier detection: who is ejected, for how long, how it comes back, and that never too many are out. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>

#include "base/rng.h"
#include "traffic/outlier.h"

enum { N = 20, S = 1000 };
static const struct shorthash_key seed = {{7}};
static const struct policy_outlier_detection rules = {.consecutive_5xx = 5,
                                                      .success_below_ppm = 800000,
                                                      .success_interval_ms = 10 * S,
                                                      .success_min_requests = 20,
                                                      .ejection_base_ms = 30 * S,
                                                      .ejection_max_ms = 300 * S,
                                                      .ejection_max_percent = 50};

struct world { /* a service on up to N nodes */
    struct view_node node[N];
    struct view_endpoint endpoint[N];
    const struct view_endpoint *at[N];
    struct view_service service;
    struct view view;
    struct outliers *o;
    struct policy_outlier_detection rules;
};

static void set_up(struct world *w, size_t count)
{
    *w = (struct world){.service = {.name = "cart", .count = count, .endpoint = w->at}, .rules = rules};
    for (size_t i = 0; i < count; i++) {
        w->node[i] = (struct view_node){.alive = true, .id = {{(uint8_t)(i + 1)}}};
        w->endpoint[i] = (struct view_endpoint){.node = &w->node[i], .service = "cart", .healthy = true};
        w->at[i] = &w->endpoint[i];
    }
    w->view = (struct view){.service = &w->service, .service_count = 1};
    w->o = outliers_new(&seed);
    assert_non_null(w->o);
}

static struct outlier_news note(struct world *w, int i, enum outlier_result r, mono_ms now)
{
    return outlier_note(w->o, outlier_key(w->o, w->at[i]), &w->view, w->at[i], &w->rules, r, false, now);
}
static struct outlier_news fails(struct world *w, int i, int times, mono_ms now)
{
    struct outlier_news n = {0};
    for (int k = 0; k < times; k++)
        n = note(w, i, OUTLIER_FAILURE, now);
    return n;
}
static struct outlier_news probe(struct world *w, int i, enum outlier_result r, mono_ms now)
{
    assert_int_equal(outlier_standing(w->o, w->at[i], now), OUTLIER_DUE);
    assert_true(outlier_probe(w->o, w->at[i], now));
    return outlier_note(w->o, outlier_key(w->o, w->at[i]), &w->view, w->at[i], &w->rules, r, true, now);
}
static void expect_out(struct world *w, int i, struct outlier_news n, uint32_t times, uint64_t for_ms,
                       mono_ms now)
{
    assert_int_equal(n.what, OUTLIER_EJECTED);
    assert_int_equal(n.times, times);
    assert_int_equal(n.for_ms, for_ms);
    assert_int_equal(outlier_standing(w->o, w->at[i], now + for_ms - 1), OUTLIER_OUT);
    assert_int_equal(outlier_standing(w->o, w->at[i], now + for_ms), OUTLIER_DUE);
}

static void five_failures_in_a_row_eject(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 3);
    assert_int_equal(fails(&w, 0, 4, S).what, OUTLIER_NO_NEWS);
    note(&w, 0, OUTLIER_SUCCESS, S);
    note(&w, 0, OUTLIER_UNDECIDED, S);
    assert_int_equal(fails(&w, 0, 4, S).what, OUTLIER_NO_NEWS);
    assert_int_equal(outlier_standing(w.o, w.at[0], S), OUTLIER_IN);
    struct outlier_news n = fails(&w, 0, 1, S);
    assert_int_equal(n.reason, OUTLIER_CONSECUTIVE);
    expect_out(&w, 0, n, 1, 30 * S, S);
    assert_int_equal(outlier_standing(w.o, w.at[1], S), OUTLIER_IN);
    struct outlier_look look = outlier_look(w.o, w.at[0], 11 * S);
    assert_int_equal(look.standing, OUTLIER_OUT);
    assert_int_equal(look.left_ms, 20 * S);
    outliers_free(w.o);
}

static void one_probe_at_a_time_must_succeed_before_it_returns(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 3);
    fails(&w, 0, 5, S);
    assert_false(outlier_probe(w.o, w.at[0], 30 * S)); /* too early */
    assert_true(outlier_probe(w.o, w.at[0], 31 * S));
    assert_int_equal(outlier_standing(w.o, w.at[0], 31 * S), OUTLIER_PROBING);
    assert_false(outlier_probe(w.o, w.at[0], 31 * S)); /* one at a time */
    assert_int_equal(note(&w, 0, OUTLIER_SUCCESS, 31 * S).what,
                     OUTLIER_NO_NEWS); /* begun before it was ejected */
    assert_int_equal(outlier_standing(w.o, w.at[0], 31 * S), OUTLIER_PROBING);
    outlier_note(w.o, outlier_key(w.o, w.at[0]), &w.view, w.at[0], &w.rules, OUTLIER_UNDECIDED, true,
                 32 * S); /* its client left */
    assert_int_equal(probe(&w, 0, OUTLIER_SUCCESS, 32 * S).what, OUTLIER_RETURNED);
    assert_int_equal(outlier_standing(w.o, w.at[0], 32 * S), OUTLIER_IN);
    assert_int_equal(fails(&w, 0, 4, 32 * S).what, OUTLIER_NO_NEWS); /* counted afresh */
    outliers_free(w.o);
}

static void a_probe_that_never_ends_does_not_keep_it_out(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 3);
    fails(&w, 0, 5, S);
    assert_true(outlier_probe(w.o, w.at[0], 31 * S));
    assert_int_equal(outlier_standing(w.o, w.at[0], 31 * S + OUTLIER_PROBE_MS - 1), OUTLIER_PROBING);
    assert_int_equal(probe(&w, 0, OUTLIER_SUCCESS, 31 * S + OUTLIER_PROBE_MS).what, OUTLIER_RETURNED);
    outliers_free(w.o);
}

/* 30 s, 60 s, 90 s ... up to 5 min; each quiet interval takes one off. */
static void each_time_is_longer_and_quiet_times_make_it_shorter(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 3);
    mono_ms now = S;
    expect_out(&w, 0, fails(&w, 0, 5, now), 1, 30 * S, now);
    for (uint32_t times = 2; times <= 12; times++) {
        now += (times - 1 < 10 ? times - 1 : 10) * 30 * S;
        struct outlier_news n = probe(&w, 0, OUTLIER_FAILURE, now);
        assert_int_equal(n.reason, OUTLIER_PROBE_FAILED);
        expect_out(&w, 0, n, times < 10 ? times : 10, (times < 10 ? times : 10) * 30 * S, now);
    }
    now += 300 * S;
    assert_int_equal(probe(&w, 0, OUTLIER_SUCCESS, now).what, OUTLIER_RETURNED);
    now += 35 * S; /* three intervals: from ten to seven, and this is the eighth */
    expect_out(&w, 0, fails(&w, 0, 5, now), 8, 240 * S, now);
    now += 240 * S;
    probe(&w, 0, OUTLIER_SUCCESS, now);
    now += 1000 * S;
    expect_out(&w, 0, fails(&w, 0, 5, now), 1, 30 * S, now);
    outliers_free(w.o);
}

static struct outlier_news window(struct world *w, int good, int bad, mono_ms now)
{
    struct outlier_news n = {0};
    for (int i = 0; i < good + bad; i++) { /* the failures are spread: never five in a row */
        bool is_bad = (i + 1) * bad / (good + bad) > i * bad / (good + bad);
        struct outlier_news one = note(w, 0, is_bad ? OUTLIER_FAILURE : OUTLIER_SUCCESS, now);
        n = one.what ? one : n;
    }
    return n;
}

static void a_bad_success_rate_ejects_when_its_interval_is_over(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 3);
    assert_int_equal(window(&w, 15, 4, 10 * S).what, OUTLIER_NO_NEWS); /* 79 %, but of 19 */
    assert_int_equal(window(&w, 80, 20, 20 * S).what, OUTLIER_NO_NEWS);
    assert_int_equal(window(&w, 79, 21, 30 * S).what, OUTLIER_NO_NEWS); /* 80 % is not below */
    struct outlier_news n = note(&w, 0, OUTLIER_SUCCESS, 40 * S);       /* 79 % is */
    assert_int_equal(n.reason, OUTLIER_SUCCESS_RATE);
    expect_out(&w, 0, n, 1, 30 * S, 40 * S);
    outliers_free(w.o);
}

static void an_interval_long_ago_says_nothing(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 3);
    window(&w, 20, 80, 10 * S);
    assert_int_equal(note(&w, 0, OUTLIER_SUCCESS, 30 * S).what, OUTLIER_NO_NEWS);
    outliers_free(w.o);
}

static void each_rule_can_be_switched_off(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 3);
    w.rules.consecutive_5xx = 0;
    w.rules.success_below_ppm = 0;
    assert_int_equal(fails(&w, 0, 1000, S).what, OUTLIER_NO_NEWS);
    w.rules.success_below_ppm = rules.success_below_ppm;
    fails(&w, 0, 1000, 11 * S);
    assert_int_equal(fails(&w, 0, 1, 21 * S).reason, OUTLIER_SUCCESS_RATE);
    outliers_free(w.o);
}

static void half_of_them_at_most_and_one_of_two_at_least(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        uint32_t percent, most;
    } table[] = {{1, 50, 0}, {1, 100, 1}, {2, 50, 1},    {2, 10, 1}, {3, 50, 1},
                 {3, 0, 1},  {10, 50, 5}, {10, 100, 10}, {20, 33, 6}};
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        struct world w;
        set_up(&w, table[t].count);
        w.rules.ejection_max_percent = table[t].percent;
        for (size_t i = 0; i < table[t].count; i++)
            fails(&w, (int)i, 5, S);
        assert_int_equal(outlier_count(w.o, &w.service, S), table[t].most);
        /* who waits for a probe counts as out */
        for (size_t i = 0; i < table[t].count; i++)
            fails(&w, (int)i, 5, 100 * S);
        assert_int_equal(outlier_count(w.o, &w.service, 100 * S), table[t].most);
        outliers_free(w.o);
    }
}

/* The view and the policy change: nothing that was learned does. */
static void state_belongs_to_the_instance_not_to_the_view(void **state)
{
    (void)state;
    struct world w, next;
    set_up(&w, 4);
    fails(&w, 2, 5, S);
    fails(&w, 3, 4, S);
    set_up(&next, 2); /* another view: only the last two are left, in another order */
    next.node[0].id = w.node[3].id;
    next.node[1].id = w.node[2].id;
    assert_int_equal(outlier_standing(w.o, next.at[1], 2 * S), OUTLIER_OUT);
    assert_int_equal(outlier_note(w.o, outlier_key(w.o, next.at[0]), &next.view, next.at[0], &rules,
                                  OUTLIER_FAILURE, false, 2 * S)
                         .what,
                     OUTLIER_NO_NEWS); /* its fifth, but the other is out already */
    outliers_free(w.o);
    outliers_free(next.o);
}

static void the_same_node_may_serve_one_well_and_another_badly(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 2);
    struct view_endpoint other = w.endpoint[0], here = w.endpoint[0];
    other.service = "orders";
    here.node = NULL;
    fails(&w, 0, 5, S);
    assert_int_equal(outlier_standing(w.o, &w.endpoint[0], S), OUTLIER_OUT);
    assert_int_equal(outlier_standing(w.o, &other, S), OUTLIER_IN);
    assert_int_equal(outlier_standing(w.o, &here, S), OUTLIER_IN);
    outliers_free(w.o);
}

/* Instances come and go for months: their slots are found again, and the gate of the fast path closes. */
static void who_was_not_asked_for_an_hour_may_be_forgotten(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, 2);
    uint32_t id = 1;
    for (mono_ms now = S, rounds = 0; rounds < 3; rounds++, now += OUTLIER_FORGET_MS + 400 * S)
        for (int i = 0; i < OUTLIER_ENDPOINTS / 4; i++, id++) {
            store_be32(w.node[0].id.b, id);
            assert_int_equal(fails(&w, 0, 5, now).what, OUTLIER_EJECTED); /* each found a place */
        }
    outliers_free(w.o);
}

/* Random instances, answers, numbers and times: never more out than maxPercent allows, and who is out came there by the rules. */
static void never_more_than_the_share_is_out(void **state)
{
    (void)state;
    struct rng rng = rng_seeded(42);
    int at_the_limit = 0;
    for (int round = 0; round < 200; round++) {
        struct world w;
        size_t count = 1 + rng_below(&rng, N);
        set_up(&w, count);
        w.rules.consecutive_5xx = rng_below(&rng, 4);
        w.rules.ejection_max_percent = rng_below(&rng, 101);
        w.rules.success_min_requests = 1 + rng_below(&rng, 30);
        size_t most = count * w.rules.ejection_max_percent / 100;
        most = most == 0 && count >= 2 ? 1 : most;
        uint32_t sick = rng_below(&rng, 1 << 20);
        size_t worst = 0;
        mono_ms now = S;
        for (int i = 0; i < 4000; i++) {
            int e = (int)rng_below(&rng, (uint32_t)count);
            bool failed = rng_below(&rng, 100) < (sick >> e & 1 ? 60 : 5);
            now += rng_below(&rng, 100);
            enum outlier_standing st = outlier_standing(w.o, w.at[e], now);
            bool is_probe = st == OUTLIER_DUE && outlier_probe(w.o, w.at[e], now);
            struct outlier_news n = outlier_note(w.o, outlier_key(w.o, w.at[e]), &w.view, w.at[e], &w.rules,
                                                 failed ? OUTLIER_FAILURE : OUTLIER_SUCCESS, is_probe, now);
            if (is_probe)
                assert_int_equal(n.what, failed ? OUTLIER_EJECTED : OUTLIER_RETURNED);
            else if (st != OUTLIER_IN)
                assert_int_equal(n.what, OUTLIER_NO_NEWS);
            size_t out = outlier_count(w.o, &w.service, now);
            assert_true(out <= most);
            worst = out > worst ? out : worst;
        }
        at_the_limit += most > 0 && worst == most;
        outliers_free(w.o);
    }
    assert_true(at_the_limit > 50);
}

enum { THREADS = 4 };
struct crowd { /* shared */
    struct world *w;
    _Atomic uint64_t now, threads;
    _Atomic int ejected, returned, out, worst;
};

/* `out` never runs ahead of the truth: raised after an ejection, lowered before a return. */
static void ask_one(struct crowd *c, struct rng *rng)
{
    mono_ms now = atomic_fetch_add(&c->now, 1);
    int e = (int)rng_below(rng, (uint32_t)c->w->service.count);
    enum outlier_standing st = outlier_standing(c->w->o, c->w->at[e], now);
    bool is_probe = st == OUTLIER_DUE && outlier_probe(c->w->o, c->w->at[e], now);
    bool failed = rng_below(rng, 100) < (e < 6 ? 70 : 2);
    atomic_fetch_sub(&c->out, is_probe && !failed);
    struct outlier_news n =
        outlier_note(c->w->o, outlier_key(c->w->o, c->w->at[e]), &c->w->view, c->w->at[e], &c->w->rules,
                     failed ? OUTLIER_FAILURE : OUTLIER_SUCCESS, is_probe, now);
    atomic_fetch_add(&c->out, is_probe && !failed && n.what != OUTLIER_RETURNED);
    if (n.what == OUTLIER_EJECTED && n.reason != OUTLIER_PROBE_FAILED) {
        int out = atomic_fetch_add(&c->out, 1) + 1, worst = atomic_load(&c->worst);
        while (out > worst && !atomic_compare_exchange_weak(&c->worst, &worst, out))
            ;
        atomic_fetch_add(&c->ejected, 1);
    }
    atomic_fetch_add(&c->returned, n.what == OUTLIER_RETURNED);
}

static void *ask_all(void *arg)
{
    struct crowd *c = arg;
    struct rng rng = rng_seeded(atomic_fetch_add(&c->threads, 1));
    for (int i = 0; i < 30000; i++)
        ask_one(c, &rng);
    return NULL;
}

/* Four workers on the same ten instances: what each is told adds up, and no more than half are ever out. */
static void four_threads_agree(void **state)
{
    (void)state;
    struct world w;
    struct crowd c = {.w = &w, .now = S};
    pthread_t thread[THREADS];
    set_up(&w, 10);
    w.rules.ejection_base_ms = 200;
    w.rules.success_interval_ms = 500;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, ask_all, &c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_in_range(c.worst, 4, 5);
    assert_true(c.ejected > 20 && c.returned > 20);
    assert_int_equal(c.ejected - c.returned, outlier_count(w.o, &w.service, c.now));
    outliers_free(w.o);
}

/* Its host fell, or it was unhealthy, and is well again: what was seen of it was seen before. */
static void who_comes_back_well_is_probed_at_once(void **state)
{
    (void)state;
    struct world w, before;
    set_up(&w, 4);
    before = w;
    before.service.endpoint = before.at;
    before.view.service = &before.service;
    for (int i = 0; i < 4; i++)
        before.at[i] = &before.endpoint[i], before.endpoint[i].node = &before.node[i];
    fails(&w, 0, 5, 1 * S);
    fails(&w, 1, 5, 1 * S);
    assert_int_equal(outlier_standing(w.o, w.at[0], 2 * S), OUTLIER_OUT);
    assert_int_equal(outlier_judge(w.o, &before.view, &w.view, 2 * S), 0); /* nobody had gone */
    w.node[0].alive = false;
    assert_int_equal(outlier_judge(w.o, &before.view, &w.view, 3 * S), 0); /* it falls */
    w.node[0].alive = true;
    before.node[0].alive = false;
    assert_int_equal(outlier_judge(w.o, &before.view, &w.view, 4 * S), 1);
    assert_int_equal(outlier_standing(w.o, w.at[0], 4 * S), OUTLIER_DUE);
    assert_int_equal(outlier_standing(w.o, w.at[1], 4 * S), OUTLIER_OUT);
    struct outlier_news n =
        probe(&w, 0, OUTLIER_FAILURE, 4 * S); /* it is no better: the next time is longer */
    assert_int_equal(n.what, OUTLIER_EJECTED);
    assert_int_equal(n.for_ms, 60 * S);
    before.endpoint[1].healthy = false;
    assert_int_equal(outlier_judge(w.o, &before.view, &w.view, 5 * S), 2); /* 0 was dead in that view too */
    before.service.count = 1; /* and one that was not there at all */
    assert_int_equal(probe(&w, 1, OUTLIER_SUCCESS, 5 * S).what, OUTLIER_RETURNED);
    fails(&w, 1, 5, 6 * S);
    assert_int_equal(outlier_judge(w.o, &before.view, &w.view, 7 * S), 1);
    outliers_free(w.o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_failures_in_a_row_eject),
        cmocka_unit_test(one_probe_at_a_time_must_succeed_before_it_returns),
        cmocka_unit_test(a_probe_that_never_ends_does_not_keep_it_out),
        cmocka_unit_test(each_time_is_longer_and_quiet_times_make_it_shorter),
        cmocka_unit_test(a_bad_success_rate_ejects_when_its_interval_is_over),
        cmocka_unit_test(an_interval_long_ago_says_nothing),
        cmocka_unit_test(each_rule_can_be_switched_off),
        cmocka_unit_test(half_of_them_at_most_and_one_of_two_at_least),
        cmocka_unit_test(state_belongs_to_the_instance_not_to_the_view),
        cmocka_unit_test(the_same_node_may_serve_one_well_and_another_badly),
        cmocka_unit_test(who_was_not_asked_for_an_hour_may_be_forgotten),
        cmocka_unit_test(never_more_than_the_share_is_out),
        cmocka_unit_test(who_comes_back_well_is_probed_at_once),
        cmocka_unit_test(four_threads_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
