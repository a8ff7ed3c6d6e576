#include "control/health.h"

#include <stdio.h>

#include "http/h1.h"
#include "observe/log.h"

enum { ANSWER_MAX = 64 * 1024 };

struct check {
    struct health *owner;
    struct config_service service;
    size_t index;
    bool healthy;
    unsigned failures;
    mono_ms next, give_up;
    struct net_conn *conn; /* a check under way */
    struct h1_reader *reader;
    size_t read_bytes;
    enum { RUNNING, PASSED, FAILED } outcome; /* set by the socket's callbacks, acted on in the step */
    char why[64];                             /* it failed last; "": it did not */
};

struct health {
    struct net_loop *loop;
    void (*changed)(void *arg, size_t index, bool healthy);
    void *arg;
    size_t count;
    struct check *check[CONFIG_SERVICES_MAX];
};

struct health *health_new(struct net_loop *loop, void (*changed)(void *, size_t, bool), void *arg)
{
    struct health *h = calloc(1, sizeof *h);
    if (h)
        *h = (struct health){.loop = loop, .changed = changed, .arg = arg};
    return h;
}

static void end_check(struct check *k)
{
    if (k->conn)
        net_conn_free(k->conn);
    h1_reader_free(k->reader);
    k->conn = NULL;
    k->reader = NULL;
}

static void free_check(struct check *k)
{
    end_check(k);
    free(k);
}

void health_free(struct health *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->count; i++)
        free_check(h->check[i]);
    free(h);
}

static bool is_same(const struct config_service *a, const struct config_service *b)
{
    return strcmp(a->name, b->name) == 0 && addr_eq(&a->app, &b->app) && a->health.kind == b->health.kind &&
           strcmp(a->health.path, b->health.path) == 0;
}

/* Moves the old check of the same service out of the old list, or makes one. NULL: no memory; the service
 * stays unchecked, unhealthy. */
static struct check *take_or_make(struct check **old, size_t old_count, struct health *h,
                                  const struct config_service *s, mono_ms now)
{
    for (size_t i = 0; i < old_count; i++)
        if (old[i] && is_same(&old[i]->service, s)) {
            struct check *k = old[i];
            old[i] = NULL;
            k->service = *s;
            k->next = mono_min(k->next, now + s->health.interval_ms); /* it may have become shorter */
            return k;
        }
    struct check *k = calloc(1, sizeof *k);
    if (k)
        *k = (struct check){.owner = h, .service = *s, .next = now, .healthy = s->health.kind == HEALTH_NONE};
    return k;
}

void health_set(struct health *h, const struct config *config, bool *healthy, mono_ms now)
{
    struct check *old[CONFIG_SERVICES_MAX];
    size_t old_count = h->count;
    memcpy(old, h->check, sizeof old);
    h->count = 0;
    for (size_t i = 0; i < config->service_count; i++) {
        struct check *k = take_or_make(old, old_count, h, &config->service[i], now);
        healthy[i] = k && k->healthy;
        if (k) {
            k->index = i;
            h->check[h->count++] = k;
        }
    }
    for (size_t i = 0; i < old_count; i++)
        if (old[i])
            free_check(old[i]);
}

const char *health_why(const struct health *h, size_t index)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->check[i]->index == index && !h->check[i]->healthy)
            return h->check[i]->why;
    return "";
}

/* -- one check --------------------------------------------------------------------------------- */

static void fail(struct check *k, const char *why)
{
    k->outcome = FAILED;
    snprintf(k->why, sizeof k->why, "%s", why);
}

static void judge(struct check *k, unsigned status)
{
    k->outcome = status >= 200 && status < 400 ? PASSED : FAILED;
    if (k->outcome == FAILED)
        snprintf(k->why, sizeof k->why, "answered %u", status);
}

static void on_data(void *arg, struct bytes in)
{
    struct check *k = arg;
    k->read_bytes += in.len;
    while (k->outcome == RUNNING && k->reader && in.len > 0) {
        size_t used = 0;
        struct h1_event ev = h1_reader_feed(k->reader, in, &used);
        in = bytes_of(in.at + used, in.len - used);
        if (ev.type == H1_HEAD) {
            struct http_head head = {0};
            h1_reader_head_take(k->reader, &head);
            judge(k, head.status);
            http_head_fini(&head);
        } else if (ev.type == H1_ERROR || k->read_bytes > ANSWER_MAX) {
            fail(k, "answered what is not HTTP");
        } else if (ev.type == H1_NONE) {
            break;
        }
    }
}

static void on_eof(void *arg)
{
    struct check *k = arg;
    if (k->outcome == RUNNING)
        fail(k, "closed without an answer");
}

static void on_closed(void *arg, enum err why)
{
    struct check *k = arg;
    if (why == ERR_CLOSED)
        on_eof(arg);
    else if (k->outcome == RUNNING)
        fail(k, err_text(why));
}

static void send_get(struct check *k)
{
    static const struct h1_limits limits;
    char host[ADDR_TEXT_MAX];
    struct http_head get = {.method = bytes_str("GET"),
                            .authority = bytes_str(addr_text(&k->service.app, host)),
                            .path = bytes_str(k->service.health.path),
                            .minor = 1};
    struct h1_write_opts opts = {.close = true};
    struct buf wire = {0};
    k->reader = h1_reader_new(H1_RESPONSES, &limits);
    if (k->reader)
        h1_reader_expect(k->reader, &get);
    if (!k->reader || h1_write_head(&wire, &get, &opts) != ERR_OK)
        fail(k, "no memory");
    else
        net_conn_write_take(k->conn, &wire);
    buf_fini(&wire);
}

static void on_connected(void *arg)
{
    struct check *k = arg;
    if (k->service.health.kind == HEALTH_TCP)
        k->outcome = PASSED;
    else
        send_get(k);
}

static void on_drained(void *arg)
{
    (void)arg; /* a GET always fits */
}

static void start_check(struct check *k, mono_ms now)
{
    static const struct net_conn_events ev = {on_data, on_eof, on_closed, on_connected, on_drained};
    k->outcome = RUNNING;
    k->read_bytes = 0;
    k->next = now + k->service.health.interval_ms;
    k->give_up = now + k->service.health.timeout_ms;
    if (net_dial(&k->conn, k->owner->loop, &k->service.app, k->service.health.timeout_ms, &ev, k) != ERR_OK)
        k->conn = NULL; /* no memory here says nothing about the service */
}

static void settle(struct check *k, bool passed)
{
    bool was = k->healthy;
    k->failures = passed ? 0 : k->failures + 1;
    k->healthy = passed || (was && k->failures < HEALTH_FALL);
    if (k->healthy == was)
        return;
    if (k->healthy)
        log_info("health", "service %s on this host is healthy", k->service.name);
    else
        log_warn("health", "service %s on this host is unhealthy: %s%s: %s", k->service.name,
                 k->service.health.kind == HEALTH_TCP ? "TCP" : "GET ", k->service.health.path, k->why);
    k->owner->changed(k->owner->arg, k->index, k->healthy);
}

void health_step(struct health *h, mono_ms now)
{
    for (size_t i = 0; i < h->count; i++) {
        struct check *k = h->check[i];
        if (k->service.health.kind == HEALTH_NONE)
            continue;
        if (k->conn && k->outcome == RUNNING && now >= k->give_up)
            fail(k, err_text(ERR_TIMEOUT));
        if (k->conn && k->outcome != RUNNING) {
            end_check(k);
            settle(k, k->outcome == PASSED);
        }
        if (!k->conn && now >= k->next)
            start_check(k, now);
    }
}

mono_ms health_deadline(const struct health *h)
{
    mono_ms at = NEVER;
    for (size_t i = 0; i < h->count; i++)
        if (h->check[i]->service.health.kind != HEALTH_NONE)
            at = mono_min(at, h->check[i]->conn ? h->check[i]->give_up : h->check[i]->next);
    return at;
}
