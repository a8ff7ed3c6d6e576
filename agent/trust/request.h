/* Enrolment without a token: a host prints a request, somebody with the enrol key signs it elsewhere, offline, and what
 * comes back is a credential with the root of trust beside it.
 *
 *   request      "starling-request-1:" and base64 of an envelope of type "request", signed by the host's identity key:
 *                body [node, identity key, Noise key, [service, ...], {label}, made at]
 *   credential   "starling-credential-1:" and base64 of [root envelope, credential envelope]
 *
 * Neither is secret. A request proves that who made it has the identity key, and nothing else: whether that is the host it
 * says it is, the signer finds out by other means (`enrol request` prints the key, `enrol sign` shows it). */
#ifndef TRUST_REQUEST_H
#define TRUST_REQUEST_H

#include "trust/trust.h"

enum { REQUEST_BYTES_MAX = 4096, REQUEST_TEXT_MAX = 6 * 1024, CREDENTIAL_TEXT_MAX = 14 * 1024 };

struct request {
    struct bytes node;
    struct node_id id;
    uint8_t noise_key[32];
    size_t service_count;
    struct bytes service[CREDENTIAL_SERVICES_MAX]; /* what it would offer and speak for; "*" = any */
    struct labels labels;
    wall_s at; /* when it was made, by the host's clock; for the reader's information */
};
/* Appends the text. ERR_INVALID: a field is out of its limits; ERR_LIMIT, ERR_NOMEM. */
must_check enum err request_create(struct buf *text, const struct request *r, const struct sign_key *identity,
                                   struct refusal *why);
/* Decodes and verifies. `space` holds the bytes that *out borrows from. White space around the text is ignored.
 * ERR_MALFORMED, ERR_AUTH, ERR_NOMEM. */
must_check enum err request_decode(struct request *out, struct buf *space, struct bytes text,
                                   struct refusal *why);

/* ERR_NOMEM. */
must_check enum err credential_text_encode(struct buf *text, struct bytes root, struct bytes credential);
/* Appends both envelopes; nothing in them is verified. ERR_MALFORMED, ERR_NOMEM. */
must_check enum err credential_text_decode(struct buf *credential, struct buf *root, struct bytes text);

#endif
