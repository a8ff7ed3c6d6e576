#include "trust/cache.h"

#include "trust/body.h"

struct known {
    struct hash envelope;
    wall_s until;   /* 0: empty */
    uint32_t asked; /* the cache's clock when it was last asked for */
};

struct trust_cache {
    struct trust *trust;
    size_t sets; /* a power of two */
    uint32_t clock;
    struct trust_cache_stats stats;
    struct known known[];
};

struct trust_cache *trust_cache_new(struct trust *t, size_t entries)
{
    size_t sets = 1;
    while (sets * TRUST_CACHE_WAYS < entries)
        sets *= 2;
    struct trust_cache *k = calloc(1, sizeof *k + sets * TRUST_CACHE_WAYS * sizeof k->known[0]);
    if (!k)
        return NULL;
    k->trust = trust_ref(t);
    k->sets = sets;
    return k;
}

void trust_cache_free(struct trust_cache *k)
{
    if (!k)
        return;
    trust_unref(k->trust);
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
    *least(k, set_of(k, envelope), now) = (struct known){*envelope, until, ++k->clock};
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
