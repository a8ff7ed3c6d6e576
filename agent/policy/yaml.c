/* The tree builder over libyaml's events. libyaml recognises the whole of YAML 1.1; this file admits the
 * subset of yaml.h and nothing else, with the position of each offence.
 *
 * The open maps and lists stand on a stack of at most YAML_DEPTH_MAX frames, each gathering its children; a
 * closed frame moves into the document's arena. No recursion, so that no depth of input can exhaust the
 * stack. */
#include <yaml.h>

#include "policy/arena.h"
#include "policy/yaml.h"

struct yaml_doc {
    struct arena arena;
    struct yaml_node *root;
};

struct list { /* of nodes, growing */
    struct yaml_node **at;
    size_t count, cap;
};
struct frame { /* a map or list not yet closed */
    struct yaml_node *node;
    struct list key, child;
};
struct builder {
    yaml_parser_t parser;
    struct yaml_doc *doc;
    struct complaints *c;
    struct frame frame[YAML_DEPTH_MAX];
    size_t depth, nodes, documents;
    uint32_t source;
    bool bad, failed; /* something was complained about; out of memory */
};

static struct yaml_node place_of(const struct builder *b, yaml_mark_t mark)
{
    return (struct yaml_node){
        .line = (uint32_t)mark.line + 1, .column = (uint32_t)mark.column + 1, .source = b->source};
}

#define REFUSE(b, code, place, ...) (complain_of((b)->c, code, (place), __VA_ARGS__), (b)->bad = true)

static bool list_add(struct builder *b, struct list *l, struct yaml_node *n)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 8;
        struct yaml_node **at = realloc(l->at, cap * sizeof(struct yaml_node *));
        if (!at) {
            b->failed = true;
            return false;
        }
        l->at = at;
        l->cap = cap;
    }
    l->at[l->count++] = n;
    return true;
}

static struct yaml_node **list_settle(struct builder *b, struct list *l)
{
    struct yaml_node **to = arena_take(&b->doc->arena, l->count, sizeof(struct yaml_node *));
    if (to && l->count)
        memcpy(to, l->at, l->count * sizeof(struct yaml_node *));
    free(l->at);
    *l = (struct list){0};
    return to;
}

static int by_text_then_place(const void *a, const void *b)
{
    const struct yaml_node *x = *(struct yaml_node *const *)a, *y = *(struct yaml_node *const *)b;
    int d = strcmp(x->text, y->text);
    if (d != 0)
        return d;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->column < y->column ? -1 : x->column > y->column;
}

/* By sorting: a map may have as many keys as a document has nodes. */
static void refuse_repeated_keys(struct builder *b, const struct list *keys)
{
    struct yaml_node **sorted = keys->count > 1 ? malloc(keys->count * sizeof(struct yaml_node *)) : NULL;
    if (!sorted) {
        b->failed |= keys->count > 1;
        return;
    }
    memcpy(sorted, keys->at, keys->count * sizeof(struct yaml_node *));
    qsort(sorted, keys->count, sizeof(struct yaml_node *), by_text_then_place);
    for (size_t i = 1, first = 0; i < keys->count; i++) {
        if (strcmp(sorted[i]->text, sorted[first]->text) != 0)
            first = i;
        else
            REFUSE(b, CODE_REPEATED, sorted[i], "`%s` is given twice, first in line %u; remove one",
                   sorted[i]->text, sorted[first]->line);
    }
    free(sorted);
}

static struct yaml_node *new_node(struct builder *b, enum yaml_kind kind, yaml_mark_t mark)
{
    struct yaml_node *n = arena_take(&b->doc->arena, 1, sizeof *n);
    struct yaml_node place = place_of(b, mark);
    if (!n)
        return NULL;
    *n = place;
    n->kind = kind;
    if (++b->nodes > YAML_NODES_MAX)
        REFUSE(b, CODE_LIMIT, n, "more than %d values in one file; split it", YAML_NODES_MAX);
    return n;
}

/* Puts a finished scalar, or a map or list just begun, into what is open. */
static void attach(struct builder *b, struct yaml_node *n)
{
    struct frame *f = b->depth ? &b->frame[b->depth - 1] : NULL;
    if (!f) {
        b->doc->root = n;
        return;
    }
    bool wants_key = f->node->kind == YAML_MAP && f->key.count == f->child.count;
    if (wants_key && n->kind != YAML_SCALAR) {
        REFUSE(b, CODE_TYPE, n, "a key must be a plain word, not a map or list");
        return;
    }
    if (wants_key && n->text_len > YAML_KEY_MAX)
        REFUSE(b, CODE_LIMIT, n, "a key of more than %d bytes", YAML_KEY_MAX);
    if (wants_key && n->text_len == 0)
        REFUSE(b, CODE_MISSING, n, "a key is missing here");
    (void)list_add(b, wants_key ? &f->key : &f->child, n);
}

static void refuse_decoration(struct builder *b, const struct yaml_node *at, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    if (anchor)
        REFUSE(b, CODE_SUBSET, at, "anchors (&%s) are not allowed; write the value out",
               (const char *)anchor);
    if (tag)
        REFUSE(b, CODE_SUBSET, at, "tags (%s) are not allowed; the type follows from the key",
               (const char *)tag);
}

static void on_scalar(struct builder *b, const yaml_event_t *ev)
{
    struct yaml_node *n = new_node(b, YAML_SCALAR, ev->start_mark);
    if (!n)
        return;
    const char *text = (const char *)ev->data.scalar.value;
    refuse_decoration(b, n, ev->data.scalar.anchor, ev->data.scalar.tag);
    if (memchr(text, 0, ev->data.scalar.length))
        REFUSE(b, CODE_SUBSET, n, "a NUL character is not allowed in a value");
    n->text = arena_text(&b->doc->arena, text, ev->data.scalar.length);
    n->text_len = ev->data.scalar.length;
    n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    struct frame *f = b->depth ? &b->frame[b->depth - 1] : NULL;
    if (n->text && !n->quoted && strcmp(n->text, "<<") == 0 && f && f->node->kind == YAML_MAP &&
        f->key.count == f->child.count)
        REFUSE(b, CODE_SUBSET, n, "merge keys (<<) are not allowed; write the keys out");
    if (n->text)
        attach(b, n);
}

static void on_open(struct builder *b, enum yaml_kind kind, yaml_mark_t mark, const yaml_char_t *anchor,
                    const yaml_char_t *tag)
{
    struct yaml_node *n = new_node(b, kind, mark);
    if (!n)
        return;
    refuse_decoration(b, n, anchor, tag);
    attach(b, n);
    if (b->depth == YAML_DEPTH_MAX) {
        REFUSE(b, CODE_LIMIT, n, "nested more than %d deep", YAML_DEPTH_MAX);
        b->failed = true; /* what follows cannot be placed; finish() tells it from lack of memory by `bad` */
        return;
    }
    b->frame[b->depth++] = (struct frame){.node = n};
}

static void on_close(struct builder *b)
{
    struct frame *f = &b->frame[--b->depth];
    if (f->node->kind == YAML_MAP)
        refuse_repeated_keys(b, &f->key);
    f->node->count = f->child.count;
    f->node->key = f->node->kind == YAML_MAP ? list_settle(b, &f->key) : NULL;
    f->node->child = list_settle(b, &f->child);
}

static void on_document(struct builder *b, const yaml_event_t *ev)
{
    struct yaml_node at = place_of(b, ev->start_mark);
    if (++b->documents == 2)
        REFUSE(b, CODE_SUBSET, &at, "a second document begins here; one file holds one");
    if (ev->data.document_start.version_directive ||
        ev->data.document_start.tag_directives.start != ev->data.document_start.tag_directives.end)
        REFUSE(b, CODE_SUBSET, &at, "directives (%%YAML, %%TAG) are not allowed; remove them");
}

static void on_event(struct builder *b, const yaml_event_t *ev)
{
    struct yaml_node at = place_of(b, ev->start_mark);
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        on_document(b, ev);
        break;
    case YAML_SCALAR_EVENT:
        on_scalar(b, ev);
        break;
    case YAML_SEQUENCE_START_EVENT:
        on_open(b, YAML_LIST, ev->start_mark, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
        break;
    case YAML_MAPPING_START_EVENT:
        on_open(b, YAML_MAP, ev->start_mark, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_close(b);
        break;
    case YAML_ALIAS_EVENT:
        REFUSE(b, CODE_SUBSET, &at,
               "aliases (*%s) are not allowed; write the value out (quote \"*\" if a star is meant)",
               (const char *)ev->data.alias.anchor);
        b->failed = true; /* nothing stands in its place, so keys and values would fall out of step */
        break;
    default:
        break;
    }
}

/* libyaml's reader (bad UTF-8, control characters) knows only an offset. */
static struct yaml_node place_of_offset(const struct builder *b, struct bytes text, size_t offset)
{
    struct yaml_node at = {.line = 1, .column = 1, .source = b->source};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        at.column += (text.at[i] & 0xc0) != 0x80;
        if (text.at[i] == '\n') {
            at.line++;
            at.column = 1;
        }
    }
    return at;
}

static void refuse_syntax(struct builder *b, struct bytes text)
{
    const yaml_parser_t *p = &b->parser;
    struct yaml_node at = place_of(b, p->problem_mark);
    if (p->error == YAML_MEMORY_ERROR) {
        b->failed = true;
        return;
    }
    if (p->error == YAML_READER_ERROR)
        at = place_of_offset(b, text, p->problem_offset);
    const char *problem = p->problem ? p->problem : "syntax error";
    if (memchr(text.at, '\t', text.len) && strstr(problem, "cannot start any token"))
        REFUSE(b, CODE_SYNTAX, &at, "not YAML: %s; indent with blanks, not tabs", problem);
    else if (p->context && p->context_mark.line + 1 != at.line)
        REFUSE(b, CODE_SYNTAX, &at, "not YAML: %s, %s that began in line %zu", problem, p->context,
               p->context_mark.line + 1);
    else
        REFUSE(b, CODE_SYNTAX, &at, "not YAML: %s", problem);
}

static void build(struct builder *b, struct bytes text)
{
    bool more = true;
    while (more && !b->failed && !b->doc->arena.failed && b->documents < 2 && b->nodes <= YAML_NODES_MAX) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&b->parser, &ev)) {
            refuse_syntax(b, text);
            return;
        }
        on_event(b, &ev);
        more = ev.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&ev);
    }
}

static enum err finish(struct builder *b, struct yaml_doc **out)
{
    for (; b->depth > 0; b->depth--) { /* frames that an error left open */
        free(b->frame[b->depth - 1].key.at);
        free(b->frame[b->depth - 1].child.at);
    }
    enum err e = ERR_OK;
    if (b->bad)
        e = ERR_MALFORMED;
    else if (b->failed || b->doc->arena.failed)
        e = ERR_NOMEM;
    else if (!b->doc->root) {
        struct yaml_node at = {.line = 1, .column = 1, .source = b->source};
        complain_of(b->c, CODE_MISSING, b->c && b->c->source_list ? &at : NULL, "the file is empty");
        e = ERR_MALFORMED;
    }
    if (e == ERR_OK)
        *out = b->doc;
    else
        yaml_doc_free(b->doc);
    return e;
}

must_check enum err yaml_parse_source(struct yaml_doc **out, struct bytes text, uint32_t source,
                                      struct complaints *c)
{
    struct builder b = {.c = c, .source = source};
    struct yaml_node begin = {.line = 1, .column = 1, .source = source};
    if (text.len > YAML_BYTES_MAX) {
        complain_of(c, CODE_LIMIT, c && c->source_list ? &begin : NULL, "%zu bytes; at most %d are read",
                    text.len, YAML_BYTES_MAX);
        return ERR_LIMIT;
    }
    if (!(b.doc = calloc(1, sizeof *b.doc)))
        return ERR_NOMEM;
    if (!yaml_parser_initialize(&b.parser)) {
        free(b.doc);
        return ERR_NOMEM;
    }
    /* Never guessed: UTF-16 would give one policy two spellings. */
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, text.at ? text.at : (const uint8_t *)"", text.len);
    build(&b, text);
    yaml_parser_delete(&b.parser);
    return finish(&b, out);
}

must_check enum err yaml_parse(struct yaml_doc **out, struct bytes text, struct complaints *c)
{
    return yaml_parse_source(out, text, 0, c);
}

const struct yaml_node *yaml_root(const struct yaml_doc *d)
{
    return d->root;
}

void yaml_doc_free(struct yaml_doc *d)
{
    if (d)
        arena_fini(&d->arena);
    free(d);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->key[i]->text, key) == 0)
            return map->child[i];
    return NULL;
}
