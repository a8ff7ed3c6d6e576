/* A rollout as this agent sees it: gathers what the members' records say, asks policy/rollout.h what follows, and says in our own
 * record what we count. Whoever enforces the new version says so there anyway, by its hash. */
#include "control/inner.h"
#include "observe/log.h"

#include <stdlib.h>

struct staged_self control_staged_self(const struct control *c)
{
    return (struct staged_self){&c->identity.sign.pub, &c->identity.credential_open.labels};
}

mono_ms control_rollout_deadline(const struct control *c)
{
    return c->staged.on && c->may_speak ? c->staged.look_at : NEVER;
}

/* -- what the members say ---------------------------------------------------------------------- */

static struct bundle_id rolled_out(const struct staged *g)
{
    return (struct bundle_id){g->epoch, g->version, g->hash};
}

static struct bundle_id in_force(const struct control *c)
{
    return (struct bundle_id){c->enforced.epoch, c->enforced.version, c->enforced.hash};
}

static struct rollout_member member_of(const struct control *c, const struct member *m)
{
    const struct staged *g = &c->staged;
    struct record r;
    control_record_of(c, m, &r);
    const struct bundle_id of = rolled_out(g), has = {r.policy_epoch, r.policy_version, r.policy_hash};
    struct rollout_member out = {.id = m->id, .is_live = member_is_live(m)};
    out.turn = rollout_turn(policy_rollout(g->rules), &g->hash, &m->id, &r.credential.labels);
    rollout_take_record(&out, &of, &has, &r.rollout);
    return out;
}

static struct rollout_member self_of(const struct control *c)
{
    const struct staged *g = &c->staged;
    const struct staged_self self = control_staged_self(c);
    const struct bundle_id of = rolled_out(g), has = in_force(c);
    struct rollout_member out = {.id = *self.id, .is_live = true};
    out.turn = rollout_turn(policy_rollout(g->rules), &g->hash, self.id, self.labels);
    rollout_take_record(&out, &of, &has, &c->own.rollout);
    return out;
}

static bool takes_part(const struct control *c, const struct member *m)
{
    return m->state != GOSSIP_LEFT && !m->is_revoked && !node_id_eq(&m->id, &c->identity.sign.pub);
}

/* All members, ourselves among them, sorted. NULL: no memory. */
static struct rollout_member *gather(const struct control *c, size_t *count)
{
    struct rollout_member *list = calloc(HASH_COUNT(c->roster.by_id) + 1u, sizeof *list);
    *count = 0;
    if (!list)
        return NULL;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next)
        if (takes_part(c, m))
            list[(*count)++] = member_of(c, m);
    list[(*count)++] = self_of(c);
    rollout_sort(list, *count);
    return list;
}

bool control_is_base(const struct control *c, const struct hash *hash)
{
    size_t same = 0, other = 0;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next) {
        if (!takes_part(c, m) || !member_is_live(m) || !m->record->has_policy)
            continue;
        if (hash_eq(&m->policy_hash, hash))
            same++;
        else if (!c->staged.on || !hash_eq(&m->policy_hash, &c->staged.hash))
            other++;
    }
    return same > other;
}

/* Nothing is in force here, and all who have something have the new version. */
static bool has_nothing(const struct control *c)
{
    if (c->enforced.policy)
        return false;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next)
        if (takes_part(c, m) && member_is_live(m) && m->record->has_policy &&
            !hash_eq(&m->policy_hash, &c->staged.hash))
            return false;
    return true;
}

/* -- what we say ------------------------------------------------------------------------------- */

static bool is_asked(const struct control *c, const struct rollout_member *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (node_id_eq(&list[i].id, &c->identity.sign.pub))
            return rollout_reports(i, count);
    return false;
}

static void report(struct control *c, const struct rollout_member *list, size_t count)
{
    struct staged *g = &c->staged;
    struct record_rollout counted = {.epoch = g->epoch, .version = g->version};
    const struct bundle_id new = rolled_out(g),
                           old = g->entered
                                     ? (struct bundle_id){g->other.epoch, g->other.version, g->other.hash}
                                     : in_force(c);
    counted.before = workers_count(c->workers, &old);
    counted.after = workers_count(c->workers, &new);
    c->own_dirty |=
        rollout_report(&g->state, counted, is_asked(c, list, count), &c->own.rollout, &g->report_at, c->now);
}

/* -- what follows ------------------------------------------------------------------------------ */

static void say_change(const struct control *c, const struct rollout *before)
{
    const struct staged *g = &c->staged;
    const struct rollout *r = &g->state;
    if (r->halted && !before->halted)
        log_error("policy",
                  "the rollout of version %llu is halted, by %s: %s; it stays so until a higher version is "
                  "signed and published",
                  (unsigned long long)g->version, rollout_cause_text(r->halted),
                  g->entered ? "this agent goes back to the version before"
                             : "it does not get into force here");
    else if (r->is_done && !before->is_done)
        log_info("policy", "the rollout of version %llu is done", (unsigned long long)g->version);
    else if (r->at != before->at)
        log_info("policy",
                 "the rollout of version %llu is at step %zu of %zu: %llu of %llu members enforce it",
                 (unsigned long long)g->version, r->at + 1, r->rule->step_count,
                 (unsigned long long)r->seen_new, (unsigned long long)r->seen_all);
}

static void say_empty(struct staged *g)
{
    struct buf text = {0};
    if (!(g->state.empty & ~g->empty_said) || g->state.halted)
        return;
    g->empty_said |= g->state.empty;
    rollout_say_empty(&g->state, &text);
    log_warn("policy", "the rollout of version %llu: %s", (unsigned long long)g->version, buf_str(&text));
    buf_fini(&text);
}

void control_rollout_step(struct control *c)
{
    struct staged *g = &c->staged;
    struct rollout before = g->state;
    size_t count;
    if (!g->on && c->own.rollout.version > 0) {
        c->own.rollout = (struct record_rollout){.version = 0};
        c->own_dirty = true;
    }
    if (!g->on || c->now < g->look_at || !c->may_speak)
        return;
    g->look_at = c->now + rollout_look_every(g->state.rule);
    struct rollout_member *list = gather(c, &count);
    if (!list)
        return; /* at the next look */
    g->state.has_nothing = has_nothing(c);
    g->state.is_arriving = !g->entered && rollout_is_arriving(&c->arrival, c->now);
    rollout_look(&g->state, list, count, c->now);
    say_change(c, &before);
    say_empty(g);
    report(c, list, count);
    free(list);
    if (staged_follow(g, &c->enforced, c->store, control_wall(c)))
        control_changed_policy(c);
    control_reconsider_before(c);
}
