/* What arrives as a document, from gossip or by an operator's hand: policies and roots. Each goes to its slot, which judges it;
 * the store keeps it; then it is in force, and offered on. */
#include "control/inner.h"
#include "observe/log.h"

enum { COMPOSE_RETRY_MS = 1000 };

static const struct root *root_of(const struct control *c)
{
    return trust_root(c->identity.trust);
}

struct bytes control_find_document(void *arg, const struct hash *hash)
{
    struct control *c = arg;
    if (c->enforced.policy && hash_eq(hash, &c->enforced.hash))
        return buf_bytes(&c->enforced.bundle);
    if (c->staged.other.policy && hash_eq(hash, &c->staged.other.hash))
        return buf_bytes(&c->staged.other.bundle);
    if (c->staged.before.len > 0 && hash_eq(hash, &c->staged.before_hash))
        return buf_bytes(&c->staged.before);
    if (c->parts.now.count > 0 && hash_eq(hash, &c->parts.hash))
        return buf_bytes(&c->parts.document);
    if (c->overlay.bytes.len > 0 && hash_eq(hash, &c->overlay.newest.hash))
        return buf_bytes(&c->overlay.bytes);
    return hash_eq(hash, &c->anchor.hash) ? buf_bytes(&c->anchor.chain) : bytes_of(NULL, 0);
}

void control_answer_publisher(struct control *c, enum ticket of, enum err e, const char *text)
{
    struct publisher p = c->publisher;
    if (!p.done || p.ticket != of)
        return;
    c->publisher = (struct publisher){0};
    p.done(p.arg, e, text);
}

void control_refuse_publisher(struct control *c, enum ticket of, const char *module, const char *what,
                              enum err e)
{
    char text[160];
    snprintf(text, sizeof text, "the %s cannot be stored: %s; what is in force stays", what, err_text(e));
    log_error(module, "%s", text);
    control_answer_publisher(c, of, e, text);
}

/* -- the policy and its parts ------------------------------------------------------------------ */

void control_compose(struct control *c)
{
    struct policy *alone = NULL, *whole = NULL;
    struct bytes main = bundle_text(buf_bytes(&c->enforced.bundle));
    bool has_parts =
        c->parts.now.count > 0 || (c->enforced.policy && policy_source_count(c->enforced.policy) > 1);
    if (!c->enforced.policy || !(has_parts || overlaid_is_on(&c->overlay, control_wall(c))))
        return;
    if (policy_compile(&alone, main, NULL) == ERR_OK)
        whole = parts_compose(&c->parts, root_of(c), alone, main);
    if (whole)
        whole = control_compose_overlay(c, whole, main);
    policy_unref(alone);
    c->is_uncomposed = !whole;
    if (!whole) {
        log_error("policy", "no memory to take parts and overlay into the policy; it is in force as it was");
        c->overlay_at = c->now + COMPOSE_RETRY_MS;
        return;
    }
    policy_unref(c->enforced.policy);
    c->enforced.policy = whole;
    c->view_dirty = true;
}

void control_announce_parts(struct control *c)
{
    c->own.parts_sum = c->parts.now.count > 0 ? c->parts.sum : 0;
    c->own.parts_hash = c->parts.hash;
    c->own_dirty = true;
    if (c->parts.now.count > 0)
        gossip_doc_set(c->gossip, DOC_PARTS, c->anchor.epoch, c->parts.sum, &c->parts.hash, c->now);
}

void control_parts_stored(struct control *c, enum err outcome)
{
    bool changed = parts_confirmed(&c->parts, c->store, outcome);
    if (outcome != ERR_OK) {
        control_refuse_publisher(c, TICKET_PARTS, "policy", "part", outcome);
        return;
    }
    if (changed) {
        control_compose(c);
        control_announce_parts(c);
        control_announce_overlay(c);
        control_publish_view(c);
        for (size_t i = 0; i < c->parts.now.count; i++)
            if (c->parts.now.at[i].in_force)
                log_info("policy", "part %s: version %llu (epoch %llu) is in force", c->parts.now.at[i].name,
                         (unsigned long long)c->parts.now.at[i].version,
                         (unsigned long long)c->parts.now.at[i].epoch);
    }
    control_answer_publisher(c, TICKET_PARTS, ERR_OK,
                             "the part is held here and on its way to every agent; `starling status` tells "
                             "whether it is in force");
}

static enum err offer_parts(struct control *c, struct bytes document, struct buf *why)
{
    return parts_offer(&c->parts, c->store, root_of(c), document, control_wall(c), TICKET_PARTS, why);
}

/* -- policy ------------------------------------------------------------------------------------ */

/* What others are told of a policy that did not get into force here. */
static void tell_trouble(struct control *c)
{
    struct enforced_failed now = enforced_trouble(&c->enforced), *said = &c->own.failed;
    enforced_save(&c->enforced, c->store);
    if (now.epoch == said->epoch && now.version == said->version && strcmp(now.reason, said->reason) == 0 &&
        strcmp(now.what, said->what) == 0)
        return;
    *said = now;
    c->own_dirty = true;
}

static void announce_before(struct control *c, struct bytes bundle, const struct hash *hash, uint64_t epoch,
                            uint64_t version)
{
    staged_keep_before(&c->staged, bundle, hash);
    gossip_doc_set(c->gossip, DOC_BEFORE, epoch, version, hash, c->now);
}

/* The newest that we hold, in force or staged; and while it is staged, the one that it is to replace. */
static void announce_policy(struct control *c)
{
    const struct staged *g = &c->staged;
    struct hash hash;
    uint64_t epoch, version;
    if (!g->on) {
        gossip_doc_set(c->gossip, DOC_POLICY, c->enforced.epoch, c->enforced.version, &c->enforced.hash,
                       c->now);
        return;
    }
    gossip_doc_set(c->gossip, DOC_POLICY, g->epoch, g->version, &g->hash, c->now);
    struct bytes base = staged_base(g, &c->enforced, &hash, &epoch, &version);
    if (base.len > 0)
        announce_before(c, base, &hash, epoch, version);
}

void control_enforce(struct control *c)
{
    tell_trouble(c);
    c->own.policy_epoch = c->enforced.epoch;
    c->own.policy_version = c->enforced.version;
    c->own.policy_hash = c->enforced.hash;
    c->own_dirty = c->view_dirty = true;
    announce_policy(c);
}

/* By the root of today: another may have come while it was being stored. */
static void rejudge_policy(struct control *c)
{
    bool before = c->enforced.unvouched;
    enforced_rejudge(&c->enforced, root_of(c));
    if (c->enforced.unvouched && !before)
        log_error("policy",
                  "the root in force (epoch %llu) does not vouch for the policy in force: it stays enforced; "
                  "sign and "
                  "publish the next version",
                  (unsigned long long)c->anchor.epoch);
}

void control_changed_policy(struct control *c)
{
    rejudge_policy(c);
    control_compose(c);
    control_enforce(c);
    control_announce_overlay(c);
    control_take_revocations(c);
    control_publish_view(c);
    log_info("policy", "version %llu (epoch %llu) is in force", (unsigned long long)c->enforced.version,
             (unsigned long long)c->enforced.epoch);
}

/* Those whose keys are gone bring nothing into force any more (docs/trust.md, The chain of roots). */
static void rejudge_rollout(struct control *c)
{
    if (staged_rejudge(&c->staged, &c->enforced, root_of(c)))
        log_error(
            "policy",
            "the root in force (epoch %llu) does not vouch for version %llu: its rollout is halted; sign "
            "and publish the next version",
            (unsigned long long)c->anchor.epoch, (unsigned long long)c->staged.version);
}

/* Of two bundles of one version the lower hash is kept, also when that version was halted: all agents hold the same. */
static void say_staged(const struct staged *g, struct buf *out)
{
    if (g->state.halted == ROLLOUT_ROOT)
        buf_addf(
            out,
            "version %llu is held here, and does not come into force: a new root came meanwhile that does "
            "not vouch for it; sign it anew",
            (unsigned long long)g->version);
    else if (g->state.halted)
        buf_addf(
            out,
            "another bundle of version %llu was halted, and what was halted is a version: this one is held "
            "as halted, too, and does not come into force; raise `version:` and sign again",
            (unsigned long long)g->version);
    else
        buf_addf(
            out,
            "version %llu is held here and on its way to every agent; it comes into force in %zu steps: see "
            "`starling status`",
            (unsigned long long)g->version, g->state.rule->step_count);
    if (!g->state.halted && g->state.empty)
        buf_add_str(out, "\nwarning: ");
    if (!g->state.halted)
        rollout_say_empty(&g->state, out);
}

static void answer_staged(struct control *c)
{
    struct buf text = {0};
    say_staged(&c->staged, &text);
    control_answer_publisher(c, TICKET_STAGED, c->staged.state.halted ? ERR_STALE : ERR_OK, buf_str(&text));
    buf_fini(&text);
}

void control_staged_stored(struct control *c, enum err outcome)
{
    struct staged_self self = control_staged_self(c);
    struct hash was = c->enforced.hash;
    if (!staged_confirmed(&c->staged, &c->enforced, c->store, outcome, &self, control_wall(c))) {
        control_refuse_publisher(c, TICKET_STAGED, "policy", "bundle", outcome);
        return;
    }
    if (hash_eq(&was, &c->enforced.hash))
        control_enforce(c);
    else /* its twin is gone from force */
        control_changed_policy(c);
    log_info("policy", "version %llu (epoch %llu) is to be rolled out in %zu steps; this host is of step %zu",
             (unsigned long long)c->staged.version, (unsigned long long)c->staged.epoch,
             c->staged.state.rule->step_count, c->staged.state.own_step + 1);
    rejudge_rollout(c);      /* another root may have come while it was being stored */
    control_rollout_step(c); /* it may be our turn */
    answer_staged(c);
}

void control_policy_stored(struct control *c, enum err outcome)
{
    char text[160];
    if (!enforced_confirmed(&c->enforced, outcome, control_wall(c))) {
        tell_trouble(c);
        control_refuse_publisher(c, TICKET_POLICY, "policy", "bundle", outcome);
        return;
    }
    staged_drop_if_past(&c->staged, &c->enforced, c->store);
    control_changed_policy(c); /* the workers have it before the publisher hears of it */
    snprintf(text, sizeof text, "version %llu is in force here and on its way to every agent",
             (unsigned long long)c->enforced.version);
    control_answer_publisher(c, TICKET_POLICY, ERR_OK, text);
}

static enum err offer_policy(struct control *c, struct bytes bundle, struct buf *why)
{
    enum err e = staged_offer(&c->staged, &c->enforced, c->store, root_of(c), bundle, control_wall(c),
                              TICKET_STAGED, why);
    if (e == ERR_NOT_FOUND)
        e = enforced_offer(&c->enforced, c->store, root_of(c), bundle, control_wall(c), TICKET_POLICY, why);
    tell_trouble(c);
    return e;
}

/* What a rollout is to replace, for one who holds nothing, or something older: believed only if it is what the members say that
 * they have in force. Somebody may offer an old version that was halted, validly signed. */
static enum err take_before(struct control *c, struct bytes bundle, const struct bundle *b,
                            struct policy *policy_take, struct buf *why)
{
    struct staged *g = &c->staged;
    bool is_known = c->enforced.policy &&
                    bundle_succeeds(b, c->enforced.epoch, c->enforced.version, &c->enforced.hash) != ERR_OK;
    bool is_base = control_is_base(c, &b->hash);
    if (g->on && g->entered && is_base)
        staged_take_base(g, c->store, b, policy_take, bundle);
    else
        policy_unref(policy_take);
    if (is_known || (g->on && g->entered)) {
        announce_before(c, bundle, &b->hash, b->epoch, b->version); /* to be offered it no more */
        return ERR_EXISTS;
    }
    return is_base ? enforced_offer(&c->enforced, c->store, root_of(c), bundle, control_wall(c),
                                    TICKET_POLICY, why)
                   : ERR_AGAIN;
}

static enum err offer_before(struct control *c, struct bytes bundle, struct buf *why)
{
    struct bundle b;
    struct policy *policy = NULL;
    enum err e = bundle_open(&b, &policy, root_of(c), bundle, NULL);
    if (e == ERR_OK)
        e = bundle_suits(&b, NULL);
    if (e == ERR_OK && c->staged.on &&
        (b.epoch > c->staged.epoch || (b.epoch == c->staged.epoch && b.version >= c->staged.version)))
        e = ERR_STALE;
    if (e == ERR_OK)
        return take_before(c, bundle, &b, policy, why);
    policy_unref(policy);
    return e;
}

/* It came when nobody had it in force any more, and nobody offers it again: but when the members go back to it, it is what they
 * went back to. */
void control_reconsider_before(struct control *c)
{
    struct buf again = {0}, why = {0};
    if (!staged_lacks_base(&c->staged, &c->enforced) || c->staged.before.len == 0 || c->enforced.next.busy ||
        !control_is_base(c, &c->staged.before_hash))
        return;
    buf_add_bytes(&again, buf_bytes(&c->staged.before));
    enum err e = buf_ok(&again) ? offer_before(c, buf_bytes(&again), &why) : ERR_NOMEM;
    log_debug("policy", "what the new version is to replace, looked at again: %s", err_text(e));
    buf_fini(&again);
    buf_fini(&why);
}

/* -- roots ------------------------------------------------------------------------------------- */

void control_announce_roots(struct control *c)
{
    gossip_doc_set(c->gossip, DOC_ROOTS, c->anchor.epoch, c->anchor.count, &c->anchor.hash, c->now);
}

/* A policy that came before its root. */
static void offer_waiting(struct control *c)
{
    struct buf waiting = c->enforced.waiting, why = {0};
    c->enforced.waiting = (struct buf){0};
    if (waiting.len > 0 && offer_policy(c, buf_bytes(&waiting), &why) != ERR_OK)
        log_info("policy", "a policy that waited for a root is not taken: %s", buf_str(&why));
    buf_fini(&waiting);
    buf_fini(&why);
}

void control_roots_stored(struct control *c, enum err outcome)
{
    char text[160];
    uint64_t before = c->anchor.epoch;
    struct trust *fresh = anchor_confirmed(&c->anchor, outcome);
    if (!fresh) {
        control_refuse_publisher(c, TICKET_ROOTS, "trust", "root", outcome);
        control_renewal_roots_stored(c);
        return;
    }
    control_announce_roots(c); /* before anybody falls by it: he is told of it */
    control_take_trust(c, fresh);
    rejudge_policy(c);
    rejudge_rollout(c);
    parts_rejudge(&c->parts, c->store, root_of(c), TICKET_NONE);
    control_rejudge_overlay(c);
    control_announce_parts(c);
    control_compose(c);
    control_announce_overlay(c);
    c->own_dirty = c->view_dirty = true;
    control_publish_view(c);
    if (c->anchor.epoch != before)
        log_info("trust", "the root of epoch %llu is in force", (unsigned long long)c->anchor.epoch);
    offer_waiting(c);
    control_offer_waiting_overlay(c);
    snprintf(text, sizeof text, "the root of epoch %llu is in force here and on its way to every agent",
             (unsigned long long)c->anchor.epoch);
    control_answer_publisher(c, TICKET_ROOTS, ERR_OK, text);
    control_renewal_roots_stored(c);
}

/* -- where they come from ---------------------------------------------------------------------- */

/* By what it says it is: roots, parts, overlays, and whatever else as a policy, whose slot says what is wrong with it. */
static enum ticket kind_of(struct bytes document)
{
    struct envelope e;
    if (envelope_parse(&e, document) != ERR_OK)
        return TICKET_POLICY;
    if (bytes_eq_str(e.type, ENVELOPE_OVERLAY) || envelope_is_newer(e.type, ENVELOPE_OVERLAY))
        return TICKET_OVERLAY;
    return bytes_eq_str(e.type, ENVELOPE_ROOT) || envelope_is_newer(e.type, ENVELOPE_ROOT)   ? TICKET_ROOTS
           : bytes_eq_str(e.type, ENVELOPE_PART) || envelope_is_newer(e.type, ENVELOPE_PART) ? TICKET_PARTS
                                                                                             : TICKET_POLICY;
}

static enum err offer_by_hand(struct control *c, enum ticket kind, struct bytes document, struct buf *why)
{
    if (kind == TICKET_ROOTS)
        return anchor_offer_root(&c->anchor, c->store, c->identity.trust, document, TICKET_ROOTS, why);
    if (kind == TICKET_POLICY)
        return offer_policy(c, document, why);
    enum err e = kind == TICKET_OVERLAY ? control_offer_overlay(c, document, OVERLAID_BY_HAND, why)
                                        : offer_parts(c, document, why);
    return e == ERR_EXISTS ? ERR_STALE : e; /* or a higher one is held: no success */
}

void control_publish(struct control *c, struct bytes document, void (*done)(void *, enum err, const char *),
                     void *arg)
{
    struct buf why = {0};
    enum ticket kind = kind_of(document);
    enum err e = c->publisher.done ? ERR_AGAIN : offer_by_hand(c, kind, document, &why);
    if (e == ERR_OK)
        c->publisher = (struct publisher){kind == TICKET_POLICY && c->staged.next.busy ? TICKET_STAGED : kind,
                                          done, arg};
    else
        done(arg, e, why.len ? buf_str(&why) : "something else is just being published; try again");
    buf_fini(&why);
}

static enum err offer(struct control *c, const struct gossip_event *ev, struct buf *why)
{
    switch (ev->doc_kind) {
    case DOC_POLICY: {
        enum err e = offer_policy(c, ev->doc, why);
        if (e == ERR_DENIED || e == ERR_EXPIRED)
            enforced_wait(&c->enforced, ev->doc);
        return e;
    }
    case DOC_BEFORE:
        return offer_before(c, ev->doc, why);
    case DOC_ROOTS:
        return anchor_offer(&c->anchor, c->store, c->identity.trust, ev->doc, TICKET_ROOTS, why);
    case DOC_PARTS:
        return offer_parts(c, ev->doc, why);
    case DOC_OVERLAY:
        return control_offer_overlay(c, ev->doc, OVERLAID_BY_GOSSIP, why);
    default:
        return ERR_UNSUPPORTED;
    }
}

void control_document_received(struct control *c, const struct gossip_event *ev)
{
    struct buf why = {0};
    char id[NODE_ID_TEXT_MAX];
    enum err e = offer(c, ev, &why);
    if (e != ERR_OK && e != ERR_EXISTS && e != ERR_AGAIN)
        log_warn(ev->doc_kind == DOC_ROOTS     ? "trust"
                 : ev->doc_kind == DOC_OVERLAY ? "audit"
                                               : "policy",
                 "a %s from %s is refused: %s",
                 ev->doc_kind == DOC_ROOTS     ? "chain of roots"
                 : ev->doc_kind == DOC_PARTS   ? "part of the policy"
                 : ev->doc_kind == DOC_OVERLAY ? "break-glass overlay"
                                               : "policy",
                 node_id_text(&ev->id, id), why.len ? buf_str(&why) : err_text(e));
    buf_fini(&why);
}
