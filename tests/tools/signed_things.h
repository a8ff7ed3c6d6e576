/* One of each signed format, made from literal keys, times and texts, for who records them (tests/tools/signed.c) and for the test
 * that reads what was recorded (tests/unit/policy_recorded.c). Whoever changes what is made here makes other bytes: recorded files
 * are not changed, a new version of a format gets a new file beside them. */
#ifndef TEST_SIGNED_THINGS_H
#define TEST_SIGNED_THINGS_H

#include <stdlib.h>

#include "policy/overlay.h"
#include "trust/request.h"
#include "trust/trust.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000, DAY = 86400 };

#define THINGS(X)                                                                                            \
    X(root_1)                                                                                                \
    X(root_2)                                                                                                \
    X(chain)                                                                                                 \
    X(grant)                                                                                                 \
    X(token)                                                                                                 \
    X(credential_by_grant)                                                                                   \
    X(credential_by_enrol_key)                                                                               \
    X(record_layout_1)                                                                                       \
    X(record_layout_2)                                                                                       \
    X(policy)                                                                                                \
    X(part)                                                                                                  \
    X(overlay)                                                                                               \
    X(overlay_by_delegation)                                                                                 \
    X(key_file)                                                                                              \
    X(token_chain)                                                                                           \
    X(request)                                                                                               \
    X(credential_text)                                                                                       \
    X(record_layout_2_full)                                                                                  \
    X(policy_forced)
struct things {
#define X(name) struct buf name;
    THINGS(X)
#undef X
};

static inline void must(bool ok)
{
    if (!ok)
        abort();
}

static inline struct sign_key things_key(uint8_t seed_byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, seed_byte, sizeof seed);
    must(sign_key_of_seed(&k, seed) == ERR_OK);
    return k;
}

/* Keys: root 1 2 3 (and 4 from the second root on), policy 11 12 13, enrol 21, grant 31, identity 41, delegate 51. */
static inline struct role things_role(size_t threshold, uint8_t first, size_t count)
{
    struct role r = {.count = count, .threshold = threshold};
    for (size_t i = 0; i < count; i++)
        r.key[i] = things_key((uint8_t)(first + i)).pub;
    return r;
}

static inline void things_roots(struct things *t)
{
    struct sign_key key[4] = {things_key(1), things_key(2), things_key(3), things_key(4)};
    const struct sign_key *first[] = {&key[0], &key[1]}, *second[] = {&key[1], &key[2], &key[3]};
    struct root r = {.mesh = STR("shop.example"), .epoch = 1, .expires = NOW + 365 * DAY};
    r.root = things_role(2, 1, 3);
    r.policy = things_role(2, 11, 3);
    r.enrol = things_role(1, 21, 1);
    must(root_create(&t->root_1, &r, first, 2) == ERR_OK);
    r.epoch = 2;
    r.expires = 0;
    r.root = things_role(2, 2, 3);
    r.delegation_count = 1;
    r.delegation[0] = (struct delegation){.name = STR("web-team"),
                                          .role = things_role(1, 51, 1),
                                          .service_count = 2,
                                          .service = {STR("web"), STR("web-*")}};
    must(root_create(&t->root_2, &r, second, 3) == ERR_OK);
    const struct bytes list[] = {buf_bytes(&t->root_1), buf_bytes(&t->root_2)};
    must(chain_of(&t->chain, list, 2) == ERR_OK);
}

static inline void things_grant(struct things *t)
{
    struct sign_key enrol = things_key(21), granted = things_key(31);
    struct grant g = {.mesh = STR("shop.example"),
                      .key = granted.pub,
                      .node_pattern = STR("web-*"),
                      .service_count = 2,
                      .service = {STR("cart"), STR("web")},
                      .not_before = NOW,
                      .expires = NOW + DAY,
                      .credential_life = 30 * DAY};
    must(labels_add(&g.labels, STR("zone"), STR("eu-1a")) == ERR_OK);
    must(grant_create(&t->grant, &g, &enrol) == ERR_OK);
    must(token_encode(&t->token, buf_bytes(&t->root_1), buf_bytes(&t->grant), &granted) == ERR_OK);
    must(token_encode_chain(&t->token_chain, buf_bytes(&t->chain), buf_bytes(&t->grant), &granted) == ERR_OK);
}

static inline void things_credentials(struct things *t)
{
    uint8_t scalar[32] = {[0] = 8, [31] = 64};
    struct dh_key noise;
    struct sign_key enrol = things_key(21), granted = things_key(31);
    must(dh_key_of_secret(&noise, scalar) == ERR_OK);
    struct credential c = {.mesh = STR("shop.example"),
                           .node = STR("web-1"),
                           .id = things_key(41).pub,
                           .service_count = 1,
                           .service = {STR("web")},
                           .not_before = NOW,
                           .expires = NOW + 30 * DAY};
    memcpy(c.noise_key, noise.pub, sizeof c.noise_key);
    must(labels_add(&c.labels, STR("zone"), STR("eu-1a")) == ERR_OK);
    must(credential_create(&t->credential_by_grant, &c, buf_bytes(&t->grant), &granted) == ERR_OK);
    must(credential_create(&t->credential_by_enrol_key, &c, bytes_of(NULL, 0), &enrol) == ERR_OK);
}

static inline void things_request(struct things *t)
{
    uint8_t scalar[32] = {[0] = 8, [31] = 64};
    struct dh_key noise;
    struct sign_key identity = things_key(41);
    must(dh_key_of_secret(&noise, scalar) == ERR_OK);
    struct request r = {.node = STR("web-1"),
                        .id = identity.pub,
                        .service_count = 2,
                        .service = {STR("cart"), STR("web")},
                        .at = NOW};
    memcpy(r.noise_key, noise.pub, sizeof r.noise_key);
    must(labels_add(&r.labels, STR("rack"), STR("7")) == ERR_OK);
    must(request_create(&t->request, &r, &identity, NULL) == ERR_OK);
    must(credential_text_encode(&t->credential_text, buf_bytes(&t->root_1),
                                buf_bytes(&t->credential_by_enrol_key)) == ERR_OK);
}

/* Every element of layout 2 says something. */
static inline void things_full_record(struct things *t, struct record *r)
{
    struct sign_key identity = things_key(41);
    memcpy(r->coordinate, "coordinates", RECORD_COORDINATE_BYTES);
    r->draining = true;
    must(addr_parse(&r->addr[1], "[2001:db8::5]:7400", 0));
    r->addr_count = 2;
    r->failed = (struct record_failed){
        .epoch = 2, .version = 44, .reason = STR("feature"), .words = STR("retry, mirror")};
    r->parts_sum = 5;
    r->parts_hash = (struct hash){{4, 5, 6}};
    r->rollout = (struct record_rollout){.epoch = 2,
                                         .version = 43,
                                         .halted = true,
                                         .before = {1000, 3, 2, 15000},
                                         .after = {100, 9, 1, 90000}};
    must(record_create(&t->record_layout_2_full, r, &identity) == ERR_OK);
}

static inline void things_records(struct things *t)
{
    struct sign_key identity = things_key(41);
    struct record r = {.incarnation = 7,
                       .version = 3,
                       .addr_count = 1,
                       .features = FEATURE_AESGCM,
                       .policy_epoch = 1,
                       .policy_version = 42,
                       .policy_hash = {{1, 2, 3}},
                       .service_count = 1,
                       .layout = 1};
    r.credential.bytes = buf_bytes(&t->credential_by_grant);
    must(addr_parse(&r.addr[0], "10.0.0.5:7400", 0));
    r.service[0] =
        (struct record_service){.name = STR("web"), .port = 8080, .protocol = PROTOCOL_HTTP, .healthy = true};
    must(labels_add(&r.service[0].labels, STR("version"), STR("1")) == ERR_OK);
    must(record_create(&t->record_layout_1, &r, &identity) == ERR_OK);
    r.layout = 2;
    r.root_epoch = 2;
    r.protocol_min = 1;
    r.protocol_max = 2;
    must(record_create(&t->record_layout_2, &r, &identity) == ERR_OK);
    things_full_record(t, &r);
}

#define THINGS_POLICY                                                                                        \
    "policy: v1\nmesh: shop.example\nversion: 42\nservices: {cart: {protocol: http}}\n"                      \
    "intentions: [{name: front, from: [web], to: cart}]\n"
#define THINGS_FORCED                                                                                        \
    "policy: v1\nmesh: shop.example\nversion: 43\nservices: {cart: {protocol: http, retry: {attempts: "      \
    "2}}}\n"                                                                                                 \
    "intentions: [{name: front, from: [web], to: cart}]\n"                                                   \
    "tests: [{from: ops, to: cart, request: GET /, expect: allow}]\n"
#define THINGS_PART                                                                                          \
    "policy: v1\nmesh: shop.example\npart: web-team\nversion: 5\nservices: {web: {protocol: http}}\n"        \
    "intentions: [{name: all, from: [\"*\"], to: web}]\n"

#define THINGS_OVERLAY                                                                                       \
    "overlay: v1\nmesh: shop.example\nname: incident-7\nversion: 3\nreason: the shop is shut\n"              \
    "ends: 2027-01-15T12:00:00Z\nintentions: [{name: in, from: [ops], to: web, allow: [{paths: "             \
    "[/admin]}]}]\n"

/* A root that names who may break glass, which the recorded ones do not; keys 52 and 53. */
static inline void things_root_3(struct buf *out)
{
    struct sign_key root_key = things_key(1);
    const struct sign_key *by = &root_key;
    struct root r = {.mesh = STR("shop.example"), .epoch = 3, .delegation_count = 1};
    r.root = things_role(1, 1, 1);
    r.policy = things_role(2, 11, 3);
    r.enrol = things_role(1, 21, 1);
    r.delegation[0] = (struct delegation){.name = STR(OVERLAY_DELEGATION),
                                          .role = things_role(1, 52, 2),
                                          .service_count = 1,
                                          .service = {STR("web*")}};
    must(root_create(out, &r, &by, 1) == ERR_OK);
}

static inline void things_overlays(struct things *t)
{
    struct root two, three;
    struct buf bytes = {0};
    struct sign_key key[4] = {things_key(11), things_key(13), things_key(52), things_key(53)};
    const struct sign_key *policy[] = {&key[0], &key[1]}, *delegates[] = {&key[2], &key[3]};
    things_root_3(&bytes);
    must(root_open(&two, buf_bytes(&t->root_2)) == ERR_OK && root_open(&three, buf_bytes(&bytes)) == ERR_OK);
    must(overlay_sign(&t->overlay, &two, STR(THINGS_OVERLAY), NOW, policy, 2, NULL) == ERR_OK);
    must(overlay_sign(&t->overlay_by_delegation, &three, STR(THINGS_OVERLAY), NOW, delegates, 2, NULL) ==
         ERR_OK);
    buf_fini(&bytes);
}

static inline void things_bundles(struct things *t)
{
    struct root one, two;
    struct sign_key key[2] = {things_key(11), things_key(12)}, delegate = things_key(51);
    const struct sign_key *policy[] = {&key[0], &key[1]}, *part = &delegate;
    struct hash previous = {{9}};
    must(root_open(&one, buf_bytes(&t->root_1)) == ERR_OK &&
         root_open(&two, buf_bytes(&t->root_2)) == ERR_OK);
    must(bundle_sign(&t->policy, &one, 1, STR(THINGS_POLICY), &previous, policy, 2, NULL) == ERR_OK);
    struct bundle_wish forced = {.epoch = 1,
                                 .text = STR(THINGS_FORCED),
                                 .forced = STR("the test is wrong"),
                                 .previous_or_null = &previous};
    must(bundle_sign_as(&t->policy_forced, &one, &forced, policy, 2, NULL) == ERR_OK);
    struct bundle_wish w = {.epoch = 2, .part = STR("web-team"), .text = STR(THINGS_PART)};
    must(bundle_sign_as(&t->part, &two, &w, &part, 1, NULL) == ERR_OK);
}

static inline void things_make(struct things *t)
{
    *t = (struct things){.root_1 = {0}};
    must(trust_init() == ERR_OK);
    things_roots(t);
    things_grant(t);
    things_credentials(t);
    things_request(t);
    things_records(t);
    things_bundles(t);
    things_overlays(t);
    struct sign_key key = things_key(1);
    must(key_text_encode(&t->key_file, "root", key.sec, NULL) == ERR_OK);
}

static inline void things_fini(struct things *t)
{
#define X(name) buf_fini(&t->name);
    THINGS(X)
#undef X
}

#endif
