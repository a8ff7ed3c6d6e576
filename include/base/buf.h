/* A growable byte buffer with a cap, and a printf onto it. Owns its memory; zero-initialised is empty and
 * valid with no cap. Appending past the cap or out of memory sets `failed` and changes nothing more, so a
 * writer appends straight through and asks buf_ok() once at the end. Libc only. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"

struct buf {
    uint8_t *at;
    size_t len, cap;
    size_t max; /* bytes; 0 = no cap */
    bool failed;
};

static inline void buf_fini(struct buf *b)
{
    free(b->at);
    *b = (struct buf){.max = b->max};
}

static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

static inline struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->at, b->len);
}

/* The capacity with `more` bytes beyond len, as buf_reserve() makes it; 0: so many may not be. */
static inline size_t buf_cap_for(const struct buf *b, size_t more)
{
    if (more > SIZE_MAX / 4 - b->len || (b->max && b->len + more > b->max))
        return 0;
    if (b->len + more <= b->cap)
        return b->cap;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < b->len + more)
        cap *= 2;
    return b->max && cap > b->max ? b->max : cap;
}

/* Makes room for `more` bytes beyond len and returns where they go (NULL if that fails); commit with b->len
 * += n. */
static inline uint8_t *buf_reserve(struct buf *b, size_t more)
{
    size_t cap = buf_cap_for(b, more);
    if (b->failed || (cap == 0 && more > 0)) {
        b->failed = true;
        return NULL;
    }
    if (cap > b->cap) {
        uint8_t *at = realloc(b->at, cap);
        if (!at) {
            b->failed = true;
            return NULL;
        }
        b->at = at;
        b->cap = cap;
    }
    return b->at + b->len;
}

static inline void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    uint8_t *to = buf_reserve(b, n);
    if (to) {
        memcpy(to, p, n);
        b->len += n;
    }
}

static inline void buf_add_bytes(struct buf *b, struct bytes s)
{
    buf_add(b, s.at, s.len);
}

static inline void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

static inline void buf_add_u8(struct buf *b, uint8_t v)
{
    buf_add(b, &v, 1);
}

__attribute__((format(printf, 2, 3))) static inline void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    uint8_t *to = n < 0 ? NULL : buf_reserve(b, (size_t)n + 1);
    if (to) {
        vsnprintf((char *)to, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

/* Drops the first n bytes (n <= len). */
static inline void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    if (n > 0 && b->len > n)
        memmove(b->at, b->at + n, b->len - n);
    b->len -= n;
}

/* A NUL-terminated view of the content, valid until the next change; "" when empty or failed. */
static inline const char *buf_str(struct buf *b)
{
    if (!buf_reserve(b, 1))
        return "";
    b->at[b->len] = 0;
    return (const char *)b->at;
}

#endif
