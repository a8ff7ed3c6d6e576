#include "sim/policies_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/feature.h"
#include "sim/must.h"

/* -- bundles ----------------------------------------------------------------------------------- */

static struct sign_key key_of(uint8_t byte)
{
    uint8_t seed[32];
    struct sign_key k;
    memset(seed, byte, sizeof seed);
    must_ok(sign_key_of_seed(&k, seed));
    return k;
}

void policies_begin(struct world *w)
{
    struct policies *p = must_zeros(1, sizeof *p);
    struct sign_key root = key_of(1);
    const struct sign_key *by = &root;
    must_ok(trust_init());
    p->key = key_of(2);
    p->thief = key_of(3);
    struct root r = {.mesh = bytes_str("sim.example"),
                     .epoch = 1,
                     .root = {1, 1, {root.pub}},
                     .policy = {1, 1, {p->key.pub}},
                     .enrol = {1, 1, {root.pub}}};
    must_ok(root_create(&p->root_bytes, &r, &by, 1));
    must_ok(root_open(&p->root, buf_bytes(&p->root_bytes)));
    p->host = must_zeros(w->config.hosts, sizeof *p->host);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        p->host[h].look_at = NEVER;
    w->policies = p;
    w->on_doc = policies_received;
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

bool policies_has_steps(const struct sim_bundle *b)
{
    return b->policy && policy_rollout(b->policy)->step_count > 0;
}

const struct policy_rollout *policies_rule_of(const struct sim_bundle *b)
{
    return policy_rollout(b->policy);
}

static void deal_turns(struct world *w, struct sim_bundle *b)
{
    b->turn = must_zeros(w->config.hosts, sizeof *b->turn);
    for (uint32_t h = 0; h < w->config.hosts; h++)
        b->turn[h] = rollout_turn(policies_rule_of(b), &b->doc.hash, signer_id(w->signer, h),
                                  &w->policies->host[h].labels);
}

struct sim_bundle *policies_sign(struct world *w, uint64_t version, const char *body, size_t bytes_min,
                                 bool by_thief)
{
    struct policies *p = w->policies;
    struct sim_bundle *b = must_zeros(1, sizeof *b);
    const struct sign_key *key = by_thief ? &p->thief : &p->key;
    struct root root = p->root;
    struct buf text = {0};
    assert(p->count < BUNDLES_MAX);
    root.policy.key[0] = key->pub; /* a thief signs as if it were his */
    buf_addf(&text, "policy: v1\nmesh: sim.example\nversion: %llu\n%s", (unsigned long long)version, body);
    while (text.len < bytes_min)
        buf_add_str(&text, "# as its reviewers read it, with the reasons beside the rules\n");
    must_ok(bundle_sign(&b->doc.bytes, &root, 1, buf_bytes(&text), NULL, &key, 1, NULL));
    must_ok(bundle_peek(&b->said, buf_bytes(&b->doc.bytes)));
    buf_fini(&text);
    b->doc.epoch = 1;
    b->doc.version = version;
    b->doc.hash = b->said.hash;
    b->whole = hash_of(buf_bytes(&b->doc.bytes));
    struct bundle opened;
    b->opened = bundle_open(&opened, &b->policy, &p->root, buf_bytes(&b->doc.bytes), NULL);
    if (b->opened == ERR_OK)
        b->opened = bundle_suits(&opened, NULL);
    if (policies_has_steps(b))
        deal_turns(w, b);
    return p->bundle[p->count++] = b;
}

/* -- what a host holds ------------------------------------------------------------------------- */

struct policies_host *policies_host_of(const struct world *w, uint32_t host)
{
    return &w->policies->host[host];
}

const struct sim_bundle *policies_in_force(const struct world *w, uint32_t host)
{
    const struct policies_kept *k = &policies_host_of(w, host)->now;
    return k->entered ? k->staged : k->base;
}

const struct doc *policies_find(const struct world *w, uint32_t host, const struct hash *hash)
{
    const struct policies_host *s = policies_host_of(w, host);
    const struct sim_bundle *held[] = {s->now.base, s->now.staged, s->before};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        if (held[i] && hash_eq(&held[i]->doc.hash, hash))
            return &held[i]->doc;
    return NULL;
}

void policies_tell(struct host *h, uint8_t kind, const struct doc *d)
{
    gossip_doc_set(h->gossip, kind, d->epoch, d->version, &d->hash, host_ms(h));
}

/* As announce_policy() of control/documents.c. */
void policies_announce(struct world *w, uint32_t host)
{
    struct policies_host *s = policies_host_of(w, host);
    struct host *h = &w->host[host];
    const struct sim_bundle *newest = s->now.staged ? s->now.staged : s->now.base;
    if (s->claim != CLAIM_NONE)
        return;
    if (newest)
        policies_tell(h, DOC_KIND, &newest->doc);
    if (s->now.staged && s->now.base) {
        s->before = s->now.base;
        policies_tell(h, BEFORE_KIND, &s->before->doc);
    }
}

void policies_say(const struct world *w, uint32_t host, struct signed_policy *out)
{
    const struct policies_host *s = policies_host_of(w, host);
    const struct sim_bundle *b = policies_in_force(w, host);
    *out = (struct signed_policy){.rollout = s->said};
    if (b) {
        out->epoch = b->doc.epoch;
        out->version = b->doc.version;
        out->hash = b->doc.hash;
    }
    if (s->lie != LIE_NONE && s->now.staged)
        policies_say_lie(s, out);
}

/* -- its disk ---------------------------------------------------------------------------------- */

static void write_queued(struct world *w, uint32_t host)
{
    struct policies_host *s = policies_host_of(w, host);
    if (w->host[host].state == HOST_PAUSED) {
        world_after(w, MS(5), host, write_queued);
    } else if (s->is_queued) {
        s->is_queued = false;
        s->disk = s->queued;
    }
}

/* The marks of a rollout: nobody waits for them. */
void policies_keep(struct world *w, uint32_t host)
{
    struct policies_host *s = policies_host_of(w, host);
    s->queued = s->now;
    if (s->is_queued)
        return;
    s->is_queued = true;
    world_after(w, host_store_takes(w), host, write_queued);
}

/* -- revocation -------------------------------------------------------------------------------- */

bool policies_revokes(const struct world *w, uint32_t host, const struct node_id *id)
{
    const struct sim_bundle *b = policies_host_of(w, host)->now.revoking;
    return b && policy_revocation(b->policy, id) != NULL;
}

/* As mark_fallen() and evict_members() of control/judge.c: they are told by which policy it was, and forgotten. */
static void cut_revoked(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct host *h = &w->host[host];
    size_t count = 0;
    const struct policy_revocation *key = b ? policy_revocations(b->policy, &count) : NULL;
    if (count > 0)
        policies_host_of(w, host)->now.revoking = b;
    for (size_t i = 0; i < count; i++)
        if (!node_id_eq(&key[i].key, signer_id(w->signer, host))) {
            gossip_doc_tell(h->gossip, DOC_KIND, &key[i].key, host_ms(h));
            gossip_evict(h->gossip, &key[i].key, host_ms(h));
        }
}

void policies_note_change(struct world *w, uint32_t host, const struct sim_bundle *was)
{
    const struct sim_bundle *now = policies_in_force(w, host);
    trace_line(&w->trace, w->now, "%u enforces version %llu", host,
               (unsigned long long)(now ? now->doc.version : 0));
    cut_revoked(w, host, now);
    if (w->policies->changed)
        w->policies->changed(w, host, was);
}

/* -- its process comes and goes ---------------------------------------------------------------- */

void policies_hold(struct world *w, uint32_t host, const struct sim_bundle *b)
{
    struct policies_host *s = policies_host_of(w, host);
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
    policies_host_of(w, host)->arrival = (struct rollout_arrival){now, now};
}

void policies_meet(struct world *w, uint32_t host)
{
    policies_host_of(w, host)->arrival.news_at = host_ms(&w->host[host]);
}

void policies_start(struct world *w, uint32_t host)
{
    struct policies_host *s = policies_host_of(w, host);
    s->now = s->disk;
    s->is_queued = false;
    s->next = s->before = NULL;
    s->look_at = NEVER;
    s->said = (struct record_rollout){.version = 0};
    s->counted[0] = s->counted[1] = (struct record_count){.requests = 0};
    s->counted_at = host_ms(&w->host[host]);
    policies_arrive(w, host);
    if (s->now.staged)
        policies_rollout_begin(w, host, s->now.entered, s->now.halted);
}

void policies_wipe(struct world *w, uint32_t host)
{
    policies_host_of(w, host)->disk = (struct policies_kept){.base = NULL};
}
