/* Whom a try is for: by the key of the request, and of a service that stands in, if the caller may call it. */
#include "exchange_world.h"

static const char failing_over[] =
    "policy: v1\nmesh: m.example\nversion: 3\nservices:\n"
    "  shop: {protocol: http, failover: [{service: nobody}, {service: cart}], timeouts: {request: 7s}}\n"
    "  nobody: {protocol: http}\n"
    "  cart: {protocol: http, loadBalancer: {policy: ringHash, key: {header: x-user}}}\n"
    "  store: {protocol: tcp, failover: [{service: db}]}\n"
    "  db: {protocol: tcp, loadBalancer: {policy: maglev, key: source}}\n"
    "intentions:\n"
    "  - {name: shop, from: [web, batch], to: shop}\n"
    "  - {name: cart, from: [web], to: cart, allow: [{methods: [GET]}]}\n"
    "  - {name: nobody, from: [web], to: nobody}\n"
    "  - {name: store, from: [web], to: store}\n"
    "  - {name: db, from: [web], to: db}\n";

static void begin_for(struct story *t, size_t agents, const char *service, const char *caller,
                      const char *method, const char *user)
{
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request(method, "/");
    use_policy(t, failing_over);
    h.authority = ask.service = bytes_str(service);
    ask.caller = bytes_str(caller);
    t->web_only.service[0] = ask.caller;
    if (user)
        h.header[h.header_count++] = (struct http_header){bytes_str("x-user"), bytes_str(user)};
    begin_with(t, EXCHANGE_NEAR, agents, &ask, &h);
}

static void another_service_stands_in_for_one_without_instances(void **state)
{
    struct story *t = *state;
    begin_for(t, 2, "shop", "web", "GET", NULL);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_string_equal(t->x.service, "cart");
    assert_string_equal(t->x.endpoint->service, "cart");
    assert_string_equal(policy_service_name(t->x.asked), "shop");
    assert_string_equal(t->x.facts.service, "shop");
    assert_true(t->x.facts.failover);
    assert_int_equal(exchange_left_ms(&t->x, t->now_us / 1000),
                     7000); /* times are those of what was asked for */
    (void)has_news(t);
}

static void an_instance_on_this_host_stands_in_too(void **state)
{
    struct story *t = *state;
    begin_for(t, 0, "shop", "web", "GET", NULL);
    assert_string_equal(t->x.service, "cart");
    assert_int_equal(t->x.app.port, 8080);
    (void)has_news(t);
}

/* The intention of the service that stands in is asked, of this very request. */
static void who_may_not_call_the_stand_in_does_not_get_it(void **state)
{
    struct story *t = *state;
    begin_for(t, 2, "shop", "batch", "GET", NULL);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 503);
    assert_int_equal(t->x.facts.flag, FLAG_UH);
    assert_false(t->x.facts.failover);
    exchange_fini(&t->x);
    begin_for(t, 2, "shop", "web", "POST", NULL);
    assert_int_equal(t->x.facts.status, 503);
    buf_consume(&t->log, t->log.len);
    (void)has_news(t);
}

static void a_retry_stays_with_the_stand_in(void **state)
{
    struct story *t = *state;
    begin_for(t, 2, "shop", "web", "GET", NULL);
    const struct view_endpoint *first = t->x.endpoint;
    (void)has_news(t);
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_PAUSING);
    (void)has_news(t);
    t->now_us += 1000 * 1000;
    exchange_tick(&t->x, t->now_us / 1000);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_ptr_not_equal(t->x.endpoint, first);
    assert_string_equal(t->x.service, "cart");
    (void)has_news(t);
}

/* Its own balancer, by its own key. */
static void the_key_of_a_request_decides(void **state)
{
    struct story *t = *state;
    unsigned to_a = 0;
    for (int i = 0; i < 40; i++) {
        char user[24];
        uint8_t node[2];
        snprintf(user, sizeof user, "user-%d", i);
        for (int again = 0; again < 2; again++) {
            begin_for(t, 2, again ? "shop" : "cart", "web", "GET", user);
            node[again] = t->x.endpoint->node->id.b[0];
            (void)has_news(t);
            exchange_fini(&t->x);
        }
        assert_int_equal(node[0], node[1]);
        to_a += node[0] == 1;
    }
    assert_in_range(to_a, 8, 32);
}

static void a_connection_is_placed_by_its_caller(void **state)
{
    struct story *t = *state;
    uint8_t node = 0;
    for (int i = 0; i < 12; i++) {
        struct exchange_ask ask = {.protocol = PROTOCOL_TCP,
                                   .caller = bytes_str("web"),
                                   .service = bytes_str(i % 2 ? "db" : "store"),
                                   .vouch = &t->web_only};
        use_policy(t, failing_over);
        begin_with(t, EXCHANGE_NEAR, 2, &ask, NULL);
        assert_string_equal(t->x.service, "db");
        assert_true(i == 0 || t->x.endpoint->node->id.b[0] == node);
        node = t->x.endpoint->node->id.b[0];
        (void)has_news(t);
        exchange_fini(&t->x);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(another_service_stands_in_for_one_without_instances),
        T(an_instance_on_this_host_stands_in_too),
        T(who_may_not_call_the_stand_in_does_not_get_it),
        T(a_retry_stays_with_the_stand_in),
        T(the_key_of_a_request_decides),
        T(a_connection_is_placed_by_its_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
