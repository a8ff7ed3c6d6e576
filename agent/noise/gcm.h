/* Private to this room: AES-256-GCM by libcrypto, for one direction of a link. libsodium's is the quicker one below about a
 * kibibyte (120 against 200 ns for 64 bytes) and reads a key in no time, but for a full record it takes 2.4 times as long (2.3
 * against 5.6 GB/s). Both give the same bytes; tests/unit/noise_gcm.c holds them against each other. No associated data. */
#ifndef NOISE_GCM_H
#define NOISE_GCM_H

#include "noise/noise.h"

enum { GCM_NONCE_BYTES = 12, GCM_BYTES_MIN = 1024 /* what is shorter is better left to libsodium */ };

struct noise_gcm; /* a key, for sealing only or for opening only */
/* NULL: no memory, or this build of libcrypto has no such cipher. */
struct noise_gcm *noise_gcm_new(const uint8_t key[NOISE_KEY_BYTES], bool sealing);
void noise_gcm_free(struct noise_gcm *g); /* wipes the key; NULL is fine */
/* Writes plain.len + 16 bytes; `out` is plain.at or does not overlap it. False: it could not (nothing may be sent then). */
must_check bool noise_gcm_seal(struct noise_gcm *g, const uint8_t nonce[GCM_NONCE_BYTES], uint8_t *out,
                               struct bytes plain);
/* Writes sealed.len - 16 bytes; false: not authentic, and `out` is wiped. */
must_check bool noise_gcm_open(struct noise_gcm *g, const uint8_t nonce[GCM_NONCE_BYTES], uint8_t *out,
                               struct bytes sealed);

#endif
