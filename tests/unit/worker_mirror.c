/* The copy of a request in a worker: what it says to its receiver, what ends it, and what each end is counted as. Both exchanges are real,
 * their other sides write down what they are told; no socket. */
#include "worker/mirror.c"

#include "exchange/refusal.h"

#include "exchange_fake.h"
#include "worker/run.h"
#include "view_world.h"

static const char policy_text[] =
    "policy: v1\nmesh: m.example\nversion: 3\n"
    "services:\n"
    "  cart: {protocol: http, routes: [{name: all, mirror: {to: shadow}}]}\n"
    "  shadow: {protocol: http}\n"
    "intentions:\n"
    "  - {name: front, from: [web], to: cart}\n"
    "  - {name: copies, from: [web], to: shadow, allow: [{paths: [\"/seen/*\"]}]}\n";

struct story {
    struct buf log;
    struct policy *policy;
    struct view *view;
    struct workers all;
    struct worker w;
    struct fake client, app, receiver; /* who asks; who answers it; who gets the copy */
    struct flow *request, *copy;       /* copy: NULL when none is under way */
};

static void offer(struct record *r, const char *service)
{
    r->service[r->service_count++] = (struct record_service){
        .name = bytes_str(service), .port = 80, .protocol = PROTOCOL_HTTP, .healthy = true};
}

static struct view *make_view(struct policy *p)
{
    struct node_id self = {{200}};
    struct view_builder *b = view_builder_new("m.example", &self, NULL);
    struct record r = {.credential = {.node = bytes_str("host-a"), .id = {{1}}}};
    struct addr at;
    offer(&r, "cart");
    offer(&r, "shadow");
    assert_true(addr_of_ip(&at, "10.0.0.1", 7400));
    add_member(b, &r, &at, true, false);
    return view_builder_finish(b, p, 1, 1);
}

static int set_up(void **state)
{
    struct story *t = calloc(1, sizeof *t);
    struct complaints c = {.file = "p.yaml"};
    struct buf why = {0};
    assert_non_null(t);
    if (policy_compile(&t->policy, bytes_str(policy_text), &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&c.text);
    t->view = make_view(t->policy);
    t->all.shared = traffic_shared_new(&(struct shorthash_key){{7}});
    assert_int_equal(worker_init(&t->w, &t->all, 0, t->view, &why), ERR_OK);
    t->client = (struct fake){.side = {.ops = &fake_ops}, .name = "client", .log = &t->log, .room = 1 << 20};
    t->app = (struct fake){.side = {.ops = &fake_ops}, .name = "app", .log = &t->log, .room = 1 << 20};
    t->receiver = (struct fake){.side = {.ops = &fake_ops}, .name = "copy", .log = &t->log, .room = 1 << 20};
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct story *t = *state;
    worker_fini(&t->w);
    traffic_shared_free(t->all.shared);
    view_unref(t->view);
    policy_unref(t->policy);
    buf_fini(&t->log);
    free(t);
    return 0;
}

/* What is left of a turn when nobody is to be reached: who wants a back side is given one by the story. */
static void turn(struct story *t)
{
    while (!list_is_empty(&t->w.pump)) {
        struct task *task = list_entry(t->w.pump.head.next, struct task, node);
        list_remove(&task->node);
        task->run(task);
    }
    list_each_safe (struct flow, f, &t->w.flows, in_worker)
        if (f->x.state != EXCHANGE_OVER)
            list_remove(&f->x.news);
    flow_news(&t->w);
    while (!list_is_empty(&t->w.graves)) {
        struct grave *g = list_entry(t->w.graves.head.next, struct grave, node);
        list_remove(&g->node);
        g->bury(g);
    }
}

static void ask(struct story *t, const char *method, const char *path)
{
    struct exchange_ask ask = {
        .protocol = PROTOCOL_HTTP, .caller = bytes_str("web"), .service = bytes_str("cart")};
    struct http_head h = {
        .method = bytes_str(method), .authority = bytes_str("cart"), .path = bytes_str(path), .minor = 1};
    h.body = strcmp(method, "PUT") == 0 ? HTTP_BODY_CHUNKED : HTTP_BODY_NONE;
    t->request = flow_new(&t->w, EXCHANGE_NEAR, &t->client.side);
    flow_start(t->request, &ask, &h);
    assert_int_equal(t->request->x.state, EXCHANGE_SEEKING);
    assert_non_null(t->request->x.mirror_to);
    mirror_begin(t->request);
    assert_null(t->request->x.mirror_to);
    turn(t);
    struct flow *last = list_entry(t->w.flows.head.prev, struct flow, in_worker);
    t->copy = last != t->request ? last : NULL;
}

static void reach(struct story *t, struct flow *f, struct fake *back)
{
    exchange_back_ready(&f->x, &back->side, net_clock_us());
    turn(t);
}

static void answer(struct story *t, struct flow *f, uint16_t status)
{
    struct http_head h = {.is_response = true, .status = status, .minor = 1};
    exchange_head(&f->x, &h, NULL, net_clock_us());
    exchange_end(&f->x, FROM_BACK, NULL, net_clock_us());
    turn(t);
}

static void say(struct story *t, const char *text)
{
    exchange_data(&t->request->x, FROM_FRONT, bytes_str(text));
    turn(t);
}

static void say_the_end(struct story *t, const struct http_head *trailers)
{
    exchange_end(&t->request->x, FROM_FRONT, trailers, net_clock_us());
    turn(t);
}

static void expect_log(struct story *t, const char *want)
{
    assert_string_equal(buf_str(&t->log), want);
    buf_consume(&t->log, t->log.len);
}

/* One copy was made, or was not; it ended as this, and nothing is left of it. */
static void expect_outcome(struct story *t, const char *outcome)
{
    struct buf out = {0}, want = {0};
    assert_int_equal(metrics_render(&out, &t->w.metrics, 1), ERR_OK);
    buf_addf(&want, "starling_mirrored_total{service=\"shadow\",outcome=\"%s\"} 1\n", outcome);
    if (!strstr(buf_str(&out), buf_str(&want)))
        fail_msg("no %s in:\n%s", buf_str(&want), buf_str(&out));
    const char *first = strstr(buf_str(&out), "starling_mirrored_total{");
    assert_null(strstr(first + 1, "starling_mirrored_total{"));
    assert_int_equal(t->w.mirror_count, 0);
    buf_fini(&out);
    buf_fini(&want);
}

static void a_copy_says_what_the_request_says_and_its_answer_is_nobodys(void **state)
{
    struct story *t = *state;
    ask(t, "PUT", "/seen/1");
    reach(t, t->request, &t->app);
    reach(t, t->copy, &t->receiver);
    say(t, "one");
    say(t, "two");
    say_the_end(t, NULL);
    answer(t, t->copy, 500);
    expect_outcome(t, "answered");
    expect_log(t, "app head PUT /seen/1\nclient resume\ncopy head PUT /seen/1\n"
                  "app data one\ncopy data one\napp data two\ncopy data two\napp end\ncopy end\ncopy finish "
                  "clean\n");
    answer(t, t->request, 200);
    expect_log(t, "client head 200\nclient end\napp finish clean\nclient finish clean\n");
}

static void what_comes_before_there_is_a_receiver_waits(void **state)
{
    struct story *t = *state;
    ask(t, "PUT", "/seen/1");
    reach(t, t->request, &t->app);
    say(t, "one");
    say(t, "two");
    t->receiver.fills = true;
    t->receiver.room = 4;
    reach(t, t->copy, &t->receiver);
    say_the_end(t, NULL);
    expect_log(t, "app head PUT /seen/1\nclient resume\napp data one\napp data two\n"
                  "copy head PUT /seen/1\ncopy data onet\napp end\n");
    t->receiver.room = 100;
    exchange_writable(&t->copy->x, FROM_BACK);
    turn(t);
    expect_log(t, "copy data wo\ncopy end\n");
    assert_int_equal(t->all.shared->mirror_bytes, 0);
}

/* An empty body: no byte waits for room, and yet the trailers have to. */
static void trailers_wait_for_a_receiver_too(void **state)
{
    struct story *t = *state;
    struct http_head sum = {.header_count = 0};
    ask(t, "PUT", "/seen/1");
    reach(t, t->request, &t->app);
    say_the_end(t, &sum);
    reach(t, t->copy, &t->receiver);
    expect_log(t, "app head PUT /seen/1\nclient resume\napp end with trailers\ncopy head PUT /seen/1\n"
                  "copy end with trailers\n");
    answer(t, t->copy, 200);
    expect_outcome(t, "answered");
}

static void a_request_without_a_body_is_copied_whole(void **state)
{
    struct story *t = *state;
    struct exchange_ask get = {
        .protocol = PROTOCOL_HTTP, .caller = bytes_str("web"), .service = bytes_str("cart")};
    struct http_head h = {
        .method = bytes_str("GET"), .authority = bytes_str("cart"), .path = bytes_str("/seen/1"), .minor = 1};
    t->request = flow_new(&t->w, EXCHANGE_NEAR, &t->client.side);
    flow_start(t->request, &get, &h);
    exchange_end(&t->request->x, FROM_FRONT, NULL, net_clock_us()); /* in the same packet as its head */
    mirror_begin(t->request);
    turn(t);
    t->copy = list_entry(t->w.flows.head.prev, struct flow, in_worker);
    reach(t, t->copy, &t->receiver);
    expect_log(t, "copy head GET /seen/1\ncopy end\n");
    answer(t, t->copy, 200);
    expect_outcome(t, "answered");
}

static void who_is_too_slow_for_the_body_loses_the_copy(void **state)
{
    struct story *t = *state;
    static char piece[MIRROR_BYTES_MAX / 2];
    memset(piece, 'x', sizeof piece - 1);
    ask(t, "PUT", "/seen/1");
    reach(t, t->request, &t->app);
    t->receiver.room = 0;
    reach(t, t->copy, &t->receiver);
    say(t, piece);
    say(t, piece);
    assert_int_equal(t->w.mirror_count, 1);
    assert_int_equal(t->all.shared->mirror_bytes, MIRROR_BYTES_MAX);
    say(t, "and three more");
    expect_outcome(t, "behind");
    assert_int_equal(t->all.shared->mirror_bytes, 0);
    assert_null(t->request->x.tap);
    say(t, "the request goes on");
    assert_non_null(strstr(buf_str(&t->log), "app data the request goes on"));
}

static void all_copies_together_are_bounded(void **state)
{
    struct story *t = *state;
    t->all.shared->mirror_bytes = MIRROR_ALL_MAX - 63;
    ask(t, "PUT", "/seen/1");
    reach(t, t->request, &t->app);
    say(t, "one");
    expect_outcome(t, "full");
    assert_int_equal(t->all.shared->mirror_bytes, MIRROR_ALL_MAX - 63);
    assert_null(t->request->x.tap);
}

static void a_request_that_breaks_off_takes_its_copy_along(void **state)
{
    struct story *t = *state;
    ask(t, "PUT", "/seen/1");
    reach(t, t->request, &t->app);
    reach(t, t->copy, &t->receiver);
    say(t, "one");
    exchange_lost(&t->request->x, FROM_FRONT, LOSS_CUT, net_clock_us());
    turn(t);
    expect_outcome(t, "cut");
    assert_non_null(strstr(buf_str(&t->log), "copy finish cut"));
}

/* The copy is answered, or ended, before all of the request was said: nobody listens any more, and the request goes on. */
static void a_copy_that_ends_early_leaves_the_request_alone(void **state)
{
    struct story *t = *state;
    ask(t, "PUT", "/seen/1");
    reach(t, t->request, &t->app);
    reach(t, t->copy, &t->receiver);
    say(t, "one");
    answer(t, t->copy, 413);
    expect_outcome(t, "answered");
    assert_null(t->request->x.tap);
    say(t, "two");
    say_the_end(t, NULL);
    answer(t, t->request, 200);
    assert_non_null(strstr(buf_str(&t->log), "client finish clean"));
}

static void who_may_not_call_it_makes_no_copy_of_it(void **state)
{
    struct story *t = *state;
    ask(t, "GET", "/unseen/1"); /* here */
    assert_null(t->copy);
    expect_outcome(t, "denied");
    assert_int_equal(t->request->x.state, EXCHANGE_SEEKING);
}

static void or_is_told_so_by_the_far_agent(void **state)
{
    struct story *t = *state;
    char line[REFUSAL_LINE_MAX];
    struct exchange_refusal r = refusal_of(403, FLAG_UAEX, "unmatched", "no rule allows it");
    refusal_line(&r, line);
    struct mesh_verdict no = {.refused = 1, .flag = bytes_str("UAEX"), .reason = bytes_str(line)};
    ask(t, "GET", "/seen/1");
    reach(t, t->copy, &t->receiver);
    exchange_head(&t->copy->x, NULL, &no, net_clock_us());
    turn(t);
    expect_outcome(t, "denied");
    assert_int_equal(t->request->x.state, EXCHANGE_SEEKING);
}

static void who_cannot_be_reached_gets_none(void **state)
{
    struct story *t = *state;
    ask(t, "GET", "/seen/1");
    exchange_back_failed(&t->copy->x, ERR_REFUSED, net_clock_us());
    turn(t);
    expect_outcome(t, "failed");
    assert_int_equal(t->request->x.state, EXCHANGE_SEEKING);
}

static void beyond_so_many_none_is_made(void **state)
{
    struct story *t = *state;
    t->w.mirror_count = MIRRORS_MAX;
    ask(t, "GET", "/seen/1");
    assert_null(t->copy);
    t->w.mirror_count = 0;
    expect_outcome(t, "full");
}

static void who_drains_makes_none(void **state)
{
    struct story *t = *state;
    t->w.draining = true;
    ask(t, "GET", "/seen/1");
    assert_null(t->copy);
    expect_outcome(t, "full");
    t->w.draining = false;
}

/* Whatever is under way: worker_fini() ends it, and leaves nothing behind (a sanitizer looks). */
static void the_worker_may_end_at_any_time(void **state)
{
    struct story *t = *state;
    ask(t, "PUT", "/seen/1"); /* nobody reached yet */
    ask(t, "PUT", "/seen/2"); /* a body waits for its receiver */
    reach(t, t->request, &t->app);
    say(t, "one");
    assert_int_equal(t->w.mirror_count, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_copy_says_what_the_request_says_and_its_answer_is_nobodys),
        T(what_comes_before_there_is_a_receiver_waits),
        T(trailers_wait_for_a_receiver_too),
        T(a_request_without_a_body_is_copied_whole),
        T(who_is_too_slow_for_the_body_loses_the_copy),
        T(all_copies_together_are_bounded),
        T(a_request_that_breaks_off_takes_its_copy_along),
        T(a_copy_that_ends_early_leaves_the_request_alone),
        T(who_may_not_call_it_makes_no_copy_of_it),
        T(or_is_told_so_by_the_far_agent),
        T(who_cannot_be_reached_gets_none),
        T(beyond_so_many_none_is_made),
        T(who_drains_makes_none),
        T(the_worker_may_end_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
