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

static void sync_at_random(struct gossip *g)
{
    if (g->now < g->sync_at)
        return;
    g->sync_at = g->now + g->cfg.sync_interval_ms;
    const struct member * not [] = {g->self};
    struct member *m = members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, 1);
    if (m && g->self && !is_silent(g))
        range_begin(g, m);
}

static void sweep(struct gossip *g)
{
    if (g->now < g->sweep_at)
        return;
    g->sweep_at = g->now + sweep_ms(g);
    for (uint32_t i = 0; i < g->members.count;) {
        struct member *m = members_at(&g->members, i);
        int64_t age = (int64_t)g->now - m->since;
        bool is_over = (m->state == GOSSIP_DEAD || m->state == GOSSIP_LEFT) && m != g->self;
        if (is_over && age >= (int64_t)g->cfg.tombstone_ms) {
            apply_forget(g, m);
            continue;
        }
        if (is_over && age >= (int64_t)(g->cfg.tombstone_ms / 8 * 7))
            members_unsum(&g->members, m);
        apply_vouch_lapses(g, m);
        i++;
    }
}

static void refute_again(struct gossip *g)
{
    if (g->wanted_incarnation != 0 && g->now >= g->refute_ok_at)
        own_refute(g, g->wanted_incarnation - 1);
}

/* Our left record has been told to eager_fanout members and there was time for them to pull it; or there is
 * nobody to tell; or it took too long. */
static void leave(struct gossip *g)
{
    if (!is_leaving(g) || g->is_left_told)
        return;
    bool is_told =
        (!member_fresh(g->self) || member_fresh(g->self)->eager_left == 0) && g->now >= g->left_ready_at;
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
    send_held_up(g);
    recall_tick(g);
    tell_wave(g);
    detect_tick(g);
    wants_tick(g);
    docs_tick(g);
    seeds_tick(g);
    catch_up_tick(g);
    retry_tick(g);
    sync_at_random(g);
    sweep(g);
    refute_again(g);
    leave(g);
    locate_tick(g);
    quarantine_tick(g);
}

mono_ms timers_deadline(const struct gossip *g)
{
    mono_ms at = detect_deadline(g);
    at = mono_min(at, mono_min(wants_deadline(g), docs_deadline(g)));
    at = mono_min(at, seeds_deadline(g));
    at = mono_min(at, mono_min(g->dead_retry_at, g->sync_at));
    at = mono_min(at, mono_min(catch_up_deadline(g), recall_deadline(g)));
    at = mono_min(at, mono_min(locate_deadline(g), g->quarantine_at));
    at = mono_min(at, mono_min(g->sweep_at, g->wave_at));
    at = mono_min(at, leave_deadline(g));
    if (is_yielding(g))
        at = mono_min(at, g->yield_until);
    if (g->wanted_incarnation != 0 && !is_leaving(g))
        at = mono_min(at, g->refute_ok_at);
    at = mono_min(at, send_deadline(g));
    return at > g->now ? at : g->now;
}
