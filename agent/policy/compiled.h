/* The compiled policy as the files of this room see it. Everything lives in one arena and is read-only once
 * policy_compile() returns.
 *
 * A decision must be cheap with thousands of rules, so intentions are indexed: by destination service, then
 * by caller, then by kind.
 *
 *   service -> anyone:  [deny | deny, audit | allow | allow, audit]        rules with from: ["*"]
 *           -> caller:  {web: [overlay's deny | overlay's allow | deny | deny, audit | allow | allow, audit], ...}   sorted by caller
 *
 * Within a kind rules stand in the order of the file, and the first that matches gives the verdict its name.
 */
#ifndef POLICY_COMPILED_H
#define POLICY_COMPILED_H

#include <stdatomic.h>

#include "policy/arena.h"
#include "policy/path.h"
#include "policy/policy.h"
#include "policy/regex.h"

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
    POLICY_WORD_MAX = 63,         /* bytes of the name of a route, rule or subset */
    POLICY_RATE_LIMITS_MAX = 256, /* of one service; each request walks them */
    POLICY_FAILOVER_MAX = 8,
    POLICY_EDITS_MAX = 64,    /* headers set, and headers removed, by one route */
    POLICY_FAULTS_MAX = 1024, /* of one policy */
    POLICY_PORTS_MAX = 64,    /* of one egress rule */
    POLICY_STEPS_MAX = 32,    /* of a rollout */
    POLICY_MODULES_MAX = 64,  /* with a log level of their own */
    POLICY_VALUE_MAX = 4096,  /* bytes of a header's value that a route sets */
};

enum field_test { FIELD_EXACT, FIELD_PREFIX, FIELD_PRESENT, FIELD_ABSENT, FIELD_REGEX };
struct field_match { /* one condition on a header or query parameter */
    struct bytes name, value;
    enum field_test test;
    const struct regex *regex; /* with FIELD_REGEX */
};
enum path_test { PATH_ANY, PATH_EXACT, PATH_PREFIX, PATH_REGEX };
struct route_match { /* all conditions must hold */
    uint64_t method; /* one bit; 0 = any */
    enum path_test path_test;
    struct bytes path;              /* a prefix stands without its trailing '/' */
    const struct regex *path_regex; /* with PATH_REGEX */
    size_t header_count, query_count;
    const struct field_match *header, *query;
    uint32_t route; /* index of its route */
};

enum rule_kind {
    RULE_OVERLAY_DENY, /* never under `anyone`: overlays name their callers */
    RULE_OVERLAY_ALLOW,
    RULE_DENY,
    RULE_DENY_AUDIT,
    RULE_ALLOW,
    RULE_ALLOW_AUDIT,
    RULE_KINDS
};
struct clause {            /* one entry of `allow` or `deny`: all that is given must match */
    uint64_t methods;      /* bits; 0 = any */
    struct path_set paths; /* empty = any */
};
struct intention {
    const char *name;
    uint32_t order; /* place in the list */
    bool audit, overlay;
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
static inline uint32_t rule_list_begin(const struct rule_list *l, enum rule_kind kind)
{
    return kind == 0 ? 0 : l->end[kind - 1];
}
struct caller_rules {
    uint32_t caller;
    struct rule_list list;
};

struct fault { /* one entry of `faults` */
    struct policy_fault said;
    size_t match_count; /* 0: every request */
    const struct route_match *match;
};
struct rate_limit {
    struct policy_rate_limit said;
    uint32_t route; /* index; UINT32_MAX: every route */
};

struct policy_service {
    const struct policy *policy;
    const char *name;
    enum policy_protocol protocol;
    bool is_vague;  /* the protocol was bad: complain of nothing that would follow from it */
    bool is_edited; /* policy_route_edits() is true of a route */
    uint16_t port;  /* 0: not said */
    struct policy_settings settings;
    size_t subset_count, route_count, match_count;
    const struct policy_subset *subset;
    const struct policy_route *route;
    const struct route_match *match; /* in the order they are tried */
    struct rule_list anyone;
    size_t caller_count;
    const struct caller_rules *caller; /* sorted by caller id */
    size_t fault_count, limit_count, failover_count;
    const struct fault *fault; /* in the order of the file */
    const struct rate_limit *limit;
    const struct policy_service *const *failover;
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

struct source_said { /* what one of several texts says of itself */
    uint64_t version;
    wall_s expires;
};

struct policy {
    atomic_uint refs;
    struct arena arena;
    const char *mesh, *part; /* `part` NULL: the policy itself */
    uint64_t version;
    wall_s expires;
    size_t service_count, caller_count, method_count, test_count;
    struct policy_service *service; /* sorted by name */
    const char **caller;            /* names in intentions, sorted; the index is the id */
    struct bytes method[POLICY_METHODS_MAX];
    const struct self_test *test;
    size_t revoked_count;
    const struct policy_revocation *revoked; /* sorted by key */
    size_t fault_count, egress_count, source_count;
    const struct fault *fault; /* sorted by service */
    const struct policy_egress *egress;
    struct policy_observability observability;
    struct policy_audit audit;
    struct policy_rollout rollout;
    struct source_said *source;
    const struct yaml_source *source_names; /* without their texts; for the complaints of tests */
    struct yaml_doc **doc;                  /* the texts as trees, for place.h; as many as source_count */
    struct policy_overlay overlay;
    struct yaml_node overlay_ends; /* its place */
    const struct regex
        *path_form; /* what paths look like as they are forwarded; NULL if no path is matched by regex */
    uint64_t features;
    struct yaml_node need[POLICY_FEATURES]; /* the first place that needs it */
};

/* The bit of a method; 0: no rule of this policy names it. */
uint64_t policy_method_bit(const struct policy *p, struct bytes method);
/* Do all conditions of a match hold? `method` is the bit of rq's. */
bool route_match_holds(const struct route_match *m, const struct policy_request *rq, uint64_t method);
/* Place of `name` in the caller table; UINT32_MAX: no rule names it. */
uint32_t policy_caller_id(const struct policy *p, struct bytes name);
/* Could no request reach `later`, because `earlier` takes them all? And: could one request fit both? Both say so only
 * when it is certain: `covers` true, `meets` false. `path_form`: of the policy of either. */
bool route_match_covers(const struct route_match *earlier, const struct route_match *later,
                        const struct regex *path_form, struct regex_budget *budget);
bool route_match_meets(const struct route_match *a, const struct route_match *b,
                       const struct regex *path_form, struct regex_budget *budget);

#endif
