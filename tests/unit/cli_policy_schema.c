/* The JSON Schema and the compiler know the same keys, at every map of the language; and every key has a word about it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "cli/cli.h"
#include "policy/policy.h"

enum { STEPS_MAX = 16 };
struct path { /* from the top to a map: keys, "*" and "[]" */
    const char *step[STEPS_MAX];
    size_t count;
    size_t maps; /* that were compared */
};

/* A policy in JSON, which is YAML too, whose map at `at` has a key that nobody knows. */
static char *text_with_unknown_key(const struct path *at)
{
    json_t *v = json_pack("{s:i}", "zzzzzzzz", 1);
    for (size_t i = at->count; i-- > 0;) {
        const char *step = at->step[i];
        v = strcmp(step, "[]") == 0  ? json_pack("[o]", v)
            : strcmp(step, "*") == 0 ? json_pack("{s:o}", "cart", v)
                                     : json_pack("{s:o}", step, v);
    }
    json_object_set_new(v, "policy",
                        json_string("v1")); /* tests alone would be told that they are no policy */
    char *text = json_dumps(v, 0);
    json_decref(v);
    return text;
}

/* What the compiler says it would know there; empty: it did not look. */
static void ask_compiler(const struct path *at, char *known, size_t size)
{
    struct complaints c = {.list = calloc(COMPLAINTS_SHOWN_MAX, sizeof *c.list)};
    struct policy *p = NULL;
    char *text = text_with_unknown_key(at);
    assert_int_equal(policy_compile(&p, bytes_str(text), &c), ERR_INVALID);
    known[0] = 0;
    for (size_t i = 0; i < c.list_count; i++) {
        const char *list = strstr(c.list[i].message, "`zzzzzzzz`; expected one of ");
        if (list)
            snprintf(known, size, "%s", list + strlen("`zzzzzzzz`; expected one of "));
    }
    if (!known[0])
        fail_msg("the compiler has no word on %s\n%s", text, buf_str(&c.text));
    free(text);
    free(c.list);
    buf_fini(&c.text);
}

static void compare(const struct path *at, json_t *properties)
{
    char known[400], *key, *rest = known;
    size_t count = 0;
    ask_compiler(at, known, sizeof known);
    while ((key = strsep(&rest, ", "))) {
        if (*key == 0)
            continue;
        if (!json_object_get(properties, key))
            fail_msg("the compiler knows `%s` in `%s`, and the schema does not", key,
                     at->count ? at->step[at->count - 1] : "");
        count++;
    }
    assert_int_equal(count, json_object_size(properties));
}

static void visit(struct path *at, json_t *schema);

static void visit_step(struct path *at, const char *step, json_t *schema)
{
    assert_true(at->count < STEPS_MAX);
    at->step[at->count++] = step;
    visit(at, schema);
    at->count--;
}

static void visit(struct path *at, json_t *schema)
{
    json_t *properties = json_object_get(schema, "properties"), *one;
    const char *key;
    if (properties) {
        compare(at, properties);
        at->maps++;
        assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    }
    json_object_foreach(properties, key, one) visit_step(at, key, one);
    if (json_is_object(json_object_get(schema, "additionalProperties")))
        visit_step(at, "*", json_object_get(schema, "additionalProperties"));
    if (json_object_get(schema, "items"))
        visit_step(at, "[]", json_object_get(schema, "items"));
    if (!properties && !json_object_get(schema, "items") && !json_object_get(schema, "additionalProperties"))
        assert_true(json_string_length(json_object_get(schema, "description")) > 0);
}

static void the_schema_and_the_compiler_know_the_same_keys(void **state)
{
    (void)state;
    struct path at = {.count = 0};
    json_t *schema = cli_policy_schema_json();
    assert_non_null(schema);
    visit(&at, schema);
    assert_true(at.maps > 60);
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_schema_and_the_compiler_know_the_same_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
