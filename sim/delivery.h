/* A message on its way. Datagram-sized ones come from a free list: a busy mesh makes millions a second. */
#ifndef SIM_DELIVERY_H
#define SIM_DELIVERY_H

#include "base/addr.h"
#include "base/bytes.h"
#include "base/id.h"
#include "gossip/gossip.h"

struct delivery {
    enum gossip_lane lane;
    uint32_t from, to, to_generation;
    bool is_outsiders;    /* `from` is not a host but the forger's outsider */
    bool is_refused;      /* a failure: the host at the other end said that nobody listens */
    struct node_id to_id; /* zero: whoever is there */
    struct addr addr;
    size_t len;
    uint8_t msg[];
};

/* Like `header`, with these bytes. */
struct delivery *delivery_new(const struct delivery *header, struct bytes msg);
void delivery_free(struct delivery *d);

#endif
