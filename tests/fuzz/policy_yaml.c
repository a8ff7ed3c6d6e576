/* Any text through the parser, the compiler, its own tests and a few questions: nothing crashes, and whatever
 * compiles answers. */
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

/* Everything that a route does to a request, asked of it. */
static void follow(const struct policy_service *s, const struct policy_route *r,
                   const struct policy_request *rq)
{
    struct buf path = {0};
    size_t cursor = 0;
    assert(policy_route_pick(r, UINT64_MAX)->weight > 0);
    assert(policy_route_choose(r, rq, 7)->weight > 0);
    policy_route_rewrite(s, r, rq, &path);
    assert(path.failed || (path.len > 0 && path.at[0] == '/'));
    buf_fini(&path);
    for (const struct policy_rate_limit *l; (l = policy_rate_limit_next(s, r, &cursor));)
        assert(l->count > 0 && l->per_ms > 0 && l->burst > 0);
}

static void ask(const struct policy *p)
{
    static const struct policy_header header = {{(const uint8_t *)"x-beta", 6}, {(const uint8_t *)"1", 1}};
    struct policy_request rq = {.caller = bytes_str("web"),
                                .method = bytes_str("GET"),
                                .path = bytes_str("/cart/7"),
                                .query = bytes_str("q=%2a+&&x"),
                                .header = &header,
                                .header_count = 1};
    const struct policy_service *s;
    size_t cursor = 0;
    while ((s = policy_service_next(p, &cursor))) {
        assert(policy_service(p, bytes_str(policy_service_name(s))) == s);
        const struct policy_route *r = policy_route(s, &rq);
        const struct policy_fault *f = policy_fault_of(s, &rq, 0);
        struct policy_verdict v = policy_decide(p, s, &rq);
        assert(v.rule && (v.audited || !v.audit_rule));
        assert(!f || (f->name && f->to == s && f->until > 0));
        if (r)
            follow(s, r, &rq);
    }
    (void)policy_egress_of(p, bytes_str("web"), bytes_str("a.example"), 443);
    for (int f = 0; f < POLICY_FEATURES; f++) /* what is needed has a place */
        assert(!(policy_features(p) & feature_bit((enum policy_feature)f)) ||
               feature_name((enum policy_feature)f));
}

/* The second half of the text as a part of the first's policy. */
static void in_two(const uint8_t *in, size_t len)
{
    static const struct bytes pattern = {(const uint8_t *)"a*", 2};
    static const struct policy_reach reach = {"team", &pattern, 1};
    const struct policy_source src[] = {
        {.file = "one", .text = bytes_of(in, len / 2)},
        {.file = "two", .text = bytes_of(in + len / 2, len - len / 2), .reach_or_null = &reach}};
    struct complaints c = {0};
    struct policy *p = NULL;
    size_t run;
    if (policy_compile_sources(&p, src, 2, &c) == ERR_OK) {
        (void)policy_test(p, &run, &c);
        policy_warn_of_features(p, UINT64_MAX, &c);
        ask(p);
    }
    policy_unref(p);
    buf_fini(&c.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct complaint list[COMPLAINTS_SHOWN_MAX];
    struct complaints c = {.file = "fuzz", .source = bytes_of(in, len), .list = list};
    struct policy *p = NULL;
    size_t run;
    enum err e = policy_compile(&p, bytes_of(in, len), &c);
    assert((e == ERR_OK) == (p != NULL));
    assert(e == ERR_OK || e == ERR_NOMEM || c.count > 0); /* nothing is refused without a word */
    if (p) {
        assert(policy_test(p, &run, &c) <= run);
        policy_warn_of_features(p, UINT64_MAX, &c);
        ask(p);
    }
    policy_unref(p);
    buf_fini(&c.text);
    if (len)
        in_two(in, len);
    return 0;
}
