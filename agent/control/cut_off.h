/* Does this host hear nobody any more? Then it holds all others dead by and by, and it is more likely that it is cut off than that they
 * all died within seconds: that is told once, in one line, and all their deaths in another. Pure; belongs to the control loop.
 *
 * It is told where CUT_OFF_OTHERS_MIN members or more that are not known to be gone are silent together: of a single one nobody can
 * say whether it is gone or we are, and where processes have ended their hosts refuse our dials, so that they are dead within two
 * seconds (gossip/evidence.c). Time in which we stood still ourselves is no silence of others. It decides nothing. */
#ifndef CONTROL_CUT_OFF_H
#define CONTROL_CUT_OFF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

enum {
    CUT_OFF_MS = 5000,            /* of silence; somebody is probed each second */
    CUT_OFF_OTHERS_MIN = 2,       /* silent ones */
    CUT_OFF_SETTLE_MS = 30 * 1000 /* after its end: who is dead then has died */
};

struct cut_off { /* zero-initialised */
    mono_ms
        heard_at; /* when any other member last said something to this agent; 0: the first step has not been yet */
    mono_ms since;     /* while is_on, and in the step that ends it: when somebody had last been heard */
    mono_ms settle_at; /* 0: nothing is to settle */
    bool is_on, are_all_dead;
};

enum cut_off_news {
    CUT_OFF_NOTHING,
    CUT_OFF_BEGINS,   /* nobody has been heard for CUT_OFF_MS */
    CUT_OFF_ALL_DEAD, /* nobody is left whom we do not hold dead */
    CUT_OFF_ENDS,     /* somebody was heard */
    CUT_OFF_SETTLED, /* and the others had time to come back: told once after CUT_OFF_ENDS, unless it begins anew */
};

void cut_off_heard(struct cut_off *o, mono_ms now);
/* We did nothing for so long, and could hear nobody: it is as if that time had not been. Ends nothing that has begun. */
void cut_off_stood_still(struct cut_off *o, uint64_t ms, mono_ms now);
/* Call it in every turn, after what has arrived was taken. `others`: members that are held alive or suspect, without us. */
enum cut_off_news cut_off_step(struct cut_off *o, size_t others, mono_ms now);

#endif
