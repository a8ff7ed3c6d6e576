/* Whom a try is for: an endpoint of the service that was asked for, or of one of its `failover` when too few of its own are healthy,
 * and the caller may call that one too. Decides, and changes nothing. */
#ifndef EXCHANGE_AIM_H
#define EXCHANGE_AIM_H

#include "exchange/exchange.h"

/* A request that wants an endpoint. Borrowed for the call; all of one view and its policy. */
struct aim_ask {
    const struct view *view;
    struct bytes caller;
    const struct http_head *head; /* NULL: tcp */
    const struct policy_service *service;
    const struct policy_subset *subset; /* NULL: any instance */
    const struct traffic_tried *tried;  /* NULL: none */
    bool
        is_retry; /* when all of the service have been tried, those that stand in come before one of them again */
    mono_ms now;
};
struct aim {
    const struct view_endpoint *endpoint; /* of the pinned view; NULL: there is none, `why` says why */
    const struct policy_service *service; /* whose it is; not the one asked for: a failover */
    enum traffic_why why;
    bool panic;
};
struct aim aim_at(struct traffic *t, const struct aim_ask *ask);
/* For the next try of a near exchange. */
struct aim aim_next(const struct exchange *x);

/* For who wants to know how it is chosen: what is asked of the service itself, with each of `failover` barred that the caller may not
 * call, and of a service that stands in for it. */
struct traffic_ask aim_ask_own(const struct aim_ask *ask);
struct traffic_ask aim_ask_instead(const struct aim_ask *ask, const struct policy_service *other);

#endif
