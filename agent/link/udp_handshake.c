/* Initiations, responses and cookies. The order of checks is the order of their cost: mac1, cookie, rate, DH,
 * signature. What does not pass leaves no trace but a counter: noise is read on a copy, a peer is touched
 * after the last check. */
#include <stdlib.h>

#include "link/udp_inner.h"

enum {
    NOISE_AT = 8,                                        /* in an initiation; in a response 12 */
    MAC1_AT = UDP_INITIATION_BYTES - 2 * PRIM_MAC_BYTES, /* in an initiation */
    INITIATION_PAYLOAD = MAC1_AT - NOISE_AT - (32 + 48 + NOISE_TAG_BYTES),
    PROLOGUE_MAX = 16 + 255,
    CLOCK_ATTEMPTS =
        8, /* by the clock, before what was only reserved is touched: 24 s or more, as a busy host may not answer for seconds */
};
static_assert(INITIATION_PAYLOAD == 18 + UDP_CREDENTIAL_MAX, "the credential's room is what is left");
static_assert(UDP_RESPONSE_MIN + 8 + UDP_CREDENTIAL_MAX <= UDP_INITIATION_BYTES,
              "no answer is longer than what it answers (D7)");

/* How both ends of a handshake speak. */
struct manner {
    enum noise_cipher cipher;
    uint8_t version;
};

/* "starling" | u8 version | "udp" | u8 cipher | u8 length | mesh name. Another mesh, an edited version or cipher fail at the
 * first AEAD (N9, N28). */
static struct bytes prologue(const struct udp *u, struct manner m, uint8_t space[PROLOGUE_MAX])
{
    struct wr w = wr_init(space, PROLOGUE_MAX);
    wr_bytes(&w, "starling", 8);
    wr_u8(&w, m.version);
    wr_bytes(&w, "udp", 3);
    wr_u8(&w, (uint8_t)m.cipher);
    wr_u8(&w, (uint8_t)u->mesh.len);
    wr_bytes(&w, u->mesh.at, u->mesh.len);
    assert(wr_ok(&w));
    return wr_done(&w);
}

static enum err noise_begin(struct udp *u, struct noise_handshake *hs, const struct udp_own *own,
                            struct manner m, const uint8_t *remote_key)
{
    uint8_t space[PROLOGUE_MAX];
    struct noise_setup setup = {
        .pattern = &noise_ik,
        .cipher = m.cipher,
        .initiator = remote_key != NULL,
        .prologue = prologue(u, m, space),
        .s_sec = own->secret,
        .s_pub = own->public_key,
        .rs = remote_key,
    };
    return noise_handshake_init(hs, &setup);
}

/* Initiator. */

/* Of a time when a clock was fast: so far ahead of ours that nobody believes it. What was said and heard then counts no more, or hosts
 * whose clocks were set right would not meet again until then. */
static bool is_of_fast_clock(uint64_t timestamp, uint64_t wall_ms)
{
    return timestamp > wall_ms + UDP_CLOCK_AHEAD_MS;
}

/* The least that is newer than `used` and not before our clock. */
static uint64_t above(uint64_t used, uint64_t wall_ms)
{
    return used < wall_ms || is_of_fast_clock(used, wall_ms) ? wall_ms : used + 1;
}

/* Strictly rising, whatever the clock does (N30); the caller persists it. Where the clock and what we remember lie apart, one of
 * them is wrong, or we were off for long, or remember what was only reserved, and we cannot know which: a clock that is fast now
 * nobody believes (N29), nor a memory of a time when it was; what is slow is older than what they have had of us. So attempts take
 * turns, first with what was answered last. After a start that is what is older, and what lies ahead of the clock as our reserve does is
 * touched only after some attempts in vain: who began there would be newer, for as long, than another that runs with this identity,
 * which could then not even be told of (G33). */
static uint64_t initiation_timestamp(struct udp *u, const struct udp_peer *p, uint64_t wall_ms,
                                     unsigned attempt)
{
    bool agree = wall_ms <= u->timestamp + UDP_CLOCK_AHEAD_MS && u->timestamp <= wall_ms + UDP_CLOCK_NEAR_MS;
    bool is_reserved =
        !u->goes_by_memory && u->timestamp > wall_ms && u->timestamp <= wall_ms + UDP_CLOCK_AHEAD_MS;
    bool is_memory_first = u->is_answered ? u->goes_by_memory : u->timestamp > 0 && u->timestamp < wall_ms;
    uint64_t least = above(p->told, wall_ms), by_clock = above(u->timestamp_by_clock, wall_ms);
    if (!agree && (attempt % 2 == is_memory_first || (is_reserved && attempt < CLOCK_ATTEMPTS))) {
        u->timestamp_by_clock = least > by_clock ? least : by_clock;
        return u->timestamp_by_clock;
    }
    u->timestamp = agree && least > u->timestamp ? least : u->timestamp + 1;
    return u->timestamp;
}

/* Only what a peer believed is worth remembering. */
static void timestamp_answered(struct udp *u, struct udp_peer *p, uint64_t timestamp)
{
    bool is_by_clock = timestamp == u->timestamp_by_clock;
    u->is_answered = true;
    u->goes_by_memory = !is_by_clock && timestamp <= u->timestamp;
    if (is_by_clock)
        u->timestamp = timestamp;
    p->told = timestamp;
}

static void initiation_payload(struct udp *u, uint8_t out[INITIATION_PAYLOAD],
                               const struct udp_attempt *attempt, uint64_t wall_ms)
{
    struct wr w = wr_init(out, INITIATION_PAYLOAD);
    memset(out, 0, INITIATION_PAYLOAD);
    wr_be64(&w, attempt->timestamp);
    if (attempt->version >= 2)
        wr_be64(&w, wall_ms);
    wr_lv16(&w, u->own[0].credential);
    assert(wr_ok(&w));
}

static void initiation_macs(struct udp_peer *p, uint8_t *at, mono_ms now)
{
    cookie_mac1(at + MAC1_AT, &p->cookie_keys, bytes_of(at, MAC1_AT));
    memset(at + MAC1_AT + PRIM_MAC_BYTES, 0, PRIM_MAC_BYTES);
    if (cookie_is_usable(&p->cookie, now))
        cookie_mac2(at + MAC1_AT + PRIM_MAC_BYTES, p->cookie.cookie, bytes_of(at, MAC1_AT + PRIM_MAC_BYTES));
    memcpy(p->cookie.mac1, at + MAC1_AT, PRIM_MAC_BYTES);
    p->cookie.has_mac1 = true;
}

static void attempt_end(struct udp *u, struct udp_attempt *a)
{
    if (a->index.peer)
        map_remove(&u->by_index, &a->index.node);
    prim_wipe(a, sizeof *a);
}

/* The next, in place of the oldest. NULL: no memory. */
static struct udp_attempt *attempt_begin(struct udp *u, struct udp_peer *p)
{
    struct udp_attempt *a = &p->handshake->tried[p->handshake->attempt % UDP_ATTEMPTS_KEPT];
    attempt_end(u, a);
    if (index_add(u, &a->index, INDEX_ATTEMPT, p, index_random(u)) == ERR_OK)
        return a;
    a->index.peer = NULL;
    return NULL;
}

static enum err initiation_write(struct udp *u, struct udp_peer *p, uint8_t at[UDP_INITIATION_BYTES],
                                 mono_ms now, uint64_t wall_ms)
{
    struct udp_handshake *hs = p->handshake;
    uint8_t payload[INITIATION_PAYLOAD];
    size_t len;
    struct wr w = wr_init(at, UDP_INITIATION_BYTES);
    struct udp_attempt *attempt = attempt_begin(u, p);
    if (!attempt)
        return ERR_NOMEM;
    attempt->version = p->version; /* what its newest record says, also while we repeat */
    wr_u8(&w, UDP_INITIATION);
    wr_u8(&w, hs->cipher);
    wr_u8(&w, (uint8_t)(attempt->version - 1));
    wr_u8(&w, 0);
    wr_be32(&w, attempt->index.node.key);
    struct manner manner = {(enum noise_cipher)hs->cipher, attempt->version};
    enum err e = noise_begin(u, &attempt->noise, &u->own[0], manner, p->noise_key);
    if (e != ERR_OK)
        return e;
    attempt->sent_at = now;
    attempt->timestamp = initiation_timestamp(u, p, wall_ms, hs->attempt);
    initiation_payload(u, payload, attempt, wall_ms);
    e = noise_handshake_write(&attempt->noise, bytes_of(payload, sizeof payload), at + NOISE_AT,
                              MAC1_AT - NOISE_AT, &len);
    assert(e != ERR_OK || len == MAC1_AT - NOISE_AT);
    initiation_macs(p, at, now);
    return e;
}

/* How long the first initiation waits for its answer: as TCP's first retransmission (RFC 6298), by how long answers took lately.
 * Peers differ, but what makes many of them slow is what they share: a machine on which hundreds start at once. To repeat what will be
 * answered costs both ends most of a handshake, of what is short just then. */
static uint32_t first_wait_ms(const struct udp *u)
{
    uint32_t ms = rtt_timeout_ms(u->answer_8ths, u->answer_var_4ths);
    return ms < UDP_RETRY_FIRST_MS ? UDP_RETRY_FIRST_MS : ms < UDP_RETRY_SLOW_MS ? ms : UDP_RETRY_SLOW_MS;
}

static uint32_t wait_ms(const struct udp *u, unsigned attempt)
{
    uint32_t ms = attempt < 5 ? first_wait_ms(u) << attempt : UDP_RETRY_MAX_MS;
    return ms < UDP_RETRY_MAX_MS ? ms : UDP_RETRY_MAX_MS;
}

static enum err initiation_send(struct udp *u, struct udp_peer *p, mono_ms now, uint64_t wall_ms)
{
    struct udp_handshake *hs = p->handshake;
    struct datagram *d = datagram_new(u);
    enum err e = d ? initiation_write(u, p, d->at, now, wall_ms) : ERR_NOMEM;
    if (e != ERR_OK) {
        datagram_free(u, d);
        return e;
    }
    d->addr = hs->addr;
    d->len = UDP_INITIATION_BYTES;
    queue_put(u, &u->out, d, UDP_QUEUE_MAX);
    uint32_t wait = wait_ms(u, hs->attempt++);
    hs->retry_at = now + wait + rng_below(&u->rng, wait / 3);
    wake_at(u, hs->retry_at);
    return ERR_OK;
}

enum err handshake_start(struct udp *u, struct udp_peer *p, const struct addr *to, mono_ms now,
                         uint64_t wall_ms)
{
    if (p->handshake) {
        p->handshake->addr = *to; /* the caller's word is newer */
        return ERR_OK;
    }
    if (u->own[0].credential.len > UDP_CREDENTIAL_MAX)
        return ERR_LIMIT;
    struct udp_handshake *hs = aligned_alloc(_Alignof(struct udp_handshake), sizeof *hs);
    if (!hs)
        return ERR_NOMEM;
    memset(hs, 0, sizeof *hs);
    hs->peer = p;
    hs->addr = *to;
    hs->started_at = now;
    hs->cipher = noise_cipher_is_available((enum noise_cipher)p->cipher) ? p->cipher : NOISE_CHACHAPOLY;
    p->handshake = hs;
    TAILQ_INSERT_TAIL(&u->handshakes, hs, link);
    enum err e = initiation_send(u, p, now, wall_ms);
    if (e != ERR_OK)
        handshake_end(u, p);
    else
        u->stats.handshakes_started++;
    return e;
}

void handshake_retry(struct udp *u, struct udp_peer *p, mono_ms now, uint64_t wall_ms)
{
    bool over = now - p->handshake->started_at >= UDP_GIVE_UP_MS;
    if (!over && u->own[0].credential.len <= UDP_CREDENTIAL_MAX &&
        initiation_send(u, p, now, wall_ms) == ERR_OK)
        return;
    handshake_give_up(u, p);
}

void handshake_give_up(struct udp *u, struct udp_peer *p)
{
    u->stats.handshakes_given_up += p->handshake != NULL;
    handshake_end(u, p);
    queue_clear(u, &p->staged);
}

void handshake_end(struct udp *u, struct udp_peer *p)
{
    struct udp_handshake *hs = p->handshake;
    if (!hs)
        return;
    TAILQ_REMOVE(&u->handshakes, hs, link);
    for (unsigned i = 0; i < UDP_ATTEMPTS_KEPT; i++)
        attempt_end(u, &hs->tried[i]);
    prim_wipe(hs, sizeof *hs);
    free(hs);
    p->handshake = NULL;
}

/* Responder. */

struct initiation { /* what an authentic one says */
    uint32_t sender;
    uint64_t timestamp, clock_ms; /* the clock: 0, it does not say (version 1) */
    struct node_id id;
    uint8_t noise_key[32];
    struct manner manner;
};

static void cookie_send(struct udp *u, const struct udp_own *own, const struct addr *to, struct bytes in,
                        mono_ms now)
{
    struct datagram *d = datagram_new(u);
    uint8_t cookie[COOKIE_BYTES];
    if (!d)
        return;
    d->addr = *to;
    d->len = UDP_COOKIE_BYTES;
    memset(d->at, 0, 4);
    d->at[0] = UDP_COOKIE;
    memcpy(d->at + 4, in.at + 4, 4); /* its sender is our receiver */
    prim_random(d->at + 8, PRIM_XNONCE_BYTES);
    cookie_make(&u->jar, cookie, to, now);
    cookie_seal(d->at + 8 + PRIM_XNONCE_BYTES, &own->cookie_keys, d->at + 8, cookie, in.at + MAC1_AT);
    queue_put(u, &u->out, d, UDP_QUEUE_MAX);
    u->stats.cookies_sent++;
}

/* Whether we do public-key work for it, and under which of our keys; NULL: no. A source that has not shown that it receives where it sends from may
 * be anybody: over the rates, of one source or of all together, it is asked to show it, never shut out, or
 * whoever forges its address could shut it out. One that has is held to its own rate. */
static const struct udp_own *gate(struct udp *u, const struct addr *from, struct bytes in, mono_ms now)
{
    const uint8_t *mac1 = in.at + MAC1_AT, *mac2 = mac1 + PRIM_MAC_BYTES;
    const struct udp_own *own = own_of_mac1(u, bytes_of(in.at, MAC1_AT), mac1);
    if (!own) {
        u->stats.drop_mac1++;
        return NULL;
    }
    bool is_proven =
        !prim_is_zero(mac2, PRIM_MAC_BYTES) &&
        cookie_mac2_is_valid(&u->jar, from, bytes_of(in.at, MAC1_AT + PRIM_MAC_BYTES), mac2, now);
    if (rate_allow(&u->rate, from, is_proven, now) &&
        rate_total_allow(&u->load[is_proven], UDP_LOAD_PER_S, now))
        return own;
    if (is_proven) {
        u->stats.drop_rate++;
        return NULL;
    }
    u->stats.drop_cookie++;
    cookie_send(u, own, from, in, now);
    return NULL;
}

/* Reads the Noise message and what it carries. False: dropped and counted. */
static bool initiation_open(struct udp *u, const struct udp_own *own, struct noise_handshake *hs,
                            struct bytes in, struct initiation *out, uint64_t wall_ms)
{
    uint8_t payload[UDP_INITIATION_BYTES];
    size_t len;
    out->manner = (struct manner){(enum noise_cipher)in.at[1], (uint8_t)(in.at[2] + 1)};
    out->sender = load_be32(in.at + 4);
    if (noise_begin(u, hs, own, out->manner, NULL) != ERR_OK ||
        noise_handshake_read(hs, bytes_of(in.at + NOISE_AT, MAC1_AT - NOISE_AT), payload, sizeof payload,
                             &len) != ERR_OK ||
        own_key_is(u, hs->rs)) { /* our own, sent back to us (N16) */
        u->stats.drop_handshake++;
        return false;
    }
    struct rd r = rd_init(bytes_of(payload, len));
    out->timestamp = rd_be64(&r);
    out->clock_ms = out->manner.version >= 2 ? rd_be64(&r) : 0;
    struct bytes credential = rd_lv16(&r);
    /* Too far ahead would lock its owner out until then, once its clock is right again (CVE-2021-46873). */
    if (!rd_ok(&r) || is_of_fast_clock(out->timestamp, wall_ms)) {
        u->stats.drop_handshake++;
        return false;
    }
    memcpy(out->noise_key, hs->rs, 32);
    if (u->verify.credential(u->verify.arg, credential, out->noise_key, &out->id) != ERR_OK) {
        u->stats.drop_credential++;
        return false;
    }
    return true;
}

/* Both sides initiated at once: the initiation of the side with the smaller key stands, the other's is not
 * answered, so that one session comes of it and not two (N17). Only while ours is young: it may be lost, or
 * sent to where nobody is. Nor is one answered that crossed the session ours has just made. */
static bool ours_stands(const struct udp *u, const struct udp_peer *p, const struct initiation *init,
                        mono_ms now)
{
    const struct udp_session *s = p->current;
    if (s && s->is_initiator && now - s->born_at < UDP_CROSSING_MS)
        return true;
    return p->handshake && p->handshake->attempt == 1 &&
           memcmp(u->own[0].public_key, init->noise_key, 32) < 0;
}

static bool is_acceptable(struct udp *u, const struct udp_peer *p, const struct initiation *init, mono_ms now,
                          uint64_t wall_ms)
{
    if (init->timestamp <= p->timestamp && !is_of_fast_clock(p->timestamp, wall_ms)) {
        u->stats.drop_replay++;
        return false;
    }
    if (p->timestamp > 0 && now - p->initiated_at < UDP_INITIATION_GAP_MS) {
        u->stats.drop_rate++;
        return false;
    }
    if (ours_stands(u, p, init, now)) {
        u->stats.drop_crossed++;
        return false;
    }
    return true;
}

/* What the responder sends with its Noise message. ERR_LIMIT: its credential is too long. */
static enum err response_payload(struct wr *w, const struct udp_own *own, uint8_t version, uint64_t wall_ms)
{
    if (own->credential.len > UDP_CREDENTIAL_MAX)
        return ERR_LIMIT;
    if (version >= 2)
        wr_be64(w, wall_ms);
    wr_bytes(w, own->credential.at, own->credential.len);
    return ERR_OK;
}

static enum err response_write(struct udp *u, const struct udp_own *own, struct udp_peer *p,
                               struct noise_handshake *hs, const struct initiation *init, struct datagram *d,
                               mono_ms now, uint64_t wall_ms)
{
    size_t len;
    uint8_t *noise = d->at + 12, payload[8 + UDP_CREDENTIAL_MAX];
    struct wr w = wr_init(payload, sizeof payload);
    enum err e = response_payload(&w, own, init->manner.version, wall_ms);
    if (e == ERR_OK)
        e = noise_handshake_write(hs, wr_done(&w), noise, UDP_INITIATION_BYTES - 12 - PRIM_MAC_BYTES, &len);
    if (e != ERR_OK)
        return e;
    struct udp_session *s = session_new(u, p, hs, index_random(u), init->sender, now);
    if (!s)
        return ERR_NOMEM;
    s->clock_ms = init->clock_ms;
    s->clock_at = now;
    session_install_theirs(u, p, s);
    wake_at(u, now + UDP_GIVE_UP_MS);
    memset(d->at, 0, 4);
    d->at[0] = UDP_RESPONSE;
    store_be32(d->at + 4, s->index.node.key);
    store_be32(d->at + 8, init->sender);
    cookie_mac1(noise + len, &p->cookie_keys, bytes_of(d->at, 12 + len));
    d->len = 12 + len + PRIM_MAC_BYTES;
    return ERR_OK;
}

static void initiation_answer(struct udp *u, const struct udp_own *own, const struct addr *to,
                              struct noise_handshake *hs, const struct initiation *init, mono_ms now,
                              uint64_t wall_ms)
{
    struct udp_peer *p;
    struct datagram *d = datagram_new(u);
    if (!d || peer_get(u, &init->id, init->noise_key, &p) != ERR_OK) {
        datagram_free(u, d);
        u->stats.drop_full++;
        return;
    }
    bool is_good = is_acceptable(u, p, init, now, wall_ms);
    if (is_good)
        peer_key_set(p, init->noise_key);
    if (!is_good || response_write(u, own, p, hs, init, d, now, wall_ms) != ERR_OK) {
        datagram_free(u, d);
        return;
    }
    p->timestamp = init->timestamp;
    p->initiated_at = now;
    d->addr = *to;
    queue_put(u, &u->out, d, UDP_QUEUE_MAX);
}

void initiation_receive(struct udp *u, const struct addr *from, struct bytes in, mono_ms now,
                        uint64_t wall_ms)
{
    struct noise_handshake hs;
    struct initiation init;
    if (in.len != UDP_INITIATION_BYTES || in.at[1] > NOISE_AESGCM || in.at[2] >= u->version || in.at[3]) {
        u->stats.drop_malformed++;
        return;
    }
    const struct udp_own *own = gate(u, from, in, now);
    if (!own)
        return;
    memset(&hs, 0, sizeof hs);
    if (initiation_open(u, own, &hs, in, &init, wall_ms))
        initiation_answer(u, own, from, &hs, &init, now, wall_ms);
    noise_handshake_fini(&hs);
}

/* Initiator again. */

/* *trial: a copy of the attempt that it names, so that a forged response does not end the real one. */
static bool response_open(struct udp *u, const struct udp_peer *p, struct udp_attempt *trial,
                          struct bytes noise, uint64_t *clock_ms)
{
    uint8_t payload[UDP_INITIATION_BYTES];
    size_t len = 0;
    struct node_id id;
    if (noise_handshake_read(&trial->noise, noise, payload, sizeof payload, &len) != ERR_OK) {
        u->stats.drop_handshake++;
        return false;
    }
    struct rd r = rd_init(bytes_of(payload, len));
    *clock_ms = trial->version >= 2 ? rd_be64(&r) : 0;
    struct bytes credential = rd_bytes(&r, rd_left(&r));
    if (!rd_done(&r) || u->verify.credential(u->verify.arg, credential, trial->noise.rs, &id) != ERR_OK ||
        !node_id_eq(&id, &p->id)) {
        u->stats.drop_credential++;
        return false;
    }
    return true;
}

void clock_take(struct udp_peer *p, const struct udp_session *s, mono_ms waited)
{
    if (s->clock_ms == 0 || waited > UDP_CLOCK_WAIT_MS)
        return;
    p->clock_ms = s->clock_ms;
    p->clock_at = s->clock_at;
}

/* `trial`: a copy of the attempt that it answers. */
static void response_accept(struct udp *u, struct udp_peer *p, struct udp_attempt *trial,
                            const struct addr *from, uint32_t sender, uint64_t clock_ms, mono_ms now)
{
    uint32_t index = trial->index.node.key; /* the session inherits the name that the peer has learnt */
    timestamp_answered(u, p, trial->timestamp);
    rtt_sample(&u->answer_8ths, &u->answer_var_4ths, now - trial->sent_at);
    handshake_end(u, p);
    struct udp_session *s = session_new(u, p, &trial->noise, index, sender, now);
    if (!s) {
        u->stats.drop_full++; /* the next udp_send() starts anew */
        return;
    }
    s->clock_ms = clock_ms;
    s->clock_at = now;
    clock_take(p, s, now - trial->sent_at);
    session_install_ours(u, p, s, now);
    wake_at(u, now + UDP_SESSION_MS);
    p->addr = *from;
    p->unanswered_at = NEVER;
    u->stats.handshakes_done++;
    staged_send(u, p);
}

void response_receive(struct udp *u, const struct addr *from, struct bytes in, mono_ms now)
{
    if (in.len < UDP_RESPONSE_MIN || in.len > UDP_INITIATION_BYTES || in.at[1] || load_be16(in.at + 2)) {
        u->stats.drop_malformed++;
        return;
    }
    size_t mac1_at = in.len - PRIM_MAC_BYTES;
    if (!own_of_mac1(u, bytes_of(in.at, mac1_at), in.at + mac1_at)) {
        u->stats.drop_mac1++;
        return;
    }
    struct udp_index *index = index_find(u, load_be32(in.at + 8));
    if (!index || index->kind != INDEX_ATTEMPT) {
        u->stats.drop_index++;
        return;
    }
    struct udp_peer *p = index->peer;
    struct udp_attempt trial = *(const struct udp_attempt *)index;
    uint64_t clock_ms;
    if (response_open(u, p, &trial, bytes_of(in.at + 12, mac1_at - 12), &clock_ms))
        response_accept(u, p, &trial, from, load_be32(in.at + 4), clock_ms, now);
    noise_handshake_fini(&trial.noise);
}

void cookie_receive(struct udp *u, struct bytes in, mono_ms now, uint64_t wall_ms)
{
    if (in.len != UDP_COOKIE_BYTES || in.at[1] || load_be16(in.at + 2)) {
        u->stats.drop_malformed++;
        return;
    }
    struct udp_index *index = index_find(u, load_be32(in.at + 4));
    if (!index || index->kind != INDEX_ATTEMPT) {
        u->stats.drop_index++;
        return;
    }
    struct udp_peer *p = index->peer;
    if (cookie_consume(&p->cookie, &p->cookie_keys, in.at + 8, in.at + 8 + PRIM_XNONCE_BYTES, now) !=
        ERR_OK) {
        u->stats.drop_cookie++;
        return;
    }
    if (p->handshake->has_used_cookie)
        return; /* at its next turn */
    p->handshake->has_used_cookie = true;
    handshake_retry(u, p, now, wall_ms);
}
