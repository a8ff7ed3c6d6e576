/* The option table: what is understood, and what is answered to what is not. Complaints go to stderr, which
 * the runner shows only when a test fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "cli/args.h"
#include "cli/cli.h"

static const char *ca;
static bool force;
static int64_t ttl;
static struct args_list labels, operands;

static const struct args_option options[] = {
    {"ca", 0, "DIR", "", .text = &ca, .required = true},
    {"force", 'f', NULL, "", .flag = &force},
    {"ttl", 't', "TIME", "", .seconds = &ttl},
    {"label", 'l', "KEY=VALUE", "", .list = &labels},
};
static const struct args_command command = {.name = "thing make",
                                            .operands = "FILE",
                                            .about = "",
                                            .option = options,
                                            .option_count = sizeof options / sizeof *options,
                                            .operands_min = 1,
                                            .operands_max = 2};

/* Parses words parted by one space each. */
static int parse(const char *line)
{
    static char words[256];
    char *argv[40] = {NULL}, *rest = NULL;
    int argc = 0;
    ca = NULL;
    force = false;
    ttl = 60;
    labels.count = operands.count = 0;
    snprintf(words, sizeof words, "make %s", line);
    for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
        argv[argc++] = w;
    return args_parse(&command, argc, argv, &operands);
}

static void options_and_operands_come_in_any_order(void **state)
{
    (void)state;
    assert_int_equal(parse("one --ca dir -f --ttl=5m two --label a=b -lc=d"), ARGS_GO);
    assert_string_equal(ca, "dir");
    assert_true(force);
    assert_int_equal(ttl, 300);
    assert_int_equal(labels.count, 2);
    assert_string_equal(labels.at[0], "a=b");
    assert_string_equal(labels.at[1], "c=d");
    assert_int_equal(operands.count, 2);
    assert_string_equal(operands.at[1], "two");
}

static void what_is_not_given_stays(void **state)
{
    (void)state;
    assert_int_equal(parse("--ca dir file"), ARGS_GO);
    assert_false(force);
    assert_int_equal(ttl, 60);
}

static void two_dashes_end_the_options_and_one_is_an_operand(void **state)
{
    (void)state;
    assert_int_equal(parse("--ca dir -- -f -"), ARGS_GO);
    assert_false(force);
    assert_string_equal(operands.at[0], "-f");
    assert_string_equal(operands.at[1], "-");
    assert_int_equal(parse("--ca dir -"), ARGS_GO);
    assert_string_equal(operands.at[0], "-");
}

static void a_mistake_is_a_usage_error(void **state)
{
    static const char *const wrong[] = {
        "file",                    /* --ca is required */
        "--ca dir",                /* so is FILE */
        "--ca dir a b c",          /* one too many */
        "--ca",                    /* no value */
        "--ca= file",              /* an empty one */
        "--ca x --ca y file",      /* twice */
        "--ca dir --force=yes a",  /* a flag takes none */
        "--ca dir -ff a",          /* neither in short form */
        "--ca dir --ttl 5 file",   /* no unit */
        "--ca dir --ttl -5m file", /* below zero */
        "--ca dir --frce file",
        "--ca dir -x file",
        "--ca dir --an-option-name-that-is-longer-than-any-word file",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parse(wrong[i]) != EXIT_USAGE)
            fail_msg("accepted: %s", wrong[i]);
}

static void help_ends_well_whatever_else_is_missing(void **state)
{
    (void)state;
    assert_int_equal(parse("--help"), EXIT_GOOD);
    assert_int_equal(parse("-h"), EXIT_GOOD);
}

static void a_list_has_a_cap(void **state)
{
    char *argv[2 * (ARGS_LIST_MAX + 1) + 4] = {"make", "--ca", "dir", "file"};
    int argc = 4;
    (void)state;
    assert_int_equal(parse("--ca dir file"), ARGS_GO);
    for (int i = 0; i <= ARGS_LIST_MAX; i++) {
        argv[argc++] = "-l";
        argv[argc++] = "a=b";
    }
    operands.count = 0;
    assert_int_equal(args_parse(&command, argc - 2, argv, &operands), ARGS_GO);
    assert_int_equal(labels.count, ARGS_LIST_MAX);
    operands.count = labels.count = 0;
    assert_int_equal(args_parse(&command, argc, argv, &operands), EXIT_USAGE);
}

static void lengths_of_time(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* 0: refused */
    } t[] = {{"90s", 90},    {"30m", 1800},
             {"24h", 86400}, {"7d", 604800},
             {"0s", 0},      {"", 0},
             {"h", 0},       {"1h30m", 0},
             {"1.5h", 0},    {" 1h", 0},
             {"1h ", 0},     {"5ms", 0},
             {"5x", 0},      {"36600d", INT64_C(36600) * 86400},
             {"36601d", 0},  {"99999999999999999999s", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int64_t out = -1;
        bool ok = args_seconds(t[i].text, &out);
        if (ok != (t[i].seconds != 0) || (ok && out != t[i].seconds))
            fail_msg("\"%s\"", t[i].text);
    }
}

static void the_nearest_word_is_suggested_and_a_far_one_is_not(void **state)
{
    static const char *const words[] = {"status", "members", "services", "why", "leave"};
    (void)state;
    assert_string_equal(args_nearest("stauts", words, 5), "status");
    assert_string_equal(args_nearest("serv", words, 5), "services");
    assert_string_equal(args_nearest("member", words, 5), "members");
    assert_string_equal(args_nearest("leaves", words, 5), "leave");
    assert_null(args_nearest("publish", words, 5));
    assert_null(args_nearest("", words, 5));
    assert_null(args_nearest("xyz", words, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_come_in_any_order),
        cmocka_unit_test(what_is_not_given_stays),
        cmocka_unit_test(two_dashes_end_the_options_and_one_is_an_operand),
        cmocka_unit_test(a_mistake_is_a_usage_error),
        cmocka_unit_test(help_ends_well_whatever_else_is_missing),
        cmocka_unit_test(a_list_has_a_cap),
        cmocka_unit_test(lengths_of_time),
        cmocka_unit_test(the_nearest_word_is_suggested_and_a_far_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
