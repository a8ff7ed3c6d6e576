/* A TCP link: one connection's preface, Noise handshake and sealed records. Sans-I/O; the loop that owns the socket owns it.
 *
 *   preface   "strl" | u8 version=1 | u8 kind | u8 pattern | u8 cipher                  8 bytes, initiator -> responder
 *   then      be16 length | Noise message                                               handshake, then records
 *
 * The prologue binds version, mesh name, "tcp" and the whole preface. IK where the peer's Noise key is known, XX to a
 * seed known only by address (a responder takes both). Credentials travel in handshake payloads; LINK_UP is only reported
 * when `verify` has accepted the peer's credential for the Noise key it proved, and for a responder of IK only after the
 * first transport record has been opened. An authenticated CLOSE record ends a link; without it, an end of the
 * connection is a truncation and is reported as such. */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "noise/noise.h"

enum link_kind { LINK_TRAFFIC = 1, LINK_BULK = 2 };
enum { LINK_PREFACE_BYTES = 8, LINK_VERSION = 1, LINK_HANDSHAKE_TIMEOUT_MS = 5000 };

/* Is `credential` (the handshake payload) valid now and does it name `noise_key`? On ERR_OK *id is the peer. Called
 * synchronously while a handshake message is read; must not call back. */
struct link_verify {
    enum err (*credential)(void *arg, struct bytes credential, const uint8_t noise_key[32], struct node_id *id);
    void *arg;
};

struct link_setup {
    enum link_kind kind;         /* initiator only; a responder learns it from the preface */
    struct bytes mesh;           /* borrowed for the link's life */
    struct bytes credential;     /* ours; borrowed until the handshake is over */
    const uint8_t *noise_secret; /* 32 bytes, borrowed until the handshake is over */
    const uint8_t *remote_key;   /* IK: the peer's 32 bytes, copied; NULL: XX */
    const struct node_id *remote_id; /* NULL, or the only peer that is acceptable (ERR_DENIED otherwise) */
    enum noise_cipher cipher;    /* initiator's choice */
    struct link_verify verify;   /* copied */
};

struct link;
struct link *link_connect(const struct link_setup *s, mono_ms now);
struct link *link_accept(const struct link_setup *s, mono_ms now);
void link_free(struct link *l);

/* Feeds bytes from the socket; *used says how many were taken (all, unless a record is waiting to be polled).
 * Errors end the link: ERR_MALFORMED, ERR_AUTH, ERR_DENIED, ERR_FOREIGN, ERR_EXPIRED, ERR_UNSUPPORTED. */
must_check enum err link_feed(struct link *l, struct bytes in, size_t *used, mono_ms now);
/* The next opened record's plaintext, valid until the next link_feed(); false if none. */
bool link_poll_record(struct link *l, struct bytes *plain);
/* Where the next record's plaintext may be written: at most *cap bytes (<= NOISE_PLAIN_MAX), inside the send buffer `out`. Fill in n
 * bytes, then link_seal_end(). NULL: not up yet, or no memory. The pointer dies with the next call that changes `out`. */
uint8_t *link_seal_begin(struct link *l, struct buf *out, size_t want, size_t *cap);
must_check enum err link_seal_end(struct link *l, struct buf *out, size_t n);
/* Appends handshake bytes that are due, to be called after connect/feed and before sealing. */
must_check enum err link_poll_send(struct link *l, struct buf *out);
/* Appends the authenticated close. */
must_check enum err link_close(struct link *l, struct buf *out);

bool link_is_up(const struct link *l);
bool link_is_closed_by_peer(const struct link *l); /* its CLOSE has been read */
enum link_kind link_kind(const struct link *l);
const struct node_id *link_peer(const struct link *l);       /* once up */
struct bytes link_peer_credential(const struct link *l);     /* once up; lives as long as the link */
mono_ms link_deadline(const struct link *l);                 /* of the whole handshake; NEVER once up */
/* Reads the kind out of the first LINK_PREFACE_BYTES bytes of a connection. ERR_MALFORMED. */
must_check enum err link_preface_kind(struct bytes in, enum link_kind *kind);

#endif
