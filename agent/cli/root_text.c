#include "cli/root_text.h"

#include <time.h>

#include "base/id.h"

const char *root_time_text(wall_s t, char out[WALL_TEXT_MAX])
{
    return t == 0 ? "never" : wall_text(t, out);
}

struct root_signers root_signers_of(struct bytes envelope, const struct role *role)
{
    struct envelope e;
    struct root_signers s = {.want = role->threshold};
    if (envelope_parse(&e, envelope) != ERR_OK)
        return s;
    for (size_t i = 0; i < role->count; i++) {
        s.by[i] = envelope_verify(&e, ENVELOPE_ROOT, &role->key[i], 1, 1) == ERR_OK;
        s.have += s.by[i];
    }
    return s;
}

static void add_role(struct buf *out, const char *name, struct bytes of, const struct role *r)
{
    char key[NODE_ID_TEXT_MAX];
    buf_addf(out, "%s%.*s: %zu of %zu\n", name, (int)of.len, (const char *)of.at, r->threshold, r->count);
    for (size_t i = 0; i < r->count; i++)
        buf_addf(out, "  %s%.*s key %s\n", name, (int)of.len, (const char *)of.at,
                 node_id_text(&r->key[i], key));
}

void root_text(struct buf *out, const struct root *r)
{
    const struct bytes none = {0};
    char when[WALL_TEXT_MAX];
    buf_addf(out, "mesh: %.*s\nepoch: %llu\nexpires: %s\n", (int)r->mesh.len, (const char *)r->mesh.at,
             (unsigned long long)r->epoch, root_time_text(r->expires, when));
    add_role(out, "root", none, &r->root);
    add_role(out, "policy", none, &r->policy);
    add_role(out, "enrol", none, &r->enrol);
    for (size_t i = 0; i < r->delegation_count; i++) {
        const struct delegation *d = &r->delegation[i];
        add_role(out, "part ", d->name, &d->role);
        for (size_t k = 0; k < d->service_count; k++)
            buf_addf(out, "  part %.*s service %.*s\n", (int)d->name.len, (const char *)d->name.at,
                     (int)d->service[k].len, (const char *)d->service[k].at);
    }
}

static void warn_of_role(struct buf *out, const char *name, const struct role *before, const struct role *r)
{
    if (before && r->threshold < before->threshold)
        buf_addf(out, "weaker: %s asked for %zu signatures and is to ask for %zu\n", name, before->threshold,
                 r->threshold);
    if (r->count > 1 && r->threshold == r->count)
        buf_addf(
            out,
            "no spare: every one of the %zu %s keys is needed; one that is lost cannot be done without\n",
            r->count, name);
}

void root_text_warnings(struct buf *out, const struct root *before, const struct root *r)
{
    warn_of_role(out, "root", before ? &before->root : NULL, &r->root);
    warn_of_role(out, "policy", before ? &before->policy : NULL, &r->policy);
    for (size_t i = 0; i < r->root.count; i++)
        if (role_has(&r->policy, &r->root.key[i]) || role_has(&r->enrol, &r->root.key[i]))
            buf_addf(out, "one key for several roles: who has it has both\n");
}

static bool add_signers(struct buf *out, const char *what, struct bytes envelope, const struct role *role)
{
    char key[NODE_ID_TEXT_MAX];
    struct root_signers s = root_signers_of(envelope, role);
    buf_addf(out, "%s: needs %zu, has %zu%s\n", what, s.want, s.have, s.have < s.want ? "" : ": complete");
    for (size_t i = 0; i < role->count; i++)
        buf_addf(out, "  %s %s\n", s.by[i] ? "signed " : "not yet", node_id_text(&role->key[i], key));
    return s.have >= s.want;
}

bool root_text_signatures(struct buf *out, struct bytes envelope, const struct root *before,
                          const struct root *r)
{
    bool whole =
        !before || add_signers(out, "signatures by keys of the root before it", envelope, &before->root);
    return add_signers(out, "signatures by its own root keys", envelope, &r->root) && whole;
}

/* -- JSON -------------------------------------------------------------------------------------- */

static json_t *keys_json(const struct role *r, const bool *which, bool value)
{
    char key[NODE_ID_TEXT_MAX];
    json_t *list = json_array();
    for (size_t i = 0; i < r->count; i++)
        if (!which || which[i] == value)
            json_array_append_new(list, json_string(node_id_text(&r->key[i], key)));
    return list;
}

static json_t *role_json(const struct role *r)
{
    return json_pack("{s:I, s:o}", "threshold", (json_int_t)r->threshold, "keys", keys_json(r, NULL, false));
}

static json_t *signers_json(struct bytes envelope, const struct role *role)
{
    struct root_signers s = root_signers_of(envelope, role);
    return json_pack("{s:I, s:I, s:o, s:o}", "have", (json_int_t)s.have, "want", (json_int_t)s.want, "signed",
                     keys_json(role, s.by, true), "missing", keys_json(role, s.by, false));
}

static json_t *delegation_json(const struct delegation *d)
{
    json_t *o = role_json(&d->role), *services = json_array();
    for (size_t i = 0; i < d->service_count; i++)
        json_array_append_new(services, json_stringn((const char *)d->service[i].at, d->service[i].len));
    json_object_set_new(o, "name", json_stringn((const char *)d->name.at, d->name.len));
    json_object_set_new(o, "services", services);
    return o;
}

json_t *root_json(struct bytes envelope, const struct root *before, const struct root *r)
{
    struct hash h = root_hash(envelope);
    char hex[HASH_TEXT_MAX];
    hex_encode(h.b, HASH_BYTES, hex);
    json_t *parts = json_array(), *signers = json_object();
    for (size_t i = 0; i < r->delegation_count; i++)
        json_array_append_new(parts, delegation_json(&r->delegation[i]));
    json_object_set_new(signers, "own", signers_json(envelope, &r->root));
    if (before)
        json_object_set_new(signers, "before", signers_json(envelope, &before->root));
    struct root_signers own = root_signers_of(envelope, &r->root);
    bool whole = own.have >= own.want;
    if (before) {
        struct root_signers b = root_signers_of(envelope, &before->root);
        whole = whole && b.have >= b.want;
    }
    return json_pack("{s:s%, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "mesh", r->mesh.at, r->mesh.len,
                     "epoch", (json_int_t)r->epoch, "expires", (json_int_t)r->expires, "hash", hex, "root",
                     role_json(&r->root), "policy", role_json(&r->policy), "enrol", role_json(&r->enrol),
                     "parts", parts, "signatures", signers, "complete", whole);
}
