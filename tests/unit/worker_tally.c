/* What is counted under which version, and as what. */
#include "worker/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct tally tally;

static int begin(void **state)
{
    (void)state;
    memset(&tally, 0, sizeof tally);
    return 0;
}

static struct bundle_id id_of(uint64_t epoch, uint64_t version, uint8_t hash)
{
    return (struct bundle_id){epoch, version, {{hash, 0, [HASH_BYTES - 1] = hash}}};
}

static void happens_under(struct bundle_id policy, enum exchange_flag flag, uint16_t status, uint64_t us,
                          bool afar)
{
    struct facts f = {.policy = policy, .flag = flag, .status = status, .refused_afar = afar};
    f.began_us = 1000;
    f.ended_us = 1000 + us;
    tally_facts(&tally, &f);
}

static void happens(uint64_t version, enum exchange_flag flag, uint16_t status, uint64_t us, bool afar)
{
    happens_under(id_of(1, version, 1), flag, status, us, afar);
}

static struct record_count count_under(struct bundle_id policy)
{
    struct tally_sum sum = {.requests = 0};
    tally_add(&sum, &tally, &policy);
    return tally_count(&sum);
}

static struct record_count count_of(uint64_t version)
{
    return count_under(id_of(1, version, 1));
}

static void each_outcome_counts_as_what_it_is(void **state)
{
    (void)state;
    happens(7, FLAG_NONE, 200, 100, false);
    happens(7, FLAG_NONE, 404, 100, false);
    happens(7, FLAG_NONE, 503, 100, false);
    happens(7, FLAG_UF, 503, 100, false);
    happens(7, FLAG_NR, 404, 100, false);
    happens(7, FLAG_UAEX, 403, 100, false);
    happens(7, FLAG_UAEX, 403, 100, true); /* the other agent counts that */
    happens(7, FLAG_DC, 0, 100, false);
    happens(0, FLAG_UAEX, 403, 100, false); /* no policy */
    struct record_count c = count_of(7);
    assert_int_equal(c.requests, 7);
    assert_int_equal(c.errors, 3);
    assert_int_equal(c.denied, 1);
    assert_int_equal(count_of(0).requests, 0);
}

static void the_99th_of_a_hundred_is_known_to_a_quarter(void **state)
{
    (void)state;
    static const uint64_t us[] = {64, 100, 999, 12345, 1000000, 60000000};
    for (size_t k = 0; k < sizeof us / sizeof *us; k++) {
        begin(NULL);
        for (int i = 0; i < 98; i++)
            happens(3, FLAG_NONE, 200, 10, false);
        happens(3, FLAG_NONE, 200, us[k], false);
        happens(3, FLAG_NONE, 200, 70000000, false);
        uint64_t p99 = count_of(3).p99_us;
        assert_true(p99 >= us[k] && p99 <= us[k] + us[k] / 4);
    }
}

static void the_newest_versions_are_kept_apart(void **state)
{
    (void)state;
    for (uint64_t v = 1; v <= TALLY_BUNDLES + 2; v++)
        happens(v, FLAG_NONE, 200, 100, false);
    happens(1, FLAG_NONE, 200, 100, false); /* a request that began long ago takes nobody's place */
    assert_int_equal(count_of(1).requests, 0);
    assert_int_equal(count_of(2).requests, 0);
    for (uint64_t v = 3; v <= TALLY_BUNDLES + 2; v++)
        assert_int_equal(count_of(v).requests, 1);
}

/* ADVERSARY B12 */
static void two_bundles_of_one_version_are_counted_apart(void **state)
{
    (void)state;
    const struct bundle_id low = id_of(1, 7, 1), high = id_of(1, 7, 2);
    for (int i = 0; i < 5; i++)
        happens_under(high, FLAG_UAEX, 403, 100, false);
    happens_under(low, FLAG_NONE, 200, 100, false);
    assert_int_equal(count_under(low).requests, 1);
    assert_int_equal(count_under(low).denied, 0);
    assert_int_equal(count_under(high).denied, 5);
    for (uint8_t h = 3; h < 3 + TALLY_BUNDLES; h++) /* as many as anybody signs: the newest is counted */
        happens_under(id_of(1, 7, h), FLAG_NONE, 200, 100, false);
    assert_int_equal(count_under(id_of(1, 7, 2 + TALLY_BUNDLES)).requests, 1);
}

/* After a rotation versions begin at 1 again. */
static void the_next_epoch_is_newer_whatever_its_versions(void **state)
{
    (void)state;
    for (uint64_t v = 40; v < 40 + TALLY_BUNDLES; v++)
        happens(v, FLAG_NONE, 200, 100, false);
    happens_under(id_of(2, 1, 9), FLAG_NONE, 200, 100, false);
    assert_int_equal(count_under(id_of(2, 1, 9)).requests, 1);
    happens(39, FLAG_NONE, 200, 100, false);
    assert_int_equal(count_of(39).requests, 0);
    assert_int_equal(count_of(41).requests, 1);
}

/* On purpose is not the version's fault, and says nothing of how fast it is; nor does a copy. */
static void what_a_fault_disturbed_is_not_counted(void **state)
{
    (void)state;
    struct facts aborted = {.policy = id_of(1, 7, 1), .flag = FLAG_FI, .status = 503, .aborted = true},
                 delayed = {.policy = id_of(1, 7, 1), .flag = FLAG_DI, .status = 200, .delayed = true},
                 copy = {.policy = id_of(1, 7, 1), .status = 500, .mirrored = true};
    happens(7, FLAG_NONE, 200, 100, false);
    tally_facts(&tally, &aborted);
    tally_facts(&tally, &delayed);
    tally_facts(&tally, &copy);
    struct record_count c = count_of(7);
    assert_int_equal(c.requests, 1);
    assert_int_equal(c.errors, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_outcome_counts_as_what_it_is, begin),
        cmocka_unit_test_setup(what_a_fault_disturbed_is_not_counted, begin),
        cmocka_unit_test_setup(the_99th_of_a_hundred_is_known_to_a_quarter, begin),
        cmocka_unit_test_setup(the_newest_versions_are_kept_apart, begin),
        cmocka_unit_test_setup(two_bundles_of_one_version_are_counted_apart, begin),
        cmocka_unit_test_setup(the_next_epoch_is_newer_whatever_its_versions, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
