/* Stories of one exchange between two fake sides: what is said to whom, in which order, and the facts at the
 * end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "exchange/decide.h"
#include "exchange/exchange.h"

struct fake {
    struct side side;
    const char *name;
    struct buf *log;
    size_t room;
};

static struct fake *fake_of(const struct side *s)
{
    return (struct fake *)s;
}
static size_t fake_room(const struct side *s)
{
    return fake_of(s)->room;
}
static void fake_head(struct side *s, const struct http_head *h, const struct mesh_verdict *v)
{
    struct fake *f = fake_of(s);
    if (h && h->is_response)
        buf_addf(f->log, "%s head %u", f->name, h->status);
    else if (h)
        buf_addf(f->log, "%s head %.*s %.*s", f->name, (int)h->method.len, (const char *)h->method.at,
                 (int)h->path.len, (const char *)h->path.at);
    else
        buf_addf(f->log, "%s head", f->name);
    if (v && v->refused)
        buf_addf(f->log, " %.*s [%.*s]", (int)v->flag.len, (const char *)v->flag.at, (int)v->reason.len,
                 (const char *)v->reason.at);
    buf_add_str(f->log, "\n");
}
static void fake_data(struct side *s, struct bytes d)
{
    struct fake *f = fake_of(s);
    buf_addf(f->log, "%s data %.*s%s", f->name, (int)d.len, (const char *)d.at,
             d.at[d.len - 1] == '\n' ? "" : "\n");
}
static void fake_end(struct side *s, const struct http_head *trailers)
{
    struct fake *f = fake_of(s);
    buf_addf(f->log, "%s end%s\n", f->name, trailers ? " with trailers" : "");
}
static void fake_resume(struct side *s)
{
    struct fake *f = fake_of(s);
    buf_addf(f->log, "%s resume\n", f->name);
}
static void fake_finish(struct side *s, bool clean)
{
    struct fake *f = fake_of(s);
    assert_null(s->x);
    buf_addf(f->log, "%s finish %s\n", f->name, clean ? "clean" : "cut");
}
static const struct side_ops fake_ops = {fake_room, fake_head, fake_data, fake_end, fake_resume, fake_finish};

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
    struct traffic *traffic;
    struct view *view;
    struct exchange x;
    struct fake front, back, other;
    struct credential web_only;
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
        assert_int_equal(view_builder_member(b, &r, &at, true, false), ERR_OK);
    }
    assert_true(addr_of_ip(&at, "127.0.0.1", 8080));
    if (agents == 0) {
        struct labels v1 = {.count = 1, .at = {{bytes_str("version"), bytes_str("1")}}};
        assert_int_equal(view_builder_local(b, bytes_str("cart"), &at, PROTOCOL_HTTP, &v1, true), ERR_OK);
        assert_int_equal(view_builder_local(b, bytes_str("db"), &at, PROTOCOL_TCP, NULL, true), ERR_OK);
    }
    return view_builder_finish(b, p, 1, 1);
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
    t->traffic = traffic_new(7);
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
    traffic_free(t->traffic);
    policy_unref(t->policy);
    free(t);
    return 0;
}

static struct http_head request(const char *method, const char *path)
{
    return (struct http_head){
        .method = bytes_str(method), .authority = bytes_str("cart"), .path = bytes_str(path), .minor = 1};
}

static struct http_head response(uint16_t status)
{
    return (struct http_head){.is_response = true, .status = status, .minor = 1};
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

static void begin(struct story *t, enum exchange_role role, size_t agents, const char *method,
                  const char *path)
{
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request(method, path);
    begin_with(t, role, agents, &ask, &h);
}

static bool has_news(struct story *t)
{
    bool listed = t->x.news.next != NULL;
    list_remove(&t->x.news);
    return listed;
}

static void expect_log(struct story *t, const char *want)
{
    assert_string_equal(buf_str(&t->log), want);
    buf_consume(&t->log, t->log.len);
}

static void answer(struct story *t, uint16_t status, const char *body)
{
    struct http_head h = response(status);
    exchange_head(&t->x, &h, NULL);
    exchange_data(&t->x, FROM_BACK, bytes_str(body));
    exchange_end(&t->x, FROM_BACK, NULL);
}

static void a_request_goes_out_and_its_answer_comes_back(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "POST", "/buy");
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_true(has_news(t));
    assert_string_equal(t->x.endpoint->node->name, "host-a");
    assert_int_equal(t->x.app.port, 0);
    assert_int_equal(t->x.connect_ms, 2000);
    assert_int_equal(traffic_outstanding(t->traffic, t->x.endpoint), 1);
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 0); /* nobody to give a body to yet */
    exchange_back_ready(&t->x, &t->back.side);
    expect_log(t, "back head POST /buy\nfront resume\n");
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 1000);
    exchange_data(&t->x, FROM_FRONT, bytes_str("order"));
    exchange_end(&t->x, FROM_FRONT, NULL);
    answer(t, 201, "done");
    expect_log(t, "back data order\nback end\nfront head 201\nfront data done\nfront end\nback finish "
                  "clean\nfront finish clean\n");
    assert_true(has_news(t));
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 201);
    assert_int_equal(t->x.facts.flag, FLAG_NONE);
    assert_int_equal(t->x.facts.bytes_up, 5);
    assert_int_equal(t->x.facts.bytes_down, 4);
    assert_false(t->x.facts.cut);
    assert_string_equal(t->x.facts.route, "gets");
    assert_string_equal(t->x.facts.rule, "front");
}

static void the_end_of_a_request_without_body_waits_for_the_back_side(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_end(&t->x, FROM_FRONT, NULL);
    expect_log(t, "");
    exchange_back_ready(&t->x, &t->back.side);
    expect_log(t, "back head GET /\nback end\nfront resume\n");
}

static void a_denied_request_names_rule_and_policy_and_never_seeks(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/admin");
    expect_log(
        t,
        "front head 403 UAEX [403 3 no-admin denied by rule no-admin of policy 3: web may not call cart so]\n"
        "front data denied by rule no-admin of policy 3: web may not call cart so\n"
        "front end\nfront finish cut\n");
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 403);
    assert_int_equal(t->x.facts.flag, FLAG_UAEX);
    assert_string_equal(t->x.facts.rule, "no-admin");
    assert_false(t->x.facts.cut);
}

/* `mode: audit` and `unmatched: audit` decide nothing and are remembered, at both ends. */
static void what_audit_decided_is_in_the_facts(void **state)
{
    struct story *t = *state;
    static const struct {
        enum exchange_role role;
        const char *caller, *service, *path, *rule, *audit_rule;
        bool allowed;
    } table[] = {
        {EXCHANGE_NEAR, "web", "cart", "/a", "front", "", false},
        {EXCHANGE_NEAR, "web", "cart", "/trial", "front", "no-trial", true},
        {EXCHANGE_FAR, "web", "cart", "/trial", "front", "no-trial", true},
        {EXCHANGE_NEAR, "batch", "cart", "/trial", "unmatched", "soon", false},
        {EXCHANGE_NEAR, "batch", "cart", "/a", "unmatched", "", false},
        {EXCHANGE_NEAR, "web", "open", "/a", "unmatched", "unmatched", true},
        {EXCHANGE_FAR, "web", "open", "/a", "unmatched", "unmatched", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct exchange_ask ask = ask_http(t);
        struct http_head h = request("GET", table[i].path);
        ask.caller = bytes_str(table[i].caller);
        ask.service = h.authority = bytes_str(table[i].service);
        begin_with(t, table[i].role, 1, &ask, &h);
        assert_string_equal(t->x.facts.rule, table[i].rule);
        assert_string_equal(t->x.facts.audit_rule, table[i].audit_rule);
        assert_int_equal(t->x.facts.audit_allowed, table[i].allowed);
        (void)has_news(t);
        exchange_fini(&t->x);
        memset(&t->x, 0, sizeof t->x);
    }
}

static void a_refusal_of_head_has_no_body(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "HEAD", "/admin");
    expect_log(
        t,
        "front head 403 UAEX [403 3 no-admin denied by rule no-admin of policy 3: web may not call cart so]\n"
        "front end\nfront finish cut\n");
}

static void refusals_by_cause(void **state)
{
    static const struct {
        const char *service, *method, *path, *caller;
        uint8_t hops;
        uint16_t status;
        enum exchange_flag flag;
    } table[] = {
        {"nobody", "GET", "/", "web", 0, 404, FLAG_NR},
        {"db", "GET", "/", "web", 0, 404, FLAG_NR},        /* a tcp service asked for in HTTP */
        {"cart:9090", "GET", "/", "web", 0, 404, FLAG_NR}, /* not the port it is declared at */
        {"cart.mesh:9090", "GET", "/", "web", 0, 404, FLAG_NR},
        {"cart", "DELETE", "/", "web", 0, 404, FLAG_NR},  /* no route matches */
        {"cart", "GET", "/two", "web", 0, 503, FLAG_NR},  /* an empty subset is never "any instance" */
        {"cart.old", "GET", "/", "web", 0, 503, FLAG_UH}, /* nobody offers it */
        {"cart", "GET", "/", "batch", 0, 403, FLAG_UAEX},
        {"cart", "GET", "/", "", 0, 403, FLAG_UAEX},
        {"cart", "GET", "/", "web", HOPS_MAX + 1, 508, FLAG_NR},
    };
    struct story *t = *state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct exchange_ask ask = ask_http(t);
        struct http_head h = request(table[i].method, table[i].path);
        ask.service = bytes_str(table[i].service);
        ask.caller = bytes_str(table[i].caller);
        ask.hops = table[i].hops;
        begin_with(t, EXCHANGE_NEAR, 1, &ask, &h);
        assert_int_equal(t->x.state, EXCHANGE_OVER);
        assert_int_equal(t->x.facts.status, table[i].status);
        assert_int_equal(t->x.facts.flag, table[i].flag);
        exchange_fini(&t->x);
    }
}

static void hosts_name_services(void **state)
{
    static const struct {
        const char *host, *service; /* NULL: none */
    } table[] = {
        {"cart", "cart"},
        {"cart:8080", "cart"},
        {"cart.m.example", "cart"},
        {"cart.mesh", "cart"},
        {"cart.mesh:80", "cart"},
        {"cart.old", "cart.old"},
        {"cart.old.mesh", "cart.old"},
        {"cart.example", NULL},
        {"cart.evil.example", NULL},
        {"m.example", NULL},
        {".mesh", NULL},
        {"", NULL},
        {"[::1]:80", NULL},
        {"cartm.example", NULL},
    };
    struct story *t = *state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct policy_service *s = decide_service(t->policy, "m.example", bytes_str(table[i].host));
        if (table[i].service)
            assert_string_equal(policy_service_name(s), table[i].service);
        else
            assert_null(s);
    }
}

static void the_declared_port_and_no_port_name_a_service(void **state)
{
    static const char *const hosts[] = {"cart", "cart:8080", "cart.mesh", "cart.m.example:8080"};
    struct story *t = *state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct exchange_ask ask = ask_http(t);
        struct http_head h = request("GET", "/");
        ask.service = bytes_str(hosts[i]);
        begin_with(t, EXCHANGE_NEAR, 1, &ask, &h);
        assert_int_equal(t->x.state, EXCHANGE_SEEKING);
        exchange_fini(&t->x);
    }
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("GET", "/");
    ask.service = bytes_str("cart:7480");
    buf_consume(&t->log, t->log.len);
    begin_with(t, EXCHANGE_NEAR, 1, &ask, &h);
    expect_log(t, "front head 404 NR [404 0 - cart is at port 8080, not 7480]\n"
                  "front data cart is at port 8080, not 7480\nfront end\nfront finish cut\n");
}

static void without_a_policy_everything_is_denied(void **state)
{
    struct story *t = *state;
    struct policy *p = t->policy;
    t->policy = NULL;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    t->policy = p;
    assert_int_equal(t->x.facts.status, 403);
    assert_string_equal(t->x.facts.rule, "no-policy");
    exchange_fini(&t->x);
    t->policy = NULL;
    begin(t, EXCHANGE_FAR, 0, "GET", "/");
    t->policy = p;
    assert_int_equal(t->x.facts.status, 403);
}

/* P34 */
static void the_far_agent_believes_only_a_vouched_caller(void **state)
{
    struct story *t = *state;
    struct credential batch_only = {.service_count = 1, .service = {bytes_str("batch")}};
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("GET", "/");
    ask.vouch = &batch_only;
    begin_with(t, EXCHANGE_FAR, 0, &ask, &h);
    assert_int_equal(t->x.facts.status, 403);
    assert_string_equal(t->x.facts.rule, "identity");
    exchange_fini(&t->x);
    begin(t, EXCHANGE_FAR, 0, "GET", "/"); /* vouched: wants the application */
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_int_equal(t->x.app.port, 8080);
    assert_null(t->x.endpoint);
}

/* P35: the shorter way must not be the weaker one. */
static void an_endpoint_of_this_host_needs_a_vouched_caller_too(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("GET", "/");
    ask.vouch = NULL;
    begin_with(t, EXCHANGE_NEAR, 0, &ask, &h);
    assert_int_equal(t->x.facts.status, 403);
    assert_string_equal(t->x.facts.rule, "identity");
    exchange_fini(&t->x);
    begin(t, EXCHANGE_NEAR, 0, "GET", "/");
    assert_int_equal(t->x.app.port, 8080);
    assert_true(t->x.facts.local);
}

/* M12: a peer cannot find out which services exist by asking for them. */
static void far_unknown_and_denied_look_alike(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("GET", "/");
    ask.service = bytes_str("secret");
    ask.caller = (struct bytes){0};
    begin_with(t, EXCHANGE_FAR, 0, &ask, &h);
    assert_int_equal(t->x.facts.status, 403);
    assert_string_equal(t->x.facts.rule, "unmatched");
    exchange_fini(&t->x);
    expect_log(t,
               "front head 403 UAEX [403 3 unmatched denied by rule unmatched of policy 3: an unknown caller "
               "may not call secret so]\n"
               "front data denied by rule unmatched of policy 3: an unknown caller may not call secret so\n"
               "front end\nfront finish cut\n");
    h = request("GET", "/");
    ask.service = bytes_str("cart");
    begin_with(t, EXCHANGE_FAR, 0, &ask, &h);
    expect_log(t, "front head 403 UAEX [403 3 unmatched denied by rule unmatched of policy 3: an unknown "
                  "caller may not call cart so]\n"
                  "front data denied by rule unmatched of policy 3: an unknown caller may not call cart so\n"
                  "front end\nfront finish cut\n");
}

static void a_dead_agent_costs_one_more_try_on_another(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 2, "GET", "/");
    const struct view_endpoint *first = t->x.endpoint;
    assert_true(has_news(t));
    exchange_back_failed(&t->x, ERR_REFUSED);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_true(has_news(t));
    assert_ptr_not_equal(t->x.endpoint, first);
    assert_int_equal(traffic_outstanding(t->traffic, first), 0);
    expect_log(t, "");
    exchange_back_ready(&t->x, &t->back.side);
    exchange_end(&t->x, FROM_FRONT, NULL);
    answer(t, 200, "ok");
    assert_int_equal(t->x.facts.status, 200);
    assert_true(t->x.facts.retried);
    assert_int_equal(t->x.facts.flag, FLAG_NONE);
}

static void two_dead_agents_are_503_urx(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 2, "GET", "/");
    exchange_back_failed(&t->x, ERR_REFUSED);
    exchange_back_failed(&t->x, ERR_TIMEOUT);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 503);
    assert_int_equal(t->x.facts.flag, FLAG_URX);
}

static void an_endpoint_that_is_not_even_asked_does_not_cost_the_retry(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 3, "GET", "/");
    exchange_back_failed(&t->x, ERR_AGAIN); /* its link failed a moment ago */
    exchange_back_failed(&t->x, ERR_REFUSED);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING); /* the third of three */
    exchange_back_failed(&t->x, ERR_REFUSED);
    assert_int_equal(t->x.facts.flag, FLAG_URX);
}

/* A live agent under packet loss is in its pause now and then: that alone is no reason to refuse a request. */
static void the_last_endpoint_is_asked_although_it_failed_a_moment_ago(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 2, "GET", "/");
    const struct view_endpoint *first = t->x.endpoint;
    exchange_back_failed(&t->x, ERR_AGAIN);
    assert_ptr_not_equal(t->x.endpoint, first);
    assert_false(t->x.insists);
    const struct view_endpoint *last = t->x.endpoint;
    exchange_back_failed(&t->x, ERR_AGAIN);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_true(t->x.insists);
    assert_ptr_equal(t->x.endpoint, last);
    assert_int_equal(traffic_outstanding(t->traffic, last), 1);
    exchange_back_ready(&t->x, &t->back.side);
    exchange_end(&t->x, FROM_FRONT, NULL);
    answer(t, 200, "ok");
    assert_int_equal(t->x.facts.status, 200);
    assert_false(t->x.facts.retried); /* the agents were asked once */
    assert_int_equal(traffic_outstanding(t->traffic, last), 0);
}

static void who_insists_and_fails_is_told_why(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_back_failed(&t->x, ERR_AGAIN);
    assert_true(t->x.insists);
    exchange_back_failed(&t->x, ERR_TIMEOUT);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 503);
    assert_int_equal(t->x.facts.flag, FLAG_UF);
}

static void the_only_agent_dead_is_503_uf(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_back_failed(&t->x, ERR_REFUSED);
    assert_int_equal(t->x.facts.status, 503);
    assert_int_equal(t->x.facts.flag, FLAG_UF);
}

static void what_may_be_sent_twice(void **state)
{
    static const struct {
        const char *method;
        enum exchange_loss loss;
        bool body_sent, answered, again;
    } table[] = {
        {"GET", LOSS_STALE, false, false, true},    {"POST", LOSS_STALE, false, false, false},
        {"POST", LOSS_REFUSED, false, false, true}, {"POST", LOSS_REFUSED, true, false, false},
        {"GET", LOSS_CUT, false, false, false},     {"GET", LOSS_STALE, true, false, false},
        {"GET", LOSS_BROKEN, false, false, false},  {"GET", LOSS_CUT, false, true, false},
    };
    struct story *t = *state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct http_head cont = response(100);
        begin(t, EXCHANGE_NEAR, 2, table[i].method, "/");
        exchange_back_ready(&t->x, &t->back.side);
        if (table[i].body_sent)
            exchange_data(&t->x, FROM_FRONT, bytes_str("x"));
        if (table[i].answered)
            exchange_head(&t->x, &cont, NULL);
        exchange_lost(&t->x, FROM_BACK, table[i].loss);
        assert_int_equal(t->x.state, table[i].again ? EXCHANGE_SEEKING : EXCHANGE_OVER);
        if (!table[i].again)
            assert_int_equal(t->x.facts.status, table[i].loss == LOSS_REFUSED ? 503 : 502);
        exchange_fini(&t->x);
    }
}

static void a_stale_connection_is_replaced_by_a_fresh_one_to_the_same_application(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_FAR, 0, "GET", "/");
    exchange_end(&t->x, FROM_FRONT, NULL);
    exchange_back_ready(&t->x, &t->back.side);
    exchange_lost(&t->x, FROM_BACK, LOSS_STALE);
    assert_true(t->x.fresh);
    assert_int_equal(t->x.app.port, 8080);
    exchange_back_ready(&t->x, &t->other.side);
    expect_log(t, "back head GET /\nback end\nfront resume\nother head GET /\nother end\nfront resume\n");
    exchange_lost(&t->x, FROM_BACK, LOSS_STALE); /* not a third time */
    assert_int_equal(t->x.facts.status, 502);
    assert_int_equal(t->x.facts.flag, FLAG_UC);
}

static void half_an_answer_is_cut(void **state)
{
    struct story *t = *state;
    struct http_head h = response(200);
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_end(&t->x, FROM_FRONT, NULL);
    exchange_back_ready(&t->x, &t->back.side);
    exchange_head(&t->x, &h, NULL);
    exchange_data(&t->x, FROM_BACK, bytes_str("half"));
    exchange_lost(&t->x, FROM_BACK, LOSS_CUT);
    expect_log(
        t, "back head GET /\nback end\nfront resume\nfront head 200\nfront data half\nfront finish cut\n");
    assert_int_equal(t->x.facts.flag, FLAG_UC);
}

static void a_client_that_leaves_cuts_the_back_side(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_back_ready(&t->x, &t->back.side);
    exchange_lost(&t->x, FROM_FRONT, LOSS_CUT);
    expect_log(t, "back head GET /\nfront resume\nback finish cut\n");
    assert_int_equal(t->x.facts.flag, FLAG_DC);
    assert_int_equal(t->x.facts.status, 0);
}

static void a_client_that_leaves_while_seeking_is_news_for_the_owner(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    assert_true(has_news(t));
    exchange_lost(&t->x, FROM_FRONT, LOSS_CUT);
    assert_true(has_news(t));
    assert_int_equal(t->x.state, EXCHANGE_OVER);
}

static void the_deadline_covers_all_of_it(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    assert_int_equal(t->x.deadline, 11000);
    assert_int_equal(exchange_left_ms(&t->x, 4000), 7000);
    assert_int_equal(exchange_left_ms(&t->x, 12000), 1);
    exchange_back_ready(&t->x, &t->back.side);
    exchange_tick(&t->x, 10999);
    assert_int_equal(t->x.state, EXCHANGE_SENDING);
    exchange_tick(&t->x, 11000);
    assert_int_equal(t->x.facts.status, 504);
    assert_int_equal(t->x.facts.flag, FLAG_UT);
    expect_log(
        t, "back head GET /\nfront resume\n"
           "front head 504 UT [504 0 - cart did not answer in time]\nfront data cart did not answer in time\n"
           "front end\nback finish cut\nfront finish cut\n");
}

static void silence_ends_what_has_no_deadline_and_any_byte_renews_it(void **state)
{
    enum { LOOK = STALL_LOOK_MS };
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    mono_ms now = 1000; /* when it began */
    ask.protocol = PROTOCOL_TCP;
    ask.service = bytes_str("db");
    begin_with(t, EXCHANGE_NEAR, 1, &ask, NULL);
    exchange_back_ready(&t->x, &t->back.side);
    exchange_head(&t->x, NULL, NULL);
    buf_consume(&t->log, t->log.len);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(exchange_tick_at(&t->x), now += LOOK);
        exchange_tick(&t->x, now);
    }
    exchange_data(&t->x, FROM_BACK, bytes_str("one row"));
    for (int i = 0; i < 4; i++) { /* the first finds the row, three find silence */
        exchange_tick(&t->x, now += LOOK);
        assert_int_equal(t->x.state, EXCHANGE_ANSWERING);
    }
    expect_log(t, "front data one row\n");
    exchange_tick(&t->x, now += LOOK);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.flag, FLAG_SI);
    expect_log(t, "back finish cut\nfront finish cut\n");
}

static void a_deadline_is_all_there_is_to_wait_for(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    assert_int_equal(exchange_tick_at(&t->x), t->x.deadline);
}

static void the_deadline_travels(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("GET", "/");
    ask.deadline_ms = 250;
    begin_with(t, EXCHANGE_FAR, 0, &ask, &h);
    assert_int_equal(t->x.deadline, 1250);
}

static void the_far_agents_refusal_is_told_in_our_words(void **state)
{
    struct story *t = *state;
    struct mesh_verdict v = {
        .refused = 1, .flag = bytes_str("UAEX"), .reason = bytes_str("403 9 no-evil denied by rule no-evil")};
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_end(&t->x, FROM_FRONT, NULL);
    exchange_back_ready(&t->x, &t->back.side);
    buf_consume(&t->log, t->log.len);
    exchange_head(&t->x, NULL, &v);
    expect_log(t, "front head 403 UAEX [403 9 no-evil denied by rule no-evil]\nfront data denied by rule "
                  "no-evil\nfront end\n"
                  "back finish clean\nfront finish clean\n");
    assert_true(t->x.facts.refused_afar);
    assert_string_equal(t->x.facts.rule, "no-evil");
}

static void a_far_agent_cannot_make_us_say_anything_else(void **state)
{
    static const char *const lines[] = {"", "200 1 - fine", "999 1 - x", "banana", "403", "403 1 rule"};
    struct story *t = *state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct mesh_verdict v = {.refused = 1, .flag = bytes_str("??"), .reason = bytes_str(lines[i])};
        begin(t, EXCHANGE_NEAR, 1, "GET", "/");
        exchange_back_ready(&t->x, &t->back.side);
        exchange_head(&t->x, NULL, &v);
        assert_true(t->x.facts.status >= 400 && t->x.facts.status <= 599);
        exchange_fini(&t->x);
    }
}

static void an_early_answer_ends_the_exchange_although_the_request_has_not(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "POST", "/");
    exchange_back_ready(&t->x, &t->back.side);
    answer(t, 413, "too big");
    expect_log(t, "back head POST /\nfront resume\nfront head 413\nfront data too big\nfront end\nback "
                  "finish cut\nfront finish cut\n");
    assert_int_equal(t->x.facts.status, 413);
}

static void continue_is_passed_on_and_is_not_the_answer(void **state)
{
    struct story *t = *state;
    struct http_head cont = response(100);
    begin(t, EXCHANGE_NEAR, 1, "POST", "/");
    exchange_back_ready(&t->x, &t->back.side);
    exchange_head(&t->x, &cont, NULL);
    assert_int_equal(t->x.state, EXCHANGE_SENDING);
    exchange_data(&t->x, FROM_FRONT, bytes_str("body"));
    exchange_end(&t->x, FROM_FRONT, NULL);
    answer(t, 200, "ok");
    expect_log(t, "back head POST /\nfront resume\nfront head 100\nback data body\nback end\nfront head "
                  "200\nfront data ok\nfront end\n"
                  "back finish clean\nfront finish clean\n");
}

static struct http_head upgrade_request(void)
{
    struct http_head h = request("GET", "/ws");
    h.upgrade = bytes_str("websocket");
    return h;
}

static void an_upgrade_that_is_granted_is_a_tunnel_without_deadline(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = upgrade_request(), yes = response(101);
    begin_with(t, EXCHANGE_NEAR, 1, &ask, &h);
    exchange_end(&t->x, FROM_FRONT, NULL);
    exchange_back_ready(&t->x, &t->back.side);
    expect_log(t, "back head GET /ws\nfront resume\n"); /* its end is held: the direction may go on */
    exchange_head(&t->x, &yes, NULL);
    assert_true(t->x.tunnel);
    assert_true(t->x.deadline == NEVER);
    exchange_data(&t->x, FROM_FRONT, bytes_str("frame"));
    exchange_end(&t->x, FROM_BACK, NULL);
    assert_int_equal(t->x.state, EXCHANGE_ANSWERING); /* each direction ends by itself */
    exchange_end(&t->x, FROM_FRONT, NULL);
    expect_log(t, "front head 101\nfront resume\nback data frame\nfront end\nback end\nback finish "
                  "clean\nfront finish clean\n");
}

static void an_upgrade_that_is_not_granted_ends_like_any_request(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = upgrade_request();
    begin_with(t, EXCHANGE_NEAR, 1, &ask, &h);
    exchange_end(&t->x, FROM_FRONT, NULL);
    exchange_back_ready(&t->x, &t->back.side);
    answer(t, 200, "no");
    expect_log(t, "back head GET /ws\nfront resume\nback end\nfront head 200\nfront data no\nfront end\nback "
                  "finish clean\nfront finish clean\n");
}

static void tcp_is_bytes_and_each_direction_ends_by_itself(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    ask.protocol = PROTOCOL_TCP;
    ask.service = bytes_str("db");
    begin_with(t, EXCHANGE_NEAR, 1, &ask, NULL);
    assert_true(t->x.deadline == NEVER);
    exchange_back_ready(&t->x, &t->back.side);
    exchange_data(&t->x, FROM_FRONT, bytes_str("select"));
    exchange_end(&t->x, FROM_FRONT, NULL);
    exchange_head(&t->x, NULL, NULL);
    exchange_data(&t->x, FROM_BACK, bytes_str("rows"));
    exchange_end(&t->x, FROM_BACK, NULL);
    expect_log(t,
               "back head\nfront resume\nback data select\nback end\nfront head\nfront data rows\nfront end\n"
               "back finish clean\nfront finish clean\n");
    assert_int_equal(t->x.facts.status, 0);
}

static void tcp_refused_is_an_end_with_a_reason_for_agents(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    ask.protocol = PROTOCOL_TCP;
    ask.service = bytes_str("db");
    ask.caller = (struct bytes){0};
    begin_with(t, EXCHANGE_NEAR, 1, &ask, NULL);
    expect_log(t, "front head UAEX [403 3 unmatched denied by rule unmatched of policy 3: an unknown caller "
                  "may not call db so]\n"
                  "front end\nfront finish cut\n");
    assert_int_equal(t->x.facts.flag, FLAG_UAEX);
}

static void room_is_the_sinks_and_resume_is_the_sources(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "POST", "/");
    exchange_back_ready(&t->x, &t->back.side);
    buf_consume(&t->log, t->log.len);
    t->back.room = 7;
    t->front.room = 9;
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 7);
    assert_int_equal(exchange_room(&t->x, FROM_BACK), 9);
    exchange_writable(&t->x, FROM_BACK);
    exchange_writable(&t->x, FROM_FRONT);
    expect_log(t, "front resume\nback resume\n");
}

static void the_owner_going_away_detaches_both_sides(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_back_ready(&t->x, &t->back.side);
    buf_consume(&t->log, t->log.len);
    exchange_fini(&t->x);
    expect_log(t, "back finish cut\nfront finish cut\n");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_request_goes_out_and_its_answer_comes_back),
        T(the_end_of_a_request_without_body_waits_for_the_back_side),
        T(a_denied_request_names_rule_and_policy_and_never_seeks),
        T(what_audit_decided_is_in_the_facts),
        T(a_refusal_of_head_has_no_body),
        T(refusals_by_cause),
        T(hosts_name_services),
        T(the_declared_port_and_no_port_name_a_service),
        T(without_a_policy_everything_is_denied),
        T(the_far_agent_believes_only_a_vouched_caller),
        T(an_endpoint_of_this_host_needs_a_vouched_caller_too),
        T(far_unknown_and_denied_look_alike),
        T(a_dead_agent_costs_one_more_try_on_another),
        T(two_dead_agents_are_503_urx),
        T(an_endpoint_that_is_not_even_asked_does_not_cost_the_retry),
        T(the_last_endpoint_is_asked_although_it_failed_a_moment_ago),
        T(who_insists_and_fails_is_told_why),
        T(the_only_agent_dead_is_503_uf),
        T(what_may_be_sent_twice),
        T(a_stale_connection_is_replaced_by_a_fresh_one_to_the_same_application),
        T(half_an_answer_is_cut),
        T(a_client_that_leaves_cuts_the_back_side),
        T(a_client_that_leaves_while_seeking_is_news_for_the_owner),
        T(the_deadline_covers_all_of_it),
        T(silence_ends_what_has_no_deadline_and_any_byte_renews_it),
        T(a_deadline_is_all_there_is_to_wait_for),
        T(the_deadline_travels),
        T(the_far_agents_refusal_is_told_in_our_words),
        T(a_far_agent_cannot_make_us_say_anything_else),
        T(an_early_answer_ends_the_exchange_although_the_request_has_not),
        T(continue_is_passed_on_and_is_not_the_answer),
        T(an_upgrade_that_is_granted_is_a_tunnel_without_deadline),
        T(an_upgrade_that_is_not_granted_ends_like_any_request),
        T(tcp_is_bytes_and_each_direction_ends_by_itself),
        T(tcp_refused_is_an_end_with_a_reason_for_agents),
        T(room_is_the_sinks_and_resume_is_the_sources),
        T(the_owner_going_away_detaches_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
