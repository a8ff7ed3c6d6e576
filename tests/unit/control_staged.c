/* The slot of a rollout: what is in force and what waits, through steps, halts, restarts and the next version. */
#include "control_world.h"

#include <semaphore.h>

#include "control/staged.h"

enum { TICKET = 9 };

static char folder[64];
static struct store *store;
static struct metrics *metrics;
static struct enforced f;
static struct staged g;
static struct buf why, roots;
static sem_t news;
static const struct node_id me = {{7}};
static const struct labels none = {.count = 0};
static const struct staged_self self = {&me, &none};

static void wake(void *arg)
{
    sem_post(arg);
}

static void start(void)
{
    struct chain chain;
    assert_int_equal(store_open(&store, folder, wake, &news, &why), ERR_OK);
    assert_int_equal(chain_open(&chain, buf_bytes(&roots), NULL, NULL), ERR_OK);
    assert_int_equal(enforced_init(&f, store, &chain, metrics, &why), ERR_OK);
    assert_int_equal(staged_init(&g, &f, store, &chain, &self), ERR_OK);
}

static void stop(void)
{
    staged_fini(&g);
    enforced_fini(&f);
    store_close(store);
    buf_fini(&why);
}

static int begin(void **state)
{
    folder_make(folder);
    sem_init(&news, 0, 0);
    metrics = metrics_new();
    world_make(state);
    roots.len = 0;
    assert_int_equal(chain_begin(&roots, buf_bytes(&world.root)), ERR_OK);
    start();
    return 0;
}

static int end(void **state)
{
    stop();
    metrics_free(metrics);
    folder_remove(folder);
    sem_destroy(&news);
    buf_fini(&roots);
    return world_end(state);
}

static void restart(void)
{
    stop();
    start();
}

static void start_anew(void)
{
    stop();
    folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    start();
}

static struct buf bundle_about(unsigned version, bool in_steps, const char *comment)
{
    struct buf text = {0}, out = {0};
    struct complaints c = {0};
    const struct sign_key *key = &world.policy_key;
    struct root root = *trust_root(world.trust);
    root.policy.key[0] = key->pub;
    buf_addf(&text, "policy: v1\nmesh: shop.example\nversion: %u\n%s# %s\n", version,
             in_steps ? "rollout: {steps: [ring=canary, 100%], pause: 10s}\n" : "", comment);
    if (bundle_sign(&out, &root, 1, buf_bytes(&text), NULL, &key, 1, &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&c.text);
    buf_fini(&text);
    return out;
}

static enum err outcome_of(uint64_t ticket)
{
    uint64_t of = 0;
    enum err outcome;
    for (;;) {
        while (!store_poll_done(store, &of, &outcome))
            sem_wait(&news);
        if (of == ticket)
            return outcome;
    }
}

static enum err offer_bytes(struct bytes bundle)
{
    const struct root *root = trust_root(world.trust);
    enum err e = staged_offer(&g, &f, store, root, bundle, NOW, TICKET, &why);
    if (e == ERR_OK) {
        assert_true(staged_confirmed(&g, &f, store, outcome_of(TICKET), &self, NOW));
    } else if (e == ERR_NOT_FOUND) {
        e = enforced_offer(&f, store, root, bundle, NOW, TICKET, &why);
        if (e == ERR_OK)
            assert_true(enforced_confirmed(&f, outcome_of(TICKET), NOW));
        staged_drop_if_past(&g, &f, store);
    }
    return e;
}

static enum err offer(unsigned version, bool in_steps)
{
    struct buf b = bundle_about(version, in_steps, "the one");
    enum err e = offer_bytes(buf_bytes(&b));
    buf_fini(&b);
    return e;
}

/* What a look would have found. */
static void step_begins(size_t at)
{
    g.state.at = at;
    assert_true(staged_follow(&g, &f, store, NOW));
}

static void in_steps_it_waits_until_its_turn(void **state)
{
    (void)state;
    assert_int_equal(offer(1, false), ERR_OK);
    assert_int_equal(offer(2, true), ERR_OK);
    assert_int_equal(f.version, 1);
    assert_int_equal(g.state.own_step, 1);
    assert_int_equal(offer(2, true), ERR_EXISTS);
    restart();
    assert_true(g.on && g.version == 2 && f.version == 1);
    step_begins(1);
    assert_int_equal(f.version, 2);
    assert_int_equal(f.floor_version, 1); /* it may have to go back */
    restart();
    assert_true(g.on && g.entered && f.version == 2 && g.other.version == 1);
    g.state.is_done = true;
    assert_false(staged_follow(&g, &f, store, NOW));
    assert_false(g.on);
    assert_int_equal(f.floor_version, 2);
    restart();
    assert_true(!g.on && f.version == 2);
}

static void a_halt_goes_back_and_lasts(void **state)
{
    (void)state;
    assert_int_equal(offer(1, false), ERR_OK);
    assert_int_equal(offer(2, true), ERR_OK);
    step_begins(1);
    g.state.halted = ROLLOUT_ERRORS;
    assert_true(staged_follow(&g, &f, store, NOW));
    assert_int_equal(f.version, 1);
    restart();
    assert_int_equal(f.version, 1);
    assert_int_equal(g.state.halted, ROLLOUT_ERRORS);
    assert_int_equal(offer(2, true), ERR_STALE);
    assert_int_equal(offer(3, true), ERR_OK); /* the operator's next one */
    assert_int_equal(g.state.halted, ROLLOUT_NONE);
    assert_int_equal(f.version, 1);
}

static void one_in_the_middle_is_followed_by_the_next(void **state)
{
    (void)state;
    assert_int_equal(offer(1, false), ERR_OK);
    assert_int_equal(offer(4, true), ERR_OK);
    assert_int_equal(offer(3, true), ERR_STALE);
    step_begins(1);
    assert_int_equal(offer(5, true), ERR_OK);
    assert_int_equal(f.version, 4); /* it stays until the next one's turn */
    restart();
    assert_true(f.version == 4 && g.version == 5 && !g.entered);
    assert_int_equal(offer(6, false), ERR_OK); /* at once, and nothing waits any more */
    assert_true(f.version == 6 && !g.on);
    restart();
    assert_true(f.version == 6 && !g.on);
}

/* -- roots ------------------------------------------------------------------------------------- */

/* Whose keys are rotated away brings nothing into force any more, with steps or without. */
static void a_root_that_does_not_vouch_for_it_halts_it(void **state)
{
    (void)state;
    struct root next = *trust_root(world.trust);
    next.epoch = 2;
    next.policy.key[0] = key_of(50).pub;
    for (int entered = 0; entered < 2; entered++) {
        start_anew();
        assert_int_equal(offer(1, false), ERR_OK);
        assert_int_equal(offer(2, true), ERR_OK);
        if (entered)
            step_begins(1);
        assert_false(staged_rejudge(&g, &f, trust_root(world.trust)));
        assert_true(staged_rejudge(&g, &f, &next));
        assert_int_equal(staged_follow(&g, &f, store, NOW), entered);
        assert_true(f.version == 1 && g.state.halted == ROLLOUT_ROOT);
        restart();
        assert_true(f.version == 1 && g.state.halted == ROLLOUT_ROOT);
    }
}

/* Halted, entered, and nothing known to go back to: over a restart too it is not all denied. */
static void who_has_nothing_to_go_back_to_keeps_it_over_a_restart(void **state)
{
    (void)state;
    assert_int_equal(offer(2, true), ERR_OK);
    step_begins(1);
    g.state.halted = ROLLOUT_DENIED;
    assert_false(staged_follow(&g, &f, store, NOW));
    assert_true(f.version == 2);
    restart();
    assert_true(f.policy && f.version == 2 && g.state.halted == ROLLOUT_DENIED && staged_lacks_base(&g, &f));
}

/* -- forks (ADVERSARY B12) --------------------------------------------------------------------- */

struct twins { /* two bundles of version 2 */
    struct buf low, high;
    struct hash low_hash, high_hash;
};

static struct twins twins_of(bool low_in_steps, bool high_in_steps)
{
    struct twins t = {.high = {0}};
    struct bundle b;
    bool are_sorted = false;
    for (unsigned i = 0; !are_sorted; i++) {
        char comment[16];
        snprintf(comment, sizeof comment, "draft %u", i);
        buf_fini(&t.low);
        buf_fini(&t.high);
        t.low = bundle_about(2, low_in_steps, comment);
        t.high = bundle_about(2, high_in_steps, "the other");
        assert_int_equal(bundle_peek(&b, buf_bytes(&t.low)), ERR_OK);
        t.low_hash = b.hash;
        assert_int_equal(bundle_peek(&b, buf_bytes(&t.high)), ERR_OK);
        t.high_hash = b.hash;
        are_sorted = memcmp(t.low_hash.b, t.high_hash.b, HASH_BYTES) < 0;
    }
    return t;
}

static void twins_fini(struct twins *t)
{
    buf_fini(&t->low);
    buf_fini(&t->high);
}

static unsigned forks_counted(void)
{
    struct buf page = {0};
    static const char name[] = "starling_policy_refused_total{reason=\"fork\"} ";
    assert_int_equal(metrics_render(&page, &metrics, 1), ERR_OK);
    const char *at = strstr(buf_str(&page), name);
    unsigned n = at ? (unsigned)strtoul(at + strlen(name), NULL, 10) : 0;
    buf_fini(&page);
    return n;
}

static void assert_alarm(const struct hash *not_taken)
{
    struct hash other;
    assert_true(enforced_is_forked(&f, &other));
    assert_true(hash_eq(&other, not_taken));
    struct enforced_failed told = enforced_trouble(&f);
    assert_string_equal(told.reason, "fork");
    assert_int_equal(told.version, 2);
}

static void a_twin_of_what_waits_raises_the_alarm_in_both_orders(void **state)
{
    (void)state;
    for (int low_first = 0; low_first < 2; low_first++) {
        struct twins t = twins_of(true, true);
        start_anew(); /* each order on an agent of its own */
        unsigned before = forks_counted();
        assert_int_equal(offer(1, false), ERR_OK);
        assert_int_equal(offer_bytes(buf_bytes(low_first ? &t.low : &t.high)), ERR_OK);
        assert_false(enforced_is_forked(&f, NULL));
        assert_int_equal(offer_bytes(buf_bytes(low_first ? &t.high : &t.low)),
                         low_first ? ERR_CONFLICT : ERR_OK);
        assert_int_equal(forks_counted() - before, 1);
        assert_alarm(&t.high_hash);
        assert_true(hash_eq(&g.hash, &t.low_hash) && f.version == 1);
        enforced_save(&f, store);
        restart();
        assert_alarm(&t.high_hash);
        step_begins(1);
        assert_alarm(&t.high_hash); /* in force, and still two of them */
        assert_int_equal(offer(3, false), ERR_OK);
        assert_false(enforced_is_forked(&f, NULL));
        twins_fini(&t);
    }
}

static void who_has_entered_goes_back_for_the_twin_with_the_lower_hash(void **state)
{
    struct twins t = twins_of(true, true);
    (void)state;
    assert_int_equal(offer(1, false), ERR_OK);
    assert_int_equal(offer_bytes(buf_bytes(&t.high)), ERR_OK);
    step_begins(1);
    assert_true(hash_eq(&f.hash, &t.high_hash));
    assert_int_equal(offer_bytes(buf_bytes(&t.low)), ERR_OK);
    assert_alarm(&t.high_hash);
    assert_true(f.version == 1 && !g.entered && g.state.at == 0); /* through the steps, as all */
    assert_true(hash_eq(&g.hash, &t.low_hash) && hash_eq(&g.other.hash, &t.low_hash));
    restart();
    assert_true(f.version == 1 && !g.entered && hash_eq(&g.hash, &t.low_hash));
    step_begins(1);
    assert_true(hash_eq(&f.hash, &t.low_hash) && g.other.version == 1);
    assert_int_equal(offer_bytes(buf_bytes(&t.high)), ERR_CONFLICT);
    assert_true(hash_eq(&f.hash, &t.low_hash));
    twins_fini(&t);
}

/* Or whoever signs one number twice would set going again what was halted. */
static void the_twin_of_what_was_halted_is_halted(void **state)
{
    struct twins t = twins_of(true, true);
    (void)state;
    assert_int_equal(offer(1, false), ERR_OK);
    assert_int_equal(offer_bytes(buf_bytes(&t.high)), ERR_OK);
    step_begins(1);
    g.state.halted = ROLLOUT_DENIED;
    assert_true(staged_follow(&g, &f, store, NOW));
    assert_int_equal(offer_bytes(buf_bytes(&t.low)), ERR_OK); /* held, as everywhere */
    for (int again = 0; again < 2; again++) {
        assert_true(hash_eq(&g.hash, &t.low_hash) && g.state.halted == ROLLOUT_DENIED);
        assert_true(f.version == 1 && !g.entered && !rollout_is_in(&g.state));
        assert_alarm(&t.high_hash);
        enforced_save(&f, store);
        restart();
    }
    assert_int_equal(offer(3, true), ERR_OK);
    assert_int_equal(g.state.halted, ROLLOUT_NONE);
    twins_fini(&t);
}

/* A member that joined in the middle, before it heard what the others go back to. */
static void who_has_nothing_to_go_back_to_takes_the_twin(void **state)
{
    struct twins t = twins_of(true, true);
    (void)state;
    assert_int_equal(offer_bytes(buf_bytes(&t.high)), ERR_OK);
    step_begins(1);
    assert_int_equal(offer_bytes(buf_bytes(&t.low)), ERR_OK);
    assert_true(f.policy && hash_eq(&f.hash, &t.low_hash) && g.entered && !g.other.policy);
    restart();
    assert_true(f.policy && hash_eq(&f.hash, &t.low_hash) && g.entered);
    twins_fini(&t);
}

static void a_twin_without_steps_is_in_force_at_once_if_it_is_the_lower(void **state)
{
    struct twins t = twins_of(false, true), u = twins_of(true, false);
    unsigned before = forks_counted();
    (void)state;
    assert_int_equal(offer(1, false), ERR_OK);
    assert_int_equal(offer_bytes(buf_bytes(&t.high)), ERR_OK);
    step_begins(1);
    assert_int_equal(offer_bytes(buf_bytes(&t.low)), ERR_OK);
    assert_true(hash_eq(&f.hash, &t.low_hash) && f.floor_version == 2 && !g.on);
    assert_int_equal(forks_counted() - before, 1);
    assert_alarm(&t.high_hash);
    start_anew();
    assert_int_equal(offer(1, false), ERR_OK);
    assert_int_equal(offer_bytes(buf_bytes(&u.low)), ERR_OK);
    assert_int_equal(offer_bytes(buf_bytes(&u.high)), ERR_CONFLICT);
    assert_true(f.version == 1 && g.on);
    assert_alarm(&u.high_hash);
    twins_fini(&t);
    twins_fini(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_steps_it_waits_until_its_turn, begin, end),
        cmocka_unit_test_setup_teardown(a_halt_goes_back_and_lasts, begin, end),
        cmocka_unit_test_setup_teardown(one_in_the_middle_is_followed_by_the_next, begin, end),
        cmocka_unit_test_setup_teardown(a_root_that_does_not_vouch_for_it_halts_it, begin, end),
        cmocka_unit_test_setup_teardown(who_has_nothing_to_go_back_to_keeps_it_over_a_restart, begin, end),
        cmocka_unit_test_setup_teardown(a_twin_of_what_waits_raises_the_alarm_in_both_orders, begin, end),
        cmocka_unit_test_setup_teardown(who_has_entered_goes_back_for_the_twin_with_the_lower_hash, begin,
                                        end),
        cmocka_unit_test_setup_teardown(the_twin_of_what_was_halted_is_halted, begin, end),
        cmocka_unit_test_setup_teardown(who_has_nothing_to_go_back_to_takes_the_twin, begin, end),
        cmocka_unit_test_setup_teardown(a_twin_without_steps_is_in_force_at_once_if_it_is_the_lower, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
