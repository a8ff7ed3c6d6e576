/* Who may call whom: the semantics of intentions, rule by rule. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/policy.h"

#define HEAD                                                                                                 \
    "policy: v1\nmesh: m\nversion: 1\nservices: {cart: {protocol: http}, soft: {protocol: http, unmatched: " \
    "audit}, db: {protocol: tcp}}\n"

static struct policy *compiled(const char *intentions)
{
    struct buf text = {0};
    struct complaints c = {0};
    struct policy *p = NULL;
    buf_addf(&text, "%sintentions:\n%s", HEAD, intentions);
    if (policy_compile(&p, buf_bytes(&text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&text);
    buf_fini(&c.text);
    return p;
}

static struct policy_verdict asked(const struct policy *p, const char *from, const char *to,
                                   const char *method, const char *path)
{
    struct policy_request rq = {
        .caller = bytes_str(from), .method = bytes_str(method), .path = bytes_str(path)};
    return policy_decide(p, policy_service(p, bytes_str(to)), &rq);
}

/* "allow RULE", "deny RULE", and " audit [RULE]" when audited. */
static void expect(const struct policy *p, const char *from, const char *to, const char *method,
                   const char *path, const char *want)
{
    char got[200];
    struct policy_verdict v = asked(p, from, to, method, path);
    assert_true(v.audited || !v.audit_rule);
    snprintf(got, sizeof got, "%s %s%s%s%s", v.allowed ? "allow" : "deny", v.rule, v.audited ? " audit" : "",
             v.audit_rule ? " " : "", v.audit_rule ? v.audit_rule : "");
    assert_string_equal(got, want);
}

static void without_a_rule_the_answer_is_unmatched(void **state)
{
    (void)state;
    struct policy *p = compiled("  - {name: a, from: [web], to: cart}\n");
    expect(p, "web", "cart", "GET", "/", "allow a");
    expect(p, "stranger", "cart", "GET", "/", "deny unmatched");
    expect(p, "", "cart", "GET", "/", "deny unmatched");
    expect(p, "web", "soft", "GET", "/", "allow unmatched audit");
    expect(p, "web", "db", "", "", "deny unmatched");
    policy_unref(p);
}

static void any_deny_beats_every_allow_in_any_order(void **state)
{
    (void)state;
    struct policy *p = compiled(
        "  - {name: all, from: [\"*\"], to: cart}\n"
        "  - {name: no-admin, from: [\"*\"], except: [ops], to: cart, deny: [{paths: [\"/admin/*\"]}]}\n"
        "  - {name: web-too, from: [web], to: cart, allow: [{paths: [\"/admin/*\"]}]}\n");
    expect(p, "web", "cart", "GET", "/x", "allow all");
    expect(p, "web", "cart", "GET", "/admin/x", "deny no-admin");
    expect(p, "web", "cart", "GET", "/admin", "deny no-admin");
    expect(p, "web", "cart", "GET", "/administrator", "allow all");
    expect(p, "ops", "cart", "GET", "/admin/x", "allow all");
    expect(p, "", "cart", "GET", "/admin/x", "deny no-admin");
    policy_unref(p);
}

/* CVE-2021-36213: a lone deny must not open the rest. */
static void a_lone_deny_opens_nothing(void **state)
{
    (void)state;
    struct policy *p = compiled("  - {name: d, from: [\"*\"], to: cart, deny: [{paths: [/x]}]}\n");
    expect(p, "web", "cart", "GET", "/y", "deny unmatched");
    expect(p, "web", "cart", "GET", "/x", "deny d");
    policy_unref(p);
}

static void the_first_rule_of_the_file_gives_its_name(void **state)
{
    (void)state;
    struct policy *p = compiled("  - {name: one, from: [\"*\"], to: cart, deny: [{methods: [GET]}]}\n"
                                "  - {name: two, from: [web], to: cart, deny: [{}]}\n"
                                "  - {name: three, from: [web], to: cart, deny: [{methods: [PUT]}]}\n");
    expect(p, "web", "cart", "GET", "/", "deny one");
    expect(p, "web", "cart", "PUT", "/", "deny two");
    policy_unref(p);
}

static void methods_and_paths_must_both_match(void **state)
{
    (void)state;
    struct policy *p = compiled("  - {name: a, from: [web], to: cart, allow: [{methods: [GET, POST], paths: "
                                "[\"/cart/*\", /checkout]}, "
                                "{methods: [DELETE]}]}\n");
    expect(p, "web", "cart", "GET", "/cart", "allow a");
    expect(p, "web", "cart", "POST", "/cart/7/items", "allow a");
    expect(p, "web", "cart", "GET", "/checkout", "allow a");
    expect(p, "web", "cart", "GET", "/checkout/", "deny unmatched");
    expect(p, "web", "cart", "GET", "/cartoon", "deny unmatched");
    expect(p, "web", "cart", "PUT", "/cart/7", "deny unmatched");
    expect(p, "web", "cart", "DELETE", "/anything", "allow a");
    policy_unref(p);
}

/* P14: `get` is not GET, and no rule on GET speaks of it. */
static void methods_are_case_sensitive_P14(void **state)
{
    (void)state;
    struct policy *p = compiled("  - {name: a, from: [web], to: cart, allow: [{methods: [GET]}]}\n");
    static const char *const others[] = {"get", "GeT", "GET\t", "GET ", "", "GETS", "GE", "PURGE"};
    expect(p, "web", "cart", "GET", "/", "allow a");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        expect(p, "web", "cart", others[i], "/", "deny unmatched");
    policy_unref(p);
}

/* P10: paths arrive normalised; what is not under /public is not, however near it looks. */
static void near_misses_of_a_path_do_not_match_P10(void **state)
{
    (void)state;
    struct policy *p = compiled("  - {name: a, from: [web], to: cart, allow: [{paths: [\"/public/*\"]}]}\n");
    static const char *const others[] = {
        "/publicadmin", "/public%2F..%2Fadmin", "/public;/admin", "/Public/x", "/", "", "public/x", "/publi"};
    expect(p, "web", "cart", "GET", "/public/a", "allow a");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        expect(p, "web", "cart", "GET", others[i], "deny unmatched");
    policy_unref(p);
}

static void on_tcp_only_identity_counts(void **state)
{
    (void)state;
    struct policy *p = compiled("  - {name: store, from: [cart, orders], to: db}\n"
                                "  - {name: not-old, from: [old], to: db, deny: [{}]}\n");
    expect(p, "cart", "db", "", "", "allow store");
    expect(p, "orders", "db", "GET", "/whatever", "allow store");
    expect(p, "old", "db", "", "", "deny not-old");
    expect(p, "web", "db", "", "", "deny unmatched");
    policy_unref(p);
}

static void except_lists_take_callers_out(void **state)
{
    (void)state;
    struct policy *p =
        compiled("  - {name: most, from: [\"*\"], except: [b, a, c], to: cart}\n"
                 "  - {name: named, from: [a, d], except: [d], to: cart, allow: [{paths: [/a]}]}\n");
    expect(p, "x", "cart", "GET", "/", "allow most");
    expect(p, "a", "cart", "GET", "/", "deny unmatched");
    expect(p, "b", "cart", "GET", "/", "deny unmatched");
    expect(p, "c", "cart", "GET", "/", "deny unmatched");
    expect(p, "a", "cart", "GET", "/a", "allow named");
    expect(p, "d", "cart", "GET", "/a", "allow most");
    policy_unref(p);
}

static void audit_mode_decides_nothing_and_records(void **state)
{
    (void)state;
    struct policy *p =
        compiled("  - {name: a, from: [web, legacy], to: cart, allow: [{methods: [GET]}]}\n"
                 "  - {name: no-old, from: [legacy], to: cart, deny: [{}], mode: audit}\n"
                 "  - {name: maybe, from: [\"*\"], to: cart, allow: [{methods: [GET, PUT]}], mode: audit}\n"
                 "  - {name: hard, from: [bad], to: cart, deny: [{}]}\n"
                 "  - {name: soft-no, from: [bad], to: soft, deny: [{}], mode: audit}\n"
                 "  - {name: soft-yes, from: [web], to: soft, mode: audit}\n");
    expect(p, "legacy", "cart", "GET", "/", "allow a audit no-old");
    expect(p, "web", "cart", "GET", "/", "allow a");
    expect(p, "web", "cart", "PUT", "/", "deny unmatched audit maybe");
    expect(p, "web", "cart", "POST", "/", "deny unmatched");
    expect(p, "legacy", "cart", "PUT", "/",
           "deny unmatched");                          /* audit's deny would have beaten audit's allow */
    expect(p, "bad", "cart", "GET", "/", "deny hard"); /* would have been denied either way */
    expect(p, "bad", "soft", "GET", "/", "allow unmatched audit soft-no");
    expect(p, "web", "soft", "GET", "/", "allow unmatched audit");
    policy_unref(p);
}

static void one_rule_may_allow_and_deny(void **state)
{
    (void)state;
    struct policy *p = compiled(
        "  - {name: both, from: [web], to: cart, allow: [{}], deny: [{paths: [\"/internal/*\"]}]}\n");
    expect(p, "web", "cart", "GET", "/", "allow both");
    expect(p, "web", "cart", "GET", "/internal/x", "deny both");
    policy_unref(p);
}

static void a_rule_on_one_service_says_nothing_about_another(void **state)
{
    (void)state;
    struct policy *p =
        compiled("  - {name: a, from: [web], to: cart}\n  - {name: d, from: [web], to: soft, deny: [{}]}\n");
    expect(p, "web", "cart", "GET", "/", "allow a");
    expect(p, "web", "soft", "GET", "/", "deny d");
    policy_unref(p);
}

static void tests_in_the_file_name_what_went_wrong(void **state)
{
    (void)state;
    struct complaints c = {.file = "p"};
    struct policy *p = NULL;
    size_t run = 0;
    const char *text =
        "policy: v1\nmesh: m\nversion: 1\n"
        "services:\n"
        "  a:\n"
        "    protocol: http\n"
        "    subsets: {v1: {v: \"1\"}, v2: {v: \"2\"}, v3: {v: \"3\"}}\n"
        "    routes:\n"
        "      - {name: x, match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}, {subset: v3, "
        "weight: 0}]}\n"
        "      - {name: y, match: [{path: {prefix: /y}}]}\n"
        "intentions: [{name: i, from: [b], to: a}]\n"
        "tests:\n"
        "  - {from: b, to: a, request: GET /x, expect: allow, rule: i, route: x, subset: [v2, v1]}\n"
        "  - {from: c, to: a, request: GET /x, expect: deny, rule: unmatched}\n"
        "  - {from: b, to: a, request: GET /x, expect: deny}\n"
        "  - {from: c, to: a, request: GET /x, expect: allow}\n"
        "  - {from: c, to: a, request: GET /x, expect: deny, rule: i}\n"
        "  - {from: b, to: a, request: GET /x, expect: allow, route: y}\n"
        "  - {from: b, to: a, request: GET /x, expect: allow, subset: [v1]}\n"
        "  - {from: b, to: a, request: GET /y, expect: allow, subset: v1}\n"
        "  - {from: b, to: a, request: GET /z, expect: allow}\n";
    if (policy_compile(&p, bytes_str(text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    assert_int_equal(policy_test(p, &run, &c), 7);
    assert_int_equal(run, 9);
    assert_string_equal(
        buf_str(&c.text),
        "p:15:5: test failed: allowed by `i`, expected deny\n"
        "p:16:5: test failed: denied by `unmatched`, expected allow\n"
        "p:17:5: test failed: denied by `unmatched`, expected rule `i`\n"
        "p:18:5: test failed: route is `x`, expected `y`\n"
        "p:19:5: test failed: route `x` may send it to `v2`, which is not expected\n"
        "p:20:5: test failed: route `y` may send it to `any instance`, which is not expected\n"
        "p:21:5: test failed: allowed, but no route of `a` takes it (404 NR)\n");
    policy_unref(p);
    buf_fini(&c.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_rule_the_answer_is_unmatched),
        cmocka_unit_test(any_deny_beats_every_allow_in_any_order),
        cmocka_unit_test(a_lone_deny_opens_nothing),
        cmocka_unit_test(the_first_rule_of_the_file_gives_its_name),
        cmocka_unit_test(methods_and_paths_must_both_match),
        cmocka_unit_test(methods_are_case_sensitive_P14),
        cmocka_unit_test(near_misses_of_a_path_do_not_match_P10),
        cmocka_unit_test(on_tcp_only_identity_counts),
        cmocka_unit_test(except_lists_take_callers_out),
        cmocka_unit_test(audit_mode_decides_nothing_and_records),
        cmocka_unit_test(one_rule_may_allow_and_deny),
        cmocka_unit_test(a_rule_on_one_service_says_nothing_about_another),
        cmocka_unit_test(tests_in_the_file_name_what_went_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
