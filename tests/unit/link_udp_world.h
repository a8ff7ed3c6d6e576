/* Endpoints joined by a network that the test is: it holds every datagram and decides what becomes of it. */
#ifndef TEST_LINK_UDP_WORLD_H
#define TEST_LINK_UDP_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "link/udp_inner.h"

enum { NODES = 3, CREDENTIAL = 700, HELD_MAX = 256 };

struct node {
    struct udp *u;
    uint8_t version; /* of links, the newest that it speaks: as its record says */
    struct node_id id;
    uint8_t secret[32], key[32], credential[2000];
    struct addr addr;
    unsigned received;
    char last[64];
    struct addr last_via;
};

struct held {
    int from;
    struct addr to;
    size_t len;
    uint8_t at[UDP_DATAGRAM_MAX];
};

struct world {
    struct node node[NODES];
    mono_ms now;
    uint64_t wall;
};

static struct world w;
static uint8_t revoked; /* first byte of an id whose credential is refused */

/* A credential names an id and a key: "ok" | id | key | padding. */
static enum err verify(void *arg, struct bytes credential, const uint8_t noise_key[32], struct node_id *id)
{
    (void)arg;
    if (credential.len < 66 || memcmp(credential.at, "ok", 2) != 0 ||
        memcmp(credential.at + 34, noise_key, 32) != 0)
        return ERR_AUTH;
    if (revoked && credential.at[2] == revoked)
        return ERR_DENIED;
    memcpy(id->b, credential.at + 2, ID_BYTES);
    return ERR_OK;
}

static struct udp *endpoint(struct node *n, size_t credential, uint64_t floor, const char *mesh)
{
    struct udp_setup setup = {
        .mesh = bytes_str(mesh),
        .credential = bytes_of(n->credential, credential),
        .noise_secret = n->secret,
        .verify = {verify, NULL, NULL},
        .timestamp_floor = floor,
        .version = n->version,
    };
    return udp_new(&setup, w.now);
}

static void node_init(struct node *n, uint8_t name)
{
    *n = (struct node){.version = LINK_VERSION_NEWEST};
    memset(n->id.b, name, ID_BYTES);
    memset(n->secret, name, 32);
    prim_dh_public(n->key, n->secret);
    memcpy(n->credential, "ok", 2);
    memcpy(n->credential + 2, n->id.b, 32);
    memcpy(n->credential + 34, n->key, 32);
    char text[32];
    snprintf(text, sizeof text, "10.0.0.%d:7400", name);
    assert_true(addr_parse(&n->addr, text, 0));
    n->u = endpoint(n, CREDENTIAL, 0, "shop");
}

static int world_new(void **state)
{
    (void)state;
    assert_int_equal(prim_init(), ERR_OK);
    w.now = 1000000;
    w.wall = 1800000000000;
    revoked = 0;
    for (int i = 0; i < NODES; i++)
        node_init(&w.node[i], (uint8_t)(i + 1));
    return 0;
}

static int world_free(void **state)
{
    (void)state;
    for (int i = 0; i < NODES; i++)
        udp_free(w.node[i].u);
    return 0;
}

static void reboot(int i, size_t credential, uint64_t floor)
{
    udp_free(w.node[i].u);
    w.node[i].u = endpoint(&w.node[i], credential, floor, "shop");
}

/* As the record of `to` says it is reached, in the newest version that both speak. */
static struct link_to way(int from, int to)
{
    struct node *n = &w.node[from], *d = &w.node[to];
    uint8_t version = n->version < d->version ? n->version : d->version;
    return (struct link_to){&d->id, d->key, &d->addr, NOISE_CHACHAPOLY, version};
}

static enum err send_by(int from, const struct link_to *there, const char *text)
{
    return udp_send(w.node[from].u, there, bytes_str(text), w.now, w.wall);
}

static enum err send_as(int from, int to, const char *text, enum noise_cipher cipher)
{
    struct link_to there = way(from, to);
    there.cipher = cipher;
    return send_by(from, &there, text);
}

static void say(int from, int to, const char *text)
{
    assert_int_equal(send_as(from, to, text, NOISE_CHACHAPOLY), ERR_OK);
}

/* Takes the next datagram off a node; false: none. */
static bool take(int from, struct held *h)
{
    struct bytes d;
    h->from = from;
    if (!udp_poll_send(w.node[from].u, &h->to, &d))
        return false;
    h->len = d.len;
    memcpy(h->at, d.at, d.len);
    return true;
}

static void collect(int i)
{
    struct node *n = &w.node[i];
    struct node_id from;
    struct bytes payload;
    while (udp_poll_packet(n->u, &from, &n->last_via, &payload)) {
        n->received++;
        snprintf(n->last, sizeof n->last, "%d:%.*s", from.b[0], (int)payload.len, (const char *)payload.at);
    }
}

static void give_from(const struct held *h, int to, const struct addr *from)
{
    uint8_t copy[UDP_DATAGRAM_MAX + 1];
    memcpy(copy, h->at, h->len);
    udp_receive(w.node[to].u, from, copy, h->len, w.now, w.wall);
    collect(to);
}

static void give(const struct held *h, int to)
{
    give_from(h, to, &w.node[h->from].addr);
}

static int whose(const struct addr *a)
{
    for (int i = 0; i < NODES; i++)
        if (addr_eq(a, &w.node[i].addr))
            return i;
    return -1;
}

/* Delivers everything until it is quiet. */
static void pump(void)
{
    struct held h;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < NODES; i++)
            while (take(i, &h)) {
                moved = true;
                if (whose(&h.to) >= 0)
                    give(&h, whose(&h.to));
            }
    }
}

static void pass(mono_ms ms)
{
    w.now += ms;
    w.wall += ms;
    for (int i = 0; i < NODES; i++)
        udp_tick(w.node[i].u, w.now, w.wall);
}

static void expect_silence(int i)
{
    struct held h;
    assert_false(take(i, &h));
}

static const struct udp_stats *stats(int i)
{
    return udp_stats(w.node[i].u);
}

static inline size_t sessions(int at, int with)
{
    return udp_session_count(w.node[at].u, &w.node[with].id);
}

/* Both start anew, with what each speaks. */
static inline void versions_are(uint8_t a, uint8_t b)
{
    w.node[0].version = a;
    w.node[1].version = b;
    reboot(0, CREDENTIAL, 0);
    reboot(1, CREDENTIAL, 0);
}

#endif
