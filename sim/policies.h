/* Policies in the simulated mesh: what agent/control does with them around each host, in its order. A bundle is signed and opened
 * by policy/bundle.h, compared with what the host holds and with its floor by bundle_succeeds(), on the disk before it counts,
 * and rolled out by policy/rollout.h, from what the signed records of the members say. The hosts' requests are drawn.
 *
 * What is durable survives a crash, what was on its way to the disk does not. Labels, which credentials carry in the agent, are
 * dealt by whoever begins. */
#ifndef SIM_POLICIES_H
#define SIM_POLICIES_H

#include "policy/bundle.h"
#include "policy/rollout.h"
#include "sim/world.h"
#include "trust/sign.h"

enum {
    BUNDLES_MAX = 16, /* of one world */
    BEFORE_KIND = 4,  /* control/staged.h: what the newest is to replace */
};

struct traffic { /* what requests meet under a version */
    uint32_t error_ppm, denied_ppm;
    uint64_t p99_us;
};

struct sim_bundle {
    struct doc doc;        /* as gossip tells of it: its hash is the bundle's, of the body */
    struct hash whole;     /* of its bytes */
    enum err opened;       /* by bundle_open(): of the same bytes every member gets the same answer */
    struct bundle said;    /* borrows from `doc` */
    struct policy *policy; /* NULL unless opened */
    uint64_t *turn;        /* [hosts] rollout_turn(); NULL: it has no steps */
    struct traffic traffic;
};

/* What a member says in its record that is not so. */
enum policies_lie {
    LIE_NONE,
    LIE_BAD,    /* the new version is the worst there can be */
    LIE_GOOD,   /* the new version is perfect, the old one bad */
    LIE_HALTED, /* it has halted */
    LIE_NEW,    /* it enforces the new one */
    LIE_OLD,    /* it does not */
    LIES,
};
/* What a hostile member offers; it takes nothing itself. */
enum policies_claim {
    CLAIM_NONE,
    CLAIM_REPLAY,   /* an old bundle under ever new, higher numbers (ADVERSARY B5) */
    CLAIM_WITHHOLD, /* the newest, which it does not send (B8) */
    CLAIM_INVENT,   /* a forged one under ever new, higher numbers (B21) */
};

/* What a host's disk holds. */
struct policies_kept {
    const struct sim_bundle *base, *staged; /* NULL: none */
    bool entered;                           /* `staged` is in force, else `base` */
    enum rollout_cause halted;
    const struct sim_bundle *revoking; /* the last in force that revokes keys: those stay so */
    uint64_t floor_epoch, floor_version;
};

struct policies_host {
    struct policies_kept now, queued, disk;
    bool is_queued;
    const struct sim_bundle *before; /* offered to those who have neither */
    const struct sim_bundle *next;   /* being stored */
    bool next_in_steps;
    uint32_t next_generation;
    struct rollout state; /* while `now.staged` */
    struct rollout_arrival arrival;
    struct record_rollout said;
    struct record_count counted[2]; /* under `base`, under `staged` */
    mono_ms counted_at, report_at;
    mono_us look_at; /* of its next look; NEVER: none */
    bool has_alarm;  /* it has seen two bundles of one version (B12) */
    struct labels labels;
    enum policies_lie lie;
    enum policies_claim claim;
    struct doc claimed;
};

struct policies {
    struct buf root_bytes;
    struct root root;
    struct sign_key key, thief;
    struct sim_bundle *bundle[BUNDLES_MAX];
    size_t count;
    struct policies_host *host;
    uint32_t requests_per_s; /* of each host, when something is rolled out */
    uint64_t refused;        /* bundles */
    /* What is in force at a host has changed, from `was` (NULL: nothing). NULL: nobody watches. */
    void (*changed)(struct world *w, uint32_t host, const struct sim_bundle *was);
};

/* Documents are policies from now on. */
void policies_begin(struct world *w);
void policies_free(struct policies *p); /* may be NULL */
/* Signs one: the head with its version, then `body`, then comments up to `bytes_min`. By the thief: by a key that is none. Lives
 * as long as the world. Labels must be dealt before one with steps. */
struct sim_bundle *policies_sign(struct world *w, uint64_t version, const char *body, size_t bytes_min,
                                 bool by_thief);
/* As `starling policy publish` at this host, which must run. */
void policies_publish(struct world *w, uint32_t host, const struct sim_bundle *b);
/* It holds this one since long: on its disk, and in force if it runs. */
void policies_hold(struct world *w, uint32_t host, const struct sim_bundle *b);
const struct sim_bundle *policies_in_force(const struct world *w, uint32_t host);
/* From now on it claims anew each second. `b`: what it replays, withholds or sends as its invention. */
void policies_claim(struct world *w, uint32_t host, enum policies_claim claim, const struct sim_bundle *b);

/* host.c */
void policies_start(struct world *w, uint32_t host);  /* from its disk; its gossip is there */
void policies_arrive(struct world *w, uint32_t host); /* it has joined the others ... */
void policies_meet(struct world *w, uint32_t host);   /* ... and holds one who is new to it */
void policies_announce(struct world *w, uint32_t host);
void policies_wipe(struct world *w, uint32_t host); /* its disk holds none any more; it must not run */
void policies_say(const struct world *w, uint32_t host, struct signed_policy *out);
/* Is this member's key revoked there? Then nothing of it is believed, and no link kept. */
bool policies_revokes(const struct world *w, uint32_t host, const struct node_id *id);
/* NULL: it does not hold it. */
const struct doc *policies_find(const struct world *w, uint32_t host, const struct hash *hash);

#endif
