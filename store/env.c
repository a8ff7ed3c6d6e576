#include "store/env.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "store/fault.h"
#include "store/file.h"
#include "store/store.h"

static const char file_name[] = "state.mdb";
static const char lock_name[] = "lock";
enum { DISK_LOW_BYTES = 64 * 1024 }; /* less than this is a full disk */

enum err env_err(int rc)
{
    switch (rc) {
    case 0:
        return ERR_OK;
    case MDB_NOTFOUND:
        return ERR_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return ERR_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return ERR_DAMAGED;
    case MDB_VERSION_MISMATCH:
        return ERR_FOREIGN;
    default:
        return rc > 0 ? file_err(rc) : ERR_IO;
    }
}

/* ---- the folder and its lock ---- */

static enum err open_folder(const char *dir, struct buf *why)
{
    struct stat st;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        enum err e = file_err(errno);
        buf_addf(why, "cannot create the data folder %s: %s", dir, strerror(errno));
        return e;
    }
    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)) {
        buf_addf(why, "the data folder %s is not a folder that can be read", dir);
        return ERR_INVALID;
    }
    if (st.st_uid != geteuid()) {
        buf_addf(
            why,
            "the data folder %s belongs to user %u, the agent runs as user %u: chown it, or run as its owner",
            dir, (unsigned)st.st_uid, (unsigned)geteuid());
        return ERR_DENIED;
    }
    if (st.st_mode & 077) {
        buf_addf(why, "the data folder %s is open to other users (mode %04o): chmod 700 it", dir,
                 (unsigned)st.st_mode & 07777);
        return ERR_DENIED;
    }
    return ERR_OK;
}

/* The holder's process id is in the file, for the message only; what counts is the lock, which dies with its
 * process. */
static void name_holder(int fd, const char *dir, struct buf *why)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = 0;
    pid[strspn(pid, "0123456789")] = 0;
    buf_addf(
        why,
        "another agent%s%s%s is running on the data folder %s: stop it, or give this one a folder of its own",
        *pid ? " (process " : "", pid, *pid ? ")" : "", dir);
}

static enum err note_holder(int fd, const char *path, struct buf *why)
{
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) == n)
        return ERR_OK;
    enum err e = file_err(errno);
    if (e == ERR_FULL) /* a full disk must not keep an agent from starting with what it has */
        return ERR_OK;
    buf_addf(why, "cannot write %s: %s", path, strerror(errno));
    return e;
}

/* Is the process that noted itself in the lock file gone? */
static bool holder_is_gone(int fd)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* An agent that is killed in the moment in which it forks a probe leaves its lock to the child, which lets go of it
 * first of all. So the lock of one who is gone is waited for, a second at the most. ERR_EXISTS: somebody has it. */
static enum err take_lock(int fd)
{
    enum { TRIES = 1000 };
    const struct timespec millisecond = {0, 1000000};
    for (int i = 0; i < TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return ERR_OK;
        if (errno != EWOULDBLOCK)
            return ERR_IO;
        if (!holder_is_gone(fd))
            break;
        nanosleep(&millisecond, NULL);
    }
    return ERR_EXISTS;
}

static enum err lock_folder(int *lock_fd, const char *dir, struct buf *why)
{
    struct buf path = {0};
    buf_addf(&path, "%s/%s", dir, lock_name);
    const char *name = buf_str(&path);
    int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    enum err e = ERR_OK;
    if (fd < 0) {
        e = errno == EISDIR || errno == ELOOP || errno == ENXIO ? ERR_INVALID : file_err(errno);
        buf_addf(why, "cannot open the lock file %s: %s", name, strerror(errno));
    } else if ((e = take_lock(fd)) == ERR_EXISTS) {
        name_holder(fd, dir, why);
    } else if (e != ERR_OK) {
        buf_addf(why, "cannot lock %s: %s", name, strerror(errno));
    } else {
        e = note_holder(fd, name, why);
    }
    if (e && fd >= 0)
        close(fd);
    buf_fini(&path);
    *lock_fd = e ? -1 : fd;
    return e;
}

/* ---- the first creation ---- */

static int fill_new(MDB_env *mdb)
{
    MDB_txn *txn;
    MDB_dbi dbi[TABLES];
    uint8_t be[8];
    int rc = mdb_txn_begin(mdb, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = tables_open(txn, dbi, true);
    store_be64(be, STORE_SCHEMA);
    if (!rc)
        rc = table_put(txn, dbi, TABLE_META, bytes_str("schema"), bytes_of(be, sizeof be));
    store_be64(be, mdb_txn_id(txn));
    if (!rc)
        rc = table_put(txn, dbi, TABLE_META, bytes_str("txn"), bytes_of(be, sizeof be));
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int make_file(const char *name)
{
    MDB_env *mdb;
    int rc = mdb_env_create(&mdb);
    if (rc)
        return rc;
    rc = mdb_env_set_maxdbs(mdb, TABLES);
    if (!rc)
        rc = mdb_env_set_mapsize(mdb, STORE_MAP_MIN);
    if (!rc)
        rc = mdb_env_open(mdb, name, MDB_NOSUBDIR, 0600);
    if (!rc)
        rc = fill_new(mdb);
    mdb_env_close(mdb);
    return rc;
}

/* Sets the length and makes it durable; returns an errno. The new part is a hole: it takes no space yet. */
static int stretch(const char *name, size_t bytes)
{
    int fd = open(name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int bad = ftruncate(fd, (off_t)bytes) < 0 || fsync(fd) < 0 ? errno : 0;
    close(fd);
    return bad;
}

static void remove_beside(const struct buf *beside)
{
    struct buf lock = {0};
    buf_addf(&lock, "%s-lock", (const char *)beside->at);
    unlink((const char *)beside->at);
    if (buf_ok(&lock))
        unlink((const char *)lock.at);
    buf_fini(&lock);
}

/* A power cut during LMDB's own first creation leaves a file that it refuses in 6 of 10 states; so it happens
 * beside, under a name that nobody opens, and what an earlier attempt left there is removed. */
static enum err create_file(const char *file, struct buf *why)
{
    struct buf beside = {0};
    buf_addf(&beside, "%s.new", file);
    const char *name = buf_str(&beside);
    if (!buf_ok(&beside))
        return ERR_NOMEM;
    remove_beside(&beside);
    int rc = make_file(name);
    if (!rc)
        rc = stretch(name, STORE_MAP_MIN);
    if (!rc && rename(name, file) < 0)
        rc = errno;
    enum err e = env_err(rc);
    if (rc)
        buf_addf(why, "cannot create the state file %s: %s", file, mdb_strerror(rc));
    else
        e = file_sync_folder(file, why);
    remove_beside(&beside);
    buf_fini(&beside);
    return e;
}

/* ---- opening ---- */

/* LMDB puts its own lock file in order when it holds it alone, which the folder's lock ensures; only its kind
 * is checked. */
static enum err check_lock_file(const char *file, struct buf *why)
{
    struct buf path = {0};
    struct stat st;
    buf_addf(&path, "%s-lock", file);
    enum err e = ERR_OK;
    if (lstat(buf_str(&path), &st) == 0 && !S_ISREG(st.st_mode)) {
        buf_addf(why, "%s is not a regular file: remove it", buf_str(&path));
        e = ERR_INVALID;
    }
    buf_fini(&path);
    return e;
}

static void on_lmdb_assertion(MDB_env *mdb, const char *words)
{
    (void)mdb;
    (void)words; /* a place in LMDB's source */
    fault_exit();
}

/* Where LMDB has mapped the file, which it does not say. A page begins with its number. */
static void watch_map(struct env *e)
{
    MDB_txn *txn;
    MDB_stat st;
    struct bytes value;
    if (mdb_env_stat(e->mdb, &st) || mdb_txn_begin(e->mdb, NULL, MDB_RDONLY, &txn))
        return; /* no memory: SIGBUS stays as it was */
    if (table_get(txn, e->dbi, TABLE_META, bytes_str("schema"), &value) == 0) {
        const uint8_t *page = value.at - (uintptr_t)value.at % st.ms_psize;
        size_t number;
        memcpy(&number, page, sizeof number);
        fault_watch(e->file, page - number * st.ms_psize, e->map_bytes);
    }
    mdb_txn_abort(txn);
}

static int map_file(struct env *e)
{
    MDB_txn *txn;
    int rc = mdb_env_create(&e->mdb);
    if (rc) {
        e->mdb = NULL;
        return rc;
    }
    rc = mdb_env_set_maxdbs(e->mdb, TABLES);
    if (!rc)
        rc = mdb_env_set_mapsize(e->mdb, e->map_bytes);
    if (!rc)
        rc = mdb_env_set_assert(e->mdb, on_lmdb_assertion);
    if (!rc) {
        fault_watch(e->file, NULL, 0); /* LMDB may find nonsense before it is known where the map is */
        rc = mdb_env_open(e->mdb, e->file, MDB_NOSUBDIR, 0600);
    }
    if (!rc)
        rc = mdb_txn_begin(e->mdb, NULL, MDB_RDONLY, &txn);
    if (!rc) {
        rc = tables_open(txn, e->dbi, false);
        if (rc)
            mdb_txn_abort(txn);
        else
            rc = mdb_txn_commit(txn); /* keeps the database handles */
    }
    if (rc) {
        mdb_env_close(e->mdb);
        e->mdb = NULL;
    } else {
        watch_map(e);
    }
    return rc;
}

static enum err open_file(struct env *e, struct buf *why)
{
    size_t bytes = 0;
    enum err err = check_lock_file(e->file, why);
    if (!err)
        err = guard_check(e->file, &bytes, why);
    if (err == ERR_NOT_FOUND) {
        err = create_file(e->file, why);
        if (!err)
            err = guard_check(e->file, &bytes, why);
    }
    if (!err)
        err = probe_walk(e->file, bytes, why);
    if (err)
        return err;
    e->map_bytes = bytes;
    int rc = map_file(e);
    if (rc)
        buf_addf(why, "cannot open the state file %s: %s", e->file, mdb_strerror(rc));
    return env_err(rc);
}

enum err env_open(struct env *e, const char *dir, size_t map_bytes_max, struct buf *why)
{
    *e = (struct env){.lock_fd = -1, .map_bytes_max = map_bytes_max};
    struct buf file = {0};
    buf_addf(&file, "%s/%s", dir, file_name);
    (void)buf_str(&file);
    e->dir = strdup(dir);
    e->file = (char *)file.at;
    pthread_rwlock_init(&e->map_lock, NULL);
    enum err err = e->dir && buf_ok(&file) ? open_folder(dir, why) : ERR_NOMEM;
    if (!err)
        err = lock_folder(&e->lock_fd, dir, why);
    if (!err)
        err = open_file(e, why);
    if (err)
        env_close(e);
    return err;
}

/* LMDB looks at the map while it unmaps it. */
static void unmap_file(struct env *e)
{
    if (!e->mdb)
        return;
    mdb_env_close(e->mdb);
    fault_forget();
    e->mdb = NULL;
}

void env_close(struct env *e)
{
    unmap_file(e);
    if (e->lock_fd >= 0)
        close(e->lock_fd);
    pthread_rwlock_destroy(&e->map_lock);
    free(e->dir);
    free(e->file);
    *e = (struct env){.lock_fd = -1};
}

/* ---- the map ---- */

/* Doubles file and map, up to the cap. ERR_FULL: at the cap, or the file cannot be longer. */
static enum err grow(struct env *e)
{
    size_t bytes = e->map_bytes > e->map_bytes_max / 2 ? e->map_bytes_max : e->map_bytes * 2;
    if (bytes <= e->map_bytes)
        return ERR_FULL;
    int bad = stretch(e->file, bytes);
    if (bad)
        return file_err(bad);
    pthread_rwlock_wrlock(&e->map_lock);
    int rc = mdb_env_set_mapsize(e->mdb, bytes);
    if (!rc) {
        e->map_bytes = bytes;
        watch_map(e);
    }
    pthread_rwlock_unlock(&e->map_lock);
    return env_err(rc);
}

/* Another program made the map larger: take its size over. */
static enum err adopt_size(struct env *e)
{
    MDB_envinfo info;
    pthread_rwlock_wrlock(&e->map_lock);
    int rc = mdb_env_set_mapsize(e->mdb, 0);
    if (!rc && (rc = mdb_env_info(e->mdb, &info)) == 0) {
        e->map_bytes = info.me_mapsize;
        watch_map(e);
    }
    pthread_rwlock_unlock(&e->map_lock);
    return env_err(rc);
}

/* After an error while writing a meta page LMDB refuses everything (MDB_PANIC), because it cannot know what
 * is on disk. The file says: it is closed and opened again with all the checks of a start. */
static enum err open_again(struct env *e)
{
    struct buf why = {.max = 1024};
    pthread_rwlock_wrlock(&e->map_lock);
    unmap_file(e);
    enum err err = open_file(e, &why);
    pthread_rwlock_unlock(&e->map_lock);
    buf_fini(&why);
    return err;
}

/* ---- transactions ---- */

enum err env_read_begin(struct env *e, MDB_txn **txn)
{
    pthread_rwlock_rdlock(&e->map_lock);
    int rc = e->mdb ? mdb_txn_begin(e->mdb, NULL, MDB_RDONLY, txn) : EIO;
    if (rc == 0)
        return ERR_OK;
    pthread_rwlock_unlock(&e->map_lock);
    if (rc != MDB_MAP_RESIZED)
        return env_err(rc);
    enum err err = adopt_size(e);
    return err ? err : env_read_begin(e, txn);
}

void env_read_end(struct env *e, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    pthread_rwlock_unlock(&e->map_lock);
}

/* A write that the disk took in part only is told as EIO by LMDB ("short write, filesystem full?"). */
static int tell_full(const struct env *e, int rc)
{
    struct statvfs fs;
    if (rc != EIO || statvfs(e->file, &fs) < 0)
        return rc;
    return (uint64_t)fs.f_bavail * fs.f_frsize < DISK_LOW_BYTES ? ENOSPC : rc;
}

/* One attempt; LMDB's code. The transaction notes its own number (probe.c, check_newest). */
static int write_once(struct env *e, int (*fill)(MDB_txn *txn, const MDB_dbi *dbi, void *arg), void *arg)
{
    MDB_txn *txn;
    uint8_t be[8];
    int rc = mdb_txn_begin(e->mdb, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = fill(txn, e->dbi, arg);
    store_be64(be, mdb_txn_id(txn));
    if (!rc)
        rc = table_put(txn, e->dbi, TABLE_META, bytes_str("txn"), bytes_of(be, sizeof be));
    if (!rc)
        return tell_full(e, mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return rc;
}

enum err env_write(struct env *e, int (*fill)(MDB_txn *txn, const MDB_dbi *dbi, void *arg), void *arg)
{
    enum err err = e->mdb ? ERR_OK : open_again(e);
    while (!err) {
        pthread_rwlock_rdlock(&e->map_lock);
        int rc = write_once(e, fill, arg);
        pthread_rwlock_unlock(&e->map_lock);
        if (rc == MDB_MAP_FULL) {
            err = grow(e);
        } else if (rc == MDB_MAP_RESIZED) {
            err = adopt_size(e);
        } else if (rc == MDB_PANIC) {
            err = open_again(e);
            return err ? err : ERR_IO; /* the caller writes again */
        } else {
            return env_err(rc);
        }
    }
    return err;
}
