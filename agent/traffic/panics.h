/* Which services and subsets panic (pick.h), at how many workers of this agent: so that its begin and its end are told once, and a
 * report knows of it. Used by all workers at once without locks: PANICS_MAX counters in a table of keyed places (keyed.h). What
 * finds its places taken by others that panic too is told by each worker for itself, and unknown to reports: too often, never hidden. */
#ifndef TRAFFIC_PANICS_H
#define TRAFFIC_PANICS_H

#include <stdbool.h>
#include <stddef.h>

#include "trust/shorthash.h"

enum { PANICS_MAX = 2048 };

struct panics;
/* `key` is random and of this process. NULL: no memory. */
struct panics *panics_new(const struct shorthash_key *key);
void panics_free(struct panics *p);

/* One worker's panic for this subset ("": any instance) begins. Where it is counted, for its end. `is_first`: of all workers. */
size_t panics_begin(struct panics *p, const char *service, const char *subset, bool *is_first);
/* It ends, exactly once; true: it was the last. */
bool panics_end(struct panics *p, size_t place);
bool panics_is_on(const struct panics *p, const char *service, const char *subset);

#endif
