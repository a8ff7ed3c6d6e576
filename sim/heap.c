#include "sim/heap.h"

#include <stdlib.h>

#include "sim/delivery.h"

static bool is_before(const struct happening *a, const struct happening *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void heap_fini(struct heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        delivery_free(h->at[i].delivery);
    free(h->at);
    *h = (struct heap){0};
}

static void make_room(struct heap *h)
{
    if (h->count < h->cap)
        return;
    h->cap = h->cap ? 2 * h->cap : 1024;
    h->at = realloc(h->at, h->cap * sizeof *h->at);
    if (!h->at)
        abort(); /* a simulation that is out of memory has no result */
}

void heap_push(struct heap *h, struct happening what)
{
    make_room(h);
    what.order = h->next_order++;
    size_t i = h->count++;
    for (; i > 0 && is_before(&what, &h->at[(i - 1) / 2]); i = (i - 1) / 2)
        h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = what;
}

bool heap_pop(struct heap *h, mono_us until, struct happening *out)
{
    if (h->count == 0 || h->at[0].at > until)
        return false;
    *out = h->at[0];
    struct happening last = h->at[--h->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count && is_before(&h->at[child + 1], &h->at[child]))
            child++;
        if (!is_before(&h->at[child], &last))
            break;
        h->at[i] = h->at[child];
    }
    if (h->count > 0)
        h->at[i] = last;
    return true;
}
