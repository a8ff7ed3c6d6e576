/* record_blob.h: the exact bytes of one signed record, counted by reference.
 *
 * Relays pass records on unchanged, so the bytes are stored once as they came and shared between the member
 * table, pending events and whoever else holds them. Instances that belong to one loop may share them too, through a
 * pool (gossip.h): a simulator with 1000 members would otherwise hold a million copies of a thousand records. The count
 * is not atomic: a blob belongs to the loop of its instances. */
#ifndef GOSSIP_RECORD_BLOB_H
#define GOSSIP_RECORD_BLOB_H

#include "base/bytes.h"
#include "base/id.h"

struct gossip_pool;

struct record_blob {
    struct gossip_pool *pool; /* that knows of it, or NULL */
    struct record_blob *next; /* in its chain there */
    uint32_t refs, len;
    struct hash hash; /* of `at`, as `verify` told it */
    uint8_t at[];
};

/* Copies `record`; one reference. NULL: no memory. */
struct record_blob *record_blob_new(struct bytes record, const struct hash *hash);
/* The blob with these bytes that the pool knows of, with one reference more, or a new one. NULL pool: a new one. */
struct record_blob *record_blob_of(struct gossip_pool *pool, struct bytes record, const struct hash *hash);
struct record_blob *record_blob_ref(struct record_blob *b);
void record_blob_unref(struct record_blob *b); /* NULL is fine */

static inline struct bytes record_blob_bytes(const struct record_blob *b)
{
    return b ? bytes_of(b->at, b->len) : bytes_of(NULL, 0);
}

#endif
