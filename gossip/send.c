/* send.c: datagrams out. Each is made when it is polled: pings and acks first, then, while the byte budget
 * lasts, records that were asked for, questions for records, and fresh rumors.
 *
 * Eager push: a fresh rumor leaves at once to eager_fanout members of a random circle (circle.h), who do the same on first receipt;
 * all rumors that are fresh in one turn share packets. While a record is young (fewer than a quarter of the
 * members can have it) it travels whole; later most receivers have it already, so only a notice of its number
 * travels and who lacks it asks. That keeps the whole records sent near one per member instead of one per
 * push (the eager/lazy split of Plumtree, Leitao et al. 2007). Random pushes by four miss about e^-4 of the
 * members, so WAVE_MS later each pushes a notice to whoever comes after it on each of WAVE_FANOUT rings (watch.h). A member
 * is missed by that only if all that come before it on the rings were missed too: e^-16 of the members, where as
 * many random pushes would miss e^-7. Besides, pings and acks carry
 * rumors until each has been sent lambda log n times (SWIM section 4.1). */
#include "gossip/core.h"

#include <assert.h>
#include <stdlib.h>

enum { PACKET_RUMORS_MAX = 64 };

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

/* While acks have to wait for the budget, who asks and asks is not to keep those of others waiting. */
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

/* What is to be told. */

static uint32_t ceil_log10(uint64_t n)
{
    uint32_t log = 0;
    for (uint64_t p = 1; p < n; p *= 10)
        log++;
    return log;
}

uint8_t send_limit(const struct gossip *g)
{
    uint32_t limit = g->cfg.retransmit_mult * ceil_log10((uint64_t)live_count(g) + 1);
    if (limit < g->cfg.eager_fanout)
        limit = g->cfg.eager_fanout;
    return (uint8_t)(limit < RUMOR_SENDS_MAX ? limit : RUMOR_SENDS_MAX);
}

/* It owes pushes from now on, but not more than there are others. */
static void make_eager(struct gossip *g, struct rumor *r, uint32_t eager)
{
    if (g->cfg.without & GOSSIP_EAGER)
        eager = 0;
    uint32_t others = g->members.by_state[GOSSIP_ALIVE] - (g->self && g->self->state == GOSSIP_ALIVE);
    rumors_eager(&g->rumors, r, (uint8_t)(eager < others ? eager : others));
    r->owes_wave = eager > 0 && others > eager && !(r->class == RUMORS_OPINION && are_many_silent(g));
    if (r->owes_wave && g->wave_at == NEVER)
        g->wave_at = g->now + WAVE_MS;
}

void send_tell(struct gossip *g, enum rumor_class class, struct member *m, struct member *source,
               const struct node_id *accuser, uint8_t hops, uint8_t eager)
{
    if (class == RUMORS_RECORD && m->state == GOSSIP_LEFT)
        class = RUMORS_LEAVE;
    struct member_busy *busy = member_busy(m);
    struct rumor *r =
        busy ? rumors_put(&g->rumors, class, class == RUMORS_OPINION ? &busy->opinion : &busy->fresh) : NULL;
    if (!r)
        return; /* anti-entropy tells it */
    r->subject = m;
    r->source = source;
    r->hops = hops;
    if (accuser)
        r->accuser = *accuser;
    /* Hundreds of fresh records are a join or a merge: syncs carry them better than pushes would. */
    bool is_flood = class == RUMORS_RECORD && g->rumors.eager_count >= NEWS_FLOOD && m != g->self;
    make_eager(g, r, is_flood ? 0 : eager);
    g->agreements = class >= RUMORS_LEAVE ? 0 : g->agreements;
}

void send_retract(struct gossip *g)
{
    for (struct rumor *r; (r = rumors_first(&g->rumors, RUMORS_OPINION));)
        rumors_drop(&g->rumors, r);
}

void send_hush(struct gossip *g)
{
    struct rumor *r, *next;
    for (int c = RUMORS_LEAVE; c <= RUMORS_RECORD; c++)
        for (r = rumors_first(&g->rumors, (enum rumor_class)c); r; r = next) {
            next = rumors_next(&g->rumors, r);
            if (r->eager_left == 0 && !r->owes_wave)
                rumors_drop(&g->rumors, r);
        }
}

void send_tell_doc(struct gossip *g, struct doc_kind *k)
{
    struct rumor *r = rumors_put(&g->rumors, RUMORS_DOC, &k->rumor);
    if (!r)
        return;
    r->doc_kind = k->kind;
    r->source = NULL;
    make_eager(g, r, g->cfg.eager_fanout);
}

void send_wave(struct gossip *g)
{
    if (g->now < g->wave_at)
        return;
    g->wave_at = NEVER;
    for (int c = 0; c < RUMOR_CLASSES; c++)
        for (struct rumor *r = rumors_first(&g->rumors, (enum rumor_class)c); r;
             r = rumors_next(&g->rumors, r)) {
            if (!r->owes_wave)
                continue;
            r->owes_wave = false;
            r->is_wave = true;
            r->hops = UINT8_MAX; /* not young any more */
            rumors_eager(&g->rumors, r, WAVE_FANOUT);
        }
}

/* Rumors into packets. */

static bool is_young(const struct gossip *g, uint8_t hops)
{
    uint64_t reached = 4;
    for (uint8_t i = 0; i < hops && reached <= GOSSIP_MEMBERS_MAX; i++)
        reached *= 4;
    return hops == 0 || reached <= live_count(g);
}

static size_t room(const struct wr *w)
{
    return (size_t)(w->end - w->at);
}

/* The newest version that both speak, by what the other has signed. */
static uint8_t version_for(const struct gossip *g, const struct member *to)
{
    uint8_t theirs = member_protocol(to);
    return theirs < g->cfg.protocol ? theirs : g->cfg.protocol;
}

/* `layout`: the version to say it in. */
static struct rumor_item opinion_of(const struct member *m, const struct node_id *accuser,
                                    enum opinion_reason reason, uint8_t layout)
{
    return (struct rumor_item){.layout = layout,
                               .type = m->state == GOSSIP_DEAD ? RUMOR_DEAD : RUMOR_SUSPECT,
                               .subject = *member_id(m),
                               .accuser = *accuser,
                               .incarnation = member_incarnation(m),
                               .version = member_version(m),
                               .reason = reason};
}

static struct rumor_item record_of(const struct member *m, uint8_t hops)
{
    return (struct rumor_item){.type = RUMOR_RECORD, .hops = hops, .record = record_blob_bytes(m->record)};
}

static struct rumor_item notice_of(const struct member *m, uint8_t hops)
{
    return (struct rumor_item){.type = RUMOR_NOTICE,
                               .hops = hops,
                               .subject = *member_id(m),
                               .incarnation = member_incarnation(m),
                               .version = member_version(m),
                               .hash = m->record->hash,
                               .record_bytes = (uint16_t)m->record->len};
}

/* Who is told of it is to have the proof too, and asks for it. */
static void rival_tell(struct wr *w, const struct member *m)
{
    if (!m->busy || !m->busy->rival || room(w) < NOTICE_BYTES)
        return;
    struct rumor_item i = notice_of(m, UINT8_MAX);
    i.hash = m->busy->rival->hash;
    i.record_bytes = (uint16_t)m->busy->rival->len;
    rumor_item_encode(w, &i);
}

static bool record_tell(const struct gossip *g, struct wr *w, const struct rumor *r, bool eager)
{
    const struct member *m = r->subject;
    size_t whole = 4 + (size_t)m->record->len, empty = g->cfg.packet_bytes_max - MESSAGE_HEADER;
    bool wants_whole =
        m->record->len <= RECORD_INLINE_MAX || (eager && (is_young(g, r->hops) || m->state == GOSSIP_LEFT));
    if (wants_whole && whole <= empty) {
        struct rumor_item i = record_of(m, r->hops);
        if (whole <= room(w)) {
            rumor_item_encode(w, &i);
            rival_tell(w, m);
            return true;
        }
        if (eager)
            return false; /* the next packet has room */
    }
    if (room(w) < NOTICE_BYTES)
        return false;
    struct rumor_item i = notice_of(m, r->hops);
    rumor_item_encode(w, &i);
    rival_tell(w, m);
    return true;
}

static struct rumor_item doc_of(const struct gossip *g, uint8_t kind)
{
    struct rumor_item i = {.type = RUMOR_DOC};
    for (uint32_t k = 0; k < g->doc_kind_count; k++)
        if (g->doc_kinds[k].kind == kind)
            i.doc = g->doc_kinds[k].held;
    return i;
}

static bool doc_tell(const struct gossip *g, struct wr *w, const struct rumor *r)
{
    struct rumor_item i = doc_of(g, r->doc_kind);
    if (room(w) < DOC_RUMOR_BYTES)
        return false;
    rumor_item_encode(w, &i);
    return true;
}

/* Version 1 has no such thing; to its speakers nothing is said. */
static bool hint_tell(struct wr *w, const struct rumor *r, uint8_t layout)
{
    struct rumor_item item = opinion_of(r->subject, &r->accuser, REASON_DEGRADED, layout);
    if (room(w) < OPINION_BYTES)
        return false;
    if (layout >= 2 && item.type == RUMOR_SUSPECT)
        rumor_item_encode(w, &item);
    return true;
}

/* Its accuser's word, and that of each whose dial was refused. */
static bool opinion_tell(const struct gossip *g, struct wr *w, const struct rumor *r, uint8_t layout)
{
    if (r->is_hint)
        return hint_tell(w, r, layout);
    const struct suspicion *s = member_suspicion(r->subject);
    bool is_ours = is_self(g, &r->accuser), is_among = false;
    if (room(w) < OPINION_BYTES * (1u + (s ? s->refusers : 0)))
        return false;
    for (int i = 0; s && i < s->refusers; i++) {
        struct rumor_item item = opinion_of(r->subject, &s->refuser[i], REASON_REFUSED, layout);
        rumor_item_encode(w, &item);
        is_among |= node_id_eq(&s->refuser[i], &r->accuser);
    }
    if (is_among)
        return true;
    bool is_refused = r->is_refused || (is_ours && s && s->is_refused);
    struct rumor_item item =
        opinion_of(r->subject, &r->accuser, is_refused ? REASON_REFUSED : REASON_SILENT, layout);
    rumor_item_encode(w, &item);
    return true;
}

/* False: no room for it in this packet. */
static bool tell(const struct gossip *g, struct wr *w, const struct rumor *r, uint8_t layout, bool eager)
{
    if (r->class >= RUMORS_LEAVE)
        return record_tell(g, w, r, eager);
    return r->class == RUMORS_DOC ? doc_tell(g, w, r) : opinion_tell(g, w, r, layout);
}

/* As in SWIM, where who is suspected hears it as anybody does. */
static bool tells_suspect_too(const struct gossip *g)
{
    return is_credulous(g) && g->cfg.without & GOSSIP_TELL_SUSPECT;
}

static bool is_for(const struct gossip *g, const struct rumor *r, const struct member *to)
{
    bool is_heard = r->class == RUMORS_OPINION && tells_suspect_too(g);
    return r->source != to && (r->subject != to || is_heard);
}

static struct rumor *next_for(const struct gossip *g, int class, struct rumor *r, const struct member *to,
                              bool eager)
{
    if (eager)
        r = r ? TAILQ_NEXT(r, eager) : TAILQ_FIRST(&g->rumors.eager[class]);
    else
        r = r ? rumors_next(&g->rumors, r) : rumors_first(&g->rumors, (enum rumor_class) class);
    while (r && !is_for(g, r, to))
        r = eager ? TAILQ_NEXT(r, eager) : rumors_next(&g->rumors, r);
    return r;
}

/* Appends rumors for `to`, one of each of the first `classes` in turn, until nothing more fits. Returns how many. */
static uint32_t tell_rumors(struct gossip *g, struct wr *w, const struct member *to, int classes, bool eager)
{
    struct rumor *told[PACKET_RUMORS_MAX], *at[RUMOR_CLASSES];
    uint32_t count = 0;
    for (int c = 0; c < classes; c++)
        at[c] = c == RUMORS_OPINION && is_cut_off(g) ? NULL : next_for(g, c, NULL, to, eager);
    for (bool more = true; more;) {
        more = false;
        for (int c = 0; c < classes; c++) {
            if (!at[c] || count == PACKET_RUMORS_MAX)
                continue;
            if (!tell(g, w, at[c], version_for(g, to), eager)) {
                at[c] = NULL;
                continue;
            }
            told[count++] = at[c];
            at[c] = next_for(g, c, at[c], to, eager);
            more = true;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        rumors_sent(&g->rumors, told[i], eager, send_limit(g));
    return count;
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
        .type = type[o->type], .version = version_for(g, o->to), .nonce = o->nonce, .ms = o->ms};
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

/* Pushes go in the millisecond in which there is budget again, so in a flood of news probes and acks would carry nothing to whom all
 * pushes missed. Good-byes and records are found by their summary; opinions by nothing else, so they, and documents, have a share that
 * pushes cannot use up. */
static void tell_along(struct gossip *g, struct wr *w, const struct member *to)
{
    bool is_flood = !budget_has(&g->budget);
    size_t before = room(w);
    budget_refill(&g->ride_share, g->now);
    if (is_flood && !budget_has(&g->ride_share))
        return;
    tell_rumors(g, w, to, is_flood ? RUMORS_LEAVE : RUMOR_CLASSES, false);
    budget_spend(&g->ride_share, before - room(w));
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
        4 + g->self->record->len <= room(&w)) {
        struct rumor_item i = record_of(g->self, UINT8_MAX);
        rumor_item_encode(&w, &i);
    }
    /* Lifeguard, Buddy System: the suspect is told first, so that it can refute. */
    if (!(g->cfg.without & GOSSIP_TELL_SUSPECT) && room(&w) >= OPINION_BYTES &&
        ((o.to->state == GOSSIP_SUSPECT && !member_suspicion(o.to)->is_unsure) ||
         o.to->state == GOSSIP_DEAD)) {
        struct rumor_item i = opinion_of(o.to, accuser_of(g, o.to), REASON_SILENT, d.version);
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
        return doc_of(g, o->doc_kind);
    if (o->is_rival && o->about->busy && o->about->busy->rival)
        return (struct rumor_item){
            .type = RUMOR_RECORD, .hops = o->hops, .record = record_blob_bytes(o->about->busy->rival)};
    if (o->type == OUT_WORD)
        return opinion_of(o->about, &g->cfg.self, REASON_SILENT, version_for(g, o->to));
    return o->type == OUT_WARNING
               ? opinion_of(o->to, member_id(o->about), REASON_SILENT, version_for(g, o->to))
               : record_of(o->about, o->hops);
}

static size_t answer_bytes(const struct rumor_item *i)
{
    if (i->type == RUMOR_DOC)
        return DOC_RUMOR_BYTES;
    return i->type == RUMOR_RECORD ? 4 + i->record.len : OPINION_BYTES;
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
        if (room(&w) < answer_bytes(&i))
            continue; /* grew since it was announced: they hear of it again, with its new size */
        rumor_item_encode(&w, &i);
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
        struct datagram d = {.type = MSG_PUSH, .version = version_for(g, to)};
        datagram_encode(&w, &d);
        if (!apply_addr(g, to, &addr) || tell_rumors(g, &w, to, RUMOR_CLASSES, true) == 0) {
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
    return g->answers.count > 0 || g->range_count > 0 || rumors_is_eager(&g->rumors);
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
    return poll_answer(g, out) || wants_poll(g, out) || range_poll(g, out) || poll_eager(g, out);
}
