/* catch_up.c: how one that lacks much gets it: a sync with one random member after another, each as soon as
 * the last is answered, until two of them, one after the other, show no difference: one alone may have the same gaps, as
 * the two have just exchanged what they know. What is left then is found by summaries.
 *
 *   OFF --a sample, a sync that showed much, twice as many known--> WAITING --its time--> ASKED --answered: none, twice--> OFF
 *                                                                      ^-late, or answered-'
 *
 * So a thousand that join one seed at once do not queue for it. It gives each a few records and they double
 * what they know with every exchange among themselves, as in randomized rumor spreading by push and pull
 * (Karp et al. 2000): after log2(n) rounds and a few more everybody knows everybody, each record has gone to
 * each member about once, and no uplink carried more than any other. The same serves two halves of a
 * partition that grew apart. Nothing that arrived is lost when an exchange is cut: the next asks by digest
 * for what is still missing (ADVERSARY G38).
 *
 * Who was among the first learned from the seed of few others, and from then on only what is pushed while the byte budget
 * lasts: it begins anew whenever it knows twice as many as when it last ended. */
#include "gossip/core.h"

static void wait_a_little(struct gossip *g)
{
    g->catch_up.is_on = true;
    g->catch_up.different = 0;
    g->catch_up.at = g->now + CATCH_UP_MS + rng_below(&g->rng, CATCH_UP_MS);
}

static void end(struct gossip *g)
{
    g->catch_up = (struct catch_up){.known = g->members.count};
}

void catch_up_begin(struct gossip *g)
{
    wait_a_little(g);
}

void catch_up_grew(struct gossip *g)
{
    if (g->is_joined && !g->catch_up.is_on && g->members.count >= CATCH_UP_FROM &&
        g->members.count >= 2 * g->catch_up.known)
        wait_a_little(g);
}

void catch_up_saw(struct gossip *g, uint32_t different)
{
    g->catch_up.different += different;
}

void catch_up_answered(struct gossip *g, const struct node_id *from)
{
    struct catch_up *c = &g->catch_up;
    bool is_one_of_several = c->is_on && !node_id_eq(from, &c->asked); /* begun before, or by a digest */
    if (is_one_of_several)
        return;
    bool is_agreed = c->different < (c->is_on ? 1 : CATCH_UP_MANY);
    if (is_agreed && (!c->is_on || !node_id_is_zero(&c->agreed))) {
        end(g);
        return;
    }
    c->agreed = is_agreed ? *from : (struct node_id){{0}};
    wait_a_little(g);
}

void catch_up_tick(struct gossip *g)
{
    struct catch_up *c = &g->catch_up;
    if (!c->is_on || g->now < c->at)
        return;
    const struct member * not [] = {g->self, members_find(&g->members, &c->agreed)};
    struct member *m = members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, 2);
    if (!m || !g->self || is_silent(g)) {
        end(g); /* nobody else to ask: seeds or pings will begin it anew */
        return;
    }
    c->at = g->now + CATCH_UP_WAIT_MS;
    c->asked = *member_id(m);
    jobs_sync(g, m);
}

mono_ms catch_up_deadline(const struct gossip *g)
{
    return g->catch_up.is_on ? g->catch_up.at : NEVER;
}
