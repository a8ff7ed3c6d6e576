/* A conversation that was recorded when version 1 was the newest (tests/vectors/protocol-1.txt), played to the code of
 * today: all of it is understood, and what is answered is what the code of then can read (G45, N9, N28). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/message.h"
#include "link/link.h"
#include "link/udp.h"
#include "noise/noise.h"
#include "noise/prim.h"
#include "recording.h"

static struct recording old;
static struct trust *trust;
static struct recording_host host[RECORDING_HOSTS];

/* Of the recorded keys, but as a root is written today: agents of version 1 did not send it to each other. */
static enum err make_trust(void)
{
    struct sign_key root_key = recording_key('R'), enrol = recording_key('E');
    const struct sign_key *by = &root_key;
    struct root r = {.mesh = bytes_str(RECORDING_MESH),
                     .epoch = 1,
                     .root = {1, 1, {root_key.pub}},
                     .policy = {1, 1, {root_key.pub}},
                     .enrol = {1, 1, {enrol.pub}}};
    struct buf bytes = {0};
    enum err e = root_create(&bytes, &r, &by, 1);
    e = e ? e : trust_new(&trust, buf_bytes(&bytes), NULL);
    buf_fini(&bytes);
    return e;
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(trust_init(), ERR_OK);
    assert_int_equal(prim_init(), ERR_OK);
    recording_read(&old, "tests/vectors/protocol-1.txt");
    for (int h = 0; h < RECORDING_HOSTS; h++)
        host[h] = recording_host(h);
    return make_trust() == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    trust_unref(trust);
    recording_free(&old);
    return 0;
}

/* ---- what was signed ---- */

static void an_old_record_says_what_it_said(void **state)
{
    struct record r;
    struct buf again = {0};
    (void)state;
    struct bytes was = recording_part(&old, "record of a");
    assert_int_equal(trust_record(trust, was, RECORDING_WALL, &r), ERR_OK);
    assert_int_equal(r.layout, 1);
    assert_int_equal(r.protocol_max, 1);
    assert_int_equal(r.incarnation, 7);
    assert_int_equal(r.addr_count, 2);
    assert_int_equal(r.service_count, 2);
    assert_int_equal(r.policy_version, 9);
    /* And one of layout 1 is written today as it was then, to the byte. */
    assert_int_equal(record_create(&again, &r, &host[0].sign), ERR_OK);
    assert_true(bytes_eq(was, buf_bytes(&again)));
    buf_fini(&again);
}

/* ---- links and sessions ---- */

static enum err verify_credential(void *arg, struct bytes credential, const uint8_t noise_key[32],
                                  struct node_id *id)
{
    struct credential c;
    (void)arg;
    enum err e = trust_credential(trust, credential, RECORDING_WALL, &c);
    if (e || memcmp(c.noise_key, noise_key, 32) != 0)
        return e ? e : ERR_AUTH;
    *id = c.id;
    return ERR_OK;
}

/* The old initiator, after its recorded first message: it reads the answer and has found b. */
static void old_initiator_reads(const struct noise_pattern *pattern, struct bytes prologue,
                                struct bytes payload, struct bytes answer)
{
    static struct noise_handshake hs;
    uint8_t out[4096];
    size_t len;
    struct noise_setup setup = {.pattern = pattern,
                                .initiator = true,
                                .prologue = prologue,
                                .s_sec = host[0].noise.sec,
                                .rs = pattern == &noise_ik ? host[1].noise.pub : NULL,
                                .e_sec = recording_ephemeral};
    assert_int_equal(noise_handshake_init(&hs, &setup), ERR_OK);
    assert_int_equal(noise_handshake_write(&hs, payload, out, sizeof out, &len), ERR_OK);
    assert_int_equal(noise_handshake_read(&hs, answer, out, sizeof out, &len), ERR_OK);
    assert_true(bytes_eq(bytes_of(out, len), recording_part(&old, "credential of b")));
    noise_handshake_fini(&hs);
}

static void play_link(const char *name, const struct noise_pattern *pattern, struct bytes payload)
{
    struct bytes begin = recording_part(&old, name);
    struct link_setup setup = {.mesh = bytes_str(RECORDING_MESH),
                               .credential = recording_part(&old, "credential of b"),
                               .noise_secret = host[1].noise.sec,
                               .verify = {verify_credential, NULL, NULL}};
    struct link *l = link_accept(&setup, 0);
    struct buf answer = {0};
    uint8_t space[64];
    size_t used;
    assert_int_equal(link_feed(l, begin, &used, 0), ERR_OK);
    assert_int_equal(link_poll_send(l, &answer), ERR_OK);
    assert_true(answer.len > 2 && load_be16(answer.at) == answer.len - 2);
    struct wr prologue = wr_init(space, sizeof space);
    wr_bytes(&prologue, "starling\1tcp\0\14" RECORDING_MESH, 26);
    wr_bytes(&prologue, begin.at, LINK_PREFACE_BYTES);
    old_initiator_reads(pattern, wr_done(&prologue), payload, bytes_of(answer.at + 2, answer.len - 2));
    buf_fini(&answer);
    link_free(l);
}

static void old_links_are_answered(void **state)
{
    (void)state;
    play_link("tcp xx", &noise_xx, bytes_of(NULL, 0));
    play_link("tcp ik", &noise_ik, recording_part(&old, "credential of a"));
}

/* N9, N28: another version in the preface, whoever wrote it there, ends the link: at once if it is not spoken, else at the first
 * authenticated byte. */
static void an_edited_version_ends_the_link(void **state)
{
    struct bytes begin = recording_part(&old, "tcp ik");
    struct link_setup setup = {.mesh = bytes_str(RECORDING_MESH),
                               .credential = recording_part(&old, "credential of b"),
                               .noise_secret = host[1].noise.sec,
                               .verify = {verify_credential, NULL, NULL}};
    (void)state;
    for (unsigned version = 0; version < 256; version += version == 0 ? 2 : 1) {
        bool is_spoken = version >= LINK_VERSION_OLDEST && version <= LINK_VERSION_NEWEST;
        struct link *l = link_accept(&setup, 0);
        uint8_t edited[2048];
        size_t used;
        memcpy(edited, begin.at, begin.len);
        edited[4] = (uint8_t)version;
        assert_int_equal(link_feed(l, bytes_of(edited, begin.len), &used, 0),
                         is_spoken ? ERR_AUTH : ERR_UNSUPPORTED);
        link_free(l);
    }
}

static void an_old_initiation_is_answered(void **state)
{
    enum { NOISE_AT = 12 };
    struct udp_setup setup = {.mesh = bytes_str(RECORDING_MESH),
                              .credential = recording_part(&old, "credential of b"),
                              .noise_secret = host[1].noise.sec,
                              .verify = {verify_credential, NULL, NULL}};
    struct udp *u = udp_new(&setup, 0);
    struct bytes was = recording_part(&old, "udp initiation"), answer;
    struct addr to;
    uint8_t in[UDP_INITIATION_BYTES], payload[1096] = {0};
    static const char prologue[] = "starling\1udp\0\14" RECORDING_MESH;
    (void)state;
    memcpy(in, was.at, was.len);
    udp_receive(u, &host[0].addr, in, was.len, 0, (uint64_t)RECORDING_WALL * 1000);
    assert_true(udp_poll_send(u, &to, &answer));
    assert_int_equal(answer.at[0], 2);
    assert_int_equal(load_be32(answer.at + 8), 0x0a0b0c0d);
    struct wr w = wr_init(payload, sizeof payload);
    wr_be64(&w, (uint64_t)RECORDING_WALL * 1000);
    wr_lv16(&w, recording_part(&old, "credential of a"));
    old_initiator_reads(&noise_ik, bytes_of(prologue, sizeof prologue - 1), bytes_of(payload, sizeof payload),
                        bytes_of(answer.at + NOISE_AT, answer.len - NOISE_AT - PRIM_MAC_BYTES));
    udp_free(u);
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

/* The layouts of version 1 as they were then, by hand. Rumors: bytes of each type, 0: as its length says. */
static bool old_rumors_are_whole(struct rd *r)
{
    static const size_t bytes[] = {0, 0, 83, 80, 80, 49};
    while (rd_left(r) > 0 && rd_ok(r)) {
        uint8_t type = rd_u8(r);
        if (type == 0 || type >= sizeof bytes / sizeof *bytes)
            return false;
        if (type == 1)
            rd_u8(r), rd_bytes(r, rd_be16(r));
        else
            rd_bytes(r, bytes[type]);
    }
    return rd_done(r);
}

static bool old_reads(struct bytes msg)
{
    static const size_t head[] = {0, 24, 26, 42, 40, 40, 0};
    struct rd r = rd_init(msg);
    uint8_t version = rd_u8(&r), type = rd_u8(&r);
    if (version != 1 || type == 0 || type > 21 || (type > 9 && type < 16))
        return false;
    if (type > 6) /* GET, DIGEST, RANGE and the bulk lane: unchanged, as the decoder of today holds them */
        return true;
    rd_bytes(&r, head[type]);
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
            assert_true(old_reads(p.msg));
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

/* A ping of version 1 gets an ack of version 1, to the byte where nothing is drawn. */
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
            assert_int_equal(p.msg.at[0], 1);
            assert_memory_equal(p.msg.at + 2, recording_part(&old, "ack").at + 2, 8); /* the nonce */
            assert_true(node_id_eq(&p.to, &host[0].sign.pub));
        }
    assert_true(is_answered);
    assert_int_equal(gossip_protocol_of_all(g), 1);
    gossip_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_old_record_says_what_it_said),
        cmocka_unit_test(old_links_are_answered),
        cmocka_unit_test(an_edited_version_ends_the_link),
        cmocka_unit_test(an_old_initiation_is_answered),
        cmocka_unit_test(every_old_message_is_understood_and_answered_in_kind),
        cmocka_unit_test(an_old_ping_gets_an_old_ack),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
