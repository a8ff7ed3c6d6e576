/* A host's first start: from a token to keys and a credential that everybody in the mesh accepts, asking
 * nobody. Pure but for the system's randomness. */
#ifndef TRUST_ENROL_H
#define TRUST_ENROL_H

#include "trust/trust.h"

/* What the host wants to be. Slices are borrowed for the call. */
struct enrol_wish {
    struct bytes node;           /* its name */
    const struct bytes *service; /* it wants to offer and speak for these; */
    size_t service_count;        /* 0: all that the token allows */
    struct labels labels;        /* those of the token are added */
    wall_s now;
};

struct enrolment {
    struct sign_key identity;
    struct dh_key noise;
    struct buf credential; /* the envelope; trust_credential() under the token's root accepts it */
};

/* Makes both keys and signs the credential with the token's grant. It begins now (at the grant's beginning
 * when our clock is a little behind) and lives as long as the grant lets it. *out is overwritten; end it with
 * enrolment_fini(), also after an error. ERR_DENIED: the token does not allow this node, service or label;
 * ERR_INVALID: a name or label out of its limits; ERR_EXPIRED: the token; ERR_LIMIT, ERR_NOMEM. `why` (may be
 * NULL) names the field. */
must_check enum err enrol(struct enrolment *out, const struct token *token, const struct enrol_wish *wish,
                          struct refusal *why);
/* A new credential for the keys already in *e: another token, a longer life. The old one stays until the new
 * one is made. */
must_check enum err enrol_renew(struct enrolment *e, const struct token *token, const struct enrol_wish *wish,
                                struct refusal *why);
void enrolment_fini(struct enrolment *e); /* wipes the private keys */

#endif
