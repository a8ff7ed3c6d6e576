/* verdict.c: what becomes of a suspect: looked at again, spared, or held dead. */
#include "gossip/core.h"

uint32_t verdict_jitter(struct gossip *g)
{
    uint32_t spread = live_count(g);
    spread = spread < VERIFY_JITTER_MS ? VERIFY_JITTER_MS : spread;
    return rng_below(&g->rng, spread < VERIFY_JITTER_MAX_MS ? spread : VERIFY_JITTER_MAX_MS);
}

/* How long it lasts, and what is said of it. */

void verdict_reschedule(struct gossip *g, const struct suspicion *s)
{
    g->suspicion_at = mono_min(g->suspicion_at, suspicions_reschedule(&g->suspicions, s));
}

uint32_t verdict_timeout_ms(const struct gossip *g, const struct suspicion *s)
{
    if (g->cfg.without & GOSSIP_SUSPICION)
        return 0; /* SWIM section 3, before 4.2 brings suspicion in */
    uint32_t confirmations = g->cfg.without & GOSSIP_CONFIRMATIONS ? 0 : suspect_confirmations(s);
    return suspect_timeout_ms(g->cfg.suspicion_mult, g->cfg.probe_interval_ms, live_count(g), confirmations);
}

void verdict_confirm(struct gossip *g, struct member *m, const struct node_id *accuser)
{
    struct suspicion *s = member_suspicion(m);
    if (s && s->accusers > 0 && node_id_eq(&s->accuser[0], accuser))
        s->is_hearsay = false; /* now it has said so itself */
    if (!s || !suspect_confirm(s, accuser))
        return;
    s->is_unwitnessed = false;
    s->deadline = mono_min(s->deadline, s->start + verdict_timeout_ms(g, s));
    verdict_reschedule(g, s);
}

/* Another member holds it dead. We look at once and wait for no more confirmations, but it has its whole forgiven pause all the
 * same: no liar shortens anybody's. */
void verdict_hasten(struct gossip *g, struct member *m)
{
    struct suspicion *s = member_suspicion(m);
    s->is_hastened = true;
    if (is_credulous(g)) { /* SWIM section 4.2: a word of a death goes before all of suspicion */
        s->deadline = g->now;
        verdict_reschedule(g, s);
        return;
    }
    mono_ms shortest = s->start + forgiven_ms(g);
    s->deadline = mono_min(s->deadline, shortest > g->now ? shortest : g->now);
    if (s->tries < SUSPECT_VERIFY_TRIES && !s->is_own)
        s->verify_at = mono_min(s->verify_at, g->now + rng_below(&g->rng, VERIFY_JITTER_MS));
    verdict_reschedule(g, s);
}

/* Where many are gone, so are the relays, and somebody has to say it. */
bool verdict_is_without_witness(const struct gossip *g, const struct suspicion *s)
{
    return s->is_unwitnessed && !are_many_silent(g);
}

bool verdict_may_tell(const struct gossip *g, const struct member *m)
{
    return !(m->flags & MEMBER_QUIET) && !is_silent(g) && (g->loss < LOSS_OWN_FAULT || is_credulous(g)) &&
           !verdict_is_without_witness(g, member_suspicion(m)) &&
           health_hears_others(g, m, member_suspicion(m)->start);
}

void verdict_accuse(struct gossip *g, struct suspicion *s, uint8_t eager)
{
    if (!s->is_own || s->is_told || !verdict_may_tell(g, s->member))
        return;
    s->is_told = true;
    if (s->is_refused && s->refusers < REFUSED_OTHERS)
        eager = (uint8_t)g->cfg.eager_fanout; /* ours is a word that others wait for */
    tell_member(g, RUMORS_OPINION, s->member, NULL, &g->cfg.self, 0, eager);
}

/* Its process is gone, as we and others have seen: nothing is left to wait for. */
void verdict_judge(struct gossip *g, struct suspicion *s)
{
    if (!evidence_is_gone(g, s))
        return;
    s->deadline = g->now;
    verdict_reschedule(g, s);
}

void verdict_look_failed(struct gossip *g, struct member *m, bool is_own)
{
    struct suspicion *s = member_suspicion(m);
    if (!s)
        return;
    if (!is_own) { /* that look does not count */
        s->tries = 0;
        s->verify_at = mono_min(s->verify_at, g->now + verdict_jitter(g));
        verdict_reschedule(g, s);
        return;
    }
    s->doomed += s->doomed < UINT8_MAX;
    hearing_ends(g, m, HEARING_SILENT);
    if (!s->is_own && s->is_on_credit)
        hearing_was_right(g);
    uint8_t eager = s->is_unsure ? (uint8_t)g->cfg.eager_fanout : 0; /* else others have pushed it already */
    s->is_own = true;
    s->is_unsure = false;
    verdict_accuse(g, s, eager);
    verdict_judge(g, s);
}

void verdict_refused(struct gossip *g, struct member *m)
{
    struct suspicion *s = member_suspicion(m);
    if (!s || s->is_refused)
        return;
    s->is_refused = true;
    s->is_told = false; /* there is more to tell */
    verdict_accuse(g, s, 0);
    verdict_judge(g, s);
}

/* Its looks, and its end. */

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
        (s->is_own && !verdict_is_without_witness(g, s) && health_hears_others(g, s->member, s->start)))
        return true;
    return g->now - s->start >= 2 * (mono_ms)longest;
}

/* Only our own path to it may be broken: nearly all our looks found relays that hear it. Liars can say so of the dead, too, but then
 * others accuse it in their own words. */
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
