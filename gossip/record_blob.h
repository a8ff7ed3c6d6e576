/* record_blob.h: the exact bytes of one signed record, counted by reference.
 *
 * Relays pass records on unchanged, so the bytes are stored once as they came and shared between the member
 * table, pending events and whoever else holds them. Instances that belong to one loop may share them too, through a
 * pool (gossip.h): a simulator with 1000 members would otherwise hold a million copies of a thousand records. The count
 * is not atomic: a blob belongs to the loop of its instances. What verification found in the bytes is kept beside
 * them, so that a member (member.h) need not hold it once more. */
#ifndef GOSSIP_RECORD_BLOB_H
#define GOSSIP_RECORD_BLOB_H

#include "gossip/gossip.h"

struct fold; /* member.h */

/* Chained hashing by the records' own hashes, which are as good as random. */
struct gossip_pool {
    struct record_blob **chain;
    size_t chains, count;
    struct fold *folds; /* [FOLDS_SHARED] by their nonces; NULL before the first */
};

struct record_blob {
    struct gossip_pool *pool; /* that knows of it, or NULL */
    struct record_blob *next; /* in its chain there */
    uint32_t refs, len;
    struct hash hash; /* of the bytes, and the rest of what `verify` told of them */
    struct node_id id;
    uint64_t incarnation, version;
    uint8_t protocol_max; /* 1 if nothing was told */
    struct gossip_coordinate coordinate;
    uint8_t addr_count;
    struct addr addr[]; /* and then the bytes */
};

/* Copies `record`, at most GOSSIP_RECORD_MAX bytes, and what was claimed by it; one reference. NULL: no memory. */
struct record_blob *record_blob_new(struct bytes record, const struct gossip_claim *claim);
/* The blob with this hash that the pool knows of, with one reference more, or a new one. NULL pool: a new one. */
struct record_blob *record_blob_of(struct gossip_pool *pool, struct bytes record,
                                   const struct gossip_claim *claim);
struct record_blob *record_blob_ref(struct record_blob *b);
void record_blob_unref(struct record_blob *b); /* NULL is fine */

static inline struct bytes record_blob_bytes(const struct record_blob *b)
{
    return b ? bytes_of((const uint8_t *)(b->addr + b->addr_count), b->len) : bytes_of(NULL, 0);
}

#endif
