/* From text to tree. libyaml's parser drops comments but says where each value begins and ends, so they are found in
 * what lies between: first all events are noted, then the comments between their scalars (a '#' inside a scalar is none),
 * then both are walked side by side in the order of the text.
 *
 * A comment on a line of its own belongs to the entry that follows it; when nothing follows in the same map or list, and
 * it is indented more than what holds that, it is its foot. A comment at the end of a line belongs to the entry that was
 * written last there: to the one in braces as a whole if the brace is closed before it. */
#include <yaml.h>

#include "policy/format_tree.h"

struct note { /* of an event */
    yaml_event_type_t type;
    bool in_braces, quoted;
    size_t begin, end; /* in characters, as libyaml counts */
    uint32_t line, column, end_line;
    struct bytes text;
};
struct reader {
    struct format_tree *tree;
    struct bytes text;
    struct note *note;
    size_t note_count, note_cap;
    bool failed;
};

/* -- events ----------------------------------------------------------------------------------------- */

static struct note *note_add(struct reader *r)
{
    if (r->note_count == r->note_cap) {
        size_t cap = r->note_cap ? 2 * r->note_cap : 256;
        struct note *at = realloc(r->note, cap * sizeof *at);
        if (!at) {
            r->failed = true;
            return NULL;
        }
        r->note = at;
        r->note_cap = cap;
    }
    return &r->note[r->note_count++];
}

static void take_note(struct reader *r, const yaml_event_t *ev)
{
    struct note *n = note_add(r);
    if (!n)
        return;
    *n = (struct note){.type = ev->type,
                       .begin = ev->start_mark.index,
                       .end = ev->end_mark.index,
                       .line = (uint32_t)ev->start_mark.line,
                       .column = (uint32_t)ev->start_mark.column,
                       .end_line = (uint32_t)ev->end_mark.line};
    if (ev->type == YAML_SCALAR_EVENT) {
        size_t len = ev->data.scalar.length;
        const char *copy = arena_text(&r->tree->arena, ev->data.scalar.value, len);
        n->text = bytes_of(copy, copy ? len : 0);
        n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    } else if (ev->type == YAML_MAPPING_START_EVENT) {
        n->in_braces = ev->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        n->in_braces = ev->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    }
}

static bool is_content(yaml_event_type_t t)
{
    return t == YAML_SCALAR_EVENT || t == YAML_MAPPING_START_EVENT || t == YAML_MAPPING_END_EVENT ||
           t == YAML_SEQUENCE_START_EVENT || t == YAML_SEQUENCE_END_EVENT;
}

static void read_events(struct reader *r)
{
    yaml_parser_t parser;
    bool more = yaml_parser_initialize(&parser) != 0;
    if (!more) {
        r->failed = true;
        return;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, r->text.at, r->text.len);
    while (more && !r->failed) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&parser, &ev)) {
            r->failed = true; /* the same text was parsed a moment ago: only memory can be short */
            break;
        }
        if (is_content(ev.type))
            take_note(r, &ev);
        more = ev.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&parser);
}

/* -- comments and blank lines ------------------------------------------------------------------------ */

struct scan { /* a walk over the text that knows where it is in all of libyaml's counts */
    struct bytes text;
    size_t at, index; /* bytes, characters */
    uint32_t line, column;
    bool blank_line;  /* nothing but blanks so far in this line */
    bool empty_above; /* the line before was empty */
};

/* Bytes of the line break here; 0: none. Those of YAML 1.1, section 5.4. */
static size_t break_at(const struct scan *s)
{
    const uint8_t *t = s->text.at + s->at;
    size_t left = s->text.len - s->at;
    if (t[0] == '\r')
        return left > 1 && t[1] == '\n' ? 2 : 1;
    if (t[0] == '\n')
        return 1;
    if (t[0] == 0xc2)
        return left > 1 && t[1] == 0x85 ? 2 : 0;                                               /* NEL */
    return left > 2 && t[0] == 0xe2 && t[1] == 0x80 && (t[2] == 0xa8 || t[2] == 0xa9) ? 3 : 0; /* LS, PS */
}

/* One character, or one line break, on. */
static void scan_step(struct scan *s)
{
    size_t broken = break_at(s);
    if (broken) {
        s->index += s->text.at[s->at] == '\r' ? broken : 1; /* CR and LF are two characters, but one break */
        s->at += broken;
        s->empty_above = s->blank_line;
        s->blank_line = true;
        s->line++;
        s->column = 0;
        return;
    }
    if (s->text.at[s->at] != ' ' && s->text.at[s->at] != '\t')
        s->blank_line = false;
    do
        s->at++;
    while (s->at < s->text.len && (s->text.at[s->at] & 0xc0) == 0x80);
    s->index++;
    s->column++;
}

static void comment_add(struct format_comments *l, struct format_comment *c)
{
    c->next = NULL;
    if (!l->end)
        l->end = &l->first;
    *l->end = c;
    l->end = &c->next;
}

static void comment_read(struct reader *r, struct scan *s, struct format_comments *out, bool alone)
{
    struct format_comment *c = arena_take(&r->tree->arena, 1, sizeof *c);
    size_t begin = s->at, end;
    if (c)
        *c = (struct format_comment){
            .alone = alone, .blank_above = s->empty_above, .line = s->line, .column = s->column};
    while (s->at < s->text.len && !break_at(s))
        scan_step(s);
    for (end = s->at; end > begin && s->text.at[end - 1] <= ' '; end--) {
    }
    if (c) {
        c->text = bytes_of(arena_text(&r->tree->arena, s->text.at + begin, end - begin), end - begin);
        comment_add(out, c);
    }
}

/* All comments, in order; and which lines have an empty one above them, one byte a line. */
static void read_comments(struct reader *r, struct format_comments *out, struct buf *empty_above)
{
    struct scan s = {.text = r->text, .blank_line = true};
    size_t next = 0;
    while (s.at < s.text.len) {
        while (next < r->note_count &&
               (r->note[next].type != YAML_SCALAR_EVENT || r->note[next].end <= s.index))
            next++;
        bool in_scalar = next < r->note_count && s.index >= r->note[next].begin;
        uint8_t before = s.column ? s.text.at[s.at - 1] : ' ';
        if (empty_above->len == s.line)
            buf_add_u8(empty_above, s.empty_above);
        if (!in_scalar && s.text.at[s.at] == '#' && (before == ' ' || before == '\t'))
            comment_read(r, &s, out, s.blank_line);
        else
            scan_step(&s);
    }
}

/* -- the tree ---------------------------------------------------------------------------------------- */

struct builder {
    struct reader *r;
    struct format_node *open[YAML_DEPTH_MAX + 1];
    struct format_entry *entry_of[YAML_DEPTH_MAX + 1]; /* that holds it */
    size_t depth;
    struct format_comment *comment;    /* the next not yet placed */
    struct format_comments pending;    /* for the entry to come */
    struct format_entry *recent, *key; /* what a comment beside belongs to; an entry that awaits its value */
    uint32_t recent_line;              /* where `recent` ends, as far as it was read */
    struct bytes empty_above;
};

static void place_comments(struct builder *b, size_t until_line, size_t until_column)
{
    while (b->comment && (b->comment->line < until_line ||
                          (b->comment->line == until_line && b->comment->column < until_column))) {
        struct format_comment *c = b->comment;
        b->comment = c->next;
        if (!c->alone && b->recent && !b->recent->beside && c->line == b->recent_line)
            b->recent->beside = c;
        else
            comment_add(&b->pending, c);
    }
}

static struct format_entry *entry_begin(struct builder *b, const struct note *n)
{
    struct format_node *in = b->depth ? b->open[b->depth - 1] : NULL;
    struct format_entry *e = in ? arena_take(&b->r->tree->arena, 1, sizeof *e) : &b->r->tree->root;
    if (!e)
        return NULL;
    e->above = b->pending;
    bool blank = n->line < b->empty_above.len && b->empty_above.at[n->line];
    e->blank_above = e->above.first ? e->above.first->blank_above : blank;
    e->blank_between = e->above.first && blank;
    b->pending = (struct format_comments){0};
    if (in) {
        *in->end = e;
        in->end = &e->next;
    }
    return e;
}

static struct format_node *node_of(struct builder *b, const struct note *n, enum yaml_kind kind)
{
    struct format_node *node = arena_take(&b->r->tree->arena, 1, sizeof *node);
    if (node) {
        *node = (struct format_node){.kind = kind,
                                     .in_braces = n->in_braces,
                                     .quoted = n->quoted,
                                     .column = n->column,
                                     .text = n->text};
        node->end = &node->first;
    }
    return node;
}

/* Puts a node where it belongs: as a key, as the value of the key before it, as an item. */
static void place_node(struct builder *b, const struct note *n, enum yaml_kind kind)
{
    struct format_node *in = b->depth ? b->open[b->depth - 1] : NULL;
    bool is_key = in && in->kind == YAML_MAP && !b->key;
    struct format_entry *e = b->key ? b->key : entry_begin(b, n);
    struct format_node *node = node_of(b, n, kind);
    if (!e || !node)
        return;
    b->key = is_key ? e : NULL;
    if (kind == YAML_SCALAR || n->in_braces) {
        b->recent = e;
        b->recent_line = kind == YAML_SCALAR ? n->end_line : n->line;
    }
    if (is_key)
        e->key = node;
    else
        e->value = node;
    if (kind != YAML_SCALAR) {
        b->entry_of[b->depth] = e;
        b->open[b->depth++] = node;
    }
}

/* Is this comment, which nothing in `node` follows, inside of it? */
static bool is_inside(const struct builder *b, const struct format_node *node, const struct format_comment *c)
{
    const struct format_entry *holder = b->entry_of[b->depth];
    if (node->in_braces)
        return node->first != NULL;
    if (b->depth == 0)
        return true;
    return c->column > (holder->key ? holder->key->column : b->open[b->depth - 1]->column);
}

static void close_node(struct builder *b, const struct note *n)
{
    struct format_node *node = b->open[--b->depth];
    struct format_comment *c = b->pending.first;
    b->key = NULL;
    if (node->in_braces) {
        b->recent = b->entry_of[b->depth];
        b->recent_line = n->end_line;
    }
    b->pending = (struct format_comments){0};
    while (c) {
        struct format_comment *next = c->next;
        bool inside = !b->pending.first && is_inside(b, node, c);
        comment_add(inside ? &node->foot : &b->pending, c);
        c = next;
    }
}

static void build(struct builder *b)
{
    struct format_tree *t = b->r->tree;
    for (size_t i = 0; i < b->r->note_count && !t->arena.failed; i++) {
        const struct note *n = &b->r->note[i];
        place_comments(b, n->line, n->column);
        if (n->type == YAML_MAPPING_END_EVENT || n->type == YAML_SEQUENCE_END_EVENT)
            close_node(b, n);
        else
            place_node(b, n,
                       n->type == YAML_SCALAR_EVENT          ? YAML_SCALAR
                       : n->type == YAML_MAPPING_START_EVENT ? YAML_MAP
                                                             : YAML_LIST);
    }
    place_comments(b, UINT32_MAX, 0);
    t->foot = b->pending;
}

must_check enum err format_tree_read(struct format_tree *t, struct bytes text)
{
    struct reader r = {.tree = t, .text = text};
    struct format_comments comments = {0};
    struct buf empty_above = {0};
    *t = (struct format_tree){0};
    read_events(&r);
    if (!r.failed)
        read_comments(&r, &comments, &empty_above);
    if (!r.failed && buf_ok(&empty_above)) {
        struct builder b = {.r = &r, .comment = comments.first, .empty_above = buf_bytes(&empty_above)};
        build(&b);
    }
    bool failed = r.failed || !buf_ok(&empty_above) || t->arena.failed;
    free(r.note);
    buf_fini(&empty_above);
    return failed ? ERR_NOMEM : ERR_OK;
}
