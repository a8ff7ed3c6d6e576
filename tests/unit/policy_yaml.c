/* The YAML subset: what is let in, what is refused and where, and how the typed readers judge. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/yaml.h"

static struct complaints *told(struct complaints *c)
{
    *c = (struct complaints){.file = "f.yaml"};
    return c;
}

static void expect_refused(const char *text, const char *complaint)
{
    struct complaints c;
    struct yaml_doc *doc = NULL;
    assert_int_equal(yaml_parse(&doc, bytes_str(text), told(&c)), ERR_MALFORMED);
    assert_null(doc);
    assert_string_equal(buf_str(&c.text), complaint);
    assert_true(c.count > 0);
    buf_fini(&c.text);
}

static struct yaml_doc *parsed(const char *text)
{
    struct complaints c;
    struct yaml_doc *doc = NULL;
    assert_int_equal(yaml_parse(&doc, bytes_str(text), told(&c)), ERR_OK);
    assert_int_equal(c.count, 0);
    buf_fini(&c.text);
    return doc;
}

static void a_file_becomes_a_tree_with_places(void **state)
{
    (void)state;
    struct yaml_doc *d = parsed("name: cart\nports: [80, \"81\"]\n\nnested:\n  - {a: 1.20, b: no}\n");
    const struct yaml_node *root = yaml_root(d);
    assert_int_equal(root->kind, YAML_MAP);
    assert_int_equal(root->count, 3);
    assert_string_equal(root->key[2]->text, "nested");
    assert_int_equal(root->key[2]->line, 4);
    const struct yaml_node *ports = yaml_get(root, "ports");
    assert_int_equal(ports->kind, YAML_LIST);
    assert_int_equal(ports->count, 2);
    assert_false(ports->child[0]->quoted);
    assert_true(ports->child[1]->quoted);
    assert_int_equal(ports->child[1]->line, 2);
    assert_int_equal(ports->child[1]->column, 13);
    const struct yaml_node *item = yaml_get(root, "nested")->child[0];
    assert_string_equal(yaml_get(item, "a")->text, "1.20");
    assert_string_equal(yaml_get(item, "b")->text, "no");
    assert_null(yaml_get(item, "c"));
    assert_null(yaml_get(ports, "a"));
    yaml_doc_free(d);
}

static void what_is_outside_the_subset_is_named_with_its_place(void **state)
{
    (void)state;
    expect_refused("a: &x 1\n", "f.yaml:1:4: anchors (&x) are not allowed; write the value out\n");
    expect_refused(
        "a: 1\nb: *x\n",
        "f.yaml:2:4: aliases (*x) are not allowed; write the value out (quote \"*\" if a star is meant)\n");
    expect_refused(
        "a: !!str 1\n",
        "f.yaml:1:4: tags (tag:yaml.org,2002:str) are not allowed; the type follows from the key\n");
    expect_refused("a: !mine {b: 1}\n",
                   "f.yaml:1:4: tags (!mine) are not allowed; the type follows from the key\n");
    expect_refused("a:\n  <<: {b: 1}\n", "f.yaml:2:3: merge keys (<<) are not allowed; write the keys out\n");
    expect_refused("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here; one file holds one\n");
    expect_refused("%YAML 1.1\n---\na: 1\n",
                   "f.yaml:1:1: directives (%YAML, %TAG) are not allowed; remove them\n");
    expect_refused("? [a, b]\n: 1\n", "f.yaml:1:3: a key must be a plain word, not a map or list\n");
    expect_refused("a: \"x\\0y\"\n", "f.yaml:1:4: a NUL character is not allowed in a value\n");
    expect_refused("", "f.yaml: the file is empty\n");
    expect_refused("# only a remark\n", "f.yaml: the file is empty\n");
}

static void repeated_keys_are_all_found(void **state)
{
    (void)state;
    expect_refused("a: 1\nb: 2\na: 3\n\"a\": 4\n",
                   "f.yaml:3:1: `a` is given twice, first in line 1; remove one\n"
                   "f.yaml:4:1: `a` is given twice, first in line 1; remove one\n");
}

static void syntax_errors_have_a_place_and_a_hint(void **state)
{
    (void)state;
    expect_refused(
        "a: [1, 2\nb: 3\n",
        "f.yaml:2:2: not YAML: did not find expected ',' or ']', while parsing a flow sequence that "
        "began in line 1\n");
    expect_refused(
        "a:\n\tb: 1\n",
        "f.yaml:2:1: not YAML: found character that cannot start any token; indent with blanks, not tabs\n");
    expect_refused("a: 1\nb: x\x01\n", "f.yaml:2:5: not YAML: control characters are not allowed\n");
    expect_refused("a: \xc3\x28\n", "f.yaml:1:5: not YAML: invalid trailing UTF-8 octet\n");
}

static void a_nul_in_the_text_is_refused(void **state)
{
    (void)state;
    struct complaints c;
    struct yaml_doc *doc = NULL;
    assert_int_equal(yaml_parse(&doc, bytes_of("a: b\0c\n", 7), told(&c)), ERR_MALFORMED);
    buf_fini(&c.text);
}

static void utf16_is_not_guessed(void **state)
{
    (void)state;
    struct complaints c;
    struct yaml_doc *doc = NULL;
    assert_int_equal(yaml_parse(&doc,
                                bytes_of("\xff\xfe"
                                         "a\0:\0 \0b\0",
                                         10),
                                told(&c)),
                     ERR_MALFORMED);
    buf_fini(&c.text);
}

static void depth_and_size_are_bounded(void **state)
{
    (void)state;
    struct buf text = {0};
    struct complaints c;
    struct yaml_doc *doc = NULL;
    for (int i = 0; i < 33; i++)
        buf_add_u8(&text, '[');
    for (int i = 0; i < 33; i++)
        buf_add_u8(&text, ']');
    expect_refused(buf_str(&text), "f.yaml:1:33: nested more than 32 deep\n");
    text.len = 0;
    for (int i = 0; i < YAML_NODES_MAX; i++)
        buf_add_str(&text, "- a\n");
    expect_refused(buf_str(&text), "f.yaml:200000:3: more than 200000 values in one file; split it\n");
    while (text.len <= YAML_BYTES_MAX)
        buf_add_str(&text, "# long\n");
    assert_int_equal(yaml_parse(&doc, buf_bytes(&text), told(&c)), ERR_LIMIT);
    buf_fini(&c.text);
    buf_fini(&text);
}

static void the_offending_line_is_shown_with_a_caret(void **state)
{
    (void)state;
    const char *text = "a: 1\n\xc3\xa9\xc3\xa9:\tnope # \x1b\n";
    struct complaints c = {.source = bytes_str(text)};
    struct yaml_node at = {.line = 2, .column = 5};
    complain(&c, &at, "bad \x1b[31m word");
    assert_string_equal(buf_str(&c.text), "input:2:5: bad ?[31m word\n"
                                          "    \xc3\xa9\xc3\xa9: nope #  \n"
                                          "        ^\n");
    buf_fini(&c.text);
}

static void complaints_beyond_the_cap_are_counted_not_written(void **state)
{
    (void)state;
    struct complaints c;
    (void)told(&c);
    for (int i = 0; i < 1000; i++)
        complain(&c, NULL, "no");
    assert_int_equal(c.count, 1000);
    assert_true(c.text.len < 5000);
    assert_non_null(strstr(buf_str(&c.text), "more errors follow"));
    buf_fini(&c.text);
    complain(NULL, NULL, "to nobody");
}

static struct yaml_node scalar(const char *text)
{
    return (struct yaml_node){
        .kind = YAML_SCALAR, .line = 1, .column = 1, .text = text, .text_len = strlen(text)};
}

static void durations_follow_gateway_api(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"0s", 0},     {"250ms", 250}, {"1h30m", 5400000}, {"1h1m1s1ms", 3661001}, {"99999h", 359996400000},
        {"15s", 15000}};
    static const char *const bad[] = {"",     "1",   "0",       "s",          "1d",  "-1s",
                                      "1.5s", "1 s", "100000s", "1h1h1h1h1h", "1sx", "1ms "};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct yaml_node n = scalar(good[i].text);
        uint64_t ms = 77;
        assert_true(yaml_duration_ms(&n, &ms, NULL));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct yaml_node n = scalar(bad[i]);
        uint64_t ms = 77;
        assert_false(yaml_duration_ms(&n, &ms, NULL));
        assert_int_equal(ms, 77);
    }
}

static void numbers_have_one_spelling_and_a_range(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "-1", "+1", "01", "0x1", "1_000", "1.0", "18446744073709551616", "1e3", " 1", "70000"};
    struct yaml_node n = scalar("65535");
    uint64_t v = 0;
    assert_true(yaml_u64(&n, &v, 1, 65535, NULL));
    assert_int_equal(v, 65535);
    n = scalar("18446744073709551615");
    assert_true(yaml_u64(&n, &v, 0, UINT64_MAX, NULL));
    assert_true(v == UINT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        n = scalar(bad[i]);
        assert_false(yaml_u64(&n, &v, 0, 65535, NULL));
    }
}

static void booleans_are_two_words(void **state)
{
    (void)state;
    bool v = false;
    struct yaml_node yes = scalar("yes"), t = scalar("true"), f = scalar("false");
    assert_false(yaml_bool(&yes, &v, NULL));
    assert_true(yaml_bool(&t, &v, NULL) && v);
    assert_true(yaml_bool(&f, &v, NULL) && !v);
}

static void times_are_rfc3339_in_utc(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t s;
    } good[] = {{"1970-01-01T00:00:00Z", 0},
                {"2027-01-31T00:00:00Z", 1801353600},
                {"2000-02-29T23:59:59Z", 951868799},
                {"2038-01-19T03:14:08Z", 2147483648},
                {"9999-12-31T23:59:59Z", 253402300799}};
    static const char *const bad[] = {
        "2027-02-29T00:00:00Z",     "2100-02-29T00:00:00Z", "2027-13-01T00:00:00Z", "2027-00-01T00:00:00Z",
        "2027-01-01T24:00:00Z",     "2027-01-01T00:60:00Z", "2027-01-01T00:00:60Z", "2027-01-01T00:00:00",
        "2027-01-01t00:00:00z",     "2027-01-01",           "1969-12-31T23:59:59Z", "2027-01-01T00:00:00Zx",
        "2027-01-01T00:00:00+00:00"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct yaml_node n = scalar(good[i].text);
        int64_t s = -1;
        assert_true(yaml_time(&n, &s, NULL));
        assert_int_equal(s, good[i].s);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct yaml_node n = scalar(bad[i]);
        int64_t s;
        assert_false(yaml_time(&n, &s, NULL));
    }
}

static void misspelt_keys_and_values_get_a_suggestion(void **state)
{
    (void)state;
    static const char *const known[] = {"services", "intentions", "mesh", NULL}, *const modes[] = {
                                                                                     "deny", "audit", NULL};
    struct complaints c;
    size_t index = 9;
    struct yaml_doc *d = parsed("sevrices: 1\nMesh: 2\nzebra: 3\nmesh: dny\n");
    assert_false(yaml_keys_only(yaml_root(d), known, told(&c)));
    assert_false(yaml_one_of(yaml_get(yaml_root(d), "mesh"), modes, &index, &c));
    assert_int_equal(index, 9);
    assert_string_equal(buf_str(&c.text),
                        "f.yaml:1:1: unknown key `sevrices`; did you mean `services`?\n"
                        "f.yaml:2:1: unknown key `Mesh`; did you mean `mesh`?\n"
                        "f.yaml:3:1: unknown key `zebra`; expected one of services, intentions, mesh\n"
                        "f.yaml:4:7: expected deny or audit; found `dny`\n");
    buf_fini(&c.text);
    yaml_doc_free(d);
}

static void the_wrong_kind_is_said(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    struct complaints c;
    struct yaml_doc *d = parsed("a:\nb: [1]\nc: ''\n");
    const struct yaml_node *root = yaml_root(d);
    struct bytes text;
    assert_false(yaml_is(yaml_get(root, "a"), YAML_MAP, "a", told(&c)));
    assert_false(yaml_keys_only(yaml_get(root, "b"), none, &c));
    assert_false(yaml_string(yaml_get(root, "c"), "c", &text, &c));
    assert_string_equal(buf_str(&c.text), "f.yaml:1:3: `a` must be a map ({key: value}); found nothing\n"
                                          "f.yaml:2:4: expected a map ({key: value}); found a list\n"
                                          "f.yaml:3:4: `c` is empty; give it a value or leave it out\n");
    buf_fini(&c.text);
    yaml_doc_free(d);
}

static void distance_counts_slips(void **state)
{
    (void)state;
    assert_int_equal(yaml_distance("", "abc"), 3);
    assert_int_equal(yaml_distance("weight", "wieght"), 1);
    assert_int_equal(yaml_distance("Weight", "weight"), 0);
    assert_int_equal(yaml_distance("wight", "weight"), 1);
    assert_int_equal(yaml_distance("kitten", "sitting"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_becomes_a_tree_with_places),
        cmocka_unit_test(what_is_outside_the_subset_is_named_with_its_place),
        cmocka_unit_test(repeated_keys_are_all_found),
        cmocka_unit_test(syntax_errors_have_a_place_and_a_hint),
        cmocka_unit_test(a_nul_in_the_text_is_refused),
        cmocka_unit_test(utf16_is_not_guessed),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(the_offending_line_is_shown_with_a_caret),
        cmocka_unit_test(complaints_beyond_the_cap_are_counted_not_written),
        cmocka_unit_test(durations_follow_gateway_api),
        cmocka_unit_test(numbers_have_one_spelling_and_a_range),
        cmocka_unit_test(booleans_are_two_words),
        cmocka_unit_test(times_are_rfc3339_in_utc),
        cmocka_unit_test(misspelt_keys_and_values_get_a_suggestion),
        cmocka_unit_test(the_wrong_kind_is_said),
        cmocka_unit_test(distance_counts_slips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
