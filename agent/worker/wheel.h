/* Timers of one worker: a hashed wheel (Varghese and Lauck 1987, scheme 6). Setting and clearing are O(1) and
 * allocate nothing, since nearly every timer is cleared before it fires. Fires up to WHEEL_STEP_MS late; a
 * timer beyond the horizon is looked at once per round. Pure. */
#ifndef WORKER_WHEEL_H
#define WORKER_WHEEL_H

#include "base/clock.h"
#include "base/list.h"

enum { WHEEL_SLOTS = 1024, WHEEL_STEP_MS = 16 };

struct timer {
    struct list_node node; /* zeroed: not set */
    mono_ms at;
    uint32_t slot;
    void (*fire)(struct timer *t);
};

struct wheel {
    struct list slot[WHEEL_SLOTS];
    uint64_t used[WHEEL_SLOTS / 64]; /* which slots hold something */
    uint64_t tick;                   /* every slot up to this one has been looked at */
};

void wheel_init(struct wheel *w, mono_ms now);
void wheel_set(struct wheel *w, struct timer *t, mono_ms at);        /* NEVER clears */
void wheel_set_sooner(struct wheel *w, struct timer *t, mono_ms at); /* leaves an earlier one alone */
void wheel_clear(struct wheel *w, struct timer *t);
/* Fires what is due; the functions may set and clear any timer. */
void wheel_turn(struct wheel *w, mono_ms now);
mono_ms wheel_deadline(const struct wheel *w); /* when to call wheel_turn(), NEVER if nothing is set */

#endif
