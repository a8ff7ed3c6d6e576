/* The simulated mesh: hosts that run the real gossip/, the network between them, virtual time, and what is
 * counted.
 *
 * Time is a number that jumps from one happening to the next; nothing waits. Everything random comes from the
 * seed. A scenario (scenario.c) acts on the world with the verbs below and lets it run; the oracles
 * (oracle.c) judge it meanwhile. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/buf.h"
#include "gossip/gossip.h"
#include "sim/future.h"
#include "sim/host.h"
#include "sim/samples.h"
#include "sim/trace.h"
#include "sim/wire.h"

enum { WORLD_DOCS_MAX = 64 };

struct figures {
    uint64_t datagrams, datagram_bytes, bulk, bulk_bytes; /* sent; with WIRE_OVERHEAD_BYTES each datagram */
    uint64_t events;                                      /* what happened in the simulation */
    uint64_t suspicions;                                  /* told at any host */
    uint64_t false_deaths;     /* a host held dead that ran, unpaused, in a whole network */
    uint64_t equivocations;    /* told at any host */
    uint64_t forged;           /* messages that the forger has sent */
    uint64_t forged_seen;      /* records that a host's verify refused */
    uint64_t documents;        /* sent whole to somebody who asked */
    uint64_t payloads;         /* messages that carry the record published last by host_update() */
    uint64_t rest_bytes_per_s; /* per host, when nothing happens; scenario rest */
    /* To and from world.repaired: messages that are neither a probe nor an answer to one; of these digests; bytes of all
     * these, and of the news that rode on probes. */
    uint64_t repairs, repair_rounds, repair_bytes;
    struct samples suspicion;   /* from a crash until an observer no longer holds it alive */
    struct samples detection;   /* ... until it holds it dead */
    struct samples convergence; /* from a disturbance until all agree */
};

struct world_config {
    uint32_t hosts;
    uint64_t seed;
    bool is_printed;  /* the trace */
    uint32_t seeds;   /* the first so many hosts are everybody's seeds; 0: three */
    uint32_t minutes; /* of a story that goes on and on (byzantine); 0: its own short form */
    struct wire_config wire;
    struct gossip_config gossip; /* zeros: the defaults that the agent runs with */
};

struct world {
    struct world_config config;
    struct rng rng;
    struct trace trace;
    struct figures figures;
    char failure[256]; /* empty: all is well so far */

    mono_us began, now;
    struct future future;

    struct host *host; /* [config.hosts] */
    struct signer *signer;
    struct gossip_pool *pool; /* every host holds the same few records */
    mono_us *died_at;         /* [hosts] of the last stop or crash; 0: none */
    bool
        is_sockets_first; /* after a pause the loop reads before it runs timers, as the agent's does; else the seed
                                 decides each time */

    struct wire wire;
    mono_us network_since; /* its last change */

    struct doc doc[WORLD_DOCS_MAX]; /* published by world_publish() */
    size_t doc_count;

    /* The oracles (oracle.h). */
    mono_us dead_bound;   /* nobody reachable may be held dead for longer than this */
    mono_us next_oracle;  /* when they look again */
    bool is_doubt_agreed; /* in a bad network: who is held suspect, or with a record just replaced, is
                                             held alive (oracle_agree) */
    uint32_t last_observer, last_subject; /* of the last disagreement: asked first */

    /* What only some stories have; NULL: nothing of that. */
    struct forger *forger;
    struct liars *liars;
    struct capture *capture;
    struct policies *policies; /* NULL: documents are bytes */

    /* Set by a story, a study or a test. */
    void (*watch)(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev);
    /* Judges a document in the host's place; NULL: it counts if it was published. */
    void (*on_doc)(struct world *w, uint32_t host, const struct gossip_event *ev);
    void *study;                         /* of whoever set these */
    uint32_t repaired;                   /* the host whose repair is counted; UINT32_MAX: nobody */
    const struct signed_record *updated; /* by host_update() */
};

/* Milliseconds and seconds of virtual time, in the world's microseconds. */
#define MS(n)  ((mono_us)(n)*1000)
#define SEC(n) ((mono_us)(n)*1000000)

struct world *world_new(const struct world_config *config);
void world_free(struct world *w);

/* Lets `duration` pass. Returns false, and at once from then on, when something has failed. */
bool world_run(struct world *w, mono_us duration);
/* Runs until all agree (oracle_agree), at most `bound`; a failure if not. Notes the time as a sample of
 * convergence. */
bool world_agree(struct world *w, mono_us bound, const char *after_what);
/* Calls `call` after `delay`. */
void world_after(struct world *w, mono_us delay, uint32_t host, void (*call)(struct world *w, uint32_t host));
/* Notes the first failure; later ones are consequences. Always returns false. */
__attribute__((format(printf, 2, 3))) bool world_fail(struct world *w, const char *fmt, ...);
bool world_is_well(const struct world *w);
/* All hosts, none of which has ever started, run and know one another since long (gossip_acquaint): a mesh at rest,
 * without its join. */
void world_acquaint(struct world *w);
/* The same, but the first `missed` hosts have each published a newer record of which only the last host has not heard. Nothing
 * is on its way to it: what it lacks is found by summaries. */
void world_acquaint_but(struct world *w, uint32_t missed);

/* The network changes: nothing gets through from group a to group b (wire.group), or all does again. */
void world_cut(struct world *w, uint32_t a, uint32_t b, bool is_cut);
void world_cut_both_ways(struct world *w, uint32_t a, uint32_t b, bool is_cut);
/* A document is published at one host. Returns it. */
const struct doc *world_publish(struct world *w, uint32_t host, uint64_t version, size_t bytes);
/* Puts a message on the wire as if `from` had sent it. */
void world_inject(struct world *w, uint32_t from, bool is_outsiders, uint32_t to, enum gossip_lane lane,
                  struct bytes msg);

#endif
