/* Who may say what: root, grant, token, credential, record, and their verification against the trusted root.
 *
 *   root        k of n root keys           mesh name, epoch, keys and thresholds of the roles root, policy,
 * enrol grant       an enrol key               a short-lived enrolment key with limits; with its private half
 * it is a token credential  an enrol key or a grant    node name, identity key, Noise key, services, labels,
 * expiry; carries its grant record      the node itself            addresses, services, policy in force;
 * carries its credential
 *
 * Everything is an envelope (envelope.h); bodies are canonical msgpack arrays, laid out in docs/protocol.md.
 * Decoding is on locals and commits after the last check. All structs here own nothing: their slices borrow
 * from the input bytes, which must outlive them. `now` decides expiry only. Limits below are refused beyond,
 * never truncated.
 *
 * A body that needs a voucher carries it as its first element (a credential its grant, a record its
 * credential). The voucher is verified first, then the carrier's raw bytes with the key the voucher names,
 * and only then is the rest of the body parsed: nothing is read that is not signed by a key the root leads
 * to. Grants, credentials and records carry exactly the signatures they need, so that nobody can vary
 * another's bytes by adding one of his own.
 *
 * The *_why forms do the same as the plain ones and name the field that was refused and why, in static texts
 * (struct refusal in codec.h; `why` may be NULL; filled in only on error).
 *
 * The *_create functions sort what has to be sorted, and judge their own output as a reader would before they
 * sign it: what they make is always accepted. ERR_INVALID: a field is out of its limits; ERR_LIMIT: too long
 * as a whole; ERR_NOMEM. */
#ifndef TRUST_TRUST_H
#define TRUST_TRUST_H

#include "base/addr.h"
#include "base/clock.h"
#include "trust/envelope.h"
#include "trust/revoked.h"

enum {
    MESH_NAME_MAX = 63,
    NODE_NAME_MAX = 63,
    SERVICE_NAME_MAX = 63,
    LABEL_MAX = 63, /* bytes of a label's key, and of its value */
    LABELS_MAX = 16,
    ROLE_KEYS_MAX = 8,
    ROOT_DELEGATIONS_MAX = 16,
    DELEGATION_SERVICES_MAX = 16,
    CHAIN_ROOTS_MAX = 256, /* roots from the first to the newest; no root follows the last one */
    CREDENTIAL_SERVICES_MAX = 32,
    RECORD_SERVICES_MAX = 32,
    RECORD_ADDRS_MAX = 2,
    ROOT_BYTES_MAX = 8192,
    CHAIN_BYTES_MAX = 1024 * 1024,
    /* A credential goes with a Noise handshake message into one datagram (UDP_CREDENTIAL_MAX in link/udp.h),
     * and what its grant allows is said twice in it. */
    GRANT_BYTES_MAX = 480,
    CREDENTIAL_BYTES_MAX = 1024,
    RECORD_BYTES_MAX = 8192,
    TOKEN_TEXT_MAX = 16 * 1024,
    /* No token enrols, and no credential lives, for longer. So what a key could do is over that much after it was
     * revoked, whatever was signed before (revocation, docs/trust.md). */
    GRANT_LIFE_MAX_S = 400 * 86400,
    CREDENTIAL_LIFE_MAX_S = 400 * 86400,
    CLOCK_SKEW_S = 600, /* how far ahead of ours the clock of one who signs may be */
};
#define NUMBER_MAX ((uint64_t)INT64_MAX) /* of epochs and policy versions: JSON readers have no larger ones */
#define WALL_MAX   ((wall_s)253402300799) /* the end of the year 9999; no time or life may be beyond it */

/* Lower-case letters, digits, '-', '.', not starting or ending with '-' or '.': what a DNS name allows. One
 * spelling per name. */
bool name_is_sound(struct bytes name, size_t max);
/* 1 to LABEL_MAX letters, digits, '-', '_', '.', '/', ':', '+', '@': what logs, metrics and policies can show
 * as it is. */
bool label_is_sound(struct bytes text);
/* A sound name, or the beginning of one and '*', or '*'. */
bool pattern_is_sound(struct bytes pattern);
bool pattern_matches(struct bytes pattern, struct bytes name);

struct label {
    struct bytes key, value;
};
struct labels {
    size_t count;
    struct label at[LABELS_MAX]; /* sorted by key, no key twice */
};
/* Labels that lie elsewhere, in the same order: what is kept of many hosts has no room for sixteen each. */
struct label_list {
    size_t count;
    const struct label *at;
};
static inline struct label_list labels_list(const struct labels *l)
{
    return (struct label_list){l->count, l->at};
}
/* Inserts in order. ERR_INVALID: not sound; ERR_EXISTS: the key is there with another value; ERR_LIMIT:
 * LABELS_MAX reached. */
must_check enum err labels_add(struct labels *l, struct bytes key, struct bytes value);
/* The value, or NULL. */
const struct bytes *labels_get(const struct labels *l, struct bytes key);
const struct bytes *label_list_get(struct label_list l, struct bytes key);

struct role {
    size_t count, threshold;           /* 1 <= threshold <= count */
    struct node_id key[ROLE_KEYS_MAX]; /* rising, no key twice */
};
/* A part of the policy that others than the policy keys sign (TUF's delegated targets role): these keys may say what holds
 * for these services, and nothing else. */
struct delegation {
    struct bytes name; /* of the part, as name_is_sound() */
    struct role role;
    size_t service_count;
    struct bytes service
        [DELEGATION_SERVICES_MAX]; /* names, and beginnings of names with '*' (pattern_matches()); rising */
};
/* A delegation of this name signs no part, but overlays (policy/overlay.h). */
#define OVERLAY_DELEGATION "break-glass"

struct root {
    struct bytes mesh;
    uint64_t epoch;
    wall_s expires; /* 0 = never; afterwards nothing new begins under it: see docs/trust.md */
    struct role root, policy, enrol;
    size_t delegation_count;
    struct delegation delegation[ROOT_DELEGATIONS_MAX]; /* rising by name, each name once */
};
/* Signs with all of `keys`. Sorts keys, services and delegations. */
must_check enum err root_create(struct buf *out, const struct root *root, const struct sign_key *const *keys,
                                size_t key_count);
/* Parses a root that is trusted on first use (from a token or file): signed by its own threshold.
 * ERR_MALFORMED, ERR_AUTH. */
must_check enum err root_open(struct root *out, struct bytes envelope);
must_check enum err root_open_why(struct root *out, struct bytes envelope, struct refusal *why);
/* The same without judging the signatures: a draft that is carried from signer to signer. ERR_MALFORMED, ERR_AUTH (a key in
 * it is not sound). */
must_check enum err root_read(struct root *out, struct bytes envelope, struct refusal *why);
/* Rotation (TUF specification 5.3): is `envelope` the root that comes after `now`? Its epoch is the next one, its mesh
 * the same, and it carries valid signatures by `now`'s threshold of `now`'s root keys and by its own threshold of its own,
 * none that is wrong and none by others. A key that is in both counts for both, once each. That `now` has expired does not
 * matter: its keys may always be followed by a new root.
 *   ERR_STALE      an epoch that is not above `now`'s (an old root replayed)
 *   ERR_NOT_FOUND  an epoch beyond the next: the roots between are missing
 *   ERR_AUTH       signatures; ERR_FOREIGN; ERR_MALFORMED; ERR_NOMEM */
must_check enum err root_follow(struct root *out, const struct root *now, struct bytes envelope,
                                struct refusal *why);
/* What a root says, whoever signed it: SHA-256 of its body. Zeros for what is no envelope. */
struct hash root_hash(struct bytes envelope);
/* The delegation of this name, or NULL. */
const struct delegation *root_delegation(const struct root *r, struct bytes name);
bool role_has(const struct role *r, const struct node_id *key);

/* All roots from the first that anybody was given to the newest, so that whoever trusts one of them walks to the last:
 *   msgpack [root envelope bin, ...]       1 to CHAIN_ROOTS_MAX, each the successor of the one before
 * Two chains with the same bodies are the same chain (`hash`), whichever of the signers' signatures they carry. */
struct chain {
    size_t count;
    struct bytes envelope[CHAIN_ROOTS_MAX]; /* borrowed from the input */
    uint64_t first_epoch;
    struct root newest;
    struct hash hash;
};
/* The chain of these roots, of one, or `chain` (a good one's bytes) and one more; nothing is verified. ERR_NOMEM; ERR_LIMIT: CHAIN_ROOTS_MAX or
 * CHAIN_BYTES_MAX reached. */
must_check enum err chain_of(struct buf *out, const struct bytes *root_envelope, size_t count);
must_check enum err chain_begin(struct buf *out, struct bytes root_envelope);
must_check enum err chain_append(struct buf *out, struct bytes chain, struct bytes root_envelope);
/* Reads a chain and verifies every step in it. `holds` (may be NULL) is the root_hash() of one that must be in it, which
 * is looked for first: a chain of strangers costs its reader no verification. Without it, nothing says that the chain is to
 * be believed.
 *   ERR_CONFLICT   it does not hold that root: another branch, or another history
 *   ERR_MALFORMED, ERR_AUTH, ERR_FOREIGN, ERR_STALE, ERR_NOT_FOUND   as root_follow(), of the first bad step
 *   ERR_NOMEM */
must_check enum err chain_open(struct chain *out, struct bytes in, const struct hash *holds_or_null,
                               struct refusal *why);
/* Is a root in it that says this? */
bool chain_has(const struct chain *c, const struct hash *root);

struct grant {
    struct bytes mesh;
    struct node_id key;        /* the enrolment key this grant speaks for */
    struct bytes node_pattern; /* a node name; '*' at its end stands for any rest */
    size_t service_count;
    struct bytes service[CREDENTIAL_SERVICES_MAX]; /* "*" allows all */
    struct labels labels;       /* a credential may only carry these values for these keys, and any others */
    wall_s not_before, expires; /* of the grant: no credential may begin outside */
    wall_s credential_life;     /* seconds a credential may live, also beyond the end of the grant */
};
must_check enum err grant_create(struct buf *out, const struct grant *g, const struct sign_key *enrol_key);
/* Verified against the root; expiry is not judged (an expired grant still vouches for the credentials begun
 * within it). ERR_MALFORMED, ERR_AUTH, ERR_FOREIGN. */
must_check enum err grant_open_why(struct grant *out, const struct root *root, struct bytes envelope,
                                   struct refusal *why);
bool grant_allows(const struct grant *g, struct bytes service);

/* A token: "starling-token-1:" and base64 of [root envelope, grant envelope, 32-byte seed of the grant's
 * key]; or "starling-token-2:" with a chain of roots in the place of the root, for hosts that trust one of them and
 * have missed what came after it. */
struct token {
    struct bytes root, grant; /* envelopes; of a chain the newest root */
    struct bytes chain;       /* as chain_open() reads it; empty: there is none */
    struct sign_key key;
};
must_check enum err token_encode(struct buf *out, struct bytes root, struct bytes grant,
                                 const struct sign_key *key);
/* With a chain whose last root vouches for the grant. ERR_LIMIT: longer than TOKEN_TEXT_MAX; ERR_NOMEM. */
must_check enum err token_encode_chain(struct buf *out, struct bytes chain, struct bytes grant,
                                       const struct sign_key *key);
/* Decodes and verifies all three against each other, a chain step by step. `space` holds the decoded bytes that *out borrows from;
 * end both with token_fini() (also after an error). White space around the text is ignored: it gets pasted.
 * ERR_MALFORMED, ERR_AUTH, ERR_FOREIGN, ERR_EXPIRED (or not yet valid), ERR_NOMEM. */
must_check enum err token_decode(struct token *out, struct buf *space, struct bytes text, wall_s now);
must_check enum err token_decode_why(struct token *out, struct buf *space, struct bytes text, wall_s now,
                                     struct refusal *why);
void token_fini(struct token *t, struct buf *space); /* wipes the private key */

struct credential {
    struct bytes mesh, node;
    struct node_id id;     /* Ed25519 identity */
    uint8_t noise_key[32]; /* X25519 */
    size_t service_count;
    struct bytes
        service[CREDENTIAL_SERVICES_MAX]; /* this host may offer them and speak for them; "*" = any */
    struct labels labels;
    wall_s not_before, expires;
    struct bytes bytes; /* the whole envelope */
    struct bytes grant; /* the grant envelope inside, or empty when signed by an enrol key itself */
};
/* Signs a credential: with the token's grant (grant envelope included), or with an enrol key (grant empty).
 * `c->bytes` and `c->grant` are not read. Whether it keeps within the grant is not judged here: enrol() does,
 * and so does everybody who is shown it. */
must_check enum err credential_create(struct buf *out, const struct credential *c, struct bytes grant,
                                      const struct sign_key *key);
must_check enum err credential_create_why(struct buf *out, const struct credential *c, struct bytes grant,
                                          const struct sign_key *key, struct refusal *why);
/* Is it within these limits? ERR_DENIED, ERR_FOREIGN. */
must_check enum err credential_within_grant(const struct credential *c, const struct grant *g,
                                            struct refusal *why);
/* Of a credential that was accepted: the key of the token it was enrolled with. False: an enrol key signed it itself. */
bool credential_token(const struct credential *c, struct node_id *key);
bool credential_allows(const struct credential *c, struct bytes service);

struct record_service {
    struct bytes name;
    uint16_t port;    /* on the owner's host, not 0, for information; traffic goes over the mesh */
    uint8_t protocol; /* enum service_protocol */
    bool healthy;
    struct labels labels;
};
enum service_protocol { PROTOCOL_TCP, PROTOCOL_HTTP };
enum { FEATURE_AESGCM = 1 }; /* record.features: the host has AES-GCM in hardware */
enum {
    RECORD_REASON_MAX = 16,
    RECORD_WORDS_MAX = 128,
    RECORD_COORDINATE_BYTES = 11, /* gossip's, of no meaning here */
    RECORD_UNKNOWN_MAX = 16,      /* elements that a later version of the record has added */
};

/* Why the newest policy that a host was brought is not in force there: a name of one word, and details in printable ASCII. */
struct record_failed {
    uint64_t epoch, version;
    struct bytes reason, words; /* reason empty: nothing failed */
};
/* What a host counted under one version of the policy, and what it says while another is being rolled out. */
struct record_count {
    uint64_t requests, errors, denied; /* the two are parts of the first */
    uint64_t p99_us;
};
struct record_rollout {
    uint64_t epoch, version; /* that is rolled out; version 0: it says nothing */
    bool halted;
    struct record_count before, after; /* under the version before, and under this one */
};
struct record_overlay {      /* the newest break-glass that a host holds */
    uint64_t epoch, version; /* version 0: none */
    wall_s ends;
    bool in_force; /* there, when it said so */
};
struct record {
    struct credential credential;
    uint64_t incarnation, version;
    bool left, draining;
    size_t addr_count;
    struct addr addr[RECORD_ADDRS_MAX];    /* dialable; loopback is for the caller to judge */
    uint32_t features;                     /* FEATURE_ bits; unknown ones are kept */
    uint16_t protocol_min, protocol_max;   /* versions that the host speaks, 1..256; 0 is written as 1 */
    uint8_t link_min, link_max;            /* of its links and sessions, 1..16; 0 is written as 1 */
    uint64_t policy_epoch, policy_version; /* in force; 0,0 = none, and then the hash is zeros */
    struct hash policy_hash;
    /* 1: the record ends here (with its services), and every agent reads it. 2: the rest is in it too; a reader of version 1 refuses it, so it
     * is signed only while all members speak 2 (docs/protocol.md, Versions). 0 is written as 1. */
    uint8_t layout;
    uint8_t coordinate[RECORD_COORDINATE_BYTES]; /* zeros: none */
    uint64_t root_epoch;                         /* of the root that the host trusts; 0: not said */
    struct record_failed failed;
    uint64_t parts_sum; /* of the versions of the parts that the host holds; 0: it holds none */
    struct hash parts_hash;
    struct record_rollout rollout;
    struct record_overlay overlay;
    struct bytes unknown; /* spelled as it came, in a record that was read */
    size_t unknown_count;
    struct hash hash; /* of the envelope, in a record that trust_cache_record() has read */
    size_t service_count;
    struct record_service
        service[RECORD_SERVICES_MAX]; /* sorted by name, each name once; the last, as few are in use */
};
/* Of `r->credential` only `bytes` is read: the envelope that goes in. */
must_check enum err record_create(struct buf *out, const struct record *r, const struct sign_key *identity);
must_check enum err record_create_why(struct buf *out, const struct record *r,
                                      const struct sign_key *identity, struct refusal *why);

/* The anchor everything is checked against: a root, and the keys that are revoked. Immutable and reference-counted, so
 * that loops share it: a new root or a new revocation makes another one, which takes the place of the first. */
struct trust;
/* Copies the root; takes a reference to the set (NULL: nothing is revoked). root_open()'s errors, ERR_NOMEM. */
must_check enum err trust_new(struct trust **out, struct bytes root_envelope, struct revoked *revoked);
/* The same root with another set of revoked keys. ERR_NOMEM. */
must_check enum err trust_revoking(struct trust **out, const struct trust *t, struct revoked *revoked);
struct trust *trust_ref(struct trust *t);
void trust_unref(struct trust *t);                    /* NULL is fine */
struct revoked *trust_revoked(const struct trust *t); /* borrowed; may be NULL */
const struct root *trust_root(const struct trust *t);

/* ERR_MALFORMED, ERR_AUTH (signature, key not sound), ERR_FOREIGN (another mesh), ERR_EXPIRED (or not yet
 * valid, beyond 10 minutes of skew), ERR_DENIED (outside its grant's limits), ERR_REVOKED (its identity key, its
 * grant's key or an enrol key that signed for it). */
must_check enum err trust_credential(const struct trust *t, struct bytes envelope, wall_s now,
                                     struct credential *out);
must_check enum err trust_credential_why(const struct trust *t, struct bytes envelope, wall_s now,
                                         struct credential *out, struct refusal *why);
/* Is it of a host that a rotation left behind? Judged, at `now` and revocations aside, by the newest root before the last one of the
 * chain that lists an enrol key which signed it, or its grant; *epoch is that root's. It costs no verification unless it names such
 * a key, so it may be asked about strangers. */
bool credential_was_vouched(const struct chain *c, struct bytes credential, wall_s now,
                            struct credential *out, uint64_t *epoch);
/* What a credential, or a record, says that was accepted before, from the same bytes, without judging it again: whoever keeps many
 * of them keeps their bytes. */
void credential_reopen(struct credential *out, struct bytes envelope);
void record_reopen(struct record *out, struct bytes envelope);
/* Would a credential that was accepted before, under another trust or at another time, still be? Signatures are not
 * verified again, everything else is: what a loop asks of its links when the trust has changed. `c` as trust_credential()
 * filled it in. */
must_check enum err trust_recheck(const struct trust *t, const struct credential *c, wall_s now);
/* The record's credential first, then the record's own signature, then its limits: a service that the
 * credential does not allow is ERR_DENIED. */
must_check enum err trust_record(const struct trust *t, struct bytes envelope, wall_s now,
                                 struct record *out);
must_check enum err trust_record_why(const struct trust *t, struct bytes envelope, wall_s now,
                                     struct record *out, struct refusal *why);

#endif
