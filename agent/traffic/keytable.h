/* Consistent hashing: who of a list of members gets a key, such that a member that comes or goes moves few keys.
 *
 *   RING     each member stands at KEYTABLE_RING_POINTS places of a circle of 64-bit numbers, a key goes to the first at or after it (Karger
 *            et al., "Consistent Hashing and Random Trees", 1997; ketama). A member that leaves moves its own keys only.
 *   MAGLEV   a table of KEYTABLE_MAGLEV_SIZE slots, a prime; the members take turns, each takes the next free slot of its own permutation
 *            (Eisenbud et al., "Maglev", NSDI 2016, section 3.4). Shares are even to a percent, at the price that a few keys of others move as well.
 *            The paper's smaller size: it is even for some 650 members, 128 KiB, and made in 1 to 2 ms.
 *
 * The same members give the same table, in whatever order they stand and on every agent. Pure. */
#ifndef TRAFFIC_KEYTABLE_H
#define TRAFFIC_KEYTABLE_H

#include <stddef.h>
#include <stdint.h>

enum {
    KEYTABLE_RING_POINTS =
        128, /* of each member; the shares of two members differ by some 9 % (1/sqrt of it) */
    KEYTABLE_RING_POINTS_ALL = 32768, /* beyond 256 members each has fewer */
    KEYTABLE_MAGLEV_SIZE = 65537,
    KEYTABLE_MEMBERS_MAX = UINT16_MAX, /* those beyond get no key; a service has not so many instances */
};
enum keytable_kind { KEYTABLE_RING, KEYTABLE_MAGLEV };

struct keytable;
/* `id`: one uniform, lasting number per member; not kept. NULL: no members, or no memory. */
struct keytable *keytable_new(enum keytable_kind kind, const uint64_t *id, size_t count);
void keytable_free(struct keytable *t);
size_t keytable_bytes(const struct keytable *t);
/* Is it what keytable_new() would give for these? Members in another order are another table. */
int keytable_is_of(const struct keytable *t, enum keytable_kind kind, const uint64_t *id, size_t count);
/* The place of a key, and the place after one: who asks goes on until a member will do. Places wrap; there are keytable_places(). */
size_t keytable_find(const struct keytable *t, uint64_t key);
size_t keytable_next(const struct keytable *t, size_t place);
size_t keytable_places(const struct keytable *t);
size_t keytable_member(const struct keytable *t, size_t place); /* index into `id` */
/* Mixes all bits of a number into all others (the finaliser of splitmix64). */
uint64_t keytable_mix(uint64_t x);

#endif
