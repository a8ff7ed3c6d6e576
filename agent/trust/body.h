/* What the files of this room share about bodies: names and lists as they are spelled inside them, and the
 * one way to sign a body that its own decoder accepts. Not for other rooms. */
#ifndef TRUST_BODY_H
#define TRUST_BODY_H

#include "trust/cache.h"

void body_put_time(struct buf *out, wall_s t);
wall_s body_time(struct codec *c, const char *field);

/* Text of the caller's. What is not UTF-8 goes in as a byte string, which our own decoder then refuses
 * (body_seal). */
void body_put_text(struct buf *out, struct bytes text);
/* A name of name_is_sound(). */
struct bytes body_name(struct codec *c, const char *field, size_t max);

/* {key: value, ...}, a map that rises by key. */
void body_put_labels(struct buf *out, const struct labels *l);
void body_labels(struct codec *c, const char *field, struct labels *out);

/* [name, ...] rising, at least one; or ["*"]: any. Writes in order whatever the order given. */
void body_put_services(struct buf *out, const struct bytes *service, size_t count);
size_t body_services(struct codec *c, const char *field, struct bytes out[CREDENTIAL_SERVICES_MAX]);
bool body_service_listed(const struct bytes *service, size_t count, struct bytes name);

/* An Ed25519 public key, sound. */
void body_sign_pub(struct codec *c, const char *field, struct node_id *out);
/* One that may identify a host (sign_pub_may_identify()). */
void body_identity_pub(struct codec *c, const char *field, struct node_id *out);

/* Reports one refusal; returns `err`. */
enum err body_refuse(struct refusal *why, enum err err, const char *field, const char *reason);
/* Is it of this type? ERR_UNSUPPORTED: a later version of it, whose body nobody here can read; ERR_MALFORMED: another, `not_one`. */
must_check enum err body_type(const struct envelope *e, const char *type, const char *not_one,
                              struct refusal *why);
/* envelope_verify() with one answer, ERR_AUTH, for both kinds of bad signing; `others` says whose signature
 * is missing. */
must_check enum err body_verify(const struct envelope *e, const char *type, const struct role *by,
                                const char *field, const char *others, struct refusal *why);
/* Who has signed, with nothing verified: every signature by a listed key, and none of them revoked? ERR_AUTH,
 * ERR_REVOKED. */
must_check enum err body_signers(const struct envelope *e, const struct role *by,
                                 const struct revoked *revoked, const char *field, const char *others,
                                 struct refusal *why);
/* Signs and appends the body just encoded, unless encoding failed (ERR_NOMEM), `judged` (what our own decoder
 * said of it) is an error (given back as ERR_INVALID), or the whole gets longer than `max` (ERR_LIMIT). */
must_check enum err body_seal(struct buf *out, const char *type, const struct buf *body, enum err judged,
                              const struct sign_key *const *keys, size_t key_count, size_t max,
                              struct refusal *why);

/* The text form of what people carry about: `head` and the base64 of `raw`. */
must_check enum err body_wrap(struct buf *out, const char *head, struct bytes raw);
/* Back into `space`. White space around it is ignored: it gets pasted. ERR_MALFORMED, ERR_NOMEM. */
must_check enum err body_unwrap(struct buf *space, const char *head, struct bytes text, size_t max,
                                const char *field, struct refusal *why);

/* What a body says: everything but the signatures. `vouched`: these very bytes were accepted before, the keys in them need not be
 * examined again. */
void root_decode(struct codec *c, struct root *out, bool vouched);
void grant_decode(struct codec *c, struct grant *out, bool vouched);
void credential_decode(struct codec *c, struct credential *out, bool vouched);
void record_decode(struct codec *c, struct record *out);

/* What an envelope is judged by. */
struct judging {
    const struct root *root;
    const struct revoked *revoked;
    struct trust_cache *seen; /* NULL: every signature is verified */
    wall_s now;
    struct refusal *why; /* may be NULL */
};
struct judging judging_by(const struct trust *t, struct trust_cache *seen, wall_s now, struct refusal *why);
/* `vouched`: these very bytes were accepted before, or lie in a record that was: signatures are not verified again.
 * Who signed, whether the root still lists them, whether a key is revoked, and the times are judged always. */
must_check enum err grant_judge(const struct judging *j, bool vouched, struct bytes envelope,
                                struct grant *out);
must_check enum err credential_judge(const struct judging *j, bool vouched, struct bytes envelope,
                                     struct credential *out);
must_check enum err record_judge(const struct judging *j, struct bytes envelope, struct record *out);

/* Of cache.c: was this envelope accepted before, and does it last beyond `now`? */
bool cache_knows(struct trust_cache *k, const struct hash *envelope, wall_s now);
void cache_learn(struct trust_cache *k, const struct hash *envelope, wall_s until, wall_s now);

#endif
