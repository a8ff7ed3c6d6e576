/* The endpoint's struct, for the files that conduct: udp.c (datagrams in and out), udp_handshake.c
 * (initiations, responses, cookies), udp_peer.c (who is known, and which session is which). The window, the
 * cookies and the rates do not see it. */
#ifndef LINK_UDP_INNER_H
#define LINK_UDP_INNER_H

#include <sys/queue.h>

#include "base/rng.h"
#include "base/rtt.h"
#include "link/cookie.h"
#include "link/map.h"
#include "link/rate.h"
#include "link/replay.h"
#include "link/udp.h"

enum { UDP_INITIATION = 1, UDP_RESPONSE, UDP_COOKIE, UDP_TRANSPORT };
enum {
    UDP_DATAGRAM_MAX = UDP_INITIATION_BYTES,
    UDP_TRANSPORT_HEAD = 16,
    UDP_COOKIE_BYTES = 8 + PRIM_XNONCE_BYTES + COOKIE_SEALED_BYTES,
    UDP_RESPONSE_MIN = 12 + 32 + 16 + PRIM_MAC_BYTES,
    UDP_ATTEMPTS_KEPT =
        4, /* initiations of ours, one after the other, of which any may be answered: by who is slow the first is when others are out */
    UDP_SPARE_MAX = 64, /* datagrams kept for reuse */
};
/* The last counter in use; WireGuard's REJECT_AFTER_MESSAGES. And where a new session is made instead. */
#define UDP_REJECT_AFTER (UINT64_MAX - (UINT64_C(1) << 13) - 1)
#define UDP_REKEY_AFTER  (UINT64_C(1) << 60)

struct datagram {
    TAILQ_ENTRY(datagram) link;
    struct addr addr;
    struct node_id peer; /* incoming payloads */
    size_t len;
    uint8_t at[UDP_DATAGRAM_MAX];
};
TAILQ_HEAD(datagram_list, datagram);
struct datagram_queue {
    struct datagram_list list;
    unsigned count;
};

struct udp_peer;
enum index_kind { INDEX_SESSION, INDEX_ATTEMPT };
struct udp_index {        /* our name for a session or an initiation, in the other's packets */
    struct map_node node; /* key: the index; first, so that a node is its udp_index */
    uint8_t kind;
    struct udp_peer *peer;
};

struct udp_session {
    struct udp_index index;
    TAILQ_ENTRY(udp_session) link; /* by age, in udp.sessions; half-open ones in udp.half_open */
    struct noise_cipherstate tx, rx;
    uint64_t counter; /* of the next packet sent */
    uint32_t remote_index;
    bool is_initiator, is_half_open;
    mono_ms born_at;
    uint64_t clock_ms; /* what the peer's clock said when it was made; 0: not said */
    mono_ms clock_at;  /* when we heard it */
    struct replay replay;
};
TAILQ_HEAD(session_list, udp_session);

struct udp_handshake { /* initiations of ours that wait for a response to one of them */
    TAILQ_ENTRY(udp_handshake) link;
    struct udp_peer *peer;
    struct udp_attempt {
        struct udp_index
            index; /* first, so that an index is its attempt. A name for each, so that a response is tried
                                   with the one that it answers; peer NULL: none was sent */
        struct noise_handshake noise;
        uint64_t timestamp;
        mono_ms sent_at;
        uint8_t version;
    } tried[UDP_ATTEMPTS_KEPT]; /* a ring: the n-th initiation is at n % UDP_ATTEMPTS_KEPT, the first is 0 */
    struct addr addr;           /* where the initiations go */
    mono_ms started_at, retry_at;
    unsigned attempt;     /* how many were sent */
    bool has_used_cookie; /* a cookie has made it repeat at once; only the first does */
    uint8_t cipher;
};
TAILQ_HEAD(handshake_list, udp_handshake);

struct udp_peer {
    struct map_node node;       /* key: a keyed hash of the id */
    TAILQ_ENTRY(udp_peer) link; /* in udp.peers, least recently used first */
    struct node_id id;
    uint8_t noise_key[32];
    struct cookie_keys cookie_keys;
    struct cookie_held cookie;
    struct addr
        addr; /* where its newest authentic packet came from; meaningful while there is a current session */
    struct udp_session *previous, *current, *next;
    struct udp_session *former; /* was next when another initiation came; its initiator may choose either */
    struct udp_handshake *handshake;
    struct datagram_queue staged;
    uint64_t
        timestamp; /* of its newest initiation; what is not newer is a replay, unless our clock was fast then */
    uint64_t
        told; /* of our initiation that it answered last; the next is above it, unless it is of a time when our clock was fast */
    mono_ms initiated_at; /* when the last of them came */
    mono_ms
        unanswered_at; /* when we first asked it something since we last heard from it; NEVER: not since */
    uint8_t cipher, version; /* in which we call it */
    uint64_t clock_ms;       /* of the newest session that has proved itself */
    mono_ms clock_at;
};
TAILQ_HEAD(peer_list, udp_peer);

struct udp_own { /* one of our Noise keys, and the credential that names it */
    uint8_t secret[32], public_key[32];
    struct cookie_keys cookie_keys;
    struct bytes credential;
};

struct udp {
    struct bytes mesh;
    struct udp_own own[2]; /* the newest first */
    unsigned own_count;
    uint8_t hash_secret[32];
    struct cookie_jar jar;
    struct link_verify verify;
    uint64_t timestamp;          /* of our newest initiation */
    uint64_t timestamp_by_clock; /* of the newest that went by a clock apart from `timestamp` */
    bool is_answered;            /* an initiation of ours was, since the start */
    bool goes_by_memory;         /* the last one answered did not go by the clock */
    uint16_t answer_8ths,
        answer_var_4ths; /* how long answers to initiations took lately (base/rtt.h), of all peers */
    struct rng rng;      /* jitter only */
    struct rate rate;
    struct rate_total load[2]; /* initiations of sources that have not, and that have proved their address */
    mono_ms next_tick;
    mono_ms renew_before; /* sessions born before are made anew */
    uint8_t version;      /* the newest that we answer */
    struct map by_id, by_index;
    struct peer_list peers;
    struct session_list sessions, half_open;
    struct handshake_list handshakes;
    size_t peer_count, half_open_count;
    struct datagram_queue out, in;
    struct datagram_list spare;
    unsigned spare_count;
    struct datagram *out_lent, *in_lent; /* what the last poll returned */
    struct udp_stats stats;
};

/* udp.c */
struct datagram *datagram_new(struct udp *u); /* NULL: no memory */
void datagram_free(struct udp *u, struct datagram *d);
/* Takes d; full: drops it and counts. */
void queue_put(struct udp *u, struct datagram_queue *q, struct datagram *d, unsigned max);
void queue_clear(struct udp *u, struct datagram_queue *q);
/* Seals payload for the peer's current session. */
must_check enum err transport_send(struct udp *u, struct udp_peer *p, struct bytes payload);
void staged_send(struct udp *u,
                 struct udp_peer *p); /* all that is staged, or an empty packet to confirm the session */
void wake_at(struct udp *u, mono_ms at);

bool own_key_is(const struct udp *u, const uint8_t noise_key[32]); /* one of ours? */
/* Which of our keys this mac1 was made for; NULL: none. */
const struct udp_own *own_of_mac1(const struct udp *u, struct bytes before,
                                  const uint8_t mac1[PRIM_MAC_BYTES]);

/* udp_peer.c */
struct udp_peer *peer_find(struct udp *u, const struct node_id *id);
/* Finds it, whatever its key, or makes it with this key. ERR_FULL, ERR_NOMEM. */
must_check enum err peer_get(struct udp *u, const struct node_id *id, const uint8_t noise_key[32],
                             struct udp_peer **out);
void peer_key_set(struct udp_peer *p, const uint8_t noise_key[32]);
void peer_free(struct udp *u, struct udp_peer *p);
uint32_t index_random(const struct udp *u); /* one that is not in use */
must_check enum err index_add(struct udp *u, struct udp_index *index, enum index_kind kind,
                              struct udp_peer *p, uint32_t name);
struct udp_index *index_find(const struct udp *u, uint32_t index);
/* Takes over a finished handshake's keys. The peer knows it by local_index. NULL: no memory. */
struct udp_session *session_new(struct udp *u, struct udp_peer *p, struct noise_handshake *hs,
                                uint32_t local_index, uint32_t remote_index, mono_ms now);
void session_free(struct udp *u, struct udp_session **s);
void session_install_ours(struct udp *u, struct udp_peer *p, struct udp_session *s,
                          mono_ms now); /* we initiated: it is current */
void session_install_theirs(struct udp *u, struct udp_peer *p,
                            struct udp_session *s); /* we responded: it is next */
void session_promote(struct udp *u, struct udp_peer *p, struct udp_session *s,
                     mono_ms now);                         /* next or former has spoken: it is current */
struct udp_session **session_place(struct udp_session *s); /* where its peer points at it */
bool session_is_usable(const struct udp_session *s, mono_ms now);

/* udp_handshake.c */
must_check enum err handshake_start(struct udp *u, struct udp_peer *p, const struct addr *to, mono_ms now,
                                    uint64_t wall_ms);
void handshake_retry(struct udp *u, struct udp_peer *p, mono_ms now, uint64_t wall_ms);
void handshake_end(struct udp *u, struct udp_peer *p);
void handshake_give_up(struct udp *u, struct udp_peer *p); /* ends it, and drops what is staged */
void initiation_receive(struct udp *u, const struct addr *from, struct bytes in, mono_ms now,
                        uint64_t wall_ms);
void response_receive(struct udp *u, const struct addr *from, struct bytes in, mono_ms now);
/* A session has proved itself: what the peer's clock said with it counts, unless the handshake took `waited` too long (we were
 * stopped, say: the peer's clock was heard when we read it, and not when it was said). */
void clock_take(struct udp_peer *p, const struct udp_session *s, mono_ms waited);
void cookie_receive(struct udp *u, struct bytes in, mono_ms now, uint64_t wall_ms);

#endif
