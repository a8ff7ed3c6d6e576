/* What the files of policies.h have for each other. */
#ifndef SIM_POLICIES_PARTS_H
#define SIM_POLICIES_PARTS_H

#include "sim/policies.h"

/* ---- policies.c: bundles, and what a host holds ---- */

struct policies_host *policies_host_of(const struct world *w, uint32_t host);
bool policies_has_steps(const struct sim_bundle *b);
const struct policy_rollout *policies_rule_of(const struct sim_bundle *b);
/* Tells the others that it holds this. */
void policies_tell(struct host *h, uint8_t kind, const struct doc *d);
/* What it holds is on its disk in a while; nobody waits for that. */
void policies_keep(struct world *w, uint32_t host);
/* What is in force has changed, from `was`. */
void policies_note_change(struct world *w, uint32_t host, const struct sim_bundle *was);

/* ---- policies_offer.c: what is published at a host, or comes from others ---- */

/* bundle_succeeds() */
enum err policies_succeeds(const struct sim_bundle *b, const struct sim_bundle *held);
/* The version that the staged one is to replace. ERR_AGAIN: not yet known to be that; ERR_EXISTS: kept for others only. */
enum err policies_offer_before(struct world *w, uint32_t host, const struct sim_bundle *b);
void policies_received(struct world *w, uint32_t host, const struct gossip_event *ev); /* world.on_doc */

/* ---- policies_rollout.c: steps ---- */

/* Draws what has come since it was counted last, under the version that has been in force. */
void policies_count_requests(struct world *w, uint32_t host);
/* Is this what the staged version replaces, by what most of the members say that they enforce? */
bool policies_is_base(const struct world *w, uint32_t host, const struct sim_bundle *b);
/* `now.staged` is rolled out from now on, or no longer. */
void policies_rollout_begin(struct world *w, uint32_t host, bool entered, enum rollout_cause halted);
void policies_rollout_end(struct policies_host *s);
/* What is in force becomes what the next version is compared with. */
void policies_rollout_settle(struct policies_host *s);

/* ---- policies_hostile.c ---- */

/* Changes what it would say to its lie about the version that is rolled out, which there is. */
void policies_say_lie(const struct policies_host *s, struct signed_policy *out);

#endif
