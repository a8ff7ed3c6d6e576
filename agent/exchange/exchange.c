/* The conductor. Decisions are decide.c's, refusals refusal.c's; here the states move and messages are passed
 * on. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "exchange/decide.h"
#include "exchange/exchange.h"

#define BIT(s) (1u << (s))
static const struct {
    const char *name;
    unsigned to;
} states[] = {
    [EXCHANGE_NEW] = {"new", BIT(EXCHANGE_SEEKING) | BIT(EXCHANGE_OVER)},
    [EXCHANGE_SEEKING] = {"seeking", BIT(EXCHANGE_SENDING) | BIT(EXCHANGE_OVER)},
    [EXCHANGE_SENDING] = {"sending", BIT(EXCHANGE_SEEKING) | BIT(EXCHANGE_ANSWERING) | BIT(EXCHANGE_OVER)},
    [EXCHANGE_ANSWERING] = {"answering", BIT(EXCHANGE_OVER)},
    [EXCHANGE_OVER] = {"over", 0},
};

const char *exchange_state_name(enum exchange_state s)
{
    return states[s].name;
}

static void move(struct exchange *x, enum exchange_state to)
{
    assert(states[x->state].to & BIT(to));
    x->state = to;
}

static void tell_owner(struct exchange *x)
{
    if (!x->news.next)
        list_append(x->news_list, &x->news);
}

static bool is_http(const struct exchange *x)
{
    return x->facts.protocol == PROTOCOL_HTTP;
}

static void copy_name(char *to, size_t cap, struct bytes name)
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
    memset(x, 0, offsetof(struct exchange, request));
    head_clear(&x->request);
    x->role = role;
    x->view = view_ref(view);
    x->traffic = traffic;
    x->front = front;
    x->news_list = news;
    x->deadline = NEVER;
    x->facts.role = role;
    x->facts.began_us = now_us;
    x->facts.policy_version = view->policy_version;
    front->x = x;
}

/* The endpoint of the try that is ending stops counting as busy. */
static void leave_endpoint(struct exchange *x)
{
    if (x->endpoint)
        traffic_end(x->traffic, x->endpoint);
    x->endpoint = NULL;
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

static void finish(struct exchange *x)
{
    bool clean = x->ended[FROM_FRONT] && x->ended[FROM_BACK];
    move(x, EXCHANGE_OVER);
    x->facts.cut |= !clean && !x->facts.refused_afar && x->facts.flag == FLAG_NONE;
    leave_endpoint(x);
    detach(&x->back, clean);
    detach(&x->front, clean);
    tell_owner(x);
}

void exchange_fini(struct exchange *x)
{
    if (x->state != EXCHANGE_OVER) { /* the owner is going away */
        leave_endpoint(x);
        detach(&x->back, false);
        detach(&x->front, false);
    }
    list_remove(&x->news);
    http_head_fini(&x->request);
    view_unref(x->view);
    x->view = NULL;
    x->state = EXCHANGE_OVER;
}

/* --- refusing ------------------------------------------------------------------------------ */

static void flag_once(struct exchange *x, enum exchange_flag f)
{
    if (x->facts.flag == FLAG_NONE)
        x->facts.flag = f;
}

/* Tells the front why not, as far as it can still be told, and ends. */
static void refuse(struct exchange *x, const struct exchange_refusal *r)
{
    struct http_head head = {0};
    struct bytes text = {0};
    char line[REFUSAL_LINE_MAX];
    refusal_line(r, line);
    struct mesh_verdict v = {
        .refused = 1, .flag = bytes_str(exchange_flag_text(r->flag)), .reason = bytes_str(line)};
    flag_once(x, r->flag);
    if (r->rule)
        copy_name(x->facts.rule, sizeof x->facts.rule, bytes_str(r->rule));
    if (x->front && x->state != EXCHANGE_ANSWERING) {
        x->facts.status = is_http(x) ? r->status : 0;
        if (!is_http(x)) {
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
    finish(x);
}

/* --- choosing ------------------------------------------------------------------------------ */

static uint32_t clamp_ms(uint64_t ms, uint32_t most)
{
    return ms == 0 || ms > most ? most : (uint32_t)ms;
}

static void seek(struct exchange *x)
{
    if (x->state != EXCHANGE_SEEKING)
        move(x, EXCHANGE_SEEKING);
    x->tries++;
    x->facts.retried |= x->tries > 1;
    tell_owner(x);
}

/* An endpoint of this very host is judged like a far agent would: the caller must be one we may speak for
 * (P35). */
static bool local_is_fair(struct exchange *x)
{
    if (x->endpoint->node || x->vouched)
        return true;
    struct exchange_refusal r =
        refusal_of(403, FLAG_UAEX, "identity", "this host's credential does not speak for %s", x->caller);
    r.policy_version = x->view->policy_version;
    refuse(x, &r);
    return false;
}

static bool choose(struct exchange *x)
{
    enum traffic_why why = TRAFFIC_NO_INSTANCE;
    const struct view_service *s = view_service(x->view, bytes_str(x->service));
    leave_endpoint(x);
    x->insists = false;
    const struct view_endpoint *e = traffic_pick(x->traffic, s, x->wanted_subset, &x->tried, &why);
    if (!e) {
        struct exchange_refusal r = decide_no_endpoint(x->service, x->wanted_subset, why);
        refuse(x, &r);
        return false;
    }
    traffic_tried_add(&x->tried, e);
    traffic_begin(x->traffic, e);
    x->endpoint = e;
    x->app = e->node ? (struct addr){0} : e->local;
    x->facts.local = !e->node;
    x->facts.endpoint = e->node ? e->node->id : (struct node_id){{0}};
    return true;
}

static void note_verdict(struct exchange *x, const struct policy_verdict *v)
{
    if (!v->rule)
        return; /* refused before any rule was asked */
    copy_name(x->facts.rule, sizeof x->facts.rule, bytes_str(v->rule));
    x->facts.by_overlay = v->by_overlay;
    x->facts.overlay_allowed = v->by_overlay && v->allowed;
    if (v->audited)
        copy_name(x->facts.audit_rule, sizeof x->facts.audit_rule,
                  bytes_str(v->audit_rule ? v->audit_rule : v->rule));
    x->facts.audit_allowed = v->audited && v->allowed;
}

static void start_near(struct exchange *x, const struct exchange_ask *ask, mono_ms now)
{
    struct decision d;
    decide_near(&d, x->view, ask, is_http(x) ? &x->request : NULL);
    if (d.service)
        copy_name(x->service, sizeof x->service, bytes_str(policy_service_name(d.service)));
    memcpy(x->facts.service, x->service, sizeof x->service);
    if (d.route)
        copy_name(x->facts.route, sizeof x->facts.route, bytes_str(d.route->name));
    note_verdict(x, &d.verdict);
    if (!d.allowed) {
        refuse(x, &d.refusal);
        return;
    }
    copy_name(x->subset, sizeof x->subset, bytes_str(d.subset ? d.subset->name : ""));
    x->wanted_subset = d.subset;
    x->connect_ms = clamp_ms(d.route->timeouts.connect_ms, CONNECT_MS_MAX);
    if (is_http(x) && d.route->timeouts.request_ms)
        x->deadline = now + d.route->timeouts.request_ms;
    if (choose(x) && local_is_fair(x))
        seek(x);
}

static void start_far(struct exchange *x, const struct exchange_ask *ask, mono_ms now)
{
    struct decision d;
    decide_far(&d, x->view, ask, is_http(x) ? &x->request : NULL);
    if (d.service)
        copy_name(x->service, sizeof x->service, bytes_str(policy_service_name(d.service)));
    memcpy(x->facts.service, x->service, sizeof x->service);
    note_verdict(x, &d.verdict);
    if (!d.allowed) {
        refuse(x, &d.refusal);
        return;
    }
    const struct view_local *here = view_local(x->view, bytes_str(x->service));
    if (!here || here->protocol != ask->protocol) {
        struct exchange_refusal r = refusal_of(503, FLAG_UH, NULL, "%s is not served here", x->service);
        refuse(x, &r);
        return;
    }
    x->app = here->app;
    x->facts.local = true;
    x->connect_ms = CONNECT_APP_MS;
    if (is_http(x) && ask->deadline_ms)
        x->deadline = now + ask->deadline_ms;
    seek(x);
}

void exchange_start(struct exchange *x, const struct exchange_ask *ask, struct http_head *request_take,
                    mono_ms now)
{
    assert(x->state == EXCHANGE_NEW);
    if (request_take)
        head_move(&x->request, request_take);
    x->look_at = now + STALL_LOOK_MS;
    x->facts.protocol = ask->protocol;
    x->tunnel = ask->protocol == PROTOCOL_TCP;
    x->hops = ask->hops;
    x->vouched = decide_vouched(ask);
    copy_name(x->caller, sizeof x->caller, ask->caller);
    memcpy(x->facts.caller, x->caller, sizeof x->caller);
    if (ask->hops > HOPS_MAX) {
        struct exchange_refusal r =
            refusal_of(508, FLAG_NR, NULL, "a loop: this request has passed %u agents", ask->hops);
        refuse(x, &r);
    } else if (x->role == EXCHANGE_NEAR) {
        start_near(x, ask, now);
    } else {
        start_far(x, ask, now);
    }
}

/* --- the back side comes and goes ---------------------------------------------------------- */

/* A request for an upgrade has not really ended: if it is granted, its direction goes on as a tunnel. */
static bool holds_end(const struct exchange *x)
{
    return is_http(x) && x->request.upgrade.len > 0 && !x->tunnel && x->state != EXCHANGE_ANSWERING;
}

void exchange_back_ready(struct exchange *x, struct side *back)
{
    assert(x->state == EXCHANGE_SEEKING && !x->back);
    move(x, EXCHANGE_SENDING);
    x->back = back;
    x->back_answered = false;
    back->x = x;
    back->ops->head(back, is_http(x) ? &x->request : NULL, NULL);
    if (x->ended[FROM_FRONT] && !holds_end(x))
        back->ops->end(back, NULL);
    x->front->ops->resume(x->front);
}

static void name_of_target(const struct exchange *x, char *out, size_t cap)
{
    if (x->endpoint && x->endpoint->node)
        snprintf(out, cap, "the agent %s of %s", x->endpoint->node->name, x->service);
    else
        snprintf(out, cap, "the application %s", x->service);
}

/* Another try: at the near agent on another endpoint, if there is one; a stale connection is only replaced.
 */
static bool try_again(struct exchange *x, bool same_endpoint)
{
    if (x->tries >= EXCHANGE_TRIES_MAX)
        return false;
    if (same_endpoint) {
        x->fresh = true;
        seek(x);
        return true;
    }
    enum traffic_why why;
    if (x->role != EXCHANGE_NEAR || !traffic_pick(x->traffic, view_service(x->view, bytes_str(x->service)),
                                                  x->wanted_subset, &x->tried, &why))
        return false;
    if (choose(x) && local_is_fair(x))
        seek(x);
    return true;
}

static void give_up(struct exchange *x, enum exchange_flag flag, uint16_t status, const char *what)
{
    char target[160];
    name_of_target(x, target, sizeof target);
    struct exchange_refusal r = refusal_of(status, flag, NULL, "%s %s", target, what);
    refuse(x, &r);
}

void exchange_back_failed(struct exchange *x, enum err why)
{
    assert(x->state == EXCHANGE_SEEKING);
    if (why == ERR_AGAIN && x->tried.count < TRAFFIC_TRIED_MAX)
        x->tries--; /* nobody was asked: it does not count as a try */
    if (try_again(x, false))
        return;
    if (why == ERR_AGAIN && !x->insists && x->endpoint) {
        x->insists = true; /* nobody else is left: a pause after a failure is no reason to refuse a request */
        seek(x);
        return;
    }
    char what[80];
    snprintf(what, sizeof what, "could not be reached: %s", err_text(why));
    enum exchange_flag flag = why == ERR_LIMIT || why == ERR_FULL ? FLAG_UO
                              : x->facts.retried                  ? FLAG_URX
                                                                  : FLAG_UF;
    give_up(x, flag, 503, what);
}

/* --- messages ------------------------------------------------------------------------------ */

static void begin_tunnel(struct exchange *x)
{
    x->tunnel = true;
    x->deadline = NEVER; /* POLICY.md: the request's time is over with its answer; what follows lives as long
                            as its ends */
    x->ended[FROM_FRONT] = false;
    x->front->ops->resume(x->front);
}

/* The far agent's refusal, in our words to our client. */
static void refused_afar(struct exchange *x, const struct mesh_verdict *v)
{
    char rule[FACT_NAME_MAX];
    struct exchange_refusal r;
    if (!refusal_of_line(&r, v->flag, v->reason, rule))
        r = refusal_of(502, FLAG_UPE, NULL, "the far agent refused without saying why");
    x->facts.refused_afar = true;
    refuse(x, &r);
}

void exchange_head(struct exchange *x, const struct http_head *h, const struct mesh_verdict *v)
{
    x->back_answered = true;
    if (x->state != EXCHANGE_SENDING)
        return; /* mux and h1 refuse a second answer before it gets here */
    if (v && v->refused) {
        refused_afar(x, v);
        return;
    }
    if (h && h->status < 200 && h->status != 101) {
        x->front->ops->head(x->front, h, v);
        return;
    }
    if (h && h->status != 101 && holds_end(x) && x->ended[FROM_FRONT])
        x->back->ops->end(x->back, NULL);
    move(x, EXCHANGE_ANSWERING);
    x->facts.status = h ? h->status : 0;
    x->front->ops->head(x->front, h, v);
    if (h && h->status == 101 && x->front)
        begin_tunnel(x);
}

/* Before there is a back side a front has room for nothing, and can therefore have no trailers yet. */
size_t exchange_room(const struct exchange *x, enum exchange_from from)
{
    const struct side *sink = from == FROM_FRONT ? x->back : x->front;
    return sink ? sink->ops->room(sink) : 0;
}

void exchange_data(struct exchange *x, enum exchange_from from, struct bytes d)
{
    struct side *sink = from == FROM_FRONT ? x->back : x->front;
    if (!sink || x->state == EXCHANGE_OVER)
        return;
    if (from == FROM_FRONT)
        x->facts.bytes_up += d.len;
    else
        x->facts.bytes_down += d.len;
    sink->ops->data(sink, d);
}

/* A request is over when its answer is complete: what of its body has not been read by then is of no use to
 * anybody. */
static bool is_complete(const struct exchange *x)
{
    return x->ended[FROM_BACK] && (x->ended[FROM_FRONT] || !x->tunnel);
}

void exchange_end(struct exchange *x, enum exchange_from from, const struct http_head *trailers_or_null)
{
    struct side *sink = from == FROM_FRONT ? x->back : x->front;
    if (x->state == EXCHANGE_OVER || x->ended[from])
        return;
    x->ended[from] = true;
    if (from == FROM_FRONT && (!sink || holds_end(x)))
        return; /* told to the back side when there is one */
    sink->ops->end(sink, trailers_or_null);
    if (x->state != EXCHANGE_OVER && is_complete(x))
        finish(x);
}

void exchange_writable(struct exchange *x, enum exchange_from sink)
{
    struct side *source = sink == FROM_FRONT ? x->back : x->front;
    if (source && x->state != EXCHANGE_OVER)
        source->ops->resume(source);
}

/* --- losses -------------------------------------------------------------------------------- */

static bool may_resend(const struct exchange *x, enum exchange_loss loss)
{
    bool untouched = x->facts.bytes_up == 0 && !x->back_answered;
    if (loss == LOSS_REFUSED)
        return untouched;
    return loss == LOSS_STALE && untouched && is_http(x) && decide_replayable(&x->request);
}

static void back_lost(struct exchange *x, enum exchange_loss loss)
{
    x->back = NULL;
    if (x->state == EXCHANGE_SENDING && may_resend(x, loss)) {
        if (try_again(x, loss == LOSS_STALE))
            return;
    }
    if (loss == LOSS_BROKEN)
        give_up(x, FLAG_UPE, 502, "did not answer in HTTP");
    else if (loss == LOSS_REFUSED)
        give_up(x, FLAG_UO, 503, "refused the stream");
    else
        give_up(x, FLAG_UC, 502, "ended the connection");
}

void exchange_lost(struct exchange *x, enum exchange_from from, enum exchange_loss loss)
{
    struct side **side = from == FROM_FRONT ? &x->front : &x->back;
    if (x->state == EXCHANGE_OVER || !*side)
        return;
    (*side)->x = NULL;
    if (from == FROM_BACK) {
        back_lost(x, loss);
        return;
    }
    x->front = NULL;
    flag_once(x, loss == LOSS_BROKEN ? FLAG_DPE : FLAG_DC);
    finish(x);
}

static void look_for_silence(struct exchange *x, mono_ms now)
{
    uint64_t bytes = x->facts.bytes_up + x->facts.bytes_down;
    x->quiet_looks = bytes == x->looked_bytes ? (uint8_t)(x->quiet_looks + 1) : 0;
    x->looked_bytes = bytes;
    x->look_at = now + STALL_LOOK_MS;
    if (x->quiet_looks < STALL_LOOKS)
        return;
    struct exchange_refusal r =
        refusal_of(504, FLAG_SI, NULL, "nothing was said to or by %s for an hour", x->service);
    refuse(x, &r);
}

void exchange_rejudge(struct exchange *x, const struct view *now)
{
    struct decision d;
    char rule[FACT_NAME_MAX];
    if (x->state == EXCHANGE_OVER || x->state == EXCHANGE_NEW)
        return;
    decide_again(&d, now, bytes_str(x->caller), bytes_str(x->service), is_http(x) ? &x->request : NULL);
    if (d.allowed || !(x->facts.by_overlay || d.verdict.by_overlay))
        return;
    x->facts.by_overlay |= d.verdict.by_overlay;
    memcpy(rule, x->facts.rule, sizeof rule);
    refuse(x, &d.refusal);
    if (x->facts.overlay_allowed) /* it stays the one to answer for it */
        memcpy(x->facts.rule, rule, sizeof rule);
}

void exchange_tick(struct exchange *x, mono_ms now)
{
    if (x->state == EXCHANGE_OVER)
        return;
    if (now >= x->deadline) {
        struct exchange_refusal r = refusal_of(504, FLAG_UT, NULL, "%s did not answer in time", x->service);
        refuse(x, &r);
    } else if (x->deadline == NEVER && now >= x->look_at) {
        look_for_silence(x, now);
    }
}

mono_ms exchange_tick_at(const struct exchange *x)
{
    return x->deadline == NEVER ? x->look_at : x->deadline;
}

uint32_t exchange_left_ms(const struct exchange *x, mono_ms now)
{
    if (x->deadline == NEVER)
        return 0;
    uint64_t left = x->deadline > now ? x->deadline - now : 1;
    return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}
