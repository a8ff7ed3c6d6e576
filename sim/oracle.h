/* What must be true, judged from outside: the oracles know what really happened and compare. A violation is
 * world_fail().
 *
 *   forgery       every record that a host accepts was signed by its owner, bit for bit
 *   persistence   no host speaks under an incarnation that is not on its disk, or signs a number twice
 *   order         what a host holds of a member never goes back to older numbers; a good-bye is undone only by a
 *                 newer record; nobody who has been gone for a while is alive again without a newer record
 *   resurrection  nobody who runs, unpaused and reachable both ways, is held dead for longer than a bound
 *   agreement     in the end every running host holds the same, true, view of every other
 *   budget        no host sends more datagram bytes in any second than it may
 *   restraint     lies do not drive a host's own number up without limit */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "sim/world.h"

/* A host's verify has said yes to this claim. */
void oracle_verified(struct world *w, uint32_t by, const struct gossip_claim *claim);
/* A host holds this record of this member. Returns what was really signed, NULL after a failure. */
const struct signed_record *oracle_accepted(struct world *w, uint32_t by, const struct node_id *id,
                                            struct bytes record);
/* A host has changed its mind about a member; `now_held` is what it holds from now on. The disk still tells what it
 * held before. */
void oracle_changed(struct world *w, uint32_t by, uint32_t subject, const struct gossip_event *ev,
                    const struct signed_record *now_held);
/* Looks at all hosts for what must be true at any time; returns when to look again. */
mono_us oracle_look(struct world *w);
/* Do all running, unpaused hosts hold every other as it is (world.is_doubt_agreed: as far as life and death
 * go)? If not, `difference` says one thing that differs.
 */
bool oracle_agree(struct world *w, char *difference, size_t cap);
/* At the end: every record that any host holds, once more; own numbers within reason; the document
 * everywhere. */
void oracle_end(struct world *w);

#endif
