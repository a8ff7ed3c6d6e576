/* A hostile member (a host of the mesh with a valid key, which also runs the honest code) and an outsider
 * (own keys, a credential of another root), who send what they like. They overhear all messages, which is
 * more than the links allow. They replay, alter and splice what they overheard, forge records of others and
 * of themselves, accuse, and offer documents.
 *
 * The outsider's messages are delivered although no link would authenticate him: gossip/ has to hold by
 * itself. */
#ifndef SIM_FORGER_H
#define SIM_FORGER_H

#include "sim/world.h"

struct forger;

/* Begins; `member` is the hostile one. Sends something every `every` until forger_stop(). */
void forger_start(struct world *w, uint32_t member, mono_us every);
void forger_stop(struct world *w);
/* Has somebody answered in the name of this host of late, who may as well as the host itself (he has its key)? */
bool forger_speaks_for(const struct world *w, uint32_t host);
void forger_free(struct forger *f);
/* Every message sent by anybody. f may be NULL. */
void forger_overhears(struct forger *f, enum gossip_lane lane, struct bytes msg);

#endif
