/* Records: a node speaks for itself, within its credential, in one spelling (ADVERSARY R1, R2, B16, G11, G15,
 * G16). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "trust/enrol.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000, DAY = 24 * 3600 };

/* One mesh and one enrolled host, the same for all tests. */
static struct sign_key root_key, enrol_key, identity;
static struct buf root_bytes, credential;
static struct trust *trust;

static struct sign_key key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, seed_byte, sizeof seed);
    assert_int_equal(sign_key_of_seed(&k, seed), ERR_OK);
    return k;
}

static struct credential credential_of(const struct sign_key *id)
{
    uint8_t scalar[32] = {9, [31] = 1};
    struct dh_key noise;
    assert_int_equal(dh_key_of_secret(&noise, scalar), ERR_OK);
    struct credential c = {.mesh = STR("shop.example"),
                           .node = STR("web-1"),
                           .id = id->pub,
                           .service_count = 2,
                           .service = {STR("cart"), STR("web")},
                           .not_before = NOW,
                           .expires = NOW + DAY};
    memcpy(c.noise_key, noise.pub, 32);
    return c;
}

static int setup(void **state)
{
    (void)state;
    if (trust_init() != ERR_OK)
        return -1;
    root_key = key_of(1);
    enrol_key = key_of(2);
    identity = key_of(3);
    const struct sign_key *by = &root_key;
    struct root r = {.mesh = STR("shop.example"),
                     .epoch = 1,
                     .root = {1, 1, {root_key.pub}},
                     .policy = {1, 1, {root_key.pub}},
                     .enrol = {1, 1, {enrol_key.pub}}};
    struct credential c = credential_of(&identity);
    assert_int_equal(root_create(&root_bytes, &r, &by, 1), ERR_OK);
    assert_int_equal(trust_new(&trust, buf_bytes(&root_bytes), NULL), ERR_OK);
    assert_int_equal(credential_create(&credential, &c, bytes_of(NULL, 0), &enrol_key), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    trust_unref(trust);
    buf_fini(&root_bytes);
    buf_fini(&credential);
    return 0;
}

static struct record record_of(void)
{
    struct record r = {.incarnation = 7,
                       .version = 300,
                       .draining = true,
                       .addr_count = 2,
                       .features = FEATURE_AESGCM,
                       .protocol_max = 2,
                       .link_max = 2,
                       .policy_epoch = 1,
                       .policy_version = 42,
                       .policy_hash = {{1, 2, 3}},
                       .service_count = 2};
    r.credential.bytes = buf_bytes(&credential);
    assert_true(addr_parse(&r.addr[0], "10.0.0.5:7400", 0));
    assert_true(addr_parse(&r.addr[1], "[2001:db8::5]:7400", 0));
    r.service[0] = (struct record_service){.name = STR("web"), .port = 8081, .protocol = PROTOCOL_TCP};
    r.service[1] = (struct record_service){
        .name = STR("cart"), .port = 8080, .protocol = PROTOCOL_HTTP, .healthy = true};
    assert_int_equal(labels_add(&r.service[1].labels, STR("version"), STR("1")), ERR_OK);
    return r;
}

#define EXPECT_REFUSED(expected_err, expected_field, call)                                                   \
    do {                                                                                                     \
        struct refusal why = {"nothing", "nothing"};                                                         \
        assert_int_equal((call), (expected_err));                                                            \
        assert_string_equal(why.field, (expected_field));                                                    \
    } while (0)

static void what_a_node_says_is_what_others_read(void **state)
{
    struct record r = record_of(), out;
    struct buf b = {0};
    (void)state;
    assert_int_equal(record_create(&b, &r, &identity), ERR_OK);
    assert_int_equal(trust_record(trust, buf_bytes(&b), NOW, &out), ERR_OK);
    assert_true(bytes_eq_str(out.credential.node, "web-1"));
    assert_true(node_id_eq(&out.credential.id, &identity.pub));
    assert_int_equal(out.incarnation, 7);
    assert_int_equal(out.version, 300);
    assert_false(out.left);
    assert_true(out.draining);
    assert_int_equal(out.addr_count, 2);
    assert_true(addr_eq(&out.addr[0], &r.addr[0]) && addr_eq(&out.addr[1], &r.addr[1]));
    assert_int_equal(out.features, FEATURE_AESGCM);
    assert_true(out.protocol_min == 1 && out.protocol_max == 2 && out.link_min == 1 && out.link_max == 2);
    assert_int_equal(out.policy_epoch, 1);
    assert_int_equal(out.policy_version, 42);
    assert_true(hash_eq(&out.policy_hash, &r.policy_hash));
    assert_int_equal(out.service_count, 2); /* sorted by name */
    assert_true(bytes_eq_str(out.service[0].name, "cart") && bytes_eq_str(out.service[1].name, "web"));
    assert_int_equal(out.service[0].port, 8080);
    assert_int_equal(out.service[0].protocol, PROTOCOL_HTTP);
    assert_true(out.service[0].healthy);
    assert_false(out.service[1].healthy);
    assert_true(bytes_eq_str(*labels_get(&out.service[0].labels, STR("version")), "1"));
    buf_fini(&b);
}

static void assert_same(const struct record *a, const struct record *b)
{
    assert_true(a->incarnation == b->incarnation && a->version == b->version && a->left == b->left);
    assert_true(a->draining == b->draining && a->addr_count == b->addr_count && a->features == b->features);
    assert_true(bytes_eq(a->credential.bytes, b->credential.bytes) &&
                a->credential.labels.count == b->credential.labels.count);
    assert_true(a->policy_version == b->policy_version && hash_eq(&a->policy_hash, &b->policy_hash));
    assert_true(a->rollout.version == b->rollout.version && a->overlay.version == b->overlay.version &&
                a->unknown.len == b->unknown.len);
    assert_int_equal(a->service_count, b->service_count);
    for (size_t i = 0; i < a->service_count; i++) {
        const struct record_service *x = &a->service[i], *y = &b->service[i];
        assert_true(bytes_eq(x->name, y->name) && x->port == y->port && x->healthy == y->healthy);
        assert_int_equal(x->labels.count, y->labels.count);
    }
}

/* Into memory that held another before: nothing of that is left. */
static void what_was_accepted_is_read_again_as_it_was(void **state)
{
    struct record full = record_of(), bare = {.incarnation = 8}, judged, again;
    struct buf b[2] = {{0}, {0}};
    (void)state;
    bare.credential.bytes = buf_bytes(&credential);
    assert_int_equal(record_create(&b[0], &full, &identity), ERR_OK);
    assert_int_equal(record_create(&b[1], &bare, &identity), ERR_OK);
    memset(&again, 0x5a, sizeof again);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(trust_record(trust, buf_bytes(&b[i % 2]), NOW, &judged), ERR_OK);
        record_reopen(&again, buf_bytes(&b[i % 2]));
        assert_same(&again, &judged);
    }
    buf_fini(&b[0]);
    buf_fini(&b[1]);
}

static void a_node_without_policy_or_services_or_at_the_last_incarnation_speaks_too_G6(void **state)
{
    struct record r = {.incarnation = UINT64_MAX, .version = UINT64_MAX, .left = true}, out;
    struct buf b = {0};
    (void)state;
    r.credential.bytes = buf_bytes(&credential);
    assert_int_equal(record_create(&b, &r, &identity), ERR_OK);
    assert_int_equal(trust_record(trust, buf_bytes(&b), NOW, &out), ERR_OK);
    assert_true(out.left && out.incarnation == UINT64_MAX && out.version == UINT64_MAX);
    assert_int_equal(out.policy_version, 0);
    assert_int_equal(out.service_count, 0);
    buf_fini(&b);
}

static void only_the_owner_signs_its_record_R1_R2(void **state)
{
    struct record r = record_of(), out;
    struct sign_key other = key_of(9);
    struct buf forged = {0}, own = {0}, doubled = {0};
    (void)state;
    assert_int_equal(record_create(&forged, &r, &other), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "record.signatures",
                   trust_record_why(trust, buf_bytes(&forged), NOW, &out, &why));
    assert_int_equal(record_create(&own, &r, &identity), ERR_OK);
    assert_int_equal(envelope_cosign(&doubled, buf_bytes(&own), &other), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "record.signatures",
                   trust_record_why(trust, buf_bytes(&doubled), NOW, &out, &why));
    buf_fini(&forged);
    buf_fini(&own);
    buf_fini(&doubled);
}

static void a_service_beyond_the_credential_is_refused_G15(void **state)
{
    struct record r = record_of(), out;
    struct buf b = {0};
    (void)state;
    r.service[0].name = STR("payments");
    assert_int_equal(record_create(&b, &r, &identity), ERR_OK);
    EXPECT_REFUSED(ERR_DENIED, "record.services", trust_record_why(trust, buf_bytes(&b), NOW, &out, &why));
    buf_fini(&b);
}

static void a_record_lives_as_long_as_its_credential(void **state)
{
    struct record r = record_of(), out;
    struct buf b = {0};
    (void)state;
    assert_int_equal(record_create(&b, &r, &identity), ERR_OK);
    assert_int_equal(trust_record(trust, buf_bytes(&b), NOW + DAY - 1, &out), ERR_OK);
    EXPECT_REFUSED(ERR_EXPIRED, "credential.expires",
                   trust_record_why(trust, buf_bytes(&b), NOW + DAY, &out, &why));
    buf_fini(&b);
}

static void a_refused_record_leaves_no_trace(void **state)
{
    struct record r = record_of(), out, before;
    struct buf b = {0};
    (void)state;
    memset(&out, 0x5a, sizeof out);
    before = out;
    assert_int_equal(record_create(&b, &r, &identity), ERR_OK);
    for (size_t bit = 0; bit < 8 * b.len; bit += 5) {
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(trust_record(trust, buf_bytes(&b), NOW, &out), ERR_OK);
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_memory_equal(&out, &before, sizeof out);
    buf_fini(&b);
}

/* What our own tool does not make. */
static void a_record_beyond_its_limits_is_not_made_G11_G16(void **state)
{
    static const char *const undialable[] = {"0.0.0.0:7400",   "224.0.0.1:7400",       "169.254.169.254:80",
                                             "10.0.0.1:0",     "255.255.255.255:7400", "[::]:7400",
                                             "[ff02::1]:7400", "[fe80::1]:7400"};
    static const char *const names[] = {"",
                                        "Cart",
                                        "cart.",
                                        "-cart",
                                        "ca rt",
                                        "cart\n",
                                        "\x1b[31m",
                                        "cart\xe2\x80\xae",
                                        "\321\201art",
                                        "\xff",
                                        "a..b",
                                        "xn--caf-dma.", /* U+0441; a dot at its end */
                                        "a-name-of-sixty-four-bytes-is-one-byte-longer-than-a-name-may-be"};
    struct buf b = {0};
    (void)state;
    for (size_t i = 0; i < sizeof undialable / sizeof *undialable; i++) {
        struct record r = record_of();
        assert_true(addr_parse(&r.addr[1], undialable[i], 0));
        EXPECT_REFUSED(ERR_INVALID, "record.addresses", record_create_why(&b, &r, &identity, &why));
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct record r = record_of();
        r.service[0].name = bytes_str(names[i]);
        EXPECT_REFUSED(ERR_INVALID, "record.services.name", record_create_why(&b, &r, &identity, &why));
    }
    struct record r = record_of();
    r.service[0].name = bytes_of("ca\0t", 4);
    EXPECT_REFUSED(ERR_INVALID, "record.services.name", record_create_why(&b, &r, &identity, &why));
    r = record_of();
    r.service[0].name = r.service[1].name;
    EXPECT_REFUSED(ERR_INVALID, "record.services.name", record_create_why(&b, &r, &identity, &why));
    r = record_of();
    r.service[0].port = 0;
    EXPECT_REFUSED(ERR_INVALID, "record.services.port", record_create_why(&b, &r, &identity, &why));
    r = record_of();
    r.service[0].protocol = PROTOCOL_HTTP + 1;
    EXPECT_REFUSED(ERR_INVALID, "record.services.protocol", record_create_why(&b, &r, &identity, &why));
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void too_much_in_one_record_is_over_the_limit(void **state)
{
    static char name[RECORD_SERVICES_MAX][SERVICE_NAME_MAX], value[LABELS_MAX][LABEL_MAX];
    struct record r = record_of();
    struct buf b = {0};
    (void)state;
    r.service_count = RECORD_SERVICES_MAX;
    for (size_t i = 0; i < RECORD_SERVICES_MAX; i++) {
        memset(name[i], 'a' + (int)(i % 26), SERVICE_NAME_MAX);
        name[i][0] = i < 26 ? 'x' : 'y';
        r.service[i] = (struct record_service){.name = bytes_of(name[i], SERVICE_NAME_MAX), .port = 1};
        for (size_t k = 0; k < LABELS_MAX; k++) {
            memset(value[k], 'a' + (int)k, LABEL_MAX);
            assert_int_equal(labels_add(&r.service[i].labels, bytes_of(value[k], LABEL_MAX), STR("1")),
                             ERR_OK);
        }
    }
    EXPECT_REFUSED(ERR_LIMIT, "record", record_create_why(&b, &r, &identity, &why));
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

/* Signs any body as the node itself: the key is right, so only the body's spelling is left to object to. */
static enum err judge_body(struct bytes body, struct record *out, struct refusal *why)
{
    struct buf b = {0};
    const struct sign_key *by = &identity;
    assert_int_equal(envelope_sign(&b, ENVELOPE_RECORD, body, &by, 1), ERR_OK);
    enum err err = trust_record_why(trust, buf_bytes(&b), NOW, out, why);
    /* The accepted set is the canonical set: what was read, written again, is the same. */
    if (err == ERR_OK) {
        struct buf again = {0};
        assert_int_equal(record_create(&again, out, &identity), ERR_OK);
        assert_true(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
        buf_fini(&again);
    }
    buf_fini(&b);
    return err;
}

static struct buf body_with(const char *rest, size_t len)
{
    struct buf b = {0};
    codec_put_array(&b, 9);
    codec_put_bin(&b, buf_bytes(&credential));
    buf_add(&b, rest, len);
    return b;
}

/* [incarnation 1, version 1, left, draining, addresses, features, policy, services] in other spellings,
 * rightly signed. */
static void other_spellings_are_refused_though_rightly_signed_B16(void **state)
{
#define ZEROS8 "\0\0\0\0\0\0\0\0"
#define HASH   ZEROS8 ZEROS8 ZEROS8 ZEROS8
#define PLAIN  "\x01\x01\xc2\xc2\x90\x00\x90"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x05\x1c\xe8"
    static const struct {
        const char *name, *rest;
        size_t len;
        enum err err;
        const char *field;
    } t[] = {
#define ROW(name, rest, err, field) {name, rest, sizeof(rest) - 1, err, field}
        ROW("as it should be", PLAIN "\x90", ERR_OK, ""),
        ROW("with policy", "\x01\x01\xc2\xc2\x90\x00\x93\x01\x2a\xc4\x20" HASH "\x90", ERR_OK, ""),
        ROW("left as 1", "\x01\x01\x01\xc2\x90\x00\x90\x90", ERR_MALFORMED, "record.left"),
        ROW("incarnation u8", "\xcc\x01\x01\xc2\xc2\x90\x00\x90\x90", ERR_MALFORMED, "record.incarnation"),
        ROW("policy 0,0 in long", "\x01\x01\xc2\xc2\x90\x00\x93\x00\x00\xc4\x20" HASH "\x90", ERR_MALFORMED,
            "record.policy"),
        ROW("policy of one", "\x01\x01\xc2\xc2\x90\x00\x91\x01\x90", ERR_MALFORMED, "record.policy"),
        ROW("features over 32 bits", "\x01\x01\xc2\xc2\x90\xcf\0\0\0\x01\0\0\0\0\x90\x90", ERR_MALFORMED,
            "record.features"),
        ROW("three addresses",
            "\x01\x01\xc2\xc2\x93\xc4\x06\x0a\0\0\x05\x1c\xe8\xc4\x06\x0a\0\0\x06\x1c\xe8"
            "\xc4\x06\x0a\0\0\x07\x1c\xe8\x00\x90\x90",
            ERR_MALFORMED, "record.addresses"),
        ROW("IPv4 in 18 bytes", "\x01\x01\xc2\xc2\x91\xc4\x12" MAPPED "\x00\x90\x90", ERR_MALFORMED,
            "record.addresses"),
        ROW("address of 7", "\x01\x01\xc2\xc2\x91\xc4\x07\x0a\0\0\x05\x1c\xe8\0\x00\x90\x90", ERR_MALFORMED,
            "record.addresses"),
        ROW("metadata address", "\x01\x01\xc2\xc2\x91\xc4\x06\xa9\xfe\xa9\xfe\0\x50\x00\x90\x90", ERR_DENIED,
            "record.addresses"),
        ROW("a service", PLAIN "\x91\x95\xa3web\x01\x00\xc3\x80", ERR_OK, ""),
        ROW("port 65536", PLAIN "\x91\x95\xa3web\xce\0\x01\0\0\x00\xc3\x80", ERR_MALFORMED,
            "record.services.port"),
        ROW("protocol 2", PLAIN "\x91\x95\xa3web\x01\x02\xc3\x80", ERR_MALFORMED, "record.services.protocol"),
        ROW("service twice", PLAIN "\x92\x95\xa3web\x01\x00\xc3\x80\x95\xa3web\x02\x00\xc3\x80",
            ERR_MALFORMED, "record.services.name"),
        ROW("services fall",
            PLAIN "\x92\x95\xa3web\x01\x00\xc3\x80\x95\xa4"
                  "cart\x02\x00\xc3\x80",
            ERR_MALFORMED, "record.services.name"),
        ROW("label twice",
            PLAIN "\x91\x95\xa3web\x01\x00\xc3\x82\xa1"
                  "a\xa1"
                  "1\xa1"
                  "a\xa1"
                  "2",
            ERR_MALFORMED, "record.services.labels"),
        ROW("label empty",
            PLAIN "\x91\x95\xa3web\x01\x00\xc3\x81\xa1"
                  "a\xa0",
            ERR_MALFORMED, "record.services.labels"),
        ROW("label with an escape",
            PLAIN "\x91\x95\xa3web\x01\x00\xc3\x81\xa1"
                  "a\xa1\x1b",
            ERR_MALFORMED, "record.services.labels"),
        ROW("one field more", PLAIN "\x90\x00", ERR_MALFORMED, "end"),
        ROW("one field less", PLAIN, ERR_MALFORMED, "record.services"),
        ROW("10^9 services", PLAIN "\xdd\x3b\x9a\xca\0", ERR_MALFORMED, "record.services"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct record out;
        struct refusal why = {"", ""};
        struct buf body = body_with(t[i].rest, t[i].len);
        if (judge_body(buf_bytes(&body), &out, &why) != t[i].err || strcmp(why.field, t[i].field) != 0)
            fail_msg("%s: got \"%s: %s\"", t[i].name, why.field, why.reason);
        buf_fini(&body);
    }
}

/* ---- layout 2, and what comes after it (R10) ---- */

static struct record record_of_layout_2(void)
{
    struct record r = record_of();
    r.layout = 2;
    r.root_epoch = 300;
    memcpy(r.coordinate, "a way away.", RECORD_COORDINATE_BYTES);
    return r;
}

/* A layout 2 record's body with `count` more elements in these bytes, signed by its owner. */
static enum err judge_later(size_t count, struct bytes elements, struct record *out, struct refusal *why)
{
    enum { OF_LAYOUT_2 = 15 }; /* the last four say nothing, and stand there only when more follows */
    struct record r = record_of_layout_2();
    struct buf b = {0}, body = {0};
    struct envelope e;
    assert_int_equal(record_create(&b, &r, &identity), ERR_OK);
    assert_int_equal(envelope_parse(&e, buf_bytes(&b)), ERR_OK);
    codec_put_array(&body, OF_LAYOUT_2 + count);
    buf_add(&body, e.body.at + 1, e.body.len - 1);
    buf_add(&body, "\x90\x90\x90\x90", 4);
    buf_add_bytes(&body, elements);
    enum err err = judge_body(buf_bytes(&body), out, why);
    buf_fini(&b);
    buf_fini(&body);
    return err;
}

static void layout_2_says_where_its_owner_is_and_whom_it_trusts(void **state)
{
    struct record r = record_of_layout_2(), out;
    struct buf b = {0}, old = {0};
    (void)state;
    assert_int_equal(record_create(&b, &r, &identity), ERR_OK);
    assert_int_equal(trust_record(trust, buf_bytes(&b), NOW, &out), ERR_OK);
    assert_int_equal(out.layout, 2);
    assert_int_equal(out.root_epoch, 300);
    assert_memory_equal(out.coordinate, "a way away.", RECORD_COORDINATE_BYTES);
    assert_int_equal(out.unknown_count, 0);
    /* In layout 1 the same record says neither. */
    r.layout = 1;
    assert_int_equal(record_create(&old, &r, &identity), ERR_OK);
    assert_int_equal(trust_record(trust, buf_bytes(&old), NOW, &out), ERR_OK);
    assert_int_equal(out.layout, 1);
    assert_int_equal(out.root_epoch, 0);
    assert_true(old.len < b.len);
    buf_fini(&b);
    buf_fini(&old);
}

static void what_a_later_version_adds_is_kept_and_changes_nothing_R10(void **state)
{
    struct record r = record_of_layout_2(), plain, out;
    struct buf b = {0}, c = {0}, again = {0};
    (void)state;
    assert_int_equal(record_create(&b, &r, &identity), ERR_OK);
    assert_int_equal(trust_record(trust, buf_bytes(&b), NOW, &plain), ERR_OK);
    /* 7, {"a": [true]}, "new" */
    r.unknown_count = 3;
    r.unknown = STR("\x07\x81\xa1\x61\x91\xc3\xa3new");
    assert_int_equal(record_create(&c, &r, &identity), ERR_OK);
    assert_int_equal(trust_record(trust, buf_bytes(&c), NOW, &out), ERR_OK);
    assert_int_equal(out.unknown_count, 3);
    assert_true(bytes_eq(out.unknown, r.unknown));
    /* Whoever passes it on as it was read passes on what was signed. */
    assert_int_equal(record_create(&again, &out, &identity), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&again), buf_bytes(&c)));
    out.unknown_count = 0;
    out.unknown = bytes_of(NULL, 0);
    buf_fini(&again);
    assert_int_equal(record_create(&again, &out, &identity), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&again), buf_bytes(&b)));
    buf_fini(&b);
    buf_fini(&c);
    buf_fini(&again);
}

static void what_a_later_version_adds_is_held_to_the_spelling_and_to_limits_B16_G12(void **state)
{
    struct record out;
    struct bytes many = STR("\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
                            "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01");
    (void)state;
    assert_true(many.len > RECORD_UNKNOWN_MAX);
    assert_int_equal(judge_later(RECORD_UNKNOWN_MAX, bytes_of(many.at, RECORD_UNKNOWN_MAX), &out, NULL),
                     ERR_OK);
    EXPECT_REFUSED(
        ERR_MALFORMED, "record",
        judge_later(RECORD_UNKNOWN_MAX + 1, bytes_of(many.at, RECORD_UNKNOWN_MAX + 1), &out, &why));
    /* A number in two bytes that has place in one, a negative one, a float, a map out of order, too deep. */
    EXPECT_REFUSED(ERR_MALFORMED, "record.unknown", judge_later(1, STR("\xcc\x07"), &out, &why));
    EXPECT_REFUSED(ERR_MALFORMED, "record.unknown", judge_later(1, STR("\xff"), &out, &why));
    EXPECT_REFUSED(ERR_MALFORMED, "record.unknown", judge_later(1, STR("\xcb\0\0\0\0\0\0\0\0"), &out, &why));
    EXPECT_REFUSED(ERR_MALFORMED, "record.unknown",
                   judge_later(1, STR("\x82\xa1\x62\x01\xa1\x61\x01"), &out, &why));
    EXPECT_REFUSED(ERR_MALFORMED, "record.unknown",
                   judge_later(1, STR("\x91\x91\x91\x91\x91\x01"), &out, &why));
    assert_int_equal(judge_later(1, STR("\x91\x91\x91\x91\x01"), &out, NULL), ERR_OK);
    /* Fewer than were announced, and more. */
    EXPECT_REFUSED(ERR_MALFORMED, "record.unknown", judge_later(2, STR("\x01"), &out, &why));
    EXPECT_REFUSED(ERR_MALFORMED, "end", judge_later(1, STR("\x01\x01"), &out, &why));
}

static void whatever_is_accepted_is_canonical_B16(void **state)
{
    struct record r = record_of(), out;
    struct buf good = {0};
    struct envelope e;
    struct rng rng = rng_seeded(16);
    size_t accepted = 0;
    (void)state;
    assert_int_equal(record_create(&good, &r, &identity), ERR_OK);
    assert_int_equal(envelope_parse(&e, buf_bytes(&good)), ERR_OK);
    size_t own = e.body.len - credential.len; /* bytes after the credential: the only ones worth changing */
    for (int i = 0; i < 4000; i++) {
        struct buf body = {0};
        buf_add_bytes(&body, e.body);
        body.at[body.len - 1 - rng_below(&rng, (uint32_t)own - 8)] = (uint8_t)rng_u64(&rng);
        accepted += judge_body(buf_bytes(&body), &out, NULL) == ERR_OK;
        buf_fini(&body);
    }
    assert_true(accepted > 100);
    buf_fini(&good);
}

/* What a host counted while a version is rolled out: once, in one spelling, and errors are a part of the requests. */
static void what_was_counted_in_a_rollout_is_told_in_one_spelling_B16(void **state)
{
    (void)state;
    static const struct {
        struct record_rollout r;
        enum err err;
    } t[] = {
        {{.version = 0}, ERR_OK},
        {{1, 42, false, {0, 0, 0, 0}, {0, 0, 0, 0}}, ERR_OK},
        {{1, 42, true, {1000, 10, 3, 2560}, {UINT64_MAX / 2, 7, 0, 60000000}}, ERR_OK},
        {{1, 42, true, {10, 11, 0, 0}, {0, 0, 0, 0}}, ERR_INVALID},
        {{1, 42, true, {0, 0, 0, 0}, {10, 0, 11, 0}}, ERR_INVALID},
        {{1, UINT64_MAX, true, {0, 0, 0, 0}, {0, 0, 0, 0}}, ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf b = {0}, again = {0};
        struct record r = record_of(), back;
        r.layout = 2;
        r.rollout = t[i].r;
        assert_int_equal(record_create(&b, &r, &identity), t[i].err);
        if (t[i].err == ERR_OK) {
            assert_int_equal(trust_record(trust, buf_bytes(&b), NOW, &back), ERR_OK);
            assert_int_equal(back.rollout.version, t[i].r.version);
            assert_int_equal(back.rollout.halted, t[i].r.halted);
            assert_memory_equal(&back.rollout.before, &t[i].r.before, sizeof back.rollout.before);
            assert_memory_equal(&back.rollout.after, &t[i].r.after, sizeof back.rollout.after);
            assert_int_equal(record_create(&again, &back, &identity), ERR_OK);
            assert_true(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
        }
        buf_fini(&b);
        buf_fini(&again);
    }
}

static void the_overlay_that_is_held_is_told_in_one_spelling_B16(void **state)
{
    (void)state;
    static const struct {
        struct record_overlay o;
        enum err err;
    } t[] = {
        {{.version = 0}, ERR_OK},
        {{1, 3, NOW, true}, ERR_OK},
        {{1, UINT64_MAX / 2, NOW, false}, ERR_OK},
        {{1, UINT64_MAX, NOW, false}, ERR_INVALID},
        {{1, 3, WALL_MAX + 1, false}, ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf b = {0}, again = {0};
        struct record r = record_of(), back;
        r.layout = 2;
        r.overlay = t[i].o;
        assert_int_equal(record_create(&b, &r, &identity), t[i].err);
        if (t[i].err == ERR_OK) {
            assert_int_equal(trust_record(trust, buf_bytes(&b), NOW, &back), ERR_OK);
            assert_true(back.overlay.version == t[i].o.version && back.overlay.ends == t[i].o.ends &&
                        back.overlay.in_force == t[i].o.in_force && back.overlay.epoch == t[i].o.epoch);
            assert_int_equal(record_create(&again, &back, &identity), ERR_OK);
            assert_true(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
        }
        buf_fini(&b);
        buf_fini(&again);
    }
}

/* Layout 2 says what the host could not take and which parts it holds, once, and nothing when there is nothing. */
static void what_failed_and_the_parts_are_told_in_one_spelling_B16(void **state)
{
    (void)state;
    static const struct {
        uint64_t version, parts_sum;
        const char *reason, *words;
        enum err err;
    } t[] = {
        {0, 0, "", "", ERR_OK},
        {42, 0, "feature", "rate-limit-mesh, retry", ERR_OK},
        {42, 7, "store", "", ERR_OK},
        {0, 7, "", "", ERR_OK},
        {42, 0, "Feature", "", ERR_INVALID},
        {42, 0, "feature", "\x1b[2J", ERR_INVALID}, /* what a terminal would obey */
        {42, 0, "feature", "r\xc3\xa9try", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf b = {0}, again = {0};
        struct record r = record_of(), back;
        r.layout = 2;
        r.parts_sum = t[i].parts_sum;
        r.failed = (struct record_failed){1, t[i].version, bytes_str(t[i].reason), bytes_str(t[i].words)};
        assert_int_equal(record_create(&b, &r, &identity), t[i].err);
        if (t[i].err == ERR_OK) {
            assert_int_equal(trust_record(trust, buf_bytes(&b), NOW, &back), ERR_OK);
            assert_int_equal(back.failed.version, t[i].version);
            assert_int_equal(back.parts_sum, t[i].parts_sum);
            assert_true(bytes_eq_str(back.failed.reason, t[i].reason));
            assert_true(bytes_eq_str(back.failed.words, t[i].words));
            assert_int_equal(record_create(&again, &back, &identity), ERR_OK);
            assert_true(bytes_eq(buf_bytes(&b), buf_bytes(&again)));
        }
        buf_fini(&b);
        buf_fini(&again);
    }
    /* Empty elements at the end are another spelling of none. */
#define LAYOUT_2 PLAIN "\x90\xc4\x00\x01"
    static const struct {
        const char *rest;
        size_t len;
        char elements;
        enum err err;
    } ends[] = {
        {LAYOUT_2, sizeof LAYOUT_2 - 1, 11, ERR_OK},
        {LAYOUT_2 "\x90", sizeof LAYOUT_2, 12, ERR_MALFORMED},
        {LAYOUT_2 "\x90\x90", sizeof LAYOUT_2 + 1, 13, ERR_MALFORMED},
        {LAYOUT_2 "\x90\x90\x90", sizeof LAYOUT_2 + 2, 14, ERR_MALFORMED},
        {LAYOUT_2 "\x90\x90\x90\x90", sizeof LAYOUT_2 + 3, 15, ERR_MALFORMED},
        {LAYOUT_2 "\x90\x90\x90\x90\x2a", sizeof LAYOUT_2 + 4, 16,
         ERR_OK}, /* what a later version has added */
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct record r;
        struct refusal why;
        struct buf body = {0};
        codec_put_array(&body, (size_t)ends[i].elements);
        codec_put_bin(&body, buf_bytes(&credential));
        buf_add(&body, ends[i].rest, ends[i].len);
        assert_int_equal(judge_body(buf_bytes(&body), &r, &why), ends[i].err);
        buf_fini(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_node_says_is_what_others_read),
        cmocka_unit_test(what_was_accepted_is_read_again_as_it_was),
        cmocka_unit_test(a_node_without_policy_or_services_or_at_the_last_incarnation_speaks_too_G6),
        cmocka_unit_test(only_the_owner_signs_its_record_R1_R2),
        cmocka_unit_test(what_was_counted_in_a_rollout_is_told_in_one_spelling_B16),
        cmocka_unit_test(the_overlay_that_is_held_is_told_in_one_spelling_B16),
        cmocka_unit_test(what_failed_and_the_parts_are_told_in_one_spelling_B16),
        cmocka_unit_test(a_service_beyond_the_credential_is_refused_G15),
        cmocka_unit_test(a_record_lives_as_long_as_its_credential),
        cmocka_unit_test(a_refused_record_leaves_no_trace),
        cmocka_unit_test(a_record_beyond_its_limits_is_not_made_G11_G16),
        cmocka_unit_test(too_much_in_one_record_is_over_the_limit),
        cmocka_unit_test(other_spellings_are_refused_though_rightly_signed_B16),
        cmocka_unit_test(layout_2_says_where_its_owner_is_and_whom_it_trusts),
        cmocka_unit_test(what_a_later_version_adds_is_kept_and_changes_nothing_R10),
        cmocka_unit_test(what_a_later_version_adds_is_held_to_the_spelling_and_to_limits_B16_G12),
        cmocka_unit_test(whatever_is_accepted_is_canonical_B16),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
