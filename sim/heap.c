#include "sim/heap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/delivery.h"

enum { CHILDREN = 4, LINE = 64, LEAD = CHILDREN - 1 };
#define PLACE_MASK ((UINT64_C(1) << HEAP_PLACE_BITS) - 1)

static bool is_before(const struct heap_key *a, const struct heap_key *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void heap_fini(struct heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        delivery_free(h->place[h->key[i].order & PLACE_MASK].delivery);
    free(h->line);
    free(h->place);
    free(h->vacant);
    *h = (struct heap){0};
}

static void *more(void *list, size_t cap, size_t element)
{
    void *list_now = realloc(list, cap * element);
    if (!list_now)
        abort(); /* a simulation that is out of memory has no result */
    return list_now;
}

static void grow_keys(struct heap *h)
{
    static_assert(LINE == CHILDREN * sizeof(struct heap_key), "children fill a line");
    struct heap_key *line = aligned_alloc(LINE, (h->cap + CHILDREN) * sizeof *line);
    if (!line)
        abort();
    if (h->count > 0)
        memcpy(line + LEAD, h->key, h->count * sizeof *line);
    free(h->line);
    h->line = line;
    h->key = line + LEAD;
}

/* As many places as keys: what is not in use lies in `vacant`, so that it has room for all. */
static void make_room(struct heap *h)
{
    if (h->count < h->cap)
        return;
    h->cap = h->cap ? 2 * h->cap : 1024;
    if (h->cap > PLACE_MASK + 1 || h->next_order > UINT64_MAX >> HEAP_PLACE_BITS)
        abort();
    grow_keys(h);
    h->place = more(h->place, h->cap, sizeof *h->place);
    h->vacant = more(h->vacant, h->cap, sizeof *h->vacant);
}

void heap_push(struct heap *h, const struct happening *what)
{
    make_room(h);
    size_t place = h->used > h->count ? h->vacant[h->used - h->count - 1] : h->used++;
    struct heap_key key = {what->at, h->next_order++ << HEAP_PLACE_BITS | place};
    size_t i = h->count++;
    h->place[place] = *what;
    for (size_t up; i > 0 && is_before(&key, &h->key[up = (i - 1) / CHILDREN]); i = up)
        h->key[i] = h->key[up];
    h->key[i] = key;
}

/* The first of the children from `first` on; there is one. */
static size_t first_child(const struct heap *h, size_t first)
{
    size_t end = first + CHILDREN < h->count ? first + CHILDREN : h->count, best = first;
    for (size_t i = first + 1; i < end; i++)
        if (is_before(&h->key[i], &h->key[best]))
            best = i;
    return best;
}

bool heap_pop(struct heap *h, mono_us until, struct happening *out)
{
    if (h->count == 0 || h->key[0].at > until)
        return false;
    uint32_t place = (uint32_t)(h->key[0].order & PLACE_MASK);
    struct heap_key last = h->key[--h->count];
    *out = h->place[place];
    h->vacant[h->used - h->count - 1] = place;
    size_t i = 0;
    for (size_t first; (first = CHILDREN * i + 1) < h->count;) {
        size_t child = first_child(h, first);
        if (!is_before(&h->key[child], &last))
            break;
        h->key[i] = h->key[child];
        i = child;
    }
    if (h->count > 0)
        h->key[i] = last;
    return true;
}
