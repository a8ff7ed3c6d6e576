/* ping_req.c: probes that others ask us for (SWIM section 3.1, Lifeguard's nacks). */
#include "gossip/core.h"

enum {
    RELAYS_IN_VAIN = 3, /* members for whom one was probed, before we look ourselves */
};

static void ping_for(struct gossip *g, const struct relay *r)
{
    struct addr addr;
    if (apply_addr(g, r->target, &addr))
        send_urgent(
            g, &(struct out){
                   .type = OUT_PING, .to = r->target, .via = addr, .nonce = r->nonce, .is_overdue = true});
}

/* So many do not hear it, nor do we: where liars pass nothing on, the word of a suspicion misses one in some hundred, who is
 * asked all the same (ADVERSARY G22). One or two may only have lost the path to it, as we may. */
static void look_too(struct gossip *g, struct member *m)
{
    if (m->state == GOSSIP_ALIVE && !probes_has_target(&g->probes, m) &&
        relays_in_vain(&g->relays, m, g->now) >= RELAYS_IN_VAIN && detect_may_look(g) &&
        hearing_may_look(g, &g->cfg.self, false))
        detect_hear(g, m);
}

/* What we were asked to probe for others and did not answer yet. */
void ping_req_due(struct gossip *g)
{
    for (uint32_t i = 0; i < g->relays.count; i++) {
        struct relay *r = &g->relays.list[i];
        if (r->again_at <= g->now) {
            r->again_at = NEVER;
            ping_for(g, r);
        }
        if (r->nack_at > g->now)
            continue;
        r->nack_at = NEVER;
        send_urgent(g, &(struct out){.type = OUT_NACK,
                                     .to = r->origin,
                                     .about = r->target,
                                     .via = r->origin_via,
                                     .nonce = r->origin_nonce});
        look_too(g, r->target);
    }
}

/* Only members are probed for others, at their own addresses, a few at a time (ADVERSARY G17). */
void ping_req_receive(struct gossip *g, struct member *from, const struct addr *via, const struct datagram *d)
{
    struct member *target = members_find(&g->members, &d->target);
    struct addr addr;
    if (!target || target == g->self || target == from || !apply_addr(g, target, &addr))
        return;
    struct relay *relay = relays_add(&g->relays, from, g->now);
    if (!relay)
        return;
    /* Lifeguard IV-A: the nack goes at four fifths of the time that the asker waits. */
    *relay = (struct relay){.origin = from,
                            .target = target,
                            .origin_via = *via,
                            .origin_nonce = d->nonce,
                            .nonce = rng_u64(&g->rng),
                            .again_at = loss_pings(g->loss) > LOSS_PINGS_MIN ? g->now + d->ms / 2u : NEVER,
                            .nack_at = has_part(g, GOSSIP_NACK) ? g->now + d->ms * 4u / 5 : NEVER,
                            .deadline = g->now + g->cfg.probe_interval_ms};
    ping_for(g, relay);
}
