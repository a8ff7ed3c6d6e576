/* Ring and Maglev table: even shares, few keys that move when a member comes or goes, the same table in whatever order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/rng.h"
#include "traffic/keytable.h"

enum { MEMBERS = 20, KEYS = 100000 };

static void make_ids(uint64_t *id, size_t count)
{
    struct rng r = rng_seeded(77);
    for (size_t i = 0; i < count; i++)
        id[i] = rng_u64(&r);
}

static uint64_t owner(const struct keytable *t, const uint64_t *id, uint64_t key)
{
    return id[keytable_member(t, keytable_find(t, key))];
}

static void shares_are_even(void **state)
{
    (void)state;
    static const struct {
        enum keytable_kind kind;
        unsigned least, most;
    } rows[] = {{KEYTABLE_RING, 3300, 6700},
                {KEYTABLE_MAGLEV, 4700, 5300}}; /* of 5,000; maglev: 4 sigma of the keys' own chance */
    uint64_t id[MEMBERS];
    make_ids(id, MEMBERS);
    for (size_t k = 0; k < 2; k++) {
        unsigned got[MEMBERS] = {0};
        struct keytable *t = keytable_new(rows[k].kind, id, MEMBERS);
        for (uint64_t key = 0; key < KEYS; key++)
            got[keytable_member(t, keytable_find(t, key))]++;
        for (size_t i = 0; i < MEMBERS; i++)
            assert_in_range(got[i], rows[k].least, rows[k].most);
        keytable_free(t);
    }
}

/* The paper's figure for one of N that leaves is that little but its own keys moves. A ring: nothing but those. */
static void one_that_leaves_moves_its_own_keys_and_few_others(void **state)
{
    (void)state;
    static const struct {
        enum keytable_kind kind;
        unsigned others_most;
    } rows[] = {{KEYTABLE_RING, 0}, {KEYTABLE_MAGLEV, KEYS * 3 / 100}};
    uint64_t id[MEMBERS], fewer[MEMBERS - 1];
    make_ids(id, MEMBERS);
    for (size_t k = 0; k < 2; k++)
        for (size_t gone = 0; gone < MEMBERS; gone += 6) {
            unsigned own = 0, others = 0;
            for (size_t i = 0; i + 1 < MEMBERS; i++)
                fewer[i] = id[i < gone ? i : i + 1];
            struct keytable *all = keytable_new(rows[k].kind, id, MEMBERS),
                            *less = keytable_new(rows[k].kind, fewer, MEMBERS - 1);
            for (uint64_t key = 0; key < KEYS; key++) {
                uint64_t before = owner(all, id, key), after = owner(less, fewer, key);
                own += before == id[gone];
                others += before != id[gone] && before != after;
            }
            assert_in_range(own, KEYS / MEMBERS * 6 / 10, KEYS / MEMBERS * 14 / 10);
            assert_true(others <= rows[k].others_most);
            keytable_free(all);
            keytable_free(less);
        }
}

static void the_order_of_the_members_does_not_matter(void **state)
{
    (void)state;
    uint64_t id[MEMBERS], back[MEMBERS];
    make_ids(id, MEMBERS);
    for (size_t i = 0; i < MEMBERS; i++)
        back[i] = id[MEMBERS - 1 - i];
    for (int k = 0; k < 2; k++) {
        struct keytable *a = keytable_new((enum keytable_kind)k, id, MEMBERS),
                        *b = keytable_new((enum keytable_kind)k, back, MEMBERS);
        for (uint64_t key = 0; key < 10000; key++)
            assert_int_equal(owner(a, id, key), owner(b, back, key));
        assert_true(keytable_is_of(a, (enum keytable_kind)k, id, MEMBERS));
        assert_false(keytable_is_of(a, (enum keytable_kind) !k, id, MEMBERS));
        assert_false(keytable_is_of(a, (enum keytable_kind)k, back, MEMBERS)); /* its indices are others */
        assert_false(keytable_is_of(a, (enum keytable_kind)k, id, MEMBERS - 1));
        keytable_free(a);
        keytable_free(b);
    }
}

static void places_go_round_and_meet_everybody(void **state)
{
    (void)state;
    uint64_t id[MEMBERS];
    make_ids(id, MEMBERS);
    for (int k = 0; k < 2; k++) {
        struct keytable *t = keytable_new((enum keytable_kind)k, id, MEMBERS);
        size_t place = keytable_find(t, 5), begin = place, steps = 0;
        uint32_t met = 0;
        do {
            met |= 1u << keytable_member(t, place);
            place = keytable_next(t, place);
            steps++;
        } while (place != begin);
        assert_int_equal(steps, keytable_places(t));
        assert_int_equal(met, (1u << MEMBERS) - 1);
        assert_true(keytable_bytes(t) < 200000);
        keytable_free(t);
    }
}

static void one_none_and_very_many(void **state)
{
    (void)state;
    enum { MANY = 70000 };
    uint64_t one = 9, *id = malloc(MANY * sizeof *id);
    make_ids(id, MANY);
    for (int k = 0; k < 2; k++) {
        assert_null(keytable_new((enum keytable_kind)k, &one, 0));
        struct keytable *t = keytable_new((enum keytable_kind)k, &one, 1);
        for (uint64_t key = 0; key < 100; key++)
            assert_int_equal(keytable_member(t, keytable_find(t, key)), 0);
        keytable_free(t);
        t = keytable_new((enum keytable_kind)k, id, MANY);
        for (uint64_t key = 0; key < 1000; key++)
            assert_true(keytable_member(t, keytable_find(t, key)) < MANY);
        keytable_free(t);
    }
    free(id);
    keytable_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_even),
        cmocka_unit_test(one_that_leaves_moves_its_own_keys_and_few_others),
        cmocka_unit_test(the_order_of_the_members_does_not_matter),
        cmocka_unit_test(places_go_round_and_meet_everybody),
        cmocka_unit_test(one_none_and_very_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
