/* The compiler: what of the language is in force, what is refused and in which words. */
#include "policy_world.h"

static struct policy *compiled(const char *text)
{
    assert_memory_equal(text, HEAD, strlen(HEAD));
    return policy_of(text + strlen(HEAD));
}

static void the_smallest_policy_denies_by_knowing_nobody(void **state)
{
    (void)state;
    struct policy *p = compiled(HEAD);
    size_t cursor = 0;
    assert_string_equal(policy_mesh(p), "shop.example");
    assert_int_equal(policy_version(p), 7);
    assert_int_equal(policy_expires(p), 0);
    assert_null(policy_service_next(p, &cursor));
    assert_null(policy_service(p, bytes_str("cart")));
    assert_null(policy_service(p, bytes_str("")));
    policy_unref(policy_ref(p));
    policy_unref(p);
    policy_unref(NULL);
}

static void all_that_is_in_force_compiles(void **state)
{
    (void)state;
    struct policy *p = compiled(
        HEAD "expires: 2027-01-31T00:00:00Z\n"
             "defaults: {encryption: strict, unmatched: deny, timeouts: {connect: 2s, request: 20s}}\n"
             "services:\n"
             "  cart:\n"
             "    protocol: http\n"
             "    port: 8080\n"
             "    encryption: strict\n"
             "    subsets: {v1: {version: \"1\"}, v2: {zone: a, version: \"2\"}}\n"
             "    timeouts: {request: 3s}\n"
             "    routes:\n"
             "      - {name: beta, match: [{method: POST, path: {prefix: /cart}, headers: {X-Beta: {exact: "
             "\"1\"}},"
             " query: {q: {present: true}}}], to: [{subset: v2}], timeouts: {connect: 0s}}\n"
             "      - {name: rest, to: [{subset: v1, weight: 95}, {subset: v2, weight: 5}]}\n"
             "  db: {protocol: tcp, port: 5432, unmatched: audit}\n"
             "intentions:\n"
             "  - {name: a, from: [web], to: cart, allow: [{methods: [GET], paths: [/x, \"/y/*\"]}]}\n"
             "  - {name: b, from: [\"*\"], except: [ops], to: cart, deny: [{}], mode: audit}\n"
             "  - {name: c, from: [cart], to: db}\n"
             "tests:\n"
             "  - {from: web, to: cart, request: GET /x?q=1, expect: allow, rule: a, route: rest, subset: "
             "[v1, v2]}\n");
    const struct policy_service *cart = policy_service(p, bytes_str("cart")),
                                *db = policy_service(p, bytes_str("db"));
    assert_int_equal(policy_expires(p), 1801353600);
    assert_int_equal(policy_service_protocol(cart), POLICY_HTTP);
    assert_int_equal(policy_service_port(cart), 8080);
    assert_int_equal(policy_service_protocol(db), POLICY_TCP);
    struct policy_header h = {bytes_str("x-beta"), bytes_str("1")};
    struct policy_request rq = {.method = bytes_str("POST"),
                                .path = bytes_str("/cart/1"),
                                .query = bytes_str("q"),
                                .header = &h,
                                .header_count = 1};
    const struct policy_route *beta = policy_route(cart, &rq);
    assert_string_equal(beta->name, "beta");
    assert_int_equal(beta->timeouts.connect_ms, 0);
    assert_int_equal(beta->timeouts.request_ms, 3000);
    assert_string_equal(beta->target[0].subset->name, "v2");
    assert_ptr_equal(beta->target[0].service, cart);
    assert_int_equal(beta->target[0].subset->labels->count, 2);
    rq.header_count = 0;
    const struct policy_route *rest = policy_route(cart, &rq);
    assert_string_equal(rest->name, "rest");
    assert_int_equal(rest->timeouts.connect_ms, 2000);
    assert_int_equal(rest->weight_sum, 100);
    const struct policy_route *of_db = policy_route(db, &rq);
    assert_string_equal(of_db->name, "default");
    assert_null(of_db->target[0].subset);
    assert_int_equal(of_db->timeouts.request_ms, 0);
    size_t run = 0;
    assert_int_equal(policy_test(p, &run, NULL), 0);
    assert_int_equal(run, 1);
    policy_unref(p);
}

#define KEY_A "ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
#define KEY_B "ed25519:8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"

static void revocations_are_found_by_key(void **state)
{
    (void)state;
    struct policy *p =
        compiled(HEAD "revoke:\n"
                      "  - {key: \"" KEY_A "\", reason: lost host, at: 2026-08-20T10:00:00Z}\n"
                      "  - {key: \"" KEY_B "\", reason: stolen token, at: 2026-08-21T10:00:00Z}\n");
    struct node_id a, b, other = {{0}};
    size_t count;
    assert_int_equal(node_id_parse(&a, KEY_A), ERR_OK);
    assert_int_equal(node_id_parse(&b, KEY_B), ERR_OK);
    const struct policy_revocation *list = policy_revocations(p, &count);
    assert_int_equal(count, 2);
    assert_true(node_id_cmp(&list[0].key, &list[1].key) < 0);
    assert_string_equal(policy_revocation(p, &a)->reason, "lost host");
    assert_int_equal(policy_revocation(p, &a)->at, 1787220000);
    assert_string_equal(policy_revocation(p, &b)->reason, "stolen token");
    assert_null(policy_revocation(p, &other));
    policy_unref(p);
}

/* N14, B18: a key has one spelling, and is one. */
static void a_revocation_that_would_revoke_nothing_is_an_error(void **state)
{
    (void)state;
#define AT ", reason: x, at: 2026-08-20T10:00:00Z}"
    expect_complaint("revoke: [{key: \"" KEY_A "\"" AT ", {key: \"" KEY_A "\"" AT "]\n",
                     "p.yaml:4:9: " KEY_A " is revoked twice; keep the first of the two\n");
    expect_complaint(
        "revoke:\n  - {key: \"ed25519:8A88\"" AT "\n",
        "p.yaml:5:11: `ed25519:8A88` is no key; write ed25519: and its 64 lower-case hex digits, as "
        "`starling members --json` and `token create` show it\n");
    expect_complaint(
        "revoke:\n  - {key: \"ed25519:0100000000000000000000000000000000000000000000000000000000000000\"" AT
        "\n",
        "p.yaml:5:11: `ed25519:0100000000000000000000000000000000000000000000000000000000000000` cannot "
        "be anybody's key: a point of small order or not canonical\n");
    expect_complaint("revoke: [{key: \"" KEY_A "\"}]\n",
                     "p.yaml:4:10: a revocation says which `key`, for what `reason` and since when (`at`)\n");
    expect_complaint("revoke: [{key: \"" KEY_A "\", hash: ab" AT "]\n",
                     "p.yaml:4:92: unknown key `hash`; expected one of key, reason, at\n");
    expect_complaint("revoke: {}\n", "p.yaml:4:9: `revoke` must be a list ([a, b]); found a map\n");
}

static void typos_get_a_suggestion_with_words_of_the_whole_language(void **state)
{
    (void)state;
    expect_complaint("serivces: {}\n", "p.yaml:4:1: unknown key `serivces`; did you mean `services`?\n");
    expect_complaint("rolout: {}\n", "p.yaml:4:1: unknown key `rolout`; did you mean `rollout`?\n");
    expect_complaint("services: {a: {protocol: htpp}}\n",
                     "p.yaml:4:26: expected http, tcp, http2 or grpc; found `htpp`\n");
    expect_complaint("services: {cart: {protocol: http}}\nintentions: [{name: i, from: [b], to: crat}]\n",
                     "p.yaml:5:39: no service `crat` in this policy; did you mean `cart`?\n");
    expect_complaint("services: {a: {protocol: http, subsets: {v1: {version: x}}, routes: [{name: r, to: "
                     "[{subset: v2}]}]}}\n",
                     "p.yaml:4:94: service `a` has no subset `v2`; did you mean `v1`?\n");
}

static void the_head_is_required(void **state)
{
    (void)state;
    struct complaints c = {.file = "p.yaml"};
    struct policy *p = NULL;
    assert_int_equal(policy_compile(&p, bytes_str("expires: soon\n"), &c), ERR_INVALID);
    assert_string_equal(
        buf_str(&c.text),
        "p.yaml:1:1: `policy` is missing; begin with `policy: v1`\n"
        "p.yaml:1:1: `mesh` is missing; name the mesh this policy is for\n"
        "p.yaml:1:1: `version` is missing; it must be higher than that of the policy in force\n"
        "p.yaml:1:10: expected a time in UTC such as 2027-01-31T00:00:00Z; found `soon`\n");
    buf_fini(&c.text);
    c = (struct complaints){0};
    assert_int_equal(policy_compile(&p, bytes_str("policy: v2\nmesh: Shop\nversion: 0\n"), &c), ERR_INVALID);
    assert_int_equal(c.count, 3);
    buf_fini(&c.text);
    assert_int_equal(policy_compile(&p, bytes_str("- a\n"), NULL), ERR_INVALID);
    assert_int_equal(policy_compile(&p, bytes_str(""), NULL), ERR_INVALID);
    assert_null(p);
}

static void services_are_checked(void **state)
{
    (void)state;
    expect_complaint("services: {Cart: {protocol: http}}\n",
                     "p.yaml:4:12: `Cart` cannot be a service name; use up to 63 lower-case "
                     "letters, digits and - . inside\n");
    expect_complaint(
        "services: {cart: {port: 1}}\n",
        "p.yaml:4:12: `protocol` is missing; say http, http2, grpc or tcp, it is never guessed\n");
    expect_complaint("services: {cart: {protocol: tcp, port: 70000}}\n",
                     "p.yaml:4:40: expected a whole number from 1 to 65535; found `70000`\n");
    expect_complaint("services: {a: {protocol: tcp, timeouts: {request: 1s}}}\n",
                     "p.yaml:4:51: a tcp service has no requests; remove `request`\n");
    expect_complaint(
        "services: {a: {protocol: http, subsets: {v1: {}}}}\n",
        "p.yaml:4:46: a subset names 1 to 16 labels; to reach any instance leave `subset` out of `to`\n");
    expect_complaint("services: {a: {protocol: http}, a: {protocol: tcp}}\n",
                     "p.yaml:4:33: `a` is given twice, first in line 4; remove one\n");
}

static void routes_are_checked(void **state)
{
    (void)state;
#define ROUTES(list) "services: {a: {protocol: http, routes: [" list "]}}\n"
    expect_complaint(ROUTES("{to: [{}]}"),
                     "p.yaml:4:41: a route needs a `name`; answers, logs and metrics show it\n");
    expect_complaint(ROUTES("{name: r, match: [{method: get}]}"),
                     "p.yaml:4:68: methods are case-sensitive; write GET\n");
    expect_complaint(ROUTES("{name: r, match: []}"),
                     "p.yaml:4:58: an empty `match` matches nothing; leave it out to match everything\n");
    expect_complaint(ROUTES("{name: r, match: [{path: {exact: /a, prefix: /b}}]}"),
                     "p.yaml:4:66: `path` takes one of exact, prefix and regex\n");
    expect_complaint(ROUTES("{name: r, match: [{path: {}}]}"),
                     "p.yaml:4:66: `path` takes one of exact, prefix and regex\n");
    expect_complaint(ROUTES("{name: r, match: [{path: {exact: a}}]}"),
                     "p.yaml:4:74: `a` can never match: a path begins with /\n");
    expect_complaint(ROUTES("{name: r, match: [{path: {exact: /%61}}]}"),
                     "p.yaml:4:74: `/%61` can never match: an escape of a letter, digit or one of -._~ is "
                     "forwarded decoded; write the "
                     "character itself\n");
    expect_complaint(
        ROUTES("{name: r, match: [{headers: {Host: {exact: b}}}]}"),
        "p.yaml:4:70: `host` is not forwarded as a header, so nothing here can come of it; remove it\n");
    expect_complaint(
        ROUTES("{name: r, to: [{weight: 0}]}"),
        "p.yaml:4:55: all weights are zero, so nothing could be chosen; give one target a weight\n");
    expect_complaint(ROUTES("{name: r, to: [{weight: 1}, {weight: 2}]}"),
                     "p.yaml:4:69: `to` names the same instances twice; add up their weights\n");
    expect_complaint(ROUTES("{name: r, match: [{path: {exact: /}}]}, {name: r}"),
                     "p.yaml:4:88: service `a` has a route `r` already; rename one\n");
    expect_complaint(
        "services: {a: {protocol: tcp, routes: [{name: r, match: [{path: {exact: /}}]}]}}\n",
        "p.yaml:4:57: an HTTP match on tcp service `a`; on tcp only the caller's identity is known\n");
}

static void a_shadowed_route_is_an_error(void **state)
{
    (void)state;
    expect_complaint(ROUTES("{name: all}, {name: late, match: [{path: {exact: /x}}]}"),
                     "p.yaml:4:54: route `late` can never be reached: `all` before it takes all its "
                     "requests; move it up or remove it\n");
    expect_complaint(ROUTES("{name: p, match: [{path: {prefix: /a}}]}, {name: h, match: [{path: {prefix: "
                            "/a/b}, headers: {x: {exact: y}}}]}"),
                     "p.yaml:4:83: route `h` can never be reached: `p` before it takes all its requests; "
                     "move it up or remove it\n");
    /* One of its two matches is still free: not dead. */
    policy_unref(compiled(HEAD ROUTES(
        "{name: p, match: [{path: {prefix: /a}}]}, {name: q, match: [{path: {exact: /a/b}}, {path: {exact: "
        "/ab}}]}, {name: rest}")));
    policy_unref(compiled(HEAD ROUTES(
        "{name: p, match: [{path: {prefix: /a}, method: GET}]}, {name: q, match: [{path: {prefix: /a}}]}")));
    policy_unref(compiled(HEAD ROUTES("{name: p, match: [{headers: {x: {prefix: ab}}}]}, {name: q, match: "
                                      "[{headers: {x: {prefix: a}}}]}")));
}

static void intentions_are_checked(void **state)
{
    (void)state;
#define RULE(rule) "services: {a: {protocol: http}, d: {protocol: tcp}}\nintentions: [" rule "]\n"
    expect_complaint(RULE("{from: [b], to: a}"),
                     "p.yaml:5:14: an intention needs a `name`; refusals, logs and tests show it\n");
    expect_complaint(RULE("{name: unmatched, from: [b], to: a}"),
                     "p.yaml:5:21: `unmatched` is what is said when no rule matches; choose another name\n");
    expect_complaint(RULE("{name: i, to: a}"),
                     "p.yaml:5:14: `from` is missing; list the calling services, or [\"*\"] for all\n");
    expect_complaint(RULE("{name: i, from: b, to: a}"),
                     "p.yaml:5:30: `from` must be a list ([a, b]); found a single value\n");
    expect_complaint(RULE("{name: i, from: [], to: a}"),
                     "p.yaml:5:30: `from` is empty; list the calling services, or [\"*\"] for all\n");
    expect_complaint(RULE("{name: i, from: [b], to: zebra}"),
                     "p.yaml:5:39: no service `zebra` in this policy; add it to `services`\n");
    expect_complaint(RULE("{name: i, from: [b], to: a}, {name: i, from: [c], to: a}"),
                     "p.yaml:5:50: an intention `i` exists already, in line 5; rename one\n");
    expect_complaint(RULE("{name: i, from: [b], to: d, allow: [{paths: [/x]}]}"),
                     "p.yaml:5:50: an HTTP rule on a tcp service, where only the caller's identity is known; "
                     "remove methods and paths\n");
    expect_complaint(RULE("{name: i, from: [b], to: a, deny: []}"),
                     "p.yaml:5:48: `deny` is empty, so it does nothing; write [{}] for every request\n");
    expect_complaint(RULE("{name: i, from: [b], except: [c], to: a}"),
                     "p.yaml:5:44: `c` is not in `from`, so there is nothing to except; remove it\n");
    expect_complaint(RULE("{name: i, from: [b], except: [b], to: a}"),
                     "p.yaml:5:30: all of `from` is excepted, so the rule concerns nobody\n");
    expect_complaint(RULE("{name: i, from: [b], to: a, mode: dry}"),
                     "p.yaml:5:48: expected audit; found `dry`\n");
    expect_complaint(
        RULE("{name: i, from: [b], to: a, allow: [{paths: [\"/a*\"]}]}"),
        "p.yaml:5:59: `/a*` can never match: a star is only possible at the end, after a slash (/cart/*)\n");
    expect_complaint(RULE("{name: i, from: [b], to: a, allow: [{methods: [post]}]}"),
                     "p.yaml:5:61: methods are case-sensitive; write POST\n");
}

static void tests_are_checked(void **state)
{
    (void)state;
#define TEST(test) "services: {a: {protocol: http}, d: {protocol: tcp}}\ntests: [" test "]\n"
    expect_complaint(TEST("{from: b, to: a, expect: deny}"),
                     "p.yaml:5:9: `request` is missing; say which, such as GET /\n");
    expect_complaint(TEST("{from: b, to: d, request: GET /, expect: deny}"),
                     "p.yaml:5:35: `d` is a tcp service and has no requests; remove `request`\n");
    expect_complaint(TEST("{from: b, to: x1, expect: deny}"),
                     "p.yaml:5:23: no service `x1` in this policy; add it to `services`\n");
    expect_complaint(TEST("{from: b, to: d, expect: deny, rule: z}"),
                     "p.yaml:5:46: no intention `z` to service `d`, so this could never be the answer\n");
    expect_complaint(TEST("{from: b, to: d}"), "p.yaml:5:9: `expect` is missing; say allow or deny\n");
    expect_complaint(TEST("{from: b, to: a, request: GET /a/../b, expect: deny}"),
                     "p.yaml:5:35: no request has this path: dot segments are resolved before paths are "
                     "compared; write the resolved "
                     "path\n");
}

static void many_errors_are_reported_at_once(void **state)
{
    (void)state;
    expect_complaint(
        "bogus: 1\nservices: {A: {protocol: http}, b: {protocol: udp, port: x}}\nintentions: 3\n",
        "p.yaml:4:1: unknown key `bogus`; expected one of policy, part, mesh, version, expires, rollout, "
        "defaults, "
        "services, intentions, egress, faults, observability, audit, revoke, tests\n"
        "p.yaml:5:12: `A` cannot be a service name; use up to 63 lower-case letters, digits and - . inside\n"
        "p.yaml:5:47: expected http, tcp, http2 or grpc; found `udp`\n"
        "p.yaml:5:58: expected a whole number from 1 to 65535; found `x`\n"
        "p.yaml:6:13: `intentions` must be a list ([a, b]); found a single value\n");
}

static void one_error_is_not_reported_as_two(void **state)
{
    (void)state;
    expect_complaint("services: {db: {protocol: tpc}}\ntests: [{from: a, to: db, expect: deny}]\n",
                     "p.yaml:4:27: expected http, tcp, http2 or grpc; found `tpc`\n");
}

static void lists_of_callers_are_bounded(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_add_str(&text, "services: {a: {protocol: http}}\nintentions: [{name: i, to: a, from: [b");
    for (int i = 0; i < 1024; i++)
        buf_addf(&text, ",c%d", i);
    buf_add_str(&text, "]}]\n");
    expect_complaint(buf_str(&text), "p.yaml:5:37: more than 1024 names in one list; split the rule\n");
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_policy_denies_by_knowing_nobody),
        cmocka_unit_test(all_that_is_in_force_compiles),
        cmocka_unit_test(revocations_are_found_by_key),
        cmocka_unit_test(a_revocation_that_would_revoke_nothing_is_an_error),
        cmocka_unit_test(typos_get_a_suggestion_with_words_of_the_whole_language),
        cmocka_unit_test(the_head_is_required),
        cmocka_unit_test(services_are_checked),
        cmocka_unit_test(routes_are_checked),
        cmocka_unit_test(a_shadowed_route_is_an_error),
        cmocka_unit_test(intentions_are_checked),
        cmocka_unit_test(tests_are_checked),
        cmocka_unit_test(many_errors_are_reported_at_once),
        cmocka_unit_test(one_error_is_not_reported_as_two),
        cmocka_unit_test(lists_of_callers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
