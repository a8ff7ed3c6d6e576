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

static struct buf bundle_of(unsigned version, bool in_steps)
{
    struct buf text = {0}, out = {0};
    struct complaints c = {0};
    const struct sign_key *key = &world.policy_key;
    struct root root = *trust_root(world.trust);
    root.policy.key[0] = key->pub;
    buf_addf(&text, "policy: v1\nmesh: shop.example\nversion: %u\n%s", version,
             in_steps ? "rollout: {steps: [ring=canary, 100%], pause: 10s}\n" : "");
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

static enum err offer(unsigned version, bool in_steps)
{
    struct buf b = bundle_of(version, in_steps);
    const struct root *root = trust_root(world.trust);
    enum err e = staged_offer(&g, &f, store, root, buf_bytes(&b), NOW, TICKET, &why);
    if (e == ERR_OK) {
        assert_true(staged_confirmed(&g, &f, store, outcome_of(TICKET), &self, NOW));
    } else if (e == ERR_NOT_FOUND) {
        e = enforced_offer(&f, store, root, buf_bytes(&b), NOW, TICKET, &why);
        if (e == ERR_OK)
            assert_true(enforced_confirmed(&f, outcome_of(TICKET), NOW));
        staged_drop_if_past(&g, &f, store);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_steps_it_waits_until_its_turn, begin, end),
        cmocka_unit_test_setup_teardown(a_halt_goes_back_and_lasts, begin, end),
        cmocka_unit_test_setup_teardown(one_in_the_middle_is_followed_by_the_next, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
