/* recall.c: what others hold of us, asked before we say anything. Our disk may have been lost, or put back from a copy; under a
 * number that the mesh has seen already we would be ignored, and every word of ours would be taken for an old one
 * (ADVERSARY G10, G32, S13). So we ask first, with a FETCH of our own record, and begin above what we are shown.
 *
 *   we                                        seeds, and members from the store
 *   FETCH own id ---------------------------> up to RECALL_AT_ONCE of each, at once
 *        <------------------- STATE our record, or nothing
 *
 * It is over when all who were asked have answered, RECALL_MORE_MS after the first answer, or after RECALL_MS at the latest;
 * while nobody answers, others from the store are asked too: for one that fails another, and RECALL_AT_ONCE more every
 * RECALL_PATIENCE_MS. One honest answer is enough to be told a number, and only
 * our own signature can raise it. With nobody to ask it is over at once: the first agent of a mesh waits for nobody, and
 * one that is alone starts all the same; should somebody turn up who knows a higher number, we go above it then (own.c).
 *
 * Until our first record is published we answer such questions from what the store gave us, so that a whole mesh that starts
 * at once does not wait for itself; everything else is not for us yet. */
#include "gossip/core.h"

#include <assert.h>

static const struct node_id whoever;

static struct recalled_by *find(struct recall *r, const struct node_id *id, const struct addr *addr)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct recalled_by *a = &r->asked[i];
        if (node_id_is_zero(&a->id) ? addr_eq(&a->addr, addr) : node_id_eq(&a->id, id))
            return a;
    }
    return NULL;
}

static void ask(struct gossip *g, const struct node_id *id, const struct addr *addr)
{
    struct recall *r = &g->recall;
    if (r->count == RECALL_ASKED_MAX || find(r, id, addr) || !apply_may_dial(g, addr))
        return;
    struct buf ids = {0};
    uint32_t jobs = g->job_count;
    buf_add(&ids, g->cfg.self.b, ID_BYTES);
    jobs_begin(g, JOB_FETCH, id, addr, &ids);
    if (g->job_count == jobs)
        return; /* no memory: as if there were one less */
    r->asked[r->count++] = (struct recalled_by){.id = *id, .addr = *addr, .is_open = true};
}

static uint32_t still_open(const struct recall *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->count; i++)
        n += r->asked[i].is_open;
    return n;
}

/* Members from the store that were not asked yet, until `wanted` are being asked. */
static void ask_members(struct gossip *g, uint32_t wanted)
{
    unsigned states = state_bit(GOSSIP_ALIVE) | state_bit(GOSSIP_SUSPECT);
    const struct member * not [RECALL_ASKED_MAX];
    size_t not_count = 0;
    for (uint32_t i = 0; i < g->recall.count; i++)
        if ((not [not_count] = members_find(&g->members, &g->recall.asked[i].id)))
            not_count++;
    while (still_open(&g->recall) < wanted && not_count < RECALL_ASKED_MAX) {
        struct member *m = members_pick(&g->members, &g->rng, states, not, not_count);
        struct addr addr;
        if (!m)
            return;
        not [not_count++] = m;
        if (apply_addr(g, m, &addr))
            ask(g, member_id(m), &addr);
    }
}

void gossip_recall(struct gossip *g, bool seeds_follow, mono_ms now)
{
    assert(!g->self && now >= g->now);
    g->now = now;
    g->recall = (struct recall){.is_on = true,
                                .awaits_seeds = seeds_follow,
                                .until = now + RECALL_MS,
                                .more_at = now + RECALL_PATIENCE_MS};
    ask_members(g, RECALL_AT_ONCE);
}

void recall_seeds(struct gossip *g)
{
    if (!g->recall.is_on)
        return;
    uint32_t from = g->seed_count ? rng_below(&g->rng, g->seed_count) : 0;
    g->recall.awaits_seeds = false;
    for (uint32_t i = 0; i < g->seed_count && i < RECALL_AT_ONCE; i++)
        ask(g, &whoever, &g->seeds[(from + i) % g->seed_count].addr);
}

/* The highest number that we have signed ourselves; nobody else can make us believe in one. */
static void look(struct gossip *g, struct bytes entries)
{
    struct rd r = rd_init(entries);
    struct state_entry e;
    struct gossip_claim claim;
    while (state_entry_next(&r, &e)) {
        memset(&claim, 0, sizeof claim);
        if (g->verify.record(g->verify.arg, e.record, &claim) != ERR_OK || !is_self(g, &claim.id))
            g->stats.records_refused++;
        else if (claim.incarnation < NUMBER_MAX && claim.incarnation > g->recall.highest)
            g->recall.highest = claim.incarnation;
    }
}

void recall_answered(struct gossip *g, const struct node_id *from, const struct addr *via,
                     struct bytes entries)
{
    struct recalled_by *a = g->recall.is_on ? find(&g->recall, from, via) : NULL;
    if (!a || !a->is_open)
        return;
    a->is_open = false;
    look(g, entries);
    g->recall.until = mono_min(g->recall.until, g->now + RECALL_MORE_MS);
    g->recall.is_answered = true;
}

void recall_failed(struct gossip *g, const struct node_id *id, const struct addr *addr)
{
    struct recalled_by *a = g->recall.is_on ? find(&g->recall, id, addr) : NULL;
    if (!a || !a->is_open)
        return;
    a->is_open = false;
    if (!g->recall.is_answered)
        ask_members(g, RECALL_AT_ONCE);
}

static bool is_over(const struct gossip *g)
{
    const struct recall *r = &g->recall;
    return g->now >= r->until || (!r->awaits_seeds && still_open(r) == 0);
}

void recall_tick(struct gossip *g)
{
    struct recall *r = &g->recall;
    if (r->is_on && !r->is_answered && g->now >= r->more_at) {
        r->more_at = g->now + RECALL_PATIENCE_MS;
        ask_members(g, still_open(r) + RECALL_AT_ONCE);
    }
    if (!r->is_on || !is_over(g))
        return;
    r->is_on = false;
    g->ev_recalled = true;
}

mono_ms recall_deadline(const struct gossip *g)
{
    if (!g->recall.is_on)
        return NEVER;
    if (is_over(g))
        return g->now;
    return g->recall.is_answered ? g->recall.until : mono_min(g->recall.until, g->recall.more_at);
}
