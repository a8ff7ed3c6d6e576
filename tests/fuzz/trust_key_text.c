/* Key files of any content: what is accepted is the one spelling of its key, and is refused under any other name; a
 * refusal leaves no secret behind. No passphrase is given: argon2id would take all the time. u8 mode   0: the
 * bytes are the text   1: edits of a sound line   2: edits of a sealed one */
#include "trust_world.h"

static const char *const kinds[] = {"root", "policy", "enrol", "identity", "noise"};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool is_zero(const uint8_t secret[32])
{
    uint8_t any = 0;
    for (size_t i = 0; i < 32; i++)
        any |= secret[i];
    return any == 0;
}

static void judge(struct bytes text)
{
    size_t taken = 0;
    for (size_t i = 0; i < KINDS; i++) {
        uint8_t secret[32];
        struct buf again = {0};
        memset(secret, 0xaa, sizeof secret);
        enum err e = key_text_decode(text, kinds[i], NULL, secret);
        check(is_zero(secret) == (e != ERR_OK));
        check(e == ERR_OK || e == ERR_MALFORMED || e == ERR_INVALID || e == ERR_DENIED);
        check(e != ERR_DENIED || key_text_is_sealed(text));
        if (e == ERR_OK) {
            taken++;
            check(text.len <= KEY_TEXT_MAX && !key_text_is_sealed(text));
            check(key_text_encode(&again, kinds[i], secret, NULL) == ERR_OK);
            check(bytes_eq(text, buf_bytes(&again)));
        }
        buf_fini(&again);
    }
    check(taken <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    static struct buf plain, sealed_line;
    static const uint8_t secret[32] = {7, [31] = 1};
    struct rd r = rd_init(bytes_of(in, len));
    if (plain.len == 0) {
        check(trust_init() == ERR_OK);
        check(key_text_encode(&plain, "policy", secret, NULL) == ERR_OK);
        check(key_text_encode(&sealed_line, "policy", secret, "a passphrase") == ERR_OK);
    }
    int mode = rd_u8(&r) % 3;
    if (mode == 0) {
        judge(rd_bytes(&r, rd_left(&r)));
        return 0;
    }
    struct buf text = edited(buf_bytes(mode == 1 ? &plain : &sealed_line), &r);
    judge(buf_bytes(&text));
    buf_fini(&text);
    return 0;
}
