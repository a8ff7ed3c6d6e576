/* The conductor. Its turn, in order: bulk lane and UDP sessions hand their messages to gossip; the store's
 * answers are taken; gossip's timers fire; its events change members, policy and our own record; its packets
 * leave; a changed view is published. */
#include "control/inner.h"

#include "mux/mux.h"
#include "observe/log.h"

enum {
    LEAVE_MS = 3000,         /* how long telling others of our leaving may take */
    VIEW_FAILED_US = 200000, /* told to the pace for a view that could not be made: again in a second */
};

/* -- small things that others ask -------------------------------------------------------------- */

enum err control_verify_record(void *arg, struct bytes record, struct gossip_claim *out)
{
    struct control *c = arg;
    return claim_of_record(c->verified, record, control_wall(c), out);
}

enum err control_verify_credential(void *arg, struct bytes credential, const uint8_t noise_key[32],
                                   struct node_id *id)
{
    struct control *c = arg;
    struct credential open;
    enum err e = trust_cache_credential(c->verified, credential, control_wall(c), &open);
    if ((e == ERR_REVOKED || e == ERR_AUTH) && control_is_farewell(c, credential, &open))
        e = ERR_OK; /* by a revocation, or by a root that vouches for it no more */
    if (e == ERR_OK && memcmp(open.noise_key, noise_key, sizeof open.noise_key) != 0)
        e = ERR_AUTH;
    if (e == ERR_OK && node_id_eq(&open.id, &c->identity.sign.pub))
        e = ERR_DENIED; /* ourselves, or a clone of us (ADVERSARY N16) */
    if (e == ERR_OK)
        *id = open.id;
    return e;
}

/* -- the view ---------------------------------------------------------------------------------- */

static enum err add_locals(struct control *c, struct view_builder *b)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < c->config.service_count; i++) {
        const struct config_service *s = &c->config.service[i];
        struct labels labels = {.count = s->label_count};
        for (size_t k = 0; k < s->label_count; k++)
            labels.at[k] = (struct label){bytes_str(s->label[k].key), bytes_str(s->label[k].value)};
        e = view_builder_local(b, bytes_str(s->name), &s->app, s->protocol, &labels, c->own.healthy[i]);
    }
    return e;
}

/* The dead, those whose credential has ended, and those whose key is in two hands are left out, which cuts the links to them. Those who left stay,
 * without being chosen: what is in flight to them finishes. */
static bool belongs_in_view(const struct control *c, const struct member *m)
{
    return m->state != GOSSIP_DEAD && !control_is_expired(c, m) && !m->is_revoked && !m->is_quarantined &&
           !node_id_eq(&m->id, &c->identity.sign.pub) && !roster_name_is_taken(m);
}

static enum err add_members(struct control *c, struct view_builder *b)
{
    enum err e = ERR_OK;
    for (struct member *m = c->roster.by_id; e == ERR_OK && m; m = m->hh.next)
        if (belongs_in_view(c, m) &&
            (e = view_builder_member(b, m->record, &m->addr, m->state == GOSSIP_ALIVE,
                                     m->state == GOSSIP_SUSPECT || m->is_degraded)) == ERR_OK)
            view_builder_rtt(b, gossip_rtt(c->gossip, &m->id).estimated_us);
    return e;
}

struct view *control_build_view(struct control *c)
{
    struct view_builder *b = view_builder_new(c->mesh, &c->identity.sign.pub, c->identity.trust);
    if (!b)
        return NULL;
    view_builder_proof(b, c->identity.proof);
    view_builder_time(b, control_wall_least(c));
    view_builder_policy_hash(b, &c->enforced.hash);
    enum err e = view_builder_own(b, &c->identity.credential_open.labels);
    if (e == ERR_OK && !c->is_revoked)
        e = add_locals(c, b);
    if (e == ERR_OK && !c->is_revoked)
        e = add_members(c, b);
    struct view *v = view_builder_finish(b, c->enforced.policy, c->enforced.epoch, ++c->view_serial);
    if (e != ERR_OK && v) {
        view_unref(v);
        v = NULL;
    }
    return v;
}

void control_publish_view(struct control *c)
{
    mono_us start = net_clock_us();
    struct view *v = control_build_view(c);
    pace_done(&c->view_pace, c->now, v ? net_clock_us() - start : VIEW_FAILED_US);
    if (!v) {
        log_error("control", "no memory for a new view; the last one stays in use until there is");
        return;
    }
    view_unref(c->view);
    c->view = v;
    c->view_dirty = c->view_grown = false;
    workers_publish(c->workers, v);
}

void control_hasten_view(struct control *c)
{
    if (c->view_dirty || c->view_grown)
        control_publish_view(c);
}

/* -- gossip's packets -------------------------------------------------------------------------- */

static enum noise_cipher cipher_for(const struct member *m)
{
    bool both = (m->record->features & FEATURE_AESGCM) && noise_cipher_is_available(NOISE_AESGCM);
    return both ? NOISE_AESGCM : NOISE_CHACHAPOLY;
}

/* To whom the packet goes; a seed of which only the address is known has no record. */
static struct link_to way_to(const struct gossip_packet *p, const struct member *m)
{
    return (struct link_to){.id = &p->to,
                            .noise_key = m ? m->record->noise_key : NULL,
                            .addr = &p->addr,
                            .cipher = m ? cipher_for(m) : NOISE_CHACHAPOLY,
                            .version = link_version_with(m ? m->record->link_newest : 0)};
}

static void send_datagram(struct control *c, const struct gossip_packet *p, const struct link_to *to)
{
    enum err e;
    if (p->expects == GOSSIP_ANSWER_OVERDUE)
        udp_doubt(c->udp, &p->to, c->now);
    if (p->expects == GOSSIP_NO_ANSWER)
        e = udp_tell(c->udp, to, p->msg, c->now, net_wall_ms());
    else
        e = udp_send(c->udp, to, p->msg, c->now, net_wall_ms());
    if (e != ERR_OK)
        log_debug("gossip", "a datagram could not be queued");
}

static void send_packet(struct control *c, const struct gossip_packet *p)
{
    const struct member *m = node_id_is_zero(&p->to) ? NULL : roster_find(&c->roster, &p->to);
    struct link_to to = way_to(p, m);
    if (p->lane == GOSSIP_KNOCK)
        bulk_knock(c->bulk, &p->to, &p->addr);
    else if (p->lane == GOSSIP_BULK)
        bulk_send(c->bulk, &to, p->msg, c->now);
    else if (m)
        send_datagram(c, p, &to);
}

static void send_packets(struct control *c)
{
    struct gossip_packet p;
    gossip_time_us(c->gossip, net_clock_us());
    while (gossip_poll_send(c->gossip, &p))
        send_packet(c, &p);
}

static void hand_to_gossip(struct control *c, enum gossip_lane lane, const struct node_id *from,
                           const struct addr *via, struct bytes msg)
{
    struct member *m = roster_find(&c->roster, from);
    if (m)
        control_note_heard(c, m, c->now);
    gossip_time_us(c->gossip, net_clock_us());
    if (gossip_receive(c->gossip, lane, from, via, msg, c->now) != ERR_OK)
        log_debug("gossip", "a message was dropped");
}

void control_on_bulk_message(void *arg, const struct node_id *from, const struct addr *via, struct bytes msg)
{
    hand_to_gossip(arg, GOSSIP_BULK, from, via, msg);
}

void control_on_bulk_undelivered(void *arg, const struct node_id *to, const struct addr *addr)
{
    struct control *c = arg;
    gossip_bulk_failed(c->gossip, to, addr, c->now);
}

void control_on_bulk_lost(void *arg, const struct node_id *peer, bool is_refused)
{
    struct control *c = arg;
    gossip_link_lost(c->gossip, peer, is_refused ? GOSSIP_LINK_REFUSED : GOSSIP_LINK_BROKEN, c->now);
}

/* -- sockets ----------------------------------------------------------------------------------- */

void control_on_datagram(void *arg, const struct addr *from, uint8_t *at, size_t len)
{
    struct control *c = arg;
    udp_receive(c->udp, from, at, len, net_now(c->loop), net_wall_ms());
}

static void send_datagrams(struct control *c)
{
    struct addr to;
    struct bytes d;
    while (udp_poll_send(c->udp, &to, &d)) {
        size_t i = 0;
        while (i + 1 < c->socket_count && addr_is_v4(&c->config.listen[i]) != addr_is_v4(&to))
            i++;
        net_udp_send(c->socket[i], &to, d);
    }
}

static void take_datagrams(struct control *c)
{
    struct node_id from;
    struct addr via;
    struct bytes payload;
    while (udp_poll_packet(c->udp, &from, &via, &payload))
        hand_to_gossip(c, GOSSIP_DATAGRAM, &from, &via, payload);
}

/* -- the store's answers ----------------------------------------------------------------------- */

static void watch_store(struct control *c)
{
    enum err e = store_health(c->store);
    if (e == c->store_failing)
        return;
    if (e != ERR_OK)
        log_error("store",
                  "state cannot be written: %s; gossip and traffic go on from memory, new policies are "
                  "refused until it can",
                  err_text(e));
    else
        log_info("store", "state is written again");
    c->store_failing = e;
}

static void take_answers(struct control *c)
{
    uint64_t ticket;
    enum err outcome;
    while (store_poll_done(c->store, &ticket, &outcome)) {
        if (ticket == TICKET_POLICY)
            control_policy_stored(c, outcome);
        if (ticket == TICKET_STAGED)
            control_staged_stored(c, outcome);
        if (ticket == TICKET_ROOTS)
            control_roots_stored(c, outcome);
        if (ticket == TICKET_PARTS)
            control_parts_stored(c, outcome);
        if (ticket == TICKET_OVERLAY)
            control_overlay_stored(c, outcome);
        if (ticket == TICKET_INCARNATION)
            control_incarnation_stored(c, outcome);
        if (ticket == TICKET_REVOKED)
            revocations_saved(&c->revocations, outcome);
    }
    watch_store(c);
}

static void wake(void *arg)
{
    (void)arg; /* the turn that follows takes the answers */
}

/* Runs on the store's writer thread. */
void control_on_store_news(void *arg)
{
    struct control *c = arg;
    if (net_post(c->loop, wake, NULL) != ERR_OK)
        return; /* no memory: the next control_turn, for whatever reason, takes the answers */
}

/* -- leaving ----------------------------------------------------------------------------------- */

static void on_drained(void *arg)
{
    struct control *c = arg;
    c->phase = CONTROL_STOPPED;
    net_loop_stop(c->loop);
}

void control_leave(struct control *c)
{
    if (c->phase != CONTROL_RUNNING) {
        log_warn("control", "stopping at once");
        on_drained(c);
        return;
    }
    log_info("control", "leaving the mesh");
    c->phase = CONTROL_LEAVING;
    c->leave_by = net_now(c->loop) + (c->may_speak ? LEAVE_MS : 0); /* nobody knows who never spoke */
    c->own.left = true;
    c->own_dirty = true;
    net_loop_deadline(c->loop, net_now(c->loop));
}

static void step_leaving(struct control *c)
{
    if (c->phase != CONTROL_LEAVING || c->now < c->leave_by)
        return;
    c->phase = CONTROL_DRAINING;
    workers_drain(c->workers, on_drained, c);
}

/* -- the turn ---------------------------------------------------------------------------------- */

static void set_deadline(struct control *c)
{
    mono_ms at = mono_min(gossip_deadline(c->gossip), udp_deadline(c->udp));
    at = mono_min(at, mono_min(bulk_deadline(c->bulk), seed_names_deadline(c->seeds)));
    at = mono_min(at, mono_min(health_deadline(c->health), c->housekeeping));
    at = mono_min(at, mono_min(c->also_at, control_rollout_deadline(c)));
    at = mono_min(at, mono_min(c->raise_at, c->expiry_at));
    at = mono_min(at, mono_min(c->marks_at, c->alone_at));
    at = mono_min(at, mono_min(c->rejudge_at, c->evict_at));
    at = mono_min(at, mono_min(c->overlay_at, c->skew_at));
    at = mono_min(at, c->renewing ? NEVER : c->renew_at);
    if (c->view_dirty)
        at = mono_min(at, c->view_pace.not_before);
    if (c->view_grown)
        at = mono_min(at, c->view_pace.calm_before);
    if (c->phase == CONTROL_LEAVING)
        at = mono_min(at, c->leave_by);
    c->deadline = at;
    net_loop_deadline(c->loop, at);
}

void control_turn(void *arg, mono_ms now)
{
    struct control *c = arg;
    if (!c->workers || c->phase == CONTROL_STOPPED)
        return; /* still being put together, or already being taken apart */
    c->now = now;
    control_note_lateness(c);
    bulk_step(c->bulk, now);
    take_datagrams(c);
    take_answers(c);
    seed_names_step(c->seeds, now);
    health_step(c->health, now);
    gossip_tick(c->gossip, now);
    control_take_events(c);
    if (now >= c->raise_at)
        control_raise(c, c->own.wanted);
    control_rollout_step(c);
    control_overlay_step(c);
    if (c->own_dirty && c->may_speak && !c->is_revoked)
        control_announce(c);
    control_take_events(c);
    send_packets(c);
    bulk_step(c->bulk, now);
    udp_tick(c->udp, now, net_wall_ms());
    send_datagrams(c);
    control_cut_expired(c);
    control_judge_step(c);
    control_renewal_step(c);
    if ((c->view_dirty && pace_allows(&c->view_pace, now)) ||
        (c->view_grown && pace_allows_calm(&c->view_pace, now)))
        control_publish_view(c);
    control_keep_house(c);
    control_say_marks(c);
    control_compare_clocks(c);
    control_watch_outage(c);
    step_leaving(c);
    c->also_at = c->also ? c->also(c->also_arg, now) : NEVER;
    set_deadline(c);
}

/* -- from the workers -------------------------------------------------------------------------- */

void control_on_bulk_link(void *arg, int fd_take, struct buf *read_take)
{
    struct control *c = arg;
    bulk_accept(c->bulk, fd_take, read_take, net_now(c->loop));
}

/* Who is dead has no links any more (the view leaves it out), so this one is alive to gossip, and requests that were under way on the
 * link have failed as if the application had been slow. */
static void note_silent_link(struct member *m, mono_ms now)
{
    struct bytes node = member_name(m);
    char at[ADDR_TEXT_MAX];
    if (m->reach.silent_said_at > 0 && now < m->reach.silent_said_at + REACH_SAY_EVERY_MS)
        return;
    m->reach.silent_said_at = now;
    log_warn("link",
             "nothing came over a TCP link to %.*s (%s) for %d s, though it was up and the member is not "
             "dead: the "
             "link is given up, and requests over it meanwhile have timed out for that; does TCP still pass "
             "between the hosts?",
             (int)node.len, (const char *)node.at, addr_text(&m->addr, at),
             (MUX_PING_IDLE_MS + MUX_PING_TIMEOUT_MS) / 1000);
}

/* A member that is alive, yet no request gets there: nobody else would say so. */
static void note_reach(struct control *c, const struct node_id *peer, enum worker_link_news news, mono_ms now)
{
    struct member *m = roster_find(&c->roster, peer);
    char at[ADDR_TEXT_MAX];
    if (!m)
        return;
    struct reach *r = &m->reach;
    struct bytes node = member_name(m);
    if (news == WORKER_LINK_WORKS || news == WORKER_LINK_HEARD)
        control_note_heard(c, m, now);
    reach_note(r, news, now);
    if (news == WORKER_LINK_SILENT)
        note_silent_link(m, now);
    if (r->is_said && news == WORKER_LINK_WORKS) {
        r->is_said = false;
        log_info("link", "traffic reaches %.*s again", (int)node.len, (const char *)node.at);
    } else if (!r->is_said && m->state == GOSSIP_ALIVE && reach_is_lost(r, now) &&
               (r->said_at == 0 || now >= r->said_at + REACH_SAY_EVERY_MS)) {
        r->is_said = true;
        r->said_at = now;
        char since[SPAN_TEXT_MAX];
        log_warn("link",
                 "member %.*s answers over UDP, but traffic does not reach it, for %s: TCP connections to %s "
                 "%s; is a "
                 "firewall between the hosts closed to TCP %u?",
                 (int)node.len, (const char *)node.at, span_text(now - r->failing_since, since),
                 addr_text(&m->addr, at), r->is_refused ? "are refused" : "are not answered", m->addr.port);
    }
}

void control_on_link(void *arg, const struct node_id *peer, enum worker_link_news news)
{
    struct control *c = arg;
    mono_ms now = net_now(c->loop);
    note_reach(c, peer, news, now);
    if (news == WORKER_LINK_WORKS || news == WORKER_LINK_HEARD)
        gossip_link_works(c->gossip, peer, now);
    else
        gossip_link_lost(c->gossip, peer,
                         news == WORKER_LINK_REFUSED ? GOSSIP_LINK_REFUSED : GOSSIP_LINK_BROKEN, now);
}

/* Gossip dials nobody on loopback from an agent that is not there itself, since members could send it to its own doors so. An
 * operator who names such a seed is told, as nothing else shows why nobody answers. */
static void say_loopback_seeds(struct control *c, const struct addr *found, size_t count)
{
    char seed[ADDR_TEXT_MAX], own[ADDR_TEXT_MAX];
    for (size_t i = 0; i < count && !c->loopback_said && !addr_is_loopback(&c->config.advertise[0]); i++) {
        if (!addr_is_loopback(&found[i]))
            continue;
        log_warn("gossip",
                 "the seed %s is on loopback, and is not dialled, as this agent is at %s: give agents that "
                 "share a host --listen 127.0.0.1:PORT each, or name the seed by its host's address",
                 addr_text(&found[i], seed), addr_text(&c->config.advertise[0], own));
        c->loopback_said = true;
    }
}

void control_on_seeds(void *arg, const struct addr *found, size_t count)
{
    struct control *c = arg;
    say_loopback_seeds(c, found, count);
    gossip_seeds_set(c->gossip, found, count, net_now(c->loop));
}

static const char *door_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    return a->port ? addr_text(a, out) : "off";
}

/* The first lines of a log: what runs here, where, and under which policy. */
static void say_start(const struct control *c)
{
    char mesh[ADDR_TEXT_MAX], entry[ADDR_TEXT_MAX], admin[ADDR_TEXT_MAX];
    log_info("control", "starling %s: node %s of mesh %s at %s, HTTP entry %s, read-only port %s",
             STARLING_VERSION, c->config.node, c->mesh, addr_text(&c->config.advertise[0], mesh),
             door_text(&c->config.http_entry, entry), door_text(&c->config.admin, admin));
    if (c->enforced.policy)
        log_info("policy", "version %llu (epoch %llu) is in force, as stored",
                 (unsigned long long)c->enforced.version, (unsigned long long)c->enforced.epoch);
    else
        log_info("policy", "none is in force: everything is denied");
}

void control_run(struct control *c)
{
    say_start(c);
    c->now = net_now_fresh(c->loop); /* what was written at the start may have taken seconds */
    gossip_recall(c->gossip, c->config.seed_count > 0, c->now);
    seed_names_set(c->seeds, &c->config, c->now);
    net_loop_deadline(c->loop, c->now);
    net_loop_run(c->loop);
    log_info("control", "stopped");
}
