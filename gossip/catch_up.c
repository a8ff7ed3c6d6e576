/* catch_up.c: how one that lacks much gets it: a sync with one random member after another, each as soon as
 * the last is answered, until one shows no difference. What is left then is found by summaries.
 *
 *   OFF --a sample, or a sync that showed much--> WAITING --its time--> ASKED --answered: some--> WAITING
 *                                                    ^------late-----------'  '--answered: none--> OFF
 *
 * So a thousand that join one seed at once do not queue for it. It gives each a few records and they double
 * what they know with every exchange among themselves, as in randomized rumor spreading by push and pull
 * (Karp et al. 2000): after log2(n) rounds and a few more everybody knows everybody, each record has gone to
 * each member about once, and no uplink carried more than any other. The same serves two halves of a
 * partition that grew apart. Nothing that arrived is lost when an exchange is cut: the next asks by digest
 * for what is still missing (ADVERSARY G38). */
#include "gossip/core.h"

static void wait_a_little(struct gossip *g)
{
    g->catch_up.is_on = true;
    g->catch_up.different = 0;
    g->catch_up.at = g->now + CATCH_UP_MS + rng_below(&g->rng, CATCH_UP_MS);
}

void catch_up_begin(struct gossip *g)
{
    wait_a_little(g);
}

void catch_up_saw(struct gossip *g, uint32_t different)
{
    g->catch_up.different += different;
}

void catch_up_answered(struct gossip *g)
{
    if (g->catch_up.different >= (g->catch_up.is_on ? 1 : CATCH_UP_MANY))
        wait_a_little(g);
    else
        g->catch_up = (struct catch_up){0};
}

void catch_up_tick(struct gossip *g)
{
    if (!g->catch_up.is_on || g->now < g->catch_up.at)
        return;
    const struct member * not [] = {g->self};
    struct member *m = members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, 1);
    if (!m || !g->self || is_silent(g)) {
        g->catch_up.is_on = false; /* nobody to ask: seeds or pings will begin it anew */
        return;
    }
    g->catch_up.at = g->now + CATCH_UP_WAIT_MS;
    jobs_sync(g, m);
}

mono_ms catch_up_deadline(const struct gossip *g)
{
    return g->catch_up.is_on ? g->catch_up.at : NEVER;
}
