#include "gossip/member.h"

#include <assert.h>
#include <stdlib.h>

enum { INDEX_MIN = 16, PICK_TRIES = 12 };

/* Multiply and fold: good enough to spread ids that nobody could choose for our key. */
static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9fb21c651e98df25u;
    h ^= h >> 29;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

static uint64_t mix_32(uint64_t h, const uint8_t b[32])
{
    for (int i = 0; i < 32; i += 8)
        h = mix(h, load_be64(b + i));
    return h;
}

uint64_t member_hash(const struct node_id *id, uint64_t key)
{
    return mix_32(key, id->b);
}

void members_init(struct members *t, uint64_t key)
{
    *t = (struct members){.key = key};
}

void members_fini(struct members *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        record_blob_unref(t->list[i]->record);
        free(t->list[i]);
    }
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

static uint32_t index_tag(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

struct member *members_find(const struct members *t, const struct node_id *id)
{
    if (t->index_cap == 0)
        return NULL;
    uint64_t hash = index_hash(t, id);
    for (uint32_t i = index_home(t, hash);; i = (i + 1) & (t->index_cap - 1)) {
        if (t->index[i].slot == 0)
            return NULL;
        if (t->index[i].tag == index_tag(hash) && node_id_eq(&t->list[t->index[i].slot - 1]->id, id))
            return t->list[t->index[i].slot - 1];
    }
}

static void index_put(struct members *t, const struct member *m)
{
    uint64_t hash = index_hash(t, &m->id);
    uint32_t i = index_home(t, hash);
    while (t->index[i].slot != 0)
        i = (i + 1) & (t->index_cap - 1);
    t->index[i] = (struct member_slot){m->slot + 1, index_tag(hash)};
}

static uint32_t index_of(const struct members *t, const struct member *m)
{
    uint32_t i = index_home(t, index_hash(t, &m->id));
    while (t->index[i].slot != m->slot + 1)
        i = (i + 1) & (t->index_cap - 1);
    return i;
}

/* Knuth 6.4 R: closes the gap by moving back whatever would no longer be found. */
static void index_erase(struct members *t, uint32_t gap)
{
    uint32_t mask = t->index_cap - 1;
    for (uint32_t i = (gap + 1) & mask; t->index[i].slot != 0; i = (i + 1) & mask) {
        uint32_t home = index_home(t, index_hash(t, &t->list[t->index[i].slot - 1]->id));
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            t->index[gap] = t->index[i];
            gap = i;
        }
    }
    t->index[gap] = (struct member_slot){0};
}

static bool grow(struct members *t)
{
    if (t->count == t->cap) {
        uint32_t cap = t->cap ? t->cap * 2 : INDEX_MIN / 2;
        struct member **list = realloc(t->list, cap * sizeof(*list));
        if (!list)
            return false;
        t->list = list;
        t->cap = cap;
    }
    if ((t->count + 1) * 4 > t->index_cap * 3) {
        uint32_t cap = t->index_cap ? t->index_cap * 2 : INDEX_MIN;
        struct member_slot *index = calloc(cap, sizeof *index);
        if (!index)
            return false;
        free(t->index);
        t->index = index;
        t->index_cap = cap;
        for (uint32_t i = 0; i < t->count; i++)
            index_put(t, t->list[i]);
    }
    return true;
}

struct member *members_add(struct members *t, const struct node_id *id, mono_ms now)
{
    assert(!members_find(t, id));
    if (t->count >= GOSSIP_MEMBERS_MAX || !grow(t))
        return NULL;
    struct member *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->id = *id;
    m->state = GOSSIP_DEAD;
    m->since = (int64_t)now;
    m->slot = t->count;
    t->list[t->count++] = m;
    t->by_state[GOSSIP_DEAD]++;
    index_put(t, m);
    return m;
}

void members_remove(struct members *t, struct member *m)
{
    members_unsum(t, m);
    t->by_state[m->state]--;
    index_erase(t, index_of(t, m));
    struct member *last = t->list[t->count - 1];
    if (last != m) {
        t->index[index_of(t, last)].slot = m->slot + 1;
        last->slot = m->slot;
        t->list[m->slot] = last;
    }
    t->count--;
    record_blob_unref(m->record);
    free(m);
}

void members_set_state(struct members *t, struct member *m, enum gossip_state state, mono_ms now)
{
    t->by_state[m->state]--;
    t->by_state[state]++;
    m->state = (uint8_t)state;
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

void members_sum(struct members *t, struct member *m)
{
    if (!(m->flags & MEMBER_SUMMED))
        sum_add(t->sum, &m->record->hash, true);
    m->flags |= MEMBER_SUMMED;
}

void members_unsum(struct members *t, struct member *m)
{
    if (m->flags & MEMBER_SUMMED)
        sum_add(t->sum, &m->record->hash, false);
    m->flags &= (uint8_t)~MEMBER_SUMMED;
}

void members_set_record(struct members *t, struct member *m, struct record_blob *record,
                        const struct gossip_claim *claim)
{
    assert(claim->addr_count <= GOSSIP_ADDRS_MAX);
    members_unsum(t, m);
    record_blob_ref(record);
    record_blob_unref(m->record);
    m->record = record;
    m->incarnation = claim->incarnation;
    m->version = claim->version;
    m->addr_count = claim->addr_count;
    m->addr_used = 0;
    memcpy(m->addr, claim->addr, sizeof m->addr);
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
        struct member *m = t->list[rng_below(r, t->count)];
        if (is_wanted(m, states, not, not_count))
            return m;
    }
    uint32_t from = rng_below(r, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        struct member *m = t->list[(from + i) % t->count];
        if (is_wanted(m, states, not, not_count))
            return m;
    }
    return NULL;
}

uint64_t member_place(const struct member *m, uint64_t salt)
{
    return mix_32(salt, m->id.b);
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
        const struct member *m = t->list[i];
        if (!(m->flags & MEMBER_SUMMED) || (without && node_id_eq(&m->id, without)))
            continue;
        digest[member_bucket(m, salt, bits)] += member_digest(m, salt);
    }
}

int member_cmp(const struct member *m, uint64_t incarnation, uint64_t version)
{
    if (incarnation != m->incarnation)
        return incarnation > m->incarnation ? 1 : -1;
    return version == m->version ? 0 : version > m->version ? 1 : -1;
}
