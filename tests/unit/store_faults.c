/* What the store promises when things go wrong: damaged files (S8), foreign versions (S10), a full map (S4),
 * a full disk (S3), kill -9 (S2). Damage is tried in a child process, so that a signal would be seen and not
 * die with the test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "tests/unit/store_folder.h"

/* Some tests open a store, with its writer thread, in a child of a process that has had threads. ThreadSanitizer cannot follow
 * that ("starting new threads after multi-threaded fork is not supported"); those are skipped under it. */
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define UNDER_TSAN 1
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

enum { PAGE = 4096 };

static void ignore_member(void *arg, const struct node_id *id, struct bytes record)
{
    (void)arg;
    (void)id;
    (void)record;
}

/* ---- S8: damage ---- */

static struct bytes record_of(uint32_t n, uint8_t space[600])
{
    struct rng r = rng_seeded(n);
    for (size_t i = 0; i < 600; i++)
        space[i] = (uint8_t)rng_u64(&r);
    return bytes_of(space, 300 + n % 300);
}

static void fill_store(void)
{
    struct store *s = must_open();
    struct node_id self = node_numbered(0);
    uint8_t space[600];
    static uint8_t bundle[30000];
    assert_int_equal(store_bind(s, bytes_str("shop.example"), &self), ERR_OK);
    assert_int_equal(store_number_raise(s, "incarnation", 11), ERR_OK);
    for (uint32_t i = 1; i <= 300; i++) {
        struct node_id id = node_numbered(i);
        assert_int_equal(store_member_put(s, &id, record_of(i, space), 0), ERR_OK);
    }
    for (uint32_t i = 1; i <= 60; i += 2) { /* so that there are free pages */
        struct node_id id = node_numbered(i);
        assert_int_equal(store_member_put(s, &id, bytes_str(""), 0), ERR_OK);
    }
    assert_int_equal(store_policy_activate(s, 1, 6, bytes_of(bundle, 20000), 0), ERR_OK);
    assert_int_equal(store_policy_activate(s, 1, 7, bytes_of(bundle, sizeof bundle), 1), ERR_OK);
    assert_int_equal(next_outcome(s, 1), ERR_OK);
    assert_int_equal(store_number_raise(s, "incarnation", 12), ERR_OK);
    store_close(s);
}

struct checked {
    size_t sound, wrong;
};

static void check_member(void *arg, const struct node_id *id, struct bytes record)
{
    struct checked *c = arg;
    uint8_t space[600];
    uint32_t n = load_be32(id->b + 4);
    if (bytes_eq(record, record_of(n, space)))
        c->sound++;
    else
        c->wrong++;
}

enum verdict { REFUSED, ALL_THERE, LOST_NAMED, WRONG };

/* Everything one can do with a state that opened. Nothing read may be wrong; what is missing must have been
 * counted. */
static enum verdict use_store(struct store *s)
{
    struct checked c = {0};
    struct buf out = {0};
    size_t damaged = 0;
    uint64_t n = 0, epoch, version;
    struct node_id id = node_numbered(1000), self = node_numbered(0);
    enum err members = store_members_each(s, check_member, &c, &damaged);
    enum err policy = store_policy_active(s, &out, &epoch, &version);
    bool right = members == ERR_OK && c.wrong == 0 && c.sound + damaged == 270;
    right &= store_number_get(s, "incarnation", &n) == ERR_OK && n == 12;
    right &= store_bind(s, bytes_str("shop.example"), &self) == ERR_OK;
    right &= epoch == 1 && version == 7 && (policy == ERR_DAMAGED || (policy == ERR_OK && out.len == 30000));
    right &= store_member_put(s, &id, bytes_str("new"), 0) == ERR_OK;
    right &= store_number_raise(s, "incarnation", 13) == ERR_OK;
    store_close(s);
    buf_fini(&out);
    if (!right)
        return WRONG;
    return damaged > 0 || policy ? LOST_NAMED : ALL_THERE;
}

/* In a child: the verdict is its exit status; a signal is seen as what it is. */
static enum verdict try_store(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = NULL;
        struct buf why = {0};
        alarm(60);
        enum err e = store_open(&s, folder, NULL, NULL, &why);
        if (e)
            _exit((e == ERR_DAMAGED || e == ERR_FOREIGN) && strstr(buf_str(&why), folder) ? REFUSED : WRONG);
        _exit(use_store(s));
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        print_error("signal %d reached the user of the store\n", WTERMSIG(status));
    assert_true(WIFEXITED(status));
    return (enum verdict)WEXITSTATUS(status);
}

static uint8_t image[1 << 20];
static size_t used_bytes; /* of the file, up to its last page that is not empty */

static void load_image(void)
{
    memset(image, 0, sizeof image);
    int fd = open(in_folder("state.mdb"), O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, image, sizeof image), sizeof image);
    close(fd);
    for (used_bytes = sizeof image; used_bytes > 0 && image[used_bytes - 1] == 0; used_bytes--)
        ;
    used_bytes = (used_bytes + PAGE - 1) / PAGE * PAGE;
    assert_true(used_bytes < sizeof image); /* the part beyond is empty in the file as well */
}

static void put_image(const uint8_t *bytes, size_t file_bytes)
{
    int fd = open(in_folder("state.mdb"), O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, used_bytes), used_bytes);
    assert_int_equal(ftruncate(fd, (off_t)file_bytes), 0);
    close(fd);
}

/* The seven kinds of damage that disks and accidents do. */
static const char *damage(unsigned kind, struct rng *r, uint8_t *b, size_t *file_bytes)
{
    size_t page = rng_below(r, (uint32_t)(used_bytes / PAGE)) * (size_t)PAGE;
    size_t at = rng_below(r, (uint32_t)used_bytes);
    size_t other = rng_below(r, (uint32_t)(used_bytes / PAGE)) * (size_t)PAGE;
    switch (kind) {
    case 0:
        b[at] ^= (uint8_t)(1u << rng_below(r, 8));
        return "one bit flipped";
    case 1:
        for (size_t i = at; i < used_bytes && i < at + 16; i++)
            b[i] = (uint8_t)rng_u64(r);
        return "sixteen bytes overwritten";
    case 2:
        memset(b + page, 0, PAGE);
        return "a page of zeros";
    case 3:
        for (size_t i = 0; i < PAGE; i++)
            b[page + i] = (uint8_t)rng_u64(r);
        return "a page of noise";
    case 4:
        memcpy(b + page, b + other, PAGE);
        return "a page in another's place";
    case 5:
        *file_bytes = at;
        return "truncated";
    default: /* LMDB's own header fields: the bits that lead furthest astray */
        b[page % (2 * PAGE) + rng_below(r, 152)] ^= (uint8_t)(1u << rng_below(r, 8));
        return "a bit of a header flipped";
    }
}

static void no_damage_reaches_the_user_or_goes_unnoticed(void **state)
{
    (void)state;
    static uint8_t bad[sizeof image];
    enum { KINDS = 7, ROUNDS = 24 };
    unsigned tally[4] = {0};
    fill_store();
    load_image();
    for (unsigned i = 0; i < KINDS * ROUNDS; i++) {
        struct rng r = rng_seeded(0x5e8 + i);
        size_t file_bytes = STORE_MAP_MIN;
        memcpy(bad, image, sizeof bad);
        const char *kind = damage(i % KINDS, &r, bad, &file_bytes);
        put_image(bad, file_bytes);
        enum verdict v = try_store();
        if (v == WRONG)
            print_error("round %u (%s): something wrong was read, or lost without a word\n", i, kind);
        assert_int_not_equal(v, WRONG);
        tally[v]++;
    }
    assert_true(tally[REFUSED] > 0 && tally[LOST_NAMED] > 0 && tally[ALL_THERE] > 0);
    put_image(image, STORE_MAP_MIN);
    assert_int_equal(try_store(), ALL_THERE);
}

/* A damaged member is skipped, counted and set aside; the next walk does not meet it again. */
static void a_damaged_member_is_set_aside_once(void **state)
{
    (void)state;
    struct checked c = {0};
    uint8_t space[600], *at;
    size_t damaged = 0;
    fill_store();
    load_image();
    struct bytes record = record_of(100, space);
    at = memmem(image, used_bytes, record.at, record.len);
    assert_non_null(at);
    for (; at; at = memmem(at + 1, used_bytes - (size_t)(at + 1 - image), record.at, record.len))
        at[17] ^= 0x20; /* every copy, the old pages' too */
    put_image(image, STORE_MAP_MIN);
    struct store *s = must_open();
    assert_int_equal(store_members_each(s, check_member, &c, &damaged), ERR_OK);
    assert_true(damaged == 1 && c.wrong == 0 && c.sound == 269);
    assert_int_equal(store_members_each(s, ignore_member, NULL, &damaged), ERR_OK);
    assert_int_equal(damaged, 0);
    store_close(s);
}

static void a_damaged_bundle_keeps_the_floor_and_may_come_again(void **state)
{
    (void)state;
    static uint8_t bundle[5000];
    struct buf out = {0};
    uint64_t epoch, version;
    memset(bundle, 0xb5, sizeof bundle);
    struct store *s = must_open();
    assert_int_equal(store_policy_activate(s, 2, 3, bytes_of(bundle, sizeof bundle), 1), ERR_OK);
    assert_int_equal(next_outcome(s, 1), ERR_OK);
    store_close(s);
    load_image();
    uint8_t *at = memmem(image, used_bytes, bundle, 100);
    assert_non_null(at);
    at[2000] ^= 1;
    put_image(image, STORE_MAP_MIN);
    s = must_open();
    for (int again = 0; again < 2; again++) {
        assert_int_equal(store_policy_active(s, &out, &epoch, &version), ERR_DAMAGED);
        assert_true(out.len == 0 && epoch == 2 && version == 3);
    }
    assert_int_equal(store_policy_activate(s, 2, 2, bytes_of(bundle, 10), 2), ERR_OK);
    assert_int_equal(next_outcome(s, 2), ERR_STALE);
    assert_int_equal(store_policy_activate(s, 2, 3, bytes_of(bundle, sizeof bundle), 3), ERR_OK);
    assert_int_equal(next_outcome(s, 3), ERR_OK);
    assert_int_equal(store_policy_active(s, &out, &epoch, &version), ERR_OK);
    assert_int_equal(out.len, sizeof bundle);
    store_close(s);
    buf_fini(&out);
}

/* S10: LMDB's format number; a state of an older transaction passed off as the newest. */
static void another_format_and_an_older_state_are_refused(void **state)
{
    (void)state;
    fill_store();
    load_image();
    image[20] = 2;
    put_image(image, STORE_MAP_MIN);
    expect_open_refused(ERR_FOREIGN, "format 2");
    image[20] = 1;
    bool first_is_newer = image[16 + 128] > image[PAGE + 16 + 128];
    image[(first_is_newer ? PAGE : 0) + 16 + 128 + 4] = 1; /* the older's transaction number + 2^32 */
    put_image(image, STORE_MAP_MIN);
    expect_open_refused(ERR_DAMAGED, "damaged");
}

/* ---- S17: a copy taken while writing ---- */

static void copy_to(const char *path, unsigned flags)
{
    MDB_env *env;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, in_folder("state.mdb"), MDB_NOSUBDIR | MDB_RDONLY, 0600), 0);
    assert_int_equal(mdb_env_copy2(env, path, flags), 0);
    mdb_env_close(env);
}

/* In another process, as mdb_copy is: LMDB does not allow two openings in one. */
static void copy_while_open(const char *path, unsigned flags)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        copy_to(path, flags);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void a_copy_taken_while_writing_opens_and_belongs_to_its_node(void **state)
{
    (void)state;
    if (UNDER_TSAN)
        skip();
    struct node_id self = node_numbered(0), other = node_numbered(5);
    for (unsigned flags = 0; flags <= MDB_CP_COMPACT; flags += MDB_CP_COMPACT) {
        uint64_t n = 0;
        struct store *s = must_open();
        uint8_t space[600];
        assert_int_equal(store_bind(s, bytes_str("shop.example"), &self), ERR_OK);
        assert_int_equal(store_number_raise(s, "incarnation", 4), ERR_OK);
        for (uint32_t i = 1; i <= 1000; i++) {
            struct node_id id = node_numbered(i);
            assert_int_equal(store_member_put(s, &id, record_of(i, space), 0), ERR_OK);
            if (i == 500)
                copy_while_open(in_folder("copy"), flags);
        }
        store_close(s);
        assert_int_equal(rename(in_folder("copy"), in_folder("state.mdb")), 0);
        s = must_open();
        assert_int_equal(store_bind(s, bytes_str("shop.example"), &other), ERR_FOREIGN);
        assert_int_equal(store_bind(s, bytes_str("shop.example"), &self), ERR_OK);
        assert_int_equal(store_number_get(s, "incarnation", &n), ERR_OK);
        assert_int_equal(n, 4);
        for (uint32_t i = 1; i <= 2000; i++) { /* it grows from whatever length it has */
            struct node_id id = node_numbered(i);
            assert_int_equal(store_member_put(s, &id, record_of(i, space), 0), ERR_OK);
        }
        assert_int_equal(store_number_raise(s, "incarnation", 5), ERR_OK);
        store_close(s);
        store_close(must_open());
        assert_int_equal(unlink(in_folder("state.mdb")), 0);
    }
}

/* ---- S4: the map ---- */

static void a_full_map_grows_to_its_cap_and_then_says_full(void **state)
{
    (void)state;
    enum { CAP = 16 * 1024 * 1024, BIG = 100 * 1024 };
    static uint8_t big[BIG];
    struct store *s = NULL;
    struct buf why = {0};
    size_t damaged, stored = 0;
    uint64_t n = 0;
    assert_int_equal(store_open_capped(&s, folder, CAP, NULL, NULL, &why), ERR_OK);
    enum err e = ERR_OK;
    for (uint32_t i = 1; !e && i < 1000; i++) {
        struct node_id id = node_numbered(i);
        assert_int_equal(store_member_put(s, &id, bytes_of(big, BIG), i), ERR_OK);
        e = next_outcome(s, i);
        stored += e == ERR_OK;
    }
    assert_int_equal(e, ERR_FULL);
    assert_int_equal(store_health(s), ERR_FULL);
    assert_true(stored > 2u * STORE_MAP_MIN / BIG && stored < CAP / BIG); /* it grew, and not beyond */
    assert_int_equal(store_members_each(s, ignore_member, NULL, &damaged), ERR_OK); /* reads go on */
    for (uint32_t i = 1; i <= 10; i++) {
        struct node_id id = node_numbered(i);
        assert_int_equal(store_member_put(s, &id, bytes_str(""), i), ERR_OK);
        assert_int_equal(next_outcome(s, i), ERR_OK);
    }
    assert_int_equal(store_health(s), ERR_OK);
    assert_int_equal(store_number_raise(s, "incarnation", 5), ERR_OK);
    store_close(s);
    s = must_open();
    assert_int_equal(store_number_get(s, "incarnation", &n), ERR_OK);
    assert_int_equal(n, 5);
    store_close(s);
    buf_fini(&why);
}

/* ---- S3: the disk ---- */

/* A file system of 1 MiB of our own, or a limit on file size, which fails a write() in the same way. */
static bool small_disk(bool *is_limit)
{
    *is_limit = false;
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", folder, "tmpfs", 0, "size=1m,mode=0700") == 0)
        return true;
    *is_limit = true;
    signal(SIGXFSZ, SIG_IGN);
    return true;
}

static bool fill_disk(bool is_limit)
{
    static const uint8_t junk[PAGE];
    struct rlimit now = {512 * 1024, RLIM_INFINITY};
    if (is_limit)
        return setrlimit(RLIMIT_FSIZE, &now) == 0;
    int fd = open(in_folder("filler"), O_WRONLY | O_CREAT, 0600);
    while (fd >= 0 && write(fd, junk, sizeof junk) > 0)
        ;
    return fd >= 0 && close(fd) == 0;
}

static bool free_disk(bool is_limit)
{
    struct rlimit now = {RLIM_INFINITY, RLIM_INFINITY};
    return is_limit ? setrlimit(RLIMIT_FSIZE, &now) == 0 : unlink(in_folder("filler")) == 0;
}

/* With a few pages left the disk takes a part of a write: that is a full disk as well, and no broken one. */
static bool is_full_at_every_level(struct store *s, struct bytes big)
{
    struct stat st;
    for (uint32_t pages = 0; pages < 16; pages++) {
        if (stat(in_folder("filler"), &st) || truncate(in_folder("filler"), st.st_size - PAGE) ||
            store_policy_activate(s, 1, 100, big, 40 + pages) || next_outcome(s, 40 + pages) != ERR_FULL)
            return false;
    }
    return true;
}

/* Returns the number of the first step that was not so; 0: all were. In a child, for the namespace and the
 * limit. */
static int fill_the_disk_and_free_it(void)
{
    static uint8_t big[100 * 1024];
    struct store *s = NULL;
    struct buf why = {0};
    bool is_limit;
    uint64_t n = 0, epoch, version;
    struct node_id id = node_numbered(1);
    struct buf out = {0};
    if (!small_disk(&is_limit) || store_open(&s, folder, NULL, NULL, &why) != ERR_OK)
        return 1;
    if (store_number_raise(s, "incarnation", 5) || store_policy_activate(s, 1, 1, bytes_str("first"), 1) ||
        next_outcome(s, 1))
        return 2;
    if (!fill_disk(is_limit))
        return 3;
    for (uint32_t i = 0; i < 8; i++) /* one transaction: a small write in company of large ones */
        if (store_policy_activate(s, 1, 2 + i, bytes_of(big, sizeof big), 10 + i))
            return 4;
    if (store_member_put(s, &id, bytes_of(big, sizeof big), 20))
        return 5;
    bool failed = false;
    for (uint32_t i = 0; i < 9; i++) {
        enum err e = next_outcome(s, i < 8 ? 10 + i : 20);
        if (e != ERR_OK && e != ERR_FULL)
            return 6;
        failed |= e == ERR_FULL;
    }
    if (!failed || store_health(s) != ERR_FULL)
        return 7;
    /* Not half applied: the active bundle is whole, and it is the floor's. */
    if (store_policy_active(s, &out, &epoch, &version) || epoch != 1 ||
        out.len != (version == 1 ? strlen("first") : sizeof big))
        return 8;
    enum err raised = store_number_raise(s, "incarnation", 6);
    if (store_number_get(s, "incarnation", &n) || n != (raised ? 5u : 6u))
        return 9;
    if (!is_limit && !is_full_at_every_level(s, bytes_of(big, sizeof big)))
        return 13;
    if (!free_disk(is_limit))
        return 10;
    if (store_policy_activate(s, 1, 20, bytes_of(big, sizeof big), 30) || next_outcome(s, 30) ||
        store_health(s) != ERR_OK)
        return 11;
    store_close(s);
    if (store_open(&s, folder, NULL, NULL, &why) || store_number_raise(s, "incarnation", 7) ||
        store_policy_active(s, &out, &epoch, &version) || version != 20)
        return 12;
    store_close(s);
    return 0;
}

static void a_full_disk_fails_the_group_and_is_recovered_from(void **state)
{
    (void)state;
    if (UNDER_TSAN)
        skip();
    pid_t pid = fork();
    if (pid == 0)
        _exit(fill_the_disk_and_free_it());
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- S9: cut while in use ---- */

struct cut {
    off_t to;       /* bytes that are left */
    bool is_zeroed; /* instead: its pages are there, and empty */
};

static void cut_file(const struct cut *c)
{
    int fd = open(in_folder("state.mdb"), O_WRONLY | O_CLOEXEC);
    struct stat st;
    bool bad = fd < 0 || fstat(fd, &st) < 0 || ftruncate(fd, c->to) < 0;
    if (bad || (c->is_zeroed && ftruncate(fd, st.st_size) < 0))
        _exit(9);
    close(fd);
}

/* Writes until the cut is met; if it never is, everything that was written must be there. */
static void write_over_a_cut(const struct cut *c)
{
    struct store *s = NULL;
    struct buf why = {0};
    uint8_t space[600];
    if (store_open(&s, folder, NULL, NULL, &why) != ERR_OK)
        _exit(8);
    cut_file(c);
    for (uint32_t i = 1; i <= 300; i++) {
        struct node_id id = node_numbered(i);
        if (store_member_put(s, &id, record_of(i + 1, space), 0) != ERR_OK ||
            store_number_raise(s, "incarnation", 100 + i) != ERR_OK)
            _exit(7); /* LMDB has noticed and says so */
    }
    _exit(6);
}

/* The status of the child that did it, and what it said. */
static int status_of_a_cut(const struct cut *c, char said[2048])
{
    int ends[2], status = -1;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        write_over_a_cut(c);
    }
    close(ends[1]);
    ssize_t n, len = 0;
    while (len < 2047 && (n = read(ends[0], said + len, (size_t)(2047 - len))) > 0)
        len += n;
    said[len] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        fail_msg("cut to %lld: signal %d reached the process", (long long)c->to, WTERMSIG(status));
    return WEXITSTATUS(status);
}

static void S9_cut_while_in_use_it_says_so_and_the_next_start_is_refused(void **state)
{
    static const struct cut cuts[] = {{0, false},        {1, false},        {PAGE, false},
                                      {2 * PAGE, false}, {5 * PAGE, false}, {20 * PAGE + 7, false},
                                      {40 * PAGE, false}};
    (void)state;
    if (UNDER_TSAN)
        skip();
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        char said[2048];
        if (i > 0)
            assert_int_equal(remove(in_folder("state.mdb")), 0);
        fill_store();
        int status = status_of_a_cut(&cuts[i], said);
        if (status != 1)
            print_error("cut to %lld: status %d: %s\n", (long long)cuts[i].to, status, said);
        assert_int_equal(status, 1);
        assert_non_null(strstr(said, in_folder("state.mdb")));
        assert_non_null(strstr(said, "was cut short"));
        struct store *s = NULL;
        struct buf why = {0};
        assert_int_not_equal(store_open(&s, folder, NULL, NULL, &why), ERR_OK);
        assert_non_null(strstr(buf_str(&why), "move it away"));
        buf_fini(&why);
    }
}

/* Emptied pages raise no signal: LMDB finds nonsense, and either says so or gives up. */
static void S9_emptied_while_in_use_no_signal_reaches_the_process(void **state)
{
    (void)state;
    if (UNDER_TSAN)
        skip();
    for (off_t left = 0; left <= 40 * PAGE; left += 4 * PAGE) {
        char said[2048];
        const struct cut c = {left, true};
        if (left > 0)
            assert_int_equal(remove(in_folder("state.mdb")), 0);
        fill_store();
        status_of_a_cut(&c, said);
    }
}

/* ---- S2: kill -9 ---- */

static void tell(int fd, char kind, uint64_t n)
{
    uint8_t m[9] = {(uint8_t)kind};
    store_be64(m + 1, n);
    if (write(fd, m, sizeof m) != (ssize_t)sizeof m)
        _exit(3);
}

/* Writes for ever and tells through the pipe what was acknowledged: i(ncarnation), p(olicy), m(ember). */
static void write_until_killed(int fd)
{
    struct store *s = NULL;
    struct buf why = {0};
    uint64_t n = 0, ticket;
    enum err outcome;
    uint8_t space[600];
    if (store_open(&s, folder, NULL, NULL, &why) || store_number_get(s, "incarnation", &n))
        _exit(2);
    for (;;) {
        n++;
        struct node_id id = node_numbered((uint32_t)n % 200);
        (void)!store_member_put(s, &id, record_of((uint32_t)n % 200, space), n << 2 | 1);
        if (n % 3 == 0)
            (void)!store_policy_activate(s, 1, n, record_of((uint32_t)n % 200, space), n << 2 | 2);
        if (store_number_raise(s, "incarnation", n) == ERR_OK)
            tell(fd, 'i', n);
        while (store_poll_done(s, &ticket, &outcome))
            if (outcome == ERR_OK)
                tell(fd, (ticket & 3) == 1 ? 'm' : 'p', ticket >> 2);
    }
}

static uint8_t member_is_there[200];

static void note_member(void *arg, const struct node_id *id, struct bytes record)
{
    uint8_t space[600];
    uint32_t n = load_be32(id->b + 4);
    (void)arg;
    assert_true(n < 200 && bytes_eq(record, record_of(n, space)));
    member_is_there[n] = 1;
}

struct told {
    uint64_t incarnation, policy;
    uint8_t member[200];
};

static void hear(struct told *t, const uint8_t m[9])
{
    uint64_t n = load_be64(m + 1);
    if (m[0] == 'i')
        t->incarnation = n;
    else if (m[0] == 'p')
        t->policy = n;
    else
        t->member[n % 200] = 1;
}

/* Kills it after so many acknowledgements; where in its work it is then, varies by itself. */
static void listen_and_kill(struct told *t, unsigned after)
{
    int ends[2];
    uint8_t m[9];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        write_until_killed(ends[1]);
    }
    close(ends[1]);
    while (after-- > 0 && read(ends[0], m, sizeof m) == (ssize_t)sizeof m)
        hear(t, m);
    kill(pid, SIGKILL);
    while (read(ends[0], m, sizeof m) == (ssize_t)sizeof m)
        hear(t, m);
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void kill_9_loses_nothing_that_was_acknowledged(void **state)
{
    (void)state;
    if (UNDER_TSAN)
        skip();
    struct told told = {0};
    struct rng r = rng_seeded(0x529);
    for (int loop = 0; loop < 30; loop++) {
        uint64_t n = 0, epoch = 0, version = 0;
        size_t damaged = 0;
        struct buf out = {0};
        listen_and_kill(&told, 8 + (unsigned)rng_below(&r, 40));
        struct store *s = must_open();
        assert_int_equal(store_number_get(s, "incarnation", &n), ERR_OK);
        assert_true(n >= told.incarnation);
        assert_int_equal(store_policy_active(s, &out, &epoch, &version), ERR_OK);
        assert_true(version >= told.policy);
        memset(member_is_there, 0, sizeof member_is_there);
        assert_int_equal(store_members_each(s, note_member, NULL, &damaged), ERR_OK);
        assert_int_equal(damaged, 0);
        for (int i = 0; i < 200; i++)
            assert_true(member_is_there[i] >= told.member[i]);
        store_close(s);
        buf_fini(&out);
    }
    assert_true(told.incarnation > 30 && told.policy > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_CASE(no_damage_reaches_the_user_or_goes_unnoticed),
        FOLDER_CASE(a_damaged_member_is_set_aside_once),
        FOLDER_CASE(a_damaged_bundle_keeps_the_floor_and_may_come_again),
        FOLDER_CASE(another_format_and_an_older_state_are_refused),
        FOLDER_CASE(a_copy_taken_while_writing_opens_and_belongs_to_its_node),
        FOLDER_CASE(a_full_map_grows_to_its_cap_and_then_says_full),
        FOLDER_CASE(a_full_disk_fails_the_group_and_is_recovered_from),
        FOLDER_CASE(S9_cut_while_in_use_it_says_so_and_the_next_start_is_refused),
        FOLDER_CASE(S9_emptied_while_in_use_no_signal_reaches_the_process),
        FOLDER_CASE(kill_9_loses_nothing_that_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
