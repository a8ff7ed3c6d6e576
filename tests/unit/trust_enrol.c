/* From a mesh's keys to a host's record, as it goes in life: a token is made, a host enrols with it, asking
 * nobody, speaks, and is believed as far as its token allows. And how large all that is on the wire. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trust/enrol.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000, HOUR = 3600, DAY = 24 * HOUR, DATAGRAM = 1100 };

struct mesh {
    struct sign_key root, policy, enrol, granted;
    struct grant limits;
    struct buf root_bytes, grant, token_text, space;
    struct token token;
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

static void make_root(struct mesh *m)
{
    const struct sign_key *by = &m->root;
    struct root r = {.mesh = STR("shop.example"),
                     .epoch = 1,
                     .root = {1, 1, {m->root.pub}},
                     .policy = {1, 1, {m->policy.pub}},
                     .enrol = {1, 1, {m->enrol.pub}}};
    assert_int_equal(root_create(&m->root_bytes, &r, &by, 1), ERR_OK);
    assert_int_equal(trust_new(&m->trust, buf_bytes(&m->root_bytes), NULL), ERR_OK);
}

static void make_token(struct mesh *m)
{
    m->limits = (struct grant){.mesh = STR("shop.example"),
                               .key = m->granted.pub,
                               .node_pattern = STR("web-*"),
                               .service_count = 2,
                               .service = {STR("web"), STR("cart")},
                               .not_before = NOW,
                               .expires = NOW + DAY,
                               .credential_life = 30 * DAY};
    assert_int_equal(labels_add(&m->limits.labels, STR("zone"), STR("eu-1a")), ERR_OK);
    assert_int_equal(grant_create(&m->grant, &m->limits, &m->enrol), ERR_OK);
    assert_int_equal(
        token_encode(&m->token_text, buf_bytes(&m->root_bytes), buf_bytes(&m->grant), &m->granted), ERR_OK);
    assert_int_equal(token_decode(&m->token, &m->space, buf_bytes(&m->token_text), NOW), ERR_OK);
}

static int setup(void **state)
{
    struct mesh *m = calloc(1, sizeof *m);
    assert_int_equal(trust_init(), ERR_OK);
    m->root = key_of(10);
    m->policy = key_of(11);
    m->enrol = key_of(12);
    m->granted = key_of(13);
    make_root(m);
    make_token(m);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    struct mesh *m = *state;
    token_fini(&m->token, &m->space);
    trust_unref(m->trust);
    buf_fini(&m->root_bytes);
    buf_fini(&m->grant);
    buf_fini(&m->token_text);
    free(m);
    return 0;
}

#define EXPECT_REFUSED(expected_err, expected_field, call)                                                   \
    do {                                                                                                     \
        struct refusal why = {"nothing", "nothing"};                                                         \
        assert_int_equal((call), (expected_err));                                                            \
        assert_string_equal(why.field, (expected_field));                                                    \
    } while (0)

/* Tokens. */

static void a_token_is_text_that_can_be_pasted(void **state)
{
    struct mesh *m = *state;
    struct buf pasted = {0}, space = {0};
    struct token t;
    assert_memory_equal(m->token_text.at, "starling-token-1:", 17);
    buf_addf(&pasted, "  %s\r\n\n", buf_str(&m->token_text));
    assert_int_equal(token_decode(&t, &space, buf_bytes(&pasted), NOW), ERR_OK);
    assert_true(bytes_eq(t.root, buf_bytes(&m->root_bytes)));
    assert_true(bytes_eq(t.grant, buf_bytes(&m->grant)));
    assert_memory_equal(t.key.sec, m->granted.sec, 64);
    token_fini(&t, &space);
    buf_fini(&pasted);
}

static void a_token_lasts_from_ten_minutes_before_its_time_to_its_last_second(void **state)
{
    struct mesh *m = *state;
    struct bytes text = buf_bytes(&m->token_text);
    struct buf space = {0};
    struct token t;
    EXPECT_REFUSED(ERR_EXPIRED, "grant.not_before", token_decode_why(&t, &space, text, NOW - 601, &why));
    assert_int_equal(token_decode(&t, &space, text, NOW - 600), ERR_OK);
    assert_int_equal(token_decode(&t, &space, text, NOW + DAY - 1), ERR_OK);
    EXPECT_REFUSED(ERR_EXPIRED, "grant.expires", token_decode_why(&t, &space, text, NOW + DAY, &why));
    token_fini(&t, &space);
}

static void a_token_cut_or_changed_is_refused_B1_B20(void **state)
{
    struct mesh *m = *state;
    struct buf space = {0};
    struct token t;
    for (size_t n = 0; n < m->token_text.len; n++)
        assert_int_equal(token_decode(&t, &space, bytes_of(m->token_text.at, n), NOW), ERR_MALFORMED);
    for (size_t i = 0; i < m->token_text.len; i++) {
        uint8_t was = m->token_text.at[i];
        m->token_text.at[i] = was == 'B' ? 'C' : 'B';
        assert_int_not_equal(token_decode(&t, &space, buf_bytes(&m->token_text), NOW), ERR_OK);
        m->token_text.at[i] = was;
    }
    token_fini(&t, &space);
}

static void the_parts_of_a_token_must_belong_together_B10(void **state)
{
    struct mesh *m = *state;
    struct sign_key other = key_of(77);
    struct root r = {.mesh = STR("bank.example"), .root = {1, 1, {other.pub}}, .policy = {1, 1, {other.pub}}};
    struct buf text = {0}, space = {0}, root = {0};
    struct token t;
    const struct sign_key *by = &other;
    assert_int_equal(token_encode(&text, buf_bytes(&m->root_bytes), buf_bytes(&m->grant), &other), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "token.key", token_decode_why(&t, &space, buf_bytes(&text), NOW, &why));
    r.enrol = (struct role){1, 1, {m->enrol.pub}}; /* another mesh with the same enrol key */
    assert_int_equal(root_create(&root, &r, &by, 1), ERR_OK);
    text.len = 0;
    assert_int_equal(token_encode(&text, buf_bytes(&root), buf_bytes(&m->grant), &m->granted), ERR_OK);
    EXPECT_REFUSED(ERR_FOREIGN, "grant.mesh", token_decode_why(&t, &space, buf_bytes(&text), NOW, &why));
    token_fini(&t, &space);
    buf_fini(&text);
    buf_fini(&root);
}

/* Root 2 is signed by the keys of root 1, which it keeps, and has another enrol key, which signed the grant. */
static void a_token_may_bring_the_roots_that_lead_to_its_own(void **state)
{
    struct mesh *m = *state;
    struct sign_key fresh = key_of(88);
    const struct sign_key *by = &m->root;
    struct root r = {.mesh = STR("shop.example"),
                     .epoch = 2,
                     .root = {1, 1, {m->root.pub}},
                     .policy = {1, 1, {m->policy.pub}},
                     .enrol = {1, 1, {fresh.pub}}};
    struct buf second = {0}, grant = {0}, chain = {0}, text = {0}, space = {0};
    struct token t;
    assert_int_equal(root_create(&second, &r, &by, 1), ERR_OK);
    assert_int_equal(grant_create(&grant, &m->limits, &fresh), ERR_OK);
    const struct bytes walk[] = {buf_bytes(&m->root_bytes), buf_bytes(&second)};
    assert_int_equal(chain_of(&chain, walk, 2), ERR_OK);
    assert_int_equal(token_encode_chain(&text, buf_bytes(&chain), buf_bytes(&grant), &m->granted), ERR_OK);
    assert_memory_equal(text.at, "starling-token-2:", 17);
    assert_int_equal(token_decode(&t, &space, buf_bytes(&text), NOW), ERR_OK);
    assert_true(bytes_eq(t.root, buf_bytes(&second)) && bytes_eq(t.chain, buf_bytes(&chain)));
    token_fini(&t, &space);
    /* The grant has to stand on the last of them; and the steps are judged. */
    text.len = 0;
    assert_int_equal(token_encode_chain(&text, buf_bytes(&chain), buf_bytes(&m->grant), &m->granted), ERR_OK);
    EXPECT_REFUSED(ERR_AUTH, "grant.signatures", token_decode_why(&t, &space, buf_bytes(&text), NOW, &why));
    const struct bytes back[] = {walk[1], walk[0]};
    chain.len = text.len = 0;
    assert_int_equal(chain_of(&chain, back, 2), ERR_OK);
    assert_int_equal(token_encode_chain(&text, buf_bytes(&chain), buf_bytes(&m->grant), &m->granted), ERR_OK);
    EXPECT_REFUSED(ERR_STALE, "root.epoch", token_decode_why(&t, &space, buf_bytes(&text), NOW, &why));
    for (size_t n = 0; n < text.len; n++)
        assert_int_not_equal(token_decode(&t, &space, bytes_of(text.at, n), NOW), ERR_OK);
    token_fini(&t, &space);
    buf_fini(&second);
    buf_fini(&grant);
    buf_fini(&chain);
    buf_fini(&text);
}

static void more_roots_than_fit_in_a_token_are_refused(void **state)
{
    struct mesh *m = *state;
    struct bytes many[CHAIN_ROOTS_MAX];
    struct buf chain = {0}, text = {0};
    for (size_t i = 0; i < CHAIN_ROOTS_MAX; i++)
        many[i] = buf_bytes(&m->root_bytes);
    assert_int_equal(chain_of(&chain, many, CHAIN_ROOTS_MAX), ERR_OK);
    assert_int_equal(token_encode_chain(&text, buf_bytes(&chain), buf_bytes(&m->grant), &m->granted),
                     ERR_LIMIT);
    buf_fini(&chain);
    buf_fini(&text);
}

static void the_end_of_a_token_wipes_its_key(void **state)
{
    struct mesh *m = *state;
    static const uint8_t zeros[64];
    struct buf space = {0};
    struct token t;
    assert_int_equal(token_decode(&t, &space, buf_bytes(&m->token_text), NOW), ERR_OK);
    token_fini(&t, &space);
    assert_memory_equal(t.key.sec, zeros, 64);
    assert_null(space.at);
}

static void a_grant_that_cannot_be_used_is_not_made(void **state)
{
    struct mesh *m = *state;
    struct buf out = {0};
    struct grant g = m->limits;
    g.service_count = 0;
    assert_int_equal(grant_create(&out, &g, &m->enrol), ERR_INVALID);
    g = m->limits;
    g.service[0] = STR("*"); /* any, and others beside it */
    assert_int_equal(grant_create(&out, &g, &m->enrol), ERR_INVALID);
    g = m->limits;
    g.service[0] = g.service[1];
    assert_int_equal(grant_create(&out, &g, &m->enrol), ERR_INVALID);
    g = m->limits;
    g.node_pattern = STR("*-web");
    assert_int_equal(grant_create(&out, &g, &m->enrol), ERR_INVALID);
    g = m->limits;
    g.expires = g.not_before;
    assert_int_equal(grant_create(&out, &g, &m->enrol), ERR_INVALID);
    g = m->limits;
    g.credential_life = 0;
    assert_int_equal(grant_create(&out, &g, &m->enrol), ERR_INVALID);
    g = m->limits;
    g.not_before = -1;
    assert_int_equal(grant_create(&out, &g, &m->enrol), ERR_INVALID);
    g = m->limits;
    g.labels.at[0].value = STR("eu\n1a");
    assert_int_equal(grant_create(&out, &g, &m->enrol), ERR_INVALID);
    static char name[CREDENTIAL_SERVICES_MAX]
                    [SERVICE_NAME_MAX]; /* more than its credentials could say again */
    g = m->limits;
    g.service_count = CREDENTIAL_SERVICES_MAX;
    for (size_t i = 0; i < CREDENTIAL_SERVICES_MAX; i++) {
        memset(name[i], 'a', SERVICE_NAME_MAX);
        name[i][0] = (char)(i < 26 ? 'a' + i : '0' + i - 26);
        g.service[i] = bytes_of(name[i], SERVICE_NAME_MAX);
    }
    assert_int_equal(grant_create(&out, &g, &m->enrol), ERR_LIMIT);
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

/* Enrolment. */

static void a_host_enrols_with_its_token_and_asks_nobody(void **state)
{
    struct mesh *m = *state;
    struct enrol_wish wish = {.node = STR("web-7"), .now = NOW + HOUR};
    struct enrolment e;
    struct credential c;
    assert_int_equal(labels_add(&wish.labels, STR("version"), STR("2")), ERR_OK);
    assert_int_equal(enrol(&e, &m->token, &wish, NULL), ERR_OK);
    assert_int_equal(trust_credential(m->trust, buf_bytes(&e.credential), NOW + HOUR, &c), ERR_OK);
    assert_true(node_id_eq(&c.id, &e.identity.pub));
    assert_memory_equal(c.noise_key, e.noise.pub, 32);
    assert_int_equal(c.service_count, 2); /* all that the token allows */
    assert_true(credential_allows(&c, STR("cart")) && credential_allows(&c, STR("web")));
    assert_int_equal(c.labels.count, 2); /* its own and the token's */
    assert_true(bytes_eq_str(*labels_get(&c.labels, STR("zone")), "eu-1a"));
    assert_true(bytes_eq_str(*labels_get(&c.labels, STR("version")), "2"));
    assert_int_equal(c.not_before, NOW + HOUR);
    assert_int_equal(c.expires, NOW + HOUR + 30 * DAY);
    enrolment_fini(&e);
}

static void a_clock_that_is_a_little_behind_begins_with_the_grant(void **state)
{
    struct mesh *m = *state;
    struct enrol_wish wish = {.node = STR("web-7"), .now = NOW - 300};
    struct enrolment e;
    struct credential c;
    assert_int_equal(enrol(&e, &m->token, &wish, NULL), ERR_OK);
    assert_int_equal(trust_credential(m->trust, buf_bytes(&e.credential), NOW, &c), ERR_OK);
    assert_int_equal(c.not_before, NOW);
    enrolment_fini(&e);
}

static void a_wish_beyond_the_token_is_refused_with_the_field_named(void **state)
{
    struct mesh *m = *state;
    struct bytes payments = STR("payments"), any = STR("*"), web = STR("web");
    struct enrolment e;
    struct enrol_wish wish = {.node = STR("db-1"), .now = NOW};
    EXPECT_REFUSED(ERR_DENIED, "credential.node", enrol(&e, &m->token, &wish, &why));
    enrolment_fini(&e);
    wish = (struct enrol_wish){.node = STR("Web-1"), .now = NOW};
    EXPECT_REFUSED(ERR_INVALID, "credential.node", enrol(&e, &m->token, &wish, &why));
    enrolment_fini(&e);
    wish = (struct enrol_wish){.node = STR("web-1"), .service = &payments, .service_count = 1, .now = NOW};
    EXPECT_REFUSED(ERR_DENIED, "credential.services", enrol(&e, &m->token, &wish, &why));
    enrolment_fini(&e);
    wish.service = &any;
    EXPECT_REFUSED(ERR_DENIED, "credential.services", enrol(&e, &m->token, &wish, &why));
    enrolment_fini(&e);
    wish = (struct enrol_wish){.node = STR("web-1"), .service = &web, .service_count = 1, .now = NOW};
    assert_int_equal(labels_add(&wish.labels, STR("zone"), STR("eu-1b")), ERR_OK);
    EXPECT_REFUSED(ERR_DENIED, "credential.labels", enrol(&e, &m->token, &wish, &why));
    enrolment_fini(&e);
    wish = (struct enrol_wish){.node = STR("web-1"), .now = NOW + DAY};
    EXPECT_REFUSED(ERR_EXPIRED, "grant.expires", enrol(&e, &m->token, &wish, &why));
    enrolment_fini(&e);
}

static void a_renewal_keeps_the_keys_and_an_impossible_one_keeps_the_credential(void **state)
{
    struct mesh *m = *state;
    struct enrol_wish wish = {.node = STR("web-7"), .now = NOW},
                      later = {.node = STR("web-7"), .now = NOW + HOUR};
    struct enrol_wish wrong = {.node = STR("db-7"), .now = NOW + HOUR};
    struct enrolment e;
    struct credential c;
    assert_int_equal(enrol(&e, &m->token, &wish, NULL), ERR_OK);
    struct node_id id = e.identity.pub;
    assert_int_equal(enrol_renew(&e, &m->token, &wrong, NULL), ERR_DENIED);
    assert_int_equal(trust_credential(m->trust, buf_bytes(&e.credential), NOW + HOUR, &c), ERR_OK);
    assert_int_equal(c.expires, NOW + 30 * DAY);
    assert_int_equal(enrol_renew(&e, &m->token, &later, NULL), ERR_OK);
    assert_int_equal(trust_credential(m->trust, buf_bytes(&e.credential), NOW + HOUR, &c), ERR_OK);
    assert_int_equal(c.expires, NOW + HOUR + 30 * DAY);
    assert_true(node_id_eq(&c.id, &id));
    enrolment_fini(&e);
}

/* Sizes: gossip puts one record into one datagram. */
static void a_record_fits_in_one_gossip_datagram(void **state)
{
    struct mesh *m = *state;
    struct enrol_wish wish = {.node = STR("web-eu-central-1a-0017"), .now = NOW};
    struct enrolment e;
    struct buf out = {0};
    assert_int_equal(labels_add(&wish.labels, STR("region"), STR("eu-1")), ERR_OK);
    assert_int_equal(enrol(&e, &m->token, &wish, NULL), ERR_OK);
    struct record r = {.incarnation = UINT64_MAX,
                       .version = UINT64_MAX,
                       .addr_count = 2,
                       .features = FEATURE_AESGCM,
                       .policy_epoch = 1,
                       .policy_version = NUMBER_MAX,
                       .service_count = 2};
    r.credential.bytes = buf_bytes(&e.credential);
    assert_true(addr_parse(&r.addr[0], "203.0.113.7:7400", 0));
    assert_true(addr_parse(&r.addr[1], "[2001:db8::7]:7400", 0));
    r.service[0] = (struct record_service){
        .name = STR("cart"), .port = 8080, .protocol = PROTOCOL_HTTP, .healthy = true};
    r.service[1] =
        (struct record_service){.name = STR("web"), .port = 8081, .protocol = PROTOCOL_HTTP, .healthy = true};
    assert_int_equal(labels_add(&r.service[0].labels, STR("version"), STR("2")), ERR_OK);
    assert_int_equal(labels_add(&r.service[1].labels, STR("version"), STR("1")), ERR_OK);
    assert_int_equal(record_create(&out, &r, &e.identity), ERR_OK);
    print_message("root %zu, grant %zu, token %zu, credential %zu, record %zu bytes\n", m->root_bytes.len,
                  m->grant.len, m->token_text.len, e.credential.len, out.len);
    assert_true(e.credential.len <= 700);
    assert_true(out.len <= DATAGRAM - 200);
    enrolment_fini(&e);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_is_text_that_can_be_pasted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_lasts_from_ten_minutes_before_its_time_to_its_last_second,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_cut_or_changed_is_refused_B1_B20, setup, teardown),
        cmocka_unit_test_setup_teardown(the_parts_of_a_token_must_belong_together_B10, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_may_bring_the_roots_that_lead_to_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(more_roots_than_fit_in_a_token_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_token_wipes_its_key, setup, teardown),
        cmocka_unit_test_setup_teardown(a_grant_that_cannot_be_used_is_not_made, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_enrols_with_its_token_and_asks_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_is_a_little_behind_begins_with_the_grant, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_wish_beyond_the_token_is_refused_with_the_field_named, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_renewal_keeps_the_keys_and_an_impossible_one_keeps_the_credential,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_fits_in_one_gossip_datagram, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
