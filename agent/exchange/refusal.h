/* An answer of the agent's own: status, flag, and why in words and headers. */
#ifndef EXCHANGE_REFUSAL_H
#define EXCHANGE_REFUSAL_H

#include "exchange/facts.h"
#include "http/message.h"

enum { REFUSAL_TEXT_MAX = 512 };

struct exchange_refusal {
    uint16_t status;
    enum exchange_flag flag;
    const char *rule;        /* NULL: no intention decided */
    uint64_t policy_version; /* told with the rule */
    char reason[REFUSAL_TEXT_MAX];
};

__attribute__((format(printf, 4, 5))) struct exchange_refusal
refusal_of(uint16_t status, enum exchange_flag flag, const char *rule, const char *fmt, ...);
/* The response: headers x-starling-reason, and for an intention x-starling-rule and x-starling-policy; its
 * body is *text (points into the head). Finish the head. ERR_NOMEM. */
must_check enum err refusal_head(struct http_head *out, const struct exchange_refusal *r, struct bytes *text);

#endif
