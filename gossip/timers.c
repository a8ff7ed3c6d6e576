/* timers.c: what falls due. Every timer starts at a random phase, so that members started together do not
 * march in step. */
#include "gossip/core.h"

enum { SWEEPS_PER_TOMBSTONE = 64, SWEEP_MIN_MS = 1000, SWEEP_MAX_MS = 3600 * 1000 };

static mono_ms phase(struct gossip *g, uint32_t interval_ms)
{
    return g->now + 1 + rng_below(&g->rng, interval_ms);
}

static uint32_t sweep_ms(const struct gossip *g)
{
    uint64_t ms = g->cfg.tombstone_ms / SWEEPS_PER_TOMBSTONE;
    return ms < SWEEP_MIN_MS ? SWEEP_MIN_MS : ms > SWEEP_MAX_MS ? SWEEP_MAX_MS : (uint32_t)ms;
}

void timers_start(struct gossip *g)
{
    g->probe_at = phase(g, g->cfg.probe_interval_ms);
    g->sync_at = phase(g, g->cfg.sync_interval_ms);
    g->dead_retry_at = phase(g, g->cfg.dead_retry_ms);
    g->sweep_at = phase(g, sweep_ms(g));
    g->wave_at = NEVER;
}

/* Probes. */

static bool is_probable(const struct gossip *g, const struct member *m)
{
    struct addr addr;
    return m != g->self && (m->state == GOSSIP_ALIVE || m->state == GOSSIP_SUSPECT) &&
           apply_addr(g, m, &addr) && !probes_has_target(&g->probes, m);
}

static void probe_turn(struct gossip *g)
{
    if (g->now < g->probe_at)
        return;
    g->probe_at = g->now + g->cfg.probe_interval_ms;
    if (!g->self || is_leaving(g))
        return;
    for (uint32_t tries = 0; tries < g->members.count; tries++) {
        struct member *m = g->members.list[turns_next(&g->turns, &g->rng, g->members.count)];
        if (is_probable(g, m)) {
            send_probe(g, m, PROBE_TURN);
            return;
        }
    }
}

/* SWIM section 3.1: k others are asked to probe it, in case only the path between us is bad. */
static void probe_through_others(struct gossip *g, struct probe *p)
{
    const struct member * not [PROBE_RELAYS_MAX + 2] = {g->self, p->target};
    p->indirect_at = NEVER;
    if (p->target->addr_count > 1)
        p->target->addr_used = (uint8_t)((p->target->addr_used + 1) % p->target->addr_count);
    while (p->relay_count < g->cfg.indirect_probes && p->relay_count < PROBE_RELAYS_MAX) {
        struct member *relay =
            members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, 2u + p->relay_count);
        struct addr addr;
        if (!relay)
            return;
        not [2 + p->relay_count] = relay;
        p->relay[p->relay_count++] = relay;
        if (!apply_addr(g, relay, &addr))
            continue;
        outbox_put(
            &g->urgent,
            &(struct out){
                .type = OUT_PING_REQ, .to = relay, .about = p->target, .via = addr, .nonce = p->nonce});
        g->stats.indirect_probes_sent++;
    }
}

static void probe_failed(struct gossip *g, struct member *m, enum probe_reason reason)
{
    g->stats.probes_failed++;
    if (reason == PROBE_RETRY || is_leaving(g))
        return;
    if (m->state == GOSSIP_SUSPECT)
        apply_verify_failed(g, m);
    if (m->state != GOSSIP_ALIVE || reason != PROBE_TURN)
        return;
    apply_suspicion(g, m, &g->cfg.self, true, false);
    if (m->suspicion)
        send_tell(g, RUMORS_OPINION, m, NULL, &g->cfg.self, 0, (uint8_t)g->cfg.eager_fanout);
}

static void probes_due(struct gossip *g)
{
    for (uint32_t i = 0; i < g->probes.count;) {
        struct probe *p = &g->probes.list[i];
        if (p->deadline <= g->now) {
            struct member *m = p->target;
            enum probe_reason reason = p->reason;
            probes_remove(&g->probes, p);
            probe_failed(g, m, reason);
            continue;
        }
        if (p->indirect_at <= g->now)
            probe_through_others(g, p);
        i++;
    }
}

/* Suspicions. */

static void verify(struct gossip *g, struct suspicion *s)
{
    if (g->probes.count >= PROBES_MAX / 2) { /* leave room for turns; look again soon */
        s->verify_at = g->now + g->cfg.probe_timeout_ms / 4 + rng_below(&g->rng, g->cfg.probe_timeout_ms);
        return;
    }
    s->tries++;
    s->verify_at = s->tries < SUSPECT_VERIFY_TRIES
                       ? g->now + g->cfg.probe_interval_ms + rng_below(&g->rng, VERIFY_JITTER_MS)
                       : NEVER;
    if (!probes_has_target(&g->probes, s->member))
        send_probe(g, s->member, PROBE_VERIFY);
}

/* True: it lives on. Nobody dies here without a failed probe of our own (ADVERSARY R3). */
static bool deadline_passed(struct gossip *g, struct suspicion *s)
{
    if (s->is_own || s->is_extended) {
        apply_death(g, s->member);
        return false;
    }
    s->is_extended = s->tries > 0 && !probes_has_target(&g->probes, s->member);
    s->deadline = g->now + 2 * (mono_ms)g->cfg.probe_timeout_ms + 1;
    if (s->tries == 0)
        s->verify_at = g->now;
    return true;
}

static void suspicions_due(struct gossip *g)
{
    struct suspicion *s, *next;
    if (g->now < g->suspicion_at)
        return;
    g->suspicion_at = NEVER;
    for (s = LIST_FIRST(&g->suspicions); s; s = next) {
        next = LIST_NEXT(s, link);
        if (s->deadline <= g->now && !deadline_passed(g, s))
            continue;
        if (s->verify_at <= g->now)
            verify(g, s);
        g->suspicion_at = mono_min(g->suspicion_at, mono_min(s->deadline, s->verify_at));
    }
}

/* The slow ones. */

static void retry_dead(struct gossip *g)
{
    if (g->now < g->dead_retry_at)
        return;
    g->dead_retry_at = g->now + g->cfg.dead_retry_ms;
    struct member *m = members_pick(&g->members, &g->rng, state_bit(GOSSIP_DEAD), NULL, 0);
    if (m && g->self && !is_leaving(g) && !probes_has_target(&g->probes, m))
        send_probe(g, m, PROBE_RETRY);
}

static void sync_at_random(struct gossip *g)
{
    if (g->now < g->sync_at)
        return;
    g->sync_at = g->now + g->cfg.sync_interval_ms;
    const struct member * not [] = {g->self};
    struct member *m = members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, 1);
    if (m && g->self && !is_leaving(g))
        range_begin(g, m);
}

static void sweep(struct gossip *g)
{
    if (g->now < g->sweep_at)
        return;
    g->sweep_at = g->now + sweep_ms(g);
    for (uint32_t i = 0; i < g->members.count;) {
        struct member *m = g->members.list[i];
        int64_t age = (int64_t)g->now - m->since;
        bool is_over = (m->state == GOSSIP_DEAD || m->state == GOSSIP_LEFT) && m != g->self;
        if (is_over && age >= (int64_t)g->cfg.tombstone_ms) {
            apply_forget(g, m);
            continue;
        }
        if (is_over && age >= (int64_t)(g->cfg.tombstone_ms / 8 * 7))
            members_unsum(&g->members, m);
        i++;
    }
}

static void refute_again(struct gossip *g)
{
    if (g->wanted_incarnation != 0 && g->now >= g->refute_ok_at)
        apply_refute(g, g->wanted_incarnation - 1);
}

/* Our left record has been told to eager_fanout members and there was time for them to pull it; or there is
 * nobody to tell; or it took too long. */
static void leave(struct gossip *g)
{
    if (!is_leaving(g) || g->is_left_told)
        return;
    bool is_told = (!g->self->fresh || g->self->fresh->eager_left == 0) && g->now >= g->left_ready_at;
    if (!is_told && g->now < g->left_at && g->members.by_state[GOSSIP_ALIVE] > 0)
        return;
    g->is_left_told = true;
    g->ev_left_sent = true;
}

static mono_ms leave_deadline(const struct gossip *g)
{
    if (!is_leaving(g) || g->is_left_told)
        return NEVER;
    if (g->members.by_state[GOSSIP_ALIVE] == 0)
        return g->now;
    return g->now < g->left_ready_at ? g->left_ready_at : g->left_at;
}

void timers_tick(struct gossip *g)
{
    send_wave(g);
    probes_due(g);
    suspicions_due(g);
    probe_turn(g);
    wants_tick(g);
    docs_tick(g);
    seeds_tick(g);
    catch_up_tick(g);
    retry_dead(g);
    sync_at_random(g);
    sweep(g);
    refute_again(g);
    leave(g);
}

mono_ms timers_deadline(const struct gossip *g)
{
    mono_ms at = mono_min(probes_deadline(&g->probes), g->suspicion_at);
    at = mono_min(at, mono_min(wants_deadline(g), docs_deadline(g)));
    at = mono_min(at, mono_min(seeds_deadline(g), g->probe_at));
    at = mono_min(at, mono_min(g->dead_retry_at, g->sync_at));
    at = mono_min(at, catch_up_deadline(g));
    at = mono_min(at, mono_min(g->sweep_at, g->wave_at));
    at = mono_min(at, leave_deadline(g));
    if (g->wanted_incarnation != 0 && !is_leaving(g))
        at = mono_min(at, g->refute_ok_at);
    if (send_is_waiting(g) && !budget_has(&g->budget))
        at = mono_min(at, budget_ready_at(&g->budget));
    return at > g->now ? at : g->now;
}
