/* Whatever is of the subset can be formatted, means the same afterwards, and formatting it again changes nothing. */
#include <stddef.h>
#include <stdint.h>

#include "policy/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static void assert_same(const struct yaml_node *a, const struct yaml_node *b)
{
    assert(a->kind == b->kind && a->count == b->count);
    if (a->kind == YAML_SCALAR)
        assert(a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0);
    for (size_t i = 0; i < a->count; i++) {
        if (a->kind == YAML_MAP)
            assert_same(a->key[i], b->key[i]);
        assert_same(a->child[i], b->child[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct buf once = {0}, twice = {0};
    struct yaml_doc *before = NULL, *after = NULL;
    if (yaml_parse(&before, bytes_of(in, len), NULL) != ERR_OK)
        return 0;
    enum err e = policy_format(&once, bytes_of(in, len), NULL);
    assert(e == (yaml_root(before)->kind == YAML_SCALAR ? ERR_MALFORMED : ERR_OK));
    if (e != ERR_OK) {
        yaml_doc_free(before);
        return 0;
    }
    struct complaints c = {.file = "formatted", .source = buf_bytes(&once)};
    e = yaml_parse(&after, buf_bytes(&once), &c);
    if (e != ERR_OK)
        fputs(buf_str(&c.text), stderr);
    assert(e == ERR_OK || once.len > YAML_BYTES_MAX);
    if (e == ERR_OK) {
        assert_same(yaml_root(before), yaml_root(after));
        e = policy_format(&twice, buf_bytes(&once), NULL);
        assert(e == ERR_OK && bytes_eq(buf_bytes(&once), buf_bytes(&twice)));
    }
    yaml_doc_free(before);
    if (after)
        yaml_doc_free(after);
    buf_fini(&c.text);
    buf_fini(&once);
    buf_fini(&twice);
    return 0;
}
