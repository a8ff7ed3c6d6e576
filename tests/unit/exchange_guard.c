/* What an exchange is refused by beside intentions: limits of its head, circuit breakers, rate limits. */
#include "exchange_world.h"

static const char limits_text[] =
    "policy: v1\nmesh: m.example\nversion: 3\n"
    "defaults: {limits: {headers: 3, headerBytes: 1KiB}, circuitBreaker: {maxConnections: 2, maxPending: 1, "
    "maxRequests: 2}}\n"
    "services:\n"
    "  cart:\n"
    "    protocol: http\n"
    "    unmatched: audit\n"
    "    routes:\n"
    "      - {name: buy, match: [{method: POST}]}\n"
    "      - {name: rest}\n"
    "    rateLimits:\n"
    "      - {scope: instance, per: source, rate: 2/s}\n"
    "      - {scope: instance, route: buy, per: {header: x-tenant}, rate: 1/m}\n"
    "  db: {protocol: tcp, unmatched: audit, rateLimits: [{scope: instance, rate: 1/h}]}\n";

static void begin_limited(struct story *t, enum exchange_role role, size_t agents, struct http_head *h)
{
    struct exchange_ask ask = ask_http(t);
    begin_with(t, role, agents, &ask, h);
}

static uint32_t under_way(struct story *t, const char *service, enum breaker_kind kind)
{
    return breaker_count(t->shared->breakers, bytes_str(service), kind);
}

static void enter_others(struct story *t, const char *service, enum breaker_kind kind, int count)
{
    for (int i = 0; i < count; i++)
        assert_true(breaker_enter(breaker_of(t->shared->breakers, bytes_str(service)), kind, 1000));
}

static void a_head_over_a_limit_is_431_and_names_it(void **state)
{
    struct story *t = *state;
    struct http_head many = request("GET", "/"), long_one = request("GET", "/");
    static const char blanks[1024];
    use_policy(t, limits_text);
    for (int i = 0; i < 4; i++)
        many.header[many.header_count++] = (struct http_header){bytes_str("x"), bytes_str("y")};
    begin_limited(t, EXCHANGE_NEAR, 1, &many);
    expect_log(
        t,
        "front head 431 UO [431 3 limits.headers more than the 3 headers that cart takes (limits.headers)]\n"
        "front data more than the 3 headers that cart takes (limits.headers)\nfront end\n"
        "front finish cut\n");
    assert_int_equal(t->x.facts.over, OVER_HEAD);
    assert_int_equal(under_way(t, "cart", BREAKER_REQUESTS), 0);
    exchange_fini(&t->x);
    /* GET / HTTP/1.1, Host: cart, x: ..., an empty line: 1,024 bytes with a value of 987 */
    long_one.header[long_one.header_count++] = (struct http_header){bytes_str("x"), bytes_of(blanks, 989)};
    begin_limited(t, EXCHANGE_NEAR, 1, &long_one);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    exchange_fini(&t->x);
    struct http_head longer = request("GET", "/");
    buf_add(&longer.text, blanks, sizeof blanks); /* as the reader leaves it: slices into one block */
    longer.header[longer.header_count++] = (struct http_header){bytes_str("x"), bytes_of(blanks, 990)};
    begin_limited(t, EXCHANGE_NEAR, 1, &longer);
    assert_int_equal(t->x.facts.status, 431);
    assert_string_equal(t->x.facts.rule, "limits.headerBytes");
}

static void a_full_breaker_is_503_uo_and_empties_with_the_answers(void **state)
{
    struct story *t = *state;
    use_policy(t, limits_text);
    struct http_head h = request("GET", "/"), again = h;
    enter_others(t, "cart", BREAKER_REQUESTS, 1);
    begin_limited(t, EXCHANGE_NEAR, 2, &h);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_int_equal(under_way(t, "cart", BREAKER_REQUESTS), 2);
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us); /* another try is the same request */
    assert_int_equal(under_way(t, "cart", BREAKER_REQUESTS), 2);
    exchange_fini(&t->x);
    assert_int_equal(under_way(t, "cart", BREAKER_REQUESTS), 1);
    enter_others(t, "cart", BREAKER_REQUESTS, 1);
    buf_consume(&t->log, t->log.len);
    begin_limited(t, EXCHANGE_NEAR, 1, &again);
    expect_log(
        t,
        "front head 503 UO [503 3 circuitBreaker.maxRequests 2 requests are under way to cart from this "
        "agent "
        "already (circuitBreaker.maxRequests)]\nfront data 2 requests are under way to cart from this agent "
        "already (circuitBreaker.maxRequests)\nfront end\nfront finish cut\n");
    assert_int_equal(t->x.facts.over, OVER_BREAKER);
    assert_int_equal(under_way(t, "cart", BREAKER_REQUESTS), 2);
}

/* A TCP connection and an upgrade each have a connection of the application to themselves. */
static void what_lasts_counts_as_a_connection(void **state)
{
    struct story *t = *state;
    use_policy(t, limits_text);
    struct exchange_ask ask = {.protocol = PROTOCOL_TCP,
                               .caller = bytes_str("web"),
                               .service = bytes_str("db"),
                               .vouch = &t->web_only};
    begin_with(t, EXCHANGE_NEAR, 1, &ask, NULL);
    assert_int_equal(under_way(t, "db", BREAKER_CONNECTIONS), 1);
    assert_int_equal(under_way(t, "db", BREAKER_REQUESTS), 0);
    exchange_fini(&t->x);
    assert_int_equal(under_way(t, "db", BREAKER_CONNECTIONS), 0);
    struct http_head h = request("GET", "/");
    h.upgrade = bytes_str("websocket");
    enter_others(t, "cart", BREAKER_CONNECTIONS, 2);
    begin_limited(t, EXCHANGE_NEAR, 1, &h);
    assert_string_equal(t->x.facts.rule, "circuitBreaker.maxConnections");
}

static void who_waits_is_pending_until_the_connection_is_there(void **state)
{
    struct story *t = *state;
    use_policy(t, limits_text);
    struct http_head h = request("GET", "/"), again = h;
    begin_limited(t, EXCHANGE_NEAR, 1, &h);
    assert_int_equal(under_way(t, "cart", BREAKER_PENDING), 0); /* nobody said that it must wait */
    exchange_waiting(&t->x);
    assert_int_equal(under_way(t, "cart", BREAKER_PENDING), 1);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    assert_int_equal(under_way(t, "cart", BREAKER_PENDING), 0);
    exchange_fini(&t->x);
    buf_consume(&t->log, t->log.len);
    enter_others(t, "cart", BREAKER_PENDING, 1);
    begin_limited(t, EXCHANGE_NEAR, 1, &again);
    exchange_waiting(&t->x);
    assert_int_equal(t->x.facts.status, 503);
    assert_int_equal(t->x.facts.flag, FLAG_UO);
    assert_string_equal(t->x.facts.rule, "circuitBreaker.maxPending");
    assert_int_equal(under_way(t, "cart", BREAKER_REQUESTS), 0);
    assert_int_equal(under_way(t, "cart", BREAKER_PENDING), 1);
}

static int let_in(struct story *t, enum exchange_role role, const char *method, const char *tenant, int times)
{
    int count = 0;
    for (int i = 0; i < times; i++) {
        struct http_head h = request(method, "/");
        h.header[h.header_count++] = (struct http_header){bytes_str("x-tenant"), bytes_str(tenant)};
        exchange_fini(&t->x);
        buf_consume(&t->log, t->log.len);
        begin_limited(t, role, 0, &h);
        count += t->x.state == EXCHANGE_SEEKING;
    }
    return count;
}

static void a_rate_limit_in_front_of_the_application_is_429_rl(void **state)
{
    struct story *t = *state;
    use_policy(t, limits_text);
    struct http_head h = request("GET", "/");
    t->front.tells_headers = true;
    begin_limited(t, EXCHANGE_FAR, 0, &h);
    assert_int_equal(let_in(t, EXCHANGE_FAR, "GET", "a", 2), 1);
    expect_log(
        t, "front head 429 content-type=text/plain; charset=utf-8 "
           "x-starling-reason=rateLimits[0] of cart grants 2/s for each source, and 2 at once "
           "x-starling-flag=RL "
           "x-starling-rule=rateLimits[0] x-starling-policy=3 retry-after=1 RL [429 3 rateLimits[0] after=1 "
           "rateLimits[0] of cart grants 2/s for each source, and 2 at once]\n"
           "front data rateLimits[0] of cart grants 2/s for each source, and 2 at once\nfront end\n"
           "front finish cut\n");
    assert_int_equal(t->x.facts.over, OVER_RATE);
    assert_string_equal(t->x.facts.rule, "rateLimits[0]");
}

/* The local short way has the same limits. And a request that one limit refuses has taken nothing from the others. */
static void all_limits_grant_it_or_none_is_charged(void **state)
{
    struct story *t = *state;
    use_policy(t, limits_text);
    struct http_head h = request("POST", "/");
    begin_limited(t, EXCHANGE_NEAR, 0, &h); /* POST, no tenant: one of 2/s, and one of 1/m */
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_int_equal(let_in(t, EXCHANGE_NEAR, "POST", "", 50), 0);
    assert_string_equal(t->x.facts.rule, "rateLimits[1]");
    assert_int_equal(let_in(t, EXCHANGE_NEAR, "POST", "a", 1),
                     1); /* the second of 2/s: not one of the fifty took it */
    assert_int_equal(let_in(t, EXCHANGE_NEAR, "GET", "b", 1), 0);
    assert_string_equal(t->x.facts.rule, "rateLimits[0]");
}

static void a_tcp_connection_over_its_rate_is_closed(void **state)
{
    struct story *t = *state;
    use_policy(t, limits_text);
    struct exchange_ask ask = {.protocol = PROTOCOL_TCP,
                               .caller = bytes_str("web"),
                               .service = bytes_str("db"),
                               .vouch = &t->web_only};
    begin_with(t, EXCHANGE_FAR, 0, &ask, NULL);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    exchange_fini(&t->x);
    buf_consume(&t->log, t->log.len);
    begin_with(t, EXCHANGE_FAR, 0, &ask, NULL);
    expect_log(
        t, "front head RL [429 3 rateLimits[0] after=3600 rateLimits[0] of db grants 1/h, and 1 at once]\n"
           "front end\nfront finish cut\n");
    assert_int_equal(t->x.facts.flag, FLAG_RL);
}

/* At the near agent: its client gets the far agent's status and when to come again. */
static void a_rate_limit_afar_is_told_to_the_client(void **state)
{
    struct story *t = *state;
    struct http_head h = request("GET", "/");
    struct mesh_verdict v = {
        .refused = 1, .flag = bytes_str("RL"), .reason = bytes_str("429 3 rateLimits[0] after=7 too fast")};
    use_policy(t, limits_text);
    begin_limited(t, EXCHANGE_NEAR, 1, &h);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    buf_consume(&t->log, t->log.len);
    t->front.tells_headers = true;
    exchange_head(&t->x, NULL, &v, t->now_us);
    expect_log(
        t,
        "front head 429 content-type=text/plain; charset=utf-8 x-starling-reason=too fast x-starling-flag=RL "
        "x-starling-rule=rateLimits[0] x-starling-policy=3 retry-after=7 RL [429 3 rateLimits[0] after=7 too "
        "fast]\n"
        "front data too fast\nfront end\nback finish cut\nfront finish cut\n");
}

static void ask_and_answer(struct story *t, mono_ms now, bool well)
{
    struct http_head h = request("GET", "/"),
                     answer = {.is_response = true, .status = well ? 200 : 500, .minor = 1};
    struct exchange_ask ask = ask_http(t);
    struct view *v = make_view(t->policy, 2);
    exchange_fini(&t->x);
    buf_consume(&t->log, t->log.len);
    exchange_init(&t->x, EXCHANGE_NEAR, v, t->traffic, &t->front.side, &t->news, now * 1000);
    view_unref(v);
    exchange_start(&t->x, &ask, &h, now);
    if (strcmp(t->x.endpoint->node->name, "host-b") == 0)
        answer.status = 200;
    exchange_end(&t->x, FROM_FRONT, NULL, now * 1000);
    exchange_back_ready(&t->x, &t->back.side, now * 1000);
    exchange_head(&t->x, &answer, NULL, now * 1000);
}

static const struct view_endpoint *host_a(struct story *t, struct view *v)
{
    const struct view_service *s = view_service(v, bytes_str("cart"));
    assert_int_equal(s->count, 2);
    (void)t;
    return s->endpoint[strcmp(s->endpoint[0]->node->name, "host-a") != 0];
}

/* One of two answers 500: ejected after five in a row, back after one good answer. What counts is the answer's head. */
static void who_answers_badly_is_ejected_and_returns_by_a_probe(void **state)
{
    struct story *t = *state;
    struct view *v = make_view(t->policy, 2);
    const struct view_endpoint *a = host_a(t, v);
    struct outliers *o = t->shared->outliers;
    use_policy(t, "policy: v1\nmesh: m.example\nversion: 3\ndefaults: {retry: {attempts: 0}}\n"
                  "services: {cart: {protocol: http, unmatched: audit}}\n");
    int asked = 0;
    while (outlier_standing(o, a, 1000) == OUTLIER_IN && asked++ < 100)
        ask_and_answer(t, 1000, false);
    assert_in_range(asked, 5, 99);
    assert_true(t->x.facts.has_outlier_news);
    assert_int_equal(t->x.facts.ejections[OUTLIER_CONSECUTIVE], 1);
    assert_int_equal(t->shared->ejections, 1);
    assert_true(traffic_ejected_until(t->shared, a, 1000) == 31000);
    for (asked = 0; !t->x.tries.is_probe && t->x.facts.returns == 0 && asked < 100; asked++)
        ask_and_answer(t, 31000, true);
    assert_in_range(asked, 1, 99);
    assert_int_equal(t->x.facts.returns, 1);
    assert_int_equal(outlier_standing(o, a, 31000), OUTLIER_IN);
    assert_int_equal(traffic_ejected_until(t->shared, a, 31000), 0);
    view_unref(v);
}

/* A probe whose client leaves says nothing of the instance: the next request may be one. */
static void a_probe_without_an_answer_is_made_again(void **state)
{
    struct story *t = *state;
    struct view *v = make_view(t->policy, 2);
    const struct view_endpoint *a = host_a(t, v);
    use_policy(t, "policy: v1\nmesh: m.example\nversion: 3\ndefaults: {retry: {attempts: 0}}\n"
                  "services: {cart: {protocol: http, unmatched: audit}}\n");
    for (int i = 0; i < 100 && outlier_standing(t->shared->outliers, a, 1000) == OUTLIER_IN; i++)
        ask_and_answer(t, 1000, false);
    for (int i = 0; i < 100; i++) {
        struct exchange_ask ask = ask_http(t);
        struct http_head h = request("GET", "/");
        exchange_fini(&t->x);
        struct view *again = make_view(t->policy, 2);
        exchange_init(&t->x, EXCHANGE_NEAR, again, t->traffic, &t->front.side, &t->news, 31000 * 1000);
        view_unref(again);
        exchange_start(&t->x, &ask, &h, 31000);
        if (t->x.tries.is_probe)
            break;
    }
    assert_true(t->x.tries.is_probe);
    assert_int_equal(outlier_standing(t->shared->outliers, a, 31000), OUTLIER_PROBING);
    exchange_lost(&t->x, FROM_FRONT, LOSS_CUT, 31000 * 1000);
    assert_int_equal(outlier_standing(t->shared->outliers, a, 31000), OUTLIER_DUE);
    view_unref(v);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_head_over_a_limit_is_431_and_names_it),
        TEST(a_full_breaker_is_503_uo_and_empties_with_the_answers),
        TEST(what_lasts_counts_as_a_connection),
        TEST(who_waits_is_pending_until_the_connection_is_there),
        TEST(a_rate_limit_in_front_of_the_application_is_429_rl),
        TEST(all_limits_grant_it_or_none_is_charged),
        TEST(a_tcp_connection_over_its_rate_is_closed),
        TEST(a_rate_limit_afar_is_told_to_the_client),
        TEST(who_answers_badly_is_ejected_and_returns_by_a_probe),
        TEST(a_probe_without_an_answer_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
