#include "gossip/message.h"

#include <assert.h>

void doc_version_encode(struct wr *w, const struct doc_version *d)
{
    wr_u8(w, d->kind);
    wr_be64(w, d->epoch);
    wr_be64(w, d->version);
    wr_bytes(w, d->hash.b, HASH_BYTES);
}

static void doc_version_decode(struct rd *r, struct doc_version *d)
{
    d->kind = rd_u8(r);
    d->epoch = rd_be64(r);
    d->version = rd_be64(r);
    rd_copy(r, d->hash.b, HASH_BYTES);
}

bool doc_version_next(struct rd *r, struct doc_version *out)
{
    if (!rd_ok(r) || rd_left(r) == 0)
        return false;
    doc_version_decode(r, out);
    return rd_ok(r);
}

/* Rumors. */

static uint8_t rumor_number(const struct rumor_item *i)
{
    if (i->layout < 2)
        return (uint8_t)i->type;
    return i->type == RUMOR_SUSPECT ? RUMOR_SUSPECT_2
           : i->type == RUMOR_DEAD  ? RUMOR_DEAD_2
                                    : (uint8_t)i->type;
}

void rumor_item_encode(struct wr *w, const struct rumor_item *i)
{
    wr_u8(w, rumor_number(i));
    switch (i->type) {
    case RUMOR_RECORD:
        wr_u8(w, i->hops);
        wr_lv16(w, i->record);
        break;
    case RUMOR_NOTICE:
        wr_u8(w, i->hops);
        wr_bytes(w, i->subject.b, ID_BYTES);
        wr_be64(w, i->incarnation);
        wr_be64(w, i->version);
        wr_bytes(w, i->hash.b, HASH_BYTES);
        wr_be16(w, i->record_bytes);
        break;
    case RUMOR_SUSPECT:
    case RUMOR_DEAD:
        wr_bytes(w, i->subject.b, ID_BYTES);
        wr_be64(w, i->incarnation);
        wr_be64(w, i->version);
        wr_bytes(w, i->accuser.b, ID_BYTES);
        if (i->layout >= 2)
            wr_u8(w, (uint8_t)i->reason);
        break;
    case RUMOR_DOC:
        doc_version_encode(w, &i->doc);
        break;
    }
}

static enum opinion_reason reason_of(uint8_t wire)
{
    return wire <= REASON_DEGRADED ? (enum opinion_reason)wire : REASON_SILENT;
}

static void rumor_body_decode(struct rd *r, struct rumor_item *i)
{
    switch (i->type) {
    case RUMOR_RECORD:
        i->hops = rd_u8(r);
        i->record = rd_lv16(r);
        if (i->record.len == 0 || i->record.len > GOSSIP_RECORD_MAX)
            r->overran = true;
        return;
    case RUMOR_NOTICE:
        i->hops = rd_u8(r);
        rd_copy(r, i->subject.b, ID_BYTES);
        i->incarnation = rd_be64(r);
        i->version = rd_be64(r);
        rd_copy(r, i->hash.b, HASH_BYTES);
        i->record_bytes = rd_be16(r);
        if (i->record_bytes == 0 || i->record_bytes > GOSSIP_RECORD_MAX)
            r->overran = true;
        return;
    case RUMOR_SUSPECT:
    case RUMOR_DEAD:
        rd_copy(r, i->subject.b, ID_BYTES);
        i->incarnation = rd_be64(r);
        i->version = rd_be64(r);
        rd_copy(r, i->accuser.b, ID_BYTES);
        if (i->layout >= 2)
            i->reason = reason_of(rd_u8(r));
        return;
    case RUMOR_DOC:
        doc_version_decode(r, &i->doc);
        return;
    }
    r->overran = true; /* a type we do not know: its length is not known either */
}

bool rumor_item_next(struct rd *r, struct rumor_item *out)
{
    if (!rd_ok(r) || rd_left(r) == 0)
        return false;
    memset(out, 0, sizeof *out);
    uint8_t number = rd_u8(r);
    bool is_opinion_2 = number == RUMOR_SUSPECT_2 || number == RUMOR_DEAD_2;
    out->layout = is_opinion_2 ? 2 : 1;
    if (is_opinion_2)
        number = number == RUMOR_SUSPECT_2 ? RUMOR_SUSPECT : RUMOR_DEAD;
    out->type = (enum rumor_type)number;
    rumor_body_decode(r, out);
    return rd_ok(r);
}

static bool rumors_are_whole(struct bytes rumors, uint8_t version)
{
    struct rd r = rd_init(rumors);
    struct rumor_item i;
    while (rumor_item_next(&r, &i))
        r.overran |= i.layout > version;
    return rd_done(&r);
}

/* Documents held: u8 count | count * doc_version. */

static void docs_encode(struct wr *w, struct bytes docs)
{
    assert(docs.len % DOC_BYTES == 0 && docs.len / DOC_BYTES <= DOCS_MAX);
    wr_u8(w, (uint8_t)(docs.len / DOC_BYTES));
    wr_bytes(w, docs.at, docs.len);
}

static bool docs_decode(struct rd *r, struct bytes *out)
{
    size_t count = rd_u8(r);
    *out = rd_bytes(r, count * DOC_BYTES);
    return rd_ok(r) && count <= DOCS_MAX;
}

/* Datagrams. */

static void header_encode(struct wr *w, uint8_t version, enum message_type type)
{
    wr_u8(w, version > GOSSIP_PROTOCOL_MIN ? version : GOSSIP_PROTOCOL_MIN);
    wr_u8(w, (uint8_t)type);
}

/* The version in which each type came. */
static const uint8_t since[] = {
    [MSG_PING] = 1, [MSG_ACK] = 1,   [MSG_PING_REQ] = 1, [MSG_RELAYED_ACK] = 1, [MSG_NACK] = 1,
    [MSG_PUSH] = 1, [MSG_GET] = 1,   [MSG_DIGEST] = 1,   [MSG_RANGE] = 1,       [MSG_SYNC] = 1,
    [MSG_LIST] = 1, [MSG_STATE] = 1, [MSG_FETCH] = 1,    [MSG_DOC_GET] = 1,     [MSG_DOC] = 1,
};

static enum err header_decode(struct rd *r, uint8_t *version, enum message_type *type)
{
    *version = rd_u8(r);
    uint8_t t = rd_u8(r);
    *type = (enum message_type)t;
    if (!rd_ok(r))
        return ERR_MALFORMED;
    if (*version < GOSSIP_PROTOCOL_MIN || *version > GOSSIP_PROTOCOL_MAX)
        return ERR_UNSUPPORTED;
    return t < sizeof since && since[t] > 0 && since[t] <= *version ? ERR_OK : ERR_UNSUPPORTED;
}

void datagram_encode(struct wr *w, const struct datagram *d)
{
    header_encode(w, d->version, d->type);
    switch (d->type) {
    case MSG_PING:
    case MSG_ACK:
        wr_be64(w, d->nonce);
        wr_bytes(w, d->summary.b, SUMMARY_BYTES);
        if (d->type == MSG_ACK)
            wr_be16(w, d->ms);
        if (d->type == MSG_ACK && d->version >= 2)
            wr_bytes(w, d->coordinate.b, GOSSIP_COORDINATE_BYTES);
        break;
    case MSG_PING_REQ:
    case MSG_RELAYED_ACK:
    case MSG_NACK:
        wr_be64(w, d->nonce);
        wr_bytes(w, d->target.b, ID_BYTES);
        if (d->type == MSG_PING_REQ)
            wr_be16(w, d->ms);
        break;
    case MSG_GET:
        assert(d->ids.len % ID_BYTES == 0 && d->ids.len / ID_BYTES <= GET_IDS_MAX);
        wr_u8(w, (uint8_t)(d->ids.len / ID_BYTES));
        wr_bytes(w, d->ids.at, d->ids.len);
        break;
    case MSG_DIGEST:
        wr_be64(w, d->nonce);
        docs_encode(w, d->docs);
        wr_u8(w, d->depth);
        wr_u8(w, d->width);
        break;
    case MSG_RANGE:
        assert(d->prefixes.len % 4 == 0 && d->prefixes.len / 4 <= RANGES_MAX);
        wr_be64(w, d->nonce);
        docs_encode(w, d->docs);
        wr_u8(w, d->depth);
        wr_u8(w, (uint8_t)(d->prefixes.len / 4));
        wr_bytes(w, d->prefixes.at, d->prefixes.len);
        break;
    default:
        assert(d->type == MSG_PUSH);
    }
}

/* Each prefix has no more bits than the depth says. `step`: bytes from one to the next. */
static bool prefixes_are_sound(struct bytes at, size_t step, uint8_t depth)
{
    for (size_t i = 0; i < at.len; i += step)
        if (load_be32(at.at + i) >> depth != 0)
            return false;
    return true;
}

static bool digest_body_decode(struct rd *r, struct datagram *d)
{
    d->nonce = rd_be64(r);
    if (!docs_decode(r, &d->docs))
        return false;
    d->depth = rd_u8(r);
    d->width = rd_u8(r);
    if (!rd_ok(r) || d->width == 0 || d->width > RANGE_WIDTH_MAX || d->depth + d->width > RANGE_DEPTH_MAX)
        return false;
    size_t range = 4 + ((size_t)8 << d->width), count = rd_left(r) / range;
    d->digests = rd_bytes(r, count * range);
    d->ranges = (uint8_t)count;
    return rd_done(r) && count > 0 && count <= RANGES_MAX && prefixes_are_sound(d->digests, range, d->depth);
}

static bool entries_are_listed(struct bytes entries)
{
    struct rd r = rd_init(entries);
    struct list_entry e;
    while (list_entry_next(&r, &e)) {
    }
    return rd_done(&r);
}

static bool range_body_decode(struct rd *r, struct datagram *d)
{
    d->nonce = rd_be64(r);
    if (!docs_decode(r, &d->docs))
        return false;
    d->depth = rd_u8(r);
    d->ranges = rd_u8(r);
    d->prefixes = rd_bytes(r, 4 * (size_t)d->ranges);
    d->entries = rd_bytes(r, rd_left(r));
    return rd_done(r) && d->depth <= RANGE_DEPTH_MAX && d->ranges <= RANGES_MAX &&
           prefixes_are_sound(d->prefixes, 4, d->depth) && entries_are_listed(d->entries);
}

static bool datagram_body_decode(struct rd *r, struct datagram *d)
{
    size_t count;
    switch (d->type) {
    case MSG_PING:
    case MSG_ACK:
        d->nonce = rd_be64(r);
        rd_copy(r, d->summary.b, SUMMARY_BYTES);
        if (d->type == MSG_ACK)
            d->ms = rd_be16(r);
        if (d->type == MSG_ACK && d->version >= 2)
            rd_copy(r, d->coordinate.b, GOSSIP_COORDINATE_BYTES);
        break;
    case MSG_PING_REQ:
    case MSG_RELAYED_ACK:
    case MSG_NACK:
        d->nonce = rd_be64(r);
        rd_copy(r, d->target.b, ID_BYTES);
        if (d->type == MSG_PING_REQ)
            d->ms = rd_be16(r);
        break;
    case MSG_PUSH:
        break;
    case MSG_GET:
        count = rd_u8(r);
        d->ids = rd_bytes(r, count * ID_BYTES);
        return rd_done(r) && count > 0 && count <= GET_IDS_MAX;
    case MSG_DIGEST:
        return digest_body_decode(r, d);
    case MSG_RANGE:
        return range_body_decode(r, d);
    default:
        return false;
    }
    d->rumors = rd_bytes(r, rd_left(r));
    return rd_done(r) && rumors_are_whole(d->rumors, d->version);
}

enum err datagram_decode(struct datagram *out, struct bytes msg)
{
    struct rd r = rd_init(msg);
    struct datagram d = {0};
    enum err e = header_decode(&r, &d.version, &d.type);
    if (e)
        return e;
    if (!datagram_body_decode(&r, &d))
        return ERR_MALFORMED;
    *out = d;
    return ERR_OK;
}

/* Entries of bulk messages. */

void list_entry_encode(struct wr *w, const struct list_entry *e)
{
    wr_bytes(w, e->id.b, ID_BYTES);
    wr_be64(w, e->incarnation);
    wr_be64(w, e->version);
    wr_bytes(w, e->hash.b, HASH_BYTES);
    wr_u8(w, (uint8_t)e->state);
    wr_be32(w, e->age_s);
    wr_be16(w, e->record_bytes);
}

static bool state_decode(struct rd *r, enum gossip_state *out)
{
    uint8_t state = rd_u8(r);
    if (state > GOSSIP_LEFT)
        r->overran = true;
    *out = (enum gossip_state)state;
    return rd_ok(r);
}

bool list_entry_next(struct rd *r, struct list_entry *out)
{
    if (!rd_ok(r) || rd_left(r) == 0)
        return false;
    rd_copy(r, out->id.b, ID_BYTES);
    out->incarnation = rd_be64(r);
    out->version = rd_be64(r);
    rd_copy(r, out->hash.b, HASH_BYTES);
    state_decode(r, &out->state);
    out->age_s = rd_be32(r);
    out->record_bytes = rd_be16(r);
    if (out->record_bytes == 0 || out->record_bytes > GOSSIP_RECORD_MAX)
        r->overran = true;
    return rd_ok(r);
}

void state_entry_encode(struct wr *w, const struct state_entry *e)
{
    wr_u8(w, (uint8_t)e->state);
    wr_be32(w, e->age_s);
    wr_lv16(w, e->record);
}

bool state_entry_next(struct rd *r, struct state_entry *out)
{
    if (!rd_ok(r) || rd_left(r) == 0)
        return false;
    state_decode(r, &out->state);
    out->age_s = rd_be32(r);
    out->record = rd_lv16(r);
    if (out->record.len == 0 || out->record.len > GOSSIP_RECORD_MAX)
        r->overran = true;
    return rd_ok(r);
}

bool id_next(struct rd *r, struct node_id *out)
{
    if (!rd_ok(r) || rd_left(r) == 0)
        return false;
    rd_copy(r, out->b, ID_BYTES);
    return rd_ok(r);
}

/* Bulk messages. */

static size_t listed_bytes(uint8_t bits)
{
    return ((size_t)(1u << bits) + 7) / 8;
}

void bulk_encode(struct wr *w, const struct bulk *b)
{
    header_encode(w, b->version, b->type);
    switch (b->type) {
    case MSG_SYNC:
        assert(b->bits <= DIGEST_BITS_MAX && b->digests.len == (size_t)8 << b->bits);
        wr_be64(w, b->salt);
        docs_encode(w, b->docs);
        wr_lv16(w, b->record);
        wr_u8(w, b->bits);
        wr_bytes(w, b->digests.at, b->digests.len);
        break;
    case MSG_LIST:
        assert(b->bits <= DIGEST_BITS_MAX && b->listed.len == listed_bytes(b->bits));
        wr_be64(w, b->salt);
        docs_encode(w, b->docs);
        wr_u8(w, b->flags);
        wr_u8(w, b->bits);
        wr_bytes(w, b->listed.at, b->listed.len);
        break;
    case MSG_STATE:
        wr_be64(w, b->salt);
        docs_encode(w, b->docs);
        wr_u8(w, b->flags);
        break;
    case MSG_FETCH:
        break;
    case MSG_DOC_GET:
        wr_u8(w, b->doc.kind);
        wr_bytes(w, b->doc.hash.b, HASH_BYTES);
        break;
    default:
        assert(b->type == MSG_DOC);
        doc_version_encode(w, &b->doc);
    }
}

static bool entries_are_whole(const struct bulk *b)
{
    struct rd r = rd_init(b->entries);
    struct list_entry le;
    struct state_entry se;
    while (b->type == MSG_LIST ? list_entry_next(&r, &le) : state_entry_next(&r, &se)) {
    }
    return rd_done(&r);
}

static bool sync_decode(struct rd *r, struct bulk *b)
{
    b->salt = rd_be64(r);
    if (!docs_decode(r, &b->docs))
        return false;
    b->record = rd_lv16(r);
    b->bits = rd_u8(r);
    if (!rd_ok(r) || b->record.len > GOSSIP_RECORD_MAX || b->bits > DIGEST_BITS_MAX)
        return false;
    b->digests = rd_bytes(r, (size_t)8 << b->bits);
    return rd_done(r);
}

static bool list_decode(struct rd *r, struct bulk *b)
{
    b->salt = rd_be64(r);
    if (!docs_decode(r, &b->docs))
        return false;
    b->flags = rd_u8(r);
    b->bits = rd_u8(r);
    if (!rd_ok(r) || b->flags & ~STATE_FLAGS || b->bits > DIGEST_BITS_MAX)
        return false;
    b->listed = rd_bytes(r, listed_bytes(b->bits));
    b->entries = rd_bytes(r, rd_left(r));
    return rd_done(r) && entries_are_whole(b);
}

static bool state_message_decode(struct rd *r, struct bulk *b)
{
    b->salt = rd_be64(r);
    if (!docs_decode(r, &b->docs))
        return false;
    b->flags = rd_u8(r);
    b->entries = rd_bytes(r, rd_left(r));
    return rd_done(r) && (b->flags & ~STATE_FLAGS) == 0 && entries_are_whole(b);
}

static bool doc_decode(struct rd *r, struct bulk *b)
{
    doc_version_decode(r, &b->doc);
    b->document = rd_bytes(r, rd_left(r));
    return rd_done(r) && b->document.len <= GOSSIP_DOC_MAX;
}

static bool doc_get_decode(struct rd *r, struct bulk *b)
{
    b->doc.kind = rd_u8(r);
    rd_copy(r, b->doc.hash.b, HASH_BYTES);
    return rd_done(r);
}

static bool bulk_body_decode(struct rd *r, struct bulk *b)
{
    switch (b->type) {
    case MSG_SYNC:
        return sync_decode(r, b);
    case MSG_LIST:
        return list_decode(r, b);
    case MSG_STATE:
        return state_message_decode(r, b);
    case MSG_FETCH:
        b->ids = rd_bytes(r, rd_left(r));
        return rd_done(r) && b->ids.len > 0 && b->ids.len % ID_BYTES == 0 &&
               b->ids.len / ID_BYTES <= FETCH_IDS_MAX;
    case MSG_DOC_GET:
        return doc_get_decode(r, b);
    case MSG_DOC:
        return doc_decode(r, b);
    default:
        return false;
    }
}

enum err bulk_decode(struct bulk *out, struct bytes msg)
{
    struct rd r = rd_init(msg);
    struct bulk b = {0};
    enum err e = msg.len > GOSSIP_BULK_MAX ? ERR_MALFORMED : header_decode(&r, &b.version, &b.type);
    if (e)
        return e;
    if (!bulk_body_decode(&r, &b))
        return ERR_MALFORMED;
    *out = b;
    return ERR_OK;
}
