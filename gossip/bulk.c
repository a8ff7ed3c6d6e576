/* bulk.c: bulk messages in. A sync goes
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

/* Whether `m` may be given `cost` more answers this second (ADVERSARY G19). */
static bool allow_answer(struct gossip *g, struct member *m, uint8_t cost)
{
    uint32_t second = (uint32_t)(g->now / 1000);
    if (m->bulk_window_s != second) {
        m->bulk_window_s = second;
        m->bulk_answers = 0;
    }
    if (m->bulk_answers + cost > BULK_ANSWERS_PER_S)
        return false;
    m->bulk_answers = (uint8_t)(m->bulk_answers + cost);
    return true;
}

static void joined(struct gossip *g)
{
    if (g->is_joined)
        return;
    g->is_joined = true;
    g->ev_joined = true;
}

static struct sync_sent *find_sync(struct gossip *g, uint64_t salt)
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

static void on_docs(struct gossip *g, const struct node_id *from, struct bytes docs)
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
        if (jobs_is_answered(job, g->members.list[i], job->send))
            bytes += STATE_ENTRY_BYTES + g->members.list[i]->record->len;
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
    if (!m || m == g->self || !allow_answer(g, m, 2))
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
    on_docs(g, from, b->docs);
    joined(g);
}

/* LIST: finds what to fetch and what to send. */
struct difference {
    struct buf fetch, send;
    uint8_t *seen; /* bit per slot: the member was in the list */
};

static void add_id(struct buf *ids, const struct node_id *id)
{
    buf_add(ids, id->b, ID_BYTES);
}

static void on_same(struct gossip *g, struct member *from, struct member *m, const struct list_entry *e)
{
    if (from && (e->state == GOSSIP_SUSPECT || e->state == GOSSIP_DEAD))
        apply_opinion(g, e->state, &e->id, e->incarnation, e->version, &from->id, from);
    else if (e->state == GOSSIP_ALIVE && m->state == GOSSIP_DEAD && !probes_has_target(&g->probes, m))
        send_probe(g, m, PROBE_RETRY); /* they reach it: look again */
}

static void on_entry(struct gossip *g, struct member *from, const struct list_entry *e, struct difference *d)
{
    struct member *m = members_find(&g->members, &e->id);
    if (!m) {
        bool is_over = e->state == GOSSIP_DEAD || e->state == GOSSIP_LEFT;
        if (!is_over || (uint64_t)e->age_s * 1000 < g->cfg.tombstone_ms / 8 * 7)
            add_id(&d->fetch, &e->id);
        return;
    }
    d->seen[m->slot / 8] |= (uint8_t)(1 << m->slot % 8);
    int newer = member_cmp(m, e->incarnation, e->version);
    bool is_other = newer == 0 && !hash_eq(&e->hash, &m->record->hash);
    if (newer > 0 || is_other)
        add_id(&d->fetch, &e->id);
    if (newer < 0 || is_other)
        add_id(&d->send, &e->id);
    if (newer == 0 && !is_other)
        apply_speak(g, m);
    if (newer == 0)
        on_same(g, from, m, e);
}

static void add_unlisted(const struct gossip *g, const struct node_id *from, const struct bulk *b,
                         struct difference *d)
{
    for (uint32_t i = 0; i < g->members.count; i++) {
        const struct member *m = g->members.list[i];
        if (m->flags & MEMBER_SUMMED && m != g->self && !node_id_eq(&m->id, from) &&
            !(d->seen[i / 8] >> (i % 8) & 1) && listed_has(b->listed, member_bucket(m, b->salt, b->bits)))
            add_id(&d->send, &m->id);
    }
}

static void begin(struct gossip *g, enum job_type type, const struct node_id *to, const struct addr *via,
                  struct buf *ids)
{
    struct job *job = ids->len > 0 && buf_ok(ids) ? jobs_add(g, type, to, via) : NULL;
    if (job) {
        job->ids = *ids;
        *ids = (struct buf){0};
    }
    buf_fini(ids);
}

static enum err on_list(struct gossip *g, const struct node_id *from, const struct addr *via,
                        const struct bulk *b)
{
    struct difference d = {.seen = calloc(g->members.count / 8 + 1, 1)};
    if (!d.seen)
        return ERR_NOMEM;
    struct rd r = rd_init(b->entries);
    struct list_entry e;
    while (list_entry_next(&r, &e))
        on_entry(g, members_find(&g->members, from), &e, &d);
    add_unlisted(g, from, b, &d);
    free(d.seen);
    catch_up_saw(g, (uint32_t)((d.fetch.len + d.send.len) / ID_BYTES));
    begin(g, JOB_FETCH, from, via, &d.fetch);
    begin(g, JOB_RECORDS, from, via, &d.send);
    return ERR_OK;
}

static void on_state_entry(struct gossip *g, const struct node_id *from, const struct state_entry *e)
{
    struct member *source = members_find(&g->members, from), *m;
    const struct news news = {
        .source = source, .origin = FROM_SYNC, .hops = 0, .state = e->state, .age_s = e->age_s};
    enum err err = apply_record(g, e->record, &news, &m);
    (void)err; /* refused and stale ones are counted there */
    if (m && source && m != source && (e->state == GOSSIP_SUSPECT || e->state == GOSSIP_DEAD))
        apply_opinion(g, e->state, &m->id, m->incarnation, m->version, from, source);
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

static void on_fetch(struct gossip *g, struct member *m, const struct addr *via, struct bytes ids)
{
    struct buf copy = {0};
    if (!allow_answer(g, m, 1))
        return;
    buf_add_bytes(&copy, ids);
    begin(g, JOB_RECORDS, &m->id, via, &copy);
}

static void on_doc_get(struct gossip *g, struct member *m, const struct addr *via, const struct bulk *b)
{
    struct job *job = allow_answer(g, m, DOC_ANSWER_COST) ? jobs_add(g, JOB_DOC, &m->id, via) : NULL;
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
    struct sync_sent *s = find_sync(g, b->salt);
    if (!s)
        return false;
    s->messages_left = b->flags & STATE_LAST ? 0 : s->messages_left - 1;
    seeds_answered(g, from, via);
    return true;
}

static void answered(struct gossip *g, const struct bulk *b)
{
    joined(g);
    if (b->flags & STATE_SAMPLE)
        catch_up_begin(g);
    else
        catch_up_answered(g);
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
        e = on_list(g, from, via, b);
        if (b->flags & STATE_LAST)
            answered(g, b);
        break;
    case MSG_STATE:
        if (b->salt != 0 && !expect_answer(g, from, via, b))
            break;
        if (b->salt == 0 && !m)
            break;
        on_state(g, from, b);
        on_docs(g, from, b->docs);
        if (b->flags & STATE_LAST)
            answered(g, b);
        break;
    case MSG_FETCH:
        if (m)
            on_fetch(g, m, via, b->ids);
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
    return e ? e : dispatch(g, from, via, &b);
}

/* Of all we hold: members' records, and documents, so that a lost announcement is found too. */
struct summary bulk_summary(const struct gossip *g)
{
    struct summary s = members_summary(&g->members);
    for (uint32_t i = 0; i < g->doc_kind_count; i++)
        for (int lane = 0; lane < SUMMARY_BYTES && g->doc_kinds[i].is_held; lane += 8)
            store_be64(s.b + lane, load_be64(s.b + lane) + load_be64(g->doc_kinds[i].held.hash.b + lane));
    return s;
}

void bulk_compare(struct gossip *g, struct member *m, const struct summary *theirs)
{
    struct summary ours = bulk_summary(g);
    if (memcmp(ours.b, theirs->b, SUMMARY_BYTES) == 0) {
        g->mismatches = 0;
        g->sync_backoff = 0;
        if (++g->agreements >= AGREEMENTS_ENOUGH)
            send_hush(g);
        return;
    }
    g->agreements = 0;
    if (++g->mismatches < MISMATCHES_BEFORE_SYNC || g->now < g->sync_ok_at || g->catch_up.is_on)
        return;
    jobs_sync(g, m);
    g->sync_backoff += g->sync_backoff < SYNC_BACKOFF_MAX;
}
