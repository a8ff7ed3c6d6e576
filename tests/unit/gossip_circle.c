/* Whom fresh rumors are pushed to: a fair sample of all, whatever the order in which the others came, and nobody's to choose. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "gossip/circle.h"

enum { N = 96 };

struct mesh {
    struct members t;
    struct member *m[N]; /* [0] is ourselves */
    struct circle c;
};

static struct member *join(struct mesh *w, uint32_t i)
{
    struct gossip_claim claim = {0};
    store_be32(claim.id.b, i + 1);
    struct record_blob *record = record_blob_new(bytes_of(NULL, 0), &claim);
    w->m[i] = members_add(&w->t, record, 0);
    record_blob_unref(record);
    members_set_state(&w->t, w->m[i], GOSSIP_ALIVE, 0);
    if (i > 0)
        circle_add(&w->c, w->m[i], w->t.by_state[GOSSIP_ALIVE]);
    return w->m[i];
}

static void mesh_init(struct mesh *w, uint64_t seed, uint32_t count)
{
    members_init(&w->t, seed);
    circle_init(&w->c, seed, 0);
    for (uint32_t i = 0; i < count; i++)
        join(w, i);
}

static struct member *pick(struct mesh *w, mono_ms now)
{
    return circle_pick(&w->c, &w->t, w->m[0], now);
}

/* Picks until all places are in use and have changed hands; returns when. */
static mono_ms settle(struct mesh *w, mono_ms now)
{
    for (mono_ms end = now + 2 * CIRCLE_MAX * CIRCLE_PACE_MS; now < end; now += CIRCLE_PACE_MS / 4)
        pick(w, now);
    return now;
}

static uint32_t slots_of(const struct mesh *w, const struct member *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < CIRCLE_MAX; i++)
        n += w->c.at[i] == m;
    return n;
}

static void the_pushes_of_one_rumor_go_to_as_many_members_and_stay_among_few(void **state)
{
    struct mesh w;
    (void)state;
    mesh_init(&w, 1, N);
    mono_ms now = settle(&w, 0);
    uint32_t picked[N] = {0}, different = 0;
    for (uint32_t i = 0; i < 10 * CIRCLE_MAX; i++) {
        struct member *m = pick(&w, now);
        assert_non_null(m);
        assert_ptr_not_equal(m, w.m[0]);
        if (i < CIRCLE_MAX)
            assert_int_equal(picked[m->slot], 0);
        different += picked[m->slot]++ == 0;
    }
    assert_int_equal(different, CIRCLE_MAX);
    members_fini(&w.t);
}

/* A joiner that has heard of few yet pushes to these; when it has heard of all, the first are in its circle no more often
 * than the last: 4000 circles of 12 of 95 others, 505 times each in the mean. */
static void who_came_first_is_not_in_more_circles(void **state)
{
    enum { RUNS = 4000, EARLY = CIRCLE_MAX + 4 };
    uint32_t in[N] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct mesh w;
        mesh_init(&w, seed, EARLY);
        mono_ms now = seed % 2 ? settle(&w, 0) : 0; /* in use before they come, or while they come */
        for (uint32_t i = EARLY; i < N; i++, pick(&w, now))
            join(&w, i);
        settle(&w, now);
        for (uint32_t i = 1; i < N; i++)
            in[i] += slots_of(&w, w.m[i]);
        members_fini(&w.t);
    }
    for (uint32_t i = 1; i < N; i++)
        assert_in_range(in[i], 505 - 110, 505 + 110); /* five deviations */
}

/* In the first seconds of a joiner and of a mesh that grows to eight times its size, few are pushed to. */
static void who_joins_pushes_to_few_at_first(void **state)
{
    struct mesh w;
    uint32_t picked[N] = {0}, different = 0;
    (void)state;
    mesh_init(&w, 7, CIRCLE_MAX);
    for (uint32_t i = CIRCLE_MAX; i < N; i++) {
        join(&w, i);
        for (uint32_t k = 0; k < CIRCLE_MAX; k++)
            different += picked[pick(&w, 3 * CIRCLE_PACE_MS * i / N)->slot]++ == 0;
    }
    assert_in_range(different, CIRCLE_FIRST, CIRCLE_FIRST + 4);
    settle(&w, 3 * CIRCLE_PACE_MS);
    assert_int_equal(w.c.open, CIRCLE_MAX);
    assert_memory_equal(w.c.at, w.c.fair, sizeof w.c.at);
    members_fini(&w.t);
}

/* A liar that comes and goes would else be in all circles in the end (ADVERSARY G15). */
static void who_comes_and_goes_takes_nobodys_place(void **state)
{
    struct mesh w;
    (void)state;
    mesh_init(&w, 3, N);
    settle(&w, 0);
    struct member *liar = w.m[N / 2];
    struct circle before = w.c;
    for (uint32_t i = 0; i < 1000; i++) {
        members_set_state(&w.t, liar, GOSSIP_DEAD, 0);
        members_set_state(&w.t, liar, GOSSIP_ALIVE, 0);
        circle_add(&w.c, liar, w.t.by_state[GOSSIP_ALIVE]);
    }
    assert_memory_equal(w.c.at, before.at, sizeof w.c.at);
    assert_memory_equal(w.c.fair, before.fair, sizeof w.c.fair);
    members_fini(&w.t);
}

static void who_died_or_is_forgotten_makes_room(void **state)
{
    struct mesh w;
    (void)state;
    mesh_init(&w, 4, N);
    struct member *dead = pick(&w, 0), *gone = pick(&w, 0);
    members_set_state(&w.t, dead, GOSSIP_DEAD, 0);
    circle_forget(&w.c, gone);
    members_remove(&w.t, gone);
    for (uint32_t i = 0; i < 2 * CIRCLE_MAX; i++)
        assert_int_equal(pick(&w, 0)->state, GOSSIP_ALIVE);
    assert_int_equal(slots_of(&w, dead), 0);
    assert_int_equal(slots_of(&w, gone), 0);
    members_fini(&w.t);
}

static void an_unlucky_draw_does_not_last(void **state)
{
    struct mesh w;
    (void)state;
    mesh_init(&w, 5, N);
    struct circle before;
    for (mono_ms now = 0; now <= 100 * CIRCLE_REPLACE_MS; now += CIRCLE_REPLACE_MS / 10) {
        pick(&w, now);
        if (now == 2 * CIRCLE_REPLACE_MS)
            before = w.c;
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < CIRCLE_MAX; i++)
        left += slots_of(&w, before.at[i]) > 0;
    assert_true(left <= CIRCLE_MAX / 3);
    members_fini(&w.t);
}

static void as_few_as_there_are(void **state)
{
    struct mesh w;
    (void)state;
    mesh_init(&w, 6, 1);
    assert_null(pick(&w, 0));
    struct member *only = join(&w, 1);
    uint32_t picked = 0;
    for (uint32_t i = 0; i < CIRCLE_FIRST; i++)
        picked += pick(&w, 0) == only;
    assert_int_equal(picked, 1); /* the other places stay empty */
    assert_int_equal(slots_of(&w, only), 1);
    members_fini(&w.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pushes_of_one_rumor_go_to_as_many_members_and_stay_among_few),
        cmocka_unit_test(who_came_first_is_not_in_more_circles),
        cmocka_unit_test(who_joins_pushes_to_few_at_first),
        cmocka_unit_test(who_comes_and_goes_takes_nobodys_place),
        cmocka_unit_test(who_died_or_is_forgotten_makes_room),
        cmocka_unit_test(an_unlucky_draw_does_not_last),
        cmocka_unit_test(as_few_as_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
