#include "gossip/member.h"

#include <assert.h>
#include <stdlib.h>

enum { INDEX_MIN = 16, PICK_TRIES = 12 };

/* Multiply and fold: good enough to spread ids that nobody could choose for our key. */
static inline uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9fb21c651e98df25u;
    h ^= h >> 29;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

/* Inline, for a digest asks for two of each member, and a call costs as much as the sum. */
__attribute__((always_inline)) static inline uint64_t mix_32(uint64_t h, const uint8_t b[32])
{
    h = mix(mix(h, load_be64(b)), load_be64(b + 8));
    return mix(mix(h, load_be64(b + 16)), load_be64(b + 24));
}

uint64_t member_hash(const struct node_id *id, uint64_t key)
{
    return mix_32(key, id->b);
}

void members_init(struct members *t, uint64_t key)
{
    *t = (struct members){.key = key};
}

static void busy_free(struct member_busy *b)
{
    if (!b)
        return;
    record_blob_unref(b->rival);
    record_blob_unref(b->proof[0]);
    record_blob_unref(b->proof[1]);
    free(b);
}

void members_fini(struct members *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        struct member *m = members_at(t, i);
        record_blob_unref(m->record);
        busy_free(m->busy);
    }
    for (uint32_t i = 0; i < t->chunks; i++)
        free(t->chunk[i]);
    free(t->chunk);
    free(t->list);
    free(t->index);
}

/* Ids are public keys: no two members' begin alike for sixteen bytes by chance, and who makes such keys slows
 * down the search for its own. */
static uint64_t index_hash(const struct members *t, const struct node_id *id)
{
    return mix(mix(t->key, load_be64(id->b)), load_be64(id->b + 8));
}

static uint32_t index_home(const struct members *t, uint64_t hash)
{
    return (uint32_t)hash & (t->index_cap - 1);
}

static uint16_t index_tag(uint64_t hash)
{
    return (uint16_t)(hash >> 48);
}

struct member *members_find(const struct members *t, const struct node_id *id)
{
    if (t->index_cap == 0)
        return NULL;
    uint64_t hash = index_hash(t, id);
    for (uint32_t i = index_home(t, hash);; i = (i + 1) & (t->index_cap - 1)) {
        struct member_slot s = t->index[i];
        if (s.place == 0)
            return NULL;
        if (s.tag == index_tag(hash) &&
            node_id_eq(member_id(members_at_place(t, (uint16_t)(s.place - 1))), id))
            return members_at_place(t, (uint16_t)(s.place - 1));
    }
}

static void index_put(struct members *t, uint16_t place)
{
    uint64_t hash = index_hash(t, member_id(members_at_place(t, place)));
    uint32_t i = index_home(t, hash);
    while (t->index[i].place != 0)
        i = (i + 1) & (t->index_cap - 1);
    t->index[i] = (struct member_slot){(uint16_t)(place + 1), index_tag(hash)};
}

static uint32_t index_of(const struct members *t, uint16_t place)
{
    uint32_t i = index_home(t, index_hash(t, member_id(members_at_place(t, place))));
    while (t->index[i].place != place + 1)
        i = (i + 1) & (t->index_cap - 1);
    return i;
}

/* Knuth 6.4 R: closes the gap by moving back whatever would no longer be found. */
static void index_erase(struct members *t, uint32_t gap)
{
    uint32_t mask = t->index_cap - 1;
    for (uint32_t i = (gap + 1) & mask; t->index[i].place != 0; i = (i + 1) & mask) {
        uint32_t home =
            index_home(t, index_hash(t, member_id(members_at_place(t, (uint16_t)(t->index[i].place - 1)))));
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            t->index[gap] = t->index[i];
            gap = i;
        }
    }
    t->index[gap] = (struct member_slot){0};
}

static bool grow_list(struct members *t)
{
    if (t->count < t->cap)
        return true;
    uint32_t cap = t->cap ? t->cap * 2 : INDEX_MIN / 2;
    uint16_t *list = realloc(t->list, cap * sizeof *list);
    if (!list)
        return false;
    t->list = list;
    t->cap = cap;
    return true;
}

static bool grow_index(struct members *t)
{
    if ((t->count + 1) * 4 <= t->index_cap * 3)
        return true;
    uint32_t cap = t->index_cap ? t->index_cap * 2 : INDEX_MIN;
    struct member_slot *index = calloc(cap, sizeof *index);
    if (!index)
        return false;
    free(t->index);
    t->index = index;
    t->index_cap = cap;
    for (uint32_t i = 0; i < t->count; i++)
        index_put(t, t->list[i]);
    return true;
}

static bool grow_chunks(struct members *t)
{
    if (t->vacant != 0 || t->used < t->chunks * MEMBER_CHUNK)
        return true;
    struct member **chunk = realloc(t->chunk, (t->chunks + 1) * sizeof(struct member *));
    if (!chunk)
        return false;
    t->chunk = chunk;
    t->chunk[t->chunks] = malloc(MEMBER_CHUNK * sizeof(struct member));
    if (!t->chunk[t->chunks])
        return false;
    t->chunks++;
    return true;
}

static uint16_t take_place(struct members *t)
{
    if (t->vacant == 0)
        return (uint16_t)t->used++;
    uint16_t place = (uint16_t)(t->vacant - 1);
    t->vacant = members_at_place(t, place)->slot;
    return place;
}

static void count(struct members *t, const struct member *m, int by)
{
    t->by_state[m->state] += (uint32_t)by;
    if (m->state == GOSSIP_ALIVE || m->state == GOSSIP_SUSPECT)
        t->speaking[member_protocol(m)] += (uint32_t)by;
}

struct member *members_add(struct members *t, struct record_blob *record, mono_ms now)
{
    static_assert((int)GOSSIP_MEMBERS_MAX < UINT16_MAX, "a place and one more fit 16 bits");
    assert(!members_find(t, &record->id));
    if (t->count >= GOSSIP_MEMBERS_MAX || !grow_list(t) || !grow_index(t) || !grow_chunks(t))
        return NULL;
    uint16_t place = take_place(t);
    struct member *m = members_at_place(t, place);
    *m = (struct member){.record = record_blob_ref(record),
                         .since = (int64_t)now,
                         .slot = (uint16_t)t->count,
                         .state = GOSSIP_DEAD};
    t->list[t->count++] = place;
    count(t, m, 1);
    index_put(t, place);
    return m;
}

void members_remove(struct members *t, struct member *m)
{
    uint16_t place = t->list[m->slot], last = t->list[t->count - 1];
    members_unsum(t, m);
    count(t, m, -1);
    index_erase(t, index_of(t, place));
    members_at_place(t, last)->slot = m->slot;
    t->list[m->slot] = last;
    t->count--;
    record_blob_unref(m->record);
    busy_free(m->busy);
    memset(m, 0xff, sizeof *m); /* who still points to it is to fall over it */
    m->slot = t->vacant;
    t->vacant = (uint16_t)(place + 1);
}

struct member_busy *member_busy(struct member *m)
{
    if (!m->busy)
        m->busy = calloc(1, sizeof *m->busy);
    return m->busy;
}

void member_settle(struct member *m)
{
    const struct member_busy *b = m->busy;
    if (!b || b->suspicion || b->fresh || b->opinion || b->vouched_until != 0 || b->works_until != 0 ||
        b->bouts > 0 || b->silent_since != 0 || b->hinted_at != 0 || b->rival || b->quarantine_at != 0)
        return;
    free(m->busy);
    m->busy = NULL;
}

void members_set_state(struct members *t, struct member *m, enum gossip_state state, mono_ms now)
{
    count(t, m, -1);
    m->state = (uint8_t)state;
    count(t, m, 1);
    m->since = (int64_t)now;
}

void sum_add(uint64_t sum[SUM_LANES], const struct hash *hash, bool add)
{
    uint64_t key = mix_32(0, hash->b), a = load_be64(hash->b), b = load_be64(hash->b + 24);
    for (uint64_t i = 0; i < SUM_LANES; i++) {
        uint64_t word = mix(mix(key + i, a), b + i);
        sum[i] += add ? word : 0 - word;
    }
}

struct summary sum_fold(const uint64_t sum[SUM_LANES], uint64_t nonce)
{
    struct summary s;
    uint64_t a = nonce, b = ~nonce;
    for (int i = 0; i < SUM_LANES; i++) {
        a = mix(a, sum[i]);
        b = mix(b, sum[i] ^ a);
    }
    store_be64(s.b, a);
    store_be64(s.b + 8, b);
    return s;
}

struct summary sum_fold_shared(struct gossip_pool *pool, const uint64_t sum[SUM_LANES], uint64_t nonce)
{
    if (pool && !pool->folds)
        pool->folds = calloc(FOLDS_SHARED, sizeof *pool->folds);
    if (!pool || !pool->folds || nonce == 0) /* of no nonce: an empty place */
        return sum_fold(sum, nonce);
    struct fold *f = &pool->folds[nonce % FOLDS_SHARED];
    if (f->nonce != nonce || memcmp(f->sum, sum, sizeof f->sum) != 0) {
        f->nonce = nonce;
        memcpy(f->sum, sum, sizeof f->sum);
        f->summary = sum_fold(sum, nonce);
    }
    return f->summary;
}

void members_sum(struct members *t, struct member *m)
{
    if (m->flags & MEMBER_SUMMED)
        return;
    sum_add(t->sum, &m->record->hash, true);
    t->sum_changes++;
    m->flags |= MEMBER_SUMMED;
}

void members_unsum(struct members *t, struct member *m)
{
    if (!(m->flags & MEMBER_SUMMED))
        return;
    sum_add(t->sum, &m->record->hash, false);
    t->sum_changes++;
    m->flags &= (uint16_t)~MEMBER_SUMMED;
}

void members_set_record(struct members *t, struct member *m, struct record_blob *record)
{
    assert(node_id_eq(&record->id, member_id(m)));
    members_unsum(t, m);
    count(t, m, -1);
    record_blob_ref(record);
    record_blob_unref(m->record);
    m->record = record;
    count(t, m, 1);
    m->addr_used = 0;
    members_sum(t, m);
}

static bool is_wanted(const struct member *m, unsigned states, const struct member *const * not,
                      size_t not_count)
{
    if (!(state_bit((enum gossip_state)m->state) & states))
        return false;
    for (size_t i = 0; i < not_count; i++)
        if (not [i] == m)
            return false;
    return true;
}

struct member *members_pick(const struct members *t, struct rng *r, unsigned states,
                            const struct member *const * not, size_t not_count)
{
    uint32_t candidates = 0;
    for (int s = 0; s < 4; s++)
        candidates += states >> s & 1 ? t->by_state[s] : 0;
    if (candidates == 0)
        return NULL;
    for (int i = 0; i < PICK_TRIES; i++) {
        struct member *m = members_at(t, rng_below(r, t->count));
        if (is_wanted(m, states, not, not_count))
            return m;
    }
    uint32_t from = rng_below(r, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        struct member *m = members_at(t, (from + i) % t->count);
        if (is_wanted(m, states, not, not_count))
            return m;
    }
    return NULL;
}

uint64_t member_place(const struct member *m, uint64_t salt)
{
    return mix_32(salt, m->record->id.b);
}

uint64_t member_digest(const struct member *m, uint64_t salt)
{
    return mix(mix_32(~salt, m->record->hash.b), m->state == GOSSIP_DEAD);
}

uint32_t member_bucket(const struct member *m, uint64_t salt, uint8_t bits)
{
    return bits == 0 ? 0 : (uint32_t)(member_place(m, salt) >> (64 - bits));
}

uint8_t members_digest_bits(const struct members *t)
{
    uint8_t bits = 0;
    while (bits < DIGEST_BITS_MAX && (8u << bits) < t->count)
        bits++;
    return bits;
}

void members_digest(const struct members *t, uint64_t salt, uint8_t bits, const struct node_id *without,
                    uint64_t *digest)
{
    memset(digest, 0, sizeof *digest << bits);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct member *m = members_at(t, i);
        if (!(m->flags & MEMBER_SUMMED) || (without && node_id_eq(member_id(m), without)))
            continue;
        digest[member_bucket(m, salt, bits)] += member_digest(m, salt);
    }
}

int member_cmp(const struct member *m, uint64_t incarnation, uint64_t version)
{
    const struct record_blob *r = m->record;
    if (incarnation != r->incarnation)
        return incarnation > r->incarnation ? 1 : -1;
    return version == r->version ? 0 : version > r->version ? 1 : -1;
}
