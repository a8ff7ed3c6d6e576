/* The scenarios: stories that are played in the simulated mesh, each with its network and its bounds. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/world.h"

struct scenario {
    const char *name, *about;
    struct wire_config wire;
    bool may_misjudge; /* deaths of hosts that live are counted but no failure: the network is too bad, or
                          somebody lies */
    void (*play)(struct world *w);
    void (*draw)(struct world_config
                     *config); /* draws the network (`wire` is not used) and the hosts; NULL: as given */
};

const struct scenario *scenario_find(const char *name); /* NULL: none of that name */
const struct scenario *scenario_get(size_t i);          /* NULL: past the last */

/* It lasts for as many minutes as are asked for (world_config.minutes). */
bool scenario_goes_on(const struct scenario *s);

/* Plays it and judges the end. The caller frees the world. `config->wire` is taken as given unless the scenario
 * draws it. */
struct world *scenario_play(const struct scenario *s, const struct world_config *config);

#endif
