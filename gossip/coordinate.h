/* coordinate.h: network coordinates. Each member has a place in a space of COORDINATE_DIMS dimensions and a height above
 * it, such that the distance of two members foretells the round trip between them, also where nobody ever measured it.
 *
 * Vivaldi (Dabek, Cox, Kaashoek, Morris 2004): a probe's round trip is the length that a spring between two members would
 * like to have; each sample moves us a little along it, the more the surer the other is of its own place than we are of
 * ours. Heights stand for what every way to a member has in common, such as its access line (section 5.4). With
 * them, as in Serf: the median of a neighbour's last three round trips (its latency filter), an adjustment for what no
 * place can explain, and a pull towards the origin, so that the whole space does not drift (Ledlie, Gardner, Seltzer
 * 2007, "Network Coordinates in the Wild", sections 3 and 5).
 *
 * Others may lie. What a sample asks for counts for at most three times what samples usually ask for (the median of
 * the last 16) and never for more than COORDINATE_MOVE_MAX_NS, nobody is believed to be surer than ERROR_FLOOR, and what
 * travels cannot name a place beyond a quarter of a second. So who lies among few neighbours of ours pulls no more than
 * an honest one would, and makes wrong only what is foretold about itself.
 *
 * All arithmetic is in integers, but for a square root whose result is made exact, so that it is the same everywhere. Places
 * are in nanoseconds, errors in 1/65536. The file knows no messages and no clock. */
#ifndef GOSSIP_COORDINATE_H
#define GOSSIP_COORDINATE_H

#include "base/rng.h"
#include "gossip/gossip.h"

enum {
    COORDINATE_DIMS = 4,
    COORDINATE_UNIT_NS = 8000,             /* of what travels */
    COORDINATE_MOVE_MAX_NS = 25 * 1000000, /* by one sample */
    COORDINATE_NEIGHBOURS = 16, /* whose latest round trips are kept; who was heard longest ago gives way */
    COORDINATE_FILTER = 3,      /* Serf's LatencyFilterSize */
    COORDINATE_WINDOW = 20,     /* Serf's AdjustmentWindowSize */
    COORDINATE_USUAL = 16,      /* samples that say what is usual */
    COORDINATE_RTT_MAX_US = 1000 * 1000, /* a longer round trip says nothing about the network */
};

struct place {
    int32_t at[COORDINATE_DIMS];
    int32_t height;
    uint32_t error; /* relative, of what is foretold by it */
};

/* One whom we probe. */
struct neighbour {
    uint64_t who; /* hash of its id; 0: free */
    uint32_t us[COORDINATE_FILTER], heard;
    uint8_t count, next;
    struct gossip_coordinate theirs;
};

struct coordinate {
    struct place own;
    int32_t adjustment;
    int32_t off[COORDINATE_WINDOW]; /* what no place explained */
    uint8_t off_count, off_next;
    uint32_t asked[COORDINATE_USUAL], rtt[COORDINATE_USUAL]; /* of the last samples, ns */
    uint32_t samples;
    struct neighbour neighbour[COORDINATE_NEIGHBOURS];
    struct rng rng; /* for the direction in which two in one place part */
};

void coordinate_init(struct coordinate *c, uint64_t seed);
/* An ack of ours came back after `rtt_us` and said where its sender is. Not from relays. */
void coordinate_sample(struct coordinate *c, uint64_t who, const struct gossip_coordinate *theirs,
                       uint32_t rtt_us);
/* As it travels; all zeros before the first sample. */
struct gossip_coordinate coordinate_say(const struct coordinate *c);
/* From here to there, us; 0: unknown. */
uint32_t coordinate_rtt_us(const struct gossip_coordinate *a, const struct gossip_coordinate *b);
/* The neighbour with this hash, or NULL. */
const struct neighbour *coordinate_neighbour(const struct coordinate *c, uint64_t who);
uint32_t neighbour_rtt_us(const struct neighbour *n); /* the median of its latest */

/* When a record with a new coordinate is worth what it costs, PACE_UPDATE_BYTES sent per member of the mesh. Our estimates
 * must have changed by a quarter of a millisecond and by an eighth of what round trips usually are; and since our last
 * record (whatever its reason: each says where we are) half to one and a half of a time must have passed that grows
 * with the mesh: 2 n s per member, from n = 100 on 200 s per member. So such records cost each member, in a mesh of 100
 * or more, PACE_UPDATE_BYTES / 200 s = 8 bytes a second in the mean, and that only while places change. The first is
 * due after 0 to 1 of that time. */
enum {
    PACE_UPDATE_BYTES = 1600,        /* measured (docs/gossip.md) */
    PACE_MIN_MS = 30 * 1000,         /* in the smallest mesh */
    PACE_MEMBER_MS = 2000,           /* times n, for each member, ... */
    PACE_MEMBER_MAX_MS = 200 * 1000, /* ... up to this */
    PACE_SURE_SAMPLES = 20,          /* before the first record, if the error is small by then, */
    PACE_SAMPLES = 60,               /* or in any case */
};
struct coordinate_pace {
    struct gossip_coordinate said; /* what our record says */
    mono_ms said_at;
    uint16_t phase; /* 65536ths */
    bool is_later;  /* not the first */
};
/* Our record of now says this. `chance`: any number, so that those who started together do not publish together. */
void coordinate_said(struct coordinate_pace *p, const struct gossip_coordinate *said, uint64_t chance,
                     mono_ms now);
/* Is a new record worth it? `members`: how many there are. */
bool coordinate_is_due(const struct coordinate_pace *p, const struct coordinate *c, uint32_t members,
                       mono_ms now);

#endif
