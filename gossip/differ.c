/* differ.c: what two members hold, side by side. A listing says all that the other holds in some ranges of
 * places: what it has newer is pulled, what it lacks or has older is given, and where both hold the same record
 * but think differently of its owner, the opinion is heard. Small records go in datagrams if the listing came in
 * one; large ones, and the dead, whose state and age must come with them, over the bulk lane. */
#include "gossip/core.h"

#include <stdlib.h>

struct difference {
    const struct listing *listing;
    const struct node_id *from;
    struct member *source; /* NULL: a seed whose record we do not hold yet */
    const struct addr *via;
    struct buf fetch, give; /* ids, for the bulk lane */
    uint8_t *seen;          /* bit per slot: the member was in the listing */
    uint32_t count, given;
};

static bool fits_datagram(const struct gossip *g, size_t record_bytes)
{
    return MESSAGE_HEADER + 4 + record_bytes <= g->cfg.packet_bytes_max;
}

static bool is_over(enum gossip_state s)
{
    return s == GOSSIP_DEAD || s == GOSSIP_LEFT;
}

static void fetch(struct gossip *g, const struct list_entry *e, struct difference *d)
{
    d->count++;
    if (d->source && d->listing->is_datagram && !is_over(e->state) && fits_datagram(g, e->record_bytes)) {
        const struct rumor_item notice = {.type = RUMOR_NOTICE,
                                          .hops = UINT8_MAX,
                                          .subject = e->id,
                                          .incarnation = e->incarnation,
                                          .version = e->version,
                                          .hash = e->hash,
                                          .record_bytes = e->record_bytes};
        wants_add(g, d->source, &notice);
    } else {
        buf_add(&d->fetch, e->id.b, ID_BYTES);
    }
}

static void give(struct gossip *g, struct member *m, struct difference *d)
{
    d->count++;
    if (d->source && d->listing->is_datagram && !is_over((enum gossip_state)m->state) &&
        fits_datagram(g, m->record->len)) {
        if (d->given++ < RANGE_GIVE_MAX && g->answers.count < GIVES_WAITING_MAX)
            outbox_put(
                &g->answers,
                &(struct out){
                    .type = OUT_RECORD, .to = d->source, .about = m, .via = *d->via, .hops = UINT8_MAX});
    } else {
        buf_add(&d->give, member_id(m)->b, ID_BYTES);
    }
}

static void on_same(struct gossip *g, struct member *from, struct member *m, const struct list_entry *e)
{
    if (from && (e->state == GOSSIP_SUSPECT || e->state == GOSSIP_DEAD))
        opinion_held(g, e->state, &e->id, e->incarnation, from);
    else if (e->state == GOSSIP_ALIVE && m->state == GOSSIP_DEAD)
        retry_dispute(g, m, from);
}

static bool is_nearly_forgotten(const struct gossip *g, const struct list_entry *e)
{
    return is_over(e->state) && (uint64_t)e->age_s * 1000 >= g->cfg.tombstone_ms / 8 * 7;
}

static void on_entry(struct gossip *g, const struct list_entry *e, struct difference *d)
{
    struct member *m = members_find(&g->members, &e->id);
    if (!m) {
        if (!is_nearly_forgotten(g, e))
            fetch(g, e, d);
        return;
    }
    d->seen[m->slot / 8] |= (uint8_t)(1 << m->slot % 8);
    int newer = member_cmp(m, e->incarnation, e->version);
    bool is_other = newer == 0 && !hash_eq(&e->hash, &m->record->hash);
    if (newer > 0 || is_other)
        fetch(g, e, d);
    if (newer < 0 || is_other)
        give(g, m, d);
    if (newer == 0 && !is_other)
        apply_speak(g, m);
    if (newer == 0)
        on_same(g, d->source, m, e);
}

static bool is_in(const struct listing *l, const struct member *m)
{
    uint64_t place = member_place(m, l->salt);
    uint32_t range = l->depth == 0 ? 0 : (uint32_t)(place >> (64 - l->depth));
    if (!l->is_datagram)
        return listed_has(l->bitmap, range);
    for (size_t i = 0; i < l->prefixes.len; i += 4)
        if (load_be32(l->prefixes.at + i) == range)
            return true;
    return false;
}

static void give_unlisted(struct gossip *g, struct difference *d)
{
    for (uint32_t i = 0; i < g->members.count; i++) {
        struct member *m = members_at(&g->members, i);
        if (m->flags & MEMBER_SUMMED && m != g->self && !node_id_eq(member_id(m), d->from) &&
            !(d->seen[i / 8] >> (i % 8) & 1) && is_in(d->listing, m))
            give(g, m, d);
    }
}

enum err differ_apply(struct gossip *g, const struct node_id *from, const struct addr *via,
                      const struct listing *l)
{
    struct difference d = {.listing = l, .from = from, .source = members_find(&g->members, from), .via = via};
    d.seen = calloc(g->members.count / 8 + 1, 1);
    if (!d.seen)
        return ERR_NOMEM;
    struct rd r = rd_init(l->entries);
    struct list_entry e;
    while (list_entry_next(&r, &e))
        on_entry(g, &e, &d);
    give_unlisted(g, &d);
    free(d.seen);
    catch_up_saw(g, d.count);
    jobs_begin(g, JOB_FETCH, from, via, &d.fetch);
    jobs_begin(g, JOB_RECORDS, from, via, &d.give);
    return ERR_OK;
}
