/* range.c: differences found and repaired in datagrams. When the summaries of two members differ (and now and
 * then with a random member, in case the summary overlooked something), one sends digests of its places,
 * divided into up to 64 parts; the other answers for the parts that differ, dividing them further while they
 * hold much and listing their members when they hold little; and who gets the list pulls what it lacks and gives
 * what the other lacks:
 *
 *   a                                                      b
 *   DIGEST salt, all places in 64 parts -----------------> one part differs, 160 members: too many to list
 *     <---- DIGEST same salt, that part in 16 parts
 *   RANGE the one that differs: ten members -------------> pulls (GET) and gives (PUSH) what differs
 *
 * Range-based set reconciliation (Meyer 2023), with wide divisions instead of halves because a datagram has the
 * room and a round trip costs more than bytes. The work is log16(n) datagrams for each difference, whatever n.
 * Where more than DIFFER_MANY parts of 64 differ (or as great a share, if they hold much), a sync over the bulk lane is cheaper.
 *
 * Places and digests follow from a fresh salt, so nobody can prepare records that hide behind one another, or
 * crowd a range. Nothing is remembered but the salt. A digest is answered by DIGEST_ANSWERS_MAX packets at most, and a member
 * gets only so many answers a second (ADVERSARY G19), unless it was we who asked it: we do so seldom, and ever more seldom in vain. What was lost or
 * left out is found when the summaries differ again. */
#include "gossip/core.h"

#include <assert.h>
#include <stdlib.h>

enum {
    DIFFER_MANY = 40,    /* parts of the first division, or as great a share of fewer parts ... */
    DIFFER_MEMBERS = 64, /* ... that hold more members than this */
    DEEPER_WIDTH = 4,    /* later divisions */
    LISTED_MEMBERS =
        6, /* a part of more is divided: 132 bytes and a list of one or two are less than this many entries */
    PARTS_MAX = RANGES_MAX << RANGE_WIDTH_MAX,
    DIGEST_BYTES_MAX =
        MESSAGE_HEADER + 8 + 1 + DOCS_MAX * DOC_BYTES + 2 + 4 + (8 << RANGE_WIDTH_MAX), /* of one range */
};
static_assert((int)GOSSIP_PACKET_BYTES_MIN >= (int)DIGEST_BYTES_MAX, "a digest of one range fits a packet");

static bool put(struct gossip *g, const struct range_out *item)
{
    if (!g->ranges)
        g->ranges = calloc(DIGESTS_WAITING_MAX, sizeof *g->ranges);
    if (!g->ranges || g->range_count == DIGESTS_WAITING_MAX)
        return false;
    g->ranges[g->range_count++] = *item;
    return true;
}

void range_forget(struct gossip *g, const struct member *m)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->range_count; i++)
        if (g->ranges[i].to != m)
            g->ranges[kept++] = g->ranges[i];
    g->range_count = kept;
}

/* About four members to a part. */
static uint8_t first_width(const struct gossip *g)
{
    uint8_t width = 3;
    while (width < RANGE_WIDTH_MAX && (4u << width) < g->members.count)
        width++;
    return width;
}

void range_begin(struct gossip *g, struct member *m)
{
    struct range_out o = {
        .to = m, .salt = rng_u64(&g->rng) | 1, .width = first_width(g), .ranges = 1, .is_first = true};
    if (!apply_addr(g, m, &o.via) || !put(g, &o))
        return;
    if (g->stats.records_applied != g->applied_at_digest)
        g->sync_backoff = 0; /* the last brought something */
    uint32_t spacing = DIGEST_SPACING_MS << g->sync_backoff;
    g->applied_at_digest = g->stats.records_applied;
    g->sync_backoff += g->sync_backoff < DIGEST_BACKOFF_MAX;
    g->digest_ok_at = g->now + spacing / 2 + rng_below(&g->rng, spacing);
    g->mismatches = 0;
}

/* Which of the ranges holds this place; -1: none. *part: which part of it, if it is divided. */
static int range_of(const struct range_out *o, uint64_t place, uint32_t *part)
{
    uint32_t prefix = o->depth == 0 ? 0 : (uint32_t)(place >> (64 - o->depth));
    for (int i = 0; i < o->ranges; i++)
        if (o->prefix[i] == prefix) {
            *part = o->width == 0 ? 0 : (uint32_t)(place << o->depth >> (64 - o->width));
            return i;
        }
    return -1;
}

struct parts {
    uint64_t digest[PARTS_MAX];
    uint16_t count[PARTS_MAX];
};

/* Of the parts of o's ranges, as we hold them. */
static void count_parts(const struct gossip *g, const struct range_out *o, struct parts *p)
{
    memset(p, 0, sizeof *p);
    for (uint32_t i = 0; i < g->members.count; i++) {
        const struct member *m = members_at(&g->members, i);
        uint32_t part;
        int range = m->flags & MEMBER_SUMMED ? range_of(o, member_place(m, o->salt), &part) : -1;
        if (range < 0)
            continue;
        part += (uint32_t)range << o->width;
        p->digest[part] += member_digest(m, o->salt);
        p->count[part] += p->count[part] < UINT16_MAX;
    }
}

/* Out. */

static void encode_digests(const struct gossip *g, struct wr *w, const struct range_out *o)
{
    struct parts p;
    count_parts(g, o, &p);
    for (uint32_t i = 0; i < o->ranges; i++) {
        wr_be32(w, o->prefix[i]);
        for (uint32_t k = 0; k < 1u << o->width; k++)
            wr_be64(w, p.digest[(i << o->width) + k]);
    }
}

static void encode_entries(const struct gossip *g, struct wr *w, const struct range_out *o)
{
    for (uint32_t i = 0; i < g->members.count && wr_left(w) >= LIST_ENTRY_BYTES; i++) {
        const struct member *m = members_at(&g->members, i);
        uint32_t part;
        if (m->flags & MEMBER_SUMMED && range_of(o, member_place(m, o->salt), &part) >= 0)
            jobs_encode_entry(g, w, m);
    }
}

bool range_poll(struct gossip *g, struct gossip_packet *out)
{
    if (g->range_count == 0)
        return false;
    struct range_out o = g->ranges[0];
    memmove(g->ranges, g->ranges + 1, --g->range_count * sizeof *g->ranges);
    uint8_t docs[DOCS_MAX * DOC_BYTES], prefixes[RANGES_MAX * 4];
    struct wr w = wr_init(g->packet, g->cfg.packet_bytes_max), p = wr_init(prefixes, sizeof prefixes);
    for (uint32_t i = 0; i < o.ranges; i++)
        wr_be32(&p, o.prefix[i]);
    struct datagram d = {.type = o.width > 0 ? MSG_DIGEST : MSG_RANGE,
                         .nonce = o.salt,
                         .docs = jobs_docs(g, docs),
                         .depth = o.depth,
                         .width = o.width,
                         .prefixes = wr_done(&p)};
    datagram_encode(&w, &d);
    if (o.width > 0) {
        encode_digests(g, &w, &o);
        jobs_expect(g, o.salt, DIGEST_ANSWERS_MAX, o.is_first ? EXCHANGE_PACKETS_MAX : 0);
    } else {
        encode_entries(g, &w, &o);
    }
    send_deliver(g, out, o.to, &o.via, &w);
    return true;
}

/* In: which parts differ, and what to answer. */

struct differing {
    uint32_t prefix[PARTS_MAX]; /* of the part */
    uint16_t count[PARTS_MAX];  /* of our members in it */
    uint32_t parts;
};

static void compare(const struct gossip *g, const struct range_out *o, struct bytes digests,
                    struct differing *out)
{
    struct parts ours;
    struct rd r = rd_init(digests);
    count_parts(g, o, &ours);
    out->parts = 0;
    for (uint32_t i = 0; i < o->ranges; i++) {
        rd_be32(&r);
        for (uint32_t k = 0; k < 1u << o->width; k++) {
            uint32_t part = (i << o->width) + k;
            if (rd_be64(&r) == ours.digest[part])
                continue;
            out->prefix[out->parts] = o->prefix[i] << o->width | k;
            out->count[out->parts++] = ours.count[part];
        }
    }
}

static bool is_much(const struct differing *d, uint32_t of_parts)
{
    uint32_t members = 0;
    for (uint32_t i = 0; i < d->parts; i++)
        members += d->count[i];
    return d->parts > DIFFER_MANY || (d->parts * 64 > of_parts * DIFFER_MANY && members > DIFFER_MEMBERS);
}

/* An answer being made: at most DIGEST_ANSWERS_MAX packets, of lists and of further digests. */
struct answer {
    struct range_out list, deeper;
    size_t room, list_left, deeper_left; /* bytes for ranges: in an empty packet, and in these two */
    uint32_t packets;
};

/* One more packet to `m` in the exchange of this salt. */
static bool may_answer(struct gossip *g, struct member *m, uint64_t salt)
{
    struct sync_sent *ours = bulk_find_sync(g, salt);
    if (!ours || ours->packets_left == 0)
        return bulk_allow_answer(g, m, 1);
    ours->packets_left--;
    return true;
}

/* The first packet was paid for when the digest came. */
static void answer_put(struct gossip *g, struct answer *a, struct range_out *o, size_t *left)
{
    bool is_allowed = a->packets == 0 || (a->packets < DIGEST_ANSWERS_MAX && may_answer(g, o->to, o->salt));
    if (o->ranges > 0 && is_allowed && put(g, o))
        a->packets++;
    o->ranges = 0;
    *left = a->room;
}

static void answer_add(struct gossip *g, struct answer *a, struct range_out *o, size_t *left, uint32_t prefix,
                       size_t bytes)
{
    if (o->ranges == RANGES_MAX || bytes > *left)
        answer_put(g, a, o, left);
    o->prefix[o->ranges++] = prefix;
    *left -= bytes;
}

/* Lists the parts that hold little and divides those that hold much. Begins anywhere, so that repeated exchanges get to
 * all. `asked`: the digest that it answers. */
static void answer(struct gossip *g, const struct differing *differ, const struct range_out *asked)
{
    uint8_t docs[DOCS_MAX * DOC_BYTES];
    struct answer a = {.list = *asked, .deeper = *asked};
    a.room = g->cfg.packet_bytes_max - MESSAGE_HEADER - 8 - 1 - jobs_docs(g, docs).len - 2;
    a.list_left = a.deeper_left = a.room;
    a.list.depth = a.deeper.depth = (uint8_t)(asked->depth + asked->width);
    a.list.width = a.list.ranges = a.deeper.ranges = 0;
    a.deeper.width = DEEPER_WIDTH;
    uint32_t from = rng_below(&g->rng, differ->parts);
    for (uint32_t i = 0; i < differ->parts; i++) {
        uint32_t at = (from + i) % differ->parts;
        size_t bytes = 4 + (size_t)differ->count[at] * LIST_ENTRY_BYTES;
        bool is_deepest = a.deeper.depth + DEEPER_WIDTH > RANGE_DEPTH_MAX;
        if (differ->count[at] > LISTED_MEMBERS && !is_deepest)
            answer_add(g, &a, &a.deeper, &a.deeper_left, differ->prefix[at], 4 + ((size_t)8 << DEEPER_WIDTH));
        else if (bytes <= a.room)
            answer_add(g, &a, &a.list, &a.list_left, differ->prefix[at], bytes);
    }
    answer_put(g, &a, &a.deeper, &a.deeper_left);
    answer_put(g, &a, &a.list, &a.list_left);
}

static bool holds_other_docs(const struct gossip *g, struct bytes docs)
{
    uint8_t ours[DOCS_MAX * DOC_BYTES];
    return !bytes_eq(jobs_docs(g, ours), docs);
}

void range_on_digest(struct gossip *g, struct member *m, const struct addr *via, const struct datagram *d)
{
    struct range_out o = {.to = m, .via = *via, .salt = d->nonce, .depth = d->depth, .width = d->width};
    struct differing differ;
    if (!may_answer(g, m, d->nonce))
        return;
    o.ranges = d->ranges;
    for (uint32_t i = 0; i < d->ranges; i++)
        o.prefix[i] = load_be32(d->digests.at + i * (4 + ((size_t)8 << d->width)));
    compare(g, &o, d->digests, &differ);
    bulk_docs(g, member_id(m), d->docs);
    if (d->depth == 0 && is_much(&differ, 1u << d->width)) {
        if (!g->catch_up.is_on && bulk_allow_answer(g, m, 2))
            jobs_sync(g, m);
        return;
    }
    if (differ.parts == 0) {
        o.width = o.ranges = 0; /* members agree; an empty list tells of our documents */
        if (holds_other_docs(g, d->docs))
            put(g, &o);
        return;
    }
    answer(g, &differ, &o);
}

void range_on_list(struct gossip *g, struct member *m, const struct addr *via, const struct datagram *d)
{
    struct sync_sent *s = bulk_find_sync(g, d->nonce);
    if (!s)
        return; /* no question of ours; nobody else can know the salt */
    s->messages_left--;
    bulk_docs(g, member_id(m), d->docs);
    const struct listing l = {d->nonce, d->depth, {NULL, 0}, d->prefixes, d->entries, true};
    enum err e = differ_apply(g, member_id(m), via, &l);
    (void)e; /* no memory: found again later */
}
