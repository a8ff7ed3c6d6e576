/* Messages on their way from one side to the other. */
#include "exchange/inner.h"
#include "exchange/tries.h"

static void begin_tunnel(struct exchange *x)
{
    x->tunnel = true;
    x->deadline =
        NEVER; /* the request's time is over with its answer; what follows lives as long as its ends */
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
    exchange_refuse(x, &r);
}

void exchange_head(struct exchange *x, const struct http_head *h, const struct mesh_verdict *v,
                   mono_us now_us)
{
    exchange_heard(x, now_us);
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
    if (h && h->status != 101 && tries_hold_end(x) && x->ended[FROM_FRONT])
        x->back->ops->end(x->back, NULL);
    exchange_move(x, EXCHANGE_ANSWERING);
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

void exchange_end(struct exchange *x, enum exchange_from from, const struct http_head *trailers_or_null,
                  mono_us now_us)
{
    struct side *sink = from == FROM_FRONT ? x->back : x->front;
    if (x->state == EXCHANGE_OVER || x->ended[from])
        return;
    exchange_heard(x, now_us);
    x->ended[from] = true;
    if (from == FROM_FRONT && (!sink || tries_hold_end(x)))
        return; /* told to the back side when there is one */
    sink->ops->end(sink, trailers_or_null);
    if (x->state != EXCHANGE_OVER && is_complete(x))
        exchange_finish(x);
}

void exchange_writable(struct exchange *x, enum exchange_from sink)
{
    struct side *source = sink == FROM_FRONT ? x->back : x->front;
    if (source && x->state != EXCHANGE_OVER)
        source->ops->resume(source);
}
