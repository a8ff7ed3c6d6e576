/* What the store promises while nothing goes wrong: numbers only rise, the floor never falls, members and
 * policy come back, writes are confirmed in order, one process per folder. ADVERSARY S10, S11, S12, B7. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tests/unit/store_folder.h"

struct seen {
    size_t count;
    struct node_id last;
    uint8_t record[64];
    size_t record_len;
};

static void see(void *arg, const struct node_id *id, struct bytes record)
{
    struct seen *s = arg;
    s->count++;
    s->last = *id;
    assert_true(record.len <= sizeof s->record);
    memcpy(s->record, record.at, record.len);
    s->record_len = record.len;
}

static struct seen members_of(struct store *s)
{
    struct seen seen = {0};
    size_t damaged = 99;
    assert_int_equal(store_members_each(s, see, &seen, &damaged), ERR_OK);
    assert_int_equal(damaged, 0);
    return seen;
}

struct revoked_seen {
    size_t count;
    uint64_t sum;
};

static void see_revoked(void *arg, const struct node_id *key, uint64_t since)
{
    struct revoked_seen *seen = arg;
    seen->count++;
    seen->sum += since * key->b[0];
}

static struct revoked_seen revoked_of(struct store *s)
{
    struct revoked_seen seen = {0};
    assert_int_equal(store_revoked_each(s, see_revoked, &seen), ERR_OK);
    return seen;
}

static void revoked_keys_are_kept_until_they_are_deleted(void **state)
{
    (void)state;
    struct store *s = must_open();
    struct node_id a = {{1}}, b = {{2}};
    assert_int_equal(revoked_of(s).count, 0);
    assert_int_equal(store_number_raise(s, "a", 1), ERR_OK); /* neighbours in the same database */
    assert_int_equal(store_number_raise(s, "udp_timestamp", 1), ERR_OK);
    assert_int_equal(store_revoked_put(s, &a, 1000, 0), ERR_OK);
    assert_int_equal(store_revoked_put(s, &b, 10, 0), ERR_OK);
    store_close(s);
    s = must_open();
    assert_int_equal(revoked_of(s).count, 2);
    assert_int_equal(revoked_of(s).sum, 1020);
    assert_int_equal(store_revoked_put(s, &a, 0, 0), ERR_OK);
    assert_int_equal(store_revoked_put(s, &a, 0, 0), ERR_OK);
    store_close(s);
    s = must_open();
    assert_int_equal(revoked_of(s).sum, 20);
    store_close(s);
}

static void numbers_only_rise_and_survive(void **state)
{
    (void)state;
    struct store *s = must_open();
    uint64_t n = 99;
    assert_int_equal(store_number_get(s, "incarnation", &n), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(store_number_raise(s, "incarnation", 7), ERR_OK);
    assert_int_equal(store_number_raise(s, "incarnation", 7), ERR_OK); /* it is what it is: durable already */
    assert_int_equal(store_number_raise(s, "incarnation", 6), ERR_STALE);
    assert_int_equal(store_number_raise(s, "udp_timestamp", UINT64_MAX), ERR_OK);
    store_close(s);
    s = must_open();
    assert_int_equal(store_number_get(s, "incarnation", &n), ERR_OK);
    assert_int_equal(n, 7);
    assert_int_equal(store_number_get(s, "udp_timestamp", &n), ERR_OK);
    assert_true(n == UINT64_MAX);
    assert_int_equal(store_number_raise(s, "udp_timestamp", 0), ERR_STALE);
    store_close(s);
}

static void a_queued_number_is_confirmed_or_refused(void **state)
{
    (void)state;
    struct store *s = must_open();
    uint64_t n;
    assert_int_equal(store_number_raise_queued(s, "incarnation", 5, 1), ERR_OK);
    assert_int_equal(store_number_raise_queued(s, "incarnation", 4, 2), ERR_OK);
    assert_int_equal(store_number_raise_queued(s, "incarnation", 9, 3), ERR_OK);
    assert_int_equal(next_outcome(s, 1), ERR_OK);
    assert_int_equal(next_outcome(s, 2), ERR_STALE);
    assert_int_equal(next_outcome(s, 3), ERR_OK);
    assert_int_equal(store_number_get(s, "incarnation", &n), ERR_OK);
    assert_int_equal(n, 9);
    store_close(s);
}

static void members_are_put_replaced_and_deleted(void **state)
{
    (void)state;
    struct store *s = must_open();
    struct node_id a = node_numbered(1), b = node_numbered(2);
    assert_int_equal(store_member_put(s, &a, bytes_str("old record of a"), 0), ERR_OK);
    assert_int_equal(store_member_put(s, &b, bytes_str("record of b"), 0), ERR_OK);
    assert_int_equal(store_member_put(s, &a, bytes_str("record of a"), 0), ERR_OK);
    assert_int_equal(store_member_put(s, &b, bytes_str(""), 42), ERR_OK);
    assert_int_equal(next_outcome(s, 42), ERR_OK);
    store_close(s);
    s = must_open();
    struct seen seen = members_of(s);
    assert_int_equal(seen.count, 1);
    assert_true(node_id_eq(&seen.last, &a));
    assert_true(bytes_eq_str(bytes_of(seen.record, seen.record_len), "record of a"));
    store_close(s);
}

static void confirmations_come_in_order_and_closing_writes_the_rest(void **state)
{
    (void)state;
    struct store *s = must_open();
    for (uint32_t i = 1; i <= 1000; i++) {
        struct node_id id = node_numbered(i);
        assert_int_equal(store_member_put(s, &id, bytes_str("record"), i), ERR_OK);
    }
    for (uint32_t i = 1; i <= 500; i++)
        assert_int_equal(next_outcome(s, i), ERR_OK);
    store_close(s);
    s = must_open();
    assert_int_equal(members_of(s).count, 1000);
    store_close(s);
}

static void the_queue_is_bounded_and_says_so(void **state)
{
    (void)state;
    struct store *s = must_open();
    struct node_id id = node_numbered(1);
    enum err e = ERR_OK;
    uint32_t n = 0;
    while (!e && n <= STORE_QUEUE_MAX)
        e = store_member_put(s, &id, bytes_str("record"), ++n);
    assert_int_equal(e, ERR_FULL); /* nobody polled: written ones count until they are confirmed */
    assert_int_equal(n, STORE_QUEUE_MAX + 1);
    for (uint32_t i = 1; i < n; i++)
        assert_int_equal(next_outcome(s, i), ERR_OK);
    assert_int_equal(store_member_put(s, &id, bytes_str("record"), 1), ERR_OK);
    assert_int_equal(next_outcome(s, 1), ERR_OK);
    store_close(s);
}

/* B7: the floor never falls, not by an older activation and not over a restart. */
static void the_policy_floor_never_falls(void **state)
{
    (void)state;
    struct store *s = must_open();
    struct buf out = {0};
    uint64_t epoch = 9, version = 9;
    assert_int_equal(store_policy_active(s, &out, &epoch, &version), ERR_OK);
    assert_true(out.len == 0 && epoch == 0 && version == 0);
    assert_int_equal(store_policy_activate(s, 1, 5, bytes_str("policy 5"), 1), ERR_OK);
    assert_int_equal(store_policy_activate(s, 1, 4, bytes_str("policy 4"), 2), ERR_OK);
    assert_int_equal(store_policy_activate(s, 0, 900, bytes_str("policy 900"), 3), ERR_OK);
    assert_int_equal(store_policy_activate(s, 1, 5, bytes_str("policy 5 again"), 4), ERR_OK);
    assert_int_equal(next_outcome(s, 1), ERR_OK);
    assert_int_equal(next_outcome(s, 2), ERR_STALE);
    assert_int_equal(next_outcome(s, 3), ERR_STALE);
    assert_int_equal(next_outcome(s, 4), ERR_OK);
    store_close(s);
    s = must_open();
    assert_int_equal(store_policy_activate(s, 1, 4, bytes_str("policy 4"), 5), ERR_OK);
    assert_int_equal(next_outcome(s, 5), ERR_STALE);
    assert_int_equal(store_policy_active(s, &out, &epoch, &version), ERR_OK);
    assert_true(bytes_eq_str(buf_bytes(&out), "policy 5 again"));
    assert_true(epoch == 1 && version == 5);
    buf_fini(&out);
    store_close(s);
}

static void the_history_is_trimmed_but_the_active_one_stays(void **state)
{
    (void)state;
    struct store *s = must_open();
    static uint8_t
        bundle[200 * 1024]; /* 300 of them would not fit the first map: what is trimmed is used again */
    struct buf out = {0};
    uint64_t epoch, version;
    for (uint32_t v = 1; v <= 300; v++) {
        store_be32(bundle, v);
        assert_int_equal(store_policy_activate(s, 1, v, bytes_of(bundle, sizeof bundle), v), ERR_OK);
        assert_int_equal(next_outcome(s, v), ERR_OK);
    }
    assert_int_equal(store_policy_active(s, &out, &epoch, &version), ERR_OK);
    assert_int_equal(version, 300);
    assert_int_equal(load_be32(out.at), 300);
    store_close(s);
    struct stat st;
    assert_int_equal(stat(in_folder("state.mdb"), &st), 0);
    assert_true((size_t)st.st_size <= 2u * STORE_POLICY_HISTORY * sizeof bundle);
    buf_fini(&out);
}

static void another_mesh_or_node_is_refused(void **state)
{
    (void)state;
    struct store *s = must_open();
    struct node_id a = node_numbered(1), b = node_numbered(2);
    bool is_bound = true;
    assert_int_equal(store_is_bound(s, &is_bound), ERR_OK);
    assert_false(is_bound);
    assert_int_equal(store_bind(s, bytes_str("shop.example"), &a), ERR_OK);
    assert_int_equal(store_bind(s, bytes_str("shop.example"), &a), ERR_OK);
    store_close(s);
    s = must_open();
    assert_int_equal(store_is_bound(s, &is_bound), ERR_OK);
    assert_true(is_bound);
    assert_int_equal(store_bind(s, bytes_str("shop.example"), &b), ERR_FOREIGN);
    assert_int_equal(store_bind(s, bytes_str("other.example"), &a), ERR_FOREIGN);
    assert_int_equal(store_bind(s, bytes_str("shop.example"), &a), ERR_OK);
    store_close(s);
}

/* S11 */
static void a_second_process_is_refused_by_name_of_the_first(void **state)
{
    (void)state;
    char words[64];
    struct store *s = must_open();
    snprintf(words, sizeof words, "process %ld", (long)getpid());
    expect_open_refused(ERR_EXISTS, words);
    store_close(s);
    store_close(must_open());
}

/* S12 */
static void a_folder_open_to_others_is_refused(void **state)
{
    (void)state;
    assert_int_equal(chmod(folder, 0777), 0);
    expect_open_refused(ERR_DENIED, "chmod 700");
    assert_int_equal(chmod(folder, 0750), 0);
    expect_open_refused(ERR_DENIED, "chmod 700");
    assert_int_equal(chmod(folder, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(folder, 12345, (gid_t)-1), 0);
        expect_open_refused(ERR_DENIED, "belongs to user 12345");
        assert_int_equal(chown(folder, 0, (gid_t)-1), 0);
    }
    store_close(must_open());
}

/* S12: a read-only file system, in a mount namespace of a child; where that is not allowed, a folder without
 * write permission. */
static int open_read_only(void)
{
    struct store *s;
    struct buf why = {0};
    if (unshare(CLONE_NEWNS) == 0) {
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount(folder, folder, NULL, MS_BIND, NULL) ||
            mount(NULL, folder, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL))
            return 2;
    } else if (geteuid() == 0 || chmod(folder, 0500)) {
        return 2;
    }
    enum err e = store_open(&s, folder, NULL, NULL, &why);
    bool is_told = strstr(buf_str(&why), "lock") != NULL;
    buf_fini(&why);
    return e == ERR_DENIED && is_told ? 0 : 1;
}

static void a_read_only_folder_is_refused(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(open_read_only());
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    chmod(folder, 0700);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        skip();
    assert_int_equal(status, 0);
}

/* S10: whatever is in the file's place is refused and left alone. */
static void what_is_not_a_state_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("state.mdb"), 0700), 0);
    expect_open_refused(ERR_INVALID, "not a regular file");
    assert_int_equal(rmdir(in_folder("state.mdb")), 0);
    assert_int_equal(mkfifo(in_folder("state.mdb"), 0600), 0);
    expect_open_refused(ERR_INVALID, "not a regular file");
    assert_int_equal(unlink(in_folder("state.mdb")), 0);
    assert_int_equal(symlink("/etc/passwd", in_folder("state.mdb")), 0);
    expect_open_refused(ERR_INVALID, "symbolic link");
    assert_int_equal(unlink(in_folder("state.mdb")), 0);
    FILE *f = fopen(in_folder("state.mdb"), "w");
    assert_non_null(f);
    fclose(f);
    expect_open_refused(ERR_DAMAGED, "empty");
    struct stat st;
    assert_int_equal(stat(in_folder("state.mdb"), &st), 0);
    assert_int_equal(st.st_size, 0); /* not filled in its place */
}

/* S10: LMDB's lock file missing, or full of something else, is put in order; a folder in its place is
 * refused. */
static void a_foreign_lock_file_does_not_matter(void **state)
{
    (void)state;
    struct store *s = must_open();
    assert_int_equal(store_number_raise(s, "incarnation", 3), ERR_OK);
    store_close(s);
    FILE *f = fopen(in_folder("state.mdb-lock"), "w");
    assert_non_null(f);
    for (int i = 0; i < 5000; i++)
        fputc('x', f);
    fclose(f);
    store_close(must_open());
    assert_int_equal(unlink(in_folder("state.mdb-lock")), 0);
    s = must_open();
    uint64_t n = 0;
    assert_int_equal(store_number_get(s, "incarnation", &n), ERR_OK);
    assert_int_equal(n, 3);
    store_close(s);
    assert_int_equal(unlink(in_folder("state.mdb-lock")), 0);
    assert_int_equal(mkdir(in_folder("state.mdb-lock"), 0700), 0);
    expect_open_refused(ERR_INVALID, "state.mdb-lock");
    assert_int_equal(rmdir(in_folder("state.mdb-lock")), 0);
}

/* A power cut in the first creation leaves only the file beside, which the next start replaces. */
static void a_creation_that_was_cut_short_is_begun_again(void **state)
{
    (void)state;
    FILE *f = fopen(in_folder("state.mdb.new"), "w");
    assert_non_null(f);
    fputs("half of a page", f);
    fclose(f);
    store_close(must_open());
    assert_int_equal(access(in_folder("state.mdb.new"), F_OK), -1);
    assert_int_equal(access(in_folder("state.mdb.new-lock"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_CASE(numbers_only_rise_and_survive),
        FOLDER_CASE(revoked_keys_are_kept_until_they_are_deleted),
        FOLDER_CASE(a_queued_number_is_confirmed_or_refused),
        FOLDER_CASE(members_are_put_replaced_and_deleted),
        FOLDER_CASE(confirmations_come_in_order_and_closing_writes_the_rest),
        FOLDER_CASE(the_queue_is_bounded_and_says_so),
        FOLDER_CASE(the_policy_floor_never_falls),
        FOLDER_CASE(the_history_is_trimmed_but_the_active_one_stays),
        FOLDER_CASE(another_mesh_or_node_is_refused),
        FOLDER_CASE(a_second_process_is_refused_by_name_of_the_first),
        FOLDER_CASE(a_folder_open_to_others_is_refused),
        FOLDER_CASE(a_read_only_folder_is_refused),
        FOLDER_CASE(what_is_not_a_state_file_is_refused),
        FOLDER_CASE(a_foreign_lock_file_does_not_matter),
        FOLDER_CASE(a_creation_that_was_cut_short_is_begun_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
