#include "exchange/fault.h"

#include "base/rng.h"
#include "exchange/inner.h"
#include "exchange/tries.h"

struct fault_throw fault_throw(const struct policy_fault *f, uint64_t dice)
{
    struct rng r = rng_seeded(~dice); /* dice itself is thrown for other things */
    bool delays = f->delay_ms > 0 && rng_below(&r, POLICY_PPM) < f->delay_ppm;
    return (struct fault_throw){.delays = delays, .aborts = rng_below(&r, POLICY_PPM) < f->abort_ppm};
}

struct exchange_refusal fault_refusal(const struct policy_fault *f, uint64_t policy_version)
{
    struct exchange_refusal r = refusal_of((uint16_t)f->abort_status, FLAG_FI, f->name,
                                           "fault %s of policy %llu answers in the place of %s", f->name,
                                           (unsigned long long)policy_version, policy_service_name(f->to));
    r.policy_version = policy_version;
    return r;
}

struct exchange_refusal fault_late(const struct exchange *x)
{
    struct exchange_refusal r =
        refusal_of(504, FLAG_UT, x->facts.fault,
                   "fault %s of policy %llu held this up for longer than timeouts.request: %s was not asked",
                   x->facts.fault, (unsigned long long)x->view->policy_version, x->service);
    r.policy_version = x->view->policy_version;
    return r;
}

static void abort_by(struct exchange *x, const struct policy_fault *f)
{
    struct exchange_refusal r = fault_refusal(f, x->view->policy_version);
    x->facts.aborted = true;
    exchange_refuse(x, &r);
}

void fault_begin(struct exchange *x, const struct policy_fault *f, uint64_t dice)
{
    struct fault_throw t = fault_throw(f, dice);
    if (t.delays || t.aborts)
        exchange_copy_name(x->facts.fault, sizeof x->facts.fault, bytes_str(f->name));
    if (t.delays) {
        x->facts.delayed = true;
        x->aborts_by = t.aborts ? f : NULL;
        x->times.resume_at = exchange_now(x) + f->delay_ms;
        exchange_move(x, EXCHANGE_PAUSING);
        exchange_tell_owner(x);
    } else if (t.aborts) {
        abort_by(x, f);
    } else {
        tries_begin_near(x);
    }
}

void fault_over(struct exchange *x)
{
    if (x->aborts_by)
        abort_by(x, x->aborts_by);
    else
        tries_begin_near(x);
}
