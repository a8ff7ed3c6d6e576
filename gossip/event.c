/* event.c: what the embedder is told. One pending MEMBER event per member, noted in the member itself: a later
 * change folds into it. */
#include "gossip/core.h"

#include <assert.h>
#include <stdlib.h>

static bool queue_grow(struct ev_queue *q)
{
    uint32_t cap = q->cap ? q->cap * 2 : 8;
    uint16_t *ring = malloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (uint32_t i = 0; i < q->count; i++)
        ring[i] = q->ring[(q->head + i) % q->cap];
    free(q->ring);
    *q = (struct ev_queue){.ring = ring, .count = q->count, .cap = cap, .unlisted = q->unlisted};
    return true;
}

static void queue_put(struct ev_queue *q, uint16_t place)
{
    if (q->count == q->cap && !queue_grow(q))
        q->unlisted++;
    else
        q->ring[(q->head + q->count++) % q->cap] = place;
}

/* A mesh that joined told thousands of events at once: nothing is kept for the next time. */
static void queue_fini(struct ev_queue *q)
{
    free(q->ring);
    *q = (struct ev_queue){.unlisted = q->unlisted};
}

static void queue_remove(struct ev_queue *q, uint16_t place)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < q->count; i++) {
        uint16_t p = q->ring[(q->head + i) % q->cap];
        if (p != place)
            q->ring[(q->head + kept++) % q->cap] = p;
    }
    q->unlisted -= kept == q->count;
    q->count = kept;
}

/* NULL: nothing is pending. */
static struct member *queue_take(struct gossip *g)
{
    struct ev_queue *q = &g->ev;
    if (q->count > 0) {
        uint16_t place = q->ring[q->head];
        q->head = (q->head + 1) % q->cap;
        if (--q->count == 0)
            queue_fini(q);
        return members_at_place(&g->members, place);
    }
    for (uint32_t i = 0; i < g->members.count && q->unlisted > 0; i++) {
        struct member *m = members_at(&g->members, i);
        if (m->flags & MEMBER_EV_PENDING) {
            q->unlisted--;
            return m;
        }
    }
    return NULL;
}

void event_member(struct gossip *g, struct member *m, enum gossip_state before, bool is_new,
                  bool record_changed)
{
    if (!(m->flags & MEMBER_EV_PENDING)) {
        m->flags |= MEMBER_EV_PENDING;
        m->ev_before = (uint8_t)before;
        queue_put(&g->ev, members_place(&g->members, m));
    }
    m->flags |= (uint16_t)((is_new ? MEMBER_EV_NEW : 0) | (record_changed ? MEMBER_EV_RECORD : 0));
}

void event_forgotten(struct gossip *g, struct member *m)
{
    bool is_unseen = m->flags & MEMBER_EV_PENDING && m->flags & MEMBER_EV_NEW;
    if (m->flags & MEMBER_EV_PENDING)
        queue_remove(&g->ev, members_place(&g->members, m));
    if (is_unseen)
        return; /* the embedder never heard of it */
    if (g->forgotten_count == g->forgotten_cap) {
        uint32_t cap = g->forgotten_cap ? g->forgotten_cap * 2 : 8;
        struct node_id *more = realloc(g->forgotten, cap * sizeof *more);
        if (!more)
            return;
        g->forgotten = more;
        g->forgotten_cap = cap;
    }
    g->forgotten[g->forgotten_count++] = *member_id(m);
}

void event_proof(struct gossip *g, const struct node_id *id, struct record_blob *a, struct record_blob *b)
{
    if (!g->proofs)
        g->proofs = calloc(PROOFS_MAX, sizeof *g->proofs);
    if (!g->proofs || g->proof_count == PROOFS_MAX)
        return;
    g->proofs[g->proof_count++] = (struct proof){*id, record_blob_ref(a), record_blob_ref(b)};
}

static void lend(struct gossip *g, struct record_blob *a, struct record_blob *b)
{
    g->lent[0] = a;
    g->lent[1] = b;
}

static void take_back(struct gossip *g)
{
    record_blob_unref(g->lent[0]);
    record_blob_unref(g->lent[1]);
    lend(g, NULL, NULL);
    buf_fini(&g->lent_doc);
}

static void poll_member(struct gossip *g, struct gossip_event *out)
{
    struct member *m = queue_take(g);
    lend(g, record_blob_ref(m->record), NULL);
    *out = (struct gossip_event){.type = GOSSIP_EV_MEMBER,
                                 .id = *member_id(m),
                                 .before = (enum gossip_state)m->ev_before,
                                 .after = (enum gossip_state)m->state,
                                 .is_degraded = degrade_is(m),
                                 .is_quarantined = m->flags & MEMBER_QUARANTINED,
                                 .is_new = m->flags & MEMBER_EV_NEW,
                                 .record_changed = m->flags & MEMBER_EV_RECORD,
                                 .record = record_blob_bytes(m->record)};
    m->flags &= (uint16_t) ~(MEMBER_EV_PENDING | MEMBER_EV_NEW | MEMBER_EV_RECORD);
}

static void poll_proof(struct gossip *g, struct gossip_event *out)
{
    struct proof p = g->proofs[0];
    memmove(g->proofs, g->proofs + 1, --g->proof_count * sizeof *g->proofs);
    lend(g, p.a, p.b);
    *out = (struct gossip_event){.type = GOSSIP_EV_EQUIVOCATION,
                                 .id = p.id,
                                 .record = record_blob_bytes(p.a),
                                 .other = record_blob_bytes(p.b)};
}

static bool take_flag(bool *flag)
{
    bool was = *flag;
    *flag = false;
    return was;
}

static bool is_any(const struct gossip *g)
{
    return g->ev_want || g->ev_recalled || g->ev_joined || g->ev_moved || g->ev_left_sent ||
           g->proof_count + g->forgotten_count + g->ev.count + g->ev.unlisted + g->doc_kind_count > 0;
}

/* Asked after every message, and most have changed nothing: what `out` is then does not matter. */
bool gossip_poll_event(struct gossip *g, struct gossip_event *out)
{
    if (g->lent[0] || g->lent_doc.at)
        take_back(g);
    if (!is_any(g))
        return false;
    memset(out, 0, sizeof *out);
    if (take_flag(&g->ev_want)) {
        out->type = GOSSIP_EV_WANT_INCARNATION;
        out->id = g->cfg.self;
        out->number = g->wanted_incarnation;
    } else if (take_flag(&g->ev_recalled)) {
        out->type = GOSSIP_EV_RECALLED;
        out->number = g->recall.highest;
    } else if (take_flag(&g->ev_joined)) {
        out->type = GOSSIP_EV_JOINED;
    } else if (g->proof_count > 0) {
        poll_proof(g, out);
    } else if (g->forgotten_count > 0) {
        out->type = GOSSIP_EV_FORGOTTEN;
        out->id = g->forgotten[--g->forgotten_count];
    } else if (g->ev.count + g->ev.unlisted > 0) {
        poll_member(g, out);
    } else if (!docs_event(g, out)) {
        if (take_flag(&g->ev_moved))
            out->type = GOSSIP_EV_MOVED;
        else if (take_flag(&g->ev_left_sent))
            out->type = GOSSIP_EV_LEFT_SENT;
        else
            return false;
    }
    return true;
}

void event_fini(struct gossip *g)
{
    take_back(g);
    queue_fini(&g->ev);
    for (uint32_t i = 0; i < g->proof_count; i++) {
        record_blob_unref(g->proofs[i].a);
        record_blob_unref(g->proofs[i].b);
    }
    free(g->proofs);
    free(g->forgotten);
}
