/* Putting the agent together in the order in which one part needs another, and taking it apart in the
 * reverse. */
#include <signal.h>

#include "control/inner.h"
#include "observe/log.h"

/* -- putting it together ----------------------------------------------------------------------- */

static void load_member(void *arg, const struct node_id *id, struct bytes record)
{
    struct control *c = arg;
    char text[NODE_ID_TEXT_MAX];
    enum err e = gossip_member_load(c->gossip, record, net_now(c->loop));
    if (e != ERR_OK && e != ERR_STALE)
        log_info("store", "the stored record of %s is not used: %s", node_id_text(id, text), err_text(e));
}

/* If it was the token's key, another token helps. */
static void renew_revoked(struct control *c)
{
    struct renewal r = {.config = &c->config, .of = &c->identity};
    struct proof *p = NULL;
    struct buf why = {0};
    if (identity_renew(&p, &r, control_wall(c), &why) == ERR_OK)
        identity_take_proof(&c->identity, p);
    else
        log_warn("trust", "the credential is not renewed: %s", buf_str(&why));
    proof_unref(p);
    buf_fini(&why);
    control_judge_own(c);
}

/* What was revoked before is in force before any peer answers. A host that is out itself does not start: nobody would
 * answer it. */
static enum err open_revocations(struct control *c, struct buf *why)
{
    enum err e = revocations_load(&c->revocations, c->store);
    if (e == ERR_OK)
        e = fallen_load(&c->fallen, c->store);
    if (e != ERR_OK)
        return e;
    control_take_revocations(c);
    if (c->rejudge_at != NEVER)
        return ERR_NOMEM;
    if (c->is_revoked && c->config.token_path[0])
        renew_revoked(c);
    if (!c->is_revoked)
        return ERR_OK;
    buf_addf(why, "node %s is no member any more: ", c->config.node);
    control_say_revoked(c, &c->identity.credential_open, why);
    buf_addf(why, "; enrol it anew, with a new token, and with another --data if its own key was revoked");
    return ERR_REVOKED;
}

static enum err open_policy(struct control *c, struct buf *why)
{
    struct chain roots;
    enum err e = chain_open(&roots, buf_bytes(&c->anchor.chain), NULL, NULL);
    if (e == ERR_OK)
        e = enforced_init(&c->enforced, c->store, &roots, c->metrics, why);
    struct staged_self self = control_staged_self(c);
    if (e == ERR_OK)
        e = staged_init(&c->staged, &c->enforced, c->store, &roots, &self);
    if (e == ERR_OK)
        e = parts_init(&c->parts, c->store, trust_root(c->identity.trust));
    if (e == ERR_OK)
        e = control_open_overlay(c, &roots);
    if (e == ERR_OK)
        control_compose(c);
    return e;
}

static enum err open_state(struct control *c, struct buf *why)
{
    struct buf policy_why = {0}, told = {0};
    bool had_identity = false;
    enum err e = store_is_bound(c->store, &had_identity);
    if (e == ERR_OK && had_identity)
        e = identity_is_there(&c->config, why);
    if (e == ERR_OK)
        e = anchor_refresh(c->store, c->config.data, &told);
    if (e != ERR_OK)
        buf_add_bytes(why, buf_bytes(&told));
    else if (told.len > 0)
        log_warn("trust", "%s", buf_str(&told));
    buf_fini(&told);
    if (e == ERR_OK)
        e = identity_open(&c->identity, &c->config, control_wall(c), why);
    if (e != ERR_OK)
        return e;
    if (!control_services_are_allowed(&c->config, &c->identity, why))
        return ERR_DENIED;
    e = anchor_init(&c->anchor, c->store, buf_bytes(&c->identity.root), buf_bytes(&c->identity.roots),
                    &c->identity.trust, c->metrics, why);
    if (e != ERR_OK)
        return e;
    struct bytes mesh = trust_root(c->identity.trust)->mesh;
    memcpy(c->mesh, mesh.at, mesh.len);
    c->verified = trust_cache_new(c->identity.trust, VERIFIED_MAX);
    if (!c->verified)
        return ERR_NOMEM;
    e = store_bind(c->store, bytes_str(c->mesh), &c->identity.sign.pub);
    if (e == ERR_FOREIGN)
        buf_addf(why, "%s holds the state of another mesh or node; give another --data", c->config.data);
    if (e == ERR_OK)
        e = own_init(&c->own, c->store);
    if (e == ERR_OK)
        e = open_policy(c, &policy_why);
    if (policy_why.len > 0)
        log_error("policy",
                  "the stored policy cannot be used, everything is denied until a good one arrives: %s",
                  buf_str(&policy_why));
    buf_fini(&policy_why);
    if (e == ERR_OK)
        e = open_revocations(c, why);
    if (e != ERR_OK && why->len == 0)
        buf_addf(why, "the state in %s cannot be read or written: %s", c->config.data, err_text(e));
    return e;
}

static enum err make_udp(struct control *c, struct buf *why)
{
    uint64_t floor = 0;
    enum err e = store_number_get(c->store, "udp_timestamp", &floor);
    struct udp_setup setup = {
        .mesh = bytes_str(c->mesh),
        .credential = c->identity.credential_open.bytes,
        .noise_secret = proof_now(c->identity.proof)->noise.sec,
        .verify = {control_verify_credential, c, NULL},
        .timestamp_floor = floor,
    };
    if (e == ERR_OK)
        e = store_number_raise(c->store, "udp_timestamp",
                               (floor > net_wall_ms() ? floor : net_wall_ms()) + UDP_RESERVE_MS);
    c->udp = e == ERR_OK ? udp_new(&setup, net_now(c->loop)) : NULL;
    if (!c->udp && why->len == 0)
        buf_addf(why, "the state in %s cannot be written: %s", c->config.data, err_text(e));
    return c->udp ? ERR_OK : e == ERR_OK ? ERR_NOMEM : e;
}

/* A host without IPv6 cannot bind [::]: IPv4's wildcard takes its place. */
static enum err bind_udp(struct control *c, struct addr *at, struct net_udp **out)
{
    enum err e = net_udp_open(out, c->loop, at, c->config.listen_count > 1, control_on_datagram, c);
    struct addr any6;
    if (e == ERR_OK || !addr_of_ip(&any6, "::", at->port) || !addr_eq(at, &any6) ||
        c->config.listen_count > 1)
        return e;
    (void)addr_of_ip(at, "0.0.0.0", at->port);
    return net_udp_open(out, c->loop, at, false, control_on_datagram, c);
}

static enum err open_sockets(struct control *c, struct buf *why)
{
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < c->config.listen_count; i++) {
        enum err e = bind_udp(c, &c->config.listen[i], &c->socket[i]);
        if (e != ERR_OK) {
            buf_addf(why,
                     "UDP %s cannot be had: %s; is another agent running there? Give --listen or --port-base",
                     addr_text(&c->config.listen[i], text), net_bind_text(e));
            return e;
        }
        c->socket_count++;
    }
    return ERR_OK;
}

static enum err make_gossip(struct control *c, struct buf *why)
{
    uint64_t seed;
    size_t damaged = 0;
    random_bytes(&seed, sizeof seed);
    struct gossip_config config = {.self = c->identity.sign.pub, .seed = seed};
    struct gossip_verify verify = {control_verify_record, control_find_document, c};
    c->gossip = gossip_new(&config, &verify, net_now(c->loop));
    if (!c->gossip)
        return ERR_NOMEM;
    c->now = net_now(c->loop);
    if (c->enforced.policy || c->staged.on)
        control_enforce(c);
    control_announce_roots(c);
    control_announce_parts(c);
    control_announce_overlay(c);
    health_set(c->health, &c->config, c->own.healthy, c->now);
    enum err e = store_members_each(c->store, load_member, c, &damaged);
    if (e != ERR_OK)
        buf_addf(why, "the members stored in %s cannot be read: %s", c->config.data, err_text(e));
    if (damaged > 0)
        log_error("store",
                  "%zu stored records were damaged and set aside; their owners will be heard of again",
                  damaged);
    return e;
}

static enum err make_parts(struct control *c, struct buf *why)
{
    struct link_setup link = {
        .mesh = bytes_str(c->mesh),
        .credential = c->identity.credential_open.bytes,
        .noise_secret = proof_now(c->identity.proof)->noise.sec,
        .verify = {control_verify_credential, c, control_tell_refused},
    };
    static const struct bulk_events bulk_events = {control_on_bulk_message, control_on_bulk_undelivered,
                                                   control_on_bulk_lost, control_on_bulk_refused,
                                                   control_on_bulk_stranger};
    c->bulk = bulk_new(c->loop, &link, &bulk_events, c);
    c->seeds = seed_names_new(c->loop, control_on_seeds, c);
    c->health = health_new(c->loop, control_on_health, c);
    if (!c->bulk || !c->seeds || !c->health)
        return ERR_NOMEM;
    enum err e = make_udp(c, why);
    if (e == ERR_OK)
        control_prove(c);
    if (e == ERR_OK)
        e = open_sockets(c, why);
    return e == ERR_OK ? make_gossip(c, why) : e;
}

static enum err start_workers(struct control *c, struct buf *why)
{
    struct worker_config w = {
        .count = c->config.workers,
        .mesh_addr_count = c->config.listen_count,
        .http_entry = c->config.http_entry,
        .upstream_count = c->config.upstream_count,
        .caller_count = c->config.caller_count,
        .upstream = c->config.upstream,
        .caller = c->config.caller,
        .mesh = bytes_str(c->mesh),
        .drain_ms = c->config.drain_ms,
        .control = c->loop,
        .on_bulk = control_on_bulk_link,
        .on_link = control_on_link,
        .arg = c,
    };
    for (size_t i = 0; i < c->config.listen_count; i++)
        w.mesh_addr[i] = c->config.listen[i];
    control_take_events(c);
    c->view = control_build_view(c);
    return c->view ? workers_start(&c->workers, &w, c->view, why) : ERR_NOMEM;
}

static enum err watch_signals(struct control *c)
{
    enum err e = net_on_signal(c->loop, SIGTERM, control_on_signal, c);
    if (e == ERR_OK)
        e = net_on_signal(c->loop, SIGINT, control_on_signal, c);
    return e == ERR_OK ? net_on_signal(c->loop, SIGHUP, control_on_signal, c) : e;
}

static enum err put_together(struct control *c, struct buf *why)
{
    enum err e = net_loop_new(&c->loop, control_turn, c);
    if (e == ERR_OK)
        e = store_open(&c->store, c->config.data, control_on_store_news, c, why);
    if (e == ERR_OK)
        e = control_open_clock(c, why);
    if (e == ERR_OK)
        e = open_state(c, why);
    if (e == ERR_OK)
        e = make_parts(c, why);
    if (e == ERR_OK)
        e = start_workers(c, why);
    if (e == ERR_OK)
        e = watch_signals(c);
    return e;
}

enum err control_new(struct control **out, const struct config_flags *flags, struct buf *why)
{
    struct complaints complaints = {.file = "command line"};
    struct control *c = calloc(1, sizeof *c);
    *out = c;
    if (!c)
        return ERR_NOMEM;
    c->flags = flags;
    c->deadline = c->also_at = c->raise_at = c->rejudge_at = c->evict_at = c->overlay_at = NEVER;
    c->metrics = metrics_new();
    enum err e = c->metrics ? config_load(&c->config, flags, &complaints) : ERR_NOMEM;
    if (e == ERR_INVALID)
        buf_addf(why, "%s", buf_str(&complaints.text));
    buf_fini(&complaints.text);
    log_level_set(c->config.log_level);
    if (e == ERR_OK) {
        e = put_together(c, why);
        if (e == ERR_INVALID) /* what lies in the data folder is no mistake on the command line */
            e = ERR_CONFLICT;
    }
    if (e != ERR_OK) {
        if (why->len == 0)
            buf_add_str(why, err_text(e));
        control_free(c);
        *out = NULL;
    }
    return e;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    workers_free(c->workers);
    view_unref(c->view);
    bulk_free(c->bulk);
    seed_names_free(c->seeds);
    health_free(c->health);
    for (size_t i = 0; i < c->socket_count; i++)
        net_udp_free(c->socket[i]);
    udp_free(c->udp);
    gossip_free(c->gossip);
    roster_fini(&c->roster);
    enforced_fini(&c->enforced);
    staged_fini(&c->staged);
    control_renewal_fini(c);
    revocations_fini(&c->revocations);
    trust_unref(c->farewell);
    anchor_fini(&c->anchor);
    parts_fini(&c->parts);
    overlaid_fini(&c->overlay);
    store_close(c->store);
    trust_cache_free(c->verified);
    identity_fini(&c->identity);
    net_loop_free(c->loop);
    metrics_free(c->metrics);
    free(c);
}
