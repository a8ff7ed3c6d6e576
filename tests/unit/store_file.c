/* Small files: what is refused to be read, and that a write is all or nothing. ADVERSARY N32, B19. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/file.h"

static char dir[64];

static const char *in(const char *name)
{
    static char path[2][400];
    static int turn;
    char *p = path[turn ^= 1];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/starling-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove(in(e->d_name));
    closedir(d);
    return rmdir(dir);
}

static size_t files_in_dir(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void expect_refused(const char *path, size_t max, enum err expected)
{
    struct buf out = {0}, why = {0};
    buf_add_str(&out, "kept");
    assert_int_equal(file_read_secret(&out, path, max, &why), expected);
    assert_true(bytes_eq_str(buf_bytes(&out), "kept"));
    assert_non_null(strstr(buf_str(&why), dir)); /* the message names the file */
    buf_fini(&out);
    buf_fini(&why);
}

static void a_file_comes_back_as_it_was_written(void **state)
{
    (void)state;
    struct buf out = {0};
    struct stat st;
    assert_int_equal(file_write(in("key"), bytes_of("a\0b\n", 4), 0600, false, NULL), ERR_OK);
    assert_int_equal(file_read_secret(&out, in("key"), 4, NULL), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&out), bytes_of("a\0b\n", 4)));
    assert_int_equal(stat(in("key"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(files_in_dir(), 1);
    buf_fini(&out);
}

static void an_existing_file_is_replaced_only_when_asked(void **state)
{
    (void)state;
    struct buf out = {0}, why = {0};
    assert_int_equal(file_write(in("root"), bytes_str("one"), 0644, false, NULL), ERR_OK);
    assert_int_equal(file_write(in("root"), bytes_str("two"), 0644, false, &why), ERR_EXISTS);
    assert_non_null(strstr(buf_str(&why), "exists already"));
    assert_int_equal(file_write(in("root"), bytes_str("three"), 0644, true, NULL), ERR_OK);
    assert_int_equal(file_read(&out, in("root"), 100, NULL), ERR_OK);
    assert_true(bytes_eq_str(buf_bytes(&out), "three"));
    assert_int_equal(files_in_dir(), 1);
    buf_fini(&out);
    buf_fini(&why);
}

/* N32, B19: symlink, FIFO, directory, device, open permissions, too large. */
static void what_is_not_a_private_regular_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(file_write(in("open"), bytes_str("x"), 0644, false, NULL), ERR_OK);
    assert_int_equal(file_write(in("good"), bytes_str("x"), 0600, false, NULL), ERR_OK);
    assert_int_equal(symlink(in("good"), in("link")), 0);
    assert_int_equal(mkfifo(in("fifo"), 0600), 0);
    expect_refused(in("open"), 10, ERR_DENIED);
    expect_refused(in("link"), 10, ERR_INVALID);
    expect_refused(in("fifo"), 10, ERR_INVALID);
    expect_refused(in("good"), 0, ERR_LIMIT);
    expect_refused(in("none"), 10, ERR_NOT_FOUND);
    expect_refused(in("."), 10, ERR_INVALID);
    struct buf out = {0};
    assert_int_equal(file_read(&out, "/dev/zero", 10, NULL), ERR_INVALID);
    buf_fini(&out);
}

static void a_huge_sparse_file_is_refused_without_being_read(void **state)
{
    (void)state;
    assert_int_equal(file_write(in("huge"), bytes_str(""), 0600, false, NULL), ERR_OK);
    assert_int_equal(truncate(in("huge"), (off_t)10 << 30), 0);
    expect_refused(in("huge"), 4096, ERR_LIMIT);
}

/* The limit on file size fails write() half way, like a full disk does; in a child, because it cannot be
 * raised again. */
static void a_write_that_does_not_fit_leaves_the_old_file(void **state)
{
    (void)state;
    assert_int_equal(file_write(in("state"), bytes_str("old"), 0600, false, NULL), ERR_OK);
    pid_t child = fork();
    if (child == 0) {
        static uint8_t big[8192];
        struct rlimit small = {4096, 4096};
        signal(SIGXFSZ, SIG_IGN);
        bool limited = setrlimit(RLIMIT_FSIZE, &small) == 0;
        enum err e = file_write(in("state"), bytes_of(big, sizeof big), 0600, true, NULL);
        _exit(limited && e == ERR_FULL ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct buf out = {0};
    assert_int_equal(file_read(&out, in("state"), 100, NULL), ERR_OK);
    assert_true(bytes_eq_str(buf_bytes(&out), "old"));
    assert_int_equal(files_in_dir(), 1);
    buf_fini(&out);
}

static void a_folder_that_does_not_exist_is_named(void **state)
{
    (void)state;
    struct buf why = {0};
    assert_int_equal(file_write(in("no/such"), bytes_str("x"), 0600, false, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(buf_str(&why), "no/such"));
    buf_fini(&why);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        CASE(a_file_comes_back_as_it_was_written),
        CASE(an_existing_file_is_replaced_only_when_asked),
        CASE(what_is_not_a_private_regular_file_is_refused),
        CASE(a_huge_sparse_file_is_refused_without_being_read),
        CASE(a_write_that_does_not_fit_leaves_the_old_file),
        CASE(a_folder_that_does_not_exist_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
