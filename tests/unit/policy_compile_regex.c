/* `regex` in a policy: what is refused, and where the caret stands; what another route leaves to it. */
#include "policy_world.h"

#define ROUTES(list) "services: {a: {protocol: http, routes: [" list "]}}\n"

static void it_needs_its_feature_which_is_in_force(void **state)
{
    (void)state;
    struct policy *p = policy_of(ROUTES("{name: r, match: [{headers: {x: {regex: a|b}}}]}"));
    assert_int_equal(policy_features(p), feature_bit(FEATURE_REGEX));
    assert_true(feature_in_force(FEATURE_REGEX));
    policy_unref(p);
}

/* The column is that of the place in the pattern, however the pattern is quoted. */
static void a_fault_is_shown_in_the_pattern(void **state)
{
    (void)state;
    static const char ahead[] =
        "regex: look-around cannot be matched in linear time; say it as an earlier route, or as "
        "another condition\n";
    static const struct {
        const char *pattern;
        int column; /* from the pattern's first character (or quote) on */
    } rows[] = {
        {"/a(?=b)", 4},         {"'/a(?=b)'", 5},        {"\"/a(?=b)\"", 5},     {"'/a''(?=b)'", 7},
        {"\"/\\\\w(?=b)\"", 7}, {"'/\xc3\xa4(?=b)'", 5}, {"\"/\\x61(?=b)\"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200], complaint[300];
        snprintf(text, sizeof text, ROUTES("{name: r, match: [{path: {regex: %s}}]}"), rows[i].pattern);
        snprintf(complaint, sizeof complaint, "p.yaml:4:%d: %s", 74 + rows[i].column, ahead);
        expect_complaint(text, complaint);
    }
    expect_complaint(
        "services:\n  a:\n    protocol: http\n    routes:\n      - name: r\n        match:\n          - "
        "path:\n              regex: /users/{id}\n",
        "p.yaml:11:29: regex: `{` begins a repetition: {m}, {m,} or {m,n}, up to 1000; write \\{ for the "
        "character\n");
    expect_complaint(
        "services:\n  a:\n    protocol: http\n    routes:\n      - name: r\n        match:\n          - "
        "path:\n              regex: |-\n                /a(b\n",
        "p.yaml:11:22: regex: `(` is not closed; add `)`, or write \\( for the character\n");
}

static void the_line_and_a_caret_are_shown(void **state)
{
    (void)state;
    static const char text[] = HEAD ROUTES("{name: r, match: [{headers: {x: {regex: '(a|b)\\1'}}}]}");
    struct complaints c = {.file = "p.yaml", .source = bytes_str(text)};
    struct policy *p = NULL;
    assert_int_equal(policy_compile(&p, bytes_str(text), &c), ERR_INVALID);
    assert_string_equal(
        buf_str(&c.text),
        "p.yaml:4:87: regex: a back reference cannot be matched in linear time; write what is repeated "
        "twice\n"
        "    services: {a: {protocol: http, routes: [{name: r, match: [{headers: {x: {regex: "
        "'(a|b)\\1'}}}]}]}}\n"
        "                                                                                          ^\n");
    buf_fini(&c.text);
}

static void what_can_never_match_is_an_error(void **state)
{
    (void)state;
    expect_complaint(ROUTES("{name: r, match: [{path: {regex: 'users/.*'}}]}"),
                     "p.yaml:4:74: `users/.*` can never match: a path begins with /\n");
    expect_complaint(
        ROUTES("{name: r, match: [{path: {regex: '/a/\\.\\./b'}}]}"),
        "p.yaml:4:74: `/a/\\.\\./b` can never match: dot segments are resolved before paths are compared; "
        "write the resolved path\n");
    expect_complaint(
        ROUTES("{name: r, match: [{path: {regex: '/%2f.'}}]}"),
        "p.yaml:4:74: `/%2f.` can never match: % must be followed by two digits or capital letters A to F\n");
    expect_complaint(ROUTES("{name: r, match: [{path: {regex: ''}}]}"),
                     "p.yaml:4:74: `` can never match: a path begins with /\n");
    expect_complaint(ROUTES("{name: r, match: [{headers: {x: {regex: 'a^b'}}}]}"),
                     "p.yaml:4:81: `a^b` can never match: no text fits it\n");
    expect_complaint(ROUTES("{name: r, match: [{query: {x: {regex: 'a', exact: a}}}]}"),
                     "p.yaml:4:71: give one of exact, prefix, present and regex\n");
    expect_complaint(ROUTES("{name: r, match: [{path: {regex: [a]}}]}"),
                     "p.yaml:4:74: `regex` must be a single value; found a list\n");
    expect_complaint(
        ROUTES("{name: r, match: [{path: {regex: '/a'}}], rewrite: {prefix: /b}}"),
        "p.yaml:4:92: `rewrite` replaces the prefix that matched; give each match of the route a `path: "
        "{prefix: ...}`\n");
}

/* Is a route whose match is `later` unreachable behind one with `earlier`? */
static bool is_covered(const char *earlier, const char *later)
{
    struct complaints c = {0};
    struct policy *p = NULL;
    struct buf text = {0};
    buf_addf(&text, HEAD ROUTES("{name: r1, match: [{%s}]}, {name: r2, match: [{%s}]}, {name: r3}"), earlier,
             later);
    bool covered = policy_compile(&p, buf_bytes(&text), &c) != ERR_OK;
    if (covered && !strstr(buf_str(&c.text), "route `r2` can never be reached: `r1` before it"))
        fail_msg("%s", buf_str(&c.text));
    policy_unref(p);
    buf_fini(&c.text);
    buf_fini(&text);
    return covered;
}

/* Not guessed: what one pattern leaves to another is computed, over the paths that are forwarded. */
static void an_unreachable_route_is_found_through_patterns(void **state)
{
    (void)state;
    static const struct {
        bool covered;
        const char *earlier, *later;
    } rows[] = {
        {true, "path: {regex: '/a.*'}", "path: {exact: /abc}"},
        {false, "path: {regex: '/a.*'}", "path: {exact: /b}"},
        {true, "path: {regex: '/a.*'}", "path: {prefix: /a/b}"},
        {true, "path: {regex: '/a(/.*)?'}", "path: {prefix: /a}"},
        {false, "path: {regex: '/a/.*'}", "path: {prefix: /a}"}, /* /a itself is left */
        {true, "path: {regex: '/.*'}", "path: {prefix: /}"},
        {true, "path: {regex: '/.*'}", "method: GET"},
        {false, "path: {regex: '/[a-z/]*'}", "method: GET"},
        {true, "path: {regex: '/.*'}", "path: {regex: '/[0-9]+'}"},
        {true, "path: {regex: '/(a|b)+'}", "path: {regex: '/a(ab?)*'}"},
        {false, "path: {regex: '/a(ab?)*'}", "path: {regex: '/(a|b)+'}"},
        {true, "path: {regex: '(/[^/]+)*/?'}", "path: {prefix: /}"}, /* there is no // in a path */
        {true, "path: {prefix: /users}", "path: {regex: '/users/[0-9]+'}"},
        {false, "path: {prefix: /users}", "path: {regex: '/users[0-9]*'}"},
        {true, "path: {prefix: /}", "path: {regex: '/x+'}"},
        {true, "headers: {x: {present: true}}", "headers: {x: {regex: 'a*'}}"},
        {true, "headers: {x: {regex: '[ab]*'}}", "headers: {x: {exact: abba}}"},
        {true, "headers: {x: {regex: '[ab]*'}}", "headers: {x: {regex: '(ab)+'}}"},
        {true, "headers: {x: {prefix: ab}}", "headers: {x: {regex: '(ab)+'}}"},
        {false, "headers: {x: {prefix: ab}}", "headers: {x: {regex: '(ab)*'}}"},
        {false, "headers: {x: {regex: '.*'}}", "headers: {x: {prefix: ab}}"}, /* some values are not UTF-8 */
        {false, "headers: {x: {regex: '.*'}}", "headers: {x: {present: true}}"},
        {false, "headers: {x: {regex: '[ab]*'}}", "headers: {y: {regex: '(ab)+'}}"},
        {true, "query: {q: {regex: '\\d+'}}", "query: {q: {regex: '[1-3]{3}'}}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_covered(rows[i].earlier, rows[i].later) != rows[i].covered)
            fail_msg("%s, then %s", rows[i].earlier, rows[i].later);
}

/* Thousands of patterns that each cost all they may: refused within the budget of one policy. */
static void a_file_of_patterns_is_refused_within_its_budget(void **state)
{
    (void)state;
    struct buf text = {0};
    struct complaints c = {0};
    struct policy *p = NULL;
    buf_addf(&text, "%s%s", HEAD, "services:\n  a:\n    protocol: http\n    routes:\n");
    for (int i = 0; i < 2000; i++)
        buf_addf(&text, "    - {name: r%d, match: [{headers: {x: {regex: 'x%d[ab]*a[ab]{9}'}}}]}\n", i, i);
    assert_int_equal(policy_compile(&p, buf_bytes(&text), &c), ERR_INVALID);
    assert_non_null(strstr(buf_str(&c.text), "the patterns of this policy are too large together"));
    buf_fini(&c.text);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_needs_its_feature_which_is_in_force),
        cmocka_unit_test(a_fault_is_shown_in_the_pattern),
        cmocka_unit_test(the_line_and_a_caret_are_shown),
        cmocka_unit_test(what_can_never_match_is_an_error),
        cmocka_unit_test(an_unreachable_route_is_found_through_patterns),
        cmocka_unit_test(a_file_of_patterns_is_refused_within_its_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
