/* Seeds as written ("10.0.0.1:7400", "seeds.shop.internal") turned into addresses, again and again: names may
 * change, and one that does not resolve today may tomorrow. Own addresses are left out. */
#ifndef CONTROL_SEED_NAMES_H
#define CONTROL_SEED_NAMES_H

#include "control/config.h"
#include "net/net.h"

enum { SEEDS_RESOLVE_EVERY_MS = 30000, SEEDS_RETRY_MS = 2000, SEEDS_ADDRS_MAX = 64 };

struct seed_names;
/* `changed` runs on the loop with every new list. */
struct seed_names *seed_names_new(struct net_loop *loop,
                                  void (*changed)(void *arg, const struct addr *found, size_t count),
                                  void *arg);
/* When the loop runs no more: no answer comes to it afterwards. */
void seed_names_free(struct seed_names *s);
/* Takes the list out of the configuration (borrowed until the next call) and resolves it now. */
void seed_names_set(struct seed_names *s, const struct config *config, mono_ms now);
void seed_names_step(struct seed_names *s, mono_ms now);
mono_ms seed_names_deadline(const struct seed_names *s);

#endif
