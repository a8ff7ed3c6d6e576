#include "sim/liars.h"

#include <stdlib.h>

#include "gossip/message.h"
#include "sim/must.h"
#include "trust/sign.h"

enum { SPACE_BYTES = 2 * CHUNK_BYTES };

struct liars {
    bool *is_liar; /* [hosts] */
    uint32_t count;
    unsigned ways;
    mono_us every;
    uint64_t lies;
    struct rng rng;
    uint8_t space[SPACE_BYTES];
};

void liars_free(struct liars *l)
{
    if (l)
        free(l->is_liar);
    free(l);
}

bool liars_has(const struct world *w, uint32_t host)
{
    return w->liars && host < w->config.hosts && w->liars->is_liar[host];
}

bool liars_lie(const struct world *w, uint32_t host)
{
    return liars_has(w, host) && w->liars->ways != 0;
}

uint64_t liars_lies(const struct world *w)
{
    return w->liars ? w->liars->lies : 0;
}

static bool lies(const struct world *w, uint32_t host, unsigned way)
{
    return liars_has(w, host) && w->liars->ways & way;
}

static bool is_gone(const struct world *w, uint32_t host)
{
    return host < w->config.hosts && !host_is_running(&w->host[host]);
}

/* ---- what they send instead ---- */

static uint32_t subject_of(const struct world *w, const struct rumor_item *i)
{
    struct gossip_claim claim;
    if (i->type != RUMOR_RECORD)
        return signer_host_of(w->signer, &i->subject);
    return signer_verify(w->signer, i->record, &claim) == ERR_OK ? signer_host_of(w->signer, &claim.id)
                                                                 : UINT32_MAX;
}

/* What it says of itself it goes on saying: else it would be caught at once. */
static bool edit_rumors(struct world *w, uint32_t from, struct bytes *msg)
{
    struct liars *l = w->liars;
    struct datagram d;
    struct rumor_item i;
    struct wr out = wr_init(l->space, sizeof l->space);
    uint32_t kept = 0, dropped = 0;
    if (datagram_decode(&d, *msg) != ERR_OK || d.type == MSG_GET)
        return true;
    if (d.type == MSG_DIGEST || d.type == MSG_RANGE)
        return !lies(w, from, LIARS_ECLIPSE);
    datagram_encode(&out, &d);
    for (struct rd r = rd_init(d.rumors); rumor_item_next(&r, &i);) {
        bool is_own = subject_of(w, &i) == from;
        kept += is_own;
        dropped += !is_own;
        if (is_own)
            rumor_item_encode(&out, &i);
    }
    if (dropped == 0)
        return true;
    l->lies++;
    *msg = wr_done(&out);
    return kept > 0 || d.type != MSG_PUSH;
}

static enum gossip_state lie_about(const struct world *w, uint32_t host, enum gossip_state truth)
{
    if (liars_has(w, host))
        return GOSSIP_ALIVE;
    return truth == GOSSIP_LEFT ? truth : is_gone(w, host) ? GOSSIP_ALIVE : GOSSIP_DEAD;
}

static void edit_list(struct world *w, uint32_t from, struct bytes entries, struct wr *out)
{
    struct list_entry e;
    for (struct rd r = rd_init(entries); list_entry_next(&r, &e);) {
        uint32_t host = signer_host_of(w->signer, &e.id);
        if (lies(w, from, LIARS_ECLIPSE) && !liars_has(w, host))
            continue;
        if (lies(w, from, LIARS_STATES))
            e.state = lie_about(w, host, e.state);
        list_entry_encode(out, &e);
    }
}

static void edit_state(struct world *w, uint32_t from, struct bytes entries, struct wr *out)
{
    struct state_entry e;
    for (struct rd r = rd_init(entries); state_entry_next(&r, &e);) {
        const struct signed_record *record = signer_find_bytes(w->signer, e.record);
        uint32_t host = record ? record->owner : UINT32_MAX;
        if (lies(w, from, LIARS_ECLIPSE) && !liars_has(w, host))
            continue;
        if (lies(w, from, LIARS_STATES))
            e.state = lie_about(w, host, e.state);
        state_entry_encode(out, &e);
    }
}

static bool edit_bulk(struct world *w, uint32_t from, struct bytes *msg)
{
    struct liars *l = w->liars;
    struct bulk b;
    struct wr out = wr_init(l->space, sizeof l->space);
    if (bulk_decode(&b, *msg) != ERR_OK || (b.type != MSG_LIST && b.type != MSG_STATE))
        return true;
    bulk_encode(&out, &b);
    if (b.type == MSG_LIST)
        edit_list(w, from, b.entries, &out);
    else
        edit_state(w, from, b.entries, &out);
    if (!wr_ok(&out))
        return false;
    l->lies++;
    *msg = wr_done(&out);
    return true;
}

/* Surer than anybody, another place each time. */
static void edit_place(struct world *w, struct bytes *msg)
{
    struct liars *l = w->liars;
    struct datagram d;
    struct wr out = wr_init(l->space, sizeof l->space);
    if (datagram_decode(&d, *msg) != ERR_OK || d.type != MSG_ACK || d.version < 2)
        return;
    for (int i = 0; i < GOSSIP_COORDINATE_BYTES; i++)
        d.coordinate.b[i] = (uint8_t)rng_below(&l->rng, 256);
    d.coordinate.b[GOSSIP_COORDINATE_BYTES - 1] = 1;
    datagram_encode(&out, &d);
    wr_bytes(&out, d.rumors.at, d.rumors.len);
    l->lies++;
    *msg = wr_done(&out);
}

bool liars_edit(struct world *w, uint32_t from, enum gossip_lane lane, struct bytes *msg)
{
    if (lane == GOSSIP_DATAGRAM && lies(w, from, LIARS_COORDINATE))
        edit_place(w, msg);
    if (lane == GOSSIP_DATAGRAM && lies(w, from, LIARS_SILENT | LIARS_ECLIPSE))
        return edit_rumors(w, from, msg);
    if (lane == GOSSIP_BULK && lies(w, from, LIARS_STATES | LIARS_ECLIPSE))
        return edit_bulk(w, from, msg);
    return true;
}

/* ---- what they answer and invent ---- */

static void tell(struct world *w, uint32_t from, uint32_t to, const struct datagram *d,
                 const struct rumor_item *i)
{
    uint8_t space[512];
    struct wr out = wr_init(space, sizeof space);
    datagram_encode(&out, d);
    if (i)
        rumor_item_encode(&out, i);
    w->liars->lies++;
    if (wr_ok(&out) && host_is_running(&w->host[to]))
        world_inject(w, from, false, to, GOSSIP_DATAGRAM, wr_done(&out));
}

bool liars_answer(struct world *w, uint32_t at, uint32_t from, enum gossip_lane lane, struct bytes msg)
{
    struct datagram d;
    if (lane != GOSSIP_DATAGRAM || !lies(w, at, LIARS_SHIELD) || datagram_decode(&d, msg) != ERR_OK ||
        d.type != MSG_PING_REQ)
        return false;
    uint32_t target = signer_host_of(w->signer, &d.target);
    if (liars_has(w, target))
        return false;
    struct datagram answer = {
        .type = is_gone(w, target) ? MSG_RELAYED_ACK : MSG_NACK, .nonce = d.nonce, .target = d.target};
    tell(w, at, from, &answer, NULL);
    return true;
}

static uint32_t an_honest_one(struct world *w)
{
    for (;;) {
        uint32_t h = rng_below(&w->liars->rng, w->config.hosts);
        if (!w->liars->is_liar[h])
            return h;
    }
}

static void accuse(struct world *w, uint32_t liar)
{
    struct liars *l = w->liars;
    if (!lies(w, liar, LIARS_ACCUSE))
        return;
    uint32_t to = an_honest_one(w), about = an_honest_one(w);
    bool is_death = rng_below(&l->rng, 2);
    world_after(w, l->every, liar, accuse);
    if (!host_is_running(&w->host[liar]) || !w->host[about].own || is_gone(w, about))
        return;
    struct rumor_item item = {.type = is_death ? RUMOR_DEAD : RUMOR_SUSPECT,
                              .subject = *signer_id(w->signer, about),
                              .accuser =
                                  *signer_id(w->signer, l->ways & LIARS_BORROW ? an_honest_one(w) : liar),
                              .incarnation = w->host[about].own->incarnation,
                              .version = w->host[about].own->version};
    tell(w, liar, to, &(struct datagram){.type = MSG_PUSH}, &item);
}

void liars_begin(struct world *w, const bool *is_liar, unsigned ways, mono_us every)
{
    struct liars *l = must_zeros(1, sizeof *l);
    assert(!w->liars);
    l->is_liar = must_zeros(w->config.hosts, sizeof *l->is_liar);
    l->ways = ways;
    l->every = every;
    l->rng = rng_seeded(w->config.seed ^ 0x11a25u);
    w->liars = l;
    for (uint32_t h = 0; h < w->config.hosts; h++) {
        if (!is_liar[h])
            continue;
        l->is_liar[h] = true;
        l->count++;
        trace_line(&w->trace, w->now, "%u lies from now on", h);
        if (ways & LIARS_ACCUSE)
            world_after(w, rng_below(&l->rng, (uint32_t)every), h, accuse);
    }
}

void liars_end(struct world *w)
{
    if (w->liars)
        w->liars->ways = 0;
    trace_line(&w->trace, w->now, "nobody lies any more");
}
