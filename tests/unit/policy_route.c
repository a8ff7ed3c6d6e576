/* Routes: which match takes a request, and how weights and subsets are read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "policy/path.h"
#include "policy/policy.h"

static struct policy *with_match(const char *match)
{
    struct buf text = {0};
    struct complaints c = {0};
    struct policy *p = NULL;
    buf_addf(&text,
             "policy: v1\nmesh: m\nversion: 1\nservices: {a: {protocol: http, routes: [{name: r, match: "
             "[%s]}]}}\n",
             match);
    if (policy_compile(&p, buf_bytes(&text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&text);
    buf_fini(&c.text);
    return p;
}

static bool takes_request(const char *match, const struct policy_request *rq)
{
    struct policy *p = with_match(match);
    bool taken = policy_route(policy_service(p, bytes_str("a")), rq) != NULL;
    policy_unref(p);
    return taken;
}

static bool takes(const char *match, const char *method, const char *path, const char *query)
{
    struct policy_request rq = {
        .method = bytes_str(method), .path = bytes_str(path), .query = bytes_str(query)};
    return takes_request(match, &rq);
}

static bool takes_header(const char *match, const char *name, const char *value)
{
    struct policy_header h[] = {{bytes_str("x-other"), bytes_str("1")}, {bytes_str(name), bytes_str(value)}};
    struct policy_request rq = {
        .method = bytes_str("GET"), .path = bytes_str("/"), .header = h, .header_count = 2};
    return takes_request(match, &rq);
}

static void a_prefix_is_of_whole_segments(void **state)
{
    (void)state;
    assert_true(takes("{path: {prefix: /cart}}", "GET", "/cart", ""));
    assert_true(takes("{path: {prefix: /cart}}", "GET", "/cart/", ""));
    assert_true(takes("{path: {prefix: /cart}}", "GET", "/cart/7", ""));
    assert_false(takes("{path: {prefix: /cart}}", "GET", "/cartoon", ""));
    assert_false(takes("{path: {prefix: /cart}}", "GET", "/car", ""));
    assert_true(takes("{path: {prefix: /cart/}}", "GET", "/cart", ""));
    assert_true(takes("{path: {prefix: /}}", "GET", "/anything", ""));
    assert_false(takes("{path: {exact: /cart}}", "GET", "/cart/", ""));
    assert_true(takes("{path: {exact: /cart/}}", "GET", "/cart/", ""));
}

static void all_conditions_of_a_match_must_hold_and_any_match_will_do(void **state)
{
    (void)state;
    assert_false(takes("{method: POST, path: {exact: /x}}", "GET", "/x", ""));
    assert_true(takes("{method: POST, path: {exact: /x}}", "POST", "/x", ""));
    assert_true(takes("{method: POST}, {path: {exact: /x}}", "GET", "/x", ""));
    assert_true(takes("{}", "ANY", "/", ""));
}

static void headers_are_compared_by_name_without_case_and_value_with(void **state)
{
    (void)state;
    assert_true(takes_header("{headers: {X-Beta: {exact: yes}}}", "x-beta", "yes"));
    assert_false(takes_header("{headers: {X-Beta: {exact: yes}}}", "x-beta", "YES"));
    assert_false(takes_header("{headers: {x-beta: {exact: yes}}}", "x-gamma", "yes"));
    assert_true(takes_header("{headers: {x-beta: {prefix: ye}}}", "x-beta", "yes"));
    assert_false(takes_header("{headers: {x-beta: {prefix: yes!}}}", "x-beta", "yes"));
    assert_true(takes_header("{headers: {x-beta: {present: true}}}", "x-beta", ""));
    assert_false(takes_header("{headers: {x-beta: {present: false}}}", "x-beta", ""));
    assert_true(takes_header("{headers: {x-beta: {present: false}}}", "x-gamma", ""));
    assert_true(takes_header("{headers: {x-beta: {exact: \"\"}}}", "x-beta", ""));
}

static void of_repeated_headers_any_may_fit(void **state)
{
    (void)state;
    struct policy_header h[] = {{bytes_str("x"), bytes_str("1")}, {bytes_str("x"), bytes_str("2")}};
    struct policy_request rq = {
        .method = bytes_str("GET"), .path = bytes_str("/"), .header = h, .header_count = 2};
    assert_true(takes_request("{headers: {x: {exact: \"2\"}}}", &rq));
    assert_false(takes_request("{headers: {x: {exact: \"3\"}}}", &rq));
}

static void query_parameters_are_decoded_once(void **state)
{
    (void)state;
    assert_true(takes("{query: {q: {exact: \"a b\"}}}", "GET", "/", "x=1&q=a+b&y"));
    assert_true(takes("{query: {q: {exact: \"a b\"}}}", "GET", "/", "q=a%20b"));
    assert_true(takes("{query: {q: {exact: a%20b}}}", "GET", "/", "q=a%2520b"));
    assert_false(takes("{query: {q: {exact: \"a b\"}}}", "GET", "/", "q=a%2520b"));
    assert_true(takes("{query: {q: {exact: 100%}}}", "GET", "/", "q=100%"));
    assert_true(takes("{query: {q: {exact: \"%4\"}}}", "GET", "/", "q=%4"));
    assert_true(takes("{query: {\"q r\": {prefix: ab}}}", "GET", "/", "q%20r=abc"));
    assert_false(takes("{query: {q: {prefix: abcd}}}", "GET", "/", "q=abc"));
    assert_true(takes("{query: {q: {present: true}}}", "GET", "/", "q"));
    assert_true(takes("{query: {q: {exact: \"\"}}}", "GET", "/", "q="));
    assert_false(takes("{query: {q: {present: true}}}", "GET", "/", ""));
    assert_false(takes("{query: {q: {present: true}}}", "GET", "/", "qq=1&xq"));
    assert_true(takes("{query: {q: {present: false}}}", "GET", "/", "&&="));
    assert_true(takes("{query: {q: {exact: \"2\"}}}", "GET", "/", "q=1&q=2"));
    assert_true(takes("{query: {q: {exact: a=b}}}", "GET", "/", "q=a=b"));
}

static void a_pattern_fits_the_whole_path_or_value(void **state)
{
    (void)state;
    static const char users[] = "{path: {regex: '/users/[0-9]+(/.*)?'}}";
    assert_true(takes(users, "GET", "/users/7", ""));
    assert_true(takes(users, "GET", "/users/7/orders/2", ""));
    assert_false(takes(users, "GET", "/users/seven", ""));
    assert_false(takes(users, "GET", "/v1/users/7", ""));
    static const char mobile[] = "{headers: {user-agent: {regex: '.*(?i:iphone|android).*'}}}";
    assert_true(takes_header(mobile, "user-agent", "Mozilla/5.0 (Linux; ANDROID 14)"));
    assert_false(takes_header(mobile, "user-agent", "curl/7.88"));
    assert_false(takes_header(mobile, "x-agent", "Android"));
    assert_false(takes_header(mobile, "user-agent", "Android \xff")); /* no text at all */
    static const char page[] = "{query: {page: {regex: '[0-9]{1,3}'}}}";
    assert_true(takes(page, "GET", "/", "q=x&page=12"));
    assert_true(takes(page, "GET", "/", "page=x&page=%31%32"));
    assert_false(takes(page, "GET", "/", "page=1234"));
    assert_false(takes(page, "GET", "/", "page=1+"));
    assert_false(takes(page, "GET", "/", "page="));
    assert_false(takes(page, "GET", "/", ""));
    assert_true(takes("{query: {q: {regex: '\xc3\xa4 .'}}}", "GET", "/", "q=%C3%A4+%E2%82%AC"));
}

static void weights_are_kept_to_within_chance(void **state)
{
    (void)state;
    struct policy_target t[3] = {{.weight = 95}, {.weight = 0}, {.weight = 5}};
    struct policy_route r = {.target_count = 3, .target = t, .weight_sum = 100};
    struct rng rng = rng_seeded(1);
    int seen[3] = {0};
    for (int i = 0; i < 100000; i++)
        seen[policy_route_pick(&r, rng_u64(&rng)) - t]++;
    assert_int_equal(seen[1], 0);
    assert_in_range(seen[2], 4720, 5280); /* 5,000 +- 4 sigma of 69 */
    assert_ptr_equal(policy_route_pick(&r, 0), &t[0]);
    assert_ptr_equal(policy_route_pick(&r, UINT64_MAX), &t[2]);
}

static void a_subset_needs_all_its_labels(void **state)
{
    (void)state;
    struct labels want = {.count = 2,
                          .at = {{bytes_str("a"), bytes_str("1")}, {bytes_str("c"), bytes_str("3")}}};
    struct labels all = {.count = 3,
                         .at = {{bytes_str("a"), bytes_str("1")},
                                {bytes_str("b"), bytes_str("2")},
                                {bytes_str("c"), bytes_str("3")}}};
    struct labels other = {.count = 2,
                           .at = {{bytes_str("a"), bytes_str("1")}, {bytes_str("c"), bytes_str("4")}}};
    struct labels fewer = {.count = 1, .at = {{bytes_str("a"), bytes_str("1")}}}, none = {0};
    struct policy_subset s = {"s", &want};
    assert_true(policy_subset_matches(&s, labels_list(&all)));
    assert_true(policy_subset_matches(&s, labels_list(&want)));
    assert_false(policy_subset_matches(&s, labels_list(&other)));
    assert_false(policy_subset_matches(&s, labels_list(&fewer)));
    assert_false(policy_subset_matches(&s, labels_list(&none)));
    assert_true(policy_subset_matches(NULL, labels_list(&none)));
}

static void paths_in_policy_must_be_in_normal_form(void **state)
{
    (void)state;
    static const char *const good[] = {"/",      "/a",   "/a/", "/a.b/..c/...", "/%20",
                                       "/a;b=c", "/%25", "/~a", "/@:!$&'()+,="};
    static const char *const bad[] = {"",        "a",    "//",    "/a//b",     "/.",    "/..",
                                      "/a/../b", "/a/.", "/a?b",  "/a#b",      "/%2f",  "/%2F",
                                      "/%5C",    "/%00", "/%61",  "/%7e",      "/%e4",  "/%E",
                                      "/%",      "/a b", "/a\\b", "/\xc3\xa4", "/a\tb", "/%2E"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (path_fault(bytes_str(good[i])))
            fail_msg("%s: %s", good[i], path_fault(bytes_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!path_fault(bytes_str(bad[i])))
            fail_msg("%s passes", bad[i]);
}

static void a_set_of_paths_equals_trying_each(void **state)
{
    (void)state;
    enum { SETS = 300, PATHS = 40 };
    static char text[PATHS][32], probe[32];
    struct rng rng = rng_seeded(3);
    for (int round = 0; round < SETS; round++) {
        struct bytes exact[PATHS], prefix[PATHS];
        size_t ne = 0, np = 0;
        struct arena a = {0};
        struct path_set set;
        for (int i = 0; i < PATHS; i++) {
            size_t len = 0;
            for (uint32_t segs = rng_below(&rng, 4); segs > 0; segs--)
                len += (size_t)snprintf(text[i] + len, sizeof text[i] - len, "/%c",
                                        'a' + (char)rng_below(&rng, 3));
            if (rng_below(&rng, 2))
                prefix[np++] = bytes_of(text[i], len);
            else
                exact[ne++] = bytes_of(text[i], len);
        }
        assert_true(path_set_build(&set, &a, exact, ne / 4, prefix, np / 4));
        for (int i = 0; i < 200; i++) {
            size_t len = 0;
            for (uint32_t segs = rng_below(&rng, 5); segs > 0; segs--)
                len += (size_t)snprintf(probe + len, sizeof probe - len, "/%.*s", 1 + (int)rng_below(&rng, 2),
                                        &"aabbcc"[rng_below(&rng, 5)]);
            struct bytes path = bytes_of(probe, len);
            bool want = false;
            for (size_t j = 0; j < ne / 4; j++)
                want |= bytes_eq(path, exact[j]);
            for (size_t j = 0; j < np / 4; j++)
                want |= path_is_under(path, prefix[j]);
            assert_int_equal(path_set_has(&set, path), want);
        }
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prefix_is_of_whole_segments),
        cmocka_unit_test(all_conditions_of_a_match_must_hold_and_any_match_will_do),
        cmocka_unit_test(headers_are_compared_by_name_without_case_and_value_with),
        cmocka_unit_test(of_repeated_headers_any_may_fit),
        cmocka_unit_test(query_parameters_are_decoded_once),
        cmocka_unit_test(a_pattern_fits_the_whole_path_or_value),
        cmocka_unit_test(weights_are_kept_to_within_chance),
        cmocka_unit_test(a_subset_needs_all_its_labels),
        cmocka_unit_test(paths_in_policy_must_be_in_normal_form),
        cmocka_unit_test(a_set_of_paths_equals_trying_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
