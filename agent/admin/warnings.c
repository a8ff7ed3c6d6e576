/* What needs an operator, as sentences: what is wrong, where, and what to do. */
#include "admin/warnings.h"

#include "admin/overlays.h"
#include "admin/publishing.h"
#include "control/skew.h"
#include "policy/words.h"
#include "traffic/pick.h"

/* -- lists of names ---------------------------------------------------------------------------- */

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

static void tell_member(struct told *t, const struct control *c, const struct member *m, bool is_timed)
{
    char who[MEMBER_TEXT_MAX], span[SPAN_TEXT_MAX];
    span_text(control_member_age(c, m).in_state_ms, span);
    tell_one(t, member_text(m, who), is_timed ? " for " : "", is_timed ? span : "");
}

static void tell_all(json_t *list, struct told *t, const char *words)
{
    if (t->count > TOLD_MAX)
        buf_addf(&t->names, " and %zu more", t->count - TOLD_MAX);
    if (t->count > 0)
        json_array_append_new(list, json_sprintf("%s: %s", words, buf_str(&t->names)));
    buf_fini(&t->names);
}

/* -- trust -------------------------------------------------------------------------------------- */

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
    struct buf seeds = {0};
    config_say_seeds(config, &seeds);
    json_array_append_new(
        list, json_sprintf("not joined: no seed has answered (%s): does an agent of this mesh run "
                           "there, and do UDP and TCP pass between the hosts?%s",
                           buf_str(&seeds), here ? "" : " (seeds on loopback need --listen on loopback)"));
    buf_fini(&seeds);
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

/* All were heard until then, and are silent together. */
static void warn_of_cut_off(json_t *list, const struct control *c, uint64_t for_ms)
{
    char span[SPAN_TEXT_MAX];
    json_array_append_new(
        list,
        json_sprintf("no other member answers, for %s: this host seems to be cut off, and those that "
                     "hear each other hold it dead (does its network work, and do UDP and TCP %u pass?)",
                     span_text(for_ms, span), (unsigned)control_config(c)->listen[0].port));
}

/* Others were here, and none answers: more often it is we who are cut off than they who are gone. */
static void warn_of_silence(json_t *list, const struct control *c)
{
    struct gossip_counts n = gossip_counts(control_gossip(c));
    unsigned port = control_config(c)->listen[0].port;
    uint64_t cut_off_ms = control_cut_off_ms(c);
    if (control_is_revoked(c) || control_refused_by(c)) /* that is why */
        return;
    if (n.alive <= 1 && control_stranger(c))
        warn_of_stranger(list, c, control_stranger(c));
    else if (n.alive <= 1 && n.suspect + n.dead == 0 && !control_is_joined(c))
        warn_of_seeds(list, control_config(c));
    else if (cut_off_ms > 0)
        warn_of_cut_off(list, c, cut_off_ms);
    else if (n.alive <= 1 && n.suspect + n.dead > 0)
        json_array_append_new(
            list, json_sprintf("no other member answers: do UDP and TCP %u pass between the hosts?", port));
}

static void warn_of_stand_still(json_t *list, const struct control *c)
{
    uint64_t ago_ms, stood_ms = control_stood_still_ms(c, &ago_ms);
    char stood[SPAN_TEXT_MAX], ago[SPAN_TEXT_MAX];
    if (stood_ms > 0)
        json_array_append_new(
            list,
            json_sprintf("this agent stood still for %s, %s ago: it was stopped, its host was asleep, or it "
                         "got no processor or disk; others may have held it dead",
                         span_text(stood_ms, stood), span_text(ago_ms, ago)));
}

/* -- members ----------------------------------------------------------------------------------- */

/* Who is dead for longer was taken away without a good-bye, or will be: `members` goes on showing it. */
enum { DEATH_TOLD_MS = 24 * 3600 * 1000 };

static bool is_dead_of_late(const struct control *c, const struct member *m)
{
    return m->state == GOSSIP_DEAD && control_member_age(c, m).in_state_ms < DEATH_TOLD_MS;
}

static bool is_quarantined(const struct control *c, const struct member *m)
{
    return m->is_quarantined && !node_id_eq(&m->id, &control_identity(c)->sign.pub);
}

static bool is_doubled(const struct control *c, const struct member *m)
{
    return control_is_doubled(c, m) && !is_quarantined(c, m);
}

static bool is_nameless(const struct control *c, const struct member *m)
{
    return control_is_nameless(m) && !node_id_eq(&m->id, &control_identity(c)->sign.pub);
}

static bool is_degraded(const struct control *c, const struct member *m)
{
    (void)c;
    return control_is_degraded(m);
}

static void warn_of_members(json_t *list, const struct control *c)
{
    static const struct {
        bool (*is)(const struct control *c, const struct member *m);
        bool is_state; /* how long it is in that state is told */
        const char *words;
    } about[] = {
        {is_dead_of_late, true,
         "dead, so nothing is routed there (do the host and its agent run, and do UDP and TCP pass?)"},
        {is_quarantined, false,
         "quarantined, so nothing is routed there (two agents run with one key: stop the copy; if nobody "
         "made "
         "one, the key is stolen: revoke it)"},
        {is_doubled, false,
         "answer at two addresses in turn (two agents run with one key: stop the copy; if nobody made one, "
         "the "
         "key is stolen: revoke it)"},
        {is_nameless, false,
         "without their name, which another living member holds, so nothing is routed there (give one of the "
         "two another name)"},
        {is_degraded, true,
         "degraded, so used only where no other is left (it comes and goes, or most packets between it and "
         "this host are lost: look at its network and load)"},
        {control_is_lost_to_traffic, false,
         "unreachable for traffic from here, though alive (is a firewall between the hosts closed to TCP?)"},
    };
    for (size_t i = 0; i < sizeof about / sizeof *about; i++) {
        struct told t = {0};
        for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next)
            if (about[i].is(c, m))
                tell_member(&t, c, m, about[i].is_state);
        tell_all(list, &t, about[i].words);
    }
}

/* -- what traffic has shown, as warnings -- */

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
        snprintf(name, sizeof name, "%.*s", (int)member_name(m).len, (const char *)member_name(m).at);
        tell_one(&t, name, " is ", buf_str(&off));
        buf_fini(&off);
    }
    tell_all(list, &t,
             control_skew(c)->verdict == SKEW_UNSURE
                 ? "clocks differ from the one of this host, and no time has a majority"
                 : "clocks that are wrong, to be set there");
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
    char id[NODE_ID_TEXT_MAX];
    const struct hearsay *h = control_is_revoked(c) ? NULL : control_refused_by(c);
    if (h)
        json_array_append_new(
            list,
            json_sprintf("member %s (%s) refuses this host: %s; if that is so, enrol it anew: with a new "
                         "token, and with a new --data folder if it is its own key",
                         h->name, node_id_text(&h->by, id), h->words));
}

/* Of the two only the silent one knows that it is that. */
static void warn_of_double(json_t *list, const struct control *c)
{
    uint64_t ago_ms;
    char ago[SPAN_TEXT_MAX];
    const char *at = control_double(c, &ago_ms);
    if (gossip_is_yielding(control_gossip(c)))
        json_array_append_new(list,
                              json_string("another agent runs with the key of this host and goes before it: "
                                          "this one is silent; stop one of them and enrol it anew"));
    else if (at)
        json_array_append_new(
            list,
            json_sprintf(
                "another agent runs with the key of this host, at %s (heard of %s ago): stop the copy and "
                "enrol it anew; if nobody made one, the key is stolen. Who has met both routes nothing "
                "to this one until half a minute after that",
                at, span_text(ago_ms, ago)));
}

static void warn_of_own_name(json_t *list, const struct control *c)
{
    const struct member *self = roster_find(control_roster(c), &control_identity(c)->sign.pub);
    char at[ADDR_TEXT_MAX];
    if (self && control_is_nameless(self))
        json_array_append_new(
            list, json_sprintf("another living member, at %s, holds the name of this host with another key: "
                               "nothing is routed to this one; give one of them another name",
                               addr_text(&roster_name_holder(self)->addr, at)));
}

json_t *warnings_of(const struct control *c)
{
    const struct enforced *f = control_policy(c);
    wall_s now = (wall_s)(net_wall_ms() / 1000);
    json_t *list = json_array();
    if (!f->policy)
        json_array_append_new(
            list,
            json_string(
                f->damaged
                    ? "the stored policy is damaged; everything is denied until a good one arrives"
                    : "no policy is in force; everything is denied: publish one (starling policy publish "
                      "BUNDLE)"));
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
    warn_of_stand_still(list, c);
    if (gossip_counts(control_gossip(c)).alive > 1 && control_cut_off_ms(c) == 0) /* else it is we */
        warn_of_members(list, c);
    warn_of_own_name(list, c);
    warn_of_double(list, c);
    if (control_store_health(c) != ERR_OK)
        json_array_append_new(list,
                              json_sprintf("state cannot be written: %s", err_text(control_store_health(c))));
    return list;
}
