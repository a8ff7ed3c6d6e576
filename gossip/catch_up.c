/* catch_up.c: how one that lacks much gets it: a sync with one of a few random members after another, each soon after
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
 * What a sync costs both sides besides its bytes is a link and its handshake. So those whom one has asked are asked again: among all, who asks
 * whom is still a random graph, and what one hears goes through all of it. And who gets its answers late asks as late again: it is slow itself, or
 * everybody is, as when hundreds start on one machine, and to ask on and on would cost what is short.
 *
 * Who was among the first learned from the seed of few others, and from then on only what is pushed while the byte budget
 * lasts: it begins anew whenever it knows twice as many as when it last ended. */
#include "gossip/core.h"

static void wait_a_little(struct gossip *g, mono_ms at_least)
{
    mono_ms spacing = CATCH_UP_MS + rng_below(&g->rng, CATCH_UP_MS);
    g->catch_up.is_on = true;
    g->catch_up.different = 0;
    g->catch_up.at = g->now + (spacing > at_least ? spacing : at_least);
}

static void end(struct gossip *g)
{
    struct catch_up *c = &g->catch_up;
    c->is_on = false;
    c->different = c->unanswered = 0;
    c->known = g->members.count;
    c->asked = c->agreed = (struct node_id){{0}};
}

void catch_up_begin(struct gossip *g)
{
    wait_a_little(g, 0);
}

void catch_up_grew(struct gossip *g)
{
    if (g->is_joined && !g->catch_up.is_on && g->members.count >= CATCH_UP_FROM &&
        g->members.count >= 2 * g->catch_up.known)
        wait_a_little(g, 0);
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
    mono_ms took = c->is_on ? mono_min(g->now - c->asked_at, CATCH_UP_WAIT_MS) : 0;
    c->unanswered = 0;
    bool is_agreed = c->different < (c->is_on ? 1 : CATCH_UP_MANY);
    if (is_agreed && (!c->is_on || !node_id_is_zero(&c->agreed))) {
        end(g);
        return;
    }
    c->agreed = is_agreed ? *from : (struct node_id){{0}};
    wait_a_little(g, took);
}

static struct member *partner(struct gossip *g)
{
    struct catch_up *c = &g->catch_up;
    struct catch_up_partner *p = &c->partner[c->turn++ % CATCH_UP_PARTNERS];
    struct member *m = members_find(&g->members, &p->id);
    const struct member * not [2 + CATCH_UP_PARTNERS] = {g->self, members_find(&g->members, &c->agreed)};
    for (uint32_t i = 0; i < CATCH_UP_PARTNERS; i++)
        not [2 + i] = members_find(&g->members, &c->partner[i].id);
    bool is_kept = m && m->state == GOSSIP_ALIVE && m != not [1] && g->now - p->asked_at < CATCH_UP_KEPT_MS;
    if (!is_kept) {
        m = members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, 2 + CATCH_UP_PARTNERS);
        m = m ? m : members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, 2);
    }
    if (m)
        *p = (struct catch_up_partner){*member_id(m), g->now};
    return m;
}

void catch_up_tick(struct gossip *g)
{
    struct catch_up *c = &g->catch_up;
    if (!c->is_on || g->now < c->at)
        return;
    struct member *m = partner(g);
    if (!m || !g->self || is_silent(g)) {
        end(g); /* nobody else to ask: seeds or pings will begin it anew */
        return;
    }
    c->at = g->now + ((mono_ms)CATCH_UP_WAIT_MS << c->unanswered);
    c->unanswered += c->unanswered < CATCH_UP_PATIENCE;
    c->asked = *member_id(m);
    c->asked_at = g->now;
    jobs_sync(g, m);
}

mono_ms catch_up_deadline(const struct gossip *g)
{
    return g->catch_up.is_on ? g->catch_up.at : NEVER;
}
