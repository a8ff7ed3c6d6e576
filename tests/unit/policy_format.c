/* The formatter: one way to write a policy, and no comment lost on the way. tests/fuzz/policy_format.c holds it to meaning
 * the same for any text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/format.h"

static void expect(const char *text, const char *want)
{
    struct buf once = {0}, twice = {0};
    struct complaints c = {0};
    if (policy_format(&once, bytes_str(text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    assert_string_equal(buf_str(&once), want);
    assert_int_equal(policy_format(&twice, buf_bytes(&once), &c), ERR_OK);
    assert_string_equal(buf_str(&twice), want);
    buf_fini(&once);
    buf_fini(&twice);
    buf_fini(&c.text);
}

static void indentation_blanks_and_quotes_become_uniform(void **state)
{
    (void)state;
    expect("policy:   v1\n"
           "services:\n"
           "      cart:   {protocol:   http,port: 8080}\n"
           "\n\n\n"
           "      'db' : { protocol : tcp }   \n"
           "intentions:\n"
           "- name: 'store'\n"
           "  from: [ cart ,web]\n"
           "-   {name: b, from: [\"*\"]}\n"
           "\n",
           "policy: v1\n"
           "services:\n"
           "  cart: {protocol: http, port: 8080}\n"
           "\n"
           "  \"db\": {protocol: tcp}\n"
           "intentions:\n"
           "  - name: \"store\"\n"
           "    from: [cart, web]\n"
           "  - {name: b, from: [\"*\"]}\n");
}

static void comments_stay_with_what_they_were_written_for(void **state)
{
    (void)state;
    expect("# the shop\n"
           "\n"
           "policy: v1      # schema\n"
           "services:\n"
           "  cart: a#b\n"
           "#   orders: retired\n"
           "defaults:    # for all\n"
           "    # reviewed 2026-08\n"
           "    timeouts: {connect: 1s}   # short\n"
           "\n"
           "    # the end of defaults\n"
           "# intentions come last\n"
           "intentions:\n"
           "  -   # the front\n"
           "    name: front # first\n"
           "    to: cart\n"
           "    # nothing more\n"
           "  - name: back\n"
           "# the end\n",
           "# the shop\n"
           "\n"
           "policy: v1  # schema\n"
           "services:\n"
           "  cart: a#b\n"
           "#   orders: retired\n"
           "defaults:  # for all\n"
           "  # reviewed 2026-08\n"
           "  timeouts: {connect: 1s}  # short\n"
           "\n"
           "  # the end of defaults\n"
           "# intentions come last\n"
           "intentions:\n"
           "  # the front\n"
           "  - name: front  # first\n"
           "    to: cart\n"
           "    # nothing more\n"
           "  - name: back\n"
           "# the end\n");
}

static void braces_stay_on_a_line_while_they_fit(void **state)
{
    (void)state;
    expect("a: {one: [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy], two: "
           "{three: zzzzzzzzzzzzzzzzzzzzzzzzzzzzz, four: 4}}  # long\n"
           "b: {c: 1, # why\n"
           "    d: 2}\n",
           "a:  # long\n"
           "  one: [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy]\n"
           "  two: {three: zzzzzzzzzzzzzzzzzzzzzzzzzzzzz, four: 4}\n"
           "b:\n"
           "  c: 1  # why\n"
           "  d: 2\n");
}

static void what_would_read_otherwise_gets_quotes(void **state)
{
    (void)state;
    expect("a: [-, ---x, \"q\\\"\\t\\x07\\u2028\", 'it''s']\nb: one\n\n  two\n",
           "a: [\"-\", \"---x\", \"q\\\"\\t\\x07\\u2028\", \"it's\"]\nb: \"one\\ntwo\"\n");
}

static void what_is_not_of_the_subset_is_refused_with_its_place(void **state)
{
    (void)state;
    struct buf out = {0};
    struct complaints c = {.file = "shop.yaml"};
    buf_add_str(&out, "kept");
    assert_int_equal(policy_format(&out, bytes_str("a: &x 1\n"), &c), ERR_MALFORMED);
    assert_non_null(strstr(buf_str(&c.text), "shop.yaml:1:4: anchors"));
    assert_int_equal(policy_format(&out, bytes_str("word"), &c), ERR_MALFORMED);
    assert_string_equal(buf_str(&out), "kept");
    buf_fini(&out);
    buf_fini(&c.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indentation_blanks_and_quotes_become_uniform),
        cmocka_unit_test(comments_stay_with_what_they_were_written_for),
        cmocka_unit_test(braces_stay_on_a_line_while_they_fit),
        cmocka_unit_test(what_would_read_otherwise_gets_quotes),
        cmocka_unit_test(what_is_not_of_the_subset_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
