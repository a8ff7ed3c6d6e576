#include "sim/acts.h"
#include "sim/story.h"

/* Published at one, everywhere soon; a newer one replaces it; who was away gets it when back; a late older
 * one changes nothing. */
void story_policy(struct world *w)
{
    if (!acts_start_all(w))
        return;
    const struct doc *d = world_publish(w, acts_pick(w, w->config.hosts), 1, 20 * 1000);
    if (!acts_all_have(w, d, SEC(10)))
        return;
    uint32_t away = acts_other_host(w), publisher = away == 1 ? 0 : 1;
    host_crash(w, away);
    d = world_publish(w, publisher, 2, 300 * 1000);
    if (!acts_all_have(w, d, SEC(15)))
        return;
    host_start(w, away);
    if (!acts_all_have(w, d, SEC(30)))
        return;
    world_publish(w, publisher, 3, 1000);
    d = world_publish(w, publisher, 4, 1000);
    if (acts_all_have(w, d, SEC(15)))
        world_agree(w, acts_agree_bound(w), "publishing");
}
