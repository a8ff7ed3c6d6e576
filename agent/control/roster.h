/* What the control loop keeps of each member beside gossip's own view: what its record says that sending (its Noise key) and
 * views need. The record itself is gossip's, and control_record_of() reads it again for who tells operators of it. Fed from gossip
 * events, owned by the control loop. There are as many of these as members: MEMBER_BYTES_MAX.
 *
 * A node name belongs to the first key seen with it, for as long as that member is alive or suspect (ADVERSARY R6, G14): a second one is
 * kept and shown, both are told, and its services are not routed to. When the holder dies or leaves, the name goes to the next living
 * one, so a host that was installed anew gets its name a few seconds after its old self has died; who comes back finds it taken and
 * waits in turn. Of two that were first seen within ROSTER_TOGETHER_S of each other, as at a join, the one with the older credential
 * goes before. */
#ifndef CONTROL_ROSTER_H
#define CONTROL_ROSTER_H

#include <uthash.h>

#include "base/list.h"
#include "control/doubled.h"
#include "control/reach.h"
#include "discovery/view.h"
#include "gossip/gossip.h"
#include "trust/cache.h"

enum {
    ROSTER_TOGETHER_S = 60,
    MEMBER_BYTES_MAX = 448, /* of a struct member, beside what its record and its credential say */
};

struct namesakes; /* the members of one name, in the order of their claims to it */

/* What its clock says (control/skew.h), and what the log was told of it. */
struct member_clock {
    mono_ms looked_at; /* 0: nothing is known of it */
    int64_t off_ms;    /* ahead of the time that is held right */
    bool is_wrong, is_said;
    mono_ms said_at;
};

struct member {
    struct node_id id;
    UT_hash_handle hh;
    struct namesakes *namesakes;
    struct list_node same_name;
    struct view_record *record; /* what is asked for all the time */
    struct hash policy_hash;    /* of the policy in force there; zeros: none */
    struct addr addr;           /* the one in use */
    struct addr home;           /* the first that its record says */
    struct doubled doubled;     /* whether two agents answer as this member */
    enum gossip_state state;
    struct reach reach; /* whether our traffic gets there */
    bool is_degraded;   /* gossip's mark */
    bool is_mark_said;  /* ... and whether the log was told of it */
    mono_ms mark_at;    /* when it was set or taken back; 0: never */
    bool
        is_loss_unsaid; /* its silence or death was part of our own outage (outage.c), and the log was not told */
    mono_ms heard_at;     /* when it last said anything to this agent itself; 0: never */
    bool is_quarantined;  /* gossip's: its key is in two hands */
    bool is_revoked;      /* it is out; forgotten when it has heard so, or a moment later */
    bool has_equivocated; /* an alarm was given */
    wall_s claimed_at;    /* when it entered the queue for its name */
    bool is_name_said;    /* that its name is held by another was logged */
    struct member_clock clock;
    wall_s cut_at; /* end of the credential for which its sessions were cut; 0: none was */
};

static_assert(sizeof(struct member) <= MEMBER_BYTES_MAX, "there are as many as members");

struct roster {
    struct member *by_id;
    struct namesakes *by_name;
};

/* Decodes a record into a membership claim; the one place where gossip and trust meet. Errors:
 * trust_record()'s. */
must_check enum err claim_of_record(struct trust_cache *t, struct bytes bytes, wall_s now,
                                    struct gossip_claim *out);

/* Applies a MEMBER event. ERR_NOMEM: the member is left as it was. Other errors cannot happen to a record
 * that gossip accepted, unless it has just expired: then the member's record stays the one it was. */
must_check enum err roster_apply(struct roster *m, struct trust_cache *t, const struct gossip_event *ev,
                                 const struct addr *addr, wall_s now);
void roster_forget(struct roster *m, const struct node_id *id);
void roster_fini(struct roster *m);
struct member *roster_find(const struct roster *m, const struct node_id *id);
/* The living member that holds this one's name; NULL: none lives. */
struct member *roster_name_holder(const struct member *of);
/* Calls `each` for all members of this one's name, itself included. It may not change the roster. */
void roster_namesakes_each(const struct member *of, void (*each)(void *arg, struct member *m), void *arg);
/* Does another living member hold this one's name? */
bool roster_name_is_taken(const struct member *of);
static inline struct bytes member_name(const struct member *m)
{
    return vouched_brief(m->record->vouched)->node;
}
static inline wall_s member_expires(const struct member *m) /* its credential */
{
    return vouched_brief(m->record->vouched)->expires;
}
bool member_is_live(const struct member *m);
/* Its name and address as text, "n3 (10.77.0.3:7400)". */
enum { MEMBER_TEXT_MAX = NODE_NAME_MAX + ADDR_TEXT_MAX + 4 };
const char *member_text(const struct member *m, char out[MEMBER_TEXT_MAX]);
const char *member_state_text(const struct member *m); /* gossip's state; "degraded" if it is alive, but so */

#endif
