/* What a host sends, from gossip's packet to the wire (sim/wire.h) or to the failure that a connection reports. */
#ifndef SIM_HOST_SEND_H
#define SIM_HOST_SEND_H

#include "sim/world.h"

/* Who has this address; UINT32_MAX: nobody, or one who has moved away. */
uint32_t host_at(const struct world *w, const struct addr *a);

/* A copy of the packet, on its way from `h` to `to`; to be given to the future, or freed (delivery_free()). */
struct delivery *host_delivery(const struct host *h, const struct gossip_packet *p, uint32_t to);

void host_send(struct host *h, const struct gossip_packet *p);

/* The way to `to` as a connection sees it now: 0, or the time until its failure is known. */
mono_us host_bulk_trouble(struct world *w, uint32_t from, uint32_t to);

/* Its sender hears of it after that time. Takes the delivery. */
void host_bulk_fails(struct world *w, struct delivery *d_take, mono_us after);

#endif
