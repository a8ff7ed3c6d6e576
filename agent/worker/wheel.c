#include <string.h>

#include "worker/wheel.h"

void wheel_init(struct wheel *w, mono_ms now)
{
    memset(w->used, 0, sizeof w->used);
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slot[i]);
    w->tick = now / WHEEL_STEP_MS;
}

static void mark(struct wheel *w, uint32_t slot, bool used)
{
    uint64_t bit = 1ull << (slot % 64);
    if (used)
        w->used[slot / 64] |= bit;
    else
        w->used[slot / 64] &= ~bit;
}

void wheel_clear(struct wheel *w, struct timer *t)
{
    if (!t->node.next)
        return;
    list_remove(&t->node);
    if (list_is_empty(&w->slot[t->slot]))
        mark(w, t->slot, false);
}

void wheel_set(struct wheel *w, struct timer *t, mono_ms at)
{
    wheel_clear(w, t);
    t->at = at;
    if (at == NEVER)
        return;
    uint64_t tick = at / WHEEL_STEP_MS + (at % WHEEL_STEP_MS != 0);
    if (tick <= w->tick)
        tick = w->tick + 1;
    if (tick >= w->tick + WHEEL_SLOTS)
        tick = w->tick + WHEEL_SLOTS - 1; /* beyond the horizon: looked at again then */
    t->slot = (uint32_t)(tick % WHEEL_SLOTS);
    list_append(&w->slot[t->slot], &t->node);
    mark(w, t->slot, true);
}

void wheel_set_sooner(struct wheel *w, struct timer *t, mono_ms at)
{
    if (!t->node.next || at < t->at)
        wheel_set(w, t, at);
}

static void look_at(struct wheel *w, uint32_t slot, mono_ms now)
{
    struct list due;
    list_init(&due);
    while (!list_is_empty(&w->slot[slot])) {
        struct list_node *n = w->slot[slot].head.next;
        list_remove(n);
        list_append(&due, n);
    }
    mark(w, slot, false);
    while (!list_is_empty(&due)) {
        struct timer *t = list_entry(due.head.next, struct timer, node);
        list_remove(&t->node);
        if (t->at <= now)
            t->fire(t);
        else
            wheel_set(w, t, t->at);
    }
}

void wheel_turn(struct wheel *w, mono_ms now)
{
    uint64_t until = now / WHEEL_STEP_MS;
    if (until > w->tick + WHEEL_SLOTS)
        w->tick = until - WHEEL_SLOTS; /* asleep for more than a round: each slot needs to be seen once */
    while (w->tick < until) {
        w->tick++;
        uint32_t slot = (uint32_t)(w->tick % WHEEL_SLOTS);
        if (w->used[slot / 64] & 1ull << (slot % 64))
            look_at(w, slot, now);
    }
}

mono_ms wheel_deadline(const struct wheel *w)
{
    for (uint64_t tick = w->tick + 1; tick <= w->tick + WHEEL_SLOTS;) {
        uint32_t slot = (uint32_t)(tick % WHEEL_SLOTS);
        uint64_t word = w->used[slot / 64] >> (slot % 64);
        if (word)
            return (tick + (uint64_t)__builtin_ctzll(word)) * WHEEL_STEP_MS;
        tick += 64 - slot % 64;
    }
    return NEVER;
}
