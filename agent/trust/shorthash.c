#include "trust/shorthash.h"

#include <assert.h>
#include <sodium.h>

static_assert(crypto_shorthash_KEYBYTES == SHORTHASH_KEY_BYTES && crypto_shorthash_BYTES == 8, "SipHash-2-4");

uint64_t shorthash(const struct shorthash_key *k, struct bytes in)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, in.at, in.len, k->b);
    return load_be64(out);
}
