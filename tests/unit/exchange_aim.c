/* Whom a try is for: by the key of the request, and of a service that stands in, if the caller may call it. */
#include "exchange_world.h"
#include "view_world.h"

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

/* cart counts as healthy wherever it is; db has an instance on each of the same hosts, other no instance. */
static const char retrying[] =
    "policy: v1\nmesh: m.example\nversion: 3\n"
    "defaults: {outlierDetection: {consecutive5xx: 0, successRate: {below: 0%}},\n"
    "  retry: {attempts: 4, backoff: {base: 10ms, max: 10ms}, budget: {percent: 100, minPerSecond: 1000}}}\n"
    "services:\n"
    "  db: {protocol: tcp, failover: [{service: nobody}, {service: secret}, {service: dr}]}\n"
    "  nobody: {protocol: tcp}\n"
    "  secret: {protocol: tcp}\n"
    "  dr: {protocol: tcp}\n"
    "  lost: {protocol: tcp, failover: [{service: dr}]}\n"
    "intentions:\n"
    "  - {name: db, from: [web], to: db}\n"
    "  - {name: nobody, from: [web], to: nobody}\n"
    "  - {name: dr, from: [web], to: dr}\n"
    "  - {name: lost, from: [web], to: lost}\n";

static void add_service(struct record *r, const char *name)
{
    r->service[r->service_count++] = (struct record_service){
        .name = bytes_str(name), .port = 81, .protocol = PROTOCOL_TCP, .healthy = true};
}

/* So many instances of db, and one each of secret and dr. */
static void connect_to(struct story *t, const char *service, size_t count)
{
    struct node_id self = {{200}};
    struct view_builder *b = view_builder_new("m.example", &self, NULL);
    struct exchange_ask ask = {.protocol = PROTOCOL_TCP,
                               .caller = bytes_str("web"),
                               .service = bytes_str(service),
                               .vouch = &t->web_only};
    struct addr at;
    use_policy(t, retrying);
    assert_true(addr_of_ip(&at, "10.0.0.1", 7400));
    for (size_t i = 0; i <= count; i++) {
        char name[8];
        snprintf(name, sizeof name, "host-%zu", i);
        struct record r = {.credential = {.node = bytes_str(name), .id = {{(uint8_t)(i + 1)}}}};
        if (i < count) {
            add_service(&r, "db");
        } else {
            add_service(&r, "secret");
            add_service(&r, "dr");
        }
        add_member(b, &r, &at, true, false);
    }
    static uint64_t serial = 1000;
    struct view *v = view_builder_finish(b, t->policy, 1, ++serial);
    exchange_init(&t->x, EXCHANGE_NEAR, v, t->traffic, &t->front.side, &t->news, 0);
    view_unref(v);
    exchange_start(&t->x, &ask, NULL, 1000);
}

/* The try fails; "db 1", whom it was for, is added to the story. */
static void fail_with(struct story *t, struct buf *tries, enum err why)
{
    buf_addf(tries, "%s%s %u", tries->len ? ", " : "", t->x.endpoint->service, t->x.endpoint->node->id.b[0]);
    assert_int_equal(t->x.facts.failover, strcmp(t->x.endpoint->service, t->x.facts.service) != 0);
    (void)has_news(t);
    exchange_back_failed(&t->x, why, t->now_us);
    (void)has_news(t);
    if (t->x.state == EXCHANGE_PAUSING) {
        wait_for_retry(t);
        (void)has_news(t);
    }
}

/* All of the service, then who stands in and may be called, and only then the first again: never the one just tried. */
static void a_retry_goes_on_to_who_stands_in(void **state)
{
    struct story *t = *state;
    struct buf tries = {0};
    connect_to(t, "db", 1);
    while (t->x.state == EXCHANGE_SEEKING)
        fail_with(t, &tries, ERR_REFUSED);
    assert_string_equal(buf_str(&tries), "db 1, dr 2, db 1, dr 2, db 1");
    assert_int_equal(t->x.facts.flag, FLAG_URX);
    exchange_fini(&t->x);
    tries.len = 0;
    connect_to(t, "db", 2);
    while (t->x.state == EXCHANGE_SEEKING)
        fail_with(t, &tries, ERR_REFUSED);
    assert_true(strncmp(buf_str(&tries), "db 1, db 2, dr 3, ", 18) == 0 ||
                strncmp(buf_str(&tries), "db 2, db 1, dr 3, ", 18) == 0);
    buf_fini(&tries);
}

/* It is tried again while there is no other, and what is told at last is what became of it. */
static void the_only_one_that_stands_in_gets_its_retries(void **state)
{
    struct story *t = *state;
    struct buf tries = {0};
    connect_to(t, "lost", 0);
    while (t->x.state == EXCHANGE_SEEKING)
        fail_with(t, &tries, ERR_REFUSED);
    assert_string_equal(buf_str(&tries), "dr 1, dr 1, dr 1, dr 1, dr 1");
    assert_int_equal(t->x.facts.flag, FLAG_URX);
    assert_string_equal(t->x.service, "dr");
    buf_fini(&tries);
}

/* A link in its pause is no try: the first one stays with the service that was asked for. */
static void a_first_try_does_not_go_to_who_stands_in(void **state)
{
    struct story *t = *state;
    struct buf tries = {0};
    connect_to(t, "db", 2);
    for (int i = 0; i < 4; i++)
        fail_with(t, &tries, i < 3 ? ERR_AGAIN : ERR_REFUSED);
    assert_true(strcmp(buf_str(&tries), "db 1, db 2, db 2, dr 3") == 0 ||
                strcmp(buf_str(&tries), "db 2, db 1, db 1, dr 3") == 0);
    buf_fini(&tries);
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
        T(a_retry_goes_on_to_who_stands_in),
        T(the_only_one_that_stands_in_gets_its_retries),
        T(a_first_try_does_not_go_to_who_stands_in),
        T(the_key_of_a_request_decides),
        T(a_connection_is_placed_by_its_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
