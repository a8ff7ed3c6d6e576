/* seeds.c: addresses to join by. A seed is contacted by a SYNC over the bulk lane, with doubling back-off
 * while it does not answer, for ever; and slowly while it is not known as a live member, so that islands
 * which once grew apart find each other again. */
#include "gossip/core.h"

#include <assert.h>
#include <stdlib.h>

void gossip_seeds_set(struct gossip *g, const struct addr *seeds, size_t count, mono_ms now)
{
    assert(now >= g->now);
    g->now = now;
    struct seed *list = calloc(SEEDS_MAX, sizeof *list);
    if (!list)
        return; /* the old ones serve on */
    uint32_t kept = 0;
    for (size_t i = 0; i < count && kept < SEEDS_MAX; i++) {
        struct seed *seed = &list[kept++];
        *seed = (struct seed){.addr = seeds[i], .next_at = now, .backoff_ms = g->cfg.seed_retry_min_ms};
        for (uint32_t k = 0; k < g->seed_count; k++)
            if (addr_eq(&g->seeds[k].addr, &seeds[i]))
                *seed = g->seeds[k];
    }
    free(g->seeds);
    g->seeds = list;
    g->seed_count = kept;
    recall_seeds(g);
}

static bool is_live(const struct gossip *g, const struct seed *seed)
{
    const struct member *m = members_find(&g->members, &seed->id);
    return m && m->state == GOSSIP_ALIVE;
}

static bool is_live_address(const struct gossip *g, const struct addr *a)
{
    for (uint32_t i = 0; i < g->members.count; i++) {
        const struct member *m = members_at(&g->members, i);
        for (int k = 0; k < member_addr_count(m) && m->state == GOSSIP_ALIVE; k++)
            if (addr_eq(member_addr(m, k), a))
                return true;
    }
    return false;
}

static void contact(struct gossip *g, struct seed *seed)
{
    static const struct node_id whoever;
    uint32_t wait = seed->backoff_ms;
    seed->next_at = g->now + wait + rng_below(&g->rng, wait / 4 + 1);
    seed->backoff_ms = wait * 2 < g->cfg.seed_retry_max_ms ? wait * 2 : g->cfg.seed_retry_max_ms;
    if (g->self && apply_may_dial(g, &seed->addr))
        jobs_add(g, JOB_SYNC, &whoever, &seed->addr);
}

void seeds_tick(struct gossip *g)
{
    for (uint32_t i = 0; i < g->seed_count; i++) {
        struct seed *seed = &g->seeds[i];
        if (seed->next_at > g->now || !g->self || is_silent(g))
            continue;
        if (is_live(g, seed) || is_live_address(g, &seed->addr))
            seed->next_at = g->now + g->cfg.seed_retry_max_ms;
        else
            contact(g, seed);
    }
}

mono_ms seeds_deadline(const struct gossip *g)
{
    mono_ms at = NEVER;
    for (uint32_t i = 0; i < g->seed_count && g->self && !is_silent(g); i++)
        at = mono_min(at, g->seeds[i].next_at);
    return at;
}

void seeds_answered(struct gossip *g, const struct node_id *id, const struct addr *via)
{
    for (uint32_t i = 0; i < g->seed_count; i++)
        if (addr_eq(&g->seeds[i].addr, via)) {
            g->seeds[i].id = *id;
            g->seeds[i].backoff_ms = g->cfg.seed_retry_min_ms;
            g->seeds[i].next_at = g->now + g->cfg.seed_retry_max_ms;
        }
}

/* Nothing to do at once: its next contact is set, and the back-off has grown. */
void seeds_failed(struct gossip *g, const struct addr *addr)
{
    static const struct node_id whoever;
    jobs_drop(g, &whoever, addr);
}

/* A member of the mesh (the channel proved it) that we have no record of: we are new, or lost our store. Its
 * address serves as a seed, once in a while: the answer brings its record and everybody else's. Who is catching up
 * will have it without. */
void seeds_join_by(struct gossip *g, const struct addr *via)
{
    static const struct node_id whoever;
    if (!g->self || is_silent(g) || g->catch_up.is_on || g->now < g->join_ok_at || !apply_may_dial(g, via))
        return;
    g->join_ok_at = g->now + g->cfg.seed_retry_min_ms;
    jobs_add(g, JOB_SYNC, &whoever, via);
}

void gossip_bulk_failed(struct gossip *g, const struct node_id *to, const struct addr *addr, mono_ms now)
{
    assert(now >= g->now);
    g->now = now;
    recall_failed(g, to, addr);
    if (node_id_is_zero(to)) {
        seeds_failed(g, addr);
        return;
    }
    jobs_drop(g, to, addr);
    docs_failed(g, to);
    for (uint32_t i = 0; i < g->wants.count; i++) {
        struct want *want = &g->wants.list[i];
        if (want->is_asked && node_id_eq(member_id(want->source[0]), to) &&
            want->deadline > g->now + g->cfg.probe_timeout_ms)
            want->deadline = g->now + g->cfg.probe_timeout_ms;
    }
}
