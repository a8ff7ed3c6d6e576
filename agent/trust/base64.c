#include "trust/base64.h"

#include <sodium.h>

/* libsodium reads a char, which has a sign here: a byte from 0x80 on passes its branch-free comparison with 'A',
 * and stands for six zero bits. */
static bool is_ascii(struct bytes text)
{
    uint8_t any = 0;
    for (size_t i = 0; i < text.len; i++)
        any |= text.at[i];
    return any < 0x80;
}

bool base64_decode(void *out, size_t cap, size_t *len, struct bytes text)
{
    return is_ascii(text) && sodium_base642bin(out, cap, (const char *)text.at, text.len, NULL, len, NULL,
                                               sodium_base64_VARIANT_ORIGINAL) == 0;
}
