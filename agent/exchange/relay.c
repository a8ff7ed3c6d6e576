/* Messages on their way from one side to the other. */
#include "exchange/edit.h"
#include "exchange/inner.h"
#include "exchange/tries.h"

/* Edits are for the application: another agent makes them itself. */
static bool is_edited(const struct exchange *x)
{
    return x->edits && x->facts.local;
}

static void refuse_edited(struct exchange *x, enum err why, uint16_t status, const char *what)
{
    struct exchange_refusal r =
        refusal_of(status, FLAG_UO, NULL, "%s, as route %s of %s edits it, %s", what, x->edits->name,
                   policy_service_name(x->edits_of),
                   why == ERR_LIMIT ? "has too many headers" : "takes too much memory");
    exchange_refuse(x, &r);
}

bool exchange_give_request(struct exchange *x)
{
    struct edited e; /* 3 KiB, written as far as needed */
    if (!is_edited(x)) {
        x->back->ops->head(x->back, exchange_is_http(x) ? &x->request : NULL, NULL);
        return true;
    }
    enum err why = edit_request(&e, x->edits_of, x->edits, bytes_str(x->caller), &x->request);
    if (why)
        refuse_edited(x, why, 431, "the request");
    else
        x->back->ops->head(x->back, &e.head, NULL);
    edited_fini(&e);
    return !why;
}

/* The application's final answer, or another agent's word for word. False: it cannot be edited, and was refused. */
static bool give_answer(struct exchange *x, const struct http_head *h, const struct mesh_verdict *v)
{
    struct edited e;
    bool edits = h && is_edited(x) &&
                 x->edits->response_headers.set_count + x->edits->response_headers.remove_count > 0;
    enum err why = edits ? edit_response(&e, x->edits, h) : ERR_OK;
    if (why) {
        refuse_edited(x, why, 502, "the answer");
    } else {
        exchange_move(x, EXCHANGE_ANSWERING);
        x->facts.status = h ? h->status : 0;
        x->front->ops->head(x->front, edits ? &e.head : h, v);
    }
    if (edits)
        edited_fini(&e);
    return !why;
}

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
    if (!give_answer(x, h, v))
        return;
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
