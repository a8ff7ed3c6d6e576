/* A link comes up, carries records, says which version and kind it is, and closes. */
#include "link_world.h"

static void check_comes_up(struct link_setup s, enum noise_cipher cipher)
{
    s.cipher = cipher;
    s.kind = LINK_BULK;
    s.remote_id = &bob.id;
    struct pair p = pair_up(&s);
    assert_true(node_id_eq(link_peer(p.a), &bob.id) && node_id_eq(link_peer(p.b), &alice.id));
    assert_true(bytes_eq_str(link_peer_credential(p.a), bob.name));
    assert_true(bytes_eq_str(link_peer_credential(p.b), alice.name));
    assert_true(link_kind(p.b) == LINK_BULK && link_kind(p.a) == LINK_BULK);
    assert_true(link_deadline(p.a) == NEVER && link_deadline(p.b) == NEVER);
    expect_passes(p.a, &p.a_out, p.b, "from a to b");
    expect_passes(p.b, &p.b_out, p.a, "from b to a");
    expect_passes(p.a, &p.a_out, p.b, "and again");
    pair_fini(&p);
}

static void xx_and_ik_come_up_with_both_ciphers(void **state)
{
    (void)state;
    for (int cipher = NOISE_CHACHAPOLY; cipher <= NOISE_AESGCM; cipher++) {
        check_comes_up(xx_setup(), (enum noise_cipher)cipher);
        check_comes_up(ik_setup(), (enum noise_cipher)cipher);
    }
}

static void an_ik_responder_is_up_only_after_the_first_record(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    struct pair p = pair_of(&s);
    size_t cap;
    send_due(p.a, &p.a_out);
    assert_int_equal(feed_all(p.b, &p.a_out), ERR_OK);
    send_due(p.b, &p.b_out);
    assert_false(link_is_up(p.b));
    assert_null(link_seal_begin(p.b, &p.b_out, 10, &cap));
    assert_int_equal(link_deadline(p.b), START + LINK_HANDSHAKE_TIMEOUT_MS);
    assert_int_equal(feed_all(p.a, &p.b_out), ERR_OK);
    assert_false(link_is_up(p.a)); /* its CONFIRM is not on its way yet */
    send_due(p.a, &p.a_out);
    assert_true(link_is_up(p.a));
    assert_int_equal(feed_all(p.b, &p.a_out), ERR_OK);
    assert_true(link_is_up(p.b));
    pair_fini(&p);
}

static void records_of_every_kind_of_size_pass(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 15, 16, 17, 1000, 16384, 65517, RECORD_PLAIN_MAX};
    static uint8_t text[RECORD_PLAIN_MAX];
    struct link_setup s = ik_setup();
    struct pair p = pair_up(&s);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(text, (int)('a' + i), sizes[i]);
        seal(p.a, &p.a_out, bytes_of(text, sizes[i]));
        assert_int_equal(p.a_out.len, sizes[i] + 19);
        expect_record(p.b, buf_bytes(&p.a_out), bytes_of(text, sizes[i]));
        p.a_out.len = 0;
    }
    pair_fini(&p);
}

static void a_record_holds_no_more_than_the_cap_says(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    struct pair p = pair_up(&s);
    size_t cap;
    assert_non_null(link_seal_begin(p.a, &p.a_out, 1 << 20, &cap));
    assert_int_equal(cap, RECORD_PLAIN_MAX);
    assert_int_equal(link_seal_end(p.a, &p.a_out, 0), ERR_OK);
    assert_int_equal(p.a_out.len, 0); /* nothing to say, nothing said */
    struct buf small = {.max = 119};
    assert_non_null(link_seal_begin(p.a, &small, 1000, &cap));
    assert_int_equal(cap, 100);
    assert_int_equal(link_seal_end(p.a, &small, 100), ERR_OK);
    assert_int_equal(small.len, 119);
    assert_null(link_seal_begin(p.a, &small, 1000, &cap));
    assert_true(buf_ok(&small));
    buf_fini(&small);
    pair_fini(&p);
}

static void a_feed_stops_at_each_record_that_waits(void **state)
{
    (void)state;
    struct link_setup s = xx_setup();
    struct pair p = pair_up(&s);
    char text[] = "record 0";
    for (int i = 0; i < 3; i++, text[7]++)
        seal(p.a, &p.a_out, bytes_str(text));
    size_t at = 0, used;
    struct bytes got = {NULL, 0};
    text[7] = '0';
    for (int i = 0; i < 3; i++, text[7]++) {
        assert_int_equal(link_feed(p.b, bytes_of(p.a_out.at + at, p.a_out.len - at), &used, START), ERR_OK);
        assert_int_equal(used, strlen(text) + 19);
        at += used;
        assert_int_equal(link_feed(p.b, bytes_of(p.a_out.at + at, p.a_out.len - at), &used, START), ERR_OK);
        assert_int_equal(used, 0);
        assert_true(link_poll_record(p.b, &got) && bytes_eq_str(got, text));
    }
    pair_fini(&p);
}

static void feed_bytewise(struct link *l, struct buf *wire)
{
    size_t used;
    for (size_t i = 0; i < wire->len; i++) {
        assert_int_equal(link_feed(l, bytes_of(wire->at + i, 1), &used, START), ERR_OK);
        assert_int_equal(used, 1);
    }
    wire->len = 0;
}

static void check_bytewise(struct link_setup s)
{
    struct pair p = pair_of(&s);
    struct bytes got = {NULL, 0};
    for (int i = 0; i < 3; i++) {
        send_due(p.a, &p.a_out);
        feed_bytewise(p.b, &p.a_out);
        send_due(p.b, &p.b_out);
        feed_bytewise(p.a, &p.b_out);
    }
    assert_true(link_is_up(p.a) && link_is_up(p.b));
    for (int i = 0; i < 3; i++) {
        seal(p.a, &p.a_out, bytes_str("byte by byte"));
        feed_bytewise(p.b, &p.a_out);
        assert_true(link_poll_record(p.b, &got) && bytes_eq_str(got, "byte by byte"));
    }
    pair_fini(&p);
}

static void byte_by_byte_is_the_same(void **state)
{
    (void)state;
    check_bytewise(xx_setup());
    check_bytewise(ik_setup());
}

static void n26_an_end_without_close_is_a_truncation(void **state)
{
    (void)state;
    struct link_setup s = xx_setup();
    struct bytes got = {NULL, 0};
    size_t used;
    for (size_t cut = 0; cut <= 19; cut++) {
        struct pair p = pair_up(&s);
        expect_passes(p.a, &p.a_out, p.b, "all there was");
        assert_int_equal(link_close(p.a, &p.a_out), ERR_OK);
        assert_int_equal(p.a_out.len, 19);
        assert_int_equal(link_feed(p.b, bytes_of(p.a_out.at, 19 - cut), &used, START), ERR_OK);
        assert_int_equal(link_is_closed_by_peer(p.b), cut == 0);
        assert_false(link_poll_record(p.b, &got));
        pair_fini(&p);
    }
}

static void after_its_close_a_side_only_reads(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    struct pair p = pair_up(&s);
    size_t cap, used;
    assert_int_equal(link_close(p.a, &p.a_out), ERR_OK);
    assert_int_equal(link_close(p.a, &p.a_out), ERR_OK);
    assert_int_equal(p.a_out.len, 19); /* once */
    assert_null(link_seal_begin(p.a, &p.a_out, 5, &cap));
    assert_int_equal(feed_all(p.b, &p.a_out), ERR_OK);
    expect_passes(p.b, &p.b_out, p.a, "last words");
    assert_int_equal(link_feed(p.b, bytes_str("x"), &used, START), ERR_MALFORMED);
    assert_true(link_is_closed_by_peer(p.b));
    pair_fini(&p);
}

static void before_it_is_up_there_is_nothing_to_close(void **state)
{
    (void)state;
    struct link_setup s = xx_setup();
    struct pair p = pair_of(&s);
    assert_int_equal(link_close(p.a, &p.a_out), ERR_OK);
    assert_int_equal(p.a_out.len, 0);
    pair_fini(&p);
}

/* Who dials takes what the other has signed that it speaks; each of the two may be the older one. */
static void two_versions_interoperate(void **state)
{
    static const struct {
        uint8_t dialled, answered; /* 0: what a build of today takes of itself */
        enum err outcome;
    } rows[] = {{1, 0, ERR_OK}, {2, 0, ERR_OK}, {0, 1, ERR_OK}, {1, 1, ERR_OK}, {2, 1, ERR_UNSUPPORTED}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int known = 0; known < 2; known++) {
            struct link_setup s = known ? ik_setup() : xx_setup(), accept = setup_of(&bob);
            s.version = rows[i].dialled;
            accept.version = rows[i].answered;
            struct pair p = {.a = link_connect(&s, START), .b = link_accept(&accept, START)};
            assert_int_equal(talk(&p), rows[i].outcome);
            assert_int_equal(link_is_up(p.a) && link_is_up(p.b), rows[i].outcome == ERR_OK);
            pair_fini(&p);
        }
}

static void the_version_is_the_newest_that_both_speak(void **state)
{
    (void)state;
    assert_int_equal(link_version_with(0), LINK_VERSION_OLDEST); /* nothing is known of it: a seed */
    assert_int_equal(link_version_with(1), 1);
    assert_int_equal(link_version_with(2), 2);
    assert_int_equal(link_version_with(16), LINK_VERSION_NEWEST);
}

static void the_kind_is_read_from_the_preface_alone(void **state)
{
    (void)state;
    enum link_kind kind = LINK_BULK;
    assert_int_equal(link_preface_kind(bytes_of("strl\1\1\1\1and more", 16), &kind), ERR_OK);
    assert_int_equal(kind, LINK_TRAFFIC);
    assert_int_equal(link_preface_kind(bytes_of("strl\1\2\2\2", 8), &kind), ERR_OK);
    assert_int_equal(kind, LINK_BULK);
    assert_int_equal(link_preface_kind(bytes_of("strl\1\1\1", 7), &kind), ERR_MALFORMED);
    assert_int_equal(link_preface_kind(bytes_of("strl\1\0\1\1", 8), &kind), ERR_MALFORMED);
    assert_int_equal(link_preface_kind(bytes_of("GET / HT", 8), &kind), ERR_MALFORMED);
}

static void a_full_send_buffer_ends_the_handshake(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    struct pair p = pair_of(&s);
    size_t used;
    p.a_out.max = 100;
    assert_int_equal(link_poll_send(p.a, &p.a_out), ERR_NOMEM);
    assert_int_equal(link_feed(p.a, bytes_str("x"), &used, START), ERR_CLOSED);
    assert_int_equal(link_deadline(p.a), NEVER);
    assert_string_equal(link_stage(p.a), "dead");
    pair_fini(&p);
}

/* Bob has rolled his key; alice's record of him is older. He answers under the key that she called him by. */
static void who_knows_only_the_key_of_before_is_answered_under_it(void **state)
{
    (void)state;
    uint8_t new_secret[32], new_pub[32];
    memset(new_secret, 99, sizeof new_secret);
    prim_dh_public(new_pub, new_secret);
    struct link_setup ask = ik_setup(), accept = setup_of(&bob);
    accept.noise_secret = new_secret;
    accept.credential = bytes_str("a newer credential, which alice would refuse for this key");
    accept.noise_secret_before = bob.secret;
    accept.credential_before = bytes_str(bob.name);
    struct pair p = {.a = link_connect(&ask, START), .b = link_accept(&accept, START)};
    assert_int_equal(talk(&p), ERR_OK);
    assert_true(link_is_up(p.a) && link_is_up(p.b));
    pair_fini(&p);
    accept.noise_secret_before = NULL; /* the overlap is over */
    p = (struct pair){.a = link_connect(&ask, START), .b = link_accept(&accept, START)};
    assert_int_equal(talk(&p), ERR_AUTH);
    pair_fini(&p);
    uint8_t third[32]; /* neither the one nor the other */
    memset(third, 98, sizeof third);
    accept.noise_secret_before = third;
    p = (struct pair){.a = link_connect(&ask, START), .b = link_accept(&accept, START)};
    assert_int_equal(talk(&p), ERR_AUTH);
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xx_and_ik_come_up_with_both_ciphers),
        cmocka_unit_test(an_ik_responder_is_up_only_after_the_first_record),
        cmocka_unit_test(records_of_every_kind_of_size_pass),
        cmocka_unit_test(a_record_holds_no_more_than_the_cap_says),
        cmocka_unit_test(a_feed_stops_at_each_record_that_waits),
        cmocka_unit_test(byte_by_byte_is_the_same),
        cmocka_unit_test(n26_an_end_without_close_is_a_truncation),
        cmocka_unit_test(after_its_close_a_side_only_reads),
        cmocka_unit_test(before_it_is_up_there_is_nothing_to_close),
        cmocka_unit_test(two_versions_interoperate),
        cmocka_unit_test(the_version_is_the_newest_that_both_speak),
        cmocka_unit_test(the_kind_is_read_from_the_preface_alone),
        cmocka_unit_test(a_full_send_buffer_ends_the_handshake),
        cmocka_unit_test(who_knows_only_the_key_of_before_is_answered_under_it),
    };
    return cmocka_run_group_tests(tests, make_nodes, NULL);
}
