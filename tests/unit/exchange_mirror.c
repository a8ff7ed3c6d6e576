/* Which requests get a copy, what the copy hears of them, and what a copy itself is spared. */
#include "base/rng.h"
#include "exchange_world.h"

static const char mirror_text[] =
    "policy: v1\nmesh: m.example\nversion: 3\n"
    "services:\n"
    "  cart:\n"
    "    protocol: http\n"
    "    timeouts: {request: 10s}\n"
    "    retry: {attempts: 1, on: [connect-failure, \"502\"], backoff: {base: 1ms, max: 1ms}}\n"
    "    routes:\n"
    "      - {name: some, match: [{path: {prefix: /some}}], mirror: {to: shadow, percent: 10}}\n"
    "      - {name: all, mirror: {to: shadow}}\n"
    "  shadow: {protocol: http}\n"
    "intentions:\n"
    "  - {name: front, from: [web], to: cart, allow: [{paths: [\"/some/*\", \"/all/*\"]}]}\n"
    "faults:\n"
    "  - {name: chaos, to: cart, match: [{headers: {x-chaos: {present: true}}}], abort: {status: 503}, "
    "until: "
    "2027-01-01T00:00:00Z}\n";

struct ear { /* a tap that writes down what it hears */
    struct tap tap;
    struct buf *log;
};
static void hear_data(struct tap *t, struct bytes d)
{
    buf_addf(((struct ear *)t)->log, "tap data %.*s\n", (int)d.len, (const char *)d.at);
}
static void hear_end(struct tap *t, const struct http_head *trailers)
{
    buf_addf(((struct ear *)t)->log, "tap end%s\n", trailers ? " with trailers" : "");
}
static void hear_cut(struct tap *t)
{
    buf_addf(((struct ear *)t)->log, "tap cut\n");
}
static const struct tap_ops ear_ops = {hear_data, hear_end, hear_cut};

static void again(struct story *t)
{
    (void)has_news(t);
    exchange_fini(&t->x);
    memset(&t->x, 0, sizeof t->x);
    buf_consume(&t->log, t->log.len);
}

static const char *mirrored_to(const struct story *t)
{
    return t->x.mirror_to ? policy_service_name(t->x.mirror_to) : "";
}

static void so_many_percent_get_a_copy(void **state)
{
    struct story *t = *state;
    struct rng r = rng_seeded(3);
    size_t copies = 0;
    use_policy(t, mirror_text);
    for (int i = 0; i < 5000; i++) {
        struct exchange_ask ask = ask_http(t);
        struct http_head h = request("GET", "/some/1");
        ask.dice = rng_u64(&r);
        begin_with(t, EXCHANGE_NEAR, 1, &ask, &h);
        copies += t->x.mirror_to != NULL;
        again(t);
    }
    assert_in_range(copies, 500 - 128, 500 + 128); /* six standard deviations */
}

static void who_gets_a_copy(void **state)
{
    struct story *t = *state;
    static const struct {
        const char *what, *path, *to;
        enum exchange_role role;
        bool mirrored, chaos, upgrade;
    } table[] = {
        {"a request", "/all/1", "shadow", EXCHANGE_NEAR, false, false, false},
        {"a copy has none of its own, and no fault", "/all/1", "", EXCHANGE_NEAR, true, true, false},
        {"one that is denied", "/admin", "", EXCHANGE_NEAR, false, false, false},
        {"an upgrade", "/all/1", "", EXCHANGE_NEAR, false, false, true},
        {"the far agent makes none", "/all/1", "", EXCHANGE_FAR, false, false, false},
    };
    use_policy(t, mirror_text);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct exchange_ask ask = ask_http(t);
        struct http_head h = request("GET", table[i].path);
        ask.mirrored = table[i].mirrored;
        ask.wall_now = 1;
        h.upgrade = bytes_str(table[i].upgrade ? "websocket" : "");
        if (table[i].chaos)
            h.header[h.header_count++] = (struct http_header){bytes_str("x-chaos"), bytes_str("1")};
        begin_with(t, table[i].role, table[i].role == EXCHANGE_NEAR, &ask, &h);
        if (strcmp(mirrored_to(t), table[i].to) != 0 || t->x.facts.aborted)
            fail_msg("%s: copied to \"%s\"", table[i].what, mirrored_to(t));
        assert_int_equal(t->x.facts.mirrored, table[i].mirrored);
        again(t);
    }
}

static void a_copy_is_not_retried(void **state)
{
    struct story *t = *state;
    use_policy(t, mirror_text);
    for (int mirrored = 0; mirrored < 2; mirrored++) {
        struct exchange_ask ask = ask_http(t);
        struct http_head h = request("GET", "/all/1");
        ask.mirrored = mirrored;
        begin_with(t, EXCHANGE_NEAR, 2, &ask, &h);
        (void)has_news(t);
        exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
        assert_int_equal(t->x.state, mirrored ? EXCHANGE_OVER : EXCHANGE_PAUSING);
        again(t);
    }
}

/* Everything once, though it is sent twice. */
static void the_copy_hears_each_byte_once(void **state)
{
    struct story *t = *state;
    struct ear ear = {{&ear_ops}, &t->log};
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("PUT", "/all/1"), sum = {.header_count = 0};
    h.body = HTTP_BODY_CHUNKED;
    use_policy(t, mirror_text);
    begin_with(t, EXCHANGE_NEAR, 2, &ask, &h);
    (void)has_news(t);
    t->x.tap = &ear.tap;
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_data(&t->x, FROM_FRONT, bytes_str("one"));
    exchange_lost(&t->x, FROM_BACK, LOSS_CUT, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_PAUSING);
    exchange_tick(&t->x, t->x.times.resume_at);
    (void)has_news(t);
    exchange_back_ready(&t->x, &t->other.side, t->now_us);
    exchange_data(&t->x, FROM_FRONT, bytes_str("two"));
    exchange_end(&t->x, FROM_FRONT, &sum, t->now_us);
    assert_null(t->x.tap);
    expect_log(
        t, "back head PUT /all/1\nfront resume\nback data one\ntap data one\nother head PUT /all/1\nother "
           "data one\n"
           "front resume\nother data two\ntap data two\ntap end with trailers\nother end with trailers\n");
    again(t);
}

static void a_copy_of_half_a_request_is_cut(void **state)
{
    struct story *t = *state;
    struct ear ear = {{&ear_ops}, &t->log};
    use_policy(t, mirror_text);
    for (int how = 0; how < 3; how++) {
        struct exchange_ask ask = ask_http(t);
        struct http_head h = request("PUT", "/all/1"),
                         early = {.is_response = true, .status = 413, .minor = 1};
        begin_with(t, EXCHANGE_NEAR, 1, &ask, &h);
        (void)has_news(t);
        t->x.tap = &ear.tap;
        exchange_back_ready(&t->x, &t->back.side, t->now_us);
        if (how == 0) { /* the client leaves */
            exchange_lost(&t->x, FROM_FRONT, LOSS_CUT, t->now_us);
        } else if (how == 1) { /* answered before all was said */
            exchange_head(&t->x, &early, NULL, t->now_us);
            exchange_end(&t->x, FROM_BACK, NULL, t->now_us);
        } else { /* the worker goes */
            exchange_fini(&t->x);
        }
        assert_non_null(strstr(buf_str(&t->log), "tap cut\n"));
        assert_null(t->x.tap);
        again(t);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(so_many_percent_get_a_copy),      T(who_gets_a_copy),
        T(a_copy_is_not_retried),           T(the_copy_hears_each_byte_once),
        T(a_copy_of_half_a_request_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
