/* See sched.h. */
#include "mux/sched.h"

#include <assert.h>

void sched_init(struct sched *s)
{
    *s = (struct sched){0};
    TAILQ_INIT(&s->fresh);
    TAILQ_INIT(&s->bulk);
    TAILQ_INIT(&s->blocked);
}

static struct sched_list *list_of(struct sched *s, enum sched_place place)
{
    assert(place != SCHED_IDLE);
    return place == SCHED_FRESH ? &s->fresh : place == SCHED_BULK ? &s->bulk : &s->blocked;
}

static void move(struct sched *s, struct sched_entry *e, enum sched_place to)
{
    if (e->place != SCHED_IDLE)
        TAILQ_REMOVE(list_of(s, e->place), e, link);
    e->place = (uint8_t)to;
    if (to != SCHED_IDLE)
        TAILQ_INSERT_TAIL(list_of(s, to), e, link);
}

/* In line, in the class its spending says. A bulk stream that trickles (always idle for a moment) stays bulk:
 * what it has spent is forgotten only after SCHED_FORGET_MS. */
static void enqueue(struct sched *s, struct sched_entry *e)
{
    move(s, e, e->spent < SCHED_QUANTUM ? SCHED_FRESH : SCHED_BULK);
}

void sched_add(struct sched *s, struct sched_entry *e, mono_ms now)
{
    if (e->place == SCHED_FRESH || e->place == SCHED_BULK)
        return;
    if (e->place == SCHED_IDLE && now - e->left_at >= SCHED_FORGET_MS)
        e->spent = 0;
    enqueue(s, e);
}

void sched_remove(struct sched *s, struct sched_entry *e, mono_ms now)
{
    if (e->place == SCHED_IDLE)
        return;
    move(s, e, SCHED_IDLE);
    e->left_at = now;
}

void sched_block(struct sched *s, struct sched_entry *e)
{
    assert(e->place == SCHED_FRESH || e->place == SCHED_BULK);
    move(s, e, SCHED_BLOCKED);
}

void sched_unblock(struct sched *s, mono_ms now)
{
    struct sched_entry *e;
    while ((e = TAILQ_FIRST(&s->blocked)))
        sched_add(s, e, now);
}

bool sched_is_empty(const struct sched *s)
{
    return TAILQ_EMPTY(&s->fresh) && TAILQ_EMPTY(&s->bulk);
}

/* The next bulk stream that has part of its quantum left; one that overdrew it (a large head goes whole) pays
 * it off in rounds. A quantum is added per round, so this ends. */
static struct sched_entry *next_bulk(struct sched *s)
{
    struct sched_entry *e;
    while ((e = TAILQ_FIRST(&s->bulk)) && e->spent >= 2 * SCHED_QUANTUM) {
        e->spent -= SCHED_QUANTUM;
        move(s, e, SCHED_BULK);
    }
    return e;
}

struct sched_entry *sched_next(struct sched *s)
{
    struct sched_entry *fresh = TAILQ_FIRST(&s->fresh);
    if (fresh && (s->streak < SCHED_STREAK || TAILQ_EMPTY(&s->bulk)))
        return fresh;
    return next_bulk(s);
}

size_t sched_limit(const struct sched_entry *e)
{
    int32_t end = e->place == SCHED_FRESH ? SCHED_QUANTUM : 2 * SCHED_QUANTUM;
    assert(e->spent < end);
    return (size_t)(end - e->spent);
}

void sched_charge(struct sched *s, struct sched_entry *e, size_t n)
{
    e->spent += (int32_t)n;
    if (e->place == SCHED_FRESH) {
        s->streak = TAILQ_EMPTY(&s->bulk) ? 0 : s->streak + 1;
        if (e->spent >= SCHED_QUANTUM)
            move(s, e, SCHED_BULK);
        return;
    }
    s->streak = 0;
    if (e->spent >= 2 * SCHED_QUANTUM) { /* its turn is used up */
        e->spent -= SCHED_QUANTUM;
        move(s, e, SCHED_BULK);
    }
}
