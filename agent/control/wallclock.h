/* The time by which expiry is judged: the host's clock, but never before the latest time that this agent has seen.
 *
 * What has expired must not come back because a clock was set back (ADVERSARY B9), and one wrong hour of a clock that was
 * years ahead must not lock a host out for ever. So the latest time seen is durable, and it follows the host's clock by rules:
 *
 *   the clock is           time judged by    the latest time seen
 *   near it, or ahead      the clock's       follows at once, if by less than an hour more than has passed
 *   far ahead              the clock's       follows when the agent has run WALLCLOCK_AHEAD_S with it; before, a clock that
 *                                            is mended leaves no trace
 *   behind                 the latest seen   goes on by the monotonic clock, and follows the clock back when the agent has run
 *                                            WALLCLOCK_BEHIND_S with it: the longest that a host may be locked out, and the
 *                                            shortest that a clock must be held back to revive anything
 *
 * The time that the agent has run apart from its clock is durable too. Pure: clocks are parameters. Belongs to the control
 * loop. */
#ifndef CONTROL_WALLCLOCK_H
#define CONTROL_WALLCLOCK_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

enum {
    WALLCLOCK_SLACK_S = 300,       /* behind by less: the time stands still until the clock is there again */
    WALLCLOCK_JUMP_S = 3600,       /* ahead by more than this and what has passed: far ahead */
    WALLCLOCK_AHEAD_S = 24 * 3600, /* of running */
    WALLCLOCK_BEHIND_S = 7 * 24 * 3600, /* of running */
    WALLCLOCK_KEEP_S = 600, /* how often it is made durable, at most; so much may be lost in a crash */
    WALLCLOCK_BYTES = 24,
};

enum wallclock_state {
    WALLCLOCK_AGREES,
    WALLCLOCK_AHEAD,
    WALLCLOCK_BEHIND,
};

struct wallclock { /* zero-initialised: nothing was ever seen */
    wall_s latest; /* the latest time seen */
    mono_ms at;    /* when that was, by the monotonic clock */
    enum wallclock_state state;
    wall_s apart_s;  /* how long the agent has run in this state; 0 while it agrees */
    mono_ms keep_at; /* when to make it durable again */
};

/* Takes over what an earlier run kept (empty: nothing). `now` is the monotonic time. ERR_MALFORMED: it is no such thing. */
must_check enum err wallclock_load(struct wallclock *k, struct bytes kept, mono_ms now);
/* The time to judge by while the host's clock says `wall`. */
wall_s wallclock_now(const struct wallclock *k, wall_s wall, mono_ms now);
/* Follows the clock; call it at the start, after wallclock_load(), and about every minute. True: the state has changed. */
bool wallclock_step(struct wallclock *k, wall_s wall, mono_ms now);
/* Is it time to make it durable? Then `out` holds what to keep: be64 latest | be64 state | be64 seconds in that state. */
bool wallclock_keep(struct wallclock *k, uint8_t out[WALLCLOCK_BYTES], mono_ms now);
/* Appends a sentence that says which clock looks wrong, and until when it matters; nothing if all agree. `signed_at`: when the
 * newest credential known here was signed (0: none), by the clock of another host. */
void wallclock_say(const struct wallclock *k, wall_s wall, wall_s signed_at, mono_ms now, struct buf *out);

#endif
