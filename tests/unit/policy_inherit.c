/* P36, the rest: random settings at three levels, splits, sticky keys and rate limits, compiled, against a naive reading of
 * the same lists. */
#include "policy_world.h"

#include "base/rng.h"

enum { POLICIES = 400, QUESTIONS = 20, ROUTES = 3, TARGETS = 4, LIMITS = 5, LEVELS = 3 };

/* A few keys of each shape; what an accessor says of a route, and of its service. */
static const struct {
    const char *group, *inner, *name; /* `inner` NULL: none */
    unsigned least, most, built_in;
    const char *unit;
    size_t at, width, service_at; /* in struct policy_route, in struct policy_settings */
} keys[] = {
#define BOTH(field, of)                                                                                      \
    offsetof(struct policy_route, field), sizeof(((struct policy_route *)0)->field),                         \
        offsetof(struct policy_settings, of)
    {"timeouts", NULL, "connect", 1, 99999, 1000, "ms", BOTH(timeouts.connect_ms, timeouts.connect_ms)},
    {"timeouts", NULL, "idle", 0, 99999, 3600000, "ms", BOTH(timeouts.idle_ms, timeouts.idle_ms)},
    {"retry", NULL, "attempts", 0, 10, 1, "", BOTH(retry.attempts, retry.attempts)},
    {"retry", "backoff", "base", 0, 250, 25, "ms", BOTH(retry.backoff_base_ms, retry.backoff_base_ms)},
    {"retry", "budget", "percent", 0, 100, 20, "", BOTH(retry.budget_percent, retry.budget_percent)},
};
enum { KEYS = sizeof keys / sizeof *keys };

struct level { /* what one level says: -1 nothing */
    int value[KEYS];
};
struct limit {
    int route; /* -1: all */
    unsigned count;
};
struct route {
    struct level says;
    unsigned weight[TARGETS]; /* of subsets s0, s1, ... */
    bool sticky;
};
struct model {
    struct level defaults, service;
    struct route route[ROUTES];
    size_t limit_count;
    struct limit limit[LIMITS];
};

static void random_level(struct rng *r, struct level *l)
{
    for (size_t i = 0; i < KEYS; i++)
        l->value[i] = rng_below(r, 100) < 40
                          ? (int)(keys[i].least + rng_below(r, keys[i].most - keys[i].least + 1))
                          : -1;
}

static void random_model(struct rng *r, struct model *m)
{
    random_level(r, &m->defaults);
    random_level(r, &m->service);
    for (size_t i = 0; i < ROUTES; i++) {
        struct route *t = &m->route[i];
        random_level(r, &t->says);
        t->sticky = rng_below(r, 2);
        for (size_t j = 0; j < TARGETS; j++)
            t->weight[j] = rng_below(r, 3) ? rng_below(r, 100) : 0;
        t->weight[rng_below(r, TARGETS)] = 1 + rng_below(r, 10);
    }
    m->limit_count = rng_below(r, LIMITS + 1);
    for (size_t i = 0; i < m->limit_count; i++)
        m->limit[i] = (struct limit){(int)rng_below(r, ROUTES + 1) - 1, 1 + rng_below(r, 1000)};
}

/* "timeouts: {connect: 3ms}, retry: {attempts: 2, backoff: {base: 1ms}}" */
static void write_level(struct buf *b, const struct level *l)
{
    static const char *const groups[] = {"timeouts", "retry"};
    for (size_t g = 0; g < 2; g++) {
        buf_addf(b, "%s: {", groups[g]);
        for (size_t i = 0, n = 0; i < KEYS; i++) {
            if (strcmp(keys[i].group, groups[g]) != 0 || l->value[i] < 0)
                continue;
            buf_addf(b, "%s", n++ ? ", " : "");
            if (keys[i].inner)
                buf_addf(b, "%s: {%s: %d%s}", keys[i].inner, keys[i].name, l->value[i], keys[i].unit);
            else
                buf_addf(b, "%s: %d%s", keys[i].name, l->value[i], keys[i].unit);
        }
        buf_add_str(b, g == 0 ? "}, " : "}");
    }
}

static void write_model(struct buf *b, const struct model *m)
{
    buf_add_str(b, "defaults: {");
    write_level(b, &m->defaults);
    buf_add_str(b, "}\nservices:\n  a:\n    {protocol: http, ");
    write_level(b, &m->service);
    buf_add_str(b, ", subsets: {");
    for (size_t j = 0; j < TARGETS; j++)
        buf_addf(b, "%ss%zu: {n: \"%zu\"}", j ? ", " : "", j, j);
    buf_add_str(b, "},\n    routes: [");
    for (size_t i = 0; i < ROUTES; i++) {
        const struct route *t = &m->route[i];
        buf_addf(b, "%s\n      {name: r%zu, match: [{path: {exact: /%zu}}], ", i ? "," : "", i, i);
        write_level(b, &t->says);
        buf_addf(b, "%s, to: [", t->sticky ? ", sticky: {header: X-User}" : "");
        for (size_t j = 0; j < TARGETS; j++)
            buf_addf(b, "%s{subset: s%zu, weight: %u}", j ? ", " : "", j, t->weight[j]);
        buf_add_str(b, "]}");
    }
    buf_add_str(b, "]");
    for (size_t i = 0; i < m->limit_count; i++) {
        buf_addf(b, "%s{scope: instance, rate: %u/s", i ? ", " : ",\n    rateLimits: [", m->limit[i].count);
        if (m->limit[i].route >= 0)
            buf_addf(b, ", route: r%d", m->limit[i].route);
        buf_add_str(b, "}");
    }
    buf_add_str(b, m->limit_count ? "]}\n" : "}\n");
}

static uint64_t number_at(const void *base, size_t at, size_t width)
{
    uint64_t v = 0;
    memcpy(&v, (const uint8_t *)base + at, width);
    return v;
}

/* The reference: the innermost level that says anything. */
static uint64_t said(const struct level *const *levels, size_t count, size_t key)
{
    for (size_t i = 0; i < count; i++)
        if (levels[i]->value[key] >= 0)
            return (uint64_t)levels[i]->value[key];
    return keys[key].built_in;
}

static void compare_settings(const struct model *m, const struct policy_service *s)
{
    for (size_t k = 0; k < KEYS; k++) {
        const struct level *up[] = {&m->service, &m->defaults};
        assert_int_equal(number_at(policy_service_settings(s), keys[k].service_at, keys[k].width),
                         said(up, 2, k));
        for (size_t i = 0; i < ROUTES; i++) {
            const struct level *levels[LEVELS] = {&m->route[i].says, &m->service, &m->defaults};
            assert_int_equal(number_at(route_of(s, i), keys[k].at, keys[k].width), said(levels, LEVELS, k));
        }
    }
}

/* The place of `dice` among 2^64, on a line of weights. */
static size_t side(const unsigned *weight, uint64_t dice)
{
    unsigned __int128 sum = 0, upto = 0;
    for (size_t j = 0; j < TARGETS; j++)
        sum += weight[j];
    for (size_t j = 0; j < TARGETS; j++) {
        upto += weight[j];
        if ((unsigned __int128)dice * sum < upto << 64)
            return j;
    }
    return TARGETS;
}

static void compare_split(const struct model *m, const struct policy_service *s, struct rng *r)
{
    char path[8], user[16], want[8];
    size_t i = rng_below(r, ROUTES);
    bool has_user = rng_below(r, 3) > 0;
    uint64_t dice = rng_u64(r);
    snprintf(path, sizeof path, "/%zu", i);
    snprintf(user, sizeof user, "u%u", rng_below(r, 1000));
    struct policy_header h = {bytes_str("x-user"), bytes_str(user)};
    const struct policy_request rq = {
        .method = bytes_str("GET"), .path = bytes_str(path), .header = &h, .header_count = has_user};
    const struct policy_route *t = policy_route(s, &rq);
    uint64_t place = m->route[i].sticky && has_user ? policy_key_hash(bytes_str(user)) : dice;
    snprintf(want, sizeof want, "s%zu", side(m->route[i].weight, place));
    assert_string_equal(policy_route_choose(t, &rq, dice)->subset->name, want);
}

static void compare_limits(const struct model *m, const struct policy_service *s)
{
    for (int i = 0; i < ROUTES; i++) {
        size_t cursor = 0;
        const struct policy_rate_limit *l;
        for (size_t j = 0; j < m->limit_count; j++) {
            if (m->limit[j].route >= 0 && m->limit[j].route != i)
                continue;
            l = policy_rate_limit_next(s, route_of(s, (size_t)i), &cursor);
            assert_non_null(l);
            assert_int_equal(l->count, m->limit[j].count);
        }
        assert_null(policy_rate_limit_next(s, route_of(s, (size_t)i), &cursor));
    }
}

static void what_is_inherited_split_and_limited_equals_the_reference_P36(void **state)
{
    (void)state;
    struct rng r = rng_seeded(361);
    struct model m;
    for (int i = 0; i < POLICIES; i++) {
        struct buf text = {0};
        random_model(&r, &m);
        write_model(&text, &m);
        struct policy *p = policy_of(buf_str(&text));
        compare_settings(&m, service_of(p, "a"));
        for (int j = 0; j < QUESTIONS; j++)
            compare_split(&m, service_of(p, "a"), &r);
        compare_limits(&m, service_of(p, "a"));
        policy_unref(p);
        buf_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_inherited_split_and_limited_equals_the_reference_P36)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
