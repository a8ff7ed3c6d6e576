/* Any bytes as a signed overlay, as the body of one that the right keys have signed, and as its text over a policy: no crash, only
 * canonical bodies for this mesh, nothing that lasts for longer than a day or speaks of everybody (B16, B25). */
#include <stddef.h>
#include <stdint.h>

#include "policy/overlay.h"
#include "trust/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct sign_key key;
static struct root root;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    static const uint8_t seed[32] = {1};
    if (trust_init() != ERR_OK || sign_key_of_seed(&key, seed) != ERR_OK)
        abort();
    root = (struct root){
        .mesh = bytes_str("m"), .epoch = 1, .policy = {.count = 1, .threshold = 1, .key = {key.pub}}};
    return 0;
}

/* What was accepted says the same when it is written again. */
static void check(const struct overlay *o, struct bytes body)
{
    struct buf again = {0};
    codec_put_array(&again, 6);
    codec_put_str(&again, o->mesh);
    codec_put_u64(&again, o->epoch);
    codec_put_u64(&again, o->version);
    codec_put_u64(&again, (uint64_t)o->begins);
    codec_put_u64(&again, (uint64_t)o->ends);
    codec_put_str(&again, o->text);
    if (!bytes_eq(buf_bytes(&again), body) || o->ends <= o->begins ||
        o->ends - o->begins > OVERLAY_LIFE_MAX_S)
        abort();
    buf_fini(&again);
}

static void compose(struct bytes text)
{
    static const char policy[] =
        "policy: v1\nmesh: m\nversion: 1\nservices: {a: {protocol: http}, b: {protocol: tcp}}\n"
        "intentions: [{name: x, from: [c], to: a}]\n";
    struct policy_source src[] = {{.text = bytes_str(policy)}, {.text = text, .is_overlay = true}};
    struct policy *p = NULL;
    struct policy_request rq = {.method = bytes_str("GET"), .path = bytes_str("/p")};
    if (policy_compile_sources(&p, src, 2, NULL) != ERR_OK)
        return;
    if (policy_decide(p, policy_service(p, bytes_str("a")), &rq).allowed)
        abort(); /* nobody, who is named nowhere */
    policy_unref(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    const struct sign_key *keys[] = {&key};
    struct bytes body = bytes_of(in, len);
    struct overlay o;
    struct buf out = {0}, as_text = {0};
    if (overlay_open(&o, &root, body, NULL) == ERR_OK)
        abort(); /* nobody signed it */
    if (envelope_sign(&out, ENVELOPE_OVERLAY, body, keys, 1) == ERR_OK &&
        overlay_open(&o, &root, buf_bytes(&out), NULL) == ERR_OK)
        check(&o, body);
    if (overlay_sign(&as_text, &root, body, 1800000000, keys, 1, NULL) == ERR_OK &&
        overlay_open(&o, &root, buf_bytes(&as_text), NULL) != ERR_OK)
        abort(); /* what is signed is read */
    compose(body);
    buf_fini(&out);
    buf_fini(&as_text);
    return 0;
}
