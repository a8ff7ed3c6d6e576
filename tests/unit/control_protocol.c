/* docs/protocol.md shows what goes over the wire: each ```hex block of it is named, and is what our encoders
 * make of the literal input here. In a block `#` begins words for the reader and `..` is a byte that is drawn
 * anew each time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gossip/message.h"
#include "exchange/refusal.h"
#include "http/message.h"
#include "link/record.h"
#include "link/udp.h"
#include "mux/frame.h"
#include "noise/prim.h"
#include "trust/trust.h"

enum { PAGE_MAX = 1 << 20, EXAMPLE_MAX = 4096, DRAWN = -1 };

/* -- what the encoders make ------------------------------------------------------------------------ */

static enum err nobody(void *arg, struct bytes credential, const uint8_t noise_key[32], struct node_id *id)
{
    (void)arg, (void)credential, (void)noise_key, (void)id;
    return ERR_DENIED;
}

static const uint8_t our_secret[32] = {0x10, [31] = 0x40}, their_secret[32] = {0x20, [31] = 0x40};

/* A link to a seed of which only the address is known, as far as it is not drawn. */
static void make_preface(struct buf *out)
{
    struct link_setup setup = {.kind = LINK_BULK,
                               .mesh = bytes_str("shop.example"),
                               .credential = bytes_str("credential"),
                               .noise_secret = our_secret,
                               .cipher = NOISE_CHACHAPOLY,
                               .verify = {nobody, NULL, NULL}};
    struct link *l = link_connect(&setup, 0);
    assert_non_null(l);
    assert_int_equal(link_poll_send(l, out), ERR_OK);
    assert_int_equal(out->len, LINK_PREFACE_BYTES + 2 + 32); /* XX 1: the ephemeral key alone */
    out->len -= 32;
    link_free(l);
}

/* The key is the bytes 0, 1, ... 31; it is the first record of its direction. */
static void make_record(struct buf *out)
{
    struct record_way w = {.cipher = {.cipher = NOISE_CHACHAPOLY, .has_key = true}};
    struct bytes body = bytes_str("hello");
    for (uint8_t i = 0; i < 32; i++)
        w.cipher.key[i] = i;
    uint8_t *at = buf_reserve(out, RECORD_OVERHEAD + body.len);
    memcpy(at + RECORD_HEAD_BYTES, body.at, body.len);
    assert_int_equal(record_seal(&w, at, RECORD_DATA, body.len), ERR_OK);
    out->len += RECORD_OVERHEAD + body.len;
}

static void make_initiation(struct buf *out)
{
    struct udp_setup setup = {.mesh = bytes_str("shop.example"),
                              .credential = bytes_str("credential"),
                              .noise_secret = our_secret,
                              .verify = {nobody, NULL, NULL}};
    struct node_id to = {{9}};
    struct addr addr, via;
    uint8_t key[32];
    struct bytes datagram;
    struct udp *u = udp_new(&setup, 1000);
    assert_true(u && addr_parse(&addr, "10.0.0.2:7400", 0));
    prim_dh_public(key, their_secret);
    assert_int_equal(udp_send(u, &(struct link_to){&to, key, &addr, NOISE_CHACHAPOLY, LINK_VERSION_NEWEST},
                              bytes_str("x"), 1000, 1000),
                     ERR_OK);
    assert_true(udp_poll_send(u, &via, &datagram));
    assert_int_equal(datagram.len, UDP_INITIATION_BYTES);
    buf_add(out, datagram.at, 8);
    udp_free(u);
}

static void make_frames(struct buf *out)
{
    uint8_t space[256];
    struct wr w = wr_init(space, sizeof space);
    memcpy(frame_encode_payload(&w, MUX_HEAD, 1, 3, 2), "abc", 3);
    memcpy(frame_encode_payload(&w, MUX_HEAD, 1, 2, 0), "de", 2);
    memcpy(frame_encode_payload(&w, MUX_DATA, 1, 5, 0), "hello", 5);
    memcpy(frame_encode_payload(&w, MUX_TRAILERS, 1, 1, 0), "t", 1);
    frame_encode_end(&w, 1);
    frame_encode_reset(&w, 3, 0xffffff01);
    frame_encode_window(&w, 2, 131072);
    frame_encode_link_credit(&w, 2097152);
    frame_encode_ping(&w, MUX_PING, 0x0102030405060708);
    frame_encode_ping(&w, MUX_PONG, 0x0102030405060708);
    frame_encode_goaway(&w);
    buf_add_bytes(out, wr_done(&w));
}

static struct http_head request_head(void)
{
    struct http_head h = {.method = bytes_str("GET"),
                          .authority = bytes_str("cart"),
                          .path = bytes_str("/items/7"),
                          .query = bytes_str("q=1"),
                          .minor = 1};
    h.header[h.header_count++] = (struct http_header){bytes_str("accept"), bytes_str("*/*")};
    return h;
}

static const struct mesh_call call = {.protocol = PROTOCOL_HTTP,
                                      .caller = {(const uint8_t *)"web", 3},
                                      .service = {(const uint8_t *)"cart", 4},
                                      .subset = {(const uint8_t *)"v1", 2},
                                      .deadline_ms = 15000,
                                      .hops = 1};

static void make_request(struct buf *out)
{
    struct http_head h = request_head();
    assert_int_equal(mesh_request_encode(out, &call, &h), ERR_OK);
}

static void make_tcp_request(struct buf *out)
{
    struct mesh_call tcp = {
        .protocol = PROTOCOL_TCP, .caller = call.caller, .service = bytes_str("db"), .hops = 1};
    assert_int_equal(mesh_request_encode(out, &tcp, NULL), ERR_OK);
}

static void make_failover_request(struct buf *out)
{
    struct mesh_call tcp = {.protocol = PROTOCOL_TCP,
                            .caller = call.caller,
                            .service = bytes_str("db-dr"),
                            .asked = bytes_str("db"),
                            .hops = 1};
    assert_int_equal(mesh_request_encode(out, &tcp, NULL), ERR_OK);
}

static void make_response(struct buf *out)
{
    struct mesh_verdict v = {0};
    struct http_head h = {
        .is_response = true, .status = 200, .minor = 1, .body = HTTP_BODY_LENGTH, .content_length = 5};
    assert_int_equal(mesh_response_encode(out, &v, &h), ERR_OK);
}

static void make_refusal(struct buf *out)
{
    struct mesh_verdict v = {
        .refused = 1, .flag = bytes_str("UAEX"), .reason = bytes_str("403 3 no-admin denied")};
    assert_int_equal(mesh_response_encode(out, &v, NULL), ERR_OK);
}

static void make_refusal_rate(struct buf *out)
{
    char line[REFUSAL_LINE_MAX];
    struct exchange_refusal r = refusal_of(429, FLAG_RL, "rateLimits[0]", "too fast");
    r.policy_version = 3;
    r.retry_after_s = 7;
    refusal_line(&r, line);
    struct mesh_verdict v = {
        .refused = 1, .flag = bytes_str(exchange_flag_text(r.flag)), .reason = bytes_str(line)};
    assert_int_equal(mesh_response_encode(out, &v, NULL), ERR_OK);
}

static void make_trailers(struct buf *out)
{
    struct http_header sum = {bytes_str("x-sum"), bytes_str("42")};
    assert_int_equal(mesh_trailers_encode(out, &sum, 1), ERR_OK);
}

/* Signed with the seed of 32 times 01. */
static void make_envelope(struct buf *out)
{
    struct sign_key key;
    const struct sign_key *keys[] = {&key};
    uint8_t seed[32];
    memset(seed, 1, sizeof seed);
    assert_int_equal(sign_key_of_seed(&key, seed), ERR_OK);
    assert_int_equal(envelope_sign(out, "record", bytes_str("body"), keys, 1), ERR_OK);
}

static struct node_id id_of(uint8_t byte)
{
    struct node_id id;
    memset(id.b, byte, sizeof id.b);
    return id;
}

static void make_datagram(struct buf *out, struct datagram d, const struct rumor_item *rumor_or_null)
{
    uint8_t space[1100];
    struct wr w = wr_init(space, sizeof space);
    struct datagram back;
    d.nonce = 0x0102030405060708;
    memset(d.summary.b, 0x5a, sizeof d.summary.b);
    d.target = id_of(0xbb);
    datagram_encode(&w, &d);
    if (rumor_or_null)
        rumor_item_encode(&w, rumor_or_null);
    assert_true(wr_ok(&w));
    assert_int_equal(datagram_decode(&back, wr_done(&w)), ERR_OK);
    buf_add_bytes(out, wr_done(&w));
}

static void make_ping(struct buf *out)
{
    make_datagram(out, (struct datagram){.type = MSG_PING}, NULL);
}

static void make_ack(struct buf *out)
{
    make_datagram(out, (struct datagram){.type = MSG_ACK, .ms = 750}, NULL);
}

static void make_ack_2(struct buf *out)
{
    struct datagram d = {.type = MSG_ACK, .version = 2, .ms = 750};
    static const struct gossip_coordinate at = {{0, 1, 0xff, 0xff, 0, 0, 0, 2, 0, 15, 17}};
    d.coordinate = at;
    make_datagram(out, d, NULL);
}

static void make_ping_req(struct buf *out)
{
    make_datagram(out, (struct datagram){.type = MSG_PING_REQ, .ms = 250}, NULL);
}

static void make_nack(struct buf *out)
{
    make_datagram(out, (struct datagram){.type = MSG_NACK}, NULL);
}

static void make_push(struct buf *out)
{
    struct rumor_item suspect = {.type = RUMOR_SUSPECT,
                                 .layout = 2,
                                 .subject = id_of(0xbb),
                                 .incarnation = 7,
                                 .version = 2,
                                 .accuser = id_of(0xcc),
                                 .reason = REASON_REFUSED};
    make_datagram(out, (struct datagram){.type = MSG_PUSH, .version = 2}, &suspect);
}

static const struct example {
    const char *name;
    void (*make)(struct buf *out);
} examples[] = {
    {"preface", make_preface},
    {"record", make_record},
    {"request", make_request},
    {"response", make_response},
    {"tcp-request", make_tcp_request},
    {"failover-request", make_failover_request},
    {"refusal", make_refusal},
    {"refusal-rate", make_refusal_rate},
    {"trailers", make_trailers},
    {"envelope", make_envelope},
    {"initiation", make_initiation},
    {"frames", make_frames},
    {"ping", make_ping},
    {"ack", make_ack},
    {"ack-2", make_ack_2},
    {"ping-req", make_ping_req},
    {"nack", make_nack},
    {"push", make_push},
};
enum { EXAMPLES = sizeof examples / sizeof *examples };

/* -- what the page says ---------------------------------------------------------------------------- */

static struct buf page;

/* Tests run in the repository's root. */
static int set_up(void **state)
{
    (void)state;
    FILE *f = fopen("docs/protocol.md", "rb");
    uint8_t *at = buf_reserve(&page, PAGE_MAX);
    if (!f || !at || trust_init() != ERR_OK || prim_init() != ERR_OK)
        return -1;
    page.len = fread(at, 1, PAGE_MAX - 1, f);
    fclose(f);
    return page.len ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    buf_fini(&page);
    return 0;
}

static int digit(char c)
{
    const char *at = c ? strchr("0123456789abcdef", c) : NULL;
    if (!at)
        fail_msg("'%c' is no hex digit; words stand behind #", c);
    return (int)(at - "0123456789abcdef");
}

/* Reads a block's bytes, up to its closing fence. */
static size_t block_bytes(const char *at, int out[EXAMPLE_MAX])
{
    size_t n = 0;
    while (strncmp(at, "```", 3) != 0) {
        if (*at == '#') {
            at += strcspn(at, "\n");
        } else if (*at == ' ' || *at == '\n') {
            at++;
        } else {
            assert_true(n < EXAMPLE_MAX);
            out[n++] = at[0] == '.' && at[1] == '.' ? DRAWN : digit(at[0]) * 16 + digit(at[1]);
            at += 2;
        }
    }
    return n;
}

static const char *block_of(const char *name)
{
    char fence[64];
    snprintf(fence, sizeof fence, "\n```hex %s\n", name);
    const char *at = strstr(buf_str(&page), fence);
    return at ? at + strlen(fence) : NULL;
}

static void compare(const struct example *e)
{
    static int want[EXAMPLE_MAX];
    static char hex[2 * EXAMPLE_MAX + 1];
    struct buf made = {0};
    const char *block = block_of(e->name);
    e->make(&made);
    assert_true(made.len > 0 && made.len <= EXAMPLE_MAX);
    hex_encode(made.at, made.len, hex);
    if (!block)
        fail_msg("docs/protocol.md has no block \"hex %s\"; it would be %s", e->name, hex);
    size_t n = block_bytes(block, want);
    bool same = n == made.len;
    for (size_t i = 0; same && i < n; i++)
        same = want[i] == DRAWN || want[i] == made.at[i];
    if (!same)
        fail_msg("docs/protocol.md, \"hex %s\" (%zu bytes) should be %s", e->name, n, hex);
    buf_fini(&made);
}

static void test_each_example_is_what_the_encoders_make(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXAMPLES; i++)
        compare(&examples[i]);
}

static void test_no_example_is_left_unchecked(void **state)
{
    size_t blocks = 0;
    (void)state;
    for (const char *at = buf_str(&page); (at = strstr(at, "\n```hex")); at++)
        blocks++;
    assert_int_equal(blocks, EXAMPLES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_example_is_what_the_encoders_make),
        cmocka_unit_test(test_no_example_is_left_unchecked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
