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
#include "sim/delivery.h"
#include "sim/future.h"
#include "sim/meter.h"
#include "sim/samples.h"
#include "sim/signer.h"
#include "sim/trace.h"
#include "sim/wire.h"

enum {
    SOCKET_QUEUE_MAX =
        256, /* datagrams that wait for a paused process; further ones are dropped, as by the kernel */
    PAUSED_BULK_MAX = 1024,            /* bulk messages likewise; further ones fail */
    WIRE_OVERHEAD_BYTES = 20 + 8 + 32, /* IPv4, UDP and the session's sealing (link/udp.h), for the figures */
    WORLD_DOCS_MAX = 64,
    DOC_KIND = 1,
    PERSIST_US_MAX = 4000, /* the store's fsync takes 1 ms up to this */
    LATE_MS = 50,    /* a turn that comes this much after its deadline tells gossip so (agent/control) */
    READ_BATCH = 32, /* datagrams that libuv reads between two turns (UV__UDP_DGRAM_MAXSIZE loop, 32) */
};

enum host_state {
    HOST_NEW, /* never started: the host runs, its process does not yet */
    HOST_UP,
    HOST_PAUSED,  /* neither reads, nor sends, nor hears its timers; its sockets queue */
    HOST_STOPPED, /* the process is gone: connections are refused */
    HOST_DOWN,    /* the host is gone: silence */
};

/* What a host's store holds: survives a crash. */
struct disk {
    uint64_t incarnation;
    uint64_t highest; /* that it ever held: not the disk knows it, but the oracles (host_lose_disk) */
    uint32_t *member; /* [hosts] numbers of records (signer.h), 0: unknown; host_remembers() */
    const struct doc *doc;
};

struct doc {
    uint64_t epoch, version;
    struct hash hash;
    struct buf bytes;
};

enum fault_kind { FAULT_NONE, FAULT_PAUSE, FAULT_BLOCK, FAULT_STARVE, FAULT_DEAF, FAULT_MUTE, FAULT_LOSSY };
struct fault { /* faults.h */
    enum fault_kind kind;
    bool is_on;
    mono_us on, off, until, next_at;
};

struct host {
    struct world *world;
    uint32_t index, generation; /* the generation rises with every start */
    enum host_state state;
    bool is_left;          /* said good-bye for good */
    uint8_t door;          /* which of its addresses it has */
    struct gossip *gossip; /* NULL unless UP or PAUSED */
    struct disk disk;
    const struct signed_record
        *own;                    /* published now; NULL before the first: it asks what others hold of it */
    uint64_t wanted_incarnation; /* being stored; 0: nothing is */
    bool wants_to_leave;
    mono_us timer_at;     /* of the timer that counts */
    mono_us stable_since; /* last start, stop, pause or resume */
    struct fault fault;
    uint8_t protocol;        /* the newest version that it speaks from its next start on; 0: this code's */
    int32_t drift_ppm;       /* its clock against true time */
    bool is_blocked;         /* pauses at its next send or receive */
    struct delivery *held;   /* the send it was blocked in front of */
    struct delivery **queue; /* while paused; NULL before the first pause */
    size_t queued_datagrams, queued_bulk;
    struct meter meter; /* of the bytes of gossip in its datagrams, which its budget counts */
};

struct figures {
    uint64_t datagrams, datagram_bytes, bulk, bulk_bytes, events;
    uint64_t false_deaths; /* a host held dead that ran, unpaused, in a whole network */
    uint64_t documents;    /* sent whole to somebody who asked */
    uint64_t repairs, repair_rounds,
        repair_bytes; /* messages to and from `repaired` that are no probe and no answer to one; of these digests; bytes
                          of all, and of the news that rode on probes */
    uint64_t payloads; /* messages that carry the record published last by host_update() */
    uint64_t suspicions, equivocations, forged, forged_seen;
    uint64_t rest_bytes_per_s;  /* per host, when nothing happens; scenario rest */
    struct samples suspicion;   /* from a crash until an observer no longer holds it alive */
    struct samples detection;   /* ... until it holds it dead */
    struct samples convergence; /* from a disturbance until all agree */
};

struct world_config {
    uint32_t hosts;
    uint64_t seed;
    bool is_printed;
    uint32_t seeds;   /* the first so many hosts are everybody's seeds; 0: three */
    uint32_t minutes; /* of a story that goes on and on (byzantine); 0: its own short form */
    struct wire_config wire;
    struct gossip_config gossip; /* zeros: the defaults that the agent runs with */
};

struct world {
    struct world_config config;
    struct rng rng;
    mono_us began, now;
    struct future future;
    struct wire wire;
    struct signer *signer;
    struct gossip_pool *pool; /* every host holds the same few records */
    struct trace trace;
    struct host *host;
    struct doc doc[WORLD_DOCS_MAX];
    size_t doc_count;
    mono_us *died_at; /* [hosts] of the last stop or crash; 0: none */
    mono_us network_since;
    struct figures figures;
    char failure[256];  /* empty: all is well so far */
    mono_us dead_bound; /* oracle: nobody reachable may be held dead for longer than this */
    mono_us next_oracle;
    bool is_doubt_agreed; /* in a bad network: held suspect, or with a record just replaced, is held alive
                             (oracle_agree) */
    uint32_t last_observer, last_subject; /* of the last disagreement: asked first */
    struct forger *forger;
    struct liars *liars;
    struct capture *capture;
    struct policies *policies; /* policies.h; NULL: documents are bytes */
    bool
        is_sockets_first; /* after a pause the loop reads before it runs timers, as the agent's does; else the
                              seed decides each time */
    void (*watch)(struct world *w, uint32_t observer, uint32_t subject, const struct gossip_event *ev);
    void (*on_doc)(
        struct world *w, uint32_t host,
        const struct gossip_event *ev);  /* judges a document in the host's place; NULL: it counts if it
                                                      was published */
    uint32_t repaired;                   /* a host; UINT32_MAX: nobody */
    void *study;                         /* of whoever set these */
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

/* The network changes: `cut` from group a to group b. */
void world_cut(struct world *w, uint32_t a, uint32_t b, bool is_cut);
/* The host holds this one from now on, and says so. `d` must outlive the world. */
void host_hold(struct world *w, uint32_t host, const struct doc *d);
/* A document is published at one host. Returns it. */
const struct doc *world_publish(struct world *w, uint32_t host, uint64_t version, size_t bytes);
/* Puts a message on the wire as if `from` had sent it. */
void world_inject(struct world *w, uint32_t from, bool is_outsiders, uint32_t to, enum gossip_lane lane,
                  struct bytes msg);

/* host.c */
void host_init(struct host *h, struct world *w, uint32_t index);
void host_fini(struct host *h);
void host_start(struct world *w, uint32_t host); /* NEW, STOPPED, DOWN -> UP, from its disk; UP: nothing */
/* As if it had started long ago, for world_acquaint(): it has its record and asks nobody what it was. */
void host_begin(struct world *w, uint32_t host);
void host_publish(struct world *w,
                  uint32_t host); /* its next version, of which it tells nobody before host_pump() */
void host_pump(struct host *h);   /* takes events and packets, and sets its timer */
/* What is on its disk about this member; NULL: nothing. */
const struct signed_record *host_remembers(const struct host *h, uint32_t member);
void host_crash(struct world *w, uint32_t host); /* memory and network gone, disk kept */
void host_stop(struct world *w, uint32_t host); /* the process dies without a word; the host's kernel lives */
void host_move(struct world *w, uint32_t host); /* it will start at another address; it must not run */
void host_wipe(struct world *w, uint32_t host); /* its disk loses members and documents; it must not run */
/* Its whole disk is a copy of the time when it held `incarnation` and nobody else yet; 0: an empty one. It must not run. */
void host_lose_disk(struct world *w, uint32_t host, uint64_t incarnation);
void host_leave(struct world *w, uint32_t host);  /* says good-bye; stops when gossip says it was heard */
void host_update(struct world *w, uint32_t host); /* publishes its record's next version */
void host_say(struct world *w,
              uint32_t host); /* the same, for what it says has changed; not counted as such */
void host_pause(struct world *w, uint32_t host);
void host_block(struct world *w, uint32_t host);  /* from now on its next send or receive pauses it */
void host_resume(struct world *w, uint32_t host); /* ends both */
void host_timer(struct host *h);
void host_arrival(struct host *h, struct delivery *d_take);
void host_bulk_failed(struct host *h, const struct delivery *d);
bool host_is_running(const struct host *h); /* has a gossip instance: UP or PAUSED */
/* What this host's clock shows now, and when it will show `at`. */
mono_ms host_ms(const struct host *h);
mono_us host_when(const struct host *h, mono_ms at);
const char *host_state_text(enum host_state s);

#endif
