/* quarantine.c: who signed two records with one number. Either two agents run with one key or the key was stolen, and nobody can say
 * which of the two is meant when it is talked to: so nobody is to talk to it (ADVERSARY R4, G7, G33).
 *
 * Both records are the proof, and whoever sees them passes both on, so all know within a few round trips: with the news of the
 * one that counts goes a notice of the other, and who asks is given both. The quarantine ends QUARANTINE_MS after a newer record
 * of its owner's came, if nothing was disputed since: an owner that is told that another uses its key signs anew when all have had time to see the
 * proof (PROOF_FIRST_MS), the other is silent by then (own_heard() in own.c), and who goes on with two faces stays in it.
 *
 * Who joins meanwhile is shown both with the states that it asks for (jobs.c), before the newer one if there is one, and so begins
 * the same quarantine itself: the owner's signatures are the proof. What is older than what is held proves nothing any more, so
 * nobody's old pair does harm to one that has long signed anew. */
#include "gossip/core.h"

enum {
    QUARANTINE_MS = 30 * 1000,
    SHOW_AGAIN_MS =
        2000, /* until an owner has signed anew: the session may have been the other's, or the packet was lost */
};

static void note(struct gossip *g, struct member *m)
{
    event_member(g, m, (enum gossip_state)m->state, false, false);
}

/* Each of the two is shown the other's record, at its own address. Its observers do that: not everybody at once, and not oftener
 * because it signs one pair after another. */
static void show_owners(struct gossip *g, struct member *m)
{
    struct out it = {.type = OUT_RECORD, .to = m, .about = m, .hops = UINT8_MAX};
    bool is_soon = m->busy->shown_at != 0 && g->now < m->busy->shown_at + SHOW_AGAIN_MS;
    m->busy->shown_at = is_soon ? m->busy->shown_at : g->now;
    m->busy->quarantine_at = m->busy->shown_at + SHOW_AGAIN_MS;
    g->quarantine_at = mono_min(g->quarantine_at, m->busy->quarantine_at);
    if (is_soon || !watch_of(&g->watch, m))
        return;
    for (int is_rival = 0; is_rival < 2; is_rival++) {
        it.is_rival = is_rival;
        it.via = (is_rival ? m->record : m->busy->rival)->addr[0];
        if (apply_may_dial(g, &it.via))
            outbox_put(&g->answers, &it);
    }
}

/* Either may be NULL: there is nothing to prove any more. */
static void prove(struct member_busy *busy, struct record_blob *a, struct record_blob *b)
{
    struct record_blob *before[2] = {busy->proof[0], busy->proof[1]};
    busy->proof[0] = a ? record_blob_ref(a) : NULL;
    busy->proof[1] = b ? record_blob_ref(b) : NULL;
    record_blob_unref(before[0]);
    record_blob_unref(before[1]);
}

void quarantine_begin(struct gossip *g, struct member *m, struct record_blob *rival)
{
    struct member_busy *busy = member_busy(m);
    m->flags |= MEMBER_QUARANTINED;
    if (busy) {
        struct record_blob *before = busy->rival;
        busy->rival = record_blob_ref(rival);
        record_blob_unref(before);
        prove(busy, m->record, rival);
        show_owners(g, m);
    }
    note(g, m);
}

/* It published a newer record, of which we know no other. */
void quarantine_newer(struct gossip *g, struct member *m)
{
    struct member_busy *busy = member_busy(m);
    bool is_waiting = busy && !busy->rival && busy->quarantine_at != 0;
    if (!(m->flags & MEMBER_QUARANTINED) || !busy || is_waiting)
        return; /* the first that is newer counts: who publishes often would stay for ever */
    record_blob_unref(busy->rival);
    busy->rival = NULL;
    busy->quarantine_at = g->now + QUARANTINE_MS;
    g->quarantine_at = mono_min(g->quarantine_at, busy->quarantine_at);
}

static void end(struct gossip *g, struct member *m)
{
    m->flags &= (uint16_t)~MEMBER_QUARANTINED;
    m->busy->quarantine_at = 0;
    prove(m->busy, NULL, NULL);
    member_settle(m);
    note(g, m);
}

void quarantine_tick(struct gossip *g)
{
    if (g->now < g->quarantine_at)
        return;
    g->quarantine_at = NEVER;
    for (uint32_t i = 0; i < g->members.count; i++) {
        struct member *m = members_at(&g->members, i);
        if (!(m->flags & MEMBER_QUARANTINED) || !m->busy || (m->flags & MEMBER_EQUIVOCAL && !m->busy->rival))
            continue; /* or there was no memory for it */
        if (m->busy->quarantine_at > g->now)
            g->quarantine_at = mono_min(g->quarantine_at, m->busy->quarantine_at);
        else if (m->flags & MEMBER_EQUIVOCAL)
            show_owners(g, m);
        else
            end(g, m);
    }
}
