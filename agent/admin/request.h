/* One line of the Unix socket as a request. Pure. */
#ifndef ADMIN_REQUEST_H
#define ADMIN_REQUEST_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

enum admin_command {
    ADMIN_STATUS,
    ADMIN_MEMBERS,
    ADMIN_RTT,
    ADMIN_SERVICES,
    ADMIN_POLICY,
    ADMIN_ROOT,
    ADMIN_WHY,
    ADMIN_PUBLISH,
    ADMIN_RELOAD,
    ADMIN_LEAVE,
    ADMIN_RENEW,
    ADMIN_POLICY_STATUS,
    ADMIN_POLICY_HISTORY,
    ADMIN_OVERLAY,
    ADMIN_COMMANDS
};
struct admin_request {
    enum admin_command command;
    json_t *json; /* an object: the whole request */
    const char *fault;
};
/* `line` without its end. ERR_INVALID: `fault` is a static sentence for the asker. Finish it in either case. */
must_check enum err admin_request_read(struct admin_request *out, struct bytes line);
void admin_request_fini(struct admin_request *r);
/* The bundle or root of a publish, decoded and appended. ERR_INVALID: none, too long, or not hex. ERR_NOMEM. */
must_check enum err admin_request_bundle(const struct admin_request *r, struct buf *out);

#endif
