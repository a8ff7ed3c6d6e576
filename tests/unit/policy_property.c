/* P36: the compiled policy answers as a naive reading of the same rules does. Random policies are made as
 * plain lists, written out as YAML, compiled, and asked random questions; the reference walks the lists with
 * nothing but strcmp. Where the compiler refuses a route as unreachable, the reference must never choose it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/policy.h"
#include "policy_model.h"

enum { POLICIES = 800, QUESTIONS = 50 };

/* The compiled answers, in the reference's words. */
static void compiled_answers(const struct policy *p, const struct question *q, char *verdict, char *route)
{
    const struct policy_service *to = policy_service(p, bytes_str(services[q->to]));
    struct policy_header h = {bytes_str("x-h"), q->header ? bytes_str(q->header) : bytes_str("")};
    struct policy_request rq = {.caller = bytes_str(q->caller),
                                .method = bytes_str(q->method),
                                .path = bytes_str(q->path),
                                .query = bytes_str(q->query),
                                .header = &h,
                                .header_count = q->header ? 1 : 0};
    struct policy_verdict v = policy_decide(p, to, &rq);
    const struct policy_route *r = policy_route(to, &rq);
    sprintf(verdict, "%s %s%s%s", v.allowed ? "allow" : "deny", v.rule, v.audited ? " audit " : "",
            v.audited ? v.audit_rule ? v.audit_rule : "-" : "");
    sprintf(route, "%s", r ? r->name : "none");
}

static void compare(const struct policy *p, const struct model *m, const struct question *q, const char *text)
{
    char want[64], got[64], want_route[64] = "default", got_route[64];
    int route = reference_route(m, q);
    reference_verdict(m, q, want);
    if (q->to == 0)
        sprintf(want_route, route < 0 ? "none" : "r%d", route);
    compiled_answers(p, q, got, got_route);
    if (strcmp(want, got) != 0 || strcmp(want_route, got_route) != 0)
        fail_msg("%s%s -> %s: %s %s?%s x-h %s\nreference: %s, %s\ncompiled:  %s, %s", text, q->caller,
                 services[q->to], q->method, q->path, q->query, q->header ? q->header : "-", want, want_route,
                 got, got_route);
}

/* Every route that is called unreachable must be so. */
static void check_refusal(const struct model *m, struct complaints *c, struct rng *r)
{
    const char *at = buf_str(&c->text);
    size_t named = 0;
    while ((at = strstr(at, "route `r"))) {
        long index = strtol(at += strlen("route `r"), NULL, 10);
        named++;
        for (int i = 0; i < 200; i++) {
            struct question q;
            random_question(r, &q);
            assert_int_not_equal(reference_route(m, &q), index);
        }
    }
    if (named != c->count)
        fail_msg("%s", buf_str(&c->text));
}

/* Every rule that is said never to decide anything must never do so, whoever asks what. Returns how many. */
static size_t check_warnings(const struct model *m, struct complaints *c, struct rng *r)
{
    const char *at = buf_str(&c->text);
    size_t named = 0;
    while ((at = strstr(at, "rule `i"))) {
        char name[16], verdict[64];
        snprintf(name, sizeof name, " i%ld", strtol(at += strlen("rule `i"), NULL, 10));
        named++;
        for (int i = 0; i < 100; i++) {
            struct question q;
            random_question(r, &q);
            reference_verdict(m, &q, verdict);
            char *decided = strchr(verdict, ' '), *audit = strstr(verdict, " audit");
            if (audit)
                *audit = 0;
            assert_string_not_equal(decided, name);
        }
    }
    return named;
}

static void compiled_equals_reference_P36(void **state)
{
    (void)state;
    struct rng r = rng_seeded(36);
    static struct model m;
    size_t compared = 0, refused = 0, shadowed = 0;
    for (int i = 0; i < POLICIES; i++) {
        struct buf text = {0};
        struct complaints c = {0};
        struct policy *p = NULL;
        random_model(&r, &m);
        write_model(&text, &m);
        if (policy_compile(&p, buf_bytes(&text), &c) != ERR_OK) {
            check_refusal(&m, &c, &r);
            refused++;
        }
        shadowed += p ? check_warnings(&m, &c, &r) : 0;
        for (int j = 0; p && j < QUESTIONS; j++, compared++) {
            struct question q;
            random_question(&r, &q);
            compare(p, &m, &q, buf_str(&text));
        }
        policy_unref(p);
        buf_fini(&c.text);
        buf_fini(&text);
    }
    assert_true(compared >= 20000);
    assert_true(shadowed > 20);
    assert_true(refused > 20); /* the other half of the property was looked at too */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(compiled_equals_reference_P36)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
