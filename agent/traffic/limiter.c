#include "traffic/limiter.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A bucket is two words. The time of its TAT carries the number of its holder (how often the bucket changed hands, 8 bits); the key
 * carries the same number. Who takes a bucket over moves the first word to the next number by one compare-and-swap, with its
 * own first grant, and then writes the second. So a grant can never land in a bucket that has changed hands since it was
 * found, and a bucket whose numbers differ is about to get its key. */
enum { HOLDER_BITS = 8, TICKS_PER_US = 16, WINDOW = 32, HAND_OVER_LOOKS = 64 };
static const uint64_t HOLDER_MASK = (1 << HOLDER_BITS) - 1;
typedef uint64_t ticks; /* 1/16 us; 56 bits of them are 142 years */

struct bucket {
    _Atomic uint64_t tat; /* ticks << 8 | holder */
    _Atomic uint64_t key; /* hash, its low 8 bits replaced by the holder */
};
struct limiter {
    struct shorthash_key seed;
    struct bucket *source, *value;
    struct bucket common[LIMITER_COMMONS];
    _Atomic uint64_t crowded;
};

struct limiter *limiter_new(const struct shorthash_key *key)
{
    struct limiter *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->seed = *key;
    l->source = calloc(LIMITER_SOURCES, sizeof *l->source);
    l->value = calloc((size_t)LIMITER_SHARES * LIMITER_SHARE_VALUES, sizeof *l->value);
    if (!l->source || !l->value) {
        limiter_free(l);
        return NULL;
    }
    return l;
}

void limiter_free(struct limiter *l)
{
    if (l) {
        free(l->source);
        free(l->value);
    }
    free(l);
}

uint64_t limiter_crowded(const struct limiter *l)
{
    return atomic_load_explicit(&l->crowded, memory_order_relaxed);
}

/* --- GCRA ---------------------------------------------------------------------------------- */

struct gcra {
    ticks t, span; /* T, and burst x T */
};

static struct gcra gcra_of(const struct policy_rate_limit *l)
{
    ticks per = l->per_ms * 1000 * TICKS_PER_US, t = (per + l->count - 1) / l->count;
    return (struct gcra){t, t * l->burst};
}

/* 0: granted, and *tat has moved; else how long to wait. A debt that this rate could not have made is cut: *tat moves too. */
static ticks gcra(const struct gcra *g, ticks now, ticks *tat)
{
    ticks from = *tat > now ? *tat : now;
    if (from > now + g->span)
        *tat = from = now + g->span;
    if (from + g->t > now + g->span)
        return from + g->t - (now + g->span);
    *tat = from + g->t;
    return 0;
}

/* --- buckets ------------------------------------------------------------------------------- */

static uint64_t with_holder(uint64_t word, uint64_t holder)
{
    return (word & ~HOLDER_MASK) | (holder & HOLDER_MASK);
}

/* One request of whoever holds the bucket as `word` says. False: it has changed hands, or another request came first; *word is
 * what it says now. */
static bool ask_bucket(struct bucket *b, uint64_t *word, const struct gcra *g, ticks now, ticks *wait)
{
    ticks tat = *word >> HOLDER_BITS, before = tat;
    *wait = gcra(g, now, &tat);
    return tat == before ||
           atomic_compare_exchange_strong(&b->tat, word, with_holder(tat << HOLDER_BITS, *word));
}

struct found {
    struct bucket *own, *free; /* NULL: none */
    uint64_t own_word, free_word;
    bool is_changing; /* hands, one of them: its key may be ours in a moment */
};

static struct found look(struct bucket *table, size_t mask, uint64_t hash, ticks now)
{
    struct found f = {.own = NULL};
    for (size_t i = 0; i < WINDOW; i++) {
        struct bucket *b = &table[((hash >> HOLDER_BITS) + i) & mask];
        uint64_t key = atomic_load(&b->key), word = atomic_load(&b->tat);
        if ((key & HOLDER_MASK) != (word & HOLDER_MASK)) {
            f.is_changing = true;
        } else if (key == with_holder(hash, key) && key != 0) {
            f.own = b;
            f.own_word = word;
            return f;
        } else if (!f.free && word >> HOLDER_BITS <= now) {
            f.free = b;
            f.free_word = word;
        }
    }
    return f;
}

/* The key's own bucket, or one that is as good as new. False: there is none. */
static bool ask_table(struct bucket *table, size_t mask, uint64_t hash, const struct gcra *g, ticks now,
                      ticks *wait)
{
    for (int looks = 0;;) {
        struct found f = look(table, mask, hash, now);
        if (f.own) {
            if (ask_bucket(f.own, &f.own_word, g, now, wait))
                return true;
        } else if (f.is_changing && looks++ < HAND_OVER_LOOKS) {
            continue;
        } else if (!f.free) {
            return false;
        } else {
            ticks tat = 0;
            *wait = gcra(g, now, &tat);
            uint64_t word = with_holder(tat << HOLDER_BITS, f.free_word + 1);
            if (atomic_compare_exchange_strong(&f.free->tat, &f.free_word, word)) {
                atomic_store(&f.free->key, with_holder(hash, word));
                return true;
            }
        }
    }
}

static void ask_common(struct bucket *b, const struct gcra *g, ticks now, ticks *wait)
{
    uint64_t word = atomic_load(&b->tat);
    while (!ask_bucket(b, &word, g, now, wait))
        ;
}

/* --- which bucket -------------------------------------------------------------------------- */

/* A number for the limit: operators choose services, so FNV-1a will do, and MurmurHash3's finaliser spreads it. */
static uint64_t limit_hash(const struct limiter_ask *a)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < a->service.len; i++)
        h = (h ^ a->service.at[i]) * 0x100000001b3u;
    h ^= (uint64_t)a->place << 8 | (uint64_t)a->limit->per.kind;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

/* Of a limit and what its senders say: that goes through the keyed hash, whose value nobody can aim at. */
static uint64_t bucket_hash(const struct limiter *l, uint64_t limit, struct bytes said)
{
    uint64_t h = limit ^ shorthash(&l->seed, said);
    return h >> HOLDER_BITS ? h : UINT64_C(1) << HOLDER_BITS;
}

struct place { /* where the request's bucket is looked for */
    struct bucket *table;
    size_t mask;
    uint64_t limit, hash;
};

static struct place place_of(struct limiter *l, const struct limiter_ask *a)
{
    static const struct bytes nothing = {NULL, 0};
    enum policy_key_kind per = a->limit->per.kind;
    struct place p = {.table = l->source, .mask = LIMITER_SOURCES - 1, .limit = limit_hash(a)};
    if (per == KEY_HEADER || per == KEY_COOKIE) {
        p.table = l->value + (p.limit & (LIMITER_SHARES - 1)) * LIMITER_SHARE_VALUES;
        p.mask = LIMITER_SHARE_VALUES - 1;
        p.hash = bucket_hash(l, p.limit, a->value);
    } else {
        p.hash = bucket_hash(l, p.limit, per == KEY_SOURCE ? a->caller : nothing);
    }
    return p;
}

/* Where those go who found no place: of the limit, and where it has buckets by sender, of the caller. */
static struct bucket *common_of(struct limiter *l, const struct limiter_ask *a, const struct place *p)
{
    struct bytes caller = a->limit->per.kind == KEY_NONE ? bytes_of(NULL, 0) : a->caller;
    return &l->common[bucket_hash(l, p->limit, caller) >> HOLDER_BITS & (LIMITER_COMMONS - 1)];
}

mono_us limiter_take(struct limiter *l, const struct limiter_ask *a, mono_us now)
{
    struct place p = place_of(l, a);
    struct gcra g = gcra_of(a->limit);
    ticks wait = 0;
    if (!ask_table(p.table, p.mask, p.hash, &g, now * TICKS_PER_US, &wait)) {
        atomic_fetch_add_explicit(&l->crowded, 1, memory_order_relaxed);
        ask_common(common_of(l, a, &p), &g, now * TICKS_PER_US, &wait);
    }
    return (wait + TICKS_PER_US - 1) / TICKS_PER_US;
}

/* Back by one T, where the grant still shows. */
static void give_bucket(struct bucket *b, uint64_t word, ticks t, ticks now)
{
    while (word >> HOLDER_BITS > now) {
        ticks tat = (word >> HOLDER_BITS) - t;
        uint64_t holder = word & HOLDER_MASK;
        if (atomic_compare_exchange_strong(&b->tat, &word, with_holder(tat << HOLDER_BITS, word)) ||
            (word & HOLDER_MASK) != holder)
            return;
    }
}

void limiter_give(struct limiter *l, const struct limiter_ask *a, mono_us now)
{
    struct place p = place_of(l, a);
    struct gcra g = gcra_of(a->limit);
    struct found f = look(p.table, p.mask, p.hash, now * TICKS_PER_US);
    struct bucket *b = f.own ? f.own : common_of(l, a, &p);
    give_bucket(b, f.own ? f.own_word : atomic_load(&b->tat), g.t, now * TICKS_PER_US);
}
