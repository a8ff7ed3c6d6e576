/* Break-glass at an agent: the newest overlay, whether it is on, and what became of all of them (docs/trust.md, Break-glass).
 *
 * One at a time: the newest of all validly signed ones is held, whatever its state, and offered to others; so whoever has heard of a
 * higher version never takes a lower one, and an overlay that has ended, or was ended, is not brought back by anybody.
 *
 *   nothing --stored--> early --its time has come--> on --> over: its end has come, it was ended by its next version, another took its
 *                         '--------- over ------------------'      place, or the root no longer vouches for it
 *
 * It ends by itself: when the time by which expiry is judged has reached `ends` (control/wallclock.h), and no later than so
 * long after it was taken up as it had left then, by the monotonic clock: a clock that is set back lengthens nothing (ADVERSARY
 * B9). Once over, always over: that is durable.
 *
 * Audited: what is to be on is in the history, and that in the store, before it is on. Every change is one line of the log's
 * module "audit". Pure but for the store and the log. */
#ifndef CONTROL_OVERLAID_H
#define CONTROL_OVERLAID_H

#include "observe/metrics.h"
#include "policy/overlay.h"
#include "store/store.h"

enum {
    DOC_OVERLAY = 5, /* gossip's kind of document */
    OVERLAID_HISTORY = 50,
    OVERLAID_WHY_MAX = 200,
};

#define OVERLAID_ENDS(X)                                                                                     \
    X(NOT, "")                                                                                               \
    X(EXPIRED, "expired")                                                                                    \
    X(ENDED, "ended")                                                                                        \
    X(REPLACED, "replaced")                                                                                  \
    X(FELL, "fell") /* the root no longer vouches for it */
enum overlaid_end {
#define X(name, text) OVERLAID_##name,
    OVERLAID_ENDS(X)
#undef X
        OVERLAID_END_COUNT
};
const char *overlaid_end_text(enum overlaid_end e);

struct overlaid_entry {
    struct overlay o; /* mesh and text are empty */
    wall_s since;     /* taken up here */
    wall_s over_at;   /* 0: not yet */
    enum overlaid_end end;
};

struct overlaid {
    struct buf bytes; /* the newest, as it travels; empty: there never was one */
    struct overlay newest;
    enum overlaid_end over; /* it is over: why */
    mono_ms until;          /* when it is over at the latest */
    bool was_on;            /* when last looked at */
    bool in_force;          /* it compiles with the policy in force */
    char why_not[OVERLAID_WHY_MAX];
    bool forked; /* two overlays carry its version */
    size_t count;
    struct overlaid_entry history[OVERLAID_HISTORY]; /* newest last; the oldest goes */
    struct buf
        waiting; /* came before its root: the last such one. Another's place costs time only, since gossip
                           offers it again */
    struct {
        bool busy;       /* until the store has answered, whatever roots come meanwhile */
        bool save_again; /* another root judged it since */
        struct buf bytes;
        struct overlay o;
        enum overlaid_end over;
    } next;
    bool dirty; /* an end that is not stored yet */
    struct metrics *metrics;
};

/* Loads what was held. What the roots do not vouch for any more has fallen; what has ended meanwhile is over. ERR_IO, ERR_DAMAGED,
 * ERR_NOMEM: the store's. */
must_check enum err overlaid_init(struct overlaid *v, struct store *s, const struct chain *roots,
                                  struct metrics *m, wall_s now, mono_ms mono);
void overlaid_fini(struct overlaid *v);

/* Who brings it: an operator is refused what could do nothing now, gossip is not, since versions rise by it. */
enum overlaid_bearer { OVERLAID_BY_HAND, OVERLAID_BY_GOSSIP };
/* Checks a candidate and hands it to the store, with the history that names it. ERR_OK: under way, the store confirms `ticket`;
 * ERR_AGAIN: another is; ERR_EXISTS: it is held; else refused, counted, and `why` says so. */
must_check enum err overlaid_offer(struct overlaid *v, struct store *s, const struct chain *roots,
                                   struct bytes in, enum overlaid_bearer by, wall_s now, uint64_t ticket,
                                   struct buf *why);
/* The store has answered. True: it is the newest now. Compose, then overlaid_say(). */
bool overlaid_confirmed(struct overlaid *v, enum err outcome, wall_s now, mono_ms mono);
/* Judges what is on, and what is being stored, by a new root, which has to vouch for it. True: what is held fell. */
bool overlaid_rejudge(struct overlaid *v, const struct root *root, wall_s now);
/* Looks at the clocks. True: it has begun, or is over: compose again. Saves what is not stored yet. */
bool overlaid_step(struct overlaid *v, struct store *s, wall_s now, mono_ms mono);
mono_ms overlaid_deadline(const struct overlaid *v, wall_s now, mono_ms mono); /* of the next step; NEVER */
/* Is it time for it, and has it rules? Then it is to be compiled over the policy. */
bool overlaid_is_on(const struct overlaid *v, wall_s now);
/* What came of that: `why_not` empty: it is in force. Logs a change. */
void overlaid_composed(struct overlaid *v, const char *why_not);

#endif
