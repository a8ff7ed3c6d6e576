/* No key of the language is read and then ignored. Every leaf of the JSON Schema (which knows the same keys as the compiler:
 * cli_policy_schema.c) has a row here: a text that uses it, another value for it, and the feature it needs, if any. What an agent does
 * not act on yet it refuses by that feature's name; and of whatever compiles, the other value makes another policy: one that
 * policy_diff tells apart, that fails its tests, or that is refused. A new key without a row fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/cli.h"
#include "policy/bundle.h"
#include "policy/diff.h"

#define HEAD  "policy: v1\nmesh: m.example\nversion: 1\n"
#define KEY_A "ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
#define KEY_B "ed25519:8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
#define ROUTE(x)                                                                                             \
    "services: {a: {protocol: http, subsets: {v1: {v: x}, v2: {v: y}}, routes: [{name: r, " x                \
    "}, {name: z}]}}\n"
#define MATCH(x)   ROUTE("match: [{" x "}]")
#define SERVICE(x) "services: {a: {protocol: http, " x "}, b: {protocol: http}, c: {protocol: http}}\n"
#define FAULT(x)   "services: {a: {protocol: http}, b: {protocol: http}}\nfaults: [{" x "}]\n"
#define FAULT_MATCH(x)                                                                                       \
    FAULT("name: f, to: a, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z, match: [{" x "}]")
#define RULE(x)    "services: {a: {protocol: http}, b: {protocol: http}}\nintentions: [{" x "}]\n"
#define GRPC(x)    "services: {g: {protocol: grpc}}\nintentions: [{" x "}]\n"
#define EGRESS(x)  "egress: [{" x "}]\n"
#define OBSERVE(x) "observability: {" x "}\n"
#define ROLLOUT(x) "rollout: {" x "}\n"
#define REVOKE(x)  "revoke: [{" x "}]\n"
#define TEST(x)                                                                                              \
    "services: {a: {protocol: http, subsets: {v1: {v: x}, v2: {v: y}}, routes: [{name: r, to: [{subset: "    \
    "v1}]}]}, b: {protocol: http}}\n"                                                                        \
    "intentions: [{name: i, from: [web], to: a, allow: [{methods: [GET]}]}]\ntests: [{" x "}]\n"

struct row {
    const char *path;    /* of the leaf */
    const char *feature; /* NULL: in force since the first version */
    const char *text, *other;
};

/* Leaves of settings: fragments that stand in `defaults`, in a service, or in a route. */
static const struct row settings[] = {
    {"encryption", "encryption-off", "encryption: off", "encryption: strict"},
    {"unmatched", NULL, "unmatched: audit", "unmatched: deny"},
    {"loadBalancer.policy", "load-balancer", "loadBalancer: {policy: random}",
     "loadBalancer: {policy: roundRobin}"},
    {"loadBalancer.key", "load-balancer", "loadBalancer: {policy: maglev, key: source}",
     "loadBalancer: {policy: maglev, key: {header: x}}"},
    {"loadBalancer.decay", "load-balancer", "loadBalancer: {decay: 7s}", "loadBalancer: {decay: 8s}"},
    {"loadBalancer.slowStart", "load-balancer", "loadBalancer: {slowStart: 7s}",
     "loadBalancer: {slowStart: 8s}"},
    {"locality.prefer[]", "locality", "locality: {prefer: [rack]}", "locality: {prefer: [zone]}"},
    {"locality.failoverBelow", "locality", "locality: {failoverBelow: 71%}",
     "locality: {failoverBelow: 72%}"},
    {"locality.panicBelow", "locality", "locality: {panicBelow: 11%}", "locality: {panicBelow: 12%}"},
    {"circuitBreaker.maxConnections", "circuit-breaker", "circuitBreaker: {maxConnections: 1}",
     "circuitBreaker: {maxConnections: 2}"},
    {"circuitBreaker.maxPending", "circuit-breaker", "circuitBreaker: {maxPending: 1}",
     "circuitBreaker: {maxPending: 2}"},
    {"circuitBreaker.maxRequests", "circuit-breaker", "circuitBreaker: {maxRequests: 1}",
     "circuitBreaker: {maxRequests: 2}"},
    {"outlierDetection.consecutive5xx", "outlier-detection", "outlierDetection: {consecutive5xx: 1}",
     "outlierDetection: {consecutive5xx: 2}"},
    {"outlierDetection.successRate.below", "outlier-detection",
     "outlierDetection: {successRate: {below: 1%}}", "outlierDetection: {successRate: {below: 2%}}"},
    {"outlierDetection.successRate.interval", "outlier-detection",
     "outlierDetection: {successRate: {interval: 1s}}", "outlierDetection: {successRate: {interval: 2s}}"},
    {"outlierDetection.successRate.minRequests", "outlier-detection",
     "outlierDetection: {successRate: {minRequests: 1}}",
     "outlierDetection: {successRate: {minRequests: 2}}"},
    {"outlierDetection.ejection.base", "outlier-detection", "outlierDetection: {ejection: {base: 1s}}",
     "outlierDetection: {ejection: {base: 2s}}"},
    {"outlierDetection.ejection.max", "outlier-detection", "outlierDetection: {ejection: {max: 1h}}",
     "outlierDetection: {ejection: {max: 2h}}"},
    {"outlierDetection.ejection.maxPercent", "outlier-detection",
     "outlierDetection: {ejection: {maxPercent: 1}}", "outlierDetection: {ejection: {maxPercent: 2}}"},
    {"limits.headerBytes", "limits", "limits: {headerBytes: 2KiB}", "limits: {headerBytes: 3KiB}"},
    {"limits.headers", "limits", "limits: {headers: 1}", "limits: {headers: 2}"},
    {"limits.replayBody", "limits", "limits: {replayBody: 1B}", "limits: {replayBody: 2B}"},
    {"drain", "drain", "drain: 1s", "drain: 2s"},
    {"timeouts.connect", NULL, "timeouts: {connect: 2s}", "timeouts: {connect: 3s}"},
    {"timeouts.request", NULL, "timeouts: {request: 21s}", "timeouts: {request: 22s}"},
    {"timeouts.perTry", "timeout-try", "timeouts: {perTry: 2s}", "timeouts: {perTry: 3s}"},
    {"timeouts.idle", "timeout-idle", "timeouts: {idle: 2s}", "timeouts: {idle: 3s}"},
    {"timeouts.stream", "timeout-stream", "timeouts: {stream: 2s}", "timeouts: {stream: 3s}"},
    {"retry.attempts", "retry", "retry: {attempts: 2}", "retry: {attempts: 3}"},
    {"retry.on[]", "retry", "retry: {on: [\"503\"]}", "retry: {on: [\"504\"]}"},
    {"retry.backoff.base", "retry", "retry: {backoff: {base: 1ms}}", "retry: {backoff: {base: 2ms}}"},
    {"retry.backoff.max", "retry", "retry: {backoff: {max: 1s}}", "retry: {backoff: {max: 2s}}"},
    {"retry.budget.percent", "retry", "retry: {budget: {percent: 1}}", "retry: {budget: {percent: 2}}"},
    {"retry.budget.interval", "retry", "retry: {budget: {interval: 1s}}", "retry: {budget: {interval: 2s}}"},
    {"retry.budget.minPerSecond", "retry", "retry: {budget: {minPerSecond: 1}}",
     "retry: {budget: {minPerSecond: 2}}"},
};

/* All others: whole texts, behind HEAD if they have no head of their own. */
static const struct row rows[] = {
    {"policy", NULL, HEAD, "policy: v2\nmesh: m.example\nversion: 1\n"},
    {"mesh", NULL, HEAD, "policy: v1\nmesh: n.example\nversion: 1\n"},
    {"version", NULL, HEAD, "policy: v1\nmesh: m.example\nversion: 2\n"},
    {"expires", NULL, "expires: 2027-01-31T00:00:00Z\n", ""},
    {"part", NULL, "part: team\n", "part: team\nrevoke: []\n"},
    {"rollout.steps[]", "rollout", ROLLOUT("steps: [10%, 100%]"), ROLLOUT("steps: [20%, 100%]")},
    {"rollout.pause", "rollout", ROLLOUT("steps: [100%], pause: 1m"), ROLLOUT("steps: [100%], pause: 2m")},
    {"rollout.haltIf.errorRate", "rollout", ROLLOUT("steps: [100%], haltIf: {errorRate: +1%}"),
     ROLLOUT("steps: [100%]")},
    {"rollout.haltIf.p99", "rollout", ROLLOUT("steps: [100%], haltIf: {p99: +1%}"), ROLLOUT("steps: [100%]")},
    {"rollout.haltIf.denied", "rollout", ROLLOUT("steps: [100%], haltIf: {denied: +1%}"),
     ROLLOUT("steps: [100%]")},
    {"rollout.haltIf.minRequests", "rollout", ROLLOUT("steps: [100%], haltIf: {denied: +1%, minRequests: 7}"),
     ROLLOUT("steps: [100%], haltIf: {denied: +1%}")},
    {"services.*.protocol", NULL, "services: {a: {protocol: http}}\n", "services: {a: {protocol: tcp}}\n"},
    {"services.*.port", NULL, SERVICE("port: 1"), SERVICE("port: 2")},
    {"services.*.subsets.*.*", NULL, SERVICE("subsets: {v: {x: \"1\"}}"),
     SERVICE("subsets: {v: {x: \"2\"}}")},
    {"services.*.failover[].service", "failover", SERVICE("failover: [{service: b}]"),
     SERVICE("failover: [{service: c}]")},
    {"services.*.rateLimits[].scope", "rate-limit-mesh", SERVICE("rateLimits: [{scope: mesh, rate: 1/s}]"),
     SERVICE("rateLimits: [{scope: instance, rate: 1/s}]")},
    {"services.*.rateLimits[].per", "rate-limit",
     SERVICE("rateLimits: [{scope: instance, per: source, rate: 1/s}]"),
     SERVICE("rateLimits: [{scope: instance, rate: 1/s}]")},
    {"services.*.rateLimits[].rate", "rate-limit", SERVICE("rateLimits: [{scope: instance, rate: 1/s}]"),
     SERVICE("rateLimits: [{scope: instance, rate: 1/m}]")},
    {"services.*.rateLimits[].burst", "rate-limit",
     SERVICE("rateLimits: [{scope: instance, rate: 1/s, burst: 2}]"),
     SERVICE("rateLimits: [{scope: instance, rate: 1/s}]")},
    {"services.*.rateLimits[].route", "rate-limit",
     SERVICE("routes: [{name: r}], rateLimits: [{scope: instance, rate: 1/s, route: r}]"),
     SERVICE("routes: [{name: r}], rateLimits: [{scope: instance, rate: 1/s}]")},
    {"services.*.rateLimits[].ifPartitioned", "rate-limit",
     SERVICE("rateLimits: [{scope: mesh, rate: 1/s, ifPartitioned: full}]"),
     SERVICE("rateLimits: [{scope: mesh, rate: 1/s}]")},
    {"services.*.routes[].name", NULL, SERVICE("routes: [{name: r}]"), SERVICE("routes: [{name: s}]")},
    {"services.*.routes[].match[].method", NULL, MATCH("method: GET"), MATCH("method: PUT")},
    {"services.*.routes[].match[].path.exact", NULL, MATCH("path: {exact: /x}"), MATCH("path: {exact: /y}")},
    {"services.*.routes[].match[].path.prefix", NULL, MATCH("path: {prefix: /x}"),
     MATCH("path: {exact: /x}")},
    {"services.*.routes[].match[].path.regex", "regex", MATCH("path: {regex: /x}"),
     MATCH("path: {exact: /x}")},
    {"services.*.routes[].match[].headers.*.exact", NULL, MATCH("headers: {x: {exact: y}}"),
     MATCH("headers: {x: {exact: z}}")},
    {"services.*.routes[].match[].headers.*.prefix", NULL, MATCH("headers: {x: {prefix: y}}"),
     MATCH("headers: {x: {exact: y}}")},
    {"services.*.routes[].match[].headers.*.regex", "regex", MATCH("headers: {x: {regex: y}}"),
     MATCH("headers: {x: {exact: y}}")},
    {"services.*.routes[].match[].headers.*.present", NULL, MATCH("headers: {x: {present: true}}"),
     MATCH("headers: {x: {present: false}}")},
    {"services.*.routes[].match[].query.*.exact", NULL, MATCH("query: {x: {exact: y}}"),
     MATCH("query: {x: {exact: z}}")},
    {"services.*.routes[].match[].query.*.prefix", NULL, MATCH("query: {x: {prefix: y}}"),
     MATCH("query: {x: {exact: y}}")},
    {"services.*.routes[].match[].query.*.regex", "regex", MATCH("query: {x: {regex: y}}"),
     MATCH("query: {x: {exact: y}}")},
    {"services.*.routes[].match[].query.*.present", NULL, MATCH("query: {x: {present: true}}"),
     MATCH("query: {x: {present: false}}")},
    {"services.*.routes[].to[].subset", NULL,
     SERVICE("subsets: {v: {x: y}, w: {x: z}}, routes: [{name: r, to: [{subset: v}]}]"),
     SERVICE("subsets: {v: {x: y}, w: {x: z}}, routes: [{name: r, to: [{subset: w}]}]")},
    {"services.*.routes[].to[].weight", NULL,
     SERVICE("subsets: {v: {x: y}}, routes: [{name: r, to: [{subset: v, weight: 2}, {weight: 3}]}]"),
     SERVICE("subsets: {v: {x: y}}, routes: [{name: r, to: [{subset: v, weight: 2}, {weight: 4}]}]")},
    {"services.*.routes[].sticky.header", "sticky",
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], sticky: {header: x}"),
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], sticky: {header: y}")},
    {"services.*.routes[].sticky.cookie", "sticky",
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], sticky: {cookie: x}"),
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], sticky: {cookie: y}")},
    {"services.*.routes[].rewrite.prefix", "rewrite",
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], rewrite: {prefix: /y}"),
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], rewrite: {prefix: /z}")},
    {"services.*.routes[].mirror.to", "mirror", SERVICE("routes: [{name: r, mirror: {to: b}}]"),
     SERVICE("routes: [{name: r, mirror: {to: c}}]")},
    {"services.*.routes[].mirror.percent", "mirror",
     SERVICE("routes: [{name: r, mirror: {to: b, percent: 5}}]"),
     SERVICE("routes: [{name: r, mirror: {to: b, percent: 6}}]")},
    {"services.*.routes[].requestHeaders.set.*", "request-headers",
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], requestHeaders: {set: {x: y}}"),
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], requestHeaders: {set: {x: z}}")},
    {"services.*.routes[].requestHeaders.remove[]", "request-headers",
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], requestHeaders: {remove: [x]}"),
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], requestHeaders: {remove: [y]}")},
    {"services.*.routes[].responseHeaders.set.*", "response-headers",
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], responseHeaders: {set: {x: y}}"),
     ROUTE(
         "match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], responseHeaders: {set: {x: z}}")},
    {"services.*.routes[].responseHeaders.remove[]", "response-headers",
     ROUTE("match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], responseHeaders: {remove: [x]}"),
     ROUTE(
         "match: [{path: {prefix: /x}}], to: [{subset: v1}, {subset: v2}], responseHeaders: {remove: [y]}")},
    {"faults[].match[].method", "fault", FAULT_MATCH("method: GET"), FAULT_MATCH("method: PUT")},
    {"faults[].match[].path.exact", "fault", FAULT_MATCH("path: {exact: /x}"),
     FAULT_MATCH("path: {exact: /y}")},
    {"faults[].match[].path.prefix", "fault", FAULT_MATCH("path: {prefix: /x}"),
     FAULT_MATCH("path: {exact: /x}")},
    {"faults[].match[].path.regex", "fault", FAULT_MATCH("path: {regex: /x}"),
     FAULT_MATCH("path: {exact: /x}")},
    {"faults[].match[].headers.*.exact", "fault", FAULT_MATCH("headers: {x: {exact: y}}"),
     FAULT_MATCH("headers: {x: {exact: z}}")},
    {"faults[].match[].headers.*.prefix", "fault", FAULT_MATCH("headers: {x: {prefix: y}}"),
     FAULT_MATCH("headers: {x: {exact: y}}")},
    {"faults[].match[].headers.*.regex", "fault", FAULT_MATCH("headers: {x: {regex: y}}"),
     FAULT_MATCH("headers: {x: {exact: y}}")},
    {"faults[].match[].headers.*.present", "fault", FAULT_MATCH("headers: {x: {present: true}}"),
     FAULT_MATCH("headers: {x: {present: false}}")},
    {"faults[].match[].query.*.exact", "fault", FAULT_MATCH("query: {x: {exact: y}}"),
     FAULT_MATCH("query: {x: {exact: z}}")},
    {"faults[].match[].query.*.prefix", "fault", FAULT_MATCH("query: {x: {prefix: y}}"),
     FAULT_MATCH("query: {x: {exact: y}}")},
    {"faults[].match[].query.*.regex", "fault", FAULT_MATCH("query: {x: {regex: y}}"),
     FAULT_MATCH("query: {x: {exact: y}}")},
    {"faults[].match[].query.*.present", "fault", FAULT_MATCH("query: {x: {present: true}}"),
     FAULT_MATCH("query: {x: {present: false}}")},
    {"faults[].name", "fault", FAULT("name: f, to: a, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z"),
     FAULT("name: g, to: a, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z")},
    {"faults[].to", "fault", FAULT("name: f, to: a, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z"),
     FAULT("name: f, to: b, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z")},
    {"faults[].abort.status", "fault",
     FAULT("name: f, to: a, abort: {status: 500}, until: 2026-12-01T00:00:00Z"),
     FAULT("name: f, to: a, abort: {status: 501}, until: 2026-12-01T00:00:00Z")},
    {"faults[].abort.percent", "fault",
     FAULT("name: f, to: a, abort: {status: 500, percent: 5}, until: 2026-12-01T00:00:00Z"),
     FAULT("name: f, to: a, abort: {status: 500, percent: 6}, until: 2026-12-01T00:00:00Z")},
    {"faults[].delay.fixed", "fault",
     FAULT("name: f, to: a, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z"),
     FAULT("name: f, to: a, delay: {fixed: 2s}, until: 2026-12-01T00:00:00Z")},
    {"faults[].delay.percent", "fault",
     FAULT("name: f, to: a, delay: {fixed: 1s, percent: 5}, until: 2026-12-01T00:00:00Z"),
     FAULT("name: f, to: a, delay: {fixed: 1s, percent: 6}, until: 2026-12-01T00:00:00Z")},
    {"faults[].until", "fault", FAULT("name: f, to: a, delay: {fixed: 1s}, until: 2026-12-01T00:00:00Z"),
     FAULT("name: f, to: a, delay: {fixed: 1s}, until: 2026-12-02T00:00:00Z")},
    {"intentions[].name", NULL, RULE("name: i, from: [x], to: a"), RULE("name: j, from: [x], to: a")},
    {"intentions[].from[]", NULL, RULE("name: i, from: [x], to: a"), RULE("name: i, from: [y], to: a")},
    {"intentions[].except[]", NULL, RULE("name: i, from: [\"*\"], except: [x], to: a"),
     RULE("name: i, from: [\"*\"], to: a")},
    {"intentions[].to", NULL, RULE("name: i, from: [x], to: a"), RULE("name: i, from: [x], to: b")},
    {"intentions[].mode", NULL, RULE("name: i, from: [x], to: a, mode: audit"),
     RULE("name: i, from: [x], to: a")},
    {"intentions[].allow[].methods[]", NULL, RULE("name: i, from: [\"*\"], to: a, allow: [{methods: [GET]}]"),
     RULE("name: i, from: [\"*\"], to: a, allow: [{methods: [PUT]}]")},
    {"intentions[].allow[].paths[]", NULL, RULE("name: i, from: [\"*\"], to: a, allow: [{paths: [/x]}]"),
     RULE("name: i, from: [\"*\"], to: a, allow: [{paths: [/y]}]")},
    {"intentions[].allow[].grpc", "grpc", GRPC("name: i, from: [\"*\"], to: g, allow: [{grpc: a.B/C}]"),
     GRPC("name: i, from: [\"*\"], to: g, allow: [{grpc: a.B/D}]")},
    {"intentions[].deny[].methods[]", NULL, RULE("name: i, from: [\"*\"], to: a, deny: [{methods: [GET]}]"),
     RULE("name: i, from: [\"*\"], to: a, deny: [{methods: [PUT]}]")},
    {"intentions[].deny[].paths[]", NULL, RULE("name: i, from: [\"*\"], to: a, deny: [{paths: [/x]}]"),
     RULE("name: i, from: [\"*\"], to: a, deny: [{paths: [/y]}]")},
    {"intentions[].deny[].grpc", "grpc", GRPC("name: i, from: [\"*\"], to: g, deny: [{grpc: a.B/C}]"),
     GRPC("name: i, from: [\"*\"], to: g, deny: [{grpc: a.B/D}]")},
    {"egress[].name", "egress", EGRESS("name: e, from: [x], to: h.example, ports: [1]"),
     EGRESS("name: f, from: [x], to: h.example, ports: [1]")},
    {"egress[].from[]", "egress", EGRESS("name: e, from: [x], to: h.example, ports: [1]"),
     EGRESS("name: e, from: [y], to: h.example, ports: [1]")},
    {"egress[].to", "egress", EGRESS("name: e, from: [x], to: h.example, ports: [1]"),
     EGRESS("name: e, from: [x], to: i.example, ports: [1]")},
    {"egress[].ports[]", "egress", EGRESS("name: e, from: [x], to: h.example, ports: [1]"),
     EGRESS("name: e, from: [x], to: h.example, ports: [2]")},
    {"observability.log.level", "log", OBSERVE("log: {level: warn}"), OBSERVE("log: {level: error}")},
    {"observability.log.modules.*", "log", OBSERVE("log: {modules: {proxy: warn}}"),
     OBSERVE("log: {modules: {proxy: error}}")},
    {"observability.accessLog.format", "access-log", OBSERVE("accessLog: {format: text}"),
     OBSERVE("accessLog: {format: json}")},
    {"observability.accessLog.sample", "access-log", OBSERVE("accessLog: {sample: 2%}"),
     OBSERVE("accessLog: {sample: 3%}")},
    {"observability.accessLog.always[]", "access-log", OBSERVE("accessLog: {always: [errors]}"),
     OBSERVE("accessLog: {always: [denied]}")},
    {"observability.accessLog.redact[]", "access-log", OBSERVE("accessLog: {redact: [x]}"),
     OBSERVE("accessLog: {redact: [y]}")},
    {"observability.tracing.sample", "tracing", OBSERVE("tracing: {sample: 2%}"),
     OBSERVE("tracing: {sample: 3%}")},
    {"observability.tracing.propagate[]", "tracing", OBSERVE("tracing: {propagate: [b3]}"),
     OBSERVE("tracing: {propagate: [w3c]}")},
    {"observability.tracing.otlp", "tracing", OBSERVE("tracing: {otlp: \"http://127.0.0.1:4318\"}"),
     OBSERVE("tracing: {otlp: \"http://127.0.0.1:4319\"}")},
    {"observability.metrics.labels[]", "metrics", OBSERVE("metrics: {labels: [route]}"),
     OBSERVE("metrics: {labels: [method]}")},
    {"observability.metrics.maxSeries", "metrics", OBSERVE("metrics: {maxSeries: 200}"),
     OBSERVE("metrics: {maxSeries: 300}")},
    {"audit.record[]", "audit", "audit: {record: [policy]}\n", "audit: {record: [denied]}\n"},
    {"audit.keep", "audit", "audit: {keep: 1d}\n", "audit: {keep: 2d}\n"},
    {"audit.witnesses", "audit", "audit: {witnesses: 1}\n", "audit: {witnesses: 2}\n"},
    {"audit.every", "audit", "audit: {every: 1s}\n", "audit: {every: 2s}\n"},
    {"revoke[].key", "revoke", REVOKE("key: \"" KEY_A "\", reason: x, at: 2026-08-20T10:00:00Z"),
     REVOKE("key: \"" KEY_B "\", reason: x, at: 2026-08-20T10:00:00Z")},
    {"revoke[].reason", "revoke", REVOKE("key: \"" KEY_A "\", reason: x, at: 2026-08-20T10:00:00Z"),
     REVOKE("key: \"" KEY_A "\", reason: y, at: 2026-08-20T10:00:00Z")},
    {"revoke[].at", "revoke", REVOKE("key: \"" KEY_A "\", reason: x, at: 2026-08-20T10:00:00Z"),
     REVOKE("key: \"" KEY_A "\", reason: x, at: 2026-08-20T10:00:01Z")},
    {"tests[].from", NULL, TEST("from: web, to: a, request: GET /, expect: allow"),
     TEST("from: ops, to: a, request: GET /, expect: allow")},
    {"tests[].to", NULL, TEST("from: web, to: a, request: GET /, expect: allow"),
     TEST("from: web, to: b, request: GET /, expect: allow")},
    {"tests[].request", NULL, TEST("from: web, to: a, request: GET /, expect: allow"),
     TEST("from: web, to: a, request: PUT /, expect: allow")},
    {"tests[].expect", NULL, TEST("from: web, to: a, request: GET /, expect: allow"),
     TEST("from: web, to: a, request: GET /, expect: deny")},
    {"tests[].rule", NULL, TEST("from: web, to: a, request: GET /, expect: allow, rule: i"),
     TEST("from: web, to: a, request: GET /, expect: allow, rule: unmatched")},
    {"tests[].route", NULL, TEST("from: web, to: a, request: GET /, expect: allow, route: r"),
     TEST("from: web, to: b, request: GET /, expect: deny, route: r")},
    {"tests[].subset", NULL, TEST("from: web, to: a, request: GET /, expect: allow, subset: v1"),
     TEST("from: web, to: a, request: GET /, expect: allow, subset: v2")},
};

enum { SETTINGS = sizeof settings / sizeof *settings, ROWS = sizeof rows / sizeof *rows, LEAVES_MAX = 400 };
static char leaf[LEAVES_MAX][128];
static size_t leaf_count;
static bool is_used[ROWS];

static void visit(json_t *schema, const char *path)
{
    json_t *properties = json_object_get(schema, "properties"),
           *any = json_object_get(schema, "additionalProperties"), *items = json_object_get(schema, "items"),
           *one;
    const char *key;
    char below[128];
    json_object_foreach(properties, key, one)
    {
        snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
        visit(one, below);
    }
    if (json_is_object(any)) {
        snprintf(below, sizeof below, "%s.*", path);
        visit(any, below);
    }
    if (items) {
        snprintf(below, sizeof below, "%s[]", path);
        visit(items, below);
    }
    if (properties || json_is_object(any) || items)
        return;
    assert_true(leaf_count < LEAVES_MAX);
    snprintf(leaf[leaf_count++], sizeof *leaf, "%s", path);
}

/* Settings stand in three places. */
static const struct {
    const char *path, *before, *behind;
} places[] = {
    {"defaults.", "defaults: {", "}\nservices: {a: {protocol: http}}\n"},
    {"services.*.", "services: {a: {protocol: http, ", "}}\n"},
    {"services.*.routes[].", "services: {a: {protocol: http, routes: [{name: r, ", "}]}}\n"},
};

/* How often a row speaks of this leaf; *row: the last, its texts whole and behind HEAD. */
static int rows_of(const char *path, struct row *row, char text[2][1024])
{
    int found = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].path, path) == 0) {
            found++;
            is_used[i] = true;
            *row = rows[i];
            bool whole = strcmp(row->text, HEAD) == 0;
            snprintf(text[0], 1024, "%s%s", whole ? "" : HEAD, row->text);
            snprintf(text[1], 1024, "%s%s", whole ? "" : HEAD, row->other);
        }
    for (size_t p = 0; p < sizeof places / sizeof *places; p++)
        for (size_t i = 0, n = strlen(places[p].path); i < SETTINGS; i++)
            if (strncmp(path, places[p].path, n) == 0 && strcmp(path + n, settings[i].path) == 0) {
                found++;
                *row = settings[i];
                snprintf(text[0], 1024, "%s%s%s%s", HEAD, places[p].before, row->text, places[p].behind);
                snprintf(text[1], 1024, "%s%s%s%s", HEAD, places[p].before, row->other, places[p].behind);
            }
    return found;
}

static bool is_refused_by_name(const struct policy *p, const char *feature)
{
    struct bundle b = {.features = policy_features(p)};
    struct complaints c = {0};
    char name[64];
    snprintf(name, sizeof name, "needs feature `%s`", feature);
    bool refused = bundle_suits(&b, &c) == ERR_UNSUPPORTED && strstr(buf_str(&c.text), name);
    buf_fini(&c.text);
    return refused;
}

static void check_feature(const char *path, const struct row *row, const struct policy *p)
{
    if (!row->feature) {
        if (policy_features(p) != 0)
            fail_msg("%s needs a feature, and its row has none", path);
        return;
    }
    enum policy_feature f = feature_named(bytes_str(row->feature));
    assert_int_not_equal(f, FEATURE_NONE);
    if (!(policy_features(p) & feature_bit(f)))
        fail_msg("%s does not need %s: an agent without it would ignore the key", path, row->feature);
    if (feature_in_force(f) == is_refused_by_name(p, row->feature))
        fail_msg("%s: agents %s", path,
                 feature_in_force(f) ? "refuse what they can do" : "do not refuse it by name");
}

static size_t failing_tests(const struct policy *p)
{
    size_t run;
    return policy_test(p, &run, NULL);
}

/* Does anything but the features that are needed differ? */
static bool differs(const struct policy *p, const struct policy *other)
{
    struct diff *d = diff_new(other, p);
    bool found = false;
    assert_non_null(d);
    for (size_t i = 0; i < diff_count(d); i++)
        found |= diff_at(d, i)->kind != DIFF_FEATURE;
    diff_free(d);
    return found || failing_tests(p) != failing_tests(other);
}

static void check_leaf(const char *path)
{
    struct row row = {.path = NULL};
    static char text[2][1024];
    struct complaints c = {.file = path};
    struct policy *p = NULL, *other = NULL;
    int found = rows_of(path, &row, text);
    if (found != 1)
        fail_msg("%s: %d rows; say how it is used, and whether agents act on it", path, found);
    if (policy_compile(&p, bytes_str(text[0]), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    check_feature(path, &row, p);
    if (policy_compile(&other, bytes_str(text[1]), NULL) == ERR_OK && !differs(p, other))
        fail_msg("%s is read and ignored: another value makes no difference", path);
    policy_unref(p);
    policy_unref(other);
    buf_fini(&c.text);
}

static void each_key_is_in_force_or_refused_by_name(void **state)
{
    (void)state;
    json_t *schema = cli_policy_schema_json();
    visit(schema, "");
    for (size_t i = 0; i < leaf_count; i++)
        check_leaf(leaf[i]);
    assert_true(leaf_count > 180);
    for (size_t i = 0; i < ROWS; i++)
        if (!is_used[i])
            fail_msg("%s is no key any more", rows[i].path);
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_key_is_in_force_or_refused_by_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
