/* Two agents' data planes in one process, on loopback, with a hand-made trust, policy and view, and a small
 * origin of threads. `near` has no service; `far` runs cart (HTTP), and echo (TCP). The tests talk to near's
 * entries with blocking sockets. */
#ifndef TESTS_WORKER_MESH_H
#define TESTS_WORKER_MESH_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "trust/trust.h"
#include "worker/worker.h"
#include "view_world.h"

enum { STUCK_S = 10 };            /* a test that waits this long has failed */
enum { HEAD_DEADLINE_MS = 1500 }; /* of a client's head */

/* --- the origin: a thread per connection --------------------------------------------------- */

struct origin {
    int fd;
    struct addr at;
    pthread_t thread;
    bool is_tcp;
    _Atomic unsigned connections, requests;
    _Atomic bool is_ready; /* until then /unready is answered 503 */
    pthread_mutex_t lock;
    pthread_cond_t served;
    unsigned serving; /* threads that still look at this; under the lock */
};

static void send_all(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t r = send(fd, at, n, MSG_NOSIGNAL);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return;
        at += r;
        n -= (size_t)r;
    }
}

static inline void send_text(int fd, const char *text)
{
    send_all(fd, text, strlen(text));
}

/* On a socket with a timeout a process that was stopped and goes on is told EINTR (signal(7)). */
static ssize_t recv_some(int fd, void *to, size_t cap)
{
    ssize_t n;
    do
        n = recv(fd, to, cap, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Reads until `text` has been seen, or the end. True: seen. */
static bool recv_until(int fd, struct buf *in, const char *text)
{
    for (;;) {
        if (in->len > 0 && memmem(in->at, in->len, text, strlen(text)))
            return true;
        uint8_t *to = buf_reserve(in, 65536);
        ssize_t n = recv_some(fd, to, 65536);
        if (n <= 0)
            return false;
        in->len += (size_t)n;
    }
}

static bool recv_at_least(int fd, struct buf *in, size_t bytes)
{
    while (in->len < bytes) {
        uint8_t *to = buf_reserve(in, 65536);
        ssize_t n = recv_some(fd, to, 65536);
        if (n <= 0)
            return false;
        in->len += (size_t)n;
    }
    return true;
}

static void origin_echo_raw(int fd)
{
    uint8_t space[65536];
    ssize_t n;
    while ((n = recv_some(fd, space, sizeof space)) > 0)
        send_all(fd, space, (size_t)n);
    shutdown(fd, SHUT_WR);
}

static size_t head_number(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at ? (size_t)strtoul(at + strlen(name), NULL, 10) : 0;
}

static bool origin_answer(struct origin *o, int fd, struct buf *in)
{
    struct buf out = {0}, head = {0};
    char *end = memmem(in->at, in->len, "\r\n\r\n", 4);
    size_t head_len = (size_t)((uint8_t *)end + 4 - in->at);
    buf_add(&head, in->at, head_len);
    const char *text = buf_str(&head);
    bool keep = true, is_head = strncmp(text, "HEAD ", 5) == 0;
    const char *caller = strstr(text, "x-starling-caller: ");
    o->requests++;
    if (strcasestr(text, "expect: 100-continue"))
        send_text(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    buf_consume(in, head_len);
    if (strstr(text, "/ws ")) {
        send_text(fd,
                  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
        send_all(fd, in->at, in->len);
        origin_echo_raw(fd);
        keep = false;
    } else if (strstr(text, "/silent ")) {
        recv_until(fd, in, "never sent");
        keep = false;
    } else if (strstr(text, "/unready ") && !o->is_ready) {
        send_text(fd, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    } else if (strstr(text, "/close ")) {
        send_text(fd, "HTTP/1.0 200 OK\r\n\r\nuntil the end");
        keep = false;
    } else if (strstr(text, "/half ")) {
        send_text(fd, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
        keep = false;
    } else if (strstr(text, "/garbage ")) {
        send_text(fd, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello");
        keep = false;
    } else if (strcasestr(text, "transfer-encoding: chunked")) {
        recv_until(fd, in, "\r\n0\r\n");
        recv_until(fd, in, "\r\n\r\n");
        send_text(fd, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n");
        send_all(fd, in->at, in->len); /* chunks and trailers as they came */
        buf_consume(in, in->len);
    } else if (strcasestr(text, "content-length:")) {
        size_t n = head_number(text, "content-length:");
        recv_at_least(fd, in, n);
        buf_addf(&out, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", n);
        buf_add(&out, in->at, n);
        send_all(fd, out.at, out.len);
        buf_consume(in, n);
    } else {
        char who[64] = "(nobody)";
        if (caller)
            sscanf(caller, "x-starling-caller: %63s", who);
        const char *path = strchr(text, ' ') + 1;
        int path_len = (int)strcspn(path, " ");
        buf_addf(&out, "HTTP/1.1 200 OK\r\nx-seen-caller: %s\r\ncontent-length: %d\r\n\r\n", who, path_len);
        if (!is_head)
            buf_add(&out, path, (size_t)path_len);
        send_all(fd, out.at, out.len);
    }
    buf_fini(&out);
    buf_fini(&head);
    return keep;
}

struct origin_conn {
    struct origin *o;
    int fd;
};

static void *origin_serve(void *arg)
{
    struct origin_conn c = *(struct origin_conn *)arg;
    struct buf in = {0};
    free(arg);
    if (c.o->is_tcp)
        origin_echo_raw(c.fd);
    else
        while (recv_until(c.fd, &in, "\r\n\r\n") && origin_answer(c.o, c.fd, &in)) {
        }
    buf_fini(&in);
    close(c.fd);
    pthread_mutex_lock(&c.o->lock);
    c.o->serving--;
    pthread_cond_signal(&c.o->served);
    pthread_mutex_unlock(&c.o->lock);
    return NULL;
}

static void *origin_main(void *arg)
{
    struct origin *o = arg;
    int fd;
    while ((fd = accept4(o->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct origin_conn *c = malloc(sizeof *c);
        pthread_t t;
        *c = (struct origin_conn){o, fd};
        o->connections++;
        pthread_mutex_lock(&o->lock);
        o->serving++;
        pthread_mutex_unlock(&o->lock);
        pthread_create(&t, NULL, origin_serve, c);
        pthread_detach(t);
    }
    return NULL;
}

static int listen_somewhere(struct addr *at)
{
    struct sockaddr_storage sa;
    assert_true(addr_of_ip(at, "127.0.0.1", 0));
    socklen_t len = addr_to_sockaddr(at, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 128), 0);
    len = sizeof sa;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(addr_from_sockaddr(at, (struct sockaddr *)&sa));
    return fd;
}

static void origin_start(struct origin *o, bool is_tcp)
{
    o->is_tcp = is_tcp;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->served, NULL);
    o->fd = listen_somewhere(&o->at);
    assert_int_equal(pthread_create(&o->thread, NULL, origin_main, o), 0);
}

/* Call it when the agents are gone: each of its threads serves until its connection ends. */
static void origin_stop(struct origin *o)
{
    struct timespec until;
    int stuck = 0;
    shutdown(o->fd, SHUT_RDWR);
    pthread_join(o->thread, NULL);
    close(o->fd);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STUCK_S;
    pthread_mutex_lock(&o->lock);
    while (o->serving > 0 && stuck == 0)
        stuck = pthread_cond_timedwait(&o->served, &o->lock, &until);
    pthread_mutex_unlock(&o->lock);
    assert_int_equal(stuck, 0);
    pthread_cond_destroy(&o->served);
    pthread_mutex_destroy(&o->lock);
}

/* A port that is free and stays so: below those that the kernel gives to connections on its own (from 32768 on), and no
 * two calls of one process get the same. */
static struct addr free_port(void)
{
    static uint16_t next;
    struct sockaddr_storage sa;
    struct addr at;
    if (next == 0)
        next = (uint16_t)(12000 + getpid() % 200 * 100);
    for (;;) {
        assert_true(addr_of_ip(&at, "127.0.0.1", next++));
        socklen_t len = addr_to_sockaddr(&at, &sa);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int rc = bind(fd, (struct sockaddr *)&sa, len);
        close(fd);
        if (rc == 0)
            return at;
    }
}

/* --- two agents ---------------------------------------------------------------------------- */

struct agent {
    const char *name;
    struct sign_key identity;
    struct dh_key noise;
    struct buf credential;
    struct proof *proof;
    struct credential parsed;
    struct worker_config config;
    struct workers *workers;
    struct view *view;
};

struct mesh {
    struct net_loop *control;
    pthread_t control_thread;
    struct sign_key key;
    struct buf root;
    struct trust *trust;
    struct policy *policy;
    struct agent near, far;
    struct origin cart, echo;
    struct worker_upstream upstream[2];
    struct worker_caller caller[3];
    struct addr entry_web, entry_evil, entry_anonymous, port_echo, port_cart;
    _Atomic unsigned news[WORKER_LINK_TIMEOUT + 1], bulk, drained;
    uint64_t serial;
};

static void control_turn(void *arg, mono_ms now)
{
    (void)arg;
    (void)now;
}
static void *control_main(void *arg)
{
    net_loop_run(arg);
    return NULL;
}
static void control_stop(void *arg)
{
    net_loop_stop(arg);
}
static void on_link(void *arg, const struct node_id *peer, enum worker_link_news news)
{
    (void)peer;
    ((struct mesh *)arg)->news[news]++;
}
static void on_bulk(void *arg, int fd_take, struct buf *read_take)
{
    ((struct mesh *)arg)->bulk += (unsigned)read_take->len;
    buf_fini(read_take);
    close(fd_take);
}

static void make_trust(struct mesh *m, const char *mesh_name)
{
    struct role role = {.count = 1, .threshold = 1};
    sign_key_new(&m->key);
    role.key[0] = m->key.pub;
    struct root root = {
        .mesh = bytes_str(mesh_name), .epoch = 1, .root = role, .policy = role, .enrol = role};
    const struct sign_key *keys[] = {&m->key};
    assert_int_equal(root_create(&m->root, &root, keys, 1), ERR_OK);
    assert_int_equal(trust_new(&m->trust, buf_bytes(&m->root), NULL), ERR_OK);
}

static void make_agent(struct mesh *m, struct agent *a, const char *name, const char *const *services)
{
    wall_s now = (wall_s)(net_wall_ms() / 1000);
    a->name = name;
    sign_key_new(&a->identity);
    dh_key_new(&a->noise);
    struct credential c = {.mesh = bytes_str("test.mesh"),
                           .node = bytes_str(name),
                           .id = a->identity.pub,
                           .not_before = now - 60,
                           .expires = now + 3600};
    memcpy(c.noise_key, a->noise.pub, 32);
    for (; *services; services++)
        c.service[c.service_count++] = bytes_str(*services);
    assert_int_equal(credential_create(&a->credential, &c, (struct bytes){0}, &m->key), ERR_OK);
    assert_int_equal(trust_credential(m->trust, buf_bytes(&a->credential), now, &a->parsed), ERR_OK);
    struct vouched *v;
    assert_int_equal(vouched_new(&v, &a->parsed), ERR_OK);
    assert_int_equal(proof_new(&a->proof, v, &a->noise, NULL), ERR_OK);
    vouched_unref(v);
    a->config = (struct worker_config){.count = 2,
                                       .mesh_addr_count = 1,
                                       .mesh_addr = {free_port()},
                                       .mesh = bytes_str("test.mesh"),
                                       .head_ms = HEAD_DEADLINE_MS,
                                       .drain_ms = 3000,
                                       .control = m->control,
                                       .on_bulk = on_bulk,
                                       .on_link = on_link,
                                       .arg = m};
}

static const char policy_text[] =
    "policy: v1\nmesh: test.mesh\nversion: 7\n"
    "defaults: {timeouts: {connect: 1s, request: 8s}}\n"
    "services:\n"
    "  cart:\n"
    "    protocol: http\n"
    "    subsets: {v1: {version: \"1\"}, v2: {version: \"2\"}}\n"
    "    routes:\n"
    "      - {name: two, match: [{path: {prefix: /v2}}], to: [{subset: v2}]}\n"
    "      - {name: hurry, match: [{path: {prefix: /silent}}], to: [{subset: v1}], timeouts: {request: "
    "300ms}}\n"
    "      - {name: patient, match: [{path: {exact: /unready}}], to: [{subset: v1}], retry: {attempts: 10, "
    "backoff: {base: 100ms, max: 100ms}}}\n"
    "      - {name: only-get, match: [{path: {exact: /nothing}, method: PUT}], to: [{subset: v1}]}\n"
    "      - {name: rest, match: [{path: {prefix: /}}], to: [{subset: v1}]}\n"
    "  ghost: {protocol: http}\n"
    "  downed: {protocol: http}\n"
    "  echo: {protocol: tcp}\n"
    "intentions:\n"
    "  - {name: web-cart, from: [web], to: cart, allow: [{}]}\n"
    "  - {name: web-ghost, from: [web], to: ghost, allow: [{}]}\n"
    "  - {name: web-downed, from: [web], to: downed, allow: [{}]}\n"
    "  - {name: no-admin, from: [\"*\"], to: cart, deny: [{paths: [\"/admin\", \"/admin/*\"]}]}\n"
    "  - {name: web-echo, from: [\"*\"], to: echo}\n"
    "  - {name: evil-cart, from: [evil], to: cart, allow: [{}]}\n";

static struct policy *compile(const char *text)
{
    struct complaints c = {.file = "policy.yaml"};
    struct policy *p = NULL;
    if (policy_compile(&p, bytes_str(text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&c.text);
    return p;
}

static struct labels version_label(const char *v)
{
    struct labels l = {.count = 1, .at = {{bytes_str("version"), bytes_str(v)}}};
    return l;
}

static void offer(struct record *r, const char *name, uint8_t protocol, struct labels labels)
{
    r->service[r->service_count++] = (struct record_service){
        .name = bytes_str(name), .port = 80, .protocol = protocol, .healthy = true, .labels = labels};
}

/* What `a` sees when `other` is alive (or not known at all). */
static struct view *view_of(struct mesh *m, struct agent *a, struct agent *other, bool known)
{
    struct view_builder *b = view_builder_new("test.mesh", &a->identity.pub, m->trust);
    struct labels v1 = version_label("1");
    struct record r = {.credential = other->parsed, .features = FEATURE_AESGCM};
    struct addr nowhere = free_port();
    assert_non_null(b);
    view_builder_proof(b, a->proof);
    if (a == &m->far) {
        assert_int_equal(view_builder_local(b, bytes_str("cart"), &m->cart.at, PROTOCOL_HTTP, &v1, true),
                         ERR_OK);
        assert_int_equal(view_builder_local(b, bytes_str("echo"), &m->echo.at, PROTOCOL_TCP, NULL, true),
                         ERR_OK);
        assert_int_equal(view_builder_local(b, bytes_str("downed"), &nowhere, PROTOCOL_HTTP, NULL, true),
                         ERR_OK);
    } else {
        offer(&r, "cart", PROTOCOL_HTTP, v1);
        offer(&r, "downed", PROTOCOL_HTTP, (struct labels){0});
        offer(&r, "echo", PROTOCOL_TCP, (struct labels){0});
    }
    if (known)
        add_member(b, &r, &other->config.mesh_addr[0], true, false);
    struct view *v = view_builder_finish(b, m->policy, 1, ++m->serial);
    assert_non_null(v);
    return v;
}

static void start(struct agent *a)
{
    struct buf why = {0};
    if (workers_start(&a->workers, &a->config, a->view, &why) != ERR_OK)
        fail_msg("%s", buf_str(&why));
    buf_fini(&why);
}

static struct mesh *mesh_start_for(bool by_uid)
{
    static const char *const near_services[] = {"web", NULL};
    static const char *const far_services[] = {"cart", "echo", "downed", NULL};
    struct mesh *m = calloc(1, sizeof *m);
    assert_non_null(m);
    assert_int_equal(trust_init(), ERR_OK);
    assert_int_equal(net_loop_new(&m->control, control_turn, m), ERR_OK);
    assert_int_equal(pthread_create(&m->control_thread, NULL, control_main, m->control), 0);
    origin_start(&m->cart, false);
    origin_start(&m->echo, true);
    make_trust(m, "test.mesh");
    m->policy = compile(policy_text);
    make_agent(m, &m->near, "near", near_services);
    make_agent(m, &m->far, "far", far_services);
    m->entry_web = free_port();
    m->entry_evil = free_port();
    m->entry_anonymous = free_port();
    m->port_echo = free_port();
    m->port_cart = free_port();
    m->caller[0] = (struct worker_caller){.service = "web", .entry = m->entry_web};
    m->caller[1] = (struct worker_caller){.service = "evil", .entry = m->entry_evil};
    m->upstream[0] = (struct worker_upstream){.service = "echo", .listen = m->port_echo};
    m->upstream[1] = (struct worker_upstream){.service = "cart", .listen = m->port_cart};
    m->near.config.caller = m->caller;
    m->caller[2] = (struct worker_caller){.service = "web", .by_uid = true, .uid = getuid()};
    m->near.config.caller_count = by_uid ? 3 : 2;
    m->near.config.upstream = m->upstream;
    m->near.config.upstream_count = 2;
    m->near.config.http_entry = m->entry_anonymous;
    m->near.view = view_of(m, &m->near, &m->far, true);
    m->far.view = view_of(m, &m->far, &m->near, true);
    start(&m->far);
    start(&m->near);
    return m;
}

static struct mesh *mesh_start(void)
{
    return mesh_start_for(false);
}

static void agent_stop(struct agent *a)
{
    workers_free(a->workers);
    a->workers = NULL;
}

static void agent_fini(struct agent *a)
{
    agent_stop(a);
    view_unref(a->view);
    buf_fini(&a->credential);
    proof_unref(a->proof);
}

static void mesh_stop(struct mesh *m)
{
    agent_fini(&m->near);
    agent_fini(&m->far);
    assert_int_equal(net_post(m->control, control_stop, m->control), ERR_OK);
    pthread_join(m->control_thread, NULL);
    net_loop_free(m->control);
    origin_stop(&m->cart);
    origin_stop(&m->echo);
    policy_unref(m->policy);
    trust_unref(m->trust);
    buf_fini(&m->root);
    free(m);
}

/* --- a client ------------------------------------------------------------------------------ */

static int connect_to(const struct addr *at)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(at, &sa);
    struct timeval t = {.tv_sec = STUCK_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    return fd;
}

/* Sends, and reads until the end of the connection. */
static struct buf ask_at(const struct addr *at, const char *request)
{
    struct buf in = {0};
    int fd = connect_to(at);
    send_text(fd, request);
    recv_until(fd, &in, "\xff\xff never");
    close(fd);
    return in;
}

static void expect_in(struct buf *answer, const char *part)
{
    if (!strstr(buf_str(answer), part))
        fail_msg("no `%s` in:\n%s", part, buf_str(answer));
}

static void expect_answer(const struct addr *at, const char *request, const char *const *parts)
{
    struct buf answer = ask_at(at, request);
    for (; *parts; parts++)
        expect_in(&answer, *parts);
    buf_fini(&answer);
}
#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
