/* Whom a try is for: an endpoint of the service that was asked for, or of one of its `failover` when too few of its own are healthy,
 * and the caller may call that one too. Decides, and changes nothing. */
#ifndef EXCHANGE_AIM_H
#define EXCHANGE_AIM_H

#include "exchange/exchange.h"

struct aim {
    const struct view_endpoint *endpoint; /* of the pinned view; NULL: there is none, `why` says why */
    const struct policy_service *service; /* whose it is; not the one asked for: a failover */
    enum traffic_why why;
    bool panic;
};
/* For the next try of a near exchange. */
struct aim aim_next(const struct exchange *x);

#endif
