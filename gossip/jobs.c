/* jobs.c: bulk messages out. A job is an intention with a cursor; each poll encodes one message of at most
 * about CHUNK_BYTES from the state of that moment, and jobs take turns. So a full state of gigabytes would
 * cost no memory, and every message is whole in itself: a transfer cut anywhere loses nothing that had
 * arrived (ADVERSARY G38). */
#include "gossip/core.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LIST_BYTES_MAX = 1024 * 1024, /* one LIST; a bucket that would not fit is sent as records instead */
    STATE_BYTES_MAX = 3 * (STATE_ENTRY_BYTES + GOSSIP_RECORD_MAX), /* a member, and its proof */
    PROVEN_MAX = 16,                    /* in quarantine, shown with each answer; of more some are shown */
    PROVEN_BYTES_MAX = CHUNK_BYTES / 2, /* in a message with these; one more may exceed it */
};
static_assert(PROVEN_BYTES_MAX + STATE_BYTES_MAX < CHUNK_BYTES,
              "however many are proven, an answer goes on (ADVERSARY G7)");

static void job_free(struct job *job)
{
    buf_fini(&job->ids);
    free(job);
}

static void append(struct gossip *g, struct job *job)
{
    job->next = NULL;
    *g->jobs_end = job;
    g->jobs_end = &job->next;
    g->job_count++;
}

static struct job *take_first(struct gossip *g)
{
    struct job *job = g->jobs;
    if (!job)
        return NULL;
    g->jobs = job->next;
    if (!g->jobs)
        g->jobs_end = &g->jobs;
    g->job_count--;
    return job;
}

void jobs_fini(struct gossip *g)
{
    for (struct job *job; (job = take_first(g));)
        job_free(job);
    buf_fini(&g->bulk);
}

static bool is_to(const struct job *job, const struct node_id *to, const struct addr *addr)
{
    return node_id_eq(&job->to, to) && (!node_id_is_zero(to) || addr_eq(&job->addr, addr));
}

struct job *jobs_add(struct gossip *g, enum job_type type, const struct node_id *to, const struct addr *addr)
{
    uint32_t of_member = 0;
    for (const struct job *job = g->jobs; job; job = job->next)
        of_member += is_to(job, to, addr);
    if (g->job_count >= JOBS_MAX || of_member >= JOBS_PER_MEMBER)
        return NULL;
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->type = type;
    job->to = *to;
    job->addr = *addr;
    append(g, job);
    return job;
}

void jobs_drop(struct gossip *g, const struct node_id *to, const struct addr *addr)
{
    struct job *all = g->jobs;
    g->jobs = NULL;
    g->jobs_end = &g->jobs;
    g->job_count = 0;
    for (struct job *next; all; all = next) {
        next = all->next;
        if (is_to(all, to, addr))
            job_free(all);
        else
            append(g, all);
    }
}

void jobs_begin(struct gossip *g, enum job_type type, const struct node_id *to, const struct addr *via,
                struct buf *ids_take)
{
    struct job *job = ids_take->len > 0 && buf_ok(ids_take) ? jobs_add(g, type, to, via) : NULL;
    if (job) {
        job->ids = *ids_take;
        *ids_take = (struct buf){0};
    }
    buf_fini(ids_take);
}

bool jobs_sync(struct gossip *g, struct member *m)
{
    struct addr addr;
    if (!apply_addr(g, m, &addr) || !jobs_add(g, JOB_SYNC, member_id(m), &addr))
        return false;
    g->sync_ok_at = g->now + SYNC_SPACING_MS + rng_below(&g->rng, SYNC_SPACING_MS);
    g->mismatches = 0;
    return true;
}

struct bytes jobs_docs(const struct gossip *g, uint8_t wire[DOCS_MAX * DOC_BYTES])
{
    struct wr w = wr_init(wire, DOCS_MAX * DOC_BYTES);
    for (uint32_t i = 0; i < g->doc_kind_count; i++)
        if (g->doc_kinds[i].is_held)
            doc_version_encode(&w, &g->doc_kinds[i].held);
    return wr_done(&w);
}

void jobs_expect(struct gossip *g, uint64_t salt, uint32_t messages, uint32_t packets)
{
    struct sync_sent *s = bulk_find_sync(g, salt);
    if (s) {
        s->messages_left += messages;
        if (s->messages_left > SYNC_ANSWERS_MAX)
            s->messages_left = SYNC_ANSWERS_MAX;
        return;
    }
    g->syncs[g->sync_next] = (struct sync_sent){salt, messages, packets};
    g->sync_next = (g->sync_next + 1) % SYNCS_SENT_MAX;
}

/* Each encodes one message into w and returns true when the job is done. */

static bool encode_sync(struct gossip *g, struct wr *w)
{
    uint64_t digest[BUCKETS_MAX];
    uint8_t wire[BUCKETS_MAX * 8], docs[DOCS_MAX * DOC_BYTES];
    struct bulk b = {
        .type = MSG_SYNC, .salt = rng_u64(&g->rng) | 1, .bits = members_digest_bits(&g->members)};
    b.docs = jobs_docs(g, docs);
    members_digest(&g->members, b.salt, b.bits, &g->cfg.self, digest);
    for (uint32_t i = 0; i < 1u << b.bits; i++)
        store_be64(wire + 8 * (size_t)i, digest[i]);
    b.record = g->self ? record_blob_bytes(g->self->record) : bytes_of(NULL, 0);
    b.digests = bytes_of(wire, (size_t)8 << b.bits);
    bulk_encode(w, &b);
    jobs_expect(g, b.salt, SYNC_ANSWERS_MAX, 0);
    return true;
}

uint32_t jobs_age_s(const struct gossip *g, const struct member *m)
{
    int64_t age = ((int64_t)g->now - m->since) / 1000;
    return age < 0 ? 0 : age > UINT32_MAX ? UINT32_MAX : (uint32_t)age;
}

static void encode_entry(const struct gossip *g, struct wr *w, const struct member *m,
                         const struct record_blob *record)
{
    struct state_entry e = {(enum gossip_state)m->state, jobs_age_s(g, m), record_blob_bytes(record)};
    state_entry_encode(w, &e);
}

static bool is_proven(const struct member *m)
{
    return m->busy && m->busy->proof[0] && m->busy->proof[1];
}

/* Of one in quarantine the proof first: after a newer record it would be old. */
static void encode_state(const struct gossip *g, struct wr *w, const struct member *m)
{
    for (int i = 0; is_proven(m) && i < 2; i++)
        if (m->busy->proof[i] != m->record)
            encode_entry(g, w, m, m->busy->proof[i]);
    encode_entry(g, w, m, m->record);
}

/* Those in quarantine, whether the asker lacks their records or not: who remembers one of the two from before its start, say, knows
 * of no second. Paid for with the states that come along, not instead of them; from a place of the
 * asker's salt on, so that where there are too many for one answer the next shows others. */
static void answer_proven(struct gossip *g, const struct job *job, struct wr *w)
{
    uint32_t given = 0, from = g->members.count ? (uint32_t)(job->salt % g->members.count) : 0;
    size_t before = wr_len(w);
    for (uint32_t i = 0; i < g->members.count && given < PROVEN_MAX && wr_len(w) < PROVEN_BYTES_MAX; i++) {
        const struct member *m = members_at(&g->members, (from + i) % g->members.count);
        if (!is_proven(m) || node_id_eq(member_id(m), &job->to))
            continue;
        encode_state(g, w, m);
        given++;
    }
    budget_spend(&g->states, wr_len(w) - before); /* refilled by whoever asks it next */
}

void jobs_encode_entry(const struct gossip *g, struct wr *w, const struct member *m)
{
    struct list_entry e = {.id = *member_id(m),
                           .incarnation = member_incarnation(m),
                           .version = member_version(m),
                           .hash = m->record->hash,
                           .state = (enum gossip_state)m->state,
                           .age_s = jobs_age_s(g, m),
                           .record_bytes = (uint16_t)m->record->len};
    list_entry_encode(w, &e);
}

static bool is_any(const uint8_t *bitmap)
{
    for (int i = 0; i < BUCKETS_MAX / 8; i++)
        if (bitmap[i])
            return true;
    return false;
}

static bool in_bitmap(const uint8_t *bitmap, uint32_t bucket)
{
    return bitmap[bucket / 8] >> (bucket % 8) & 1;
}

bool jobs_is_answered(const struct job *job, const struct member *m, const uint8_t *bitmap)
{
    return m->flags & MEMBER_SUMMED && !node_id_eq(member_id(m), &job->to) &&
           in_bitmap(bitmap, member_bucket(m, job->salt, job->bits));
}

/* Members in a row from a random slot on: joiners get different ones, as fresh as chance has it. */
static bool answer_sample(struct gossip *g, const struct job *job, struct wr *w)
{
    uint8_t docs[DOCS_MAX * DOC_BYTES];
    struct bulk b = {.type = MSG_STATE, .salt = job->salt, .flags = STATE_LAST | STATE_SAMPLE};
    uint32_t from = rng_below(&g->rng, g->members.count);
    b.docs = jobs_docs(g, docs);
    bulk_encode(w, &b);
    encode_state(g, w, g->self);
    answer_proven(g, job, w);
    for (uint32_t i = 0, given = 0; i < g->members.count && given < SAMPLE_RECORDS && wr_len(w) < CHUNK_BYTES;
         i++) {
        const struct member *m = members_at(&g->members, (from + i) % g->members.count);
        if (m == g->self || m->state != GOSSIP_ALIVE || !jobs_is_answered(job, m, job->send))
            continue;
        encode_state(g, w, m);
        given++;
    }
    return true;
}

static bool answer_records(struct gossip *g, struct job *job, struct wr *w)
{
    uint8_t docs[DOCS_MAX * DOC_BYTES];
    struct bulk b = {.type = MSG_STATE, .salt = job->salt};
    if (job->cursor == 0)
        b.docs = jobs_docs(g, docs);
    uint8_t *flags = w->at + MESSAGE_HEADER + 8 + 1 + b.docs.len;
    bulk_encode(w, &b);
    if (job->cursor == 0)
        answer_proven(g, job, w);
    for (; job->cursor < g->members.count && wr_len(w) < CHUNK_BYTES; job->cursor++)
        if (jobs_is_answered(job, members_at(&g->members, job->cursor), job->send))
            encode_state(g, w, members_at(&g->members, job->cursor));
    if (job->cursor < g->members.count)
        return false;
    job->is_listing = true;
    job->cursor = 0;
    if (is_any(job->list))
        return false;
    *flags |= STATE_LAST;
    return true;
}

/* The buckets from job->cursor on that fit one message are marked in `listed`. Returns the bucket after them.
 */
static uint32_t choose_buckets(const struct gossip *g, const struct job *job, uint8_t *listed)
{
    uint32_t size[BUCKETS_MAX] = {0}, total = 0, bucket = job->cursor;
    for (uint32_t i = 0; i < g->members.count; i++)
        if (jobs_is_answered(job, members_at(&g->members, i), job->list))
            size[member_bucket(members_at(&g->members, i), job->salt, job->bits)] += LIST_ENTRY_BYTES;
    for (; bucket < 1u << job->bits; bucket++) {
        if (!in_bitmap(job->list, bucket))
            continue;
        if (total > 0 && total + size[bucket] > CHUNK_BYTES)
            break;
        total += size[bucket];
        listed[bucket / 8] |= (uint8_t)(1 << bucket % 8);
    }
    return bucket;
}

static bool answer_list(struct gossip *g, struct job *job, struct wr *w)
{
    uint8_t listed[BUCKETS_MAX / 8] = {0};
    uint32_t next = choose_buckets(g, job, listed);
    bool is_last = next >= 1u << job->bits;
    struct bulk b = {
        .type = MSG_LIST, .salt = job->salt, .bits = job->bits, .flags = is_last ? STATE_LAST : 0};
    b.listed = bytes_of(listed, ((1u << job->bits) + 7) / 8);
    bulk_encode(w, &b);
    for (uint32_t i = 0; i < g->members.count; i++) {
        const struct member *m = members_at(&g->members, i);
        if (!jobs_is_answered(job, m, listed))
            continue;
        jobs_encode_entry(g, w, m);
    }
    job->cursor = next;
    return is_last;
}

static bool encode_records(struct gossip *g, struct job *job, struct wr *w)
{
    struct bulk b = {.type = MSG_STATE};
    bulk_encode(w, &b);
    for (; job->cursor + ID_BYTES <= job->ids.len && wr_len(w) < CHUNK_BYTES; job->cursor += ID_BYTES) {
        struct node_id id;
        memcpy(id.b, job->ids.at + job->cursor, ID_BYTES);
        const struct member *m = members_find(&g->members, &id);
        if (m)
            encode_state(g, w, m);
    }
    return job->cursor + ID_BYTES > job->ids.len;
}

static bool encode_fetch(struct job *job, struct wr *w)
{
    struct bulk b = {.type = MSG_FETCH};
    size_t bytes = job->ids.len - job->cursor;
    if (bytes > (size_t)FETCH_IDS_MAX * ID_BYTES)
        bytes = (size_t)FETCH_IDS_MAX * ID_BYTES;
    bulk_encode(w, &b);
    wr_bytes(w, job->ids.at + job->cursor, bytes);
    job->cursor += (uint32_t)bytes;
    return job->cursor >= job->ids.len;
}

static bool encode_doc(struct gossip *g, const struct job *job, struct wr *w)
{
    struct bulk b = {.type = job->type == JOB_DOC ? MSG_DOC : MSG_DOC_GET, .doc = job->doc};
    bulk_encode(w, &b);
    if (job->type == JOB_DOC) {
        struct bytes document = g->verify.document(g->verify.arg, &job->doc.hash);
        if (document.len <= GOSSIP_DOC_MAX)
            wr_bytes(w, document.at, document.len);
    }
    return true;
}

static size_t space_for(const struct job *job)
{
    if (job->type == JOB_DOC)
        return GOSSIP_DOC_MAX + 128;
    if (job->type == JOB_ANSWER && job->is_listing)
        return LIST_BYTES_MAX + 128;
    return CHUNK_BYTES + STATE_BYTES_MAX + 128;
}

static bool encode(struct gossip *g, struct job *job, struct wr *w)
{
    switch (job->type) {
    case JOB_SYNC:
        return encode_sync(g, w);
    case JOB_ANSWER:
        if (job->is_sample)
            return answer_sample(g, job, w);
        return job->is_listing ? answer_list(g, job, w) : answer_records(g, job, w);
    case JOB_RECORDS:
        return encode_records(g, job, w);
    case JOB_FETCH:
        return encode_fetch(job, w);
    default:
        return encode_doc(g, job, w);
    }
}

/* A bucket too large to be listed goes as records. Salted buckets are even, so this is a small table's only
 * bucket. */
static void unlist_large(struct gossip *g, struct job *job)
{
    if (job->type != JOB_ANSWER ||
        (uint64_t)g->members.count * LIST_ENTRY_BYTES >> job->bits < LIST_BYTES_MAX / 2)
        return;
    for (int i = 0; i < BUCKETS_MAX / 8 && !job->is_listing; i++) {
        job->send[i] |= job->list[i];
        job->list[i] = 0;
    }
}

bool jobs_poll(struct gossip *g, struct gossip_packet *out)
{
    struct job *job = take_first(g);
    if (!job) {
        if (g->bulk.at)
            buf_fini(&g->bulk);
        return false;
    }
    unlist_large(g, job);
    g->bulk.len = 0;
    if (g->bulk.cap < space_for(job))
        buf_fini(&g->bulk); /* else what it held would be copied */
    uint8_t *space = buf_reserve(&g->bulk, space_for(job));
    if (!space) {
        buf_fini(&g->bulk);
        g->bulk.failed = false;
        job_free(job);
        return false;
    }
    struct wr w = wr_init(space, space_for(job));
    bool is_done = encode(g, job, &w);
    assert(wr_ok(&w) && wr_len(&w) <= GOSSIP_BULK_MAX);
    *out = (struct gossip_packet){.lane = GOSSIP_BULK, .to = job->to, .addr = job->addr, .msg = wr_done(&w)};
    g->stats.bulk_sent++;
    if (is_done)
        job_free(job);
    else
        append(g, job);
    return true;
}
