/* Seeds as written ("10.0.0.1:7400", "seeds.shop.internal") turned into addresses, again and again: names may
 * change, and one that does not resolve today may tomorrow. Own addresses are left out. */
#ifndef CONTROL_SEEDS_H
#define CONTROL_SEEDS_H

#include "control/config.h"
#include "net/net.h"

enum { SEEDS_RESOLVE_EVERY_MS = 30000, SEEDS_RETRY_MS = 2000, SEEDS_ADDRS_MAX = 64 };

struct seeds;
/* `changed` runs on the loop with every new list. */
struct seeds *seeds_new(struct net_loop *loop,
                        void (*changed)(void *arg, const struct addr *found, size_t count), void *arg);
void seeds_free(struct seeds *s);
/* Takes the list out of the configuration (borrowed until the next call) and resolves it now. */
void seeds_set(struct seeds *s, const struct config *config, mono_ms now);
void seeds_step(struct seeds *s, mono_ms now);
mono_ms seeds_deadline(const struct seeds *s);

#endif
