/* message.h: the bytes of gossip, both lanes. Fixed layouts, big-endian; docs/protocol.md draws the same
 * pictures.
 *
 * Every message is `u8 version | u8 type | body`. The version is that of the layout: what a version has said once
 * stays so for ever; another layout, type or rumor is of a later version, and is sent only to members whose signed
 * record says that they speak it. What has not changed since version 1 still says 1.
 *
 * A decoder checks the whole message, every rumor and entry in it, before it returns ERR_OK; the iterators over what it
 * borrowed then cannot fail. ERR_UNSUPPORTED: a version or type that we do not know, in a message of which nothing else
 * was looked at. An unknown rumor, a type on the wrong lane, a byte too many or too few: ERR_MALFORMED. Nothing is
 * applied of either, both are counted, and the session stays (ADVERSARY G11, G12, G39, G45). Counts are checked
 * against the bytes that are there; nothing is allocated here. */
#ifndef GOSSIP_MESSAGE_H
#define GOSSIP_MESSAGE_H

#include "base/bytes.h"
#include "base/err.h"
#include "gossip/gossip.h"

enum {
    MESSAGE_HEADER = 2,
    SUMMARY_BYTES = 16,
    DIGEST_BITS_MAX = 8, /* at most 256 buckets in a SYNC */
    BUCKETS_MAX = 1 << DIGEST_BITS_MAX,
    CHUNK_BYTES = 60 * 1000, /* a LIST, STATE or FETCH is closed when it reaches this */
    GET_IDS_MAX = 16,        /* ids in one datagram GET */
    DOC_BYTES = 1 + 8 + 8 + 32,
    DOCS_MAX = 8,                           /* in one message */
    FETCH_IDS_MAX = CHUNK_BYTES / ID_BYTES, /* ids in one bulk FETCH */
    RANGES_MAX = 8,                         /* ranges in one DIGEST or RANGE */
    RANGE_WIDTH_MAX = 6,                    /* a DIGEST divides each range into up to 2^6 */
    RANGE_DEPTH_MAX = 24,                   /* bits of a place that name the narrowest range */
};

enum message_type {
    /* datagram lane */
    MSG_PING = 1,
    MSG_ACK = 2,
    MSG_PING_REQ = 3,
    MSG_RELAYED_ACK = 4,
    MSG_NACK = 5, /* Lifeguard: a relay heard our question, but not the one it asked for us */
    MSG_PUSH = 6,
    MSG_GET = 7,
    MSG_DIGEST = 8,
    MSG_RANGE = 9,
    /* bulk lane */
    MSG_SYNC = 16,
    MSG_LIST = 17,
    MSG_STATE = 18,
    MSG_FETCH = 19,
    MSG_DOC_GET = 20,
    MSG_DOC = 21,
};

/* What an opinion is on the wire is said by its number: version 1 has 3 and 4, version 2 has 6 and 7 besides. */
enum rumor_type { RUMOR_RECORD = 1, RUMOR_NOTICE = 2, RUMOR_SUSPECT = 3, RUMOR_DEAD = 4, RUMOR_DOC = 5 };
enum { RUMOR_SUSPECT_2 = 6, RUMOR_DEAD_2 = 7 };
/* Why its accuser thinks so. Another number is read as SILENT: it may mean something to a later version. */
enum opinion_reason {
    REASON_SILENT = 0,
    REASON_REFUSED = 1, /* ... and a dial of the accuser's own was refused */
    REASON_DEGRADED =
        2, /* no accusation: it comes and goes, so look for yourself (degrade.c); SUSPECT only */
};

/* What stands for all the records a member holds; see member.h for how it is made. */
struct summary {
    uint8_t b[SUMMARY_BYTES];
};

struct doc_version {
    uint8_t kind;
    uint64_t epoch, version;
    struct hash hash;
};

/* One rumor. Which fields count depends on the type.
 *   RECORD   u8 1 | u8 hops | be16 len | record
 *   NOTICE   u8 2 | u8 hops | subject 32 | be64 incarnation | be64 version | hash 32 | be16 record_bytes
 *   SUSPECT  u8 3 | subject 32 | be64 incarnation | be64 version | accuser 32
 *            u8 6 | as 3 | u8 reason        version 2
 *   DEAD     u8 4 or 7 | as SUSPECT
 *   DOC      u8 5 | u8 kind | be64 epoch | be64 version | hash 32                           */
struct rumor_item {
    enum rumor_type type;
    uint8_t layout; /* SUSPECT, DEAD: the version in which it is said; 0: 1, without a reason */
    uint8_t hops;   /* how many members passed it on; a hint for how to push, never trusted for more */
    struct bytes record;
    struct node_id subject, accuser;
    uint64_t incarnation, version;
    struct hash hash;
    uint16_t record_bytes;
    enum opinion_reason reason;
    struct doc_version doc;
};
enum {
    NOTICE_BYTES = 2 + 32 + 8 + 8 + 32 + 2,
    OPINION_BYTES = 1 + 32 + 8 + 8 + 32 + 1,
    DOC_RUMOR_BYTES = 1 + 1 + 8 + 8 + 32
};

void rumor_item_encode(struct wr *w, const struct rumor_item *i);
bool rumor_item_next(struct rd *r, struct rumor_item *out); /* false: at the end, or `r` overran */

/* PING           be64 nonce | summary 16 | rumors
 * ACK            be64 nonce | summary 16 | be16 ms | rumors    ms: until the prober's next turn (watch.h); 0: none
 * ACK, version 2 be64 nonce | summary 16 | be16 ms | coordinate 11 | rumors      where its sender is (coordinate.h)
 * PING_REQ       be64 nonce | target 32 | be16 ms | rumors     ms: the relay's word is awaited so long
 * RELAYED_ACK    be64 nonce | target 32 | rumors
 * NACK           be64 nonce | target 32 | rumors
 * PUSH           rumors
 * GET            u8 count | count * id 32
 * DIGEST         be64 salt | docs | u8 depth | u8 width | ranges * (be32 prefix | 2^width * be64 digest)
 * RANGE          be64 salt | docs | u8 depth | u8 ranges | ranges * be32 prefix | entries, as in a LIST
 *
 * Members have places, 64 bits that follow from id and salt. A range is the places whose first `depth` bits are
 * its prefix. A DIGEST divides each of its ranges into 2^width equal parts; a RANGE lists all that the sender
 * holds in its ranges. docs: as below, what the sender holds. */
struct datagram {
    enum message_type type;
    uint8_t version; /* to encode in; 0: 1 */
    uint64_t nonce;  /* DIGEST, RANGE: the salt */
    struct summary summary;
    struct node_id target;
    uint16_t ms;
    struct gossip_coordinate coordinate;
    struct bytes rumors; /* borrowed; walk with rumor_item_next() */
    struct bytes ids;    /* borrowed; a multiple of ID_BYTES */
    struct bytes docs;   /* borrowed; a multiple of DOC_BYTES */
    uint8_t depth, width, ranges;
    struct bytes digests;  /* borrowed; DIGEST: ranges of (4 + 2^width * 8) bytes */
    struct bytes prefixes; /* borrowed; RANGE: ranges of 4 bytes */
    struct bytes entries;  /* borrowed; RANGE: walk with list_entry_next() */
};
/* Writes everything but rumors, digests and entries, which the caller appends. */
void datagram_encode(struct wr *w, const struct datagram *d);
must_check enum err datagram_decode(struct datagram *out, struct bytes msg);

/* One member in a LIST or RANGE.
 * id 32 | be64 incarnation | be64 version | hash 32 | u8 state | be32 age_s | be16 record_bytes */
struct list_entry {
    struct node_id id;
    uint64_t incarnation, version;
    struct hash hash;
    enum gossip_state state;
    uint32_t age_s; /* seconds since it is in that state */
    uint16_t record_bytes;
};
/* One member in a STATE.  u8 state | be32 age_s | be16 len | record */
struct state_entry {
    enum gossip_state state;
    uint32_t age_s;
    struct bytes record;
};
enum { LIST_ENTRY_BYTES = 32 + 8 + 8 + 32 + 1 + 4 + 2, STATE_ENTRY_BYTES = 1 + 4 + 2 };
/* The flags of LIST and STATE. */
enum {
    STATE_LAST = 1,   /* nothing more follows in answer to the SYNC with this salt */
    STATE_SAMPLE = 2, /* only some of what the sender holds: it is busy, the others are to be asked too */
    STATE_FLAGS = STATE_LAST | STATE_SAMPLE,
};

/* docs     u8 count | count * (u8 kind | be64 epoch | be64 version | hash 32): what the sender holds
 * SYNC     be64 salt | docs | be16 len | own record | u8 bits | 2^bits * be64 digest
 * LIST     be64 salt | docs | u8 flags | u8 bits | listed | entries
 *          listed: ceil(2^bits / 8) bytes, the buckets that are listed in full
 * STATE    be64 salt | docs | u8 flags | entries
 * FETCH    ids
 * DOC_GET  u8 kind | hash 32
 * DOC      u8 kind | be64 epoch | be64 version | hash 32 | document
 *          document: empty if it is not held any more                                     */
struct bulk {
    enum message_type type;
    uint8_t version; /* to encode in; 0: 1 */
    uint64_t salt;
    uint8_t flags, bits;
    struct bytes docs;    /* SYNC, LIST, STATE; a multiple of DOC_BYTES */
    struct bytes record;  /* SYNC: the sender's own */
    struct bytes digests; /* SYNC: be64 each */
    struct bytes listed;  /* LIST: bit i of byte i/8 stands for bucket i */
    struct bytes entries; /* LIST, STATE */
    struct bytes ids;     /* FETCH */
    struct doc_version doc;
    struct bytes document;
};
/* Writes everything but entries, ids and document, which the caller appends. */
void bulk_encode(struct wr *w, const struct bulk *b);
must_check enum err bulk_decode(struct bulk *out, struct bytes msg);

void list_entry_encode(struct wr *w, const struct list_entry *e);
bool list_entry_next(struct rd *r, struct list_entry *out);
void state_entry_encode(struct wr *w, const struct state_entry *e);
bool state_entry_next(struct rd *r, struct state_entry *out);
bool id_next(struct rd *r, struct node_id *out);
void doc_version_encode(struct wr *w, const struct doc_version *d);
bool doc_version_next(struct rd *r, struct doc_version *out);

static inline bool listed_has(struct bytes listed, uint32_t bucket)
{
    return bucket / 8 < listed.len && (listed.at[bucket / 8] >> (bucket % 8) & 1);
}

#endif
