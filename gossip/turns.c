/* turns.c: who is probed next: those whom the rings give us, or, for comparison, anybody in turn. */
#include "gossip/core.h"

static bool is_probable(const struct gossip *g, const struct member *m)
{
    struct addr addr;
    return m != g->self && (m->state == GOSSIP_ALIVE || m->state == GOSSIP_SUSPECT) &&
           apply_addr(g, m, &addr) && !probes_has_target(&g->probes, m);
}

/* SWIM section 4.3: random members in a shuffled round robin; in place of observers, for comparison. */
static void random_turn(struct gossip *g)
{
    if (g->now < g->probe_at)
        return;
    g->probe_at = g->now + health_stretch(g, g->cfg.probe_interval_ms);
    for (uint32_t tries = 0; tries < g->members.count; tries++) {
        struct member *m = members_at(&g->members, turns_next(&g->turns, &g->rng, g->members.count));
        if (is_probable(g, m)) {
            detect_probe(g, m, PROBE_TURN);
            return;
        }
    }
}

/* Who watches us speaks to us in each turn that we give it: so we are an eye on it too, which costs nothing while it comes. If it
 * misses one it may be gone, and its own observers may be liars who do not say so (ADVERSARY G22). At most two probes for each
 * turn that we gave, and as many turns as we are probed: so a liar that comes too late or never gets no more of us by it. */
static void missed_turns(struct gossip *g)
{
    struct member *m;
    while ((m = watch_missed(&g->watch, g->now)))
        if (m->state == GOSSIP_ALIVE && !is_cut_off(g) && is_probable(g, m) && detect_may_look(g))
            detect_missed(g, m);
}

static void watch_turns(struct gossip *g)
{
    uint32_t interval = g->cfg.probe_interval_ms;
    missed_turns(g);
    watch_repair(&g->watch, &g->members, g->self, g->now, interval, g->health <= 1 && !is_cut_off(g));
    if (watch_deadline(&g->watch) > g->now)
        return;
    for (int k = 0; k < WATCH_RINGS; k++) {
        struct watch_ring *ring = &g->watch.ring[k];
        if (ring->next_at > g->now || !watch_is_first(&g->watch, ring))
            continue;
        /* If no ack names the next turn: every observer of it once in a round. */
        watch_turn_at(&g->watch, ring, g->now + health_stretch(g, watch_subjects(&g->watch) * interval));
        if (is_probable(g, ring->subject))
            detect_probe(g, ring->subject, PROBE_TURN);
    }
}

void turns_due(struct gossip *g)
{
    if (!g->self || is_silent(g))
        return;
    if (has_part(g, GOSSIP_OBSERVERS))
        watch_turns(g);
    else
        random_turn(g);
}

uint32_t turns_after(struct gossip *g, const struct member *observer)
{
    if (!has_part(g, GOSSIP_OBSERVERS))
        return 0;
    uint32_t ms =
        watch_turn(&g->watch, observer, hearing_mistrusts(g, observer), g->now, g->cfg.probe_interval_ms);
    ms = ms < UINT16_MAX ? ms : UINT16_MAX;
    if (ms > 0)
        watch_expect(&g->watch, observer, g->now + ms + detect_patience_ms(g, observer));
    return ms;
}

mono_ms turns_deadline(const struct gossip *g)
{
    if (!g->self || is_silent(g))
        return NEVER;
    if (!has_part(g, GOSSIP_OBSERVERS))
        return g->probe_at;
    return g->watch.is_stale ? g->now : mono_min(watch_deadline(&g->watch), watch_missed_at(&g->watch));
}
