/* health.c: what our own word is worth. Lifeguard's local health multiplier (LHM), whom we heard of late, and lateness of the
 * loop: who is slow, deaf or cut off takes others for silent, so it widens its deadlines and accuses nobody. */
#include "gossip/core.h"

/* Lifeguard IV-A, Local Health Multiplier: raised by what tells that we ourselves are slow (a probe of ours that failed, nacks that
 * did not come, a refutation), and by a late loop; lowered by each probe that succeeds. */
void health_change(struct gossip *g, int change)
{
    int health = g->health + change;
    if (has_part(g, GOSSIP_LOCAL_HEALTH))
        g->health = (uint8_t)(health < 0 ? 0 : health > HEALTH_MAX ? HEALTH_MAX : health);
}

/* Lifeguard IV-A, LHA-Probe: intervals and timeouts are multiplied by (LHM + 1). */
uint32_t health_stretch(const struct gossip *g, uint32_t ms)
{
    return ms * (g->health + 1u);
}

void health_heard(struct gossip *g, const struct member *from)
{
    if (is_cut_off(g)) {
        tell_retract(g);
        hearing_trouble(g);
        g->heard_again_at = g->now;
    }
    g->unheard_since = NEVER;
    if (g->heard[0].who != from)
        g->heard[1] = g->heard[0];
    g->heard[0] = (struct heard){from, g->now};
}

uint32_t health_others(const struct gossip *g, const struct member *m, unsigned states)
{
    uint32_t n = 0;
    for (int s = 0; s < 4; s++)
        n += states >> s & 1 ? g->members.by_state[s] : 0;
    n -= g->self && states >> g->self->state & 1;
    return n - (states >> m->state & 1);
}

/* Did two others (all, if there are fewer) answer us after that moment? A member's silence counts only if they did: who is paused,
 * starved or cut off gets no such answers, and so accuses nobody. */
bool health_hears_others(const struct gossip *g, const struct member *m, mono_ms since)
{
    uint32_t need = health_others(g, m, state_bit(GOSSIP_ALIVE)), heard = 0;
    if (is_credulous(g) || health_others(g, m, state_bit(GOSSIP_ALIVE) | state_bit(GOSSIP_SUSPECT)) == 0)
        return true; /* SWIM; or there is nobody to be heard */
    for (size_t i = 0; i < HEARD_MAX; i++)
        heard += g->heard[i].who && g->heard[i].who != m && g->heard[i].at >= since;
    return heard >= (need < HEARD_MAX ? need : HEARD_MAX) && !is_cut_off(g);
}

/* Lifeguard, section IV-A: relays that neither brought an ack nor a nack make our own hearing doubtful; if all
 * said something, be it that they hear it when most do not, it is fine. */
void health_probe_failed(struct gossip *g, const struct probe *p)
{
    if (!has_part(g, GOSSIP_NACK) || p->relay_count == 0)
        health_change(g, 1);
    else
        health_change(g, p->relay_count - relays_in(p->acks | p->nacks));
}

/* Lateness. */

/* A late loop has not read what waits in its sockets, so the silence of others is its own. It takes back what it was about to say:
 * probes under way are void, suspicions count as not looked into, and what it has told of others is told no more. */
static void accuse_nobody(struct gossip *g)
{
    g->probes.count = 0;
    tell_retract(g);
    for (uint32_t i = g->suspicions.count; i-- > 0;) {
        struct suspicion *s = g->suspicions.list[i];
        if (!s)
            continue;
        s->is_own = s->is_told = false;
        s->tries = 0;
        s->verify_at = g->now + verdict_jitter(g);
        suspicions_reschedule(&g->suspicions, s);
        g->suspicion_at = g->now;
    }
}

void health_late(struct gossip *g, uint32_t late_ms)
{
    if (!has_part(g, GOSSIP_LATENESS))
        return;
    g->stats.lateness++;
    probes_delay(&g->probes, late_ms);
    relays_delay(&g->relays, late_ms);
    for (uint32_t i = 0; i < g->suspicions.count; i++) {
        struct suspicion *s = g->suspicions.list[i];
        if (!s)
            continue;
        s->deadline += late_ms;
        s->start += late_ms;
        suspicions_reschedule(&g->suspicions, s);
    }
    if (late_ms < LATE_ALOUD_MS)
        return;
    watch_expect_nobody(&g->watch);
    health_change(g, 1); /* no event of Lifeguard's, but the slowness that they all guess at */
    if (late_ms >= g->cfg.probe_timeout_ms)
        hearing_trouble(g);
    accuse_nobody(g);
}
