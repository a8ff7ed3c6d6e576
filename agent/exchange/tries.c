/* Which endpoint is tried, when the back side comes or does not, and what is tried after it. */
#include <assert.h>
#include <stdio.h>

#include "exchange/guard.h"
#include "base/rng.h"
#include "exchange/aim.h"
#include "exchange/inner.h"
#include "exchange/retry.h"
#include "exchange/times.h"
#include "exchange/tries.h"

/* --- choosing ------------------------------------------------------------------------------ */

void tries_note(struct exchange *x, enum traffic_end_kind kind, uint16_t status)
{
    uint64_t us = x->now_us - x->tries.began_us;
    if (x->tries.outcome.kind != TRY_CANCELLED)
        return; /* what was first known of it counts */
    x->tries.outcome = (struct traffic_outcome){kind, status, us < UINT32_MAX ? (uint32_t)us : UINT32_MAX};
    guard_tried(x, &x->tries.outcome); /* now: what has begun may last for hours */
}

void tries_leave(struct exchange *x)
{
    if (x->endpoint) {
        guard_waited(x);
        if (x->tries.outcome.kind == TRY_CANCELLED)
            guard_tried(x, &x->tries.outcome);
        traffic_end(x->traffic, x->tries.load, &x->tries.outcome, exchange_now(x));
    }
    x->tries.load = NULL;
    x->endpoint = NULL;
}

static void seek(struct exchange *x)
{
    if (x->state != EXCHANGE_SEEKING)
        exchange_move(x, EXCHANGE_SEEKING);
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

/* And its limits are asked, as a far agent would. */
static bool local_lets_in(struct exchange *x)
{
    return x->endpoint->node || guard_rate(x, policy_service(x->view->policy, bytes_str(x->service)));
}

static void take(struct exchange *x, const struct aim *aim)
{
    const struct view_endpoint *e = aim->endpoint;
    tries_leave(x);
    exchange_copy_name(x->service, sizeof x->service, bytes_str(e->service));
    x->facts.failover = aim->service != x->asked;
    x->facts.panic |= aim->panic;
    traffic_tried_add(&x->tries.tried, e);
    x->tries.load = traffic_begin(x->traffic, e);
    x->tries.outcome = (struct traffic_outcome){.kind = TRY_CANCELLED};
    x->tries.began_us = x->now_us;
    x->insists = x->fresh = false;
    x->endpoint = x->tries.last = e;
    guard_chosen(x);
    x->app = e->node ? (struct addr){0} : e->local;
    x->facts.local = !e->node;
    x->facts.endpoint = e->node ? e->node->id : (struct node_id){{0}};
}

/* Never the one just tried while another remains: those that were not tried at all, then all but the last, then the last too. */
static struct aim pick_once_more(struct exchange *x)
{
    struct aim aim = aim_next(x);
    if (!aim.endpoint && aim.why == TRAFFIC_ALL_TRIED && x->tries.last) {
        x->tries.tried = (struct traffic_tried){.count = 1, .at = {x->tries.last}};
        aim = aim_next(x);
    }
    if (!aim.endpoint && aim.why == TRAFFIC_ALL_TRIED) {
        x->tries.tried.count = 0;
        aim = aim_next(x);
    }
    return aim;
}

static void choose(struct exchange *x)
{
    struct aim aim = pick_once_more(x);
    if (!aim.endpoint) {
        struct exchange_refusal r =
            decide_no_endpoint(policy_service_name(aim.service), x->wanted_subset, aim.why);
        exchange_refuse(x, &r);
        return;
    }
    take(x, &aim);
    if (local_is_fair(x) && local_lets_in(x))
        seek(x);
}

/* How much of the body is worth keeping: nothing, if no retry could ever use it; and no more than it says to have. */
static size_t replay_max(const struct exchange *x)
{
    const struct policy_retry *r = &x->route->retry;
    const struct http_head *h = exchange_is_http(x) ? &x->request : NULL;
    uint64_t max = x->settings->limits.replay_body_bytes;
    bool is_of_use = r->on_connect_failure || (h && (r->on_refused_stream || decide_idempotent(h)));
    if (r->attempts == 0 || x->facts.mirrored || !is_of_use)
        return 0;
    if (!h || h->body != HTTP_BODY_LENGTH)
        return (size_t)max;
    return h->content_length <= max ? (size_t)h->content_length : 0;
}

void tries_begin_near(struct exchange *x)
{
    struct traffic_shared *shared = traffic_shared_of(x->traffic);
    if (!guard_enter(x))
        return;
    if (x->route->retry.attempts > 0 && !x->facts.mirrored)
        budget_count(&shared->budgets, policy_service_name(x->asked), &x->route->retry, exchange_now(x));
    replay_begin(&x->tries.replay, replay_max(x), &shared->replay_bytes);
    choose(x);
}

void tries_begin_far(struct exchange *x, const struct addr *app)
{
    x->app = *app;
    x->facts.local = true;
    seek(x);
}

/* --- again --------------------------------------------------------------------------------- */

static enum retry_outcome may_retry(const struct exchange *x, const struct retry_case *c, uint64_t *wait_ms)
{
    const struct policy_retry *rules = &x->route->retry;
    enum retry_outcome o = retry_decide(rules, c);
    if (o != RETRY_MADE)
        return o;
    struct rng rng = rng_seeded(x->dice + x->tries.retries);
    *wait_ms = retry_backoff_ms(rules, x->tries.retries, rng_u64(&rng));
    if (exchange_now(x) + *wait_ms >= x->times.deadline)
        return RETRY_LATE;
    struct budgets *budgets = &traffic_shared_of(x->traffic)->budgets;
    bool granted = budget_take(budgets, policy_service_name(x->asked), rules, exchange_now(x));
    return granted ? RETRY_MADE : RETRY_BUDGET;
}

static void pause_for(struct exchange *x, uint64_t wait_ms)
{
    exchange_drop_back(x);
    tries_leave(x);
    replay_rewind(&x->tries.replay);
    exchange_move(x, EXCHANGE_PAUSING);
    x->times.resume_at = exchange_now(x) + wait_ms;
    exchange_tell_owner(x);
}

bool tries_again(struct exchange *x, enum retry_cause cause, uint16_t status)
{
    if (x->role != EXCHANGE_NEAR || x->facts.mirrored)
        return false; /* who chose decides; nobody waits for a copy */
    bool is_http = exchange_is_http(x);
    struct retry_case c = {.cause = cause,
                           .status = is_http ? status : 0,
                           .is_idempotent = is_http && decide_idempotent(&x->request),
                           .is_whole = replay_is_whole(&x->tries.replay),
                           .retries = x->tries.retries};
    uint64_t wait_ms = 0;
    enum retry_outcome o = may_retry(x, &c, &wait_ms);
    if (o != RETRY_MADE) {
        x->facts.wish = o;
        x->facts.wish_cause = cause;
        return false;
    }
    x->tries.retries++;
    x->facts.retries[cause]++;
    pause_for(x, wait_ms);
    return true;
}

void tries_resume(struct exchange *x)
{
    choose(x);
}

/* --- the back side comes and goes ---------------------------------------------------------- */

bool tries_hold_end(const struct exchange *x)
{
    return exchange_is_http(x) && x->request.upgrade.len > 0 && !x->tunnel && x->state != EXCHANGE_ANSWERING;
}

void tries_let_go(struct exchange *x)
{
    bool is_last = x->role == EXCHANGE_NEAR && x->tries.retries >= x->route->retry.attempts;
    if ((is_last || x->state == EXCHANGE_ANSWERING) && !replay_is_due(&x->tries.replay))
        replay_drop(&x->tries.replay);
}

static void end_with_kept(struct exchange *x)
{
    struct http_head trailers; /* 3 KiB: not on the way of those that have none */
    replay_trailers_of(&x->tries.replay, &trailers);
    x->back->ops->end(x->back, &trailers);
    http_head_fini(&trailers);
}

bool tries_send_kept(struct exchange *x)
{
    while (replay_is_due(&x->tries.replay)) {
        size_t room = x->back->ops->room(x->back);
        if (room == 0)
            return false;
        x->back->ops->data(x->back, replay_next(&x->tries.replay, room));
    }
    if (x->ended[FROM_FRONT] && !tries_hold_end(x)) {
        if (x->tries.replay.has_trailers)
            end_with_kept(x);
        else
            x->back->ops->end(x->back, NULL);
    }
    tries_let_go(x);
    return true;
}

void exchange_waiting(struct exchange *x)
{
    if (x->state == EXCHANGE_SEEKING)
        (void)guard_wait(x);
}

void exchange_back_ready(struct exchange *x, struct side *back, mono_us now_us)
{
    assert(x->state == EXCHANGE_SEEKING && !x->back);
    exchange_heard(x, now_us);
    guard_waited(x);
    exchange_move(x, EXCHANGE_SENDING);
    x->back = back;
    x->back_answered = false;
    back->x = x;
    if (!exchange_give_request(x))
        return;
    (void)times_request_sent(x); /* the owner looks as it is */
    if (tries_send_kept(x))
        x->front->ops->resume(x->front);
}

static void name_of_target(const struct exchange *x, char *out, size_t cap)
{
    if (x->endpoint && x->endpoint->node)
        snprintf(out, cap, "the agent %s of %s", x->endpoint->node->name, x->service);
    else
        snprintf(out, cap, "the application %s", x->service);
}

/* Whoever of its service was asked: it is the application that is waited for. */
static void name_of_instance(const struct exchange *x, char *out, size_t cap)
{
    bool is_away = x->endpoint && x->endpoint->node;
    snprintf(out, cap, "%s on %s", x->service, is_away ? x->endpoint->node->name : "this host");
}

enum exchange_flag tries_flag(const struct exchange *x, enum exchange_flag f)
{
    return x->facts.wish == RETRY_ATTEMPTS && x->tries.retries > 0 ? FLAG_URX : f;
}

static void give_up_on(struct exchange *x, const char *who, enum exchange_flag flag, uint16_t status,
                       const char *what)
{
    struct exchange_refusal r = refusal_of(status, tries_flag(x, flag), NULL, "%s %s%s", who, what,
                                           retry_outcome_words(x->facts.wish));
    exchange_refuse(x, &r);
}

static void give_up(struct exchange *x, enum exchange_flag flag, uint16_t status, const char *what)
{
    char target[160];
    name_of_target(x, target, sizeof target);
    give_up_on(x, target, flag, status, what);
}

/* The endpoint was not even asked: another one that was not tried, or, if there is none, this one all the same, once; a pause after
 * a failure is no reason to refuse a request. Beyond TRAFFIC_TRIED_MAX nobody knows any more who was passed over: looking on
 * among hosts that are all in their pause would never end. */
static bool pass_over(struct exchange *x)
{
    if (!x->endpoint || x->insists)
        return false;
    struct aim aim = x->tries.tried.count < TRAFFIC_TRIED_MAX ? aim_next(x) : (struct aim){0};
    if (!aim.endpoint) {
        x->insists = true;
        seek(x);
        return true;
    }
    take(x, &aim);
    if (local_is_fair(x) && local_lets_in(x))
        seek(x);
    return true;
}

void exchange_back_failed(struct exchange *x, enum err why, mono_us now_us)
{
    assert(x->state == EXCHANGE_SEEKING);
    exchange_heard(x, now_us);
    guard_waited(x);
    if (why == ERR_AGAIN && pass_over(x))
        return;
    bool is_ours = why == ERR_LIMIT || why == ERR_FULL || why == ERR_NOMEM;
    tries_note(x, is_ours ? TRY_CANCELLED : TRY_UNREACHED, 503);
    if (tries_again(x, RETRY_CONNECT_FAILURE, 503))
        return;
    char what[80];
    snprintf(what, sizeof what, "could not be reached: %s", err_text(why));
    give_up(x, why == ERR_LIMIT || why == ERR_FULL ? FLAG_UO : FLAG_UF, 503, what);
}

/* A connection of the pool's had been closed before it could say a byte. Where nothing can have happened twice it is replaced, at the
 * far agent too: that is no retry of the policy's. */
static bool replace_stale(struct exchange *x)
{
    bool untouched = x->facts.bytes_up == 0 && !x->back_answered;
    if (x->fresh || !untouched || !exchange_is_http(x) || !decide_replayable(&x->request))
        return false;
    x->fresh = x->facts.resent = true;
    seek(x);
    return true;
}

void tries_back_lost(struct exchange *x, enum exchange_loss loss)
{
    static const struct {
        enum exchange_flag flag;
        uint16_t status;
        enum retry_cause cause;
        enum traffic_end_kind kind;
        const char *what;
    } of[] = {
        [LOSS_CUT] = {FLAG_UC, 502, RETRY_STATUS, TRY_RESET, "ended the connection"},
        [LOSS_STALE] = {FLAG_UC, 502, RETRY_STATUS, TRY_RESET, "ended the connection"},
        [LOSS_BROKEN] = {FLAG_UPE, 502, RETRY_STATUS, TRY_RESET, "did not answer in HTTP"},
        [LOSS_REFUSED] = {FLAG_UO, 503, RETRY_REFUSED_STREAM, TRY_UNREACHED, "refused the stream"},
    };
    bool is_open = x->state == EXCHANGE_SENDING;
    if (is_open && loss == LOSS_STALE && replace_stale(x))
        return;
    tries_note(x, of[loss].kind, of[loss].status);
    /* Who has answered has looked at it. */
    enum retry_cause cause = x->back_answered ? RETRY_STATUS : of[loss].cause;
    if (!is_open || !tries_again(x, cause, of[loss].status))
        give_up(x, of[loss].flag, of[loss].status, of[loss].what);
}

void tries_timed_out(struct exchange *x)
{
    char who[160], what[80];
    tries_note(x, TRY_TIMEOUT, 504);
    if (tries_again(x, RETRY_TIMEOUT, 504))
        return;
    name_of_instance(x, who, sizeof who);
    snprintf(what, sizeof what, "did not answer within %llu ms (timeouts.perTry)",
             (unsigned long long)x->times.per_try_ms);
    give_up_on(x, who, FLAG_UT, 504, what);
}
