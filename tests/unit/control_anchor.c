/* Which root is trusted here, over rotations, restarts, other branches and the operator's hand (ADVERSARY B13, B14, B15). */
#include "control_world.h"

#include <semaphore.h>

#include "control/anchor.h"
#include "store/file.h"

enum { TICKET = 9, STEPS = 4 };

static char folder[64], file[96];
static struct store *store;
static struct metrics *metrics;
static struct anchor a;
static struct trust *trust;
static struct buf walked, why, step[STEPS + 1],
    other; /* step[n]: the root of epoch n; keys n and n - 1 sign it */
static sem_t news;

static void wake(void *arg)
{
    sem_post(arg);
}

static struct buf root_of(uint64_t epoch, uint8_t own, uint8_t before)
{
    struct sign_key key[2] = {key_of(own), key_of(before)};
    const struct sign_key *by[2] = {&key[0], &key[1]};
    struct buf out = {0};
    struct root r = {.mesh = STR("shop.example"),
                     .epoch = epoch,
                     .root = {1, 1, {key[0].pub}},
                     .policy = {1, 1, {world.policy_key.pub}},
                     .enrol = {1, 1, {world.enrol_key.pub}}};
    assert_int_equal(root_create(&out, &r, by, own == before ? 1 : 2), ERR_OK);
    return out;
}

static void put_file(const struct buf *root)
{
    assert_int_equal(file_write(file, buf_bytes(root), 0644, true, &why), ERR_OK);
}

/* As at boot: the file is brought up to date, read, and the chain verified. */
static enum err try_start(void)
{
    struct buf bytes = {0};
    buf_fini(&why);
    assert_int_equal(store_open(&store, folder, wake, &news, &why), ERR_OK);
    enum err e = anchor_refresh(store, folder, &why);
    if (e == ERR_OK && walked.len > 0)
        put_file(&step[3]); /* as the identity does that followed a token there */
    if (e == ERR_OK) {
        assert_int_equal(file_read(&bytes, file, ROOT_BYTES_MAX, &why), ERR_OK);
        assert_int_equal(trust_new(&trust, buf_bytes(&bytes), NULL), ERR_OK);
        e = anchor_init(&a, store, buf_bytes(&bytes), buf_bytes(&walked), &trust, metrics, &why);
    }
    buf_fini(&bytes);
    return e;
}

static void stop(void)
{
    anchor_fini(&a);
    a = (struct anchor){.metrics = metrics};
    trust_unref(trust);
    trust = NULL;
    store_close(store);
}

static int begin(void **state)
{
    folder_make(folder);
    snprintf(file, sizeof file, "%s/root.trust", folder);
    sem_init(&news, 0, 0);
    metrics = metrics_new();
    world_make(state);
    for (uint8_t n = 1; n <= STEPS; n++)
        step[n] = root_of(n, n, n > 1 ? (uint8_t)(n - 1) : n);
    put_file(&step[1]);
    assert_int_equal(try_start(), ERR_OK);
    return 0;
}

static int end(void **state)
{
    stop();
    buf_fini(&why);
    buf_fini(&other);
    for (size_t n = 1; n <= STEPS; n++)
        buf_fini(&step[n]);
    metrics_free(metrics);
    folder_remove(folder);
    sem_destroy(&news);
    return world_end(state);
}

static void take(enum err outcome)
{
    uint64_t ticket = 0;
    enum err stored;
    while (!store_poll_done(store, &ticket, &stored))
        sem_wait(&news);
    assert_int_equal(ticket, TICKET);
    assert_int_equal(stored, ERR_OK);
    struct trust *fresh = anchor_confirmed(&a, outcome);
    assert_int_equal(fresh != NULL, outcome == ERR_OK);
    if (fresh) {
        trust_unref(trust);
        trust = fresh;
    }
}

static enum err publish(const struct buf *root)
{
    buf_fini(&why);
    enum err e = anchor_offer_root(&a, store, trust, buf_bytes(root), TICKET, &why);
    if (e == ERR_OK)
        take(ERR_OK);
    return e;
}

static enum err gossip(size_t from, size_t to)
{
    struct bytes list[STEPS];
    struct buf chain = {0};
    for (size_t n = from; n <= to; n++)
        list[n - from] = buf_bytes(&step[n]);
    assert_int_equal(chain_of(&chain, list, to - from + 1), ERR_OK);
    buf_fini(&why);
    enum err e = anchor_offer(&a, store, trust, buf_bytes(&chain), TICKET, &why);
    if (e == ERR_OK)
        take(ERR_OK);
    buf_fini(&chain);
    return e;
}

static bool says(const char *words)
{
    return strstr(buf_str(&why), words) != NULL;
}

static void roots_are_published_one_after_the_other(void **state)
{
    (void)state;
    assert_int_equal(a.epoch, 1);
    assert_int_equal(publish(&step[1]), ERR_EXISTS);
    assert_int_equal(publish(&step[3]), ERR_NOT_FOUND);
    assert_true(says("publish the roots in between first"));
    assert_int_equal(publish(&step[2]), ERR_OK);
    assert_int_equal(trust_root(trust)->epoch, 2);
    assert_int_equal(publish(&step[1]), ERR_STALE); /* B14 */
    assert_int_equal(publish(&step[3]), ERR_OK);
    assert_int_equal(a.epoch, 3);
    assert_int_equal(a.count, 3);
}

static void it_is_used_when_it_is_stored_and_not_before(void **state)
{
    (void)state;
    assert_int_equal(anchor_offer_root(&a, store, trust, buf_bytes(&step[2]), TICKET, &why), ERR_OK);
    assert_int_equal(a.epoch, 1);
    assert_int_equal(anchor_offer_root(&a, store, trust, buf_bytes(&step[2]), TICKET, &why), ERR_AGAIN);
    take(ERR_FULL); /* as if the disk had been full */
    assert_int_equal(a.epoch, 1);
    assert_int_equal(publish(&step[2]), ERR_OK);
}

static void who_was_away_for_two_rotations_walks_them(void **state)
{
    (void)state;
    assert_int_equal(gossip(1, 3), ERR_OK);
    assert_int_equal(trust_root(trust)->epoch, 3);
    assert_int_equal(gossip(1, 3), ERR_EXISTS);
    assert_int_equal(gossip(1, 2), ERR_STALE);
    stop();
    assert_int_equal(try_start(), ERR_OK); /* the file still had root 1 */
    assert_int_equal(trust_root(trust)->epoch, 3);
    assert_int_equal(why.len, 0);
    struct buf now = {0};
    assert_int_equal(file_read(&now, file, ROOT_BYTES_MAX, NULL), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&now), buf_bytes(&step[3])));
    buf_fini(&now);
}

/* Two roots further by a token: the steps between are kept, and nobody is told that an operator put a root there. */
static void what_a_token_has_walked_is_kept_with_the_chain(void **state)
{
    (void)state;
    const struct bytes walk[] = {buf_bytes(&step[1]), buf_bytes(&step[2]), buf_bytes(&step[3])};
    stop();
    assert_int_equal(chain_of(&walked, walk, 3), ERR_OK);
    assert_int_equal(try_start(), ERR_OK);
    assert_int_equal(why.len, 0);
    assert_true(a.first == 1 && a.count == 3 && a.epoch == 3);
    assert_int_equal(trust_root(trust)->epoch, 3);
    stop();
    buf_fini(&walked);
    assert_int_equal(try_start(), ERR_OK); /* without the token */
    assert_true(a.first == 1 && a.count == 3 && a.epoch == 3);
}

/* A host whose token had a later root than the first learns what was before, and gives on what came after. */
static void chains_that_begin_elsewhere_become_one(void **state)
{
    (void)state;
    assert_int_equal(gossip(1, 3), ERR_OK);
    assert_int_equal(gossip(3, 3), ERR_EXISTS);
    assert_int_equal(gossip(3, 4), ERR_OK); /* from a host that knows nothing of 1 and 2 */
    assert_int_equal(a.first, 1);
    assert_int_equal(a.count, 4);

    stop(); /* and the other way round */
    folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    put_file(&step[3]);
    assert_int_equal(try_start(), ERR_OK);
    assert_int_equal(a.first, 3);
    assert_int_equal(gossip(1, 3), ERR_OK);
    assert_int_equal(a.first, 1);
    assert_int_equal(a.count, 3);
    assert_int_equal(a.epoch, 3);
}

/* Old root keys in a thief's hands make another root 2, and a third after it. */
static void another_branch_is_refused_whatever_its_length_and_alarms_B14(void **state)
{
    (void)state;
    assert_int_equal(publish(&step[2]), ERR_OK);
    other = root_of(2, 66, 1);
    struct buf third = root_of(3, 66, 66), chain = {0};
    const struct bytes list[] = {buf_bytes(&step[1]), buf_bytes(&other), buf_bytes(&third)};
    assert_int_equal(chain_of(&chain, list, 3), ERR_OK);
    assert_false(a.forked);
    assert_int_equal(anchor_offer(&a, store, trust, buf_bytes(&chain), TICKET, &why), ERR_CONFLICT);
    assert_true(a.forked);
    assert_int_equal(a.epoch, 2);
    struct sign_key own = key_of(2);
    assert_true(role_has(&trust_root(trust)->root, &own.pub));
    assert_int_equal(publish(&other), ERR_STALE);
    buf_fini(&third);
    buf_fini(&chain);
}

static void a_chain_of_strangers_is_no_fork(void **state)
{
    (void)state;
    struct buf chain = {0};
    other = root_of(7, 66, 66);
    assert_int_equal(chain_begin(&chain, buf_bytes(&other)), ERR_OK);
    assert_int_equal(anchor_offer(&a, store, trust, buf_bytes(&chain), TICKET, &why), ERR_CONFLICT);
    assert_false(a.forked);
    assert_int_equal(anchor_offer(&a, store, trust, STR("nonsense"), TICKET, &why), ERR_MALFORMED);
    buf_fini(&chain);
}

/* All root keys are lost: operators make a root that nothing leads to, and put it on each host. */
static void a_root_put_there_by_hand_is_believed_if_it_is_newer_B15(void **state)
{
    (void)state;
    assert_int_equal(publish(&step[2]), ERR_OK);
    other = root_of(3, 66, 66);
    assert_int_equal(publish(&other), ERR_AUTH); /* not by publishing */
    stop();
    put_file(&other);
    assert_int_equal(try_start(), ERR_OK);
    assert_true(says("put there by hand"));
    assert_int_equal(a.epoch, 3);
    assert_int_equal(a.first, 3);
    stop();
    assert_int_equal(try_start(), ERR_OK); /* said once */
    assert_int_equal(why.len, 0);
    assert_int_equal(a.epoch, 3);
    assert_int_equal(gossip(1, 2), ERR_CONFLICT); /* the others have not got it yet */
}

static void an_old_root_put_there_by_hand_takes_nothing_back(void **state)
{
    (void)state;
    assert_int_equal(gossip(1, 3), ERR_OK);
    stop();
    put_file(&step[1]);
    assert_int_equal(try_start(), ERR_OK);
    assert_int_equal(a.epoch, 3);
    stop();
    other = root_of(2, 66, 66);
    put_file(&other);
    assert_int_equal(try_start(), ERR_CONFLICT);
    assert_true(says("is not of the chain of roots"));
}

/* The operator may as well put the next one there. */
static void the_next_root_by_hand_is_a_step_like_any_other(void **state)
{
    (void)state;
    stop();
    put_file(&step[1]);
    assert_int_equal(try_start(), ERR_OK);
    assert_int_equal(publish(&step[2]), ERR_OK);
    stop();
    put_file(&step[3]);
    assert_int_equal(try_start(), ERR_OK);
    assert_int_equal(why.len, 0);
    assert_int_equal(a.count, 3);
}

int main(void)
{
#define STORY(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(roots_are_published_one_after_the_other),
        STORY(it_is_used_when_it_is_stored_and_not_before),
        STORY(who_was_away_for_two_rotations_walks_them),
        STORY(what_a_token_has_walked_is_kept_with_the_chain),
        STORY(chains_that_begin_elsewhere_become_one),
        STORY(another_branch_is_refused_whatever_its_length_and_alarms_B14),
        STORY(a_chain_of_strangers_is_no_fork),
        STORY(a_root_put_there_by_hand_is_believed_if_it_is_newer_B15),
        STORY(an_old_root_put_there_by_hand_takes_nothing_back),
        STORY(the_next_root_by_hand_is_a_step_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
