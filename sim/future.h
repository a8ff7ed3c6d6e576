/* The future: what is to happen, in order of time and, at one time, in order of insertion. The second order is what
 * makes runs repeatable: nothing depends on how anything happens to lie in memory.
 *
 * A hierarchical timing wheel (Varghese and Lauck 1987), as wide as time itself: a happening lies in the wheel of the
 * highest ten bits in which its time differs from now, in the slot that these bits of its time name. So what lies in a
 * lower wheel comes before all that lies in a higher one, and a slot of the lowest holds one microsecond. When the lowest
 * are empty, the first slot of the next wheel is dealt out among them. A slot is a queue, so whatever is to happen at one
 * time stays in order of insertion: it lies in one slot at any time, and is moved together.
 *
 * Inserting costs the same however much waits, and each happening is moved once for each wheel below its first. */
#ifndef SIM_FUTURE_H
#define SIM_FUTURE_H

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

enum {
    FUTURE_BITS = 10,
    FUTURE_SLOTS = 1 << FUTURE_BITS,
    FUTURE_WHEELS = 7, /* 70 bits: all of 64 */
};

struct future_wheel {
    uint64_t used[FUTURE_SLOTS / 64];                 /* a bit for each slot: something lies in it */
    uint32_t first[FUTURE_SLOTS], last[FUTURE_SLOTS]; /* places; meaningless while the bit is not set */
};

struct future_place; /* a happening and what follows it in its slot */

/* Zeros: nothing is to happen, and time begins at 0. */
struct future {
    mono_us now; /* of the latest that was taken, or the beginning of a slot that was dealt out */
    struct future_wheel *wheel; /* [FUTURE_WHEELS]; NULL before the first insertion */
    struct future_place *place;
    uint32_t count, cap, vacant; /* places ever used, and the first that was given back, + 1 (0: none) */
};

void future_fini(struct future *f); /* deliveries in it are freed */
/* At `now` at the earliest: at least the time of the happening that was taken last, and the `until` last asked for. */
void future_push(struct future *f, const struct happening *what);
bool future_pop(struct future *f, mono_us until, struct happening *out); /* false: nothing up to `until` */

#endif
