#include "admin/why.h"

#include <string.h>

#include "admin/explain.h"
#include "admin/instances.h"
#include "exchange/fault.h"
#include "http/h1.h"

json_t *json_of_text(struct bytes b)
{
    return json_stringn((const char *)b.at, b.len);
}

json_t *json_of_address(const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    return json_string(addr_text(a, text));
}

json_t *json_of_labels(struct label_list l)
{
    json_t *o = json_object();
    for (size_t i = 0; i < l.count; i++) {
        char key[LABEL_MAX + 1];
        memcpy(key, l.at[i].key.at, l.at[i].key.len);
        key[l.at[i].key.len] = 0;
        json_object_set_new(o, key, json_of_text(l.at[i].value));
    }
    return o;
}

/* -- the question ------------------------------------------------------------------------------ */

struct question {
    struct exchange_ask ask;
    struct http_head head; /* when protocol is http */
};

static const char *text_in(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* A line end in a text would be read as the end of a header: the question would no longer be the one asked. */
static bool is_text(const json_t *value, const char *name, struct buf *told)
{
    if (!json_is_string(value))
        buf_addf(told, "%s must be a text", name);
    else if (strpbrk(json_string_value(value), "\r\n") || strpbrk(name, "\r\n"))
        buf_add_str(told, "no text of a request may hold a line end");
    return told->len == 0;
}

static bool is_well_formed(const json_t *q, struct buf *told)
{
    static const char *const texts[] = {"from", "to", "method", "path", "query"};
    json_t *headers = json_object_get(q, "headers"), *value;
    const char *name;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((value = json_object_get(q, texts[i])) && !is_text(value, texts[i], told))
            return false;
    if (headers && !json_is_object(headers))
        buf_add_str(told, "headers must be an object of texts");
    json_object_foreach(headers, name, value)
    {
        if (!is_text(value, name, told))
            return false;
    }
    if (*text_in(q, "to") == 0)
        buf_add_str(told, "a service is needed: why CALLER SERVICE");
    return told->len == 0;
}

/* The request as a client would send it. */
static void write_request(struct buf *out, const json_t *q)
{
    const char *method = text_in(q, "method"), *path = text_in(q, "path"), *query = text_in(q, "query");
    const char *name;
    json_t *value;
    buf_addf(out, "%s %s%s%s HTTP/1.1\r\nHost: %s\r\n", *method ? method : "GET", *path ? path : "/",
             *query ? "?" : "", query, text_in(q, "to"));
    json_object_foreach(json_object_get(q, "headers"), name, value)
        buf_addf(out, "%s: %s\r\n", name, json_string_value(value));
    buf_add_str(out, "\r\n");
}

/* Reads it as the workers do: what they would answer 400 is no question of policy. */
static bool read_request(struct http_head *head, const json_t *q, struct buf *told)
{
    struct buf request = {0};
    struct h1_reader *r = h1_reader_new(H1_REQUESTS, NULL);
    size_t used = 0;
    write_request(&request, q);
    if (r && buf_ok(&request)) {
        struct h1_event ev = h1_reader_feed(r, buf_bytes(&request), &used);
        if (ev.type == H1_HEAD)
            h1_reader_head_take(r, head);
        else
            buf_addf(told, "such a request is answered %u before any rule is asked: %s",
                     ev.type == H1_ERROR ? ev.status : 400, ev.type == H1_ERROR ? ev.why : "it has no end");
    }
    h1_reader_free(r);
    buf_fini(&request);
    http_strip_edge_headers(head);
    return head->method.len > 0;
}

static bool asks_http(const json_t *q)
{
    return *text_in(q, "method") || *text_in(q, "path") || *text_in(q, "query") ||
           json_object_size(json_object_get(q, "headers")) > 0;
}

/* Agents of this version take no policy with http2 or grpc in it, but it can be asked what it would do. */
static void ask_in_its_protocol(struct question *k, const struct view *v)
{
    const struct policy_service *s = decide_service(v->policy, v->mesh, k->ask.service);
    if (!s || policy_service_protocol(s) == POLICY_HTTP || !policy_service_has_requests(s))
        return;
    k->ask.protocol = (uint8_t)policy_service_protocol(s);
    k->ask.service = bytes_str(policy_service_name(s));
}

/* False: `told`, or no memory. */
static bool read_question(struct question *k, const struct why_at *at, const json_t *q, struct buf *told)
{
    if (!is_well_formed(q, told))
        return false;
    struct bytes to = bytes_str(text_in(q, "to"));
    const struct policy_service *s = at->view->policy ? policy_service(at->view->policy, to) : NULL;
    bool is_tcp = s && policy_service_protocol(s) == POLICY_TCP;
    if (is_tcp && asks_http(q)) {
        buf_addf(told,
                 "%s is a tcp service: it has connections, no requests; ask without METHOD, PATH and headers",
                 policy_service_name(s));
        return false;
    }
    if (!is_tcp && !read_request(&k->head, q, told))
        return false;
    k->ask = (struct exchange_ask){.protocol = is_tcp ? PROTOCOL_TCP : PROTOCOL_HTTP,
                                   .caller = bytes_str(text_in(q, "from")),
                                   .service = is_tcp ? to : k->head.authority,
                                   .vouch = at->own,
                                   .wall_now = at->now};
    if (at->offline && !is_tcp)
        ask_in_its_protocol(k, at->view);
    return true;
}

/* -- the answer -------------------------------------------------------------------------------- */

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* How much is under way to the service from here, by the keys of its limits; null offline. */
static json_t *breaker_of_service(const struct why_at *at, const struct policy_service *s)
{
    static const char *const name[] = {[BREAKER_CONNECTIONS] = "connections",
                                       [BREAKER_PENDING] = "pending",
                                       [BREAKER_REQUESTS] = "requests"};
    if (!at->shared || !s)
        return json_null();
    json_t *o = json_object();
    for (int kind = 0; kind < BREAKER_KINDS; kind++)
        json_object_set_new(
            o, name[kind],
            json_integer(breaker_count(at->shared->breakers, bytes_str(policy_service_name(s)),
                                       (enum breaker_kind)kind)));
    return o;
}

static const struct http_head *head_of(const struct question *k)
{
    return k->ask.protocol != PROTOCOL_TCP ? &k->head : NULL;
}

/* The first try of this request, if its share goes to that target. */
static struct aim_ask aim_of(const struct why_at *at, const struct question *k, const struct policy_target *t)
{
    return (struct aim_ask){.view = at->view,
                            .caller = k->ask.caller,
                            .head = head_of(k),
                            .service = t->service,
                            .subset = t->subset,
                            .now = at->mono};
}

static json_t *targets_of(const struct why_at *at, const struct question *k, const struct policy_route *r)
{
    json_t *list = json_array();
    for (size_t i = 0; r && i < r->target_count; i++) {
        const struct policy_target *t = &r->target[i];
        json_t *o = json_object();
        json_object_set_new(o, "subset", json_string(t->subset ? t->subset->name : ""));
        json_object_set_new(o, "weight", json_integer(t->weight));
        json_object_set_new(o, "percent", json_real(100.0 * t->weight / (double)r->weight_sum));
        json_object_set_new(o, "selects",
                            t->subset ? json_of_labels(labels_list(t->subset->labels)) : json_null());
        struct aim_ask of = aim_of(at, k, t);
        instances_add(o, at, &of);
        json_array_append_new(list, o);
    }
    return list;
}

static void add_subsets(json_t *o, const json_t *targets, const struct decision *d,
                        const struct policy_target *only)
{
    json_t *subsets = json_array(), *endpoints = json_array(), *t;
    size_t i;
    json_array_foreach(targets, i, t)
    {
        if (only && only != &d->route->target[i])
            continue;
        if (*text_in(t, "subset"))
            json_array_append(subsets, json_object_get(t, "subset"));
        json_array_extend(endpoints, json_object_get(t, "endpoints"));
    }
    json_object_set_new(o, "subset", subsets);
    json_object_set_new(o, "endpoints", endpoints);
}

/* In numbers; in the words of the language they are among the settings. */
static json_t *timeouts_of(const struct policy_route *r)
{
    if (!r)
        return json_null();
    const struct policy_timeouts *t = &r->timeouts;
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "connect_ms", (json_int_t)t->connect_ms, "request_ms",
                     (json_int_t)t->request_ms, "per_try_ms", (json_int_t)t->per_try_ms, "idle_ms",
                     (json_int_t)t->idle_ms, "stream_ms", (json_int_t)t->stream_ms);
}

/* The one target that a sticky route sends this request to; NULL: each request is a throw of its own. */
static const struct policy_target *only_target(const struct policy_route *r, const struct policy_request *rq)
{
    struct bytes value;
    return r && policy_key_value(&r->sticky, rq, &value) ? policy_route_choose(r, rq, 0) : NULL;
}

/* Is there a target that would find nobody; or with `all`, none that would find somebody? `r` then says what the share of
 * the first such one is answered. */
static bool lacks_endpoint(const struct why_at *at, const struct question *k,
                           const struct policy_route *route, const struct policy_target *only, bool all,
                           struct exchange_refusal *r)
{
    struct traffic *t =
        traffic_new(at->shared, 1); /* nothing is in flight: only whether there is one matters */
    size_t wanted = 0, lacking = 0;
    for (size_t i = 0; t && route && i < route->target_count; i++) {
        const struct policy_target *to = &route->target[i];
        if (to->weight == 0 || (only && only != to))
            continue;
        wanted++;
        struct aim_ask of = aim_of(at, k, to);
        struct aim aim = aim_at(t, &of);
        if (!aim.endpoint && lacking++ == 0)
            *r = decide_no_endpoint(policy_service_name(aim.service), to->subset, aim.why);
    }
    traffic_free(t);
    return lacking > 0 && (!all || lacking == wanted);
}

/* A fault that spares no request answers before anybody else is asked; one that spares some is told as `fault` only. */
static bool is_answered_by_fault(const struct why_at *at, const struct decision *d,
                                 struct exchange_refusal *r)
{
    if (!d->fault || d->fault->abort_ppm < POLICY_PPM)
        return false;
    *r = fault_refusal(d->fault, at->view->policy_version);
    return true;
}

/* Somebody is looked for before the caller's identity is: who is not believed either is told so only where there is an
 * instance that would not believe it. */
static bool finds_nobody(const struct why_at *at, const struct question *k, const struct decision *d,
                         const struct policy_target *only, struct exchange_refusal *r)
{
    return !at->offline && d->verdict.allowed && lacks_endpoint(at, k, d->route, only, !d->allowed, r);
}

/* What the mesh itself would answer; null where the application does. */
static void add_refusal(json_t *o, const struct exchange_refusal *r, bool http)
{
    json_object_set_new(o, "status", r && http ? json_integer(r->status) : json_null());
    json_object_set_new(o, "flag", text_or_null(r ? exchange_flag_text(r->flag) : NULL));
    json_object_set_new(o, "reason", text_or_null(r ? r->reason : NULL));
}

static const char *rule_of(const struct decision *d)
{
    return !d->allowed && d->refusal.rule ? d->refusal.rule : d->verdict.rule;
}

static const char *audit_rule_of(const struct policy_verdict *v)
{
    return !v->audited ? NULL : v->audit_rule ? v->audit_rule : v->rule;
}

static void add_decision(json_t *o, const struct decision *d)
{
    const struct policy_verdict *v = &d->verdict;
    json_object_set_new(o, "decision", json_string(d->allowed ? "allow" : "deny"));
    json_object_set_new(o, "rule", text_or_null(rule_of(d)));
    json_object_set_new(o, "audited", json_boolean(v->audited));
    json_object_set_new(o, "audit_rule", text_or_null(audit_rule_of(v)));
    json_object_set_new(o, "service", text_or_null(d->service ? policy_service_name(d->service) : NULL));
    json_object_set_new(o, "route", text_or_null(d->route ? d->route->name : NULL));
}

/* What holds besides, and where each is said. */
static void add_explanation(json_t *o, const struct why_at *at, const struct policy_request *rq,
                            const struct decision *d)
{
    const struct policy *p = at->view->policy;
    const struct explain_at by = {.policy = p, .places = at->places, .now = at->now};
    uint64_t needs = p ? policy_features(p) : 0;
    explain_decision(o, &by, d->service, d->route, rule_of(d), audit_rule_of(&d->verdict), rq);
    explain_route(o, &by, d->service, d->route, rq);
    json_object_set_new(o, "features", explain_features(needs));
    json_object_set_new(o, "lacking", explain_features(features_lacking(needs)));
}

static json_t *answer(const struct why_at *at, const struct question *k)
{
    struct decision d;
    struct exchange_refusal none;
    struct policy_header space[HTTP_HEADERS_MAX];
    const struct http_head *head = head_of(k);
    json_t *o = json_object();
    (at->offline ? decide_by_policy : decide_both)(&d, at->view, &k->ask, head);
    struct policy_request rq = decide_request(k->ask.caller, head, space);
    const struct policy_target *only = only_target(d.route, &rq);
    json_t *targets = targets_of(at, k, d.route);
    bool lacks = is_answered_by_fault(at, &d, &none) || finds_nobody(at, k, &d, only, &none);
    add_decision(o, &d);
    add_refusal(o, lacks ? &none : !d.allowed ? &d.refusal : NULL, head != NULL);
    add_subsets(o, targets, &d, only);
    json_object_set_new(o, "targets", targets);
    json_object_set_new(o, "timeouts", timeouts_of(d.route));
    json_object_set_new(o, "under_way", breaker_of_service(at, d.service));
    add_explanation(o, at, &rq, &d);
    return o;
}

json_t *why_answer(const struct why_at *at, const json_t *question, struct buf *told)
{
    struct question *k = calloc(1, sizeof *k);
    json_t *o = k && read_question(k, at, question, told) ? answer(at, k) : NULL;
    if (k)
        http_head_fini(&k->head);
    free(k);
    return o;
}
