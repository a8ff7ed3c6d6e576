#include "link/record.h"

#include <assert.h>

static_assert(RECORD_HEAD_BYTES + RECORD_BODY_MAX + NOISE_TAG_BYTES == 2 + NOISE_MESSAGE_MAX,
              "a full record");

static const struct bytes no_ad = {NULL, 0};

/* Called by both ends after the same record: no message has to say so. */
static void count(struct record_way *w, size_t sealed_len)
{
    w->records++;
    w->bytes += (uint32_t)sealed_len;
    if (w->records < RECORD_REKEY_RECORDS && w->bytes < RECORD_REKEY_BYTES)
        return;
    noise_rekey(&w->cipher);
    w->records = 0;
    w->bytes = 0;
}

enum err record_seal(struct record_way *w, uint8_t *at, enum record_type type, size_t body_len)
{
    assert(body_len <= RECORD_BODY_MAX);
    size_t sealed_len = 1 + body_len + NOISE_TAG_BYTES;
    store_be16(at, (uint16_t)sealed_len);
    at[2] = (uint8_t)type;
    enum err e = noise_seal(&w->cipher, at + 2, 1 + body_len, no_ad);
    if (e == ERR_OK)
        count(w, sealed_len);
    return e;
}

enum err record_open(struct record_way *w, uint8_t *out, struct bytes sealed, enum record_type *type,
                     struct bytes *body)
{
    size_t len;
    if (sealed.len < 1 + NOISE_TAG_BYTES)
        return ERR_MALFORMED;
    enum err e = noise_open_to(&w->cipher, out, sealed, no_ad, &len);
    if (e != ERR_OK)
        return e;
    count(w, sealed.len);
    if (out[0] < RECORD_DATA || out[0] > RECORD_REFUSAL)
        return ERR_MALFORMED;
    *type = (enum record_type)out[0];
    *body = bytes_of(out + 1, len - 1);
    return ERR_OK;
}
