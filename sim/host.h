/* A host of the simulated mesh: one agent, which does around gossip/ what agent/control does, in the same order, and the
 * machine that it runs on.
 *
 *   host.c           its clock, its turn, how it comes, stands still and goes
 *   host_own.c       its own record and the incarnations that it may use
 *   host_events.c    what gossip asks it and tells it
 *   host_receive.c   what arrives, and waits while the process stands still
 *   host_send.c      what it sends
 *
 * Hosts go by their index in world.host. What is said to a host that is in no state for it does nothing, unless the
 * function says that it must be in one (an assertion). */
#ifndef SIM_HOST_H
#define SIM_HOST_H

#include "base/buf.h"
#include "gossip/gossip.h"
#include "sim/delivery.h"
#include "sim/faults.h"
#include "sim/meter.h"
#include "sim/signer.h"

struct world;

enum {
    WIRE_OVERHEAD_BYTES = 20 + 8 + 32, /* IPv4, UDP and the session's sealing (link/udp.h), for the figures */
    DOC_KIND = 1,
};

struct doc {
    uint64_t epoch, version;
    struct hash hash;
    struct buf bytes;
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

struct host {
    struct world *world;
    uint32_t index;
    uint32_t generation; /* of its process: rises with every start */
    enum host_state state;
    mono_us stable_since;  /* last start, stop, pause or resume */
    struct gossip *gossip; /* NULL unless UP or PAUSED */
    mono_us timer_at;      /* of the timer that counts; NEVER: none */
    struct fault fault;
    int32_t drift_ppm;  /* its clock against true time */
    uint8_t door;       /* which of its addresses it has */
    uint8_t protocol;   /* the newest version that it speaks from its next start on; 0: this code's */
    struct meter meter; /* of the bytes of gossip in its datagrams, which its budget counts */

    struct disk disk;
    const struct signed_record
        *own;                    /* published now; NULL before the first: it asks what others hold of it */
    uint64_t wanted_incarnation; /* being stored; 0: nothing is */
    bool wants_to_leave;         /* its record says good-bye, or will once it may be signed */
    bool is_left;                /* ... and gossip says that it was sent */

    bool is_blocked;         /* stands still at its next send or receive */
    struct delivery *held;   /* the send it was blocked in front of */
    struct delivery **queue; /* its sockets while it stands still; NULL before the first time */
    size_t queued_datagrams, queued_bulk;
};

void host_init(struct host *h, struct world *w, uint32_t index);
void host_fini(struct host *h);

/* ---- its process and its machine ---- */

void host_start(struct world *w, uint32_t host); /* NEW, STOPPED, DOWN -> UP, from its disk */
void host_crash(struct world *w, uint32_t host); /* UP, PAUSED -> DOWN: memory and network gone, disk kept */
/* UP, PAUSED -> STOPPED: the process dies without a word, its machine's kernel lives. */
void host_stop(struct world *w, uint32_t host);
void host_pause(struct world *w, uint32_t host);  /* UP -> PAUSED */
void host_block(struct world *w, uint32_t host);  /* its next send or receive pauses it */
void host_resume(struct world *w, uint32_t host); /* ends both */
void host_move(struct world *w, uint32_t host);   /* it will start at another address; must not run */
void host_wipe(struct world *w, uint32_t host);   /* its disk loses members and documents; must not run */
/* Its whole disk is a copy of the time when it held `incarnation` and nobody else yet; 0: an empty one. Must not run. */
void host_lose_disk(struct world *w, uint32_t host, uint64_t incarnation);
/* NEW -> UP as if it had started long ago, for world_acquaint(): it has its record and asks nobody what it was. */
void host_begin(struct world *w, uint32_t host);
bool host_is_running(const struct host *h); /* has a gossip instance: UP or PAUSED */
const char *host_state_text(enum host_state s);

/* ---- what it says; it must be UP ---- */

/* Says good-bye; h->is_left when that was sent. It runs on until it is stopped. */
void host_leave(struct world *w, uint32_t host);
/* Publishes its record's next version, whose way is counted (figures.payloads). It must have a record. */
void host_update(struct world *w, uint32_t host);
/* Publishes the next version because what it says has changed. Nothing now if it has none yet, or waits for a number:
 * then the next one says it. */
void host_say(struct world *w, uint32_t host);
/* Publishes the next version, of which it tells nobody before host_pump(). */
void host_publish(struct world *w, uint32_t host);
/* Holds this document from now on, and tells of it. `d` must outlive the world. */
void host_hold(struct world *w, uint32_t host, const struct doc *d);

/* ---- what happens to it: world.c's clockwork ---- */

/* Takes gossip's events and packets, and sets its timer. After every call of gossip that is not one of these. */
void host_pump(struct host *h);
void host_timer(struct host *h); /* its timer, or a turn for another reason; nothing unless UP */
void host_arrival(struct host *h, struct delivery *d_take);
/* What it sent over a connection has failed, or a knock was refused (d->is_refused). */
void host_bulk_failed(struct host *h, const struct delivery *d);

/* ---- what it has ---- */

/* What is on its disk about this member; NULL: nothing. */
const struct signed_record *host_remembers(const struct host *h, uint32_t member);
/* What its clock shows now, and the true time at which it will show `at`. */
mono_ms host_ms(const struct host *h);
mono_us host_when(const struct host *h, mono_ms at);
/* Drawn: how long its store takes until something is durable. */
mono_us host_store_takes(struct world *w);

#endif
