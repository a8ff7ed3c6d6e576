/* Complaints: one line each, in the form that editors and terminals jump to, and below it, when the source is
 * at hand, the offending line with a caret. What users wrote is shown, so nothing of it may reach the
 * terminal as a control sequence. */
#include "policy/yaml.h"

enum { SHOWN_LINE_MAX = 160 };

#define COMPLAINT_CODE(name, text) [CODE_##name] = text,
const char *complaint_code_text(enum complaint_code code)
{
    static const char *const texts[CODES] = {COMPLAINT_CODES(COMPLAINT_CODE)};
    return texts[code];
}
#undef COMPLAINT_CODE

static struct yaml_source source_of(const struct complaints *c, const struct yaml_node *at)
{
    struct yaml_source s = {c->file, c->source};
    if (c->source_list)
        s = at && at->source < c->source_count ? c->source_list[at->source] : c->source_list[0];
    s.file = s.file ? s.file : "input";
    return s;
}

static struct bytes source_line(struct bytes source, uint32_t line)
{
    const uint8_t *at = source.at, *end = source.at + source.len;
    for (uint32_t i = 1; i < line && at; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return (struct bytes){NULL, 0};
    const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
    return bytes_of(at, (size_t)((stop ? stop : end) - at));
}

static bool starts_character(uint8_t b)
{
    return (b & 0xc0) != 0x80; /* UTF-8: not a continuation byte */
}

/* The line, and under the column a caret. Tabs become one blank, so that both lines keep step. A line too
 * long to show is shown from its beginning, and without a caret when that lies beyond. */
static void show_source(struct complaints *c, struct bytes source, uint32_t line, uint32_t column)
{
    struct bytes text = source_line(source, line);
    size_t shown = 0;
    if (!text.at || text.len == 0)
        return;
    buf_add_str(&c->text, "    ");
    for (size_t i = 0; i < text.len; i++) {
        shown += starts_character(text.at[i]);
        if (shown > SHOWN_LINE_MAX)
            break;
        buf_add_u8(&c->text, text.at[i] < 0x20 || text.at[i] == 0x7f ? ' ' : text.at[i]);
    }
    if (column <= SHOWN_LINE_MAX)
        buf_addf(&c->text, "\n    %*s^", (int)column - 1, "");
    buf_add_u8(&c->text, '\n');
}

/* What to do stands behind the first semicolon that is not the user's own text. */
static const char *hint_of(const char *message)
{
    bool quoted = false;
    for (const char *p = message; *p; p++) {
        quoted ^= *p == '`';
        if (!quoted && p[0] == ';' && p[1] == ' ')
            return p + 2;
    }
    return message + strlen(message);
}

static void keep(struct complaints *c, const struct complaint *made, size_t rank)
{
    if (!c->list || c->list_count == COMPLAINTS_SHOWN_MAX)
        return;
    rank = rank < c->list_count ? rank : c->list_count;
    memmove(&c->list[rank + 1], &c->list[rank], (c->list_count++ - rank) * sizeof *c->list);
    c->list[rank] = *made;
    for (size_t i = rank; i < c->list_count; i++)
        c->list[i].hint = hint_of(c->list[i].message); /* it points into its own */
}

static bool is_before(const struct complaint_place *a, const struct complaint_place *b)
{
    if (a->source != b->source)
        return a->source < b->source;
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

static void turn_round(uint8_t *at, size_t len)
{
    for (size_t i = 0; i < len / 2; i++) {
        uint8_t b = at[i];
        at[i] = at[len - 1 - i];
        at[len - 1 - i] = b;
    }
}

/* What was written last goes before those that stand further down in the file. Returns its rank. */
static size_t put_in_order(struct complaints *c, struct complaint_place p)
{
    size_t rank = c->place_count;
    p.len = c->text.len - p.at;
    if (rank == COMPLAINTS_SHOWN_MAX || !buf_ok(&c->text))
        return rank;
    while (rank > 0 && is_before(&p, &c->place[rank - 1])) {
        c->place[rank] = c->place[rank - 1];
        c->place[rank].at += p.len;
        rank--;
    }
    if (rank < c->place_count) {
        size_t to = c->place[rank + 1].at - p.len, rest = p.at - to;
        turn_round(c->text.at + to, rest); /* both parts, then the whole: they have changed places */
        turn_round(c->text.at + p.at, p.len);
        turn_round(c->text.at + to, rest + p.len);
        p.at = to;
    }
    c->place[rank] = p;
    c->place_count++;
    return rank;
}

static void write_complaint(struct complaints *c, struct complaint *made, const struct yaml_node *at,
                            const char *fmt, va_list ap)
{
    struct yaml_source from = source_of(c, at);
    if (c->count + c->warnings > COMPLAINTS_SHOWN_MAX)
        return;
    if (c->count + c->warnings == COMPLAINTS_SHOWN_MAX) {
        buf_addf(&c->text, "%s: more errors follow; mend these first\n", from.file);
        return;
    }
    vsnprintf(made->message, sizeof made->message, fmt, ap);
    for (char *p = made->message; *p; p++)
        *p = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
    made->file = from.file;
    size_t begin = c->text.len;
    if (begin == 0)
        c->place_count = 0; /* the text was taken away */
    buf_add_str(&c->text, from.file);
    if (at) {
        made->line = at->line;
        made->column = at->column;
        buf_addf(&c->text, ":%u:%u", at->line, at->column);
    }
    buf_addf(&c->text, ": %s%s\n", made->is_warning ? "warning: " : "", made->message);
    if (at && from.text.len)
        show_source(c, from.text, at->line, at->column);
    struct complaint_place place = {at ? at->source : 0, made->line, made->column, begin, 0};
    keep(c, made, put_in_order(c, place));
}

void complain(struct complaints *c, const struct yaml_node *at, const char *fmt, ...)
{
    struct complaint made = {.code = CODE_OTHER};
    va_list ap;
    if (!c)
        return;
    va_start(ap, fmt);
    write_complaint(c, &made, at, fmt, ap);
    va_end(ap);
    c->count++;
}

void complain_of(struct complaints *c, enum complaint_code code, const struct yaml_node *at, const char *fmt,
                 ...)
{
    struct complaint made = {.code = code};
    va_list ap;
    if (!c)
        return;
    va_start(ap, fmt);
    write_complaint(c, &made, at, fmt, ap);
    va_end(ap);
    c->count++;
}

void complain_warning(struct complaints *c, enum complaint_code code, const struct yaml_node *at,
                      const char *fmt, ...)
{
    struct complaint made = {.code = code, .is_warning = true};
    va_list ap;
    if (!c)
        return;
    va_start(ap, fmt);
    write_complaint(c, &made, at, fmt, ap);
    va_end(ap);
    c->warnings++;
}

static int lower(char ch)
{
    return ch >= 'A' && ch <= 'Z' ? ch + 32 : ch;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

size_t yaml_distance(const char *a, const char *b)
{
    enum { N = 64 };
    size_t n = strnlen(a, N), m = strnlen(b, N), row[3][N + 1];
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *up = row[(i + 2) % 3], *upup = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            now[j] = min3(up[j] + 1, now[j - 1] + 1, up[j - 1] + !same);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]) &&
                upup[j - 2] + 1 < now[j])
                now[j] = upup[j - 2] + 1;
        }
    }
    return row[n % 3][m];
}

const char *yaml_nearest(const char *text, const char *const *words)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (; *words; words++) {
        size_t d = yaml_distance(text, *words), len = strlen(*words);
        /* One slip in three letters is a slip; more is another word. */
        if (d <= 1 + len / 4 && d < len && d < best_distance) {
            best = *words;
            best_distance = d;
        }
    }
    return best;
}
