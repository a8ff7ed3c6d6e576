/* Overlays: what they may say, who may sign them, how long they last, and what they decide over a policy. */
#include "policy_world.h"

#include "policy/overlay.h"
#include "policy/place.h"

#define STR(s) bytes_of(s, sizeof(s) - 1)

enum { NOW = 1800000000, HOUR = 3600 }; /* 2027-01-15T08:00:00Z */

#define OVERLAY "overlay: v1\nmesh: shop.example\nname: night\nversion: 3\nreason: the shop is shut\n"
#define ENDS    "ends: 2027-01-15T12:00:00Z\n"
#define RULES   "intentions: [{name: in, from: [ops], to: cart, allow: [{paths: [\"/admin/*\"]}]}]\n"
#define GOOD    OVERLAY ENDS RULES

static struct sign_key key[4]; /* policy keys 0 to 2; a stranger */
static struct root root;       /* two of three policy keys make a policy */

static struct sign_key key_of(uint8_t seed_byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, seed_byte, sizeof seed);
    assert_int_equal(sign_key_of_seed(&k, seed), ERR_OK);
    return k;
}

static int begin(void **state)
{
    (void)state;
    assert_int_equal(trust_init(), ERR_OK);
    for (size_t i = 0; i < 4; i++)
        key[i] = key_of((uint8_t)(10 + i));
    root = (struct root){.mesh = STR("shop.example"),
                         .epoch = 2,
                         .root = {1, 1, {key[0].pub}},
                         .policy = {3, 2, {key[0].pub, key[1].pub, key[2].pub}},
                         .enrol = {1, 1, {key[0].pub}}};
    return 0;
}

/* -- the text ---------------------------------------------------------------------------------- */

static void expect_of(const char *text, const char *words)
{
    struct complaints c = {.file = "o.yaml"};
    struct policy *p = NULL;
    struct policy_source source = {.file = "o.yaml", .text = bytes_str(text), .is_overlay = true};
    enum err e = policy_compile_sources(&p, &source, 1, &c);
    if (e != ERR_INVALID || !strstr(buf_str(&c.text), words))
        fail_msg("expected `%s`, got %s: %s", words, err_text(e), buf_str(&c.text));
    policy_unref(p);
    buf_fini(&c.text);
}

static void an_overlay_says_nothing_but_narrow_intentions(void **state)
{
    (void)state;
    expect_of(OVERLAY ENDS "intentions: [{name: a, from: [\"*\"], to: cart}]\n",
              "o.yaml:7:31: an overlay is narrow: it does not speak of everybody; name the callers");
    expect_of(OVERLAY ENDS "intentions: [{name: a, from: [ops], to: \"*\"}]\n",
              "o.yaml:7:41: an overlay is narrow: it does not open everything; name a service");
    expect_of(OVERLAY ENDS "intentions: [{name: a, from: [ops, web], except: [web], to: cart}]\n",
              "there is nobody to except");
    expect_of(OVERLAY ENDS "intentions: [{name: a, from: [ops], to: cart, mode: audit}]\n",
              "in force, or it is not written; remove `mode`");
    expect_of(GOOD "services: {cart: {protocol: http}}\n", "o.yaml:8:1: unknown key `services`");
    expect_of(GOOD "revoke: []\n", "unknown key `revoke`");
    expect_of(GOOD "defaults: {unmatched: audit}\n", "unknown key `defaults`");
    expect_of("policy: v1\nmesh: shop.example\nversion: 1\n", "this is a policy, where an overlay belongs");
}

static void an_overlay_is_small(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_add_str(&text, OVERLAY ENDS "intentions:\n");
    for (unsigned i = 0; i <= OVERLAY_RULES_MAX; i++)
        buf_addf(&text, "  - {name: r%u, from: [ops], to: cart}\n", i);
    expect_of(buf_str(&text), "an overlay has at most 16 intentions; this one has 17");
    text.len = 0;
    buf_add_str(&text, OVERLAY ENDS "intentions: [{name: a, to: cart, from: [c0");
    for (unsigned i = 1; i <= OVERLAY_CALLERS_MAX; i++)
        buf_addf(&text, ", c%u", i);
    buf_add_str(&text, "]}]\n");
    expect_of(buf_str(&text), "a rule of an overlay names at most 16 callers; this one 17");
    buf_fini(&text);
}

static void the_head_is_whole(void **state)
{
    (void)state;
    expect_of("overlay: v2\n" ENDS RULES, "expected v1; found `v2`");
    expect_of("overlay: v1\nmesh: shop.example\nname: n\nversion: 1\n" ENDS RULES,
              "`reason` is missing; say why");
    expect_of("overlay: v1\nmesh: shop.example\nreason: x\nversion: 1\n" ENDS RULES, "`name` is missing");
    expect_of("overlay: v1\nname: n\nreason: x\nversion: 1\n" ENDS RULES, "`mesh` is missing");
    expect_of("overlay: v1\nmesh: shop.example\nname: n\nreason: x\n" ENDS RULES, "`version` is missing");
    expect_of(OVERLAY RULES, "`ends` is missing; say when it ends by itself, at most 24 hours");
    expect_of(OVERLAY ENDS, "`intentions` is missing");
    expect_of("overlay: v1\nmesh: shop.example\nname: n\nreason: \"a\\e[31m\"\nversion: 1\n" ENDS RULES,
              "a reason is one line of text");
    expect_of("overlay: v1\nmesh: shop.example\nname: n\nreason: \"a\\u009b31m\"\nversion: 1\n" ENDS RULES,
              "a reason is one line of text");
    expect_of("overlay: v1\nmesh: shop.example\nname: n\nreason: \"a\\u202eb\"\nversion: 1\n" ENDS RULES,
              "a reason is one line of text");
    expect_of("overlay: v1\nmesh: shop.example\nname: "
              "a234567890123456789012345678901234567890b"
              "\nreason: x\nversion: 1\n" ENDS RULES,
              "an overlay's name has at most 40 characters");
    expect_of("overlay: v1\nmesh: shop.example\nname: n\nreason: x\nversion: 0\n" ENDS RULES, "o.yaml:5:10");
}

/* -- signing ----------------------------------------------------------------------------------- */

static enum err sign(struct buf *out, const char *text, wall_s begins, size_t first, size_t count)
{
    const struct sign_key *by[] = {&key[first], &key[(first + 1) % 4], &key[(first + 2) % 4]};
    return overlay_sign(out, &root, bytes_str(text), begins, by, count, NULL);
}

static enum err offered(const struct root *r, struct bytes in)
{
    struct overlay o = {.version = 77};
    enum err e = overlay_open(&o, r, in, NULL);
    assert_true(e == ERR_OK || o.version == 77); /* nothing is set of what is refused */
    return e;
}

static void two_sign_one_after_the_other(void **state)
{
    (void)state;
    struct buf draft = {0}, more = {0}, third = {0};
    struct overlay o;
    assert_int_equal(sign(&draft, GOOD, NOW, 0, 1), ERR_OK);
    assert_int_equal(overlay_open(&o, &root, buf_bytes(&draft), NULL), ERR_DENIED);
    assert_int_equal(overlay_read(&o, &root, buf_bytes(&draft), NULL), ERR_OK);
    assert_true(o.signer_count == 1 && o.signers_wanted == 2);
    assert_int_equal(overlay_cosign(&more, &root, buf_bytes(&draft), NOW + HOUR, &key[0], NULL), ERR_EXISTS);
    assert_int_equal(overlay_cosign(&more, &root, buf_bytes(&draft), NOW + HOUR, &key[3], NULL), ERR_DENIED);
    assert_int_equal(overlay_cosign(&more, &root, buf_bytes(&draft), NOW + 4 * HOUR, &key[1], NULL),
                     ERR_EXPIRED);
    assert_int_equal(overlay_cosign(&more, &root, buf_bytes(&draft), NOW - HOUR, &key[1], NULL), ERR_EXPIRED);
    assert_int_equal(overlay_cosign(&more, &root, buf_bytes(&draft), NOW + HOUR, &key[1], NULL), ERR_OK);
    assert_int_equal(overlay_cosign(&third, &root, buf_bytes(&more), NOW + HOUR, &key[2], NULL), ERR_LIMIT);
    assert_int_equal(overlay_open(&o, &root, buf_bytes(&more), NULL), ERR_OK);
    assert_true(o.epoch == 2 && o.version == 3 && o.begins == NOW && o.ends == NOW + 4 * HOUR);
    assert_string_equal(o.name, "night");
    assert_string_equal(o.reason, "the shop is shut");
    assert_true(bytes_eq_str(o.text, GOOD) && bytes_eq_str(overlay_text(buf_bytes(&more)), GOOD));
    buf_fini(&draft);
    buf_fini(&more);
}

static void who_may_not_sign_does_not(void **state)
{
    (void)state;
    struct buf out = {0};
    const struct sign_key *twice[] = {&key[0], &key[0]}, *both[] = {&key[0], &key[1]},
                          *mixed[] = {&key[0], &key[3]};
    assert_int_equal(overlay_sign(&out, &root, STR(GOOD), NOW, twice, 2, NULL), ERR_DENIED);
    assert_int_equal(sign(&out, GOOD, NOW, 3, 1), ERR_DENIED);
    assert_int_equal(sign(&out, GOOD, NOW, 0, 3), ERR_DENIED); /* more than are wanted */
    struct overlay good;
    struct envelope e;
    assert_int_equal(sign(&out, GOOD, NOW, 0, 2), ERR_OK);
    assert_int_equal(overlay_open(&good, &root, buf_bytes(&out), NULL), ERR_OK);
    assert_int_equal(envelope_parse(&e, buf_bytes(&out)), ERR_OK);
    struct buf forged = {0}, as_policy = {0}, newer = {0};
    assert_int_equal(envelope_sign(&forged, ENVELOPE_OVERLAY, e.body, mixed, 2), ERR_OK);
    assert_int_equal(offered(&root, buf_bytes(&forged)), ERR_DENIED);
    assert_int_equal(envelope_sign(&as_policy, ENVELOPE_POLICY, e.body, both, 2), ERR_OK); /* B17 */
    assert_int_equal(offered(&root, buf_bytes(&as_policy)), ERR_MALFORMED);
    assert_int_equal(envelope_sign(&newer, "overlay2", e.body, both, 2), ERR_OK);
    assert_int_equal(offered(&root, buf_bytes(&newer)), ERR_UNSUPPORTED);
    struct bundle b;
    assert_int_equal(bundle_open(&b, NULL, &root, buf_bytes(&out), NULL), ERR_MALFORMED);
    for (size_t i = 0; i < out.len; i++) { /* each bit of it counts */
        out.at[i] ^= 1;
        assert_int_not_equal(offered(&root, buf_bytes(&out)), ERR_OK);
        out.at[i] ^= 1;
    }
    buf_fini(&out);
    buf_fini(&forged);
    buf_fini(&as_policy);
    buf_fini(&newer);
}

/* Two at least, where there are two, whatever makes a policy; the root may name others, and what they may open. */
static void the_root_says_who_and_how_many(void **state)
{
    (void)state;
    struct root r = root;
    r.policy.threshold = 1;
    assert_int_equal(overlay_signers(&r).wanted, 2);
    r.policy.threshold = 3;
    assert_int_equal(overlay_signers(&r).wanted, 3);
    r.policy = (struct role){1, 1, {key[0].pub}};
    assert_int_equal(overlay_signers(&r).wanted, 1);
    r = root;
    r.delegation_count = 1;
    r.delegation[0] = (struct delegation){.name = STR(OVERLAY_DELEGATION),
                                          .role = {2, 1, {key[2].pub, key[3].pub}},
                                          .service_count = 1,
                                          .service = {STR("cart")}};
    assert_int_equal(overlay_signers(&r).wanted, 2);
    const struct sign_key *policy[] = {&key[0], &key[1]}, *named[] = {&key[2], &key[3]};
    struct buf out = {0};
    assert_int_equal(overlay_sign(&out, &r, STR(GOOD), NOW, policy, 2, NULL), ERR_DENIED);
    assert_int_equal(overlay_sign(&out, &r,
                                  STR(OVERLAY ENDS "intentions: [{name: in, from: [ops], to: db}]\n"), NOW,
                                  named, 2, NULL),
                     ERR_INVALID); /* out of their reach */
    assert_int_equal(overlay_sign(&out, &r, STR(GOOD), NOW, named, 2, NULL), ERR_OK);
    assert_int_equal(offered(&r, buf_bytes(&out)), ERR_OK);
    r.delegation[0].service[0] = STR("db");
    assert_int_equal(offered(&r, buf_bytes(&out)), ERR_INVALID);
    struct bundle_wish w = {.epoch = 1, .part = STR(OVERLAY_DELEGATION), .text = STR("")};
    assert_int_equal(bundle_sign_as(&out, &r, &w, named, 1, NULL), ERR_DENIED); /* they sign no part */
    buf_fini(&out);
}

static void its_life_is_24_hours_at_most(void **state)
{
    (void)state;
    struct buf out = {0}, body = {0};
    struct overlay o;
    assert_int_equal(sign(&out, GOOD, NOW + 4 * HOUR, 0, 2), ERR_INVALID); /* ended before it began */
    assert_int_equal(sign(&out, GOOD, NOW - 20 * HOUR - 1, 0, 2), ERR_INVALID);
    assert_int_equal(sign(&out, GOOD, NOW - 20 * HOUR, 0, 2), ERR_OK);
    assert_int_equal(overlay_open(&o, &root, buf_bytes(&out), NULL), ERR_OK);
    assert_int_equal(overlay_phase(&o, o.begins - CLOCK_SKEW_S - 1), OVERLAY_EARLY);
    assert_int_equal(overlay_phase(&o, o.begins - CLOCK_SKEW_S), OVERLAY_ON);
    assert_int_equal(overlay_phase(&o, o.ends - 1), OVERLAY_ON);
    assert_int_equal(overlay_phase(&o, o.ends), OVERLAY_OVER);
    /* Who has the keys and writes the body himself gets no further. */
    const struct sign_key *both[] = {&key[0], &key[1]};
    codec_put_array(&body, 6);
    codec_put_str(&body, STR("shop.example"));
    codec_put_u64(&body, 2);
    codec_put_u64(&body, 3);
    codec_put_u64(&body, NOW - 20 * HOUR - 1);
    codec_put_u64(&body, NOW + 4 * HOUR);
    codec_put_str(&body, STR(GOOD));
    out.len = 0;
    assert_int_equal(envelope_sign(&out, ENVELOPE_OVERLAY, buf_bytes(&body), both, 2), ERR_OK);
    assert_int_equal(offered(&root, buf_bytes(&out)), ERR_INVALID);
    buf_fini(&out);
    buf_fini(&body);
}

static struct buf signed_body(const char *mesh, uint64_t epoch, uint64_t version, wall_s ends,
                              const char *text)
{
    struct buf out = {0}, body = {0};
    const struct sign_key *both[] = {&key[0], &key[1]};
    codec_put_array(&body, 6);
    codec_put_str(&body, bytes_str(mesh));
    codec_put_u64(&body, epoch);
    codec_put_u64(&body, version);
    codec_put_u64(&body, NOW);
    codec_put_u64(&body, (uint64_t)ends);
    codec_put_str(&body, bytes_str(text));
    assert_int_equal(envelope_sign(&out, ENVELOPE_OVERLAY, buf_bytes(&body), both, 2), ERR_OK);
    buf_fini(&body);
    return out;
}

static void the_text_says_what_was_signed_beside_it(void **state)
{
    (void)state;
    static const struct {
        const char *mesh;
        uint64_t epoch, version;
        wall_s ends;
        enum err expect;
    } cases[] = {
        {"shop.example", 2, 3, NOW + 4 * HOUR, ERR_OK},
        {"shop.example", 1, 3, NOW + 4 * HOUR, ERR_OK},
        {"shop.example", 3, 3, NOW + 4 * HOUR, ERR_DENIED}, /* beyond the root's epoch (B6) */
        {"shop.example", 2, 4, NOW + 4 * HOUR, ERR_INVALID},
        {"shop.example", 2, 3, NOW + 5 * HOUR, ERR_INVALID},
        {"other.example", 2, 3, NOW + 4 * HOUR, ERR_FOREIGN}, /* B5 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = signed_body(cases[i].mesh, cases[i].epoch, cases[i].version, cases[i].ends, GOOD);
        assert_int_equal(offered(&root, buf_bytes(&b)), cases[i].expect);
        buf_fini(&b);
    }
    struct buf foreign =
        signed_body("shop.example", 2, 3, NOW + 4 * HOUR,
                    "overlay: v1\nmesh: other.example\nname: n\nversion: 3\nreason: r\n" ENDS RULES);
    assert_int_equal(offered(&root, buf_bytes(&foreign)), ERR_INVALID);
    buf_fini(&foreign);
}

static void one_form_travels(void **state)
{
    (void)state;
    struct buf a = {0}, b = {0}, one = {0}, other = {0};
    struct overlay x, y;
    const struct sign_key *ab[] = {&key[0], &key[1]}, *bc[] = {&key[1], &key[2]};
    assert_int_equal(overlay_sign(&a, &root, STR(GOOD), NOW, ab, 2, NULL), ERR_OK);
    assert_int_equal(overlay_sign(&b, &root, STR(GOOD), NOW, bc, 2, NULL), ERR_OK);
    assert_int_equal(overlay_settle(&one, &root, buf_bytes(&a)), ERR_OK);
    assert_int_equal(overlay_settle(&other, &root, buf_bytes(&b)), ERR_OK);
    assert_int_equal(overlay_open(&x, &root, buf_bytes(&one), NULL), ERR_OK);
    assert_int_equal(overlay_open(&y, &root, buf_bytes(&other), NULL), ERR_OK);
    assert_true(hash_eq(&x.hash, &y.hash)); /* the same overlay, whoever signed */
    assert_int_equal(overlay_succeeds(&x, y.epoch, y.version, &y.hash), ERR_EXISTS);
    assert_int_equal(overlay_succeeds(&x, 2, 2, &y.hash), ERR_OK);
    assert_int_equal(overlay_succeeds(&x, 2, 4, &y.hash), ERR_STALE);
    assert_int_equal(overlay_succeeds(&x, 1, 400, &y.hash), ERR_OK);
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&one);
    buf_fini(&other);
}

static void an_end_is_the_next_version_without_rules(void **state)
{
    (void)state;
    struct buf out = {0}, text = {0}, end = {0};
    struct overlay o, e;
    assert_int_equal(sign(&out, GOOD, NOW, 0, 2), ERR_OK);
    assert_int_equal(overlay_open(&o, &root, buf_bytes(&out), NULL), ERR_OK);
    assert_int_equal(overlay_end_text(&text, &o, "say \"done\" \\ over"), ERR_OK);
    assert_int_equal(sign(&end, buf_str(&text), NOW + HOUR, 1, 2), ERR_OK);
    assert_int_equal(overlay_open(&e, &root, buf_bytes(&end), NULL), ERR_OK);
    assert_true(e.version == 4 && e.rule_count == 0 && e.ends == o.ends);
    assert_string_equal(e.name, "night");
    assert_string_equal(e.reason, "say \"done\" \\ over");
    assert_int_equal(overlay_succeeds(&e, o.epoch, o.version, &o.hash), ERR_OK);
    buf_fini(&out);
    buf_fini(&text);
    buf_fini(&end);
}

/* -- over a policy ----------------------------------------------------------------------------- */

#define MAIN                                                                                                 \
    "policy: v1\nmesh: shop.example\nversion: 1\nservices: {cart: {protocol: http}, db: {protocol: tcp}}\n"  \
    "intentions:\n"                                                                                          \
    "  - {name: front, from: [web, ops], to: cart, allow: [{paths: [\"/cart/*\"]}]}\n"                       \
    "  - {name: no-admin, from: [\"*\"], to: cart, deny: [{paths: [\"/admin/*\"]}]}\n"                       \
    "  - {name: no-shop, from: [batch], to: cart, deny: [{}]}\n"

static struct policy *composed(const char *overlay, struct complaints *c)
{
    struct policy_source src[] = {{.file = "p.yaml", .text = STR(MAIN)},
                                  {.file = "o.yaml", .text = bytes_str(overlay), .is_overlay = true}};
    struct policy *p = NULL;
    (void)!policy_compile_sources(&p, src, 2, c);
    return p;
}

/* "allow overlay:night/in", by this caller's GET. */
static const char *decided(const struct policy *p, const char *caller, const char *to, const char *path)
{
    static char out[160];
    struct policy_request rq = {.caller = bytes_str(caller), .method = STR("GET"), .path = bytes_str(path)};
    struct policy_verdict v = policy_decide(p, service_of(p, to), &rq);
    assert_int_equal(v.by_overlay, strncmp(v.rule, "overlay:", 8) == 0);
    snprintf(out, sizeof out, "%s %s", v.allowed ? "allow" : "deny", v.rule);
    return out;
}

static void it_stands_above_every_rule_of_the_policy(void **state)
{
    (void)state;
    struct complaints c = {.file = "p.yaml"};
    struct policy *p = composed(
        OVERLAY ENDS "intentions:\n"
                     "  - {name: in, from: [ops, batch], to: cart, allow: [{paths: [\"/admin/*\"]}]}\n"
                     "  - {name: out, from: [web, batch], to: cart, deny: [{methods: [GET], paths: "
                     "[\"/admin/x\", \"/cart/*\"]}]}\n"
                     "  - {name: data, from: [ops], to: db}\n",
        &c);
    if (!p)
        fail_msg("%s", buf_str(&c.text));
    assert_string_equal(decided(p, "ops", "cart", "/admin/x"), "allow overlay:night/in"); /* over a deny */
    assert_string_equal(decided(p, "ops", "cart", "/cart/1"), "allow front"); /* no more than it says */
    assert_string_equal(decided(p, "ops", "cart", "/other"), "deny unmatched");
    assert_string_equal(decided(p, "web", "cart", "/admin/y"), "deny no-admin"); /* and for nobody else */
    assert_string_equal(decided(p, "web", "cart", "/cart/1"), "deny overlay:night/out"); /* over an allow */
    assert_string_equal(decided(p, "batch", "cart", "/admin/x"),
                        "deny overlay:night/out"); /* its deny beats its allow */
    assert_string_equal(decided(p, "batch", "cart", "/admin/y"), "allow overlay:night/in");
    assert_string_equal(decided(p, "batch", "cart", "/other"), "deny no-shop");
    assert_string_equal(decided(p, "", "cart", "/admin/x"),
                        "deny no-admin"); /* an unknown caller is in no overlay */
    assert_string_equal(decided(p, "ops", "db", ""), "allow overlay:night/data"); /* tcp: identity alone */
    assert_string_equal(decided(p, "web", "db", ""), "deny unmatched");
    assert_int_equal(policy_version(p), 1); /* the policy is the policy */
    assert_true(policy_overlay(p)->version == 3 && policy_overlay(p)->denies);
    policy_unref(p);
    buf_fini(&c.text);
}

static void it_must_fit_the_policy_it_meets(void **state)
{
    (void)state;
    struct complaints c = {.file = "p.yaml"};
    assert_null(composed(OVERLAY ENDS "intentions: [{name: in, from: [ops], to: crat}]\n", &c));
    assert_non_null(
        strstr(buf_str(&c.text), "o.yaml:7:42: no service `crat` in this policy; did you mean `cart`?"));
    c.text.len = 0;
    assert_null(composed(
        OVERLAY ENDS "intentions: [{name: in, from: [ops], to: db, allow: [{methods: [GET]}]}]\n", &c));
    assert_non_null(strstr(buf_str(&c.text), "an HTTP rule on a tcp service"));
    c.text.len = 0;
    assert_null(composed("overlay: v1\nmesh: other\nname: n\nversion: 1\nreason: r\n" ENDS RULES, &c));
    assert_non_null(strstr(buf_str(&c.text), "`mesh` is `other` here"));
    buf_fini(&c.text);
}

static void its_rules_have_places(void **state)
{
    (void)state;
    struct policy_source src[] = {{.file = "p.yaml", .text = STR(MAIN)},
                                  {.file = "o.yaml", .text = STR(GOOD), .is_overlay = true}};
    struct places at = {.policy = NULL};
    struct policy *p = NULL;
    struct buf out = {0};
    assert_int_equal(policy_compile_sources(&p, src, 2, NULL), ERR_OK);
    at.policy = p;
    place_of_named(&at, "intentions", "overlay:night/in", &out);
    buf_add_str(&out, " ");
    place_of_named(&at, "intentions", "front", &out);
    assert_string_equal(buf_str(&out), "o.yaml:7 p.yaml:6");
    at.first_or_null = "policy"; /* as agents call it */
    out.len = 0;
    place_of_named(&at, "intentions", "front", &out);
    assert_string_equal(buf_str(&out), "policy:6");
    policy_unref(p);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_overlay_says_nothing_but_narrow_intentions),
        cmocka_unit_test(an_overlay_is_small),
        cmocka_unit_test(the_head_is_whole),
        cmocka_unit_test(two_sign_one_after_the_other),
        cmocka_unit_test(who_may_not_sign_does_not),
        cmocka_unit_test(the_root_says_who_and_how_many),
        cmocka_unit_test(its_life_is_24_hours_at_most),
        cmocka_unit_test(the_text_says_what_was_signed_beside_it),
        cmocka_unit_test(one_form_travels),
        cmocka_unit_test(an_end_is_the_next_version_without_rules),
        cmocka_unit_test(it_stands_above_every_rule_of_the_policy),
        cmocka_unit_test(it_must_fit_the_policy_it_meets),
        cmocka_unit_test(its_rules_have_places),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
