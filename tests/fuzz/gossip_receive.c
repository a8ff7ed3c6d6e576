/* Arbitrary messages on both lanes, from members and strangers, into an instance that has some of everything:
 * members in each state, probes under way, a sync begun, a document held, a document being fetched. The input
 * is a script: each step is a byte that says what it is, and a length; so the fuzzer reaches deep states, and
 * messages of its own are made valid by prefixing version and type, and records by a fitting checksum. */
#include <assert.h>
#include <stdlib.h>

#include "gossip/core.h"

enum { NAMES = 6 };

static struct node_id name(uint8_t n)
{
    return (struct node_id){{(uint8_t)('a' + n % NAMES), 1}};
}

static struct addr place(uint8_t n)
{
    struct addr a = {.port = 7400};
    memcpy(a.ip, (uint8_t[16]){[10] = 0xff, [11] = 0xff, 10, 0, 0, (uint8_t)(n % NAMES + 1)}, 16);
    return a;
}

/* id 32 | be64 incarnation | be64 version | u8 left | addr 18 | anything: valid whatever it says, as a liar's
 * own records are. */
static enum err verify(void *arg, struct bytes record, struct gossip_claim *out)
{
    struct rd r = rd_init(record);
    (void)arg;
    rd_copy(&r, out->id.b, ID_BYTES);
    out->incarnation = rd_be64(&r);
    out->version = rd_be64(&r);
    out->left = rd_u8(&r) & 1;
    rd_addr(&r, &out->addr[0]);
    out->addr_count = 1;
    for (size_t i = 0; i < record.len; i++)
        out->hash.b[i % HASH_BYTES] = (uint8_t)(out->hash.b[i % HASH_BYTES] * 31 + record.at[i]);
    return rd_ok(&r) ? ERR_OK : ERR_AUTH;
}

static struct bytes document(void *arg, const struct hash *hash)
{
    (void)arg;
    return hash->b[0] & 1 ? bytes_str("a document") : bytes_of(NULL, 0);
}

static struct bytes record_of(uint8_t n, uint64_t incarnation, uint8_t space[80])
{
    struct wr w = wr_init(space, 80);
    struct node_id id = name(n);
    struct addr a = place(n);
    wr_bytes(&w, id.b, ID_BYTES);
    wr_be64(&w, incarnation);
    wr_be64(&w, 1);
    wr_u8(&w, 0);
    wr_addr(&w, &a);
    return wr_done(&w);
}

static void drain(struct gossip *g, uint64_t *now, uint64_t *incarnation)
{
    struct gossip_event e;
    struct gossip_packet p;
    uint8_t space[80];
    while (gossip_poll_event(g, &e))
        if (e.type == GOSSIP_EV_WANT_INCARNATION && e.number > *incarnation) {
            *incarnation = e.number;
            assert(gossip_own_set(g, record_of(0, *incarnation, space), *now) != ERR_NOMEM);
        }
    for (int i = 0; gossip_poll_send(g, &p); i++) {
        assert(i < 20000); /* bounded answers to one input */
        assert(p.lane == GOSSIP_BULK || p.msg.len <= 1100);
        assert(p.msg.len <= GOSSIP_BULK_MAX && addr_is_dialable(&p.addr));
        struct datagram d;
        struct bulk b;
        if (p.lane == GOSSIP_KNOCK)
            continue;
        assert((p.lane == GOSSIP_BULK ? bulk_decode(&b, p.msg) : datagram_decode(&d, p.msg)) == ERR_OK);
    }
}

static void deliver(struct gossip *g, uint8_t op, struct bytes body, uint64_t now)
{
    static const uint8_t types[16] = {1, 2, 3, 4, 6, 7, 8, 9, 16, 17, 18, 19, 20, 21, 18, 17};
    uint8_t msg[4096];
    struct node_id from = name((uint8_t)(op >> 4));
    struct addr via = place((uint8_t)(op >> 4));
    size_t len = body.len < sizeof msg - 2 ? body.len : sizeof msg - 2;
    uint8_t type = types[op & 15];
    msg[0] = (uint8_t)(1 + len % GOSSIP_PROTOCOL_MAX);
    msg[1] = type;
    if (len > 0)
        memcpy(msg + 2, body.at, len);
    if ((type == MSG_LIST || type == MSG_RANGE || (type == MSG_STATE && op & 1)) && len >= 8)
        store_be64(msg + 2, g->syncs[0].salt); /* an answer that is expected */
    if ((type == MSG_ACK || type == MSG_RELAYED_ACK) && len >= 8 && g->probes.count > 0)
        store_be64(msg + 2, g->probes.list[0].nonce);
    enum err e = gossip_receive(g, type >= MSG_SYNC ? GOSSIP_BULK : GOSSIP_DATAGRAM, &from, &via,
                                bytes_of(msg, len + 2), now);
    assert(e == ERR_OK || e == ERR_MALFORMED || e == ERR_UNSUPPORTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct gossip_config config = {.self = name(0), .seed = 1, .tombstone_ms = 120000};
    struct gossip_verify v = {verify, document, NULL};
    uint8_t space[80];
    uint64_t now = 1000, incarnation = 1;
    struct addr seed = place(5);
    struct hash held = {{1}};
    struct gossip *g = gossip_new(&config, &v, now);
    assert(g && gossip_own_set(g, record_of(0, 1, space), now) == ERR_OK);
    gossip_seeds_set(g, &seed, 1, now);
    gossip_doc_set(g, 1, 1, 1, &held, now);
    for (uint8_t n = 1; n < 4; n++)
        assert(gossip_member_load(g, record_of(n, 1, space), now) == ERR_OK);
    drain(g, &now, &incarnation);
    struct rd r = rd_init(bytes_of(input, size));
    while (rd_left(&r) > 2) {
        uint8_t op = rd_u8(&r), len = rd_u8(&r);
        if (op >= 0xf0) { /* time passes */
            now += (uint64_t)len * len;
            gossip_tick(g, now);
        } else {
            size_t have = len == 255 ? rd_left(&r) : len < rd_left(&r) ? len : rd_left(&r);
            deliver(g, op, rd_bytes(&r, have), now);
        }
        drain(g, &now, &incarnation);
    }
    gossip_tick(g, now + 200000);
    now += 200000;
    drain(g, &now, &incarnation);
    struct gossip_member self;
    struct node_id me = name(0);
    assert(gossip_member_get(g, &me, &self) && self.incarnation == incarnation && self.state == GOSSIP_ALIVE);
    gossip_free(g);
    return 0;
}
