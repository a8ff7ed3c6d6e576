/* A refusal between agents: written by one, read by the other, and nothing else is read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "exchange/refusal.h"
#include "http/h1.h"

static void what_one_agent_writes_the_other_reads(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        enum exchange_flag flag;
        const char *rule;
        uint32_t after;
        const char *line;
    } table[] = {
        {403, FLAG_UAEX, "no-admin", 0, "403 9 no-admin words of it"},
        {503, FLAG_UH, NULL, 0, "503 9 - words of it"},
        {429, FLAG_RL, "rateLimits[2]", 30, "429 9 rateLimits[2] after=30 words of it"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char line[REFUSAL_LINE_MAX], space[FACT_NAME_MAX];
        struct exchange_refusal r = refusal_of(table[i].status, table[i].flag, table[i].rule, "words of it"),
                                back;
        r.policy_version = 9;
        r.retry_after_s = table[i].after;
        refusal_line(&r, line);
        assert_string_equal(line, table[i].line);
        assert_true(refusal_of_line(&back, bytes_str(exchange_flag_text(r.flag)), bytes_str(line), space));
        assert_int_equal(back.status, r.status);
        assert_int_equal(back.flag, r.flag);
        assert_int_equal(back.policy_version, 9);
        assert_int_equal(back.retry_after_s, r.retry_after_s);
        assert_string_equal(back.reason, "words of it");
        assert_true(r.rule ? strcmp(back.rule, r.rule) == 0 : back.rule == NULL);
    }
}

static void what_is_no_time_to_wait_is_words(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *line, *words;
        uint32_t after;
    } table[] = {
        {"RL", "429 9 r after=86400 x", "x", 86400},
        {"RL", "429 9 r after=86401 x", "after=86401 x", 0},
        {"RL", "429 9 r after=-1 x", "after=-1 x", 0},
        {"RL", "429 9 r after= x", "after= x", 0},
        {"RL", "429 9 r after=1", "after=1", 0},
        {"RL", "429 9 r after=1x y", "after=1x y", 0},
        {"RL", "429 9 r after=99999999999999999999 x", "after=99999999999999999999 x", 0},
        {"UAEX", "403 9 r after=7 x", "after=7 x", 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char space[FACT_NAME_MAX];
        struct exchange_refusal r;
        assert_true(refusal_of_line(&r, bytes_str(table[i].flag), bytes_str(table[i].line), space));
        assert_int_equal(r.retry_after_s, table[i].after);
        assert_string_equal(r.reason, table[i].words);
    }
}

static void what_is_no_refusal_is_not_read(void **state)
{
    (void)state;
    static const char *const lines[] = {"",
                                        "403",
                                        "403 9 r",
                                        "399 9 r x",
                                        "600 9 r x",
                                        "x 9 r x",
                                        "403 x r x",
                                        "403  9 r x",
                                        " 403 9 r x",
                                        "4 3 9 r x",
                                        "403 9  x",
                                        "-403 9 r x",
                                        "403 99999999999999999999999 r x"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char space[FACT_NAME_MAX];
        struct exchange_refusal r;
        if (refusal_of_line(&r, bytes_str("UAEX"), bytes_str(lines[i]), space))
            fail_msg("%s", lines[i]);
    }
}

/* A header's value has no blanks at its ends: one that had could not be written, and its client were told nothing. */
static void blanks_at_the_ends_of_words_stay_out_of_headers(void **state)
{
    (void)state;
    static const char *const words[] = {" no service is called ", "   ", ""};
    static const char *const value[] = {"no service is called", "", ""};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct exchange_refusal r = refusal_of(404, FLAG_NR, " rule ", "%s", words[i]);
        struct http_head h;
        struct bytes text;
        struct buf out = {0};
        assert_int_equal(refusal_head(&h, &r, &text), ERR_OK);
        assert_true(bytes_eq_str(http_head_find(&h, "x-starling-reason")->value, value[i]));
        assert_true(bytes_eq_str(http_head_find(&h, "x-starling-rule")->value, "rule"));
        assert_int_equal(h1_write_head(&out, &h, NULL), ERR_OK);
        buf_fini(&out);
        http_head_fini(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_agent_writes_the_other_reads),
        cmocka_unit_test(what_is_no_time_to_wait_is_words),
        cmocka_unit_test(what_is_no_refusal_is_not_read),
        cmocka_unit_test(blanks_at_the_ends_of_words_stay_out_of_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
