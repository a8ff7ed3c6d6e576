/* Whether traffic gets through to a member. Members are watched over UDP; a firewall that lets UDP 7400 pass and not TCP 7400
 * leaves a member alive that no request reaches. What the workers' dials show is kept here per member, so that it can be said.
 *
 * A dial that fails says little at once: the process may just have died, and gossip finds that out within a second or two. So a
 * member is lost to traffic when dials have failed for REACH_LOST_MS, none has worked since, and it is alive all the while. */
#ifndef CONTROL_REACH_H
#define CONTROL_REACH_H

#include <stdbool.h>

#include "base/clock.h"
#include "worker/worker.h"

enum {
    REACH_LOST_MS = 3000,
    REACH_SAY_EVERY_MS = 600 * 1000, /* one member is spoken of at most so often */
};

struct reach { /* zero-initialised: nothing is known */
    mono_ms
        failing_since; /* when the first failed dial since the last that worked was begun; 0: none failed */
    mono_ms said_at;   /* when its loss was last logged; 0: never */
    mono_ms silent_said_at; /* when it was last logged that a link to it had fallen silent; 0: never */
    bool is_refused;        /* the last dial was refused, not left unanswered */
    bool is_said;           /* its loss was logged and its return was not */
};

void reach_note(struct reach *r, enum worker_link_news news, mono_ms now);
/* Meaningful only while the member is alive. */
bool reach_is_lost(const struct reach *r, mono_ms now);

#endif
