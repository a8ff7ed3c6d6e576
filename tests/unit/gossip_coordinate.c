/* Coordinates: what springs make of round trips, what liars make of them, and how often that is worth a record. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/coordinate.c"

enum { HOSTS = 24, ROUNDS = 400 };

struct mesh {
    struct coordinate c[HOSTS];
    struct rng rng;
    bool lies[HOSTS];
};

/* Three sites, 30 ms and 50 ms apart from each other; 1 ms within one. */
static uint32_t truth_us(int a, int b)
{
    static const uint32_t way[3][3] = {{1000, 30000, 50000}, {30000, 1000, 40000}, {50000, 40000, 1000}};
    return way[a % 3][b % 3];
}

static struct mesh mesh_of(uint64_t seed)
{
    struct mesh m = {.rng = rng_seeded(seed)};
    for (int h = 0; h < HOSTS; h++)
        coordinate_init(&m.c[h], seed + (uint64_t)h);
    return m;
}

/* What a liar says: very sure, and as far away as can be said. */
static struct gossip_coordinate bogus(struct rng *r)
{
    struct gossip_coordinate lie;
    for (int i = 0; i < GOSSIP_COORDINATE_BYTES; i++)
        lie.b[i] = (uint8_t)rng_below(r, 256);
    lie.b[0] = rng_below(r, 2) ? 0x7f : 0x80;
    lie.b[GOSSIP_COORDINATE_BYTES - 1] = 1;
    return lie;
}

static void talk(struct mesh *m, int rounds)
{
    for (int r = 0; r < rounds; r++)
        for (int a = 0; a < HOSTS; a++) {
            int b = (int)rng_below(&m->rng, HOSTS);
            if (a == b || m->lies[a])
                continue;
            uint32_t us = truth_us(a, b), jitter = rng_below(&m->rng, us / 10 + 1);
            struct gossip_coordinate said = m->lies[b] ? bogus(&m->rng) : coordinate_say(&m->c[b]);
            coordinate_sample(&m->c[a], (uint64_t)b + 1, &said, us + jitter);
        }
}

/* The median, over pairs of honest hosts, of how much the estimate is off, in thousandths. */
static uint32_t off_permille(const struct mesh *m)
{
    static uint32_t list[HOSTS * HOSTS];
    uint32_t count = 0;
    for (int a = 0; a < HOSTS; a++)
        for (int b = 0; b < a; b++) {
            struct gossip_coordinate from = coordinate_say(&m->c[a]), to = coordinate_say(&m->c[b]);
            uint32_t told = coordinate_rtt_us(&from, &to), real = truth_us(a, b);
            if (m->lies[a] || m->lies[b])
                continue;
            uint32_t off = (told > real ? told - real : real - told) * 1000 / real, at = count++;
            for (; at > 0 && list[at - 1] > off; at--)
                list[at] = list[at - 1];
            list[at] = off;
        }
    return list[count / 2];
}

static void round_trips_are_foretold(void **state)
{
    struct mesh m = mesh_of(1);
    (void)state;
    talk(&m, ROUNDS);
    assert_in_range(off_permille(&m), 0, 100);
}

/* G22: two in twelve lie in every answer. What is foretold between the others stays near the truth, and no answer moves
 * anybody far. */
static void liars_spoil_what_is_foretold_about_themselves(void **state)
{
    struct mesh m = mesh_of(2);
    (void)state;
    for (int h = 0; h < HOSTS; h += 6)
        m.lies[h] = true;
    talk(&m, ROUNDS);
    assert_in_range(off_permille(&m), 0, 200);
}

static int64_t moved(const struct place *a, const struct place *b)
{
    int64_t way[COORDINATE_DIMS], far = between(a, b, way), up = (int64_t)a->height - b->height;
    return far + (up < 0 ? -up : up);
}

/* Whatever is said, with whatever round trip: a step is bounded, and all stays within what can be said. */
static void no_sample_moves_far(void **state)
{
    struct coordinate c;
    struct rng r = rng_seeded(3);
    (void)state;
    coordinate_init(&c, 3);
    for (int i = 0; i < 20000; i++) {
        struct gossip_coordinate said;
        for (int k = 0; k < GOSSIP_COORDINATE_BYTES; k++)
            said.b[k] = (uint8_t)rng_below(&r, 256);
        struct place before = c.own;
        uint32_t us = rng_below(&r, 4) ? rng_below(&r, 2000000) : (uint32_t)rng_u64(&r);
        coordinate_sample(&c, rng_below(&r, 40), &said, us);
        assert_in_range(moved(&before, &c.own), 0, 2 * COORDINATE_MOVE_MAX_NS + 1000000);
        for (int k = 0; k < COORDINATE_DIMS; k++)
            assert_in_range(c.own.at[k] + (int64_t)AT_MAX, 0, 2 * (int64_t)AT_MAX);
        assert_in_range(c.own.height, HEIGHT_MIN, HEIGHT_MAX);
        assert_in_range(c.own.error, 1, ERROR_MAX);
    }
}

/* One of ten neighbours says it is elsewhere, for ever: it pulls like one, not like ten. */
static void one_constant_liar_pulls_no_more_than_an_honest_one(void **state)
{
    struct mesh m = mesh_of(4);
    (void)state;
    talk(&m, ROUNDS);
    struct coordinate *c = &m.c[3];
    struct place before = c->own;
    static const struct gossip_coordinate far = {{0x7f, 0xff, 0x80, 0, 0x7f, 0xff, 0x80, 0, 0xff, 0xff, 1}};
    for (int i = 0; i < 1000; i++) {
        int b = 4 + i % 10;
        struct gossip_coordinate said = coordinate_say(&m.c[b]);
        coordinate_sample(c, (uint64_t)b + 1, b == 4 ? &far : &said, truth_us(3, b));
    }
    assert_in_range(moved(&before, &c->own), 0, 3000000); /* 3 ms, of the 600 that it says */
}

static void what_travels_is_read_as_it_was_said(void **state)
{
    struct place p = {{8000, -8000, 0, 16000}, 120000, ONE / 10}, back;
    struct gossip_coordinate said, none = {{0}};
    (void)state;
    encode(&said, &p);
    assert_true(decode(&back, &said));
    assert_memory_equal(back.at, p.at, sizeof p.at);
    assert_int_equal(back.height, p.height);
    assert_in_range(back.error, ONE / 10 - 400, ONE / 10 + 400);
    assert_false(decode(&back, &none));
    assert_int_equal(coordinate_rtt_us(&said, &none), 0);
    assert_int_equal(coordinate_rtt_us(&said, &said), 240);
}

/* Serf's filter: one slow answer of a neighbour is no reason to move. */
static void one_late_answer_counts_for_nothing(void **state)
{
    struct mesh m = mesh_of(5);
    (void)state;
    talk(&m, ROUNDS);
    struct coordinate *c = &m.c[0], other = m.c[0];
    struct gossip_coordinate said = coordinate_say(&m.c[3]);
    for (int i = 0; i < 3; i++)
        coordinate_sample(c, 4, &said, 1000);
    other = *c;
    coordinate_sample(c, 4, &said, 1000);
    coordinate_sample(&other, 4, &said, 900000); /* a paused process */
    assert_memory_equal(&c->own, &other.own, sizeof c->own);
}

/* The same samples give the same place, to the bit: nothing depends on the machine's floating point. */
static void places_are_the_same_everywhere(void **state)
{
    struct mesh m = mesh_of(6);
    uint64_t sum = 0;
    (void)state;
    talk(&m, 100);
    for (int h = 0; h < HOSTS; h++)
        for (int k = 0; k < COORDINATE_DIMS; k++)
            sum = sum * 31 + (uint32_t)m.c[h].own.at[k];
    assert_int_equal(root(0), 0);
    assert_int_equal(root(UINT64_C(1) << 62), UINT64_C(1) << 31);
    assert_int_equal(root((UINT64_C(1) << 62) - 1), (UINT64_C(1) << 31) - 1);
    for (uint64_t r = 1; r < UINT64_C(1) << 31; r += 1 + r / 50) { /* where a rounded root would be one off */
        assert_int_equal(root(r * r), r);
        assert_int_equal(root(r * r - 1), r - 1);
        assert_int_equal(root(r * r + 2 * r), r);
    }
    assert_int_equal(sum, UINT64_C(0x70862d4ca7c7e87e));
}

/* Publishing. */

/* Whose place changes all the time: how many records in this time? */
static uint32_t published(uint32_t members, uint64_t for_s, struct rng *r)
{
    struct coordinate c;
    struct coordinate_pace pace = {.said_at = 0};
    struct gossip_coordinate none = {{0}};
    uint32_t count = 0;
    coordinate_init(&c, rng_u64(r));
    coordinate_said(&pace, &none, rng_u64(r), 0);
    for (uint64_t s = members; s <= for_s; s += members) {
        struct gossip_coordinate said = bogus(r);
        coordinate_sample(&c, rng_below(r, 10) + 1, &said, 1000 + rng_below(r, 100000));
        if (!coordinate_is_due(&pace, &c, members, s * 1000))
            continue;
        said = coordinate_say(&c);
        coordinate_said(&pace, &said, rng_u64(r), s * 1000);
        count++;
    }
    return count;
}

/* At worst, that is if everybody moved all the time, records cost each member 8 bytes a second in a mesh of 100, of 1000
 * and of 10,000. */
static void records_cost_a_few_bytes_a_second(void **state)
{
    static const uint32_t sizes[] = {100, 1000, 10000};
    struct rng r = rng_seeded(7);
    (void)state;
    for (int i = 0; i < 3; i++) {
        uint64_t for_s = UINT64_C(20) * sizes[i] * 200;
        double records = 0;
        for (int k = 0; k < 4; k++)
            records += published(sizes[i], for_s, &r);
        double bytes_per_s = records / 4 / (double)for_s * sizes[i] * PACE_UPDATE_BYTES;
        assert_true(bytes_per_s > 4 && bytes_per_s < 10);
    }
}

/* A mesh of three knows all places within a minute; and who stands still says nothing more. */
static void small_meshes_know_soon_and_then_keep_quiet(void **state)
{
    struct mesh m = mesh_of(8);
    struct coordinate_pace pace = {.said_at = 0};
    struct gossip_coordinate none = {{0}};
    (void)state;
    talk(&m, ROUNDS);
    coordinate_said(&pace, &none, 0xffff, 0);
    assert_false(coordinate_is_due(&pace, &m.c[0], 3, 20000));
    assert_true(coordinate_is_due(&pace, &m.c[0], 3, 30000));
    struct gossip_coordinate said = coordinate_say(&m.c[0]);
    coordinate_said(&pace, &said, 0, 30000);
    assert_false(coordinate_is_due(&pace, &m.c[0], 3, UINT64_C(1) << 50));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips_are_foretold),
        cmocka_unit_test(liars_spoil_what_is_foretold_about_themselves),
        cmocka_unit_test(no_sample_moves_far),
        cmocka_unit_test(one_constant_liar_pulls_no_more_than_an_honest_one),
        cmocka_unit_test(what_travels_is_read_as_it_was_said),
        cmocka_unit_test(one_late_answer_counts_for_nothing),
        cmocka_unit_test(places_are_the_same_everywhere),
        cmocka_unit_test(records_cost_a_few_bytes_a_second),
        cmocka_unit_test(small_meshes_know_soon_and_then_keep_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
