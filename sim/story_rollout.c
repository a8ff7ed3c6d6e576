/* A staged rollout (sim/policies.h) among good, bad and lying members. What the seed draws: the steps, the pause, whether the version
 * is good or what is bad about it, who lies and how, who restarts, joins or is cut off meanwhile, and clocks that drift.
 *
 * Liars are dealt so that fewer lie than it would take (is_sound()); of a bad version it follows from who can be relied upon
 * where it has to stop (stops_at()). */
#include <stdlib.h>

#include "sim/acts.h"
#include "sim/must.h"
#include "sim/policies.h"
#include "sim/story.h"

enum {
    STEPS_MAX = 4,
    MIN_REQUESTS = 200,
    RATE_PER_PAUSE = 8, /* so many times MIN_REQUESTS come to each host in one pause */
    CANARIES_MIN = 4,
    SETTLE_S = 40, /* in which the old version is counted */
    LARGE = 300,   /* of so many hosts none joins: they know one another from the beginning */
    OLD_MS = 20,
    OUTSIDE_OF = 4, /* policy/rollout.h: what is trimmed at either end */
};
static const char *const steps_text[] = {"ring=canary, 100%", "ring=canary, 10%, 100%",
                                         "ring=canary, 10%, 50%, 100%", "40%, 100%"};
enum bad { GOOD, BAD_ERRORS, BAD_DENIED, BAD_SLOW, BADS };
static const char *const bad_text[BADS] = {"good", "failing", "denying", "slow"};
static const struct traffic traffic_of[BADS] = {{10000, 0, OLD_MS * 1000},
                                                {200000, 0, OLD_MS * 1000},
                                                {10000, 250000, OLD_MS * 1000},
                                                {10000, 0, 2 * OLD_MS * 1000}};

struct part_played {
    bool joins, is_troubled; /* later; restarts or is cut off */
    bool may_say, must_say;  /* asked to report while nobody has joined; and when all have, too */
    bool has_entered, has_halted;
};
struct rolling {
    struct rng rng;
    enum bad bad;
    uint32_t pause_s, restarts, joiners, liars;
    int32_t drift_ppm;
    bool has_cut;
    const char *steps;
    struct sim_bundle *old, *fresh, *next;
    size_t step_count, stops_at; /* nobody of a later step may ever get a bad version */
    struct part_played *role;
    mono_us published_at;
    bool is_over; /* halted everywhere: nobody gets it any more */
};

static uint32_t below(struct rolling *r, uint32_t n)
{
    return rng_below(&r->rng, n);
}

static bool is_honest(const struct world *w, uint32_t host)
{
    return w->policies->host[host].lie == LIE_NONE;
}

/* -- who can be relied upon -------------------------------------------------------------------- */

struct share {
    size_t sure, lie;           /* members */
    size_t sure_says, lie_says; /* of them those who are asked to report */
};

static size_t outside(size_t n)
{
    return n < ROLLOUT_QUORUM ? 0 : n < OUTSIDE_OF ? 1 : n / OUTSIDE_OF;
}

/* How many with a smaller turn: its place among all, or among those who are there from the beginning. */
static size_t place_of(const struct world *w, const struct rolling *r, uint32_t host, bool with_joiners)
{
    size_t n = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        n += r->fresh->turn[h] < r->fresh->turn[host] && (with_joiners || !r->role[h].joins);
    return n;
}

/* Who joins pushes others out of those who report. */
static void deal_reporters(const struct world *w, struct rolling *r)
{
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        bool last = rollout_reports(place_of(w, r, h, true), w->config.hosts);
        r->role[h].may_say = last || rollout_reports(place_of(w, r, h, false), w->config.hosts - r->joiners);
        r->role[h].must_say = last && rollout_reports(place_of(w, r, h, false), w->config.hosts - r->joiners);
    }
}

/* Of the steps `from` to `to`. */
static struct share share_of(const struct world *w, const struct rolling *r, size_t from, size_t to)
{
    struct share s = {0};
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        size_t step = rollout_step_of(r->fresh->turn[h]);
        if (step < from || step > to || r->role[h].joins)
            continue;
        bool is_sure = is_honest(w, h) && !r->role[h].is_troubled;
        s.sure += is_sure;
        s.sure_says += is_sure && r->role[h].must_say;
        s.lie += !is_honest(w, h);
        s.lie_says += !is_honest(w, h) && r->role[h].may_say;
    }
    return s;
}

/* One is too few wherever anything is compared; more must fit into what is trimmed. */
static bool are_trimmed(size_t liars, size_t sure)
{
    return liars <= 1 || liars <= outside(liars + sure);
}

/* Can so many who lie neither judge a step, nor hold it up, nor hurry it? */
static bool is_sound(const struct world *w, const struct rolling *r)
{
    struct share all = share_of(w, r, 0, STEPS_MAX);
    bool is_sound = are_trimmed(all.lie_says, all.sure_says) && all.lie * 2 < all.sure;
    for (size_t s = 0; s < r->step_count && is_sound; s++) {
        struct share upto = share_of(w, r, 0, s), own = share_of(w, r, s, s);
        is_sound = are_trimmed(upto.lie_says, upto.sure_says) && upto.lie <= outside(upto.lie + upto.sure) &&
                   (own.lie < ROLLOUT_QUORUM || own.lie <= own.sure);
    }
    return is_sound;
}

/* The first step whose honest reporters are enough, whatever the others say. `step_count`: none. */
static size_t stops_at(const struct world *w, const struct rolling *r)
{
    size_t s = 0;
    for (; s < r->step_count; s++) {
        struct share upto = share_of(w, r, 0, s);
        if (upto.sure_says >= ROLLOUT_QUORUM && upto.lie_says <= outside(upto.lie_says + upto.sure_says))
            break;
    }
    return s;
}

/* -- drawing ----------------------------------------------------------------------------------- */

void story_rollout_draw(struct world_config *config)
{
    static const uint32_t delay_us[] = {500, 500, 5000, 40000};
    struct rng r = rng_seeded(config->seed ^ 0x5e9u);
    uint32_t hosts = 8 + rng_below(&r, 33);
    if (config->hosts == 0)
        config->hosts = hosts;
    config->wire =
        (struct wire_config){.delay_us = delay_us[rng_below(&r, 4)], .jitter_pct = rng_below(&r, 50)};
    if (rng_below(&r, 3) == 0)
        config->wire.loss_ppm = rng_below(&r, 50000);
}

static struct rolling draw(const struct world *w)
{
    static const int32_t drift[] = {0, 100, 10000};
    struct rolling r = {.rng = rng_seeded(w->config.seed ^ 0x1a7e5u)};
    uint32_t hosts = w->config.hosts;
    r.bad = below(&r, 2) ? (enum bad)(1 + below(&r, BADS - 1)) : GOOD;
    r.steps = steps_text[below(&r, sizeof steps_text / sizeof *steps_text)];
    r.has_cut = below(&r, 3) == 0;
    r.pause_s = r.has_cut ? 120 + below(&r, 120) : 30 + below(&r, 90);
    r.drift_ppm = drift[below(&r, 3)];
    r.restarts = below(&r, hosts / 6 + 2);
    r.joiners = hosts < LARGE ? below(&r, hosts / 6 + 2) : 0;
    r.liars = below(&r, hosts / 5 + 2);
    r.role = must_zeros(hosts, sizeof *r.role);
    return r;
}

static void deal_canaries(struct world *w, struct rolling *r)
{
    uint32_t n = CANARIES_MIN + below(r, w->config.hosts / 8 + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct labels *l = &w->policies->host[below(r, w->config.hosts)].labels;
        l->count = 1;
        l->at[0] = (struct label){bytes_str("ring"), bytes_str("canary")};
    }
}

/* Seeds stay: somebody has to be there to be joined. */
static void deal_troubles(struct world *w, struct rolling *r)
{
    for (uint32_t h = w->config.hosts; h > w->config.hosts - r->joiners; h--)
        r->role[h - 1].joins = true;
    for (uint32_t i = 0; i < r->restarts; i++)
        r->role[below(r, w->config.hosts - r->joiners)].is_troubled = true;
    uint32_t apart = r->has_cut ? w->config.hosts / 4 + below(r, w->config.hosts / 8) : 0;
    for (uint32_t h = HOSTS_WITH_SEEDS; h < HOSTS_WITH_SEEDS + apart; h++) {
        w->wire.group[h] = 1;
        r->role[h].is_troubled = true;
    }
}

static void deal_liars(struct world *w, struct rolling *r)
{
    uint32_t n = 0;
    for (uint32_t tries = 0; tries < 2 * r->liars && n < r->liars; tries++) {
        uint32_t h = below(r, w->config.hosts);
        if (r->role[h].joins || r->role[h].is_troubled || !is_honest(w, h))
            continue;
        w->policies->host[h].lie = (enum policies_lie)(1 + below(r, LIES - 1));
        if (is_sound(w, r))
            n++;
        else
            w->policies->host[h].lie = LIE_NONE;
    }
    r->liars = n;
}

static void sign_all(struct world *w, struct rolling *r)
{
    static const char old[] = "services: {cart: {protocol: http}}\n";
    char new[300];
    snprintf(new, sizeof new,
             "services: {cart: {protocol: http, port: 80}}\nrollout: {steps: [%s], pause: %us, haltIf: "
             "{errorRate: +5%%, p99: +50%%, denied: +5%%, minRequests: %d}}\n",
             r->steps, r->pause_s, MIN_REQUESTS);
    r->old = policies_sign(w, 1, old, 0, false);
    r->fresh = policies_sign(w, 2, new, 0, false);
    r->next = policies_sign(w, 3, below(r, 2) ? new : old, 0, false);
    r->step_count = policy_rollout(r->fresh->policy)->step_count;
    r->old->traffic = r->next->traffic = traffic_of[GOOD];
}

/* Where nobody could see that it is bad, it is good. */
static void deal(struct world *w, struct rolling *r)
{
    policies_begin(w);
    w->policies->requests_per_s = RATE_PER_PAUSE * MIN_REQUESTS / r->pause_s + 1;
    deal_canaries(w, r);
    sign_all(w, r);
    deal_troubles(w, r);
    deal_reporters(w, r);
    deal_liars(w, r);
    r->stops_at = stops_at(w, r);
    if (r->stops_at == r->step_count)
        r->bad = GOOD;
    r->fresh->traffic = traffic_of[r->bad];
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        if (r->drift_ppm > 0)
            w->host[h].drift_ppm = (int32_t)below(r, (uint32_t)(2 * r->drift_ppm)) - r->drift_ppm;
        if (!r->role[h].joins)
            policies_hold(w, h, r->old);
    }
    trace_line(&w->trace, w->now, "a %s version in steps [%s], pause %u s, %u lie, %u restart, %u join%s",
               bad_text[r->bad], r->steps, r->pause_s, r->liars, r->restarts, r->joiners,
               r->has_cut ? ", some are cut off" : "");
}

/* -- oracles ----------------------------------------------------------------------------------- */

/* Who has nothing at all may follow the others at once. */
static bool is_everywhere(const struct world *w, const struct rolling *r)
{
    uint32_t has = 0, up = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        up += w->host[h].state == HOST_UP;
        has += w->host[h].state == HOST_UP && policies_in_force(w, h) == r->fresh;
    }
    return has * 2 > up;
}

static void judge_entry(struct world *w, struct rolling *r, uint32_t host)
{
    struct part_played *role = &r->role[host];
    size_t step = rollout_step_of(r->fresh->turn[host]);
    mono_us pause = SEC(r->pause_s) - SEC(r->pause_s) / 1000000 * 2 * (mono_us)r->drift_ppm;
    role->has_entered = true;
    if (w->now < r->published_at + step * pause)
        world_fail(w, "host %u of step %zu enforces the new version %llu ms after it was published", host,
                   step + 1, (unsigned long long)((w->now - r->published_at) / 1000));
    else if (r->bad && step > r->stops_at)
        world_fail(w, "a %s version reaches host %u of step %zu, it had to stop at %zu", bad_text[r->bad],
                   host, step + 1, r->stops_at + 1);
    else if (r->is_over || role->has_halted)
        world_fail(w, "host %u enforces a version that was halted", host);
}

static void changed(struct world *w, uint32_t host, const struct sim_bundle *was)
{
    struct rolling *r = w->study;
    const struct policies_host *s = &w->policies->host[host];
    const struct sim_bundle *now = policies_in_force(w, host);
    if (now == r->fresh && was != r->fresh && is_honest(w, host) && (was || !is_everywhere(w, r)))
        judge_entry(w, r, host);
    bool goes_back = was && now && now->doc.version < was->doc.version;
    if (goes_back && !(was == r->fresh && now == r->old && s->state.halted != ROLLOUT_NONE))
        world_fail(w, "host %u goes back from version %llu to %llu", host,
                   (unsigned long long)was->doc.version, (unsigned long long)now->doc.version);
    if (was && !now)
        world_fail(w, "host %u enforces nothing any more", host);
}

/* What has halted on the disk of somebody stays so; and no good version halts anywhere. */
static void look_at_halts(struct world *w, struct rolling *r)
{
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        const struct policies_kept *k = &w->policies->host[h].disk;
        if (k->staged != r->fresh || !is_honest(w, h))
            continue;
        if (r->role[h].has_halted && k->halted == ROLLOUT_NONE)
            world_fail(w, "host %u takes its halt back", h);
        r->role[h].has_halted |= k->halted != ROLLOUT_NONE;
        if (!r->bad && r->role[h].has_halted)
            world_fail(w, "host %u halts a good version: %s", h, rollout_cause_text(k->halted));
    }
}

static bool is_where_it_ends(const struct world *w, const struct rolling *r, uint32_t host)
{
    const struct policies_kept *k = &w->policies->host[host].now;
    if (!r->bad)
        return k->base == r->fresh && !k->staged;
    return k->base == r->old && k->staged == r->fresh && k->halted != ROLLOUT_NONE && !k->entered;
}

/* The first honest one that is not; UINT32_MAX: all are. */
static uint32_t first_elsewhere(const struct world *w, const struct rolling *r)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (w->host[h].state != HOST_NEW && is_honest(w, h) &&
            (w->host[h].state != HOST_UP || !is_where_it_ends(w, r, h)))
            return h;
    return UINT32_MAX;
}

static bool wait_for_end(struct world *w, struct rolling *r, mono_us bound)
{
    mono_us start = w->now;
    uint32_t elsewhere;
    while ((elsewhere = first_elsewhere(w, r)) != UINT32_MAX && w->now - start < bound &&
           world_run(w, SEC(1)))
        look_at_halts(w, r);
    if (elsewhere != UINT32_MAX) {
        const struct policies_host *s = &w->policies->host[elsewhere];
        return world_fail(w, "%llu s after a %s version was published host %u is at step %zu of %zu%s",
                          (unsigned long long)((w->now - r->published_at) / SEC(1)), bad_text[r->bad],
                          elsewhere, s->state.at + 1, r->step_count, s->now.halted ? ", halted" : "");
    }
    samples_add(&w->figures.convergence, w->now - r->published_at);
    return world_is_well(w);
}

/* -- the story --------------------------------------------------------------------------------- */

static void restart(struct world *w, uint32_t host)
{
    host_crash(w, host);
    world_after(w, MS(100) + acts_pick(w, (uint32_t)SEC(20)), host, host_start);
}

static void cut_off(struct world *w, uint32_t unused)
{
    (void)unused;
    world_cut_both_ways(w, 0, 1, true);
}

static void heal(struct world *w, uint32_t unused)
{
    (void)unused;
    world_cut_both_ways(w, 0, 1, false);
}

/* Each at its time within the first pauses. Returns when all troubles are over. */
static mono_us begin_troubles(struct world *w, struct rolling *r)
{
    uint32_t lasts = r->pause_s * (uint32_t)r->step_count;
    mono_us cut_at = SEC(10 + below(r, lasts)), healed_at = cut_at + SEC(60 + below(r, 120));
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (r->role[h].joins)
            world_after(w, SEC(1 + below(r, lasts)), h, host_start);
        else if (r->role[h].is_troubled && w->wire.group[h] == 0)
            world_after(w, SEC(1 + below(r, lasts)), h, restart);
    if (!r->has_cut)
        return SEC(lasts);
    world_after(w, cut_at, 0, cut_off);
    world_after(w, healed_at, 0, heal);
    return healed_at;
}

static bool start(struct world *w, const struct rolling *r)
{
    if (w->config.hosts >= LARGE)
        world_acquaint(w);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (!r->role[h].joins)
            world_after(w, acts_pick(w, (uint32_t)SEC(1)), h, host_start);
    return world_run(w, SEC(1)) && world_agree(w, acts_agree_bound(w), "all have started") &&
           world_run(w, SEC(SETTLE_S));
}

static uint32_t publisher(struct world *w, const struct rolling *r)
{
    uint32_t h = 0;
    do
        h = acts_pick(w, w->config.hosts - r->joiners);
    while (!is_honest(w, h) || w->host[h].state != HOST_UP);
    return h;
}

/* A step takes its pause, some looks, and the way of the news; who was away may have to take all of them again. */
static mono_us bound_of(const struct world *w, const struct rolling *r)
{
    return (2 * r->step_count + 2) * (SEC(r->pause_s) * 5 / 4 + SEC(10)) + acts_agree_bound(w);
}

/* Halted or done: it stays so over a restart and for one who comes back without his disk; only a higher version follows. */
static void play_what_follows(struct world *w, struct rolling *r)
{
    uint32_t anew = acts_other_host(w), forgets = acts_other_host(w);
    r->is_over = r->bad != GOOD;
    host_crash(w, anew);
    host_start(w, anew);
    if (is_honest(w, forgets) && forgets != anew) {
        host_crash(w, forgets);
        host_wipe(w, forgets);
        r->role[forgets].has_halted = false;
        host_start(w, forgets);
    }
    if (!world_run(w, SEC(r->pause_s)) || !wait_for_end(w, r, bound_of(w, r)))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        w->policies->host[h].lie = LIE_NONE; /* dealt for the steps of that version only */
    policies_publish(w, publisher(w, r), r->next);
    mono_us until = w->now + bound_of(w, r);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        while (w->host[h].state == HOST_UP && policies_in_force(w, h) != r->next)
            if (w->now > until || !world_run(w, SEC(1))) {
                world_fail(w, "host %u is without the next version", h);
                return;
            }
}

static void play(struct world *w, struct rolling *r)
{
    if (!start(w, r))
        return;
    mono_us troubles = begin_troubles(w, r);
    r->published_at = w->now;
    policies_publish(w, publisher(w, r), r->fresh);
    for (mono_us end = w->now + troubles; w->now < end && world_run(w, SEC(1));)
        look_at_halts(w, r);
    if (wait_for_end(w, r, bound_of(w, r)))
        play_what_follows(w, r);
    size_t entered = 0;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        entered += r->role[h].has_entered;
    trace_line(&w->trace, w->now, "%zu of %u honest hosts have had the %s version", entered,
               w->config.hosts - r->liars, bad_text[r->bad]);
}

void story_rollout(struct world *w)
{
    struct rolling r = draw(w);
    deal(w, &r);
    w->study = &r;
    w->policies->changed = changed;
    play(w, &r);
    w->policies->changed = NULL;
    w->study = NULL;
    free(r.role);
}
