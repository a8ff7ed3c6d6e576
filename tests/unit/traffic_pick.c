/* The choice of an endpoint: who is a candidate, how load spreads, what is said when nobody is left. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "traffic/pick.h"

enum { N = 8 };

struct world { /* one service "cart" on N nodes; every second instance is version 2 */
    struct view_node node[N];
    struct view_endpoint endpoint[N];
    const struct view_endpoint *at[N];
    struct view_service service;
    struct label version[N]; /* of the instances */
    struct labels v2_labels;
    struct policy_subset v2;
};

static const struct traffic_outcome answered = {.kind = TRY_ANSWERED, .status = 200, .latency_us = 1000};
static const struct policy_settings settings = {.load_balancer = {.policy = BALANCE_LEAST_REQUEST}};
static struct view view = {.serial = 1}; /* set_up() of another world is another view */

static const struct view_endpoint *pick(struct traffic *t, const struct view_service *s,
                                        const struct policy_subset *subset, const struct traffic_tried *tried,
                                        enum traffic_why *why)
{
    struct traffic_ask ask = {
        .view = &view, .service = s, .subset = subset, .settings = &settings, .tried = tried};
    struct traffic_choice c = traffic_pick(t, &ask);
    if (why)
        *why = c.why;
    return c.endpoint;
}

static struct label version(const char *value)
{
    return (struct label){bytes_str("version"), bytes_str(value)};
}

static void setup(struct world *w, size_t count)
{
    view.serial++;
    *w = (struct world){.service = {.name = "cart", .count = count, .endpoint = w->at}};
    for (size_t i = 0; i < count; i++) {
        w->node[i] = (struct view_node){.alive = true, .has_policy = true};
        memset(w->node[i].id.b, (int)i + 1, sizeof w->node[i].id.b);
        w->endpoint[i] = (struct view_endpoint){
            .node = &w->node[i], .service = "cart", .healthy = true, .index = (uint32_t)i};
        w->version[i] = version(i % 2 ? "2" : "1");
        w->endpoint[i].labels = (struct label_list){1, &w->version[i]};
        w->at[i] = &w->endpoint[i];
    }
    w->v2_labels = (struct labels){.count = 1, .at = {version("2")}};
    w->v2 = (struct policy_subset){.name = "v2", .labels = &w->v2_labels};
}

static void count_picks(struct world *w, const struct policy_subset *subset, int picks, int seen[N])
{
    struct traffic *t = traffic_new(NULL, 7);
    memset(seen, 0, N * sizeof *seen);
    for (int i = 0; i < picks; i++)
        seen[pick(t, &w->service, subset, NULL, NULL)->index]++;
    traffic_free(t);
}

static void idle_instances_share_evenly(void **state)
{
    (void)state;
    struct world w;
    int seen[N];
    setup(&w, N);
    count_picks(&w, NULL, 80000, seen);
    for (int i = 0; i < N; i++)
        assert_in_range(seen[i], 9600, 10400); /* 10,000 +- 4 sigma of 94 */
}

static void sparse_candidates_share_evenly_too(void **state)
{
    (void)state;
    struct world w;
    int seen[N];
    setup(&w, N);
    for (int i = 0; i < N; i++)
        w.endpoint[i].healthy = i == 2 || i == 5 || i == 6;
    count_picks(&w, NULL, 30000, seen);
    for (int i = 0; i < N; i++)
        if (w.endpoint[i].healthy)
            assert_in_range(seen[i], 9650, 10350);
        else
            assert_int_equal(seen[i], 0);
}

static void the_busier_of_two_loses(void **state)
{
    (void)state;
    struct world w;
    setup(&w, 2);
    struct traffic *t = traffic_new(NULL, 1);
    traffic_begin(t, &w.endpoint[0]);
    for (int i = 0; i < 1000; i++)
        assert_ptr_equal(pick(t, &w.service, NULL, NULL, NULL), &w.endpoint[1]);
    traffic_begin(t, &w.endpoint[1]);
    traffic_begin(t, &w.endpoint[1]);
    assert_int_equal(traffic_outstanding(t, &w.endpoint[1]), 2);
    for (int i = 0; i < 1000; i++)
        assert_ptr_equal(pick(t, &w.service, NULL, NULL, NULL), &w.endpoint[0]);
    traffic_free(t);
}

/* One instance never answers: with one choice it would hold an eighth of all requests in flight, with two it
 * stops getting any. */
static void a_stuck_instance_starves(void **state)
{
    (void)state;
    struct world w;
    int seen[N] = {0};
    setup(&w, N);
    struct traffic *t = traffic_new(NULL, 3);
    for (int i = 0; i < 8000; i++) {
        const struct view_endpoint *e = pick(t, &w.service, NULL, NULL, NULL);
        traffic_begin(t, e);
        seen[e->index]++;
        if (e->index != 4)
            traffic_end(t, traffic_load(t, e), &answered, 0);
    }
    assert_true(seen[4] <= 2);
    traffic_free(t);
}

static void the_same_seed_gives_the_same_choices(void **state)
{
    (void)state;
    struct world w;
    setup(&w, N);
    struct traffic *a = traffic_new(NULL, 42), *b = traffic_new(NULL, 42);
    for (int i = 0; i < 1000; i++)
        assert_ptr_equal(pick(a, &w.service, NULL, NULL, NULL), pick(b, &w.service, NULL, NULL, NULL));
    traffic_free(a);
    traffic_free(b);
}

static void a_subset_is_never_left(void **state)
{
    (void)state;
    struct world w;
    int seen[N];
    setup(&w, N);
    count_picks(&w, &w.v2, 4000, seen);
    for (int i = 0; i < N; i++)
        assert_true(i % 2 ? seen[i] > 800 : seen[i] == 0);
}

static void an_empty_subset_is_no_route_not_any_instance(void **state)
{
    (void)state;
    struct world w;
    enum traffic_why why;
    setup(&w, N);
    w.v2_labels.at[0] = version("3");
    struct traffic *t = traffic_new(NULL, 1);
    assert_null(pick(t, &w.service, &w.v2, NULL, &why));
    assert_int_equal(why, TRAFFIC_NO_SUBSET);
    assert_string_equal(traffic_why_flag(why), "NR");
    traffic_free(t);
}

static void unhealthy_draining_and_dead_are_skipped(void **state)
{
    (void)state;
    struct world w;
    enum traffic_why why;
    int seen[N];
    setup(&w, 4);
    w.endpoint[0].healthy = false;
    w.endpoint[1].draining = true;
    w.node[2].alive = false;
    count_picks(&w, NULL, 100, seen);
    assert_int_equal(seen[3], 100);
    w.endpoint[3].healthy = false;
    struct traffic *t = traffic_new(NULL, 1);
    assert_null(pick(t, &w.service, NULL, NULL, &why));
    assert_int_equal(why, TRAFFIC_NO_HEALTHY);
    assert_string_equal(traffic_why_flag(why), "UH");
    traffic_free(t);
}

static void suspects_serve_only_when_no_live_one_is_left(void **state)
{
    (void)state;
    struct world w;
    int seen[N];
    setup(&w, 3);
    w.node[0].suspect = w.node[1].suspect = true;
    count_picks(&w, NULL, 100, seen);
    assert_int_equal(seen[2], 100);
    w.endpoint[2].healthy = false;
    count_picks(&w, NULL, 1000, seen);
    assert_int_equal(seen[2], 0);
    assert_true(seen[0] > 400 && seen[1] > 400);
}

static void an_instance_on_this_host_is_a_candidate_like_others(void **state)
{
    (void)state;
    struct world w;
    int seen[N];
    setup(&w, 2);
    w.endpoint[0].node = NULL;
    count_picks(&w, NULL, 1000, seen);
    assert_true(seen[0] > 400 && seen[1] > 400);
}

static void what_was_tried_is_not_tried_again(void **state)
{
    (void)state;
    struct world w;
    enum traffic_why why;
    struct traffic_tried tried = {0};
    setup(&w, 4);
    struct traffic *t = traffic_new(NULL, 9);
    for (size_t i = 0; i < 4; i++) {
        const struct view_endpoint *e = pick(t, &w.service, NULL, &tried, &why);
        assert_non_null(e);
        for (size_t j = 0; j < tried.count; j++)
            assert_ptr_not_equal(e, tried.at[j]);
        traffic_tried_add(&tried, e);
    }
    assert_null(pick(t, &w.service, NULL, &tried, &why));
    assert_int_equal(why, TRAFFIC_ALL_TRIED);
    assert_non_null(pick(t, &w.service, NULL, NULL, &why));
    for (size_t i = 0; i < 100; i++)
        traffic_tried_add(&tried, w.at[i % 4]);
    assert_int_equal(tried.count, TRAFFIC_TRIED_MAX);
    assert_ptr_equal(tried.at[TRAFFIC_TRIED_MAX - 1],
                     w.at[99 % 4]); /* who was just tried is never forgotten */
    traffic_free(t);
}

static void a_tried_live_one_leaves_the_turn_to_a_suspect(void **state)
{
    (void)state;
    struct world w;
    struct traffic_tried tried = {0};
    setup(&w, 2);
    w.node[1].suspect = true;
    traffic_tried_add(&tried, &w.endpoint[0]);
    struct traffic *t = traffic_new(NULL, 9);
    assert_ptr_equal(pick(t, &w.service, NULL, &tried, NULL), &w.endpoint[1]);
    traffic_free(t);
}

static void nobody_is_nobody(void **state)
{
    (void)state;
    struct view_service none = {.name = "x"};
    enum traffic_why why;
    struct traffic *t = traffic_new(NULL, 1);
    assert_null(pick(t, NULL, NULL, NULL, &why));
    assert_int_equal(why, TRAFFIC_NO_INSTANCE);
    assert_null(pick(t, &none, NULL, NULL, &why));
    assert_int_equal(why, TRAFFIC_NO_INSTANCE);
    traffic_free(t);
    traffic_free(NULL);
}

/* Counts belong to (node, service), not to a view's memory. */
static void counts_survive_a_change_of_view(void **state)
{
    (void)state;
    struct world before, after;
    setup(&before, 4);
    setup(&after, 4);
    struct traffic *t = traffic_new(NULL, 1);
    traffic_begin(t, &before.endpoint[2]);
    assert_int_equal(traffic_outstanding(t, &after.endpoint[2]), 1);
    assert_int_equal(traffic_outstanding(t, &after.endpoint[1]), 0);
    traffic_end(t, traffic_load(t, &after.endpoint[2]), &answered, 0);
    assert_int_equal(traffic_outstanding(t, &before.endpoint[2]), 0);
    traffic_end(t, traffic_load(t, &after.endpoint[2]), &answered, 0); /* one too many is nothing */
    assert_int_equal(traffic_outstanding(t, &before.endpoint[2]), 0);
    traffic_free(t);
}

/* 20,000 random begins and ends over 500 endpoints, against plain counters: growth and the closing of gaps
 * lose nothing. */
static void the_table_equals_plain_counters(void **state)
{
    (void)state;
    enum { M = 500 };
    static struct view_node node[M];
    static struct view_endpoint e[M];
    static size_t model[M];
    struct rng rng = rng_seeded(11);
    struct traffic *t = traffic_new(NULL, 1);
    for (size_t i = 0; i < M; i++) {
        store_be64(node[i].id.b, i % 16); /* ids that collide */
        node[i].id.b[20] = (uint8_t)(i >> 4);
        e[i] = (struct view_endpoint){.node = &node[i], .service = "s"};
    }
    for (int step = 0; step < 20000; step++) {
        size_t i = rng_below(&rng, M);
        if (rng_below(&rng, 2) || model[i] == 0) {
            traffic_begin(t, &e[i]);
            model[i]++;
        } else {
            traffic_end(t, traffic_load(t, &e[i]), &answered, 0);
            model[i]--;
        }
        size_t j = rng_below(&rng, M);
        assert_int_equal(traffic_outstanding(t, &e[j]), model[j]);
    }
    for (size_t i = 0; i < M; i++)
        assert_int_equal(traffic_outstanding(t, &e[i]), model[i]);
    traffic_free(t);
}

static void why_shows_each_instance_and_its_standing(void **state)
{
    (void)state;
    struct world w;
    struct traffic_candidate c[N];
    setup(&w, 6);
    w.endpoint[1].healthy = false;
    w.node[3].suspect = true;
    w.endpoint[5].draining = true;
    struct traffic *t = traffic_new(NULL, 1);
    struct traffic_places places;
    struct traffic_ask ask = {.view = &view, .service = &w.service, .subset = &w.v2, .settings = &settings};
    assert_int_equal(traffic_candidates(t, &ask, &places, c, N), 6);
    static const char *const want[] = {"other subset", "unhealthy",
                                       "other subset", "spare (suspect or degraded)",
                                       "other subset", "draining"};
    for (int i = 0; i < 6; i++) {
        assert_ptr_equal(c[i].endpoint, &w.endpoint[i]);
        assert_string_equal(traffic_standing_text(c[i].standing), want[i]);
    }
    ask.subset = NULL;
    assert_int_equal(traffic_candidates(t, &ask, &places, c, 2), 6);
    assert_int_equal(c[0].standing, TRAFFIC_CANDIDATE);
    ask.service = NULL;
    assert_int_equal(traffic_candidates(t, &ask, &places, c, N), 0);
    traffic_free(t);
}

/* A slow instance that was ejected would never win against others: the first request that draws it is its probe. */
static void who_is_due_for_a_probe_is_chosen_when_drawn(void **state)
{
    (void)state;
    static const struct policy_outlier_detection rules = {
        .consecutive_5xx = 1, .ejection_base_ms = 1000, .ejection_max_ms = 1000, .ejection_max_percent = 50};
    const struct shorthash_key key = {{7}};
    struct traffic_shared *shared = traffic_shared_new(&key);
    struct traffic *t = traffic_new(shared, 3);
    struct world w;
    setup(&w, 4);
    struct view whole = {.serial = view.serial, .service = &w.service, .service_count = 1};
    struct traffic_ask ask = {.view = &whole, .service = &w.service, .settings = &settings, .now = 1000};
    for (int i = 0; i < 3; i++)
        traffic_begin(t, &w.endpoint[0]); /* the busiest */
    (void)outlier_note(shared->outliers, outlier_key(shared->outliers, &w.endpoint[0]), &whole,
                       &w.endpoint[0], &rules, OUTLIER_FAILURE, false, 1000);
    atomic_fetch_add(&shared->ejections, 1);
    for (int i = 0; i < 100; i++)
        assert_ptr_not_equal(traffic_pick(t, &ask).endpoint, &w.endpoint[0]);
    ask.now = 2000;
    int picks = 1;
    while (traffic_pick(t, &ask).endpoint != &w.endpoint[0] && picks < 100)
        picks++;
    assert_in_range(picks, 1, 99);
    assert_true(outlier_probe(shared->outliers, &w.endpoint[0], 2000));
    atomic_fetch_add(&shared->ejections, 1);
    for (int i = 0; i < 100; i++) /* one at a time */
        assert_ptr_not_equal(traffic_pick(t, &ask).endpoint, &w.endpoint[0]);
    traffic_free(t);
    traffic_shared_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_instances_share_evenly),
        cmocka_unit_test(sparse_candidates_share_evenly_too),
        cmocka_unit_test(the_busier_of_two_loses),
        cmocka_unit_test(a_stuck_instance_starves),
        cmocka_unit_test(the_same_seed_gives_the_same_choices),
        cmocka_unit_test(a_subset_is_never_left),
        cmocka_unit_test(an_empty_subset_is_no_route_not_any_instance),
        cmocka_unit_test(unhealthy_draining_and_dead_are_skipped),
        cmocka_unit_test(suspects_serve_only_when_no_live_one_is_left),
        cmocka_unit_test(an_instance_on_this_host_is_a_candidate_like_others),
        cmocka_unit_test(what_was_tried_is_not_tried_again),
        cmocka_unit_test(a_tried_live_one_leaves_the_turn_to_a_suspect),
        cmocka_unit_test(nobody_is_nobody),
        cmocka_unit_test(counts_survive_a_change_of_view),
        cmocka_unit_test(the_table_equals_plain_counters),
        cmocka_unit_test(why_shows_each_instance_and_its_standing),
        cmocka_unit_test(who_is_due_for_a_probe_is_chosen_when_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
