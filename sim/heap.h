/* The future: a binary heap of what is to happen, in order of time and, at one time, in order of insertion.
 * The second key is what makes runs repeatable: nothing depends on how the heap happens to lie in memory. */
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
    uint64_t order;
    enum happening_kind kind;
    uint32_t host,
        generation; /* TIMER, CALL: whom it is about; a host that restarted has another generation */
    struct delivery *delivery;                    /* ARRIVAL, BULK_FAILURE: owned */
    void (*call)(struct world *w, uint32_t host); /* CALL */
};

struct heap {
    struct happening *at;
    size_t count, cap;
    uint64_t next_order;
};

void heap_fini(struct heap *h);                                      /* deliveries in it are freed */
void heap_push(struct heap *h, struct happening what);               /* `order` is filled in */
bool heap_pop(struct heap *h, mono_us until, struct happening *out); /* false: nothing up to `until` */

#endif
