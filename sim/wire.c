#include "sim/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/must.h"

struct connection {
    bool is_used, is_open;
    uint32_t low, high; /* the two hosts */
    uint32_t low_generation, high_generation;
    mono_us ready, last_use;
    mono_us last_arrival[2]; /* in each direction: to high, to low */
};

/* Half to one and a half of `mean`: each direction its own, for asymmetric ways. */
static uint32_t around(struct rng *r, uint32_t mean)
{
    return mean / 2 + rng_below(r, mean + 1);
}

static void lay_ways(struct wire *w)
{
    for (uint32_t a = 0; a < WIRE_ZONES_MAX; a++)
        for (uint32_t b = 0; b < WIRE_ZONES_MAX; b++) {
            uint32_t delay_us = around(&w->rng, w->config.zone_delay_us);
            uint32_t loss_ppm = around(&w->rng, w->config.zone_loss_ppm);
            if (a != b)
                w->way[a][b] = (struct wire_way){delay_us, loss_ppm};
        }
}

void wire_init(struct wire *w, const struct wire_config *config, uint32_t hosts, uint64_t seed)
{
    *w = (struct wire){.config = *config, .rng = rng_seeded(seed ^ 0x3172e5u), .hosts = hosts};
    assert(config->zones <= WIRE_ZONES_MAX);
    if (w->config.queue_us == 0)
        w->config.queue_us = 500 * 1000;
    w->connection_slots = 1024;
    w->group = must_zeros(hosts, 1);
    w->host = must_zeros(hosts, sizeof *w->host);
    w->connection = must_zeros(w->connection_slots, sizeof *w->connection);
    for (uint32_t h = 0; h < hosts && config->zones > 1; h++)
        w->host[h].zone = (uint8_t)(h % config->zones);
    if (config->zones > 1)
        lay_ways(w);
}

void wire_fini(struct wire *w)
{
    free(w->group);
    free(w->host);
    free(w->connection);
    free(w->apart);
    *w = (struct wire){0};
}

static size_t bit_of(const struct wire *w, uint32_t from, uint32_t to)
{
    return (size_t)from * w->hosts + to;
}

bool wire_is_cut(const struct wire *w, uint32_t from, uint32_t to)
{
    size_t bit = bit_of(w, from, to);
    return w->cut[w->group[from]][w->group[to]] || (w->parted > 0 && w->apart[bit / 8] >> bit % 8 & 1);
}

static void set_bit(struct wire *w, size_t bit, bool is_set)
{
    uint8_t mask = (uint8_t)(1u << bit % 8);
    bool was_set = w->apart[bit / 8] & mask;
    w->apart[bit / 8] = (uint8_t)(is_set ? w->apart[bit / 8] | mask : w->apart[bit / 8] & ~mask);
    w->parted += (size_t)is_set;
    w->parted -= (size_t)was_set;
}

void wire_part(struct wire *w, uint32_t a, uint32_t b, bool is_cut)
{
    if (!w->apart)
        w->apart = must_zeros(((size_t)w->hosts * w->hosts + 7) / 8, 1);
    set_bit(w, bit_of(w, a, b), is_cut);
    set_bit(w, bit_of(w, b, a), is_cut);
}

static bool is_stalled(const struct wire_host *h)
{
    return h->lost_in_ppm >= WIRE_STALL_PPM || h->lost_out_ppm >= WIRE_STALL_PPM;
}

bool wire_is_bulk_cut(const struct wire *w, uint32_t a, uint32_t b)
{
    return wire_is_cut(w, a, b) || wire_is_cut(w, b, a) || is_stalled(&w->host[a]) || is_stalled(&w->host[b]);
}

bool wire_is_whole(const struct wire *w)
{
    static const bool none[WIRE_GROUPS_MAX][WIRE_GROUPS_MAX];
    if (memcmp(w->cut, none, sizeof none) != 0 || w->parted > 0)
        return false;
    for (uint32_t h = 0; h < w->hosts; h++)
        if (w->host[h].lost_in_ppm || w->host[h].lost_out_ppm || w->host[h].lag_us)
            return false;
    return true;
}

void wire_heal(struct wire *w)
{
    memset(w->cut, 0, sizeof w->cut);
    if (w->parted > 0)
        memset(w->apart, 0, ((size_t)w->hosts * w->hosts + 7) / 8);
    w->parted = 0;
    for (uint32_t h = 0; h < w->hosts; h++)
        w->host[h].lost_in_ppm = w->host[h].lost_out_ppm = w->host[h].lag_us = 0;
    for (uint32_t a = 0; a < WIRE_ZONES_MAX; a++)
        for (uint32_t b = 0; b < WIRE_ZONES_MAX; b++)
            w->way[a][b].loss_ppm = 0;
    w->config.loss_ppm = w->config.duplicate_ppm = w->config.reorder_ppm = 0;
}

/* ---- lines ---- */

static mono_us passing_us(uint32_t kbps, size_t bytes)
{
    return (mono_us)bytes * 8 * 1000 / kbps;
}

/* Hands `bytes` to a line at `at`; returns when they have passed, NEVER: they were dropped. */
static mono_us pass_datagram(struct wire *w, struct wire_line *line, size_t bytes, mono_us at)
{
    if (w->config.line_kbps == 0)
        return at;
    mono_us start = line->datagrams_until > at ? line->datagrams_until : at;
    if (start - at > w->config.queue_us) {
        w->queue_drops++;
        return NEVER;
    }
    return line->datagrams_until = start + passing_us(w->config.line_kbps, bytes);
}

static mono_us later(mono_us a, mono_us b)
{
    return a > b ? a : b;
}

/* A stream: its first bytes are on the other line while its last ones still wait for the first, so a long message
 * takes its time once, not twice. Returns when the last byte is there. */
static mono_us pass_bulk(const struct wire *w, struct wire_line *out, struct wire_line *in, size_t bytes,
                         mono_us at, mono_us way)
{
    mono_us takes = passing_us(w->config.line_kbps, bytes);
    mono_us first = later(out->bulk_until, at);
    out->bulk_until = first + takes;
    mono_us arrives = later(in->bulk_until, first + way);
    return in->bulk_until = later(arrives + takes, out->bulk_until + way);
}

/* ---- datagrams ---- */

static bool happens(struct wire *w, uint32_t ppm)
{
    return ppm > 0 && rng_below(&w->rng, 1000000) < ppm;
}

static const struct wire_way *way_of(const struct wire *w, uint32_t from, uint32_t to)
{
    return &w->way[w->host[from].zone][w->host[to].zone];
}

static mono_us one_way(struct wire *w, uint32_t from, uint32_t to)
{
    uint32_t spread = w->config.delay_us / 100 * w->config.jitter_pct;
    uint32_t d = w->config.delay_us - spread + way_of(w, from, to)->delay_us + w->host[from].lag_us;
    return d + rng_below(&w->rng, 2 * spread + 1);
}

static mono_us datagram_delay(struct wire *w, uint32_t from, uint32_t to)
{
    mono_us d = one_way(w, from, to);
    return happens(w, w->config.reorder_ppm) ? d + rng_below(&w->rng, w->config.reorder_us) : d;
}

static bool is_dropped(struct wire *w, uint32_t from, uint32_t to)
{
    if (happens(w, w->config.loss_ppm) || happens(w, way_of(w, from, to)->loss_ppm))
        return true;
    return happens(w, w->host[from].lost_out_ppm) || happens(w, w->host[to].lost_in_ppm);
}

unsigned wire_datagram(struct wire *w, uint32_t from, uint32_t to, size_t bytes, mono_us now,
                       mono_us arrival[2])
{
    unsigned n = 0;
    mono_us sent = pass_datagram(w, &w->host[from].out, bytes, now);
    if (sent == NEVER || wire_is_cut(w, from, to) || is_dropped(w, from, to))
        return 0;
    unsigned copies = 1 + happens(w, w->config.duplicate_ppm);
    while (copies-- > 0) {
        mono_us at = sent + datagram_delay(w, from, to);
        at = pass_datagram(w, &w->host[to].in, bytes, at);
        if (at != NEVER)
            arrival[n++] = at;
    }
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
    struct connection *table = must_zeros(slots, sizeof *table);
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

mono_us wire_round_trip(struct wire *w, uint32_t a, uint32_t b)
{
    mono_us there = one_way(w, a, b);
    return there + one_way(w, b, a);
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
        c->ready = now + wire_round_trip(w, from, to);
        c->ready += wire_round_trip(w, from, to);
        c->ready += resend_delay(w);
        c->last_arrival[0] = c->last_arrival[1] = 0;
    }
    c->last_use = now;
    mono_us *last = &c->last_arrival[from > to];
    mono_us arrival = now > c->ready ? now : c->ready;
    mono_us way = one_way(w, from, to);
    way += resend_delay(w);
    if (w->config.line_kbps == 0)
        return *last = later(arrival + way, *last) + passing_us(WIRE_KBPS, bytes);
    arrival = pass_bulk(w, &w->host[from].out, &w->host[to].in, bytes, arrival, way);
    return *last = later(arrival, *last);
}

void wire_bulk_close(struct wire *w, uint32_t a, uint32_t b)
{
    between(w, a, b)->is_open = false;
}
