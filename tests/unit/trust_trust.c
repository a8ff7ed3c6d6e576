/* The chain of trust as stories: a mesh is made, a token is given out, hosts enrol, speak, and are refused.
 *
 * Keys come from literal seeds; time is a literal. `mesh_make` is the good case everything else departs from
 * by one step. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trust/body.h"
#include "trust/enrol.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000, HOUR = 3600, DAY = 24 * HOUR };

/* A mesh with one key per role, a grant for web-* in zone eu-1a, and a trust anchor of one of its hosts. */
struct mesh {
    struct sign_key root, policy, enrol, granted;
    struct buf root_bytes, grant;
    struct trust *trust;
};

static struct sign_key key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, seed_byte, sizeof seed);
    assert_int_equal(sign_key_of_seed(&k, seed), ERR_OK);
    return k;
}

static struct root root_of(const struct mesh *m)
{
    struct root r = {.mesh = STR("shop.example"), .epoch = 1};
    r.root = (struct role){1, 1, {m->root.pub}};
    r.policy = (struct role){1, 1, {m->policy.pub}};
    r.enrol = (struct role){1, 1, {m->enrol.pub}};
    return r;
}

static struct grant grant_of(const struct mesh *m)
{
    struct grant g = {.mesh = STR("shop.example"),
                      .key = m->granted.pub,
                      .node_pattern = STR("web-*"),
                      .service_count = 2,
                      .service = {STR("web"), STR("cart")},
                      .not_before = NOW,
                      .expires = NOW + DAY,
                      .credential_life = 30 * DAY};
    assert_int_equal(labels_add(&g.labels, STR("zone"), STR("eu-1a")), ERR_OK);
    return g;
}

static void mesh_make(struct mesh *m, uint8_t first_seed)
{
    *m = (struct mesh){.root = key_of(first_seed),
                       .policy = key_of((uint8_t)(first_seed + 1)),
                       .enrol = key_of((uint8_t)(first_seed + 2)),
                       .granted = key_of((uint8_t)(first_seed + 3))};
    struct root r = root_of(m);
    const struct sign_key *by = &m->root;
    assert_int_equal(root_create(&m->root_bytes, &r, &by, 1), ERR_OK);
    struct grant g = grant_of(m);
    assert_int_equal(grant_create(&m->grant, &g, &m->enrol), ERR_OK);
    assert_int_equal(trust_new(&m->trust, buf_bytes(&m->root_bytes), NULL), ERR_OK);
}

static void mesh_end(struct mesh *m)
{
    trust_unref(m->trust);
    buf_fini(&m->root_bytes);
    buf_fini(&m->grant);
}

static int setup(void **state)
{
    struct mesh *m = malloc(sizeof *m);
    assert_int_equal(trust_init(), ERR_OK);
    mesh_make(m, 10);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    mesh_end(*state);
    free(*state);
    return 0;
}

/* A host web-1 that keeps within its grant. */
static struct credential credential_of(const struct sign_key *identity)
{
    uint8_t scalar[32] = {[0] = 9, [31] = 1};
    struct dh_key noise;
    assert_int_equal(dh_key_of_secret(&noise, scalar), ERR_OK);
    struct credential c = {.mesh = STR("shop.example"),
                           .node = STR("web-1"),
                           .id = identity->pub,
                           .service_count = 1,
                           .service = {STR("cart")},
                           .not_before = NOW,
                           .expires = NOW + 30 * DAY};
    memcpy(c.noise_key, noise.pub, sizeof c.noise_key);
    assert_int_equal(labels_add(&c.labels, STR("zone"), STR("eu-1a")), ERR_OK);
    return c;
}

static enum err judge(const struct mesh *m, const struct credential *c, wall_s now, struct refusal *why)
{
    struct buf bytes = {0};
    struct credential out;
    assert_int_equal(credential_create(&bytes, c, buf_bytes(&m->grant), &m->granted), ERR_OK);
    enum err err = trust_credential_why(m->trust, buf_bytes(&bytes), now, &out, why);
    buf_fini(&bytes);
    return err;
}

static void a_host_that_keeps_within_its_grant_is_believed(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id), out;
    struct buf bytes = {0};
    assert_int_equal(credential_create(&bytes, &c, buf_bytes(&m->grant), &m->granted), ERR_OK);
    assert_int_equal(trust_credential(m->trust, buf_bytes(&bytes), NOW, &out), ERR_OK);
    assert_true(bytes_eq_str(out.mesh, "shop.example"));
    assert_true(bytes_eq_str(out.node, "web-1"));
    assert_true(node_id_eq(&out.id, &id.pub));
    assert_memory_equal(out.noise_key, c.noise_key, 32);
    assert_true(credential_allows(&out, STR("cart")));
    assert_false(credential_allows(&out, STR("web")));
    assert_true(bytes_eq_str(*labels_get(&out.labels, STR("zone")), "eu-1a"));
    assert_true(bytes_eq(out.grant, buf_bytes(&m->grant)));
    assert_true(bytes_eq(out.bytes, buf_bytes(&bytes)));
    buf_fini(&bytes);
}

static void an_enrol_key_may_sign_a_credential_itself(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id), out;
    struct buf bytes = {0};
    c.node = STR("db-1"); /* no grant, no pattern */
    assert_int_equal(credential_create(&bytes, &c, bytes_of(NULL, 0), &m->enrol), ERR_OK);
    assert_int_equal(trust_credential(m->trust, buf_bytes(&bytes), NOW, &out), ERR_OK);
    assert_int_equal(out.grant.len, 0);
    buf_fini(&bytes);
}

#define EXPECT_REFUSED(expected_err, expected_field, call)                                                   \
    do {                                                                                                     \
        struct refusal why = {"nothing", "nothing"};                                                         \
        assert_int_equal((call), (expected_err));                                                            \
        assert_string_equal(why.field, (expected_field));                                                    \
    } while (0)

static void a_grant_bounds_what_a_credential_may_say(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id);
    assert_int_equal(judge(m, &c, NOW, NULL), ERR_OK);

    c.node = STR("db-1");
    EXPECT_REFUSED(ERR_DENIED, "credential.node", judge(m, &c, NOW, &why));
    c = credential_of(&id);
    c.service[0] = STR("payments");
    EXPECT_REFUSED(ERR_DENIED, "credential.services", judge(m, &c, NOW, &why));
    c = credential_of(&id);
    c.service[0] = STR("*");
    EXPECT_REFUSED(ERR_DENIED, "credential.services", judge(m, &c, NOW, &why));
    c = credential_of(&id);
    c.labels.at[0].value = STR("eu-1b");
    EXPECT_REFUSED(ERR_DENIED, "credential.labels", judge(m, &c, NOW, &why));
    c = credential_of(&id);
    c.mesh = STR("bank.example");
    EXPECT_REFUSED(ERR_FOREIGN, "credential.mesh", judge(m, &c, NOW, &why));
    c = credential_of(&id);
    c.expires += 1;
    EXPECT_REFUSED(ERR_DENIED, "credential.expires", judge(m, &c, NOW, &why));
    c = credential_of(&id);
    c.not_before -= 1;
    c.expires -= 1;
    EXPECT_REFUSED(ERR_DENIED, "credential.not_before", judge(m, &c, NOW, &why));
    c.not_before = NOW + DAY;
    c.expires = NOW + 2 * DAY;
    EXPECT_REFUSED(ERR_DENIED, "credential.not_before", judge(m, &c, NOW + DAY, &why));
}

static void labels_that_the_grant_does_not_name_are_free(void **state)
{
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id);
    assert_int_equal(labels_add(&c.labels, STR("rack"), STR("r7")), ERR_OK);
    assert_int_equal(judge(*state, &c, NOW, NULL), ERR_OK);
    c.labels.count = 0;
    assert_int_equal(judge(*state, &c, NOW, NULL), ERR_OK);
}

static void a_credential_is_good_from_ten_minutes_before_its_time_to_its_last_second(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id);
    c.not_before = NOW + HOUR;
    EXPECT_REFUSED(ERR_EXPIRED, "credential.not_before", judge(m, &c, NOW + HOUR - 601, &why));
    assert_int_equal(judge(m, &c, NOW + HOUR - 600, NULL), ERR_OK);
    assert_int_equal(judge(m, &c, c.expires - 1, NULL), ERR_OK); /* long after the grant itself has ended */
    EXPECT_REFUSED(ERR_EXPIRED, "credential.expires", judge(m, &c, c.expires, &why));
}

static void a_small_order_noise_key_is_refused_by_name_N14(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    static const uint8_t bad[][32] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
         0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
         0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct credential c = credential_of(&id);
        struct buf bytes = {0};
        memcpy(c.noise_key, bad[i], 32);
        /* our own tool does not make one ... */
        EXPECT_REFUSED(ERR_INVALID, "credential.noise_key",
                       credential_create_why(&bytes, &c, buf_bytes(&m->grant), &m->granted, &why));
        assert_int_equal(bytes.len, 0);
        buf_fini(&bytes);
    }
}

/* Replaces a key in a credential's body and signs it again: what a hostile holder of a token can do. */
static struct buf with_another_key(const struct mesh *m, const uint8_t key[32], const uint8_t other[32])
{
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id);
    struct buf bytes = {0}, body = {0}, forged = {0};
    struct envelope e;
    assert_int_equal(credential_create(&bytes, &c, buf_bytes(&m->grant), &m->granted), ERR_OK);
    assert_int_equal(envelope_parse(&e, buf_bytes(&bytes)), ERR_OK);
    buf_add_bytes(&body, e.body);
    uint8_t *at = memmem(body.at, body.len, key, 32);
    assert_non_null(at);
    memcpy(at, other, 32);
    const struct sign_key *by = &m->granted;
    assert_int_equal(envelope_sign(&forged, ENVELOPE_CREDENTIAL, buf_bytes(&body), &by, 1), ERR_OK);
    buf_fini(&bytes);
    buf_fini(&body);
    return forged;
}

static void one_made_by_a_hostile_tool_is_refused_too_N14(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id), out;
    const uint8_t zeros[32] = {0};
    struct buf forged = with_another_key(m, c.noise_key, zeros);
    EXPECT_REFUSED(ERR_AUTH, "credential.noise_key",
                   trust_credential_why(m->trust, buf_bytes(&forged), NOW, &out, &why));
    buf_fini(&forged);
    forged = with_another_key(m, c.id.b, zeros);
    EXPECT_REFUSED(ERR_AUTH, "credential.id",
                   trust_credential_why(m->trust, buf_bytes(&forged), NOW, &out, &why));
    buf_fini(&forged);
}

/* B18: the base point plus one of order two. Nobody vouches for such a key, and who does all the same has no more than with another:
 * nobody looks (sign.c). */
static void an_identity_with_torsion_is_not_vouched_for_and_does_no_harm(void **state)
{
    static const uint8_t torsion[32] = {0x95, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99,
                                        0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99,
                                        0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99, 0x99};
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id), out;
    struct buf bytes = with_another_key(m, c.id.b, torsion), made = {0};
    assert_int_equal(trust_credential(m->trust, buf_bytes(&bytes), NOW, &out), ERR_OK);
    assert_memory_equal(out.id.b, torsion, 32);
    buf_fini(&bytes);
    memcpy(c.id.b, torsion, 32);
    EXPECT_REFUSED(ERR_INVALID, "credential.id",
                   credential_create_why(&made, &c, buf_bytes(&m->grant), &m->granted, &why));
}

static void only_the_grants_key_signs_under_a_grant_N18(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50), thief = key_of(60);
    struct credential c = credential_of(&id), out;
    struct buf by_thief = {0}, by_enrol = {0}, doubled = {0};
    assert_int_equal(credential_create(&by_thief, &c, buf_bytes(&m->grant), &thief), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "credential.signatures",
                   trust_credential_why(m->trust, buf_bytes(&by_thief), NOW, &out, &why));
    /* Not even an enrol key: what a grant limits is signed by the grant. */
    assert_int_equal(credential_create(&by_enrol, &c, buf_bytes(&m->grant), &m->enrol), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "credential.signatures",
                   trust_credential_why(m->trust, buf_bytes(&by_enrol), NOW, &out, &why));
    /* And nobody adds a signature of his own to what another signed. */
    buf_fini(&by_enrol);
    assert_int_equal(credential_create(&by_enrol, &c, buf_bytes(&m->grant), &m->granted), ERR_OK);
    assert_int_equal(envelope_cosign(&doubled, buf_bytes(&by_enrol), &thief), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "credential.signatures",
                   trust_credential_why(m->trust, buf_bytes(&doubled), NOW, &out, &why));
    buf_fini(&by_thief);
    buf_fini(&by_enrol);
    buf_fini(&doubled);
}

static void a_grant_of_another_mesh_or_role_vouches_for_nobody_B2(void **state)
{
    struct mesh *m = *state, other;
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id), out;
    struct buf bytes = {0}, grant = {0};
    mesh_make(&other, 90);
    assert_int_equal(credential_create(&bytes, &c, buf_bytes(&other.grant), &other.granted), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "grant.signatures",
                   trust_credential_why(m->trust, buf_bytes(&bytes), NOW, &out, &why));
    buf_fini(&bytes);
    struct grant g = grant_of(m);
    assert_int_equal(grant_create(&grant, &g, &m->policy), ERR_OK);
    assert_int_equal(credential_create(&bytes, &c, buf_bytes(&grant), &m->granted), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "grant.signatures",
                   trust_credential_why(m->trust, buf_bytes(&bytes), NOW, &out, &why));
    buf_fini(&bytes);
    buf_fini(&grant);
    mesh_end(&other);
}

static void the_same_enrol_key_in_two_meshes_does_not_join_them(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id), out;
    struct grant g = grant_of(m);
    struct buf grant = {0}, bytes = {0};
    g.mesh = c.mesh = STR("bank.example");
    assert_int_equal(grant_create(&grant, &g, &m->enrol), ERR_OK);
    assert_int_equal(credential_create(&bytes, &c, buf_bytes(&grant), &m->granted), ERR_OK);
    EXPECT_REFUSED(ERR_FOREIGN, "grant.mesh",
                   trust_credential_why(m->trust, buf_bytes(&bytes), NOW, &out, &why));
    buf_fini(&bytes);
    assert_int_equal(credential_create(&bytes, &c, bytes_of(NULL, 0), &m->enrol), ERR_OK);
    EXPECT_REFUSED(ERR_FOREIGN, "credential.mesh",
                   trust_credential_why(m->trust, buf_bytes(&bytes), NOW, &out, &why));
    buf_fini(&bytes);
    buf_fini(&grant);
}

static void under_an_expired_root_nothing_begins_and_what_had_begun_goes_on(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    struct root r = root_of(m);
    struct credential c = credential_of(&id), out;
    struct buf root = {0}, before = {0}, after = {0};
    struct trust *t;
    const struct sign_key *by = &m->root;
    r.expires = NOW + HOUR;
    assert_int_equal(root_create(&root, &r, &by, 1), ERR_OK);
    assert_int_equal(trust_new(&t, buf_bytes(&root), NULL), ERR_OK);
    c.not_before = r.expires - 1;
    assert_int_equal(credential_create(&before, &c, buf_bytes(&m->grant), &m->granted), ERR_OK);
    c.not_before = r.expires;
    assert_int_equal(credential_create(&after, &c, buf_bytes(&m->grant), &m->granted), ERR_OK);
    assert_int_equal(trust_credential(t, buf_bytes(&before), NOW + DAY, &out), ERR_OK);
    EXPECT_REFUSED(ERR_EXPIRED, "root.expires",
                   trust_credential_why(t, buf_bytes(&after), r.expires, &out, &why));
    trust_unref(t);
    buf_fini(&root);
    buf_fini(&before);
    buf_fini(&after);
}

static void every_flipped_bit_and_every_prefix_of_a_credential_is_refused_B1_B20(void **state)
{
    struct mesh *m = *state;
    struct sign_key id = key_of(50);
    struct credential c = credential_of(&id), out;
    struct buf bytes = {0};
    assert_int_equal(credential_create(&bytes, &c, buf_bytes(&m->grant), &m->granted), ERR_OK);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        bytes.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(trust_credential(m->trust, buf_bytes(&bytes), NOW, &out), ERR_OK);
        bytes.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(trust_credential(m->trust, bytes_of(bytes.at, len), NOW, &out), ERR_MALFORMED);
    buf_add_u8(&bytes, 0);
    assert_int_equal(trust_credential(m->trust, buf_bytes(&bytes), NOW, &out), ERR_MALFORMED);
    buf_fini(&bytes);
}

/* Roots. */

static void a_root_is_signed_by_its_own_threshold_B3(void **state)
{
    struct mesh *m = *state;
    struct sign_key second = key_of(70), stranger = key_of(71);
    struct root r = root_of(m), out;
    struct buf one = {0}, with_stranger = {0}, both = {0};
    r.root = (struct role){2, 2, {m->root.pub, second.pub}};
    const struct sign_key *by[] = {&m->root, &stranger};
    assert_int_equal(root_create(&one, &r, by, 1), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "root.signatures", root_open_why(&out, buf_bytes(&one), &why));
    assert_int_equal(root_create(&with_stranger, &r, by, 2), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "root.signatures", root_open_why(&out, buf_bytes(&with_stranger), &why));
    assert_int_equal(envelope_cosign(&both, buf_bytes(&one), &second), ERR_OK);
    assert_int_equal(root_open(&out, buf_bytes(&both)), ERR_OK);
    assert_int_equal(out.root.threshold, 2);
    assert_int_equal(out.root.count, 2);
    assert_true(node_id_cmp(&out.root.key[0], &out.root.key[1]) < 0);
    buf_fini(&one);
    buf_fini(&with_stranger);
    buf_fini(&both);
}

static void a_root_that_cannot_work_is_not_made(void **state)
{
    struct mesh *m = *state;
    struct buf out = {0};
    const struct sign_key *by = &m->root;
    struct root r = root_of(m);
    r.enrol.threshold = 0;
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID);
    r.enrol.threshold = 2;
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID);
    r = root_of(m);
    r.policy = (struct role){2, 2, {m->policy.pub, m->policy.pub}}; /* one key may not count twice */
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID);
    r = root_of(m);
    r.mesh = STR("Shop.Example");
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID);
    r.mesh = STR("\xff\xfe");
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID);
    r = root_of(m);
    r.policy.key[0] = (struct node_id){{1}}; /* the neutral element */
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_INVALID);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void two_enrol_keys_may_be_asked_for(void **state)
{
    struct mesh *m = *state;
    struct sign_key second = key_of(70);
    struct root r = root_of(m);
    struct grant g = grant_of(m), out;
    struct buf root = {0}, both = {0};
    struct root opened;
    const struct sign_key *by = &m->root;
    r.enrol = (struct role){2, 2, {m->enrol.pub, second.pub}};
    assert_int_equal(root_create(&root, &r, &by, 1), ERR_OK);
    assert_int_equal(root_open(&opened, buf_bytes(&root)), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "grant.signatures", grant_open_why(&out, &opened, buf_bytes(&m->grant), &why));
    assert_int_equal(envelope_cosign(&both, buf_bytes(&m->grant), &second), ERR_OK);
    assert_int_equal(grant_open_why(&out, &opened, buf_bytes(&both), NULL), ERR_OK);
    assert_true(bytes_eq(out.node_pattern, g.node_pattern));
    assert_true(node_id_eq(&out.key, &m->granted.pub));
    buf_fini(&root);
    buf_fini(&both);
}

/* A later version of each format, whatever its body: its reader says that it has to be updated, not that it is malformed. */
static void who_meets_a_later_version_says_so(void **state)
{
    const struct mesh *m = *state;
    const struct sign_key *by = &m->enrol;
    struct buf later[4] = {{0}};
    struct root root;
    struct credential credential;
    struct record record;
    struct grant grant;
    struct refusal why = {"", ""};
    static const char *const type[] = {"root2", "credential3", "record10", "grant2"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(envelope_sign(&later[i], type[i], STR("of another form"), &by, 1), ERR_OK);
    assert_int_equal(root_open_why(&root, buf_bytes(&later[0]), &why), ERR_UNSUPPORTED);
    assert_string_equal(why.reason, "of a later version than this one reads: update starling");
    assert_int_equal(trust_credential(m->trust, buf_bytes(&later[1]), NOW, &credential), ERR_UNSUPPORTED);
    assert_int_equal(trust_record(m->trust, buf_bytes(&later[2]), NOW, &record), ERR_UNSUPPORTED);
    struct judging j = judging_by(m->trust, NULL, NOW, NULL);
    assert_int_equal(grant_judge(&j, false, buf_bytes(&later[3]), &grant), ERR_UNSUPPORTED);
    for (size_t i = 0; i < 4; i++)
        buf_fini(&later[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_meets_a_later_version_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_keeps_within_its_grant_is_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(an_enrol_key_may_sign_a_credential_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(a_grant_bounds_what_a_credential_may_say, setup, teardown),
        cmocka_unit_test_setup_teardown(labels_that_the_grant_does_not_name_are_free, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_credential_is_good_from_ten_minutes_before_its_time_to_its_last_second, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_order_noise_key_is_refused_by_name_N14, setup, teardown),
        cmocka_unit_test_setup_teardown(one_made_by_a_hostile_tool_is_refused_too_N14, setup, teardown),
        cmocka_unit_test_setup_teardown(an_identity_with_torsion_is_not_vouched_for_and_does_no_harm, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(only_the_grants_key_signs_under_a_grant_N18, setup, teardown),
        cmocka_unit_test_setup_teardown(a_grant_of_another_mesh_or_role_vouches_for_nobody_B2, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_same_enrol_key_in_two_meshes_does_not_join_them, setup, teardown),
        cmocka_unit_test_setup_teardown(under_an_expired_root_nothing_begins_and_what_had_begun_goes_on,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(every_flipped_bit_and_every_prefix_of_a_credential_is_refused_B1_B20,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_root_is_signed_by_its_own_threshold_B3, setup, teardown),
        cmocka_unit_test_setup_teardown(a_root_that_cannot_work_is_not_made, setup, teardown),
        cmocka_unit_test_setup_teardown(two_enrol_keys_may_be_asked_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
