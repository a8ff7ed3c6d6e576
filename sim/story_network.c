#include "sim/acts.h"
#include "sim/story.h"

/* Long enough for each side to bury the other; then nobody helps but the network. */
void story_partition_heal(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    acts_split(w);
    world_cut(w, 0, 1, true);
    world_cut(w, 1, 0, true);
    if (!world_run(w, SEC(10) + acts_pick(w, (uint32_t)SEC(120))))
        return;
    if (w->config.hosts > HOSTS_WITH_SEEDS &&
        acts_pick(w, 2)) /* someone dies while nobody on the other side can see it */
        host_crash(w, acts_other_host(w));
    world_run(w, SEC(10));
    world_cut(w, 0, 1, false);
    world_cut(w, 1, 0, false);
    world_agree(w, acts_agree_bound(w), "the partition healed");
}

/* One side hears, the other does not. */
void story_one_way(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    acts_split(w);
    world_cut(w, 1, 0, true);
    if (!world_run(w, SEC(20) + acts_pick(w, (uint32_t)SEC(40))))
        return;
    world_cut(w, 1, 0, false);
    world_agree(w, acts_agree_bound(w), "the one-way cut healed");
}

/* One direction between two groups opens and closes every few seconds; then it is good again. */
void story_flapping(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    acts_split(w);
    for (int i = 0; i < 12 && world_is_well(w); i++) {
        uint32_t from = acts_pick(w, 2);
        world_cut(w, from, 1 - from, true);
        world_run(w, MS(200) + acts_pick(w, (uint32_t)SEC(5)));
        world_cut(w, from, 1 - from, false);
        world_run(w, MS(200) + acts_pick(w, (uint32_t)SEC(5)));
    }
    world_agree(w, acts_agree_bound(w), "the network stopped flapping");
}

/* One host reaches only half of the others. It lives, others can tell: nobody may be buried for long. */
void story_half_connected(struct world *w)
{
    if (!acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        w->wire.group[h] = (uint8_t)(h == 0 ? 0 : 1 + h % 2);
    world_cut(w, 0, 1, true);
    world_cut(w, 1, 0, true);
    if (!world_run(w, SEC(90)))
        return;
    world_cut(w, 0, 1, false);
    world_cut(w, 1, 0, false);
    world_agree(w, acts_agree_bound(w), "the host reaches all again");
}

/* Thin lines: a join, an update and a document all the same. */
void story_congested(struct world *w)
{
    if (!acts_start_all(w))
        return;
    for (int i = 0; i < 10 && world_is_well(w); i++) {
        host_update(w, acts_pick(w, w->config.hosts));
        world_run(w, MS(300));
    }
    const struct doc *d = world_publish(w, 0, 1, 100 * 1000);
    if (acts_all_have(w, d, SEC(60)) && world_run(w, SEC(20)))
        world_agree(w, acts_agree_bound(w), "a document over thin lines");
}

/* At 30 % loss a probe and its three detours all fail one time in five, so somebody is always suspected
 * somewhere, and refutes: agreement is about who lives until the network is good again. */
void story_loss(struct world *w)
{
    w->is_doubt_agreed = true;
    if (!acts_start_all(w) || !world_run(w, SEC(30)))
        return;
    for (uint32_t n = acts_some_of(w, 10); n > 0; n--)
        host_crash(w, acts_other_host(w));
    if (!world_run(w, SEC(5)) || !world_agree(w, 3 * acts_agree_bound(w), "crashes in a lossy network"))
        return;
    w->is_doubt_agreed = false;
    w->wire.config.loss_ppm = w->wire.config.duplicate_ppm = w->wire.config.reorder_ppm = 0;
    world_agree(w, acts_agree_bound(w), "the network became good");
}
