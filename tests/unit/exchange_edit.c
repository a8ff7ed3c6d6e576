/* What a route edits reaches the application, and nobody else: rewrite, requestHeaders, responseHeaders. */
#include "exchange/edit.h"
#include "exchange_world.h"

#define CART                                                                                                 \
    "  cart:\n"                                                                                              \
    "    protocol: http\n"                                                                                   \
    "    failover: [{service: cart-dr}]\n"                                                                   \
    "    routes:\n"                                                                                          \
    "      - name: beta\n"                                                                                   \
    "        match: [{path: {prefix: /cart}, headers: {x-beta: {exact: \"1\"}}}]\n"                          \
    "        rewrite: {prefix: /v2/cart}\n"                                                                  \
    "        requestHeaders: {set: {x-env: prod, x-two: b}, remove: [X-Debug]}\n"                            \
    "        responseHeaders: {set: {cache-control: no-store}, remove: [server]}\n"                          \
    "      - {name: rest}\n"
static const char edits_text[] =
    "policy: v1\nmesh: m.example\nversion: 3\nservices:\n" CART "  cart-dr:\n"
    "    protocol: http\n"
    "    routes: [{name: own, requestHeaders: {set: {x-own: \"1\"}}}]\n"
    "intentions:\n"
    "  - {name: front, from: [web], to: cart, allow: [{paths: [\"/cart/*\"]}]}\n" /* of the path as it was asked for */
    "  - {name: dr, from: [web], to: cart-dr}\n";

static struct http_head beta_request(const char *path)
{
    struct http_head h = request("GET", path);
    h.query = bytes_str("q=1");
    static const char *const headers[][2] = {
        {"x-debug", "1"}, {"x-beta", "1"}, {"x-env", "mine"}, {"x-debug", "2"}, {"x-env", "mine too"}};
    for (size_t i = 0; i < 5; i++)
        h.header[h.header_count++] = (struct http_header){bytes_str(headers[i][0]), bytes_str(headers[i][1])};
    return h;
}

static void begin_beta(struct story *t, enum exchange_role role, size_t agents, const char *path)
{
    struct exchange_ask ask = ask_http(t);
    struct http_head h = beta_request(path);
    use_policy(t, edits_text);
    t->front.tells_headers = t->back.tells_headers = true;
    begin_with(t, role, agents, &ask, &h);
    (void)has_news(t);
}

static void answer(struct story *t)
{
    struct http_head h = {.is_response = true, .status = 200, .minor = 1, .header_count = 2};
    h.header[0] = (struct http_header){bytes_str("server"), bytes_str("x/1")};
    h.header[1] = (struct http_header){bytes_str("cache-control"), bytes_str("max-age=1")};
    exchange_head(&t->x, &h, NULL, t->now_us);
}

/* The far agent finds the route in its own policy, by the request as it was asked for. */
static void the_far_agent_edits_both_ways(void **state)
{
    struct story *t = *state;
    begin_beta(t, EXCHANGE_FAR, 0, "/cart/7");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    expect_log(t, "back head GET /v2/cart/7 x-beta=1 x-env=prod x-two=b\nfront resume\n");
    assert_true(bytes_eq_str(t->x.request.path,
                             "/cart/7")); /* and is judged, should an overlay come, as it was asked */
    assert_int_equal(t->x.request.header_count, 5);
    answer(t);
    expect_log(t, "front head 200 cache-control=no-store\n");
}

static void an_instance_of_this_host_gets_it_edited(void **state)
{
    struct story *t = *state;
    begin_beta(t, EXCHANGE_NEAR, 0, "/cart");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    expect_log(t, "back head GET /v2/cart x-beta=1 x-env=prod x-two=b\nfront resume\n");
    answer(t);
    expect_log(t, "front head 200 cache-control=no-store\n");
}

static void another_agent_gets_it_as_it_was_asked(void **state)
{
    struct story *t = *state;
    begin_beta(t, EXCHANGE_NEAR, 1, "/cart/7");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    expect_log(
        t, "back head GET /cart/7 x-debug=1 x-beta=1 x-env=mine x-debug=2 x-env=mine too\nfront resume\n");
    answer(t);
    expect_log(t, "front head 200 server=x/1 cache-control=max-age=1\n");
}

/* What the mesh itself answers is no answer of the application. */
static void refusals_are_not_edited(void **state)
{
    struct story *t = *state;
    begin_beta(t, EXCHANGE_FAR, 0, "/cart/7");
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    assert_int_equal(t->x.facts.status, 503);
    assert_null(strstr(buf_str(&t->log), "cache-control"));
    assert_non_null(strstr(buf_str(&t->log), "x-starling-flag=UF"));
}

/* The path that the application gets is in no rule, and needs none; the one that was asked for is. */
static void intentions_are_of_the_path_as_asked(void **state)
{
    struct story *t = *state;
    static const enum exchange_role roles[] = {EXCHANGE_NEAR, EXCHANGE_FAR};
    for (size_t i = 0; i < 2; i++) {
        begin_beta(t, roles[i], 0, "/v2/cart/7");
        assert_int_equal(t->x.state, EXCHANGE_OVER);
        assert_int_equal(t->x.facts.flag, FLAG_UAEX);
        exchange_fini(&t->x);
        memset(&t->x, 0, sizeof t->x);
    }
}

/* Another service's endpoint answers: the route is that of the service asked for, if our own policy lets ours take its place.
 * What the caller's agent says of it is not believed beyond that. */
static void a_failover_is_edited_as_what_was_asked_for(void **state)
{
    struct story *t = *state;
    static const struct {
        const char *service, *asked, *sent, *path, *x_own;
    } table[] = {
        {"cart-dr", "cart", "/cart/7", "/v2/cart/7", NULL},
        {"cart-dr", "", "/cart/7", "/cart/7", "1"},
        {"cart-dr", "nobody", "/cart/7", "/cart/7", "1"},
        {"cart-dr", "cart", "/stock", "/stock", "1"}, /* web may not ask cart for that: nobody stood in */
        {"cart", "cart-dr", "/cart/7", "/v2/cart/7", NULL}}; /* cart is no failover of it */
    use_policy(t, edits_text);
    struct view *v = make_view(t->policy, 0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct exchange_ask ask = ask_http(t);
        struct http_head h = beta_request(table[i].sent);
        struct decision d;
        struct edited e;
        ask.service = bytes_str(table[i].service);
        ask.asked = bytes_str(table[i].asked);
        decide_far(&d, v, &ask, &h);
        assert_true(d.allowed);
        assert_string_equal(policy_service_name(d.service), table[i].service);
        assert_int_equal(edit_request(&e, d.asked, d.route, ask.caller, &h), ERR_OK);
        assert_true(bytes_eq_str(e.head.path, table[i].path));
        assert_int_equal(http_head_find(&e.head, "x-own") != NULL, table[i].x_own != NULL);
        edited_fini(&e);
    }
    view_unref(v);
}

/* Both ways a head has HTTP_HEADERS_MAX headers; what would have more is refused, not cut. */
static void a_head_never_has_too_many_headers(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    for (size_t more = 0; more < 2; more++) {
        struct http_head h = beta_request("/cart/7");
        while (h.header_count < HTTP_HEADERS_MAX + 4 - 2 - 1 + more && h.header_count < HTTP_HEADERS_MAX)
            h.header[h.header_count++] = (struct http_header){bytes_str("x"), bytes_str("y")};
        if (more) /* of the five only x-beta is left, and two are set */
            h.header[0].name = h.header[3].name = h.header[2].name = h.header[4].name = bytes_str("x");
        use_policy(t, edits_text);
        begin_with(t, EXCHANGE_FAR, 0, &ask, &h);
        (void)has_news(t);
        exchange_back_ready(&t->x, &t->back.side, t->now_us);
        assert_int_equal(t->x.state, more ? EXCHANGE_OVER : EXCHANGE_SENDING);
        assert_int_equal(t->x.facts.status, more ? 431 : 0);
        (void)has_news(t);
        exchange_fini(&t->x);
        memset(&t->x, 0, sizeof t->x);
    }
    begin_beta(t, EXCHANGE_FAR, 0, "/cart/7");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    struct http_head h = {.is_response = true, .status = 200, .minor = 1};
    while (h.header_count < HTTP_HEADERS_MAX)
        h.header[h.header_count++] = (struct http_header){bytes_str("x"), bytes_str("y")};
    exchange_head(&t->x, &h, NULL, t->now_us);
    assert_int_equal(t->x.facts.status, 502);
    assert_int_equal(t->x.facts.flag, FLAG_UO);
    (void)has_news(t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(the_far_agent_edits_both_ways),         T(an_instance_of_this_host_gets_it_edited),
        T(another_agent_gets_it_as_it_was_asked), T(refusals_are_not_edited),
        T(intentions_are_of_the_path_as_asked),   T(a_failover_is_edited_as_what_was_asked_for),
        T(a_head_never_has_too_many_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
