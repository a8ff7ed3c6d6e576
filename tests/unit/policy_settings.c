/* Every setting: its default, what is written instead, where it may stand, how it is inherited, and the feature that it
 * needs. */
#include "policy_world.h"

static const struct policy_settings *settings(const struct policy *p, const char *service)
{
    return policy_service_settings(service_of(p, service));
}

static void nothing_written_is_the_documented_default_and_needs_nothing(void **state)
{
    (void)state;
    struct policy *p = policy_of("services: {a: {protocol: http}, t: {protocol: tcp}}\n");
    const struct policy_settings *s = settings(p, "a");
    assert_int_equal(policy_features(p), 0);
    assert_int_equal(s->encryption, ENCRYPTION_STRICT);
    assert_int_equal(s->unmatched, UNMATCHED_DENY);
    assert_int_equal(s->load_balancer.policy, BALANCE_PEAK_EWMA);
    assert_int_equal(s->load_balancer.decay_ms, 10000);
    assert_int_equal(s->load_balancer.slow_start_ms, 30000);
    assert_int_equal(s->locality.prefer_count, 2);
    assert_bytes(s->locality.prefer[0], "zone");
    assert_bytes(s->locality.prefer[1], "region");
    assert_int_equal(s->locality.failover_below_ppm, 700000);
    assert_int_equal(s->locality.panic_below_ppm, 500000);
    assert_int_equal(s->timeouts.connect_ms, 1000);
    assert_int_equal(s->timeouts.request_ms, 15000);
    assert_int_equal(s->timeouts.per_try_ms, 5000);
    assert_int_equal(s->timeouts.idle_ms, 3600000);
    assert_int_equal(s->timeouts.stream_ms, 0);
    assert_int_equal(s->retry.attempts, 1);
    assert_true(s->retry.on_connect_failure && s->retry.on_refused_stream);
    for (unsigned status = 0; status < 1000; status++)
        assert_int_equal(policy_retry_on_status(&s->retry, status), status >= 502 && status <= 504);
    assert_int_equal(s->retry.backoff_base_ms, 25);
    assert_int_equal(s->retry.backoff_max_ms, 250);
    assert_int_equal(s->retry.budget_percent, 20);
    assert_int_equal(s->retry.budget_interval_ms, 10000);
    assert_int_equal(s->retry.budget_min_per_second, 10);
    assert_int_equal(s->circuit_breaker.max_connections, 1024);
    assert_int_equal(s->circuit_breaker.max_pending, 1024);
    assert_int_equal(s->circuit_breaker.max_requests, 1024);
    assert_int_equal(s->outlier_detection.consecutive_5xx, 5);
    assert_int_equal(s->outlier_detection.success_below_ppm, 800000);
    assert_int_equal(s->outlier_detection.success_interval_ms, 10000);
    assert_int_equal(s->outlier_detection.success_min_requests, 20);
    assert_int_equal(s->outlier_detection.ejection_base_ms, 30000);
    assert_int_equal(s->outlier_detection.ejection_max_ms, 300000);
    assert_int_equal(s->outlier_detection.ejection_max_percent, 50);
    assert_int_equal(s->limits.header_bytes, 60 * 1024);
    assert_int_equal(s->limits.headers, 100);
    assert_int_equal(s->limits.replay_body_bytes, 64 * 1024);
    assert_int_equal(s->drain_ms, 20000);
    const struct policy_settings *t = settings(p, "t");
    assert_int_equal(t->timeouts.request_ms + t->timeouts.per_try_ms, 0);
    assert_false(policy_retry_on_status(&t->retry, 503) || t->retry.on_refused_stream);
    assert_true(t->retry.on_connect_failure);
    policy_unref(p);
}

/* One row for each key: written in `defaults` it reaches the service; in the service too; and it needs its feature. `want` is
 * the field's value afterwards, `field` where it is. */
#define FIELD(name) offsetof(struct policy_settings, name), sizeof(((struct policy_settings *)0)->name)
static const struct {
    const char *text;
    size_t at, width;
    uint64_t want;
    enum policy_feature feature;
} keys[] = {
    {"encryption: strict", FIELD(encryption), ENCRYPTION_STRICT, FEATURE_NONE},
    {"encryption: permissive", FIELD(encryption), ENCRYPTION_PERMISSIVE, FEATURE_ENCRYPTION_PERMISSIVE},
    {"encryption: off", FIELD(encryption), ENCRYPTION_OFF, FEATURE_ENCRYPTION_OFF},
    {"unmatched: audit", FIELD(unmatched), UNMATCHED_AUDIT, FEATURE_NONE},
    {"loadBalancer: {policy: peakEwma}", FIELD(load_balancer.policy), BALANCE_PEAK_EWMA,
     FEATURE_LOAD_BALANCER},
    {"loadBalancer: {policy: leastRequest}", FIELD(load_balancer.policy), BALANCE_LEAST_REQUEST,
     FEATURE_LOAD_BALANCER},
    {"loadBalancer: {policy: roundRobin}", FIELD(load_balancer.policy), BALANCE_ROUND_ROBIN,
     FEATURE_LOAD_BALANCER},
    {"loadBalancer: {policy: random}", FIELD(load_balancer.policy), BALANCE_RANDOM, FEATURE_LOAD_BALANCER},
    {"loadBalancer: {policy: ringHash, key: source}", FIELD(load_balancer.policy), BALANCE_RING_HASH,
     FEATURE_LOAD_BALANCER},
    {"loadBalancer: {policy: maglev, key: {header: X-User}}", FIELD(load_balancer.policy), BALANCE_MAGLEV,
     FEATURE_LOAD_BALANCER},
    {"loadBalancer: {policy: maglev, key: {cookie: u}}", FIELD(load_balancer.key.kind), KEY_COOKIE,
     FEATURE_LOAD_BALANCER},
    {"loadBalancer: {decay: 3s}", FIELD(load_balancer.decay_ms), 3000, FEATURE_LOAD_BALANCER},
    {"loadBalancer: {slowStart: 0s}", FIELD(load_balancer.slow_start_ms), 0, FEATURE_LOAD_BALANCER},
    {"locality: {prefer: [rack, zone, region]}", FIELD(locality.prefer_count), 3, FEATURE_LOCALITY},
    {"locality: {prefer: []}", FIELD(locality.prefer_count), 0, FEATURE_LOCALITY},
    {"locality: {failoverBelow: 90.5%}", FIELD(locality.failover_below_ppm), 905000, FEATURE_LOCALITY},
    {"locality: {panicBelow: 0%}", FIELD(locality.panic_below_ppm), 0, FEATURE_LOCALITY},
    {"timeouts: {connect: 2s}", FIELD(timeouts.connect_ms), 2000, FEATURE_NONE},
    {"timeouts: {request: 0s}", FIELD(timeouts.request_ms), 0, FEATURE_NONE},
    {"timeouts: {perTry: 250ms}", FIELD(timeouts.per_try_ms), 250, FEATURE_TIMEOUT_TRY},
    {"timeouts: {idle: 1h30m}", FIELD(timeouts.idle_ms), 5400000, FEATURE_TIMEOUT_IDLE},
    {"timeouts: {stream: 8h}", FIELD(timeouts.stream_ms), 28800000, FEATURE_TIMEOUT_STREAM},
    {"retry: {attempts: 0}", FIELD(retry.attempts), 0, FEATURE_RETRY},
    {"retry: {on: [connect-failure, \"429\"]}", FIELD(retry.on_status[0]), UINT64_C(1) << 29, FEATURE_RETRY},
    {"retry: {on: [refused-stream]}", FIELD(retry.on_connect_failure), 0, FEATURE_RETRY},
    {"retry: {on: []}", FIELD(retry.on_refused_stream), 0, FEATURE_RETRY},
    {"retry: {backoff: {base: 5ms}}", FIELD(retry.backoff_base_ms), 5, FEATURE_RETRY},
    {"retry: {backoff: {max: 2s}}", FIELD(retry.backoff_max_ms), 2000, FEATURE_RETRY},
    {"retry: {budget: {percent: 5}}", FIELD(retry.budget_percent), 5, FEATURE_RETRY},
    {"retry: {budget: {interval: 20s}}", FIELD(retry.budget_interval_ms), 20000, FEATURE_RETRY},
    {"retry: {budget: {minPerSecond: 0}}", FIELD(retry.budget_min_per_second), 0, FEATURE_RETRY},
    {"circuitBreaker: {maxConnections: 1}", FIELD(circuit_breaker.max_connections), 1,
     FEATURE_CIRCUIT_BREAKER},
    {"circuitBreaker: {maxPending: 2}", FIELD(circuit_breaker.max_pending), 2, FEATURE_CIRCUIT_BREAKER},
    {"circuitBreaker: {maxRequests: 3}", FIELD(circuit_breaker.max_requests), 3, FEATURE_CIRCUIT_BREAKER},
    {"outlierDetection: {consecutive5xx: 0}", FIELD(outlier_detection.consecutive_5xx), 0,
     FEATURE_OUTLIER_DETECTION},
    {"outlierDetection: {successRate: {below: 50%}}", FIELD(outlier_detection.success_below_ppm), 500000,
     FEATURE_OUTLIER_DETECTION},
    {"outlierDetection: {successRate: {interval: 5s}}", FIELD(outlier_detection.success_interval_ms), 5000,
     FEATURE_OUTLIER_DETECTION},
    {"outlierDetection: {successRate: {minRequests: 7}}", FIELD(outlier_detection.success_min_requests), 7,
     FEATURE_OUTLIER_DETECTION},
    {"outlierDetection: {ejection: {base: 1s}}", FIELD(outlier_detection.ejection_base_ms), 1000,
     FEATURE_OUTLIER_DETECTION},
    {"outlierDetection: {ejection: {max: 10m}}", FIELD(outlier_detection.ejection_max_ms), 600000,
     FEATURE_OUTLIER_DETECTION},
    {"outlierDetection: {ejection: {maxPercent: 10}}", FIELD(outlier_detection.ejection_max_percent), 10,
     FEATURE_OUTLIER_DETECTION},
    {"limits: {headerBytes: 8KiB}", FIELD(limits.header_bytes), 8192, FEATURE_LIMITS},
    {"limits: {headers: 50}", FIELD(limits.headers), 50, FEATURE_LIMITS},
    {"limits: {replayBody: 1MiB}", FIELD(limits.replay_body_bytes), 1048576, FEATURE_LIMITS},
    {"drain: 1m", FIELD(drain_ms), 60000, FEATURE_DRAIN},
};

static uint64_t field(const struct policy_settings *s, size_t at, size_t width)
{
    const uint8_t *p = (const uint8_t *)s + at;
    uint64_t v = 0; /* little-endian machines only, as everywhere else where structs are looked into */
    memcpy(&v, p, width);
    return v;
}

static void each_key_is_visible_from_defaults_and_from_the_service(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct buf far = {0}, near = {0};
        buf_addf(&far, "defaults: {%s}\nservices: {a: {protocol: http}}\n", keys[i].text);
        buf_addf(&near, "services: {a: {protocol: http, %s}, b: {protocol: http}}\n", keys[i].text);
        struct policy *p = policy_of(buf_str(&far)), *q = policy_of(buf_str(&near)),
                      *plain = policy_of("services: {b: {protocol: http}}\n");
        assert_int_equal(field(settings(p, "a"), keys[i].at, keys[i].width), keys[i].want);
        assert_int_equal(field(settings(q, "a"), keys[i].at, keys[i].width), keys[i].want);
        assert_int_equal(field(settings(q, "b"), keys[i].at, keys[i].width),
                         field(settings(plain, "b"), keys[i].at, keys[i].width));
        assert_int_equal(policy_features(p), feature_bit(keys[i].feature));
        assert_int_equal(policy_features(q), feature_bit(keys[i].feature));
        policy_unref(p);
        policy_unref(q);
        policy_unref(plain);
        buf_fini(&far);
        buf_fini(&near);
    }
}

static void what_is_not_said_again_is_inherited_key_by_key(void **state)
{
    (void)state;
    struct policy *p = policy_of(
        "defaults: {retry: {attempts: 3, backoff: {base: 50ms}}, timeouts: {connect: 2s, idle: 9s},\n"
        "  loadBalancer: {policy: ringHash, key: {header: X-A}}}\n"
        "services:\n"
        "  a:\n"
        "    protocol: http\n"
        "    retry: {on: [\"503\"]}\n"
        "    timeouts: {request: 4s}\n"
        "    loadBalancer: {key: {cookie: c}}\n"
        "    routes:\n"
        "      - {name: r, retry: {attempts: 0, budget: {percent: 1}}, timeouts: {perTry: 1s}}\n"
        "  b: {protocol: http, loadBalancer: {policy: random}}\n");
    const struct policy_settings *a = settings(p, "a"), *b = settings(p, "b");
    assert_int_equal(a->retry.attempts, 3);
    assert_int_equal(a->retry.backoff_base_ms, 50);
    assert_int_equal(a->retry.backoff_max_ms, 250);
    assert_true(policy_retry_on_status(&a->retry, 503) && !policy_retry_on_status(&a->retry, 502));
    assert_false(a->retry.on_connect_failure); /* a list is said whole */
    assert_int_equal(a->timeouts.connect_ms, 2000);
    assert_int_equal(a->timeouts.request_ms, 4000);
    assert_int_equal(a->load_balancer.policy, BALANCE_RING_HASH);
    assert_int_equal(a->load_balancer.key.kind, KEY_COOKIE);
    assert_int_equal(b->load_balancer.policy, BALANCE_RANDOM);
    assert_int_equal(b->load_balancer.key.kind, KEY_NONE);
    const struct policy_route *r = route_of(service_of(p, "a"), 0);
    assert_int_equal(r->retry.attempts, 0);
    assert_int_equal(r->retry.budget_percent, 1);
    assert_int_equal(r->retry.budget_interval_ms, 10000);
    assert_true(policy_retry_on_status(&r->retry, 503));
    assert_int_equal(r->timeouts.per_try_ms, 1000);
    assert_int_equal(r->timeouts.request_ms, 4000);
    assert_int_equal(r->timeouts.idle_ms, 9000);
    policy_unref(p);
}

static void a_tcp_service_takes_over_what_makes_sense_for_it(void **state)
{
    (void)state;
    struct policy *p = policy_of("defaults: {timeouts: {request: 4s, perTry: 1s, idle: 5s}}\n"
                                 "services: {t: {protocol: tcp, loadBalancer: {policy: maglev, key: source}, "
                                 "retry: {attempts: 2}, circuitBreaker: {maxConnections: 9}}}\n");
    const struct policy_settings *t = settings(p, "t");
    assert_int_equal(t->timeouts.request_ms, 0);
    assert_int_equal(t->timeouts.idle_ms, 5000);
    assert_int_equal(t->load_balancer.key.kind, KEY_SOURCE);
    assert_int_equal(t->retry.attempts, 2);
    assert_int_equal(route_of(service_of(p, "t"), 0)->retry.attempts, 2);
    policy_unref(p);
    expect_complaint("services: {t: {protocol: tcp, limits: {headers: 3}}}\n",
                     "p.yaml:4:39: a tcp service has no requests; remove `limits`\n");
    expect_complaint("services: {t: {protocol: tcp, timeouts: {perTry: 3s}}}\n",
                     "p.yaml:4:50: a tcp service has no requests; remove `perTry`\n");
    expect_complaint(
        "defaults: {loadBalancer: {policy: maglev, key: {header: x}}}\nservices: {t: {protocol: tcp}}\n",
        "p.yaml:5:15: a tcp service has no headers to balance by; give it a loadBalancer with `key: "
        "source`\n");
}

static void settings_that_cannot_both_be_are_errors(void **state)
{
    (void)state;
    expect_complaint("defaults: {loadBalancer: {policy: ringHash}}\n",
                     "p.yaml:4:26: ringHash and maglev need a `key`: {header: x}, {cookie: x} or source\n");
    expect_complaint("defaults: {loadBalancer: {policy: random, key: source}}\n",
                     "p.yaml:4:26: only ringHash and maglev have a `key`; remove it\n");
    expect_complaint("defaults: {retry: {backoff: {base: 1s}}}\n",
                     "p.yaml:4:29: `base` is above `max`; raise one or lower the other\n");
    expect_complaint("defaults: {locality: {panicBelow: 80%}}\n",
                     "p.yaml:4:22: `panicBelow` is above `failoverBelow`; raise one or lower the other\n");
    expect_complaint("defaults: {outlierDetection: {ejection: {base: 1h}}}\n",
                     "p.yaml:4:41: `base` is above `max`; raise one or lower the other\n");
    expect_complaint("defaults: {retry: {budget: {interval: 0s}}}\n",
                     "p.yaml:4:28: `interval` must be above 0s\n");
    expect_said("defaults: {limits: {headerBytes: 60KiB, headers: 100}}\n", true, "");
    expect_said(
        "defaults: {limits: {headerBytes: 61KiB, headers: 101}}\n", true,
        "p.yaml:4:34: warning: agents of this version read heads of at most 60 KiB; what is longer is 431 "
        "all the same\n"
        "p.yaml:4:50: warning: agents of this version read at most 100 headers; what has more is 431 all "
        "the same\n");
}

#define TRY_TOO_LONG                                                                                         \
    "warning: `perTry` is not shorter than `request`, which ends every try before; lower it, or say 0s for " \
    "none\n"
#define TRY_UNSAID                                                                                           \
    "warning: nobody wrote `perTry`, so a try without an answer ends after its default of 5s, before "       \
    "`request`; write it too, 0s for none\n"

static void the_time_of_a_try_and_that_of_a_request_are_told_where_one_hides_the_other(void **state)
{
    static const struct {
        const char *defaults, *service, *route, *said; /* each a map of timeouts */
    } cases[] = {
        {"", "", "", ""},
        {"", "", "{request: 1s, perTry: 2s}", "p.yaml:6:54: " TRY_TOO_LONG},
        {"", "{request: 3s, perTry: 3s}", "", "p.yaml:5:82: " TRY_TOO_LONG},
        {"{perTry: 15s}", "", "", "p.yaml:4:31: " TRY_TOO_LONG}, /* than the default of request */
        {"", "{request: 3s, perTry: 2999ms}", "", ""},
        {"", "{request: 0s, perTry: 1h}", "", ""},
        {"", "{request: 3s}", "", ""},
        {"{perTry: 8s}", "{request: 3s}", "", ""}, /* it holds for others */
        {"", "{request: 5s}", "", ""},
        {"", "{request: 5001ms}", "", "p.yaml:5:70: " TRY_UNSAID},
        {"{request: 1m}", "", "", "p.yaml:4:32: " TRY_UNSAID},
        {"", "", "{request: 0s}", "p.yaml:6:42: " TRY_UNSAID},
        {"", "{request: 1m, perTry: 0s}", "{request: 2m}", ""},
        {"{perTry: 5s}", "{request: 1m}", "{request: 2m}", ""},
        {"", "{perTry: 5s}", "{request: 2m}", ""},
        {"", "", "{request: 2m, perTry: 5s}", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf text = {0};
        const char *d = cases[i].defaults, *s = cases[i].service, *r = cases[i].route;
        buf_addf(&text,
                 "defaults: {timeouts: %s}\nservices: {a: {protocol: http, unmatched: audit, timeouts: %s,\n",
                 *d ? d : "{}", *s ? s : "{}");
        buf_addf(&text,
                 "  routes: [{name: r, timeouts: %s}]}, b: {protocol: http, unmatched: audit}, db: "
                 "{protocol: tcp, unmatched: audit}}\n",
                 *r ? r : "{}");
        expect_said(buf_str(&text), true, cases[i].said);
        buf_fini(&text);
    }
}

static void values_out_of_their_bounds_say_what_is_expected(void **state)
{
    (void)state;
    expect_complaint("defaults: {retry: {attempts: 11}}\n",
                     "p.yaml:4:30: expected a whole number from 0 to 10; found `11`\n");
    expect_complaint("defaults: {retry: {budget: {percent: 20%}}}\n",
                     "p.yaml:4:38: expected a whole number from 0 to 100, without %; found `20%`\n");
    expect_complaint(
        "defaults: {retry: {on: [\"302\"]}}\n",
        "p.yaml:4:25: expected connect-failure, refused-stream or a status from 400 to 599; found "
        "`302`\n");
    expect_complaint("defaults: {locality: {failoverBelow: 101%}}\n",
                     "p.yaml:4:38: expected a percentage from 0% to 100%, such as 5%; found `101%`\n");
    expect_complaint("defaults: {locality: {failoverBelow: 70}}\n",
                     "p.yaml:4:38: expected a percentage from 0% to 100%, such as 5%; found `70`\n");
    expect_complaint(
        "defaults: {limits: {headerBytes: 60KB}}\n",
        "p.yaml:4:34: expected a size in B, KiB or MiB, such as 64KiB, from 1024B to 1048576B; found "
        "`60KB`\n");
    expect_complaint("defaults: {circuitBreaker: {maxPending: 0}}\n",
                     "p.yaml:4:41: expected a whole number from 1 to 1000000; found `0`\n");
    expect_complaint(
        "defaults: {loadBalancer: {policy: ewma}}\n",
        "p.yaml:4:35: expected peakEwma, leastRequest, roundRobin, random, ringHash or maglev; found "
        "`ewma`\n");
    expect_complaint(
        "defaults: {loadBalancer: {policy: maglev, key: {header: Host}}}\n",
        "p.yaml:4:26: ringHash and maglev need a `key`: {header: x}, {cookie: x} or source\n"
        "p.yaml:4:57: `host` is not forwarded as a header, so nothing here can come of it; remove it\n");
    expect_complaint("defaults: {retry: {atempts: 1}}\n",
                     "p.yaml:4:20: unknown key `atempts`; did you mean `attempts`?\n");
    expect_complaint(
        "defaults: {drain: {}}\n",
        "p.yaml:4:19: expected a duration such as 250ms, 15s or 1h30m (0s for none); found a map\n");
    expect_complaint("defaults: {outlierDetection: 3}\n",
                     "p.yaml:4:30: expected a map ({key: value}); found a single value\n");
}

static void a_feature_is_told_at_the_first_place_that_needs_it(void **state)
{
    (void)state;
    struct complaints c = {.file = "p.yaml"};
    struct policy *p =
        policy_of("services:\n  a: {protocol: http, drain: 1s}\n  b: {protocol: grpc, drain: 2s}\n");
    assert_int_equal(policy_features(p), feature_bit(FEATURE_DRAIN) | feature_bit(FEATURE_GRPC));
    policy_warn_of_features(p, policy_features(p), &c);
    assert_string_equal(
        buf_str(&c.text),
        "p.yaml:5:23: warning: this needs feature `drain`, which agents of this version do not have; "
        "they keep the policy before\n"
        "p.yaml:6:17: warning: this needs feature `grpc`, which agents of this version do not have; "
        "they keep the policy before\n");
    assert_int_equal(c.warnings, 2);
    assert_int_equal(c.count, 0);
    buf_fini(&c.text);
    c = (struct complaints){0};
    policy_warn_of_features(p, 0, &c);
    assert_int_equal(c.warnings, 0);
    policy_unref(p);
}

static void features_are_in_rising_order_and_known_by_name(void **state)
{
    (void)state;
    for (int f = 0; f < POLICY_FEATURES; f++) {
        const char *name = feature_name((enum policy_feature)f);
        assert_int_equal(feature_named(bytes_str(name)), f);
        assert_true(strlen(name) <= 32); /* BUNDLE_FEATURE_MAX */
        if (f > 0)
            assert_true(strcmp(feature_name((enum policy_feature)(f - 1)), name) < 0);
        assert_int_equal(features_lacking(feature_bit((enum policy_feature)f)) == 0,
                         feature_in_force((enum policy_feature)f));
    }
    assert_int_equal(feature_named(bytes_str("teleport")), FEATURE_NONE);
    assert_int_equal(feature_bit(FEATURE_NONE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_written_is_the_documented_default_and_needs_nothing),
        cmocka_unit_test(each_key_is_visible_from_defaults_and_from_the_service),
        cmocka_unit_test(what_is_not_said_again_is_inherited_key_by_key),
        cmocka_unit_test(a_tcp_service_takes_over_what_makes_sense_for_it),
        cmocka_unit_test(settings_that_cannot_both_be_are_errors),
        cmocka_unit_test(the_time_of_a_try_and_that_of_a_request_are_told_where_one_hides_the_other),
        cmocka_unit_test(values_out_of_their_bounds_say_what_is_expected),
        cmocka_unit_test(a_feature_is_told_at_the_first_place_that_needs_it),
        cmocka_unit_test(features_are_in_rising_order_and_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
