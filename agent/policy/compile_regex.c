/* `regex` in a match: compiled, or a complaint that points into the pattern. */
#include "policy/compile.h"

/* How many bytes of source the next byte of a scalar's text takes; 0: not to be told on one line. */
static size_t source_step(struct bytes source, size_t at, char quote)
{
    const char *c = (const char *)source.at + at;
    size_t left = source.len - at;
    if (left == 0 || *c == '\n' || *c == '\r')
        return 0;
    if (quote == '\'' && *c == '\'')
        return left > 1 && c[1] == '\'' ? 2 : 0;
    if (quote == '"' && *c == '\\')
        return left > 1 && strchr("\\\"/", c[1]) && c[1] ? 2
                                                         : 0; /* other escapes: at the scalar's beginning */
    return quote == '"' && *c == '"' ? 0 : 1;
}

static const uint8_t *line_of(struct bytes source, uint32_t line)
{
    const uint8_t *at = source.at;
    for (uint32_t i = 1; at && i < line; i++) {
        at = memchr(at, '\n', source.len - (size_t)(at - source.at));
        at = at ? at + 1 : NULL;
    }
    return at;
}

static bool begins_character(uint8_t b)
{
    return (b & 0xc0) != 0x80;
}

/* The node, moved to byte `offset` of its text, where that can be told from the source. */
static struct yaml_node moved(const struct compile *k, const struct yaml_node *n, size_t offset)
{
    struct bytes source = k->src[n->source].text;
    struct yaml_node there = *n;
    const uint8_t *line = line_of(source, n->line);
    size_t at = line ? (size_t)(line - source.at) : source.len, step;
    for (uint32_t column = 1; at < source.len && column < n->column;
         column += at < source.len && begins_character(source.at[at]))
        at++;
    char quote = n->quoted && at < source.len ? (char)source.at[at] : 0;
    if (quote && quote != '\'' && quote != '"')
        return *n; /* a block */
    at += quote != 0;
    there.column += quote != 0;
    for (size_t i = 0; i < offset; i++, at += step) {
        step = source_step(source, at, quote);
        if (step == 0)
            return *n;
        there.column += step == 2 ? 2 : begins_character(source.at[at]);
    }
    return there;
}

static void complain_of_pattern(struct compile *k, const struct yaml_node *n, const struct regex_fault *fault)
{
    struct yaml_node there = moved(k, n, fault->at);
    complain_of(k->c, CODE_REGEX, &there, "regex: %s", fault->what);
}

static const struct regex *compile_pattern(struct compile *k, const struct yaml_node *n,
                                           const struct regex *form)
{
    struct regex_fault fault;
    if (!yaml_is(n, YAML_SCALAR, "regex", k->c))
        return NULL;
    compile_need(k, FEATURE_REGEX, n);
    const struct regex *r =
        regex_compile(&k->p->arena, bytes_of(n->text, n->text_len), form, &k->regex_budget, &fault);
    if (!r && fault.what)
        complain_of_pattern(k, n, &fault);
    return r;
}

const struct regex *compile_value_regex(struct compile *k, const struct yaml_node *n)
{
    const struct regex *r = compile_pattern(k, n, NULL);
    if (r && !r->sample.at) {
        complain_of(k->c, CODE_NEVER, n, "`%.60s` can never match: no text fits it", n->text);
        return NULL;
    }
    return r;
}

/* A pattern that cannot match is looked at again, to say why. */
static const char *why_never(struct compile *k, const struct regex *r)
{
    struct bytes text;
    enum regex_answer is_any = regex_sample(&text, &k->p->arena, r, NULL, &k->regex_budget);
    return is_any == REGEX_YES  ? path_fault(text)
           : is_any == REGEX_NO ? "no text fits it"
                                : "no path is like it";
}

const struct regex *compile_path_regex(struct compile *k, const struct yaml_node *n)
{
    struct regex_fault fault;
    if (!k->p->path_form)
        k->p->path_form =
            regex_compile(&k->p->arena, bytes_str(path_normal_form), NULL, &k->regex_budget, &fault);
    if (!k->p->path_form)
        return NULL; /* no memory */
    const struct regex *r = compile_pattern(k, n, k->p->path_form);
    if (r && !r->sample.at) {
        complain_of(k->c, CODE_NEVER, n, "`%.60s` can never match: %s", n->text, why_never(k, r));
        return NULL;
    }
    return r;
}
