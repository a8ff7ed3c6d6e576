/* Parts of the policy: whatever the order in which the policy and they arrive, all agents end with the same; the policy wins, then the
 * lower name; who is not vouched for falls. */
#include "control_world.h"

#include <semaphore.h>

#include "control/enforced.h"
#include "control/parts.h"

enum { TICKET = 9, PARTS = 3 };

#define MAIN "policy: v1\nmesh: shop.example\nversion: 1\nservices: {db: {protocol: tcp}}\n"

static char folder[64];
static struct store *store;
static struct parts p;
static struct buf why;
static sem_t news;
static struct root root;           /* the world's, with three delegations */
static struct sign_key key[PARTS]; /* of a, b, c */
static const char *const name[PARTS] = {"a", "b", "c"};

static void wake(void *arg)
{
    sem_post(arg);
}

static int begin(void **state)
{
    folder_make(folder);
    sem_init(&news, 0, 0);
    world_make(state);
    root = *trust_root(world.trust);
    root.delegation_count = PARTS;
    for (size_t i = 0; i < PARTS; i++) {
        key[i] = key_of((uint8_t)(100 + i));
        root.delegation[i] = (struct delegation){.name = bytes_str(name[i]),
                                                 .role = {1, 1, {key[i].pub}},
                                                 .service_count = 1,
                                                 .service = {STR("*")}};
    }
    assert_int_equal(store_open(&store, folder, wake, &news, &why), ERR_OK);
    assert_int_equal(parts_init(&p, store, &root), ERR_OK);
    return 0;
}

static int end(void **state)
{
    parts_fini(&p);
    store_close(store);
    buf_fini(&why);
    folder_remove(folder);
    sem_destroy(&news);
    return world_end(state);
}

static struct buf part_of(size_t who, unsigned version, const char *service)
{
    struct buf text = {0}, out = {0};
    struct complaints c = {0};
    const struct sign_key *by = &key[who];
    buf_addf(&text,
             "policy: v1\nmesh: shop.example\npart: %s\nversion: %u\nservices: {%s: {protocol: http}}\n"
             "intentions: [{name: in, from: [web], to: %s}]\n",
             name[who], version, service, service);
    struct bundle_wish w = {.epoch = 1, .part = bytes_str(name[who]), .text = buf_bytes(&text)};
    if (bundle_sign_as(&out, &root, &w, &by, 1, &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&text);
    return out;
}

static void answered(struct parts *to)
{
    uint64_t ticket = 0;
    enum err outcome;
    while (!store_poll_done(store, &ticket, &outcome) || ticket != TICKET)
        sem_wait(&news);
    assert_true(parts_confirmed(to, store, outcome));
}

static enum err offer(struct parts *to, struct bytes in)
{
    buf_fini(&why);
    enum err e = parts_offer(to, store, &root, in, NOW, TICKET, &why);
    if (e == ERR_OK)
        answered(to);
    return e;
}

/* What is in force, as a text: "a=1 b! " (b is held and not in force). */
static const char *composed(struct parts *of)
{
    static struct buf told;
    struct policy *alone = NULL;
    told.len = 0;
    assert_int_equal(policy_compile(&alone, STR(MAIN), NULL), ERR_OK);
    struct policy *whole = parts_compose(of, &root, alone, STR(MAIN));
    assert_non_null(whole);
    for (size_t i = 0; i < of->now.count; i++) {
        const struct part *at = &of->now.at[i];
        buf_addf(&told, at->in_force ? "%s=%u " : "%s! ", at->name, (unsigned)at->version);
        assert_int_equal(at->in_force, at->why_not[0] == 0);
    }
    policy_unref(alone);
    policy_unref(whole);
    return buf_str(&told);
}

static void newer_versions_take_the_place_of_older_ones(void **state)
{
    (void)state;
    struct buf one = part_of(0, 1, "web"), two = part_of(0, 2, "web");
    assert_int_equal(offer(&p, buf_bytes(&two)), ERR_OK);
    assert_string_equal(composed(&p), "a=2 ");
    assert_int_equal(offer(&p, buf_bytes(&two)), ERR_EXISTS);
    assert_int_equal(offer(&p, buf_bytes(&one)), ERR_EXISTS);
    assert_string_equal(composed(&p), "a=2 ");
    parts_fini(&p); /* a restart */
    assert_int_equal(parts_init(&p, store, &root), ERR_OK);
    assert_string_equal(composed(&p), "a=2 ");
    buf_fini(&one);
    buf_fini(&two);
}

static void the_policy_wins_and_then_the_lower_name_in_every_order(void **state)
{
    (void)state;
    static const size_t order[6][PARTS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct buf part[PARTS] = {part_of(0, 1, "db"), part_of(1, 1, "web"), part_of(2, 1, "web")};
    struct hash first = {{0}};
    for (size_t i = 0; i < 6; i++) {
        struct parts q = {.busy = false};
        for (size_t k = 0; k < PARTS; k++)
            assert_int_equal(offer(&q, buf_bytes(&part[order[i][k]])), ERR_OK);
        assert_string_equal(composed(&q), "a! b=1 c! "); /* db is the policy's, web is b's */
        if (i == 0)
            first = q.hash;
        assert_true(hash_eq(&first, &q.hash));
        parts_fini(&q);
    }
    for (size_t k = 0; k < PARTS; k++)
        buf_fini(&part[k]);
}

/* Two agents that were apart: the lower pulls the higher's, has more, and is pulled from. */
static void two_sets_become_one(void **state)
{
    (void)state;
    struct parts q = {.busy = false};
    struct buf a1 = part_of(0, 1, "web"), a9 = part_of(0, 9, "web"), b5 = part_of(1, 5, "cart"),
               b1 = part_of(1, 1, "cart");
    assert_int_equal(offer(&p, buf_bytes(&a9)), ERR_OK);
    assert_int_equal(offer(&p, buf_bytes(&b1)), ERR_OK);
    assert_int_equal(offer(&q, buf_bytes(&a1)), ERR_OK);
    assert_int_equal(offer(&q, buf_bytes(&b5)), ERR_OK);
    assert_true(p.sum == 10 && q.sum == 6);
    assert_int_equal(offer(&q, buf_bytes(&p.document)), ERR_OK);
    assert_int_equal(q.sum, 14);
    assert_int_equal(offer(&p, buf_bytes(&q.document)), ERR_OK);
    assert_true(hash_eq(&p.hash, &q.hash) && bytes_eq(buf_bytes(&p.document), buf_bytes(&q.document)));
    assert_string_equal(composed(&p), "a=9 b=5 ");
    parts_fini(&q);
    buf_fini(&a1);
    buf_fini(&a9);
    buf_fini(&b5);
    buf_fini(&b1);
}

static void what_the_root_delegates_no_more_falls_at_once(void **state)
{
    (void)state;
    struct buf a = part_of(0, 1, "web"), b = part_of(1, 1, "cart"), c = part_of(2, 1, "pay");
    assert_int_equal(offer(&p, buf_bytes(&a)), ERR_OK);
    assert_int_equal(offer(&p, buf_bytes(&b)), ERR_OK);
    assert_int_equal(offer(&p, buf_bytes(&c)), ERR_OK);
    root.delegation[0].role.key[0] = key_of(120).pub; /* another key for a */
    root.delegation[1].service[0] = STR("other");     /* another reach for b */
    assert_true(parts_rejudge(&p, store, &root, 0));
    assert_string_equal(composed(&p), "c=1 ");
    assert_int_equal(offer(&p, buf_bytes(&a)), ERR_DENIED);
    assert_int_equal(offer(&p, buf_bytes(&b)), ERR_INVALID);
    assert_false(parts_rejudge(&p, store, &root, 0));
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&c);
}

/* The answer of the store is about what was being stored when the root came, and no other part takes its place meanwhile. */
static void a_root_that_comes_while_parts_are_stored_judges_them(void **state)
{
    (void)state;
    struct buf a = part_of(0, 1, "web"), b = part_of(1, 1, "cart"), c = part_of(2, 1, "pay");
    assert_int_equal(offer(&p, buf_bytes(&a)), ERR_OK);
    assert_int_equal(parts_offer(&p, store, &root, buf_bytes(&b), NOW, TICKET, &why), ERR_OK);
    root.delegation[0].role.key[0] = key_of(120).pub; /* another key for a */
    assert_true(parts_rejudge(&p, store, &root, 0));
    assert_string_equal(composed(&p), "");
    assert_int_equal(parts_offer(&p, store, &root, buf_bytes(&c), NOW, TICKET, &why), ERR_AGAIN);
    answered(&p);
    assert_string_equal(composed(&p), "b=1 ");
    store_close(store); /* a restart, after all writes */
    parts_fini(&p);
    assert_int_equal(store_open(&store, folder, wake, &news, &why), ERR_OK);
    why.len = 0;
    assert_int_equal(parts_init(&p, store, &root), ERR_OK);
    assert_string_equal(composed(&p), "b=1 ");
    assert_int_equal(offer(&p, buf_bytes(&c)), ERR_OK);
    assert_string_equal(composed(&p), "b=1 c=1 ");
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&c);
}

static void one_bad_part_keeps_no_other_out(void **state)
{
    (void)state;
    struct buf a = part_of(0, 1, "web"), b = part_of(1, 1, "cart"), document = {0};
    a.at[a.len - 1] ^= 1;
    codec_put_array(&document, 2);
    codec_put_bin(&document, buf_bytes(&a));
    codec_put_bin(&document, buf_bytes(&b));
    assert_int_equal(offer(&p, buf_bytes(&document)), ERR_OK);
    assert_string_equal(composed(&p), "b=1 ");
    assert_int_equal(offer(&p, buf_bytes(&document)), ERR_DENIED);
    assert_int_equal(offer(&p, STR("nonsense")), ERR_MALFORMED);
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&document);
}

/* A hostile member brings a delegate's part, rightly signed, as the policy itself. */
static void a_part_is_never_taken_for_the_policy(void **state)
{
    (void)state;
    struct enforced f = {.metrics = metrics_new()};
    struct buf part = part_of(0, 4000000000U, "web"), said = {0};
    assert_int_equal(enforced_offer(&f, store, &root, buf_bytes(&part), NOW, TICKET, &said), ERR_DENIED);
    assert_non_null(strstr(buf_str(&said), "part of a policy"));
    assert_true(!f.policy && !f.next.busy && f.failed.reason[0] == 0);
    buf_fini(&part);
    buf_fini(&said);
    enforced_fini(&f);
    metrics_free(f.metrics);
}

int main(void)
{
#define STORY(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(newer_versions_take_the_place_of_older_ones),
        STORY(the_policy_wins_and_then_the_lower_name_in_every_order),
        STORY(two_sets_become_one),
        STORY(what_the_root_delegates_no_more_falls_at_once),
        STORY(a_root_that_comes_while_parts_are_stored_judges_them),
        STORY(one_bad_part_keeps_no_other_out),
        STORY(a_part_is_never_taken_for_the_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
