/* One spelling of a path, one of an authority, or none: P9 to P13. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/h1.h"

struct row {
    const char *raw, *canonical; /* NULL: refused */
};

static void expect_path(const char *raw, const char *canonical)
{
    uint8_t out[512];
    size_t len;
    enum err e = http_path_normalise(bytes_str(raw), out, &len);
    if (!canonical) {
        if (e != ERR_INVALID)
            fail_msg("%s became %.*s instead of being refused", raw, (int)len, (const char *)out);
        return;
    }
    if (e != ERR_OK || !bytes_eq_str(bytes_of(out, len), canonical))
        fail_msg("%s became %.*s (%s) instead of %s", raw, (int)len, (const char *)out, err_text(e),
                 canonical);
    /* In place it is the same. */
    memcpy(out, raw, strlen(raw));
    assert_int_equal(http_path_normalise(bytes_of(out, strlen(raw)), out, &len), ERR_OK);
    assert_true(bytes_eq_str(bytes_of(out, len), canonical));
}

static void expect_authority(const char *raw, const char *canonical)
{
    uint8_t out[HTTP_AUTHORITY_MAX];
    size_t len;
    enum err e = http_authority_normalise(bytes_str(raw), out, sizeof out, &len);
    if (!canonical) {
        if (e != ERR_INVALID)
            fail_msg("%s became %.*s instead of being refused", raw, (int)len, (const char *)out);
        return;
    }
    if (e != ERR_OK || !bytes_eq_str(bytes_of(out, len), canonical))
        fail_msg("%s became %.*s (%s) instead of %s", raw, (int)len, (const char *)out, err_text(e),
                 canonical);
}

static void paths_have_one_spelling(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"/a/b/", "/a/b/"},
        {"//a///b//", "/a/b/"},
        {"/./a/./b/.", "/a/b/"},
        {"/a/b/..", "/a/"},
        {"/a/b/../c", "/a/c"},
        {"/a//../b", "/b"},
        {"/a/..", "/"},
        {"/%61%2D%2e%5f%7Eb", "/a-._~b"},
        {"/a%20b%3a", "/a%20b%3A"},
        {"/caf%c3%a9", "/caf%C3%A9"},
        {"/%f0%9f%90%a6", "/%F0%9F%90%A6"},
        {"/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="},
        {"/...", "/..."},
        {"/.a/..b", "/.a/..b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_path(rows[i].raw, rows[i].canonical);
}

static void p9_spellings_of_a_denied_path(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"/%61dmin", "/admin"},       /* encoded once: the same path, and judged as such */
        {"/%2561dmin", "/%2561dmin"}, /* encoded twice: decoded once only (P11), another path */
        {"/%252e%252e/admin", "/%252e%252e/admin"},
        {"//admin", "/admin"},
        {"/./admin", "/admin"},
        {"/x/../admin", "/admin"},
        {"/x/%2e%2E/admin", "/admin"},
        {"/%2e/admin", "/admin"},
        {"/ADMIN", "/ADMIN"}, /* paths are case-sensitive (RFC 9110 section 4.2.3) */
        {"/admin.", "/admin."},
        {"/admin/", "/admin/"},
        {"/admin;a=b", NULL},
        {"/;/admin", NULL},
        {"/..;/admin", NULL},
        {"/x/..;/admin", NULL},
        {"\\admin", NULL},
        {"/x\\..\\admin", NULL},
        {"/x%5c..%5Cadmin", NULL},
        {"/x/..%2fadmin", NULL},
        {"/%2Fadmin", NULL},
        {"/x%2f..%2fadmin", NULL},
        {"/%c0%afadmin", NULL},        /* overlong '/' */
        {"/%e0%80%afadmin", NULL},     /* and in three bytes */
        {"/%f0%80%80%afadmin", NULL},  /* and in four */
        {"/%c0%ae%c0%ae/admin", NULL}, /* overlong dots */
        {"/x%ef%bc%8fadmin", NULL},    /* fullwidth solidus */
        {"/%ef%bc%8e%ef%bc%8e/admin", NULL},
        {"/x%ef%bc%bcadmin", NULL}, /* fullwidth backslash */
        {"/%ef%bc%852e/admin", NULL},
        {"/admin%00", NULL},
        {"/admin%0d%0aX:y", NULL},
        {"/admin%7f", NULL},
        {"/admin%", NULL},
        {"/admin%4", NULL},
        {"/admin%4g", NULL},
        {"/admin%ff", NULL},
        {"/admin%c3", NULL},
        {"/admin%c3x", NULL},
        {"/%c3/%a9", NULL},
        {"/%ed%a0%80", NULL},    /* a surrogate */
        {"/%f4%90%80%80", NULL}, /* above U+10FFFF */
        {"/admin\xc3\xa9", NULL},
        {"/admin x", NULL},
        {"/admin#x", NULL},
        {"/admin\"", NULL},
        {"/admin<", NULL},
        {"/[admin]", NULL},
        {"/admin?x", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_path(rows[i].raw, rows[i].canonical);
}

static void p10_ways_out_of_an_allowed_prefix(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"/public/../admin", "/admin"},     {"/public%2f..%2fadmin", NULL},   {"/public;/../admin", NULL},
        {"/public/%2e%2e/admin", "/admin"}, {"/publicadmin", "/publicadmin"}, {"/public\\..\\admin", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_path(rows[i].raw, rows[i].canonical);
}

static void p12_what_is_not_a_path(void **state)
{
    (void)state;
    static const char *const raws[] = {"",    "*",     "admin",    "a.example:80", "http://a/",
                                       "/..", "/../a", "/a/../..", "/a/../../b",   "/%2e%2e"};
    for (size_t i = 0; i < sizeof raws / sizeof *raws; i++)
        expect_path(raws[i], NULL);
}

static void p13_authorities_have_one_spelling(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"A.Example", "a.example"},
        {"a.example.", "a.example"},
        {"a.example:80", "a.example"},
        {"a.example.:8080", "a.example:8080"},
        {"a_b", "a_b"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"127.0.0.1:80", "127.0.0.1"},
        {"127.0.0.1:7480", "127.0.0.1:7480"},
        {"[::1]:80", "[::1]"},
        {"[2001:DB8:0:0:0:0:0:5]:81", "[2001:db8::5]:81"},
        {"1.example", "1.example"},
        {"0x.example", "0x.example"},
        {"", NULL},
        {".", NULL},
        {"a..b", NULL},
        {".a", NULL},
        {"a:", NULL},
        {"a:0", NULL},
        {"a:00080", NULL},
        {"a:65536", NULL},
        {"a:8080x", NULL},
        {"a:1:2", NULL},
        {"u@a", NULL},
        {"u:p@a:80", NULL},
        {"a/b", NULL},
        {"a b", NULL},
        {"a,b", NULL},
        {"a?b", NULL},
        {"a%41", NULL},
        {"b\xc3\xbc"
         "cher.example",
         NULL},
        {"2130706433", NULL},
        {"127.1", NULL},
        {"0177.0.0.1", NULL},
        {"0x7f.0.0.1", NULL},
        {"0x7f000001", NULL},
        {"127.0.0.1.1", NULL},
        {"256.0.0.1", NULL},
        {"a.1", NULL},
        {"::1", NULL},
        {"[::1", NULL},
        {"[::1]x", NULL},
        {"[fe80::1%25eth0]", NULL},
        {"[127.0.0.1]", NULL},
        {"[]", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_authority(rows[i].raw, rows[i].canonical);
}

static void long_names_are_refused(void **state)
{
    (void)state;
    char name[300], label[80];
    memset(label, 'a', 64);
    label[64] = 0;
    expect_authority(label, NULL);
    label[63] = 0;
    expect_authority(label, label);
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[253] = 0;
    expect_authority(name, name);
    name[253] = '.';
    name[254] = 'a';
    name[255] = 0;
    expect_authority(name, NULL);
}

static void queries_are_kept_and_only_checked(void **state)
{
    (void)state;
    assert_true(http_query_is_sound(bytes_str("")));
    assert_true(http_query_is_sound(bytes_str("a=1&b[]=%0d%0A{x}|^`?/;'")));
    static const char *const bad[] = {"%",   "%4",   "%zz",      "a#b", "a b",  "a\"b",
                                      "a<b", "a\\b", "\xc3\xa9", "a\r", "a\x7f"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(http_query_is_sound(bytes_str(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_have_one_spelling),           cmocka_unit_test(p9_spellings_of_a_denied_path),
        cmocka_unit_test(p10_ways_out_of_an_allowed_prefix), cmocka_unit_test(p12_what_is_not_a_path),
        cmocka_unit_test(p13_authorities_have_one_spelling), cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(queries_are_kept_and_only_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
