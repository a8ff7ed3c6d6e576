/* Messages on their way from one side to the other. */
#include "exchange/edit.h"
#include "exchange/inner.h"
#include "exchange/retry.h"
#include "exchange/times.h"
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
        tries_let_go(x);
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
    x->times.deadline =
        NEVER; /* the request's time is over with its answer; what follows lives as long as its ends */
    x->ended[FROM_FRONT] = false;
    x->front->ops->resume(x->front);
}

/* What another agent's refusal says of the try. */
static void note_refusal(struct exchange *x, const struct exchange_refusal *r, enum retry_cause cause)
{
    bool is_reset = r->flag == FLAG_UC || r->flag == FLAG_UPE;
    enum traffic_end_kind kind = cause == RETRY_CONNECT_FAILURE ? TRY_UNREACHED
                                 : r->flag == FLAG_UT           ? TRY_TIMEOUT
                                 : is_reset                     ? TRY_RESET
                                                                : TRY_ANSWERED;
    tries_note(x, kind, r->status);
}

/* A failure is that of one host; what the policy decided would be the same on any. */
static void add_host(const struct exchange *x, struct exchange_refusal *r)
{
    if (r->rule || !x->endpoint || !x->endpoint->node)
        return;
    refusal_add(r, " (on ");
    refusal_add(r, x->endpoint->node->name);
    refusal_add(r, ")");
}

/* The far agent's refusal, in our words to our client, unless it is tried again. */
static void refused_afar(struct exchange *x, const struct mesh_verdict *v)
{
    char rule[FACT_NAME_MAX];
    struct exchange_refusal r;
    if (!refusal_of_line(&r, v->flag, v->reason, rule))
        r = refusal_of(502, FLAG_UPE, NULL, "the far agent refused without saying why");
    enum retry_cause cause = retry_cause_of(r.flag, r.status);
    note_refusal(x, &r, cause);
    if (tries_again(x, cause, r.status))
        return;
    r.flag = tries_flag(x, r.flag);
    add_host(x, &r);
    refusal_add(&r, retry_outcome_words(x->facts.wish));
    x->facts.refused_afar = true;
    exchange_refuse(x, &r);
}

/* A second try may be told to go on with a body that is on its way already: its client hears that once. */
static void pass_interim(struct exchange *x, const struct http_head *h, const struct mesh_verdict *v)
{
    if (h->status != 100 || !x->tries.continued)
        x->front->ops->head(x->front, h, v);
    x->tries.continued |= h->status == 100;
}

/* 101 without having been asked: an application's is refused by its reader (P19), another agent may be stolen. A tunnel has no
 * deadline; nobody gets one who did not ask for it. */
static bool is_unasked(const struct exchange *x, const struct http_head *h)
{
    return h && h->status == 101 && x->request.upgrade.len == 0;
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
    if (is_unasked(x, h)) {
        exchange_drop_back(x);
        tries_back_lost(x, LOSS_BROKEN);
        return;
    }
    x->times.stirs++;
    if (h && h->status < 200 && h->status != 101) {
        pass_interim(x, h, v);
        return;
    }
    tries_note(x, TRY_ANSWERED, h ? h->status : 0);
    if (h && h->status >= POLICY_RETRY_STATUS_FIRST) {
        if (tries_again(x, RETRY_STATUS, h->status))
            return;
        exchange_flag_once(x, tries_flag(x, FLAG_NONE));
    }
    if (h && h->status != 101 && tries_hold_end(x) && x->ended[FROM_FRONT])
        x->back->ops->end(x->back, NULL);
    if (!give_answer(x, h, v))
        return;
    if (h && h->status == 101 && x->front)
        begin_tunnel(x);
}

/* Before there is a back side a front has room for nothing; one that may have trailers ends only when it has some (exchange.h). */
size_t exchange_room(const struct exchange *x, enum exchange_from from)
{
    const struct side *sink = from == FROM_FRONT ? x->back : x->front;
    if (from == FROM_FRONT && replay_is_due(&x->tries.replay))
        return 0; /* what came before goes first; exchange_writable() then says so */
    return sink ? sink->ops->room(sink) : 0;
}

void exchange_data(struct exchange *x, enum exchange_from from, struct bytes d)
{
    struct side *sink = from == FROM_FRONT ? x->back : x->front;
    if (!sink || x->state == EXCHANGE_OVER)
        return;
    x->times.stirs++;
    if (from == FROM_FRONT)
        x->facts.bytes_up += d.len;
    else
        x->facts.bytes_down += d.len;
    sink->ops->data(sink, d);
    if (from == FROM_FRONT && x->tap)
        x->tap->ops->data(x->tap, d);
    if (from == FROM_FRONT && x->state == EXCHANGE_SENDING)
        replay_data(&x->tries.replay, d);
}

/* A request is over when its answer is complete: what of its body has not been read by then is of no use to
 * anybody. */
static bool is_complete(const struct exchange *x)
{
    return x->ended[FROM_BACK] && (x->ended[FROM_FRONT] || !x->tunnel);
}

static void end_tap(struct exchange *x, const struct http_head *trailers_or_null)
{
    struct tap *t = x->tap;
    x->tap = NULL;
    if (t)
        t->ops->end(t, trailers_or_null);
}

void exchange_end(struct exchange *x, enum exchange_from from, const struct http_head *trailers_or_null,
                  mono_us now_us)
{
    struct side *sink = from == FROM_FRONT ? x->back : x->front;
    if (x->state == EXCHANGE_OVER || x->ended[from])
        return;
    exchange_heard(x, now_us);
    x->ended[from] = true;
    if (from == FROM_FRONT)
        end_tap(x, trailers_or_null);
    if (from == FROM_FRONT && times_request_sent(x))
        exchange_tell_owner(x);
    if (from == FROM_FRONT && (!sink || tries_hold_end(x) || replay_is_due(&x->tries.replay)))
        return; /* told to the back side when there is one, and it has what came before */
    if (from == FROM_FRONT && trailers_or_null && x->state == EXCHANGE_SENDING)
        replay_trailers(&x->tries.replay, trailers_or_null);
    sink->ops->end(sink, trailers_or_null);
    if (x->state != EXCHANGE_OVER && is_complete(x))
        exchange_finish(x);
}

void exchange_writable(struct exchange *x, enum exchange_from sink)
{
    struct side *source = sink == FROM_FRONT ? x->back : x->front;
    if (sink == FROM_BACK && x->back && replay_is_due(&x->tries.replay) && !tries_send_kept(x))
        return;
    if (source && x->state != EXCHANGE_OVER)
        source->ops->resume(source);
}
