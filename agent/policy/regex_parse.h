/* A pattern as a tree. For regex_build.c, and for tests that read the tree in another way. */
#ifndef POLICY_REGEX_PARSE_H
#define POLICY_REGEX_PARSE_H

#include "policy/regex.h"

enum regex_kind {
    REGEX_NOTHING, /* fits the empty text */
    REGEX_SET,     /* one character of a set */
    REGEX_BEGIN,   /* ^ */
    REGEX_END,     /* $ */
    REGEX_THEN,    /* left, then right */
    REGEX_OR,
    REGEX_REPEAT, /* left, min to max times */
};
enum {
    REGEX_FOREVER = UINT16_MAX,            /* as max */
    REGEX_NODES_MAX = 3 * REGEX_BYTES_MAX, /* no byte of a pattern makes more than three */
    REGEX_RANGES_MAX =
        12 * REGEX_BYTES_MAX, /* of all sets; the densest, [\W\W...], makes three of a byte, folding three of
                                                each */
    REGEX_CHARACTER_MAX = 0x10ffff,
};
struct regex_range {
    uint32_t lo, hi;
};
struct regex_node {
    enum regex_kind kind;
    uint16_t left, right;
    uint16_t min, max;
    uint32_t range, range_count; /* of a set: sorted, apart from each other */
};
struct regex_tree {
    uint16_t root;
    size_t node_count, range_count;
    struct regex_node node[REGEX_NODES_MAX];
    struct regex_range range[REGEX_RANGES_MAX];
};
/* False: told in *fault. */
bool regex_parse(struct regex_tree *t, struct bytes pattern, struct regex_fault *fault);

#endif
