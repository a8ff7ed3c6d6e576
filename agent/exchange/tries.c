/* Which endpoint is tried, when the back side comes or does not, and what is tried after it. */
#include <assert.h>
#include <stdio.h>

#include "exchange/inner.h"
#include "exchange/tries.h"

void tries_leave(struct exchange *x)
{
    if (x->endpoint)
        traffic_end(x->traffic, x->endpoint, &(struct traffic_outcome){.kind = TRY_CANCELLED},
                    exchange_now(x));
    x->endpoint = NULL;
}

static void seek(struct exchange *x)
{
    if (x->state != EXCHANGE_SEEKING)
        exchange_move(x, EXCHANGE_SEEKING);
    x->tries++;
    x->facts.retried |= x->tries > 1;
    exchange_tell_owner(x);
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
    exchange_refuse(x, &r);
    return false;
}

static struct traffic_choice pick(struct exchange *x)
{
    struct traffic_ask ask = {.view = x->view,
                              .service = view_service(x->view, bytes_str(x->service)),
                              .subset = x->wanted_subset,
                              .settings = x->settings,
                              .tried = &x->tried,
                              .now = exchange_now(x)};
    return traffic_pick(x->traffic, &ask);
}

static bool choose(struct exchange *x)
{
    tries_leave(x);
    x->insists = false;
    struct traffic_choice c = pick(x);
    const struct view_endpoint *e = c.endpoint;
    if (!e) {
        struct exchange_refusal r = decide_no_endpoint(x->service, x->wanted_subset, c.why);
        exchange_refuse(x, &r);
        return false;
    }
    traffic_tried_add(&x->tried, e);
    traffic_begin(x->traffic, e, exchange_now(x));
    x->endpoint = e;
    x->app = e->node ? (struct addr){0} : e->local;
    x->facts.local = !e->node;
    x->facts.endpoint = e->node ? e->node->id : (struct node_id){{0}};
    return true;
}

void tries_begin_near(struct exchange *x)
{
    if (choose(x) && local_is_fair(x))
        seek(x);
}

void tries_begin_far(struct exchange *x, const struct addr *app)
{
    x->app = *app;
    x->facts.local = true;
    seek(x);
}

/* --- the back side comes and goes ---------------------------------------------------------- */

bool tries_hold_end(const struct exchange *x)
{
    return exchange_is_http(x) && x->request.upgrade.len > 0 && !x->tunnel && x->state != EXCHANGE_ANSWERING;
}

void exchange_back_ready(struct exchange *x, struct side *back, mono_us now_us)
{
    assert(x->state == EXCHANGE_SEEKING && !x->back);
    exchange_heard(x, now_us);
    exchange_move(x, EXCHANGE_SENDING);
    x->back = back;
    x->back_answered = false;
    back->x = x;
    if (!exchange_give_request(x))
        return;
    if (x->ended[FROM_FRONT] && !tries_hold_end(x))
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
    if (x->role != EXCHANGE_NEAR || !pick(x).endpoint)
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
    exchange_refuse(x, &r);
}

void exchange_back_failed(struct exchange *x, enum err why, mono_us now_us)
{
    assert(x->state == EXCHANGE_SEEKING);
    exchange_heard(x, now_us);
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

static bool may_resend(const struct exchange *x, enum exchange_loss loss)
{
    bool untouched = x->facts.bytes_up == 0 && !x->back_answered;
    if (loss == LOSS_REFUSED)
        return untouched;
    return loss == LOSS_STALE && untouched && exchange_is_http(x) && decide_replayable(&x->request);
}

void tries_back_lost(struct exchange *x, enum exchange_loss loss)
{
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
