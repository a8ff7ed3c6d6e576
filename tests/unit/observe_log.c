/* What a log line looks like, and what no value can do to it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "observe/log.h"

/* 2026-08-20T10:00:00.123Z */
static const int64_t WALL_MS = 1787220000123;

__attribute__((format(printf, 4, 5))) static size_t format(char out[LOG_LINE_MAX], enum log_level level,
                                                           const char *room, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t n = log_format(out, WALL_MS, level, room, fmt, ap);
    va_end(ap);
    assert_true(n < LOG_LINE_MAX);
    out[n] = 0;
    return n;
}

static void a_line_has_time_level_room_and_text(void **state)
{
    (void)state;
    char line[LOG_LINE_MAX];
    format(line, LOG_INFO, "gossip", "member %s is suspect", "web-1");
    assert_string_equal(line, "2026-08-20T10:00:00.123Z info  gossip: member web-1 is suspect\n");
    format(line, LOG_ERROR, "store", "%d", 7);
    assert_string_equal(line, "2026-08-20T10:00:00.123Z error store: 7\n");
}

static void values_cannot_end_the_line_or_drive_a_terminal(void **state)
{
    (void)state;
    char line[LOG_LINE_MAX];
    format(line, LOG_WARN, "policy", "path %s", "/a\r\nforged \x1b[2J\t\x7f\xe2\x80\xae");
    assert_string_equal(
        line,
        "2026-08-20T10:00:00.123Z warn  policy: path /a\\x0d\\x0aforged \\x1b[2J\\x09\\x7f\\xe2\\x80\\xae\n");
}

static void long_lines_are_cut_and_say_so(void **state)
{
    (void)state;
    char line[LOG_LINE_MAX], value[3 * LOG_LINE_MAX];
    for (size_t len = LOG_LINE_MAX - 80; len < LOG_LINE_MAX + 80; len++) {
        memset(value, len % 2 ? 'a' : '\n', len);
        value[len] = 0;
        size_t n = format(line, LOG_DEBUG, "x", "%s", value);
        assert_int_equal(line[n - 1], '\n');
        assert_ptr_equal(strchr(line, '\n'), line + n - 1);
        bool fits = len % 2 && n <= LOG_LINE_MAX - 4 && strstr(line, "...") == NULL;
        assert_true(fits || strcmp(line + n - 4, "...\n") == 0);
    }
}

static void levels_have_names(void **state)
{
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse("Debug", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_DEBUG);
}

/* Reads what `stderr` gets while `level_wanted` is in force and one line of each level is written. */
static size_t lines_written(enum log_level level_wanted)
{
    int ends[2], saved = dup(STDERR_FILENO);
    char got[4 * LOG_LINE_MAX];
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_level_set(level_wanted);
    log_error("test", "one");
    log_warn("test", "two");
    log_info("test", "three");
    log_debug("test", "four");
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(ends[1]);
    ssize_t n, total = 0;
    while ((n = read(ends[0], got + total, sizeof got - (size_t)total)) > 0)
        total += n;
    close(ends[0]);
    size_t lines = 0;
    for (ssize_t i = 0; i < total; i++)
        lines += got[i] == '\n';
    return lines;
}

static void only_wanted_levels_are_written(void **state)
{
    (void)state;
    assert_int_equal(lines_written(LOG_ERROR), 1);
    assert_int_equal(lines_written(LOG_WARN), 2);
    assert_int_equal(lines_written(LOG_DEBUG), 4);
    log_level_set(LOG_INFO);
    assert_int_equal(log_level_get(), LOG_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_room_and_text),
        cmocka_unit_test(values_cannot_end_the_line_or_drive_a_terminal),
        cmocka_unit_test(long_lines_are_cut_and_say_so),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(only_wanted_levels_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
