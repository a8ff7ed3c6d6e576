/* circle.h: to whom fresh rumors are pushed: a few members drawn at random among all, one of whom is replaced every minute.
 *
 * Why not others each time? The first word to a member costs both sides a handshake (0.35 ms of CPU together, in Starling)
 * and memory for an hour. In a mesh in which many join at once, nearly everybody would make a session with nearly everybody.
 * Pushing to k of c members that stay spreads a rumor as far as pushing to k random ones: each goes to as many members, drawn
 * from the same, and e^-k of them are missed in both cases (HyParView's active views, Leitao et al. 2007, are such circles).
 *
 * For the same reason it begins with CIRCLE_FIRST members and gets one more every CIRCLE_PACE_MS. While a mesh grows, as when
 * all join at once, places change hands at that pace, too: in those first seconds all have everything to do, and sessions made
 * early would soon be left unused. What a small circle misses, second pushes, pings and syncs tell (tell.c).
 *
 * Only our own draws fill it, nothing that another says or does: liars are as many in it as among all, and an unlucky draw does
 * not last. It is for meshes larger than itself. */
#ifndef GOSSIP_CIRCLE_H
#define GOSSIP_CIRCLE_H

#include "gossip/member.h"

enum { CIRCLE_MAX = 12, CIRCLE_FIRST = 4, CIRCLE_PACE_MS = 1000, CIRCLE_REPLACE_MS = 60 * 1000 };

struct circle {
    struct rng rng;
    struct member *at[CIRCLE_MAX];   /* who are pushed to */
    struct member *fair[CIRCLE_MAX]; /* the fair sample of all: who has won a place, whoever holds it still */
    uint32_t open;                   /* places in use */
    uint32_t turn;                   /* whose it is next */
    mono_ms pace_at, replace_at;
    uint32_t alive_most; /* members alive at a time, up to now */
};

void circle_init(struct circle *c, uint64_t seed, mono_ms now); /* empty */
/* The next alive member to push to, not `self`; NULL: there are not CIRCLE_MAX others. Who died makes room for another. */
struct member *circle_pick(struct circle *c, const struct members *t, const struct member *self, mono_ms now);
/* m has become alive, and is one of `alive`, ourselves included. While the mesh grows each newcomer wins a place with the
 * probability that keeps the circle a fair sample (Vitter 1985, algorithm R), and takes it when the pace allows: else who joins
 * among many would push for ever to the few it heard of first. Who only returns takes nobody's place, or a liar that comes and
 * goes would end up in all circles. */
void circle_add(struct circle *c, struct member *m, uint32_t alive);
void circle_forget(struct circle *c, const struct member *m); /* before members_remove() */

#endif
