/* An exchange's life in a worker: made, given what it wants (an application's connection, a stream of a
 * link), timed, observed, reused. */
#include "worker/internal.h"

static void rearm(struct flow *f)
{
    mono_ms at = exchange_tick_at(&f->x);
    if (f->waiting.next)
        at = mono_min(at, f->connect_by);
    if (at != f->timer.at || !f->timer.node.next)
        wheel_set(&f->w->wheel, &f->timer, at);
}

static void on_timer(struct timer *t)
{
    struct flow *f = list_entry(t, struct flow, timer);
    exchange_tick(&f->x, worker_now(f->w));
    if (f->x.state == EXCHANGE_OVER)
        return;
    if (f->waiting.next && worker_now(f->w) >= f->connect_by) {
        list_remove(&f->waiting);
        exchange_back_failed(&f->x, ERR_TIMEOUT, worker_now_us(f->w));
    }
    if (f->x.state != EXCHANGE_OVER)
        rearm(f);
}

static struct flow *spare_take(struct worker *w)
{
    if (list_is_empty(&w->spare_flows))
        return malloc(sizeof(struct flow));
    struct flow *f = list_entry(w->spare_flows.head.next, struct flow, in_worker);
    list_remove(&f->in_worker);
    w->spare_flow_count--;
    return f;
}

static void bury_flow(struct grave *g)
{
    struct flow *f = list_entry(g, struct flow, grave);
    struct worker *w = f->w;
    if (w->spare_flow_count >= SPARE_FLOWS_MAX) {
        free(f);
        return;
    }
    w->spare_flow_count++;
    f->in_worker = (struct list_node){0};
    list_prepend(&w->spare_flows, &f->in_worker); /* the warmest first */
}

struct flow *flow_new(struct worker *w, enum exchange_role role, struct side *front)
{
    struct flow *f = spare_take(w);
    if (!f)
        return NULL;
    exchange_init(&f->x, role, w->view, w->traffic, front, &w->news, worker_now_us(w));
    f->timer = (struct timer){.fire = on_timer};
    f->grave = (struct grave){.bury = bury_flow};
    f->in_worker = f->waiting = (struct list_node){0};
    f->dialing = NULL;
    f->dial_cancel = NULL;
    f->connect_by = NEVER;
    f->w = w;
    list_append(&w->flows, &f->in_worker);
    metric_set(w->active, ++w->flow_count);
    return f;
}

void flow_start(struct flow *f, struct exchange_ask *ask, struct http_head *request_take)
{
    const struct view *v = f->x.view;
    ask->dice = rng_u64(&f->w->rng);
    if (v->policy && policy_has_faults(v->policy))
        ask->wall_now = view_wall(v, (wall_s)(net_wall_ms() / 1000));
    exchange_start(&f->x, ask, request_take, worker_now(f->w));
}

static void stop_waiting(struct flow *f)
{
    list_remove(&f->waiting);
    if (f->dialing)
        f->dial_cancel(f->dialing);
    f->dialing = NULL;
}

static void flow_end(struct flow *f)
{
    struct worker *w = f->w;
    stop_waiting(f);
    wheel_clear(&w->wheel, &f->timer);
    observe_facts(w, &f->x.facts);
    exchange_fini(&f->x);
    list_remove(&f->in_worker);
    metric_set(w->active, --w->flow_count);
    worker_bury(w, &f->grave);
}

static void seek(struct flow *f)
{
    if (f->x.mirror_to)
        mirror_begin(f);
    if (!f->x.insists) /* who insists goes on waiting for the same endpoint */
        f->connect_by = worker_now(f->w) + f->x.connect_ms;
    if (f->x.app.port == 0)
        peer_want(f);
    else if (f->x.facts.protocol == PROTOCOL_HTTP)
        back_http_want(f);
    else
        raw_dial(f);
    if (f->waiting.next || f->dialing)
        exchange_waiting(&f->x);
    if (f->x.state == EXCHANGE_SEEKING)
        rearm(f);
}

void flow_news(struct worker *w)
{
    while (!list_is_empty(&w->news)) {
        struct flow *f = flow_of(list_entry(w->news.head.next, struct exchange, news));
        list_remove(&f->x.news);
        if (f->x.state == EXCHANGE_OVER)
            flow_end(f);
        else if (f->x.state == EXCHANGE_SEEKING)
            seek(f);
        else
            rearm(f);
    }
}

/* A client may leave in the very batch of events in which its dial ends: then the exchange is over, and flow_end(), which is due
 * in this turn, drops the connection. */
void flow_dial_done(struct flow *f, struct side *back)
{
    if (f->x.state == EXCHANGE_OVER)
        return;
    f->dialing = NULL;
    exchange_back_ready(&f->x, back, worker_now_us(f->w));
    if (f->x.state != EXCHANGE_OVER)
        rearm(f);
}

void flow_dial_failed(struct flow *f, enum err why)
{
    f->dialing = NULL;
    if (f->x.state != EXCHANGE_OVER)
        exchange_back_failed(&f->x, why, worker_now_us(f->w));
}

static const struct policy_overlay *overlay_of(const struct policy *p)
{
    return p ? policy_overlay(p) : NULL;
}

/* Only where an overlay went, or denies: at all other times nobody looks. */
void flows_judge(struct worker *w, const struct policy *before)
{
    const struct policy_overlay *was = overlay_of(before), *is = overlay_of(w->view->policy);
    if (before == w->view->policy || !((was && was->name) || (is && is->denies)))
        return;
    list_each_safe (struct flow, f, &w->flows, in_worker)
        exchange_rejudge(&f->x, w->view);
}

void flows_free_all(struct worker *w)
{
    list_each_safe (struct flow, f, &w->flows, in_worker) {
        stop_waiting(f);
        wheel_clear(&w->wheel, &f->timer);
        exchange_fini(&f->x);
        list_remove(&f->in_worker);
        free(f);
    }
    list_each_safe (struct flow, f, &w->spare_flows, in_worker)
        free(f);
    list_init(&w->spare_flows);
    w->flow_count = 0;
}
