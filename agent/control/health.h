/* Health checks of this host's own services: a TCP dial, or an HTTP GET that must answer 2xx or 3xx.
 *
 * A service without a check counts as healthy. One with a check is unhealthy until its first success, is
 * healthy after one success, and unhealthy after HEALTH_FALL failures in a row. Checks of one service never
 * overlap. */
#ifndef CONTROL_HEALTH_H
#define CONTROL_HEALTH_H

#include "control/config.h"
#include "net/net.h"

enum { HEALTH_FALL = 2 };

struct health;
/* `changed` runs on the loop when the service at `index` of the configuration changes. */
struct health *health_new(struct net_loop *loop, void (*changed)(void *arg, size_t index, bool healthy),
                          void *arg);
void health_free(struct health *h);
/* Takes the services out of the configuration; what is unchanged keeps its state. Fills in healthy[] for
 * each. */
void health_set(struct health *h, const struct config *config, bool *healthy, mono_ms now);
/* In the turn: starts checks that are due, ends those that took too long. */
void health_step(struct health *h, mono_ms now);
/* How the last check of a service that is unhealthy failed: "refused", "answered 503", "timed out"; "": it is healthy, or was not
 * checked yet. Borrowed until the next step. `index` as in the configuration. */
const char *health_why(const struct health *h, size_t index);
mono_ms health_deadline(const struct health *h);

#endif
