/* CRC-64/XZ (ECMA-182, reflected): the checksum of every stored value.
 *
 * LMDB has none, so what a failing disk or a stray write does to a page would pass unseen (ADVERSARY, "What
 * decides the design", 3). The checksum is against accidents, not attackers: whoever can write the file owns
 * the agent, and what must not be forged is signed. A 64-bit CRC finds every burst of up to 64 bits and every
 * one, two or three flipped bits, misses other damage once in 2^64, and needs no library. */
#ifndef STORE_CRC_H
#define STORE_CRC_H

#include "base/bytes.h"

/* Continues `crc` (0 to begin) over these bytes: crc64(crc64(0, a), b) is that of a and b joined. */
uint64_t crc64(uint64_t crc, struct bytes b);

#endif
