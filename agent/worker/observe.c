/* Facts of ended exchanges into counters and, at level debug, a log line. Series are looked up once and kept.
 */
#include "exchange/retry.h"
#include "observe/log.h"
#include "worker/internal.h"

enum {
    CLASSES = 6,      /* 0: no status (TCP), 1xx..5xx */
    LINES_PER_S = 20, /* per worker, of each kind; what is beyond is counted only */
};

struct meter {
    struct list_node node;
    char service[SERVICE_NAME_MAX + 1];
    const char *role; /* role_of() */
    metric_value *requests[CLASSES][FLAG_COUNT];
    metric_value *retries[RETRY_CAUSES][RETRY_OUTCOMES];
    metric_value *bytes_up, *bytes_down;
    struct metric_histogram *duration;
};

/* Copies are counted apart: what becomes of them is nobody's error. */
static const char *role_of(const struct facts *f)
{
    static const char *const names[2][2] = {
        [EXCHANGE_NEAR] = {"near", "near-mirror"}, [EXCHANGE_FAR] = {"far", "far-mirror"}};
    return names[f->role][f->mirrored];
}
static const char *const class_names[CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

void observe_init(struct worker *w)
{
    struct metrics *m = w->metrics;
    for (size_t i = 0; i < METER_BUCKETS; i++)
        list_init(&w->meter[i]);
    w->shed_fronts = metric_counter(m, "starling_connections_shed_total",
                                    "Client connections closed at the worker's limit.", NULL, 0);
    w->shed_links = metric_counter(m, "starling_links_shed_total",
                                   "Connections of agents closed at the worker's limit.", NULL, 0);
    w->links_up = metric_gauge(m, "starling_links", "Links that are up, both directions.", NULL, 0);
    w->links_lost = metric_counter(m, "starling_links_lost_total",
                                   "Links that ended without an authenticated close.", NULL, 0);
    w->active = metric_gauge(m, "starling_requests_active",
                             "Requests and TCP connections that are under way.", NULL, 0);
    w->link_failures =
        metric_counter(m, "starling_link_failures_total", "Links that could not be made.", NULL, 0);
    w->bad_requests =
        metric_counter(m, "starling_bad_requests_total", "Requests that were not sound HTTP.", NULL, 0);
}

static struct meter *meter_new(struct worker *w, struct bytes service, const char *role)
{
    struct meter *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    memcpy(t->service, service.at, service.len);
    t->role = role;
    struct metric_label labels[] = {{"service", bytes_str(t->service)}, {"role", bytes_str(role)}};
    t->bytes_up = metric_counter(w->metrics, "starling_request_bytes_total",
                                 "Bytes of request bodies and of TCP from clients.", labels, 2);
    t->bytes_down = metric_counter(w->metrics, "starling_response_bytes_total",
                                   "Bytes of response bodies and of TCP to clients.", labels, 2);
    t->duration = metric_histogram(w->metrics, "starling_request_duration_seconds",
                                   "From a request's head to the end of its answer; of TCP: the connection.",
                                   labels, 2);
    return t;
}

static struct meter *meter_find(struct worker *w, const struct facts *f)
{
    const char *role = role_of(f);
    uint32_t h = f->role;
    for (const char *c = f->service; *c; c++)
        h = h * 31 + (uint8_t)*c;
    struct list *bucket = &w->meter[h % METER_BUCKETS];
    list_each (struct meter, t, bucket, node)
        if (t->role == role && strcmp(t->service, f->service) == 0)
            return t;
    if (w->meter_count >= METERS_MAX) {
        if (!w->meter_overflow)
            w->meter_overflow = meter_new(w, bytes_str("_overflow"), role);
        return w->meter_overflow;
    }
    struct meter *t = meter_new(w, bytes_str(f->service), role);
    if (t) {
        list_append(bucket, &t->node);
        w->meter_count++;
    }
    return t;
}

static metric_value *requests_of(struct worker *w, struct meter *t, const struct facts *f)
{
    unsigned class = f->status / 100 < CLASSES ? f->status / 100 : 0;
    metric_value **v = &t->requests[class][f->flag];
    if (!*v) {
        struct metric_label labels[] = {{"service", bytes_str(t->service)},
                                        {"role", bytes_str(t->role)},
                                        {"status", bytes_str(class_names[class])},
                                        {"flag", bytes_str(exchange_flag_text(f->flag))}};
        *v = metric_counter(w->metrics, "starling_requests_total", "Requests and TCP connections that ended.",
                            labels, 4);
    }
    return *v;
}

static metric_value *retries_of(struct worker *w, struct meter *t, enum retry_cause cause,
                                enum retry_outcome outcome)
{
    metric_value **v = &t->retries[cause][outcome];
    if (!*v) {
        struct metric_label labels[] = {{"service", bytes_str(t->service)},
                                        {"cause", bytes_str(retry_cause_text(cause))},
                                        {"outcome", bytes_str(retry_outcome_text(outcome))}};
        *v = metric_counter(w->metrics, "starling_retries_total",
                            "Retries that were made, or wanted and not made: then outcome says why not.",
                            labels, 3);
    }
    return *v;
}

static void count_retries(struct worker *w, struct meter *t, const struct facts *f)
{
    for (int i = 0; i < RETRY_CAUSES; i++)
        if (f->retries[i])
            metric_add(retries_of(w, t, (enum retry_cause)i, RETRY_MADE), f->retries[i]);
    if (f->wish != RETRY_UNWANTED)
        metric_add(retries_of(w, t, f->wish_cause, f->wish), 1);
}

static void log_access(const struct facts *f)
{
    log_debug("access",
              "%s %s -> %s status %u flag %s rule %s route %s policy %llu up %llu down %llu in %llu us tries "
              "%u%s%s%s%s%s",
              role_of(f), f->caller[0] ? f->caller : "(unknown)", f->service[0] ? f->service : "(unknown)",
              f->status, exchange_flag_text(f->flag), f->rule[0] ? f->rule : "-",
              f->route[0] ? f->route : "-", (unsigned long long)f->policy.version,
              (unsigned long long)f->bytes_up, (unsigned long long)f->bytes_down,
              (unsigned long long)(f->ended_us - f->began_us), facts_retries(f) + 1,
              f->resent ? " resent" : "", f->cut ? " cut" : "", f->local ? " local" : "",
              f->failover ? " failover" : "", f->panic ? " panic" : "");
}

static bool may_log(struct log_pace *p, const struct facts *f)
{
    if (p->second != f->ended_us / 1000000)
        *p = (struct log_pace){.second = f->ended_us / 1000000};
    return p->lines++ < LINES_PER_S;
}

/* A verdict that only audit made: what an operator looks at before deny takes the place of audit. */
static void record_audit(struct worker *w, const struct facts *f)
{
    const char *decision = f->audit_allowed ? "allow" : "deny";
    struct metric_label labels[] = {{"service", bytes_str(f->service)},
                                    {"role", bytes_str(role_of(f))},
                                    {"rule", bytes_str(f->audit_rule)},
                                    {"decision", bytes_str(decision)}};
    metric_add(
        metric_counter(w->metrics, "starling_audited_total",
                       "Requests and TCP connections that a rule under audit would have decided otherwise.",
                       labels, 4),
        1);
    if (may_log(&w->audit_pace, f))
        log_info("audit", "%s %s -> %s was %s; without audit, rule %s of policy %llu would have %s it",
                 role_of(f), f->caller[0] ? f->caller : "(unknown)", f->service,
                 f->audit_allowed ? "allowed" : "denied", f->audit_rule,
                 (unsigned long long)f->policy.version, f->audit_allowed ? "denied" : "allowed");
}

/* What an overlay decided: who acted, and on what, is what is asked afterwards. */
static void record_overlay(struct worker *w, const struct facts *f)
{
    const char *decision = f->overlay_allowed ? "allow" : "deny";
    struct metric_label labels[] = {{"service", bytes_str(f->service)},
                                    {"role", bytes_str(role_of(f))},
                                    {"rule", bytes_str(f->rule)},
                                    {"decision", bytes_str(decision)}};
    metric_add(metric_counter(w->metrics, "starling_overlay_requests_total",
                              "Requests and TCP connections that a break-glass overlay decided.", labels, 4),
               1);
    if (may_log(&w->overlay_pace, f))
        log_info("audit", "%s %s -> %s by overlay: %s, rule %s, status %u, flag %s", role_of(f),
                 f->caller[0] ? f->caller : "(unknown)", f->service, decision, f->rule, f->status,
                 exchange_flag_text(f->flag));
}

/* An http client is told why; a tcp client sees its connection closed, and only the log can say it. */
static bool is_tcp_refused(const struct facts *f)
{
    static const bool refuses[FLAG_COUNT] = {
        [FLAG_UAEX] = true, [FLAG_RL] = true, [FLAG_UO] = true,  [FLAG_NR] = true,
        [FLAG_UH] = true,   [FLAG_UF] = true, [FLAG_URX] = true, [FLAG_FI] = true};
    return f->protocol == PROTOCOL_TCP && refuses[f->flag];
}

static void log_refused(struct worker *w, const struct facts *f)
{
    /* With the others it is the rule that had let it pass. */
    bool is_fault = f->flag == FLAG_FI,
         by_rule = f->flag == FLAG_UAEX || f->flag == FLAG_RL || is_fault || f->over != OVER_NOTHING;
    if (may_log(&w->refused_pace, f))
        log_info("access", "%s %s -> %s: a tcp connection was closed, %s (flag %s)%s%s, policy %llu%s",
                 role_of(f), f->caller[0] ? f->caller : "(unknown)", f->service[0] ? f->service : "(unknown)",
                 exchange_flag_words(f->flag), exchange_flag_text(f->flag), by_rule ? " by " : "",
                 is_fault  ? f->fault
                 : by_rule ? f->rule
                           : "",
                 (unsigned long long)f->policy.version, f->refused_afar ? ", says the instance's agent" : "");
}

static void count_for(struct worker *w, const char *name, const char *help, const struct facts *f,
                      const char *key, const char *value, uint64_t n)
{
    struct metric_label labels[] = {{"service", bytes_str(f->service)}, {key, bytes_str(value)}};
    metric_add(metric_counter(w->metrics, name, help, labels, 2), n);
}

static void record_over(struct worker *w, const struct facts *f)
{
    static const char *const metric[][2] = {
        [OVER_HEAD] = {"starling_head_refused_total", "Requests whose head was over a limit of the policy."},
        [OVER_BREAKER] = {"starling_breaker_refused_total",
                          "Requests and TCP connections that a circuit breaker refused."},
        [OVER_RATE] = {"starling_rate_limited_total", "Requests and TCP connections over a rate limit."}};
    count_for(w, metric[f->over][0], metric[f->over][1], f, "limit", f->rule, 1);
}

static void record_outliers(struct worker *w, const struct facts *f)
{
    static const char *const reason[] = {[OUTLIER_CONSECUTIVE] = "consecutive",
                                         [OUTLIER_SUCCESS_RATE] = "success_rate",
                                         [OUTLIER_PROBE_FAILED] = "probe"};
    for (int i = 0; i < OUTLIER_REASONS; i++)
        if (f->ejections[i])
            count_for(w, "starling_outlier_ejections_total", "Instances that this agent stopped using.", f,
                      "reason", reason[i], f->ejections[i]);
    if (f->returns)
        count_for(w, "starling_outlier_returns_total", "Ejected instances whose probe succeeded.", f, "role",
                  role_of(f), f->returns);
}

/* Seldom: each look-up of a series is one by its labels. */
static void count_unusual(struct worker *w, const struct facts *f)
{
    struct metric_label labels[] = {{"service", bytes_str(f->service)}};
    if (f->panic)
        metric_add(
            metric_counter(
                w->metrics, "starling_panic_requests_total",
                "Requests and TCP connections that chose among all instances, for too few were healthy.",
                labels, 1),
            1);
    if (f->failover)
        metric_add(metric_counter(w->metrics, "starling_failover_requests_total",
                                  "Requests and TCP connections that went to a service of `failover`.",
                                  labels, 1),
                   1);
}

/* Workers' gauges are added up: the first that panics adds one, the last that no longer does takes one away. */
static void record_panic(struct worker *w, const struct traffic_news *n)
{
    struct metric_label labels[] = {{"service", bytes_str(n->service)}, {"subset", bytes_str(n->subset)}};
    metric_add(metric_gauge(w->metrics, "starling_panic",
                            "1: fewer instances than panicBelow are healthy, and all are used.", labels, 2),
               n->panics ? 1 : UINT64_MAX);
    if (n->panics)
        log_warn("traffic",
                 "panic: %u of %u instances of %s%s%s are healthy, fewer than panicBelow: all are used",
                 n->healthy, n->total, n->service, n->subset[0] ? ", subset " : "", n->subset);
    else
        log_info("traffic", "panic is over: %u of %u instances of %s%s%s are healthy", n->healthy, n->total,
                 n->service, n->subset[0] ? ", subset " : "", n->subset);
}

void observe_panics(struct worker *w)
{
    struct traffic_news n;
    while (traffic_has_news(w->traffic) && traffic_news_poll(w->traffic, &n))
        if (n.is_first)
            record_panic(w, &n);
}

static void record_fault(struct worker *w, const struct facts *f)
{
    const struct {
        bool happened;
        const char *kind;
    } kinds[] = {{f->delayed, "delay"}, {f->aborted, "abort"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct metric_label labels[] = {{"fault", bytes_str(f->fault)}, {"kind", bytes_str(kinds[i].kind)}};
        if (kinds[i].happened)
            metric_add(metric_counter(w->metrics, "starling_faults_total",
                                      "Requests and TCP connections that a fault of the policy disturbed.",
                                      labels, 2),
                       1);
    }
}

void observe_facts(struct worker *w, const struct facts *f)
{
    tally_facts(&w->tally, f);
    struct meter *t = meter_find(w, f);
    if (t) {
        metric_add(requests_of(w, t, f), 1);
        count_retries(w, t, f);
        metric_add(t->bytes_up, f->bytes_up);
        metric_add(t->bytes_down, f->bytes_down);
        metric_observe_us(t->duration, f->ended_us - f->began_us);
    }
    if (f->over != OVER_NOTHING)
        record_over(w, f);
    if (f->has_outlier_news)
        record_outliers(w, f);
    if (f->panic || f->failover)
        count_unusual(w, f);
    if (f->fault[0])
        record_fault(w, f);
    if (f->audit_rule[0])
        record_audit(w, f);
    if (f->by_overlay)
        record_overlay(w, f);
    if (is_tcp_refused(f))
        log_refused(w, f);
    if (log_level_get() >= LOG_DEBUG)
        log_access(f);
}

void observe_fini(struct worker *w)
{
    for (size_t i = 0; i < METER_BUCKETS; i++)
        list_each_safe (struct meter, t, &w->meter[i], node)
            free(t);
    free(w->meter_overflow);
}
