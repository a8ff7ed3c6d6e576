/* member.h: who is known. A table of members by id, their records and states, and sums over them.
 *
 * An agent of a mesh of ten thousand holds ten thousand of these, and a simulator of that mesh a hundred million, so a
 * member holds only what this observer believes of it and most members have. What its record says (id, numbers,
 * addresses) is read from the record, which instances of one pool share; what few members have at a time is in a
 * struct of its own (member_busy). With its places in `list` and index a member costs some 50 bytes.
 *
 * Members lie in chunks, so a pointer to one stays good until members_remove(). `list` has them in the order in which
 * they became known (removal moves the last into the gap): every walk and every random choice goes over it by
 * members_at(), so it depends on inputs and seed only. The index beside it (open addressing, linear probing,
 * deletion by shifting back) is hashed with a per-instance key, because ids are chosen by their owners; nothing
 * ever walks the index.
 *
 * The sum stands for the set of records held: each record's hash (which covers subject, incarnation and
 * version) is expanded to SUM_LANES words, and these are added lane by lane, modulo 2^64 (Bellare and
 * Micciancio 1997, AdHash; LtHash, Lewi et al. 2019, section 3). It does not depend on order and costs one
 * addition of lanes per change. Why so wide: with a sum of 128 bits, who may sign for k keys can choose k
 * records such that the sums of two different sets are equal (Wagner 2002, generalised birthday), and so hide
 * a difference from all who compare. With 2048 bits no such choice exists unless keys times the bits of choice
 * in each (a record can be signed 2^40 times over a long night) come near 2048: fifty stolen keys, not one.
 *
 * The summary, 16 bytes in every ping and ack, is that sum folded under the nonce of the ping. A nonce is drawn
 * for each probe, so no one can prepare two sums that fold to the same, and two members that differ and
 * happen to fold alike find out at the next ping. */
#ifndef GOSSIP_MEMBER_H
#define GOSSIP_MEMBER_H

#include "base/addr.h"
#include "base/rng.h"
#include "gossip/gossip.h"
#include "gossip/message.h"
#include "gossip/record_blob.h"

struct rumor;
struct suspicion;

enum { SUM_LANES = 32 };

enum member_flag {
    MEMBER_SUMMED = 1,    /* its record is part of the summary */
    MEMBER_EQUIVOCAL = 2, /* a second record with the current numbers was seen and reported */
    MEMBER_QUIET =
        4, /* remembered from before a restart: our private memory until it answers or others know it too */
    MEMBER_EV_PENDING = 8, /* a MEMBER event waits */
    MEMBER_EV_NEW = 16,
    MEMBER_EV_RECORD = 32,
    MEMBER_KNOWS_US = 64,     /* it answered since it last began anew: it holds our record */
    MEMBER_DEGRADED = 128,    /* see degrade.c */
    MEMBER_QUARANTINED = 512, /* see quarantine.c */
    MEMBER_FELL = 256,        /* it died here of silence, as we saw ourselves: its return is no restart */
};

/* What a member has only while it is doubted or talked about. */
struct member_busy {
    struct suspicion *suspicion; /* while suspect */
    struct record_blob *rival;   /* while it is EQUIVOCAL: the other record with its number */
    struct record_blob
        *proof[2]; /* in quarantine: the two that it signed with one number, which joiners are shown */
    mono_ms
        quarantine_at; /* in quarantine: when it ends; while it is EQUIVOCAL: when its owners are shown that again */
    struct rumor *fresh, *opinion; /* what is still to be told about it */
    mono_ms vouched_until;         /* it answered us: accusations by others do not count before this */
    mono_ms shown_at;              /* when its owners were last shown each other's record; 0: never */
    mono_ms warned_at;             /* when we last told it that others accuse it, though we do not */
    mono_ms hinted_at;             /* when its being degraded was last passed on; 0: never */
    mono_ms degraded_until, bout_at, silent_since; /* degrade.c; silent_since 0: it answers, or speaks */
    mono_ms voice_at;      /* while it is marked: the last time that it said anything */
    mono_ms passed_at;     /* when an answer was last counted */
    uint8_t bouts, passed; /* in a row; the last began at bout_at */
    uint16_t exam_ms;      /* while it is marked: between two questions */
    mono_ms works_until;   /* a link to it works: nobody accuses it here before this */
};

struct member {
    struct record_blob *record; /* never NULL */
    struct member_busy *busy;   /* NULL: none of that */
    int64_t since;              /* of the state; before our clock began if we were told so */
    uint16_t slot;              /* in members.list */
    uint16_t flags;
    uint16_t rtt_8ths,
        rtt_var_4ths; /* of its round trips, ms; 0: not measured (probe.h), or no longer right */
    uint16_t answers; /* given to it in one second: bulk_allow_answer() */
    uint8_t state, ev_before;
    uint8_t addr_used;
    uint8_t doc_strikes; /* documents from it that were no good */
};

enum { MEMBER_CHUNK = 64 };
struct member_slot {
    uint16_t place; /* in the chunks, + 1; 0: empty */
    uint16_t tag;   /* of the id's hash, so that a search seldom looks at a member that it does not seek */
};

struct members {
    uint16_t *list;        /* places in the chunks */
    struct member **chunk; /* of MEMBER_CHUNK members each */
    uint32_t count, cap, chunks;
    uint32_t used;   /* places that ever held a member */
    uint16_t vacant; /* the last place given back, + 1; its member's slot holds the one before; 0: none */
    struct member_slot *index;
    uint32_t index_cap;
    uint64_t key;
    uint32_t by_state[4];
    uint32_t
        speaking[GOSSIP_PROTOCOL_MAX + 1]; /* of the alive and suspect, by the newest version they speak */
    uint64_t sum[SUM_LANES];
    uint64_t sum_changes; /* how often it has */
};

void members_init(struct members *t, uint64_t key);
void members_fini(struct members *t);
struct member *members_find(const struct members *t, const struct node_id *id);
/* A new member in state DEAD with this record (a reference of its own is taken), not yet part of the summary. NULL:
 * no memory, or GOSSIP_MEMBERS_MAX reached (the caller asks count). */
struct member *members_add(struct members *t, struct record_blob *record, mono_ms now);
void members_remove(struct members *t, struct member *m);

/* A member's place stays the same until it is removed, and may then be another's. */
static inline struct member *members_at_place(const struct members *t, uint16_t place)
{
    return &t->chunk[place / MEMBER_CHUNK][place % MEMBER_CHUNK];
}
static inline uint16_t members_place(const struct members *t, const struct member *m)
{
    return t->list[m->slot];
}
/* The i-th of count. */
static inline struct member *members_at(const struct members *t, uint32_t i)
{
    return members_at_place(t, t->list[i]);
}

static inline const struct node_id *member_id(const struct member *m)
{
    return &m->record->id;
}
/* The newest protocol version that it speaks, as far as we know that one. */
static inline uint8_t member_protocol(const struct member *m)
{
    uint8_t newest = m->record->protocol_max;
    return newest < GOSSIP_PROTOCOL_MAX ? newest : GOSSIP_PROTOCOL_MAX;
}
static inline uint64_t member_incarnation(const struct member *m)
{
    return m->record->incarnation;
}
static inline uint64_t member_version(const struct member *m)
{
    return m->record->version;
}
static inline uint8_t member_addr_count(const struct member *m)
{
    return m->record->addr_count;
}
static inline const struct addr *member_addr(const struct member *m, uint32_t i) /* i below the count */
{
    return &m->record->addr[i];
}

static inline struct suspicion *member_suspicion(const struct member *m)
{
    return m->busy ? m->busy->suspicion : NULL;
}
static inline struct rumor *member_fresh(const struct member *m)
{
    return m->busy ? m->busy->fresh : NULL;
}
static inline struct rumor *member_opinion(const struct member *m)
{
    return m->busy ? m->busy->opinion : NULL;
}
static inline mono_ms member_vouched_until(const struct member *m)
{
    return m->busy ? m->busy->vouched_until : 0;
}
static inline mono_ms member_works_until(const struct member *m)
{
    return m->busy ? m->busy->works_until : 0;
}
/* To write them. NULL: no memory. */
struct member_busy *member_busy(struct member *m);
/* Frees what member_busy() made once nothing is in it. Call it after taking something out. */
void member_settle(struct member *m);

void members_set_state(struct members *t, struct member *m, enum gossip_state state, mono_ms now);
/* Takes a reference of its own. The record is part of the summary from now on. */
void members_set_record(struct members *t, struct member *m, struct record_blob *record);
/* What only we remember, or nearly nobody any more, is not part of the summary. Tombstones near their end
 * leave the summary before they are forgotten, so that different clocks do not look like news. */
void members_sum(struct members *t, struct member *m);
void members_unsum(struct members *t, struct member *m);
/* Adds what has this hash to a sum, or takes it away. */
void sum_add(uint64_t sum[SUM_LANES], const struct hash *hash, bool add);
struct summary sum_fold(const uint64_t sum[SUM_LANES], uint64_t nonce);
/* The same, by way of what instances of this pool (may be NULL) have folded lately: who answers a ping folds what its sender
 * has folded just before, if they hold the same. */
struct fold {
    uint64_t nonce, sum[SUM_LANES];
    struct summary summary;
};
enum { FOLDS_SHARED = 64 };
struct summary sum_fold_shared(struct gossip_pool *pool, const uint64_t sum[SUM_LANES], uint64_t nonce);

/* A random member whose state is in `states` (bit per state) and which is none of `not`; NULL: there is none.
 */
struct member *members_pick(const struct members *t, struct rng *r, unsigned states,
                            const struct member *const * not, size_t not_count);

static inline unsigned state_bit(enum gossip_state s)
{
    return 1u << s;
}

/* Spreads ids over 64 bits; the same on every machine. With a key nobody else knows, no one can choose ids that
 * collide. */
uint64_t member_hash(const struct node_id *id, uint64_t key);

/* Anti-entropy: members fall into 2^bits buckets by a hash of id and salt; a bucket's digest is the sum of a
 * hash of salt, record hash and whether the member is held dead. The salt is fresh for each sync, so nobody
 * can aim at a bucket or prepare a collision. */
/* Its place among all members: 64 bits. A bucket is the first bits of a place. */
uint64_t member_place(const struct member *m, uint64_t salt);
/* What it adds to the digest of a range or bucket. */
uint64_t member_digest(const struct member *m, uint64_t salt);
uint32_t member_bucket(const struct member *m, uint64_t salt, uint8_t bits);
uint8_t members_digest_bits(const struct members *t);
/* Fills digest[0 .. 2^bits). Leaves out `without` (may be NULL) and members that are not summed. */
void members_digest(const struct members *t, uint64_t salt, uint8_t bits, const struct node_id *without,
                    uint64_t *digest);

/* True if `incarnation`, `version` are newer (> 0), equal (0) or older (< 0) than the member's. */
int member_cmp(const struct member *m, uint64_t incarnation, uint64_t version);

#endif
