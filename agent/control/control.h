/* The control loop: conducts gossip, UDP sessions, the bulk lane, the store, the policy in force, health
 * checks and the workers.
 *
 * It owns them and decides nothing that they can decide: events of one become calls of another, in one turn,
 * in a fixed order (docs/architecture.md, "A turn of the control loop"). Admin reads it through the accessors
 * below, on the same loop. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "control/anchor.h"
#include "control/bulk.h"
#include "control/config.h"
#include "control/enforced.h"
#include "control/fallen.h"
#include "control/identity.h"
#include "control/overlaid.h"
#include "control/parts.h"
#include "control/roster.h"
#include "gossip/gossip.h"
#include "link/udp.h"
#include "net/net.h"
#include "control/staged.h"
#include "observe/metrics.h"
#include "store/store.h"
#include "worker/worker.h"

struct control;
struct traffic_shared;

enum { CONTROL_ROOT_WARN_S = 30 * 86400 }; /* how long before its end a root is spoken of */

/* Opens everything and binds every address; nothing is sent yet. `flags` is borrowed for the control's life
 * (SIGHUP reads the file again). On error `why` is a sentence for the operator. */
must_check enum err control_new(struct control **out, const struct config_flags *flags, struct buf *why);
/* Runs until the agent has left and stopped. */
void control_run(struct control *c);
void control_free(struct control *c);

/* Runs `step` in every turn of the loop; it returns when it must run again at the latest. One at a time; NULL
 * removes it. */
void control_also(struct control *c, mono_ms (*step)(void *arg, mono_ms now), void *arg);

/* Leaves the cluster, finishes what is in flight, then ends the loop. A second call stops at once. */
void control_leave(struct control *c);
/* Reads agent.yaml again. The outcome is logged and told: text is appended to `told`. */
enum err control_reload(struct control *c, struct buf *told);

/* Verifies, stores, enforces and announces a bundle, or the next root. `done` is called once, later or at once, on the loop,
 * with a sentence. */
void control_publish(struct control *c, struct bytes document,
                     void (*done)(void *arg, enum err outcome, const char *text), void *arg);

/* Renews this host's credential: with a token (its text; empty: the file that --token named), or with one that was signed
 * elsewhere (text of `starling enrol sign`). `done` is called once, later or at once, on the loop, with a sentence. */
struct control_renewal {
    struct bytes token, credential;
    bool must_extend; /* refuse what does not end later than the one there is */
    bool
        roll_noise_key; /* make a new Noise key, too; the one of before is answered for as long as its credential lasts */
};
void control_renew(struct control *c, const struct control_renewal *ask,
                   void (*done)(void *arg, enum err outcome, const char *text), void *arg);

enum control_phase { CONTROL_RUNNING, CONTROL_LEAVING, CONTROL_DRAINING, CONTROL_STOPPED };

struct net_loop *control_loop(const struct control *c);
const struct config *control_config(const struct control *c);
const struct identity *control_identity(const struct control *c);
const struct roster *control_roster(const struct control *c);
/* All that the member's newest record says; borrows until the next turn. */
void control_record_of(const struct control *c, const struct member *m, struct record *out);
const struct gossip *control_gossip(const struct control *c);
const struct staged *control_staged(const struct control *c);
const struct enforced *control_policy(const struct control *c);
/* A bundle that was in force here (enforced.history lists them), appended. store_policy_get()'s errors. */
must_check enum err control_policy_get(const struct control *c, uint64_t epoch, uint64_t version,
                                       struct buf *out);
const struct anchor *control_anchor(const struct control *c);
const struct overlaid *control_overlay(const struct control *c);
const struct parts *control_parts(const struct control *c);
const struct view *control_view(const struct control *c);
/* A change that waits for its time to come into a view (pace.h) waits no longer. Who is told of members or services, and then asks one of
 * them, is answered by what was told: the workers have the view before they can have the request. */
void control_hasten_view(struct control *c);
struct traffic_shared *
control_traffic(const struct control *c); /* what the workers have learned together; NULL: none run */
mono_ms control_mono(const struct control *c);
enum control_phase control_phase(const struct control *c);
bool control_is_revoked(const struct control *c); /* this host's credential stands on a revoked key */
/* The others that were cut for that. */
const struct fallen *control_fallen(const struct control *c);
/* A member's word that this host is none any more, which no policy here says. Its name is its credential's: this host may hold no record
 * of it. */
struct hearsay {
    mono_ms at; /* 0: nobody has said so */
    struct node_id by;
    char name[NODE_NAME_MAX + 1], words[LINK_REFUSAL_MAX + 1];
};
/* The newest such word, not ten minutes old; NULL: nobody says so. It is shown, not acted on. */
const struct hearsay *control_refused_by(const struct control *c);
/* Whom our root does not vouch for where we dialled a member or seed, in the last ten minutes; NULL: nobody. */
const struct addr *control_stranger(const struct control *c);
/* Where another agent runs with this host's key that was heard of in the last ten minutes, and how long ago; NULL: none was. */
const char *control_double(const struct control *c, uint64_t *ago_ms);
/* Which key this credential stands on is revoked, by which policy and why: half a sentence, appended. */
void control_say_revoked(const struct control *c, const struct credential *k, struct buf *out);
/* What the clocks of others say of ours; and what is known of a member's (NULL: nothing). */
const struct skew *control_skew(const struct control *c);
const struct member_clock *control_member_clock(const struct control *c, const struct member *m);
bool control_is_joined(const struct control *c); /* has met another member, or has no seeds to meet */
/* For how long this host has heard no other member, so that it seems to be cut off (cut_off.h); 0: it does not. */
uint64_t control_cut_off_ms(const struct control *c);
/* For how long this agent stood still at a time in the last ten minutes, being stopped or starved, at most; 0: it did not. */
uint64_t control_stood_still_ms(const struct control *c, uint64_t *ago_ms);
/* Is it alive, and yet no request from here reaches it (reach.h)? */
bool control_is_lost_to_traffic(const struct control *c, const struct member *m);
/* Two agents have answered as this member of late (doubled.h). */
bool control_is_doubled(const struct control *c, const struct member *m);
/* Another living member holds its name, so that nothing is routed to it. */
bool control_is_nameless(const struct member *m);
bool control_is_degraded(const struct member *m); /* alive, and marked so */
uint64_t control_degraded_count(const struct control *c);
/* How long it has been in the state that member_state_text() tells, as far as this agent knows; and how long ago it last said
 * anything to this agent itself (NEVER: not since this agent started). */
struct control_member_age {
    uint64_t in_state_ms, silent_ms;
};
struct control_member_age control_member_age(const struct control *c, const struct member *m);
enum err control_store_health(const struct control *c);
/* Is this service of ours healthy? `index` as in the configuration. */
bool control_service_is_healthy(const struct control *c, size_t index);
const char *control_service_why(const struct control *c, size_t index); /* it is not: health_why() */
/* Renders every loop's metrics. */
must_check enum err control_metrics(struct control *c, struct buf *out);

#endif
