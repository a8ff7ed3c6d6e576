/* What may refuse a request or leave out an endpoint: limits of the head, breakers, rate limits, outliers. */
#include <assert.h>
#include <stdio.h>

#include "exchange/guard.h"

#include "exchange/inner.h"
#include "observe/log.h"
#include "traffic/load.h"
#include "policy/words.h"

static_assert((int)POLICY_HEADERS_READ == (int)HTTP_HEADERS_MAX &&
                  (int)POLICY_HEADER_BYTES_READ == (int)HTTP_HEAD_BYTES_MAX,
              "the compiler of policies warns of what the reader does not take");

static struct traffic_shared *shared_of(const struct exchange *x)
{
    return traffic_shared_of(x->traffic);
}

static void refuse(struct exchange *x, enum facts_over over, struct exchange_refusal *r)
{
    x->facts.over = over;
    r->policy_version = x->view->policy_version;
    exchange_refuse(x, r);
}

/* --- limits of the head -------------------------------------------------------------------- */

/* As HTTP/1.1 writes it: METHOD SP target SP HTTP/1.1 CRLF, the fields, CRLF. */
static size_t head_bytes(const struct http_head *h)
{
    size_t n = h->method.len + 1 + h->path.len + (h->query.at ? 1 + h->query.len : 0) + 11 + 2;
    n += h->authority.len ? 8 + h->authority.len : 0; /* Host: ... */
    for (size_t i = 0; i < h->header_count; i++)
        n += h->header[i].name.len + 2 + h->header[i].value.len + 2;
    return n;
}

bool guard_head(struct exchange *x)
{
    const struct policy_limits *limits = &x->settings->limits;
    struct exchange_refusal r;
    if (x->request.header_count > limits->headers)
        r = refusal_of(431, FLAG_UO, "limits.headers",
                       "more than the %llu headers that %s takes (limits.headers)",
                       (unsigned long long)limits->headers, x->service);
    else if (x->request.header_count * 4 + x->request.text.len + 64 >
                 limits->header_bytes && /* else it cannot be */
             head_bytes(&x->request) > limits->header_bytes)
        r = refusal_of(431, FLAG_UO, "limits.headerBytes",
                       "a head of more than the %llu bytes that %s takes (limits.headerBytes)",
                       (unsigned long long)limits->header_bytes, x->service);
    else
        return true;
    refuse(x, OVER_HEAD, &r);
    return false;
}

/* --- circuit breaker ----------------------------------------------------------------------- */

static bool enter(struct exchange *x, enum breaker_kind kind, const char *what)
{
    uint32_t max = breaker_max(&x->settings->circuit_breaker, kind);
    if (breaker_enter(x->breaker, kind, max)) {
        x->entered |= (uint8_t)(1u << kind);
        return true;
    }
    struct exchange_refusal r =
        refusal_of(503, FLAG_UO, breaker_key(kind), "%u %s %s from this agent already (%s)", max, what,
                   x->service, breaker_key(kind));
    refuse(x, OVER_BREAKER, &r);
    return false;
}

static void leave(struct exchange *x, enum breaker_kind kind)
{
    if (x->entered >> kind & 1)
        breaker_leave(x->breaker, kind);
    x->entered &= (uint8_t) ~(1u << kind);
}

bool guard_enter(struct exchange *x)
{
    bool is_connection = !exchange_is_http(x) || x->request.upgrade.len > 0;
    if (!shared_of(x))
        return true;
    x->breaker = breaker_of(shared_of(x)->breakers, bytes_str(x->service));
    return is_connection ? enter(x, BREAKER_CONNECTIONS, "connections are open to")
                         : enter(x, BREAKER_REQUESTS, "requests are under way to");
}

void guard_leave(struct exchange *x)
{
    for (int kind = 0; x->entered && kind < BREAKER_KINDS; kind++)
        leave(x, (enum breaker_kind)kind);
}

bool guard_wait(struct exchange *x)
{
    return !x->breaker || x->entered >> BREAKER_PENDING & 1 ||
           enter(x, BREAKER_PENDING, "requests wait for a connection to");
}

void guard_waited(struct exchange *x)
{
    leave(x, BREAKER_PENDING);
}

/* --- rate limits --------------------------------------------------------------------------- */

static struct limiter_ask limit_ask(const struct exchange *x, const struct policy_service *service,
                                    const struct policy_rate_limit *l, size_t place,
                                    const struct policy_request *rq)
{
    struct limiter_ask a = {.limit = l,
                            .service = bytes_str(policy_service_name(service)),
                            .place = (uint32_t)place,
                            .caller = bytes_str(x->caller)};
    (void)policy_key_value(&l->per, rq, &a.value); /* without it: the bucket of all that have none */
    return a;
}

static void per_text(const struct policy_key *per, char *out, size_t cap)
{
    static const char *const words[] = {[KEY_NONE] = "",
                                        [KEY_SOURCE] = " for each source",
                                        [KEY_HEADER] = " for each header ",
                                        [KEY_COOKIE] = " for each cookie "};
    snprintf(out, cap, "%s%.*s", words[per->kind], (int)per->name.len, (const char *)per->name.at);
}

static void refuse_rate(struct exchange *x, const struct policy_service *service,
                        const struct policy_rate_limit *l, size_t place, mono_us wait)
{
    char name[32], per[96];
    uint64_t seconds = (wait + 999999) / 1000000;
    snprintf(name, sizeof name, "rateLimits[%zu]", place);
    per_text(&l->per, per, sizeof per);
    struct exchange_refusal r = refusal_of(429, FLAG_RL, name, "%s of %s grants %llu%s%s, and %llu at once",
                                           name, policy_service_name(service), (unsigned long long)l->count,
                                           l->per_ms == 1000    ? "/s"
                                           : l->per_ms == 60000 ? "/m"
                                                                : "/h",
                                           per, (unsigned long long)l->burst);
    r.retry_after_s = seconds < REFUSAL_RETRY_AFTER_MAX_S ? (uint32_t)seconds : REFUSAL_RETRY_AFTER_MAX_S;
    refuse(x, OVER_RATE, &r);
}

/* All limits grant it, or none is charged. */
bool guard_rate(struct exchange *x, const struct policy_service *service)
{
    struct policy_header space[HTTP_HEADERS_MAX];
    const struct policy_rate_limit *l;
    size_t cursor = 0, given = 0;
    mono_us wait = 0;
    if (!shared_of(x) || !policy_has_rate_limits(service))
        return true;
    struct limiter *limiter = shared_of(x)->limiter;
    struct policy_request rq =
        decide_request(bytes_str(x->caller), exchange_is_http(x) ? &x->request : NULL, space);
    const struct policy_route *route = policy_route(service, &rq);
    while ((l = policy_rate_limit_next(service, route, &cursor))) {
        struct limiter_ask a = limit_ask(x, service, l, cursor - 1, &rq);
        if (l->scope == SCOPE_INSTANCE && (wait = limiter_take(limiter, &a, x->now_us)))
            break;
    }
    if (!l)
        return true;
    size_t refused_by = cursor - 1;
    const struct policy_rate_limit *before;
    while ((before = policy_rate_limit_next(service, route, &given)) && given - 1 < refused_by) {
        struct limiter_ask a = limit_ask(x, service, before, given - 1, &rq);
        if (before->scope == SCOPE_INSTANCE)
            limiter_give(limiter, &a, x->now_us);
    }
    refuse_rate(x, service, l, refused_by, wait);
    return false;
}

/* --- outliers ------------------------------------------------------------------------------ */

/* Of the service whose instance it is: another one may stand in for the service that was asked for. */
static const struct policy_outlier_detection *rules_of(const struct exchange *x)
{
    struct bytes name = bytes_str(x->endpoint->service);
    bool stands_in = !bytes_eq_str(name, policy_service_name(x->asked));
    const struct policy_service *s = stands_in ? policy_service(x->view->policy, name) : x->asked;
    return &policy_service_settings(s)->outlier_detection;
}

static const char *node_of(const struct exchange *x)
{
    return x->endpoint->node ? x->endpoint->node->name : "this host";
}

void guard_chosen(struct exchange *x)
{
    struct traffic_shared *s = shared_of(x);
    mono_ms now = exchange_now(x);
    x->tries.is_probe = s && outlier_standing(s->outliers, x->endpoint, now) == OUTLIER_DUE &&
                        outlier_probe(s->outliers, x->endpoint, now);
    if (x->tries.is_probe) /* nobody else is to send one */
        atomic_fetch_add(&s->ejections, 1);
}

static enum outlier_result result_of(const struct traffic_outcome *o)
{
    if (o->kind == TRY_CANCELLED)
        return OUTLIER_UNDECIDED;
    return o->kind == TRY_ANSWERED && o->status < 500 ? OUTLIER_SUCCESS : OUTLIER_FAILURE;
}

static void tell(struct exchange *x, const struct outlier_news *n)
{
    x->facts.has_outlier_news = true;
    if (n->what == OUTLIER_EJECTED) {
        x->facts.ejections[n->reason]++;
        struct buf time = {0};
        words_duration(&time, n->for_ms);
        log_warn("traffic", "%s on %s is ejected for %s: %s", x->endpoint->service, node_of(x),
                 buf_str(&time), outlier_reason_text(n->reason));
        buf_fini(&time);
    } else {
        x->facts.returns++;
        log_info("traffic", "%s on %s gets requests again: its probe succeeded", x->endpoint->service,
                 node_of(x));
    }
}

void guard_tried(struct exchange *x, const struct traffic_outcome *outcome)
{
    struct traffic_shared *s = shared_of(x);
    if (!s || !x->endpoint)
        return; /* at the far agent there is no choice */
    /* The hash is kept with the load: it costs more than all else that is noted of an answer that succeeded. */
    uint64_t key = x->tries.load ? x->tries.load->outlier_key : outlier_key(s->outliers, x->endpoint);
    struct outlier_news n = outlier_note(s->outliers, key, x->view, x->endpoint, rules_of(x),
                                         result_of(outcome), x->tries.is_probe, exchange_now(x));
    bool was_probe = x->tries.is_probe;
    x->tries.is_probe = false;
    if (n.what != OUTLIER_NO_NEWS)
        tell(x, &n);
    if (n.what != OUTLIER_NO_NEWS || was_probe)
        atomic_fetch_add(&s->ejections, 1);
}
