/* What a host proves itself with, as a link wants it. For who makes links: workers and the bulk lane. */
#ifndef WORKER_PROVE_H
#define WORKER_PROVE_H

#include "link/link.h"
#include "trust/proof.h"

/* Fills in the credential and the Noise secret, and those of before if there are. The proof must outlive the handshake. */
static inline void link_setup_prove(struct link_setup *s, const struct proof *p)
{
    const struct proof_pair *now = proof_now(p), *before = proof_before(p);
    s->credential = now->opened.bytes;
    s->noise_secret = now->noise.sec;
    s->credential_before = before ? before->opened.bytes : bytes_of(NULL, 0);
    s->noise_secret_before = before ? before->noise.sec : NULL;
}

#endif
