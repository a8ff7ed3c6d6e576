/* What strangers, liars and a hostile wire may do to a link: it stays down, or ends, and moves nothing. The numbers are of the
 * adversary's list (docs/adversary.md). */
#include "link_world.h"

/* The connection ends inside the given message: its last bytes never come. */
static void check_cut(struct link_setup s, int message, size_t keep_from_end)
{
    struct pair p = pair_of(&s);
    bool was_cut = false;
    for (int m = 0; m < 4 && !was_cut; m++) {
        struct link *from = m % 2 ? p.b : p.a, *to = m % 2 ? p.a : p.b;
        struct buf *wire = m % 2 ? &p.b_out : &p.a_out;
        send_due(from, wire);
        if (m == message) {
            was_cut = true;
            wire->len -= keep_from_end;
        }
        assert_int_equal(feed_all(to, wire), ERR_OK);
        if (was_cut) {
            assert_false(link_is_up(to));
            assert_false(link_is_closed_by_peer(to));
            send_due(to, wire);
            assert_int_equal(wire->len, 0);
        }
    }
    pair_fini(&p);
}

static size_t handshake_len(struct link_setup s, int message)
{
    struct pair p = pair_of(&s);
    size_t len = 0;
    for (int m = 0; m <= message; m++) {
        struct buf *wire = m % 2 ? &p.b_out : &p.a_out;
        send_due(m % 2 ? p.b : p.a, wire);
        len = wire->len;
        assert_int_equal(feed_all(m % 2 ? p.a : p.b, wire), ERR_OK);
    }
    pair_fini(&p);
    return len;
}

static void n4_every_truncation_of_the_handshake_leaves_the_link_down(void **state)
{
    (void)state;
    struct link_setup setups[] = {xx_setup(), ik_setup()};
    for (int i = 0; i < 2; i++)
        for (int m = 0; m < 3; m++)
            for (size_t len = handshake_len(setups[i], m), cut = 1; cut <= len; cut++)
                check_cut(setups[i], m, cut);
}

/* True if no side that depends on message `m` comes up when one of its bits is bent on the way. */
static bool stays_down(struct link_setup s, int m, size_t bit)
{
    struct pair p = pair_of(&s);
    enum err e = ERR_OK;
    for (int i = 0; i < 3 && e == ERR_OK; i++) {
        struct link *from = i % 2 ? p.b : p.a, *to = i % 2 ? p.a : p.b;
        struct buf *wire = i % 2 ? &p.b_out : &p.a_out;
        send_due(from, wire);
        if (i == m)
            wire->at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        e = feed_all(to, wire);
    }
    bool ok = !link_is_up(p.b) && (m == 2 || !link_is_up(p.a));
    pair_fini(&p);
    return ok;
}

static void n3_every_flipped_bit_keeps_the_link_down(void **state)
{
    (void)state;
    struct link_setup setups[] = {xx_setup(), ik_setup()};
    for (int i = 0; i < 2; i++)
        for (int m = 0; m < 3; m++)
            for (size_t bits = 8 * handshake_len(setups[i], m), bit = 0; bit < bits; bit++)
                assert_true(stays_down(setups[i], m, bit));
}

static void n7_a_flipped_bit_in_a_record_ends_the_link(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    for (size_t bit = 0; bit < 8 * (19 + 5); bit++) {
        struct pair p = pair_up(&s);
        struct bytes got;
        size_t used;
        seal(p.a, &p.a_out, bytes_str("hello"));
        seal(p.a, &p.a_out, bytes_str("again"));
        p.a_out.at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        enum err e = link_feed(p.b, buf_bytes(&p.a_out), &used, START);
        /* A length that became longer may wait for more; whatever follows does not open. */
        assert_true(e == ERR_AUTH || e == ERR_MALFORMED || (bit < 16 && e == ERR_OK));
        assert_false(link_poll_record(p.b, &got));
        if (e != ERR_OK)
            assert_int_equal(link_feed(p.b, bytes_str("more"), &used, START), ERR_CLOSED);
        pair_fini(&p);
    }
}

static void n5_records_too_short_for_a_tag_end_the_link(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    for (uint8_t len = 0; len <= 16; len++) {
        struct pair p = pair_up(&s);
        uint8_t wire[2 + 16] = {0, len};
        size_t used;
        assert_int_equal(link_feed(p.b, bytes_of(wire, 2u + len), &used, START), ERR_MALFORMED);
        pair_fini(&p);
    }
}

static void n15_a_refused_initiator_moves_no_byte_of_application_data(void **state)
{
    (void)state;
    struct link_setup setups[] = {xx_setup(), ik_setup()};
    for (int i = 0; i < 2; i++) {
        struct pair p = pair_of(&setups[i]);
        struct bytes got;
        size_t cap, used;
        alice.verdict = ERR_DENIED;
        send_due(p.a, &p.a_out);
        enum err e = feed_all(p.b, &p.a_out);
        if (i == 0) { /* XX: alice is up before bob has seen who she is, and talks */
            send_due(p.b, &p.b_out);
            assert_int_equal(feed_all(p.a, &p.b_out), ERR_OK);
            send_due(p.a, &p.a_out);
            seal(p.a, &p.a_out, bytes_str("secret"));
            e = link_feed(p.b, buf_bytes(&p.a_out), &used, START);
        }
        assert_int_equal(e, ERR_DENIED);
        assert_false(link_is_up(p.b) || link_poll_record(p.b, &got));
        assert_null(link_seal_begin(p.b, &p.b_out, 5, &cap));
        send_due(p.b, &p.b_out);
        assert_int_equal(p.b_out.len, 0);
        alice.verdict = ERR_OK;
        pair_fini(&p);
    }
}

static const char *words_to_tell;

static bool tell(void *arg, struct bytes credential, const uint8_t noise_key[32], enum err refused,
                 struct buf *words)
{
    (void)arg;
    assert_true(bytes_eq_str(credential, alice.name) && memcmp(noise_key, alice.pub, 32) == 0);
    buf_add_str(words, words_to_tell);
    return refused == ERR_REVOKED;
}

/* alice connects to a bob who refuses her with `verdict`, and would say why. */
static struct pair pair_telling(const struct link_setup *s, enum err verdict)
{
    struct link_setup accept = setup_of(&bob);
    accept.verify.tell = tell;
    alice.verdict = verdict;
    struct pair p = {.a = link_connect(s, START), .b = link_accept(&accept, START)};
    assert_true(p.a && p.b);
    send_due(p.a, &p.a_out);
    return p;
}

static void n15_who_proves_to_be_revoked_is_told_why_and_no_more(void **state)
{
    (void)state;
    struct link_setup setups[] = {xx_setup(), ik_setup()};
    words_to_tell = "its own key is revoked: lost in a train, \xc3\xa0 Paris";
    for (int i = 0; i < 2; i++) {
        struct pair p = pair_telling(&setups[i], ERR_REVOKED);
        struct bytes got;
        size_t cap, used;
        assert_int_equal(feed_all(p.b, &p.a_out), ERR_OK);
        send_due(p.b, &p.b_out);
        assert_int_equal(feed_all(p.a, &p.b_out), ERR_OK);
        send_due(p.a, &p.a_out);
        seal(p.a, &p.a_out, bytes_str("secret")); /* alice is up before bob has judged her, and talks */
        assert_int_equal(link_feed(p.b, buf_bytes(&p.a_out), &used, START), ERR_OK);
        assert_int_equal(used, p.a_out.len);
        assert_false(link_is_up(p.b) || link_poll_record(p.b, &got));
        assert_null(link_seal_begin(p.b, &p.b_out, 5, &cap));
        assert_int_equal(link_poll_send(p.b, &p.b_out), ERR_REVOKED);
        assert_int_equal(link_feed(p.b, bytes_str("x"), &used, START), ERR_CLOSED);
        assert_int_equal(feed_all(p.a, &p.b_out), ERR_REFUSED);
        assert_true(bytes_eq_str(link_refusal(p.a), "its own key is revoked: lost in a train, ?? Paris"));
        assert_true(node_id_eq(link_peer(p.a), &bob.id));
        assert_false(link_is_up(p.a));
        alice.verdict = ERR_OK;
        pair_fini(&p);
    }
}

static void n15_who_is_refused_for_another_reason_is_told_nothing(void **state)
{
    (void)state;
    struct link_setup setups[] = {xx_setup(), ik_setup()};
    words_to_tell = "not for you";
    for (int i = 0; i < 2; i++) {
        struct pair p = pair_telling(&setups[i], ERR_EXPIRED);
        enum err e = feed_all(p.b, &p.a_out);
        if (i == 0) {
            send_due(p.b, &p.b_out);
            assert_int_equal(feed_all(p.a, &p.b_out), ERR_OK);
            send_due(p.a, &p.a_out);
            e = feed_all(p.b, &p.a_out);
        }
        assert_int_equal(e, ERR_EXPIRED);
        send_due(p.b, &p.b_out);
        assert_int_equal(p.b_out.len, 0);
        alice.verdict = ERR_OK;
        pair_fini(&p);
    }
}

/* Who has no key and plays the first message of a revoked host again gets the reply that everybody gets, and waits. */
static void n10_a_replay_does_not_show_that_a_key_is_revoked(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    size_t reply[2];
    words_to_tell = "revoked";
    for (int is_revoked = 0; is_revoked < 2; is_revoked++) {
        struct pair p = pair_telling(&s, is_revoked ? ERR_REVOKED : ERR_OK);
        size_t used;
        assert_int_equal(feed_all(p.b, &p.a_out), ERR_OK);
        send_due(p.b, &p.b_out);
        reply[is_revoked] = p.b_out.len;
        send_due(p.b, &p.b_out);
        assert_int_equal(p.b_out.len, reply[is_revoked]);
        assert_int_equal(link_deadline(p.b), START + LINK_HANDSHAKE_TIMEOUT_MS);
        static const uint8_t guess[2 + 17] = {0, 17};
        assert_int_equal(link_feed(p.b, bytes_of(guess, sizeof guess), &used, START), ERR_AUTH);
        send_due(p.b, &p.b_out);
        assert_int_equal(p.b_out.len, reply[is_revoked]);
        alice.verdict = ERR_OK;
        pair_fini(&p);
    }
    assert_int_equal(reply[0], reply[1]);
}

/* Sealed by a peer with the right keys: too long, empty, with control characters, late, or from an initiator. */
static enum err verdict_on_refusal(struct link *from, struct link *to, struct bytes words)
{
    struct buf wire = {0};
    assert_int_equal(write_record(from, &wire, RECORD_REFUSAL, words), ERR_OK);
    enum err e = feed_all(to, &wire);
    buf_fini(&wire);
    return e;
}

static void a_refusal_is_a_responders_first_word_and_short(void **state)
{
    (void)state;
    static char long_words[LINK_REFUSAL_MAX + 1];
    memset(long_words, 'x', sizeof long_words);
    const struct {
        struct bytes words;
        enum err verdict;
    } cases[] = {
        {bytes_str("revoked"), ERR_REFUSED},
        {bytes_of(long_words, LINK_REFUSAL_MAX), ERR_REFUSED},
        {bytes_of(long_words, sizeof long_words), ERR_MALFORMED},
        {bytes_of(NULL, 0), ERR_MALFORMED},
        {bytes_str("revoked\nall is well"), ERR_MALFORMED},
        {bytes_str("\x1b[2J"), ERR_MALFORMED},
    };
    struct link_setup s = ik_setup();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair p = pair_up(&s);
        assert_int_equal(verdict_on_refusal(p.b, p.a, cases[i].words), cases[i].verdict);
        assert_true(bytes_eq(link_refusal(p.a),
                             cases[i].verdict == ERR_REFUSED ? cases[i].words : bytes_of(NULL, 0)));
        pair_fini(&p);
    }
    struct pair late = pair_up(&s), back = pair_up(&s);
    expect_passes(late.b, &late.b_out, late.a, "welcome");
    assert_int_equal(verdict_on_refusal(late.b, late.a, bytes_str("revoked")), ERR_MALFORMED);
    assert_int_equal(verdict_on_refusal(back.a, back.b, bytes_str("revoked")), ERR_MALFORMED);
    pair_fini(&late);
    pair_fini(&back);
}

static void n15_a_refused_responder_learns_nothing(void **state)
{
    (void)state;
    struct link_setup setups[] = {xx_setup(), ik_setup()};
    static const enum err verdicts[] = {ERR_DENIED, ERR_EXPIRED, ERR_FOREIGN};
    for (int i = 0; i < 2; i++) {
        for (int v = 0; v < 3; v++) {
            struct pair p = pair_of(&setups[i]);
            bob.verdict = verdicts[v];
            assert_int_equal(talk(&p), verdicts[v]);
            send_due(p.a, &p.a_out);
            assert_int_equal(p.a_out.len, 0); /* neither who alice is (XX) nor a record */
            assert_false(link_is_up(p.a) || link_is_up(p.b));
            bob.verdict = ERR_OK;
            pair_fini(&p);
        }
    }
}

static void n18_a_credential_of_another_key_is_refused(void **state)
{
    (void)state;
    struct link_setup s = xx_setup();
    s.credential = bytes_str(bob.name);
    struct pair p = pair_of(&s);
    assert_int_equal(talk(&p), ERR_AUTH);
    assert_false(link_is_up(p.b));
    pair_fini(&p);
}

static void a_peer_other_than_the_wanted_one_is_denied(void **state)
{
    (void)state;
    struct link_setup s = xx_setup();
    s.remote_id = &alice.id;
    struct pair p = pair_of(&s);
    assert_int_equal(talk(&p), ERR_DENIED);
    assert_false(link_is_up(p.a) || link_is_up(p.b));
    pair_fini(&p);
}

static void n9_another_mesh_fails_at_the_first_aead(void **state)
{
    (void)state;
    struct link_setup setups[] = {xx_setup(), ik_setup()};
    for (int i = 0; i < 2; i++) {
        setups[i].mesh = bytes_str("shop.examplf");
        struct pair p = pair_of(&setups[i]);
        assert_int_equal(talk(&p), ERR_AUTH);
        assert_false(link_is_up(p.a) || link_is_up(p.b));
        pair_fini(&p);
    }
}

/* Feeds a bob a hello whose preface byte `at` was set to `value`. */
static enum err edited_preface(int at, uint8_t value)
{
    struct link_setup s = ik_setup();
    s.cipher = NOISE_AESGCM;
    struct pair p = pair_of(&s);
    send_due(p.a, &p.a_out);
    p.a_out.at[at] = value;
    enum err e = feed_all(p.b, &p.a_out);
    pair_fini(&p);
    return e;
}

static void n28_an_edited_preface_ends_the_link(void **state)
{
    (void)state;
    if (!noise_cipher_is_available(NOISE_AESGCM))
        skip();
    assert_int_equal(edited_preface(0, 's'), ERR_OK); /* unedited */
    assert_int_equal(edited_preface(0, 'S'), ERR_MALFORMED);
    assert_int_equal(edited_preface(4, 0), ERR_UNSUPPORTED);
    assert_int_equal(edited_preface(4, LINK_VERSION_NEWEST), ERR_AUTH); /* another version that is spoken */
    assert_int_equal(edited_preface(4, LINK_VERSION_NEWEST + 1), ERR_UNSUPPORTED);
    assert_int_equal(edited_preface(5, LINK_BULK), ERR_AUTH); /* another purpose */
    assert_int_equal(edited_preface(5, 3), ERR_MALFORMED);
    assert_int_equal(edited_preface(6, 3), ERR_UNSUPPORTED);
    assert_int_equal(edited_preface(6, 1), ERR_MALFORMED); /* XX's first message is shorter */
    assert_int_equal(edited_preface(7, 1), ERR_AUTH);      /* another cipher */
    assert_int_equal(edited_preface(7, 0), ERR_UNSUPPORTED);
}

static void n27_one_byte_each_200_ms_is_cut_at_the_deadline(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    struct pair p = pair_of(&s);
    size_t used, i = 0;
    mono_ms now = START;
    enum err e = ERR_OK;
    send_due(p.a, &p.a_out);
    for (; e == ERR_OK && i < p.a_out.len; i++, now += 200)
        e = link_feed(p.b, bytes_of(p.a_out.at + i, 1), &used, now);
    assert_int_equal(e, ERR_TIMEOUT);
    assert_int_equal(i - 1, LINK_HANDSHAKE_TIMEOUT_MS / 200);
    pair_fini(&p);
}

static void n10_a_replayed_ik_session_gets_one_reply_and_moves_nothing(void **state)
{
    (void)state;
    struct link_setup s = ik_setup(), accept = setup_of(&bob);
    struct pair p = pair_of(&s);
    struct buf tape = {0}, reply = {0};
    struct bytes got = {NULL, 0};
    size_t used;
    for (int i = 0; i < 2; i++) {
        send_due(p.a, &p.a_out);
        if (i == 1)
            seal(p.a, &p.a_out, bytes_str("pay 100"));
        buf_add_bytes(&tape, buf_bytes(&p.a_out));
        assert_int_equal(link_feed(p.b, buf_bytes(&p.a_out), &used, START), ERR_OK);
        p.a_out.len = 0;
        send_due(p.b, &p.b_out);
        if (i == 0)
            assert_int_equal(feed_all(p.a, &p.b_out), ERR_OK);
    }
    assert_true(link_poll_record(p.b, &got) && bytes_eq_str(got, "pay 100"));
    struct link *fresh = link_accept(&accept, START);
    size_t hello = handshake_len(s, 0);
    assert_int_equal(link_feed(fresh, bytes_of(tape.at, hello), &used, START), ERR_OK);
    send_due(fresh, &reply);
    assert_true(reply.len > 0);
    assert_int_equal(link_feed(fresh, bytes_of(tape.at + hello, tape.len - hello), &used, START), ERR_AUTH);
    assert_false(link_is_up(fresh) || link_poll_record(fresh, &got));
    link_free(fresh);
    buf_fini(&tape);
    buf_fini(&reply);
    pair_fini(&p);
}

static void n16_our_own_voice_is_refused(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    s.remote_key = alice.pub;
    assert_null(link_connect(&s, START));

    struct link_setup xx = xx_setup();
    struct pair self = {.a = link_connect(&xx, START), .b = link_accept(&xx, START)};
    assert_int_equal(talk(&self), ERR_AUTH);
    assert_false(link_is_up(self.a) || link_is_up(self.b));
    pair_fini(&self);

    struct pair hello = pair_of(&xx); /* our first message comes back as the second */
    send_due(hello.a, &hello.a_out);
    buf_consume(&hello.a_out, LINK_PREFACE_BYTES);
    assert_int_not_equal(feed_all(hello.a, &hello.a_out), ERR_OK);
    pair_fini(&hello);

    struct pair p = pair_up(&xx);
    seal(p.a, &p.a_out, bytes_str("echo"));
    assert_int_equal(feed_all(p.a, &p.a_out), ERR_AUTH);
    pair_fini(&p);
}

static void records_lost_doubled_or_swapped_end_the_link(void **state)
{
    (void)state;
    static const char *const orders[] = {"1", "00", "02", "10"};
    struct link_setup s = ik_setup();
    for (int o = 0; o < 4; o++) {
        struct pair p = pair_up(&s);
        struct bytes got;
        size_t used;
        enum err e = ERR_OK;
        for (int i = 0; i < 3; i++)
            seal(p.a, &p.a_out, bytes_str("word"));
        for (const char *c = orders[o]; *c && e == ERR_OK; c++) {
            e = link_feed(p.b, bytes_of(p.a_out.at + 23 * (*c - '0'), 23), &used, START);
            link_poll_record(p.b, &got);
        }
        assert_int_equal(e, ERR_AUTH);
        pair_fini(&p);
    }
}

static void bytes_out_of_turn_end_the_handshake(void **state)
{
    (void)state;
    struct link_setup s = ik_setup();
    struct pair p = pair_of(&s);
    size_t used;
    assert_int_equal(link_feed(p.a, bytes_str("x"), &used, START), ERR_MALFORMED); /* before our hello */
    pair_fini(&p);
    p = pair_of(&s);
    send_due(p.a, &p.a_out);
    buf_add_str(&p.a_out, "x");
    assert_int_equal(feed_all(p.b, &p.a_out), ERR_MALFORMED); /* before bob's reply */
    pair_fini(&p);
}

static void a_stranger_cannot_announce_a_long_message(void **state)
{
    (void)state;
    struct link_setup accept = setup_of(&bob);
    struct link *b = link_accept(&accept, START);
    size_t used;
    static const uint8_t wire[] = {'s', 't', 'r', 'l', 1, 1, 2, 1, 0xff, 0xff};
    assert_int_equal(link_feed(b, bytes_of(wire, sizeof wire), &used, START), ERR_MALFORMED);
    link_free(b);
}

static void an_empty_message_is_malformed(void **state)
{
    (void)state;
    for (uint8_t pattern = 1; pattern <= 2; pattern++) {
        struct link_setup accept = setup_of(&bob);
        struct link *b = link_accept(&accept, START);
        const uint8_t wire[] = {'s', 't', 'r', 'l', 1, 1, pattern, 1, 0, 0};
        size_t used;
        assert_int_equal(link_feed(b, bytes_of(wire, sizeof wire), &used, START), ERR_MALFORMED);
        link_free(b);
    }
}

static void a_payload_where_none_belongs_is_refused(void **state)
{
    (void)state;
    struct link_setup accept = setup_of(&bob);
    struct link *b = link_accept(&accept, START);
    uint8_t wire[8 + 2 + 33] = {'s', 't', 'r', 'l', 1, 1, 1, 1, 0, 33};
    size_t used;
    memcpy(wire + 10, alice.pub, 32);
    assert_int_equal(link_feed(b, bytes_of(wire, sizeof wire), &used, START), ERR_MALFORMED);
    link_free(b);
}

/* Alice, whose keys are right, sends one record of this type and body length; what does bob say? */
static enum err verdict_on(struct pair *p, enum record_type type, size_t body_len)
{
    uint8_t wire[RECORD_OVERHEAD + 10] = {0};
    size_t used;
    assert_int_equal(record_seal(&p->a->tx, wire, type, body_len), ERR_OK);
    return link_feed(p->b, bytes_of(wire, RECORD_OVERHEAD + body_len), &used, START);
}

static void records_that_mean_nothing_end_the_link(void **state)
{
    (void)state;
    static const struct {
        enum record_type type;
        size_t body_len;
        enum err verdict;
    } cases[] = {
        {RECORD_DATA, 10, ERR_OK},        {RECORD_DATA, 0, ERR_MALFORMED},    {RECORD_CLOSE, 0, ERR_OK},
        {RECORD_CLOSE, 1, ERR_MALFORMED}, {RECORD_CONFIRM, 0, ERR_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct link_setup s = ik_setup();
        struct pair p = pair_up(&s);
        assert_int_equal(verdict_on(&p, cases[i].type, cases[i].body_len), cases[i].verdict);
        pair_fini(&p);
    }
}

static void the_first_record_of_an_ik_initiator_confirms(void **state)
{
    (void)state;
    static const enum record_type types[] = {RECORD_DATA, RECORD_CLOSE};
    for (int i = 0; i < 2; i++) {
        struct link_setup s = ik_setup();
        struct pair p = pair_of(&s);
        send_due(p.a, &p.a_out);
        assert_int_equal(feed_all(p.b, &p.a_out), ERR_OK);
        send_due(p.b, &p.b_out);
        assert_int_equal(feed_all(p.a, &p.b_out), ERR_OK);
        assert_int_equal(verdict_on(&p, types[i], i == 0 ? 10 : 0), ERR_MALFORMED);
        assert_false(link_is_up(p.b) || link_is_closed_by_peer(p.b));
        pair_fini(&p);
    }
}

static void n13_small_order_ephemerals_are_refused(void **state)
{
    (void)state;
    struct link_setup accept = setup_of(&bob);
    for (uint8_t one = 0; one < 2; one++) {
        struct link *b = link_accept(&accept, START);
        struct buf out = {0};
        uint8_t wire[8 + 2 + 32] = {'s', 't', 'r', 'l', 1, 1, 1, 1, 0, 32, one};
        size_t used;
        assert_int_equal(link_feed(b, bytes_of(wire, sizeof wire), &used, START), ERR_OK);
        assert_int_equal(link_poll_send(b, &out), ERR_MALFORMED);
        assert_int_equal(out.len, 0);
        link_free(b);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(n3_every_flipped_bit_keeps_the_link_down),
        cmocka_unit_test(n4_every_truncation_of_the_handshake_leaves_the_link_down),
        cmocka_unit_test(n5_records_too_short_for_a_tag_end_the_link),
        cmocka_unit_test(n7_a_flipped_bit_in_a_record_ends_the_link),
        cmocka_unit_test(n9_another_mesh_fails_at_the_first_aead),
        cmocka_unit_test(n10_a_replayed_ik_session_gets_one_reply_and_moves_nothing),
        cmocka_unit_test(n13_small_order_ephemerals_are_refused),
        cmocka_unit_test(n15_a_refused_initiator_moves_no_byte_of_application_data),
        cmocka_unit_test(n15_who_proves_to_be_revoked_is_told_why_and_no_more),
        cmocka_unit_test(n15_who_is_refused_for_another_reason_is_told_nothing),
        cmocka_unit_test(n10_a_replay_does_not_show_that_a_key_is_revoked),
        cmocka_unit_test(a_refusal_is_a_responders_first_word_and_short),
        cmocka_unit_test(n15_a_refused_responder_learns_nothing),
        cmocka_unit_test(n16_our_own_voice_is_refused),
        cmocka_unit_test(n18_a_credential_of_another_key_is_refused),
        cmocka_unit_test(n27_one_byte_each_200_ms_is_cut_at_the_deadline),
        cmocka_unit_test(n28_an_edited_preface_ends_the_link),
        cmocka_unit_test(a_peer_other_than_the_wanted_one_is_denied),
        cmocka_unit_test(records_lost_doubled_or_swapped_end_the_link),
        cmocka_unit_test(bytes_out_of_turn_end_the_handshake),
        cmocka_unit_test(a_stranger_cannot_announce_a_long_message),
        cmocka_unit_test(records_that_mean_nothing_end_the_link),
        cmocka_unit_test(the_first_record_of_an_ik_initiator_confirms),
        cmocka_unit_test(an_empty_message_is_malformed),
        cmocka_unit_test(a_payload_where_none_belongs_is_refused),
    };
    return cmocka_run_group_tests(tests, make_nodes, NULL);
}
