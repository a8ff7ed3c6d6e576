/* The keys of the language as structs: what is written in a policy, with every default filled in. Each field
 * is named as its key is, with the unit at its end; times are in ms unless the name says otherwise, shares in
 * millionths (ppm: 1 % = 10000). What each key means is in docs/policy.md. */
#ifndef POLICY_SETTINGS_H
#define POLICY_SETTINGS_H

#include "base/bytes.h"
#include "base/clock.h"
#include "trust/trust.h"

enum {
    POLICY_PREFER_MAX = 4,           /* labels in `locality.prefer` */
    POLICY_PPM = 1000000,            /* all of it */
    POLICY_RETRY_STATUS_FIRST = 400, /* statuses that may be retried: 400 to 599 */
    POLICY_RETRY_STATUSES = 200,
    /* What the readers of agents of this version take at most, whatever `limits` say. */
    POLICY_HEADERS_READ = 100,
    POLICY_HEADER_BYTES_READ = 60 * 1024,
};

struct policy_service;

/* -- services and routes ---------------------------------------------------------------------------- */

enum policy_encryption { ENCRYPTION_STRICT, ENCRYPTION_PERMISSIVE, ENCRYPTION_OFF };
enum policy_unmatched { UNMATCHED_DENY, UNMATCHED_AUDIT };

/* Something of a request that stands for its sender. */
enum policy_key_kind { KEY_NONE, KEY_SOURCE, KEY_HEADER, KEY_COOKIE };
struct policy_key {
    enum policy_key_kind kind;
    struct bytes name; /* HEADER (in lower case), COOKIE */
};

enum policy_balance {
    BALANCE_PEAK_EWMA,
    BALANCE_LEAST_REQUEST,
    BALANCE_ROUND_ROBIN,
    BALANCE_RANDOM,
    BALANCE_RING_HASH,
    BALANCE_MAGLEV
};
struct policy_load_balancer {
    enum policy_balance policy;
    struct policy_key key; /* RING_HASH and MAGLEV have one, the others KEY_NONE */
    uint64_t decay_ms, slow_start_ms;
};
struct policy_locality {
    size_t prefer_count;
    struct bytes
        prefer[POLICY_PREFER_MAX]; /* labels that the caller's host and the endpoint share, nearest first */
    uint32_t failover_below_ppm, panic_below_ppm; /* healthy endpoints */
};
struct policy_timeouts { /* 0 = off */
    uint64_t connect_ms;
    uint64_t request_ms; /* from the whole request to the whole answer, all tries together; 0 on tcp */
    uint64_t per_try_ms; /* 0 on tcp */
    uint64_t idle_ms;    /* nothing in either direction */
    uint64_t stream_ms;  /* the whole life of a stream or tcp connection */
};
struct policy_retry {
    uint32_t attempts; /* besides the first try */
    bool on_connect_failure, on_refused_stream;
    uint64_t on_status[(POLICY_RETRY_STATUSES + 63) / 64]; /* policy_retry_on_status() */
    uint64_t backoff_base_ms, backoff_max_ms;
    uint32_t budget_percent; /* of the requests of the last `budget_interval_ms`... */
    uint64_t budget_interval_ms;
    uint32_t budget_min_per_second; /* ...or this many, whichever is more */
};
static inline bool policy_retry_on_status(const struct policy_retry *r, unsigned status)
{
    unsigned i = status - POLICY_RETRY_STATUS_FIRST;
    return i < POLICY_RETRY_STATUSES && (r->on_status[i / 64] >> i % 64 & 1);
}
struct policy_circuit_breaker { /* of one caller's agent to one service */
    uint32_t max_connections, max_pending, max_requests;
};
struct policy_outlier_detection {
    uint32_t consecutive_5xx;   /* 0 = off */
    uint32_t success_below_ppm; /* 0 = off */
    uint64_t success_interval_ms;
    uint32_t success_min_requests;
    uint64_t ejection_base_ms, ejection_max_ms;
    uint32_t ejection_max_percent;
};
struct policy_limits {
    uint64_t header_bytes, headers, replay_body_bytes;
};
struct policy_settings {
    enum policy_encryption encryption;
    enum policy_unmatched unmatched;
    struct policy_load_balancer load_balancer;
    struct policy_locality locality;
    struct policy_timeouts timeouts;
    struct policy_retry retry;
    struct policy_circuit_breaker circuit_breaker;
    struct policy_outlier_detection outlier_detection;
    struct policy_limits limits;
    uint64_t drain_ms;
};

struct policy_name_value {
    struct bytes name, value; /* name in lower case */
};
struct policy_header_edit { /* first `remove`, then `set` */
    size_t set_count, remove_count;
    const struct policy_name_value *set;
    const struct bytes *remove;
};

enum policy_scope { SCOPE_INSTANCE, SCOPE_MESH };
enum policy_partitioned { PARTITIONED_SHARE, PARTITIONED_FULL };
/* GCRA: `count` in `per_ms`, and up to `burst` at once. */
struct policy_rate_limit {
    enum policy_scope scope;
    struct policy_key per; /* KEY_NONE: all requests together */
    uint64_t count, per_ms, burst;
    const char *route;                      /* NULL: every route */
    enum policy_partitioned if_partitioned; /* MESH: what an agent grants that sees only part of the mesh */
};

/* -- the mesh --------------------------------------------------------------------------------------- */

struct policy_fault {
    const char *name;
    const struct policy_service *to;
    uint32_t abort_ppm, abort_status; /* 0: none. On tcp the connection is closed, and there is no status. */
    uint32_t delay_ppm;
    uint64_t delay_ms;
    wall_s until;
};
struct policy_egress {
    const char *name;
    size_t from_count, port_count;
    const struct bytes *from; /* callers, sorted; one "*": everybody */
    struct bytes host;        /* begins with "*." : every name below */
    const uint16_t *port;     /* sorted */
};

enum policy_log_level { POLICY_LOG_DEBUG, POLICY_LOG_INFO, POLICY_LOG_WARN, POLICY_LOG_ERROR };
struct policy_log_module {
    const char *name;
    enum policy_log_level level;
};
enum policy_log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };
enum { ACCESS_ERRORS = 1, ACCESS_DENIED = 2, ACCESS_AUDITED = 4 }; /* of `always` */
enum { PROPAGATE_W3C = 1, PROPAGATE_B3 = 2 };
enum { METRIC_ROUTE = 1, METRIC_METHOD = 2, METRIC_SUBSET = 4, METRIC_CALLER = 8 };
struct policy_observability {
    bool is_log_given; /* else the agents' own configuration decides */
    enum policy_log_level log_level;
    size_t log_module_count;
    const struct policy_log_module *log_module;
    bool is_access_log_given;
    enum policy_log_format access_format;
    uint32_t access_sample_ppm;
    unsigned access_always; /* bits ACCESS_x */
    size_t access_redact_count;
    const struct bytes *access_redact; /* headers, in lower case */
    bool is_tracing_given;
    uint32_t tracing_sample_ppm;
    unsigned tracing_propagate; /* bits PROPAGATE_x */
    const char *tracing_otlp;   /* URL; NULL: nowhere */
    bool is_metrics_given;
    unsigned metric_labels; /* bits METRIC_x */
    uint64_t metric_series_max;
};

enum { AUDIT_POLICY = 1, AUDIT_IDENTITY = 2, AUDIT_MEMBERSHIP = 4, AUDIT_DENIED = 8, AUDIT_ADMIN = 16 };
struct policy_audit {
    bool is_given;
    unsigned record; /* bits AUDIT_x */
    uint64_t keep_ms, every_ms;
    uint32_t witnesses;
};

struct policy_step {           /* of a rollout: the agents with a label, or a share of all */
    struct bytes label, value; /* empty: by share */
    uint32_t share_ppm;
};
struct policy_rollout {
    size_t step_count; /* 0: to all at once */
    const struct policy_step *step;
    uint64_t pause_ms; /* after each step */
    /* Halt when the new version is worse than the old by more than this; UINT32_MAX: not looked at. Errors
     * and denials are shares of the requests, in points; p99 is relative to the old one. */
    uint32_t halt_error_ppm, halt_p99_ppm, halt_denied_ppm;
    uint64_t halt_min_requests; /* seen on each side before anything is compared */
};

#endif
