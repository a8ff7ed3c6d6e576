/* Who is known, and which session is which.
 *
 *   we initiated:  a response makes a session that is current at once; what was next (or else what was
 *                  current) becomes previous
 *   we responded:  an initiation makes one that is next (half-open); its first authentic packet makes it
 *                  current, and what was current becomes previous. Another initiation before that makes what was
 *                  next the former, and further ones replace the next: whichever its initiator speaks under becomes current, and the other ends */
#include <stdlib.h>

#include "link/udp_inner.h"

static uint32_t id_hash(const struct udp *u, const struct node_id *id)
{
    uint8_t mac[PRIM_MAC_BYTES];
    prim_mac(mac, u->hash_secret, bytes_of(id->b, sizeof id->b), bytes_of(NULL, 0));
    return load_be32(mac);
}

struct udp_peer *peer_find(struct udp *u, const struct node_id *id)
{
    uint32_t key = id_hash(u, id);
    for (struct map_node *n = map_find(&u->by_id, key); n; n = map_next(n->next, key)) {
        struct udp_peer *p = (struct udp_peer *)n;
        if (node_id_eq(&p->id, id)) {
            TAILQ_REMOVE(&u->peers, p, link);
            TAILQ_INSERT_TAIL(&u->peers, p, link);
            return p;
        }
    }
    return NULL;
}

static bool is_busy(const struct udp_peer *p)
{
    return p->current || p->next || p->former || p->previous || p->handshake;
}

/* Room for one more: the one unused longest that has nothing under way. Looks at few, so that a flood costs
 * little. */
static bool evict_one(struct udp *u)
{
    unsigned looked = 0;
    for (struct udp_peer *p = TAILQ_FIRST(&u->peers); p && looked < 64; p = TAILQ_NEXT(p, link), looked++)
        if (!is_busy(p)) {
            peer_free(u, p);
            return true;
        }
    return false;
}

void peer_key_set(struct udp_peer *p, const uint8_t noise_key[32])
{
    if (prim_equal(p->noise_key, noise_key, 32))
        return;
    memcpy(p->noise_key, noise_key, 32);
    cookie_keys_init(&p->cookie_keys, noise_key);
    p->cookie = (struct cookie_held){0};
}

enum err peer_get(struct udp *u, const struct node_id *id, const uint8_t noise_key[32], struct udp_peer **out)
{
    struct udp_peer *p = *out = peer_find(u, id);
    if (p)
        return ERR_OK;
    if (u->peer_count == UDP_PEERS_MAX && !evict_one(u))
        return ERR_FULL;
    p = calloc(1, sizeof *p);
    if (!p)
        return ERR_NOMEM;
    if (!map_add(&u->by_id, &p->node, id_hash(u, id))) {
        free(p);
        return ERR_NOMEM;
    }
    p->id = *id;
    p->unanswered_at = NEVER;
    p->version = LINK_VERSION_OLDEST;
    memcpy(p->noise_key, noise_key, 32);
    cookie_keys_init(&p->cookie_keys, noise_key);
    TAILQ_INIT(&p->staged.list);
    TAILQ_INSERT_TAIL(&u->peers, p, link);
    u->peer_count++;
    *out = p;
    return ERR_OK;
}

void peer_free(struct udp *u, struct udp_peer *p)
{
    session_free(u, &p->previous);
    session_free(u, &p->current);
    session_free(u, &p->next);
    session_free(u, &p->former);
    handshake_end(u, p);
    queue_clear(u, &p->staged);
    map_remove(&u->by_id, &p->node);
    TAILQ_REMOVE(&u->peers, p, link);
    u->peer_count--;
    prim_wipe(p, sizeof *p);
    free(p);
}

struct udp_index *index_find(const struct udp *u, uint32_t index)
{
    return (struct udp_index *)map_find(&u->by_index, index);
}

/* Random, so that an outsider cannot guess which are in use. */
uint32_t index_random(const struct udp *u)
{
    uint32_t name;
    do
        prim_random(&name, sizeof name);
    while (index_find(u, name));
    return name;
}

enum err index_add(struct udp *u, struct udp_index *index, enum index_kind kind, struct udp_peer *p,
                   uint32_t name)
{
    index->kind = (uint8_t)kind;
    index->peer = p;
    return map_add(&u->by_index, &index->node, name) ? ERR_OK : ERR_NOMEM;
}

struct udp_session *session_new(struct udp *u, struct udp_peer *p, struct noise_handshake *hs,
                                uint32_t local_index, uint32_t remote_index, mono_ms now)
{
    struct udp_session *s = aligned_alloc(_Alignof(struct udp_session), sizeof *s);
    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    if (index_add(u, &s->index, INDEX_SESSION, p, local_index) != ERR_OK) {
        free(s);
        return NULL;
    }
    s->is_initiator = hs->initiator;
    s->remote_index = remote_index;
    s->born_at = now;
    noise_handshake_split(hs, &s->tx, &s->rx);
    return s;
}

void session_free(struct udp *u, struct udp_session **at)
{
    struct udp_session *s = *at;
    if (!s)
        return;
    if (s->is_half_open) {
        TAILQ_REMOVE(&u->half_open, s, link);
        u->half_open_count--;
    } else {
        TAILQ_REMOVE(&u->sessions, s, link);
    }
    map_remove(&u->by_index, &s->index.node);
    prim_wipe(s, sizeof *s);
    free(s);
    *at = NULL;
}

struct udp_session **session_place(struct udp_session *s)
{
    struct udp_peer *p = s->index.peer;
    if (s == p->current)
        return &p->current;
    return s == p->previous ? &p->previous : s == p->next ? &p->next : &p->former;
}

/* From half-open to in use. It counts as born now, so that the list stays in the order of age; the initiator
 * counts from the response, which is earlier, so that it is the one to make the next session. */
static void confirm(struct udp *u, struct udp_session *s, mono_ms now)
{
    TAILQ_REMOVE(&u->half_open, s, link);
    u->half_open_count--;
    s->is_half_open = false;
    s->born_at = now;
    TAILQ_INSERT_TAIL(&u->sessions, s, link);
}

/* A next one is kept as previous: the peer may have answered our initiation and taken our answer to its own
 * as well, and then sends under that one. */
void session_install_ours(struct udp *u, struct udp_peer *p, struct udp_session *s, mono_ms now)
{
    session_free(u, &p->previous);
    if (p->next) {
        confirm(u, p->next, now);
        session_free(u, &p->current);
        p->previous = p->next;
        p->next = NULL;
    } else {
        p->previous = p->current;
    }
    p->current = s;
    TAILQ_INSERT_TAIL(&u->sessions, s, link);
}

static void drop_oldest_half_open(struct udp *u)
{
    session_free(u, session_place(TAILQ_FIRST(&u->half_open)));
    u->stats.drop_full++;
}

void session_install_theirs(struct udp *u, struct udp_peer *p, struct udp_session *s)
{
    bool is_former_young = p->former && s->born_at - p->former->born_at < UDP_RETRY_MAX_MS;
    if (!is_former_young) { /* else the first of several is the one whose answer is heard first */
        session_free(u, &p->former);
        p->former = p->next;
        p->next = NULL;
    }
    session_free(u, &p->next);
    if (u->half_open_count == UDP_HANDSHAKES_MAX)
        drop_oldest_half_open(u);
    p->next = s;
    s->is_half_open = true;
    TAILQ_INSERT_TAIL(&u->half_open, s, link);
    u->half_open_count++;
}

void session_promote(struct udp *u, struct udp_peer *p, struct udp_session *s, mono_ms now)
{
    confirm(u, s, now);
    clock_take(p, s, now - s->clock_at);
    *session_place(s) = NULL;
    session_free(u, &p->next); /* or the former: its initiator has chosen */
    session_free(u, &p->former);
    session_free(u, &p->previous);
    p->previous = p->current;
    p->current = s;
}

bool session_is_usable(const struct udp_session *s, mono_ms now)
{
    return s && now - s->born_at < UDP_SESSION_MS && s->counter < UDP_REJECT_AFTER;
}
