/* From a service, its subset and those that stand in for it to one endpoint. */
#include "exchange/aim.h"

#include "exchange/inner.h"

struct traffic_ask aim_ask_instead(const struct aim_ask *a, const struct policy_service *s)
{
    struct traffic_ask ask = {.view = a->view,
                              .service = view_service(a->view, bytes_str(policy_service_name(s))),
                              .settings = policy_service_settings(s),
                              .tried = a->tried,
                              .now = a->now};
    const struct policy_key *key = &ask.settings->load_balancer.key;
    ask.has_key = key->kind != KEY_NONE && decide_key(key, a->caller, a->head, &ask.key);
    return ask;
}

static struct traffic_ask ask_open(const struct aim_ask *a)
{
    struct traffic_ask ask = aim_ask_instead(a, a->service);
    ask.subset = a->subset;
    ask.failover_count = policy_failover(a->service, &ask.failover);
    return ask;
}

/* Near and far judge it as a call of that service, which is of the same protocol: the compiler saw to that. */
static bool may_call(const struct aim_ask *a, const struct policy_service *s)
{
    struct decision d;
    decide_again(&d, a->view, a->caller, bytes_str(policy_service_name(s)), a->head);
    return d.allowed;
}

struct traffic_ask aim_ask_own(const struct aim_ask *a)
{
    struct traffic_ask ask = ask_open(a);
    for (size_t i = 0; i < ask.failover_count; i++)
        if (!may_call(a, ask.failover[i]))
            ask.failover_barred |= UINT32_C(1) << i;
    return ask;
}

/* Of one that stands in, as a service of its own: its own `failover` is not followed. */
static struct aim aim_instead(struct traffic *t, const struct aim_ask *a, const struct policy_service *other)
{
    if (!may_call(a, other))
        return (struct aim){.service = other, .why = TRAFFIC_NO_INSTANCE};
    struct traffic_ask ask = aim_ask_instead(a, other);
    struct traffic_choice c = traffic_pick(t, &ask);
    return (struct aim){c.endpoint, other, c.why, c.panic};
}

/* The services of `failover` as further levels of a service that has none left; not for their panic: they were not thrown. */
static struct aim aim_farther(struct traffic *t, const struct aim_ask *a, const struct traffic_ask *own)
{
    for (size_t i = 0; a->is_retry && i < own->failover_count; i++) {
        if (own->failover_barred >> i & 1)
            continue;
        struct aim other = aim_instead(t, a, own->failover[i]);
        if (other.endpoint && !other.panic)
            return other;
    }
    return (struct aim){.service = a->service, .why = TRAFFIC_ALL_TRIED};
}

struct aim aim_at(struct traffic *t, const struct aim_ask *a)
{
    struct traffic_ask ask = ask_open(a);
    struct traffic_choice c;
    bool tried_all = false; /* of one that stands in */
    /* Each round but the last bars one more of the services that may stand in. */
    while ((c = traffic_pick(t, &ask)).why == TRAFFIC_FAILOVER) {
        struct aim other = aim_instead(t, a, ask.failover[c.failover]);
        if (other.endpoint)
            return other;
        tried_all |= other.why == TRAFFIC_ALL_TRIED;
        ask.failover_barred |= UINT32_C(1) << c.failover;
    }
    if (c.why == TRAFFIC_ALL_TRIED)
        return aim_farther(t, a, &ask);
    if (!c.endpoint && tried_all)
        c.why = TRAFFIC_ALL_TRIED;
    return (struct aim){c.endpoint, a->service, c.why, c.panic};
}

struct aim aim_next(const struct exchange *x)
{
    struct aim_ask ask = {.view = x->view,
                          .caller = bytes_str(x->caller),
                          .head = exchange_is_http(x) ? &x->request : NULL,
                          .service = x->asked,
                          .subset = x->wanted_subset,
                          .tried = &x->tries.tried,
                          .is_retry = x->tries.retries > 0,
                          .now = exchange_now(x)};
    return aim_at(x->traffic, &ask);
}
