/* Pattern to tree: RE2's syntax (github.com/google/re2/wiki/Syntax) without what captures, what only multi-line mode
 * needs, and what no automaton can do. */
#include "policy/regex_parse.h"

#include <assert.h>

struct parser {
    struct regex_tree *t;
    struct bytes p;
    size_t at;
    unsigned depth;
    bool fold, dot_all; /* (?i), (?s) */
    struct regex_fault *fault;
};

/* The first fault counts; after it the pattern seems to end. */
static uint16_t fail_at(struct parser *s, size_t at, const char *what)
{
    if (!s->fault->what)
        *s->fault = (struct regex_fault){at, what};
    s->at = s->p.len;
    return 0;
}

static bool is_at_end(const struct parser *s)
{
    return s->at == s->p.len;
}

static int peek(const struct parser *s)
{
    return is_at_end(s) ? -1 : s->p.at[s->at];
}

static bool take(struct parser *s, char c)
{
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

static bool take_text(struct parser *s, const char *text)
{
    size_t n = strlen(text);
    if (s->p.len - s->at < n || memcmp(s->p.at + s->at, text, n) != 0)
        return false;
    s->at += n;
    return true;
}

static uint32_t take_character(struct parser *s)
{
    struct utf8 u = {0};
    size_t begin = s->at;
    do {
        if (is_at_end(s) || !utf8_take(&u, s->p.at[s->at++]))
            return fail_at(s, begin, "the pattern is not UTF-8; write \\x{...} for other characters");
    } while (u.more > 0);
    return u.point;
}

static uint16_t add_node(struct parser *s, struct regex_node n)
{
    struct regex_tree *t = s->t;
    assert(t->node_count < REGEX_NODES_MAX);
    t->node[t->node_count] = n;
    return (uint16_t)t->node_count++;
}

/* -- sets of characters ------------------------------------------------------------------------------ */

static void add_range(struct parser *s, uint32_t lo, uint32_t hi)
{
    struct regex_tree *t = s->t;
    if (t->range_count == REGEX_RANGES_MAX)
        (void)fail_at(s, s->at, "the pattern has too many ranges of characters; write it shorter");
    else
        t->range[t->range_count++] = (struct regex_range){lo, hi};
}

static int by_begin(const void *a, const void *b)
{
    const struct regex_range *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* The set's ranges, from `first` on, sorted and joined. */
static void normalise(struct regex_tree *t, size_t first)
{
    struct regex_range *r = t->range + first;
    size_t count = t->range_count - first, kept = 0;
    qsort(r, count, sizeof *r, by_begin);
    for (size_t i = 0; i < count; i++) {
        if (kept && r[i].lo <= r[kept - 1].hi + 1) {
            if (r[i].hi > r[kept - 1].hi)
                r[kept - 1].hi = r[i].hi;
        } else {
            r[kept++] = r[i];
        }
    }
    t->range_count = first + kept;
}

/* Case: of the letters of ASCII only, as header names and hosts have it. */
static void fold(struct parser *s, size_t first)
{
    static const struct regex_range letters[] = {{'a', 'z'}, {'A', 'Z'}};
    size_t count = s->t->range_count;
    for (size_t i = first; s->fold && i < count; i++)
        for (size_t j = 0; j < 2; j++) {
            struct regex_range r = s->t->range[i];
            uint32_t lo = r.lo > letters[j].lo ? r.lo : letters[j].lo,
                     hi = r.hi < letters[j].hi ? r.hi : letters[j].hi;
            if (lo <= hi)
                add_range(s, lo ^ 0x20, hi ^ 0x20);
        }
}

/* What is not in the set, in its place. */
static void negate(struct parser *s, size_t first)
{
    struct regex_tree *t = s->t;
    normalise(t, first);
    uint32_t from = 0;
    size_t count = t->range_count - first;
    for (size_t i = 0; i < count; i++) {
        struct regex_range r = t->range[first + i];
        t->range[first + i] =
            (struct regex_range){from, r.lo - 1}; /* empty, with lo above hi, if r.lo is `from` */
        if (r.lo == from)
            t->range[first + i] = (struct regex_range){1, 0};
        from = r.hi + 1;
    }
    if (from <= REGEX_CHARACTER_MAX)
        add_range(s, from, REGEX_CHARACTER_MAX);
    size_t kept = first;
    for (size_t i = first; i < t->range_count; i++)
        if (t->range[i].lo <= t->range[i].hi)
            t->range[kept++] = t->range[i];
    t->range_count = kept;
}

static uint16_t set_node(struct parser *s, size_t first)
{
    normalise(s->t, first);
    return add_node(s, (struct regex_node){.kind = REGEX_SET,
                                           .range = (uint32_t)first,
                                           .range_count = (uint32_t)(s->t->range_count - first)});
}

static uint16_t character_node(struct parser *s, uint32_t c)
{
    size_t first = s->t->range_count;
    add_range(s, c, c);
    fold(s, first);
    return set_node(s, first);
}

/* \d \w \s and [:alpha:], in ASCII; pairs of first and last character. */
static const struct {
    const char *name, *pairs;
} classes[] = {
    {"d", "09"},
    {"w", "09AZ__az"},
    {"s", "\t\n\f\r  "},
    {"alnum", "09AZaz"},
    {"alpha", "AZaz"},
    {"blank", "\t\t  "},
    {"cntrl", "\1\37\177\177"},
    {"digit", "09"},
    {"graph", "!~"},
    {"lower", "az"},
    {"print", " ~"},
    {"punct", "!/:@[`{~"},
    {"space", "\t\r  "},
    {"upper", "AZ"},
    {"word", "09AZ__az"},
    {"xdigit", "09AFaf"},
};

static bool add_class(struct parser *s, const char *name, size_t len, bool negated)
{
    size_t first = s->t->range_count;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strlen(classes[i].name) != len || memcmp(classes[i].name, name, len) != 0)
            continue;
        for (const char *p = classes[i].pairs; *p; p += 2)
            add_range(s, (uint8_t)p[0], (uint8_t)p[1]);
        if (strcmp(classes[i].name, "cntrl") == 0)
            add_range(s, 0, 0);
        if (negated)
            negate(s, first);
        return true;
    }
    return false;
}

/* \d \D \w \W \s \S: `c` stands behind the backslash. */
static bool add_escaped_class(struct parser *s, int c)
{
    char name = (char)(c | 0x20);
    return c > 0 && strchr("dDwWsS", c) && add_class(s, &name, 1, c != name);
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \xHH and \x{H...}; the x is taken. */
static uint32_t take_hex(struct parser *s, size_t begin)
{
    bool braced = take(s, '{');
    uint32_t c = 0;
    int digits = 0;
    for (; hex_digit(peek(s)) >= 0 && digits < (braced ? 6 : 2); digits++)
        c = c * 16 + (uint32_t)hex_digit(s->p.at[s->at++]);
    bool whole = braced ? digits > 0 && take(s, '}') : digits == 2;
    if (!whole || c > REGEX_CHARACTER_MAX || (c >= 0xd800 && c <= 0xdfff))
        return fail_at(s, begin, "\\x is no character; write two hexadecimal digits, or \\x{10FFFF}");
    return c;
}

/* Why a letter or digit behind a backslash is not taken. */
static const char *escape_fault(int c)
{
    if (c >= '0' && c <= '9')
        return "a back reference cannot be matched in linear time; write what is repeated twice";
    if (c == 'b' || c == 'B')
        return "word boundaries are not part of the language; name the characters around the word";
    if (c == 'p' || c == 'P')
        return "Unicode classes are not part of the language; name the characters, as [a-zäöü]";
    if (c == 'Q' || c == 'E')
        return "\\Q is not part of the language; put a backslash before each special character";
    return "no such escape; to mean the letter itself, leave out the backslash";
}

/* A character behind a backslash, which is taken. */
static uint32_t take_escape(struct parser *s)
{
    static const char plain[] = "t\tn\nr\rf\fv\va\a";
    size_t begin = s->at - 1;
    int c = peek(s);
    if (c < 0)
        return fail_at(s, begin, "a backslash at the end; write \\\\ for the character");
    s->at++;
    if (c == 'x')
        return take_hex(s, begin);
    for (const char *p = plain; *p; p += 2)
        if (*p == c)
            return (uint8_t)p[1];
    bool is_word = hex_digit(c) >= 0 || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80;
    return is_word ? fail_at(s, begin, escape_fault(c)) : (uint32_t)c;
}

/* One end of a range in brackets. */
static uint32_t take_member(struct parser *s)
{
    return take(s, '\\') ? take_escape(s) : take_character(s);
}

static bool add_named(struct parser *s)
{
    size_t begin = s->at;
    if (!take_text(s, "[:"))
        return false;
    bool negated = take(s, '^');
    const char *name = (const char *)s->p.at + s->at;
    size_t len = 0;
    while (!is_at_end(s) && peek(s) != ':')
        s->at++, len++;
    if (!take_text(s, ":]") || len < 2 || !add_class(s, name, len, negated))
        (void)fail_at(s, begin,
                      "no such class; there are alnum, alpha, blank, cntrl, digit, graph, lower, print, "
                      "punct, space, upper, word and xdigit");
    return true;
}

static void add_member(struct parser *s)
{
    size_t begin = s->at;
    if (add_named(s))
        return;
    if (peek(s) == '\\' && s->at + 1 < s->p.len && add_escaped_class(s, s->p.at[s->at + 1])) {
        s->at += 2;
        return;
    }
    uint32_t lo = take_member(s), hi = lo;
    if (peek(s) == '-' && s->at + 1 < s->p.len && s->p.at[s->at + 1] != ']') {
        s->at++;
        hi = take_member(s);
    }
    if (hi < lo)
        (void)fail_at(s, begin, "the range ends before it begins; turn it round");
    else
        add_range(s, lo, hi);
}

/* [...]; the bracket is taken. A ] at the very beginning is meant itself. */
static uint16_t take_brackets(struct parser *s, size_t begin)
{
    size_t first = s->t->range_count;
    bool negated = take(s, '^');
    for (bool is_first = true; is_first || peek(s) != ']'; is_first = false) {
        if (is_at_end(s))
            return fail_at(s, begin, "`[` is not closed; add `]`, or write \\[ for the character");
        add_member(s);
    }
    s->at++;
    fold(s, first);
    if (negated)
        negate(s, first);
    return set_node(s, first);
}

/* -- groups, and what is repeated ---------------------------------------------------------------------- */

static uint16_t take_either(struct parser *s);

static const char *group_fault(const struct parser *s)
{
    int c = peek(s), next = s->at + 1 < s->p.len ? s->p.at[s->at + 1] : -1;
    if (c == '=' || c == '!' || (c == '<' && (next == '=' || next == '!')))
        return "look-around cannot be matched in linear time; say it as an earlier route, or as another "
               "condition";
    if (c == 'P' || c == '<')
        return "nothing is captured here, so groups have no names; write (?:...)";
    return "no such group; there are (?:...), (?i) and (?s)";
}

/* What follows "(?": flags up to `:` or `)`. True: a group follows; else the flags hold up to the end of this group. */
static bool take_flags(struct parser *s)
{
    while (peek(s) == 'i' || peek(s) == 's') {
        s->fold |= peek(s) == 'i';
        s->dot_all |= peek(s) == 's';
        s->at++;
    }
    if (peek(s) == ')')
        return false;
    if (!take(s, ':'))
        (void)fail_at(s, s->at, group_fault(s));
    return true;
}

/* (...); the bracket is taken. */
static uint16_t take_group(struct parser *s, size_t begin)
{
    bool folds = s->fold, dot_all = s->dot_all;
    if (s->depth == REGEX_DEPTH_MAX)
        return fail_at(s, begin, "too many groups inside each other; write it flatter");
    if (take(s, '?') && !take_flags(s)) {
        s->at++;
        return add_node(s, (struct regex_node){.kind = REGEX_NOTHING});
    }
    s->depth++;
    uint16_t n = take_either(s);
    s->depth--;
    s->fold = folds;
    s->dot_all = dot_all;
    if (!take(s, ')'))
        return fail_at(s, begin, "`(` is not closed; add `)`, or write \\( for the character");
    return n;
}

static uint16_t dot_node(struct parser *s)
{
    size_t first = s->t->range_count;
    add_range(s, 0, s->dot_all ? REGEX_CHARACTER_MAX : '\n' - 1);
    if (!s->dot_all)
        add_range(s, '\n' + 1, REGEX_CHARACTER_MAX);
    return set_node(s, first);
}

static uint16_t escaped_node(struct parser *s)
{
    size_t first = s->t->range_count;
    int c = peek(s);
    bool is_edge = c == 'A' || c == 'z';
    s->at += is_edge;
    if (is_edge)
        return add_node(s, (struct regex_node){.kind = c == 'A' ? REGEX_BEGIN : REGEX_END});
    if (!add_escaped_class(s, c))
        return character_node(s, take_escape(s));
    s->at++;
    return set_node(s, first);
}

static uint16_t take_one(struct parser *s)
{
    size_t begin = s->at;
    int c = peek(s);
    if (c == '*' || c == '+' || c == '?')
        return fail_at(s, begin,
                       "nothing stands before it that could be repeated; write \\ before the character");
    if (c == '{')
        return fail_at(s, begin,
                       "nothing stands before `{` that could be repeated; write \\{ for the character");
    if (take(s, '('))
        return take_group(s, begin);
    if (take(s, '['))
        return take_brackets(s, begin);
    if (take(s, '.'))
        return dot_node(s);
    if (take(s, '^'))
        return add_node(s, (struct regex_node){.kind = REGEX_BEGIN});
    if (take(s, '$'))
        return add_node(s, (struct regex_node){.kind = REGEX_END});
    if (take(s, '\\'))
        return escaped_node(s);
    return character_node(s, take_character(s));
}

static bool take_number(struct parser *s, uint16_t *n)
{
    size_t begin = s->at;
    uint32_t v = 0;
    for (; peek(s) >= '0' && peek(s) <= '9' && s->at - begin < 5; s->at++)
        v = v * 10 + (uint32_t)(peek(s) - '0');
    if (s->at == begin || v > REGEX_REPEAT_MAX)
        return false;
    *n = (uint16_t)v;
    return true;
}

/* {m}, {m,}, {m,n}; the brace is taken. */
static void take_counts(struct parser *s, size_t begin, uint16_t *min, uint16_t *max)
{
    bool good = take_number(s, min);
    *max = *min;
    if (good && take(s, ',')) {
        *max = REGEX_FOREVER;
        good = peek(s) == '}' || take_number(s, max);
    }
    if (!good || !take(s, '}') || *max < *min)
        (void)fail_at(s, begin,
                      "`{` begins a repetition: {m}, {m,} or {m,n}, up to 1000; write \\{ for the character");
}

static bool take_repeat(struct parser *s, uint16_t *min, uint16_t *max)
{
    size_t begin = s->at;
    *min = 0;
    *max = REGEX_FOREVER;
    if (take(s, '*'))
        return true;
    if (take(s, '+')) {
        *min = 1;
        return true;
    }
    if (take(s, '?')) {
        *max = 1;
        return true;
    }
    if (!take(s, '{'))
        return false;
    take_counts(s, begin, min, max);
    return true;
}

static uint16_t take_repeated(struct parser *s)
{
    uint16_t n = take_one(s), min, max;
    if (!take_repeat(s, &min, &max))
        return n;
    (void)take(s, '?'); /* as few as possible: the same texts, since all of a text must fit */
    size_t again = s->at;
    uint16_t repeated =
        add_node(s, (struct regex_node){.kind = REGEX_REPEAT, .left = n, .min = min, .max = max});
    if (take_repeat(s, &min, &max))
        return fail_at(s, again, "two repetitions of the same; put the first one into (?:...)");
    return repeated;
}

static uint16_t join(struct parser *s, enum regex_kind kind, uint16_t left, uint16_t right)
{
    return add_node(s, (struct regex_node){.kind = kind, .left = left, .right = right});
}

static uint16_t take_sequence(struct parser *s)
{
    uint16_t all = 0;
    bool any = false;
    while (!is_at_end(s) && peek(s) != '|' && peek(s) != ')') {
        uint16_t n = take_repeated(s);
        all = any ? join(s, REGEX_THEN, all, n) : n;
        any = true;
    }
    return any ? all : add_node(s, (struct regex_node){.kind = REGEX_NOTHING});
}

static uint16_t take_either(struct parser *s)
{
    uint16_t all = take_sequence(s);
    while (take(s, '|'))
        all = join(s, REGEX_OR, all, take_sequence(s));
    return all;
}

bool regex_parse(struct regex_tree *t, struct bytes pattern, struct regex_fault *fault)
{
    struct parser s = {.t = t, .p = pattern, .fault = fault};
    *fault = (struct regex_fault){0};
    t->node_count = t->range_count = 0;
    if (pattern.len > REGEX_BYTES_MAX) {
        (void)fail_at(&s, 0, "the pattern has more than 1024 bytes; say it in several matches");
        return false;
    }
    (void)add_node(&s, (struct regex_node){.kind = REGEX_NOTHING}); /* 0: what stands where a fault was */
    t->root = take_either(&s);
    if (peek(&s) == ')')
        (void)fail_at(&s, s.at, "`)` closes nothing; remove it, or write \\) for the character");
    return !fault->what;
}
