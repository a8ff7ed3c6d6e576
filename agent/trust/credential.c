/* A credential: who a host is and what it may say.
 *   body   [grant, mesh, node, identity key, Noise key, [service, ...], {label}, not-before, expires]
 * `grant` is the grant's envelope, or empty when an enrol key signed the credential itself. */
#include "trust/body.h"

static void credential_encode(struct buf *out, const struct credential *c, struct bytes grant)
{
    codec_put_array(out, 9);
    codec_put_bin(out, grant);
    body_put_text(out, c->mesh);
    body_put_text(out, c->node);
    codec_put_bin(out, bytes_of(c->id.b, ID_BYTES));
    codec_put_bin(out, bytes_of(c->noise_key, sizeof c->noise_key));
    body_put_services(out, c->service, c->service_count);
    body_put_labels(out, &c->labels);
    body_put_time(out, c->not_before);
    body_put_time(out, c->expires);
}

/* All of the body's grant that is read before the body is known to be authentic. */
static struct bytes read_grant(struct codec *c)
{
    codec_array(c, "credential", 9, 9);
    return codec_bin(c, "credential.grant", 0, GRANT_BYTES_MAX);
}

void credential_decode(struct codec *c, struct credential *out, bool vouched)
{
    out->grant = read_grant(c);
    out->mesh = body_name(c, "credential.mesh", MESH_NAME_MAX);
    out->node = body_name(c, "credential.node", NODE_NAME_MAX);
    if (vouched)
        codec_bin_copy(c, "credential.id", out->id.b, sizeof out->id.b);
    else
        body_identity_pub(c, "credential.id", &out->id);
    codec_bin_copy(c, "credential.noise_key", out->noise_key, sizeof out->noise_key);
    /* ADVERSARY N14: with such a key every Noise handshake would agree on zeros. */
    if (!vouched && codec_ok(c) && !dh_pub_is_sound(out->noise_key))
        codec_refuse(c, ERR_AUTH, "credential.noise_key",
                     "not a sound X25519 key: small order or not canonical");
    out->service_count = body_services(c, "credential.services", out->service);
    body_labels(c, "credential.labels", &out->labels);
    out->not_before = body_time(c, "credential.not_before");
    out->expires = body_time(c, "credential.expires");
    if (out->expires <= out->not_before)
        codec_refuse(c, ERR_MALFORMED, "credential.expires", "not after its beginning");
    else if (out->expires - out->not_before > CREDENTIAL_LIFE_MAX_S)
        codec_refuse(c, ERR_MALFORMED, "credential.expires", "a life of more than 400 days");
}

void credential_reopen(struct credential *out, struct bytes envelope)
{
    struct envelope e;
    enum err err = envelope_parse(&e, envelope);
    assert(err == ERR_OK); /* it was accepted */
    struct codec c = codec_of(e.body);
    *out = (struct credential){.bytes = envelope};
    credential_decode(&c, out, true);
    assert(codec_ok(&c));
}

enum err credential_create_why(struct buf *out, const struct credential *c, struct bytes grant,
                               const struct sign_key *key, struct refusal *why)
{
    assert(c->service_count <= CREDENTIAL_SERVICES_MAX && c->labels.count <= LABELS_MAX);
    struct buf body = {0};
    struct credential back = {0};
    credential_encode(&body, c, grant);
    struct codec d = codec_of(buf_bytes(&body));
    credential_decode(&d, &back, false);
    if (codec_ok(&d) && !sign_pub_is_sound(c->id.b)) /* we vouch for no other, whatever is accepted */
        codec_refuse(&d, ERR_AUTH, "credential.id", "not a sound Ed25519 key: torsion");
    enum err err =
        body_seal(out, ENVELOPE_CREDENTIAL, &body, codec_end(&d, why), &key, 1, CREDENTIAL_BYTES_MAX, why);
    buf_fini(&body);
    return err;
}

enum err credential_create(struct buf *out, const struct credential *c, struct bytes grant,
                           const struct sign_key *key)
{
    return credential_create_why(out, c, grant, key, NULL);
}

bool credential_allows(const struct credential *c, struct bytes service)
{
    return body_service_listed(c->service, c->service_count, service);
}

bool credential_token(const struct credential *c, struct node_id *key)
{
    struct envelope e;
    struct grant g;
    if (c->grant.len == 0 || envelope_parse(&e, c->grant) != ERR_OK)
        return false;
    struct codec in = codec_of(e.body);
    grant_decode(&in, &g, true);
    *key = g.key;
    return codec_ok(&in);
}

static bool labels_within(const struct labels *said, const struct labels *limits)
{
    for (size_t i = 0; i < limits->count; i++) {
        const struct bytes *value = labels_get(said, limits->at[i].key);
        if (value && !bytes_eq(*value, limits->at[i].value))
            return false;
    }
    return true;
}

enum err credential_within_grant(const struct credential *c, const struct grant *g, struct refusal *why)
{
    if (!bytes_eq(c->mesh, g->mesh))
        return body_refuse(why, ERR_FOREIGN, "credential.mesh", "not the mesh of its grant");
    if (!pattern_matches(g->node_pattern, c->node))
        return body_refuse(why, ERR_DENIED, "credential.node", "not a node name that its grant is for");
    for (size_t i = 0; i < c->service_count; i++)
        if (!grant_allows(g, c->service[i]))
            return body_refuse(why, ERR_DENIED, "credential.services", "one that its grant does not allow");
    if (!labels_within(&c->labels, &g->labels))
        return body_refuse(why, ERR_DENIED, "credential.labels", "a value other than its grant's");
    if (c->not_before < g->not_before || c->not_before >= g->expires)
        return body_refuse(why, ERR_DENIED, "credential.not_before", "outside the time of its grant");
    if (c->expires - c->not_before > g->credential_life)
        return body_refuse(why, ERR_DENIED, "credential.expires", "a longer life than its grant allows");
    return ERR_OK;
}

/* By the word of an enrol key itself. */
static enum err check_enrol_key(const struct judging *j, bool vouched, const struct envelope *e)
{
    static const char others[] = "not by an enrol key of this mesh's root", field[] = "credential.signatures";
    enum err err = body_signers(e, &j->root->enrol, j->revoked, field, others, j->why);
    if (err || vouched)
        return err;
    return body_verify(e, ENVELOPE_CREDENTIAL, &j->root->enrol, field, others, j->why);
}

/* Finds out by whose word this credential stands, and verifies its raw bytes by that. */
static enum err check_voucher(const struct judging *j, bool vouched, const struct envelope *e,
                              struct grant *grant, bool *granted)
{
    struct codec c = codec_of(e->body);
    struct bytes inside = read_grant(&c);
    if (!codec_ok(&c)) /* the rest of the body stays unread; only these two were asked */
        return body_refuse(j->why, c.err, c.why.field, c.why.reason);
    *granted = inside.len > 0;
    if (e->sig_count != (*granted ? 1 : j->root->enrol.threshold))
        return body_refuse(j->why, ERR_AUTH, "credential.signatures", "more or fewer than it needs");
    if (!*granted)
        return check_enrol_key(j, vouched, e);
    enum err err = grant_judge(j, vouched, inside, grant);
    if (err || vouched)
        return err;
    struct role by = {1, 1, {grant->key}};
    return body_verify(e, ENVELOPE_CREDENTIAL, &by, "credential.signatures", "not by its grant's key",
                       j->why);
}

static enum err check_times(const struct root *root, const struct credential *c, wall_s now,
                            struct refusal *why)
{
    /* Nothing new begins under a root that has expired; what had begun goes on to its own end. So a mesh whose root nobody
     * renewed loses its members one by one, long after the first alarm, and not all in one second. */
    if (root->expires && c->not_before >= root->expires)
        return body_refuse(why, ERR_EXPIRED, "root.expires", "before the credential began");
    if (now >= c->expires)
        return body_refuse(why, ERR_EXPIRED, "credential.expires", "in the past");
    if (c->not_before > now + CLOCK_SKEW_S)
        return body_refuse(why, ERR_EXPIRED, "credential.not_before", "in the future");
    return ERR_OK;
}

static enum err open_body(struct credential *out, const struct envelope *e, const struct judging *j,
                          bool vouched)
{
    struct codec c = codec_of(e->body);
    credential_decode(&c, out, vouched);
    if (codec_ok(&c) && !bytes_eq(out->mesh, j->root->mesh))
        codec_refuse(&c, ERR_FOREIGN, "credential.mesh", "another mesh");
    if (codec_ok(&c) && revoked_has(j->revoked, &out->id))
        codec_refuse(&c, ERR_REVOKED, "credential.id", "revoked");
    return codec_end(&c, j->why);
}

/* Everything but the times, which are judged whether or not the rest is known. */
static enum err open_verified(const struct judging *j, bool vouched, const struct envelope *e,
                              struct credential *c)
{
    struct grant grant = {0};
    bool granted = false;
    enum err err = check_voucher(j, vouched, e, &grant, &granted);
    if (!err)
        err = open_body(c, e, j, vouched);
    if (!err && granted && !vouched)
        err = credential_within_grant(c, &grant, j->why);
    return err;
}

enum err credential_judge(const struct judging *j, bool vouched, struct bytes envelope,
                          struct credential *out)
{
    struct envelope e;
    struct credential c = {.bytes = envelope};
    struct hash hash = {{0}};
    if (envelope.len > CREDENTIAL_BYTES_MAX)
        return body_refuse(j->why, ERR_MALFORMED, "credential", "too long");
    enum err err = envelope_parse_why(&e, envelope, j->why);
    if (!err)
        err = body_type(&e, ENVELOPE_CREDENTIAL, "not a credential", j->why);
    if (err)
        return err;
    bool learn = j->seen && !vouched;
    if (learn)
        hash = hash_of(envelope);
    if (learn && cache_knows(j->seen, &hash, j->now)) {
        vouched = true;
        learn = false;
    }
    err = open_verified(j, vouched, &e, &c);
    if (!err)
        err = check_times(j->root, &c, j->now, j->why);
    if (!err && learn)
        cache_learn(j->seen, &hash, c.expires, j->now);
    if (!err)
        *out = c;
    return err;
}

enum err trust_credential_why(const struct trust *t, struct bytes envelope, wall_s now,
                              struct credential *out, struct refusal *why)
{
    struct judging j = judging_by(t, NULL, now, why);
    return credential_judge(&j, false, envelope, out);
}

enum err trust_recheck(const struct trust *t, const struct credential *c, wall_s now)
{
    struct judging j = judging_by(t, NULL, now, NULL);
    struct credential again;
    return credential_judge(&j, true, c->bytes, &again);
}

enum err trust_credential(const struct trust *t, struct bytes envelope, wall_s now, struct credential *out)
{
    return trust_credential_why(t, envelope, now, out, NULL);
}

/* -- left behind by a rotation ----------------------------------------------------------------- */

/* By its own word: who signed it, or the grant that it stands on. */
static bool find_enroller(struct envelope *by, struct bytes credential)
{
    if (credential.len > CREDENTIAL_BYTES_MAX || envelope_parse(by, credential) != ERR_OK)
        return false;
    struct codec c = codec_of(by->body);
    struct bytes grant = read_grant(&c);
    return codec_ok(&c) && (grant.len == 0 || envelope_parse(by, grant) == ERR_OK);
}

static bool has_signer(const struct role *role, const struct envelope *e)
{
    for (size_t i = 0; i < e->sig_count; i++) {
        struct node_id key;
        memcpy(key.b, e->sig[i].key, sizeof key.b);
        if (role_has(role, &key))
            return true;
    }
    return false;
}

bool credential_was_vouched(const struct chain *chain, struct bytes credential, wall_s now,
                            struct credential *out, uint64_t *epoch)
{
    struct envelope by;
    if (!find_enroller(&by, credential))
        return false;
    for (size_t i = chain->count - 1; i-- > 0;) {
        struct envelope e;
        struct root root = {.epoch = 0};
        if (envelope_parse(&e, chain->envelope[i]) != ERR_OK)
            return false; /* verified when the chain was opened: it cannot be */
        struct codec c = codec_of(e.body);
        root_decode(&c, &root, true);
        if (!has_signer(&root.enrol, &by))
            continue;
        *epoch = root.epoch;
        const struct judging j = {.root = &root, .now = now};
        return credential_judge(&j, false, credential, out) == ERR_OK;
    }
    return false;
}
