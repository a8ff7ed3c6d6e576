/* Walks the whole state file in a child process before this one maps it. LMDB trusts what it finds on a page:
 * damage makes it abort(), fault, or run in a circle. In the child that costs nothing; here it would be a
 * crash loop of the agent.
 *
 * The child looks at the structure of all pages (pages.h); then, with LMDB, at every key and value of every
 * database (order, checksums), and that a write transaction can take free pages. Damaged members and bundles
 * are no reason to refuse: they are found again by their checksum when read, and set aside.
 *
 * It answers through a pipe: one byte of enum err, then words for `why`. */
#include "store/env.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/file.h"
#include "store/pages.h"
#include "store/store.h"

enum {
    PROBE_SECONDS_MAX = 120, /* a walk that takes longer goes in a circle */
    ANSWER_MAX = 512,        /* bytes of the child's answer */
    TRIAL_BYTES = 64 * 1024, /* written and undone, so that free pages are asked for */
};

struct answer {
    enum err e;
    char text[ANSWER_MAX];
};

static struct answer say(enum err e, const char *what, const char *where)
{
    struct answer a = {.e = e};
    snprintf(a.text, sizeof a.text, "%s%s%s", what, *where ? " " : "", where);
    return a;
}

/* ---- in the child ---- */

/* May a value of this database be lost without harm? */
static bool is_replaceable(enum table t)
{
    return t == TABLE_MEMBERS || t == TABLE_BUNDLES || t == TABLE_ASIDE;
}

static struct answer walk_table(MDB_txn *txn, const MDB_dbi *dbi, enum table t)
{
    MDB_cursor *c;
    MDB_stat stat;
    MDB_val k, v, before = {0};
    if (mdb_stat(txn, dbi[t], &stat) || mdb_cursor_open(txn, dbi[t], &c))
        return say(ERR_DAMAGED, "cannot read database", table_name(t));
    size_t seen = 0;
    int rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
        struct bytes value, key = bytes_of_val(k);
        bool ordered = seen == 0 || mdb_cmp(txn, dbi[t], &before, &k) < 0;
        if (!ordered || ++seen > stat.ms_entries)
            return say(ERR_DAMAGED, "keys are out of order in database", table_name(t));
        /* Checked for replaceable ones as well: every page has to be touched. */
        if (!value_open(t, key, bytes_of_val(v), &value) && !is_replaceable(t))
            return say(ERR_DAMAGED, "a value does not match its checksum in database", table_name(t));
        before = k;
    }
    if (rc != MDB_NOTFOUND || seen != stat.ms_entries)
        return say(ERR_DAMAGED, "entries are missing from database", table_name(t));
    mdb_cursor_close(c);
    return say(ERR_OK, "", "");
}

/* The schema is asked first: a file of another schema may have other databases, and is not damaged for it. */
static struct answer check_schema(MDB_txn *txn)
{
    MDB_dbi dbi[TABLES] = {0};
    struct bytes v = {0};
    if (mdb_dbi_open(txn, table_name(TABLE_META), 0, &dbi[TABLE_META]) ||
        table_get(txn, dbi, TABLE_META, bytes_str("schema"), &v) || v.len != 8)
        return say(ERR_DAMAGED, "it holds no readable schema version", "");
    struct answer a = say(ERR_OK, "", "");
    if (load_be64(v.at) != STORE_SCHEMA) {
        a.e = ERR_FOREIGN;
        snprintf(a.text, sizeof a.text, "schema %llu, while this program reads schema %d",
                 (unsigned long long)load_be64(v.at), STORE_SCHEMA);
    }
    return a;
}

/* Each commit notes its own number. If damage to a header makes an older transaction look like the newest,
 * the numbers differ. (A compacted copy begins again at 1.) */
static struct answer check_newest(MDB_txn *txn, const MDB_dbi *dbi)
{
    struct bytes v = {0};
    size_t now = mdb_txn_id(txn);
    if (table_get(txn, dbi, TABLE_META, bytes_str("txn"), &v) || v.len != 8)
        return say(ERR_DAMAGED, "it does not say which transaction was the last", "");
    if (load_be64(v.at) != now && now != 1)
        return say(ERR_DAMAGED, "its header points to an older state than the newest", "");
    return say(ERR_OK, "", "");
}

static struct answer walk_all(MDB_txn *txn, MDB_dbi dbi[TABLES])
{
    struct answer a = check_schema(txn);
    if (a.e)
        return a;
    if (tables_open(txn, dbi, false))
        return say(ERR_DAMAGED, "a database is missing", "");
    a = check_newest(txn, dbi);
    for (unsigned t = 0; t < TABLES && !a.e; t++)
        a = walk_table(txn, dbi, (enum table)t);
    return a;
}

static struct answer try_to_write(MDB_env *env, const MDB_dbi *dbi)
{
    static uint8_t filler[TRIAL_BYTES];
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (!rc) {
        rc = table_put(txn, dbi, TABLE_ASIDE, bytes_str("trial"), bytes_of(filler, sizeof filler));
        mdb_txn_abort(txn);
    }
    return rc == 0 || rc == MDB_MAP_FULL ? say(ERR_OK, "", "") : say(ERR_DAMAGED, mdb_strerror(rc), "");
}

/* With our own eyes first (pages.h). */
static struct answer look_at_pages(const char *file, size_t file_bytes)
{
    int fd = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    void *image = fd < 0 ? MAP_FAILED : mmap(NULL, file_bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (image == MAP_FAILED)
        return say(file_err(errno), strerror(errno), "");
    const char *flaw = pages_flaw(bytes_of(image, file_bytes));
    munmap(image, file_bytes);
    close(fd);
    return say(flaw ? ERR_DAMAGED : ERR_OK, flaw ? flaw : "", "");
}

static struct answer look_with_lmdb(const char *file, size_t file_bytes)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[TABLES];
    if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, TABLES) || mdb_env_set_mapsize(env, file_bytes))
        return say(ERR_NOMEM, "no memory to look at it", "");
    int rc = mdb_env_open(env, file, MDB_NOSUBDIR, 0600);
    if (!rc)
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return say(env_err(rc), mdb_strerror(rc), "");
    struct answer a = walk_all(txn, dbi);
    if (a.e)
        return a;
    if ((rc = mdb_txn_commit(txn)) != 0) /* keeps the database handles */
        return say(env_err(rc), mdb_strerror(rc), "");
    a = try_to_write(env, dbi);
    mdb_env_close(env);
    return a;
}

/* Whatever handlers and descriptors the agent has are not for the child: above all not the folder's lock, which
 * would outlive an agent that is killed just now. No core files, no words of LMDB's on the terminal. */
static void become_probe(int answer)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM, SIGTERM, SIGINT};
    struct rlimit none = {0, 0};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    close_range(STDERR_FILENO + 1, (unsigned)answer - 1, 0);
    close_range((unsigned)answer + 1, UINT_MAX, 0);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDERR_FILENO);
    alarm(PROBE_SECONDS_MAX);
}

static _Noreturn void child(int to, const char *file, size_t file_bytes)
{
    become_probe(to);
    struct answer a = look_at_pages(file, file_bytes);
    if (!a.e)
        a = look_with_lmdb(file, file_bytes);
    uint8_t first = (uint8_t)a.e;
    bool told = write(to, &first, 1) == 1 && write(to, a.text, strlen(a.text)) >= 0;
    _exit(told ? 0 : 1);
}

/* ---- here ---- */

static size_t read_answer(int from, char *to, size_t max)
{
    size_t got = 0;
    while (got < max) {
        ssize_t n = read(from, to + got, max - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}

static enum err judge(const char *file, int status, const char *answer, size_t len, struct buf *why)
{
    enum err e = len > 0 ? (enum err)(uint8_t)answer[0] : ERR_DAMAGED;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        e = ERR_DAMAGED;
    if (e == ERR_OK)
        return ERR_OK;
    const char *what = WIFEXITED(status) && len > 1 ? answer + 1 : "reading it fails";
    if (e == ERR_FOREIGN)
        buf_addf(why, "%s has %s: start the version of the program that wrote it", file, what);
    else if (e == ERR_DAMAGED)
        return guard_damaged(file, what, why);
    else
        buf_addf(why, "cannot read %s: %s", file, what);
    return e;
}

enum err probe_walk(const char *file, size_t file_bytes, struct buf *why)
{
    int ends[2], status = -1;
    char answer[ANSWER_MAX + 1];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        buf_addf(why, "cannot look at %s: pipe: %s", file, strerror(errno));
        return ERR_IO;
    }
    pid_t pid = fork();
    if (pid == 0)
        child(ends[1], file, file_bytes);
    close(ends[1]);
    size_t len = pid > 0 ? read_answer(ends[0], answer, ANSWER_MAX) : 0;
    answer[len] = 0;
    close(ends[0]);
    if (pid < 0) {
        buf_addf(why, "cannot look at %s: fork: %s", file, strerror(errno));
        return ERR_IO;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno !=
            EINTR) { /* SIGCHLD is ignored and the kernel has reaped it: its answer alone has to do */
            status = 0;
            break;
        }
    return judge(file, status, answer, len, why);
}
