#include "admin/report.h"

#include "admin/overlays.h"
#include "admin/publishing.h"
#include "admin/warnings.h"
#include "admin/why.h"
#include "control/skew.h"
#include "policy/words.h"
#include "traffic/pick.h"

json_t *json_of_id(const struct node_id *id)
{
    char text[NODE_ID_TEXT_MAX];
    return json_string(node_id_text(id, text));
}

/* JSON's integers end at 2^63-1 here; an incarnation beyond it is a text, never a negative number. */
json_t *json_of_number(uint64_t v)
{
    return v <= INT64_MAX ? json_integer((json_int_t)v) : json_sprintf("%llu", (unsigned long long)v);
}

/* -- status ------------------------------------------------------------------------------------ */

static json_t *root_of(const struct control *c)
{
    const struct anchor *a = control_anchor(c);
    char hex[HASH_TEXT_MAX];
    json_t *o = json_object();
    json_object_set_new(o, "epoch", json_of_number(a->epoch));
    hex_encode(a->newest.b, HASH_BYTES, hex);
    json_object_set_new(o, "hash", json_string(hex));
    json_object_set_new(o, "expires", json_integer(trust_root(control_identity(c)->trust)->expires));
    json_object_set_new(o, "chain", json_of_number(a->count));
    return o;
}

static json_t *parts_of(const struct control *c)
{
    const struct part_set *s = &control_parts(c)->now;
    json_t *list = json_array();
    for (size_t i = 0; i < s->count; i++) {
        const struct part *p = &s->at[i];
        json_t *o =
            json_pack("{s:s, s:o, s:o, s:b}", "name", p->name, "epoch", json_of_number(p->epoch), "version",
                      json_of_number(p->version), "in_force", p->in_force && control_policy(c)->policy);
        if (!p->in_force)
            json_object_set_new(
                o, "why", json_string(control_policy(c)->policy ? p->why_not : "no policy is in force"));
        json_array_append_new(list, o);
    }
    return list;
}

/* What others' clocks say of ours; positive: ours is ahead. */
static json_t *clock_of(const struct skew *s)
{
    static const char *const verdict[] = {"unknown", "agrees", "wrong", "unsure"};
    return json_pack("{s:s, s:I, s:I, s:I}", "verdict", verdict[s->verdict], "off_ms",
                     (json_int_t)-s->apart_ms, "known", (json_int_t)s->heard, "agreeing",
                     (json_int_t)s->with_us);
}

json_t *report_status(const struct control *c)
{
    static const char *const phase[] = {"running", "leaving", "draining", "stopped"};
    struct gossip_counts n = gossip_counts(control_gossip(c));
    json_t *o = json_object();
    json_object_set_new(o, "mesh", json_of_text(trust_root(control_identity(c)->trust)->mesh));
    json_object_set_new(o, "node", json_string(control_config(c)->node));
    json_object_set_new(o, "id", json_of_id(&control_identity(c)->sign.pub));
    json_object_set_new(o, "version", json_string(STARLING_VERSION));
    json_object_set_new(o, "state", json_string(phase[control_phase(c)]));
    json_object_set_new(o, "joined", json_boolean(control_is_joined(c)));
    json_object_set_new(o, "root", root_of(c));
    json_object_set_new(o, "policy", publishing_head(control_policy(c)));
    json_object_set_new(o, "parts", parts_of(c));
    json_object_set_new(o, "rollout", publishing_rollout(control_staged(c)));
    json_object_set_new(o, "overlay", overlays_newest(c));
    json_object_set_new(o, "members",
                        json_pack("{s:i, s:I, s:i, s:i, s:i}", "alive", (int)n.alive, "degraded",
                                  (json_int_t)control_degraded_count(c), "suspect", (int)n.suspect, "dead",
                                  (int)n.dead, "left", (int)n.left));
    json_object_set_new(o, "credential_expires", json_integer(control_identity(c)->credential_open.expires));
    json_object_set_new(o, "revoked_keys",
                        json_of_number(revoked_count(trust_revoked(control_identity(c)->trust))));
    json_object_set_new(o, "clock", clock_of(control_skew(c)));
    json_object_set_new(o, "warnings", warnings_of(c));
    return o;
}

/* -- who was cut -------------------------------------------------------------------------------- */

static json_t *fallen_json(const struct fallen_one *one)
{
    return json_pack("{s:o, s:s, s:s, s:I, s:b}", "id", json_of_id(&one->id), "name", one->name, "why",
                     one->why, "at", (json_int_t)one->at, "cut", 1);
}

static bool was_cut(const struct fallen *f, const struct node_id *key)
{
    for (size_t i = 0; i < fallen_count(f); i++)
        if (node_id_eq(&fallen_at(f, i)->id, key))
            return true;
    return false;
}

/* A key that nobody was cut for whom this agent knew by it: a token's, or a host's that was away. */
static json_t *revocation_json(const struct enforced *f, const struct policy_revocation *line)
{
    return json_pack(
        "{s:o, s:s, s:o, s:I, s:b}", "id", json_of_id(&line->key), "name", "", "why",
        json_sprintf("revoked by policy version %llu: %s", (unsigned long long)f->version, line->reason),
        "at", (json_int_t)line->at, "cut", 0);
}

json_t *report_revoked(const struct control *c)
{
    const struct fallen *f = control_fallen(c);
    const struct enforced *in_force = control_policy(c);
    json_t *list = json_array();
    size_t count = 0;
    for (size_t i = 0; i < fallen_count(f); i++)
        json_array_append_new(list, fallen_json(fallen_at(f, i)));
    const struct policy_revocation *line =
        in_force->policy ? policy_revocations(in_force->policy, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        if (!was_cut(f, &line[i].key))
            json_array_append_new(list, revocation_json(in_force, &line[i]));
    return list;
}

/* -- the root ---------------------------------------------------------------------------------- */

json_t *json_of_hex(struct bytes b)
{
    char *text = malloc(2 * b.len + 1);
    if (!text)
        return NULL;
    hex_encode(b.at, b.len, text);
    json_t *o = json_string(text);
    free(text);
    return o;
}

json_t *report_root(const struct control *c)
{
    const struct anchor *a = control_anchor(c);
    struct chain roots;
    json_t *o = json_object();
    if (chain_open(&roots, buf_bytes(&a->chain), NULL, NULL) != ERR_OK)
        return o;
    json_object_set_new(o, "epoch", json_of_number(a->epoch));
    json_object_set_new(o, "chain", json_of_number(a->count));
    json_object_set_new(o, "root", json_of_hex(roots.envelope[roots.count - 1]));
    if (roots.count > 1)
        json_object_set_new(o, "before", json_of_hex(roots.envelope[roots.count - 2]));
    return o;
}

/* -- why --------------------------------------------------------------------------------------- */

/* Of the bundle in force, which was verified when it came into force. Empty where the root in force no longer vouches for it. */
static json_t *signers_in_force(const struct enforced *f)
{
    json_t *list = json_array();
    struct bundle b;
    if (!f->policy || f->unvouched || bundle_peek(&b, buf_bytes(&f->bundle)) != ERR_OK)
        return list;
    for (size_t i = 0; i < b.signer_count; i++)
        json_array_append_new(list, json_of_id(&b.signer[i]));
    return list;
}

static json_t *parts_in_force(const struct control *c)
{
    const struct part_set *parts = &control_parts(c)->now;
    json_t *list = json_array();
    for (size_t i = 0; i < parts->count; i++)
        if (parts->at[i].in_force)
            json_array_append_new(list, json_pack("{s:s, s:o}", "name", parts->at[i].name, "version",
                                                  json_of_number(parts->at[i].version)));
    return list;
}

/* We ourselves; and hosts that offered the service until a key of theirs was revoked: why its instances are fewer than somebody
 * remembers. */
static json_t *revoked_hosts_of(const struct control *c, const char *service)
{
    const struct fallen *f = control_fallen(c);
    json_t *list = json_array();
    if (control_is_revoked(c)) {
        struct fallen_one own = {.id = control_identity(c)->sign.pub};
        struct buf why = {0};
        control_say_revoked(c, &control_identity(c)->credential_open, &why);
        snprintf(own.name, sizeof own.name, "%s", control_config(c)->node);
        snprintf(own.why, sizeof own.why, "%s", buf_str(&why));
        json_array_append_new(list, fallen_json(&own));
        buf_fini(&why);
    }
    for (size_t i = 0; service && i < fallen_count(f); i++)
        if (fallen_offered(fallen_at(f, i), bytes_str(service)))
            json_array_append_new(list, fallen_json(fallen_at(f, i)));
    return list;
}

json_t *report_why(const struct control *c, const json_t *request, struct buf *told)
{
    const struct enforced *f = control_policy(c);
    const struct places places = {control_view(c)->policy, "policy"};
    const struct why_at at = {.view = control_view(c),
                              .own = &control_identity(c)->credential_open,
                              .node = control_config(c)->node,
                              .places = places.policy ? &places : NULL,
                              .now = view_wall(control_view(c), (wall_s)(net_wall_ms() / 1000)),
                              .shared = control_traffic(c),
                              .mono = control_mono(c)};
    json_t *o = why_answer(&at, request, told), *policy = publishing_head(f);
    json_object_set_new(policy, "signers", signers_in_force(f));
    json_object_set_new(policy, "parts", parts_in_force(c));
    json_object_set_new(o, "overlay", overlays_newest(c));
    json_object_set_new(policy, "expires", json_integer(f->policy ? policy_expires(f->policy) : 0));
    json_object_set_new(o, "policy", policy);
    json_object_set_new(o, "revoked", revoked_hosts_of(c, json_string_value(json_object_get(o, "service"))));
    return o;
}
