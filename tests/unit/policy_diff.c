/* What changes between two policies: stories of each kind of difference, and the property that for random pairs the list of
 * differences agrees, both ways, with asking both policies. */
#include "policy_world.h"

#include "policy/diff.h"
#include "policy_model.h"

/* -- stories ---------------------------------------------------------------------------------------- */

static void write_names(struct buf *out, const struct diff_names *n)
{
    buf_add_str(out, n->but ? n->count ? "*-" : "*" : "");
    for (size_t i = 0; i < n->count; i++)
        buf_addf(out, "%s%s", i ? "," : "", n->at[i]);
}

static void write_verdict(struct buf *out, bool there, const struct policy_verdict *v)
{
    if (!there)
        buf_add_str(out, "no service");
    else
        buf_addf(out, "%s by %s%s%s", v->allowed ? "allowed" : "denied", v->rule, v->audited ? " audit " : "",
                 !v->audited     ? ""
                 : v->audit_rule ? v->audit_rule
                                 : "-");
}

static void write_one(struct buf *out, const struct diff_one *o)
{
    buf_addf(out, "%s %s%s%s%s%s:", diff_kind_text(o->kind), o->service ? o->service : "-",
             o->name ? " " : "", o->name ? o->name : "", o->key ? " " : "", o->key ? o->key : "");
    if (!o->access) {
        buf_addf(out, " %s -> %s\n", o->before ? o->before : "none", o->after ? o->after : "none");
        return;
    }
    const struct diff_access *a = o->access;
    buf_add_str(out, " ");
    write_names(out, &a->callers);
    buf_add_str(out, " ");
    write_names(out, &a->methods);
    for (size_t i = 0; i < a->path_count; i++)
        buf_addf(out, " %s%s%s", a->path[i].out ? "!" : "", a->path[i].path ? a->path[i].path : "*",
                 a->path[i].path && a->path[i].below ? "/*" : "");
    buf_add_str(out, ": ");
    write_verdict(out, a->was_there, &a->before);
    buf_add_str(out, " -> ");
    write_verdict(out, a->is_there, &a->after);
    buf_add_str(out, "\n");
}

static void expect_diff(const char *before, const char *after, const char *want)
{
    struct policy *a = policy_of(before), *b = policy_of(after);
    struct diff *d = diff_new(a, b), *same = diff_new(b, b);
    struct buf got = {0};
    assert_non_null(d);
    assert_int_equal(diff_count(same), 0);
    for (size_t i = 0; i < diff_count(d); i++)
        write_one(&got, diff_at(d, i));
    assert_string_equal(buf_str(&got), want);
    buf_fini(&got);
    diff_free(d);
    diff_free(same);
    policy_unref(a);
    policy_unref(b);
}

#define CART  "services: {cart: {protocol: http}}\nintentions:\n"
#define FRONT "  - {name: front, from: [web], to: cart}\n"
#define NO_ADMIN                                                                                             \
    "  - {name: no-admin, from: [\"*\"], except: [ops], to: cart, deny: [{paths: [\"/admin/*\"]}]}\n"

static void test_classes_that_change_alike_are_one_difference(void **state)
{
    (void)state;
    expect_diff(CART FRONT, CART FRONT NO_ADMIN,
                "access cart: web * /admin/*: allowed by front -> denied by no-admin\n"
                "rule cart: *-ops,web * /admin/*: denied by unmatched -> denied by no-admin\n");
    expect_diff(
        CART FRONT,
        CART
        "  - {name: front, from: [web, ops], to: cart, allow: [{methods: [GET], paths: [\"/*\"]}, {paths: "
        "[/x]}]}\n",
        "access cart: ops GET /*: denied by unmatched -> allowed by front\n"
        "access cart: ops *-GET /x: denied by unmatched -> allowed by front\n"
        "access cart: web GET *"
        " !/*: allowed by front -> denied by unmatched\n"
        "access cart: web *-GET * !/x: allowed by front -> denied by unmatched\n");
}

static void test_rules_on_trial_and_rules_by_another_name(void **state)
{
    (void)state;
    expect_diff(CART FRONT,
                CART FRONT
                "  - {name: trial, from: [\"*\"], to: cart, mode: audit, deny: [{methods: [PUT]}]}\n",
                "access cart: web PUT *: allowed by front -> allowed by front audit trial\n");
    expect_diff(CART FRONT, CART "  - {name: door, from: [web], to: cart}\n",
                "rule cart: web * *: allowed by front -> allowed by door\n");
    /* What no rule could tell apart before and after is no difference, however it is written. */
    expect_diff(CART FRONT, CART "  - {name: front, from: [web], to: cart, allow: [{methods: [GET]}, {}]}\n",
                "");
    expect_diff("services: {db: {protocol: tcp, unmatched: audit}}\nintentions:\n"
                "  - {name: s, from: [a], to: db}\n",
                "services: {db: {protocol: tcp}}\nintentions:\n  - {name: s, from: [a, b], to: db}\n",
                "access db: b * *: allowed by unmatched audit - -> allowed by s\n"
                "access db: *-a,b * *: allowed by unmatched audit - -> denied by unmatched\n"
                "setting db unmatched: audit -> deny\n");
}

static void test_services_that_come_and_go(void **state)
{
    (void)state;
    expect_diff("services: {}\n", CART FRONT,
                "access cart: web * *: no service -> allowed by front\n"
                "service cart: none -> {protocol: http}\n"
                "route cart default: none -> {to: {*: 1}}\n");
    expect_diff("services: {a: {protocol: http, port: 80}}\n", "services: {a: {protocol: grpc}}\n",
                "service a protocol: http -> grpc\n"
                "service a port: 80 -> none\n"
                "feature - grpc: none -> needed\n");
}

#define SUBSETS                                                                                              \
    "services:\n  cart:\n    protocol: http\n    subsets: {v1: {version: \"1\"}, v2: {version: \"2\"}}\n"
#define ROUTES SUBSETS "    routes:\n"
#define BETA   "      - {name: beta, match: [{headers: {x-beta: {exact: \"1\"}}}], to: [{subset: v2}]}\n"
#define ITEMS  "      - {name: items, match: [{path: {prefix: /items}}], to: [{subset: v1}]}\n"
#define BOOKS  "      - {name: books, match: [{path: {prefix: /books}}], to: [{subset: v1}]}\n"

#define NUMBERS                                                                                              \
    "      - {name: numbers, match: [{path: {regex: '/(items|things)/[0-9]+'}}], to: [{subset: v2}]}\n"
#define WORDS "      - {name: words, match: [{path: {regex: '/[a-z/]+'}}], to: [{subset: v1}]}\n"

static void test_routes(void **state)
{
    (void)state;
    expect_diff(
        ROUTES "      - {name: rest, to: [{subset: v1, weight: 95}, {subset: v2, weight: 5}]}\n",
        ROUTES
        "      - {name: rest, to: [{subset: v1, weight: 90}, {subset: v2, weight: 10}], timeouts: {request: "
        "3s}}\n",
        "route cart rest timeouts.request: 15s -> 3s\n"
        "weight cart rest v1: 95 -> 90\n"
        "weight cart rest v2: 5 -> 10\n");
    expect_diff(ROUTES ITEMS, ROUTES BETA ITEMS,
                "route cart beta: none -> {match: [{headers: {x-beta: {exact: \"1\"}}}], to: {v2: 1}}\n");
    expect_diff(ROUTES BETA ITEMS, ROUTES ITEMS BETA, "order cart items beta: after -> before\n");
    expect_diff(ROUTES BOOKS ITEMS, ROUTES ITEMS BOOKS, ""); /* no request fits both */
    expect_diff(ROUTES BOOKS NUMBERS, ROUTES NUMBERS BOOKS, "");
    expect_diff(ROUTES ITEMS NUMBERS, ROUTES NUMBERS ITEMS, "order cart numbers items: after -> before\n");
    expect_diff(ROUTES NUMBERS WORDS, ROUTES WORDS NUMBERS, "");
    expect_diff(
        ROUTES ITEMS,
        ROUTES
        "      - {name: items, match: [{method: GET, path: {prefix: /items}}], rewrite: {prefix: /v1}, to: "
        "[{subset: v1}]}\n",
        "route cart items match: [{path: {prefix: /items}}] -> [{method: GET, path: {prefix: /items}}]\n"
        "route cart items rewrite: none -> /v1\n"
        "feature - rewrite: none -> needed\n");
}

static void test_settings_are_told_as_inherited(void **state)
{
    (void)state;
    expect_diff(
        "services: {a: {protocol: http}, b: {protocol: tcp}, c: {protocol: http, timeouts: {connect: 2s}}}\n",
        "defaults: {timeouts: {connect: 2s, request: 1m30s}}\n"
        "services: {a: {protocol: http}, b: {protocol: tcp}, c: {protocol: http}}\n",
        "setting a timeouts.connect: 1s -> 2s\n"
        "setting a timeouts.request: 15s -> 1m30s\n"
        "setting b timeouts.connect: 1s -> 2s\n"
        "setting c timeouts.request: 15s -> 1m30s\n");
    expect_diff(
        "services: {a: {protocol: http}}\n",
        "services: {a: {protocol: http, retry: {on: [\"503\"]}, limits: {headerBytes: 1MiB}, "
        "loadBalancer: {policy: maglev, key: {cookie: s}}, rateLimits: [{scope: instance, rate: 6/m}]}}\n",
        "setting a loadBalancer.policy: peakEwma -> maglev\n"
        "setting a retry.on: [connect-failure, refused-stream, \"502\", \"503\", \"504\"] -> [\"503\"]\n"
        "setting a limits.headerBytes: 60KiB -> 1MiB\n"
        "setting a loadBalancer.key: none -> {cookie: s}\n"
        "rate-limit a: none -> {scope: instance, rate: 6/m, burst: 1}\n"
        "feature - limits: none -> needed\n"
        "feature - load-balancer: none -> needed\n"
        "feature - rate-limit: none -> needed\n"
        "feature - retry: none -> needed\n");
}

static void test_the_mesh_as_a_whole(void **state)
{
    (void)state;
    static const char key[] = "ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    char before[512], after[512], want[1024];
    snprintf(before, sizeof before,
             "expires: 2027-01-31T00:00:00Z\n"
             "egress:\n  - {name: pay, from: [a], to: pay.example, ports: [443]}\n");
    snprintf(after, sizeof after,
             "expires: 2028-02-29T12:34:56Z\naudit: {keep: 30d}\n"
             "egress:\n  - {name: pay, from: [a, b], to: pay.example, ports: [443]}\n"
             "revoke:\n  - {key: \"%s\", reason: lost host, at: 2026-08-20T10:00:00Z}\n",
             key);
    snprintf(want, sizeof want,
             "head - expires: 2027-01-31T00:00:00Z -> 2028-02-29T12:34:56Z\n"
             "egress - pay: {from: [a], to: pay.example, ports: [443]} -> {from: [a, b], to: pay.example, "
             "ports: [443]}\n"
             "revocation - %s: none -> lost host\n"
             "mesh - audit.record: none -> [policy, identity, membership, denied, admin]\n"
             "mesh - audit.keep: none -> 30d\n"
             "mesh - audit.witnesses: none -> 3\n"
             "mesh - audit.every: none -> 1m\n"
             "feature - audit: none -> needed\n"
             "feature - revoke: none -> needed\n",
             key);
    expect_diff(before, after, want);
}

static void test_faults_and_their_order(void **state)
{
    (void)state;
#define ABORT "  - {name: x, to: a, abort: {status: 503, percent: 5}, until: 2026-12-01T00:00:00Z}\n"
#define DELAY "  - {name: y, to: a, delay: {fixed: 200ms}, until: 2026-12-01T00:00:00Z}\n"
    static const char head[] = "services: {a: {protocol: http}}\nfaults:\n";
    char before[512], after[512];
    snprintf(before, sizeof before, "%s%s%s", head, ABORT, DELAY);
    snprintf(after, sizeof after, "%s%s%s", head, DELAY, ABORT);
    expect_diff(before, after,
                "fault a x: {to: a, {abort: {status: 503, percent: 5}, until: 2026-12-01T00:00:00Z}} -> {to: "
                "a, {abort: "
                "{status: 503, percent: 5}, until: 2026-12-01T00:00:00Z}}, after y\n"
                "fault a y: {to: a, {delay: {fixed: 200ms, percent: 100}, until: 2026-12-01T00:00:00Z}}, "
                "after x -> {to: a, "
                "{delay: {fixed: 200ms, percent: 100}, until: 2026-12-01T00:00:00Z}}\n");
}

/* 3000 callers, 60 methods and 3000 paths: nobody waits for that. */
static void test_what_is_too_large_is_said(void **state)
{
    (void)state;
    struct buf a = {0}, b = {0};
    buf_add_str(&a, "services: {cart: {protocol: http}, db: {protocol: tcp}}\nintentions:\n");
    for (int i = 0; i < 60; i++) {
        buf_addf(&a, "  - {name: r%d, to: cart, from: [", i);
        for (int j = 0; j < 50; j++)
            buf_addf(&a, "%sc%d", j ? ", " : "", i * 50 + j);
        buf_addf(&a, "], allow: [{methods: [M%d], paths: [", i);
        for (int j = 0; j < 50; j++)
            buf_addf(&a, "%s/p%d", j ? ", " : "", i * 50 + j);
        buf_add_str(&a, "]}]}\n");
    }
    buf_addf(&b, "%s  - {name: s, from: [x], to: db}\n", buf_str(&a));
    expect_diff(buf_str(&a), "services: {cart: {protocol: http}}\n",
                "too-large cart: none -> none\n"
                "service db: {protocol: tcp} -> none\n"
                "route db default: {to: {*: 1}} -> none\n");
    struct policy *before = policy_of(buf_str(&a)), *after = policy_of(buf_str(&b));
    struct diff *d = diff_new(before, after);
    assert_int_equal(diff_count(d), 2); /* the one that fits is compared all the same */
    assert_int_equal(diff_at(d, 0)->kind, DIFF_ACCESS);
    assert_int_equal(diff_at(d, 1)->kind, DIFF_TOO_LARGE);
    diff_free(d);
    policy_unref(before);
    policy_unref(after);
    buf_fini(&a);
    buf_fini(&b);
}

static void test_no_policy_denies_everything(void **state)
{
    (void)state;
    struct policy *p = policy_of(CART FRONT);
    struct diff *d = diff_new(NULL, p), *back = diff_new(p, NULL), *none = diff_new(NULL, NULL);
    assert_int_equal(diff_count(d), diff_count(back));
    assert_int_equal(diff_count(none), 0);
    assert_string_equal(diff_at(d, 0)->after, "shop.example");
    assert_string_equal(diff_at(back, 0)->before, "shop.example");
    diff_free(d);
    diff_free(back);
    diff_free(none);
    policy_unref(p);
}

/* -- the property ----------------------------------------------------------------------------------- */

enum { PAIRS = 500, ASKED = 120 };

/* Little changes, so that what stays is as likely as what does not. */
static void mutate(struct rng *r, struct model *m)
{
    for (uint32_t n = 1 + rng_below(r, 3); n > 0; n--) {
        size_t rule = m->rule_count ? rng_below(r, (uint32_t)m->rule_count) : 0;
        size_t i = rng_below(r, (uint32_t)m->route_count), j = rng_below(r, (uint32_t)m->route_count);
        struct route one = m->route[i];
        switch (rng_below(r, 6)) {
        case 0:
            m->audit_unmatched[rng_below(r, 3)] ^= true;
            break;
        case 1:
            random_rule(r, &m->rule[rule]);
            m->rule_count += m->rule_count == 0;
            break;
        case 2:
            m->rule_count -= m->rule_count > 0; /* the last goes */
            break;
        case 3:
            m->rule[rule].audit ^= true;
            m->rule_count += m->rule_count == 0;
            break;
        case 4: /* two routes change places */
            m->route[i] = m->route[j];
            m->route[j] = one;
            break;
        case 5:
            random_route(r, &m->route[i]);
            m->route[i].id = one.id;
            break;
        }
    }
}

static bool holds_name(const struct diff_names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->at[i], name) == 0)
            return !n->but;
    return n->but;
}

/* As diff.h says it is to be read: the most specific entry decides. */
static bool holds_path(const struct diff_access *a, const char *path)
{
    bool in = false;
    size_t best = 0;
    for (size_t i = 0; i < a->path_count; i++) {
        const struct diff_path *p = &a->path[i];
        size_t weight = !p->path ? 1 : p->below ? 2 + 2 * strlen(p->path) : 3 + 2 * strlen(p->path);
        bool fits = !p->path || (p->below ? under(path, p->path) : strcmp(path, p->path) == 0);
        if (fits && weight > best) {
            best = weight;
            in = !p->out;
        }
    }
    return in;
}

/* The one difference that is about this request; NULL: none. No two may be. */
static const struct diff_access *access_of(const struct diff *d, const struct question *q)
{
    const struct diff_access *found = NULL;
    for (size_t i = 0; i < diff_count(d); i++) {
        const struct diff_one *o = diff_at(d, i);
        if (!o->access || strcmp(o->service, services[q->to]) != 0 ||
            !holds_name(&o->access->callers, q->caller) || !holds_name(&o->access->methods, q->method) ||
            !holds_path(o->access, q->path))
            continue;
        assert_null(found);
        assert_int_equal(o->kind, o->access->before.allowed == o->access->after.allowed &&
                                          o->access->before.audited == o->access->after.audited
                                      ? DIFF_RULE
                                      : DIFF_ACCESS);
        found = o->access;
    }
    return found;
}

static void write_as_reference(char *out, const struct policy_verdict *v)
{
    sprintf(out, "%s %s%s%s", v->allowed ? "allow" : "deny", v->rule, v->audited ? " audit " : "",
            v->audited ? v->audit_rule ? v->audit_rule : "-" : "");
}

static void check_access(const struct diff *d, const struct model *a, const struct model *b,
                         const struct question *q, size_t *changed)
{
    char was[64], is[64], told_was[64], told_is[64];
    const struct diff_access *told = access_of(d, q);
    reference_verdict(a, q, was);
    reference_verdict(b, q, is);
    if ((told != NULL) != (strcmp(was, is) != 0))
        fail_msg("%s -> %s %s %s: %s, then %s, and the difference is %s", q->caller, services[q->to],
                 q->method, q->path, was, is, told ? "invented" : "missing");
    if (!told)
        return;
    write_as_reference(told_was, &told->before);
    write_as_reference(told_is, &told->after);
    assert_string_equal(told_was, was);
    assert_string_equal(told_is, is);
    (*changed)++;
}

static bool tells_of_route(const struct diff *d, int id)
{
    char name[16];
    snprintf(name, sizeof name, "r%d", id);
    for (size_t i = 0; id >= 0 && i < diff_count(d); i++) {
        const struct diff_one *o = diff_at(d, i);
        bool place = o->kind == DIFF_ORDER && strcmp(o->key, name) == 0;
        if ((o->kind == DIFF_ROUTE || o->kind == DIFF_ORDER) && (place || strcmp(o->name, name) == 0))
            return true;
    }
    return false;
}

static void check_routes(const struct diff *d, const struct model *a, const struct model *b,
                         const struct question *q, size_t *changed)
{
    int was = reference_route(a, q), is = reference_route(b, q);
    if (q->to != 0 || was == is)
        return;
    (*changed)++;
    if (!tells_of_route(d, was) && !tells_of_route(d, is))
        fail_msg("%s ?%s takes r%d, then r%d, and nothing is said of either", q->path, q->query, was, is);
}

static size_t place_of(const struct model *m, const char *name)
{
    size_t id = strtoul(name + 1, NULL, 10), i = 0;
    while (i < m->route_count && m->route[i].id != id)
        i++;
    assert_true(i < m->route_count);
    return i;
}

/* What is told of routes is so. */
static void check_told(const struct diff *d, const struct model *a, const struct model *b)
{
    for (size_t i = 0; i < diff_count(d); i++) {
        const struct diff_one *o = diff_at(d, i);
        if (o->kind == DIFF_ORDER)
            assert_true(place_of(a, o->name) > place_of(a, o->key) &&
                        place_of(b, o->name) < place_of(b, o->key));
        if (o->kind == DIFF_ROUTE)
            assert_memory_not_equal(&a->route[place_of(a, o->name)], &b->route[place_of(b, o->name)],
                                    sizeof *a->route);
    }
}

static struct policy *compiled(const struct model *m)
{
    struct buf text = {0};
    struct policy *p = NULL;
    write_model(&text, m);
    if (policy_compile(&p, buf_bytes(&text), NULL) != ERR_OK)
        p = NULL;
    buf_fini(&text);
    return p;
}

static void diff_agrees_with_brute_force(void **state)
{
    (void)state;
    struct rng r = rng_seeded(4);
    static struct model a, b;
    size_t pairs = 0, access = 0, routes = 0;
    for (int i = 0; i < PAIRS; i++) {
        memset(&a, 0, sizeof a);
        random_model(&r, &a);
        b = a;
        mutate(&r, &b);
        struct policy *before = compiled(&a), *after = compiled(&b);
        struct diff *d = before && after ? diff_new(before, after) : NULL;
        for (int j = 0; d && j < ASKED; j++) {
            struct question q;
            random_question(&r, &q);
            check_access(d, &a, &b, &q, &access);
            check_routes(d, &a, &b, &q, &routes);
        }
        if (d)
            check_told(d, &a, &b);
        pairs += d != NULL;
        diff_free(d);
        policy_unref(before);
        policy_unref(after);
    }
    assert_true(pairs >= 150);
    assert_true(access >= 2000 && routes >= 300); /* neither half of it was idle */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_that_change_alike_are_one_difference),
        cmocka_unit_test(test_rules_on_trial_and_rules_by_another_name),
        cmocka_unit_test(test_services_that_come_and_go),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_settings_are_told_as_inherited),
        cmocka_unit_test(test_the_mesh_as_a_whole),
        cmocka_unit_test(test_faults_and_their_order),
        cmocka_unit_test(test_what_is_too_large_is_said),
        cmocka_unit_test(test_no_policy_denies_everything),
        cmocka_unit_test(diff_agrees_with_brute_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
