/* A staged rollout in virtual time: meshes whose members see each other's reports a while later, some of them liars. */
#include "base/rng.h"
#include "policy/rollout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MEMBERS_MAX = 1000, SECOND = 1000, PAUSE = 60000, LOOK = 5000, REQUESTS = 50 };

static const struct policy_step steps[] = {
    {.label = {(const uint8_t *)"ring", 4}, .value = {(const uint8_t *)"canary", 6}},
    {.share_ppm = 100000},
    {.share_ppm = 500000},
    {.share_ppm = 1000000},
};
static const struct policy_rollout rule = {.step_count = 4,
                                           .step = steps,
                                           .pause_ms = PAUSE,
                                           .halt_error_ppm = 20000,
                                           .halt_p99_ppm = 500000,
                                           .halt_denied_ppm = 10000,
                                           .halt_min_requests = 200};

enum lie { HONEST, SAYS_BAD, SAYS_GOOD, SAYS_HALTED, SAYS_NEW, SAYS_OLD };

struct agent {
    struct rollout r;
    struct rollout_member m; /* as it says */
    enum lie lie;
    bool is_down;
    bool was_new;
};

static struct mesh {
    size_t count;
    mono_ms now;
    struct rng rng;
    struct agent agent[MEMBERS_MAX];
    struct rollout_member seen[MEMBERS_MAX]; /* what was said a look ago */
    uint32_t bad_ppm, bad_denied_ppm;        /* of requests under the new version */
    uint64_t p99_new_us;
} w;

static struct hash version;

static struct node_id id_of(size_t i)
{
    struct node_id id = {{0}};
    id.b[0] = (uint8_t)(i >> 8);
    id.b[1] = (uint8_t)i;
    return id;
}

/* The first `canaries` have the label. */
static void mesh_of(size_t count, size_t canaries)
{
    memset(&w, 0, sizeof w);
    w.count = count;
    w.now = 1000;
    w.p99_new_us = 20000;
    w.rng = rng_seeded(7);
    version = (struct hash){{9}};
    for (size_t i = 0; i < count; i++) {
        struct labels labels = {.count = i < canaries};
        labels.at[0] = (struct label){bytes_str("ring"), bytes_str("canary")};
        struct node_id id = id_of(i);
        w.agent[i].m = (struct rollout_member){
            .id = id, .is_live = true, .turn = rollout_turn(&rule, &version, &id, &labels)};
        w.agent[i].m.before = (struct record_count){.requests = 5000, .errors = 50, .p99_us = 20000};
        rollout_init(&w.agent[i].r, &rule, w.agent[i].m.turn, false, ROLLOUT_NONE);
    }
}

static void count_traffic(struct agent *a, bool is_in)
{
    struct record_count *c = is_in ? &a->m.after : &a->m.before;
    for (int k = 0; k < REQUESTS; k++) {
        c->requests++;
        c->errors += rng_below(&w.rng, 1000000) < (is_in ? 10000 + w.bad_ppm : 10000);
        c->denied += is_in && rng_below(&w.rng, 1000000) < w.bad_denied_ppm;
    }
    c->p99_us = is_in ? w.p99_new_us : 20000;
}

static struct rollout_member said(const struct agent *a)
{
    struct rollout_member m = a->m;
    m.is_live = !a->is_down;
    m.is_new = rollout_is_in(&a->r);
    m.has_report = true;
    m.says_halted = a->r.halted != ROLLOUT_NONE;
    if (a->lie == SAYS_BAD)
        m.after = (struct record_count){1000000000, 1000000000, 1000000000, 60000000};
    if (a->lie == SAYS_GOOD)
        m.after = (struct record_count){1000000000, 0, 0, 64},
        m.before = (struct record_count){1000000000, 900000000, 900000000, 60000000};
    m.says_halted = a->lie == SAYS_HALTED || (a->lie == HONEST && m.says_halted);
    m.is_new = a->lie == SAYS_NEW || (a->lie != SAYS_OLD && m.is_new);
    return m;
}

static void look_at_once(void)
{
    w.now += LOOK;
    for (size_t i = 0; i < w.count; i++)
        w.seen[i] = said(&w.agent[i]);
    rollout_sort(w.seen, w.count);
    for (size_t i = 0; i < w.count; i++) {
        struct agent *a = &w.agent[i];
        bool is_in = rollout_is_in(&a->r);
        a->was_new |= is_in;
        count_traffic(a, is_in);
        if (!a->is_down)
            rollout_look(&a->r, w.seen, w.count, w.now + i % 7); /* nobody's clock agrees */
    }
}

static size_t in_force(void)
{
    size_t n = 0;
    for (size_t i = 0; i < w.count; i++)
        n += rollout_is_in(&w.agent[i].r);
    return n;
}

static size_t ever_new(void)
{
    size_t n = 0;
    for (size_t i = 0; i < w.count; i++)
        n += w.agent[i].was_new;
    return n;
}

static size_t halted(void)
{
    size_t n = 0;
    for (size_t i = 0; i < w.count; i++)
        n += w.agent[i].r.halted != ROLLOUT_NONE;
    return n;
}

static bool all_done(void)
{
    for (size_t i = 0; i < w.count; i++)
        if (!w.agent[i].is_down && !w.agent[i].r.is_done)
            return false;
    return true;
}

static void run(mono_ms ms)
{
    for (mono_ms end = w.now + ms; w.now < end && !all_done();)
        look_at_once();
}

/* Every `each`-th of all tells this lie, and at least `least` of the canaries. */
static void lie(size_t first, size_t each, enum lie what)
{
    for (size_t i = first; i < w.count; i += each)
        w.agent[i].lie = what;
}

/* -- stories ----------------------------------------------------------------------------------- */

static void a_good_version_goes_through_all_steps(void **state)
{
    (void)state;
    mesh_of(100, 5);
    look_at_once();
    assert_int_equal(in_force(), 5); /* the canaries, at once */
    run(PAUSE - 2 * LOOK);
    assert_int_equal(in_force(), 5); /* and nobody else before the pause is over */
    run(3 * LOOK);
    assert_in_range(in_force(), 8, 26);
    run(PAUSE + 2 * LOOK);
    assert_in_range(in_force(), 38, 68);
    run(PAUSE + 2 * LOOK);
    assert_int_equal(in_force(), 100);
    assert_false(all_done());
    run(PAUSE + 2 * LOOK);
    assert_true(all_done());
    assert_int_equal(halted(), 0);
}

static void a_bad_version_stops_at_the_canaries_and_leaves_them(void **state)
{
    (void)state;
    mesh_of(100, 5);
    w.bad_ppm = 100000;
    run(3 * PAUSE);
    assert_int_equal(halted(), 100);
    assert_int_equal(in_force(), 0);
    assert_int_equal(ever_new(), 5);
    assert_int_equal(w.agent[0].r.halted, ROLLOUT_ERRORS);
}

static void slow_and_refusing_versions_halt_too(void **state)
{
    (void)state;
    mesh_of(30, 4);
    w.p99_new_us = 40000;
    run(3 * PAUSE);
    assert_int_equal(w.agent[20].r.halted, ROLLOUT_P99);
    assert_int_equal(ever_new(), 4);
    mesh_of(30, 4);
    w.bad_denied_ppm = 50000;
    run(3 * PAUSE);
    assert_int_equal(w.agent[20].r.halted, ROLLOUT_DENIED);
    assert_int_equal(ever_new(), 4);
}

/* With three canaries already: whoever lies, and however loudly. */
static void one_liar_neither_halts_nor_hides(void **state)
{
    (void)state;
    for (size_t liar = 0; liar < 8; liar++) {
        mesh_of(8, 3);
        w.agent[liar].lie = SAYS_BAD;
        run(6 * PAUSE);
        assert_int_equal(halted(), 0);
        assert_true(all_done());
        mesh_of(8, 3);
        w.agent[liar].lie = SAYS_HALTED;
        run(6 * PAUSE);
        assert_int_equal(halted(), 0);
        assert_true(all_done());
        mesh_of(8, 3);
        w.bad_ppm = 200000;
        w.agent[liar].lie = SAYS_GOOD;
        run(6 * PAUSE);
        assert_int_equal(halted(), 8);
        assert_int_equal(ever_new(), 3);
    }
}

/* A sixth of all members lie, canaries among them, each lie in turn: the outcome is that of the honest. */
static void a_sixth_of_liars_changes_nothing(void **state)
{
    (void)state;
    static const size_t sizes[] = {100, 300};
    for (size_t s = 0; s < 2; s++) {
        mesh_of(sizes[s], 12);
        lie(0, 6, SAYS_BAD);
        run(6 * PAUSE);
        assert_int_equal(halted(), 0);
        assert_true(all_done());
        mesh_of(sizes[s], 12);
        lie(0, 6, SAYS_GOOD);
        w.bad_ppm = 100000;
        run(3 * PAUSE);
        assert_int_equal(halted(), sizes[s]);
        assert_int_equal(ever_new(), 12);
    }
}

/* Those who say that they have it while they have not, or never say so: the steps keep their pace. */
static void liars_neither_hurry_a_rollout_nor_hold_it_up(void **state)
{
    (void)state;
    mesh_of(100, 10);
    lie(0, 6, SAYS_NEW);
    run(PAUSE - LOOK);
    for (size_t i = 0; i < 100; i++)
        assert_true(rollout_step_of(w.agent[i].m.turn) == 0 || !rollout_is_in(&w.agent[i].r));
    mesh_of(100, 10);
    lie(0, 6, SAYS_OLD);
    run(6 * PAUSE);
    assert_true(all_done());
}

static void a_thousand_members(void **state)
{
    (void)state;
    mesh_of(1000, 20);
    lie(3, 7, SAYS_BAD);
    run(5 * PAUSE);
    assert_true(all_done());
    assert_int_equal(halted(), 0);
    mesh_of(1000, 20);
    lie(3, 7, SAYS_GOOD);
    w.bad_ppm = 50000;
    run(2 * PAUSE);
    assert_int_equal(halted(), 1000);
    assert_int_equal(ever_new(), 20);
}

static void with_two_canaries_nothing_is_compared(void **state)
{
    (void)state;
    mesh_of(4, 2);
    w.bad_ppm = 900000;
    run(PAUSE);
    assert_int_equal(halted(), 0);
    assert_false(w.agent[0].r.was_compared);
}

static void too_few_requests_are_no_evidence(void **state)
{
    (void)state;
    mesh_of(10, 3);
    for (size_t i = 0; i < 10; i++) {
        w.seen[i] = w.agent[i].m;
        w.seen[i].has_report = true;
        w.seen[i].after = (struct record_count){60, 60, 60, 60000000};
    }
    rollout_sort(w.seen, 10);
    for (size_t i = 3; i < 10; i++)
        w.seen[i].after.requests = 0;
    for (size_t i = 0; i < 3; i++)
        w.seen[i].is_new = true;
    rollout_look(&w.agent[0].r, w.seen, 10, w.now);
    rollout_look(&w.agent[0].r, w.seen, 10, w.now + PAUSE / 2);
    assert_int_equal(w.agent[0].r.halted, ROLLOUT_NONE);
    for (size_t i = 0; i < 3; i++)
        w.seen[i].after.requests = w.seen[i].after.errors = 200;
    rollout_look(&w.agent[0].r, w.seen, 10, w.now + PAUSE / 2 + 1);
    assert_int_equal(w.agent[0].r.halted, ROLLOUT_ERRORS);
}

/* One that was away, and one that starts again with its stored mark: both are where the mesh is at their first look. */
static void a_late_one_follows_the_mesh(void **state)
{
    (void)state;
    size_t late = 0;
    mesh_of(100, 5);
    while (rollout_step_of(w.agent[late].m.turn) != 2)
        late++;
    w.agent[late].is_down = true;
    run(3 * PAUSE);
    assert_true(in_force() > 30);
    assert_false(rollout_is_in(&w.agent[late].r));
    w.agent[late].is_down = false;
    rollout_look(&w.agent[late].r, w.seen, w.count, w.now);
    assert_true(rollout_is_in(&w.agent[late].r));
    struct rollout again;
    rollout_init(&again, &rule, w.agent[0].m.turn, true, ROLLOUT_NONE);
    assert_true(rollout_is_in(&again));
}

/* The canaries have gone back, and their reports with them: who comes now believes most of the others. */
static void a_late_one_learns_of_a_halt(void **state)
{
    (void)state;
    mesh_of(20, 4);
    w.agent[19].is_down = true;
    w.bad_ppm = 300000;
    run(2 * PAUSE);
    assert_int_equal(halted(), 19);
    struct agent *a = &w.agent[19];
    for (size_t i = 0; i < 20; i++)
        w.seen[i].before = w.seen[i].after = (struct record_count){.requests = 0};
    rollout_look(&a->r, w.seen, w.count, w.now);
    assert_int_equal(a->r.halted, ROLLOUT_OTHERS);
    /* And a halt is for good, whatever is said later. */
    for (size_t i = 0; i < 20; i++)
        w.seen[i].says_halted = false, w.seen[i].is_new = true;
    rollout_look(&a->r, w.seen, w.count, w.now + PAUSE);
    assert_false(rollout_is_in(&a->r));
}

/* Its document came before their records: what it knows is itself and one who does not say it yet. */
static void who_arrives_enters_nothing_before_it_has_heard_of_the_halt(void **state)
{
    (void)state;
    mesh_of(20, 4);
    w.bad_ppm = 300000;
    run(2 * PAUSE);
    assert_int_equal(halted(), 20);
    struct rollout own;
    struct rollout_member two[2] = {{.id = id_of(0), .is_live = true}, {.id = id_of(1), .is_live = true}};
    struct rollout_arrival arrival = {.joined_at = w.now, .news_at = w.now};
    rollout_init(&own, &rule, two[0].turn, false, ROLLOUT_NONE);
    own.is_arriving = rollout_is_arriving(&arrival, w.now);
    rollout_look(&own, two, 2, w.now);
    assert_false(rollout_is_in(&own));
    own.is_arriving = rollout_is_arriving(&arrival, w.now + ROLLOUT_QUIET_MS);
    rollout_look(&own, w.seen, w.count, w.now + ROLLOUT_QUIET_MS);
    assert_int_not_equal(own.halted, ROLLOUT_NONE);
    assert_false(rollout_is_in(&own));
}

static void who_arrives_waits_until_nobody_is_new_to_it_but_not_for_ever(void **state)
{
    (void)state;
    struct rollout_member alone = {.id = id_of(0), .is_live = true};
    struct rollout own;
    struct rollout_arrival arrival = {.joined_at = 1000, .news_at = 1000};
    assert_true(rollout_is_arriving(&arrival, 1000 + ROLLOUT_QUIET_MS - 1));
    assert_false(rollout_is_arriving(&arrival, 1000 + ROLLOUT_QUIET_MS));
    arrival.news_at = 1000 + ROLLOUT_ARRIVAL_MAX_MS - 1; /* they come and come */
    assert_true(rollout_is_arriving(&arrival, arrival.news_at));
    assert_false(rollout_is_arriving(&arrival, arrival.news_at + 1));
    rollout_init(&own, &rule, 0, false, ROLLOUT_NONE);
    own.is_arriving = true;
    rollout_look(&own, &alone, 1, 0);
    assert_false(rollout_is_in(&own));
    own.is_arriving = false;
    rollout_look(&own, &alone, 1, LOOK);
    assert_true(rollout_is_in(&own)); /* the first step begins at once */
}

static void an_island_waits(void **state)
{
    (void)state;
    mesh_of(100, 5);
    for (size_t i = 0; i < 100; i++)
        w.agent[i].is_down = i % 5 < 3;
    run(10 * PAUSE);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(w.agent[i].r.at, 0);
    for (size_t i = 0; i < 100; i++)
        w.agent[i].is_down = false;
    run(6 * PAUSE);
    assert_true(all_done());
}

/* The canaries are most of the mesh, and the only one of the next step lies: their pause is not cut short. */
static void a_liar_with_a_step_of_its_own_hurries_nobody(void **state)
{
    (void)state;
    struct rollout_member m[8];
    struct rollout last;
    for (size_t i = 0; i < 8; i++) {
        uint64_t step = i < 5 ? 0 : i < 6 ? 1 : 2;
        m[i] =
            (struct rollout_member){.id = id_of(i), .turn = step << 32 | i, .is_live = true, .is_new = i < 6};
    }
    rollout_init(&last, &rule, m[7].turn, false, ROLLOUT_NONE);
    rollout_look(&last, m, 8, 0);
    assert_int_equal(last.at, 0);
    rollout_look(&last, m, 8, PAUSE - 1);
    assert_int_equal(last.at, 0);
    rollout_look(&last, m, 8, PAUSE);
    assert_int_equal(last.at, 1);
}

/* Those for whom it is done say no more: of the few who still do, more than a quarter may lie. */
static void the_last_who_report_judge_nothing(void **state)
{
    (void)state;
    mesh_of(16, 4);
    lie(5, 5, SAYS_BAD);
    run(3 * PAUSE + 10 * LOOK);
    assert_int_equal(halted(), 0);
    for (size_t i = 0; i < 16; i++)
        w.seen[i] = said(&w.agent[i]);
    rollout_sort(w.seen, 16);
    for (size_t i = 0, honest = 0; i < 16; i++)
        w.seen[i].has_report = w.seen[i].after.requests == 1000000000 || honest++ < 2;
    rollout_look(&w.agent[0].r, w.seen, 16, w.now + LOOK);
    assert_int_equal(w.agent[0].r.halted, ROLLOUT_NONE);
    assert_false(w.agent[0].r.was_compared);
}

/* A newcomer of the last step, to a mesh that has it all: what else should it enforce? */
static void who_has_nothing_follows_all(void **state)
{
    (void)state;
    struct rollout_member m[4];
    struct rollout own;
    for (size_t i = 0; i < 4; i++)
        m[i] = (struct rollout_member){
            .id = id_of(i), .turn = (uint64_t)(i < 2 ? 0 : 3) << 32 | i, .is_live = true, .is_new = i < 3};
    rollout_init(&own, &rule, m[3].turn, false, ROLLOUT_NONE);
    rollout_look(&own, m, 4, 0);
    assert_false(rollout_is_in(&own));
    own.has_nothing = true;
    m[2].is_new = false; /* somebody who has nothing either */
    rollout_look(&own, m, 4, LOOK);
    assert_false(rollout_is_in(&own));
    m[2].is_new = true;
    rollout_look(&own, m, 4, 2 * LOOK);
    assert_true(rollout_is_in(&own));
}

static void the_share_is_stable_and_differs_by_version(void **state)
{
    (void)state;
    struct hash other = {{10}};
    size_t tenth = 0, both = 0;
    for (size_t i = 0; i < 1000; i++) {
        struct node_id id = id_of(i);
        struct labels none = {.count = 0};
        bool a = rollout_step_of(rollout_turn(&rule, &version, &id, &none)) == 1;
        bool b = rollout_step_of(rollout_turn(&rule, &other, &id, &none)) == 1;
        tenth += a;
        both += a && b;
    }
    assert_in_range(tenth, 75, 125);
    assert_in_range(both, 1, 30);
}

/* A label that no host has, and a share of few hosts that comes to none. */
static void steps_without_members_are_named(void **state)
{
    (void)state;
    const struct policy_step step[] = {{.label = bytes_str("ring"), .value = bytes_str("canary")},
                                       {.share_ppm = 10000},
                                       {.share_ppm = 1000000}};
    const struct policy_rollout three = {.step_count = 3, .step = step, .pause_ms = PAUSE};
    struct rollout r;
    struct buf text = {0};
    struct rollout_member m[4];
    for (size_t i = 0; i < 4; i++)
        m[i] = (struct rollout_member){.id = id_of(i), .turn = UINT64_C(2) << 32 | i, .is_live = true};
    rollout_init(&r, &three, m[0].turn, false, ROLLOUT_NONE);
    rollout_say_empty(&r, &text); /* nobody has looked */
    assert_int_equal(text.len, 0);
    rollout_look(&r, m, 4, 0);
    rollout_say_empty(&r, &text);
    assert_string_equal(buf_str(&text),
                        "no living member belongs to steps 1 (ring=canary), 2 (1%): they try nothing out");
    m[0].turn = 0;
    rollout_look(&r, m, 4, LOOK);
    text.len = 0;
    rollout_say_empty(&r, &text);
    assert_string_equal(buf_str(&text), "no living member belongs to step 2 (1%): it tries nothing out");
    m[0].is_live = false;
    rollout_look(&r, m, 4, 2 * LOOK);
    assert_int_equal(r.empty, 3);
    buf_fini(&text);
}

/* ADVERSARY B12: what was counted under the other bundle of this version is not this one's; a halt is the version's. */
static void what_a_twin_did_is_not_reported_of_the_other(void **state)
{
    (void)state;
    const struct bundle_id low = {1, 7, {{1}}}, high = {1, 7, {{2}}}, base = {1, 6, {{9}}};
    struct record_rollout said = {
        .epoch = 1, .version = 7, .before = {100, 0, 0, 9}, .after = {100, 0, 100, 9}};
    struct rollout_member m = {.is_live = true};
    rollout_take_record(&m, &low, &low, &said);
    assert_true(m.is_new && m.has_report && m.after.denied == 100);
    m = (struct rollout_member){.is_live = true};
    rollout_take_record(&m, &low, &high, &said);
    assert_true(!m.is_new && !m.has_report && m.after.requests == 0 && m.before.requests == 0);
    said.halted = true; /* with nothing to go back to */
    rollout_take_record(&m, &low, &high, &said);
    assert_true(!m.is_new && m.has_report && m.says_halted && m.after.requests == 0);
    rollout_take_record(&m, &low, &base, &said); /* it went back: its evidence is against the version */
    assert_true(!m.is_new && m.has_report && m.says_halted && m.after.denied == 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_version_goes_through_all_steps),
        cmocka_unit_test(a_bad_version_stops_at_the_canaries_and_leaves_them),
        cmocka_unit_test(slow_and_refusing_versions_halt_too),
        cmocka_unit_test(one_liar_neither_halts_nor_hides),
        cmocka_unit_test(a_sixth_of_liars_changes_nothing),
        cmocka_unit_test(liars_neither_hurry_a_rollout_nor_hold_it_up),
        cmocka_unit_test(a_thousand_members),
        cmocka_unit_test(with_two_canaries_nothing_is_compared),
        cmocka_unit_test(too_few_requests_are_no_evidence),
        cmocka_unit_test(a_late_one_follows_the_mesh),
        cmocka_unit_test(a_late_one_learns_of_a_halt),
        cmocka_unit_test(who_arrives_enters_nothing_before_it_has_heard_of_the_halt),
        cmocka_unit_test(who_arrives_waits_until_nobody_is_new_to_it_but_not_for_ever),
        cmocka_unit_test(an_island_waits),
        cmocka_unit_test(a_liar_with_a_step_of_its_own_hurries_nobody),
        cmocka_unit_test(the_last_who_report_judge_nothing),
        cmocka_unit_test(who_has_nothing_follows_all),
        cmocka_unit_test(the_share_is_stable_and_differs_by_version),
        cmocka_unit_test(steps_without_members_are_named),
        cmocka_unit_test(what_a_twin_did_is_not_reported_of_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
