/* Whose clock is wrong? Each session tells what the peer's clock said when it was made (link/udp.h); a clock counts on from there by
 * our monotonic one, so that ours may be set at any time and is seen to be. What comes of it is told to operators and decides
 * nothing: a peer that lies harms only what is said of itself, and our own clock is called wrong only where more than half of all
 * clocks that are known, ours among them, agree on another time. Pure; belongs to the control loop. */
#ifndef CONTROL_SKEW_H
#define CONTROL_SKEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"

enum {
    SKEW_WRONG_MS = 30000, /* a clock that is off by more is called wrong ... */
    SKEW_RIGHT_MS = 20000, /* ... until it is off by no more than this */
    SKEW_STEP_MS = 10000,  /* ours against the monotonic one, between two looks: it was set */
    SKEW_LOOK_MS = 5000,   /* between two looks */
    SKEW_HEARD_MAX = 1024, /* clocks looked at; those of the peers that were used longest ago are left out */
    SKEW_OLD_MS = 2 * 3600 * 1000, /* what was heard before says nothing of today: a session lives an hour */
    SKEW_AGAIN_MS = 600 * 1000, /* of one member the log is not told more often, whatever its clock does, */
    SKEW_UNSURE_LOOKS =
        6,              /* in a row, before it is said that two clocks differ: after a start few are known */
    SKEW_LINES_MAX = 8, /* nor of all together more often than so many times at once ... */
    SKEW_LINE_EVERY_MS = 60 * 1000, /* ... and so often from then on; what was left unsaid is said later */
};

enum skew_verdict {
    SKEW_UNKNOWN, /* no clock but ours is known */
    SKEW_AGREES,  /* ours is among the majority */
    SKEW_OURS,    /* most agree, on another time */
    SKEW_UNSURE,  /* no time has a majority: of two clocks that differ each may be wrong */
};

struct skew {
    enum skew_verdict verdict;
    int64_t right_ms; /* the time that is held right, ahead of ours; 0 but for SKEW_OURS */
    int64_t apart_ms; /* the middle of all clocks, ahead of ours, whatever is made of it */
    size_t heard;     /* other clocks */
    size_t with_us;   /* ... that agree with ours */
};

/* Judges by `count` (at most SKEW_HEARD_MAX) clocks of others, each so many ms ahead of ours; sorts them. `before`: the last
 * judgement, so that what is near the bound does not flicker. */
struct skew skew_judge(int64_t *ahead_ms, size_t count, const struct skew *before);
/* How far a clock that is so far ahead of ours is ahead of the one that is held right. */
int64_t skew_off(const struct skew *s, int64_t ahead_ms);
/* Is a clock wrong that is so far off? `was`: what was said of it before. */
bool skew_is_wrong(int64_t off_ms, bool was);
/* What a clock is ahead of ours that said `clock_ms` when the monotonic one said `at`. Any values are fine: they are the word of a
 * peer. */
int64_t skew_ahead(uint64_t clock_ms, mono_ms at, uint64_t our_ms, mono_ms now);

/* May another line be logged? Zero-initialised: SKEW_LINES_MAX at once. */
struct skew_lines {
    mono_ms free_at; /* when all that was spent will have come back */
};
bool skew_may_say(struct skew_lines *l, mono_ms now);

/* "24h0m3s ahead", "31s behind". */
void skew_words(int64_t ahead_ms, struct buf *out);

#endif
