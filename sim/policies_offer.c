/* What is published at a host or comes from others: judged, stored, and only then held, as control/staged.c and
 * control/enforced.c do. */
#include "sim/policies_parts.h"

enum err policies_succeeds(const struct sim_bundle *b, const struct sim_bundle *held)
{
    return bundle_succeeds(&b->said, held->doc.epoch, held->doc.version, &held->doc.hash);
}

static bool is_of_version(const struct sim_bundle *a, const struct sim_bundle *b)
{
    return a->doc.epoch == b->doc.epoch && a->doc.version == b->doc.version;
}

/* Two bundles of one version: the lower hash is taken, and the alarm raised whichever comes second. */
static enum err judge_twin(struct policies_host *s, const struct sim_bundle *b, const struct sim_bundle *held)
{
    enum err e = policies_succeeds(b, held);
    if (e != ERR_EXISTS)
        s->has_alarm = true;
    return e == ERR_CONFLICT ? ERR_OK : e == ERR_EXISTS ? e : ERR_CONFLICT;
}

/* As staged_offer() and enforced_offer(). */
static enum err judge(const struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = policies_host_of(w, host);
    const struct policies_kept *k = &s->now;
    const struct sim_bundle *in_force = policies_in_force(w, host);
    if (b->opened != ERR_OK)
        return b->opened;
    if (k->staged && is_of_version(b, k->staged))
        return judge_twin(s, b, k->staged);
    if (k->staged && policies_succeeds(b, k->staged) != ERR_OK)
        return ERR_STALE;
    if (b->doc.epoch < k->floor_epoch ||
        (b->doc.epoch == k->floor_epoch && b->doc.version < k->floor_version))
        return ERR_STALE;
    if (in_force && is_of_version(b, in_force))
        return judge_twin(s, b, in_force);
    return in_force ? policies_succeeds(b, in_force) : ERR_OK;
}

static void take_in_steps(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = policies_host_of(w, host);
    const struct sim_bundle *was = policies_in_force(w, host);
    policies_count_requests(w, host);
    if (s->now.staged && !is_of_version(b, s->now.staged))
        policies_rollout_settle(s); /* of a fork the version before stays the one to go back to */
    s->now.staged = b;
    s->now.entered = false;
    s->now.halted = ROLLOUT_NONE;
    if (policies_in_force(w, host) != was)
        policies_note_change(w, host, was);
    policies_rollout_begin(w, host, false, ROLLOUT_NONE);
}

static void take_at_once(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = policies_host_of(w, host);
    const struct sim_bundle *was = policies_in_force(w, host);
    s->now.base = b;
    s->now.floor_epoch = b->doc.epoch;
    s->now.floor_version = b->doc.version;
    if (s->now.staged && policies_succeeds(s->now.staged, b) != ERR_OK)
        policies_rollout_end(s);
    policies_note_change(w, host, was);
}

static void stored(struct world *w, uint32_t host)
{
    struct policies_host *s = policies_host_of(w, host);
    const struct sim_bundle *b = s->next;
    if (!b || s->next_generation != w->host[host].generation)
        return;
    if (w->host[host].state == HOST_PAUSED) {
        world_after(w, MS(5), host, stored);
        return;
    }
    if (w->host[host].state != HOST_UP)
        return;
    s->next = NULL;
    if (s->next_in_steps)
        take_in_steps(w, host, b);
    else
        take_at_once(w, host, b);
    s->is_queued = false;
    s->disk = s->now;
    policies_announce(w, host);
    host_say(w, host);
}

static void take(struct world *w, uint32_t host, const struct sim_bundle *b, bool in_steps)
{
    struct policies_host *s = policies_host_of(w, host);
    s->next = b;
    s->next_in_steps = in_steps;
    s->next_generation = w->host[host].generation;
    world_after(w, host_store_takes(w), host, stored);
}

static enum err offer(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = policies_host_of(w, host);
    if (s->next)
        return ERR_AGAIN;
    enum err e = judge(w, host, b);
    const struct sim_bundle *in_force = policies_in_force(w, host);
    bool is_twin = in_force && in_force != s->now.staged && is_of_version(b, in_force);
    if (e == ERR_OK && s->claim == CLAIM_NONE)
        take(w, host, b, policies_has_steps(b) && !is_twin);
    return e;
}

/* As take_before() of control/documents.c. */
enum err policies_offer_before(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = policies_host_of(w, host);
    const struct sim_bundle *in_force = policies_in_force(w, host);
    if (b->opened != ERR_OK)
        return b->opened;
    if (s->now.staged && policies_succeeds(s->now.staged, b) != ERR_OK)
        return ERR_STALE;
    bool may_keep = s->now.entered && !s->now.base && policies_is_base(w, host, b);
    if (may_keep) {
        s->now.base = b;
        policies_keep(w, host);
    }
    if (s->now.entered || (in_force && policies_succeeds(b, in_force) != ERR_OK)) {
        s->before = b;
        policies_tell(&w->host[host], BEFORE_KIND, &b->doc);
        return ERR_EXISTS;
    }
    if (s->next || s->claim != CLAIM_NONE || !policies_is_base(w, host, b))
        return ERR_AGAIN;
    take(w, host, b, false);
    return ERR_OK;
}

/* NULL: nobody signed these bytes; then they must not pass. */
static const struct sim_bundle *known(struct world *w, uint32_t host, struct bytes bytes)
{
    const struct policies *p = w->policies;
    struct hash whole = hash_of(bytes);
    struct bundle b;
    for (size_t i = 0; i < p->count; i++)
        if (hash_eq(&p->bundle[i]->whole, &whole))
            return p->bundle[i];
    if (bundle_open(&b, NULL, &p->root, bytes, NULL) == ERR_OK)
        world_fail(w, "host %u is given a policy that passes, and that nobody signed", host);
    return NULL;
}

void policies_received(struct world *w, uint32_t host, const struct gossip_event *ev)
{
    const struct sim_bundle *b = known(w, host, ev->doc);
    enum err e = !b                            ? ERR_DENIED
                 : ev->doc_kind == BEFORE_KIND ? policies_offer_before(w, host, b)
                                               : offer(w, host, b);
    w->policies->refused += e != ERR_OK && e != ERR_AGAIN && e != ERR_EXISTS;
}

void policies_publish(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    enum err e = offer(w, host, b);
    trace_line(&w->trace, w->now, "%u is given version %llu: %s", host, (unsigned long long)b->doc.version,
               err_text(e));
}
