/* The balancers, by the policy's word: what each does with instances that are fast, slow, refusing, new, gone. Time is virtual. */
#include "traffic_world.h"

/* A run of requests, one after the other at `gap_ms`, each answered as its instance does before the next but `busy` begins. */
struct server {
    uint32_t us;
    uint16_t status; /* 0: 200 */
};

static void serve(struct world *w, const struct server *s, unsigned requests, mono_ms gap_ms,
                  unsigned seen[WORLD_MAX])
{
    memset(seen, 0, WORLD_MAX * sizeof *seen);
    for (unsigned i = 0; i < requests; i++, w->now += gap_ms) {
        struct traffic_ask ask = ask_for(w, "cart");
        struct traffic_choice c = traffic_pick(w->traffic, &ask);
        assert_non_null(c.endpoint);
        size_t at = place_of(w, c.endpoint);
        struct traffic_outcome o = {TRY_ANSWERED, s[at].status ? s[at].status : 200, s[at].us};
        traffic_begin(w->traffic, c.endpoint);
        traffic_end(w->traffic, traffic_load(w->traffic, c.endpoint), &o, w->now);
        seen[at]++;
    }
}

static void world_of(struct world *w, size_t count, const char *said)
{
    set_up_world(w, NULL, said);
    add_some(w, count, "cart", NULL, NULL);
    publish(w);
}

static const struct server three[WORLD_MAX] = {{2000, 0}, {2000, 0}, {40000, 0}};

static void peak_ewma_keeps_away_from_who_is_slow(void **state)
{
    (void)state;
    struct world w;
    unsigned seen[WORLD_MAX];
    world_of(&w, 3, "loadBalancer: {policy: peakEwma}");
    serve(&w, three, 3000, 10, seen);
    assert_in_range(seen[0], 1000, 2000);
    assert_in_range(seen[1], 1000, 2000);
    assert_in_range(seen[2], 1,
                    20); /* asked once, and again when what is known has faded: every ln(20) x 10 s */
    tear_down_world(&w);
}

/* One near, one in another region 80 ms away, and no labels that would say so. As its way is foretold the far one is asked once, at the
 * beginning; without that again whenever what was measured has faded. */
static void peak_ewma_does_not_forget_how_far_somebody_is(void **state)
{
    static const struct server near_and_far[WORLD_MAX] = {{1000, 0}, {81000, 0}};
    unsigned foretold[WORLD_MAX], unknown[WORLD_MAX];
    struct world w;
    (void)state;
    world_of(&w, 2, "loadBalancer: {policy: peakEwma}");
    w.at[0].rtt_us = 600;
    w.at[1].rtt_us = 80000;
    publish(&w);
    serve(&w, near_and_far, 30000, 10, foretold);
    tear_down_world(&w);
    world_of(&w, 2, "loadBalancer: {policy: peakEwma}");
    serve(&w, near_and_far, 30000, 10, unknown);
    tear_down_world(&w);
    assert_int_equal(foretold[1], 1);
    assert_in_range(unknown[1], 5, 10); /* in 300 s, every ln(80) x 10 s */
}

/* Of those whom nobody has asked yet the nearer is first. */
static void peak_ewma_begins_with_the_nearest(void **state)
{
    struct world w;
    (void)state;
    for (size_t nearest = 0; nearest < 2; nearest++) {
        world_of(&w, 2, "loadBalancer: {policy: peakEwma}");
        w.at[nearest].rtt_us = 1000;
        w.at[!nearest].rtt_us = 20000;
        publish(&w);
        struct traffic_ask ask = ask_for(&w, "cart");
        assert_int_equal(place_of(&w, traffic_pick(w.traffic, &ask).endpoint), nearest);
        tear_down_world(&w);
    }
}

static void peak_ewma_asks_each_once_before_it_judges(void **state)
{
    (void)state;
    struct world w;
    unsigned seen[WORLD_MAX];
    const struct server slow[WORLD_MAX] = {{90000, 0}, {90000, 0}, {90000, 0},
                                           {90000, 0}, {90000, 0}, {90000, 0}};
    world_of(&w, 6, "loadBalancer: {policy: peakEwma}");
    serve(&w, slow, 40, 1, seen);
    for (size_t i = 0; i < 6; i++)
        assert_true(seen[i] > 0);
    tear_down_world(&w);
}

/* As fast as a refusal is, it would look like the best of all. */
/* A request that began with the view before goes on under it (P33). What is known of who has come since is not lost for that. */
static void who_asks_again_under_an_older_view_changes_nothing_for_others(void **state)
{
    (void)state;
    struct world w;
    unsigned seen[WORLD_MAX];
    static const struct server with_slow[WORLD_MAX] = {{1000, 0}, {1000, 0}, {400000, 0}};
    world_of(&w, 2, "loadBalancer: {policy: peakEwma, slowStart: 0s}");
    serve(&w, with_slow, 20, 1, seen);
    struct view *before = view_ref(w.view);
    add_some(&w, 1, "cart", NULL, NULL);
    publish(&w);
    serve(&w, with_slow, 100, 1, seen);
    assert_int_equal(seen[2], 1);
    for (int i = 0; i < 50; i++) {
        struct traffic_ask again = ask_for(&w, "cart");
        again.view = before;
        again.service = view_service(before, bytes_str("cart"));
        assert_non_null(traffic_pick(w.traffic, &again).endpoint);
        serve(&w, with_slow, 2, 1, seen);
        assert_int_equal(seen[2], 0);
    }
    view_unref(before);
    tear_down_world(&w);
}

static void a_fast_refusal_attracts_nothing(void **state)
{
    (void)state;
    static const uint16_t refusals[] = {429, 503};
    for (size_t k = 0; k < 2; k++) {
        struct world w;
        unsigned seen[WORLD_MAX];
        const struct server s[WORLD_MAX] = {{20000, 0}, {20000, 0}, {100, refusals[k]}};
        world_of(&w, 3, "loadBalancer: {policy: peakEwma}");
        serve(&w, s, 2000, 10, seen);
        assert_in_range(seen[2], 1, 3);
        tear_down_world(&w);
    }
}

static void who_cannot_be_reached_or_is_late_attracts_nothing_either(void **state)
{
    (void)state;
    static const struct traffic_outcome ends[] = {
        {TRY_UNREACHED, 0, 50}, {TRY_RESET, 0, 50}, {TRY_TIMEOUT, 0, 5000000}, {TRY_CANCELLED, 0, 3000000}};
    for (size_t k = 0; k < 4; k++) {
        struct world w;
        unsigned seen[WORLD_MAX] = {0};
        world_of(&w, 2, "loadBalancer: {policy: peakEwma}");
        for (int i = 0; i < 1000; i++, w.now += 10) {
            struct traffic_ask ask = ask_for(&w, "cart");
            struct traffic_choice c = traffic_pick(w.traffic, &ask);
            size_t at = place_of(&w, c.endpoint);
            struct traffic_outcome good = {TRY_ANSWERED, 200, 20000};
            traffic_begin(w.traffic, c.endpoint);
            traffic_end(w.traffic, traffic_load(w.traffic, c.endpoint), at ? &good : &ends[k], w.now);
            seen[at]++;
        }
        assert_in_range(seen[0], 1, 3);
        tear_down_world(&w);
    }
}

/* A client that leaves at once says nothing of who had no time to answer. */
static void a_client_that_leaves_at_once_is_no_fast_answer(void **state)
{
    (void)state;
    struct world w;
    world_of(&w, 2, "loadBalancer: {policy: peakEwma}");
    const struct view_endpoint *a = w.view->service[0].endpoint[0], *b = w.view->service[0].endpoint[1];
    const struct traffic_outcome good = {TRY_ANSWERED, 200, 20000}, left = {TRY_CANCELLED, 0, 10};
    for (int i = 0; i < 2; i++) {
        traffic_begin(w.traffic, a);
        traffic_begin(w.traffic, b);
        choose(&w); /* so that both are known */
        traffic_end(w.traffic, traffic_load(w.traffic, a), i ? &left : &good, w.now);
        traffic_end(w.traffic, traffic_load(w.traffic, b),
                    &(struct traffic_outcome){TRY_ANSWERED, 200, 10000}, w.now);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(choose(&w), place_of(&w, b));
    tear_down_world(&w);
}

static void round_robin_goes_round_and_on_over_changes(void **state)
{
    (void)state;
    struct world w;
    unsigned seen[WORLD_MAX];
    world_of(&w, 5, "loadBalancer: {policy: roundRobin}");
    count_choices(&w, 5000, seen);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(seen[i], 1000);
    size_t order[5];
    for (size_t i = 0; i < 5; i++)
        order[i] = choose(&w);
    size_t a = choose(&w), b = choose(&w);
    assert_int_equal(a, order[0]);
    assert_int_equal(b, order[1]);
    w.at[order[2]].unwell = true; /* who is next goes; then another view in which he is back */
    publish(&w);
    assert_int_equal(choose(&w), order[3]);
    w.at[order[2]].unwell = false;
    publish(&w);
    assert_int_equal(choose(&w), order[4]);
    w.now += 60000; /* he is no longer new */
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(choose(&w), order[i % 5]);
    tear_down_world(&w);
}

static void random_is_even(void **state)
{
    (void)state;
    struct world w;
    unsigned seen[WORLD_MAX];
    double chi = 0;
    world_of(&w, 8, "loadBalancer: {policy: random}");
    count_choices(&w, 80000, seen);
    for (size_t i = 0; i < 8; i++)
        chi += (seen[i] - 10000.0) * (seen[i] - 10000.0) / 10000.0;
    assert_true(chi < 24.3); /* chi-square of 7 degrees: once in a thousand seeds */
    tear_down_world(&w);
}

/* Its share of what each balancer would give it, at 50 % of slowStart. */
static void a_new_instance_gets_a_share_that_rises(void **state)
{
    (void)state;
    static const char *const by[] = {"peakEwma", "leastRequest", "roundRobin", "random"};
    static const struct {
        mono_ms after;
        double share; /* of a third */
    } rows[] = {{0, 0.1}, {10000, 0.5}, {16000, 0.8}, {20000, 1}};
    for (size_t k = 0; k < 4; k++) {
        struct world w;
        char said[80];
        unsigned seen[WORLD_MAX];
        snprintf(said, sizeof said, "loadBalancer: {policy: %s, slowStart: 20s}", by[k]);
        world_of(&w, 2, said);
        count_choices(&w, 1000, seen);
        assert_in_range(seen[0], 400, 600); /* who was there before is not new */
        add_some(&w, 1, "cart", NULL, NULL);
        publish(&w);
        mono_ms begin = w.now;
        for (size_t i = 0; i < 4; i++) {
            w.now = begin + rows[i].after;
            count_choices(&w, 30000, seen);
            /* round robin passes it over once a round: its share is s of s + 2 */
            double s = rows[i].share, want = k == 2 ? 30000 * s / (s + 2) : 30000 * s / 3;
            assert_true(seen[2] > want - 350 && seen[2] < want + 350);
        }
        tear_down_world(&w);
    }
}

static void all_new_ones_share_as_all_old_ones_do(void **state)
{
    (void)state;
    struct world w;
    unsigned seen[WORLD_MAX];
    world_of(&w, 1, "loadBalancer: {policy: leastRequest}");
    choose(&w);
    w.at[0].unwell = true;
    add_some(&w, 3, "cart", NULL, NULL);
    publish(&w);
    count_choices(&w, 9000, seen);
    for (size_t i = 1; i < 4; i++)
        assert_in_range(seen[i], 2750, 3250);
    tear_down_world(&w);
}

static size_t choose_by_key(struct world *w, uint64_t key, const struct traffic_tried *tried)
{
    struct traffic_ask ask = ask_for(w, "cart");
    ask.has_key = true;
    ask.key = key;
    ask.tried = tried;
    struct traffic_choice c = traffic_pick(w->traffic, &ask);
    assert_non_null(c.endpoint);
    return place_of(w, c.endpoint);
}

enum { KEYS = 20000, HOSTS = 10 };
static const char *const hashes[] = {"loadBalancer: {policy: ringHash, key: {header: x-user}}",
                                     "loadBalancer: {policy: maglev, key: {header: x-user}}"};

static void a_key_stays_where_it_is_and_on_every_agent(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct world w, other;
        static size_t at[KEYS];
        world_of(&w, HOSTS, hashes[k]);
        world_of(&other, HOSTS, hashes[k]);
        for (uint64_t key = 0; key < KEYS; key++)
            at[key] = choose_by_key(&w, key, NULL);
        publish(&w);
        publish(&w);
        for (uint64_t key = 0; key < KEYS; key += 7) {
            assert_int_equal(choose_by_key(&w, key, NULL), at[key]);
            assert_int_equal(choose_by_key(&other, key, NULL), at[key]);
        }
        tear_down_world(&other);
        tear_down_world(&w);
    }
}

/* Unhealthy: only its keys move, to many others; back: all as before. Gone for good: a few more with maglev. */
static void the_keys_of_who_fails_move_and_come_back(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct world w;
        static size_t at[KEYS];
        unsigned taken[WORLD_MAX] = {0}, gone = 0, moved = 0;
        world_of(&w, HOSTS, hashes[k]);
        for (uint64_t key = 0; key < KEYS; key++)
            at[key] = choose_by_key(&w, key, NULL);
        w.at[3].unwell = true;
        publish(&w);
        for (uint64_t key = 0; key < KEYS; key++) {
            size_t is = choose_by_key(&w, key, NULL);
            assert_true(is != 3 && (at[key] == 3 || is == at[key]));
            taken[is] += at[key] == 3;
            gone += at[key] == 3;
        }
        for (size_t i = 0; i < HOSTS; i++)
            assert_true(i == 3 || taken[i] > 0);
        assert_in_range(gone, KEYS / HOSTS * 6 / 10, KEYS / HOSTS * 14 / 10);
        w.at[3].unwell = false;
        publish(&w);
        for (uint64_t key = 0; key < KEYS; key++)
            assert_int_equal(choose_by_key(&w, key, NULL), at[key]);
        w.at[3].service = "cart-dr";
        publish(&w);
        for (uint64_t key = 0; key < KEYS; key++)
            moved += at[key] != 3 && choose_by_key(&w, key, NULL) != at[key];
        assert_true(moved <= (k == 0 ? 0 : KEYS / 20));
        tear_down_world(&w);
    }
}

/* Two of two thousand are well: most keys would have to look at a thousand places of the table. They share the two all the same, each
 * stays with its own, and goes to the other when that was tried. */
static void where_hardly_anybody_is_well_a_key_stays_too(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct world w;
        char said[120];
        unsigned seen[2] = {0};
        snprintf(said, sizeof said, "%s, locality: {panicBelow: 0%%}", hashes[k]);
        world_of(&w, 2000, said);
        for (size_t i = 0; i < 2000; i++)
            w.at[i].unwell = i != 700 && i != 1300;
        publish(&w);
        for (uint64_t key = 0; key < 1000; key++) {
            struct traffic_tried tried = {0};
            size_t is = choose_by_key(&w, key, NULL);
            assert_true(is == 700 || is == 1300);
            seen[is == 1300]++;
            assert_int_equal(choose_by_key(&w, key, NULL), is);
            for (size_t e = 0; e < 2000; e++)
                if (place_of(&w, w.view->service[0].endpoint[e]) == is)
                    traffic_tried_add(&tried, w.view->service[0].endpoint[e]);
            assert_int_equal(choose_by_key(&w, key, &tried), is == 700 ? 1300 : 700);
        }
        assert_in_range(seen[0], 300, 700);
        tear_down_world(&w);
    }
}

static void a_retry_goes_to_the_next_on_the_ring(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct world w;
        world_of(&w, 3, hashes[k]);
        struct traffic_tried tried = {0};
        bool met[3] = {false};
        for (int i = 0; i < 3; i++) {
            size_t at = choose_by_key(&w, 42, &tried);
            assert_false(met[at]);
            met[at] = true;
            for (size_t e = 0; e < 3; e++)
                if (place_of(&w, w.view->service[0].endpoint[e]) == at)
                    traffic_tried_add(&tried, w.view->service[0].endpoint[e]);
        }
        struct traffic_ask ask = ask_for(&w, "cart");
        ask.has_key = true;
        ask.tried = &tried;
        assert_int_equal(traffic_pick(w.traffic, &ask).why, TRAFFIC_ALL_TRIED);
        tear_down_world(&w);
    }
}

static void without_its_key_a_request_goes_where_few_are_in_flight(void **state)
{
    (void)state;
    struct world w;
    world_of(&w, 2, hashes[0]);
    choose(&w);
    traffic_begin(w.traffic, w.view->service[0].endpoint[0]);
    for (int i = 0; i < 100; i++)
        assert_int_equal(choose(&w), place_of(&w, w.view->service[0].endpoint[1]));
    tear_down_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peak_ewma_keeps_away_from_who_is_slow),
        cmocka_unit_test(peak_ewma_does_not_forget_how_far_somebody_is),
        cmocka_unit_test(peak_ewma_begins_with_the_nearest),
        cmocka_unit_test(peak_ewma_asks_each_once_before_it_judges),
        cmocka_unit_test(who_asks_again_under_an_older_view_changes_nothing_for_others),
        cmocka_unit_test(a_fast_refusal_attracts_nothing),
        cmocka_unit_test(who_cannot_be_reached_or_is_late_attracts_nothing_either),
        cmocka_unit_test(a_client_that_leaves_at_once_is_no_fast_answer),
        cmocka_unit_test(round_robin_goes_round_and_on_over_changes),
        cmocka_unit_test(random_is_even),
        cmocka_unit_test(a_new_instance_gets_a_share_that_rises),
        cmocka_unit_test(all_new_ones_share_as_all_old_ones_do),
        cmocka_unit_test(a_key_stays_where_it_is_and_on_every_agent),
        cmocka_unit_test(the_keys_of_who_fails_move_and_come_back),
        cmocka_unit_test(where_hardly_anybody_is_well_a_key_stays_too),
        cmocka_unit_test(a_retry_goes_to_the_next_on_the_ring),
        cmocka_unit_test(without_its_key_a_request_goes_where_few_are_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
