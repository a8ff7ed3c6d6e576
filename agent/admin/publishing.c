#include "admin/publishing.h"

#include "admin/overlays.h"
#include "admin/report.h"
#include "admin/why.h"

static json_t *hex_of_hash(const struct hash *h)
{
    char hex[HASH_TEXT_MAX];
    hex_encode(h->b, HASH_BYTES, hex);
    return json_string(hex);
}

static json_t *head_of(uint64_t epoch, uint64_t version, const struct hash *hash)
{
    json_t *o = json_object();
    json_object_set_new(o, "epoch", json_of_number(epoch));
    json_object_set_new(o, "version", json_of_number(version));
    json_object_set_new(o, "hash", version ? hex_of_hash(hash) : json_string(""));
    return o;
}

json_t *publishing_head(const struct enforced *f)
{
    return head_of(f->epoch, f->version, &f->hash);
}

/* -- warnings ---------------------------------------------------------------------------------- */

static json_t *failed_text(const struct enforced_failed *f)
{
    if (strcmp(f->reason, "feature") == 0)
        return json_sprintf(
            "policy version %llu is not enforced here: it needs %s, which this version lacks; "
            "update the agent",
            (unsigned long long)f->version, f->what);
    return json_sprintf(
        "policy version %llu is not enforced here: %s %s", (unsigned long long)f->version,
        strcmp(f->reason, "store") == 0 ? "it cannot be stored:" : "it does not compile:", f->what);
}

/* By the clock already, though the loop looks only now and then. */
static bool has_expired(const struct enforced *f, wall_s now)
{
    return enforced_is_expired(f) ||
           (f->policy && policy_expires(f->policy) && policy_expires(f->policy) <= now);
}

void publishing_warn(json_t *list, const struct enforced *f, wall_s now)
{
    struct hash other;
    char kept[HASH_TEXT_MAX], left[HASH_TEXT_MAX];
    if (has_expired(f, now))
        json_array_append_new(
            list, json_string("the policy has expired; it stays enforced; sign and publish a new version"));
    else if (enforced_expires_soon(f, now))
        json_array_append_new(list,
                              json_sprintf("the policy expires in %lld hours; sign and publish a new version",
                                           (long long)(policy_expires(f->policy) - now) / 3600));
    if (f->failed.reason[0])
        json_array_append_new(list, failed_text(&f->failed));
    if (!enforced_is_forked(f, &other))
        return;
    unsigned long long version = f->history.fork.version;
    hex_encode(f->hash.b, HASH_BYTES, kept);
    hex_encode(other.b, HASH_BYTES, left);
    json_array_append_new(
        list,
        version == f->version && f->history.fork.epoch == f->epoch
            ? json_sprintf(
                  "two signed policies carry version %llu, %.16s (in force) and %.16s; sign a higher one",
                  version, kept, left)
            : json_sprintf("two signed policies carry version %llu, which is being rolled out: the one "
                           "with the lower hash, not %.16s; sign a higher one",
                           version, left));
}

/* -- one policy, and all that were ------------------------------------------------------------- */

static json_t *signers_of(const struct bundle *b)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b->signer_count; i++)
        json_array_append_new(list, json_of_id(&b->signer[i]));
    return list;
}

/* The last of that version; a version of 0 stands for the one in force. NULL: none. */
static const struct history_entry *find(const struct enforced *f, json_int_t version, json_int_t epoch_or_0)
{
    const struct history *h = &f->history;
    for (size_t i = h->count; i > 0; i--) {
        const struct history_entry *e = &h->at[i - 1];
        if (e->version == (uint64_t)version && (epoch_or_0 <= 0 || e->epoch == (uint64_t)epoch_or_0))
            return e;
    }
    return NULL;
}

static void add_forced(json_t *o, const struct bundle *b)
{
    if (b->forced.len)
        json_object_set_new(o, "forced", json_of_text(b->forced));
    if (b->dropped.len)
        json_object_set_new(o, "dropped", json_of_text(b->dropped));
}

static void add_bundle(json_t *o, struct bytes bytes, bool with_text)
{
    struct bundle b;
    if (bundle_peek(&b, bytes) != ERR_OK) /* it was sound when it was stored */
        return;
    json_object_set_new(o, "signers", signers_of(&b));
    add_forced(o, &b);
    if (with_text)
        json_object_set_new(o, "text", json_of_text(b.text));
}

/* Those in force, with what they may speak of: whoever compiles all of it again has the same policy. */
static json_t *parts_in_force(const struct control *c, struct bytes main)
{
    struct policy_source src[POLICY_SOURCES_MAX];
    struct policy_reach reach[POLICY_SOURCES_MAX];
    size_t count = parts_sources(control_parts(c), trust_root(control_identity(c)->trust), main, src, reach);
    json_t *list = json_array();
    for (size_t i = 1; i < count; i++) {
        const struct policy_reach *r = src[i].reach_or_null;
        json_t *services = json_array();
        for (size_t k = 0; k < r->pattern_count; k++)
            json_array_append_new(services, json_of_text(r->pattern[k]));
        json_array_append_new(list, json_pack("{s:s,s:o,s:o}", "name", r->name, "services", services, "text",
                                              json_of_text(src[i].text)));
    }
    return list;
}

static json_t *policy_in_force(const struct control *c)
{
    const struct enforced *f = control_policy(c);
    json_t *o = publishing_head(f);
    if (f->policy) {
        add_bundle(o, buf_bytes(&f->bundle), true);
        json_object_set_new(o, "parts", parts_in_force(c, bundle_text(buf_bytes(&f->bundle))));
    }
    return o;
}

/* What is in force here once its step has begun. */
static json_t *policy_rolled_out(const struct control *c)
{
    const struct staged *g = control_staged(c);
    if (!g->on || g->entered)
        return g->on ? policy_in_force(c) : json_null();
    struct bytes bundle = buf_bytes(&g->other.bundle);
    json_t *o = head_of(g->other.epoch, g->other.version, &g->other.hash);
    add_bundle(o, bundle, true);
    json_object_set_new(o, "parts", parts_in_force(c, bundle_text(bundle)));
    return o;
}

json_t *publishing_policy(const struct control *c, const json_t *request, struct buf *why)
{
    const struct enforced *f = control_policy(c);
    json_int_t version = json_integer_value(json_object_get(request, "version"));
    struct buf bundle = {0};
    if (json_is_true(json_object_get(request, "rollout")))
        return policy_rolled_out(c);
    if (!json_object_get(request, "version"))
        return policy_in_force(c);
    const struct history_entry *at = find(f, version, json_integer_value(json_object_get(request, "epoch")));
    enum err e = at ? control_policy_get(c, at->epoch, at->version, &bundle) : ERR_NOT_FOUND;
    json_t *o = e == ERR_OK ? head_of(at->epoch, at->version, &at->hash) : NULL;
    if (o)
        add_bundle(o, buf_bytes(&bundle), true);
    else if (e == ERR_NOT_FOUND)
        buf_addf(why, "version %lld is not in this agent's history (`starling policy history` lists it)",
                 (long long)version);
    else if (e != ERR_NOMEM && e != ERR_OK)
        buf_addf(why, "version %lld cannot be read: %s", (long long)version, err_text(e));
    buf_fini(&bundle);
    return o;
}

json_t *publishing_history(const struct control *c)
{
    const struct enforced *f = control_policy(c);
    json_t *list = json_array();
    for (size_t i = f->history.count; i > 0; i--) {
        const struct history_entry *e = &f->history.at[i - 1];
        struct buf bundle = {0};
        json_t *o = head_of(e->epoch, e->version, &e->hash);
        json_object_set_new(o, "since", e->since ? json_integer(e->since) : json_null());
        json_object_set_new(o, "in_force",
                            json_boolean(f->policy && e->epoch == f->epoch && e->version == f->version));
        if (control_policy_get(c, e->epoch, e->version, &bundle) == ERR_OK)
            add_bundle(o, buf_bytes(&bundle), false);
        buf_fini(&bundle);
        json_array_append_new(list, o);
    }
    return list;
}

/* -- who has what ------------------------------------------------------------------------------ */

enum standing { CURRENT, STALE, FAILED, FORKED, AHEAD, UNREACHABLE, STANDINGS };
static const char *const standing_text[STANDINGS] = {"current", "stale", "failed",
                                                     "forked",  "ahead", "unreachable"};

struct has { /* what a member says of itself, or this agent knows of itself */
    uint64_t epoch, version;
    struct hash hash;
    struct record_failed failed;
    uint64_t parts_sum; /* 0: none */
    struct hash parts_hash;
};

static int compare(uint64_t epoch, uint64_t version, uint64_t than_epoch, uint64_t than_version)
{
    if (epoch != than_epoch)
        return epoch > than_epoch ? 1 : -1;
    return version > than_version ? 1 : version < than_version ? -1 : 0;
}

/* What it could not take; a fork of what is being rolled out is no failure of its. */
static bool has_failed(const struct has *m)
{
    return m->failed.reason.len > 0 && !bytes_eq_str(m->failed.reason, "fork") &&
           compare(m->failed.epoch, m->failed.version, m->epoch, m->version) > 0;
}

/* `hash_or_null`: of the target, if this agent has it in force. */
static enum standing stand(const struct has *m, const struct has *target, const struct hash *hash_or_null)
{
    bool same_parts = m->parts_sum == target->parts_sum &&
                      (m->parts_sum == 0 || hash_eq(&m->parts_hash, &target->parts_hash));
    int d = compare(m->epoch, m->version, target->epoch, target->version);
    if (d > 0)
        return AHEAD;
    if (d == 0)
        return hash_or_null && !hash_eq(&m->hash, hash_or_null) ? FORKED
               : same_parts                                     ? CURRENT
               : m->parts_sum > target->parts_sum               ? AHEAD
                                                                : STALE;
    return has_failed(m) ? FAILED : STALE;
}

static struct has of_record(const struct record *r)
{
    return (struct has){r->policy_epoch, r->policy_version, r->policy_hash,
                        r->failed,       r->parts_sum,      r->parts_hash};
}

/* `trouble` is borrowed by what is returned. */
static struct has of_ourselves(const struct control *c, const struct enforced_failed *trouble)
{
    const struct enforced *f = control_policy(c);
    const struct parts *p = control_parts(c);
    return (struct has){
        .epoch = f->epoch,
        .version = f->version,
        .hash = f->hash,
        .failed = {trouble->epoch, trouble->version, bytes_str(trouble->reason), bytes_str(trouble->what)},
        .parts_sum = p->now.count ? p->sum : 0,
        .parts_hash = p->hash};
}

/* The newest of which this agent has seen the signatures. */
static struct has target_of(const struct has *own)
{
    struct has t = *own;
    if (has_failed(own)) {
        t.epoch = own->failed.epoch;
        t.version = own->failed.version;
        memset(&t.hash, 0, sizeof t.hash);
    }
    return t;
}

static json_t *line_of(const struct member *m, const struct record *r, const struct has *has, enum standing s)
{
    json_t *o = head_of(has->epoch, has->version, &has->hash);
    json_object_set_new(o, "name", json_of_text(member_name(m)));
    json_object_set_new(o, "id", json_of_id(&m->id));
    json_object_set_new(o, "state", json_string(standing_text[s]));
    json_object_set_new(o, "member", json_string(member_state_text(m)));
    json_object_set_new(o, "overlay", overlays_of_member(r));
    json_object_set_new(o, "parts", has->parts_sum ? json_of_number(has->parts_sum) : json_integer(0));
    if (has->failed.reason.len == 0)
        return o;
    json_t *failed = json_object();
    json_object_set_new(failed, "epoch", json_of_number(has->failed.epoch));
    json_object_set_new(failed, "version", json_of_number(has->failed.version));
    json_object_set_new(failed, "reason", json_of_text(has->failed.reason));
    json_object_set_new(failed, "words", json_of_text(has->failed.words));
    json_object_set_new(o, "failed", failed);
    return o;
}

static bool is_reachable(const struct member *m)
{
    return m->state == GOSSIP_ALIVE;
}

json_t *publishing_status(const struct control *c)
{
    const struct enforced *f = control_policy(c);
    struct enforced_failed trouble = enforced_trouble(f);
    struct has own = of_ourselves(c, &trouble), target = target_of(&own);
    const struct hash *hash = target.epoch == f->epoch && target.version == f->version ? &f->hash : NULL;
    size_t count[STANDINGS] = {0};
    bool complete = target.version > 0;
    json_t *o = head_of(target.epoch, target.version, hash ? hash : &target.hash), *list = json_array();
    for (const struct member *m = control_roster(c)->by_id; m; m = m->hh.next) {
        bool is_self = node_id_eq(&m->id, &control_identity(c)->sign.pub);
        if (m->state == GOSSIP_LEFT || m->is_revoked)
            continue;
        struct record r;
        control_record_of(c, m, &r);
        struct has has = is_self ? own : of_record(&r);
        enum standing s = stand(&has, &target, hash);
        complete = complete && (s == CURRENT || m->state == GOSSIP_DEAD);
        if (!is_reachable(m) && !is_self)
            s = UNREACHABLE;
        count[s]++;
        json_array_append_new(list, line_of(m, &r, &has, s));
    }
    json_t *counts = json_object();
    for (size_t s = 0; s < STANDINGS; s++)
        json_object_set_new(counts, standing_text[s], json_of_number(count[s]));
    struct bundle b;
    if (hash && f->policy && bundle_peek(&b, buf_bytes(&f->bundle)) == ERR_OK)
        add_forced(o, &b);
    json_object_set_new(o, "complete", json_boolean(complete));
    json_object_set_new(o, "unvouched", json_boolean(hash && f->unvouched));
    json_object_set_new(o, "expired", json_boolean(hash && has_expired(f, (wall_s)(net_wall_ms() / 1000))));
    json_object_set_new(o, "rollout", publishing_rollout(control_staged(c)));
    json_object_set_new(o, "overlay", overlays_newest(c));
    json_object_set_new(o, "counts", counts);
    json_object_set_new(o, "members", list);
    return o;
}

/* -- a rollout --------------------------------------------------------------------------------- */

json_t *publishing_rollout(const struct staged *g)
{
    const struct rollout *r = &g->state;
    if (!g->on)
        return json_null();
    json_t *o =
        json_pack("{s:I,s:I,s:i,s:i,s:i,s:b,s:I,s:I,s:b}", "epoch", (json_int_t)g->epoch, "version",
                  (json_int_t)g->version, "step", (int)r->at + 1, "steps", (int)r->rule->step_count,
                  "own_step", (int)r->own_step + 1, "in_force_here", g->entered, "enforced_by",
                  (json_int_t)r->seen_new, "members", (json_int_t)r->seen_all, "compared", r->was_compared);
    if (r->halted)
        json_object_set_new(o, "halted", json_string(rollout_cause_text(r->halted)));
    json_t *empty = json_array();
    for (size_t s = 0; s < r->rule->step_count; s++)
        if (r->empty >> s & 1)
            json_array_append_new(empty, json_integer((json_int_t)s + 1));
    json_object_set_new(o, "empty_steps", empty);
    return o;
}

void publishing_warn_of_rollout(json_t *list, const struct staged *g)
{
    struct buf empty = {0};
    if (!g->on)
        return;
    if (g->state.halted)
        json_array_append_new(
            list, json_sprintf("the rollout of policy version %llu is halted, by %s: the version before "
                               "stays in force; sign and publish a higher one",
                               (unsigned long long)g->version, rollout_cause_text(g->state.halted)));
    else
        rollout_say_empty(&g->state, &empty);
    if (empty.len > 0)
        json_array_append_new(list, json_sprintf("the rollout of policy version %llu: %s",
                                                 (unsigned long long)g->version, buf_str(&empty)));
    buf_fini(&empty);
}
