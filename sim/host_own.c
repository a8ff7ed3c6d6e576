/* A host's own record: an incarnation is on the disk before it is signed, and nothing is signed before what the others
 * hold of it is known. */
#include "sim/host_parts.h"

#include "sim/policies.h"

static uint8_t protocol_of(const struct host *h)
{
    return h->protocol ? h->protocol : GOSSIP_PROTOCOL_MAX;
}

/* Version 1 of a new incarnation, the next version of the current one. */
void host_own_publish(struct host *h, bool left)
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

void host_own_store(struct host *h, uint64_t number)
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
        host_own_store(h, h->wanted_incarnation);
    h->wanted_incarnation = 0;
    host_own_publish(h, h->wants_to_leave);
    host_pump(h);
}

void host_own_want(struct host *h, uint64_t number)
{
    bool is_waiting = h->wanted_incarnation != 0;
    if (number > h->wanted_incarnation)
        h->wanted_incarnation = number;
    if (!is_waiting)
        world_after(h->world, host_store_takes(h->world), h->index, stored);
}

/* What others hold of it is known; nothing was signed until then. As agent/control: what the disk said serves if it is
 * above. */
void host_own_recalled(struct host *h, uint64_t highest)
{
    struct world *w = h->world;
    trace_line(&w->trace, w->now, "%u recalls incarnation %llu", h->index, (unsigned long long)highest);
    if (highest < h->disk.incarnation)
        host_own_publish(h, h->wants_to_leave);
    else
        host_own_want(h, highest + GOSSIP_START_LEAP);
}

void host_publish(struct world *w, uint32_t host)
{
    host_own_publish(&w->host[host], false);
}

void host_update(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    assert(h->state == HOST_UP && h->own);
    host_own_publish(h, false);
    w->updated = h->own;
    host_pump(h);
}

void host_say(struct world *w, uint32_t host)
{
    struct host *h = &w->host[host];
    assert(h->state == HOST_UP);
    if (h->own && h->wanted_incarnation == 0) /* else it is said with the number that is awaited */
        host_own_publish(h, h->wants_to_leave);
    host_pump(h);
}

void host_hold(struct world *w, uint32_t host, const struct doc *d)
{
    struct host *h = &w->host[host];
    assert(h->state == HOST_UP);
    h->disk.doc = d;
    gossip_doc_set(h->gossip, DOC_KIND, d->epoch, d->version, &d->hash, host_ms(h));
    host_timer(h);
}
