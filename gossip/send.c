/* send.c: datagrams out. Each is made when it is polled: pings and acks first, then, while the byte budget
 * lasts, pings to the silent, records that were asked for, questions for records, and fresh rumors. */
#include "gossip/core.h"

#include <assert.h>
#include <stdlib.h>

bool outbox_put(struct outbox *o, const struct out *item)
{
    if (o->count == OUTBOX_MAX)
        return false;
    if (o->count == o->cap) {
        uint32_t cap = o->cap ? o->cap * 2 : 8;
        struct out *ring = malloc(cap * sizeof *ring);
        if (!ring)
            return false;
        for (uint32_t i = 0; i < o->count; i++)
            ring[i] = o->ring[(o->head + i) % o->cap];
        free(o->ring);
        o->ring = ring;
        o->cap = cap;
        o->head = 0;
    }
    o->ring[(o->head + o->count++) % o->cap] = *item;
    return true;
}

static bool outbox_take(struct outbox *o, struct out *out)
{
    if (o->count == 0)
        return false;
    *out = o->ring[o->head];
    o->head = (o->head + 1) % o->cap;
    o->count--;
    return true;
}

void outbox_forget(struct outbox *o, const struct member *m)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < o->count; i++) {
        struct out item = o->ring[(o->head + i) % o->cap];
        if (item.to != m && item.about != m)
            o->ring[(o->head + kept++) % o->cap] = item;
    }
    o->count = kept;
}

/* While acks wait for the budget, one member that asks over and over must not delay the acks to others. */
static bool is_pushing_in(const struct gossip *g, const struct out *item)
{
    uint32_t waiting = 0;
    if (item->type != OUT_ACK || g->held_up_since == NEVER)
        return false;
    for (uint32_t i = 0; i < g->urgent.count; i++) {
        const struct out *o = &g->urgent.ring[(g->urgent.head + i) % g->urgent.cap];
        waiting += o->type == OUT_ACK && o->to == item->to;
    }
    return waiting >= ACKS_WAITING_MAX;
}

void send_urgent(struct gossip *g, const struct out *item)
{
    struct out o = *item;
    o.since = g->now;
    if (!is_pushing_in(g, item))
        outbox_put(&g->urgent, &o);
}

/* Packets. */

void send_deliver(struct gossip *g, struct gossip_packet *out, const struct member *to,
                  const struct addr *addr, struct wr *w)
{
    assert(wr_ok(w));
    *out = (struct gossip_packet){
        .lane = GOSSIP_DATAGRAM, .to = *member_id(to), .addr = *addr, .msg = wr_done(w)};
    budget_spend(&g->budget, out->msg.len);
    g->stats.datagrams_sent++;
    g->stats.datagram_bytes_sent += out->msg.len;
}

static struct datagram head_of(struct gossip *g, const struct out *o)
{
    static const enum message_type type[] = {
        [OUT_PING] = MSG_PING,         [OUT_ACK] = MSG_ACK,
        [OUT_PING_REQ] = MSG_PING_REQ, [OUT_RELAYED_ACK] = MSG_RELAYED_ACK,
        [OUT_NACK] = MSG_NACK,         [OUT_RECORD] = MSG_PUSH,
        [OUT_DOC] = MSG_PUSH,          [OUT_WARNING] = MSG_PUSH,
        [OUT_WORD] = MSG_PUSH};
    struct datagram d = {
        .type = type[o->type], .version = tell_version(g, o->to), .nonce = o->nonce, .ms = o->ms};
    if (o->type == OUT_PING || o->type == OUT_ACK)
        d.summary = bulk_summary(g, o->nonce);
    if (o->about)
        d.target = *member_id(o->about);
    if (o->type == OUT_ACK)
        d.coordinate = coordinate_say(&g->coordinate);
    return d;
}

static void note_ping(struct gossip *g, uint64_t nonce)
{
    struct probe *p = probes_find(&g->probes, nonce);
    if (!p || p->sent_us != 0)
        return;
    p->sent_us = locate_now_us(g);
    p->sent_at = g->now;
}

/* Who does not hold our record yet cannot answer. Anything it ever sent us shows that it does. */
static bool needs_introduction(const struct gossip *g, const struct member *m)
{
    return !(m->flags & MEMBER_KNOWS_US) &&
           (g->now - g->own_set_at < INTRODUCE_MS ||
            (m->state == GOSSIP_ALIVE && (int64_t)g->now - m->since < INTRODUCE_MS));
}

static enum gossip_expects expects_of(const struct out *o)
{
    if (o->type != OUT_PING)
        return o->type == OUT_PING_REQ ? GOSSIP_ANSWER : GOSSIP_NO_ANSWER;
    return o->is_overdue || o->to->state != GOSSIP_ALIVE ? GOSSIP_ANSWER_OVERDUE : GOSSIP_ANSWER;
}

void send_held_up(struct gossip *g)
{
    if (g->held_up_since == NEVER || g->held_up_since >= g->now)
        return;
    uint32_t ms = (uint32_t)(g->now - g->held_up_since);
    g->held_up_since = g->now;
    probes_delay(&g->probes, ms);
    relays_delay(&g->relays, ms);
}

/* An answer for which nobody waits any more would only keep those back that come after it. */
static bool is_too_late(const struct gossip *g, const struct out *o)
{
    bool is_answer = o->type == OUT_ACK || o->type == OUT_RELAYED_ACK || o->type == OUT_NACK;
    return is_answer && g->now - o->since > g->cfg.probe_timeout_ms;
}

/* Until a look of ours has failed too it is the word of another. */
static const struct node_id *accuser_of(const struct gossip *g, const struct member *m)
{
    const struct suspicion *s = member_suspicion(m);
    return s && !s->is_own && s->accusers > 0 ? &s->accuser[0] : &g->cfg.self;
}

/* False: there is none that may go. */
static bool take_urgent(struct gossip *g, struct out *o)
{
    bool is_allowed = budget_may_owe(&g->budget);
    while (is_allowed && outbox_take(&g->urgent, o))
        if (!is_too_late(g, o))
            return true;
    send_held_up(g);
    if (g->urgent.count == 0)
        g->held_up_since = NEVER;
    else if (g->held_up_since == NEVER)
        g->held_up_since = g->now;
    return false;
}

/* Pushes use up the budget as soon as there is some, so in a flood of news probes and acks would carry nothing to those whom the
 * pushes missed. Good-byes and records are found by their summary too. Opinions are not; so they, and documents, have a share that
 * pushes cannot use up. */
static void tell_along(struct gossip *g, struct wr *w, const struct member *to)
{
    bool is_flood = !budget_has(&g->budget);
    size_t before = wr_left(w);
    budget_refill(&g->ride_share, g->now);
    if (is_flood && !budget_has(&g->ride_share))
        return;
    tell_pack(g, w, to, is_flood ? RUMORS_LEAVE : RUMOR_CLASSES, false);
    budget_spend(&g->ride_share, before - wr_left(w));
}

/* When halves meet, their answers show that they live. A refutation would be a new record of each, to everybody. Who comes back alone,
 * while many are gone for good, is told all the same. */
static bool is_one_of_many(struct gossip *g, const struct member *dead)
{
    return g->members.by_state[GOSSIP_DEAD] > DEAD_TOLD_MAX && degrade_many_silent(g) && !is_credulous(g) &&
           retry_died_with(g, dead, DEAD_TOLD_MAX);
}

/* Lifeguard IV-C, Buddy System: the suspect is told first, so that it can refute; and so are the dead. */
static bool tells_opinion(struct gossip *g, const struct member *to)
{
    if (g->cfg.without & GOSSIP_TELL_SUSPECT)
        return false;
    return to->state == GOSSIP_SUSPECT ? !member_suspicion(to)->is_unsure
                                       : to->state == GOSSIP_DEAD && !is_one_of_many(g, to);
}

static bool poll_urgent(struct gossip *g, struct gossip_packet *out)
{
    struct out o;
    if (!take_urgent(g, &o))
        return false;
    struct wr w = wr_init(g->packet, g->cfg.packet_bytes_max);
    struct datagram d = head_of(g, &o);
    datagram_encode(&w, &d);
    if (o.type == OUT_PING)
        note_ping(g, o.nonce);
    if (o.type == OUT_PING && budget_has(&g->budget) && needs_introduction(g, o.to) &&
        4 + g->self->record->len <= wr_left(&w)) {
        struct rumor_item i = item_of_record(g->self, UINT8_MAX);
        rumor_item_encode(&w, &i);
    }
    if (tells_opinion(g, o.to) && wr_left(&w) >= OPINION_BYTES) {
        struct rumor_item i = item_of_opinion(o.to, accuser_of(g, o.to), REASON_SILENT, d.version);
        rumor_item_encode(&w, &i);
    }
    /* Who is suspected is likely to hear nothing: rumors told to it would be spent for nothing. */
    bool is_listening =
        o.to->state == GOSSIP_ALIVE || (o.to->state == GOSSIP_SUSPECT && tells_suspect_too(g));
    if (is_listening)
        tell_along(g, &w, o.to);
    send_deliver(g, out, o.to, &o.via, &w);
    out->expects = expects_of(&o);
    return true;
}

static struct rumor_item answer_of(const struct gossip *g, const struct out *o)
{
    if (o->type == OUT_DOC)
        return item_of_doc(g, o->doc_kind);
    if (o->is_rival && o->about->busy && o->about->busy->rival)
        return (struct rumor_item){
            .type = RUMOR_RECORD, .hops = o->hops, .record = record_blob_bytes(o->about->busy->rival)};
    if (o->type == OUT_WORD)
        return item_of_opinion(o->about, &g->cfg.self, REASON_SILENT, tell_version(g, o->to));
    return o->type == OUT_WARNING
               ? item_of_opinion(o->to, member_id(o->about), REASON_SILENT, tell_version(g, o->to))
               : item_of_record(o->about, o->hops);
}

static size_t answer_bytes(const struct rumor_item *i)
{
    if (i->type == RUMOR_DOC)
        return DOC_RUMOR_BYTES;
    return i->type == RUMOR_RECORD ? 4 + i->record.len : OPINION_BYTES;
}

/* Both are records for one member; whether its own matters to what becomes of the packet. */
static bool is_along(const struct out *o, const struct out *first)
{
    return o->type == OUT_RECORD && first->type == OUT_RECORD && o->to == first->to &&
           (o->about == o->to) == (first->about == first->to) && addr_eq(&o->via, &first->via);
}

/* What is next in line for the same member. */
static void answer_along(struct gossip *g, struct wr *w, const struct out *first)
{
    struct out next;
    while (g->answers.count > 0 && is_along(&g->answers.ring[g->answers.head], first)) {
        struct rumor_item i = answer_of(g, &g->answers.ring[g->answers.head]);
        if (wr_left(w) < answer_bytes(&i))
            return;
        outbox_take(&g->answers, &next);
        rumor_item_encode(w, &i);
    }
}

static bool poll_answer(struct gossip *g, struct gossip_packet *out)
{
    struct out o;
    while (outbox_take(&g->answers, &o)) {
        if (o.type == OUT_WORD && o.about->state != GOSSIP_SUSPECT && o.about->state != GOSSIP_DEAD)
            continue; /* it answers again */
        struct wr w = wr_init(g->packet, g->cfg.packet_bytes_max);
        struct datagram d = head_of(g, &o);
        struct rumor_item i = answer_of(g, &o);
        datagram_encode(&w, &d);
        if (wr_left(&w) < answer_bytes(&i))
            continue; /* grew since it was announced: they hear of it again, with its new size */
        rumor_item_encode(&w, &i);
        answer_along(g, &w, &o);
        send_deliver(g, out, o.to, &o.via, &w);
        if (o.type == OUT_RECORD &&
            o.to == o.about) /* of the two with its key, the session may be the other's */
            out->expects = GOSSIP_ANSWER_OVERDUE;
        return true;
    }
    return false;
}

/* Nobody to push to: pings and syncs will tell it later. */
static void give_up_eager(struct gossip *g)
{
    for (int c = 0; c < RUMOR_CLASSES; c++)
        for (struct rumor *r; (r = TAILQ_FIRST(&g->rumors.eager[c]));)
            rumors_eager(&g->rumors, r, 0);
}

static void pay_unwanted(struct gossip *g)
{
    for (int c = 0; c < RUMOR_CLASSES; c++) {
        struct rumor *r = TAILQ_FIRST(&g->rumors.eager[c]);
        if (r)
            rumors_eager(&g->rumors, r, (uint8_t)(r->eager_left - 1));
    }
}

static const struct rumor *first_eager(const struct gossip *g)
{
    for (int c = 0; c < RUMOR_CLASSES; c++)
        if (!TAILQ_EMPTY(&g->rumors.eager[c]))
            return TAILQ_FIRST(&g->rumors.eager[c]);
    return NULL;
}

static struct member *push_to(struct gossip *g, const struct rumor *first)
{
    struct member *to = first->is_wave ? g->watch.ring[first->eager_left % WATCH_RINGS].subject : NULL;
    if (!to &&
        g->members.by_state[GOSSIP_ALIVE] > CIRCLE_MAX + 1) /* not only ourselves and a circle of all */
        to = circle_pick(&g->circle, &g->members, g->self, g->now);
    if (to)
        return to;
    const struct member * not [] = {g->self, g->pushed_last};
    to = members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, 2);
    if (!to && g->pushed_last && g->pushed_last->state == GOSSIP_ALIVE)
        to = g->pushed_last; /* the only one there is */
    g->pushed_last = to;
    return to;
}

static bool poll_eager(struct gossip *g, struct gossip_packet *out)
{
    const struct rumor *first;
    while ((first = first_eager(g))) {
        struct addr addr;
        struct member *to = push_to(g, first);
        if (!to) {
            give_up_eager(g);
            return false;
        }
        struct wr w = wr_init(g->packet, g->cfg.packet_bytes_max);
        struct datagram d = {.type = MSG_PUSH, .version = tell_version(g, to)};
        datagram_encode(&w, &d);
        if (!apply_addr(g, to, &addr) || tell_pack(g, &w, to, RUMOR_CLASSES, true) == 0) {
            pay_unwanted(g); /* so that this ends, even if the only member told us itself */
            continue;
        }
        send_deliver(g, out, to, &addr, &w);
        return true;
    }
    return false;
}

static bool is_waiting(const struct gossip *g)
{
    return g->answers.count > 0 || g->range_count > 0 || retry_is_waiting(g) || rumors_is_eager(&g->rumors);
}

mono_ms send_deadline(const struct gossip *g)
{
    mono_ms at = g->urgent.count > 0 && !budget_may_owe(&g->budget) ? budget_may_owe_at(&g->budget) : NEVER;
    return is_waiting(g) && !budget_has(&g->budget) ? mono_min(at, budget_ready_at(&g->budget)) : at;
}

bool send_poll(struct gossip *g, struct gossip_packet *out)
{
    budget_refill(&g->budget, g->now);
    if (poll_urgent(g, out))
        return true;
    if (!budget_has(&g->budget)) {
        g->stats.budget_deferred += is_waiting(g);
        return false;
    }
    if (retry_next(g) && poll_urgent(g, out))
        return true;
    return poll_answer(g, out) || wants_poll(g, out) || range_poll(g, out) || poll_eager(g, out);
}
