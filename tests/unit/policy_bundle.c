/* Signed bundles. Cases named B1... are those of the threat list: what is changed, too few, foreign, old or
 * not canonical is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/bundle.h"
#include "trust/codec.h"

#define TEXT(version)                                                                                        \
    "policy: v1\nmesh: shop.example\nversion: " version "\nservices: {cart: {protocol: http}}\n"             \
    "intentions: [{name: web, from: [web], to: cart}]\n"

enum { KEYS = 4 };
static struct sign_key key[KEYS]; /* 0..2 are policy keys of the root, in rising order; 3 is a stranger's */
static struct root root;          /* 2 of 3 */

static int by_pub(const void *a, const void *b)
{
    return node_id_cmp(&((const struct sign_key *)a)->pub, &((const struct sign_key *)b)->pub);
}

static int setup(void **state)
{
    (void)state;
    uint8_t seed[32] = {0};
    assert_int_equal(trust_init(), ERR_OK);
    for (int i = 0; i < KEYS; i++) {
        seed[0] = (uint8_t)(i + 1);
        assert_int_equal(sign_key_of_seed(&key[i], seed), ERR_OK);
    }
    qsort(key, 3, sizeof *key, by_pub);
    root =
        (struct root){.mesh = bytes_str("shop.example"), .epoch = 2, .policy = {.count = 3, .threshold = 2}};
    for (int i = 0; i < 3; i++)
        root.policy.key[i] = key[i].pub;
    return 0;
}

static struct buf signed_with(const char *text, uint64_t epoch, int a, int b)
{
    const struct sign_key *keys[] = {&key[a], &key[b]};
    struct buf out = {0};
    struct complaints c = {0};
    if (bundle_sign(&out, &root, epoch, bytes_str(text), NULL, keys, 2, &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    return out;
}

static enum err opened(struct bytes in)
{
    static struct bundle untouched;
    struct bundle b = {.version = 99};
    struct policy *p = NULL;
    enum err e = bundle_open(&b, &p, &root, in, NULL);
    if (e != ERR_OK) {
        untouched.version = 99;
        if (e != ERR_INVALID) /* then it says which bundle it was */
            assert_memory_equal(&b, &untouched, sizeof b);
        assert_null(p);
    }
    policy_unref(p);
    return e;
}

static void expect_sign_refused(enum err want, const char *text, uint64_t epoch,
                                const struct sign_key *const *keys, size_t count, const char *complaint)
{
    struct buf out = {0};
    struct complaints c = {.file = "p"};
    assert_int_equal(bundle_sign(&out, &root, epoch, bytes_str(text), NULL, keys, count, &c), want);
    assert_string_equal(buf_str(&c.text), complaint);
    assert_int_equal(out.len, 0);
    buf_fini(&c.text);
    buf_fini(&out);
}

static void what_was_signed_comes_out(void **state)
{
    (void)state;
    struct hash previous = {{7}};
    const struct sign_key *keys[] = {&key[2], &key[0]};
    struct buf out = {0};
    struct bundle b;
    struct policy *p = NULL;
    assert_int_equal(bundle_sign(&out, &root, 1, bytes_str(TEXT("5")), &previous, keys, 2, NULL), ERR_OK);
    assert_int_equal(bundle_open(&b, &p, &root, buf_bytes(&out), NULL), ERR_OK);
    assert_true(bytes_eq_str(b.mesh, "shop.example"));
    assert_int_equal(b.epoch, 1);
    assert_int_equal(b.version, 5);
    assert_true(hash_eq(&b.previous, &previous));
    assert_true(bytes_eq_str(b.text, TEXT("5")));
    struct envelope env;
    assert_int_equal(envelope_parse(&env, buf_bytes(&out)), ERR_OK);
    struct hash h = hash_of(env.body);
    assert_true(hash_eq(&b.hash, &h));
    assert_int_equal(b.signer_count, 2);
    assert_true(node_id_eq(&b.signer[0], &key[0].pub) && node_id_eq(&b.signer[1], &key[2].pub));
    assert_non_null(policy_service(p, bytes_str("cart")));
    policy_unref(p);
    buf_fini(&out);
}

static void two_tools_make_the_same_bytes_B23(void **state)
{
    (void)state;
    struct buf a = signed_with(TEXT("5"), 1, 0, 1), b = signed_with(TEXT("5"), 1, 1, 0);
    assert_true(bytes_eq(buf_bytes(&a), buf_bytes(&b)));
    buf_fini(&a);
    buf_fini(&b);
}

static void one_bit_changed_anywhere_is_refused_B1(void **state)
{
    (void)state;
    struct buf good = signed_with(TEXT("5"), 1, 0, 1);
    for (size_t bit = 0; bit < good.len * 8; bit++) {
        good.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(opened(buf_bytes(&good)), ERR_OK);
        good.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(opened(buf_bytes(&good)), ERR_OK);
    buf_fini(&good);
}

static void every_prefix_and_any_surplus_is_refused_B20(void **state)
{
    (void)state;
    struct buf good = signed_with(TEXT("5"), 1, 0, 1);
    for (size_t len = 0; len < good.len; len++)
        assert_int_equal(opened(bytes_of(good.at, len)), ERR_MALFORMED);
    buf_add_u8(&good, 0);
    assert_int_equal(opened(buf_bytes(&good)), ERR_MALFORMED);
    buf_fini(&good);
}

static void body_of(struct buf *out, const char *mesh, uint64_t epoch, uint64_t version, const char *text)
{
    struct hash none = {{0}};
    codec_put_array(out, 8);
    codec_put_str(out, bytes_of(NULL, 0));
    codec_put_str(out, bytes_str(mesh));
    codec_put_u64(out, epoch);
    codec_put_u64(out, version);
    codec_put_bin(out, bytes_of(none.b, sizeof none.b));
    codec_put_array(out, 0);
    codec_put_str(out, bytes_of(NULL, 0));
    codec_put_str(out, bytes_str(text));
}

/* Signs any body, right or wrong, as any type, and offers it. */
static enum err offered(const char *type, struct bytes body, const struct sign_key *const *keys, size_t count)
{
    struct buf out = {0};
    assert_int_equal(envelope_sign(&out, type, body, keys, count), ERR_OK);
    enum err e = opened(buf_bytes(&out));
    buf_fini(&out);
    return e;
}

static void wrong_signers_are_refused_B2(void **state)
{
    (void)state;
    struct buf body = {0};
    const struct sign_key *stranger[] = {&key[3]}, *one_each[] = {&key[0], &key[3]},
                          *with_third[] = {&key[0], &key[1], &key[3]}, *right[] = {&key[0], &key[1]};
    body_of(&body, "shop.example", 1, 5, TEXT("5"));
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), right, 2), ERR_OK);
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), stranger, 1), ERR_DENIED);
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), one_each, 2), ERR_DENIED);
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), with_third, 3), ERR_DENIED);
    /* The right keys, but for another purpose (B17). */
    assert_int_equal(offered(ENVELOPE_RECORD, buf_bytes(&body), right, 2), ERR_MALFORMED);
    assert_int_equal(offered(ENVELOPE_REQUEST, buf_bytes(&body), right, 2), ERR_MALFORMED);
    /* A later version of the format. */
    assert_int_equal(offered("policy2", buf_bytes(&body), right, 2), ERR_UNSUPPORTED);
    assert_int_equal(offered("part2", buf_bytes(&body), right, 2), ERR_UNSUPPORTED);
    buf_fini(&body);
}

static void a_key_counts_once_and_all_are_needed_B3(void **state)
{
    (void)state;
    struct buf body = {0}, cosigned = {0}, once = {0};
    const struct sign_key *one[] = {&key[0]};
    body_of(&body, "shop.example", 1, 5, TEXT("5"));
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), one, 1), ERR_DENIED);
    assert_int_equal(envelope_sign(&once, ENVELOPE_POLICY, buf_bytes(&body), one, 1), ERR_OK);
    assert_int_equal(envelope_cosign(&cosigned, buf_bytes(&once), &key[0]), ERR_EXISTS);
    /* [type, body, [[k, s]]] -> [[k, s], [k, s]]: the same signature spelt twice. */
    size_t sig = 1 + 2 + 32 + 2 + 64, tail = once.len - sig;
    assert_int_equal(once.at[tail - 1], 0x91);
    once.at[tail - 1] = 0x92;
    buf_add(&once, (uint8_t[128]){0}, sig);
    memcpy(once.at + tail + sig, once.at + tail, sig);
    assert_int_equal(opened(buf_bytes(&once)), ERR_MALFORMED);
    buf_fini(&body);
    buf_fini(&once);
    buf_fini(&cosigned);
}

/* Whoever has seen three signatures could make three bundles of two. */
static void surplus_signatures_are_refused(void **state)
{
    (void)state;
    struct buf body = {0};
    const struct sign_key *all[] = {&key[0], &key[1], &key[2]};
    body_of(&body, "shop.example", 1, 5, TEXT("5"));
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), all, 3), ERR_DENIED);
    expect_sign_refused(ERR_DENIED, TEXT("5"), 1, all, 3,
                        "p: 3 keys given; this mesh's root wants 2 policy signatures and no more\n");
    buf_fini(&body);
}

/* Three signers, each on a machine of his own, in any order: two are enough, and the form that travels is one. */
static void a_draft_goes_from_signer_to_signer(void **state)
{
    (void)state;
    static const int order[][2] = {{0, 1}, {1, 0}};
    struct buf together = signed_with(TEXT("5"), 1, 0, 1);
    for (size_t i = 0; i < 2; i++) {
        const struct sign_key *first = &key[order[i][0]], *second = &key[order[i][1]];
        struct buf draft = {0}, whole = {0}, no = {0};
        struct bundle b;
        assert_int_equal(bundle_sign(&draft, &root, 1, bytes_str(TEXT("5")), NULL, &first, 1, NULL), ERR_OK);
        assert_int_equal(opened(buf_bytes(&draft)), ERR_DENIED);
        assert_int_equal(bundle_read(&b, NULL, &root, buf_bytes(&draft), NULL), ERR_OK);
        assert_int_equal(b.signer_count, 1);
        assert_int_equal(b.signers_wanted, 2);
        assert_int_equal(bundle_cosign(&no, &root, buf_bytes(&draft), first, NULL), ERR_EXISTS);
        assert_int_equal(bundle_cosign(&no, &root, buf_bytes(&draft), &key[3], NULL), ERR_DENIED);
        assert_int_equal(no.len, 0);
        assert_int_equal(bundle_cosign(&whole, &root, buf_bytes(&draft), second, NULL), ERR_OK);
        assert_true(bytes_eq(buf_bytes(&whole), buf_bytes(&together)));
        assert_int_equal(bundle_cosign(&no, &root, buf_bytes(&whole), &key[2], NULL), ERR_LIMIT);
        buf_fini(&draft);
        buf_fini(&whole);
    }
    buf_fini(&together);
}

/* What a forger put in front of the second signer is not signed. */
static void a_draft_is_judged_before_it_is_signed(void **state)
{
    (void)state;
    const struct sign_key *one = &key[0], *stranger = &key[3];
    struct buf draft = {0}, body = {0}, out = {0};
    body_of(&body, "shop.example", 1, 5,
            TEXT("5") "tests: [{from: a, to: cart, request: GET /, expect: allow}]\n");
    assert_int_equal(envelope_sign(&draft, ENVELOPE_POLICY, buf_bytes(&body), &one, 1), ERR_OK);
    assert_int_equal(bundle_cosign(&out, &root, buf_bytes(&draft), &key[1], NULL),
                     ERR_INVALID); /* its test fails */
    draft.len = body.len = 0;
    body_of(&body, "shop.example", 1, 5, TEXT("5"));
    assert_int_equal(envelope_sign(&draft, ENVELOPE_POLICY, buf_bytes(&body), &stranger, 1), ERR_OK);
    assert_int_equal(bundle_cosign(&out, &root, buf_bytes(&draft), &key[1], NULL), ERR_DENIED);
    assert_int_equal(out.len, 0);
    buf_fini(&draft);
    buf_fini(&body);
}

/* Of three signatures any two make a bundle: all are one bundle, and among agents it has one form. */
static void another_choice_of_signatures_is_the_same_bundle_B12(void **state)
{
    (void)state;
    const struct sign_key *all[] = {&key[0], &key[1], &key[2]}, *more[] = {&key[0], &key[1], &key[3]};
    struct buf body = {0}, three = {0}, settled = {0}, low = signed_with(TEXT("5"), 1, 0, 1),
               high = signed_with(TEXT("5"), 1, 1, 2);
    struct bundle a, b;
    assert_int_equal(bundle_open(&a, NULL, &root, buf_bytes(&low), NULL), ERR_OK);
    assert_int_equal(bundle_open(&b, NULL, &root, buf_bytes(&high), NULL), ERR_OK);
    assert_int_equal(bundle_succeeds(&a, b.epoch, b.version, &b.hash), ERR_EXISTS);
    body_of(&body, "shop.example", 1, 5, TEXT("5"));
    assert_int_equal(envelope_sign(&three, ENVELOPE_POLICY, buf_bytes(&body), all, 3), ERR_OK);
    assert_int_equal(bundle_settle(&settled, &root, buf_bytes(&three)), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&settled), buf_bytes(&low)));
    three.len = settled.len = 0;
    assert_int_equal(envelope_sign(&three, ENVELOPE_POLICY, buf_bytes(&body), more, 3), ERR_OK);
    assert_int_equal(bundle_settle(&settled, &root, buf_bytes(&three)), ERR_OK); /* a stranger's goes */
    assert_true(bytes_eq(buf_bytes(&settled), buf_bytes(&low)));
    three.len = settled.len = 0;
    assert_int_equal(envelope_sign(&three, ENVELOPE_POLICY, buf_bytes(&body), &all[2], 1), ERR_OK);
    assert_int_equal(bundle_settle(&settled, &root, buf_bytes(&three)), ERR_DENIED);
    assert_int_equal(settled.len, 0);
    buf_fini(&body);
    buf_fini(&three);
    buf_fini(&settled);
    buf_fini(&low);
    buf_fini(&high);
}

static void no_signature_at_all_is_refused_B4(void **state)
{
    (void)state;
    struct buf good = signed_with(TEXT("5"), 1, 0, 1);
    struct envelope e;
    assert_int_equal(envelope_parse(&e, buf_bytes(&good)), ERR_OK);
    struct buf bare = {0};
    codec_put_array(&bare, 2);
    codec_put_str(&bare, e.type);
    codec_put_bin(&bare, e.body);
    assert_int_equal(opened(buf_bytes(&bare)), ERR_MALFORMED);
    bare.len = 0;
    codec_put_array(&bare, 3);
    codec_put_str(&bare, e.type);
    codec_put_bin(&bare, e.body);
    codec_put_array(&bare, 0);
    assert_int_equal(opened(buf_bytes(&bare)), ERR_MALFORMED);
    assert_int_equal(opened(e.body), ERR_MALFORMED);
    buf_fini(&bare);
    buf_fini(&good);
}

static void only_what_rises_succeeds_B5_B12(void **state)
{
    (void)state;
    struct bundle b = {.epoch = 2, .version = 10, .hash = {{5}}};
    struct hash lower = {{4}}, same = {{5}}, higher = {{6}};
    assert_int_equal(bundle_succeeds(&b, 0, 0, &lower), ERR_OK);
    assert_int_equal(bundle_succeeds(&b, 2, 9, &lower), ERR_OK);
    assert_int_equal(bundle_succeeds(&b, 2, 11, &higher), ERR_STALE);
    assert_int_equal(bundle_succeeds(&b, 3, 1, &higher), ERR_STALE);
    assert_int_equal(bundle_succeeds(&b, 2, 10, &same), ERR_EXISTS);
    assert_int_equal(bundle_succeeds(&b, 2, 10, &higher), ERR_CONFLICT);
    assert_int_equal(bundle_succeeds(&b, 2, 10, &lower), ERR_STALE);
}

/* Two valid bundles of one version, in both orders of arrival: everybody ends with the lower hash. */
static void contradicting_signers_end_in_one_policy_B12(void **state)
{
    (void)state;
    struct buf raw[2] = {signed_with(TEXT("5"), 1, 0, 1), signed_with(TEXT("5") "# other\n", 1, 1, 2)};
    struct bundle b[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(bundle_open(&b[i], NULL, &root, buf_bytes(&raw[i]), NULL), ERR_OK);
    int low = memcmp(b[0].hash.b, b[1].hash.b, HASH_BYTES) < 0 ? 0 : 1;
    assert_int_equal(bundle_succeeds(&b[low], 1, 5, &b[!low].hash), ERR_CONFLICT);
    assert_int_equal(bundle_succeeds(&b[!low], 1, 5, &b[low].hash), ERR_STALE);
    for (int i = 0; i < 2; i++)
        buf_fini(&raw[i]);
}

static void a_thief_cannot_outrun_a_new_root_B6(void **state)
{
    (void)state;
    const struct sign_key *keys[] = {&key[0], &key[1]};
    struct buf fast = signed_with(TEXT("9223372036854775807"), 2, 0, 1), body = {0};
    struct bundle b;
    assert_int_equal(bundle_open(&b, NULL, &root, buf_bytes(&fast), NULL), ERR_OK);
    body_of(&body, "shop.example", 3, 5, TEXT("5"));
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), keys, 2), ERR_DENIED);
    expect_sign_refused(ERR_DENIED, TEXT("5"), 3, keys, 2,
                        "p: the epoch is beyond the root's; a higher one begins with a new root\n");
    /* No number is beyond what JSON readers have. */
    body.len = 0;
    body_of(&body, "shop.example", 1, UINT64_C(1) << 63, TEXT("5"));
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), keys, 2), ERR_MALFORMED);
    root.epoch = 3;
    struct buf fresh = signed_with(TEXT("1"), 3, 0, 1);
    struct bundle after;
    assert_int_equal(bundle_open(&after, NULL, &root, buf_bytes(&fresh), NULL), ERR_OK);
    assert_int_equal(bundle_succeeds(&after, b.epoch, b.version, &b.hash), ERR_OK);
    root.epoch = 2;
    buf_fini(&fast);
    buf_fini(&fresh);
    buf_fini(&body);
}

static void another_mesh_is_refused_B11(void **state)
{
    (void)state;
    const struct sign_key *keys[] = {&key[0], &key[1]};
    struct buf body = {0};
    body_of(&body, "other.example", 1, 5, "policy: v1\nmesh: other.example\nversion: 5\n");
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), keys, 2), ERR_FOREIGN);
    /* As it comes in life: signed by the other mesh's keys. */
    const struct sign_key *theirs[] = {&key[3]};
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), theirs, 1), ERR_FOREIGN);
    /* The frame says ours, the text says theirs, and the other way round with versions (B10). */
    body.len = 0;
    body_of(&body, "shop.example", 1, 5, "policy: v1\nmesh: other.example\nversion: 5\n");
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), keys, 2), ERR_INVALID);
    body.len = 0;
    body_of(&body, "shop.example", 1, 6, TEXT("5"));
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&body), keys, 2), ERR_INVALID);
    expect_sign_refused(ERR_INVALID, "policy: v1\nmesh: other.example\nversion: 5\n", 1, keys, 2,
                        "p: the text names another mesh than the root\n");
    buf_fini(&body);
}

static void a_feature_that_is_lacking_is_named(void **state)
{
    (void)state;
    const struct sign_key *keys[] = {&key[0], &key[1]};
    struct hash none = {{0}};
    struct buf body = {0}, out = {0};
    struct bundle b;
    struct complaints c = {.file = "b"};
    codec_put_array(&body, 8);
    codec_put_str(&body, bytes_of(NULL, 0));
    codec_put_str(&body, root.mesh);
    codec_put_u64(&body, 1);
    codec_put_u64(&body, 5);
    codec_put_bin(&body, bytes_of(none.b, sizeof none.b));
    codec_put_array(&body, 1);
    codec_put_str(&body, bytes_str("teleport"));
    codec_put_str(&body, bytes_of(NULL, 0));
    codec_put_str(&body, bytes_str(TEXT("5")));
    assert_int_equal(envelope_sign(&out, ENVELOPE_POLICY, buf_bytes(&body), keys, 2), ERR_OK);
    assert_int_equal(bundle_open(&b, NULL, &root, buf_bytes(&out), &c), ERR_UNSUPPORTED);
    assert_string_equal(buf_str(&c.text),
                        "b: needs feature `teleport`, which this version lacks; update the agent\n");
    buf_fini(&c.text);
    buf_fini(&body);
    buf_fini(&out);
}

#define NEEDY                                                                                                \
    "policy: v1\nmesh: shop.example\nversion: 5\nservices: {cart: {protocol: http, drain: 1s, retry: "       \
    "{attempts: 0}}}\n"                                                                                      \
    "intentions: [{name: web, from: [web], to: cart}]\n"

/* Signed ahead of the agents: the list is in the bundle, in order, and only who enforces minds. */
static void what_a_text_needs_is_listed(void **state)
{
    (void)state;
    struct buf out = signed_with(NEEDY, 1, 0, 1);
    struct bundle b;
    struct complaints c = {.file = "b"};
    static const uint8_t list[] = "\x92\xa5"
                                  "drain\xa5"
                                  "retry";
    assert_int_equal(bundle_open(&b, NULL, &root, buf_bytes(&out), NULL), ERR_OK);
    assert_int_equal(b.features, feature_bit(FEATURE_DRAIN) | feature_bit(FEATURE_RETRY));
    assert_non_null(memmem(out.at, out.len, list, sizeof list - 1));
    assert_int_equal(bundle_suits(&b, &c), features_lacking(b.features) ? ERR_UNSUPPORTED : ERR_OK);
    for (int f = 0; f < POLICY_FEATURES; f++) {
        char said[100];
        snprintf(said, sizeof said, "b: needs feature `%s`, which this version lacks; update the agent\n",
                 feature_name((enum policy_feature)f));
        bool lacking = features_lacking(b.features) & feature_bit((enum policy_feature)f);
        assert_int_equal(strstr(buf_str(&c.text), said) != NULL, lacking);
    }
    buf_fini(&c.text);
    buf_fini(&out);
}

/* The signers' list may be empty where the text needs much: what the text needs counts. */
static void an_empty_list_hides_nothing(void **state)
{
    (void)state;
    const struct sign_key *keys[] = {&key[0], &key[1]};
    struct buf body = {0}, out = {0};
    struct bundle b;
    body_of(&body, "shop.example", 1, 5, NEEDY);
    assert_int_equal(envelope_sign(&out, ENVELOPE_POLICY, buf_bytes(&body), keys, 2), ERR_OK);
    assert_int_equal(bundle_open(&b, NULL, &root, buf_bytes(&out), NULL), ERR_OK);
    assert_int_equal(b.features, feature_bit(FEATURE_DRAIN) | feature_bit(FEATURE_RETRY));
    buf_fini(&body);
    buf_fini(&out);
}

/* Signed by the right keys, and still: one spelling, or nothing. */
static void only_canonical_bodies_are_taken_B16(void **state)
{
    (void)state;
    const struct sign_key *keys[] = {&key[0], &key[1]};
    struct buf good = {0};
    body_of(&good, "shop.example", 1, 5, TEXT("5"));
    size_t epoch_at = 1 + 1 + 1 + 12, previous_at = epoch_at + 2, features_at = previous_at + 2 + 32;
    assert_int_equal(good.at[epoch_at], 1);
    assert_int_equal(good.at[features_at], 0x90);
    static const struct {
        const char *what;
        size_t from,
            to; /* this run of the good body (an offset past features_at means the end) is replaced by: */
        const char *by;
        size_t by_len;
    } cases[] = {
        {"five elements", 0, 1, "\x95", 1},
        {"seven elements", 0, 1, "\x97", 1},
        {"array32 of 2^28", 0, 1, "\xdd\x10\x00\x00\x00", 5},
        {"array16 for fixarray", 0, 1, "\xdc\x00\x08", 3},
        {"a map", 0, 1, "\x88", 1},
        {"a part", 1, 2, "\xa1x", 2},
        {"str8 for fixstr", 2, 3, "\xd9\x0c", 2},
        {"bin for str", 2, 3, "\xc4\x0c", 2},
        {"nil for the epoch", 15, 16, "\xc0", 1},
        {"uint8 for fixint", 15, 16, "\xcc\x01", 2},
        {"int64 for fixint", 15, 16, "\xd3\x00\x00\x00\x00\x00\x00\x00\x01", 9},
        {"float for int", 15, 16, "\xca\x3f\x80\x00\x00", 5},
        {"NaN", 15, 16, "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", 9},
        {"a negative epoch", 15, 16, "\xff", 1},
        {"ext", 15, 16, "\xd4\x01\x00", 3},
        {"bin16 for bin8", 17, 19, "\xc5\x00\x20", 3},
        {"previous of 31 bytes", 18, 20, "\x1f", 1},
        {"features repeated", 51, 52,
         "\x92\xa1"
         "a\xa1"
         "a",
         5},
        {"features unsorted", 51, 52,
         "\x92\xa1"
         "b\xa1"
         "a",
         5},
        {"features nested", 51, 52, "\x91\x91\x90", 3},
    };
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&good), keys, 2), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf bad = {0};
        buf_add(&bad, good.at, cases[i].from);
        buf_add(&bad, cases[i].by, cases[i].by_len);
        buf_add(&bad, good.at + cases[i].to, good.len - cases[i].to);
        enum err e = offered(ENVELOPE_POLICY, buf_bytes(&bad), keys, 2);
        if (e != ERR_MALFORMED)
            fail_msg("%s: %s", cases[i].what, err_text(e));
        buf_fini(&bad);
    }
    buf_add_u8(&good, 0xc0);
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&good), keys, 2), ERR_MALFORMED);
    good.at[good.len - 2] = 0xff; /* invalid UTF-8 as the text's last byte */
    good.len--;
    assert_int_equal(offered(ENVELOPE_POLICY, buf_bytes(&good), keys, 2), ERR_MALFORMED);
    buf_fini(&good);
}

static void a_policy_that_fails_its_tests_is_not_signed(void **state)
{
    (void)state;
    const struct sign_key *keys[] = {&key[0], &key[1]}, *strangers[] = {&key[0], &key[3]},
                          *twice[] = {&key[0], &key[0]};
    expect_sign_refused(ERR_INVALID,
                        TEXT("5") "tests: [{from: ops, to: cart, request: GET /, expect: allow}]\n", 1, keys,
                        2, "p:6:9: test failed: denied by `unmatched`, expected allow\n");
    expect_sign_refused(ERR_INVALID, TEXT("0"), 1, keys, 2,
                        "p:3:10: expected a whole number from 1 to 9223372036854775807; found `0`\n");
    expect_sign_refused(ERR_INVALID, TEXT("9223372036854775808"), 1, keys, 2,
                        "p:3:10: expected a whole number from 1 to 9223372036854775807; found "
                        "`9223372036854775808`\n");
    expect_sign_refused(
        ERR_DENIED, TEXT("5"), 1, strangers, 2,
        "p: ed25519:9be3287795907809407e14439ff198d5bfc7dce6f9bc743cb369146f610b4801 is not among the "
        "policy keys of the root of epoch 2: sign with one that is, or by a newer root.trust\n");
    expect_sign_refused(ERR_DENIED, TEXT("5"), 1, twice, 2,
                        "p: the same key is given twice; a key counts once\n");
}

static void size_is_bounded(void **state)
{
    (void)state;
    const struct sign_key *keys[] = {&key[0], &key[1]};
    struct buf text = {0};
    buf_add_str(&text, TEXT("5"));
    while (text.len < BUNDLE_TEXT_MAX)
        buf_add_str(&text, "#\n");
    text.len = BUNDLE_TEXT_MAX;
    struct buf out = signed_with(buf_str(&text), 1, 0, 1);
    assert_true(out.len <= BUNDLE_BYTES_MAX);
    assert_int_equal(opened(buf_bytes(&out)), ERR_OK);
    buf_add_u8(&text, '#');
    expect_sign_refused(ERR_LIMIT, buf_str(&text), 1, keys, 2, "p: too large for a bundle\n");
    buf_reserve(&out, BUNDLE_BYTES_MAX);
    assert_int_equal(opened(bytes_of(out.at, BUNDLE_BYTES_MAX + 1)), ERR_LIMIT);
    buf_fini(&text);
    buf_fini(&out);
}

/* -- parts ------------------------------------------------------------------------------------- */

#define PART(body) "policy: v1\nmesh: shop.example\npart: web-team\nversion: 3\n" body

/* The third key and the stranger's, each alone, speak for web and web-*. */
static struct root with_part(void)
{
    struct root r = root;
    r.delegation_count = 1;
    r.delegation[0] = (struct delegation){.name = bytes_str("web-team"),
                                          .role = {1, 1, {key[3].pub}},
                                          .service_count = 1,
                                          .service = {bytes_str("web*")}};
    return r;
}

static enum err sign_part(struct buf *out, const struct root *r, const char *text, const struct sign_key *by,
                          struct complaints *c)
{
    struct bundle_wish w = {.epoch = 1, .part = bytes_str("web-team"), .text = bytes_str(text)};
    return bundle_sign_as(out, r, &w, &by, 1, c);
}

static void a_part_is_signed_by_its_own_keys_and_by_no_others(void **state)
{
    (void)state;
    struct root r = with_part();
    struct buf out = {0}, no = {0};
    struct bundle b;
    struct policy *p = NULL;
    static const char text[] = PART("services: {web: {protocol: http}}\n");
    assert_int_equal(sign_part(&out, &r, text, &key[3], NULL), ERR_OK);
    assert_int_equal(bundle_open(&b, &p, &r, buf_bytes(&out), NULL), ERR_OK);
    assert_true(bytes_eq_str(b.part, "web-team") && b.version == 3 && b.signers_wanted == 1);
    assert_string_equal(policy_part(p), "web-team");
    assert_true(bytes_eq_str(bundle_text(buf_bytes(&out)), text));
    policy_unref(p);
    assert_int_equal(bundle_open(&b, NULL, &root, buf_bytes(&out), NULL), ERR_DENIED); /* a root without it */
    assert_int_equal(sign_part(&no, &r, text, &key[0], NULL), ERR_DENIED); /* a policy key is not enough */
    assert_int_equal(sign_part(&no, &root, text, &key[3], NULL), ERR_DENIED);
    /* As the policy itself it is refused, whoever signs: the text says that it is a part. */
    const struct sign_key *both[] = {&key[0], &key[1]};
    assert_int_equal(bundle_sign(&no, &r, 1, bytes_str(text), NULL, both, 2, NULL), ERR_INVALID);
    assert_int_equal(no.len, 0);
    for (size_t bit = 0; bit < out.len * 8; bit++) { /* B1 */
        out.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(bundle_open(&b, NULL, &r, buf_bytes(&out), NULL), ERR_OK);
        out.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_fini(&out);
}

static void a_part_says_only_what_is_within_its_reach(void **state)
{
    (void)state;
    struct root r = with_part();
    static const char *const beyond[] = {
        PART("services: {cart: {protocol: http}}\n"),
        PART("services: {web: {protocol: http}}\nintentions: [{name: a, from: [web], to: cart}]\n"),
        PART("defaults: {unmatched: audit}\n"),
        PART("revoke: []\n"),
        "policy: v1\nmesh: shop.example\npart: other\nversion: 3\n",
        "policy: v1\nmesh: shop.example\nversion: 3\n",
        "policy: v1\nmesh: shop.example\npart: web-team\nversion: 4294967296\n",
    };
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        struct buf out = {0};
        if (sign_part(&out, &r, beyond[i], &key[3], NULL) != ERR_INVALID)
            fail_msg("signed: %s", beyond[i]);
        assert_int_equal(out.len, 0);
        buf_fini(&out);
    }
}

/* A policy key's signature under a part, a delegate's under a policy: the same body, and good for nothing (B17). */
static void a_part_is_no_policy_and_a_policy_no_part_B17(void **state)
{
    (void)state;
    struct root r = with_part();
    struct bundle b;
    struct buf out = {0}, body = {0}, swapped = {0};
    struct envelope e;
    const struct sign_key *delegate = &key[3], *both[] = {&key[0], &key[1]};
    assert_int_equal(sign_part(&out, &r, PART("services: {web: {protocol: http}}\n"), &key[3], NULL), ERR_OK);
    assert_int_equal(envelope_parse(&e, buf_bytes(&out)), ERR_OK);
    assert_int_equal(envelope_sign(&swapped, ENVELOPE_POLICY, e.body, &delegate, 1), ERR_OK);
    assert_int_equal(bundle_open(&b, NULL, &r, buf_bytes(&swapped), NULL), ERR_MALFORMED);
    body_of(&body, "shop.example", 1, 5, TEXT("5"));
    swapped.len = 0;
    assert_int_equal(envelope_sign(&swapped, ENVELOPE_PART, buf_bytes(&body), both, 2), ERR_OK);
    assert_int_equal(bundle_open(&b, NULL, &r, buf_bytes(&swapped), NULL), ERR_MALFORMED);
    buf_fini(&out);
    buf_fini(&body);
    buf_fini(&swapped);
}

/* The reason goes into what is signed, where every reader finds it. */
static void a_failing_test_is_signed_only_for_a_reason_that_is_kept(void **state)
{
    (void)state;
    const struct sign_key *one = &key[0];
    struct bundle_wish w = {
        .epoch = 1,
        .text = bytes_str(TEXT("5") "tests: [{from: a, to: cart, request: GET /, expect: allow}]\n")};
    struct buf out = {0}, whole = {0};
    struct bundle b;
    assert_int_equal(bundle_sign_as(&out, &root, &w, &one, 1, NULL), ERR_INVALID);
    w.forced = bytes_str("incident 7");
    assert_int_equal(bundle_sign_as(&out, &root, &w, &one, 1, NULL), ERR_OK);
    assert_int_equal(bundle_cosign(&whole, &root, buf_bytes(&out), &key[1], NULL), ERR_OK);
    assert_int_equal(bundle_open(&b, NULL, &root, buf_bytes(&whole), NULL), ERR_OK);
    assert_true(bytes_eq_str(b.forced, "incident 7"));
    assert_int_equal(b.dropped.len, 0);
    buf_fini(&out);
    buf_fini(&whole);
}

/* Both in one text of the body; and the one of the two alone, which permits no failing test. */
static void two_reasons_are_kept_apart(void **state)
{
    (void)state;
    struct bundle_wish w = {
        .epoch = 1,
        .forced = bytes_str("incident 7"),
        .dropped = bytes_str("its token ended"),
        .text = bytes_str(TEXT("5") "tests: [{from: a, to: cart, request: GET /, expect: allow}]\n")};
    const struct sign_key *one = &key[0];
    struct buf out = {0}, alone = {0};
    struct bundle b;
    assert_int_equal(bundle_sign_as(&out, &root, &w, &one, 1, NULL), ERR_OK);
    assert_int_equal(bundle_peek(&b, buf_bytes(&out)), ERR_OK);
    assert_true(bytes_eq_str(b.forced, "incident 7"));
    assert_true(bytes_eq_str(b.dropped, "its token ended"));
    w.forced = bytes_str("");
    assert_int_equal(bundle_sign_as(&alone, &root, &w, &one, 1, NULL), ERR_INVALID);
    w.text = bytes_str(TEXT("5"));
    assert_int_equal(bundle_sign_as(&alone, &root, &w, &one, 1, NULL), ERR_OK);
    assert_int_equal(bundle_peek(&b, buf_bytes(&alone)), ERR_OK);
    assert_int_equal(b.forced.len, 0);
    assert_true(bytes_eq_str(b.dropped, "its token ended"));
    w.dropped = bytes_str("two\nlines");
    assert_int_equal(bundle_sign_as(&alone, &root, &w, &one, 1, NULL), ERR_INVALID);
    buf_fini(&out);
    buf_fini(&alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_is_signed_by_its_own_keys_and_by_no_others),
        cmocka_unit_test(a_part_says_only_what_is_within_its_reach),
        cmocka_unit_test(a_part_is_no_policy_and_a_policy_no_part_B17),
        cmocka_unit_test(a_failing_test_is_signed_only_for_a_reason_that_is_kept),
        cmocka_unit_test(two_reasons_are_kept_apart),
        cmocka_unit_test(what_was_signed_comes_out),
        cmocka_unit_test(two_tools_make_the_same_bytes_B23),
        cmocka_unit_test(one_bit_changed_anywhere_is_refused_B1),
        cmocka_unit_test(every_prefix_and_any_surplus_is_refused_B20),
        cmocka_unit_test(wrong_signers_are_refused_B2),
        cmocka_unit_test(a_key_counts_once_and_all_are_needed_B3),
        cmocka_unit_test(surplus_signatures_are_refused),
        cmocka_unit_test(a_draft_goes_from_signer_to_signer),
        cmocka_unit_test(a_draft_is_judged_before_it_is_signed),
        cmocka_unit_test(another_choice_of_signatures_is_the_same_bundle_B12),
        cmocka_unit_test(no_signature_at_all_is_refused_B4),
        cmocka_unit_test(only_what_rises_succeeds_B5_B12),
        cmocka_unit_test(contradicting_signers_end_in_one_policy_B12),
        cmocka_unit_test(a_thief_cannot_outrun_a_new_root_B6),
        cmocka_unit_test(another_mesh_is_refused_B11),
        cmocka_unit_test(a_feature_that_is_lacking_is_named),
        cmocka_unit_test(what_a_text_needs_is_listed),
        cmocka_unit_test(an_empty_list_hides_nothing),
        cmocka_unit_test(only_canonical_bodies_are_taken_B16),
        cmocka_unit_test(a_policy_that_fails_its_tests_is_not_signed),
        cmocka_unit_test(size_is_bounded),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
