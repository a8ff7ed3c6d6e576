/* Many runs of a scenario: each failure is told with its seed and the one command that plays it again, whatever else is
 * printed, and that command plays the same run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/batch.h"
#include "tests/trace/sim_said.h"

struct call {
    struct options options;
    int status;
    char *run_line; /* what goes to standard error */
};

static double no_clock(void)
{
    return 0;
}

static void run(void *arg)
{
    struct call *c = arg;
    c->status = batch_run(&c->options, no_clock);
}

static void run_with_errors_aside(void *arg)
{
    struct call *c = arg;
    c->run_line = said_to(STDERR_FILENO, run, c);
}

/* Plays what the line asks for; returns what was printed, to be freed; in *errors likewise. */
static char *play_both(const char *line, int status, char **errors)
{
    struct call c;
    assert_int_equal(read_line(&c.options, line), GOES_ON);
    char *said = said_to(STDOUT_FILENO, run_with_errors_aside, &c);
    if (c.status != status)
        fail_msg("%s\n%s", line, said);
    *errors = c.run_line;
    return said;
}

static char *play(const char *line, int status)
{
    char *errors, *said = play_both(line, status, &errors);
    assert_string_equal(errors, "");
    free(errors);
    return said;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

/* Where nothing arrives nobody finds anybody. */
#define NOTHING_ARRIVES "--scenario join --nodes 4 --loss 100 --jobs 1"

static void a_failing_run_says_what_was_not_so_and_how_to_play_it_again(void **state)
{
    (void)state;
    char *said = play(NOTHING_ARRIVES " --seed 7 --runs 2", 1);
    assert_int_equal(count(said, "FAILED: "), 2);
    assert_non_null(
        strstr(said, "\n  replay: starling-sim --scenario join --seed 7 --nodes 4 --loss 100 --trace\n"));
    assert_non_null(
        strstr(said, "\n  replay: starling-sim --scenario join --seed 8 --nodes 4 --loss 100 --trace\n"));
    free(said);
}

/* ... and its trace says nothing that differs from time to time, so that two can be compared. */
static void the_replay_is_the_same_run(void **state)
{
    (void)state;
    char *said = play(NOTHING_ARRIVES " --seed 7", 1), *run_line;
    char *replay = strstr(said, "starling-sim "), *trace = strstr(said, ", trace ");
    char *failure = strstr(said, "\nFAILED: ");
    assert_true(replay && trace && failure);
    char *again = play_both(replay + strlen("starling-sim "), 1, &run_line);
    assert_int_equal(strncmp(strstr(run_line, ", trace "), trace, strcspn(trace, "\n") + 1), 0);
    assert_int_equal(strncmp(strstr(again, "\nFAILED: "), failure, strcspn(failure + 1, "\n") + 1), 0);
    assert_int_equal(again[0], '['); /* everything that happened */
    assert_null(strstr(again, ", trace "));
    free(run_line);
    free(again);
    free(said);
}

static void a_quiet_batch_still_tells_failures(void **state)
{
    (void)state;
    char *said = play(NOTHING_ARRIVES " --seed 7 --runs 3 --quiet", 1);
    assert_int_equal(count(said, "  replay: starling-sim --scenario join --seed "), 3);
    assert_non_null(strstr(said, "seeds 7..9: 0 passed, 3 failed"));
    assert_null(strstr(said, ", trace "));
    free(said);
}

static void what_went_well_asks_for_nothing(void **state)
{
    (void)state;
    char *said = play("--scenario join --nodes 4 --jobs 1 --seed 7 --runs 3 --quiet", 0);
    assert_null(strstr(said, "FAILED"));
    assert_null(strstr(said, "replay"));
    assert_non_null(strstr(said, "seeds 7..9: 3 passed, 0 failed"));
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_run_says_what_was_not_so_and_how_to_play_it_again),
        cmocka_unit_test(the_replay_is_the_same_run),
        cmocka_unit_test(a_quiet_batch_still_tells_failures),
        cmocka_unit_test(what_went_well_asks_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
