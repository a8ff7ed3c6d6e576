/* Stories of one exchange between two fake sides: what is said to whom, in which order, and the facts at the
 * end. */
#include "exchange_world.h"

static struct http_head response(uint16_t status)
{
    return (struct http_head){.is_response = true, .status = status, .minor = 1};
}

static void answer(struct story *t, uint16_t status, const char *body)
{
    struct http_head h = response(status);
    exchange_head(&t->x, &h, NULL, t->now_us);
    exchange_data(&t->x, FROM_BACK, bytes_str(body));
    exchange_end(&t->x, FROM_BACK, NULL, t->now_us);
}
static void a_request_goes_out_and_its_answer_comes_back(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "POST", "/buy");
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_true(has_news(t));
    assert_string_equal(t->x.endpoint->node->name, "host-a");
    assert_int_equal(t->x.app.port, 0);
    assert_int_equal(t->x.connect_ms, 2000);
    assert_int_equal(traffic_outstanding(t->traffic, t->x.endpoint), 1);
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 0); /* nobody to give a body to yet */
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    expect_log(t, "back head POST /buy\nfront resume\n");
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 1000);
    exchange_data(&t->x, FROM_FRONT, bytes_str("order"));
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    answer(t, 201, "done");
    expect_log(t, "back data order\nback end\nfront head 201\nfront data done\nfront end\nback finish "
                  "clean\nfront finish clean\n");
    assert_true(has_news(t));
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 201);
    assert_int_equal(t->x.facts.flag, FLAG_NONE);
    assert_int_equal(t->x.facts.bytes_up, 5);
    assert_int_equal(t->x.facts.bytes_down, 4);
    assert_false(t->x.facts.cut);
    assert_string_equal(t->x.facts.route, "gets");
    assert_string_equal(t->x.facts.rule, "front");
}

static void the_end_of_a_request_without_body_waits_for_the_back_side(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    expect_log(t, "");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    expect_log(t, "back head GET /\nback end\nfront resume\n");
}

static void a_dead_agent_costs_one_more_try_on_another(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 2, "GET", "/");
    const struct view_endpoint *first = t->x.endpoint;
    assert_true(has_news(t));
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    assert_true(has_news(t));
    wait_for_retry(t);
    assert_true(has_news(t));
    assert_ptr_not_equal(t->x.endpoint, first);
    assert_int_equal(traffic_outstanding(t->traffic, first), 0);
    expect_log(t, "");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    answer(t, 200, "ok");
    assert_int_equal(t->x.facts.status, 200);
    assert_int_equal(t->x.facts.retries[RETRY_CONNECT_FAILURE], 1);
    assert_int_equal(t->x.facts.flag, FLAG_NONE);
}

static void two_dead_agents_are_503_urx(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 2, "GET", "/");
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    wait_for_retry(t);
    exchange_back_failed(&t->x, ERR_TIMEOUT, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 503);
    assert_int_equal(t->x.facts.flag, FLAG_URX);
}

static void an_endpoint_that_is_not_even_asked_does_not_cost_the_retry(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 3, "GET", "/");
    exchange_back_failed(&t->x, ERR_AGAIN, t->now_us); /* its link failed a moment ago */
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    wait_for_retry(t); /* the third of three */
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    assert_int_equal(t->x.facts.flag, FLAG_URX);
}

/* A live agent under packet loss is in its pause now and then: that alone is no reason to refuse a request. */
static void the_last_endpoint_is_asked_although_it_failed_a_moment_ago(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 2, "GET", "/");
    const struct view_endpoint *first = t->x.endpoint;
    exchange_back_failed(&t->x, ERR_AGAIN, t->now_us);
    assert_ptr_not_equal(t->x.endpoint, first);
    assert_false(t->x.insists);
    const struct view_endpoint *last = t->x.endpoint;
    exchange_back_failed(&t->x, ERR_AGAIN, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_SEEKING);
    assert_true(t->x.insists);
    assert_ptr_equal(t->x.endpoint, last);
    assert_int_equal(traffic_outstanding(t->traffic, last), 1);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    answer(t, 200, "ok");
    assert_int_equal(t->x.facts.status, 200);
    assert_int_equal(facts_retries(&t->x.facts), 0); /* the agents were asked once */
    assert_int_equal(traffic_outstanding(t->traffic, last), 0);
}

static void who_insists_and_fails_is_told_why(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_back_failed(&t->x, ERR_AGAIN, t->now_us);
    assert_true(t->x.insists);
    exchange_back_failed(&t->x, ERR_TIMEOUT, t->now_us);
    wait_for_retry(t);
    assert_false(t->x.insists);
    exchange_back_failed(&t->x, ERR_AGAIN,
                         t->now_us); /* the retry is in the pause that its own failure caused */
    assert_true(t->x.insists);
    exchange_back_failed(&t->x, ERR_TIMEOUT, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_int_equal(t->x.facts.status, 503);
    assert_int_equal(t->x.facts.flag, FLAG_URX);
}

/* A rack has lost its power, and a request meets hosts of which each failed a moment ago: more than it remembers. All this happens
 * in one turn of a worker, which must end. */
static void of_many_in_their_pause_some_are_passed_over_and_one_is_asked(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 3 * TRAFFIC_TRIED_MAX, "GET", "/");
    for (size_t i = 1; i < TRAFFIC_TRIED_MAX; i++) {
        exchange_back_failed(&t->x, ERR_AGAIN, t->now_us);
        assert_false(t->x.insists);
    }
    exchange_back_failed(&t->x, ERR_AGAIN, t->now_us);
    assert_true(t->x.insists);
    const struct view_endpoint *asked = t->x.endpoint;
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    wait_for_retry(t); /* never the one just tried, though so many went before */
    assert_ptr_not_equal(t->x.endpoint, asked);
    const struct view_endpoint *last = t->x.endpoint;
    exchange_back_failed(&t->x, ERR_AGAIN, t->now_us);
    assert_true(t->x.insists);
    assert_ptr_equal(t->x.endpoint, last);
    exchange_back_failed(&t->x, ERR_REFUSED, t->now_us);
    assert_int_equal(t->x.facts.flag, FLAG_URX);
}

static void what_the_far_agent_may_send_twice(void **state)
{
    static const struct {
        const char *method;
        enum exchange_loss loss;
        bool body_sent, answered, again;
    } table[] = {
        {"GET", LOSS_STALE, false, false, true},   {"POST", LOSS_STALE, false, false, false},
        {"GET", LOSS_CUT, false, false, false},    {"GET", LOSS_STALE, true, false, false},
        {"GET", LOSS_BROKEN, false, false, false}, {"GET", LOSS_STALE, false, true, false},
    };
    struct story *t = *state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct http_head cont = response(100);
        begin(t, EXCHANGE_FAR, 0, table[i].method, "/");
        exchange_back_ready(&t->x, &t->back.side, t->now_us);
        if (table[i].body_sent)
            exchange_data(&t->x, FROM_FRONT, bytes_str("x"));
        if (table[i].answered)
            exchange_head(&t->x, &cont, NULL, t->now_us);
        exchange_lost(&t->x, FROM_BACK, table[i].loss, t->now_us);
        assert_int_equal(t->x.state, table[i].again ? EXCHANGE_SEEKING : EXCHANGE_OVER);
        if (!table[i].again)
            assert_int_equal(t->x.facts.status, 502);
        exchange_fini(&t->x);
    }
}

static void a_stale_connection_is_replaced_by_a_fresh_one_to_the_same_application(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_FAR, 0, "GET", "/");
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_lost(&t->x, FROM_BACK, LOSS_STALE, t->now_us);
    assert_true(t->x.fresh);
    assert_int_equal(t->x.app.port, 8080);
    exchange_back_ready(&t->x, &t->other.side, t->now_us);
    expect_log(t, "back head GET /\nback end\nfront resume\nother head GET /\nother end\nfront resume\n");
    exchange_lost(&t->x, FROM_BACK, LOSS_STALE, t->now_us); /* not a third time */
    assert_int_equal(t->x.facts.status, 502);
    assert_int_equal(t->x.facts.flag, FLAG_UC);
}

static void half_an_answer_is_cut(void **state)
{
    struct story *t = *state;
    struct http_head h = response(200);
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_head(&t->x, &h, NULL, t->now_us);
    exchange_data(&t->x, FROM_BACK, bytes_str("half"));
    exchange_lost(&t->x, FROM_BACK, LOSS_CUT, t->now_us);
    expect_log(
        t, "back head GET /\nback end\nfront resume\nfront head 200\nfront data half\nfront finish cut\n");
    assert_int_equal(t->x.facts.flag, FLAG_UC);
}

static void a_client_that_leaves_cuts_the_back_side(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_lost(&t->x, FROM_FRONT, LOSS_CUT, t->now_us);
    expect_log(t, "back head GET /\nfront resume\nback finish cut\n");
    assert_int_equal(t->x.facts.flag, FLAG_DC);
    assert_int_equal(t->x.facts.status, 0);
}

static void a_client_that_leaves_while_seeking_is_news_for_the_owner(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    assert_true(has_news(t));
    exchange_lost(&t->x, FROM_FRONT, LOSS_CUT, t->now_us);
    assert_true(has_news(t));
    assert_int_equal(t->x.state, EXCHANGE_OVER);
}

static void the_deadline_covers_all_of_it(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    assert_int_equal(t->x.times.deadline, 11000);
    assert_int_equal(exchange_left_ms(&t->x, 4000), 7000);
    assert_int_equal(exchange_left_ms(&t->x, 12000), 1);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_tick(&t->x, 10999);
    assert_int_equal(t->x.state, EXCHANGE_SENDING);
    exchange_tick(&t->x, 11000);
    assert_int_equal(t->x.facts.status, 504);
    assert_int_equal(t->x.facts.flag, FLAG_UT);
    expect_log(
        t, "back head GET /\nfront resume\n"
           "front head 504 UT [504 0 - cart did not answer in time]\nfront data cart did not answer in time\n"
           "front end\nback finish cut\nfront finish cut\n");
}

/* Ticks as its owner does, until it ends; returns when. */
static mono_ms tick_to_the_end(struct story *t)
{
    mono_ms now = 0;
    while (t->x.state != EXCHANGE_OVER) {
        assert_true(exchange_tick_at(&t->x) > now);
        now = exchange_tick_at(&t->x);
        assert_true(now != NEVER);
        exchange_tick(&t->x, now);
    }
    return now;
}

static void begin_tcp(struct story *t, enum exchange_role role, size_t agents)
{
    struct exchange_ask ask = ask_http(t);
    ask.protocol = PROTOCOL_TCP;
    ask.service = bytes_str("db");
    begin_with(t, role, agents, &ask, NULL);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_head(&t->x, NULL, NULL, t->now_us);
    buf_consume(&t->log, t->log.len);
}

static void silence_ends_what_has_no_deadline_and_any_byte_renews_it(void **state)
{
    enum { HOUR = 3600 * 1000, LOOK = HOUR / IDLE_LOOKS };
    struct story *t = *state;
    begin_tcp(t, EXCHANGE_NEAR, 1); /* at 1000 */
    for (int i = 1; i <= 6; i++)
        exchange_tick(&t->x, 1000 + (mono_ms)i * LOOK);
    exchange_data(&t->x, FROM_BACK, bytes_str("one row"));
    mono_ms end = tick_to_the_end(t);
    assert_int_equal(end, 1000 + 7 * LOOK + HOUR); /* the look after the row saw it */
    assert_int_equal(t->x.facts.flag, FLAG_SI);
    expect_log(t, "front data one row\nback finish cut\nfront finish cut\n");
}

static void the_far_agent_gives_silence_an_hour_and_more_where_the_policy_does(void **state)
{
    enum { HOUR = 3600 * 1000 };
    struct story *t = *state;
    begin_tcp(t, EXCHANGE_FAR, 0);
    mono_ms end = tick_to_the_end(t); /* the policy says an hour, and who decides goes first */
    assert_true(end > 1000 + HOUR + HOUR / IDLE_LOOKS && end < 1000 + 2 * HOUR);
    assert_int_equal(t->x.facts.flag, FLAG_SI);
}

static void a_deadline_is_all_there_is_to_wait_for(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    assert_int_equal(exchange_tick_at(&t->x), t->x.times.deadline);
}

static void the_deadline_travels(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = request("GET", "/");
    ask.deadline_ms = 250;
    begin_with(t, EXCHANGE_FAR, 0, &ask, &h);
    assert_int_equal(t->x.times.deadline, 1250);
}

static void an_early_answer_ends_the_exchange_although_the_request_has_not(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "POST", "/");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    answer(t, 413, "too big");
    expect_log(t, "back head POST /\nfront resume\nfront head 413\nfront data too big\nfront end\nback "
                  "finish cut\nfront finish cut\n");
    assert_int_equal(t->x.facts.status, 413);
}

static void continue_is_passed_on_and_is_not_the_answer(void **state)
{
    struct story *t = *state;
    struct http_head cont = response(100);
    begin(t, EXCHANGE_NEAR, 1, "POST", "/");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_head(&t->x, &cont, NULL, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_SENDING);
    exchange_data(&t->x, FROM_FRONT, bytes_str("body"));
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    answer(t, 200, "ok");
    expect_log(t, "back head POST /\nfront resume\nfront head 100\nback data body\nback end\nfront head "
                  "200\nfront data ok\nfront end\n"
                  "back finish clean\nfront finish clean\n");
}

static struct http_head upgrade_request(void)
{
    struct http_head h = request("GET", "/ws");
    h.upgrade = bytes_str("websocket");
    return h;
}

static void an_upgrade_that_is_granted_is_a_tunnel_without_deadline(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = upgrade_request(), yes = response(101);
    begin_with(t, EXCHANGE_NEAR, 1, &ask, &h);
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    expect_log(t, "back head GET /ws\nfront resume\n"); /* its end is held: the direction may go on */
    exchange_head(&t->x, &yes, NULL, t->now_us);
    assert_true(t->x.tunnel);
    assert_true(t->x.times.deadline == NEVER);
    exchange_data(&t->x, FROM_FRONT, bytes_str("frame"));
    exchange_end(&t->x, FROM_BACK, NULL, t->now_us);
    assert_int_equal(t->x.state, EXCHANGE_ANSWERING); /* each direction ends by itself */
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    expect_log(t, "front head 101\nfront resume\nback data frame\nfront end\nback end\nback finish "
                  "clean\nfront finish clean\n");
}

static void a_tunnel_that_nobody_asked_for_is_no_answer(void **state)
{
    struct story *t = *state;
    struct http_head yes = response(101);
    begin(t, EXCHANGE_NEAR, 1, "POST", "/");
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    buf_consume(&t->log, t->log.len);
    exchange_head(&t->x, &yes, &(struct mesh_verdict){0}, t->now_us); /* a stolen agent's */
    assert_int_equal(t->x.state, EXCHANGE_OVER);
    assert_false(t->x.tunnel);
    assert_int_equal(t->x.facts.status, 502);
    assert_int_equal(t->x.facts.flag, FLAG_UPE);
    assert_null(t->back.side.x);
}

static void an_upgrade_that_is_not_granted_ends_like_any_request(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    struct http_head h = upgrade_request();
    begin_with(t, EXCHANGE_NEAR, 1, &ask, &h);
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    answer(t, 200, "no");
    expect_log(t, "back head GET /ws\nfront resume\nback end\nfront head 200\nfront data no\nfront end\nback "
                  "finish clean\nfront finish clean\n");
}

static void tcp_is_bytes_and_each_direction_ends_by_itself(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    ask.protocol = PROTOCOL_TCP;
    ask.service = bytes_str("db");
    begin_with(t, EXCHANGE_NEAR, 1, &ask, NULL);
    assert_true(t->x.times.deadline == NEVER);
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    exchange_data(&t->x, FROM_FRONT, bytes_str("select"));
    exchange_end(&t->x, FROM_FRONT, NULL, t->now_us);
    exchange_head(&t->x, NULL, NULL, t->now_us);
    exchange_data(&t->x, FROM_BACK, bytes_str("rows"));
    exchange_end(&t->x, FROM_BACK, NULL, t->now_us);
    expect_log(t,
               "back head\nfront resume\nback data select\nback end\nfront head\nfront data rows\nfront end\n"
               "back finish clean\nfront finish clean\n");
    assert_int_equal(t->x.facts.status, 0);
}

static void tcp_refused_is_an_end_with_a_reason_for_agents(void **state)
{
    struct story *t = *state;
    struct exchange_ask ask = ask_http(t);
    ask.protocol = PROTOCOL_TCP;
    ask.service = bytes_str("db");
    ask.caller = (struct bytes){0};
    begin_with(t, EXCHANGE_NEAR, 1, &ask, NULL);
    expect_log(t, "front head UAEX [403 3 unmatched denied by rule unmatched of policy 3: an unknown caller "
                  "may not call db so]\n"
                  "front end\nfront finish cut\n");
    assert_int_equal(t->x.facts.flag, FLAG_UAEX);
}

static void room_is_the_sinks_and_resume_is_the_sources(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "POST", "/");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    buf_consume(&t->log, t->log.len);
    t->back.room = 7;
    t->front.room = 9;
    assert_int_equal(exchange_room(&t->x, FROM_FRONT), 7);
    assert_int_equal(exchange_room(&t->x, FROM_BACK), 9);
    exchange_writable(&t->x, FROM_BACK);
    exchange_writable(&t->x, FROM_FRONT);
    expect_log(t, "front resume\nback resume\n");
}

static void the_owner_going_away_detaches_both_sides(void **state)
{
    struct story *t = *state;
    begin(t, EXCHANGE_NEAR, 1, "GET", "/");
    exchange_back_ready(&t->x, &t->back.side, t->now_us);
    buf_consume(&t->log, t->log.len);
    exchange_fini(&t->x);
    expect_log(t, "back finish cut\nfront finish cut\n");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_request_goes_out_and_its_answer_comes_back),
        T(the_end_of_a_request_without_body_waits_for_the_back_side),
        T(a_dead_agent_costs_one_more_try_on_another),
        T(two_dead_agents_are_503_urx),
        T(an_endpoint_that_is_not_even_asked_does_not_cost_the_retry),
        T(the_last_endpoint_is_asked_although_it_failed_a_moment_ago),
        T(who_insists_and_fails_is_told_why),
        T(of_many_in_their_pause_some_are_passed_over_and_one_is_asked),
        T(what_the_far_agent_may_send_twice),
        T(a_stale_connection_is_replaced_by_a_fresh_one_to_the_same_application),
        T(half_an_answer_is_cut),
        T(a_client_that_leaves_cuts_the_back_side),
        T(a_client_that_leaves_while_seeking_is_news_for_the_owner),
        T(the_deadline_covers_all_of_it),
        T(silence_ends_what_has_no_deadline_and_any_byte_renews_it),
        T(the_far_agent_gives_silence_an_hour_and_more_where_the_policy_does),
        T(a_deadline_is_all_there_is_to_wait_for),
        T(the_deadline_travels),
        T(an_early_answer_ends_the_exchange_although_the_request_has_not),
        T(continue_is_passed_on_and_is_not_the_answer),
        T(an_upgrade_that_is_granted_is_a_tunnel_without_deadline),
        T(a_tunnel_that_nobody_asked_for_is_no_answer),
        T(an_upgrade_that_is_not_granted_ends_like_any_request),
        T(tcp_is_bytes_and_each_direction_ends_by_itself),
        T(tcp_refused_is_an_end_with_a_reason_for_agents),
        T(room_is_the_sinks_and_resume_is_the_sources),
        T(the_owner_going_away_detaches_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
