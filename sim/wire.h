/* The network between the hosts: decides when, and whether, each message arrives. Knows nothing of what is in
 * it.
 *
 * Datagrams are delayed (base, jitter, now and then much more, which reorders), lost, doubled and cut off by
 * partitions, each by the seed. Bulk messages are TCP as the agent uses it: a connection costs two round
 * trips (TCP, then Noise) and stays open for a while; messages arrive in order, at a bandwidth, late when
 * segments are lost; they fail after one round trip when the process is gone and after a time-out when the
 * host is, or is cut off.
 *
 * Not modelled: queues in routers, and the datagram session's own handshake, whose ping rides on it. */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/rng.h"

enum {
    WIRE_GROUPS_MAX = 4,
    WIRE_TIMEOUT_US = 3 * 1000 * 1000, /* until a connection to silence is given up */
    WIRE_IDLE_US = 30 * 1000 * 1000,   /* an unused connection is closed after this */
    WIRE_RESEND_US = 200 * 1000,       /* TCP's least retransmission time-out */
    WIRE_BYTES_PER_US = 125,           /* 1 Gbit/s */
};

struct wire_config {
    uint32_t delay_us;                             /* one way */
    uint32_t jitter_pct;                           /* +- of it, evenly */
    uint32_t loss_ppm, duplicate_ppm, reorder_ppm; /* per datagram, in a million */
    uint32_t reorder_us;                           /* a reordered one is late by up to this */
};

struct wire {
    struct wire_config config;
    struct rng rng;
    uint32_t hosts;
    uint8_t *group;                             /* of each host */
    bool cut[WIRE_GROUPS_MAX][WIRE_GROUPS_MAX]; /* [from][to]: nothing gets through */
    struct connection *connection;              /* open addressing by the pair of hosts */
    size_t connection_count, connection_slots;
};

void wire_init(struct wire *w, const struct wire_config *config, uint32_t hosts, uint64_t seed);
void wire_fini(struct wire *w);

bool wire_is_cut(const struct wire *w, uint32_t from, uint32_t to);
bool wire_is_whole(const struct wire *w); /* no cut anywhere */

/* When a datagram sent now arrives: 0, 1 or 2 times. */
unsigned wire_datagram(struct wire *w, uint32_t from, uint32_t to, mono_us now, mono_us arrival[2]);

/* When a bulk message sent now arrives. Opens a connection if none is open between these generations of the
 * two processes. */
mono_us wire_bulk(struct wire *w, uint32_t from, uint32_t from_generation, uint32_t to,
                  uint32_t to_generation, size_t bytes, mono_us now);
void wire_bulk_close(struct wire *w, uint32_t a, uint32_t b);
mono_us wire_round_trip(struct wire *w);

#endif
