/* One simulated agent: what agent/control does around gossip/, in the same order. Sends leave with poll_send,
 * facts go to the disk as events come, an incarnation is on the disk before it is signed, sockets queue while
 * the process is paused. */
#include "sim/world.h"

#include <stdlib.h>

#include "sim/host_send.h"
#include "sim/liars.h"
#include "sim/oracle.h"
#include "sim/policies.h"
#include "trust/sign.h"

enum { SEEDS = 3, SEEDS_MAX = 16 };

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

/* ---- its clock ---- */

static mono_us host_us(const struct host *h)
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

void host_init(struct host *h, struct world *w, uint32_t index)
{
    *h = (struct host){.world = w, .index = index, .timer_at = NEVER};
    h->disk.member = calloc(w->config.hosts, sizeof *h->disk.member);
    if (!h->disk.member)
        abort();
}

static void drop_queue(struct host *h)
{
    for (size_t i = 0; i < h->queued_datagrams + h->queued_bulk; i++)
        delivery_free(h->queue[i]);
    h->queued_datagrams = h->queued_bulk = 0;
    delivery_free(h->held);
    h->held = NULL;
}

void host_fini(struct host *h)
{
    drop_queue(h);
    gossip_free(h->gossip);
    free(h->disk.member);
    free(h->queue);
}

const struct signed_record *host_remembers(const struct host *h, uint32_t member)
{
    return signer_numbered(h->disk.member[member]);
}

/* ---- gossip's questions ---- */

static bool is_of_layout_2(const struct host *h, const struct gossip_claim *claim)
{
    const struct signed_record *r = signer_find(h->world->signer, &claim->hash);
    return r && r->words.layout >= 2;
}

static enum err verify_record(void *arg, struct bytes record, struct gossip_claim *out)
{
    struct host *h = arg;
    enum err e = signer_verify(h->world->signer, record, out);
    if (e == ERR_OK && h->world->policies && policies_revokes(h->world, h->index, &out->id))
        return ERR_DENIED;
    if (e == ERR_OK && h->protocol == 1 && is_of_layout_2(h, out))
        return ERR_MALFORMED; /* as its code of that time says */
    if (e == ERR_OK)
        oracle_verified(h->world, h->index, out);
    else
        h->world->figures.forged_seen++;
    return e;
}

static struct bytes find_document(void *arg, const struct hash *hash)
{
    struct host *h = arg;
    const struct doc *d = h->disk.doc;
    if (h->world->policies && !(d && hash_eq(&d->hash, hash)))
        d = policies_find(h->world, h->index, hash);
    return d && hash_eq(&d->hash, hash) ? buf_bytes(&d->bytes) : bytes_of(NULL, 0);
}

/* ---- the own record ---- */

static uint8_t protocol_of(const struct host *h)
{
    return h->protocol ? h->protocol : GOSSIP_PROTOCOL_MAX;
}

/* Version 1 of a new incarnation, the next version of the current one. */
static void publish(struct host *h, bool left)
{
    struct world *w = h->world;
    uint64_t incarnation = h->disk.incarnation;
    uint64_t version = h->own && h->own->incarnation == incarnation ? h->own->version + 1 : 1;
    struct signed_words words = {protocol_of(h), gossip_protocol_of_all(h->gossip), {{0}}, {.version = 0}};
    if (w->policies)
        policies_say(w, h->index, &words.policy);
    if (words.layout >= 2)
        words.coordinate = gossip_own_coordinate(h->gossip);
    const struct signed_record *r =
        signer_sign(w->signer, h->index, incarnation, version, left, h->door, &words);
    if (!r) {
        world_fail(w, "host %u signs incarnation %llu version %llu a second time", h->index,
                   (unsigned long long)incarnation, (unsigned long long)version);
        return;
    }
    enum err e = gossip_own_set(h->gossip, r->bytes, host_ms(h));
    trace_line(&w->trace, w->now, "%u publishes incarnation %llu version %llu%s: %s", h->index,
               (unsigned long long)incarnation, (unsigned long long)version, left ? ", leaving" : "",
               err_text(e));
    if (e)
        world_fail(w, "host %u: its own record is refused: %s", h->index, err_text(e));
    h->own = r;
    h->disk.member[h->index] = r->number;
}

static void store_incarnation(struct host *h, uint64_t number)
{
    struct disk *d = &h->disk;
    d->incarnation = number;
    d->highest = number > d->highest ? number : d->highest;
}

/* The store has answered: only now is the number used. */
static void stored(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    if (h->state == HOST_PAUSED) { /* the confirmation waits like everything else */
        world_after(w, MS(5), host, stored);
        return;
    }
    if (h->state != HOST_UP || h->wanted_incarnation == 0)
        return;
    if (h->wanted_incarnation > h->disk.incarnation)
        store_incarnation(h, h->wanted_incarnation);
    h->wanted_incarnation = 0;
    publish(h, h->wants_to_leave);
    host_pump(h);
}

static void want_incarnation(struct host *h, uint64_t number)
{
    bool is_waiting = h->wanted_incarnation != 0;
    if (number > h->wanted_incarnation)
        h->wanted_incarnation = number;
    if (!is_waiting)
        world_after(h->world, MS(1) + rng_below(&h->world->rng, PERSIST_US_MAX - 1000), h->index, stored);
}

/* What others hold of it is known; nothing was signed until then. As agent/control: what the disk said serves if it is
 * above. */
static void recalled(struct host *h, uint64_t highest)
{
    struct world *w = h->world;
    trace_line(&w->trace, w->now, "%u recalls incarnation %llu", h->index, (unsigned long long)highest);
    if (highest < h->disk.incarnation)
        publish(h, h->wants_to_leave);
    else
        want_incarnation(h, highest + GOSSIP_START_LEAP);
}

/* ---- what gossip tells ---- */

static bool was_judged_wrongly(const struct host *h, const struct host *subject)
{
    const struct world *w = h->world;
    mono_us quiet = SEC(30);
    return subject->state == HOST_UP && w->now > subject->stable_since + quiet && wire_is_whole(&w->wire) &&
           w->now > w->network_since + quiet && w->now > h->stable_since + quiet;
}

static void note_change(struct host *h, uint32_t subject, const struct gossip_event *ev)
{
    struct world *w = h->world;
    struct host *s = &w->host[subject];
    bool is_gone = !host_is_running(s) && !s->is_left && w->died_at[subject];
    enum gossip_state before = ev->is_new ? GOSSIP_ALIVE : ev->before;
    if (ev->after == GOSSIP_SUSPECT && before != GOSSIP_SUSPECT)
        w->figures.suspicions++;
    if (is_gone && before == GOSSIP_ALIVE && ev->after != GOSSIP_ALIVE)
        samples_add(&w->figures.suspicion, w->now - w->died_at[subject]);
    if (ev->after != GOSSIP_DEAD || before == GOSSIP_DEAD)
        return;
    if (is_gone)
        samples_add(&w->figures.detection, w->now - w->died_at[subject]);
    if (was_judged_wrongly(h, s))
        w->figures.false_deaths++;
}

static void on_member(struct host *h, const struct gossip_event *ev)
{
    struct world *w = h->world;
    uint32_t subject = signer_host_of(w->signer, &ev->id);
    const struct signed_record *r = oracle_accepted(w, h->index, &ev->id, ev->record);
    trace_line(&w->trace, w->now, "%u holds %u %s (was %s)%s%s", h->index, subject,
               gossip_state_text(ev->after), gossip_state_text(ev->before), ev->is_new ? ", new" : "",
               ev->record_changed ? ", newer record" : "");
    if (w->policies && ev->is_new)
        policies_meet(w, h->index);
    if (!r || subject >= w->config.hosts)
        return;
    oracle_changed(w, h->index, subject, ev, r);
    h->disk.member[subject] = r->number;
    note_change(h, subject, ev);
    if (w->watch)
        w->watch(w, h->index, subject, ev);
}

/* The policy's own signature stands behind this in the agent; here a document counts if it is one that was
 * published. */
static void on_doc(struct host *h, const struct gossip_event *ev)
{
    struct world *w = h->world;
    if (w->on_doc) {
        w->on_doc(w, h->index, ev);
        return;
    }
    struct hash hash = hash_of(ev->doc);
    for (size_t i = 0; i < w->doc_count; i++) {
        const struct doc *d = &w->doc[i];
        if (!hash_eq(&d->hash, &hash) || (h->disk.doc && h->disk.doc->version >= d->version))
            continue;
        h->disk.doc = d;
        trace_line(&w->trace, w->now, "%u has document version %llu", h->index,
                   (unsigned long long)d->version);
        gossip_doc_set(h->gossip, DOC_KIND, d->epoch, d->version, &d->hash, host_ms(h));
        return;
    }
    trace_line(&w->trace, w->now, "%u refuses a document", h->index);
}

static void on_left_sent(struct host *h)
{
    h->world->died_at[h->index] = 0;
    h->is_left = true;
    trace_line(&h->world->trace, h->world->now, "%u has said good-bye", h->index);
}

static void on_event(struct host *h, const struct gossip_event *ev)
{
    struct world *w = h->world;
    switch (ev->type) {
    case GOSSIP_EV_MEMBER:
        on_member(h, ev);
        break;
    case GOSSIP_EV_WANT_INCARNATION:
        trace_line(&w->trace, w->now, "%u wants incarnation %llu", h->index, (unsigned long long)ev->number);
        want_incarnation(h, ev->number);
        break;
    case GOSSIP_EV_DOC_RECEIVED:
        on_doc(h, ev);
        break;
    case GOSSIP_EV_EQUIVOCATION:
        w->figures.equivocations++;
        trace_line(&w->trace, w->now, "%u sees equivocation", h->index);
        break;
    case GOSSIP_EV_LEFT_SENT:
        on_left_sent(h);
        break;
    case GOSSIP_EV_JOINED:
        trace_line(&w->trace, w->now, "%u has joined", h->index);
        if (w->policies)
            policies_arrive(w, h->index);
        break;
    case GOSSIP_EV_MOVED:
        trace_line(&w->trace, w->now, "%u has moved", h->index);
        publish(h, h->wants_to_leave);
        break;
    case GOSSIP_EV_RECALLED:
        recalled(h, ev->number);
        break;
    case GOSSIP_EV_FORGOTTEN:
    case GOSSIP_EV_DOC_OFFERED:
        break;
    }
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

static void change(struct host *h, enum host_state to, const char *word)
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
            on_event(h, &ev);
        while (gossip_poll_send(h->gossip, &p)) {
            if (h->is_blocked) { /* the process stands before this send, and with it all the rest */
                h->held = host_delivery(h, &p, host_at(h->world, &p.addr));
                change(h, HOST_PAUSED, "blocks before a send");
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

/* ---- receiving ---- */

static void take_in(struct host *h, const struct delivery *d)
{
    struct world *w = h->world;
    struct addr via = signer_addr(d->from, w->host[d->from].door);
    const struct node_id *from =
        d->is_outsiders ? signer_outsider_id(w->signer) : signer_id(w->signer, d->from);
    struct bytes msg = bytes_of(d->msg, d->len);
    trace_message(&w->trace, w->now, "receives from", h->index, d->from,
                  d->lane == GOSSIP_BULK ? "bulk" : "datagram", msg);
    if (w->liars && liars_answer(w, h->index, d->from, d->lane, msg))
        return;
    if (w->policies && policies_revokes(w, h->index, from))
        return; /* its links are cut */
    gossip_time_us(h->gossip, host_us(h));
    enum err e = gossip_receive(h->gossip, d->lane, from, &via, msg, host_ms(h));
    if (e == ERR_NOMEM)
        abort();
    /* Malformed is what forgers send; between honest hosts it is a bug. */
    bool is_too_new =
        e == ERR_UNSUPPORTED && h->protocol == 1; /* to one that went back, by who does not know it yet */
    if (e && !w->forger && !is_too_new)
        world_fail(w, "host %u finds a message of host %u %s (type %u)", h->index, d->from, err_text(e),
                   d->len > 1 ? d->msg[1] : 0);
}

static bool queue_up(struct host *h, struct delivery *d)
{
    bool is_bulk = d->lane == GOSSIP_BULK;
    if (!h->queue) {
        h->queue = calloc(SOCKET_QUEUE_MAX + PAUSED_BULK_MAX, sizeof *h->queue);
        if (!h->queue)
            abort();
    }
    if (is_bulk ? h->queued_bulk == PAUSED_BULK_MAX : h->queued_datagrams == SOCKET_QUEUE_MAX)
        return false;
    h->queue[h->queued_datagrams + h->queued_bulk] = d;
    *(is_bulk ? &h->queued_bulk : &h->queued_datagrams) += 1;
    return true;
}

/* A bulk message is for the process that the connection led to; one that arrives at its successor has failed.
 */
static bool is_lost(struct host *h, const struct delivery *d, mono_us *after)
{
    struct world *w = h->world;
    *after = 0;
    if (!d->is_outsiders && wire_is_cut(&w->wire, d->from, d->to))
        *after = WIRE_TIMEOUT_US;
    else if (d->lane == GOSSIP_BULK && !d->is_outsiders)
        *after = host_bulk_trouble(w, d->from, d->to);
    if (*after == 0 && d->lane == GOSSIP_BULK && d->to_generation != h->generation)
        *after = wire_round_trip(&w->wire, d->from, d->to);
    return *after != 0 || !host_is_running(h);
}

void host_arrival(struct host *h, struct delivery *d)
{
    struct world *w = h->world;
    mono_us after;
    bool is_for_us = node_id_is_zero(&d->to_id) || node_id_eq(&d->to_id, signer_id(w->signer, h->index));
    bool is_kept = !is_lost(h, d, &after) && is_for_us;
    if (is_kept && h->state == HOST_UP && h->is_blocked)
        change(h, HOST_PAUSED, "blocks after a receive");
    if (is_kept && h->state == HOST_PAUSED) {
        if (queue_up(h, d))
            return;
        is_kept = false;
    }
    if (is_kept) {
        take_in(h, d);
        host_pump(h);
    } else if (d->lane == GOSSIP_BULK && !d->is_outsiders) {
        wire_bulk_close(&w->wire, d->from, d->to);
        host_bulk_fails(w, d, after ? after : WIRE_TIMEOUT_US);
        return;
    }
    delivery_free(d);
}

void host_bulk_failed(struct host *h, const struct delivery *d)
{
    if (h->state == HOST_PAUSED) { /* told when it runs again; its generation may have changed until then */
        struct delivery *again = delivery_new(d, bytes_of(d->msg, d->len));
        host_bulk_fails(h->world, again, MS(10));
        return;
    }
    if (h->state != HOST_UP)
        return;
    if (d->lane == GOSSIP_BULK)
        gossip_bulk_failed(h->gossip, &d->to_id, &d->addr, host_ms(h));
    if (d->is_refused)
        gossip_link_lost(h->gossip, &d->to_id, GOSSIP_LINK_REFUSED, host_ms(h));
    host_pump(h);
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
    struct gossip_verify verify = {verify_record, find_document, h};
    h->gossip = gossip_new(&config, &verify, host_ms(h));
    if (!h->gossip)
        abort();
    h->own = NULL;
    h->wanted_incarnation = 0;
    h->wants_to_leave = h->is_left = false;
    h->timer_at = NEVER;
    h->is_blocked = false;
    h->meter = (struct meter){0}; /* a process that is new has a budget that is new */
    w->died_at[h->index] = 0;
    change(h, HOST_UP, "starts");
    /* Stored before anything is signed. */
    store_incarnation(h, h->disk.incarnation + (h->disk.incarnation ? GOSSIP_START_LEAP : 1));
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
    publish(h, false);
    set_seeds(h);
}

void host_publish(struct world *w, uint32_t host)
{
    publish(&w->host[host], false);
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
    drop_queue(h);
    w->died_at[host] = w->now;
    change(h, to, word);
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
    if (h->own && h->wanted_incarnation == 0) /* else recalled() or stored() will say it */
        publish(h, true);
    host_pump(h);
}

void host_update(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    assert(h->state == HOST_UP && h->own);
    publish(h, false);
    w->updated = h->own;
    host_pump(h);
}

void host_say(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    assert(h->state == HOST_UP);
    if (h->own && h->wanted_incarnation == 0) /* else it is said with the number that is awaited */
        publish(h, h->wants_to_leave);
    host_pump(h);
}

void host_pause(struct world *w, uint32_t host)
{
    if (w->host[host].state == HOST_UP)
        change(&w->host[host], HOST_PAUSED, "pauses");
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

static void tick(struct host *h)
{
    gossip_tick(h->gossip, host_ms(h));
    host_pump(h);
}

/* The loop reads a batch, then runs what is due, then reads on. */
static void drain_queue(struct host *h)
{
    size_t count = h->queued_datagrams + h->queued_bulk;
    h->queued_datagrams = h->queued_bulk = 0;
    for (size_t i = 0; i < count; i++) {
        take_in(h, h->queue[i]);
        delivery_free(h->queue[i]);
        if (i % READ_BATCH == READ_BATCH - 1)
            tick(h);
    }
}

/* The loop sees how late it is and tells gossip first. */
void host_resume(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    h->is_blocked = false;
    if (h->state != HOST_PAUSED)
        return;
    change(h, HOST_UP, "resumes");
    send_held(h);
    note_lateness(h);
    if (!w->is_sockets_first && rng_below(&w->rng, 2))
        tick(h);
    drain_queue(h);
    tick(h);
}
