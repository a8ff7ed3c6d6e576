#include "sim/acts.h"
#include "sim/forger.h"
#include "sim/story.h"

void story_forge(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(3)))
        return;
    world_publish(w, 0, 1, 5000);
    forger_start(w, w->config.hosts - 1, MS(20));
    if (!world_run(w, SEC(30)))
        return;
    uint32_t dies = acts_other_host(w) % (w->config.hosts - 1);
    host_crash(w, dies); /* dead is dead, whatever old records are replayed */
    if (!world_run(w, SEC(30)))
        return;
    /* B21: bogus offers of newer documents do not keep a good one out. */
    if (!acts_all_have(w, world_publish(w, dies == 0 ? 1 : 0, 2, 5000), SEC(90)))
        return;
    forger_stop(w);
    if (!world_run(w, SEC(5)) || !world_agree(w, acts_agree_bound(w), "the forger gave up") ||
        !world_run(w, SEC(20)))
        return;
    if (w->figures.forged == 0 || w->figures.forged_seen == 0)
        world_fail(w, "the forger reached nobody: nothing was shown");
}
