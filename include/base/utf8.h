/* UTF-8 (RFC 3629), byte by byte: no overlong form, no surrogate, nothing above U+10FFFF. Libc only. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

struct utf8 {       /* zero-initialised: between two characters */
    uint32_t point; /* so far; the character itself when `more` is 0 */
    uint32_t least; /* that needs so many bytes (overlong below it) */
    int more;       /* continuation bytes that must follow */
};

/* Takes the next byte. A character is whole when true comes back and `more` is 0. False: this is not UTF-8; take no
 * further byte. */
static inline bool utf8_take(struct utf8 *u, uint8_t b)
{
    if (u->more == 0) {
        u->more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : b >= 0x80 ? 1 : 0;
        u->least = b >= 0xf0 ? 0x10000 : b >= 0xe0 ? 0x800 : b >= 0x80 ? 0x80 : 0;
        u->point = b < 0x80 ? b : b & (0x3fu >> u->more);
        return b < 0x80 || (b >= 0xc2 && b <= 0xf4);
    }
    if ((b & 0xc0) != 0x80)
        return false;
    u->point = u->point << 6 | (b & 0x3f);
    if (--u->more > 0)
        return true;
    return u->point >= u->least && u->point <= 0x10ffff && (u->point < 0xd800 || u->point > 0xdfff);
}

#endif
