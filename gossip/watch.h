/* watch.h: who probes whom, and when. Each member is watched by up to WATCH_RINGS others, evenly staggered.
 *
 * SWIM draws whom to probe at random: the gap between two probes of a member has an exponential tail, and with
 * it the time until its death is seen. Here each member has assigned observers (Rapid, Suresh et al. 2018,
 * section 4.1: K rings; Fireflies, Johansen et al. 2006): ring k orders the members by a hash of (k, id), and
 * who comes before a member on it watches it. Everybody computes the same rings from what it believes, so
 * nothing is agreed upon. The cost stays SWIM's: one probe given and one taken per interval.
 *
 * The even gaps are the watched one's doing: it hands out turns, one per interval, like numbers at a counter,
 * and each ack to an observer names the time until its next turn. Nobody needs a common clock. A turn given and not
 * used (its observer died, a packet was lost) costs one gap of two intervals. Only those whom the watched one
 * takes for its observers get turns, one each, so a flood of probes moves nobody's (ADVERSARY G4); a member that
 * hands out late turns harms only itself, and no more than WATCH_TURN_MAX intervals.
 *
 * Suspects are not on the rings: whoever hears of a suspicion probes by itself (suspect.h), and the next one on
 * the ring is watched meanwhile. So a lost rack is met as fast as a lost host. */
#ifndef GOSSIP_WATCH_H
#define GOSSIP_WATCH_H

#include "gossip/member.h"

enum {
    WATCH_RINGS = 10, /* Rapid's K; with a tenth of liars 99.9 % of members have an honest majority (K = 9) */
    WATCH_TURN_MAX = 20, /* intervals until a turn at most; the observer cuts what is more */
};

struct watch_ring {
    uint64_t own;            /* our place on it */
    uint64_t ahead, behind;  /* to the subject, clockwise; from the observer */
    struct member *subject;  /* comes after us: we watch it; NULL: nobody does, or not looked up yet */
    struct member *observer; /* comes before us: it watches us */
    mono_ms next_at;         /* our next probe of the subject; set by watch_turn_at() */
    mono_ms turn_at;         /* the turn last given to the observer */
    mono_ms missed_at;       /* from then on it has missed that turn; NEVER: none was given, or it is told */
    bool is_doubted;         /* only relays said that the subject answered our last turn: we ask once more */
    bool is_sought;          /* ... the same of the observer, which had missed its turn */
};

struct watch {
    struct watch_ring ring[WATCH_RINGS];
    mono_ms last_turn; /* the latest given to anybody */
    mono_ms due_at;    /* watch_deadline() */
    mono_ms missed_at; /* the earliest of the rings' */
    struct rng rng;    /* of its own: who joins when moves no other choice */
    bool is_stale;     /* a place on some ring has to be looked up */
};

void watch_init(struct watch *w, const struct node_id *self, uint64_t seed);
/* m became alive. A new subject is probed at a random moment of the next round. */
void watch_add(struct watch *w, struct member *m, mono_ms now, uint32_t interval_ms);
/* m is not alive any more. Its places are looked up again by watch_repair(): who follows it there may be silent too, and is probed
 * within half an interval. Not so if our own hearing is in doubt (is_well is false): who hears nobody would find all of them silent
 * one after the other. */
void watch_remove(struct watch *w, const struct member *m);
void watch_repair(struct watch *w, const struct members *t, const struct member *self, mono_ms now,
                  uint32_t interval_ms, bool is_well);

/* The first ring with this subject: it alone keeps the time when a member follows us on several. NULL: we do
 * not watch it. */
struct watch_ring *watch_of(struct watch *w, const struct member *subject);
bool watch_is_first(const struct watch *w, const struct watch_ring *ring);
/* Who watches it, one for each ring; NULL: nobody does. Looks at all members once, so not for every packet. */
void watch_observers(const struct members *t, const struct member *subject, struct member *out[WATCH_RINGS]);
/* How many members we watch. */
uint32_t watch_subjects(const struct watch *w);
/* Our next probe of this ring's subject is at `at`. */
void watch_turn_at(struct watch *w, struct watch_ring *ring, mono_ms at);
/* The earliest next_at of those who keep the time. NEVER: we watch nobody. Asked after every message, so it is kept. */
static inline mono_ms watch_deadline(const struct watch *w)
{
    return w->due_at;
}

/* An observer probed us: milliseconds until its next turn, 0 if it is no observer of ours. One that is extra, as it might not
 * say what it sees, has its turn beside those of the others, and half as often while there are others: so theirs are one
 * interval apart all the same, and if all are extra one of them comes each interval. */
uint32_t watch_turn(struct watch *w, const struct member *observer, bool is_extra, mono_ms now,
                    uint32_t interval_ms);
/* This observer has missed the turn that it was just given if it has not come by then. A stranger: nothing is noted. */
void watch_expect(struct watch *w, const struct member *observer, mono_ms by);
/* One that has missed its turn, and may be gone. Each turn is told of once; NULL: none is left. */
struct member *watch_missed(struct watch *w, mono_ms now);
/* Only relays said that it answers, when it had missed its turn: it is told of again then, but not a third time. */
void watch_expect_again(struct watch *w, const struct member *observer, mono_ms by);
void watch_expect_nobody(struct watch *w); /* it was we who could not hear them */
/* When watch_missed() has something to tell; NEVER: nothing. */
static inline mono_ms watch_missed_at(const struct watch *w)
{
    return w->missed_at;
}

#endif
