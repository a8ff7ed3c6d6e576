/* A version in steps: what a host draws, counts, gathers from the records and concludes, as control/rollout.c does. */
#include "sim/must.h"
#include "sim/policies_parts.h"

enum { COUNTED_MAX = 2000 }; /* requests drawn one by one at a look; older ones count no more */

/* What has come since it was counted last, under the version that has been in force. */
void policies_count_requests(struct world *w, uint32_t host)
{
    struct policies_host *s = policies_host_of(w, host);
    const struct sim_bundle *b = policies_in_force(w, host);
    mono_ms now = host_ms(&w->host[host]);
    uint64_t n = (now - s->counted_at) * w->policies->requests_per_s / 1000;
    s->counted_at = now;
    if (!b)
        return;
    struct record_count *c = &s->counted[s->now.entered];
    for (n = n < COUNTED_MAX ? n : COUNTED_MAX; n > 0; n--) {
        uint32_t dice = rng_below(&w->rng, POLICY_PPM);
        c->requests++;
        c->errors += dice < b->traffic.error_ppm;
        c->denied += dice >= POLICY_PPM - b->traffic.denied_ppm;
    }
    c->p99_us = b->traffic.p99_us * (90 + rng_below(&w->rng, 21)) / 100;
}

struct gathered {
    struct rollout_member *at;
    size_t count;
};

static struct rollout_member member_of(const struct sim_bundle *b, uint32_t host, const struct node_id *id,
                                       const struct signed_policy *says)
{
    struct rollout_member m = {.id = *id, .turn = b->turn[host]};
    const struct bundle_id of = {b->doc.epoch, b->doc.version, b->doc.hash},
                           in_force = {says->epoch, says->version, says->hash};
    rollout_take_record(&m, &of, &in_force, &says->rollout);
    return m;
}

/* Of the live members that this host knows and that enforce something: how many have `b`, and how many what is neither that nor
 * staged. As control_is_base() and has_nothing() of control/rollout.c count them. */
struct having {
    size_t it, other;
};

static struct having count_having(const struct world *w, uint32_t host, const struct sim_bundle *b)
{
    const struct sim_bundle *staged = policies_host_of(w, host)->now.staged;
    const struct host *h = &w->host[host];
    struct gossip_member m;
    struct having n = {0, 0};
    for (size_t cursor = 0; gossip_member_next(h->gossip, &cursor, &m);) {
        uint32_t subject = signer_host_of(w->signer, &m.id);
        const struct signed_record *r = subject < w->config.hosts ? host_remembers(h, subject) : NULL;
        if (!r || subject == host || m.state == GOSSIP_LEFT || m.state == GOSSIP_DEAD ||
            r->words.policy.version == 0)
            continue;
        bool is_it = b && hash_eq(&r->words.policy.hash, &b->doc.hash),
             is_staged = staged && hash_eq(&r->words.policy.hash, &staged->doc.hash);
        n.it += is_it;
        n.other += !is_it && !is_staged;
    }
    return n;
}

bool policies_is_base(const struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct having n = count_having(w, host, b);
    return n.it > n.other;
}

/* As gather() of control/rollout.c: what the records of the members that this host knows say, and itself. */
static struct gathered gather(const struct world *w, uint32_t host)
{
    const struct policies_host *s = policies_host_of(w, host);
    const struct host *h = &w->host[host];
    struct gathered g = {must_zeros(w->config.hosts, sizeof *g.at), 0};
    struct signed_policy own;
    struct gossip_member m;
    for (size_t cursor = 0; gossip_member_next(h->gossip, &cursor, &m);) {
        uint32_t subject = signer_host_of(w->signer, &m.id);
        const struct signed_record *r = subject < w->config.hosts ? host_remembers(h, subject) : NULL;
        if (!r || subject == host || m.state == GOSSIP_LEFT)
            continue;
        g.at[g.count] = member_of(s->now.staged, subject, &m.id, &r->words.policy);
        g.at[g.count++].is_live = m.state != GOSSIP_DEAD;
    }
    policies_say(w, host, &own);
    g.at[g.count] = member_of(s->now.staged, host, signer_id(w->signer, host), &own);
    g.at[g.count++].is_live = true;
    rollout_sort(g.at, g.count);
    return g;
}

static bool is_asked(const struct world *w, uint32_t host, const struct gathered *g)
{
    size_t i = 0;
    while (!node_id_eq(&g->at[i].id, signer_id(w->signer, host)))
        i++;
    return rollout_reports(i, g->count);
}

static void look(struct world *w, uint32_t host);

static void look_later(struct world *w, uint32_t host, mono_us delay)
{
    struct policies_host *s = policies_host_of(w, host);
    s->look_at = w->now + delay;
    world_after(w, delay, host, look);
}

void policies_rollout_begin(struct world *w, uint32_t host, bool entered, enum rollout_cause halted)
{
    struct policies_host *s = policies_host_of(w, host);
    rollout_init(&s->state, policies_rule_of(s->now.staged), s->now.staged->turn[host], entered, halted);
    s->said = (struct record_rollout){.version = 0};
    s->counted[1] = (struct record_count){.requests = 0};
    s->report_at = 0;
    look_later(w, host, 0);
}

void policies_rollout_end(struct policies_host *s)
{
    s->now.staged = NULL;
    s->now.entered = false;
    s->now.halted = ROLLOUT_NONE;
    s->look_at = NEVER;
    s->said = (struct record_rollout){.version = 0};
}

/* What is in force becomes what the next version is compared with. */
void policies_rollout_settle(struct policies_host *s)
{
    if (!s->now.staged || !s->now.entered)
        return;
    s->now.base = s->now.staged;
    s->now.floor_epoch = s->now.base->doc.epoch;
    s->now.floor_version = s->now.base->doc.version;
    s->counted[0] = s->counted[1];
}

/* As staged_follow(). True: what the host says has changed. */
static bool follow(struct world *w, uint32_t host)
{
    struct policies_host *s = policies_host_of(w, host);
    const struct sim_bundle *was = policies_in_force(w, host);
    bool is_stuck = s->now.entered && !s->now.base; /* it does not know to what to go back */
    bool changes = rollout_is_in(&s->state) != s->now.entered && !is_stuck,
         halts = s->state.halted != s->now.halted;
    s->now.entered ^= changes;
    s->now.halted = s->state.halted;
    if (halts)
        trace_line(&w->trace, w->now, "%u halts version %llu: %s", host,
                   (unsigned long long)s->now.staged->doc.version, rollout_cause_text(s->now.halted));
    if (changes)
        policies_note_change(w, host, was);
    bool is_done = s->now.entered && s->state.is_done;
    if (is_done) {
        policies_rollout_settle(s);
        policies_rollout_end(s);
    }
    if (changes || halts || is_done)
        policies_keep(w, host);
    return changes || is_done;
}

static bool report(struct world *w, uint32_t host, const struct gathered *g)
{
    struct policies_host *s = policies_host_of(w, host);
    struct record_rollout counted = {.epoch = s->now.staged->doc.epoch,
                                     .version = s->now.staged->doc.version,
                                     .before = s->counted[0],
                                     .after = s->counted[1]};
    return rollout_report(&s->state, counted, is_asked(w, host, g), &s->said, &s->report_at,
                          host_ms(&w->host[host]));
}

/* As control_rollout_step(). */
static void look(struct world *w, uint32_t host)
{
    struct policies_host *s = policies_host_of(w, host);
    if (s->look_at != w->now)
        return; /* of a process that is gone, or a rollout that is past */
    const struct host *h = &w->host[host];
    if (host_is_running(h) && (h->state == HOST_PAUSED || !h->own)) /* or it asks what others hold of it */
        look_later(w, host, MS(5));
    if (h->state != HOST_UP || !h->own)
        return;
    look_later(w, host, MS(rollout_look_every(policies_rule_of(s->now.staged))));
    policies_count_requests(w, host);
    struct gathered g = gather(w, host);
    s->state.has_nothing = !policies_in_force(w, host) && count_having(w, host, NULL).other == 0;
    s->state.is_arriving = !s->now.entered && rollout_is_arriving(&s->arrival, host_ms(h));
    rollout_look(&s->state, g.at, g.count, host_ms(&w->host[host]));
    bool says = report(w, host, &g);
    free(g.at);
    says |= follow(w, host);
    if (says)
        host_say(w, host);
    const struct policies_kept *k = &s->now;
    if (k->staged && !k->base && s->before) /* as control_reconsider_before() */
        (void)policies_offer_before(w, host, s->before);
}
