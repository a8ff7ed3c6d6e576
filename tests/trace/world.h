/* world.h: a handful of gossip instances on a virtual network, for traces. Delay is 10 ms each way, nothing
 * is lost unless a path is cut, time and seeds are literals. Records are fakes that `verify` can check:
 * numbers, address and a checksum, no signature.
 *
 * What happens is logged as text, one line each, so that a test can quote it:
 *     [   120] a > b ping                       a packet (WORLD_PACKETS), and what rumors it carries after "
 * | " [   120] a * b alive -> suspect           what the embedder was told (WORLD_EVENTS) Only what `show`
 * asks for is logged; world_only() narrows packets to those that one node sends. */
#ifndef TEST_TRACE_WORLD_H
#define TEST_TRACE_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "gossip/gossip.h"
#include "gossip/message.h"

enum { WORLD_NODES = 24, WORLD_DELAY_MS = 10, WORLD_DOC_MAX = 64 };
enum {
    WORLD_PACKETS = 1,
    WORLD_EVENTS = 2,
    WORLD_BULK = 4,
    WORLD_DIGESTS = 8, /* of datagrams, only these */
    WORLD_KNOCKS = 16
};

/* "FAKE" | id 32 | be64 incarnation | be64 version | u8 left | addr 18 | be16 len | padding | be64 checksum
 * of all before */
struct world_record {
    struct node_id id;
    uint64_t incarnation, version;
    bool left;
    struct addr addr;
    uint16_t padding; /* bytes */
    uint8_t filler;   /* what the padding is made of; '1': by a speaker of version 1 */
};

struct world_packet {
    mono_ms at;
    uint64_t order;
    int from, to;
    enum gossip_lane lane;
    uint8_t *bytes;
    size_t len;
    bool is_failure; /* the sender learns that this bulk message was not delivered */
};

struct world_node {
    struct gossip *g;
    struct node_id id;
    struct addr addr;
    uint64_t incarnation, version;
    uint16_t padding;
    mono_ms clock;   /* its clock is ahead of the world's by this */
    uint32_t alarms; /* equivocations it was told of */
    bool is_left_sent;
    uint32_t refused;           /* bit per member: whose records its embedder accepts no more */
    bool refuses;               /* its process is gone, its host's kernel says so */
    bool refuses_docs;          /* its embedder adopts no document */
    uint8_t doc[WORLD_DOC_MAX]; /* the document it holds */
    size_t doc_len;
    struct hash doc_hash;
};

struct world {
    mono_ms now;
    uint64_t order;
    struct world_node node[WORLD_NODES];
    bool cut[WORLD_NODES][WORLD_NODES]; /* [from][to]: packets vanish */
    mono_ms late_ms[WORLD_NODES];       /* what it sends takes so much longer */
    bool is_silent[WORLD_NODES];        /* what goes there vanishes, and nobody is told */
    struct world_packet *packet;
    size_t packets, packets_cap;
    struct buf log;
    unsigned show;
    int only; /* -1: everybody's packets */
    struct gossip_config config;
    uint64_t datagrams, datagram_bytes;
};

static inline uint64_t world_fnv(struct bytes b, uint64_t h)
{
    h ^= 0xcbf29ce484222325u;
    for (size_t i = 0; i < b.len; i++)
        h = (h ^ b.at[i]) * 0x100000001b3u;
    return h;
}

static inline struct hash world_hash(struct bytes b)
{
    struct hash h;
    for (int i = 0; i < 4; i++)
        store_be64(h.b + 8 * i, world_fnv(b, (uint64_t)i * 0x9e3779b97f4a7c15u));
    return h;
}

static inline struct node_id world_id(int n)
{
    struct node_id id = {{(uint8_t)('a' + n), 1}};
    return id;
}

static inline struct addr world_addr(int n)
{
    struct addr a;
    char ip[32];
    snprintf(ip, sizeof ip, "10.0.0.%d", n + 1);
    assert(addr_of_ip(&a, ip, 7400));
    return a;
}

/* Returns the length; `space` must hold 90 + padding. */
static inline struct bytes world_record_encode(const struct world_record *r, uint8_t *space, size_t cap)
{
    struct wr w = wr_init(space, cap);
    wr_bytes(&w, "FAKE", 4);
    wr_bytes(&w, r->id.b, ID_BYTES);
    wr_be64(&w, r->incarnation);
    wr_be64(&w, r->version);
    wr_u8(&w, r->left);
    wr_addr(&w, &r->addr);
    wr_be16(&w, r->padding);
    uint8_t *fill = wr_take(&w, r->padding);
    if (fill)
        memset(fill, r->filler, r->padding);
    wr_be64(&w, world_fnv(wr_done(&w), 0));
    assert(wr_ok(&w));
    return wr_done(&w);
}

static inline enum err world_verify(void *arg, struct bytes record, struct gossip_claim *out)
{
    const struct world_node *node = arg;
    struct rd r = rd_init(record);
    struct bytes magic = rd_bytes(&r, 4);
    rd_copy(&r, out->id.b, ID_BYTES);
    out->incarnation = rd_be64(&r);
    out->version = rd_be64(&r);
    out->left = rd_u8(&r);
    rd_addr(&r, &out->addr[0]);
    out->addr_count = 1;
    out->protocol_max = GOSSIP_PROTOCOL_MAX;
    struct bytes padding = rd_bytes(&r, rd_be16(&r));
    if (padding.len > 0 && padding.at[0] == '1')
        out->protocol_max = 1;
    uint64_t sum = rd_be64(&r);
    if (!rd_done(&r) || !bytes_eq_str(magic, "FAKE"))
        return ERR_MALFORMED;
    if (sum != world_fnv(bytes_of(record.at, record.len - 8), 0))
        return ERR_AUTH;
    if (node && node->refused >> (out->id.b[0] - 'a') & 1)
        return ERR_REVOKED;
    out->hash = world_hash(record);
    return ERR_OK;
}

static inline struct bytes world_document(void *arg, const struct hash *hash)
{
    struct world_node *n = arg;
    return n->doc_len > 0 && hash_eq(&n->doc_hash, hash) ? bytes_of(n->doc, n->doc_len) : bytes_of(NULL, 0);
}

static inline struct world *world_new(unsigned show)
{
    struct world *w = calloc(1, sizeof *w);
    assert(w);
    w->show = show;
    w->only = -1;
    w->config.without = GOSSIP_EXPLORE; /* traces are of what is needed; gossip_coordinate.c has it in */
    for (int i = 0; i < WORLD_NODES; i++) {
        w->node[i].id = world_id(i);
        w->node[i].addr = world_addr(i);
        w->node[i].version = 1;
    }
    return w;
}

static inline void world_free(struct world *w)
{
    for (int i = 0; i < WORLD_NODES; i++)
        gossip_free(w->node[i].g);
    for (size_t i = 0; i < w->packets; i++)
        free(w->packet[i].bytes);
    free(w->packet);
    buf_fini(&w->log);
    free(w);
}

static inline int world_index(const struct node_id *id)
{
    return id->b[0] - 'a';
}

__attribute__((format(printf, 2, 3))) static inline void world_log(struct world *w, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_addf(&w->log, "[%6llu] %s\n", (unsigned long long)w->now, line);
}

static inline void world_rumors_text(struct bytes rumors, char *out, size_t cap)
{
    struct rd r = rd_init(rumors);
    struct rumor_item i;
    struct gossip_claim c;
    size_t at = 0;
    out[0] = 0;
    while (rumor_item_next(&r, &i) && at + 80 < cap) {
        int n = 0;
        if (i.type == RUMOR_RECORD && world_verify(NULL, i.record, &c) == ERR_OK)
            n = snprintf(out + at, cap - at, " | %s %c %d.%d", c.left ? "left" : "record", c.id.b[0],
                         (int)c.incarnation, (int)c.version);
        else if (i.type == RUMOR_NOTICE)
            n = snprintf(out + at, cap - at, " | notice %c %d.%d", i.subject.b[0], (int)i.incarnation,
                         (int)i.version);
        else if (i.type == RUMOR_SUSPECT || i.type == RUMOR_DEAD)
            n = snprintf(out + at, cap - at, " | %s %c %d by %c", i.type == RUMOR_DEAD ? "dead" : "suspect",
                         i.subject.b[0], (int)i.incarnation, i.accuser.b[0]);
        else if (i.type == RUMOR_DOC)
            n = snprintf(out + at, cap - at, " | doc %d %d.%d", i.doc.kind, (int)i.doc.epoch,
                         (int)i.doc.version);
        at += (size_t)n;
    }
}

static inline size_t world_entries(const struct bulk *b)
{
    struct rd r = rd_init(b->entries);
    struct list_entry le;
    struct state_entry se;
    size_t n = 0;
    while (b->type == MSG_LIST ? list_entry_next(&r, &le) : state_entry_next(&r, &se))
        n++;
    return n;
}

static inline void world_log_datagram(struct world *w, int from, int to, struct bytes msg)
{
    static const char *const name[] = {"",     "ping", "ack", "ping-req", "relayed-ack",
                                       "nack", "push", "get", "digest",   "range"};
    struct datagram d;
    char rumors[400], about[8] = "";
    if (datagram_decode(&d, msg) != ERR_OK) {
        world_log(w, "%c > %c malformed", 'a' + from, 'a' + to);
        return;
    }
    world_rumors_text(d.rumors, rumors, sizeof rumors);
    if (d.type == MSG_PING_REQ || d.type == MSG_RELAYED_ACK)
        snprintf(about, sizeof about, " %c", d.target.b[0]);
    if (d.type == MSG_GET)
        snprintf(about, sizeof about, " %c", d.ids.at[0]);
    world_log(w, "%c > %c %s%s%s", 'a' + from, 'a' + to, name[d.type], about, rumors);
}

static inline void world_log_bulk(struct world *w, int from, int to, struct bytes msg)
{
    struct bulk b;
    if (bulk_decode(&b, msg) != ERR_OK) {
        world_log(w, "%c > %c malformed", 'a' + from, 'a' + to);
        return;
    }
    static const char *const name[] = {"sync", "list", "state", "fetch", "doc-get", "doc"};
    char count[32] = "";
    if (b.type == MSG_LIST || b.type == MSG_STATE)
        snprintf(count, sizeof count, " %zu", world_entries(&b));
    if (b.type == MSG_FETCH)
        snprintf(count, sizeof count, " %zu", b.ids.len / ID_BYTES);
    world_log(w, "%c > %c %s%s", 'a' + from, 'a' + to, name[b.type - MSG_SYNC], count);
}

static inline void world_put(struct world *w, int from, int to, enum gossip_lane lane, struct bytes msg,
                             bool is_failure)
{
    if (w->packets == w->packets_cap) {
        w->packets_cap = w->packets_cap ? w->packets_cap * 2 : 64;
        w->packet = realloc(w->packet, w->packets_cap * sizeof *w->packet);
        assert(w->packet);
    }
    struct world_packet *p = &w->packet[w->packets++];
    *p = (struct world_packet){w->now + WORLD_DELAY_MS + w->late_ms[from],
                               w->order++,
                               from,
                               to,
                               lane,
                               malloc(msg.len + 1),
                               msg.len,
                               is_failure};
    assert(p->bytes);
    if (msg.len > 0)
        memcpy(p->bytes, msg.at, msg.len);
}

static inline int world_node_at(const struct addr *a)
{
    for (int i = 0; i < WORLD_NODES; i++) {
        struct addr here = world_addr(i);
        if (addr_eq(&here, a))
            return i;
    }
    return -1;
}

static inline void world_sent(struct world *w, int from, const struct gossip_packet *p)
{
    int to = world_node_at(&p->addr);
    bool is_shown = w->only < 0 || w->only == from;
    assert(to >= 0);
    if (p->lane == GOSSIP_DATAGRAM) {
        w->datagrams++;
        w->datagram_bytes += p->msg.len;
    }
    bool is_digest = p->lane == GOSSIP_DATAGRAM && p->msg.len > 1 && p->msg.at[1] >= MSG_DIGEST;
    if (is_shown && p->lane == GOSSIP_DATAGRAM &&
        (w->show & WORLD_PACKETS || (is_digest && w->show & WORLD_DIGESTS)))
        world_log_datagram(w, from, to, p->msg);
    if (is_shown && p->lane == GOSSIP_BULK && w->show & WORLD_BULK)
        world_log_bulk(w, from, to, p->msg);
    if (w->is_silent[to])
        return;
    if (p->lane == GOSSIP_KNOCK) {
        if (is_shown && w->show & WORLD_KNOCKS)
            world_log(w, "%c > %c knock", 'a' + from, 'a' + to);
        if (w->node[to].refuses && !w->cut[from][to] && !w->cut[to][from])
            world_put(w, from, to, p->lane, bytes_of(&p->to, sizeof p->to), true);
    } else if (w->node[to].g && !w->cut[from][to])
        world_put(w, from, to, p->lane, p->msg, false);
    else if (p->lane == GOSSIP_BULK)
        world_put(w, from, to, p->lane, bytes_of(&p->to, sizeof p->to), true);
}

/* Signs and publishes the node's record with its current numbers. */
static inline enum err world_publish(struct world *w, int n, bool left)
{
    struct world_node *node = &w->node[n];
    uint8_t space[GOSSIP_RECORD_MAX];
    struct world_record r = {node->id, node->incarnation, node->version, left, node->addr, node->padding,
                             'x'};
    return gossip_own_set(node->g, world_record_encode(&r, space, sizeof space), w->now + node->clock);
}

static inline void world_log_event(struct world *w, int n, const struct gossip_event *e)
{
    char me = (char)('a' + n), it = (char)e->id.b[0];
    switch (e->type) {
    case GOSSIP_EV_MEMBER:
        if (e->is_new)
            world_log(w, "%c * %c %s, new", me, it, gossip_state_text(e->after));
        else if (e->before != e->after)
            world_log(w, "%c * %c %s -> %s", me, it, gossip_state_text(e->before),
                      gossip_state_text(e->after));
        else if (e->record_changed && n != world_index(&e->id))
            world_log(w, "%c * %c has a new record", me, it);
        break;
    case GOSSIP_EV_FORGOTTEN:
        world_log(w, "%c * %c forgotten", me, it);
        break;
    case GOSSIP_EV_WANT_INCARNATION:
        world_log(w, "%c * wants incarnation %d", me, (int)e->number);
        break;
    case GOSSIP_EV_RECALLED:
        world_log(w, "%c * recalls incarnation %d", me, (int)e->number);
        break;
    case GOSSIP_EV_DOC_OFFERED:
        world_log(w, "%c * %c offers doc %d %d.%d", me, it, e->doc_kind, (int)e->doc_epoch,
                  (int)e->doc_version);
        break;
    case GOSSIP_EV_DOC_RECEIVED:
        world_log(w, "%c * received doc %d %d.%d from %c", me, e->doc_kind, (int)e->doc_epoch,
                  (int)e->doc_version, it);
        break;
    case GOSSIP_EV_EQUIVOCATION:
        world_log(w, "%c * %c signed two records", me, it);
        break;
    case GOSSIP_EV_MOVED:
        break;
    case GOSSIP_EV_JOINED:
        world_log(w, "%c * joined", me);
        break;
    case GOSSIP_EV_LEFT_SENT:
        world_log(w, "%c * left", me);
        break;
    }
}

static inline void world_doc_publish(struct world *w, int n, uint64_t version, const char *text)
{
    struct world_node *node = &w->node[n];
    node->doc_len = strlen(text);
    assert(node->doc_len <= WORLD_DOC_MAX);
    memcpy(node->doc, text, node->doc_len);
    node->doc_hash = world_hash(bytes_str(text));
    gossip_doc_set(node->g, 1, 1, version, &node->doc_hash, w->now + node->clock);
}

/* What an embedder does. */
static inline void world_on_event(struct world *w, int n, const struct gossip_event *e)
{
    struct world_node *node = &w->node[n];
    struct hash hash;
    switch (e->type) {
    case GOSSIP_EV_WANT_INCARNATION:
        node->incarnation = e->number;
        assert(world_publish(w, n, false) == ERR_OK);
        break;
    case GOSSIP_EV_RECALLED:
        node->incarnation = e->number > node->incarnation ? e->number : node->incarnation;
        node->incarnation += node->incarnation ? GOSSIP_START_LEAP : 1;
        assert(world_publish(w, n, false) == ERR_OK);
        break;
    case GOSSIP_EV_DOC_RECEIVED:
        hash = world_hash(e->doc);
        if (node->refuses_docs || !hash_eq(&hash, &e->doc_hash) || e->doc.len > WORLD_DOC_MAX)
            break;
        memcpy(node->doc, e->doc.at, e->doc.len);
        node->doc_len = e->doc.len;
        node->doc_hash = hash;
        gossip_doc_set(node->g, e->doc_kind, e->doc_epoch, e->doc_version, &hash, w->now + node->clock);
        break;
    case GOSSIP_EV_EQUIVOCATION:
        node->alarms++;
        break;
    case GOSSIP_EV_LEFT_SENT:
        node->is_left_sent = true;
        break;
    default:
        break;
    }
}

static inline void world_drain(struct world *w, int n)
{
    struct gossip *g = w->node[n].g;
    struct gossip_event e;
    struct gossip_packet p;
    while (gossip_poll_event(g, &e)) {
        if (w->show & WORLD_EVENTS)
            world_log_event(w, n, &e);
        world_on_event(w, n, &e);
    }
    while (gossip_poll_send(g, &p))
        world_sent(w, n, &p);
}

/* Creates the instance, publishes its record and tells it its seeds ("ab" = nodes a and b). */
static inline void world_start(struct world *w, int n, const char *seeds)
{
    struct world_node *node = &w->node[n];
    struct gossip_verify verify = {world_verify, world_document, node};
    struct gossip_config config = w->config;
    struct addr addr[WORLD_NODES];
    size_t count = strlen(seeds);
    config.self = node->id;
    config.seed = 1000 + (uint64_t)n;
    node->refuses = false;
    node->incarnation += node->incarnation ? GOSSIP_START_LEAP : 1;
    node->g = gossip_new(&config, &verify, w->now + node->clock);
    assert(node->g);
    assert(world_publish(w, n, false) == ERR_OK);
    for (size_t i = 0; i < count; i++)
        addr[i] = world_addr(seeds[i] - 'a');
    gossip_seeds_set(node->g, addr, count, w->now + node->clock);
    world_drain(w, n);
}

/* The same as an agent does it: with the records of these nodes from its store, all under incarnation 1, and by asking what the
 * others hold of it before it says anything. */
static inline void world_start_asking(struct world *w, int n, const char *seeds, const char *stored)
{
    struct world_node *node = &w->node[n];
    struct gossip_verify verify = {world_verify, world_document, node};
    struct gossip_config config = w->config;
    struct addr addr[WORLD_NODES];
    size_t count = strlen(seeds);
    config.self = node->id;
    config.seed = 1000 + (uint64_t)n;
    node->g = gossip_new(&config, &verify, w->now + node->clock);
    assert(node->g);
    for (const char *s = stored; *s; s++) {
        struct world_record r = {
            .id = world_id(*s - 'a'), .incarnation = 1, .version = 1, .addr = world_addr(*s - 'a')};
        uint8_t space[200];
        assert(gossip_member_load(node->g, world_record_encode(&r, space, sizeof space),
                                  w->now + node->clock) == ERR_OK);
    }
    gossip_recall(node->g, count > 0, w->now + node->clock);
    for (size_t i = 0; i < count; i++)
        addr[i] = world_addr(seeds[i] - 'a');
    if (count > 0)
        gossip_seeds_set(node->g, addr, count, w->now + node->clock);
    world_drain(w, n);
}

/* One rumor as a datagram, in the version of its layout. */
static inline struct bytes world_push_of(const struct rumor_item *i, uint8_t *space, size_t cap)
{
    struct wr w = wr_init(space, cap);
    datagram_encode(&w, &(struct datagram){.type = MSG_PUSH, .version = i->layout});
    rumor_item_encode(&w, i);
    assert(wr_ok(&w));
    return wr_done(&w);
}

/* `from` says it to `to`: it arrives after the delay, unless the path is cut. */
static inline void world_say(struct world *w, int from, int to, const struct rumor_item *i)
{
    uint8_t space[1200];
    world_put(w, from, to, GOSSIP_DATAGRAM, world_push_of(i, space, sizeof space), false);
}

/* `at` hears it from `from` at this moment, whatever the paths. */
static inline enum err world_hear(struct world *w, int at, int from, const struct rumor_item *i)
{
    uint8_t space[1200];
    struct addr via = world_addr(from);
    enum err e = gossip_receive(w->node[at].g, GOSSIP_DATAGRAM, &w->node[from].id, &via,
                                world_push_of(i, space, sizeof space), w->now);
    world_drain(w, at);
    return e;
}

static inline void world_stop(struct world *w, int n)
{
    gossip_free(w->node[n].g);
    w->node[n].g = NULL;
}

/* Its process dies, its host lives. */
static inline void world_kill(struct world *w, int n)
{
    world_stop(w, n);
    w->node[n].refuses = true;
}

static inline void world_hand_over(struct world *w, struct world_packet p)
{
    struct world_node *node = &w->node[p.is_failure ? p.from : p.to];
    if (node->g && p.is_failure) {
        struct node_id to;
        struct addr addr = world_addr(p.to);
        memcpy(&to, p.bytes, sizeof to);
        if (p.lane == GOSSIP_KNOCK)
            gossip_link_lost(node->g, &to, GOSSIP_LINK_REFUSED, w->now + node->clock);
        else
            gossip_bulk_failed(node->g, &to, &addr, w->now + node->clock);
        world_drain(w, p.from);
    } else if (node->g) {
        struct node_id from = w->node[p.from].id;
        struct addr via = world_addr(p.from);
        enum err e =
            gossip_receive(node->g, p.lane, &from, &via, bytes_of(p.bytes, p.len), w->now + node->clock);
        assert(e == ERR_OK);
        world_drain(w, p.to);
    }
    free(p.bytes);
}

static inline mono_ms world_deadline(const struct world *w, int n)
{
    mono_ms at = gossip_deadline(w->node[n].g);
    return at == NEVER ? NEVER : at - w->node[n].clock;
}

static inline bool world_step(struct world *w, mono_ms until)
{
    size_t first = w->packets;
    mono_ms at = until;
    int due = -1;
    for (size_t i = 0; i < w->packets; i++)
        if (w->packet[i].at <= at &&
            (first == w->packets || w->packet[i].at < at || w->packet[i].order < w->packet[first].order)) {
            at = w->packet[i].at;
            first = i;
        }
    for (int n = 0; n < WORLD_NODES; n++)
        if (w->node[n].g && world_deadline(w, n) < at) {
            at = world_deadline(w, n);
            due = n;
        }
    w->now = at > w->now ? at : w->now;
    if (due >= 0) {
        /* Twice, for what it does about an event may be due at once. */
        for (int i = 0; i < 2 && world_deadline(w, due) <= w->now; i++) {
            gossip_tick(w->node[due].g, w->now + w->node[due].clock);
            world_drain(w, due);
        }
        assert(world_deadline(w, due) > w->now); /* or a loop would spin */
        return true;
    }
    if (first == w->packets)
        return false;
    struct world_packet p = w->packet[first];
    w->packet[first] = w->packet[--w->packets];
    world_hand_over(w, p);
    return true;
}

static inline void world_run(struct world *w, mono_ms until)
{
    while (world_step(w, until)) {
    }
    w->now = until;
}

static inline void world_cut(struct world *w, const char *one, const char *other, bool is_cut)
{
    for (const char *a = one; *a; a++)
        for (const char *b = other; *b; b++)
            w->cut[*a - 'a'][*b - 'a'] = w->cut[*b - 'a'][*a - 'a'] = is_cut;
}

static inline void world_forget_log(struct world *w)
{
    w->log.len = 0;
}

static inline const char *world_state(struct world *w, int at, int of)
{
    struct gossip_member m;
    struct node_id id = world_id(of);
    return gossip_member_get(w->node[at].g, &id, &m) ? gossip_state_text(m.state) : "unknown";
}

#define EXPECT_TRACE(w, text) assert_string_equal(buf_str(&(w)->log), text)

/* Nodes a to the n-th, of which a is everybody's seed, at `until`; shown is what `show` says, from now on. */
static inline struct world *world_of(int n, mono_ms until, unsigned show)
{
    struct world *w = world_new(0);
    for (int i = 0; i < n; i++)
        world_start(w, i, i == 0 ? "" : "a");
    world_run(w, until);
    w->show = show;
    return w;
}

/* Node `from` says this record to node `at`. */
static inline enum err world_hear_record(struct world *w, int at, int from, const struct world_record *r)
{
    uint8_t space[1200];
    struct rumor_item i = {.type = RUMOR_RECORD, .record = world_record_encode(r, space, sizeof space)};
    return world_hear(w, at, from, &i);
}

/* What node `at` holds of node `of`, which it knows. */
static inline struct gossip_member world_member(struct world *w, int at, int of)
{
    struct gossip_member m;
    assert_true(gossip_member_get(w->node[at].g, &w->node[of].id, &m));
    return m;
}

#endif
