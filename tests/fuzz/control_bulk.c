/* The plaintext of a member's records, cut as the input says, against a plain reading of the whole: the same messages come
 * out in the same order wherever the cuts are, and memory stays within what has arrived.
 *   input   u8 length of a piece (0: 4096) | piece, again and again */
#include <stdlib.h>

#include "control/assembly.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* The message at *done of all plaintext so far: what assembly_poll() should say. */
static enum err read_plainly(const struct buf *all, size_t *done, struct bytes *message)
{
    if (all->len - *done < 4)
        return ERR_AGAIN;
    size_t n = load_be32(all->at + *done);
    if (n == 0 || n > GOSSIP_BULK_MAX)
        return ERR_MALFORMED;
    if (all->len - *done - 4 < n)
        return ERR_AGAIN;
    *message = bytes_of(all->at + *done + 4, n);
    *done += 4 + n;
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct assembly a = {.done = 0};
    struct buf all = {0};
    size_t done = 0;
    enum err e = ERR_AGAIN;
    while (e == ERR_AGAIN && len > 0) {
        size_t n = *at ? *at : 4096;
        at++;
        len--;
        n = n < len ? n : len;
        buf_add(&all, at, n);
        check(assembly_feed(&a, bytes_of(at, n)) == ERR_OK);
        at += n;
        len -= n;
        struct bytes got, want;
        while ((e = assembly_poll(&a, &got)) == ERR_OK) {
            check(read_plainly(&all, &done, &want) == ERR_OK && bytes_eq(got, want));
            struct buf again = {0};
            assembly_put(&again, got);
            check(again.len == 4 + got.len && memcmp(again.at, got.at - 4, again.len) == 0);
            buf_fini(&again);
        }
        check(e == read_plainly(&all, &done, &want));
        check(a.bytes.cap <= 2 * all.len + 64);
    }
    assembly_fini(&a);
    buf_fini(&all);
    return 0;
}
