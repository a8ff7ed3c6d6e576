/* Two links in one process, the wire between them being two buffers that the tests may cut, bend and swap.
 * The source is included so that a peer with the right keys can send records that no honest one would. */
#ifndef TESTS_LINK_WORLD_H
#define TESTS_LINK_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "link/link.c"

enum { RECORD_PLAIN_MAX = NOISE_PLAIN_MAX - 1, START = 1000 };

/* A node as `verify` knows it: its credential is its name. */
struct node {
    const char *name;
    uint8_t secret[32], pub[32];
    struct node_id id;
    enum err verdict;
};

static struct node alice = {.name = "credential of alice"}, bob = {.name = "credential of bob"};

static inline int make_nodes(void **state)
{
    (void)state;
    struct node *all[] = {&alice, &bob};
    if (prim_init() != ERR_OK)
        return -1;
    for (uint8_t i = 0; i < 2; i++) {
        memset(all[i]->secret, 0x11 * (i + 1), 32);
        prim_dh_public(all[i]->pub, all[i]->secret);
        memset(all[i]->id.b, 0xa0 + i, ID_BYTES);
        all[i]->verdict = ERR_OK;
    }
    return 0;
}

static inline enum err verify(void *arg, struct bytes credential, const uint8_t noise_key[32],
                              struct node_id *id)
{
    struct node *all[] = {&alice, &bob};
    (void)arg;
    for (int i = 0; i < 2; i++) {
        if (!bytes_eq_str(credential, all[i]->name))
            continue;
        if (memcmp(noise_key, all[i]->pub, 32) != 0)
            return ERR_AUTH;
        *id = all[i]->id;
        return all[i]->verdict;
    }
    return ERR_DENIED;
}

static inline struct link_setup setup_of(const struct node *n)
{
    return (struct link_setup){
        .kind = LINK_TRAFFIC,
        .mesh = bytes_str("shop.example"),
        .credential = bytes_str(n->name),
        .noise_secret = n->secret,
        .verify = {.credential = verify},
    };
}

struct pair {
    struct link *a, *b;      /* alice connects, bob accepts */
    struct buf a_out, b_out; /* what each has written and the other has not read */
};

static inline struct link_setup ik_setup(void)
{
    struct link_setup s = setup_of(&alice);
    s.remote_key = bob.pub;
    return s;
}

static inline struct link_setup xx_setup(void)
{
    return setup_of(&alice);
}

static inline struct pair pair_of(const struct link_setup *s)
{
    struct link_setup accept = setup_of(&bob);
    struct pair p = {.a = link_connect(s, START), .b = link_accept(&accept, START)};
    assert_non_null(p.a);
    assert_non_null(p.b);
    return p;
}

static inline void pair_fini(struct pair *p)
{
    link_free(p->a);
    link_free(p->b);
    buf_fini(&p->a_out);
    buf_fini(&p->b_out);
}

/* Feeds all of `wire`; records are not expected. */
static inline enum err feed_all(struct link *l, struct buf *wire)
{
    size_t used;
    enum err e = link_feed(l, buf_bytes(wire), &used, START);
    assert_true(e != ERR_OK || used == wire->len);
    wire->len = 0;
    return e;
}

static inline void send_due(struct link *l, struct buf *out)
{
    assert_int_equal(link_poll_send(l, out), ERR_OK);
}

/* To and fro until neither has anything to say; returns the first error. */
static inline enum err talk(struct pair *p)
{
    for (int i = 0; i < 4; i++) {
        send_due(p->a, &p->a_out);
        enum err e = feed_all(p->b, &p->a_out);
        if (e != ERR_OK)
            return e;
        send_due(p->b, &p->b_out);
        e = feed_all(p->a, &p->b_out);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static inline struct pair pair_up(const struct link_setup *s)
{
    struct pair p = pair_of(s);
    assert_int_equal(talk(&p), ERR_OK);
    assert_true(link_is_up(p.a) && link_is_up(p.b));
    return p;
}

static inline void seal(struct link *l, struct buf *out, struct bytes text)
{
    size_t cap;
    uint8_t *at = link_seal_begin(l, out, text.len, &cap);
    assert_non_null(at);
    assert_int_equal(cap, text.len);
    memcpy(at, text.at, text.len);
    assert_int_equal(link_seal_end(l, out, text.len), ERR_OK);
}

static inline void expect_record(struct link *l, struct bytes wire, struct bytes text)
{
    size_t used;
    struct bytes got = {NULL, 0};
    assert_int_equal(link_feed(l, wire, &used, START), ERR_OK);
    assert_int_equal(used, wire.len);
    assert_true(link_poll_record(l, &got));
    assert_true(bytes_eq(got, text));
    assert_false(link_poll_record(l, &got));
}

static inline void expect_passes(struct link *from, struct buf *wire, struct link *to, const char *text)
{
    seal(from, wire, bytes_str(text));
    expect_record(to, buf_bytes(wire), bytes_str(text));
    wire->len = 0;
}

#endif
