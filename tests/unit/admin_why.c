/* `starling why` says what the data plane would do: each row is a question and the members of the answer that
 * it must hold. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "admin/why.h"
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
    "      - {name: beta, match: [{headers: {x-beta: {exact: \"1\"}}}], to: [{subset: v2}]}\n"
    "      - {name: split, match: [{path: {prefix: /split}}], to: [{subset: v1, weight: 9}, {subset: v2, "
    "weight: 1}]}\n"
    "      - {name: off, match: [{path: {prefix: /off}}], to: [{subset: v1, weight: 1}, {subset: v2, weight: "
    "0}]}\n"
    "      - {name: forged, match: [{headers: {x-forwarded-for: {present: true}}}], to: [{subset: v1}]}\n"
    "      - {name: items, match: [{path: {prefix: /items}}, {query: {q: {exact: \"1\"}}}], to: [{subset: "
    "v1}]}\n"
    "  db: {protocol: tcp}\n"
    "  ghost: {protocol: http}\n"
    "  shop: {protocol: http, failover: [{service: ghost}, {service: cart}]}\n"
    "  mall:\n"
    "    protocol: http\n"
    "    subsets: {v2: {version: \"2\"}}\n"
    "    failover: [{service: cart}]\n"
    "    routes: [{name: new, match: [{path: {prefix: /new}}], to: [{subset: v2}]}, {name: all}]\n"
    "  open: {protocol: http, unmatched: audit}\n"
    "intentions:\n"
    "  - {name: front, from: [web], to: cart}\n"
    "  - {name: jobs, from: [batch], to: cart}\n"
    "  - {name: to-ghost, from: [web], to: ghost}\n"
    "  - {name: to-shop, from: [web], to: shop}\n"
    "  - {name: to-mall, from: [web], to: mall}\n"
    "  - {name: no-admin, from: [\"*\"], to: cart, deny: [{paths: [\"/items/admin\"]}]}\n"
    "  - {name: no-trial, from: [web], to: cart, mode: audit, deny: [{paths: [\"/items/trial\"]}]}\n"
    "  - {name: store, from: [web], to: db}\n";

static struct view *view;
static struct credential web_only;

static struct view *make_view(bool with_policy)
{
    struct node_id self = {{200}};
    struct view_builder *b = view_builder_new("m.example", &self, NULL);
    struct policy *p = NULL;
    struct complaints c = {.file = "p.yaml"};
    struct record r = {.credential = {.node = bytes_str("host-b"), .id = {{1}}}};
    struct addr at;
    if (with_policy && policy_compile(&p, bytes_str(policy_text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    r.service[r.service_count++] =
        (struct record_service){.name = bytes_str("cart"),
                                .port = 80,
                                .protocol = PROTOCOL_HTTP,
                                .healthy = true,
                                .labels = {.count = 1, .at = {{bytes_str("version"), bytes_str("1")}}}};
    r.service[r.service_count++] =
        (struct record_service){.name = bytes_str("mall"),
                                .port = 81,
                                .protocol = PROTOCOL_HTTP,
                                .healthy = true,
                                .labels = {.count = 1, .at = {{bytes_str("version"), bytes_str("1")}}}};
    assert_true(addr_of_ip(&at, "10.0.0.1", 7400));
    add_member(b, &r, &at, true, false);
    assert_true(addr_of_ip(&at, "127.0.0.1", 8080));
    assert_int_equal(view_builder_local(b, bytes_str("db"), &at, PROTOCOL_TCP, NULL, true), ERR_OK);
    struct view *v = view_builder_finish(b, p, 1, 1);
    policy_unref(p);
    buf_fini(&c.text);
    return v;
}

static int set_up(void **state)
{
    (void)state;
    view = make_view(true);
    web_only = (struct credential){.service_count = 1, .service = {bytes_str("web")}};
    return view ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    view_unref(view);
    return 0;
}

/* `question` has single quotes where JSON has double ones. The answer, or what was told as a JSON text. */
static json_t *ask_at(const struct why_at *at, const char *question)
{
    struct buf text = {0}, told = {0};
    buf_add_str(&text, question);
    for (size_t i = 0; i < text.len; i++)
        text.at[i] = text.at[i] == '\'' ? '"' : text.at[i];
    json_t *q = json_loads(buf_str(&text), 0, NULL);
    assert_non_null(q);
    json_t *o = why_answer(at, q, &told);
    assert_true(o == NULL || told.len == 0);
    if (!o)
        o = json_string(buf_str(&told));
    json_decref(q);
    buf_fini(&text);
    buf_fini(&told);
    return o;
}

struct row {
    const char *question, *answer; /* members the answer must hold, as JSON with single quotes */
};

static void expect_at(const struct why_at *at, const struct row *row)
{
    struct buf text = {0};
    const char *key;
    json_t *want, *value, *got = ask_at(at, row->question);
    buf_add_str(&text, row->answer);
    for (size_t i = 0; i < text.len; i++)
        text.at[i] = text.at[i] == '\'' ? '"' : text.at[i];
    assert_non_null(want = json_loads(buf_str(&text), JSON_DECODE_ANY, NULL));
    char *said = json_dumps(got, JSON_ENCODE_ANY);
    assert_true(json_typeof(want) == json_typeof(got));
    json_object_foreach(want, key, value)
    {
        if (!json_equal(json_object_get(got, key), value))
            fail_msg("%s: %s should not be so in %s", row->question, key, said);
    }
    if (json_is_string(want) && !strstr(json_string_value(got), json_string_value(want)))
        fail_msg("%s: %s", row->question, said);
    free(said);
    json_decref(want);
    json_decref(got);
    buf_fini(&text);
}

static void expect_all(const struct view *v, const struct row *row, size_t count)
{
    const struct why_at at = {.view = v, .own = &web_only, .node = "host-a"};
    for (size_t i = 0; i < count; i++)
        expect_at(&at, &row[i]);
}
#define EXPECT_ALL(v, rows) expect_all(v, rows, sizeof(rows) / sizeof *(rows))

static void test_what_reaches_the_application(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{'from': 'web', 'to': 'cart', 'path': '/items/7'}",
         "{'decision': 'allow', 'rule': 'front', 'audited': false, 'audit_rule': null, 'service': 'cart', "
         "'route': "
         "'items', 'subset': ['v1'], 'status': null, 'flag': null, 'reason': null, "
         "'timeouts': {'connect_ms': 2000, 'request_ms': 10000, 'per_try_ms': 5000, 'idle_ms': 3600000, "
         "'stream_ms': 0}, "
         "'endpoints': [{'service': 'cart', 'node': 'host-b', 'address': '10.0.0.1:7400', 'labels': "
         "{'version': '1'}, "
         "'locality': '', 'standing': "
         "'candidate', 'ejected': null}]}"},
        {"{'from': 'web', 'to': 'cart', 'path': '/', 'query': 'q=1'}",
         "{'route': 'items', 'decision': 'allow'}"},
        {"{'from': 'web', 'to': 'cart', 'path': '/a/../items//7'}",
         "{'route': 'items', 'decision': 'allow'}"},
        {"{'from': 'web', 'to': 'db'}",
         "{'decision': 'allow', 'rule': 'store', 'route': 'default', 'status': null, 'reason': null, "
         "'endpoints': [{'service': 'db', 'node': 'host-a', 'address': '127.0.0.1:8080', 'labels': {}, "
         "'locality': '', "
         "'standing': "
         "'candidate', 'ejected': null}]}"},
        {"{'from': 'web', 'to': 'cart', 'path': '/items/trial'}",
         "{'decision': 'allow', 'rule': 'front', 'audited': true, 'audit_rule': 'no-trial'}"},
        {"{'from': '', 'to': 'open'}", "{'decision': 'allow', 'rule': 'unmatched', 'audited': true, "
                                       "'audit_rule': 'unmatched', 'status': 503}"},
        {"{'from': 'web', 'to': 'cart', 'path': '/off'}", "{'decision': 'allow', 'status': null}"},
    };
    EXPECT_ALL(view, rows);
}

static void test_a_service_is_found_as_a_client_finds_it(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{'from': 'web', 'to': 'cart.m.example', 'path': '/items'}",
         "{'service': 'cart', 'decision': 'allow'}"},
        {"{'from': 'web', 'to': 'CART.mesh:8080', 'path': '/items'}",
         "{'service': 'cart', 'decision': 'allow'}"},
        {"{'from': 'web', 'to': 'cart:99', 'path': '/items'}",
         "{'service': 'cart', 'decision': 'deny', 'status': 404, 'flag': 'NR', 'reason': 'cart is at port "
         "8080, not 99', "
         "'route': null, 'rule': 'front'}"},
        {"{'from': 'web', 'to': 'db.mesh'}",
         "{'decision': 'deny', 'status': 404, 'reason': 'db is not an http service'}"},
        {"{'from': 'web', 'to': 'nobody'}",
         "{'decision': 'deny', 'rule': null, 'audited': false, 'audit_rule': null, 'service': null, "
         "'status': 404, "
         "'flag': 'NR', 'reason': 'no service of this mesh is called nobody', 'route': null, 'subset': [], "
         "'endpoints': [], 'targets': [], 'timeouts': null}"},
    };
    EXPECT_ALL(view, rows);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{'from': '', 'to': 'cart', 'path': '/items'}",
         "{'decision': 'deny', 'rule': 'unmatched', 'status': 403, 'flag': 'UAEX', 'route': 'items'}"},
        {"{'from': 'web', 'to': 'cart', 'path': '/items/admin'}",
         "{'decision': 'deny', 'rule': 'no-admin', 'status': 403}"},
        /* The policy lets batch, but this host's credential speaks for web only. */
        {"{'from': 'batch', 'to': 'cart', 'path': '/items'}",
         "{'decision': 'deny', 'rule': 'identity', 'status': 403, 'flag': 'UAEX', "
         "'reason': 'the calling host\\u0027s credential does not speak for batch'}"},
        /* The policy's own no comes first, as it does on the way. */
        {"{'from': 'thief', 'to': 'cart', 'path': '/items'}", "{'decision': 'deny', 'rule': 'unmatched'}"},
        {"{'from': 'web', 'to': 'cart', 'path': '/'}", "{'decision': 'deny', 'rule': 'front', 'status': 404, "
                                                       "'flag': 'NR', 'reason': 'no route of cart matches', "
                                                       "'route': null, 'targets': [], 'timeouts': null}"},
        /* What only the mesh may say counts for no route. */
        {"{'from': 'web', 'to': 'cart', 'path': '/', 'headers': {'X-Forwarded-For': '10.0.0.1'}}",
         "{'decision': 'deny', 'status': 404}"},
        {"{'from': 'batch', 'to': 'db'}",
         "{'decision': 'deny', 'rule': 'unmatched', 'status': null, 'flag': 'UAEX'}"},
    };
    EXPECT_ALL(view, rows);
}

static void test_nobody_to_ask_is_told_beside_the_decision(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{'from': 'web', 'to': 'ghost'}",
         "{'decision': 'allow', 'rule': 'to-ghost', 'status': 503, 'flag': 'UH', 'endpoints': []}"},
        {"{'from': 'web', 'to': 'cart', 'headers': {'X-Beta': '1'}}",
         "{'decision': 'allow', 'route': 'beta', 'status': 503, 'flag': 'NR', 'subset': ['v2'], 'endpoints': "
         "[]}"},
        /* One share in ten finds nobody. */
        {"{'from': 'web', 'to': 'cart', 'path': '/split'}",
         "{'decision': 'allow', 'route': 'split', 'status': 503, 'subset': ['v1', 'v2']}"},
    };
    EXPECT_ALL(view, rows);
}

#define CART_STANDS_IN                                                                                       \
    "'decision': 'allow', 'status': null, 'flag': null, 'reason': null, 'endpoints': [{'service': 'cart', "  \
    "'node': 'host-b', 'address': '10.0.0.1:7400', 'labels': {'version': '1'}, 'locality': '', "             \
    "'standing': 'candidate', 'ejected': null}]"

/* The first target's, as JSON. */
static void expect_stand_ins(const struct why_at *at, const char *question, const char *want)
{
    json_t *o = ask_at(at, question), *target = json_array_get(json_object_get(o, "targets"), 0);
    char *is = json_dumps(json_object_get(target, "standins"), JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
    assert_string_equal(is, want);
    free(is);
    json_decref(o);
}

static void test_who_stands_in_answers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* No instance at all, and the first of `failover` has none either. */
        {"{'from': 'web', 'to': 'shop', 'path': '/x'}", "{'service': 'shop', " CART_STANDS_IN "}"},
        /* The caller may not call the one that has an instance, not so. */
        {"{'from': 'web', 'to': 'shop', 'path': '/items/admin'}",
         "{'decision': 'allow', 'rule': 'to-shop', 'status': 503, 'flag': 'UH', 'endpoints': [], "
         "'reason': 'no healthy endpoint of shop: no instance of the service is known'}"},
        /* The subset is empty. */
        {"{'from': 'web', 'to': 'mall', 'path': '/new'}",
         "{'route': 'new', 'subset': ['v2'], " CART_STANDS_IN "}"},
        {"{'from': 'web', 'to': 'mall', 'path': '/new/../items/admin'}", "{'route': 'all', 'status': null}"},
    };
    const struct why_at at = {.view = view, .own = &web_only, .node = "host-a"};
    EXPECT_ALL(view, rows);
    expect_stand_ins(&at, "{'from': 'web', 'to': 'shop', 'path': '/x'}",
                     "[{\"healthy\": 0, \"instances\": 0, \"panic\": false, \"percent\": 0.0, \"service\": "
                     "\"ghost\"}, {\"healthy\": 1, \"instances\": 1, \"panic\": false, \"percent\": 100.0, "
                     "\"service\": \"cart\"}]");
    expect_stand_ins(&at, "{'from': 'web', 'to': 'shop', 'path': '/items/admin'}",
                     "[{\"healthy\": 0, \"instances\": 0, \"panic\": false, \"percent\": 0.0, \"service\": "
                     "\"ghost\"}]");
}

/* Who may not use the stand-in is told of the panic that he gets instead. */
static void test_the_ejected_are_stood_in_for(void **state)
{
    (void)state;
    const struct policy_outlier_detection rules = {
        .consecutive_5xx = 1, .ejection_base_ms = 5000, .ejection_max_ms = 5000, .ejection_max_percent = 100};
    static const struct row none = {"{'from': 'web', 'to': 'mall', 'path': '/'}", "{'reason': null}"},
                            out = {"{'from': 'web', 'to': 'mall', 'path': '/'}", "{" CART_STANDS_IN "}"};
    struct traffic_shared *shared = traffic_shared_new(&(struct shorthash_key){{7}});
    struct why_at at = {.view = view, .own = &web_only, .node = "host-a", .shared = shared, .mono = 1000};
    const struct view_endpoint *e = view_service(view, bytes_str("mall"))->endpoint[0];
    expect_at(&at, &none);
    (void)outlier_note(shared->outliers, outlier_key(shared->outliers, e), view, e, &rules, OUTLIER_FAILURE,
                       false, at.mono);
    atomic_fetch_add(&shared->ejections, 1);
    expect_at(&at, &out);
    json_t *o = ask_at(&at, "{'from': 'web', 'to': 'mall', 'path': '/items/admin'}");
    json_t *in = json_array_get(json_object_get(o, "endpoints"), 0);
    assert_string_equal(json_string_value(json_object_get(in, "service")), "mall");
    assert_string_equal(json_string_value(json_object_get(in, "standing")), "ejected");
    assert_true(json_is_null(json_object_get(o, "status")));
    json_decref(o);
    traffic_shared_free(shared);
}

static void test_without_a_policy_everything_is_denied(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{'from': 'web', 'to': 'cart'}",
         "{'decision': 'deny', 'rule': 'no-policy', 'audited': false, 'audit_rule': null, 'service': null, "
         "'status': 403, "
         "'flag': 'UAEX', 'route': null, 'subset': [], 'endpoints': [], 'targets': [], 'timeouts': null}"},
    };
    struct view *none = make_view(false);
    EXPECT_ALL(none, rows);
    view_unref(none);
}

static void test_questions_that_cannot_be_answered(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{'from': 'web'}", "'a service is needed'"},
        {"{'from': 1, 'to': 'cart'}", "'from must be a text'"},
        {"{'from': 'web', 'to': 'cart', 'headers': []}", "'headers must be an object'"},
        {"{'from': 'web', 'to': 'cart', 'headers': {'x': 1}}", "'x must be a text'"},
        {"{'from': 'web', 'to': 'cart', 'path': '/\\r\\nx-beta: 1'}", "'line end'"},
        {"{'from': 'web', 'to': 'cart', 'headers': {'x\\r\\nx-beta': '1'}}", "'line end'"},
        {"{'from': 'web', 'to': 'cart', 'path': '/../x'}", "'answered 400'"},
        {"{'from': 'web', 'to': 'cart', 'path': '/a b'}", "'answered 400'"},
        {"{'from': 'web', 'to': 'ca rt'}", "'answered 400'"},
        {"{'from': 'web', 'to': 'cart', 'headers': {'Host': 'ghost'}}", "'answered 400'"},
        {"{'from': 'web', 'to': 'db', 'method': 'GET', 'path': '/x'}", "'db is a tcp service'"},
        {"{'from': 'web', 'to': 'db', 'headers': {'x': '1'}}", "'db is a tcp service'"},
    };
    EXPECT_ALL(view, rows);
}

/* What the data plane does not do yet is explained by the same code, offline, with the place where each thing is said. */
static const char rich_text[] =
    "policy: v1\nmesh: m.example\nversion: 4\n"                                       /* 1 to 3 */
    "defaults: {timeouts: {request: 9s}, retry: {attempts: 3}}\n"                     /* 4 */
    "services:\n"                                                                     /* 5 */
    "  cart:\n"                                                                       /* 6 */
    "    protocol: grpc\n"                                                            /* 7 */
    "    unmatched: audit\n"                                                          /* 8 */
    "    timeouts: {connect: 2s}\n"                                                   /* 9 */
    "    subsets: {v1: {version: \"1\"}, v2: {version: \"2\"}}\n"                     /* 10 */
    "    failover: [{service: spare}]\n"                                              /* 11 */
    "    rateLimits:\n"                                                               /* 12 */
    "      - {scope: instance, rate: 5/m, route: none}\n"                             /* 13 */
    "      - {scope: mesh, per: {header: x-t}, rate: 1/s}\n"                          /* 14 */
    "    routes:\n"                                                                   /* 15 */
    "      - name: none\n"                                                            /* 16 */
    "        match: [{method: PUT}]\n"                                                /* 17 */
    "      - name: all\n"                                                             /* 18 */
    "        match: [{path: {prefix: /x}}, {path: {prefix: /}}]\n"                    /* 19 */
    "        to: [{subset: v1, weight: 3}, {subset: v2}]\n"                           /* 20 */
    "        sticky: {cookie: s}\n"                                                   /* 21 */
    "        rewrite: {prefix: /y}\n"                                                 /* 22 */
    "        mirror: {to: spare, percent: 7}\n"                                       /* 23 */
    "        responseHeaders: {set: {x-a: b}}\n"                                      /* 24 */
    "        timeouts: {stream: 1h}\n"                                                /* 25 */
    "  spare: {protocol: grpc}\n"                                                     /* 26 */
    "intentions:\n"                                                                   /* 27 */
    "  - {name: trial, from: [web], to: cart, mode: audit, deny: [{}]}\n"             /* 28 */
    "faults:\n"                                                                       /* 29 */
    "  - {name: over, to: cart, abort: {status: 500}, until: 2026-01-01T00:00:00Z}\n" /* 30 */
    "  - {name: on, to: cart, delay: {fixed: 1s}, until: 2026-01-02T00:00:00Z}\n";    /* 31 */

static void test_offline_all_is_explained_with_its_place(void **state)
{
    (void)state;
    static const struct node_id nobody;
    static const struct row rows[] = {
        {"{'from': 'web', 'to': 'cart', 'path': '/q', 'headers': {'cookie': 'a=1; s=u', 'x-t': 'me'}}",
         "{'decision': 'allow', 'rule': 'unmatched', 'audit_rule': 'trial', 'audited': true, 'status': null, "
         "'route': 'all',"
         " 'match': '{path: {prefix: /}}', 'said': {'rule': 'p.yaml:8', 'audit_rule': 'p.yaml:28', 'route': "
         "'p.yaml:18'},"
         " 'sticky': {'key': '{cookie: s}', 'value': 'u', 'subset': 'v1', 'said': 'p.yaml:21'},"
         " 'rewrite': {'prefix': '/y', 'path': '/y/q', 'said': 'p.yaml:22'},"
         " 'mirror': {'to': 'spare', 'percent': 7, 'decision': 'deny', 'rule': 'unmatched', 'said': "
         "'p.yaml:23'}, 'request_headers': null,"
         " 'response_headers': {'edit': '{set: {x-a: \\u0022b\\u0022}}', 'said': 'p.yaml:24'},"
         " 'rate_limits': [{'limit': '{scope: mesh, per: {header: x-t}, rate: 1/s, burst: 1, ifPartitioned: "
         "share}', 'bucket': "
         "'me', 'said': 'p.yaml:14'}], 'failover': ['spare'],"
         " 'fault': {'name': 'on', 'fault': '{delay: {fixed: 1s, percent: 100}, until: "
         "2026-01-02T00:00:00Z}', 'until': "
         "1767312000, 'said': 'p.yaml:31'},"
         " 'lacking': ['grpc', 'rate-limit-mesh']}"},
        {"{'from': 'web', 'to': 'cart', 'method': 'PUT', 'path': '/x/z'}",
         "{'route': 'none', 'sticky': null, 'rewrite': null, 'mirror': null, 'response_headers': null, "
         "'rate_limits': "
         "[{'limit': '{scope: instance, route: none, rate: 5/m, burst: 1}', 'bucket': null, 'said': "
         "'p.yaml:13'}, {'limit': "
         "'{scope: mesh, per: {header: x-t}, rate: 1/s, burst: 1, ifPartitioned: share}', 'bucket': null, "
         "'said': "
         "'p.yaml:14'}]}"},
        {"{'from': '', 'to': 'spare'}", "{'decision': 'deny', 'rule': 'unmatched', 'said': {'rule': "
                                        "'default', 'audit_rule': null, 'route': 'default'}, "
                                        "'match': '{}', 'status': 403}"},
        {"{'from': '', 'to': 'nobody'}",
         "{'decision': 'deny', 'settings': null, 'match': null, 'rate_limits': []}"},
    };
    struct policy_source src = {.file = "p.yaml", .text = bytes_str(rich_text)};
    struct policy *p = NULL;
    assert_int_equal(policy_compile_sources(&p, &src, 1, NULL), ERR_OK);
    struct view *v = view_builder_finish(view_builder_new("m.example", &nobody, NULL), p, 1, 1);
    const struct places places = {.policy = p};
    const struct why_at at = {
        .view = v, .offline = true, .places = &places, .now = 1767225600}; /* 2026-01-01 */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_at(&at, &rows[i]);
    json_t *o = ask_at(&at, "{'from': 'web', 'to': 'cart', 'path': '/q'}"),
           *all = json_object_get(o, "settings");
    static const struct {
        const char *key, *value, *said;
        enum policy_feature feature; /* without which nobody acts on it */
    } settings[] = {{"timeouts.connect", "2s", "p.yaml:9", FEATURE_NONE},
                    {"timeouts.request", "9s", "p.yaml:4", FEATURE_NONE},
                    {"timeouts.stream", "1h", "p.yaml:25", FEATURE_TIMEOUT_STREAM},
                    {"timeouts.idle", "1h", "default", FEATURE_TIMEOUT_IDLE},
                    {"retry.attempts", "3", "p.yaml:4", FEATURE_RETRY},
                    {"retry.backoff.max", "250ms", "default", FEATURE_RETRY},
                    {"unmatched", "audit", "p.yaml:8", FEATURE_NONE}};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        json_t *one = json_object_get(all, settings[i].key), *lacking = json_object_get(one, "lacking");
        enum policy_feature f = settings[i].feature;
        assert_string_equal(json_string_value(json_object_get(one, "value")), settings[i].value);
        assert_string_equal(json_string_value(json_object_get(one, "said")), settings[i].said);
        assert_int_equal(lacking != NULL, f != FEATURE_NONE && !feature_in_force(f));
        if (lacking)
            assert_string_equal(json_string_value(lacking), feature_name(f));
    }
    assert_int_equal(json_object_size(all), 34);
    json_decref(o);
    view_unref(v);
    policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_reaches_the_application),
        cmocka_unit_test(test_a_service_is_found_as_a_client_finds_it),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_nobody_to_ask_is_told_beside_the_decision),
        cmocka_unit_test(test_who_stands_in_answers),
        cmocka_unit_test(test_the_ejected_are_stood_in_for),
        cmocka_unit_test(test_without_a_policy_everything_is_denied),
        cmocka_unit_test(test_questions_that_cannot_be_answered),
        cmocka_unit_test(test_offline_all_is_explained_with_its_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
