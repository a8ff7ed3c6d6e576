/* A strict YAML subset as a tree with positions: maps, lists, scalars. No anchors, aliases, tags, merge keys,
 * directives, second document, repeated keys, keys that are not scalars. Scalars are text; whoever reads them
 * knows the type, so `no` and `1.20` never surprise. Used for policies and for agent.yaml. libyaml's home.
 *
 *   struct complaints c = {.file = "agent.yaml", .source = text};
 *   if (yaml_parse(&doc, text, &c) == ERR_OK) { read yaml_root(doc); yaml_doc_free(doc); }
 *   fputs(buf_str(&c.text), stderr);   c.count errors, c.warnings warnings
 *
 * Errors of meaning are collected, as many as there are; an error of syntax ends the parse, because what
 * follows it is guesswork. */
#ifndef POLICY_YAML_H
#define POLICY_YAML_H

#include "base/buf.h"
#include "base/err.h"

enum {
    YAML_BYTES_MAX = 1024 * 1024,
    YAML_DEPTH_MAX = 32,       /* maps and lists inside each other */
    YAML_NODES_MAX = 200000,   /* scalars (keys too), lists and maps of one document */
    COMPLAINTS_SHOWN_MAX = 50, /* further ones are counted, not written */
};

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };
struct yaml_node {
    enum yaml_kind kind;
    uint32_t line, column; /* from 1; columns count characters */
    const char *text;      /* SCALAR: NUL-terminated, no NUL inside */
    size_t text_len;
    bool quoted;              /* SCALAR was written in quotes, or as a block */
    size_t count;             /* LIST, MAP: children */
    struct yaml_node **child; /* LIST: items; MAP: values */
    struct yaml_node **key;   /* MAP: scalars, in the order written */
};
struct yaml_doc;

/* Errors are collected as finished lines "FILE:LINE:COL: what; what to do". Zero-initialise;
 * buf_fini(&c.text) at the end. */
struct complaints {
    struct buf text;
    size_t count, warnings;
    const char *file;    /* NULL: "input" */
    struct bytes source; /* if not empty: the text complained about; each complaint then shows its line with a
                            caret below */
};
/* `at` may be NULL: about the whole file. `c` may be NULL: nobody wants to know. Control characters become
 * '?'. */
void complain(struct complaints *c, const struct yaml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void complain_warning(struct complaints *c, const struct yaml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ERR_LIMIT: larger than YAML_BYTES_MAX; ERR_MALFORMED: not of the subset; both with complaints. ERR_NOMEM.
 * The tree owns copies of all its text. An empty text is ERR_MALFORMED. */
must_check enum err yaml_parse(struct yaml_doc **out, struct bytes text, struct complaints *c);
const struct yaml_node *yaml_root(const struct yaml_doc *d);
/* Not yaml_free(): libyaml exports, and calls by name, a function of that name. */
void yaml_doc_free(struct yaml_doc *d);
const struct yaml_node *yaml_get(const struct yaml_node *map,
                                 const char *key); /* NULL if absent, or not a map */

/* Typed reading; each complains at the node and returns false, leaving *out alone. */
bool yaml_is(const struct yaml_node *n, enum yaml_kind kind, const char *what,
             struct complaints *c); /* "WHAT must be a map" */
bool yaml_string(const struct yaml_node *n, const char *what, struct bytes *out,
                 struct complaints *c); /* a scalar, not empty */
bool yaml_duration_ms(const struct yaml_node *n, uint64_t *ms,
                      struct complaints *c); /* Gateway API: 1h30m, 250ms, 0s */
bool yaml_u64(const struct yaml_node *n, uint64_t *v, uint64_t min, uint64_t max, struct complaints *c);
bool yaml_bool(const struct yaml_node *n, bool *v, struct complaints *c);       /* true | false only */
bool yaml_time(const struct yaml_node *n, int64_t *wall, struct complaints *c); /* RFC 3339, Z */
/* One of the NULL-terminated words; *index is its place. */
bool yaml_one_of(const struct yaml_node *n, const char *const *words, size_t *index, struct complaints *c);
/* Complains about every key that is not in the NULL-terminated list, suggesting the nearest one, and if it is
 * not a map at all. */
bool yaml_keys_only(const struct yaml_node *map, const char *const *known, struct complaints *c);
/* The word of the list that `text` was probably meant to be; NULL if none is near. */
const char *yaml_nearest(const char *text, const char *const *words);
/* How far two words are apart: insertions, deletions, replacements, swaps of neighbours; case does not count.
 * At most 64 bytes are compared. Damerau 1964 (optimal string alignment). */
size_t yaml_distance(const char *a, const char *b);

#endif
