#include "gossip/record_blob.h"

#include "gossip/gossip.h"

#include <assert.h>
#include <stdlib.h>

struct gossip_pool *gossip_pool_new(void)
{
    struct gossip_pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->chains = 64;
    p->chain = calloc(p->chains, sizeof(struct record_blob *));
    if (p->chain)
        return p;
    free(p);
    return NULL;
}

void gossip_pool_free(struct gossip_pool *p)
{
    if (!p)
        return;
    assert(p->count == 0); /* instances are freed first */
    free(p->folds);
    free(p->chain);
    free(p);
}

static struct record_blob **chain_of(const struct gossip_pool *p, const struct hash *hash)
{
    return &p->chain[load_be64(hash->b) & (p->chains - 1)];
}

/* Without memory the chains get longer, that is all. */
static void pool_grow(struct gossip_pool *p)
{
    struct gossip_pool wider = {.chains = 2 * p->chains};
    wider.chain = calloc(wider.chains, sizeof(struct record_blob *));
    if (!wider.chain)
        return;
    for (size_t i = 0; i < p->chains; i++)
        for (struct record_blob *b = p->chain[i], *next; b; b = next) {
            struct record_blob **to = chain_of(&wider, &b->hash);
            next = b->next;
            b->next = *to;
            *to = b;
        }
    free(p->chain);
    p->chain = wider.chain;
    p->chains = wider.chains;
}

static void pool_remove(struct gossip_pool *p, struct record_blob *b)
{
    struct record_blob **at = chain_of(p, &b->hash);
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    p->count--;
}

struct record_blob *record_blob_new(struct bytes record, const struct gossip_claim *claim)
{
    size_t addrs = claim->addr_count * sizeof claim->addr[0];
    assert(record.len <= UINT32_MAX && claim->addr_count <= GOSSIP_ADDRS_MAX);
    struct record_blob *b = malloc(sizeof *b + addrs + record.len);
    if (!b)
        return NULL;
    *b = (struct record_blob){.refs = 1,
                              .len = (uint32_t)record.len,
                              .addr_count = claim->addr_count,
                              .hash = claim->hash,
                              .id = claim->id,
                              .incarnation = claim->incarnation,
                              .version = claim->version,
                              .protocol_max = claim->protocol_max > 0 ? claim->protocol_max : 1,
                              .coordinate = claim->coordinate};
    memcpy(b->addr, claim->addr, addrs);
    if (record.len > 0)
        memcpy(b->addr + b->addr_count, record.at, record.len);
    return b;
}

struct record_blob *record_blob_of(struct gossip_pool *pool, struct bytes record,
                                   const struct gossip_claim *claim)
{
    struct record_blob *b = pool ? *chain_of(pool, &claim->hash) : NULL;
    while (b && !hash_eq(&b->hash, &claim->hash))
        b = b->next;
    if (b)
        return record_blob_ref(b);
    b = record_blob_new(record, claim);
    if (!b || !pool)
        return b;
    if (pool->count >= pool->chains)
        pool_grow(pool);
    struct record_blob **to = chain_of(pool, &b->hash);
    b->pool = pool;
    b->next = *to;
    *to = b;
    pool->count++;
    return b;
}

struct record_blob *record_blob_ref(struct record_blob *b)
{
    assert(b->refs > 0);
    b->refs++;
    return b;
}

void record_blob_unref(struct record_blob *b)
{
    if (!b)
        return;
    assert(b->refs > 0);
    if (--b->refs > 0)
        return;
    if (b->pool)
        pool_remove(b->pool, b);
    free(b);
}
