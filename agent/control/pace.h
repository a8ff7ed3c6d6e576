/* When to do again what bursts ask for: at once after a pause, else PACE_EVERY_MS after the last time; and when it is
 * costly, so seldom that it takes at most one part in PACE_SHARE + 1 of the time. What can wait (newcomers, of whom nothing is asked
 * yet) asks for it PACE_CALM_MS after the last time. So a thousand members that join in one second make at most five views, as many of
 * whom something else is heard a hundred, and a single change waits for nothing. Pure. */
#ifndef CONTROL_PACE_H
#define CONTROL_PACE_H

#include <stdbool.h>

#include "base/clock.h"

enum { PACE_EVERY_MS = 10, PACE_CALM_MS = 200, PACE_SHARE = 4 };

struct pace {
    mono_ms not_before, calm_before; /* zero-initialised: at once */
};

static inline bool pace_allows(const struct pace *p, mono_ms now)
{
    return now >= p->not_before;
}

/* For what can wait. */
static inline bool pace_allows_calm(const struct pace *p, mono_ms now)
{
    return now >= p->calm_before;
}

/* It was begun at `now` and has taken `cost`. */
static inline void pace_done(struct pace *p, mono_ms now, mono_us cost)
{
    mono_ms turn = cost * (PACE_SHARE + 1) / 1000; /* the work itself and what is left to others */
    p->not_before = now + (turn > PACE_EVERY_MS ? turn : PACE_EVERY_MS);
    p->calm_before = now + (turn > PACE_CALM_MS ? turn : PACE_CALM_MS);
}

#endif
