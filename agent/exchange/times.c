#include "exchange/times.h"

#include "exchange/fault.h"
#include "exchange/inner.h"
#include "exchange/tries.h"

void times_begin_near(struct exchange *x, mono_ms now)
{
    const struct policy_timeouts *t = &x->route->timeouts;
    bool is_http = exchange_is_http(x);
    if (is_http && t->request_ms)
        x->times.deadline = now + t->request_ms;
    if (t->stream_ms)
        x->times.end_by = now + t->stream_ms;
    x->times.per_try_ms = is_http ? t->per_try_ms : 0;
    x->times.idle_ms = t->idle_ms;
    x->times.look_ms =
        t->idle_ms / IDLE_LOOKS > IDLE_LOOK_MS_MIN ? t->idle_ms / IDLE_LOOKS : IDLE_LOOK_MS_MIN;
    x->times.look_at = t->idle_ms ? now + x->times.look_ms : NEVER;
    x->times.stirred_at = now;
}

/* The near agent decides; what it keeps open for its caller is not ours to end. But it may be gone in a way that nobody told, or not
 * as honest as we: so an hour's silence, or what the policy here grants if that is more, is the end here too. */
void times_begin_far(struct exchange *x, uint32_t deadline_ms, mono_ms now)
{
    if (exchange_is_http(x) && deadline_ms)
        x->times.deadline = now + deadline_ms;
    x->times.idle_ms = FAR_IDLE_MS;
    x->times.look_ms = FAR_IDLE_MS / IDLE_LOOKS;
    x->times.look_at = now + x->times.look_ms;
    x->times.stirred_at = now;
}

bool times_request_sent(struct exchange *x)
{
    if (x->state != EXCHANGE_SENDING || !x->ended[FROM_FRONT] || x->times.per_try_ms == 0)
        return false;
    x->times.try_by = exchange_now(x) + x->times.per_try_ms;
    return true;
}

/* Only asked for after silence: how long the near agent, by the policy that it should have too, may let this one be silent. */
static uint64_t far_idle_ms(const struct exchange *x)
{
    uint64_t granted =
        decide_idle_ms(x->view, bytes_str(x->service), exchange_is_http(x) ? &x->request : NULL);
    uint64_t least = granted + granted / IDLE_LOOKS + FAR_IDLE_MS / IDLE_LOOKS; /* it goes first */
    return granted == 0 ? 0 : least > FAR_IDLE_MS ? least : FAR_IDLE_MS;
}

static void silent_for_too_long(struct exchange *x)
{
    struct exchange_refusal r = refusal_of(504, FLAG_SI, NULL, "nothing was said to or by %s for %llu s",
                                           x->service, (unsigned long long)x->times.idle_ms / 1000);
    exchange_refuse(x, &r);
}

static void look_for_silence(struct exchange *x, mono_ms now)
{
    if (x->times.stirs != x->times.looked_stirs)
        x->times.stirred_at = now;
    x->times.looked_stirs = x->times.stirs;
    if (x->role == EXCHANGE_FAR && x->times.stirred_at != now)
        x->times.idle_ms = far_idle_ms(x);
    if (x->times.idle_ms == 0)
        x->times.look_at = NEVER;
    else if (now - x->times.stirred_at >= x->times.idle_ms)
        silent_for_too_long(x);
    else
        x->times.look_at = mono_min(now + x->times.look_ms, x->times.stirred_at + x->times.idle_ms);
}

/* Who was held up from its beginning on has asked nobody who could be late. */
static struct exchange_refusal late(const struct exchange *x)
{
    if (x->facts.delayed && !x->tries.last)
        return fault_late(x);
    return refusal_of(504, FLAG_UT, NULL, "%s did not answer in time", x->service);
}

static void refuse_late(struct exchange *x)
{
    struct exchange_refusal r = late(x);
    tries_note(x, x->state == EXCHANGE_SEEKING ? TRY_UNREACHED : TRY_TIMEOUT, 504);
    exchange_refuse(x, &r);
}

static void refuse_long(struct exchange *x)
{
    struct exchange_refusal r =
        refusal_of(504, FLAG_DT, NULL, "this stream of %s has lasted as long as it may", x->service);
    exchange_refuse(x, &r);
}

void exchange_tick(struct exchange *x, mono_ms now)
{
    if (x->state == EXCHANGE_OVER)
        return;
    exchange_heard(x, now * 1000);
    if (now >= x->times.deadline)
        refuse_late(x);
    else if (now >= x->times.end_by)
        refuse_long(x);
    else if (x->state == EXCHANGE_PAUSING && now >= x->times.resume_at)
        exchange_resume(x);
    else if (x->state == EXCHANGE_SENDING && now >= x->times.try_by)
        tries_timed_out(x);
    else if (now >= x->times.look_at)
        look_for_silence(x, now);
}

mono_ms exchange_tick_at(const struct exchange *x)
{
    mono_ms at = mono_min(mono_min(x->times.deadline, x->times.end_by), x->times.look_at);
    if (x->state == EXCHANGE_PAUSING)
        return mono_min(at, x->times.resume_at);
    return x->state == EXCHANGE_SENDING ? mono_min(at, x->times.try_by) : at;
}

uint32_t exchange_left_ms(const struct exchange *x, mono_ms now)
{
    if (x->times.deadline == NEVER)
        return 0;
    uint64_t left = x->times.deadline > now ? x->times.deadline - now : 1;
    return left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}
