#include "sim/wire.h"

#include <stdlib.h>
#include <string.h>

struct connection {
    bool is_used, is_open;
    uint32_t low, high; /* the two hosts */
    uint32_t low_generation, high_generation;
    mono_us ready, last_use;
    mono_us last_arrival[2]; /* in each direction: to high, to low */
};

void wire_init(struct wire *w, const struct wire_config *config, uint32_t hosts, uint64_t seed)
{
    *w = (struct wire){.config = *config, .rng = rng_seeded(seed ^ 0x3172e5u), .hosts = hosts};
    w->connection_slots = 1024;
    w->group = calloc(hosts, 1);
    w->connection = calloc(w->connection_slots, sizeof *w->connection);
    if (!w->group || !w->connection)
        abort();
}

void wire_fini(struct wire *w)
{
    free(w->group);
    free(w->connection);
    *w = (struct wire){0};
}

bool wire_is_cut(const struct wire *w, uint32_t from, uint32_t to)
{
    return w->cut[w->group[from]][w->group[to]];
}

bool wire_is_whole(const struct wire *w)
{
    static const bool none[WIRE_GROUPS_MAX][WIRE_GROUPS_MAX];
    return memcmp(w->cut, none, sizeof none) == 0;
}

/* ---- datagrams ---- */

static bool happens(struct wire *w, uint32_t ppm)
{
    return ppm > 0 && rng_below(&w->rng, 1000000) < ppm;
}

static mono_us one_way(struct wire *w)
{
    uint32_t spread = w->config.delay_us / 100 * w->config.jitter_pct;
    return w->config.delay_us - spread + rng_below(&w->rng, 2 * spread + 1);
}

static mono_us datagram_delay(struct wire *w)
{
    mono_us d = one_way(w);
    return happens(w, w->config.reorder_ppm) ? d + rng_below(&w->rng, w->config.reorder_us) : d;
}

unsigned wire_datagram(struct wire *w, uint32_t from, uint32_t to, mono_us now, mono_us arrival[2])
{
    unsigned n = 0;
    if (wire_is_cut(w, from, to) || happens(w, w->config.loss_ppm))
        return 0;
    arrival[n++] = now + datagram_delay(w);
    if (happens(w, w->config.duplicate_ppm))
        arrival[n++] = now + datagram_delay(w);
    return n;
}

/* ---- bulk ---- */

static struct connection *slot_of(struct connection *table, size_t slots, uint32_t low, uint32_t high)
{
    size_t i = (low * (size_t)0x9e3779b1u ^ high * (size_t)0x85ebca77u) & (slots - 1);
    while (table[i].is_used && (table[i].low != low || table[i].high != high))
        i = (i + 1) & (slots - 1);
    return &table[i];
}

static void grow(struct wire *w)
{
    size_t slots = 2 * w->connection_slots;
    struct connection *table = calloc(slots, sizeof *table);
    if (!table)
        abort();
    for (size_t i = 0; i < w->connection_slots; i++)
        if (w->connection[i].is_used)
            *slot_of(table, slots, w->connection[i].low, w->connection[i].high) = w->connection[i];
    free(w->connection);
    w->connection = table;
    w->connection_slots = slots;
}

static struct connection *between(struct wire *w, uint32_t a, uint32_t b)
{
    uint32_t low = a < b ? a : b, high = a < b ? b : a;
    if (2 * w->connection_count >= w->connection_slots)
        grow(w);
    struct connection *c = slot_of(w->connection, w->connection_slots, low, high);
    if (!c->is_used) {
        *c = (struct connection){.is_used = true, .low = low, .high = high};
        w->connection_count++;
    }
    return c;
}

mono_us wire_round_trip(struct wire *w)
{
    return one_way(w) + one_way(w);
}

/* Each lost segment waits for the sender's time-out, which doubles. */
static mono_us resend_delay(struct wire *w)
{
    mono_us d = 0;
    for (unsigned i = 0; i < 6 && happens(w, w->config.loss_ppm); i++)
        d += (mono_us)WIRE_RESEND_US << i;
    return d;
}

mono_us wire_bulk(struct wire *w, uint32_t from, uint32_t from_generation, uint32_t to,
                  uint32_t to_generation, size_t bytes, mono_us now)
{
    struct connection *c = between(w, from, to);
    uint32_t low = from < to ? from_generation : to_generation,
             high = from < to ? to_generation : from_generation;
    bool is_fresh = c->is_open && c->low_generation == low && c->high_generation == high &&
                    now < c->last_use + WIRE_IDLE_US;
    if (!is_fresh) {
        c->is_open = true;
        c->low_generation = low;
        c->high_generation = high;
        c->ready = now + wire_round_trip(w) + wire_round_trip(w) + resend_delay(w);
        c->last_arrival[0] = c->last_arrival[1] = 0;
    }
    c->last_use = now;
    mono_us *last = &c->last_arrival[from > to];
    mono_us start = now > c->ready ? now : c->ready;
    mono_us arrival = start + one_way(w) + resend_delay(w);
    if (arrival < *last)
        arrival = *last;
    return *last = arrival + bytes / WIRE_BYTES_PER_US;
}

void wire_bulk_close(struct wire *w, uint32_t a, uint32_t b)
{
    between(w, a, b)->is_open = false;
}
