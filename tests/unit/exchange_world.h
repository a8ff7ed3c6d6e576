/* One exchange between two fake sides that write down what they are told. */
#ifndef TEST_EXCHANGE_WORLD_H
#define TEST_EXCHANGE_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "exchange/decide.h"
#include "exchange_fake.h"
#include "view_world.h"

static const char policy_text[] =
    "policy: v1\nmesh: m.example\nversion: 3\n"
    "services:\n"
    "  cart:\n"
    "    protocol: http\n"
    "    port: 8080\n"
    "    timeouts: {connect: 2s, request: 10s}\n"
    "    subsets: {v1: {version: \"1\"}, v2: {version: \"2\"}}\n"
    "    routes:\n"
    "      - {name: two, match: [{path: {prefix: /two}}], to: [{subset: v2}]}\n"
    "      - {name: gets, match: [{method: GET}, {method: POST}, {method: HEAD}], to: [{subset: v1}]}\n"
    "  cart.old: {protocol: http}\n"
    "  db: {protocol: tcp}\n"
    "  open: {protocol: http, unmatched: audit}\n"
    "intentions:\n"
    "  - {name: front, from: [web], to: cart, allow: [{}]}\n"
    "  - {name: front-old, from: [web], to: cart.old, allow: [{}]}\n"
    "  - {name: no-admin, from: [\"*\"], to: cart, deny: [{paths: [\"/admin\"]}]}\n"
    "  - {name: no-trial, from: [web], to: cart, mode: audit, deny: [{paths: [\"/trial\"]}]}\n"
    "  - {name: soon, from: [batch], to: cart, mode: audit, allow: [{paths: [\"/trial\"]}]}\n"
    "  - {name: store, from: [web], to: db}\n";

struct story {
    struct buf log;
    struct list news;
    struct policy *policy;
    struct traffic_shared *shared;
    struct traffic *traffic;
    struct view *view;
    struct exchange x;
    struct fake front, back, other;
    struct credential web_only;
    mono_us now_us; /* virtual; stories move it */
};

static struct view *make_view(struct policy *p, size_t agents)
{
    struct node_id self = {{200}};
    struct view_builder *b = view_builder_new("m.example", &self, NULL);
    struct addr at;
    for (size_t i = 0; i < agents; i++) {
        struct record r = {
            .credential = {.node = bytes_str(i ? "host-b" : "host-a"), .id = {{(uint8_t)(i + 1)}}}};
        r.service[r.service_count++] =
            (struct record_service){.name = bytes_str("cart"),
                                    .port = 80,
                                    .protocol = PROTOCOL_HTTP,
                                    .healthy = true,
                                    .labels = {.count = 1, .at = {{bytes_str("version"), bytes_str("1")}}}};
        r.service[r.service_count++] = (struct record_service){
            .name = bytes_str("db"), .port = 81, .protocol = PROTOCOL_TCP, .healthy = true};
        assert_true(addr_of_ip(&at, "10.0.0.1", 7400));
        add_member(b, &r, &at, true, false);
    }
    assert_true(addr_of_ip(&at, "127.0.0.1", 8080));
    if (agents == 0) {
        struct labels v1 = {.count = 1, .at = {{bytes_str("version"), bytes_str("1")}}};
        assert_int_equal(view_builder_local(b, bytes_str("cart"), &at, PROTOCOL_HTTP, &v1, true), ERR_OK);
        assert_int_equal(view_builder_local(b, bytes_str("db"), &at, PROTOCOL_TCP, NULL, true), ERR_OK);
    }
    static uint64_t serial;
    return view_builder_finish(b, p, 1, ++serial);
}

static int set_up(void **state)
{
    struct story *t = calloc(1, sizeof *t);
    struct complaints c = {.file = "p.yaml"};
    assert_non_null(t);
    if (policy_compile(&t->policy, bytes_str(policy_text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&c.text);
    list_init(&t->news);
    t->now_us = 1000 * 1000;
    t->shared = traffic_shared_new(&(struct shorthash_key){{7}});
    t->traffic = traffic_new(t->shared, 7);
    assert_non_null(t->traffic);
    t->front = (struct fake){.side = {.ops = &fake_ops}, .name = "front", .log = &t->log, .room = 1000};
    t->back = (struct fake){.side = {.ops = &fake_ops}, .name = "back", .log = &t->log, .room = 1000};
    t->other = (struct fake){.side = {.ops = &fake_ops}, .name = "other", .log = &t->log, .room = 1000};
    t->web_only.service[t->web_only.service_count++] = bytes_str("web");
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct story *t = *state;
    exchange_fini(&t->x);
    assert_true(list_is_empty(&t->news));
    buf_fini(&t->log);
    assert_int_equal(t->shared->replay_bytes, 0);
    traffic_free(t->traffic);
    traffic_shared_free(t->shared);
    policy_unref(t->policy);
    free(t);
    return 0;
}

/* Another policy than the common one. Before the exchange begins. */
static inline void use_policy(struct story *t, const char *text)
{
    struct complaints c = {.file = "p.yaml"};
    policy_unref(t->policy);
    t->policy = NULL;
    if (policy_compile(&t->policy, bytes_str(text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&c.text);
}

static struct http_head request(const char *method, const char *path)
{
    return (struct http_head){
        .method = bytes_str(method), .authority = bytes_str("cart"), .path = bytes_str(path), .minor = 1};
}

static struct exchange_ask ask_http(struct story *t)
{
    return (struct exchange_ask){.protocol = PROTOCOL_HTTP,
                                 .caller = bytes_str("web"),
                                 .service = bytes_str("cart"),
                                 .vouch = &t->web_only};
}

static void begin_with(struct story *t, enum exchange_role role, size_t agents,
                       const struct exchange_ask *ask, struct http_head *head)
{
    struct view *v = make_view(t->policy, agents);
    exchange_init(&t->x, role, v, t->traffic, &t->front.side, &t->news, 0);
    view_unref(v);
    exchange_start(&t->x, ask, head, 1000);
}

static inline void begin(struct story *t, enum exchange_role role, size_t agents, const char *method,
                         const char *path)
{
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request(method, path);
    begin_with(t, role, agents, &ask, &h);
}

/* The pause before a retry, if there is one, passes. */
__attribute__((unused)) static void wait_for_retry(struct story *t)
{
    if (t->x.state == EXCHANGE_PAUSING) {
        assert_int_equal(exchange_tick_at(&t->x), t->x.times.resume_at);
        t->now_us = t->x.times.resume_at * 1000;
        exchange_tick(&t->x, t->x.times.resume_at);
    }
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
}

static inline bool has_news(struct story *t)
{
    bool listed = t->x.news.next != NULL;
    list_remove(&t->x.news);
    return listed;
}

static inline void expect_log(struct story *t, const char *want)
{
    assert_string_equal(buf_str(&t->log), want);
    buf_consume(&t->log, t->log.len);
}

#endif
