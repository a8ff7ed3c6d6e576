/* From tree to text. Where something in braces would not fit, or has a comment inside, it is written over several lines,
 * and those in it are judged anew; so the deepest that fit stay as they were. */
#include "policy/format.h"
#include "policy/format_tree.h"

enum { INDENT = 2 };

struct writer {
    struct buf *out;
    size_t line_at; /* where in `out` the current line begins */
};

/* -- scalars ----------------------------------------------------------------------------------------- */

/* What stands in double quotes for the character at `t`, for those that cannot stand there themselves: its bytes, and
 * how many it has. 0: it stands for itself. Line ends other than LF are what YAML 1.1 takes for such (section 5.4). */
static size_t escape(struct bytes t, char out[8])
{
    unsigned b = t.at[0], c = t.len > 1 ? t.at[1] : 0, d = t.len > 2 ? t.at[2] : 0;
    if (b == '"' || b == '\\')
        return snprintf(out, 8, "\\%c", (int)b), 1;
    if (b == '\n' || b == '\t')
        return snprintf(out, 8, "\\%c", b == '\n' ? 'n' : 't'), 1;
    if (b < 0x20 || b == 0x7f)
        return snprintf(out, 8, "\\x%02x", b), 1;
    if (b == 0xc2 && c < 0xa0)
        return snprintf(out, 8, "\\x%02x", c), 2; /* C1 controls, NEL among them */
    if (b == 0xe2 && c == 0x80 && (d == 0xa8 || d == 0xa9))
        return snprintf(out, 8, "\\u20%02x", d - 0x80), 3; /* LS and PS */
    if (b == 0xef && c == 0xbb && d == 0xbf)
        return snprintf(out, 8, "\\ufeff"), 3; /* a byte order mark */
    return 0;
}

static void write_quoted(struct buf *out, struct bytes t)
{
    char escaped[8];
    buf_add_u8(out, '"');
    for (size_t i = 0, n; i < t.len; i += n ? n : 1) {
        n = escape(bytes_of(t.at + i, t.len - i), escaped);
        if (n)
            buf_add_str(out, escaped);
        else
            buf_add_u8(out, t.at[i]);
    }
    buf_add_u8(out, '"');
}

/* Plain text that would not be read back as it is: of several lines, at the beginning of a line a document's end, outside
 * of braces a dash or the like. */
static bool wants_quotes(struct bytes t)
{
    bool marker = t.len >= 3 && (memcmp(t.at, "---", 3) == 0 || memcmp(t.at, "...", 3) == 0);
    bool indicator = t.len && strchr("-?:", t.at[0]) && (t.len == 1 || t.at[1] == ' ' || t.at[1] == '\t');
    return marker || indicator || (t.len && memchr(t.at, '\n', t.len));
}

static void write_scalar(struct buf *out, const struct format_node *n)
{
    if (n->quoted || wants_quotes(n->text))
        write_quoted(out, n->text);
    else
        buf_add_bytes(out, n->text);
}

/* -- one line, or several ---------------------------------------------------------------------------- */

static bool is_empty(const struct format_node *n)
{
    return n->kind == YAML_SCALAR && !n->quoted && n->text.len == 0;
}

/* On one line. False: it cannot be, since something inside has a comment, or nobody wrote it so. */
static bool write_braced(struct buf *out, const struct format_node *n)
{
    if (n->kind == YAML_SCALAR) {
        write_scalar(out, n);
        return true;
    }
    if (n->foot.first || (!n->in_braces && n->first))
        return false;
    buf_add_u8(out, n->kind == YAML_MAP ? '{' : '[');
    for (const struct format_entry *e = n->first; e; e = e->next) {
        if (e->above.first || e->beside)
            return false;
        if (e->key) {
            write_scalar(out, e->key);
            buf_add_str(out, ": ");
        }
        if (!write_braced(out, e->value))
            return false;
        buf_add_str(out, e->next ? ", " : "");
    }
    buf_add_u8(out, n->kind == YAML_MAP ? '}' : ']');
    return true;
}

static size_t columns(struct bytes t)
{
    size_t n = 0;
    for (size_t i = 0; i < t.len; i++)
        n += (t.at[i] & 0xc0) != 0x80;
    return n;
}

/* Key or dash, and value, on the line begun. False, and nothing was written: it needs several. */
static bool write_on_line(struct writer *w, const struct format_entry *e, size_t indent)
{
    size_t len = w->out->len;
    if (e->key)
        write_scalar(w->out, e->key);
    buf_add_str(w->out, e->key ? ":" : "-");
    buf_add_str(w->out, is_empty(e->value) ? "" : " ");
    bool fits = write_braced(w->out, e->value);
    if (fits && e->value->first)
        fits = indent + columns(bytes_of(w->out->at + len, w->out->len - len)) <= FORMAT_COLUMNS;
    if (!fits)
        w->out->len = len;
    return fits;
}

static bool fits_on_line(struct writer *w, const struct format_entry *e, size_t indent)
{
    size_t len = w->out->len;
    bool fits = write_on_line(w, e, indent);
    w->out->len = len;
    return fits;
}

/* -- lines ------------------------------------------------------------------------------------------- */

/* Begins a line, after an empty one if `blank`. */
static void begin_line(struct writer *w, size_t indent, bool blank)
{
    if (w->out->len > w->line_at)
        buf_add_u8(w->out, '\n');
    if (blank)
        buf_add_u8(w->out, '\n');
    w->line_at = w->out->len;
    for (size_t i = 0; i < indent; i++)
        buf_add_u8(w->out, ' ');
}

static void write_comments(struct writer *w, const struct format_comments *l, size_t indent, bool blank_first)
{
    for (const struct format_comment *c = l->first; c; c = c->next) {
        begin_line(w, indent, c->blank_above && (c != l->first || blank_first));
        buf_add_bytes(w->out, c->text);
    }
}

/* The comments of an entry, and before a dash also those of what begins on its line: of an item that is a map, the
 * first key's. `is_first`: no empty line before them. True: an empty line has to follow. */
static bool write_heads(struct writer *w, const struct format_entry *e, size_t indent, bool is_first)
{
    bool blank = e->blank_above && !is_first, any = e->above.first != NULL;
    write_comments(w, &e->above, indent, blank);
    bool blank_after = any ? e->blank_between : blank;
    while (!e->key && !fits_on_line(w, e, indent)) {
        if (e->beside) {
            begin_line(w, indent, blank_after);
            buf_add_bytes(w->out, e->beside->text);
            blank_after = false;
        }
        if (!(e = e->value->first))
            break;
        write_comments(w, &e->above, indent, blank_after && e->above.first);
        blank_after = blank_after && !e->above.first;
    }
    return blank_after;
}

static void write_entries(struct writer *w, const struct format_node *n, size_t indent, bool in_line);

/* `in_line`: behind a dash that was just written, for which its comments were written too. */
static void write_entry(struct writer *w, const struct format_entry *e, size_t indent, bool is_first,
                        bool in_line)
{
    if (!in_line)
        begin_line(w, indent, write_heads(w, e, indent, is_first));
    bool one_line = write_on_line(w, e, indent);
    if (!one_line && e->key) {
        write_scalar(w->out, e->key);
        buf_add_u8(w->out, ':');
    }
    if (e->beside && (one_line || e->key)) {
        buf_add_str(w->out, "  ");
        buf_add_bytes(w->out, e->beside->text);
    }
    if (!one_line && !e->key)
        buf_add_str(w->out, "- ");
    if (!one_line)
        write_entries(w, e->value, indent + INDENT, !e->key);
}

static void write_entries(struct writer *w, const struct format_node *n, size_t indent, bool in_line)
{
    for (const struct format_entry *e = n->first; e; e = e->next)
        write_entry(w, e, indent, e == n->first, in_line && e == n->first);
    write_comments(w, &n->foot, indent, true);
}

static void write_tree(struct writer *w, const struct format_tree *t)
{
    const struct format_node *root = t->root.value;
    write_comments(w, &t->root.above, 0, false);
    if (t->root.beside) { /* all of it is in braces, and the comment behind the last */
        begin_line(w, 0, false);
        buf_add_bytes(w->out, t->root.beside->text);
    }
    if (t->root.blank_between)
        begin_line(w, 0, true);
    if (!root->first) {
        begin_line(w, 0, false);
        write_braced(w->out, root);
    } else {
        write_entries(w, root, 0, false);
    }
    write_comments(w, &t->foot, 0, true);
    buf_add_u8(w->out, '\n');
}

must_check enum err policy_format(struct buf *out, struct bytes text, struct complaints *c)
{
    struct yaml_doc *doc = NULL;
    struct format_tree t;
    size_t before = out->len;
    enum err e = yaml_parse(&doc, text, c);
    if (e != ERR_OK)
        return e;
    bool has_meaning = yaml_root(doc)->kind != YAML_SCALAR;
    yaml_doc_free(doc);
    if (!has_meaning) {
        complain_of(c, CODE_TYPE, NULL, "a map is expected, and this is one word or none");
        return ERR_MALFORMED;
    }
    e = format_tree_read(&t, text);
    if (e == ERR_OK) {
        struct writer w = {.out = out, .line_at = before};
        write_tree(&w, &t);
        e = buf_ok(out) ? ERR_OK : ERR_NOMEM;
    }
    if (e != ERR_OK)
        out->len = before;
    arena_fini(&t.arena);
    return e;
}
