/* UDP sessions once they stand: rollover, loss, silence, roaming, and the bounds a flood meets. */
#include "link_udp_world.h"

/* Says what expects no answer. */
static void tell(int from, int to, const char *text)
{
    struct link_to there = way(from, to);
    assert_int_equal(udp_tell(w.node[from].u, &there, bytes_str(text), w.now, w.wall), ERR_OK);
}

static void N20_the_previous_session_still_opens_what_is_under_way(void **state)
{
    (void)state;
    struct held late;
    say(0, 1, "x");
    pump();
    say(0, 1, "under way");
    assert_true(take(0, &late));
    say(1, 0, "still here");
    pump();
    pass(UDP_REKEY_MS);
    say(0, 1, "rekeys");
    pump();
    assert_int_equal(sessions(1, 0), 2);
    give(&late, 1);
    assert_string_equal(w.node[1].last, "1:under way");
    pass(UDP_SESSION_MS - UDP_REKEY_MS);
    give(&late, 1);
    assert_int_equal(w.node[1].received, 3);
    assert_int_equal(sessions(1, 0), 1);
}

static void N22_a_forged_counter_does_not_move_the_window(void **state)
{
    (void)state;
    struct held h, forged;
    say(0, 1, "x");
    pump();
    say(0, 1, "real");
    assert_true(take(0, &h));
    forged = h;
    store_be64(forged.at + 8, UINT64_C(1) << 63);
    give(&forged, 1);
    store_be64(forged.at + 8, UINT64_MAX);
    give(&forged, 1);
    assert_int_equal(stats(1)->drop_auth, 2);
    give(&h, 1);
    assert_string_equal(w.node[1].last, "1:real");
    give(&h, 1);
    assert_int_equal(w.node[1].received, 2);
    assert_int_equal(stats(1)->drop_replay, 1);
}

static void N23_loss_doubling_and_reordering_deliver_each_payload_once(void **state)
{
    (void)state;
    enum { COUNT = 9000 };
    static struct held held[COUNT];
    struct rng rng = rng_seeded(23);
    say(0, 1, "x");
    pump();
    unsigned before = w.node[1].received, kept = 0;
    for (int i = 0; i < COUNT; i++) {
        say(0, 1, "p");
        assert_true(take(0, &held[i]));
    }
    give(&held[7999], 1); /* far ahead of the rest, which is 8,000 back */
    for (int i = 0; i < 8000; i++) {
        if (rng_below(&rng, 10) < 3)
            continue;
        kept += i != 7999;
        give(&held[i], 1);
        give(&held[i], 1);
    }
    assert_int_equal(w.node[1].received - before, kept + 1);
}

static void N24_rollover_by_time_and_by_count_loses_nothing(void **state)
{
    (void)state;
    unsigned sent = 0;
    for (; sent < 4 * 3600; sent++) { /* four hours, a packet a second each way */
        say(0, 1, "a");
        say(1, 0, "b");
        pump();
        pass(1000);
    }
    assert_int_equal(w.node[0].received, sent);
    assert_int_equal(w.node[1].received, sent);
    assert_in_range(stats(0)->handshakes_done, 4, 5);
    uint64_t done = stats(0)->handshakes_done;
    struct udp_peer *p = peer_find(w.node[0].u, &w.node[1].id);
    p->current->counter = UDP_REKEY_AFTER - 1;
    for (int i = 0; i < 5; i++) {
        say(0, 1, "a");
        pump();
    }
    assert_int_equal(w.node[1].received, sent + 5);
    assert_int_equal(stats(0)->handshakes_done, done + 1);
}

static void a_session_that_nobody_renews_ends_after_an_hour(void **state)
{
    (void)state;
    say(0, 1, "x");
    pump();
    pass(UDP_SESSION_MS - 1);
    assert_int_equal(sessions(0, 1), 1);
    pass(1);
    assert_int_equal(sessions(0, 1) + sessions(1, 0), 0);
    say(1, 0, "anew");
    pump();
    assert_string_equal(w.node[0].last, "2:anew");
}

static void a_peer_that_restarted_is_reached_with_the_second_packet(void **state)
{
    (void)state;
    say(0, 1, "x");
    pump();
    w.node[1].received = 0;
    reboot(1, CREDENTIAL, 0);
    say(0, 1, "lost");
    pump();
    assert_int_equal(stats(1)->drop_index, 1);
    pass(UDP_DOUBT_MS);
    say(0, 1, "found");
    pump();
    assert_int_equal(w.node[1].received, 1);
    assert_string_equal(w.node[1].last, "1:found");
}

static void silence_after_what_expects_no_answer_casts_no_doubt(void **state)
{
    (void)state;
    say(0, 1, "x");
    pump();
    for (int i = 0; i < 10; i++) {
        tell(0, 1, "news");
        pump();
        pass(10 * UDP_DOUBT_MS);
    }
    say(0, 1, "y");
    pump();
    assert_int_equal(stats(0)->handshakes_done, 1);
    assert_int_equal(w.node[1].received, 12); /* nothing came twice */
}

/* Who has waited in vain need not wait for UDP_DOUBT_MS: what it repeats reaches a peer that restarted. */
static void a_doubt_makes_the_next_packet_go_both_ways(void **state)
{
    (void)state;
    udp_doubt(w.node[0].u, &w.node[1].id, w.now); /* of nobody known: nothing */
    say(0, 1, "x");
    pump();
    w.node[1].received = 0;
    reboot(1, CREDENTIAL, 0);
    say(0, 1, "lost");
    pump();
    pass(150);
    udp_doubt(w.node[0].u, &w.node[1].id, w.now);
    say(0, 1, "found");
    pump();
    assert_int_equal(w.node[1].received, 1);
    assert_string_equal(w.node[1].last, "1:found");
}

static void a_peer_that_has_nothing_to_say_costs_a_handshake_now_and_then(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        say(0, 1, "x");
        pump();
        pass(600);
    }
    assert_in_range(stats(0)->handshakes_done, 2, 5);
    assert_in_range(w.node[1].received, 10, 15);
}

static void N25_forgetting_a_peer_wipes_its_sessions_at_once(void **state)
{
    (void)state;
    struct held h;
    say(0, 1, "x");
    pump();
    say(0, 1, "after it was revoked");
    assert_true(take(0, &h));
    udp_forget(w.node[1].u, &w.node[0].id);
    revoked = w.node[0].id.b[0];
    give(&h, 1);
    assert_int_equal(stats(1)->drop_index, 1);
    assert_int_equal(sessions(1, 0), 0);
    reboot(0, CREDENTIAL, 0);
    say(0, 1, "again");
    pump();
    assert_int_equal(w.node[1].received, 1);
    expect_silence(1);
}

static void N31_only_an_authentic_newest_packet_moves_a_peer(void **state)
{
    (void)state;
    struct held first, second, forged;
    struct addr old = w.node[0].addr, moved, attacker;
    assert_true(addr_parse(&moved, "[2001:db8::9]:9", 0) && addr_parse(&attacker, "10.6.6.6:6", 0));
    say(0, 1, "x");
    pump();
    say(0, 1, "1");
    assert_true(take(0, &first));
    say(0, 1, "2");
    assert_true(take(0, &second));
    forged = second;
    forged.at[30] ^= 1;
    give_from(&forged, 1, &attacker);
    give_from(&second, 1, &moved);
    give_from(&first, 1, &attacker);  /* held back, sent on */
    give_from(&second, 1, &attacker); /* replayed */
    say(1, 0, "where are you");
    assert_true(take(1, &second));
    assert_true(addr_eq(&second.to, &moved));
    assert_false(addr_eq(&old, &moved));
}

static void D2_under_load_an_honest_peer_joins_with_a_cookie(void **state)
{
    (void)state;
    struct held h;
    struct addr spoofed = w.node[2].addr;
    unsigned answered = 0;
    say(2, 1, "flood");
    assert_true(take(2, &h));
    for (uint32_t i = 0; i < 3000; i++) { /* valid mac1, spoofed sources */
        uint64_t before = stats(1)->bytes_out;
        store_be32(spoofed.ip + 12, 0x0b000000 + i);
        store_be32(h.at + NODES + 1, i);
        cookie_mac1(h.at + h.len - 32, &w.node[1].u->own[0].cookie_keys, bytes_of(h.at, h.len - 32));
        give_from(&h, 1, &spoofed);
        struct held answer;
        while (take(1, &answer))
            answered += answer.at[0] == UDP_RESPONSE;
        assert_in_range(stats(1)->bytes_out - before, 0, i > 0 ? UDP_COOKIE_BYTES : UDP_INITIATION_BYTES);
    }
    assert_int_equal(answered, 1);
    assert_int_equal(stats(1)->cookies_sent, 3000 - UDP_LOAD_PER_S);
    say(0, 1, "honest");
    pump();
    assert_string_equal(w.node[1].last, "1:honest");
    assert_int_equal(stats(1)->cookies_sent, 3001 - UDP_LOAD_PER_S);
}

static void D4_half_open_sessions_are_bounded_and_the_oldest_go(void **state)
{
    (void)state;
    /* The table alone: a million real handshakes would take minutes. */
    struct udp *u = w.node[1].u;
    for (uint32_t i = 0; i < UDP_HANDSHAKES_MAX + 100; i++) {
        struct node_id id = {{0xee}};
        struct udp_peer *p;
        struct noise_handshake hs = {.pattern = &noise_ik, .done = true};
        store_be32(id.b + 4, i);
        assert_int_equal(peer_get(u, &id, w.node[0].key, &p), ERR_OK);
        struct udp_session *s = session_new(u, p, &hs, index_random(u), i, w.now);
        assert_non_null(s);
        session_install_theirs(u, p, s);
    }
    assert_int_equal(u->half_open_count, UDP_HANDSHAKES_MAX);
    assert_int_equal(stats(1)->drop_full, 100);
    assert_in_range(sizeof(struct udp_session) * UDP_HANDSHAKES_MAX, 1,
                    16 << 20); /* stated: 64 MiB at most */
    wake_at(u, w.now + UDP_GIVE_UP_MS);
    pass(UDP_GIVE_UP_MS);
    assert_int_equal(u->half_open_count, 0);
}

static void D4_peers_are_bounded_and_the_one_unused_longest_goes(void **state)
{
    (void)state;
    struct udp *u = w.node[1].u;
    struct udp_peer *p;
    say(0, 1, "x");
    pump();
    for (uint32_t i = 0; i < UDP_PEERS_MAX + 1000; i++) {
        struct node_id id = {{0xee}};
        store_be32(id.b + 4, i);
        assert_int_equal(peer_get(u, &id, w.node[2].key, &p), ERR_OK);
    }
    assert_int_equal(u->peer_count, UDP_PEERS_MAX);
    say(0, 1, "a session is not given away");
    pump();
    assert_int_equal(w.node[1].received, 2);
}

static void D7_junk_is_never_answered(void **state)
{
    (void)state;
    struct rng rng = rng_seeded(7);
    say(0, 1, "x");
    pump();
    for (int i = 0; i < 20000; i++) {
        struct held h = {.from = 0, .len = rng_below(&rng, UDP_DATAGRAM_MAX)};
        for (size_t k = 0; k < h.len; k += 8) {
            uint64_t v = rng_u64(&rng);
            memcpy(h.at + k, &v, h.len - k < 8 ? h.len - k : 8);
        }
        h.at[0] = (uint8_t)(1 + rng_below(&rng, 4));
        memset(h.at + 1, 0, 3);
        give(&h, 1);
    }
    expect_silence(1);
    say(0, 1, "and the session lives");
    pump();
    assert_string_equal(w.node[1].last, "1:and the session lives");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, world_new, world_free)
    const struct CMUnitTest tests[] = {
        CASE(N20_the_previous_session_still_opens_what_is_under_way),
        CASE(N22_a_forged_counter_does_not_move_the_window),
        CASE(N23_loss_doubling_and_reordering_deliver_each_payload_once),
        CASE(N24_rollover_by_time_and_by_count_loses_nothing),
        CASE(a_session_that_nobody_renews_ends_after_an_hour),
        CASE(a_peer_that_restarted_is_reached_with_the_second_packet),
        CASE(silence_after_what_expects_no_answer_casts_no_doubt),
        CASE(a_doubt_makes_the_next_packet_go_both_ways),
        CASE(a_peer_that_has_nothing_to_say_costs_a_handshake_now_and_then),
        CASE(N25_forgetting_a_peer_wipes_its_sessions_at_once),
        CASE(N31_only_an_authentic_newest_packet_moves_a_peer),
        CASE(D2_under_load_an_honest_peer_joins_with_a_cookie),
        CASE(D4_half_open_sessions_are_bounded_and_the_oldest_go),
        CASE(D4_peers_are_bounded_and_the_one_unused_longest_goes),
        CASE(D7_junk_is_never_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
