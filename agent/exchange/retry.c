#include "exchange/retry.h"

static bool is_wanted(const struct policy_retry *r, const struct retry_case *c)
{
    bool by_status = c->is_idempotent && policy_retry_on_status(r, c->status);
    switch (c->cause) {
    case RETRY_CONNECT_FAILURE:
        return r->on_connect_failure || by_status;
    case RETRY_REFUSED_STREAM:
        return r->on_refused_stream || by_status;
    default:
        return by_status;
    }
}

enum retry_outcome retry_decide(const struct policy_retry *r, const struct retry_case *c)
{
    if (r->attempts == 0 || !is_wanted(r, c))
        return RETRY_UNWANTED;
    if (c->retries >= r->attempts)
        return RETRY_ATTEMPTS;
    return c->is_whole ? RETRY_MADE : RETRY_BODY;
}

uint64_t retry_backoff_ms(const struct policy_retry *r, unsigned retries, uint64_t dice)
{
    uint64_t most = r->backoff_base_ms;
    while (retries-- > 0 && most < r->backoff_max_ms)
        most *= 2;
    most = most < r->backoff_max_ms ? most : r->backoff_max_ms;
    return most < UINT32_MAX ? (dice >> 32) * (most + 1) >> 32 : dice % (most + 1);
}

enum retry_cause retry_cause_of(enum exchange_flag f, uint16_t status)
{
    if (status == 503 && (f == FLAG_UF || f == FLAG_UH))
        return RETRY_CONNECT_FAILURE;
    return status == 503 && f == FLAG_UO ? RETRY_REFUSED_STREAM : RETRY_STATUS;
}

static const char *const causes[] = {
#define X(name, text) [RETRY_##name] = text,
    RETRY_CAUSE_LIST(X)
#undef X
};
static const struct {
    const char *text, *words;
} outcomes[] = {
#define X(name, text, words) [RETRY_##name] = {text, words},
    RETRY_OUTCOME_LIST(X)
#undef X
};

const char *retry_cause_text(enum retry_cause c)
{
    return causes[c];
}

const char *retry_outcome_text(enum retry_outcome o)
{
    return outcomes[o].text;
}

const char *retry_outcome_words(enum retry_outcome o)
{
    return outcomes[o].words;
}
