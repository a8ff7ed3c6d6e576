/* Rotation of the root as stories: each root is signed by the one before it and by itself, none is skipped, none comes
 * back (ADVERSARY B3, B13, B14). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trust/trust.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000 };

static struct sign_key key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, seed_byte, sizeof seed);
    assert_int_equal(sign_key_of_seed(&k, seed), ERR_OK);
    return k;
}

/* Keys are letters: "ab" is two keys. */
static size_t keys_of(const char *letters, struct sign_key key[8])
{
    size_t n = strlen(letters);
    for (size_t i = 0; i < n; i++)
        key[i] = key_of((uint8_t)letters[i]);
    return n;
}

static struct role role_of(size_t threshold, const char *letters)
{
    struct sign_key key[8];
    struct role r = {.count = keys_of(letters, key), .threshold = threshold};
    for (size_t i = 0; i < r.count; i++)
        r.key[i] = key[i].pub;
    return r;
}

static struct buf signed_root(const struct root *r, const char *signers)
{
    struct sign_key key[8];
    const struct sign_key *by[8];
    struct buf out = {0};
    size_t n = keys_of(signers, key);
    for (size_t i = 0; i < n; i++)
        by[i] = &key[i];
    assert_int_equal(root_create(&out, r, by, n), ERR_OK);
    return out;
}

static struct root root_with(uint64_t epoch, size_t threshold, const char *letters)
{
    struct root r = {.mesh = STR("shop.example"), .epoch = epoch};
    r.root = role_of(threshold, letters);
    r.policy = role_of(1, "p");
    r.enrol = role_of(1, "e");
    return r;
}

static struct buf root_of(uint64_t epoch, size_t threshold, const char *letters, const char *signers)
{
    struct root r = root_with(epoch, threshold, letters);
    return signed_root(&r, signers);
}

static enum err follow(struct buf *before, struct buf *after)
{
    struct root now, next = {0};
    struct refusal why = {0};
    assert_int_equal(root_open(&now, buf_bytes(before)), ERR_OK);
    enum err err = root_follow(&next, &now, buf_bytes(after), &why);
    if (err)
        assert_true(why.field && why.reason && next.epoch == 0);
    else
        assert_int_equal(next.epoch, now.epoch + 1);
    return err;
}

static int setup(void **state)
{
    (void)state;
    return trust_init();
}

static void a_new_root_needs_the_threshold_of_the_old_and_of_the_new_keys_B13(void **state)
{
    (void)state;
    struct buf one = root_of(1, 2, "abc", "ab");
    static const struct {
        const char *signers;
        enum err expect;
    } row[] = {
        {"abd", ERR_OK},    /* a, b of the old; b, d of the new */
        {"bc", ERR_OK},     /* in both: each key counts for both, once */
        {"abcd", ERR_OK},   /* more than needed */
        {"ac", ERR_AUTH},   /* two of the old, one of the new */
        {"bd", ERR_AUTH},   /* one of the old */
        {"cd", ERR_AUTH},   /* the same */
        {"d", ERR_AUTH},    /* a thief with a new key alone */
        {"abdx", ERR_AUTH}, /* a stranger hangs his signature on it */
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct root r = root_with(2, 2, "bcd");
        struct buf two = signed_root(&r, row[i].signers);
        assert_int_equal(follow(&one, &two), row[i].expect);
        buf_fini(&two);
    }
    buf_fini(&one);
}

static void old_same_and_far_roots_do_not_follow_B14(void **state)
{
    (void)state;
    struct buf one = root_of(1, 1, "a", "a"), two = root_of(2, 1, "b", "ab"),
               three = root_of(3, 1, "c", "bc");
    assert_int_equal(follow(&one, &two), ERR_OK);
    assert_int_equal(follow(&two, &three), ERR_OK);
    assert_int_equal(follow(&two, &one), ERR_STALE);
    assert_int_equal(follow(&two, &two), ERR_STALE);
    assert_int_equal(follow(&one, &three), ERR_NOT_FOUND);
    /* Going round to the first keys is a step like any other, and not a way back to the first root. */
    struct buf four = root_of(4, 1, "a", "ca");
    assert_int_equal(follow(&three, &four), ERR_OK);
    assert_int_equal(follow(&four, &one), ERR_STALE);
    buf_fini(&one);
    buf_fini(&two);
    buf_fini(&three);
    buf_fini(&four);
}

static void another_mesh_does_not_follow(void **state)
{
    (void)state;
    struct buf one = root_of(1, 1, "a", "a");
    struct root r = root_with(2, 1, "a");
    r.mesh = STR("bank.example");
    struct buf two = signed_root(&r, "a");
    assert_int_equal(follow(&one, &two), ERR_FOREIGN);
    buf_fini(&one);
    buf_fini(&two);
}

/* That a threshold falls is for those who sign to want; it is they who are asked, by the old threshold. */
static void a_weaker_threshold_needs_the_stronger_one_first_B13(void **state)
{
    (void)state;
    struct buf one = root_of(1, 3, "abc", "abc"), weak = root_of(2, 1, "a", "a"),
               agreed = root_of(2, 1, "a", "abc");
    assert_int_equal(follow(&one, &weak), ERR_AUTH);
    assert_int_equal(follow(&one, &agreed), ERR_OK);
    buf_fini(&one);
    buf_fini(&weak);
    buf_fini(&agreed);
}

static void an_expired_root_may_be_followed(void **state)
{
    (void)state;
    struct root r = root_with(1, 1, "a");
    r.expires = 1;
    struct buf one = signed_root(&r, "a"), two = root_of(2, 1, "b", "ab");
    assert_int_equal(follow(&one, &two), ERR_OK);
    buf_fini(&one);
    buf_fini(&two);
}

/* A root with delegations, which every part of the format is in. */
static struct buf rich_root(void)
{
    struct root r = root_with(2, 1, "b");
    r.expires = NOW;
    r.delegation_count = 2;
    r.delegation[0] = (struct delegation){.name = STR("web-team"),
                                          .role = role_of(1, "w"),
                                          .service_count = 2,
                                          .service = {STR("web"), STR("cart-*")}};
    r.delegation[1] = (struct delegation){
        .name = STR("data"), .role = role_of(2, "xyz"), .service_count = 1, .service = {STR("db")}};
    return signed_root(&r, "ab");
}

static void delegations_are_read_as_they_were_written(void **state)
{
    (void)state;
    struct buf bytes = rich_root();
    struct root r;
    assert_int_equal(root_open(&r, buf_bytes(&bytes)), ERR_OK);
    assert_int_equal(r.delegation_count, 2);
    const struct delegation *d = root_delegation(&r, STR("web-team"));
    assert_non_null(d);
    assert_int_equal(d->service_count, 2);
    assert_true(bytes_eq_str(d->service[0], "cart-*") && bytes_eq_str(d->service[1], "web"));
    d = root_delegation(&r, STR("data"));
    assert_int_equal(d->role.threshold, 2);
    struct sign_key z = key_of('z'), w = key_of('w');
    assert_true(role_has(&d->role, &z.pub) && !role_has(&d->role, &w.pub));
    assert_null(root_delegation(&r, STR("nobody")));
    buf_fini(&bytes);
}

static void delegations_out_of_their_limits_are_not_written(void **state)
{
    (void)state;
    struct sign_key a = key_of('a');
    const struct sign_key *by = &a;
    struct root r = root_with(1, 1, "a");
    struct buf out = {0};
    r.delegation_count = 1;
    r.delegation[0] = (struct delegation){.name = STR("x"), .role = role_of(1, "w")};
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID); /* no service */
    r.delegation[0].service_count = 2;
    r.delegation[0].service[0] = r.delegation[0].service[1] = STR("web");
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID); /* one twice */
    r.delegation[0].service[1] = STR("we*b");
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID); /* a star inside */
    r.delegation[0].service[1] = STR("we*");
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_OK);
    r.delegation[1] = r.delegation[0];
    r.delegation_count = 2;
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID); /* one name twice */
    buf_fini(&out);
}

static void every_flipped_bit_and_every_prefix_of_a_root_is_refused_B1_B20(void **state)
{
    (void)state;
    struct buf one = root_of(1, 1, "a", "a"), two = rich_root();
    assert_int_equal(follow(&one, &two), ERR_OK);
    for (size_t bit = 0; bit < two.len * 8; bit++) {
        two.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(follow(&one, &two), ERR_OK);
        two.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = two.len; len-- > 0;) {
        two.len = len;
        assert_int_not_equal(follow(&one, &two), ERR_OK);
    }
    buf_fini(&one);
    buf_fini(&two);
}

/* -- chains -------------------------------------------------------------------------------------- */

enum { STEPS = 5 };
static struct buf step[STEPS]; /* roots 1 to 5; their keys are a, b, c ... */
static struct buf chain[STEPS];

static int chains_make(void **state)
{
    static const char *const own[] = {"a", "b", "c", "d", "e"}, *const by[] = {"a", "ab", "bc", "cd", "de"};
    setup(state);
    for (size_t i = 0; i < STEPS; i++) {
        step[i] = root_of(i + 1, 1, own[i], by[i]);
        assert_int_equal(i ? chain_append(&chain[i], buf_bytes(&chain[i - 1]), buf_bytes(&step[i]))
                           : chain_begin(&chain[i], buf_bytes(&step[i])),
                         ERR_OK);
    }
    return 0;
}

static int chains_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < STEPS; i++) {
        buf_fini(&step[i]);
        buf_fini(&chain[i]);
    }
    return 0;
}

static enum err open_holding(struct chain *out, struct buf *in, size_t trusted)
{
    struct refusal why = {0};
    struct hash h = root_hash(buf_bytes(&step[trusted - 1]));
    return chain_open(out, buf_bytes(in), &h, &why);
}

static void who_was_away_walks_all_steps_from_any_root(void **state)
{
    (void)state;
    struct chain c;
    for (size_t trusted = 1; trusted <= STEPS; trusted++) {
        assert_int_equal(open_holding(&c, &chain[STEPS - 1], trusted), ERR_OK);
        assert_int_equal(c.first_epoch, 1);
        assert_int_equal(c.newest.epoch, STEPS);
    }
    assert_int_equal(open_holding(&c, &chain[1], 3), ERR_CONFLICT); /* it ends before what is trusted */
}

static struct buf list_of(const struct buf *roots, size_t count)
{
    struct buf out = {0};
    codec_put_array(&out, count);
    for (size_t i = 0; i < count; i++)
        codec_put_bin(&out, buf_bytes(&roots[i]));
    return out;
}

static void none_is_skipped_moved_or_repeated_B13(void **state)
{
    (void)state;
    struct chain c;
    const struct buf skipped[] = {step[0], step[1], step[3]}, moved[] = {step[0], step[2], step[1]},
                     repeated[] = {step[0], step[1], step[1]}, back[] = {step[0], step[1], step[0]};
    const struct {
        const struct buf *roots;
        enum err expect;
    } row[] = {{skipped, ERR_NOT_FOUND}, {moved, ERR_NOT_FOUND}, {repeated, ERR_STALE}, {back, ERR_STALE}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct buf in = list_of(row[i].roots, 3);
        assert_int_equal(open_holding(&c, &in, 1), row[i].expect);
        buf_fini(&in);
    }
}

static void a_chain_of_strangers_is_refused_before_it_is_verified(void **state)
{
    (void)state;
    struct chain c;
    struct buf foreign = root_of(5, 1, "t", "t"), in = {0};
    assert_int_equal(chain_begin(&in, buf_bytes(&foreign)), ERR_OK);
    assert_int_equal(open_holding(&c, &in, 5), ERR_CONFLICT);
    buf_fini(&in);
    buf_fini(&foreign);
}

/* The old keys were stolen: what they sign beside the true root 2 is another branch, and those who hold root 2 stay. */
static void a_branch_by_stolen_old_keys_is_not_followed(void **state)
{
    (void)state;
    struct chain c;
    struct buf other[3] = {step[0], root_of(2, 1, "t", "at"), root_of(3, 1, "t", "t")};
    struct buf in = list_of(other, 3);
    assert_int_equal(open_holding(&c, &in, 1), ERR_OK); /* who never heard of the true one cannot know */
    assert_int_equal(open_holding(&c, &in, 2), ERR_CONFLICT);
    buf_fini(&other[1]);
    buf_fini(&other[2]);
    buf_fini(&in);
}

/* Made-up ancestors would need the keys of a true one. */
static void no_history_is_put_before_the_first(void **state)
{
    (void)state;
    struct chain c;
    struct root r = root_with(1, 1, "b"); /* names the very keys that signed root 2 ... */
    struct sign_key t = key_of('t');
    const struct sign_key *by = &t;
    struct buf forged = {0};
    assert_int_equal(root_create(&forged, &r, &by, 1), ERR_OK); /* ... and is signed by somebody else */
    const struct buf roots[] = {forged, step[1]};
    struct buf in = list_of(roots, 2);
    assert_int_equal(open_holding(&c, &in, 2), ERR_AUTH);
    buf_fini(&in);
    buf_fini(&forged);
}

static void whose_signatures_were_kept_does_not_change_a_chain(void **state)
{
    (void)state;
    struct chain x, y;
    struct buf one = root_of(1, 2, "abc", "ab"), same = root_of(1, 2, "abc", "bc"), cx = {0}, cy = {0};
    assert_int_equal(chain_begin(&cx, buf_bytes(&one)), ERR_OK);
    assert_int_equal(chain_begin(&cy, buf_bytes(&same)), ERR_OK);
    assert_int_equal(chain_open(&x, buf_bytes(&cx), NULL, NULL), ERR_OK);
    assert_int_equal(chain_open(&y, buf_bytes(&cy), NULL, NULL), ERR_OK);
    assert_true(hash_eq(&x.hash, &y.hash));
    struct hash h = root_hash(buf_bytes(&one));
    assert_true(chain_has(&y, &h));
    buf_fini(&one);
    buf_fini(&same);
    buf_fini(&cx);
    buf_fini(&cy);
}

static void every_flipped_bit_and_every_prefix_of_a_chain_is_refused_B1_B20(void **state)
{
    (void)state;
    struct chain c;
    struct buf in = {0};
    buf_add_bytes(&in, buf_bytes(&chain[1]));
    for (size_t bit = 0; bit < in.len * 8; bit++) {
        in.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(open_holding(&c, &in, 1), ERR_OK);
        in.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = in.len; len-- > 0;) {
        in.len = len;
        assert_int_not_equal(open_holding(&c, &in, 1), ERR_OK);
    }
    buf_fini(&in);
}

static void a_chain_ends_at_its_cap(void **state)
{
    (void)state;
    struct buf c = {0}, root = {0};
    assert_int_equal(chain_begin(&c, buf_bytes(&step[0])), ERR_OK);
    for (unsigned epoch = 2; epoch <= CHAIN_ROOTS_MAX; epoch++) {
        struct buf longer = {0};
        root = root_of(epoch, 1, "a", "a");
        assert_int_equal(chain_append(&longer, buf_bytes(&c), buf_bytes(&root)), ERR_OK);
        buf_fini(&c);
        buf_fini(&root);
        c = longer;
    }
    struct chain open;
    struct buf no = {0};
    assert_int_equal(open_holding(&open, &c, 1), ERR_OK);
    assert_int_equal(open.count, CHAIN_ROOTS_MAX);
    root = root_of(CHAIN_ROOTS_MAX + 1, 1, "a", "a");
    assert_int_equal(chain_append(&no, buf_bytes(&c), buf_bytes(&root)), ERR_LIMIT);
    buf_fini(&root);
    buf_fini(&c);
}

/* Roots 1 and 2 list the enrol key e, root 3 lists f: who was enrolled by e is told of root 2. */
static struct buf credential_by(char letter, wall_s expires)
{
    struct sign_key by = key_of((uint8_t)letter), host = key_of('h');
    struct dh_key noise;
    struct buf out = {0};
    struct credential c = {.mesh = STR("shop.example"),
                           .node = STR("host"),
                           .id = host.pub,
                           .service_count = 1,
                           .service = {STR("*")},
                           .not_before = NOW,
                           .expires = expires};
    dh_key_new(&noise);
    memcpy(c.noise_key, noise.pub, sizeof c.noise_key);
    assert_int_equal(credential_create(&out, &c, bytes_of(NULL, 0), &by), ERR_OK);
    return out;
}

static void a_host_that_a_rotation_left_behind_is_known_and_no_stranger(void **state)
{
    (void)state;
    struct root third = root_with(3, 1, "a");
    third.enrol = role_of(1, "f");
    struct buf root[3] = {root_of(1, 1, "a", "a"), root_of(2, 1, "a", "a"), signed_root(&third, "a")};
    struct buf bytes = {0}, left = credential_by('e', NOW + 100), now = credential_by('f', NOW + 100),
               stranger = credential_by('x', NOW + 100), over = credential_by('e', NOW + 1);
    const struct bytes list[3] = {buf_bytes(&root[0]), buf_bytes(&root[1]), buf_bytes(&root[2])};
    struct chain opened;
    struct credential c;
    uint64_t epoch = 0;
    assert_int_equal(chain_of(&bytes, list, 3), ERR_OK);
    assert_int_equal(chain_open(&opened, buf_bytes(&bytes), NULL, NULL), ERR_OK);
    assert_true(credential_was_vouched(&opened, buf_bytes(&left), NOW, &c, &epoch));
    assert_true(epoch == 2 && bytes_eq(c.node, STR("host")));
    assert_false(credential_was_vouched(&opened, buf_bytes(&now), NOW, &c, &epoch));
    assert_false(credential_was_vouched(&opened, buf_bytes(&stranger), NOW, &c, &epoch));
    assert_false(credential_was_vouched(&opened, buf_bytes(&over), NOW + 50, &c, &epoch));
    left.at[left.len - 1] ^= 1; /* names the key, and is not signed by it */
    assert_false(credential_was_vouched(&opened, buf_bytes(&left), NOW, &c, &epoch));
    for (size_t len = 0; len < left.len; len++)
        assert_false(credential_was_vouched(&opened, bytes_of(left.at, len), NOW, &c, &epoch));
    for (size_t i = 0; i < 3; i++)
        buf_fini(&root[i]);
    buf_fini(&bytes);
    buf_fini(&left);
    buf_fini(&now);
    buf_fini(&stranger);
    buf_fini(&over);
}

int main(void)
{
#define STORY(f)  cmocka_unit_test_setup(f, setup)
#define CHAINS(f) cmocka_unit_test_setup_teardown(f, chains_make, chains_end)
    const struct CMUnitTest tests[] = {
        STORY(a_new_root_needs_the_threshold_of_the_old_and_of_the_new_keys_B13),
        STORY(old_same_and_far_roots_do_not_follow_B14),
        STORY(another_mesh_does_not_follow),
        STORY(a_weaker_threshold_needs_the_stronger_one_first_B13),
        STORY(an_expired_root_may_be_followed),
        STORY(delegations_are_read_as_they_were_written),
        STORY(delegations_out_of_their_limits_are_not_written),
        STORY(every_flipped_bit_and_every_prefix_of_a_root_is_refused_B1_B20),
        STORY(whose_signatures_were_kept_does_not_change_a_chain),
        STORY(a_host_that_a_rotation_left_behind_is_known_and_no_stranger),
        CHAINS(who_was_away_walks_all_steps_from_any_root),
        CHAINS(none_is_skipped_moved_or_repeated_B13),
        CHAINS(a_chain_of_strangers_is_refused_before_it_is_verified),
        CHAINS(a_branch_by_stolen_old_keys_is_not_followed),
        CHAINS(no_history_is_put_before_the_first),
        CHAINS(every_flipped_bit_and_every_prefix_of_a_chain_is_refused_B1_B20),
        CHAINS(a_chain_ends_at_its_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
