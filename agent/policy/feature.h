/* Features: what a policy asks of the agents that enforce it, by name. A key that changes nothing in an agent
 * that does not know it would be worse than none: an operator who writes `retry` must never believe in
 * retries that nobody makes. So each key of the language belongs to a feature (or has been in force since the
 * first version), the compiler notes which features a text needs, the signed bundle lists them, and an agent
 * refuses, by name, a bundle that needs one it lacks.
 *
 * `in_force` is what the agent of this very version acts on. Whoever brings a feature into force turns its
 * line here, and the line in docs/policy.md. Names are part of the signed bytes: they never change. */
#ifndef POLICY_FEATURE_H
#define POLICY_FEATURE_H

#include "base/bytes.h"

/*    name              in a bundle             in force */
#define FEATURES(X)                                                                                          \
    X(ACCESS_LOG, "access-log", false)                                                                       \
    X(AUDIT, "audit", false)                                                                                 \
    X(CIRCUIT_BREAKER, "circuit-breaker", true)                                                              \
    X(DRAIN, "drain", false)                                                                                 \
    X(EGRESS, "egress", false)                                                                               \
    X(ENCRYPTION_OFF, "encryption-off", false)                                                               \
    X(ENCRYPTION_PERMISSIVE, "encryption-permissive", false)                                                 \
    X(FAILOVER, "failover", true)                                                                            \
    X(FAULT, "fault", true)                                                                                  \
    X(GRPC, "grpc", false)                                                                                   \
    X(HTTP2, "http2", false)                                                                                 \
    X(LIMITS, "limits", true)                                                                                \
    X(LOAD_BALANCER, "load-balancer", true)                                                                  \
    X(LOCALITY, "locality", true)                                                                            \
    X(LOG, "log", false)                                                                                     \
    X(METRICS, "metrics", false)                                                                             \
    X(MIRROR, "mirror", true)                                                                                \
    X(OUTLIER_DETECTION, "outlier-detection", true)                                                          \
    X(RATE_LIMIT, "rate-limit", true)                                                                        \
    X(RATE_LIMIT_MESH, "rate-limit-mesh", false)                                                             \
    X(REGEX, "regex", true)                                                                                  \
    X(REQUEST_HEADERS, "request-headers", true)                                                              \
    X(RESPONSE_HEADERS, "response-headers", true)                                                            \
    X(RETRY, "retry", true)                                                                                  \
    X(REVOKE, "revoke", true)                                                                                \
    X(REWRITE, "rewrite", true)                                                                              \
    X(ROLLOUT, "rollout", true)                                                                              \
    X(STICKY, "sticky", true)                                                                                \
    X(TIMEOUT_IDLE, "timeout-idle", true)                                                                    \
    X(TIMEOUT_STREAM, "timeout-stream", true)                                                                \
    X(TIMEOUT_TRY, "timeout-try", true)                                                                      \
    X(TRACING, "tracing", false)

#define FEATURE(name, text, in_force) FEATURE_##name,
enum policy_feature { FEATURES(FEATURE) POLICY_FEATURES, FEATURE_NONE = POLICY_FEATURES };
#undef FEATURE

static inline uint64_t feature_bit(enum policy_feature f)
{
    return f == FEATURE_NONE ? 0 : UINT64_C(1) << f;
}
/* The name in a bundle; the names rise (bytewise) with the numbers. */
const char *feature_name(enum policy_feature f);
/* FEATURE_NONE: no feature of the language as this version knows it. */
enum policy_feature feature_named(struct bytes name);
/* Does the agent of this version act on it? */
bool feature_in_force(enum policy_feature f);
/* Those of the set that the agent of this version does not act on. */
uint64_t features_lacking(uint64_t set);

#endif
