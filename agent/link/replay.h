/* The window of accepted counters of one session: RFC 6479, a ring of 64-bit words in which the words ahead
 * are cleared as the window slides, so that no bit is ever shifted. Accepts each counter once, if it is newer
 * than the greatest or less than REPLAY_WINDOW behind it. Zero-initialised is fresh. Ask only after the
 * packet has proved authentic (ADVERSARY N22). */
#ifndef LINK_REPLAY_H
#define LINK_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REPLAY_WORDS = 128, /* a power of two */
    REPLAY_WINDOW = (REPLAY_WORDS - 1) * 64,
};

struct replay {
    uint64_t greatest_plus_1; /* 0: nothing seen */
    uint64_t word[REPLAY_WORDS];
};

/* True: first time, and noted; false: seen already or too old. counter < 2^64 - 1. */
bool replay_accept(struct replay *r, uint64_t counter);
/* Would be, or just was, the greatest of all. */
bool replay_is_newest(const struct replay *r, uint64_t counter);

#endif
