/* `starling policy` offline, as typed: exit statuses, what is written, what is refused. Keys and files live
 * in a folder of their own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "trust/sign.h"

#define GOOD(version)                                                                                        \
    "policy: v1\nmesh: shop.example\nversion: " version "\nservices: {cart: {protocol: http}}\n"

static char folder[] = "/tmp/starling-cli-policy-XXXXXX";
static struct buf said, complained; /* what the last command printed, and to stderr */

static const char *put(const char *name, const char *text)
{
    static char path[4][128];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    FILE *f = fopen(p, "wb");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    return p;
}

static bool exists(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void slurp(int fd, int saved, FILE *stream, struct buf *out)
{
    char chunk[4096];
    ssize_t n;
    fflush(stream);
    dup2(saved, fileno(stream));
    close(saved);
    out->len = 0;
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        buf_add(out, chunk, (size_t)n);
    close(fd);
}

static int redirect(FILE *stream, int *saved)
{
    char path[] = "/tmp/starling-cli-out-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    fflush(stream);
    *saved = dup(fileno(stream));
    dup2(fd, fileno(stream));
    return fd;
}

/* Runs with the words given, NULL at the end; "@/x" means x in our folder. */
static int run(int (*command)(int, char **), ...)
{
    static char words[20][160];
    char *argv[21];
    int argc = 0, saved_out, saved_err;
    const char *word;
    va_list ap;
    va_start(ap, command);
    while ((word = va_arg(ap, const char *))) {
        bool ours = strncmp(word, "@/", 2) == 0;
        snprintf(words[argc], sizeof words[0], "%s%s", ours ? folder : "", ours ? word + 1 : word);
        argv[argc] = words[argc];
        argc++;
    }
    va_end(ap);
    argv[argc] = NULL;
    int out = redirect(stdout, &saved_out), err = redirect(stderr, &saved_err);
    int status = command(argc, argv);
    slurp(out, saved_out, stdout, &said);
    slurp(err, saved_err, stderr, &complained);
    return status;
}
#define POLICY(...) run(cli_policy, "policy", __VA_ARGS__, (const char *)NULL)

static void expect_said(const char *part)
{
    if (!strstr(buf_str(&said), part))
        fail_msg("\"%s\" is not in:\n%s", part, buf_str(&said));
}

static void expect_complained(const char *part)
{
    if (!strstr(buf_str(&complained), part))
        fail_msg("\"%s\" is not in:\n%s", part, buf_str(&complained));
}

static int setup(void **state)
{
    (void)state;
    if (trust_init() != ERR_OK || !mkdtemp(folder))
        return -1;
    return run(cli_mesh, "mesh", "init", "--name", "shop.example", "--dir", "@/ca", (const char *)NULL) ||
           run(cli_mesh, "mesh", "init", "--name", "shop.example", "--dir", "@/other", (const char *)NULL);
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    buf_fini(&said);
    buf_fini(&complained);
    return system(command); /* NOLINT(cert-env33-c): our own folder, name made by mkdtemp */
}

static void check_shows_the_line_and_a_caret(void **state)
{
    (void)state;
    put("good.yaml", GOOD("1"));
    put("bad.yaml", "policy: v1\nmesh: shop.example\nversion: 1\nservises: {}\n");
    assert_int_equal(POLICY("check", "@/good.yaml"), EXIT_GOOD);
    expect_said("good.yaml: mesh shop.example, version 1, 1 service, 1 warning: good\n");
    assert_int_equal(POLICY("check", "@/good.yaml", "@/bad.yaml"), EXIT_REFUSED);
    expect_complained(
        "bad.yaml:4:1: unknown key `servises`; did you mean `services`?\n    servises: {}\n    ^\n");
    assert_int_equal(POLICY("check", "@/nosuch.yaml"), EXIT_REFUSED);
    expect_complained("nosuch.yaml");
}

static void usage_is_two(void **state)
{
    (void)state;
    assert_int_equal(run(cli_policy, "policy", (const char *)NULL), EXIT_USAGE);
    assert_int_equal(POLICY("chekc", "x"), EXIT_USAGE);
    expect_complained("did you mean check?");
    assert_int_equal(POLICY("check"), EXIT_USAGE);
    assert_int_equal(POLICY("sign", "@/good.yaml", "-o", "@/x"), EXIT_USAGE);
    assert_int_equal(POLICY("sign", "@/good.yaml", "--ca", "@/ca", "-o", "@/x", "--epoch", "one"),
                     EXIT_USAGE);
    assert_int_equal(POLICY("verify", "@/x"), EXIT_USAGE);
    assert_int_equal(POLICY("--help"), EXIT_GOOD);
}

static void test_runs_the_tests_inside(void **state)
{
    (void)state;
    put("tests.yaml", GOOD("1") "tests:\n  - {from: web, to: cart, request: GET /, expect: deny}\n"
                                "  - {from: web, to: cart, request: GET /, expect: allow}\n");
    assert_int_equal(POLICY("check", "@/tests.yaml"), EXIT_GOOD);
    assert_int_equal(POLICY("test", "@/tests.yaml"), EXIT_REFUSED);
    expect_said("1 of 2 tests passed, 1 warning: not good");
    expect_complained("tests.yaml:7:5: test failed: denied by `unmatched`, expected allow");
    assert_int_equal(POLICY("test", "@/tests.yaml", "--json"), EXIT_REFUSED);
    expect_said("\"failed\": 1");
}

static void what_is_signed_verifies_and_nothing_else(void **state)
{
    (void)state;
    put("p.yaml", GOOD("5"));
    assert_int_equal(POLICY("sign", "@/p.yaml", "--ca", "@/ca", "-o", "@/p.bundle"), EXIT_GOOD);
    assert_int_equal(POLICY("sign", "@/p.yaml", "--ca", "@/ca", "-o", "@/p.bundle"),
                     EXIT_REFUSED); /* exists */
    assert_int_equal(POLICY("sign", "@/p.yaml", "--ca", "@/ca", "-o", "@/p.bundle", "--force"), EXIT_GOOD);
    assert_int_equal(POLICY("verify", "@/p.bundle", "--root", "@/ca/root.trust"), EXIT_GOOD);
    expect_said("mesh shop.example, epoch 1, version 5");
    assert_int_equal(POLICY("verify", "@/p.bundle", "--root", "@/ca/root.trust", "--text"), EXIT_GOOD);
    assert_string_equal(buf_str(&said), GOOD("5"));
    assert_int_equal(POLICY("verify", "@/p.bundle", "--root", "@/other/root.trust"), EXIT_REFUSED);
    expect_complained("not signed by enough policy keys of this mesh's root");
    assert_int_equal(
        POLICY("sign", "@/p.yaml", "--root", "@/ca/root.trust", "--key", "@/other/policy.key", "-o", "@/x"),
        EXIT_REFUSED);
    expect_complained("is not among the policy keys of the root of epoch 1");
    assert_false(exists("x"));
}

static void what_fails_its_tests_is_not_signed(void **state)
{
    (void)state;
    put("f.yaml", GOOD("5") "tests: [{from: web, to: cart, request: GET /, expect: allow}]\n");
    assert_int_equal(POLICY("sign", "@/f.yaml", "--ca", "@/ca", "-o", "@/f.bundle"), EXIT_REFUSED);
    expect_complained("test failed: denied by `unmatched`, expected allow");
    assert_false(exists("f.bundle"));
}

static void a_lower_version_is_not_signed_and_the_difference_is_shown_B24(void **state)
{
    (void)state;
    put("v5.yaml", GOOD("5"));
    put("v6.yaml", GOOD("6") "# more\n");
    assert_int_equal(POLICY("sign", "@/v5.yaml", "--ca", "@/ca", "-o", "@/v5.bundle"), EXIT_GOOD);
    assert_int_equal(POLICY("sign", "@/v6.yaml", "--ca", "@/ca", "--previous", "@/v5.bundle", "--text", "-o",
                            "@/v6.bundle"),
                     EXIT_GOOD);
    expect_said("version 5 -> 6\nno difference\n");
    expect_said("- version: 5\n+ version: 6\n+ # more\n");
    assert_int_equal(POLICY("sign", "@/v6.yaml", "--ca", "@/ca", "--previous", "@/v5.bundle", "-o",
                            "@/v6.bundle", "--force", "--json"),
                     EXIT_GOOD);
    expect_said("\"difference\": \"- version: 5\\n+ version: 6\\n+ # more\\n\"");
    assert_int_equal(POLICY("sign", "@/v5.yaml", "--ca", "@/ca", "--previous", "@/v6.bundle", "-o", "@/x"),
                     EXIT_REFUSED);
    expect_complained("version 5 does not follow version 6 of --previous; raise `version`");
    assert_int_equal(POLICY("sign", "@/v6.yaml", "--ca", "@/ca", "--previous", "@/v6.bundle", "-o", "@/x"),
                     EXIT_REFUSED);
    assert_int_equal(POLICY("sign", "@/v6.yaml", "--ca", "@/ca", "--previous", "@/v6.yaml", "-o", "@/x"),
                     EXIT_REFUSED);
    expect_complained("what is given as the one before is not a bundle of this mesh");
    assert_false(exists("x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_shows_the_line_and_a_caret),
        cmocka_unit_test(usage_is_two),
        cmocka_unit_test(test_runs_the_tests_inside),
        cmocka_unit_test(what_is_signed_verifies_and_nothing_else),
        cmocka_unit_test(what_fails_its_tests_is_not_signed),
        cmocka_unit_test(a_lower_version_is_not_signed_and_the_difference_is_shown_B24),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
