#include "control/history.h"

#include <string.h>

#include "base/bytes.h"

enum {
    LAYOUT = 1,
    HEAD_BYTES = 1 + 16 + HASH_BYTES + 16,
    ENTRY_BYTES = 24 + HASH_BYTES,
    FACT_BYTES_MAX = HEAD_BYTES + STORE_POLICY_HISTORY * ENTRY_BYTES,
};
#define FACT "policy"

enum err history_save(const struct history *h, struct store *s)
{
    uint8_t space[FACT_BYTES_MAX];
    struct wr w = wr_init(space, sizeof space);
    wr_u8(&w, LAYOUT);
    wr_be64(&w, h->fork.epoch);
    wr_be64(&w, h->fork.version);
    wr_bytes(&w, h->fork.hash.b, HASH_BYTES);
    wr_be64(&w, h->expired_epoch);
    wr_be64(&w, h->expired_version);
    for (size_t i = 0; i < h->count; i++) {
        wr_be64(&w, h->at[i].epoch);
        wr_be64(&w, h->at[i].version);
        wr_be64(&w, (uint64_t)h->at[i].since);
        wr_bytes(&w, h->at[i].hash.b, HASH_BYTES);
    }
    return store_fact_put(s, FACT, wr_done(&w), 0);
}

static bool decode(struct history *h, struct bytes in)
{
    struct rd r = rd_init(in);
    uint8_t layout = rd_u8(&r);
    h->fork.epoch = rd_be64(&r);
    h->fork.version = rd_be64(&r);
    rd_copy(&r, h->fork.hash.b, HASH_BYTES);
    h->expired_epoch = rd_be64(&r);
    h->expired_version = rd_be64(&r);
    for (size_t left = in.len; left >= HEAD_BYTES + ENTRY_BYTES && h->count < STORE_POLICY_HISTORY;
         left -= ENTRY_BYTES) {
        struct history_entry *e = &h->at[h->count++];
        e->epoch = rd_be64(&r);
        e->version = rd_be64(&r);
        e->since = (wall_s)rd_be64(&r);
        rd_copy(&r, e->hash.b, HASH_BYTES);
    }
    return layout == LAYOUT && rd_done(&r);
}

enum err history_load(struct history *h, struct store *s)
{
    struct buf fact = {0};
    *h = (struct history){.count = 0};
    enum err e = store_fact_get(s, FACT, &fact);
    if (e == ERR_OK && !decode(h, buf_bytes(&fact)))
        *h = (struct history){.count = 0};
    buf_fini(&fact);
    return e;
}

static int compare(const struct history_entry *e, uint64_t epoch, uint64_t version)
{
    if (e->epoch != epoch)
        return e->epoch > epoch ? 1 : -1;
    return e->version > version ? 1 : e->version < version ? -1 : 0;
}

bool history_note(struct history *h, uint64_t epoch, uint64_t version, const struct hash *hash, wall_s now)
{
    struct history_entry *last = h->count ? &h->at[h->count - 1] : NULL;
    if (last && compare(last, epoch, version) == 0 && hash_eq(&last->hash, hash))
        return false;
    while (h->count > 0 && compare(&h->at[h->count - 1], epoch, version) >= 0)
        h->count--; /* the other one of a fork; more only in a folder that was put back */
    if (h->count == STORE_POLICY_HISTORY) {
        memmove(h->at, h->at + 1, (STORE_POLICY_HISTORY - 1) * sizeof *h->at);
        h->count--;
    }
    h->at[h->count++] = (struct history_entry){epoch, version, now, *hash};
    return true;
}

bool history_note_fork(struct history *h, uint64_t epoch, uint64_t version, const struct hash *other)
{
    const struct history_fork *k = &h->fork;
    if (k->epoch == epoch && k->version == version && hash_eq(&k->hash, other))
        return false;
    h->fork = (struct history_fork){epoch, version, *other};
    return true;
}

wall_s history_since(const struct history *h, uint64_t epoch, uint64_t version)
{
    for (size_t i = h->count; i > 0; i--)
        if (compare(&h->at[i - 1], epoch, version) == 0)
            return h->at[i - 1].since;
    return 0;
}
