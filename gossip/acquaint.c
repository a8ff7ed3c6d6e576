/* acquaint.c: instances that met long ago. What a joiner learns record by record, with a proof, an event and a rumor
 * for each, is put in place at once: a mesh of n is n^2 members, and a hundred million joins would take hours of what
 * is to be a measurement of something else. What follows (rings, timers, summaries) is as it would be. */
#include "gossip/core.h"

#include <assert.h>

enum { ACQUAINTED_FOR_MS = 24 * 3600 * 1000 };

static bool is_fresh(const struct gossip *g)
{
    return g->self && g->self->state == GOSSIP_ALIVE && g->members.count == 1;
}

static bool know(struct gossip *g, struct record_blob *record)
{
    struct member *m = members_add(&g->members, record, g->now);
    if (!m)
        return false;
    members_set_state(&g->members, m, GOSSIP_ALIVE, g->now);
    m->since -= ACQUAINTED_FOR_MS;
    m->flags = MEMBER_SUMMED | MEMBER_KNOWS_US;
    return true;
}

static enum err know_all(struct gossip *g, struct gossip *const *all, size_t count, const uint64_t *sum)
{
    assert(is_fresh(g) && g->cfg.pool && g->cfg.pool == all[0]->cfg.pool);
    for (size_t i = 0; i < count; i++)
        if (all[i] != g && !know(g, all[i]->self->record))
            return ERR_NOMEM;
    memcpy(g->members.sum, sum, sizeof g->members.sum);
    g->members.sum_changes++;
    rumors_drop(&g->rumors, member_fresh(g->self)); /* everybody knows */
    g->wave_at = NEVER;
    g->watch.is_stale = true;
    g->is_joined = true;
    g->explored = EXPLORE_MANY;
    return ERR_OK;
}

enum err gossip_acquaint(struct gossip *const *learner, size_t learners, struct gossip *const *all,
                         size_t count)
{
    uint64_t sum[SUM_LANES] = {0};
    if (count > GOSSIP_MEMBERS_MAX)
        return ERR_FULL;
    for (size_t i = 0; i < count; i++) {
        assert(all[i]->self);
        sum_add(sum, &all[i]->self->record->hash, true);
    }
    for (size_t i = 0; i < learners; i++) {
        enum err e = know_all(learner[i], all, count, sum);
        if (e)
            return e;
    }
    return ERR_OK;
}
