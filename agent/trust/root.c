/* The root: who may sign what in this mesh.
 *   body   [mesh, epoch, expires, role root, role policy, role enrol]
 *   role   [threshold, [key, ...]]                keys rise */
#include "trust/body.h"

static void put_role(struct buf *out, const struct role *r)
{
    codec_put_array(out, 2);
    codec_put_u64(out, r->threshold);
    codec_put_array(out, r->count);
    for (size_t i = 0; i < r->count; i++)
        codec_put_bin(out, bytes_of(r->key[i].b, ID_BYTES));
}

static int by_key(const void *a, const void *b)
{
    return node_id_cmp(a, b);
}

static void put_sorted_role(struct buf *out, struct role r)
{
    assert(r.count <= ROLE_KEYS_MAX);
    qsort(r.key, r.count, sizeof *r.key, by_key);
    put_role(out, &r);
}

static void root_encode(struct buf *out, const struct root *r)
{
    codec_put_array(out, 6);
    body_put_text(out, r->mesh);
    codec_put_u64(out, r->epoch);
    body_put_time(out, r->expires);
    put_sorted_role(out, r->root);
    put_sorted_role(out, r->policy);
    put_sorted_role(out, r->enrol);
}

static void read_role(struct codec *c, const char *field, struct role *r)
{
    codec_array(c, field, 2, 2);
    r->threshold = (size_t)codec_u64(c, field, ROLE_KEYS_MAX);
    r->count = codec_array(c, field, 1, ROLE_KEYS_MAX);
    for (size_t i = 0; i < r->count && codec_ok(c); i++) {
        body_sign_pub(c, field, &r->key[i]);
        if (i > 0 && node_id_cmp(&r->key[i - 1], &r->key[i]) >= 0)
            codec_refuse(c, ERR_MALFORMED, field, "a key repeats or is not in order");
    }
    if (r->threshold < 1 || r->threshold > r->count)
        codec_refuse(c, ERR_MALFORMED, field, "a threshold of none, or of more keys than there are");
}

void root_decode(struct codec *c, struct root *r)
{
    codec_array(c, "root", 6, 6);
    r->mesh = body_name(c, "root.mesh", MESH_NAME_MAX);
    r->epoch = codec_u64(c, "root.epoch", NUMBER_MAX);
    r->expires = body_time(c, "root.expires");
    read_role(c, "root.root", &r->root);
    read_role(c, "root.policy", &r->policy);
    read_role(c, "root.enrol", &r->enrol);
}

enum err root_create(struct buf *out, const struct root *root, const struct sign_key *const *keys,
                     size_t key_count)
{
    struct buf body = {0};
    struct root back = {0};
    root_encode(&body, root);
    struct codec c = codec_of(buf_bytes(&body));
    root_decode(&c, &back);
    enum err err =
        body_seal(out, ENVELOPE_ROOT, &body, codec_end(&c, NULL), keys, key_count, ROOT_BYTES_MAX, NULL);
    buf_fini(&body);
    return err;
}

/* A root names the keys it is signed with, so here alone the body is read before its signatures are checked:
 * whether to believe it at all is for whoever brought it (a token, a file in the operator's hand). */
enum err root_open_why(struct root *out, struct bytes envelope, struct refusal *why)
{
    struct envelope e;
    struct root r = {0};
    if (envelope.len > ROOT_BYTES_MAX)
        return body_refuse(why, ERR_MALFORMED, "root", "too long");
    enum err err = envelope_parse_why(&e, envelope, why);
    if (err)
        return err;
    if (!bytes_eq_str(e.type, ENVELOPE_ROOT))
        return body_refuse(why, ERR_MALFORMED, "envelope.type", "not a root");
    struct codec c = codec_of(e.body);
    root_decode(&c, &r);
    err = codec_end(&c, why);
    if (err)
        return err;
    err = body_verify(&e, ENVELOPE_ROOT, &r.root, "root.signatures", "by fewer root keys than its threshold",
                      why);
    if (!err)
        *out = r;
    return err;
}

enum err root_open(struct root *out, struct bytes envelope)
{
    return root_open_why(out, envelope, NULL);
}
