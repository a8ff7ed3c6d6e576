/* The root: who may sign what in this mesh.
 *   body        [mesh, epoch, expires, role root, role policy, role enrol, [delegation, ...]]
 *   role        [threshold, [key, ...]]                              keys rise
 *   delegation  [name, role, [service or pattern, ...]]              names rise, and so do the services of each */
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

static int by_text(const void *a, const void *b)
{
    return codec_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void put_delegation(struct buf *out, const struct delegation *d)
{
    struct bytes sorted[DELEGATION_SERVICES_MAX];
    assert(d->service_count <= DELEGATION_SERVICES_MAX);
    memcpy(sorted, d->service, d->service_count * sizeof *sorted);
    qsort(sorted, d->service_count, sizeof *sorted, by_text);
    codec_put_array(out, 3);
    body_put_text(out, d->name);
    put_sorted_role(out, d->role);
    codec_put_array(out, d->service_count);
    for (size_t i = 0; i < d->service_count; i++)
        body_put_text(out, sorted[i]);
}

static int by_name(const void *a, const void *b)
{
    const struct delegation *const *x = a, *const *y = b;
    return codec_cmp((*x)->name, (*y)->name);
}

static void put_delegations(struct buf *out, const struct root *r)
{
    const struct delegation *sorted[ROOT_DELEGATIONS_MAX];
    assert(r->delegation_count <= ROOT_DELEGATIONS_MAX);
    for (size_t i = 0; i < r->delegation_count; i++)
        sorted[i] = &r->delegation[i];
    qsort(sorted, r->delegation_count, sizeof *sorted, by_name);
    codec_put_array(out, r->delegation_count);
    for (size_t i = 0; i < r->delegation_count; i++)
        put_delegation(out, sorted[i]);
}

static void root_encode(struct buf *out, const struct root *r)
{
    codec_put_array(out, 7);
    body_put_text(out, r->mesh);
    codec_put_u64(out, r->epoch);
    body_put_time(out, r->expires);
    put_sorted_role(out, r->root);
    put_sorted_role(out, r->policy);
    put_sorted_role(out, r->enrol);
    put_delegations(out, r);
}

static void read_role(struct codec *c, const char *field, struct role *r, bool vouched)
{
    codec_array(c, field, 2, 2);
    r->threshold = (size_t)codec_u64(c, field, ROLE_KEYS_MAX);
    r->count = codec_array(c, field, 1, ROLE_KEYS_MAX);
    for (size_t i = 0; i < r->count && codec_ok(c); i++) {
        if (vouched)
            codec_bin_copy(c, field, r->key[i].b, ID_BYTES);
        else
            body_sign_pub(c, field, &r->key[i]);
        if (i > 0 && node_id_cmp(&r->key[i - 1], &r->key[i]) >= 0)
            codec_refuse(c, ERR_MALFORMED, field, "a key repeats or is not in order");
    }
    if (r->threshold < 1 || r->threshold > r->count)
        codec_refuse(c, ERR_MALFORMED, field, "a threshold of none, or of more keys than there are");
}

static void read_delegation(struct codec *c, struct delegation *d, bool vouched)
{
    codec_array(c, "root.delegations", 3, 3);
    d->name = body_name(c, "root.delegations.name", SERVICE_NAME_MAX);
    read_role(c, "root.delegations.role", &d->role, vouched);
    d->service_count = codec_array(c, "root.delegations.services", 1, DELEGATION_SERVICES_MAX);
    for (size_t i = 0; i < d->service_count && codec_ok(c); i++) {
        d->service[i] = codec_str(c, "root.delegations.services", SERVICE_NAME_MAX);
        if (!pattern_is_sound(d->service[i]))
            codec_refuse(c, ERR_MALFORMED, "root.delegations.services",
                         "not a service's name, nor the beginning of one and '*'");
        if (i > 0 && codec_cmp(d->service[i - 1], d->service[i]) >= 0)
            codec_refuse(c, ERR_MALFORMED, "root.delegations.services", "one repeats or is not in order");
    }
}

static void read_delegations(struct codec *c, struct root *r, bool vouched)
{
    r->delegation_count = codec_array(c, "root.delegations", 0, ROOT_DELEGATIONS_MAX);
    for (size_t i = 0; i < r->delegation_count && codec_ok(c); i++) {
        read_delegation(c, &r->delegation[i], vouched);
        if (i > 0 && codec_cmp(r->delegation[i - 1].name, r->delegation[i].name) >= 0)
            codec_refuse(c, ERR_MALFORMED, "root.delegations", "one repeats or is not in order");
    }
}

void root_decode(struct codec *c, struct root *r, bool vouched)
{
    codec_array(c, "root", 7, 7);
    r->mesh = body_name(c, "root.mesh", MESH_NAME_MAX);
    r->epoch = codec_u64(c, "root.epoch", NUMBER_MAX);
    r->expires = body_time(c, "root.expires");
    read_role(c, "root.root", &r->root, vouched);
    read_role(c, "root.policy", &r->policy, vouched);
    read_role(c, "root.enrol", &r->enrol, vouched);
    read_delegations(c, r, vouched);
}

bool role_has(const struct role *r, const struct node_id *key)
{
    for (size_t i = 0; i < r->count; i++)
        if (node_id_eq(&r->key[i], key))
            return true;
    return false;
}

const struct delegation *root_delegation(const struct root *r, struct bytes name)
{
    for (size_t i = 0; i < r->delegation_count; i++)
        if (bytes_eq(r->delegation[i].name, name))
            return &r->delegation[i];
    return NULL;
}

enum err root_create(struct buf *out, const struct root *root, const struct sign_key *const *keys,
                     size_t key_count)
{
    struct buf body = {0};
    struct root back = {0};
    root_encode(&body, root);
    struct codec c = codec_of(buf_bytes(&body));
    root_decode(&c, &back, false);
    enum err err =
        body_seal(out, ENVELOPE_ROOT, &body, codec_end(&c, NULL), keys, key_count, ROOT_BYTES_MAX, NULL);
    buf_fini(&body);
    return err;
}

/* A root names the keys it is signed with, so here alone the body is read before its signatures are checked: whether to
 * believe it at all is for whoever brought it (a token, a file in the operator's hand, the root before it). */
static enum err read_unverified(struct root *r, struct envelope *e, struct bytes envelope, bool vouched,
                                struct refusal *why)
{
    if (envelope.len > ROOT_BYTES_MAX)
        return body_refuse(why, ERR_MALFORMED, "root", "too long");
    enum err err = envelope_parse_why(e, envelope, why);
    if (err)
        return err;
    enum err is_other = body_type(e, ENVELOPE_ROOT, "not a root", why);
    if (is_other)
        return is_other;
    struct codec c = codec_of(e->body);
    root_decode(&c, r, vouched);
    return codec_end(&c, why);
}

static enum err check_own(const struct root *r, const struct envelope *e, struct refusal *why)
{
    return body_verify(e, ENVELOPE_ROOT, &r->root, "root.signatures", "by fewer root keys than its threshold",
                       why);
}

/* An agent that starts opens the same root ten times: with its token, its enrolment, its chain and its trust, each of which
 * judges for itself. That depends on nothing but the bytes, so each thread remembers which it found good last, and spares
 * itself the arithmetic: a signature and a check of every key, an eighth of a millisecond. */
enum { GOOD_ROOTS = 4 };
static _Thread_local struct {
    struct hash envelope[GOOD_ROOTS]; /* zeros: none, as no hash is */
    unsigned next;
} good;

static bool was_good(const struct hash *envelope)
{
    for (size_t i = 0; i < GOOD_ROOTS; i++)
        if (hash_eq(&good.envelope[i], envelope))
            return true;
    return false;
}

enum err root_open_why(struct root *out, struct bytes envelope, struct refusal *why)
{
    struct envelope e;
    struct root r = {0};
    struct hash hash = hash_of(envelope);
    bool vouched = was_good(&hash);
    enum err err = read_unverified(&r, &e, envelope, vouched, why);
    if (!err && !vouched) {
        err = check_own(&r, &e, why);
        if (!err)
            good.envelope[good.next++ % GOOD_ROOTS] = hash;
    }
    if (!err)
        *out = r;
    return err;
}

enum err root_open(struct root *out, struct bytes envelope)
{
    return root_open_why(out, envelope, NULL);
}

enum err root_read(struct root *out, struct bytes envelope, struct refusal *why)
{
    struct envelope e;
    struct root r = {0};
    enum err err = read_unverified(&r, &e, envelope, false, why);
    if (!err)
        *out = r;
    return err;
}

struct hash root_hash(struct bytes envelope)
{
    struct envelope e;
    return envelope_parse(&e, envelope) == ERR_OK ? hash_of(e.body) : (struct hash){{0}};
}

/* The steps of one epoch at a time, so that every root in between has its say. */
static enum err check_step(const struct root *now, const struct root *next, struct refusal *why)
{
    if (!bytes_eq(next->mesh, now->mesh))
        return body_refuse(why, ERR_FOREIGN, "root.mesh", "another mesh");
    if (next->epoch <= now->epoch)
        return body_refuse(why, ERR_STALE, "root.epoch", "not above that of the root in force");
    if (next->epoch != now->epoch + 1)
        return body_refuse(why, ERR_NOT_FOUND, "root.epoch",
                           "not the next one: the roots in between come first");
    return ERR_OK;
}

/* Nobody may hang signatures of his own on it. */
static enum err check_signers(const struct root *now, const struct root *next, const struct envelope *e,
                              struct refusal *why)
{
    for (size_t i = 0; i < e->sig_count; i++) {
        struct node_id key;
        memcpy(key.b, e->sig[i].key, ID_BYTES);
        if (!role_has(&now->root, &key) && !role_has(&next->root, &key))
            return body_refuse(why, ERR_AUTH, "root.signatures",
                               "one by a key that neither root has among its root keys");
    }
    return ERR_OK;
}

enum err root_follow(struct root *out, const struct root *now, struct bytes envelope, struct refusal *why)
{
    struct envelope e;
    struct root next = {0};
    enum err err = read_unverified(&next, &e, envelope, false, why);
    if (!err)
        err = check_step(now, &next, why);
    if (!err)
        err = check_signers(now, &next, &e, why);
    if (!err)
        err = body_verify(&e, ENVELOPE_ROOT, &now->root, "root.signatures",
                          "by fewer keys of the root before it than that one's threshold", why);
    if (!err)
        err = check_own(&next, &e, why);
    if (!err)
        *out = next;
    return err;
}
