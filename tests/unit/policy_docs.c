/* docs/policy.md is right: every ```yaml block compiles without a warning and passes its own tests, and the table of
 * features says what feature.h does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "policy/policy.h"

static struct buf page;

/* Tests run in the repository's root. */
static int setup(void **state)
{
    (void)state;
    FILE *f = fopen("docs/policy.md", "rb");
    uint8_t *at = buf_reserve(&page, 1 << 20);
    if (!f || !at)
        return -1;
    page.len = fread(at, 1, 1 << 20, f);
    fclose(f);
    return page.len ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    buf_fini(&page);
    return 0;
}

static struct bytes whole_file(void)
{
    const char *begin = strstr(buf_str(&page), "## A whole file\n\n```yaml\n");
    assert_non_null(begin);
    begin = strstr(begin, "policy: v1");
    return bytes_of(begin, (size_t)(strstr(begin, "\n```\n") + 1 - begin));
}

/* A policy; or an overlay, over the whole file. */
static enum err compile_one(struct policy **p, struct bytes text, struct complaints *c)
{
    static const char overlay[] = "overlay: v1";
    if (text.len < sizeof overlay || memcmp(text.at, overlay, sizeof overlay - 1) != 0)
        return policy_compile(p, text, c);
    struct policy_source src[] = {{.text = whole_file()}, {.text = text, .is_overlay = true}};
    enum err e = policy_compile_sources(p, src, 2, c);
    assert_true(e != ERR_OK || policy_overlay_check_ends(*p, policy_overlay(*p)->ends - 24 * 3600, NULL));
    return e;
}

static void compile_block(const char *begin, const char *end, int number)
{
    struct complaints c = {.file = "docs/policy.md"};
    struct policy *p = NULL;
    size_t run = 0;
    if (compile_one(&p, bytes_of(begin, (size_t)(end - begin)), &c) != ERR_OK ||
        policy_test(p, &run, &c) != 0 || c.warnings)
        fail_msg("block %d (lines count from its beginning):\n%s", number, buf_str(&c.text));
    policy_unref(p);
    buf_fini(&c.text);
}

static void every_example_compiles_and_passes_its_tests(void **state)
{
    (void)state;
    const char *at = buf_str(&page);
    int blocks = 0;
    while ((at = strstr(at, "\n```yaml\n"))) {
        const char *begin = at + strlen("\n```yaml\n"), *end = strstr(begin, "\n```\n");
        assert_non_null(end);
        compile_block(begin, end + 1, ++blocks);
        at = end;
    }
    assert_int_equal(blocks, 8);
}

/* The table of features is feature.h's: all of them, in order, and what is in force. */
static void the_table_of_features_is_true(void **state)
{
    (void)state;
    const char *at = strstr(buf_str(&page), "\n| feature | is needed by | in force |\n");
    assert_non_null(at);
    at = strstr(at, "\n|---") + 1;
    for (int f = 0; f < POLICY_FEATURES; f++) {
        char begin[64], end[16];
        snprintf(begin, sizeof begin, "\n| `%s` | ", feature_name((enum policy_feature)f));
        snprintf(end, sizeof end, " | %s |", feature_in_force((enum policy_feature)f) ? "yes" : "no");
        at = strchr(at, '\n');
        assert_non_null(at);
        if (strncmp(at, begin, strlen(begin)) != 0)
            fail_msg("the row of %s is missing, or not in its place", feature_name((enum policy_feature)f));
        const char *line_end = strchr(++at, '\n');
        if (strncmp(line_end - strlen(end), end, strlen(end)) != 0)
            fail_msg("docs/policy.md and feature.h differ on whether %s is in force",
                     feature_name((enum policy_feature)f));
    }
    assert_int_not_equal(strchr(at, '\n')[1], '|');
}

/* The page's whole file shows all of the language but what would be bad advice, or stands in other examples. */
static void the_whole_file_is_nearly_whole(void **state)
{
    (void)state;
    struct policy *p = NULL;
    assert_int_equal(policy_compile(&p, whole_file(), NULL), ERR_OK);
    uint64_t all = (UINT64_C(1) << POLICY_FEATURES) - 1;
    assert_int_equal(all & ~policy_features(p), feature_bit(FEATURE_ENCRYPTION_OFF) |
                                                    feature_bit(FEATURE_ENCRYPTION_PERMISSIVE) |
                                                    feature_bit(FEATURE_HTTP2) | feature_bit(FEATURE_REGEX) |
                                                    feature_bit(FEATURE_RESPONSE_HEADERS));
    policy_unref(p);
}

static void every_code_of_a_complaint_is_explained(void **state)
{
    (void)state;
    const char *section = strstr(buf_str(&page), "\n## Complaints\n");
    assert_non_null(section);
    for (int i = 0; i < CODES; i++) {
        char row[64];
        snprintf(row, sizeof row, "`%s`", complaint_code_text((enum complaint_code)i));
        if (!strstr(section, row))
            fail_msg("docs/policy.md does not explain %s", row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_compiles_and_passes_its_tests),
        cmocka_unit_test(the_table_of_features_is_true),
        cmocka_unit_test(the_whole_file_is_nearly_whole),
        cmocka_unit_test(every_code_of_a_complaint_is_explained),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
