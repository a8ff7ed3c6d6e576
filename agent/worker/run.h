/* What workers.c, on the control loop's thread, may ask of one worker: its making and end (no thread runs it
 * then), and functions for net_post(). */
#ifndef WORKER_RUN_H
#define WORKER_RUN_H

#include "worker/internal.h"

must_check enum err worker_init(struct worker *w, struct workers *all, unsigned index, struct view *view,
                                struct buf *why);
void worker_fini(struct worker *w);
void worker_turn(void *arg, mono_ms now);
void worker_drain(void *arg); /* a struct worker; posted */

#endif
