#include "sim/future.h"

#include <assert.h>
#include <stdlib.h>

#include "sim/delivery.h"

enum { SLOT_MASK = FUTURE_SLOTS - 1, NO_SLOT = FUTURE_SLOTS };

struct future_place {
    struct happening what;
    uint32_t next; /* in its slot, or among the vacant + 1; meaningless in the last of a slot */
};

static uint32_t slot_of(mono_us at, unsigned wheel)
{
    return (uint32_t)(at >> wheel * FUTURE_BITS) & SLOT_MASK;
}

static unsigned wheel_of(mono_us now, mono_us at)
{
    return at == now ? 0 : (63u - (unsigned)__builtin_clzll(now ^ at)) / FUTURE_BITS;
}

static bool is_used(const struct future_wheel *w, uint32_t slot)
{
    return w->used[slot / 64] >> slot % 64 & 1;
}

/* The first slot from `from` on in which something lies. */
static uint32_t first_used(const struct future_wheel *w, uint32_t from)
{
    uint64_t word = from < FUTURE_SLOTS ? w->used[from / 64] & ~UINT64_C(0) << from % 64 : 0;
    for (uint32_t i = from / 64; i < FUTURE_SLOTS / 64; word = w->used[i]) {
        if (word)
            return i * 64 + (uint32_t)__builtin_ctzll(word);
        if (++i == FUTURE_SLOTS / 64)
            break;
    }
    return NO_SLOT;
}

static void put(struct future *f, uint32_t place)
{
    mono_us at = f->place[place].what.at;
    unsigned n = wheel_of(f->now, at);
    struct future_wheel *w = &f->wheel[n];
    uint32_t slot = slot_of(at, n);
    if (is_used(w, slot))
        f->place[w->last[slot]].next = place;
    else
        w->first[slot] = place;
    w->last[slot] = place;
    w->used[slot / 64] |= UINT64_C(1) << slot % 64;
}

static void clear(struct future_wheel *w, uint32_t slot)
{
    w->used[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

static void grow(struct future *f)
{
    uint32_t cap = f->cap ? 2 * f->cap : 1024;
    struct future_place *place = cap > f->cap ? realloc(f->place, cap * sizeof *place) : NULL;
    if (!f->wheel)
        f->wheel = calloc(FUTURE_WHEELS, sizeof *f->wheel);
    if (!place || !f->wheel)
        abort(); /* a simulation that is out of memory has no result */
    f->place = place;
    f->cap = cap;
}

static uint32_t take_place(struct future *f)
{
    if (f->vacant == 0) {
        if (f->count == f->cap)
            grow(f);
        return f->count++;
    }
    uint32_t place = f->vacant - 1;
    f->vacant = f->place[place].next;
    return place;
}

void future_push(struct future *f, const struct happening *what)
{
    assert(what->at >= f->now);
    uint32_t place = take_place(f);
    f->place[place].what = *what;
    put(f, place);
}

/* Deals out the first slot of the lowest wheel in which anything lies. Only a time up to `until` becomes now. */
static bool deal_out(struct future *f, mono_us until)
{
    for (unsigned n = 1; n < FUTURE_WHEELS; n++) {
        struct future_wheel *w = &f->wheel[n];
        uint32_t slot = first_used(w, slot_of(f->now, n) + 1);
        if (slot == NO_SLOT)
            continue;
        uint32_t at = w->first[slot], last = w->last[slot];
        mono_us below = (UINT64_C(1) << n * FUTURE_BITS) - 1, begins = f->place[at].what.at & ~below;
        if (begins > until)
            return false;
        f->now = begins;
        clear(w, slot);
        for (uint32_t next; at != last; at = next) {
            next = f->place[at].next;
            __builtin_prefetch(f->place[at].what.delivery); /* on its way since long: it is soon read */
            put(f, at);
        }
        put(f, last);
        return true;
    }
    return false;
}

/* The first of those that lie in the lowest wheel's slot. */
static void take(struct future *f, uint32_t slot, struct happening *out)
{
    struct future_wheel *w = &f->wheel[0];
    uint32_t place = w->first[slot];
    struct future_place *p = &f->place[place];
    if (place == w->last[slot])
        clear(w, slot);
    else
        w->first[slot] = p->next;
    *out = p->what;
    f->now = out->at;
    p->next = f->vacant;
    f->vacant = place + 1;
}

bool future_pop(struct future *f, mono_us until, struct happening *out)
{
    if (!f->wheel)
        return false;
    for (;;) {
        uint32_t slot = first_used(&f->wheel[0], slot_of(f->now, 0));
        if (slot != NO_SLOT) {
            if ((f->now & ~(mono_us)SLOT_MASK) + slot > until)
                return false;
            take(f, slot, out);
            return true;
        }
        if (!deal_out(f, until))
            return false;
    }
}

void future_fini(struct future *f)
{
    struct happening x;
    while (future_pop(f, NEVER, &x))
        delivery_free(x.delivery);
    free(f->wheel);
    free(f->place);
    *f = (struct future){0};
}
