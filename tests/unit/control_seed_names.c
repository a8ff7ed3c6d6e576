/* Seeds as written become addresses: ours left out, each once, and what fails is tried again. */
#include "control_world.h"

#include "control/seed_names.h"
#include "observe/log.h"

static struct turning turning;
static struct seed_names *seeds;
static struct config config;
static struct addr found[SEEDS_ADDRS_MAX];
static size_t found_count, lists;

static void on_changed(void *arg, const struct addr *at, size_t count)
{
    (void)arg;
    memcpy(found, at, count * sizeof *at);
    found_count = count;
    lists++;
}

static int begin(void **state)
{
    (void)state;
    turning_make(&turning, NULL);
    seeds = seed_names_new(turning.loop, on_changed, NULL);
    assert_non_null(seeds);
    config = (struct config){.seed_count = 0};
    found_count = lists = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    seed_names_free(seeds);
    net_loop_free(turning.loop);
    return 0;
}

static void write_seeds(size_t count, const char *const *text)
{
    config.seed_count = count;
    for (size_t i = 0; i < count; i++)
        strcpy(config.seed[i], text[i]);
}

static bool one_list(void)
{
    return lists == 1;
}

static bool list_has(const char *text)
{
    struct addr a;
    assert_true(addr_parse(&a, text, 0));
    for (size_t i = 0; i < found_count; i++)
        if (addr_eq(&found[i], &a))
            return true;
    return false;
}

static void addresses_are_taken_at_once_without_our_own_and_without_repeats(void **state)
{
    (void)state;
    write_seeds(5, (const char *const[]){"10.0.0.1:7400", "10.0.0.2", "10.0.0.1:7400", "10.0.0.9:7400",
                                         "[2001:db8::1]:9"});
    config.advertise_count = 1;
    assert_true(addr_parse(&config.advertise[0], "10.0.0.9:7400", 0));
    seed_names_set(seeds, &config, 1000);
    assert_int_equal(lists, 1);
    assert_int_equal(found_count, 3);
    assert_true(list_has("10.0.0.1:7400") && list_has("10.0.0.2:7400") && list_has("[2001:db8::1]:9"));
}

static void a_name_is_resolved_and_again_later(void **state)
{
    (void)state;
    write_seeds(1, (const char *const[]){"localhost:7400"});
    seed_names_set(seeds, &config, net_now(turning.loop));
    assert_int_equal(lists, 0);
    assert_true(seed_names_deadline(seeds) == NEVER); /* while it is under way */
    turn_until(&turning, one_list);
    assert_true(list_has("127.0.0.1:7400") || list_has("[::1]:7400"));
    mono_ms again = seed_names_deadline(seeds), now = net_now(turning.loop);
    assert_true(again > now + SEEDS_RETRY_MS && again <= now + SEEDS_RESOLVE_EVERY_MS);
}

/* No resolver takes a label of 64 letters; what else is written is used meanwhile. */
static void a_name_that_does_not_resolve_is_tried_again_soon(void **state)
{
    (void)state;
    write_seeds(2, (const char *const[]){
                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x:1",
                       "10.0.0.1:7400"});
    seed_names_set(seeds, &config, net_now(turning.loop));
    turn_until(&turning, one_list);
    assert_int_equal(found_count, 1);
    assert_true(seed_names_deadline(seeds) <= net_now(turning.loop) + SEEDS_RETRY_MS);
}

static void a_new_list_abandons_the_questions_of_the_old_one(void **state)
{
    (void)state;
    write_seeds(1, (const char *const[]){"localhost:1"});
    seed_names_set(seeds, &config, net_now(turning.loop));
    write_seeds(1, (const char *const[]){"localhost:2"});
    seed_names_set(seeds, &config, net_now(turning.loop));
    turn_until(&turning, one_list);
    assert_int_equal(found[0].port, 2);
}

static void what_is_still_asked_at_the_end_is_let_go(void **state)
{
    (void)state;
    write_seeds(1, (const char *const[]){"localhost:1"});
    seed_names_set(seeds, &config, net_now(turning.loop));
    assert_int_equal(lists, 0); /* end() takes all down; the sanitizers watch */
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(addresses_are_taken_at_once_without_our_own_and_without_repeats),
        STORY(a_name_is_resolved_and_again_later),
        STORY(a_name_that_does_not_resolve_is_tried_again_soon),
        STORY(a_new_list_abandons_the_questions_of_the_old_one),
        STORY(what_is_still_asked_at_the_end_is_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
