/* Names of things by their bytes. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/bytes.h"

enum { ID_BYTES = 32, HASH_BYTES = 32 };

/* A node's Ed25519 identity public key: the node is its key. Text form: "ed25519:" and 64 lower-case hex
 * digits. */
struct node_id {
    uint8_t b[ID_BYTES];
};

/* SHA-256 of the exact bytes of something signed. */
struct hash {
    uint8_t b[HASH_BYTES];
};

/* One signed policy. Order is by (epoch, version); the hash tells apart two that were signed with one version. */
struct bundle_id {
    uint64_t epoch, version; /* version 0: none */
    struct hash hash;
};

enum { NODE_ID_TEXT_MAX = 8 + 64 + 1, HASH_TEXT_MAX = 64 + 1 };

static inline int node_id_cmp(const struct node_id *a, const struct node_id *b)
{
    return memcmp(a->b, b->b, ID_BYTES);
}

static inline bool node_id_eq(const struct node_id *a, const struct node_id *b)
{
    return node_id_cmp(a, b) == 0;
}

static inline bool node_id_is_zero(const struct node_id *a)
{
    static const struct node_id zero;
    return node_id_eq(a, &zero);
}

static inline bool hash_eq(const struct hash *a, const struct hash *b)
{
    return memcmp(a->b, b->b, HASH_BYTES) == 0;
}

static inline bool bundle_id_eq(const struct bundle_id *a, const struct bundle_id *b)
{
    return a->epoch == b->epoch && a->version == b->version && hash_eq(&a->hash, &b->hash);
}

/* Writes 2*len lower-case digits and a NUL. */
static inline void hex_encode(const uint8_t *p, size_t len, char *out)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digit[p[i] >> 4];
        out[2 * i + 1] = digit[p[i] & 15];
    }
    out[2 * len] = 0;
}

/* Exactly 2*len lower-case hex digits; anything else is refused (one spelling per value). */
static inline bool hex_decode(const char *text, size_t text_len, uint8_t *out, size_t len)
{
    if (text_len != 2 * len)
        return false;
    for (size_t i = 0; i < text_len; i++) {
        char c = text[i];
        uint8_t v;
        if (c >= '0' && c <= '9')
            v = (uint8_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = (uint8_t)(c - 'a' + 10);
        else
            return false;
        out[i / 2] = (uint8_t)(i % 2 ? (out[i / 2] | v) : v << 4);
    }
    return true;
}

static inline const char *node_id_text(const struct node_id *id, char out[NODE_ID_TEXT_MAX])
{
    memcpy(out, "ed25519:", 8);
    hex_encode(id->b, ID_BYTES, out + 8);
    return out;
}

#endif
