/* What starling-sim takes: whatever is given means something to what is played, or is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim/options.h"

enum { WORDS_MAX = 24, GOES_ON = -1, REFUSED = 2 };

/* A line of words, read as the command line. What is said about it is not looked at. */
static int read_line(struct options *o, const char *line)
{
    static char text[256];
    char *argv[WORDS_MAX] = {"starling-sim"};
    int argc = 1;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        assert_in_range(argc, 1, WORDS_MAX - 2);
        argv[argc++] = word;
    }
    optind = 0; /* begins anew */
    opterr = 0;
    return options_read(o, argc, argv);
}

static void what_is_refused_is_named_as_it_was_typed(void **state)
{
    (void)state;
    struct options o;
    char said[256] = "";
    FILE *into = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_non_null(into);
    dup2(fileno(into), STDERR_FILENO);
    int status = read_line(&o, "--scenario detect --trace");
    dup2(before, STDERR_FILENO);
    close(before);
    assert_int_equal(status, REFUSED);
    assert_true(pread(fileno(into), said, sizeof said - 1, 0) > 0);
    fclose(into);
    assert_string_equal(
        said, "starling-sim: of no use to this scenario or study: --trace (--help shows the options)\n");
}

static void what_is_given_is_used_or_refused(void **state)
{
    static const struct {
        const char *line;
        int status;
    } row[] = {
        {"--scenario crash --nodes 9 --runs 3 --jobs 1 --quiet --trace --loss 2 --without nack", GOES_ON},
        {"--scenario crash --nodes 9,10", REFUSED},
        {"--scenario crash --svg crash.svg", REFUSED},
        {"--scenario crash --interval", REFUSED},
        {"--scenario liars --shield", REFUSED},
        {"--rack 3 --scenario crash", REFUSED},
        {"--scenario swarm --runs 5", GOES_ON},
        {"--scenario swarm --loss 5", REFUSED},
        {"--scenario detect --nodes 9,10 --runs 2 --rack 2 --refused --svg d.svg", GOES_ON},
        {"--scenario detect --trace", REFUSED},
        {"--scenario detect --jobs 2", REFUSED},
        {"--scenario detect --paused 4", REFUSED},
        {"--scenario rest-cost --nodes 10,20 --svg r.svg", GOES_ON},
        {"--scenario rest-cost --runs 2", REFUSED},
        {"--scenario apart --nodes 100 --runs 2", GOES_ON},
        {"--scenario apart --nodes 100,200", REFUSED},
        {"--scenario degraded --svg d.svg", REFUSED},
        {"--scenario lifeguard --paused 4,8 --on-ms 128 --runs 2 --jobs 2 --quiet --compare", GOES_ON},
        {"--scenario lifeguard --interval --off-ms 64", GOES_ON},
        {"--scenario lies --shield --nodes 60", GOES_ON},
        {"--scenario lifeguard --off-ms 64", REFUSED},
        {"--scenario lifeguard --nodes 20", REFUSED},
        {"--scenario nothing", REFUSED},
        {"--nodes 9", REFUSED},
        {"--scenario crash more", REFUSED},
        {"--scenario crash --nodes 1", REFUSED},
        {"--scenario crash --without sleep", REFUSED},
    };
    struct options o;
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (read_line(&o, row[i].line) != row[i].status)
            fail_msg("%s", row[i].line);
}

/* Whoever copies the line gets the run that failed. */
static void a_replay_says_all_that_matters(void **state)
{
    char printed[256] = "";
    struct options o;
    (void)state;
    assert_int_equal(
        read_line(&o, "--scenario crash --nodes 9 --runs 40 --loss 7 --zones 2 --without nack,eager --quiet"),
        GOES_ON);
    int out = dup(STDOUT_FILENO);
    FILE *file = tmpfile();
    fflush(stdout);
    assert_true(out >= 0 && file && dup2(fileno(file), STDOUT_FILENO) >= 0);
    options_print_replay(&o, 41);
    fflush(stdout);
    assert_true(dup2(out, STDOUT_FILENO) >= 0);
    close(out);
    rewind(file);
    assert_non_null(fgets(printed, sizeof printed, file));
    fclose(file);
    assert_string_equal(printed,
                        "  replay: starling-sim --scenario crash --seed 41 --nodes 9 --without nack,eager "
                        "--loss 7 --zones 2 --trace\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_is_used_or_refused),
        cmocka_unit_test(what_is_refused_is_named_as_it_was_typed),
        cmocka_unit_test(a_replay_says_all_that_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
