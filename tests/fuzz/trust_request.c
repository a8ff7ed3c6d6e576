/* What comes by mail or USB stick: a request, and the text of a credential. What is accepted says the same when it is
 * written again. */
#include <stdlib.h>

#include "trust/body.h"
#include "trust/request.h"

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void as_request(struct bytes in)
{
    struct buf space = {0};
    struct request r;
    struct refusal why = {0};
    enum err e = request_decode(&r, &space, in, &why);
    check(e == ERR_OK || (why.field && why.reason));
    if (e == ERR_OK)
        check(name_is_sound(r.node, NODE_NAME_MAX) && r.service_count >= 1 && sign_pub_is_sound(r.id.b) &&
              dh_pub_is_sound(r.noise_key));
    buf_fini(&space);
}

/* The input as the body of an envelope that is signed: what a host with a key can send. */
static void as_signed_body(struct bytes in)
{
    static struct sign_key key;
    const struct sign_key *by = &key;
    struct buf envelope = {0}, text = {0};
    if (node_id_is_zero(&key.pub)) {
        uint8_t seed[32] = {1};
        check(trust_init() == ERR_OK && sign_key_of_seed(&key, seed) == ERR_OK);
    }
    check(envelope_sign(&envelope, ENVELOPE_REQUEST, in, &by, 1) == ERR_OK);
    check(body_wrap(&text, "starling-request-1:", buf_bytes(&envelope)) == ERR_OK);
    as_request(buf_bytes(&text));
    buf_fini(&envelope);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct buf credential = {0}, root = {0};
    as_request(bytes_of(at, len));
    if (credential_text_decode(&credential, &root, bytes_of(at, len)) != ERR_OK)
        check(credential.len == 0 && root.len == 0);
    if (len < 2048)
        as_signed_body(bytes_of(at, len));
    buf_fini(&credential);
    buf_fini(&root);
    return 0;
}
