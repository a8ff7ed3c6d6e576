/* A slow reading of a pattern's tree that shares nothing with the automaton: for each part, the places in the text where it
 * may end if it begins at one of these. For the tests and the fuzz target that hold the automaton to it. */
#ifndef REGEX_MODEL_H
#define REGEX_MODEL_H

#include "policy/regex_parse.h"

enum { MODEL_TEXT_MAX = 62 }; /* characters: places are bits of a word */

struct model_text {
    size_t len;
    uint32_t at[MODEL_TEXT_MAX];
};

/* False: it is not UTF-8, or too long. */
static inline bool model_text_of(struct model_text *t, struct bytes text)
{
    struct utf8 u = {0};
    t->len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!utf8_take(&u, text.at[i]) || t->len == MODEL_TEXT_MAX)
            return false;
        if (u.more == 0)
            t->at[t->len++] = u.point;
    }
    return u.more == 0;
}

static inline uint64_t model_set(const struct regex_tree *t, const struct regex_node *n,
                                 const struct model_text *text, uint64_t from)
{
    uint64_t to = 0;
    for (size_t i = 0; i < text->len; i++)
        for (size_t j = 0; (from >> i & 1) && j < n->range_count; j++) {
            struct regex_range r = t->range[n->range + j];
            if (text->at[i] >= r.lo && text->at[i] <= r.hi)
                to |= UINT64_C(2) << i;
        }
    return to;
}

static inline uint64_t model_ends(const struct regex_tree *t, uint16_t node, const struct model_text *text,
                                  uint64_t from);

static inline uint64_t model_repeat(const struct regex_tree *t, const struct regex_node *n,
                                    const struct model_text *text, uint64_t from)
{
    uint64_t all = 0, now = from;
    for (unsigned i = 0; i < n->min && now; i++)
        now = model_ends(t, n->left, text, now);
    for (unsigned i = n->min; now & ~all; i++) { /* ends when nothing new comes */
        all |= now;
        if (i >= n->max && n->max != REGEX_FOREVER)
            break;
        now = model_ends(t, n->left, text, now);
    }
    return all;
}

static inline uint64_t model_ends(const struct regex_tree *t, uint16_t node, const struct model_text *text,
                                  uint64_t from)
{
    const struct regex_node *n = &t->node[node];
    switch (n->kind) {
    case REGEX_NOTHING:
        return from;
    case REGEX_SET:
        return model_set(t, n, text, from);
    case REGEX_BEGIN:
        return from & 1;
    case REGEX_END:
        return from & UINT64_C(1) << text->len;
    case REGEX_THEN:
        return model_ends(t, n->right, text, model_ends(t, n->left, text, from));
    case REGEX_OR:
        return model_ends(t, n->left, text, from) | model_ends(t, n->right, text, from);
    case REGEX_REPEAT:
        return model_repeat(t, n, text, from);
    }
    return 0;
}

static inline bool model_fits(const struct regex_tree *t, const struct model_text *text)
{
    return model_ends(t, t->root, text, 1) >> text->len & 1;
}

#endif
