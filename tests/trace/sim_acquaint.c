/* A mesh that begins at rest behaves as one that joined long ago: nothing is left to tell, and whatever happens to it
 * afterwards ends as it must. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/oracle.h"

enum { HOSTS = 40 };

static struct world *old_mesh(uint64_t seed)
{
    const struct world_config config = {
        .hosts = HOSTS, .seed = seed, .wire = {.delay_us = 500, .jitter_pct = 20}};
    struct world *w = world_new(&config);
    world_acquaint(w);
    return w;
}

static void expect_agreement(struct world *w, mono_us within, const char *after_what)
{
    if (!world_agree(w, within, after_what))
        fail_msg("%s", w->failure);
}

static void nothing_is_left_to_tell(void **state)
{
    (void)state;
    struct world *w = old_mesh(1);
    char difference[160];
    assert_true(oracle_agree(w, difference, sizeof difference));
    assert_true(world_run(w, SEC(60)));
    assert_true(oracle_agree(w, difference, sizeof difference));
    /* a probe and its ack each second and host, some more until turns are given, and once a minute a digest: nobody
     * joins, asks or syncs */
    assert_int_equal(w->figures.bulk, 0);
    assert_in_range(w->figures.datagrams, 60 * HOSTS * 2 * 9 / 10, 60 * HOSTS * 2 * 12 / 10);
    assert_int_equal(w->figures.suspicions, 0);
    oracle_end(w);
    assert_true(world_is_well(w));
    world_free(w);
}

static void updates_deaths_and_restarts_are_known_to_all(void **state)
{
    (void)state;
    struct world *w = old_mesh(2);
    assert_true(world_run(w, SEC(3)));
    host_update(w, 7);
    expect_agreement(w, SEC(1), "an update");
    host_crash(w, 9);
    host_leave(w, 11);
    expect_agreement(w, SEC(20), "a death and a good-bye");
    for (uint32_t h = 0; h < HOSTS; h++)
        if (h != 9 && h != 11)
            assert_int_equal(gossip_counts(w->host[h].gossip).dead, 1);
    host_start(w, 9); /* from a disk that has everybody on it */
    expect_agreement(w, SEC(20), "a restart");
    oracle_end(w);
    assert_true(world_is_well(w));
    world_free(w);
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    uint64_t hash[3];
    for (int i = 0; i < 3; i++) {
        struct world *w = old_mesh(i < 2 ? 3 : 4);
        assert_true(world_run(w, SEC(10)));
        hash[i] = w->trace.hash;
        world_free(w);
    }
    assert_true(hash[0] == hash[1] && hash[1] != hash[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_to_tell),
        cmocka_unit_test(updates_deaths_and_restarts_are_known_to_all),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
