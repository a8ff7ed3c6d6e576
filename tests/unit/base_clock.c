/* Times and spans as texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"

static void spans_show_two_units(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *text;
    } want[] = {{0, "0s"},
                {999, "0s"},
                {59999, "59s"},
                {60000, "1m0s"},
                {130000, "2m10s"},
                {3599999, "59m59s"},
                {3600000, "1h0m"},
                {172799999, "47h59m"},
                {172800000, "2d0h"},
                {262800000, "3d1h"},
                {UINT64_MAX, "213503982334d14h"}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        char out[SPAN_TEXT_MAX];
        assert_string_equal(span_text(want[i].ms, out), want[i].text);
    }
}

static void times_are_those_of_rfc_3339(void **state)
{
    (void)state;
    char out[WALL_TEXT_MAX];
    assert_string_equal(wall_text(0, out), "1970-01-01T00:00:00Z");
    assert_string_equal(wall_text(1787220000, out), "2026-08-20T10:00:00Z");
    assert_string_equal(wall_text(INT64_MAX, out), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(spans_show_two_units),
                                       cmocka_unit_test(times_are_those_of_rfc_3339)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
