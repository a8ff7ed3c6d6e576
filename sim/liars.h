/* Members that lie as much as a valid key allows. A liar runs the honest code, so that it counts as alive and watches
 * others, but what it sends is edited, some questions are answered with lies, and it accuses.
 *
 * What it cannot do, having only its own keys, it does not try here: speak as another, sign another's record. That is
 * forger.c's part, which the same hosts may play besides. Liars know the truth about everybody and act together. */
#ifndef SIM_LIARS_H
#define SIM_LIARS_H

#include "sim/world.h"

struct liars;

/* What they do; bits. */
enum liars_way {
    LIARS_ACCUSE = 1, /* say of the honest that they are suspect or dead, under the right number (G4) */
    LIARS_SHIELD =
        2, /* asked to probe one who is gone they say that it answered; asked about one who lives, that it
                          did not (G22) */
    LIARS_SILENT = 4,      /* pass no rumor on: no suspicion of the gone, no refutation, no news */
    LIARS_STATES = 8,      /* in lists and states they call the living dead and the gone alive */
    LIARS_BORROW = 64,     /* ... in the name of somebody honest, as if they passed it on (R3) */
    LIARS_COORDINATE = 32, /* say with great surety that they are anywhere */
    LIARS_ECLIPSE = 16,    /* tell joiners of nobody but liars, and compare with nobody (G21) */
    LIARS_ALL = LIARS_ACCUSE | LIARS_SHIELD | LIARS_SILENT | LIARS_STATES,
};

/* From now on the marked hosts lie in these ways. Each accuses somebody once per `every`. */
void liars_begin(struct world *w, const bool *is_liar, unsigned ways, mono_us every);
void liars_end(struct world *w);                      /* they are honest again */
void liars_free(struct liars *l);                     /* may be NULL */
bool liars_has(const struct world *w, uint32_t host); /* it lies, or did before the end */
bool liars_lie(const struct world *w, uint32_t host); /* now */
uint64_t liars_lies(const struct world *w);           /* messages invented, withheld or changed so far */

/* host.c: this host is about to send *msg; what is sent instead replaces it, valid until the next call. False: nothing. */
bool liars_edit(struct world *w, uint32_t from, enum gossip_lane lane, struct bytes *msg);
/* host.c: this host got `msg`. True: a lie has answered it, its honest code does not see it. */
bool liars_answer(struct world *w, uint32_t at, uint32_t from, enum gossip_lane lane, struct bytes msg);

#endif
