/* bulk.c: bulk messages in. Large differences are made up here, small ones in datagrams (range.c). A sync goes
 *
 *   a                                          b
 *   SYNC salt, own record, digests ----------> compares bucket by bucket
 *        <---- STATE records of buckets where a has nothing
 *        <---- LIST numbers of buckets that differ
 *   FETCH what b has newer ------------------>
 *   STATE what a has newer ------------------>
 *        <---- STATE what was fetched
 *
 * so that both end up with the newest of both, at the cost of what differs. A joiner has nothing: it gets
 * everything at once. The member whose SYNC it is is left out of the digests: its own record came with it. */
#include "gossip/core.h"

#include <stdlib.h>

bool bulk_allow_answer(struct gossip *g, struct member *m, uint8_t cost)
{
    /* The low four bits count, the others hold the second, modulo an hour or so: one who last asked exactly so
     * long ago gets a few answers less. */
    static_assert(BULK_ANSWERS_PER_S < 16, "four bits count them");
    uint16_t second = (uint16_t)(g->now / 1000 << 4);
    unsigned given = (m->answers & ~15u) == second ? m->answers & 15u : 0;
    if (given + cost > BULK_ANSWERS_PER_S)
        return false;
    m->answers = (uint16_t)(second | (given + cost));
    return true;
}

static void joined(struct gossip *g)
{
    if (g->is_joined)
        return;
    g->is_joined = true;
    g->ev_joined = true;
}

struct sync_sent *bulk_find_sync(struct gossip *g, uint64_t salt)
{
    for (int i = 0; i < SYNCS_SENT_MAX; i++)
        if (g->syncs[i].messages_left > 0 && g->syncs[i].salt == salt)
            return &g->syncs[i];
    return NULL;
}

static void set_bit(uint8_t *bitmap, uint32_t bucket)
{
    bitmap[bucket / 8] |= (uint8_t)(1 << bucket % 8);
}

void bulk_docs(struct gossip *g, const struct node_id *from, struct bytes docs)
{
    struct member *m = members_find(&g->members, from);
    struct rd r = rd_init(docs);
    struct doc_version doc;
    while (doc_version_next(&r, &doc))
        if (m)
            docs_offered(g, m, &doc);
}

/* Of what a joiner lacks there may be very much, and there may be very many joiners: a busy member gives a
 * sample, from which the joiner goes on by itself (catch_up.c). */
static bool is_too_much(struct gossip *g, const struct job *job)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < g->members.count; i++)
        if (jobs_is_answered(job, members_at(&g->members, i), job->send))
            bytes += STATE_ENTRY_BYTES + members_at(&g->members, i)->record->len;
    budget_refill(&g->states, g->now);
    if (bytes > CHUNK_BYTES && !budget_has(&g->states))
        return true;
    budget_spend(&g->states, bytes);
    return false;
}

static void on_sync(struct gossip *g, const struct node_id *from, const struct addr *via,
                    const struct bulk *b)
{
    const struct news news = {.source = members_find(&g->members, from), .origin = FROM_DATAGRAM};
    struct member *m;
    enum err e = b->record.len > 0 ? apply_record(g, b->record, &news, &m) : ERR_OK;
    (void)e; /* refused: counted; the sender may still be known by an older record */
    m = members_find(&g->members, from);
    if (!m || m == g->self || !bulk_allow_answer(g, m, 2))
        return;
    uint64_t digest[BUCKETS_MAX];
    struct rd r = rd_init(b->digests);
    struct job *job = jobs_add(g, JOB_ANSWER, from, via);
    if (!job)
        return;
    job->salt = b->salt;
    job->bits = b->bits;
    members_digest(&g->members, b->salt, b->bits, from, digest);
    for (uint32_t i = 0; i < 1u << b->bits; i++) {
        uint64_t theirs = rd_be64(&r);
        if (theirs != digest[i])
            set_bit(theirs == 0 ? job->send : job->list, i);
    }
    job->is_sample = is_too_much(g, job);
    bulk_docs(g, from, b->docs);
    joined(g);
}

static void on_state_entry(struct gossip *g, const struct node_id *from, const struct state_entry *e)
{
    struct member *source = members_find(&g->members, from), *m;
    const struct news news = {
        .source = source, .origin = FROM_SYNC, .hops = 0, .state = e->state, .age_s = e->age_s};
    enum err err = apply_record(g, e->record, &news, &m);
    (void)err; /* refused and stale ones are counted there */
    if (m && source && m != source && (e->state == GOSSIP_SUSPECT || e->state == GOSSIP_DEAD))
        opinion_held(g, e->state, member_id(m), member_incarnation(m), source);
}

static void on_state(struct gossip *g, const struct node_id *from, const struct bulk *b)
{
    struct rd r = rd_init(b->entries);
    struct state_entry e;
    uint64_t applied = g->stats.records_applied;
    while (state_entry_next(&r, &e))
        on_state_entry(g, from, &e);
    if (b->salt != 0) /* else it was counted when it was fetched */
        catch_up_saw(g, (uint32_t)(g->stats.records_applied - applied));
}

/* We asked somebody for its record whom we hold none of (a LIST of its own named it). */
static struct member *introduce(struct gossip *g, const struct node_id *from, struct bytes entries)
{
    struct rd r = rd_init(entries);
    struct state_entry e;
    const struct news news = {.origin = FROM_SYNC, .state = GOSSIP_ALIVE};
    struct member *m = NULL;
    while (state_entry_next(&r, &e) && !apply_own_word(g, from, e.record, &news, &m))
        ;
    return m;
}

/* One that we have no record of may ask for its own, and learns that we have none (recall.c). */
static void on_fetch(struct gossip *g, const struct node_id *from, struct member *m, const struct addr *via,
                     struct bytes ids)
{
    struct buf copy = {0};
    bool asks_itself = ids.len == ID_BYTES && memcmp(ids.at, from->b, ID_BYTES) == 0;
    if (m ? !bulk_allow_answer(g, m, 1) : !asks_itself)
        return;
    buf_add_bytes(&copy, ids);
    jobs_begin(g, JOB_RECORDS, from, via, &copy);
}

/* Before our own first record: what we know is from the store, and only good for telling others who they were. */
static void before_speaking(struct gossip *g, const struct node_id *from, const struct addr *via,
                            const struct bulk *b)
{
    if (b->type == MSG_FETCH)
        on_fetch(g, from, members_find(&g->members, from), via, b->ids);
    else if (b->type == MSG_STATE && b->salt == 0)
        recall_answered(g, from, via, b->entries);
}

static void on_doc_get(struct gossip *g, struct member *m, const struct addr *via, const struct bulk *b)
{
    struct job *job =
        bulk_allow_answer(g, m, DOC_ANSWER_COST) ? jobs_add(g, JOB_DOC, member_id(m), via) : NULL;
    if (!job)
        return;
    const struct doc_kind *k = docs_find(g, b->doc.kind);
    bool is_gone = g->verify.document(g->verify.arg, &b->doc.hash).len == 0;
    /* Superseded between the offer and the question: what we hold now is what they will want. */
    bool is_held = k && k->is_held && (is_gone || hash_eq(&k->held.hash, &b->doc.hash));
    job->doc = is_held ? k->held : b->doc;
}

/* Answers to a SYNC of ours, which nobody else can know the salt of. Anything else that calls itself an
 * answer is dropped. */
static bool expect_answer(struct gossip *g, const struct node_id *from, const struct addr *via,
                          const struct bulk *b)
{
    struct sync_sent *s = bulk_find_sync(g, b->salt);
    if (!s)
        return false;
    s->messages_left = b->flags & STATE_LAST ? 0 : s->messages_left - 1;
    seeds_answered(g, from, via);
    return true;
}

static void answered(struct gossip *g, const struct node_id *from, const struct bulk *b)
{
    bool is_first = !g->is_joined;
    joined(g);
    if (b->flags & STATE_SAMPLE || (is_first && g->members.count >= CATCH_UP_FROM))
        catch_up_begin(g); /* others may be joining with us */
    else
        catch_up_answered(g, from);
}

static enum err dispatch(struct gossip *g, const struct node_id *from, const struct addr *via,
                         const struct bulk *b)
{
    struct member *m = members_find(&g->members, from);
    enum err e = ERR_OK;
    switch (b->type) {
    case MSG_SYNC:
        on_sync(g, from, via, b);
        break;
    case MSG_LIST:
        if (!expect_answer(g, from, via, b))
            break;
        e = differ_apply(g, from, via,
                         &(struct listing){b->salt, b->bits, b->listed, {NULL, 0}, b->entries, false});
        if (b->flags & STATE_LAST)
            answered(g, from, b);
        break;
    case MSG_STATE:
        if (b->salt != 0 && !expect_answer(g, from, via, b))
            break;
        if (b->salt == 0 && !m && !introduce(g, from, b->entries))
            break;
        on_state(g, from, b);
        bulk_docs(g, from, b->docs);
        if (b->flags & STATE_LAST)
            answered(g, from, b);
        break;
    case MSG_FETCH:
        on_fetch(g, from, m, via, b->ids);
        break;
    case MSG_DOC_GET:
        if (m)
            on_doc_get(g, m, via, b);
        break;
    default:
        docs_received(g, from, b);
    }
    return e;
}

enum err bulk_receive(struct gossip *g, const struct node_id *from, const struct addr *via, struct bytes msg)
{
    struct bulk b;
    enum err e = bulk_decode(&b, msg);
    struct member *m = e ? NULL : members_find(&g->members, from);
    if (m && g->self) /* a connection with acknowledgements both ways, and its sender is proven */
        evidence_link_works(g, m);
    if (e == ERR_OK && !g->self)
        before_speaking(g, from, via, &b);
    else if (e == ERR_OK)
        e = dispatch(g, from, via, &b);
    return e;
}

/* Of all we hold: members' records, and documents, so that a lost announcement is found too. */
static struct summary fold(const struct gossip *g, uint64_t nonce)
{
    uint64_t sum[SUM_LANES];
    memcpy(sum, g->members.sum, sizeof sum);
    for (uint32_t i = 0; i < g->doc_kind_count; i++)
        if (g->doc_kinds[i].is_held)
            sum_add(sum, &g->doc_kinds[i].held.hash, true);
    return sum_fold_shared(g->cfg.pool, sum, nonce);
}

void bulk_docs_changed(struct gossip *g)
{
    memset(&g->folds, 0, sizeof g->folds);
}

struct summary bulk_summary(struct gossip *g, uint64_t nonce)
{
    struct folds *f = &g->folds;
    if (f->sum_changes != g->members.sum_changes)
        *f = (struct folds){.sum_changes = g->members.sum_changes};
    for (int i = 0; i < FOLDS_KEPT && nonce != 0; i++)
        if (f->nonce[i] == nonce)
            return f->summary[i];
    uint32_t at = f->next++ % FOLDS_KEPT;
    f->nonce[at] = nonce;
    return f->summary[at] = fold(g, nonce);
}

void bulk_compare(struct gossip *g, struct member *m, uint64_t nonce, const struct summary *theirs)
{
    struct summary ours = bulk_summary(g, nonce);
    if (memcmp(ours.b, theirs->b, SUMMARY_BYTES) == 0) {
        g->mismatches = 0;
        g->sync_backoff = 0;
        if (++g->agreements >= AGREEMENTS_ENOUGH)
            tell_hush(g);
        return;
    }
    g->agreements = 0;
    if (++g->mismatches < MISMATCHES_BEFORE_DIGEST || g->now < g->digest_ok_at || g->catch_up.is_on)
        return;
    range_begin(g, m);
}
