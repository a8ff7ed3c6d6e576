/* Bytes of bodies that are kept for later: of a request that may be sent again (replay.h), of a copy whose receiver is slow. The agent
 * keeps only so many of each kind, and they are counted by the memory that they take: a buffer grows by doubling, and may hold twice
 * its bytes. `all` counts those of all workers; it outlives what is kept. */
#ifndef EXCHANGE_KEPT_H
#define EXCHANGE_KEPT_H

#include <stdatomic.h>

#include "base/buf.h"

/* Copies `d` behind what is there. False: beyond b->max, or `all` would exceed all_max, or no memory; nothing has changed then. */
bool kept_add(struct buf *b, struct bytes d, atomic_size_t *all, size_t all_max);
/* Frees it. */
void kept_drop(struct buf *b, atomic_size_t *all);

#endif
