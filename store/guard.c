/* What can be known about the file without mapping it: a truncated file kills a mapped reader by SIGBUS, a
 * zeroed page by abort() (ADVERSARY S8), and LMDB itself looks at little more than magic and version.
 *
 * LMDB 0.9's first two pages are copies of the meta page; the newer transaction counts. Native byte order:
 *
 *   page header  u64 page number | u16 pad | u16 flags (8 = meta) | u32 bounds                16 bytes
 *   meta         u32 magic | u32 version | u64 address | u64 map size | free tree | main tree
 *                | u64 last page | u64 transaction                                            136 bytes
 *   tree head    u32 pad (of the free tree: the page size) | ... | u64 root at 40             48 bytes */
#include "store/env.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

enum {
    META_BYTES = 16 + 136,
    AT_FLAGS = 10,
    AT_MAGIC = 16,
    AT_VERSION = 20,
    AT_PAGE_SIZE = 40,
    AT_FREE_ROOT = 16 + 24 + 40,
    AT_MAIN_ROOT = 16 + 72 + 40,
    AT_LAST_PAGE = 16 + 120,
    AT_TRANSACTION = 16 + 128,
    FLAG_META = 8,
    DATA_VERSION = 1,
    PAGE_BYTES_MIN = 512,
    PAGE_BYTES_MAX = 65536,
};
static const uint32_t magic = 0xBEEFC0DE;
static const uint64_t no_page = UINT64_MAX; /* the root of an empty tree */

static uint16_t native16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint32_t native32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t native64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static bool root_is_sound(uint64_t root, uint64_t last_page)
{
    return root == no_page || (root >= 2 && root <= last_page);
}

/* NULL if this can be a meta page, else what is wrong with it. */
static const char *form_flaw(const uint8_t *m)
{
    uint32_t page = native32(m + AT_PAGE_SIZE);
    if (native32(m + AT_MAGIC) != magic || !(native16(m + AT_FLAGS) & FLAG_META))
        return "its header is not that of a state file";
    if (page < PAGE_BYTES_MIN || page > PAGE_BYTES_MAX || (page & (page - 1)) != 0)
        return "its header names an impossible page size";
    return NULL;
}

/* NULL if what it points at can be there. */
static const char *reach_flaw(const uint8_t *m, uint64_t file_bytes)
{
    uint64_t last = native64(m + AT_LAST_PAGE);
    if (last >= file_bytes / native32(m + AT_PAGE_SIZE))
        return "it is shorter than its header says";
    if (!root_is_sound(native64(m + AT_FREE_ROOT), last) || !root_is_sound(native64(m + AT_MAIN_ROOT), last))
        return "its header points outside of it";
    return NULL;
}

static bool read_meta(int fd, off_t at, uint8_t m[META_BYTES])
{
    ssize_t n;
    do
        n = pread(fd, m, META_BYTES, at);
    while (n < 0 && errno == EINTR);
    return n == META_BYTES;
}

enum err guard_damaged(const char *file, const char *what, struct buf *why)
{
    buf_addf(why,
             "the state file %s is damaged: %s. It was left as it is. Put a good copy back, or move it away "
             "(mv %s %s.damaged) and start again: members and policy then come from the other agents, but "
             "until they "
             "do this host would accept an older policy than it had",
             file, what, file, file);
    return ERR_DAMAGED;
}

static enum err check_metas(int fd, const char *file, uint64_t file_bytes, struct buf *why)
{
    uint8_t m[META_BYTES], second[META_BYTES];
    if (file_bytes == 0)
        return guard_damaged(file, "it is empty", why);
    if (!read_meta(fd, 0, m))
        return guard_damaged(file, "its header cannot be read", why);
    if (native32(m + AT_MAGIC) == magic && native32(m + AT_VERSION) != DATA_VERSION) {
        buf_addf(why,
                 "%s has LMDB format %u, this program reads format %u: it was written by another version",
                 file, native32(m + AT_VERSION), (unsigned)DATA_VERSION);
        return ERR_FOREIGN;
    }
    const char *flaw = form_flaw(m);
    uint32_t page = native32(m + AT_PAGE_SIZE);
    if (!flaw && !read_meta(fd, page, second))
        flaw = "its second header cannot be read";
    if (!flaw)
        flaw = form_flaw(second);
    if (!flaw && (native32(second + AT_PAGE_SIZE) != page || native32(second + AT_VERSION) != DATA_VERSION))
        flaw = "its two headers contradict each other";
    /* Only the newest is used. When writing one fails, LMDB puts the old number back into it, and leaves the rest: where that points nobody
     * goes, and the next transaction writes over it (ADVERSARY S5). */
    if (!flaw)
        flaw = reach_flaw(native64(second + AT_TRANSACTION) > native64(m + AT_TRANSACTION) ? second : m,
                          file_bytes);
    return flaw ? guard_damaged(file, flaw, why) : ERR_OK;
}

/* One descriptor for look and reading: nothing can be put in the file's place in between. The lock on the
 * folder is held. */
enum err guard_check(const char *file, size_t *file_bytes, struct buf *why)
{
    int fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP) {
        buf_addf(why, "%s is a symbolic link: put the state file itself there", file);
        return ERR_INVALID;
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        int errnum = errno;
        if (errnum != ENOENT)
            buf_addf(why, "cannot open %s: %s", file, strerror(errnum));
        if (fd >= 0)
            close(fd);
        return file_err(errnum);
    }
    enum err e = ERR_OK;
    if (!S_ISREG(st.st_mode)) {
        buf_addf(why, "%s is not a regular file: move it away", file);
        e = ERR_INVALID;
    } else {
        e = check_metas(fd, file, (uint64_t)st.st_size, why);
    }
    close(fd);
    *file_bytes = (size_t)st.st_size;
    return e;
}
