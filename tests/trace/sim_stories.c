/* What a scenario is named for takes place: a story that did nothing would pass every check. And the swarm draws what it says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/scenario.h"
#include "sim/swarm.h"
#include "tests/trace/sim_said.h"

enum { HOSTS = 12 };

struct play {
    const struct scenario *scenario;
    struct world_config config;
    struct world *world;
};

static void play(void *arg)
{
    struct play *p = arg;
    p->world = scenario_play(p->scenario, &p->config);
}

/* The printed trace, to be freed; *world too. */
static char *trace_of(const char *scenario, uint32_t hosts, uint64_t seed, struct world **world)
{
    const struct scenario *s = scenario_find(scenario);
    assert_non_null(s);
    struct play p = {s, {.hosts = hosts, .seed = seed, .is_printed = true, .wire = s->wire}, NULL};
    char *text = said_to(STDOUT_FILENO, play, &p);
    if (!world_is_well(p.world))
        fail_msg("%s seed %llu: %s", scenario, (unsigned long long)seed, p.world->failure);
    *world = p.world;
    return text;
}

/* Lines that say this; *together: the most of them at one time. */
static unsigned count(const char *text, const char *what, unsigned *together)
{
    unsigned n = 0, same = 0;
    const char *last = NULL;
    size_t time = 0;
    *together = 0;
    for (const char *at = text; (at = strstr(at, what)); at++, n++) {
        const char *line = at;
        while (line > text && line[-1] != '\n')
            line--;
        bool is_same = last && strncmp(last, line, time) == 0;
        same = is_same ? same + 1 : 1;
        last = line;
        time = strcspn(line, "]");
        *together = same > *together ? same : *together;
    }
    return n;
}

struct told { /* in the trace of a scenario with HOSTS hosts */
    const char *scenario, *line;
    unsigned least, most; /* how often */
    unsigned together;    /* at least so many at one time */
};

enum { ANY = 1000000 };

static const struct told told[] = {
    {"crash", " crashes\n", 2, 2, 1}, /* one host, and what all agree after */
    {"rack", " crashes\n", 3, 3, 3},
    {"mass-restart", " crashes\n", HOSTS, HOSTS, 1},
    {"mass-restart", " starts\n", 2 * HOSTS, 2 * HOSTS, 1},
    {"in-phase", " crashes\n", HOSTS, HOSTS, HOSTS},
    {"in-phase", " starts\n", 2 * HOSTS, 2 * HOSTS, HOSTS},
    {"rolling-restart", " stops\n", HOSTS, HOSTS, 1},
    {"churn", " crashes\n", 3, 40, 1},
    {"churn", " stops\n", 3, 60, 1},
    {"churn", " has said good-bye\n", 3, 40, 1},
    {"churn", " starts\n", HOSTS + 20, HOSTS + 60, 1},
    {"leave", " has said good-bye\n", 2, 2, 1},
    {"partition-heal", "group 0 to group 1 cut\n", 1, 1, 1},
    {"partition-heal", "group 1 to group 0 cut\n", 1, 1, 1},
    {"one-way", "group 1 to group 0 cut\n", 1, 1, 1},
    {"one-way", "group 0 to group 1 cut\n", 0, 0, 0},
    {"one-way", " dead (was ", 1, ANY, 1},
    {"flapping", " cut\n", 12, 12, 1},
    {"flapping", " open\n", 12, 12, 1},
    {"half-connected", " cut\n", 2, 2, 2},
    {"slow-nodes", " pauses\n", 12, 18, 1},
    {"slow-nodes", " resumes\n", 12, 18, 1},
    {"starved", " has a fault: starve\n", HOSTS, HOSTS, HOSTS},
    {"paused", " has a fault: pause\n", 3 * 4, 3 * 4, 4},
    {"moved", " moves to another address\n", 1, 1, 1},
    {"forge", " forges ", 100, ANY, 1},
    {"wiped-disk", " has a disk that knows incarnation ", 6, 6, 2},
    {"policy", " publishes version ", 4, 4, 1},
};

static void what_a_scenario_is_named_for_takes_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const struct told *t = &told[i];
        struct world *w;
        unsigned together;
        char *text = trace_of(t->scenario, HOSTS, 0x5eed, &w);
        unsigned n = count(text, t->line, &together);
        if (n < t->least || n > t->most || together < t->together)
            fail_msg("%s: %u lines with \"%.*s\", %u at one time", t->scenario, n,
                     (int)strcspn(t->line, "\n"), t->line, together);
        free(text);
        world_free(w);
    }
}

static void thin_lines_hold_up_and_drop(void **state)
{
    const struct scenario *s = scenario_find("congested");
    (void)state;
    assert_int_equal(s->wire.line_kbps, 1000);
    struct world_config config = {.hosts = 30, .seed = 1, .wire = s->wire};
    config.wire.queue_us = 2000; /* the scenario's own queue holds a join of thirty */
    struct world *w = scenario_play(s, &config);
    assert_true(w->wire.queue_drops > 0);
    world_free(w);
}

/* ---- the swarm ---- */

static void the_swarm_draws_size_and_network_from_the_seed(void **state)
{
    enum { SEEDS = 1000 };
    unsigned lossy = 0, very_lossy = 0, doubled = 0, reordered = 0, zones = 0, far = 0, zone_loss = 0,
             thin = 0, sizes[3] = {0}, quick = 0, slow = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world_config c = {.seed = seed}, again = {.seed = seed}, given = {.seed = seed, .hosts = 7};
        swarm_draw(&c);
        swarm_draw(&again);
        swarm_draw(&given);
        assert_memory_equal(&c.wire, &again.wire, sizeof c.wire);
        assert_memory_equal(&c.wire, &given.wire, sizeof c.wire);
        assert_int_equal(c.hosts, again.hosts);
        assert_int_equal(given.hosts, 7);
        assert_in_range(c.hosts, 2, 100);
        sizes[c.hosts <= 12 ? 0 : c.hosts <= 40 ? 1 : 2]++;
        lossy += c.wire.loss_ppm > 0;
        very_lossy += c.wire.loss_ppm > 100000;
        doubled += c.wire.duplicate_ppm > 0;
        reordered += c.wire.reorder_ppm > 0 && c.wire.reorder_us > 0;
        zones += c.wire.zones > 1;
        far += c.wire.zone_delay_us > 10000;
        zone_loss += c.wire.zone_loss_ppm > 0;
        thin += c.wire.line_kbps > 0;
        quick += c.wire.delay_us == 50;
        slow += c.wire.delay_us == 40000;
    }
    assert_in_range(sizes[0], 700, 800);
    assert_in_range(sizes[1], 170, 270);
    assert_in_range(sizes[2], 10, 60);
    assert_in_range(lossy, 450, 550);
    assert_in_range(very_lossy, 40, 130);
    assert_in_range(doubled, 450, 550);
    assert_in_range(reordered, 450, 550);
    assert_in_range(zones, 280, 390);
    assert_in_range(far, 220, 330);
    assert_in_range(zone_loss, 280, 390);
    assert_in_range(thin, 200, 300);
    assert_in_range(quick, 150, 250);
    assert_in_range(slow, 150, 250);
}

/* Kinds of trouble of which a swarm's run draws some, and what its trace says of each: how many hosts at one time. */
enum together { ONE, BOTH_WAYS, RACK /* up to a quarter */, ALL };
static const struct trouble {
    const char *line;
    enum together together;
} troubles[] = {
    {" crashes\n", ONE},
    {" crashes\n", RACK},
    {" crashes\n", ALL},
    {" stops\n", ONE},
    {" has said good-bye\n", ONE},
    {" has a fault: pause\n", ONE},
    {" has a fault: block\n", ONE},
    {" has a fault: starve\n", ONE},
    {" has a fault: deaf\n", ONE},
    {" has a fault: mute\n", ONE},
    {" has a fault: lossy\n", ONE},
    {" cut\n", ONE},
    {" cut\n", BOTH_WAYS},
    {" publishes version ", ONE},
    {" loses its link to ", ONE},
    {" forges ", ONE},
};
enum { TROUBLES = sizeof troubles / sizeof *troubles, SWARM_RUNS = 48 };

/* `most` lines at one time, in a mesh of so many hosts. */
static bool is_so(enum together together, unsigned most, uint32_t hosts)
{
    unsigned rack = (hosts + 3) / 4;
    switch (together) {
    case BOTH_WAYS:
        return most >= 2;
    case RACK:
        return most >= 2 && most <= rack;
    case ALL:
        return most > rack && most > 2;
    default:
        return most >= 1;
    }
}

static bool some_clock_drifts(const struct world *w)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (w->host[h].drift_ppm != 0)
            return true;
    return false;
}

/* Each kind comes about, and each is left out of some runs. */
static void the_swarm_has_its_troubles_in_some_runs_and_not_in_others(void **state)
{
    unsigned has[TROUBLES] = {0}, drifts = 0, together;
    (void)state;
    for (uint64_t seed = 1; seed <= SWARM_RUNS; seed++) {
        struct world *w;
        char *text = trace_of("swarm", 0, seed, &w);
        assert_int_equal(count(text, " all faults end\n", &together), 1);
        assert_int_equal(count(text, " after all faults have ended\n", &together), 1);
        assert_int_equal(count(text, " after ten seconds of peace\n", &together), 1);
        for (size_t i = 0; i < TROUBLES; i++)
            has[i] += count(text, troubles[i].line, &together) > 0 &&
                      is_so(troubles[i].together, together, w->config.hosts);
        drifts += some_clock_drifts(w);
        free(text);
        world_free(w);
    }
    for (size_t i = 0; i < TROUBLES; i++)
        if (has[i] == 0 || has[i] > SWARM_RUNS * 9 / 10)
            fail_msg("%u of %d runs have \"%.*s\" (row %zu)", has[i], SWARM_RUNS,
                     (int)strcspn(troubles[i].line, "\n"), troubles[i].line, i);
    assert_in_range(drifts, SWARM_RUNS / 4, SWARM_RUNS * 3 / 4);
}

/* ---- the liveness phase ---- */

/* Nothing arrives any more, whatever heals. */
static void break_again(struct world *w, uint32_t unused)
{
    w->wire.config.loss_ppm = 1000000;
    world_after(w, MS(50), unused, break_again);
}

static struct world *swarm_world(uint32_t hosts, uint64_t seed)
{
    struct world_config config = {.hosts = hosts, .seed = seed};
    swarm_draw(&config);
    struct world *w = world_new(&config);
    w->dead_bound = SEC(3600); /* the oracle of resurrection is not what is shown here */
    return w;
}

static void who_does_not_agree_after_all_faults_fails_the_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *w = swarm_world(6, seed);
        break_again(w, 0);
        swarm_play(w);
        assert_non_null(strstr(w->failure, " ms after all faults have ended: host "));
        world_free(w);
    }
}

static void take_nothing(struct world *w, uint32_t host, const struct gossip_event *ev)
{
    (void)w;
    (void)host;
    (void)ev;
}

/* Of runs in which somebody published. */
static void who_lacks_a_document_after_all_faults_fails_the_run(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world *w = swarm_world(6, seed);
        w->on_doc = take_nothing;
        swarm_play(w);
        bool is_lacking = strstr(w->failure, "which another holds, after the liveness phase");
        if (!is_lacking && !world_is_well(w))
            fail_msg("seed %llu: %s", (unsigned long long)seed, w->failure);
        failed += is_lacking;
        assert_true(!is_lacking || w->doc_count > 0);
        world_free(w);
    }
    assert_true(failed > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_scenario_is_named_for_takes_place),
        cmocka_unit_test(thin_lines_hold_up_and_drop),
        cmocka_unit_test(the_swarm_draws_size_and_network_from_the_seed),
        cmocka_unit_test(the_swarm_has_its_troubles_in_some_runs_and_not_in_others),
        cmocka_unit_test(who_does_not_agree_after_all_faults_fails_the_run),
        cmocka_unit_test(who_lacks_a_document_after_all_faults_fails_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
