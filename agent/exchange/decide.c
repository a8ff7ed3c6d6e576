#include <stdio.h>
#include <string.h>

#include "exchange/decide.h"

static struct bytes without_port(struct bytes authority)
{
    for (size_t i = authority.len; i > 0; i--) {
        uint8_t c = authority.at[i - 1];
        if (c == ':')
            return bytes_of(authority.at, i - 1);
        if (c < '0' || c > '9')
            break;
    }
    return authority;
}

/* 0: none is named. A canonical authority does not name port 80. */
static unsigned port_in(struct bytes authority)
{
    struct bytes name = without_port(authority);
    unsigned port = 0;
    for (size_t i = name.len + 1; i < authority.len; i++)
        port = port * 10 + (authority.at[i] - '0');
    return port;
}

static bool cut_suffix(struct bytes *name, const char *suffix)
{
    size_t n = strlen(suffix);
    if (name->len <= n + 1 || memcmp(name->at + name->len - n, suffix, n) != 0 ||
        name->at[name->len - n - 1] != '.')
        return false;
    name->len -= n + 1;
    return true;
}

const struct policy_service *decide_service(const struct policy *p, const char *mesh, struct bytes authority)
{
    struct bytes name = without_port(authority);
    const struct policy_service *s = policy_service(p, name);
    if (s || !(cut_suffix(&name, mesh) || cut_suffix(&name, "mesh")))
        return s;
    return policy_service(p, name);
}

struct policy_request decide_request(struct bytes caller, const struct http_head *h,
                                     struct policy_header *space)
{
    struct policy_request rq = {.caller = caller};
    if (!h)
        return rq;
    for (size_t i = 0; i < h->header_count; i++)
        space[i] = (struct policy_header){h->header[i].name, h->header[i].value};
    rq.method = h->method;
    rq.path = h->path;
    rq.query = h->query;
    rq.header = space;
    rq.header_count = h->header_count;
    return rq;
}

static const char *protocol_name(uint8_t protocol)
{
    return protocol == PROTOCOL_HTTP ? "http" : "tcp";
}

static struct exchange_refusal denied(const struct view *v, const char *rule, struct bytes caller,
                                      struct bytes service)
{
    struct exchange_refusal r =
        refusal_of(403, FLAG_UAEX, rule, "denied by rule %s of policy %llu: %.*s may not call %.*s so", rule,
                   (unsigned long long)v->policy_version, caller.len ? (int)caller.len : 17,
                   caller.len ? (const char *)caller.at : "an unknown caller", (int)service.len,
                   (const char *)service.at);
    r.policy_version = v->policy_version;
    return r;
}

static struct exchange_refusal no_policy(void)
{
    return refusal_of(403, FLAG_UAEX, "no-policy", "no policy is in force here yet: everything is denied");
}

bool decide_vouched(const struct exchange_ask *ask)
{
    return ask->caller.len == 0 || (ask->vouch && credential_allows(ask->vouch, ask->caller));
}

static void begin(struct decision *d)
{
    memset(d, 0, offsetof(struct decision, refusal));
    d->allowed = true;
}

static bool refuse(struct decision *d, struct exchange_refusal r)
{
    d->allowed = false;
    d->refusal = r;
    return false;
}

static bool judge(struct decision *d, const struct view *v, const struct policy_request *rq)
{
    d->verdict = policy_decide(v->policy, d->service, rq);
    if (!d->verdict.allowed)
        refuse(d, denied(v, d->verdict.rule, rq->caller, bytes_str(policy_service_name(d->service))));
    return d->verdict.allowed;
}

static const struct policy_service *asked_service(const struct view *v, const struct exchange_ask *ask)
{
    return ask->protocol == PROTOCOL_HTTP ? decide_service(v->policy, v->mesh, ask->service)
                                          : policy_service(v->policy, ask->service);
}

static struct exchange_refusal unknown_service(const struct exchange_ask *ask)
{
    return refusal_of(404, FLAG_NR, NULL, "no service of this mesh is called %.*s", (int)ask->service.len,
                      (const char *)ask->service.at);
}

/* The service and its route, before any dice. False: d->refusal says why not. */
static bool find_route(struct decision *d, const struct view *v, const struct exchange_ask *ask,
                       const struct policy_request *rq)
{
    begin(d);
    if (!v->policy)
        return refuse(d, no_policy());
    const struct policy_service *asked = asked_service(v, ask);
    if (!asked)
        return refuse(d, unknown_service(ask));
    d->asked = d->service = asked;
    if ((uint8_t)policy_service_protocol(asked) != ask->protocol)
        return refuse(d, refusal_of(404, FLAG_NR, NULL, "%s is not an %s service", policy_service_name(asked),
                                    protocol_name(ask->protocol)));
    unsigned port = ask->protocol == PROTOCOL_HTTP ? port_in(ask->service) : 0;
    unsigned declared = policy_service_port(asked);
    if (port && declared && port != declared)
        return refuse(d, refusal_of(404, FLAG_NR, NULL, "%s is at port %u, not %u",
                                    policy_service_name(asked), declared, port));
    d->route = policy_route(asked, rq);
    return d->route ||
           refuse(d, refusal_of(404, FLAG_NR, NULL, "no route of %s matches", policy_service_name(asked)));
}

void decide_near(struct decision *d, const struct view *v, const struct exchange_ask *ask,
                 const struct http_head *h)
{
    struct policy_header space[HTTP_HEADERS_MAX];
    struct policy_request rq = decide_request(ask->caller, h, space);
    if (!find_route(d, v, ask, &rq))
        return;
    const struct policy_target *t = policy_route_choose(d->route, &rq, ask->dice);
    d->service = t->service;
    d->subset = t->subset;
    if (judge(d, v, &rq) && policy_service_has_faults(d->asked))
        d->fault = policy_fault_of(d->asked, &rq, ask->wall_now);
}

static bool identify(struct decision *d, const struct view *v, const struct exchange_ask *ask)
{
    if (decide_vouched(ask))
        return true;
    struct exchange_refusal r =
        refusal_of(403, FLAG_UAEX, "identity", "the calling host's credential does not speak for %.*s",
                   (int)ask->caller.len, (const char *)ask->caller.at);
    r.policy_version = v->policy_version;
    return refuse(d, r);
}

/* The service that `s` stands in for; `s` itself where our own policy knows nothing of it, or lets this caller not ask for the other:
 * else it could choose by whose route its request is edited. */
static const struct policy_service *replaced(const struct policy *p, const struct policy_service *s,
                                             struct bytes asked, const struct policy_request *rq)
{
    const struct policy_service *other = asked.len ? policy_service(p, asked) : NULL;
    return other && policy_fails_over_to(other, s) && policy_decide(p, other, rq).allowed ? other : s;
}

void decide_far(struct decision *d, const struct view *v, const struct exchange_ask *ask,
                const struct http_head *h)
{
    struct policy_header space[HTTP_HEADERS_MAX];
    struct policy_request rq = decide_request(ask->caller, h, space);
    begin(d);
    if (!v->policy) {
        refuse(d, no_policy());
        return;
    }
    if (!identify(d, v, ask))
        return;
    d->service = policy_service(v->policy, ask->service);
    if (!d->service) {
        refuse(d, denied(v, "unmatched", ask->caller, ask->service));
        return;
    }
    d->asked = replaced(v->policy, d->service, ask->asked, &rq);
    if (judge(d, v, &rq) && policy_far_wants_route(d->asked))
        d->route = policy_route(d->asked, &rq);
}

void decide_again(struct decision *d, const struct view *v, struct bytes caller, struct bytes service,
                  const struct http_head *h)
{
    struct policy_header space[HTTP_HEADERS_MAX];
    struct policy_request rq = decide_request(caller, h, space);
    begin(d);
    d->service = v->policy ? policy_service(v->policy, service) : NULL;
    if (d->service)
        judge(d, v, &rq);
    else
        refuse(d, v->policy ? denied(v, "unmatched", caller, service) : no_policy());
}

void decide_by_policy(struct decision *d, const struct view *v, const struct exchange_ask *ask,
                      const struct http_head *h)
{
    struct policy_header space[HTTP_HEADERS_MAX];
    struct policy_request rq = decide_request(ask->caller, h, space);
    decide_near(d, v, ask, h);
    if (!d->allowed && d->service && !d->route)
        d->verdict = policy_decide(v->policy, d->service, &rq);
}

void decide_both(struct decision *d, const struct view *v, const struct exchange_ask *ask,
                 const struct http_head *h)
{
    decide_by_policy(d, v, ask, h);
    if (d->allowed)
        identify(d, v, ask);
}

struct exchange_refusal decide_no_endpoint(const char *service, const struct policy_subset *subset,
                                           enum traffic_why why)
{
    enum exchange_flag flag = exchange_flag_of(bytes_str(traffic_why_flag(why)));
    const char *left = why == TRAFFIC_ALL_TRIED ? "other " : why == TRAFFIC_NO_SUBSET ? "" : "healthy ";
    if (!subset)
        return refusal_of(503, flag, NULL, "no %sendpoint of %s: %s", left, service, traffic_why_text(why));
    return refusal_of(503, flag, NULL, "no %sendpoint of %s (subset %s): %s", left, service, subset->name,
                      traffic_why_text(why));
}

bool decide_key(const struct policy_key *key, struct bytes caller, const struct http_head *h, uint64_t *hash)
{
    struct policy_header space[HTTP_HEADERS_MAX];
    struct policy_request rq = decide_request(caller, h, space);
    struct bytes value;
    if (!policy_key_value(key, &rq, &value))
        return false;
    *hash = policy_key_hash(value);
    return true;
}

uint64_t decide_idle_ms(const struct view *v, struct bytes service, const struct http_head *h)
{
    struct policy_header space[HTTP_HEADERS_MAX];
    struct policy_request rq = decide_request((struct bytes){0}, h, space);
    const struct policy_service *s = v->policy ? policy_service(v->policy, service) : NULL;
    const struct policy_route *r = s ? policy_route(s, &rq) : NULL;
    if (r)
        return r->timeouts.idle_ms;
    return s ? policy_service_settings(s)->timeouts.idle_ms : 0;
}

bool decide_idempotent(const struct http_head *request)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (bytes_eq_str(request->method, methods[i]))
            return true;
    return false;
}

bool decide_replayable(const struct http_head *request)
{
    bool has_body = request->body == HTTP_BODY_CHUNKED ||
                    (request->body == HTTP_BODY_LENGTH && request->content_length > 0);
    return !has_body && request->upgrade.len == 0 && decide_idempotent(request);
}
