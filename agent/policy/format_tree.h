/* Between the two halves of the formatter: a text as a tree that has kept what its meaning does not need, which
 * is comments, blank lines, and who was written in braces or quotes. */
#ifndef POLICY_FORMAT_TREE_H
#define POLICY_FORMAT_TREE_H

#include "policy/arena.h"
#include "policy/yaml.h"

struct format_comment {
    struct format_comment *next;
    struct bytes text; /* with its '#', without blanks at the end */
    bool blank_above;  /* an empty line stands before it */
    bool alone;        /* on a line of its own */
    uint32_t line;     /* from 0, as libyaml counts */
    uint32_t column;   /* likewise */
};
struct format_comments { /* in the order of the text */
    struct format_comment *first, **end;
};
struct format_node;
struct format_entry { /* of a map or a list; the root is one too */
    struct format_entry *next;
    struct format_comments above;
    const struct format_comment *beside; /* NULL: none */
    struct format_node *key;             /* NULL: of a list */
    struct format_node *value;
    bool blank_above;   /* an empty line stands before it and its comments */
    bool blank_between; /* ... between its comments and it */
};
struct format_node {
    enum yaml_kind kind;
    bool in_braces;    /* MAP, LIST: written as {} or [] */
    bool quoted;       /* SCALAR */
    uint32_t column;   /* where it began, from 0 */
    struct bytes text; /* SCALAR: its value */
    struct format_entry *first, **end;
    struct format_comments foot; /* MAP, LIST: after the last entry */
};
struct format_tree {
    struct arena arena;
    struct format_entry root; /* `value` is the whole; comments after it are in `foot` */
    struct format_comments foot;
};

/* `text` has passed yaml_parse(), so it is of the subset. Borrows nothing afterwards. ERR_NOMEM. End with
 * arena_fini(&t->arena) in any case. */
must_check enum err format_tree_read(struct format_tree *t, struct bytes text);

#endif
