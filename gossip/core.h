/* core.h: the instance, shared by the files that conduct. The parts (member, rumor, suspect, probe, budget,
 * message) do not see it.
 *
 *   in and out
 *   gossip.c    the API: creation, what the embedder says and asks
 *   receive.c   datagrams in                      send.c      datagrams out, made when they are polled
 *   bulk.c      bulk messages in: sync            jobs.c      bulk messages out, made when they are polled
 *   event.c     what the embedder is told         timers.c    what falls due
 *
 *   who lives
 *   apply.c     what records do to a member: the one place where states change
 *   detect.c    probes: when, how often, through whom, and what silence means
 *   turns.c     whom to probe next                watch.c     who watches whom, and when
 *   retry.c     the silent, asked again
 *   ping_req.c  probes that others ask us for     health.c    what our own word is worth
 *   opinion.c   what others say about members     hearing.c   what acting on their mere word may cost
 *   verdict.c   what becomes of a suspect         own.c       what others say about us
 *   degrade.c   who comes and goes                evidence.c  what other connections tell
 *   quarantine.c  who signed two records with one number
 *
 *   who is told
 *   tell.c      rumors, and how they are packed   circle.c    to whom fresh ones are pushed
 *   want.c      records heard of and pulled       docs.c      documents offered and pulled
 *   range.c     differences found in datagrams    differ.c    what two members hold, side by side
 *   seeds.c     addresses to join by              catch_up.c  one that lacks much asks one after another
 *   recall.c    what others hold of us, asked before we say anything
 *   locate.c    where we are in the space of round trips
 *   acquaint.c  instances that met long ago (simulator)
 *
 * Nothing that goes out is stored as bytes: an outgoing packet is an intention (ping m, tell rumors, answer a
 * sync from this cursor) and is encoded when it is polled, from the state of that moment. So queues are
 * small, and a newer fact replaces an older one even in them. */
#ifndef GOSSIP_CORE_H
#define GOSSIP_CORE_H

#include "base/buf.h"
#include "base/rng.h"
#include "gossip/accuser.h"
#include "gossip/budget.h"
#include "gossip/circle.h"
#include "gossip/coordinate.h"
#include "gossip/credit.h"
#include "gossip/gossip.h"
#include "gossip/limits.h"
#include "gossip/member.h"
#include "gossip/message.h"
#include "gossip/probe.h"
#include "gossip/rumor.h"
#include "gossip/suspect.h"
#include "gossip/watch.h"

enum out_type {
    OUT_PING,
    OUT_ACK,
    OUT_PING_REQ,
    OUT_RELAYED_ACK,
    OUT_NACK,
    OUT_RECORD,
    OUT_DOC,
    OUT_WARNING,
    OUT_WORD
};
struct out {
    enum out_type type;
    uint8_t hops, doc_kind;
    bool is_rival;   /* RECORD: the other one with its number */
    bool is_overdue; /* PING: somebody has waited for its ack already */
    uint16_t ms;     /* ACK: until its next turn; PING_REQ: the word is awaited so long */
    struct member *to;
    struct member *about; /* PING_REQ, RELAYED_ACK: whom; RECORD: whose; WARNING: who accuses it;
                             WORD: whom we accuse */
    struct addr via;
    uint64_t nonce;
    mono_ms since; /* when it was put there, of the urgent ones */
};
struct outbox {
    struct out *ring;
    uint32_t head, count, cap;
};

struct want {
    struct node_id id;
    uint64_t incarnation, version;
    struct hash hash;
    struct member *source[2]; /* who announced it; the next try goes to the other */
    mono_ms deadline;
    uint16_t record_bytes;
    uint8_t hops, tries;
    bool is_asked;
};
struct wants {
    struct want *list;
    uint32_t count, cap;
};

enum job_type { JOB_SYNC, JOB_ANSWER, JOB_RECORDS, JOB_FETCH, JOB_DOC_GET, JOB_DOC };
struct job {
    struct job *next;
    enum job_type type;
    uint8_t bits;
    struct node_id to; /* zero: whoever answers at addr */
    struct addr addr;
    uint64_t salt;
    uint32_t cursor; /* ANSWER: slot, and the bucket for lists; RECORDS: index into ids */
    uint8_t send[BUCKETS_MAX / 8], list[BUCKETS_MAX / 8]; /* ANSWER: buckets sent as records, as lists */
    bool is_sample;                                       /* ANSWER: some records, no lists */
    bool is_listing;                                      /* ANSWER: records are sent, lists follow */
    struct buf ids;                                       /* RECORDS, FETCH */
    struct doc_version doc;
};

enum fetch_state { FETCH_IDLE, FETCH_ASKED, FETCH_DELIVERED };
struct doc_offer {
    struct doc_version doc;
    struct node_id from;
};
struct doc_kind {
    struct doc_version held; /* what the embedder announced; is_held */
    struct doc_version asked;
    struct node_id asked_of;
    enum fetch_state fetch;
    mono_ms deadline;
    struct doc_offer offer[DOC_OFFERS_MAX];
    struct rumor *rumor;
    struct buf received;
    uint8_t kind, offers;
    bool is_held, is_offered_event, is_received_event;
};

struct seed {
    struct addr addr;
    struct node_id id; /* who answered there; zero until then */
    mono_ms next_at;
    uint32_t backoff_ms;
};

/* The latest summaries, since each is asked for twice: a nonce comes back with its ack, or its ack is made of it. */
struct folds {
    uint64_t sum_changes; /* of the members when these were made */
    uint32_t next;
    uint64_t nonce[FOLDS_KEPT];
    struct summary summary[FOLDS_KEPT];
};

struct sync_sent { /* a SYNC of ours whose answer may come */
    uint64_t salt;
    uint32_t messages_left; /* that may still answer it */
    uint32_t packets_left;  /* that we may still send in answer to digests with this salt */
};

/* See catch_up.c. */
struct catch_up {
    bool is_on;
    mono_ms at;            /* when the next is asked; while an answer is awaited, when it is given up */
    uint32_t different;    /* what the syncs since the last step showed */
    uint32_t known;        /* members when it was last over */
    struct node_id asked;  /* whose answer is awaited ... */
    mono_ms asked_at;      /* ... and since when */
    uint32_t unanswered;   /* asked one after another in vain */
    struct node_id agreed; /* who showed no difference, if the last did; else zero */
    struct catch_up_partner {
        struct node_id id; /* zero: none */
        mono_ms asked_at;
    } partner[CATCH_UP_PARTNERS]; /* stay when it is over */
    uint32_t turn;                /* of the partners */
};

/* See recall.c. */
struct recalled_by {
    struct node_id id; /* zero: whoever answers at addr */
    struct addr addr;
    bool is_open; /* its answer may come */
};
struct recall {
    bool is_on, is_answered;
    bool awaits_seeds; /* their addresses are not known yet */
    mono_ms until;
    mono_ms more_at;  /* when others are asked too, if nobody has answered by then */
    uint64_t highest; /* incarnation of ours that somebody holds; 0: none */
    uint32_t count;
    struct recalled_by asked[RECALL_ASKED_MAX];
};

/* A DIGEST or RANGE to be sent; encoded when it is polled. */
struct range_out {
    struct member *to;
    struct addr via;
    uint64_t salt;
    uint8_t depth, width, ranges; /* width 0: a RANGE */
    bool is_first;                /* it begins an exchange of ours */
    uint32_t prefix[RANGES_MAX];
};

struct look { /* at a member that refuted before we had looked, is degraded, or is said to be */
    struct member *member;
    mono_ms at;
    uint8_t left; /* looks still to be made, this one among them */
};

struct voice { /* who says that somebody is silent */
    struct node_id accuser, source;
    uint8_t faults; /* of the accuser and its source, then */
    bool is_hearsay;
};
struct hearing { /* see hearing.c */
    struct member *accused;
    mono_ms until;
    uint8_t voices, unsure; /* looks that only relays answered */
    bool is_looked;
    struct voice voice[VOICES_MAX];
};

struct heard { /* it answered a question of ours */
    const struct member *who;
    mono_ms at;
};

struct proof {
    struct node_id id;
    struct record_blob *a, *b;
};

struct ev_queue { /* members with MEMBER_EV_PENDING, by their places; event.c */
    uint16_t *ring;
    uint32_t head, count, cap;
    uint32_t unlisted; /* pending members that the ring had no memory for: looked for when it is empty */
};

/* An instance, in groups by what they are for; named with each are the files that change it most. */
struct gossip {
    struct gossip_config cfg;
    struct gossip_verify verify;
    struct gossip_stats stats;
    struct rng rng;
    mono_ms now;
    struct members members;
    struct member *self; /* NULL until gossip_own_set() */

    /* timers.c: when each is due next */
    mono_ms probe_at, sync_at, sync_ok_at, digest_ok_at, dead_retry_at, sweep_at, refute_ok_at, join_ok_at,
        left_ready_at, left_at;
    mono_ms suspicion_at;  /* not later than the first thing any suspicion has to do */
    mono_ms degraded_at;   /* not later than the end of any mark of one that is alive */
    mono_ms quarantine_at; /* not later than the end of any quarantine */
    mono_ms hearing_at;    /* while there is one: when it is next seen to */
    mono_ms locate_at;     /* when it is next asked whether our record is to say something else */
    mono_ms explore_at;    /* when somebody is looked at only to learn where we are */
    mono_ms wave_at;       /* NEVER while no rumor awaits its second wave */
    mono_ms accused_at;    /* when we refute, if we still may; NEVER */

    /* detect.c, watch.c, turns.c, retry.c: whom we look at */
    struct probes probes;
    struct relays relays;
    struct watch watch;
    struct turns turns;    /* without GOSSIP_OBSERVERS */
    mono_ms ask_ok_at;     /* when we may ask again whether we are heard */
    uint32_t retries;      /* of the silent who are still to be asked ... */
    mono_ms retries_until; /* ... before this (retry.c) */
    mono_ms returns_until; /* just now one of many who were silent answered */

    /* health.c, and what is known of how we hear */
    uint8_t health;                /* Lifeguard's local health multiplier, 0..HEALTH_MAX; 0 is well */
    uint16_t loss;                 /* of round trips, as loss_sample() keeps it */
    struct heard heard[HEARD_MAX]; /* the latest two members of different names */
    mono_ms received_at;           /* the last datagram of a member; 0: none yet */
    mono_ms unheard_since;         /* our first probe since anybody answered us; NEVER: none is unanswered */
    mono_ms heard_again_at;        /* when we were cut off last: what was asked before counts for nothing */
    mono_ms troubled_until;        /* we were late or cut off */

    /* verdict.c, hearing.c: the accused, and what their accusers' words are worth */
    struct suspicions suspicions;
    struct accusers accusers; /* who were wrong in what they told us themselves */
    struct accusers hearsay;  /* in whose name relays told us what was wrong */
    struct credit trust, looks, agreed, watched, hints, refutations, relayed;
    struct hearing *hearing; /* [HEARINGS_MAX] while there is one */
    uint32_t hearing_count;

    /* degrade.c, evidence.c: the marked, and the refused */
    struct look look[LOOKS_MAX];
    uint32_t look_count;
    mono_ms many_silent_until;        /* a quarter of all was silent just now: who returns is no bout */
    struct member *knock[KNOCKS_MAX]; /* whose TCP port is to be tried */
    uint32_t knocks;

    /* own.c: what others say about us */
    mono_ms own_set_at;
    uint64_t wanted_incarnation; /* 0: none wanted; else not yet published */
    mono_ms yield_until;         /* a double of ours goes before us */
    mono_ms overtaken_at;        /* by a record of ours with higher numbers: last, and ... */
    uint64_t overtaken_by;       /* ... by which incarnation, */
    uint8_t overtaken;           /* ... how often */
    struct recall recall;

    /* locate.c: where we are */
    struct coordinate coordinate;
    struct coordinate_pace pace;
    uint32_t explored;     /* up to EXPLORE_MANY */
    mono_us now_us;        /* exact, while its millisecond is `now` */
    uint8_t said_protocol; /* gossip_protocol_of_all() when our record was set */

    /* tell.c, want.c: news */
    struct rumors rumors;
    struct circle circle;       /* whom fresh rumors are pushed to, in a mesh larger than it */
    struct member *pushed_last; /* in a smaller one: not pushed to twice running */
    struct wants wants;

    /* range.c, bulk.c, catch_up.c, seeds.c: agreement */
    uint32_t mismatches, agreements; /* of summaries, in a row */
    struct folds folds;
    uint64_t applied_at_digest; /* stats.records_applied when the last one was begun */
    struct range_out *ranges;   /* [DIGESTS_WAITING_MAX] once the first is needed */
    uint32_t range_count;
    uint8_t sync_backoff;
    struct sync_sent syncs[SYNCS_SENT_MAX]; /* the latest, round about */
    uint32_t sync_next;
    struct catch_up catch_up;
    struct seed *seeds;
    uint32_t seed_count;
    bool is_joined, is_left_told;

    /* docs.c */
    struct doc_kind *doc_kinds;
    uint32_t doc_kind_count;

    /* event.c */
    struct ev_queue ev;
    struct node_id *forgotten;
    uint32_t forgotten_count, forgotten_cap;
    struct proof *proofs;
    uint32_t proof_count;
    bool ev_joined, ev_left_sent, ev_want, ev_recalled, ev_moved;
    struct record_blob *lent[2]; /* kept alive for the event last polled */
    struct buf lent_doc;

    /* send.c, jobs.c: output */
    struct outbox urgent, answers;
    mono_ms held_up_since; /* the first of the urgent ones waits for the byte budget; NEVER */
    struct budget budget, look_share, ride_share;
    struct budget states; /* full states for joiners */
    struct job *jobs, **jobs_end;
    uint32_t job_count;
    uint8_t *packet; /* cfg.packet_bytes_max */
    struct buf bulk;
};

static inline bool is_self(const struct gossip *g, const struct node_id *id)
{
    return node_id_eq(id, &g->cfg.self);
}
static inline bool has_part(const struct gossip *g, enum gossip_part part)
{
    return !(g->cfg.without & (uint32_t)part);
}
/* In experiments: as in SWIM, what a member says is believed, and nobody doubts itself. */
static inline bool is_credulous(const struct gossip *g)
{
    return g->cfg.without & GOSSIP_VERIFY;
}
/* We ask, and nobody has answered for a while: more likely it is we who are cut off, paused or slow. */
static inline bool is_cut_off(const struct gossip *g)
{
    return !is_credulous(g) && g->unheard_since < g->now &&
           g->now - g->unheard_since > CUT_OFF_PROBES * (mono_ms)g->cfg.probe_interval_ms;
}
static inline bool is_leaving(const struct gossip *g)
{
    return g->self && g->self->state == GOSSIP_LEFT;
}
/* Another agent runs with our key and goes before us: until then we say nothing and hear nothing, or the two would take each
 * other's sessions away, and the answers with them (ADVERSARY G33). */
static inline bool is_yielding(const struct gossip *g)
{
    return g->now < g->yield_until;
}
static inline bool is_silent(const struct gossip *g)
{
    return is_leaving(g) || is_yielding(g);
}
/* A quarter of all: that is the network, or so many have failed at once. */
static inline bool are_many_silent(const struct gossip *g)
{
    const uint32_t *n = g->members.by_state;
    uint32_t silent = n[GOSSIP_SUSPECT] + n[GOSSIP_DEAD];
    return silent > 1 && 4 * silent >= n[GOSSIP_ALIVE] + silent;
}
/* P, the pause that is forgiven: nobody is held dead within it. */
static inline mono_ms forgiven_ms(const struct gossip *g)
{
    return (mono_ms)g->cfg.suspicion_mult * g->cfg.probe_interval_ms;
}
static inline uint32_t live_count(const struct gossip *g) /* ourselves included */
{
    return g->members.by_state[GOSSIP_ALIVE] + g->members.by_state[GOSSIP_SUSPECT];
}

/* apply.c */
enum origin { FROM_DATAGRAM, FROM_SYNC, FROM_OWNER, FROM_STORE };
/* How a record came to us. */
struct news {
    struct member *source; /* who told us; NULL: the embedder, or one whose record we do not know yet */
    enum origin origin;
    uint8_t hops;
    enum gossip_state state; /* FROM_SYNC: what the source holds of it, since age_s seconds */
    uint32_t age_s;
};
/* Verifies and applies a record. ERR_OK: it is what we hold now (*out, may be NULL). ERR_STALE: older than
 * what we hold (*out). Else it was refused (out NULL): verify's error, ERR_LIMIT for sizes, numbers and
 * addresses, ERR_FULL, ERR_NOMEM. */
must_check enum err apply_record(struct gossip *g, struct bytes record, const struct news *news,
                                 struct member **out);
/* Is this a record of `from`, signed by itself? If so it is applied; *out is the member, or NULL if it was refused. Of one whom
 * we hold no record of, but whom the channel proved, nothing else counts. */
bool apply_own_word(struct gossip *g, const struct node_id *from, struct bytes record,
                    const struct news *news, struct member **out);
void apply_speak(struct gossip *g,
                 struct member *m); /* others know it too, or it answered: no private memory any more */
void apply_evidence(struct gossip *g, struct member *m); /* it answered our own probe */
/* Its silence began at `since`, as far as we know. */
void apply_suspicion(struct gossip *g, struct member *m, const struct node_id *accuser, mono_ms since,
                     bool is_own, bool is_quiet);
void apply_death(struct gossip *g, struct member *m);
void apply_forget(struct gossip *g, struct member *m);
void apply_spared(struct gossip *g, struct member *m); /* a suspect: most looks found that others hear it */
void apply_evict(struct gossip *g, struct member *m);
void apply_vouch_lapses(struct gossip *g, struct member *m); /* if its time is over */
bool apply_addr(const struct gossip *g, const struct member *m,
                struct addr *out); /* where to reach it; false: nowhere */
bool apply_may_dial(const struct gossip *g, const struct addr *a);

/* own.c */
void own_heard(struct gossip *g, const struct gossip_claim *claim, struct bytes record);
void own_refute(struct gossip *g, uint64_t above); /* want an incarnation of our own above this */

/* opinion.c */
/* Someone says that a member is suspect or dead. `source` told us. */
void opinion_heard(struct gossip *g, const struct rumor_item *i, struct member *source);
/* ... as what it holds of it in a list or state shows. */
void opinion_held(struct gossip *g, enum gossip_state state, const struct node_id *subject,
                  uint64_t incarnation, struct member *source);

/* verdict.c */
void verdict_due(struct gossip *g);
/* Own looks are spread, more widely the more there are who look: a suspect is not stormed. */
uint32_t verdict_jitter(struct gossip *g);
uint32_t verdict_timeout_ms(const struct gossip *g, const struct suspicion *s);
void verdict_reschedule(struct gossip *g,
                        const struct suspicion *s); /* its deadline or verify_at has changed */
void verdict_confirm(struct gossip *g, struct member *m, const struct node_id *accuser);
void verdict_hasten(struct gossip *g, struct member *m);   /* another holds it dead */
void verdict_judge(struct gossip *g, struct suspicion *s); /* is its process gone? Then it dies now */
/* Our own look at a suspect was not answered; is_own: while others answered us. */
void verdict_look_failed(struct gossip *g, struct member *m, bool is_own);
void verdict_refused(struct gossip *g, struct member *m); /* a dial of ours to a suspect was refused */
/* Says that it is suspect, once, if a probe of ours failed while we heard others. */
void verdict_accuse(struct gossip *g, struct suspicion *s, uint8_t eager);
bool verdict_is_without_witness(const struct gossip *g, const struct suspicion *s);
/* What we think of this suspect may be told. */
bool verdict_may_tell(const struct gossip *g, const struct member *m);

/* event.c */
void event_member(struct gossip *g, struct member *m, enum gossip_state before, bool is_new,
                  bool record_changed);
void event_forgotten(struct gossip *g, struct member *m);
void event_proof(struct gossip *g, const struct node_id *id, struct record_blob *a, struct record_blob *b);
void event_fini(struct gossip *g);

/* send.c */
bool outbox_put(struct outbox *o, const struct out *item); /* false: full */
void outbox_forget(struct outbox *o, const struct member *m);
void send_urgent(
    struct gossip *g,
    const struct out *item); /* a ping, an ack, or what goes with them; dropped if too many wait */
bool send_poll(struct gossip *g, struct gossip_packet *out);
/* The datagram in w is what *out shows; counted and paid for. */
void send_deliver(struct gossip *g, struct gossip_packet *out, const struct member *to,
                  const struct addr *addr, struct wr *w);
/* Pings and acks of ours waited for the byte budget since the last call: nobody else is to blame for that time. */
void send_held_up(struct gossip *g);
mono_ms send_deadline(const struct gossip *g); /* when something that waits for the byte budget may go */

/* tell.c */
uint8_t tell_limit(const struct gossip *g); /* SWIM's lambda log n: how often a rumor is sent */
/* There is news about m: its record, or what we or `accuser` think of it. `source` told us and is not told back (NULL: it is
 * ours); `eager` members are told at once. */
void tell_member(struct gossip *g, enum rumor_class class, struct member *m, struct member *source,
                 const struct node_id *accuser, uint8_t hops, uint8_t eager);
void tell_doc(struct gossip *g, struct doc_kind *k);
void tell_hush(struct gossip *g);    /* whoever we meet knows it all: drop record rumors that owe no push */
void tell_retract(struct gossip *g); /* we were cut off: what we then thought of others was our own fault */
void tell_wave(struct gossip *g);    /* the second pushes of what was fresh WAVE_MS ago */
/* Appends rumors for `to`, one of each of the first `classes` in turn, until nothing more fits. Returns how many. */
uint32_t tell_pack(struct gossip *g, struct wr *w, const struct member *to, int classes, bool eager);
uint8_t tell_version(const struct gossip *g, const struct member *to); /* the newest that both speak */
bool tells_suspect_too(const struct gossip *g);
struct rumor_item item_of_record(const struct member *m, uint8_t hops);
struct rumor_item item_of_doc(const struct gossip *g, uint8_t kind);
/* `layout`: the version to say it in. */
struct rumor_item item_of_opinion(const struct member *m, const struct node_id *accuser,
                                  enum opinion_reason reason, uint8_t layout);

/* health.c */
void health_change(struct gossip *g, int by);                   /* of the multiplier */
uint32_t health_stretch(const struct gossip *g, uint32_t ms);   /* a time that we hold others to */
void health_heard(struct gossip *g, const struct member *from); /* it answered a question of ours */
/* Two others (all, if there are fewer) answered us since, and we are not cut off: only then is silence another's. */
bool health_hears_others(const struct gossip *g, const struct member *m, mono_ms since);
/* How many others than ourselves and m are in these states (bit per state). */
uint32_t health_others(const struct gossip *g, const struct member *m, unsigned states);
void health_probe_failed(struct gossip *g, const struct probe *p); /* in its turn */
void health_late(struct gossip *g, uint32_t late_ms);

/* evidence.c, see gossip.h */
void evidence_link_lost(struct gossip *g, struct member *m, enum gossip_loss how);
void evidence_link_works(struct gossip *g, struct member *m);
/* Its process is: there is no pause to forgive. */
bool evidence_is_gone(const struct gossip *g, const struct suspicion *s);
void evidence_knock(struct gossip *g, struct probe *p); /* its target's TCP port, once in a probe */
bool evidence_poll_knock(struct gossip *g, struct gossip_packet *out);

/* detect.c */
void detect_probe(struct gossip *g, struct member *m, enum probe_reason reason);
void detect_repeat(struct gossip *g,
                   struct probe *p); /* its ping, once the answer is due; the first may have been lost */
/* A round trip to it, with room for its variance: measured, foretold, or else as to the slowest that we watch. 0: unknown. */
uint32_t detect_rtt_ms(const struct gossip *g, const struct member *m);
/* It is alive, and accused: as detect_look(), and it is suspected if it is silent. */
void detect_hear(struct gossip *g, struct member *m);
/* It watches us, and did not come in its turn: a turn of ours, but it tells nothing of the loss of the network. */
void detect_missed(struct gossip *g, struct member *m);
/* How much later than its turn it may be: as long as its first ping may take, which is then repeated, and a twentieth of an interval. */
uint32_t detect_patience_ms(const struct gossip *g, const struct member *m);
/* Room is left for turns, and looks keep to the budget, or their share of it. */
bool detect_may_look(struct gossip *g);
/* Directly; if it does not answer at once, whether others hear us. */
void detect_look(struct gossip *g, struct member *m);
/* Answers to probes of ours; false: it answers none. */
bool detect_ack(struct gossip *g, struct member *from, const struct datagram *d);
bool detect_relayed_ack(struct gossip *g, const struct member *from, uint64_t nonce,
                        const struct node_id *target);
bool detect_nack(struct gossip *g, const struct member *from, uint64_t nonce, const struct node_id *target);
/* A dial to its target was refused: this probe need not be waited out. */
void detect_refused(struct gossip *g, struct probe *p);
void detect_forget(struct gossip *g, const struct member *m);
void detect_tick(struct gossip *g);
mono_ms detect_deadline(const struct gossip *g);

/* retry.c */
/* A question of which nothing depends, or once more that which is under way and may have been lost. */
void retry_member(struct gossip *g, struct member *m);
void retry_voice(struct gossip *g,
                 struct member *m); /* we hold it dead, and it spoke, or somebody else hears it */
/* We hold it dead, the other (may be NULL) alive. It may be the other that is right, so we look again. Or the other has missed the death:
 * nobody speaks of it any more, and who is no observer of it would never find out. So if we get no answer the other is told, and looks. */
void retry_dispute(struct gossip *g, struct member *m, struct member *other);
void retry_disputed(struct gossip *g, const struct probe *p); /* this one was not answered */
/* Did so many others, at least, die together with it, which is dead? Looks at all members until it has found them. */
bool retry_died_with(const struct gossip *g, const struct member *m, uint32_t others);
bool retry_is_of_many(struct gossip *g,
                      const struct member *m); /* it is dead, and a quarter of all, or many, with it */
/* One who was silent answered: perhaps others do. is_of_many: retry_is_of_many() of it, before. */
void retry_returned(struct gossip *g, bool was_dead, bool is_of_many);
bool retry_are_returning(const struct gossip *g); /* many who were silent */
bool retry_is_waiting(const struct gossip *g);    /* some are to be asked, once there is room */
bool retry_next(struct gossip *g);                /* asks one of these; false: none, or no room */
void retry_tick(struct gossip *g);

/* ping_req.c */
void ping_req_receive(struct gossip *g, struct member *from, const struct addr *via,
                      const struct datagram *d);
void ping_req_due(struct gossip *g);

/* turns.c */
void turns_due(struct gossip *g);
/* It probed us: ms until its next turn. */
uint32_t turns_after(struct gossip *g, const struct member *observer);
mono_ms turns_deadline(const struct gossip *g);

/* locate.c */
void locate_init(struct gossip *g);
mono_us locate_now_us(const struct gossip *g);
/* It answered a probe of ours that was sent once, at `sent_us`. */
void locate_sample(struct gossip *g, const struct member *from, const struct datagram *ack, mono_us sent_us);
void locate_said(struct gossip *g);                                     /* our record was set */
uint32_t locate_rtt_ms(const struct gossip *g, const struct member *m); /* foretold, rounded up; 0: unknown */
void locate_spoken(struct gossip *g, const struct member *m);           /* we have a new record of it */
void locate_tick(struct gossip *g);
mono_ms locate_deadline(const struct gossip *g);

/* degrade.c */
bool degrade_is(const struct member *m);
bool degrade_many_silent(struct gossip *g);              /* a quarter of all are silent, or were just now */
void degrade_speaks(struct gossip *g, struct member *m); /* a datagram of its own came, whatever is in it */
bool degrade_is_heard(const struct gossip *g, const struct member *m); /* it is marked, and spoke just now */
void degrade_returns(struct gossip *g, struct member *m);              /* it is about to become alive */
void degrade_restarted(struct gossip *g, struct member *m); /* ... or is so: by a new start of its process */
void degrade_leaves(struct gossip *g, struct member *m);    /* it said good-bye */
void degrade_look(struct gossip *g, struct member *m, mono_ms at); /* later, while it is alive; once */
/* A probe of one that is alive failed; is_own: while others answered us. True: it is to be accused of nothing yet. */
bool degrade_failed(struct gossip *g, struct member *m, const struct probe *p, bool is_own);
/* Another says that it comes and goes. */
void degrade_heard(struct gossip *g, struct member *m, const struct node_id *by, struct member *source);
void degrade_asked(struct gossip *g, struct member *m, const struct node_id *by, bool is_hearsay); /* look */
void degrade_answered(struct gossip *g, struct member *m, bool is_at_once);
bool degrade_is_settled(const struct gossip *g, const struct member *m); /* nothing to remember about it */
void degrade_forget(struct gossip *g, const struct member *m);
void degrade_tick(struct gossip *g);
mono_ms degrade_deadline(const struct gossip *g);

/* hearing.c */
void hearing_init(struct gossip *g);
struct accusers *hearing_account(struct gossip *g, bool is_hearsay);
/* Is an accuser taken to be right on credit? Then say hearing_was_right() once it proved so. */
bool hearing_trusts(struct gossip *g);
void hearing_was_right(struct gossip *g);
bool hearing_tells_accused(struct gossip *g, const struct node_id *accuser,
                           bool is_hearsay); /* is it warned? */
bool hearing_tells_hint(struct gossip *g);   /* is the hint of another passed on? */
bool hearing_may_look(struct gossip *g, const struct node_id *accuser, bool is_hearsay);
/* It accused others falsely of late, itself: what it says as an observer or a relay may be a lie too. */
bool hearing_mistrusts(struct gossip *g, const struct member *m);
/* Looks at one who is alive and accused, if that may be, and lets the accuser answer for what it shows. */
void hearing_look(struct gossip *g, struct member *m, const struct node_id *accuser,
                  const struct member *source);
void hearing_tick(struct gossip *g);
mono_ms hearing_deadline(const struct gossip *g);
void hearing_fini(struct gossip *g);
enum hearing_end { HEARING_ANSWERED, HEARING_SILENT, HEARING_UNSURE, HEARING_VOID };
void hearing_ends(struct gossip *g, struct member *m, enum hearing_end end); /* if there is one about it */
void hearing_trouble(struct gossip *g);           /* we have reason to believe who accuses us, for a while */
void hearing_refuted(struct gossip *g);           /* a refutation of another came */
bool hearing_awaits_refutation(struct gossip *g); /* may one be expected, if we are wrong? */
/* Does a look of ours go through others too, as no refutation would tell us that only our path is broken? */
bool hearing_asks_relays(struct gossip *g);
/* We are, under our present incarnation. */
void hearing_accused(struct gossip *g, uint64_t incarnation, const struct node_id *accuser);

/* quarantine.c */
void quarantine_begin(struct gossip *g, struct member *m,
                      struct record_blob *rival);          /* beside what we hold */
void quarantine_newer(struct gossip *g, struct member *m); /* it published a newer record */
void quarantine_tick(struct gossip *g);

/* receive.c */
enum err receive_datagram(struct gossip *g, const struct node_id *from, const struct addr *via,
                          struct bytes msg);

/* bulk.c */
enum err bulk_receive(struct gossip *g, const struct node_id *from, const struct addr *via, struct bytes msg);
struct summary bulk_summary(struct gossip *g, uint64_t nonce);
void bulk_docs_changed(struct gossip *g); /* what we hold of documents: summaries are others now */
/* A summary came with a ping or ack of this nonce. */
void bulk_compare(struct gossip *g, struct member *m, uint64_t nonce, const struct summary *theirs);
/* Whether `m` may be given `cost` more answers this second (ADVERSARY G19). */
bool bulk_allow_answer(struct gossip *g, struct member *m, uint8_t cost);
void bulk_docs(struct gossip *g, const struct node_id *from, struct bytes docs); /* what it says it holds */
struct sync_sent *bulk_find_sync(struct gossip *g, uint64_t salt); /* NULL: no such question of ours */

/* range.c */
void range_begin(struct gossip *g, struct member *m); /* compare all with it, in datagrams */
void range_on_digest(struct gossip *g, struct member *m, const struct addr *via, const struct datagram *d);
void range_on_list(struct gossip *g, struct member *m, const struct addr *via, const struct datagram *d);
bool range_poll(struct gossip *g, struct gossip_packet *out);
void range_forget(struct gossip *g, const struct member *m);

/* differ.c */
/* What another holds in some ranges of places: a LIST or a RANGE. */
struct listing {
    uint64_t salt;
    uint8_t depth;
    struct bytes bitmap;   /* LIST: of the ranges, by number */
    struct bytes prefixes; /* RANGE: of the ranges, be32 each */
    struct bytes entries;
    bool is_datagram; /* small records are pulled and given in datagrams */
};
must_check enum err differ_apply(struct gossip *g, const struct node_id *from, const struct addr *via,
                                 const struct listing *l);

/* catch_up.c */
void catch_up_begin(struct gossip *g);                   /* we were told that we lack much */
void catch_up_grew(struct gossip *g);                    /* we know one more: perhaps many join with us */
void catch_up_saw(struct gossip *g, uint32_t different); /* so many entries of a sync's answer differed */
/* The last message of a sync's answer came. */
void catch_up_answered(struct gossip *g, const struct node_id *from);
void catch_up_tick(struct gossip *g);
mono_ms catch_up_deadline(const struct gossip *g);

/* recall.c */
void recall_seeds(struct gossip *g); /* the seeds are known now */
void recall_answered(struct gossip *g, const struct node_id *from, const struct addr *via,
                     struct bytes entries);
void recall_failed(struct gossip *g, const struct node_id *id, const struct addr *addr);
void recall_tick(struct gossip *g);
mono_ms recall_deadline(const struct gossip *g);

/* jobs.c */
struct job *jobs_add(struct gossip *g, enum job_type type, const struct node_id *to,
                     const struct addr *addr); /* NULL: full */
bool jobs_poll(struct gossip *g, struct gossip_packet *out);
void jobs_fini(struct gossip *g);
bool jobs_sync(struct gossip *g,
               struct member *m); /* begin a sync with it; false: no way, or too many jobs */
/* Begins a FETCH or RECORDS of these ids; nothing if there are none. */
void jobs_begin(struct gossip *g, enum job_type type, const struct node_id *to, const struct addr *via,
                struct buf *ids_take);
/* So many answers to this may come, and so many more packets may answer them. */
void jobs_expect(struct gossip *g, uint64_t salt, uint32_t messages, uint32_t packets);
struct bytes jobs_docs(const struct gossip *g, uint8_t wire[DOCS_MAX * DOC_BYTES]); /* what we hold */
uint32_t jobs_age_s(const struct gossip *g, const struct member *m);                /* of its state */
void jobs_encode_entry(const struct gossip *g, struct wr *w, const struct member *m);
/* An answer to a sync has this member, whose bucket is in the bitmap. */
bool jobs_is_answered(const struct job *job, const struct member *m, const uint8_t *bitmap);
void jobs_drop(struct gossip *g, const struct node_id *to,
               const struct addr *addr); /* what was to be sent there */

/* want.c */
void wants_add(struct gossip *g, struct member *source, const struct rumor_item *notice);
void wants_done(struct gossip *g, const struct node_id *id, uint64_t incarnation, uint64_t version);
void wants_forget(struct gossip *g, const struct member *m);
void wants_tick(struct gossip *g);
mono_ms wants_deadline(const struct gossip *g);
bool wants_poll(struct gossip *g, struct gossip_packet *out); /* the next GET to send */
void wants_fini(struct gossip *g);

/* docs.c */
struct doc_kind *docs_find(struct gossip *g, uint8_t kind);
int doc_cmp(const struct doc_version *a, const struct doc_version *b); /* > 0: a is to be preferred */
void docs_offered(struct gossip *g, struct member *from, const struct doc_version *doc);
void docs_received(struct gossip *g, const struct node_id *from, const struct bulk *b);
void docs_failed(struct gossip *g, const struct node_id *from);
void docs_tick(struct gossip *g);
mono_ms docs_deadline(const struct gossip *g);
bool docs_event(struct gossip *g, struct gossip_event *out);
void docs_fini(struct gossip *g);

/* seeds.c */
void seeds_tick(struct gossip *g);
mono_ms seeds_deadline(const struct gossip *g);
void seeds_answered(struct gossip *g, const struct node_id *id, const struct addr *via);
void seeds_failed(struct gossip *g, const struct addr *addr);
void seeds_join_by(struct gossip *g,
                   const struct addr *via); /* a stranger spoke to us from there: exchange state */

/* timers.c */
void timers_start(struct gossip *g);
void timers_tick(struct gossip *g);
mono_ms timers_deadline(const struct gossip *g);

#endif
