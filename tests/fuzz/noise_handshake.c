/* Hostile bytes as handshake messages, to either role of XX and IK: whoever does not compute the handshake
 * does not complete it, and no message makes the reader look past its end. u8 flags (1: IK, 2: we initiate,
 * 4: AESGCM), then messages: be16 length and so many bytes */
#include <stdlib.h>

#include "noise/noise.h"
#include "noise/prim.h"

enum { OUT_MAX = 4096 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    static uint8_t ours[32] = {0x11}, other[32] = {0x22, 0x22}, e[32] = {0x33, 0x33}, other_pub[32],
                   out[OUT_MAX];
    struct rd r = rd_init(bytes_of(in, len));
    uint8_t flags = rd_u8(&r);
    struct noise_handshake hs;
    size_t n;
    prim_dh_public(other_pub, other);
    struct noise_setup s = {
        .pattern = flags & 1 ? &noise_ik : &noise_xx,
        .initiator = flags & 2,
        .cipher = flags & 4 ? NOISE_AESGCM : NOISE_CHACHAPOLY,
        .s_sec = ours,
        .rs = (flags & 3) == 3 ? other_pub : NULL,
        .e_sec = e,
    };
    if (noise_handshake_init(&hs, &s) != ERR_OK)
        return 0;
    enum err err = ERR_OK;
    while (err == ERR_OK && !hs.done && rd_left(&r) > 0) {
        if (noise_handshake_is_my_turn(&hs)) {
            err = noise_handshake_write(&hs, bytes_str("ours"), out, sizeof out, &n);
            continue;
        }
        struct bytes msg = rd_lv16(&r);
        err = noise_handshake_read(&hs, msg, out, sizeof out, &n);
        check(err != ERR_OK || n <= msg.len);
    }
    /* A responder of IK is done by writing; its reading the first message was luck that nobody has. */
    check(!hs.done);
    check((err != ERR_OK && err != ERR_LIMIT) == hs.failed);
    noise_handshake_fini(&hs);
    return 0;
}
