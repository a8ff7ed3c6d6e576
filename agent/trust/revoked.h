/* Keys that count for nothing any more: an immutable, reference-counted set.
 *
 * A revocation names a key, never a credential or its hash (of one credential any number can be signed): an identity
 * key ends its host, a grant's key every host enrolled with that token, an enrol key every token made with it. Keys
 * have one encoding each (sign.h), so their bytes are compared. */
#ifndef TRUST_REVOKED_H
#define TRUST_REVOKED_H

#include "base/err.h"
#include "base/id.h"

enum { REVOKED_KEYS_MAX = 16384 }; /* in one set */

struct revoked;
/* Copies; order and repetitions do not matter. ERR_LIMIT: more than REVOKED_KEYS_MAX different ones; ERR_NOMEM. */
must_check enum err revoked_new(struct revoked **out, const struct node_id *key, size_t count);
struct revoked *revoked_ref(struct revoked *r); /* NULL is fine, and is the empty set */
void revoked_unref(struct revoked *r);
bool revoked_has(const struct revoked *r, const struct node_id *key);
size_t revoked_count(const struct revoked *r);
/* In the order of their bytes. */
const struct node_id *revoked_key(const struct revoked *r, size_t index);

#endif
