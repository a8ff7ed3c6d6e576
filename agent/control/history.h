/* What was in force on this agent, newest last, and the alarms that outlive a restart: of two policies that carry the version in
 * force (ADVERSARY B12), and of one that was seen expired (B9: a clock set back does not make it fresh again, and one that
 * was set ahead harms no version but that one). One fact in the store, "policy"; the bundles themselves are the store's, under
 * (epoch, version). A crash between the activation and this leaves a time unknown, nothing else.
 *
 *   fact   u8 layout=1 | fork: be64 epoch, be64 version, hash | expired: be64 epoch, be64 version
 *          | for each: be64 epoch, be64 version, be64 since, hash                                        */
#ifndef CONTROL_HISTORY_H
#define CONTROL_HISTORY_H

#include "base/clock.h"
#include "store/store.h"

struct history_entry {
    uint64_t epoch, version;
    wall_s since; /* 0: not known */
    struct hash hash;
};
struct history_fork {
    uint64_t epoch, version; /* 0,0: none */
    struct hash hash;        /* of the one that is not in force */
};
struct history {
    size_t count;
    struct history_entry at[STORE_POLICY_HISTORY]; /* rising; the oldest goes */
    struct history_fork fork;
    uint64_t expired_epoch, expired_version;
};

/* Nothing stored, or nothing of this layout: an empty one. store_fact_get()'s errors. */
must_check enum err history_load(struct history *h, struct store *s);
/* Queued, unconfirmed: what is lost with the power is a time and an alarm that is raised again. */
must_check enum err history_save(const struct history *h, struct store *s);
/* In force since `now` (0: since when is not known). In the place of one of the same (epoch, version). False: it was the newest
 * already, nothing changes. */
bool history_note(struct history *h, uint64_t epoch, uint64_t version, const struct hash *hash, wall_s now);
/* False: known. */
bool history_note_fork(struct history *h, uint64_t epoch, uint64_t version, const struct hash *other);
wall_s history_since(const struct history *h, uint64_t epoch, uint64_t version); /* 0: not known */

#endif
