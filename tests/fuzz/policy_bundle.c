/* Any bytes as a bundle, and any bytes as the body of a bundle that the right key has signed: no crash, and
 * only canonical bodies for this mesh are accepted (B16, B25). */
#include <stddef.h>
#include <stdint.h>

#include "policy/bundle.h"
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
static void rewrite(const struct bundle *b, struct bytes body)
{
    struct buf again = {0};
    if (b->features) /* listed, or only needed by the text: what is open does not tell */
        return;
    codec_put_array(&again, 8);
    codec_put_str(&again, b->part);
    codec_put_str(&again, b->mesh);
    codec_put_u64(&again, b->epoch);
    codec_put_u64(&again, b->version);
    codec_put_bin(&again, bytes_of(b->previous.b, HASH_BYTES));
    codec_put_array(&again, 0);
    codec_put_str(&again, b->forced);
    codec_put_str(&again, b->text);
    if (!bytes_eq(buf_bytes(&again), body))
        abort();
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    const struct sign_key *keys[] = {&key};
    struct bytes body = bytes_of(in, len);
    struct bundle b;
    struct policy *p = NULL;
    struct buf out = {0};
    if (bundle_open(&b, NULL, &root, body, NULL) == ERR_OK)
        abort(); /* nobody signed it */
    if (envelope_sign(&out, ENVELOPE_POLICY, body, keys, 1) == ERR_OK &&
        bundle_open(&b, &p, &root, buf_bytes(&out), NULL) == ERR_OK)
        rewrite(&b, body);
    policy_unref(p);
    buf_fini(&out);
    return 0;
}
