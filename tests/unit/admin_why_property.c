/* What `why` says is what the data plane does: random policies and requests go through two exchanges, the near agent's and the
 * far agent's, and `why` is asked the same. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "admin/why.h"
#include "exchange/exchange.h"
#include "policy/words.h"
#include "policy_model.h"
#include "view_world.h"

enum { POLICIES = 3000, QUESTIONS = 40, NOW = 1000 };

/* -- a front that listens to nothing ---------------------------------------------------------------- */

static size_t no_room(const struct side *s)
{
    (void)s;
    return 0;
}
static void no_head(struct side *s, const struct http_head *h, const struct mesh_verdict *v)
{
    (void)s, (void)h, (void)v;
}
static void no_data(struct side *s, struct bytes d)
{
    (void)s, (void)d;
}
static void no_end(struct side *s, const struct http_head *trailers)
{
    (void)s, (void)trailers;
}
static void no_resume(struct side *s)
{
    (void)s;
}
static void no_finish(struct side *s, bool clean)
{
    (void)s, (void)clean;
}
static const struct side_ops mute = {no_room, no_head, no_data, no_end, no_resume, no_finish};

/* -- an application that notes what it was asked ---------------------------------------------------- */

static struct {
    char path[64], set_by[16]; /* x-r */
} seen_by_app;

static void note_head(struct side *s, const struct http_head *h, const struct mesh_verdict *v)
{
    const struct http_header *r = h ? http_head_find(h, "x-r") : NULL;
    (void)s, (void)v;
    snprintf(seen_by_app.path, sizeof seen_by_app.path, "%.*s", h ? (int)h->path.len : 0,
             h ? (const char *)h->path.at : "");
    snprintf(seen_by_app.set_by, sizeof seen_by_app.set_by, "%.*s", r ? (int)r->value.len : 0,
             r ? (const char *)r->value.at : "");
}
static const struct side_ops application = {no_room, note_head, no_data, no_end, no_resume, no_finish};

/* -- two agents, one policy ------------------------------------------------------------------------- */

struct world {
    struct view *near, *far;
    uint64_t serial; /* of views */
    struct traffic *traffic;
    struct list news;
    struct credential own; /* speaks for some of the callers */
};

static struct record_service instance(const char *name, const char *version)
{
    struct record_service s = {.name = bytes_str(name),
                               .port = 80,
                               .protocol = name[0] == 't' ? PROTOCOL_TCP : PROTOCOL_HTTP,
                               .healthy = true};
    if (version)
        s.labels = (struct labels){.count = 1, .at = {{bytes_str("version"), bytes_str(version)}}};
    return s;
}

/* The far host has all services; no instance carries version 2 unless `with_v2`. */
static void make_world(struct world *w, struct policy *p, bool with_v2)
{
    struct node_id near = {{1}}, far = {{2}};
    struct addr at;
    struct record r = {.credential = {.node = bytes_str("far"), .id = far}};
    struct view_builder *b = view_builder_new("m", &near, NULL);
    r.service[r.service_count++] = instance("a", with_v2 ? "2" : "1");
    r.service[r.service_count++] = instance("b", NULL);
    r.service[r.service_count++] = instance("t", NULL);
    assert_true(addr_of_ip(&at, "10.0.0.2", 7400));
    add_member(b, &r, &at, true, false);
    assert_non_null(w->near = view_builder_finish(b, p, 1, ++w->serial));
    b = view_builder_new("m", &far, NULL);
    assert_true(addr_of_ip(&at, "127.0.0.1", 8080));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(view_builder_local(b, bytes_str(services[i]), &at,
                                            i == 2 ? PROTOCOL_TCP : PROTOCOL_HTTP, NULL, true),
                         ERR_OK);
    assert_non_null(w->far = view_builder_finish(b, p, 1, ++w->serial));
}

struct outcome {
    bool near_over, far_over;
    bool copied, copy_denied; /* to the route's mirror, at the near agent */
    struct exchange near, far;
};

/* What the worker does with a request that is to be copied. */
static void play_copy(struct world *w, struct exchange_ask ask, struct outcome *o)
{
    static struct side nobody = {.ops = &mute};
    static struct exchange copy;
    static struct http_head head;
    o->copied = !o->near_over && o->near.mirror_to;
    if (!o->copied)
        return;
    ask.service = bytes_str(policy_service_name(o->near.mirror_to));
    ask.mirrored = true;
    assert_int_equal(http_head_copy(&head, &o->near.request), ERR_OK);
    exchange_init(&copy, EXCHANGE_NEAR, w->near, w->traffic, &nobody, &w->news, 0);
    exchange_start(&copy, &ask, &head, NOW);
    assert_null(copy.mirror_to);
    o->copy_denied = copy.facts.flag == FLAG_UAEX && strcmp(copy.facts.rule, "identity") != 0;
    exchange_fini(&copy);
}

/* Through the near agent, and if that lets it go, through the far one. */
static void play(struct world *w, const struct question *q, uint64_t dice, struct outcome *o)
{
    static struct side front[2] = {{.ops = &mute}, {.ops = &mute}};
    bool http = q->to != 2;
    static struct http_head head[2];
    for (int i = 0; i < 2; i++) {
        head[i] = (struct http_head){.method = bytes_str(q->method),
                                     .authority = bytes_str(services[q->to]),
                                     .path = bytes_str(q->path),
                                     .query = bytes_str(q->query),
                                     .minor = 1};
        if (q->header)
            head[i].header[head[i].header_count++] =
                (struct http_header){bytes_str("x-h"), bytes_str(q->header)};
    }
    struct exchange_ask ask = {.protocol = http ? PROTOCOL_HTTP : PROTOCOL_TCP,
                               .caller = bytes_str(q->caller),
                               .service = bytes_str(services[q->to]),
                               .vouch = &w->own,
                               .wall_now = 1,
                               .dice = dice};
    exchange_init(&o->near, EXCHANGE_NEAR, w->near, w->traffic, &front[0], &w->news, 0);
    exchange_start(&o->near, &ask, http ? &head[0] : NULL, NOW);
    if (o->near.state == EXCHANGE_PAUSING)
        exchange_tick(&o->near, o->near.times.resume_at);
    o->near_over = o->near.state == EXCHANGE_OVER;
    play_copy(w, ask, o);
    exchange_init(&o->far, EXCHANGE_FAR, w->far, w->traffic, &front[1], &w->news, 0);
    if (!o->near_over)
        exchange_start(&o->far, &ask, http ? &head[1] : NULL, NOW);
    o->far_over = o->far.state == EXCHANGE_OVER;
    seen_by_app.path[0] = seen_by_app.set_by[0] = 0;
    static struct side app = {.ops = &application};
    if (o->far.state == EXCHANGE_SEEKING)
        exchange_back_ready(&o->far, &app, NOW * 1000);
}

static json_t *ask_why(struct world *w, const struct question *q)
{
    struct why_at at = {.view = w->near, .own = &w->own, .node = "near", .now = 1};
    struct buf told = {0};
    json_t *k = json_pack("{s:s, s:s}", "from", q->caller, "to", services[q->to]);
    if (q->to != 2) {
        json_object_set_new(k, "method", json_string(q->method));
        json_object_set_new(k, "path", json_string(q->path));
        json_object_set_new(k, "query", json_string(q->query));
        json_object_set_new(k, "headers", q->header ? json_pack("{s:s}", "X-H", q->header) : json_object());
    }
    json_t *o = why_answer(&at, k, &told);
    if (!o && !strstr(buf_str(&told), "before any rule is asked"))
        fail_msg("%s", buf_str(&told));
    json_decref(k);
    buf_fini(&told);
    return o;
}

/* -- the comparison --------------------------------------------------------------------------------- */

static const char *said_of(const json_t *o, const char *key)
{
    const char *t = json_string_value(json_object_get(o, key));
    return t ? t : "";
}

static const json_t *target_of(const json_t *o, const char *subset)
{
    json_t *t;
    size_t i;
    json_array_foreach(json_object_get(o, "targets"), i, t)
    {
        if (strcmp(said_of(t, "subset"), subset) == 0)
            return t;
    }
    return NULL;
}

static void compare_route(const json_t *o, const struct outcome *is)
{
    const json_t *timeouts = json_object_get(o, "timeouts"), *t = target_of(o, is->near.subset),
                 *sticks_to = json_object_get(json_object_get(o, "sticky"), "subset");
    json_int_t request = json_integer_value(json_object_get(timeouts, "request_ms"));
    struct buf text = {0};
    assert_non_null(t);
    assert_true(json_integer_value(json_object_get(t, "weight")) > 0);
    assert_int_equal(json_array_size(json_object_get(t, "endpoints")) == 0, is->near_over);
    if (json_is_string(
            sticks_to)) { /* no throw: what it says is what is done, and it says nothing of the other side */
        assert_string_equal(json_string_value(sticks_to), is->near.subset);
        assert_int_equal(json_is_integer(json_object_get(o, "status")), is->near_over);
    }
    assert_int_equal(is->near.connect_ms, json_integer_value(json_object_get(timeouts, "connect_ms")));
    assert_true(is->near.times.deadline == (request ? NOW + (mono_ms)request : NEVER));
    if (request) {
        words_duration(&text, (uint64_t)(is->near.times.deadline - NOW));
        assert_string_equal(
            said_of(json_object_get(json_object_get(o, "settings"), "timeouts.request"), "value"),
            buf_str(&text));
    }
    buf_fini(&text);
}

struct seen {
    size_t allowed, denied, unvouched, no_route, no_endpoint, audited, stuck, rewritten, edited, aborted,
        delayed, copied, copy_denied;
};

/* What the application was asked, against what `why` says that it would be. */
static void compare_edits(const json_t *o, const struct question *q, struct seen *n)
{
    const json_t *rewrite = json_object_get(o, "rewrite"), *edit = json_object_get(o, "request_headers");
    char set[64];
    snprintf(set, sizeof set, "{set: {x-r: \"%s\"}}", said_of(o, "route"));
    assert_string_equal(seen_by_app.path, json_is_object(rewrite) ? said_of(rewrite, "path")
                                          : q->to == 2            ? ""
                                                                  : q->path);
    assert_string_equal(seen_by_app.set_by, json_is_object(edit) ? said_of(o, "route") : "");
    if (json_is_object(edit))
        assert_string_equal(said_of(edit, "edit"), set);
    n->rewritten += json_is_object(rewrite);
    n->edited += json_is_object(edit);
}

static void compare_mirror(const json_t *o, const struct outcome *is, struct seen *n)
{
    const json_t *mirror = json_object_get(o, "mirror");
    assert_int_equal(json_is_object(mirror), is->copied);
    if (!is->copied)
        return;
    assert_string_equal(said_of(mirror, "to"), policy_service_name(is->near.mirror_to));
    assert_string_equal(said_of(mirror, "decision"), is->copy_denied ? "deny" : "allow");
    n->copied += !is->copy_denied;
    n->copy_denied += is->copy_denied;
}

static void compare(const json_t *o, const struct question *q, const struct outcome *is, struct seen *n)
{
    const struct facts *f = is->near_over ? &is->near.facts : &is->far.facts;
    const char *flag = exchange_flag_text(f->flag);
    bool allowed = strcmp(said_of(o, "decision"), "allow") == 0,
         audited = json_is_true(json_object_get(o, "audited"));
    bool no_endpoint = is->near_over && f->status == 503, aborted = is->near.facts.aborted,
         unvouched = strcmp(said_of(o, "rule"), "identity") == 0;
    assert_true(allowed == (((no_endpoint || aborted) && !unvouched) || !(is->near_over || is->far_over)));
    assert_string_equal(said_of(o, "route"), is->near.facts.route);
    if (f->rule[0] && !((no_endpoint || aborted) && unvouched))
        assert_string_equal(said_of(o, "rule"), f->rule);
    if (is->near.facts.rule[0])
        assert_string_equal(audited ? said_of(o, "audit_rule") : "", is->near.facts.audit_rule);
    if (no_endpoint && unvouched) /* which of both is told depends on the share */
        assert_true(json_array_size(json_object_get(target_of(o, is->near.subset), "endpoints")) == 0);
    else if (!allowed || no_endpoint || aborted) {
        assert_int_equal(json_integer_value(json_object_get(o, "status")), f->status);
        assert_string_equal(said_of(o, "flag"), flag);
    }
    if (allowed && !aborted)
        compare_route(o, is);
    if (*said_of(o, "route") && is->near.facts.flag != FLAG_UAEX)
        assert_string_equal(said_of(json_object_get(o, "fault"), "name"), is->near.facts.fault);
    if (!is->near_over)
        compare_mirror(o, is, n);
    if (is->far.back)
        compare_edits(o, q, n);
    n->allowed += allowed;
    n->no_endpoint += no_endpoint;
    n->no_route += !allowed && f->flag == FLAG_NR;
    n->denied += is->near_over && f->flag == FLAG_UAEX;
    n->unvouched += unvouched;
    n->audited += audited;
    n->aborted += aborted;
    n->delayed += is->near.facts.delayed;
    n->stuck += allowed && json_is_string(json_object_get(json_object_get(o, "sticky"), "subset"));
}

static void ask_and_play(struct world *w, struct rng *r, struct seen *n)
{
    struct question q;
    static struct outcome is;
    random_question(r, &q);
    json_t *o = ask_why(w, &q);
    uint64_t dice = rng_u64(r);
    if (!o)
        return; /* a method that no reader takes */
    play(w, &q, dice, &is);
    compare(o, &q, &is, n);
    exchange_fini(&is.near);
    exchange_fini(&is.far);
    json_decref(o);
}

static void why_says_what_is_done(void **state)
{
    (void)state;
    struct rng r = rng_seeded(7);
    static struct model m;
    struct seen n = {0};
    struct traffic_shared *shared = traffic_shared_new(&(struct shorthash_key){{7}});
    struct world w = {.traffic = traffic_new(shared, 3)};
    list_init(&w.news);
    for (size_t i = 0; i < 5; i++) /* c0 to c3, and a */
        if (i != 1)
            w.own.service[w.own.service_count++] = bytes_str(callers[i]);
    for (int i = 0; i < POLICIES; i++) {
        struct buf text = {0};
        struct policy *p = NULL;
        random_model(&r, &m);
        random_faults(&r, &m);
        write_model(&text, &m);
        if (policy_compile(&p, buf_bytes(&text), NULL) == ERR_OK) {
            make_world(&w, p, chance(&r, 30));
            for (int j = 0; j < QUESTIONS; j++)
                ask_and_play(&w, &r, &n);
            view_unref(w.near);
            view_unref(w.far);
        }
        policy_unref(p);
        buf_fini(&text);
    }
    traffic_free(w.traffic);
    traffic_shared_free(shared);
    assert_true(n.allowed > 1000 && n.denied > 1000 && n.unvouched > 100);
    assert_true(n.no_route > 100 && n.no_endpoint > 50 && n.audited > 100 && n.stuck > 50);
    assert_true(n.rewritten > 50 && n.edited > 50 && n.aborted > 50 && n.delayed > 50);
    assert_true(n.copied > 20 && n.copy_denied > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(why_says_what_is_done)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
