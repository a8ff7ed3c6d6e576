#include "gossip/probe.h"

#include <assert.h>
#include <stdlib.h>

/* The list with room for one more element. NULL: at `max`, or no memory; the list is as it was. */
static void *with_room(void *list, uint32_t count, uint32_t *cap, uint32_t max, size_t element)
{
    if (count >= max)
        return NULL;
    if (count < *cap)
        return list;
    uint32_t want = *cap ? *cap * 2 : 4;
    void *more = realloc(list, want * element);
    if (more)
        *cap = want;
    return more;
}

void probes_fini(struct probes *p)
{
    free(p->list);
}

struct probe *probes_add(struct probes *p)
{
    struct probe *list = with_room(p->list, p->count, &p->cap, PROBES_MAX, sizeof *list);
    if (!list)
        return NULL;
    p->list = list;
    struct probe *probe = &p->list[p->count++];
    memset(probe, 0, sizeof *probe);
    return probe;
}

void probes_remove(struct probes *p, struct probe *probe)
{
    size_t i = (size_t)(probe - p->list);
    assert(i < p->count);
    memmove(probe, probe + 1, (p->count - i - 1) * sizeof *probe);
    p->count--;
}

struct probe *probes_find(const struct probes *p, uint64_t nonce)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->list[i].nonce == nonce)
            return &p->list[i];
    return NULL;
}

struct probe *probes_of(const struct probes *p, const struct member *m)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->list[i].target == m)
            return &p->list[i];
    return NULL;
}

uint32_t probes_count_asking(const struct probes *p)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->count; i++)
        n += p->list[i].reason != PROBE_RETRY;
    return n;
}

mono_ms probes_deadline(const struct probes *p)
{
    mono_ms at = NEVER;
    for (uint32_t i = 0; i < p->count; i++)
        at = mono_min(at, mono_min(p->list[i].again_at, p->list[i].deadline));
    return at;
}

void probes_forget(struct probes *p, const struct member *m)
{
    for (uint32_t i = 0; i < p->count;) {
        struct probe *probe = &p->list[i];
        for (int k = 0; k < probe->relay_count; k++)
            if (probe->relay[k] == m)
                probe->relay[k] = NULL;
        if (probe->tell == m)
            probe->tell = NULL;
        if (probe->target == m)
            probes_remove(p, probe);
        else
            i++;
    }
}

void probes_delay(struct probes *p, uint32_t late_ms)
{
    for (uint32_t i = 0; i < p->count; i++) {
        p->list[i].deadline += late_ms;
        if (p->list[i].again_at != NEVER)
            p->list[i].again_at += late_ms;
    }
}

void relays_fini(struct relays *p)
{
    free(p->list);
}

static void relays_remove(struct relays *p, uint32_t i)
{
    memmove(&p->list[i], &p->list[i + 1], (p->count - i - 1) * sizeof *p->list);
    p->count--;
}

struct relay *relays_add(struct relays *p, const struct member *origin, mono_ms now)
{
    uint32_t of_origin = 0;
    for (uint32_t i = 0; i < p->count;) {
        if (p->list[i].deadline <= now) {
            relays_remove(p, i);
            continue;
        }
        of_origin += p->list[i++].origin == origin;
    }
    if (of_origin >= RELAYS_PER_MEMBER)
        return NULL;
    struct relay *list = with_room(p->list, p->count, &p->cap, RELAYS_MAX, sizeof *list);
    if (!list)
        return NULL;
    p->list = list;
    return &p->list[p->count++];
}

bool relays_take(struct relays *p, uint64_t nonce, const struct member *target, struct relay *out)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->list[i].nonce == nonce && p->list[i].target == target) {
            *out = p->list[i];
            relays_remove(p, i);
            return true;
        }
    return false;
}

void relays_forget(struct relays *p, const struct member *m)
{
    for (uint32_t i = 0; i < p->count;) {
        if (p->list[i].origin == m || p->list[i].target == m)
            relays_remove(p, i);
        else
            i++;
    }
}

static bool is_in_vain(const struct relay *r, const struct member *target, mono_ms now)
{
    return r->target == target && r->nack_at == NEVER && r->deadline > now;
}

uint32_t relays_in_vain(const struct relays *p, const struct member *target, mono_ms now)
{
    uint32_t origins = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        bool is_new = is_in_vain(&p->list[i], target, now);
        for (uint32_t k = 0; is_new && k < i; k++)
            is_new = !is_in_vain(&p->list[k], target, now) || p->list[k].origin != p->list[i].origin;
        origins += is_new;
    }
    return origins;
}

mono_ms relays_deadline(const struct relays *p)
{
    mono_ms at = NEVER;
    for (uint32_t i = 0; i < p->count; i++)
        at = mono_min(at, mono_min(p->list[i].again_at, p->list[i].nack_at));
    return at;
}

void relays_delay(struct relays *p, uint32_t late_ms)
{
    for (uint32_t i = 0; i < p->count; i++) {
        p->list[i].deadline += late_ms;
        if (p->list[i].nack_at != NEVER)
            p->list[i].nack_at += late_ms;
        if (p->list[i].again_at != NEVER)
            p->list[i].again_at += late_ms;
    }
}

void loss_sample(uint16_t *loss, bool is_lost)
{
    *loss = (uint16_t)(is_lost ? *loss + (UINT16_MAX - *loss) / 16 : *loss - (*loss + 15) / 16);
}

uint8_t loss_pings(uint16_t loss)
{
    /* in 256ths: loss^n is a thousandth at n = log(1/1000) / log(loss) */
    static const uint8_t most[] = {8, 25, 45, 64, 80, 95, 107, 118}; /* for 2, 3, ... pings */
    uint8_t n = LOSS_PINGS_MIN;
    for (size_t i = 0; i < sizeof most && loss >> 8 > most[i]; i++)
        n++;
    return n;
}

static void draw_round(struct turns *t, struct rng *r, uint32_t count)
{
    t->mask = 1;
    while (t->mask < count - 1)
        t->mask = t->mask * 2 + 1;
    t->left = (uint64_t)t->mask + 1;
    t->factor = (uint32_t)rng_u64(r) & ~3u & t->mask;
    t->factor |= 1;
    t->step = rng_u64(r) | 1;
    t->at = rng_u64(r) & t->mask;
}

uint32_t turns_next(struct turns *t, struct rng *r, uint32_t count)
{
    assert(count > 0);
    for (;;) {
        if (t->left == 0)
            draw_round(t, r, count);
        t->left--;
        t->at = (t->at * t->factor + t->step) & t->mask;
        if (t->at < count)
            return (uint32_t)t->at;
    }
}
