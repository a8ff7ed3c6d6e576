/* Do two agents answer as one member? Where they sign two records with one number that is proof, and gossip quarantines the member.
 * More often each goes above the other, and all that others see is that the member goes back to an address that it had just left:
 * that is noted here, to be told. Who moves once, as with a new lease, is not meant; one host that really goes back and forth
 * between two addresses is told of alike, and wants to be looked at, too. Pure; decides nothing. */
#ifndef CONTROL_DOUBLED_H
#define CONTROL_DOUBLED_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/clock.h"

enum { DOUBLED_MS = 600 * 1000 }; /* so soon after it was left is back; and for so long it is told */

struct doubled { /* zero-initialised */
    struct addr at,
        before; /* the first address of its newest record, and of those before it the last other one; port 0: none */
    mono_ms moved_at; /* from before to at */
    mono_ms seen_at;  /* when it last was back; 0: never */
};

/* Its newest record says that it is at `at`. True: it is back at an address that it had just left, and that was not so already. */
bool doubled_note(struct doubled *d, const struct addr *at, mono_ms now);
bool doubled_is_on(const struct doubled *d, mono_ms now);

#endif
