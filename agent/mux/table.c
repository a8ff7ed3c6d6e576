/* Announced streams by id. Ids rise by two, so the low bits spread them evenly: chains stay short at a load
 * of one. */
#include <stdlib.h>

#include "mux/inner.h"

enum { TABLE_FIRST = 16 };

static struct mux_stream **slot_of(const struct mux_table *t, uint32_t id)
{
    return &t->slot[id & (t->size - 1)];
}

static bool grow(struct mux_table *t)
{
    struct mux_table larger = {.size = t->size ? 2 * t->size : TABLE_FIRST, .count = t->count};
    larger.slot = calloc(larger.size, sizeof *larger.slot);
    if (!larger.slot)
        return false;
    for (uint32_t i = 0; i < t->size; i++) {
        for (struct mux_stream *s = t->slot[i], *next; s; s = next) {
            next = s->hash_next;
            struct mux_stream **slot = slot_of(&larger, s->id);
            s->hash_next = *slot;
            *slot = s;
        }
    }
    free(t->slot);
    *t = larger;
    return true;
}

enum err table_add(struct mux_table *t, struct mux_stream *s)
{
    if (t->count == t->size && !grow(t) && t->size == 0)
        return ERR_NOMEM; /* a table that cannot grow still works, only slower */
    struct mux_stream **slot = slot_of(t, s->id);
    s->hash_next = *slot;
    *slot = s;
    t->count++;
    return ERR_OK;
}

void table_remove(struct mux_table *t, struct mux_stream *s)
{
    struct mux_stream **at = slot_of(t, s->id);
    while (*at != s) {
        assert(*at);
        at = &(*at)->hash_next;
    }
    *at = s->hash_next;
    t->count--;
}

struct mux_stream *table_find(const struct mux_table *t, uint32_t id)
{
    if (t->size == 0)
        return NULL;
    struct mux_stream *s = *slot_of(t, id);
    while (s && s->id != id)
        s = s->hash_next;
    return s;
}
