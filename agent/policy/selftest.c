/* Runs a policy's own `tests` with the engine that will enforce it. */
#include "policy/compiled.h"

static bool lists(const struct self_test *t, const struct policy_subset *s)
{
    for (size_t i = 0; s && i < t->subset_count; i++)
        if (strcmp(t->subset[i], s->name) == 0)
            return true;
    return false;
}

/* NULL: as expected. */
static const char *wrong_target(const struct self_test *t, const struct policy_route *r)
{
    for (size_t i = 0; t->subset_count && i < r->target_count; i++)
        if (r->target[i].weight && !lists(t, r->target[i].subset))
            return r->target[i].subset ? r->target[i].subset->name : "any instance";
    return NULL;
}

/* False: failed, and complained. An allowed request that no route takes gets 404, which is not what `allow`
 * promises. */
static bool route_as_expected(const struct self_test *t, const struct policy_request *rq,
                              struct complaints *c)
{
    const struct policy_route *r = policy_route(t->to, rq);
    if (!r) {
        complain_of(c, CODE_TEST, &t->place, "test failed: allowed, but no route of `%s` takes it (404 NR)",
                    t->to->name);
        return false;
    }
    if (t->route && strcmp(t->route, r->name) != 0) {
        complain_of(c, CODE_TEST, &t->place, "test failed: route is `%s`, expected `%s`", r->name, t->route);
        return false;
    }
    const char *wrong = wrong_target(t, r);
    if (wrong)
        complain_of(c, CODE_TEST, &t->place,
                    "test failed: route `%s` may send it to `%s`, which is not expected", r->name, wrong);
    return !wrong;
}

static bool as_expected(const struct policy *p, const struct self_test *t, struct complaints *c)
{
    const struct policy_request rq = {
        .caller = t->from, .method = t->method, .path = t->path, .query = t->query};
    struct policy_verdict v = policy_decide(p, t->to, &rq);
    if (v.allowed != t->expect_allow) {
        complain_of(c, CODE_TEST, &t->place, "test failed: %s by `%s`, expected %s",
                    v.allowed ? "allowed" : "denied", v.rule, t->expect_allow ? "allow" : "deny");
        return false;
    }
    if (t->rule && strcmp(t->rule, v.rule) != 0) {
        complain_of(c, CODE_TEST, &t->place, "test failed: %s by `%s`, expected rule `%s`",
                    v.allowed ? "allowed" : "denied", v.rule, t->rule);
        return false;
    }
    return !v.allowed || route_as_expected(t, &rq, c);
}

size_t policy_test(const struct policy *p, size_t *run, struct complaints *c)
{
    size_t failed = 0;
    bool names =
        c && !c->source_list && p->source_count > 1; /* places are then places in one of several texts */
    if (names) {
        c->source_list = p->source_names;
        c->source_count = p->source_count;
    }
    for (size_t i = 0; i < p->test_count; i++)
        failed += !as_expected(p, &p->test[i], c);
    if (names)
        c->source_list = NULL;
    *run = p->test_count;
    return failed;
}
