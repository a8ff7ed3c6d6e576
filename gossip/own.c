/* own.c: what others say about ourselves. We refute by asking the embedder for a higher incarnation; a record of ours with
 * higher numbers than we know of tells of an old disk image, or of another agent that runs with our key. */
#include "gossip/core.h"

void own_refute(struct gossip *g, uint64_t above)
{
    if (above >= NUMBER_MAX - 1 || is_silent(g))
        return;
    if (g->wanted_incarnation <= above)
        g->wanted_incarnation = above + 1;
    if (g->now < g->refute_ok_at)
        return; /* timers_tick() asks when the time has come */
    g->refute_ok_at = g->now + REFUTE_SPACING_MS;
    g->ev_want = true;
    g->stats.refutations++;
    health_change(g, 1); /* Lifeguard IV-A: who has to refute was probably slow */
}

static void own_alarm(struct gossip *g, const struct gossip_claim *claim, struct bytes record)
{
    struct record_blob *other = record_blob_of(g->cfg.pool, record, claim);
    if (other)
        event_proof(g, &claim->id, g->self->record, other);
    record_blob_unref(other);
}

static bool is_elsewhere(const struct gossip *g, const struct gossip_claim *claim)
{
    return !addr_eq(member_addr(g->self, 0), &claim->addr[0]);
}

/* And is not the same once more, from another. */
static bool is_overtaking(const struct gossip *g, const struct gossip_claim *claim)
{
    return g->now - g->overtaken_at > CLONE_WINDOW_MS || g->overtaken == 0 ||
           claim->incarnation > g->overtaken_by;
}

/* An old disk image is overtaken by what its peers remember, once or twice. Who is overtaken again and again
 * has a living double. */
static bool is_cloned(struct gossip *g, const struct gossip_claim *claim)
{
    if (!is_overtaking(g, claim))
        return false;
    if (g->now - g->overtaken_at > CLONE_WINDOW_MS)
        g->overtaken = 0;
    g->overtaken_at = g->now;
    g->overtaken_by = claim->incarnation;
    g->overtaken += g->overtaken < UINT8_MAX;
    return g->overtaken == CLONE_SIGNS;
}

/* Of two agents with one identity the one with the lower address goes on, the other claims nothing for a while: so
 * the name does not flap between them (ADVERSARY G33). */
static bool is_other_first(const struct gossip *g, const struct gossip_claim *claim)
{
    const struct addr *ours = member_addr(g->self, 0), *theirs = &claim->addr[0];
    int order = memcmp(theirs->ip, ours->ip, sizeof ours->ip);
    return order < 0 || (order == 0 && theirs->port < ours->port);
}

static void yield(struct gossip *g)
{
    g->yield_until = g->now + CLONE_YIELD_MS;
    g->wanted_incarnation = 0;
    g->probes.count = g->relays.count = 0; /* nobody is blamed for answers that we do not take any more */
}

/* Our own record came back to us. Newer than ours: an old disk image, or a clone of our key (ADVERSARY G32,
 * G33, G46). */
void own_heard(struct gossip *g, const struct gossip_claim *claim, struct bytes record)
{
    if (!g->self) {
        own_refute(g, claim->incarnation);
        return;
    }
    int newer = member_cmp(g->self, claim->incarnation, claim->version);
    if (newer < 0 || (newer == 0 && hash_eq(&claim->hash, &g->self->record->hash)))
        return;
    /* At the first sign, if it is told of another address: what the others remembered was asked for before we spoke. */
    bool is_alarming =
        newer == 0 ? !(g->self->flags & MEMBER_EQUIVOCAL) : is_elsewhere(g, claim) && is_overtaking(g, claim);
    if (newer == 0)
        g->self->flags |= MEMBER_EQUIVOCAL;
    bool is_double = is_cloned(g, claim);
    if (is_alarming || is_double)
        own_alarm(g, claim, record);
    if (is_double && is_other_first(g, claim))
        yield(g);
    if (g->wanted_incarnation <= claim->incarnation && g->refute_ok_at < g->now + PROOF_FIRST_MS)
        g->refute_ok_at = g->now + PROOF_FIRST_MS; /* it may be one of two */
    own_refute(g, claim->incarnation);
}
