/* The line of a refusal, as another agent sent it: what is read of it is written again as it is read, and makes a head. */
#include <assert.h>

#include "exchange/refusal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A flag up to the first NUL, then the line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    struct bytes flag = bytes_of(data, nul ? (size_t)(nul - data) : 0);
    struct bytes line = nul ? bytes_of(nul + 1, size - flag.len - 1) : bytes_of(data, size);
    struct exchange_refusal r, again;
    char space[FACT_NAME_MAX], space_again[FACT_NAME_MAX], out[REFUSAL_LINE_MAX];
    if (!refusal_of_line(&r, flag, line, space))
        return 0;
    assert(r.status >= 400 && r.status <= 599 && r.retry_after_s <= REFUSAL_RETRY_AFTER_MAX_S);
    refusal_line(&r, out);
    assert(refusal_of_line(&again, bytes_str(exchange_flag_text(r.flag)), bytes_str(out), space_again));
    assert(again.status == r.status && again.flag == r.flag && again.policy_version == r.policy_version);
    assert(again.retry_after_s == r.retry_after_s && strcmp(again.reason, r.reason) == 0);
    struct http_head h = {0};
    struct bytes text;
    if (refusal_head(&h, &r, &text) == ERR_OK)
        for (size_t i = 0; i < h.header_count; i++)
            for (size_t k = 0; k < h.header[i].value.len; k++)
                assert(h.header[i].value.at[k] >= 0x20 && h.header[i].value.at[k] < 0x7f);
    http_head_fini(&h);
    return 0;
}
