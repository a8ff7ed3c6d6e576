/* Arbitrary datagrams into an endpoint, with and without a live session. Input: u8 flags, then be16 length |
 * datagram, repeated. A datagram whose first byte has its high bit set starts as a real one of ours, and the
 * rest of it is laid over by exclusive or: so the input reaches behind mac1 as well. No crash; and what is
 * not authentic is never answered with more than it brought, in bytes or in packets (ADVERSARY D7). */
#include <assert.h>
#include <string.h>

#include "link/udp_inner.h"

static struct node_id id[2];
static uint8_t secret[2][32], key[2][32], credential[2][400];
static struct addr address[2];

static enum err verify(void *arg, struct bytes c, const uint8_t noise_key[32], struct node_id *out)
{
    (void)arg;
    if (c.len < 64 || memcmp(c.at + 32, noise_key, 32) != 0)
        return ERR_AUTH;
    memcpy(out->b, c.at, 32);
    return ERR_OK;
}

static void once(void)
{
    static bool done;
    if (done)
        return;
    done = true;
    assert(prim_init() == ERR_OK);
    for (int i = 0; i < 2; i++) {
        memset(id[i].b, i + 1, 32);
        memset(secret[i], i + 1, 32);
        prim_dh_public(key[i], secret[i]);
        memcpy(credential[i], id[i].b, 32);
        memcpy(credential[i] + 32, key[i], 32);
        assert(addr_parse(&address[i], i ? "10.0.0.2:7400" : "[2001:db8::1]:7400", 0));
    }
}

static struct udp *endpoint(int i)
{
    struct udp_setup setup = {
        .mesh = bytes_str("shop"),
        .credential = bytes_of(credential[i], sizeof credential[i]),
        .noise_secret = secret[i],
        .verify = {verify, NULL, NULL},
    };
    return udp_new(&setup, 1000);
}

static void say(struct udp *u, int to)
{
    enum err e =
        udp_send(u, &(struct link_to){&id[to], key[to], &address[to], NOISE_CHACHAPOLY, LINK_VERSION_NEWEST},
                 bytes_str("payload"), 1000, 1000);
    assert(e == ERR_OK);
}

/* Carries what `from` has to send; keeps the last datagram as it was. */
static size_t carry(struct udp *from, struct udp *to, int i, uint8_t *last)
{
    struct addr a;
    struct bytes d;
    size_t len = 0;
    while (udp_poll_send(from, &a, &d)) {
        uint8_t copy[UDP_DATAGRAM_MAX];
        memcpy(copy, d.at, d.len);
        memcpy(last, d.at, len = d.len);
        udp_receive(to, &address[i], copy, d.len, 1000, 1000);
    }
    return len;
}

static void drain(struct udp *u)
{
    struct node_id from;
    struct addr a;
    struct bytes d;
    while (udp_poll_send(u, &a, &d) || udp_poll_packet(u, &from, &a, &d))
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t real[UDP_DATAGRAM_MAX] = {0};
    size_t real_len = 0;
    once();
    struct rd r = rd_init(bytes_of(data, size));
    uint8_t flags = rd_u8(&r);
    struct udp *near = endpoint(0), *far = endpoint(1);
    say(near, 1);
    if (flags & 1) { /* a live session, and a datagram of it */
        for (int i = 0; i < 4; i++) {
            size_t n = carry(near, far, 0, real);
            real_len = n ? n : real_len;
            carry(far, near, 1, (uint8_t[UDP_DATAGRAM_MAX]){0});
        }
    } else { /* an initiation that far has not seen */
        struct addr a;
        struct bytes d;
        assert(udp_poll_send(near, &a, &d));
        memcpy(real, d.at, real_len = d.len);
    }
    drain(far);
    for (mono_ms now = 1000; rd_left(&r) > 2; now += 10) {
        uint8_t in[UDP_DATAGRAM_MAX] = {0};
        size_t len = rd_be16(&r) % (sizeof in + 1);
        len = len < rd_left(&r) ? len : rd_left(&r);
        struct bytes d = rd_bytes(&r, len);
        bool is_laid_over = len > 0 && d.at[0] & 0x80;
        for (size_t i = 0; i < len; i++)
            in[i] = d.at[i] ^ (is_laid_over ? real[i] ^ (i == 0 ? 0x80 : 0) : 0);
        if (is_laid_over) {
            memcpy(in + len, real + len, sizeof in - len);
            len = real_len > len ? real_len : len;
        }
        struct udp_stats before = *udp_stats(far);
        udp_receive(far, &address[0], in, len, now, 1000);
        drain(far);
        const struct udp_stats *after = udp_stats(far);
        assert(after->bytes_out - before.bytes_out <= len);
        assert(after->packets_out - before.packets_out <= 1);
        udp_tick(far, now, 1000);
    }
    udp_free(near);
    udp_free(far);
    return 0;
}
