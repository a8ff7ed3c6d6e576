/* The network between the hosts: decides when, and whether, each message arrives. Knows nothing of what is in
 * it.
 *
 * Datagrams are delayed (base, jitter, now and then much more, which reorders), lost, doubled and cut off, each
 * by the seed. Hosts lie in zones: between two zones there is further delay and loss, drawn anew for each
 * direction, so that links are asymmetric. For faults, hosts fall into groups: from a group to another the
 * network can be cut, in one direction or both; and each host may lose a share of what it sends or of what
 * is sent to it.
 *
 * With a bandwidth every host has a queue in front of its line, out and in: what comes faster waits, and a
 * datagram that would wait longer than queue_us is dropped (a drop-tail router, as ns-3 and netem model it).
 *
 * Bulk messages are TCP as the agent uses it: a connection costs two round trips (TCP, then Noise) and stays
 * open for a while; messages arrive in order, at a bandwidth, late when segments are lost; they fail after one
 * round trip when the process is gone and after a time-out when the host is, or is cut off. They wait in a
 * queue of their own, so that a large document does not keep probes out: hosts run fair queueing.
 *
 * Not modelled: queues inside the network, congestion control, and the datagram session's own handshake, whose
 * ping rides on it. */
#ifndef SIM_WIRE_H
#define SIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/rng.h"

enum {
    WIRE_GROUPS_MAX = 4,
    WIRE_ZONES_MAX = 8,
    WIRE_TIMEOUT_US = 3 * 1000 * 1000, /* until a connection to silence is given up */
    WIRE_IDLE_US = 30 * 1000 * 1000,   /* an unused connection is closed after this */
    WIRE_RESEND_US = 200 * 1000,       /* TCP's least retransmission time-out */
    WIRE_STALL_PPM = 500 * 1000,       /* loss in which a TCP connection makes no progress worth the name */
    WIRE_KBPS = 1000 * 1000,           /* of bulk messages, unless the configuration says so */
};

struct wire_config {
    uint32_t delay_us;                             /* one way */
    uint32_t jitter_pct;                           /* +- of it, evenly */
    uint32_t loss_ppm, duplicate_ppm, reorder_ppm; /* per datagram, in a million */
    uint32_t reorder_us;                           /* a reordered one is late by up to this */
    uint32_t zones;                                /* hosts are dealt to them in turn; 0, 1: all in one */
    uint32_t zone_delay_us; /* between zones, besides: each direction of each pair draws 50 to 150 % of it */
    uint32_t zone_loss_ppm; /* between zones, besides: likewise */
    uint32_t line_kbps; /* of each host, in each direction; 0: no limit for datagrams, WIRE_KBPS for bulk */
    uint32_t queue_us;  /* the longest wait in front of a line; 0: half a second */
};

struct wire_line { /* when what was handed to it so far will have passed */
    mono_us datagrams_until, bulk_until;
};

struct wire_host {
    uint32_t lost_out_ppm, lost_in_ppm; /* of its own datagrams, of those to it */
    struct wire_line out, in;
    uint32_t lag_us; /* whatever it sends is later by this */
    uint8_t zone;
};

struct wire_way { /* from one zone to another */
    uint32_t delay_us, loss_ppm;
};

struct wire {
    struct wire_config config;
    struct rng rng;
    uint32_t hosts;
    struct wire_host *host;
    uint8_t *group;                             /* of each host */
    bool cut[WIRE_GROUPS_MAX][WIRE_GROUPS_MAX]; /* [from][to]: nothing gets through */
    uint8_t *apart; /* [from * hosts + to], a bit each; NULL before the first wire_part() */
    size_t parted;  /* bits that are set */
    struct wire_way way[WIRE_ZONES_MAX][WIRE_ZONES_MAX];
    struct connection *connection; /* open addressing by the pair of hosts */
    size_t connection_count, connection_slots;
    uint64_t queue_drops;
};

void wire_init(struct wire *w, const struct wire_config *config, uint32_t hosts, uint64_t seed);
void wire_fini(struct wire *w);

bool wire_is_cut(const struct wire *w, uint32_t from, uint32_t to);
/* Cuts, or mends, the way between two hosts alone, in both directions. */
void wire_part(struct wire *w, uint32_t a, uint32_t b, bool is_cut);
/* Nothing gets through between the two by TCP, which needs both directions and gives up where most is lost. */
bool wire_is_bulk_cut(const struct wire *w, uint32_t a, uint32_t b);
/* Nothing is cut, and no host has losses of its own. */
bool wire_is_whole(const struct wire *w);
/* No cut, no loss, no doubling, no reordering, anywhere: what a liveness phase begins with. Zones' delays and lines'
 * bandwidths stay: they are no faults. */
void wire_heal(struct wire *w);

/* When a datagram sent now arrives: 0, 1 or 2 times. */
unsigned wire_datagram(struct wire *w, uint32_t from, uint32_t to, size_t bytes, mono_us now,
                       mono_us arrival[2]);

/* When a bulk message sent now arrives. Opens a connection if none is open between these generations of the
 * two processes. */
mono_us wire_bulk(struct wire *w, uint32_t from, uint32_t from_generation, uint32_t to,
                  uint32_t to_generation, size_t bytes, mono_us now);
void wire_bulk_close(struct wire *w, uint32_t a, uint32_t b);
mono_us wire_round_trip(struct wire *w, uint32_t a, uint32_t b);

#endif
