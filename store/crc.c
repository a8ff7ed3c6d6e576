#include "store/crc.h"

#include <pthread.h>

static uint64_t table[256];

static void fill_table(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v & 1 ? v >> 1 ^ 0xC96C5795D7870F42u : v >> 1;
        table[i] = v;
    }
}

uint64_t crc64(uint64_t crc, struct bytes b)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_table);
    crc = ~crc;
    for (size_t i = 0; i < b.len; i++)
        crc = table[(uint8_t)crc ^ b.at[i]] ^ crc >> 8;
    return ~crc;
}
