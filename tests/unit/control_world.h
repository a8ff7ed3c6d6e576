/* One small mesh with known keys for the tests of the control room, hosts in it, folders that are removed again, and a
 * loop that turns until something has come true. */
#ifndef TEST_CONTROL_WORLD_H
#define TEST_CONTROL_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/net.h"
#include "trust/cache.h"
#include "trust/enrol.h"

#define UNUSED __attribute__((unused))
#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000, HOUR = 3600, DAY = 24 * HOUR };

static struct {
    struct sign_key root_key, enrol_key, policy_key;
    struct buf root;
    struct trust *trust;
    struct trust_cache *verified;
} world;

static UNUSED struct sign_key key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, seed_byte, sizeof seed);
    assert_int_equal(sign_key_of_seed(&k, seed), ERR_OK);
    return k;
}

static UNUSED struct dh_key noise_of(uint8_t seed_byte)
{
    uint8_t scalar[32];
    struct dh_key k;
    memset(scalar, seed_byte, sizeof scalar);
    assert_int_equal(dh_key_of_secret(&k, scalar), ERR_OK);
    return k;
}

static UNUSED int world_make(void **state)
{
    (void)state;
    const struct sign_key *by = &world.root_key;
    assert_int_equal(trust_init(), ERR_OK);
    world.root_key = key_of(201);
    world.enrol_key = key_of(202);
    world.policy_key = key_of(203);
    struct root r = {.mesh = STR("shop.example"),
                     .epoch = 1,
                     .root = {1, 1, {world.root_key.pub}},
                     .policy = {1, 1, {world.policy_key.pub}},
                     .enrol = {1, 1, {world.enrol_key.pub}}};
    assert_int_equal(root_create(&world.root, &r, &by, 1), ERR_OK);
    assert_int_equal(trust_new(&world.trust, buf_bytes(&world.root), NULL), ERR_OK);
    world.verified = trust_cache_new(world.trust, 64);
    assert_non_null(world.verified);
    return 0;
}

static UNUSED int world_end(void **state)
{
    (void)state;
    trust_cache_free(world.verified);
    trust_unref(world.trust);
    buf_fini(&world.root);
    return 0;
}

/* A host of this name, whose keys follow from one byte, with a credential for a day from NOW (or from `from`). */
struct host {
    struct sign_key sign;
    struct dh_key noise;
    struct buf credential, record;
};

static UNUSED struct host host_from(uint8_t seed, const char *name, wall_s from)
{
    struct host h = {.sign = key_of(seed), .noise = noise_of(seed)};
    struct credential c = {.mesh = STR("shop.example"),
                           .node = bytes_str(name),
                           .id = h.sign.pub,
                           .service_count = 1,
                           .service = {STR("*")},
                           .not_before = from,
                           .expires = from + DAY};
    memcpy(c.noise_key, h.noise.pub, sizeof c.noise_key);
    assert_int_equal(credential_create(&h.credential, &c, bytes_of(NULL, 0), &world.enrol_key), ERR_OK);
    return h;
}

static UNUSED struct bytes host_says(struct host *h, uint64_t incarnation, uint64_t version)
{
    struct record r = {.incarnation = incarnation, .version = version, .addr_count = 1};
    r.credential.bytes = buf_bytes(&h->credential);
    assert_true(addr_parse(&r.addr[0], "10.0.0.5:7400", 0));
    buf_fini(&h->record);
    assert_int_equal(record_create(&h->record, &r, &h->sign), ERR_OK);
    return buf_bytes(&h->record);
}

static UNUSED void host_end(struct host *h)
{
    buf_fini(&h->credential);
    buf_fini(&h->record);
}

/* -- folders ------------------------------------------------------------------------------------- */

static UNUSED void folder_make(char path[64])
{
    strcpy(path, "/tmp/starling-control-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static UNUSED int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static UNUSED void folder_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* -- a loop -------------------------------------------------------------------------------------- */

enum { UNTIL_MS = 20000 }; /* nothing here takes that long; a test that does has failed */

struct turning {
    struct net_loop *loop;
    bool (*is_true)(void);
    void (*step)(mono_ms now); /* in each turn, before the question */
    mono_ms begun;
    bool came_true;
};

static UNUSED void turn(void *arg, mono_ms now)
{
    struct turning *t = arg;
    if (!t->is_true)
        return;
    if (t->step)
        t->step(now);
    t->came_true = t->is_true();
    if (t->came_true || now > t->begun + UNTIL_MS)
        net_loop_stop(t->loop);
    else
        net_loop_deadline(t->loop, now + 5);
}

static UNUSED void turning_make(struct turning *t, void (*step)(mono_ms now))
{
    *t = (struct turning){.step = step};
    assert_int_equal(net_loop_new(&t->loop, turn, t), ERR_OK);
}

static UNUSED void turn_until(struct turning *t, bool (*is_true)(void))
{
    t->is_true = is_true;
    t->begun = net_now(t->loop);
    net_loop_deadline(t->loop, t->begun);
    net_loop_run(t->loop);
    assert_true(t->came_true);
    t->is_true = NULL;
}

#endif
