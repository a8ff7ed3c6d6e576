#include "gossip/circle.h"

void circle_init(struct circle *c, uint64_t seed)
{
    *c = (struct circle){.rng = rng_seeded(seed)};
}

/* Among all, but who is in the circle already. */
static struct member *draw(struct circle *c, const struct members *t, const struct member *self)
{
    const struct member * not [CIRCLE_MAX + 1] = {self};
    for (uint32_t i = 0; i < CIRCLE_MAX; i++)
        not [i + 1] = c->at[i];
    return members_pick(t, &c->rng, state_bit(GOSSIP_ALIVE), not, CIRCLE_MAX + 1);
}

static void replace_one(struct circle *c, mono_ms now)
{
    if (now < c->replace_at)
        return;
    c->replace_at = now + CIRCLE_REPLACE_MS;
    c->at[rng_below(&c->rng, CIRCLE_MAX)] = NULL;
}

struct member *circle_pick(struct circle *c, const struct members *t, const struct member *self, mono_ms now)
{
    replace_one(c, now);
    struct member **m = &c->at[c->turn];
    c->turn = (c->turn + 1) % CIRCLE_MAX; /* so that the pushes of one rumor go to as many members */
    if (!*m || (*m)->state != GOSSIP_ALIVE)
        *m = draw(c, t, self);
    return *m;
}

void circle_add(struct circle *c, struct member *m, uint32_t alive)
{
    if (alive <= c->alive_most)
        return;
    c->alive_most = alive;
    for (uint32_t i = 0; i < CIRCLE_MAX; i++)
        if (c->at[i] == m)
            return;
    if (rng_below(&c->rng, alive) < CIRCLE_MAX)
        c->at[rng_below(&c->rng, CIRCLE_MAX)] = m;
}

void circle_forget(struct circle *c, const struct member *m)
{
    for (uint32_t i = 0; i < CIRCLE_MAX; i++)
        if (c->at[i] == m)
            c->at[i] = NULL;
}
