#include "admin/explain.h"

#include "policy/words.h"

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

/* Takes what is in the buf. */
static json_t *text_of(struct buf *b)
{
    json_t *t = b->len ? json_stringn((const char *)b->at, b->len) : json_null();
    buf_fini(b);
    return t;
}

json_t *explain_features(uint64_t set)
{
    json_t *list = json_array();
    for (int f = 0; f < POLICY_FEATURES; f++)
        if (set & feature_bit((enum policy_feature)f))
            json_array_append_new(list, json_string(feature_name((enum policy_feature)f)));
    return list;
}

/* -- places ------------------------------------------------------------------------------------ */

static json_t *said_in_route(const struct explain_at *at, const struct policy_service *s,
                             const struct policy_route *r, const char *key)
{
    struct buf b = {0};
    if (at->places)
        place_of_route(at->places, policy_service_name(s), r->name, key, &b);
    return text_of(&b);
}

static json_t *said_in_list(const struct explain_at *at, const char *list, const char *name)
{
    struct buf b = {0};
    if (at->places && name)
        place_of_named(at->places, list, name, &b);
    return text_of(&b);
}

/* `unmatched` is no rule but a setting; identity and no-policy are said in no policy. */
static json_t *said_of_rule(const struct explain_at *at, const struct policy_service *s, const char *rule)
{
    struct buf b = {0};
    if (!at->places || !rule || !s || strcmp(rule, "identity") == 0)
        return json_null();
    if (strcmp(rule, "unmatched") != 0)
        return said_in_list(at, "intentions", rule);
    place_of_setting(at->places, policy_service_name(s), NULL, "unmatched", &b);
    return text_of(&b);
}

void explain_decision(json_t *o, const struct explain_at *at, const struct policy_service *s,
                      const struct policy_route *r, const char *rule, const char *audit_rule,
                      const struct policy_request *rq)
{
    struct buf match = {0};
    json_t *said = json_object();
    if (s && r && rq)
        words_match_held(&match, s, r, rq);
    json_object_set_new(o, "match", text_of(&match));
    json_object_set_new(said, "rule", said_of_rule(at, s, rule));
    json_object_set_new(said, "audit_rule", said_of_rule(at, s, audit_rule));
    json_object_set_new(said, "route", s && r ? said_in_route(at, s, r, NULL) : json_null());
    json_object_set_new(o, "said", said);
}

/* -- settings ---------------------------------------------------------------------------------- */

static json_t *settings_of(const struct explain_at *at, const struct policy_service *s,
                           const struct policy_route *r)
{
    struct policy_words w = {.count = 0};
    struct policy_settings all = policy_route_settings(s, r);
    json_t *o = json_object();
    words_of_settings(&w, &all, !policy_service_has_requests(s));
    for (size_t i = 0; i < w.count; i++) {
        struct buf b = {0};
        if (at->places)
            place_of_setting(at->places, policy_service_name(s), r->name, w.at[i].key, &b);
        json_t *one = json_pack("{s:s, s:o}", "value", w.at[i].value, "said", text_of(&b));
        if (w.at[i].feature != FEATURE_NONE && !feature_in_force(w.at[i].feature))
            json_object_set_new(one, "lacking", json_string(feature_name(w.at[i].feature)));
        json_object_set_new(o, w.at[i].key, one);
    }
    words_fini(&w);
    return o;
}

/* -- what a route does ------------------------------------------------------------------------- */

static json_t *sticky_of(const struct explain_at *at, const struct policy_service *s,
                         const struct policy_route *r, const struct policy_request *rq)
{
    struct buf key = {0};
    struct bytes value;
    if (r->sticky.kind == KEY_NONE)
        return json_null();
    bool has = policy_key_value(&r->sticky, rq, &value);
    const struct policy_target *t = has ? policy_route_choose(r, rq, 0) : NULL;
    words_key(&key, &r->sticky);
    return json_pack("{s:o, s:o, s:o, s:o}", "key", text_of(&key), "value",
                     has ? json_stringn((const char *)value.at, value.len) : json_null(), "subset",
                     !t ? json_null() : json_string(t->subset ? t->subset->name : ""), "said",
                     said_in_route(at, s, r, "sticky"));
}

static json_t *rewrite_of(const struct explain_at *at, const struct policy_service *s,
                          const struct policy_route *r, const struct policy_request *rq)
{
    struct buf path = {0};
    if (!r->rewrite_prefix)
        return json_null();
    policy_route_rewrite(s, r, rq, &path);
    return json_pack("{s:s, s:o, s:o}", "prefix", *r->rewrite_prefix ? r->rewrite_prefix : "/", "path",
                     text_of(&path), "said", said_in_route(at, s, r, "rewrite"));
}

static json_t *mirror_of(const struct explain_at *at, const struct policy_service *s,
                         const struct policy_route *r, const struct policy_request *rq)
{
    if (!r->mirror.to)
        return json_null();
    struct policy_verdict v = policy_decide(at->policy, r->mirror.to, rq);
    return json_pack("{s:s, s:i, s:s, s:s, s:o}", "to", policy_service_name(r->mirror.to), "percent",
                     (int)(r->mirror.share_ppm / 10000), "decision", v.allowed ? "allow" : "deny", "rule",
                     v.rule, "said", said_in_route(at, s, r, "mirror"));
}

static json_t *edit_of(const struct explain_at *at, const struct policy_service *s,
                       const struct policy_route *r, const struct policy_header_edit *e, const char *key)
{
    struct buf text = {0};
    words_header_edit(&text, e);
    if (text.len == 0)
        return json_null();
    return json_pack("{s:o, s:o}", "edit", text_of(&text), "said", said_in_route(at, s, r, key));
}

/* -- what else applies ------------------------------------------------------------------------- */

static json_t *fault_of(const struct explain_at *at, const struct policy_service *s,
                        const struct policy_request *rq)
{
    struct buf text = {0};
    const struct policy_fault *f = policy_fault_of(s, rq, at->now);
    if (!f)
        return json_null();
    words_fault(&text, f);
    return json_pack("{s:s, s:o, s:I, s:o}", "name", f->name, "fault", text_of(&text), "until",
                     (json_int_t)f->until, "said", said_in_list(at, "faults", f->name));
}

static json_t *limits_of(const struct explain_at *at, const struct policy_service *s,
                         const struct policy_route *r, const struct policy_request *rq)
{
    const struct policy_rate_limit *l;
    json_t *list = json_array();
    size_t cursor = 0;
    while ((l = policy_rate_limit_next(s, r, &cursor))) {
        struct buf text = {0}, said = {0};
        struct bytes value;
        bool has = policy_key_value(&l->per, rq, &value);
        words_rate_limit(&text, l);
        if (at->places)
            place_of_entry(at->places, policy_service_name(s), "rateLimits", cursor - 1, &said);
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o}", "limit", text_of(&text), "bucket",
                                        has ? json_stringn((const char *)value.at, value.len) : json_null(),
                                        "said", text_of(&said)));
    }
    return list;
}

static json_t *failover_of(const struct policy_service *s)
{
    const struct policy_service *const *other;
    size_t n = policy_failover(s, &other);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, text_or_null(policy_service_name(other[i])));
    return list;
}

void explain_route(json_t *o, const struct explain_at *at, const struct policy_service *s,
                   const struct policy_route *r, const struct policy_request *rq)
{
    json_object_set_new(o, "settings", r ? settings_of(at, s, r) : json_null());
    json_object_set_new(o, "sticky", r ? sticky_of(at, s, r, rq) : json_null());
    json_object_set_new(o, "rewrite", r ? rewrite_of(at, s, r, rq) : json_null());
    json_object_set_new(o, "mirror", r ? mirror_of(at, s, r, rq) : json_null());
    json_object_set_new(o, "request_headers",
                        r ? edit_of(at, s, r, &r->request_headers, "requestHeaders") : json_null());
    json_object_set_new(o, "response_headers",
                        r ? edit_of(at, s, r, &r->response_headers, "responseHeaders") : json_null());
    json_object_set_new(o, "fault", r ? fault_of(at, s, rq) : json_null());
    json_object_set_new(o, "rate_limits", r ? limits_of(at, s, r, rq) : json_array());
    json_object_set_new(o, "failover", r ? failover_of(s) : json_array());
}
