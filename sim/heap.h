/* The future: what is to happen, in order of time and, at one time, in order of insertion. The second key is what
 * makes runs repeatable: nothing depends on how the heap happens to lie in memory.
 *
 * A heap of four children to a node, of 16-byte keys: the four lie in one line of the cache, and half as many levels as
 * in a binary heap are gone through (Johnson 1975; LaMarca and Ladner 1996). What is to happen lies aside and
 * is not moved. */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct world;
struct delivery;

enum happening_kind { HAPPENS_TIMER, HAPPENS_ARRIVAL, HAPPENS_BULK_FAILURE, HAPPENS_CALL };

struct happening {
    mono_us at;
    enum happening_kind kind;
    uint32_t host,
        generation; /* TIMER, CALL: whom it is about; a host that restarted has another generation */
    struct delivery *delivery;                    /* ARRIVAL, BULK_FAILURE: owned */
    void (*call)(struct world *w, uint32_t host); /* CALL */
};

enum { HEAP_PLACE_BITS = 24 }; /* so many happenings wait at most, 2^40 are ever inserted; beyond, abort() */

struct heap_key {
    mono_us at;
    uint64_t order; /* of insertion, and in the low bits where the happening lies */
};

struct heap {
    struct heap_key *line, *key; /* the keys begin so in the lines of the cache that children share one */
    struct happening *place;
    uint32_t *vacant; /* places that are free below `used` */
    size_t count, cap, used;
    uint64_t next_order;
};

void heap_fini(struct heap *h); /* deliveries in it are freed */
void heap_push(struct heap *h, const struct happening *what);
bool heap_pop(struct heap *h, mono_us until, struct happening *out); /* false: nothing up to `until` */

#endif
