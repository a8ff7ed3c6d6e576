/* Housekeeping: once a minute what lies ahead is looked at and warned of, and what waits for the store is brought to it; and whose
 * credential ends while it is a member is cut. */
#include "control/inner.h"
#include "observe/log.h"

enum {
    HOUSEKEEPING_MS = 60000,
    EXPIRY_LOOK_S = 3600,
    ALONE_FIRST_MS = 4000,          /* without an answer of a seed; then four times as long, and so on ... */
    ALONE_LONGEST_MS = 3600 * 1000, /* ... up to an hour */
};

bool control_is_expired(const struct control *c, const struct member *m)
{
    return member_expires(m) <= control_wall(c);
}

/* When to look at its credential again: at its end, and within the hour, for the wall clock may be set. */
mono_ms control_expiry_of(const struct control *c, const struct member *m)
{
    wall_s left = member_expires(m) - control_wall(c);
    return c->now + (left < 0 ? 0 : left > EXPIRY_LOOK_S ? EXPIRY_LOOK_S : left) * 1000;
}

static void keep_udp_floor(struct control *c)
{
    uint64_t used = udp_timestamp(c->udp), wall = net_wall_ms();
    uint64_t floor = (used > wall ? used : wall) + UDP_RESERVE_MS;
    enum err e = store_number_raise_queued(c->store, "udp_timestamp", floor, TICKET_UDP_FLOOR);
    if (e != ERR_OK && e != ERR_STALE)
        log_debug("store", "the handshake timestamp could not be queued");
}

static void watch_root(const struct control *c, wall_s now)
{
    wall_s expires = trust_root(c->identity.trust)->expires;
    if (expires && expires <= now)
        log_error(
            "trust",
            "the root of trust has expired: no new policy, token or credential is taken until the next root "
            "is published");
    else if (expires && expires - now < CONTROL_ROOT_WARN_S)
        log_warn("trust", "the root of trust expires in %lld days: publish the next one",
                 (long long)(expires - now) / 86400);
}

static void watch_policy(struct control *c, wall_s now)
{
    struct enforced *f = &c->enforced;
    enforced_look_at_clock(f, now);
    enforced_save(f, c->store);
    if (enforced_is_expired(f))
        log_error("policy",
                  "the policy in force has expired; it stays enforced: sign and publish a new version");
    else if (enforced_expires_soon(f, now))
        log_warn("policy",
                 "the policy in force expires in %lld hours: sign and publish a new version in time",
                 (long long)(policy_expires(f->policy) - now) / 3600);
    if (enforced_is_forked(f, NULL))
        log_error("policy", "two validly signed policies carry version %llu: sign a higher version",
                  (unsigned long long)f->history.fork.version);
}

static void watch_expiry(struct control *c)
{
    wall_s now = control_wall(c), credential = c->identity.credential_open.expires;
    if (credential < now)
        log_error("trust",
                  "this agent's credential has expired: give it a fresh token (starling renew --token FILE)");
    else if (identity_expires_soon(&c->identity, now))
        log_warn("trust",
                 "this agent's credential expires in %lld hours: give it a fresh token (starling renew "
                 "--token FILE)",
                 (long long)(credential - now) / 3600);
    watch_root(c, now);
    watch_policy(c, now);
}

/* A credential may end while its host is a member. Nothing renews the sessions and links that are cut here, for no
 * handshake accepts it, and the view leaves the host out: it goes the way of one that does not answer. */
void control_cut_expired(struct control *c)
{
    mono_ms next = NEVER;
    if (c->now < c->expiry_at)
        return;
    for (struct member *m = c->roster.by_id; m; m = m->hh.next) {
        if (!control_is_expired(c, m)) {
            next = mono_min(next, control_expiry_of(c, m));
        } else if (m->cut_at != member_expires(m) && !node_id_eq(&m->id, &c->identity.sign.pub)) {
            m->cut_at = member_expires(m);
            udp_forget(c->udp, &m->id);
            bulk_cut(c->bulk, &m->id);
            c->view_dirty = true;
            log_warn("trust", "the credential of member %.*s has expired: its links are cut",
                     (int)member_name(m).len, (const char *)member_name(m).at);
        }
    }
    c->expiry_at = next;
}

/* Soon after the start, as somebody may be waiting for it, and then ever more seldom: `status` goes on telling it. */
static void say_not_joined(struct control *c)
{
    struct buf seeds = {0};
    if (c->alone_at == 0)
        c->alone_at = c->now + ALONE_FIRST_MS;
    if (control_is_joined(c) || c->phase != CONTROL_RUNNING)
        c->alone_at = NEVER;
    if (c->now < c->alone_at)
        return;
    config_say_seeds(&c->config, &seeds);
    log_warn(
        "gossip",
        "not joined: no seed has answered yet (%s): does an agent of this mesh run there, and do UDP and "
        "TCP pass? It goes on trying; see: starling status",
        buf_str(&seeds));
    buf_fini(&seeds);
    c->alone_wait_ms = c->alone_wait_ms > 0 ? c->alone_wait_ms : ALONE_FIRST_MS;
    c->alone_wait_ms = c->alone_wait_ms < ALONE_LONGEST_MS / 4 ? c->alone_wait_ms * 4 : ALONE_LONGEST_MS;
    c->alone_at = c->now + c->alone_wait_ms;
}

void control_keep_house(struct control *c)
{
    say_not_joined(c);
    if (c->now < c->housekeeping)
        return;
    c->housekeeping = c->now + HOUSEKEEPING_MS;
    keep_udp_floor(c);
    control_watch_clock(c);
    control_watch_overlay(c);
    if (revocations_are_unsaved(&c->revocations))
        revocations_save(&c->revocations, c->store, TICKET_REVOKED);
    fallen_save(&c->fallen, c->store);
    watch_expiry(c);
}
