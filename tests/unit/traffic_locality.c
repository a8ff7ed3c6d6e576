/* Where requests go by `locality` and `failover`: who is near, what spills, who panics, who stands in. The shares are those of
 * docs/traffic.md's formula. */
#include "traffic_world.h"

enum { PICKS = 100000 };

static void world_with(struct world *w, const char *said)
{
    set_up_world(w, NULL, said);
    w->zone = "eu-1a";
    w->region = "eu-1";
}

static unsigned sum(const unsigned seen[WORLD_MAX], size_t from, size_t count)
{
    unsigned n = 0;
    for (size_t i = from; i < from + count; i++)
        n += seen[i];
    return n;
}

/* Of PICKS, within 4 sigma of a throw. */
static void expect_share(unsigned n, double share)
{
    double sigma = 158.2 * 2;
    if (n < share * PICKS - 2 * sigma || n > share * PICKS + 2 * sigma)
        fail_msg("%u of %d, not %.4f", n, PICKS, share);
}

static void spill_is_as_the_formula_says(void **state)
{
    (void)state;
    static const struct {
        unsigned near_well, region_well; /* of 10 each; far: 10 of 10 */
        double near, region, far;
    } rows[] = {{10, 10, 1, 0, 0},      {7, 10, 1, 0, 0},        {6, 10, 0.84, 0.16, 0},
                {3, 10, 0.42, 0.58, 0}, {3, 2, 0.42, 0.28, 0.3}, {0, 0, 0, 0, 1}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct world w;
        unsigned seen[WORLD_MAX];
        world_with(&w, "loadBalancer: {policy: random}");
        add_some(&w, 10, "cart", "eu-1a", "eu-1");
        add_some(&w, 10, "cart", "eu-1b", "eu-1");
        add_some(&w, 10, "cart", "us-1a", "us-1");
        for (size_t i = 0; i < 10; i++) {
            w.at[i].unwell = i >= rows[k].near_well;
            w.at[10 + i].unwell = i >= rows[k].region_well;
        }
        publish(&w);
        count_choices(&w, PICKS, seen);
        expect_share(sum(seen, 0, 10), rows[k].near);
        expect_share(sum(seen, 10, 10), rows[k].region);
        expect_share(sum(seen, 20, 10), rows[k].far);
        for (size_t i = 0; i < 20; i++)
            assert_true(!w.at[i].unwell || seen[i] == 0);
        tear_down_world(&w);
    }
}

/* In the view's order: label by label, as a table. */
static void how_near_an_instance_is(void **state)
{
    (void)state;
    static const struct {
        struct instance at;
        const char *zone, *region; /* of this host */
        uint8_t rank;              /* of [zone, region] */
    } rows[] = {
        {{.service = "cart", .zone = "eu-1a", .region = "eu-1"}, "eu-1a", "eu-1", 0},
        {{.service = "cart", .zone = "eu-1b", .region = "eu-1"}, "eu-1a", "eu-1", 1},
        {{.service = "cart", .zone = "us-1a", .region = "us-1"}, "eu-1a", "eu-1", 2},
        {{.service = "cart", .zone = "a", .region = "us-1"},
         "a",
         "eu-1",
         2}, /* a zone of that name in another region is not near */
        {{.service = "cart", .zone = "a", .region = NULL}, "a", "eu-1", 0}, /* nothing tells them apart */
        {{.service = "cart", .zone = NULL, .region = "eu-1"}, "eu-1a", "eu-1", 1},
        {{.service = "cart", .zone = NULL, .region = NULL}, "eu-1a", "eu-1", 2},
        {{.service = "cart", .zone = "eu-1a", .region = "eu-1"},
         NULL,
         NULL,
         2}, /* this host does not say where it is */
        {{.service = "cart", .zone = "eu-1b", .region = "eu-1", .own_zone = "eu-1a"},
         "eu-1a",
         "eu-1",
         0}, /* the service's own label goes first */
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct world w;
        struct traffic_places places;
        struct traffic_candidate c;
        set_up_world(&w, NULL, "loadBalancer: {policy: random}");
        w.at[w.count++] = rows[k].at;
        w.zone = rows[k].zone;
        w.region = rows[k].region;
        publish(&w);
        struct traffic_ask ask = ask_for(&w, "cart");
        assert_int_equal(traffic_candidates(w.traffic, &ask, &places, &c, 1), 1);
        assert_int_equal(c.rank, rows[k].rank);
        assert_true(c.is_used && c.share_ppm == 1000000);
        tear_down_world(&w);
    }
}

static void prefer_may_name_other_labels_or_none(void **state)
{
    (void)state;
    struct world w;
    unsigned seen[WORLD_MAX];
    world_with(&w, "locality: {prefer: [region]}, loadBalancer: {policy: random}");
    add_some(&w, 2, "cart", "eu-1a", "eu-1");
    add_some(&w, 2, "cart", "eu-1b", "eu-1");
    add_some(&w, 2, "cart", "us-1a", "us-1");
    publish(&w);
    count_choices(&w, PICKS, seen);
    expect_share(sum(seen, 0, 2), 0.5);
    expect_share(sum(seen, 4, 2), 0);
    tear_down_world(&w);
    world_with(&w, "locality: {prefer: []}, loadBalancer: {policy: random}");
    add_some(&w, 1, "cart", "eu-1a", "eu-1");
    add_some(&w, 1, "cart", "us-1a", "us-1");
    publish(&w);
    count_choices(&w, PICKS, seen);
    expect_share(seen[0], 0.5);
    tear_down_world(&w);
}

/* What was tried at the near level leaves the far one, even while nothing spills. */
static void a_retry_leaves_the_level_when_all_of_it_was_tried(void **state)
{
    (void)state;
    struct world w;
    world_with(&w, "loadBalancer: {policy: random}");
    add_some(&w, 1, "cart", "eu-1a", "eu-1");
    add_some(&w, 1, "cart", "us-1a", "us-1");
    publish(&w);
    struct traffic_tried tried = {0};
    struct traffic_ask ask = ask_for(&w, "cart");
    ask.tried = &tried;
    for (size_t i = 0; i < 2; i++) {
        struct traffic_choice c = traffic_pick(w.traffic, &ask);
        assert_int_equal(place_of(&w, c.endpoint), i);
        traffic_tried_add(&tried, c.endpoint);
    }
    assert_int_equal(traffic_pick(w.traffic, &ask).why, TRAFFIC_ALL_TRIED);
    tear_down_world(&w);
}

static void expect_news(struct world *w, const char *want)
{
    struct traffic_news n;
    char is[80] = "nothing";
    if (traffic_news_poll(w->traffic, &n))
        snprintf(is, sizeof is, "%s%s%s %s, %u of %u%s", n.service, n.subset[0] ? "/" : "", n.subset,
                 n.panics ? "panics" : "is calm", n.healthy, n.total, n.is_first ? "" : ", not the first");
    assert_string_equal(is, want);
    assert_false(traffic_news_poll(w->traffic, &n));
}

static void below_panic_all_are_used_and_it_is_told_once(void **state)
{
    (void)state;
    struct world w;
    unsigned seen[WORLD_MAX];
    world_with(&w, "loadBalancer: {policy: random}");
    add_some(&w, 10, "cart", NULL, NULL);
    for (size_t i = 0; i < 5; i++)
        w.at[i].unwell = true;
    publish(&w);
    count_choices(&w, PICKS, seen); /* 5 of 10 are not fewer than 50 % */
    expect_share(sum(seen, 5, 5), 1);
    expect_news(&w, "nothing");
    w.at[5].unwell = true;
    publish(&w);
    count_choices(&w, PICKS, seen);
    expect_share(sum(seen, 0, 6), 0.6);
    expect_news(&w, "cart panics, 4 of 10");
    publish(&w);
    choose(&w);
    expect_news(&w, "nothing");
    struct traffic_ask ask = ask_for(&w, "cart");
    assert_true(traffic_pick(w.traffic, &ask).panic);
    w.at[5].unwell = false;
    publish(&w); /* nobody asks: the new view is enough */
    traffic_judge(w.traffic, w.view, w.now);
    expect_news(&w, "cart is calm, 5 of 10");
    assert_false(traffic_pick(w.traffic, &(struct traffic_ask){.view = w.view,
                                                               .service = ask_for(&w, "cart").service,
                                                               .settings = ask.settings,
                                                               .now = w.now})
                     .panic);
    tear_down_world(&w);
}

static void panic_ends_with_the_service_and_workers_tell_it_once(void **state)
{
    (void)state;
    struct shorthash_key key = {{1}};
    struct traffic_shared *shared = traffic_shared_new(&key);
    struct world w, other;
    set_up_world(&w, shared, "loadBalancer: {policy: random}");
    set_up_world(&other, shared, "loadBalancer: {policy: random}");
    struct world *both[] = {&w, &other};
    for (size_t i = 0; i < 2; i++) {
        add_some(both[i], 1, "cart", NULL, NULL);
        both[i]->at[0].unwell = true;
        publish(both[i]);
        choose(both[i]);
        expect_news(both[i], i == 0 ? "cart panics, 0 of 1" : "cart panics, 0 of 1, not the first");
    }
    for (size_t i = 0; i < 2; i++) {
        both[i]->at[0].service = "cart-dr";
        publish(both[i]);
        traffic_judge(both[i]->traffic, both[i]->view, both[i]->now);
        expect_news(both[i], i == 0 ? "cart is calm, 0 of 1, not the first" : "cart is calm, 0 of 1");
    }
    tear_down_world(&w);
    tear_down_world(&other);
    traffic_shared_free(shared);
}

/* Who is ejected leaves at once, counts as not healthy, is used in a panic, and is back when his time is over: no view has changed. */
static void the_ejected_are_counted_out_and_in_again(void **state)
{
    (void)state;
    const struct policy_outlier_detection rules = {
        .consecutive_5xx = 1, .ejection_base_ms = 5000, .ejection_max_ms = 5000, .ejection_max_percent = 100};
    struct shorthash_key key = {{1}};
    struct traffic_shared *shared = traffic_shared_new(&key);
    struct world w;
    unsigned seen[WORLD_MAX];
    set_up_world(&w, shared, "loadBalancer: {policy: random}");
    w.zone = "z";
    add_some(&w, 2, "cart", "z", NULL);
    add_some(&w, 1, "cart", "y", NULL);
    publish(&w);
    count_choices(&w, PICKS, seen);
    expect_share(seen[0], 0.5);
    for (size_t k = 0; k < 3; k++) { /* one after the other; the view has them by node */
        const struct view_endpoint *e = w.view->service[0].endpoint[k];
        (void)outlier_note(shared->outliers, outlier_key(shared->outliers, e), w.view, e, &rules,
                           OUTLIER_FAILURE, false, w.now);
        atomic_fetch_add(&shared->ejections, 1);
        size_t at = place_of(&w, e);
        count_choices(&w, PICKS, seen);
        if (k < 2)
            assert_int_equal(seen[at], 0);
    }
    for (size_t i = 0; i < 3; i++)
        expect_share(seen[i], 1.0 / 3); /* all: a panic */
    expect_news(&w, "cart panics, 0 of 3");
    w.now += 5000;
    count_choices(&w, PICKS, seen); /* due for a probe: they may be chosen */
    expect_share(sum(seen, 0, 2), 1);
    expect_news(&w, "cart is calm, 3 of 3");
    tear_down_world(&w);
    traffic_shared_free(shared);
}

/* Draining ones, and those without a policy, would refuse: they are used in no panic, and count for none. */
static void who_would_take_no_request_is_never_used(void **state)
{
    (void)state;
    struct world w;
    unsigned seen[WORLD_MAX];
    world_with(&w, "loadBalancer: {policy: random}");
    add_some(&w, 6, "cart", NULL, NULL);
    for (size_t i = 0; i < 3; i++)
        w.at[i].draining = i < 2, w.at[i].unready = i == 2;
    w.at[3].unwell = true;
    publish(&w);
    count_choices(&w, PICKS, seen);
    expect_share(sum(seen, 4, 2), 1); /* 2 of 3 */
    w.at[4].unwell = true;
    publish(&w);
    count_choices(&w, PICKS, seen);
    expect_share(sum(seen, 3, 3), 1); /* 1 of 3: panic, and still none of the first three */
    expect_news(&w, "cart panics, 1 of 3");
    tear_down_world(&w);
}

/* The place in `failover`, or -1: an instance of the service itself. */
static int stand_in(struct world *w, uint32_t barred)
{
    struct traffic_ask ask = ask_for(w, "cart");
    ask.failover_barred = barred;
    struct traffic_choice c = traffic_pick(w->traffic, &ask);
    if (c.endpoint)
        return -1;
    if (c.why != TRAFFIC_FAILOVER)
        fail_msg("nobody: %s", traffic_why_text(c.why));
    return (int)c.failover;
}

static void expect_stand_ins(struct world *w, uint32_t barred, double own, double first, double second)
{
    unsigned n[3] = {0};
    for (int i = 0; i < PICKS; i++)
        n[stand_in(w, barred) + 1]++;
    expect_share(n[0], own);
    expect_share(n[1], first);
    expect_share(n[2], second);
}

static void services_of_failover_stand_in_as_the_next_levels(void **state)
{
    (void)state;
    struct world w;
    world_with(&w, "failover: [{service: cart-dr}, {service: cart-far}]");
    add_some(&w, 10, "cart", "eu-1a", "eu-1");
    add_some(&w, 10, "cart", "eu-1b", "eu-1");
    add_some(&w, 4, "cart-dr", "us-1a", "us-1");
    add_some(&w, 2, "cart-far", "us-1a", "us-1");
    publish(&w);
    expect_stand_ins(&w, 0, 1, 0, 0);
    for (size_t i = 0; i < 9; i++)
        w.at[i].unwell = w.at[10 + i].unwell = true;
    publish(&w);
    expect_stand_ins(&w, 0, 0.28, 0.72, 0); /* 14 % of each level */
    w.at[20].unwell = w.at[21].unwell = true;
    publish(&w);
    expect_stand_ins(&w, 0, 0.28, 0.70, 0.02);
    expect_stand_ins(&w, 2, 0.28 / 0.98, 0.70 / 0.98, 0); /* the caller may not call the second */
    expect_stand_ins(&w, 1, 0.28, 0, 0.72);
    expect_stand_ins(&w, 3, 1, 0, 0);
    expect_news(&w, "nothing"); /* who has others to stand in does not panic, but for who may not use them */
    struct traffic_ask ask = ask_for(&w, "cart");
    ask.failover_barred = 3;
    assert_true(traffic_pick(w.traffic, &ask).panic);
    tear_down_world(&w);
}

static void a_service_without_any_instance_has_stand_ins_too(void **state)
{
    (void)state;
    struct world w;
    world_with(&w, "failover: [{service: cart-dr}]");
    add_some(&w, 2, "cart-dr", NULL, NULL);
    publish(&w);
    assert_int_equal(stand_in(&w, 0), 0);
    struct traffic_ask ask = ask_for(&w, "cart");
    ask.failover_barred = 1;
    assert_int_equal(traffic_pick(w.traffic, &ask).why, TRAFFIC_NO_INSTANCE);
    for (uint32_t barred = 0; barred < 2; barred++) { /* and they are told of */
        struct traffic_places places;
        ask.failover_barred = barred;
        assert_int_equal(traffic_candidates(w.traffic, &ask, &places, NULL, 0), 0);
        assert_int_equal(places.level_count, 0);
        assert_int_equal(places.failover_count, 1);
        assert_int_equal(places.failover[0].healthy, barred ? 0 : 2);
        assert_int_equal(places.failover[0].share_ppm, barred ? 0 : 1000000);
    }
    tear_down_world(&w);
}

static void two_that_stand_in_for_each_other_end_somewhere(void **state)
{
    (void)state;
    struct world w;
    set_up_world(
        &w, NULL,
        "failover: [{service: x}]}\n  x: {protocol: http, unmatched: audit, failover: [{service: cart}]");
    add_some(&w, 1, "cart", NULL, NULL);
    add_some(&w, 1, "x", NULL, NULL);
    w.at[0].unwell = w.at[1].unwell = true;
    publish(&w);
    assert_int_equal(stand_in(&w, 0), -1); /* the other is no better: panic */
    tear_down_world(&w);
}

/* More groups than are kept: what one had learned is forgotten, nothing else. */
static void a_thousand_services_take_turns_in_the_table(void **state)
{
    (void)state;
    enum { MANY = 1500 };
    static struct view_service service[MANY];
    static struct view_endpoint e[MANY];
    static const struct view_endpoint *at[MANY];
    struct view view = {.serial = 1};
    struct policy_settings settings = {.locality = {.failover_below_ppm = 700000}};
    struct traffic *t = traffic_new(NULL, 3);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < MANY; i++) {
            snprintf(service[i].name, sizeof service[i].name, "s%d", i);
            e[i].service = service[i].name;
            e[i].healthy = true;
            at[i] = &e[i];
            service[i].count = 1;
            service[i].endpoint = &at[i];
            struct traffic_ask ask = {.view = &view, .service = &service[i], .settings = &settings};
            assert_ptr_equal(traffic_pick(t, &ask).endpoint, &e[i]);
        }
    traffic_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spill_is_as_the_formula_says),
        cmocka_unit_test(how_near_an_instance_is),
        cmocka_unit_test(prefer_may_name_other_labels_or_none),
        cmocka_unit_test(a_retry_leaves_the_level_when_all_of_it_was_tried),
        cmocka_unit_test(below_panic_all_are_used_and_it_is_told_once),
        cmocka_unit_test(panic_ends_with_the_service_and_workers_tell_it_once),
        cmocka_unit_test(the_ejected_are_counted_out_and_in_again),
        cmocka_unit_test(who_would_take_no_request_is_never_used),
        cmocka_unit_test(services_of_failover_stand_in_as_the_next_levels),
        cmocka_unit_test(a_service_without_any_instance_has_stand_ins_too),
        cmocka_unit_test(two_that_stand_in_for_each_other_end_somewhere),
        cmocka_unit_test(a_thousand_services_take_turns_in_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
