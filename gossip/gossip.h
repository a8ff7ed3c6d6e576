/* gossip.h: SWIM membership with owner-signed records, as an embeddable, sans-I/O library.
 *
 * What it decides: who is a member, in which state (alive, suspect, dead, left), whom to probe, what to tell whom, and
 * when full state must be exchanged. What it does not: it opens no socket, reads no clock, starts no thread, holds no
 * key, touches no file. Bytes and `now` go in; packets, events and a next deadline come out. Whoever embeds it gives it
 * (a) a way to send a datagram and a bulk message to a member over channels that authenticate the sender, and
 * (b) a `verify` that checks a member's signed record. Nothing in it is Starling's alone.
 *
 * Facts have owners. A record is accepted only if `verify` says that its subject signed it; relays pass the same bytes
 * on. Suspicions and deaths are other members' opinions about a record (subject, incarnation, version): they never raise
 * a number that the subject did not sign, and only the subject refutes, with a higher incarnation that it signs.
 * Records of one subject are ordered by (incarnation, version); equal numbers with different bytes is equivocation: the
 * smaller hash wins everywhere and an event reports it.
 *
 * Two lanes. DATAGRAM: at most `packet_bytes_max`, unreliable, between members that know each other's record. BULK:
 * reliable messages of at most GOSSIP_BULK_MAX, over a connection that may go to a bare address (a seed) whose identity
 * is learned on the way; used for full state at join, for records too large for a datagram, and for documents
 * (policies), which are announced by (epoch, version, hash) and pulled by hash.
 *
 * A turn of the loop that drives an instance, in this order:
 *
 *   gossip_late()         if the loop is late: before anything else
 *   gossip_receive()      for each message that waits in the sockets
 *   gossip_tick()         at gossip_deadline() or later
 *   gossip_poll_event()   until false: store, sign, gossip_own_set()
 *   gossip_poll_send()    until false: send
 *
 * The least that an embedder does: gossip_new(), gossip_own_set(), gossip_seeds_set(), these turns, and an answer to
 * GOSSIP_EV_WANT_INCARNATION; docs/gossip-example.c is a whole program. To leave: gossip_own_set() with a record whose
 * claim says `left`, then go on with the turns until GOSSIP_EV_LEFT_SENT. All times are of one monotonic clock and
 * never go back (asserted). Nothing here blocks; pointers into an instance are good until the next call into it that
 * takes it without const. Arguments are borrowed for the call and copied where they are kept. Functions that return
 * nothing do what they can: without memory they leave things as they were, and what is repeated anyway makes up for it.
 *
 * SWIM: Das, Gupta, Motivala 2002. Lifeguard: Dadgar, Phillips, Currey 2018. Which rule comes from where, and what it
 * does: docs/gossip.md. Belongs to one loop; not thread-safe. */
#ifndef GOSSIP_GOSSIP_H
#define GOSSIP_GOSSIP_H

#include "base/addr.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"

struct gossip;
struct gossip_pool;

enum {
    GOSSIP_RECORD_MAX = 8 * 1024,   /* bytes of one signed record; larger ones are refused */
    GOSSIP_BULK_MAX = 1280 * 1024,  /* bytes of one bulk message; also the largest document plus its header */
    GOSSIP_DOC_MAX = 1024 * 1024,   /* bytes of one document */
    GOSSIP_DOC_KINDS_MAX = 8,       /* kinds of documents are numbered from 1 to this; others are ignored */
    GOSSIP_PACKET_BYTES_MIN = 1000, /* every datagram that must fit one does */
    GOSSIP_MEMBERS_MAX = 20000,     /* members known at once; further records are refused, counted */
    GOSSIP_ADDRS_MAX = 2,           /* addresses of one member: usually one of IPv4 and one of IPv6 */
    GOSSIP_PROTOCOL_MIN = 1, /* the oldest protocol version that this code speaks (docs/protocol.md) ... */
    GOSSIP_PROTOCOL_MAX = 2, /* ... and the newest */
    GOSSIP_COORDINATE_BYTES = 11,
};

/* Where a member is in the space of round trips (coordinate.h), as it travels: of no meaning to the embedder, who puts
 * it into the record as it is and takes it out again. All zeros: unknown. */
struct gossip_coordinate {
    uint8_t b[GOSSIP_COORDINATE_BYTES];
};

/* What a verified record says that membership must know. Filled in by `verify`. */
struct gossip_claim {
    struct node_id id;
    /* Both below 2^62; a record with more is refused, for nobody could refute above it. */
    uint64_t
        incarnation; /* raised by the owner: by one to refute, by GOSSIP_START_LEAP at least at every start */
    uint64_t version;   /* raised by the owner with every new record within an incarnation */
    bool left;          /* the owner says good-bye; a tombstone */
    uint8_t addr_count; /* 1..GOSSIP_ADDRS_MAX */
    struct addr addr[GOSSIP_ADDRS_MAX];
    struct hash hash; /* of the record's exact bytes; cryptographic: it stands for them in comparisons */
    /* The newest protocol version that its owner says it speaks; 0, as whoever does not know of versions leaves it: 1.
     * What it is sent is never in a newer one, so nobody on the way can talk two members down. */
    uint8_t protocol_max;
    struct gossip_coordinate coordinate;
};

/* Questions to the outside, both of which must be there. Called synchronously, must not call back into gossip. */
struct gossip_verify {
    /* Is this record (1 to GOSSIP_RECORD_MAX bytes, from anybody) signed by its subject, of this mesh, in time, not revoked?
     * On ERR_OK fills in *out. Anything else: the record is dropped and counted (records_refused). It is asked of each record that
     * comes, known ones too: remember verdicts by the record's hash if they are dear. */
    enum err (*record)(void *arg, struct bytes record, struct gossip_claim *out);
    /* The stored document with this hash, or {NULL,0}: the asker is told that we have none. Its bytes stay good until the next
     * call into gossip. */
    struct bytes (*document)(void *arg, const struct hash *hash);
    void *arg;
};

/* Zero means the default in brackets. Times in milliseconds. */
struct gossip_config {
    struct node_id self;
    struct gossip_pool *pool;   /* [none] instances of one loop that share it hold each record once */
    uint64_t seed;              /* of every random choice; same seed and inputs -> same outputs */
    uint32_t packet_bytes_max;  /* [1100] plaintext of a datagram: IPv6's 1280 less headers and sealing; not
                                   below GOSSIP_PACKET_BYTES_MIN */
    uint32_t probe_interval_ms; /* [1000] each member is probed once per interval (SWIM's period) */
    uint32_t
        probe_timeout_ms; /* [300] after which indirect probes start, until round trips are measured; below
                                   probe_interval_ms (asserted) */
    uint32_t indirect_probes;      /* [3] SWIM's k; 8 at most are asked */
    uint32_t suspicion_mult;       /* [4] suspicion lasts mult * max(1, log10 n) * probe_interval */
    uint32_t retransmit_mult;      /* [4] SWIM's lambda: a rumor is sent mult * ceil(log10(n+1)) times */
    uint32_t eager_fanout;         /* [4] members told at once of a fresh rumor; below 64 (asserted) */
    uint32_t bytes_per_second_max; /* [65536] datagram bytes in any second, at most; probes and acks first */
    uint32_t sync_interval_ms;     /* [60000] full-state exchange with a random member, the last safety net */
    uint32_t seed_retry_min_ms;    /* [500] back-off between attempts to reach a seed, doubling */
    uint32_t seed_retry_max_ms;    /* [30000] ... up to this, for ever */
    uint32_t dead_retry_ms; /* [10000] how often one dead member is tried again, so that partitions heal */
    uint64_t tombstone_ms;  /* [7 days] how long dead and left members are remembered */
    uint8_t protocol;       /* [GOSSIP_PROTOCOL_MAX] the newest version to speak: that of our records */
    uint32_t without; /* [0] GOSSIP_ parts left out, to measure what each is worth; agents leave out none */
};

/* Parts of gossip that can be left out in experiments; with all but SUSPICION left out it is SWIM. */
enum gossip_part {
    GOSSIP_LOCAL_HEALTH = 1, /* Lifeguard IV-A, LHA-Probe: who doubts itself probes slower and waits longer */
    GOSSIP_NACK = 2,         /* Lifeguard IV-A: relays say so when the probed did not answer them */
    GOSSIP_CONFIRMATIONS =
        4, /* Lifeguard IV-B, LHA-Suspicion: others' words shorten a suspicion that begins long */
    GOSSIP_TELL_SUSPECT = 8, /* Lifeguard IV-C, Buddy System: the suspect is told first */
    GOSSIP_VERIFY = 16,      /* own looks decide, not words; who hears nobody accuses nobody */
    GOSSIP_OBSERVERS = 32,   /* assigned observers in turn (Rapid) instead of random probes */
    GOSSIP_EAGER = 64,       /* eager push of fresh rumors */
    GOSSIP_LATENESS = 128,   /* what gossip_late() does */
    GOSSIP_RTT = 256,        /* probe timeouts from measured round trips (RFC 6298) */
    GOSSIP_REFUSAL = 512,    /* a refused dial, seen by us and others, ends the forgiven pause */
    GOSSIP_EXPLORE = 1024,   /* probes whose only end is to learn where we are (Vivaldi, coordinate.h) */
    GOSSIP_DEGRADE = 2048,   /* the mark of those who come and go */
    GOSSIP_SUSPICION =
        4096,              /* SWIM 4.2: a suspect has time to refute; without it a failed probe is a death */
    GOSSIP_REPEAT = 8192,  /* pings sent again, as often as the loss that is seen asks for */
    GOSSIP_RATION = 16384, /* what is done on the mere word of others is limited (credit.h) */
    GOSSIP_PARTS = 32767,  /* all of these; a new one goes in, or studies show what it does as SWIM's */
};

/* For many instances in one loop, as in a simulator. Outlives them. NULL: no memory. */
struct gossip_pool *gossip_pool_new(void);
void gossip_pool_free(struct gossip_pool *p);

/* Instances of one pool met long ago: each learner holds the present record of all of these, alive, and there is nothing
 * left to tell. So a simulator begins with a large mesh that is at rest, without a hundred million joins; who learns before
 * another publishes anew is one who has missed that. All have their own record set and say no good-bye; learners are
 * among them and know nobody yet. No event tells the embedder, which named them itself.
 * ERR_FULL: more than GOSSIP_MEMBERS_MAX, nothing happened. ERR_NOMEM: some know some; free them all. */
must_check enum err gossip_acquaint(struct gossip *const *learner, size_t learners, struct gossip *const *all,
                                    size_t count);

/* Creates an instance at time `now`; it says nothing before gossip_own_set(). Both are copied; what verify->arg and the pool point
 * to must outlive it. A configuration that breaks its bounds is the caller's bug (asserted). NULL: no memory. */
struct gossip *gossip_new(const struct gossip_config *config, const struct gossip_verify *verify,
                          mono_ms now);
void gossip_free(struct gossip *g); /* says nothing to anybody; may be NULL */

/* Publishes our own record (signed by us; our previous one is replaced everywhere). The caller has stored its
 * incarnation durably before: after a crash nobody would believe a number that was used already. After an error the record
 * before is still ours.
 * ERR_STALE: not newer than our current record; sign one with higher numbers. ERR_INVALID: it is another's, a bug of the
 * caller. ERR_LIMIT: its size, numbers or addresses are out of bounds (no address that may be dialled, say): sign another.
 * ERR_NOMEM: try again. Other errors: verify's, which refuses our own word; others would too. */
must_check enum err gossip_own_set(struct gossip *g, struct bytes record, mono_ms now);

/* Replaces the list of seed addresses (already resolved; call again after each resolution: those that stay keep their
 * back-off). The first 64 count. Seeds are contacted over the bulk lane with back-off for ever while none answers, and slowly
 * while one is not known as a live member; our own address among them does no harm. */
void gossip_seeds_set(struct gossip *g, const struct addr *seeds, size_t count, mono_ms now);

/* A member remembered from before a restart: verified like any other, then treated as suspect-to-be-probed, not believed
 * alive until it answers. ERR_STALE: it is known already, or it is ourselves; nothing happened, go on. ERR_FULL: there are
 * GOSSIP_MEMBERS_MAX. ERR_LIMIT: as for gossip_own_set(). Other errors: verify's. A record that is refused can be dropped from
 * the store: its owner, if it lives, is heard of again. */
must_check enum err gossip_member_load(struct gossip *g, struct bytes record, mono_ms now);

/* Asks seeds and loaded members what they hold of us, before we say anything: a disk that was lost, or put back from a copy,
 * gives a number that the mesh has seen already (gossip/recall.c). Call it after gossip_member_load() and before the first
 * gossip_own_set(), which then waits for GOSSIP_EV_RECALLED; it comes within 3 s, at once when there is nobody to ask. With
 * seeds_follow, gossip_seeds_set() is still to come. Who starts without it learns the number a second later, by being
 * outnumbered. */
void gossip_recall(struct gossip *g, bool seeds_follow, mono_ms now);

/* Announces that we hold a document of `kind` (1 to GOSSIP_DOC_KINDS_MAX, asserted) with this (epoch, version, hash),
 * in place of what was announced of that kind before, whatever its numbers: which is newer the embedder has decided. Members that
 * hold an older one will pull it from us (gossip_verify.document), if both numbers are below 2^63. The lower hash wins at equal
 * (epoch, version). */
void gossip_doc_set(struct gossip *g, uint8_t kind, uint64_t epoch, uint64_t version, const struct hash *hash,
                    mono_ms now);

/* Tells this member at once what we hold of `kind`, besides whoever else is told: for one whom it concerns. Nothing if we hold
 * none of that kind or do not know the member. */
void gossip_doc_tell(struct gossip *g, uint8_t kind, const struct node_id *to, mono_ms now);

enum gossip_lane {
    GOSSIP_DATAGRAM, /* at most packet_bytes_max; may be lost, doubled, late, out of order */
    GOSSIP_BULK,     /* at most GOSSIP_BULK_MAX; arrives whole, or gossip_bulk_failed() says so */
    /* Only polled: no message. Dial the TCP port at `addr`; if that is refused, say so by gossip_link_lost(GOSSIP_LINK_REFUSED);
     * else say nothing; hang up in any case. Who ignores it waits longer for the death of a process. */
    GOSSIP_KNOCK,
};

/* Applies one message that arrived on `lane` (not KNOCK, asserted) from the authenticated `from`, a member or one to be, at
 * address `via`, where answers go. Replies and events are queued; drain them with gossip_poll_event() and gossip_poll_send().
 * Before the first gossip_own_set() only what gossip_recall() asked for is taken.
 * ERR_MALFORMED, ERR_UNSUPPORTED (of a version or type that we do not speak): nothing was applied, and it is counted; drop
 * it and keep the session. ERR_NOMEM: a prefix may be applied; safe to go on. */
must_check enum err gossip_receive(struct gossip *g, enum gossip_lane lane, const struct node_id *from,
                                   const struct addr *via, struct bytes msg, mono_ms now);

/* A bulk message to this member (zero id: to the seed at this address) could not be delivered: nobody was reached, somebody else
 * answered, or the connection ended before all was written. Then another is asked soon, and not only when time is up. */
void gossip_bulk_failed(struct gossip *g, const struct node_id *to, const struct addr *addr, mono_ms now);

/* This member may not be one any more (its key is revoked, say, and `verify` refuses its records from now on): it is
 * forgotten at once, with all that was to be told about it, and a FORGOTTEN event follows unless nobody was told of it.
 * Not for ourselves. Unknown: nothing happens. */
void gossip_evict(struct gossip *g, const struct node_id *id, mono_ms now);

/* Evidence from traffic. Whatever connects to members besides gossip tells what it sees; a note a second and link is enough.
 * Nothing here decides alone: losses make us look, and only a failed look of ours ever accuses. */
enum gossip_loss {
    GOSSIP_LINK_BROKEN,  /* reset or timed out, or a dial of ours was not answered */
    GOSSIP_LINK_REFUSED, /* its host reset a dial of ours: nobody listens there, the process is gone */
};
/* It is probed at once instead of in its turn. That dials are refused shortens the pause that is forgiven, if our own
 * probe fails too and others are refused as well (evidence.c). */
void gossip_link_lost(struct gossip *g, const struct node_id *id, enum gossip_loss how, mono_ms now);
/* A link to it just carried something authenticated: for LINK_FRESH_MS (1.5 s) we do not accuse it, others' accusations
 * make us look and no more; a suspicion of ours ends. One that we hold dead is probed. */
void gossip_link_works(struct gossip *g, const struct node_id *id, mono_ms now);

/* The loop that drives this instance was late by this much; added to every deadline it holds over others, once. Call it
 * before anything else in that turn, then gossip_receive() for all that waits in the sockets, then gossip_tick(): who
 * was late has not heard yet what others said. From 100 ms on it also takes back what it was about to say of
 * others: probes under way are void, suspicions are looked into anew. */
void gossip_late(struct gossip *g, uint32_t late_ms);

/* The exact time of what comes next, for round trips below a millisecond: call it before gossip_receive() with when the
 * datagram was read from the socket, and before gossip_poll_send(). The clock is that of `now` and may be ahead of it;
 * without it, or when `now` has overtaken it, round trips count in whole milliseconds. */
void gossip_time_us(struct gossip *g, mono_us now);

/* Fires what is due. Call at gossip_deadline() or later; earlier calls are harmless. */
void gossip_tick(struct gossip *g, mono_ms now);
/* When the next turn is due at the latest, by the clock of `now`; it may be past. Any other call may bring it nearer, so ask
 * when the turn is over. NEVER only while nothing is ever to happen. */
mono_ms gossip_deadline(const struct gossip *g);

/* What silence after a packet means, for a channel whose sessions the other side may have lost without a word. */
enum gossip_expects {
    GOSSIP_NO_ANSWER,     /* nothing */
    GOSSIP_ANSWER,        /* an answer is due within a round trip */
    GOSSIP_ANSWER_OVERDUE /* it was due already: better send this by a new session too */
};
struct gossip_packet {
    enum gossip_lane lane;
    struct node_id to; /* zero: whoever answers at `addr` (bulk lane, seeds) */
    struct addr addr;
    struct bytes msg;            /* empty for a knock; valid until the next call into this instance */
    enum gossip_expects expects; /* datagrams */
};
/* The next thing to send; false: nothing now (what waits for the byte budget is there at gossip_deadline()). What was taken
 * counts as sent: a datagram that cannot be is lost, of a bulk message tell gossip_bulk_failed(). */
bool gossip_poll_send(struct gossip *g, struct gossip_packet *out);

/* A process that starts leaves so many incarnations out, from the highest of its life before on. So others tell one that
 * was started again from one that was only silent, and hold no silence against the former (gossip/degrade.c). Who does not
 * leave them out is a member like any other, but may be marked degraded for a while when it comes back. */
enum { GOSSIP_START_LEAP = 16 };

enum gossip_state { GOSSIP_ALIVE, GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_LEFT };
const char *gossip_state_text(enum gossip_state s); /* "alive" "suspect" "dead" "left" */

enum gossip_event_type {
    /* Our own record is a member too, and has events like any other. */
    GOSSIP_EV_MEMBER, /* a member appeared, changed state, got or lost its mark, or published a newer record */
    GOSSIP_EV_FORGOTTEN, /* a tombstone expired; `id` is no longer known */
    GOSSIP_EV_WANT_INCARNATION, /* we are accused or outnumbered: store an incarnation >= `number`, sign, gossip_own_set() */
    /* After gossip_recall(): the highest incarnation of ours that others hold is `number`, 0 if they know none. Store one
     * that is GOSSIP_START_LEAP above it and above our own last one, sign, gossip_own_set(). */
    GOSSIP_EV_RECALLED,
    GOSSIP_EV_DOC_OFFERED,  /* a member holds a newer document; it is being pulled */
    GOSSIP_EV_DOC_RECEIVED, /* a pulled document arrived: check it, store it, then gossip_doc_set() */
    /* `id` signed two records with one number; `record` and `other` are the proof. If `id` is ourselves, it may also be
     * that another agent runs with our key: `other` is what it published. The one with the lower address goes on,
     * the other says and hears nothing for ten minutes, so that nothing flaps (both are told). */
    GOSSIP_EV_EQUIVOCATION,
    GOSSIP_EV_JOINED, /* the first full state was exchanged with another member */
    /* Our record is to say something else: our coordinate has changed, or gossip_protocol_of_all() is another than when it
     * was set. Sign the next version and gossip_own_set() it. Comes seldom (coordinate.h says how seldom). */
    GOSSIP_EV_MOVED,
    GOSSIP_EV_LEFT_SENT, /* after our own left record: it has been told to enough members to exit now */
};

struct gossip_event {
    enum gossip_event_type type;
    struct node_id id; /* MEMBER, FORGOTTEN, EQUIVOCATION: the subject; DOC_*: the member it came from */
    enum gossip_state before, after; /* MEMBER */
    bool is_new, record_changed;     /* MEMBER */
    bool is_degraded;                /* MEMBER: now, see struct gossip_member */
    bool is_quarantined;             /* MEMBER: now, see struct gossip_member */
    struct bytes record,
        other;        /* MEMBER: the current record; EQUIVOCATION: both. Valid until the next call */
    uint64_t number;  /* WANT_INCARNATION, RECALLED */
    uint8_t doc_kind; /* DOC_* */
    uint64_t doc_epoch, doc_version;
    struct hash doc_hash;
    struct bytes doc; /* DOC_RECEIVED: the bytes, hash not yet checked. Valid until the next call */
};
/* The next event, or false. A later change of a member folds into its waiting event, so there is at most one for each; without
 * memory a FORGOTTEN may be lost, and of more than 64 equivocations at once those beyond come later. */
bool gossip_poll_event(struct gossip *g, struct gossip_event *out);

struct gossip_member {
    struct node_id id;
    enum gossip_state state;
    /* It comes and goes, or loses most packets, as looks of our own have shown: alive, but to be used only where no other is
     * left. Set and taken back with hysteresis (10 to 160 s); a GOSSIP_EV_MEMBER tells either. Local: what others saw
     * of it makes us look, and no more. */
    bool is_degraded;
    /* It signed two records with one number: its key is in two hands, and nothing is to be routed to it. Known everywhere
     * within a second; ends half a minute after a newer record came, if nothing was disputed since. GOSSIP_EV_MEMBER tells
     * either. */
    bool is_quarantined;
    uint64_t incarnation, version;
    struct addr addr; /* the one in use */
    struct bytes record;
    mono_ms since; /* of the state */
};
/* Reads one member; false if unknown. Our own record is a member too. */
bool gossip_member_get(const struct gossip *g, const struct node_id *id, struct gossip_member *out);
/* Iterates over all members, those that are dead or have left included, in a stable order: start with *cursor = 0, until false. Do
 * not change the instance meanwhile. */
bool gossip_member_next(const struct gossip *g, size_t *cursor, struct gossip_member *out);

/* Where we are now; zeros: not known yet. */
struct gossip_coordinate gossip_own_coordinate(const struct gossip *g);
/* Round trips, us; 0: unknown. Foretold from here to the member, by the latest that it told us or everybody; and the
 * median of our latest probes of it. */
struct gossip_rtt {
    uint32_t estimated_us, measured_us;
};
struct gossip_rtt gossip_rtt(const struct gossip *g, const struct node_id *id);
/* Foretold between any two members that have published where they are, us; 0: unknown. */
uint32_t gossip_rtt_between_us(const struct gossip *g, const struct node_id *a, const struct node_id *b);
/* The newest protocol version that we and all members held alive or suspect speak; the oldest while there is no other. */
uint8_t gossip_protocol_of_all(const struct gossip *g);

struct gossip_counts {
    uint32_t alive, suspect, dead, left;
};
struct gossip_counts gossip_counts(const struct gossip *g); /* of all known, ourselves included */
/* Another agent runs with our key and goes before us: we are silent for ten minutes (GOSSIP_EV_EQUIVOCATION told it). */
bool gossip_is_yielding(const struct gossip *g);

/* Counters since creation: their names, as the metrics call them, and what they count. */
/* clang-format off */
#define GOSSIP_STATS(X) \
    X(probes_sent, "Probes of other members begun.") \
    X(probes_failed, "Probes that brought no answer, neither directly nor through others.") \
    X(acks_received, "Probes that were answered.") \
    X(acks_unmatched, "Answers to no probe under way: late ones, second ones, and forged ones.") \
    X(indirect_probes_sent, "Members asked to probe another one for us.") \
    X(suspicions, "Times that a member was held suspect.") \
    X(refutations, "Times that we had to refute what others said of us.") \
    X(deaths, "Times that a member was held dead.") \
    X(records_applied, "Records of members that were newer than what was known.") \
    X(records_stale, "Records that were older than what was known.") \
    X(records_refused, "Records that were not authentic, not in time, too large, without an address that may be dialled, or of one member too many.") \
    X(messages_malformed, "Messages that could not be decoded; nothing of them was applied.") \
    X(messages_unknown, "Messages of a version or type that this agent does not know.") \
    X(datagrams_sent, "Datagrams of gossip sent.") \
    X(datagram_bytes_sent, "Bytes of these datagrams, before they are sealed.") \
    X(bulk_sent, "Messages sent over the bulk lane.") \
    X(budget_deferred, "Times that news waited because the byte budget of the second was used up.") \
    X(nacks_received, "Relays that said that the member to be probed does not answer them either.") \
    X(degradations, "Times that a member was marked as one that comes and goes.") \
    X(knocks_sent, "Dials to the TCP port of a suspect, to see whether its process is there.") \
    X(lateness, "Times that the loop was late, and deadlines were moved.") \
    X(equivocations, "Members that signed two records with one number.") \
    X(moved, "Times that our own record was made anew because our coordinate had moved.")
/* clang-format on */
struct gossip_stats {
#define X(name, help) uint64_t name;
    GOSSIP_STATS(X)
#undef X
};
const struct gossip_stats *
gossip_stats(const struct gossip *g); /* goes on counting; lives as long as the instance */

#endif
