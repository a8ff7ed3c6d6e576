/* What changed between two texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/difference.h"

static void expect(const char *before, const char *after, const char *difference)
{
    struct buf out = {0};
    difference_write(&out, bytes_str(before), bytes_str(after));
    assert_string_equal(buf_str(&out), difference);
    buf_fini(&out);
}

static void only_changed_lines_are_shown(void **state)
{
    (void)state;
    expect("", "", "");
    expect("a\nb\n", "a\nb\n", "");
    expect("a\nb", "a\nb\n", "");
    expect("", "a\n", "+ a\n");
    expect("a\n", "", "- a\n");
    expect("version: 1\na\nb\nc\n", "version: 2\na\nx\nb\n", "- version: 1\n+ version: 2\n+ x\n- c\n");
    expect("a\na\na\n", "a\na\n", "- a\n");
    expect("a\nb\nc\nd\n", "d\na\nb\nc\n", "+ d\n- d\n");
    expect("a\n", "\x1b[31m\n", "- a\n+  [31m\n");
}

static void a_change_too_large_for_the_table_is_shown_whole(void **state)
{
    (void)state;
    struct buf before = {0}, after = {0}, out = {0};
    for (int i = 0; i < 5000; i++) {
        buf_addf(&before, "%d\n", i);
        buf_addf(&after, "%d\n", i + 1);
    }
    difference_write(&out, buf_bytes(&before), buf_bytes(&after));
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++)
        lines += out.at[i] == '\n';
    assert_int_equal(lines, 10000);
    buf_fini(&before);
    buf_fini(&after);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_changed_lines_are_shown),
        cmocka_unit_test(a_change_too_large_for_the_table_is_shown_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
