#include "exchange/aim.h"

#include "exchange/inner.h"

static struct traffic_ask ask_for(const struct exchange *x, const struct policy_service *s)
{
    struct traffic_ask ask = {.view = x->view,
                              .service = view_service(x->view, bytes_str(policy_service_name(s))),
                              .settings = policy_service_settings(s),
                              .tried = &x->tried,
                              .now = exchange_now(x)};
    const struct policy_key *key = &ask.settings->load_balancer.key;
    ask.has_key = key->kind != KEY_NONE &&
                  decide_key(key, bytes_str(x->caller), exchange_is_http(x) ? &x->request : NULL, &ask.key);
    return ask;
}

/* Near and far judge it as a call of that service, which is of the same protocol: the compiler saw to that. */
static bool may_call(const struct exchange *x, const struct policy_service *s)
{
    struct decision d;
    decide_again(&d, x->view, bytes_str(x->caller), bytes_str(policy_service_name(s)),
                 exchange_is_http(x) ? &x->request : NULL);
    return d.allowed;
}

struct aim aim_next(const struct exchange *x)
{
    struct traffic_ask ask = ask_for(x, x->asked);
    struct traffic_choice c;
    ask.subset = x->wanted_subset;
    ask.failover_count = policy_failover(x->asked, &ask.failover);
    /* Each round but the last bars one more of the services that may stand in. */
    while ((c = traffic_pick(x->traffic, &ask)).why == TRAFFIC_FAILOVER) {
        const struct policy_service *other = ask.failover[c.failover];
        if (may_call(x, other)) {
            struct traffic_ask instead = ask_for(x, other);
            struct traffic_choice o = traffic_pick(x->traffic, &instead);
            if (o.endpoint)
                return (struct aim){o.endpoint, other, o.why, o.panic};
        }
        ask.failover_barred |= UINT32_C(1) << c.failover;
    }
    return (struct aim){c.endpoint, x->asked, c.why, c.panic};
}
