/* Runs over several processes: each done once, taken in order, and the same whatever the number of workers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "sim/crew.h"
#include "sim/samples.h"
#include "sim/scenario.h"

enum { RUNS = 3000, NOBODY = UINT32_MAX };

struct ledger {
    uint32_t next, lost, deadly; /* deadly: this run kills its process */
    uint64_t sum;
    char how[64];
};

/* What a copy does: it counts on from what it was given. */
struct count {
    uint32_t next, deadly;
};

static void count_on(void *arg, struct buf *result)
{
    struct count *c = arg;
    if (c->next == c->deadly)
        raise(SIGKILL);
    for (uint32_t i = 0; i < 50000; i++, c->next++)
        buf_add(result, &c->next, sizeof c->next);
}

static void a_copy_gives_its_result_and_changes_nothing_here(void **state)
{
    (void)state;
    struct count c = {.next = 7, .deadly = NOBODY};
    struct buf result = {0};
    for (uint32_t times = 0; times < 3; times++)
        crew_aside(count_on, &c, &result);
    assert_int_equal(c.next, 7);
    assert_int_equal(result.len, 3 * 50000 * sizeof c.next);
    for (uint32_t i = 0; i < 3 * 50000; i++) {
        uint32_t value = 7 + i % 50000;
        assert_memory_equal(result.at + i * sizeof value, &value, sizeof value);
    }
    buf_fini(&result);
}

/* Results of very different sizes: some need many reads, some wait long for an earlier one. */
static void work(void *arg, uint32_t i, struct buf *result)
{
    const struct ledger *l = arg;
    if (i == l->deadly)
        raise(SIGKILL);
    for (uint32_t k = 0; k <= (i % 97 == 0 ? 50000u : i % 7); k++)
        buf_add(result, &i, sizeof i);
}

static void take(void *arg, uint32_t i, struct bytes result)
{
    struct ledger *l = arg;
    assert_int_equal(i, l->next++);
    assert_int_equal(result.len, sizeof i * (1 + (i % 97 == 0 ? 50000u : i % 7)));
    for (size_t at = 0; at < result.len; at += sizeof i)
        assert_memory_equal(result.at + at, &i, sizeof i);
    l->sum += result.len * i;
}

static void lose(void *arg, uint32_t i, const char *how)
{
    struct ledger *l = arg;
    assert_int_equal(i, l->next++);
    l->lost = i;
    snprintf(l->how, sizeof l->how, "%s", how);
}

static struct ledger run(uint32_t workers, uint32_t runs, uint32_t deadly)
{
    struct ledger l = {.lost = NOBODY, .deadly = deadly};
    const struct crew crew = {work, take, lose, &l};
    crew_run(&crew, workers, runs);
    assert_int_equal(l.next, runs);
    return l;
}

static void results_come_in_order_whatever_the_number_of_workers(void **state)
{
    (void)state;
    uint64_t alone = run(1, RUNS, NOBODY).sum;
    assert_true(run(2, RUNS, NOBODY).sum == alone);
    assert_true(run(7, RUNS, NOBODY).sum == alone);
    run(4, 0, NOBODY);
    run(4, 1, NOBODY);
    assert_in_range(crew_cores(), 1, CREW_WORKERS_MAX);
}

static void a_run_that_kills_its_process_costs_no_other(void **state)
{
    (void)state;
    struct ledger l = run(2, 200, 77);
    assert_int_equal(l.lost, 77);
    assert_string_equal(l.how, "its process died of signal 9");
}

static void work_aside(void *arg, uint32_t i, struct buf *result)
{
    const struct ledger *l = arg;
    struct count c = {.next = i, .deadly = l->deadly};
    struct buf counted = {0};
    crew_aside(count_on, &c, &counted);
    buf_fini(&counted);
    work(arg, i, result);
}

static void a_copy_that_dies_costs_its_run_and_no_other(void **state)
{
    (void)state;
    struct ledger l = {.lost = NOBODY, .deadly = 33};
    const struct crew crew = {work_aside, take, lose, &l};
    crew_run(&crew, 2, 60);
    assert_int_equal(l.next, 60);
    assert_int_equal(l.lost, 33);
    assert_string_equal(l.how, "its process died of signal 9");
}

static void samples_pass_from_one_process_to_another(void **state)
{
    (void)state;
    struct samples a = {0}, none = {0}, back = {0};
    struct buf wire = {0};
    for (uint64_t i = 0; i < 1000; i++)
        samples_add(&a, i * i);
    samples_write(&a, &wire);
    samples_write(&none, &wire);
    struct bytes in = buf_bytes(&wire);
    samples_read(&back, &in);
    samples_read(&back, &in);
    assert_int_equal(in.len, 0);
    assert_int_equal(back.count, 1000);
    assert_int_equal(samples_permille(&back, 1000), 999 * 999);
    samples_fini(&a);
    samples_fini(&back);
    buf_fini(&wire);
}

static void play(void *arg, uint32_t i, struct buf *result)
{
    const struct scenario *s = arg;
    const struct world_config config = {.hosts = 9, .seed = 900 + i, .wire = s->wire};
    struct world *w = scenario_play(s, &config);
    buf_add(result, &w->trace.hash, sizeof w->trace.hash);
    world_free(w);
}

static uint64_t hashes[3][6], *hash_at;

static void keep(void *arg, uint32_t i, struct bytes result)
{
    (void)arg;
    assert_int_equal(result.len, sizeof *hash_at);
    memcpy(&hash_at[i], result.at, sizeof *hash_at);
}

/* G16: what a process played before, or that it was forked, leaves no trace in a run. */
static void a_seed_plays_the_same_in_any_process(void **state)
{
    (void)state;
    const struct crew crew = {play, keep, lose, (void *)scenario_find("crash")};
    for (uint32_t workers = 1; workers <= 3; workers++) {
        hash_at = hashes[workers - 1];
        crew_run(&crew, workers, 6);
    }
    assert_memory_equal(hashes[0], hashes[1], sizeof hashes[0]);
    assert_memory_equal(hashes[0], hashes[2], sizeof hashes[0]);
    assert_true(hashes[0][0] != hashes[0][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_come_in_order_whatever_the_number_of_workers),
        cmocka_unit_test(a_run_that_kills_its_process_costs_no_other),
        cmocka_unit_test(a_copy_gives_its_result_and_changes_nothing_here),
        cmocka_unit_test(a_copy_that_dies_costs_its_run_and_no_other),
        cmocka_unit_test(samples_pass_from_one_process_to_another),
        cmocka_unit_test(a_seed_plays_the_same_in_any_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
