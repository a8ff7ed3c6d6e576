/* One simulated agent: its clock, its turn, and how its process and its machine come, stand still and go. */
#include "sim/host_parts.h"

#include <stdlib.h>

#include "sim/must.h"
#include "sim/policies.h"

enum {
    SEEDS = 3, /* unless the configuration says another number */
    SEEDS_MAX = 16,
    STORE_US_MIN = 1000, /* an fsync */
    STORE_US_MAX = 4000,
    LATE_MS = 50, /* a turn that comes this much after its deadline tells gossip so (agent/control) */
};

bool host_is_running(const struct host *h)
{
    return h->state == HOST_UP || h->state == HOST_PAUSED;
}

const char *host_state_text(enum host_state s)
{
    static const char *const text[] = {"new", "up", "paused", "stopped", "down"};
    assert((unsigned)s < sizeof text / sizeof *text);
    return text[s];
}

void host_init(struct host *h, struct world *w, uint32_t index)
{
    *h = (struct host){.world = w, .index = index, .timer_at = NEVER};
    h->disk.member = must_zeros(w->config.hosts, sizeof *h->disk.member);
}

void host_fini(struct host *h)
{
    host_queue_drop(h);
    gossip_free(h->gossip);
    free(h->disk.member);
    free(h->queue);
}

const struct signed_record *host_remembers(const struct host *h, uint32_t member)
{
    return signer_numbered(h->disk.member[member]);
}

/* ---- its clock ---- */

mono_us host_us(const struct host *h)
{
    int64_t elapsed = (int64_t)(h->world->now - h->world->began);
    return (mono_us)((int64_t)h->world->now + elapsed * h->drift_ppm / 1000000);
}

mono_ms host_ms(const struct host *h)
{
    return host_us(h) / 1000;
}

mono_us host_when(const struct host *h, mono_ms at)
{
    const struct world *w = h->world;
    int64_t elapsed = (int64_t)at * 1000 - (int64_t)w->began;
    if (h->drift_ppm == 0)
        return at * 1000;
    elapsed = elapsed * 1000000 /
              (1000000 + h->drift_ppm); /* fits for months: 2^43 microseconds and a million, 2^20 */
    return (mono_us)((int64_t)w->began + elapsed) + 1000; /* rounded up: a timer is late rather than early */
}

/* ---- the turn: drain what gossip has to tell and to send, then note when it wants to be called ---- */

static void set_timer(struct host *h)
{
    mono_ms deadline = gossip_deadline(h->gossip);
    mono_us at = deadline == NEVER ? NEVER : host_when(h, deadline);
    if (at <= h->world->now) /* due in this millisecond: not before the next one, or time would stand still */
        at = h->world->now / 1000 * 1000 + 1000;
    if (at == h->timer_at)
        return;
    h->timer_at = at;
    if (at != NEVER)
        future_push(&h->world->future,
                    &(struct happening){
                        .at = at, .kind = HAPPENS_TIMER, .host = h->index, .generation = h->generation});
}

void host_change(struct host *h, enum host_state to, const char *word)
{
    h->state = to;
    h->stable_since = h->world->now;
    trace_line(&h->world->trace, h->world->now, "%u %s", h->index, word);
}

void host_pump(struct host *h)
{
    struct gossip_event ev;
    struct gossip_packet p;
    gossip_time_us(h->gossip, host_us(h));
    bool any = gossip_poll_event(h->gossip, &ev);
    do {
        for (; any; any = gossip_poll_event(h->gossip, &ev))
            host_on_event(h, &ev);
        while (gossip_poll_send(h->gossip, &p)) {
            if (h->is_blocked) { /* the process stands before this send, and with it all the rest */
                h->held = host_delivery(h, &p, host_at(h->world, &p.addr));
                host_change(h, HOST_PAUSED, "blocks before a send");
                return;
            }
            host_send(h, &p);
        }
        any = gossip_poll_event(h->gossip, &ev);
    } while (any);
    set_timer(h);
}

void host_timer(struct host *h)
{
    if (h->state != HOST_UP)
        return;
    gossip_tick(h->gossip, host_ms(h));
    host_pump(h);
}
mono_us host_store_takes(struct world *w)
{
    return STORE_US_MIN + rng_below(&w->rng, STORE_US_MAX - STORE_US_MIN);
}

/* ---- life and death ---- */

static void remember_members(struct host *h)
{
    struct world *w = h->world;
    for (uint32_t m = 0; m < w->config.hosts; m++) {
        const struct signed_record *r = host_remembers(h, m);
        if (!r || m == h->index)
            continue;
        if (w->policies && policies_revokes(w, h->index, signer_id(w->signer, m)))
            continue;
        enum err e = gossip_member_load(h->gossip, r->bytes, host_ms(h));
        bool is_too_new = e == ERR_MALFORMED && h->protocol == 1; /* it was newer when it stored that */
        if (e && e != ERR_STALE && !is_too_new)
            world_fail(w, "host %u: a member from its disk is refused: %s", h->index, err_text(e));
    }
}

static void set_seeds(struct host *h)
{
    const struct world_config *config = &h->world->config;
    struct addr seed[SEEDS_MAX];
    uint32_t count = config->seeds ? config->seeds : SEEDS, n = 0;
    for (uint32_t s = 0; s < count && s < SEEDS_MAX && s < config->hosts; s++)
        seed[n++] = signer_addr(s, h->world->host[s].door);
    gossip_seeds_set(h->gossip, seed, n, host_ms(h));
}

/* Its process is there and has read its disk. */
static void awake(struct host *h)
{
    struct world *w = h->world;
    struct gossip_config config = w->config.gossip;
    config.self = *signer_id(w->signer, h->index);
    config.protocol = h->protocol;
    h->generation++;
    config.seed = w->config.seed * 1000003u + (uint64_t)h->index * 1009u + h->generation;
    struct gossip_verify verify = host_verify(h);
    h->gossip = must(gossip_new(&config, &verify, host_ms(h)));
    h->own = NULL;
    h->wanted_incarnation = 0;
    h->wants_to_leave = h->is_left = false;
    h->timer_at = NEVER;
    h->is_blocked = false;
    h->meter = (struct meter){0}; /* a process that is new has a budget that is new */
    w->died_at[h->index] = 0;
    host_change(h, HOST_UP, "starts");
    /* Stored before anything is signed. */
    host_own_store(h, h->disk.incarnation + (h->disk.incarnation ? GOSSIP_START_LEAP : 1));
    if (h->disk.doc)
        gossip_doc_set(h->gossip, DOC_KIND, h->disk.doc->epoch, h->disk.doc->version, &h->disk.doc->hash,
                       host_ms(h));
    if (h->world->policies) {
        policies_start(h->world, h->index);
        policies_announce(h->world, h->index);
    }
    remember_members(h);
}

void host_begin(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    awake(h);
    host_own_publish(h, false);
    set_seeds(h);
}

void host_start(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    if (host_is_running(h))
        return;
    awake(h);
    gossip_recall(h->gossip, true, host_ms(h));
    set_seeds(h);
    host_pump(h);
}

static void end(struct world *w, uint32_t host, enum host_state to, const char *word)
{
    struct host *h = &w->host[host];
    if (!host_is_running(h))
        return;
    gossip_free(h->gossip);
    h->gossip = NULL;
    host_queue_drop(h);
    w->died_at[host] = w->now;
    host_change(h, to, word);
}

void host_crash(struct world *w, uint32_t host)
{
    end(w, host, HOST_DOWN, "crashes");
}

void host_stop(struct world *w, uint32_t host)
{
    end(w, host, HOST_STOPPED, "stops");
}

void host_move(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    assert(!host_is_running(h));
    h->door++;
    trace_line(&w->trace, w->now, "%u moves to another address", host);
}

void host_wipe(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    assert(!host_is_running(h));
    memset(h->disk.member, 0, w->config.hosts * sizeof *h->disk.member);
    h->disk.doc = NULL;
    if (w->policies)
        policies_wipe(w, host);
    trace_line(&w->trace, w->now, "%u loses what its disk held of others", host);
}

void host_lose_disk(struct world *w, uint32_t host, uint64_t incarnation)
{
    host_wipe(w, host);
    w->host[host].disk.incarnation = incarnation;
    trace_line(&w->trace, w->now, "%u has a disk that knows incarnation %llu", host,
               (unsigned long long)incarnation);
}

void host_leave(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    h->wants_to_leave = true;
    if (h->own && h->wanted_incarnation == 0) /* else host_own_recalled() or stored() will say it */
        host_own_publish(h, true);
    host_pump(h);
}

void host_pause(struct world *w, uint32_t host)
{
    if (w->host[host].state == HOST_UP)
        host_change(&w->host[host], HOST_PAUSED, "pauses");
}

void host_block(struct world *w, uint32_t host)
{
    if (host_is_running(&w->host[host]))
        w->host[host].is_blocked = true;
}

/* What was blocked goes out now, late, and then what else that turn had to send. */
static void send_held(struct host *h)
{
    struct delivery *d = h->held;
    if (!d)
        return;
    h->held = NULL;
    host_send(
        h, &(struct gossip_packet){d->lane, d->to_id, d->addr, bytes_of(d->msg, d->len), GOSSIP_NO_ANSWER});
    delivery_free(d);
    host_pump(h);
}

static void note_lateness(struct host *h)
{
    mono_ms now = host_ms(h), deadline = gossip_deadline(h->gossip);
    if (deadline != NEVER && now > deadline + LATE_MS)
        gossip_late(h->gossip, (uint32_t)(now - deadline));
}

/* The loop sees how late it is and tells gossip first. */
void host_resume(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    h->is_blocked = false;
    if (h->state != HOST_PAUSED)
        return;
    host_change(h, HOST_UP, "resumes");
    send_held(h);
    note_lateness(h);
    if (!w->is_sockets_first && rng_below(&w->rng, 2))
        host_timer(h);
    host_queue_drain(h);
    host_timer(h);
}
