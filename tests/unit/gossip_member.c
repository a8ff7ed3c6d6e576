/* The member table: found again after any history, summed independent of order, bounded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>

#include "gossip/member.h"

static struct node_id id_of(uint32_t n)
{
    struct node_id id = {{0}};
    store_be32(id.b, n);
    return id;
}

static struct record_blob *record_of(uint32_t n, uint64_t incarnation)
{
    struct gossip_claim claim = {.id = id_of(n), .incarnation = incarnation, .version = 1, .addr_count = 1};
    store_be64(claim.hash.b, n * 1000003u + incarnation);
    store_be64(claim.hash.b + 8, n * 77u);
    return record_blob_new(bytes_str("record"), &claim);
}

static struct member *add(struct members *t, uint32_t n, uint64_t incarnation)
{
    struct record_blob *record = record_of(n, incarnation);
    struct member *m = members_find(t, &record->id);
    if (!m)
        m = members_add(t, record, 0);
    assert_non_null(m);
    members_set_record(t, m, record);
    record_blob_unref(record);
    return m;
}

/* Against a plain array of flags, for ten thousand random steps. */
static void members_are_found_after_any_history(void **state)
{
    struct members t;
    struct rng r = rng_seeded(42);
    bool present[500] = {false};
    (void)state;
    members_init(&t, 7);
    for (int step = 0; step < 10000; step++) {
        uint32_t n = rng_below(&r, 500);
        struct node_id id = id_of(n);
        struct member *m = members_find(&t, &id);
        assert_int_equal(m != NULL, present[n]);
        if (m)
            members_remove(&t, m);
        else
            add(&t, n, 1);
        present[n] = !present[n];
    }
    uint32_t count = 0;
    for (uint32_t n = 0; n < 500; n++)
        count += present[n];
    assert_int_equal(t.count, count);
    for (uint32_t i = 0; i < t.count; i++)
        assert_int_equal(members_at(&t, i)->slot, i);
    members_fini(&t);
}

static void the_summary_does_not_depend_on_order_or_history(void **state)
{
    struct members a, b;
    (void)state;
    members_init(&a, 1);
    members_init(&b, 2);
    for (uint32_t n = 0; n < 100; n++)
        add(&a, n, 5);
    for (uint32_t n = 100; n-- > 0;) {
        add(&b, n, 4);
        add(&b, n, 5);
    }
    assert_memory_equal(a.sum, b.sum, sizeof a.sum);
    add(&b, 3, 6);
    for (int i = 0; i < SUM_LANES; i++) /* one record changes every lane */
        assert_true(a.sum[i] != b.sum[i]);
    struct summary sa = sum_fold(a.sum, 1), sb = sum_fold(b.sum, 1), again = sum_fold(a.sum, 2);
    assert_memory_not_equal(sa.b, sb.b, SUMMARY_BYTES);
    assert_memory_not_equal(sa.b, again.b, SUMMARY_BYTES); /* under another nonce it is another */
    members_remove(&b, members_at(&b, 0));
    members_fini(&a);
    members_fini(&b);
}

/* Two sets whose first words are made equal, as a forger of sums would, are still told apart. */
static void lanes_are_independent(void **state)
{
    uint64_t sum[SUM_LANES] = {0}, other[SUM_LANES] = {0};
    struct hash a = {{1}}, b = {{2}};
    (void)state;
    sum_add(sum, &a, true);
    sum_add(other, &b, true);
    other[0] = sum[0];
    other[1] = sum[1];
    struct summary sa = sum_fold(sum, 7), sb = sum_fold(other, 7);
    assert_memory_not_equal(sa.b, sb.b, SUMMARY_BYTES);
    sum_add(sum, &a, false);
    for (int i = 0; i < SUM_LANES; i++)
        assert_int_equal(sum[i], 0);
}

/* What instances of one pool remember for each other is what each would have folded itself, also where two nonces
 * share a place. */
static void shared_folds_are_the_same(void **state)
{
    struct gossip_pool *pool = gossip_pool_new();
    uint64_t sum[SUM_LANES] = {0}, other[SUM_LANES];
    struct hash a = {{1}}, b = {{2}};
    (void)state;
    sum_add(sum, &a, true);
    memcpy(other, sum, sizeof sum);
    sum_add(other, &b, true);
    for (uint64_t nonce = 0; nonce < 3 * FOLDS_SHARED; nonce += 7)
        for (int times = 0; times < 2; times++) {
            struct summary alone = sum_fold(sum, nonce), shared = sum_fold_shared(pool, sum, nonce);
            assert_memory_equal(alone.b, shared.b, SUMMARY_BYTES);
            alone = sum_fold(other, nonce + FOLDS_SHARED);
            shared = sum_fold_shared(pool, other, nonce + FOLDS_SHARED);
            assert_memory_equal(alone.b, shared.b, SUMMARY_BYTES);
            shared = sum_fold_shared(times ? pool : NULL, other, nonce);
            alone = sum_fold(other, nonce);
            assert_memory_equal(alone.b, shared.b, SUMMARY_BYTES);
        }
    gossip_pool_free(pool);
}

static void digests_differ_only_in_the_bucket_that_differs(void **state)
{
    struct members a, b;
    uint64_t da[BUCKETS_MAX], db[BUCKETS_MAX];
    (void)state;
    members_init(&a, 1);
    members_init(&b, 2);
    for (uint32_t n = 0; n < 400; n++) {
        add(&a, n, 5);
        add(&b, n, n == 123 ? 6 : 5);
    }
    uint8_t bits = members_digest_bits(&a);
    assert_int_equal(bits, 6);
    members_digest(&a, 99, bits, NULL, da);
    members_digest(&b, 99, bits, NULL, db);
    struct node_id id = id_of(123);
    const struct member *m = members_find(&a, &id);
    for (uint32_t i = 0; i < 1u << bits; i++)
        assert_int_equal(da[i] != db[i], i == member_bucket(m, 99, bits));
    members_digest(&a, 99, bits, &id, da);
    members_digest(&b, 99, bits, &id, db);
    assert_memory_equal(da, db, sizeof *da << bits);
    members_set_state(&b, members_find(&b, &id), GOSSIP_ALIVE, 0);
    members_fini(&a);
    members_fini(&b);
}

static void a_random_pick_obeys_states_and_exclusions(void **state)
{
    struct members t;
    struct rng r = rng_seeded(1);
    (void)state;
    members_init(&t, 1);
    assert_null(members_pick(&t, &r, ~0u, NULL, 0));
    for (uint32_t n = 0; n < 200; n++)
        add(&t, n, 1); /* all DEAD, as members begin */
    assert_null(members_pick(&t, &r, state_bit(GOSSIP_ALIVE), NULL, 0));
    members_set_state(&t, members_at(&t, 77), GOSSIP_ALIVE, 0);
    for (int i = 0; i < 50; i++)
        assert_ptr_equal(members_pick(&t, &r, state_bit(GOSSIP_ALIVE), NULL, 0), members_at(&t, 77));
    const struct member * not [] = {members_at(&t, 77)};
    assert_null(members_pick(&t, &r, state_bit(GOSSIP_ALIVE), not, 1));
    members_fini(&t);
}

/* G13: the table is bounded. */
static void the_table_is_bounded(void **state)
{
    struct members t;
    (void)state;
    members_init(&t, 1);
    for (uint32_t n = 0; n < GOSSIP_MEMBERS_MAX; n++)
        add(&t, n, 1);
    struct record_blob *one_more = record_of(GOSSIP_MEMBERS_MAX, 1);
    assert_null(members_add(&t, one_more, 0));
    record_blob_unref(one_more);
    members_fini(&t);
}

/* What a known member costs. At worst list and index were just doubled: 2 places, 8/3 slots each. What is beside the
 * record's own bytes in its blob (G9: 192 bytes with it) is shared where a pool is. */
static void a_member_is_small(void **state)
{
    size_t places = 2 * sizeof(uint16_t) + 8 * sizeof(struct member_slot) / 3;
    (void)state;
    assert_true(sizeof(struct member) + places <= 56);
    assert_true(sizeof(struct member) + places + sizeof(struct record_blob) + sizeof(struct addr) <= 192);
}

/* Pointers stay good while others come and go, and a place that was given back is used again. */
static void a_member_stays_where_it_is(void **state)
{
    struct members t;
    struct member *at[500];
    (void)state;
    members_init(&t, 3);
    for (uint32_t n = 0; n < 500; n++)
        at[n] = add(&t, n, 1);
    for (uint32_t n = 0; n < 500; n += 2)
        members_remove(&t, at[n]);
    uint32_t used = t.used;
    for (uint32_t n = 500; n < 750; n++)
        add(&t, n, 1);
    assert_int_equal(t.used, used);
    for (uint32_t n = 1; n < 500; n += 2) {
        struct node_id id = id_of(n);
        assert_ptr_equal(members_find(&t, &id), at[n]);
        assert_ptr_equal(members_at_place(&t, members_place(&t, at[n])), at[n]);
    }
    members_fini(&t);
}

/* Records are their number and padding; nothing is signed. */
enum { RECORD_BYTES = 700 };

static struct bytes no_document(void *arg, const struct hash *hash)
{
    (void)arg;
    (void)hash;
    return bytes_of(NULL, 0);
}

static enum err verify(void *arg, struct bytes record, struct gossip_claim *out)
{
    (void)arg;
    *out = (struct gossip_claim){.id = id_of(load_be32(record.at) + 1), .incarnation = 1, .version = 1};
    out->addr_count = 1;
    out->addr[0] = (struct addr){.ip = {[0] = 0xfd, [15] = 1}, .port = 7400};
    store_be32(out->addr[0].ip + 8, load_be32(record.at));
    memcpy(out->hash.b, record.at, 4);
    return ERR_OK;
}

/* G9: what the gossip of an agent holds of a thousand members, their records included, is below 4 MB; a remembered member
 * is dearest, as it is a suspect too. Under a sanitizer nothing is counted. */
static void an_agents_gossip_is_small(void **state)
{
    (void)state;
    size_t before = mallinfo2().uordblks;
    struct gossip_config config = {.self = id_of(1), .seed = 1};
    struct gossip *g = gossip_new(&config, &(struct gossip_verify){verify, no_document, NULL}, 0);
    uint8_t record[RECORD_BYTES] = {0};
    assert_int_equal(gossip_own_set(g, bytes_of(record, sizeof record), 0), ERR_OK);
    for (uint32_t n = 1; n < 1000; n++) {
        store_be32(record, n);
        assert_int_equal(gossip_member_load(g, bytes_of(record, sizeof record), 0), ERR_OK);
    }
    assert_int_equal(gossip_counts(g).suspect, 999);
    struct gossip_event ev;
    while (gossip_poll_event(g, &ev))
        ;
    size_t bytes = mallinfo2().uordblks - before;
    print_message("%zu bytes, of these %u of records\n", bytes, 1000 * RECORD_BYTES);
    assert_true(bytes < 1500 * 1000);
    gossip_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_after_any_history),
        cmocka_unit_test(the_summary_does_not_depend_on_order_or_history),
        cmocka_unit_test(lanes_are_independent),
        cmocka_unit_test(shared_folds_are_the_same),
        cmocka_unit_test(digests_differ_only_in_the_bucket_that_differs),
        cmocka_unit_test(a_random_pick_obeys_states_and_exclusions),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(a_member_is_small),
        cmocka_unit_test(an_agents_gossip_is_small),
        cmocka_unit_test(a_member_stays_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
