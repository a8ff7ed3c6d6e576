/* What starling-sim takes: whatever is given means something to what is played, or is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/trace/sim_said.h"

enum { REFUSED = 2 };

static void ask_for_a_trace_of_a_study(void *options)
{
    assert_int_equal(read_line(options, "--scenario detect --trace"), REFUSED);
}

static void what_is_refused_is_named_as_it_was_typed(void **state)
{
    (void)state;
    struct options o;
    char *said = said_to(STDERR_FILENO, ask_for_a_trace_of_a_study, &o);
    assert_string_equal(
        said, "starling-sim: of no use to this scenario or study: --trace (--help shows the options)\n");
    free(said);
}

static void ask_for_too_many(void *options)
{
    assert_int_equal(read_line(options, "--scenario crash --nodes 50000"), REFUSED);
}

static void what_is_out_of_bounds_is_told_with_the_bounds(void **state)
{
    (void)state;
    struct options o;
    char *said = said_to(STDERR_FILENO, ask_for_too_many, &o);
    assert_string_equal(
        said, "starling-sim: not what this option takes, which is 2 to 20000: 50000 (--help shows the "
              "options)\n");
    free(said);
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
        {"--scenario lies --borrow --nodes 60", GOES_ON},
        {"--scenario lies --borrow --shield", REFUSED},
        {"--scenario lifeguard --off-ms 64", REFUSED},
        {"--scenario lifeguard --nodes 20", REFUSED},
        {"--scenario nothing", REFUSED},
        {"--nodes 9", REFUSED},
        {"--scenario crash more", REFUSED},
        {"--scenario crash --nodes 1", REFUSED},
        {"--scenario crash --nodes 20001", REFUSED},
        {"--scenario crash --nodes 2,x", REFUSED},
        {"--scenario crash --loss 101", REFUSED},
        {"--scenario crash --seed s", REFUSED},
        {"--scenario crash --runs 0", REFUSED},
        {"--scenario byzantine --minutes 1441", REFUSED},
        {"--scenario crash --without sleep", REFUSED},
    };
    struct options o;
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (read_line(&o, row[i].line) != row[i].status)
            fail_msg("%s", row[i].line);
}

static void print_replay(void *options)
{
    options_print_replay(options, 41);
}

/* Whoever copies the line gets the run that failed. */
static void a_replay_says_all_that_matters(void **state)
{
    struct options o, again;
    (void)state;
    assert_int_equal(
        read_line(&o, "--scenario crash --nodes 9 --runs 40 --loss 7 --zones 2 --without nack,eager --quiet"),
        GOES_ON);
    char *said = said_to(STDOUT_FILENO, print_replay, &o);
    assert_string_equal(said,
                        "  replay: starling-sim --scenario crash --seed 41 --nodes 9 --without nack,eager "
                        "--loss 7 --zones 2 --trace\n");
    assert_int_equal(read_line(&again, strstr(said, "--scenario")), GOES_ON);
    assert_ptr_equal(again.scenario, o.scenario);
    assert_true(again.is_printed && again.seed == 41 && again.hosts == 9);
    assert_int_equal(again.ask.gossip.without, o.ask.gossip.without);
    struct wire_config one = options_wire(&o, o.scenario->wire), two = options_wire(&again, o.scenario->wire);
    assert_memory_equal(&one, &two, sizeof one);
    assert_int_equal(one.loss_ppm, 70000);
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_is_used_or_refused),
        cmocka_unit_test(what_is_out_of_bounds_is_told_with_the_bounds),
        cmocka_unit_test(what_is_refused_is_named_as_it_was_typed),
        cmocka_unit_test(a_replay_says_all_that_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
