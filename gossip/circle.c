#include "gossip/circle.h"

void circle_init(struct circle *c, uint64_t seed, mono_ms now)
{
    *c = (struct circle){.rng = rng_seeded(seed), .open = CIRCLE_FIRST, .pace_at = now + CIRCLE_PACE_MS};
}

static bool is_alive(const struct member *m)
{
    return m && m->state == GOSSIP_ALIVE;
}

/* Among all, but who is in the circle already, or has won a place in it. */
static struct member *draw(struct circle *c, const struct members *t, const struct member *self)
{
    const struct member * not [2 * CIRCLE_MAX + 1] = {self};
    for (uint32_t i = 0; i < CIRCLE_MAX; i++) {
        not [2 * i + 1] = c->at[i];
        not [2 * i + 2] = c->fair[i];
    }
    return members_pick(t, &c->rng, state_bit(GOSSIP_ALIVE), not, 2 * CIRCLE_MAX + 1);
}

static void replace_one(struct circle *c, mono_ms now)
{
    if (now < c->replace_at)
        return;
    uint32_t i = rng_below(&c->rng, c->open);
    c->replace_at = now + CIRCLE_REPLACE_MS;
    c->at[i] = c->fair[i] = NULL;
}

/* One place changes hands, or there is one more. */
static void step(struct circle *c)
{
    uint32_t i = 0;
    while (i < c->open && (c->at[i] == c->fair[i] || !is_alive(c->fair[i])))
        i++;
    if (i < c->open)
        c->at[i] = c->fair[i];
    else if (c->open < CIRCLE_MAX)
        c->open++;
}

static void keep_pace(struct circle *c, mono_ms now)
{
    if (now < c->pace_at)
        return;
    mono_ms steps = 1 + (now - c->pace_at) / CIRCLE_PACE_MS;
    c->pace_at += steps * CIRCLE_PACE_MS;
    for (uint32_t i = 0; i < 2 * CIRCLE_MAX && i < steps; i++)
        step(c);
}

struct member *circle_pick(struct circle *c, const struct members *t, const struct member *self, mono_ms now)
{
    replace_one(c, now);
    keep_pace(c, now);
    uint32_t i = c->turn % c->open;
    c->turn = i + 1; /* so that the pushes of one rumor go to as many members */
    if (!is_alive(c->at[i]))
        c->at[i] = c->fair[i] = is_alive(c->fair[i]) ? c->fair[i] : draw(c, t, self);
    return c->at[i];
}

void circle_add(struct circle *c, struct member *m, uint32_t alive)
{
    if (alive <= c->alive_most)
        return;
    c->alive_most = alive;
    for (uint32_t i = 0; i < CIRCLE_MAX; i++)
        if (c->at[i] == m || c->fair[i] == m)
            return;
    uint32_t i = rng_below(&c->rng, alive);
    if (i < CIRCLE_MAX && c->fair[i]) /* one that nobody holds is drawn among all, when it is used */
        c->fair[i] = m;
}

void circle_forget(struct circle *c, const struct member *m)
{
    for (uint32_t i = 0; i < CIRCLE_MAX; i++) {
        c->at[i] = c->at[i] == m ? NULL : c->at[i];
        c->fair[i] = c->fair[i] == m ? c->at[i] : c->fair[i];
    }
}
