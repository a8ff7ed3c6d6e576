/* The settings that `defaults`, services and routes share: their tables, their defaults, and what must hold
 * between them once everything is inherited. */
#include "policy/compile.h"
#include "policy/words.h"

enum {
    COUNT_MAX = 1000000,
    HEADER_BYTES_MIN = 1024,
    HEADER_BYTES_MAX = 1024 * 1024,
    REPLAY_BODY_MAX = 16 * 1024 * 1024,
};
#define AT(field) KEY_AT(struct policy_settings, field)

static void read_retry_on(struct compile *k, const struct yaml_node *n, void *field);
static void read_prefer(struct compile *k, const struct yaml_node *n, void *field);
static void read_balance_key(struct compile *k, const struct yaml_node *n, void *field);
static void read_encryption(struct compile *k, const struct yaml_node *n, void *field);
static void write_retry_on(struct buf *out, const void *field);
static void write_prefer(struct buf *out, const void *field);
static void write_balance_key(struct buf *out, const void *field);
static void write_encryption(struct buf *out, const void *field);

static const char *const unmatched_words[] = {[UNMATCHED_DENY] = "deny", [UNMATCHED_AUDIT] = "audit", NULL};
static const char *const balance_words[] = {[BALANCE_PEAK_EWMA] = "peakEwma",
                                            [BALANCE_LEAST_REQUEST] = "leastRequest",
                                            [BALANCE_ROUND_ROBIN] = "roundRobin",
                                            [BALANCE_RANDOM] = "random",
                                            [BALANCE_RING_HASH] = "ringHash",
                                            [BALANCE_MAGLEV] = "maglev",
                                            NULL};

static const struct key load_balancer_keys[] = {
    {"policy", TYPE_WORD, AT(load_balancer.policy), .words = balance_words, .feature = FEATURE_NONE},
    {"key", TYPE_OWN, AT(load_balancer.key), .read = read_balance_key, .write = write_balance_key,
     .feature = FEATURE_NONE},
    {"decay", TYPE_DURATION, AT(load_balancer.decay_ms), .feature = FEATURE_NONE},
    {"slowStart", TYPE_DURATION, AT(load_balancer.slow_start_ms), .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key locality_keys[] = {
    {"prefer", TYPE_OWN, AT(locality), .read = read_prefer, .write = write_prefer, .feature = FEATURE_NONE},
    {"failoverBelow", TYPE_SHARE, AT(locality.failover_below_ppm), .max = 100, .feature = FEATURE_NONE},
    {"panicBelow", TYPE_SHARE, AT(locality.panic_below_ppm), .max = 100, .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key timeouts_keys[] = {
    {"connect", TYPE_DURATION, AT(timeouts.connect_ms), .feature = FEATURE_NONE},
    {"request", TYPE_DURATION, AT(timeouts.request_ms), .feature = FEATURE_NONE, .wants_requests = true},
    {"perTry", TYPE_DURATION, AT(timeouts.per_try_ms), .feature = FEATURE_TIMEOUT_TRY,
     .wants_requests = true},
    {"idle", TYPE_DURATION, AT(timeouts.idle_ms), .feature = FEATURE_TIMEOUT_IDLE},
    {"stream", TYPE_DURATION, AT(timeouts.stream_ms), .feature = FEATURE_TIMEOUT_STREAM},
    {.name = NULL}};
static const struct key backoff_keys[] = {
    {"base", TYPE_DURATION, AT(retry.backoff_base_ms), .feature = FEATURE_NONE},
    {"max", TYPE_DURATION, AT(retry.backoff_max_ms), .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key budget_keys[] = {
    {"percent", TYPE_NUMBER, AT(retry.budget_percent), .max = 100, .feature = FEATURE_NONE},
    {"interval", TYPE_DURATION, AT(retry.budget_interval_ms), .feature = FEATURE_NONE},
    {"minPerSecond", TYPE_NUMBER, AT(retry.budget_min_per_second), .max = COUNT_MAX, .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key retry_keys[] = {
    {"attempts", TYPE_NUMBER, AT(retry.attempts), .max = 10, .feature = FEATURE_NONE},
    {"on", TYPE_OWN, AT(retry), .read = read_retry_on, .write = write_retry_on, .feature = FEATURE_NONE},
    {"backoff", TYPE_MAP, .keys = backoff_keys, .feature = FEATURE_NONE},
    {"budget", TYPE_MAP, .keys = budget_keys, .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key breaker_keys[] = {
    {"maxConnections", TYPE_NUMBER, AT(circuit_breaker.max_connections), 1, COUNT_MAX,
     .feature = FEATURE_NONE},
    {"maxPending", TYPE_NUMBER, AT(circuit_breaker.max_pending), 1, COUNT_MAX, .feature = FEATURE_NONE},
    {"maxRequests", TYPE_NUMBER, AT(circuit_breaker.max_requests), 1, COUNT_MAX, .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key success_keys[] = {
    {"below", TYPE_SHARE, AT(outlier_detection.success_below_ppm), .max = 100, .feature = FEATURE_NONE},
    {"interval", TYPE_DURATION, AT(outlier_detection.success_interval_ms), .feature = FEATURE_NONE},
    {"minRequests", TYPE_NUMBER, AT(outlier_detection.success_min_requests), 1, COUNT_MAX,
     .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key ejection_keys[] = {
    {"base", TYPE_DURATION, AT(outlier_detection.ejection_base_ms), .feature = FEATURE_NONE},
    {"max", TYPE_DURATION, AT(outlier_detection.ejection_max_ms), .feature = FEATURE_NONE},
    {"maxPercent", TYPE_NUMBER, AT(outlier_detection.ejection_max_percent), .max = 100,
     .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key outlier_keys[] = {
    {"consecutive5xx", TYPE_NUMBER, AT(outlier_detection.consecutive_5xx), .max = COUNT_MAX,
     .feature = FEATURE_NONE},
    {"successRate", TYPE_MAP, .keys = success_keys, .feature = FEATURE_NONE},
    {"ejection", TYPE_MAP, .keys = ejection_keys, .feature = FEATURE_NONE},
    {.name = NULL}};
static const struct key limits_keys[] = {
    {"headerBytes", TYPE_SIZE, AT(limits.header_bytes), HEADER_BYTES_MIN, HEADER_BYTES_MAX,
     .feature = FEATURE_NONE},
    {"headers", TYPE_NUMBER, AT(limits.headers), 1, 1000, .feature = FEATURE_NONE},
    {"replayBody", TYPE_SIZE, AT(limits.replay_body_bytes), 0, REPLAY_BODY_MAX, .feature = FEATURE_NONE},
    {.name = NULL}};

const struct key compile_settings_keys[] = {
    {"encryption", TYPE_OWN, AT(encryption), .read = read_encryption, .write = write_encryption,
     .feature = FEATURE_NONE},
    {"unmatched", TYPE_WORD, AT(unmatched), .words = unmatched_words, .feature = FEATURE_NONE},
    {"loadBalancer", TYPE_MAP, .keys = load_balancer_keys, .feature = FEATURE_LOAD_BALANCER},
    {"locality", TYPE_MAP, .keys = locality_keys, .feature = FEATURE_LOCALITY},
    {"timeouts", TYPE_MAP, .keys = timeouts_keys, .feature = FEATURE_NONE},
    {"retry", TYPE_MAP, .keys = retry_keys, .feature = FEATURE_RETRY},
    {"circuitBreaker", TYPE_MAP, .keys = breaker_keys, .feature = FEATURE_CIRCUIT_BREAKER},
    {"outlierDetection", TYPE_MAP, .keys = outlier_keys, .feature = FEATURE_OUTLIER_DETECTION},
    {"limits", TYPE_MAP, .keys = limits_keys, .feature = FEATURE_LIMITS, .wants_requests = true},
    {"drain", TYPE_DURATION, AT(drain_ms), .feature = FEATURE_DRAIN},
    {.name = NULL}};

/* Those of them that a route may say. */
static const struct key route_keys[] = {
    {"timeouts", TYPE_MAP, .keys = timeouts_keys, .feature = FEATURE_NONE},
    {"retry", TYPE_MAP, .keys = retry_keys, .feature = FEATURE_RETRY},
    {.name = NULL}};

/* What holds where nobody says otherwise. */
static const struct policy_settings built_in = {
    .encryption = ENCRYPTION_STRICT,
    .unmatched = UNMATCHED_DENY,
    .load_balancer = {.policy = BALANCE_PEAK_EWMA, .decay_ms = 10000, .slow_start_ms = 30000},
    .locality = {.prefer_count = 2,
                 .prefer = {{(const uint8_t *)"zone", 4}, {(const uint8_t *)"region", 6}},
                 .failover_below_ppm = 700000,
                 .panic_below_ppm = 500000},
    .timeouts = {.connect_ms = 1000, .request_ms = 15000, .per_try_ms = 5000, .idle_ms = 3600000},
    .retry = {.attempts = 1,
              .on_connect_failure = true,
              .on_refused_stream = true,
              .on_status = {0, UINT64_C(7) << (102 - 64)}, /* 502, 503, 504 */
              .backoff_base_ms = 25,
              .backoff_max_ms = 250,
              .budget_percent = 20,
              .budget_interval_ms = 10000,
              .budget_min_per_second = 10},
    .circuit_breaker = {1024, 1024, 1024},
    .outlier_detection = {.consecutive_5xx = 5,
                          .success_below_ppm = 800000,
                          .success_interval_ms = 10000,
                          .success_min_requests = 20,
                          .ejection_base_ms = 30000,
                          .ejection_max_ms = 300000,
                          .ejection_max_percent = 50},
    .limits = {.header_bytes = 60 * 1024, .headers = 100, .replay_body_bytes = 64 * 1024},
    .drain_ms = 20000,
};

static const char *const encryption_words[] = {
    [ENCRYPTION_STRICT] = "strict", [ENCRYPTION_PERMISSIVE] = "permissive", [ENCRYPTION_OFF] = "off", NULL};

static void read_encryption(struct compile *k, const struct yaml_node *n, void *field)
{
    static const enum policy_feature needs[] = {[ENCRYPTION_STRICT] = FEATURE_NONE,
                                                [ENCRYPTION_PERMISSIVE] = FEATURE_ENCRYPTION_PERMISSIVE,
                                                [ENCRYPTION_OFF] = FEATURE_ENCRYPTION_OFF};
    size_t i;
    if (!yaml_one_of(n, encryption_words, &i, k->c))
        return;
    *(enum policy_encryption *)field = (enum policy_encryption)i;
    compile_need(k, needs[i], n);
}

static void write_encryption(struct buf *out, const void *field)
{
    buf_add_str(out, encryption_words[*(const enum policy_encryption *)field]);
}

static void read_balance_key(struct compile *k, const struct yaml_node *n, void *field)
{
    compile_sender(k, n, true, false, field);
}

static void write_balance_key(struct buf *out, const void *field)
{
    words_key(out, field);
}

static void read_prefer(struct compile *k, const struct yaml_node *n, void *field)
{
    struct policy_locality *l = field;
    struct bytes t;
    if (!yaml_is(n, YAML_LIST, "prefer", k->c))
        return;
    if (n->count > POLICY_PREFER_MAX) {
        complain_of(k->c, CODE_LIMIT, n, "`prefer` names at most %d labels", POLICY_PREFER_MAX);
        return;
    }
    l->prefer_count = 0;
    for (size_t i = 0; i < n->count; i++) {
        if (!yaml_string(n->child[i], "prefer", &t, k->c))
            continue;
        if (!label_is_sound(t))
            complain_of(k->c, CODE_NAME, n->child[i],
                        "no host has this label: 1 to %d letters, digits or -_./:+@", LABEL_MAX);
        else
            l->prefer[l->prefer_count++] = compile_copy(k, t);
    }
}

static void write_prefer(struct buf *out, const void *field)
{
    const struct policy_locality *l = field;
    buf_add_str(out, "[");
    for (size_t i = 0; i < l->prefer_count; i++)
        buf_addf(out, "%s%.*s", i ? ", " : "", (int)l->prefer[i].len, (const char *)l->prefer[i].at);
    buf_add_str(out, "]");
}

/* A status, 400 to 599; 0: none. */
static unsigned status_of(const char *text)
{
    unsigned v = 0;
    for (size_t i = 0; i < 3; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    return text[3] == 0 && v >= POLICY_RETRY_STATUS_FIRST &&
                   v < POLICY_RETRY_STATUS_FIRST + POLICY_RETRY_STATUSES
               ? v
               : 0;
}

static void read_retry_on(struct compile *k, const struct yaml_node *n, void *field)
{
    struct policy_retry *r = field, got = *r;
    if (!yaml_is(n, YAML_LIST, "on", k->c))
        return;
    got.on_connect_failure = got.on_refused_stream = false;
    memset(got.on_status, 0, sizeof got.on_status);
    for (size_t i = 0; i < n->count; i++) {
        const struct yaml_node *w = n->child[i];
        unsigned status = w->kind == YAML_SCALAR ? status_of(w->text) : 0, bit;
        if (status) {
            bit = status - POLICY_RETRY_STATUS_FIRST;
            got.on_status[bit / 64] |= UINT64_C(1) << bit % 64;
        } else if (w->kind == YAML_SCALAR && strcmp(w->text, "connect-failure") == 0) {
            got.on_connect_failure = true;
        } else if (w->kind == YAML_SCALAR && strcmp(w->text, "refused-stream") == 0) {
            got.on_refused_stream = true;
        } else {
            complain_of(k->c, CODE_VALUE, w,
                        "expected connect-failure, refused-stream or a status from 400 to 599; found `%.60s`",
                        w->kind == YAML_SCALAR ? w->text : "a map or list");
        }
    }
    *r = got;
}

static void write_retry_on(struct buf *out, const void *field)
{
    const struct policy_retry *r = field;
    const char *between = "";
    buf_add_str(out, "[");
    if (r->on_connect_failure) {
        buf_add_str(out, "connect-failure");
        between = ", ";
    }
    if (r->on_refused_stream) {
        buf_addf(out, "%srefused-stream", between);
        between = ", ";
    }
    for (unsigned i = 0; i < POLICY_RETRY_STATUSES; i++)
        if (policy_retry_on_status(r, POLICY_RETRY_STATUS_FIRST + i)) {
            buf_addf(out, "%s\"%u\"", between, POLICY_RETRY_STATUS_FIRST + i);
            between = ", ";
        }
    buf_add_str(out, "]");
}

/* Two that a level says together must fit; at another level each may be inherited, so both are looked at. */
static void refuse_above(struct compile *k, const struct yaml_node *at, const char *low, uint64_t a,
                         const char *high, uint64_t b)
{
    if (at && a > b)
        complain_of(k->c, CODE_CONFLICT, at, "`%s` is above `%s`; raise one or lower the other", low, high);
}

static void check_balance(struct compile *k, const struct yaml_node *at, bool is_tcp,
                          struct policy_load_balancer *b, bool says_key)
{
    bool hashes = b->policy == BALANCE_RING_HASH || b->policy == BALANCE_MAGLEV;
    if (hashes && b->key.kind == KEY_NONE)
        complain_of(k->c, CODE_MISSING, at,
                    "ringHash and maglev need a `key`: {header: x}, {cookie: x} or source");
    else if (hashes && is_tcp && b->key.kind != KEY_SOURCE)
        complain_of(k->c, CODE_PROTOCOL, at,
                    "a tcp service has no headers to balance by; give it a loadBalancer with `key: source`");
    else if (!hashes && says_key)
        complain_of(k->c, CODE_CONFLICT, at, "only ringHash and maglev have a `key`; remove it");
    if (!hashes)
        b->key = (struct policy_key){.kind = KEY_NONE};
}

static const struct yaml_node *inner(const struct yaml_node *n, const char *key)
{
    return n ? yaml_get(n, key) : NULL;
}

static void check_retry(struct compile *k, const struct yaml_node *n, const struct policy_retry *r)
{
    const struct yaml_node *retry = yaml_get(n, "retry"), *budget = inner(retry, "budget");
    refuse_above(k, inner(retry, "backoff"), "base", r->backoff_base_ms, "max", r->backoff_max_ms);
    if (budget && r->budget_interval_ms == 0)
        complain_of(k->c, CODE_VALUE, budget, "`interval` must be above 0s");
}

/* A limit that no request could ever meet. */
static void warn_of_reader(struct compile *k, const struct yaml_node *map, const struct policy_settings *s)
{
    const struct yaml_node *limits = yaml_get(map, "limits"), *bytes = inner(limits, "headerBytes"),
                           *headers = inner(limits, "headers");
    if (bytes && s->limits.header_bytes > POLICY_HEADER_BYTES_READ)
        complain_warning(
            k->c, CODE_NO_EFFECT, bytes,
            "agents of this version read heads of at most %d KiB; what is longer is 431 all the same",
            POLICY_HEADER_BYTES_READ / 1024);
    if (headers && s->limits.headers > POLICY_HEADERS_READ)
        complain_warning(k->c, CODE_NO_EFFECT, headers,
                         "agents of this version read at most %d headers; what has more is 431 all the same",
                         POLICY_HEADERS_READ);
}

/* Of what this level writes: a time of a try that never comes to pass, and one that nobody wrote and that comes to pass before
 * the one that somebody did. `try_said`: `perTry` is written here or above. */
static void warn_of_timeouts(struct compile *k, const struct yaml_node *map, const struct policy_timeouts *t,
                             bool try_said)
{
    const struct yaml_node *timeouts = yaml_get(map, "timeouts"), *try = inner(timeouts, "perTry"),
                           *request = inner(timeouts, "request");
    if (try && t->request_ms && t->per_try_ms >= t->request_ms)
        complain_warning(k->c, CODE_NO_EFFECT, try,
                         "`perTry` is not shorter than `request`, which ends every try before; lower it, or "
                         "say 0s for none");
    if (request && !try_said && t->per_try_ms && (!t->request_ms || t->request_ms > t->per_try_ms))
        complain_warning(k->c, CODE_NO_EFFECT, request,
                         "nobody wrote `perTry`, so a try without an answer ends after its default of %llus, "
                         "before `request`; write it too, 0s for none",
                         (unsigned long long)t->per_try_ms / 1000);
}

static bool says_try(const struct yaml_node *map)
{
    return inner(yaml_get(map, "timeouts"), "perTry");
}

void compile_settings(struct compile *k, const struct yaml_node *map, bool is_tcp, struct policy_settings *s)
{
    k->service_says_try = k->defaults_say_try || says_try(map);
    compile_some_keys(k, compile_settings_keys, map, is_tcp, s);
    const struct yaml_node *balance = yaml_get(map, "loadBalancer"), *locality = yaml_get(map, "locality"),
                           *outlier = yaml_get(map, "outlierDetection"),
                           *success = inner(outlier, "successRate");
    if (is_tcp) {
        s->timeouts.request_ms = s->timeouts.per_try_ms = 0;
        s->retry.on_refused_stream = false;
        memset(s->retry.on_status, 0, sizeof s->retry.on_status);
    }
    check_balance(k, balance ? balance : map, is_tcp, &s->load_balancer, inner(balance, "key"));
    check_retry(k, map, &s->retry);
    refuse_above(k, locality, "panicBelow", s->locality.panic_below_ppm, "failoverBelow",
                 s->locality.failover_below_ppm);
    refuse_above(k, inner(outlier, "ejection"), "base", s->outlier_detection.ejection_base_ms, "max",
                 s->outlier_detection.ejection_max_ms);
    warn_of_reader(k, map, s);
    warn_of_timeouts(k, map, &s->timeouts, k->service_says_try);
    if (success && s->outlier_detection.success_interval_ms == 0)
        complain_of(k->c, CODE_VALUE, success, "`interval` must be above 0s");
}

void compile_route_settings(struct compile *k, const struct policy_service *s, struct policy_route *r,
                            const struct yaml_node *n)
{
    struct policy_settings all = s->settings;
    compile_some_keys(k, route_keys, n, s->protocol == POLICY_TCP, &all);
    check_retry(k, n, &all.retry);
    warn_of_timeouts(k, n, &all.timeouts, k->service_says_try || says_try(n));
    r->timeouts = all.timeouts;
    r->retry = all.retry;
}

void compile_defaults(struct compile *k, const struct yaml_node *n)
{
    const char *names[sizeof compile_settings_keys / sizeof *compile_settings_keys];
    k->defaults = built_in;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        names[i] = compile_settings_keys[i].name;
    if (n && compile_map(k, n, names))
        compile_settings(k, n, false, &k->defaults);
    k->defaults_say_try = n && says_try(n);
}
