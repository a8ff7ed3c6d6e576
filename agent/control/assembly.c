#include "control/assembly.h"

void assembly_put(struct buf *out, struct bytes message)
{
    uint8_t length[ASSEMBLY_LENGTH_BYTES];
    assert(message.len >= 1 && message.len <= GOSSIP_BULK_MAX);
    if (!buf_reserve(out, sizeof length + message.len))
        return; /* both or nothing */
    store_be32(length, (uint32_t)message.len);
    buf_add(out, length, sizeof length);
    buf_add_bytes(out, message);
}

void assembly_fini(struct assembly *a)
{
    buf_fini(&a->bytes);
    a->done = 0;
}

enum err assembly_feed(struct assembly *a, struct bytes plain)
{
    buf_consume(&a->bytes, a->done);
    a->done = 0;
    if (a->bytes.len == 0)
        buf_fini(&a->bytes); /* a link at rest holds nothing */
    buf_add_bytes(&a->bytes, plain);
    return buf_ok(&a->bytes) ? ERR_OK : ERR_NOMEM;
}

enum err assembly_poll(struct assembly *a, struct bytes *message)
{
    size_t left = a->bytes.len - a->done;
    if (left < ASSEMBLY_LENGTH_BYTES)
        return ERR_AGAIN;
    const uint8_t *at = a->bytes.at + a->done;
    size_t n = load_be32(at);
    if (n == 0 || n > GOSSIP_BULK_MAX)
        return ERR_MALFORMED;
    if (left - ASSEMBLY_LENGTH_BYTES < n)
        return ERR_AGAIN;
    *message = bytes_of(at + ASSEMBLY_LENGTH_BYTES, n);
    a->done += ASSEMBLY_LENGTH_BYTES + n;
    return ERR_OK;
}
