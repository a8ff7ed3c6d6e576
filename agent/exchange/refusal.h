/* An answer of the agent's own: status, flag, and why in words and headers. */
#ifndef EXCHANGE_REFUSAL_H
#define EXCHANGE_REFUSAL_H

#include "exchange/facts.h"
#include "http/message.h"

enum {
    REFUSAL_TEXT_MAX = 512,
    REFUSAL_LINE_MAX = REFUSAL_TEXT_MAX + FACT_NAME_MAX + 60,
    REFUSAL_RETRY_AFTER_MAX_S = 24 * 3600, /* who is told to wait for longer is told this */
};

struct exchange_refusal {
    uint16_t status;
    enum exchange_flag flag;
    const char *rule;        /* the intention, the limit or the fault that decided; NULL: none did */
    uint64_t policy_version; /* told with the rule */
    uint32_t retry_after_s;  /* with RL; 0: not said */
    char reason[REFUSAL_TEXT_MAX];
};

__attribute__((format(printf, 4, 5))) struct exchange_refusal
refusal_of(uint16_t status, enum exchange_flag flag, const char *rule, const char *fmt, ...);
/* Adds words to the reason, as far as they fit. */
void refusal_add(struct exchange_refusal *r, const char *words);
/* Between agents a refusal is a flag and one line, since a TCP stream needs it too:
 *   status SP policy-version SP rule-or-"-" SP ["after=" seconds SP] words           (after= with flag RL)
 * The near agent writes the response to its client from that, and believes nothing it cannot read: false.
 * `rule` points into `space`. */
void refusal_line(const struct exchange_refusal *r, char out[REFUSAL_LINE_MAX]);
bool refusal_of_line(struct exchange_refusal *out, struct bytes flag, struct bytes line,
                     char space[FACT_NAME_MAX]);
/* The response: headers x-starling-reason, where something of the policy decided x-starling-rule and x-starling-policy, and
 * retry-after (RFC 9110 section 10.2.3); its
 * body is *text (points into the head). Finish the head. ERR_NOMEM. */
must_check enum err refusal_head(struct http_head *out, const struct exchange_refusal *r, struct bytes *text);

#endif
