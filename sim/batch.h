/* The runs of one scenario, each with the next seed: shared among processes (crew.h), told in the order of their seeds. */
#ifndef SIM_BATCH_H
#define SIM_BATCH_H

#include "sim/options.h"

/* Plays what the options ask for and prints a line for each run, or one for all (--quiet). Of a run that failed it prints what
 * was not so and the command that plays it again. Returns the exit status: 0 all went well, 1 one did not.
 * `seconds_now` is a clock of real time, for how long a run takes; no run depends on it. */
int batch_run(const struct options *o, double (*seconds_now)(void));

#endif
