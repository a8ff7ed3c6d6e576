/* What arrives at a host: taken in, or queued in its sockets while the process stands still, or failed. */
#include "sim/host_parts.h"

#include <stdlib.h>

#include "sim/liars.h"
#include "sim/must.h"
#include "sim/policies.h"

enum {
    SOCKET_QUEUE_MAX = 256, /* datagrams that wait for a paused process; the kernel drops further ones */
    PAUSED_BULK_MAX = 1024, /* bulk messages likewise; further ones fail */
    READ_BATCH = 32, /* datagrams that libuv reads between two turns (UV__UDP_DGRAM_MAXSIZE loop, 32) */
};

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
        h->queue = must_zeros(SOCKET_QUEUE_MAX + PAUSED_BULK_MAX, sizeof *h->queue);
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
        host_change(h, HOST_PAUSED, "blocks after a receive");
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

void host_queue_drop(struct host *h)
{
    for (size_t i = 0; i < h->queued_datagrams + h->queued_bulk; i++)
        delivery_free(h->queue[i]);
    h->queued_datagrams = h->queued_bulk = 0;
    delivery_free(h->held);
    h->held = NULL;
}

/* The loop reads a batch, then runs what is due, then reads on. */
void host_queue_drain(struct host *h)
{
    size_t count = h->queued_datagrams + h->queued_bulk;
    h->queued_datagrams = h->queued_bulk = 0;
    for (size_t i = 0; i < count; i++) {
        take_in(h, h->queue[i]);
        delivery_free(h->queue[i]);
        if (i % READ_BATCH == READ_BATCH - 1)
            host_timer(h);
    }
}
