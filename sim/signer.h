/* Keys and signatures of the simulated mesh: real ones, made and checked by agent/trust. A host's keys follow from its
 * number and not from the seed, so that signatures and verdicts can be remembered over all runs of a process: each
 * distinct record is signed once and verified once, and known again by its bytes. Each world keeps what was signed in
 * it, which is what the oracles compare against. */
#ifndef SIM_SIGNER_H
#define SIM_SIGNER_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/buf.h"
#include "base/err.h"
#include "gossip/gossip.h"
#include "trust/trust.h"

struct signer;

/* Of the policy that its owner enforces, and of the one that is rolled out there. */
struct signed_policy {
    uint64_t epoch, version; /* version 0: none */
    struct hash hash;
    struct record_rollout rollout;
};

/* What the record of a version says besides. */
struct signed_words {
    uint8_t protocol, layout; /* the newest version that the owner speaks; that of the record itself */
    struct gossip_coordinate coordinate;
    struct signed_policy policy;
};

struct signed_record {
    struct hash hash;
    uint32_t owner;
    uint32_t number; /* from 1 on, over all records of the process */
    uint64_t incarnation, version;
    bool left;
    bool is_twin; /* the second with these numbers: its owner lies */
    uint8_t door; /* which of its owner's addresses it names */
    struct signed_words words;
    struct bytes bytes;         /* live as long as the process */
    struct signed_record *next; /* of the same owner, in any world */
};

struct signer *signer_new(uint32_t hosts);
void signer_free(struct signer *s);

const struct node_id *signer_id(const struct signer *s, uint32_t host);
const struct node_id *signer_outsider_id(const struct signer *s);
/* The host with this identity, or UINT32_MAX. */
uint32_t signer_host_of(const struct signer *s, const struct node_id *id);
struct addr signer_addr(uint32_t host, uint8_t door);
/* UINT32_MAX: nobody's address. *door: which of the host's addresses it is. */
uint32_t signer_host_at(const struct signer *s, const struct addr *a, uint8_t *door);

/* The owner's record, at its address of this number. NULL: these numbers are not above all that it has signed, which
 * must never be. */
const struct signed_record *signer_sign(struct signer *s, uint32_t host, uint64_t incarnation,
                                        uint64_t version, bool left, uint8_t door,
                                        const struct signed_words *words_or_null);
/* Another with the numbers that `first` has and other contents, by the same owner: equivocation (G7). */
const struct signed_record *signer_twin(struct signer *s, const struct signed_record *first);
/* What was really signed under this hash, or NULL: then it is a forgery. */
const struct signed_record *signer_find(const struct signer *s, const struct hash *hash);
const struct signed_record *signer_find_bytes(const struct signer *s, struct bytes record);
size_t signer_count(const struct signer *s);
const struct signed_record *signer_get(const struct signer *s, size_t i);
/* The record with this number; 0: NULL. */
const struct signed_record *signer_numbered(uint32_t number);

/* gossip_verify.record, with the verdict from memory when these bytes were seen before. */
enum err signer_verify(struct signer *s, struct bytes record, struct gossip_claim *out);

/* Forgeries for forger.c, into *out. A record about `victim` with these numbers, signed by `liar`'s key; a
 * record with the outsider's own name and key, whose credential is of a mesh of the same name with another
 * root. */
void signer_forge(struct signer *s, uint32_t victim, uint32_t liar, uint64_t incarnation, bool left,
                  struct buf *out);
void signer_forge_outsider(struct signer *s, uint64_t incarnation, struct buf *out);

#endif
