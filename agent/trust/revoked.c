#include "trust/revoked.h"

#include <stdatomic.h>
#include <stdlib.h>

struct revoked {
    atomic_uint refs;
    size_t count;
    struct node_id key[];
};

static int by_key(const void *a, const void *b)
{
    return node_id_cmp(a, b);
}

static size_t drop_repeated(struct node_id *key, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !node_id_eq(&key[kept - 1], &key[i]))
            key[kept++] = key[i];
    return kept;
}

enum err revoked_new(struct revoked **out, const struct node_id *key, size_t count)
{
    struct revoked *r = malloc(sizeof *r + count * sizeof *key);
    if (!r)
        return ERR_NOMEM;
    atomic_init(&r->refs, 1);
    if (count > 0) {
        memcpy(r->key, key, count * sizeof *key);
        qsort(r->key, count, sizeof *key, by_key);
    }
    r->count = drop_repeated(r->key, count);
    if (r->count > REVOKED_KEYS_MAX) {
        free(r);
        return ERR_LIMIT;
    }
    *out = r;
    return ERR_OK;
}

struct revoked *revoked_ref(struct revoked *r)
{
    if (r)
        atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void revoked_unref(struct revoked *r)
{
    if (r && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
        free(r);
}

bool revoked_has(const struct revoked *r, const struct node_id *key)
{
    return r && r->count > 0 && bsearch(key, r->key, r->count, sizeof *key, by_key);
}

size_t revoked_count(const struct revoked *r)
{
    return r ? r->count : 0;
}

const struct node_id *revoked_key(const struct revoked *r, size_t index)
{
    return &r->key[index];
}
