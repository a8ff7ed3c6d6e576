#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum err file_err(int errnum)
{
    switch (errnum) {
    case 0:
        return ERR_OK;
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case EEXIST:
        return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_FULL;
    case ENOMEM:
        return ERR_NOMEM;
    default:
        return ERR_IO;
    }
}

/* "cannot <verb> <path>: <system's words>", and the error. */
static enum err fail(struct buf *why, const char *verb, const char *path, int errnum)
{
    if (why)
        buf_addf(why, "cannot %s %s: %s", verb, path, strerror(errnum));
    return file_err(errnum);
}

static enum err refuse(struct buf *why, enum err e, const char *path, const char *what)
{
    if (why)
        buf_addf(why, "%s %s", path, what);
    return e;
}

/* ---- reading ---- */

/* O_NONBLOCK: a FIFO in the file's place must not hang the open. */
static enum err open_regular(int *fd, struct stat *st, const char *path, struct buf *why)
{
    int f = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (f < 0 && errno == ELOOP)
        return refuse(why, ERR_INVALID, path, "is a symbolic link: give the file itself");
    if (f < 0)
        return fail(why, "open", path, errno);
    if (fstat(f, st) < 0) {
        enum err e = fail(why, "look at", path, errno);
        close(f);
        return e;
    }
    if (!S_ISREG(st->st_mode)) {
        close(f);
        return refuse(why, ERR_INVALID, path, "is not a regular file");
    }
    *fd = f;
    return ERR_OK;
}

/* Reads to the end of the file. One byte more than `max` is asked for, so that a file which grew since fstat
 * is noticed. */
static enum err read_all(struct buf *out, int fd, size_t max, const char *path, struct buf *why)
{
    size_t got = 0;
    uint8_t *to = buf_reserve(out, max + 1);
    if (!to)
        return refuse(why, ERR_NOMEM, path, "does not fit into memory");
    while (got <= max) {
        ssize_t n = read(fd, to + got, max + 1 - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(why, "read", path, errno);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    if (got > max)
        return refuse(why, ERR_LIMIT, path, "grew beyond its limit while it was read");
    out->len += got;
    return ERR_OK;
}

static enum err check_secret(const struct stat *st, const char *path, struct buf *why)
{
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return refuse(why, ERR_DENIED, path, "belongs to another user: chown it to the agent's user");
    if (st->st_mode & 077)
        return refuse(why, ERR_DENIED, path, "may be read or written by others: chmod 600 it");
    return ERR_OK;
}

static enum err read_file(struct buf *out, const char *path, size_t max, bool secret, struct buf *why)
{
    int fd = -1;
    struct stat st;
    enum err e = open_regular(&fd, &st, path, why);
    if (e)
        return e;
    if (secret)
        e = check_secret(&st, path, why);
    if (!e && (uint64_t)st.st_size > max) {
        if (why)
            buf_addf(why, "%s has %llu bytes, more than the %zu allowed here", path,
                     (unsigned long long)st.st_size, max);
        e = ERR_LIMIT;
    }
    if (!e) /* the size at open is the cap: what is allocated is what is needed */
        e = read_all(out, fd, (size_t)st.st_size, path, why);
    close(fd);
    return e;
}

enum err file_read(struct buf *out, const char *path, size_t max, struct buf *why)
{
    return read_file(out, path, max, false, why);
}

enum err file_read_secret(struct buf *out, const char *path, size_t max, struct buf *why)
{
    return read_file(out, path, max, true, why);
}

/* ---- writing ---- */

static int write_all(int fd, struct bytes b)
{
    while (b.len > 0) {
        ssize_t n = write(fd, b.at, b.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        b.at += n;
        b.len -= (size_t)n;
    }
    return 0;
}

/* Content, permissions and a sync; returns an errno. Some file systems report a failed write only at close.
 */
static int fill_and_close(int fd, struct bytes content, unsigned mode)
{
    int e = write_all(fd, content);
    if (!e && fchmod(fd, (mode_t)mode) < 0)
        e = errno;
    if (!e && fsync(fd) < 0)
        e = errno;
    if (close(fd) < 0 && !e)
        e = errno;
    return e;
}

/* Gives the finished file its name; returns an errno. Where the file system knows no RENAME_NOREPLACE, link()
 * refuses an existing name just as atomically. */
static int put_in_place(const char *beside, const char *path, bool replace)
{
    if (replace)
        return rename(beside, path) < 0 ? errno : 0;
    if (renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (link(beside, path) < 0)
        return errno;
    unlink(beside);
    return 0;
}

enum err file_sync_folder(const char *path, struct buf *why)
{
    struct buf folder = {0};
    const char *slash = strrchr(path, '/');
    if (!slash)
        buf_add_str(&folder, ".");
    else
        buf_add(&folder, path, slash == path ? 1 : (size_t)(slash - path));
    const char *name = buf_str(&folder);
    int fd = buf_ok(&folder) ? open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    enum err e = ERR_OK;
    if (fd < 0)
        e = buf_ok(&folder) ? fail(why, "open the folder", name, errno) : ERR_NOMEM;
    else if (fsync(fd) < 0)
        e = fail(why, "sync the folder", name, errno);
    if (fd >= 0)
        close(fd);
    buf_fini(&folder);
    return e;
}

/* A name of its own for each writer: two at once must not write into one file. mkostemp makes it 0600. */
static enum err write_beside(struct buf *beside, const char *path, struct bytes content, unsigned mode,
                             struct buf *why)
{
    buf_addf(beside, "%s.new-XXXXXX", path);
    (void)buf_str(beside);
    if (!buf_ok(beside))
        return ERR_NOMEM;
    int fd = mkostemp((char *)beside->at, O_CLOEXEC);
    if (fd < 0)
        return fail(why, "create a file beside", path, errno);
    int bad = fill_and_close(fd, content, mode);
    if (!bad)
        return ERR_OK;
    unlink((char *)beside->at);
    return fail(why, "write", path, bad);
}

enum err file_write(const char *path, struct bytes content, unsigned mode, bool replace, struct buf *why)
{
    struct buf beside = {0};
    enum err e = write_beside(&beside, path, content, mode, why);
    if (!e) {
        int bad = put_in_place((char *)beside.at, path, replace);
        if (bad) {
            unlink((char *)beside.at);
            e = bad == EEXIST ? refuse(why, ERR_EXISTS, path, "exists already and is not replaced")
                              : fail(why, "write", path, bad);
        }
    }
    buf_fini(&beside);
    return e ? e : file_sync_folder(path, why);
}
