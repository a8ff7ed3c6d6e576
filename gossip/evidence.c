/* evidence.c: what connections besides gossip's tell: links that work or break, and dials that are refused. */
#include "gossip/core.h"

/* Silence may be a pause, a full queue, a lost packet; a refused dial is none of these: somebody's kernel says that
 * nobody listens. Asked only of those who are silent already, so that nobody has others dialled by accusing them. */
void evidence_knock(struct gossip *g, struct probe *p)
{
    if (p->is_knocked || g->knocks == KNOCKS_MAX || !has_part(g, GOSSIP_REFUSAL))
        return;
    p->is_knocked = true;
    g->knock[g->knocks++] = p->target;
}

bool evidence_poll_knock(struct gossip *g, struct gossip_packet *out)
{
    while (g->knocks > 0) {
        struct member *m = g->knock[0];
        memmove(g->knock, g->knock + 1, --g->knocks * sizeof *g->knock);
        *out = (struct gossip_packet){.lane = GOSSIP_KNOCK, .to = *member_id(m)};
        if (apply_addr(g, m, &out->addr)) {
            g->stats.knocks_sent++;
            return true;
        }
    }
    return false;
}

void evidence_link_lost(struct gossip *g, struct member *m, enum gossip_loss how)
{
    if (m->state == GOSSIP_ALIVE && !probes_of(&g->probes, m))
        detect_probe(g, m, PROBE_TURN);
    struct probe *p = probes_of(&g->probes, m);
    if (member_suspicion(m) && !p && member_suspicion(m)->tries < SUSPECT_VERIFY_TRIES) {
        member_suspicion(m)->verify_at = g->now;
        suspicions_reschedule(&g->suspicions, member_suspicion(m));
        g->suspicion_at = g->now;
    }
    if (how == GOSSIP_LINK_REFUSED && has_part(g, GOSSIP_REFUSAL)) {
        if (p && !p->is_refused)
            detect_refused(g, p);
        verdict_refused(g, m);
    } else if (p && p->reason != PROBE_RETRY) {
        evidence_knock(g, p);
    }
}

void evidence_link_works(struct gossip *g, struct member *m)
{
    struct member_busy *busy = member_busy(m);
    if (busy) /* without memory it may be accused in spite of it */
        busy->works_until = g->now + LINK_FRESH_MS;
    if (m->state == GOSSIP_SUSPECT)
        apply_evidence(g, m);
    else if (m->state == GOSSIP_DEAD && !probes_has_target(&g->probes, m))
        detect_probe(g, m, PROBE_RETRY); /* probes decide: others reach it by datagrams only */
}

/* Its process is gone: our own look failed, our own dial was refused, and so were those of others. One liar, or all
 * of them, can only claim the last; and a member that pauses refuses nobody (GOALS G2, G15). */
bool evidence_is_gone(const struct gossip *g, const struct suspicion *s)
{
    uint32_t others = health_others(g, s->member, state_bit(GOSSIP_ALIVE));
    return has_part(g, GOSSIP_REFUSAL) && s->is_own && s->is_refused &&
           s->refusers >= (others < REFUSED_OTHERS ? others : REFUSED_OTHERS) &&
           health_hears_others(g, s->member, s->start);
}
