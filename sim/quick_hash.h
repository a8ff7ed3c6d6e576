/* A hash of bytes for tables and traces, where nobody attacks: the same on every machine. Four sums side by side, as in
 * xxHash (Collet 2012), so that their multiplications need not wait for one another. */
#ifndef SIM_QUICK_HASH_H
#define SIM_QUICK_HASH_H

#include "base/bytes.h"

static inline uint64_t quick_word(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 32;
}

static inline uint64_t quick_hash(uint64_t seed, struct bytes b)
{
    uint64_t sum[4] = {seed + b.len, seed ^ 0xbf58476d1ce4e5b9u, seed ^ 0x94d049bb133111ebu, ~seed};
    size_t i = 0;
    for (; i + 32 <= b.len; i += 32) { /* by hand: at -O2 an inner loop stays one, with its sums in memory */
        sum[0] = quick_word(sum[0], load_be64(b.at + i));
        sum[1] = quick_word(sum[1], load_be64(b.at + i + 8));
        sum[2] = quick_word(sum[2], load_be64(b.at + i + 16));
        sum[3] = quick_word(sum[3], load_be64(b.at + i + 24));
    }
    for (; i + 8 <= b.len; i += 8)
        sum[0] = quick_word(sum[0], load_be64(b.at + i));
    for (; i < b.len; i++)
        sum[1] = (sum[1] ^ b.at[i]) * 0x9e3779b97f4a7c15u;
    for (size_t lane = 1; lane < 4; lane++) {
        sum[0] = (sum[0] ^ sum[lane]) * 0xd6e8feb86659fd93u;
        sum[0] ^= sum[0] >> 29;
    }
    return sum[0];
}

#endif
