#include "trust/request.h"

#include "trust/body.h"

#define REQUEST_HEAD    "starling-request-1:"
#define CREDENTIAL_HEAD "starling-credential-1:"

static void request_encode(struct buf *out, const struct request *r)
{
    codec_put_array(out, 6);
    body_put_text(out, r->node);
    codec_put_bin(out, bytes_of(r->id.b, ID_BYTES));
    codec_put_bin(out, bytes_of(r->noise_key, sizeof r->noise_key));
    body_put_services(out, r->service, r->service_count);
    body_put_labels(out, &r->labels);
    body_put_time(out, r->at);
}

static void request_body(struct codec *c, struct request *r)
{
    codec_array(c, "request", 6, 6);
    r->node = body_name(c, "request.node", NODE_NAME_MAX);
    body_sign_pub(c, "request.id", &r->id);
    codec_bin_copy(c, "request.noise_key", r->noise_key, sizeof r->noise_key);
    if (codec_ok(c) && !dh_pub_is_sound(r->noise_key)) /* ADVERSARY N14 */
        codec_refuse(c, ERR_AUTH, "request.noise_key",
                     "not a sound X25519 key: small order or not canonical");
    r->service_count = body_services(c, "request.services", r->service);
    body_labels(c, "request.labels", &r->labels);
    r->at = body_time(c, "request.at");
}

enum err request_create(struct buf *text, const struct request *r, const struct sign_key *identity,
                        struct refusal *why)
{
    assert(r->service_count <= CREDENTIAL_SERVICES_MAX && r->labels.count <= LABELS_MAX);
    struct buf body = {0}, envelope = {0};
    struct request back = {0};
    request_encode(&body, r);
    struct codec c = codec_of(buf_bytes(&body));
    request_body(&c, &back);
    enum err err = body_seal(&envelope, ENVELOPE_REQUEST, &body, codec_end(&c, why), &identity, 1,
                             REQUEST_BYTES_MAX, why);
    if (!err)
        err = body_wrap(text, REQUEST_HEAD, buf_bytes(&envelope));
    buf_fini(&body);
    buf_fini(&envelope);
    return err;
}

/* The body names the key that it is signed with, so it is read before its signature is checked: it speaks for nobody but
 * itself. */
enum err request_decode(struct request *out, struct buf *space, struct bytes text, struct refusal *why)
{
    struct envelope e;
    struct request r = {0};
    enum err err = body_unwrap(space, REQUEST_HEAD, text, REQUEST_TEXT_MAX, "request", why);
    if (!err)
        err = envelope_parse_why(&e, buf_bytes(space), why);
    if (!err)
        err = body_type(&e, ENVELOPE_REQUEST, "not a request", why);
    if (!err && e.sig_count != 1)
        err = body_refuse(why, ERR_AUTH, "request.signatures", "more than its host's");
    if (err)
        return err;
    struct codec c = codec_of(e.body);
    request_body(&c, &r);
    err = codec_end(&c, why);
    struct role by = {1, 1, {r.id}};
    if (!err)
        err = body_verify(&e, ENVELOPE_REQUEST, &by, "request.signatures", "not by the identity key in it",
                          why);
    if (!err)
        *out = r;
    return err;
}

enum err credential_text_encode(struct buf *text, struct bytes root, struct bytes credential)
{
    struct buf raw = {0};
    codec_put_array(&raw, 2);
    codec_put_bin(&raw, root);
    codec_put_bin(&raw, credential);
    enum err err = buf_ok(&raw) ? body_wrap(text, CREDENTIAL_HEAD, buf_bytes(&raw)) : ERR_NOMEM;
    buf_fini(&raw);
    return err;
}

enum err credential_text_decode(struct buf *credential, struct buf *root, struct bytes text)
{
    struct buf space = {0};
    enum err err = body_unwrap(&space, CREDENTIAL_HEAD, text, CREDENTIAL_TEXT_MAX, "credential", NULL);
    if (!err) {
        struct codec c = codec_of(buf_bytes(&space));
        codec_array(&c, "credential text", 2, 2);
        struct bytes r = codec_bin(&c, "root", 1, ROOT_BYTES_MAX);
        struct bytes k = codec_bin(&c, "credential", 1, CREDENTIAL_BYTES_MAX);
        err = codec_end(&c, NULL);
        if (!err) {
            buf_add_bytes(root, r);
            buf_add_bytes(credential, k);
            err = buf_ok(root) && buf_ok(credential) ? ERR_OK : ERR_NOMEM;
        }
    }
    buf_fini(&space);
    return err;
}
