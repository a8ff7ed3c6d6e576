/* What changes for whom when one policy replaces another: by meaning, not by text. Pure; the caller formats.
 *
 * Access. Who may call what is decided by three things of a request: which names of rules its caller bears, its method, and its
 * path. For one service all requests fall into finitely many classes that no rule of either policy can tell apart:
 *
 *   callers   each name that a rule of either policy has for the service (in `from` or `except`); and all others together,
 *             unknown callers among them, because every rule treats them as one
 *   methods   each one named, and all others
 *   paths     each exact path; and for each prefix, and for none, those paths whose longest prefix it is and that are no
 *             exact path. (A path set holds a path if it holds it exactly, or holds one of its prefixes; two paths with the same longest
 *             prefix among all that are written have all their prefixes in common.)
 *
 * One request of each class is asked of both policies, so what is equal for these is equal for all, and what differs, differs. Classes that
 * change alike are then told together. On tcp only the caller counts.
 *
 * Routes are compared by what is written in them, not request by request: which request takes which route can depend on any
 * header. A route that is new, gone, or stands at another place among routes that may take the same request, is told.
 *
 * Texts are in the words of the language (words.h). */
#ifndef POLICY_DIFF_H
#define POLICY_DIFF_H

#include "policy/policy.h"

enum {
    DIFF_CLASSES_MAX =
        1 << 22, /* requests asked of both policies in all; the services left then are DIFF_TOO_LARGE */
};

#define DIFF_KINDS(X)                                                                                        \
    X(HEAD, "head")           /* mesh, version, expires */                                                   \
    X(ACCESS, "access")       /* allowed, denied or recorded otherwise than before */                        \
    X(RULE, "rule")           /* the same verdict, given by another rule */                                  \
    X(TOO_LARGE, "too-large") /* too many classes: access to this service was not compared */                \
    X(SERVICE, "service")     /* new, gone, or its protocol, port, failover */                               \
    X(SUBSET, "subset")                                                                                      \
    X(ROUTE, "route") /* new, gone, or one of its keys */                                                    \
    X(ORDER,                                                                                                 \
      "order") /* route `name` is tried before (after) `key` now, and both may take the same request */      \
    X(WEIGHT, "weight")   /* of target `key` of route `name` */                                              \
    X(SETTING, "setting") /* of a service, as inherited */                                                   \
    X(RATE_LIMIT, "rate-limit")                                                                              \
    X(FAULT, "fault")                                                                                        \
    X(EGRESS, "egress")                                                                                      \
    X(REVOCATION, "revocation")                                                                              \
    X(MESH, "mesh")       /* observability, audit, rollout */                                                \
    X(FEATURE, "feature") /* that agents need */
#define DIFF_KIND(name, text) DIFF_##name,
enum diff_kind { DIFF_KINDS(DIFF_KIND) DIFF_KIND_COUNT };
#undef DIFF_KIND
const char *diff_kind_text(enum diff_kind k);

struct diff_names { /* sorted */
    bool but;       /* all, but these */
    size_t count;
    const char *const *at;
};
struct
    diff_path { /* the most specific that fits a path says whether it is meant: exact before prefix, longer before shorter */
    bool out;
    bool below;       /* PATH itself, and all below it */
    const char *path; /* "" with `below`: every path that begins with / ; NULL: every path */
};
struct diff_access {
    struct diff_names callers, methods; /* on tcp: all methods, all paths */
    size_t path_count;
    const struct diff_path *path;
    bool was_there,
        is_there; /* the service; without it everything is denied, and the verdict's `rule` is NULL */
    struct policy_verdict before, after;
};
struct diff_one {
    enum diff_kind kind;
    const char *service;              /* NULL: of the mesh */
    const char *name;                 /* of a route, subset, fault, egress rule; a revoked key; NULL */
    const char *key;                  /* NULL: the whole */
    const char *before, *after;       /* NULL: it is not there */
    const struct diff_access *access; /* kinds ACCESS and RULE */
};
struct diff;
/* Borrows both policies as long as the result lives; either may be NULL: no policy, which denies everything. NULL: no memory.
 * The same policies give the same list, by kind, then service. */
struct diff *diff_new(const struct policy *before, const struct policy *after);
void diff_free(struct diff *d);
size_t diff_count(const struct diff *d);
const struct diff_one *diff_at(const struct diff *d, size_t i);

#endif
