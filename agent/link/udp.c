/* Datagrams in and out, and the clock. Handshakes are in udp_handshake.c, peers and sessions in udp_peer.c.
 */
#include "link/udp.h"

#include <stdlib.h>

#include "link/udp_inner.h"

/* Datagrams and their queues. */

struct datagram *datagram_new(struct udp *u)
{
    struct datagram *d = TAILQ_FIRST(&u->spare);
    if (!d)
        return malloc(sizeof *d);
    TAILQ_REMOVE(&u->spare, d, link);
    u->spare_count--;
    return d;
}

void datagram_free(struct udp *u, struct datagram *d)
{
    if (!d)
        return;
    if (u->spare_count == UDP_SPARE_MAX) {
        free(d);
        return;
    }
    TAILQ_INSERT_HEAD(&u->spare, d, link);
    u->spare_count++;
}

void queue_put(struct udp *u, struct datagram_queue *q, struct datagram *d, unsigned max)
{
    if (q->count == max) {
        u->stats.drop_full++;
        datagram_free(u, d);
        return;
    }
    TAILQ_INSERT_TAIL(&q->list, d, link);
    q->count++;
}

static struct datagram *queue_take(struct datagram_queue *q)
{
    struct datagram *d = TAILQ_FIRST(&q->list);
    if (d) {
        TAILQ_REMOVE(&q->list, d, link);
        q->count--;
    }
    return d;
}

void queue_clear(struct udp *u, struct datagram_queue *q)
{
    struct datagram *d;
    while ((d = queue_take(q)))
        datagram_free(u, d);
}

/* The endpoint. */

struct udp *udp_new(const struct udp_setup *s, mono_ms now)
{
    uint64_t seed;
    assert(s->mesh.len <= 255);
    struct udp *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->mesh = s->mesh;
    u->verify = s->verify;
    u->version = s->version ? s->version : LINK_VERSION_NEWEST;
    u->timestamp = s->timestamp_floor;
    udp_keys_set(u, &(struct udp_keys){s->credential, s->noise_secret}, NULL);
    prim_random(u->hash_secret, sizeof u->hash_secret);
    prim_random(&seed, sizeof seed);
    u->rng = rng_seeded(seed);
    cookie_jar_init(&u->jar, now);
    rate_init(&u->rate, now);
    for (int i = 0; i < 2; i++)
        u->load[i] = (struct rate_total){now, UDP_LOAD_PER_S};
    u->next_tick = NEVER;
    TAILQ_INIT(&u->peers);
    TAILQ_INIT(&u->sessions);
    TAILQ_INIT(&u->half_open);
    TAILQ_INIT(&u->handshakes);
    TAILQ_INIT(&u->out.list);
    TAILQ_INIT(&u->in.list);
    TAILQ_INIT(&u->spare);
    return u;
}

void udp_free(struct udp *u)
{
    struct udp_peer *p;
    struct datagram *d;
    if (!u)
        return;
    while ((p = TAILQ_FIRST(&u->peers)))
        peer_free(u, p);
    queue_clear(u, &u->out);
    queue_clear(u, &u->in);
    free(u->out_lent);
    free(u->in_lent);
    while ((d = TAILQ_FIRST(&u->spare))) {
        TAILQ_REMOVE(&u->spare, d, link);
        free(d);
    }
    map_fini(&u->by_id);
    map_fini(&u->by_index);
    prim_wipe(u, sizeof *u);
    free(u);
}

static void own_set(struct udp_own *o, const struct udp_keys *k)
{
    o->credential = k->credential;
    memcpy(o->secret, k->noise_secret, sizeof o->secret);
    prim_dh_public(o->public_key, o->secret);
    cookie_keys_init(&o->cookie_keys, o->public_key);
}

void udp_keys_set(struct udp *u, const struct udp_keys *now, const struct udp_keys *before)
{
    prim_wipe(u->own, sizeof u->own);
    own_set(&u->own[0], now);
    if (before)
        own_set(&u->own[1], before);
    u->own_count = before ? 2 : 1;
}

bool own_key_is(const struct udp *u, const uint8_t noise_key[32])
{
    for (unsigned i = 0; i < u->own_count; i++)
        if (prim_equal(noise_key, u->own[i].public_key, 32))
            return true;
    return false;
}

const struct udp_own *own_of_mac1(const struct udp *u, struct bytes before,
                                  const uint8_t mac1[PRIM_MAC_BYTES])
{
    for (unsigned i = 0; i < u->own_count; i++)
        if (cookie_mac1_is_valid(&u->own[i].cookie_keys, before, mac1))
            return &u->own[i];
    return NULL;
}

uint64_t udp_timestamp(const struct udp *u)
{
    return u->timestamp;
}

const struct udp_stats *udp_stats(const struct udp *u)
{
    return &u->stats;
}

size_t udp_session_count(const struct udp *u, const struct node_id *peer)
{
    const struct udp_peer *p = peer_find((struct udp *)u, peer);
    return p ? (p->current != NULL) + (p->previous != NULL) : 0;
}

void udp_clocks_each(const struct udp *u,
                     void (*each)(void *arg, const struct node_id *peer, uint64_t clock_ms, mono_ms at),
                     void *arg)
{
    for (const struct udp_peer *p = TAILQ_FIRST(&u->peers); p; p = TAILQ_NEXT(p, link))
        if (p->clock_ms > 0)
            each(arg, &p->id, p->clock_ms, p->clock_at);
}

void udp_renew_all(struct udp *u, mono_ms now)
{
    u->renew_before = now;
}

/* Sending. */

enum err transport_send(struct udp *u, struct udp_peer *p, struct bytes payload)
{
    struct udp_session *s = p->current;
    struct datagram *d = datagram_new(u);
    if (!d)
        return ERR_NOMEM;
    struct wr w = wr_init(d->at, UDP_DATAGRAM_MAX);
    wr_be32(&w, (uint32_t)UDP_TRANSPORT << 24);
    wr_be32(&w, s->remote_index);
    wr_be64(&w, s->counter);
    wr_bytes(&w, payload.at, payload.len);
    enum err e = noise_seal_at(&s->tx, s->counter, d->at + UDP_TRANSPORT_HEAD, payload.len,
                               bytes_of(d->at, UDP_TRANSPORT_HEAD));
    if (e != ERR_OK) {
        datagram_free(u, d);
        return e;
    }
    s->counter++;
    d->addr = p->addr;
    d->len = UDP_OVERHEAD + payload.len;
    queue_put(u, &u->out, d, UDP_QUEUE_MAX);
    return ERR_OK;
}

void staged_send(struct udp *u, struct udp_peer *p)
{
    /* The responder sends nothing before it has heard from us under the new keys: an empty packet if there is
     * no other. */
    struct datagram *d = queue_take(&p->staged);
    enum err e = d ? ERR_OK : transport_send(u, p, bytes_of(NULL, 0));
    for (; d && e == ERR_OK; d = queue_take(&p->staged)) {
        e = transport_send(u, p, bytes_of(d->at, d->len));
        datagram_free(u, d);
    }
    if (e != ERR_OK)
        u->stats.drop_full++;
}

static enum err stage(struct udp *u, struct udp_peer *p, struct bytes payload)
{
    struct datagram *d = datagram_new(u);
    if (!d)
        return ERR_NOMEM;
    if (payload.len > 0)
        memcpy(d->at, payload.at, payload.len);
    d->len = payload.len;
    if (p->staged.count == UDP_STAGED_MAX) {
        datagram_free(u, queue_take(&p->staged));
        u->stats.drop_full++;
    }
    queue_put(u, &p->staged, d, UDP_STAGED_MAX);
    return ERR_OK;
}

/* Is it time for the next session? The initiator of this one makes it; if it has not, the responder does. */
static bool is_aging(const struct udp *u, const struct udp_session *s, mono_ms now)
{
    return s->born_at < u->renew_before ||
           now - s->born_at >= (mono_ms)(s->is_initiator ? UDP_REKEY_MS : UDP_REKEY_LATE_MS) ||
           s->counter >= UDP_REKEY_AFTER;
}

static void rekey_if_aging(struct udp *u, struct udp_peer *p, mono_ms now, uint64_t wall_ms)
{
    if (is_aging(u, p->current, now) && !p->handshake &&
        handshake_start(u, p, &p->addr, now, wall_ms) != ERR_OK)
        u->stats.drop_full++; /* the next packet tries again */
}

static enum err send_payload(struct udp *u, const struct link_to *to, struct bytes payload, bool is_question,
                             mono_ms now, uint64_t wall_ms)
{
    struct udp_peer *p;
    if (payload.len > UDP_PAYLOAD_MAX)
        return ERR_LIMIT;
    if (own_key_is(u, to->noise_key)) /* a point of small order is refused by the handshake */
        return ERR_INVALID;
    enum err e = peer_get(u, to->id, to->noise_key, &p);
    if (e != ERR_OK)
        return e;
    peer_key_set(p, to->noise_key);
    p->cipher = (uint8_t)to->cipher;
    p->version = to->version ? to->version : LINK_VERSION_OLDEST;
    bool is_usable = session_is_usable(p->current, now);
    bool is_doubtful = p->unanswered_at != NEVER && now - p->unanswered_at >= UDP_DOUBT_MS;
    if (is_usable) {
        rekey_if_aging(u, p, now, wall_ms);
        if (is_question)
            p->unanswered_at = mono_min(p->unanswered_at, now);
        e = transport_send(u, p, payload);
    }
    if (e != ERR_OK || (is_usable && !is_doubtful))
        return e;
    /* No session, or one that the peer seems to have forgotten: its record says where it is now. */
    e = handshake_start(u, p, to->addr, now, wall_ms);
    return e == ERR_OK ? stage(u, p, payload) : e;
}

enum err udp_send(struct udp *u, const struct link_to *to, struct bytes payload, mono_ms now,
                  uint64_t wall_ms)
{
    return send_payload(u, to, payload, true, now, wall_ms);
}

enum err udp_tell(struct udp *u, const struct link_to *to, struct bytes payload, mono_ms now,
                  uint64_t wall_ms)
{
    return send_payload(u, to, payload, false, now, wall_ms);
}

void udp_doubt(struct udp *u, const struct node_id *peer, mono_ms now)
{
    struct udp_peer *p = peer_find(u, peer);
    if (p && p->current)
        p->unanswered_at = mono_min(p->unanswered_at, now > UDP_DOUBT_MS ? now - UDP_DOUBT_MS : 0);
}

void udp_give_up(struct udp *u, const struct node_id *peer)
{
    struct udp_peer *p = peer_find(u, peer);
    if (p)
        handshake_give_up(u, p);
}

static void forget_queued(struct udp *u, struct datagram_queue *q, const struct node_id *peer)
{
    struct datagram *d, *next;
    for (d = TAILQ_FIRST(&q->list); d; d = next) {
        next = TAILQ_NEXT(d, link);
        if (!node_id_eq(&d->peer, peer))
            continue;
        TAILQ_REMOVE(&q->list, d, link);
        q->count--;
        datagram_free(u, d);
    }
}

void udp_forget(struct udp *u, const struct node_id *peer)
{
    struct udp_peer *p = peer_find(u, peer);
    if (p)
        peer_free(u, p);
    forget_queued(u, &u->in, peer);
}

void udp_retain(struct udp *u, bool (*keep)(void *arg, const struct node_id *peer), void *arg)
{
    struct udp_peer *p, *next;
    for (p = TAILQ_FIRST(&u->peers); p; p = next) {
        next = TAILQ_NEXT(p, link);
        struct node_id id = p->id;
        if (!keep(arg, &id))
            udp_forget(u, &id);
    }
}

/* Receiving. */

static void payload_put(struct udp *u, const struct udp_peer *p, const struct addr *from,
                        struct bytes payload)
{
    struct datagram *d = payload.len > 0 ? datagram_new(u) : NULL;
    if (!d)
        return;
    d->peer = p->id;
    d->addr = *from;
    d->len = payload.len;
    memcpy(d->at, payload.at, payload.len);
    queue_put(u, &u->in, d, UDP_QUEUE_MAX);
}

/* What an authentic packet that was not seen before changes: a new session proves itself, the peer roams. */
static void transport_accepted(struct udp *u, struct udp_peer *p, struct udp_session *s,
                               const struct addr *from, bool is_newest, mono_ms now)
{
    p->unanswered_at = NEVER;
    if (s == p->next || s == p->former) {
        session_promote(u, p, s, now);
        handshake_end(u, p);
        wake_at(u, now + UDP_SESSION_MS);
        u->stats.handshakes_done++;
        p->addr = *from;
        if (p->staged.count > 0)
            staged_send(u, p);
    } else if (s == p->current && is_newest) {
        p->addr = *from; /* an older packet may have been held back and sent on by anybody: N31 */
    }
}

static void transport_receive(struct udp *u, const struct addr *from, uint8_t *in, size_t len, mono_ms now,
                              uint64_t wall_ms)
{
    size_t plain;
    if (len < UDP_OVERHEAD || load_be32(in) != (uint32_t)UDP_TRANSPORT << 24) {
        u->stats.drop_malformed++;
        return;
    }
    struct udp_index *index = index_find(u, load_be32(in + 4));
    struct udp_session *s = index && index->kind == INDEX_SESSION ? (struct udp_session *)index : NULL;
    if (!s || now - s->born_at >= UDP_SESSION_MS) {
        u->stats.drop_index++;
        return;
    }
    uint64_t counter = load_be64(in + 8);
    /* AEAD first, then the counter: a forged one must not move the window (N22). */
    if (counter >= UDP_REJECT_AFTER ||
        noise_open_at(&s->rx, counter, in + UDP_TRANSPORT_HEAD, len - UDP_TRANSPORT_HEAD,
                      bytes_of(in, UDP_TRANSPORT_HEAD), &plain) != ERR_OK) {
        u->stats.drop_auth++;
        return;
    }
    if (!replay_accept(&s->replay, counter)) {
        u->stats.drop_replay++;
        return;
    }
    struct udp_peer *p = index->peer;
    transport_accepted(u, p, s, from, replay_is_newest(&s->replay, counter), now);
    payload_put(u, p, from, bytes_of(in + UDP_TRANSPORT_HEAD, plain));
    if (s == p->current && s->is_initiator)
        rekey_if_aging(u, p, now, wall_ms);
}

void udp_receive(struct udp *u, const struct addr *from, uint8_t *in, size_t len, mono_ms now,
                 uint64_t wall_ms)
{
    u->stats.packets_in++;
    u->stats.bytes_in += len;
    if (len < UDP_OVERHEAD) {
        u->stats.drop_malformed++;
        return;
    }
    switch (in[0]) {
    case UDP_INITIATION:
        initiation_receive(u, from, bytes_of(in, len), now, wall_ms);
        break;
    case UDP_RESPONSE:
        response_receive(u, from, bytes_of(in, len), now);
        break;
    case UDP_COOKIE:
        cookie_receive(u, bytes_of(in, len), now, wall_ms);
        break;
    case UDP_TRANSPORT:
        transport_receive(u, from, in, len, now, wall_ms);
        break;
    default:
        u->stats.drop_malformed++;
    }
}

bool udp_poll_send(struct udp *u, struct addr *to, struct bytes *datagram)
{
    datagram_free(u, u->out_lent);
    struct datagram *d = u->out_lent = queue_take(&u->out);
    if (!d)
        return false;
    *to = d->addr;
    *datagram = bytes_of(d->at, d->len);
    u->stats.packets_out++;
    u->stats.bytes_out += d->len;
    return true;
}

bool udp_poll_packet(struct udp *u, struct node_id *from, struct addr *via, struct bytes *payload)
{
    datagram_free(u, u->in_lent);
    struct datagram *d = u->in_lent = queue_take(&u->in);
    if (!d)
        return false;
    *from = d->peer;
    *via = d->addr;
    *payload = bytes_of(d->at, d->len);
    return true;
}

/* Time. The deadline is never later than what is due, and may be earlier: a tick for nothing is harmless. */

void wake_at(struct udp *u, mono_ms at)
{
    u->next_tick = mono_min(u->next_tick, at);
}

mono_ms udp_deadline(const struct udp *u)
{
    return u->next_tick;
}

static void expire(struct udp *u, struct session_list *list, mono_ms life, mono_ms now)
{
    struct udp_session *s;
    while ((s = TAILQ_FIRST(list)) && now - s->born_at >= life)
        session_free(u, session_place(s));
    if (s)
        wake_at(u, s->born_at + life);
}

static void retry_handshakes(struct udp *u, mono_ms now, uint64_t wall_ms)
{
    struct udp_handshake *hs, *next;
    for (hs = TAILQ_FIRST(&u->handshakes); hs; hs = next) {
        next = TAILQ_NEXT(hs, link);
        if (hs->retry_at <= now)
            handshake_retry(u, hs->peer, now, wall_ms);
        else
            wake_at(u, hs->retry_at);
    }
}

void udp_tick(struct udp *u, mono_ms now, uint64_t wall_ms)
{
    if (now < u->next_tick)
        return;
    u->next_tick = NEVER;
    expire(u, &u->sessions, UDP_SESSION_MS, now);
    expire(u, &u->half_open, UDP_GIVE_UP_MS, now);
    retry_handshakes(u, now, wall_ms);
}
