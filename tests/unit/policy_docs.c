/* docs/policy.md is right: every ```yaml block compiles and passes its own tests, and what is said not to be
 * in force is refused. */
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

static void compile_block(const char *begin, const char *end, int number)
{
    struct complaints c = {.file = "docs/policy.md"};
    struct policy *p = NULL;
    size_t run = 0;
    if (policy_compile(&p, bytes_of(begin, (size_t)(end - begin)), &c) != ERR_OK ||
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
    assert_int_equal(blocks, 5);
}

/* Each word of the last section, offered at the top, in defaults, in a service, a route, timeouts or a rule:
 * one of these places must answer "not in force". */
static bool is_refused_somewhere(const char *word)
{
    static const char *const places[] = {
        "%s: 1\n",
        "defaults: {%s: 1}\n",
        "defaults: {timeouts: {%s: 1}}\n",
        "services: {a: {protocol: http, %s: 1}}\n",
        "services: {a: {protocol: http, routes: [{name: r, %s: 1}]}}\n",
        "services: {a: {protocol: http, routes: [{name: r, match: [{path: {%s: 1}}]}]}}\n",
        "services: {a: {protocol: http}}\nintentions: [{name: i, from: [b], to: a, allow: [{%s: 1}]}]\n",
        "defaults: {%s}\n",
        "services: {a: {%s}}\n",
    };
    bool refused = false;
    for (size_t i = 0; i < sizeof places / sizeof *places && !refused; i++) {
        const char *hole = strstr(places[i], "%s");
        struct buf text = {0};
        struct complaints c = {0};
        struct policy *p = NULL;
        buf_addf(&text, "policy: v1\nmesh: m\nversion: 1\n%.*s%s%s", (int)(hole - places[i]), places[i], word,
                 hole + 2);
        refused = policy_compile(&p, buf_bytes(&text), &c) == ERR_INVALID &&
                  strstr(buf_str(&c.text), "not in force in this version");
        policy_unref(p);
        buf_fini(&text);
        buf_fini(&c.text);
    }
    return refused;
}

static void what_is_said_not_to_be_in_force_is_refused(void **state)
{
    (void)state;
    static const char *const names_of_places[] = {"defaults", "timeouts", "allow", "deny"};
    const char *at = strstr(buf_str(&page), "\n## Not in force yet");
    size_t words = 0;
    assert_non_null(at);
    while ((at = strchr(at, '`'))) {
        const char *end = strchr(at + 1, '`');
        char word[64];
        bool is_place = false;
        assert_non_null(end);
        snprintf(word, sizeof word, "%.*s", (int)(end - at - 1), at + 1);
        for (size_t i = 0; i < sizeof names_of_places / sizeof *names_of_places; i++)
            is_place |= strcmp(word, names_of_places[i]) == 0;
        if (!is_place && !is_refused_somewhere(word))
            fail_msg("`%s` is documented as not in force, but is not refused as such", word);
        words += !is_place;
        at = end + 1;
    }
    assert_true(words >= 28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_compiles_and_passes_its_tests),
        cmocka_unit_test(what_is_said_not_to_be_in_force_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
