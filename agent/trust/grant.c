/* A grant: an enrolment key with limits, vouched for by an enrol key. A token is a grant with its private
 * half. body   [mesh, key, node-pattern, [service, ...], {label}, not-before, expires, credential-life] */
#include "trust/body.h"

static void grant_encode(struct buf *out, const struct grant *g)
{
    codec_put_array(out, 8);
    body_put_text(out, g->mesh);
    codec_put_bin(out, bytes_of(g->key.b, ID_BYTES));
    body_put_text(out, g->node_pattern);
    body_put_services(out, g->service, g->service_count);
    body_put_labels(out, &g->labels);
    body_put_time(out, g->not_before);
    body_put_time(out, g->expires);
    body_put_time(out, g->credential_life);
}

void grant_decode(struct codec *c, struct grant *g, bool vouched)
{
    codec_array(c, "grant", 8, 8);
    g->mesh = body_name(c, "grant.mesh", MESH_NAME_MAX);
    if (vouched)
        codec_bin_copy(c, "grant.key", g->key.b, sizeof g->key.b);
    else
        body_sign_pub(c, "grant.key", &g->key);
    g->node_pattern = codec_str(c, "grant.node", NODE_NAME_MAX);
    if (!pattern_is_sound(g->node_pattern))
        codec_refuse(c, ERR_MALFORMED, "grant.node", "not a node name, nor the beginning of one and '*'");
    g->service_count = body_services(c, "grant.services", g->service);
    body_labels(c, "grant.labels", &g->labels);
    g->not_before = body_time(c, "grant.not_before");
    g->expires = body_time(c, "grant.expires");
    g->credential_life = body_time(c, "grant.credential_life");
    if (g->expires <= g->not_before)
        codec_refuse(c, ERR_MALFORMED, "grant.expires", "not after its beginning");
    if (g->credential_life == 0)
        codec_refuse(c, ERR_MALFORMED, "grant.credential_life", "zero");
    if (g->credential_life > CREDENTIAL_LIFE_MAX_S || g->expires - g->not_before > GRANT_LIFE_MAX_S)
        codec_refuse(c, ERR_MALFORMED, "grant.credential_life", "a life of more than 400 days");
}

enum err grant_create(struct buf *out, const struct grant *g, const struct sign_key *enrol_key)
{
    assert(g->service_count <= CREDENTIAL_SERVICES_MAX && g->labels.count <= LABELS_MAX);
    struct buf body = {0};
    struct grant back = {0};
    grant_encode(&body, g);
    struct codec c = codec_of(buf_bytes(&body));
    grant_decode(&c, &back, false);
    enum err err =
        body_seal(out, ENVELOPE_GRANT, &body, codec_end(&c, NULL), &enrol_key, 1, GRANT_BYTES_MAX, NULL);
    buf_fini(&body);
    return err;
}

/* Signed by as many enrol keys as the root asks for, and by nobody else. */
static enum err check_signatures(const struct judging *j, bool vouched, const struct envelope *e)
{
    static const char others[] = "not by an enrol key of this mesh's root";
    enum err is_other = body_type(e, ENVELOPE_GRANT, "not a grant", j->why);
    if (is_other)
        return is_other;
    if (e->sig_count != j->root->enrol.threshold)
        return body_refuse(j->why, ERR_AUTH, "grant.signatures", "not as many as the root asks for");
    enum err err = body_signers(e, &j->root->enrol, j->revoked, "grant.signatures", others, j->why);
    if (err || vouched)
        return err;
    return body_verify(e, ENVELOPE_GRANT, &j->root->enrol, "grant.signatures", others, j->why);
}

enum err grant_judge(const struct judging *j, bool vouched, struct bytes envelope, struct grant *out)
{
    struct envelope e;
    struct grant g = {0};
    if (envelope.len > GRANT_BYTES_MAX)
        return body_refuse(j->why, ERR_MALFORMED, "grant", "too long");
    enum err err = envelope_parse_why(&e, envelope, j->why);
    if (err)
        return err;
    /* All who were enrolled with one token carry the same grant: its signature is checked once. */
    bool learn = j->seen && !vouched;
    struct hash hash = {{0}};
    if (learn)
        hash = hash_of(envelope);
    if (learn && cache_knows(j->seen, &hash, j->now)) {
        vouched = true;
        learn = false;
    }
    err = check_signatures(j, vouched, &e);
    if (err)
        return err;
    struct codec c = codec_of(e.body);
    grant_decode(&c, &g, vouched);
    if (codec_ok(&c) && !bytes_eq(g.mesh, j->root->mesh))
        codec_refuse(&c, ERR_FOREIGN, "grant.mesh", "another mesh");
    if (codec_ok(&c) && revoked_has(j->revoked, &g.key))
        codec_refuse(&c, ERR_REVOKED, "grant.key",
                     "revoked, and with it every host enrolled with this token");
    err = codec_end(&c, j->why);
    if (!err && learn)
        cache_learn(j->seen, &hash, WALL_MAX, j->now); /* it outlives its own end in what it has signed */
    if (!err)
        *out = g;
    return err;
}

enum err grant_open_why(struct grant *out, const struct root *root, struct bytes envelope,
                        struct refusal *why)
{
    struct judging j = {.root = root, .why = why};
    return grant_judge(&j, false, envelope, out);
}

bool grant_allows(const struct grant *g, struct bytes service)
{
    return body_service_listed(g->service, g->service_count, service);
}
