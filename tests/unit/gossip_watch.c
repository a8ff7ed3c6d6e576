/* Observers on hash rings, and the turns they are given. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "gossip/watch.h"

enum { N = 60 };

static struct node_id id_of(uint32_t i)
{
    struct node_id id = {{0}};
    store_be32(id.b, i * 2654435761u + 1);
    return id;
}

/* What each of N members sees of the same N. */
struct views {
    struct members t[N];
    struct watch w[N];
};

static void views_init(struct views *v)
{
    for (uint32_t at = 0; at < N; at++) {
        struct node_id self = id_of(at);
        members_init(&v->t[at], at);
        watch_init(&v->w[at], &self, at);
        for (uint32_t i = 0; i < N; i++) {
            struct gossip_claim claim = {.id = id_of((i + at) % N)}; /* in another order everywhere */
            struct record_blob *record = record_blob_new(bytes_of(NULL, 0), &claim);
            struct member *m = members_add(&v->t[at], record, 0);
            record_blob_unref(record);
            members_set_state(&v->t[at], m, GOSSIP_ALIVE, 0);
            if (!node_id_eq(&claim.id, &self))
                watch_add(&v->w[at], m, 0, 1000);
        }
    }
}

static void views_fini(struct views *v)
{
    for (uint32_t at = 0; at < N; at++)
        members_fini(&v->t[at]);
}

static uint32_t index_of(const struct node_id *id)
{
    for (uint32_t i = 0; i < N; i++) {
        struct node_id other = id_of(i);
        if (node_id_eq(id, &other))
            return i;
    }
    return N;
}

/* Who I watch knows me as its observer, on the same ring; however they learned of each other. */
static void expect_agreement(struct views *v, uint32_t without)
{
    for (uint32_t at = 0; at < N; at++)
        for (int k = 0; at != without && k < WATCH_RINGS; k++) {
            const struct watch_ring *ring = &v->w[at].ring[k];
            uint32_t subject = index_of(member_id(ring->subject));
            assert_true(subject < N && subject != at && subject != without);
            assert_int_equal(index_of(member_id(v->w[subject].ring[k].observer)), at);
        }
}

static void observers_and_subjects_agree(void **state)
{
    static struct views v;
    (void)state;
    views_init(&v);
    expect_agreement(&v, N);
    for (uint32_t at = 0; at < N; at++)
        assert_in_range(watch_subjects(&v.w[at]), WATCH_RINGS - 4, WATCH_RINGS);
    /* One is gone: its places are taken by others, and all agree again. It comes back: as before. */
    struct node_id gone = id_of(17);
    for (uint32_t at = 0; at < N; at++) {
        struct member *m = members_find(&v.t[at], &gone), *self;
        struct node_id self_id = id_of(at);
        self = members_find(&v.t[at], &self_id);
        members_set_state(&v.t[at], m, GOSSIP_SUSPECT, 0);
        if (at != 17)
            watch_remove(&v.w[at], m);
        watch_repair(&v.w[at], &v.t[at], self, 0, 1000, true);
        assert_false(v.w[at].is_stale);
    }
    expect_agreement(&v, 17);
    for (uint32_t at = 0; at < N; at++) {
        struct member *m = members_find(&v.t[at], &gone);
        members_set_state(&v.t[at], m, GOSSIP_ALIVE, 0);
        if (at != 17)
            watch_add(&v.w[at], m, 0, 1000);
    }
    expect_agreement(&v, N);
    views_fini(&v);
}

static void nobody_is_watched_alone(void **state)
{
    struct watch w;
    struct node_id self = id_of(0);
    (void)state;
    watch_init(&w, &self, 1);
    assert_int_equal(watch_deadline(&w), NEVER);
    assert_int_equal(watch_subjects(&w), 0);
}

/* Observers that come when they are told to come evenly; one that comes too often gets the same turn again, a
 * stranger gets none, a missing one costs one gap. */
static void turns_are_one_interval_apart(void **state)
{
    static struct views v;
    (void)state;
    views_init(&v);
    struct watch *w = &v.w[0];
    mono_ms next[WATCH_RINGS] = {0}, last = 0, longest = 0;
    struct member *observer[WATCH_RINGS];
    int observers = 0;
    for (int k = 0; k < WATCH_RINGS; k++) {
        bool is_new = true;
        for (int j = 0; j < observers; j++)
            is_new &= observer[j] != w->ring[k].observer;
        if (is_new)
            observer[observers++] = w->ring[k].observer;
    }
    for (int k = 0; k < observers; k++)
        next[k] = 1 + 313u * (mono_ms)k;
    for (mono_ms now = 1; now < 60000; now++)
        for (int k = 0; k < observers; k++) {
            if (next[k] != now || (k == 3 && now > 30000))
                continue;
            uint32_t turn = watch_turn(w, observer[k], false, now, 1000);
            assert_in_range(turn, 500, 1000 * (WATCH_RINGS + 1));
            assert_int_equal(turn,
                             watch_turn(w, observer[k], false, now, 1000)); /* asked twice: not two turns */
            next[k] = now + turn;
            if (now > 15000 && now < 30000)
                assert_int_equal(now - last, 1000);
            if (now > 30000 && now - last > longest)
                longest = now - last;
            last = now;
        }
    assert_int_equal(longest, 2000);
    struct member other = {0};
    assert_int_equal(watch_turn(w, &other, false, 60000, 1000), 0);
    views_fini(&v);
}

/* G22: some of the observers lie, and may say nothing when their turn fails. So theirs come beside those of the others, which stay
 * one interval apart; and if all are extra, one comes each interval all the same. */
static void who_is_not_relied_upon_takes_no_turn_from_others(void **state)
{
    (void)state;
    for (int honest = 0; honest < 4; honest += 3) {
        static struct views v;
        views_init(&v);
        struct watch *w = &v.w[0];
        mono_ms next[WATCH_RINGS] = {0}, last = 0;
        uint32_t extra = 0;
        for (int k = 0; k < WATCH_RINGS; k++)
            next[k] = 1 + 313u * (mono_ms)k;
        for (mono_ms now = 1; now < 60000; now++)
            for (int k = 0; k < WATCH_RINGS; k++) {
                struct member *m = w->ring[k].observer;
                bool is_honest = m == w->ring[0].observer || m == w->ring[1].observer;
                if (next[k] != now)
                    continue;
                next[k] = now + watch_turn(w, m, honest == 0 || !is_honest, now, 1000);
                if (honest == 0 || !is_honest)
                    extra += now > 20000;
                else if (now > 20000 && now != last)
                    assert_int_equal(now - last, 1000);
                last = honest > 0 && is_honest ? now : last;
            }
        if (honest == 0)
            assert_in_range(extra, 35, 50); /* one each interval, of 40 */
        else
            assert_in_range(extra, 12, 20); /* each once in two rounds, of 10 */
        views_fini(&v);
    }
}

/* G22: who was given a turn and did not come is told of, once; once more if only relays say that it answers. */
static void who_misses_its_turn_is_told_of_once(void **state)
{
    static struct views v;
    struct member stranger = {0};
    (void)state;
    views_init(&v);
    struct watch *w = &v.w[0];
    struct member *first = w->ring[0].observer, *second = w->ring[1].observer;
    assert_ptr_not_equal(first, second);
    assert_int_equal(watch_missed_at(w), NEVER); /* they know of no turn yet */
    assert_null(watch_missed(w, 1000));
    watch_expect(w, first, 5000);
    watch_expect(w, second, 6000);
    watch_expect(w, &stranger, 1);
    watch_expect_again(w, &stranger, 1);
    assert_int_equal(watch_missed_at(w), 5000);
    assert_null(watch_missed(w, 4999));
    watch_expect(w, first, 15000); /* it came */
    assert_int_equal(watch_missed_at(w), 6000);
    assert_ptr_equal(watch_missed(w, 6000), second);
    assert_null(watch_missed(w, 6000));
    watch_expect_again(w, second, 6500);
    assert_ptr_equal(watch_missed(w, 6500), second);
    watch_expect_again(w, second, 7000);
    assert_null(watch_missed(w, 14999)); /* not a third time */
    assert_ptr_equal(watch_missed(w, 15000), first);
    watch_expect(w, second, 16000); /* a new turn */
    assert_ptr_equal(watch_missed(w, 16000), second);
    watch_expect_again(w, second, 16500);
    assert_ptr_equal(watch_missed(w, 16500), second);
    views_fini(&v);
}

/* Nobody is missed who is no observer any more, nor when it was we who were late. */
static void nobody_else_is_missed(void **state)
{
    static struct views v;
    struct node_id self_id = id_of(0);
    (void)state;
    views_init(&v);
    struct watch *w = &v.w[0];
    struct member *self = members_find(&v.t[0], &self_id), *observer = w->ring[0].observer;
    watch_expect(w, observer, 5000);
    members_set_state(&v.t[0], observer, GOSSIP_SUSPECT, 0);
    watch_remove(w, observer);
    assert_int_equal(watch_missed_at(w), NEVER);
    watch_repair(w, &v.t[0], self, 0, 1000, true);
    watch_expect(w, w->ring[0].observer, 6000); /* who has its place now */
    members_set_state(&v.t[0], observer, GOSSIP_ALIVE, 0);
    watch_add(w, observer, 0, 1000);
    assert_int_equal(watch_missed_at(w), NEVER); /* and gives it back */
    watch_expect(w, observer, 7000);
    watch_expect_nobody(w);
    assert_int_equal(watch_missed_at(w), NEVER);
    assert_null(watch_missed(w, 8000));
    views_fini(&v);
}

static void assert_deadline(const struct watch *w)
{
    mono_ms at = NEVER;
    for (int k = 0; k < WATCH_RINGS; k++)
        if (watch_is_first(w, &w->ring[k]) && w->ring[k].next_at < at)
            at = w->ring[k].next_at;
    assert_int_equal(watch_deadline(w), at);
}

/* It is kept, not looked for: so whatever changes the rings changes it. */
static void the_deadline_is_that_of_the_next_turn(void **state)
{
    struct views *v = calloc(1, sizeof *v);
    (void)state;
    assert_non_null(v);
    views_init(v);
    struct watch *w = &v->w[0];
    struct node_id self_id = id_of(0);
    struct member *self = members_find(&v->t[0], &self_id);
    for (uint32_t step = 0; step < 40; step++) {
        assert_deadline(w);
        struct watch_ring *ring = &w->ring[step * 7 % WATCH_RINGS];
        watch_turn_at(w, ring, ring->next_at + (step % 2 ? 5000 : 1));
        assert_deadline(w);
        struct member *gone = ring->subject;
        members_set_state(&v->t[0], gone, GOSSIP_SUSPECT, step);
        watch_remove(w, gone);
        assert_deadline(w);
        watch_repair(w, &v->t[0], self, 1000 * step, 1000, step % 3 > 0);
        assert_deadline(w);
        members_set_state(&v->t[0], gone, GOSSIP_ALIVE, step);
        watch_add(w, gone, 1000 * step + 500, 1000);
    }
    views_fini(v);
    free(v);
}

/* A rack is lost: whoever comes after one that fell silent may be silent too, and is not left to the next round. */
static void who_follows_a_silent_one_is_probed_at_once(void **state)
{
    struct views v;
    (void)state;
    views_init(&v);
    struct node_id self_id = id_of(0);
    struct member *self = members_find(&v.t[0], &self_id);
    for (int k = 0; k < WATCH_RINGS; k++) {
        struct member *gone = v.w[0].ring[k].subject;
        members_set_state(&v.t[0], gone, GOSSIP_SUSPECT, 50000);
        watch_remove(&v.w[0], gone);
        watch_repair(&v.w[0], &v.t[0], self, 50000, 1000, true);
        assert_ptr_not_equal(v.w[0].ring[k].subject, gone);
        assert_in_range(v.w[0].ring[k].next_at, 50001, 50500);
    }
    views_fini(&v);
}

/* Anybody can say who watches a member: whom it takes for its observers itself. */
static void observers_of_another_are_those_whom_it_gives_turns(void **state)
{
    struct views *v = calloc(1, sizeof *v);
    struct member *observer[WATCH_RINGS];
    (void)state;
    assert_non_null(v);
    views_init(v);
    for (uint32_t of = 1; of < N; of++) {
        struct node_id id = id_of(of);
        watch_observers(&v->t[0], members_find(&v->t[0], &id), observer);
        for (uint32_t k = 0; k < WATCH_RINGS; k++)
            assert_memory_equal(member_id(observer[k])->b, member_id(v->w[of].ring[k].observer)->b, ID_BYTES);
    }
    views_fini(v);
    free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observers_of_another_are_those_whom_it_gives_turns),
        cmocka_unit_test(observers_and_subjects_agree),
        cmocka_unit_test(nobody_is_watched_alone),
        cmocka_unit_test(turns_are_one_interval_apart),
        cmocka_unit_test(who_is_not_relied_upon_takes_no_turn_from_others),
        cmocka_unit_test(who_misses_its_turn_is_told_of_once),
        cmocka_unit_test(nobody_else_is_missed),
        cmocka_unit_test(the_deadline_is_that_of_the_next_turn),
        cmocka_unit_test(who_follows_a_silent_one_is_probed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
