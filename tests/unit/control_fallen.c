/* Who was cut, the newest first, in a bounded list. */
#include "control_world.h"

#include <stdio.h>

#include "control/fallen.h"

static void the_newest_are_kept_and_the_oldest_give_way(void **state)
{
    (void)state;
    static struct fallen f;
    static struct record r;
    char name[NODE_NAME_MAX + 1], why[1000];
    assert_int_equal(fallen_count(&f), 0);
    r.service_count = 2;
    r.service[0].name = bytes_str("cart");
    r.service[1].name = bytes_str("db");
    for (int i = 0; i < FALLEN_MAX + 3; i++) {
        snprintf(name, sizeof name, "host-%d", i);
        snprintf(why, sizeof why, "reason %d", i);
        r.credential.node = bytes_str(name);
        fallen_note(&f, &r, why, 1000 + i);
    }
    assert_int_equal(fallen_count(&f), FALLEN_MAX);
    assert_string_equal(fallen_at(&f, 0)->name, "host-34");
    assert_string_equal(fallen_at(&f, 0)->why, "reason 34");
    assert_int_equal(fallen_at(&f, 0)->at, 1034);
    assert_string_equal(fallen_at(&f, FALLEN_MAX - 1)->name, "host-3");
    assert_true(fallen_offered(fallen_at(&f, 0), bytes_str("db")));
    assert_false(fallen_offered(fallen_at(&f, 0), bytes_str("d")));
    memset(why, 'x', sizeof why - 1);
    why[sizeof why - 1] = 0;
    r.service_count = 0;
    fallen_note(&f, &r, why, 2000); /* longer than there is room: cut */
    assert_int_equal(strlen(fallen_at(&f, 0)->why), FALLEN_WHY_MAX);
    assert_false(fallen_offered(fallen_at(&f, 0), bytes_str("cart")));
}

/* A restart does not make an agent forget whom it cut. */
static void they_are_kept_over_a_restart(void **state)
{
    static struct fallen f, again;
    static struct record r;
    char folder[64], why[FALLEN_WHY_MAX + 2];
    struct store *store;
    struct buf said = {0};
    (void)state;
    folder_make(folder);
    assert_int_equal(store_open(&store, folder, NULL, NULL, &said), ERR_OK);
    assert_int_equal(fallen_load(&again, store), ERR_OK);
    assert_int_equal(fallen_count(&again), 0);
    r.service_count = 1;
    r.service[0].name = bytes_str("cart");
    r.credential.node = bytes_str("host");
    memset(why, 'x', sizeof why);
    memcpy(why + FALLEN_WHY_MAX - 1, "\xc3\xa4", 3); /* a letter that is cut in two */
    for (int i = 0; i < FALLEN_MAX + 3; i++)
        fallen_note(&f, &r, i == FALLEN_MAX + 1 ? why : "lost", 1000 + i);
    fallen_save(&f, store);
    assert_false(f.is_unsaved);
    store_close(store);
    assert_int_equal(store_open(&store, folder, NULL, NULL, &said), ERR_OK);
    assert_int_equal(fallen_load(&again, store), ERR_OK);
    assert_int_equal(fallen_count(&again), FALLEN_MAX);
    for (size_t i = 0; i < FALLEN_MAX; i++)
        assert_memory_equal(fallen_at(&again, i), fallen_at(&f, i), sizeof(struct fallen_one));
    fallen_note(&again, &r, "lost too", 5000); /* and it goes on from there */
    assert_int_equal(fallen_at(&again, 0)->at, 5000);
    assert_int_equal(fallen_at(&again, FALLEN_MAX - 1)->at, 1004);
    store_close(store);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_are_kept_and_the_oldest_give_way),
        cmocka_unit_test(they_are_kept_over_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
