/* Private to this room: keying a cipher state, and the AEAD of Noise with an explicit nonce (any, 2^64-1 too)
 * between two buffers that are the same or do not overlap. */
#ifndef NOISE_AEAD_H
#define NOISE_AEAD_H

#include "noise/noise.h"

/* Leaves n alone. For AESGCM the hardware must be there. `key` may be c->key. */
void noise_cipher_set_key(struct noise_cipherstate *c, enum noise_cipher cipher,
                          const uint8_t key[NOISE_KEY_BYTES]);
/* Writes plain.len + 16 bytes. */
void noise_aead_seal(const struct noise_cipherstate *c, uint64_t n, uint8_t *out, struct bytes plain,
                     struct bytes ad);
/* Writes sealed.len - 16 bytes (sealed.len >= 16); false: not authentic, and out holds nothing of use. */
bool noise_aead_open(const struct noise_cipherstate *c, uint64_t n, uint8_t *out, struct bytes sealed,
                     struct bytes ad);

#endif
