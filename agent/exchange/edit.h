/* What a route changes of a request just before the application, and of the application's answer: `rewrite`, `requestHeaders`,
 * `responseHeaders`. Done by the agent in front of the application, on a copy: what was asked stays as it was, for intentions,
 * retries and the log are about that. */
#ifndef EXCHANGE_EDIT_H
#define EXCHANGE_EDIT_H

#include "http/message.h"
#include "policy/policy.h"

/* An edited head. Its slices point into the head that was edited, into the policy, and into `path`: it lives as long as all
 * three. */
struct edited {
    struct http_head head; /* not to be finished: owns nothing. Its headers are not cleared first */
    struct buf path;
};
/* Both: ERR_LIMIT: it would have more than HTTP_HEADERS_MAX headers; ERR_NOMEM. `out` is written either way, and is to be given
 * to edited_fini(). `r` is the route of `s` that the request took, `caller` the one that it was matched with. */
must_check enum err edit_request(struct edited *out, const struct policy_service *s,
                                 const struct policy_route *r, struct bytes caller,
                                 const struct http_head *request);
must_check enum err edit_response(struct edited *out, const struct policy_route *r,
                                  const struct http_head *response);
void edited_fini(struct edited *e);

#endif
