/* A hostile member: it has a valid identity of the mesh (the data folder of an agent that is not running) and
 * sends records that an honest agent would not.
 *
 *   rogue DATA-DIR IP:PORT altered    takes another member's record from the victim and sends it back with
 * one bit changed rogue DATA-DIR IP:PORT replaced   the same record's body, signed anew with the rogue's own
 * key rogue DATA-DIR IP:PORT service OLD NEW   its own record, rightly signed, that offers service NEW (same
 * length as OLD)
 *   rogue DATA-DIR IP:PORT joins SECONDS   joins as often as it can, each time over a new link and under a higher incarnation, eight
 * at a time; what the victim refuses is tried again. Prints "N joins, M refused".
 *
 * Prints "sent" when the victim has taken the message off the link. For end-to-end tests and measurements only. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gossip/message.h"
#include "link/link.h"
#include "store/file.h"
#include "trust/trust.h"

struct rogue {
    int fd;
    struct link *link;
    struct sign_key sign;
    struct dh_key noise;
    struct buf root, credential, assembly;
    struct credential open;
    struct trust *trust;
};

static void die(const char *what)
{
    fprintf(stderr, "rogue: %s\n", what);
    exit(1);
}

static mono_ms now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (mono_ms)t.tv_sec * 1000 + (mono_ms)t.tv_nsec / 1000000;
}

static void read_part(struct buf *out, const char *dir, const char *name)
{
    char path[512];
    struct buf why = {0};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (file_read(out, path, 65536, &why) != ERR_OK)
        die(buf_str(&why));
}

static void load_identity(struct rogue *r, const char *dir)
{
    uint8_t secret[32];
    struct buf text = {0};
    read_part(&text, dir, "identity.key");
    if (key_text_decode(buf_bytes(&text), "identity", NULL, secret) != ERR_OK ||
        sign_key_of_seed(&r->sign, secret) != ERR_OK)
        die("identity.key");
    buf_fini(&text);
    read_part(&text, dir, "noise.key");
    if (key_text_decode(buf_bytes(&text), "noise", NULL, secret) != ERR_OK ||
        dh_key_of_secret(&r->noise, secret) != ERR_OK)
        die("noise.key");
    buf_fini(&text);
    read_part(&r->root, dir, "root.trust");
    read_part(&r->credential, dir, "credential");
    if (trust_new(&r->trust, buf_bytes(&r->root), NULL) != ERR_OK ||
        trust_credential(r->trust, buf_bytes(&r->credential), (wall_s)time(NULL), &r->open) != ERR_OK)
        die("credential");
}

static enum err accept_any(void *arg, struct bytes credential, const uint8_t noise_key[32],
                           struct node_id *id)
{
    struct rogue *r = arg;
    struct credential c;
    enum err e = trust_credential(r->trust, credential, (wall_s)time(NULL), &c);
    (void)noise_key;
    *id = c.id;
    return e;
}

static void send_buf(struct rogue *r, struct buf *b)
{
    for (size_t at = 0; at < b->len;) {
        ssize_t n = send(r->fd, b->at + at, b->len - at, MSG_NOSIGNAL);
        if (n <= 0)
            die("the victim closed the connection");
        at += (size_t)n;
    }
    b->len = 0;
}

/* Reads once from the socket, into the link and its records into the assembly. False: nothing for a second. */
static bool receive_some(struct rogue *r)
{
    uint8_t in[65536];
    ssize_t n;
    do /* with a time limit it does not go on by itself after a stop */
        n = recv(r->fd, in, sizeof in, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        die("the victim closed the connection");
    for (size_t at = 0; at < (size_t)n;) {
        struct bytes plain;
        size_t used = 0;
        if (link_feed(r->link, bytes_of(in + at, (size_t)n - at), &used, now_ms()) != ERR_OK)
            die("the link failed");
        at += used;
        while (link_poll_record(r->link, &plain))
            buf_add_bytes(&r->assembly, plain);
    }
    return true;
}

static void dial(struct rogue *r, const char *where)
{
    struct addr a;
    struct sockaddr_storage sa;
    struct timeval limit = {1, 0};
    struct buf out = {0};
    struct link_setup s = {.kind = LINK_BULK,
                           .mesh = trust_root(r->trust)->mesh,
                           .credential = buf_bytes(&r->credential),
                           .noise_secret = r->noise.sec,
                           .cipher = NOISE_CHACHAPOLY,
                           .verify = {accept_any, r, NULL}};
    if (!addr_parse(&a, where, 0))
        die("not IP:PORT");
    socklen_t len = addr_to_sockaddr(&a, &sa);
    r->fd = socket(sa.ss_family, SOCK_STREAM, 0);
    setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(r->fd, (struct sockaddr *)&sa, len) != 0 || !(r->link = link_connect(&s, now_ms())))
        die("cannot connect");
    for (;;) {
        if (link_poll_send(r->link, &out) != ERR_OK)
            die("handshake");
        send_buf(r, &out);
        if (link_is_up(r->link))
            break;
        if (!receive_some(r))
            die("the victim does not finish the handshake");
    }
    buf_fini(&out);
}

static void send_message(struct rogue *r, struct bytes msg)
{
    struct buf out = {0};
    size_t cap = 0;
    uint8_t *at = link_seal_begin(r->link, &out, msg.len + 4, &cap);
    if (!at || cap < msg.len + 4)
        die("the message is too long for one record");
    store_be32(at, (uint32_t)msg.len);
    memcpy(at + 4, msg.at, msg.len);
    if (link_seal_end(r->link, &out, msg.len + 4) != ERR_OK)
        die("seal");
    send_buf(r, &out);
    buf_fini(&out);
}

static void make_own_record(const struct rogue *r, struct buf *out, const char *service, uint64_t version)
{
    struct record rec = {
        .credential = r->open, .incarnation = (uint64_t)time(NULL), .version = version, .addr_count = 1};
    (void)addr_of_ip(&rec.addr[0], "127.0.0.1", 9);
    if (service) {
        rec.service_count = 1;
        rec.service[0] = (struct record_service){
            .name = bytes_str(service), .port = 9, .protocol = PROTOCOL_HTTP, .healthy = true};
    }
    if (record_create(out, &rec, &r->sign) != ERR_OK)
        die("record_create");
}

static void ask_for_state(struct rogue *r, struct bytes own)
{
    uint8_t msg[16384];
    struct wr w = wr_init(msg, sizeof msg);
    uint8_t digest[8] = {0}; /* nothing is held here: send everything whole */
    struct bulk b = {
        .type = MSG_SYNC, .salt = 7, .record = own, .bits = 0, .digests = bytes_of(digest, sizeof digest)};
    bulk_encode(&w, &b);
    if (!wr_ok(&w))
        die("SYNC");
    send_message(r, wr_done(&w));
}

/* The victim answers a member only so often in a second: asks again until it does. */
static void receive_answer(struct rogue *r, struct bytes own)
{
    for (int tries = 0; !receive_some(r); tries++) {
        if (tries == 5)
            die("the victim does not answer");
        ask_for_state(r, own);
    }
}

/* Sends `record` in a STATE that answers no question. */
static void push_record(struct rogue *r, struct bytes record)
{
    uint8_t msg[32768];
    struct wr w = wr_init(msg, sizeof msg);
    struct bulk b = {.type = MSG_STATE};
    struct state_entry e = {.state = GOSSIP_ALIVE, .record = record};
    bulk_encode(&w, &b);
    state_entry_encode(&w, &e);
    if (!wr_ok(&w))
        die("STATE");
    send_message(r, wr_done(&w));
}

/* A record of somebody else, out of whatever the victim sends: LIST and STATE carry them, a SYNC its own. */
static bool find_record(struct rogue *r, struct bytes msg, struct buf *out)
{
    struct bulk b;
    struct state_entry e;
    if (bulk_decode(&b, msg) != ERR_OK)
        return false;
    struct rd rd = rd_init(b.entries);
    while (b.type == MSG_STATE && state_entry_next(&rd, &e)) {
        struct record rec;
        if (trust_record(r->trust, e.record, (wall_s)time(NULL), &rec) == ERR_OK &&
            !node_id_eq(&rec.credential.id, &r->sign.pub)) {
            buf_add_bytes(out, e.record);
            return true;
        }
    }
    return false;
}

static void another_record(struct rogue *r, struct bytes own, struct buf *out)
{
    for (;;) {
        while (r->assembly.len >= 4 && r->assembly.len - 4 >= load_be32(r->assembly.at)) {
            size_t n = load_be32(r->assembly.at);
            bool found = find_record(r, bytes_of(r->assembly.at + 4, n), out);
            buf_consume(&r->assembly, n + 4);
            if (found)
                return;
        }
        receive_answer(r, own);
    }
}

static void resign(const struct rogue *r, struct bytes body, struct buf *out)
{
    const struct sign_key *keys[] = {&r->sign};
    if (envelope_sign(out, ENVELOPE_RECORD, body, keys, 1) != ERR_OK)
        die("envelope_sign");
}

static void replace_name(struct buf *record, const char *old, const char *new)
{
    size_t n = strlen(old), hits = 0;
    if (strlen(new) != n)
        die("OLD and NEW must be of one length");
    for (size_t i = 0; i + n <= record->len; i++)
        if (memcmp(record->at + i, old, n) == 0 && ++hits)
            memcpy(record->at + i, new, n);
    if (hits == 0)
        die("OLD is not in the record");
}

/* Replaces OLD in the record's own service list, not in the credential it carries, and signs it anew. */
static void forge_service(struct rogue *r, struct buf *out, const char *old, const char *new)
{
    struct buf honest = {0}, body = {0};
    struct envelope e;
    make_own_record(r, &honest, old, 1);
    if (envelope_parse(&e, buf_bytes(&honest)) != ERR_OK)
        die("envelope_parse");
    buf_add_bytes(&body, e.body);
    struct buf tail = {.at = body.at + r->credential.len, .len = body.len - r->credential.len};
    replace_name(&tail, old, new);
    resign(r, buf_bytes(&body), out);
    buf_fini(&honest);
    buf_fini(&body);
}

static void join_once(struct rogue *r, const char *where, uint64_t version)
{
    struct buf own = {0};
    make_own_record(r, &own, NULL, version);
    dial(r, where);
    ask_for_state(r, buf_bytes(&own));
    shutdown(r->fd, SHUT_WR);
    while (recv(r->fd, (uint8_t[4096]){0}, 4096, 0) > 0) /* until the victim has taken it */
        ;
    buf_fini(&own);
}

/* Children, since a refusal ends one. */
static void join_again_and_again(struct rogue *r, const char *where, mono_ms until)
{
    enum { AT_ONCE = 8 };
    unsigned running = 0, done = 0, refused = 0;
    for (uint64_t version = 1; running > 0 || now_ms() < until;) {
        if (running < AT_ONCE && now_ms() < until) {
            pid_t child = fork();
            if (child == 0) {
                if (!freopen("/dev/null", "w", stderr))
                    _exit(1);
                join_once(r, where, version);
                _exit(0);
            }
            running += child > 0;
            version++;
        } else {
            int status = 0;
            running -= wait(&status) > 0;
            *(status == 0 ? &done : &refused) += 1;
        }
    }
    printf("%u joins, %u refused\n", done, refused);
}

static void hang_up(struct rogue *r)
{
    link_free(r->link);
    trust_unref(r->trust);
    buf_fini(&r->root);
    buf_fini(&r->credential);
    buf_fini(&r->assembly);
    close(r->fd);
}

int main(int argc, char **argv)
{
    struct rogue r = {.fd = -1};
    struct buf record = {0}, own = {0};
    if (argc < 4 || trust_init() != ERR_OK)
        die("usage: rogue DATA-DIR IP:PORT altered|replaced|service OLD NEW|joins SECONDS");
    load_identity(&r, argv[1]);
    if (strcmp(argv[3], "joins") == 0 && argc == 5) {
        join_again_and_again(&r, argv[2], now_ms() + 1000 * (mono_ms)strtoul(argv[4], NULL, 10));
        hang_up(&r);
        return 0;
    }
    dial(&r, argv[2]);
    make_own_record(&r, &own, NULL, 1);
    ask_for_state(&r, buf_bytes(&own));
    if (strcmp(argv[3], "service") == 0 && argc == 6) {
        forge_service(&r, &record, argv[4], argv[5]);
    } else {
        another_record(&r, buf_bytes(&own), &record);
        if (strcmp(argv[3], "altered") == 0) {
            record.at[record.len / 2] ^= 1;
        } else {
            struct envelope e;
            struct buf forged = {0};
            if (envelope_parse(&e, buf_bytes(&record)) != ERR_OK)
                die("envelope_parse");
            resign(&r, e.body, &forged);
            buf_fini(&record);
            record = forged;
        }
    }
    push_record(&r, buf_bytes(&record));
    /* A question after it: its answer says that what came before has been taken. */
    ask_for_state(&r, buf_bytes(&own));
    receive_answer(&r, buf_bytes(&own));
    puts("sent");
    buf_fini(&own);
    buf_fini(&record);
    hang_up(&r);
    return 0;
}
