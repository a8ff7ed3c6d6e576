/* What was revoked once stays revoked, on disk and in memory, whatever later policies say (ADVERSARY G36, B7). */
#include "control_world.h"

#include "control/revocations.h"

static char folder[64];
static struct store *store;

static void wake(void *arg)
{
    (void)arg;
}

static void open_store(void)
{
    struct buf why = {0};
    if (store_open(&store, folder, wake, NULL, &why) != ERR_OK)
        fail_msg("%s", buf_str(&why));
    buf_fini(&why);
}

static int begin(void **state)
{
    folder_make(folder);
    open_store();
    return world_make(state);
}

static int end(void **state)
{
    store_close(store);
    folder_remove(folder);
    return world_end(state);
}

/* A policy that revokes the keys of these seeds. */
static struct policy *policy_of(const char *seeds)
{
    struct buf text = {0};
    struct policy *p = NULL;
    char key[NODE_ID_TEXT_MAX];
    buf_add_str(&text, "policy: v1\nmesh: m\nversion: 1\nrevoke:\n");
    for (; *seeds; seeds++) {
        struct sign_key k = key_of((uint8_t)*seeds);
        buf_addf(&text, "  - {key: \"%s\", reason: x, at: 2026-08-20T10:00:00Z}\n",
                 node_id_text(&k.pub, key));
    }
    assert_int_equal(policy_compile(&p, buf_bytes(&text), NULL), ERR_OK);
    buf_fini(&text);
    return p;
}

static bool holds(const struct revocations *r, char seed)
{
    struct sign_key k = key_of((uint8_t)seed);
    return revoked_has(r->set, &k.pub);
}

static bool take(struct revocations *r, const char *seeds, wall_s now)
{
    struct policy *p = policy_of(seeds);
    bool news;
    assert_int_equal(revocations_take(r, p, store, now, &news), ERR_OK);
    policy_unref(p);
    return news;
}

static void what_a_later_policy_drops_is_kept_also_over_a_restart(void **state)
{
    (void)state;
    struct revocations r;
    assert_int_equal(revocations_load(&r, store), ERR_OK);
    assert_int_equal(revoked_count(r.set), 0);
    assert_true(take(&r, "ab", NOW));
    revocations_save(&r, store, 7);
    assert_true(take(&r, "bc", NOW + 1));
    assert_false(take(&r, "b", NOW + 2));
    assert_true(holds(&r, 'a') && holds(&r, 'b') && holds(&r, 'c'));
    assert_int_equal(r.asked, 2);
    revocations_save(&r, store, 7); /* waits for the first two */
    assert_int_equal(r.asked, 2);
    revocations_saved(&r, ERR_OK);
    revocations_saved(&r, ERR_OK);
    assert_true(revocations_are_unsaved(&r));
    revocations_save(&r, store, 7);
    revocations_fini(&r);
    store_close(store);
    open_store();
    assert_int_equal(revocations_load(&r, store), ERR_OK);
    assert_int_equal(revoked_count(r.set), 3);
    assert_true(holds(&r, 'a') && holds(&r, 'b') && holds(&r, 'c'));
    assert_false(revocations_are_unsaved(&r));
    assert_false(take(&r, "abc", NOW + 3));
    revocations_fini(&r);
}

static void what_could_not_be_stored_is_stored_again(void **state)
{
    (void)state;
    struct revocations r;
    assert_int_equal(revocations_load(&r, store), ERR_OK);
    assert_true(take(&r, "ab", NOW));
    revocations_save(&r, store, 7);
    revocations_saved(&r, ERR_FULL);
    revocations_saved(&r, ERR_OK);
    assert_true(revocations_are_unsaved(&r));
    revocations_save(&r, store, 7);
    assert_int_equal(r.asked, 2);
    revocations_saved(&r, ERR_OK);
    revocations_saved(&r, ERR_OK);
    assert_false(revocations_are_unsaved(&r));
    revocations_fini(&r);
}

/* Full: the oldest that the policy in force does not list gives way, never one that it does. */
static void the_oldest_gives_way_but_no_line_of_the_policy(void **state)
{
    (void)state;
    struct revocations r;
    assert_int_equal(revocations_load(&r, store), ERR_OK);
    assert_true(take(&r, "ab", NOW));
    r.at = realloc(r.at, REVOKED_KEYS_MAX * sizeof *r.at);
    assert_non_null(r.at);
    r.cap = REVOKED_KEYS_MAX;
    while (r.count < REVOKED_KEYS_MAX) {
        struct kept_key k = {.since = NOW + (wall_s)r.count};
        store_be32(k.key.b, (uint32_t)r.count);
        r.at[r.count++] = k;
    }
    assert_true(take(&r, "ac", NOW + DAY));
    assert_int_equal(r.count, REVOKED_KEYS_MAX);
    assert_true(holds(&r, 'a') && holds(&r, 'c'));
    assert_false(holds(&r, 'b'));
    revocations_fini(&r);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(what_a_later_policy_drops_is_kept_also_over_a_restart),
        STORY(what_could_not_be_stored_is_stored_again),
        STORY(the_oldest_gives_way_but_no_line_of_the_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
