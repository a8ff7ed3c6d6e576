/* Beside each key lies the last that it signed: nobody is talked into signing a lower version, or a second text of one,
 * without meaning it (ADVERSARY B24, B12). One line, "starling-signed-1 EPOCH VERSION HASH", in KEY.signed of policies and in
 * KEY.overlay of overlays, where KEY is the key's path without ".key". */
#ifndef CLI_SIGNED_H
#define CLI_SIGNED_H

#include "cli/keys.h"

#define SIGNED_POLICY  "signed"
#define SIGNED_OVERLAY "overlay"

struct signed_as {
    uint64_t epoch, version;
    struct hash hash;
};
/* Asks the notes of all keys of the ring, then writes them: all, or none was allowed. `lower`: whatever they say. ERR_STALE: a key
 * has signed a higher version, or another text of this one; `why` says which. Or what writing fails with. */
must_check enum err signed_remember(const struct keys_ring *ring, const char *suffix,
                                    const struct signed_as *now, bool lower, struct buf *why);

#endif
