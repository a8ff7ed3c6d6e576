/* S5: a call to the disk fails, the k-th of its kind, for every k of a life of the store: from the creation of the file over a start to writes.
 * What was acknowledged is there afterwards, nothing is damaged by it, and the same store goes on once the disk does.
 *
 * The calls are this program's own, which go before libc's for liblmdb as well; each does as the kernel would, but for the one
 * that is to fail. Syncs are only counted: no power is lost here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "store/file.h"
#include "tests/unit/store_folder.h"

enum call { CALL_PWRITE, CALL_WRITEV, CALL_WRITE, CALL_SYNC, CALL_OPEN, CALL_RENAME, CALL_FTRUNCATE, CALLS };
static const char *const call_name[CALLS] = {"pwrite", "writev", "write",    "sync",
                                             "open",   "rename", "ftruncate"};

enum { SHORT = -1, K_MAX = 200 }; /* SHORT: half of it is written, and told so */

static struct {
    enum call call;
    int error; /* an errno, or SHORT; 0: none is to fail */
    int lasts; /* so many fail from the k-th on */
    atomic_int left;
    atomic_int made[CALLS];
} plan;

/* Is this the call that fails? */
static bool fails(enum call call)
{
    atomic_fetch_add(&plan.made[call], 1);
    if (plan.error == 0 || plan.call != call)
        return false;
    int left = atomic_fetch_sub(&plan.left, 1);
    return left <= 1 && left > 1 - plan.lasts;
}

static long refuse(void)
{
    errno = plan.error;
    return -1;
}

ssize_t pwrite(int fd, const void *at, size_t n, off_t offset);
ssize_t pwrite(int fd, const void *at, size_t n, off_t offset)
{
    bool bad = fails(CALL_PWRITE);
    if (bad && plan.error != SHORT)
        return refuse();
    return syscall(SYS_pwrite64, fd, at, bad ? n / 2 : n, offset);
}

ssize_t pwrite64(int fd, const void *at, size_t n, off_t offset) __attribute__((alias("pwrite")));

ssize_t write(int fd, const void *at, size_t n)
{
    bool bad = fd > STDERR_FILENO && fails(CALL_WRITE);
    if (bad && plan.error != SHORT)
        return refuse();
    return syscall(SYS_write, fd, at, bad && n > 1 ? n / 2 : n);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    bool bad = fails(CALL_WRITEV);
    if (bad && plan.error != SHORT)
        return refuse();
    return syscall(SYS_writev, fd, parts, bad && count > 1 ? count / 2 : count);
}

int fdatasync(int fd)
{
    (void)fd;
    return fails(CALL_SYNC) ? (int)refuse() : 0;
}

int fsync(int fd)
{
    return fdatasync(fd);
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, unsigned) : 0;
    va_end(ap);
    bool is_ours = strncmp(path, folder, strlen(folder)) == 0;
    return is_ours && fails(CALL_OPEN) ? (int)refuse()
                                       : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int rename(const char *from, const char *to)
{
    return fails(CALL_RENAME) ? (int)refuse() : (int)syscall(SYS_rename, from, to);
}

int ftruncate(int fd, off_t bytes)
{
    return fails(CALL_FTRUNCATE) ? (int)refuse() : (int)syscall(SYS_ftruncate, fd, bytes);
}

static void all_goes_well(void)
{
    plan.error = 0;
}

/* ---- a life of the store ---- */

struct acknowledged {
    uint64_t number;
    uint64_t floor;
    unsigned members; /* the first so many records */
};

static struct bytes bundle_of(uint64_t version, uint8_t space[9000])
{
    memset(space, (int)version, 9000);
    return bytes_of(space, 8000 + (size_t)version);
}

static struct store *try_open(void)
{
    struct store *s = NULL;
    struct buf why = {0};
    enum err e = store_open(&s, folder, NULL, NULL, &why);
    if (e)
        assert_true(why.len > 0); /* it says why */
    buf_fini(&why);
    return e ? NULL : s;
}

static void write_some(struct store *s, struct acknowledged *a)
{
    uint8_t space[9000];
    struct node_id self = node_numbered(0);
    enum err bound = store_bind(s, bytes_str("shop.example"), &self);
    assert_true(bound != ERR_FOREIGN);
    for (uint64_t i = a->number + 1, end = i + 4; i < end; i++)
        if (store_number_raise(s, "incarnation", i) == ERR_OK)
            a->number = i;
    for (uint64_t v = a->floor + 1, end = v + 2; v < end; v++) {
        assert_int_equal(store_policy_activate(s, 1, v, bundle_of(v, space), v), ERR_OK);
        if (next_outcome(s, v) == ERR_OK)
            a->floor = v;
    }
    struct node_id id = node_numbered(a->members + 1);
    assert_int_equal(store_member_put(s, &id, bytes_str("record"), 77), ERR_OK);
    a->members += next_outcome(s, 77) == ERR_OK;
}

static void expect_all(struct store *s, const struct acknowledged *a)
{
    uint64_t n = 0, epoch = 0, version = 0;
    struct buf bundle = {0};
    uint8_t space[9000];
    assert_int_equal(store_number_get(s, "incarnation", &n), ERR_OK);
    assert_in_range(n, a->number, a->number + 4); /* what failed may have been done all the same */
    assert_int_equal(store_policy_active(s, &bundle, &epoch, &version), ERR_OK);
    assert_in_range(version, a->floor, a->floor + 2);
    if (version > 0)
        assert_true(bytes_eq(buf_bytes(&bundle), bundle_of(version, space)));
    buf_fini(&bundle);
}

/* One life, from nothing, in which the k-th call fails. True: there was such a call. */
static bool live(enum call call, int error, int lasts, int k)
{
    struct acknowledged a = {0};
    folder_make(NULL);
    plan.call = call;
    plan.lasts = lasts;
    atomic_store(&plan.left, k);
    plan.error = error;
    struct store *s = try_open();
    if (s)
        write_some(s, &a);
    bool was_met = atomic_load(&plan.left) <= 0;
    all_goes_well();
    if (s) { /* it goes on by itself; the first write after a panic of LMDB's may be the one that opens the file again */
        uint64_t next = a.number + 10;
        enum err e = store_number_raise(s, "incarnation", next);
        if (e)
            e = store_number_raise(s, "incarnation", next);
        if (e)
            fail_msg("the %d. %s fails with %d: later \"%s\"", k, call_name[call], error, err_text(e));
        a.number = next;
        store_close(s);
    }
    s = must_open();
    expect_all(s, &a);
    write_some(s, &a);
    expect_all(s, &a);
    store_close(s);
    folder_remove(NULL);
    return was_met;
}

static unsigned lives(enum call call, int error, int lasts)
{
    int k = 1;
    while (k <= K_MAX && live(call, error, lasts, k))
        k++;
    assert_true(k > 1); /* or it was never tried */
    print_message("%s %s, %d at a time: %d lives\n", call_name[call],
                  error == SHORT ? "short" : strerrorname_np(error), lasts, k - 1);
    return (unsigned)k - 1;
}

static void S5_any_call_fails_and_nothing_acknowledged_is_lost(void **state)
{
    static const struct {
        enum call call;
        int error;
    } cases[] = {{CALL_PWRITE, EIO},  {CALL_PWRITE, ENOSPC}, {CALL_PWRITE, EINTR},  {CALL_PWRITE, SHORT},
                 {CALL_WRITEV, EIO},  {CALL_WRITEV, ENOSPC}, {CALL_WRITEV, SHORT},  {CALL_SYNC, EIO},
                 {CALL_SYNC, ENOSPC}, {CALL_SYNC, EINTR},    {CALL_OPEN, EIO},      {CALL_OPEN, EMFILE},
                 {CALL_RENAME, EIO},  {CALL_RENAME, ENOSPC}, {CALL_FTRUNCATE, EIO}, {CALL_FTRUNCATE, ENOSPC}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        lives(cases[i].call, cases[i].error, 1);
}

/* As a disk does that has failed, or is full: everything of the kind fails from then on, until it is mended. */
static void S5_they_go_on_failing_until_it_is_mended(void **state)
{
    (void)state;
    lives(CALL_PWRITE, EIO, 1000);
    lives(CALL_PWRITE, ENOSPC, 1000);
    lives(CALL_WRITEV, EIO, 1000);
    lives(CALL_WRITEV, ENOSPC, 1000);
    lives(CALL_SYNC, EIO, 1000);
}

/* ---- the small files ---- */

static bool replace_file(enum call call, int error, int k)
{
    const char *path = in_folder("identity.key");
    struct buf got = {0}, why = {0};
    assert_int_equal(file_write(path, bytes_str("the old one"), 0600, true, &why), ERR_OK);
    plan.call = call;
    plan.lasts = 1;
    atomic_store(&plan.left, k);
    plan.error = error;
    enum err e = file_write(path, bytes_str("the new one, which is longer"), 0600, true, &why);
    bool was_met = atomic_load(&plan.left) <= 0;
    all_goes_well();
    assert_int_equal(file_read_secret(&got, path, 1000, NULL), ERR_OK);
    bool is_new = bytes_eq_str(buf_bytes(&got), "the new one, which is longer");
    assert_true(is_new || bytes_eq_str(buf_bytes(&got), "the old one"));
    if (e == ERR_OK)
        assert_true(is_new);
    else
        assert_true(why.len > 0);
    buf_fini(&got);
    buf_fini(&why);
    return was_met;
}

static void S5_a_small_file_is_the_old_one_or_the_new_one(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EINTR, SHORT};
    (void)state;
    for (enum call call = CALL_WRITE; call <= CALL_RENAME; call++)
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
            int k = 1;
            while (replace_file(call, call == CALL_WRITE || errors[i] != SHORT ? errors[i] : EIO, k))
                k++;
            assert_true(k > 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(S5_any_call_fails_and_nothing_acknowledged_is_lost),
        cmocka_unit_test(S5_they_go_on_failing_until_it_is_mended),
        FOLDER_CASE(S5_a_small_file_is_the_old_one_or_the_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
