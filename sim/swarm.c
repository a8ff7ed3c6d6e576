#include "sim/swarm.h"

#include <assert.h>

#include "sim/faults.h"
#include "sim/forger.h"
#include "sim/oracle.h"

enum {
    LIVENESS_S = 120, /* seeds are tried every 30 s, the dead every 10 s, a silent death takes up to 40 s */
    DOCUMENTS_S = 180,
    GOODBYE_S = 6,
    JUDGED_LOSS_PPM = 200 * 1000,
    JUDGED_LATE_US = 100 * 1000,
    STEP_MIN_US = 100 * 1000,
    STEP_SPREAD_US = 3 * 1000 * 1000,
};

/* What can go wrong; each run draws which kinds it has. */
enum act {
    ACT_CRASH,
    ACT_STOP,
    ACT_START, /* in every run */
    ACT_LEAVE,
    ACT_PAUSE,
    ACT_BLOCK,
    ACT_STARVE,
    ACT_DEAF,
    ACT_MUTE,
    ACT_LOSSY,
    ACT_CUT,
    ACT_CUT_ONE_WAY,
    ACT_HEAL_CUT, /* in every run with cuts */
    ACT_RACK,     /* a group of hosts at once */
    ACT_RESTART_ALL,
    ACT_UPDATE,
    ACT_PUBLISH,
    ACT_LINK_LOST,
    ACT_FORGER,
    ACTS
};

struct mix {
    struct rng rng;
    bool has[ACTS];
    mono_us lasts;
    uint32_t step_us; /* acts come this far apart, evenly from STEP_MIN_US */
    uint32_t forger;  /* UINT32_MAX: nobody lies */
};

/* ---- drawing ---- */

static uint32_t between(struct rng *r, uint32_t low, uint32_t high)
{
    return low + rng_below(r, high - low + 1);
}

static bool one_in(struct rng *r, uint32_t n)
{
    return rng_below(r, n) == 0;
}

static uint32_t draw_hosts(struct rng *r)
{
    uint32_t small = between(r, 2, 12), middle = between(r, 13, 40), large = between(r, 41, 100);
    uint32_t size = rng_below(r, 100);
    return size < 75 ? small : size < 97 ? middle : large;
}

void swarm_draw(struct world_config *config)
{
    static const uint32_t delays_us[] = {50, 500, 500, 5000, 40000};
    struct rng r = rng_seeded(config->seed ^ 0x54a23u);
    struct wire_config wire = {0};
    uint32_t hosts = draw_hosts(&r);
    if (config->hosts == 0)
        config->hosts = hosts;
    wire.delay_us = delays_us[rng_below(&r, sizeof delays_us / sizeof *delays_us)];
    wire.jitter_pct = rng_below(&r, 80);
    if (one_in(&r, 2)) {
        wire.loss_ppm = rng_below(&r, one_in(&r, 4) ? 300000 : 50000);
        wire.duplicate_ppm = rng_below(&r, 100000);
        wire.reorder_ppm = rng_below(&r, 200000);
        wire.reorder_us = 20 * wire.delay_us;
    }
    if (one_in(&r, 3)) {
        wire.zones = between(&r, 2, 4);
        wire.zone_delay_us = rng_below(&r, 60000);
        wire.zone_loss_ppm = rng_below(&r, 50000);
    }
    if (one_in(&r, 4))
        wire.line_kbps = between(&r, 2000, 20000);
    config->wire = wire;
}

static void draw_clocks(struct world *w, struct rng *r)
{
    static const uint32_t most_ppm[] = {0, 0, 100, 50000};
    uint32_t most = most_ppm[rng_below(r, sizeof most_ppm / sizeof *most_ppm)];
    for (uint32_t h = 0; h < w->config.hosts && most > 0; h++)
        w->host[h].drift_ppm = (int32_t)rng_below(r, 2 * most + 1) - (int32_t)most;
}

static void draw_mix(const struct world *w, struct mix *m)
{
    m->rng = rng_seeded(w->config.seed ^ 0x31337u);
    for (int a = 0; a < ACTS; a++)
        m->has[a] = one_in(&m->rng, 2);
    m->has[ACT_START] = true;
    m->has[ACT_HEAL_CUT] = m->has[ACT_CUT] || m->has[ACT_CUT_ONE_WAY];
    m->has[ACT_FORGER] = one_in(&m->rng, 8) && w->config.hosts > 2;
    m->has[ACT_RESTART_ALL] = one_in(&m->rng, 8);
    m->lasts = SEC(between(&m->rng, 10, 60));
    m->step_us = rng_below(&m->rng, STEP_SPREAD_US) + 1;
    m->forger = UINT32_MAX;
}

/* ---- acts ---- */

static uint32_t somebody(struct world *w, struct mix *m)
{
    return rng_below(&m->rng, w->config.hosts);
}

static void stop_leaver(struct world *w, uint32_t host)
{
    if (w->host[host].wants_to_leave)
        host_stop(w, host);
}

static void leave(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    if (h->state != HOST_UP || h->wants_to_leave)
        return;
    host_leave(w, host);
    world_after(w, SEC(GOODBYE_S), host, stop_leaver);
}

static void trouble(struct world *w, struct mix *m, uint32_t host, enum fault_kind kind)
{
    mono_us on = MS(between(&m->rng, 20, 8000)), off = one_in(&m->rng, 2) ? 0 : MS(between(&m->rng, 1, 4000));
    mono_us until = w->now + MS(between(&m->rng, 0, 20000));
    if (kind == FAULT_STARVE) {
        on = MS(between(&m->rng, 20, 1500));
        off = MS(between(&m->rng, 20, 3000));
    }
    fault_begin(w, host, kind, on, off, until);
}

static void cut(struct world *w, struct mix *m, bool is_both_ways)
{
    for (uint32_t h = 0; h < w->config.hosts; h++)
        w->wire.group[h] = (uint8_t)rng_below(&m->rng, 3);
    uint32_t a = rng_below(&m->rng, 3), b = (a + 1 + rng_below(&m->rng, 2)) % 3;
    world_cut(w, a, b, true);
    if (is_both_ways)
        world_cut(w, b, a, true);
}

static void heal_cuts(struct world *w)
{
    for (uint32_t a = 0; a < WIRE_GROUPS_MAX; a++)
        for (uint32_t b = 0; b < WIRE_GROUPS_MAX; b++)
            if (w->wire.cut[a][b])
                world_cut(w, a, b, false);
}

static void crash_rack(struct world *w, struct mix *m)
{
    uint32_t racks = 4, rack = rng_below(&m->rng, racks);
    for (uint32_t h = rack; h < w->config.hosts; h += racks)
        host_crash(w, h);
}

static void restart_all(struct world *w, struct mix *m)
{
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        host_crash(w, h);
        world_after(w, rng_below(&m->rng, (uint32_t)SEC(5)), h, host_start);
    }
}

static void publish(struct world *w, uint32_t host)
{
    const struct host *h = &w->host[host];
    if (h->state != HOST_UP || w->doc_count == WORLD_DOCS_MAX)
        return;
    world_publish(w, host, w->doc_count + 1, 200 + 97 * w->doc_count);
}

static void lose_link(struct world *w, uint32_t host, uint32_t peer)
{
    struct host *h = &w->host[host];
    if (h->state != HOST_UP || host == peer)
        return;
    trace_line(&w->trace, w->now, "%u loses its link to %u", host, peer);
    gossip_link_lost(h->gossip, signer_id(w->signer, peer), GOSSIP_LINK_BROKEN, host_ms(h));
    host_timer(h);
}

static void begin_forging(struct world *w, struct mix *m)
{
    if (m->forger != UINT32_MAX)
        return;
    m->forger = w->config.hosts - 1;
    forger_start(w, m->forger, MS(50));
}

static void do_act(struct world *w, struct mix *m, enum act act)
{
    uint32_t host = somebody(w, m), other = somebody(w, m);
    switch (act) {
    case ACT_CRASH:
        host_crash(w, host);
        break;
    case ACT_STOP:
        host_stop(w, host);
        break;
    case ACT_START:
        host_start(w, host);
        break;
    case ACT_LEAVE:
        leave(w, host);
        break;
    case ACT_PAUSE:
    case ACT_BLOCK:
    case ACT_STARVE:
    case ACT_DEAF:
    case ACT_MUTE:
    case ACT_LOSSY:
        trouble(w, m, host, (enum fault_kind)(FAULT_PAUSE + (act - ACT_PAUSE)));
        break;
    case ACT_CUT:
    case ACT_CUT_ONE_WAY:
        cut(w, m, act == ACT_CUT);
        break;
    case ACT_HEAL_CUT:
        heal_cuts(w);
        break;
    case ACT_RACK:
        crash_rack(w, m);
        break;
    case ACT_RESTART_ALL:
        restart_all(w, m);
        break;
    case ACT_UPDATE:
        if (w->host[host].state == HOST_UP && w->host[host].own && !w->host[host].wants_to_leave)
            host_update(w, host);
        break;
    case ACT_PUBLISH:
        publish(w, host);
        break;
    case ACT_LINK_LOST:
        lose_link(w, host, other);
        break;
    case ACT_FORGER:
        begin_forging(w, m);
        break;
    case ACTS:
        break;
    }
}

static_assert(ACT_LOSSY - ACT_PAUSE == FAULT_LOSSY - FAULT_PAUSE, "acts and faults in one order");

/* ---- the two phases ---- */

static void safety_phase(struct world *w, struct mix *m)
{
    mono_us until = w->now + m->lasts;
    while (w->now < until && world_is_well(w)) {
        enum act act = (enum act)rng_below(&m->rng, ACTS);
        if (!m->has[act])
            continue;
        do_act(w, m, act);
        world_run(w, STEP_MIN_US + rng_below(&m->rng, m->step_us));
    }
}

/* Whoever was told to go has gone; some of those who are gone come back, the first seed always does: without any seed,
 * islands that do not know of each other have no way to meet. */
static void heal(struct world *w, struct mix *m)
{
    trace_line(&w->trace, w->now, "all faults end");
    if (w->forger)
        forger_stop(w);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        fault_end(w, h);
    heal_cuts(w);
    wire_heal(&w->wire);
    w->network_since = w->now;
    world_run(w, SEC(GOODBYE_S));
    for (uint32_t h = 0; h < w->config.hosts; h++)
        if (h == 0 || one_in(&m->rng, 2))
            host_start(w, h);
}

static const struct doc *newest_held(const struct world *w)
{
    const struct doc *newest = NULL;
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        const struct doc *d = w->host[h].disk.doc;
        if (w->host[h].state == HOST_UP && d && (!newest || d->version > newest->version))
            newest = d;
    }
    return newest;
}

/* The first host that is up without it; UINT32_MAX: all have it. */
static uint32_t first_without(const struct world *w, const struct doc *d)
{
    for (uint32_t h = 0; h < w->config.hosts && d; h++)
        if (w->host[h].state == HOST_UP && w->host[h].disk.doc != d)
            return h;
    return UINT32_MAX;
}

/* Who failed to deliver while things were bad has strikes (docs.c), so its offer waits for up to 64 s; and digests, which carry the offer, may have come to be
 * 96 s apart. */
static void documents_agree(struct world *w)
{
    const struct doc *newest = newest_held(w);
    mono_us until = w->now + SEC(DOCUMENTS_S);
    while (first_without(w, newest) != UINT32_MAX)
        if (w->now >= until || !world_run(w, SEC(1))) {
            world_fail(w, "host %u is without version %llu, which another holds, after the liveness phase",
                       first_without(w, newest), (unsigned long long)newest->version);
            return;
        }
}

/* Nobody who runs, in a network without cuts for half a minute, may be held dead by another, unless somebody lies, or so
 * much is lost (a fifth, one way) or so late (by more than a probe waits) that a few probes in a row may fail by chance:
 * what is held then is SWIM's bargain, not a defect. */
static bool may_judge(const struct world *w, const struct mix *m)
{
    const struct wire_config *c = &w->config.wire;
    return c->loss_ppm + c->zone_loss_ppm <= JUDGED_LOSS_PPM && c->reorder_us <= JUDGED_LATE_US &&
           m->forger == UINT32_MAX;
}

void swarm_play(struct world *w)
{
    struct mix m = {0};
    draw_mix(w, &m);
    draw_clocks(w, &m.rng);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        world_after(w, rng_below(&m.rng, (uint32_t)SEC(2)), h, host_start);
    world_run(w, MS(between(&m.rng, 500, 5000)));
    safety_phase(w, &m);
    if (!world_is_well(w))
        return;
    heal(w, &m);
    if (!world_agree(w, SEC(LIVENESS_S), "all faults have ended") || !world_run(w, SEC(10)))
        return;
    world_agree(w, SEC(10), "ten seconds of peace");
    documents_agree(w);
    if (may_judge(w, &m) && w->figures.false_deaths > 0)
        world_fail(w, "%llu times a host was held dead that ran in a whole network",
                   (unsigned long long)w->figures.false_deaths);
}
