#include "exchange/kept.h"

static bool charge(atomic_size_t *all, size_t bytes, size_t all_max)
{
    if (atomic_fetch_add_explicit(all, bytes, memory_order_relaxed) + bytes <= all_max)
        return true;
    atomic_fetch_sub_explicit(all, bytes, memory_order_relaxed);
    return false;
}

bool kept_add(struct buf *b, struct bytes d, atomic_size_t *all, size_t all_max)
{
    size_t had = b->cap, cap = buf_cap_for(b, d.len);
    if (d.len == 0)
        return true;
    if (cap == 0 || !charge(all, cap - had, all_max))
        return false;
    buf_add_bytes(b, d);
    if (buf_ok(b))
        return true;
    b->failed = false;
    atomic_fetch_sub_explicit(all, cap - had, memory_order_relaxed);
    return false;
}

void kept_drop(struct buf *b, atomic_size_t *all)
{
    if (b->cap > 0)
        atomic_fetch_sub_explicit(all, b->cap, memory_order_relaxed);
    buf_fini(b);
}
