/* UDP sessions, in WireGuard's manner: one endpoint holds the sessions with all peers. Sans-I/O; owned by the
 * control loop.
 *
 *   INITIATION  u8 type=1 | u8 cipher | u8 version-1 | u8 0 | be32 sender | Noise IK message 1 (1192) | mac1 16 | mac2 16
 *                 payload: be64 timestamp | [version 2: be64 clock] | be16 length | credential | zeros    1232 bytes
 *   RESPONSE    u8 type=2 | 3 bytes 0 | be32 sender | be32 receiver | Noise IK message 2 | mac1 16
 *                 payload: [version 2: be64 clock] | credential                                  76 bytes + payload
 *   COOKIE      u8 type=3 | 3 bytes 0 | be32 receiver | nonce 24 | sealed cookie 32                64 bytes
 *   TRANSPORT   u8 type=4 | 3 bytes 0 | be32 receiver | be64 counter | sealed payload    32 bytes + payload
 *
 * mac1 is checked first, then the rates (beyond them a cookie, mac2, is asked for), then DH, then signatures.
 * Nothing is answered that does not carry a valid mac1, and no answer is longer than what it answers: an
 * initiation is padded to what the least MTU of IPv6 holds. It changes no state of a current session before
 * the first authentic transport packet of the new one. Sessions live an hour, silently; previous, current and
 * next are kept. When both sides initiate at once, the initiation of the one with the smaller Noise key is
 * answered and the other is not. A peer that restarted has lost its sessions and cannot say so: whoever asks
 * it something (udp_send(); what udp_tell() carries expects no answer) and hears nothing for a second, or has another
 * reason to doubt (udp_doubt()), makes a new one with its next packet, which then goes both ways (so a payload may
 * come twice). A peer's address follows its newest authentic packet.
 *
 * The timestamp rises with each initiation of a host, whatever its clock does; the clock, in milliseconds since 1970 as the other
 * is, is what its clock says, for information (udp_clocks_each()). The initiator picks the version (link_version_with()), the
 * prologue binds it, the responder answers in it.
 *
 * The WireGuard paper (Donenfeld 2017), sections 5 and 6; RFC 6479 for the window. */
#ifndef LINK_UDP_H
#define LINK_UDP_H

#include "base/addr.h"
#include "base/clock.h"
#include "link/link.h"

enum {
    UDP_OVERHEAD = 32, /* bytes a TRANSPORT packet adds to its payload */
    UDP_PAYLOAD_MAX = 1200 - UDP_OVERHEAD,
    UDP_STAGED_MAX = 32,         /* payloads held per peer while its handshake runs; oldest dropped */
    UDP_PEERS_MAX = 20000,       /* the one unused longest gives way; ERR_FULL if all have sessions */
    UDP_HANDSHAKES_MAX = 4096,   /* half-open responses; oldest dropped */
    UDP_QUEUE_MAX = 4096,        /* datagrams not yet polled, each way; newest dropped */
    UDP_INITIATION_BYTES = 1232, /* 1280 (IPv6 minimum MTU) - 40 - 8 */
    UDP_CREDENTIAL_MAX = UDP_INITIATION_BYTES - 8 - (32 + 48 + 16) - 18 - 32, /* what fits */
    UDP_SESSION_MS = 3600 * 1000,    /* a session's life, from the handshake on */
    UDP_REKEY_MS = 3300 * 1000,      /* its initiator makes a new one after that, when there is traffic */
    UDP_REKEY_LATE_MS = 3480 * 1000, /* its responder, if the initiator has not */
    UDP_RETRY_FIRST_MS = 300, /* an initiation is repeated after that and up to a third more, doubling ... */
    UDP_RETRY_SLOW_MS =
        2500, /* ... or first after up to that, if answers to others took long lately, doubling ... */
    UDP_RETRY_MAX_MS = 5000, /* ... up to that, */
    UDP_CROSSING_MS =
        1000, /* for so long after it a session's initiator drops the other's initiations: they crossed it */
    UDP_GIVE_UP_MS = 90 * 1000, /* and for so long; then what is staged is dropped */
    UDP_DOUBT_MS = 1000, /* nothing heard for so long after we asked: the next packet makes a new session */
    UDP_CLOCK_AHEAD_MS = 600 * 1000, /* how far an initiation's time may be ahead of ours (ADVERSARY N29) */
    UDP_CLOCK_NEAR_MS =
        1000, /* times may run ahead of the clock by so much, as when many are made in one millisecond */
    UDP_CLOCK_WAIT_MS =
        5000, /* a clock is not taken from a handshake that took longer: it may have lain in a socket */
    UDP_INITIATION_GAP_MS = 20, /* least time between two initiations of one peer */
    UDP_LOAD_PER_S = 200, /* initiations per second with a valid mac1 beyond which cookies are asked for */
};

struct udp_setup {
    struct bytes mesh;           /* borrowed for the endpoint's life */
    struct bytes credential;     /* borrowed; udp_keys_set() replaces */
    const uint8_t *noise_secret; /* 32 bytes, copied */
    struct link_verify verify;   /* copied */
    uint64_t timestamp_floor;    /* milliseconds since 1970: no initiation of ours is older (persisted by the
                                 caller) */
    uint8_t version;             /* the newest that is answered; 0: all of this build */
};

struct udp;
struct udp *udp_new(const struct udp_setup *s, mono_ms now);
void udp_free(struct udp *u); /* NULL is fine */
/* What this host proves itself with from now on: a credential (borrowed until replaced) and the Noise secret that it names
 * (32 bytes, copied). Sessions go on. A credential over UDP_CREDENTIAL_MAX makes udp_send() say ERR_LIMIT; initiations of
 * others are then not answered. */
struct udp_keys {
    struct bytes credential;
    const uint8_t *noise_secret;
};
/* `before` (NULL: none): the pair of before, while the Noise key is being rolled. Who calls us by the old key, which mac1
 * tells, is answered under it. */
void udp_keys_set(struct udp *u, const struct udp_keys *now, const struct udp_keys *before);
/* Milliseconds since 1970 of the newest initiation of ours: what the caller persists as the next
 * timestamp_floor (N30). */
uint64_t udp_timestamp(const struct udp *u);

/* A datagram arrived. Borrows `in`, may decrypt it in place. Outcomes are counters (udp_stats), never errors:
 * what is not authentic is dropped. `wall_ms` stamps handshakes. */
void udp_receive(struct udp *u, const struct addr *from, uint8_t *in, size_t len, mono_ms now,
                 uint64_t wall_ms);
/* Sends payload to a peer, starting a handshake when there is no session. An authentic newer address overrides
 * `to->addr` while the session lives. ERR_LIMIT: payload > UDP_PAYLOAD_MAX, or our credential > UDP_CREDENTIAL_MAX;
 * ERR_INVALID: the Noise key is ours or of small order; ERR_FULL, ERR_NOMEM. */
must_check enum err udp_send(struct udp *u, const struct link_to *to, struct bytes payload, mono_ms now,
                             uint64_t wall_ms);
/* The same, for what the peer does not answer: that it stays silent casts no doubt on the session. */
must_check enum err udp_tell(struct udp *u, const struct link_to *to, struct bytes payload, mono_ms now,
                             uint64_t wall_ms);
/* What was asked under this session should have been answered by now: the next packet goes by a new one too. */
void udp_doubt(struct udp *u, const struct node_id *peer, mono_ms now);
/* Whoever it is does not answer, or is gone: a handshake with it that is under way ends, with what waited for it. The next packet begins
 * another one. */
void udp_give_up(struct udp *u, const struct node_id *peer);
void udp_forget(struct udp *u,
                const struct node_id *peer); /* revoked or forgotten: sessions are wiped at once */
/* Forgets every peer that `keep` does not want kept (it may not call back): after a change of who is believed. */
void udp_retain(struct udp *u, bool (*keep)(void *arg, const struct node_id *peer), void *arg);
void udp_tick(struct udp *u, mono_ms now, uint64_t wall_ms);
mono_ms udp_deadline(const struct udp *u);

/* What each peer's clock said when a session with it was last made, for those of whom that is known (from version 2 on): at `at`
 * by our monotonic clock it said `clock_ms`. Its own word. `each` may not call back. */
void udp_clocks_each(const struct udp *u,
                     void (*each)(void *arg, const struct node_id *peer, uint64_t clock_ms, mono_ms at),
                     void *arg);
/* Our own clock was set: each session is made anew with its next packet, so that peers learn what it says now. */
void udp_renew_all(struct udp *u, mono_ms now);

size_t udp_session_count(const struct udp *u, const struct node_id *peer); /* current and previous ones */

/* Next datagram to put on the wire; bytes valid until the next call. */
bool udp_poll_send(struct udp *u, struct addr *to, struct bytes *datagram);
/* Next authentic payload; bytes valid until the next call. */
bool udp_poll_packet(struct udp *u, struct node_id *from, struct addr *via, struct bytes *payload);

/* Counters since creation: their names, as the metrics call them, and what they count. */
/* clang-format off */
#define UDP_STATS(X) \
    X(packets_in, "Datagrams received.") \
    X(packets_out, "Datagrams sent.") \
    X(bytes_in, "Bytes of the datagrams received.") \
    X(bytes_out, "Bytes of the datagrams sent.") \
    X(drop_malformed, "Datagrams dropped: of no known form.") \
    X(drop_mac1, "Handshakes dropped: made without knowing this agent's key.") \
    X(drop_cookie, "Initiations over the rates, answered with a cookie; and cookies that did not fit.") \
    X(drop_handshake, "Handshakes dropped: not authentic, or of a time far ahead.") \
    X(drop_credential, "Handshakes dropped: the credential is not accepted.") \
    X(drop_replay, "Datagrams dropped: seen before, or too old.") \
    X(drop_auth, "Sealed datagrams dropped: not authentic.") \
    X(drop_index, "Datagrams dropped: of no session or handshake that there is, as after a restart.") \
    X(drop_rate, "Initiations dropped: too many of one source or peer.") \
    X(drop_full, "Datagrams dropped: a queue or table is full.") \
    X(drop_crossed, "Initiations dropped because both sides began at once and ours stands.") \
    X(handshakes_started, "Handshakes begun by this agent.") \
    X(handshakes_done, "Handshakes completed, whoever began them.") \
    X(handshakes_given_up, "Handshakes given up: no answer for 90 seconds, or the peer is dead or has left.") \
    X(cookies_sent, "Cookies sent to sources over the rates.")
/* clang-format on */
struct udp_stats {
#define X(name, help) uint64_t name;
    UDP_STATS(X)
#undef X
};
const struct udp_stats *udp_stats(const struct udp *u);

#endif
