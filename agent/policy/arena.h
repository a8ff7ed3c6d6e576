/* Memory that is released all at once: for trees and compiled things that are built, then only read. What it
 * hands out is zeroed and aligned for any type. A failed allocation is remembered: build straight through and
 * ask `failed` once, at the end. Libc only. */
#ifndef POLICY_ARENA_H
#define POLICY_ARENA_H

#include <stdalign.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { ARENA_BLOCK = 16 * 1024 }; /* bytes; larger requests get a block of their own */

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    alignas(max_align_t) uint8_t at[];
};
struct arena { /* zero-initialised is empty and valid */
    struct arena_block *block;
    bool failed;
};

static inline struct arena_block *arena_grow(struct arena *a, size_t n)
{
    size_t size = n > ARENA_BLOCK ? n : ARENA_BLOCK;
    struct arena_block *b = n > SIZE_MAX / 2 ? NULL : calloc(1, sizeof *b + size);
    if (!b) {
        a->failed = true;
        return NULL;
    }
    b->size = size;
    b->next = a->block;
    a->block = b;
    return b;
}

/* `count` zeroed elements of `size` bytes; NULL (and `failed`) without memory. Never NULL otherwise, even for
 * none. */
static inline void *arena_take(struct arena *a, size_t count, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size && count > SIZE_MAX / 4 / size) {
        a->failed = true;
        return NULL;
    }
    size_t n = (count * size + align - 1) / align * align;
    struct arena_block *b = a->block;
    if (!b || b->size - b->used < n)
        b = arena_grow(a, n);
    if (!b)
        return NULL;
    void *p = b->at + b->used;
    b->used += n;
    return p;
}

/* A NUL-terminated copy. */
static inline char *arena_text(struct arena *a, const void *text, size_t len)
{
    char *p = arena_take(a, len + 1, 1);
    if (p && len)
        memcpy(p, text, len);
    return p;
}

static inline void arena_fini(struct arena *a)
{
    while (a->block) {
        struct arena_block *b = a->block;
        a->block = b->next;
        free(b);
    }
}

#endif
