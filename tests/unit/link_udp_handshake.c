/* UDP handshakes: who is answered, what a forger, a replay, a wrong clock and a lost packet come to. */
#include "link_udp_world.h"

static void a_payload_to_a_stranger_takes_one_round_trip_more(void **state)
{
    (void)state;
    struct held h;
    say(0, 1, "hello");
    assert_true(take(0, &h));
    assert_int_equal(h.len, UDP_INITIATION_BYTES);
    give(&h, 1);
    assert_int_equal(w.node[1].received, 0);
    pump();
    assert_string_equal(w.node[1].last, "1:hello");
    say(1, 0, "hello yourself");
    pump();
    assert_string_equal(w.node[0].last, "2:hello yourself");
    assert_int_equal(stats(0)->handshakes_done, 1);
    assert_int_equal(stats(1)->handshakes_done, 1);
    assert_int_equal(stats(0)->bytes_out, stats(1)->bytes_in);
}

static void either_cipher_carries_payloads(void **state)
{
    (void)state;
    if (!noise_cipher_is_available(NOISE_AESGCM))
        skip();
    assert_int_equal(send_as(0, 1, "sealed with AES", NOISE_AESGCM), ERR_OK);
    struct held h;
    assert_true(take(0, &h));
    assert_int_equal(h.at[1], NOISE_AESGCM);
    give(&h, 1);
    pump();
    assert_string_equal(w.node[1].last, "1:sealed with AES");
}

static void staged_payloads_follow_in_order_and_the_oldest_give_way(void **state)
{
    (void)state;
    char text[16];
    for (int i = 0; i < UDP_STAGED_MAX + 5; i++) {
        snprintf(text, sizeof text, "%d", i);
        say(0, 1, text);
    }
    assert_int_equal(stats(0)->drop_full, 5);
    pump();
    assert_int_equal(w.node[1].received, UDP_STAGED_MAX);
    assert_string_equal(w.node[1].last, "1:36");
}

static void limits_of_payload_and_credential_are_told(void **state)
{
    (void)state;
    static uint8_t big[UDP_PAYLOAD_MAX + 1];
    struct node *n = &w.node[0], *d = &w.node[1];
    assert_int_equal(
        udp_send(n->u, &d->id, d->key, &d->addr, NOISE_CHACHAPOLY, bytes_of(big, sizeof big), w.now, w.wall),
        ERR_LIMIT);
    assert_int_equal(udp_send(n->u, &d->id, d->key, &d->addr, NOISE_CHACHAPOLY, bytes_of(big, sizeof big - 1),
                              w.now, w.wall),
                     ERR_OK);
    reboot(0, UDP_CREDENTIAL_MAX + 1, 0);
    assert_int_equal(send_as(0, 1, "x", NOISE_CHACHAPOLY), ERR_LIMIT);
    reboot(0, UDP_CREDENTIAL_MAX, 0);
    reboot(1, UDP_CREDENTIAL_MAX, 0);
    say(0, 1, "the largest credentials fit");
    pump();
    assert_string_equal(w.node[1].last, "1:the largest credentials fit");
    assert_true(UDP_CREDENTIAL_MAX >= 900 && UDP_INITIATION_BYTES <= 1280 - 48);
}

static void N14_N16_keys_that_cannot_be_a_peers_are_refused(void **state)
{
    (void)state;
    struct node *n = &w.node[0];
    static const uint8_t zero[32];
    assert_int_equal(
        udp_send(n->u, &w.node[1].id, zero, &n->addr, NOISE_CHACHAPOLY, bytes_str("x"), w.now, w.wall),
        ERR_INVALID);
    assert_int_equal(
        udp_send(n->u, &w.node[1].id, n->key, &n->addr, NOISE_CHACHAPOLY, bytes_str("x"), w.now, w.wall),
        ERR_INVALID);
}

static void N16_what_we_sent_is_refused_when_it_comes_back(void **state)
{
    (void)state;
    struct held initiation, transport;
    say(0, 1, "x");
    assert_true(take(0, &initiation));
    give(&initiation, 0);
    assert_int_equal(stats(0)->drop_mac1, 1);
    give(&initiation, 1);
    pump();
    say(0, 1, "y");
    assert_true(take(0, &transport));
    give(&transport, 0);
    assert_int_equal(w.node[0].received, 0);
    assert_int_equal(stats(0)->drop_index + stats(0)->drop_auth, 1);
    expect_silence(0);
}

/* Node 1 rolls its Noise key. Its sessions go on; who still knows the old key is answered under it, with the credential
 * that names it, until the overlap ends; who knows the new one uses that. */
static void a_noise_key_is_rolled_with_an_overlap(void **state)
{
    (void)state;
    struct node *n = &w.node[1];
    uint8_t old_key[32], old_secret[32], old_credential[UDP_CREDENTIAL_MAX];
    memcpy(old_key, n->key, 32);
    memcpy(old_secret, n->secret, 32);
    memcpy(old_credential, n->credential, sizeof old_credential);
    say(0, 1, "before");
    pump();
    memset(n->secret, 77, 32);
    prim_dh_public(n->key, n->secret);
    memcpy(n->credential + 34, n->key, 32);
    struct udp_keys now = {bytes_of(n->credential, CREDENTIAL), n->secret},
                    before = {bytes_of(old_credential, CREDENTIAL), old_secret};
    udp_keys_set(n->u, &now, &before);
    uint64_t handshakes = stats(1)->handshakes_done;
    say(0, 1, "the session goes on");
    pump();
    assert_string_equal(n->last, "1:the session goes on");
    assert_int_equal(stats(1)->handshakes_done, handshakes);
    assert_int_equal(udp_send(w.node[2].u, &n->id, old_key, &n->addr, NOISE_CHACHAPOLY,
                              bytes_str("by the old key"), w.now, w.wall),
                     ERR_OK);
    pump();
    assert_string_equal(n->last, "3:by the old key");
    say(1, 2, "back");
    pump();
    assert_string_equal(w.node[2].last, "2:back");
    reboot(2, CREDENTIAL, w.wall + 1);
    pass(100);
    say(2, 1, "by the new key");
    pump();
    assert_string_equal(n->last, "3:by the new key");
    udp_keys_set(n->u, &now, NULL);
    reboot(2, CREDENTIAL, w.wall + 5000);
    uint64_t dropped = stats(1)->drop_mac1;
    assert_int_equal(udp_send(w.node[2].u, &n->id, old_key, &n->addr, NOISE_CHACHAPOLY, bytes_str("too late"),
                              w.now, w.wall),
                     ERR_OK);
    pump();
    assert_int_equal(stats(1)->drop_mac1, dropped + 1);
    assert_string_equal(n->last, "3:by the new key");
    assert_int_equal(udp_send(n->u, &w.node[2].id, old_key, &w.node[2].addr, NOISE_CHACHAPOLY, bytes_str("x"),
                              w.now, w.wall),
                     ERR_OK); /* what was ours once may be anybody's now */
}

static void N9_another_mesh_is_not_answered(void **state)
{
    (void)state;
    udp_free(w.node[1].u);
    w.node[1].u = endpoint(&w.node[1], CREDENTIAL, 0, "shopper");
    say(0, 1, "x");
    pump();
    assert_int_equal(w.node[1].received, 0);
    assert_int_equal(stats(1)->packets_out, 0);
    assert_int_equal(stats(1)->drop_handshake, 1);
}

static void N3_no_flipped_bit_of_a_handshake_completes_it(void **state)
{
    (void)state;
    struct held initiation, response;
    say(0, 1, "x");
    assert_true(take(0, &initiation));
    for (size_t i = 0; i < initiation.len; i++) {
        bool is_mac2 = i >= initiation.len - PRIM_MAC_BYTES; /* read only under load */
        if (is_mac2)
            continue;
        initiation.at[i] ^= (uint8_t)(1 << i % 8);
        give(&initiation, 1);
        expect_silence(1);
        initiation.at[i] ^= (uint8_t)(1 << i % 8);
    }
    w.now += 60000;
    give(&initiation, 1);
    assert_true(take(1, &response));
    for (size_t i = 0; i < response.len; i++) {
        response.at[i] ^= (uint8_t)(1 << i % 8);
        give(&response, 0);
        expect_silence(0);
        response.at[i] ^= (uint8_t)(1 << i % 8);
    }
    give(&response, 0); /* and the real one still passes */
    pump();
    assert_string_equal(w.node[1].last, "1:x");
}

static void N4_cut_or_extended_packets_are_dropped(void **state)
{
    (void)state;
    struct held h, longer;
    say(0, 1, "x");
    assert_true(take(0, &h));
    uint8_t copy[UDP_DATAGRAM_MAX + 64] = {0};
    for (size_t len = 0; len <= h.len + 64; len++) {
        memcpy(copy, h.at, h.len);
        if (len != h.len)
            udp_receive(w.node[1].u, &w.node[0].addr, copy, len, w.now, w.wall);
    }
    expect_silence(1);
    assert_int_equal(stats(1)->drop_malformed, h.len + 64);
    give(&h, 1);
    assert_true(take(1, &longer));
    for (size_t len = 0; len <= longer.len; len++) {
        memcpy(copy, longer.at, longer.len);
        if (len != longer.len)
            udp_receive(w.node[0].u, &w.node[1].addr, copy, len, w.now, w.wall);
    }
    expect_silence(0);
    give(&longer, 0);
    pump();
    assert_string_equal(w.node[1].last, "1:x");
}

static void N10_a_replayed_initiation_changes_nothing(void **state)
{
    (void)state;
    struct held initiation, answer;
    struct addr elsewhere = w.node[2].addr;
    say(0, 1, "x");
    assert_true(take(0, &initiation));
    give(&initiation, 1);
    pump();
    for (int i = 0; i < 10000; i++) {
        w.now += 1;
        give_from(&initiation, 1, &elsewhere);
        while (take(1, &answer)) /* cheap, and smaller */
            assert_int_equal(answer.at[0], UDP_COOKIE);
    }
    assert_int_equal(stats(1)->drop_replay + stats(1)->drop_rate + stats(1)->drop_cookie, 10000);
    say(1, 0, "still here");
    pump();
    assert_string_equal(w.node[0].last, "2:still here");
    assert_true(addr_eq(&w.node[0].last_via, &w.node[1].addr));
}

static void N11_replayed_to_a_restarted_responder_it_stays_half_open(void **state)
{
    (void)state;
    struct held initiation, h;
    say(0, 1, "x");
    assert_true(take(0, &initiation));
    give(&initiation, 1);
    pump();
    w.now += 5000;
    reboot(1, CREDENTIAL, 0);
    w.wall -= 86400 * 1000; /* and its clock went back a day */
    unsigned answers = 0;
    w.wall += 86400 * 1000 - UDP_CLOCK_AHEAD_MS;
    say(1, 0, "mine"); /* its own handshake is under way and must not suffer */
    for (int i = 0; i < 1000; i++) {
        w.now += 1;
        give_from(&initiation, 1, &w.node[2].addr);
        while (take(1, &h))
            if (h.at[0] == UDP_INITIATION)
                give(&h, 0);
            else
                answers += h.at[0] == UDP_RESPONSE;
    }
    assert_in_range(answers, 0, 1);
    assert_int_equal(sessions(1, 0), 0);
    pump();
    assert_string_equal(w.node[0].last, "2:mine");
}

static void N18_a_credential_over_another_key_is_not_answered(void **state)
{
    (void)state;
    memcpy(w.node[0].credential, w.node[2].credential, CREDENTIAL); /* another's, copied */
    say(0, 1, "x");
    pump();
    assert_int_equal(stats(1)->packets_out, 0);
    assert_int_equal(stats(1)->drop_credential, 1);
    memcpy(w.node[1].credential + 2, w.node[2].id.b, 32); /* and a responder that says it is somebody else */
    say(2, 1, "x");
    pump();
    assert_int_equal(sessions(2, 1), 0);
    assert_int_equal(stats(2)->drop_credential, 1);
}

static void N19_a_response_twice_late_or_to_nobody_is_dropped(void **state)
{
    (void)state;
    struct held initiation, response;
    say(0, 1, "x");
    assert_true(take(0, &initiation));
    give(&initiation, 1);
    assert_true(take(1, &response));
    give(&response, 2); /* another's */
    assert_int_equal(stats(2)->drop_mac1, 1);
    give(&response, 0);
    pump();
    give(&response, 0);
    assert_int_equal(stats(0)->drop_index, 1);
    expect_silence(0);
}

static void N17_both_initiate_at_once_and_one_session_comes_of_it(void **state)
{
    (void)state;
    struct rng rng = rng_seeded(17);
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < 2; i++)
            reboot(i, CREDENTIAL, 0);
        w.node[0].received = w.node[1].received = 0;
        /* Each datagram takes 1..50 ms; the second side starts up to 60 ms later. */
        struct held flight[HELD_MAX];
        mono_ms due[HELD_MAX], start[2] = {w.now, w.now + rng_below(&rng, 60)}, end = w.now + 5000;
        unsigned count = 0;
        for (; w.now < end; w.now++, w.wall++) {
            for (int i = 0; i < 2; i++) {
                if (start[i] == w.now)
                    say(i, 1 - i, "x");
                udp_tick(w.node[i].u, w.now, w.wall);
                while (count < HELD_MAX && take(i, &flight[count]))
                    due[count++] = w.now + 1 + rng_below(&rng, 50);
            }
            for (unsigned k = 0; k < count; k++)
                if (due[k] == w.now)
                    give(&flight[k], 1 - flight[k].from);
            if (w.now == start[0] + 60 + 200) { /* two round trips at the slowest */
                assert_int_equal(w.node[0].received, 1);
                assert_int_equal(w.node[1].received, 1);
            }
        }
        assert_int_equal(sessions(0, 1), 1);
        assert_int_equal(sessions(1, 0), 1);
    }
}

static void N17_the_initiation_that_stands_is_lost_and_the_next_one_heals_it(void **state)
{
    (void)state;
    struct held h;
    say(0, 1, "from 0");
    say(1, 0, "from 1");
    int stands = memcmp(w.node[0].key, w.node[1].key, 32) < 0 ? 0 : 1;
    assert_true(take(stands, &h)); /* lost */
    pump();
    assert_int_equal(w.node[0].received + w.node[1].received, 0);
    for (int i = 0; i < 15; i++) {
        pass(100);
        pump();
    }
    assert_int_equal(w.node[0].received, 1);
    assert_int_equal(w.node[1].received, 1);
}

static void N29_a_clock_far_ahead_is_not_believed(void **state)
{
    (void)state;
    uint64_t right = w.wall;
    w.wall = right + UINT64_C(10) * 365 * 86400 * 1000;
    struct held h;
    say(0, 1, "from the future");
    assert_true(take(0, &h));
    w.wall = right;
    give(&h, 1);
    expect_silence(1);
    reboot(0, CREDENTIAL, 0);
    say(0, 1, "right again");
    pump();
    assert_string_equal(w.node[1].last, "1:right again");
}

/* Attempts of node 0, whose clock says `wall`, until node 1 has heard it. */
static void try_until_heard(const char *text, const char *heard, uint64_t wall)
{
    struct node *n = &w.node[0], *d = &w.node[1];
    assert_int_equal(udp_send(n->u, &d->id, d->key, &d->addr, NOISE_CHACHAPOLY, bytes_str(text), w.now, wall),
                     ERR_OK);
    pump();
    for (int i = 0; i < 2 && strcmp(d->last, heard) != 0; i++) {
        w.now += 2 * UDP_RETRY_FIRST_MS;
        udp_tick(n->u, w.now, wall);
        pump();
    }
    assert_string_equal(d->last, heard);
}

/* What it remembers of the day when its clock was fast is ahead of everybody's. */
static void N29_a_clock_that_was_fast_once_and_is_right_again_connects(void **state)
{
    (void)state;
    uint64_t floor = w.wall + UINT64_C(86400) * 1000;
    reboot(0, CREDENTIAL, floor);
    try_until_heard("right again", "1:right again", w.wall);
    assert_int_equal(udp_timestamp(w.node[0].u), w.wall); /* what nobody believes is forgotten */
}

/* G26: a day fast since it was started again. */
static void N29_a_clock_that_is_fast_now_connects(void **state)
{
    (void)state;
    uint64_t day = UINT64_C(86400) * 1000;
    say(0, 1, "x");
    pump();
    reboot(0, CREDENTIAL, udp_timestamp(w.node[0].u));
    w.now += 1000;
    w.wall += day;
    say(0, 1, "at once"); /* nobody waits a second for its second try, and takes it for silent meanwhile */
    w.wall -= day;
    pump();
    assert_string_equal(w.node[1].last, "1:at once");
    reboot(0, CREDENTIAL, udp_timestamp(w.node[0].u));
    w.now += 1000;
    try_until_heard("fast", "1:fast", w.wall + day);
    assert_true(udp_timestamp(w.node[0].u) < w.wall + UDP_CLOCK_AHEAD_MS);
    reboot(0, CREDENTIAL, udp_timestamp(w.node[0].u));
    w.now += 1000;
    try_until_heard("fast still", "1:fast still", w.wall + day);
}

static void N30_a_clock_at_1970_still_connects(void **state)
{
    (void)state;
    say(0, 1, "x");
    pump();
    reboot(0, CREDENTIAL, udp_timestamp(w.node[0].u));
    w.now += 1000;
    try_until_heard("rebooted", "1:rebooted", 5);
}

static void initiations_are_repeated_and_given_up_after_90_seconds(void **state)
{
    (void)state;
    struct held h;
    mono_ms started = w.now, last = w.now, gap = 0;
    unsigned sent = 0;
    say(0, 1, "x");
    while (peer_find(w.node[0].u, &w.node[1].id)->handshake) {
        while (take(0, &h)) {
            if (sent == 1)
                assert_in_range(w.now - last, 1000, 1333);
            gap = w.now - last;
            assert_in_range(gap, 0, 5000 * 4 / 3);
            last = w.now;
            sent++;
        }
        assert_true(udp_deadline(w.node[0].u) > w.now);
        pass(udp_deadline(w.node[0].u) - w.now);
    }
    assert_in_range(w.now - started, UDP_GIVE_UP_MS, UDP_GIVE_UP_MS + 7000);
    assert_in_range(sent, 14, 22);
    assert_int_equal(stats(0)->handshakes_given_up, 1);
    assert_int_equal(peer_find(w.node[0].u, &w.node[1].id)->staged.count, 0);
    assert_true(udp_deadline(w.node[0].u) == NEVER);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, world_new, world_free)
    const struct CMUnitTest tests[] = {
        CASE(a_payload_to_a_stranger_takes_one_round_trip_more),
        CASE(either_cipher_carries_payloads),
        CASE(staged_payloads_follow_in_order_and_the_oldest_give_way),
        CASE(limits_of_payload_and_credential_are_told),
        CASE(N14_N16_keys_that_cannot_be_a_peers_are_refused),
        CASE(N16_what_we_sent_is_refused_when_it_comes_back),
        CASE(N9_another_mesh_is_not_answered),
        CASE(a_noise_key_is_rolled_with_an_overlap),
        CASE(N3_no_flipped_bit_of_a_handshake_completes_it),
        CASE(N4_cut_or_extended_packets_are_dropped),
        CASE(N10_a_replayed_initiation_changes_nothing),
        CASE(N11_replayed_to_a_restarted_responder_it_stays_half_open),
        CASE(N18_a_credential_over_another_key_is_not_answered),
        CASE(N19_a_response_twice_late_or_to_nobody_is_dropped),
        CASE(N17_both_initiate_at_once_and_one_session_comes_of_it),
        CASE(N17_the_initiation_that_stands_is_lost_and_the_next_one_heals_it),
        CASE(N29_a_clock_far_ahead_is_not_believed),
        CASE(N29_a_clock_that_was_fast_once_and_is_right_again_connects),
        CASE(N29_a_clock_that_is_fast_now_connects),
        CASE(N30_a_clock_at_1970_still_connects),
        CASE(initiations_are_repeated_and_given_up_after_90_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
