#include "control/staged.h"

#include "observe/log.h"

enum { MARK_ENTERED = 1, MARK_HALTED = 2 /* and above: the cause, shifted by one */ };

static void policy_drop(struct staged_policy *p)
{
    policy_unref(p->policy);
    buf_fini(&p->bundle);
    *p = (struct staged_policy){.policy = NULL};
}

static enum err save(struct store *s, bool entered, enum rollout_cause halted, struct bytes bundle,
                     uint64_t ticket)
{
    struct buf fact = {0};
    buf_add_u8(&fact, (uint8_t)((entered ? MARK_ENTERED : 0) | (uint8_t)halted << 1));
    buf_add_bytes(&fact, bundle);
    enum err e = buf_ok(&fact) ? store_fact_put(s, "rollout", buf_bytes(&fact), ticket) : ERR_NOMEM;
    buf_fini(&fact);
    return e;
}

/* The two marks: at worst an agent learns again from the others where the rollout is. */
static void save_marks(const struct staged *g, const struct enforced *f, struct store *s)
{
    struct bytes bundle = buf_bytes(g->entered ? &f->bundle : &g->other.bundle);
    if (save(s, g->entered, g->state.halted, bundle, 0) != ERR_OK)
        log_debug("policy", "the state of the rollout could not be queued");
}

static void forget(struct store *s)
{
    if (store_fact_put(s, "rollout", bytes_of(NULL, 0), 0) != ERR_OK)
        log_debug("policy", "the end of the rollout could not be queued");
}

/* What was in force waits, what waited is in force. */
static void change_places(struct staged *g, struct enforced *f)
{
    struct staged_policy was = {.policy = f->policy,
                                .bundle = f->bundle,
                                .epoch = f->epoch,
                                .version = f->version,
                                .hash = f->hash,
                                .unvouched = f->unvouched};
    f->policy = g->other.policy;
    f->bundle = g->other.bundle;
    f->epoch = g->other.epoch;
    f->version = g->other.version;
    f->hash = g->other.hash;
    f->unvouched = g->other.unvouched;
    g->other = was;
    g->entered = !g->entered;
}

static void begin(struct staged *g, const struct staged_self *self, bool entered, enum rollout_cause halted)
{
    g->on = true;
    g->entered = false;
    g->halt_saved = halted != ROLLOUT_NONE;
    g->epoch = g->other.epoch;
    g->version = g->other.version;
    g->hash = g->other.hash;
    policy_unref(g->rules);
    g->rules = policy_ref(g->other.policy);
    g->look_at = g->report_at = 0;
    g->empty_said = 0;
    uint64_t turn = rollout_turn(policy_rollout(g->rules), &g->hash, self->id, self->labels);
    rollout_init(&g->state, policy_rollout(g->rules), turn, entered, halted);
}

static enum err open_by(struct staged_policy *out, struct bytes bytes, const struct root *root)
{
    struct bundle b;
    *out = (struct staged_policy){.policy = NULL};
    enum err e = bundle_settle(&out->bundle, root, bytes);
    if (e == ERR_OK)
        e = bundle_open(&b, &out->policy, root, buf_bytes(&out->bundle), NULL);
    if (e == ERR_OK)
        e = bundle_suits(&b, NULL);
    if (e != ERR_OK) {
        policy_drop(out);
        return e;
    }
    out->epoch = b.epoch;
    out->version = b.version;
    out->hash = b.hash;
    return ERR_OK;
}

/* As enforced.c opens what it has stored: by the newest root that vouches for it. */
static enum err open_stored(struct staged_policy *out, struct bytes bytes, const struct chain *roots)
{
    enum err e = open_by(out, bytes, &roots->newest);
    for (size_t by = 1; e == ERR_DENIED && by < roots->count; by++) {
        struct root earlier;
        if (root_open(&earlier, roots->envelope[roots->count - 1 - by]) == ERR_OK)
            e = open_by(out, bytes, &earlier);
        out->unvouched = true;
    }
    return e;
}

static bool is_above(const struct staged_policy *p, uint64_t epoch, uint64_t version)
{
    return p->epoch > epoch || (p->epoch == epoch && p->version > version);
}

enum err staged_init(struct staged *g, struct enforced *f, struct store *s, const struct chain *roots,
                     const struct staged_self *self)
{
    struct buf fact = {0};
    *g = (struct staged){.on = false};
    enum err e = store_fact_get(s, "rollout", &fact);
    if (e != ERR_OK || fact.len == 0) {
        buf_fini(&fact);
        return e;
    }
    uint8_t marks = fact.at[0];
    enum err opened = open_stored(&g->other, bytes_of(fact.at + 1, fact.len - 1), roots);
    if (opened != ERR_OK)
        log_warn("policy", "the version that was being rolled out cannot be used any more: %s",
                 err_text(opened));
    if (opened == ERR_OK && is_above(&g->other, f->epoch, f->version) &&
        policy_rollout(g->other.policy)->step_count > 0 && marks >> 1 <= ROLLOUT_ROOT) {
        enum rollout_cause halted = (enum rollout_cause)(marks >> 1);
        begin(g, self, marks & MARK_ENTERED, halted || !g->other.unvouched ? halted : ROLLOUT_ROOT);
        if ((marks & MARK_ENTERED) &&
            (!g->state.halted || !f->policy)) /* to deny everything is not to go back */
            change_places(g, f);
    } else {
        policy_drop(&g->other);
    }
    buf_fini(&fact);
    return opened == ERR_NOMEM ? ERR_NOMEM : ERR_OK;
}

void staged_fini(struct staged *g)
{
    policy_drop(&g->other);
    policy_drop(&g->next.policy);
    policy_unref(g->rules);
    buf_fini(&g->before);
}

static bool is_twin(const struct staged *g, uint64_t epoch, uint64_t version)
{
    return g->on && g->epoch == epoch && g->version == version;
}

/* Of those staged here; below what is in force, or the floor, and at once: enforced_offer() says so. The lower of two of one
 * version takes the other's place, and its way through the steps: who has entered goes back for it. */
static enum err may_follow(const struct staged *g, const struct enforced *f, const struct bundle *b,
                           bool in_steps)
{
    enum err e = g->on ? bundle_succeeds(b, g->epoch, g->version, &g->hash) : ERR_OK;
    if (is_twin(g, b->epoch, b->version) && e != ERR_EXISTS)
        return e == ERR_STALE ? ERR_CONFLICT : in_steps ? ERR_OK : ERR_NOT_FOUND;
    if (e != ERR_OK)
        return e;
    if (!in_steps)
        return ERR_NOT_FOUND;
    if (b->epoch < f->floor_epoch || (b->epoch == f->floor_epoch && b->version < f->floor_version))
        return ERR_NOT_FOUND;
    return f->policy && bundle_succeeds(b, f->epoch, f->version, &f->hash) != ERR_OK ? ERR_NOT_FOUND : ERR_OK;
}

static void say(struct buf *why, enum err e, const struct staged *g, uint64_t version)
{
    if (e == ERR_EXISTS)
        buf_addf(why, "version %llu is being rolled out already: nothing changes",
                 (unsigned long long)version);
    if (e == ERR_STALE)
        buf_addf(
            why,
            "version %llu of epoch %llu %s, and this one, version %llu, is not above it; raise `version:` "
            "and sign again",
            (unsigned long long)g->version, (unsigned long long)g->epoch,
            g->state.halted ? "was halted" : "is being rolled out", (unsigned long long)version);
    if (e == ERR_CONFLICT)
        buf_add_str(why,
                    "another signed bundle of this version is being rolled out, and keeps its place by its "
                    "lower hash; raise `version:` and sign again");
}

/* A halt is the version's: another bundle of it begins as halted, or whoever signs the same number twice would set it going again. */
static enum rollout_cause halt_of_twin(const struct staged *g, const struct staged_policy *p)
{
    return is_twin(g, p->epoch, p->version) ? g->state.halted : ROLLOUT_NONE;
}

/* Once for each time that it is seen: of what is in force, enforced_offer() raises it. */
static void alarm_twin(const struct staged *g, struct enforced *f, const struct bundle *b, enum err judged)
{
    bool sees_it = judged == ERR_NOT_FOUND && g->entered;
    if (is_twin(g, b->epoch, b->version) && !hash_eq(&b->hash, &g->hash) && !sees_it)
        enforced_alarm_fork(f, b, &g->hash);
}

enum err staged_offer(struct staged *g, struct enforced *f, struct store *s, const struct root *root,
                      struct bytes bundle, wall_s now, uint64_t ticket, struct buf *why)
{
    struct staged_policy p;
    if (g->next.busy || f->next.busy)
        return ERR_AGAIN;
    if (bundle.len > BUNDLE_BYTES_MAX || (root->expires && now >= root->expires) ||
        open_by(&p, bundle, root) != ERR_OK)
        return ERR_NOT_FOUND; /* enforced_offer() says what is wrong */
    struct bundle b = {.epoch = p.epoch, .version = p.version, .hash = p.hash};
    enum err e = may_follow(g, f, &b, policy_rollout(p.policy)->step_count > 0);
    alarm_twin(g, f, &b, e);
    if (e == ERR_EXISTS && g->state.halted)
        e = ERR_STALE; /* for good, and no success */
    say(why, e, g, p.version);
    enum rollout_cause halted = halt_of_twin(g, &p);
    if (e == ERR_OK && (e = save(s, false, halted, buf_bytes(&p.bundle), ticket)) != ERR_OK)
        buf_addf(why, "the bundle cannot be stored: %s; what is in force stays", err_text(e));
    if (e == ERR_OK) {
        g->next.busy = true;
        g->next.policy = p;
    } else {
        policy_drop(&p);
    }
    return e;
}

/* An unfinished version that is in force here stays, and is what the next one is compared with. Without a ticket, as nobody
 * waits for it: it is in force already, and the store writes what is queued in this order, so that what follows is never there
 * without it. A crash before it is written brings back what was in force before the rollout; the newest version comes from others.
 * False: it could not be queued. */
static bool settle(struct staged *g, struct enforced *f, struct store *s, wall_s now)
{
    if (!g->on || !g->entered)
        return true;
    enum err e = store_policy_activate(s, f->epoch, f->version, buf_bytes(&f->bundle), 0);
    if (e != ERR_OK)
        log_warn("policy", "version %llu is in force, but could not be queued to be stored so: %s",
                 (unsigned long long)f->version, err_text(e));
    f->floor_epoch = f->epoch;
    f->floor_version = f->version;
    f->history_dirty |= history_note(&f->history, f->epoch, f->version, &f->hash, now);
    return e == ERR_OK;
}

bool staged_confirmed(struct staged *g, struct enforced *f, struct store *s, enum err outcome,
                      const struct staged_self *self, wall_s now)
{
    g->next.busy = false;
    if (outcome != ERR_OK) {
        policy_drop(&g->next.policy);
        return false;
    }
    bool goes_back = g->entered && is_twin(g, g->next.policy.epoch, g->next.policy.version),
         to_nothing = goes_back && !g->other.policy;
    enum rollout_cause halted = halt_of_twin(g, &g->next.policy);
    if (goes_back)
        change_places(g, f);
    else
        (void)settle(g, f, s, now); /* the newer one is in the store by now, with or without it */
    policy_drop(&g->other);
    g->other = g->next.policy;
    g->next.policy = (struct staged_policy){.policy = NULL};
    begin(g, self, to_nothing, halted);
    if (to_nothing) { /* to deny everything is not to go back */
        change_places(g, f);
        save_marks(g, f, s);
    }
    return true;
}

static void end(struct staged *g)
{
    policy_drop(&g->other);
    policy_unref(g->rules);
    g->rules = NULL;
    g->on = g->entered = false;
}

bool staged_follow(struct staged *g, struct enforced *f, struct store *s, wall_s now)
{
    bool changes = g->on && rollout_is_in(&g->state) != g->entered;
    if (g->entered && !g->other.policy)
        changes = false; /* to deny everything is not to go back: until it is known what to go back to */
    if (changes)
        change_places(g, f);
    if (changes || (g->on && g->state.halted && !g->halt_saved)) {
        g->halt_saved = g->state.halted != ROLLOUT_NONE;
        save_marks(g, f, s);
    }
    if (g->on && g->entered && g->state.is_done) {
        bool is_settled = settle(g, f, s, now);
        if (is_settled) /* else the store holds it as entered, and a restart goes on from there */
            forget(s);
        end(g);
    }
    return changes;
}

bool staged_rejudge(struct staged *g, struct enforced *f, const struct root *root)
{
    struct buf settled = {0}, *bundle = g->entered ? &f->bundle : &g->other.bundle;
    if (!g->on || g->state.halted)
        return false;
    enum err e = bundle_settle(&settled, root, buf_bytes(bundle));
    if (e == ERR_OK) {
        buf_fini(bundle);
        *bundle = settled;
        return false;
    }
    buf_fini(&settled);
    if (e == ERR_NOMEM)
        return false;
    g->state.halted = ROLLOUT_ROOT;
    g->look_at = 0;
    return true;
}

void staged_drop_if_past(struct staged *g, const struct enforced *f, struct store *s)
{
    if (!g->on || f->epoch < g->epoch || (f->epoch == g->epoch && f->version < g->version))
        return;
    forget(s);
    end(g);
}

struct bytes staged_base(const struct staged *g, const struct enforced *f, struct hash *hash, uint64_t *epoch,
                         uint64_t *version)
{
    bool is_other = g->on && g->entered;
    *hash = is_other ? g->other.hash : f->hash;
    *epoch = is_other ? g->other.epoch : f->epoch;
    *version = is_other ? g->other.version : f->version;
    return buf_bytes(is_other ? &g->other.bundle : &f->bundle);
}

bool staged_lacks_base(const struct staged *g, const struct enforced *f)
{
    return g->on && !(g->entered ? g->other.policy : f->policy);
}

void staged_keep_before(struct staged *g, struct bytes bundle, const struct hash *hash)
{
    g->before.len = 0;
    buf_add_bytes(&g->before, bundle);
    g->before_hash = *hash;
    if (!buf_ok(&g->before))
        buf_fini(&g->before);
}

/* Without a ticket: lost, it is only asked for again after a restart, and in the store it lies below the fact that lacks it. */
void staged_take_base(struct staged *g, struct store *s, const struct bundle *b, struct policy *policy_take,
                      struct bytes bundle)
{
    struct staged_policy p = {
        .policy = policy_take, .epoch = b->epoch, .version = b->version, .hash = b->hash};
    buf_add_bytes(&p.bundle, bundle);
    if (!buf_ok(&p.bundle) || !g->entered || g->other.policy ||
        store_policy_activate(s, b->epoch, b->version, bundle, 0) != ERR_OK)
        policy_drop(&p);
    else
        g->other = p;
}
