/* The policy engine: text -> compiled, immutable, reference-counted policy -> decisions. The same code in the
 * agent, in `starling policy`, in the signer and in the simulator. No I/O. docs/policy.md is the language.
 *
 * Everything of the language compiles, is validated, and is visible here. What the data plane of this version
 * does not act on yet is a feature (feature.h): policy_features() says which ones a text needs, and an agent
 * refuses, by name, a policy that needs one it lacks.
 *
 * All that is handed out lives as long as the policy. Thread-safe once compiled: any number of loops evaluate
 * one policy at once. The structs with keys of the language are in settings.h. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/clock.h"
#include "policy/feature.h"
#include "policy/settings.h"
#include "policy/yaml.h"
#include "trust/trust.h"

enum {
    POLICY_SOURCES_MAX = 64, /* texts of one policy */
};

struct policy;
/* Compiles. On ERR_INVALID `c` holds every complaint; on ERR_OK it may hold warnings. Does not run the tests
 * inside (policy_test). ERR_NOMEM. */
must_check enum err policy_compile(struct policy **out, struct bytes text, struct complaints *c);

/* What a delegation may speak of: the services that one of its patterns fits (pattern_matches()). In a text
 * with a reach stand `services` of these names, and `intentions`, `tests` and `faults` whose `to` is one of
 * them; whatever else it says is an error that names the delegation. */
struct policy_reach {
    const char *name; /* of the delegation, for complaints */
    const struct bytes *pattern;
    size_t pattern_count;
};
struct policy_source {
    const char *file; /* for complaints; NULL: "input" */
    struct bytes text;
    const struct policy_reach *reach_or_null; /* NULL: may say everything */
    bool tests_only;                          /* may hold `tests`, and nothing that would change the policy */
    bool is_overlay; /* an overlay: its `intentions` stand above all others; `reach_or_null` bounds them */
};
/* Several texts that together are one policy: each service once over all of them, each of `defaults`,
 * `rollout`, `observability` and `audit` once, lists joined in the order of the sources. The first says
 * `policy`, `mesh`, `version` and `expires` for all; others without a reach may repeat them if they are equal.
 * A text with a reach is a part: it has a head of its own, with `part: NAME`, the delegation's. Names of its
 * rules and faults are its own, and known as NAME/RULE. Other rule names are there once.
 * A part alone (one source, with or without its reach) compiles too.
 * One of them may be an overlay, the last; its rules are known as overlay:NAME/RULE. An overlay alone compiles with every service
 * that it names taken to be there, of any protocol: what can be said of it before it is known which policy it will meet.
 * Everything is borrowed for the call (and complaints show places in `src[i].file`). Errors as
 * policy_compile(); ERR_LIMIT: not 1 to POLICY_SOURCES_MAX sources. */
must_check enum err policy_compile_sources(struct policy **out, const struct policy_source *src, size_t count,
                                           struct complaints *c);
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);
const char *policy_mesh(const struct policy *p);
uint64_t policy_version(const struct policy *p);
wall_s policy_expires(const struct policy *p); /* 0 = never */
const char *
policy_part(const struct policy *p); /* of a part compiled alone: its name; NULL: the policy itself */
size_t policy_source_count(const struct policy *p);
/* What source `i` says of itself; 0: nothing. */
uint64_t policy_source_version(const struct policy *p, size_t i);
wall_s policy_source_expires(const struct policy *p, size_t i);
/* The features this policy needs: bits of feature_bit(). A key that is written needs its feature, whatever
 * its value; a default that nobody wrote needs none. */
uint64_t policy_features(const struct policy *p);
/* One warning for each feature of `set` that the policy needs, at the first place that needs it. */
void policy_warn_of_features(const struct policy *p, uint64_t set, struct complaints *c);
/* Runs the file's `tests`; each failure is a complaint at its place. Returns how many failed; *run how many
 * there are. */
size_t policy_test(const struct policy *p, size_t *run, struct complaints *c);

/* `revoke`: keys of hosts, of tokens (grants), of those who make tokens (enrol keys). Sorted by key, each once. */
enum { POLICY_REVOKED_MAX = 4096, POLICY_REASON_MAX = 200 };
struct policy_revocation {
    struct node_id key;
    const char *reason;
    wall_s at;
};
const struct policy_revocation *policy_revocations(const struct policy *p, size_t *count);
/* NULL: this policy does not revoke it. */
const struct policy_revocation *policy_revocation(const struct policy *p, const struct node_id *key);

/* The overlay among the texts (break-glass, docs/trust.md): what it says of itself. */
enum {
    OVERLAY_NAME_MAX = 40,    /* bytes: the names of its rules carry it */
    OVERLAY_RULES_MAX = 16,   /* narrow: so many rules, */
    OVERLAY_CALLERS_MAX = 16, /* each for so many callers by name */
    OVERLAY_LIFE_MAX_S = 24 * 3600,
};
struct policy_overlay {
    const char *name; /* NULL: there is none */
    const char *reason;
    uint64_t version;
    wall_s ends;
    size_t rule_count; /* 0: it ends the one before */
    bool denies;       /* some of them deny */
};
const struct policy_overlay *policy_overlay(const struct policy *p);
/* May it have been signed at `begins`? Complains at the place of `ends`: it would have ended before, or last for longer than
 * OVERLAY_LIFE_MAX_S. */
bool policy_overlay_check_ends(const struct policy *p, wall_s begins, struct complaints *c);

/* -- services --------------------------------------------------------------------------------------- */

/* The first two are also what members' records carry. */
enum policy_protocol { POLICY_TCP, POLICY_HTTP, POLICY_HTTP2, POLICY_GRPC };
struct policy_service;
/* NULL: not a service of this policy. Valid as long as the policy. */
const struct policy_service *policy_service(const struct policy *p, struct bytes name);
const struct policy_service *policy_service_next(const struct policy *p, size_t *cursor);
const char *policy_service_name(const struct policy_service *s);
enum policy_protocol policy_service_protocol(const struct policy_service *s);
/* Has it requests? Everything but tcp. */
bool policy_service_has_requests(const struct policy_service *s);
uint16_t policy_service_port(const struct policy_service *s); /* 0: not said */
/* `defaults` and what the service says instead, key by key. */
const struct policy_settings *policy_service_settings(const struct policy_service *s);
/* Used in this order when too few endpoints are healthy (locality.failover_below). The failover of a failover
 * is not followed. */
size_t policy_failover(const struct policy_service *s, const struct policy_service *const **list);

/* -- requests and routes ---------------------------------------------------------------------------- */

/* What a decision may look at. All borrowed. For tcp only caller counts. */
struct policy_header {
    struct bytes name, value; /* name in lower case */
};
struct policy_request {
    struct bytes caller; /* service name, empty = unknown */
    struct bytes method, path, query;
    const struct policy_header *header;
    size_t header_count;
};

struct policy_subset {
    const char *name;
    const struct labels *labels; /* all must be equal on the instance */
};
struct policy_target {
    const struct policy_service *service;
    const struct policy_subset *subset; /* NULL: any instance */
    uint32_t weight;
};
struct policy_mirror {
    const struct policy_service *to; /* NULL: no copies */
    uint32_t share_ppm;              /* of the requests */
};
struct policy_route {
    const char *name; /* "default" when the service has no routes */
    size_t target_count;
    const struct policy_target *target;
    uint64_t weight_sum;
    struct policy_timeouts timeouts; /* of the service, and what the route says instead, key by key */
    struct policy_retry retry;       /* likewise */
    const char *rewrite_prefix; /* stands for the prefix that matched; without its trailing /; NULL: none */
    struct policy_key sticky;   /* KEY_NONE: each request is a throw of its own */
    struct policy_mirror mirror;
    struct policy_header_edit request_headers, response_headers;
};
/* Does the agent in front of the application change anything of such a request or its answer? */
static inline bool policy_route_edits(const struct policy_route *r)
{
    return r->rewrite_prefix || r->request_headers.set_count || r->request_headers.remove_count ||
           r->response_headers.set_count || r->response_headers.remove_count;
}
/* Has that agent anything to do that goes by the route: edits of one of them, or limits? If not, it need not look for it. */
bool policy_far_wants_route(const struct policy_service *s);
/* Is `other` one of the failovers of `s`? */
bool policy_fails_over_to(const struct policy_service *s, const struct policy_service *other);
/* First match wins. NULL: the service has routes and none matches (404 NR). */
const struct policy_route *policy_route(const struct policy_service *s, const struct policy_request *rq);
const struct policy_route *policy_route_next(const struct policy_service *s, size_t *cursor);
/* Picks by weight; `dice` is uniform 64 bits. */
const struct policy_target *policy_route_pick(const struct policy_route *r, uint64_t dice);
/* As the route says: where it is sticky and the request has the header or cookie, by the hash of that, the
 * same on every agent; else by `dice`. Moving weights moves only those whose hash lies between. */
const struct policy_target *policy_route_choose(const struct policy_route *r, const struct policy_request *rq,
                                                uint64_t dice);
/* The path to forward a request by that took route `r` of `s`: its prefix rewritten, or as it is. Appended. */
void policy_route_rewrite(const struct policy_service *s, const struct policy_route *r,
                          const struct policy_request *rq, struct buf *out);
bool policy_subset_matches(const struct policy_subset *subset_or_null, struct label_list instance);
/* The value of a key in this request, and a hash of it that is the same on every agent. A cookie is looked
 * for in the `cookie` headers, RFC 6265 section 5.4. False: the request has none. */
bool policy_key_value(const struct policy_key *k, const struct policy_request *rq, struct bytes *value);
uint64_t policy_key_hash(struct bytes value);

bool policy_has_rate_limits(const struct policy_service *s);
/* The limits that apply to a request that took this route, in the order of the file; all of them must grant
 * it. NULL: no more. `cursor` starts at 0. */
const struct policy_rate_limit *policy_rate_limit_next(const struct policy_service *s,
                                                       const struct policy_route *r, size_t *cursor);
const struct policy_fault *policy_fault_next(const struct policy *p, size_t *cursor);
/* Need one look for faults at all? Of any service; of this one. */
bool policy_has_faults(const struct policy *p);
bool policy_service_has_faults(const struct policy_service *s);
/* The first fault that is on for this request at `now` (before its `until`); NULL: none. The percentages are
 * the caller's to throw for. */
const struct policy_fault *policy_fault_of(const struct policy_service *s, const struct policy_request *rq,
                                           wall_s now);

/* -- intentions ------------------------------------------------------------------------------------- */

struct policy_verdict {
    bool allowed;
    bool audited; /* allowed only because of unmatched: audit; or an audit-mode intention would have decided
                     otherwise */
    bool by_overlay;        /* the deciding intention is an overlay's */
    const char *rule;       /* name of the deciding intention, or "unmatched" */
    const char *audit_rule; /* audit-mode rule that would have decided otherwise, or NULL */
};
/* An overlay's deny, then its allow; then any deny beats every allow; no match -> the service's `unmatched`. */
struct policy_verdict policy_decide(const struct policy *p, const struct policy_service *to,
                                    const struct policy_request *rq);

/* -- the mesh as a whole ---------------------------------------------------------------------------- */

const struct policy_egress *policy_egress_next(const struct policy *p, size_t *cursor);
/* Which rule lets this caller out to this host and port; NULL: none does. `host` in lower case. */
const struct policy_egress *policy_egress_of(const struct policy *p, struct bytes caller, struct bytes host,
                                             uint16_t port);
const struct policy_observability *policy_observability(const struct policy *p);
const struct policy_audit *policy_audit(const struct policy *p);
const struct policy_rollout *policy_rollout(const struct policy *p);

#endif
