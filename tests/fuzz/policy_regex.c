/* Pattern and text, parted by the first newline: what compiles is within its bounds and says what a slow reading of the
 * pattern says; a fault points into the pattern; the sample fits; comparisons with a second pattern agree with the text. */
#include <stddef.h>
#include <stdint.h>

#include <assert.h>

#include "../unit/regex_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);

static struct bytes line(struct bytes *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
    size_t n = end ? (size_t)(end - rest->at) : rest->len;
    struct bytes one = bytes_of(rest->at, n);
    *rest = end ? bytes_of(end + 1, rest->len - n - 1) : bytes_of(rest->at, 0);
    return one;
}

static const struct regex *compiled(struct arena *a, struct bytes pattern)
{
    /* A hundredth of what a pattern may cost, so that many are tried in a second. */
    struct regex_budget b = {REGEX_CELLS_MAX / 8, REGEX_STEPS_MAX / 100, REGEX_ALL_STEPS}, before = b;
    struct regex_fault fault;
    const struct regex *r = regex_compile(a, pattern, NULL, &b, &fault);
    assert(b.steps <= before.steps && b.cells <= before.cells);
    assert(r || a->failed || (fault.what && fault.at <= pattern.len));
    return r;
}

static void check_one(const struct regex *r, struct bytes text)
{
    static struct regex_tree tree;
    struct model_text model;
    struct regex_fault fault;
    bool fits = regex_fits(r, text);
    assert(r->states > 0 && r->start < r->states && !r->accepts[0]);
    assert(regex_parse(&tree, r->pattern, &fault));
    assert(r->sample.at || !fits);
    assert(!r->sample.at || regex_fits(r, r->sample));
    if (model_text_of(&model, text))
        assert(fits == model_fits(&tree, &model));
}

static void check_two(const struct regex *one, const struct regex *other, struct bytes text)
{
    struct regex_budget b = {.steps = 100000};
    struct regex_side x = {.regex = one}, y = {.regex = other};
    enum regex_answer covers = regex_covers(&x, &y, NULL, &b), meets = regex_meets(&x, &y, NULL, &b);
    bool fits_x = regex_fits(one, text), fits_y = regex_fits(other, text);
    assert(covers != REGEX_YES || !fits_y || fits_x);
    assert(meets != REGEX_NO || !fits_x || !fits_y);
    assert(covers != REGEX_YES || meets != REGEX_NO || !other->sample.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct bytes rest = bytes_of(in, len), first = line(&rest), second = line(&rest);
    struct arena a = {0};
    const struct regex *one = compiled(&a, first), *other = one ? compiled(&a, second) : NULL;
    if (one)
        check_one(one, rest);
    if (other)
        check_two(one, other, rest);
    arena_fini(&a);
    return 0;
}
