/* What a host sends: edited by those who lie, overheard by those who listen, counted, and given to the wire. */
#include "sim/host_parts.h"

#include "gossip/message.h"
#include "sim/capture.h"
#include "sim/forger.h"
#include "sim/liars.h"

enum { NEEDLE_BYTES = 32, EMPTY_DOC_BYTES = 128 };

uint32_t host_at(const struct world *w, const struct addr *a)
{
    uint8_t door;
    uint32_t host = signer_host_at(w->signer, a, &door);
    return host != UINT32_MAX && w->host[host].door == door ? host : UINT32_MAX;
}

struct delivery *host_delivery(const struct host *h, const struct gossip_packet *p, uint32_t to)
{
    struct delivery header = {.lane = p->lane,
                              .from = h->index,
                              .to = to,
                              .to_id = p->to,
                              .addr = p->addr,
                              .to_generation =
                                  to < h->world->config.hosts ? h->world->host[to].generation : 0};
    return delivery_new(&header, p->msg);
}

static void send_datagram(struct host *h, const struct gossip_packet *p, uint32_t to)
{
    struct world *w = h->world;
    mono_us at[2];
    size_t bytes = p->msg.len + WIRE_OVERHEAD_BYTES;
    w->figures.datagrams++;
    w->figures.datagram_bytes += bytes;
    meter_add(&h->meter, w->now, (uint32_t)p->msg.len);
    unsigned n = to == UINT32_MAX ? 0 : wire_datagram(&w->wire, h->index, to, bytes, w->now, at);
    for (unsigned i = 0; i < n; i++)
        future_push(
            &w->future,
            &(struct happening){.at = at[i], .kind = HAPPENS_ARRIVAL, .delivery = host_delivery(h, p, to)});
}

void host_bulk_fails(struct world *w, struct delivery *d_take, mono_us after)
{
    future_push(&w->future, &(struct happening){.at = w->now + after,
                                                .kind = HAPPENS_BULK_FAILURE,
                                                .host = d_take->from,
                                                .generation = w->host[d_take->from].generation,
                                                .delivery = d_take});
}

/* The host runs, its agent does not, or not yet: the kernel refuses connections. */
static bool refuses(const struct world *w, uint32_t to)
{
    return to < w->config.hosts && (w->host[to].state == HOST_STOPPED || w->host[to].state == HOST_NEW);
}

mono_us host_bulk_trouble(struct world *w, uint32_t from, uint32_t to)
{
    if (to == UINT32_MAX || wire_is_bulk_cut(&w->wire, from, to))
        return WIRE_TIMEOUT_US;
    enum host_state s = w->host[to].state;
    if (s == HOST_DOWN)
        return WIRE_TIMEOUT_US;
    return refuses(w, to) ? wire_round_trip(&w->wire, from, to) : 0;
}

/* A process that is gone: its kernel says so. One that pauses: its kernel accepts the connection. */
static void send_knock(struct host *h, const struct gossip_packet *p, uint32_t to)
{
    struct world *w = h->world;
    trace_line(&w->trace, w->now, "%u knocks at %u", h->index, to);
    if (!refuses(w, to) || wire_is_bulk_cut(&w->wire, h->index, to))
        return;
    struct delivery *d = host_delivery(h, p, to);
    d->is_refused = true;
    host_bulk_fails(w, d, wire_round_trip(&w->wire, h->index, to));
}

static void send_bulk(struct host *h, const struct gossip_packet *p, uint32_t to)
{
    struct world *w = h->world;
    struct delivery *d = host_delivery(h, p, to);
    w->figures.bulk++;
    w->figures.bulk_bytes += p->msg.len;
    w->figures.documents += p->msg.at[1] == MSG_DOC && p->msg.len > EMPTY_DOC_BYTES;
    mono_us trouble = host_bulk_trouble(w, h->index, to);
    bool is_other =
        !node_id_is_zero(&p->to) && to < w->config.hosts && !node_id_eq(&p->to, signer_id(w->signer, to));
    if (!trouble && (is_other || to == h->index)) /* somebody else answers, or itself: the handshake fails */
        trouble = wire_round_trip(&w->wire, h->index, to);
    if (trouble) {
        d->is_refused = refuses(w, to);
        host_bulk_fails(w, d, trouble);
        return;
    }
    mono_us at = wire_bulk(&w->wire, h->index, h->generation, to, d->to_generation, p->msg.len, w->now);
    future_push(&w->future, &(struct happening){.at = at, .kind = HAPPENS_ARRIVAL, .delivery = d});
}

/* A record ends with its signature, which no other message contains. */
static void count_payload(struct world *w, struct bytes msg)
{
    struct bytes record = w->updated->bytes;
    if (memmem(msg.at, msg.len, record.at + record.len - NEEDLE_BYTES, NEEDLE_BYTES))
        w->figures.payloads++;
}

/* Of a probe, or an answer to one, only the news that rides on it. */
static void count_repair(struct world *w, uint32_t from, uint32_t to, const struct gossip_packet *p)
{
    struct figures *f = &w->figures;
    struct datagram d;
    if ((from != w->repaired && to != w->repaired) || p->msg.len < MESSAGE_HEADER)
        return;
    if (p->lane == GOSSIP_BULK) {
        f->repairs++;
        f->repair_bytes += p->msg.len;
    } else if (datagram_decode(&d, p->msg) == ERR_OK && d.type <= MSG_NACK) {
        f->repair_bytes += d.rumors.len;
    } else {
        f->repairs++;
        f->repair_bytes += p->msg.len + WIRE_OVERHEAD_BYTES;
        f->repair_rounds += p->msg.at[1] == MSG_DIGEST;
    }
}

void host_send(struct host *h, const struct gossip_packet *given)
{
    struct world *w = h->world;
    struct gossip_packet edited = *given, *p = &edited;
    uint32_t to = host_at(w, &p->addr);
    if (p->lane == GOSSIP_KNOCK) {
        send_knock(h, p, to);
        return;
    }
    if (w->liars && !liars_edit(w, h->index, p->lane, &p->msg))
        return;
    if (w->repaired != UINT32_MAX)
        count_repair(w, h->index, to, p);
    trace_message(&w->trace, w->now, "sends", h->index, to, p->lane == GOSSIP_BULK ? "bulk" : "datagram",
                  p->msg);
    forger_overhears(w->forger, p->lane, p->msg);
    capture_hears(w, h->index, to, p->lane, p->msg);
    if (w->updated)
        count_payload(w, p->msg);
    if (p->lane == GOSSIP_BULK)
        send_bulk(h, p, to);
    else
        send_datagram(h, p, to);
}
