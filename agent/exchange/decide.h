/* The decisions of an exchange as functions of const state. */
#ifndef EXCHANGE_DECIDE_H
#define EXCHANGE_DECIDE_H

#include "exchange/exchange.h"
#include "exchange/refusal.h"

/* The service a Host names: its name alone, or followed by ".<mesh>" or ".mesh"; the port is of no interest
 * here. NULL: none. */
const struct policy_service *decide_service(const struct policy *p, const char *mesh, struct bytes authority);

struct decision {
    bool allowed;
    const struct policy_service *asked;   /* whose route it is */
    const struct policy_service *service; /* whose endpoint answers */
    const struct policy_subset *subset;
    const struct policy_route
        *route; /* far: NULL also where nothing is done by it (policy_far_wants_route()) */
    struct policy_verdict verdict;
    const struct policy_fault
        *fault; /* near, of an allowed request: what disturbs it by chance; NULL: nothing */
    struct exchange_refusal refusal; /* when not allowed; else not even cleared */
};
/* Service, route, target, intention, as the near agent sees them. */
void decide_near(struct decision *d, const struct view *v, const struct exchange_ask *ask,
                 const struct http_head *head_or_null);
/* The caller's identity and the intention, as the far agent sees them. A service that the policy does not
 * know is answered like one that is denied (M12). The route is one of the service that was asked for where our own policy lets ours
 * take its place (failover), else of ours. */
void decide_far(struct decision *d, const struct view *v, const struct exchange_ask *ask,
                const struct http_head *head_or_null);
/* The intention alone, for one that was allowed before: by this view, for its target. */
void decide_again(struct decision *d, const struct view *v, struct bytes caller, struct bytes service,
                  const struct http_head *head_or_null);
/* The engine's view of a request; `h` is NULL for tcp. Borrows all, and keeps the headers in `space`, of HTTP_HEADERS_MAX: the two
 * rooms' header types are each their own. */
struct policy_request decide_request(struct bytes caller, const struct http_head *head_or_null,
                                     struct policy_header *space);
/* What the policy alone decides: decide_near(), by a caller who is believed. Where a service is known but nothing leads to it, the
 * verdict is filled in all the same: it did not decide, the refusal did. */
void decide_by_policy(struct decision *d, const struct view *v, const struct exchange_ask *ask,
                      const struct http_head *head_or_null);
/* What both agents together decide, for who wants to know what would happen: decide_by_policy(), then whether the far
 * agent will believe the caller, whose `vouch` is the credential that both look at. The far agent's policy is
 * taken to be ours. */
void decide_both(struct decision *d, const struct view *v, const struct exchange_ask *ask,
                 const struct http_head *head_or_null);
/* Does the credential speak for the caller? An unknown caller needs nobody to. */
bool decide_vouched(const struct exchange_ask *ask);
struct exchange_refusal decide_no_endpoint(const char *service, const struct policy_subset *subset,
                                           enum traffic_why why);
/* The hash of what a key of the policy stands for in this request (policy_key_hash()): of its caller, a header or a cookie; on tcp only
 * the caller. False: it has none. */
bool decide_key(const struct policy_key *key, struct bytes caller, const struct http_head *head_or_null,
                uint64_t *hash);
/* How long a stream of this request, or of tcp, may be silent by this view; 0: as long as it likes. */
uint64_t decide_idle_ms(const struct view *v, struct bytes service, const struct http_head *head_or_null);
/* Is it as good to have asked this twice as once? RFC 9110 section 9.2.2. */
bool decide_idempotent(const struct http_head *request);
/* ... and is it sent again without anything of it having been kept: it has no body, and asks for no upgrade. */
bool decide_replayable(const struct http_head *request);

#endif
