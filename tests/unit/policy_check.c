/* What only the whole shows (warnings), several texts that are one policy, and complaints in parts. */
#include "policy_world.h"

#define WEB "services: {a: {protocol: http}}\nintentions:\n"

static void a_rule_that_others_leave_nothing_is_told(void **state)
{
    (void)state;
    static const char never[] = "never decides anything";
    static const struct {
        const char *rules;
        const char *shadowed, *by; /* NULL: no warning */
    } cases[] = {
        /* a deny beats every allow, wherever it stands */
        {"  - {name: r, from: [w], to: a, allow: [{paths: [\"/admin/*\"]}]}\n"
         "  - {name: q, from: [w], to: a, deny: [{}]}\n"
         "  - {name: z, from: [x], to: a}\n",
         "r", "q"},
        {"  - {name: q, from: [\"*\"], to: a, deny: [{paths: [\"/admin/*\"]}]}\n"
         "  - {name: r, from: [w], to: a, allow: [{paths: [/admin/x, \"/admin/y/*\"], methods: [GET]}]}\n"
         "  - {name: z, from: [x], to: a}\n",
         "r", "q"},
        /* but not for a caller that it excepts, */
        {"  - {name: q, from: [\"*\"], except: [w], to: a, deny: [{}]}\n  - {name: r, from: [w], to: a}\n",
         NULL, NULL},
        /* nor if some of the rule's callers are left, */
        {"  - {name: q, from: [w], to: a, deny: [{}]}\n  - {name: r, from: [w, x], to: a}\n", NULL, NULL},
        /* nor another method, or path, */
        {"  - {name: q, from: [w], to: a, deny: [{methods: [PUT]}]}\n  - {name: r, from: [w], to: a}\n", NULL,
         NULL},
        {"  - {name: q, from: [w], to: a, deny: [{paths: [/x]}]}\n"
         "  - {name: r, from: [w], to: a, allow: [{paths: [\"/x/*\"]}]}\n",
         NULL, NULL},
        /* nor if it only records. */
        {"  - {name: q, from: [w], to: a, deny: [{}], mode: audit}\n  - {name: r, from: [w], to: a}\n", NULL,
         NULL},
        {"  - {name: r, from: [w], to: a}\n  - {name: q, from: [w], to: a, allow: [{methods: [GET]}], mode: "
         "audit}\n",
         NULL, NULL},
        /* Of two of one kind the first gives the name. */
        {"  - {name: q, from: [w], to: a}\n  - {name: r, from: [w], to: a, allow: [{paths: [/x]}]}\n", "r",
         "q"},
        {"  - {name: q, from: [\"*\"], to: a}\n  - {name: r, from: [w], to: a}\n", "r", "q"},
        {"  - {name: r, from: [w], to: a}\n  - {name: q, from: [\"*\"], to: a}\n", NULL, NULL},
        {"  - {name: q, from: [\"*\"], except: [w], to: a}\n  - {name: r, from: [\"*\"], except: [w, x], to: "
         "a}\n",
         "r", "q"},
        {"  - {name: q, from: [\"*\"], except: [w, x], to: a}\n  - {name: r, from: [\"*\"], except: [w], to: "
         "a}\n",
         NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct complaints c = {.file = "p"};
        struct policy *p = NULL;
        struct buf text = {0}, want = {0};
        buf_addf(&text, HEAD WEB "%s", cases[i].rules);
        if (cases[i].shadowed)
            buf_addf(&want, "rule `%s` %s: `%s` has decided", cases[i].shadowed, never, cases[i].by);
        assert_int_equal(policy_compile(&p, buf_bytes(&text), &c), ERR_OK);
        if (c.warnings != (cases[i].shadowed != NULL) || !strstr(buf_str(&c.text), buf_str(&want)))
            fail_msg("%s-> %s (wanted: %s)", cases[i].rules, buf_str(&c.text), buf_str(&want));
        policy_unref(p);
        buf_fini(&c.text);
        buf_fini(&text);
        buf_fini(&want);
    }
}

static void a_service_that_nobody_may_call_is_told(void **state)
{
    (void)state;
    expect_said(
        "services: {a: {protocol: http}, b: {protocol: tcp, unmatched: audit}}\n", true,
        "p.yaml:4:12: warning: nobody may call `a`: no intention allows anything to it, and `unmatched` "
        "denies\n");
    expect_said(
        WEB "  - {name: r, from: [w], to: a, allow: [{}], mode: audit}\n", true,
        "p.yaml:4:12: warning: nobody may call `a`: no intention allows anything to it, and `unmatched` "
        "denies\n");
    expect_said(WEB "  - {name: r, from: [w], to: a}\n", true, "");
    expect_said("defaults: {unmatched: audit}\nservices: {a: {protocol: http}}\n", true, "");
}

static void an_error_keeps_warnings_that_may_follow_from_it_away(void **state)
{
    (void)state;
    expect_complaint("services: {a: {protocol: http}}\nintentions: [{name: i, from: [w], to: aa}]\n",
                     "p.yaml:5:39: no service `aa` in this policy; add it to `services`\n");
}

/* -- several texts ---------------------------------------------------------------------------------- */

static const struct bytes team_services[] = {{(const uint8_t *)"team-*", 6}, {(const uint8_t *)"shared", 6}};
static const struct policy_reach team = {"team", team_services, 2};

#define PART "policy: v1\nmesh: shop.example\npart: team\nversion: 3\n"
#define MAIN                                                                                                 \
    HEAD "services: {shared: {protocol: http, unmatched: audit}, own: {protocol: http, unmatched: audit}}\n"

static enum err compile_both(struct policy **p, const char *main, const char *part,
                             const struct policy_reach *reach, struct complaints *c)
{
    const struct policy_source src[] = {
        {.file = "main.yaml", .text = bytes_str(main)},
        {.file = "team.yaml", .text = bytes_str(part), .reach_or_null = reach}};
    return policy_compile_sources(p, src, 2, c);
}

static void expect_both(const char *part, const struct policy_reach *reach, const char *words)
{
    struct complaints c = {0};
    struct policy *p = NULL;
    enum err e = compile_both(&p, MAIN, part, reach, &c);
    const char *text = buf_str(&c.text);
    /* The complaint's own line; the source line and the caret below it are complain.c's matter. */
    if (e != ERR_INVALID || strncmp(text, words, strlen(words)) != 0 || c.count != 1)
        fail_msg("%s-> %d: %s (wanted: %s)", part, e, text, words);
    assert_null(c.source_list);
    policy_unref(p);
    buf_fini(&c.text);
}

static void a_part_speaks_for_its_services(void **state)
{
    (void)state;
    struct complaints c = {0};
    struct policy *p = NULL;
    enum err e = compile_both(
        &p, MAIN "intentions: [{name: web, from: [web], to: own}]\ndefaults: {timeouts: {connect: 9s}}\n",
        PART "expires: 2027-01-31T00:00:00Z\n"
             "services: {team-a: {protocol: http, retry: {attempts: 3}}}\n"
             "intentions:\n"
             "  - {name: web, from: [web], to: team-a}\n"
             "  - {name: no, from: [bad], to: shared, deny: [{}]}\n"
             "faults: [{name: f, to: team-a, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z}]\n"
             "tests:\n"
             "  - {from: web, to: team-a, request: GET /, expect: allow, rule: web}\n"
             "  - {from: bad, to: shared, request: GET /, expect: deny, rule: team/no}\n",
        &team, &c);
    if (e != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    const struct policy_request rq = {
        .caller = bytes_str("web"), .method = bytes_str("GET"), .path = bytes_str("/")};
    size_t run, cursor = 0;
    assert_int_equal(policy_version(p), 7);
    assert_int_equal(policy_expires(p), 0);
    assert_null(policy_part(p));
    assert_int_equal(policy_source_count(p), 2);
    assert_int_equal(policy_source_version(p, 1), 3);
    assert_int_equal(policy_source_expires(p, 1), 1801353600);
    assert_int_equal(policy_service_settings(service_of(p, "team-a"))->timeouts.connect_ms, 9000);
    assert_string_equal(policy_decide(p, service_of(p, "team-a"), &rq).rule, "team/web");
    assert_string_equal(policy_decide(p, service_of(p, "own"), &rq).rule, "web");
    assert_string_equal(policy_fault_next(p, &cursor)->name, "team/f");
    assert_int_equal(policy_test(p, &run, &c), 0);
    assert_int_equal(run, 2);
    policy_unref(p);
    buf_fini(&c.text);
}

static void a_part_speaks_for_nothing_else(void **state)
{
    (void)state;
    static const char *const beyond[] = {"defaults: {}", "egress: []",        "audit: {}",
                                         "revoke: []",   "observability: {}", "rollout: {steps: [100%]}"};
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        struct buf part = {0}, want = {0};
        buf_addf(&part, PART "%s\n", beyond[i]);
        buf_addf(
            &want,
            "team.yaml:5:1: `%.*s` is out of reach of delegation `team`; it speaks for its services only\n",
            (int)strcspn(beyond[i], ":"), beyond[i]);
        expect_both(buf_str(&part), &team, buf_str(&want));
        buf_fini(&part);
        buf_fini(&want);
    }
    expect_both(PART "services: {other: {protocol: http}}\n", &team,
                "team.yaml:5:12: service `other` is out of reach of delegation `team`; remove it\n");
    expect_both(PART "intentions: [{name: i, from: [w], to: own}]\n", &team,
                "team.yaml:5:39: service `own` is out of reach of delegation `team`; remove it\n");
    expect_both(PART "tests: [{from: w, to: own, request: GET /, expect: allow}]\n", &team,
                "team.yaml:5:23: service `own` is out of reach of delegation `team`; remove it\n");
    expect_both(PART "faults: [{name: f, to: own, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z}]\n", &team,
                "team.yaml:5:24: service `own` is out of reach of delegation `team`; remove it\n");
    expect_both(PART "services: {shared: {protocol: http}}\n", &team,
                "team.yaml:5:12: service `shared` exists already, in main.yaml:4; rename one\n");
    expect_both("policy: v1\nmesh: other.example\npart: team\nversion: 1\n", &team,
                "team.yaml:2:7: `mesh` is `other.example` here, and `shop.example` in main.yaml; say one\n");
    expect_both("policy: v1\nmesh: shop.example\npart: ops\nversion: 1\n", &team,
                "team.yaml:3:7: `part` is `ops`, but signed for delegation `team`\n");
    expect_both("policy: v1\nmesh: shop.example\nversion: 1\n", &team,
                "team.yaml:1:1: `part` is missing; say `part: team`, the delegation's name\n");
}

static void further_texts_without_a_reach_say_each_thing_once(void **state)
{
    (void)state;
    struct complaints c = {0};
    struct policy *p = NULL;
    assert_int_equal(
        compile_both(&p, MAIN,
                     "version: 7\nmesh: shop.example\nintentions: [{name: i, from: [w], to: own}]\n", NULL,
                     &c),
        ERR_OK);
    assert_int_equal(c.count, 0);
    policy_unref(p);
    buf_fini(&c.text);
    expect_both("version: 8\n", NULL,
                "team.yaml:1:10: `version` is 7 in main.yaml; say the same or leave it out\n");
    expect_both("services: {own: {protocol: tcp}}\n", NULL,
                "team.yaml:1:12: service `own` exists already, in main.yaml:4; rename one\n");
    expect_both("services: []\n", NULL,
                "team.yaml:1:11: `services` must be a map ({key: value}); found a list\n");
    expect_both("", NULL, "team.yaml:1:1: the file is empty\n");
    expect_both("part: team\n", NULL,
                "team.yaml:1:7: a part cannot be compiled together with others without its root\n");
    c = (struct complaints){0};
    assert_int_equal(compile_both(&p, HEAD "defaults: {drain: 1s}\n", "defaults: {drain: 2s}\n", NULL, &c),
                     ERR_INVALID);
    assert_non_null(strstr(buf_str(&c.text),
                           "team.yaml:1:1: `defaults` is given already, in main.yaml:4; put them "
                           "together\n"));
    buf_fini(&c.text);
    assert_int_equal(policy_compile_sources(&p, NULL, 0, NULL), ERR_LIMIT);
}

static void a_file_of_tests_cannot_change_what_is_tested(void **state)
{
    (void)state;
    struct policy *p = NULL;
    struct complaints c = {0};
    size_t run;
    struct policy_source src[] = {
        {.file = "main.yaml",
         .text = bytes_str("policy: v1\nmesh: m\nversion: 1\nservices: {cart: {protocol: tcp}}\n")},
        {.file = "more.yaml",
         .text = bytes_str("tests: [{from: web, to: cart, expect: allow}]\n"),
         .tests_only = true}};
    assert_int_equal(policy_compile_sources(&p, src, 2, &c), ERR_OK);
    assert_int_equal(policy_test(p, &run, &c), 1);
    assert_non_null(strstr(buf_str(&c.text), "more.yaml:1:9: test failed: denied by `unmatched`"));
    policy_unref(p);
    buf_fini(&c.text);
    c = (struct complaints){0};
    src[1].text = bytes_str("intentions: [{name: x, from: [web], to: cart}]\n");
    assert_int_equal(policy_compile_sources(&p, src, 2, &c), ERR_INVALID);
    assert_non_null(strstr(buf_str(&c.text), "more.yaml:1:1: `intentions` in a file of tests"));
    buf_fini(&c.text);
}

static void a_part_compiles_alone_for_its_signer(void **state)
{
    (void)state;
    struct policy *p = NULL;
    struct complaints c = {.file = "team.yaml"};
    const struct policy_source alone = {.file = "team.yaml",
                                        .text = bytes_str(PART "services: {team-a: {protocol: http}}\n"),
                                        .reach_or_null = &team};
    assert_int_equal(policy_compile_sources(&p, &alone, 1, &c), ERR_OK);
    assert_string_equal(policy_part(p), "team");
    assert_int_equal(policy_version(p), 3);
    policy_unref(p);
    buf_fini(&c.text);
    c = (struct complaints){.file = "team.yaml"};
    assert_int_equal(policy_compile(&p, bytes_str(PART "defaults: {}\n"), &c), ERR_INVALID);
    assert_string_equal(buf_str(&c.text),
                        "team.yaml:5:1: `defaults` is out of reach of delegation `team`; it speaks for "
                        "its services only\n");
    buf_fini(&c.text);
}

/* -- complaints in parts ---------------------------------------------------------------------------- */

static void a_complaint_has_a_code_a_place_and_a_hint(void **state)
{
    (void)state;
    static struct complaint list[COMPLAINTS_SHOWN_MAX];
    struct complaints c = {.list = list};
    struct policy *p = NULL;
    assert_int_equal(compile_both(&p, MAIN,
                                  "serivces: {}\nfaults: [{name: f, to: own, delay: {fixed: 1s}}]\n"
                                  "intentions: [{name: \"a; b\", from: [w], to: owm}]\n",
                                  NULL, &c),
                     ERR_INVALID);
    static const struct {
        const char *code;
        unsigned line, column;
        const char *hint;
    } want[] = {
        {"unknown-key", 1, 1, "did you mean `services`?"},
        /* in the order of the lines, whichever is found first, */
        {"fault-without-until", 2, 10, "say `until` when, such as 2027-01-31T00:00:00Z"},
        {"wrong-name", 3, 21, "use up to 63 letters, digits and . _ - inside"},
        {"unknown-reference", 3, 44, "did you mean `own`?"},
    };
    const char *at = buf_str(&c.text), *const places[] = {
                                           "yaml:1:1:", "yaml:2:10:", "yaml:3:21:", "yaml:3:44:"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) /* and so in the text */
        assert_non_null(at = strstr(at, places[i]));
    assert_int_equal(c.list_count, sizeof want / sizeof *want);
    for (size_t i = 0; i < c.list_count; i++) {
        assert_string_equal(complaint_code_text(list[i].code), want[i].code);
        assert_string_equal(list[i].file, "team.yaml");
        assert_int_equal(list[i].line, want[i].line);
        assert_int_equal(list[i].column, want[i].column);
        assert_string_equal(list[i].hint, want[i].hint);
        assert_false(list[i].is_warning);
    }
    buf_fini(&c.text);
}

static void codes_are_words_that_never_change(void **state)
{
    (void)state;
    static const char *const codes[] = {
        "error",         "syntax",          "yaml-subset",         "limit",
        "unknown-key",   "repeated",        "wrong-type",          "wrong-value",
        "missing",       "wrong-name",      "unknown-reference",   "unreachable-route",
        "never-matches", "regex",           "zero-weights",        "wrong-protocol",
        "conflict",      "out-of-reach",    "fault-without-until", "test-failed",
        "shadowed-rule", "nobody-may-call", "no-effect",           "not-in-force"};
    assert_int_equal(CODES, sizeof codes / sizeof *codes);
    for (int i = 0; i < CODES; i++)
        assert_string_equal(complaint_code_text((enum complaint_code)i), codes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_that_others_leave_nothing_is_told),
        cmocka_unit_test(a_service_that_nobody_may_call_is_told),
        cmocka_unit_test(an_error_keeps_warnings_that_may_follow_from_it_away),
        cmocka_unit_test(a_part_speaks_for_its_services),
        cmocka_unit_test(a_part_speaks_for_nothing_else),
        cmocka_unit_test(further_texts_without_a_reach_say_each_thing_once),
        cmocka_unit_test(a_file_of_tests_cannot_change_what_is_tested),
        cmocka_unit_test(a_part_compiles_alone_for_its_signer),
        cmocka_unit_test(a_complaint_has_a_code_a_place_and_a_hint),
        cmocka_unit_test(codes_are_words_that_never_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
