/* gossip.c: the API. What the embedder says and asks; all effects happen in the files that core.h lists. */
#include "gossip/gossip.h"

#include <assert.h>
#include <stdlib.h>

#include "gossip/core.h"

static void defaults(struct gossip_config *c)
{
#define OR(field, value) c->field = c->field ? c->field : (value)
    OR(packet_bytes_max, 1100);
    OR(probe_interval_ms, 1000);
    OR(probe_timeout_ms, 300);
    OR(indirect_probes, 3);
    OR(suspicion_mult, 4);
    OR(retransmit_mult, 4);
    OR(eager_fanout, 4);
    OR(bytes_per_second_max, 65536);
    OR(sync_interval_ms, 60000);
    OR(seed_retry_min_ms, 500);
    OR(seed_retry_max_ms, 30000);
    OR(dead_retry_ms, 10000);
    OR(protocol, GOSSIP_PROTOCOL_MAX);
    OR(tombstone_ms, UINT64_C(7) * 24 * 3600 * 1000);
#undef OR
    assert(c->packet_bytes_max >= GOSSIP_PACKET_BYTES_MIN);
    assert(c->probe_timeout_ms < c->probe_interval_ms && c->eager_fanout < 64);
    assert(c->protocol >= GOSSIP_PROTOCOL_MIN && c->protocol <= GOSSIP_PROTOCOL_MAX);
    assert(c->seed_retry_min_ms <= c->seed_retry_max_ms && !node_id_is_zero(&c->self));
}

struct gossip *gossip_new(const struct gossip_config *config, const struct gossip_verify *verify, mono_ms now)
{
    struct gossip *g = calloc(1, sizeof *g);
    assert(verify->record && verify->document); /* any member may ask for a document */
    if (!g)
        return NULL;
    g->cfg = *config;
    defaults(&g->cfg);
    g->verify = *verify;
    g->now = now;
    g->unheard_since = NEVER;
    g->rng = rng_seeded(config->seed);
    g->jobs_end = &g->jobs;
    g->suspicion_at = g->degraded_at = g->held_up_since = NEVER;
    members_init(&g->members, rng_u64(&g->rng));
    watch_init(&g->watch, &g->cfg.self, ~config->seed);
    circle_init(&g->circle, config->seed * 2 + 2, now);
    rumors_init(&g->rumors);
    budget_init(&g->budget, g->cfg.bytes_per_second_max, now);
    budget_init(&g->look_share, g->cfg.bytes_per_second_max / LOOK_SHARE, now);
    budget_init(&g->ride_share, g->cfg.bytes_per_second_max / RIDE_SHARE, now);
    budget_init(&g->states, STATE_BYTES_PER_S, now);
    locate_init(g);
    hearing_init(g);
    g->quarantine_at = NEVER;
    timers_start(g);
    g->packet = malloc(g->cfg.packet_bytes_max);
    if (!g->packet) {
        gossip_free(g);
        return NULL;
    }
    return g;
}

void gossip_free(struct gossip *g)
{
    if (!g)
        return;
    event_fini(g);
    hearing_fini(g);
    docs_fini(g);
    jobs_fini(g);
    wants_fini(g);
    rumors_fini(&g->rumors);
    suspicions_fini(&g->suspicions);
    probes_fini(&g->probes);
    relays_fini(&g->relays);
    free(g->urgent.ring);
    free(g->answers.ring);
    free(g->ranges);
    members_fini(&g->members);
    free(g->seeds);
    free(g->packet);
    free(g);
}

static void advance(struct gossip *g, mono_ms now)
{
    assert(now >= g->now);
    g->now = now;
}

enum err gossip_own_set(struct gossip *g, struct bytes record, mono_ms now)
{
    advance(g, now);
    const struct news news = {.origin = FROM_OWNER};
    struct member *m;
    enum err e = apply_record(g, record, &news, &m);
    if (e)
        return e;
    g->self = m;
    g->own_set_at = now;
    locate_said(g);
    if (member_incarnation(m) >= g->wanted_incarnation)
        g->wanted_incarnation = 0;
    if (m->state == GOSSIP_LEFT) {
        g->left_ready_at = now + g->cfg.probe_timeout_ms;
        g->left_at = now + LEAVE_WAIT_MS;
    }
    return ERR_OK;
}

enum err gossip_member_load(struct gossip *g, struct bytes record, mono_ms now)
{
    advance(g, now);
    const struct news news = {.origin = FROM_STORE};
    uint32_t known = g->members.count;
    struct member *m;
    enum err e = apply_record(g, record, &news, &m);
    if (e)
        return e;
    if (g->members.count == known)
        return ERR_STALE;
    if (m->state == GOSSIP_ALIVE)
        apply_suspicion(g, m, &g->cfg.self, now, false, true);
    return ERR_OK;
}

void gossip_evict(struct gossip *g, const struct node_id *id, mono_ms now)
{
    advance(g, now);
    struct member *m = members_find(&g->members, id);
    if (m && m != g->self)
        apply_evict(g, m);
}

void gossip_link_lost(struct gossip *g, const struct node_id *id, enum gossip_loss how, mono_ms now)
{
    advance(g, now);
    struct member *m = members_find(&g->members, id);
    if (m && m != g->self && g->self && !is_silent(g))
        evidence_link_lost(g, m, how);
}

void gossip_link_works(struct gossip *g, const struct node_id *id, mono_ms now)
{
    advance(g, now);
    struct member *m = members_find(&g->members, id);
    if (m && m != g->self && g->self)
        evidence_link_works(g, m);
}

void gossip_late(struct gossip *g, uint32_t late_ms)
{
    health_late(g, late_ms);
    for (uint32_t i = 0; i < g->wants.count; i++)
        if (g->wants.list[i].is_asked)
            g->wants.list[i].deadline += late_ms;
    for (uint32_t i = 0; i < g->doc_kind_count; i++)
        if (g->doc_kinds[i].fetch == FETCH_ASKED)
            g->doc_kinds[i].deadline += late_ms;
}

void gossip_tick(struct gossip *g, mono_ms now)
{
    advance(g, now);
    timers_tick(g);
}

mono_ms gossip_deadline(const struct gossip *g)
{
    return timers_deadline(g);
}

enum err gossip_receive(struct gossip *g, enum gossip_lane lane, const struct node_id *from,
                        const struct addr *via, struct bytes msg, mono_ms now)
{
    advance(g, now);
    assert(lane != GOSSIP_KNOCK);
    enum err e = ERR_OK;
    if (is_self(g, from) || node_id_is_zero(from))
        e = ERR_MALFORMED; /* our own words reflected, or nobody's */
    else if (is_yielding(g))
        return ERR_OK;
    else if (msg.len > 0 && msg.at[0] > g->cfg.protocol)
        e = ERR_UNSUPPORTED;
    else if (lane == GOSSIP_BULK)
        e = bulk_receive(g, from, via, msg);
    else
        e = receive_datagram(g, from, via, msg);
    g->stats.messages_malformed += e == ERR_MALFORMED;
    g->stats.messages_unknown += e == ERR_UNSUPPORTED;
    return e;
}

bool gossip_poll_send(struct gossip *g, struct gossip_packet *out)
{
    return send_poll(g, out) || evidence_poll_knock(g, out) || jobs_poll(g, out);
}

static void show(const struct gossip *g, const struct member *m, struct gossip_member *out)
{
    *out = (struct gossip_member){.id = *member_id(m),
                                  .state = (enum gossip_state)m->state,
                                  .is_degraded = degrade_is(m),
                                  .is_quarantined = m->flags & MEMBER_QUARANTINED,
                                  .incarnation = member_incarnation(m),
                                  .version = member_version(m),
                                  .addr = *member_addr(m, m->addr_used),
                                  .record = record_blob_bytes(m->record),
                                  .since = m->since > 0 ? (mono_ms)m->since : 0};
    apply_addr(g, m, &out->addr);
}

bool gossip_member_get(const struct gossip *g, const struct node_id *id, struct gossip_member *out)
{
    const struct member *m = members_find(&g->members, id);
    if (m)
        show(g, m, out);
    return m != NULL;
}

bool gossip_member_next(const struct gossip *g, size_t *cursor, struct gossip_member *out)
{
    if (*cursor >= g->members.count)
        return false;
    show(g, members_at(&g->members, (*cursor)++), out);
    return true;
}

bool gossip_is_yielding(const struct gossip *g)
{
    return is_yielding(g);
}

struct gossip_counts gossip_counts(const struct gossip *g)
{
    const uint32_t *n = g->members.by_state;
    return (struct gossip_counts){n[GOSSIP_ALIVE], n[GOSSIP_SUSPECT], n[GOSSIP_DEAD], n[GOSSIP_LEFT]};
}

const struct gossip_stats *gossip_stats(const struct gossip *g)
{
    return &g->stats;
}

const char *gossip_state_text(enum gossip_state s)
{
    static const char *const text[] = {"alive", "suspect", "dead", "left"};
    assert((unsigned)s < sizeof text / sizeof *text);
    return text[s];
}
