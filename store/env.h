/* The LMDB environment: the folder and its lock, the guarded opening, transactions, growth of the map.
 * Internal to store/.
 *
 * Opening goes: folder (ours, private) -> lock -> file (regular, header believable, long enough) -> a child
 * process walks everything -> only then is it mapped here. The file is always as long as the map (sparse):
 * LMDB need not have written the last pages of a map, so without that no size check could tell a truncated
 * file from a good one. */
#ifndef STORE_ENV_H
#define STORE_ENV_H

#include <lmdb.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/table.h"

struct env {
    char *dir, *file;
    int lock_fd;  /* flock: one process per folder */
    MDB_env *mdb; /* NULL after a failure that LMDB cannot go on from; the next write opens it again */
    MDB_dbi dbi[TABLES];
    size_t map_bytes, map_bytes_max;
    pthread_rwlock_t map_lock; /* shared by transactions, exclusive while the map moves */
};

/* Errors and `why` as store_open(). On error nothing stays open. */
must_check enum err env_open(struct env *e, const char *dir, size_t map_bytes_max, struct buf *why);
void env_close(struct env *e);

/* A read transaction; end each one. */
must_check enum err env_read_begin(struct env *e, MDB_txn **txn);
void env_read_end(struct env *e, MDB_txn *txn);

/* Runs `fill` in a write transaction and commits it durably. Grows the map and runs `fill` again when it did
 * not fit, so `fill` begins from nothing each time. `fill` returns LMDB's codes; anything but 0 undoes
 * everything. ERR_FULL: disk full, or the map at its cap. ERR_IO, ERR_DAMAGED, ERR_NOMEM. */
must_check enum err env_write(struct env *e, int (*fill)(MDB_txn *txn, const MDB_dbi *dbi, void *arg),
                              void *arg);

enum err env_err(int rc); /* LMDB's codes and errno's, in our terms */

/* guard.c: does the file look like an LMDB environment of this format that is not truncated? Maps nothing. */
must_check enum err guard_check(const char *file, size_t *file_bytes, struct buf *why);

/* Says that the file is damaged and what to do; returns ERR_DAMAGED. */
enum err guard_damaged(const char *file, const char *what, struct buf *why);

/* probe.c: walks all of the file in a child process, which may die of it. ERR_DAMAGED, ERR_FOREIGN, ERR_IO.
 */
must_check enum err probe_walk(const char *file, size_t file_bytes, struct buf *why);

#endif
