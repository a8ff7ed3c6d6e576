/* Our own incarnation: durable before it is used (ADVERSARY R5). */
#include "control_world.h"

#include <semaphore.h>

#include "control/own.h"

enum { TICKET = 7 };

static char folder[64];
static struct store *store;
static sem_t news;

static void wake(void *arg)
{
    sem_post(arg);
}

static void open_store(void)
{
    struct buf why = {0};
    assert_int_equal(store_open(&store, folder, wake, &news, &why), ERR_OK);
    buf_fini(&why);
}

static int begin(void **state)
{
    (void)state;
    folder_make(folder);
    sem_init(&news, 0, 0);
    open_store();
    return 0;
}

static int end(void **state)
{
    (void)state;
    store_close(store);
    folder_remove(folder);
    sem_destroy(&news);
    return 0;
}

static enum err answer_of_store(void)
{
    uint64_t ticket = 0;
    enum err outcome;
    while (!store_poll_done(store, &ticket, &outcome))
        sem_wait(&news);
    assert_int_equal(ticket, TICKET);
    return outcome;
}

static void each_run_begins_above_every_number_of_the_one_before(void **state)
{
    (void)state;
    struct own o;
    assert_int_equal(own_init(&o, store), ERR_OK);
    assert_int_equal(o.incarnation, 1);
    for (int i = 0; i < OWN_INCARNATIONS_AHEAD / 2 - 1; i++)
        assert_int_equal(own_raise(&o, store, 0, TICKET), ERR_OK);
    uint64_t last = o.incarnation;
    store_close(store);
    open_store();
    assert_int_equal(own_init(&o, store), ERR_OK);
    assert_true(o.incarnation > last);
}

static void a_number_beyond_the_block_waits_for_the_store_R5(void **state)
{
    (void)state;
    struct own o;
    assert_int_equal(own_init(&o, store), ERR_OK);
    assert_int_equal(own_raise(&o, store, 1000, TICKET), ERR_AGAIN);
    assert_int_equal(o.incarnation, 1);
    assert_int_equal(o.wanted, 1000);
    assert_int_equal(answer_of_store(), ERR_OK);
    own_confirmed(&o, ERR_OK);
    assert_int_equal(own_raise(&o, store, o.wanted, TICKET), ERR_OK);
    assert_int_equal(o.incarnation, 1000);
    assert_int_equal(o.wanted, 0);
    uint64_t durable = 0;
    assert_int_equal(store_number_get(store, "incarnation", &durable), ERR_OK);
    assert_true(durable >= 1000);
}

static void while_the_store_fails_no_number_beyond_the_block_is_used_R5(void **state)
{
    (void)state;
    struct own o;
    assert_int_equal(own_init(&o, store), ERR_OK);
    assert_int_equal(own_raise(&o, store, 500, TICKET), ERR_AGAIN);
    (void)answer_of_store();
    own_confirmed(&o, ERR_FULL); /* as if the disk had been full */
    assert_int_equal(own_raise(&o, store, 500, TICKET), ERR_AGAIN);
    assert_int_equal(o.incarnation, 1);
    /* What is in the block may still be used. */
    (void)answer_of_store();
    own_confirmed(&o, ERR_FULL);
    assert_int_equal(own_raise(&o, store, 2, TICKET), ERR_OK);
    assert_int_equal(o.incarnation, 2);
}

static void half_way_through_a_block_the_next_is_asked_for(void **state)
{
    (void)state;
    struct own o;
    assert_int_equal(own_init(&o, store), ERR_OK);
    uint64_t block_end = o.reserved;
    while (o.asked == o.reserved)
        assert_int_equal(own_raise(&o, store, 0, TICKET), ERR_OK);
    assert_true(o.incarnation <= block_end - OWN_INCARNATIONS_AHEAD / 2 + 1);
    assert_int_equal(answer_of_store(), ERR_OK);
    own_confirmed(&o, ERR_OK);
    assert_true(o.reserved > block_end);
}

static void a_thief_of_our_key_cannot_make_the_number_wrap(void **state)
{
    (void)state;
    struct own o;
    assert_int_equal(own_init(&o, store), ERR_OK);
    assert_int_equal(own_raise(&o, store, UINT64_MAX - 3, TICKET), ERR_LIMIT);
    assert_int_equal(o.incarnation, 1);
    assert_int_equal(o.wanted, 0);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(each_run_begins_above_every_number_of_the_one_before),
        STORY(a_number_beyond_the_block_waits_for_the_store_R5),
        STORY(while_the_store_fails_no_number_beyond_the_block_is_used_R5),
        STORY(half_way_through_a_block_the_next_is_asked_for),
        STORY(a_thief_of_our_key_cannot_make_the_number_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
