/* Whether a try that failed is made again, as functions of what happened and of `retry` in the policy. What is kept beside it: the
 * body (replay.h), the budget (traffic/budget.h). */
#ifndef EXCHANGE_RETRY_H
#define EXCHANGE_RETRY_H

#include "exchange/facts.h"
#include "policy/settings.h"

struct retry_case {
    enum retry_cause cause;
    uint16_t status;    /* that the client would be told; 0: none, on tcp */
    bool is_idempotent; /* RFC 9110 section 9.2.2: twice is as good as once */
    bool is_whole;      /* all that has been sent of it can be sent again */
    unsigned retries;   /* made before */
};
/* RETRY_MADE: it may be, as far as this goes. RETRY_UNWANTED: the policy does not ask for it. */
enum retry_outcome retry_decide(const struct policy_retry *rules, const struct retry_case *c);
/* How long to wait before the retry after `retries` others: base doubled each time up to max, with full jitter (Brooker, "Exponential
 * Backoff and Jitter", 2015): uniform from 0 to that. `dice` is uniform 64 bits. */
uint64_t retry_backoff_ms(const struct policy_retry *rules, unsigned retries, uint64_t dice);
/* What a refusal of another agent means here: a 503 with flag UF or UH, that nothing had reached an application; with UO, that it was
 * never looked at; else its status counts. */
enum retry_cause retry_cause_of(enum exchange_flag f, uint16_t status);
const char *retry_cause_text(enum retry_cause c);
const char *retry_outcome_text(enum retry_outcome o);
/* "; not tried again: ..." for who is refused, or "". */
const char *retry_outcome_words(enum retry_outcome o);

#endif
