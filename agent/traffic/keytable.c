#include "traffic/keytable.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

struct point {
    uint64_t at;
    uint32_t member;
};
struct keytable {
    enum keytable_kind kind;
    uint32_t members, places;
    uint64_t print;      /* of the members and their order */
    struct point *point; /* RING; behind the struct, as the other */
    uint16_t *slot;      /* MAGLEV */
};

static struct keytable *room_for(size_t bytes)
{
    struct keytable *t = malloc(sizeof *t + bytes);
    if (t)
        *t = (struct keytable){.point = (struct point *)(t + 1), .slot = (uint16_t *)(t + 1)};
    return t;
}

uint64_t keytable_mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t print_of(const uint64_t *id, size_t count)
{
    uint64_t h = count;
    for (size_t i = 0; i < count; i++)
        h = keytable_mix(h ^ id[i]) + 0x9e3779b97f4a7c15u;
    return h;
}

/* --- ring ---------------------------------------------------------------------------------- */

static int point_by_place(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->member < y->member ? -1 : x->member > y->member;
}

static uint32_t points_each(size_t count)
{
    size_t each = KEYTABLE_RING_POINTS_ALL / count;
    return each >= KEYTABLE_RING_POINTS ? KEYTABLE_RING_POINTS : each > 0 ? (uint32_t)each : 1;
}

static struct keytable *ring_new(const uint64_t *id, size_t count)
{
    uint32_t each = points_each(count);
    struct keytable *t = room_for(count * each * sizeof *t->point);
    if (!t)
        return NULL;
    t->places = (uint32_t)count * each;
    for (uint32_t i = 0; i < t->places; i++) {
        uint32_t member = i / each;
        t->point[i] = (struct point){keytable_mix(id[member] ^ keytable_mix(i % each + 1)), member};
    }
    qsort(t->point, t->places, sizeof *t->point, point_by_place);
    return t;
}

static size_t ring_find(const struct keytable *t, uint64_t key)
{
    size_t lo = 0, hi = t->places;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->point[mid].at < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->places ? lo : 0;
}

/* --- maglev -------------------------------------------------------------------------------- */

enum { FREE_SLOT = UINT16_MAX };

struct turn { /* a member's permutation: where it looks next, and how far it steps */
    uint64_t id;
    uint32_t at, step;
    uint16_t member;
};

static int turn_by_id(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void take_slot(struct keytable *t, struct turn *m)
{
    while (t->slot[m->at] != FREE_SLOT) {
        m->at += m->step;
        if (m->at >= KEYTABLE_MAGLEV_SIZE)
            m->at -= KEYTABLE_MAGLEV_SIZE;
    }
    t->slot[m->at] = m->member;
}

/* The order of turns is that of the ids: it must not depend on who asks. */
static struct keytable *maglev_new(const uint64_t *id, size_t count)
{
    struct keytable *t = room_for(KEYTABLE_MAGLEV_SIZE * sizeof *t->slot);
    struct turn *turn = malloc(count * sizeof *turn);
    for (size_t i = 0; t && turn && i < count; i++)
        turn[i] = (struct turn){.id = id[i],
                                .at = (uint32_t)(keytable_mix(id[i]) % KEYTABLE_MAGLEV_SIZE),
                                .step = (uint32_t)(keytable_mix(~id[i]) % (KEYTABLE_MAGLEV_SIZE - 1) + 1),
                                .member = (uint16_t)i};
    if (!t || !turn) {
        free(t);
        free(turn);
        return NULL;
    }
    qsort(turn, count, sizeof *turn, turn_by_id);
    t->places = KEYTABLE_MAGLEV_SIZE;
    for (uint32_t i = 0; i < KEYTABLE_MAGLEV_SIZE; i++)
        t->slot[i] = FREE_SLOT;
    for (uint32_t i = 0; i < KEYTABLE_MAGLEV_SIZE; i++)
        take_slot(t, &turn[i % count]);
    free(turn);
    return t;
}

/* --- both ---------------------------------------------------------------------------------- */

struct keytable *keytable_new(enum keytable_kind kind, const uint64_t *id, size_t count)
{
    count = count < KEYTABLE_MEMBERS_MAX ? count : KEYTABLE_MEMBERS_MAX;
    struct keytable *t = count == 0              ? NULL
                         : kind == KEYTABLE_RING ? ring_new(id, count)
                                                 : maglev_new(id, count);
    if (!t)
        return NULL;
    t->kind = kind;
    t->members = (uint32_t)count;
    t->print = print_of(id, count);
    return t;
}

void keytable_free(struct keytable *t)
{
    free(t);
}

size_t keytable_bytes(const struct keytable *t)
{
    return sizeof *t + t->places * (t->kind == KEYTABLE_RING ? sizeof *t->point : sizeof *t->slot);
}

int keytable_is_of(const struct keytable *t, enum keytable_kind kind, const uint64_t *id, size_t count)
{
    count = count < KEYTABLE_MEMBERS_MAX ? count : KEYTABLE_MEMBERS_MAX;
    return t->kind == kind && t->members == count && t->print == print_of(id, count);
}

size_t keytable_find(const struct keytable *t, uint64_t key)
{
    uint64_t mixed = keytable_mix(key);
    return t->kind == KEYTABLE_RING ? ring_find(t, mixed) : mixed % KEYTABLE_MAGLEV_SIZE;
}

size_t keytable_next(const struct keytable *t, size_t place)
{
    return place + 1 < t->places ? place + 1 : 0;
}

size_t keytable_places(const struct keytable *t)
{
    return t->places;
}

size_t keytable_member(const struct keytable *t, size_t place)
{
    assert(place < t->places);
    return t->kind == KEYTABLE_RING ? t->point[place].member : t->slot[place];
}
