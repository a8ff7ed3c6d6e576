/* receive.c: datagrams in, from members whose record we hold. A message is decoded whole before any of it is
 * applied. */
#include "gossip/core.h"

/* It asks again because the answer waits for the byte budget. */
static bool is_answer_waiting(const struct gossip *g, const struct member *to, const struct member *about)
{
    for (uint32_t i = 0; i < g->answers.count; i++) {
        const struct out *o = &g->answers.ring[(g->answers.head + i) % g->answers.cap];
        if (o->type == OUT_RECORD && !o->is_rival && o->to == to && o->about == about)
            return true;
    }
    return false;
}

static void answer_record(struct gossip *g, struct member *to, const struct addr *via, struct member *about)
{
    if (is_answer_waiting(g, to, about))
        return;
    uint8_t hops = member_fresh(about) ? member_fresh(about)->hops : UINT8_MAX;
    outbox_put(&g->answers,
               &(struct out){.type = OUT_RECORD, .to = to, .about = about, .via = *via, .hops = hops});
}

/* Where answers to a member go: whence its datagram came, as the channel proved it, never an address inside a
 * message (memberlist#371); only if we may dial it at all. */
static bool answer_addr(const struct gossip *g, const struct member *m, const struct addr *via,
                        struct addr *out)
{
    *out = *via;
    return apply_may_dial(g, via) || apply_addr(g, m, out);
}

static void on_notice(struct gossip *g, struct member *from, const struct addr *via,
                      const struct rumor_item *i)
{
    if (is_self(g, &i->subject)) {
        int newer = g->self ? member_cmp(g->self, i->incarnation, i->version) : 0;
        bool is_rival = g->self && newer == 0 && !hash_eq(&g->self->record->hash, &i->hash);
        if (newer > 0 || (is_rival && !(g->self->flags & MEMBER_EQUIVOCAL)))
            wants_add(g, from, i); /* see it before believing it */
        return;
    }
    struct member *m = members_find(&g->members, &i->subject);
    int newer = m ? member_cmp(m, i->incarnation, i->version) : 1;
    if (newer > 0) {
        wants_add(g, from, i);
    } else if (newer == 0 && !hash_eq(&m->record->hash, &i->hash)) {
        /* Equivocation: the smaller hash wins. Fetch the other at least once, as proof. */
        if (memcmp(i->hash.b, m->record->hash.b, HASH_BYTES) < 0 || !(m->flags & MEMBER_EQUIVOCAL))
            wants_add(g, from, i);
        if (memcmp(i->hash.b, m->record->hash.b, HASH_BYTES) > 0)
            answer_record(g, from, via, m);
    }
}

static void on_rumor(struct gossip *g, struct member *from, const struct addr *via,
                     const struct rumor_item *i)
{
    struct news news = {
        .source = from, .origin = FROM_DATAGRAM, .hops = (uint8_t)(i->hops + (i->hops < UINT8_MAX))};
    struct member *m;
    enum err e;
    switch (i->type) {
    case RUMOR_RECORD:
        e = apply_record(g, i->record, &news, &m);
        (void)e; /* refused ones are counted where they are refused */
        break;
    case RUMOR_NOTICE:
        on_notice(g, from, via, i);
        break;
    case RUMOR_SUSPECT:
    case RUMOR_DEAD:
        opinion_heard(g, i, from);
        break;
    case RUMOR_DOC:
        docs_offered(g, from, &i->doc);
        break;
    }
}

static void on_ping(struct gossip *g, struct member *from, const struct addr *via, const struct datagram *d)
{
    uint16_t turn_ms = (uint16_t)turns_after(g, from);
    send_urgent(g, &(struct out){.type = OUT_ACK, .to = from, .via = *via, .nonce = d->nonce, .ms = turn_ms});
    bulk_compare(g, from, d->nonce, &d->summary);
}

static void on_ack(struct gossip *g, struct member *from, const struct datagram *d)
{
    struct relay relay;
    if (relays_take(&g->relays, d->nonce, from, &relay)) {
        send_urgent(g, &(struct out){.type = OUT_RELAYED_ACK,
                                     .to = relay.origin,
                                     .about = from,
                                     .via = relay.origin_via,
                                     .nonce = relay.origin_nonce});
    } else if (!detect_ack(g, from, d)) {
        g->stats.acks_unmatched++;
        return;
    }
    bulk_compare(g, from, d->nonce, &d->summary);
}

static void on_get(struct gossip *g, struct member *from, const struct addr *via, struct bytes ids)
{
    struct rd r = rd_init(ids);
    struct node_id id;
    while (id_next(&r, &id)) {
        struct member *m = members_find(&g->members, &id);
        if (m)
            answer_record(g, from, via, m);
        if (m && m->busy && m->busy->rival)
            outbox_put(&g->answers, &(struct out){.type = OUT_RECORD,
                                                  .to = from,
                                                  .about = m,
                                                  .via = *via,
                                                  .hops = UINT8_MAX,
                                                  .is_rival = true});
    }
}

static void dispatch(struct gossip *g, struct member *from, const struct addr *via, const struct datagram *d)
{
    switch (d->type) {
    case MSG_PING:
        on_ping(g, from, via, d);
        break;
    case MSG_ACK:
        on_ack(g, from, d);
        break;
    case MSG_PING_REQ:
        ping_req_receive(g, from, via, d);
        break;
    case MSG_RELAYED_ACK:
        g->stats.acks_unmatched += !detect_relayed_ack(g, from, d->nonce, &d->target);
        break;
    case MSG_NACK:
        g->stats.acks_unmatched += !detect_nack(g, from, d->nonce, &d->target);
        break;
    case MSG_GET:
        on_get(g, from, via, d->ids);
        break;
    case MSG_DIGEST:
        range_on_digest(g, from, via, d);
        break;
    case MSG_RANGE:
        range_on_list(g, from, via, d);
        break;
    default:
        break; /* PUSH: its rumors are all there is */
    }
}

/* We hold it dead, yet it speaks: look, and our probe tells it what is said of it. */
static void on_voice_of_dead(struct gossip *g, struct member *from)
{
    if (from->state == GOSSIP_DEAD)
        retry_voice(g, from);
}

/* Each is probed once an interval: who heard nothing from anybody for two, and asked somebody in vain meanwhile, was deaf, and what
 * is said of it is right. */
static void note_hearing(struct gossip *g)
{
    bool has_asked = g->unheard_since < g->now && g->now - g->unheard_since >= g->cfg.probe_timeout_ms;
    if (g->received_at != 0 && g->now - g->received_at > 2 * (mono_ms)g->cfg.probe_interval_ms && has_asked)
        hearing_trouble(g);
    g->received_at = g->now;
}

static void apply(struct gossip *g, struct member *from, const struct addr *via, const struct datagram *d)
{
    struct addr back;
    note_hearing(g);
    from->flags |= MEMBER_KNOWS_US;
    degrade_speaks(g, from);
    if (!answer_addr(g, from, via, &back))
        return;
    struct rd r = rd_init(d->rumors);
    struct rumor_item i;
    while (rumor_item_next(&r, &i))
        on_rumor(g, from, &back, &i);
    dispatch(g, from, &back, d);
    on_voice_of_dead(g, from);
}

/* The channel proved who it is, but we hold no record of it: we, or it, began anew. Who pings a member for
 * the first time sends its own record along; if there is none, we ask. */
static struct member *introduce(struct gossip *g, const struct node_id *from, struct bytes rumors)
{
    struct rd r = rd_init(rumors);
    struct rumor_item i;
    const struct news news = {.origin = FROM_DATAGRAM, .hops = UINT8_MAX};
    struct member *m = NULL;
    while (rumor_item_next(&r, &i))
        if (i.type == RUMOR_RECORD && apply_own_word(g, from, i.record, &news, &m))
            break;
    return m;
}

enum err receive_datagram(struct gossip *g, const struct node_id *from, const struct addr *via,
                          struct bytes msg)
{
    struct datagram d;
    enum err e = datagram_decode(&d, msg);
    if (e)
        return e;
    struct member *m = members_find(&g->members, from);
    if (!g->self)
        return ERR_OK; /* nothing to say yet */
    if (!m)
        m = introduce(g, from, d.rumors);
    if (m)
        apply(g, m, via, &d);
    else
        seeds_join_by(g, via);
    return ERR_OK;
}
