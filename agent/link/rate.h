/* How often a source address may make us do public-key work: a token bucket per source in a table of fixed
 * size. A source is an IPv4 address or an IPv6 /64 (whoever has one address of it has all); on loopback the
 * port counts as well, because there all agents share one address. Where the table is full, the source seen
 * longest ago gives way (ADVERSARY D5, D6). */
#ifndef LINK_RATE_H
#define LINK_RATE_H

#include "base/addr.h"
#include "base/clock.h"

enum {
    RATE_PER_S = 20,
    RATE_BURST = 20,
    RATE_SETS = 1024, /* a power of two */
    RATE_WAYS = 4,    /* sources per set: 4096 in all */
};

struct rate_source {
    uint64_t key;              /* 0: empty */
    uint32_t seen_at;          /* milliseconds since the table was made */
    uint32_t left_thousandths; /* of a token */
};

struct rate {
    uint8_t secret[32]; /* so that nobody can aim at a set */
    mono_ms made_at;
    struct rate_source source[RATE_SETS][RATE_WAYS];
};

void rate_init(struct rate *r, mono_ms now);
/* Takes a token. False: this source has none left. A source that has proved its address (by a cookie) has
 * another bucket than who only claims to be there. */
bool rate_allow(struct rate *r, const struct addr *from, bool is_proven, mono_ms now);

/* One bucket for all sources together, a second deep. */
struct rate_total {
    mono_ms at;
    uint32_t left;
};
bool rate_total_allow(struct rate_total *t, uint32_t per_s, mono_ms now);

#endif
