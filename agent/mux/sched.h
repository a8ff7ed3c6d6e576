/* Whose turn is it? Deficit round robin in two classes, after FQ-CoDel's (RFC 8290 section 4.2): a stream
 * that has sent less than a quantum since it was last idle for a while is *fresh* and goes before all *bulk*
 * streams; after that it is bulk and takes its turn. So a request never waits behind a download. Bulk keeps a
 * turn in every SCHED_STREAK + 1, whatever the number of fresh streams, so a flood of small requests cannot
 * stop a download either. Knows nothing of frames. */
#ifndef MUX_SCHED_H
#define MUX_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/clock.h"

enum {
    SCHED_QUANTUM = 16 * 1024, /* bytes per turn, and what a stream may send as fresh */
    SCHED_STREAK = 8,          /* fresh turns in a row while bulk waits */
    SCHED_FORGET_MS = 100,     /* idle so long, a stream is fresh again */
};

enum sched_place { SCHED_IDLE, SCHED_FRESH, SCHED_BULK, SCHED_BLOCKED };

struct sched_entry { /* embedded in what is scheduled; zero-initialised is idle and fresh */
    TAILQ_ENTRY(sched_entry) link;
    int32_t spent; /* bytes beyond its quanta so far: below SCHED_QUANTUM it may go on */
    uint8_t place;
    mono_ms left_at; /* when it became idle */
};
TAILQ_HEAD(sched_list, sched_entry);

struct sched {
    struct sched_list fresh, bulk, blocked;
    unsigned streak;
};

void sched_init(struct sched *s);
/* It has something to send. No effect when it is in line already; a blocked one is put in line. */
void sched_add(struct sched *s, struct sched_entry *e, mono_ms now);
/* It has nothing to send any more. No effect when idle. */
void sched_remove(struct sched *s, struct sched_entry *e, mono_ms now);
/* It cannot go on until the link has credit: out of line until sched_unblock(). */
void sched_block(struct sched *s, struct sched_entry *e);
void sched_unblock(struct sched *s, mono_ms now);

bool sched_is_empty(const struct sched *s);      /* blocked ones do not count */
struct sched_entry *sched_next(struct sched *s); /* whose turn it is; NULL: nobody's */
size_t sched_limit(const struct sched_entry *e); /* bytes left of its turn, > 0 */
void sched_charge(struct sched *s, struct sched_entry *e,
                  size_t n); /* the one whose turn it was has sent n bytes */

#endif
