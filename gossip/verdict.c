/* verdict.c: what becomes of a suspect: looked at again, spared, or held dead. */
#include "gossip/core.h"

uint32_t verdict_jitter(struct gossip *g)
{
    uint32_t spread = live_count(g);
    spread = spread < VERIFY_JITTER_MS ? VERIFY_JITTER_MS : spread;
    return rng_below(&g->rng, spread < VERIFY_JITTER_MAX_MS ? spread : VERIFY_JITTER_MAX_MS);
}

static void verify(struct gossip *g, struct suspicion *s)
{
    if (!detect_may_look(g)) {
        s->verify_at = g->now + g->cfg.probe_timeout_ms / 4 + rng_below(&g->rng, g->cfg.probe_timeout_ms);
        return;
    }
    s->tries++;
    s->verify_at = s->tries < SUSPECT_VERIFY_TRIES
                       ? g->now + g->cfg.probe_interval_ms + rng_below(&g->rng, VERIFY_JITTER_MS)
                       : NEVER;
    if (probes_has_target(&g->probes, s->member))
        return;
    detect_look(g, s->member);
}

/* May it die now? Nobody dies here without a failed probe of our own (ADVERSARY R3), nor while we hear nobody;
 * but not even then does it stay suspect for ever. */
static bool is_final(const struct gossip *g, const struct suspicion *s)
{
    uint32_t longest = suspect_timeout_ms(g->cfg.suspicion_mult, g->cfg.probe_interval_ms, live_count(g), 0);
    if (is_credulous(g) ||
        (s->is_own && !detect_is_without_witness(g, s) && detect_hears_others(g, s->member, s->start)))
        return true;
    return g->now - s->start >= 2 * (mono_ms)longest;
}

/* Our path to it may be the only one that is broken: nearly all our looks found others who hear it. Who lies can say that of
 * the dead too, but then others accuse it in their own words. */
static bool is_spared(const struct suspicion *s)
{
    return s->spared >= SPARED_ENOUGH && s->spared > 2 * s->doomed &&
           suspect_confirmations(s) < SUSPECT_CONFIRMS;
}

/* True: it lives on. */
static bool deadline_passed(struct gossip *g, struct suspicion *s)
{
    if (is_spared(s)) {
        apply_spared(g, s->member);
        return false;
    }
    if (is_final(g, s)) {
        apply_death(g, s->member);
        return false;
    }
    s->deadline = g->now + g->cfg.probe_timeout_ms + 1;
    if (s->verify_at == NEVER && !probes_has_target(&g->probes, s->member))
        s->verify_at = g->now;
    return true;
}

/* Returns when it is due again; NEVER: it is over. */
static mono_ms suspicion_due(struct gossip *g, struct suspicion *s)
{
    if (s->deadline <= g->now && !deadline_passed(g, s))
        return NEVER;
    if (s->verify_at <= g->now)
        verify(g, s);
    return suspicions_reschedule(&g->suspicions, s);
}

/* The latest first. Those that begin meanwhile have their turn in the next call. */
void verdict_due(struct gossip *g)
{
    struct suspicions *q = &g->suspicions;
    if (g->now < g->suspicion_at)
        return;
    suspicions_tidy(q);
    g->suspicion_at = NEVER;
    for (uint32_t i = q->count; i-- > 0;) {
        mono_ms due = q->due[i] <= g->now ? suspicion_due(g, q->list[i]) : q->due[i];
        g->suspicion_at = mono_min(g->suspicion_at, due);
    }
}
