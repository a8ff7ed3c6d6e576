#include "sim/policies.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/feature.h"

enum {
    COUNTED_MAX = 2000, /* requests drawn one by one at a look; older ones count no more */
    STORE_US_MIN = 1000,
    CLAIM_MS = 1000,
    INVENTED_FROM = 1000000,
};

static void *must(void *p)
{
    if (!p)
        abort(); /* a simulation that is out of memory has no result */
    return p;
}

static void received(struct world *w, uint32_t host, const struct gossip_event *ev);

/* -- bundles ----------------------------------------------------------------------------------- */

static struct sign_key key_of(uint8_t byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, byte, sizeof seed);
    if (sign_key_of_seed(&k, seed) != ERR_OK)
        abort();
    return k;
}

void policies_begin(struct world *w)
{
    struct policies *p = must(calloc(1, sizeof *p));
    struct sign_key root = key_of(1);
    const struct sign_key *by = &root;
    if (trust_init() != ERR_OK)
        abort();
    p->key = key_of(2);
    p->thief = key_of(3);
    struct root r = {.mesh = bytes_str("sim.example"),
                     .epoch = 1,
                     .root = {1, 1, {root.pub}},
                     .policy = {1, 1, {p->key.pub}},
                     .enrol = {1, 1, {root.pub}}};
    if (root_create(&p->root_bytes, &r, &by, 1) != ERR_OK ||
        root_open(&p->root, buf_bytes(&p->root_bytes)) != ERR_OK)
        abort();
    p->host = must(calloc(w->config.hosts, sizeof *p->host));
    for (uint32_t h = 0; h < w->config.hosts; h++)
        p->host[h].look_at = NEVER;
    w->policies = p;
    w->on_doc = received;
}

static void bundle_free(struct sim_bundle *b)
{
    policy_unref(b->policy);
    buf_fini(&b->doc.bytes);
    free(b->turn);
    free(b);
}

void policies_free(struct policies *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        bundle_free(p->bundle[i]);
    buf_fini(&p->root_bytes);
    free(p->host);
    free(p);
}

static bool has_steps(const struct sim_bundle *b)
{
    return b->policy && policy_rollout(b->policy)->step_count > 0;
}

static const struct policy_rollout *rule_of(const struct sim_bundle *b)
{
    return policy_rollout(b->policy);
}

static void deal_turns(struct world *w, struct sim_bundle *b)
{
    b->turn = must(calloc(w->config.hosts, sizeof *b->turn));
    for (uint32_t h = 0; h < w->config.hosts; h++)
        b->turn[h] =
            rollout_turn(rule_of(b), &b->doc.hash, signer_id(w->signer, h), &w->policies->host[h].labels);
}

struct sim_bundle *policies_sign(struct world *w, uint64_t version, const char *body, size_t bytes_min,
                                 bool by_thief)
{
    struct policies *p = w->policies;
    struct sim_bundle *b = must(calloc(1, sizeof *b));
    const struct sign_key *key = by_thief ? &p->thief : &p->key;
    struct root root = p->root;
    struct buf text = {0};
    assert(p->count < BUNDLES_MAX);
    root.policy.key[0] = key->pub; /* a thief signs as if it were his */
    buf_addf(&text, "policy: v1\nmesh: sim.example\nversion: %llu\n%s", (unsigned long long)version, body);
    while (text.len < bytes_min)
        buf_add_str(&text, "# as its reviewers read it, with the reasons beside the rules\n");
    if (bundle_sign(&b->doc.bytes, &root, 1, buf_bytes(&text), NULL, &key, 1, NULL) != ERR_OK ||
        bundle_peek(&b->said, buf_bytes(&b->doc.bytes)) != ERR_OK)
        abort();
    buf_fini(&text);
    b->doc.epoch = 1;
    b->doc.version = version;
    b->doc.hash = b->said.hash;
    b->whole = hash_of(buf_bytes(&b->doc.bytes));
    struct bundle opened;
    b->opened = bundle_open(&opened, &b->policy, &p->root, buf_bytes(&b->doc.bytes), NULL);
    if (b->opened == ERR_OK)
        b->opened = bundle_suits(&opened, NULL);
    if (has_steps(b))
        deal_turns(w, b);
    return p->bundle[p->count++] = b;
}

/* -- what a host holds ------------------------------------------------------------------------- */

static struct policies_host *host_of(const struct world *w, uint32_t host)
{
    return &w->policies->host[host];
}

const struct sim_bundle *policies_in_force(const struct world *w, uint32_t host)
{
    const struct policies_kept *k = &host_of(w, host)->now;
    return k->entered ? k->staged : k->base;
}

const struct doc *policies_find(const struct world *w, uint32_t host, const struct hash *hash)
{
    const struct policies_host *s = host_of(w, host);
    const struct sim_bundle *held[] = {s->now.base, s->now.staged, s->before};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        if (held[i] && hash_eq(&held[i]->doc.hash, hash))
            return &held[i]->doc;
    return NULL;
}

static void tell(struct host *h, uint8_t kind, const struct doc *d)
{
    gossip_doc_set(h->gossip, kind, d->epoch, d->version, &d->hash, host_ms(h));
}

/* As announce_policy() of control/documents.c. */
void policies_announce(struct world *w, uint32_t host)
{
    struct policies_host *s = host_of(w, host);
    struct host *h = &w->host[host];
    const struct sim_bundle *newest = s->now.staged ? s->now.staged : s->now.base;
    if (s->claim != CLAIM_NONE)
        return;
    if (newest)
        tell(h, DOC_KIND, &newest->doc);
    if (s->now.staged && s->now.base) {
        s->before = s->now.base;
        tell(h, BEFORE_KIND, &s->before->doc);
    }
}

static const struct record_count worst = {1000000000, 1000000000, 1000000000, 60000000},
                                 best = {1000000000, 0, 0, 64};

static void lie(const struct policies_host *s, struct signed_policy *out)
{
    const struct sim_bundle *as = s->lie == LIE_NEW ? s->now.staged : s->now.base;
    struct record_rollout *r = &out->rollout;
    r->epoch = s->now.staged->doc.epoch;
    r->version = s->now.staged->doc.version;
    r->halted = s->lie == LIE_HALTED;
    if (s->lie == LIE_BAD) {
        r->before = best;
        r->after = worst;
    } else if (s->lie == LIE_GOOD) {
        r->before = worst;
        r->after = best;
    } else if ((s->lie == LIE_NEW || s->lie == LIE_OLD) && as) {
        out->epoch = as->doc.epoch;
        out->version = as->doc.version;
        out->hash = as->doc.hash;
    }
}

void policies_say(const struct world *w, uint32_t host, struct signed_policy *out)
{
    const struct policies_host *s = host_of(w, host);
    const struct sim_bundle *b = policies_in_force(w, host);
    *out = (struct signed_policy){.rollout = s->said};
    if (b) {
        out->epoch = b->doc.epoch;
        out->version = b->doc.version;
        out->hash = b->doc.hash;
    }
    if (s->lie != LIE_NONE && s->now.staged)
        lie(s, out);
}

/* -- its disk ---------------------------------------------------------------------------------- */

static mono_us store_takes(struct world *w)
{
    return STORE_US_MIN + rng_below(&w->rng, PERSIST_US_MAX - STORE_US_MIN);
}

static void write_queued(struct world *w, uint32_t host)
{
    struct policies_host *s = host_of(w, host);
    if (w->host[host].state == HOST_PAUSED) {
        world_after(w, MS(5), host, write_queued);
    } else if (s->is_queued) {
        s->is_queued = false;
        s->disk = s->queued;
    }
}

/* The marks of a rollout: nobody waits for them. */
static void keep(struct world *w, uint32_t host)
{
    struct policies_host *s = host_of(w, host);
    s->queued = s->now;
    if (s->is_queued)
        return;
    s->is_queued = true;
    world_after(w, store_takes(w), host, write_queued);
}

/* -- revocation -------------------------------------------------------------------------------- */

bool policies_revokes(const struct world *w, uint32_t host, const struct node_id *id)
{
    const struct sim_bundle *b = host_of(w, host)->now.revoking;
    return b && policy_revocation(b->policy, id) != NULL;
}

/* As mark_fallen() and evict_members() of control/judge.c: they are told by which policy it was, and forgotten. */
static void cut_revoked(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct host *h = &w->host[host];
    size_t count = 0;
    const struct policy_revocation *key = b ? policy_revocations(b->policy, &count) : NULL;
    if (count > 0)
        host_of(w, host)->now.revoking = b;
    for (size_t i = 0; i < count; i++)
        if (!node_id_eq(&key[i].key, signer_id(w->signer, host))) {
            gossip_doc_tell(h->gossip, DOC_KIND, &key[i].key, host_ms(h));
            gossip_evict(h->gossip, &key[i].key, host_ms(h));
        }
}

/* -- a rollout --------------------------------------------------------------------------------- */

static void note_change(struct world *w, uint32_t host, const struct sim_bundle *was)
{
    const struct sim_bundle *now = policies_in_force(w, host);
    trace_line(&w->trace, w->now, "%u enforces version %llu", host,
               (unsigned long long)(now ? now->doc.version : 0));
    cut_revoked(w, host, now);
    if (w->policies->changed)
        w->policies->changed(w, host, was);
}

/* What has come since it was counted last, under the version that has been in force. */
static void count_requests(struct world *w, uint32_t host)
{
    struct policies_host *s = host_of(w, host);
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
    const struct sim_bundle *staged = host_of(w, host)->now.staged;
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

static bool is_base(const struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct having n = count_having(w, host, b);
    return n.it > n.other;
}

/* As gather() of control/rollout.c: what the records of the members that this host knows say, and itself. */
static struct gathered gather(const struct world *w, uint32_t host)
{
    const struct policies_host *s = host_of(w, host);
    const struct host *h = &w->host[host];
    struct gathered g = {must(calloc(w->config.hosts, sizeof *g.at)), 0};
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
static enum err offer_before(struct world *w, uint32_t host, const struct sim_bundle *b);

static void look_later(struct world *w, uint32_t host, mono_us delay)
{
    struct policies_host *s = host_of(w, host);
    s->look_at = w->now + delay;
    world_after(w, delay, host, look);
}

static void begin(struct world *w, uint32_t host, bool entered, enum rollout_cause halted)
{
    struct policies_host *s = host_of(w, host);
    rollout_init(&s->state, rule_of(s->now.staged), s->now.staged->turn[host], entered, halted);
    s->said = (struct record_rollout){.version = 0};
    s->counted[1] = (struct record_count){.requests = 0};
    s->report_at = 0;
    look_later(w, host, 0);
}

static void end(struct policies_host *s)
{
    s->now.staged = NULL;
    s->now.entered = false;
    s->now.halted = ROLLOUT_NONE;
    s->look_at = NEVER;
    s->said = (struct record_rollout){.version = 0};
}

/* What is in force becomes what the next version is compared with. */
static void settle(struct policies_host *s)
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
    struct policies_host *s = host_of(w, host);
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
        note_change(w, host, was);
    bool is_done = s->now.entered && s->state.is_done;
    if (is_done) {
        settle(s);
        end(s);
    }
    if (changes || halts || is_done)
        keep(w, host);
    return changes || is_done;
}

static bool report(struct world *w, uint32_t host, const struct gathered *g)
{
    struct policies_host *s = host_of(w, host);
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
    struct policies_host *s = host_of(w, host);
    if (s->look_at != w->now)
        return; /* of a process that is gone, or a rollout that is past */
    const struct host *h = &w->host[host];
    if (host_is_running(h) && (h->state == HOST_PAUSED || !h->own)) /* or it asks what others hold of it */
        look_later(w, host, MS(5));
    if (h->state != HOST_UP || !h->own)
        return;
    look_later(w, host, MS(rollout_look_every(rule_of(s->now.staged))));
    count_requests(w, host);
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
        (void)offer_before(w, host, s->before);
}

/* -- documents --------------------------------------------------------------------------------- */

static enum err succeeds(const struct sim_bundle *b, const struct sim_bundle *held)
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
    enum err e = succeeds(b, held);
    if (e != ERR_EXISTS)
        s->has_alarm = true;
    return e == ERR_CONFLICT ? ERR_OK : e == ERR_EXISTS ? e : ERR_CONFLICT;
}

/* As staged_offer() and enforced_offer(). */
static enum err judge(const struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = host_of(w, host);
    const struct policies_kept *k = &s->now;
    const struct sim_bundle *in_force = policies_in_force(w, host);
    if (b->opened != ERR_OK)
        return b->opened;
    if (k->staged && is_of_version(b, k->staged))
        return judge_twin(s, b, k->staged);
    if (k->staged && succeeds(b, k->staged) != ERR_OK)
        return ERR_STALE;
    if (b->doc.epoch < k->floor_epoch ||
        (b->doc.epoch == k->floor_epoch && b->doc.version < k->floor_version))
        return ERR_STALE;
    if (in_force && is_of_version(b, in_force))
        return judge_twin(s, b, in_force);
    return in_force ? succeeds(b, in_force) : ERR_OK;
}

static void take_in_steps(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = host_of(w, host);
    const struct sim_bundle *was = policies_in_force(w, host);
    count_requests(w, host);
    if (s->now.staged && !is_of_version(b, s->now.staged))
        settle(s); /* of a fork the version before stays the one to go back to */
    s->now.staged = b;
    s->now.entered = false;
    s->now.halted = ROLLOUT_NONE;
    if (policies_in_force(w, host) != was)
        note_change(w, host, was);
    begin(w, host, false, ROLLOUT_NONE);
}

static void take_at_once(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = host_of(w, host);
    const struct sim_bundle *was = policies_in_force(w, host);
    s->now.base = b;
    s->now.floor_epoch = b->doc.epoch;
    s->now.floor_version = b->doc.version;
    if (s->now.staged && succeeds(s->now.staged, b) != ERR_OK)
        end(s);
    note_change(w, host, was);
}

static void stored(struct world *w, uint32_t host)
{
    struct policies_host *s = host_of(w, host);
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
    struct policies_host *s = host_of(w, host);
    s->next = b;
    s->next_in_steps = in_steps;
    s->next_generation = w->host[host].generation;
    world_after(w, store_takes(w), host, stored);
}

static enum err offer(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = host_of(w, host);
    if (s->next)
        return ERR_AGAIN;
    enum err e = judge(w, host, b);
    const struct sim_bundle *in_force = policies_in_force(w, host);
    bool is_twin = in_force && in_force != s->now.staged && is_of_version(b, in_force);
    if (e == ERR_OK && s->claim == CLAIM_NONE)
        take(w, host, b, has_steps(b) && !is_twin);
    return e;
}

/* As take_before() of control/documents.c. */
static enum err offer_before(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = host_of(w, host);
    const struct sim_bundle *in_force = policies_in_force(w, host);
    if (b->opened != ERR_OK)
        return b->opened;
    if (s->now.staged && succeeds(s->now.staged, b) != ERR_OK)
        return ERR_STALE;
    bool may_keep = s->now.entered && !s->now.base && is_base(w, host, b);
    if (may_keep) {
        s->now.base = b;
        keep(w, host);
    }
    if (s->now.entered || (in_force && succeeds(b, in_force) != ERR_OK)) {
        s->before = b;
        tell(&w->host[host], BEFORE_KIND, &b->doc);
        return ERR_EXISTS;
    }
    if (s->next || s->claim != CLAIM_NONE || !is_base(w, host, b))
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

static void received(struct world *w, uint32_t host, const struct gossip_event *ev)
{
    const struct sim_bundle *b = known(w, host, ev->doc);
    enum err e = !b ? ERR_DENIED : ev->doc_kind == BEFORE_KIND ? offer_before(w, host, b) : offer(w, host, b);
    w->policies->refused += e != ERR_OK && e != ERR_AGAIN && e != ERR_EXISTS;
}

void policies_publish(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    enum err e = offer(w, host, b);
    trace_line(&w->trace, w->now, "%u is given version %llu: %s", host, (unsigned long long)b->doc.version,
               err_text(e));
}

void policies_hold(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = host_of(w, host);
    s->now = (struct policies_kept){.base = b, .floor_epoch = b->doc.epoch, .floor_version = b->doc.version};
    s->disk = s->now;
    if (w->host[host].state != HOST_UP)
        return;
    policies_announce(w, host);
    host_say(w, host);
}

void policies_arrive(struct world *w, uint32_t host)
{
    mono_ms now = host_ms(&w->host[host]);
    host_of(w, host)->arrival = (struct rollout_arrival){now, now};
}

void policies_meet(struct world *w, uint32_t host)
{
    host_of(w, host)->arrival.news_at = host_ms(&w->host[host]);
}

void policies_start(struct world *w, uint32_t host)
{
    struct policies_host *s = host_of(w, host);
    s->now = s->disk;
    s->is_queued = false;
    s->next = s->before = NULL;
    s->look_at = NEVER;
    s->said = (struct record_rollout){.version = 0};
    s->counted[0] = s->counted[1] = (struct record_count){.requests = 0};
    s->counted_at = host_ms(&w->host[host]);
    policies_arrive(w, host);
    if (s->now.staged)
        begin(w, host, s->now.entered, s->now.halted);
}

void policies_wipe(struct world *w, uint32_t host)
{
    host_of(w, host)->disk = (struct policies_kept){.base = NULL};
}

/* -- hostile members --------------------------------------------------------------------------- */

/* The next lie: a number that nobody has, and a hash under which it sends what it has (nothing, if it withholds). */
static void claim_again(struct world *w, uint32_t host)
{
    struct policies_host *s = host_of(w, host);
    struct doc *d = &s->claimed;
    if (s->claim == CLAIM_NONE)
        return;
    world_after(w, MS(CLAIM_MS), host, claim_again);
    if (w->host[host].state != HOST_UP)
        return;
    if (s->claim != CLAIM_WITHHOLD) {
        d->version = (d->version > INVENTED_FROM ? d->version : INVENTED_FROM) + 1 + rng_below(&w->rng, 1000);
        for (size_t i = 0; i < HASH_BYTES; i++)
            d->hash.b[i] = (uint8_t)rng_u64(&w->rng);
    }
    host_hold(w, host, d);
}

void policies_claim(struct world *w, uint32_t host, enum policies_claim claim, const struct sim_bundle *b)
{
    struct policies_host *s = host_of(w, host);
    bool was_honest = s->claim == CLAIM_NONE;
    s->claim = claim;
    s->claimed = b->doc; /* its bytes are borrowed */
    if (claim == CLAIM_WITHHOLD)
        s->claimed.bytes = (struct buf){0};
    if (was_honest)
        world_after(w, rng_below(&w->rng, MS(CLAIM_MS)), host, claim_again);
}
