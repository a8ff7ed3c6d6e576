/* The compiled policy as the files of this room see it. Everything lives in one arena and is read-only once
 * policy_compile() returns.
 *
 * A decision must be cheap with thousands of rules, so intentions are indexed: by destination service, then
 * by caller, then by kind.
 *
 *   service -> anyone:  [deny | deny, audit | allow | allow, audit]        rules with from: ["*"]
 *           -> caller:  {web: [deny | deny, audit | allow | allow, audit], ...}   sorted by caller
 *
 * Within a kind rules stand in the order of the file, and the first that matches gives the verdict its name.
 */
#ifndef POLICY_COMPILED_H
#define POLICY_COMPILED_H

#include <stdatomic.h>

#include "policy/arena.h"
#include "policy/path.h"
#include "policy/policy.h"

enum {
    POLICY_ROUTES_MAX = 2048, /* of one service */
    POLICY_MATCHES_MAX =
        4096, /* of one service, over all its routes; their mutual cover is checked pair by pair */
    POLICY_FIELDS_MAX = 16,    /* header conditions of one match, and query conditions */
    POLICY_TARGETS_MAX = 64,   /* of one route */
    POLICY_SUBSETS_MAX = 64,   /* of one service */
    POLICY_METHODS_MAX = 64,   /* different methods named in one policy: one bit each */
    POLICY_CALLERS_MAX = 1024, /* names in one `from`, and in one `except` */
    POLICY_WEIGHT_MAX = 1000000,
    POLICY_WORD_MAX = 63, /* bytes of the name of a route, rule or subset */
};

enum field_test { FIELD_EXACT, FIELD_PREFIX, FIELD_PRESENT, FIELD_ABSENT };
struct field_match { /* one condition on a header or query parameter */
    struct bytes name, value;
    enum field_test test;
};
enum path_test { PATH_ANY, PATH_EXACT, PATH_PREFIX };
struct route_match { /* all conditions must hold */
    uint64_t method; /* one bit; 0 = any */
    enum path_test path_test;
    struct bytes path; /* a prefix stands without its trailing '/' */
    size_t header_count, query_count;
    const struct field_match *header, *query;
    uint32_t route; /* index of its route */
};

enum rule_kind { RULE_DENY, RULE_DENY_AUDIT, RULE_ALLOW, RULE_ALLOW_AUDIT, RULE_KINDS };
struct clause {            /* one entry of `allow` or `deny`: all that is given must match */
    uint64_t methods;      /* bits; 0 = any */
    struct path_set paths; /* empty = any */
};
struct intention {
    const char *name;
    uint32_t order; /* place in the file */
    bool audit;
    size_t deny_count, allow_count;
    const struct clause *deny, *allow;
    size_t except_count;
    const uint32_t
        *except; /* sorted caller ids; only for from: ["*"], named callers are struck out when compiling */
};
struct rule_list { /* rules of kind k are at[k ? end[k-1] : 0] up to end[k] */
    const struct intention *const *at;
    uint32_t end[RULE_KINDS];
};
struct caller_rules {
    uint32_t caller;
    struct rule_list list;
};

enum unmatched { UNMATCHED_DENY, UNMATCHED_AUDIT };
struct policy_service {
    const struct policy *policy;
    const char *name;
    enum policy_protocol protocol;
    bool is_vague; /* the protocol was bad: complain of nothing that would follow from it */
    uint16_t port; /* 0: not said */
    enum unmatched unmatched;
    struct policy_timeouts timeouts;
    size_t subset_count, route_count, match_count;
    const struct policy_subset *subset;
    const struct policy_route *route;
    const struct route_match *match; /* in the order they are tried */
    struct rule_list anyone;
    size_t caller_count;
    const struct caller_rules *caller; /* sorted by caller id */
};

struct self_test { /* one entry of `tests` */
    struct yaml_node place;
    struct bytes from, method, path, query;
    const struct policy_service *to;
    bool expect_allow;
    const char *rule, *route; /* NULL: any */
    size_t subset_count;
    const char *const *subset;
};

struct policy {
    atomic_uint refs;
    struct arena arena;
    const char *mesh;
    uint64_t version;
    wall_s expires;
    size_t service_count, caller_count, method_count, test_count;
    struct policy_service *service; /* sorted by name */
    const char **caller;            /* names in intentions, sorted; the index is the id */
    struct bytes method[POLICY_METHODS_MAX];
    const struct self_test *test;
    size_t revoked_count;
    const struct policy_revocation *revoked; /* sorted by key */
};

/* The bit of a method; 0: no rule of this policy names it. */
uint64_t policy_method_bit(const struct policy *p, struct bytes method);
/* Place of `name` in the caller table; UINT32_MAX: no rule names it. */
uint32_t policy_caller_id(const struct policy *p, struct bytes name);
/* Could no request reach `later`, because `earlier` takes them all? */
bool route_match_covers(const struct route_match *earlier, const struct route_match *later);

#endif
