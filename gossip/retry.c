/* retry.c: the silent are asked again: one of the dead now and then for as long as it is remembered, one that speaks though it is held
 * dead, one of whom another says that it lives, and, when a cut has healed, all of them.
 *
 * Then all who were silent would answer, but each is asked only at its own time: at its next look, or, of the dead, one in ten seconds. So
 * each answer makes us try two more, as TCP opens its window: all are found within some round trips, and nobody has to publish a
 * refutation. Those who are really gone end it.
 *
 * For halves of a thousand that is a ping and an ack for each of a quarter of a million pairs. So nobody is asked before there is room for
 * it in the byte budget: what waits, waits as a number. Were all pings put in line at once, the acks that others wait for would come late,
 * and make them ask again. */
#include "gossip/core.h"

enum {
    RETURNED_TRY = 2,       /* others of the silent, when one of them answers */
    RETURNS_MS = 10 * 1000, /* after the last such answer the silent are still tried, one every ... */
    RETURNS_RETRY_MS = 1000,
    RETRIES_BEHIND = 8, /* pings and acks that may wait for the budget when one more is tried */
    RETRIES_OPEN_MAX = PROBES_MAX / 2, /* probes under way: the others are for turns and looks */
    RETRY_DRAWS = 8,                   /* of one of the silent, until it is one who is not being asked */
    TOGETHER_MS = 30 * 1000,           /* who is cut off together is held dead within some seconds */
};

void retry_member(struct gossip *g, struct member *m)
{
    struct probe *p = probes_of(&g->probes, m);
    if (!p)
        detect_probe(g, m, PROBE_RETRY);
    else if (p->reason == PROBE_RETRY && p->pings == 1)
        detect_repeat(g, p);
}

static bool has_room(struct gossip *g)
{
    budget_refill(&g->budget, g->now);
    return budget_has(&g->budget) && g->urgent.count < RETRIES_BEHIND && g->probes.count < RETRIES_OPEN_MAX;
}

/* So many more of the silent, whoever they are, once there is room. */
static void try_later(struct gossip *g, uint32_t count)
{
    uint32_t silent = g->members.by_state[GOSSIP_DEAD] + g->members.by_state[GOSSIP_SUSPECT];
    g->retries = g->now < g->retries_until ? g->retries + count : count;
    g->retries = g->retries < silent ? g->retries : silent;
    g->retries_until = g->now + RETURNS_MS;
}

void retry_voice(struct gossip *g, struct member *m)
{
    if (has_room(g))
        retry_member(g, m);
    else
        try_later(g, 1);
}

void retry_dispute(struct gossip *g, struct member *m, struct member *other)
{
    retry_voice(g, m);
    struct probe *p = probes_of(&g->probes, m);
    if (p && p->reason == PROBE_RETRY && other && (!p->tell || hearing_mistrusts(g, p->tell)))
        p->tell = other; /* who says so later takes no honest one's place */
}

void retry_disputed(struct gossip *g, const struct probe *p)
{
    struct out word = {.type = OUT_WORD, .to = p->tell, .about = p->target};
    if (p->tell && p->target->state == GOSSIP_DEAD && !is_cut_off(g) && apply_addr(g, p->tell, &word.via))
        outbox_put(&g->answers, &word);
}

bool retry_died_with(const struct gossip *g, const struct member *m, uint32_t others)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->members.count && n < others; i++) {
        const struct member *x = members_at(&g->members, i);
        n += x != m && x->state == GOSSIP_DEAD && x->since < m->since + TOGETHER_MS &&
             x->since > m->since - TOGETHER_MS;
    }
    return n >= others;
}

bool retry_is_of_many(struct gossip *g, const struct member *m)
{
    uint32_t quarter = g->members.count / 4;
    return m->state == GOSSIP_DEAD && degrade_many_silent(g) &&
           retry_died_with(g, m, quarter < DEAD_TOLD_MAX ? quarter : DEAD_TOLD_MAX);
}

void retry_returned(struct gossip *g, bool was_dead, bool is_of_many)
{
    if (is_credulous(g) || (!degrade_many_silent(g) && !was_dead))
        return;
    try_later(g, RETURNED_TRY);
    if (is_of_many)
        g->returns_until = g->now + RETURNS_MS;
    g->dead_retry_at = mono_min(g->dead_retry_at, g->now + RETURNS_RETRY_MS);
}

bool retry_are_returning(const struct gossip *g)
{
    return g->now < g->returns_until;
}

static struct member *pick(struct gossip *g)
{
    for (int draw = 0; draw < RETRY_DRAWS; draw++) {
        struct member *m =
            members_pick(&g->members, &g->rng, state_bit(GOSSIP_DEAD) | state_bit(GOSSIP_SUSPECT), NULL, 0);
        if (!m || !probes_has_target(&g->probes, m))
            return m;
    }
    return NULL;
}

bool retry_is_waiting(const struct gossip *g)
{
    return g->retries > 0 && g->now < g->retries_until && !is_silent(g);
}

bool retry_next(struct gossip *g)
{
    struct member *m = retry_is_waiting(g) && has_room(g) ? pick(g) : NULL;
    if (!m)
        return false;
    g->retries--;
    retry_member(g, m);
    return true;
}

/* One of the dead at a time is asked, however many there are and for as long as they are remembered: after a partition neither
 * half would else ever speak to the other again (hashicorp/serf#605, uber/ringpop-go#135; Serf's reconnect). */
void retry_tick(struct gossip *g)
{
    if (g->now < g->dead_retry_at)
        return;
    bool is_soon = g->now < g->retries_until && g->cfg.dead_retry_ms > RETURNS_RETRY_MS;
    g->dead_retry_at = g->now + (is_soon ? RETURNS_RETRY_MS : g->cfg.dead_retry_ms);
    struct member *m = members_pick(&g->members, &g->rng, state_bit(GOSSIP_DEAD), NULL, 0);
    if (m && g->self && !is_silent(g) && !probes_has_target(&g->probes, m))
        detect_probe(g, m, PROBE_RETRY);
}
