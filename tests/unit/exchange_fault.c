/* Faults: who is disturbed by which, when that ends, and what is told of it. */
#include "exchange/fault.h"
#include "base/rng.h"
#include "exchange_world.h"

enum { DAY = 1795305600 }; /* 2026-11-22 */
#define HEAD                                                                                                 \
    "policy: v1\nmesh: m.example\nversion: 3\n"                                                              \
    "services:\n"                                                                                            \
    "  cart: {protocol: http, timeouts: {request: 10s}, subsets: {v1: {version: \"1\"}}}\n"                  \
    "  db: {protocol: tcp}\n"                                                                                \
    "intentions:\n"                                                                                          \
    "  - {name: front, from: [web], to: cart, allow: [{paths: [\"/\", \"/chaos/*\"]}]}\n"                    \
    "  - {name: store, from: [web], to: db}\n"                                                               \
    "faults:\n"
#define UNTIL "until: 2026-11-23T00:00:00Z"

static void begin_at(struct story *t, enum exchange_role role, size_t agents, const char *path, wall_s now)
{
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("GET", path);
    ask.wall_now = now;
    begin_with(t, role, agents, &ask, &h);
}

static void again(struct story *t)
{
    (void)has_news(t);
    exchange_fini(&t->x);
    memset(&t->x, 0, sizeof t->x);
    buf_consume(&t->log, t->log.len);
}

static void percentages_are_kept_and_independent(void **state)
{
    (void)state;
    const struct policy_fault f = {
        .abort_ppm = 50000, .abort_status = 503, .delay_ppm = 100000, .delay_ms = 200};
    struct rng r = rng_seeded(11);
    size_t aborts = 0, delays = 0, both = 0;
    for (int i = 0; i < 100000; i++) {
        struct fault_throw t = fault_throw(&f, rng_u64(&r));
        aborts += t.aborts;
        delays += t.delays;
        both += t.aborts && t.delays;
    }
    /* Six standard deviations of 5 %, 10 % and 0.5 % of 100,000. */
    assert_in_range(aborts, 5000 - 414, 5000 + 414);
    assert_in_range(delays, 10000 - 570, 10000 + 570);
    assert_in_range(both, 500 - 134, 500 + 134);
}

static void an_aborted_request_goes_nowhere_and_names_the_fault(void **state)
{
    struct story *t = *state;
    use_policy(t, HEAD "  - {name: game-day, to: cart, abort: {status: 418}, " UNTIL "}\n");
    for (size_t agents = 0; agents < 2; agents++) { /* an instance of this host, and another's */
        begin_at(t, EXCHANGE_NEAR, agents, "/", DAY);
        expect_log(
            t, "front head 418 FI [418 3 game-day fault game-day of policy 3 answers in the place of cart]\n"
               "front data fault game-day of policy 3 answers in the place of cart\n"
               "front end\nfront finish cut\n");
        assert_string_equal(t->x.facts.fault, "game-day");
        assert_string_not_equal(t->x.facts.rule, "game-day"); /* that is the intention's */
        assert_true(t->x.facts.aborted && !t->x.facts.delayed);
        assert_int_equal(t->x.facts.flag, FLAG_FI);
        assert_int_equal(t->x.facts.status, 418);
        assert_null(t->x.tries.last);
        again(t);
    }
}

static void a_delayed_request_waits_and_then_goes_its_way(void **state)
{
    struct story *t = *state;
    use_policy(t, HEAD "  - {name: slow, to: cart, delay: {fixed: 200ms}, " UNTIL "}\n");
    begin_at(t, EXCHANGE_NEAR, 1, "/", DAY);
    assert_int_equal(t->x.state, EXCHANGE_PAUSING);
    assert_true(has_news(t)); /* to be given a timer */
    assert_int_equal(exchange_tick_at(&t->x), 1200);
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 0);
    exchange_end(&t->x, FROM_FRONT, NULL, 1100000);
    exchange_tick(&t->x, 1199);
    assert_int_equal(t->x.state, EXCHANGE_PAUSING);
    exchange_tick(&t->x, 1200);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_true(has_news(t));
    exchange_back_ready(&t->x, &t->back.side, 1201000);
    struct http_head h = {.is_response = true, .status = 200, .minor = 1};
    exchange_head(&t->x, &h, NULL, 1202000);
    exchange_end(&t->x, FROM_BACK, NULL, 1202000);
    expect_log(t,
               "back head GET /\nback end\nfront resume\nfront head 200\nfront end\nback finish clean\nfront "
               "finish clean\n");
    assert_int_equal(t->x.facts.flag, FLAG_DI);
    assert_int_equal(t->x.facts.status, 200);
    assert_true(t->x.facts.delayed && !t->x.facts.aborted && !t->x.facts.cut);
}

static void both_at_once_wait_first(void **state)
{
    struct story *t = *state;
    use_policy(t, HEAD "  - {name: worst, to: cart, abort: {status: 500}, delay: {fixed: 3s}, " UNTIL "}\n");
    begin_at(t, EXCHANGE_NEAR, 1, "/", DAY);
    assert_int_equal(t->x.state, EXCHANGE_PAUSING);
    exchange_tick(&t->x, 4000);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 500);
    assert_int_equal(t->x.facts.flag, FLAG_FI);
    assert_true(t->x.facts.delayed && t->x.facts.aborted);
    again(t);
}

/* The time of a request goes on while it is held up. */
static void a_delay_is_part_of_the_requests_time(void **state)
{
    struct story *t = *state;
    use_policy(t, HEAD "  - {name: slow, to: cart, delay: {fixed: 1h}, " UNTIL "}\n");
    begin_at(t, EXCHANGE_NEAR, 1, "/", DAY);
    assert_int_equal(exchange_tick_at(&t->x), 11000);
    exchange_tick(&t->x, 11000);
    assert_int_equal(t->x.facts.flag, FLAG_UT);
    assert_int_equal(t->x.facts.status, 504);
    expect_log(
        t, "front head 504 UT [504 3 slow fault slow of policy 3 held this up for longer than "
           "timeouts.request: cart was not asked]\n"
           "front data fault slow of policy 3 held this up for longer than timeouts.request: cart was not "
           "asked\nfront end\nfront finish cut\n");
    assert_true(t->x.facts.delayed);
    again(t);
    begin_at(t, EXCHANGE_NEAR, 1, "/", DAY);
    exchange_lost(&t->x, FROM_FRONT, LOSS_CUT, 2000000); /* or its client leaves */
    assert_int_equal(t->x.facts.flag, FLAG_DC);
    again(t);
}

static void the_first_that_fits_and_is_on_counts(void **state)
{
    struct story *t = *state;
    use_policy(t, HEAD
               "  - {name: chaos, to: cart, match: [{path: {prefix: /chaos}}], abort: {status: 501}, " UNTIL
               "}\n"
               "  - {name: over, to: cart, abort: {status: 502}, until: 2026-11-22T00:00:00Z}\n"
               "  - {name: last, to: cart, abort: {status: 504}, " UNTIL "}\n");
    static const struct {
        const char *path;
        wall_s now;
        unsigned status; /* 0: not disturbed */
    } table[] = {{"/chaos/1", DAY - 1, 501},
                 {"/", DAY - 1, 502},
                 {"/", DAY, 504},
                 {"/chaos/1", DAY + 86400, 0},
                 {"/denied", DAY - 1, 403}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin_at(t, EXCHANGE_NEAR, 1, table[i].path, table[i].now);
        assert_int_equal(t->x.facts.status, table[i].status);
        assert_int_equal(t->x.facts.aborted, table[i].status > 403);
        again(t);
    }
}

static void tcp_is_closed(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    use_policy(t, HEAD "  - {name: cut, to: db, abort: {}, " UNTIL "}\n");
    ask.protocol = PROTOCOL_TCP;
    ask.service = bytes_str("db");
    ask.wall_now = DAY;
    begin_with(t, EXCHANGE_NEAR, 1, &ask, NULL);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.flag, FLAG_FI);
    assert_string_equal(t->x.facts.fault, "cut");
    again(t);
}

/* The caller's own agent disturbs, once: the instance's does not do it again. */
static void the_far_agent_disturbs_nothing(void **state)
{
    struct story *t = *state;
    use_policy(t, HEAD "  - {name: game-day, to: cart, abort: {status: 418}, " UNTIL "}\n");
    begin_at(t, EXCHANGE_FAR, 0, "/", DAY);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    again(t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(percentages_are_kept_and_independent),
        T(an_aborted_request_goes_nowhere_and_names_the_fault),
        T(a_delayed_request_waits_and_then_goes_its_way),
        T(both_at_once_wait_first),
        T(a_delay_is_part_of_the_requests_time),
        T(the_first_that_fits_and_is_on_counts),
        T(tcp_is_closed),
        T(the_far_agent_disturbs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
