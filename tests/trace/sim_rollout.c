/* Who comes to a mesh that has halted a version is given that version's bundle, perhaps before any record that tells of the halt:
 * a member that starts again in the same moment offers the bundle with its first question, and has heard of nobody itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/policies.h"

enum { HOSTS = 12, COMES = 2, STARTS_TOO = 3, RUNS = 20 };

static const char rules[] = "services: {cart: {protocol: http, port: 80}}\n"
                            "rollout: {steps: [100%], pause: 60s, haltIf: {errorRate: +5%}}\n";

static struct halted {
    struct sim_bundle *old, *fresh;
    unsigned entered, emptied;
} halted;

static void note(struct world *w, uint32_t host, const struct sim_bundle *was)
{
    const struct sim_bundle *now = policies_in_force(w, host);
    halted.entered += now == halted.fresh;
    halted.emptied += was && !now;
}

/* Everybody is of the first step, and has halted; `COMES` has heard of nothing yet. */
static struct world *mesh_that_halted(uint64_t seed, uint32_t delay_us)
{
    const struct world_config config = {
        .hosts = HOSTS, .seed = seed, .wire = {.delay_us = delay_us, .jitter_pct = 20}};
    struct world *w = world_new(&config);
    policies_begin(w);
    halted = (struct halted){.old = policies_sign(w, 1, "services: {cart: {protocol: http}}\n", 0, false),
                             .fresh = policies_sign(w, 2, rules, 0, false)};
    w->policies->changed = note;
    for (uint32_t h = 0; h < HOSTS; h++) {
        policies_hold(w, h, halted.old);
        if (h == COMES)
            continue;
        w->policies->host[h].disk.staged = halted.fresh;
        w->policies->host[h].disk.halted = ROLLOUT_ERRORS;
        host_start(w, h);
    }
    assert_true(world_agree(w, SEC(30), "all but one have started"));
    return w;
}

static void keep_apart(struct world *w, bool is_cut)
{
    world_cut_both_ways(w, 0, 1, is_cut);
}

static bool both_speak(const struct world *w)
{
    return w->host[COMES].own && w->host[STARTS_TOO].own;
}

static bool has_the_bundle(const struct world *w)
{
    return w->policies->host[COMES].now.staged != NULL;
}

static void run_until(struct world *w, bool (*is_so)(const struct world *))
{
    for (mono_us end = w->now + SEC(10); !is_so(w) && w->now < end;)
        assert_true(world_run(w, 100));
    assert_true(is_so(w));
}

/* The two hear of each other first, and of the rest a while later: once the bundle has come, but before so long has passed
 * without news that they would take themselves for all of the mesh. Did it come? */
static bool meet(struct world *w)
{
    w->wire.group[COMES] = w->wire.group[STARTS_TOO] = 1;
    host_crash(w, STARTS_TOO);
    host_start(w, STARTS_TOO);
    host_start(w, COMES);
    run_until(w, both_speak);
    keep_apart(w, true);
    for (mono_us end = w->now + MS(ROLLOUT_QUIET_MS / 2); !has_the_bundle(w) && w->now < end;)
        assert_true(world_run(w, 100));
    bool has = has_the_bundle(w);
    assert_true(world_run(w, MS(100)));
    keep_apart(w, false);
    return has;
}

/* True: the bundle was there before any record that tells of the halt. */
static bool comes(struct world *w, uint64_t seed)
{
    bool is_first = meet(w);
    if (!world_run(w, SEC(60)))
        fail_msg("seed %llu: %s", (unsigned long long)seed, w->failure);
    if (halted.entered > 0)
        fail_msg("seed %llu: a version that was halted is enforced", (unsigned long long)seed);
    assert_int_equal(halted.emptied, 0);
    assert_ptr_equal(policies_in_force(w, COMES), halted.old);
    assert_ptr_equal(w->policies->host[COMES].now.staged, halted.fresh);
    assert_int_equal(w->policies->host[COMES].now.halted, ROLLOUT_OTHERS);
    world_free(w);
    return is_first;
}

static void who_lost_its_disk_never_enforces_what_was_halted(void **state)
{
    int first = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct world *w = mesh_that_halted(seed, seed % 2 ? 500 : 40000);
        host_wipe(w, COMES);
        first += comes(w, seed);
    }
    assert_true(first > RUNS / 2);
}

static void who_was_away_never_enforces_what_was_halted(void **state)
{
    int first = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++)
        first += comes(mesh_that_halted(seed, seed % 2 ? 500 : 40000), seed);
    assert_true(first > RUNS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_lost_its_disk_never_enforces_what_was_halted),
        cmocka_unit_test(who_was_away_never_enforces_what_was_halted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
