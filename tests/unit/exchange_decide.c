/* Who may call what, by which name, and in which words it is refused. */
#include "base/rng.h"
#include "exchange_world.h"

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

static struct view *view_with(const char *overlay)
{
    struct policy_source src[] = {{.text = bytes_str(policy_text)},
                                  {.text = bytes_str(overlay), .is_overlay = true}};
    struct policy *p = NULL;
    struct complaints c = {.file = "p.yaml"};
    if (policy_compile_sources(&p, src, *overlay ? 2 : 1, &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    struct view *v = make_view(p, 1);
    policy_unref(p);
    buf_fini(&c.text);
    return v;
}

#define OVERLAY                                                                                              \
    "overlay: v1\nmesh: m.example\nname: night\nversion: 1\nreason: r\nends: "                               \
    "2027-01-15T12:00:00Z\nintentions: "

static void begin_under(struct story *t, struct view *v, enum exchange_role role, const char *path)
{
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("GET", path);
    exchange_init(&t->x, role, v, t->traffic, &t->front.side, &t->news, 0);
    exchange_start(&t->x, &ask, &h, 1000);
    (void)has_news(t);
}

/* Break-glass: what an overlay lets through ends with it, and answers under its name; everything else stays with the view that it
 * began with (P33). */
static void what_an_overlay_lets_through_ends_with_it(void **state)
{
    struct story *t = *state;
    struct view *night = view_with(OVERLAY
                                   "[{name: in, from: [web], to: cart, allow: [{paths: [\"/admin\"]}]}]\n"),
                *day = view_with(""),
                *other = view_with(
                    OVERLAY
                    "[{name: in, from: [web], to: cart, allow: [{paths: [\"/adm\", \"/admin\"]}]}]\n");
    static const enum exchange_role roles[] = {EXCHANGE_NEAR, EXCHANGE_FAR};
    for (size_t i = 0; i < 2; i++) {
        begin_under(t, night, roles[i], "/admin");
        assert_string_equal(t->x.facts.rule, "overlay:night/in");
        assert_true(t->x.facts.by_overlay && t->x.facts.overlay_allowed);
        if (i == 0) {
            exchange_rejudge(&t->x, other); /* another one says the same */
            assert_int_equal(t->x.state, EXCHANGE_SEEKING);
            exchange_rejudge(&t->x, day);
            assert_int_equal(t->x.facts.status, 403); /* nothing was answered yet: it is told why */
            assert_int_equal(t->x.facts.flag, FLAG_UAEX);
        } else {
            assert_int_equal(t->x.state, EXCHANGE_OVER); /* the far agent serves no cart here: 503 */
        }
        assert_int_equal(t->x.state, EXCHANGE_OVER);
        assert_string_equal(t->x.facts.rule, "overlay:night/in");
        exchange_rejudge(&t->x, day); /* once */
        (void)has_news(t);
        exchange_fini(&t->x);
        memset(&t->x, 0, sizeof t->x);
    }
    begin_under(t, night, EXCHANGE_NEAR, "/a");
    exchange_rejudge(&t->x, day);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING); /* the policy let it through */
    view_unref(night);
    view_unref(day);
    view_unref(other);
}

static void what_an_overlay_denies_now_is_cut_under_way(void **state)
{
    struct story *t = *state;
    struct view *day = view_with(""),
                *night = view_with(OVERLAY "[{name: stop, from: [web], to: cart, deny: [{}]}]\n"),
                *elsewhere = view_with(OVERLAY "[{name: stop, from: [web], to: db, deny: [{}]}]\n");
    begin_under(t, day, EXCHANGE_NEAR, "/a");
    exchange_rejudge(&t->x, elsewhere);
    exchange_rejudge(&t->x, day);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    exchange_rejudge(&t->x, night);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_string_equal(t->x.facts.rule, "overlay:night/stop");
    assert_true(t->x.facts.by_overlay && !t->x.facts.overlay_allowed && t->x.facts.status == 403);
    (void)has_news(t);
    view_unref(night);
    view_unref(day);
    view_unref(elsewhere);
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

/* A user stays on one side of a split whatever the dice; who does not say who he is is thrown for. */
static void a_sticky_split_goes_by_the_header(void **state)
{
    (void)state;
    static const char text[] =
        "policy: v1\nmesh: m.example\nversion: 3\nservices:\n  cart:\n    protocol: http\n    unmatched: "
        "audit\n"
        "    subsets: {v1: {version: \"1\"}, v2: {version: \"2\"}}\n"
        "    routes: [{name: r, sticky: {header: X-User}, to: [{subset: v1, weight: 3}, {subset: v2}]}]\n";
    struct policy *p = NULL;
    struct rng r = rng_seeded(5);
    size_t on_v1 = 0, thrown_v1 = 0;
    assert_int_equal(policy_compile(&p, bytes_str(text), NULL), ERR_OK);
    struct view *v = make_view(p, 1);
    for (int i = 0; i < 400; i++) {
        struct exchange_ask ask = {.protocol = PROTOCOL_HTTP, .service = bytes_str("cart")};
        struct http_head h = request("GET", "/");
        struct decision d, again;
        char user[24];
        snprintf(user, sizeof user, "user-%d", i);
        ask.dice = rng_u64(&r);
        decide_near(&d, v, &ask, &h);
        thrown_v1 += strcmp(d.subset->name, "v1") == 0;
        assert_ptr_equal(d.subset, policy_route_pick(d.route, ask.dice)->subset);
        h.header[h.header_count++] = (struct http_header){bytes_str("x-user"), bytes_str(user)};
        decide_near(&d, v, &ask, &h);
        ask.dice = rng_u64(&r);
        decide_near(&again, v, &ask, &h);
        assert_ptr_equal(again.subset, d.subset);
        assert_ptr_equal(d.subset, policy_route_pick(d.route, policy_key_hash(bytes_str(user)))->subset);
        on_v1 += strcmp(d.subset->name, "v1") == 0;
    }
    /* 300 of each are expected; six standard deviations are 52. */
    assert_in_range(on_v1, 248, 352);
    assert_in_range(thrown_v1, 248, 352);
    view_unref(v);
    policy_unref(p);
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

static void the_far_agents_refusal_is_told_in_our_words(void **state)
{
    struct story *t = *state;
    struct mesh_verdict v = {
        .refused = 1, .flag = bytes_str("UAEX"), .reason = bytes_str("403 9 no-evil denied by rule no-evil")};
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    buf_consume(&t->log, t->log.len);
    exchange_head(&t->x, NULL, &v, t->now_us);
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
        exchange_back_ready(&t->x, &t->back.side, t->now_us);
        exchange_head(&t->x, NULL, &v, t->now_us);
        if (t->x.state != EXCHANGE_OVER) { /* what cannot be read is 502, and tried once more */
            wait_for_retry(t);
            exchange_back_ready(&t->x, &t->back.side, t->now_us);
            exchange_head(&t->x, NULL, &v, t->now_us);
        }
        assert_true(t->x.facts.status >= 400 && t->x.facts.status <= 599);
        exchange_fini(&t->x);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_denied_request_names_rule_and_policy_and_never_seeks),
        T(what_audit_decided_is_in_the_facts),
        T(what_an_overlay_lets_through_ends_with_it),
        T(what_an_overlay_denies_now_is_cut_under_way),
        T(a_sticky_split_goes_by_the_header),
        T(a_refusal_of_head_has_no_body),
        T(refusals_by_cause),
        T(hosts_name_services),
        T(the_declared_port_and_no_port_name_a_service),
        T(without_a_policy_everything_is_denied),
        T(the_far_agent_believes_only_a_vouched_caller),
        T(an_endpoint_of_this_host_needs_a_vouched_caller_too),
        T(far_unknown_and_denied_look_alike),
        T(the_far_agents_refusal_is_told_in_our_words),
        T(a_far_agent_cannot_make_us_say_anything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
