/* Conversations that were recorded when an older version was the newest, and the newest one, played to the code of today: links,
 * sessions and streams (N9, N28). Where a handshake draws its keys anew, the host of then is played by hand, from the layouts of its
 * day. Records and gossip are in control_versions.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/message.h"
#include "link/cookie.h"
#include "link/link.h"
#include "link/record.h"
#include "link/udp.h"
#include "mux/frame.h"
#include "noise/noise.h"
#include "recorded_world.h"

/* ---- links ---- */

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

static void add_length(struct buf *out, size_t length)
{
    uint8_t be[2];
    store_be16(be, (uint16_t)length);
    buf_add(out, be, sizeof be);
}

struct old_host { /* one end of a link or session, as it was then */
    struct noise_handshake hs;
    struct record_way tx, rx;
};

static void old_begin(struct old_host *o, const struct noise_pattern *pattern, bool is_a,
                      struct bytes prologue)
{
    struct noise_setup setup = {.pattern = pattern,
                                .initiator = is_a,
                                .prologue = prologue,
                                .s_sec = host[!is_a].noise.sec,
                                .rs = is_a && pattern == &noise_ik ? host[1].noise.pub : NULL,
                                .e_sec = recording_ephemeral};
    memset(o, 0, sizeof *o);
    assert_int_equal(noise_handshake_init(&o->hs, &setup), ERR_OK);
}

static struct bytes old_writes(struct old_host *o, struct bytes payload, uint8_t *out, size_t cap)
{
    size_t len;
    assert_int_equal(noise_handshake_write(&o->hs, payload, out, cap, &len), ERR_OK);
    return bytes_of(out, len);
}

/* What the message brings is this. */
static void old_reads(struct old_host *o, struct bytes message, struct bytes brings)
{
    uint8_t out[4096];
    size_t len;
    assert_int_equal(noise_handshake_read(&o->hs, message, out, sizeof out, &len), ERR_OK);
    assert_true(bytes_eq(bytes_of(out, len), brings));
}

static void old_split(struct old_host *o)
{
    noise_handshake_split(&o->hs, &o->tx.cipher, &o->rx.cipher);
    noise_handshake_fini(&o->hs);
}

static void old_seals(struct old_host *o, struct buf *out, enum record_type type, struct bytes body)
{
    uint8_t *at = buf_reserve(out, RECORD_OVERHEAD + body.len);
    assert_non_null(at);
    if (body.len > 0)
        memcpy(at + RECORD_HEAD_BYTES, body.at, body.len);
    assert_int_equal(record_seal(&o->tx, at, type, body.len), ERR_OK);
    out->len += RECORD_OVERHEAD + body.len;
}

static struct bytes tcp_prologue(uint8_t space[64], struct bytes preface)
{
    struct wr w = wr_init(space, 64);
    wr_bytes(&w, "starling", 8);
    wr_u8(&w, preface.at[4]);
    wr_bytes(&w, "tcp\0\14" RECORDING_MESH, 17);
    wr_bytes(&w, preface.at, LINK_PREFACE_BYTES);
    return wr_done(&w);
}

static struct link_setup setup_of(int h)
{
    return (struct link_setup){.mesh = bytes_str(RECORDING_MESH),
                               .credential = recording_part(&old, h ? "credential of b" : "credential of a"),
                               .noise_secret = host[h].noise.sec,
                               .verify = {verify_credential, NULL, NULL}};
}

static void feed(struct link *l, struct bytes in)
{
    size_t used;
    assert_int_equal(link_feed(l, in, &used, 0), ERR_OK);
    assert_int_equal(used, in.len);
}

/* The next message or record of ours, without its length. */
static struct bytes take_message(struct buf *wire, size_t *at)
{
    assert_true(wire->len >= *at + 2);
    size_t len = load_be16(wire->at + *at);
    *at += 2 + len;
    assert_true(wire->len >= *at);
    return bytes_of(wire->at + *at - len, len);
}

static void expect_record(struct link *l, const char *text)
{
    struct bytes plain;
    assert_true(link_poll_record(l, &plain));
    assert_true(bytes_eq_str(plain, text));
}

/* a of then dials b of today, and says something. */
static void old_dials(const char *name, const struct noise_pattern *pattern)
{
    struct old_host a;
    struct bytes begin = recording_part(&old, name), ours = recording_part(&old, "credential of a");
    struct link_setup setup = setup_of(1);
    struct link *l = link_accept(&setup, 0);
    struct buf wire = {0};
    uint8_t space[64], message[2048];
    size_t at = 0;
    bool is_ik = pattern == &noise_ik;
    feed(l, begin);
    assert_int_equal(link_poll_send(l, &wire), ERR_OK);
    old_begin(&a, pattern, true, tcp_prologue(space, begin));
    struct bytes first = old_writes(&a, is_ik ? ours : bytes_of(NULL, 0), message, sizeof message);
    assert_true(
        bytes_eq(first, bytes_of(begin.at + LINK_PREFACE_BYTES + 2, begin.len - LINK_PREFACE_BYTES - 2)));
    old_reads(&a, take_message(&wire, &at), recording_part(&old, "credential of b"));
    wire.len = 0;
    if (!is_ik) {
        struct bytes last = old_writes(&a, ours, message, sizeof message);
        add_length(&wire, last.len);
        buf_add_bytes(&wire, last);
    }
    old_split(&a);
    if (is_ik)
        old_seals(&a, &wire, RECORD_CONFIRM, bytes_of(NULL, 0));
    old_seals(&a, &wire, RECORD_DATA, bytes_str("from then"));
    feed(l, buf_bytes(&wire));
    assert_true(link_is_up(l) && node_id_eq(link_peer(l), &host[0].sign.pub));
    expect_record(l, "from then");
    buf_fini(&wire);
    link_free(l);
}

static void old_links_are_answered(void **state)
{
    (void)state;
    old_dials("tcp xx", &noise_xx);
    old_dials("tcp ik", &noise_ik);
}

/* a of today dials b of then, as b's record says, or as a seed that it knows nothing of. */
static void old_is_dialled(const struct noise_pattern *pattern)
{
    struct old_host b;
    struct bytes theirs = recording_part(&old, "credential of b"),
                 ours = recording_part(&old, "credential of a");
    struct link_setup setup = setup_of(0);
    struct buf wire = {0}, back = {0};
    uint8_t space[64], message[2048], opened[128];
    size_t at = LINK_PREFACE_BYTES, cap;
    bool is_ik = pattern == &noise_ik;
    setup.kind = LINK_BULK;
    setup.remote_key = is_ik ? host[1].noise.pub : NULL;
    setup.version = link_version_with(is_ik ? then->link : 0);
    struct link *l = link_connect(&setup, 0);
    assert_int_equal(link_poll_send(l, &wire), ERR_OK);
    assert_int_equal(wire.at[4], is_ik ? then->link : 1);
    old_begin(&b, pattern, false, tcp_prologue(space, buf_bytes(&wire)));
    old_reads(&b, take_message(&wire, &at), is_ik ? ours : bytes_of(NULL, 0));
    struct bytes reply = old_writes(&b, theirs, message, sizeof message);
    add_length(&back, reply.len);
    buf_add_bytes(&back, reply);
    feed(l, buf_bytes(&back));
    wire.len = at = 0;
    assert_int_equal(link_poll_send(l, &wire), ERR_OK);
    if (!is_ik)
        old_reads(&b, take_message(&wire, &at), ours);
    old_split(&b);
    memcpy(link_seal_begin(l, &wire, 5, &cap), "today", 5);
    assert_int_equal(link_seal_end(l, &wire, 5), ERR_OK);
    enum record_type type = RECORD_CONFIRM;
    struct bytes body = bytes_of(NULL, 0);
    while (at < wire.len)
        assert_int_equal(record_open(&b.rx, opened, take_message(&wire, &at), &type, &body), ERR_OK);
    assert_true(type == RECORD_DATA && bytes_eq_str(body, "today"));
    back.len = 0;
    old_seals(&b, &back, RECORD_DATA, bytes_str("and then"));
    feed(l, buf_bytes(&back));
    expect_record(l, "and then");
    buf_fini(&wire);
    buf_fini(&back);
    link_free(l);
}

static void old_hosts_are_dialled(void **state)
{
    (void)state;
    old_is_dialled(&noise_xx);
    old_is_dialled(&noise_ik);
}

/* N9, N28: another version in the preface, whoever wrote it there, ends the link: at once if it is not spoken, else at the first
 * authenticated byte. */
static void an_edited_version_ends_the_link(void **state)
{
    struct bytes begin = recording_part(&old, "tcp ik");
    struct link_setup setup = setup_of(1);
    (void)state;
    for (unsigned version = 0; version < 256; version++) {
        if (version == begin.at[4])
            continue;
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

/* ---- sessions ---- */

enum { INITIATION_NOISE_AT = 8, RESPONSE_NOISE_AT = 12, INITIATION_PAYLOAD = 1096, A_INDEX = 0x0a0b0c0d };
static const uint64_t wall = (uint64_t)RECORDING_WALL * 1000;

static struct bytes udp_prologue(uint8_t space[64])
{
    struct wr w = wr_init(space, 64);
    wr_bytes(&w, "starling", 8);
    wr_u8(&w, then->link);
    wr_bytes(&w, "udp\0\14" RECORDING_MESH, 17);
    return wr_done(&w);
}

static struct udp *endpoint(int h)
{
    struct udp_setup setup = {.mesh = bytes_str(RECORDING_MESH),
                              .credential = recording_part(&old, h ? "credential of b" : "credential of a"),
                              .noise_secret = host[h].noise.sec,
                              .verify = {verify_credential, NULL, NULL}};
    return udp_new(&setup, 0);
}

/* [version 2: be64 clock] | credential */
static struct bytes response_payload(uint8_t *space, size_t cap, uint64_t clock)
{
    struct wr w = wr_init(space, cap);
    struct bytes credential = recording_part(&old, "credential of b");
    if (then->link >= 2)
        wr_be64(&w, clock);
    wr_bytes(&w, credential.at, credential.len);
    return wr_done(&w);
}

/* be64 timestamp | [version 2: be64 clock] | be16 length | credential | zeros */
static struct bytes initiation_payload(uint8_t space[INITIATION_PAYLOAD], uint64_t timestamp, uint64_t clock)
{
    memset(space, 0, INITIATION_PAYLOAD);
    struct wr w = wr_init(space, INITIATION_PAYLOAD);
    wr_be64(&w, timestamp);
    if (then->link >= 2)
        wr_be64(&w, clock);
    wr_lv16(&w, recording_part(&old, "credential of a"));
    assert_true(wr_ok(&w));
    return bytes_of(space, INITIATION_PAYLOAD);
}

static void note_clock(void *arg, const struct node_id *peer, uint64_t clock_ms, mono_ms at)
{
    (void)peer, (void)at;
    *(uint64_t *)arg = clock_ms;
}

/* TRANSPORT: u8 4 | 3 bytes 0 | be32 receiver | be64 counter | sealed */
static size_t old_packet(struct old_host *o, uint8_t *out, uint32_t receiver, const char *text)
{
    size_t len = strlen(text);
    struct wr w = wr_init(out, 64);
    wr_be32(&w, 0x04000000);
    wr_be32(&w, receiver);
    wr_be64(&w, 0);
    wr_bytes(&w, text, len);
    assert_int_equal(noise_seal_at(&o->tx.cipher, 0, out + 16, len, bytes_of(out, 16)), ERR_OK);
    return 16 + len + NOISE_TAG_BYTES;
}

static void expect_payload(struct udp *u, const char *text)
{
    struct node_id from;
    struct addr via;
    struct bytes payload;
    assert_true(udp_poll_packet(u, &from, &via, &payload));
    assert_true(bytes_eq_str(payload, text));
}

/* a of then makes a session with b of today. */
static void an_old_initiation_is_answered(void **state)
{
    struct old_host a;
    struct udp *u = endpoint(1);
    struct bytes was = recording_part(&old, "udp initiation"), answer;
    struct addr to;
    uint8_t in[UDP_INITIATION_BYTES], payload[INITIATION_PAYLOAD], brings[1200], space[64], message[1200];
    uint64_t clock = 0;
    (void)state;
    memcpy(in, was.at, was.len);
    udp_receive(u, &host[0].addr, in, was.len, 0, wall + 77);
    assert_true(udp_poll_send(u, &to, &answer));
    assert_int_equal(answer.at[0], 2);
    assert_int_equal(load_be32(answer.at + 8), A_INDEX);
    uint32_t b_index = load_be32(answer.at + 4);
    old_begin(&a, &noise_ik, true, udp_prologue(space));
    struct bytes first = old_writes(&a, initiation_payload(payload, wall, wall + 5), message, sizeof message);
    assert_true(bytes_eq(first, bytes_of(was.at + INITIATION_NOISE_AT, first.len)));
    old_reads(&a, bytes_of(answer.at + RESPONSE_NOISE_AT, answer.len - RESPONSE_NOISE_AT - PRIM_MAC_BYTES),
              response_payload(brings, sizeof brings, wall + 77));
    old_split(&a);
    size_t len = old_packet(&a, in, b_index, "hello");
    udp_receive(u, &host[0].addr, in, len, 0, wall);
    expect_payload(u, "hello");
    udp_clocks_each(u, note_clock, &clock);
    assert_true(clock == (then->link >= 2 ? wall + 5 : 0));
    udp_free(u);
}

/* b of then answers an initiation in the version that its record names. */
static size_t old_answers(struct old_host *b, struct bytes initiation, uint8_t out[UDP_INITIATION_BYTES])
{
    uint8_t payload[INITIATION_PAYLOAD], brings[1200], space[64];
    struct cookie_keys keys;
    assert_int_equal(initiation.len, UDP_INITIATION_BYTES);
    assert_int_equal(load_be32(initiation.at), 0x01000000 | (then->link - 1) << 8);
    old_begin(b, &noise_ik, false, udp_prologue(space));
    old_reads(b,
              bytes_of(initiation.at + INITIATION_NOISE_AT, UDP_INITIATION_BYTES - INITIATION_NOISE_AT - 32),
              initiation_payload(payload, wall, wall));
    store_be32(out, 0x02000000);
    store_be32(out + 4, 0x0b0b0b0b);
    memcpy(out + 8, initiation.at + 4, 4);
    size_t len =
        RESPONSE_NOISE_AT +
        old_writes(b, response_payload(brings, sizeof brings, wall + 9), out + RESPONSE_NOISE_AT, 1100).len;
    cookie_keys_init(&keys, host[0].noise.pub);
    cookie_mac1(out + len, &keys, bytes_of(out, len));
    return len + PRIM_MAC_BYTES;
}

static void an_old_host_is_found(void **state)
{
    struct old_host b;
    struct udp *u = endpoint(0);
    struct link_to there = {&host[1].sign.pub, host[1].noise.pub, &host[1].addr, NOISE_CHACHAPOLY,
                            link_version_with(then->link)};
    struct bytes datagram;
    struct addr to;
    uint8_t in[UDP_INITIATION_BYTES], text[64];
    uint64_t clock = 0;
    size_t plain;
    (void)state;
    assert_int_equal(udp_send(u, &there, bytes_str("hello"), 0, wall), ERR_OK);
    assert_true(udp_poll_send(u, &to, &datagram));
    size_t len = old_answers(&b, datagram, in);
    old_split(&b);
    udp_receive(u, &host[1].addr, in, len, 0, wall);
    assert_true(udp_poll_send(u, &to, &datagram));
    assert_int_equal(load_be32(datagram.at + 4), 0x0b0b0b0b);
    memcpy(text, datagram.at + 16, datagram.len - 16);
    assert_int_equal(noise_open_at(&b.rx.cipher, load_be64(datagram.at + 8), text, datagram.len - 16,
                                   bytes_of(datagram.at, 16), &plain),
                     ERR_OK);
    assert_true(bytes_eq_str(bytes_of(text, plain), "hello"));
    udp_clocks_each(u, note_clock, &clock);
    assert_true(clock == (then->link >= 2 ? wall + 9 : 0));
    udp_free(u);
}

/* ---- streams: recorded from version 2 on; they have not changed since the first ---- */

static struct mux_message read_on(struct mux_stream *s, enum mux_frame type)
{
    struct mux_message m = mux_stream_peek(s);
    assert_int_equal(m.type, type);
    return m;
}

static void expect_part(struct mux_stream *s, enum mux_frame type, const char *text)
{
    struct mux_message m = read_on(s, type);
    assert_true(bytes_eq_str(m.payload, text));
    mux_stream_consume(s, m.payload.len);
}

static struct mux_stream *opened(struct mux *m)
{
    struct mux_event ev;
    while (mux_poll_event(m, &ev))
        if (ev.type == MUX_EV_OPENED)
            return ev.stream;
    return NULL;
}

static void old_frames_are_read(void **state)
{
    struct mux *m = mux_new(false, 0);
    (void)state;
    assert_int_equal(mux_receive(m, recording_part(&old, "frames of a"), 0), ERR_OK);
    struct mux_stream *s = opened(m);
    expect_part(s, MUX_HEAD, "abcde");
    expect_part(s, MUX_DATA, "hello");
    expect_part(s, MUX_TRAILERS, "t");
    read_on(s, MUX_END);
    mux_stream_release(s);
    assert_null(opened(m)); /* the other was given up before it was shown */
    mux_free(m);
}

/* a of today writes what a of then wrote, to the byte, and reads b's side of it. */
static void old_frames_are_written_and_answered(void **state)
{
    struct mux *m = mux_new(true, 0);
    struct mux_stream *s = mux_open(m, NULL);
    struct bytes was = recording_part(&old, "frames of a");
    uint8_t out[256];
    (void)state;
    assert_int_equal(mux_stream_message(s, MUX_HEAD, bytes_str("abcde")), ERR_OK);
    assert_int_equal(mux_stream_write(s, bytes_str("hello")), 5);
    assert_int_equal(mux_stream_message(s, MUX_TRAILERS, bytes_str("t")), ERR_OK);
    mux_stream_end(s);
    size_t len = mux_fill(m, out, sizeof out, 0);
    /* But for the HEAD, which then went in two parts, so that such are read. */
    enum { HEAD_THEN = 9 + 3 + 9 + 2, HEAD_NOW = 9 + 5 };
    assert_memory_equal(out + HEAD_NOW, was.at + HEAD_THEN, len - HEAD_NOW);
    assert_int_equal(mux_receive(m, recording_part(&old, "frames of b"), 0), ERR_OK);
    expect_part(s, MUX_HEAD, "answer");
    expect_part(s, MUX_DATA, "world");
    read_on(s, MUX_END);
    mux_stream_release(s);
    assert_null(mux_open(m, NULL)); /* GOAWAY */
    mux_free(m);
}

static void old_messages_are_read_and_written(void **state)
{
    struct mesh_call call;
    struct mesh_verdict verdict;
    struct http_head ask = {0}, answer = {0}, trailers = {0};
    struct buf again = {0};
    (void)state;
    assert_int_equal(mesh_request_decode(&call, &ask, recording_part(&old, "request")), ERR_OK);
    assert_true(bytes_eq_str(call.service, "cart") && bytes_eq_str(ask.path, "/items/7"));
    assert_int_equal(mesh_request_encode(&again, &call, &ask), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&again), recording_part(&old, "request")));
    again.len = 0;
    assert_int_equal(mesh_response_decode(&verdict, &answer, recording_part(&old, "response")), ERR_OK);
    assert_int_equal(answer.status, 200);
    assert_int_equal(mesh_response_encode(&again, &verdict, &answer), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&again), recording_part(&old, "response")));
    again.len = 0;
    assert_int_equal(mesh_trailers_decode(&trailers, recording_part(&old, "trailers")), ERR_OK);
    assert_int_equal(mesh_trailers_encode(&again, trailers.header, trailers.header_count), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&again), recording_part(&old, "trailers")));
    buf_fini(&again);
    http_head_fini(&ask);
    http_head_fini(&answer);
    http_head_fini(&trailers);
}

#define ALL                                                                                                  \
    cmocka_unit_test(old_links_are_answered), cmocka_unit_test(old_hosts_are_dialled),                       \
        cmocka_unit_test(an_edited_version_ends_the_link), cmocka_unit_test(an_old_initiation_is_answered),  \
        cmocka_unit_test(an_old_host_is_found)

int main(void)
{
    const struct CMUnitTest of_1[] = {ALL}, of_2[] = {ALL, cmocka_unit_test(old_frames_are_read),
                                                      cmocka_unit_test(old_frames_are_written_and_answered),
                                                      cmocka_unit_test(old_messages_are_read_and_written)};
    int failed = cmocka_run_group_tests_name("version 1", of_1, set_up_1, tear_down);
    return failed + cmocka_run_group_tests_name("version 2", of_2, set_up_2, tear_down);
}
