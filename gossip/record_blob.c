#include "gossip/record_blob.h"

#include <assert.h>
#include <stdlib.h>

struct record_blob *record_blob_new(struct bytes record, const struct hash *hash)
{
    assert(record.len <= UINT32_MAX);
    struct record_blob *b = malloc(sizeof *b + record.len);
    if (!b)
        return NULL;
    b->refs = 1;
    b->len = (uint32_t)record.len;
    b->hash = *hash;
    if (record.len > 0)
        memcpy(b->at, record.at, record.len);
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
    if (--b->refs == 0)
        free(b);
}
