/* A strict YAML subset as a tree with positions: maps, lists, scalars. No anchors, tags, merge keys, second document,
 * repeated keys. Scalars are text; whoever reads them knows the type, so `no` and `1.20` never surprise. Used for policies and for
 * agent.yaml. libyaml's home. */
#ifndef POLICY_YAML_H
#define POLICY_YAML_H

#include "base/buf.h"
#include "base/err.h"

enum { YAML_BYTES_MAX = 1024 * 1024, YAML_DEPTH_MAX = 32, YAML_NODES_MAX = 200000 };

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };
struct yaml_node {
    enum yaml_kind kind;
    uint32_t line, column;      /* from 1 */
    const char *text;           /* SCALAR: NUL-terminated, no NUL inside */
    size_t text_len;
    bool quoted;                /* SCALAR was written in quotes */
    size_t count;               /* LIST, MAP: children */
    struct yaml_node **child;   /* LIST: items; MAP: values */
    struct yaml_node **key;     /* MAP: scalars, in the order written */
};
struct yaml_doc;
/* Errors are collected as finished lines "FILE:LINE:COL: what; what to do". */
struct complaints {
    struct buf text;
    size_t count, warnings;
    const char *file;
};
void complain(struct complaints *c, const struct yaml_node *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void complain_warning(struct complaints *c, const struct yaml_node *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
must_check enum err yaml_parse(struct yaml_doc **out, struct bytes text, struct complaints *c);
const struct yaml_node *yaml_root(const struct yaml_doc *d);
void yaml_free(struct yaml_doc *d);
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* NULL if absent */

/* Typed reading; each complains at the node and returns false. */
bool yaml_duration_ms(const struct yaml_node *n, uint64_t *ms, struct complaints *c); /* Gateway API: 1h30m, 250ms, 0s */
bool yaml_u64(const struct yaml_node *n, uint64_t *v, uint64_t min, uint64_t max, struct complaints *c);
bool yaml_bool(const struct yaml_node *n, bool *v, struct complaints *c);             /* true | false only */
bool yaml_time(const struct yaml_node *n, int64_t *wall, struct complaints *c);       /* RFC 3339, Z */
/* Complains about every key that is not in the NULL-terminated list, suggesting the nearest one. */
bool yaml_keys_only(const struct yaml_node *map, const char *const *known, struct complaints *c);

#endif
