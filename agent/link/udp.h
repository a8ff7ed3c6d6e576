/* UDP sessions, in WireGuard's manner: one endpoint holds the sessions with all peers. Sans-I/O; owned by the control loop.
 *
 *   INITIATION  type=1 | reserved/cipher | be32 sender | Noise IK msg 1 (payload: 12-byte timestamp, credential) | mac1 16 | mac2 16
 *   RESPONSE    type=2 | ... | be32 sender | be32 receiver | Noise IK msg 2 (payload: credential) | mac1 | mac2
 *   COOKIE      type=3 | ... | be32 receiver | nonce 24 | sealed cookie 32
 *   TRANSPORT   type=4 | ... | be32 receiver | be64 counter | sealed payload
 *
 * mac1 is checked first, then (under load) mac2 against a cookie, then DH, then signatures. Nothing is answered that does
 * not carry a valid mac1, and no answer is longer than what it answers. An initiation changes no state of a current
 * session before the first authentic transport packet. Sessions live an hour; previous, current and next are kept.
 * The WireGuard paper (Donenfeld 2017), sections 5 and 6; RFC 6479 for the window. */
#ifndef LINK_UDP_H
#define LINK_UDP_H

#include "base/addr.h"
#include "base/clock.h"
#include "link/link.h"

enum {
    UDP_OVERHEAD = 32,          /* bytes a TRANSPORT packet adds to its payload */
    UDP_PAYLOAD_MAX = 1200 - UDP_OVERHEAD,
    UDP_STAGED_MAX = 32,        /* payloads held per peer while its handshake runs; oldest dropped */
    UDP_PEERS_MAX = 20000,
    UDP_HANDSHAKES_MAX = 4096,  /* half-open responses; oldest dropped */
};

struct udp_setup {
    struct bytes mesh, credential; /* borrowed for the endpoint's life; udp_credential_set() replaces */
    const uint8_t *noise_secret;   /* 32 bytes, copied */
    struct link_verify verify;     /* copied */
    uint64_t timestamp_floor;      /* milliseconds since 1970: no initiation of ours is older (persisted by the caller) */
};

struct udp;
struct udp *udp_new(const struct udp_setup *s, mono_ms now);
void udp_free(struct udp *u);
void udp_credential_set(struct udp *u, struct bytes credential);

/* A datagram arrived. Borrows `in`, may decrypt it in place. Outcomes are counters (udp_stats), never errors: what is not
 * authentic is dropped. `wall_ms` stamps handshakes. */
void udp_receive(struct udp *u, const struct addr *from, uint8_t *in, size_t len, mono_ms now, uint64_t wall_ms);
/* Sends payload to a peer, starting a handshake when there is no session. `noise_key` and `addr` come from its record; an
 * authentic newer address overrides `addr` while the session lives. ERR_LIMIT: payload > UDP_PAYLOAD_MAX; ERR_NOMEM. */
must_check enum err udp_send(struct udp *u, const struct node_id *to, const uint8_t noise_key[32], const struct addr *addr,
                             enum noise_cipher cipher, struct bytes payload, mono_ms now, uint64_t wall_ms);
void udp_forget(struct udp *u, const struct node_id *peer); /* revoked or forgotten: sessions are wiped at once */
void udp_tick(struct udp *u, mono_ms now, uint64_t wall_ms);
mono_ms udp_deadline(const struct udp *u);

/* Next datagram to put on the wire; bytes valid until the next call. */
bool udp_poll_send(struct udp *u, struct addr *to, struct bytes *datagram);
/* Next authentic payload; bytes valid until the next call. */
bool udp_poll_packet(struct udp *u, struct node_id *from, struct addr *via, struct bytes *payload);

#define UDP_STATS(X)                                                                                          \
    X(packets_in) X(packets_out) X(bytes_in) X(bytes_out) X(drop_malformed) X(drop_mac1) X(drop_cookie)       \
    X(drop_handshake) X(drop_credential) X(drop_replay) X(drop_auth) X(drop_index) X(drop_rate) X(drop_full)  \
    X(handshakes_started) X(handshakes_done) X(cookies_sent)
struct udp_stats {
#define X(name) uint64_t name;
    UDP_STATS(X)
#undef X
};
const struct udp_stats *udp_stats(const struct udp *u);

#endif
