#include "policy/overlay.h"

#include "trust/codec.h"

static void body_encode(struct buf *out, const struct overlay *o)
{
    codec_put_array(out, 6);
    codec_put_str(out, o->mesh);
    codec_put_u64(out, o->epoch);
    codec_put_u64(out, o->version);
    codec_put_u64(out, (uint64_t)o->begins);
    codec_put_u64(out, (uint64_t)o->ends);
    codec_put_str(out, o->text);
}

static must_check enum err body_decode(struct overlay *o, struct bytes body, struct refusal *why)
{
    struct codec c = codec_of(body);
    (void)codec_array(&c, "overlay", 6, 6);
    o->mesh = codec_str(&c, "overlay.mesh", MESH_NAME_MAX);
    o->epoch = codec_u64(&c, "overlay.epoch", NUMBER_MAX);
    o->version = codec_u64(&c, "overlay.version", NUMBER_MAX);
    o->begins = (wall_s)codec_u64(&c, "overlay.begins", (uint64_t)WALL_MAX);
    o->ends = (wall_s)codec_u64(&c, "overlay.ends", (uint64_t)WALL_MAX);
    o->text = codec_str(&c, "overlay.text", OVERLAY_TEXT_MAX);
    if (o->ends <= o->begins || o->ends - o->begins > OVERLAY_LIFE_MAX_S)
        codec_refuse(&c, ERR_INVALID, "overlay.ends", "not within 24 hours after it was signed");
    return codec_end(&c, why);
}

static enum err refused(struct complaints *c, enum err e, const char *text)
{
    complain(c, NULL, "%s", text);
    return e;
}

struct overlay_signers overlay_signers(const struct root *root)
{
    const struct delegation *d = root_delegation(root, bytes_str(OVERLAY_DELEGATION));
    const struct role *role = d ? &d->role : &root->policy;
    size_t least = role->count < 2 ? role->count : 2;
    struct overlay_signers s = {.role = role, .wanted = role->threshold > least ? role->threshold : least};
    if (d)
        s.reach = (struct policy_reach){OVERLAY_DELEGATION, d->service, d->service_count};
    return s;
}

/* -- the text ---------------------------------------------------------------------------------- */

static enum err compile(struct policy **p, const struct overlay_signers *by, struct bytes text,
                        struct complaints *c)
{
    struct policy_source source = {.file = c ? c->file : NULL,
                                   .text = text,
                                   .reach_or_null = by->reach.name ? &by->reach : NULL,
                                   .is_overlay = true};
    return policy_compile_sources(p, &source, 1, c);
}

/* What the text says of itself. */
static void take_said(struct overlay *o, const struct policy *p)
{
    const struct policy_overlay *said = policy_overlay(p);
    o->version = said->version;
    o->ends = said->ends;
    o->rule_count = said->rule_count;
    snprintf(o->name, sizeof o->name, "%s", said->name);
    snprintf(o->reason, sizeof o->reason, "%s", said->reason);
}

/* ... which must be what was signed beside it. */
static enum err check_text(struct overlay *o, const struct overlay_signers *by, struct complaints *c)
{
    struct overlay said = {.version = 0};
    struct policy *p = NULL;
    enum err e = compile(&p, by, o->text, c);
    if (e != ERR_OK)
        return e;
    take_said(&said, p);
    if (!bytes_eq_str(o->mesh, policy_mesh(p)))
        e = refused(c, ERR_INVALID, "the text names another mesh than the overlay");
    else if (said.version != o->version || said.ends != o->ends)
        e = refused(c, ERR_INVALID, "the text says another version or another end than the overlay");
    else
        take_said(o, p);
    policy_unref(p);
    return e;
}

/* -- verifying --------------------------------------------------------------------------------- */

static enum err check_signatures(const struct envelope *e, const struct overlay_signers *by, size_t least,
                                 struct complaints *c)
{
    enum err err = envelope_verify(e, ENVELOPE_OVERLAY, by->role->key, by->role->count, least);
    if (err == ERR_AUTH)
        return refused(c, err, "the signature does not fit the bytes: altered on its way");
    if (err == ERR_DENIED)
        return refused(c, err, "not signed by enough keys that may break glass in this mesh");
    if (err == ERR_UNSUPPORTED)
        return refused(c, err, "an overlay of a later version than this one reads: update starling");
    if (err == ERR_INVALID)
        return refused(c, ERR_MALFORMED, "signed, but no overlay");
    if (err != ERR_OK)
        return refused(c, err, err_text(err));
    for (size_t i = 0; i < e->sig_count; i++) {
        struct node_id key;
        memcpy(key.b, e->sig[i].key, ID_BYTES);
        if (!role_has(by->role, &key))
            return refused(c, ERR_DENIED, "carries a signature by a key that may not break glass");
    }
    if (e->sig_count > by->wanted)
        return refused(c, ERR_DENIED, "carries more signatures than are wanted");
    return ERR_OK;
}

static void note_signers(struct overlay *o, const struct envelope *e)
{
    o->hash = hash_of(e->body);
    o->signer_count = e->sig_count;
    for (size_t i = 0; i < e->sig_count; i++)
        memcpy(o->signer[i].b, e->sig[i].key, ID_BYTES);
}

static enum err check_body(struct overlay *o, const struct root *root, const struct overlay_signers *by,
                           struct bytes body, struct complaints *c)
{
    struct refusal why;
    enum err e = body_decode(o, body, &why);
    if (e != ERR_OK) {
        complain(c, NULL, "%s: %s", why.field, why.reason);
        return e;
    }
    if (!bytes_eq(o->mesh, root->mesh))
        return refused(c, ERR_FOREIGN, "for another mesh");
    if (o->epoch > root->epoch)
        return refused(c, ERR_DENIED, "of an epoch beyond the root's");
    return check_text(o, by, c);
}

static enum err open_whole(struct overlay *out, const struct root *root, struct bytes in, bool is_draft,
                           struct complaints *c)
{
    struct overlay_signers by = overlay_signers(root);
    struct overlay o = {.signers_wanted = by.wanted};
    struct envelope env;
    struct refusal why;
    if (in.len > OVERLAY_BYTES_MAX)
        return refused(c, ERR_LIMIT, "too large for an overlay");
    enum err e = envelope_parse_why(&env, in, &why);
    if (e != ERR_OK) {
        complain(c, NULL, "%s: %s", why.field, why.reason);
        return e;
    }
    e = check_signatures(&env, &by, is_draft ? 1 : by.wanted, c);
    if (e == ERR_OK)
        e = check_body(&o, root, &by, env.body, c);
    if (e != ERR_OK)
        return e;
    note_signers(&o, &env);
    *out = o;
    return ERR_OK;
}

must_check enum err overlay_open(struct overlay *out, const struct root *root, struct bytes in,
                                 struct complaints *c)
{
    return open_whole(out, root, in, false, c);
}

must_check enum err overlay_read(struct overlay *out, const struct root *root, struct bytes in,
                                 struct complaints *c)
{
    return open_whole(out, root, in, true, c);
}

must_check enum err overlay_settle(struct buf *out, const struct root *root, struct bytes in)
{
    struct overlay_signers by = overlay_signers(root);
    return envelope_settle(out, in, ENVELOPE_OVERLAY, by.role->key, by.role->count, by.wanted);
}

struct bytes overlay_text(struct bytes in)
{
    struct envelope env;
    struct overlay o = {.version = 0};
    bool ok = envelope_parse(&env, in) == ERR_OK && bytes_eq_str(env.type, ENVELOPE_OVERLAY) &&
              body_decode(&o, env.body, NULL) == ERR_OK;
    return ok ? o.text : bytes_of(NULL, 0);
}

enum overlay_phase overlay_phase(const struct overlay *o, wall_s now)
{
    return now >= o->ends ? OVERLAY_OVER : now + CLOCK_SKEW_S < o->begins ? OVERLAY_EARLY : OVERLAY_ON;
}

must_check enum err overlay_succeeds(const struct overlay *o, uint64_t epoch, uint64_t version,
                                     const struct hash *hash)
{
    struct bundle b = {.epoch = o->epoch, .version = o->version, .hash = o->hash};
    return bundle_succeeds(&b, epoch, version, hash);
}

/* -- signing ----------------------------------------------------------------------------------- */

static enum err check_keys(const struct overlay_signers *by, const struct sign_key *const *keys, size_t count,
                           struct complaints *c)
{
    if (count > by->wanted) {
        complain(c, NULL, "%zu keys given; an overlay wants %zu signatures and no more", count, by->wanted);
        return ERR_DENIED;
    }
    for (size_t i = 0; i < count; i++) {
        if (!role_has(by->role, &keys[i]->pub))
            return refused(c, ERR_DENIED, "a key given is not among those that may break glass in this mesh");
        for (size_t j = 0; j < i; j++)
            if (node_id_eq(&keys[i]->pub, &keys[j]->pub))
                return refused(c, ERR_DENIED, "the same key is given twice; a key counts once");
    }
    return ERR_OK;
}

static enum err seal(struct buf *out, const struct overlay *o, const struct sign_key *const *keys,
                     size_t key_count)
{
    struct buf body = {0};
    body_encode(&body, o);
    enum err e =
        buf_ok(&body) ? envelope_sign(out, ENVELOPE_OVERLAY, buf_bytes(&body), keys, key_count) : ERR_NOMEM;
    buf_fini(&body);
    return e;
}

must_check enum err overlay_sign(struct buf *out, const struct root *root, struct bytes text, wall_s begins,
                                 const struct sign_key *const *keys, size_t key_count, struct complaints *c)
{
    struct overlay_signers by = overlay_signers(root);
    struct overlay o = {.mesh = root->mesh, .epoch = root->epoch, .begins = begins, .text = text};
    struct policy *p = NULL;
    if (text.len > OVERLAY_TEXT_MAX)
        return refused(c, ERR_LIMIT, "too large for an overlay");
    enum err e = compile(&p, &by, text, c);
    if (e == ERR_OK && !codec_is_utf8(text))
        e = refused(c, ERR_INVALID, "the text is not UTF-8");
    if (e == ERR_OK && !bytes_eq_str(root->mesh, policy_mesh(p)))
        e = refused(c, ERR_INVALID, "the text names another mesh than the root");
    if (e == ERR_OK && !policy_overlay_check_ends(p, begins, c))
        e = ERR_INVALID;
    if (e == ERR_OK)
        e = check_keys(&by, keys, key_count, c);
    if (e == ERR_OK) {
        take_said(&o, p);
        e = seal(out, &o, keys, key_count);
    }
    policy_unref(p);
    return e;
}

must_check enum err overlay_cosign(struct buf *out, const struct root *root, struct bytes draft, wall_s now,
                                   const struct sign_key *key, struct complaints *c)
{
    struct overlay_signers by = overlay_signers(root);
    struct overlay o;
    enum err e = overlay_read(&o, root, draft, c);
    if (e == ERR_OK)
        e = check_keys(&by, &key, 1, c);
    if (e == ERR_OK && overlay_phase(&o, now) == OVERLAY_OVER)
        e = refused(c, ERR_EXPIRED, "it has ended already; sign a new one");
    if (e == ERR_OK && overlay_phase(&o, now) == OVERLAY_EARLY)
        e = refused(c, ERR_EXPIRED,
                    "its first signer signed it in what is the future here: one of the two clocks is wrong");
    for (size_t i = 0; e == ERR_OK && i < o.signer_count; i++)
        if (node_id_eq(&o.signer[i], &key->pub))
            e = refused(c, ERR_EXISTS, "this key has signed it already; a key counts once");
    if (e == ERR_OK && o.signer_count == o.signers_wanted)
        e = refused(c, ERR_LIMIT, "it has all the signatures that it needs");
    return e == ERR_OK ? envelope_cosign(out, draft, key) : e;
}

static void put_quoted(struct buf *out, const char *text)
{
    buf_add_str(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_add_str(out, "\\");
        buf_add(out, text, 1);
    }
    buf_add_str(out, "\"\n");
}

must_check enum err overlay_end_text(struct buf *out, const struct overlay *o, const char *reason)
{
    char ends[WALL_TEXT_MAX];
    wall_text(o->ends, ends);
    buf_addf(out, "overlay: v1\nmesh: %.*s\nname: %s\nversion: %llu\nends: %s\nintentions: []\nreason: ",
             (int)o->mesh.len, (const char *)o->mesh.at, o->name, (unsigned long long)o->version + 1, ends);
    put_quoted(out, reason);
    return buf_ok(out) ? ERR_OK : ERR_NOMEM;
}
