/* What a host proves itself with, while it is replaced. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trust/enrol.h"
#include "trust/proof.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

static struct sign_key enrol_key;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(trust_init(), ERR_OK);
    sign_key_new(&enrol_key);
    return 0;
}

/* A credential for a new Noise key, which is given back. Its bytes are gone afterwards: a copy is what is kept. */
static struct vouched *made(struct dh_key *noise, const char *node)
{
    struct sign_key id;
    struct buf bytes = {0};
    struct vouched *v;
    sign_key_new(&id);
    dh_key_new(noise);
    struct credential c = {.mesh = STR("m"),
                           .node = bytes_str(node),
                           .id = id.pub,
                           .service_count = 2,
                           .service = {STR("web"), STR("cart")},
                           .not_before = 1,
                           .expires = 2};
    memcpy(c.noise_key, noise->pub, 32);
    assert_int_equal(labels_add(&c.labels, STR("zone"), STR("a")), ERR_OK);
    assert_int_equal(credential_create(&bytes, &c, bytes_of(NULL, 0), &enrol_key), ERR_OK);
    c.bytes = buf_bytes(&bytes);
    assert_int_equal(vouched_new(&v, &c), ERR_OK);
    memset(bytes.at, 0xee, bytes.len);
    buf_fini(&bytes);
    return v;
}

static void a_vouched_credential_owns_what_it_says(void **state)
{
    (void)state;
    struct dh_key noise;
    struct vouched *v = made(&noise, "web-1");
    const struct vouched_brief *brief = vouched_brief(v);
    assert_true(bytes_eq_str(brief->node, "web-1"));
    assert_int_equal(brief->not_before, 1);
    assert_int_equal(brief->expires, 2);
    struct credential c;
    vouched_open(v, &c);
    assert_true(bytes_eq_str(c.node, "web-1"));
    assert_true(credential_allows(&c, STR("cart")));
    assert_false(credential_allows(&c, STR("db")));
    assert_memory_equal(c.noise_key, noise.pub, 32);
    assert_int_equal(c.labels.count, 1);
    assert_true(c.bytes.at == brief->bytes.at && c.bytes.len == brief->bytes.len);
    assert_true(c.node.at > c.bytes.at && c.node.at < c.bytes.at + c.bytes.len);
    vouched_unref(vouched_ref(v));
    vouched_unref(v);
    vouched_unref(NULL);
}

static bool is_pair(const struct proof_pair *p, const struct vouched *v, const struct dh_key *noise)
{
    return p && p->credential == v && memcmp(p->noise.sec, noise->sec, 32) == 0 &&
           p->opened.bytes.at == vouched_brief(v)->bytes.at;
}

static void the_pair_of_before_is_the_last_one_for_another_noise_key(void **state)
{
    (void)state;
    struct dh_key one, two, unused;
    struct vouched *a = made(&one, "a"), *b = made(&unused, "b"), *c = made(&two, "c"),
                   *d = made(&unused, "d");
    struct proof *first, *renewed, *rolled, *renewed_again;
    assert_int_equal(proof_new(&first, a, &one, NULL), ERR_OK);
    assert_null(proof_before(first));
    assert_int_equal(proof_new(&renewed, b, &one, first), ERR_OK);
    assert_null(proof_before(renewed)); /* the same key: there is nothing to overlap */
    assert_int_equal(proof_new(&rolled, c, &two, renewed), ERR_OK);
    proof_unref(first);
    proof_unref(renewed);
    assert_true(is_pair(proof_now(rolled), c, &two));
    assert_true(is_pair(proof_before(rolled), b, &one));
    assert_int_equal(proof_new(&renewed_again, d, &two, rolled), ERR_OK);
    proof_unref(rolled);
    assert_true(is_pair(proof_now(renewed_again), d, &two));
    assert_true(is_pair(proof_before(renewed_again), b, &one));
    proof_unref(proof_ref(renewed_again));
    proof_unref(renewed_again);
    proof_unref(NULL);
    vouched_unref(a);
    vouched_unref(b);
    vouched_unref(c);
    vouched_unref(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vouched_credential_owns_what_it_says),
        cmocka_unit_test(the_pair_of_before_is_the_last_one_for_another_noise_key),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
