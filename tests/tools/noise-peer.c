/* One side of one Noise session over a TCP connection, on the agent's own handshake and cipher code, for
 * talks with other implementations and with itself.
 *
 *   noise-peer --listen HOST:PORT | --connect HOST:PORT [--pattern XX] [--suite 25519_ChaChaPoly_SHA256]
 * [--prologue HEX]
 *              [--static HEX] [--remote HEX] [--psk HEX] [--ephemeral HEX] [--hs-payload HEX,HEX] [--send
 * 0,1,65519]
 *              [--rekey N] [--timeout SECONDS]
 *
 * Every Noise message has a be16 length in front. After the handshake the initiator sends plaintexts of the
 * --send sizes, byte j of message i being (31 i + 7 j) mod 256, and the responder echoes each (in one-way
 * patterns it only checks). The last line of output is one JSON object; exit status 0 only when its "ok" is
 * true. */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "noise/noise.h"
#include "noise/prim.h"
#include "tests/vectors/noise_patterns.h"

enum { PAYLOADS_MAX = 4, SENDS_MAX = 64, PAYLOAD_BYTES_MAX = 1024 };

struct blob {
    uint8_t at[PAYLOAD_BYTES_MAX];
    size_t len;
};

static struct {
    const char *listen, *connect, *pattern, *suite;
    struct blob prologue, s, rs, psk, e, payload[PAYLOADS_MAX];
    size_t payload_count, send[SENDS_MAX], send_count;
    unsigned long rekey;
    double timeout_s;
} opt = {
    .pattern = "XX",
    .suite = "25519_ChaChaPoly_SHA256",
    .send = {0, 1, 16, 1000, NOISE_PLAIN_MAX},
    .send_count = 5,
    .timeout_s = 10,
};

/* The session. It ends the program where it ends. */
static struct {
    struct noise_pattern pattern;
    enum noise_cipher cipher;
    struct noise_handshake hs;
    struct noise_cipherstate tx, rx;
    int fd;
    mono_ms deadline;
    const char *stage;
    struct buf payloads_in;
    unsigned long messages, bytes;
    uint8_t text[NOISE_MESSAGE_MAX], plain[NOISE_MESSAGE_MAX];
} se = {.stage = "start", .fd = -1};

static _Noreturn void finish(const char *error)
{
    char hash[65] = "", remote[65] = "";
    if (se.hs.done)
        hex_encode(se.hs.h, 32, hash);
    if (se.hs.done && se.hs.has_rs)
        hex_encode(se.hs.rs, 32, remote);
    printf(
        "{\"ok\":%s,\"impl\":\"starling\",\"role\":\"%s\",\"protocol\":\"Noise_%s_%s\",\"handshake_hash\":\"%"
        "s\","
        "\"remote_static\":\"%s\",\"hs_payloads_in\":\"%s\",\"messages\":%lu,\"bytes\":%lu,\"stage\":\"%s\"",
        error ? "false" : "true", opt.connect ? "initiator" : "responder", opt.pattern, opt.suite, hash,
        remote, buf_str(&se.payloads_in), se.messages, se.bytes, error ? se.stage : "done");
    if (error)
        printf(",\"error\":\"%s\"", error);
    printf("}\n");
    exit(error ? 1 : 0);
}

static void must(enum err e)
{
    if (e != ERR_OK)
        finish(err_text(e));
}

static mono_ms now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (mono_ms)t.tv_sec * 1000 + (mono_ms)t.tv_nsec / 1000000;
}

/* Until the socket is ready or the whole session's time is over. */
static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        mono_ms now = now_ms();
        if (now >= se.deadline)
            finish("timed out");
        int n = poll(&p, 1, (int)(se.deadline - now));
        if (n > 0)
            return;
        if (n < 0 && errno != EINTR)
            finish("poll failed");
    }
}

static void write_all(const uint8_t *at, size_t len)
{
    while (len > 0) {
        wait_for(se.fd, POLLOUT);
        ssize_t n = send(se.fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            finish("connection lost while writing");
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

/* False: the connection ended before the first byte. */
static bool read_all(uint8_t *at, size_t len)
{
    size_t got = 0;
    while (got < len) {
        wait_for(se.fd, POLLIN);
        ssize_t n = recv(se.fd, at + got, len - got, MSG_DONTWAIT);
        if (n == 0 && got == 0)
            return false;
        if (n == 0)
            finish("closed inside a frame");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            finish("connection lost while reading");
        if (n > 0)
            got += (size_t)n;
    }
    return true;
}

static void write_frame(struct bytes b)
{
    uint8_t head[2];
    store_be16(head, (uint16_t)b.len);
    write_all(head, 2);
    write_all(b.at, b.len);
}

/* A frame into se.text; false: closed between frames. */
static bool read_frame(size_t *len)
{
    uint8_t head[2];
    if (!read_all(head, 2))
        return false;
    *len = load_be16(head);
    if (*len > 0 && !read_all(se.text, *len))
        finish("closed inside a frame");
    return true;
}

static void unhex(struct blob *b, const char *hex, size_t len, size_t want)
{
    b->len = len / 2;
    if (b->len > sizeof b->at || !hex_decode(hex, len, b->at, b->len) || (want && len && b->len != want))
        finish("bad hexadecimal argument");
}

static void take_payloads(const char *list)
{
    for (const char *at = list; *at; opt.payload_count++) {
        if (opt.payload_count == PAYLOADS_MAX)
            finish("too many payloads");
        size_t len = strcspn(at, ",");
        unhex(&opt.payload[opt.payload_count], at, len, 0);
        at += len + (at[len] == ',');
    }
}

static void take_sizes(const char *list)
{
    char *end;
    opt.send_count = 0;
    for (const char *at = list; *at; at = *end == ',' ? end + 1 : end) {
        unsigned long n = strtoul(at, &end, 10);
        if (end == at || (*end && *end != ',') || n > NOISE_PLAIN_MAX || opt.send_count == SENDS_MAX)
            finish("bad list of sizes");
        opt.send[opt.send_count++] = n;
    }
}

static void take_option(int which, const char *arg)
{
    switch (which) {
    case 'l':
        opt.listen = arg;
        break;
    case 'c':
        opt.connect = arg;
        break;
    case 'p':
        opt.pattern = arg;
        break;
    case 'u':
        opt.suite = arg;
        break;
    case 'o':
        unhex(&opt.prologue, arg, strlen(arg), 0);
        break;
    case 's':
        unhex(&opt.s, arg, strlen(arg), 32);
        break;
    case 'r':
        unhex(&opt.rs, arg, strlen(arg), 32);
        break;
    case 'k':
        unhex(&opt.psk, arg, strlen(arg), 32);
        break;
    case 'e':
        unhex(&opt.e, arg, strlen(arg), 32);
        break;
    case 'h':
        take_payloads(arg);
        break;
    case 'n':
        take_sizes(arg);
        break;
    case 'y':
        opt.rekey = strtoul(arg, NULL, 10);
        break;
    case 't':
        opt.timeout_s = strtod(arg, NULL);
        break;
    default:
        finish("unknown argument");
    }
}

static void take_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"listen", 1, NULL, 'l'},     {"connect", 1, NULL, 'c'},  {"pattern", 1, NULL, 'p'},
        {"suite", 1, NULL, 'u'},      {"prologue", 1, NULL, 'o'}, {"static", 1, NULL, 's'},
        {"remote", 1, NULL, 'r'},     {"psk", 1, NULL, 'k'},      {"ephemeral", 1, NULL, 'e'},
        {"hs-payload", 1, NULL, 'h'}, {"send", 1, NULL, 'n'},     {"rekey", 1, NULL, 'y'},
        {"timeout", 1, NULL, 't'},    {NULL, 0, NULL, 0},
    };
    int which;
    while ((which = getopt_long(argc, argv, "", names, NULL)) != -1)
        take_option(which, optarg);
    if (optind < argc || !opt.listen == !opt.connect || !(opt.timeout_s > 0 && opt.timeout_s < 1e6))
        finish("exactly one of --listen and --connect is needed");
    se.deadline = now_ms() + (mono_ms)(opt.timeout_s * 1000);
}

static void take_suite(void)
{
    if (strcmp(opt.suite, "25519_ChaChaPoly_SHA256") == 0)
        se.cipher = NOISE_CHACHAPOLY;
    else if (strcmp(opt.suite, "25519_AESGCM_SHA256") == 0)
        se.cipher = NOISE_AESGCM;
    else
        finish("unsupported suite");
    if (!noise_cipher_is_available(se.cipher))
        finish("unsupported by this processor");
    if (!pattern_named(&se.pattern, opt.pattern))
        finish("unknown pattern");
}

static void start_handshake(void)
{
    struct noise_setup setup = {
        .pattern = &se.pattern,
        .cipher = se.cipher,
        .initiator = opt.connect,
        .prologue = bytes_of(opt.prologue.at, opt.prologue.len),
        .s_sec = opt.s.len ? opt.s.at : NULL,
        .rs = opt.rs.len ? opt.rs.at : NULL,
        .psk = opt.psk.len ? opt.psk.at : NULL,
        .e_sec = opt.e.len ? opt.e.at : NULL,
    };
    must(noise_handshake_init(&se.hs, &setup));
}

static socklen_t take_address(const char *text, struct sockaddr_storage *sa)
{
    struct addr a;
    if (!addr_parse(&a, text, 0))
        finish("an address is IP:PORT");
    return addr_to_sockaddr(&a, sa);
}

static void connect_to(const char *text)
{
    struct sockaddr_storage sa;
    socklen_t len = take_address(text, &sa);
    se.fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (se.fd < 0 || connect(se.fd, (struct sockaddr *)&sa, len) < 0)
        finish("cannot connect");
}

static void accept_at(const char *text)
{
    struct sockaddr_storage sa;
    struct addr bound;
    socklen_t len = take_address(text, &sa);
    int one = 1, l = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l < 0 || setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(l, (struct sockaddr *)&sa, len) < 0 || listen(l, 1) < 0 ||
        getsockname(l, (struct sockaddr *)&sa, &len) < 0 ||
        !addr_from_sockaddr(&bound, (struct sockaddr *)&sa))
        finish("cannot listen");
    printf("LISTEN %u\n", bound.port);
    fflush(stdout);
    wait_for(l, POLLIN);
    se.fd = accept(l, NULL, NULL);
    close(l);
    if (se.fd < 0)
        finish("cannot accept");
}

static void note_payload_in(bool is_first, struct bytes payload)
{
    char hex[2 * PAYLOAD_BYTES_MAX + 1];
    if (payload.len > PAYLOAD_BYTES_MAX)
        finish("payload too long for this program");
    hex_encode(payload.at, payload.len, hex);
    buf_addf(&se.payloads_in, "%s%s", is_first ? "" : ",", hex);
}

static void handshake(void)
{
    size_t len, written = 0, read = 0;
    se.stage = "handshake";
    while (!se.hs.done) {
        if (noise_handshake_is_my_turn(&se.hs)) {
            struct bytes payload = {NULL, 0};
            if (written < opt.payload_count)
                payload = bytes_of(opt.payload[written].at, opt.payload[written].len);
            written++;
            must(noise_handshake_write(&se.hs, payload, se.text, sizeof se.text, &len));
            write_frame(bytes_of(se.text, len));
        } else {
            if (!read_frame(&len))
                finish("closed in the handshake");
            must(noise_handshake_read(&se.hs, bytes_of(se.text, len), se.plain, sizeof se.plain, &len));
            note_payload_in(read++ == 0, bytes_of(se.plain, len));
        }
    }
    noise_handshake_split(&se.hs, &se.tx, &se.rx);
    se.stage = "transport";
}

static void fill(uint8_t *at, size_t len, unsigned long i)
{
    for (size_t j = 0; j < len; j++)
        at[j] = (uint8_t)(31 * i + 7 * j);
}

static void seal_and_write(size_t plain_len)
{
    must(noise_seal(&se.tx, se.text, plain_len, bytes_of(NULL, 0)));
    write_frame(bytes_of(se.text, plain_len + NOISE_TAG_BYTES));
}

static void count(size_t plain_len)
{
    se.messages++;
    se.bytes += plain_len;
    if (opt.rekey == 0 || se.messages % opt.rekey != 0)
        return;
    if (se.tx.has_key)
        noise_rekey(&se.tx);
    if (se.rx.has_key)
        noise_rekey(&se.rx);
}

static _Noreturn void talk_first(void)
{
    for (size_t i = 0; i < opt.send_count; i++) {
        size_t len = opt.send[i], got;
        fill(se.plain, len, i);
        memcpy(se.text, se.plain, len);
        seal_and_write(len);
        if (!se.pattern.one_way) {
            if (!read_frame(&got))
                finish("closed before the echo");
            must(noise_open(&se.rx, se.text, got, bytes_of(NULL, 0), &got));
            if (!bytes_eq(bytes_of(se.text, got), bytes_of(se.plain, len)))
                finish("echo differs");
        }
        count(len);
    }
    close(se.fd);
    finish(NULL);
}

static _Noreturn void answer(void)
{
    size_t len;
    while (read_frame(&len)) {
        must(noise_open(&se.rx, se.text, len, bytes_of(NULL, 0), &len));
        fill(se.plain, len, se.messages);
        if (!se.pattern.one_way)
            seal_and_write(len);
        else if (!bytes_eq(bytes_of(se.text, len), bytes_of(se.plain, len)))
            finish("plaintext differs");
        count(len);
    }
    finish(NULL);
}

int main(int argc, char **argv)
{
    int one = 1;
    take_options(argc, argv);
    must(prim_init());
    take_suite();
    start_handshake();
    if (opt.connect)
        connect_to(opt.connect);
    else
        accept_at(opt.listen);
    setsockopt(se.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    handshake();
    if (opt.connect)
        talk_first();
    answer();
}
