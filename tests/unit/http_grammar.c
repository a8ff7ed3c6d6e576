/* The byte classes, against the RFCs' own words rather than our table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>

#include "http/grammar.h"

static void every_byte_is_classed_as_the_rfcs_say(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool alnum = c < 128 && isalnum(c);
        bool unreserved = alnum || (c && strchr("-._~", c));
        bool token = alnum || (c && strchr("!#$%&'*+-.^_`|~", c)); /* RFC 9110 section 5.6.2 */
        bool value = c == '\t' || (c >= 0x20 && c != 0x7f);        /* 5.5: VCHAR, obs-text, SP, HTAB */
        bool path =
            unreserved || (c && strchr("!$&'()*+,=:@/", c)); /* RFC 3986 pchar and '/', without ';' and '%' */
        bool query = path || (c && strchr(";?[]^`{|}", c));
        bool host = alnum || (c && strchr("-._", c));
        assert_int_equal(grammar_is((uint8_t)c, GRAMMAR_TOKEN), token);
        assert_int_equal(grammar_is((uint8_t)c, GRAMMAR_VALUE), value);
        assert_int_equal(grammar_is((uint8_t)c, GRAMMAR_PATH), path);
        assert_int_equal(grammar_is((uint8_t)c, GRAMMAR_QUERY), query);
        assert_int_equal(grammar_is((uint8_t)c, GRAMMAR_UNRESERVED), unreserved);
        assert_int_equal(grammar_is((uint8_t)c, GRAMMAR_HOST), host);
        assert_int_equal(grammar_is((uint8_t)c, GRAMMAR_HEX), c < 128 && isxdigit(c));
        assert_int_equal(grammar_is((uint8_t)c, GRAMMAR_UPPER), c < 128 && isupper(c));
        assert_int_equal(grammar_lower((uint8_t)c), c < 128 ? tolower(c) : c);
    }
}

/* Eight bytes at a time must see what one at a time sees: every byte, at every place of values of every
 * length. */
static void a_run_of_value_bytes_ends_where_it_should(void **state)
{
    (void)state;
    uint8_t v[40];
    for (size_t len = 1; len <= sizeof v; len++)
        for (size_t at = 0; at < len; at++)
            for (int c = 0; c < 256; c++) {
                memset(v, len % 3 ? 'a' : 0xe9, sizeof v);
                v[at] = (uint8_t)c;
                assert_int_equal(grammar_value_run(v, len), grammar_is((uint8_t)c, GRAMMAR_VALUE) ? len : at);
            }
}

static void names_that_are_not_headers(void **state)
{
    (void)state;
    static const char *const never[] = {
        "host",       "content-length",   "transfer-encoding",  "connection",          "upgrade",       "te",
        "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "http2-settings"};
    static const char *const ordinary[] = {"hosts", "content-type", "trailer",  "x-forwarded-for",
                                           "tz",    "date",         "upgrades", "cookie"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        assert_false(grammar_may_be_header(bytes_str(never[i]), false));
        assert_false(grammar_may_be_header(bytes_str(never[i]), true));
        assert_false(grammar_may_be_trailer(bytes_str(never[i])));
    }
    for (size_t i = 0; i < sizeof ordinary / sizeof *ordinary; i++)
        assert_true(grammar_may_be_header(bytes_str(ordinary[i]), false));
    assert_false(grammar_may_be_header(bytes_str("expect"), false));
    assert_true(grammar_may_be_header(bytes_str("expect"), true));
    assert_false(grammar_may_be_trailer(bytes_str("trailer")));
    assert_false(grammar_may_be_trailer(bytes_str("x.starling.caller")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_classed_as_the_rfcs_say),
        cmocka_unit_test(a_run_of_value_bytes_ends_where_it_should),
        cmocka_unit_test(names_that_are_not_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
