#include "admin/admin.h"

#include <unistd.h>

#include "admin/door.h"
#include "admin/overlays.h"
#include "admin/publishing.h"
#include "admin/report.h"
#include "admin/request.h"
#include "http/h1.h"
#include "observe/log.h"

enum { WEB_REQUEST_MAX = 256 * 1024 }; /* bytes read and not yet served; a head is capped by the reader */

struct admin {
    struct control *control;
    struct door socket, web;
};

bool admin_socket_path(char out[ADMIN_SOCKET_PATH_MAX], const char *data_dir)
{
    int n = snprintf(out, ADMIN_SOCKET_PATH_MAX, "%s/agent.sock", data_dir);
    return n > 0 && n < ADMIN_SOCKET_PATH_MAX;
}

/* -- the Unix socket --------------------------------------------------------------------------- */

static void answer(struct door_conn *k, json_t *result_take, const char *error)
{
    struct buf line = {0};
    json_t *o = error ? json_pack("{s:b,s:s}", "ok", 0, "error", error)
                      : json_pack("{s:b,s:o}", "ok", 1, "result", result_take);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (text)
        buf_addf(&line, "%s\n", text);
    else
        buf_add_str(&line, "{\"ok\":false,\"error\":\"out of memory\"}\n");
    free(text);
    json_decref(o);
    door_send(k, &line);
}

static void answer_report(struct door_conn *k, json_t *result_take)
{
    answer(k, result_take, result_take ? NULL : "out of memory");
}

/* What is there already is no failure: whoever publishes again because no answer came gets the one that was lost. */
static void on_done(void *arg, enum err outcome, const char *text)
{
    struct door_conn *k = arg;
    bool is_good = outcome == ERR_OK || outcome == ERR_EXISTS;
    answer(k, is_good ? json_string(text) : NULL, is_good ? NULL : text);
    door_done(k);
}

static void do_publish(struct door_conn *k, const struct admin_request *r)
{
    struct buf bundle = {0};
    enum err e = admin_request_bundle(r, &bundle);
    if (e == ERR_OK) {
        k->busy = true;
        control_publish(k->door->control, buf_bytes(&bundle), on_done, k);
    } else {
        answer(k, NULL,
               e == ERR_INVALID ? "publish needs a bundle of at most 1 MiB, in hex" : "out of memory");
    }
    buf_fini(&bundle);
}

static void do_root(struct door_conn *k, const struct admin_request *r)
{
    (void)r;
    answer_report(k, report_root(k->door->control));
}

static void do_why(struct door_conn *k, const struct admin_request *r)
{
    struct buf why = {0};
    control_hasten_view(k->door->control);
    json_t *result = report_why(k->door->control, r->json, &why);
    answer(k, result, result ? NULL : why.len ? buf_str(&why) : "out of memory");
    buf_fini(&why);
}

static void do_reload(struct door_conn *k, const struct admin_request *r)
{
    struct buf told = {0};
    (void)r;
    enum err e = control_reload(k->door->control, &told);
    answer(k, e == ERR_OK ? json_string(buf_str(&told)) : NULL,
           e == ERR_OK ? NULL
           : told.len  ? buf_str(&told)
                       : err_text(e));
    buf_fini(&told);
}

static struct bytes text_of(const struct admin_request *r, const char *key)
{
    const json_t *text = json_object_get(r->json, key);
    return bytes_of(json_string_value(text), json_string_length(text));
}

static void do_renew(struct door_conn *k, const struct admin_request *r)
{
    struct control_renewal ask = {.token = text_of(r, "token"),
                                  .credential = text_of(r, "credential"),
                                  .roll_noise_key = json_is_true(json_object_get(r->json, "roll"))};
    k->busy = true;
    control_renew(k->door->control, &ask, on_done, k);
}

static void do_status(struct door_conn *k, const struct admin_request *r)
{
    (void)r;
    answer_report(k, report_status(k->door->control));
}

static void do_members(struct door_conn *k, const struct admin_request *r)
{
    bool revoked = json_is_true(json_object_get(r->json, "revoked"));
    control_hasten_view(k->door->control);
    answer_report(k, (revoked ? report_revoked : report_members)(k->door->control));
}

static void do_rtt(struct door_conn *k, const struct admin_request *r)
{
    struct buf why = {0};
    json_t *result = report_rtt(k->door->control, text_of(r, "from"), text_of(r, "to"), &why);
    answer(k, result, result ? NULL : why.len ? buf_str(&why) : "out of memory");
    buf_fini(&why);
}

static void do_services(struct door_conn *k, const struct admin_request *r)
{
    (void)r;
    control_hasten_view(k->door->control);
    answer_report(k, report_services(k->door->control));
}

static void do_policy(struct door_conn *k, const struct admin_request *r)
{
    struct buf why = {0};
    json_t *result = publishing_policy(k->door->control, r->json, &why);
    answer(k, result, result ? NULL : why.len ? buf_str(&why) : "out of memory");
    buf_fini(&why);
}

static void do_policy_status(struct door_conn *k, const struct admin_request *r)
{
    (void)r;
    answer_report(k, publishing_status(k->door->control));
}

static void do_policy_history(struct door_conn *k, const struct admin_request *r)
{
    (void)r;
    answer_report(k, publishing_history(k->door->control));
}

static void do_overlay(struct door_conn *k, const struct admin_request *r)
{
    (void)r;
    answer_report(k, overlays_report(k->door->control));
}

static void do_leave(struct door_conn *k, const struct admin_request *r)
{
    (void)r;
    k->stays = true; /* its end tells the asker that the agent has stopped */
    answer(k, json_string("leaving"), NULL);
    if (control_phase(k->door->control) == CONTROL_RUNNING)
        control_leave(k->door->control);
}

static void obey(struct door_conn *k, const struct admin_request *r)
{
    static void (*const run[ADMIN_COMMANDS])(struct door_conn * k, const struct admin_request *r) = {
        [ADMIN_STATUS] = do_status,
        [ADMIN_MEMBERS] = do_members,
        [ADMIN_SERVICES] = do_services,
        [ADMIN_POLICY] = do_policy,
        [ADMIN_WHY] = do_why,
        [ADMIN_PUBLISH] = do_publish,
        [ADMIN_ROOT] = do_root,
        [ADMIN_RELOAD] = do_reload,
        [ADMIN_LEAVE] = do_leave,
        [ADMIN_RENEW] = do_renew,
        [ADMIN_RTT] = do_rtt,
        [ADMIN_POLICY_STATUS] = do_policy_status,
        [ADMIN_POLICY_HISTORY] = do_policy_history,
        [ADMIN_OVERLAY] = do_overlay,
    };
    run[r->command](k, r);
}

static bool socket_received(struct door_conn *k)
{
    while (door_may_go_on(k)) {
        uint8_t *end = k->in.len ? memchr(k->in.at, '\n', k->in.len) : NULL;
        if (!end)
            return true;
        struct admin_request r;
        size_t n = (size_t)(end - k->in.at);
        enum err e = admin_request_read(&r, bytes_of(k->in.at, n));
        buf_consume(&k->in, n + 1);
        if (e == ERR_OK)
            obey(k, &r);
        else
            answer(k, NULL, r.fault);
        admin_request_fini(&r);
    }
    return true;
}

static bool admit_owner(struct net_conn *c)
{
    uid_t uid;
    return net_conn_uid(c, &uid) == ERR_OK && (uid == 0 || uid == geteuid());
}

/* -- the read-only port ------------------------------------------------------------------------ */

static void web_answer(struct door_conn *k, const struct http_head *rq, uint16_t status, const char *type,
                       struct bytes body)
{
    struct buf wire = {0};
    struct http_header h[] = {{bytes_str("content-type"), bytes_str(type)}};
    bool is_head = bytes_eq_str(rq->method, "HEAD");
    if (h1_write_simple(&wire, status, h, 1, body, false, is_head) == ERR_OK)
        door_send(k, &wire);
    buf_fini(&wire);
}

static void web_text(struct door_conn *k, const struct http_head *rq, uint16_t status, const char *text)
{
    web_answer(k, rq, status, "text/plain; charset=utf-8", bytes_str(text));
}

/* A browser that was led here by a foreign page names that page's host (DNS rebinding) or its origin
 * (CVE-2022-41925). */
static bool host_is_ours(const struct http_head *rq)
{
    char host[CONFIG_HOST_MAX], text[CONFIG_HOST_MAX];
    struct addr a;
    uint16_t port;
    if (rq->authority.len >= sizeof text || http_head_find(rq, "origin"))
        return false;
    memcpy(text, rq->authority.at, rq->authority.len);
    text[rq->authority.len] = 0;
    return addr_split(text, host, sizeof host, &port, 80) &&
           (strcmp(host, "localhost") == 0 || addr_of_ip(&a, host, port));
}

static void web_metrics(struct door_conn *k, const struct http_head *rq)
{
    struct buf text = {0};
    if (control_metrics(k->door->control, &text) == ERR_OK)
        web_answer(k, rq, 200, "text/plain; version=0.0.4; charset=utf-8", buf_bytes(&text));
    else
        web_text(k, rq, 500, "out of memory\n");
    buf_fini(&text);
}

static void web_ready(struct door_conn *k, const struct http_head *rq)
{
    const struct control *c = k->door->control;
    if (control_phase(c) != CONTROL_RUNNING)
        web_text(k, rq, 503, "leaving\n");
    else if (control_is_revoked(c))
        web_text(k, rq, 503, "revoked: this host is no member any more\n");
    else if (gossip_is_yielding(control_gossip(c)))
        web_text(k, rq, 503, "doubled: another agent runs with the key of this host, and goes before it\n");
    else if (!control_is_joined(c))
        web_text(k, rq, 503, "not joined: no seed has answered\n");
    else if (!control_policy(c)->policy)
        web_text(k, rq, 503, "no policy in force: publish one (starling policy publish)\n");
    else
        web_text(k, rq, 200, "ready\n");
}

/* What an operator has to act on. No restart mends any of it: what serves is asked by /readyz. */
static const char *degraded(const struct control *c)
{
    const struct enforced *f = control_policy(c);
    if (control_store_health(c) != ERR_OK)
        return "degraded: state cannot be written\n";
    if (enforced_is_expired(f))
        return "degraded: the policy in force has expired; it stays enforced\n";
    if (enforced_is_forked(f, NULL))
        return "degraded: two signed policies carry one version\n";
    return f->failed.reason[0] ? "degraded: a newer policy could not be taken; see `starling status`\n"
                               : NULL;
}

static void web_health(struct door_conn *k, const struct http_head *rq)
{
    const char *why = degraded(k->door->control);
    web_text(k, rq, why ? 503 : 200, why ? why : "healthy\n");
}

static void web_serve(struct door_conn *k, const struct http_head *rq)
{
    if (!host_is_ours(rq))
        web_text(k, rq, 403, "this port answers to its own address only\n");
    else if (!bytes_eq_str(rq->method, "GET") && !bytes_eq_str(rq->method, "HEAD"))
        web_text(k, rq, 405, "this port is read-only\n");
    else if (bytes_eq_str(rq->path, "/metrics"))
        web_metrics(k, rq);
    else if (bytes_eq_str(rq->path, "/healthz"))
        web_health(k, rq);
    else if (bytes_eq_str(rq->path, "/readyz"))
        web_ready(k, rq);
    else
        web_text(k, rq, 404, "there are /metrics, /healthz and /readyz\n");
}

static bool web_refuse(struct door_conn *k, uint16_t status, const char *why)
{
    struct buf wire = {0};
    if (h1_write_simple(&wire, status, NULL, 0, bytes_str(why), true, false) == ERR_OK)
        door_send(k, &wire);
    buf_fini(&wire);
    return false;
}

static bool web_received(struct door_conn *k)
{
    static const struct h1_limits limits = {.head_bytes_max = 8192};
    if (!k->reader && !(k->reader = h1_reader_new(H1_REQUESTS, &limits)))
        return false;
    while (door_may_go_on(k)) {
        size_t used = 0;
        struct h1_event ev = h1_reader_feed(k->reader, buf_bytes(&k->in), &used);
        if (ev.type == H1_HEAD) {
            struct http_head head = {0};
            h1_reader_head_take(k->reader, &head);
            web_serve(k, &head);
            http_head_fini(&head);
        }
        buf_consume(&k->in, used);
        if (ev.type == H1_ERROR)
            return web_refuse(k, ev.status, ev.why);
        if (ev.type == H1_END && !h1_reader_keep_alive(k->reader))
            return false;
        if (ev.type == H1_NONE)
            break;
    }
    return true;
}

/* -- both -------------------------------------------------------------------------------------- */

static enum err open_socket(struct admin *a, struct buf *why)
{
    char path[ADMIN_SOCKET_PATH_MAX];
    const char *data = control_config(a->control)->data;
    if (!admin_socket_path(path, data)) {
        buf_addf(why, "the data folder's path %s is too long for a Unix socket in it: give a shorter --data",
                 data);
        return ERR_LIMIT;
    }
    (void)unlink(path); /* left by an agent that was killed; the store's lock says that none is running */
    enum err e =
        net_listen_unix(&a->socket.listener, control_loop(a->control), path, door_on_accept, &a->socket);
    if (e != ERR_OK)
        buf_addf(why, "the socket %s cannot be made: %s", path, err_text(e));
    return e;
}

static enum err open_web(struct admin *a, struct buf *why)
{
    const struct addr *at = &control_config(a->control)->admin;
    char text[ADDR_TEXT_MAX];
    if (at->port == 0)
        return ERR_OK;
    enum err e =
        net_listen(&a->web.listener, control_loop(a->control), at, false, NULL, door_on_accept, &a->web);
    if (e != ERR_OK)
        buf_addf(why, "the read-only port %s cannot be had: %s; give another with --admin, or off",
                 addr_text(at, text), net_bind_text(e));
    return e;
}

static mono_ms step(void *arg, mono_ms now)
{
    struct admin *a = arg;
    mono_ms socket = door_step(&a->socket, now), web = door_step(&a->web, now);
    return mono_min(socket, web);
}

enum err admin_new(struct admin **out, struct control *c, struct buf *why)
{
    struct admin *a = calloc(1, sizeof *a);
    *out = NULL;
    if (!a)
        return ERR_NOMEM;
    a->control = c;
    door_init(&a->socket, c, ADMIN_REQUEST_MAX, socket_received);
    door_init(&a->web, c, WEB_REQUEST_MAX, web_received);
    a->socket.admit = admit_owner;
    enum err e = open_socket(a, why);
    if (e == ERR_OK)
        e = open_web(a, why);
    if (e != ERR_OK) {
        admin_free(a);
        return e;
    }
    control_also(c, step, a);
    *out = a;
    return ERR_OK;
}

void admin_free(struct admin *a)
{
    char path[ADMIN_SOCKET_PATH_MAX];
    if (!a)
        return;
    control_also(a->control, NULL, NULL);
    if (a->socket.listener && admin_socket_path(path, control_config(a->control)->data))
        (void)unlink(path);
    door_fini(&a->socket);
    door_fini(&a->web);
    free(a);
}
