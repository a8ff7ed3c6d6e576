/* What two patterns have in common, by walking through both at once (the product of two automata, breadth first, so that
 * the first text found is a shortest one). */
#include "policy/regex.h"

#include <assert.h>

#include "base/buf.h"

enum {
    PLACES_MAX = 1 << 20,
    LETTERS_MAX = 2048
}; /* more: nothing is said; one pattern and the form never have more */

struct place { /* where the walk is on all sides, how it came there */
    uint32_t a, b, form;
    uint32_t before; /* index of the place before; itself: the first */
    uint32_t letter;
};
struct walk {
    const struct regex_side *a, *b; /* `a` may be NULL: every text */
    const struct regex *form;       /* may be NULL: every text */
    bool inside_a;                  /* is a text of both looked for, or one of `b` that `a` has not? */
    struct regex_budget *budget;
    size_t states_b, states_form;
    uint8_t *seen;     /* a bit for each triple */
    struct buf places; /* of struct place */
    size_t letter_count;
    uint32_t letter[LETTERS_MAX]; /* one of each class that some side tells apart */
    size_t found;                 /* index of the place */
};

/* -- one side. The states of a beginning: 0 dead, 1 + letters that have come, and one for all that goes on. */

static size_t side_states(const struct regex_side *s)
{
    return !s ? 1 : s->regex ? s->regex->states : s->begin.len + 3;
}

static uint32_t side_start(const struct regex_side *s)
{
    return !s ? 0 : s->regex ? s->regex->start : 1;
}

static uint32_t side_next(const struct regex_side *s, uint32_t at, uint32_t letter)
{
    if (!s)
        return 0;
    if (s->regex)
        return regex_next(s->regex, (uint16_t)at, letter);
    uint32_t whole = (uint32_t)s->begin.len + 1;
    if (at == 0 || at > whole)
        return at;
    if (at == whole)
        return !s->by_segment || letter == '/' ? whole + 1 : 0;
    return s->begin.at[at - 1] == letter ? at + 1 : 0;
}

static bool side_accepts(const struct regex_side *s, uint32_t at)
{
    return !s || (s->regex ? s->regex->accepts[at] : at > s->begin.len);
}

/* -- letters ----------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool add_letter(struct walk *w, uint32_t c)
{
    if (w->letter_count == LETTERS_MAX)
        return false;
    w->letter[w->letter_count++] = c >= 0xd800 && c <= 0xdfff ? 0xe000 : c;
    return true;
}

static bool add_edges(struct walk *w, const struct regex *r)
{
    for (size_t i = 0; r && i < r->range_count; i++)
        if (!add_letter(w, r->range[i].from))
            return false;
    return true;
}

static bool add_side(struct walk *w, const struct regex_side *s)
{
    if (!s || s->regex)
        return !s || add_edges(w, s->regex);
    if (s->by_segment && (!add_letter(w, '/') || !add_letter(w, '/' + 1)))
        return false;
    for (size_t i = 0; i < s->begin.len; i++)
        if (!add_letter(w, s->begin.at[i]) || !add_letter(w, s->begin.at[i] + 1u))
            return false;
    return true;
}

/* Characters between two edges are alike to all sides, so the lower edge speaks for them. No text has surrogates. */
static bool choose_letters(struct walk *w)
{
    size_t kept = 0;
    if (!add_letter(w, 0) || !add_side(w, w->a) || !add_side(w, w->b) || !add_edges(w, w->form))
        return false;
    qsort(w->letter, w->letter_count, sizeof *w->letter, by_number);
    for (size_t i = 0; i < w->letter_count; i++)
        if (i == 0 || w->letter[i] != w->letter[i - 1])
            w->letter[kept++] = w->letter[i];
    w->letter_count = kept;
    return true;
}

/* -- the walk ---------------------------------------------------------------------------------------------- */

static const struct place *place_at(const struct walk *w, size_t i)
{
    return (const struct place *)(const void *)w->places.at + i;
}

static bool is_found(const struct walk *w, const struct place *p)
{
    return side_accepts(w->b, p->b) && (!w->form || w->form->accepts[p->form]) &&
           side_accepts(w->a, p->a) == w->inside_a;
}

/* Nothing that is looked for can be reached from a dead place of `b` or the form, nor from one of `a` if it is to be inside. */
static bool is_dead(const struct walk *w, const struct place *p)
{
    return p->b == 0 || (w->form && p->form == 0) || (w->inside_a && w->a && p->a == 0);
}

static void visit(struct walk *w, struct place p)
{
    size_t bit = (p.a * w->states_b + p.b) * w->states_form + p.form;
    if (is_dead(w, &p) || w->seen[bit / 8] >> bit % 8 & 1)
        return;
    w->seen[bit / 8] |= (uint8_t)(1 << bit % 8);
    buf_add(&w->places, &p, sizeof p);
}

static enum regex_answer walk_on(struct walk *w)
{
    visit(w,
          (struct place){.a = side_start(w->a), .b = side_start(w->b), .form = w->form ? w->form->start : 0});
    for (size_t i = 0; i < w->places.len / sizeof(struct place); i++) {
        struct place at = *place_at(w, i);
        if (is_found(w, &at)) {
            w->found = i;
            return REGEX_YES;
        }
        if (w->budget->steps < w->letter_count)
            return REGEX_UNKNOWN;
        w->budget->steps -= w->letter_count;
        for (size_t j = 0; j < w->letter_count; j++) {
            uint32_t c = w->letter[j];
            visit(w, (struct place){.a = side_next(w->a, at.a, c),
                                    .b = side_next(w->b, at.b, c),
                                    .form = w->form ? regex_next(w->form, (uint16_t)at.form, c) : 0,
                                    .before = (uint32_t)i,
                                    .letter = c});
        }
    }
    return w->places.failed ? REGEX_UNKNOWN : REGEX_NO;
}

/* Is there a text that is looked for? */
static enum regex_answer search(struct walk *w)
{
    size_t states_a = side_states(w->a), triples;
    w->states_b = side_states(w->b);
    w->states_form = w->form ? w->form->states : 1;
    if (states_a * w->states_b > PLACES_MAX ||
        (triples = states_a * w->states_b * w->states_form) > PLACES_MAX || !choose_letters(w))
        return REGEX_UNKNOWN;
    w->seen = calloc(triples / 8 + 1, 1);
    enum regex_answer answer = w->seen ? walk_on(w) : REGEX_UNKNOWN;
    free(w->seen);
    return answer;
}

/* A text of `b` that is known is asked first: most patterns have little in common. */
static bool is_refuted(const struct regex_side *a, const struct regex_side *b, struct regex_budget *budget)
{
    struct bytes text = b->regex ? b->regex->sample : (struct bytes){NULL, 0};
    budget->steps -= budget->steps < text.len ? budget->steps : text.len;
    return text.at && a->regex && !regex_fits(a->regex, text);
}

enum regex_answer regex_covers(const struct regex_side *a, const struct regex_side *b,
                               const struct regex *form_or_null, struct regex_budget *budget)
{
    struct walk w = {.a = a, .b = b, .form = form_or_null, .budget = budget};
    if (is_refuted(a, b, budget))
        return REGEX_NO;
    enum regex_answer other = search(&w);
    buf_fini(&w.places);
    return other == REGEX_UNKNOWN ? other : other == REGEX_NO ? REGEX_YES : REGEX_NO;
}

enum regex_answer regex_meets(const struct regex_side *a, const struct regex_side *b,
                              const struct regex *form_or_null, struct regex_budget *budget)
{
    struct walk w = {.a = a, .b = b, .form = form_or_null, .inside_a = true, .budget = budget};
    enum regex_answer answer = search(&w);
    buf_fini(&w.places);
    return answer;
}

/* -- a text ------------------------------------------------------------------------------------------------ */

static size_t utf8_of(uint32_t c, uint8_t out[4])
{
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    size_t more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    out[0] = (uint8_t)(lead[more] | c >> 6 * more);
    for (size_t i = 1; i <= more; i++)
        out[i] = (uint8_t)(0x80 | (c >> 6 * (more - i) & 0x3f));
    return more + 1;
}

/* The letters on the way to the place that was found; they come last one first. */
static struct bytes text_of(struct arena *a, const struct walk *w)
{
    size_t len = 0;
    uint8_t one[4];
    for (size_t i = w->found; i; i = place_at(w, i)->before)
        len += utf8_of(place_at(w, i)->letter, one);
    uint8_t *text = arena_take(a, len, 1), *end;
    if (!text)
        return (struct bytes){NULL, 0};
    end = text + len;
    for (size_t i = w->found; i; i = place_at(w, i)->before) {
        size_t n = utf8_of(place_at(w, i)->letter, one);
        memcpy(end -= n, one, n);
    }
    return bytes_of(text, len);
}

enum regex_answer regex_sample(struct bytes *out, struct arena *a, const struct regex *r,
                               const struct regex *form_or_null, struct regex_budget *budget)
{
    struct regex_side side = {.regex = r};
    struct regex_budget own = {.steps = budget->sample_steps};
    struct walk w = {.b = &side, .form = form_or_null, .inside_a = true, .budget = &own};
    enum regex_answer answer = search(&w);
    *out = answer == REGEX_YES ? text_of(a, &w) : (struct bytes){NULL, 0};
    a->failed |= w.places.failed;
    buf_fini(&w.places);
    budget->sample_steps = own.steps;
    return answer == REGEX_YES && !out->at ? REGEX_NO : answer;
}
