/* A signed policy for all (sim/policies.h), under what members with valid keys of their own, and signers who contradict each other,
 * can do against it. Meanwhile one host is away and comes back, and one joins with an empty disk. */
#include "sim/acts.h"
#include "sim/policies.h"
#include "sim/story.h"

enum {
    OLD_VERSION = 41,
    FRESH_VERSION = 42,
    HOSTILE_PART = 4, /* a quarter of all at the most */
    ATTACK_S = 5,     /* they begin so long before */
    BOUND_S = 60,     /* until all have it: who invents is asked less and less, one after another */
    BYTES_MIN = 4000,
    CUT_BOUND_S = 10,
    LARGE = 300, /* so many hosts know one another from the beginning */
};

struct publishing {
    enum policies_claim claim;
    const struct sim_bundle *old, *fresh, *other, *forged,
        *next; /* `other`: a second one of `fresh`'s version */
    uint32_t away, joins;
};

static bool is_honest(const struct world *w, uint32_t host)
{
    return w->policies->host[host].claim == CLAIM_NONE;
}

static const struct sim_bundle *sign(struct world *w, uint64_t version, const char *service, bool by_thief)
{
    char body[64];
    snprintf(body, sizeof body, "services: {%s: {protocol: http}}\n", service);
    return policies_sign(w, version, body, BYTES_MIN, by_thief);
}

/* -- the oracle -------------------------------------------------------------------------------- */

static bool is_lower(const struct sim_bundle *a, const struct sim_bundle *b)
{
    return memcmp(a->doc.hash.b, b->doc.hash.b, HASH_BYTES) < 0;
}

/* Never what nobody signed, never back, and among two of one version never to the higher hash. */
static void changed(struct world *w, uint32_t host, const struct sim_bundle *was)
{
    const struct publishing *p = w->study;
    const struct sim_bundle *now = policies_in_force(w, host);
    if (now == p->forged || !now)
        world_fail(w, "host %u enforces %s", host, now ? "a forged policy" : "nothing any more");
    else if (was && (now->doc.version < was->doc.version ||
                     (now->doc.version == was->doc.version && !is_lower(now, was))))
        world_fail(w, "host %u goes back from version %llu to %llu", host,
                   (unsigned long long)was->doc.version, (unsigned long long)now->doc.version);
}

static bool all_have(struct world *w, const struct sim_bundle *b)
{
    mono_us start = w->now;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        while (w->host[h].state == HOST_UP && is_honest(w, h) && policies_in_force(w, h) != b) {
            if (w->now - start > SEC(BOUND_S))
                return world_fail(w, "host %u is without version %llu after %d s", h,
                                  (unsigned long long)b->doc.version, BOUND_S);
            if (!world_run(w, MS(5)))
                return false;
        }
    samples_add(&w->figures.convergence, w->now - start);
    return world_is_well(w);
}

/* -- the story --------------------------------------------------------------------------------- */

static void deal(struct world *w, struct publishing *p)
{
    policies_begin(w);
    p->old = sign(w, OLD_VERSION, "old", false);
    p->fresh = sign(w, FRESH_VERSION, "fresh", false);
    p->other = sign(w, FRESH_VERSION, "other", false);
    p->forged = sign(w, FRESH_VERSION + 1, "forged", true);
    p->next = sign(w, FRESH_VERSION + 1, "next", false);
    p->joins = w->config.hosts - 1;
    p->away = HOSTS_WITH_SEEDS + acts_pick(w, w->config.hosts - HOSTS_WITH_SEEDS - 1);
    for (uint32_t h = 0; h < p->joins; h++)
        policies_hold(w, h, p->old);
    w->study = p;
    w->policies->changed = changed;
}

static bool start(struct world *w, const struct publishing *p)
{
    for (uint32_t h = 0; h < p->joins; h++)
        world_after(w, acts_pick(w, (uint32_t)SEC(1)), h, host_start);
    return world_run(w, SEC(1)) && world_agree(w, acts_agree_bound(w), "all have started");
}

static void begin_attack(struct world *w, const struct publishing *p)
{
    uint32_t n = 1 + acts_pick(w, acts_some_of(w, HOSTILE_PART));
    const struct sim_bundle *what = p->claim == CLAIM_REPLAY     ? p->old
                                    : p->claim == CLAIM_WITHHOLD ? p->fresh
                                                                 : p->forged;
    for (uint32_t i = 0; i < n && p->claim != CLAIM_NONE; i++) {
        uint32_t h = acts_other_host(w);
        if (h != p->away && h != p->joins)
            policies_claim(w, h, p->claim, what);
    }
}

static uint32_t publisher(struct world *w)
{
    uint32_t h = 0;
    do
        h = acts_pick(w, w->config.hosts);
    while (!is_honest(w, h) || w->host[h].state != HOST_UP);
    return h;
}

/* All that are up, then who was away, then who joins. */
static bool spread(struct world *w, const struct publishing *p, const struct sim_bundle *kept)
{
    if (!all_have(w, kept))
        return false;
    host_start(w, p->away);
    host_start(w, p->joins);
    return world_run(w, SEC(1)) && all_have(w, kept);
}

static void play(struct world *w, struct publishing *p)
{
    deal(w, p);
    if (!start(w, p))
        return;
    host_crash(w, p->away);
    begin_attack(w, p);
    world_run(w, SEC(ATTACK_S));
    policies_publish(w, publisher(w), p->fresh);
    if (spread(w, p, p->fresh)) {
        policies_publish(w, publisher(w), p->next);
        all_have(w, p->next);
    }
    w->policies->changed = NULL;
    w->study = NULL;
}

void story_publish(struct world *w)
{
    play(w, &(struct publishing){.claim = CLAIM_NONE});
}

void story_replay(struct world *w)
{
    play(w, &(struct publishing){.claim = CLAIM_REPLAY});
}

void story_freeze(struct world *w)
{
    play(w, &(struct publishing){.claim = CLAIM_WITHHOLD});
}

void story_invent(struct world *w)
{
    play(w, &(struct publishing){.claim = CLAIM_INVENT});
}

/* -- revocation -------------------------------------------------------------------------------- */

static bool holds(const struct world *w, uint32_t host, uint32_t subject)
{
    struct gossip_member m;
    return w->host[host].state == HOST_UP && host != subject &&
           gossip_member_get(w->host[host].gossip, signer_id(w->signer, subject), &m);
}

/* The first that still holds it; UINT32_MAX: all have cut it. */
static uint32_t first_holder(const struct world *w, uint32_t subject)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (holds(w, h, subject))
            return h;
    return UINT32_MAX;
}

/* Each within the bound. Notes when all have. */
static bool all_cut(struct world *w, uint32_t subject)
{
    mono_us start = w->now;
    uint32_t holder;
    while ((holder = first_holder(w, subject)) != UINT32_MAX) {
        if (w->now - start > SEC(CUT_BOUND_S))
            return world_fail(w, "host %u holds a revoked member %d s later", holder, CUT_BOUND_S);
        if (!world_run(w, MS(1)))
            return false;
    }
    samples_add(&w->figures.convergence, w->now - start);
    trace_line(&w->trace, w->now, "all have cut %u after %llu ms", subject,
               (unsigned long long)((w->now - start) / 1000));
    return true;
}

static bool stays_cut(struct world *w, uint32_t subject, uint32_t seconds)
{
    for (uint32_t s = 0; s < seconds * 10; s++) {
        uint32_t holder = first_holder(w, subject);
        if (holder != UINT32_MAX)
            return world_fail(w, "host %u holds a revoked member again", holder);
        if (!world_run(w, MS(100)))
            return false;
    }
    return true;
}

static const struct sim_bundle *sign_revocation(struct world *w, uint64_t version, uint32_t subject)
{
    char key[2 * ID_BYTES + 1], body[256];
    hex_encode(signer_id(w->signer, subject)->b, ID_BYTES, key);
    snprintf(body, sizeof body,
             "revoke:\n  - {key: \"ed25519:%s\", reason: lost, at: 2026-01-01T00:00:00Z}\n", key);
    return policies_sign(w, version, body, BYTES_MIN, false);
}

/* It goes on as if nothing were, and starts again; who was away and knows it from its disk cuts it with the policy. */
void story_revoke(struct world *w)
{
    struct publishing p = {.claim = CLAIM_NONE};
    deal(w, &p);
    if (w->config.hosts >= LARGE)
        world_acquaint(w);
    uint32_t subject = acts_other_host(w);
    p.fresh = sign_revocation(w, FRESH_VERSION + 2, subject);
    if (!start(w, &p))
        return;
    while (p.away == subject)
        p.away = HOSTS_WITH_SEEDS + acts_pick(w, w->config.hosts - HOSTS_WITH_SEEDS - 1);
    host_crash(w, p.away);
    world_run(w, SEC(5));
    policies_publish(w, subject == 0 ? 1 : 0, p.fresh);
    if (!all_cut(w, subject) || !stays_cut(w, subject, 10))
        return;
    host_crash(w, subject);
    host_start(w, subject);
    host_start(w, p.away);
    if (world_run(w, SEC(1)) && all_cut(w, subject))
        stays_cut(w, subject, 20);
    host_crash(w, subject);
}

/* -- two bundles of one version ------------------------------------------------------------------ */

/* Whoever has had the one that gives way has seen both. */
static void alarm_is_raised(struct world *w, uint32_t publisher_of_loser)
{
    if (world_is_well(w) && !w->policies->host[publisher_of_loser].has_alarm)
        world_fail(w, "host %u has had both bundles of one version, and raises no alarm", publisher_of_loser);
}

void story_fork(struct world *w)
{
    struct publishing p = {.claim = CLAIM_NONE};
    deal(w, &p);
    if (!start(w, &p))
        return;
    host_crash(w, p.away);
    uint32_t one = publisher(w), two = publisher(w);
    while (two == one)
        two = publisher(w);
    policies_publish(w, one, p.fresh);
    world_run(w, rng_below(&w->rng, MS(5)));
    if (policies_in_force(w, two) == p.old && !w->policies->host[two].next) {
        policies_publish(w, two, p.other);
        if (!spread(w, &p, is_lower(p.fresh, p.other) ? p.fresh : p.other))
            return;
        alarm_is_raised(w, is_lower(p.fresh, p.other) ? two : one);
    } else if (!spread(w, &p, p.fresh)) { /* the news was faster */
        return;
    }
    policies_publish(w, publisher(w), p.next);
    all_have(w, p.next);
    w->policies->changed = NULL;
    w->study = NULL;
}
