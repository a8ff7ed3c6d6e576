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
    YAML_KEY_MAX = 128,        /* bytes */
    YAML_NODES_MAX = 200000,   /* scalars (keys too), lists and maps of one document */
    COMPLAINTS_SHOWN_MAX = 50, /* further ones are counted, not written */
};

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };
struct yaml_node {
    enum yaml_kind kind;
    uint32_t line, column; /* from 1; columns count characters */
    uint32_t source;       /* which of complaints.source_list it stands in; 0 when there is one */
    const char *text;      /* SCALAR: NUL-terminated, no NUL inside */
    size_t text_len;
    bool quoted;              /* SCALAR was written in quotes, or as a block */
    size_t count;             /* LIST, MAP: children */
    struct yaml_node **child; /* LIST: items; MAP: values */
    struct yaml_node **key;   /* MAP: scalars, in the order written */
};
struct yaml_doc;

/* What a complaint is about: stable words, for editors and CI to match (docs/policy.md lists them). */
#define COMPLAINT_CODES(X)                                                                                   \
    X(OTHER, "error")                                                                                        \
    X(SYNTAX, "syntax")      /* not YAML */                                                                  \
    X(SUBSET, "yaml-subset") /* YAML that the subset leaves out */                                           \
    X(LIMIT, "limit")        /* more than there may be */                                                    \
    X(UNKNOWN_KEY, "unknown-key")                                                                            \
    X(REPEATED, "repeated") /* a key, name or value that is there already */                                 \
    X(TYPE, "wrong-type")                                                                                    \
    X(VALUE, "wrong-value")                                                                                  \
    X(MISSING, "missing")                                                                                    \
    X(NAME, "wrong-name")                                                                                    \
    X(UNKNOWN, "unknown-reference") /* a service, subset, route or rule that nobody defines */               \
    X(UNREACHABLE, "unreachable-route")                                                                      \
    X(NEVER, "never-matches")                                                                                \
    X(REGEX, "regex") /* a pattern that does not compile */                                                  \
    X(WEIGHTS, "zero-weights")                                                                               \
    X(PROTOCOL, "wrong-protocol") /* about requests, on a service that has none */                           \
    X(CONFLICT, "conflict")       /* two things that cannot both be */                                       \
    X(REACH, "out-of-reach")      /* not for this delegation to say */                                       \
    X(UNTIL, "fault-without-until")                                                                          \
    X(TEST, "test-failed")                                                                                   \
    X(SHADOWED, "shadowed-rule") /* warnings, from here on */                                                \
    X(UNCALLED, "nobody-may-call")                                                                           \
    X(NO_EFFECT, "no-effect")                                                                                \
    X(FEATURE, "not-in-force")
#define COMPLAINT_CODE(name, text) CODE_##name,
enum complaint_code { COMPLAINT_CODES(COMPLAINT_CODE) CODES };
#undef COMPLAINT_CODE
const char *complaint_code_text(enum complaint_code code);

enum { COMPLAINT_MESSAGE_MAX = 400 };
struct complaint { /* one, in parts, for a program to read */
    enum complaint_code code;
    bool is_warning;
    const char *file;                    /* borrowed from the complaints */
    uint32_t line, column;               /* 0: about the whole file */
    char message[COMPLAINT_MESSAGE_MAX]; /* "what; what to do" */
    const char *hint;                    /* into `message`: what to do; empty if that is plain */
};
struct yaml_source {
    const char *file;  /* NULL: "input" */
    struct bytes text; /* if not empty, a complaint shows its line with a caret below */
};

/* Errors are collected as finished lines "FILE:LINE:COL: what; what to do", in the order of the sources and of their lines,
 * whenever each is found. Zero-initialise; buf_fini(&c.text) at the end. */
struct complaints {
    struct buf text;
    struct complaint_place { /* of each in `text`, as long as nobody else writes there */
        uint32_t source, line, column;
        size_t at, len;
    } place[COMPLAINTS_SHOWN_MAX];
    size_t place_count;
    size_t count, warnings;
    const char *file;    /* NULL: "input" */
    struct bytes source; /* if not empty: the text complained about; each complaint then shows its line with a
                            caret below */
    const struct yaml_source
        *source_list; /* if not NULL, several texts: used in place of `file` and `source` */
    size_t source_count;
    struct complaint *list; /* if not NULL, room for COMPLAINTS_SHOWN_MAX: the first of them, in parts */
    size_t list_count;
};
/* `at` may be NULL: about the whole file. `c` may be NULL: nobody wants to know. Control characters become
 * '?'. */
void complain(struct complaints *c, const struct yaml_node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void complain_of(struct complaints *c, enum complaint_code code, const struct yaml_node *at, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));
/* Something that is surely not meant, but does no harm. */
void complain_warning(struct complaints *c, enum complaint_code code, const struct yaml_node *at,
                      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* ERR_LIMIT: larger than YAML_BYTES_MAX; ERR_MALFORMED: not of the subset; both with complaints. ERR_NOMEM.
 * The tree owns copies of all its text. An empty text is ERR_MALFORMED. */
must_check enum err yaml_parse(struct yaml_doc **out, struct bytes text, struct complaints *c);
/* The same; its nodes say that they stand in this one of several sources. */
must_check enum err yaml_parse_source(struct yaml_doc **out, struct bytes text, uint32_t source,
                                      struct complaints *c);
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
/* Days too: 90d. */
bool yaml_days_ms(const struct yaml_node *n, uint64_t *ms, struct complaints *c);
/* "70%", "0.01%": in millionths, so that 1% is 10000. At most four decimals; at most `max_percent`. */
bool yaml_percent_ppm(const struct yaml_node *n, uint32_t *ppm, uint32_t max_percent, struct complaints *c);
/* "64KiB", "1MiB", "100B", "0B". */
bool yaml_size(const struct yaml_node *n, uint64_t *bytes, uint64_t min, uint64_t max, struct complaints *c);
/* "100/s", "6000/m", "10/h": the count, and the time it is granted in. */
bool yaml_rate(const struct yaml_node *n, uint64_t *count, uint64_t *per_ms, struct complaints *c);
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
