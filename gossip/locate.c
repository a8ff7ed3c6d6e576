/* locate.c: where we are. Feeds coordinate.h with probes, and asks for a new record of ours when ours says what is not
 * so any more: another place, or what all members speak. */
#include "gossip/core.h"

/* Its chance is its own: what it draws moves nothing else. */
void locate_init(struct gossip *g)
{
    coordinate_init(&g->coordinate, g->cfg.seed * 2 + 1);
    g->explore_at = g->now + 1 + rng_below(&g->coordinate.rng, EXPLORE_MS);
    g->locate_at = g->now + 1 + rng_below(&g->coordinate.rng, LOCATE_MS);
}

static uint64_t key_of(const struct gossip *g, const struct node_id *id)
{
    return member_hash(id, g->members.key);
}

void gossip_time_us(struct gossip *g, mono_us now)
{
    g->now_us = now;
}

mono_us locate_now_us(const struct gossip *g)
{
    return g->now_us / 1000 >= g->now ? g->now_us : g->now * 1000;
}

void locate_sample(struct gossip *g, const struct member *from, const struct datagram *ack, mono_us sent_us)
{
    mono_us now = locate_now_us(g), rtt = now > sent_us ? now - sent_us : 0;
    if (sent_us == 0 || ack->version < 2)
        return; /* who speaks version 1 has no place */
    coordinate_sample(&g->coordinate, key_of(g, member_id(from)), &ack->coordinate,
                      rtt < UINT32_MAX ? (uint32_t)rtt : UINT32_MAX);
}

/* Publishing. */

uint8_t gossip_protocol_of_all(const struct gossip *g)
{
    if (live_count(g) <= 1)
        return GOSSIP_PROTOCOL_MIN; /* whoever may be met */
    for (uint8_t v = GOSSIP_PROTOCOL_MIN; v < g->cfg.protocol; v++)
        if (g->members.speaking[v] > 0)
            return v;
    return g->cfg.protocol;
}

void locate_said(struct gossip *g)
{
    g->said_protocol = gossip_protocol_of_all(g);
    coordinate_said(&g->pace, &g->self->record->coordinate, rng_u64(&g->coordinate.rng), g->now);
}

/* Coordinates are in records only while all read them, so it is known at once when not all do. */
static bool is_record_due(struct gossip *g)
{
    uint8_t protocol = gossip_protocol_of_all(g);
    if (protocol < g->said_protocol)
        return true;
    return protocol >= 2 && coordinate_is_due(&g->pace, &g->coordinate, live_count(g), g->now);
}

/* Observers look at ten members, always the same: too few to place us well among all. So others are looked at as well,
 * many of them soon after our start; not in a mesh so small that everybody observes everybody. */
static void explore(struct gossip *g)
{
    const struct member * not [] = {g->self};
    if (g->now < g->explore_at)
        return;
    uint32_t spacing = g->explored < EXPLORE_MANY ? EXPLORE_MS : EXPLORE_LATER_MS;
    g->explore_at = g->now + spacing / 2 + rng_below(&g->coordinate.rng, spacing);
    if (!g->self || is_leaving(g) || g->cfg.without & GOSSIP_EXPLORE || live_count(g) <= WATCH_RINGS + 1)
        return;
    g->explored += g->explored < EXPLORE_MANY;
    struct member *m = members_pick(&g->members, &g->coordinate.rng, state_bit(GOSSIP_ALIVE), not, 1);
    if (m && !watch_of(&g->watch, m) && !probes_has_target(&g->probes, m))
        detect_probe(g, m, PROBE_RETRY);
}

/* Who went back to an older version reads none of our records that has a coordinate, so it answers us nothing and is silent for us. It is
 * to have a new one before the pause is over that it is forgiven: once it is dead here it counts for nothing, and neither would
 * ever hear of the other. */
void locate_spoken(struct gossip *g, const struct member *m)
{
    if (member_protocol(m) < g->said_protocol)
        g->locate_at = mono_min(g->locate_at, g->now + rng_below(&g->coordinate.rng, DOWNGRADE_MS));
}

void locate_tick(struct gossip *g)
{
    explore(g);
    if (g->now < g->locate_at)
        return;
    g->locate_at = g->now + LOCATE_MS / 2 + rng_below(&g->coordinate.rng, LOCATE_MS);
    if (!g->self || is_silent(g) || g->ev_moved || !is_record_due(g))
        return;
    g->ev_moved = true;
    g->said_protocol = gossip_protocol_of_all(g);
    g->stats.moved++;
}

mono_ms locate_deadline(const struct gossip *g)
{
    return mono_min(g->locate_at, g->explore_at);
}

/* What is asked. */

struct gossip_coordinate gossip_own_coordinate(const struct gossip *g)
{
    return coordinate_say(&g->coordinate);
}

struct gossip_rtt gossip_rtt(const struct gossip *g, const struct node_id *id)
{
    const struct member *m = members_find(&g->members, id);
    struct gossip_coordinate ours = coordinate_say(&g->coordinate);
    struct gossip_rtt rtt = {0};
    if (!m || m == g->self)
        return rtt;
    const struct neighbour *n = coordinate_neighbour(&g->coordinate, key_of(g, id));
    rtt.estimated_us = coordinate_rtt_us(&ours, n ? &n->theirs : &m->record->coordinate);
    rtt.measured_us = n ? neighbour_rtt_us(n) : m->rtt_8ths > 8 ? m->rtt_8ths * 125u : 0;
    return rtt;
}

uint32_t locate_rtt_ms(const struct gossip *g, const struct member *m)
{
    return (gossip_rtt(g, member_id(m)).estimated_us + 999) / 1000;
}

uint32_t gossip_rtt_between_us(const struct gossip *g, const struct node_id *a, const struct node_id *b)
{
    const struct member *from = members_find(&g->members, a), *to = members_find(&g->members, b);
    return from && to ? coordinate_rtt_us(&from->record->coordinate, &to->record->coordinate) : 0;
}
