/* The same work over several cores: independent runs in worker processes, their results taken in order. What is printed
 * is then the same, byte for byte, however many workers there are.
 *
 * Workers are forked, so each begins with all that this process has made so far (keys, options) and shares nothing
 * afterwards. A worker that dies costs its run, not the others. */
#ifndef SIM_CREW_H
#define SIM_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    CREW_WORKERS_MAX = 64,
    CREW_AHEAD_MAX = 1024, /* results that wait for an earlier one; no further run is begun meanwhile */
};

struct crew {
    /* Does run i and appends its result. In a worker: prints nothing. */
    void (*work)(void *arg, uint32_t i, struct buf *result);
    /* The result of run i, in order of i, in the caller's process. */
    void (*take)(void *arg, uint32_t i, struct bytes result);
    /* ... or: the worker died of run i (this says how). */
    void (*lost)(void *arg, uint32_t i, const char *how);
    void *arg;
};

/* As many as the machine has cores. */
uint32_t crew_cores(void);
/* Does the runs 0 to count - 1 in up to `workers` processes; with one worker, or one run, all in this process. */
void crew_run(const struct crew *c, uint32_t workers, uint32_t count);

/* Does it in a copy of this process, and appends the result here: what else it does to memory is undone. So a state that
 * took long to make is made once, and many runs begin with it. Like a worker it prints nothing; it calls no crew_*. If the
 * copy dies, so does this process, and in the same way: it is the run that costs. */
void crew_aside(void (*work)(void *arg, struct buf *result), void *arg, struct buf *result);

#endif
