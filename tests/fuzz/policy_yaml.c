/* Any text through the parser, the compiler, its own tests and a few questions: nothing crashes, and whatever
 * compiles answers. */
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

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
        struct policy_verdict v = policy_decide(p, s, &rq);
        assert(v.rule && (v.audited || !v.audit_rule));
        assert(!r || policy_route_pick(r, UINT64_MAX)->weight > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct complaints c = {.file = "fuzz", .source = bytes_of(in, len)};
    struct policy *p = NULL;
    size_t run;
    enum err e = policy_compile(&p, bytes_of(in, len), &c);
    assert((e == ERR_OK) == (p != NULL));
    assert(e == ERR_OK || e == ERR_NOMEM || c.count > 0); /* nothing is refused without a word */
    if (p) {
        assert(policy_test(p, &run, &c) <= run);
        ask(p);
    }
    policy_unref(p);
    buf_fini(&c.text);
    return 0;
}
