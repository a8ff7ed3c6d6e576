/* A borrowed run of bytes, and the two cursors every wire format is read and written with.
 *
 * The cursors are bounded and remember the first overrun: decode straight through and ask rd_done() once, at
 * the end; it is true only if nothing overran and nothing is left. After an overrun reads give zeros. All
 * integers are big-endian ("be") on the wire. Libc only. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed: whoever made it says how long it lives. `at` may be NULL only when `len` is 0. */
struct bytes {
    const uint8_t *at;
    size_t len;
};

static inline struct bytes bytes_of(const void *at, size_t len)
{
    return (struct bytes){at, len};
}

static inline struct bytes bytes_str(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static inline bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool bytes_eq_str(struct bytes a, const char *s)
{
    return bytes_eq(a, bytes_str(s));
}

static inline uint16_t load_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t load_be64(const uint8_t *p)
{
    return (uint64_t)load_be32(p) << 32 | load_be32(p + 4);
}

static inline void store_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
    store_be16(p, (uint16_t)(v >> 16));
    store_be16(p + 2, (uint16_t)v);
}

static inline void store_be64(uint8_t *p, uint64_t v)
{
    store_be32(p, (uint32_t)(v >> 32));
    store_be32(p + 4, (uint32_t)v);
}

/* Reading. */
struct rd {
    const uint8_t *at, *end;
    bool overran;
};

static inline struct rd rd_init(struct bytes b)
{
    return (struct rd){b.at, b.at ? b.at + b.len : b.at, false};
}

static inline size_t rd_left(const struct rd *r)
{
    return (size_t)(r->end - r->at);
}

/* The next n bytes, borrowed from the input; {NULL,0} and `overran` if fewer are left. */
static inline struct bytes rd_bytes(struct rd *r, size_t n)
{
    if (r->overran || rd_left(r) < n) {
        r->overran = true;
        return (struct bytes){NULL, 0};
    }
    struct bytes b = {r->at, n};
    if (n > 0)
        r->at += n;
    return b;
}

static inline uint8_t rd_u8(struct rd *r)
{
    struct bytes b = rd_bytes(r, 1);
    return b.at ? b.at[0] : 0;
}

static inline uint16_t rd_be16(struct rd *r)
{
    struct bytes b = rd_bytes(r, 2);
    return b.at ? load_be16(b.at) : 0;
}

static inline uint32_t rd_be32(struct rd *r)
{
    struct bytes b = rd_bytes(r, 4);
    return b.at ? load_be32(b.at) : 0;
}

static inline uint64_t rd_be64(struct rd *r)
{
    struct bytes b = rd_bytes(r, 8);
    return b.at ? load_be64(b.at) : 0;
}

/* Copies exactly n bytes out; zeros on overrun. */
static inline void rd_copy(struct rd *r, void *out, size_t n)
{
    struct bytes b = rd_bytes(r, n);
    if (b.at)
        memcpy(out, b.at, n);
    else
        memset(out, 0, n);
}

/* be16 length, then that many bytes (borrowed). */
static inline struct bytes rd_lv16(struct rd *r)
{
    return rd_bytes(r, rd_be16(r));
}

static inline bool rd_ok(const struct rd *r)
{
    return !r->overran;
}

static inline bool rd_done(const struct rd *r)
{
    return !r->overran && r->at == r->end;
}

/* Writing into a fixed space. */
struct wr {
    uint8_t *start, *at, *end;
    bool overran;
};

static inline struct wr wr_init(void *space, size_t cap)
{
    return (struct wr){space, space, (uint8_t *)space + cap, false};
}

/* Room for n bytes to be filled in by the caller; NULL and `overran` if they do not fit. */
static inline uint8_t *wr_take(struct wr *w, size_t n)
{
    if (w->overran || (size_t)(w->end - w->at) < n) {
        w->overran = true;
        return NULL;
    }
    uint8_t *p = w->at;
    w->at += n;
    return p;
}

static inline void wr_bytes(struct wr *w, const void *p, size_t n)
{
    uint8_t *to = wr_take(w, n);
    if (to && n > 0)
        memcpy(to, p, n);
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
    wr_bytes(w, &v, 1);
}

static inline void wr_be16(struct wr *w, uint16_t v)
{
    uint8_t *p = wr_take(w, 2);
    if (p)
        store_be16(p, v);
}

static inline void wr_be32(struct wr *w, uint32_t v)
{
    uint8_t *p = wr_take(w, 4);
    if (p)
        store_be32(p, v);
}

static inline void wr_be64(struct wr *w, uint64_t v)
{
    uint8_t *p = wr_take(w, 8);
    if (p)
        store_be64(p, v);
}

/* be16 length, then the bytes. Lengths over 65535 count as an overrun. */
static inline void wr_lv16(struct wr *w, struct bytes b)
{
    if (b.len > UINT16_MAX)
        w->overran = true;
    wr_be16(w, (uint16_t)b.len);
    wr_bytes(w, b.at, b.len);
}

static inline bool wr_ok(const struct wr *w)
{
    return !w->overran;
}

static inline size_t wr_left(const struct wr *w)
{
    return (size_t)(w->end - w->at);
}

static inline size_t wr_len(const struct wr *w)
{
    return (size_t)(w->at - w->start);
}

static inline struct bytes wr_done(const struct wr *w)
{
    return bytes_of(w->start, wr_len(w));
}

#endif
