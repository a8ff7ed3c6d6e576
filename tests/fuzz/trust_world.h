/* A small mesh with known keys for the fuzz targets of trust/, so that hostile bodies can be signed with the
 * right keys: what a member with a valid key can do. Bodies start from a good one and are edited as the input
 * says. */
#ifndef FUZZ_TRUST_WORLD_H
#define FUZZ_TRUST_WORLD_H

#include <stdlib.h>

#include "trust/trust.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000, DAY = 24 * 3600 };

static struct {
    struct sign_key root, enrol, granted, node;
    struct buf root_bytes, grant, credential, record, token;
    struct buf later; /* the record, as a version after ours would sign it */
    struct trust *trust;
} world;

static inline void check(bool ok)
{
    if (!ok)
        abort();
}

static inline struct sign_key world_key(uint8_t seed_byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, seed_byte, sizeof seed);
    check(sign_key_of_seed(&k, seed) == ERR_OK);
    return k;
}

static inline void world_make_root(void)
{
    const struct sign_key *by = &world.root;
    struct root r = {.mesh = STR("m.example"),
                     .epoch = 1,
                     .expires = NOW + 365 * DAY,
                     .root = {1, 1, {world.root.pub}},
                     .policy = {2, 2, {world.root.pub, world.granted.pub}},
                     .enrol = {1, 1, {world.enrol.pub}}};
    check(root_create(&world.root_bytes, &r, &by, 1) == ERR_OK);
    check(trust_new(&world.trust, buf_bytes(&world.root_bytes), NULL) == ERR_OK);
}

static inline void world_make_grant(void)
{
    struct grant g = {.mesh = STR("m.example"),
                      .key = world.granted.pub,
                      .node_pattern = STR("n*"),
                      .service_count = 2,
                      .service = {STR("a"), STR("b")},
                      .not_before = NOW - DAY,
                      .expires = NOW + DAY,
                      .credential_life = 30 * DAY};
    check(labels_add(&g.labels, STR("zone"), STR("z1")) == ERR_OK);
    check(grant_create(&world.grant, &g, &world.enrol) == ERR_OK);
    check(token_encode(&world.token, buf_bytes(&world.root_bytes), buf_bytes(&world.grant), &world.granted) ==
          ERR_OK);
}

static inline void world_make_record(void)
{
    uint8_t scalar[32] = {9, [31] = 1};
    struct dh_key noise;
    check(dh_key_of_secret(&noise, scalar) == ERR_OK);
    struct credential c = {.mesh = STR("m.example"),
                           .node = STR("n1"),
                           .id = world.node.pub,
                           .service_count = 2,
                           .service = {STR("a"), STR("b")},
                           .not_before = NOW,
                           .expires = NOW + DAY};
    memcpy(c.noise_key, noise.pub, 32);
    check(labels_add(&c.labels, STR("zone"), STR("z1")) == ERR_OK);
    check(credential_create(&world.credential, &c, buf_bytes(&world.grant), &world.granted) == ERR_OK);
    struct record r = {
        .incarnation = 1, .version = 300, .addr_count = 2, .policy_version = 9, .service_count = 2};
    r.credential.bytes = buf_bytes(&world.credential);
    check(addr_parse(&r.addr[0], "10.0.0.5:7400", 0) && addr_parse(&r.addr[1], "[2001:db8::5]:7400", 0));
    r.service[0] =
        (struct record_service){.name = STR("a"), .port = 80, .protocol = PROTOCOL_HTTP, .healthy = true};
    r.service[1] = (struct record_service){.name = STR("b"), .port = 6379};
    check(labels_add(&r.service[0].labels, STR("version"), STR("1")) == ERR_OK);
    check(record_create(&world.record, &r, &world.node) == ERR_OK);
    r.layout = 2;
    r.root_epoch = 1;
    r.coordinate[0] = 1;
    r.unknown_count = 2;
    r.unknown = STR("\x07\x81\xa1\x61\x91\xc3");
    check(record_create(&world.later, &r, &world.node) == ERR_OK);
}

static inline void world_make(void)
{
    if (world.trust)
        return;
    check(trust_init() == ERR_OK);
    world.root = world_key(1);
    world.enrol = world_key(2);
    world.granted = world_key(3);
    world.node = world_key(4);
    world_make_root();
    world_make_grant();
    world_make_record();
}

/* Edits: be16 where (from the end), u8 how many bytes go, u8 how many come, those bytes. Until the input
 * ends. */
static inline struct buf edited(struct bytes good, struct rd *edits)
{
    struct buf b = {0};
    buf_add_bytes(&b, good);
    while (rd_left(edits) > 0) {
        size_t from_end = rd_be16(edits), gone = rd_u8(edits), come = rd_u8(edits);
        struct bytes fresh = rd_bytes(edits, come);
        if (!rd_ok(edits))
            break;
        size_t at = b.len - from_end % (b.len + 1);
        gone = gone < b.len - at ? gone : b.len - at;
        struct buf next = {0};
        buf_add(&next, b.at, at);
        buf_add_bytes(&next, fresh);
        if (b.len > at + gone)
            buf_add(&next, b.at + at + gone, b.len - at - gone);
        buf_fini(&b);
        b = next;
    }
    return b;
}

static inline struct bytes body_of(const struct buf *envelope)
{
    struct envelope e;
    check(envelope_parse(&e, buf_bytes(envelope)) == ERR_OK);
    return e.body;
}

static inline struct buf sealed(const char *type, struct bytes body, const struct sign_key *key)
{
    struct buf out = {0};
    check(envelope_sign(&out, type, body, &key, 1) == ERR_OK);
    return out;
}

#endif
