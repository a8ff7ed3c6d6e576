/* The conductor's insides, shared by its files only: control.c (the turn), boot.c (putting together, taking
 * apart), events.c (what gossip says has happened), house.c (what is looked at each minute), outage.c (that this host hears nobody, or stood still), judge.c (who is still believed), renewal.c (our own credential), clocks.c (the time), reload.c (signals and SIGHUP), stats.c (metrics and what admin reads). */
#ifndef CONTROL_INNER_H
#define CONTROL_INNER_H

#include "control/control.h"
#include "control/cut_off.h"
#include "control/health.h"
#include "control/overlaid.h"
#include "control/own.h"
#include "control/pace.h"
#include "control/revocations.h"
#include "control/seed_names.h"
#include "control/skew.h"
#include "control/staged.h"
#include "control/wallclock.h"

enum {
    UDP_RESERVE_MS =
        120000,           /* how far ahead of the clock the durable floor of handshake timestamps is kept */
    VERIFIED_MAX = 16384, /* envelopes remembered as verified: records and credentials of 8,000 members */
};

enum ticket {
    TICKET_NONE,
    TICKET_POLICY,
    TICKET_INCARNATION,
    TICKET_UDP_FLOOR,
    TICKET_REVOKED,
    TICKET_STAGED,
    TICKET_ROOTS,
    TICKET_PARTS,
    TICKET_OVERLAY
};

struct publisher {
    enum ticket ticket; /* what it waits for */
    void (*done)(void *arg, enum err outcome, const char *text);
    void *arg;
};

/* An agent at an address where members are, or a seed, shows a credential that our root does not vouch for: another mesh's; or the
 * root was rotated while this host was away, and everybody it knew stands on the new one. */
struct stranger {
    mono_ms at; /* 0: there was none */
    struct addr addr;
};

struct control {
    struct config config;
    const struct config_flags *flags;
    struct identity identity;
    char mesh[MESH_NAME_MAX +
              1]; /* of every root there will be: what outlives one trust borrows it from here */
    struct net_loop *loop;
    struct store *store;
    struct gossip *gossip;
    struct udp *udp;
    struct net_udp *socket[2];
    size_t socket_count;
    struct bulk *bulk;
    struct seed_names *seeds;
    struct health *health;
    struct workers *workers;
    struct metrics *metrics;
    struct trust_cache *verified;
    struct roster roster;
    struct enforced enforced;
    struct staged staged;
    struct anchor anchor;
    struct parts parts;
    struct overlaid overlay;
    mono_ms overlay_at; /* when to look at it again */
    bool is_uncomposed; /* there was no memory to; it is tried again */
    struct revocations revocations;
    struct fallen fallen;
    struct wallclock clock;
    mono_ms clock_said_at; /* when its state was last logged */
    struct skew skew;      /* what the clocks of others say of it */
    struct skew_lines skew_lines;
    enum skew_verdict skew_said;                   /* in the log */
    mono_ms skew_said_at, skew_at, skew_looked_at; /* when it was said; when to look again; when last */
    uint64_t skew_wall_ms;                         /* what our clock said then */
    unsigned unsure_looks;                         /* in a row, that found no majority */
    struct trust *farewell;          /* the trust of before, for those who were just cut; NULL: nobody was */
    bool is_revoked;                 /* we ourselves */
    struct hearsay refused_by;       /* who last told us so */
    struct stranger stranger;        /* the last one */
    mono_ms double_at;               /* when another agent with our key was last heard of; 0: never */
    char double_addr[ADDR_TEXT_MAX]; /* where */
    struct renewing *renewing;       /* of our credential, under way; NULL: none */
    struct buf renewal_said;         /* why the last one came to nothing */
    mono_ms renew_at;                /* when to look whether it is time; NEVER: there is no token */
    mono_ms evict_at;                /* end of the farewell */
    mono_ms rejudge_at;              /* a judgement that failed is tried again; NEVER: none has */
    struct own own;
    struct view *view;
    uint64_t view_serial;
    bool view_dirty, own_dirty, joined, raise_failing;
    bool view_grown;        /* there are newcomers that the view does not hold: it can wait a little */
    bool loopback_said;     /* that a seed on loopback is not dialled */
    mono_ms alone_at;       /* when to say that no seed has answered; 0: not set yet, NEVER: one has */
    uint32_t alone_wait_ms; /* before it was said last */
    struct rollout_arrival arrival; /* set since may_speak */
    bool may_speak; /* the others were asked what they hold of us; before, our own record is not signed */
    enum control_phase phase;
    mono_ms now, deadline, leave_by, housekeeping;
    struct pace view_pace;
    mono_ms expiry_at; /* when to look again whose credential has ended */
    mono_ms
        marks_at; /* when the log is to be told of marks of degraded members; NEVER: nothing has changed */
    mono_ms raise_at; /* when to ask again for an incarnation that could not be stored; NEVER: not waiting */
    struct cut_off cut_off;
    size_t died_unsaid; /* members whose deaths one line tells, since it began */
    mono_ms stood_at,
        stood_said_at; /* when this agent last came back from standing still, and the log was told; 0: never */
    uint64_t stood_ms;          /* for how long */
    struct publisher publisher; /* waits for the store; done == NULL: nobody */
    enum err store_failing;     /* what was last said about the store */
    mono_ms (*also)(void *arg, mono_ms now);
    void *also_arg;
    mono_ms also_at;
};

/* Of control.c, for the others. */
void control_turn(void *arg, mono_ms now);
enum err control_verify_record(void *arg, struct bytes record, struct gossip_claim *out);
enum err control_verify_credential(void *arg, struct bytes credential, const uint8_t noise_key[32],
                                   struct node_id *id);
struct view *control_build_view(struct control *c);
void control_publish_view(struct control *c);
void control_on_seeds(void *arg, const struct addr *found, size_t count);
void control_on_datagram(void *arg, const struct addr *from, uint8_t *at, size_t len);
void control_on_bulk_message(void *arg, const struct node_id *from, const struct addr *via, struct bytes msg);
void control_on_bulk_undelivered(void *arg, const struct node_id *to, const struct addr *addr);
void control_on_bulk_link(void *arg, int fd_take, struct buf *read_take);
void control_on_bulk_lost(void *arg, const struct node_id *peer, bool is_refused);
void control_on_link(void *arg, const struct node_id *peer, enum worker_link_news news);
void control_on_store_news(void *arg); /* on the writer thread */

/* Of stats.c: what is counted where it happens, seldom; printed from the start, at 0. */
enum control_counter { CONTROL_CUT, CONTROL_LATE, CONTROL_RENEWED, CONTROL_NOT_RENEWED, CONTROL_COUNTERS };
metric_value *control_counter(struct control *c, enum control_counter which);

/* Of events.c. */
void control_announce(struct control *c);                 /* signs and publishes our record */
void control_raise(struct control *c, uint64_t at_least); /* our incarnation: stored first, then announced */
void control_incarnation_stored(struct control *c, enum err outcome);
void control_take_events(struct control *c);
void control_say_marks(struct control *c); /* does nothing before marks_at */
void control_forget_member(struct control *c, const struct node_id *id);
void control_on_health(void *arg, size_t index, bool healthy);

/* Of house.c. */
bool control_is_expired(const struct control *c, const struct member *m); /* its credential */
mono_ms control_expiry_of(const struct control *c, const struct member *m);
void control_cut_expired(struct control *c);
void control_keep_house(struct control *c);

/* Of outage.c. */
void control_note_heard(struct control *c, struct member *m,
                        mono_ms now);          /* it said something to this agent itself */
void control_note_lateness(struct control *c); /* of this turn */
void control_watch_outage(struct control *c);
/* Is this change of a member part of our own outage, which is told of in one line? */
bool control_is_of_outage(struct control *c, struct member *m);

/* Of clocks.c. */
must_check enum err control_open_clock(struct control *c, struct buf *why); /* once the store is open */
wall_s control_wall(const struct control *c);       /* the time by which expiry is judged */
wall_s control_wall_least(const struct control *c); /* ... whatever the host's clock says */
void control_watch_clock(struct control *c);        /* about every minute */
void control_compare_clocks(struct control *c);     /* with those of others; does nothing before skew_at */

/* Of judge.c. */
void control_take_trust(struct control *c,
                        struct trust *trust_take); /* judges everybody by it, ourselves too */
void control_take_revocations(struct control *c);  /* of the policy in force */
void control_judge_step(struct control *c);
bool control_is_farewell(const struct control *c, struct bytes credential, struct credential *out);
bool control_tell_refused(void *arg, struct bytes credential, const uint8_t noise_key[32], enum err refused,
                          struct buf *words);
void control_on_bulk_stranger(void *arg, const struct addr *at);
void control_on_bulk_refused(void *arg, struct bytes credential, struct bytes words);

/* Of rollout.c. */
struct staged_self control_staged_self(const struct control *c);
void control_reconsider_before(struct control *c);
void control_rollout_step(struct control *c);
mono_ms control_rollout_deadline(const struct control *c);
/* Do those of the members who do not enforce the staged version mostly say that they enforce this one? */
bool control_is_base(const struct control *c, const struct hash *hash);

/* Of documents.c. */
void control_staged_stored(struct control *c, enum err outcome);
void control_changed_policy(struct control *c); /* another is in force: all who act by it are told */
struct bytes control_find_document(void *arg, const struct hash *hash);
void control_document_received(struct control *c, const struct gossip_event *ev);
void control_enforce(struct control *c); /* takes the policy in force over into record, view and gossip */
void control_policy_stored(struct control *c, enum err outcome);
void control_announce_roots(struct control *c);
void control_roots_stored(struct control *c, enum err outcome);
void control_compose(struct control *c); /* makes one policy of that in force, its parts and the overlay */
void control_announce_parts(struct control *c);
void control_parts_stored(struct control *c, enum err outcome);
void control_answer_publisher(struct control *c, enum ticket of, enum err e, const char *text);
void control_refuse_publisher(struct control *c, enum ticket of, const char *module, const char *what,
                              enum err e);

/* Of break_glass.c. */
must_check enum err control_open_overlay(struct control *c, const struct chain *roots);
must_check enum err control_offer_overlay(struct control *c, struct bytes document, enum overlaid_bearer by,
                                          struct buf *why);
void control_offer_waiting_overlay(struct control *c);
void control_overlay_stored(struct control *c, enum err outcome);
void control_rejudge_overlay(struct control *c); /* by a new root; compose and publish afterwards */
void control_overlay_step(struct control *c);
void control_watch_overlay(struct control *c); /* about every minute, for the clock may be set */
void control_announce_overlay(struct control *c);
/* The policy with what is on over it, if they compile together: takes `policy`, returns what is to be in force. NULL: no memory. */
struct policy *control_compose_overlay(struct control *c, struct policy *policy_take, struct bytes main);

void control_judge_own(struct control *c);

/* Of renewal.c. */
void control_prove(struct control *c); /* tells sessions and the bulk lane what we show from now on */
void control_renewal_step(struct control *c);
void control_renewal_fini(struct control *c);
void control_renewal_roots_stored(struct control *c); /* or not stored: whoever waits for it goes on */

/* Of reload.c. */
void control_on_signal(void *arg, int signum);
bool control_services_are_allowed(const struct config *config, const struct identity *id, struct buf *why);

#endif
