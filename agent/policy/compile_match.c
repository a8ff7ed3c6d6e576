/* `match`: method, path, headers, query; of routes and of faults. */
#include "policy/compile.h"

enum { FIELD_NAME_MAX = 2 * POLICY_WORD_MAX };

/* Fields that the mesh does not carry as headers (they are the request's typed parts, or end at each hop): a
 * condition on one of them would never hold. */
static bool is_invisible(const char *name)
{
    static const char *const names[] = {"host",
                                        "content-length",
                                        "transfer-encoding",
                                        "connection",
                                        "keep-alive",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "expect",
                                        "proxy-connection",
                                        "proxy-authenticate",
                                        "proxy-authorization",
                                        "http2-settings",
                                        NULL};
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_token(struct bytes t) /* RFC 9110 section 5.6.2 */
{
    for (size_t i = 0; i < t.len; i++) {
        uint8_t c = t.at[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alnum && !(c && strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return t.len > 0;
}

static void complain_of_method(struct compile *k, const struct yaml_node *n, struct bytes t)
{
    static const char *const known[] = {"GET",     "HEAD",  "POST",  "PUT", "DELETE",
                                        "OPTIONS", "PATCH", "TRACE", NULL};
    const char *near = yaml_nearest(n->text, known);
    if (near && yaml_distance(n->text, near) == 0)
        complain_of(k->c, CODE_VALUE, n, "methods are case-sensitive; write %s", near);
    else
        complain_of(k->c, CODE_VALUE, n, "`%.60s` is not an HTTP method (%zu bytes); use a token such as GET",
                    n->text, t.len);
}

static bool is_miscased(const char *text)
{
    static const char *const known[] = {"GET",     "HEAD",  "POST",  "PUT", "DELETE",
                                        "OPTIONS", "PATCH", "TRACE", NULL};
    for (size_t i = 0; known[i]; i++)
        if (strcmp(text, known[i]) != 0 && yaml_distance(text, known[i]) == 0)
            return true;
    return false;
}

uint64_t compile_method(struct compile *k, const struct yaml_node *n)
{
    struct policy *p = k->p;
    struct bytes t;
    if (!yaml_string(n, "method", &t, k->c))
        return 0;
    if (!is_token(t) || t.len > POLICY_WORD_MAX || is_miscased(n->text)) {
        complain_of_method(k, n, t);
        return 0;
    }
    uint64_t bit = policy_method_bit(p, t);
    if (bit)
        return bit;
    if (p->method_count == POLICY_METHODS_MAX) {
        complain_of(k->c, CODE_LIMIT, n, "more than %d different methods in one policy", POLICY_METHODS_MAX);
        return 0;
    }
    const char *copy = arena_text(&p->arena, t.at, t.len);
    if (!copy)
        return 0;
    p->method[p->method_count++] = bytes_of(copy, t.len);
    return UINT64_C(1) << (p->method_count - 1);
}

static void compile_literal_path(struct compile *k, struct route_match *m, const struct yaml_node *value,
                                 bool is_exact)
{
    struct bytes t;
    if (!yaml_string(value, is_exact ? "exact" : "prefix", &t, k->c))
        return;
    const char *fault = path_fault(t);
    if (fault) {
        complain_of(k->c, CODE_NEVER, value, "`%.60s` can never match: %s", value->text, fault);
        return;
    }
    m->path_test = is_exact ? PATH_EXACT : PATH_PREFIX;
    m->path = compile_copy(k, t);
    if (!is_exact && t.at[t.len - 1] == '/')
        m->path.len--; /* Gateway API, PathMatchPathPrefix: a trailing slash is ignored */
}

static void compile_path(struct compile *k, struct route_match *m, const struct yaml_node *n)
{
    static const char *const keys[] = {"exact", "prefix", "regex", NULL};
    if (!compile_map(k, n, keys))
        return;
    const struct yaml_node *exact = yaml_get(n, "exact"), *prefix = yaml_get(n, "prefix"),
                           *regex = yaml_get(n, "regex");
    if (n->count != 1 || !(exact || prefix || regex)) {
        complain_of(k->c, CODE_CONFLICT, n, "`path` takes one of exact, prefix and regex");
        return;
    }
    if (!regex)
        compile_literal_path(k, m, exact ? exact : prefix, exact);
    else if ((m->path_regex = compile_path_regex(k, regex)))
        m->path_test = PATH_REGEX;
}

static bool compile_presence(struct compile *k, struct field_match *f, const struct yaml_node *value)
{
    bool present;
    if (!yaml_bool(value, &present, k->c))
        return false;
    f->test = present ? FIELD_PRESENT : FIELD_ABSENT;
    return true;
}

static bool compile_literal_value(struct compile *k, struct field_match *f, const struct yaml_node *value,
                                  const char *key)
{
    f->test = strcmp(key, "exact") == 0 ? FIELD_EXACT : FIELD_PREFIX;
    if (!yaml_is(value, YAML_SCALAR, key, k->c))
        return false;
    if (value->text_len == 0 && f->test == FIELD_PREFIX) {
        complain_of(k->c, CODE_VALUE, value, "an empty prefix fits every value; write {present: true}");
        return false;
    }
    f->value = compile_copy(k, bytes_of(value->text, value->text_len));
    return true;
}

/* {exact: V} | {prefix: V} | {present: true|false} | {regex: V} */
static bool compile_field_test(struct compile *k, struct field_match *f, const struct yaml_node *n)
{
    static const char *const keys[] = {"exact", "prefix", "present", "regex", NULL};
    if (!compile_map(k, n, keys))
        return false;
    if (n->count != 1) {
        complain_of(k->c, CODE_CONFLICT, n, "give one of exact, prefix, present and regex");
        return false;
    }
    const char *key = n->key[0]->text;
    if (strcmp(key, "present") == 0)
        return compile_presence(k, f, n->child[0]);
    if (strcmp(key, "regex") != 0)
        return compile_literal_value(k, f, n->child[0], key);
    f->test = FIELD_REGEX;
    return (f->regex = compile_value_regex(k, n->child[0]));
}

struct bytes compile_header_name(struct compile *k, const struct yaml_node *n)
{
    char lower[FIELD_NAME_MAX + 1];
    struct bytes none = {NULL, 0};
    if (n->kind != YAML_SCALAR || n->text_len == 0 || n->text_len > FIELD_NAME_MAX) {
        complain_of(k->c, CODE_NAME, n, "a name has 1 to %d bytes", FIELD_NAME_MAX);
        return none;
    }
    for (size_t i = 0; i <= n->text_len; i++) /* names of headers have no case: RFC 9110 section 5.1 */
        lower[i] = (char)(n->text[i] >= 'A' && n->text[i] <= 'Z' ? n->text[i] | 0x20 : n->text[i]);
    if (!is_token(bytes_of(lower, n->text_len))) {
        complain_of(k->c, CODE_NAME, n, "`%.60s` cannot be the name of a header", n->text);
        return none;
    }
    if (is_invisible(lower)) {
        complain_of(k->c, CODE_NEVER, n,
                    "`%s` is not forwarded as a header, so nothing here can come of it; remove it", lower);
        return none;
    }
    return compile_copy(k, bytes_of(lower, n->text_len));
}

static bool compile_field(struct compile *k, struct field_match *f, bool is_header,
                          const struct yaml_node *key, const struct yaml_node *value)
{
    if (is_header)
        f->name = compile_header_name(k, key);
    else if (key->text_len == 0 || key->text_len > FIELD_NAME_MAX)
        complain_of(k->c, CODE_NAME, key, "a name has 1 to %d bytes", FIELD_NAME_MAX);
    else
        f->name = compile_copy(k, bytes_of(key->text, key->text_len));
    return f->name.len && compile_field_test(k, f, value);
}

static int field_by_name(const void *a, const void *b)
{
    const struct field_match *x = a, *y = b;
    return codec_cmp(x->name, y->name);
}

static const struct field_match *compile_fields(struct compile *k, const struct yaml_node *n, bool is_header,
                                                size_t *count)
{
    const char *what = is_header ? "headers" : "query";
    if (!n || !yaml_is(n, YAML_MAP, what, k->c))
        return NULL;
    if (n->count == 0 || n->count > POLICY_FIELDS_MAX) {
        complain_of(k->c, CODE_LIMIT, n, "`%s` takes 1 to %d conditions", what, POLICY_FIELDS_MAX);
        return NULL;
    }
    struct field_match *f = arena_take(&k->p->arena, n->count, sizeof *f);
    for (size_t i = 0; f && i < n->count; i++)
        *count += compile_field(k, &f[*count], is_header, n->key[i], n->child[i]);
    if (f)
        qsort(f, *count, sizeof *f, field_by_name);
    for (size_t i = 1; f && i < *count; i++)
        if (bytes_eq(f[i - 1].name, f[i].name))
            complain_of(k->c, CODE_REPEATED, n, "`%.*s` is given twice in different case", (int)f[i].name.len,
                        (const char *)f[i].name.at);
    return f;
}

bool compile_match(struct compile *k, struct route_match *m, const struct yaml_node *n)
{
    static const char *const keys[] = {"method", "path", "headers", "query", NULL};
    const struct yaml_node *v;
    if (!compile_map(k, n, keys))
        return false;
    if ((v = yaml_get(n, "method")))
        m->method = compile_method(k, v);
    if ((v = yaml_get(n, "path")))
        compile_path(k, m, v);
    m->header = compile_fields(k, yaml_get(n, "headers"), true, &m->header_count);
    m->query = compile_fields(k, yaml_get(n, "query"), false, &m->query_count);
    return true;
}
