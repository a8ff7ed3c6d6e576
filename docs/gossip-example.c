/* gossip.h in a program of its own: gossip-example PORT COUNT [SEED-PORT] joins by the seed on loopback, prints what it learns, and ends a
 * second after it knows COUNT living members. Datagrams go over UDP, each bulk message over a TCP connection. Records are not signed here
 * and senders are believed: put your signatures into `verify` and your authenticated channels under both lanes. */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "gossip/gossip.h"

enum { RECORD_BYTES = 32 + 8 + 8 + 1 + 18, HEADER_BYTES = 32 + 18 }; /* packets begin with id and address */

static struct gossip *gossip;
static struct node_id self;
static struct addr self_addr;

static mono_ms now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (mono_ms)t.tv_sec * 1000 + (mono_ms)t.tv_nsec / 1000000;
}

/* An embedder stores the incarnation durably before it signs a record with it. */
static void publish(uint64_t incarnation)
{
    struct wr w = wr_init((uint8_t[RECORD_BYTES]){0}, RECORD_BYTES);
    wr_bytes(&w, self.b, sizeof self.b);
    wr_be64(&w, incarnation);
    wr_be64(&w, 1);
    wr_u8(&w, 0);
    wr_addr(&w, &self_addr);
    if (gossip_own_set(gossip, wr_done(&w), now_ms()) != ERR_OK)
        errx(1, "our record is refused");
}

/* The question that gossip asks of every record it hears: who signed it, and what does it say? */
static enum err verify(void *arg, struct bytes record, struct gossip_claim *out)
{
    struct rd r = rd_init(record);
    (void)arg;
    memset(out, 0, sizeof *out);
    rd_copy(&r, out->id.b, sizeof out->id.b);
    out->incarnation = rd_be64(&r);
    out->version = rd_be64(&r);
    out->left = rd_u8(&r) != 0;
    rd_addr(&r, &out->addr[0]);
    out->addr_count = 1;
    for (size_t i = 0; i < record.len; i++) /* stands for a cryptographic hash */
        out->hash.b[i % HASH_BYTES] = (uint8_t)(out->hash.b[i % HASH_BYTES] * 31 + record.at[i]);
    return rd_done(&r) ? ERR_OK : ERR_MALFORMED;
}

static struct bytes find_document(void *arg, const struct hash *hash)
{
    return (void)arg, (void)hash, bytes_of(NULL, 0); /* this program has none to offer */
}

/* What gossip wants sent. A bulk message that cannot be delivered, or a dial that is refused, is told to it. */
static void send_all(int udp)
{
    static uint8_t out[HEADER_BYTES + GOSSIP_BULK_MAX];
    struct gossip_packet p;
    while (gossip_poll_send(gossip, &p)) {
        struct sockaddr_storage to;
        struct wr w = wr_init(out, sizeof out);
        wr_bytes(&w, self.b, sizeof self.b);
        wr_addr(&w, &self_addr);
        wr_bytes(&w, p.msg.at, p.msg.len);
        socklen_t len = addr_to_sockaddr(&p.addr, &to);
        if (p.lane == GOSSIP_DATAGRAM) {
            sendto(udp, out, wr_len(&w), 0, (struct sockaddr *)&to, len);
            continue;
        }
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int error = connect(fd, (struct sockaddr *)&to, len) == 0 ? 0 : errno;
        if (error == ECONNREFUSED)
            gossip_link_lost(gossip, &p.to, GOSSIP_LINK_REFUSED, now_ms());
        if (p.lane == GOSSIP_BULK && (error || send(fd, out, wr_len(&w), MSG_NOSIGNAL) < 0))
            gossip_bulk_failed(gossip, &p.to, &p.addr, now_ms());
        close(fd);
    }
}

static void receive(enum gossip_lane lane, int fd)
{
    static uint8_t in[HEADER_BYTES + GOSSIP_BULK_MAX];
    struct node_id from;
    struct addr via;
    size_t len = 0;
    int peer = lane == GOSSIP_BULK ? accept(fd, NULL, NULL) : fd;
    for (ssize_t n = 1; n > 0 && (lane == GOSSIP_BULK || len == 0); len += n > 0 ? (size_t)n : 0)
        n = read(peer, in + len, sizeof in - len);
    if (lane == GOSSIP_BULK)
        close(peer);
    struct rd r = rd_init(bytes_of(in, len));
    rd_copy(&r, from.b, sizeof from.b);
    rd_addr(&r, &via);
    if (len > 0 && /* a knock says nothing */
        gossip_receive(gossip, lane, &from, &via, rd_bytes(&r, rd_left(&r)), now_ms()) != ERR_OK)
        fputs("a message was dropped\n", stderr);
}

static int bound_socket(int type)
{
    struct sockaddr_storage at;
    int fd = socket(AF_INET, type, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, addr_to_sockaddr(&self_addr, &at)) != 0)
        err(1, "port %u", self_addr.port);
    return fd;
}

int main(int argc, char **argv)
{
    struct addr seed;
    if (argc < 3 || !addr_of_ip(&self_addr, "127.0.0.1", (uint16_t)strtoul(argv[1], NULL, 10)))
        errx(2, "PORT COUNT [SEED-PORT]");
    store_be16(self.b, self_addr.port); /* the id: a public key in earnest */
    struct pollfd fds[] = {{bound_socket(SOCK_DGRAM), POLLIN, 0}, {bound_socket(SOCK_STREAM), POLLIN, 0}};
    struct gossip_config config = {.self = self, .seed = self_addr.port};
    struct gossip_verify questions = {verify, find_document, NULL};
    if (listen(fds[1].fd, 16) != 0 || !(gossip = gossip_new(&config, &questions, now_ms())))
        err(1, NULL);
    publish(1);
    if (argc > 3 && addr_of_ip(&seed, "127.0.0.1", (uint16_t)strtoul(argv[3], NULL, 10)))
        gossip_seeds_set(gossip, &seed, 1, now_ms());
    for (mono_ms end = NEVER; now_ms() < end;) {
        struct gossip_event ev;
        gossip_tick(gossip, now_ms());
        while (gossip_poll_event(gossip, &ev)) {
            if (ev.type == GOSSIP_EV_MEMBER)
                printf("member %u is %s\n", load_be16(ev.id.b), gossip_state_text(ev.after));
            if (ev.type == GOSSIP_EV_WANT_INCARNATION)
                publish(ev.number);
        }
        send_all(fds[0].fd);
        if (end == NEVER && gossip_counts(gossip).alive >= strtoul(argv[2], NULL, 10))
            end = now_ms() + 1000; /* long enough to tell the others */
        mono_ms now = now_ms(), next = gossip_deadline(gossip);
        if (poll(fds, 2, next <= now ? 0 : next - now < 100 ? (int)(next - now) : 100) > 0)
            for (int i = 0; i < 2; i++)
                if (fds[i].revents & POLLIN)
                    receive(i ? GOSSIP_BULK : GOSSIP_DATAGRAM, fds[i].fd);
    }
    gossip_free(gossip);
}
