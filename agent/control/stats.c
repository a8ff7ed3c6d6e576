/* What others may know of the conductor. */
#include "control/inner.h"
#include "traffic/shared.h"

/* -- what admin reads -------------------------------------------------------------------------- */

void control_also(struct control *c, mono_ms (*step)(void *arg, mono_ms now), void *arg)
{
    c->also = step;
    c->also_arg = arg;
}

struct net_loop *control_loop(const struct control *c)
{
    return c->loop;
}

const struct config *control_config(const struct control *c)
{
    return &c->config;
}

const struct identity *control_identity(const struct control *c)
{
    return &c->identity;
}

const struct roster *control_roster(const struct control *c)
{
    return &c->roster;
}

void control_record_of(const struct control *c, const struct member *m, struct record *out)
{
    struct gossip_member gm;
    if (gossip_member_get(c->gossip, &m->id, &gm) && gm.record.len > 0) {
        record_reopen(out, gm.record);
        return;
    }
    memset(out, 0, offsetof(struct record, service)); /* gossip has just let go of it */
    vouched_open(m->record->vouched, &out->credential);
}

const struct gossip *control_gossip(const struct control *c)
{
    return c->gossip;
}

const struct parts *control_parts(const struct control *c)
{
    return &c->parts;
}

const struct overlaid *control_overlay(const struct control *c)
{
    return &c->overlay;
}

const struct anchor *control_anchor(const struct control *c)
{
    return &c->anchor;
}

const struct staged *control_staged(const struct control *c)
{
    return &c->staged;
}

const struct enforced *control_policy(const struct control *c)
{
    return &c->enforced;
}

enum err control_policy_get(const struct control *c, uint64_t epoch, uint64_t version, struct buf *out)
{
    return store_policy_get(c->store, epoch, version, out);
}

struct traffic_shared *control_traffic(const struct control *c)
{
    return c->workers ? workers_traffic(c->workers) : NULL;
}

const struct skew *control_skew(const struct control *c)
{
    return &c->skew;
}

const struct member_clock *control_member_clock(const struct control *c, const struct member *m)
{
    return m->clock.looked_at > 0 && m->clock.looked_at == c->skew_looked_at ? &m->clock : NULL;
}

mono_ms control_mono(const struct control *c)
{
    return c->now;
}

const struct view *control_view(const struct control *c)
{
    return c->view;
}

enum control_phase control_phase(const struct control *c)
{
    return c->phase;
}

const struct fallen *control_fallen(const struct control *c)
{
    return &c->fallen;
}

bool control_is_revoked(const struct control *c)
{
    return c->is_revoked;
}

bool control_is_joined(const struct control *c)
{
    return c->joined || c->config.seed_count == 0;
}

enum err control_store_health(const struct control *c)
{
    return store_health(c->store);
}

bool control_service_is_healthy(const struct control *c, size_t index)
{
    return c->own.healthy[index];
}

const char *control_service_why(const struct control *c, size_t index)
{
    return health_why(c->health, index);
}

bool control_is_lost_to_traffic(const struct control *c, const struct member *m)
{
    return m->state == GOSSIP_ALIVE && reach_is_lost(&m->reach, c->now);
}

bool control_is_doubled(const struct control *c, const struct member *m)
{
    return member_is_live(m) && doubled_is_on(&m->doubled, c->now);
}

bool control_is_nameless(const struct member *m)
{
    return member_is_live(m) && roster_name_is_taken(m);
}

bool control_is_degraded(const struct member *m)
{
    return m->state == GOSSIP_ALIVE && m->is_degraded;
}

struct control_member_age control_member_age(const struct control *c, const struct member *m)
{
    struct gossip_member g = {0};
    (void)gossip_member_get(c->gossip, &m->id, &g); /* unknown: it is being forgotten */
    mono_ms since = g.since > m->mark_at ? g.since : m->mark_at;
    return (struct control_member_age){.in_state_ms = c->now > since ? c->now - since : 0,
                                       .silent_ms = m->heard_at == 0       ? NEVER
                                                    : c->now > m->heard_at ? c->now - m->heard_at
                                                                           : 0};
}

static uint64_t count_lost(const struct control *c)
{
    uint64_t n = 0;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next)
        n += control_is_lost_to_traffic(c, m);
    return n;
}

uint64_t control_degraded_count(const struct control *c)
{
    uint64_t n = 0;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next)
        n += control_is_degraded(m);
    return n;
}

static void export_stats(struct control *c)
{
    struct gossip_counts n = gossip_counts(c->gossip);
    static const char known[] = "Members known, by state; the degraded are among the alive.";
    const struct {
        const char *state;
        uint32_t count;
    } by_state[] = {{"alive", n.alive}, {"suspect", n.suspect}, {"dead", n.dead}, {"left", n.left}};
    for (size_t i = 0; i < 4; i++) {
        struct metric_label label = {"state", bytes_str(by_state[i].state)};
        metric_set(metric_gauge(c->metrics, "starling_members", known, &label, 1), by_state[i].count);
    }
    metric_set(metric_gauge(c->metrics, "starling_members_unreachable",
                            "Members that are alive and that no request from here reaches.", NULL, 0),
               count_lost(c));
    metric_set(metric_gauge(c->metrics, "starling_members_degraded",
                            "Members that are alive, but come and go or lose most packets.", NULL, 0),
               control_degraded_count(c));
    metric_set(
        metric_gauge(c->metrics, "starling_cut_off",
                     "1 while this host hears no other member, though several are not known to be gone.",
                     NULL, 0),
        control_cut_off_ms(c) > 0);
#define X(name, help)                                                                                        \
    metric_set(metric_counter(c->metrics, "starling_gossip_" #name "_total", help, NULL, 0),                 \
               gossip_stats(c->gossip)->name);
    GOSSIP_STATS(X)
#undef X
#define X(name, help)                                                                                        \
    metric_set(metric_counter(c->metrics, "starling_udp_" #name "_total", help, NULL, 0),                    \
               udp_stats(c->udp)->name);
    UDP_STATS(X)
#undef X
}

static void export_trust(struct control *c)
{
    const struct trust_cache_stats *t = trust_cache_stats(c->verified);
    metric_set(metric_counter(c->metrics, "starling_trust_checked_total",
                              "Records, credentials and grants whose signatures were checked.", NULL, 0),
               t->misses);
    metric_set(metric_counter(c->metrics, "starling_trust_known_total",
                              "Records, credentials and grants that were known as verified before.", NULL, 0),
               t->hits);
    metric_set(metric_gauge(c->metrics, "starling_credential_expires_seconds",
                            "When this agent's credential expires, Unix time.", NULL, 0),
               (uint64_t)c->identity.credential_open.expires);
    metric_set(metric_gauge(c->metrics, "starling_revoked_keys", "Keys that are held revoked.", NULL, 0),
               revoked_count(c->revocations.set));
    metric_set(metric_gauge(c->metrics, "starling_self_revoked",
                            "1 while this host's own credential stands on a revoked key.", NULL, 0),
               c->is_revoked);
}

static void export_rollout(struct control *c)
{
    const struct staged *g = &c->staged;
    metric_set(metric_gauge(c->metrics, "starling_rollout_version",
                            "Version of the policy that is being rolled out, or was halted; 0: none.", NULL,
                            0),
               g->on ? g->version : 0);
    metric_set(metric_gauge(c->metrics, "starling_rollout_step",
                            "The step that the rollout is at, from 1; 0: none is on.", NULL, 0),
               g->on ? g->state.at + 1 : 0);
    metric_set(metric_gauge(c->metrics, "starling_rollout_members",
                            "Members that enforce the version that is being rolled out.", NULL, 0),
               g->on ? g->state.seen_new : 0);
    metric_set(
        metric_gauge(c->metrics, "starling_rollout_halted", "1 while the newest version is halted.", NULL, 0),
        g->on && g->state.halted);
}

static void export_overlay(struct control *c)
{
    metric_set(metric_gauge(c->metrics, "starling_overlay_in_force",
                            "1 while a break-glass overlay stands above the policy here.", NULL, 0),
               c->overlay.was_on && c->overlay.in_force);
    metric_set(metric_gauge(c->metrics, "starling_overlay_ends_seconds",
                            "When the overlay that is on ends by itself, Unix time; 0: none is.", NULL, 0),
               c->overlay.was_on ? (uint64_t)c->overlay.newest.ends : 0);
    metric_set(metric_gauge(c->metrics, "starling_overlay_version",
                            "Version of the newest overlay held, on or over; 0: none.", NULL, 0),
               c->overlay.bytes.len ? c->overlay.newest.version : 0);
}

static void export_policy(struct control *c)
{
    const struct enforced *f = &c->enforced;
    metric_set(
        metric_gauge(c->metrics, "starling_policy_version", "Version of the policy in force.", NULL, 0),
        c->enforced.version);
    metric_set(metric_gauge(c->metrics, "starling_policy_expires_seconds",
                            "When the policy in force expires, Unix time; 0: never, or there is none.", NULL,
                            0),
               f->policy ? (uint64_t)policy_expires(f->policy) : 0);
    metric_set(metric_gauge(c->metrics, "starling_policy_expired",
                            "1 while the policy in force has expired; it stays enforced.", NULL, 0),
               enforced_is_expired(f));
    metric_set(metric_gauge(
                   c->metrics, "starling_policy_forked",
                   "1 while two validly signed policies carry the version in force, or one being rolled out.",
                   NULL, 0),
               enforced_is_forked(f, NULL));
    metric_set(metric_gauge(c->metrics, "starling_policy_failed",
                            "1 while a newer signed policy could not be taken here.", NULL, 0),
               f->failed.reason[0] != 0);
}

static uint64_t doubled(const struct control *c)
{
    uint64_t n = 0;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next)
        n += control_is_doubled(c, m);
    return n;
}

static uint64_t nameless(const struct control *c)
{
    uint64_t n = 0;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next)
        n += control_is_nameless(m);
    return n;
}

static void export_claims(struct control *c)
{
    uint64_t ago_ms;
    metric_set(
        metric_gauge(c->metrics, "starling_members_doubled",
                     "Members that have answered at two addresses in turn in the last ten minutes: two "
                     "agents run with one key.",
                     NULL, 0),
        doubled(c));
    metric_set(metric_gauge(c->metrics, "starling_members_nameless",
                            "Living members to which nothing is routed because another one holds their name.",
                            NULL, 0),
               nameless(c));
    metric_set(
        metric_gauge(c->metrics, "starling_self_doubled",
                     "1 while another agent with this host's key was heard of in the last ten minutes.", NULL,
                     0),
        gossip_is_yielding(c->gossip) || control_double(c, &ago_ms));
}

static uint64_t quarantined(const struct control *c)
{
    uint64_t n = 0;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next)
        n += m->is_quarantined;
    return n;
}

static void export_clocks(struct control *c)
{
    int64_t apart = c->skew.apart_ms;
    uint64_t wrong = 0;
    for (const struct member *m = c->roster.by_id; m; m = m->hh.next)
        wrong += control_member_clock(c, m) && m->clock.is_wrong;
    metric_set(metric_gauge(c->metrics, "starling_clock_skew_seconds",
                            "How far the clock of this host is from the middle of all clocks that it knows, "
                            "either way.",
                            NULL, 0),
               (uint64_t)(apart < 0 ? -apart : apart) / 1000);
    metric_set(metric_gauge(c->metrics, "starling_clock_wrong",
                            "1 while most clocks that are known agree on another time than this host's.",
                            NULL, 0),
               c->skew.verdict == SKEW_OURS);
    metric_set(metric_gauge(c->metrics, "starling_members_clock_wrong",
                            "Members whose clock is far off the time that is held right.", NULL, 0),
               wrong);
}

static void export_ejected(struct control *c)
{
    const struct outliers *o = workers_traffic(c->workers)->outliers;
    size_t out = 0;
    for (size_t i = 0; i < c->view->service_count; i++)
        out += outlier_count(o, &c->view->service[i], net_clock_us() / 1000);
    metric_set(
        metric_gauge(c->metrics, "starling_ejected",
                     "Instances that this agent holds ejected as outliers, or that wait for their probe.",
                     NULL, 0),
        out);
}

metric_value *control_counter(struct control *c, enum control_counter which)
{
    static const char *const named[CONTROL_COUNTERS][2] = {
        [CONTROL_CUT] = {"starling_members_revoked_total",
                         "Members cut because a key that they stand on was revoked."},
        [CONTROL_LATE] = {"starling_control_late_total", "Turns of the control loop that came too late."},
        [CONTROL_RENEWED] = {"starling_renewals_total", "Renewals of this host's credential."},
        [CONTROL_NOT_RENEWED] = {"starling_renewals_failed_total",
                                 "Renewals of this host's credential that came to nothing."},
    };
    return metric_counter(c->metrics, named[which][0], named[which][1], NULL, 0);
}

static void export_state(struct control *c)
{
    for (int i = 0; i < CONTROL_COUNTERS; i++)
        (void)control_counter(c, (enum control_counter)i);
    metric_set(
        metric_gauge(c->metrics, "starling_members_quarantined",
                     "Members to which nothing is routed because they signed two records with one number.",
                     NULL, 0),
        quarantined(c));
    const struct bulk_stats *b = bulk_stats(c->bulk);
    metric_set(
        metric_counter(c->metrics, "starling_bulk_messages_in_total", "Bulk messages received.", NULL, 0),
        b->messages_in);
    metric_set(metric_counter(c->metrics, "starling_bulk_messages_out_total", "Bulk messages sent.", NULL, 0),
               b->messages_out);
    metric_set(metric_counter(c->metrics, "starling_bulk_links_refused_total", "Bulk links over the limit.",
                              NULL, 0),
               b->links_refused);
    metric_set(metric_counter(c->metrics, "starling_bulk_handshakes_failed_total",
                              "Bulk links from others that ended before both sides were authenticated.", NULL,
                              0),
               b->handshakes_failed);
    metric_set(metric_counter(c->metrics, "starling_bulk_malformed_total",
                              "Bulk links ended for a fault of the peer.", NULL, 0),
               b->malformed);
    export_claims(c);
    export_policy(c);
    export_rollout(c);
    export_overlay(c);
    export_ejected(c);
    export_clocks(c);
    metric_set(metric_counter(c->metrics, "starling_views_total", "Views made for the workers.", NULL, 0),
               c->view_serial);
    metric_set(
        metric_gauge(c->metrics, "starling_store_failing", "1 while state cannot be written.", NULL, 0),
        store_health(c->store) != ERR_OK);
}

enum err control_metrics(struct control *c, struct buf *out)
{
    enum { SETS_MAX = 257 };
    struct metrics *sets[SETS_MAX];
    size_t n = 0;
    export_stats(c);
    export_state(c);
    export_trust(c);
    sets[n++] = c->metrics;
    n += workers_metrics(c->workers, sets + n, SETS_MAX - n);
    return metrics_render(out, sets, n);
}
