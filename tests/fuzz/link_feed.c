/* A TCP link fed by a stranger, and by a wire that loses its bits. The first byte says how:
 *   0  raw bytes to a responder         1  raw bytes to an initiator that has sent its hello
 *   2  raw bytes after a handshake      3  a script of (u8 op, u8 arg) over records after a handshake
 * A stranger never gets a link up or a record through, and what comes out of a link is, in order, what was
 * sealed into it. */
#include <stdlib.h>

#include "link/link.h"
#include "noise/prim.h"

enum { RECORDS_MAX = 256 };

static const uint8_t a_secret[32] = {0x11, 0x11}, b_secret[32] = {0x22, 0x22};
static struct link *a, *b;
static struct buf a_out, b_out;
static uint8_t sealed_len[RECORDS_MAX]; /* record i is so many bytes of value i */
static size_t sealed, opened;

static void check(bool ok)
{
    if (!ok)
        abort();
}

static enum err verify(void *arg, struct bytes credential, const uint8_t noise_key[32], struct node_id *id)
{
    (void)arg;
    (void)noise_key;
    memset(id, 7, sizeof *id);
    return bytes_eq_str(credential, "credential") ? ERR_OK : ERR_DENIED;
}

static void begin(bool ik)
{
    static uint8_t b_pub[32];
    struct link_setup s = {
        .kind = LINK_TRAFFIC,
        .mesh = bytes_str("mesh"),
        .credential = bytes_str("credential"),
        .noise_secret = b_secret,
        .verify = {.credential = verify},
    };
    prim_dh_public(b_pub, b_secret);
    b = link_accept(&s, 0);
    s.noise_secret = a_secret;
    s.remote_key = ik ? b_pub : NULL;
    a = link_connect(&s, 0);
    check(a && b);
    sealed = opened = 0;
}

static void end(void)
{
    link_free(a);
    link_free(b);
    buf_fini(&a_out);
    buf_fini(&b_out);
}

/* Feeds and polls as a loop does; stops at the first error. */
static enum err feed(struct link *l, struct bytes in)
{
    struct bytes record;
    size_t used;
    while (in.len > 0) {
        enum err e = link_feed(l, in, &used, 0);
        check(used <= in.len && (e != ERR_OK || used > 0));
        in = bytes_of(in.at + used, in.len - used);
        while (link_poll_record(l, &record)) {
            check(opened < sealed && record.len == sealed_len[opened]);
            for (size_t i = 0; i < record.len; i++)
                check(record.at[i] == (uint8_t)opened);
            opened++;
        }
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static void come_up(void)
{
    for (int i = 0; i < 2; i++) {
        check(link_poll_send(a, &a_out) == ERR_OK && feed(b, buf_bytes(&a_out)) == ERR_OK);
        a_out.len = 0;
        check(link_poll_send(b, &b_out) == ERR_OK && feed(a, buf_bytes(&b_out)) == ERR_OK);
        b_out.len = 0;
    }
    check(link_is_up(a) && link_is_up(b));
}

/* In chunks, with what is due sent in between. */
static void stranger(struct link *l, struct bytes in, size_t chunk)
{
    enum err e = ERR_OK;
    while (in.len > 0 && e == ERR_OK) {
        size_t n = in.len < chunk ? in.len : chunk;
        e = feed(l, bytes_of(in.at, n));
        if (e == ERR_OK)
            e = link_poll_send(l, &b_out);
        in = bytes_of(in.at + n, in.len - n);
    }
    check(e != ERR_OK || !link_is_closed_by_peer(l));
}

static void seal(uint8_t n)
{
    size_t cap;
    if (sealed == RECORDS_MAX || n == 0)
        return;
    uint8_t *at = link_seal_begin(a, &a_out, n, &cap);
    if (!at)
        return; /* closed by us */
    memset(at, (int)sealed, n);
    sealed_len[sealed++] = n;
    check(cap == n && link_seal_end(a, &a_out, n) == ERR_OK);
}

static void script(struct rd *r)
{
    bool is_bent = false;
    while (rd_left(r) >= 2) {
        uint8_t op = rd_u8(r), arg = rd_u8(r);
        size_t n = arg < a_out.len ? arg : a_out.len;
        if (op % 4 == 0) {
            seal(arg);
        } else if (op % 4 == 1) {
            enum err e = feed(b, bytes_of(a_out.at, n));
            check(e == ERR_OK || is_bent);
            buf_consume(&a_out, n);
            if (e != ERR_OK)
                return;
        } else if (op % 4 == 2 && a_out.len > 0) {
            a_out.at[op / 4 % a_out.len] ^= (uint8_t)(1u << (arg % 8));
            is_bent = true;
        } else if (op % 4 == 3) {
            check(link_close(a, &a_out) == ERR_OK);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    struct rd r = rd_init(bytes_of(in, len));
    uint8_t how = rd_u8(&r);
    begin(how & 4);
    struct bytes raw = bytes_of(r.at, rd_left(&r));
    size_t chunk = 1 + how / 8u;
    if (how % 4 == 0) {
        stranger(b, raw, chunk);
        check(!link_is_up(b));
    } else if (how % 4 == 1) {
        check(link_poll_send(a, &a_out) == ERR_OK);
        stranger(a, raw, chunk);
        check(!link_is_up(a));
    } else {
        come_up();
        if (how % 4 == 2)
            stranger(b, raw, chunk);
        else
            script(&r);
    }
    end();
    return 0;
}
