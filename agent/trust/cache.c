#include "trust/cache.h"

#include "trust/body.h"

enum { SETS_FIRST = 16 };

struct known {
    struct hash envelope;
    uint32_t until; /* wall time; 0: empty; what lasts beyond 2106 is verified again then */
    uint32_t asked; /* the cache's clock when it was last asked for */
};

struct trust_cache {
    struct trust *trust;
    size_t sets, sets_max; /* powers of two */
    size_t used;           /* entries that are not empty */
    uint32_t clock;
    struct trust_cache_stats stats;
    struct known *known;
};

struct trust_cache *trust_cache_new(struct trust *t, size_t entries)
{
    struct trust_cache *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    for (k->sets_max = 1; k->sets_max * TRUST_CACHE_WAYS < entries;)
        k->sets_max *= 2;
    k->sets = k->sets_max < SETS_FIRST ? k->sets_max : SETS_FIRST;
    k->known = calloc(k->sets * TRUST_CACHE_WAYS, sizeof k->known[0]);
    if (!k->known) {
        free(k);
        return NULL;
    }
    k->trust = trust_ref(t);
    return k;
}

void trust_cache_free(struct trust_cache *k)
{
    if (!k)
        return;
    trust_unref(k->trust);
    free(k->known);
    free(k);
}

void trust_cache_set(struct trust_cache *k, struct trust *t)
{
    struct trust *before = k->trust;
    k->trust = trust_ref(t);
    trust_unref(before);
}

struct trust *trust_cache_trust(const struct trust_cache *k)
{
    return k->trust;
}

const struct trust_cache_stats *trust_cache_stats(const struct trust_cache *k)
{
    return &k->stats;
}

static struct known *set_of(struct trust_cache *k, const struct hash *envelope)
{
    return &k->known[(load_be32(envelope->b) & (k->sets - 1)) * TRUST_CACHE_WAYS];
}

bool cache_knows(struct trust_cache *k, const struct hash *envelope, wall_s now)
{
    struct known *set = set_of(k, envelope);
    for (size_t i = 0; i < TRUST_CACHE_WAYS; i++)
        if (now < set[i].until && hash_eq(&set[i].envelope, envelope)) {
            set[i].asked = ++k->clock;
            k->stats.hits++;
            return true;
        }
    k->stats.misses++;
    return false;
}

/* Each set becomes two, by one more bit of the hash: everything keeps a place. Without memory it stays as small as it is. */
static void grow(struct trust_cache *k)
{
    size_t before = k->sets * TRUST_CACHE_WAYS;
    struct known *wider = calloc(2 * before, sizeof *wider), *old = k->known;
    if (!wider)
        return;
    k->known = wider;
    k->sets *= 2;
    for (size_t i = 0; i < before; i++)
        if (old[i].until) /* an empty one would go where the hash of zeros goes */
            set_of(k, &old[i].envelope)[i % TRUST_CACHE_WAYS] = old[i];
    free(old);
}

/* Which is worth the least: an empty or expired one, else the one not asked for the longest. The clock may wrap. */
static struct known *least(struct trust_cache *k, struct known *set, wall_s now)
{
    struct known *least = &set[0];
    for (size_t i = 0; i < TRUST_CACHE_WAYS; i++) {
        if (set[i].until <= now)
            return &set[i];
        if (k->clock - set[i].asked > k->clock - least->asked)
            least = &set[i];
    }
    return least;
}

void cache_learn(struct trust_cache *k, const struct hash *envelope, wall_s until, wall_s now)
{
    struct known *at = least(k, set_of(k, envelope), now);
    if (now < at->until && k->sets < k->sets_max && 2 * k->used > k->sets * TRUST_CACHE_WAYS) {
        grow(k);
        at = least(k, set_of(k, envelope), now);
    }
    k->used += at->until == 0;
    *at = (struct known){*envelope, until < UINT32_MAX ? (uint32_t)until : UINT32_MAX, ++k->clock};
}

size_t trust_cache_bytes(const struct trust_cache *k)
{
    return sizeof *k + k->sets * TRUST_CACHE_WAYS * sizeof k->known[0];
}

enum err trust_cache_credential(struct trust_cache *k, struct bytes envelope, wall_s now,
                                struct credential *out)
{
    struct judging j = judging_by(k->trust, k, now, NULL);
    return credential_judge(&j, false, envelope, out);
}

enum err trust_cache_record(struct trust_cache *k, struct bytes envelope, wall_s now, struct record *out)
{
    struct judging j = judging_by(k->trust, k, now, NULL);
    return record_judge(&j, envelope, out);
}
