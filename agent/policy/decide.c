/* Intentions: an overlay's deny, then its allow, come before all; then any deny beats every allow, no match falls to `unmatched`. Rules in audit mode decide nothing;
 * what they would have changed is recorded.
 *
 * Cost: one search for the caller's id, one for its rules under the service, then only rules that name this
 * caller or everybody. */
#include "policy/compiled.h"

struct question {
    const struct policy_request *rq;
    const struct rule_list *named; /* rules that name the caller; NULL if none */
    const struct rule_list *anyone;
    uint64_t method;
    uint32_t caller;
    bool is_http;
};

static bool clause_matches(const struct clause *cl, const struct question *q)
{
    if (!q->is_http)
        return true; /* on tcp only identity counts; compiling refused anything else */
    if (cl->methods && !(cl->methods & q->method))
        return false;
    return path_set_is_empty(&cl->paths) || path_set_has(&cl->paths, q->rq->path);
}

static bool is_excepted(const struct intention *r, uint32_t caller)
{
    size_t lo = 0, hi = r->except_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->except[mid] == caller)
            return true;
        if (r->except[mid] < caller)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

static bool rule_matches(const struct intention *r, enum rule_kind kind, const struct question *q)
{
    bool denies = kind == RULE_DENY || kind == RULE_DENY_AUDIT || kind == RULE_OVERLAY_DENY;
    const struct clause *cl = denies ? r->deny : r->allow;
    size_t count = denies ? r->deny_count : r->allow_count;
    if (is_excepted(r, q->caller))
        return false;
    for (size_t i = 0; i < count; i++)
        if (clause_matches(&cl[i], q))
            return true;
    return false;
}

static const struct intention *first_of(const struct rule_list *l, enum rule_kind kind,
                                        const struct question *q)
{
    for (uint32_t i = rule_list_begin(l, kind); i < l->end[kind]; i++)
        if (rule_matches(l->at[i], kind, q))
            return l->at[i];
    return NULL;
}

static const struct intention *first_match(enum rule_kind kind, const struct question *q)
{
    const struct intention *a = q->named ? first_of(q->named, kind, q) : NULL,
                           *b = first_of(q->anyone, kind, q);
    if (!a || !b)
        return a ? a : b;
    return a->order < b->order ? a : b;
}

static const struct rule_list *rules_of_caller(const struct policy_service *s, uint32_t caller)
{
    size_t lo = 0, hi = s->caller_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->caller[mid].caller == caller)
            return &s->caller[mid].list;
        if (s->caller[mid].caller < caller)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static struct policy_verdict verdict_of_allow(const struct question *q, const struct intention *allow)
{
    const struct intention *deny = first_match(RULE_DENY_AUDIT, q);
    return (struct policy_verdict){.allowed = true,
                                   .rule = allow->name,
                                   .audited = deny != NULL,
                                   .audit_rule = deny ? deny->name : NULL};
}

/* No rule in force matches. What would have been, had the audit-mode rules been in force: their deny first,
 * then their allow. */
static struct policy_verdict verdict_of_unmatched(const struct question *q, enum policy_unmatched unmatched)
{
    const struct intention *deny = first_match(RULE_DENY_AUDIT, q),
                           *allow = deny ? NULL : first_match(RULE_ALLOW_AUDIT, q);
    struct policy_verdict v = {.allowed = unmatched == UNMATCHED_AUDIT, .rule = "unmatched"};
    const struct intention *otherwise = v.allowed ? deny : allow;
    v.audit_rule = otherwise ? otherwise->name : NULL;
    v.audited = v.allowed || otherwise;
    return v;
}

/* Break-glass: what it says holds, whatever the policy says. False: it says nothing of this request. */
static bool decide_by_overlay(const struct question *q, struct policy_verdict *v)
{
    const struct intention *deny = q->named ? first_of(q->named, RULE_OVERLAY_DENY, q) : NULL,
                           *allow = q->named && !deny ? first_of(q->named, RULE_OVERLAY_ALLOW, q) : NULL,
                           *rule = deny ? deny : allow;
    if (rule)
        *v = (struct policy_verdict){.allowed = allow != NULL, .by_overlay = true, .rule = rule->name};
    return rule != NULL;
}

struct policy_verdict policy_decide(const struct policy *p, const struct policy_service *to,
                                    const struct policy_request *rq)
{
    struct question q = {.rq = rq, .anyone = &to->anyone, .is_http = to->protocol != POLICY_TCP};
    const struct intention *rule;
    struct policy_verdict v;
    assert(to->policy == p);
    q.caller = policy_caller_id(p, rq->caller);
    q.named = rules_of_caller(to, q.caller);
    q.method = q.is_http ? policy_method_bit(p, rq->method) : 0;
    if (p->overlay.rule_count > 0 && decide_by_overlay(&q, &v))
        return v;
    if ((rule = first_match(RULE_DENY, &q)))
        return (struct policy_verdict){.allowed = false, .rule = rule->name};
    if ((rule = first_match(RULE_ALLOW, &q)))
        return verdict_of_allow(&q, rule);
    return verdict_of_unmatched(&q, to->settings.unmatched);
}
