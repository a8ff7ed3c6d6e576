/* A keyed hash of a few bytes to 64 bits for tables that strangers put keys into: SipHash-2-4 (Aumasson and Bernstein 2012), by
 * libsodium. Who does not know the key finds no two inputs that meet, so nobody can choose what shares a slot with what.
 * For tables in memory only: nothing of it is ever stored or sent. */
#ifndef TRUST_SHORTHASH_H
#define TRUST_SHORTHASH_H

#include "base/bytes.h"

enum { SHORTHASH_KEY_BYTES = 16 };
struct shorthash_key { /* random, of one process */
    uint8_t b[SHORTHASH_KEY_BYTES];
};
uint64_t shorthash(const struct shorthash_key *k, struct bytes in);

#endif
