/* Conversations that were recorded when an older version was the newest, and the newest one, played to the code of today: all of
 * them are understood, and what is answered is what the code of then can read (G45). Records and gossip; links, sessions and streams
 * are in link_versions.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/message.h"
#include "recorded_world.h"

/* ---- what was signed ---- */

static void an_old_record_says_what_it_said(void **state)
{
    struct record r;
    struct buf again = {0};
    (void)state;
    struct bytes was = recording_part(&old, "record of a");
    assert_int_equal(trust_record(trust, was, RECORDING_WALL, &r), ERR_OK);
    assert_int_equal(r.layout, then->layout);
    assert_int_equal(r.protocol_max, then->protocol);
    assert_int_equal(r.link_max, then->link);
    assert_int_equal(r.incarnation, 7);
    assert_int_equal(r.addr_count, 2);
    assert_int_equal(r.service_count, 2);
    assert_int_equal(r.policy_version, 9);
    /* And one of its layout is written today as it was then, to the byte. */
    assert_int_equal(record_create(&again, &r, &host[0].sign), ERR_OK);
    assert_true(bytes_eq(was, buf_bytes(&again)));
    buf_fini(&again);
}

/* ---- gossip ---- */

static enum err verify_record(void *arg, struct bytes record, struct gossip_claim *out)
{
    struct record r;
    (void)arg;
    enum err e = trust_record(trust, record, RECORDING_WALL, &r);
    if (e)
        return e;
    *out = (struct gossip_claim){.id = r.credential.id,
                                 .incarnation = r.incarnation,
                                 .version = r.version,
                                 .addr_count = 1,
                                 .addr = {r.addr[0]},
                                 .hash = hash_of(record),
                                 .protocol_max = (uint8_t)r.protocol_max};
    return ERR_OK;
}

static struct bytes document(void *arg, const struct hash *hash)
{
    static const struct hash known = {{0xd0, 0xc}};
    (void)arg;
    return hash_eq(hash, &known) ? bytes_str("a policy") : bytes_of(NULL, 0);
}

/* b, of today, which knows a and c, and holds the document. */
static struct gossip *today(void)
{
    struct gossip_config config = {.self = host[1].sign.pub, .seed = 1};
    struct gossip_verify verify = {verify_record, document, NULL};
    static const struct hash hash = {{0xd0, 0xc}};
    struct gossip *g = gossip_new(&config, &verify, 1000);
    struct gossip_event ev;
    assert_int_equal(gossip_own_set(g, recording_part(&old, "record of b"), 1000), ERR_OK);
    assert_int_equal(gossip_member_load(g, recording_part(&old, "record of a"), 1000), ERR_OK);
    assert_int_equal(gossip_member_load(g, recording_part(&old, "record of c"), 1000), ERR_OK);
    gossip_doc_set(g, 1, 1, 9, &hash, 1000);
    while (gossip_poll_event(g, &ev)) {
    }
    return g;
}

/* The layouts as they were then, by hand. Rumors: bytes of each type, 0: as its length says. */
static bool old_rumors_are_whole(struct rd *r)
{
    static const size_t bytes[] = {0, 0, 83, 80, 80, 49, 81, 81};
    const uint8_t last = then->protocol == 1 ? 5 : 7;
    while (rd_left(r) > 0 && rd_ok(r)) {
        uint8_t type = rd_u8(r);
        if (type == 0 || type > last)
            return false;
        if (type == 1)
            rd_u8(r), rd_bytes(r, rd_be16(r));
        else
            rd_bytes(r, bytes[type]);
    }
    return rd_done(r);
}

static bool old_understands(struct bytes msg)
{
    static const size_t head[] = {0, 24, 26, 42, 40, 40, 0};
    struct rd r = rd_init(msg);
    uint8_t version = rd_u8(&r), type = rd_u8(&r);
    if (version == 0 || version > then->protocol || type == 0 || type > 21 || (type > 9 && type < 16))
        return false;
    if (type > 6) /* GET, DIGEST, RANGE and the bulk lane: unchanged, as the decoder of today holds them */
        return true;
    rd_bytes(&r, head[type] + (type == 2 && version == 2 ? 11 : 0));
    return old_rumors_are_whole(&r);
}

static const char *const datagrams[] = {"ping",
                                        "ping with a's record",
                                        "ping with a suspicion",
                                        "ack",
                                        "ping-req",
                                        "relayed-ack",
                                        "nack",
                                        "push record",
                                        "push notice",
                                        "push suspect",
                                        "push dead",
                                        "push document",
                                        "get",
                                        "digest",
                                        "range"},
                         *const bulks[] = {"sync", "list", "state", "fetch", "doc-get", "doc"};

/* Plays one message of a's; all that b says to anybody for a second is readable. Returns how much that was. */
static int play(struct gossip *g, enum gossip_lane lane, const char *name, mono_ms *now)
{
    struct gossip_packet p;
    struct gossip_event ev;
    int said = 0;
    assert_int_equal(
        gossip_receive(g, lane, &host[0].sign.pub, &host[0].addr, recording_part(&old, name), *now), ERR_OK);
    for (mono_ms end = *now + 1000; *now < end; *now += 50) {
        gossip_tick(g, *now);
        while (gossip_poll_event(g, &ev)) {
        }
        while (gossip_poll_send(g, &p)) {
            said++;
            assert_true(old_understands(p.msg));
        }
    }
    return said;
}

static void every_old_message_is_understood_and_answered_in_kind(void **state)
{
    struct gossip *g = today();
    mono_ms now = 1000;
    int said = 0;
    (void)state;
    for (size_t i = 0; i < sizeof datagrams / sizeof *datagrams; i++)
        said += play(g, GOSSIP_DATAGRAM, datagrams[i], &now);
    for (size_t i = 0; i < sizeof bulks / sizeof *bulks; i++)
        said += play(g, GOSSIP_BULK, bulks[i], &now);
    assert_true(said > 20);
    assert_int_equal(gossip_stats(g)->messages_malformed + gossip_stats(g)->messages_unknown, 0);
    gossip_free(g);
}

/* A ping of then gets an ack of then, to the byte where nothing is drawn. */
static void an_old_ping_gets_an_old_ack(void **state)
{
    struct gossip *g = today();
    struct gossip_packet p;
    bool is_answered = false;
    (void)state;
    assert_int_equal(gossip_receive(g, GOSSIP_DATAGRAM, &host[0].sign.pub, &host[0].addr,
                                    recording_part(&old, "ping"), 1000),
                     ERR_OK);
    while (gossip_poll_send(g, &p))
        if (p.lane == GOSSIP_DATAGRAM && p.msg.at[1] == 2) {
            is_answered = true;
            assert_int_equal(p.msg.at[0], then->protocol);
            assert_memory_equal(p.msg.at + 2, recording_part(&old, "ack").at + 2, 8); /* the nonce */
            assert_true(node_id_eq(&p.to, &host[0].sign.pub));
        }
    assert_true(is_answered);
    assert_int_equal(gossip_protocol_of_all(g), then->protocol);
    gossip_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_record_says_what_it_said),
        cmocka_unit_test(every_old_message_is_understood_and_answered_in_kind),
        cmocka_unit_test(an_old_ping_gets_an_old_ack),
    };
    int failed = cmocka_run_group_tests_name("version 1", tests, set_up_1, tear_down);
    return failed + cmocka_run_group_tests_name("version 2", tests, set_up_2, tear_down);
}
