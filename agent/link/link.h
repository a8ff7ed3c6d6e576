/* A TCP link: one connection's preface, Noise handshake and sealed records. Sans-I/O; the loop that owns the
 * socket owns it.
 *
 *   preface   "strl" | u8 version | u8 kind | u8 pattern | u8 cipher                  8 bytes, initiator ->
 * responder then      be16 length | Noise message                                               handshake,
 * then records
 *
 * Versions: who dials takes the newest that both speak, by what the other has signed in its record (link_version_with()), and
 * the oldest where no record is known; nothing is negotiated, so nobody between the two can talk them down. On TCP versions 1
 * and 2 differ in nothing but the number.
 *
 * The prologue binds version, mesh name, "tcp" and the whole preface. IK where the peer's Noise key is known,
 * XX to a seed known only by address (a responder takes both). Credentials travel in handshake payloads; a
 * link is up only when `verify` has accepted the peer's credential for the Noise key it proved, and for a
 * responder of IK only after the first transport record has been opened: its first message may have been a
 * replay (the initiator sends an empty record at once, so this costs no round trip). An authenticated CLOSE
 * record ends a link; without it, an end of the connection is a truncation: ask link_is_closed_by_peer().
 *
 * A refused peer gets no answer, so that nobody can ask a responder about others' credentials. With one exception, for
 * which `verify` has to speak up (`tell`): an initiator that has proved, by a handshake that is no replay, to hold the key in
 * its credential gets one sealed REFUSAL with the words why, and then the end. That is for who was away when it was revoked.
 *
 * Records and their rekeying are record.h's matter; every byte is drawn in docs/protocol.md.
 *
 * The loop's part: after link_connect() and after every link_feed() call link_poll_send(); then, while
 * link_is_up(), poll records and seal. At link_deadline() close the connection. */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "noise/noise.h"

enum link_kind { LINK_TRAFFIC = 1, LINK_BULK = 2 };
enum {
    LINK_PREFACE_BYTES = 8,
    LINK_VERSION_OLDEST = 1, /* of TCP links and UDP sessions, spoken by this build */
    LINK_VERSION_NEWEST = 2, /* 2: the messages that begin a UDP session say what their sender's clock says */
    LINK_HANDSHAKE_TIMEOUT_MS = 5000, /* for all of it: a peer that sends a byte now and then gains nothing */
    LINK_CREDENTIAL_MAX = 4096,       /* bytes; a longer one ends the handshake */
    LINK_REFUSAL_MAX = 256,           /* bytes of printable ASCII; longer words are cut */
};

/* The version in which to call a host whose newest is that one (0: nothing is known of it): the newest that both speak. If its
 * oldest is above ours, or its newest below, there is none, and it will not answer. */
static inline uint8_t link_version_with(uint8_t newest)
{
    return newest < LINK_VERSION_OLDEST   ? LINK_VERSION_OLDEST
           : newest < LINK_VERSION_NEWEST ? newest
                                          : LINK_VERSION_NEWEST;
}

/* Whom to speak to, and how: as its record says. Borrowed for the call. */
struct link_to {
    const struct node_id *id;
    const uint8_t *noise_key; /* 32 bytes; NULL: not known (TCP only) */
    const struct addr *addr;
    enum noise_cipher cipher;
    uint8_t version; /* 0: the oldest */
};

/* Is `credential` (the handshake payload) valid now and does it name `noise_key`? On ERR_OK *id is the peer.
 * Called synchronously while a handshake message is read; must not call back. */
struct link_verify {
    enum err (*credential)(void *arg, struct bytes credential, const uint8_t noise_key[32],
                           struct node_id *id);
    void *arg;
    /* Asked by a responder of the credential that was just refused with `refused`; NULL: nobody is told. May whoever
     * holds `noise_key` be told why? Then the words are appended. The link has yet to see that the initiator holds it. */
    bool (*tell)(void *arg, struct bytes credential, const uint8_t noise_key[32], enum err refused,
                 struct buf *words);
};

struct link_setup {
    enum link_kind kind; /* initiator only; a responder learns it from the preface */
    uint8_t
        version; /* initiator: in which to speak, 0: the oldest; responder: the newest that it answers, 0: all */
    struct bytes mesh;           /* at most 255 bytes; borrowed for the link's life */
    struct bytes credential;     /* ours, 1..LINK_CREDENTIAL_MAX; borrowed until the handshake is over */
    const uint8_t *noise_secret; /* 32 bytes, borrowed until the handshake is over */
    /* Responder: while our Noise key is being rolled, the pair of before, for peers who call us by the old key. Empty and
     * NULL: there is none. Borrowed as those above. */
    struct bytes credential_before;
    const uint8_t *noise_secret_before;
    const uint8_t *remote_key; /* IK: the peer's 32 bytes, copied; NULL: XX */
    const struct node_id
        *remote_id;            /* NULL, or the only peer that is acceptable (ERR_DENIED otherwise); copied */
    enum noise_cipher cipher;  /* initiator's choice; CHACHAPOLY is taken where this host has no AESGCM */
    struct link_verify verify; /* copied */
};

struct link;
/* NULL: no memory, or remote_key is our own or of small order. */
struct link *link_connect(const struct link_setup *s, mono_ms now);
struct link *link_accept(const struct link_setup *s, mono_ms now);
void link_free(struct link *l);

/* Feeds bytes from the socket; *used says how many were taken (all, unless a record is waiting to be polled:
 * then poll it and feed the rest). A record that lies whole in `in` is opened from there, without a copy.
 * Errors end the link; nothing more will be read, written or reported. ERR_MALFORMED: not this protocol, or
 * out of turn. ERR_UNSUPPORTED: another version, pattern or cipher. ERR_AUTH: not authentic; another mesh
 * looks like this too. ERR_TIMEOUT: fed after the deadline. ERR_NOMEM. ERR_CLOSED: had ended before.
 * ERR_DENIED, and whatever else `verify` said (ERR_FOREIGN, ERR_EXPIRED, ...): the peer is not acceptable.
 * ERR_REFUSED: the peer, whom our `verify` accepts, refuses us; link_refusal() says why. */
must_check enum err link_feed(struct link *l, struct bytes in, size_t *used, mono_ms now);
/* The next opened record's plaintext, valid until the next link_feed(); false if none. */
bool link_poll_record(struct link *l, struct bytes *plain);
/* Where the next record's plaintext may be written, inside the send buffer `out`: at most *cap bytes, which
 * is `want` or what a record (NOISE_PLAIN_MAX - 1) or out->max allows. Fill in n bytes, then link_seal_end(),
 * which seals them where they lie. NULL: not up, closed by us, `out` is full, or no memory (out->failed). The
 * pointer dies with the next call that changes `out`. */
uint8_t *link_seal_begin(struct link *l, struct buf *out, size_t want, size_t *cap);
/* n = 0 writes nothing. ERR_LIMIT (after 2^64 records): the link has ended. */
must_check enum err link_seal_end(struct link *l, struct buf *out, size_t n);
/* Appends handshake bytes that are due, to be called after connect/feed and before sealing. Errors end the
 * link: ERR_NOMEM (`out` is full), ERR_MALFORMED (a key of the peer is unsound), or what `verify` said of a peer that is told why: send what
 * was appended, then close. */
must_check enum err link_poll_send(struct link *l, struct buf *out);
/* Appends the authenticated close, once; nothing can be sealed after it, reading goes on. Before the link is
 * up there is nothing to close, and nothing is appended. */
must_check enum err link_close(struct link *l, struct buf *out);

bool link_is_up(const struct link *l);             /* false again after an error */
bool link_is_closed_by_peer(const struct link *l); /* its CLOSE has been read */
enum link_kind link_kind(const struct link *l);
const struct node_id *link_peer(const struct link *l);   /* once up */
struct bytes link_peer_credential(const struct link *l); /* once up; lives as long as the link */
mono_ms link_deadline(const struct link *l);             /* of the whole handshake; NEVER once up */
/* The peer's words when it refused us, printable ASCII, empty if it did not; live as long as the link. They are the word of one
 * member. */
struct bytes link_refusal(const struct link *l);
/* Did it end because our `verify` found nobody whom we trust behind the peer's credential (ERR_AUTH)? */
bool link_met_stranger(const struct link *l);
const char *link_stage(const struct link *l); /* for log lines: "await reply" */
/* Reads the kind out of the first LINK_PREFACE_BYTES bytes of a connection. ERR_MALFORMED. */
must_check enum err link_preface_kind(struct bytes in, enum link_kind *kind);

#endif
