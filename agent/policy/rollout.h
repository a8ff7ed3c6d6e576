/* A staged rollout: how a new version of the policy comes into force agent by agent, and when it is stopped. Pure: no I/O, time
 * is an argument. There is no coordinator and no shared clock; each agent decides for itself, from what the signed records of
 * all members say, and all come to the same.
 *
 *   step      each member belongs to the first step that takes it in: by a label of its credential, or by a hash of (version,
 *             member), the same on every agent. What a step has taken in stays in.
 *   arrives   who has joined the mesh, or started again, judges nothing and begins nothing until it has heard what the members
 *             say: a document may come before the records that tell that it was halted (rollout_is_arriving()). What was in
 *             force stays so meanwhile; who has stored that the new version is goes on at once.
 *   begins    step 0 at once. Step s + 1 when those of the steps up to s enforce the new version (all but a quarter, who may be
 *             stuck, or lie) and `pause` has passed on this agent's own clock since it saw that. Who comes late, or starts
 *             again, follows a later step once most of its members, and most of all up to it, are seen to enforce the new
 *             version; a step of one or two, who may lie, goes by the pauses. Who has nothing in force, nor could get
 *             the version before from anybody, follows at once.
 *   waits     while fewer than half of the known members answer: a small island neither sees a halt nor decides for the rest. No pause ends
 *             then and nothing is compared; step 0 is entered, and who comes late follows, all the same.
 *   halts     when the new version does worse than the old by more than `haltIf`, and by more than chance: four standard
 *             deviations. Each of at most ROLLOUT_REPORTERS_MAX members reports what it has counted under either. Reports are
 *             trimmed: at either end a quarter of those who are asked (one at the least) does not count, and nobody's
 *             requests weigh more than twice the median. Of a step nothing counts before half of its pause is over, so that
 *             the honest have reported too. With fewer than ROLLOUT_QUORUM reports on a side, or fewer than minRequests behind
 *             those that count, nothing is compared. So one liar neither halts a good version nor hides a bad one, nor does a
 *             sixth of all.
 *   halted    for good: the agents go back to the version before, and only a higher version can follow. A member that halts
 *             keeps its last report in its record: a halt travels as its evidence. Who cannot judge by that any more believes
 *             more than half of all members.
 *   done      when the last step has had its pause. */
#ifndef POLICY_ROLLOUT_H
#define POLICY_ROLLOUT_H

#include "base/clock.h"
#include "policy/policy.h"
#include "trust/trust.h"

enum {
    ROLLOUT_QUORUM = 3,         /* reports on a side, before anything is compared */
    ROLLOUT_REPORTERS_MAX = 64, /* half of them those whose turn comes first, half those whose comes last */
    ROLLOUT_QUIET_MS = 5000, /* who has joined has heard of all when for so long nobody was new to it ... */
    ROLLOUT_ARRIVAL_MAX_MS = 60000, /* ... or so long after it joined, whoever still comes */
};

/* When this agent came among the others: it may speak, and the later of that and its first exchange with another; and when it
 * last heard of a member that was new to it. */
struct rollout_arrival {
    mono_ms joined_at, news_at;
};

struct rollout_member {
    struct node_id id;
    uint64_t turn;   /* rollout_turn(): its step, and its place in it */
    bool is_live;    /* alive or suspect; not live: dead, and not forgotten yet. Who left is not listed. */
    bool is_new;     /* its record says that it enforces the new version */
    bool has_report; /* about this version */
    bool says_halted;
    struct record_count before, after; /* under the old version, and under the new */
};

enum rollout_cause {
    ROLLOUT_NONE,
    ROLLOUT_ERRORS,
    ROLLOUT_P99,
    ROLLOUT_DENIED,
    ROLLOUT_OTHERS,
    ROLLOUT_ROOT /* the caller's: a new root does not vouch for it */
};

struct rollout {
    const struct policy_rollout *rule; /* borrowed, of the new version */
    size_t own_step, at;               /* steps 0 to `at` have begun */
    bool is_taken;                     /* step `at` was in force at the last look */
    mono_ms taken_at;                  /* when that was seen first; NEVER: not yet */
    bool is_done;
    bool
        has_nothing; /* the caller's word before a look: nothing is in force here, not even the version before */
    bool is_arriving;          /* likewise: rollout_is_arriving(), and the new version is not in force here */
    enum rollout_cause halted; /* ROLLOUT_NONE: it is not */
    uint64_t seen_new, seen_all; /* of the last look: live members, and those that enforce the new version */
    bool was_compared;           /* by the last look: both sides had enough */
    uint32_t empty;              /* bit s: to step s no live member belonged at the last look */
};

/* (step << 32) | place. The place is a share of 2^32 by SHA-256 of version and member: `rule` takes in those below its share. */
uint64_t rollout_turn(const struct policy_rollout *rule, const struct hash *version, const struct node_id *id,
                      const struct labels *labels);
static inline size_t rollout_step_of(uint64_t turn)
{
    return (size_t)(turn >> 32);
}
/* `own_turn` of rollout_turn(). Somebody who has stored that he enforces it already, or that it was halted, says so. */
void rollout_init(struct rollout *r, const struct policy_rollout *rule, uint64_t own_turn, bool is_new,
                  enum rollout_cause halted);
/* Looks at all members, this one among them; `m` is sorted by turn and id (rollout_sort()). Call it about once a second. */
void rollout_look(struct rollout *r, const struct rollout_member *m, size_t count, mono_ms now);
void rollout_sort(struct rollout_member *m, size_t count);
/* Of members sorted so: is the one at `i` asked to report? */
bool rollout_reports(size_t i, size_t count);
/* Is the new version in force here? */
bool rollout_is_in(const struct rollout *r);
/* Has somebody come too lately to hold what the members say? */
bool rollout_is_arriving(const struct rollout_arrival *a, mono_ms now);
/* How often to look. */
mono_ms rollout_look_every(const struct policy_rollout *rule);
/* How often a report may change. */
mono_ms rollout_report_every(const struct policy_rollout *rule);

/* -- reports ----------------------------------------------------------------------------------- */

/* Of a member's record: does it enforce what is rolled out, `of`, and what does it say of it? Two bundles may carry that version
 * (control/staged.h): requests are counted by bundle, so what somebody reports while he enforces the other one is not about
 * this one. A halt is the version's: that one of the two was halted halts the other. */
void rollout_take_record(struct rollout_member *out, const struct bundle_id *of,
                         const struct bundle_id *in_force, const struct record_rollout *said);
/* What the own record is to say of that version after a look, given what was counted here; the numbers of one that was
 * halted stay as they were when it was: they are the evidence for it. True: *said has changed and is to be published.
 * *next_at: before that only a mark changes, no number. It begins with 0. */
bool rollout_report(const struct rollout *r, struct record_rollout counted, bool is_asked,
                    struct record_rollout *said, mono_ms *next_at, mono_ms now);
const char *rollout_cause_text(enum rollout_cause c);
/* What an operator should know before it is too late: "no living member belongs to step 1 (ring=canary): it tries nothing out"; or
 * nothing. Appends. */
void rollout_say_empty(const struct rollout *r, struct buf *out);

#endif
