/* The writer thread: takes what is queued, as much as fits one transaction, and confirms it. What can wait goes with the next that
 * cannot, or after a pause, so that of many who join at once each is not a transaction with two syncs. No fsync ever
 * runs on the owner's loop except the two it waits for itself (writer_run). Internal to store/. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "store/env.h"

struct writer;

enum {
    WRITER_GROUP_MAX = 256, /* writes in one transaction */
    WRITER_GROUP_BYTES_MAX =
        4 * 1024 * 1024,   /* ... and bytes of their values; a larger single one goes alone */
    WRITER_PAUSE_MS = 500, /* what can wait is written so long after the last transaction */
};

struct write;
/* Does one write within the transaction; LMDB's codes. May run more than once (growth), each time from
 * nothing. An answer that is no failure of the store (stale, foreign) goes into w->outcome, with nothing
 * changed and 0 returned. */
typedef int (*write_fn)(MDB_txn *txn, const MDB_dbi *dbi, struct write *w);

struct write {
    struct write *next;
    write_fn run;
    struct bytes key, value; /* of a queued write: copied behind it */
    uint64_t a, b;           /* what they are, `run` knows */
    uint64_t ticket;
    enum table table;
    enum err outcome;
    bool is_done;
    bool can_wait; /* for others: a crash may lose the last WRITER_PAUSE_MS of such writes */
};

/* NULL: no memory or no thread. `env` outlives it. */
struct writer *writer_new(struct env *env, void (*wake)(void *arg), void *arg);
void writer_free(struct writer *w); /* finishes the queue first */

/* Copies and queues. ERR_FULL, ERR_NOMEM. */
must_check enum err writer_queue(struct writer *w, const struct write *what);
/* In a transaction of its own, ahead of the queue; waits until it is durable. `what` is borrowed. */
must_check enum err writer_run(struct writer *w, struct write *what);

bool writer_poll_done(struct writer *w, uint64_t *ticket, enum err *outcome);
enum err writer_health(const struct writer *w);

#endif
