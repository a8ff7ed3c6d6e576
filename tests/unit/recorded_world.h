/* recorded_world.h: the conversations in tests/vectors/, each with what its day knew, for those who play them to the code of today. */
#ifndef TEST_RECORDED_WORLD_H
#define TEST_RECORDED_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "noise/prim.h"
#include "recording.h"

static const struct edition {
    const char *path;
    uint8_t protocol, link, layout; /* the newest of its day */
} editions[] = {
    {"tests/vectors/protocol-1.txt", 1, 1, 1},
    {"tests/vectors/protocol-2.txt", 2, 2, 2},
};
static const struct edition *then;
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

static int set_up(const struct edition *e)
{
    assert_int_equal(trust_init(), ERR_OK);
    assert_int_equal(prim_init(), ERR_OK);
    then = e;
    recording_read(&old, e->path);
    for (int h = 0; h < RECORDING_HOSTS; h++)
        host[h] = recording_host(h);
    return make_trust() == ERR_OK ? 0 : -1;
}

static int set_up_1(void **state)
{
    (void)state;
    return set_up(&editions[0]);
}

static int set_up_2(void **state)
{
    (void)state;
    return set_up(&editions[1]);
}

static int tear_down(void **state)
{
    (void)state;
    trust_unref(trust);
    recording_free(&old);
    return 0;
}

#endif
