/* A recording of all that hosts said to each other, which can be played to them again (G8, G10): more than anybody on the
 * network could do, as sessions seal each datagram once; gossip/ has to hold by itself. */
#ifndef SIM_CAPTURE_H
#define SIM_CAPTURE_H

#include "sim/world.h"

struct capture;

void capture_start(struct world *w); /* from now on; what was recorded before is forgotten */
void capture_stop(struct world *w);
void capture_free(struct capture *c); /* may be NULL */
/* host.c: this message has been sent. */
void capture_hears(struct world *w, uint32_t from, uint32_t to, enum gossip_lane lane, struct bytes msg);
/* Plays up to `count` of the recorded messages (> 0) within `lasts`, evenly, to those they were sent to, as if their senders
 * said them again: in their order from the first on, or at random. Returns how
 * many. */
size_t capture_replay(struct world *w, size_t count, mono_us lasts, bool is_shuffled);

#endif
