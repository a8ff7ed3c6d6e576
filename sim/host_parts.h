/* What the files of a host (sim/host.h) have for each other. */
#ifndef SIM_HOST_PARTS_H
#define SIM_HOST_PARTS_H

#include "sim/world.h"

/* ---- host.c ---- */

mono_us host_us(const struct host *h); /* what its clock shows now */
void host_change(struct host *h, enum host_state to, const char *word);

/* ---- host_own.c ---- */

/* Signs version 1 of a new incarnation, or the next version of the current one, and gives it to gossip. A number that was
 * signed before is a failure of the world. */
void host_own_publish(struct host *h, bool left);
void host_own_store(struct host *h, uint64_t incarnation); /* it is on the disk now */
/* It is on the disk in a while, and then used. */
void host_own_want(struct host *h, uint64_t incarnation);
/* What others hold of it is known; nothing was signed until then. */
void host_own_recalled(struct host *h, uint64_t highest);

/* ---- host_events.c ---- */

struct gossip_verify host_verify(struct host *h);
void host_on_event(struct host *h, const struct gossip_event *ev);

/* ---- host_receive.c ---- */

/* What waited in the sockets: the loop reads a batch, then runs what is due, then reads on. */
void host_queue_drain(struct host *h);
void host_queue_drop(struct host *h); /* with the send that is held */

/* ---- host_send.c: from gossip's packet to the wire (sim/wire.h) or to the failure that a connection reports ---- */

void host_send(struct host *h, const struct gossip_packet *p);
/* Who has this address; UINT32_MAX: nobody, or one who has moved away. */
uint32_t host_at(const struct world *w, const struct addr *a);
/* A copy of the packet, on its way from `h` to `to`; to be given to the future, or freed (delivery_free()). */
struct delivery *host_delivery(const struct host *h, const struct gossip_packet *p, uint32_t to);
/* The way to `to` as a connection sees it now: 0, or the time until its failure is known. */
mono_us host_bulk_trouble(struct world *w, uint32_t from, uint32_t to);
/* Its sender hears of it after that time. Takes the delivery. */
void host_bulk_fails(struct world *w, struct delivery *d_take, mono_us after);

#endif
