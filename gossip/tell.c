/* tell.c: what is still to be told, and how much of it fits a packet.
 *
 * Eager push: a fresh rumor leaves at once to eager_fanout members of a random circle (circle.h), who do the same on first
 * receipt; all rumors that are fresh in one turn share packets. While a record is young (fewer than a quarter of the members
 * can have it) it travels whole. Later most receivers have it already, so only a notice of its number travels, and who lacks
 * the record asks. So about one whole record is sent per member, not one per push (the eager/lazy split of Plumtree, Leitao
 * et al. 2007).
 *
 * Second pushes: random pushes by four miss about e^-4 of the members. So WAVE_MS later each pushes a notice to whoever comes
 * after it on each of WAVE_FANOUT rings (watch.h). That misses a member only if all before it on these rings were missed too:
 * e^-16 of the members, where as many random pushes would miss e^-7.
 *
 * Besides, pings and acks carry rumors until each was sent lambda log n times (SWIM section 4.1). */
#include "gossip/core.h"

enum { PACKET_RUMORS_MAX = 64 };

static uint32_t ceil_log10(uint64_t n)
{
    uint32_t log = 0;
    for (uint64_t p = 1; p < n; p *= 10)
        log++;
    return log;
}

uint8_t tell_limit(const struct gossip *g)
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

void tell_member(struct gossip *g, enum rumor_class class, struct member *m, struct member *source,
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

void tell_retract(struct gossip *g)
{
    for (struct rumor *r; (r = rumors_first(&g->rumors, RUMORS_OPINION));)
        rumors_drop(&g->rumors, r);
}

void tell_hush(struct gossip *g)
{
    struct rumor *r, *next;
    for (int c = RUMORS_LEAVE; c <= RUMORS_RECORD; c++)
        for (r = rumors_first(&g->rumors, (enum rumor_class)c); r; r = next) {
            next = rumors_next(&g->rumors, r);
            if (r->eager_left == 0 && !r->owes_wave)
                rumors_drop(&g->rumors, r);
        }
}

void tell_doc(struct gossip *g, struct doc_kind *k)
{
    struct rumor *r = rumors_put(&g->rumors, RUMORS_DOC, &k->rumor);
    if (!r)
        return;
    r->doc_kind = k->kind;
    r->source = NULL;
    make_eager(g, r, g->cfg.eager_fanout);
}

void tell_wave(struct gossip *g)
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

/* The newest version that both speak, by what the other has signed. */
uint8_t tell_version(const struct gossip *g, const struct member *to)
{
    uint8_t theirs = member_protocol(to);
    return theirs < g->cfg.protocol ? theirs : g->cfg.protocol;
}

/* `layout`: the version to say it in. */
struct rumor_item item_of_opinion(const struct member *m, const struct node_id *accuser,
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

struct rumor_item item_of_record(const struct member *m, uint8_t hops)
{
    return (struct rumor_item){.type = RUMOR_RECORD, .hops = hops, .record = record_blob_bytes(m->record)};
}

static struct rumor_item item_of_notice(const struct member *m, uint8_t hops)
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
static void put_rival(struct wr *w, const struct member *m)
{
    if (!m->busy || !m->busy->rival || wr_left(w) < NOTICE_BYTES)
        return;
    struct rumor_item i = item_of_notice(m, UINT8_MAX);
    i.hash = m->busy->rival->hash;
    i.record_bytes = (uint16_t)m->busy->rival->len;
    rumor_item_encode(w, &i);
}

static bool put_record(const struct gossip *g, struct wr *w, const struct rumor *r, bool eager)
{
    const struct member *m = r->subject;
    size_t whole = 4 + (size_t)m->record->len, empty = g->cfg.packet_bytes_max - MESSAGE_HEADER;
    bool wants_whole =
        m->record->len <= RECORD_INLINE_MAX || (eager && (is_young(g, r->hops) || m->state == GOSSIP_LEFT));
    if (wants_whole && whole <= empty) {
        struct rumor_item i = item_of_record(m, r->hops);
        if (whole <= wr_left(w)) {
            rumor_item_encode(w, &i);
            put_rival(w, m);
            return true;
        }
        if (eager)
            return false; /* the next packet has room */
    }
    if (wr_left(w) < NOTICE_BYTES)
        return false;
    struct rumor_item i = item_of_notice(m, r->hops);
    rumor_item_encode(w, &i);
    put_rival(w, m);
    return true;
}

struct rumor_item item_of_doc(const struct gossip *g, uint8_t kind)
{
    struct rumor_item i = {.type = RUMOR_DOC};
    for (uint32_t k = 0; k < g->doc_kind_count; k++)
        if (g->doc_kinds[k].kind == kind)
            i.doc = g->doc_kinds[k].held;
    return i;
}

static bool put_doc(const struct gossip *g, struct wr *w, const struct rumor *r)
{
    struct rumor_item i = item_of_doc(g, r->doc_kind);
    if (wr_left(w) < DOC_RUMOR_BYTES)
        return false;
    rumor_item_encode(w, &i);
    return true;
}

/* Version 1 has no such reason: those who speak it are told nothing. */
static bool put_hint(struct wr *w, const struct rumor *r, uint8_t layout)
{
    struct rumor_item item = item_of_opinion(r->subject, &r->accuser, REASON_DEGRADED, layout);
    if (wr_left(w) < OPINION_BYTES)
        return false;
    if (layout >= 2 && item.type == RUMOR_SUSPECT)
        rumor_item_encode(w, &item);
    return true;
}

/* Its accuser's word, and that of each whose dial was refused. */
static bool put_opinion(const struct gossip *g, struct wr *w, const struct rumor *r, uint8_t layout)
{
    if (r->is_hint)
        return put_hint(w, r, layout);
    const struct suspicion *s = member_suspicion(r->subject);
    bool is_ours = is_self(g, &r->accuser), is_among = false;
    if (wr_left(w) < OPINION_BYTES * (1u + (s ? s->refusers : 0)))
        return false;
    for (int i = 0; s && i < s->refusers; i++) {
        struct rumor_item item = item_of_opinion(r->subject, &s->refuser[i], REASON_REFUSED, layout);
        rumor_item_encode(w, &item);
        is_among |= node_id_eq(&s->refuser[i], &r->accuser);
    }
    if (is_among)
        return true;
    bool is_refused = r->is_refused || (is_ours && s && s->is_refused);
    struct rumor_item item =
        item_of_opinion(r->subject, &r->accuser, is_refused ? REASON_REFUSED : REASON_SILENT, layout);
    rumor_item_encode(w, &item);
    return true;
}

/* False: no room for it in this packet. */
static bool put(const struct gossip *g, struct wr *w, const struct rumor *r, uint8_t layout, bool eager)
{
    if (r->class >= RUMORS_LEAVE)
        return put_record(g, w, r, eager);
    return r->class == RUMORS_DOC ? put_doc(g, w, r) : put_opinion(g, w, r, layout);
}

/* As in SWIM, where who is suspected hears it as anybody does. */
bool tells_suspect_too(const struct gossip *g)
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
uint32_t tell_pack(struct gossip *g, struct wr *w, const struct member *to, int classes, bool eager)
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
            if (!put(g, w, at[c], tell_version(g, to), eager)) {
                at[c] = NULL;
                continue;
            }
            told[count++] = at[c];
            at[c] = next_for(g, c, at[c], to, eager);
            more = true;
        }
    }
    for (uint32_t i = 0; i < count; i++)
        rumors_sent(&g->rumors, told[i], eager, tell_limit(g));
    return count;
}
