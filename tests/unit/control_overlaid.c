/* Break-glass at one agent, in virtual time: stored and audited before it is on, over by itself and for ever, whatever is replayed,
 * whatever the clock says, and whoever restarts it. */
#include "control_world.h"

#include <semaphore.h>

#include "control/overlaid.h"

enum { TICKET = 9, KEYS = 3 };

static char folder[64];
static struct store *store;
static struct overlaid v;
static struct metrics *metrics;
static struct buf why, chain_bytes;
static sem_t news;
static struct sign_key key[KEYS];
static struct root root;
static struct chain roots;
static wall_s wall;
static mono_ms mono;

static void wake(void *arg)
{
    sem_post(arg);
}

/* A chain of `count` roots; the second has another third policy key. */
static void chain_make(size_t count)
{
    struct buf envelope[2] = {{0}};
    struct bytes list[2];
    const struct sign_key *by = &world.root_key;
    for (size_t i = 0; i < count; i++) {
        root.epoch = i + 1;
        root.policy = (struct role){3, 1, {key[0].pub, key[1].pub, i == 0 ? key[2].pub : key_of(40).pub}};
        assert_int_equal(root_create(&envelope[i], &root, &by, 1), ERR_OK);
        list[i] = buf_bytes(&envelope[i]);
    }
    buf_fini(&chain_bytes);
    assert_int_equal(chain_of(&chain_bytes, list, count), ERR_OK);
    assert_int_equal(chain_open(&roots, buf_bytes(&chain_bytes), NULL, NULL), ERR_OK);
    for (size_t i = 0; i < count; i++)
        buf_fini(&envelope[i]);
}

static int begin(void **state)
{
    folder_make(folder);
    sem_init(&news, 0, 0);
    world_make(state);
    for (size_t i = 0; i < KEYS; i++)
        key[i] = key_of((uint8_t)(100 + i));
    root = *trust_root(world.trust);
    chain_make(1);
    metrics = metrics_new();
    wall = NOW;
    mono = 1000;
    assert_int_equal(store_open(&store, folder, wake, &news, &why), ERR_OK);
    assert_int_equal(overlaid_init(&v, store, &roots, metrics, wall, mono), ERR_OK);
    return 0;
}

static int end(void **state)
{
    overlaid_fini(&v);
    store_close(store);
    metrics_free(metrics);
    buf_fini(&why);
    buf_fini(&chain_bytes);
    folder_remove(folder);
    sem_destroy(&news);
    return world_end(state);
}

#define IN     "{name: in, from: [ops], to: cart}"
#define NO_ONE ""

/* Signed at NOW by keys a and b, for so many seconds from then. */
static struct buf signed_by(unsigned version, wall_s life, const char *rules, size_t a, size_t b)
{
    struct buf text = {0}, out = {0};
    struct complaints c = {0};
    char ends[WALL_TEXT_MAX];
    const struct sign_key *by[] = {&key[a], &key[b]};
    buf_addf(&text,
             "overlay: v1\nmesh: shop.example\nname: night-%u\nversion: %u\nreason: why not\nends: %s\n"
             "intentions: [%s]\n",
             version, version, wall_text(NOW + life, ends), rules);
    if (overlay_sign(&out, &roots.newest, buf_bytes(&text), NOW, by, 2, &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&text);
    return out;
}

static struct buf overlay_of(unsigned version, wall_s life, const char *rules)
{
    return signed_by(version, life, rules, 0, 1);
}

static void answered(enum err expect)
{
    uint64_t ticket = 0;
    enum err outcome;
    while (!store_poll_done(store, &ticket, &outcome) || ticket != TICKET)
        sem_wait(&news);
    assert_int_equal(outcome, expect);
}

static enum err offer(struct buf in, enum overlaid_bearer by)
{
    buf_fini(&why);
    enum err e = overlaid_offer(&v, store, &roots, buf_bytes(&in), by, wall, TICKET, &why);
    if (e == ERR_OK) {
        assert_false(overlaid_is_on(&v, wall) &&
                     v.newest.version == v.next.o.version); /* not before it is stored */
        answered(ERR_OK);
        assert_true(overlaid_confirmed(&v, ERR_OK, wall, mono));
        if (overlaid_is_on(&v, wall))
            overlaid_composed(&v, "");
    }
    return e;
}

static void restart(void)
{
    overlaid_fini(&v);
    store_close(store); /* waits for what is queued */
    assert_int_equal(store_open(&store, folder, wake, &news, &why), ERR_OK);
    assert_int_equal(overlaid_init(&v, store, &roots, metrics, wall, mono), ERR_OK);
}

static void pass(wall_s by_clock, mono_ms really)
{
    wall += by_clock;
    mono += really;
}

static bool step(void)
{
    return overlaid_step(&v, store, wall, mono);
}

static bool is_on(void)
{
    return overlaid_is_on(&v, wall);
}

static uint64_t refused_for(const char *reason)
{
    struct metric_label label = {"reason", bytes_str(reason)};
    return *metric_counter(metrics, "starling_overlay_refused_total", "Overlays refused, by reason.", &label,
                           1);
}

static void it_ends_by_itself_and_on_time(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN);
    assert_int_equal(offer(one, OVERLAID_BY_HAND), ERR_OK);
    assert_true(is_on() && v.in_force);
    assert_int_equal(overlaid_deadline(&v, wall, mono), mono + 4 * HOUR * 1000);
    pass(4 * HOUR - 1, (4 * HOUR - 1) * 1000);
    assert_false(step());
    assert_true(is_on());
    assert_int_equal(overlaid_deadline(&v, wall, mono), mono + 1000);
    pass(1, 1000);
    assert_true(step()); /* nobody has said anything */
    assert_true(!is_on() && v.over == OVERLAID_EXPIRED && !v.in_force);
    assert_int_equal(overlaid_deadline(&v, wall, mono), NEVER);
    assert_false(step());
    assert_true(v.count == 1 && v.history[0].since == NOW && v.history[0].over_at == NOW + 4 * HOUR &&
                v.history[0].end == OVERLAID_EXPIRED);
    buf_fini(&one);
}

/* ADVERSARY B9 */
static void a_clock_that_is_set_back_lengthens_nothing_B9(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN);
    assert_int_equal(offer(one, OVERLAID_BY_HAND), ERR_OK);
    pass(-DAY, HOUR * 1000);
    assert_false(step());
    pass(0, 3 * HOUR * 1000); /* four hours have passed, whatever the clock says */
    assert_true(step());
    assert_int_equal(v.over, OVERLAID_EXPIRED);
    restart();
    assert_false(is_on()); /* once over, always over */
    pass(DAY, 1000);
    assert_int_equal(offer(one, OVERLAID_BY_GOSSIP), ERR_EXISTS);
    assert_false(is_on());
    buf_fini(&one);
}

static void a_clock_that_jumps_ahead_ends_it(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN);
    assert_int_equal(offer(one, OVERLAID_BY_HAND), ERR_OK);
    pass(5 * HOUR, 60000);
    assert_true(step());
    pass(-5 * HOUR, 60000);
    assert_false(step());
    assert_false(is_on()); /* it was seen over */
    buf_fini(&one);
}

/* Who is asked by an operator says so; by gossip it is held, and begins when its time has come. */
static void one_from_the_future_waits(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN);
    pass(-HOUR, 0);
    assert_int_equal(offer(one, OVERLAID_BY_HAND), ERR_EXPIRED);
    assert_non_null(strstr(buf_str(&why), "in what is the future here"));
    assert_int_equal(offer(one, OVERLAID_BY_GOSSIP), ERR_OK);
    assert_false(is_on());
    assert_int_equal(overlaid_deadline(&v, wall, mono), mono + (HOUR - CLOCK_SKEW_S) * 1000);
    pass(HOUR - CLOCK_SKEW_S, (HOUR - CLOCK_SKEW_S) * 1000);
    assert_true(step());
    assert_true(is_on());
    buf_fini(&one);
}

static void versions_rise_and_a_replay_is_refused_B6(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN), two = overlay_of(2, 2 * HOUR, IN),
               three = overlay_of(3, HOUR, NO_ONE);
    assert_int_equal(offer(two, OVERLAID_BY_HAND), ERR_OK);
    assert_int_equal(offer(one, OVERLAID_BY_HAND), ERR_STALE);
    assert_non_null(strstr(buf_str(&why), "version 2 is held already"));
    assert_int_equal(offer(two, OVERLAID_BY_GOSSIP), ERR_EXISTS);
    assert_int_equal(offer(three, OVERLAID_BY_HAND), ERR_OK); /* ended before its time */
    assert_true(!is_on() && v.over == OVERLAID_ENDED);
    assert_int_equal(offer(two, OVERLAID_BY_GOSSIP), ERR_STALE);
    restart();
    assert_int_equal(offer(two, OVERLAID_BY_HAND), ERR_STALE);
    assert_int_equal(offer(one, OVERLAID_BY_GOSSIP), ERR_STALE);
    assert_true(!is_on() && v.count == 2 && v.history[0].end == OVERLAID_ENDED &&
                v.history[0].o.signer_count == 2);
    assert_string_equal(v.history[0].o.reason, "why not");
    assert_true(refused_for("version") >= 4);
    buf_fini(&one);
    buf_fini(&two);
    buf_fini(&three);
}

/* A restart in the middle: it goes on, for as long as it had left. */
static void a_restart_changes_nothing(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN);
    assert_int_equal(offer(one, OVERLAID_BY_HAND), ERR_OK);
    pass(HOUR, HOUR * 1000);
    restart();
    assert_true(is_on() && v.count == 1 && v.history[0].since == NOW);
    pass(3 * HOUR, 5000); /* it was off */
    restart();
    assert_true(!is_on() && v.over == OVERLAID_EXPIRED && v.history[0].end == OVERLAID_EXPIRED);
    restart();
    assert_true(!is_on() && v.over == OVERLAID_EXPIRED);
    buf_fini(&one);
}

/* Whoever has heard of a version keeps lower ones out, though it was over when it came. */
static void one_that_is_over_is_held_for_its_version(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN), two = overlay_of(2, HOUR, IN);
    pass(2 * HOUR, 0);
    assert_int_equal(offer(two, OVERLAID_BY_HAND), ERR_EXPIRED);
    assert_int_equal(offer(two, OVERLAID_BY_GOSSIP), ERR_OK);
    assert_true(!is_on() && v.over == OVERLAID_EXPIRED);
    assert_int_equal(offer(one, OVERLAID_BY_GOSSIP), ERR_STALE);
    buf_fini(&one);
    buf_fini(&two);
}

static void of_two_of_one_version_the_lower_hash_is_kept_B12(void **state)
{
    (void)state;
    struct buf a = overlay_of(1, 4 * HOUR, IN), b = overlay_of(1, 3 * HOUR, IN);
    struct overlay x, y;
    assert_int_equal(overlay_open(&x, &roots.newest, buf_bytes(&a), NULL), ERR_OK);
    assert_int_equal(overlay_open(&y, &roots.newest, buf_bytes(&b), NULL), ERR_OK);
    struct hash lower = memcmp(x.hash.b, y.hash.b, HASH_BYTES) < 0 ? x.hash : y.hash;
    for (size_t order = 0; order < 2; order++) {
        (void)offer(order ? a : b, OVERLAID_BY_GOSSIP);
        (void)offer(order ? b : a, OVERLAID_BY_GOSSIP);
        assert_true(hash_eq(&v.newest.hash, &lower) && v.forked);
    }
    struct buf two = overlay_of(2, HOUR, IN);
    assert_int_equal(offer(two, OVERLAID_BY_HAND), ERR_OK);
    assert_false(v.forked);
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&two);
}

/* A rotation ends at once what a key that is gone has signed, and nothing else; and whoever joins later agrees. */
static void what_the_root_no_longer_vouches_for_falls(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN), two = signed_by(2, 4 * HOUR, IN, 0, 2);
    assert_int_equal(offer(one, OVERLAID_BY_HAND), ERR_OK);
    chain_make(2);
    assert_false(overlaid_rejudge(&v, &roots.newest, wall));
    assert_true(is_on());
    assert_int_equal(offer(two, OVERLAID_BY_HAND), ERR_DENIED);
    assert_non_null(strstr(buf_str(&why), "the root in force does not vouch"));
    chain_make(1);
    assert_int_equal(offer(two, OVERLAID_BY_HAND), ERR_OK);
    chain_make(2);
    assert_true(overlaid_rejudge(&v, &roots.newest, wall));
    assert_true(!is_on() && v.over == OVERLAID_FELL);
    (void)step();
    restart();
    assert_true(!is_on() && v.over == OVERLAID_FELL && v.newest.version == 2);
    overlaid_fini(&v); /* one that joins now, and is brought it */
    store_close(store);
    folder_remove(folder);
    folder_make(folder);
    assert_int_equal(store_open(&store, folder, wake, &news, &why), ERR_OK);
    assert_int_equal(overlaid_init(&v, store, &roots, metrics, wall, mono), ERR_OK);
    assert_int_equal(offer(two, OVERLAID_BY_GOSSIP), ERR_OK);
    assert_true(!is_on() && v.over == OVERLAID_FELL);
    assert_int_equal(offer(one, OVERLAID_BY_GOSSIP), ERR_STALE);
    buf_fini(&one);
    buf_fini(&two);
}

static void what_is_not_signed_by_enough_is_refused_and_counted(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN), draft = {0}, text = {0};
    const struct sign_key *by = &key[0];
    buf_add_bytes(&text, overlay_text(buf_bytes(&one)));
    assert_int_equal(overlay_sign(&draft, &roots.newest, buf_bytes(&text), NOW, &by, 1, NULL), ERR_OK);
    assert_int_equal(offer(draft, OVERLAID_BY_HAND), ERR_DENIED);
    assert_int_equal(offer(draft, OVERLAID_BY_GOSSIP), ERR_DENIED);
    one.at[one.len - 1] ^= 1;
    assert_int_equal(offer(one, OVERLAID_BY_GOSSIP), ERR_AUTH);
    assert_int_equal(refused_for("signer"), 2);
    assert_int_equal(refused_for("altered"), 1);
    assert_true(v.count == 0 && !is_on());
    buf_fini(&one);
    buf_fini(&draft);
    buf_fini(&text);
}

/* What cannot be audited does not begin. */
static void what_is_not_stored_is_not_on(void **state)
{
    (void)state;
    struct buf one = overlay_of(1, 4 * HOUR, IN);
    assert_int_equal(overlaid_offer(&v, store, &roots, buf_bytes(&one), OVERLAID_BY_HAND, wall, TICKET, &why),
                     ERR_OK);
    assert_int_equal(overlaid_offer(&v, store, &roots, buf_bytes(&one), OVERLAID_BY_HAND, wall, TICKET, &why),
                     ERR_AGAIN);
    assert_false(is_on());
    answered(ERR_OK);
    assert_false(overlaid_confirmed(&v, ERR_FULL, wall, mono));
    assert_true(!is_on() && v.count == 0);
    buf_fini(&one);
}

/* A root comes while the store has an overlay in hand: the answer that follows is about that one, and no other takes its place. */
static void a_root_that_comes_while_one_is_stored_judges_it(void **state)
{
    (void)state;
    struct buf one = signed_by(1, 4 * HOUR, IN, 0, 1), two = signed_by(2, 4 * HOUR, IN, 1, 2),
               three = signed_by(3, 4 * HOUR, IN, 0, 1);
    assert_int_equal(
        overlaid_offer(&v, store, &roots, buf_bytes(&one), OVERLAID_BY_GOSSIP, wall, TICKET, &why), ERR_OK);
    assert_false(overlaid_rejudge(&v, &roots.newest, wall));
    assert_int_equal(
        overlaid_offer(&v, store, &roots, buf_bytes(&two), OVERLAID_BY_GOSSIP, wall, TICKET, &why),
        ERR_AGAIN);
    answered(ERR_OK);
    assert_true(overlaid_confirmed(&v, ERR_OK, wall, mono));
    assert_true(v.newest.version == 1 && is_on());
    assert_int_equal(
        overlaid_offer(&v, store, &roots, buf_bytes(&two), OVERLAID_BY_GOSSIP, wall, TICKET, &why), ERR_OK);
    chain_make(2); /* which no longer has one of the second's signers */
    assert_false(overlaid_rejudge(&v, &roots.newest, wall));
    answered(ERR_OK);
    assert_true(overlaid_confirmed(&v, ERR_OK, wall, mono));
    for (int again = 0; again < 2; again++) { /* it counts for its version, and is not on */
        assert_true(v.newest.version == 2 && !is_on() && v.over == OVERLAID_FELL && v.count == 2);
        assert_true(v.history[0].end == OVERLAID_REPLACED && v.history[1].end == OVERLAID_FELL);
        (void)step();
        restart();
    }
    assert_int_equal(offer(one, OVERLAID_BY_GOSSIP), ERR_STALE);
    assert_int_equal(offer(three, OVERLAID_BY_GOSSIP), ERR_OK);
    assert_true(is_on());
    buf_fini(&one);
    buf_fini(&two);
    buf_fini(&three);
}

static void the_last_fifty_are_kept(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= OVERLAID_HISTORY + 5; i++) {
        struct buf one = overlay_of(i, 4 * HOUR, IN);
        assert_int_equal(offer(one, OVERLAID_BY_HAND), ERR_OK);
        buf_fini(&one);
    }
    restart();
    assert_true(v.count == OVERLAID_HISTORY && v.history[0].o.version == 6 &&
                v.history[OVERLAID_HISTORY - 1].o.version == OVERLAID_HISTORY + 5);
    assert_true(v.history[0].end == OVERLAID_REPLACED && v.history[OVERLAID_HISTORY - 1].end == OVERLAID_NOT);
    assert_true(is_on());
}

int main(void)
{
#define STORY(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(it_ends_by_itself_and_on_time),
        STORY(a_clock_that_is_set_back_lengthens_nothing_B9),
        STORY(a_clock_that_jumps_ahead_ends_it),
        STORY(one_from_the_future_waits),
        STORY(versions_rise_and_a_replay_is_refused_B6),
        STORY(a_restart_changes_nothing),
        STORY(one_that_is_over_is_held_for_its_version),
        STORY(of_two_of_one_version_the_lower_hash_is_kept_B12),
        STORY(what_the_root_no_longer_vouches_for_falls),
        STORY(what_is_not_signed_by_enough_is_refused_and_counted),
        STORY(what_is_not_stored_is_not_on),
        STORY(a_root_that_comes_while_one_is_stored_judges_it),
        STORY(the_last_fifty_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
