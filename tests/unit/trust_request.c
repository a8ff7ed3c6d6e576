/* Requests and what comes back for them: text that people carry about (ADVERSARY N14, N18, B1, B16, B17). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "trust/request.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000 };

static struct sign_key host;
static struct buf text;

static struct request good_request(void)
{
    struct request r = {.node = STR("web-1"),
                        .id = host.pub,
                        .service_count = 2,
                        .service = {STR("web"), STR("cart")},
                        .at = NOW};
    struct dh_key noise;
    dh_key_new(&noise);
    memcpy(r.noise_key, noise.pub, sizeof r.noise_key);
    assert_int_equal(labels_add(&r.labels, STR("zone"), STR("a")), ERR_OK);
    return r;
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(trust_init(), ERR_OK);
    sign_key_new(&host);
    struct request r = good_request();
    text = (struct buf){0};
    assert_int_equal(request_create(&text, &r, &host, NULL), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_fini(&text);
    return 0;
}

static enum err decode(struct bytes t, struct refusal *why)
{
    struct buf space = {0};
    struct request r;
    enum err e = request_decode(&r, &space, t, why);
    buf_fini(&space);
    return e;
}

static void what_is_asked_for_is_read_back(void **state)
{
    (void)state;
    struct buf space = {0}, pasted = {0};
    struct request r;
    buf_addf(&pasted, "\n  %s \r\n", buf_str(&text));
    assert_int_equal(request_decode(&r, &space, buf_bytes(&pasted), NULL), ERR_OK);
    assert_true(bytes_eq_str(r.node, "web-1"));
    assert_true(node_id_eq(&r.id, &host.pub));
    assert_int_equal(r.service_count, 2);
    assert_true(bytes_eq_str(r.service[0], "cart")); /* sorted */
    assert_true(bytes_eq_str(*labels_get(&r.labels, STR("zone")), "a"));
    assert_int_equal(r.at, NOW);
    buf_fini(&space);
    buf_fini(&pasted);
}

static void every_altered_character_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t was = text.at[i];
        text.at[i] = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(decode(buf_bytes(&text), NULL), ERR_OK);
        text.at[i] = was;
    }
    for (size_t n = 0; n < text.len; n++)
        assert_int_not_equal(decode(bytes_of(text.at, n), NULL), ERR_OK);
}

/* Somebody else's identity cannot be asked for: the request is signed by the very key in it. */
static void a_request_in_anothers_name_is_refused(void **state)
{
    (void)state;
    struct sign_key thief;
    struct request r = good_request();
    struct buf forged = {0};
    struct refusal why = {0};
    sign_key_new(&thief);
    assert_int_equal(request_create(&forged, &r, &thief, NULL), ERR_OK);
    assert_int_equal(decode(buf_bytes(&forged), &why), ERR_AUTH);
    assert_string_equal(why.field, "request.signatures");
    buf_fini(&forged);
}

static void what_is_out_of_its_limits_is_not_made(void **state)
{
    (void)state;
    struct buf out = {0};
    struct refusal why = {0};
    struct request r = good_request();
    r.node = STR("Web 1");
    assert_int_equal(request_create(&out, &r, &host, &why), ERR_INVALID);
    assert_string_equal(why.field, "request.node");
    r = good_request();
    memset(r.noise_key, 0, sizeof r.noise_key); /* N14 */
    assert_int_equal(request_create(&out, &r, &host, &why), ERR_INVALID);
    assert_string_equal(why.field, "request.noise_key");
    r = good_request();
    r.service[1] = STR("*");
    assert_int_equal(request_create(&out, &r, &host, &why), ERR_INVALID);
    buf_fini(&out);
}

static void a_signed_credential_travels_with_its_root(void **state)
{
    (void)state;
    struct buf out = {0}, credential = {0}, root = {0};
    assert_int_equal(credential_text_encode(&out, STR("the root"), STR("the credential")), ERR_OK);
    assert_int_equal(credential_text_decode(&credential, &root, buf_bytes(&out)), ERR_OK);
    assert_true(bytes_eq_str(buf_bytes(&credential), "the credential"));
    assert_true(bytes_eq_str(buf_bytes(&root), "the root"));
    credential.len = root.len = 0;
    assert_int_equal(credential_text_decode(&credential, &root, bytes_of(out.at, out.len - 4)),
                     ERR_MALFORMED);
    assert_int_equal(credential_text_decode(&credential, &root, buf_bytes(&text)), ERR_MALFORMED);
    assert_int_equal(decode(buf_bytes(&out), NULL), ERR_MALFORMED);
    assert_int_equal(credential.len + root.len, 0);
    buf_fini(&out);
    buf_fini(&credential);
    buf_fini(&root);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORY(what_is_asked_for_is_read_back),
        STORY(every_altered_character_is_refused),
        STORY(a_request_in_anothers_name_is_refused),
        STORY(what_is_out_of_its_limits_is_not_made),
        STORY(a_signed_credential_travels_with_its_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
