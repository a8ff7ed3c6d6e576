/* What was signed by the first version is read by this one, and means the same; and what this one signs is the same to the byte. The
 * recorded file is never changed: keys outlive programs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/tools/signed_things.h"

static struct things recorded, fresh;

static struct buf *thing_named(struct things *t, const char *name)
{
#define X(thing)                                                                                             \
    if (strcmp(name, #thing) == 0)                                                                           \
        return &t->thing;
    THINGS(X)
#undef X
    fail_msg("%s: recorded, and nothing reads it", name);
    return NULL;
}

static void read_line(char *line)
{
    char *hex = strchr(line, ' ');
    if (line[0] == '#')
        return;
    assert_non_null(hex);
    *hex++ = 0;
    size_t len = strcspn(hex, "\n") / 2;
    struct buf *to = thing_named(&recorded, line);
    uint8_t *at = buf_reserve(to, len);
    assert_true(len > 0 && hex_decode(hex, 2 * len, at, len));
    to->len = len;
}

static void read_recorded(const char *path)
{
    static char line[64 * 1024];
    FILE *in = fopen(path, "r");
    if (!in)
        fail_msg("%s is missing; run tests from the project's folder", path);
    while (fgets(line, sizeof line, in))
        read_line(line);
    fclose(in);
}

static int setup(void **state)
{
    (void)state;
    things_make(&fresh);
    read_recorded("tests/vectors/signed-1.txt");
    read_recorded("tests/vectors/overlay-1.txt");
    read_recorded("tests/vectors/signed-1-more.txt");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    things_fini(&recorded);
    things_fini(&fresh);
    return 0;
}

static void this_version_makes_the_same_bytes_B23(void **state)
{
    (void)state;
#define X(thing)                                                                                             \
    if (!bytes_eq(buf_bytes(&recorded.thing), buf_bytes(&fresh.thing)))                                      \
        fail_msg(                                                                                            \
            #thing                                                                                           \
            " is no longer made as it was recorded: a signed format has changed without a new version");
    THINGS(X)
#undef X
}

static void roots_and_their_chain_are_read(void **state)
{
    (void)state;
    struct root one, two;
    struct chain c;
    assert_int_equal(root_open(&one, buf_bytes(&recorded.root_1)), ERR_OK);
    assert_true(bytes_eq_str(one.mesh, "shop.example") && one.epoch == 1 && one.expires == NOW + 365 * DAY);
    assert_true(one.root.threshold == 2 && one.root.count == 3 && one.policy.threshold == 2 &&
                one.enrol.count == 1);
    assert_int_equal(root_follow(&two, &one, buf_bytes(&recorded.root_2), NULL), ERR_OK);
    const struct delegation *d = root_delegation(&two, STR("web-team"));
    assert_true(d && d->service_count == 2 && bytes_eq_str(d->service[1], "web-*") && d->role.threshold == 1);
    struct hash h = root_hash(buf_bytes(&recorded.root_1));
    assert_int_equal(chain_open(&c, buf_bytes(&recorded.chain), &h, NULL), ERR_OK);
    assert_true(c.count == 2 && c.newest.epoch == 2);
}

static void a_token_and_its_grant_are_read(void **state)
{
    (void)state;
    struct token t;
    struct grant g;
    struct root one;
    struct buf space = {0};
    struct node_id granted = things_key(31).pub;
    assert_int_equal(token_decode(&t, &space, buf_bytes(&recorded.token), NOW), ERR_OK);
    assert_true(node_id_eq(&t.key.pub, &granted) && bytes_eq(t.grant, buf_bytes(&recorded.grant)));
    assert_int_equal(root_open(&one, t.root), ERR_OK);
    assert_int_equal(grant_open_why(&g, &one, t.grant, NULL), ERR_OK);
    assert_true(bytes_eq_str(g.node_pattern, "web-*") && g.service_count == 2 &&
                g.credential_life == 30 * DAY);
    token_fini(&t, &space);
}

static void credentials_and_records_are_read(void **state)
{
    (void)state;
    struct trust *t;
    struct credential c;
    struct record r;
    assert_int_equal(trust_new(&t, buf_bytes(&recorded.root_1), NULL), ERR_OK);
    const struct buf *each[] = {&recorded.credential_by_grant, &recorded.credential_by_enrol_key};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(trust_credential(t, buf_bytes(each[i]), NOW, &c), ERR_OK);
        assert_true(bytes_eq_str(c.node, "web-1") && credential_allows(&c, STR("web")) &&
                    !credential_allows(&c, STR("cart")));
        assert_true(c.expires == NOW + 30 * DAY &&
                    bytes_eq_str(*labels_get(&c.labels, STR("zone")), "eu-1a"));
    }
    assert_int_equal(trust_record(t, buf_bytes(&recorded.record_layout_1), NOW, &r), ERR_OK);
    assert_true(r.incarnation == 7 && r.version == 3 && r.policy_version == 42 && r.service_count == 1 &&
                r.layout == 1);
    assert_true(r.service[0].port == 8080 && r.service[0].healthy && r.service[0].protocol == PROTOCOL_HTTP);
    assert_int_equal(trust_record(t, buf_bytes(&recorded.record_layout_2), NOW, &r), ERR_OK);
    assert_true(r.layout == 2 && r.root_epoch == 2 && r.protocol_max == 2);
    trust_unref(t);
}

static void bundles_are_read(void **state)
{
    (void)state;
    struct root one, two;
    struct bundle b;
    struct policy *p = NULL;
    assert_int_equal(root_open(&one, buf_bytes(&recorded.root_1)), ERR_OK);
    assert_int_equal(root_open(&two, buf_bytes(&recorded.root_2)), ERR_OK);
    assert_int_equal(bundle_open(&b, &p, &one, buf_bytes(&recorded.policy), NULL), ERR_OK);
    assert_true(b.epoch == 1 && b.version == 42 && b.previous.b[0] == 9 && b.signer_count == 2 &&
                b.part.len == 0);
    assert_true(bytes_eq_str(b.text, THINGS_POLICY) && policy_service(p, STR("cart")));
    policy_unref(p);
    assert_int_equal(bundle_open(&b, &p, &two, buf_bytes(&recorded.part), NULL), ERR_OK);
    assert_true(bytes_eq_str(b.part, "web-team") && b.epoch == 2 && b.version == 5 &&
                bytes_eq_str(b.text, THINGS_PART));
    policy_unref(p);
}

static void a_policy_with_features_and_a_reason_is_read(void **state)
{
    (void)state;
    struct root one;
    struct bundle b;
    assert_int_equal(root_open(&one, buf_bytes(&recorded.root_1)), ERR_OK);
    assert_int_equal(bundle_open(&b, NULL, &one, buf_bytes(&recorded.policy_forced), NULL), ERR_OK);
    assert_true(b.version == 43 && b.features != 0 && bytes_eq_str(b.forced, "the test is wrong"));
    assert_true(bytes_eq_str(b.text, THINGS_FORCED));
}

static void a_token_with_a_chain_of_roots_is_read(void **state)
{
    (void)state;
    struct token t;
    struct buf space = {0};
    struct root newest;
    assert_int_equal(token_decode(&t, &space, buf_bytes(&recorded.token_chain), NOW), ERR_OK);
    assert_true(bytes_eq(t.chain, buf_bytes(&recorded.chain)) &&
                bytes_eq(t.grant, buf_bytes(&recorded.grant)));
    assert_int_equal(root_open(&newest, t.root), ERR_OK);
    assert_int_equal(newest.epoch, 2);
    token_fini(&t, &space);
}

static void a_request_and_what_was_signed_for_it_are_read(void **state)
{
    (void)state;
    struct request r;
    struct buf space = {0}, credential = {0}, root = {0};
    struct node_id id = things_key(41).pub;
    assert_int_equal(request_decode(&r, &space, buf_bytes(&recorded.request), NULL), ERR_OK);
    assert_true(bytes_eq_str(r.node, "web-1") && node_id_eq(&r.id, &id) && r.service_count == 2 &&
                r.at == NOW);
    assert_true(bytes_eq_str(r.service[1], "web") && bytes_eq_str(*labels_get(&r.labels, STR("rack")), "7"));
    assert_int_equal(credential_text_decode(&credential, &root, buf_bytes(&recorded.credential_text)),
                     ERR_OK);
    assert_true(bytes_eq(buf_bytes(&root), buf_bytes(&recorded.root_1)));
    assert_true(bytes_eq(buf_bytes(&credential), buf_bytes(&recorded.credential_by_enrol_key)));
    buf_fini(&space);
    buf_fini(&credential);
    buf_fini(&root);
}

static void a_record_with_every_element_is_read(void **state)
{
    (void)state;
    struct trust *t;
    struct record r;
    assert_int_equal(trust_new(&t, buf_bytes(&recorded.root_1), NULL), ERR_OK);
    assert_int_equal(trust_record(t, buf_bytes(&recorded.record_layout_2_full), NOW, &r), ERR_OK);
    assert_true(r.layout == 2 && r.draining && r.addr_count == 2 && r.root_epoch == 2 && r.protocol_max == 2);
    assert_memory_equal(r.coordinate, "coordinates", RECORD_COORDINATE_BYTES);
    assert_true(r.failed.version == 44 && bytes_eq_str(r.failed.reason, "feature") &&
                bytes_eq_str(r.failed.words, "retry, mirror"));
    assert_true(r.parts_sum == 5 && r.parts_hash.b[2] == 6);
    assert_true(r.rollout.version == 43 && r.rollout.halted && r.rollout.before.requests == 1000 &&
                r.rollout.before.p99_us == 15000 && r.rollout.after.errors == 9 &&
                r.rollout.after.denied == 1);
    trust_unref(t);
}

static void overlays_are_read(void **state)
{
    (void)state;
    struct root two, three;
    struct overlay o;
    struct buf bytes = {0};
    things_root_3(&bytes);
    assert_int_equal(root_open(&two, buf_bytes(&recorded.root_2)), ERR_OK);
    assert_int_equal(root_open(&three, buf_bytes(&bytes)), ERR_OK);
    assert_int_equal(overlay_open(&o, &two, buf_bytes(&recorded.overlay), NULL), ERR_OK);
    assert_true(o.epoch == 2 && o.version == 3 && o.begins == NOW && o.ends == NOW + 4 * 3600 &&
                o.rule_count == 1 && bytes_eq_str(o.text, THINGS_OVERLAY));
    assert_string_equal(o.name, "incident-7");
    assert_string_equal(o.reason, "the shop is shut");
    assert_int_equal(overlay_open(&o, &three, buf_bytes(&recorded.overlay_by_delegation), NULL), ERR_OK);
    assert_true(o.epoch == 3 && o.signer_count == 2);
    assert_int_equal(overlay_open(&o, &three, buf_bytes(&recorded.overlay), NULL), ERR_DENIED);
    buf_fini(&bytes);
}

static void a_key_file_is_read(void **state)
{
    (void)state;
    uint8_t secret[32], expect[32];
    memset(expect, 1, sizeof expect);
    assert_int_equal(key_text_decode(buf_bytes(&recorded.key_file), "root", NULL, secret), ERR_OK);
    assert_memory_equal(secret, expect, sizeof secret);
}

/* Sealed by the first version with the passphrase "correct horse". */
static void a_sealed_key_file_is_opened(void **state)
{
    (void)state;
    static const char text[] =
#include "../vectors/sealed-key-1.inc"
        ;
    uint8_t secret[32], expect[32];
    memset(expect, 1, sizeof expect);
    assert_int_equal(key_text_decode(STR(text), "root", "correct horse", secret), ERR_OK);
    assert_memory_equal(secret, expect, sizeof secret);
    assert_int_equal(key_text_decode(STR(text), "root", "wrong horse", secret), ERR_AUTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_version_makes_the_same_bytes_B23),
        cmocka_unit_test(roots_and_their_chain_are_read),
        cmocka_unit_test(a_token_and_its_grant_are_read),
        cmocka_unit_test(credentials_and_records_are_read),
        cmocka_unit_test(bundles_are_read),
        cmocka_unit_test(a_policy_with_features_and_a_reason_is_read),
        cmocka_unit_test(a_token_with_a_chain_of_roots_is_read),
        cmocka_unit_test(a_request_and_what_was_signed_for_it_are_read),
        cmocka_unit_test(a_record_with_every_element_is_read),
        cmocka_unit_test(overlays_are_read),
        cmocka_unit_test(a_key_file_is_read),
        cmocka_unit_test(a_sealed_key_file_is_opened),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
