/* What the tests of the policy compiler share: compile a text, or expect its complaints. */
#ifndef POLICY_WORLD_H
#define POLICY_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/policy.h"

#define HEAD "policy: v1\nmesh: shop.example\nversion: 7\n"

/* HEAD has three lines, so the first line of `text` is line 4. */
static inline struct policy *policy_of(const char *text)
{
    struct complaints c = {.file = "p.yaml"};
    struct policy *p = NULL;
    struct buf whole = {0};
    buf_addf(&whole, "%s%s", HEAD, text);
    if (policy_compile(&p, buf_bytes(&whole), &c) != ERR_OK)
        fail_msg("%s%s", buf_str(&whole), buf_str(&c.text));
    assert_int_equal(c.count, 0);
    buf_fini(&c.text);
    buf_fini(&whole);
    return p;
}

/* The compiler must refuse it with these very words; or, if `warnings`, take it and say them. */
static inline void expect_said(const char *text, bool warnings, const char *words)
{
    struct complaints c = {.file = "p.yaml"};
    struct policy *p = NULL;
    struct buf whole = {0};
    buf_addf(&whole, "%s%s", HEAD, text);
    assert_int_equal(policy_compile(&p, buf_bytes(&whole), &c), warnings ? ERR_OK : ERR_INVALID);
    assert_int_equal(p != NULL, warnings);
    assert_string_equal(buf_str(&c.text), words);
    policy_unref(p);
    buf_fini(&c.text);
    buf_fini(&whole);
}

static inline void expect_complaint(const char *text, const char *complaint)
{
    expect_said(text, false, complaint);
}

static inline const struct policy_service *service_of(const struct policy *p, const char *name)
{
    const struct policy_service *s = policy_service(p, bytes_str(name));
    assert_non_null(s);
    return s;
}

static inline const struct policy_route *route_of(const struct policy_service *s, size_t index)
{
    const struct policy_route *r = NULL;
    size_t cursor = 0;
    for (size_t i = 0; i <= index; i++)
        r = policy_route_next(s, &cursor);
    assert_non_null(r);
    return r;
}

static inline void assert_bytes(struct bytes got, const char *want)
{
    if (!bytes_eq_str(got, want))
        fail_msg("`%.*s` is not `%s`", (int)got.len, (const char *)got.at, want);
}

#endif
