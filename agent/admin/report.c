#include "admin/report.h"

#include "admin/overlays.h"
#include "admin/publishing.h"
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

static void warn_of_parts(json_t *list, const struct control *c)
{
    const struct part_set *s = &control_parts(c)->now;
    for (size_t i = 0; i < s->count; i++)
        if (!s->at[i].in_force && control_policy(c)->policy)
            json_array_append_new(list, json_sprintf("the part %s of the policy is not in force: %s",
                                                     s->at[i].name, s->at[i].why_not));
}

static void warn_of_root(json_t *list, const struct control *c, wall_s now)
{
    wall_s expires = trust_root(control_identity(c)->trust)->expires;
    if (expires && expires <= now)
        json_array_append_new(
            list, json_string("the root of trust has expired: no new policy, token or credential is "
                              "taken until the next root is published"));
    else if (expires && expires - now < CONTROL_ROOT_WARN_S)
        json_array_append_new(list,
                              json_sprintf("the root of trust expires in %lld days; publish the next one",
                                           (long long)(expires - now) / 86400));
    if (control_anchor(c)->forked)
        json_array_append_new(
            list, json_string("another branch of the chain of roots was seen: were old root keys stolen?"));
    if (control_policy(c)->unvouched)
        json_array_append_new(
            list, json_string("the root in force does not vouch for the policy in force, which stays "
                              "enforced; sign and publish the next version"));
}

/* Nobody has been met yet. An agent whose own address is not on loopback dials none that is (gossip's apply_may_dial()). */
static void warn_of_seeds(json_t *list, const struct config *config)
{
    bool here = addr_is_loopback(&config->advertise[0]);
    json_array_append_new(list,
                          json_sprintf("not joined: no seed has answered (%s%s): does an agent run there, "
                                       "and do UDP and TCP pass between the hosts?%s",
                                       config->seed[0], config->seed_count > 1 ? ", ..." : "",
                                       here ? "" : " (seeds on loopback need --listen on loopback)"));
}

static void warn_of_stranger(json_t *list, const struct control *c, const struct addr *at)
{
    char text[ADDR_TEXT_MAX];
    json_array_append_new(
        list,
        json_sprintf(
            "no other member answers, and the agent at %s shows a credential that no key of this host's "
            "root of trust (epoch %llu) vouches for: if the root was rotated while this host was away, "
            "give it a token that brings the roots since (token create --roots); else it is of another "
            "mesh",
            addr_text(at, text), (unsigned long long)control_anchor(c)->epoch));
}

/* Others were here, and none answers: more often it is we who are cut off than they who are gone. */
static void warn_of_silence(json_t *list, const struct control *c)
{
    struct gossip_counts n = gossip_counts(control_gossip(c));
    unsigned port = control_config(c)->listen[0].port;
    if (control_is_revoked(c) || control_refused_by(c, NULL)) /* that is why */
        return;
    if (n.alive <= 1 && control_stranger(c))
        warn_of_stranger(list, c, control_stranger(c));
    else if (n.alive <= 1 && n.suspect + n.dead == 0 && !control_is_joined(c))
        warn_of_seeds(list, control_config(c));
    else if (n.alive <= 1 && n.suspect + n.dead > 0)
        json_array_append_new(
            list, json_sprintf("no other member answers: do UDP and TCP %u pass between the hosts?", port));
}

/* Members that are alive and that no request reaches. */
static void warn_of_reach(json_t *list, const struct control *c)
{
    enum { NAMED_MAX = 3 };
    struct buf names = {0};
    unsigned lost = 0;
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next) {
        char at[ADDR_TEXT_MAX];
        if (!control_is_lost_to_traffic(c, m) || lost++ >= NAMED_MAX)
            continue;
        buf_addf(&names, "%s%.*s (%s)", names.len ? ", " : "", (int)m->record.credential.node.len,
                 (const char *)m->record.credential.node.at, addr_text(&m->addr, at));
    }
    if (lost > 0)
        json_array_append_new(
            list, json_sprintf("unreachable for traffic from here, though alive: %s%s; does TCP pass "
                               "between the hosts?",
                               buf_str(&names), lost > NAMED_MAX ? " and others" : ""));
    buf_fini(&names);
}

/* -- what traffic has shown, as warnings -- */

enum { TOLD_MAX = 3 }; /* by name; of the others the number */

struct told {
    struct buf names;
    size_t count;
};

static void tell_one(struct told *t, const char *name, const char *joint, const char *of)
{
    if (t->count++ < TOLD_MAX)
        buf_addf(&t->names, "%s%s%s%s", t->names.len ? ", " : "", name, joint, of);
}

static void tell_all(json_t *list, struct told *t, const char *words)
{
    if (t->count > TOLD_MAX)
        buf_addf(&t->names, " and %zu more", t->count - TOLD_MAX);
    if (t->count > 0)
        json_array_append_new(list, json_sprintf("%s: %s", words, buf_str(&t->names)));
    buf_fini(&t->names);
}

static void warn_of_ejected(json_t *list, const struct view *v, const struct traffic_shared *s, mono_ms now)
{
    struct told t = {0};
    for (size_t i = 0; i < v->service_count; i++) {
        const struct view_service *of = &v->service[i];
        for (size_t j = 0; outlier_count(s->outliers, of, now) > 0 && j < of->count; j++)
            if (outlier_standing(s->outliers, of->endpoint[j], now) != OUTLIER_IN)
                tell_one(&t, of->name, " on ",
                         of->endpoint[j]->node ? of->endpoint[j]->node->name : "this host");
    }
    tell_all(list, &t, "ejected for bad answers (starling why tells until when)");
}

/* Does a route before this one, or this one before its target `upto`, name the subset? */
static bool is_named_before(const struct policy_service *s, const struct policy_route *route, size_t upto,
                            const char *subset)
{
    const struct policy_route *r;
    size_t cursor = 0;
    while ((r = policy_route_next(s, &cursor))) {
        size_t count = r == route ? upto : r->target_count;
        for (size_t i = 0; i < count; i++)
            if (r->target[i].subset && strcmp(r->target[i].subset->name, subset) == 0)
                return true;
        if (r == route)
            break;
    }
    return false;
}

/* A subset is known by the routes to it. */
static void tell_panics_of(struct told *t, const struct policy_service *s, struct traffic_shared *shared)
{
    const char *name = policy_service_name(s);
    const struct policy_route *r;
    size_t cursor = 0;
    if (panics_is_on(shared->panics, name, ""))
        tell_one(t, name, "", "");
    while ((r = policy_route_next(s, &cursor)))
        for (size_t i = 0; i < r->target_count; i++) {
            const char *subset = r->target[i].subset ? r->target[i].subset->name : NULL;
            if (subset && panics_is_on(shared->panics, name, subset) && !is_named_before(s, r, i, subset))
                tell_one(t, name, ", subset ", subset);
        }
}

static void warn_of_panics(json_t *list, const struct view *v, struct traffic_shared *shared)
{
    struct told t = {0};
    const struct policy_service *s;
    size_t cursor = 0;
    while (v->policy && (s = policy_service_next(v->policy, &cursor)))
        tell_panics_of(&t, s, shared);
    tell_all(list, &t, "panic, too few instances are healthy and all are used");
}

static void warn_of_traffic(json_t *list, const struct control *c)
{
    struct traffic_shared *s = control_traffic(c);
    if (!s || !control_view(c))
        return;
    warn_of_panics(list, control_view(c), s);
    warn_of_ejected(list, control_view(c), s, control_mono(c));
}

static void warn_of_own_clock(json_t *list, const struct skew *s)
{
    struct buf off = {0};
    if (s->verdict != SKEW_OURS)
        return;
    skew_words(-s->right_ms, &off);
    json_array_append_new(list,
                          json_sprintf("the clock of this host is %s of what most of %zu others say: set it",
                                       buf_str(&off), s->heard));
    buf_fini(&off);
}

static void warn_of_clocks(json_t *list, const struct control *c)
{
    struct told t = {0};
    warn_of_own_clock(list, control_skew(c));
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next) {
        const struct member_clock *k = control_member_clock(c, m);
        struct buf off = {0};
        char name[NODE_NAME_MAX + 1];
        if (!k || !k->is_wrong)
            continue;
        skew_words(k->off_ms, &off);
        snprintf(name, sizeof name, "%.*s", (int)m->record.credential.node.len,
                 (const char *)m->record.credential.node.at);
        tell_one(&t, name, " is ", buf_str(&off));
        buf_fini(&off);
    }
    tell_all(list, &t,
             control_skew(c)->verdict == SKEW_UNSURE
                 ? "clocks differ from the one of this host, and no time has a majority"
                 : "clocks that are wrong");
}

static void warn_of_own_health(json_t *list, const struct control *c)
{
    const struct config *config = control_config(c);
    for (size_t i = 0; i < config->service_count; i++)
        if (*control_service_why(c, i))
            json_array_append_new(list, json_sprintf("service %s on this host is unhealthy: %s",
                                                     config->service[i].name, control_service_why(c, i)));
}

/* Disturbances on purpose: who wonders about errors must come upon them. */
static void warn_of_faults(json_t *list, const struct view *v, wall_s now)
{
    enum { NAMED_MAX = 3 };
    const struct policy_fault *f;
    size_t cursor = 0, on = 0;
    while (v && v->policy && (f = policy_fault_next(v->policy, &cursor))) {
        struct buf until = {0};
        if (view_wall(v, now) >= f->until || on++ >= NAMED_MAX)
            continue;
        words_time(&until, f->until);
        json_array_append_new(list, json_sprintf("fault %s of the policy disturbs calls of %s until %s",
                                                 f->name, policy_service_name(f->to), buf_str(&until)));
        buf_fini(&until);
    }
    if (on > NAMED_MAX)
        json_array_append_new(list,
                              json_sprintf("%d more faults of the policy are on", (int)(on - NAMED_MAX)));
}

static void warn_of_revocation(json_t *list, const struct control *c)
{
    struct buf why = {0};
    control_say_revoked(c, &control_identity(c)->credential_open, &why);
    json_array_append_new(list,
                          json_sprintf("THIS HOST IS NO MEMBER ANY MORE: %s; enrol it anew", buf_str(&why)));
    buf_fini(&why);
}

/* Who was away when it was revoked learns it from those who refuse it; nothing but their word says so. */
static void warn_of_refusal(json_t *list, const struct control *c)
{
    struct node_id by;
    char id[NODE_ID_TEXT_MAX];
    const char *words = control_is_revoked(c) ? NULL : control_refused_by(c, &by);
    if (words)
        json_array_append_new(
            list,
            json_sprintf(
                "member %s refuses this host: %s; if that is so, enrol it anew: with a new token, and with "
                "a new --data folder if it is its own key",
                node_id_text(&by, id), words));
}

static json_t *warnings_of(const struct control *c)
{
    const struct enforced *f = control_policy(c);
    wall_s now = (wall_s)(net_wall_ms() / 1000);
    json_t *list = json_array();
    if (!f->policy)
        json_array_append_new(
            list,
            json_string(f->damaged
                            ? "the stored policy is damaged; everything is denied until a good one arrives"
                            : "no policy is in force; everything is denied"));
    publishing_warn(list, f, now);
    publishing_warn_of_rollout(list, control_staged(c));
    if (control_is_revoked(c))
        warn_of_revocation(list, c);
    warn_of_refusal(list, c);
    wall_s left = control_identity(c)->credential_open.expires - now;
    if (left <= 0)
        json_array_append_new(
            list,
            json_string(
                "this agent's credential has expired; give it a fresh token: starling renew --token FILE"));
    else if (identity_expires_soon(control_identity(c), now))
        json_array_append_new(list, json_sprintf("this agent's credential expires in %lld %s; give it a "
                                                 "fresh token: starling renew --token FILE",
                                                 (long long)(left >= 7200 ? left / 3600 : left),
                                                 left >= 7200 ? "hours" : "seconds"));
    warn_of_root(list, c, now);
    warn_of_parts(list, c);
    overlays_warn(list, c);
    warn_of_faults(list, control_view(c), now);
    warn_of_traffic(list, c);
    warn_of_own_health(list, c);
    warn_of_clocks(list, c);
    warn_of_silence(list, c);
    warn_of_reach(list, c);
    if (gossip_is_yielding(control_gossip(c)))
        json_array_append_new(list,
                              json_string("another agent runs with the key of this host and goes before it: "
                                          "this one is silent; stop one of them and enrol it anew"));
    if (control_store_health(c) != ERR_OK)
        json_array_append_new(list,
                              json_sprintf("state cannot be written: %s", err_text(control_store_health(c))));
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
                        json_pack("{s:i,s:i,s:i,s:i}", "alive", (int)n.alive, "suspect", (int)n.suspect,
                                  "dead", (int)n.dead, "left", (int)n.left));
    json_object_set_new(o, "credential_expires", json_integer(control_identity(c)->credential_open.expires));
    json_object_set_new(o, "revoked_keys",
                        json_of_number(revoked_count(trust_revoked(control_identity(c)->trust))));
    json_object_set_new(o, "clock", clock_of(control_skew(c)));
    json_object_set_new(o, "warnings", warnings_of(c));
    return o;
}

/* -- members and services ---------------------------------------------------------------------- */

/* Microseconds; null: unknown. */
static json_t *round_trip(uint32_t us)
{
    return us ? json_integer(us) : json_null();
}

static json_t *member_of(const struct control *c, const struct member *m)
{
    json_t *o = json_object();
    struct gossip_rtt rtt = gossip_rtt(control_gossip(c), &m->id);
    json_object_set_new(o, "id", json_of_id(&m->id));
    json_object_set_new(o, "name", json_of_text(m->record.credential.node));
    json_object_set_new(o, "address", json_of_address(&m->addr));
    json_object_set_new(o, "state", json_string(member_state_text(m)));
    json_object_set_new(o, "incarnation", json_of_number(m->record.incarnation));
    json_object_set_new(o, "labels", json_of_labels(&m->record.credential.labels));
    json_object_set_new(o, "policy", json_of_number(m->record.policy_version));
    json_object_set_new(o, "overlay", overlays_of_member(&m->record));
    json_object_set_new(o, "root", m->record.root_epoch ? json_of_number(m->record.root_epoch) : json_null());
    json_object_set_new(o, "rtt_us", round_trip(rtt.estimated_us));
    json_object_set_new(o, "rtt_measured_us", round_trip(rtt.measured_us));
    json_object_set_new(o, "credential_expires", json_integer(m->record.credential.expires));
    const struct member_clock *clock = control_member_clock(c, m);
    json_object_set_new(o, "clock_off_ms", clock ? json_integer(clock->off_ms) : json_null());
    json_object_set_new(o, "clock_wrong", json_boolean(clock && clock->is_wrong));
    struct node_id token;
    if (credential_token(&m->record.credential, &token))
        json_object_set_new(o, "token", json_of_id(&token));
    if (m->is_revoked) {
        struct buf why = {0};
        control_say_revoked(c, &m->record.credential, &why);
        json_object_set_new(o, "revoked", json_string(buf_str(&why)));
        buf_fini(&why);
    }
    if (m->is_quarantined)
        json_object_set_new(o, "quarantined",
                            json_string("it signed two records with one number; not routed to until a newer "
                                        "one has stood undisputed for half a minute"));
    if (member_is_live(m) && roster_name_is_taken(m))
        json_object_set_new(o, "conflict",
                            json_string("another living member holds this name; not routed to"));
    if (control_is_lost_to_traffic(c, m))
        json_object_set_new(o, "unreachable",
                            json_string(m->reach.is_refused ? "TCP connections from here are refused"
                                                            : "TCP connections from here are not answered"));
    return o;
}

json_t *report_members(const struct control *c)
{
    json_t *list = json_array();
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next)
        json_array_append_new(list, member_of(c, m));
    return list;
}

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

/* By name: who holds it, if anybody lives under it. */
static const struct member *member_named(const struct control *c, struct bytes name)
{
    const struct member *found = NULL;
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next)
        if (bytes_eq(m->record.credential.node, name) &&
            (!found || (member_is_live(m) && !roster_name_is_taken(m))))
            found = m;
    return found;
}

/* Where an end of ours is asked for, what we measured ourselves is known too. */
static struct gossip_rtt rtt_between(const struct control *c, const struct node_id *a,
                                     const struct node_id *b)
{
    const struct node_id *self = &control_identity(c)->sign.pub;
    if (node_id_eq(a, self))
        return gossip_rtt(control_gossip(c), b);
    if (node_id_eq(b, self))
        return gossip_rtt(control_gossip(c), a);
    return (struct gossip_rtt){.estimated_us = gossip_rtt_between_us(control_gossip(c), a, b)};
}

json_t *report_rtt(const struct control *c, struct bytes from, struct bytes to, struct buf *told)
{
    const struct bytes asked[2] = {from, to};
    const struct member *end[2];
    for (int i = 0; i < 2; i++) {
        end[i] = member_named(c, asked[i].len ? asked[i] : bytes_str(control_config(c)->node));
        if (!end[i]) {
            buf_addf(told, "no member is named %.*s; see: starling members", (int)asked[i].len,
                     (const char *)asked[i].at);
            return NULL;
        }
    }
    struct gossip_rtt rtt = rtt_between(c, &end[0]->id, &end[1]->id);
    json_t *o = json_object();
    json_object_set_new(o, "from", json_of_text(end[0]->record.credential.node));
    json_object_set_new(o, "to", json_of_text(end[1]->record.credential.node));
    json_object_set_new(o, "rtt_us", round_trip(rtt.estimated_us));
    json_object_set_new(o, "rtt_measured_us", round_trip(rtt.measured_us));
    return o;
}

static const char *service_state(const struct member *m, const struct record_service *s)
{
    if (m->is_quarantined)
        return "quarantined";
    if (m->state != GOSSIP_ALIVE || m->is_degraded)
        return member_state_text(m);
    if (m->record.draining)
        return "draining";
    return s->healthy ? "healthy" : "unhealthy";
}

static json_t *service_of(const struct member *m, const struct record_service *s)
{
    json_t *o = json_object();
    char ip[ADDR_TEXT_MAX];
    json_object_set_new(o, "service", json_of_text(s->name));
    json_object_set_new(o, "node", json_of_text(m->record.credential.node));
    json_object_set_new(o, "address", json_string(addr_ip_text(&m->addr, ip)));
    json_object_set_new(o, "port", json_of_number(s->port));
    json_object_set_new(o, "protocol", json_string(s->protocol == PROTOCOL_HTTP ? "http" : "tcp"));
    json_object_set_new(o, "state", json_string(service_state(m, s)));
    json_object_set_new(o, "labels", json_of_labels(&s->labels));
    return o;
}

/* Dead and left members offer nothing: their services are gone. */
json_t *report_services(const struct control *c)
{
    json_t *list = json_array();
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next)
        for (size_t i = 0; member_is_live(m) && i < m->record.service_count; i++)
            json_array_append_new(list, service_of(m, &m->record.service[i]));
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
