/* From 64-bit keys to slots of a table that all workers use at once: of fixed size, of atomics, without a lock and without a
 * deletion. A key may stand in KEYED_WINDOW places, from its home on; a place is taken over when what its slot has learned is
 * worth nothing any more ("idle", which the table's owner knows: a breaker that counts nobody). So memory is bounded, and
 * nothing is forgotten that still matters; a key that finds its window full of others gets no slot, and its owner says what
 * happens then.
 *
 * Keys are shorthash()es of what they stand for and are taken to be that: two of 64 bits meet once in 2^64 / n^2. 0 is no key.
 *
 * A slot may be taken over between the moment when a worker found it and the moment when it counts something there. The slot
 * was idle just then, so what is lost, or credited to another, is that one count; owners are made so that this does no harm. */
#ifndef TRAFFIC_KEYED_H
#define TRAFFIC_KEYED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { KEYED_WINDOW = 16 };
#define KEYED_NONE SIZE_MAX

struct keyed {
    _Atomic uint64_t *key; /* 0: never taken */
    size_t mask;
};

/* `slots`: a power of two, at least KEYED_WINDOW. False: no memory. */
static inline bool keyed_init(struct keyed *k, size_t slots)
{
    *k = (struct keyed){.key = calloc(slots, sizeof *k->key), .mask = slots - 1};
    return k->key != NULL;
}

static inline void keyed_fini(struct keyed *k)
{
    free((void *)k->key);
}

/* The key's slot, or KEYED_NONE. */
static inline size_t keyed_find(const struct keyed *k, uint64_t key)
{
    for (size_t i = 0; i < KEYED_WINDOW; i++) {
        size_t at = (key + i) & k->mask;
        uint64_t there = atomic_load_explicit(&k->key[at], memory_order_relaxed);
        if (there == key)
            return at;
        if (there == 0)
            return KEYED_NONE; /* places are never emptied, and taken from the front */
    }
    return KEYED_NONE;
}

/* Asked of a slot before it is taken over: true if what it has learned is worth nothing, and has been wiped. */
typedef bool keyed_forget(void *arg, size_t slot);

/* Finds the key's slot or takes one over. KEYED_NONE: all places are in use by others. */
static inline size_t keyed_take(struct keyed *k, uint64_t key, keyed_forget *forget, void *arg)
{
    size_t at = keyed_find(k, key);
    for (size_t i = 0; at == KEYED_NONE && i < KEYED_WINDOW; i++) {
        size_t try = (key + i) & k->mask;
        uint64_t there = atomic_load_explicit(&k->key[try], memory_order_relaxed);
        bool is_free = there == 0 || forget(arg, try);
        if (there == key || (is_free && atomic_compare_exchange_strong(&k->key[try], &there, key)) ||
            there == key) /* another worker was faster, for the same key */
            at = try;
    }
    return at;
}

#endif
