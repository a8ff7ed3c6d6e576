#include "gossip/watch.h"

/* A member's place on ring k. The rings are the same for all: no key of an instance is in it. */
static uint64_t place(uint64_t id_hash, uint32_t k)
{
    uint64_t h = (id_hash + k) * 0x9fb21c651e98df25u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 29);
}

void watch_init(struct watch *w, const struct node_id *self, uint64_t seed)
{
    uint64_t id_hash = member_hash(self, 0);
    *w = (struct watch){.rng = rng_seeded(seed), .due_at = NEVER, .missed_at = NEVER};
    for (uint32_t k = 0; k < WATCH_RINGS; k++)
        w->ring[k] = (struct watch_ring){.own = place(id_hash, k), .missed_at = NEVER};
}

static void look_ahead(struct watch *w)
{
    w->due_at = w->missed_at = NEVER;
    for (uint32_t k = 0; k < WATCH_RINGS; k++) {
        const struct watch_ring *ring = &w->ring[k];
        w->missed_at = mono_min(w->missed_at, ring->missed_at);
        if (ring->next_at < w->due_at && watch_is_first(w, ring))
            w->due_at = ring->next_at;
    }
}

void watch_turn_at(struct watch *w, struct watch_ring *ring, mono_ms at)
{
    ring->next_at = at;
    look_ahead(w);
}

/* Takes m in where it lies between us and who is there. Unsigned arithmetic wraps, as the ring does. */
static void offer(struct watch_ring *ring, uint64_t at, struct member *m)
{
    if (!ring->subject || at - ring->own < ring->ahead) {
        ring->subject = m;
        ring->ahead = at - ring->own;
    }
    if (!ring->observer || ring->own - at < ring->behind) {
        ring->observer = m;
        ring->behind = ring->own - at;
        ring->missed_at = NEVER; /* it knows of no turn yet */
    }
}

static void begin(struct watch *w, struct watch_ring *ring, mono_ms now, uint32_t interval_ms)
{
    ring->next_at = now + 1 + rng_below(&w->rng, watch_subjects(w) * interval_ms);
}

/* Who lay between us and it is silent, and the turn that it had may be the next: until then nobody would see it if it is
 * silent too, as a rack is. */
static void take_over(struct watch *w, struct watch_ring *ring, mono_ms now, uint32_t within_ms)
{
    ring->next_at = now + 1 + rng_below(&w->rng, within_ms);
}

void watch_add(struct watch *w, struct member *m, mono_ms now, uint32_t interval_ms)
{
    uint64_t id_hash = member_hash(member_id(m), 0);
    if (w->is_stale)
        return; /* the repair finds it */
    for (uint32_t k = 0; k < WATCH_RINGS; k++) {
        const struct member *before = w->ring[k].subject;
        offer(&w->ring[k], place(id_hash, k), m);
        if (w->ring[k].subject != before)
            begin(w, &w->ring[k], now, interval_ms);
    }
    look_ahead(w);
}

void watch_remove(struct watch *w, const struct member *m)
{
    for (uint32_t k = 0; k < WATCH_RINGS; k++) {
        struct watch_ring *ring = &w->ring[k];
        w->is_stale |= ring->subject == m || ring->observer == m;
        if (ring->subject == m)
            ring->subject = NULL;
        if (ring->observer == m) {
            ring->observer = NULL;
            ring->missed_at = NEVER;
        }
    }
    look_ahead(w);
}

void watch_repair(struct watch *w, const struct members *t, const struct member *self, mono_ms now,
                  uint32_t interval_ms, bool is_well)
{
    const struct member *before[WATCH_RINGS];
    if (!w->is_stale)
        return;
    w->is_stale = false;
    for (uint32_t k = 0; k < WATCH_RINGS; k++)
        before[k] = w->ring[k].subject;
    for (uint32_t i = 0; i < t->count; i++) {
        struct member *m = members_at(t, i);
        if (m == self || m->state != GOSSIP_ALIVE)
            continue;
        uint64_t id_hash = member_hash(member_id(m), 0);
        for (uint32_t k = 0; k < WATCH_RINGS; k++)
            offer(&w->ring[k], place(id_hash, k), m);
    }
    for (uint32_t k = 0; k < WATCH_RINGS; k++)
        if (w->ring[k].subject != before[k])
            take_over(w, &w->ring[k], now, is_well ? interval_ms / 2 : watch_subjects(w) * interval_ms);
    look_ahead(w);
}

struct watch_ring *watch_of(struct watch *w, const struct member *subject)
{
    for (uint32_t k = 0; k < WATCH_RINGS; k++)
        if (w->ring[k].subject == subject)
            return &w->ring[k];
    return NULL;
}

bool watch_is_first(const struct watch *w, const struct watch_ring *ring)
{
    for (const struct watch_ring *r = w->ring; r < ring; r++)
        if (r->subject == ring->subject)
            return false;
    return ring->subject != NULL;
}

void watch_observers(const struct members *t, const struct member *subject, struct member *out[WATCH_RINGS])
{
    uint64_t at[WATCH_RINGS], behind[WATCH_RINGS], id_hash = member_hash(member_id(subject), 0);
    for (uint32_t k = 0; k < WATCH_RINGS; k++) {
        at[k] = place(id_hash, k);
        out[k] = NULL;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        struct member *m = members_at(t, i);
        if (m == subject || m->state != GOSSIP_ALIVE)
            continue;
        id_hash = member_hash(member_id(m), 0);
        for (uint32_t k = 0; k < WATCH_RINGS; k++) {
            uint64_t distance = at[k] - place(id_hash, k);
            if (out[k] && distance >= behind[k])
                continue;
            out[k] = m;
            behind[k] = distance;
        }
    }
}

uint32_t watch_subjects(const struct watch *w)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < WATCH_RINGS; k++)
        n += watch_is_first(w, &w->ring[k]);
    return n;
}

/* The ring on which it has its turns. */
static struct watch_ring *ring_of_observer(struct watch *w, const struct member *observer)
{
    for (uint32_t k = 0; k < WATCH_RINGS; k++)
        if (w->ring[k].observer == observer)
            return &w->ring[k];
    return NULL;
}

uint32_t watch_turn(struct watch *w, const struct member *observer, bool is_extra, mono_ms now,
                    uint32_t interval_ms)
{
    struct watch_ring *ring = ring_of_observer(w, observer);
    if (!ring)
        return 0;
    /* Its turn is still to come, and not just now: it is early, or new here and takes over the turn of
     * who was here before. */
    if (ring->turn_at >= now + interval_ms / 2)
        return (uint32_t)(ring->turn_at - now);
    mono_ms after = w->last_turn > now ? w->last_turn : now;
    mono_ms round = (mono_ms)WATCH_RINGS * interval_ms;
    ring->turn_at = !is_extra ? after + interval_ms : after > now ? now + 2 * round : now + round;
    w->last_turn = is_extra ? w->last_turn : ring->turn_at;
    return (uint32_t)(ring->turn_at - now);
}

void watch_expect(struct watch *w, const struct member *observer, mono_ms by)
{
    struct watch_ring *ring = ring_of_observer(w, observer);
    if (!ring)
        return;
    ring->missed_at = by;
    ring->is_sought = false;
    look_ahead(w);
}

void watch_expect_again(struct watch *w, const struct member *observer, mono_ms by)
{
    struct watch_ring *ring = ring_of_observer(w, observer);
    if (!ring || ring->is_sought)
        return;
    ring->missed_at = by;
    ring->is_sought = true;
    look_ahead(w);
}

struct member *watch_missed(struct watch *w, mono_ms now)
{
    for (uint32_t k = 0; w->missed_at <= now && k < WATCH_RINGS; k++)
        if (w->ring[k].missed_at <= now) {
            w->ring[k].missed_at = NEVER;
            look_ahead(w);
            return w->ring[k].observer;
        }
    return NULL;
}

void watch_expect_nobody(struct watch *w)
{
    for (uint32_t k = 0; k < WATCH_RINGS; k++)
        w->ring[k].missed_at = NEVER;
    look_ahead(w);
}
