#include "policy/bundle.h"

#include "trust/codec.h"

static_assert((int)POLICY_FEATURES <= (int)BUNDLE_FEATURES_MAX, "a policy may need them all");

/* The names, rising, as feature.h has them. */
static void features_encode(struct buf *out, uint64_t set)
{
    codec_put_array(out, (size_t)__builtin_popcountll(set));
    for (int f = 0; f < POLICY_FEATURES; f++)
        if (set & feature_bit((enum policy_feature)f))
            codec_put_str(out, bytes_str(feature_name((enum policy_feature)f)));
}

static const char dropped_mark[] = "\nrevocations dropped: ";

static void put_reasons(struct buf *out, struct bytes forced, struct bytes dropped)
{
    struct buf both = {0};
    buf_add_bytes(&both, forced);
    if (dropped.len > 0) {
        buf_add_str(&both, dropped_mark);
        buf_add_bytes(&both, dropped);
    }
    codec_put_str(out, buf_bytes(&both));
    out->failed |= !buf_ok(&both);
    buf_fini(&both);
}

/* A reason is one line, so the first line feed is the mark's; without its words all of it is the first reason. */
static void split_reasons(struct bundle *b, struct bytes both)
{
    size_t mark = sizeof dropped_mark - 1;
    const uint8_t *at = both.len > 0 ? memchr(both.at, '\n', both.len) : NULL;
    size_t first = at ? (size_t)(at - both.at) : both.len;
    bool has_mark = both.len - first > mark && memcmp(both.at + first, dropped_mark, mark) == 0;
    b->forced = bytes_of(both.at, has_mark ? first : both.len);
    b->dropped = has_mark ? bytes_of(at + mark, both.len - first - mark) : bytes_of(NULL, 0);
}

static void body_encode(struct buf *out, const struct bundle *b)
{
    codec_put_array(out, 8);
    codec_put_str(out, b->part);
    codec_put_str(out, b->mesh);
    codec_put_u64(out, b->epoch);
    codec_put_u64(out, b->version);
    codec_put_bin(out, bytes_of(b->previous.b, HASH_BYTES));
    features_encode(out, b->features);
    put_reasons(out, b->forced, b->dropped);
    codec_put_str(out, b->text);
}

struct needs { /* the features a body asks for */
    size_t count;
    struct bytes name[BUNDLE_FEATURES_MAX];
};

static must_check enum err body_decode(struct bundle *b, struct needs *needs, struct bytes body,
                                       struct refusal *why)
{
    struct codec c = codec_of(body);
    (void)codec_array(&c, "policy", 8, 8);
    b->part = codec_str(&c, "policy.part", SERVICE_NAME_MAX);
    b->mesh = codec_str(&c, "policy.mesh", MESH_NAME_MAX);
    b->epoch = codec_u64(&c, "policy.epoch", NUMBER_MAX);
    b->version = codec_u64(&c, "policy.version", NUMBER_MAX);
    codec_bin_copy(&c, "policy.previous", b->previous.b, HASH_BYTES);
    needs->count = codec_array(&c, "policy.features", 0, BUNDLE_FEATURES_MAX);
    for (size_t i = 0; i < needs->count; i++) {
        needs->name[i] = codec_str(&c, "policy.features", BUNDLE_FEATURE_MAX);
        if (i > 0 && codec_cmp(needs->name[i - 1], needs->name[i]) >= 0)
            codec_refuse(&c, ERR_MALFORMED, "policy.features", "not rising");
    }
    split_reasons(b, codec_str(&c, "policy.forced", BUNDLE_REASON_MAX));
    b->text = codec_str(&c, "policy.text", BUNDLE_TEXT_MAX);
    return codec_end(&c, why);
}

/* Complains and returns `e`; what a verifier refuses has no place in the text. */
static enum err refused(struct complaints *c, enum err e, const char *text)
{
    complain(c, NULL, "%s", text);
    return e;
}

/* Who may sign it, as what, and what its text may speak of. */
struct signers {
    const char *type;
    const struct role *role;
    const struct delegation *part; /* NULL: the policy itself */
};

static struct signers signers_of(const struct root *root, struct bytes part)
{
    bool is_other = part.len == 0 || bytes_eq_str(part, OVERLAY_DELEGATION);
    const struct delegation *d = is_other ? NULL : root_delegation(root, part);
    if (part.len == 0)
        return (struct signers){ENVELOPE_POLICY, &root->policy, NULL};
    return (struct signers){ENVELOPE_PART, d ? &d->role : NULL, d};
}

/* Which there are: the name was misspelt, or the root is too old. */
static enum err no_such_part(const struct root *root, struct bytes part, struct complaints *c)
{
    struct buf names = {0};
    if (bytes_eq_str(part, OVERLAY_DELEGATION))
        return refused(
            c, ERR_DENIED,
            "the root delegates no such part: `" OVERLAY_DELEGATION
            "` is the name of those who sign overlays (`starling overlay sign`), and signs no policy");
    for (size_t i = 0; i < root->delegation_count; i++)
        if (!bytes_eq_str(root->delegation[i].name, OVERLAY_DELEGATION))
            buf_addf(&names, "%s`%.*s`", names.len ? ", " : ": it delegates ",
                     (int)root->delegation[i].name.len, (const char *)root->delegation[i].name.at);
    complain(c, NULL, "the root of epoch %llu delegates no such part as `%.*s`%s",
             (unsigned long long)root->epoch, (int)part.len, (const char *)part.at,
             names.len ? buf_str(&names) : ", nor any other: `starling mesh rotate --delegate` does");
    buf_fini(&names);
    return ERR_DENIED;
}

/* Its first element, which says by whom the rest is to be signed, is all that is read of a body before that is known. */
static enum err find_signers(struct signers *out, const struct root *root, const struct envelope *e,
                             struct complaints *c)
{
    if (envelope_is_newer(e->type, ENVELOPE_POLICY) || envelope_is_newer(e->type, ENVELOPE_PART))
        return refused(c, ERR_UNSUPPORTED,
                       "a bundle of a later version than this one reads: update starling");
    struct codec r = codec_of(e->body);
    (void)codec_array(&r, "policy", 8, 8);
    struct bytes part = codec_str(&r, "policy.part", SERVICE_NAME_MAX);
    bool is_part = bytes_eq_str(e->type, ENVELOPE_PART);
    if (!is_part && !bytes_eq_str(e->type, ENVELOPE_POLICY))
        return refused(c, ERR_MALFORMED, "signed, but not a policy bundle");
    if (!codec_ok(&r) || is_part != (part.len > 0))
        return refused(c, ERR_MALFORMED, "not a policy, nor a part of one");
    *out = signers_of(root, part);
    if (out->role)
        return ERR_OK;
    complain(c, NULL, "this mesh's root delegates no part called `%.*s`", (int)part.len,
             (const char *)part.at);
    return ERR_DENIED;
}

static enum err compile(struct policy **p, const struct signers *by, struct bytes text, struct complaints *c)
{
    if (!by->part)
        return policy_compile(p, text, c);
    char name[SERVICE_NAME_MAX + 1] = "";
    memcpy(name, by->part->name.at, by->part->name.len);
    struct policy_reach reach = {name, by->part->service, by->part->service_count};
    struct policy_source source = {.file = c ? c->file : NULL, .text = text, .reach_or_null = &reach};
    return policy_compile_sources(p, &source, 1, c);
}

static bool is_listed(const struct role *role, const uint8_t key[ID_BYTES])
{
    struct node_id id;
    memcpy(id.b, key, ID_BYTES);
    return role_has(role, &id);
}

static enum err check_signatures(const struct envelope *e, const struct signers *by, size_t least,
                                 struct complaints *c)
{
    const struct role *role = by->role;
    enum err err = envelope_verify(e, by->type, role->key, role->count, least);
    if (err == ERR_AUTH)
        return refused(c, err, "the signature does not fit the bytes: altered on its way");
    if (err == ERR_DENIED)
        return refused(c, err,
                       by->part ? "not signed by enough keys of its part"
                                : "not signed by enough policy keys of this mesh's root");
    if (err != ERR_OK)
        return refused(c, err, err_text(err));
    for (size_t i = 0; i < e->sig_count; i++)
        if (!is_listed(role, e->sig[i].key))
            return refused(c, ERR_DENIED,
                           "carries a signature by a key that is no policy key of this mesh's root");
    if (e->sig_count > role->threshold)
        return refused(c, ERR_DENIED, "carries more signatures than the root's threshold");
    return ERR_OK;
}

static void complain_of_feature(struct complaints *c, struct bytes name)
{
    complain_of(c, CODE_FEATURE, NULL, "needs feature `%.*s`, which this version lacks; update the agent",
                (int)name.len, (const char *)name.at);
}

/* Every name must be a feature of the language as this engine knows it. */
static enum err check_needs(struct bundle *b, const struct needs *needs, struct complaints *c)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < needs->count; i++) {
        enum policy_feature f = feature_named(needs->name[i]);
        b->features |= feature_bit(f);
        if (f != FEATURE_NONE)
            continue;
        complain_of_feature(c, needs->name[i]);
        b->unknown[b->unknown_count++] = needs->name[i];
        e = ERR_UNSUPPORTED;
    }
    return e;
}

must_check enum err bundle_suits(const struct bundle *b, struct complaints *c)
{
    uint64_t lacking = features_lacking(b->features);
    for (int f = 0; f < POLICY_FEATURES; f++)
        if (lacking & feature_bit((enum policy_feature)f))
            complain_of_feature(c, bytes_str(feature_name((enum policy_feature)f)));
    return lacking ? ERR_UNSUPPORTED : ERR_OK;
}

/* What the text says of itself must be what was signed beside it. */
static enum err check_text(const struct policy *p, struct bytes mesh, struct bytes part, uint64_t version,
                           struct complaints *c)
{
    const char *says = policy_part(p);
    if (!bytes_eq_str(part, says ? says : ""))
        return refused(c, ERR_INVALID,
                       says ? "the text is another part than the bundle" : "the text names no part");
    if (part.len && version > PART_VERSION_MAX)
        return refused(c, ERR_INVALID, "a part's version ends at 2^32-1");
    if (!bytes_eq_str(mesh, policy_mesh(p)))
        return refused(c, ERR_INVALID, "the text names another mesh than the root");
    if (policy_version(p) != version)
        return refused(c, ERR_INVALID, "the text says another version than the bundle");
    return ERR_OK;
}

static enum err not_listed(const struct role *role, const struct root *root, const struct node_id *key,
                           struct complaints *c)
{
    char text[NODE_ID_TEXT_MAX];
    complain(c, NULL,
             "%s is not among the %s keys of the root of epoch %llu: sign with one that is, or by a newer "
             "root.trust",
             node_id_text(key, text), role == &root->policy ? "policy" : "part's",
             (unsigned long long)root->epoch);
    return ERR_DENIED;
}

static enum err check_keys(const struct root *root, const struct role *role,
                           const struct sign_key *const *keys, size_t count, struct complaints *c)
{
    if (count > role->threshold) {
        complain(c, NULL, "%zu keys given; this mesh's root wants %zu policy signatures and no more", count,
                 role->threshold);
        return ERR_DENIED;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_listed(role, keys[i]->pub.b))
            return not_listed(role, root, &keys[i]->pub, c);
        for (size_t j = 0; j < i; j++)
            if (node_id_eq(&keys[i]->pub, &keys[j]->pub))
                return refused(c, ERR_DENIED, "the same key is given twice; a key counts once");
    }
    return ERR_OK;
}

static bool has_line_feed(struct bytes b)
{
    return b.len > 0 && memchr(b.at, '\n', b.len);
}

static enum err compile_and_test(struct policy **p, const struct signers *by, const struct bundle_wish *w,
                                 struct complaints *c)
{
    size_t run;
    if (w->text.len > (by->part ? PART_BYTES_MAX - 8192 : BUNDLE_TEXT_MAX) ||
        w->forced.len + w->dropped.len + sizeof dropped_mark > BUNDLE_REASON_MAX)
        return refused(c, ERR_LIMIT, "too large for a bundle");
    if (has_line_feed(w->forced) || has_line_feed(w->dropped))
        return refused(c, ERR_INVALID, "a reason is one line");
    enum err e = compile(p, by, w->text, c);
    if (e != ERR_OK)
        return e;
    if (!codec_is_utf8(w->text) || !codec_is_utf8(w->forced) ||
        !codec_is_utf8(w->dropped)) /* libyaml's idea of UTF-8 is a little wider */
        return refused(c, ERR_INVALID, "the text is not UTF-8");
    return policy_test(*p, &run, c) == 0 || w->forced.len ? ERR_OK : ERR_INVALID;
}

static enum err seal(struct buf *out, const struct root *root, const struct bundle_wish *w,
                     const struct signers *by, const struct policy *p, const struct sign_key *const *keys,
                     size_t key_count)
{
    struct buf body = {0};
    struct bundle b = {.part = w->part,
                       .forced = w->forced,
                       .dropped = w->dropped,
                       .mesh = root->mesh,
                       .epoch = w->epoch,
                       .version = policy_version(p),
                       .features = policy_features(p),
                       .text = w->text};
    if (w->previous_or_null)
        b.previous = *w->previous_or_null;
    body_encode(&body, &b);
    enum err e = buf_ok(&body) ? envelope_sign(out, by->type, buf_bytes(&body), keys, key_count) : ERR_NOMEM;
    buf_fini(&body);
    return e;
}

must_check enum err bundle_sign_as(struct buf *out, const struct root *root, const struct bundle_wish *w,
                                   const struct sign_key *const *keys, size_t key_count, struct complaints *c)
{
    struct policy *p = NULL;
    struct signers by = signers_of(root, w->part);
    if (!by.role)
        return no_such_part(root, w->part, c);
    enum err e = compile_and_test(&p, &by, w, c);
    if (e == ERR_OK)
        e = check_text(p, root->mesh, w->part, policy_version(p), c);
    if (e == ERR_OK)
        e = check_keys(root, by.role, keys, key_count, c);
    if (e == ERR_OK && w->epoch > root->epoch)
        e = refused(c, ERR_DENIED, "the epoch is beyond the root's; a higher one begins with a new root");
    if (e == ERR_OK)
        e = seal(out, root, w, &by, p, keys, key_count);
    policy_unref(p);
    return e;
}

must_check enum err bundle_sign(struct buf *out, const struct root *root, uint64_t epoch, struct bytes text,
                                const struct hash *previous_or_null, const struct sign_key *const *keys,
                                size_t key_count, struct complaints *c)
{
    struct bundle_wish w = {.epoch = epoch, .text = text, .previous_or_null = previous_or_null};
    return bundle_sign_as(out, root, &w, keys, key_count, c);
}

static enum err check_body(struct bundle *b, const struct root *root, struct bytes body, struct complaints *c)
{
    struct needs needs;
    struct refusal why;
    enum err e = body_decode(b, &needs, body, &why);
    if (e != ERR_OK) {
        complain(c, NULL, "%s: %s", why.field, why.reason);
        return e;
    }
    if (!bytes_eq(b->mesh, root->mesh))
        return refused(c, ERR_FOREIGN, "for another mesh");
    if (b->epoch > root->epoch)
        return refused(c, ERR_DENIED, "of an epoch beyond the root's");
    return check_needs(b, &needs, c);
}

static void note_signers(struct bundle *b, const struct envelope *e)
{
    b->hash = hash_of(e->body);
    b->signer_count = e->sig_count;
    for (size_t i = 0; i < e->sig_count; i++)
        memcpy(b->signer[i].b, e->sig[i].key, ID_BYTES);
}

enum err bundle_peek(struct bundle *out, struct bytes in)
{
    struct envelope env;
    struct bundle b = {.epoch = 0};
    struct needs needs;
    struct refusal why;
    enum err e = envelope_parse(&env, in);
    if (e == ERR_OK && !bytes_eq_str(env.type, ENVELOPE_POLICY))
        e = envelope_is_newer(env.type, ENVELOPE_POLICY) ? ERR_UNSUPPORTED : ERR_MALFORMED;
    if (e == ERR_OK)
        e = body_decode(&b, &needs, env.body, &why);
    if (e != ERR_OK)
        return e;
    note_signers(&b, &env);
    *out = b;
    return ERR_OK;
}

/* The bundle is refused already; that it speaks of another mesh only makes a better reason of it. */
static enum err reason_of_denial(const struct root *root, struct bytes body, struct complaints *c)
{
    struct bundle b = {.hash = {{0}}};
    struct needs needs;
    struct refusal why;
    if (body_decode(&b, &needs, body, &why) != ERR_OK || bytes_eq(b.mesh, root->mesh))
        return ERR_DENIED;
    return refused(c, ERR_FOREIGN, "for another mesh");
}

/* Parsed, verified by at least so many, compiled: all that *out needs but the places of its signers. */
static enum err open_envelope(struct bundle *b, struct policy **p, const struct root *root, struct bytes in,
                              bool is_draft, struct complaints *c)
{
    struct envelope env;
    struct refusal why;
    if (in.len > BUNDLE_BYTES_MAX)
        return refused(c, ERR_LIMIT, "too large for a bundle");
    enum err e = envelope_parse_why(&env, in, &why);
    if (e != ERR_OK) {
        complain(c, NULL, "%s: %s", why.field, why.reason);
        return e;
    }
    struct signers by;
    e = find_signers(&by, root, &env, c);
    if (e == ERR_OK && by.part && in.len > PART_BYTES_MAX)
        e = refused(c, ERR_LIMIT, "too large for a part");
    if (e != ERR_OK)
        return e;
    e = check_signatures(&env, &by, is_draft ? 1 : by.role->threshold, c);
    if (e == ERR_DENIED)
        return reason_of_denial(root, env.body, c);
    if (e == ERR_OK)
        e = check_body(b, root, env.body, c);
    if (e == ERR_OK)
        e = compile(p, &by, b->text, c);
    if (e == ERR_OK)
        e = check_text(*p, b->mesh, b->part, b->version, c);
    if (e == ERR_OK) /* the list may be a liar's: what the text needs counts */
        b->features |= policy_features(*p);
    b->signers_wanted = by.role->threshold;
    note_signers(b, &env);
    return e;
}

static enum err open_whole(struct bundle *out, struct policy **out_policy, const struct root *root,
                           struct bytes in, bool is_draft, struct complaints *c)
{
    struct bundle b = {.epoch = 0};
    struct policy *p = NULL;
    enum err e = open_envelope(&b, &p, root, in, is_draft, c);
    if ((e == ERR_UNSUPPORTED || e == ERR_INVALID) && b.version > 0)
        *out = b;
    if (e != ERR_OK) {
        policy_unref(p);
        return e;
    }
    *out = b;
    if (out_policy)
        *out_policy = p;
    else
        policy_unref(p);
    return ERR_OK;
}

must_check enum err bundle_open(struct bundle *out, struct policy **out_policy, const struct root *root,
                                struct bytes in, struct complaints *c)
{
    return open_whole(out, out_policy, root, in, false, c);
}

must_check enum err bundle_read(struct bundle *out, struct policy **out_policy, const struct root *root,
                                struct bytes in, struct complaints *c)
{
    return open_whole(out, out_policy, root, in, true, c);
}

must_check enum err bundle_cosign(struct buf *out, const struct root *root, struct bytes draft,
                                  const struct sign_key *key, struct complaints *c)
{
    struct bundle b;
    size_t run;
    struct policy *p = NULL;
    enum err e = bundle_read(&b, &p, root, draft, c);
    if (e == ERR_OK && policy_test(p, &run, c) != 0 && b.forced.len == 0)
        e = ERR_INVALID;
    if (e == ERR_OK)
        e = check_keys(root, signers_of(root, b.part).role, &key, 1, c);
    for (size_t i = 0; e == ERR_OK && i < b.signer_count; i++)
        if (node_id_eq(&b.signer[i], &key->pub))
            e = refused(c, ERR_EXISTS, "this key has signed it already; a key counts once");
    if (e == ERR_OK && b.signer_count == b.signers_wanted)
        e = refused(c, ERR_LIMIT, "it has all the signatures that it needs");
    if (e == ERR_OK)
        e = envelope_cosign(out, draft, key);
    policy_unref(p);
    return e;
}

must_check enum err bundle_settle(struct buf *out, const struct root *root, struct bytes in)
{
    struct envelope env;
    struct signers by;
    enum err e = envelope_parse(&env, in);
    if (e == ERR_OK)
        e = find_signers(&by, root, &env, NULL);
    return e ? e : envelope_settle(out, in, by.type, by.role->key, by.role->count, by.role->threshold);
}

struct bytes bundle_text(struct bytes bundle)
{
    struct envelope env;
    struct bundle b = {.epoch = 0};
    struct needs needs;
    bool ok = envelope_parse(&env, bundle) == ERR_OK && body_decode(&b, &needs, env.body, NULL) == ERR_OK;
    return ok ? b.text : bytes_of(NULL, 0);
}

must_check enum err bundle_succeeds(const struct bundle *b, uint64_t epoch, uint64_t version,
                                    const struct hash *hash)
{
    if (b->epoch != epoch)
        return b->epoch > epoch ? ERR_OK : ERR_STALE;
    if (b->version != version)
        return b->version > version ? ERR_OK : ERR_STALE;
    int d = memcmp(b->hash.b, hash->b, HASH_BYTES);
    return d == 0 ? ERR_EXISTS : d < 0 ? ERR_CONFLICT : ERR_STALE;
}
