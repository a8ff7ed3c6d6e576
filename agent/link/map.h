/* A small intrusive hash table: 32-bit keys that are random already, chained, doubling. Nodes with the same
 * key are allowed and told apart by the caller (map_find, then map_next). Zero-initialised is empty. */
#ifndef LINK_MAP_H
#define LINK_MAP_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct map_node {
    struct map_node *next;
    uint32_t key;
};

struct map {
    struct map_node **slot;
    uint32_t size, count; /* size: 0 or a power of two */
};

static inline void map_fini(struct map *m)
{
    free(m->slot);
    *m = (struct map){0};
}

static inline void map_put(struct map *m, struct map_node *n)
{
    struct map_node **at = &m->slot[n->key & (m->size - 1)];
    n->next = *at;
    *at = n;
}

static inline bool map_grow(struct map *m)
{
    struct map larger = {.size = m->size ? 2 * m->size : 16, .count = m->count};
    larger.slot = calloc(larger.size, sizeof *larger.slot);
    if (!larger.slot)
        return false;
    for (uint32_t i = 0; i < m->size; i++)
        for (struct map_node *n = m->slot[i], *next; n; n = next) {
            next = n->next;
            map_put(&larger, n);
        }
    free(m->slot);
    *m = larger;
    return true;
}

/* False: no memory for the first slots (later ones are only a matter of speed). */
static inline bool map_add(struct map *m, struct map_node *n, uint32_t key)
{
    if (m->count == m->size && !map_grow(m) && m->size == 0)
        return false;
    n->key = key;
    map_put(m, n);
    m->count++;
    return true;
}

static inline void map_remove(struct map *m, struct map_node *n)
{
    struct map_node **at = &m->slot[n->key & (m->size - 1)];
    while (*at != n) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = n->next;
    m->count--;
}

static inline struct map_node *map_next(struct map_node *n, uint32_t key)
{
    while (n && n->key != key)
        n = n->next;
    return n;
}

static inline struct map_node *map_find(const struct map *m, uint32_t key)
{
    return m->size ? map_next(m->slot[key & (m->size - 1)], key) : NULL;
}

#endif
