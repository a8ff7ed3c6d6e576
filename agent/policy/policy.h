/* The policy engine: text -> compiled, immutable, reference-counted policy -> decisions. The same code in the
 * agent, in `starling policy`, in the signer and in the simulator. No I/O. POLICY.md is the language; what of
 * it is in force is said in docs/policy.md, and a key that is not in force is an error that says so.
 *
 * Thread-safe once compiled: any number of loops evaluate one policy at once. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/clock.h"
#include "policy/yaml.h"
#include "trust/trust.h"

struct policy;
/* Compiles. On ERR_INVALID `c` holds every complaint. Does not run the tests inside (policy_test). */
must_check enum err policy_compile(struct policy **out, struct bytes text, struct complaints *c);
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);
const char *policy_mesh(const struct policy *p);
uint64_t policy_version(const struct policy *p);
wall_s policy_expires(const struct policy *p); /* 0 = never */
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

enum policy_protocol { POLICY_TCP, POLICY_HTTP };
struct policy_service;
/* NULL: not a service of this policy. Valid as long as the policy. */
const struct policy_service *policy_service(const struct policy *p, struct bytes name);
const struct policy_service *policy_service_next(const struct policy *p, size_t *cursor);
const char *policy_service_name(const struct policy_service *s);
enum policy_protocol policy_service_protocol(const struct policy_service *s);
uint16_t policy_service_port(const struct policy_service *s); /* 0: not said */

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
struct policy_timeouts {
    uint64_t connect_ms, request_ms; /* 0 = off */
};
struct policy_route {
    const char *name; /* "default" when the service has no routes */
    size_t target_count;
    const struct policy_target *target;
    uint64_t weight_sum;
    struct policy_timeouts timeouts;
};
/* First match wins. NULL: the service has routes and none matches (404 NR). */
const struct policy_route *policy_route(const struct policy_service *s, const struct policy_request *rq);
/* Picks by weight; `dice` is uniform 64 bits. */
const struct policy_target *policy_route_pick(const struct policy_route *r, uint64_t dice);
bool policy_subset_matches(const struct policy_subset *subset_or_null, const struct labels *instance);

struct policy_verdict {
    bool allowed;
    bool audited; /* allowed only because of unmatched: audit; or an audit-mode intention would have decided
                     otherwise */
    const char *rule;       /* name of the deciding intention, or "unmatched" */
    const char *audit_rule; /* audit-mode rule that would have decided otherwise, or NULL */
};
/* Any deny beats every allow; no match -> the service's `unmatched`. */
struct policy_verdict policy_decide(const struct policy *p, const struct policy_service *to,
                                    const struct policy_request *rq);

#endif
