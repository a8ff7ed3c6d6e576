/* An exchange's life: its states, its start, refusals, time, its end. Decisions are decide.c's. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "exchange/fault.h"
#include "exchange/guard.h"
#include "exchange/inner.h"
#include "exchange/times.h"
#include "exchange/tries.h"

#define BIT(s) (1u << (s))
static const struct {
    const char *name;
    unsigned to;
} states[] = {
    [EXCHANGE_NEW] = {"new", BIT(EXCHANGE_SEEKING) | BIT(EXCHANGE_PAUSING) | BIT(EXCHANGE_OVER)},
    [EXCHANGE_SEEKING] = {"seeking", BIT(EXCHANGE_SENDING) | BIT(EXCHANGE_PAUSING) | BIT(EXCHANGE_OVER)},
    [EXCHANGE_SENDING] = {"sending", BIT(EXCHANGE_SEEKING) | BIT(EXCHANGE_PAUSING) | BIT(EXCHANGE_ANSWERING) |
                                         BIT(EXCHANGE_OVER)},
    [EXCHANGE_PAUSING] = {"pausing", BIT(EXCHANGE_SEEKING) | BIT(EXCHANGE_OVER)},
    [EXCHANGE_ANSWERING] = {"answering", BIT(EXCHANGE_OVER)},
    [EXCHANGE_OVER] = {"over", 0},
};

const char *exchange_state_name(enum exchange_state s)
{
    return states[s].name;
}

void exchange_move(struct exchange *x, enum exchange_state to)
{
    assert(states[x->state].to & BIT(to));
    x->state = to;
}

void exchange_tell_owner(struct exchange *x)
{
    if (!x->news.next)
        list_append(x->news_list, &x->news);
}

void exchange_copy_name(char *to, size_t cap, struct bytes name)
{
    size_t n = name.len < cap ? name.len : cap - 1;
    if (n > 0)
        memcpy(to, name.at, n);
    to[n] = 0;
}

/* A head is 3 KiB of room for headers, of which a few are used: only those are touched. */
static void head_clear(struct http_head *h)
{
    memset(h, 0, offsetof(struct http_head, header));
    h->text = (struct buf){0};
}

static void head_move(struct http_head *to, struct http_head *from)
{
    memcpy(to, from, offsetof(struct http_head, header) + from->header_count * sizeof *from->header);
    to->text = from->text;
    head_clear(from);
}

void exchange_init(struct exchange *x, enum exchange_role role, struct view *view, struct traffic *traffic,
                   struct side *front, struct list *news, mono_us now_us)
{
    memset(x, 0, offsetof(struct exchange, facts));
    facts_clear(&x->facts);
    head_clear(&x->request);
    x->role = role;
    x->view = view_ref(view);
    x->traffic = traffic;
    x->front = front;
    x->news_list = news;
    x->now_us = now_us;
    x->times.deadline = x->times.end_by = x->times.try_by = x->times.look_at = NEVER;
    x->facts.role = role;
    x->facts.began_us = now_us;
    x->facts.policy = (struct bundle_id){view->policy_epoch, view->policy_version, view->policy_hash};
    front->x = x;
}

static void cut_tap(struct exchange *x)
{
    struct tap *t = x->tap;
    x->tap = NULL;
    if (t)
        t->ops->cut(t);
}

static void detach(struct side **s, bool clean)
{
    struct side *side = *s;
    *s = NULL;
    if (!side)
        return;
    side->x = NULL;
    side->ops->finish(side, clean);
}

void exchange_flag_once(struct exchange *x, enum exchange_flag f)
{
    if (x->facts.flag == FLAG_NONE)
        x->facts.flag = f;
}

void exchange_finish(struct exchange *x)
{
    bool clean = x->ended[FROM_FRONT] && x->ended[FROM_BACK];
    exchange_move(x, EXCHANGE_OVER);
    x->facts.ended_us = x->now_us;
    x->facts.cut |= !clean && !x->facts.refused_afar && x->facts.flag == FLAG_NONE;
    if (x->facts.delayed)
        exchange_flag_once(x, FLAG_DI);
    tries_leave(x);
    guard_leave(x);
    cut_tap(x);
    detach(&x->back, clean);
    detach(&x->front, clean);
    replay_drop(&x->tries.replay);
    exchange_tell_owner(x);
}

void exchange_resume(struct exchange *x)
{
    if (x->tries.last)
        tries_resume(x);
    else
        fault_over(x); /* nobody has been tried yet */
}

void exchange_drop_back(struct exchange *x)
{
    detach(&x->back, false);
}

void exchange_fini(struct exchange *x)
{
    if (x->state != EXCHANGE_OVER) { /* the owner is going away */
        tries_leave(x);
        guard_leave(x);
        cut_tap(x);
        detach(&x->back, false);
        detach(&x->front, false);
    }
    replay_drop(&x->tries.replay);
    list_remove(&x->news);
    http_head_fini(&x->request);
    view_unref(x->view);
    x->view = NULL;
    x->state = EXCHANGE_OVER;
}

/* --- refusing ------------------------------------------------------------------------------ */

void exchange_refuse(struct exchange *x, const struct exchange_refusal *r)
{
    struct http_head head = {0};
    struct bytes text = {0};
    char line[REFUSAL_LINE_MAX];
    refusal_line(r, line);
    struct mesh_verdict v = {
        .refused = 1, .flag = bytes_str(exchange_flag_text(r->flag)), .reason = bytes_str(line)};
    exchange_flag_once(x, r->flag);
    /* A fault is named beside the intention that had let the request through: that one goes on answering for it. */
    if (r->rule && strcmp(r->rule, x->facts.fault) != 0)
        exchange_copy_name(x->facts.rule, sizeof x->facts.rule, bytes_str(r->rule));
    if (x->front && x->state != EXCHANGE_ANSWERING) {
        x->facts.status = exchange_is_http(x) ? r->status : 0;
        if (!exchange_is_http(x)) {
            x->front->ops->head(x->front, NULL, &v);
        } else if (refusal_head(&head, r, &text) == ERR_OK) {
            x->front->ops->head(x->front, &head, &v);
            if (!bytes_eq_str(x->request.method, "HEAD"))
                x->front->ops->data(x->front, text);
        }
        x->front->ops->end(x->front, NULL);
        x->ended[FROM_BACK] = true;
        http_head_fini(&head);
    }
    exchange_finish(x);
}

/* --- starting ------------------------------------------------------------------------------ */

static uint32_t clamp_ms(uint64_t ms, uint32_t most)
{
    return ms == 0 || ms > most ? most : (uint32_t)ms;
}

static void note_verdict(struct exchange *x, const struct policy_verdict *v)
{
    if (!v->rule)
        return; /* refused before any rule was asked */
    exchange_copy_name(x->facts.rule, sizeof x->facts.rule, bytes_str(v->rule));
    x->facts.by_overlay = v->by_overlay;
    x->facts.overlay_allowed = v->by_overlay && v->allowed;
    if (v->audited)
        exchange_copy_name(x->facts.audit_rule, sizeof x->facts.audit_rule,
                           bytes_str(v->audit_rule ? v->audit_rule : v->rule));
    x->facts.audit_allowed = v->audited && v->allowed;
}

static void note_edits(struct exchange *x, const struct decision *d)
{
    if (!d->route || !policy_route_edits(d->route) || !exchange_is_http(x))
        return;
    x->edits = d->route;
    x->edits_of = d->asked;
}

/* An upgrade has no copy: what is said in the tunnel makes no sense without the answers. */
static void note_mirror(struct exchange *x, const struct exchange_ask *ask)
{
    const struct policy_mirror *m = &x->route->mirror;
    if (!m->to || x->facts.mirrored || x->request.upgrade.len > 0)
        return;
    struct rng r = rng_seeded(ask->dice + 1); /* dice itself is thrown for other things */
    if (rng_below(&r, POLICY_PPM) < m->share_ppm)
        x->mirror_to = m->to;
}

static void start_near(struct exchange *x, const struct exchange_ask *ask, mono_ms now)
{
    struct decision d;
    decide_near(&d, x->view, ask, exchange_is_http(x) ? &x->request : NULL);
    if (d.service)
        exchange_copy_name(x->service, sizeof x->service, bytes_str(policy_service_name(d.service)));
    memcpy(x->facts.service, x->service, sizeof x->service);
    x->asked = d.asked;
    x->route = d.route;
    x->settings = d.asked ? policy_service_settings(d.asked) : NULL;
    if (d.route)
        exchange_copy_name(x->facts.route, sizeof x->facts.route, bytes_str(d.route->name));
    note_verdict(x, &d.verdict);
    if (!d.allowed) {
        exchange_refuse(x, &d.refusal);
        return;
    }
    exchange_copy_name(x->subset, sizeof x->subset, bytes_str(d.subset ? d.subset->name : ""));
    x->wanted_subset = d.subset;
    note_edits(x, &d);
    x->connect_ms = clamp_ms(d.route->timeouts.connect_ms, CONNECT_MS_MAX);
    times_begin_near(x, now);
    if (exchange_is_http(x) && !guard_head(x))
        return;
    note_mirror(x, ask);
    if (d.fault && !x->facts.mirrored)
        fault_begin(x, d.fault, ask->dice);
    else
        tries_begin_near(x);
}

static void start_far(struct exchange *x, const struct exchange_ask *ask, mono_ms now)
{
    struct decision d;
    decide_far(&d, x->view, ask, exchange_is_http(x) ? &x->request : NULL);
    if (d.service)
        exchange_copy_name(x->service, sizeof x->service, bytes_str(policy_service_name(d.service)));
    memcpy(x->facts.service, x->service, sizeof x->service);
    note_verdict(x, &d.verdict);
    if (!d.allowed) {
        exchange_refuse(x, &d.refusal);
        return;
    }
    const struct view_local *here = view_local(x->view, bytes_str(x->service));
    if (!here || here->protocol != ask->protocol) {
        struct exchange_refusal r = refusal_of(503, FLAG_UH, NULL, "%s is not served here", x->service);
        exchange_refuse(x, &r);
        return;
    }
    note_edits(x, &d);
    x->connect_ms = CONNECT_APP_MS;
    times_begin_far(x, ask->deadline_ms, now);
    if (guard_rate(x, d.service))
        tries_begin_far(x, &here->app);
}

void exchange_start(struct exchange *x, const struct exchange_ask *ask, struct http_head *request_take,
                    mono_ms now)
{
    assert(x->state == EXCHANGE_NEW);
    exchange_heard(x, now * 1000);
    if (request_take)
        head_move(&x->request, request_take);
    x->dice = ask->dice;
    x->facts.protocol = ask->protocol;
    x->facts.mirrored = ask->mirrored;
    x->tunnel = ask->protocol == PROTOCOL_TCP;
    x->hops = ask->hops;
    x->vouched = decide_vouched(ask);
    exchange_copy_name(x->caller, sizeof x->caller, ask->caller);
    memcpy(x->facts.caller, x->caller, sizeof x->caller);
    if (ask->hops > HOPS_MAX) {
        struct exchange_refusal r =
            refusal_of(508, FLAG_NR, NULL, "a loop: this request has passed %u agents", ask->hops);
        exchange_refuse(x, &r);
    } else if (x->role == EXCHANGE_NEAR) {
        start_near(x, ask, now);
    } else {
        start_far(x, ask, now);
    }
}

/* --- ending -------------------------------------------------------------------------------- */

void exchange_lost(struct exchange *x, enum exchange_from from, enum exchange_loss loss, mono_us now_us)
{
    struct side **side = from == FROM_FRONT ? &x->front : &x->back;
    if (x->state == EXCHANGE_OVER || !*side)
        return;
    exchange_heard(x, now_us);
    (*side)->x = NULL;
    if (from == FROM_BACK) {
        x->back = NULL;
        tries_back_lost(x, loss);
        return;
    }
    x->front = NULL;
    exchange_flag_once(x, loss == LOSS_BROKEN ? FLAG_DPE : FLAG_DC);
    exchange_finish(x);
}

void exchange_rejudge(struct exchange *x, const struct view *now)
{
    struct decision d;
    char rule[FACT_NAME_MAX];
    if (x->state == EXCHANGE_OVER || x->state == EXCHANGE_NEW)
        return;
    decide_again(&d, now, bytes_str(x->caller), bytes_str(x->service),
                 exchange_is_http(x) ? &x->request : NULL);
    if (d.allowed || !(x->facts.by_overlay || d.verdict.by_overlay))
        return;
    x->facts.by_overlay |= d.verdict.by_overlay;
    memcpy(rule, x->facts.rule, sizeof rule);
    exchange_refuse(x, &d.refusal);
    if (x->facts.overlay_allowed) /* it stays the one to answer for it */
        memcpy(x->facts.rule, rule, sizeof rule);
}
