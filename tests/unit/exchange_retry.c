/* Stories of retries: what is tried again and what is not, with which pause, on which endpoint, what of a body is sent again, and what
 * is counted. Time is virtual. At the end: random failures, against the rules said once more in a few lines. */
#include "exchange_world.h"

#include "base/rng.h"
#include "exchange/retry.h"

static const char retrying[] =
    "policy: v1\nmesh: m.example\nversion: 3\n"
    "services:\n"
    "  cart:\n"
    "    protocol: http\n"
    "    unmatched: audit\n"
    "    timeouts: {connect: 1s, request: 10s, perTry: 2s}\n"
    "    limits: {replayBody: 16B}\n"
    "    outlierDetection: {consecutive5xx: 0, successRate: {below: 0%}}\n" /* who fails stays to be chosen */
    "    retry: {attempts: 2, on: [connect-failure, refused-stream, \"502\", \"503\", \"504\", \"429\"],\n"
    "            backoff: {base: 20ms, max: 30ms}, budget: {percent: 100, minPerSecond: 1000}}\n"
    "    routes:\n"
    "      - {name: once, match: [{path: {prefix: /once}}], retry: {attempts: 0}}\n"
    "      - {name: links, match: [{path: {prefix: /links}}], retry: {on: [connect-failure]}}\n"
    "      - {name: poor, match: [{path: {prefix: /poor}}], retry: {budget: {percent: 50, minPerSecond: "
    "0}}}\n"
    "      - {name: brief, match: [{path: {prefix: /brief}}], timeouts: {request: 3s, perTry: 3s},\n"
    "         retry: {backoff: {base: 4s, max: 8s}}}\n"
    "      - {name: rest}\n"
    "  db: {protocol: tcp, unmatched: audit, retry: {attempts: 1}}\n";

static void begin_request(struct story *t, size_t agents, const char *method, const char *path)
{
    use_policy(t, retrying);
    begin(t, EXCHANGE_NEAR, agents, method, path);
}

static void ready(struct story *t)
{
    list_remove(&t->x.news);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
}

static void answer(struct story *t, uint16_t status)
{
    struct http_head h = {.is_response = true, .status = status, .minor = 1};
    exchange_head(&t->x, &h, NULL, t->now_us);
}

static void refuse_afar(struct story *t, const char *flag, const char *line)
{
    struct mesh_verdict v = {.refused = 1, .flag = bytes_str(flag), .reason = bytes_str(line)};
    exchange_head(&t->x, NULL, &v, t->now_us);
}

static void forget_log(struct story *t)
{
    buf_consume(&t->log, t->log.len);
}

static void begin_get(struct story *t, size_t agents)
{
    begin_request(t, agents, "GET", "/");
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    ready(t);
    forget_log(t);
}

static void a_503_is_dropped_and_another_agent_answers(void **state)
{
    struct story *t = *state;
    begin_get(t, 2);
    const struct view_endpoint *first = t->x.endpoint;
    answer(t, 503);
    assert_int_equal(t->x.state, EXCHANGE_PAUSING);
    assert_null(t->back.side.x); /* its body has nobody to go to */
    assert_true(t->x.times.resume_at - t->now_us / 1000 <= 20);
    assert_int_equal(traffic_outstanding(t->traffic, first), 0);
    expect_log(t, "back finish cut\n");
    assert_true(has_news(t));
    wait_for_retry(t);
    assert_ptr_not_equal(t->x.endpoint, first);
    ready(t);
    answer(t, 200);
    exchange_data(&t->x, FROM_BACK, bytes_str("ok"));
    exchange_end(&t->x, FROM_BACK, NULL, t->now_us);
    expect_log(t, "back head GET /\nback end\nfront resume\nfront head 200\nfront data ok\nfront end\n"
                  "back finish clean\nfront finish clean\n");
    assert_int_equal(t->x.facts.retries[RETRY_STATUS], 1);
    assert_int_equal(t->x.facts.wish, RETRY_UNWANTED);
    assert_int_equal(t->x.facts.flag, FLAG_NONE);
    assert_int_equal(t->x.facts.status, 200);
}

static void the_last_answer_is_passed_on_and_flagged_when_the_retries_are_used_up(void **state)
{
    struct story *t = *state;
    begin_get(t, 1);
    for (int i = 0; i < 2; i++) {
        answer(t, 503);
        wait_for_retry(t); /* there is no other endpoint */
        ready(t);
    }
    forget_log(t);
    answer(t, 503);
    exchange_data(&t->x, FROM_BACK, bytes_str("sorry"));
    exchange_end(&t->x, FROM_BACK, NULL, t->now_us);
    expect_log(t, "front head 503\nfront data sorry\nfront end\nback finish clean\nfront finish clean\n");
    assert_int_equal(t->x.facts.flag, FLAG_URX);
    assert_int_equal(t->x.facts.wish, RETRY_ATTEMPTS);
    assert_int_equal(facts_retries(&t->x.facts), 2);
}

enum how { STATUS, CUT, BROKEN, REFUSED, UNREACHED, AFAR_UF, AFAR_UH, AFAR_UC, AFAR_DENIED, AFAR_EDITED };

/* One way for a try to end. */
static void happen(struct story *t, enum how how, uint16_t status)
{
    static const enum exchange_loss loss[] = {
        [CUT] = LOSS_CUT, [BROKEN] = LOSS_BROKEN, [REFUSED] = LOSS_REFUSED};
    static const struct {
        const char *flag, *line;
    } afar[] = {
        [AFAR_UF] = {"UF", "503 0 - the application cart could not be reached"},
        [AFAR_UH] = {"UH", "503 0 - cart is not served here"},
        [AFAR_UC] = {"UC", "502 0 - the application cart ended the connection"},
        [AFAR_DENIED] = {"UAEX", "403 3 no no"},
        [AFAR_EDITED] = {"UO", "502 0 - the answer has too many headers"},
    };
    if (how == UNREACHED) {
        exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
        return;
    }
    ready(t);
    if (how == STATUS)
        answer(t, status);
    else if (how >= AFAR_UF)
        refuse_afar(t, afar[how].flag, afar[how].line);
    else
        exchange_lost(&t->x, FROM_BACK, loss[how], t->now_us);
}

static void what_is_retried(void **state)
{
    static const struct {
        const char *method, *path;
        enum how how;
        uint16_t status;
        bool again;
    } table[] = {
        {"GET", "/", STATUS, 503, true},
        {"GET", "/", STATUS, 429, true},
        {"GET", "/", STATUS, 500, false},
        {"GET", "/", STATUS, 404, false},
        {"HEAD", "/", STATUS, 503, true},
        {"PUT", "/", STATUS, 503, true},
        {"DELETE", "/", STATUS, 502, true},
        {"OPTIONS", "/", STATUS, 504, true},
        {"POST", "/", STATUS, 503, false},
        {"PATCH", "/", STATUS, 503, false},
        {"get", "/", STATUS, 503, false}, /* methods are case-sensitive: nobody knows what that one does */
        {"GET", "/once", STATUS, 503, false},
        {"GET", "/links", STATUS, 503, false},
        {"GET", "/", CUT, 502, true},
        {"GET", "/", BROKEN, 502, true},
        {"POST", "/", CUT, 502, false},
        {"POST", "/", BROKEN, 502, false},
        {"POST", "/", REFUSED, 503, true},
        {"POST", "/links", REFUSED, 503, false},
        {"GET", "/links", REFUSED, 503, false},
        {"POST", "/", UNREACHED, 503, true},
        {"POST", "/links", UNREACHED, 503, true},
        {"POST", "/once", UNREACHED, 503, false},
        {"POST", "/", AFAR_UF, 503, true},
        {"POST", "/links", AFAR_UF, 503, true},
        {"POST", "/", AFAR_UH, 503, true},
        {"POST", "/", AFAR_UC, 502, false},
        {"GET", "/", AFAR_UC, 502, true},
        {"GET", "/", AFAR_DENIED, 403, false},
        {"POST", "/", AFAR_EDITED, 502, false}, /* the application has done it */
    };
    struct story *t = *state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin_request(t, 2, table[i].method, table[i].path);
        exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
        happen(t, table[i].how, table[i].status);
        if ((t->x.state == EXCHANGE_PAUSING) != table[i].again)
            fail_msg("row %zu: %s %s is %s", i, table[i].method, table[i].path,
                     exchange_state_name(t->x.state));
        if (!table[i].again)
            assert_int_equal(t->x.facts.status, table[i].status);
        exchange_fini(&t->x);
    }
}

/* -- bodies ---------------------------------------------------------------------------------------- */

static void a_body_streams_on_while_it_is_kept_and_is_sent_again(void **state)
{
    struct story *t = *state;
    begin_request(t, 2, "PUT", "/");
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("abc"));
    expect_log(t, "back head PUT /\nfront resume\nback data abc\n");
    assert_int_equal(t->shared->replay_bytes, 16);         /* the memory, not the bytes in it */
    answer(t, 503);                                        /* before the rest has been said */
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 0); /* it waits for the next try */
    wait_for_retry(t);
    forget_log(t);
    t->back.fills = true;
    t->back.room = 2;
    ready(t);
    expect_log(t, "back head PUT /\nback data ab\n");
    t->back.room = 100;
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 0); /* what came before goes first */
    exchange_writable(&t->x, FROM_BACK);
    expect_log(t, "back data c\nfront resume\n");
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 99);
    exchange_data(&t->x, FROM_FRONT, bytes_str("de"));
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    expect_log(t, "back data de\nback end\n");
    answer(t, 503);
    wait_for_retry(t);
    assert_int_equal(t->shared->replay_bytes, 16);
    ready(t); /* the last try has been given all of it */
    assert_int_equal(t->shared->replay_bytes, 0);
    expect_log(t, "back finish cut\nback head PUT /\nback data abcde\nback end\nfront resume\n");
    assert_int_equal(t->x.facts.bytes_up, 5); /* of its client's */
}

/* "abc" was answered 503; of the second try the back side has taken a byte and has no room for more. */
static void begin_to_say_again(struct story *t)
{
    begin_request(t, 2, "PUT", "/");
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("abc"));
    answer(t, 503);
    wait_for_retry(t);
    t->back.fills = true;
    t->back.room = 1;
    ready(t);
}

static void the_end_of_a_body_waits_for_what_is_sent_again(void **state)
{
    struct story *t = *state;
    begin_to_say_again(t);
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    forget_log(t);
    t->back.room = 2;
    exchange_writable(&t->x, FROM_BACK);
    expect_log(t, "back data bc\nback end\nfront resume\n");
}

/* An answer may begin before the request has been said again: what is due of it goes first all the same, and no byte is missing. */
static void an_early_answer_leaves_no_hole_in_the_body(void **state)
{
    struct story *t = *state;
    begin_to_say_again(t);
    forget_log(t);
    answer(t, 200);
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 0);
    t->back.room = 10;
    exchange_writable(&t->x, FROM_BACK);
    assert_int_equal(t->shared->replay_bytes, 0);
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 8);
    exchange_data(&t->x, FROM_FRONT, bytes_str("de"));
    expect_log(t, "front head 200\nback data bc\nfront resume\nback data de\n");
}

static void trailers_are_sent_again(void **state)
{
    struct story *t = *state;
    struct http_head trailers = {.header_count = 1, .header = {{bytes_str("s"), bytes_str("7")}}};
    begin_request(t, 2, "PUT", "/");
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("a"));
    exchange_end(&t->x, FROM_FRONT, &trailers, t->now_us);
    answer(t, 503);
    if (t->x.state != EXCHANGE_PAUSING)
        fail_msg("wish %s", retry_outcome_text(t->x.facts.wish));
    wait_for_retry(t);
    forget_log(t);
    ready(t);
    expect_log(t, "back head PUT /\nback data a\nback end with trailers\nfront resume\n");
}

static void a_body_that_is_longer_than_is_kept_is_not_sent_again(void **state)
{
    struct story *t = *state;
    begin_request(t, 2, "PUT", "/");
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("1234567890123456"));
    assert_int_equal(t->shared->replay_bytes, 16);
    exchange_data(&t->x, FROM_FRONT, bytes_str("7"));
    assert_int_equal(t->shared->replay_bytes, 0);
    forget_log(t);
    answer(t, 503);
    expect_log(t, "front head 503\n");
    assert_int_equal(t->x.facts.wish, RETRY_BODY);
    assert_int_equal(t->x.facts.flag, FLAG_NONE);
}

static void nothing_is_kept_of_a_body_that_says_it_is_longer(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("PUT", "/");
    use_policy(t, retrying);
    h.body = HTTP_BODY_LENGTH;
    h.content_length = 17;
    begin_with(t, EXCHANGE_NEAR, 2, &ask, &h);
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us); /* of which nothing was sent yet */
    wait_for_retry(t);
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("1"));
    assert_int_equal(t->shared->replay_bytes, 0);
    exchange_lost(&t->x, FROM_BACK, LOSS_CUT, t->now_us);
    assert_int_equal(t->x.facts.status, 502);
    assert_int_equal(t->x.facts.wish, RETRY_BODY);
}

static void a_body_takes_no_more_memory_than_it_says_to_need(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("PUT", "/");
    use_policy(t, retrying);
    h.body = HTTP_BODY_LENGTH;
    h.content_length = 5;
    begin_with(t, EXCHANGE_NEAR, 2, &ask, &h);
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("abc"));
    exchange_data(&t->x, FROM_FRONT, bytes_str("de"));
    assert_int_equal(t->shared->replay_bytes, 5);
    answer(t, 503);
    wait_for_retry(t);
    forget_log(t);
    ready(t);
    expect_log(t, "back head PUT /\nback data abcde\nfront resume\n");
}

static void all_bodies_together_are_bounded(void **state)
{
    struct story *t = *state;
    t->shared->replay_bytes = REPLAY_ALL_MAX - 15;
    begin_request(t, 2, "PUT", "/");
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("ab"));
    assert_int_equal(t->shared->replay_bytes, REPLAY_ALL_MAX - 15);
    answer(t, 503);
    assert_int_equal(t->x.facts.wish, RETRY_BODY);
    t->shared->replay_bytes = 0;
}

static void a_post_is_kept_until_its_answer_begins_for_nobody_may_have_been_reached(void **state)
{
    struct story *t = *state;
    begin_request(t, 2, "POST", "/");
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("order"));
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    refuse_afar(t, "UF", "503 0 - the application cart could not be reached: refused");
    wait_for_retry(t);
    forget_log(t);
    ready(t);
    expect_log(t, "back head POST /\nback data order\nback end\nfront resume\n");
    answer(t, 201);
    assert_int_equal(t->shared->replay_bytes, 0);
    assert_int_equal(t->x.facts.retries[RETRY_CONNECT_FAILURE], 1);
}

/* -- around a retry -------------------------------------------------------------------------------- */

static void continue_is_said_once(void **state)
{
    struct story *t = *state;
    begin_request(t, 2, "PUT", "/");
    t->x.request.expect_continue = true;
    ready(t);
    answer(t, 100);
    exchange_data(&t->x, FROM_FRONT, bytes_str("body"));
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    answer(t, 503);
    wait_for_retry(t);
    forget_log(t);
    ready(t);
    answer(t, 100);
    answer(t, 200);
    expect_log(t, "back head PUT /\nback data body\nback end\nfront resume\nfront head 200\n");
}

static void an_upgrade_may_be_tried_again_until_it_is_granted(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("GET", "/ws");
    use_policy(t, retrying);
    h.upgrade = bytes_str("websocket");
    begin_with(t, EXCHANGE_NEAR, 2, &ask, &h);
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    ready(t);
    answer(t, 503);
    wait_for_retry(t);
    ready(t);
    forget_log(t);
    answer(t, 101);
    exchange_data(&t->x, FROM_FRONT, bytes_str("frame"));
    expect_log(t, "front head 101\nfront resume\nback data frame\n"); /* no end was told to either */
    exchange_lost(&t->x, FROM_BACK, LOSS_CUT, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_OVER); /* what was said in it cannot be said again */
}

static void an_answer_that_has_begun_is_never_tried_again(void **state)
{
    struct story *t = *state;
    begin_get(t, 2);
    answer(t, 200);
    exchange_lost(&t->x, FROM_BACK, LOSS_CUT, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(facts_retries(&t->x.facts), 0);
    expect_log(t, "front head 200\nfront finish cut\n");
}

static void a_client_that_leaves_in_the_pause_ends_it(void **state)
{
    struct story *t = *state;
    begin_get(t, 2);
    answer(t, 503);
    assert_true(has_news(t));
    exchange_lost(&t->x, FROM_FRONT, LOSS_CUT, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.flag, FLAG_DC);
    assert_true(has_news(t));
}

static void the_owner_goes_away_in_the_pause(void **state)
{
    struct story *t = *state;
    begin_request(t, 2, "PUT", "/");
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("abc"));
    answer(t, 503);
    forget_log(t);
    exchange_fini(&t->x);
    expect_log(t, "front finish cut\n");
    assert_int_equal(t->shared->replay_bytes, 0);
}

static void the_deadline_covers_all_tries_and_what_is_left_travels(void **state)
{
    struct story *t = *state;
    begin_get(t, 1);
    assert_int_equal(t->x.times.deadline, 11000);
    t->now_us = 2500 * 1000;
    answer(t, 503);
    wait_for_retry(t);
    assert_int_equal(t->x.times.deadline, 11000);
    assert_int_equal(exchange_left_ms(&t->x, t->x.times.resume_at), 11000 - t->x.times.resume_at);
    exchange_tick(&t->x, 11000);
    assert_int_equal(t->x.facts.status, 504);
    assert_int_equal(t->x.facts.flag, FLAG_UT);
}

static void no_retry_is_begun_that_would_end_after_the_deadline(void **state)
{
    struct story *t = *state;
    begin_request(t, 2, "GET", "/brief");
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    ready(t);
    t->now_us = 3999 * 1000; /* a millisecond before it */
    answer(t, 503);
    assert_int_equal(t->x.state, EXCHANGE_ANSWERING);
    assert_int_equal(t->x.facts.wish, RETRY_LATE);
}

static void a_try_that_lasts_too_long_is_504_and_retried_as_one(void **state)
{
    struct story *t = *state;
    begin_get(t, 2);
    assert_int_equal(exchange_tick_at(&t->x), 3000);
    exchange_tick(&t->x, 2999);
    assert_int_equal(t->x.state, EXCHANGE_SENDING);
    exchange_tick(&t->x, 3000);
    t->now_us = 3000 * 1000;
    assert_int_equal(t->x.state, EXCHANGE_PAUSING);
    wait_for_retry(t);
    ready(t);
    exchange_tick(&t->x, exchange_tick_at(&t->x));
    t->now_us = t->x.now_us;
    wait_for_retry(t);
    ready(t);
    exchange_tick(&t->x, exchange_tick_at(&t->x));
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 504);
    assert_int_equal(t->x.facts.flag, FLAG_URX);
    assert_int_equal(t->x.facts.retries[RETRY_TIMEOUT], 2);
}

static void a_post_that_lasts_too_long_is_504_ut_at_once(void **state)
{
    struct story *t = *state;
    begin_request(t, 2, "POST", "/");
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    ready(t);
    exchange_tick(&t->x, 3000);
    assert_int_equal(t->x.facts.status, 504);
    assert_int_equal(t->x.facts.flag, FLAG_UT);
}

static void the_time_for_a_try_begins_when_all_of_the_request_is_said(void **state)
{
    struct story *t = *state;
    begin_request(t, 2, "PUT", "/");
    ready(t);
    assert_int_equal(exchange_tick_at(&t->x), t->x.times.deadline);
    exchange_data(&t->x, FROM_FRONT, bytes_str("slow"));
    t->now_us = 5000 * 1000;
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    assert_true(has_news(t)); /* for its timer */
    assert_int_equal(exchange_tick_at(&t->x), 7000);
    answer(t, 200);
    assert_int_equal(exchange_tick_at(&t->x), t->x.times.deadline);
}

static void a_refusal_says_why_it_was_not_tried_again(void **state)
{
    struct story *t = *state;
    begin_request(t, 2, "GET", "/poor"); /* half of one request is no retry */
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    assert_int_equal(t->x.facts.wish, RETRY_BUDGET);
    assert_int_equal(t->x.facts.wish_cause, RETRY_CONNECT_FAILURE);
    assert_int_equal(t->x.facts.flag, FLAG_UF);
    assert_non_null(
        strstr(buf_str(&t->log),
               "could not be reached: refused; not retried: the service's retry budget is used up"));
}

/* Who was late is the application, not the agent in front of it. */
static void a_try_that_was_too_slow_names_the_instance_and_its_time(void **state)
{
    struct story *t = *state;
    for (size_t agents = 0; agents < 2; agents++) {
        begin_request(t, agents, "GET", "/once");
        exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
        ready(t);
        exchange_tick(&t->x, t->x.times.try_by);
        assert_int_equal(t->x.facts.flag, FLAG_UT);
        const char *want = agents
                               ? "504 0 - cart on host-a did not answer within 2000 ms (timeouts.perTry)"
                               : "504 0 - cart on this host did not answer within 2000 ms (timeouts.perTry)";
        assert_non_null(strstr(buf_str(&t->log), want));
        (void)has_news(t);
        exchange_fini(&t->x);
        forget_log(t);
    }
}

/* What failed is one host's, and the far agent's words do not say whose; what a rule decided is no host's. */
static void a_far_failure_names_its_host(void **state)
{
    struct story *t = *state;
    static const struct {
        const char *flag, *line, *told;
    } table[] = {
        {"UF", "503 0 - the application cart could not be reached: refused",
         "UF [503 0 - the application cart could not be reached: refused (on host-a)]\n"},
        {"UAEX", "403 3 no denied by no", "UAEX [403 3 no denied by no]\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin_request(t, 1, "GET", "/once");
        ready(t);
        refuse_afar(t, table[i].flag, table[i].line);
        assert_non_null(strstr(buf_str(&t->log), table[i].told));
        (void)has_news(t);
        exchange_fini(&t->x);
        forget_log(t);
    }
}

static void the_budget_is_the_services_over_all_its_requests(void **state)
{
    struct story *t = *state;
    unsigned made = 0;
    for (int i = 0; i < 40; i++) {
        begin_request(t, 2, "GET", "/poor");
        exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
        happen(t, STATUS, 503);
        made += facts_retries(&t->x.facts);
        exchange_fini(&t->x);
    }
    assert_int_equal(made, 20);
}

static void pauses_grow_with_full_jitter_and_differ(void **state)
{
    const struct policy_retry r = {.backoff_base_ms = 25, .backoff_max_ms = 80};
    const uint64_t most[] = {25, 50, 80, 80};
    (void)state;
    for (unsigned n = 0; n < 4; n++) {
        uint64_t sum = 0, top = 0, low = UINT64_MAX;
        struct rng rng = rng_seeded(3);
        for (int i = 0; i < 1000; i++) {
            uint64_t ms = retry_backoff_ms(&r, n, rng_u64(&rng));
            sum += ms;
            top = ms > top ? ms : top;
            low = ms < low ? ms : low;
        }
        assert_int_equal(top, most[n]);
        assert_int_equal(low, 0);
        assert_true(sum / 1000 > most[n] * 4 / 10 && sum / 1000 < most[n] * 6 / 10);
    }
    assert_int_equal(retry_backoff_ms(&(struct policy_retry){.backoff_base_ms = 0}, 3, UINT64_MAX), 0);
}

static void tcp_goes_to_another_agent_until_an_application_has_taken_it(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    use_policy(t, retrying);
    ask.protocol = PROTOCOL_TCP;
    ask.service = bytes_str("db");
    begin_with(t, EXCHANGE_NEAR, 2, &ask, NULL);
    ready(t);
    exchange_data(&t->x, FROM_FRONT, bytes_str("hello"));
    refuse_afar(t, "UF", "503 0 - the application db could not be reached: refused");
    wait_for_retry(t);
    forget_log(t);
    ready(t);
    expect_log(t, "back head\nback data hello\nfront resume\n");
    exchange_head(&t->x, NULL, NULL, t->now_us);
    exchange_lost(&t->x, FROM_BACK, LOSS_CUT, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
}

static void tcp_that_was_cut_is_not_tried_again(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    use_policy(t, retrying);
    ask.protocol = PROTOCOL_TCP;
    ask.service = bytes_str("db");
    begin_with(t, EXCHANGE_NEAR, 2, &ask, NULL);
    ready(t);
    exchange_lost(&t->x, FROM_BACK, LOSS_CUT, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
}

static void an_instance_on_this_host_is_retried_like_any(void **state)
{
    struct story *t = *state;
    begin_request(t, 0, "POST", "/");
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    wait_for_retry(t);
    assert_int_equal(t->x.app.port, 8080);
    ready(t);
    answer(t, 503);
    assert_int_equal(t->x.facts.status, 503); /* a POST */
    assert_int_equal(t->x.facts.wish, RETRY_UNWANTED);
}

/* -- random failures ------------------------------------------------------------------------------- */

/* However tries end: never more than `attempts` retries, none of a status of a request that may not be repeated, none after an answer
 * has begun, none on the endpoint just tried, as there are two; and whoever is served last had been given the whole request. */
static void whatever_fails_the_rules_hold(void **state)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH"};
    enum { ROUNDS = 4000 };
    struct story *t = *state;
    struct rng rng = rng_seeded(20261122);
    unsigned retried = 0, answered = 0;
    for (int i = 0; i < ROUNDS; i++) {
        const char *method = methods[rng_below(&rng, 4)];
        t->now_us = 1000 * 1000; /* when each begins */
        bool idempotent = strcmp(method, "GET") == 0 || strcmp(method, "PUT") == 0;
        begin_request(t, 2, method, "/");
        exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
        while (t->x.state == EXCHANGE_SEEKING) {
            const struct view_endpoint *tried = t->x.endpoint;
            unsigned before = facts_retries(&t->x.facts);
            bool fine = rng_below(&rng, 4) == 0;
            enum how how = fine ? STATUS : (enum how)rng_below(&rng, AFAR_EDITED + 1);
            happen(t, how, fine ? 200 : 503);
            bool nothing_happened = how == UNREACHED || how == REFUSED || how == AFAR_UF || how == AFAR_UH;
            if (t->x.state != EXCHANGE_PAUSING)
                break;
            assert_true(before < 2 && !fine && (nothing_happened || idempotent));
            assert_int_not_equal(how, AFAR_DENIED);
            wait_for_retry(t);
            assert_ptr_not_equal(t->x.endpoint, tried);
            retried++;
        }
        answered += t->x.state == EXCHANGE_ANSWERING;
        exchange_fini(&t->x);
        forget_log(t);
    }
    assert_true(retried > 1000 && answered > 500);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_503_is_dropped_and_another_agent_answers),
        T(the_last_answer_is_passed_on_and_flagged_when_the_retries_are_used_up),
        T(what_is_retried),
        T(a_body_streams_on_while_it_is_kept_and_is_sent_again),
        T(the_end_of_a_body_waits_for_what_is_sent_again),
        T(an_early_answer_leaves_no_hole_in_the_body),
        T(trailers_are_sent_again),
        T(a_body_that_is_longer_than_is_kept_is_not_sent_again),
        T(nothing_is_kept_of_a_body_that_says_it_is_longer),
        T(a_body_takes_no_more_memory_than_it_says_to_need),
        T(all_bodies_together_are_bounded),
        T(a_post_is_kept_until_its_answer_begins_for_nobody_may_have_been_reached),
        T(continue_is_said_once),
        T(an_upgrade_may_be_tried_again_until_it_is_granted),
        T(an_answer_that_has_begun_is_never_tried_again),
        T(a_client_that_leaves_in_the_pause_ends_it),
        T(the_owner_goes_away_in_the_pause),
        T(the_deadline_covers_all_tries_and_what_is_left_travels),
        T(no_retry_is_begun_that_would_end_after_the_deadline),
        T(a_try_that_lasts_too_long_is_504_and_retried_as_one),
        T(a_post_that_lasts_too_long_is_504_ut_at_once),
        T(the_time_for_a_try_begins_when_all_of_the_request_is_said),
        T(a_refusal_says_why_it_was_not_tried_again),
        T(a_try_that_was_too_slow_names_the_instance_and_its_time),
        T(a_far_failure_names_its_host),
        T(the_budget_is_the_services_over_all_its_requests),
        T(pauses_grow_with_full_jitter_and_differ),
        T(tcp_goes_to_another_agent_until_an_application_has_taken_it),
        T(tcp_that_was_cut_is_not_tried_again),
        T(an_instance_on_this_host_is_retried_like_any),
        T(whatever_fails_the_rules_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
