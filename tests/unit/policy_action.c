/* What is done to requests, and what is said for the whole mesh: each key's value is visible, needs its feature, and is an
 * error where it cannot work. */
#include "policy_world.h"

static void what_a_route_does_is_visible(void **state)
{
    (void)state;
    struct policy *p =
        policy_of("services:\n"
                  "  shadow: {protocol: http}\n"
                  "  a:\n"
                  "    protocol: http\n"
                  "    subsets: {v1: {version: \"1\"}, v2: {version: \"2\"}}\n"
                  "    routes:\n"
                  "      - name: r\n"
                  "        match: [{path: {prefix: /old/}}, {path: {prefix: /older}}]\n"
                  "        to: [{subset: v1, weight: 3}, {subset: v2}]\n"
                  "        rewrite: {prefix: /new}\n"
                  "        sticky: {header: X-User}\n"
                  "        mirror: {to: shadow, percent: 10}\n"
                  "        requestHeaders: {set: {X-Env: prod, x-b: \"\"}, remove: [X-Debug]}\n"
                  "        responseHeaders: {remove: [server]}\n"
                  "      - {name: rest, sticky: {cookie: side}, to: [{subset: v1}, {subset: v2}]}\n");
    const struct policy_service *a = service_of(p, "a");
    const struct policy_route *r = route_of(a, 0), *rest = route_of(a, 1);
    assert_string_equal(r->rewrite_prefix, "/new");
    assert_int_equal(r->sticky.kind, KEY_HEADER);
    assert_bytes(r->sticky.name, "x-user");
    assert_ptr_equal(r->mirror.to, service_of(p, "shadow"));
    assert_int_equal(r->mirror.share_ppm, 100000);
    assert_int_equal(r->request_headers.set_count, 2);
    assert_bytes(r->request_headers.set[0].name, "x-env");
    assert_bytes(r->request_headers.set[0].value, "prod");
    assert_bytes(r->request_headers.set[1].value, "");
    assert_bytes(r->request_headers.remove[0], "x-debug");
    assert_int_equal(r->response_headers.set_count, 0);
    assert_bytes(r->response_headers.remove[0], "server");
    assert_int_equal(rest->sticky.kind, KEY_COOKIE);
    assert_null(rest->rewrite_prefix);
    assert_null(rest->mirror.to);
    assert_int_equal(policy_features(p), feature_bit(FEATURE_REWRITE) | feature_bit(FEATURE_STICKY) |
                                             feature_bit(FEATURE_MIRROR) |
                                             feature_bit(FEATURE_REQUEST_HEADERS) |
                                             feature_bit(FEATURE_RESPONSE_HEADERS));
    policy_unref(p);
}

static void the_prefix_that_matched_is_rewritten(void **state)
{
    (void)state;
    static const struct {
        const char *match, *to, *path, *forwarded;
    } cases[] = {
        {"/cart", "/v2/cart", "/cart", "/v2/cart"},
        {"/cart", "/v2/cart", "/cart/7/x", "/v2/cart/7/x"},
        {"/cart/", "/v2/cart/", "/cart/", "/v2/cart/"},
        {"/cart", "/", "/cart", "/"},
        {"/cart", "/", "/cart/7", "/7"},
        {"/", "/api", "/x", "/api/x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf text = {0}, out = {0};
        buf_addf(&text,
                 "services: {a: {protocol: http, routes: [{name: r, match: [{path: {prefix: %s}}], rewrite: "
                 "{prefix: "
                 "%s}}]}}\n",
                 cases[i].match, cases[i].to);
        struct policy *p = policy_of(buf_str(&text));
        const struct policy_service *a = service_of(p, "a");
        const struct policy_request rq = {.method = bytes_str("GET"), .path = bytes_str(cases[i].path)};
        const struct policy_route *r = policy_route(a, &rq);
        assert_non_null(r);
        policy_route_rewrite(a, r, &rq, &out);
        assert_string_equal(buf_str(&out), cases[i].forwarded);
        policy_unref(p);
        buf_fini(&text);
        buf_fini(&out);
    }
}

static const char split[] =
    "services:\n"
    "  a:\n"
    "    protocol: http\n"
    "    subsets: {v1: {version: \"1\"}, v2: {version: \"2\"}}\n"
    "    routes: [{name: r, sticky: {%s: u}, to: [{subset: v1, weight: %u}, {subset: v2, "
    "weight: %u}]}]\n";

static const char *side_of(const struct policy *p, const char *header, const char *value, uint64_t dice)
{
    struct policy_header h = {bytes_str(header), bytes_str(value)};
    const struct policy_request rq = {.header = &h, .header_count = 1};
    return policy_route_choose(route_of(service_of(p, "a"), 0), &rq, dice)->subset->name;
}

/* G: 10,000 users; nobody changes side by throwing again, and of a move from 10 to 20 percent only those between are moved. */
static void a_user_stays_on_one_side_of_the_split(void **state)
{
    (void)state;
    struct buf before = {0}, after = {0};
    size_t on_v2 = 0, moved = 0;
    char user[32];
    buf_addf(&before, split, "header", 90, 10);
    buf_addf(&after, split, "header", 80, 20);
    struct policy *p = policy_of(buf_str(&before)), *q = policy_of(buf_str(&after));
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(user, sizeof user, "user-%u", i);
        const char *was = side_of(p, "u", user, 0), *is = side_of(q, "u", user, 0);
        assert_string_equal(was, side_of(p, "u", user, UINT64_MAX));
        on_v2 += strcmp(was, "v2") == 0;
        moved += strcmp(was, is) != 0;
        assert_false(strcmp(was, "v2") == 0 && strcmp(is, "v1") == 0);
    }
    assert_in_range(on_v2, 900, 1100);
    assert_in_range(moved, 900, 1100);
    assert_string_equal(side_of(p, "other", "x", 0), "v1"); /* without the header the dice decide */
    assert_string_equal(side_of(p, "other", "x", UINT64_MAX), "v2");
    policy_unref(p);
    policy_unref(q);
    buf_fini(&before);
    buf_fini(&after);
}

static void a_cookie_is_found_among_others(void **state)
{
    (void)state;
    static const struct {
        const char *line, *value; /* NULL: not there */
    } cases[] = {{"u=7", "7"},   {"a=1; u=7; b=2", "7"}, {"a=1;u=7", "7"}, {"u=7; u=8", "7"},
                 {"u=", ""},     {"xu=7; uu=8", NULL},   {"u", ""},        {"", NULL},
                 {"; ;u=7", "7"}};
    const struct policy_key k = {KEY_COOKIE, bytes_str("u")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy_header h = {bytes_str("cookie"), bytes_str(cases[i].line)};
        const struct policy_request rq = {.header = &h, .header_count = 1};
        struct bytes value;
        assert_int_equal(policy_key_value(&k, &rq, &value), cases[i].value != NULL);
        if (cases[i].value)
            assert_bytes(value, cases[i].value);
    }
    struct bytes value;
    const struct policy_key source = {.kind = KEY_SOURCE}, none = {.kind = KEY_NONE};
    const struct policy_request from = {.caller = bytes_str("web")};
    assert_true(policy_key_value(&source, &from, &value));
    assert_bytes(value, "web");
    assert_false(policy_key_value(&none, &from, &value));
    assert_int_equal(policy_key_hash(bytes_str("user-1")),
                     UINT64_C(0x41a2fca5c68401c5)); /* the same on every agent, for good */
    assert_int_equal(policy_key_hash(bytes_str("")), UINT64_C(0xefd01f60ba992926));
}

static void actions_that_cannot_work_are_errors(void **state)
{
    (void)state;
#define ROUTE(keys) "services: {a: {protocol: http, unmatched: audit, routes: [{name: r, " keys "}]}}\n"
    expect_complaint(
        ROUTE("rewrite: {prefix: /x}"),
        "p.yaml:4:78: `rewrite` replaces the prefix that matched; give each match of the route a `path: "
        "{prefix: ...}`\n");
    expect_complaint(
        ROUTE("match: [{path: {exact: /a}}], rewrite: {prefix: /x}"),
        "p.yaml:4:108: `rewrite` replaces the prefix that matched; give each match of the route a "
        "`path: {prefix: ...}`\n");
    expect_complaint(ROUTE("match: [{path: {prefix: /a}}], rewrite: {prefix: x}"),
                     "p.yaml:4:118: `x` cannot be forwarded: a path begins with /\n");
    expect_complaint(ROUTE("rewrite: {}"), "p.yaml:4:78: `rewrite` is empty; give it a `prefix`\n");
    expect_complaint(ROUTE("mirror: {to: a}"),
                     "p.yaml:4:82: a service cannot mirror to itself; name another\n");
    expect_complaint(ROUTE("mirror: {percent: 5}"),
                     "p.yaml:4:77: `to` is missing; name the service that gets the copies\n");
    expect_complaint(
        ROUTE("requestHeaders: {set: {Host: x}}"),
        "p.yaml:4:92: `host` is not forwarded as a header, so nothing here can come of it; remove it\n");
    expect_complaint(ROUTE("responseHeaders: {remove: [HTTP2-Settings]}"),
                     "p.yaml:4:96: `http2-settings` is not forwarded as a header, so nothing here can come "
                     "of it; remove it\n");
    static const char *const ours[] = {"x-starling-caller", "X-Starling", "x_starling.hops"};
    for (size_t i = 0; i < 3; i++) {
        char text[200], want[200];
        snprintf(text, sizeof text, ROUTE("requestHeaders: {remove: [%s]}"), ours[i]);
        snprintf(want, sizeof want,
                 "p.yaml:4:95: headers that begin with x-starling are the mesh's own; choose another name\n");
        expect_complaint(text, want);
    }
    expect_complaint(ROUTE("match: [{path: {prefix: /a}}], rewrite: {prefix: \"/x;y\"}"),
                     "p.yaml:4:118: `/x;y` cannot be forwarded: escape all but letters, digits and "
                     "-._~!$&'()*+,=:@\n");
    expect_complaint(
        ROUTE("requestHeaders: {set: {x: \"a\\nb\"}}"),
        "p.yaml:4:95: no header has this value: up to 4096 bytes, without control characters and without "
        "blanks at its ends\n");
    expect_complaint(ROUTE("requestHeaders: {set: {x: a}, remove: [X]}"),
                     "p.yaml:4:85: `x` is edited twice; `set` replaces what is there\n");
    expect_complaint(ROUTE("responseHeaders: {}"), "p.yaml:4:86: nothing to do; give it `set` or `remove`\n");
    expect_complaint(ROUTE("sticky: {query: x}"),
                     "p.yaml:4:78: unknown key `query`; expected one of header, cookie\n");
    expect_complaint(ROUTE("sticky: x"), "p.yaml:4:77: expected {header: x-name} or {cookie: name}\n");
    expect_said(
        ROUTE("sticky: {header: x}"), true,
        "p.yaml:4:77: warning: `sticky` keeps users on one side of a split, and this route has only one; "
        "remove it\n");
    expect_complaint("services: {t: {protocol: tcp, routes: [{name: r, sticky: {header: x}}]}}\n",
                     "p.yaml:4:58: a tcp service has no requests; remove `sticky`\n");
    expect_complaint(
        "services: {t: {protocol: tcp}, a: {protocol: http, routes: [{name: r, mirror: {to: t}}]}}\n",
        "p.yaml:4:84: `a` and `t` are not of one kind: one has requests, one is tcp\n");
}

static void rate_limits_are_selected_by_route(void **state)
{
    (void)state;
    struct policy *p = policy_of(
        "services:\n"
        "  a:\n"
        "    protocol: http\n"
        "    routes: [{name: x, match: [{path: {exact: /x}}]}, {name: rest}]\n"
        "    rateLimits:\n"
        "      - {scope: instance, per: source, rate: 100/s, burst: 200}\n"
        "      - {scope: mesh, per: {header: X-Tenant}, route: x, rate: 90/m, ifPartitioned: full}\n"
        "      - {scope: mesh, per: {cookie: c}, rate: 7200/h}\n");
    const struct policy_service *a = service_of(p, "a");
    const struct policy_rate_limit *l;
    size_t cursor = 0;
    l = policy_rate_limit_next(a, route_of(a, 0), &cursor);
    assert_int_equal(l->scope, SCOPE_INSTANCE);
    assert_int_equal(l->per.kind, KEY_SOURCE);
    assert_int_equal(l->count, 100);
    assert_int_equal(l->per_ms, 1000);
    assert_int_equal(l->burst, 200);
    assert_null(l->route);
    l = policy_rate_limit_next(a, route_of(a, 0), &cursor);
    assert_int_equal(l->scope, SCOPE_MESH);
    assert_bytes(l->per.name, "x-tenant");
    assert_int_equal(l->burst, 2); /* what a second brings, rounded up */
    assert_int_equal(l->if_partitioned, PARTITIONED_FULL);
    assert_string_equal(l->route, "x");
    l = policy_rate_limit_next(a, route_of(a, 0), &cursor);
    assert_int_equal(l->per.kind, KEY_COOKIE);
    assert_int_equal(l->per_ms, 3600000);
    assert_int_equal(l->if_partitioned, PARTITIONED_SHARE);
    assert_null(policy_rate_limit_next(a, route_of(a, 0), &cursor));
    cursor = 0;
    assert_int_equal(policy_rate_limit_next(a, route_of(a, 1), &cursor)->scope, SCOPE_INSTANCE);
    assert_int_equal(policy_rate_limit_next(a, route_of(a, 1), &cursor)->per.kind, KEY_COOKIE);
    assert_null(policy_rate_limit_next(a, route_of(a, 1), &cursor));
    assert_int_equal(policy_features(p),
                     feature_bit(FEATURE_RATE_LIMIT) | feature_bit(FEATURE_RATE_LIMIT_MESH));
    policy_unref(p);
#define LIMIT(keys) "services: {a: {protocol: http, rateLimits: [{" keys "}]}}\n"
    expect_complaint(LIMIT("rate: 1/s"), "p.yaml:4:45: `scope` is missing; say instance or mesh\n");
    expect_complaint(LIMIT("scope: mesh"), "p.yaml:4:45: `rate` is missing; say how many, such as 100/s\n");
    expect_complaint(LIMIT("scope: mesh, rate: 0/s"),
                     "p.yaml:4:65: expected a rate such as 100/s, 6000/m or 10/h; found `0/s`\n");
    expect_complaint(LIMIT("scope: mesh, rate: 5/d"),
                     "p.yaml:4:65: expected a rate such as 100/s, 6000/m or 10/h; found `5/d`\n");
    expect_complaint(LIMIT("scope: mesh, rate: 5/s, route: defualt"),
                     "p.yaml:4:77: service `a` has no route `defualt`; did you mean `default`?\n");
    expect_complaint(LIMIT("scope: instance, rate: 5/s, ifPartitioned: share"),
                     "p.yaml:4:89: `ifPartitioned` is for `scope: mesh`; an instance counts alone anyhow\n");
    expect_complaint(
        "services: {t: {protocol: tcp, rateLimits: [{scope: mesh, rate: 5/s, per: {header: x}}]}}\n",
        "p.yaml:4:74: a tcp service has no headers; only `source` is known\n");
}

static void failover_names_other_services_in_order(void **state)
{
    (void)state;
    struct policy *p = policy_of("services: {a: {protocol: http, failover: [{service: c}, {service: b}]}, b: "
                                 "{protocol: http}, c: {protocol: http}}\n");
    const struct policy_service *const *list;
    assert_int_equal(policy_failover(service_of(p, "a"), &list), 2);
    assert_string_equal(policy_service_name(list[0]), "c");
    assert_string_equal(policy_service_name(list[1]), "b");
    assert_int_equal(policy_failover(service_of(p, "b"), &list), 0);
    assert_int_equal(policy_features(p), feature_bit(FEATURE_FAILOVER));
    policy_unref(p);
    expect_complaint("services: {a: {protocol: http, failover: [{service: a}]}}\n",
                     "p.yaml:4:53: a service cannot fail over to itself; name another\n");
    expect_complaint("services: {a: {protocol: http, failover: [{}]}}\n",
                     "p.yaml:4:43: `service` is missing; name where to go instead\n");
    expect_complaint("services: {a: {protocol: http, failover: [b]}, b: {protocol: http}}\n",
                     "p.yaml:4:43: expected a map such as {service: b}; found a single value\n");
    expect_complaint("services: {a: {protocol: http, failover: [[b]]}, b: {protocol: http}}\n",
                     "p.yaml:4:43: expected a map ({key: value}); found a list\n");
    expect_complaint("services: {a: {protocol: http, failover: [{service: t}]}, t: {protocol: tcp}}\n",
                     "p.yaml:4:53: `a` and `t` are not of one kind: one has requests, one is tcp\n");
}

static void a_fault_is_on_until_its_end_for_what_it_matches(void **state)
{
    (void)state;
    struct policy *p =
        policy_of("services: {a: {protocol: http}, b: {protocol: http}, t: {protocol: tcp}}\n"
                  "faults:\n"
                  "  - {name: later, to: a, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z}\n"
                  "  - {name: slow, to: t, delay: {fixed: 5ms, percent: 1}, abort: {percent: 2}, until: "
                  "2026-12-01T00:00:00Z}\n"
                  "  - {name: game, to: b, match: [{headers: {x-chaos: {present: true}}}, {method: PUT}],\n"
                  "     abort: {status: 503, percent: 5}, delay: {fixed: 200ms, percent: 10}, until: "
                  "2026-11-01T00:00:00Z}\n");
    struct policy_header h = {bytes_str("x-chaos"), bytes_str("1")};
    struct policy_request rq = {.method = bytes_str("GET"), .path = bytes_str("/")};
    const struct policy_service *b = service_of(p, "b");
    assert_null(policy_fault_of(b, &rq, 0));
    rq.method = bytes_str("PUT");
    assert_non_null(policy_fault_of(b, &rq, 0));
    rq.method = bytes_str("GET");
    rq.header = &h;
    rq.header_count = 1;
    const struct policy_fault *f = policy_fault_of(b, &rq, 1793491199);
    assert_string_equal(f->name, "game");
    assert_int_equal(f->abort_status, 503);
    assert_int_equal(f->abort_ppm, 50000);
    assert_int_equal(f->delay_ms, 200);
    assert_int_equal(f->delay_ppm, 100000);
    assert_int_equal(f->until, 1793491200);
    assert_null(policy_fault_of(b, &rq, 1793491200));
    f = policy_fault_of(service_of(p, "a"), &rq, 0);
    assert_int_equal(f->abort_ppm, 0);
    assert_int_equal(f->delay_ppm, POLICY_PPM);
    f = policy_fault_of(service_of(p, "t"), &rq, 0);
    assert_int_equal(f->abort_ppm, 20000);
    assert_int_equal(f->abort_status, 0);
    size_t cursor = 0, count = 0;
    while (policy_fault_next(p, &cursor))
        count++;
    assert_int_equal(count, 3);
    assert_int_equal(policy_features(p), feature_bit(FEATURE_FAULT));
    policy_unref(p);
#define FAULT(keys) "services: {a: {protocol: http}, t: {protocol: tcp}}\nfaults: [{" keys "}]\n"
#define UNTIL       ", until: 2026-12-01T00:00:00Z"
    expect_complaint(FAULT("name: f, to: a, delay: {fixed: 1s}"),
                     "p.yaml:5:10: a fault without an end; say `until` when, such as 2027-01-31T00:00:00Z\n");
    expect_complaint(FAULT("name: f, to: a" UNTIL),
                     "p.yaml:5:10: a fault that does nothing; give it `abort` or `delay`\n");
    expect_complaint(FAULT("name: f, to: a, abort: {percent: 3}" UNTIL),
                     "p.yaml:5:34: `status` is missing; say which the request is answered with\n");
    expect_complaint(FAULT("name: f, to: t, abort: {status: 503}" UNTIL),
                     "p.yaml:5:43: a tcp connection is closed, without a status; remove `status`\n");
    expect_complaint(
        FAULT("name: f, to: t, match: [{method: GET}], abort: {}" UNTIL),
        "p.yaml:5:34: an HTTP match on tcp service `t`; on tcp only the caller's identity is known\n");
    expect_complaint(FAULT("name: f, to: x9, delay: {fixed: 1s}" UNTIL),
                     "p.yaml:5:24: no service `x9` in this policy; add it to `services`\n");
}

/* Whether every request that is delayed so runs out of its time, by whichever route it goes. */
static void a_delay_that_outlasts_every_request_is_told(void **state)
{
    static const char said[] =
        "p.yaml:6:42: warning: as long as `timeouts.request` of `a` or longer, so every "
        "request that it delays is answered 504; shorten it\n";
    static const struct {
        const char *service, *delay;
        bool is_told;
    } cases[] = {
        {"protocol: http", "14999ms", false},
        {"protocol: http", "15s", true}, /* the default */
        {"protocol: http, timeouts: {request: 2s}", "2s", true},
        {"protocol: http, timeouts: {request: 0s, perTry: 0s}", "1h", false},
        {"protocol: http, timeouts: {request: 2s}, routes: [{name: r, timeouts: {request: 4s}}]", "3s",
         false},
        {"protocol: http, routes: [{name: r, timeouts: {request: 1s}}]", "3s", true},
        {"protocol: http, routes: [{name: r, match: [{method: PUT}], timeouts: {request: 1s}}, {name: s}]",
         "3s", false},
        {"protocol: http, routes: [{name: r, match: [{method: PUT}], timeouts: {request: 1s}}, "
         "{name: s, timeouts: {request: 0s, perTry: 0s}}]",
         "1h", false},
        {"protocol: tcp", "1h", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf text = {0};
        buf_addf(&text,
                 "services:\n  a: {unmatched: audit, %s}\nfaults: [{name: f, to: a, delay: {fixed: %s}" UNTIL
                 "}]\n",
                 cases[i].service, cases[i].delay);
        expect_said(buf_str(&text), true, cases[i].is_told ? said : "");
        buf_fini(&text);
    }
}

static void egress_is_by_caller_host_and_port(void **state)
{
    (void)state;
    struct policy *p =
        policy_of("egress:\n"
                  "  - {name: pay, from: [orders], to: api.payments.example, ports: [443, 8443]}\n"
                  "  - {name: docs, from: [\"*\"], to: \"*.docs.example\", ports: [443]}\n");
    static const struct {
        const char *caller, *host;
        uint16_t port;
        const char *rule; /* NULL: none */
    } cases[] = {
        {"orders", "api.payments.example", 443, "pay"},  {"orders", "api.payments.example", 8443, "pay"},
        {"orders", "api.payments.example", 80, NULL},    {"web", "api.payments.example", 443, NULL},
        {"orders", "x.api.payments.example", 443, NULL}, {"web", "a.docs.example", 443, "docs"},
        {"", "a.b.docs.example", 443, "docs"},           {"web", "docs.example", 443, NULL},
        {"web", "evildocs.example", 443, NULL},          {"web", ".docs.example", 443, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct policy_egress *e =
            policy_egress_of(p, bytes_str(cases[i].caller), bytes_str(cases[i].host), cases[i].port);
        assert_int_equal(e != NULL, cases[i].rule != NULL);
        if (e)
            assert_string_equal(e->name, cases[i].rule);
    }
    assert_int_equal(policy_features(p), feature_bit(FEATURE_EGRESS));
    policy_unref(p);
    expect_complaint("egress: [{name: e, from: [a], to: x.example}]\n",
                     "p.yaml:4:10: `ports` is missing; egress is {name, from, to, ports}\n");
    expect_complaint(
        "egress: [{name: e, from: [a], to: \"a*.example\", ports: [1]}]\n",
        "p.yaml:4:35: `a*.example` cannot be a host; write a name in lower case, or *.name for all "
        "below\n");
    expect_complaint("egress: [{name: e, from: [a, \"*\"], to: x.example, ports: [0]}]\n",
                     "p.yaml:4:26: `from` has a star, which is everybody; remove the other names\n"
                     "p.yaml:4:59: expected a whole number from 1 to 65535; found `0`\n");
    expect_complaint(
        "egress: [{name: e, from: [a], to: x, ports: [1]}, {name: e, from: [a], to: y, ports: [1]}]\n",
        "p.yaml:4:58: an egress rule `e` exists already, in line 4; rename one\n");
}

static void observability_is_visible(void **state)
{
    (void)state;
    struct policy *
        p =
           policy_of("observability:\n"
                     "  log: {level: warn, modules: {proxy: debug}}\n"
                     "  accessLog: {format: text, sample: 0.5%, always: [errors, audited], redact: [X-Key]}\n"
                     "  tracing: {sample: 100%, propagate: [b3], otlp: \"http://127.0.0.1:4318\"}\n"
                     "  metrics: {labels: [subset, caller], maxSeries: 500}\n"),
       *plain = policy_of("");
    const struct policy_observability *o = policy_observability(p), *d = policy_observability(plain);
    assert_int_equal(o->log_level, POLICY_LOG_WARN);
    assert_string_equal(o->log_module[0].name, "proxy");
    assert_int_equal(o->log_module[0].level, POLICY_LOG_DEBUG);
    assert_int_equal(o->access_format, LOG_FORMAT_TEXT);
    assert_int_equal(o->access_sample_ppm, 5000);
    assert_int_equal(o->access_always, ACCESS_ERRORS | ACCESS_AUDITED);
    assert_int_equal(o->access_redact_count, 1);
    assert_bytes(o->access_redact[0], "x-key");
    assert_int_equal(o->tracing_sample_ppm, POLICY_PPM);
    assert_int_equal(o->tracing_propagate, PROPAGATE_B3);
    assert_string_equal(o->tracing_otlp, "http://127.0.0.1:4318");
    assert_int_equal(o->metric_labels, METRIC_SUBSET | METRIC_CALLER);
    assert_int_equal(o->metric_series_max, 500);
    assert_true(o->is_log_given && o->is_access_log_given && o->is_tracing_given && o->is_metrics_given);
    assert_int_equal(policy_features(p), feature_bit(FEATURE_LOG) | feature_bit(FEATURE_ACCESS_LOG) |
                                             feature_bit(FEATURE_TRACING) | feature_bit(FEATURE_METRICS));
    assert_false(d->is_log_given || d->is_access_log_given || d->is_tracing_given || d->is_metrics_given);
    assert_int_equal(d->access_sample_ppm, 10000);
    assert_int_equal(d->access_always, ACCESS_ERRORS | ACCESS_DENIED);
    assert_bytes(d->access_redact[1], "cookie");
    assert_null(d->tracing_otlp);
    policy_unref(p);
    policy_unref(plain);
    expect_complaint("observability: {tracing: {otlp: \"ftp://x\"}}\n",
                     "p.yaml:4:33: expected a URL such as http://127.0.0.1:4318; found `ftp://x`\n");
    expect_complaint("observability: {accessLog: {always: [errors, errors]}}\n",
                     "p.yaml:4:46: `errors` is named twice\n");
    expect_complaint("observability: {metrics: {maxSeries: 1}}\n",
                     "p.yaml:4:38: expected a whole number from 100 to 1000000; found `1`\n");
}

static void audit_and_rollout_are_visible(void **state)
{
    (void)state;
    struct policy *p = policy_of("audit: {record: [policy, denied], keep: 30d, witnesses: 5, every: 10s}\n"
                                 "rollout:\n"
                                 "  steps: [ring=canary, 10%, 50%, 100%]\n"
                                 "  pause: 7m\n"
                                 "  haltIf: {errorRate: +2%, p99: +150%, denied: +0.5%, minRequests: 50}\n"),
                  *plain = policy_of("");
    const struct policy_audit *a = policy_audit(p);
    assert_true(a->is_given);
    assert_int_equal(a->record, AUDIT_POLICY | AUDIT_DENIED);
    assert_int_equal(a->keep_ms, UINT64_C(30) * 86400000);
    assert_int_equal(a->witnesses, 5);
    assert_int_equal(a->every_ms, 10000);
    assert_false(policy_audit(plain)->is_given);
    assert_int_equal(policy_audit(plain)->witnesses, 3);
    const struct policy_rollout *r = policy_rollout(p);
    assert_int_equal(r->step_count, 4);
    assert_bytes(r->step[0].label, "ring");
    assert_bytes(r->step[0].value, "canary");
    assert_int_equal(r->step[1].share_ppm, 100000);
    assert_int_equal(r->step[3].share_ppm, POLICY_PPM);
    assert_int_equal(r->pause_ms, 420000);
    assert_int_equal(r->halt_error_ppm, 20000);
    assert_int_equal(r->halt_p99_ppm, 1500000);
    assert_int_equal(r->halt_denied_ppm, 5000);
    assert_int_equal(r->halt_min_requests, 50);
    assert_int_equal(policy_rollout(plain)->step_count, 0);
    assert_int_equal(policy_rollout(plain)->halt_error_ppm, UINT32_MAX);
    assert_int_equal(policy_features(p), feature_bit(FEATURE_AUDIT) | feature_bit(FEATURE_ROLLOUT));
    policy_unref(p);
    policy_unref(plain);
    expect_complaint("rollout: {steps: [10%, 5%, 100%]}\n",
                     "p.yaml:4:24: shares must rise from step to step\n");
    expect_complaint("rollout: {steps: [10%]}\n",
                     "p.yaml:4:18: the last step must be 100%, or some would never get this version\n");
    expect_complaint("rollout: {steps: [100%, ring=late]}\n",
                     "p.yaml:4:18: the last step must be 100%, or some would never get this version\n");
    expect_complaint("rollout: {pause: 1m}\n",
                     "p.yaml:4:10: `steps` is missing; without `rollout` all agents follow at once\n");
    expect_complaint("rollout: {steps: [100%], haltIf: {p99: 50%}}\n",
                     "p.yaml:4:40: expected a rise in percent, such as +2%; found `50%`\n");
    expect_complaint("audit: {every: 0s}\n", "p.yaml:4:8: `every` must be above 0s\n");
}

static void a_grpc_method_is_a_path(void **state)
{
    (void)state;
#define GRPC(clause)                                                                                         \
    "services: {a: {protocol: grpc}, h: {protocol: http}}\nintentions: [{name: i, from: [b], to: a, allow: " \
    "[" clause "]}]\n"
    struct policy *p = policy_of(GRPC("{grpc: shop.Orders/Place}, {grpc: \"shop.Log/*\"}"));
    static const struct {
        const char *path;
        bool allowed;
    } cases[] = {{"/shop.Orders/Place", true}, {"/shop.Orders/Cancel", false}, {"/shop.Log/A", true},
                 {"/shop.Log/A/b", true},      {"/shop.Logs/A", false},        {"/", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct policy_request rq = {
            .caller = bytes_str("b"), .method = bytes_str("POST"), .path = bytes_str(cases[i].path)};
        assert_int_equal(policy_decide(p, service_of(p, "a"), &rq).allowed, cases[i].allowed);
    }
    assert_int_equal(policy_features(p), feature_bit(FEATURE_GRPC));
    policy_unref(p);
    expect_complaint(
        GRPC("{grpc: shop.Orders}"),
        "p.yaml:5:57: expected a method such as shop.Orders/Place, or shop.Orders/* for all of a service; "
        "found `shop.Orders`\n");
    expect_complaint(GRPC("{grpc: a/b, methods: [GET]}"),
                     "p.yaml:5:50: `grpc` is method and path in one; remove the other keys\n");
    expect_complaint(
        "services: {h: {protocol: http}}\nintentions: [{name: i, from: [b], to: h, deny: [{grpc: a/b}]}]\n",
        "p.yaml:5:56: `h` is no grpc service; use methods and paths\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_route_does_is_visible),
        cmocka_unit_test(the_prefix_that_matched_is_rewritten),
        cmocka_unit_test(a_user_stays_on_one_side_of_the_split),
        cmocka_unit_test(a_cookie_is_found_among_others),
        cmocka_unit_test(actions_that_cannot_work_are_errors),
        cmocka_unit_test(rate_limits_are_selected_by_route),
        cmocka_unit_test(failover_names_other_services_in_order),
        cmocka_unit_test(a_fault_is_on_until_its_end_for_what_it_matches),
        cmocka_unit_test(a_delay_that_outlasts_every_request_is_told),
        cmocka_unit_test(egress_is_by_caller_host_and_port),
        cmocka_unit_test(observability_is_visible),
        cmocka_unit_test(audit_and_rollout_are_visible),
        cmocka_unit_test(a_grpc_method_is_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
